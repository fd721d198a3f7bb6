"""Diagonals, triangles, traces, matrix powers and chains, polynomials."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import grad, jvp, vjp
from autodiff.core.errors import DifferentiationError
from tests.product_checks import check, check_float32, draw

RNG = np.random.default_rng(11)


@pytest.mark.parametrize(
    ("shape", "offset", "axis1", "axis2"),
    [((3, 3), 0, 0, 1), ((2, 4), 1, 0, 1), ((2, 4), -1, 0, 1), ((2, 3, 4), 1, 2, 0),
     ((2, 3, 4), 0, -1, -2), ((3, 2), 5, 0, 1),
     ((3, 2), -5, 0, 1), ((0, 2), 0, 0, 1), ((2, 0, 3), 0, 0, 2)],
)  # fmt: skip
def test_diagonal_and_trace(shape, offset, axis1, axis2):
    x = RNG.normal(size=shape)
    check(lambda x: np.diagonal(x, offset, axis1, axis2), x)
    check(lambda x: x.diagonal(offset=offset, axis1=axis1, axis2=axis2), x, order=1)
    check(lambda x: np.trace(x, offset, axis1, axis2), x)
    check(lambda x: x.trace(offset, axis1, axis2), x, order=1)
    check(lambda x: np.linalg.diagonal(x, offset=offset), x, order=1)
    check(lambda x: np.linalg.trace(x, offset=offset), x, order=1)


def test_diagonal_errors_are_numpy_s():
    with pytest.raises(ValueError, match="axis1 and axis2 cannot be the same"):
        grad(lambda x: np.sum(np.diagonal(x, 0, 1, 1)))(np.ones((2, 2)))
    with pytest.raises(ValueError, match="1- or 2-d"):
        grad(lambda x: np.sum(np.diag(x)))(np.ones((2, 2, 2)))
    with pytest.raises(ValueError, match="2-dimensional"):
        grad(lambda x: np.sum(np.linalg.matrix_transpose(x)))(np.ones(2))


@pytest.mark.parametrize("k", [-4, -1, 0, 2])
def test_diag_both_ways(k):
    check(lambda x: np.diag(x, k), RNG.normal(size=3))
    check(lambda x: np.diag(x, k=k), RNG.normal(size=(3, 4)))
    check(lambda x: np.diagflat(x, k), RNG.normal(size=(2, 2)))
    check(lambda x: np.diag(x, k), np.ones(0))


@pytest.mark.parametrize("k", [-2, -1, 0, 1, 5])
@pytest.mark.parametrize("f", [np.triu, np.tril])
def test_triangles(f, k):
    for shape in ((3, 3), (2, 4), (2, 3, 2), (3,), (0, 2)):
        check(lambda x: f(x, k), RNG.normal(size=shape))


def test_trace_dtype():
    x = np.ones((2, 2), np.float32)
    y, pull = vjp(lambda x: np.trace(x, dtype=np.float64), x)
    assert y.dtype == np.float64
    assert pull(y)[0].dtype == np.float32


@pytest.mark.parametrize(
    "f", [np.triu, np.diag, np.trace, lambda x: np.linalg.matrix_power(x, 3), lambda x: np.diag(x[0])]
)
def test_float32_stays_float32(f):
    check_float32(f, RNG.normal(size=(3, 3)))


def test_what_is_left_out_contributes_nothing():
    """sqrt has an infinite slope at 0; a triangle, a diagonal and a trace that leave the zeros out do not see it."""
    lower = np.tril(np.ones((2, 2)))
    for f, want in ((np.tril, lower / 2), (np.trace, np.eye(2) / 2), (np.diagonal, np.eye(2) / 2)):
        x = lower if f is np.tril else np.eye(2)
        np.testing.assert_array_equal(grad(lambda x, f=f: np.sum(f(np.sqrt(x))))(x), want)


def test_matrix_transpose():
    check(np.linalg.matrix_transpose, RNG.normal(size=(2, 3, 4)))


def test_indices_from_traced_arrays():
    x = RNG.normal(size=(3, 3))
    check(lambda x: x[np.triu_indices_from(x, 1)], x)
    check(lambda x: x[np.tril_indices_from(x)], x)
    check(lambda x: x[np.diag_indices_from(x)], x)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 8])
def test_matrix_power(n):
    check(lambda x: np.linalg.matrix_power(x, n), RNG.normal(size=(2, 2)) / 2)
    check(lambda x: np.linalg.matrix_power(x, n), RNG.normal(size=(3, 2, 2)) / 2, order=1)
    if n:
        check(lambda x: np.linalg.matrix_power(x, n), draw(RNG, (2, 2), complex) / 2, order=1)


def test_matrix_power_errors():
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        grad(lambda x: np.sum(np.linalg.matrix_power(x, 2)))(np.ones((2, 3)))
    with pytest.raises(TypeError):
        grad(lambda x: np.sum(np.linalg.matrix_power(x, 1.5)))(np.eye(2))


@pytest.mark.parametrize(
    "shapes",
    [((2, 3), (3, 4)), ((2, 3), (3, 4), (4, 2)), ((3,), (3, 4), (4, 2)), ((3,), (3, 4), (4,)),
     ((2, 3), (3, 4), (4, 1), (1, 5)), ((3,), (3,)),
     ((10, 2), (2, 7), (7, 1), (1, 3), (3,))],
)  # fmt: skip
def test_multi_dot(shapes):
    check(lambda *xs: np.linalg.multi_dot(xs), *(RNG.normal(size=s) for s in shapes))


def test_multi_dot_takes_the_cheapest_order():
    """(1000, 2)(2, 1000)(1000, 2): the inner product first."""
    products = []
    a, b, c = np.ones((1000, 2)), np.ones((2, 1000)), np.ones((1000, 2))
    jvp(lambda b: products.append((b @ c).shape) or np.linalg.multi_dot([a, b, c]), (b,), (b,))
    assert products == [(2, 2)]
    with pytest.raises(ValueError, match="two arrays"):
        grad(lambda b: np.sum(np.linalg.multi_dot([b])))(b)
    with pytest.raises(np.linalg.LinAlgError, match="array 1 is 3-dimensional"):
        grad(lambda b: np.sum(np.linalg.multi_dot([b, np.ones((2, 2, 2)), b])))(b)


@pytest.mark.parametrize("increasing", [False, True])
@pytest.mark.parametrize("n", [None, 0, 1, 2, 5])
def test_vander(n, increasing):
    check(lambda x: np.vander(x, n, increasing=increasing), RNG.normal(size=3))
    check(lambda x: np.vander(x, n, increasing), np.array([0.0, -1.0, 2.0]), order=1)
    check(lambda x: np.vander(x, n, increasing), draw(RNG, (2,), complex), order=1)


def test_vander_follows_numpy_s_dtype():
    check_float32(np.vander, RNG.normal(size=3), result=np.float64)
    with pytest.raises(ValueError, match="one-dimensional"):
        grad(lambda x: np.sum(np.vander(x)))(np.ones((2, 2)))


@pytest.mark.parametrize("shape", [(), (3,), (2, 2), (0,)])
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_polyval(shape, degree):
    p, x = RNG.normal(size=degree + 1), np.asarray(RNG.normal(size=shape))[()]
    check(np.polyval, p, x)
    check(lambda p: np.polyval(p, x), p)
    check(lambda x: np.polyval(p, x), x)
    check(lambda x: np.polyval([1, 2, 3], x), x)


def test_polyval_of_traced_numbers_in_a_list():
    value, slope = jvp(lambda a: np.polyval([a, 2.0, a * a], np.array([1.0, 2.0]) * a), (3.0,), (1.0,))
    np.testing.assert_allclose(value, [9 * 3 + 2 * 3 + 9, 36 * 3 + 2 * 6 + 9])
    np.testing.assert_allclose(slope, [27 + 2 + 6, 108 + 4 + 6])


def test_unsupported_keywords_raise():
    with pytest.raises((TypeError, DifferentiationError)):
        grad(lambda x: np.trace(x, out=np.empty(())))(np.eye(2))
