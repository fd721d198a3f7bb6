"""Matrix products on the device against NumPy's; whole numbers leave no rounding, so those are exact."""

import numpy as np
import pytest

from kernels import cuda as kernels
from kernels.cuda.gemm import COLUMNS, DEPTH, ROWS

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def whole(rng, shape, dtype=np.float32):
    return rng.integers(-4, 5, shape).astype(dtype)


@every_dtype
@pytest.mark.parametrize(
    ("m", "n", "k"),
    [(1, 1, 1), (3, 5, 7), (16, 16, 8), (17, 15, 9), (1, 33, 4), (19, 1, 13), (5, 3, 0), (0, 3, 2), (8, 20, 3)],
)
def test_shapes(gpu, rng, dtype, m, n, k):
    a, b = whole(rng, (m, k), dtype), whole(rng, (k, n), dtype)
    found = gpu.call(kernels.matmul, a, b)
    np.testing.assert_array_equal(found, a @ b)
    assert found.dtype == dtype


@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("k", [12, 5])
def test_transposed_operands(gpu, rng, ta, tb, k):
    a = whole(rng, (k, 20)).T if ta else whole(rng, (20, k))
    b = whole(rng, (12, k)).T if tb else whole(rng, (k, 12))
    np.testing.assert_array_equal(gpu.call(kernels.matmul, a, b), a @ b)


def test_strided_reversed_and_misaligned_operands(gpu, rng):
    a, b = whole(rng, (10, 14)), whole(rng, (15, 9))
    for left, right in [(a[::2, ::2], b[1:8]), (a[::-1], b[:14]), (a[:, 1:], b[:13, ::-1]), (a[1:, 3:7], b[:4, 2:])]:
        np.testing.assert_array_equal(gpu.call(kernels.matmul, left, right), left @ right)


@pytest.mark.parametrize(
    ("a", "b"), [((2, 3, 4), (2, 4, 5)), ((3, 1, 2, 4), (2, 4, 3)), ((4, 3), (2, 3, 2)), ((0, 2, 3), (3, 4))]
)
def test_batches_broadcast(gpu, rng, a, b):
    a, b = whole(rng, a), whole(rng, b)
    np.testing.assert_array_equal(gpu.call(kernels.matmul, a, b), a @ b)


@every_dtype
def test_bias_and_relu(gpu, rng, dtype):
    a, b, bias = whole(rng, (5, 6), dtype), whole(rng, (6, 18), dtype), whole(rng, 18, dtype)
    found = gpu.call(kernels.matmul, a, b, bias=bias, activation="relu")
    np.testing.assert_array_equal(found, np.maximum(a @ b + bias, 0))
    np.testing.assert_array_equal(gpu.call(kernels.matmul, a, b, bias=bias[::-1]), a @ b + bias[::-1])
    empty = gpu.call(kernels.matmul, a[:, :0], b[:0], bias=bias)
    np.testing.assert_array_equal(empty, np.broadcast_to(bias, (5, 18)))


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
    with pytest.raises(ValueError, match=r"matmul: expected shapes .* got \(2, 3\) and \(2, 3\)"):
        kernels.matmul(put(x), put(x))
    with pytest.raises(ValueError, match="activation must be None or \"relu\", got 'gelu'"):
        kernels.matmul(put(x), put(x.T), activation="gelu")
    with pytest.raises(ValueError, match=r"bias must have shape \(2,\), one number for each column, got \(3,\)"):
        kernels.matmul(put(x), put(x.T), bias=put(x[0]))
