"""NumPy's functions that change an array in place: ``put``, ``place``, ``copyto``, ``ufunc.at``, ``x.sort()`` ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Tracer, implements, install_method
from autodiff.core.assignment import Box, Step, Window, share
from autodiff.core.backend import refuse_mixture
from autodiff.core.batching import mapped
from autodiff.core.errors import TracedIndexError, describe, missing_rule, user_line, writing
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tables import UFUNC_METHODS
from autodiff.ops.assigning import setitem
from autodiff.ops.dtypes import imag, real
from autodiff.ops.gather import scatter, slotted
from autodiff.ops.indexing import getitem, normalised, scatter_add
from autodiff.ops.joining import as_array

__all__: list[str] = []


def _target(name: str, a: Any, *values: Any) -> None:
    """Refuse to write traced values into a plain array."""
    if not isinstance(a, Tracer):
        raise writing(name, next((v for v in values if isinstance(v, Tracer)), None), a)


def _known(name: str, what: str, x: Any) -> Any:
    """Positions or a mask as a plain array."""
    if isinstance(x, Tracer) and x.dtype.kind not in "iub":
        raise TracedIndexError(
            f"{name}: {what} is {describe(x)}, but positions are integers and masks booleans, without derivative"
            f"{user_line()}."
        )
    return normalised(x if isinstance(x, Tracer) else np.asarray(x))


def _cycled(values: Any, count: int, start: Any = None) -> Any:
    """Flat values, repeated from the start until there are `count` (or those for the positions `start`)."""
    flat = np.ravel(as_array(values))
    n = shape_of(flat)[0]
    if n == 1:
        return flat[0]
    return flat[(np.arange(count) if start is None else start) % n]


@implements(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """``a.flat[ind] = v``, with `v` repeated as needed."""
    _target("np.put", a, v)
    refuse_mixture("np.put", (a, v))
    ind = np.ravel(_known("np.put", "ind", ind))
    if not shape_of(ind)[0]:
        return
    size = a.size
    if mode == "wrap":
        ind = ind % size
    elif mode == "clip":
        ind = np.clip(ind, 0, size - 1)
    elif mode != "raise":
        raise ValueError(f"np.put: mode must be 'raise', 'wrap' or 'clip', not {mode!r}.")
    if not isinstance(ind, Tracer) and ((ind < -size) | (ind >= size)).any():
        raise IndexError(f"np.put: an index is out of bounds for {describe(a)} with {size} elements{user_line()}.")
    ind = np.where(ind < 0, ind + size, ind)
    setitem(_flat(a), ind, _cycled(v, shape_of(ind)[0]))


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """``arr[mask] = vals``, with `vals` used one after the other and repeated as needed."""
    _target("np.place", arr, vals)
    if mapped(mask):  # how many come before is different in each example
        mask = _flat_mask("np.place", mask, arr)
        _choose_into(arr, mask, _cycled(vals, arr.size, np.cumsum(mask) - 1))
        return
    at = np.flatnonzero(_known("np.place", "mask", np.asarray(mask) if type(mask) is list else mask))
    if not at.size:
        return
    if not np.size(vals):
        raise ValueError("np.place: cannot insert from an empty array.")
    setitem(_flat(arr), at, _cycled(vals, at.size))


@implements(np.putmask)
def putmask(a: Any, /, mask: Any, values: Any) -> None:
    """``a.flat[n] = values[n]`` where ``mask.flat[n]``, with `values` repeated as needed."""
    _target("np.putmask", a, values)
    if mapped(mask):
        mask = _flat_mask("np.putmask", mask, a)
        _choose_into(a, mask, _cycled(values, a.size))
        return
    mask = _known("np.putmask", "mask", mask)
    if shape_of(mask) != shape_of(a):
        raise ValueError(f"np.putmask: the mask has the shape {shape_of(mask)}, the array {shape_of(a)}.")
    at = np.flatnonzero(mask)
    if at.size and np.size(values):
        setitem(_flat(a), at, _cycled(values, at.size, at))


def _flat_mask(name: str, mask: Any, a: Any) -> Any:
    """A mask that differs between the examples of a map, flat."""
    if shape_of(mask) != shape_of(a):
        raise ValueError(f"{name}: the mask has the shape {shape_of(mask)}, the array {shape_of(a)}.")
    return np.ravel(np.not_equal(mask, 0))


def _choose_into(a: Any, mask: Any, values: Any) -> None:
    """Put those of the flat values into the array that a flat mask chooses."""
    setitem(a, ..., np.reshape(np.where(mask, values, np.ravel(a)), shape_of(a)))


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """``dst[where] = src``, with broadcasting."""
    _target("np.copyto", dst, src, where)
    src = as_array(src)
    weak = not isinstance(src, Tracer) and np.ndim(src) == 0  # a Python number fits any dtype of its kind
    if not weak and not np.can_cast(dtype_of(src), dtype_of(dst), casting):
        raise TypeError(f"np.copyto: cannot cast {describe(src)} to {dtype_of(dst)} by the rule casting={casting!r}.")
    if where is not True:
        src = np.where(where, src, dst)
    setitem(dst, ..., src)


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    """Put values at positions along an axis, the counterpart of ``np.take_along_axis``."""
    _target("np.put_along_axis", arr, values)
    indices = _known("np.put_along_axis", "indices", indices)
    if axis is None:
        setitem(_flat(arr), indices, values)
        return
    ndim = len(shape_of(arr))
    axis = np.lib.array_utils.normalize_axis_index(axis, ndim)
    if len(shape_of(indices)) != ndim:
        raise ValueError("np.put_along_axis: `indices` and `arr` must have the same number of dimensions.")
    grid = [np.arange(n).reshape((-1,) + (1,) * (ndim - i - 1)) for i, n in enumerate(shape_of(arr))]
    setitem(arr, tuple([indices if i == axis else g for i, g in enumerate(grid)]), values)


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Fill the main diagonal; `val` is repeated as needed."""
    _target("np.fill_diagonal", a, val)
    shape = shape_of(a)
    if len(shape) < 2:
        raise ValueError("np.fill_diagonal: the array must be at least 2-d.")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise ValueError("np.fill_diagonal: all axes of the array must be of equal length.")
    step = shape[1] + 1 if len(shape) == 2 else 1 + sum(int(np.prod(shape[1 : i + 1])) for i in range(1, len(shape)))
    if len(shape) > 2:
        step = 1 + int(np.cumprod(shape[:-1]).sum())
    end = None if wrap or len(shape) > 2 else shape[1] * shape[1]
    at = np.arange(int(np.prod(shape)))[:end:step]
    setitem(_flat(a), at, _cycled(val, at.size))


# -- ufunc.at ------------------------------------------------------------------------------------------------


def _at(ufunc: np.ufunc, a: Any, indices: Any, *values: Any) -> None:
    """``ufunc.at``: unlike ``a[indices] += v`` it counts an entry as often as the index names it."""
    name = f"np.{ufunc.__name__}.at"
    _target(name, a, *values)
    if ufunc.nout != 1 or len(values) != ufunc.nin - 1:
        raise missing_rule(name, f" with {len(values)} value(s)", ufunc=True)
    index = normalised(indices)
    if any(isinstance(i, Tracer) for i in (index if type(index) is tuple else (index,))):
        _at_traced(ufunc, name, a, index, values)
        return
    numbers = np.arange(a.size).reshape(shape_of(a))[index]
    values = tuple([np.broadcast_to(as_array(v), numbers.shape) for v in values])
    flat = _flat(a)
    numbers, values = np.ravel(numbers), tuple([np.ravel(v) for v in values])
    turns = _turns(numbers)
    if turns is None:
        setitem(flat, numbers, ufunc(getitem(flat, numbers), *values))
    elif ufunc in {np.add, np.subtract}:
        total = scatter_add(values[0], index=numbers, shape=(a.size,))
        setitem(flat, ..., ufunc(flat, total))
    else:
        for turn in turns:
            now = numbers[turn]
            setitem(flat, now, ufunc(getitem(flat, now), *[v[turn] for v in values]))


def _at_traced(ufunc: np.ufunc, name: str, a: Any, index: Any, values: tuple[Any, ...]) -> None:
    """``ufunc.at`` where the positions themselves are traced, as those that differ between the examples of a map."""
    if ufunc not in {np.add, np.subtract}:
        raise missing_rule(name, " with positions that are not known", ufunc=True)
    pattern, arrays = slotted(index)
    value = np.broadcast_to(as_array(values[0]), shape_of(getitem(a, index)))
    total = scatter(value, *arrays, pattern=pattern, shape=shape_of(a))
    setitem(a, ..., ufunc(a, total))


def _turns(numbers: Any) -> Any:
    """Places of the first occurrence of each number, of the second, ...; None if no number occurs twice."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    starts = np.r_[True, ordered[1:] != ordered[:-1]] if ordered.size else np.zeros(0, bool)
    if starts.all():
        return None
    first = np.maximum.accumulate(np.where(starts, np.arange(ordered.size), 0))
    rank = np.empty(ordered.size, np.intp)
    rank[order] = np.arange(ordered.size) - first
    return [np.flatnonzero(rank == k) for k in range(rank.max() + 1)]


# -- methods -------------------------------------------------------------------------------------------------


def _flat(a: Any) -> Any:
    """A window on all entries in C order, whatever their layout in memory."""
    level = share(a)
    return Box(Window(level, Step("flat", (a.size,)), (a.size,), dtype_of(a)))


def _assign_flat(a: Any, values: Any) -> None:
    size = a.size
    if size:
        setitem(_flat(a), ..., _cycled(values, size))


def _assign_real(a: Any, values: Any) -> None:
    setitem(real(a), ..., values)


def _assign_imag(a: Any, values: Any) -> None:
    if dtype_of(a).kind != "c":
        raise TypeError(f"x.imag = ...: {describe(a)} is real and has no imaginary part to assign to.")
    setitem(imag(a), ..., values)


def _view(a: Any, dtype: Any = None, type: Any = None) -> Any:  # noqa: A002 - NumPy's name
    if type is not None or (dtype is not None and np.dtype(dtype) != dtype_of(a)):
        raise missing_rule("x.view", " as another dtype or class, which would read its memory")
    return a[...]


def _sort(a: Any, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
    setitem(a, ..., np.sort(a, axis, kind, order, stable=stable))


def _partition(a: Any, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None) -> None:
    setitem(a, ..., np.partition(a, kth, axis, kind, order))  # type: ignore[call-overload]


def _fill(a: Any, value: Any) -> None:
    if np.size(value) != 1:
        raise ValueError("x.fill(): the value must be one number.")
    setitem(a, ..., np.reshape(value, ()))


UFUNC_METHODS["at"] = _at
install_method("flat", property(_flat, _assign_flat))  # type: ignore[arg-type]
install_method("real", property(real, _assign_real))  # type: ignore[arg-type]
install_method("imag", property(imag, _assign_imag))  # type: ignore[arg-type]
install_method("view", _view)
install_method("fill", _fill)
install_method("put", put)
install_method("sort", _sort)
install_method("partition", _partition)
