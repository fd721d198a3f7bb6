# ruff: noqa: A001 - the standard's names
"""Functions of the standard that sum up, along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core.spec import dtype_of, shape_of

__all__ = ["all", "any", "cumulative_prod", "cumulative_sum", "diff", "max", "mean", "min", "prod", "std", "sum", "var"]


def all(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements are true."""
    return np.all(x, axis=axis, keepdims=keepdims)


def any(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether some element is true."""
    return np.any(x, axis=axis, keepdims=keepdims)


def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Products of the elements so far."""
    return _cumulative(np.cumprod, 1, x, axis, dtype, include_initial)


def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Sums of the elements so far."""
    return _cumulative(np.cumsum, 0, x, axis, dtype, include_initial)


def _cumulative(f: Any, first: int, x: Any, axis: int | None, dtype: Any, include_initial: bool) -> Any:
    if axis is None:
        if len(shape_of(x)) > 1:
            raise ValueError(f"array_api.cumulative_{f.__name__[3:]}: give axis= for an array of shape {shape_of(x)}.")
        axis = 0
    y = f(np.reshape(x, (1,)) if not shape_of(x) else x, axis=axis, dtype=dtype)
    if not include_initial:
        return y
    shape = list(shape_of(y))
    shape[axis] = 1
    return np.concatenate([np.full(shape, first, dtype_of(y)), y], axis=axis)


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours, `n` times."""
    ends = {key: value for key, value in (("prepend", prepend), ("append", append)) if value is not None}
    return np.diff(x, n, axis, **ends)


def max(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest element."""
    return np.max(x, axis=axis, keepdims=keepdims)


def mean(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Arithmetic mean."""
    return np.mean(x, axis=axis, keepdims=keepdims)


def min(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Smallest element."""
    return np.min(x, axis=axis, keepdims=keepdims)


def prod(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Product of the elements."""
    return np.prod(x, axis=axis, dtype=dtype, keepdims=keepdims)


def std(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Standard deviation; the sum of squares is divided by their number less `correction`."""
    return np.std(x, axis=axis, ddof=correction, keepdims=keepdims)


def sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Sum of the elements."""
    return np.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


def var(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Variance; the sum of squares is divided by their number less `correction`."""
    return np.var(x, axis=axis, ddof=correction, keepdims=keepdims)
