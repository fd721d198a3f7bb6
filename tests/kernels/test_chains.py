"""Chains of elementwise functions: every function, dtype, kind of operand and place in memory, and what is refused."""

import math

import numpy as np
import pytest

from kernels.chains import BINARY, UNARY
from tests.backends import SIMULATED, kernels

chain = kernels.chain
DTYPES = (np.float16, np.float32, np.float64)
SIZE = 11 if SIMULATED else 1003  # packs of 16 bytes and something left over

EXACT = {
    "absolute": abs, "cos": math.cos, "erf": math.erf, "exp": math.exp, "expm1": math.expm1, "log": math.log,
    "log1p": math.log1p, "negative": lambda x: -x, "reciprocal": lambda x: 1 / x, "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "sin": math.sin, "softplus": lambda x: math.log1p(math.exp(x)),
    "sqrt": math.sqrt, "square": lambda x: x * x, "tanh": math.tanh,
}  # fmt: skip
POSITIVE = {"log", "log1p", "reciprocal", "sqrt"}


def close(found, exact, dtype, units=4):
    assert found.dtype == dtype
    assert found.shape == exact.shape
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(found.astype(float), exact, rtol=units * eps, atol=units * eps)


def test_each_function_is_known():
    assert set(EXACT) == set(UNARY)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(UNARY))
def test_functions_of_one_number(name, dtype, rng):
    x = rng.uniform(0.1 if name in POSITIVE else -4, 4, SIZE).astype(dtype)
    exact = np.array([EXACT[name](float(v)) for v in x])
    close(chain(name, x), exact, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(BINARY))
def test_functions_of_two_numbers(name, dtype, rng):
    x, y = rng.uniform(0.5, 2, (2, SIZE)).astype(dtype)
    exact = np.where(y > 0, x, 0.0) if name == "gate" else getattr(np, name)(x.astype(float), y.astype(float))
    close(chain((name,), x, y), exact, dtype, units=1)
    exact = np.where(y > 0, x, 0.0) if name == "gate" else getattr(np, name)(x.astype(float), 0.75)
    close(chain((name,), x, 0.75), exact, dtype, units=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(3, 1), (1, 4), (4,), (2, 1, 1), (3, 4), (2, 3, 1), (1, 1, 1), (), (2, 1, 4), (2, 3, 4)], ids=str
)
def test_operands_broadcast(shape, dtype, rng):
    """Runs of axes are read where they lie; (2, 1, 4) is not one."""
    x, y = rng.standard_normal((2, 3, 4)).astype(dtype), np.asarray(rng.standard_normal(shape)).astype(dtype)
    exact = np.tanh(x.astype(float) * y + 0.5)
    close(chain(("multiply", "add", "tanh"), x, y, 0.5), exact, dtype)
    close(chain(("multiply", "add", "tanh"), y, x, 0.5), exact, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_half_precision_is_rounded_once(dtype):
    """In float16 itself 2048 + 1 - 2048 is 0."""
    x = np.full(9, 2048, dtype)
    np.testing.assert_array_equal(chain(("add", "subtract"), x, 1.0, x), np.ones(9, dtype))


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9])
@pytest.mark.parametrize("offset", [0, 1])
def test_sizes_and_places_in_memory(size, offset, rng):
    """Arrays that do not begin at a multiple of 16 bytes, shorter than a pack, and with gaps."""
    x = rng.standard_normal(size + offset).astype(np.float32)[offset:]
    np.testing.assert_array_equal(chain(("square", "negative"), x), -(x * x))
    gaps = rng.standard_normal((3, 2 * size)).astype(np.float32)[:, ::2]
    np.testing.assert_array_equal(chain("absolute", gaps.T), abs(gaps.T))


def test_results_replace_operands(rng):
    x, y = rng.standard_normal((2, 9))
    want = np.maximum(x, y) - 2
    assert chain(("maximum", "subtract"), x, y, 2.0, out=y) is y
    np.testing.assert_array_equal(y, want)
    gaps = np.zeros((9, 2))
    chain("negative", x, out=gaps[:, 0])
    np.testing.assert_array_equal(gaps, np.stack([-x, np.zeros(9)], axis=1))


def test_limits_and_nan():
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e4, -1e4], np.float32)
    np.testing.assert_array_equal(chain("sigmoid", x), np.array([np.nan, 1, 0, 0.5, 0.5, 1, 0], np.float32))
    np.testing.assert_array_equal(chain("relu", x), np.array([np.nan, np.inf, 0, 0, 0, 1e4, 0], np.float32))
    np.testing.assert_array_equal(chain(("maximum",), x, 0.0)[:3], np.array([np.nan, np.inf, 0], np.float32))
    np.testing.assert_array_equal(chain(("minimum",), np.zeros(7, np.float32), x)[:3], [np.nan, 0, -np.inf])
    np.testing.assert_array_equal(chain("reciprocal", x)[1:5], [0, -0.0, np.inf, -np.inf])
    assert np.isnan(chain(("log", "sqrt"), np.array([-1.0, 0.5]))).all()


def test_errors():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"^chain: unknown function 'gelu'; known are absolute, cos, .*, subtract$"):
        chain(("exp", "gelu"), x)
    with pytest.raises(ValueError, match=r"^chain: the functions multiply, add take 3 operands, got 2$"):
        chain(("multiply", "add"), x, x)
    with pytest.raises(TypeError, match=r"^chain: expected float16, float32 or float64, got float32 and float64; conv"):
        chain(("add",), x, x.astype(float))
    with pytest.raises(TypeError, match=r"^chain: expected float16, float32 or float64, got int64; convert with"):
        chain("exp", x.astype(np.int64))
    with pytest.raises(ValueError, match=r"broadcast"):
        chain(("add",), x, np.ones(4, np.float32))
    with pytest.raises(TypeError, match=r"^chain: out must be an array of the argument's dtype, float32, got float64"):
        chain("exp", x, out=np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"^chain: out must have the argument's shape, \(2, 3\), got \(3, 2\)"):
        chain("exp", x, out=np.ones((3, 2), np.float32))
