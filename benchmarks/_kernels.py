"""What the kernel benchmarks share: cases with a peer, paired rounds, tables with geometric means and targets.

Every contender is checked against a reference before it is timed. A round times each contender once, in turn, on the
same data; a ratio is the median over the rounds of the peer's time over ours, so that 1.2 means 1.2 times as fast.
"""

import argparse
import importlib.util
import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_THREAD_VARIABLES = (
    "AUTODIFF_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def options(
    description: str | None, argv: Sequence[str] | None = None, *, devices: Sequence[str] = ("cpu",)
) -> argparse.Namespace:
    """Read the command line, and set the number of threads before any library reads it.

    A device that the program or the machine does not have ends it with one line and exit code 2, never with a run on
    another device than was asked for.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--device", default="cpu", help="where to run (default cpu)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every contender (default 1)")
    parser.add_argument("--rounds", type=int, help="rounds of each case (default 15, quick 3)")
    parser.add_argument("--quick", action="store_true", help="few rounds: checks more than it measures")
    parser.add_argument("--only", action="append", metavar="TEXT", help="cases whose group and name hold TEXT")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every time of every round to FILE")
    found = parser.parse_args(argv)
    if found.threads < 1 or (found.rounds is not None and found.rounds < 1):
        parser.error("--threads and --rounds must be positive")
    if found.device not in devices:
        print(f"This program has no --device {found.device}, only {', '.join(devices)}.", file=sys.stderr)
        raise SystemExit(2)
    if found.device == "cuda-sim":
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # read when Numba is imported
    if found.rounds is None:
        found.rounds = 3 if found.quick else 15
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(found.threads)
    if found.device == "cuda":
        from benchmarks import _device

        _device.require()
    sys.path[:] = [str(_HERE.parent), *(p for p in sys.path if Path(p or ".").resolve() != _HERE)]
    return found


def wanted(found: argparse.Namespace, group: str, name: str) -> bool:
    """Return whether the command line asks for a case; programs ask before they prepare its data."""
    return not found.only or any(text in f"{group}/{name}" for text in found.only)


@dataclass(frozen=True)
class KernelCase:
    """One computation: contenders by name (ours first), and what they must return.

    Parameters
    ----------
    group, name
        The table and the row.
    runs
        Functions without arguments; None where the library is not installed.
    expected
        Arrays in the order in which every contender returns them, or None: the contenders are compared with the first.
    work
        Floating-point operations, or bytes, of one call.
    tolerance
        Largest difference, relative to the largest expected value.
    peers
        The contenders that ours are compared with.
    peak
        The most work per second that the device was seen to do.
    checks
        By contender, what is compared with `expected`, where that is more than what a run returns.
    """

    group: str
    name: str
    runs: Mapping[str, Callable[[], Any] | None]
    expected: Sequence[Any]
    work: float
    tolerance: float = 1e-4
    peers: Sequence[str] = ()
    peak: float | None = None
    checks: Mapping[str, Callable[[], Any]] = field(default_factory=dict)


@dataclass
class Outcome:
    """The times of one case, in seconds, and the ratios to the best peer of each round."""

    case: KernelCase
    times: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Return the median time of a contender."""
        return statistics.median(self.times[name])

    def best(self, names: Sequence[str]) -> str | None:
        """Return the contender with the smallest median among those that are installed."""
        present = [name for name in names if name in self.times]
        return min(present, key=self.median) if present else None

    def headline(self, ours: Sequence[str]) -> float | None:
        """Return how many times as fast our best contender is as the best peer; None without a peer."""
        mine, peer = self.best(ours), self.best(self.case.peers)
        return None if mine is None or peer is None else self.ratio(mine, peer)

    def ratio(self, name: str, peer: str) -> float:
        """Return how many times as fast a contender is as another: the median over the rounds."""
        pairs = zip(self.times[name], self.times[peer], strict=True)
        return statistics.median(below / above for above, below in pairs)


PERIOD = 2e-2
"""Seconds: every figure is the mean over as many calls."""

RESTS = {"numpy": 0.25}
"""Seconds of rest behind a contender with several threads: OpenBLAS's spin on for 0.11 s after a product (as processor
time shows) and take a processor from whoever comes next; everybody else's sleep within `REST`."""
REST = 0.02


def measure(case: KernelCase, rounds: int, threads: int = 1) -> Outcome:
    """Check every contender, and time all of them in turn, each after a rest and a time to warm up."""
    import gc
    import time

    outcome = Outcome(case)
    runs = {name: run for name, run in case.runs.items() if run is not None}
    counts = {}
    for name, run in runs.items():
        _check(case, name, case.checks.get(name, run)())
        start = time.perf_counter()
        run()
        counts[name] = max(1, math.ceil(PERIOD / max(time.perf_counter() - start, 1e-9)))
        outcome.times[name] = []
    turns, before = list(runs.items()), ""
    for _ in range(rounds):
        gc.collect()
        turns.append(turns.pop(0))  # nobody always goes first
        for name, run in turns:
            if threads > 1:
                time.sleep(RESTS.get(before, REST))
            before = name
            for _ in range(counts[name]):  # its data come back into the cache
                run()
            start = time.perf_counter()
            for _ in range(counts[name]):
                run()
            outcome.times[name].append((time.perf_counter() - start) / counts[name])
    return outcome


def _check(case: KernelCase, name: str, result: Any) -> None:
    """Raise where a result is not the expected one."""
    import numpy as np

    arrays = result if isinstance(result, (tuple, list)) else (result,)
    for got, want in zip(arrays, case.expected, strict=True):
        array = np.asarray(got.detach() if hasattr(got, "detach") else got)
        slack = case.tolerance * max(float(np.max(np.abs(want), initial=0)), 1e-30)
        np.testing.assert_allclose(array, want, rtol=0, atol=slack, err_msg=f"{case.group}/{case.name}: {name}")


def run(
    cases: Iterable[KernelCase],
    found: argparse.Namespace,
    *,
    unit: str,
    targets: Mapping[str, tuple[float, float]],
    ours: Sequence[str] = ("ours",),
    chosen: str | None = None,
    remark: str = "",
    measure: Callable[[KernelCase, int, int], Outcome] = measure,
    machine: Mapping[str, str] | None = None,
) -> int:
    """Measure and print; return the exit code of the program.

    The headline ratio is that of the fastest of `ours` to the fastest peer. `targets` gives for each group the least
    geometric mean of these ratios, and the least of any case. The contender `chosen`, where given, must come within
    5 % of the best of all in every case. `measure` and `machine` replace those of this computer.
    """
    from benchmarks import _harness as harness

    for key, value in (machine or harness.machine(found.threads)).items():
        print(f"{key}: {value}")
    if remark:
        print(remark)
    outcomes: dict[str, list[Outcome]] = {}
    for case in cases:
        if case.group not in outcomes:
            outcomes[case.group] = []
            print(f"\n{case.group}")
            columns = "  ".join(f"{name:>15}" for name in case.runs)
            print(
                f"{'case':<34} {columns}  {'ratio':>6}   ({unit} by medians; ratio: the best peer's time over our best)"
            )
        outcome = measure(case, found.rounds, found.threads)
        outcomes[case.group].append(outcome)
        print(_row(outcome, ours), flush=True)
    missed = _summary(outcomes, targets, ours)
    if chosen is not None:
        missed += _choice(outcomes, chosen)
    if found.json is not None:
        found.json.write_text(json.dumps(_as_json(outcomes, ours), indent=1), encoding="utf-8")
    if missed:
        print(f"\n{missed} target(s) missed")
    return 0


def _row(outcome: Outcome, ours: Sequence[str]) -> str:
    cells = []
    for name in outcome.case.runs:
        if name not in outcome.times:
            cells.append(f"{'not installed':>15}")
            continue
        median = outcome.median(name)
        cells.append(f"{outcome.case.work / median / 1e9:7.1f} {_short(median):>7}")
    found = outcome.headline(ours)
    ratio = "     -" if found is None else f"{found:6.2f}"
    peak, mine = outcome.case.peak, outcome.best(ours)
    share = (
        "" if peak is None or mine is None else f"  {outcome.case.work / outcome.median(mine) / peak:4.0%} of the peak"
    )
    return f"{outcome.case.name:<34} {'  '.join(cells)}  {ratio}{share}"


def _short(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f}us"


def _summary(
    outcomes: Mapping[str, list[Outcome]], targets: Mapping[str, tuple[float, float]], ours: Sequence[str]
) -> int:
    missed = 0
    print()
    for group, items in outcomes.items():
        ratios = [ratio for item in items if (ratio := item.headline(ours)) is not None]
        if not ratios:
            continue
        mean, least = statistics.geometric_mean(ratios), min(ratios)
        line = f"{group}: geometric mean {mean:.2f}, least {least:.2f}"
        if group in targets:
            wanted, floor = targets[group]
            met = mean >= wanted and least >= floor
            missed += not met
            line += f"; wanted {wanted:.2f} and {floor:.2f}: {'met' if met else 'MISSED'}"
        print(line)
    return missed


def _choice(outcomes: Mapping[str, list[Outcome]], chosen: str) -> int:
    """Print how far a contender stays behind the fastest one at worst; return 1 if by more than 5 %."""
    worst, where = 1.0, ""
    for items in outcomes.values():
        for item in items:
            share = min(item.ratio(chosen, name) for name in item.times)
            if share < worst:
                worst, where = share, item.case.name
    verdict = "met" if worst >= 0.95 else "MISSED"
    print(f"{chosen}: at worst {worst:.2f} of the best of all ({where}); wanted 0.95: {verdict}")
    return worst < 0.95


def _as_json(outcomes: Mapping[str, list[Outcome]], ours: Sequence[str]) -> dict[str, Any]:
    return {
        group: [
            {
                "name": item.case.name,
                "work": item.case.work,
                "peak": item.case.peak,
                "seconds": item.times,
                "ratio": item.headline(ours),
            }
            for item in items
        ]
        for group, items in outcomes.items()
    }


def torch_module(threads: int) -> Any:
    """Return PyTorch limited to some threads, or None where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    torch.set_num_threads(threads)
    return torch
