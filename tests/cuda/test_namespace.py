"""Arrays that rules make beside a value of CuPy's are made by CuPy's own functions; no device is needed."""

import numpy as np
import pytest

cupy = pytest.importorskip("cupy")

from autodiff.core.backend import made  # noqa: E402


@pytest.mark.parametrize("name", ["ones", "full", "eye", "zeros", "empty", "arange", "asarray"])
def test_arrays_are_made_by_cupys_own_functions(monkeypatch, name):
    """NumPy's ``ones(..., like=x)`` would hand on ``device=None``, which CuPy's does not take."""
    memory = np.ones(2)
    pointer = cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(memory.ctypes.data, memory.nbytes, memory, 0), 0)
    like = cupy.ndarray(memory.shape, memory.dtype, memptr=pointer)
    monkeypatch.setattr(cupy, name, lambda *args, **options: (args, options))
    assert made(getattr(np, name), like, 3, dtype=np.float32) == ((3,), {"dtype": np.float32})
