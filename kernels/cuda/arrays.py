"""Arrays on the device: what the kernels take, refuse and return.

Anything with `__cuda_array_interface__` is taken without a copy, CuPy arrays are returned, work runs on CuPy's current
stream. Under the simulator the arrays are those of `cuda.to_device`, and NumPy stands in for CuPy inside.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from kernels.cuda.launch import SIMULATED

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "check_dtypes",
    "contiguous",
    "empty",
    "flat",
    "give",
    "modules",
    "number",
    "receive",
    "require_device",
    "stream",
    "telling",
]


@functools.cache
def modules() -> Any:
    """Return the array library: CuPy, or NumPy under the simulator."""
    if SIMULATED:
        return np
    try:
        import cupy
    except ImportError as error:
        raise ImportError('kernels.cuda needs CuPy: install the extra, pip install "autodiff-engine[cuda]".') from error
    return cupy


@functools.cache
def _fake() -> Any:
    """Return the simulator's class of device arrays."""
    return type(cuda.device_array(1))


def require_device(name: str) -> None:
    """Raise RuntimeError unless there are a driver and a device."""
    if SIMULATED:
        return
    try:
        count = len(cuda.gpus)
    except Exception as error:
        raise RuntimeError(f"{name}: no CUDA driver was found ({error}). Use kernels.cpu on this machine.") from error
    if count == 0:
        raise RuntimeError(f"{name}: the CUDA driver sees no device. Is CUDA_VISIBLE_DEVICES empty?")


def receive(name: str, argument: str, x: Any) -> Any:
    """Return an argument as an array of the library, without a copy.

    Raises
    ------
    TypeError
        If it lies in the host's memory: copies between devices are the caller's to make.
    RuntimeError
        If there is no driver or no device.
    """
    if SIMULATED:
        if isinstance(x, _fake()):
            return x._ary
    elif hasattr(x, "__cuda_array_interface__"):
        require_device(name)
        return modules().asarray(x)
    raise TypeError(
        f"{name}: {argument} must be an array on the device, got {type(x).__module__}.{type(x).__qualname__} in the "
        "host's memory; copy it once with cupy.asarray(...)."
    )


def give(x: Any) -> Any:
    """Return an array of the library as the caller gets it."""
    return _fake()(x) if SIMULATED else x


def empty(name: str, shape: Any, dtype: Any) -> Any:
    """Return an uninitialised array on the device.

    Raises
    ------
    MemoryError
        If there is no room; names the operation, the bytes asked for and those free.
    """
    library = modules()
    try:
        return library.empty(shape, dtype)
    except MemoryError as error:
        asked = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        raise MemoryError(f"{name}: a result of shape {shape} takes {asked} bytes on the device{_free()}.") from error


def _free() -> str:
    """Say how many bytes the device has left, if it answers."""
    if SIMULATED:
        return ""
    try:
        return f", {modules().cuda.runtime.memGetInfo()[0]} are free"
    except Exception:  # noqa: BLE001 - it is the first error that counts
        return ""


def telling(name: str, function: Callable[..., Any]) -> Any:
    """Return a kernel that names itself where CuPy has no room for a copy or for what it works with.

    Raises
    ------
    MemoryError
        With the kernel's name, the bytes asked for and those free.
    """

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except MemoryError as error:
            if str(error).startswith(f"{name}: "):
                raise
            asked = re.search(r"allocating ([\d,]+) bytes", str(error))
            room = f"{asked[1].replace(',', '')} bytes" if asked else "an array"
            raise MemoryError(f"{name}: the device has no room for {room} to work with{_free()}.") from error

    return call


def contiguous(x: Any) -> Any:
    """Return the items in one dimension, in C order, copied only where they do not lie so already."""
    return modules().ascontiguousarray(x).reshape(-1)


def flat(x: Any, span: int) -> Any:
    """Return `span` items of the memory that begins where `x` does."""
    library = modules()
    if SIMULATED:
        return np.lib.stride_tricks.as_strided(x, (span,), (x.itemsize,))
    return library.ndarray((span,), x.dtype, memptr=x.data)


def number(x: Any) -> int:
    """Return the one number in an array, waiting for the device."""
    return int(x[0])


def stream() -> Any:
    """Return CuPy's current stream as Numba takes it."""
    return cuda.external_stream(modules().cuda.get_current_stream().ptr)


def check_dtypes(name: str, **arrays: Any) -> None:
    """Raise TypeError unless the arrays that are not None are all float32 or all float64."""
    dtypes = {key: array.dtype for key, array in arrays.items() if array is not None}
    first = next(iter(dtypes.values()))
    if len(set(dtypes.values())) > 1 or first.char not in "fd" or not first.isnative:
        listed = ", ".join(f"{key}: {dtype}" for key, dtype in dtypes.items())
        raise TypeError(f"{name}: expected float32 or float64, got {listed}; convert with .astype(...)")
