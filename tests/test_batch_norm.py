"""Batch normalisation: values and derivatives of every order against the composition that defines it."""

import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad, hvp, jvp
from autodiff.core import Spec
from autodiff.ops import batch_norm, batch_statistics

SHAPES = [((6, 3), 1), ((4, 3, 2, 5), 1), ((4, 2, 5, 3), -1), ((3, 7), 0)]


def composed(x, scale, shift, axis, eps=1e-5):
    axes = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    mean = np.mean(x, axis=axes, keepdims=True)
    variance = np.mean((x - mean) ** 2, axis=axes, keepdims=True)
    return np.expand_dims(scale, axes) * (x - mean) / np.sqrt(variance + eps) + np.expand_dims(shift, axes)


def sample(shape, axis, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(2, 3, shape), rng.normal(size=shape[axis]), rng.normal(size=shape[axis])


@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_the_batch_by_its_own_statistics(shape, axis):
    arrays = sample(shape, axis)
    np.testing.assert_allclose(batch_norm(*arrays, axis=axis), composed(*arrays, axis), rtol=1e-12, atol=1e-12)

    def loss(function):
        return lambda x, a, b: np.sum(np.sin(function(x, a, b)))

    ours, theirs = loss(lambda *z: batch_norm(*z, axis=axis)), loss(lambda *z: composed(*z, axis))
    for a, b in zip(grad(ours, (0, 1, 2))(*arrays), grad(theirs, (0, 1, 2))(*arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)
    directions = sample(shape, axis, 1)
    np.testing.assert_allclose(jvp(ours, arrays, directions), jvp(theirs, arrays, directions), rtol=1e-9)
    product = hvp(lambda x: ours(x, *arrays[1:]), arrays[:1], directions[:1])
    np.testing.assert_allclose(
        product, hvp(lambda x: theirs(x, *arrays[1:]), arrays[:1], directions[:1]), rtol=1e-7, atol=1e-9
    )
    check_grads(lambda *z: batch_norm(*z, axis=axis, eps=0.1), arrays, order=2)


def test_given_statistics():
    x, scale, shift = sample((4, 3, 2, 2), 1)
    mean, variance = np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0])
    y = batch_norm(x, scale, shift, mean=mean, variance=variance, eps=0.0)
    spread = [a[:, None, None] for a in (mean, np.sqrt(variance), scale, shift)]
    np.testing.assert_allclose(y, (x - spread[0]) / spread[1] * spread[2] + spread[3], rtol=1e-13)
    check_grads(lambda *z: batch_norm(*z[:3], mean=z[3], variance=z[4]), (x, scale, shift, mean, variance), order=2)
    np.testing.assert_allclose(batch_norm(x, mean=mean, variance=variance, eps=0), (x - spread[0]) / spread[1])


def test_statistics_and_dtypes():
    x = sample((5, 3, 4, 4), 1)[0]
    mean, variance = batch_statistics(x)
    np.testing.assert_allclose(mean, x.mean((0, 2, 3)))
    np.testing.assert_allclose(variance, x.var((0, 2, 3)))
    for dtype in (np.float16, np.float32, np.float64):
        y = batch_norm(x.astype(dtype), np.ones(3, dtype), np.zeros(3, dtype))
        assert y.dtype == dtype
        assert grad(lambda x: np.sum(batch_norm(x) ** 2))(x.astype(dtype)).dtype == dtype
    assert eval_shape(batch_norm, Spec((8, 3, 4, 4), np.float32)) == Spec((8, 3, 4, 4), np.dtype(np.float32))


def test_constant_channels_have_finite_derivatives():
    x = np.ones((4, 2))
    np.testing.assert_array_equal(batch_norm(x), np.zeros((4, 2)))
    assert np.isfinite(grad(lambda x: np.sum(batch_norm(x) ** 3 + batch_norm(x)))(x)).all()


def test_errors():
    x = np.ones((4, 3))
    with pytest.raises(TypeError, match=r"batch_norm: x must be real and floating, got int64\[4,3\]"):
        batch_norm(x.astype(int))
    with pytest.raises(ValueError, match=r"scale must have shape \(3,\), one number .*, got float64\[4\]"):
        batch_norm(x, np.ones(4))
    with pytest.raises(ValueError, match="both mean and variance, or neither"):
        batch_norm(x, mean=np.ones(3))
    with pytest.raises(ValueError, match="at least one number for each channel"):
        batch_statistics(np.ones((0, 3)))
