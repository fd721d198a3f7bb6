"""The geometry of windows: normal forms, sizes against explicit counting, errors."""

import itertools

import numpy as np
import pytest

from kernels.geometry import (
    channel_axis,
    convolution_geometry,
    image_shape,
    image_size,
    normal_padding,
    sizes,
    transposed_geometry,
    window_geometry,
)


def places(extent, k, s, before, after, d):
    """Number of places of a window, by walking it over the padded line."""
    return sum(1 for start in range(0, extent + before + after, s) if start + d * (k - 1) < extent + before + after)


# -- normal forms --------------------------------------------------------------------------------------------


def test_numbers_become_one_for_each_axis():
    assert sizes("f", "stride", 3) == (3, 3)
    assert sizes("f", "stride", (3, 4)) == (3, 4)
    assert sizes("f", "stride", [3], 1) == (3,)
    found = sizes("f", "stride", np.array([3, 4], np.int32))
    assert found == (3, 4)
    assert all(type(v) is int for v in found)
    assert sizes("f", "stride", np.int64(2)) == (2, 2)


def test_paddings_become_pairs():
    rest = (7, 8), (3, 3), (1, 1), (1, 1)
    assert normal_padding("f", 2, *rest) == ((2, 2), (2, 2))
    assert normal_padding("f", (1, 2), *rest) == ((1, 1), (2, 2))
    assert normal_padding("f", ((1, 2), (3, 0)), *rest) == ((1, 2), (3, 0))
    assert normal_padding("f", np.array([[1, 2], [3, 0]]), *rest) == ((1, 2), (3, 0))
    assert normal_padding("f", "valid", *rest) == ((0, 0), (0, 0))
    assert normal_padding("f", "same", *rest) == ((1, 1), (1, 1))


def test_paddings_of_one_axis():
    rest = (7,), (3,), (1,), (1,)
    assert normal_padding("f", 2, *rest) == ((2, 2),)
    assert normal_padding("f", (2,), *rest) == ((2, 2),)
    assert normal_padding("f", (1, 2), *rest) == ((1, 2),)
    assert normal_padding("f", ((1, 2),), *rest) == ((1, 2),)


@pytest.mark.parametrize(
    ("k", "d", "want"), [(1, 1, (0, 0)), (2, 1, (0, 1)), (3, 1, (1, 1)), (4, 1, (1, 2)), (2, 3, (1, 2))]
)
def test_same_puts_the_odd_pixel_at_the_end(k, d, want):
    assert normal_padding("f", "same", (9,), (k,), (1,), (d,)) == (want,)


def test_same_gives_the_size_over_the_stride_with_the_least_padding():
    for extent, k, s, d in itertools.product((1, 4, 5, 12), (1, 2, 3, 5), (1, 2, 3), (1, 2)):
        g = window_geometry("f", (extent,), k, stride=s, padding="same", dilation=d)
        assert g.out == (-(-extent // s),)
        ((before, after),) = g.padding
        assert after - before in {0, 1}
        assert not after or places(extent, k, s, before, after - 1, d) < g.out[0]


def test_sizes_against_counting():
    paddings = (0, 0), (2, 0), (0, 1), (3, 2)
    for extent, k, s, padding, d in itertools.product((3, 6, 7), (1, 2, 3), (1, 2, 3, 4), paddings, (1, 2, 3)):
        if d * (k - 1) + 1 <= extent + sum(padding):
            g = window_geometry("f", (extent, 9), (k, 2), stride=(s, 1), padding=(padding, (0, 0)), dilation=(d, 1))
            assert g == ((extent, 9), (k, 2), (s, 1), (padding, (0, 0)), (d, 1), (places(extent, k, s, *padding, d), 8))


def test_layouts():
    assert channel_axis("f", "NCHW") == channel_axis("f", "NCW", 1) == 1
    assert (channel_axis("f", "NHWC"), channel_axis("f", "NWC", 1)) == (3, 2)
    for axis in (1, 3):
        assert image_size(image_shape(2, 3, (5, 6), axis), axis) == (5, 6)
    assert image_shape(2, 3, (5, 6), 1) == (2, 3, 5, 6)
    assert image_shape(2, 3, (5, 6), 3) == (2, 5, 6, 3)


# -- transposed ----------------------------------------------------------------------------------------------


TRANSPOSED = [
    (3, 1, 0, 1, 0),
    (3, 2, 1, 1, 1),
    (4, 2, 1, 1, 0),
    (2, 3, 0, 1, 2),
    (3, 2, ((1, 0), (0, 2)), 2, 0),
    (1, 1, 0, 1, 0),
]


@pytest.mark.parametrize(("k", "s", "padding", "d", "extra"), TRANSPOSED)
def test_transposed_leads_back(k, s, padding, d, extra):
    g = transposed_geometry("f", (5, 6), k, stride=s, padding=padding, output_padding=extra, dilation=d)
    forward = window_geometry("f", g.size, k, stride=s, padding=padding, dilation=d)
    assert g == forward
    assert forward.out == (5, 6)


def test_transposed_same():
    for k, s in itertools.product((1, 2, 3, 4, 5), (1, 2, 3)):
        g = transposed_geometry("f", (5, 6), k, stride=s, padding="same")
        assert (g.size, g.out) == ((5 * s, 6 * s), (5, 6))


def test_output_padding_up_to_the_dilation_lengthens_the_argument():
    g = transposed_geometry("f", (5, 5), 3, dilation=3, output_padding=(2, 0))
    assert (g.size, g.out) == ((13, 11), (7, 5))


# -- errors --------------------------------------------------------------------------------------------------


PAIRS = r"padding must be a number, one for each of 2 axes, or a pair \(before, after\) for each, got "
LARGE = (
    r"the window spans 8 pixels of the height \(size 8, dilation 1\) but the padded image has 7 "
    r"\(7, padded with 0 and 0\)\. Use a smaller window or more padding\."
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stride": 0}, r"stride must be positive, got 0\."),
        ({"stride": (1, -2)}, r"stride must be positive, got \(1, -2\)\."),
        ({"stride": (1, 2, 3)}, r"stride must be an integer or 2 integers, got \(1, 2, 3\)\."),
        ({"dilation": 0}, r"dilation must be positive, got 0\."),
        ({"window": (0, 3)}, r"window must be positive, got \(0, 3\)\."),
        ({"padding": -1}, r"padding must be at least 0, got -1\."),
        ({"padding": ((0, -1), (0, 0))}, r"padding must be at least 0, got \(0, -1\)\."),
        ({"padding": (1, 2, 3)}, r"padding must be an integer or 2 integers, got \(1, 2, 3\)\."),
        ({"padding": ((1, 2),)}, PAIRS + r"\(\(1, 2\),\)\."),
        ({"padding": ((1, 2), 3)}, PAIRS + r"\(\(1, 2\), 3\)\."),
        ({"padding": "full"}, r"unknown padding 'full'; use \"same\", \"valid\", or numbers of pixels\."),
        ({"window": 8}, LARGE),
        (
            {"window": 4, "dilation": 3, "padding": (2, 0)},
            r"the window spans 10 pixels of the width \(size 4, dilation 3\) but the padded image has 8",
        ),
    ],
)
def test_values_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=f"op: {message}"):
        window_geometry("op", (7, 8), **{"window": 3, **arguments})


@pytest.mark.parametrize("argument", ["window", "stride", "dilation", "padding"])
@pytest.mark.parametrize("value", [1.0, (1.0, 2), None, np.ones(2), {}], ids=repr)
def test_numbers_must_be_integers(argument, value):
    with pytest.raises(TypeError, match=rf"op: {argument} must be an integer or 2 integers, got "):
        window_geometry("op", (7, 8), **{"window": 3, argument: value})


def test_layouts_that_do_not_exist():
    with pytest.raises(ValueError, match=r"op: unknown layout 'CHWN'; use \"NCHW\" or \"NHWC\"\."):
        channel_axis("op", "CHWN")
    with pytest.raises(ValueError, match=r"op: unknown layout None; use \"NCW\" or \"NWC\"\."):
        channel_axis("op", None, 1)


def test_the_shapes_of_a_convolution():
    g = convolution_geometry("op", (8, 6, 9, 10), (4, 3, 2, 5), stride=(1, 2), padding=1, groups=2)
    assert g == ((9, 10), (2, 5), (1, 2), ((1, 1), (1, 1)), (1, 1), (10, 4))
    assert convolution_geometry("op", (8, 9, 10, 6), (4, 6, 2, 5), layout="NHWC").out == (8, 6)
    assert convolution_geometry("op", (8, 6, 9), (4, 6, 2), layout="NCW", n=1, dilation=3).out == (6,)
    for x, w, arguments, message in (
        (
            (6, 9, 10),
            (4, 6, 2, 5),
            {},
            r"x must have 4 axes \(NCHW\), got shape \(6, 9, 10\)\. For one image: x\[None\]",
        ),
        (
            (1, 6, 9, 10),
            (4, 6, 2),
            {},
            r"w must have 4 axes \(out, in / groups, height, width\), got shape \(4, 6, 2\)",
        ),
        ((1, 5, 9, 10), (4, 6, 2, 5), {}, r"x of shape .* \(NCHW\) has 5 channels, but w of shape .* takes 6\."),
        ((1, 5, 9, 6), (4, 6, 2, 5), {}, r'x of shape .* takes 6\. Is the layout "NHWC"\?'),
        (
            (1, 9, 6, 4),
            (4, 3, 2, 5),
            {"groups": 2, "layout": "NHWC"},
            r"has 4 .* takes 3 channels in each of 2 groups: 6",
        ),
        (
            (1, 5, 9, 10),
            (4, 2, 2, 5),
            {"groups": 2},
            r"groups must divide the channels: .* has 5 channels, which 2 does",
        ),
        (
            (1, 6, 9, 10),
            (5, 3, 2, 5),
            {"groups": 2},
            r"groups must divide the filters: w of shape .* has 5, groups is 2",
        ),
        ((1, 6, 9, 10), (4, 6, 2, 5), {"groups": -1}, r"groups must be positive, got -1"),
    ):
        with pytest.raises(ValueError, match=f"op: .*{message}"):
            convolution_geometry("op", x, w, **arguments)
    with pytest.raises(TypeError, match=r"op: groups must be an integer, got \(2, 2\)\."):
        convolution_geometry("op", (1, 6, 9, 10), (4, 6, 2, 5), groups=(2, 2))


@pytest.mark.parametrize(
    ("size", "arguments", "message"),
    [
        ((5, 5), {"output_padding": 1}, r"output_padding must be smaller than the stride or the dilation, got output_"),
        ((5, 5), {"output_padding": -1}, r"output_padding must be at least 0, got -1"),
        ((1, 1), {"padding": 2}, r"padding \(\(2, 2\), \(2, 2\)\) leaves nothing of the result, its size would be "),
        ((0, 5), {}, r"the image has no pixels, its size is \(0, 5\)"),
        ((5, 5), {"padding": "same", "stride": 2, "output_padding": 1}, r'padding="same" gives size \* stride'),
    ],
)
def test_transposed_errors(size, arguments, message):
    with pytest.raises(ValueError, match=f"op: {message}"):
        transposed_geometry("op", size, 3, **arguments)
