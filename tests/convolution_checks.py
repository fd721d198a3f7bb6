"""What the tests of convolutions share: images in either layout, and arguments to try."""

import numpy as np
import pytest

from tests.product_checks import draw

RNG = np.random.default_rng(5)
VARIANTS = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (1, 3), "padding": ((0, 1), (2, 0))},
    {"padding": "same"},
    {"padding": "same", "stride": (2, 1), "dilation": 2},
    {"padding": "valid", "dilation": (2, 1)},
    {"groups": 2, "padding": (1, 0)},
]
variants = pytest.mark.parametrize("arguments", VARIANTS, ids=str)
layouts = pytest.mark.parametrize("layout", ["NCHW", "NHWC"])


def images(shape, layout="NCHW", dtype=float, rng=RNG):
    x = draw(rng, shape, dtype)
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if layout in {"NHWC", "NWC"} else x


def kept(function, *args, **params):
    """The result, after a check that no argument has changed."""
    before = [np.copy(a) for a in args]
    y = function(*args, **params)
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)
    return y
