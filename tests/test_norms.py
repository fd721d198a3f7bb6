"""Norms: NumPy's values, derivatives, and what holds at 0."""

import numpy as np
import pytest

from autodiff import check_grads, grad, hessian, hvp, jvp, vjp, vmap

X = np.random.default_rng(0).normal(size=(2, 3, 4))
M, V = X[0], X[0, 0]

CASES = [
    *[(V, {"ord": p}) for p in (None, 1, 2, np.inf, -np.inf, 3, 1.5, 0.5, -1, 0)],
    *[(M, {"ord": p}) for p in (None, "fro", 1, -1, 2, -2, "nuc", np.inf, -np.inf)],
    *[(M, {"ord": p, "axis": 0, "keepdims": True}) for p in (None, 1, 3, np.inf)],
    *[(X, {"ord": p, "axis": (0, 2)}) for p in (None, "fro", 1, 2, "nuc", -np.inf)],
    *[(X, {"ord": p, "axis": (2, 0), "keepdims": True}) for p in (1, -2, "nuc")],
    (X, {}),
    (X, {"keepdims": True}),
    (X, {"axis": -1}),
]


@pytest.mark.parametrize(("x", "kwargs"), CASES, ids=str)
def test_value_and_derivatives(x, kwargs):
    def f(x):
        return np.linalg.norm(x, **kwargs)

    value = vjp(f, x)[0]
    np.testing.assert_allclose(value, f(x), rtol=1e-15)
    assert np.shape(value) == np.shape(f(x))
    check_grads(f, (x,), order=2)


@pytest.mark.parametrize(
    "kwargs", [{}, {"axis": (0, 1)}, {"ord": 3, "axis": 1}, {"axis": (0, 1, 2), "keepdims": True}], ids=str
)
def test_vector_norm(kwargs):
    def f(x):
        return np.linalg.vector_norm(x, **kwargs)

    np.testing.assert_allclose(vjp(f, X)[0], f(X), rtol=1e-15)
    assert vjp(f, X)[0].shape == np.shape(f(X))
    check_grads(f, (X,), order=2)


def test_matrix_norm():
    np.testing.assert_allclose(vjp(np.linalg.matrix_norm, X)[0], np.linalg.matrix_norm(X))
    check_grads(lambda x: np.linalg.matrix_norm(x, ord=1), (X,), order=2)
    assert vjp(lambda x: np.linalg.matrix_norm(x, ord=None), X)[0].shape == (2,)


@pytest.mark.parametrize("p", [None, 2, 3, 1.5, 1, 0.5, np.inf])
def test_derivative_at_zero_is_zero(p):
    zero = np.zeros(3)
    f = lambda x: np.linalg.norm(x, ord=p)
    expected = np.full(3, 0.0)
    np.testing.assert_array_equal(grad(f)(zero), expected)
    assert jvp(f, (zero,), (np.ones(3),))[1] == 0.0
    np.testing.assert_array_equal(grad(lambda x: f(x) ** 2)(zero), expected)


def test_one_zero_row_spoils_no_other():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(grad(lambda x: np.sum(np.linalg.norm(x, axis=1)))(x), [[0.6, 0.8], [0.0, 0.0]])


@pytest.mark.parametrize("p", [2, 3])
def test_second_derivative_at_zero_is_no_wrong_number(p):
    h = hessian(lambda x: np.linalg.norm(x, ord=p) ** 2)(np.zeros(2))
    assert np.all(np.isnan(h) | (h == 2 * np.eye(2)))
    assert np.isnan(np.diagonal(h)).all()


@pytest.mark.parametrize("p", [-1, -0.5])
def test_negative_orders_have_a_kink_where_an_entry_is_zero(p):
    def f(x):
        return np.sum(np.linalg.norm(x, ord=p, axis=1))

    x = np.array([[0.0, 1.0], [0.0, 0.0], [2.0, -3.0]])
    with np.errstate(divide="ignore"):
        slope = grad(f)(x)
        np.testing.assert_array_equal(slope[:2], np.zeros((2, 2)))
        np.testing.assert_allclose(slope[2], grad(lambda v: np.linalg.norm(v, ord=p))(x[2]), rtol=1e-15)
        np.testing.assert_array_equal(jvp(f, (x,), (np.ones_like(x),))[1], np.sum(slope))
        assert np.isnan(hessian(lambda v: np.linalg.norm(v, ord=p))(x[0])[0, 0])


def test_norm_of_a_number():
    np.testing.assert_array_equal(vmap(np.linalg.norm)(V), np.abs(V))
    np.testing.assert_array_equal(vmap(grad(np.linalg.norm))(V), np.sign(V))
    z = np.array(3.0 - 4.0j)
    assert vjp(np.linalg.norm, z)[0] == 5.0
    np.testing.assert_allclose(grad(np.linalg.norm)(z), 0.6 + 0.8j)


def test_second_derivative_elsewhere():
    v = np.array([1.0, -2.0, 0.5, 0.0])
    np.testing.assert_allclose(hvp(lambda x: np.linalg.norm(x) ** 2, (V,), (v,)), 2 * v, atol=1e-14)


def test_complex():
    z = V + 1j * V[::-1]
    check_grads(np.linalg.norm, (z,), order=2)
    np.testing.assert_allclose(grad(np.linalg.norm)(z), np.conj(z) / np.linalg.norm(z))
    check_grads(lambda z: np.linalg.norm(z, ord=3), (z,), order=2)


def test_float32_stays():
    x = M.astype(np.float32)
    for kwargs in ({}, {"ord": 1}, {"axis": 1}, {"axis": 1, "ord": 3}):
        value, pullback = vjp(lambda x, kwargs=kwargs: np.linalg.norm(x, **kwargs), x)
        assert value.dtype == np.float32
        assert pullback(np.ones_like(value))[0].dtype == np.float32


def test_refusals():
    with pytest.raises(ValueError, match="invalid norm order"):
        grad(lambda x: np.linalg.norm(x, ord=3))(M)
    with pytest.raises(ValueError, match="matrix norm"):
        grad(lambda x: np.linalg.norm(x, ord="fro"))(V)
    with pytest.raises(ValueError, match="improper number of axes"):
        grad(lambda x: np.linalg.norm(x, ord=1))(X)
