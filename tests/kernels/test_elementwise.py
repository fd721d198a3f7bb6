"""Elementwise functions: values, limits, shapes, memory, results in place, errors; for the CPU see also
tests/test_kernels_elementwise.py, which measures its own arithmetic.
"""

import math
import re
import sys

import numpy as np
import pytest
import scipy.special

from tests.backends import DEVICE, SIMULATED, kernels, sized

REFERENCES = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": scipy.special.expit,
    "softplus": lambda x: np.logaddexp(0, x),
    "erf": scipy.special.erf,
}
LIMIT = 4 if DEVICE else 2  # units in the last place

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each = pytest.mark.parametrize("name", sorted(REFERENCES))


@each
def test_numbers_of_every_size(name, rng):
    """Of float32, against float64: among them results that overflow, underflow and are subnormal."""
    patterns = np.arange(0, 2**32, 50_000_017 if SIMULATED else 100_003, np.uint64).astype(np.uint32)
    x = np.concatenate([patterns.view(np.float32), rng.uniform(-4, 4, 40).astype(np.float32)])
    x = x[np.isfinite(x) & (x > {"log": 0.0, "log1p": -1.0}.get(name, -np.inf))]
    with np.errstate(over="ignore", under="ignore"):
        want = REFERENCES[name](x.astype(np.float64))
        rounded = want.astype(np.float32)
    got = getattr(kernels, name)(x)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    error = np.abs(got[finite] - want[finite]) / np.abs(np.spacing(rounded[finite]))
    assert error.max() <= LIMIT


@each
@both_dtypes
def test_limits_signed_zeros_and_nan(name, dtype):
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], dtype)
    with np.errstate(all="ignore"):
        want = REFERENCES[name](x.astype(float)).astype(dtype)
    got = getattr(kernels, name)(x)
    np.testing.assert_allclose(got, want, rtol=2 * np.finfo(dtype).eps, atol=0)
    signed = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[signed]), np.signbit(want[signed]))


@both_dtypes
def test_negative_arguments_of_logarithms(dtype):
    x = np.array([-np.finfo(dtype).smallest_subnormal, -1.0, -np.finfo(dtype).max], dtype)
    assert np.isnan(kernels.log(x)).all()
    assert np.isnan(kernels.log1p(x[2:])).all()
    assert kernels.log1p(x[1:2])[0] == -np.inf


def expected(x):
    return np.vectorize(math.tanh, otypes=[x.dtype])(x)


@both_dtypes
@pytest.mark.parametrize("shape", sized([(), (0,), (1,), (3, 0, 2), (7,), (2, 3, 5), (129,)], 40), ids=str)
def test_shapes(shape, dtype, rng):
    x = np.asarray(rng.standard_normal(shape)).astype(dtype)
    y = kernels.tanh(x)
    assert isinstance(y, np.ndarray)
    assert (y.shape, y.dtype) == (shape, dtype)
    np.testing.assert_allclose(y, expected(x), rtol=4 * np.finfo(dtype).eps)


def layouts(rng):
    x = rng.standard_normal((2, 3, 5) if SIMULATED else (6, 8, 10))
    fixed = x.copy()
    fixed.flags.writeable = False
    return {
        "contiguous": x,
        "read-only": fixed,
        "Fortran": np.asfortranarray(x),
        "permuted": x.transpose(1, 2, 0),
        "strided": x[::2, 1::3],
        "reversed": x[::-1, :, ::-1],
        "broadcast": np.broadcast_to(x[:1], x.shape),
    }


@pytest.mark.parametrize("layout", list(layouts(np.random.default_rng(0))))
def test_layouts(layout, rng):
    x = layouts(rng)[layout]
    before = x.copy()
    np.testing.assert_allclose(kernels.tanh(x), expected(x), rtol=1e-15)
    out = np.full(x.shape, np.nan)
    assert kernels.tanh(x, out=out) is out
    np.testing.assert_allclose(out, expected(x), rtol=1e-15)
    np.testing.assert_array_equal(x, before)


def test_fortran_order_is_kept(rng):
    x = np.asfortranarray(rng.standard_normal((5, 7)))
    found = kernels.tanh(x)
    np.testing.assert_allclose(found, expected(x), rtol=1e-15)
    assert DEVICE or found.flags.f_contiguous  # copies to the host are in C order


def test_results_may_replace_arguments(rng):
    x = rng.standard_normal(9)
    y = kernels.tanh(x)
    assert kernels.tanh(x, out=x) is x
    np.testing.assert_array_equal(x, y)


def test_results_may_have_gaps(rng):
    x, out = rng.standard_normal((4, 6)), np.zeros((4, 12))
    kernels.tanh(x, out=out[:, ::2])
    np.testing.assert_allclose(out[:, ::2], expected(x), rtol=1e-15)
    assert not out[:, 1::2].any()
    square = rng.standard_normal((5, 5))
    want = kernels.tanh(square).copy()
    kernels.tanh(square, out=square.T)
    np.testing.assert_array_equal(square.T, want)


@each
@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (np.arange(3), "int64"), (np.ones(3, np.float16), "float16"), (np.ones(3, complex), "complex128"),
        (np.ones(3, bool), "bool"), (np.ones(3, ">f8" if sys.byteorder == "little" else "<f8"), "[<>]f8"),
    ],
)  # fmt: skip
def test_other_dtypes_are_refused(name, x, kind):
    message = rf"{name}: expected an array of float32 or float64, got {kind}; convert with .astype"
    with pytest.raises(TypeError, match=message):
        getattr(kernels, name)(x)


def test_out_must_fit():
    x = np.ones((2, 3))
    with pytest.raises(TypeError, match="exp: out must be an array of the argument's dtype, float64, got float32"):
        kernels.exp(x, out=np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match=re.escape("exp: out must have the argument's shape, (2, 3), got (3, 2)")):
        kernels.exp(x, out=np.ones((3, 2)))
