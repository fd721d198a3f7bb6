"""Kernels of pooling against loops over windows: layouts, ties, NaN and infinities, memory, threads, errors."""

import itertools

import numpy as np
import pytest

import kernels.cpu.pooling
from kernels.cpu import threads
from tests import backends
from tests.backends import DEVICE, SIMULATED, sized, slack

avg_pool2d, avg_pool2d_gradient = backends.kernels.avg_pool2d, backends.kernels.avg_pool2d_gradient
max_pool2d, max_pool2d_gather = backends.kernels.max_pool2d, backends.kernels.max_pool2d_gather
max_pool2d_gradient = backends.kernels.max_pool2d_gradient

DTYPES = (np.float32,) if SIMULATED else (np.float32, np.float64)
LAYOUTS = ("NCHW", "NHWC")
NONE = ((0, 0), (0, 0))
# (images N, C, H, W; window; stride; padding): stride 1 and 2 in vectors, others, overlaps, gaps, tails of vectors.
CASES = [
    ((1, 1, 1, 1), (1, 1), (1, 1), NONE),
    ((2, 3, 6, 8), (2, 2), (2, 2), NONE),
    ((2, 1, 7, 69), (2, 2), (2, 2), NONE),
    ((2, 2, 8, 74), (3, 3), (2, 2), NONE),
    ((1, 2, 5, 67), (3, 3), (1, 1), ((1, 1), (1, 1))),
    ((1, 2, 9, 40), (3, 3), (2, 2), ((1, 1), (1, 1))),
    ((2, 17, 6, 6), (3, 3), (2, 2), ((0, 1), (0, 1))),
    ((1, 33, 4, 7), (2, 3), (2, 1), ((1, 0), (2, 2))),
    ((2, 2, 9, 10), (2, 2), (3, 3), NONE),
    ((1, 2, 9, 11), (1, 4), (4, 3), ((0, 0), (3, 1))),
    ((1, 2, 3, 4), (5, 6), (1, 2), ((4, 4), (5, 5))),
    ((1, 5, 4, 5), (4, 5), (1, 1), NONE),
    ((2, 2, 7, 101), (3, 3), (2, 2), NONE),
    ((2, 2, 3, 5), (3, 5), (1, 2), ((2, 2), (4, 3))),
    ((1, 2, 6, 74), (2, 4), (3, 2), ((0, 0), (3, 1))),
    ((3, 3, 7, 37), (7, 37), (7, 37), NONE),
    ((3, 3, 6, 5), (2, 5), (1, 1), NONE),
    ((1, 2, 7, 6), (3, 3), (2, 2), NONE),
    ((1, 1, 4, 5), (3, 2), (1, 1), ((1, 2), (1, 0))),
    ((1, 2, 8, 5), (2, 1), (3, 4), ((1, 0), (0, 0))),
    ((2, 1, 6, 6), (4, 4), (3, 3), ((3, 1), (0, 2))),
    ((2, 3, 3, 4), (3, 4), (1, 1), NONE),
]
# More for averages: windows as wide as the images, all of their pixels, strides of 1 to 3 over more than two vectors.
AVERAGES = [
    *CASES,
    ((3, 5, 7, 7), (7, 7), (7, 7), NONE),
    ((2, 3, 9, 37), (3, 37), (2, 5), NONE),
    ((1, 2, 6, 37), (6, 37), (1, 1), ((1, 2), (2, 1))),
    ((1, 70, 6, 5), (2, 2), (2, 2), NONE),
    ((1, 2, 5, 70), (3, 3), (1, 1), NONE),
    ((1, 2, 7, 101), (3, 3), (2, 2), NONE),
    ((1, 2, 7, 75), (4, 5), (2, 2), ((1, 2), (3, 2))),
    ((1, 2, 6, 74), (2, 4), (2, 2), ((0, 0), (2, 1))),
    ((1, 3, 6, 75), (1, 1), (2, 2), NONE),
    ((1, 19, 12, 100), (4, 4), (4, 4), NONE),
    ((2, 2, 8, 71), (3, 5), (3, 3), ((1, 1), (2, 2))),
]
SOME = (*CASES[1:7], *CASES[15:17], *CASES[-5:])
CASES, AVERAGES, SOME = (sized(cases, 84, key=lambda case: case[0]) for cases in (CASES, AVERAGES, SOME))


@pytest.fixture(params=["device"] if DEVICE else ["vectors", "plain"])
def loops(request, monkeypatch):
    """Both sets of loops of the CPU, where the processor has vectors of ours."""
    if request.param == "device":
        return
    if request.param == "plain":
        monkeypatch.setattr(kernels.cpu.pooling, "VECTORS", False)
    elif not kernels.cpu.pooling.VECTORS:
        pytest.skip("no vectors on this processor")


def turned(x, layout):
    return x if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(x, 1, 3))


def places(shape, window, stride, padding):
    """(i, j), and the slices of an image under the window, of all windows."""
    steps = []
    for n, w, s, (before, after) in zip(shape[2:], window, stride, padding, strict=True):
        starts = range(-before, n + after - w + 1, s)
        steps.append([(slice(max(at, 0), min(at + w, n)), min(at + w, n + after) - at) for at in starts])
    for (i, (rows, tall)), (j, (columns, wide)) in itertools.product(*map(enumerate, steps)):
        yield (..., i, j), (..., rows, columns), tall * wide


def out_shape(shape, window, stride, padding):
    last = max(at[1:] for at, _, _ in places(shape, window, stride, padding))
    return (*shape[:2], last[0] + 1, last[1] + 1)


def loop_max(x, window, stride, padding):
    y = np.empty(out_shape(x.shape, window, stride, padding), x.dtype)
    index = np.empty(y.shape, np.int32)
    flat = np.arange(x.shape[2] * x.shape[3]).reshape(x.shape[2:])
    for at, under, _ in places(x.shape, window, stride, padding):
        part = x[under].reshape(*x.shape[:2], -1)
        first = part.argmax(-1)  # NumPy takes the first NaN, else the first maximum
        y[at] = np.take_along_axis(part, first[..., None], -1)[..., 0]
        index[at] = flat[under].reshape(-1)[first]
    return y, index


def loop_scatter(g, index, shape):
    gx = np.zeros(shape, g.dtype)
    for n, c, i, j in np.ndindex(g.shape):
        gx[n, c].reshape(-1)[index[n, c, i, j]] += g[n, c, i, j]
    return gx


def loop_average(x, window, stride, padding, include):
    y = np.empty(out_shape(x.shape, window, stride, padding), x.dtype)
    for at, under, covered in places(x.shape, window, stride, padding):
        part = x[under].reshape(*x.shape[:2], -1)
        y[at] = part.sum(-1) / (covered if include else part.shape[-1])
    return y


def loop_spread(g, shape, window, stride, padding, include):
    gx = np.zeros(shape, g.dtype)
    for at, under, covered in places(shape, window, stride, padding):
        count = covered if include else gx[0, 0][under[1:]].size
        gx[under] += g[at][..., None, None] / count
    return gx


# -- maxima --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.usefixtures("loops")
def test_maxima_positions_tangents_and_adjoints(case, dtype, layout, rng):
    shape, *windows = case
    for x in (rng.standard_normal(shape).astype(dtype), rng.integers(-1, 2, shape).astype(dtype)):  # the second: ties
        y, index = loop_max(x, *windows)
        found = max_pool2d(turned(x, layout), *windows, layout=layout)
        assert (found[0].dtype, found[1].dtype) == (dtype, np.int32)
        np.testing.assert_array_equal(found[0], turned(y, layout))
        np.testing.assert_array_equal(found[1], turned(index, layout))
        np.testing.assert_array_equal(max_pool2d_gather(turned(x, layout), found[1], layout), turned(y, layout))
        t = rng.standard_normal(shape).astype(dtype)
        expected = np.take_along_axis(t.reshape(*shape[:2], -1), index.reshape(*shape[:2], -1), -1).reshape(y.shape)
        np.testing.assert_array_equal(max_pool2d_gather(turned(t, layout), found[1], layout), turned(expected, layout))
        g = rng.integers(-9, 10, y.shape).astype(dtype)  # sums are exact in any order
        expected = turned(loop_scatter(g, index, shape), layout)
        gx = max_pool2d_gradient(turned(g, layout), found[1], expected.shape, layout)
        assert gx.dtype == dtype
        np.testing.assert_array_equal(gx, expected)
        gx = max_pool2d_gradient(turned(g, layout), found[1], expected.shape, layout, windows=tuple(windows))
        np.testing.assert_array_equal(gx, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.usefixtures("loops")
def test_nan_wins_and_infinities_are_numbers(dtype, layout, rng):
    for shape, window, stride, padding in SOME:
        x = rng.integers(-1, 2, shape).astype(dtype)
        special = rng.random(shape)
        x[special < 0.5] = -np.inf
        x[special < 0.15] = np.nan
        x[special < 0.1] = np.inf
        for images in (x, np.full(shape, -np.inf, dtype), np.full(shape, np.nan, dtype)):
            y, index = loop_max(images, window, stride, padding)
            found = max_pool2d(turned(images, layout), window, stride, padding, layout)
            np.testing.assert_array_equal(found[0], turned(y, layout))
            np.testing.assert_array_equal(found[1], turned(index, layout))
            g = rng.choice(np.array([1, np.inf, np.nan], dtype), y.shape)
            image_shape = turned(images, layout).shape
            expected = turned(loop_scatter(g, index, shape), layout)
            for known in (None, (window, stride, padding)):
                gx = max_pool2d_gradient(turned(g, layout), found[1], image_shape, layout, windows=known)
                np.testing.assert_array_equal(gx, expected)


# -- averages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("case", AVERAGES, ids=str)
@pytest.mark.usefixtures("loops")
def test_averages_and_adjoints(case, include, dtype, layout, rng):
    shape, *windows = case
    x = rng.standard_normal(shape).astype(dtype)
    expected = loop_average(x.astype(float), *windows, include)
    y = avg_pool2d(turned(x, layout), *windows, layout=layout, count_include_pad=include)
    assert y.dtype == dtype
    tolerance = slack(1e-6 if dtype == np.float32 else 1e-15)
    np.testing.assert_allclose(y, turned(expected, layout), rtol=0, atol=2 * tolerance)
    g = rng.standard_normal(expected.shape).astype(dtype)
    expected = turned(loop_spread(g.astype(float), shape, *windows, include), layout)
    gx = avg_pool2d_gradient(turned(g, layout), expected.shape, *windows, layout=layout, count_include_pad=include)
    assert gx.dtype == dtype
    np.testing.assert_allclose(gx, expected, rtol=0, atol=8 * tolerance)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.usefixtures("loops")
def test_padding_counts_only_when_asked(layout):
    x = np.ones((1, 1, 3, 3), np.float32)
    where = {"window": (3, 3), "stride": (1, 1), "padding": ((1, 1), (1, 1)), "layout": layout}
    counts = np.array([[4, 6, 4], [6, 9, 6], [4, 6, 4]], np.float32)
    assert avg_pool2d(turned(x, layout), **where).reshape(3, 3).tolist() == np.ones((3, 3)).tolist()
    y = avg_pool2d(turned(x, layout), **where, count_include_pad=True)
    np.testing.assert_allclose(y.reshape(3, 3), counts / 9, rtol=1e-6)
    # What hangs over the padded image is not there at all: the last window covers 2 of its 3 columns.
    y = avg_pool2d(turned(x, layout), (3, 3), (2, 2), ((0, 2), (0, 2)), layout, count_include_pad=True)
    np.testing.assert_allclose(y.reshape(2, 2), np.array([[9, 3], [3, 1]]) / 9, rtol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.usefixtures("loops")
def test_averages_of_nan_and_infinities(dtype, layout):
    x = np.zeros((1, 2, 2, 8), dtype)
    x[0, 0, 0, 0], x[0, 0, 1, 2], x[0, 0, 0, 3], x[0, 0, 0, 4], x[0, 0, 1, 5] = np.nan, np.inf, np.inf, np.inf, -np.inf
    y = avg_pool2d(turned(x, layout), (2, 2), (2, 2), layout=layout)
    expected = np.array([[[[np.nan, np.inf, np.nan, 0]], [[0, 0, 0, 0]]]], dtype)
    np.testing.assert_array_equal(y, turned(expected, layout))
    gx = avg_pool2d_gradient(turned(expected, layout), turned(x, layout).shape, (2, 2), (2, 2), layout=layout)
    wide = np.repeat(np.repeat(expected, 2, 2), 2, 3)
    np.testing.assert_array_equal(gx, turned(wide, layout))


# -- memory --------------------------------------------------------------------------------------------------


def views(x):
    frozen = x.copy()
    frozen.flags.writeable = False
    return [x[::2], x[:, ::-1], x[..., ::2], x.transpose(0, 1, 3, 2), np.asfortranarray(x), frozen,
            np.broadcast_to(x[:1], x.shape), x[:, :, 1:, 1:]]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_and_adjoints_in_any_memory(layout, rng):
    window, stride, padding = (2, 2), (2, 2), ((1, 0), (0, 1))
    n, c, size = (2, 2, 4) if SIMULATED else (4, 6, 6)
    x = rng.standard_normal((n, c, size, size)).astype(np.float32)
    for view in views(x):
        plain = np.array(view, order="C")
        y, index = max_pool2d(view, window, stride, padding, layout)
        assert y.flags.writeable
        expected = max_pool2d(plain, window, stride, padding, layout)
        np.testing.assert_array_equal(y, expected[0])
        np.testing.assert_array_equal(index, expected[1])
        np.testing.assert_array_equal(max_pool2d_gather(view, np.asfortranarray(index), layout), y)
        np.testing.assert_array_equal(
            avg_pool2d(view, window, stride, padding, layout), avg_pool2d(plain, window, stride, padding, layout)
        )
    shape = (n, c, 2 * size, 2 * size) if layout == "NCHW" else (n, 2 * size, 2 * size, c)
    _, index = max_pool2d(rng.standard_normal(shape).astype(np.float32), window, stride, layout=layout)
    for view in (
        rng.standard_normal(index.shape[::-1]).astype(np.float32).T,
        np.broadcast_to(np.float32(2), index.shape),
    ):
        for known in (None, (window, stride, NONE)):
            gx = max_pool2d_gradient(view, np.asfortranarray(index), shape, layout, windows=known)
            np.testing.assert_array_equal(gx, max_pool2d_gradient(view.copy(order="C"), index, shape, layout))
        gx = avg_pool2d_gradient(view, shape, window, stride, layout=layout)
        np.testing.assert_array_equal(
            gx, avg_pool2d_gradient(view.copy(order="C"), shape, window, stride, layout=layout)
        )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_images_and_no_channels(dtype, layout):
    for n, c in ((0, 3), (2, 0), (0, 0)):
        x = turned(np.empty((n, c, 4, 6), dtype), layout)
        y, index = max_pool2d(x, (2, 2), (2, 2), layout=layout)
        assert y.shape == index.shape == turned(np.empty((n, c, 2, 3)), layout).shape
        assert (y.dtype, index.dtype) == (dtype, np.int32)
        for known in (None, ((2, 2), (2, 2), NONE)):
            assert max_pool2d_gradient(y, index, x.shape, layout, windows=known).shape == x.shape
        assert max_pool2d_gather(x, index, layout).shape == y.shape
        average = avg_pool2d(x, (2, 2), (2, 2), layout=layout)
        assert (average.shape, average.dtype) == (y.shape, dtype)
        assert avg_pool2d_gradient(average, x.shape, (2, 2), (2, 2), layout=layout).shape == x.shape


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_item_of_the_adjoint_is_written(layout):
    """Rows and columns that no window covers get 0, whatever the memory held before."""
    shape = (1, 2, 5, 7) if SIMULATED else (3, 2, 7, 9)
    for window, stride in (((2, 2), (2, 2)), ((1, 1), (3, 4)), ((2, 3), (3, 4))):
        image = turned(np.ones(shape), layout)
        y, index = max_pool2d(image, window, stride, layout=layout)
        for _ in range(1 if SIMULATED else 3):
            garbage = np.full(shape, np.nan)
            del garbage
            for known in (None, (window, stride, NONE)):
                gx = max_pool2d_gradient(y, index, image.shape, layout, windows=known)
                assert (gx.sum(), np.isfinite(gx).all()) == (y.size, True)
            gx = avg_pool2d_gradient(y, image.shape, window, stride, layout=layout)
            np.testing.assert_allclose(gx.sum(), y.size, rtol=1e-12)


# -- threads -------------------------------------------------------------------------------------------------


@pytest.mark.only_cpu
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.usefixtures("loops")
def test_any_number_of_threads_gives_the_same_result(layout, rng):
    x = turned(rng.standard_normal((5, 16, 66, 70)).astype(np.float32), layout)  # enough for several chunks

    def everything():
        for windows in (((2, 2), (2, 2), NONE), ((3, 3), (2, 2), ((1, 1), (1, 1)))):
            y, index = max_pool2d(x, *windows, layout=layout)
            g = y - np.float32(0.5)
            yield from (y, index, max_pool2d_gather(x, index, layout))
            yield max_pool2d_gradient(g, index, x.shape, layout)
            yield max_pool2d_gradient(g, index, x.shape, layout, windows=windows)
            yield avg_pool2d(x, *windows, layout=layout)
            yield avg_pool2d_gradient(g, x.shape, *windows, layout=layout)

    with threads(1):
        expected = list(everything())
    for count in (2, 7):
        with threads(count):
            for found, want in zip(everything(), expected, strict=True):
                np.testing.assert_array_equal(found, want)


# -- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d])
def test_errors_of_images_and_windows(pool):
    name, x = pool.__name__, np.ones((2, 3, 4, 5), np.float32)
    for dtype in ("float16", "int64", "complex64", ">f4"):
        with pytest.raises(TypeError, match=rf"^{name}: expected float32 or float64, got x: .*convert with \.astype"):
            pool(x.astype(dtype), (2, 2), (2, 2))
    with pytest.raises(ValueError, match=rf'^{name}: layout must be "NCHW" or "NHWC", got \'CHWN\''):
        pool(x, (2, 2), (2, 2), layout="CHWN")
    with pytest.raises(ValueError, match=rf"^{name}: images must have 4 dimensions \(NCHW\), got shape \(3, 4, 5\)"):
        pool(x[0], (2, 2), (2, 2))
    for window, stride in (((0, 2), (2, 2)), ((2, 2), (2, 0)), ((2, 2), (-1, 1))):
        with pytest.raises(ValueError, match=rf"^{name}: window \(.*\) and stride \(.*\) must be positive"):
            pool(x, window, stride)
    for padding in (((2, 0), (0, 0)), ((0, 0), (0, 2)), ((-1, 0), (0, 0))):
        with pytest.raises(
            ValueError, match=rf"^{name}: padding .* must be at least 0 and smaller than the window \(2, 2\)"
        ):
            pool(x, (2, 2), (1, 1), padding)
    with pytest.raises(
        ValueError, match=rf"^{name}: the window \(5, 2\) is larger than the padded images, 4 in axis 0"
    ):
        pool(x, (5, 2), (1, 1))
    with pytest.raises(
        ValueError, match=rf"^{name}: the window \(2, 8\) is larger than the padded images, 7 in axis 1"
    ):
        pool(x, (2, 8), (1, 1), ((0, 0), (1, 1)))
    with pytest.raises(ValueError, match=rf"^{name}: images of shape \(2, 3, 0, 5\) \(NCHW\) have no pixels"):
        pool(x[:, :, :0], (2, 2), (1, 1), ((1, 1), (0, 0)))


def test_errors_of_adjoints_and_tangents():
    x = np.ones((2, 3, 4, 6), np.float32)
    y, index = max_pool2d(x, (2, 2), (2, 2))
    name = "max_pool2d_gradient"
    with pytest.raises(TypeError, match=f"^{name}: expected float32 or float64, got g: float16"):
        max_pool2d_gradient(y.astype(np.float16), index, x.shape)
    with pytest.raises(
        ValueError, match=rf"^{name}: index must have dtype int32 and shape \(2, 3, 2, 3\), got int64 and"
    ):
        max_pool2d_gradient(y, index.astype(int), x.shape)
    with pytest.raises(ValueError, match=rf"^{name}: index must .* got int32 and \(1, 3, 2, 3\)"):
        max_pool2d_gradient(y, index[:1], x.shape)
    for shape in ((4, 3, 4, 6), (2, 2, 4, 6), (2, 3, 0, 6)):
        with pytest.raises(ValueError, match=rf"^{name}: images of shape \({shape[0]}, .* \(NCHW\)"):
            max_pool2d_gradient(y, index, shape)
    with pytest.raises(ValueError, match=rf"^{name}: images must have 4 dimensions \(NCHW\), got shape \(3, 4, 6\)"):
        max_pool2d_gradient(y, index, (3, 4, 6))
    with pytest.raises(ValueError, match=rf'^{name}: layout must be "NCHW" or "NHWC", got None'):
        max_pool2d_gradient(y, index, x.shape, None)
    with pytest.raises(
        ValueError, match=rf"^{name}: expected g of height and width \(1, 3\), got shape \(2, 3, 2, 3\)"
    ):
        max_pool2d_gradient(y, index, (2, 3, 3, 6), windows=((2, 2), (2, 2), NONE))
    name = "max_pool2d_gather"
    with pytest.raises(TypeError, match=f"^{name}: expected float32 or float64, got t: int64"):
        max_pool2d_gather(x.astype(int), index)
    with pytest.raises(ValueError, match=f"^{name}: index must have dtype int32, got float32"):
        max_pool2d_gather(x, y)
    with pytest.raises(ValueError, match=rf"^{name}: images of shape \(1, 3, 4, 6\) and pooled ones of \(2, 3, 2, 3\)"):
        max_pool2d_gather(x[:1], index)
    with pytest.raises(ValueError, match=rf"^{name}: images of .* do not fit \(NHWC\)"):
        max_pool2d_gather(x, index, "NHWC")
    name = "avg_pool2d_gradient"
    with pytest.raises(TypeError, match=f"^{name}: expected float32 or float64, got g: int32"):
        avg_pool2d_gradient(index, x.shape, (2, 2), (2, 2))
    with pytest.raises(
        ValueError, match=rf"^{name}: expected g of height and width \(3, 5\), got shape \(2, 3, 2, 3\)"
    ):
        avg_pool2d_gradient(y, x.shape, (2, 2), (1, 1))
    with pytest.raises(ValueError, match=rf"^{name}: images of shape \(5, 3, 4, 6\) and pooled ones of \(2, 3, 2, 3\)"):
        avg_pool2d_gradient(y, (5, 3, 4, 6), (2, 2), (2, 2))
