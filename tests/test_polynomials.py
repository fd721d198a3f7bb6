"""Polynomials by their coefficients: values, both modes to second order, multiple roots, errors."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff.numpy as anp
from autodiff import check_grads, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from autodiff.core.errors import BatchingError
from tests.product_checks import check, draw

RNG = np.random.default_rng(41)
P, Q = np.array([2.0, -1.0, 0.5, 3.0]), np.array([1.5, 0.3])
X, Y = np.array([-1.0, 0.2, 0.7, 1.9, 2.5]), RNG.normal(size=5)


@pytest.mark.parametrize("f", [np.polyadd, np.polysub, np.polymul, lambda p, q: np.concatenate(np.polydiv(p, q))])
def test_arithmetic(f):
    check(f, P, Q)
    check(f, Q, P)
    check(f, P, P[::-1])
    check(f, draw(RNG, (4,), complex), draw(RNG, (2,), complex))
    check(lambda p: f(p, [1.5, 0.3]), P)
    check(lambda q: f(P, q), Q)
    check(f, np.float64(2.0), Q)
    check(lambda q: f(np.poly1d(P), q), Q)


def test_division_without_remainder_keeps_one_coefficient():
    product = np.polymul(P, Q)
    quotient, rest = vjp(np.polydiv, product, Q)[0]
    np.testing.assert_allclose(quotient, P)
    assert rest.shape == np.polydiv(product, Q)[1].shape
    np.testing.assert_allclose(rest, np.polydiv(product, Q)[1], atol=1e-15)


@pytest.mark.parametrize("m", [0, 1, 2, 3, 4])
def test_derivative_and_integral(m):
    check(lambda p: np.polyder(p, m), P)
    check(lambda p: np.polyint(p, m), P)
    check(lambda p, k: np.polyint(p, m, k), P, np.arange(max(m, 1)) + 0.5)
    check(lambda k: anp.polyint(P, m, k=k), np.float64(0.3))  # NumPy's own asks the coefficients alone
    check(lambda p: np.polyint(np.polyder(p, m), m, [1.0] * max(m, 1)), P)


@pytest.mark.parametrize("keywords", [{}, {"w": np.array([1.0, 2.0, 0.5, 1.0, 3.0])}, {"rcond": 1e-10}])
def test_fit(keywords):
    for degree in (0, 1, 2):
        check(lambda x, y, d=degree: np.polyfit(x, y, d, **keywords), X, Y)
    check(lambda y: np.polyfit(X, y, 2, **keywords), RNG.normal(size=(5, 3)))
    check(lambda x, y: np.polyfit(x, y, 1, **keywords), X, RNG.normal(size=(5, 2)))
    check(lambda y: np.polyfit(list(X), y, 1, **keywords), Y)


def test_fit_by_its_weights_and_what_else_it_returns():
    w = np.array([1.0, 2.0, 0.5, 1.0, 3.0])
    check(lambda w: np.polyfit(X, Y, 2, w=w), w)
    for i in range(4):
        if i != 2:  # the rank is an integer
            check(lambda x, y, i=i: np.polyfit(x, y, 2, full=True)[i], X, Y)
    for cov in (True, "unscaled"):
        check(lambda x, y, c=cov: np.polyfit(x, y, 1, cov=c)[1], X, Y)
    check(lambda y: np.polyfit(X, y, 1, cov=True)[1], RNG.normal(size=(5, 2)))
    full = vjp(lambda y: np.polyfit(X, y, 2, full=True), Y)[0]
    assert full[2] == 3
    assert full[4] == np.polyfit(X, Y, 2, full=True)[4]


def test_fit_that_is_exact_gives_back_the_coefficients():
    jacobian = jacrev(lambda c: np.polyfit(X, np.polyval(c, X), 3))(P)
    np.testing.assert_allclose(jacobian, np.eye(4), atol=1e-10)


def test_fit_of_too_few_points_warns_as_numpys():
    with pytest.warns(np.exceptions.RankWarning, match="poorly conditioned"):
        grad(lambda y: np.sum(np.polyfit(X[:2], y, 3)))(Y[:2])


# -- roots ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "p",
    [
        [1.0, -6.0, 11.0, -6.5],
        [1.0, 0.0, 4.0],
        [2.0, 1.0],
        [-1.0, 2.0, 0.3, 0.1, 5.0],
        [1.0, -1.0, 0.0],
        [2.0, 3.0, 1.0, 0.0],
    ],
)
def test_roots(p):
    p = np.array(p)
    if np.iscomplexobj(np.roots(p)) or p[-1]:
        check(np.roots, p)
    want = -np.stack([np.vander(r, len(p)) for r in [np.roots(p)]])[0] / np.polyval(np.polyder(p), np.roots(p))[:, None]
    for jacobian in (jacfwd, jacrev):
        if not np.iscomplexobj(want):
            np.testing.assert_allclose(jacobian(np.roots)(p), want, rtol=1e-10)
    symmetric = lambda p: np.real(np.sum(np.roots(p) ** 2))  # Vieta: (p1 / p0)**2 - 2 p2 / p0
    np.testing.assert_allclose(
        grad(symmetric)(p),
        grad(lambda p: (p[1] / p[0]) ** 2 - 2 * (p[2] if len(p) > 2 else 0.0) / p[0])(p),
        atol=1e-9,
    )
    check_grads(symmetric, (p,), order=3, atol=1e-4, rtol=1e-4)


def test_roots_of_complex_coefficients_and_single_precision():
    check(np.roots, draw(RNG, (4,), complex))
    p = np.array([1.0, -6.0, 11.0, -6.5], np.float32)
    y, t = jvp(np.roots, (p,), (p,))
    assert y.dtype == t.dtype == np.roots(p).dtype


def test_a_root_at_zero_moves():
    """It is not a part of the polynomial that can be left out, although NumPy leaves it out to find the others."""
    np.testing.assert_allclose(jacfwd(np.roots)(np.array([1.0, -2.0, 0.0])), [[-2.0, -1.0, -0.5], [0, 0, 0.5]])


def test_leading_zeros_move_roots_in_from_infinity_alone():
    np.testing.assert_allclose(jacrev(np.roots)(np.array([0.0, 1.0, -2.0])), [[-4.0, -2.0, -1.0]])


def test_multiple_roots_have_no_derivative():
    with np.errstate(all="ignore"):
        t = jvp(np.roots, (np.array([1.0, 0.0, 0.0]),), (np.array([0.0, 0.0, 1.0]),))[1]
        assert not np.any(np.isfinite(t))


def test_polynomials_without_roots():
    assert grad(lambda p: np.sum(np.roots(p)) + p[0])(np.array([3.0])) == 1.0
    assert grad(lambda p: np.sum(np.roots(p)) + p[0])(np.zeros(2))[0] == 1.0


def test_poly():
    check(np.poly, X[:3])
    check(np.poly, np.array([1.0, 1.0, 1.0]))
    check(np.poly, draw(RNG, (3,), complex))
    check(np.poly, RNG.normal(size=(3, 3)) + np.diag([1.0, 4.0, 9.0]))
    check(lambda x: np.poly(np.stack([x + 1j * x, x - 1j * x])), np.float64(0.7))
    assert grad(lambda x: np.poly(x) + np.sum(x))(np.zeros(0)).shape == (0,)
    turn = np.array([[1.0, -2.0], [2.0, 1.0]])  # a pair of conjugates: real coefficients
    check(np.poly, turn)
    np.testing.assert_allclose(jacrev(np.poly)(turn)[2], [[1.0, -2.0], [2.0, 1.0]], atol=1e-13)  # the determinant's


@pytest.mark.parametrize("a", [np.eye(3), np.diag([1.0, 1.0, 2.0]) + np.eye(3, k=1), np.zeros((2, 2)), np.ones((3, 3))])
def test_characteristic_polynomial_of_repeated_eigenvalues(a):
    """They move like roots of the change, but the coefficients are polynomials of the entries."""
    n = len(a)
    cofactors = jacrev(lambda a: np.linalg.det(a) * (-1) ** n)(a)
    np.testing.assert_allclose(jacrev(np.poly)(a)[n], cofactors, atol=1e-14)
    np.testing.assert_allclose(jacfwd(np.poly)(a)[1], -np.eye(n), atol=1e-14)
    square = lambda a: (np.trace(a) ** 2 - np.trace(a @ a)) / 2
    np.testing.assert_allclose(jacrev(np.poly)(a)[2], grad(square)(a), atol=1e-14)
    np.testing.assert_allclose(hessian(lambda a: np.poly(a)[2])(a), hessian(square)(a), atol=1e-14)


def test_characteristic_polynomial_of_complex_matrices():
    a = draw(RNG, (3, 3), complex)
    check(np.poly, a)
    check(np.poly, a + np.conj(a.T))


def test_coefficients_and_roots_are_inverse():
    r = np.array([0.5, 1.5, -2.0])
    np.testing.assert_allclose(jacfwd(lambda r: np.sort(np.roots(np.poly(r))))(r), np.eye(3)[[2, 0, 1]], atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda p: np.polyadd(p[None], p), ValueError, r"np\.polyadd: the coefficients must have one axis.*\[1,4\]"),
        (lambda p: np.polyder(p, -1), ValueError, r"np\.polyder: m, how often, must not be negative, but is -1"),
        (lambda p: np.polyint(p, 3, [1.0, 2.0]), ValueError, r"np\.polyint: k must be one constant .* or 3"),
        (lambda p: np.poly(np.ones((2, 3)) * p[0]), ValueError, r"np\.poly: the roots .* or be a square matrix"),
        (lambda p: np.polyfit(p, p, -1), ValueError, r"np\.polyfit: deg must not be negative"),
        (lambda p: np.polyfit(p[None], p, 1), TypeError, r"np\.polyfit: x must be a vector that is not empty"),
        (lambda p: np.polyfit(X, p, 1), TypeError, r"np\.polyfit: y must have one row for each entry of x"),
        (lambda p: np.polyfit(p, p, 1, w=[1.0]), TypeError, r"np\.polyfit: w must be a weight for each entry of x"),
        (lambda p: np.polyfit(p, p, 3, cov=True)[1], ValueError, r"np\.polyfit: cov needs more points"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        grad(lambda p: np.sum(call(p)))(P)


def test_batches():
    p = RNG.normal(size=(3, 4))
    for f in (lambda p: np.polymul(p, Q), np.polyder, np.polyint, lambda p: np.polyadd(Q, p), np.poly):
        np.testing.assert_allclose(vmap(f)(p), np.stack([f(a) for a in p]), rtol=1e-13)
    fit = lambda y: np.polyfit(X, y, 2)
    y = RNG.normal(size=(3, 5))
    np.testing.assert_allclose(vmap(fit)(y), np.stack([fit(a) for a in y]), rtol=1e-12)
    np.testing.assert_allclose(vmap(np.roots)(p), np.stack([np.roots(a) + 0j for a in p]), rtol=1e-12)
    with pytest.raises(BatchingError, match=r"np\.roots: the numbers of roots differ"):
        vmap(np.roots)(np.array([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]]))
    with pytest.raises(BatchingError, match=r"np\.polydiv: the lengths of the remainder differ"):
        vmap(lambda u: np.polydiv(u, [1.0, 0.0, 0.0]))(np.array([[1.0, 0.0, -1.0, 1.0], [1.0, 0.0, 0.0, 0.0]]))
