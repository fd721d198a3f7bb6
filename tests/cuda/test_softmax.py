"""Softmax and cross-entropy on the device against float64 NumPy."""

import numpy as np
import pytest
from scipy import special

from kernels import cuda as kernels

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
TOLERANCE = {np.float32: 5e-6, np.float64: 1e-14}


@every_dtype
@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (5, 3), (9, 10), (2, 3, 17), (7,), (0, 4), (4, 0)])
def test_softmax_and_its_logarithm(gpu, rng, dtype, shape):
    x = (4 * rng.standard_normal(shape)).astype(dtype)
    for name in ("softmax", "log_softmax"):
        found = gpu.call(getattr(kernels, name), x)
        wanted = getattr(special, name)(x.astype(float), axis=-1) if x.size else x
        assert found.dtype == dtype
        assert found.shape == shape
        np.testing.assert_allclose(found, wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_large_logits_and_nan(gpu):
    x = np.array([[1e4, 1e4, -1e4], [-1e4, -1e4, -1e4], [np.nan, 1.0, 2.0], [1.0, np.nan, 2.0]])
    found = gpu.call(kernels.softmax, x)
    np.testing.assert_allclose(found[:2], [[0.5, 0.5, 0.0], [1 / 3] * 3], rtol=1e-15)
    assert np.isnan(found[2:]).all()
    found = gpu.call(kernels.log_softmax, x[:2])
    np.testing.assert_allclose(found[0], [-np.log(2), -np.log(2), -2e4 - np.log(2)], rtol=1e-15)


def test_strided_rows(gpu, rng):
    x = rng.standard_normal((6, 8))
    np.testing.assert_allclose(gpu.call(kernels.softmax, x.T[::2]), special.softmax(x.T[::2], axis=-1), rtol=1e-14)


def test_equal_rows_give_equal_bits(gpu, rng):
    x = np.repeat(rng.standard_normal((1, 11)).astype(np.float32), 5, axis=0)
    found = gpu.call(kernels.softmax, x)
    assert (found == found[0]).all()


@every_dtype
@pytest.mark.parametrize("labels", [np.int64, np.int32, np.uint8])
def test_cross_entropy_and_gradient(gpu, rng, dtype, labels):
    x, y = (3 * rng.standard_normal((7, 5))).astype(dtype), rng.integers(0, 5, 7).astype(labels)
    weights = rng.standard_normal(7).astype(dtype)
    loss, probabilities = gpu.call(kernels.softmax_cross_entropy, x, y)
    log, p = special.log_softmax(x.astype(float), axis=1), special.softmax(x.astype(float), axis=1)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(loss, -log[np.arange(7), y], **tolerance)
    np.testing.assert_allclose(probabilities, p, **tolerance)
    found = gpu.call(kernels.softmax_cross_entropy_gradient, weights, probabilities, y)
    np.testing.assert_allclose(found, weights[:, None] * (p - np.eye(5)[y]), **tolerance)
    assert loss.dtype == probabilities.dtype == found.dtype == dtype


@pytest.mark.parametrize("ignore", [-100, 2, -1])
def test_ignored_rows_are_zero_whatever_they_hold(gpu, rng, ignore):
    x, y = rng.standard_normal((4, 3)), np.array([0, ignore, 1, ignore])
    x[1] = np.nan
    loss, p = gpu.call(kernels.softmax_cross_entropy, x, y, ignore)
    g = gpu.call(kernels.softmax_cross_entropy_gradient, np.array([1.0, np.inf, 2.0, 3.0]), p, y, ignore)
    assert not loss[[1, 3]].any()
    assert not p[[1, 3]].any()
    assert not g[[1, 3]].any()
    np.testing.assert_allclose(loss[[0, 2]], -special.log_softmax(x[[0, 2]], axis=1)[[0, 1], [0, 1]], rtol=1e-14)


def test_errors(gpu):
    put, x = gpu.put, np.zeros((3, 4))
    with pytest.raises(IndexError, match="label 4 at position 1 is out of range for 4 classes; mark rows to leave out"):
        kernels.softmax_cross_entropy(put(x), put(np.array([0, 4, -1])))
    with pytest.raises(IndexError, match="label -1 at position 2"):
        kernels.softmax_cross_entropy(put(x), put(np.array([0, 4, -1])), ignore_index=4)
    with pytest.raises(TypeError, match="softmax_cross_entropy: labels must be an array on the device"):
        kernels.softmax_cross_entropy(put(x), np.array([0, 1, 2]))
    with pytest.raises(TypeError, match="labels must be integers, got float64"):
        kernels.softmax_cross_entropy(put(x), put(np.zeros(3)))
    with pytest.raises(ValueError, match=r"expected logits \(N, K\) and labels \(N,\), got \(3, 4\) and \(2,\)"):
        kernels.softmax_cross_entropy(put(x), put(np.array([0, 1])))
    with pytest.raises(TypeError, match="softmax: expected float32 or float64, got int64"):
        kernels.softmax(put(np.zeros(3, np.int64)))
    with pytest.raises(ValueError, match="expected an array with at least one dimension, got a scalar"):
        kernels.log_softmax(put(np.zeros(())))
    with pytest.raises(ValueError, match=r"expected weights \(3,\) of dtype float64, got \(3,\) of float32"):
        kernels.softmax_cross_entropy_gradient(put(np.ones(3, np.float32)), put(x), put(np.array([0, 1, 2])))
