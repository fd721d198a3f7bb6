"""Joining arrays: linear in all operands together; the adjoint of each is its own part of the result's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, implements
from autodiff.core.abstract import constant_like
from autodiff.core.errors import missing_rule
from autodiff.core.spec import dtype_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["concatenate", "stack"]


def _joining(
    name: str,
    join: Callable[..., Any],
    part: Callable[..., Any],
    shape: Callable[..., Any],
    samples: Callable[..., Any],
) -> Operation:
    """Register a join: `part(i, *shapes, axis)` is the index of operand `i` in the result."""

    def value(*arrays: Any, axis: int) -> Any:
        return join(arrays, axis=axis)

    def joint_jvp(ts: list[Any], _y: Any, *_arrays: Any, axis: int) -> Any:
        like = next(t for t in ts if t is not None)
        zeros = [constant_like(like, shape_of(a), dtype_of(like), 0) for a in _arrays]
        return op(*[z if t is None else t for t, z in zip(ts, zeros, strict=True)], axis=axis)

    def push(i: int, t: Any, _y: Any, *_arrays: Any, axis: int) -> Any:
        return joint_jvp([t if k == i else None for k in range(len(_arrays))], _y, *_arrays, axis=axis)

    def pull(i: int, ct: Any, _y: Any, *_arrays: Any, axis: int) -> Any:
        return ct[part(i, *[shape_of(a) for a in _arrays], axis=axis)]

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
    )
    return op


class _Every(frozenset[int]):
    """All positions: the operation takes any number of arrays."""

    def issuperset(self, _other: Any) -> bool:
        """Whether every position of the other set is contained: yes."""
        return True

    def __contains__(self, _position: object) -> bool:
        return True


def _joined_dtype(*arrays: Any) -> Any:
    return np.result_type(*[dtype_of(a) for a in arrays])


def _concatenated_part(i: int, *shapes: tuple[int, ...], axis: int) -> tuple[slice, ...]:
    start = sum(s[axis] for s in shapes[:i])
    return (*(slice(None),) * axis, slice(start, start + shapes[i][axis]))


def _concatenated_shape(*arrays: Any, axis: int) -> Spec:
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
    ],
)


def _stacked_part(i: int, *_shapes: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, i)


def _stacked_shape(*arrays: Any, axis: int) -> Spec:
    shapes = {shape_of(a) for a in arrays}
    if len(shapes) != 1:
        raise ValueError(f"stack: all arrays must have one shape, not {sorted(shapes)}.")
    (s,) = shapes
    return Spec((*s[:axis], len(arrays), *s[axis:]), _joined_dtype(*arrays))


_stack = _joining(
    "stack",
    np.stack,
    _stacked_part,
    _stacked_shape,
    lambda rng: [
        Sample((rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {"axis": 1}),
        Sample((rng.normal(size=()), rng.normal(size=()), rng.normal(size=())), {"axis": 0}),
        Sample((rng.normal(size=(0, 2)), rng.normal(size=(0, 2))), {"axis": 2}),
    ],
)


def operands(name: str, arrays: Any, dtype: Any = None, out: Any = None) -> list[Any]:
    """Return the operands of a join as arrays and tracers."""
    if out is not None:
        raise missing_rule(f"np.{name}", " with the keyword out=")
    if not isinstance(arrays, (list, tuple)):
        arrays = list(arrays)  # a traced array is joined along its first axis
    if not arrays:
        raise ValueError(f"np.{name}: need at least one array.")
    found = [stack(a) if isinstance(a, (list, tuple)) else a for a in arrays]
    found = [a if hasattr(a, "dtype") else np.asarray(a) for a in found]
    return found if dtype is None else [a.astype(dtype) for a in found]


def position(name: str, axis: Any, ndim: int) -> int:
    """Return an axis as a non-negative position."""
    return np.lib.array_utils.normalize_axis_index(int(axis), ndim, f"np.{name}")


@implements(np.concatenate)
def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Join along an existing axis; None joins the flattened arrays."""
    xs = operands("concatenate", arrays, dtype, out)
    if axis is None:
        xs, axis = [np.reshape(x, (-1,)) for x in xs], 0
    if not shape_of(xs[0]):
        raise ValueError("np.concatenate: zero-dimensional arrays cannot be concatenated; use np.stack.")
    return _concatenate(*xs, axis=position("concatenate", axis, len(shape_of(xs[0]))))


@implements(np.stack)
def stack(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Join along a new axis."""
    xs = operands("stack", arrays, dtype, out)
    return _stack(*xs, axis=position("stack", axis, len(shape_of(xs[0])) + 1))
