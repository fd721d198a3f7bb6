"""The record of an operation: its value, its one rule, its shape, its samples.

Both modes read the same record. Forward mode calls ``jvps[i](t, y, *args, **params)``: what a tangent `t` of
argument `i` contributes to the tangent of the result. Reverse mode calls ``vjps[i](ct, y, *args, **params)``:
what an adjoint `ct` of the result contributes to the adjoint of argument `i`. An operation states one of them
and the other follows; `autodiff.core.forms` has the ways to write one down.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.backend import refuse_mixture
from autodiff.core.forward import Dual, push_binary, push_linear, push_unary
from autodiff.core.level import Traced, bind
from autodiff.core.scaled import plain
from autodiff.core.spec import dtype_of, elementwise_shape
from autodiff.core.tables import REGISTRY
from autodiff.core.variable import Node, Variable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autodiff.core.samples import Boundary, Sample

    Rule = Callable[..., Any]

__all__ = ["Binary", "Operation", "Single", "Unary"]


class Operation:
    """One operation: value, rule, shape and samples in one place. Call it like the function it stands for.

    Attributes
    ----------
    name : str
        Unique name, the key in `REGISTRY`.
    fn : callable
        The value, ``fn(*arrays, **params)``, on plain arrays.
    jvps, vjps : sequence of callable or None
        One rule for each argument, see the module; None where the argument has no derivative. A variadic
        operation (any number of arrays) has one rule, which takes the argument's number first.
    linear_args : frozenset of int
        The arguments in which the operation is linear.
    jointly : bool
        Whether it is linear in several of them at once (``add``), not just in each (``multiply``).
    joint_jvp : callable or None
        ``joint_jvp(ts, y, *args)``: the whole tangent at once, where that is cheaper than a sum of contributions.
    joint_vjp : callable or None
        ``joint_vjp(ct, wanted, y, *args, **params)``: what `vjps` return for the arguments that are `wanted` (a tuple
        of booleans; the others' entries are not read), where they share work.
    marks : sequence of callable or None
        ``marks[i](y, *args)``: mask of the entries in which argument `i` was not chosen (`where`, `maximum`).
    cuts : bool
        The rules themselves give an exact 0 where `marks` say so, whatever the tangent or adjoint is.
    structural : bool
        Linear with coefficients that are finite and not negative, so that marks can pass through it.
    selects : bool
        Structural, and it leaves entries out (indexing, `max`): these are marked in the backward sweep.
    batch : callable or None
        How `vmap` applies the operation to many examples at once (`autodiff.core.batching`). Elementwise operations
        need none.
    """

    __slots__ = (
        "_keeps",
        "batch",
        "boundary",
        "call",
        "cuts",
        "elementwise",
        "fn",
        "joint_jvp",
        "joint_vjp",
        "jointly",
        "jvps",
        "linear_args",
        "marks",
        "name",
        "pair",
        "samples",
        "scatter",
        "selects",
        "shape_rule",
        "single",
        "smooth",
        "structural",
        "variadic",
        "vjps",
    )

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        *,
        jvps: Sequence[Rule | None] = (),
        vjps: Sequence[Rule | None] = (),
        linear_args: frozenset[int] = frozenset(),
        jointly: bool = False,
        joint_jvp: Rule | None = None,
        joint_vjp: Rule | None = None,
        marks: Sequence[Rule | None] | None = None,
        cuts: bool = False,
        shape: Callable[..., Any] | None = None,
        samples: Callable[[np.random.Generator], list[Sample]] | None = None,
        boundary: Sequence[Boundary] = (),
        is_elementwise: bool = False,
        structural: bool = False,
        variadic: bool = False,
        smooth: bool = True,
        scatter: Rule | None = None,
        selects: bool = False,
        batch: Rule | None = None,
        register: bool = True,
    ) -> None:
        self.name = name
        self.fn = fn
        # A ufunc dispatches on traced arguments by itself; anything else goes through `bind`.
        self.call: Callable[..., Any] = fn if isinstance(fn, np.ufunc) else self
        self.jvps = tuple(jvps)
        self.vjps = tuple(vjps)
        self.linear_args = linear_args
        self.jointly = jointly
        self.joint_jvp = joint_jvp
        self.joint_vjp = joint_vjp
        self.marks = tuple(marks) if marks is not None else None
        self.cuts = cuts
        self.shape_rule = shape
        self.samples = samples
        self.boundary = tuple(boundary)
        self.elementwise = is_elementwise
        self.structural = structural
        self.variadic = variadic
        self.smooth = smooth
        self.scatter = scatter
        self.batch = batch
        self.selects = selects or scatter is not None
        self.single = isinstance(self, Single) and not self.selects  # its backward step needs no loop
        self.pair = isinstance(self, Binary) and not is_elementwise and not structural  # nor does this one's
        self._keeps: dict[int, tuple[bool, tuple[bool, ...]]] = {}
        if register:
            if name in REGISTRY:
                raise ValueError(f"operation {name!r} is registered twice")
            REGISTRY[name] = self

    def __repr__(self) -> str:
        return f"<operation {self.name}>"

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Apply the operation; the deepest level among the arguments decides what that means."""
        return bind(self, args, params)

    def variant(self, fn: Callable[..., Any]) -> Operation:
        """Return the same operation computed by another function (``operator.mul`` for ``np.multiply``)."""
        twin = type(self).__new__(type(self))
        for slot in Operation.__slots__:
            setattr(twin, slot, getattr(self, slot))
        twin.fn = twin.call = fn
        return twin

    def differentiable(self, i: int) -> bool:
        """Whether the result has a derivative with respect to argument `i`."""
        if self.variadic:
            return bool(self.jvps)
        return i < len(self.jvps) and self.jvps[i] is not None

    def jvp_of(self, i: int, t: Any, y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Contribution of the tangent `t` of argument `i` to the tangent of the result."""
        if self.variadic:
            return self.jvps[0](i, t, y, *args, **params)  # type: ignore[misc]
        return plain(self.jvps[i](t, y, *args, **params))  # type: ignore[misc]

    def vjp_of(self, i: int, ct: Any, y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Contribution of the adjoint `ct` of the result to the adjoint of argument `i`."""
        if self.variadic:
            return self.vjps[0](i, ct, y, *args, **params)  # type: ignore[misc]
        return plain(self.vjps[i](ct, y, *args, **params))  # type: ignore[misc]

    def keeps(self, active: int, nargs: int) -> tuple[bool, tuple[bool, ...]]:
        """Which of the result and the arguments the rules of the `active` arguments (a bit set) read."""
        found = self._keeps.get(active)
        if found is None or len(found[1]) != nargs:
            found = self._keeps[active] = self._find_keeps(active, nargs)
        return found

    def _find_keeps(self, active: int, nargs: int) -> tuple[bool, tuple[bool, ...]]:
        reads = [False] * (nargs + 1)  # the result, then the arguments
        for i in range(nargs):
            if not active >> i & 1 or not self.differentiable(i):
                continue
            at = 0 if self.variadic else i
            found = [
                _reads(rule, 2 if self.variadic else 1, nargs, i) for rule in (self.jvps[at], self.vjps[at]) if rule
            ]
            mark = self.marks[at] if self.marks else None
            found += [_reads(mark, 0, nargs, i)] if mark else []
            reads = [any(flags) for flags in zip(reads, *found, strict=True)]
        return reads[0], tuple(reads[1:])

    def shape(self, *args: Any, **params: Any) -> Any:
        """Shape and dtype of the result (a `Spec`) for arguments that are specs, arrays or scalars."""
        if self.shape_rule is not None:
            return self.shape_rule(*args, **params)
        if self.elementwise:
            return elementwise_shape(self.fn, *args, **params)
        raise NotImplementedError(f"operation {self.name!r} has no shape rule")


def _reads(rule: Rule, skip: int, nargs: int, own: int) -> list[bool]:
    """Which of (result, arguments) a rule reads, by the names of its parameters after the first `skip`."""
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    flags: list[bool] = []
    for p in [p for p in inspect.signature(rule).parameters.values() if p.kind in positional][skip:]:
        flags += [not p.name.startswith("_")] * (nargs + 1 - len(flags) if p.kind is p.VAR_POSITIONAL else 1)
    flags = (flags + [False] * (nargs + 1))[: nargs + 1]
    if getattr(rule, "skips", None) == "own":  # a rule derived from linearity reads neither the result nor its own
        flags[0] = flags[1 + own] = False
    return flags


# -- the two hot paths ---------------------------------------------------------------------------------------


class Unary(Operation):
    """An elementwise operation of one argument: on a `Variable` it records without the general machinery."""

    __slots__ = ("_keep",)
    _keep: tuple[bool, bool]

    def __call__(self, x: Any) -> Any:
        """Apply the operation."""
        if type(x) is not Variable or x.level.closed:
            if type(x) is Dual and x.mask is None and self.marks is None and not x.level.closed:
                return push_unary(self, x)
            return bind(self, (x,), {})
        primal = x.primal
        y = self.call(primal)
        try:
            keep_y, keep = self._keep
        except AttributeError:
            keep_y, (keep,) = self.keeps(1, 1)
            self._keep = keep_y, keep
        try:
            shape, dtype = y.shape, y.dtype
        except AttributeError:  # a Python scalar
            shape, dtype = (), dtype_of(y)
        node = Node(self, (x.node,), (primal if keep else None,), y if keep_y else None, shape, dtype)
        return Variable(x.level, y, node)


class Binary(Operation):
    """An operation of two arguments without parameters: the same, when all tracers are of one level."""

    __slots__ = ("_keep",)
    _keep: list[tuple[bool, bool, bool]]

    def __call__(self, a: Any, b: Any) -> Any:
        """Apply the operation."""
        if type(a) is Variable:
            level = a.level
            x, left = a.primal, a.node
            if type(b) is Variable:
                if b.level is not level:
                    return bind(self, (a, b), {})
                z, right, active = b.primal, b.node, 3
            elif isinstance(b, Traced):
                return bind(self, (a, b), {})
            else:
                z, right, active = b, None, 1
        elif type(b) is Variable and not isinstance(a, Traced):
            level = b.level
            x, left, z, right, active = a, None, b.primal, b.node, 2
        else:
            return self._push(a, b)
        if level.closed:
            return bind(self, (a, b), {})
        try:
            y = self.call(x, z)
        except TypeError:
            refuse_mixture(self.name, (x, z))
            raise
        try:
            keep_y, keep_x, keep_z = self._keep[active]
        except AttributeError:
            self._keep = [(y, *args) for y, args in (self.keeps(bits, 2) for bits in range(4))]  # type: ignore[misc]
            keep_y, keep_x, keep_z = self._keep[active]
        try:
            shape, dtype = y.shape, y.dtype
        except AttributeError:  # a Python scalar
            shape, dtype = (), dtype_of(y)
        kept = (x if keep_x else None, z if keep_z else None)
        return Variable(level, y, Node(self, (left, right), kept, y if keep_y else None, shape, dtype))

    def _push(self, a: Any, b: Any) -> Any:
        """Apply the operation to dual numbers; anything else goes the general way."""
        if self.marks is None:
            if type(a) is Dual and a.mask is None:
                if type(b) is Dual and b.level is a.level and b.mask is None:
                    primals, ts = (a.primal, b.primal), (a.carried, b.carried)
                elif not isinstance(b, Traced):
                    primals, ts = (a.primal, b), (a.carried, None)
                else:
                    return bind(self, (a, b), {})
                level = a.level
            elif type(b) is Dual and b.mask is None and not isinstance(a, Traced):
                level, primals, ts = b.level, (a, b.primal), (None, b.carried)
            else:
                return bind(self, (a, b), {})
            if not level.closed:
                try:
                    return push_binary(self, level, primals, ts)
                except TypeError:
                    refuse_mixture(self.name, (a, b))
                    raise
        return bind(self, (a, b), {})


class Single(Operation):
    """A linear operation of one argument: the same."""

    __slots__ = ("_keep",)
    _keep: bool

    def __call__(self, x: Any, **params: Any) -> Any:
        """Apply the operation."""
        if type(x) is not Variable or x.level.closed:
            if type(x) is Dual and x.mask is None and not x.level.closed:
                return push_linear(self, x, params)
            return bind(self, (x,), params)
        primal = x.primal
        y = self(primal, **params) if isinstance(primal, Traced) else self.fn(primal, **params)
        try:
            shape, dtype = y.shape, y.dtype
        except AttributeError:  # a Python scalar
            shape, dtype = (), dtype_of(y)
        if dtype.kind not in "fc":
            return y
        try:
            keep = self._keep
        except AttributeError:
            _, (keep,) = self.keeps(1, 1)
            self._keep = keep
        return Variable(x.level, y, Node(self, (x.node,), (primal if keep else None,), None, shape, dtype, params))
