"""Launching kernels: what each one declares, the arithmetic of grids, and errors that name what was called.

A kernel declares the compute capability that it needs and whether Numba's simulator can run it. Its signatures are
written once, in a few letters, so that a test can compile every kernel for every target without a device.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import config, cuda, types

__all__ = [
    "KERNELS",
    "SIMULATED",
    "SMALL_TILES",
    "Kernel",
    "blocks_for",
    "ceil_div",
    "declare",
    "device",
    "power_of_two",
]

SIMULATED = bool(config.ENABLE_CUDASIM)
# The simulator has a thread of Python for each thread: tiles are smaller, unless a test asks for those of the device.
SMALL_TILES = SIMULATED and os.environ.get("AUTODIFF_CUDA_TILES") != "device"
MAX_BLOCKS = 2 if SIMULATED else 2**31 - 1  # of the first axis of a grid; loops take strides of the grid
MAX_THREADS = 1024
HOST: Any = np.ndarray  # what a launch refuses
BLOCKING = os.environ.get("CUDA_LAUNCH_BLOCKING") == "1"
TYPES = {
    "u2": types.uint16, "i4": types.int32, "i8": types.int64,
    "f2": types.float16, "f4": types.float32, "f8": types.float64,
}  # fmt: skip

if SIMULATED:
    import sys

    from numba.cuda.simulator import kernelapi
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
    from numba.np.numpy_support import as_dtype

    def _shared_array(self: Any, shape: Any, dtype: Any) -> Any:
        """Return the array that the threads of a block share, found by the line that asks for it.

        In place of the simulator's own, which looks for the array and makes it if there is none: of two threads that
        find none at once each has one of its own, and never sees what the other writes. `setdefault` is one step.
        """
        caller = sys._getframe(1)
        line = caller.f_code.co_filename, caller.f_lineno
        dtype = as_dtype(dtype) if isinstance(dtype, types.Type) else dtype
        return self._allocations.setdefault(line, np.empty(shape, dtype))

    kernelapi.FakeCUDAShared.array = _shared_array


@dataclass(frozen=True)
class Kernel:
    """A compiled function and what it needs.

    Attributes
    ----------
    name : str
        Of the function.
    function : Any
        What `cuda.jit` returned.
    source : Any
        The Python function.
    signature : str
        One word for each argument: ``i8`` a number, ``T[]`` a contiguous array of the data's dtype, ``i4[]`` of
        another, ``3*i8`` a tuple.
    capability : tuple of int
        The least compute capability.
    simulable : bool
        Whether the simulator has all that it uses.
    registers, shared : int
        Bounds that `ptxas` must confirm: registers of a thread and bytes of a block.
    dtypes : tuple of str
        Those of the data that it is compiled for.
    """

    name: str
    function: Any
    source: Any
    signature: str
    capability: tuple[int, int]
    simulable: bool
    registers: int
    shared: int
    dtypes: tuple[str, ...] = ("f4", "f8")

    def register_bound(self, dtype: str) -> int:
        """Return how many registers a thread may have; a float64 takes two where others take one."""
        return min(255, self.registers * (2 if dtype == "f8" else 1))

    def types(self, dtype: str) -> tuple[Any, ...]:
        """Return Numba's types of the arguments for data of a dtype, such as ``"f4"``."""
        return tuple(_type(word, dtype) for word in self.signature.split())

    def launch(self, operation: str, blocks: int, threads: Any, *args: Any) -> None:
        """Run on the caller's stream; raise with the operation's name if the launch fails.

        Raises
        ------
        TypeError
            If an argument is in the host's memory.
        RuntimeError
            If the device is too old, or refuses the launch. Kernels run while the program goes on: what goes wrong
            inside of one is reported by a later call, unless CUDA_LAUNCH_BLOCKING=1 makes each call wait for its own.
        """
        if SIMULATED:
            if not self.simulable:
                raise RuntimeError(f"{operation}: the simulator cannot run the kernel {self.name}.")
            # Not the caller's kind of array: inside of a kernel an item is a number.
            self.function[blocks, threads](*(FakeCUDAArray(arg) if hasattr(arg, "dtype") else arg for arg in args))
            return
        from kernels.cuda import arrays

        found = cuda.get_current_device().compute_capability
        if tuple(found) < self.capability:
            raise RuntimeError(
                f"{operation}: the kernel {self.name} needs compute capability {self.capability[0]}."
                f"{self.capability[1]}, the device has {found[0]}.{found[1]}."
            )
        if any(isinstance(arg, HOST) for arg in args):  # Numba would copy it there and back
            raise TypeError(f"{operation}: the kernel {self.name} was given an array in the host's memory.")
        where = f"{operation}: the kernel {self.name} was not launched on {blocks} blocks of {threads} threads"
        stream = arrays.stream()
        try:
            self.function[blocks, threads, stream](*args)
        except Exception as error:
            hint = "" if BLOCKING else " (an earlier kernel may have failed: CUDA_LAUNCH_BLOCKING=1 tells which)"
            raise RuntimeError(f"{where}: {error}{hint}") from error
        if BLOCKING:
            try:
                stream.synchronize()
            except Exception as error:
                raise RuntimeError(f"{where.replace('was not launched', 'failed')}: {error}") from error


KERNELS: dict[str, Kernel] = {}


def declare(
    source: Any,
    signature: str,
    *,
    capability: tuple[int, int] = (7, 5),
    simulable: bool = True,
    registers: int = 64,
    shared: int = 0,
    dtypes: tuple[str, ...] = ("f4", "f8"),
) -> Kernel:
    """Compile a function as a kernel, lazily, and list it in `KERNELS`."""
    function = cuda.jit(source)
    found = Kernel(source.__name__, function, source, signature, capability, simulable, registers, shared, dtypes)
    KERNELS[found.name] = found
    return found


def device(function: Any) -> Any:
    """Compile a function that kernels call."""
    return cuda.jit(device=True)(function)


def _type(word: str, dtype: str) -> Any:
    if "*" in word:
        count, item = word.split("*")
        return types.UniTuple(_type(item, dtype), int(count))
    base = TYPES[dtype if word[0] == "T" else word[:2]]
    return types.Array(base, 1, "C") if word.endswith("[]") else base


# -- grids ---------------------------------------------------------------------------------------------------


def ceil_div(count: int, size: int) -> int:
    """Return how many pieces of `size` cover `count` items, exactly at any size.

    Examples
    --------
    >>> ceil_div(0, 4), ceil_div(1, 4), ceil_div(2**40 + 1, 2)
    (0, 1, 549755813889)
    """
    return -(-count // size)


def blocks_for(count: int, size: int, most: int = MAX_BLOCKS) -> int:
    """Return the number of blocks for `count` items, `size` in each: at least 1, at most what a grid holds.

    Kernels loop in strides of the grid, so that fewer blocks than needed still do everything.

    Examples
    --------
    >>> blocks_for(0, 256), blocks_for(2**50, 256, 2**31 - 1)
    (1, 2147483647)
    """
    return min(max(ceil_div(count, size), 1), most)


def power_of_two(count: int, most: int) -> int:
    """Return the least power of two that is at least `count`, no more than `most` (itself a power of two).

    Examples
    --------
    >>> power_of_two(0, 8), power_of_two(5, 8), power_of_two(1000, 8)
    (1, 8, 8)
    """
    return min(1 << max(count - 1, 0).bit_length(), most)
