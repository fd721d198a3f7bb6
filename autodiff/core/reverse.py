"""Reverse mode: record the linear part of a program while its primal runs, then transpose it.

A `Variable` is a primal value with a `Node`; a node remembers which operation made it, from which nodes, and
the primals that the operation's rule will read. Nothing else is computed on the way forward: the weights
(``cos(x)`` for ``sin``) are worked out in the backward sweep, when each is needed once.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.level import Level, Traced
from autodiff.core.spec import dtype_of, is_inexact, shape_of
from autodiff.core.tracer import Tracer
from autodiff.core.zeros import Marked, add_adjoints, drop_marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from autodiff.core.operation import Operation

__all__ = ["Node", "ReverseLevel", "Variable", "pull_back", "push_forward"]

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
        return tuple([p if a is None and p is not None else a for a, p in zip(self.args, self.parents, strict=True)])

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
        call = op.fn
        for i, a in enumerate(args):
            parent = None
            if type(a) is Variable and a.level is self:
                if op.differentiable(i):
                    active |= 1 << i
                    parent = a.node
                a = a.primal  # noqa: PLW2901 - the argument as the level below sees it
            parents.append(parent)
            primals.append(a)
            if isinstance(a, Traced):
                call = op.call
        y = call(*primals, **params)
        if not active:
            return y
        shape, dtype = shape_of(y), dtype_of(y)
        if dtype.kind not in "fc":
            return y
        keep_y, keep = op.keeps(active, len(args))
        kept = tuple([x if k or p is None else None for x, k, p in zip(primals, keep, parents, strict=True)])
        return Variable(self, y, Node(op, tuple(parents), kept, y if keep_y else None, shape, dtype, params))


# -- the backward sweep --------------------------------------------------------------------------------------


class Adjoints:
    """Adjoints of nodes while they are being summed; a sum that this object allocated is updated in place."""

    __slots__ = ("of", "owned")

    def __init__(self) -> None:
        self.of: dict[Node, Any] = {}
        self.owned: set[Node] = set()

    def add(self, node: Node, ct: Any) -> None:
        """Add a contribution to the adjoint of a node."""
        have = self.of.get(node)
        if have is None:
            self.of[node] = ct
        elif type(have) is Marked or type(ct) is Marked:
            self.of[node] = add_adjoints(have, ct)
            self.owned.discard(node)
        elif node in self.owned and type(ct) is np.ndarray:
            np.add(have, ct, out=have)
        else:
            total = have + ct
            self.of[node] = total
            if type(total) is np.ndarray:
                self.owned.add(node)

    def buffer(self, node: Node) -> tuple[Any, Any]:
        """Return the array in which the adjoint of `node` is summed, and its marks (None: no entry is marked).

        Both are made on first use; (None, None) when the adjoint there is not a plain array.
        """
        have = self.of.get(node)
        if have is None:
            value = np.zeros(node.shape, node.dtype)
            mask = None if node.op is None else np.ones(node.shape, bool)
            self.of[node] = value if mask is None else Marked(value, mask)
        elif type(have) is Marked and node in self.owned:
            return have.value, have.mask
        elif type(have) is not np.ndarray:
            return None, None
        elif node in self.owned:
            return have, None
        else:
            value, mask = have.copy(), None
            self.of[node] = value
        self.owned.add(node)
        return value, mask


def reachable(roots: Iterable[Node], stop: int) -> list[Node]:
    """All nodes from which the roots were computed, oldest first; nodes older than `stop` are not entered."""
    seen = set(roots)
    stack = list(seen)
    while stack:
        node = stack.pop()
        if node.seq < stop:
            continue
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=_seq)


def _seq(node: Node) -> int:
    return node.seq


def pull_back(roots: Iterable[tuple[Node, Any]], stop: int = -1) -> dict[Node, Any]:
    """Transpose a recorded trace: adjoints of the inputs from adjoints of the results.

    Residuals are released as the sweep passes them, if nobody else holds the trace. Nodes recorded before
    `stop` count as inputs.
    """
    sums = Adjoints()
    of = sums.of
    for root, seed in roots:
        sums.add(root, seed)
    order = reachable(of, stop)
    inputs: dict[Node, Any] = {}
    with np.errstate(all="ignore"):
        while order:
            node = order.pop()
            ct = of.pop(node, None)
            if ct is None:
                continue
            op = node.op
            if op is None or node.seq < stop:
                inputs[node] = drop_marks(ct)
            elif op.elementwise and op.marks is None and type(ct) is not Marked:
                y = node.y
                args = node.args
                for parent, rule in zip(node.parents, op.vjps, strict=False):
                    if parent is not None:
                        c = rule(ct, y, *args)
                        if c.shape != parent.shape or c.dtype is not parent.dtype:
                            c = conform(c, parent)
                        if parent in of:
                            sums.add(parent, c)
                        else:
                            of[parent] = c
            elif op.single and type(ct) is not Marked:
                parent = node.parents[0]
                x = node.args[0]
                c = op.vjps[0](ct, node, parent if x is None else x, **node.params)
                if c.shape != parent.shape or c.dtype is not parent.dtype:
                    c = conform(c, parent)
                if parent in of:
                    sums.add(parent, c)
                else:
                    of[parent] = c
            elif op.scatter is None or not pull_scatter(node, ct, sums):
                pull_step(node, ct, sums)
    return inputs


def pull_step(node: Node, ct: Any, sums: Adjoints) -> None:
    """Pull an adjoint through any one step."""
    op = node.op
    if isinstance(op, Call):
        op.pull_step(node, ct, sums)
        return
    if op.elementwise:
        pull_elementwise(node, ct, sums)
        return
    mask = None
    if type(ct) is Marked:
        mask, ct = ct.mask, ct.value
    y, args, params = node.result(), node.operands(), node.params
    for i, parent in enumerate(node.parents):
        if parent is None:
            continue
        c = op.vjp_of(i, ct, y, args, params)
        if c is None:
            continue
        c = conform(c, parent)
        if parent.op is not None and op.structural and (mask is not None or op.scatter is not None):
            unmarked = np.logical_not(mask).astype(node.dtype) if mask is not None else np.ones(node.shape, node.dtype)
            c = Marked(c, conform(op.vjp_of(i, unmarked, y, args, params), parent) == 0)
        sums.add(parent, c)


def pull_elementwise(node: Node, ct: Any, sums: Adjoints) -> None:
    """Pull an adjoint through an elementwise step when marks arrive or arise."""
    op = node.op
    y, args = node.y, node.args
    mask = None
    if type(ct) is Marked:
        mask, ct = ct.mask, ct.value
    for i, parent in enumerate(node.parents):
        if parent is None:
            continue
        c = op.vjps[i](ct, y, *args)
        own = mask
        if op.marks is not None and op.marks[i] is not None:
            unchosen = op.marks[i](y, *args)
            own = unchosen if mask is None else np.logical_or(mask, unchosen)
        if own is None:
            sums.add(parent, conform(c, parent))
            continue
        c, own = blank(c, own, node.shape)
        c = conform(c, parent)
        sums.add(parent, Marked(c, reduce_mask(own, parent.shape)) if parent.op is not None else c)


def blank(c: Any, mask: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Put exact zeros where the mask says so; returns the value and the mask at the full shape."""
    if np.shape(mask) != shape:
        mask = np.broadcast_to(mask, shape)
    if np.shape(c) != shape:
        c = np.broadcast_to(c, shape)
    return np.where(mask, np.zeros((), dtype_of(c)), c), mask


def pull_scatter(node: Node, ct: Any, sums: Adjoints) -> bool:
    """Add an indexed step's adjoint into the parent's own buffer; False when that needs a new array instead."""
    if not isinstance(ct, (np.ndarray, np.generic)):
        return False
    parent = node.parents[0]
    assert parent is not None
    target, unchosen = sums.buffer(parent)
    if target is None:
        return False
    node.op.scatter(target, unchosen, ct, *node.args[1:], **node.params)
    return True


def conform(c: Any, like: Any) -> Any:
    """Sum a broadcast adjoint back to the shape of its argument, and give it the argument's dtype."""
    if c.shape != like.shape:
        c = unbroadcast(c, like.shape)
    dtype = c.dtype
    if dtype is not like.dtype and dtype != like.dtype:
        if dtype.kind == "c" and like.dtype.kind != "c":
            c = np.real(c)
        if dtype_of(c) != like.dtype:
            c = c.astype(like.dtype)
    return c


def unbroadcast(c: Any, shape: tuple[int, ...]) -> Any:
    """Transpose of broadcasting: sum over the axes that were added or stretched."""
    if not shape:
        return np.add.reduce(c, axis=None) if type(c) is np.ndarray else np.sum(c)
    have = c.shape
    axes = stretched(have, shape)
    if axes is None:
        return np.broadcast_to(c, shape)  # the rule gave a smaller array than the argument
    c = np.add.reduce(c, axis=axes) if type(c) is np.ndarray else np.sum(c, axis=axes)
    return c if c.shape == shape else np.reshape(c, shape)


def stretched(have: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Axes that broadcasting from `shape` to `have` added or stretched; None if it does not lead there."""
    extra = len(have) - len(shape)
    if extra < 0 or any(n not in (h, 1) for n, h in zip(shape, have[extra:], strict=True)):
        return None
    return tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and have[i + extra] != 1)


def reduce_mask(mask: Any, shape: tuple[int, ...]) -> Any:
    """A broadcast entry stays marked if all its copies are."""
    if mask.shape == shape:
        return mask
    axes = stretched(mask.shape, shape)
    return np.reshape(np.all(mask, axis=axes), shape)


# -- the forward sweep over a recorded trace -----------------------------------------------------------------


def tangent(op: Any, ts: list[Any], y: Any, args: tuple[Any, ...], params: dict[str, Any], like: Any) -> Any:
    """Tangent of one step from those of its arguments (None: a structural zero)."""
    if op.joint_jvp is not None:
        return expand(op.joint_jvp(ts, y, *args, **params), like)
    total = None
    for i, t in enumerate(ts):
        if t is None or not op.differentiable(i):
            continue
        c = op.jvp_of(i, t, y, args, params)
        if c is None:
            continue
        if op.marks is not None and op.marks[i] is not None:
            c, _ = blank(c, op.marks[i](y, *args), like.shape)
        total = c if total is None else total + c
    return None if total is None else expand(total, like)


def expand(t: Any, like: Any) -> Any:
    """Give a tangent the shape and dtype of its primal."""
    if shape_of(t) != like.shape:
        t = np.broadcast_to(t, like.shape)
    dtype = dtype_of(t)
    if dtype != like.dtype:
        if dtype.kind == "c" and like.dtype.kind != "c":
            t = np.real(t)
        if dtype_of(t) != like.dtype:
            t = t.astype(like.dtype)
    return t


def push_forward(roots: Iterable[Node], seeds: dict[Node, Any], stop: int = -1) -> dict[Node, Any]:
    """Push tangents of the inputs along a recorded trace; returns those of the roots that depend on them."""
    roots = list(roots)
    ts: dict[Node, Any] = dict(seeds)
    with np.errstate(all="ignore"):
        for node in reachable(roots, stop):
            if node in ts or node.op is None or node.seq < stop:
                continue
            own = [None if p is None else ts.get(p) for p in node.parents]
            if all(t is None for t in own):
                continue
            if isinstance(node.op, Call):
                t = node.op.push_step(node, own)
            else:
                t = tangent(node.op, own, node.result(), node.operands(), node.params, node)
            if t is not None:
                ts[node] = t
    return {root: ts[root] for root in roots if root in ts}


# -- steps with several results ------------------------------------------------------------------------------


class Call:
    """A step with any number of results: a function with a custom rule, or a checkpointed one.

    Its node's adjoint is a list; each result is a `Project` node that picks one entry. Subclasses define
    ``push(ts)`` (tangents of the results, None for zero, from those of the arguments) and ``pull(cts)``.
    """

    name = "call"
    elementwise = single = False
    marks = None
    scatter = None

    def push(self, ts: list[Any]) -> list[Any]:
        """Tangents of the results from tangents of the arguments."""
        raise NotImplementedError

    def pull(self, cts: list[Any]) -> list[Any]:
        """Adjoints of the arguments from adjoints of the results."""
        raise NotImplementedError

    def push_step(self, node: Node, ts: list[Any]) -> Any:
        """Run `push`; the "tangent" of this node is the list of all results' tangents."""
        return self.push(ts)

    def pull_step(self, node: Node, cts: list[Any], sums: Adjoints) -> None:
        """Run `pull` and hand the adjoints to the arguments."""
        for parent, c in zip(node.parents, self.pull([drop_marks(c) for c in cts]), strict=True):
            if parent is not None and c is not None:
                sums.add(parent, conform(c, parent))


class Project(Call):
    """Result number `index` of a `Call`."""

    name = "project"

    def __init__(self, index: int, count: int) -> None:
        self.index = index
        self.count = count

    def push_step(self, node: Node, ts: list[Any]) -> Any:
        """Pick the tangent of this result."""
        return ts[0][self.index]

    def pull_step(self, node: Node, cts: Any, sums: Adjoints) -> None:
        """Put the adjoint of this result into the call's list."""
        call = node.parents[0]
        assert call is not None
        entries = sums.of.setdefault(call, [None] * self.count)
        have = entries[self.index]
        entries[self.index] = cts if have is None else add_adjoints(have, cts)


def call_nodes(call: Call, parents: Sequence[Node | None], likes: Sequence[Any]) -> list[Node]:
    """Record a call; returns the node of each of its results, which have the shapes and dtypes of `likes`."""
    node = Node(call, tuple(parents), (), None, (), None)
    count = len(likes)
    return [Node(Project(i, count), (node,), (), None, shape_of(y), dtype_of(y)) for i, y in enumerate(likes)]


def record_call(level: Level, call: Call, parents: Sequence[Node | None], results: Sequence[Any]) -> list[Any]:
    """Record a call at `level`; returns a variable for each result that can carry a derivative, else the result."""
    nodes = call_nodes(call, parents, results)
    return [Variable(level, y, n) if is_inexact(y) else y for y, n in zip(results, nodes, strict=True)]
