"""CUDA kernels of the catalogue, and what they answer: for `examples.gpu_kernels`, which runs this as a process.

Whether Numba has its simulator is decided when it is imported, hence the process of its own. The answer is a line of
JSON.

Run::

    python -m examples.device_kernels devices|add|product|towers
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import numpy as np
from numba import config, cuda, float32

SIMULATED = bool(config.ENABLE_CUDASIM)


@cuda.jit
def add(a: Any, b: Any, result: Any) -> None:
    """One work item for each sum."""
    i = cuda.grid(1)
    if i < result.size:
        result[i] = a[i] + b[i]


@cuda.jit
def product(size: Any, a: Any, b: Any, result: Any) -> None:
    """One work item for each entry; it sums in a register, the text's in a buffer that it declares write-only."""
    i, j = cuda.grid(2)
    if i < size and j < size:
        total = float32(0)
        for k in range(size):
            total += a[k + size * i] * b[j + size * k]
        result[i + size * j] = total


def median_of(call: Any, times: int) -> float:
    """Return the median seconds of a call and all that it started; the first, which compiles, does not count."""
    seconds = []
    for _ in range(times + 1):
        cuda.synchronize()
        start = time.perf_counter()
        call()
        cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def measure(launch: Any, arrays: list[Any], check: Any, times: int) -> dict[str, Any]:
    """Return the seconds of a kernel, with and without copies, and how far it is from what it should be."""
    a, b = (cuda.to_device(x) for x in arrays)
    result = cuda.device_array(a.size, np.float32)

    def with_copies() -> None:
        launch(cuda.to_device(arrays[0]), cuda.to_device(arrays[1]), result)
        result.copy_to_host()

    seconds = median_of(lambda: launch(a, b, result), times)
    answer: dict[str, Any] = {"seconds": seconds, "with_copies": median_of(with_copies, times)}
    answer["difference"] = float(check(result.copy_to_host()))
    answer["where"] = "Numba's simulator" if SIMULATED else "the device"
    return answer


def measure_add() -> dict[str, Any]:
    """Answer for the sum of two vectors."""
    count = 256 if SIMULATED else 5_000_000
    threads = 32 if SIMULATED else 256
    rng = np.random.default_rng(0)
    arrays = [rng.random(count, dtype=np.float32) for _ in range(2)]
    launch = add[-(-count // threads), threads]
    answer = measure(launch, arrays, lambda c: np.linalg.norm(c - sum(arrays)), 1 if SIMULATED else 20)
    return {**answer, "size": f"{count:,} sums", "tolerance": 0.0, "note": "norm of the difference"}


def measure_product() -> dict[str, Any]:
    """Answer for the product of two matrices."""
    size, side = (12, 4) if SIMULATED else (500, 16)
    rng = np.random.default_rng(0)
    arrays = [rng.random(size * size, dtype=np.float32) for _ in range(2)]
    a, b = (x.reshape(size, size).astype(float) for x in arrays)
    grid = (-(-size // side),) * 2

    def launch(a: Any, b: Any, result: Any) -> None:
        product[grid, (side, side)](size, a, b, result)

    def check(c: Any) -> Any:
        return np.linalg.norm(c.reshape(size, size).T - a @ b) / np.linalg.norm(a @ b)

    answer = measure(launch, arrays, check, 1 if SIMULATED else 20)
    return {**answer, "size": f"{size} x {size}", "tolerance": 1e-6, "note": "relative to the product in float64"}


def towers() -> dict[str, Any]:
    """Answer for the product of `kernels.cuda`, and what it says to an array of the host."""
    from kernels.cuda import matmul
    from kernels.cuda.arrays import give, modules

    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [2.0]])
    there = [give(modules().asarray(x)) for x in (a, b)]
    c = matmul(*there)
    try:
        matmul(a, b)
        host = "taken"
    except TypeError:
        host = "refused"
    return {"c": (c.copy_to_host() if SIMULATED else c.get()).tolist(), "host": host}


def devices() -> dict[str, Any]:
    """Answer which devices there are, or why none can be used."""
    if SIMULATED or not cuda.is_available():
        return {"devices": [], "reason": "Numba finds no CUDA driver with a device"}
    found = []
    for device in cuda.gpus:
        with device:
            here = cuda.get_current_device()
            free_and_total = cuda.current_context().get_memory_info()
            name = here.name.decode() if isinstance(here.name, bytes) else here.name
            memory = f"{free_and_total[1] / 2**30:.0f} GB"
            found.append(f"{name}, {here.MULTIPROCESSOR_COUNT} units, {here.CLOCK_RATE / 1000:.0f} MHz, {memory}")
    return {"devices": found, "reason": ""}


def answer(question: str) -> dict[str, Any]:
    """Answer one of the questions in this process."""
    questions = {"devices": devices, "add": measure_add, "product": measure_product, "towers": towers}
    return questions[question]()


if __name__ == "__main__":
    print(json.dumps(answer(sys.argv[1])))
