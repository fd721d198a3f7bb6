"""conv_transpose2d: values by loops that spread each pixel, the transpose of conv2d, derivatives, a peer."""

import itertools

import numpy as np
import pytest

from autodiff import Spec, eval_shape, ops, vjp
from tests.convolution_checks import RNG, images, kept, layouts, variants
from tests.product_checks import check, check_float32, draw


def spread(x, w, stride, crop, output_padding, dilation, groups):
    """Transposed convolution by explicit loops: each pixel adds its multiple of the filters."""
    n, channels, height, width = x.shape
    own, (kh, kw) = w.shape[1], w.shape[2:]
    full = [
        (size - 1) * stride[a] + dilation[a] * (w.shape[2 + a] - 1) + 1 + 99 for a, size in enumerate((height, width))
    ]
    y = np.zeros((n, own * groups, *full))
    for c, i, j, p, q in itertools.product(range(channels), range(height), range(width), range(kh), range(kw)):
        group = c // (channels // groups)
        place = i * stride[0] + p * dilation[0], j * stride[1] + q * dilation[1]
        y[:, group * own : (group + 1) * own, *place] += x[:, c, i, j, None] * w[c, :, p, q]
    ends = [f - 99 - crop[a][1] + output_padding[a] for a, f in enumerate(full)]
    return y[:, :, crop[0][0] : ends[0], crop[1][0] : ends[1]]


@pytest.mark.parametrize(
    ("stride", "padding", "output_padding", "dilation", "groups"),
    [
        ((1, 1), ((0, 0), (0, 0)), (0, 0), (1, 1), 1),
        ((2, 2), ((1, 1), (1, 1)), (1, 1), (1, 1), 1),
        ((2, 3), ((1, 0), (0, 2)), (0, 2), (1, 1), 2),
        ((3, 2), ((2, 1), (1, 1)), (2, 0), (2, 1), 2),
        ((1, 2), ((0, 0), (0, 0)), (1, 2), (3, 3), 1),  # output padding that reaches the stride
        ((1, 1), ((1, 2), (0, 1)), (0, 0), (1, 1), 4),
        ((4, 4), ((0, 0), (0, 0)), (3, 1), (1, 1), 1),
    ],
)
@layouts
def test_conv_transpose2d_spreads_filters(layout, stride, padding, output_padding, dilation, groups):
    x, w, bias = images((2, 4, 3, 5)), draw(RNG, (4, 3, 3, 2)), draw(RNG, (3 * groups,))
    want = spread(x, w, stride, padding, output_padding, dilation, groups) + bias[:, None, None]
    arguments = {
        "stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation, "groups": groups,
    }  # fmt: skip
    y = kept(ops.conv_transpose2d, x if layout == "NCHW" else np.moveaxis(x, 1, 3), w, bias, layout=layout, **arguments)
    np.testing.assert_allclose(y if layout == "NCHW" else np.moveaxis(y, 3, 1), want, rtol=1e-12, atol=1e-13)


@variants
def test_conv_transpose2d_is_the_transpose_of_conv2d(arguments):
    x, w = images((2, 4, 10, 8)), draw(RNG, (6, 4 // arguments.get("groups", 1), 3, 2))
    y = ops.conv2d(x, w, **arguments)
    g = draw(RNG, y.shape)
    transposed = vjp(lambda x: ops.conv2d(x, w, **arguments), x)[1](g)[0]
    back = ops.conv_transpose2d(g, w, **arguments)
    if arguments.get("padding") != "same":
        stride = np.broadcast_to(arguments.get("stride", 1), 2)
        missing = tuple(np.subtract(x.shape, back.shape)[2:])
        assert all(0 <= m < s for m, s in zip(missing, stride, strict=True))
        back = ops.conv_transpose2d(g, w, output_padding=missing, **arguments)
    np.testing.assert_allclose(back, transposed, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(np.sum(back * x), np.sum(y * g), rtol=1e-12)


def test_conv_transpose2d_same_is_size_times_stride():
    for k, s in itertools.product((1, 2, 3, 4, 5), (1, 2, 3)):
        x, w = images((1, 2, 4, 5)), draw(RNG, (2, 1, k, k))
        y = ops.conv_transpose2d(x, w, stride=s, padding="same")
        assert y.shape == (1, 1, 4 * s, 5 * s)
        back = ops.conv2d(y, w, stride=s, padding="same")
        assert back.shape == x.shape
        np.testing.assert_allclose(np.sum(back * x), np.sum(y * y), rtol=1e-12)


@layouts
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"stride": (2, 3), "padding": ((1, 0), (0, 2)), "output_padding": (1, 2)},
        {"dilation": 2, "output_padding": 1},
    ],
    ids=str,
)
def test_derivatives_of_conv_transpose2d(layout, arguments):
    check(
        lambda x, w, bias: ops.conv_transpose2d(x, w, bias, groups=2, layout=layout, **arguments),
        images((2, 4, 3, 2), layout), draw(RNG, (4, 1, 2, 3)), draw(RNG, (2,)),
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": (3, 2), "padding": (0, 2), "output_padding": (2, 0), "groups": 2},
        {"dilation": (2, 3), "output_padding": (1, 2)},
        {"stride": 4, "groups": 4},
    ],
    ids=str,
)
def test_pytorch_agrees_on_transposed_convolution(arguments):
    torch = pytest.importorskip("torch")
    x, w, bias = images((2, 4, 5, 6)), draw(RNG, (4, 3, 3, 4)), draw(RNG, (3 * arguments.get("groups", 1),))
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w, bias)]
    theirs = torch.nn.functional.conv_transpose2d(*tensors, **arguments)
    y, pull = vjp(lambda *a: ops.conv_transpose2d(*a, **arguments), x, w, bias)
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
    g = draw(RNG, y.shape)
    for a, b in zip(pull(g), torch.autograd.grad(theirs, tensors, torch.tensor(g)), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-10, atol=1e-11)


def test_single_precision_is_kept():
    check_float32(ops.conv_transpose2d, images((2, 3, 5, 5)), draw(RNG, (3, 2, 2, 2)), draw(RNG, (2,)))


def test_huge_shapes_without_values():
    x, w = Spec((10**6, 512, 1000, 1000), np.float32), Spec((512, 512, 3, 3), np.float32)
    assert eval_shape(lambda x, w: ops.conv_transpose2d(x, w, stride=2), x, w).shape == (10**6, 512, 2001, 2001)
