"""Tangents pushed through one step, and the forward sweep over a recorded trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.reverse import blank, reachable
from autodiff.core.scaled import plain
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.variable import Call, Node, Project
from autodiff.core.zeros import Marked, drop_marks

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["expand", "push", "push_forward", "tangent"]


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
        if total is None:
            total = c
        elif type(c) is np.ndarray and c.dtype == total.dtype and _fresh(total, ts, like):
            total += c
        else:
            total = total + c
    return None if total is None else expand(total, like)


def push(op: Any, ts: list[Any], y: Any, args: tuple[Any, ...], params: dict[str, Any], like: Any) -> Any:
    """Tangent of one step when tangents may be `Marked`, as adjoints may: the same rule of the same entries."""
    if op.marks is None and not any(type(t) is Marked for t in ts):
        return tangent(op, ts, y, args, params, like)
    if op.elementwise:
        return _push_elementwise(op, ts, y, args, params, like)
    t = tangent(op, [drop_marks(t) for t in ts], y, args, params, like)
    if t is None or not op.structural:
        return t
    reached = tangent(op, [None if t is None else _indicator(t) for t in ts], y, args, params, like)
    return Marked(t, np.logical_not(reached != 0))


def _indicator(t: Any) -> Any:
    """Return 1 where a tangent is not marked."""
    return np.logical_not(t.mask).astype(dtype_of(t.value)) if type(t) is Marked else np.ones_like(t)


def _push_elementwise(op: Any, ts: list[Any], y: Any, args: tuple[Any, ...], params: dict[str, Any], like: Any) -> Any:
    """An entry of the result is marked if it is marked in every contribution."""
    total = marked = None
    for i, t in enumerate(ts):
        if t is None or not op.differentiable(i):
            continue
        mask = t.mask if type(t) is Marked else None
        c = op.jvp_of(i, drop_marks(t), y, args, params)
        if op.marks is not None and op.marks[i] is not None:
            unchosen = op.marks[i](y, *args)
            mask = unchosen if mask is None else np.logical_or(mask, unchosen)
        if mask is not None:
            c, mask = blank(c, mask, like.shape)
        marked = mask if total is None else None if mask is None or marked is None else np.logical_and(marked, mask)
        total = c if total is None else total + c
    if total is None:
        return None
    total = expand(total, like)
    return total if marked is None else Marked(total, marked)


def _fresh(x: Any, ts: list[Any], like: Any) -> bool:
    """Whether a rule allocated `x` itself, at full size, so that it may be added to in place."""
    return type(x) is np.ndarray and x.base is None and x.shape == like.shape and not any(x is t for t in ts)


def expand(t: Any, like: Any) -> Any:
    """Give a tangent the shape and dtype of its primal."""
    t = plain(t)
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
                t = node.op.push([drop_marks(t) for t in own])
            elif isinstance(node.op, Project):
                t = ts[node.parents[0]][node.op.index]  # type: ignore[index]
            else:
                t = push(node.op, own, node.result(), node.operands(), node.params, node)
            if t is not None:
                ts[node] = t
    return {root: drop_marks(ts[root]) for root in roots if root in ts}
