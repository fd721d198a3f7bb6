"""Kernels and devices: Ketkar, "Deep Learning with Python", chapter 10; Buduma, "Fundamentals of Deep Learning", 3.

The text writes its kernels in OpenCL for a laptop's GPU. Here they are CUDA kernels (`examples/device_kernels.py`) and
loops that Numba compiles for the processor. With `--device cuda` the former run on the device and are waited for;
otherwise they run, much smaller, under Numba's simulator in a process of their own, which says whether they are right
and nothing of their speed.

Run::

    python -m examples run gpu-kernels [--device cuda]
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from examples.catalogue import UnavailableError, program
from examples.report import Row, agreement

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.run import Run

ROOT = Path(__file__).resolve().parents[1]
LAPTOP = "the text's is one run on a laptop of 2015; here the best of {} on {} thread(s)"
LAUNCH = "the text's clock stops before its GPU has finished: it is the time of the launch"
COPY = "the output of the vector addition printed once more; this product was never timed"


def best_seconds(functions: list[Callable[[], Any]], times: int) -> list[float]:
    """Return the least seconds of each, called in turn; the first calls, which may compile, do not count."""
    for function in functions:
        function()
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(times):
        for function, taken in zip(functions, seconds, strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in seconds]


@functools.cache
def on_device(question: str, simulated: bool) -> Any:
    """Ask `examples.device_kernels`; with the simulator, in a process of its own."""
    if not simulated:
        from examples import device_kernels

        return device_kernels.answer(question)
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "examples.device_kernels", question]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    if done.returncode:
        raise RuntimeError(f"examples.device_kernels {question} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


@functools.cache
def compiled() -> Any:
    """Return the loops for the processor: each call does its part of the result."""
    import numba

    @numba.njit(nogil=True)
    def add(start: Any, stop: Any, a: Any, b: Any, result: Any) -> None:
        a, b, result = a[start:stop], b[start:stop], result[start:stop]
        for i in range(a.size):
            result[i] = a[i] + b[i]

    @numba.njit(nogil=True)
    def product(start: Any, stop: Any, size: Any, a: Any, b: Any, result: Any) -> None:
        for i in range(start, stop):  # the text's indices: column i of a^T, row j of b^T, result transposed
            for j in range(size):
                total = np.float32(0)
                for k in range(size):
                    total += a[k + size * i] * b[j + size * k]
                result[i + size * j] = total

    return add, product


# -- what there is -------------------------------------------------------------------------------------------


def processor() -> str:
    """Return the processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@program("ketkar/K10-1", devices=("cpu", "cuda"))
def devices(run: Run) -> list[Row]:
    """The processor and the GPUs of this machine, as kernels see them."""
    from kernels.cpu.host import host
    from kernels.cpu.threads import available, num_threads

    found = on_device("devices", simulated=False)
    unit = host()
    run.data = "of this machine"
    rows = [
        Row("processor", "", processor(), "the text's: Intel Core i7-4770HQ, 8 units, 2200 MHz, 16 GB"),
        Row("processors for this process; threads of kernels", "", f"{available()}; {num_threads()}"),
        Row(
            "vector registers",
            "",
            f"{unit.registers} of {8 * unit.vector_bytes} bits",
            f"{unit.lanes(4)} float32 at once",
        ),
    ]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        rows.append(Row("memory", "", f"{memory / 2**30:.0f} GB"))
    for i, device in enumerate(found["devices"]):
        rows.append(Row(f"GPU {i}", "", device, "the text's: Iris Pro, 40 units, 1200 MHz, 2 GB"))
    if not found["devices"]:
        rows.append(Row("GPU", "", "none", found["reason"] or "the text's: Iris Pro, 40 units, 1200 MHz, 2 GB"))
    return rows


def gpu_rows(run: Run, name: str, reported: str, wrong: str | None) -> list[Row]:
    """Return the rows of a kernel on the device, or under the simulator where there is none."""
    if run.device == "cuda":
        here = on_device("devices", simulated=False)
        if not here["devices"]:
            raise UnavailableError(
                f"--device cuda: {here['reason']}; without it the kernel runs under Numba's simulator"
            )
        found = on_device(name, simulated=False)
        copies = f"{LAUNCH}; with both copies {found['with_copies']:.5f} s"
        time_row = Row("GPU, s", reported, f"{found['seconds']:.11f}", copies, wrong=wrong)
    else:
        found = on_device(name, simulated=True)
        why = f"--device cuda measures it where there is one; {LAUNCH}"
        time_row = Row("GPU, s", reported, "none here", why, wrong=wrong)
    where = f"{found['size']} on {found['where']}"
    return [time_row, agreement(f"CUDA kernel, {where}", 0.0, found["difference"], found["tolerance"], found["note"])]


@program("ketkar/K10-2", devices=("cpu", "cuda"))
def vector_addition(run: Run) -> list[Row]:
    """Five million sums: one work item for each, or one thread for many."""
    from kernels.cpu.threads import num_threads, parallel_for

    run.data = "generated: U[0, 1)"
    count, times = 5_000_000, run.length(21)
    a, b = (run.rng.random(count, dtype=np.float32) for _ in range(2))
    result, add = np.empty_like(a), compiled()[0]
    ours = lambda: parallel_for(add, count, a, b, result, grain=1 << 18)  # noqa: E731
    plain, loop = best_seconds([lambda: a + b, ours], times)
    note = LAPTOP.format(times, num_threads())
    return [
        Row("norm of the difference, compiled loop and NumPy", "0.0", f"{np.linalg.norm(result - (a + b)):.1f}"),
        Row("NumPy, s", "0.00995397567749", f"{plain:.14f}", note),
        Row(
            "compiled loop on the processor, s",
            "",
            f"{loop:.14f}",
            f"writes into memory that exists; {num_threads()} thread(s)",
        ),
        *gpu_rows(run, "add", "0.00202608108521", None),
    ]


@program("ketkar/K10-3", devices=("cpu", "cuda"))
def matrix_product(run: Run) -> list[Row]:
    """500 x 500: the text's three plain loops, the product of `kernels.cpu`, NumPy's, and the truth in float64."""
    from kernels.cpu import matmul
    from kernels.cpu.threads import num_threads, parallel_for

    run.data = "generated: U[0, 1)"
    size, times = 500, run.length(10)
    a, b = (run.rng.random((size, size), dtype=np.float32) for _ in range(2))
    flat, product = np.empty(size * size, np.float32), compiled()[1]
    ours = lambda: parallel_for(product, size, size, a.ravel(), b.ravel(), flat)  # noqa: E731
    library, loops, tiles = best_seconds([lambda: a @ b, ours, lambda: matmul(a, b)], times)
    naive, truth = flat.reshape(size, size).T, a.astype(float) @ b.astype(float)
    differs = np.linalg.norm(naive - a @ b)
    errors = [np.linalg.norm(c - truth) for c in (naive, a @ b, matmul(a, b))]
    sums = f"{COPY}. Sums of 500 float32 products in two orders differ"
    note = f"{num_threads()} thread(s), best of {times}"
    return [
        Row("norm of the difference, plain loops and NumPy", "0.0", f"{differs:.1e}", wrong=sums),
        Row("error norms: loops, NumPy, kernels.cpu", "", ", ".join(f"{e:.1e}" for e in errors), "against float64"),
        agreement("relative error of kernels.cpu", 0.0, errors[2] / np.linalg.norm(truth), 1e-6),
        Row("NumPy, s", ".00995397567749", f"{library:.14f}", wrong=COPY),
        Row("three plain loops on the processor, s", "", f"{loops:.14f}", note),
        Row("kernels.cpu.matmul, s", "", f"{tiles:.14f}", note),
        *gpu_rows(run, "product", ".00202608108521", COPY),
    ]


# -- where an operation runs ---------------------------------------------------------------------------------


class Placement:
    """Says on which device an operation runs, and keeps a log of it."""

    def __init__(self, gpus: int, soft: bool) -> None:
        self.gpus, self.soft = gpus, soft
        self.log: list[str] = []

    def __call__(self, wanted: str) -> str:
        """Return the device that is wanted, or the processor if there is no such device and that is allowed."""
        kind, _, number = wanted.strip("/").partition(":")
        present = kind == "cpu" or int(number) < self.gpus
        if not present and not self.soft:
            raise LookupError(f"there is no device {wanted}: this machine has {self.gpus} GPUs; allow soft placement")
        given = wanted if present else "/cpu:0"
        self.log.append(f"{wanted} -> {given}")
        return given


@program("buduma/B20", devices=("cpu", "cuda"))
def placement(run: Run) -> list[Row]:
    """A product on a device that may not exist, and two towers whose results the processor adds."""
    from kernels.cpu import matmul

    run.data = "in the text"
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [2.0]])
    gpus = len(on_device("devices", simulated=False)["devices"])
    soft, hard = Placement(gpus, soft=True), Placement(gpus, soft=False)
    wanted = "/gpu:2" if gpus <= 2 else f"/gpu:{gpus}"

    def on(device: str) -> Any:
        """Return a b from the kernels of a device."""
        if device.startswith("/gpu"):
            return np.array(on_device("towers", simulated=False)["c"])
        return matmul(a, b)

    try:
        refused = f"allowed: {hard(wanted)}"
    except LookupError:
        refused = "refused"
    c = on(soft(wanted))
    towers = sum(on(soft(f"/gpu:{i}")) for i in range(2))
    simulated = on_device("towers", simulated=True)
    return [
        Row(
            f"c = a b on {wanted}",
            "",
            shown(c),
            "the text prints no result; by hand 1 + 4 and 3 + 8",
            shown(c) == "(5, 11)",
        ),
        Row("sum of the towers", "", shown(towers), f"{gpus} GPUs here", shown(towers) == "(10, 22)"),
        Row("placement log", "", "; ".join(soft.log)),
        Row(f"{wanted} without soft placement", "error", refused, "", refused == "refused"),
        Row("c by the CUDA kernel, simulated", "", shown(simulated["c"]), "", shown(simulated["c"]) == "(5, 11)"),
        Row("an array of the host, handed to a CUDA kernel", "", simulated["host"], "copies are the caller's to make"),
    ]


def shown(column: Any) -> str:
    """Return a matrix of one column as one line."""
    return "(" + ", ".join(f"{v:g}" for v in np.ravel(column)) + ")"
