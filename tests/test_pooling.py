"""Max and average pooling: kernels and plain NumPy against explicit loops, derivatives of all orders in both modes."""

import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad, hvp, jvp, vjp
from autodiff.core import Spec
from autodiff.ops.pooling import avg_pool2d, max_pool2d

CASES = [
    {"window": 2},
    {"window": 2, "stride": 1},
    {"window": 3, "stride": 2},
    {"window": 3, "stride": 2, "padding": 1},
    {"window": (1, 3), "stride": (3, 1), "padding": ((0, 0), (2, 1))},
    {"window": 2, "stride": 3},
    {"window": 3, "stride": 2, "padding": "same"},
    {"window": (2, 2), "padding": "same"},
    {"window": (3, 2), "padding": "valid"},
    {"window": (7, 5)},
]
DTYPES = ["float16", "float32", "float64"]


def windows(x, window, stride=None, padding=0):
    """(n, c, i, j) -> the rows, columns and values of each window of channels-first images, and all it covers."""
    from kernels.geometry import window_geometry

    at = window_geometry("test", x.shape[2:], window, stride=window if stride is None else stride, padding=padding)
    for i in range(at.out[0]):
        for j in range(at.out[1]):
            top, left = i * at.stride[0] - at.padding[0][0], j * at.stride[1] - at.padding[1][0]
            rows = range(max(top, 0), min(top + at.window[0], x.shape[2]))
            columns = range(max(left, 0), min(left + at.window[1], x.shape[3]))
            full_h = min(top + at.window[0], x.shape[2] + at.padding[0][1]) - top
            full_w = min(left + at.window[1], x.shape[3] + at.padding[1][1]) - left
            yield at.out, (i, j), rows, columns, full_h * full_w


def naive_max(x, **where):
    """Values, and the matrix of picked positions of each plane."""
    found = list(windows(x, **where))
    y = np.zeros((*x.shape[:2], *found[0][0]), x.dtype)
    place = np.zeros(y.shape, int)
    for _, (i, j), rows, columns, _ in found:
        part = x[:, :, rows.start : rows.stop, columns.start : columns.stop].reshape(*x.shape[:2], -1)
        first = part.argmax(-1)
        y[:, :, i, j] = np.take_along_axis(part, first[..., None], -1)[..., 0]
        place[:, :, i, j] = (rows.start + first // len(columns)) * x.shape[3] + columns.start + first % len(columns)
    return y, place


def naive_scatter(g, place, shape):
    gx = np.zeros(shape, g.dtype)
    for n, c, i, j in np.ndindex(g.shape):
        gx[n, c].reshape(-1)[place[n, c, i, j]] += g[n, c, i, j]
    return gx


def naive_average(x, *, include=False, **where):
    found = list(windows(x, **where))
    y = np.zeros((*x.shape[:2], *found[0][0]), x.dtype)
    for _, (i, j), rows, columns, full in found:
        part = x[:, :, rows.start : rows.stop, columns.start : columns.stop].astype(float)
        y[:, :, i, j] = part.sum((2, 3)) / (full if include else len(rows) * len(columns))
    return y


def images(dtype, seed=0):
    return np.random.default_rng(seed).integers(-4, 5, (2, 3, 7, 6)).astype(dtype)  # many ties


def turned(x, layout):
    return x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_maxima_and_their_gradient(case, dtype, layout):
    x = images(dtype)
    y, place = naive_max(x, **case)
    value, pullback = vjp(lambda x: max_pool2d(x, layout=layout, **case), turned(x, layout))
    assert value.dtype == dtype
    np.testing.assert_array_equal(value, turned(y, layout))
    g = np.random.default_rng(1).integers(-3, 4, y.shape).astype(dtype)
    (gx,) = pullback(turned(g, layout))
    assert gx.dtype == dtype
    np.testing.assert_array_equal(gx, turned(naive_scatter(g, place, x.shape), layout))
    t = np.random.default_rng(2).standard_normal(x.shape).astype(dtype)
    _, tangent = jvp(lambda x: max_pool2d(x, layout=layout, **case), (turned(x, layout),), (turned(t, layout),))
    planes = np.take_along_axis(t.reshape(2, 3, -1), place.reshape(2, 3, -1), 2).reshape(y.shape)
    np.testing.assert_array_equal(tangent, turned(planes, layout))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", [*DTYPES, "complex64"])
@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_averages_and_their_transpose(case, include, dtype, layout):
    x = images(dtype)
    expected = turned(naive_average(x, include=include, **case) if dtype != "complex64" else x, layout)

    def pool(x):
        return avg_pool2d(x, layout=layout, count_include_pad=include, **case)

    if dtype == "complex64":
        x = x + 1j * images("float32", 5)
        expected = turned(naive_average(x.real, include=include, **case), layout) + 1j * turned(
            naive_average(x.imag, include=include, **case), layout
        )
    value, pullback = vjp(pool, turned(x, layout))
    assert value.dtype == dtype
    tolerance = 2e-3 if dtype == "float16" else 1e-5
    np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)
    g = np.random.default_rng(1).standard_normal(value.shape).astype(dtype)
    (gx,) = pullback(g)
    assert gx.dtype == dtype
    other = images(dtype, 3)
    inner = np.sum((g * pool(turned(other, layout))).astype(complex))
    np.testing.assert_allclose(np.sum((gx * turned(other, layout)).astype(complex)), inner, rtol=0.02, atol=0.05)


def test_average_of_float16_whose_sum_is_more_than_float16_holds():
    x = np.full((1, 1, 4, 4), 60_000, np.float16)
    np.testing.assert_array_equal(avg_pool2d(x, 2), np.full((1, 1, 2, 2), 60_000, np.float16))
    np.testing.assert_array_equal(avg_pool2d(x, 3, stride=1, padding=1), x)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_all_orders_and_modes(layout):
    rng = np.random.default_rng(0)
    x = turned(rng.permutation(84).reshape(2, 1, 7, 6) / 30, layout)
    check_grads(lambda x: max_pool2d(x, 3, stride=2, padding=1, layout=layout) ** 2, (x,), order=3)
    check_grads(lambda x: avg_pool2d(x, (2, 3), stride=2, padding=1, layout=layout) ** 3, (x,), order=2)


def test_hessian_vector_product_goes_to_the_maxima_alone():
    x = np.array([[[[1.0, 2.0, 5.0, 4.0], [3.0, 0.0, 1.0, 2.0]]]])
    product = hvp(lambda x: np.sum(max_pool2d(x, 2) ** 3), (x,), (np.ones_like(x),))
    np.testing.assert_array_equal(product, [[[[0, 0, 30, 0], [18, 0, 0, 0]]]])


def test_the_first_of_equal_maxima_takes_it_all_and_nan_wins():
    x = np.ones((1, 1, 4, 4))
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 1
    for dtype in DTYPES:
        for layout in ("NCHW", "NHWC"):
            gx = grad(lambda x, layout=layout: np.sum(max_pool2d(x, 2, layout=layout)))(turned(x, layout).astype(dtype))
            np.testing.assert_array_equal(gx.reshape(4, 4), expected)
            bad = x.copy().astype(dtype)
            bad[0, 0, 1, 0] = bad[0, 0, 1, 1] = np.nan
            y, pullback = vjp(lambda x, layout=layout: max_pool2d(x, 2, layout=layout), turned(bad, layout))
            assert np.isnan(y.reshape(-1)).tolist() == [True, False, False, False]
            assert pullback(np.ones_like(y))[0].reshape(4, 4)[:2, :2].tolist() == [[0, 0], [1, 0]]
            low = np.full((1, 1, 2, 2), -np.inf, dtype)
            y, pullback = vjp(lambda x: max_pool2d(x, 3, stride=3, padding="same"), low)
            assert y.tolist() == [[[[-np.inf]]]]
            assert pullback(np.ones_like(y))[0].tolist() == [[[[1, 0], [0, 0]]]]


def test_shapes_without_values_and_empty_batches():
    for dtype in DTYPES:
        spec = eval_shape(lambda x: max_pool2d(x, 3, stride=2, padding="same"), Spec((8, 3, 7, 7), np.dtype(dtype)))
        assert spec == Spec((8, 3, 4, 4), np.dtype(dtype))
        spec = eval_shape(lambda x: avg_pool2d(x, 2, layout="NHWC"), Spec((8, 7, 7, 3), np.dtype(dtype)))
        assert spec == Spec((8, 3, 3, 3), np.dtype(dtype))
        empty = np.zeros((0, 3, 4, 4), dtype)
        assert grad(lambda x: np.sum(max_pool2d(x, 2)))(empty).shape == (0, 3, 4, 4)
        assert grad(lambda x: np.sum(avg_pool2d(x, 2)))(empty).shape == (0, 3, 4, 4)


def test_inputs_that_are_not_contiguous_or_read_only():
    x = images("float32")
    for y in (x[:, ::-1], x[::2], x.transpose(0, 1, 3, 2), np.broadcast_to(x[:1], x.shape)):
        np.testing.assert_array_equal(max_pool2d(y, 2), naive_max(np.ascontiguousarray(y), window=2)[0])
        np.testing.assert_allclose(avg_pool2d(y, 2), naive_average(np.ascontiguousarray(y), window=2), rtol=1e-6)


def test_errors():
    x = np.ones((2, 3, 7, 6), np.float32)
    for pool in (max_pool2d, avg_pool2d):
        name = pool.__name__
        with pytest.raises(TypeError, match=rf"{name}: x must be floating, got .*int64.*astype"):
            pool(x.astype(int), 2)
        with pytest.raises(ValueError, match=rf"{name}: .*4 axes \(NCHW\), got shape \(3, 7, 6\)"):
            pool(x[0], 2)
        with pytest.raises(ValueError, match=f"{name}: the window spans 8 pixels"):
            pool(x, 8)
        with pytest.raises(ValueError, match=f"{name}: stride must be positive, got 0"):
            pool(x, 2, stride=0)
        with pytest.raises(ValueError, match=f"{name}: stride must be positive, got -1"):
            pool(x, 2, stride=-1)
        with pytest.raises(ValueError, match=f"{name}: padding must be smaller than the window"):
            pool(x, 2, padding=2)
        with pytest.raises(ValueError, match=f"{name}: unknown padding 'full'"):
            pool(x, 2, padding="full")
        with pytest.raises(ValueError, match="layout"):
            pool(x, 2, layout="CHWN")
    with pytest.raises(TypeError, match="complex numbers have no order"):
        max_pool2d(x * 1j, 2)
