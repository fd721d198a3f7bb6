"""The product of a dense layer: values, derivatives of every order, the kernel and NumPy."""

import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad
from autodiff.core import Spec
from autodiff.ops import dense


@pytest.mark.parametrize("shape", [(4, 3), (3,), (2, 5, 3), (0, 3), (2, 0, 3)], ids=str)
def test_values_and_derivatives(shape):
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=shape), rng.normal(size=(3, 2)), rng.normal(size=2)
    np.testing.assert_allclose(dense(x, w, b), x @ w + b, rtol=1e-14)
    np.testing.assert_array_equal(dense(x, w), x @ w)
    check_grads(lambda x, w, b: np.tanh(dense(x, w, b)), (x, w, b), order=3)
    check_grads(lambda x, w: np.tanh(dense(x, w)), (x, w), order=2)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_large_products_and_dtypes(dtype):
    rng = np.random.default_rng(1)
    x, w, b = (rng.normal(size=s).astype(dtype) for s in ((90, 80), (80, 70), (70,)))
    y = dense(x, w, b)
    assert y.dtype == dtype
    wide = complex if dtype == np.complex64 else float
    expected = x.astype(wide) @ w.astype(wide) + b
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12 if dtype == np.float64 else 5e-2)
    if dtype != np.complex64:
        slopes = grad(lambda x, w, b: np.sum(dense(x, w, b)), (0, 1, 2))(x, w, b)
        assert [a.dtype for a in slopes] == [dtype] * 3
        np.testing.assert_allclose(slopes[2], 90)
        assert eval_shape(dense, Spec((90, 80), dtype), Spec((80, 70), dtype), Spec((70,), dtype)) == Spec(
            (90, 70), dtype
        )


def test_mixed_dtypes_follow_numpy():
    x, w, b = np.ones((2, 3), np.float32), np.ones((3, 2), np.float32), np.ones(2)
    assert dense(x, w, b).dtype == np.float64
    assert dense(x, w, np.ones(2, int)).dtype == (x @ w + np.ones(2, int)).dtype


def test_errors():
    x, w = np.ones((2, 3)), np.ones((3, 4))
    with pytest.raises(ValueError, match=r"expected x \(\.\.\., K\) and w \(K, M\)"):
        dense(x, w.T)
    with pytest.raises(ValueError, match=r"expected x \(\.\.\., K\) and w \(K, M\)"):
        dense(x, w[0])
    with pytest.raises(ValueError, match=r"bias must have shape \(4,\), one number for each column"):
        dense(x, w, np.ones(3))
