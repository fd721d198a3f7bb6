"""Indexing by positions that are traced themselves.

Integers carry no derivative, so under `grad` and `jvp` an index is a plain array. Under a transform that needs the
program itself (`trace`, `eval_shape`) it is an argument of the operation like any other: ``table[tokens]``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer, concrete, linear
from autodiff.core.backend import is_array, made, on_host
from autodiff.core.batching import Batched, aligned, size_of, spread
from autodiff.core.errors import ShapeOnlyError, describe, user_line
from autodiff.core.forward import Dual
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.variable import Variable
from autodiff.ops.accumulate import add_at
from autodiff.ops.rows import taken

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
    target = made(np.zeros, ct, shape, dtype_of(ct))
    add_at(target, _filled(pattern, arrays), ct)
    return target


def _shape(x: Any, *arrays: Any, pattern: Any) -> Spec:
    """Shape of the result, found on views and empty arrays alone."""
    block = np.broadcast_shapes(*(shape_of(i) for i in arrays), *((int(i),) for i in pattern if type(i) is bool))
    like = next((i for i in arrays if not on_host(i)), None)
    empty = made(np.zeros, like, (0,) * len(block), np.intp)
    dummy = np.broadcast_to(made(np.zeros, like, (), bool), x.shape)
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
    used = sum(part is not None and part is not Ellipsis and type(part) is not bool for part in pattern)
    return sum(ndim - used if part is Ellipsis else 1 for part in pattern[:first])


def _block_ndim(arrays: Any, batched: Any, pattern: Any) -> int:
    """Number of axes that index arrays have together, as one example has them; a single boolean is a mask with one."""
    least = int(any(type(part) is bool for part in pattern))
    return int(max(least, *(len(shape_of(i)) - b for i, b in zip(arrays, batched, strict=True))))


def _batch_plan(batched: Any, arrays: Any, pattern: Any, ndim: int) -> tuple[Any, Any, list[int], list[int]]:
    """Pattern and index arrays for all examples; axes of their result, and where they belong: the batch axis first."""
    block, start = _block_ndim(arrays, batched[1:], pattern), _block_start(pattern, ndim)
    if not any(batched[1:]):  # the same entries of each example: a slice for the batch axis
        new = (slice(None), *pattern)
        return (new, arrays, [block], [0]) if _block_start(new, ndim + 1) == 0 else (new, arrays, [], [])
    own = tuple([aligned(i, block) if b else i for i, b in zip(arrays, batched[1:], strict=True)])
    if not batched[0]:
        return pattern, own, [start], [0]
    numbers = np.arange(size_of(batched[1:], arrays)).reshape((-1,) + (1,) * block)
    inner = range(1, 1 + block)
    return (SLOT, *pattern), (numbers, *own), list(inner), [start + i for i in inner]


def before_last_axis(parts: Any) -> tuple[Any, ...]:
    """Index of an array that has got one axis more, at its end.

    An ellipsis stays where it is, for index arrays on its two sides are not adjacent to NumPy, even if it stands for
    no axis.
    """
    parts = parts if type(parts) is tuple else (parts,)
    return (*parts, slice(None)) if any(part is Ellipsis for part in parts) else parts


def _batch_gather(call: Any, batched: Any, x: Any, *arrays: Any, pattern: Any) -> Any:
    new, own, source, target = _batch_plan(batched, arrays, pattern, len(shape_of(x)) - batched[0])
    y = call(x, *own, pattern=new)
    return np.moveaxis(y, source, target) if source != target else y


def _batch_scatter(call: Any, batched: Any, ct: Any, *arrays: Any, pattern: Any, shape: Any) -> Any:
    n = size_of(batched, (ct, *arrays))
    if any(batched[1:]) and not batched[0]:
        ct, batched = spread(ct, n), (True, *batched[1:])
    if not any(batched[1:]):  # entries of all examples side by side: what is added goes in whole rows
        y = call(np.moveaxis(ct, 0, -1), *arrays, pattern=before_last_axis(pattern), shape=(*shape, n))
        return np.moveaxis(y, -1, 0)
    new, own, source, target = _batch_plan(batched, arrays, pattern, len(shape))
    ct = np.moveaxis(ct, target, source) if source != target else ct
    return call(ct, *own, pattern=new, shape=(n, *shape))


gather: Operation = linear(
    lambda x, *arrays, pattern: taken(x, _filled(pattern, arrays)),
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
    batch=_batch_gather,
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
    batch=_batch_scatter,
)


def position(index: Tracer) -> Any:
    """An index without derivatives; it stays traced if the positions themselves are."""
    x: Any = index
    while isinstance(x, (Dual, Variable)):
        x = x.primal
    if not isinstance(x, Tracer) or x.dtype.kind in "iu":
        return x
    x = concrete(x)
    if isinstance(x, Batched):
        raise x.refuse("x[mask]")
    if isinstance(x, Tracer):
        raise ShapeOnlyError(
            f"x[mask] with the mask {describe(x)}: the shape of the result depends on the values of the mask, and only "
            f"shapes and dtypes are known{user_line()}. Use np.where(mask, x, 0), or x * mask."
        )
    return x


def mask_of(mask: Tracer) -> Any:
    """A mask without derivatives; traced if its values are not known, or are noted when they are read."""
    x: Any = mask.settled()
    while isinstance(x, (Dual, Variable)):
        x = x.primal
    return x


def slotted(index: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return an index with traced positions as a pattern and the arrays that belong into it."""
    parts = index if type(index) is tuple else (index,)
    parts = sum((i.nonzero() if is_array(i) and i.dtype.kind == "b" and i.ndim else (i,) for i in parts), ())
    parts = tuple(bool(i) if isinstance(i, np.bool_) or (is_array(i) and i.dtype.kind == "b") else i for i in parts)
    pattern = tuple(SLOT if isinstance(i, Tracer) or is_array(i) else i for i in parts)
    return pattern, tuple(i for i, p in zip(parts, pattern, strict=True) if p is SLOT)


def gathered(x: Any, index: Any) -> Any:
    """``x[index]`` for an index with traced positions."""
    pattern, arrays = slotted(index)
    return gather(x, *arrays, pattern=pattern)
