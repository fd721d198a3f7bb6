"""Levels: one for each running transform, told apart by identity.

A tracer carries its level with it, so no ambient interpreter exists that two threads, two generators or two
nested transforms could confuse. Levels are ordered by a counter that only ever grows: a transform that starts
inside another has the greater depth, and an operation is always processed by its deepest argument.
"""

from __future__ import annotations

import contextlib
import contextvars
import importlib
import itertools
import sys
import threading
from typing import TYPE_CHECKING, Any

from autodiff.core.errors import leaked_tracer, unmasked
from autodiff.core.memory import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autodiff.core.operation import Operation

__all__ = ["Level", "active_levels", "bind"]

_next_depth = itertools.count(1).__next__
_lock = threading.Lock()  # guards `Level.users`: two threads may recompute the same checkpoint

# The levels that are open in this context (thread, task or generator step): `checkpoint` reopens them to
# recompute, and the tests assert that none is left behind.
_active: contextvars.ContextVar[tuple[Level, ...]] = contextvars.ContextVar("autodiff_levels", default=())


def active_levels() -> tuple[Level, ...]:
    """Return the transforms that are running in the current context, outermost first."""
    return _active.get()


class Level:
    """One running transform. Subclasses say what an operation means to it."""

    __slots__ = ("__weakref__", "closed", "depth", "transform", "users")

    def __init__(self, transform: str) -> None:
        if "cupy" in sys.modules:
            importlib.import_module("autodiff.core.cupy_functions").teach()
        self.depth = _next_depth()
        self.closed = False
        self.users = 1  # the transform itself, and every recomputation that reopened it
        self.transform = transform

    def process(self, op: Operation, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Apply `op` to arguments of which at least one is a tracer of this level."""
        raise NotImplementedError

    def running(self) -> Extent:
        """Keep the level open for the extent of a ``with`` block, then close it for good."""
        return Extent(self)


class Extent:
    """The ``with`` block of a running level; as a generator it would cost a gradient two microseconds."""

    __slots__ = ("level",)

    def __init__(self, level: Level) -> None:
        self.level = level

    def __enter__(self) -> Level:
        _active.set((*_active.get(), self.level))
        return self.level

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        mine = self.level
        _release(mine)
        # Not the tuple from before: generators may end their transforms in another order than they began.
        _active.set(tuple([level for level in _active.get() if level is not mine]))
        if isinstance(error, (ValueError, TypeError, MemoryError)):
            _explain(error)


def _explain(error: ValueError | TypeError | MemoryError) -> None:
    """Raise the error that says more, where there is one."""
    if isinstance(error, MemoryError):
        tell(error)
    elif isinstance(error, ValueError):
        hidden = unmasked(error)
        if hidden is not None:
            raise hidden from None
    elif "cupy" in sys.modules:
        said = importlib.import_module("autodiff.core.cupy_functions").refusal(error)
        if said is not None:
            raise said from error


def _release(level: Level) -> None:
    with _lock:
        level.users -= 1
        level.closed = level.users == 0


@contextlib.contextmanager
def reopened(levels: tuple[Level, ...]) -> Iterator[None]:
    """Let closed levels record again while `checkpoint` runs its function a second time."""
    before = _active.get()
    _active.set(levels)
    with _lock:
        for level in levels:
            level.users += 1
            level.closed = False
    try:
        yield
    finally:
        for level in levels:
            _release(level)
        _active.set(before)


#: Raises an error that says more, if the arguments of an operation live on different devices; see `backend`.
REFUSE: list[Callable[[str, tuple[Any, ...]], None]] = []


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
    try:
        if top is None:
            return op.fn(*args, **params)
        if top.closed:
            raise leaked_tracer(op.name, top.transform)
        return top.process(op, args, params)
    except TypeError:
        REFUSE[0](op.name, args)
        raise
    except MemoryError as error:
        tell(error, op.name if top is None else None)
        raise
