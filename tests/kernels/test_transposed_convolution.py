"""Transposed convolution against loops that spread each pixel, and against the convolution that it transposes."""

import itertools

import numpy as np
import pytest

from tests.backends import SIMULATED, kernels

CASES = {
    "one number": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    "3x3": ((2, 2, 3, 4), (2, 3, 3, 3), {}),
    "stride 2": ((1, 2, 3, 2), (2, 3, 2, 3), {"stride": (2, 2)}),
    "stride beyond the kernel": ((1, 1, 3, 2), (1, 2, 2, 1), {"stride": (3, 2)}),
    "padding": ((1, 2, 3, 3), (2, 1, 3, 3), {"stride": (2, 1), "padding": ((1, 0), (0, 1))}),
    "output_padding": ((1, 1, 2, 3), (1, 2, 3, 2), {"stride": (2, 3), "output_padding": (1, 2)}),
    "rows no pixel reaches": ((1, 1, 2, 2), (1, 1, 2, 2), {"dilation": (3, 1), "output_padding": (2, 0)}),
    "dilation": ((1, 2, 2, 3), (2, 2, 2, 2), {"dilation": (2, 3), "padding": ((1, 0), (1, 1))}),
    "groups": ((1, 4, 3, 2), (4, 3, 2, 2), {"groups": 2, "stride": (2, 1)}),
    "no images": ((0, 2, 3, 3), (2, 3, 2, 2), {}),
    "no filters": ((1, 2, 3, 3), (2, 0, 2, 2), {}),
}
every_case = pytest.mark.parametrize(("x", "w", "more"), CASES.values(), ids=CASES.keys())
every_layout = pytest.mark.parametrize("layout", ["NCHW", "NHWC"])


def spread(x, w, *, stride=(1, 1), padding=((0, 0), (0, 0)), output_padding=(0, 0), dilation=(1, 1), groups=1):
    """Add each pixel's multiple of the filters, then cut off the padding."""
    full = [(x.shape[2 + i] - 1) * stride[i] + dilation[i] * (w.shape[2 + i] - 1) + 1 for i in range(2)]
    y = np.zeros(
        (x.shape[0], w.shape[1] * groups, *(n + e for n, e in zip(full, output_padding, strict=True))), x.dtype
    )
    own_in, own_out = w.shape[0] // groups, w.shape[1]
    for h, v, p, q in itertools.product(*map(range, (*x.shape[2:], *w.shape[2:]))):
        for group in range(groups):
            c, o = (slice(group * n, (group + 1) * n) for n in (own_in, own_out))
            y[:, o, h * stride[0] + p * dilation[0], v * stride[1] + q * dilation[1]] += x[:, c, h, v] @ w[c, :, p, q]
    (top, bottom), (left, right) = padding
    return y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]


def arranged(x, layout):
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if layout == "NHWC" else x


@every_case
@every_layout
@pytest.mark.parametrize("dtype", [np.float32] if SIMULATED else [np.float32, np.float64])
def test_pixels_are_spread(x, w, more, layout, dtype, rng):
    bias = rng.integers(-3, 4, w[1] * more.get("groups", 1)).astype(dtype)
    x, w = (rng.integers(-3, 4, shape).astype(dtype) for shape in (x, w))
    wanted = spread(x, w, **more)
    found = kernels.conv_transpose2d(arranged(x, layout), w, layout=layout, **more)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, arranged(wanted, layout))
    biased = wanted + bias[:, None, None]
    found = kernels.conv_transpose2d(arranged(x, layout), w, bias, layout=layout, **more)
    np.testing.assert_array_equal(found, arranged(biased, layout))
    found = kernels.conv_transpose2d(arranged(x, layout), w, bias, layout=layout, activation="relu", **more)
    np.testing.assert_array_equal(found, arranged(np.maximum(biased, 0), layout))


@every_layout
def test_it_is_the_transpose_and_so_are_its_gradients(layout, rng):
    whole = lambda *shape: rng.integers(-3, 4, shape).astype(float)
    w, more = whole(4, 1, 2, 3), {"stride": (2, 1), "padding": ((1, 0), (0, 1)), "groups": 2, "layout": layout}
    x = arranged(whole(1, 4, 3, 3), layout)
    y = kernels.conv_transpose2d(x, w, **more)
    g = whole(*y.shape)
    back = kernels.conv2d(g, w, **more)
    assert np.vdot(y, g) == np.vdot(x, back)
    gw = kernels.conv2d_weight_gradient(g, x, w.shape, **more)
    assert np.vdot(y, g) == np.vdot(w, gw)


def test_errors():
    x, w = np.ones((1, 2, 3, 3)), np.ones((2, 3, 2, 2))
    transposed = kernels.conv_transpose2d
    with pytest.raises(ValueError, match=r"^conv_transpose2d: x of shape \(1, 2, 3, 3\) \(NCHW\) has 2 channels, but"):
        transposed(x, w[:1])
    with pytest.raises(ValueError, match=r"^conv_transpose2d: bias must have shape \(3,\), .*result, got \(2,\)$"):
        transposed(x, w, np.ones(2))
    with pytest.raises(ValueError, match=r"^conv_transpose2d: activation must be None or .relu., got 'tanh'"):
        transposed(x, w, activation="tanh")
    with pytest.raises(ValueError, match=r"^conv_transpose2d: output_padding must be smaller than the stride or"):
        transposed(x, w, output_padding=(1, 0))
    with pytest.raises(ValueError, match=r"^conv_transpose2d: padding .* leaves nothing of the result"):
        transposed(x, w, padding=((2, 2), (0, 0)))
    with pytest.raises(TypeError, match=r"^conv_transpose2d: expected float32 or float64, got x: float64, w: float32"):
        transposed(x, w.astype("f"))
    with pytest.raises(ValueError, match=r"^conv_transpose2d: .*groups"):
        transposed(x, w, groups=3)
