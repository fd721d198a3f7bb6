"""Adding into chosen entries of an array: the arithmetic behind the adjoint of indexing, on plain arrays."""

from __future__ import annotations

import math
from types import EllipsisType, NoneType
from typing import Any

import numpy as np

from autodiff.core.backend import foreign, is_array, made
from autodiff.ops.rows import added

__all__ = ["add_at", "selects_once"]


#: Parts of an index that select no entry twice, whatever their value is.
_ONE = frozenset({int, slice, NoneType, EllipsisType, bool, np.int64})


def selects_once(index: Any) -> bool:
    """Whether an index, by its kind alone, selects no entry twice: integers, slices and masks, no integer arrays."""
    parts = index if type(index) is tuple else (index,)
    return all(type(i) in _ONE or not is_array(i) or i.dtype.kind == "b" or i.size < 2 for i in parts)


def add_at(target: Any, index: Any, value: Any) -> None:
    """``target[index] += value``, where an entry that the index repeats receives every one of its values.

    Parameters
    ----------
    target : ndarray
        Changed in place.
    index : int, slice, ndarray, or a tuple of them
        Any index that NumPy allows; sequences come as arrays.
    value : ndarray
        Of the shape and dtype of ``target[index]``.
    """
    if selects_once(index):
        target[index] += value
        return
    if foreign(target):  # other libraries take one array of positions
        if added(target, index, value):
            return
        positions = made(np.arange, target, target.size).reshape(target.shape)[index]
        line = target if target.ndim == 1 else target.reshape(-1)
        np.add.at(line, positions.reshape(-1), value.reshape(-1))
        return
    shape = target.shape
    if len(shape) == 1 or value.size < 64 or not target.flags.c_contiguous:
        np.add.at(target, index, value)  # fast in one dimension
        return
    rows, count = _rows(index, shape)
    if rows is not None:
        _add_rows(target.reshape(-1, math.prod(shape[count:])), rows, value)
    elif value.size * 8 > target.size:
        positions = np.arange(target.size).reshape(shape)[index]
        np.add.at(target.reshape(-1), positions.reshape(-1), value.reshape(-1))
    else:
        np.add.at(target, index, value)


def _rows(index: Any, shape: tuple[int, ...]) -> tuple[Any, int]:
    """Positions in the array whose leading axes are merged, if the index is integers on leading axes alone."""
    parts = index if type(index) is tuple else (index,)
    if not all(isinstance(i, (np.ndarray, np.integer, int)) and np.asarray(i).dtype.kind != "b" for i in parts):
        return None, 0
    rows: Any = 0
    for i, n in zip(parts, shape, strict=False):
        i = np.asarray(i, np.intp)  # noqa: PLW2901 - as positions from the start
        rows = rows * n + np.where(i < 0, i + n, i)
    return rows.reshape(-1), len(parts)


def _add_rows(target: Any, rows: Any, value: Any) -> None:
    """``target[rows] += value``; several times faster than ``np.add.at``, which is slow on rows."""
    width = target.shape[1]
    value = value.reshape(-1, width)
    if width > 1:
        order = np.sort(rows)
        if not (order[1:] == order[:-1]).any():
            target[rows] += value
            return
        rows = (rows[:, None] * width + np.arange(width)).reshape(-1)
    np.add.at(target.reshape(-1), rows, value.reshape(-1))
