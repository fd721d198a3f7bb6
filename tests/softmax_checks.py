"""What the tests of softmax and of its cross-entropy share: the mathematics in long double, kernels or plain NumPy."""

import importlib

import numpy as np

MODULE = importlib.import_module("autodiff.ops.softmax")
TOLERANCE = {"float16": 4e-3, "float32": 2e-6, "float64": 1e-14, "longdouble": 1e-14}


def exact_log_softmax(x, axis=-1):
    z = np.asarray(x, np.longdouble)
    z = z - z.max(axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis, keepdims=True))


def exact_softmax(x, axis=-1):
    return np.exp(exact_log_softmax(x, axis))


def exact_losses(x, labels, axis=-1):
    logs = np.moveaxis(exact_log_softmax(x, axis), axis, -1)
    return -np.take_along_axis(logs, labels[..., None], -1)[..., 0]


def close(actual, expected, dtype, scale=1):
    assert actual.dtype == dtype
    assert np.shape(actual) == np.shape(expected)
    tolerance = scale * TOLERANCE[np.dtype(dtype).name if np.dtype(dtype).char != "g" else "longdouble"]
    np.testing.assert_allclose(np.asarray(actual, np.longdouble), expected, rtol=tolerance, atol=tolerance)


def take_path(name, monkeypatch):
    """Send everything that they can do to the compiled kernels, or everything to plain NumPy, whatever the size."""
    compiled = name == "compiled"
    monkeypatch.setattr(MODULE, "_compiled", lambda x: compiled and x.dtype.char in "fd" and x.dtype.isnative)


def watch_kernels(monkeypatch, *names):
    """Return a list to which each of the kernels will add its name whenever it is called."""
    kernels, used = importlib.import_module("kernels.cpu"), []
    for name in names:
        function = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *args, f=function, name=name: used.append(name) or f(*args))
    return used


def sizes_and_kernels(enabled):
    """Rows and dtypes of arguments, and whether their kernels are used once `enabled`."""
    return (4, "float64", enabled), (100, "float32", True), (100, "float16", False), (100, "longdouble", False)
