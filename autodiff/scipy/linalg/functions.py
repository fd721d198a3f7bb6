"""Functions of matrices: exponentials, logarithms, roots, trigonometric functions.

One rule serves them all. For any analytic function, f of the block matrix [[A, E], [0, A]] has f(A) on the diagonal and
the derivative of f at A in the direction E above it. That derivative is linear in E, its transpose is the derivative at
the transposed matrix, and its own derivative by A is once more the upper block of a derivative, at a matrix twice as
large: so every order is exact, whatever algorithm computes f, repeated eigenvalues or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg as sl

from autodiff.core import Operation, Sample, Spec, Tracer
from autodiff.core.batching import all_values, stacked
from autodiff.core.linear import transposed_rule
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.common import square
from autodiff.ops.products import swapped
from autodiff.scipy._mirror import check_finite_values, mirrors, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "coshm",
    "cosm",
    "expm",
    "expm_frechet",
    "fractional_matrix_power",
    "logm",
    "signm",
    "sinhm",
    "sinm",
    "sqrtm",
    "tanhm",
    "tanm",
]


def _matrix(a: Any, e: Any, d: Any) -> Any:
    """The block matrix [[a, e], [0, d]]."""
    zero = np.zeros(shape_of(a), dtype_of(a))
    return np.concatenate([np.concatenate([a, e], axis=-1), np.concatenate([zero, d], axis=-1)], axis=-2)


def _one_by_one(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of one matrix one of a stack, which keeps the precision."""

    def call(a: Any) -> Any:
        if not a.size:
            return np.zeros(a.shape, a.dtype)
        if a.ndim == 2:
            return _as(fn(_double(a)), a.dtype)
        flat = [_as(fn(_double(m)), a.dtype) for m in a.reshape(-1, *a.shape[-2:])]
        return np.reshape(flat, a.shape)

    return call


def _double(a: Any) -> Any:
    """The matrix in double precision: SciPy warns of what its algorithms lose in single precision."""
    return a.astype(np.result_type(a, np.float64), copy=False)


def _as(y: Any, dtype: Any) -> Any:
    """Give a result the dtype of the matrix; an imaginary part where it is real is rounding."""
    return (y.real if dtype.kind == "f" else y).astype(dtype, copy=False)


def _family(name: str, fn: Callable[..., Any]) -> tuple[Operation, Operation]:
    """The operation of a matrix function, and that of its derivative, which is linear in its second argument."""
    value = _one_by_one(fn)

    def slope(a: Any, e: Any) -> Any:
        shape = np.broadcast_shapes(a.shape[:-2], e.shape[:-2])
        dtype = np.result_type(a, e)
        a, e = (np.broadcast_to(x, (*shape, *x.shape[-2:])).astype(dtype) for x in (a, e))
        size = np.max(np.abs(e), initial=0)
        if not a.size or size == 0:
            return np.zeros(a.shape, dtype)
        if not np.isfinite(size):
            return np.full(a.shape, np.nan, dtype)
        # The direction is scaled to the matrix, for the algorithms choose their steps by the norm.
        scale = float(size) / max(float(np.max(np.abs(a))), 1e-3)
        n = a.shape[-1]
        return (value(_matrix(a, e / scale, a))[..., :n, n:] * scale).astype(dtype)

    def by_matrix(t: Any, _y: Any, a: Any, e: Any) -> Any:
        zero = np.zeros(shape_of(t), dtype_of(t))
        direction = np.concatenate([np.concatenate([t, zero], axis=-1), np.concatenate([zero, t], axis=-1)], axis=-2)
        n = shape_of(a)[-1]
        batch = np.broadcast_shapes(shape_of(a)[:-2], shape_of(e)[:-2])
        a, e = (np.broadcast_to(x, (*batch, n, n)) for x in (a, e))
        return derivative(_matrix(a, e, a), direction)[..., :n, n:]

    derivative = Operation(
        f"{name}_derivative",
        slope,
        jvps=(by_matrix, lambda t, _y, a, _e: derivative(a, t)),
        vjps=(transposed_rule(by_matrix, 0), lambda ct, _y, a, _e: derivative(swapped(a), ct)),
        linear_args=frozenset({1}),
        samples=lambda rng: [Sample((_draw(rng, s), rng.normal(size=s))) for s in ((2, 2), (1, 1), (2, 2, 2))],
        batch=stacked(2),
        shape=lambda a, e: Spec(
            (*np.broadcast_shapes(shape_of(a)[:-2], shape_of(e)[:-2]), *shape_of(a)[-2:]),
            np.result_type(dtype_of(a), dtype_of(e)),
        ),
    )
    function = Operation(
        name,
        value,
        jvps=(lambda t, _y, a: derivative(a, t),),
        vjps=(lambda ct, _y, a: derivative(swapped(a), ct),),
        samples=lambda rng: [Sample((_draw(rng, s),)) for s in ((3, 3), (1, 1), (0, 0), (2, 2, 2))],
        batch=stacked(2),
        shape=lambda a: Spec(shape_of(a), dtype_of(a)),
    )
    return function, derivative


def _draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Matrices near the identity, where all these functions are analytic."""
    return np.eye(shape[-1]) + rng.uniform(-0.25, 0.25, size=shape)


_expm, _expm_derivative = _family("expm", sl.expm)
_logm = _family("logm", sl.logm)[0]
_sqrtm = _family("sqrtm", sl.sqrtm)[0]


def _checked(name: str, a: Any) -> Any:
    a = square(f"scipy.linalg.{name}", a, "A")
    check_finite_values(f"scipy.linalg.{name}", True, a)
    return a


def _turn(a: Any, zero: bool) -> float:
    """The angle by which to turn a real matrix with negative (`zero`: or zero) eigenvalues, which lie on the cut.

    Rounding would put the double eigenvalues of the block matrix on both sides. Half way to the next eigenvalue below
    the cut, none is near it. 0: nothing lies on the cut, and the function is real.
    """
    value = all_values(a)
    if dtype_of(a).kind == "c" or isinstance(value, Tracer):
        return 0.0
    w = np.linalg.eigvals(value.astype(np.float64))
    if not np.any((w.imag == 0) & ((w.real <= 0) if zero else (w.real < 0))):
        return 0.0
    return float(np.pi + np.min(np.where(w.imag < 0, np.angle(w), 0.0))) / 2


def _turned(a: Any, angle: float) -> Any:
    return a.astype(np.result_type(dtype_of(a), np.complex64)) * complex(np.exp(-1j * angle))


@mirrors(sl.expm)
def expm(A: Any) -> Any:  # noqa: N803
    """Matrix exponential.

    Examples
    --------
    >>> from autodiff import jacfwd
    >>> generator = np.array([[0.0, -1.0], [1.0, 0.0]])
    >>> jacfwd(lambda t: expm(t * generator))(0.0)
    array([[ 0., -1.],
           [ 1.,  0.]])
    """
    return _expm(_checked("expm", A))


@mirrors(sl.logm)
def logm(A: Any, disp: Any = None) -> Any:  # noqa: N803
    """Matrix logarithm, the principal branch; complex where a real matrix has eigenvalues that are not positive."""
    _no_error_estimate("logm", disp)
    A = _checked("logm", A)  # noqa: N806
    angle = _turn(A, True)
    return _logm(_turned(A, angle)) + 1j * angle * np.eye(shape_of(A)[-1], dtype=dtype_of(A)) if angle else _logm(A)


@mirrors(sl.sqrtm)
def sqrtm(A: Any, disp: Any = None, blocksize: Any = None) -> Any:  # noqa: N803
    """Matrix square root, the principal one; complex where a real matrix has negative eigenvalues."""
    _no_error_estimate("sqrtm", disp)
    A = _checked("sqrtm", A)  # noqa: N806
    angle = _turn(A, False)
    return _sqrtm(_turned(A, angle)) * complex(np.exp(0.5j * angle)) if angle else _sqrtm(A)


@mirrors(sl.signm)
def signm(A: Any, disp: Any = None) -> Any:  # noqa: N803
    """Matrix sign function."""
    _no_error_estimate("signm", disp)
    A = _checked("signm", A)  # noqa: N806
    return A @ np.linalg.inv(_sqrtm(A @ A))


def _no_error_estimate(name: str, disp: Any) -> None:
    if disp is False:
        raise unsupported(f"scipy.linalg.{name}", "disp=False", "Leave it out: the error estimate has no derivative.")


@mirrors(sl.cosm)
def cosm(A: Any) -> Any:  # noqa: N803
    """Matrix cosine."""
    A = _checked("cosm", A)  # noqa: N806
    return np.real(_expm(1j * A)) if dtype_of(A).kind == "f" else (_expm(1j * A) + _expm(-1j * A)) / 2


@mirrors(sl.sinm)
def sinm(A: Any) -> Any:  # noqa: N803
    """Matrix sine."""
    A = _checked("sinm", A)  # noqa: N806
    return np.imag(_expm(1j * A)) if dtype_of(A).kind == "f" else (_expm(1j * A) - _expm(-1j * A)) / 2j


@mirrors(sl.tanm)
def tanm(A: Any) -> Any:  # noqa: N803
    """Matrix tangent."""
    return np.linalg.solve(cosm(A), sinm(A))


@mirrors(sl.coshm)
def coshm(A: Any) -> Any:  # noqa: N803
    """Hyperbolic matrix cosine."""
    A = _checked("coshm", A)  # noqa: N806
    return (_expm(A) + _expm(-A)) / 2


@mirrors(sl.sinhm)
def sinhm(A: Any) -> Any:  # noqa: N803
    """Hyperbolic matrix sine."""
    A = _checked("sinhm", A)  # noqa: N806
    return (_expm(A) - _expm(-A)) / 2


@mirrors(sl.tanhm)
def tanhm(A: Any) -> Any:  # noqa: N803
    """Hyperbolic matrix tangent."""
    return np.linalg.solve(coshm(A), sinhm(A))


@mirrors(sl.fractional_matrix_power)
def fractional_matrix_power(A: Any, t: Any) -> Any:  # noqa: N803
    """Power of a matrix, differentiable by the exponent as well: ``expm(t * logm(A))``, and a product for integers."""
    A = square("scipy.linalg.fractional_matrix_power", A, "A")  # noqa: N806
    if not isinstance(t, Tracer) and float(t).is_integer():
        return np.linalg.matrix_power(A, int(t))
    y = expm(t * logm(A))
    values = all_values(A), all_values(t)
    if not any(isinstance(v, Tracer) for v in values) and np.iscomplexobj(sl.fractional_matrix_power(*values)):
        y = y.astype(np.result_type(dtype_of(y), np.complex64))  # SciPy's dtype depends on the eigenvalues
    return y


@mirrors(sl.expm_frechet)
def expm_frechet(
    A: Any,  # noqa: N803
    E: Any,  # noqa: N803
    method: Any = None,
    compute_expm: bool = True,
    check_finite: bool = True,
) -> Any:
    """Matrix exponential, and its derivative at `A` in the direction `E`."""
    name = "scipy.linalg.expm_frechet"
    A, E = square(name, A, "A"), square(name, E, "E")  # noqa: N806
    check_finite_values(name, check_finite, A, E)
    slope = _expm_derivative(A, E)
    return (expm(A), slope) if compute_expm else slope
