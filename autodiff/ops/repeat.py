"""Functions that repeat, drop or pick entries: gathers by integer positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Tracer, implements, install_method
from autodiff.core.abstract import AbstractTracer, constant_like
from autodiff.core.assignment import copied, detached
from autodiff.core.backend import array_of, made
from autodiff.core.errors import ShapeOnlyError, describe, missing_rule, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.axes import ravel
from autodiff.ops.gather import position
from autodiff.ops.indexing import getitem
from autodiff.ops.joining import as_array, concatenate
from autodiff.ops.selection import _known
from autodiff.ops.shape import as_shape, assignable, broadcast_to, reshape

__all__ = ["delete", "insert", "repeat", "take", "take_along_axis", "tile"]

_axis_index = np.lib.array_utils.normalize_axis_index


def _along(axis: int, index: Any) -> tuple[Any, ...]:
    """Index of `index` on one axis."""
    return (*(slice(None),) * axis, index)


def _flat(a: Any, axis: Any) -> tuple[Any, int]:
    """Return the array and the axis, flattened for None."""
    return (ravel(a), 0) if axis is None else (a, _axis_index(axis, len(shape_of(a))))


def _line(a: Any, axis: Any) -> tuple[Any, int]:
    """The same, where a scalar counts as an array of one entry."""
    return _flat(a, axis if shape_of(a) or axis not in {0, -1} else None)


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:  # noqa: N803 - NumPy's name
    """Repeat a whole array along each axis."""
    a, counts = A, as_shape(reps)
    n = max(len(counts), len(shape_of(a)))
    counts = (1,) * (n - len(counts)) + counts
    shape = (1,) * (n - len(shape_of(a))) + shape_of(a)
    apart = reshape(a, tuple([m for k in shape for m in (1, k)]))
    spread = broadcast_to(apart, tuple([m for r, k in zip(counts, shape, strict=True) for m in (r, k)]))
    return detached(reshape(spread, tuple([r * k for r, k in zip(counts, shape, strict=True)])))


def _counts(repeats: Any) -> Any:
    if not isinstance(repeats, AbstractTracer):
        return np.asarray(repeats)
    raise ShapeOnlyError(
        f"np.repeat: the repeats {describe(repeats)} decide the shape of the result, and eval_shape knows no values"
        f"{user_line()}. Close over them, or pass them as arrays that are not traced."
    )


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """Repeat each entry along an axis."""
    a, axis = _line(a, axis)
    repeats = _counts(repeats)
    n = shape_of(a)[axis]
    if repeats.ndim and repeats.size != 1:
        return a[_along(axis, np.repeat(np.arange(n), repeats))]
    k = int(repeats.reshape(-1)[0])
    shape = shape_of(a)
    spread = broadcast_to(
        reshape(a, (*shape[: axis + 1], 1, *shape[axis + 1 :])), (*shape[: axis + 1], k, *shape[axis + 1 :])
    )
    return detached(reshape(spread, (*shape[:axis], n * k, *shape[axis + 1 :])))


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise") -> Any:
    """Pick entries along an axis; the positions may be traced integers."""
    if out is not None:  # of the method: the function comes back without it
        return np.take(a, indices, axis, out, mode)
    a, axis = _line(a, axis)
    index = _positions(indices)
    n = shape_of(a)[axis]
    if not n and np.size(index):
        raise IndexError("np.take: no entry can be taken from an empty axis.")
    if mode == "wrap":
        index = np.remainder(index, n)
    elif mode == "clip":
        index = np.clip(index, 0, n - 1)
    elif mode != "raise":
        raise ValueError(f"np.take: mode must be 'raise', 'wrap' or 'clip', not {mode!r}.")
    return detached(getitem(a, _along(axis, index)))


def _positions(indices: Any) -> Any:
    """Return positions as an integer, an array or a traced value without derivative."""
    if isinstance(indices, Tracer):
        return position(indices)
    found = array_of(indices)
    if not found.size or found.dtype.kind == "b":
        return found.astype(np.intp)
    if found.dtype.kind not in "iu":
        raise TypeError(f"np.take: positions must be integers, not {found.dtype}.")
    return found if found.ndim else found[()]


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """Pick one entry of each line along an axis."""
    a, axis = _flat(arr, axis)
    index = _positions(indices)
    ndim = len(shape_of(a))
    if len(shape_of(index)) != ndim:
        raise ValueError(f"np.take_along_axis: indices {shape_of(index)} and the array {shape_of(a)} differ in rank.")
    others = [np.arange(n).reshape((-1,) + (1,) * (ndim - i - 1)) for i, n in enumerate(shape_of(a))]
    return getitem(a, tuple([index if i == axis else grid for i, grid in enumerate(others)]))


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    """Pick the entries for which the condition is true."""
    if out is not None:
        return np.compress(condition, a, axis, out)
    a, axis = _line(a, axis)
    chosen = np.asarray(position(condition) if isinstance(condition, Tracer) else condition)
    if chosen.ndim != 1:
        raise ValueError(f"np.compress: the condition must have one axis, not the shape {chosen.shape}.")
    return a[_along(axis, np.flatnonzero(chosen))]


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """Pick the entries of a flattened array for which the condition is true."""
    return compress(np.ravel(position(condition) if isinstance(condition, Tracer) else condition), ravel(arr), 0)


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Drop the zeros in front of the first and behind the last entry that is not zero."""
    shape = shape_of(filt)
    if not shape:
        return filt
    nonzero = np.nonzero(np.not_equal(filt, 0))
    axes = range(len(shape)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, len(shape))
    kept = [slice(None)] * len(shape)
    for i in axes:
        at = nonzero[i]
        first, last = (int(at.min()), int(at.max()) + 1) if at.size else (shape[i], shape[i])
        kept[i] = slice(first if "f" in trim.lower() else 0, last if "b" in trim.lower() else shape[i])
    return filt[tuple(kept)]


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """Drop entries along an axis."""
    a, axis = _flat(arr, axis)
    obj = _known("np.delete", obj) if isinstance(obj, Tracer) else obj
    kept = np.delete(np.arange(shape_of(a)[axis]), obj)
    return a[_along(axis, kept)]


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """Insert entries before positions along an axis."""
    a, axis = _flat(arr, axis)
    shape = shape_of(a)
    n = shape[axis]
    at = _insertion_points(obj, n)
    new = as_array(values)
    new = new.astype(dtype_of(a)) if isinstance(new, Tracer) else np.asarray(new, dtype_of(a))
    if at.size == 1:  # one place, any number of entries
        new = np.reshape(new, (1,) * (len(shape) - len(shape_of(new))) + shape_of(new))
        new = np.moveaxis(new, 0, axis) if at.ndim == 0 else new
        count = shape_of(new)[axis]
    else:
        count = at.size
    new = np.broadcast_to(new, (*shape[:axis], count, *shape[axis + 1 :]))
    # NumPy's own insert, on positions: where each entry of the result is found in the old ones followed by the new.
    order = np.insert(np.arange(n), at.item() if at.size == 1 else at, n + np.arange(count))
    return concatenate([a, new], axis=axis)[_along(axis, order)]


def _insertion_points(obj: Any, n: int) -> Any:
    if isinstance(obj, slice):
        return np.arange(*obj.indices(n))
    at = np.asarray(obj)
    if at.ndim > 1:
        raise ValueError(f"np.insert: positions must have one axis or none, not the shape {at.shape}.")
    if at.dtype.kind == "b":
        return np.flatnonzero(at)
    return at if at.size else at.astype(np.intp)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """All windows of an array, along new axes at the end; a copy, unlike NumPy's read-only view."""
    if writeable:
        raise missing_rule("np.lib.stride_tricks.sliding_window_view", " with writeable=True")
    window = as_shape(window_shape)
    ndim = len(shape_of(x))
    axes = range(ndim) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, ndim, allow_duplicate=True)
    if len(axes) != len(window):
        raise ValueError(f"sliding_window_view: {len(window)} window lengths for {len(axes)} axes of {describe(x)}.")
    for i, n in zip(axes, window, strict=True):
        count = shape_of(x)[i] - n + 1
        if n < 0 or count < 1:
            raise ValueError(f"sliding_window_view: a window of {n} does not fit along axis {i} of {describe(x)}.")
        x = np.moveaxis(take(x, np.arange(count)[:, None] + np.arange(n), axis=i), i + 1, -1)
    return x


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """Return an array of a new shape, filled with repeated copies."""
    a, shape = ravel(a), as_shape(new_shape)
    if not shape_of(a)[0]:
        return constant_like(a, shape, dtype_of(a), 0)
    return a[np.resize(np.arange(shape_of(a)[0]), shape)]


@implements(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """Return an array of one value, which may be traced."""
    shape = shape_of(a) if shape is None else as_shape(shape)
    dtype = np.dtype(dtype) if dtype is not None else dtype_of(a)
    value = as_array(fill_value)
    if isinstance(value, Tracer):
        y = np.zeros_like(a, dtype, shape=shape)
        y[...] = value
        return y
    empty = constant_like(a, (), dtype, 0)  # traced, if only shapes are known
    return assignable(
        broadcast_to(empty, shape) if isinstance(empty, Tracer) else made(np.full, a, shape, fill_value, dtype), a
    )


@implements(np.empty_like)
def empty_like(
    prototype: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Return an array without defined values (zeros), to which traced values can be assigned."""
    shape = shape_of(prototype) if shape is None else as_shape(shape)
    return assignable(constant_like(prototype, shape, dtype or dtype_of(prototype), 0), prototype)


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """Return an array of the same values that changes by itself."""
    return copied(a, order)


install_method("repeat", repeat)
install_method("take", take)
install_method("compress", lambda self, condition, axis=None, out=None: compress(condition, self, axis, out))
