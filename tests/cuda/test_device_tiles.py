"""Products with the tiles of the device, 128 x 128, in the simulator: one tile of each, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernels.cuda.launch import SIMULATED

PROGRAM = """
import numpy as np
from kernels.cuda import gemm, matmul, tensor
from kernels.cuda.arrays import give

assert gemm.ROWS == tensor.ROWS == 128
assert (gemm.THREADS, tensor.THREADS) == (256, 128)
dtype, precision, rows, columns, terms, left, right = {case}
rng = np.random.default_rng(0)
a = rng.integers(-4, 5, (terms, rows) if left else (rows, terms)).astype(dtype)
b = rng.integers(-4, 5, (columns, terms) if right else (terms, columns)).astype(dtype)
a, b, bias = a.T if left else a, b.T if right else b, np.arange(columns).astype(dtype)
found = matmul(give(a), give(b), bias=give(bias), activation="relu", precision=precision).copy_to_host()
wanted = np.maximum(a.astype(float) @ b.astype(float) + bias.astype(float), 0)
np.testing.assert_array_equal(found, wanted.astype(dtype))
"""


@pytest.mark.skipif(not SIMULATED, reason="a device has no other tiles")
@pytest.mark.parametrize(
    "case",
    [
        ("float32", None, 128, 121, 19, False, True),
        ("float16", None, 117, 126, 72, True, False),
        ("float16", None, 128, 128, 104, False, True),
        ("float32", "tf32", 128, 99, 40, True, False),
        ("float32", "tf32", 120, 128, 36, False, True),
    ],
    ids=str,
)
def test_a_whole_tile(case):
    root = Path(__file__).resolve().parents[2]
    settings = {"AUTODIFF_CUDA_TILES": "device", "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", PROGRAM.format(case=case)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **settings})
    assert run.returncode == 0, run.stderr
