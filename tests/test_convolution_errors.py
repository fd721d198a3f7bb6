"""What conv2d, conv1d and conv_transpose2d say of arguments that do not fit."""

import numpy as np
import pytest

from autodiff import eval_shape, grad, ops

X, W = np.ones((2, 3, 8, 9)), np.ones((4, 3, 3, 3))
LARGE = (
    r"the window spans 3 pixels of the height \(size 3, dilation 1\) but the padded image has 2 \(2, padded with 0 "
    r"and 0\)\. Use a smaller window or more padding"
)
LAST = (
    r"x of shape \(2, 8, 9, 3\) \(NCHW\) has 8 channels, but w of shape \(4, 3, 3, 3\) takes 3\. "
    r'Is the layout "NHWC"\?'
)
CHANNELS = (
    r"x of shape \(2, 4, 5, 6\) \(NCHW\) has 4 channels, but w of shape \(3, 3, 3, 3\) takes 3: its axes are "
    r"\(channels of x, channels of the result / groups, height, width\)"
)
ERRORS = [
    ((X[0], W), {}, r"x must have 4 axes \(NCHW\), got shape \(3, 8, 9\)\. For one image: x\[None\]"),
    ((X[0, 0], W), {}, r"x must have 4 axes \(NCHW\), got shape \(8, 9\)\.$"),
    ((X, W[0]), {}, r"w must have 4 axes \(out, in / groups, height, width\), got shape \(3, 3, 3\)"),
    ((X, W[:, :2]), {}, r"x of shape \(2, 3, 8, 9\) \(NCHW\) has 3 channels, but w of shape \(4, 2, 3, 3\) takes 2\.$"),
    ((np.moveaxis(X, 1, 3), W), {}, LAST),
    ((X, W), {"groups": 2}, r"groups must divide the channels: x of shape .* has 3 channels, which 2 does not divide"),
    (
        (np.ones((2, 6, 8, 9)), W), {"groups": 3},
        r"groups must divide the filters: w of shape \(4, 3, 3, 3\) has 4, groups is 3",
    ),
    (
        (np.ones((2, 8, 8, 9)), W), {"groups": 2},
        r"has 8 channels, but w of shape \(4, 3, 3, 3\) takes 3 channels in each of 2 groups: 6\.",
    ),
    ((X, W), {"groups": 0}, r"groups must be positive, got 0"),
    ((X, W), {"stride": 0}, r"stride must be positive, got 0"),
    ((X, W), {"stride": (1, -1)}, r"stride must be positive, got \(1, -1\)"),
    ((X, W), {"dilation": 0}, r"dilation must be positive, got 0"),
    ((X, W), {"padding": -1}, r"padding must be at least 0, got -1"),
    ((X, W), {"padding": "SAME"}, r"unknown padding 'SAME'; use \"same\", \"valid\", or numbers of pixels"),
    ((X, W), {"layout": "CHWN"}, r"unknown layout 'CHWN'; use \"NCHW\" or \"NHWC\""),
    ((X, W), {"layout": "NCW"}, r"unknown layout 'NCW'; use \"NCHW\" or \"NHWC\""),
    ((X[:, :, :2], W), {"padding": ((0, 0), (1, 1))}, LARGE),
    ((X, W), {"dilation": (1, 5)}, r"spans 11 pixels of the width \(size 3, dilation 5\) but the padded image has 9"),
    ((X, W[:, :, :0]), {}, r"window must be positive, got \(0, 3\)"),
    ((X, W, np.ones(3)), {}, r"bias must have shape \(4,\), one number for each channel of .*, got float64\[3\]"),
    ((X, W, np.ones((4, 1, 1))), {}, r"bias must have shape \(4,\), .* got float64\[4,1,1\]"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "arguments", "message"), ERRORS, ids=[m[:40] for *_, m in ERRORS])
def test_errors(args, arguments, message):
    with pytest.raises(ValueError, match=f"^conv2d: .*{message}"):
        ops.conv2d(*args, **arguments)
    with pytest.raises(ValueError, match=f"^conv2d: .*{message}"):
        grad(lambda x: np.sum(ops.conv2d(x, *args[1:], **arguments)))(args[0])
    with pytest.raises(ValueError, match=f"^conv2d: .*{message}"):
        eval_shape(lambda *a: ops.conv2d(*a, **arguments), *args)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            (X.astype(np.uint8), W),
            r"x must have a floating-point dtype, got uint8\[2,3,8,9\]\. .* x\.astype\(np\.float64\)",
        ),
        ((X.astype(int), W.astype("f")), r"x must .* got int64\[2,3,8,9\]\. Convert it: x\.astype\(np\.float32\)"),
        ((X.astype(int), W.astype(int)), r"x must .* Convert it: x\.astype\(np\.float32\)"),
        ((X.astype(bool), W), r"x must have a floating-point dtype, got bool"),
        ((X, W.astype(int)), r"w must .* Convert it: w\.astype\(np\.float64\)"),
        ((X, W, np.arange(4)), r"bias must .* Convert it: bias\.astype\(np\.float64\)"),
        ((X.astype(object), W), r"x must have a floating-point dtype, got object"),
    ],
)
def test_integers_are_refused_with_the_dtype_to_convert_to(args, message):
    with pytest.raises(TypeError, match=f"^conv2d: {message}"):
        ops.conv2d(*args)
    if args[0].dtype.kind == "f":
        return
    with pytest.raises(TypeError, match=r"^conv_transpose2d: x must have a floating-point dtype"):
        ops.conv_transpose2d(*args)


@pytest.mark.parametrize("argument", ["stride", "dilation", "padding", "groups"])
@pytest.mark.parametrize("value", [1.0, None, (1, 2.0)])
def test_numbers_must_be_integers(argument, value):
    with pytest.raises(TypeError, match=f"^conv2d: {argument} must be an integer"):
        ops.conv2d(X, W, **{argument: value})


def test_what_is_missing_is_named():
    with pytest.raises(TypeError, match=r"^conv2d: x must be an array, got None"):
        ops.conv2d(None, W)
    with pytest.raises(TypeError, match=r"^conv_transpose2d: w must be an array, got None"):
        ops.conv_transpose2d(X, None)


def test_errors_of_conv1d():
    x, w = np.ones((2, 3, 9)), np.ones((4, 3, 3))
    for args, arguments, message in (
        ((x[0], w), {}, r"x must have 3 axes \(NCW\), got shape \(3, 9\)\. For one image: x\[None\]"),
        ((x, w[0]), {}, r"w must have 3 axes \(out, in / groups, width\), got shape \(3, 3\)"),
        ((x, w[:, :2]), {}, r"x of shape \(2, 3, 9\) \(NCW\) has 3 channels, but w of shape \(4, 2, 3\) takes 2"),
        ((x.mT, w), {}, r'x of shape .* has 9 channels, but w of shape \(4, 3, 3\) takes 3\. Is the layout "NWC"\?'),
        ((x[..., :2], w), {}, r"the window spans 3 pixels of the width .* the padded image has 2"),
        ((x, w), {"stride": 0}, r"stride must be positive, got 0"),
        ((x, w), {"stride": (1, 2)}, r"stride must be an integer, got \(1, 2\)"),
        ((x, w), {"layout": "NCHW"}, r"unknown layout 'NCHW'; use \"NCW\" or \"NWC\""),
        ((x, w, np.ones(3)), {}, r"bias must have shape \(4,\)"),
    ):
        with pytest.raises(ValueError, match=f"^conv1d: {message}"):
            ops.conv1d(*args, **arguments)
    with pytest.raises(TypeError, match=r"^conv1d: x must have a floating-point dtype, got int64\[2,3,9\]"):
        ops.conv1d(x.astype(int), w)


def test_errors_of_conv_transpose2d():
    x, w = np.ones((2, 4, 5, 6)), np.ones((4, 3, 3, 3))
    for args, arguments, message in (
        ((x[0], w), {}, r"x must have 4 axes \(NCHW\), got shape \(4, 5, 6\)"),
        ((x, w[0]), {}, r"w must have 4 axes .* got shape \(3, 3, 3\)"),
        ((x, w[:3]), {}, CHANNELS),
        ((x, w), {"groups": 3}, r"groups must divide the filters: w of shape \(4, 3, 3, 3\) has 4, groups is 3"),
        ((x, w), {"output_padding": 1}, r"output_padding must be smaller than the stride or the dilation"),
        ((x, w), {"padding": 4}, r"padding \(\(4, 4\), \(4, 4\)\) leaves nothing of the result"),
        ((x, w), {"stride": -1}, r"stride must be positive, got -1"),
        ((x, w), {"layout": "NWHC"}, r"unknown layout 'NWHC'"),
        ((x, w, np.ones(4)), {}, r"bias must have shape \(3,\)"),
        ((x[:, :, :0], w), {}, r"the image has no pixels, its size is \(0, 6\)"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"^conv_transpose2d: {message}"):
            ops.conv_transpose2d(*args, **arguments)
