"""`numpy.linalg` where a factorisation is not unique or a rank drops: every row of the table of conventions."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import grad, hessian, jacfwd, jacrev, jvp, vjp
from tests.product_checks import draw

RNG = np.random.default_rng(17)


def orthogonal(n):
    return np.linalg.qr(RNG.normal(size=(n, n)))[0]


def with_singular_values(*s):
    return orthogonal(len(s)) @ np.diag(s) @ orthogonal(len(s))


def with_eigenvalues(*w):
    q = orthogonal(len(w))
    a = q @ np.diag(w) @ q.T
    return (a + a.T) / 2


def symmetric(n=4):
    t = RNG.normal(size=(n, n))
    return t + t.T


def difference(f, x, t, h=1e-4):
    return (8 * (f(x + h * t) - f(x - h * t)) - (f(x + 2 * h * t) - f(x - 2 * h * t))) / (12 * h)


def mixtures(f, t):
    """The derivative of f along t, differentiated again along u, in the four mixtures."""
    along = lambda f, t: lambda x: jvp(f, (x,), (t,))[1]
    pulled = lambda f, t: lambda x: np.sum(grad(f)(x) * t)
    return lambda x, u: [second(first(f, t), u)(x) for first in (along, pulled) for second in (along, pulled)]


# -- determinants --------------------------------------------------------------------------------------------


def minors(a):
    """Cofactors by their definition."""
    n = len(a)
    without = lambda i, j: np.delete(np.delete(a, i, 0), j, 1)
    return np.array([[(-1.0) ** (i + j) * np.linalg.det(without(i, j)) for j in range(n)] for i in range(n)])


RANKS = [(3, 2, 1, 0.5), (3, 2, 1, 0), (3, 2, 0, 0), (3, 0, 0, 0), (0, 0, 0, 0), (3, 2, 1e-9, 1e-12), (1, 1, 1e-14, 0)]


@pytest.mark.parametrize("values", RANKS, ids=str)
def test_det_of_any_rank(values):
    a = with_singular_values(*values)
    np.testing.assert_allclose(grad(np.linalg.det)(a), minors(a), rtol=1e-11, atol=1e-14)
    t, u = RNG.normal(size=(2, 4, 4))
    want = difference(lambda a: np.sum(minors(a) * t), a, u, 1e-2)  # a cubic polynomial: exact
    np.testing.assert_allclose(mixtures(np.linalg.det, t)(a, u), want, rtol=1e-10, atol=1e-12)
    third = jvp(lambda a: np.sum(jvp(grad(np.linalg.det), (a,), (t,))[1] * u), (a,), (t,))[1]
    if values.count(0) < 3:
        want = difference(lambda a: np.sum(jvp(grad(np.linalg.det), (a,), (t,))[1] * u), a, t, 1e-2)
        np.testing.assert_allclose(third, want, rtol=1e-8)
    else:
        assert np.isnan(third)  # at rank n - 3 it is not 0, and three columns would be needed to find it


def test_det_of_complex_and_of_small_singular_matrices():
    z = draw(RNG, (3, 3), complex)
    z[2] = z[0] - 2j * z[1]
    want = np.array([[np.linalg.det(np.delete(np.delete(z, i, 0), j, 1)) * (-1) ** (i + j) for j in range(3)]
                     for i in range(3)])  # fmt: skip
    np.testing.assert_allclose(vjp(np.linalg.det, z)[1](np.complex128(1))[0], want, rtol=1e-12)
    want = np.zeros((2, 2, 2, 2))
    want[0, 0, 1, 1] = want[1, 1, 0, 0] = 1
    want[0, 1, 1, 0] = want[1, 0, 0, 1] = -1
    np.testing.assert_array_equal(hessian(np.linalg.det)(np.zeros((2, 2))), want)
    np.testing.assert_array_equal(grad(np.linalg.det)(np.zeros((1, 1))), [[1.0]])


def test_one_singular_matrix_of_a_stack_spoils_no_other():
    stack = np.stack([np.diag([2.0, 3.0]), np.zeros((2, 2)), np.ones((2, 2))])
    want = [[[3, 0], [0, 2]], [[0, 0], [0, 0]], [[1, -1], [-1, 1]]]
    np.testing.assert_allclose(grad(lambda a: np.sum(np.linalg.det(a)))(stack), want, atol=1e-15)


def test_det_in_float32():
    a = (np.outer([1, 2, 3], [1, 1, 2]) + np.diag([0, 0, 1])).astype(np.float32)
    got = grad(np.linalg.det)(a)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [[2, -2, 0], [-1, 1, 0], [0, 0, 0]], atol=3e-5)


def test_the_logarithm_of_a_determinant_that_is_0_has_no_derivative():
    value, pull = vjp(lambda a: np.linalg.slogdet(a)[1], np.ones((2, 2)))
    assert value == -np.inf
    assert np.isnan(pull(np.float64(1))[0]).all()
    both = np.stack([np.ones((2, 2)), np.eye(2)])
    np.testing.assert_array_equal(grad(lambda a: np.sum(np.linalg.slogdet(a)[1]))(both)[1], np.eye(2))


# -- repeated eigenvalues ------------------------------------------------------------------------------------

REPEATED = [np.eye(4), with_eigenvalues(1.0, 1.0, 1.0, 5.0), with_eigenvalues(2.0, 2.0, 3.0, 3.0)]


@pytest.mark.parametrize("a", REPEATED, ids=["identity", "1115", "2233"])
def test_symmetric_functions_of_repeated_eigenvalues(a):
    t = symmetric()
    for f, want in (
        (np.linalg.eigvalsh, np.trace(t)),
        (lambda a: np.linalg.eigvalsh(a) ** 2, 2 * np.sum(a * t)),
        (lambda a: np.log(np.linalg.eigh(a)[0]), np.sum(np.linalg.inv(a) * t)),
        (lambda a: np.exp(np.linalg.eigh(a, "U")[0]), np.sum(_matrix_exp(a) * t)),
        (np.linalg.eigvals, np.trace(t)),
    ):
        total = lambda a, f=f: np.sum(np.real(f(a)))
        np.testing.assert_allclose(jvp(total, (a,), (t,))[1], want, rtol=1e-10)
        np.testing.assert_allclose(np.sum(grad(total)(a) * t), want, rtol=1e-10)


def _matrix_exp(a):
    w, v = np.linalg.eigh(a)
    return (v * np.exp(w)) @ v.T


def test_what_leaves_a_repeated_eigenvalue_aside_has_all_derivatives():
    a, t, u = with_eigenvalues(1.0, 1.0, 1.0, 5.0), symmetric(), symmetric()
    largest = lambda a: np.linalg.eigvalsh(a)[-1]
    want = difference(lambda a: jvp(largest, (a,), (t,))[1], a, u)
    np.testing.assert_allclose(mixtures(largest, t)(a, u), want, rtol=1e-8)
    top = lambda a: np.sum(np.outer(np.linalg.eigh(a)[1][:, -1], np.linalg.eigh(a)[1][:, -1]) * t)
    np.testing.assert_allclose(jvp(top, (a,), (u,))[1], difference(top, a, u), rtol=1e-8)
    np.testing.assert_allclose(np.sum(grad(top)(a) * u), difference(top, a, u), rtol=1e-8)


@pytest.mark.parametrize("a", REPEATED, ids=["identity", "1115", "2233"])
def test_eigenvectors_of_a_repeated_eigenvalue_have_no_derivative(a):
    """NaN, not a number that is wrong: the square root of a matrix has one, but its formula cannot be read here."""

    def root(a):
        w, v = np.linalg.eigh(a)
        return np.sum(((v * np.sqrt(w)) @ v.T) ** 2)

    assert np.isnan(np.diagonal(grad(root)(a))).any()
    assert np.isnan(jvp(root, (a,), (symmetric(),))[1])
    assert np.isnan(hessian(lambda a: np.sum(np.linalg.eigvalsh(a) ** 2))(a)).any()


def test_eigenvalues_that_differ_are_told_apart():
    """A gap a thousand times what rounding leaves is a gap."""
    gap = 1e-11
    a, t = np.diag([1.0, 1.0 + gap]), np.array([[0.0, 1.0], [1.0, 0.0]])
    _, change = jvp(lambda a: np.linalg.eigh(a)[1], (a,), (t,))
    np.testing.assert_allclose(np.abs(change[1, 0]), 1 / gap, rtol=1e-4)


def test_defective_matrices():
    a = np.array([[1.0, 1.0], [0.0, 1.0]])
    with np.errstate(all="ignore"):
        derivative = grad(lambda a: np.real(np.linalg.eigvals(a)[0]))(a)
    assert not np.all(np.isfinite(derivative)) or np.max(np.abs(derivative)) > 1e7


# -- singular values -----------------------------------------------------------------------------------------


def test_singular_values_at_zero():
    zero, one = np.zeros((3, 2)), np.outer([1.0, 2.0, 3.0], [1.0, 1.0])
    nuclear = lambda a: np.linalg.norm(a, "nuc")
    spectral = lambda a: np.linalg.norm(a, 2)
    for f in (nuclear, spectral, lambda a: np.sum(np.linalg.svdvals(a))):
        np.testing.assert_array_equal(grad(f)(zero), zero)
        assert jvp(f, (zero,), (np.ones((3, 2)),)) == (0.0, 0.0)
        np.testing.assert_allclose(grad(f)(one), one / np.linalg.norm(one), rtol=1e-13, atol=1e-15)
    assert np.isnan(hessian(nuclear)(one)).any()
    assert np.isfinite(hessian(spectral)(one)).all()
    want = jacfwd(grad(lambda a: np.sqrt(np.linalg.eigvalsh(a.T @ a)[-1])))(one)
    for d in (jacfwd(grad(spectral)), jacrev(grad(spectral)), jacrev(jacfwd(spectral)), jacfwd(jacfwd(spectral))):
        np.testing.assert_allclose(d(one), want, atol=1e-14)


def test_repeated_singular_values():
    np.testing.assert_allclose(grad(lambda a: np.sum(np.linalg.svdvals(a) ** 2))(np.eye(3)), 2 * np.eye(3), atol=1e-15)
    np.testing.assert_allclose(grad(lambda a: np.linalg.norm(a, 2))(np.eye(2)), np.eye(2) / 2)  # a tie of two
    np.testing.assert_allclose(grad(lambda a: np.linalg.norm(a, "nuc"))(np.eye(2)), np.eye(2))
    assert np.isnan(grad(lambda a: np.sum(np.linalg.svd(a)[0] ** 3))(np.eye(2))).any()


def test_the_best_approximation_of_low_rank_does_not_look_at_the_zeros():
    a, t = np.outer([1.0, 2.0, 3.0], [1.0, 1.0]), RNG.normal(size=(3, 2))
    w = RNG.normal(size=(3, 2))

    def best(a):
        u, s, vh = np.linalg.svd(a)
        return np.sum(w * (u[:, :1] * s[0] @ vh[:1]))

    want = difference(best, a, t)
    np.testing.assert_allclose(jvp(best, (a,), (t,))[1], want, rtol=1e-8)
    np.testing.assert_allclose(np.sum(grad(best)(a) * t), want, rtol=1e-8)


# -- what lacks rank -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [float, complex])
def test_pinv_and_lstsq_at_constant_rank(dtype):
    x, y, dx, dy = (draw(RNG, s, dtype) for s in ((4, 2), (2, 5), (4, 2), (2, 5)))
    b = draw(RNG, (4, 3), dtype)
    for f in (
        lambda a: np.linalg.pinv(a, rcond=1e-10),
        lambda a: np.linalg.lstsq(a, b, rcond=1e-10)[0],
        lambda a: np.linalg.pinv(np.conj(a.T) @ a, rcond=1e-10, hermitian=True),
    ):
        total = lambda x, y, f=f: np.sum(np.real(f(x @ y)) ** 3)
        want = difference(lambda h, total=total: total(x + h * dx, y + h * dy), 0.0, 1.0)
        np.testing.assert_allclose(jvp(total, (x, y), (dx, dy))[1], want, rtol=1e-7)
        gx, gy = grad(total, (0, 1))(x, y)
        np.testing.assert_allclose(np.sum(np.real(gx * dx)) + np.sum(np.real(gy * dy)), want, rtol=1e-7)
        along = lambda h, total=total: jvp(total, (x + h * dx, y + h * dy), (dx, dy))[1]
        np.testing.assert_allclose(jvp(along, (0.0,), (1.0,))[1], difference(along, 0.0, 1.0), rtol=1e-6)
    value = vjp(lambda a: np.linalg.lstsq(a, b, rcond=1e-10)[:2], x @ y)[0]
    assert value[1].shape == (0,)


def test_pinv_of_zero():
    np.testing.assert_array_equal(grad(lambda a: np.sum(np.linalg.pinv(a)))(np.zeros((3, 2))), np.zeros((3, 2)))


def test_qr_of_dependent_columns_is_nan():
    assert np.isnan(grad(lambda a: np.sum(np.linalg.qr(a)[0]))(np.ones((2, 2)))).all()


def test_triangles_that_are_read():
    """LAPACK reads one triangle, so the other has no derivative; symmetric tangents give the symmetric derivative."""
    a = symmetric() + 10 * np.eye(4)
    for f, lower in (
        (np.linalg.cholesky, True),
        (lambda a: np.linalg.cholesky(a, upper=True), False),
        (np.linalg.eigvalsh, True),
        (lambda a: np.linalg.eigvalsh(a, "U"), False),
    ):
        g = grad(lambda a, f=f: np.sum(f(a) ** 3))(a)
        np.testing.assert_array_equal(g, np.tril(g) if lower else np.triu(g))
    g = grad(lambda a: np.sum(np.linalg.eigvalsh(a) ** 2))(a)
    np.testing.assert_allclose((g + g.T) / 2, 2 * a, rtol=1e-12)


# -- never a wrong number ------------------------------------------------------------------------------------


def root(a):
    w, v = np.linalg.eigh(a)
    return (v * np.sqrt(w + 0.5)) @ v.T


C = symmetric(3)
SYMMETRIC = {
    "sum": lambda a: np.sum(np.linalg.eigvalsh(a)),
    "squares": lambda a: np.sum(np.linalg.eigvalsh(a) ** 2),
    "squares by eigh": lambda a: np.sum(np.linalg.eigh(a)[0] ** 2),
    "exponentials": lambda a: np.sum(np.exp(np.linalg.eigh(a)[0])),
    "root": lambda a: np.sum(C * root(a)),
    "fit of a root": lambda a: np.sum((root(a) - root(a + 0.0)) ** 2),
    "singular": lambda a: np.sum(np.linalg.svdvals(a) ** 2),
    "nuclear": lambda a: np.linalg.norm(a + 0.5 * np.eye(3), "nuc") ** 2,
    "polar": lambda a: np.sum(C * (np.linalg.svd(a + 0.5 * np.eye(3))[0] @ np.linalg.svd(a + 0.5 * np.eye(3))[2])),
    "rank one": lambda a: np.sum(np.linalg.svdvals(a)[0] ** 2),
    "largest": lambda a: (np.linalg.eigvalsh(a)[-1] - 2.0) ** 2,
}
POINTS = {
    "zero": np.zeros((3, 3)),
    "identity": np.eye(3),
    "two and one": np.diag([1.0, 1.0, 2.0]),
    "two zeros": np.diag([0.0, 0.0, 1.0]),
    "one zero": np.diag([0.0, 1.0, 3.0]),
    "distinct": np.diag([1.0, 2.0, 4.0]),
}


GENERAL = {
    "squares by eig": lambda a: np.sum(np.real(np.linalg.eigvals(a) ** 2)),
    "exponentials by eig": lambda a: np.sum(np.real(np.exp(np.linalg.eig(a)[0]))),
    "root by eig": lambda a: np.sum(C * np.real(_root_by_eig(a))),
}


def _root_by_eig(a):
    w, v = np.linalg.eig(a)
    return (v * np.sqrt(w + 0.5)) @ np.linalg.inv(v)


@pytest.mark.parametrize("a", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("name", GENERAL)
def test_second_derivatives_through_eig_are_right_or_nan(name, a):
    f, t, u = GENERAL[name], symmetric(3), symmetric(3)
    want = difference(lambda a: np.sum(grad(f)(a) * t), a, u, 1e-3)
    got = np.array(mixtures(f, t)(a, u))
    np.testing.assert_allclose(got[~np.isnan(got)], want, rtol=1e-5, atol=1e-5)
    assert not np.isnan(got).any() or np.min(np.diff(np.diagonal(a))) == 0


@pytest.mark.parametrize("a", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("name", SYMMETRIC)
def test_second_derivatives_are_right_or_nan(name, a):
    """In every mixture, at points where the first derivative exists on both sides of the point."""
    f, t, u = SYMMETRIC[name], symmetric(3), symmetric(3)
    tied = name in {"rank one", "largest"} and a[2, 2] == a[1, 1]
    if tied or (name == "rank one" and not a.any()):
        return  # no derivative
    want = difference(lambda a: np.sum(grad(f)(a) * t), a, u, 1e-3)
    got = np.array(mixtures(f, t)(a, u))
    np.testing.assert_allclose(got[~np.isnan(got)], want, rtol=1e-5, atol=1e-5)
    if name in {"largest", "rank one"} or np.all(np.diff(np.diagonal(a)) > 0):
        kinked = name == "singular" and a[0, 0] == 0
        assert kinked or not np.isnan(got).any()


def test_weights_that_are_0_at_the_point_have_derivatives():
    """A sum of squares at its minimum: each residual is 0, and counts in the second derivative."""
    a, t, u = np.diag([3.0, 2.0, 1.0]) + 0.1 * C, RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3))
    for part in (np.linalg.svdvals, np.linalg.eigvalsh, lambda a: np.linalg.eigh(a)[0], lambda a: np.linalg.eigh(a)[1]):
        at = part(a)
        f = lambda a, part=part, at=at: np.sum((part(a) - at) ** 2)
        want = 2 * np.sum(jvp(part, (a,), (t,))[1] * jvp(part, (a,), (u,))[1])
        np.testing.assert_allclose(mixtures(f, t)(a, u), want, rtol=1e-9)
