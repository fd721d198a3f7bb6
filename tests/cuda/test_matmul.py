"""Matrix products on the device: what the contract in tests/kernels/test_matmul.py does not say."""

import numpy as np
import pytest

from kernels import cuda as kernels
from kernels.cuda.gemm import COLUMNS, DEPTH, ROWS


def whole(rng, shape, dtype=np.float32):
    return rng.integers(-4, 5, shape).astype(dtype)


@pytest.mark.parametrize("precision", [None, "tf32"])
def test_relu_of_special_values(gpu, precision):
    a = np.array([[np.nan], [-np.inf], [np.inf], [-2.0]], np.float32)
    found = gpu.call(kernels.matmul, a, np.ones((1, 1), np.float32), activation="relu", precision=precision)
    np.testing.assert_array_equal(found, [[np.nan], [0], [np.inf], [0]])
    assert not np.signbit(found[[1, 3]]).any()


def test_more_tiles_than_blocks(gpu, rng):
    a, b = whole(rng, (ROWS * 2 + 1, DEPTH * 2 + 1)), whole(rng, (DEPTH * 2 + 1, COLUMNS + 3))
    np.testing.assert_array_equal(gpu.call(kernels.matmul, a, b), a @ b)


def test_errors(gpu):
    put, x = gpu.put, np.ones((2, 3), np.float32)
    with pytest.raises(TypeError, match=r"matmul: a must be an array on the device, got numpy.ndarray in the host's"):
        kernels.matmul(x, put(x.T))
    with pytest.raises(TypeError, match="matmul: bias must be an array on the device"):
        kernels.matmul(put(x), put(x.T), bias=np.ones(2, np.float32))
    with pytest.raises(TypeError, match="float16 or bfloat16, got a: float32, b: float64"):
        kernels.matmul(put(x), put(x.T.astype(np.float64)))
    with pytest.raises(TypeError, match="a: int64, b: int64"):
        kernels.matmul(put(np.ones((2, 2), np.int64)), put(np.ones((2, 2), np.int64)))
