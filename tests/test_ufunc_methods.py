"""Methods of ufuncs, and sliding windows: NumPy's values, derivatives of both modes and orders, maps."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from autodiff import check_grads, grad, jvp, vjp, vmap

X = np.random.default_rng(4).normal(size=(3, 4))
P = np.abs(X) + 0.5
REDUCE = [np.subtract, np.divide, np.hypot, np.logaddexp, np.logaddexp2, np.add, np.multiply, np.maximum, np.fmin]
ACCUMULATE = [u for u in REDUCE if u is not np.fmin]
named = lambda functions: pytest.mark.parametrize("ufunc", functions, ids=lambda u: u.__name__)


def check(f, x, order=2):
    value = vjp(f, x)[0]
    assert value.dtype == f(x).dtype
    np.testing.assert_allclose(value, f(x), rtol=1e-14)
    assert np.shape(value) == np.shape(f(x))
    check_grads(f, (x,), order=order)
    single = x.astype(np.float32)
    assert jvp(f, (single,), (single,))[1].dtype == np.float32
    np.testing.assert_allclose(vmap(f)(np.stack([x, 2 * x])), np.stack([f(x), f(2 * x)]), rtol=1e-13)


@named(REDUCE)
@pytest.mark.parametrize("kwargs", [{}, {"axis": -1, "keepdims": True}, {"axis": 1, "initial": 1.5}], ids=str)
def test_reduce(ufunc, kwargs):
    check(lambda x: ufunc.reduce(x, **kwargs), P)


@pytest.mark.parametrize("ufunc", [np.hypot, np.logaddexp2], ids=lambda u: u.__name__)
def test_reduce_over_axes_and_masks(ufunc):
    for kwargs in ({"axis": None}, {"axis": (0, 1), "keepdims": True}, {"where": X > -1}, {"axis": (), "initial": 0.5}):
        check(lambda x, kwargs=kwargs: ufunc.reduce(x, **kwargs), P)


@named(ACCUMULATE)
def test_accumulate(ufunc):
    check(ufunc.accumulate, P)
    check(lambda x: ufunc.accumulate(x, axis=-1), P)


@named(REDUCE)
def test_reduceat(ufunc):
    check(lambda x: ufunc.reduceat(x, [0, 2, 1]), P)
    check(lambda x: ufunc.reduceat(x, np.array([0, 3, 1, 1]), axis=-1), P)


def test_empty_and_constant():
    empty = np.zeros((0, 3))
    for f in (
        np.hypot.reduce,
        lambda x: np.subtract.reduce(x, axis=0, initial=2.0),
        np.hypot.accumulate,
        lambda x: np.add.reduceat(x, np.zeros(0, int), axis=1),
    ):
        np.testing.assert_array_equal(jvp(f, (empty,), (empty,))[0], f(empty))
    assert grad(lambda x: np.logical_xor.reduce(x > 0) * x[0])(np.array([1.0, -1.0, 2.0])).tolist() == [0, 0, 0]
    assert grad(lambda x: np.logical_xor.reduce(x > 0) * x[0])(np.array([1.0, -1.0])).tolist() == [1, 0]
    assert grad(np.subtract.reduce)(np.array(2.0)) == 1.0
    assert grad(np.subtract.reduce)(np.arange(3.0)).tolist() == [1, -1, -1]


def test_out():
    def f(x):
        y = np.zeros_like(x, shape=(2, 4))
        np.add.reduceat(x, [0, 2], out=y)
        return y

    np.testing.assert_allclose(grad(lambda x: np.sum(f(x) ** 2))(X), 2 * np.repeat(f(X), [2, 1], axis=0))


@pytest.mark.parametrize(
    ("window", "axis"), [(2, 0), ((2, 3), None), ((1,), (-1,)), ((2, 2), (1, 1)), ((2, 2), (1, 0))], ids=str
)
def test_sliding_windows(window, axis):
    check(lambda x: sliding_window_view(x, window, axis), X, order=1)
