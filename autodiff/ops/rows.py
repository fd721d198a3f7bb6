"""Rows of an array on a GPU by their numbers, and sums of rows: a table of embeddings, and the adjoint of any index.

CuPy's own `x[index]` takes positions that are out of range modulo the size, and its `add.at` adds by atomics, in no
fixed order. The kernels raise for such positions, and two calls of theirs give the same bits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core.backend import made
from autodiff.ops.compiled import gpu, on_gpu

__all__ = ["added", "taken"]

_REAL = {"F": np.float32, "D": np.float64}


def _rows_of(index: Any) -> Any:
    """Return the array of row numbers on the GPU, if an index is one, perhaps with whole axes behind; else None."""
    first, *rest = index if type(index) is tuple and index else (index,)
    if not all(part is Ellipsis or (type(part) is slice and part == slice(None)) for part in rest):
        return None
    return first if on_gpu(first) and first.dtype.kind in "iu" and first.ndim else None


def taken(x: Any, index: Any) -> Any:
    """Return ``x[index]``: rows of a table on the GPU by the kernel, all else by the library of `x`."""
    if type(x) is np.ndarray or not on_gpu(x) or x.dtype.char not in "fd":
        return x[index]
    rows = _rows_of(index)
    return x[index] if rows is None else gpu().embedding_gather(x, rows)


def added(target: Any, index: Any, value: Any) -> bool:
    """Add a value to ``target[index]`` on the GPU, repeated positions too; return whether there is a kernel for it."""
    if not on_gpu(target) or target.dtype.char not in "efdFD":
        return False
    rows = _rows_of(index)
    count, width = target.size, 1
    if rows is None:
        rows = made(np.arange, target, count).reshape(target.shape)[index]
    else:
        count, width = target.shape[0], math.prod(target.shape[1:])
    value = made(np.ascontiguousarray, target, value, target.dtype)
    target += _sums(value.reshape(rows.size, width), rows.reshape(-1), count).reshape(target.shape)
    return True


def _sums(value: Any, rows: Any, count: int) -> Any:
    """Return `count` rows, to each of which its rows of `value` were added."""
    kind = value.dtype.char
    if kind == "e":  # added in float32, and rounded once
        return _sums(value.astype(np.float32), rows, count).astype(np.float16)
    if kind in _REAL:
        return _sums(value.view(_REAL[kind]), rows, count).view(value.dtype)
    return gpu().embedding_scatter_add(value, rows, count)
