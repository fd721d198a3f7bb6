"""Linear filters: a recursion in time is the solution of a banded system, and its derivative another filter."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.signal as ss

from autodiff.core import Operation, Sample, Spec
from autodiff.core.batching import each
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.scipy._mirror import array, mirrors, unsupported

__all__ = ["lfilter", "sosfilt"]


def _recursion(a: Any, u: Any) -> Any:
    """Solution y of ``sum_k a[k] y[n - k] = u[n]`` along the last axis."""
    wide = np.result_type(a, u, np.float32)  # SciPy has no filter in half precision
    y = ss.lfilter(np.ones(1, wide), a.astype(wide, copy=False), u.astype(wide, copy=False))
    return y.astype(np.result_type(a, u), copy=False)


def _delayed(x: Any, k: int) -> Any:
    n = shape_of(x)[-1]
    if not k:
        return x
    none = np.zeros((*shape_of(x)[:-1], min(k, n)), dtype_of(x))
    return np.concatenate([none, x[..., : n - k]], axis=-1) if k < n else none


def _moving(b: Any, x: Any) -> Any:
    """``sum_k b[k] x[n - k]`` along the last axis."""
    terms = [b[k] * _delayed(x, k) for k in range(shape_of(b)[0])]
    return sum(terms[1:], terms[0])


def _backward(a: Any, ct: Any) -> Any:
    """Transpose of the recursion: the same, backwards in time."""
    return _recursive(a, ct[..., ::-1])[..., ::-1]


def _by_coefficients(ct: Any, y: Any, a: Any, _u: Any) -> Any:
    w = _backward(a, ct)
    return -np.stack([np.sum(w * _delayed(y, k)) for k in range(shape_of(a)[0])])


_recursive: Operation = Operation(
    "lfilter_recursion",
    _recursion,
    jvps=(lambda t, y, a, _u: -_recursive(a, _moving(t, y)), lambda t, _y, a, _u: _recursive(a, t)),
    vjps=(_by_coefficients, lambda ct, _y, a, _u: _backward(a, ct)),
    linear_args=frozenset({1}),
    samples=lambda rng: [
        Sample((np.array([1.5, -0.5, 0.2][:n]), rng.normal(size=s))) for n, s in ((3, 6), (2, (2, 4)), (1, 3), (3, 1))
    ],
    batch=each,
    shape=lambda a, u: Spec(shape_of(u), np.result_type(dtype_of(a), dtype_of(u))),
)


@mirrors(ss.lfilter)
def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """Filter with the coefficients `b` (numerator) and `a` (denominator), differentiable by all of them.

    Examples
    --------
    >>> from autodiff import grad
    >>> impulse = np.array([1.0, 0.0, 0.0])
    >>> grad(lambda a: lfilter(np.ones(1), a, impulse)[2])(np.array([1.0, -0.5]))  # of a[1]**2 / a[0]**3
    array([-0.75, -1.  ])
    """
    name = "scipy.signal.lfilter"
    if zi is not None:
        raise unsupported(name, "zi", "Put the values before the start in front of x.")
    b, a, x = array(b), array(a), array(x)
    if len(shape_of(b)) != 1 or len(shape_of(a)) != 1 or not shape_of(b)[0] or not shape_of(a)[0]:
        raise ValueError(f"{name}: b and a must be vectors that are not empty, not {describe(b)} and {describe(a)}.")
    last = np.moveaxis(x, axis, -1)
    return np.moveaxis(_recursive(a, _moving(b, last)), -1, axis)


@mirrors(ss.sosfilt)
def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """Filter in sections of second order."""
    if zi is not None:
        raise unsupported("scipy.signal.sosfilt", "zi", "Put the values before the start in front of x.")
    sos = array(sos)
    if len(shape_of(sos)) != 2 or shape_of(sos)[1] != 6:
        raise ValueError(f"scipy.signal.sosfilt: sos must have the shape (sections, 6), not {describe(sos)}.")
    for k in range(shape_of(sos)[0]):
        x = lfilter(sos[k, :3], sos[k, 3:], x, axis)
    return x
