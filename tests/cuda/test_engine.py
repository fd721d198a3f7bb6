"""The engine's operations on arrays of the device go to the kernels of `kernels.cuda`, forward and backward.

Under the simulator the array is that of `tests.device_array`, which refuses what CuPy's arrays refuse.
"""

import importlib

import numpy as np
import pytest

from autodiff import device_put, grad, jvp, ops, vjp


def mixtures(f, x, t):
    """The four mixtures of the second order along `t`."""
    along = lambda f: lambda x: jvp(f, (x,), (t,))[1]
    slope = lambda x: np.sum(grad(f)(x) * t)
    return along(grad(f))(x), grad(along(f))(x), grad(slope)(x), along(along(f))(x)


def compared(place, f, *args, kernels=(), also=()):
    """Gradients by all arguments and every mixture of the second order by the first, there and here.

    `kernels` must have run for the gradients, and `also` for the second order.
    """
    device, called = place
    there = device_put(args, device)
    every = tuple(i for i, a in enumerate(args) if a.dtype.kind == "f")
    for got, want in zip(grad(f, every)(*there), grad(f, every)(*args), strict=True):
        np.testing.assert_allclose(device_put(got, "cpu"), want, rtol=1e-9, atol=1e-12)
    assert set(kernels) <= set(called)
    called.clear()
    second = [mixtures(lambda x, xs=xs: f(x, *xs[1:]), xs[0], xs[0]) for xs in (there, args)]
    for got, want in zip(*second, strict=True):
        np.testing.assert_allclose(device_put(got, "cpu"), want, rtol=1e-9, atol=1e-12)
    assert set(also) <= set(called)


def test_convolution_and_pooling(place):
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(1, 1, 4, 3)), rng.normal(size=(2, 1, 2, 2))

    def f(x, w):
        y = ops.max_pool2d(np.tanh(ops.conv2d(x, w)), 2, stride=(2, 1), padding=1)
        return np.sum(ops.avg_pool2d(y, 2, padding=1) ** 2)

    convolution = {"conv2d", "conv2d_input_gradient", "conv2d_weight_gradient"}
    pooling = {"max_pool2d", "max_pool2d_gradient", "avg_pool2d", "avg_pool2d_gradient"}
    compared(place, f, x, w, kernels=convolution | pooling, also=pooling | {"conv2d", "max_pool2d_gather"})


def test_softmax_and_cross_entropy(place):
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(4, 3)), np.array([0, 2, 1, 0])
    names = {"softmax_cross_entropy", "softmax_cross_entropy_gradient"}
    compared(place, ops.softmax_cross_entropy, x, labels, kernels=names, also=names)
    compared(place, lambda x: np.sum(ops.softmax(x) * ops.log_softmax(x)), x, kernels={"softmax", "log_softmax"})


def test_products(place, monkeypatch):
    rng = np.random.default_rng(3)
    monkeypatch.setattr("autodiff.ops.compiled.SMALL", 0)
    monkeypatch.setattr(importlib.import_module("autodiff.ops.dense"), "LARGE", 0)
    x, w, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=2)
    f = lambda x, w, b: np.sum((ops.dense(x, w, b) @ w.T) ** 2)
    compared(place, f, x, w, b, kernels={"matmul"}, also={"matmul"})


ACTIVATIONS = {"sigmoid": "sigmoid", "softplus": "softplus", "gelu": "erf", "silu": "sigmoid"}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(place, monkeypatch, name):
    monkeypatch.setattr("autodiff.ops.compiled.LAUNCH", 0)
    x = np.random.default_rng(3).normal(size=(2, 3))
    compared(place, lambda x: np.sum(getattr(ops, name)(x) ** 2), x, kernels={ACTIVATIONS[name]})


def test_relu(place, monkeypatch):
    monkeypatch.setattr("autodiff.ops.compiled.LAUNCH", 0)
    x = np.array([[-1.0, 0.5, 2.0], [0.0, -0.3, 1.5]])
    compared(place, lambda x: np.sum(ops.relu(x) ** 3), x, kernels={"relu", "relu_gate"}, also={"relu", "relu_gate"})


def test_small_arrays_are_left_to_the_library(place):
    there = device_put(np.array([-1.0, 2.0]), place[0])
    np.testing.assert_array_equal(device_put(grad(lambda x: np.sum(ops.relu(x)))(there), "cpu"), [0, 1])
    assert place[1] == []


def test_an_activation_in_float16(place):
    x = np.linspace(-2, 2, 9).astype(np.float16)
    found = device_put(ops.gelu(device_put(x, place[0])), "cpu")
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, ops.gelu(x), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(("shape", "axis"), [((5, 2), 1), ((2, 2, 2, 3), 1), ((2, 2, 3, 2), 3)])
def test_batch_normalisation(place, shape, axis):
    rng = np.random.default_rng(3)
    x, weight = rng.normal(size=shape), rng.normal(size=shape)
    scale, shift = rng.uniform(0.5, 1.5, 2), rng.normal(size=2)
    f = lambda x, scale, shift, weight: np.sum(ops.batch_norm(x, scale, shift, axis=axis) ** 2 * weight)
    names = {"batch_norm_statistics", "batch_norm_apply", "batch_norm_sums", "batch_norm_gradient"}
    compared(place, f, x, scale, shift, weight, kernels=names, also=names)
    there = device_put((x, scale, shift), place[0])
    use = lambda x, m, v: ops.batch_norm(x, mean=m, variance=v, axis=axis)
    np.testing.assert_allclose(device_put(use(there[0], there[2], there[1]), "cpu"), use(x, shift, scale), rtol=1e-12)


EMBEDDINGS = {
    "x[i]": lambda table, i: table[i],
    "x[i, :]": lambda table, i: table[i, :],
    "take": lambda table, i: np.take(table, i, axis=0),
}


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings(place, name):
    rng = np.random.default_rng(3)
    table, index = rng.normal(size=(5, 2)), np.array([[0, 3, 3], [-1, 0, 3]])
    f = lambda table, index: np.sum(EMBEDDINGS[name](table, index) ** 3)
    names = {"embedding_gather", "embedding_scatter_add"}
    compared(place, f, table, index, kernels=names, also=names)
    with pytest.raises(IndexError, match=r"embedding_gather: index 5 at position 1 is out of range for 5 rows"):
        grad(f)(*device_put((table, np.array([4, 5])), place[0]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize(
    ("shape", "index"),
    [
        ((4, 3), np.array([1, 3, 1, 1])),
        ((4, 3), (slice(1, None), np.array([0, 0, 2]))),
        ((4, 3), (np.array([[0, 1], [0, 1]]), np.array([2, 2]))),
        ((4,), (np.array([2, 2, -1]),)),
        ((4, 2, 2), (np.array([3, 0, 3]), 1)),
        ((4, 0), np.array([1, 1])),
        ((4, 3), np.zeros((0, 2), int)),
    ],
)
def test_sums_at_repeated_positions(place, dtype, shape, index):
    """By the kernel, in one order, whatever the index and the dtype; the library's own would add by atomics."""
    device, called = place
    x = np.zeros(shape, dtype)
    there, places = device_put(x, device), device_put(index, device)
    value = np.asarray(np.random.default_rng(3).normal(size=x[index].shape), dtype)
    value = value * (1 + 2j) if np.iscomplexobj(x) else value
    value = value.astype(dtype)
    found = vjp(lambda x: x[places], there)[1](device_put(value, device))[0]
    want = vjp(lambda x: x[index], x)[1](value)[0]
    assert found.dtype == want.dtype == dtype
    np.testing.assert_allclose(device_put(found, "cpu"), want, rtol=2e-3 if dtype == np.float16 else 1e-6)
    assert "embedding_scatter_add" in called or not value.size


def test_transposed_convolution(place):
    rng = np.random.default_rng(3)
    x, w, b = rng.normal(size=(1, 2, 2, 2)), rng.normal(size=(2, 1, 2, 3)), rng.normal(size=1)
    f = lambda x, w, b: np.sum(ops.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1) ** 2)
    names = {"conv2d", "conv2d_input_gradient", "conv2d_weight_gradient"}
    compared(place, f, x, w, b, kernels=names, also={"conv2d", "conv2d_input_gradient"})
