"""First values of parameters: random numbers whose size keeps signals and gradients neither growing nor fading.

An initialiser is a function ``init(rng, shape, dtype=np.float32)`` that returns a new array. `rng` is always an
explicit ``np.random.Generator``: the same seed gives the same weights, and no hidden global state is read.

`glorot_uniform`, `he_normal` and their like, `zeros` and `ones` are initialisers themselves. `normal`, `uniform`,
`truncated_normal`, `orthogonal` and `constant` have parameters: ``normal(std=0.01)`` *makes* an initialiser.

The scaled ones choose the variance of the weights from the number of inputs that a unit reads (`fan_in`) and the number
of units that read an input (`fan_out`), which `fans` takes from the shape:

================== ============================== ================== ===================
weights            shape                          fan_in             fan_out
================== ============================== ================== ===================
of `Dense`         (in, out), y = x @ w + b       in                 out
of a convolution   (out, in, kh, kw)              in * kh * kw       out * kh * kw
================== ============================== ================== ===================

================== =========================== ==============================================
family             variance of a weight        for
================== =========================== ==============================================
glorot             2 / (fan_in + fan_out)      tanh, sigmoid, softmax
he                 2 / fan_in                  relu and its like
lecun              1 / fan_in                  selu; linear units
================== =========================== ==============================================

``*_normal`` draws from a normal distribution that is not truncated, ``*_uniform`` from [-a, a) with
a = sqrt(3 * variance).

Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010); He et al.,
"Delving deep into rectifiers" (2015); LeCun et al., "Efficient backprop" (1998); Saxe et al., "Exact solutions to the
nonlinear dynamics of learning in deep linear neural networks" (2014).
"""

from __future__ import annotations

import functools
import math
import operator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike

__all__ = [
    "Initialiser",
    "constant",
    "fans",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "zeros",
]

# Standard deviation of a standard normal number that is known to lie in [-2, 2]:
# sqrt(1 - 4 * pdf(2) / (2 * cdf(2) - 1)).
_STD_WITHIN_2 = 0.87962566103423978


class Initialiser(Protocol):
    """What every initialiser is: a function of a generator, a shape and a dtype."""

    def __call__(self, rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = ...) -> Any:
        """Return a new array of this shape and dtype."""


# -- shapes and requests -----------------------------------------------------------------------------------------


def fans(shape: Sequence[int], *, groups: int = 1) -> tuple[int, int]:
    """Count the inputs that one unit reads, and the units that read one input.

    Parameters
    ----------
    shape : sequence of int
        (in, out) for the weights of a dense layer; (out, in / groups, k1, ...) for the filters of a convolution over
        one or more axes. Filters of a transposed convolution (in, out / groups, k1, ...) are counted as those of the
        convolution that it is the transpose of, so the two numbers change places.
    groups : int
        How many groups a convolution has. The shape does not tell; the scaled initialisers take it for 1, which matters
        only where fan_out is used.

    Returns
    -------
    fan_in, fan_out : int
        (in, out) for a matrix; in / groups times the size of a filter, and out / groups times that size, for filters.

    Raises
    ------
    TypeError
        If the shape is not a sequence of integers.
    ValueError
        If it has fewer than two axes or a negative length, or the groups do not divide its first one.

    Examples
    --------
    >>> fans((784, 30))
    (784, 30)
    >>> fans((20, 3, 5, 5))
    (75, 500)
    """
    shape = _shape("fans", shape)
    if len(shape) < 2:
        raise ValueError(
            f"fans: weights have two axes (in, out), or more (out, in, kh, kw), and not shape {shape}; "
            "initialise biases with zeros, constant(value), normal(std) or uniform(low, high)."
        )
    if len(shape) == 2:
        return shape[0], shape[1]
    if groups < 1 or shape[0] % groups:
        raise ValueError(f"fans: groups must be positive and divide the {shape[0]} filters, not {groups}.")
    size = math.prod(shape[2:])
    return shape[1] * size, shape[0] // groups * size


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    try:
        lengths = tuple(operator.index(n) for n in shape)
    except TypeError:
        raise TypeError(f"{name}: shape must be a tuple of integers, not {shape!r}.") from None
    if any(n < 0 for n in lengths):
        raise ValueError(f"{name}: shape {lengths} has a negative length.")
    return lengths


def _request(name: str, rng: Any, shape: Any, dtype: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Check what every initialiser is given."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{name}: rng must be a numpy Generator such as np.random.default_rng(0), not {type(rng).__name__}."
        )
    dtype = np.dtype(dtype)
    if not np.issubdtype(dtype, np.floating):
        raise TypeError(f"{name}: parameters are floating-point numbers; dtype {dtype} is not.")
    return _shape(name, shape), dtype


def _number(name: str, argument: str, value: Any, *, least: float = -math.inf) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: {argument} must be a number, not {type(value).__name__}.") from None
    if not math.isfinite(number) or number < least:
        bound = "" if least == -math.inf else f" and at least {least:g}"
        raise ValueError(f"{name}: {argument} must be finite{bound}, not {number}.")
    return number


# -- distributions -----------------------------------------------------------------------------------------------


def _drawn(draw: Callable[..., Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Numbers from a method of a generator; those of dtypes that it has not are drawn as float64."""
    direct = dtype in {np.dtype(np.float32), np.dtype(np.float64)}
    numbers = draw(shape, dtype=dtype if direct else np.float64)
    return numbers.astype(dtype, copy=False)


def _normal(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32, *, std: float) -> Any:
    lengths, dtype = _request("normal", rng, shape, dtype)
    return _drawn(rng.standard_normal, lengths, dtype) * dtype.type(std)


def _uniform(
    rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32, *, low: float, high: float
) -> Any:
    lengths, dtype = _request("uniform", rng, shape, dtype)
    low, high = dtype.type(low), dtype.type(high)
    # Rounding may carry a number past `high` by a fraction of an ulp, never further than its own rounding.
    return np.clip(low + (high - low) * _drawn(rng.random, lengths, dtype), low, high)


def _truncated_normal(
    rng: np.random.Generator,
    shape: Sequence[int],
    dtype: DTypeLike = np.float32,
    *,
    std: float,
    corrected: bool,
) -> Any:
    lengths, dtype = _request("truncated_normal", rng, shape, dtype)
    numbers = _drawn(rng.standard_normal, (math.prod(lengths),), dtype)
    beyond = np.flatnonzero(np.abs(numbers) > 2)
    while beyond.size:  # about 1 in 22 each time
        again = _drawn(rng.standard_normal, beyond.shape, dtype)
        numbers[beyond] = again
        beyond = beyond[np.abs(again) > 2]
    return numbers.reshape(lengths) * dtype.type(std / _STD_WITHIN_2 if corrected else std)


def _orthogonal(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32, *, gain: float) -> Any:
    lengths, dtype = _request("orthogonal", rng, shape, dtype)
    fans(lengths)  # refuses vectors
    rows, columns = lengths[0], math.prod(lengths[1:])
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    # The factorisation fixes the signs of r somehow; with a positive diagonal, q is uniform among orthogonal matrices.
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    q = q if rows >= columns else q.T
    return np.ascontiguousarray((gain * q).reshape(lengths), dtype)


def _constant(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32, *, value: float) -> Any:
    lengths, dtype = _request("constant", rng, shape, dtype)
    return np.full(lengths, value, dtype)


# -- initialisers with parameters --------------------------------------------------------------------------------


def normal(std: float) -> Initialiser:
    """Make an initialiser: normal numbers with mean 0 and standard deviation `std`.

    Examples
    --------
    >>> normal(0.01)(np.random.default_rng(0), (2, 3)).shape
    (2, 3)
    """
    return functools.partial(_normal, std=_number("normal", "std", std, least=0))


def uniform(low: float, high: float) -> Initialiser:
    """Make an initialiser: numbers spread evenly over [low, high); rounding to the dtype may give `high` itself.

    Examples
    --------
    >>> x = uniform(-0.5, 0.5)(np.random.default_rng(0), (100,))
    >>> bool(x.min() >= -0.5 and x.max() <= 0.5)
    True
    """
    low, high = _number("uniform", "low", low), _number("uniform", "high", high)
    if low > high:
        raise ValueError(f"uniform: low {low} is greater than high {high}.")
    return functools.partial(_uniform, low=low, high=high)


def truncated_normal(std: float, *, corrected: bool = False) -> Initialiser:
    """Make an initialiser: normal numbers, drawn again until they lie within two standard deviations of 0.

    Cutting off the tails makes the spread smaller. By default `std` is that of the normal distribution *before* the
    cut: no number exceeds 2 * std, and the standard deviation of the result is 0.8796 * std. With ``corrected=True``,
    `std` is the standard deviation of the result, and the cut lies at 2.274 * std.

    Examples
    --------
    >>> x = truncated_normal(0.1)(np.random.default_rng(0), (1000,))
    >>> bool(abs(x).max() <= 0.2)
    True
    """
    std = _number("truncated_normal", "std", std, least=0)
    return functools.partial(_truncated_normal, std=std, corrected=bool(corrected))


def orthogonal(gain: float = 1.0) -> Initialiser:
    """Make an initialiser: `gain` times a random matrix whose rows or columns, whichever are fewer, are orthonormal.

    The matrix is uniform among all such matrices. Filters (out, in, kh, kw) are seen as a matrix (out, in * kh * kw).

    Examples
    --------
    >>> w = orthogonal()(np.random.default_rng(0), (5, 3), np.float64)
    >>> bool(np.allclose(w.T @ w, np.eye(3)))
    True
    """
    return functools.partial(_orthogonal, gain=_number("orthogonal", "gain", gain))


def constant(value: float) -> Initialiser:
    """Make an initialiser: every entry is `value`.

    Examples
    --------
    >>> constant(0.1)(np.random.default_rng(0), (3,), np.float64)
    array([0.1, 0.1, 0.1])
    """
    return functools.partial(_constant, value=_number("constant", "value", value))


# -- initialisers ------------------------------------------------------------------------------------------------


def zeros(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32) -> Any:
    """Zeros, for biases; no number is drawn.

    Examples
    --------
    >>> zeros(np.random.default_rng(0), (2,))
    array([0., 0.], dtype=float32)
    """
    return np.zeros(*_request("zeros", rng, shape, dtype))


def ones(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32) -> Any:
    """Ones, for scales; no number is drawn.

    Examples
    --------
    >>> ones(np.random.default_rng(0), (2,))
    array([1., 1.], dtype=float32)
    """
    return np.ones(*_request("ones", rng, shape, dtype))


def _scaled(
    name: str, rng: Any, shape: Any, dtype: Any, *, variance: float, of: tuple[int, ...] = (0,), even: bool
) -> Any:
    """Numbers whose variance is that given, divided by the sum of the fans named."""
    lengths, dtype = _request(name, rng, shape, dtype)
    counts = fans(lengths)
    std = math.sqrt(variance / max(sum(counts[i] for i in of), 1))  # arrays without entries may have no inputs
    if even:
        return _uniform(rng, lengths, dtype, low=-math.sqrt(3) * std, high=math.sqrt(3) * std)
    return _normal(rng, lengths, dtype, std=std)


def glorot_uniform(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32) -> Any:
    """Even over [-a, a) with a = sqrt(6 / (fan_in + fan_out)): for tanh, sigmoid and softmax.

    Examples
    --------
    >>> w = glorot_uniform(np.random.default_rng(0), (4, 2))
    >>> w.dtype, bool(abs(w).max() <= 1.0)
    (dtype('float32'), True)
    """
    return _scaled("glorot_uniform", rng, shape, dtype, variance=2, of=(0, 1), even=True)


def glorot_normal(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32) -> Any:
    """Normal with variance 2 / (fan_in + fan_out): for tanh, sigmoid and softmax.

    Examples
    --------
    >>> glorot_normal(np.random.default_rng(0), (4, 2)).shape
    (4, 2)
    """
    return _scaled("glorot_normal", rng, shape, dtype, variance=2, of=(0, 1), even=False)


def he_uniform(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32) -> Any:
    """Even over [-a, a) with a = sqrt(6 / fan_in): for relu.

    Examples
    --------
    >>> bool(abs(he_uniform(np.random.default_rng(0), (6, 50))).max() <= 1.0)
    True
    """
    return _scaled("he_uniform", rng, shape, dtype, variance=2, even=True)


def he_normal(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32) -> Any:
    """Normal with variance 2 / fan_in: for relu.

    Examples
    --------
    >>> he_normal(np.random.default_rng(0), (16, 3, 5, 5)).shape
    (16, 3, 5, 5)
    """
    return _scaled("he_normal", rng, shape, dtype, variance=2, even=False)


def lecun_uniform(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32) -> Any:
    """Even over [-a, a) with a = sqrt(3 / fan_in): for selu and linear units.

    Examples
    --------
    >>> bool(abs(lecun_uniform(np.random.default_rng(0), (3, 50))).max() <= 1.0)
    True
    """
    return _scaled("lecun_uniform", rng, shape, dtype, variance=1, even=True)


def lecun_normal(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike = np.float32) -> Any:
    """Normal with variance 1 / fan_in: for selu and linear units.

    Examples
    --------
    >>> lecun_normal(np.random.default_rng(0), (4, 2), np.float64).dtype
    dtype('float64')
    """
    return _scaled("lecun_normal", rng, shape, dtype, variance=1, even=False)


# -- by name -----------------------------------------------------------------------------------------------------

_BY_NAME: dict[str, Initialiser] = {
    "glorot_normal": glorot_normal,
    "glorot_uniform": glorot_uniform,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "lecun_normal": lecun_normal,
    "lecun_uniform": lecun_uniform,
    "ones": ones,
    "orthogonal": orthogonal(),
    "zeros": zeros,
}
_MAKERS: dict[str, Any] = {f.__name__: f for f in (constant, normal, orthogonal, truncated_normal, uniform)}
_CALLS = {
    "constant": "constant(0.1)",
    "normal": "normal(std=0.01)",
    "orthogonal": "orthogonal(gain=1.0)",
    "truncated_normal": "truncated_normal(std=0.01)",
    "uniform": "uniform(-0.1, 0.1)",
}


def get(initialiser: str | Initialiser) -> Initialiser:
    """Return the initialiser of a name, or the function itself.

    Parameters
    ----------
    initialiser : str or function
        A name, such as ``"he_normal"`` (``"orthogonal"`` has gain 1), or a function ``init(rng, shape, dtype)``.

    Returns
    -------
    function
        The initialiser.

    Raises
    ------
    ValueError
        If there is no initialiser of this name; the message lists them.
    TypeError
        If it is neither a name nor a function, or a function that makes initialisers and was not called.

    Examples
    --------
    >>> get("he_normal") is he_normal
    True
    >>> get(constant(0.5))(np.random.default_rng(0), (2,))
    array([0.5, 0.5], dtype=float32)
    """
    if isinstance(initialiser, str):
        found = _BY_NAME.get(initialiser)
        if found is not None:
            return found
        if initialiser in _MAKERS:
            raise ValueError(
                f"initialisers.get: {initialiser!r} has parameters: pass a function, such as {_CALLS[initialiser]}."
            )
        raise ValueError(
            f"initialisers.get: no initialiser is called {initialiser!r}; there are {', '.join(_BY_NAME)}, "
            f"and functions such as {', '.join(_CALLS.values())}."
        )
    if not callable(initialiser):
        raise TypeError(f"initialisers.get: an initialiser is a name or a function, not {type(initialiser).__name__}.")
    for name, maker in _MAKERS.items():
        if initialiser is maker:
            raise TypeError(f"initialisers.get: {name} makes initialisers: call it first, as in {_CALLS[name]}.")
    return initialiser
