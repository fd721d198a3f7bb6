"""Indexing, and its transpose: scatter-add."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer, install_method, linear
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.gather import gathered, position

__all__ = ["getitem", "scatter_add"]


_BASIC = frozenset({int, slice, type(None), type(Ellipsis)})


def is_basic(index: Any) -> bool:
    """Whether an index has no arrays, so that it selects each entry at most once."""
    if type(index) is tuple:
        return all([type(i) in _BASIC or isinstance(i, np.integer) for i in index])
    return type(index) in _BASIC or isinstance(index, np.integer)


def _add_at(target: Any, ct: Any, index: Any) -> None:
    """``target[index] += ct``, with every repetition of an entry counted."""
    if type(index) in _BASIC or is_basic(index) or _is_mask(index):
        target[index] += ct
    else:
        np.add.at(target, index, ct)


def _is_mask(index: Any) -> bool:
    """Whether an index is one boolean mask: it repeats no entry."""
    return isinstance(index, np.ndarray) and index.dtype.kind == "b"


def _scatter_add(ct: Any, index: Any, shape: Any) -> Any:
    target = np.zeros(shape, dtype_of(ct))
    _add_at(target, ct, index)
    return target


def _scatter_into(target: Any, unchosen: Any, ct: Any, index: Any) -> None:
    _add_at(target, ct, index)
    if unchosen is not None:
        unchosen[index] = False


def _indexed_shape(x: Any, index: Any) -> Spec:
    return Spec(np.broadcast_to(np.zeros((), bool), x.shape)[index].shape, x.dtype)


_INDICES: tuple[Any, ...] = (
    1,
    slice(None, None, -2),
    (slice(1, None), 2),
    np.array([0, 2, 0]),
    (np.array([[0], [2]]), np.array([1, 1, 3])),
    (slice(None), np.array([0, -1, 0])),
    np.eye(3, 4, dtype=bool),
    (..., None),
    (slice(0, 0),),
)


def _samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=(3, 4)),), {"index": index}) for index in _INDICES]


_getitem = linear(
    lambda x, index: x[index],
    lambda ct, _y, _x, index: scatter_add(ct, index=index, shape=shape_of(_x)),
    name="getitem",
    structural=True,
    scatter=_scatter_into,
    samples=_samples,
    shape=_indexed_shape,
)
scatter_add: Operation = linear(
    _scatter_add,
    lambda ct, _y, _x, index, shape: ct[index],
    name="scatter_add",
    structural=True,
    samples=lambda rng: [
        Sample((rng.normal(size=(3,)),), {"index": np.array([0, 2, 0]), "shape": (3,)}),
        Sample((rng.normal(size=(2,)),), {"index": slice(1, None), "shape": (3,)}),
    ],
    shape=lambda x, index, shape: Spec(shape, x.dtype),
)


def _static(index: Any) -> Any:
    """Index without tracing: positions have no derivative."""
    if type(index) in _BASIC:
        return index
    if type(index) is tuple:
        return tuple([_static(i) for i in index])
    if isinstance(index, Tracer):
        return position(index)
    return np.asarray(index, dtype=None if index else np.intp) if type(index) is list else index


def getitem(x: Any, index: Any) -> Any:
    """``x[index]`` for any kind of NumPy index."""
    if type(index) in _BASIC:
        return _getitem(x, index=index)
    index = _static(index)
    if isinstance(index, Tracer) or (type(index) is tuple and any(isinstance(i, Tracer) for i in index)):
        return gathered(x, index)
    return _getitem(x, index=index)


install_method("__getitem__", getitem)
