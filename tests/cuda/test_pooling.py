"""Pooling on the device against loops over windows in NumPy, and against its own transpose."""

import numpy as np
import pytest

from kernels import cuda as kernels

NONE = ((0, 0), (0, 0))
CASES = {
    "2x2": ((2, 3, 4, 6), (2, 2), (2, 2), NONE),
    "last row unused": ((1, 2, 5, 5), (2, 2), (2, 2), NONE),
    "overlap": ((1, 2, 7, 6), (3, 3), (2, 2), NONE),
    "stride 1, padding": ((1, 1, 4, 5), (3, 2), (1, 1), ((1, 2), (1, 0))),
    "stride beyond window": ((1, 2, 8, 7), (2, 1), (3, 4), ((1, 0), (0, 0))),
    "whole image": ((3, 2, 3, 4), (3, 4), (1, 1), NONE),
    "one pixel": ((1, 1, 1, 1), (1, 1), (1, 1), NONE),
    "stride 3, uneven padding": ((2, 1, 6, 6), (4, 4), (3, 3), ((3, 1), (0, 2))),
}
every_case = pytest.mark.parametrize(("shape", "window", "stride", "padding"), CASES.values(), ids=CASES.keys())
every_layout = pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def places(shape, window, stride, padding):
    """Yield each place of the window with the rows and columns of the image under it."""
    starts = [range(-p[0], n + p[1] - k + 1, s) for n, k, s, p in zip(shape[2:], window, stride, padding, strict=True)]
    for i, top in enumerate(starts[0]):
        for j, left in enumerate(starts[1]):
            yield (
                (i, j),
                [h for h in range(top, top + window[0]) if 0 <= h < shape[2]],
                [w for w in range(left, left + window[1]) if 0 <= w < shape[3]],
            )


def arranged(x, layout):
    return x if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(x, 1, -1))


def out_shape(case):
    *_, last = places(*case)
    return (*case[0][:2], last[0][0] + 1, last[0][1] + 1)


@every_case
@every_layout
@every_dtype
def test_maximum_gradient_and_gather(gpu, rng, shape, window, stride, padding, layout, dtype):
    case = shape, window, stride, padding
    x = rng.integers(-3, 4, shape).astype(dtype)  # with ties
    y, index = np.empty(out_shape(case), dtype), np.empty(out_shape(case), np.int32)
    g = rng.integers(-4, 5, y.shape).astype(dtype)
    gx = np.zeros(shape, dtype)
    for n in range(shape[0]):
        for c in range(shape[1]):
            for (i, j), rows, columns in places(*case):
                best = max((x[n, c, h, w], -h * shape[3] - w) for h in rows for w in columns)
                y[n, c, i, j], index[n, c, i, j] = best[0], -best[1]
                gx[n, c].reshape(-1)[-best[1]] += g[n, c, i, j]
    put = lambda v: arranged(v, layout)
    found = gpu.call(kernels.max_pool2d, put(x), window, stride, padding, layout)
    np.testing.assert_array_equal(found[0], put(y))
    np.testing.assert_array_equal(found[1], put(index))
    assert (found[0].dtype, found[1].dtype) == (dtype, np.int32)
    for windows in (None, (window, stride, padding)):
        back = gpu.call(kernels.max_pool2d_gradient, put(g), put(index), put(x).shape, layout, windows=windows)
        np.testing.assert_array_equal(back, put(gx))
    np.testing.assert_array_equal(gpu.call(kernels.max_pool2d_gather, put(x), put(index), layout), put(y))


@every_case
@every_layout
@pytest.mark.parametrize("include", [False, True])
def test_average_and_gradient(gpu, rng, shape, window, stride, padding, layout, include):
    case = shape, window, stride, padding
    x = rng.integers(-3, 4, shape).astype(np.float64)
    y, gx = np.empty(out_shape(case)), np.zeros(shape)
    g = rng.integers(-4, 5, y.shape).astype(np.float64)
    for (i, j), rows, columns in places(*case):
        count = window[0] * window[1] if include else len(rows) * len(columns)
        y[..., i, j] = x[..., rows, :][..., columns].sum((-2, -1)) / count
        gx[..., rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += g[..., i : i + 1, j : j + 1] / count
    put = lambda v: arranged(v, layout)
    for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-14)):
        args = window, stride, padding, layout
        found = gpu.call(kernels.avg_pool2d, put(x).astype(dtype), *args, count_include_pad=include)
        np.testing.assert_allclose(found, put(y), rtol=tolerance, atol=tolerance)
        back = gpu.call(
            kernels.avg_pool2d_gradient, put(g).astype(dtype), put(x).shape, *args, count_include_pad=include
        )
        np.testing.assert_allclose(back, put(gx), rtol=tolerance, atol=tolerance)
        assert found.dtype == back.dtype == dtype


def test_first_nan_wins_and_padding_never(gpu):
    x = np.array([[[[1.0, np.nan], [np.nan, 5.0]]]])
    y, index = gpu.call(kernels.max_pool2d, x, (2, 2), (2, 2))
    assert np.isnan(y).all()
    assert index.item() == 1
    y, index = gpu.call(kernels.max_pool2d, np.full((1, 1, 2, 2), -np.inf), (2, 2), (1, 1), ((1, 1), (1, 1)))
    assert (y == -np.inf).all()
    np.testing.assert_array_equal(index[0, 0], [[0, 0, 1], [0, 0, 1], [2, 2, 3]])


def test_no_images(gpu):
    y, index = gpu.call(kernels.max_pool2d, np.empty((0, 2, 4, 4)), (2, 2), (2, 2))
    assert y.shape == index.shape == (0, 2, 2, 2)
    assert gpu.call(kernels.max_pool2d_gradient, y, index, (0, 2, 4, 4)).shape == (0, 2, 4, 4)
    assert gpu.call(kernels.avg_pool2d, np.empty((0, 2, 4, 4)), (2, 2), (2, 2)).shape == y.shape


def test_errors(gpu):
    put, x = gpu.put, np.zeros((1, 1, 4, 4))
    index = np.zeros((1, 1, 2, 2), np.int32)
    with pytest.raises(TypeError, match="max_pool2d: x must be an array on the device"):
        kernels.max_pool2d(x, (2, 2), (2, 2))
    with pytest.raises(TypeError, match="avg_pool2d: expected float32 or float64, got x: int64"):
        kernels.avg_pool2d(put(x.astype(np.int64)), (2, 2), (2, 2))
    with pytest.raises(ValueError, match="larger than the padded images, 4 in axis 1"):
        kernels.max_pool2d(put(x), (2, 5), (1, 1))
    with pytest.raises(ValueError, match=r"padding .* must be at least 0 and smaller than the window"):
        kernels.max_pool2d(put(x), (2, 2), (1, 1), ((2, 0), (0, 0)))
    with pytest.raises(ValueError, match='layout must be "NCHW" or "NHWC", got \'CHWN\''):
        kernels.max_pool2d(put(x), (2, 2), (1, 1), layout="CHWN")
    with pytest.raises(ValueError, match=r"max_pool2d_gradient: index must have dtype int32 and shape \(1, 1, 2, 2\)"):
        kernels.max_pool2d_gradient(put(np.ones((1, 1, 2, 2))), put(index[..., :1]), x.shape)
    with pytest.raises(ValueError, match=r"expected g of height and width \(2, 2\), got shape \(1, 1, 2, 3\)"):
        kernels.avg_pool2d_gradient(put(np.ones((1, 1, 2, 3))), x.shape, (2, 2), (2, 2))
