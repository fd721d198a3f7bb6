"""The backward sweep over a recorded trace, which pulls adjoints; `autodiff.core.tangents` has the forward one.

An adjoint may be smaller than its node as long as it broadcasts to it: the adjoint of a summed array is one
number, and a rule that multiplies by it needs no array of ones. It is expanded where an operation looks at
positions, and at the inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.backend import HOST, foreign
from autodiff.core.scaled import Scaled, added, plain, rescaled
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.variable import (
    Call,
    Node,
    Project,
    ReverseLevel,
    Variable,
    call_nodes,
    input_node,
    next_seq,
    record_call,
)
from autodiff.core.zeros import Marked, add_adjoints, drop_marks

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Call",
    "Node",
    "ReverseLevel",
    "Variable",
    "call_nodes",
    "input_node",
    "next_seq",
    "pull_back",
    "record_call",
]


_WRAPPED = frozenset({Marked, Scaled})  # what a rule does not take as it is


class Adjoints:
    """Adjoints of nodes while they are being summed; a sum that this object allocated is updated in place."""

    __slots__ = ("bare", "of", "owned")

    def __init__(self) -> None:
        self.bare: dict[Node, bool] = {}  # of `autodiff.ops.assignment`
        self.of: dict[Node, Any] = {}
        self.owned: set[Node] = set()

    def add(self, node: Node, ct: Any, *, fresh: bool = False) -> None:
        """Add a contribution to the adjoint of a node; a `fresh` array belongs to nobody else."""
        have = self.of.get(node)
        if have is None:
            self.of[node] = ct
        elif type(have) is Marked or type(ct) is Marked:
            self.of[node] = add_adjoints(plain(have), plain(ct))
            self.owned.discard(node)
        elif type(ct) is not np.ndarray or type(have) is not np.ndarray:
            self.of[node] = added(have, ct)
            self.owned.discard(node)
        elif node in self.owned and have.shape == node.shape:
            np.add(have, ct, out=have)
        elif fresh and ct.base is None and ct.shape == node.shape:
            self.of[node] = np.add(have, ct, out=ct)
            self.owned.add(node)
        else:
            self.of[node] = have + ct
            self.owned.add(node)

    def buffer(self, node: Node) -> tuple[Any, Any]:
        """Return the array in which the adjoint of `node` is summed, and its marks (None: no entry is marked).

        Both are made on first use; (None, None) when the adjoint there is not a plain array.
        """
        have = self.of.get(node)
        if have is None:
            value = np.zeros(node.shape, node.dtype)
            mask = None if _plain(node) else np.ones(node.shape, bool)
            self.of[node] = value if mask is None else Marked(value, mask)
        elif type(have) is Marked and node in self.owned:
            return have.value, have.mask
        elif type(have) is Scaled and have.shape == node.shape:
            value, mask = have.value(), None
            self.of[node] = value
        elif type(have) is not np.ndarray:
            return None, None
        elif node in self.owned and have.shape == node.shape:
            return have, None
        else:
            value, mask = np.array(np.broadcast_to(have, node.shape)), None
            self.of[node] = value
        self.owned.add(node)
        return value, mask


def _plain(node: Node) -> bool:
    """Whether no weight can multiply the adjoint of `node` any more: an input, or a selection from one."""
    op = node.op
    if op is None:
        return True
    parent = node.parents[0] if op.scatter is not None else None
    return parent is not None and parent.op is None


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


def pull_back(roots: Iterable[tuple[Node, Any]], stop: int = -1) -> dict[Node, Any]:  # noqa: C901, PLR0912, PLR0915 - the hot loop
    """Transpose a recorded trace: adjoints of the inputs from adjoints of the results.

    Residuals are released as the sweep passes them, if nobody else holds the trace. Nodes recorded before
    `stop` count as inputs. Arrays in the result belong to the caller: none is shared or read-only.
    """
    sums = Adjoints()
    of = sums.of
    shared = set()
    for root, seed in roots:
        sums.add(root, seed)
        shared.add(id(_base(seed)))
    order = reachable(of, stop)
    inputs: dict[Node, Any] = {}
    with np.errstate(all="ignore"):
        while order:
            node = order.pop()
            ct = of.pop(node, None)
            if ct is None:
                continue
            op = node.op
            wrapped = type(ct) in _WRAPPED
            if wrapped and type(ct) is Scaled:
                if op is not None and node.seq >= stop and pull_scaled(node, ct, sums):
                    continue
                ct, wrapped = ct.value(), False
            if op is None or node.seq < stop:
                inputs[node] = _own(full(drop_marks(ct), node), shared)
            elif op.elementwise and op.marks is None and not wrapped:
                y, args, shape = node.y, node.args, node.shape
                for parent, rule in zip(node.parents, op.vjps):  # noqa: B905 - strict= costs 0.1 us here
                    if parent is not None:
                        c = rule(ct, y, *args)
                        if parent.shape != shape:
                            c = conform(full(c, node), parent)
                        elif c.dtype is not parent.dtype:
                            c = conform(c, parent)
                        if parent in of:
                            sums.add(parent, c, fresh=c is not ct)
                        else:
                            of[parent] = c
            elif op.single and not wrapped:
                parent = node.parents[0]
                assert parent is not None
                x = node.args[0]
                if ct.shape != node.shape:
                    ct = full(ct, node)
                c = op.vjps[0](ct, node, parent if x is None else x, **node.params)
                if (c.shape and c.shape != parent.shape) or c.dtype is not parent.dtype:
                    c = conform(c, parent)
                if parent in of:
                    sums.add(parent, c)
                else:
                    of[parent] = c
            elif op.pair and not wrapped:
                pull_pair(node, ct if ct.shape == node.shape else full(ct, node), sums)
            elif op.scatter is None or wrapped or not pull_scatter(node, ct, sums):
                pull_step(node, ct, sums)
    return inputs


def _base(x: Any) -> Any:
    """Return the array that owns the memory of `x`."""
    while isinstance(x, np.ndarray) and x.base is not None:
        x = x.base
    return x


def _own(x: Any, taken: set[int]) -> Any:
    """Copy an array whose memory another result or a seed uses, or that cannot be written to."""
    if type(x) is np.ndarray:
        base = x if x.base is None else _base(x)
        if not x.flags.writeable or id(base) in taken:
            x = base = x.copy()
        taken.add(id(base))
        return x
    if type(x) in HOST or not foreign(x):
        return x
    root = x
    while getattr(root, "base", None) is not None:
        root = root.base
    repeats = any(n > 1 and not s for n, s in zip(x.shape, x.strides, strict=True))
    if repeats or id(root) in taken or id(x) in taken:
        x = x.copy()
    taken.update((id(root), id(x)))
    return x


def full(ct: Any, node: Node) -> Any:
    """Expand an adjoint to the shape of its node."""
    return ct if ct.shape == node.shape else np.broadcast_to(plain(ct), node.shape)


def pull_scaled(node: Node, ct: Scaled, sums: Adjoints) -> bool:
    """Pull an adjoint through a step, and its factor around the rule; False where only the product will do."""
    op, array = node.op, ct.array
    if op.single:
        parent = node.parents[0]
        assert parent is not None
        x = node.args[0]
        c = op.vjps[0](full(array, node), node, parent if x is None else x, **node.params)
        sums.add(parent, rescaled(conform(c, parent), ct.factor))
        return True
    if op.elementwise and op.marks is None:
        for parent, rule in zip(node.parents, op.vjps, strict=True):
            if parent is not None:
                c = rule(array, node.y, *node.args)
                if parent.shape != node.shape:
                    c = full(c, node)
                sums.add(parent, rescaled(conform(c, parent), ct.factor))
        return True
    return op.scatter is not None and pull_scatter(node, ct, sums)


def pull_step(node: Node, ct: Any, sums: Adjoints) -> None:
    """Pull an adjoint through any one step."""
    op = node.op
    if isinstance(op, Call):
        pull_call(node, ct, sums)
    elif isinstance(op, Project):
        entries = sums.of.setdefault(node.parents[0], [None] * op.count)  # type: ignore[arg-type]
        entries[op.index] = full(drop_marks(ct), node)
    elif op.elementwise:
        pull_elementwise(node, ct, sums)
    elif op.joint_vjp is not None:
        pull_jointly(node, full(drop_marks(ct), node), sums)
    elif hasattr(op, "sweep"):
        op.sweep(node, ct, sums)  # its own backward step, where it can do better than its rules
    else:
        pull_structure(node, ct, sums)


def pull_pair(node: Node, ct: Any, sums: Adjoints) -> None:
    """Pull an adjoint through an operation of two arguments without parameters (`matmul`)."""
    (left, right), (a, b) = node.parents, node.args
    x, z = left if a is None else a, right if b is None else b
    y = node.result()
    if left is not None:
        c = node.op.vjps[0](ct, y, x, z)
        if c.shape != left.shape or c.dtype is not left.dtype:
            c = conform(c, left)
        sums.add(left, c, fresh=c is not ct)
    if right is not None:
        c = node.op.vjps[1](ct, y, x, z)
        if c.shape != right.shape or c.dtype is not right.dtype:
            c = conform(c, right)
        sums.add(right, c, fresh=c is not ct)


def pull_call(node: Node, cts: list[Any], sums: Adjoints) -> None:
    """Pull the adjoints of all results of a call."""
    for parent, c in zip(node.parents, node.op.pull(cts), strict=True):
        if parent is not None and c is not None:
            sums.add(parent, conform(c, parent))


def pull_jointly(node: Node, ct: Any, sums: Adjoints) -> None:
    """Pull an adjoint through a step whose contributions to its arguments share work."""
    parents = node.parents
    wanted = tuple([p is not None for p in parents])
    contributions = node.op.joint_vjp(ct, wanted, node.result(), *node.operands(), **node.params)
    for parent, c in zip(parents, contributions, strict=True):
        if parent is not None:
            sums.add(parent, conform(c, parent), fresh=c is not ct)


def pull_structure(node: Node, ct: Any, sums: Adjoints) -> None:
    """Pull an adjoint through a step that looks at positions; marks pass through structural ones."""
    op = node.op
    mask = None
    if type(ct) is Marked:
        mask, ct = ct.mask, ct.value
    if ct.shape != node.shape:
        ct = full(ct, node)
    y, args, params = node.result(), node.operands(), node.params
    for i, parent in enumerate(node.parents):
        if parent is None:
            continue
        c = op.vjp_of(i, ct, y, args, params)
        if c is None:
            continue
        if c.shape != parent.shape or c.dtype is not parent.dtype:
            c = conform(c, parent)
        if op.structural and (mask is not None or op.selects) and not _plain(parent):
            unmarked = (
                np.logical_not(mask).astype(node.dtype) if mask is not None else np.ones_like(ct, dtype=node.dtype)
            )
            reached = conform(op.vjp_of(i, unmarked, y, args, params), parent) != 0
            c = Marked(full(c, parent), np.logical_not(full(reached, parent)))
        sums.add(parent, c, fresh=c is not ct)


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
        c = plain(op.vjps[i](ct, y, *args))
        own = mask
        if op.marks is not None and op.marks[i] is not None and not (op.cuts and mask is None and _drops_marks(parent)):
            unchosen = op.marks[i](y, *args)
            own = unchosen if mask is None else np.logical_or(mask, unchosen)
        if own is None:
            sums.add(parent, conform(full(c, node), parent))
            continue
        c, own = blank(c, own, node.shape)
        c = conform(c, parent)
        sums.add(parent, Marked(c, reduce_mask(own, parent.shape)) if parent.op is not None else c)


def _drops_marks(node: Node) -> bool:
    """Whether marks on the adjoint of this node could change nothing: no step that reads them lies behind it."""
    return node.op is None or not (node.op.elementwise or node.op.structural)


def blank(c: Any, mask: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Put exact zeros where the mask says so; returns the value and the mask at the full shape."""
    if np.shape(mask) != shape:
        mask = np.broadcast_to(mask, shape)
    c = np.where(mask, dtype_of(c).type(0), c)
    return c, mask


def pull_scatter(node: Node, ct: Any, sums: Adjoints) -> bool:
    """Add an indexed step's adjoint into the parent's own buffer; False when that needs a new array instead."""
    if not isinstance(ct, (np.ndarray, np.generic, Scaled)):
        return False
    parent = node.parents[0]
    assert parent is not None
    empty = parent not in sums.of
    target, unchosen = sums.buffer(parent)
    if target is None:
        return False
    node.op.scatter(target, unchosen, full(ct, node), empty, *node.args[1:], **node.params)
    return True


def conform(c: Any, like: Any) -> Any:
    """Sum a broadcast adjoint back to the shape of its argument, and give it the argument's dtype.

    An adjoint that is smaller than the argument stays small.
    """
    if type(c) is Scaled:
        return c if c.shape == like.shape and c.dtype == like.dtype else conform(c.value(), like)
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
    axes = stretched(c.shape, shape)
    if axes is None:
        return c
    c = np.add.reduce(c, axis=axes) if type(c) is np.ndarray else np.sum(c, axis=axes)
    return c if c.shape == shape else np.reshape(c, shape)


def stretched(have: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Axes that broadcasting from `shape` to `have` added or stretched; None if it does not lead there."""
    extra = len(have) - len(shape)
    if extra < 0:
        return None
    added = (0,) if extra == 1 else tuple(range(extra))
    if have[extra:] == shape:
        return added
    for i, n in enumerate(shape, extra):
        if n != have[i]:
            if n != 1:
                return None
            added += (i,)
    return added


def reduce_mask(mask: Any, shape: tuple[int, ...]) -> Any:
    """A broadcast entry stays marked if all its copies are."""
    if shape_of(mask) == shape:
        return mask
    return np.reshape(np.all(mask, axis=stretched(mask.shape, shape)), shape)
