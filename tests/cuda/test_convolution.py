"""Convolution and its two gradients on the device against `kernels.reference`; whole numbers, so exact."""

import numpy as np
import pytest

from kernels import cuda as kernels
from kernels import reference

PAD = ((1, 1), (1, 1))


def case(x, w, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    return x, w, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


CASES = {
    "one number": case((1, 1, 1, 1), (1, 1, 1, 1)),
    "3x3": case((1, 2, 5, 4), (3, 2, 3, 3)),
    "1x1": case((2, 5, 3, 3), (4, 5, 1, 1)),
    "as large as the image": case((2, 3, 3, 4), (2, 3, 3, 4)),
    "more rows than a tile": case((1, 1, 4, 4), (17, 1, 2, 2)),
    "stride 2": case((1, 2, 7, 6), (3, 2, 3, 3), stride=(2, 2)),
    "stride 1, 3 beyond the kernel": case((1, 2, 5, 8), (3, 2, 2, 1), stride=(1, 3)),
    "last rows unused": case((1, 1, 6, 6), (2, 1, 3, 3), stride=(2, 3)),
    "padding": case((1, 2, 4, 3), (2, 2, 3, 3), padding=PAD),
    "unequal padding, more than kernel": case((1, 1, 3, 2), (2, 1, 2, 2), stride=(2, 1), padding=((3, 0), (2, 1))),
    "dilation": case((1, 2, 7, 6), (2, 2, 3, 2), dilation=(2, 3), padding=((0, 1), (2, 0))),
    "dilation and stride": case((1, 2, 8, 7), (2, 2, 3, 3), (2, 3), ((1, 2), (3, 0)), (2, 2)),
    "groups": case((2, 6, 4, 4), (4, 3, 2, 2), groups=2),
    "depthwise": case((1, 3, 5, 4), (6, 1, 3, 3), padding=PAD, groups=3),
    "everything": case((2, 4, 7, 8), (6, 2, 2, 3), (2, 1), ((1, 0), (2, 1)), (2, 1), 2),
    "no images": case((0, 2, 4, 4), (3, 2, 2, 2)),
    "no filters": case((1, 2, 4, 4), (0, 2, 2, 2)),
    "no channels": case((1, 0, 3, 3), (2, 0, 2, 2)),
    "no pixels": case((1, 2, 0, 2), (2, 2, 2, 2), padding=((1, 2), (0, 1))),
}
every_case = pytest.mark.parametrize(("x", "w", "options"), CASES.values(), ids=CASES.keys())
every_layout = pytest.mark.parametrize("layout", ["NCHW", "NHWC"])


def whole(rng, shape, dtype=np.float32):
    return rng.integers(-4, 5, shape).astype(dtype)


def check(found, wanted):
    np.testing.assert_array_equal(found, wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)


@every_case
@every_layout
def test_three_products(gpu, rng, x, w, options, layout):
    dtype = np.float64 if layout == "NHWC" else np.float32
    x, w = whole(rng, x, dtype), whole(rng, w, dtype)
    if layout == "NHWC":
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    options = options | {"layout": layout}
    y = reference.conv2d(x, w, **options)
    check(gpu.call(kernels.conv2d, x, w, **options), y)
    g = whole(rng, y.shape, dtype)
    check(
        gpu.call(kernels.conv2d_input_gradient, g, w, x.shape, **options),
        reference.conv2d_input_gradient(g, w, x.shape, **options),
    )
    check(
        gpu.call(kernels.conv2d_weight_gradient, x, g, w.shape, **options),
        reference.conv2d_weight_gradient(x, g, w.shape, **options),
    )


@every_layout
def test_bias_and_relu(gpu, rng, layout):
    x, w, bias = whole(rng, (2, 3, 4, 3)), whole(rng, (5, 3, 2, 2)), whole(rng, 5)
    x = np.moveaxis(x, 1, -1) if layout == "NHWC" else x  # not contiguous
    wanted = reference.conv2d(x, w, bias, layout=layout)
    check(gpu.call(kernels.conv2d, x, w, bias, layout=layout), wanted)
    check(gpu.call(kernels.conv2d, x, w, bias, layout=layout, activation="relu"), np.maximum(wanted, 0))


def test_sums_of_parts_have_one_order(gpu, rng):
    x, g = rng.standard_normal((3, 1, 6, 6)).astype(np.float32), rng.standard_normal((3, 2, 5, 5)).astype(np.float32)
    found = gpu.call(kernels.conv2d_weight_gradient, x, g, (2, 1, 2, 2))
    again = gpu.call(kernels.conv2d_weight_gradient, x, g, (2, 1, 2, 2))
    np.testing.assert_array_equal(found, again)
    wanted = reference.conv2d_weight_gradient(x.astype(float), g.astype(float), (2, 1, 2, 2))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_errors(gpu):
    put, x, w = gpu.put, np.ones((1, 2, 4, 4), np.float32), np.ones((3, 2, 2, 2), np.float32)
    with pytest.raises(TypeError, match="conv2d: w must be an array on the device"):
        kernels.conv2d(put(x), w)
    with pytest.raises(TypeError, match="conv2d: expected float32 or float64, got x: float32, w: float64"):
        kernels.conv2d(put(x), put(w.astype(float)))
    with pytest.raises(ValueError, match=r"conv2d: x of shape \(1, 2, 4, 4\) \(NCHW\) has 2 channels"):
        kernels.conv2d(put(x), put(w[:, :1]))
    with pytest.raises(ValueError, match=r"bias must have shape \(3,\), one number for each filter, got \(2,\)"):
        kernels.conv2d(put(x), put(w), put(w[0, :, 0, 0]))
    with pytest.raises(ValueError, match="activation must be None or \"relu\", got 'tanh'"):
        kernels.conv2d(put(x), put(w), activation="tanh")
    with pytest.raises(ValueError, match=r"conv2d_input_gradient: g must have the shape of the result of conv2d, "):
        kernels.conv2d_input_gradient(put(x), put(w), x.shape)
    with pytest.raises(ValueError, match=r"conv2d_weight_gradient: g must have the shape of the result of conv2d, "):
        kernels.conv2d_weight_gradient(put(x), put(x), w.shape)
