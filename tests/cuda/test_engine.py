"""The engine's operations on arrays of the device go to the kernels of `kernels.cuda`, forward and backward.

Under the simulator the array is that of `tests.device_array`, which refuses what CuPy's arrays refuse.
"""

import importlib

import numpy as np

from autodiff import device_put, grad, jvp, ops


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


def test_convolution_and_pooling(place, monkeypatch):
    rng = np.random.default_rng(3)
    monkeypatch.setattr("autodiff.ops.convolution.SMALL", 0)
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
