"""One program for many examples: what an operation means when arguments have one more axis, the batch axis.

Inside `vmap` a `Batched` tracer stands for one example; its ``value`` holds all of them, with the batch axis first,
always. Arguments that do not differ between examples stay as they are, without that axis. An operation says
with its `batch` rule how it is applied to all examples at once:

    ``rule(call, batched, *args, **params) -> value``

``call`` applies the operation (or computes its value, where nothing is traced); ``batched[i]`` says whether
``args[i]`` has the batch axis, and at least one has. The rule returns the value with the batch axis first (a
tuple of such values, for an operation with several results). It is written with NumPy functions and operations,
like any rule, because its arguments may be tracers of transforms further out: never ``np.asarray``, never
``if`` on a value, no ``out=``. There is no default but for elementwise operations, and no hidden loop. So beside
an operation stands ``batch=`` with one of these forms, or a function of your own:

=====================  =======================================================================================
`pointwise`            elementwise with parameters; broadcasts as it is (the default of `elementwise`)
`stacked(1, 2)`        works on the last 1 axis of argument 0 and the last 2 of argument 1, and broadcasts over
                       the axes before them, as ``np.linalg.solve`` does; one number stands for all arguments
`along("axis")`        has a parameter `axis`, an int >= 0, a tuple of them, or None for all axes: moved up by one
`folded(1, 0)`         its first axis counts items that do not meet (rows, images): all examples' items become one
                       long list; 1 for arguments that have that axis, 0 for those shared by all items (which
                       must not be batched: give ``otherwise=`` for that case)
`each`                 a Python loop over the examples, where nothing better exists; the README beside lists who uses it
=====================  =======================================================================================

    inv = Operation("inv", np.linalg.inv, ..., batch=stacked(2))
    cumsum = linear(np.add.accumulate, ..., batch=along("axis"))

    def _batch(call, batched, x, w, scale):           # of your own: a product with one shared matrix
        if not batched[1]:
            return call(x, w, scale=scale)            # x is (B, n, k), and the operation takes stacks
        return call(spread(x, w, batched[0]), w, ...)

For rules of your own: `size_of` (number of examples), `spread` (an argument that is not batched, repeated without
copying), `aligned` (axes of length 1 put in, so that arrays broadcast as the examples do), `fold` and `unfold`
(batch axis into the first axis and back). tests/test_vmap_registry.py compares every operation with a Python loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.errors import (
    BatchingError,
    DifferentiationError,
    MissingRuleError,
    describe,
    leaked_tracer,
    user_line,
)
from autodiff.core.level import Level
from autodiff.core.spec import shape_of
from autodiff.core.tracer import Tracer, concrete

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autodiff.core.operation import Operation

    BatchRule = Callable[..., Any]

__all__ = [
    "BatchLevel",
    "Batched",
    "aligned",
    "all_values",
    "along",
    "each",
    "fold",
    "folded",
    "mapped",
    "pointwise",
    "size_of",
    "spread",
    "stacked",
    "unfold",
]


class Batched(Tracer):
    """One example of a batch: it has the shape of one, and `value` holds all of them along a new first axis."""

    __slots__ = ("value",)
    level: BatchLevel

    def __init__(self, level: BatchLevel, value: Any) -> None:
        self.level = level
        self.value = value

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.value.shape[1:]  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """Dtype of the values."""
        return self.value.dtype

    def refuse(self, what: str) -> DifferentiationError:
        """Return the error for a conversion: there are many values, not one."""
        if self.level.closed:
            return leaked_tracer(what, self.level.transform)
        return BatchingError(
            f"{what}: {describe(self)} stands for {self.level.size} examples at once inside {self.level.transform}, so "
            f"it is no single Python or NumPy value{user_line()}. Use np.* functions on it: np.where instead of a "
            "branch or a mask, autodiff.numpy.take(table, i, axis=0) instead of table[i] for a plain array, np.stack "
            "to build arrays."
        )

    def __bool__(self) -> bool:
        if self.level.closed:
            raise leaked_tracer("bool()", self.level.transform)
        raise BatchingError(
            f"bool() of {describe(self)}: the program branches on a value that differs between the "
            f"{self.level.size} examples of a {self.level.transform}{user_line()}. Use np.where(condition, a, b), "
            "which computes both sides, or leave the argument out of the map with in_axes=None."
        )

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"Batched({describe(self)} of {self.level.size}, depth={self.level.depth})"


class BatchLevel(Level):
    """A program that runs once for `size` examples: `vmap`."""

    __slots__ = ("size",)

    def __init__(self, transform: str, size: int) -> None:
        super().__init__(transform)
        self.size = size

    def process(self, op: Operation, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Apply the operation's batching rule to the arguments of all examples."""
        batched = tuple([type(a) is Batched and a.level is self for a in args])
        values = [a.value if b else a for a, b in zip(args, batched)]  # noqa: B905 - strict= costs 0.1 us here
        rule = op.batch
        if rule is not None:
            y = rule(op.call, batched, *values, **params)
        elif op.elementwise:
            y = pointwise(op.call, batched, *values, **params)
        else:
            raise missing_batch_rule(op, args)
        return tuple([self.wrapped(op, v) for v in y]) if type(y) is tuple else self.wrapped(op, y)

    def wrapped(self, op: Operation, y: Any) -> Batched:
        """Return a tracer of a rule's result."""
        if y.shape[:1] != (self.size,):
            raise ValueError(
                f"vmap: the batching rule of {op.name!r} returned {describe(y)}, whose first axis is not that of the "
                f"{self.size} examples."
            )
        return Batched(self, y)

    def values_of(self, x: Any) -> Any:
        """Values of all examples of something that may be the same in each."""
        if type(x) is Batched and x.level is self:
            return x.value
        return np.broadcast_to(x, (self.size, *shape_of(x)))


def missing_batch_rule(op: Operation, args: Sequence[Any]) -> MissingRuleError:
    """The error for an operation that vmap cannot apply to many examples."""
    return MissingRuleError(
        f"vmap: the operation {op.name!r} has no batching rule ({', '.join(describe(a) for a in args)}){user_line()}. "
        "Give it one with batch= (autodiff.core.batching says how; autodiff.core.batching.each is a Python loop), or "
        "call the function in a loop over the examples and np.stack the results."
    )


def all_values(x: Any) -> Any:
    """Values of all examples, with every level of tracing removed; what is known by shape alone stays as it is."""
    x = concrete(x)
    while type(x) is Batched:
        x = concrete(x.value)
    return x


def mapped(x: Any) -> bool:
    """Whether a value stands for many examples, at any level."""
    return isinstance(concrete(x), Batched)


# -- for rules -----------------------------------------------------------------------------------------------


def size_of(batched: Sequence[bool], args: Sequence[Any]) -> int:
    """Return the number of examples."""
    return int(shape_of(args[batched.index(True)])[0])


def spread(x: Any, n: int, batched: bool = False) -> Any:
    """Return an argument with a batch axis of length `n`: itself if it has one, else repeated without copying."""
    return x if batched else np.broadcast_to(x, (n, *shape_of(x)))


def aligned(x: Any, ndim: int, core: int = 0) -> Any:
    """Put axes of length 1 behind the batch axis until an example has `ndim` axes before its last `core`."""
    shape = shape_of(x)
    missing = ndim - (len(shape) - 1 - core)
    return x if missing <= 0 else np.reshape(x, (shape[0], *(1,) * missing, *shape[1:]))


def fold(x: Any) -> Any:
    """Merge the batch axis and the first axis of the examples."""
    shape = shape_of(x)
    return np.reshape(x, (shape[0] * shape[1], *shape[2:]))


def unfold(y: Any, n: int, items: int) -> Any:
    """Split the first axis again into `n` examples with so many items each."""
    return np.reshape(y, (n, items, *shape_of(y)[1:]))


def shifted(axis: Any, ndim: int) -> Any:
    """Axes of the examples as axes of the batch; None means all axes of an example, which has `ndim`."""
    if axis is None:
        return tuple(range(1, ndim + 1))
    if isinstance(axis, (tuple, list)):
        return type(axis)([shifted(a, ndim) for a in axis])
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)  # -2 of a vector would be the axis that counts the examples
    return axis + 1 if axis >= 0 else axis


# -- the forms -----------------------------------------------------------------------------------------------


def pointwise(call: Callable[..., Any], batched: Sequence[bool], *args: Any, **params: Any) -> Any:
    """Rule of an operation that acts on each element by itself."""
    if len(args) == 1:
        return call(*args, **params)
    ndims = [len(shape_of(a)) - b for a, b in zip(args, batched)]  # noqa: B905 - strict= costs 0.1 us here
    n = max(ndims)
    if min(ndims) < n:
        args = tuple([aligned(a, n) if b and k < n else a for a, b, k in zip(args, batched, ndims, strict=True)])
    return call(*args, **params)


def stacked(*core: int) -> BatchRule:
    """Rule of an operation that works on the last axes of its arguments and broadcasts over those before them."""

    def rule(call: Callable[..., Any], batched: Sequence[bool], *args: Any, **params: Any) -> Any:
        cores = core * len(args) if len(core) == 1 else core
        loops = [len(shape_of(a)) - b - c for a, b, c in zip(args, batched, cores, strict=True)]
        n = max(loops)
        if min(loops) < 0:  # the axis that counts the examples would be taken for one of an example
            least = cores[loops.index(min(loops))]
            raise ValueError(f"one example of an argument has {min(loops) + least} axes, but needs {least}.")
        ready = [aligned(a, n, c) if b else a for a, b, c in zip(args, batched, cores, strict=True)]
        return call(*ready, **params)

    return rule


def along(*names: str) -> BatchRule:
    """Rule of an operation with axis parameters of these names; several arguments have the batch axis together."""

    def rule(call: Callable[..., Any], batched: Sequence[bool], *args: Any, **params: Any) -> Any:
        if len(args) > 1 and not all(batched):
            n = size_of(batched, args)
            args = tuple([spread(a, n, b) for a, b in zip(args, batched, strict=True)])
        ndim = len(shape_of(args[0])) - 1
        if not ndim and any(params[name] in {0, -1} for name in names):
            return _along_numbers(call, args, params, names)
        for name in names:
            params[name] = shifted(params[name], ndim)
        return call(*args, **params)

    return rule


def _along_numbers(call: Callable[..., Any], args: Sequence[Any], params: dict[str, Any], names: Sequence[str]) -> Any:
    """Examples that are numbers: NumPy lets them have an axis, of length 1."""
    y = call(*[np.reshape(a, (-1, 1)) for a in args], **params | dict.fromkeys(names, 1))
    return np.reshape(y, (-1,)) if params.get("keepdims") else y


def folded(*items: int, otherwise: BatchRule | None = None) -> BatchRule:
    """Rule of an operation whose items along the first axis do not meet; see the module."""

    def rule(call: Callable[..., Any], batched: Sequence[bool], *args: Any, **params: Any) -> Any:
        if any(b and not i for b, i in zip(batched, items, strict=True)):
            return (otherwise or each)(call, batched, *args, **params)
        n = size_of(batched, args)
        ready = [fold(spread(a, n, b)) if i else a for a, b, i in zip(args, batched, items, strict=True)]
        at = batched.index(True)
        count = shape_of(args[at])[1]
        y = call(*ready, **params)
        return tuple([unfold(v, n, count) for v in y]) if type(y) is tuple else unfold(y, n, count)

    return rule


def each(call: Callable[..., Any], batched: Sequence[bool], *args: Any, **params: Any) -> Any:
    """Rule of an operation that takes one example at a time: a Python loop over the examples."""
    n = size_of(batched, args)
    if n == 0:
        raise BatchingError("vmap: an operation that is applied to one example at a time cannot be applied to none.")
    found = [call(*[a[k] if b else a for a, b in zip(args, batched, strict=True)], **params) for k in range(n)]
    if type(found[0]) is tuple:
        return tuple([np.stack(parts) for parts in zip(*found, strict=True)])
    return np.stack(found)
