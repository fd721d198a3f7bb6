"""Indexing, and its transpose: scatter-add."""

from __future__ import annotations

import operator
from types import EllipsisType, NoneType
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer, install_method, linear
from autodiff.core.assignment import READ, Step, Stored, Window, stored, viewed, window
from autodiff.core.backend import array_of, foreign, made
from autodiff.core.errors import TracedIndexError, describe, user_line
from autodiff.core.forward import Dual
from autodiff.core.scaled import Scaled, add_into, plain
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.variable import Node, Variable
from autodiff.ops.accumulate import add_at, selects_once
from autodiff.ops.gather import before_last_axis, gathered, mask_of, position
from autodiff.ops.rows import taken

__all__ = ["getitem", "scatter_add"]

#: Parts of an index that selects by positions in a grid: the result is a view.
_BASIC = frozenset({int, slice, NoneType, EllipsisType, np.int64})
#: Parts of an index that are used as they are.
_PLAIN = frozenset({int, slice, NoneType, EllipsisType, bool, np.int64, np.ndarray})


def _scatter_add(ct: Any, index: Any, shape: tuple[int, ...]) -> Any:
    target = made(np.zeros, ct, shape, dtype_of(ct))
    if selects_once(index):
        target[index] = ct
    else:
        add_at(target, index, ct)
    return target


def _scatter_into(target: Any, unchosen: Any, ct: Any, empty: bool, index: Any) -> None:
    if type(ct) is Scaled and ct.ndim and is_basic(index):
        add_into(target[index], ct, empty)
    elif empty and selects_once(index):
        target[index] = plain(ct)
    else:
        add_at(target, index, plain(ct))
    if unchosen is not None:
        unchosen[index] = False


def _indexed_shape(x: Any, index: Any) -> Spec:
    dummy = made(np.zeros, next((i for i in _parts(index) if foreign(i)), None), (), bool)
    return Spec(np.broadcast_to(dummy, x.shape)[index].shape, x.dtype)


def _parts(index: Any) -> tuple[Any, ...]:
    return index if type(index) is tuple else (index,)


def _samples(rng: np.random.Generator) -> list[Sample]:
    cube = [
        (1, slice(None), -1),
        (slice(None, None, -2), None, ...),
        (np.array([0, -1, 0]), slice(1, None)),
        (np.array([[0], [1]]), slice(None), np.array([0, 2])),
        (1, np.array([True, False, True])),
        (),
    ]
    matrix = [1, slice(None, None, -2), np.array([0, 2, 0]), np.array([], np.intp), np.eye(3, 4, dtype=bool)]
    return [
        *[Sample((rng.normal(size=(2, 3, 4)),), {"index": index}) for index in cube],
        *[Sample((rng.normal(size=(3, 4)),), {"index": index}) for index in matrix],
        Sample((rng.normal(size=()),), {"index": (None, ...)}),
        Sample((rng.normal(size=(0, 2)),), {"index": (slice(None), 1)}),
    ]


def _batch_getitem(call: Any, _batched: Any, x: Any, index: Any) -> Any:
    """The same entries of each example; NumPy puts the axes of scattered index arrays first, before the batch axis."""
    parts = _parts(index)
    y = call(x, index=(slice(None), *parts))
    block = _leading_block(parts)
    return np.moveaxis(y, block, 0) if block else y


def _leading_block(parts: tuple[Any, ...]) -> int:
    """Number of axes that index arrays have together, if they are not next to each other (and so come first); or 0."""
    arrays = [isinstance(p, (np.ndarray, bool, np.bool_)) or foreign(p) for p in parts]
    places = [k for k, (p, a) in enumerate(zip(parts, arrays, strict=True)) if a or isinstance(p, (int, np.integer))]
    if not any(arrays) or places[-1] - places[0] < len(places):
        return 0
    found = [array_of(p) for p in parts if not isinstance(p, slice) and p is not None and p is not Ellipsis]
    return max(1 if p.dtype.kind == "b" else p.ndim for p in found)


def _batch_scatter_add(call: Any, _batched: Any, ct: Any, index: Any, shape: Any) -> Any:
    """Slices as they are; for index arrays, entries of all examples side by side: what is added goes in whole rows."""
    n = shape_of(ct)[0]
    parts = _parts(index)
    if not any(isinstance(p, (np.ndarray, bool, np.bool_)) or foreign(p) for p in parts):
        return call(ct, index=(slice(None), *parts), shape=(n, *shape))
    y = call(np.moveaxis(ct, 0, -1), index=before_last_axis(parts), shape=(*shape, n))
    return np.moveaxis(y, -1, 0)


_getitem: Operation = linear(
    taken,
    lambda ct, _y, _x, index: scatter_add(ct, index=index, shape=shape_of(_x)),
    name="getitem",
    structural=True,
    scatter=_scatter_into,
    samples=_samples,
    shape=_indexed_shape,
    batch=_batch_getitem,
)
scatter_add: Operation = linear(
    _scatter_add,
    lambda ct, _y, _x, index, shape: ct[index],
    name="scatter_add",
    structural=True,
    samples=lambda rng: [
        Sample((rng.normal(size=(3,)),), {"index": np.array([0, 2, 0]), "shape": (3,)}),
        Sample((rng.normal(size=(2,)),), {"index": slice(1, None), "shape": (3,)}),
        Sample((rng.normal(size=(2, 2, 16)),), {"index": (np.array([[0, 2], [2, 0]]), 1), "shape": (3, 2, 16)}),
        Sample((rng.normal(size=()),), {"index": (1, -1), "shape": (2, 3)}),
        Sample((rng.normal(size=(0,)),), {"index": np.array([False, False]), "shape": (2,)}),
    ],
    shape=lambda x, index, shape: Spec(shape, x.dtype),
    batch=_batch_scatter_add,
)


def getitem(x: Any, index: Any) -> Any:
    """``x[index]`` for any kind of NumPy index."""
    kind = type(index)
    if kind not in _PLAIN:
        index = normalised(index)
        if isinstance(index, Tracer) or (kind is tuple and any(isinstance(i, Tracer) for i in index)):
            return gathered(x, index)
    if type(x) is Variable and type(x.primal) is np.ndarray and not x.level.closed:
        # What `_getitem` does, at half its price: elements are read one by one in loops.
        y = x.primal[index]
        v = Variable(x.level, y, Node(_getitem, (x.node,), (None,), None, y.shape, x.node.dtype, {"index": index}))
        return viewed(v, x, Step("get", index)) if type(y) is np.ndarray and is_basic(index) else v
    if type(x) is Dual and type(x.primal) is type(x.carried) is np.ndarray and x.mask is None and not x.level.closed:
        y = x.primal[index]
        d = Dual(x.level, y, x.carried[index])
        return viewed(d, x, Step("get", index)) if type(y) is np.ndarray and is_basic(index) else d
    if not isinstance(x, Tracer) or not is_basic(index) or _is_element(x, index):
        return _getitem(x, index=index) if not isinstance(x, Stored) else _read(x, index)
    step = Step("get", index)
    if not isinstance(x, Stored):
        return viewed(_getitem(x, index=index), x, step)
    if type(x.level) is Window and x.level.step.kind == "flat":  # what NumPy reads of it is a copy
        return _read(x, index)
    return window(x, step)


def _read(x: Stored, index: Any) -> Any:
    """Entries that are no view of an array that was assigned to."""
    y = READ["get"](x.level.read(), index)
    return stored(y) if type(y) is np.ndarray and y.dtype.kind in "fc" else y


def is_basic(index: Any) -> bool:
    """Whether an index consists of integers, slices, None and an ellipsis, so that NumPy returns a view."""
    if type(index) is tuple:
        return _BASIC.issuperset(map(type, index)) or all(type(i) in _BASIC or isinstance(i, np.integer) for i in index)
    return type(index) in _BASIC or isinstance(index, np.integer)


def _is_element(x: Tracer, index: Any) -> bool:
    """Whether a basic index names one element, so that NumPy returns a number instead of a view."""
    parts = index if type(index) is tuple else (index,)
    return len(parts) == len(x.shape) and all(isinstance(i, (int, np.integer)) for i in parts)


def normalised(index: Any, masks: bool = False) -> Any:
    """Return an index of integers, arrays, slices, None and an ellipsis; traced `masks` stay traced if asked for."""
    if type(index) is tuple:
        return index if _PLAIN.issuperset(map(type, index)) else tuple([_normal(i, masks) for i in index])
    return _normal(index, masks)


def _normal(i: Any, masks: bool) -> Any:
    if type(i) in _PLAIN:
        return i
    if masks and isinstance(i, Tracer) and i.dtype.kind == "b":
        return mask_of(i)
    return _part(i)


def _part(i: Any) -> Any:
    """Part of an index as an integer or an array, without derivatives."""
    if isinstance(i, Stored):
        i = i.settled()
        return _normal(i, masks=False)
    if isinstance(i, Tracer):
        if i.dtype.kind not in "iub":
            raise TracedIndexError(
                f"x[i] with the traced index {describe(i)}: positions are integers, without derivative{user_line()}. "
                "For whole numbers use i.astype(int); between entries, np.interp(i, np.arange(len(x)), x) is "
                "differentiable in both."
            )
        return position(i)
    if isinstance(i, (np.generic, np.ndarray)) or foreign(i):
        return np.asarray(i) if isinstance(i, np.ndarray) else i
    if hasattr(i, "__index__"):
        return operator.index(i)
    i = array_of(i)
    return i if i.size else i.astype(np.intp)


install_method("__getitem__", getitem)
