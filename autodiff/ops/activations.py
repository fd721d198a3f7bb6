"""Activation functions of neural networks: elementwise, real, of every order, dtype in = dtype out.

Where a slope jumps the derivative is a convention: 0 for `relu`, `relu6`, `hard_sigmoid` and `hard_tanh`, the left
slope for `leaky_relu`, `elu` and `selu`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core import Boundary, Operation, Sample, Spec, constant, elementwise, linear
from autodiff.core.batching import pointwise
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops import compiled
from autodiff.ops.compiled import cpu, fits_gpu, gpu, kernels_enabled, on_gpu

__all__ = [
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_tanh",
    "leaky_relu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
]

# Klambauer et al., "Self-normalizing neural networks" (2017), equation 14.
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
LARGE = 4096  # items; below, NumPy is as fast as the call of a kernel


def _real(name: str, x: Any) -> Any:
    """Return `x` as an array or number of a real floating dtype."""
    if not hasattr(x, "dtype"):
        x = np.asarray(x)[()]
        x = x.astype(float) if x.dtype.kind in "iub" else x
    if dtype_of(x).kind != "f":
        raise TypeError(f"{name}: x must be real and floating, got {describe(x)}; convert with x.astype(np.float32).")
    return x


def _package(x: Any, least: int = 0) -> Any:
    """Return the kernels for an array, or None where NumPy's functions, or those of its library, are as good.

    On a GPU a kernel stands for several functions of the library, or else pays from `least` items on.
    """
    if type(x) is np.ndarray:
        fits = x.size >= LARGE and x.dtype.char in "fd" and x.dtype.isnative and kernels_enabled()
        return cpu() if fits else None
    return gpu() if fits_gpu(x) and x.size >= least else None


# -- relu ----------------------------------------------------------------------------------------------------

_frozen = constant(lambda y: y, name="frozen", shape=lambda y: Spec(shape_of(y), dtype_of(y)), batch=pointwise)


def _gate_value(t: Any, y: Any) -> Any:
    package = _package(t, compiled.LAUNCH)
    if package is not None and type(t) is type(y) and t.shape == y.shape and t.dtype == y.dtype:
        return package.relu_gate(t, y)
    return np.where(np.greater(y, 0), t, dtype_of(t).type(0))


def _relu_value(x: Any) -> Any:
    package = _package(x, compiled.LAUNCH)
    return np.maximum(x, 0) if package is None else package.relu(x)


_gate: Operation = linear(
    _gate_value,
    lambda ct, _y, _t, y: _gate(ct, y),
    name="relu_gate",
    nargs=2,
    structural=True,
    samples=lambda rng: [Sample((rng.normal(size=s), rng.normal(size=s))) for s in ((3, 4), (), (0,))],
    shape=lambda t, y: Spec(np.broadcast_shapes(shape_of(t), shape_of(y)), dtype_of(t)),
    batch=pointwise,
)
_relu = elementwise(
    _relu_value,
    lambda t, y, _x: _gate(t, _frozen(y)),
    name="relu",
    marks=(lambda y, _x: np.less_equal(y, 0),),
    cuts=True,
    samples=lambda rng: [
        Sample((np.copysign(rng.uniform(0.2, 2.0, s), rng.normal(size=s)),)) for s in ((3, 4), (), (0,))
    ],
    boundary=(Boundary((0.0,), (0.0,)), Boundary((-0.0,), (0.0,)), Boundary((np.inf,), (1.0,))),
)


def relu(x: Any) -> Any:
    """Return max(x, 0); its derivative at 0 is 0.

    Parameters
    ----------
    x
        Array or number, real and floating.

    Raises
    ------
    TypeError
        If `x` holds integers or complex numbers.

    Examples
    --------
    >>> from autodiff import grad
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    >>> grad(lambda x: np.sum(relu(x)))(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return _relu(_real("relu", x))


def _scalar(y: Any) -> Any:
    """Return a number for a number: `np.where` makes an array of it."""
    return y[()] if type(y) is np.ndarray and y.ndim == 0 else y


def relu6(x: Any) -> Any:
    """Return min(max(x, 0), 6).

    Examples
    --------
    >>> relu6(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """
    x = _real("relu6", x)
    return _scalar(np.where(x <= 0, 0.0, np.where(x >= 6, 6.0, x)).astype(dtype_of(x)))  # NaN is neither


def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """Return x where it is positive, else `slope * x`.

    Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models" (2013).

    Examples
    --------
    >>> leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    x = _real("leaky_relu", x)
    return _scalar(np.where(x > 0, x, x * slope))


def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x where it is positive, else `alpha * (exp(x) - 1)`.

    Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units" (2016).

    Examples
    --------
    >>> elu(np.array([0.0, 2.0]))
    array([0., 2.])
    """
    x = _real("elu", x)
    return _scalar(np.where(x > 0, x, np.expm1(np.where(x > 0, 0.0, x).astype(dtype_of(x))) * alpha))


def selu(x: Any) -> Any:
    """Return the scaled exponential linear unit, 1.0507 * elu(x, 1.6733).

    Klambauer et al., "Self-normalizing neural networks" (2017).

    Examples
    --------
    >>> float(selu(1.0))
    1.0507009873554805
    """
    return elu(_real("selu", x), SELU_ALPHA) * SELU_SCALE


def hard_tanh(x: Any) -> Any:
    """Return x cut to the interval from -1 to 1.

    Examples
    --------
    >>> hard_tanh(np.array([-2.0, 0.5, 2.0]))
    array([-1. ,  0.5,  1. ])
    """
    x = _real("hard_tanh", x)
    return _scalar(np.where(np.abs(x) < 1, x, np.sign(x)))


def hard_sigmoid(x: Any) -> Any:
    """Return x / 6 + 1 / 2 cut to the interval from 0 to 1.

    Examples
    --------
    >>> hard_sigmoid(np.array([-4.0, 0.0, 1.5]))
    array([0.  , 0.5 , 0.75])
    """
    return relu6(_real("hard_sigmoid", x) + 3.0) / 6.0


# -- smooth --------------------------------------------------------------------------------------------------


def _sigmoid_value(x: Any) -> Any:
    if dtype_of(x).kind == "c":
        return 1 / (1 + np.exp(-x))
    package = _package(x)
    if package is not None:
        return package.sigmoid(x)
    e = np.exp(-np.abs(x))
    return np.where(np.less(x, 0), e, dtype_of(x).type(1)) / (1 + e)


_sigmoid = elementwise(
    _sigmoid_value,
    lambda t, y, _x: t * y * (1 - y),
    name="sigmoid",
    boundary=(
        Boundary((-np.inf,), (0.0,)), Boundary((np.inf,), (0.0,)), Boundary((1e4,), (0.0,)), Boundary((-1e4,), (0.0,)),
    ),
)  # fmt: skip


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)), without overflow.

    Examples
    --------
    >>> sigmoid(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """
    return _sigmoid(_real("sigmoid", x))


def silu(x: Any) -> Any:
    """Return x * sigmoid(x), also known as swish.

    Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units" (2018).

    Examples
    --------
    >>> silu(np.array([0.0, 1e4]))
    array([    0., 10000.])
    """
    x = _real("silu", x)
    return x * _sigmoid(x)


def _softplus_value(x: Any) -> Any:
    package = _package(x, compiled.LAUNCH)
    return np.logaddexp(x, dtype_of(x).type(0)) if package is None else package.softplus(x)


_softplus = elementwise(
    _softplus_value,
    lambda t, _y, x: t * _sigmoid(x),
    name="softplus",
    boundary=(Boundary((-np.inf,), (0.0,)), Boundary((np.inf,), (1.0,)), Boundary((1e4,), (1.0,))),
)


def softplus(x: Any) -> Any:
    """Return log(1 + exp(x)), without overflow.

    Examples
    --------
    >>> softplus(np.array([-1e4, 1e4]))
    array([    0., 10000.])
    """
    return _softplus(_real("softplus", x))


def _erf_value(x: Any) -> Any:
    package = _package(x)
    if package is not None:
        return package.erf(x)
    if on_gpu(x):  # of float16
        return gpu().erf(x.astype(np.float32)).astype(np.float16)
    from scipy.special import erf

    if dtype_of(x).char == "g":
        raise TypeError("gelu: there is no error function of longdouble; use float64, or approximate=True.")
    return erf(x, dtype=np.float32).astype(np.float16) if dtype_of(x).char == "e" else erf(x)


_erf = elementwise(_erf_value, lambda t, _y, x: t * np.exp(-x * x) * (2 / math.sqrt(math.pi)), name="erf")


def gelu(x: Any, *, approximate: bool = False) -> Any:
    """Return x times the normal distribution function at x.

    Parameters
    ----------
    x
        Array or number, real and floating.
    approximate
        Use 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) instead of the error function.

    Notes
    -----
    Hendrycks and Gimpel, "Gaussian error linear units" (2016).

    Examples
    --------
    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(6)
    array([-0.158655,  0.      ,  0.841345])
    """
    x = _real("gelu", x)
    if approximate:
        z = np.clip(x, -10.0, 10.0)  # beyond, tanh is 1 when rounded; a cube would overflow in float16
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    return 0.5 * x * (1 + _erf(x * math.sqrt(0.5)))
