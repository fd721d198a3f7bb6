"""Levels: one for each running transform, told apart by identity.

A tracer carries its level with it, so no ambient interpreter exists that two threads, two generators or two
nested transforms could confuse. Levels are ordered by a counter that only ever grows: a transform that starts
inside another has the greater depth, and an operation is always processed by its deepest argument.
"""

from __future__ import annotations

import contextlib
import contextvars
import itertools
from typing import TYPE_CHECKING, Any

from autodiff.core.errors import leaked_tracer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autodiff.core.operation import Operation

__all__ = ["Level", "active_levels", "bind"]

_next_depth = itertools.count(1).__next__

# The levels that are open in this context (thread, task or generator step): `checkpoint` reopens them to
# recompute, and the tests assert that none is left behind.
_active: contextvars.ContextVar[tuple[Level, ...]] = contextvars.ContextVar("autodiff_levels", default=())


def active_levels() -> tuple[Level, ...]:
    """Return the transforms that are running in the current context, outermost first."""
    return _active.get()


class Level:
    """One running transform. Subclasses say what an operation means to it."""

    __slots__ = ("__weakref__", "closed", "depth", "transform")

    def __init__(self, transform: str) -> None:
        self.depth = _next_depth()
        self.closed = False
        self.transform = transform

    def process(self, op: Operation, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Apply `op` to arguments of which at least one is a tracer of this level."""
        raise NotImplementedError

    @contextlib.contextmanager
    def running(self) -> Iterator[Level]:
        """Keep the level open for the extent of a ``with`` block, then close it for good."""
        outer = _active.get()
        _active.set((*outer, self))
        try:
            yield self
        finally:
            self.closed = True
            _active.set(outer)


@contextlib.contextmanager
def reopened(levels: tuple[Level, ...]) -> Iterator[None]:
    """Let closed levels record again while `checkpoint` runs its function a second time."""
    before = [level.closed for level in levels]
    for level in levels:
        level.closed = False
    try:
        yield
    finally:
        for level, closed in zip(levels, before, strict=True):
            level.closed = closed


class Traced:
    """What `bind` looks for: anything that belongs to a level."""

    __slots__ = ("level",)
    level: Level


def bind(op: Operation, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Apply an operation: the deepest level among the arguments decides what happens.

    With no tracer among the arguments this is a plain NumPy call.
    """
    top = None
    depth = 0
    for a in args:
        if isinstance(a, Traced) and a.level.depth > depth:
            top = a.level
            depth = top.depth
    if top is None:
        return op.fn(*args, **params)
    if top.closed:
        raise leaked_tracer(op.name, top.transform)
    return top.process(op, args, params)
