"""What the kernel benchmarks share on a GPU: data that rotate, times by events, peaks that are measured.

Every contender is checked against a float64 reference before it is timed. Inputs exist in as many copies as exceed
twice the L2 cache, and every call takes the next one, so that no contender finds its data there. A figure is the time
between two events around at least 20 ms of calls, launches from Python included, after a warm-up; a round times each
contender in turn. Peaks are measured on the same device: a copy of 1 GiB, chains of multiplications in registers.

Device "cuda-sim" checks small cases in Numba's simulator; that is no timing, and none is printed.
"""

import argparse
import functools
import itertools
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks import _kernels

DEVICES = ("cpu", "cuda", "cuda-sim")
PERIOD = 2e-2  # seconds that a figure is the mean of
MOST_COPIES = 64


def require() -> None:
    """End the program with one line and exit code 2 unless there are a device and CuPy."""
    reason = _missing()
    if reason is not None:
        print(f"--device cuda cannot run here: {reason}. --device cuda-sim checks without a GPU.", file=sys.stderr)
        raise SystemExit(2)


def _missing() -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from numba import cuda

            if not cuda.is_available():
                return "there is no CUDA device or no driver"
            import cupy

            cupy.zeros(1)
        except ImportError as error:
            return f'{error}; pip install "autodiff-engine[cuda]"'
        except Exception as error:  # noqa: BLE001 - a broken driver raises whatever it likes
            return f"{type(error).__name__}: {error}".replace("\n", " ")
    return None


class Library:
    """Arrays on the device, and PyTorch where it is installed with CUDA."""

    name = "cuda"  # of the device, to the engine and to PyTorch

    def __init__(self, device: str) -> None:
        self.simulated = device == "cuda-sim"
        self.cupy: Any = None
        self.torch: Any = None
        self.peaks: dict[str, float] = {}
        if self.simulated:
            return
        import cupy

        self.cupy = cupy
        self.torch = _torch()
        self.peaks = peaks(cupy)

    def put(self, x: Any) -> Any:
        """Return a copy on the device."""
        if self.simulated:
            from kernels.cuda.arrays import give

            return give(x.copy())
        if x.dtype.name == "bfloat16":
            return self.cupy.asarray(x.view("u2")).view(x.dtype)
        return self.cupy.asarray(x, order="K")

    def reference(self, function: Callable[..., Any], *inputs: Any) -> Any:
        """Return what a function gives for float64 inputs, computed on the device if there is one, on the host."""
        if self.simulated:
            return function(*(x.astype(float) for x in inputs))
        return self.cupy.asnumpy(function(*(self.cupy.asarray(x.astype(float)) for x in inputs)))

    def sets(self, inputs: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return as many copies of the inputs as exceed twice the L2 cache, one if it is simulated."""
        if self.simulated:
            return [tuple(map(self.put, inputs))]
        cache = self.cupy.cuda.Device().attributes["L2CacheSize"]
        size = max(sum(x.nbytes for x in inputs), 1)
        count = min(MOST_COPIES, 1 + math.ceil(2 * cache / size))
        return [tuple(map(self.put, inputs)) for _ in range(count)]

    def tensors(self, sets: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return the same memory as tensors of PyTorch."""
        return [tuple(map(self._tensor, arrays)) for arrays in sets]

    def _tensor(self, x: Any) -> Any:
        if x.dtype.name == "bfloat16":
            return self.torch.from_dlpack(x.view("i2")).view(self.torch.bfloat16)
        return self.torch.from_dlpack(x)


class Rotating:
    """A function called with the next set of inputs each time."""

    def __init__(self, function: Callable[..., Any], sets: Sequence[tuple[Any, ...]]) -> None:
        self.function = function
        self.sets = itertools.cycle(sets)

    def __call__(self) -> Any:
        """Call it."""
        return self.function(*next(self.sets))


def case(
    library: Library,
    group: str,
    name: str,
    inputs: Sequence[Any],
    contenders: Mapping[str, tuple[str, Callable[..., Any]] | None],
    expected: Sequence[Any],
    work: float,
    tolerance: float,
    peak: str | float | None,
    checks: Mapping[str, Callable[[], Any]] | None = None,
) -> _kernels.KernelCase:
    """Return a case: contenders are pairs of a library, `"cupy"` or `"torch"`, and a function of its arrays.

    `peak` is the name of one that was measured, or as much work per second.
    """
    sets = library.sets(inputs)
    runs: dict[str, Any] = {}
    for label, contender in contenders.items():
        runs[label] = None
        if contender is None:
            continue
        kind, function = contender
        if kind == "cupy" and (label == "ours" or library.cupy is not None):
            runs[label] = Rotating(function, sets)
        elif kind == "torch" and library.torch is not None:
            runs[label] = Rotating(function, library.tensors(sets))
    peers = [label for label in contenders if not label.startswith("ours")]
    most = library.peaks.get(peak) if isinstance(peak, str) else peak
    return _kernels.KernelCase(group, name, runs, expected, work, tolerance, peers, most, checks or {})


def host(x: Any) -> Any:
    """Return a result as a NumPy array."""
    if hasattr(x, "copy_to_host"):
        return x.copy_to_host()
    if hasattr(x, "get"):
        return x.get()
    if hasattr(x, "detach"):
        x = x.detach()
        return (x.float() if x.dtype.itemsize == 2 else x).cpu().numpy()
    return x


def check(case: _kernels.KernelCase, name: str, result: Any) -> None:
    """Raise where a result is not the expected one."""
    import numpy as np

    arrays = result if isinstance(result, (tuple, list)) else (result,)
    for got, want in zip(arrays, case.expected, strict=True):
        slack = case.tolerance * max(float(np.max(np.abs(want), initial=0)), 1e-30)
        found = np.asarray(host(got)).astype(float)
        np.testing.assert_allclose(found, want, rtol=0, atol=slack, err_msg=f"{case.group}/{case.name}: {name}")


def measure(case: _kernels.KernelCase, rounds: int, threads: int = 1) -> _kernels.Outcome:
    """Check every contender, warm it up, and time all of them in turn."""
    del threads  # of the host
    outcome = _kernels.Outcome(case)
    runs = {name: run for name, run in case.runs.items() if run is not None}
    counts = {}
    for name, run in runs.items():
        check(case, name, case.checks.get(name, run)())
        _seconds(run, 3)
        counts[name] = min(max(1, math.ceil(PERIOD / max(_seconds(run, 5), 1e-9))), 10_000)
        outcome.times[name] = []
    for _ in range(rounds):
        for name, run in runs.items():
            _seconds(run, 2)
            outcome.times[name].append(_seconds(run, counts[name]))
    return outcome


def _seconds(run: Callable[[], Any], count: int) -> float:
    """Return the mean time of some calls between two events of the current stream."""
    import cupy

    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    for _ in range(count):
        run()
    end.record()
    end.synchronize()
    return float(cupy.cuda.get_elapsed_time(start, end)) * 1e-3 / count


def run(
    cases: Callable[[Library], Iterable[_kernels.KernelCase]],
    found: argparse.Namespace,
    *,
    unit: str,
    targets: Mapping[str, tuple[float, float]],
) -> int:
    """Measure and print, or check in the simulator; return the exit code of the program."""
    library = Library(found.device)
    if not library.simulated:
        return _kernels.run(
            cases(library), found, unit=unit, targets=targets, measure=measure, machine=machine(library)
        )
    count = 0
    for one in cases(library):
        if _kernels.wanted(found, one.group, one.name):
            ours = one.checks.get("ours", one.runs["ours"])
            assert ours is not None
            check(one, "ours", ours())
            count += 1
            print(f"{one.group}/{one.name}: as the reference")
    print(f"{count} cases are correct in the simulator. This is no timing: nothing ran on a GPU.")
    return 0


def machine(library: Library) -> dict[str, str]:
    """Return what the times depend on."""
    from benchmarks import _harness as harness

    device = library.cupy.cuda.runtime.getDeviceProperties(library.cupy.cuda.Device().id)
    return {
        **harness.machine(1),
        "device": device["name"].decode(),
        "L2 cache": f"{device['l2CacheSize'] >> 20} MiB",
        "driver, runtime": str(
            (library.cupy.cuda.runtime.driverGetVersion(), library.cupy.cuda.runtime.runtimeGetVersion())
        ),
        **{f"measured peak, {name}": f"{peak / 1e9:.0f}e9 per second" for name, peak in library.peaks.items()},
    }


def _torch() -> Any:
    """Return PyTorch if it sees the device; its products of float32 are exact unless a case says otherwise."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return torch


# -- peaks ----------------------------------------------------------------------------------------------------------

CHAIN, CHAIN_THREADS = 4096, 256


def peaks(cupy: Any) -> dict[str, float]:
    """Return what the device reaches: bytes copied, and operations of each kind, per second."""
    source = cupy.zeros(1 << 30, "u1")
    to = cupy.empty_like(source)
    found = {"bytes": 2 * source.nbytes / _best(lambda: cupy.copyto(to, source))}
    blocks = 8 * cupy.cuda.Device().attributes["MultiProcessorCount"]
    for dtype in ("float32", "float64"):
        kernel, work = fma_chain()
        out = cupy.zeros(CHAIN_THREADS, dtype)
        found[dtype] = work * blocks / _best(functools.partial(kernel[blocks, CHAIN_THREADS], out, CHAIN))
    if tuple(int(c) for c in cupy.cuda.Device().compute_capability) >= (8, 0):
        for dtype, kind in (("tf32", "tf32"), ("float16", "f16"), ("bfloat16", "bf16")):
            kernel, work = mma_chain(kind)
            out = cupy.zeros(CHAIN_THREADS, "float32")
            found[dtype] = work * blocks / _best(functools.partial(kernel[blocks, CHAIN_THREADS], out, CHAIN))
    return found


def _best(run: Callable[[], Any]) -> float:
    return min(_seconds(run, 3) for _ in range(6))


def fma_chain() -> tuple[Any, float]:
    """Return a kernel of eight chains of multiply-and-add in each thread, and the operations of a block."""
    from numba import cuda

    def chain(out: Any, count: Any) -> None:
        x = out[cuda.threadIdx.x]
        a, b, c, d, e, f, g, h = x, x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7
        for _ in range(count):
            a, b, c, d = a * x + x, b * x + x, c * x + x, d * x + x
            e, f, g, h = e * x + x, f * x + x, g * x + x, h * x + x
        out[cuda.threadIdx.x] = a + b + c + d + e + f + g + h

    return cuda.jit(chain), 16.0 * CHAIN * CHAIN_THREADS


def mma_chain(kind: str) -> tuple[Any, float]:
    """Return a kernel of `mma.sync` alone, sixteen chains in each warp, and the operations of a block."""
    from numba import cuda, float32, int64, uint32

    from kernels.cuda import tensor_ptx as ptx
    from kernels.cuda.vector import clear

    squares, pairs = 4, 2
    sums_count, a_count, b_count = 8 * squares * pairs, 4 * squares, 4 * pairs
    multiply, clear_sums = ptx.multiply(kind, squares, pairs), clear(sums_count)
    clear_a, clear_b = clear(a_count), clear(b_count)

    def chain(out: Any, count: Any) -> None:
        sums = cuda.local.array(sums_count, float32)
        a = cuda.local.array(a_count, uint32)
        b = cuda.local.array(b_count, uint32)
        clear_sums(sums)
        clear_a(a)
        clear_b(b)
        a[0] = uint32(cuda.threadIdx.x)  # the compiler must not know the operands
        b[0] = uint32(out[cuda.threadIdx.x])
        for _ in range(count):
            multiply(sums, int64(0), a, b)
        total = float32(0)
        for i in range(sums_count):
            total += sums[i]
        out[cuda.threadIdx.x] = total

    depth = 2 * ptx.ITEMS[kind]
    return cuda.jit(chain), 2.0 * 16 * 8 * depth * squares * 2 * pairs * CHAIN * CHAIN_THREADS / 32
