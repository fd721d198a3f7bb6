"""Paired, interleaved timing with a correctness check before every measurement.

A case names one computation and its contenders, the engine under test first. Every contender is called
once and its result compared with the expected one; only then is anything timed. Timing happens in one
process, in rounds: each round times every contender once, in turn, so that slow spells of the machine
fall on all of them alike, and ratios are taken within a round. The garbage collector stays on, as in the
programs that users run, and collects between rounds.
"""

import gc
import importlib
import importlib.metadata
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""An array of any library, or a scalar."""

Tree: TypeAlias = Any
"""Arrays in nested lists, tuples and dictionaries."""

Runner: TypeAlias = Callable[[], Tree]

OURS = "autodiff"
PRIMAL = "primal"


@dataclass(frozen=True)
class Contender:
    """One way to compute a case.

    Parameters
    ----------
    run
        The call to time; None where the library is not installed.
    expected
        What `run` must return, up to the tolerance of the case.
    """

    run: Runner | None
    expected: Tree


@dataclass(frozen=True)
class Case:
    """One computation and the ways to compute it.

    Parameters
    ----------
    section
        The table that the case belongs to.
    name
        The row within the table.
    contenders
        By name; must hold `OURS`.
    tolerance
        Relative to each value and to the largest value of its array.
    operations
        Number of primitives that the computation applies; 0 where that means little.
    targets
        By contender: the largest wanted ratio of our time to its time.
    """

    section: str
    name: str
    contenders: Mapping[str, Contender]
    tolerance: float = 1e-9
    operations: int = 0
    targets: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """Seconds per call of every contender in every round.

    Parameters
    ----------
    case
        What was measured.
    times
        By contender; one entry a round. Contenders that are not installed are missing.
    """

    case: Case
    times: Mapping[str, Sequence[float]]

    def ratio(self, numerator: str, denominator: str) -> float:
        """Return the median over the rounds of the ratio of two contenders' times."""
        pairs = zip(self.times[numerator], self.times[denominator], strict=True)
        return statistics.median(above / below for above, below in pairs)

    def as_json(self) -> dict[str, Any]:
        """Return the measurement as JSON-ready values."""
        contenders: dict[str, Any] = {}
        for name in self.case.contenders:
            if name not in self.times:
                contenders[name] = None
                continue
            times = self.times[name]
            contenders[name] = {
                "seconds": list(times),
                "median": statistics.median(times),
                "min": min(times),
                "max": max(times),
                "ratio_of_ours": self.ratio(OURS, name),
                "target": self.case.targets.get(name),
            }
        return {
            "section": self.case.section,
            "name": self.case.name,
            "operations": self.case.operations,
            "contenders": contenders,
        }


def leaves(tree: Tree) -> list[np.ndarray]:
    """Return the arrays of a tree in a fixed order: dictionaries by sorted key."""
    if isinstance(tree, Mapping):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, list | tuple):
        return [leaf for part in tree for leaf in leaves(part)]
    if hasattr(tree, "detach"):
        tree = tree.detach().numpy()
    return [np.asarray(tree)]


def check(case: Case) -> None:
    """Raise AssertionError where a contender's result is not the expected one."""
    for name, contender in case.contenders.items():
        if contender.run is None:
            continue
        label = f"{case.section}/{case.name}: {name}"
        actual, expected = leaves(contender.run()), leaves(contender.expected)
        if len(actual) != len(expected):
            message = f"{label}: {len(actual)} arrays where {len(expected)} are expected"
            raise AssertionError(message)
        for got, want in zip(actual, expected, strict=True):
            if name == OURS and got.dtype != want.dtype:
                message = f"{label}: dtype {got.dtype} where {want.dtype} is expected"
                raise AssertionError(message)
            if got.shape != want.shape:
                message = f"{label}: shape {got.shape} where {want.shape} is expected"
                raise AssertionError(message)
            slack = case.tolerance * float(np.max(np.abs(want), initial=0.0))
            np.testing.assert_allclose(got, want, rtol=case.tolerance, atol=slack, err_msg=label)


def complex_step(function: Callable[[Array], Array], point: Array, direction: Array) -> np.ndarray:
    """Return the directional derivative of an analytic NumPy function, exact to rounding.

    The imaginary part of `function(point + i h direction)`, over `h`, has no cancellation, so `h` can be so
    small that the truncation error vanishes.
    """
    step = 1e-200
    shifted = np.asarray(point) + 1j * step * np.asarray(direction)
    return np.imag(np.asarray(function(shifted[()]))) / step


def complex_gradient(function: Callable[[Array], Array], point: Array) -> np.ndarray:
    """Return the gradient of an analytic scalar-valued NumPy function by complex steps, one per element."""
    gradient = np.zeros(np.shape(point))
    for index in np.ndindex(gradient.shape):
        direction = np.zeros(gradient.shape)
        direction[index] = 1.0
        gradient[index] = complex_step(function, point, direction)
    return gradient


def _sample(run: Runner, count: int) -> float:
    """Return the seconds per call over `count` calls."""
    start = time.perf_counter()
    for _ in repeat(None, count):
        run()
    return (time.perf_counter() - start) / count


def _calibrate(run: Runner, sample_seconds: float) -> int:
    """Warm up and return how many calls make one sample."""
    count = 1
    while True:
        elapsed = _sample(run, count) * count
        if elapsed >= sample_seconds:
            return count
        count = max(count + 1, min(10 * count, math.ceil(1.1 * count * sample_seconds / max(elapsed, 1e-9))))


def measure(case: Case, rounds: int, sample_seconds: float) -> Measurement:
    """Check a case, warm every contender up, and time them in turn.

    Parameters
    ----------
    case
        What to measure.
    rounds
        Number of samples of each contender.
    sample_seconds
        Shortest duration of one sample; calls are repeated to reach it.

    Returns
    -------
    Measurement
        The times of all rounds.
    """
    check(case)
    runs = {name: contender.run for name, contender in case.contenders.items() if contender.run is not None}
    counts = {name: _calibrate(run, sample_seconds) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        gc.collect()
        for name, run in runs.items():
            times[name].append(_sample(run, counts[name]))
    return Measurement(case, times)


def geometric_mean(measurements: Sequence[Measurement], peer: str) -> float | None:
    """Return the geometric mean of the ratios of our times to a peer's; None where it was not measured."""
    ratios = [item.ratio(OURS, peer) for item in measurements if peer in item.times]
    return statistics.geometric_mean(ratios) if ratios else None


def _duration(seconds: float) -> str:
    """Return a duration in a unit that suits it."""
    for unit, scale in (("s ", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:8.3f} {unit}"
    return f"{seconds / 1e-6:8.2f} us"


def verdict(ratio: float, target: float) -> str:
    """Return a target and whether a ratio meets it."""
    return f"<= {target:.2f} {'met' if ratio <= target else 'MISSED'}"


def print_header(title: str) -> None:
    """Print the title of a section and the names of the columns."""
    print(f"\n{title}")
    columns = f"{'median':>11} {'min':>11} {'max':>11} {'us/op':>7} {'ours/it':>8} {'x primal':>9}  target"
    print(f"{'program':<22} {'contender':<10} {columns}")


def print_measurement(item: Measurement) -> None:
    """Print one line for each contender of a measurement."""
    case = item.case
    for position, name in enumerate(case.contenders):
        line = f"{case.name if position == 0 else '':<22} {name:<10} "
        if name not in item.times:
            print(f"{line}not installed")
            continue
        times = item.times[name]
        median = statistics.median(times)
        line += f"{_duration(median)} {_duration(min(times))} {_duration(max(times))} "
        line += f"{1e6 * median / case.operations:7.2f} " if case.operations else f"{'':7} "
        line += f"{'':8} " if name == OURS else f"{item.ratio(OURS, name):8.3f} "
        line += f"{item.ratio(name, PRIMAL):9.2f}" if PRIMAL in item.times else f"{'':9}"
        if name in case.targets:
            line += f"  {verdict(item.ratio(OURS, name), case.targets[name])}"
        print(line.rstrip(), flush=True)


def version(name: str) -> str:
    """Return the version of an installed distribution."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    """Return the model of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine(threads: int) -> dict[str, str]:
    """Return what the times depend on: processor, versions, threads, load, and the date."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    return {
        "date": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "processor": f"{_processor()}, {os.cpu_count()} logical cores",
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "autograd", "torch", "jax")},
        "threads": str(threads),
        "load average": load,
    }


def limit_threads(threads: int) -> None:
    """Limit the thread pools that are already loaded, where `threadpoolctl` is installed."""
    module = optional("threadpoolctl")
    if module is not None:
        module.threadpool_limits(threads)


def optional(name: str) -> Any:
    """Return a module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == name.partition(".")[0]:
            return None
        raise


def torch_module(threads: int) -> Any:
    """Return PyTorch limited to some threads, or None where it is not installed."""
    torch = optional("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    return torch


def torch_namespace(torch: Any) -> SimpleNamespace:
    """Return PyTorch's functions under their NumPy names."""
    names = ("sin", "exp", "log", "tanh", "sum", "mean", "arange")
    return SimpleNamespace(max=torch.amax, **{name: getattr(torch, name) for name in names})
