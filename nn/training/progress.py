"""Progress bars that people can read, and the kernels that are being compiled."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Bar", "compilation"]


class Bar:
    """A tqdm bar over the batches of one pass, with a rate in examples.

    Parameters
    ----------
    label
        What stands in front.
    total
        How many batches there are, if known.
    start
        How many were done before.
    show
        Whether to show it; otherwise only the time is taken.
    """

    def __init__(self, label: str, total: int | None, *, start: int = 0, show: bool = True) -> None:
        from tqdm import tqdm

        self._terminal = terminal = sys.stderr.isatty()
        self._said = False
        self._bar = tqdm(
            desc=label, total=total, initial=start, unit="batch", disable=not show, dynamic_ncols=terminal,
            mininterval=0.2 if terminal else 15.0,
            bar_format="{desc}: {percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]{postfix}",
        )  # fmt: skip
        self.examples = 0
        self.seconds = 0.0
        self._start = time.perf_counter()
        self._pause = 0.0

    def step(self, examples: int, text: str) -> None:
        """Note that a batch is done."""
        self.examples += examples
        self.seconds = time.perf_counter() - self._start - self._pause
        self._bar.set_postfix_str(f"{text}, {self.rate:,.0f} examples/s", refresh=False)
        self._bar.update()

    def tick(self, text: str) -> None:
        """Note that one of something else than batches is done."""
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update()

    @property
    def rate(self) -> float:
        """Examples per second so far, compilation left out."""
        return self.examples / self.seconds if self.seconds > 0 else 0.0

    def say(self, text: str, *, once: bool = False) -> None:
        """Show a text behind the bar at once; in a file, where every change is another line, only the first `once`."""
        if self._terminal or (once and not self._said):
            self._bar.set_postfix_str(text)
        self._said = self._said or once

    def leave_out(self, seconds: float) -> None:
        """Leave a time out of the rate."""
        self._pause += seconds

    def close(self, text: str = "") -> None:
        """Show a last text and leave the bar where it is."""
        if text:
            self._bar.set_postfix_str(text, refresh=False)
        self._bar.close()


@contextlib.contextmanager
def compilation(started: Callable[[str], object], ended: Callable[[float], object]) -> Iterator[None]:
    """Call back when Numba compiles something, which it does on first use: seconds of silence otherwise.

    Parameters
    ----------
    started
        Called with the function's name, for nested compilations too, but not for Numba's own functions.
    ended
        Called, at the end of the outermost one, with the seconds that it took.
    """
    try:
        from numba.core import event
    except ImportError:
        yield
        return

    class Listener(event.Listener):  # type: ignore[misc]
        depth = 0
        since = 0.0

        def on_start(self, event: Any) -> None:
            if self.depth == 0:
                self.since = time.perf_counter()
            self.depth += 1
            function = event.data["dispatcher"].py_func
            if not function.__module__.startswith("numba."):
                started(function.__name__)

        def on_end(self, event: Any) -> None:  # noqa: ARG002 - Numba's signature
            self.depth -= 1
            if self.depth == 0:
                ended(time.perf_counter() - self.since)

    with event.install_listener("numba:compile", Listener()):
        yield
