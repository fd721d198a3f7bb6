"""`autodiff.scipy.linalg`: SciPy's values and signatures, derivatives against differences, degenerate cases, errors."""

import inspect

import numpy as np
import pytest
import scipy.linalg as sl

from autodiff import check_grads, grad, jacfwd, jacrev, jvp, stop_gradient, vmap
from autodiff.core.errors import MissingRuleError
from autodiff.scipy import linalg as al
from autodiff.tree import leaves

rng = np.random.default_rng(7)
A = rng.normal(size=(3, 3)) / 2 + 2 * np.eye(3)
S = A @ A.T
B = rng.normal(size=(3, 2))
V = rng.normal(size=3)
WIDE, TALL = rng.normal(size=(2, 4)), rng.normal(size=(4, 2))
C = A + 0.3j * rng.normal(size=(3, 3))
H = C @ C.conj().T
BAND = rng.normal(size=(4, 5)) + 4 * (np.arange(4) == 2)[:, None]
HBAND = np.abs(rng.normal(size=(2, 4))) / 4 + np.array([[0.0], [3.0]])

#: (what is called on which arguments); all positional arrays are differentiated.
CASES = [
    ("solve", lambda m, a, b: m.solve(a, b), (A, B)),
    ("solve vector", lambda m, a, b: m.solve(a, b), (A, V)),
    ("solve transposed", lambda m, a, b: m.solve(a, b, transposed=True), (A, V)),
    ("solve sym", lambda m, a, b: m.solve(a, b, assume_a="sym"), (A, B)),
    ("solve sym lower", lambda m, a, b: m.solve(a, b, assume_a="sym", lower=True), (A, B)),
    ("solve pos", lambda m, a, b: m.solve(a, b, assume_a="pos"), (S, V)),
    ("solve her complex", lambda m, a, b: m.solve(a, b, assume_a="her", lower=True), (H, B)),
    ("solve pos complex", lambda m, a, b: m.solve(a, b, assume_a="pos"), (H, B)),
    ("solve upper", lambda m, a, b: m.solve(a, b, assume_a="upper triangular"), (A, B)),
    ("solve lower t", lambda m, a, b: m.solve(a, b, assume_a="lower triangular", transposed=True), (A, B)),
    ("solve diagonal", lambda m, a, b: m.solve(a, b, assume_a="diagonal"), (A, B)),
    ("solve tridiagonal", lambda m, a, b: m.solve(a, b, assume_a="tridiagonal"), (A, B)),
    ("solve_triangular", lambda m, a, b: m.solve_triangular(a, b), (A, B)),
    ("solve_triangular lower T", lambda m, a, b: m.solve_triangular(a, b, trans=1, lower=True), (A, V)),
    ("solve_triangular C", lambda m, a, b: m.solve_triangular(a, b, trans="C"), (C, V)),
    ("solve_triangular unit", lambda m, a, b: m.solve_triangular(a, b, lower=True, unit_diagonal=True), (A, B)),
    ("cholesky", lambda m, a: m.cholesky(a), (S,)),
    ("cholesky lower", lambda m, a: m.cholesky(a, lower=True), (H,)),
    ("cho_factor", lambda m, a: np.triu(m.cho_factor(a)[0]), (S,)),
    ("cho_solve", lambda m, a, b: m.cho_solve((a, False), b), (A, B)),
    ("cho_solve lower", lambda m, a, b: m.cho_solve((a, True), b), (C, V)),
    ("cho_factor and cho_solve", lambda m, a, b: m.cho_solve(m.cho_factor(a), b), (S, V)),
    ("lu", lambda m, a: m.lu(a)[1:], (A[::-1],)),
    ("lu permute_l", lambda m, a: m.lu(a, permute_l=True), (A[::-1],)),
    ("lu wide", lambda m, a: m.lu(a)[1:], (WIDE,)),
    ("lu tall", lambda m, a: m.lu(a)[1:], (TALL,)),
    ("lu stack", lambda m, a: m.lu(a)[1:], (np.stack([A, A[::-1]]),)),
    ("lu_factor", lambda m, a: m.lu_factor(a)[0], (A[[1, 2, 0]],)),
    ("lu_solve", lambda m, a, b: m.lu_solve(m.lu_factor(a), b), (A[[1, 2, 0]], B)),
    ("lu_solve T", lambda m, a, b: m.lu_solve(m.lu_factor(a), b, trans=1), (A[[2, 0, 1]], V)),
    ("lu_solve H", lambda m, a, b: m.lu_solve(m.lu_factor(a), b, trans=2), (C[[2, 0, 1]], V)),
    ("inv", lambda m, a: m.inv(a), (A,)),
    ("det", lambda m, a: m.det(a), (A,)),
    ("pinv", lambda m, a: m.pinv(a), (TALL,)),
    ("pinvh", lambda m, a: m.pinvh(a), (S,)),
    ("lstsq", lambda m, a, b: m.lstsq(a, b)[:2], (TALL, rng.normal(size=4))),
    ("expm", lambda m, a: m.expm(a), (A,)),
    ("expm complex", lambda m, a: m.expm(a), (C,)),
    ("expm stack", lambda m, a: m.expm(a), (np.stack([A, 0 * A]),)),
    ("expm jordan", lambda m, a: m.expm(a), (np.array([[1.0, 1.0], [0.0, 1.0]]),)),
    ("logm", lambda m, a: m.logm(a), (A,)),
    ("logm one", lambda m, a: m.logm(a), (np.eye(2),)),
    ("logm negative", lambda m, a: np.imag(m.logm(a)), (np.diag([-2.0, 1.0, 3.0]) + A / 10,)),
    ("sqrtm", lambda m, a: m.sqrtm(a), (A,)),
    ("sqrtm complex", lambda m, a: m.sqrtm(a), (C,)),
    ("cosm", lambda m, a: m.cosm(a), (A,)),
    ("sinm", lambda m, a: m.sinm(a), (A,)),
    ("tanm", lambda m, a: m.tanm(a / 4), (A,)),
    ("coshm", lambda m, a: m.coshm(a), (A,)),
    ("sinhm", lambda m, a: m.sinhm(a), (A,)),
    ("tanhm", lambda m, a: m.tanhm(a), (A,)),
    ("signm", lambda m, a: m.signm(a), (np.array([[2.0, 1.0], [0.3, -1.0]]),)),
    ("power", lambda m, a: m.fractional_matrix_power(a, 0.3), (A,)),
    ("power integer", lambda m, a: m.fractional_matrix_power(a, -2), (A,)),
    ("expm_frechet", lambda m, a, e: m.expm_frechet(a, e), (A, A.T)),
    ("solve_banded", lambda m, ab, b: m.solve_banded((1, 2), ab, b), (BAND, rng.normal(size=(5, 2)))),
    ("solve_banded vector", lambda m, ab, b: m.solve_banded((2, 1), ab, b), (BAND[[1, 2, 0, 3]], np.ones(5))),
    ("solveh_banded", lambda m, ab, b: m.solveh_banded(ab, b), (HBAND, np.arange(4.0))),
    ("solveh_banded lower", lambda m, ab, b: m.solveh_banded(ab, b, lower=True), (HBAND[::-1], np.ones((4, 2)))),
    ("solveh_banded complex", lambda m, ab, b: m.solveh_banded(ab, b), (HBAND + 0.2j * (HBAND < 2), np.ones(4))),
    ("solve_sylvester", lambda m, a, b, q: m.solve_sylvester(a, b, q), (A, S[:2, :2], B)),
    ("lyapunov", lambda m, a, q: m.solve_continuous_lyapunov(a, q), (A, S)),
    ("lyapunov complex", lambda m, a, q: m.solve_continuous_lyapunov(a, q), (C, S)),
    ("discrete", lambda m, a, q: m.solve_discrete_lyapunov(a, q), (A / 5, S)),
    ("discrete complex", lambda m, a, q: m.solve_discrete_lyapunov(a, q), (C / 5, S)),
    ("bilinear", lambda m, a, q: m.solve_discrete_lyapunov(a, q, method="bilinear"), (A / 5, S)),
    ("toeplitz", lambda m, c, r: m.toeplitz(c, r), (np.arange(3.0), np.arange(2.0))),
    ("toeplitz complex", lambda m, c: m.toeplitz(c), (C[0],)),
    ("circulant", lambda m, c: m.circulant(c), (V,)),
    ("hankel", lambda m, c: m.hankel(c), (V,)),
    ("hankel row", lambda m, c, r: m.hankel(c, r), (V, B[:, 0])),
    ("companion", lambda m, a: m.companion(a), (V,)),
    ("block_diag", lambda m, a, b, c: m.block_diag(a, b, c), (A, V, B)),
    ("khatri_rao", lambda m, a, b: m.khatri_rao(a, b), (B, TALL)),
    ("solve_toeplitz", lambda m, c, b: m.solve_toeplitz(c, b), (np.array([3.0, 1.0, 0.5]), V)),
    ("eigh", lambda m, a: m.eigh(a)[0], (S,)),
    ("eigh upper", lambda m, a: m.eigh(a, lower=False, eigvals_only=True), (A,)),
    ("eigh pair", lambda m, a, b: m.eigh(a, b), (A + A.T, S)),
    ("eigh pair 2", lambda m, a, b: m.eigh(a, b, type=2, lower=False), (A + A.T, S)),
    ("eigh pair 3", lambda m, a, b: m.eigh(a, b, type=3), (A + A.T, S)),
    ("eigh pair complex", lambda m, a, b: m.eigh(a, b, eigvals_only=True), (C + C.conj().T, H)),
    ("eigh by index", lambda m, a: m.eigh(a, subset_by_index=(1, 2))[0], (S,)),
    ("eigvalsh by value", lambda m, a: m.eigvalsh(a, subset_by_value=(2.0, 99.0)), (S,)),
    ("eigvals", lambda m, a: m.eigvals(a), (np.diag([1.0, 2.0, 4.0]) + A / 9,)),
    ("svdvals", lambda m, a: m.svdvals(a), (TALL,)),
    ("svd", lambda m, a: m.svd(a, full_matrices=False), (TALL,)),
    ("norm", lambda m, a: m.norm(a, 2), (A,)),
    ("qr", lambda m, a: m.qr(a, mode="economic"), (TALL,)),
    ("qr r", lambda m, a: m.qr(a, mode="r"), (A,)),
    ("qr pivoting", lambda m, a: m.qr(a, pivoting=True)[:2], (A * np.array([1.0, 2.0, 9.0]),)),
    ("rq", lambda m, a: m.rq(a), (A,)),
    ("rq wide", lambda m, a: m.rq(a, mode="economic"), (WIDE,)),
    ("polar", lambda m, a: m.polar(a), (A,)),
    ("polar left", lambda m, a: m.polar(a, side="left"), (WIDE,)),
    ("polar tall", lambda m, a: m.polar(a), (TALL,)),
    ("polar complex", lambda m, a: m.polar(a), (C,)),
    ("polar of a rotation", lambda m, a: m.polar(a), (np.array([[0.0, -2.0], [2.0, 0.0]]),)),
]  # fmt: skip
every_case = pytest.mark.parametrize(("f", "args"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])


def outputs(y):
    return y if isinstance(y, tuple) else (y,)


@every_case
def test_values_are_scipys(f, args):
    got = outputs(jvp(lambda *xs: f(al, *xs), args, tuple(np.zeros_like(a) for a in args))[0])
    for mine, scipys in zip(got, outputs(f(sl, *args)), strict=True):
        assert np.shape(mine) == np.shape(scipys)
        np.testing.assert_allclose(mine, scipys, rtol=1e-9, atol=1e-10)
        assert np.asarray(mine).dtype == np.asarray(scipys).dtype


@every_case
def test_derivatives(f, args):
    check_grads(lambda *xs: f(al, *xs), args, order=2, rng=1, eps=2e-4, atol=3e-6, rtol=3e-6)


@every_case
def test_single_precision_is_kept(f, args):
    small = tuple(a.astype(np.complex64 if a.dtype.kind == "c" else np.float32) for a in args)
    values, tangents = jvp(lambda *xs: f(al, *xs), small, small)
    for y, t in zip(outputs(values), outputs(tangents), strict=True):
        assert np.asarray(y).dtype in {np.dtype(np.float32), np.dtype(np.complex64)}
        assert np.asarray(t).dtype == np.asarray(y).dtype


MIRRORS = [n for n in dir(al) if getattr(getattr(al, n), "__module__", "").startswith("autodiff.scipy.linalg.")]


@pytest.mark.parametrize("name", MIRRORS)
def test_signature_is_scipys(name):
    assert inspect.signature(getattr(al, name)) == inspect.signature(getattr(sl, name))
    assert getattr(al, name).__doc__


def test_plain_arguments_go_to_scipy():
    x = al.expm(A)
    assert type(x) is np.ndarray
    assert np.array_equal(x, sl.expm(A))


def test_power_by_its_exponent():
    check_grads(lambda t: al.fractional_matrix_power(A, t), (0.4,), rng=1)


def test_third_order_of_the_exponential():
    for d in (grad, jacfwd):
        third = d(grad(jacrev(lambda t: al.expm(t * A)[0, 1])))(0.3)
        np.testing.assert_allclose(third, (A @ A @ A @ sl.expm(0.3 * A))[0, 1], rtol=1e-10)


def test_cofactors_of_a_singular_matrix():
    np.testing.assert_allclose(grad(al.det)(np.diag([2.0, 0.0])), np.diag([0.0, 2.0]))


def test_functions_inside_vmap():
    many = np.stack([A, A.T, S])
    for f in (al.expm, al.logm, al.cholesky, al.polar, lambda a: al.solve_banded((1, 1), a, V), al.svdvals):
        got = vmap(f)(np.stack([S, S + 1, 2 * S]) if f is al.cholesky else many)
        want = [f(a) for a in ([S, S + 1, 2 * S] if f is al.cholesky else many)]
        for y, parts in zip(outputs(got), zip(*map(outputs, want), strict=True), strict=True):
            np.testing.assert_allclose(y, np.stack(parts), atol=1e-12)


def test_gradient_under_vmap():
    many = np.stack([A, A.T])
    got = vmap(grad(lambda a: np.sum(al.solve_sylvester(a, S, S))))(many)
    np.testing.assert_allclose(got[1], grad(lambda a: np.sum(al.solve_sylvester(a, S, S)))(A.T), rtol=1e-10)


def test_only_what_is_read_has_a_derivative():
    g = grad(lambda a: np.sum(al.solve_triangular(a, V, lower=True)))(A)
    assert np.array_equal(np.triu(g, 1), np.zeros((3, 3)))
    g = grad(lambda ab: np.sum(al.solve_banded((1, 2), ab, np.ones(5))))(BAND)
    assert g[0, 0] == g[0, 1] == g[1, 0] == g[3, 4] == 0


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: al.solve(x, np.ones(2)), ValueError, r"scipy.linalg.solve: .*float64\[3,3\].* must have 3 rows"),
        (lambda x: al.solve(x[:2], np.ones(2)), np.linalg.LinAlgError, r"scipy.linalg.solve: .*square, not 2 x 3"),
        (lambda x: al.solve(x, V, assume_a="round"), ValueError, r"assume_a must be one of .* not 'round'"),
        (lambda x: al.solve(x * np.nan, V), ValueError, r"scipy.linalg.solve: .* must not contain infs or NaNs"),
        (lambda x: al.solve_triangular(x * 0, V), np.linalg.LinAlgError, r"zero on the diagonal"),
        (lambda x: al.solve_triangular(x, V, trans=5), ValueError, r"trans must be 0, 1, 2"),
        (lambda x: al.lu_solve((x, np.arange(3)), V, trans=5), ValueError, r"trans must be 0, 1 or 2"),
        (lambda x: al.cholesky(-x @ x.T), np.linalg.LinAlgError, r"not positive definite"),
        (lambda x: al.solveh_banded(-x, V), np.linalg.LinAlgError, r"not positive definite"),
        (lambda x: al.solve_banded((1, 0), x, V), ValueError, r"l \+ u \+ 1 = 2 diagonals"),
        (lambda x: al.solve_banded((1, 1), x, np.ones(2)), ValueError, r"one column of ab for each row of b"),
        (lambda x: al.solve_sylvester(x, x, B), ValueError, r"solve_sylvester: q must be 3 x 3"),
        (lambda x: al.solve_sylvester(x[None], x, x), ValueError, r"stacks of matrices are not supported"),
        (lambda x: al.solve_discrete_lyapunov(x, x, method="no"), ValueError, r"method must be 'direct'"),
        (al.toeplitz, ValueError, r"scipy.linalg.toeplitz: takes one-dimensional"),
        (al.companion, ValueError, r"scipy.linalg.companion: takes two or more"),
        (lambda x: al.block_diag(x[None]), ValueError, r"scipy.linalg.block_diag: takes matrices"),
        (lambda x: al.khatri_rao(x, B), ValueError, r"scipy.linalg.khatri_rao: .* same number of columns"),
        (lambda x: al.eigh(x, type=4), ValueError, r"type must be 1, 2 or 3"),
        (lambda x: al.eigh(x, np.eye(2)), ValueError, r"a and b must be matrices of one shape"),
        (lambda x: al.eigh(x, subset_by_index=(0, 1), subset_by_value=(0, 1)), ValueError, r"not both"),
        (lambda x: al.eig(x, left=True), MissingRuleError, r"scipy.linalg.eig .* left=True .*adjoint"),
        (lambda x: al.eig(x, S), MissingRuleError, r"eigenvectors of a pair"),
        (lambda x: al.qr(x, mode="raw"), MissingRuleError, r"scipy.linalg.qr .*mode='economic'"),
        (lambda x: al.qr(x, mode="no"), ValueError, r"mode must be 'full'"),
        (lambda x: al.rq(x[:, :2]), MissingRuleError, r"scipy.linalg.rq .*3 x 2"),
        (lambda x: al.polar(x, side="up"), ValueError, r"side must be 'right' or 'left'"),
        (lambda x: al.polar(x * 0 + 1), np.linalg.LinAlgError, r"polar: .*64\[3,3\] lacks full rank.* jumps there"),
        (lambda x: al.logm(x, disp=False), MissingRuleError, r"disp=False"),
    ],
)  # fmt: skip
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        jvp(call, (A,), (A,))


PER_EXAMPLE = {
    "lu_factor": (al.lu_factor, A),
    "lu_solve": (lambda a: [al.lu_solve(al.lu_factor(a), B, trans=trans) for trans in (0, 1)], A),
    "lu_solve complex": (lambda a: al.lu_solve(al.lu_factor(a), V, trans=2), C),
    "eigh of a pair": (lambda a: al.eigh(a + a.T, S), A),
    "eigh of a complex pair": (lambda a: al.eigh(a + a.conj().T, H, type=2, lower=False), C),
    "rq": (al.rq, A),
    "rq complex": (lambda a: al.rq(a[1:], mode="economic"), C),
}


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_pivots_and_signs_of_each_example(name):
    """The values are SciPy's, signs included; permutations differ between the examples."""
    f, a = PER_EXAMPLE[name]
    many = np.stack([a, a[::-1].copy(), a[[1, 2, 0]]])
    got = leaves(vmap(f)(many))
    for found in (leaves([f(m) for m in many]), leaves([jvp(f, (m,), (m,))[0] for m in many])):
        want = [np.stack(found[k :: len(got)]) for k in range(len(got))]
        for y, rows in zip(got, want, strict=True):
            assert y.dtype == rows.dtype
            np.testing.assert_allclose(y, rows, rtol=1e-11, atol=1e-11)
    scalar = lambda m: sum(np.sum(np.real(y) * 0.7 + np.imag(y)) for y in leaves(f(m)) if y.dtype.kind in "fc")
    slopes = [grad(scalar)(m) for m in many]
    np.testing.assert_allclose(vmap(grad(scalar))(many), np.stack(slopes), rtol=1e-9, atol=1e-9)
    t, h = np.cos(a), 1e-6
    np.testing.assert_allclose(
        np.sum(slopes[0] * t).real, (scalar(a + h * t) - scalar(a - h * t)) / (2 * h), rtol=1e-6, atol=1e-7
    )


def test_missing_functions_name_the_closest():
    with pytest.raises(MissingRuleError, match=r"scipy.linalg has no schur: .*Closest: eigh"):
        _ = al.schur
    assert np.array_equal(al.hilbert(2), sl.hilbert(2))
    assert not hasattr(al, "nothing_of_the_kind")


def test_a_constant_may_be_anything():
    assert grad(lambda a: np.sum(al.qr(stop_gradient(a), mode="economic")[1]) + a[0, 0])(TALL)[0, 0] == 1
