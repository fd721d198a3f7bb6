"""Methods of ufuncs on traced arrays: ``reduce``, ``accumulate``, ``outer``; ``at`` and ``reduceat`` are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.errors import missing_rule
from autodiff.core.spec import shape_of
from autodiff.core.tables import UFUNC_METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__: list[str] = []

_REDUCE: dict[Any, Callable[..., Any]] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.fmax: np.nanmax,
    np.fmin: np.nanmin,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
_ACCUMULATE: dict[Any, Callable[..., Any]] = {np.add: np.cumsum, np.multiply: np.cumprod}


def _reduce(
    ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: Any = False, **more: Any
) -> Any:
    """``ufunc.reduce``: the NumPy function of the same meaning."""
    if ufunc is np.logaddexp:
        return _logsumexp(array, axis, keepdims)
    function = _REDUCE.get(ufunc)
    if function is None:
        raise missing_rule(f"np.{ufunc.__name__}.reduce", ufunc=True)
    keywords = {
        k: v for k, v in more.items() if not (k == "initial" and v is None) and not (k == "where" and v is True)
    }
    if dtype is not None:
        keywords["dtype"] = dtype
    return function(array, axis=axis, keepdims=keepdims, **keywords)


def _logsumexp(x: Any, axis: Any, keepdims: Any) -> Any:
    """Log of the sum of exponentials, shifted by the largest so that nothing overflows."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, np.zeros_like(top))
    y = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis=axis)


def _accumulate(ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    """``ufunc.accumulate``: running sums, products and extrema."""
    if ufunc in {np.maximum, np.minimum}:
        return _running_extremum(ufunc, array, axis)
    function = _ACCUMULATE.get(ufunc)
    if function is None:
        raise missing_rule(f"np.{ufunc.__name__}.accumulate", ufunc=True)
    return function(array, axis=axis, dtype=dtype)


def _running_extremum(ufunc: np.ufunc, x: Any, axis: int) -> Any:
    """Pairwise extrema with what came 1, 2, 4 ... places before: ties are shared as in `maximum`."""
    n = shape_of(x)[axis]
    axis = np.lib.array_utils.normalize_axis_index(axis, len(shape_of(x)))
    at = (slice(None),) * axis
    step = 1
    while step < n:
        later = ufunc(x[(*at, slice(step, None))], x[(*at, slice(None, n - step))])
        x = np.concatenate([x[(*at, slice(None, step))], later], axis=axis)
        step *= 2
    return x


def _outer(ufunc: np.ufunc, a: Any, b: Any, **keywords: Any) -> Any:
    """``ufunc.outer``: all pairs, by broadcasting."""
    return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b, **keywords)


def _refused(method: str, instead: str) -> Callable[..., Any]:
    def refuse(ufunc: np.ufunc, *_args: Any, **_kwargs: Any) -> Any:
        raise missing_rule(f"np.{ufunc.__name__}.{method}", f" ({instead})", ufunc=True)

    return refuse


UFUNC_METHODS["reduce"] = _reduce
UFUNC_METHODS["accumulate"] = _accumulate
UFUNC_METHODS["outer"] = _outer
UFUNC_METHODS["at"] = _refused(
    "at", "it changes an array in place; add with np.bincount or a product with a one-hot matrix"
)
UFUNC_METHODS["reduceat"] = _refused("reduceat", "reduce the parts of np.split")
