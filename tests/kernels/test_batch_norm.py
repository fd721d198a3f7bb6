"""Kernels of batch normalisation against extended precision: every place of the channels, memory, errors, threads."""

import numpy as np
import pytest

from kernels.cpu import threads
from tests.backends import SIMULATED, kernels, sized

batch_norm_apply, batch_norm_gradient = kernels.batch_norm_apply, kernels.batch_norm_gradient
batch_norm_statistics, batch_norm_sums = kernels.batch_norm_statistics, kernels.batch_norm_sums

DTYPES = (np.float32, np.float64)
# (shape, axis): planes, rows of channels one at a time and several at a time, more than one block of rows.
CASES = [
    ((1, 1), 1), ((5, 3), 1), ((2, 3, 4, 5), 1), ((2, 4, 5, 3), 3), ((3, 7), 0), ((4, 2, 3), 2), ((4, 2, 3), 1),
    ((9,), 0), ((2, 300), 1), ((41, 256), 1), ((101, 7), 1), ((3000, 7), 1), ((90, 200), 1), ((1, 5, 40, 41), 1),
    ((70, 2, 1, 1), 1), ((11, 6), 1), ((1, 2, 5, 7), 1),
]  # fmt: skip
CASES = sized(CASES, 70, key=lambda case: case[0])


def others(x, axis):
    return tuple(i for i in range(x.ndim) if i != axis)


def spread(values, x, axis):
    return np.expand_dims(values, others(x, axis))


def close(actual, expected, dtype, scale=1.0):
    assert type(actual) is np.ndarray
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    slack = 8 * scale * np.finfo(dtype).eps
    np.testing.assert_allclose(actual, expected.astype(float), rtol=8 * np.finfo(dtype).eps, atol=slack)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [-1000] if SIMULATED else [0, 3, -1000])
@pytest.mark.parametrize(("shape", "axis"), CASES, ids=str)
def test_statistics(shape, axis, offset, dtype, rng):
    x = (offset + rng.standard_normal(shape)).astype(dtype)
    exact = x.astype(np.longdouble)
    mean, var = batch_norm_statistics(x, axis)
    close(mean, exact.mean(others(x, axis)), dtype, 1 + abs(offset))
    close(var, exact.var(others(x, axis)), dtype, 1 + abs(offset) / 9)  # means are merged with the precision of float64
    assert (var >= 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), CASES, ids=str)
def test_passes_over_images(shape, axis, dtype, rng):
    x, g = rng.standard_normal((2, *shape)).astype(dtype)
    mean, scale, shift, slope = rng.standard_normal((4, shape[axis])).astype(dtype)
    wide = [spread(a.astype(np.longdouble), x, axis) for a in (mean, scale, shift, slope)]
    close(batch_norm_apply(x, mean, scale, shift, axis), (x - wide[0]) * wide[1] + wide[2], dtype, 4)
    total, product = batch_norm_sums(g, x, mean, axis)
    close(total, g.astype(np.longdouble).sum(others(x, axis)), dtype, np.sqrt(x.size))
    close(product, (g * (x - wide[0])).sum(others(x, axis)), dtype, np.sqrt(x.size))
    expected = (g - wide[2]) * wide[1] - (x - wide[0]) * wide[3]
    close(batch_norm_gradient(g, x, mean, scale, shift, slope, axis), expected, dtype, 4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6, 4), (5, 4, 3)] if SIMULATED else [(30, 4), (6, 4, 5)])
def test_channels_do_not_mix(shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    clean = batch_norm_statistics(x)
    x[3, 1] = np.nan
    x[4, 2] = np.inf
    x[:, 3] = 7
    with np.errstate(invalid="ignore"):  # for runs without the compiler
        mean, var = batch_norm_statistics(x)
    np.testing.assert_array_equal(mean[0], clean[0][0])
    np.testing.assert_array_equal(var[0], clean[1][0])
    assert np.isnan(mean[1])
    assert np.isnan(var[1:3]).all()
    assert mean[2] == np.inf or np.isnan(mean[2])
    assert (mean[3], var[3]) == (7, 0)


def test_any_memory(rng):
    x, g = rng.standard_normal((2, 2, 2, 3) if SIMULATED else (2, 6, 8, 10)).astype(np.float32)
    frozen = x.copy()
    frozen.flags.writeable = False
    for view in (x[::2], x[:, ::-1], x.transpose(2, 1, 0), np.asfortranarray(x), frozen,
                 np.broadcast_to(x[:1], x.shape)):  # fmt: skip
        plain = np.array(view, order="C")
        mean, var = batch_norm_statistics(view)
        for found, expected in zip((mean, var), batch_norm_statistics(plain), strict=True):
            np.testing.assert_array_equal(found, expected)
        reverse = mean[::-1]
        y = batch_norm_apply(view, reverse, mean, var)
        np.testing.assert_array_equal(y, batch_norm_apply(plain, reverse.copy(), mean, var))
        assert y.flags.c_contiguous
        other = np.broadcast_to(g[:1, :1, :1], view.shape)
        gx = batch_norm_gradient(other, view, mean, var, mean, var)
        np.testing.assert_array_equal(gx, batch_norm_gradient(other.copy(), plain, mean, var, mean, var))
        for found, expected in zip(
            batch_norm_sums(other, view, mean), batch_norm_sums(other.copy(), plain, mean), strict=True
        ):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("shape", "axis"), [((0, 3), 1), ((0, 3, 4), 1), ((3, 0, 4), 1), ((2, 3, 0), 1), ((2, 0), 1)])
def test_nothing_to_sum(shape, axis):
    x, numbers = np.empty(shape), np.ones(shape[axis])
    assert batch_norm_apply(x, numbers, numbers, numbers, axis).shape == shape
    assert batch_norm_gradient(x, x, numbers, numbers, numbers, numbers, axis).shape == shape
    for total in batch_norm_sums(x, x, numbers, axis):
        np.testing.assert_array_equal(total, np.zeros(shape[axis]))
    if shape[axis]:
        with pytest.raises(ValueError, match=r"^batch_norm_statistics: images of shape .* have no numbers"):
            batch_norm_statistics(x, axis)
    else:
        assert batch_norm_statistics(np.empty((2, 0)))[0].shape == (0,)


def test_errors():
    x, c = np.ones((2, 3, 4)), np.ones(3)
    for dtype in ("float16", "int64", "complex64", ">f8"):
        with pytest.raises(TypeError, match=r"^batch_norm_statistics: expected arrays of float32 or of float64, got"):
            batch_norm_statistics(x.astype(dtype))
    for axis in (3, -1):
        with pytest.raises(ValueError, match=rf"arrays of shape \(2, 3, 4\) have no axis {axis}"):
            batch_norm_statistics(x, axis)
    with pytest.raises(TypeError, match=r"^batch_norm_sums: .*got float32 and float64; convert with"):
        batch_norm_sums(x.astype(np.float32), x, c)
    with pytest.raises(ValueError, match=r"^batch_norm_sums: expected arrays of one shape, got \(1, 3, 4\) and \(2, 3"):
        batch_norm_sums(x[:1], x, c)
    with pytest.raises(ValueError, match=r"^batch_norm_apply: scale must have shape \(3,\) and dtype float64, got"):
        batch_norm_apply(x, c, np.ones(4), c)
    with pytest.raises(ValueError, match=r"shift must have shape \(3,\) and dtype float64, got \(3,\) and float32"):
        batch_norm_apply(x, c, c, c.astype(np.float32))
    with pytest.raises(ValueError, match=r"^batch_norm_gradient: level must have shape \(3,\)"):
        batch_norm_gradient(x, x, c, c, c[:2], c)


@pytest.mark.only_cpu
@pytest.mark.parametrize(("shape", "axis"), [((40, 30, 60), 1), ((3000, 30), 1), ((60, 900), 1)], ids=str)
def test_any_number_of_threads_gives_the_same_result(shape, axis, rng):
    x, g = rng.standard_normal((2, *shape)).astype(np.float32)

    def everything():
        mean, var = batch_norm_statistics(x, axis)
        return (
            mean,
            var,
            *batch_norm_sums(g, x, mean, axis),
            batch_norm_apply(x, mean, var, mean, axis),
            batch_norm_gradient(g, x, mean, var, mean, var, axis),
        )

    with threads(1):
        expected = everything()
    for count in (2, 3, 16):
        with threads(count):
            for found, want in zip(everything(), expected, strict=True):
                np.testing.assert_array_equal(found, want)
