"""Compare the kernels of elementwise mathematics with NumPy, SciPy and PyTorch, and measure their errors.

Run from a checkout::

    python benchmarks/elementwise.py [--quick] [--rounds N] [--threads N] [--only NAME ...] [--json FILE]
    python benchmarks/elementwise.py --errors [--stride N] [--only NAME ...]

The tables give nanoseconds per element, results written to arrays that exist, and how many times as fast as the peers
our kernels are: the median over the rounds. NumPy has no sigmoid and no erf: SciPy stands in. With `--errors`, every
float32 (or every N-th) is compared with float64 arithmetic instead; all of them take a quarter of an hour.
"""

import argparse
import functools
import json
import math
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent


def _arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few, short rounds: checks more than it measures")
    parser.add_argument("--rounds", type=int, help="samples of each contender (default 25, quick 5)")
    parser.add_argument("--threads", type=int, default=1, help="threads of ours and of PyTorch (default 1)")
    parser.add_argument("--only", action="append", metavar="NAME", help="functions with this name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every time of every round to FILE")
    parser.add_argument("--errors", action="store_true", help="measure the largest errors instead")
    parser.add_argument("--stride", type=int, default=1, help="with --errors: take every N-th float32")
    options = parser.parse_args()
    if min(options.threads, options.stride) < 1 or (options.rounds is not None and options.rounds < 1):
        parser.error("--rounds, --threads and --stride must be positive")
    return options


def _prepare(threads: int) -> None:
    """Set the module path and the thread limits, which libraries read when they are first imported."""
    kept = [entry for entry in sys.path if Path(entry or ".").resolve() != _HERE]
    sys.path[:] = [str(_HERE.parent), *kept]
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)


if __name__ == "__main__":
    _OPTIONS = _arguments()
    _prepare(_OPTIONS.threads)

import numpy as np  # noqa: E402
import scipy.special  # noqa: E402

from benchmarks import _harness as harness  # noqa: E402
from benchmarks._harness import OURS, Array, Case, Contender, Measurement  # noqa: E402
from kernels.cpu import elementwise, set_num_threads  # noqa: E402

NAMES = ("exp", "log", "tanh", "sigmoid", "erf", "expm1", "log1p", "softplus")
SIZES = {"in the second cache": 40_000, "in memory": 4_000_000}
PEERS = {"sigmoid": scipy.special.expit, "erf": scipy.special.erf, "softplus": functools.partial(np.logaddexp, 0)}
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}


def peer(name: str) -> Any:
    """Return NumPy's function, or SciPy's."""
    return PEERS.get(name) or getattr(np, name)


def cases(dtype: str, size: int, threads: int) -> Iterator[Case]:
    """Yield a case for each function."""
    torch = harness.torch_module(threads)
    rng = np.random.default_rng(0)
    for name in NAMES:
        x = (3 * rng.standard_normal(size)).astype(dtype)
        if name.startswith("log"):
            x = np.abs(x) + x.dtype.type(1e-3)
        with np.errstate(all="raise"):
            expected = peer(name)(x.astype(np.float64)).astype(dtype)
        ours, theirs = np.empty_like(x), np.empty_like(x)
        runs = {
            OURS: functools.partial(getattr(elementwise, name), x, out=ours),
            "NumPy": functools.partial(peer(name), x, out=theirs),
            "torch": None,
        }
        if torch is not None:
            function = getattr(torch, name, None)
            if function is None:
                runs["torch"] = functools.partial(torch.nn.functional.softplus, torch.from_numpy(x))
            else:
                runs["torch"] = functools.partial(
                    function, torch.from_numpy(x), out=torch.empty(size, dtype=getattr(torch, dtype))
                )
        yield Case(dtype, name, {key: Contender(run, expected) for key, run in runs.items()}, TOLERANCE[dtype], size)


def print_row(item: Measurement) -> None:
    """Print nanoseconds per element, and how many times as fast ours is."""
    line = f"{item.case.name:<10}"
    for name in item.case.contenders:
        nanoseconds = (
            1e9 * statistics.median(item.times[name]) / item.case.operations if name in item.times else math.nan
        )
        line += f"{nanoseconds:9.3f}"
    for name in list(item.case.contenders)[1:]:
        line += f"{item.ratio(name, OURS):9.2f}" if name in item.times else f"{'-':>9}"
    print(line, flush=True)


def measure(options: argparse.Namespace) -> None:
    """Print the tables of times."""
    set_num_threads(options.threads)
    rounds, seconds = (5, 0.002) if options.quick else (25, 0.01)
    about = harness.machine(options.threads)
    print("\n".join(f"{key}: {value}" for key, value in about.items()))
    report = []
    for place, size in SIZES.items():
        for dtype in ("float32", "float64"):
            print(f"\n{dtype}, {size} elements, {place}: ns per element, and times as fast as the peer")
            print(f"{'':<10}{'ours':>9}{'NumPy':>9}{'torch':>9}{'NumPy':>9}{'torch':>9}")
            items = []
            for case in cases(dtype, size, options.threads):
                if options.only and case.name not in options.only:
                    continue
                items.append(harness.measure(case, options.rounds or rounds, seconds))
                print_row(items[-1])
            means = {name: harness.geometric_mean(items, name) for name in ("NumPy", "torch")}
            row = "".join(f"{1 / mean:9.2f}" if mean else f"{'-':>9}" for mean in means.values())
            print(f"{'geometric mean':<37}{row}")
            report += [{**item.as_json(), "size": size} for item in items]
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "results": report}, indent=1), encoding="utf-8")


# -- errors --------------------------------------------------------------------------------------------------


def exact(name: str, x: Array) -> Array:
    """Return a function's values in float64."""
    if name == "softplus":
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return peer(name)(x)


def errors(name: str, x: Array) -> Array:
    """Return the errors at float32 arguments, in units in the last place of the exact value."""
    with np.errstate(all="ignore"):
        want = exact(name, x.astype(np.float64))
        got = getattr(elementwise, name)(x).astype(np.float64)
        exponent = np.maximum(np.frexp(want)[1] - 24, -149)
        error = np.ldexp(np.abs(got - want), -exponent)
        same = (np.isnan(got) & np.isnan(want)) | (got == want.astype(np.float32))
    return np.where(same, np.where(np.isfinite(got), error, 0.0), np.where(np.isnan(error), math.inf, error))


def measure_errors(options: argparse.Namespace) -> None:
    """Print the largest error of each function over all float32 arguments, or every N-th."""
    chunk = 1 << 22
    for name in options.only or NAMES:
        worst, where = 0.0, math.nan
        for start in range(0, 1 << 32, chunk * options.stride):
            stop = min(start + chunk * options.stride, 1 << 32)
            x = np.arange(start, stop, options.stride, dtype=np.uint64).astype(np.uint32).view(np.float32)
            found = errors(name, x)
            position = int(np.argmax(found))
            if found[position] > worst:
                worst, where = float(found[position]), x[position]
        print(f"{name:<10}{worst:6.2f} units in the last place at {where!r}", flush=True)


if __name__ == "__main__":
    if _OPTIONS.errors:
        measure_errors(_OPTIONS)
    else:
        measure(_OPTIONS)
