"""The engine's operations on arrays of the device go to the kernels of `kernels.cuda`, forward and backward.

Under the simulator the array is that of `tests.device_array`, which refuses what CuPy's arrays refuse.
"""

import importlib

import numpy as np
import pytest

from autodiff import device_put, grad, jvp, ops
from tests.cuda.conftest import TARGET
from tests.device_array import DeviceArray


@pytest.fixture
def place(gpu, monkeypatch):
    """Name of the device, and the names of the kernels that were called."""
    import kernels.cuda as package
    from kernels.cuda import arrays

    called = []
    for name in package.__all__:
        kernel = getattr(package, name)
        monkeypatch.setattr(package, name, lambda *a, _n=name, _k=kernel, **o: called.append(_n) or _k(*a, **o))
    if TARGET == "cuda":
        return "cuda", called
    from autodiff import device

    memory = property(lambda self: self._host)
    monkeypatch.setattr(arrays, "_fake", lambda: DeviceArray)
    monkeypatch.setattr(DeviceArray, "_ary", memory, raising=False)
    monkeypatch.setattr(DeviceArray, "__cuda_array_interface__", memory, raising=False)
    fake = device.Device(lambda x, _: DeviceArray.put(x), lambda x: isinstance(x, DeviceArray))
    monkeypatch.setitem(device.DEVICES, "fake", fake)
    return "fake", called


def compared(place, f, *args, kernels=(), orders=2):
    """Gradient, and up to the order a mixture of the second, on the device and on the host."""
    device, called = place
    there = device_put(args, device)
    every = tuple(i for i, a in enumerate(args) if a.dtype.kind == "f")
    for got, want in zip(grad(f, every)(*there), grad(f, every)(*args), strict=True):
        np.testing.assert_allclose(device_put(got, "cpu"), want, rtol=1e-9, atol=1e-12)
    assert set(kernels) <= set(called)
    if orders == 1:
        return
    along = lambda xs: jvp(grad(lambda x: f(x, *xs[1:])), (xs[0],), (xs[0],))[1]
    np.testing.assert_allclose(device_put(along(there), "cpu"), along(args), rtol=1e-9, atol=1e-12)


def test_convolution_and_pooling(place, monkeypatch):
    rng = np.random.default_rng(3)
    monkeypatch.setattr("autodiff.ops.convolution.SMALL", 0)
    x, w = rng.normal(size=(2, 2, 5, 5)), rng.normal(size=(3, 2, 3, 3))

    def f(x, w):
        y = ops.max_pool2d(np.tanh(ops.conv2d(x, w, padding=1)), 2, padding=1)
        return np.sum(ops.avg_pool2d(y, 2) ** 2)

    names = {"conv2d", "conv2d_input_gradient", "conv2d_weight_gradient", "max_pool2d", "max_pool2d_gradient"}
    compared(place, f, x, w, kernels=names | {"avg_pool2d", "avg_pool2d_gradient"}, orders=1)


def test_softmax_and_cross_entropy(place):
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(4, 3)), np.array([0, 2, 1, 0])
    names = {"softmax_cross_entropy", "softmax_cross_entropy_gradient"}
    compared(place, ops.softmax_cross_entropy, x, labels, kernels=names)
    compared(place, lambda x: np.sum(ops.softmax(x) * ops.log_softmax(x)), x, kernels={"softmax", "log_softmax"})


def test_products(place, monkeypatch):
    rng = np.random.default_rng(3)
    monkeypatch.setattr("autodiff.ops.compiled.SMALL", 0)
    monkeypatch.setattr(importlib.import_module("autodiff.ops.dense"), "LARGE", 0)
    x, w, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=2)
    compared(place, lambda x, w, b: np.sum((ops.dense(x, w, b) @ w.T) ** 2), x, w, b, kernels={"matmul"})
