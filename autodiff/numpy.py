"""NumPy functions that cannot dispatch on traced arrays by themselves.

``np.sin(x)`` sees that `x` is traced, but ``np.array([x, 1.0])`` does not look inside its list before it reads
numbers, so it is an error. The functions here have NumPy's names and results, and accept traced values
anywhere. On plain arrays and numbers they call NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.errors import describe, user_line
from autodiff.core.spec import shape_of
from autodiff.core.tracer import Tracer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

__all__ = ["array", "asarray"]


def array(object: ArrayLike | Any, dtype: DTypeLike | None = None) -> Any:  # noqa: A002 - NumPy's name
    """Make an array of numbers, arrays and nested lists of them, any of which may be traced.

    Parameters
    ----------
    object : array, number, or nested list or tuple of them
        The entries; those of one list must have equal shapes.
    dtype : dtype-like, optional
        Dtype of the result; by default the one to which NumPy promotes the entries. As in ``np.array``, a
        Python float among float32 entries makes the result float64, unless `dtype` says otherwise.

    Returns
    -------
    array
        What ``np.array(object, dtype)`` gives for the values; traced if an entry is.

    Raises
    ------
    ValueError
        If the shapes of the entries differ.

    Examples
    --------
    >>> import autodiff
    >>> rotate = lambda a: array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    >>> autodiff.jacfwd(rotate)(0.0)
    array([[-0., -1.],
           [ 1., -0.]])
    """
    return _build(object, dtype) if _is_traced(object) else np.array(object, dtype)


def asarray(a: ArrayLike | Any, dtype: DTypeLike | None = None) -> Any:
    """Return `a` itself where it is an array (traced or not) of the dtype wanted, else what `array` gives.

    Examples
    --------
    >>> asarray([1, 2.5])
    array([1. , 2.5])
    """
    return _build(a, dtype) if _is_traced(a) else np.asarray(a, dtype)


def _is_traced(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(map(_is_traced, x))
    return isinstance(x, Tracer)


def _build(x: Any, dtype: Any) -> Any:
    y = _stacked(x)
    return y if dtype is None or y.dtype == np.dtype(dtype) else y.astype(dtype)


def _stacked(x: Any) -> Any:
    if not _is_traced(x):
        return np.asarray(x)
    if isinstance(x, Tracer):
        return x
    parts = [_stacked(part) for part in x]
    if any(shape_of(part) != shape_of(parts[0]) for part in parts):
        raise ValueError(
            f"autodiff.numpy.array: a list holds {', '.join(dict.fromkeys(map(describe, parts)))}{user_line()}; the "
            "entries of one list must have one shape (np.concatenate joins parts of different lengths)."
        )
    return np.stack(parts)
