"""Batch normalisation: values and derivatives of every order against the composition that defines it."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad, hvp, jvp, trace, vjp
from autodiff.core import Spec
from autodiff.ops import batch_norm, batch_statistics, enable_kernels

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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "axis"), [((8, 6, 12, 12), 1), ((8, 12, 12, 6), -1), ((300, 20), 1)], ids=str)
def test_kernels_and_plain_numpy_agree(shape, axis, dtype, monkeypatch):
    arrays, directions = ([a.astype(dtype) for a in sample(shape, axis, seed)] for seed in (0, 1))
    weights = np.random.default_rng(2).normal(size=shape).astype(dtype)

    def loss(x, a, b):
        return np.sum(batch_norm(x, a, b, axis=axis) ** 2 * weights)

    def everything():
        y, tangent = jvp(lambda *z: batch_norm(*z, axis=axis), arrays, directions)
        given = batch_norm(arrays[0], *arrays[1:], mean=arrays[1], variance=abs(arrays[2]), axis=axis)
        _, *statistics = batch_norm(arrays[0], axis=axis, return_statistics=True)
        return y, tangent, given, *statistics, *grad(loss, (0, 1, 2))(*arrays), *hvp(loss, arrays, directions)

    enable_kernels()
    assert arrays[0].size >= sys.modules["autodiff.ops.batch_norm"].SMALL
    found = everything()
    monkeypatch.setattr(sys.modules["autodiff.ops.batch_norm"], "SMALL", 1 << 40)
    tolerance = 2e-4 if dtype == np.float32 else 1e-11
    for a, b in zip(found, everything(), strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


def test_statistics_of_the_batch_come_along():
    x, scale, shift = sample((4, 3, 2, 5), 1)
    y, mean, variance = batch_norm(x, scale, shift, return_statistics=True)
    np.testing.assert_array_equal(y, batch_norm(x, scale, shift))
    np.testing.assert_allclose(mean, x.mean((0, 2, 3)), rtol=1e-14)
    np.testing.assert_allclose(variance, x.var((0, 2, 3)), rtol=1e-14)

    def pair(x):
        y, mean, variance = batch_norm(x, return_statistics=True)
        assert type(mean) is type(variance) is np.ndarray  # known, not traced
        return np.sum(y**3) + np.sum(mean + variance)

    np.testing.assert_array_equal(grad(pair)(x), grad(lambda x: np.sum(batch_norm(x) ** 3))(x))


def test_an_adjoint_that_changes_between_two_pullbacks():
    """Sums of an adjoint are shared by the rules of one sweep, and by nothing else."""
    x, scale, shift = sample((6, 3), 1)
    for wanted in ((0, 1, 2), (0,), (1, 2)):
        arrays = [x, scale, shift]

        def part(*z, wanted=wanted, arrays=arrays):
            full = list(arrays)
            for i, value in zip(wanted, z, strict=True):
                full[i] = value
            return batch_norm(*full)

        y, pullback = vjp(part, *(arrays[i] for i in wanted))
        g = np.random.default_rng(3).normal(size=y.shape)
        first = pullback(g)
        g *= -2
        for a, b in zip(pullback(g), first, strict=True):
            np.testing.assert_allclose(a, -2 * b, rtol=1e-12, atol=1e-12)


def test_the_same_array_with_other_numbers():
    x, scale, shift = sample((6, 3), 1)
    function = grad(lambda x: np.sum(batch_norm(x, scale, shift) ** 3))
    program = trace(function)(x)
    for seed in (5, 6):
        np.testing.assert_array_equal(program.eval(x), function(x.copy()))
        x[...] = sample((6, 3), 1, seed)[0]
    points = np.random.default_rng(0).normal(size=(24, 6, 3))
    with ThreadPoolExecutor(8) as pool:
        for found, point in zip(pool.map(program.eval, points), points, strict=True):
            np.testing.assert_array_equal(found, function(point))


def test_float16_neither_overflows_nor_loses_its_mean():
    x = (300 + 100 * np.random.default_rng(0).standard_normal((5000, 2))).astype(np.float16)
    y = batch_norm(x)
    exact = batch_norm(x.astype(float))
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.astype(float), exact, atol=2e-3)
    g = grad(lambda x: np.sum(batch_norm(x) ** 2 / 100))(x)
    assert g.dtype == np.float16
    assert np.isfinite(g).all()


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
    with pytest.raises(ValueError, match=r"variance must have shape \(3,\), .*, got float64\[1,3\]"):
        batch_norm(x, mean=np.ones(3), variance=np.ones((1, 3)))
    with pytest.raises(ValueError, match="are given; return_statistics is for those of the batch"):
        batch_norm(x, mean=np.ones(3), variance=np.ones(3), return_statistics=True)
    with pytest.raises(ValueError, match="both mean and variance, or neither"):
        batch_norm(x, mean=np.ones(3))
    with pytest.raises(ValueError, match="at least one number for each channel"):
        batch_statistics(np.ones((0, 3)))
