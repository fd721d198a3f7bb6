"""NumPy's reductions, said so that CuPy understands them: its ufuncs reduce by `add` and `multiply` alone.

Nor do its functions know ``initial=``. On the host these are NumPy's own, as fast as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.backend import foreign, made, on_host
from autodiff.core.spec import dtype_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["largest", "log_of_sum", "reduced_by"]


def reduced_by(ufunc: np.ufunc, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``ufunc.reduce`` for plain arrays, by a NumPy function of the same meaning where another library has them.

    Examples
    --------
    >>> reduced_by(np.maximum, np.max)(np.eye(2), axis=0)
    array([1., 1.])
    """
    reduce = ufunc.reduce

    def of(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return (function if foreign(x) else reduce)(x, axis=axis, keepdims=keepdims)

    return of


def largest(x: Any, axis: Any, initial: float, keepdims: bool = True) -> Any:
    """Largest entry along an axis, or `initial`, which is no larger than any entry, where there is none.

    Examples
    --------
    >>> largest(np.ones((2, 0)), -1, 0.0)
    array([[0.],
           [0.]])
    """
    if on_host(x):
        return np.max(x, axis=axis, keepdims=keepdims, initial=initial)
    empty = np.zeros(shape_of(x), bool) if 0 in shape_of(x) else None
    if empty is None:
        return np.max(x, axis=axis, keepdims=keepdims)
    return made(np.full, x, np.any(empty, axis=axis, keepdims=keepdims).shape, initial, dtype_of(x))


def log_of_sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Logarithm of the sum of the exponentials, without overflow: ``np.logaddexp.reduce``.

    Examples
    --------
    >>> log_of_sum(np.zeros((2, 3)), axis=1)
    array([1.09861229, 1.09861229])
    """
    if not foreign(x):
        return np.logaddexp.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
    top = largest(x, axis, -np.inf)
    shift = np.where(np.isfinite(top), top, dtype_of(x).type(0))
    y = np.log(np.sum(np.exp(x - shift), axis=axis, keepdims=True)) + shift
    return y if keepdims else np.squeeze(y, axis)
