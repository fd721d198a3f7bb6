"""What reverse mode records: variables, the nodes they point to, and the level that makes them.

A `Variable` is a primal value with a `Node`; a node remembers which operation made it, from which nodes, and
the primals that the operation's rule will read. Nothing else is computed on the way forward: the weights
(``cos(x)`` for ``sin``) are worked out in the backward sweep, when each is needed once.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from autodiff.core.level import Level, Traced
from autodiff.core.spec import dtype_of, is_inexact, shape_of
from autodiff.core.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autodiff.core.operation import Operation

__all__ = ["Call", "Node", "Project", "ReverseLevel", "Variable", "call_nodes", "input_node", "next_seq", "record_call"]

next_seq = itertools.count().__next__
NO_PARAMS: dict[str, Any] = {}


class Node:
    """One step of an evaluation trace: an operation, the nodes it read, and what its rule needs."""

    __slots__ = ("args", "dtype", "op", "params", "parents", "seq", "shape", "y")

    def __init__(
        self,
        op: Any,
        parents: tuple[Node | None, ...],
        args: tuple[Any, ...],
        y: Any,
        shape: tuple[int, ...],
        dtype: Any,
        params: dict[str, Any] = NO_PARAMS,
    ) -> None:
        self.seq = next_seq()
        self.op = op
        self.parents = parents
        self.args = args
        self.y = y
        self.params = params
        self.shape = shape
        self.dtype = dtype

    @property
    def ndim(self) -> int:
        """Number of axes of the step's value."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements of the step's value."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        return f"<v{self.seq} = {self.op.name if self.op else 'input'}: {self.dtype}{list(self.shape)}>"

    def operands(self) -> tuple[Any, ...]:
        """Return the arguments for the rule; those not kept are replaced by their nodes, which know the shape."""
        return tuple([p if a is None and p is not None else a for a, p in zip(self.args, self.parents)])  # noqa: B905

    def result(self) -> Any:
        """Return the step's value if it was kept, else the node itself for its shape."""
        return self if self.y is None else self.y


class Variable(Tracer):
    """A primal value whose linear dependence on the inputs is being recorded."""

    __slots__ = ("node", "primal")

    def __init__(self, level: Level, primal: Any, node: Node) -> None:
        self.level = level
        self.primal = primal
        self.node = node

    def settled(self) -> Variable:
        """Return a twin that no program holds."""
        return Variable(self.level, self.primal, self.node)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the primal value."""
        return self.node.shape

    @property
    def dtype(self) -> Any:
        """Dtype of the primal value."""
        return self.node.dtype


def input_node(primal: Any) -> Node:
    """Make a node for an independent variable."""
    return Node(None, (), (), None, shape_of(primal), dtype_of(primal))


class ReverseLevel(Level):
    """A transform that linearises: `vjp`, `grad`, `linearize`."""

    __slots__ = ()

    def variable(self, primal: Any) -> Variable:
        """Make an independent variable of this level."""
        return Variable(self, primal, input_node(primal))

    def process(self, op: Operation, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute the value on the primals and record the step."""
        primals = []
        parents: list[Node | None] = []
        active = 0
        call, rules, variadic = op.fn, op.jvps, op.variadic
        for i, a in enumerate(args):
            parent = None
            if type(a) is Variable and a.level is self:
                if op.differentiable(i) if variadic or i >= len(rules) else rules[i] is not None:
                    active |= 1 << i
                    parent = a.node
                a = a.primal  # noqa: PLW2901 - the argument as the level below sees it
            elif isinstance(a, Traced):
                a = a.settled()  # type: ignore[attr-defined]  # noqa: PLW2901 - the rule will read it as it is now
            parents.append(parent)
            primals.append(a)
            if isinstance(a, Traced):
                call = op.call
        y = call(*primals, **params)
        if not active:
            return y
        try:
            shape, dtype = y.shape, y.dtype
        except AttributeError:  # a Python scalar
            shape, dtype = (), dtype_of(y)
        if dtype.kind not in "fc":
            return y
        keep_y, keep = op.keeps(active, len(args))
        kept = tuple([x if k or p is None else None for x, k, p in zip(primals, keep, parents)])  # noqa: B905 - time
        return Variable(self, y, Node(op, tuple(parents), kept, y if keep_y else None, shape, dtype, params))


# -- steps with several results ------------------------------------------------------------------------------


class Call:
    """A step with any number of results: a function with a custom rule, or a checkpointed one.

    Its node's adjoint is a list; each result is a `Project` node that picks one entry.
    """

    name = "call"
    elementwise = single = pair = False
    scatter = None

    def push(self, ts: list[Any]) -> list[Any]:
        """Tangents of the results from those of the arguments (None: zero)."""
        raise NotImplementedError

    def pull(self, cts: list[Any]) -> list[Any]:
        """Adjoints of the arguments from those of the results (None: zero)."""
        raise NotImplementedError


class Project:
    """Result number `index` of a `Call` with `count` results."""

    name = "project"
    elementwise = single = pair = False
    scatter = None

    def __init__(self, index: int, count: int) -> None:
        self.index = index
        self.count = count


def call_nodes(call: Call, parents: Sequence[Node | None], likes: Sequence[Any]) -> list[Node]:
    """Record a call; returns the node of each of its results, which have the shapes and dtypes of `likes`."""
    node = Node(call, tuple(parents), (), None, (), None)
    count = len(likes)
    return [Node(Project(i, count), (node,), (), None, shape_of(y), dtype_of(y)) for i, y in enumerate(likes)]


def record_call(level: Level, call: Call, parents: Sequence[Node | None], results: Sequence[Any]) -> list[Any]:
    """Record a call at `level`; returns a variable for each result that can carry a derivative, else the result."""
    nodes = call_nodes(call, parents, results)
    return [Variable(level, y, n) if is_inexact(y) else y for y, n in zip(results, nodes, strict=True)]
