"""Ctrl-C at the end of a step instead of in the middle of it."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Interrupted", "Interruption"]


class Interrupted(KeyboardInterrupt):
    """Training that Ctrl-C stopped between two steps; `result` is what `nn.fit` would have returned."""

    result: Any = None


class Interruption:
    """A context in which the first Ctrl-C is noted, for the loop to obey when it can, and the second acts at once.

    Only the main thread gets signals, and a handler that is not Python's own is somebody's decision: elsewhere, and
    beside such a handler, this does nothing.

    Parameters
    ----------
    announce
        Called, in the handler, on the first Ctrl-C.
    """

    def __init__(self, announce: Callable[[], object] = lambda: None) -> None:
        self.requested = False
        self._announce = announce
        self._previous: Any = None

    def __enter__(self) -> Self:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _note(self, *_: object) -> None:
        self._restore()
        self.requested = True
        self._announce()
