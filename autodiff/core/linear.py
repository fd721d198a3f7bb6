"""Transposition of linear functions: run them on tracers that have a shape but no value.

A `LinearTracer` stands for the unknown argument of a linear function. Operations that are linear in it record
a node, exactly as in reverse mode; anything else is an error that names the operation. The backward sweep over
those nodes is the transpose. This is how an `explicit` forward rule gets its reverse rule, how `custom_jvp`
gets a reverse mode and `custom_vjp` a forward mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.batching import all_values
from autodiff.core.errors import DifferentiationError, NonlinearError, describe, user_line
from autodiff.core.level import Level
from autodiff.core.reverse import Node, input_node, pull_back
from autodiff.core.spec import Spec
from autodiff.core.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable

    from autodiff.core.operation import Operation

__all__ = ["LinearLevel", "LinearTracer", "is_zero", "transposed_rule"]


class LinearTracer(Tracer):
    """The unknown argument of a linear function, or a value that depends on it linearly."""

    __slots__ = ("node",)

    def __init__(self, level: Level, node: Node) -> None:
        self.level = level
        self.node = node

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.node.shape

    @property
    def dtype(self) -> Any:
        """Dtype of the value."""
        return self.node.dtype

    def refuse(self, what: str) -> DifferentiationError:
        """Return the error for a conversion: the value is not known."""
        return NonlinearError(
            f"{what} of {describe(self)}: a linear function is being transposed, and its argument has no value yet"
            f"{user_line()}. Use np.* functions on it; if this is the backward function of a custom_vjp and cannot be "
            "written so, give the function its rule with custom_jvp instead."
        )

    def __bool__(self) -> bool:
        raise NonlinearError(
            f"bool() of {describe(self)}: a linear function cannot branch on its argument{user_line()}. If this is the "
            "backward function of a custom_vjp, give the function its rule with custom_jvp instead."
        )


class LinearLevel(Level):
    """A function that is being transposed."""

    __slots__ = ()

    def argument(self, like: Any) -> LinearTracer:
        """Make a tracer of the shape and dtype of `like`."""
        return LinearTracer(self, input_node(like))

    def process(self, op: Operation, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Record an operation that is linear in its traced arguments; raise if it is not."""
        parents = tuple([a.node if type(a) is LinearTracer and a.level is self else None for a in args])
        active = [i for i, p in enumerate(parents) if p is not None]
        if not op.linear_args.issuperset(active) or (len(active) > 1 and not op.jointly):
            raise self._nonlinear(op, args, "not linear in the argument that is being transposed")
        if op.jointly and len(active) < len(args):
            others = [a for i, a in enumerate(args) if parents[i] is None and i in op.linear_args]
            if not all(is_zero(a) for a in others):
                raise self._nonlinear(op, args, "a constant is added to the argument that is being transposed")
        operands = [Spec(a.shape, a.dtype) if p is not None else a for a, p in zip(args, parents, strict=True)]
        result = op.shape(*operands, **params)
        others = [a.settled() if isinstance(a, Tracer) else a for a in args]
        kept = tuple([None if p is not None else a for a, p in zip(others, parents, strict=True)])
        return LinearTracer(self, Node(op, parents, kept, None, result.shape, result.dtype, params))

    def _nonlinear(self, op: Operation, args: tuple[Any, ...], why: str) -> NonlinearError:
        return NonlinearError(
            f"{op.name}({', '.join(describe(a) for a in args)}): {why}, in the {self.transform}{user_line()}. A "
            "tangent rule must be linear in its tangents and the backward function of a custom_vjp linear in its "
            "cotangent; otherwise give the function its rule with custom_jvp."
        )


def is_zero(x: Any) -> bool:
    """Whether a constant is zero, or not known by value."""
    x = all_values(x)
    return isinstance(x, Tracer) or not np.any(x)


def transposed_rule(rule: Callable[..., Any], i: int) -> Callable[..., Any]:
    """Reverse rule of argument `i` from its forward rule ``rule(t, y, *args, **params)``."""

    def transposed(ct: Any, y: Any, *args: Any, **params: Any) -> Any:
        level = LinearLevel("transpose of a forward rule")
        with level.running():
            unknown = level.argument(args[i])
            out = rule(unknown, y, *args, **params)
        if not (isinstance(out, LinearTracer) and out.level is level):
            return None  # the rule does not depend on the tangent: a structural zero
        return pull_back([(out.node, ct)]).get(unknown.node)

    # The transposed rule reads what the forward rule reads.
    transposed.__wrapped__ = rule  # type: ignore[attr-defined]
    return transposed
