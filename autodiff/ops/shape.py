"""Shape operations: linear, with entries moved but not changed."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from autodiff.core import Sample, Spec, Tracer, concrete, implements, install_method, linear
from autodiff.core.abstract import constant_like
from autodiff.core.assignment import Step, Stored, memory, reshapes_in_place, settled, stored, viewed, window
from autodiff.core.backend import array_of
from autodiff.core.batching import aligned
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.variable import Variable

__all__ = ["broadcast_to", "reshape", "transpose"]


def view_shape(fn: Any) -> Any:
    """Shape rule of a function that returns a view: run it on an array that occupies one element."""

    def shape(x: Any, **params: Any) -> Spec:
        y = fn(np.broadcast_to(np.zeros((), x.dtype), x.shape), **params)
        return Spec(y.shape, y.dtype)

    return shape


_reshape = linear(
    lambda x, shape: np.reshape(x, shape),  # noqa: PLW0108 - NumPy 2.0 calls the argument newshape
    lambda ct, _y, _x, shape: np.reshape(ct, shape_of(_x)),
    name="reshape",
    structural=True,
    samples=lambda rng: [
        Sample((rng.normal(size=(2, 6)),), {"shape": (3, 4)}),
        Sample((rng.normal(size=(0, 3)),), {"shape": (3, 0)}),
        Sample((rng.normal(size=()),), {"shape": (1, 1)}),
    ],
    shape=lambda x, shape: Spec(shape, x.dtype),
    batch=lambda call, _batched, x, shape: call(x, shape=(shape_of(x)[0], *shape)),
)
_broadcast_to = linear(
    np.broadcast_to,
    lambda ct, _y, _x, shape: ct,  # the sweep sums over the broadcast axes
    name="broadcast_to",
    structural=True,
    samples=lambda rng: [
        Sample((rng.normal(size=(3, 1)),), {"shape": (2, 3, 4)}),
        Sample((rng.normal(size=()),), {"shape": (2,)}),
    ],
    shape=lambda x, shape: Spec(shape, x.dtype),
    batch=lambda call, _batched, x, shape: call(aligned(x, len(shape)), shape=(shape_of(x)[0], *shape)),
)


@implements(np.reshape)
def reshape(a: Any, /, shape: Any = None, order: str = "C", *, copy: bool | None = None) -> Any:
    """Reshape; Fortran order is C order between two transpositions."""
    shape = _resolved(a, shape)
    if order == "F" or (order == "A" and _is_fortran(a)):
        turned = shape[::-1]
        y = transpose(linked(_reshape, transpose(a), Step("reshape", turned), shape=turned))
        return fresh(settled(y)) if copy else y
    if order not in {"C", "A"}:
        raise ValueError(f"np.reshape: order must be 'C', 'F' or 'A', not {order!r}.")
    y = linked(_reshape, a, Step("reshape", shape), shape=shape)
    return fresh(settled(y)) if copy else y


def linked(op: Any, x: Any, step: Step, **params: Any) -> Any:
    """Apply a view operation; the result stays a view of `x` where NumPy's is one (a reshaped array may be a copy)."""
    if isinstance(x, Stored):
        value = x.level.read()
        if step.kind != "reshape" or _shares(x, value, step):
            return window(x, step)
        return fresh(step.read(value))
    y = op(x, **params)
    both = isinstance(x, Tracer) and isinstance(y, Tracer)
    return viewed(y, x, step) if both and (step.kind != "reshape" or _same_memory(x, y, step)) else y


def _same_memory(x: Any, y: Any, step: Step) -> bool:
    have: Any
    new: Any
    if type(x) is Variable and type(y) is Variable and type(x.primal) is type(y.primal) is np.ndarray:
        have, new = x.primal, y.primal
    else:
        have, new = memory(x), memory(y)
    if not isinstance(have, np.ndarray):
        return have is None and reshapes_in_place(x, step)  # a number has no memory
    return new.base is not None and (new.base is have or new.base is have.base)


def _shares(x: Any, value: Any, step: Step) -> bool:
    found = memory(value)
    if not isinstance(found, np.ndarray):
        return reshapes_in_place(x, step)
    return bool(np.may_share_memory(found.reshape(step.param), found))


def fresh(y: Any) -> Any:
    """Return a new value as an array to assign to."""
    return y if isinstance(y, Tracer) else stored(y)


def as_shape(shape: Any) -> tuple[int, ...]:
    """Return a shape, which may come as one integer, as a tuple."""
    if not isinstance(shape, (tuple, list)) and np.ndim(shape) == 0:
        return (operator.index(shape),)
    return tuple([operator.index(n) for n in shape])


def _resolved(a: Any, shape: Any) -> tuple[int, ...]:
    """Return the shape with -1 resolved."""
    new = as_shape(shape)
    size = math.prod(shape_of(a))
    known = math.prod(new)
    if known < 0 and new.count(-1) == 1 and min(new) == -1 and size % known == 0:
        return tuple([-(size // known) if n == -1 else n for n in new])
    if known != size or (new and min(new) < 0):
        raise ValueError(f"np.reshape: cannot reshape {describe(a)} with {size} elements into the shape {new}.")
    return new


def _is_fortran(a: Any) -> bool:
    """Whether the first axis of the value varies fastest in memory."""
    value = concrete(a)
    return isinstance(value, np.ndarray) and bool(value.flags.fnc)


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """Broadcast to a shape."""
    shape = as_shape(shape)
    if shape_of(array) == shape and not isinstance(array, Tracer):
        return array
    return linked(_broadcast_to, array, Step("broadcast", shape), shape=shape)


_transpose = linear(
    np.transpose,
    lambda ct, _y, _x, axes: np.transpose(ct, sorted(range(len(axes)), key=axes.__getitem__)),
    name="transpose",
    structural=True,
    samples=lambda rng: [Sample((rng.normal(size=(2, 3, 4)),), {"axes": (2, 0, 1)})],
    shape=lambda x, axes: Spec(tuple(x.shape[i] for i in axes), x.dtype),
    batch=lambda call, _batched, x, axes: call(x, axes=(0, *[i + 1 for i in axes])),
)


@implements(np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    """Permute the axes."""
    n = len(shape_of(a))
    if axes is None:
        order = tuple(range(n - 1, -1, -1))
        return linked(_transpose, a, Step("transpose", order), axes=order)
    order = np.lib.array_utils.normalize_axis_tuple(axes, n)
    if len(order) != n:
        raise ValueError(f"np.transpose: axes {axes} do not fit the {n} axes of {describe(a)}.")
    return linked(_transpose, a, Step("transpose", order), axes=order)


install_method("reshape", lambda self, *shape, order="C": reshape(self, shape[0] if len(shape) == 1 else shape, order))
install_method(
    "transpose",
    lambda self, *axes: transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None),
)
install_method("T", property(transpose))  # type: ignore[arg-type]


@implements(np.shape)
def shape(a: Any) -> tuple[int, ...]:
    """Shape of a traced array."""
    return tuple(a.shape)


@implements(np.ndim)
def ndim(a: Any) -> int:
    """Number of axes of a traced array."""
    return len(a.shape)


@implements(np.size)
def size(a: Any, axis: Any = None) -> int:
    """Number of elements of a traced array."""
    return int(a.size if axis is None else math.prod(a.shape[i] for i in np.atleast_1d(axis)))


@implements(np.zeros_like)
def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Zeros: a constant, to which traced values can be assigned."""
    shape = shape_of(a) if shape is None else as_shape(shape)
    return assignable(constant_like(a, shape, dtype or dtype_of(a), 0), a)


@implements(np.ones_like)
def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Ones: a constant, to which traced values can be assigned."""
    shape = shape_of(a) if shape is None else as_shape(shape)
    return assignable(constant_like(a, shape, dtype or dtype_of(a), 1), a)


def assignable(value: Any, like: Any) -> Any:
    """Return a new constant array as one that traced values can be assigned to, if it is of the kind of `like`."""
    if dtype_of(value).kind not in "fc" and dtype_of(value) != dtype_of(like):
        return value
    return stored(array_of(value))
