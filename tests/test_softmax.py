"""softmax and log_softmax: values, all orders, both paths, shapes, peers, errors."""

import math

import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad, jvp, vjp
from autodiff.core import Spec
from autodiff.ops import log_softmax, softmax
from tests.softmax_checks import (
    MODULE,
    close,
    exact_log_softmax,
    exact_softmax,
    sizes_and_kernels,
    take_path,
    watch_kernels,
)


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def path(request, monkeypatch):
    """Every test runs on the kernels and on plain NumPy."""
    take_path(request.param, monkeypatch)
    return request.param


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", ">f4", ">f8"])
@pytest.mark.parametrize("shape", [(5,), (1,), (3, 4), (2, 3, 4), (2, 1, 3, 2), (20, 30)], ids=str)
def test_values_and_derivatives_along_every_axis(shape, dtype, rng):
    x, t, ct = (rng.standard_normal((3, *shape)) * 2).astype(dtype)
    native = np.dtype(dtype).newbyteorder("=")
    for axis in range(-len(shape), len(shape)):
        logs = exact_log_softmax(x, axis)
        p = np.exp(logs)
        close(softmax(x, axis), p, native)
        close(log_softmax(x, axis=axis), logs, native, scale=4)
        y, pullback = vjp(lambda x, axis=axis: softmax(x, axis), x)
        close(y, p, native)
        close(pullback(ct.astype(native))[0].astype(native), p * (ct - (p * ct).sum(axis, keepdims=True)), native, 4)
        _, dy = jvp(lambda x, axis=axis: softmax(x, axis), (x,), (t,))
        close(dy, p * (t - (p * t).sum(axis, keepdims=True)), native, 4)
        _, pullback = vjp(lambda x, axis=axis: log_softmax(x, axis), x)
        close(pullback(ct.astype(native))[0].astype(native), ct - p * ct.sum(axis, keepdims=True, dtype="g"), native, 8)
        _, dy = jvp(lambda x, axis=axis: log_softmax(x, axis), (x,), (t,))
        close(dy, t - (p * t).sum(axis, keepdims=True), native, 4)


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_all_orders_in_both_modes(function, rng):
    x = rng.standard_normal((2, 3))
    weights = rng.standard_normal((2, 3))
    check_grads(lambda x: weights * function(x), (x,), order=3)
    check_grads(lambda x: function(x, 0) ** 2, (x,), order=2)


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_empty_arrays_and_lists(function):
    for shape in ((0, 3), (3, 0), (0,), (2, 0, 4)):
        x = np.empty(shape, np.float32)
        assert function(x).shape == shape
        assert function(x).dtype == np.float32
        assert grad(lambda x: np.sum(function(x)))(x).shape == shape
    np.testing.assert_allclose(np.exp(log_softmax([[1.0, 2.0]])), softmax([[1.0, 2.0]]), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_logits(dtype):
    x = np.array([[1e4, -1e4, 1e4], [-1e4, -1e4, -1e4 + 1]], dtype)
    e = 2 + math.e
    p = np.array([[0.5, 0, 0.5], [1 / e, 1 / e, math.e / e]])
    with np.errstate(divide="ignore"):
        logs = np.array([[-math.log(2), -2e4 - math.log(2), -math.log(2)], np.log(p[1])])
    close(softmax(x), p, dtype)
    close(log_softmax(x), logs, dtype)


def test_numbers_that_are_ruled_out():
    """A logit of -inf is a class of probability 0, with derivative 0."""
    x = np.array([[0.0, -np.inf, 0.0]])
    np.testing.assert_array_equal(softmax(x), [[0.5, 0, 0.5]])
    np.testing.assert_allclose(log_softmax(x), [[-math.log(2), -np.inf, -math.log(2)]])
    (g,) = vjp(softmax, x)[1](np.array([[1.0, 5.0, 0.0]]))
    np.testing.assert_allclose(g, [[0.25, 0, -0.25]], rtol=1e-15)


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_errors_of_softmax(function):
    name = function.__name__
    for x in (np.ones((2, 3), int), np.ones(3) * 1j, [1, 2], np.array([True])):
        with pytest.raises(TypeError, match=rf"^{name}: expected real floating numbers, got .*convert with \.astype"):
            function(x)
    with pytest.raises(np.exceptions.AxisError, match=rf"^{name}: axis 2 is out of bounds for array of dimension 2"):
        function(np.ones((2, 3)), 2)
    with pytest.raises(np.exceptions.AxisError, match="dimension 0"):
        function(np.float64(1))
    with pytest.raises(TypeError, match="NoneType"):
        function(np.ones(3), None)
    with pytest.raises(TypeError, match=rf"^{name}: expected real floating"):
        eval_shape(function, Spec((2, 3), np.int64))


# -- kernels, shapes, peers ----------------------------------------------------------------------------------


def test_kernels_are_used_where_they_pay_and_agree(path, monkeypatch, rng):
    monkeypatch.undo()
    names = ["softmax", "log_softmax"]
    used = watch_kernels(monkeypatch, *names)
    monkeypatch.setattr(MODULE, "kernels_enabled", lambda: path == "compiled")
    for rows, dtype, expected in sizes_and_kernels(path == "compiled"):
        used.clear()
        x = rng.standard_normal((rows, 5)).astype(dtype)
        close(softmax(x), exact_softmax(x), dtype)
        close(log_softmax(x), exact_log_softmax(x), dtype, 4)
        assert used == (names if expected else [])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_shapes_without_values(dtype):
    dtype = np.dtype(dtype)
    for function in (softmax, log_softmax):
        assert eval_shape(lambda x, f=function: f(x, 1), Spec((5, 3, 2), dtype)) == Spec((5, 3, 2), dtype)
        assert eval_shape(grad(lambda x, f=function: np.sum(f(x))), Spec((5, 3), dtype)) == Spec((5, 3), dtype)


def test_against_torch(rng):
    torch = pytest.importorskip("torch")
    for shape in ((6, 4), (2, 5, 3, 4)):
        x = rng.standard_normal(shape)
        z = torch.tensor(x)
        np.testing.assert_allclose(softmax(x, 1), torch.softmax(z, 1).numpy(), rtol=1e-12)
        np.testing.assert_allclose(log_softmax(x, 1), torch.log_softmax(z, 1).numpy(), rtol=1e-12)


def test_against_jax(rng):
    jax = pytest.importorskip("jax")
    x, t = rng.standard_normal((2, 6, 4)).astype(np.float32)
    for ours, theirs in ((softmax, jax.nn.softmax), (log_softmax, jax.nn.log_softmax)):
        y, dy = jax.jvp(lambda x, f=theirs: f(x, 0), (x,), (t,))
        found = jvp(lambda x, f=ours: f(x, 0), (x,), (t,))
        np.testing.assert_allclose(found[0], y, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(found[1], dy, rtol=2e-4, atol=1e-6)
