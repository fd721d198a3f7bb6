"""Threads for kernels: a range of independent work, cut into contiguous chunks for a small pool of Python threads.

Kernels release the GIL, so plain threads run them side by side. Compared with Numba's `prange` this compiles one
version of each kernel instead of two, works on every platform without OpenMP or TBB, and may be used from several
threads of the user's at once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from itertools import count as counter
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.cpu.spinning import rests_per_microsecond, spin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["num_threads", "parallel_for", "set_num_threads", "threads"]

PATIENCE = 500.0  # microseconds that a thread waits awake: the Python between two kernels of a training step
PORTIONS = 6  # chunks that a thread may take one by one, where they are worth a call each
SETTLING = 2.0  # microseconds from the change of a cell to the release of the GIL


class _Job:
    """One chunk, waiting for a thread to take it and for its owner to learn the outcome."""

    __slots__ = ("arguments", "done", "ended", "error", "function")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function = function
        self.arguments = arguments
        self.error: BaseException | None = None
        self.ended = np.zeros(1, np.int64)
        self.done = threading.Lock()
        self.done.acquire()

    def run(self) -> None:
        try:
            self.function(*self.arguments)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.error = error
        self.done.release()
        self.ended[0] = 1


class _Pool:
    """The threads that wait for jobs, started when they are first needed, and the limit on their number."""

    def __init__(self) -> None:
        self.limit: int | None = None
        self.inside = threading.local()
        self.reset()

    def reset(self) -> None:
        """Forget the threads: after a fork, the child has none."""
        self.lock = threading.Lock()
        self.queue: SimpleQueue[_Job] = SimpleQueue()
        self.posts = counter(1)
        self.posted = np.zeros(1, np.int64)  # changes with every job
        self.workers = 0

    def ensure(self, count: int) -> None:
        """Start threads until `count` of them wait for jobs. They are daemons: they never keep the program alive."""
        if self.workers >= count:
            return
        with self.lock:
            while self.workers < count:
                threading.Thread(target=self.work, name=f"autodiff-kernel-{self.workers}", daemon=True).start()
                self.workers += 1

    def post(self, jobs: list[_Job]) -> None:
        for job in jobs:
            self.queue.put(job)
        self.posted[0] = next(self.posts)

    def work(self) -> None:
        """Run jobs for ever. Between two of them stay awake for a while: a kernel seldom comes alone."""
        self.inside.worker = True
        while True:
            self.queue.get().run()
            before = int(self.posted[0])
            if self.queue.empty():  # what is posted from here on changes the cell
                self.wait(self.posted, before)

    def wait(self, cells: Any, old: int) -> None:
        """Wait awake until the cell has changed, not for long, and not where threads outnumber the processors."""
        if self.limit is not None and self.limit <= available():
            pace = rests_per_microsecond()
            spin(cells, old, int(PATIENCE * pace), int(SETTLING * pace))


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.reset)


@functools.cache
def available() -> int:
    """Return the number of processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def num_threads() -> int:
    """Return how many threads a kernel may use.

    It is what `set_num_threads` set, else the environment's `AUTODIFF_NUM_THREADS`, else `OMP_NUM_THREADS` (which
    NumPy's BLAS reads too), else the number of processors that this process may use.

    Examples
    --------
    >>> num_threads() >= 1
    True
    """
    if _pool.limit is None:
        _pool.limit = available()
        for name in ("AUTODIFF_NUM_THREADS", "OMP_NUM_THREADS"):
            text = os.environ.get(name, "")
            if text.strip().isdigit() and int(text) > 0:
                _pool.limit = int(text)
                break
    return _pool.limit


def set_num_threads(count: int) -> None:
    """Let every kernel use at most `count` threads from now on.

    Raises
    ------
    ValueError
        If `count` is not a positive integer.

    Examples
    --------
    >>> before = num_threads()
    >>> set_num_threads(1)
    >>> num_threads()
    1
    >>> set_num_threads(before)
    """
    if type(count) is not int or count < 1:
        raise ValueError(f"set_num_threads: the number of threads must be a positive integer, got {count!r}")
    _pool.limit = count


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Use at most `count` threads inside the `with` block.

    Examples
    --------
    >>> with threads(1):
    ...     num_threads()
    1
    """
    before = num_threads()
    set_num_threads(count)
    try:
        yield
    finally:
        set_num_threads(before)


def parallel_for(
    function: Callable[..., Any], count: int, *arguments: Any, grain: int = 1, portion: int | None = None
) -> None:
    """Call `function(start, stop, *arguments)` on contiguous chunks that together cover `range(count)`.

    Parameters
    ----------
    function
        A compiled kernel that releases the GIL. Its chunks must not depend on one another.
    count
        The size of the range. Nothing is called when it is 0.
    arguments
        What every chunk receives, after its bounds.
    grain
        The smallest chunk worth a thread of its own.
    portion
        The smallest chunk worth a call of its own. With it the range is cut finer than there are threads, and each
        takes the next chunk when it is done with one: a thread that is interrupted, or that runs on a slower
        processor, leaves the rest to the others.

    Raises
    ------
    Exception
        The first error that a chunk raised, after all of them have ended.

    Examples
    --------
    >>> import numpy as np
    >>> def square(start, stop, x, out):
    ...     out[start:stop] = x[start:stop] ** 2
    >>> x = np.arange(5.0)
    >>> out = np.empty(5)
    >>> parallel_for(square, 5, x, out)
    >>> out
    array([ 0.,  1.,  4.,  9., 16.])
    """
    if count <= 0:
        return
    parts = min(num_threads(), max(count // max(grain, 1), 1))
    if parts == 1 or getattr(_pool.inside, "worker", False):
        function(0, count, *arguments)
        return
    _pool.ensure(parts - 1)
    chunks = parts
    if portion is not None:
        chunks = parts * max(1, min(PORTIONS, count // max(portion, 1) // parts))  # the same number for each thread
    bounds = [count * i // chunks for i in range(chunks + 1)]
    if chunks == parts:
        jobs = [_Job(function, (bounds[i], bounds[i + 1], *arguments)) for i in range(parts)]
    else:
        work = (function, bounds, counter(), arguments)
        jobs = [_Job(_take_chunks, work) for _ in range(parts)]
    own = jobs.pop(0)
    _pool.post(jobs)
    own.run()
    for job in jobs:  # whatever happened: the other chunks still write into the caller's arrays
        _pool.wait(job.ended, 0)
        job.done.acquire()
    for job in (own, *jobs):
        if job.error is not None:
            raise job.error


def _take_chunks(function: Callable[..., Any], bounds: list[int], turn: Iterator[int], arguments: Any) -> None:
    """Call the function on one chunk after the other; who is to take which is drawn from the iterator."""
    for i in turn:
        if i + 1 >= len(bounds):
            return
        function(bounds[i], bounds[i + 1], *arguments)
