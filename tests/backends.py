"""The backend whose kernels this process tests: NumPy arrays in and out, whatever lies between.

`cpu` by default; `cuda-simulator` where NUMBA_ENABLE_CUDASIM=1 (Numba reads it when it is imported, so a process has
one backend); `cuda` where CUDA_TARGET=cuda. `make test` runs the files of tests/kernels for the first, `make test-cuda`
for the others.
"""

import functools
import os
import sys
from types import SimpleNamespace

import numpy as np

__all__ = ["BACKEND", "DEVICE", "SIMULATED", "get", "kernels", "put", "sized", "slack"]

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
BACKEND = "cuda-simulator" if SIMULATED else "cuda" if os.environ.get("CUDA_TARGET") == "cuda" else "cpu"
DEVICE = BACKEND != "cpu"

if SIMULATED:  # it has a Python thread for each thread, and one that waits for them in a loop: let it wait less
    sys.setswitchinterval(1e-4)


def put(x):
    """Return an array on the device."""
    if BACKEND == "cuda":
        import cupy

        return cupy.asarray(x)
    from kernels.cuda.arrays import give

    return give(x)


def get(x):
    """Return an array of the device on the host."""
    return np.asarray(x.get() if BACKEND == "cuda" else x.copy_to_host())


def on_device(function):
    """Return a kernel of the device that takes and returns arrays of the host."""

    @functools.wraps(function)
    def call(*args, **options):
        moved = {}  # what is one array to the caller is one array on the device

        def move(value):
            if not isinstance(value, np.ndarray):
                return value
            return moved.setdefault(id(value), put(value))

        found = function(*map(move, args), **{key: move(value) for key, value in options.items()})
        if (out := options.get("out")) is not None:
            out[...] = get(found)
            return out
        return tuple(map(get, found)) if isinstance(found, tuple) else get(found)

    return call


def _kernels():
    if DEVICE:
        from kernels import cuda

        return SimpleNamespace(**{name: on_device(getattr(cuda, name)) for name in cuda.__all__})
    from kernels import chains, contracts, cpu

    names = {name: module for module in (chains, contracts, cpu) for name in module.__all__}
    return SimpleNamespace(**{name: getattr(module, name) for name, module in names.items()})


kernels = _kernels()


def sized(cases, items=300, *, key=lambda case: case):
    """Return the cases; under the simulator, which is slow, those whose shape, `key` of a case, has few items."""
    return [case for case in cases if not SIMULATED or np.prod(key(case), dtype=int) <= items]


def slack(error):
    """Return how far from the exact result a kernel may be; functions of CUDA's library may err by 2 units."""
    return 4 * error if BACKEND == "cuda" else error
