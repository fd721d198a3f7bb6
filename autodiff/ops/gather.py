"""Indexing by positions that are traced themselves.

Integers carry no derivative, so under `grad` and `jvp` an index is a plain array. Under a transform that needs the
program itself (`trace`, `eval_shape`) it is an argument of the operation like any other: ``table[tokens]``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer, concrete, linear
from autodiff.core.errors import ShapeOnlyError, describe, user_line
from autodiff.core.forward import Dual
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.variable import Variable
from autodiff.ops.accumulate import add_at

__all__ = ["gather", "gathered", "position", "scatter"]


class Slot:
    """Where an index array goes in a pattern."""

    def __repr__(self) -> str:
        return "·"


SLOT = Slot()


def _filled(pattern: Any, arrays: tuple[Any, ...]) -> Any:
    rest = iter(arrays)
    return tuple(next(rest) if part is SLOT else part for part in pattern)


def _scatter(ct: Any, *arrays: Any, pattern: Any, shape: Any) -> Any:
    target = np.zeros(shape, dtype_of(ct))
    add_at(target, _filled(pattern, arrays), ct)
    return target


def _shape(x: Any, *arrays: Any, pattern: Any) -> Spec:
    """Shape of the result, found on views and empty arrays alone."""
    block = np.broadcast_shapes(*(shape_of(i) for i in arrays))
    empty = np.zeros((0,) * len(block), np.intp)
    dummy = np.broadcast_to(np.zeros((), bool), x.shape)
    result = list(dummy[_filled(pattern, (empty,) * len(arrays))].shape)
    at = _block_start(pattern, len(x.shape))
    result[at : at + len(block)] = block
    return Spec(tuple(result), x.dtype)


def _block_start(pattern: Any, ndim: int) -> int:
    """Where NumPy puts the axes of the index arrays: in their place if they are adjacent, else first."""
    advanced = [k for k, part in enumerate(pattern) if part is SLOT or isinstance(part, (int, np.integer))]
    first, last = advanced[0], advanced[-1]
    if last - first >= len(advanced):
        return 0
    used = sum(part is not None and part is not Ellipsis for part in pattern)
    return sum(ndim - used if part is Ellipsis else 1 for part in pattern[:first])


gather: Operation = linear(
    lambda x, *arrays, pattern: x[_filled(pattern, arrays)],
    lambda ct, _y, _x, *arrays, pattern: scatter(ct, *arrays, pattern=pattern, shape=shape_of(_x)),
    name="gather",
    nargs=2,
    structural=True,
    samples=lambda rng: [
        Sample((rng.normal(size=(3, 4)), np.array([[0, 2], [2, 1]])), {"pattern": (SLOT,)}),
        Sample((rng.normal(size=(3, 4)), np.array(1)), {"pattern": (slice(None), SLOT)}),
        Sample((rng.normal(size=(3, 4)), np.array([0, 2, 2])), {"pattern": (SLOT, slice(1, None, 2))}),
    ],
    shape=_shape,
)
scatter: Operation = linear(
    _scatter,
    lambda ct, _y, _x, *arrays, pattern, shape: gather(ct, *arrays, pattern=pattern),
    name="scatter",
    nargs=2,
    structural=True,
    samples=lambda rng: [
        Sample((rng.normal(size=(3, 2)), np.array([1, 1, 3])), {"pattern": (SLOT,), "shape": (4, 2)}),
    ],
    shape=lambda ct, *arrays, pattern, shape: Spec(shape, ct.dtype),
)


def position(index: Tracer) -> Any:
    """An index without derivatives; it stays traced if the positions themselves are."""
    x: Any = index
    while isinstance(x, (Dual, Variable)):
        x = x.primal
    if not isinstance(x, Tracer) or x.dtype.kind in "iu":
        return x
    x = concrete(x)
    if isinstance(x, Tracer):
        raise ShapeOnlyError(
            f"x[mask] with the mask {describe(x)}: the shape of the result depends on the values of the mask, and only "
            f"shapes and dtypes are known{user_line()}. Use np.where(mask, x, 0), or x * mask."
        )
    return x


def gathered(x: Any, index: Any) -> Any:
    """``x[index]`` for an index with traced positions."""
    parts = index if type(index) is tuple else (index,)
    parts = sum((i.nonzero() if isinstance(i, np.ndarray) and i.dtype.kind == "b" else (i,) for i in parts), ())
    pattern = tuple(SLOT if isinstance(i, (Tracer, np.ndarray)) else i for i in parts)
    return gather(x, *(i for i, p in zip(parts, pattern, strict=True) if p is SLOT), pattern=pattern)
