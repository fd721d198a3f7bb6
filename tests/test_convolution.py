"""conv2d and conv1d: values for every argument, derivatives of all orders, dtypes, shapes, peers."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autodiff import Spec, eval_shape, grad, hvp, jvp, linear_transpose, ops, vjp
from autodiff.core import REGISTRY
from autodiff.core.errors import DifferentiationError
from autodiff.ops import convolution
from kernels import reference
from tests.convolution_checks import RNG, images, kept, layouts, variants
from tests.product_checks import check, check_float32, draw

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def compiled(monkeypatch):
    """Send even the smallest convolution to the compiled kernels."""
    monkeypatch.setattr(convolution, "SMALL", 0)


# -- values --------------------------------------------------------------------------------------------------


def test_values_by_hand():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    w = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    np.testing.assert_array_equal(ops.conv2d(x, w)[0, 0], [[27, 37], [57, 67]])
    np.testing.assert_array_equal(ops.conv2d(x, w, np.array([0.5]))[0, 0], [[27.5, 37.5], [57.5, 67.5]])
    np.testing.assert_array_equal(ops.conv2d(x, w, stride=2, padding=1)[0, 0], [[0, 11], [30, 67]])
    np.testing.assert_array_equal(ops.conv2d(x, w, dilation=2)[0, 0], [[0 * 1 + 2 * 2 + 6 * 3 + 8 * 4]])
    np.testing.assert_array_equal(ops.conv2d(x, w, padding="same")[0, 0], [[27, 37, 17], [57, 67, 29], [20, 23, 8]])
    np.testing.assert_array_equal(ops.conv2d(x, w, padding=((1, 0), (0, 0)))[0, 0][0], [0 * 3 + 1 * 4, 1 * 3 + 2 * 4])
    channels_last = ops.conv2d(x.reshape(1, 3, 3, 1), w, layout="NHWC")
    np.testing.assert_array_equal(channels_last[0, :, :, 0], [[27, 37], [57, 67]])


def test_paddings_mean_what_they_say():
    x, w = images((2, 3, 6, 7)), images((4, 3, 4, 3))
    for given, normal in (
        (2, ((2, 2), (2, 2))), ((1, 2), ((1, 1), (2, 2))), ([(0, 1), (2, 3)], ((0, 1), (2, 3))),
        ("same", ((1, 2), (1, 1))), ("valid", ((0, 0), (0, 0))), (np.int64(1), ((1, 1), (1, 1))),
    ):  # fmt: skip
        np.testing.assert_array_equal(ops.conv2d(x, w, padding=given), reference.conv2d(x, w, padding=normal))
    for s, extent in itertools.product((1, 2, 3), (5, 6, 7)):
        y = ops.conv2d(images((1, 3, extent, 7)), w, padding="same", stride=s)
        assert y.shape == (1, 4, -(-extent // s), -(-7 // s))


def test_filters_larger_than_the_image_fit_by_padding():
    y = ops.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 5, 5)), padding="same")
    np.testing.assert_array_equal(y, np.full((1, 1, 2, 2), 4.0))


@layouts
def test_depthwise_is_a_convolution_of_each_channel(layout):
    x, w = images((2, 5, 6, 7)), images((5, 1, 3, 3))
    y = ops.conv2d(x if layout == "NCHW" else np.moveaxis(x, 1, 3), w, groups=5, layout=layout)
    y = y if layout == "NCHW" else np.moveaxis(y, 3, 1)
    for c in range(5):
        np.testing.assert_allclose(y[:, c], ops.conv2d(x[:, c : c + 1], w[c : c + 1])[:, 0], rtol=1e-13)


def test_lists_and_empty_batches():
    assert ops.conv2d([[[[1.0, 2.0]]]], [[[[3.0]]]], [1.0]).tolist() == [[[[4.0, 7.0]]]]
    assert ops.conv2d(np.ones((0, 3, 5, 5)), np.ones((2, 3, 3, 3))).shape == (0, 2, 3, 3)


@pytest.mark.parametrize("arguments", [{}, {"stride": 2, "padding": 1}, {"padding": "same", "dilation": 2}], ids=str)
@pytest.mark.parametrize("layout", ["NCW", "NWC"])
def test_conv1d_is_a_correlation(layout, arguments):
    x, w, bias = images((2, 3, 9)), draw(RNG, (4, 3, 2)), draw(RNG, (4,))
    y = kept(ops.conv1d, x if layout == "NCW" else np.moveaxis(x, 1, 2), w, bias, layout=layout, **arguments)
    y = y if layout == "NCW" else np.moveaxis(y, 2, 1)
    step, d = arguments.get("stride", 1), arguments.get("dilation", 1)
    before, after = {1: (1, 1), "same": (1, 1), 0: (0, 0)}[arguments.get("padding", 0)]
    wide = np.zeros((4, 3, d + 1))
    wide[..., ::d] = w
    for n, o in itertools.product(range(2), range(4)):
        padded = np.pad(x[n], ((0, 0), (before, after)))
        want = sum(np.correlate(padded[c], wide[o, c], mode="valid") for c in range(3))[::step] + bias[o]
        np.testing.assert_allclose(y[n, o], want, rtol=1e-12, atol=1e-13)


def test_conv1d_paddings_and_groups():
    x, w = images((2, 4, 6)), draw(RNG, (6, 2, 3))
    want = reference.conv2d(x[:, :, None], w[:, :, None], padding=((0, 0), (2, 1)), groups=2)[:, :, 0]
    for padding in ((2, 1), ((2, 1),)):
        np.testing.assert_array_equal(ops.conv1d(x, w, padding=padding, groups=2), want)
    assert ops.conv1d(x, w, padding=2, groups=2).shape == (2, 6, 8)


# -- derivatives ---------------------------------------------------------------------------------------------


@variants
@layouts
@pytest.mark.parametrize("kernels", ["numpy", "compiled"])
def test_derivatives_of_conv2d(kernels, layout, arguments, request):
    if kernels == "compiled":
        request.getfixturevalue("compiled")
    w = draw(RNG, (4, 2 if "groups" in arguments else 4, 3, 2))
    check(
        lambda x, w, bias: ops.conv2d(x, w, bias, layout=layout, **arguments),
        images((2, 4, 5, 6), layout), w, draw(RNG, (4,)),
    )  # fmt: skip
    check(lambda x: ops.conv2d(x, w, layout=layout, **arguments), images((1, 4, 5, 6), layout))


@pytest.mark.parametrize("argument", [0, 1, 2])
@layouts
def test_derivatives_in_one_argument(layout, argument):
    args = [images((2, 3, 4, 5), layout), draw(RNG, (2, 3, 3, 2)), draw(RNG, (2,))]

    def f(a):
        return ops.conv2d(*args[:argument], a, *args[argument + 1 :], padding=(1, 0), layout=layout)

    check(f, args[argument])


@pytest.mark.parametrize("layout", ["NCW", "NWC"])
def test_derivatives_of_conv1d(layout):
    check(
        lambda x, w, bias: ops.conv1d(x, w, bias, stride=2, padding="same", dilation=2, groups=2, layout=layout),
        images((2, 4, 7), layout), draw(RNG, (2, 2, 3)), draw(RNG, (2,)),
    )  # fmt: skip


def test_derivatives_of_complex_convolutions():
    x, w, bias = (draw(RNG, s, complex) for s in ((1, 2, 4, 3), (3, 2, 2, 2), (3,)))
    check(lambda x, w, bias: ops.conv2d(x, w, bias, padding=1), x, w, bias)
    real = draw(RNG, (3, 2, 2, 2))
    cx, cw = vjp(ops.conv2d, x, real)[1](draw(RNG, (1, 3, 3, 2), complex))
    assert (cx.dtype, cw.dtype) == (np.complex128, np.float64)


def test_the_same_array_as_images_and_filters():
    """Derivatives flow through both: y = sum of x * x over the one place."""
    x = images((3, 2, 4, 4))
    f = lambda x: np.trace(ops.conv2d(x, x)[:, :, 0, 0])
    np.testing.assert_allclose(grad(f)(x), 2 * x, rtol=1e-12)
    np.testing.assert_allclose(grad(lambda x: np.sum(grad(f)(x) * x))(x), 4 * x, rtol=1e-12)


def test_orders_above_two_in_all_mixtures():
    """sum(conv(x, x)**2) is homogeneous of degree 4 in x: its derivatives along x itself are multiples of its value."""
    x = images((2, 2, 3, 3))
    f = lambda x: np.sum(ops.conv2d(x, x[:, :, :2, :2], stride=(1, 2), padding=((1, 0), (0, 0))) ** 2)
    value = f(x)
    modes = (lambda f: lambda x: jvp(f, (x,), (x,))[1], lambda f: lambda x: np.sum(grad(f)(x) * x))
    for first, second, third in itertools.product(modes, repeat=3):
        np.testing.assert_allclose(first(f)(x), 4 * value, rtol=1e-10)
        np.testing.assert_allclose(second(first(f))(x), 16 * value, rtol=1e-10)
        np.testing.assert_allclose(third(second(first(f)))(x), 64 * value, rtol=1e-10)


def network(params, x):
    """conv + relu + max-pool, twice, and a smooth loss."""
    w1, b1, w2, b2 = params
    y = ops.max_pool2d(ops.relu(ops.conv2d(x, w1, b1, padding="same")), 2)
    y = ops.max_pool2d(ops.relu(ops.conv2d(y, w2, b2, padding=1)), 3, stride=1, padding=1)
    return np.sum(np.tanh(y) ** 2) + np.sum(np.logaddexp(0, y))


def network_arguments(dtype=float):
    rng = np.random.default_rng(11)
    shapes = (4, 3, 3, 3), (4,), (5, 4, 3, 3), (5,)
    return tuple(0.5 * draw(rng, s, dtype) for s in shapes), draw(rng, (2, 3, 8, 8), dtype)


@pytest.mark.parametrize("kernels", ["numpy", "compiled"])
def test_hessian_vector_product_through_convolution_relu_and_pooling(kernels, request):
    if kernels == "compiled":
        request.getfixturevalue("compiled")
    params, x = network_arguments()
    rng = np.random.default_rng(12)
    ts, us = ([draw(rng, p.shape) for p in params] for _ in range(2))
    f = lambda params: network(params, x)
    h = 1e-5
    at = [grad(f)(tuple(p + s * h * t for p, t in zip(params, ts, strict=True))) for s in (1, -1, 2, -2)]
    want = [(8 * (a - b) - (c - d)) / (12 * h) for a, b, c, d in zip(*at, strict=True)]
    for product in (
        hvp(f, (params,), (tuple(ts),)),
        jvp(grad(f), (params,), (tuple(ts),))[1],
        grad(lambda p: sum(np.sum(g * t) for g, t in zip(grad(f)(p), ts, strict=True)))(params),
        grad(lambda p: jvp(f, (p,), (tuple(ts),))[1])(params),
    ):
        for got, expected in zip(product, want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
    along = [hvp(f, (params,), (tuple(d),)) for d in (ts, us)]  # the Hessian is symmetric
    left, right = (sum(np.sum(a * b) for a, b in zip(p, d, strict=True)) for p, d in zip(along, (us, ts), strict=True))
    np.testing.assert_allclose(left, right, rtol=1e-11)


def test_linear_transpose_of_a_convolution():
    x, w = images((2, 3, 5, 4)), draw(RNG, (2, 3, 3, 3))
    g = draw(RNG, (2, 2, 3, 2))
    (back,) = linear_transpose(lambda x: ops.conv2d(x, w), x)(g)
    np.testing.assert_allclose(back, reference.conv2d_input_gradient(g, w, x.shape), rtol=1e-12)
    (back,) = linear_transpose(lambda w: ops.conv2d(x, w), w)(g)
    np.testing.assert_allclose(back, reference.conv2d_weight_gradient(x, g, w.shape), rtol=1e-12)
    (back,) = linear_transpose(lambda x: ops.conv_transpose2d(x, w), g)(x)
    np.testing.assert_allclose(back, ops.conv2d(x, w), rtol=1e-12)
    with pytest.raises(DifferentiationError, match="conv2d_bias"):
        linear_transpose(lambda x: ops.conv2d(x, w, np.ones(2)), x)


def test_constants_cost_nothing(monkeypatch):
    """Where the images carry no derivative, as in a first layer, their gradient is not computed."""
    x, w, bias = images((1, 2, 4, 4)), draw(RNG, (3, 2, 2, 2)), draw(RNG, (3,))

    def fail(*_, **__):
        raise AssertionError("the gradient by the images was computed")

    monkeypatch.setattr(convolution, "_input_gradient", fail)
    assert [g.shape for g in grad(lambda w, b: np.sum(ops.conv2d(x, w, b)), (0, 1))(w, bias)] == [w.shape, bias.shape]
    with pytest.raises(AssertionError):
        grad(lambda x: np.sum(ops.conv2d(x, w)))(x)


# -- dtypes and dispatch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernels", ["numpy", "compiled"])
def test_single_precision_is_kept(kernels, request):
    if kernels == "compiled":
        request.getfixturevalue("compiled")
    args = images((2, 3, 5, 5)), draw(RNG, (4, 3, 3, 3)), draw(RNG, (4,))
    check_float32(lambda x, w, b: ops.conv2d(x, w, b, padding="same"), *args)
    check_float32(
        lambda x, w, b: ops.conv2d(x, w, b, padding="same", layout="NHWC"), images((2, 3, 5, 5), "NHWC"), *args[1:]
    )
    check_float32(ops.conv1d, images((2, 3, 6)), draw(RNG, (2, 3, 3)), draw(RNG, (2,)))


def test_a_float32_gradient_of_a_large_bias_is_accurate():
    g = np.random.default_rng(0).normal(1.0, 1.0, (64, 2, 90, 90)).astype(np.float32)
    x, w = np.zeros((64, 1, 90, 90), np.float32), np.zeros((2, 1, 1, 1), np.float32)
    for layout in ("NCHW", "NHWC"):
        move = (lambda a: a) if layout == "NCHW" else (lambda a: np.moveaxis(a, 1, 3))
        f = lambda b, m=move, layout=layout: np.sum(ops.conv2d(m(x), w, b, layout=layout) * m(g))
        want = g.sum((0, 2, 3), dtype=float)
        np.testing.assert_allclose(grad(f)(np.zeros(2, np.float32)), want, rtol=2e-6)


@pytest.mark.parametrize("mixed", [("f4", "f8", "f4"), ("f8", "f4", "f4"), ("f4", "f4", "f8"), ("f2", "f4", "f2")])
@pytest.mark.parametrize("small", [0, 10**9])
def test_mixed_dtypes_are_promoted_as_in_numpy(mixed, small, monkeypatch):
    monkeypatch.setattr(convolution, "SMALL", small)
    args = [
        a.astype(d)
        for a, d in zip((images((2, 3, 5, 5)), draw(RNG, (4, 3, 2, 2)), draw(RNG, (4,))), mixed, strict=True)
    ]
    y, pull = vjp(ops.conv2d, *args)
    assert y.dtype == np.result_type(*args)
    tolerance = {"f4": 1e-5, "f8": 1e-12}[np.dtype(y.dtype).str[1:]]
    np.testing.assert_allclose(y, reference.conv2d(*[a.astype(float) for a in args]), rtol=tolerance, atol=tolerance)
    assert [c.dtype.str[1:] for c in pull(y)] == list(mixed)
    t = jvp(ops.conv2d, args, args)[1]
    assert t.dtype == y.dtype


def test_compiled_kernels_are_used_for_what_they_can():
    """Large problems in float32 and float64; everything else goes to NumPy."""
    from kernels import cpu

    large, small = convolution.SMALL, convolution.SMALL - 1
    for dtype in (np.float32, np.float64):
        assert convolution._kernels(np.dtype(dtype), large) is cpu
        assert convolution._kernels(np.dtype(dtype), small) is reference
    for dtype in (np.float16, np.complex64, np.complex128, np.longdouble, ">f4"):
        if np.dtype(dtype) != np.float64:
            assert convolution._kernels(np.dtype(dtype), large) is reference


def test_large_convolutions_agree_with_numpy():
    rng = np.random.default_rng(3)
    x, w, b = (rng.integers(-2, 3, s).astype(np.float32) for s in ((4, 8, 14, 15), (16, 4, 3, 3), (16,)))
    f = lambda x, w, b: ops.conv2d(x, w, b, padding=((1, 1), (0, 2)), stride=(1, 2), groups=2)
    results = []
    for small in (0, 10**12):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(convolution, "SMALL", small)
            y, pull = vjp(f, x, w, b)
            results.append((y, *pull(np.sign(y)), jvp(f, (x, w, b), (x, w, b))[1]))
    for a, want in zip(*results, strict=True):
        np.testing.assert_array_equal(a, want)


def test_small_convolutions_do_not_load_the_compiler():
    program = (
        "import sys, numpy as np; from autodiff import grad, ops\n"
        "x = np.ones((1, 1, 5, 5))\n"
        "grad(lambda w: np.sum(ops.conv2d(x, w) ** 2))(np.ones((2, 1, 3, 3)))\n"
        "assert 'numba' not in sys.modules\n"
        "ops.conv2d(np.ones((8, 8, 16, 16)), np.ones((8, 8, 3, 3)))\n"
        "assert 'numba' in sys.modules\n"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert outcome.returncode == 0, outcome.stderr


# -- shapes --------------------------------------------------------------------------------------------------


@variants
@layouts
def test_shapes_without_values(layout, arguments):
    x = Spec((5, 4, 31, 33) if layout == "NCHW" else (5, 31, 33, 4), np.float32)
    w, bias = Spec((6, 4 // arguments.get("groups", 1), 3, 4), np.float32), Spec((6,), np.float32)
    f = lambda x, w, b: ops.conv2d(x, w, b, layout=layout, **arguments)
    zeros = [np.zeros(s.shape, s.dtype) for s in (x, w, bias)]
    y = f(*zeros)
    assert eval_shape(f, x, w, bias) == Spec(y.shape, y.dtype)
    assert eval_shape(lambda x, w: f(x, w, None), x, w) == Spec(y.shape, y.dtype)
    found = eval_shape(grad(lambda *a: np.sum(f(*a)), (0, 1, 2)), x, w, bias)
    assert found == (x, w, bias)


def test_huge_shapes_without_values():
    x, w = Spec((10**6, 512, 1000, 1000), np.float32), Spec((512, 512, 3, 3), np.float32)
    assert eval_shape(lambda x, w: ops.conv2d(x, w, padding="same", stride=2), x, w).shape == (10**6, 512, 500, 500)
    sequences, filters = Spec((10**6, 8, 10**6)), Spec((4, 8, 5))
    assert eval_shape(ops.conv1d, sequences, filters).shape == (10**6, 4, 10**6 - 4)


def test_operations_state_the_shapes_of_their_values():
    for name in ("conv2d", "conv2d_bias", "conv2d_input_gradient", "conv2d_weight_gradient"):
        op = REGISTRY[name]
        for sample in op.samples(np.random.default_rng(0)):
            y = op(*sample.args, **sample.params)
            assert op.shape(*sample.args, **sample.params) == Spec(y.shape, y.dtype)


# -- peers ---------------------------------------------------------------------------------------------------


@variants
def test_jax_agrees(arguments):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    x, w = images((2, 4, 9, 8)), draw(RNG, (6, 4 // arguments.get("groups", 1), 3, 2))
    padding = arguments.get("padding", 0)
    if not isinstance(padding, str):
        padding = [tuple(p) if np.ndim(p) else (int(p),) * 2 for p in (padding if np.ndim(padding) else (padding,) * 2)]
    pairs = {k: tuple(np.broadcast_to(arguments.get(k, 1), 2).tolist()) for k in ("stride", "dilation")}

    def ours(x, w):
        return np.sum(np.sin(ops.conv2d(x, w, **arguments)))

    def theirs(x, w):
        y = jax.lax.conv_general_dilated(
            x, w, pairs["stride"], padding.upper() if isinstance(padding, str) else padding,
            rhs_dilation=pairs["dilation"], feature_group_count=arguments.get("groups", 1),
        )  # fmt: skip
        return jax.numpy.sum(jax.numpy.sin(y))

    tx, tw = draw(RNG, x.shape), draw(RNG, w.shape)
    close = lambda a, b: np.testing.assert_allclose(a, np.asarray(b), rtol=1e-9, atol=1e-9)
    close(ours(x, w), theirs(x, w))
    for a, b in zip(grad(ours, (0, 1))(x, w), jax.grad(theirs, (0, 1))(x, w), strict=True):
        close(a, b)
    close(jvp(ours, (x, w), (tx, tw))[1], jax.jvp(theirs, (x, w), (tx, tw))[1])
    ours_hvp = jvp(grad(ours, (0, 1)), (x, w), (tx, tw))[1]
    for a, b in zip(ours_hvp, jax.jvp(jax.grad(theirs, (0, 1)), (x, w), (tx, tw))[1], strict=True):
        close(a, b)


def test_pytorch_agrees_on_the_hessian_vector_product():
    torch = pytest.importorskip("torch")
    tnf = torch.nn.functional
    params, x = network_arguments()
    rng = np.random.default_rng(13)
    ts = tuple(draw(rng, p.shape) for p in params)
    tensors, directions = [torch.tensor(p, requires_grad=True) for p in params], [torch.tensor(t) for t in ts]
    y = tnf.max_pool2d(tnf.relu(tnf.conv2d(torch.tensor(x), tensors[0], tensors[1], padding="same")), 2)
    y = tnf.max_pool2d(tnf.relu(tnf.conv2d(y, tensors[2], tensors[3], padding=1)), 3, stride=1, padding=1)
    loss = torch.sum(torch.tanh(y) ** 2) + torch.sum(tnf.softplus(y))
    gradient = torch.autograd.grad(loss, tensors, create_graph=True)
    product = torch.autograd.grad(sum(torch.sum(g * t) for g, t in zip(gradient, directions, strict=True)), tensors)
    f = lambda params: network(params, x)
    np.testing.assert_allclose(f(params), loss.detach().numpy(), rtol=1e-12)
    for a, b in zip(grad(f)(params), gradient, strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-9, atol=1e-11)
    for a, b in zip(hvp(f, (params,), (ts,)), product, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-9, atol=1e-10)
