"""Matrix products: one contract for the processor and for the device.

Whole numbers leave no rounding, so comparisons with them are exact in any order of sums. What only one backend has is
tested in tests/test_kernels_matmul.py (register tiles) and tests/cuda (tiles, vectors, tensor cores).
"""

import numpy as np
import pytest

from tests.backends import SIMULATED, kernels

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def whole(rng, shape, dtype=np.float32):
    return rng.integers(-4, 5, shape).astype(dtype)


def same(found, want):
    assert type(found) is np.ndarray
    assert found.dtype == want.dtype
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, want)


SIZES = [(1, 1, 1), (3, 5, 7), (16, 16, 8), (17, 15, 9), (1, 33, 4), (19, 1, 13), (8, 20, 3), (13, 31, 17), (1, 1, 40)]
LARGE = [] if SIMULATED else [(128, 128, 8), (129, 127, 65), (257, 300, 33), (5, 700, 301), (600, 3, 40)]


@every_dtype
@pytest.mark.parametrize(("m", "n", "k"), SIZES + LARGE)
def test_shapes(rng, dtype, m, n, k):
    a, b = whole(rng, (m, k), dtype), whole(rng, (k, n), dtype)
    same(kernels.matmul(a, b), a @ b)


@pytest.mark.parametrize(("m", "n", "k"), [(0, 3, 2), (5, 0, 2), (5, 3, 0), (0, 0, 0)])
def test_empty(rng, m, n, k):
    a, b, bias = np.ones((m, k)), np.ones((k, n)), np.linspace(-1, 1, n)
    same(kernels.matmul(a, b), a @ b)
    same(kernels.matmul(a, b, bias=bias, activation="relu"), np.maximum(a @ b + bias, 0))


@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("k", [12, 5])
def test_transposed_operands(rng, ta, tb, k):
    a = whole(rng, (k, 20)).T if ta else whole(rng, (20, k))
    b = whole(rng, (12, k)).T if tb else whole(rng, (k, 12))
    same(kernels.matmul(a, b), a @ b)


def test_strided_reversed_and_broadcast_operands(rng):
    a, b = whole(rng, (10, 14)), whole(rng, (15, 9))
    pairs = [(a[::2, ::2], b[1:8]), (a[::-1], b[:14]), (a[:, 1:], b[:13, ::-1]), (a[1:, 3:7], b[:4, 2:])]
    for left, right in [*pairs, (np.broadcast_to(a[:1], a.shape), b[:14])]:
        same(kernels.matmul(left, right), left @ right)


@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 3, 4), (2, 4, 5)), ((3, 1, 2, 4), (2, 4, 3)), ((4, 3), (2, 3, 2)), ((0, 2, 3), (3, 4)), ((2, 1, 1), (1, 3))],
)
def test_batches_broadcast(rng, a, b):
    a, b = whole(rng, a), whole(rng, b)
    same(kernels.matmul(a, b), a @ b)
    turned = np.ascontiguousarray(np.swapaxes(a, -1, -2)).swapaxes(-1, -2)
    same(kernels.matmul(turned, b), a @ b)


@every_dtype
def test_bias_and_relu(rng, dtype):
    a, b, bias = whole(rng, (5, 6), dtype), whole(rng, (6, 18), dtype), whole(rng, 18, dtype)
    same(kernels.matmul(a, b, bias=bias), a @ b + bias)
    same(kernels.matmul(a, b, activation="relu"), np.maximum(a @ b, 0))
    same(kernels.matmul(a, b, bias=bias, activation="relu"), np.maximum(a @ b + bias, 0))
    same(kernels.matmul(a, b, bias=bias[::-1]), a @ b + bias[::-1])
    stack = np.stack([a, 2 * a])
    same(kernels.matmul(stack, b, bias=bias), stack @ b + bias)


def test_relu_of_special_values():
    a = np.array([[np.nan], [-np.inf], [np.inf], [-2.0]], np.float32)
    found = kernels.matmul(a, np.ones((1, 1), np.float32), activation="relu")
    np.testing.assert_array_equal(found, [[np.nan], [0], [np.inf], [0]])
    assert not np.signbit(found[[1, 3]]).any()


@every_dtype
def test_rounding(rng, dtype):
    """No more than the bound of sums in any order: terms times the unit of rounding, relative to |a| |b|."""
    k = 40 if SIMULATED else 3000
    a, b = rng.standard_normal((9, k)).astype(dtype), rng.standard_normal((k, 11)).astype(dtype)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    bound = k * np.finfo(dtype).eps / 2 * (np.abs(a).astype(float) @ np.abs(b).astype(float))
    assert (np.abs(kernels.matmul(a, b) - exact) <= bound).all()


@pytest.mark.only_cpu
def test_an_error_names_batches_that_do_not_broadcast():
    with pytest.raises(ValueError, match=r"^matmul: the leading dimensions of \(2, 1, 1\) and \(3, 1, 1\) do not"):
        kernels.matmul(np.ones((2, 1, 1)), np.ones((3, 1, 1)))


def test_errors():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(TypeError, match=r"^matmul: .*float32.*float64.* got .*float32.*float64.*convert with .astype"):
        kernels.matmul(x, x.T.astype(np.float64))
    with pytest.raises(TypeError, match=r"^matmul: .*float32.*float64.* got .*int64"):
        kernels.matmul(np.ones((2, 2), np.int64), np.ones((2, 2), np.int64))
    with pytest.raises(TypeError, match=r"^matmul: .*bias.*float64.*convert with .astype"):
        kernels.matmul(x, x.T, bias=np.ones(2))
    with pytest.raises(ValueError, match=r"^matmul: expected shapes .* got \(2, 3\) and \(2, 3\)"):
        kernels.matmul(x, x)
    with pytest.raises(ValueError, match=r"^matmul: expected shapes .* got \(3,\) and \(3, 2\)"):
        kernels.matmul(x[0], x.T)
    with pytest.raises(ValueError, match=r"^matmul: activation must be None or .relu., got 'gelu'"):
        kernels.matmul(x, x.T, activation="gelu")
    with pytest.raises(
        ValueError, match=r"^matmul: bias must have shape \(2,\), one number for each column, got \(3,\)"
    ):
        kernels.matmul(x, x.T, bias=x[0])
