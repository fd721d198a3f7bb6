"""Sequences between two values, unwrapping, sets, functions of lines, and the Bessel function of Kaiser's window."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff.numpy as anp
from autodiff import check_grads, eval_shape, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from autodiff.core.errors import ShapeOnlyError
from tests.product_checks import check, check_float32, draw

RNG = np.random.default_rng(51)
A, B = RNG.uniform(0.5, 2.0, (2, 3)), RNG.uniform(0.5, 2.0, 3)
V = np.array([0.4, 2.0, 1.1, 3.0, 0.9])


def same(f, *args):
    """Value and dtype of the traced call are NumPy's."""
    y = vjp(f, *args)[0]
    want = f(*args)
    np.testing.assert_array_equal(y, want)
    assert np.asarray(y).dtype == np.asarray(want).dtype


# -- linspace and its kin --------------------------------------------------------------------------------------


@pytest.mark.parametrize("num", [0, 1, 2, 5])
@pytest.mark.parametrize("endpoint", [True, False])
def test_linspace(num, endpoint):
    f = lambda a, b: np.linspace(a, b, num, endpoint)
    check(f, np.float64(1.0), np.float64(2.5))
    check(f, A, B)
    check(lambda a, b: np.linspace(a, b, num, endpoint, axis=1), A, B)
    check(lambda a: np.linspace(a, [3.0, 4.0, 5.0], num, endpoint=endpoint, axis=-1), B)
    check(lambda b: np.linspace(0, b, num, endpoint), B)
    check(f, A + 1j, B - 2j)
    same(f, A, B)
    check_float32(f, A, B)
    if num > 1:
        check(lambda a, b: np.linspace(a, b, num, endpoint, retstep=True)[1], A, B)


def test_linspace_of_one_value_has_its_derivative():
    """NumPy's special case for a step of 0 does not hide it."""
    np.testing.assert_allclose(jacfwd(lambda b: np.linspace(1.0, b, 3))(1.0), [0.0, 0.5, 1.0])
    np.testing.assert_allclose(jacrev(lambda a: np.linspace(a, a, 3))(1.0), [1.0, 1.0, 1.0])


def test_linspace_dtype_and_python_numbers():
    y, t = jvp(lambda a: np.linspace(a, 2, 3, dtype=np.float32), (1.0,), (1.0,))
    assert y.dtype == t.dtype == np.float32
    same(lambda a: np.linspace(a, 9.7, 4, dtype=int), np.float64(1.2))
    same(lambda a: np.linspace(a, 1, 4), np.float32(0.3))
    with pytest.raises(ValueError, match=r"np\.linspace: num must not be negative, but is -1"):
        grad(lambda a: np.sum(np.linspace(a, 1.0, -1)))(0.0)


@pytest.mark.parametrize("endpoint", [True, False])
def test_logspace(endpoint):
    check(lambda a, b: np.logspace(a, b, 4, endpoint), A, B)
    check(lambda a, b, base: np.logspace(a, b, 4, endpoint, base), A, B, np.float64(2.0))
    check(lambda a, b, base: np.logspace(a, b, 4, base=base, axis=1), A, B, B + 1)
    check(lambda base: np.logspace(0.0, 1.0, 3, base=base), B + 1)
    y = jvp(lambda a: np.logspace(a, 1.0, 4, dtype=np.float32), (0.5,), (1.0,))
    assert y[0].dtype == y[1].dtype == np.float32


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("num", [0, 1, 2, 5])
def test_geomspace(endpoint, num):
    f = lambda a, b: np.geomspace(a, b, num, endpoint)
    check(f, A, B)
    check(f, -A, -B)
    check(f, A + 0.3j, B - 0.5j)
    check(lambda a, b: np.geomspace(a, b, num, endpoint, axis=1), A, B)


def test_geomspace_with_zero():
    with pytest.raises(ValueError, match=r"np\.geomspace: stop \(float64\[3\]\) must not be 0"):
        grad(lambda b: np.sum(np.geomspace(1.0, b, 3)))(np.array([1.0, 0.0, 2.0]))


def test_sequences_of_batches():
    for f in (np.linspace, np.logspace, np.geomspace):
        g = lambda a, b, f=f: f(a, b, 4)
        np.testing.assert_allclose(vmap(g)(A[0], B), np.stack([g(a, b) for a, b in zip(A[0], B, strict=True)]))


# -- unwrap ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("keywords", [{}, {"period": 3.0}, {"discont": 4.0}, {"discont": 1.0, "period": 2.0}])
def test_unwrap(axis, keywords):
    check(lambda p: np.unwrap(p, axis=axis, **keywords), RNG.uniform(-9, 9, (4, 5)))
    check_float32(lambda p: np.unwrap(p, axis=axis, **keywords), RNG.uniform(-9, 9, (4, 5)))


def test_unwrap_moves_values_by_constants():
    p = RNG.uniform(-9, 9, 6)
    np.testing.assert_array_equal(jacrev(np.unwrap)(p), np.eye(6))
    turns = np.round((np.unwrap(p) - p) / (2 * np.pi))
    np.testing.assert_allclose(jacfwd(lambda t: anp.unwrap(p, period=t))(2 * np.pi), turns, atol=1e-14)
    np.testing.assert_allclose(np.unwrap([0.0, np.pi]), vjp(np.unwrap, np.array([0.0, np.pi]))[0])
    x = RNG.uniform(-9, 9, (3, 6))
    np.testing.assert_allclose(vmap(np.unwrap)(x), np.unwrap(x), rtol=1e-14)


# -- sets ------------------------------------------------------------------------------------------------------

X, Y = np.array([3.0, 1.0, 2.0, 1.0]), np.array([2.0, 5.0, 3.0, 5.0])


@pytest.mark.parametrize("f", [np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d])
def test_sets(f):
    same(f, X, Y)
    same(lambda x: f(x, Y), X)
    same(lambda y: f(X, y), Y)
    same(lambda x, y: f(x, list(range(3)) + [0.5 * v for v in (1, 9)]), X, Y)
    same(f, np.zeros(0), Y)
    if f is not np.union1d:
        same(lambda x, y: f(x, y, assume_unique=True), X[:3], Y[:3])


def test_values_of_both_sets_are_entries_of_the_first():
    gx, gy = grad(lambda x, y: np.sum(np.union1d(x, y) ** 2), argnums=(0, 1))(X, Y)
    np.testing.assert_array_equal(gx, [6, 2, 4, 0])
    np.testing.assert_array_equal(gy, [0, 10, 0, 0])
    gx, gy = grad(lambda x, y: np.sum(np.intersect1d(x, y) ** 2), argnums=(0, 1))(X, Y)
    np.testing.assert_array_equal(gx, [6, 0, 4, 0])
    np.testing.assert_array_equal(gy, 0)
    gx, gy = grad(lambda x, y: np.sum(np.setxor1d(x, y) ** 2), argnums=(0, 1))(X, Y)
    np.testing.assert_array_equal(gx, [0, 2, 0, 0])
    np.testing.assert_array_equal(gy, [0, 10, 0, 0])
    values, i, j = vjp(lambda x, y: np.intersect1d(x, y, return_indices=True), X, Y)[0]
    for got, want in zip((values, i, j), np.intersect1d(X, Y, return_indices=True), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", ["unique_all", "unique_counts", "unique_inverse", "unique_values"])
def test_different_values(name):
    f = getattr(np, name)
    for x in (X, np.stack([X, Y]), np.zeros(0)):
        got, want = vjp(f, x)[0], f(x)
        assert type(got) is type(want)
        for a, b in zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]:
            np.testing.assert_array_equal(a, b)
    g = grad(lambda x: np.sum((f(x) if name == "unique_values" else f(x).values) ** 2))(X)
    np.testing.assert_array_equal(g, [6, 2, 4, 0])


def test_sort_complex():
    z = np.array([1 + 1j, 0.5 - 2j, 1.2 - 1j, 3.0])
    check(np.sort_complex, z)
    check(np.sort_complex, V)
    assert jvp(np.sort_complex, (V.astype(np.float32),), (V.astype(np.float32),))[1].dtype == np.complex128
    with pytest.raises(ShapeOnlyError, match=r"np\.unique"):
        eval_shape(np.union1d, X, Y)


# -- functions of lines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_apply_along_axis(axis):
    x = RNG.normal(size=(2, 3, 4))
    check(lambda x: np.apply_along_axis(np.sum, axis, x), x)
    check(lambda x: np.apply_along_axis(lambda v: v[::-1] * v[0], axis, x), x)
    check(lambda x: np.apply_along_axis(np.outer, axis, x, [1.0, 2.0]), x)
    check(lambda x: np.apply_along_axis(lambda v, k=1.0: k * np.stack([v, v]), axis, x, k=3.0), x)
    check(lambda v: np.apply_along_axis(np.cumsum, 0, v), V)
    same(lambda x: np.apply_along_axis(len, axis, x), x)


def test_apply_along_axis_of_no_lines():
    with pytest.raises(ValueError, match=r"np\.apply_along_axis: there is no line along axis 1 of float64\[0,2\]"):
        grad(lambda x: np.sum(np.apply_along_axis(np.sum, 1, x)))(np.zeros((0, 2)))


def test_apply_over_axes():
    x = RNG.normal(size=(2, 3, 4))
    for axes in (0, [0, 2], (-1, 0)):
        check(lambda x, a=axes: np.apply_over_axes(np.mean, x, a), x)
    check(lambda x: np.apply_over_axes(lambda a, i: np.sum(a, i, keepdims=True), x, [0, 1]), x)
    with pytest.raises(ValueError, match=r"np\.apply_over_axes: func returned float64\[\] for an array of 3 axes"):
        grad(lambda x: np.sum(np.apply_over_axes(lambda a, i: np.sum(a), x, [0])))(x)


def test_ix_and_einsum_path():
    for i in range(3):
        check(lambda a, b, c, i=i: np.ix_(a, b, c)[i], V, B, A[0])
    same(lambda x: np.ones((2, 3))[np.ix_([True, False], [0, 2])] * x[:2], B)
    with pytest.raises(ValueError, match=r"np\.ix_: the arguments must be vectors, not float64\[2,3\]"):
        grad(lambda x: np.sum(np.ix_(x)[0]))(A)
    paths = []
    grad(lambda a: paths.append(np.einsum_path("ij,jk,kl", a, A.T, A, optimize="optimal")) or np.sum(a))(A)
    assert paths == [np.einsum_path("ij,jk,kl", A, A.T, A, optimize="optimal")]


# -- Bessel's function -----------------------------------------------------------------------------------------


def test_i0():
    special = pytest.importorskip("scipy.special")
    x = np.array([-2.0, -0.3, 0.0, 1e-8, 0.7, 9.0])
    same(np.i0, x)
    np.testing.assert_allclose(grad(lambda x: np.sum(np.i0(x)))(x), special.i1(x), rtol=1e-15)
    np.testing.assert_allclose(np.diag(hessian(lambda x: np.sum(np.i0(x)))(x)), special.ivp(0, x, 2), rtol=1e-14)
    check_grads(np.i0, (x,), order=3)
    check_float32(np.i0, x)
    with pytest.raises(TypeError, match=r"np\.i0: it is defined for real numbers, not for complex128\[2\]"):
        grad(lambda z: np.abs(np.sum(np.i0(z))))(draw(RNG, (2,), complex))


@pytest.mark.parametrize("length", [2, 5, 6])
def test_kaiser_by_its_shape(length):
    window = lambda beta: anp.kaiser(length, beta)
    np.testing.assert_allclose(vjp(window, 3.0)[0], np.kaiser(length, 3.0), rtol=1e-15)
    check_grads(window, (3.0,), order=3)


def test_kaiser_of_one_point_and_of_none():
    for length in (0, 1):
        assert grad(lambda b, n=length: np.sum(anp.kaiser(n, b)) + b)(3.0) == 1.0
