"""Functions that repeat, drop or pick entries: gathers by integer positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Tracer, implements, install_method
from autodiff.core.abstract import constant_like
from autodiff.core.errors import missing_rule
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.axes import ravel
from autodiff.ops.gather import gathered, position
from autodiff.ops.joining import concatenate, stack
from autodiff.ops.shape import broadcast_to, reshape

__all__ = ["delete", "insert", "pad", "repeat", "take", "take_along_axis", "tile"]

_axis_index = np.lib.array_utils.normalize_axis_index


def _array(a: Any) -> Any:
    return stack(a) if isinstance(a, (list, tuple)) else a


def _along(axis: int, index: Any) -> tuple[Any, ...]:
    """Index of `index` on one axis."""
    return (*(slice(None),) * axis, index)


def _flat(a: Any, axis: Any) -> tuple[Any, int]:
    """Return the array and the axis, flattened for None."""
    a = _array(a)
    return (ravel(a), 0) if axis is None else (a, _axis_index(axis, len(shape_of(a))))


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:  # noqa: N803 - NumPy's name
    """Repeat a whole array along each axis."""
    a = _array(A)
    counts = (int(reps),) if isinstance(reps, (int, np.integer)) else tuple([int(r) for r in reps])
    n = max(len(counts), len(shape_of(a)))
    counts = (1,) * (n - len(counts)) + counts
    shape = (1,) * (n - len(shape_of(a))) + shape_of(a)
    apart = reshape(a, tuple([m for k in shape for m in (1, k)]))
    spread = broadcast_to(apart, tuple([m for r, k in zip(counts, shape, strict=True) for m in (r, k)]))
    return reshape(spread, tuple([r * k for r, k in zip(counts, shape, strict=True)]))


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """Repeat each entry along an axis."""
    a, axis = _flat(a, axis)
    repeats = np.asarray(repeats)
    n = shape_of(a)[axis]
    if repeats.ndim and repeats.size != 1:
        return a[_along(axis, np.repeat(np.arange(n), repeats))]
    k = int(repeats.reshape(-1)[0])
    shape = shape_of(a)
    spread = broadcast_to(
        reshape(a, (*shape[: axis + 1], 1, *shape[axis + 1 :])), (*shape[: axis + 1], k, *shape[axis + 1 :])
    )
    return reshape(spread, (*shape[:axis], n * k, *shape[axis + 1 :]))


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    """Pick entries along an axis; the positions may be traced integers."""
    a, axis = _flat(a, axis)
    index = position(indices) if isinstance(indices, Tracer) else np.asarray(indices)
    n = shape_of(a)[axis]
    if mode == "wrap":
        index = np.remainder(index, n)
    elif mode == "clip":
        index = np.clip(index, 0, n - 1)
    elif mode != "raise":
        raise ValueError(f"np.take: mode must be 'raise', 'wrap' or 'clip', not {mode!r}.")
    at = _along(axis, index)
    return gathered(a, at) if isinstance(index, Tracer) else a[at]


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """Pick one entry of each line along an axis."""
    a, axis = _flat(arr, axis)
    index = position(indices) if isinstance(indices, Tracer) else np.asarray(indices)
    ndim = len(shape_of(a))
    if len(shape_of(index)) != ndim:
        raise ValueError(f"np.take_along_axis: indices {shape_of(index)} and the array {shape_of(a)} differ in rank.")
    others = [np.arange(n).reshape((-1,) + (1,) * (ndim - i - 1)) for i, n in enumerate(shape_of(a))]
    at = tuple([index if i == axis else grid for i, grid in enumerate(others)])
    return gathered(a, at) if isinstance(index, Tracer) else a[at]


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    """Pick the entries for which the condition is true."""
    a, axis = _flat(a, axis)
    return a[
        _along(axis, np.flatnonzero(np.asarray(position(condition) if isinstance(condition, Tracer) else condition)))
    ]


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """Pick the entries of a flattened array for which the condition is true."""
    return compress(
        np.ravel(position(condition) if isinstance(condition, Tracer) else condition), ravel(_array(arr)), 0
    )


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """Drop entries along an axis."""
    a, axis = _flat(arr, axis)
    kept = np.delete(np.arange(shape_of(a)[axis]), obj)
    return a[_along(axis, kept)]


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """Insert entries before positions along an axis."""
    a, axis = _flat(arr, axis)
    n = shape_of(a)[axis]
    # NumPy's own insert, run on positions: entry k of the result is old entry order[k], or new one -1 - order[k].
    count = np.insert(np.zeros(n, np.intp), obj, 0).size - n
    scalar = isinstance(obj, (int, np.integer))
    rest = (*shape_of(a)[:axis], *shape_of(a)[axis + 1 :])
    new = _array(values) if isinstance(_array(values), Tracer) else np.asarray(values)
    if scalar:
        new = np.moveaxis(np.atleast_1d(new), 0, axis) if len(shape_of(new)) == len(rest) + 1 else np.expand_dims(
            broadcast_to(new, rest) if isinstance(new, Tracer) else np.broadcast_to(new, rest), axis
        )  # fmt: skip
        count = shape_of(new)[axis]
        order = np.insert(np.arange(n), [obj] * count, -1 - np.arange(count))
    else:
        full = (*shape_of(a)[:axis], count, *shape_of(a)[axis + 1 :])
        new = np.broadcast_to(new, full)
        order = np.insert(np.arange(n), obj, -1 - np.arange(count))
    joined = concatenate([a, new.astype(dtype_of(a)) if dtype_of(new) != dtype_of(a) else new], axis=axis)
    return joined[_along(axis, np.where(order < 0, n - 1 - order, order))]


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """Return an array of a new shape, filled with repeated copies."""
    a = ravel(_array(a))
    shape = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    return reshape(a[np.resize(np.arange(shape_of(a)[0]), shape).reshape(-1)], shape)


_GATHERED = {"edge", "reflect", "symmetric", "wrap", "empty"}


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """Pad with constants (which may be traced) or with the array's own entries."""
    a = _array(array)
    ndim = len(shape_of(a))
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(i, pad_width.get(i - ndim, (0, 0))) for i in range(ndim)]
    widths = [tuple(int(n) for n in w) for w in np.broadcast_to(np.asarray(pad_width), (ndim, 2))]
    if mode == "constant":
        return _pad_constant(a, widths, kwargs.pop("constant_values", 0), kwargs)
    if mode not in _GATHERED or kwargs.get("reflect_type", "even") != "even":
        raise missing_rule("np.pad", f" with mode={mode!r} and {kwargs}")
    for axis, width in enumerate(widths):
        if any(width):
            index = np.pad(np.arange(shape_of(a)[axis]), width, "edge" if mode == "empty" else mode)
            a = a[_along(axis, index)]
    return a


def _pad_constant(a: Any, widths: list[Any], values: Any, unknown: dict[str, Any]) -> Any:
    if unknown:
        raise TypeError(f"np.pad: unsupported keyword arguments for mode 'constant': {sorted(unknown)}")
    ndim = len(widths)
    pairs = _pairs(values, ndim)
    for axis, (width, pair) in enumerate(zip(widths, pairs, strict=True)):
        shape = shape_of(a)
        ends = []
        for n, value in zip(width, pair, strict=True):
            block = (*shape[:axis], n, *shape[axis + 1 :])
            if isinstance(value, Tracer):
                ends.append(broadcast_to(value, block))
            elif value == 0:
                ends.append(constant_like(a, block, dtype_of(a), 0))
            else:
                ends.append(np.full(block, value, dtype_of(a)))
        if any(width):
            a = concatenate([ends[0], a, ends[1]], axis=axis)
    return a


def _pairs(values: Any, ndim: int) -> list[Any]:
    """Return (before, after) for each axis from a scalar, a pair, or a sequence of pairs."""
    if not isinstance(values, (list, tuple, np.ndarray)):
        return [(values, values)] * ndim
    if len(shape_of(values[0]) if hasattr(values[0], "shape") else np.shape(values[0])) == 0:
        values = [values]
    rows = [tuple(v) * 2 if len(v) == 1 else tuple(v) for v in values]
    return rows * ndim if len(rows) == 1 else rows


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
    shape = shape_of(a) if shape is None else ((shape,) if isinstance(shape, (int, np.integer)) else tuple(shape))
    dtype = np.dtype(dtype) if dtype is not None else dtype_of(a)
    if isinstance(fill_value, Tracer):
        return broadcast_to(fill_value.astype(dtype), shape)
    return np.full(shape, fill_value, dtype)


@implements(np.empty_like)
def empty_like(
    prototype: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Return an array without defined values: a constant."""
    shape = shape_of(prototype) if shape is None else shape
    return constant_like(prototype, shape, dtype or dtype_of(prototype), 0)


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """Return the array itself: traced arrays never change."""
    return _array(a)


install_method("repeat", repeat)
install_method("take", take)
install_method("compress", lambda self, condition, axis=None, out=None: compress(condition, self, axis, out))
install_method("copy", lambda self, order="C": self)
