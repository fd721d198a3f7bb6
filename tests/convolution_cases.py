"""Cases of convolution and of its two gradients, and what they give by explicit loops.

The loops visit each place of the window and each tap by its coordinates: they share no arithmetic of slices, padding
or phases with what they test. Whole numbers leave no rounding, so those comparisons are exact in any order of sums.
"""

import functools
import itertools

import numpy as np
import pytest

from kernels import reference
from tests import backends
from tests.backends import BACKEND, SIMULATED

IMPLEMENTATIONS = {} if SIMULATED else {"reference": reference}
IMPLEMENTATIONS |= {BACKEND: backends.kernels}
DTYPES = (np.float32, np.float64)
every_implementation = pytest.mark.parametrize("kernels", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS.keys())
every_dtype = pytest.mark.parametrize("dtype", [np.float32] if SIMULATED else DTYPES, ids=lambda d: d.__name__)
every_layout = pytest.mark.parametrize("layout", ["NCHW", "NHWC"])


def case(x, w, *, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    return x, w, stride, padding, dilation, groups


SAME4 = ((1, 2), (1, 2))  # "same" of a kernel of four: the odd row at the end
CASES = {
    # sizes of images and kernels
    "one number": case((1, 1, 1, 1), (1, 1, 1, 1)),
    "kernel as large as the image": case((2, 3, 5, 4), (3, 3, 5, 4)),
    "kernel as large as the padded image": case((2, 1, 3, 4), (2, 1, 6, 7), padding=((1, 2), (3, 0))),
    "lines": case((2, 3, 1, 40), (4, 3, 1, 3)),
    "columns": case((2, 3, 40, 1), (4, 3, 3, 1)),
    "1x1": case((2, 17, 5, 7), (16, 17, 1, 1)),
    "1x1, stride 2": case((2, 3, 8, 7), (5, 3, 1, 1), stride=(2, 2)),
    "even kernel": case((1, 3, 7, 6), (5, 3, 2, 4)),
    "5x5": case((2, 1, 12, 13), (16, 1, 5, 5)),
    "long rows": case((1, 2, 3, 70), (3, 2, 2, 3)),
    "many images": case((17, 1, 4, 4), (2, 1, 2, 2)),
    "no images": case((0, 3, 5, 5), (4, 3, 3, 3)),
    "no channels": case((2, 0, 5, 5), (4, 0, 3, 3)),
    "no pixels": case((2, 3, 0, 4), (5, 3, 2, 2), padding=((1, 2), (0, 1)), stride=(1, 2)),
    "no filters": case((2, 3, 5, 5), (0, 3, 3, 3)),
    # strides
    "stride 2": case((2, 3, 9, 8), (5, 3, 3, 3), stride=(2, 2)),
    "stride 3": case((2, 3, 11, 10), (5, 3, 3, 3), stride=(3, 3)),
    "stride 3 beyond the kernel": case((2, 2, 11, 12), (3, 2, 2, 1), stride=(3, 3)),
    "stride 1, 3": case((1, 3, 8, 9), (4, 3, 3, 2), stride=(1, 3)),
    "stride 2, 1": case((1, 3, 8, 9), (4, 3, 2, 3), stride=(2, 1)),
    "one row, stride 2": case((2, 3, 1, 9), (4, 3, 3, 2), stride=(2, 1), padding=((2, 2), (0, 1))),
    "one column, stride 3": case((2, 3, 8, 1), (4, 3, 2, 3), stride=(1, 3), padding=((0, 1), (1, 2))),
    "one pixel, stride 2": case((2, 3, 1, 1), (4, 3, 2, 2), stride=(2, 2), padding=((1, 1), (1, 0)), dilation=(1, 1)),
    "stride beyond the image": case((2, 2, 4, 4), (3, 2, 2, 2), stride=(5, 7)),
    "last rows unused": case((1, 1, 8, 8), (2, 1, 3, 3), stride=(3, 4)),
    # paddings
    "padding": case((2, 3, 6, 5), (4, 3, 3, 3), padding=((1, 1), (1, 1))),
    "unequal padding": case((2, 3, 6, 5), (4, 3, 3, 3), padding=((0, 2), (3, 1))),
    "same, even kernel": case((2, 3, 7, 8), (5, 3, 4, 4), padding=SAME4),
    "same, even kernel, stride 2": case((2, 3, 7, 8), (5, 3, 4, 4), padding=SAME4, stride=(2, 2)),
    "more padding than kernel": case((1, 2, 3, 3), (3, 2, 2, 2), padding=((4, 3), (2, 5))),
    "more padding than kernel, stride 2": case((1, 2, 3, 3), (3, 2, 2, 2), padding=((4, 3), (2, 5)), stride=(2, 3)),
    # dilations
    "dilation 2": case((2, 3, 9, 8), (4, 3, 3, 3), dilation=(2, 2)),
    "dilation 3, 1": case((2, 3, 9, 8), (4, 3, 3, 2), dilation=(3, 1), padding=((2, 1), (0, 1))),
    "dilation and stride": case((2, 3, 11, 12), (4, 3, 3, 3), dilation=(2, 3), stride=(3, 2), padding=((1, 2), (3, 0))),
    "dilation 2, stride 2": case((2, 3, 9, 8), (4, 3, 3, 3), dilation=(2, 2), stride=(2, 2), padding=((1, 1), (0, 2))),
    # groups
    "groups": case((2, 6, 5, 6), (9, 2, 3, 3), groups=3),
    "groups, one filter each": case((2, 6, 5, 6), (2, 3, 3, 3), groups=2, stride=(2, 2)),
    "depthwise": case((2, 5, 7, 6), (5, 1, 3, 3), groups=5, padding=((1, 1), (1, 1))),
    "depthwise, multiplier 2": case((1, 16, 7, 6), (32, 1, 3, 3), groups=16, stride=(2, 1), padding=((1, 1), (0, 1))),
    "wide groups": case((1, 34, 4, 5), (66, 17, 2, 2), groups=2, padding=((1, 0), (0, 1)), dilation=(1, 2)),
}  # fmt: skip
CHANNELS = [(1, 33), (3, 32), (5, 17), (16, 16), (17, 5), (32, 3), (33, 1), (33, 33), (8, 64), (64, 7)]
CASES |= {f"channels {c} to {o}": case((2, c, 5, 6), (o, c, 3, 2), padding=((1, 0), (0, 1))) for c, o in CHANNELS}

# Rows of whole vectors, and rows that flow one into the next: vectors along the pixels.
CASES |= {
    "rows of 32": case((2, 3, 5, 32), (7, 3, 3, 3), padding=((1, 1), (1, 1))),
    "rows of 16, stride 2, 1": case((1, 2, 9, 16), (5, 2, 3, 3), stride=(2, 1), padding=((1, 0), (1, 1))),
    "rows of 33": case((3, 3, 9, 32), (5, 3, 2, 2), padding=((1, 1), (1, 1))),
    "rows of 31, dilation": case((1, 2, 12, 37), (3, 2, 3, 3), padding=((2, 1), (0, 0)), dilation=(2, 3)),
    "rows of 64 to 40 filters": case((1, 3, 4, 64), (40, 3, 3, 3), padding=((1, 1), (1, 1))),
    "rows of 32, groups": case((2, 4, 6, 32), (6, 2, 5, 3), padding=((2, 2), (1, 1)), groups=2),
    "rows of 32 in the padding": case((1, 2, 3, 31), (3, 2, 2, 2), padding=((4, 5), (1, 1))),
    "many terms": case((1, 70, 4, 32), (3, 70, 3, 3), padding=((1, 1), (1, 1))),
}

# Of the sizes that the simulator can do; their tiles are 16 x 16.
CASES |= {
    "two images, 1x1": case((2, 5, 3, 3), (4, 5, 1, 1)),
    "more rows than a tile": case((1, 1, 4, 4), (17, 1, 2, 2)),
    "few, stride 2": case((1, 2, 5, 6), (3, 2, 3, 3), stride=(2, 2)),
    "few, stride 1, 3 beyond the kernel": case((1, 2, 5, 8), (3, 2, 2, 1), stride=(1, 3)),
    "few, unequal padding": case((1, 1, 3, 2), (2, 1, 2, 2), stride=(2, 1), padding=((3, 0), (2, 1))),
    "few, dilation": case((1, 2, 7, 6), (2, 2, 3, 2), dilation=(2, 3), padding=((0, 1), (2, 0))),
    "few, dilation and stride": case((1, 1, 8, 7), (2, 1, 3, 3), dilation=(2, 2), stride=(2, 3), padding=SAME4),
    "few, groups": case((1, 4, 4, 3), (4, 2, 2, 2), groups=2),
    "few, depthwise": case((1, 3, 4, 4), (6, 1, 3, 3), groups=3, padding=((1, 1), (1, 1))),
    "few, all": case((2, 2, 5, 5), (4, 1, 2, 3), stride=(2, 1), padding=((1, 0), (2, 1)), dilation=(2, 1), groups=2),
}  # fmt: skip
if SIMULATED:
    CASES = {name: c for name, c in CASES.items() if np.prod(c[0]) * np.prod(c[1][1:]) <= 1200 and c[1][0] <= 17}


def some(*names):
    """Return those of the cases that this backend does."""
    return pytest.mark.parametrize("name", [name for name in names if name in CASES])


every_case = pytest.mark.parametrize("name", CASES)


# -- the oracle ----------------------------------------------------------------------------------------------


def taps(shape, kernel, out, stride, padding, dilation):
    """Coordinates (place, tap, pixel) of all products that do not fall on the padding."""
    lines = []
    for axis in range(2):
        found = []
        for place, tap in itertools.product(range(out[axis]), range(kernel[axis])):
            pixel = place * stride[axis] - padding[axis][0] + tap * dilation[axis]
            if 0 <= pixel < shape[axis]:
                found.append((place, tap, pixel))
        lines.append(found)
    return itertools.product(*lines)


def places(extent, kernel, stride, padding, dilation):
    starts = range(-padding[0], extent + padding[1], stride)
    return sum(1 for start in starts if start + (kernel - 1) * dilation < extent + padding[1])


def loops(x, w, g, stride, padding, dilation, groups):
    """Value and both gradients in layout NCHW by explicit loops; `g` is called with the shape of the result."""
    out = tuple(places(x.shape[2 + i], w.shape[2 + i], stride[i], padding[i], dilation[i]) for i in range(2))
    y = np.zeros((x.shape[0], w.shape[0], *out), x.dtype)
    g = g(y.shape)
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    own_in, own_out = w.shape[1], w.shape[0] // groups
    for (i, p, h), (j, q, v) in taps(x.shape[2:], w.shape[2:], out, stride, padding, dilation):
        for group in range(groups):
            c = slice(group * own_in, (group + 1) * own_in)
            o = slice(group * own_out, (group + 1) * own_out)
            y[:, o, i, j] += x[:, c, h, v] @ w[o, :, p, q].T
            gx[:, c, h, v] += g[:, o, i, j] @ w[o, :, p, q]
            gw[o, :, p, q] += g[:, o, i, j].T @ x[:, c, h, v]
    return y, g, gx, gw


def whole_numbers(rng, shape):
    return rng.integers(-3, 4, shape).astype(float)


@functools.cache
def expected(name, *, exact=True):
    """Arguments (x, w, bias, g) and results (y, gx, gw) of a case, in float64 and NCHW."""
    x_shape, w_shape, *rest = CASES[name]
    rng = np.random.default_rng(len(name))
    draw = functools.partial(whole_numbers, rng) if exact else rng.standard_normal
    x, w, bias = draw(x_shape), draw(w_shape), draw(w_shape[:1])
    y, g, gx, gw = loops(x, w, draw, *rest)
    return (x, w, bias, g), (y, gx, gw)


def arranged(a, layout):
    return np.ascontiguousarray(np.moveaxis(a, 1, 3)) if layout == "NHWC" else a


def params(name, layout="NCHW"):
    _, _, stride, padding, dilation, groups = CASES[name]
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout}


def run(kernels, name, layout, x, w, bias, g):
    """Value without bias, value with it, both gradients; images in and out in layout NCHW."""
    more = params(name, layout)
    x, g = arranged(x, layout), arranged(g, layout)
    y = kernels.conv2d(x, w, **more)
    biased = kernels.conv2d(x, w, bias, **more)
    gx = kernels.conv2d_input_gradient(g, w, x.shape, **more)
    gw = kernels.conv2d_weight_gradient(x, g, w.shape, **more)
    images = [np.moveaxis(a, 3, 1) if layout == "NHWC" else a for a in (y, biased, gx)]
    assert all(a.flags.c_contiguous for a in (y, biased, gx, gw))
    return *images, gw


def check_equal(found, want, dtype):
    assert found.dtype == dtype
    assert found.shape == want.shape
    np.testing.assert_array_equal(found, want)
