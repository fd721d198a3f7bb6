"""Kernels for the GPU under Numba's simulator, or on a device where `CUDA_TARGET=cuda` asks for it.

The simulator is chosen when Numba is imported: these tests run in a process of their own (`make test-cuda`). In one
that has imported Numba without it they are left out.
"""

import os
import sys

import numpy as np
import pytest

TARGET = os.environ.get("CUDA_TARGET", "cuda-simulator")
if TARGET == "cuda-simulator" and "numba" not in sys.modules and any("cuda" in a for a in sys.argv[1:]):
    os.environ["NUMBA_ENABLE_CUDASIM"] = "1"


def _reason():
    if TARGET == "cuda":
        from numba import cuda

        return None if cuda.is_available() else "there is no CUDA device"
    from numba import config

    return None if config.ENABLE_CUDASIM else "Numba was imported without its simulator; run make test-cuda"


collect_ignore_glob = []
if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1" and TARGET == "cuda-simulator":
    collect_ignore_glob = ["test_*.py"]


class Device:
    """Copies to the device and back, so that tests read as those of the CPU."""

    def put(self, x):
        x = np.asarray(x)
        if TARGET == "cuda":
            import cupy

            return cupy.asarray(x)
        from kernels.cuda.arrays import give

        return give(x)

    def get(self, x):
        return x.get() if TARGET == "cuda" else x.copy_to_host()

    def call(self, function, *args, **options):
        """Call with arrays on the device and return arrays on the host."""
        move = lambda v: self.put(v) if isinstance(v, np.ndarray) else v
        found = function(*map(move, args), **{key: move(v) for key, v in options.items()})
        return tuple(map(self.get, found)) if isinstance(found, tuple) else self.get(found)


@pytest.fixture(scope="session", params=[TARGET])
def gpu(request):
    if reason := _reason():
        pytest.skip(reason)
    return Device()


@pytest.fixture
def place(gpu, monkeypatch):
    """Name of the device as `device_put` takes it, and the names of the kernels that were called.

    Under the simulator the arrays are those of `tests.device_array`, which refuse what CuPy's refuse.
    """
    import kernels.cuda as package

    called = []
    for name in package.__all__:
        kernel = getattr(package, name)
        monkeypatch.setattr(package, name, lambda *a, _n=name, _k=kernel, **o: called.append(_n) or _k(*a, **o))
    if TARGET == "cuda":
        yield "cuda", called
        return
    from tests.device_array import simulated

    with simulated() as device:
        yield device, called
