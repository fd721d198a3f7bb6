"""Checks of the rows on linear algebra of autodiff/CONVENTIONS.md; tests/test_linalg_degenerate.py goes deeper."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import grad, hessian, jacfwd, jacrev, jvp
from tests.convention_rows import has, row, slopes

L = np.linalg
ONE, EYE = np.outer([1.0, 2.0, 3.0], [1.0, 1.0]), np.eye(3)
TURN = L.qr(np.array([[1.0, 2, 3], [0, 1, 4], [5, 6, 0]]))[0]
TWO = TURN @ np.diag([1.0, 1.0, 4.0]) @ TURN.T
TWO = (TWO + TWO.T) / 2  # with a repeated eigenvalue


def along(f, a, t):
    """Derivative along a direction, in both modes, which must agree with differences."""
    forward = jvp(f, (a,), (t,))[1]
    h = 1e-5
    np.testing.assert_allclose(forward, (f(a + h * t) - f(a - h * t)) / (2 * h), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(forward, np.sum(np.real(grad(f)(a) * t)), rtol=1e-11, atol=1e-12)
    return forward


def undefined(f, a):
    """Whether both modes give NaN."""
    return np.isnan(grad(f)(a)).any() and np.isnan(
        jvp(f, (a,), (np.cos(np.arange(9.0))[: a.size].reshape(a.shape),))[1]
    )


@row("`det` of a singular matrix")
def determinant():
    cofactors = [[1, -1], [-1, 1]]
    has(L.det, np.ones((2, 2)), cofactors)
    second = hessian(L.det)(np.zeros((2, 2)))
    assert (second[0, 0, 1, 1], second[0, 1, 1, 0]) == (1, -1)
    third = jacfwd(jacfwd(jacfwd(L.det)))
    np.testing.assert_allclose(third(np.diag([1.0, 0.0, 0.0]))[0, 0, 1, 1, 2, 2], 1)
    assert np.isnan(third(np.zeros((3, 3)))[0, 0, 1, 1, 2, 2])


@row("`slogdet` of a singular matrix")
def log_determinant():
    f = lambda a: L.slogdet(a)[1]
    assert f(np.ones((2, 2))) == -np.inf
    assert np.isnan(slopes(f, np.ones((2, 2)))).all()


@row("`cholesky`, `eigh`, `eigvalsh`, `pinv(hermitian=True)`")
def triangles():
    a = TURN @ np.diag([1.0, 2.0, 4.0]) @ TURN.T
    a = (a + a.T) / 2
    for f in (L.cholesky, L.eigvalsh, lambda a: L.eigh(a)[0], lambda a: L.pinv(a, hermitian=True)):
        g = grad(lambda a, f=f: np.sum(f(a) ** 2))(a)
        np.testing.assert_array_equal(g, np.tril(g))
    g = grad(lambda a: np.sum(L.eigvalsh(a) ** 2))(a)
    np.testing.assert_allclose(g, np.tril(4 * a) - np.diag(2 * np.diag(a)), rtol=1e-12)


@row("`eigh`, `eigvalsh`: repeated eigenvalues")
def repeated_eigenvalues():
    t = EYE + np.ones((3, 3))
    for f in (lambda a: np.sum(L.eigvalsh(a) ** 3), lambda a: np.sum(np.exp(L.eigh(a)[0]))):
        along(f, TWO, t)
    along(lambda a: L.eigvalsh(a)[-1], TWO, t)
    along(lambda a: np.sum(np.sqrt(L.eigvalsh(a))), EYE, t)


@row("`eigh`, `eig`, `svd`: vectors of repeated values")
def vectors_of_repeated_values():
    root = lambda a: np.sum((L.eigh(a)[1] * np.sqrt(L.eigh(a)[0])) @ L.eigh(a)[1].T)
    assert undefined(root, TWO)
    assert undefined(lambda a: np.sum(L.svd(a)[0] ** 3), TWO)
    assert undefined(lambda a: np.sum(np.real(L.eig(a)[1] ** 3)), TWO)
    assert np.isnan(hessian(lambda a: np.sum(L.eigvalsh(a) ** 2))(TWO)).any()
    top = lambda a: np.sum(np.outer(L.eigh(a)[1][:, -1], L.eigh(a)[1][:, -1]) * np.arange(9.0).reshape(3, 3))
    along(top, TWO, EYE + np.ones((3, 3)))
    for f in (lambda a: L.eigvalsh(a)[-1], lambda a: L.svdvals(a)[0]):
        assert np.isfinite(hessian(f)(TWO)).all()


@row("`eigh`, `eig`, `svd`: what counts as repeated")
def gaps():
    t = np.array([[0.0, 1.0], [1.0, 0.0]])
    vector = lambda a: L.eigh(a)[1][0, 0] ** 2
    for gap, apart in ((1e-11, True), (1e-16, False)):
        a = np.diag([1.0, 1.0 + gap])
        assert np.isfinite(jvp(vector, (a,), (t,))[1]) == apart


@row("`eigh`, `svd` of complex matrices: phases")
def phases():
    a = TURN @ np.diag([1.0, 2.0, 4.0]) @ TURN.T + 1j * (TURN - TURN.T)
    a = (a + a.conj().T) / 2
    t = np.array([[0, 1j, 1], [-1j, 1, 0], [1, 0, 0]])
    for uplo, at in (("L", 0), ("U", -1)):
        vectors, change = jvp(lambda a, u=uplo: L.eigh(a, u)[1], (a,), (t,))
        np.testing.assert_allclose(np.imag([vectors[at], change[at]]), 0, atol=1e-14)
    along(lambda a: np.sum(np.abs(L.eigh(a)[1][:, 0]) ** 4), a, t)


@row("`eig`: lengths and phases")
def lengths():
    a = np.array([[1.0, 2, 0], [0.5, 3, 1j], [0, 1, 6]])
    vectors, change = jvp(lambda a: L.eig(a)[1], (a,), (np.ones((3, 3)) + 0j,))
    np.testing.assert_allclose(np.sum(np.real(np.conj(vectors) * change), axis=0), 0, atol=1e-14)
    largest = np.argmax(np.abs(vectors), axis=0)
    ratio = change[largest, range(3)] / vectors[largest, range(3)]
    np.testing.assert_allclose(np.imag(ratio), 0, atol=1e-14)


@row("`eig` of a defective matrix")
def defective():
    with np.errstate(all="ignore"):
        g = grad(lambda a: np.real(L.eigvals(a)[0]))(np.array([[1.0, 1.0], [0.0, 1.0]]))
    assert not np.all(np.isfinite(g)) or np.max(np.abs(g)) > 1e7


@row('`svd`, `svdvals`, `norm(ord=2, -2, "nuc")`: a singular value of 0')
def zero_singular_values():
    for f in (lambda a: L.norm(a, "nuc"), lambda a: np.sum(L.svdvals(a)), lambda a: np.sum(L.svd(a)[1])):
        np.testing.assert_allclose(grad(f)(ONE), ONE / L.norm(ONE), rtol=1e-12, atol=1e-15)
        assert np.isnan(hessian(f)(ONE)).any()
    for order in (2, -2, "nuc"):
        assert not grad(lambda a, order=order: L.norm(a, order))(np.zeros((3, 2))).any()


@row("`norm(ord=2)` where the largest singular values are equal")
def equal_singular_values():
    np.testing.assert_allclose(slopes(lambda a: L.norm(a, 2), EYE), EYE / 3, atol=1e-15)


@row("`svd(full_matrices=True)` of rectangular matrices")
def completed_vectors():
    a, t = np.array([[1.0, 0], [0, 2], [0, 0], [0, 0]]), np.arange(8.0).reshape(4, 2)
    u, change = jvp(lambda a: L.svd(a)[0], (a,), (t,))
    np.testing.assert_allclose(u[:, 2:].T @ change[:, 2:], 0, atol=1e-15)  # no rotation among themselves
    outside = lambda a: np.sum((L.svd(a)[0][:, 2:] @ L.svd(a)[0][:, 2:].T) * np.arange(16.0).reshape(4, 4))
    along(outside, a, t)


@row("`pinv`, `lstsq`")
def constant_rank():
    b = np.array([1.0, 0.0, 2.0])
    grown = lambda s: L.pinv(s * ONE)[0] @ b
    has(grown, 2.0, -grown(2.0) / 2)
    fitted = lambda s: L.lstsq(s * ONE, b)[0]
    has(fitted, 2.0, -fitted(2.0) / 2)
    assert not grad(lambda a: np.sum(L.pinv(a)))(np.zeros((3, 2))).any()


@row("`matrix_rank`, rank of `lstsq`, sign of a real determinant")
def counts():
    assert grad(lambda a: L.matrix_rank(a) * 1.0)(EYE).tolist() == np.zeros((3, 3)).tolist()
    assert not grad(lambda a: L.lstsq(a, np.ones(3))[2] * 1.0)(EYE).any()
    assert not grad(lambda a: L.slogdet(a)[0])(EYE).any()


@row("`qr`")
def triangular_factor():
    for a in (ONE + np.array([[0, 1.0], [0, 0], [0, 0]]), (ONE + np.array([[0, 1.0], [0, 0], [0, 0]])).T):
        along(lambda a: np.sum(L.qr(a)[1] ** 3), a, np.cos(a))
    assert np.isnan(grad(lambda a: np.sum(L.qr(a)[0]))(np.ones((2, 2)))).all()
    with pytest.raises(TypeError, match="complete"):
        grad(lambda a: np.sum(L.qr(a, mode="complete")[0]))(np.cos(ONE))


@row("`cond` of a singular matrix")
def condition():
    assert L.cond(np.ones((2, 2))) > 1e15
    for d in (jacfwd, jacrev):
        assert not np.isfinite(d(L.cond)(np.diag([1.0, 0.0]))).any()
