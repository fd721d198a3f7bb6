"""Joining arrays: linear in all operands together; the adjoint of each is its own part of the result's."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, implements
from autodiff.core.abstract import constant_like
from autodiff.core.backend import foreign
from autodiff.core.batching import size_of, spread
from autodiff.core.spec import dtype_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["as_array", "concatenate", "operands", "stack"]


def _joining(
    name: str,
    join: Callable[..., Any],
    part: Callable[..., Any],
    shape: Callable[..., Any],
    samples: Callable[..., Any],
) -> Operation:
    """Register a join: `part(i, arrays, axis, ...)` is the index of operand `i` in the result."""

    def value(*arrays: Any, axis: int, **_params: Any) -> Any:
        return join(arrays, axis=axis)

    def joint_jvp(ts: list[Any], _y: Any, *_arrays: Any, **params: Any) -> Any:
        like = next(t for t in ts if t is not None)
        dtype = dtype_of(like)
        full = [
            constant_like(like, shape_of(a), dtype, 0) if t is None else t for t, a in zip(ts, _arrays, strict=True)
        ]
        return op(*full, **params)

    def push(i: int, t: Any, _y: Any, *_arrays: Any, **params: Any) -> Any:
        return joint_jvp([t if k == i else None for k in range(len(_arrays))], _y, *_arrays, **params)

    def pull(i: int, ct: Any, _y: Any, *_arrays: Any, **params: Any) -> Any:
        return ct[part(i, _arrays, **params)]

    op = Operation(
        name,
        value,
        jvps=(push,),
        vjps=(pull,),
        joint_jvp=joint_jvp,
        linear_args=_Every(),
        jointly=True,
        structural=True,
        variadic=True,
        shape=shape,
        samples=samples,
        batch=_joined_examples,
    )
    return op


def _joined_examples(call: Any, batched: Any, *arrays: Any, axis: int, **params: Any) -> Any:
    """Join those of each example, along an axis of the result, which may be a new one."""
    n = size_of(batched, arrays)
    return call(*[spread(a, n, b) for a, b in zip(arrays, batched, strict=True)], axis=axis + 1, **params)


class _Every(frozenset[int]):
    """All positions: the operation takes any number of arrays."""

    def issuperset(self, _other: Any) -> bool:
        """Whether every position of the other set is contained: yes."""
        return True

    def __contains__(self, _position: object) -> bool:
        return True


def _joined_dtype(*arrays: Any) -> Any:
    return np.result_type(*[dtype_of(a) for a in arrays])


def _concatenated_part(i: int, arrays: Any, axis: int, starts: Any = None) -> tuple[slice, ...]:
    start = sum(shape_of(a)[axis] for a in arrays[:i]) if starts is None else starts[i]
    return (*(slice(None),) * axis, slice(start, start + shape_of(arrays[i])[axis]))


def _concatenated_shape(*arrays: Any, axis: int, starts: Any = None) -> Spec:
    shapes = [shape_of(a) for a in arrays]
    for s in shapes:
        if len(s) != len(shapes[0]) or any(
            m != n for k, (m, n) in enumerate(zip(s, shapes[0], strict=True)) if k != axis
        ):
            raise ValueError(f"concatenate: the shapes {shapes} differ in more than axis {axis}.")
    total = sum(s[axis] for s in shapes)
    return Spec((*shapes[0][:axis], total, *shapes[0][axis + 1 :]), _joined_dtype(*arrays))


_concatenate = _joining(
    "concatenate",
    np.concatenate,
    _concatenated_part,
    _concatenated_shape,
    lambda rng: [
        Sample((rng.normal(size=(2, 3)), rng.normal(size=(1, 3)), rng.normal(size=(0, 3))), {"axis": 0}),
        Sample((rng.normal(size=(2, 1, 3)), rng.normal(size=(2, 2, 3))), {"axis": 1}),
        Sample((rng.normal(size=4),), {"axis": 0}),
        Sample((rng.normal(size=(3, 2)), rng.normal(size=(1, 2))), {"axis": 0, "starts": [0, 3]}),
    ],
)


def _stacked_part(i: int, _arrays: Any, axis: int) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, i)


def _stacked(arrays: Any, axis: int) -> Any:
    # Of many numbers np.array makes one array ten times faster than np.stack.
    return np.stack(arrays, axis=axis) if any(map(np.ndim, arrays)) or any(map(foreign, arrays)) else np.array(arrays)


def _stacked_shape(*arrays: Any, axis: int) -> Spec:
    shapes = {shape_of(a) for a in arrays}
    if len(shapes) != 1:
        raise ValueError(f"stack: all arrays must have one shape, not {sorted(shapes)}.")
    (s,) = shapes
    return Spec((*s[:axis], len(arrays), *s[axis:]), _joined_dtype(*arrays))


_stack = _joining(
    "stack",
    _stacked,
    _stacked_part,
    _stacked_shape,
    lambda rng: [
        Sample((rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {"axis": 1}),
        Sample((rng.normal(size=()), rng.normal(size=()), rng.normal(size=())), {"axis": 0}),
        Sample((rng.normal(size=(0, 2)), rng.normal(size=(0, 2))), {"axis": 2}),
    ],
)


def operands(name: str, arrays: Any, dtype: Any = None, casting: Any = "same_kind") -> list[Any]:
    """Return the operands of a join as arrays and tracers."""
    if not isinstance(arrays, (list, tuple)):
        arrays = list(arrays)  # a traced array is joined along its first axis
    if not arrays:
        raise ValueError(f"np.{name}: need at least one array.")
    found = [as_array(a) for a in arrays]
    found = [a if hasattr(a, "dtype") else np.asarray(a) for a in found]
    return found if dtype is None else [a.astype(dtype, casting=casting) for a in found]


def position(name: str, axis: Any, ndim: int) -> int:
    """Return an axis as a non-negative position."""
    return np.lib.array_utils.normalize_axis_index(int(axis), ndim, f"np.{name}")


@implements(np.concatenate)
def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Join along an existing axis; None joins the flattened arrays."""
    xs = operands("concatenate", arrays, dtype, casting)
    if axis is None:
        xs, axis = [np.reshape(x, (-1,)) for x in xs], 0
    if not shape_of(xs[0]):
        raise ValueError("np.concatenate: zero-dimensional arrays cannot be concatenated; use np.stack.")
    axis = position("concatenate", axis, len(shape_of(xs[0])))
    if len(xs) < 16:
        return _concatenate(*xs, axis=axis)
    # Where each operand begins, worked out once rather than for each.
    return _concatenate(*xs, axis=axis, starts=[0, *accumulate(shape_of(x)[axis] for x in xs)])


@implements(np.stack)
def stack(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Join along a new axis."""
    xs = operands("stack", arrays, dtype, casting)
    return _stack(*xs, axis=position("stack", axis, len(shape_of(xs[0])) + 1))


def as_array(a: Any) -> Any:
    """Return a list or tuple, which may contain traced values, as one array; anything else as it is."""
    if not isinstance(a, (list, tuple)):
        return a
    return stack(a) if a else np.asarray(a)
