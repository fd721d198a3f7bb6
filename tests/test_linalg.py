"""`numpy.linalg` on traced arrays: NumPy's values, both modes, the four mixtures of second order, dtypes and stacks."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff
from autodiff import grad, jvp, vjp
from autodiff.core import FUNCTIONS
from tests.product_checks import check, check_float32, draw

RNG = np.random.default_rng(5)


def regular(*shape, dtype=float):
    return draw(RNG, shape, dtype) / 2 + 1.5 * np.eye(shape[-1])


def positive(*shape, dtype=float):
    x = draw(RNG, shape, dtype)
    return x @ np.conj(np.swapaxes(x, -1, -2)) + np.eye(shape[-1])


DTYPES = pytest.mark.parametrize("dtype", [float, complex])


def test_every_function_of_the_namespace_is_known():
    public = {getattr(np.linalg, n) for n in np.linalg.__all__ if not isinstance(getattr(np.linalg, n), type)}
    assert public <= set(FUNCTIONS)


# -- inverses and solutions ----------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("shape", [(3, 3), (2, 1, 2, 2), (1, 1), (0, 0), (0, 2, 2), (2, 0, 0)])
def test_inv(shape, dtype):
    check(np.linalg.inv, regular(*shape, dtype=dtype))


@DTYPES
@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 3, 3), (3, 1)), ((3, 3), (2, 3, 1)),
     ((2, 1, 2, 2), (3, 2, 2)), ((0, 0), (0,)), ((0, 0), (0, 3)), ((2, 2), (2, 0))],
)  # fmt: skip
def test_solve(a, b, dtype):
    x, y = regular(*a, dtype=dtype), draw(RNG, b, dtype)
    check(np.linalg.solve, x, y)
    check(lambda x: np.linalg.solve(x, y), x, order=1)
    check(lambda y: np.linalg.solve(x, y), y, order=1)


def test_solve_mixes_kinds_of_numbers():
    x, y = regular(2, 2), draw(RNG, (2,), complex)
    check(np.linalg.solve, x, y)
    check(lambda y: np.linalg.solve(np.array([[2, 1], [1, 3]]), y), y, order=1)
    check(lambda x: np.linalg.solve(x, [1, 2]), x, order=1)
    x32 = x.astype(np.float32)
    assert vjp(lambda x: np.linalg.solve(x, np.ones(2)), x32)[1](np.ones(2))[0].dtype == np.float32


def test_a_pullback_of_solve_may_be_asked_again_with_another_adjoint_in_the_same_array():
    a, b = regular(3, 3), RNG.normal(size=(3, 2))
    _, pull = vjp(lambda a: np.linalg.solve(a, b), a)
    ct = np.ones((3, 2))
    first = pull(ct)[0]
    ct *= 2
    np.testing.assert_allclose(pull(ct)[0], 2 * first, rtol=1e-13)


def test_tensor_solutions():
    a, b = RNG.normal(size=(2, 3, 6)), RNG.normal(size=(2, 3))
    check(np.linalg.tensorsolve, a, b)
    check(lambda a, b: np.linalg.tensorsolve(a, b, axes=(0,)), RNG.normal(size=(4, 2, 2)), RNG.normal(size=(2, 2)))
    check(np.linalg.tensorinv, RNG.normal(size=(2, 2, 4)))
    check(lambda a: np.linalg.tensorinv(a, ind=1), RNG.normal(size=(4, 2, 2)))


def test_powers_and_chains():
    check(lambda x: np.linalg.matrix_power(x, -2), regular(2, 2))
    check(lambda x: np.linalg.matrix_power(x, -1), regular(2, 2, 2, dtype=complex), order=1)


@DTYPES
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2), (3, 1), (0, 2), (2, 0)])
def test_pinv(shape, dtype):
    check(np.linalg.pinv, draw(RNG, shape, dtype))
    check(lambda x: np.linalg.pinv(x, rcond=1e-10), draw(RNG, shape, dtype), order=1)
    check(lambda x: np.linalg.pinv(x, rtol=None), draw(RNG, shape, dtype), order=1)


@DTYPES
def test_pinv_of_hermitian_matrices_reads_a_triangle(dtype):
    check(lambda x: np.linalg.pinv(x, hermitian=True), positive(3, 3, dtype=dtype))
    check(lambda x: np.linalg.pinv(x, hermitian=True), regular(2, 3, 3, dtype=dtype), order=1)


@DTYPES
@pytest.mark.parametrize(("a", "b"), [((4, 2), (4,)), ((4, 2), (4, 3)), ((2, 4), (2,)), ((3, 3), (3, 1))])
def test_lstsq(a, b, dtype):
    x, y = draw(RNG, a, dtype), draw(RNG, b, dtype)
    check(lambda x, y: np.linalg.lstsq(x, y)[0], x, y)
    check(lambda x, y: np.linalg.lstsq(x, y)[1], x, y)
    check(lambda x: np.linalg.lstsq(x, y)[3], x)
    seen = []
    grad(lambda x: seen.append(np.linalg.lstsq(x, y)) or np.sum(np.abs(seen[0][0])))(x)
    assert seen[0][2] == np.linalg.lstsq(x, y)[2] == min(a)
    assert [np.shape(part) for part in seen[0]] == [np.shape(part) for part in np.linalg.lstsq(x, y)]


# -- factorisations ------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2)])
def test_cholesky(shape, upper, dtype):
    check(lambda x: np.linalg.cholesky(x, upper=upper), positive(*shape, dtype=dtype))


def test_cholesky_of_many_rows_goes_by_blocks():
    a = positive(70, 70) / 70 + np.eye(70)
    w = np.tril(RNG.normal(size=(70, 70)))
    f = lambda a: np.sum(w * np.linalg.cholesky(a))
    t = RNG.normal(size=(70, 70))
    t = t + t.T
    want = (f(a + 1e-5 * t) - f(a - 1e-5 * t)) / 2e-5
    np.testing.assert_allclose(jvp(f, (a,), (t,))[1], want, rtol=1e-7)
    np.testing.assert_allclose(np.sum(grad(f)(a) * t), want, rtol=1e-7)


@DTYPES
@pytest.mark.parametrize("uplo", ["L", "u"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2)])
def test_eigh(shape, uplo, dtype):
    x = positive(*shape, dtype=dtype)
    check(lambda x: np.linalg.eigh(x, uplo)[0], x)
    check(lambda x: np.linalg.eigh(x, UPLO=uplo).eigenvectors, x)
    check(lambda x: np.linalg.eigvalsh(x, uplo), x)
    check(lambda x: np.linalg.eigh(x)[1] * np.linalg.eigh(x)[0][..., None, :], x)


@DTYPES
@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 2), (1, 1), (0, 0)])
def test_eig(shape, dtype):
    x = draw(RNG, shape, dtype)
    check(lambda x: np.linalg.eig(x).eigenvalues, x)
    check(lambda x: np.linalg.eig(x)[1], x)
    check(np.linalg.eigvals, x)


def test_eig_of_real_matrices_is_real_where_it_can_be():
    x = np.array([[1.0, 2.0], [3.0, -1.0]])
    check(np.linalg.eigvals, x)
    assert vjp(np.linalg.eigvals, x)[0].dtype == np.float64
    y, pull = vjp(np.linalg.eigvals, np.array([[0.0, -1.0], [1.0, 0.0]]))
    assert y.dtype == np.complex128
    assert pull(y)[0].dtype == np.float64


@DTYPES
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2), (3, 1), (1, 3), (0, 2), (2, 0)])
def test_svd(shape, dtype):
    x = draw(RNG, shape, dtype)
    for part in range(3):
        check(lambda x, part=part: np.linalg.svd(x, full_matrices=False)[part], x)
    check(lambda x: np.linalg.svd(x, compute_uv=False), x)
    check(np.linalg.svdvals, x)
    k = min(shape[-2:])
    check(lambda x: np.linalg.svd(x).U[..., :k], x, order=1)
    check(lambda x: np.linalg.svd(x).Vh[..., :k, :], x, order=1)


@DTYPES
@pytest.mark.parametrize("shape", [(4, 2), (2, 4)])
def test_what_does_not_depend_on_the_basis_of_the_rest_is_right_with_full_matrices(shape, dtype):
    def rest(x):
        u, _, vh = np.linalg.svd(x)
        z = u if shape[0] > shape[1] else np.conj(np.swapaxes(vh, -1, -2))
        return z[:, 2:] @ np.conj(np.swapaxes(z[:, 2:], -1, -2))

    check(rest, draw(RNG, shape, dtype))


@DTYPES
def test_svd_of_hermitian_matrices(dtype):
    x = positive(3, 3, dtype=dtype) - 3 * np.eye(3)
    for part in range(3):
        check(lambda x, part=part: np.linalg.svd(x, hermitian=True)[part], x)
    check(lambda x: np.linalg.svd(x, compute_uv=False, hermitian=True), x, order=1)


@DTYPES
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2), (1, 1), (2, 0)])
def test_qr(shape, dtype):
    x = draw(RNG, shape, dtype)
    check(lambda x: np.linalg.qr(x).Q, x)
    check(lambda x: np.linalg.qr(x).R, x)
    check(lambda x: np.linalg.qr(x, mode="r"), x, order=1)
    if shape[-2] <= shape[-1]:
        check(lambda x: np.linalg.qr(x, "complete")[0], x, order=1)


def test_results_have_numpy_s_types():
    x = positive(3, 3)
    for f in (np.linalg.eigh, np.linalg.eig, np.linalg.svd, np.linalg.qr, np.linalg.slogdet):
        seen = []
        grad(lambda x, f=f, seen=seen: seen.append(f(x)) or np.sum(x))(x)
        assert type(seen[0]) is type(f(x))
        assert seen[0]._fields == f(x)._fields
    q, r = jvp(lambda x: tuple(np.linalg.qr(x)), (x,), (x,))[0]
    np.testing.assert_allclose(q @ r, x, rtol=1e-12)


def test_a_factorisation_is_computed_once(monkeypatch):
    calls = []
    plain = np.linalg.eigh
    monkeypatch.setattr("autodiff.ops.linalg.eigh.np.linalg.eigh", lambda *a: calls.append(a) or plain(*a))
    eigh = FUNCTIONS[plain]

    def f(x):
        w, v = eigh(x)
        return np.sum(w * v[0] ** 2)

    grad(f)(positive(3, 3))
    assert len(calls) == 1
    grad(lambda x: np.sum(grad(f)(x)))(positive(3, 3))
    assert len(calls) == 2


# -- determinants, norms, numbers ----------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2), (4, 4)])
def test_determinants(shape, dtype):
    x = draw(RNG, shape, dtype)
    check(np.linalg.det, x)
    check(lambda x: np.linalg.slogdet(x)[0], x)
    check(lambda x: np.linalg.slogdet(x).logabsdet, x)


@DTYPES
@pytest.mark.parametrize("p", [None, 1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc"])
def test_cond(p, dtype):
    check(lambda x: np.linalg.cond(x, p), regular(3, 3, dtype=dtype))
    check(lambda x: np.linalg.cond(x, p), regular(2, 2, 2, dtype=dtype), order=1)


def test_cond_of_other_shapes_and_of_singular_matrices():
    check(np.linalg.cond, RNG.normal(size=(4, 2)))
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert vjp(lambda x: np.linalg.cond(x, 1), singular)[0] == np.linalg.cond(singular, 1) == np.inf
    for p in (None, 1, 2, np.inf, "fro"):
        assert np.isnan(grad(lambda x, p=p: np.linalg.cond(x, p))(singular)).all()
        assert np.isnan(grad(lambda x, p=p: np.linalg.cond(x, p))(np.diag([1.0, 0.0]))).all()


@pytest.mark.parametrize("kwargs", [{}, {"tol": 0.1}, {"hermitian": True}, {"rtol": 1e-3}])
def test_rank_is_a_constant(kwargs):
    x = positive(2, 3, 3)
    x[1] = np.outer([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    seen = []
    grad(lambda x: seen.append(np.linalg.matrix_rank(x, **kwargs)) or np.sum(x))(x)
    np.testing.assert_array_equal(seen[0], np.linalg.matrix_rank(x, **kwargs))
    assert type(seen[0]) is np.ndarray
    assert jvp(lambda x: np.linalg.matrix_rank(x) * np.sum(x), (np.ones(3),), (np.ones(3),))[1] == 3.0


# -- dtypes, shapes, memory ----------------------------------------------------------------------------------

PARTS = {
    "inv": np.linalg.inv,
    "pinv": np.linalg.pinv,
    "det": np.linalg.det,
    "sign": lambda x: np.linalg.slogdet(x)[0] * np.sum(x),
    "logdet": lambda x: np.linalg.slogdet(x)[1],
    "cholesky": np.linalg.cholesky,
    "eigvalsh": np.linalg.eigvalsh,
    "eigh": lambda x: np.linalg.eigh(x)[1],
    "svdvals": np.linalg.svdvals,
    "svd": lambda x: np.linalg.svd(x)[0],
    "svd right": lambda x: np.linalg.svd(x)[2],
    "qr": lambda x: np.linalg.qr(x)[0],
    "qr r": lambda x: np.linalg.qr(x)[1],
    "solve": lambda x: np.linalg.solve(x, x[..., :1]),
    "lstsq": lambda x: np.linalg.lstsq(x, x[0])[0],
    "nuclear": lambda x: np.linalg.matrix_norm(x, ord="nuc"),
    "cond": np.linalg.cond,
    "power": lambda x: np.linalg.matrix_power(x, -3),
}


@pytest.mark.parametrize("f", PARTS.values(), ids=PARTS)
def test_float32_stays(f):
    check_float32(f, positive(3, 3))


@pytest.mark.parametrize("f", [*PARTS.values(), lambda x: np.linalg.eigvals(x + 0j)], ids=[*PARTS, "eigvals"])
def test_eval_shape(f):
    x = positive(3, 3).astype(np.float32)
    got, want = autodiff.eval_shape(f, x), np.asarray(f(x))
    assert (got.shape, got.dtype) == (want.shape, want.dtype)


@pytest.mark.parametrize("name", ["eigh", "svd", "qr", "slogdet", "eig"])
def test_eval_shape_of_several_results(name):
    f = getattr(np.linalg, name)
    x = positive(2, 3, 3) + 0j
    got = autodiff.eval_shape(f, x)
    assert [(g.shape, g.dtype) for g in got] == [(w.shape, w.dtype) for w in f(x)]


@pytest.mark.parametrize("f", PARTS.values(), ids=PARTS)
def test_order_three(f):
    """Three directions, in three mixtures of the modes and by differences of the second derivative."""
    x = positive(3, 3)
    ts = [RNG.normal(size=(3, 3)) for _ in range(3)]
    w = RNG.normal(size=np.shape(f(x)))
    phi = lambda x: np.sum(w * np.sin(f(x)))
    along = lambda f, t: lambda x: jvp(f, (x,), (t,))[1]
    pulled = lambda f, t: lambda x: np.sum(grad(f)(x) * t)
    second = along(along(phi, ts[0]), ts[1])
    h = 1e-5
    want = (second(x + h * ts[2]) - second(x - h * ts[2])) / (2 * h)
    for d1, d2, d3 in ((pulled, pulled, pulled), (along, pulled, along), (pulled, along, pulled)):
        np.testing.assert_allclose(d3(d2(d1(phi, ts[0]), ts[1]), ts[2])(x), want, rtol=1e-4, atol=1e-5)


def test_what_a_pullback_of_solve_returned_may_be_written_to():
    a, b, ct = regular(3, 3), RNG.normal(size=(3, 2)), RNG.normal(size=(3, 2))
    for f, x in ((lambda b: np.linalg.solve(a, b), b), (lambda a: np.linalg.solve(a, b), a)):
        _, pull = vjp(f, x)
        first = pull(ct)[0].copy()
        pull(ct)[0][...] = 7
        np.testing.assert_array_equal(pull(ct)[0], first)


# -- large matrices go to SciPy's LAPACK ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_large_matrices(dtype):
    """Matrices of 70 rows: against inverses, in each dtype, for each order of memory."""
    n = 70
    a = (regular(n, n, dtype=dtype) + n * np.eye(n)).astype(dtype)
    b, w = draw(RNG, (n, 3), dtype), draw(RNG, (n, 3), dtype)
    rtol = 2e-4 if np.finfo(dtype).eps > 1e-10 else 1e-9
    for order in "CF":
        a = np.asarray(a, order=order)
        y, pull = vjp(np.linalg.solve, a, b)
        ga, gb = pull(w)
        np.testing.assert_allclose(y, np.linalg.solve(a, b), rtol=rtol, atol=rtol / n)
        np.testing.assert_allclose(gb, np.linalg.solve(a.T, w), rtol=rtol, atol=rtol / n)
        np.testing.assert_allclose(ga, -gb @ y.T, rtol=rtol, atol=rtol / n)
        assert (y.dtype, ga.dtype, gb.dtype) == (dtype, dtype, dtype)
        t = jvp(np.linalg.solve, (a, b), (a, b))[1]
        np.testing.assert_allclose(t, 0 * y, atol=rtol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_large_and_small_cholesky_factors_have_one_rule(dtype, monkeypatch):
    n = 70
    x = draw(RNG, (n, n), dtype)
    a, w = (x @ np.conj(x.T) / n + np.eye(n)).astype(dtype), draw(RNG, (n, n), dtype)
    f = lambda a: np.sum(np.real(w * np.linalg.cholesky(a)))
    large, t = grad(f)(a), jvp(f, (a,), (x,))[1]
    monkeypatch.setattr("autodiff.ops.linalg.lapack.ROWS", 1000)
    monkeypatch.setattr("autodiff.ops.linalg.lapack.FEW", 1000)
    rtol = 1e-3 if np.finfo(dtype).eps > 1e-10 else 1e-10
    np.testing.assert_allclose(large, grad(f)(a), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(t, jvp(f, (a,), (x,))[1], rtol=rtol)
    np.testing.assert_allclose(np.sum(np.real(large * x)), t, rtol=rtol)
    assert large.dtype == dtype


def test_large_singular_matrices():
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        grad(lambda a: np.sum(np.linalg.solve(a, np.ones(70))))(np.zeros((70, 70)))
    assert np.isnan(grad(lambda a: np.sum(np.linalg.qr(a)[1]))(np.ones((70, 70)))).any()


def test_second_order_of_large_matrices():
    n = 70
    a, b = regular(n, n) + n * np.eye(n), RNG.normal(size=(n, 1))
    p = positive(n, n) / n + np.eye(n)
    t = RNG.normal(size=(n, n))
    for f, x in ((lambda a: np.sum(np.linalg.solve(a, b) ** 2), a), (lambda p: np.sum(np.linalg.cholesky(p) ** 3), p)):
        step = lambda x, f=f: np.sum(grad(f)(x) * t)
        want = (step(x + 1e-5 * t) - step(x - 1e-5 * t)) / 2e-5
        along = lambda x, f=f: jvp(f, (x,), (t,))[1]
        got = [jvp(g, (x,), (t,))[1] for g in (step, along)] + [np.sum(grad(g)(x) * t) for g in (step, along)]
        np.testing.assert_allclose(got, want, rtol=1e-6)


# -- derivatives as linear functions -------------------------------------------------------------------------


@pytest.mark.parametrize("f", PARTS.values(), ids=PARTS)
def test_pullbacks_are_linear_functions_of_the_adjoint(f):
    """So that they can be transposed again, which is forward mode; linearize and checkpoint see the same rules."""
    x, t = positive(3, 3), RNG.normal(size=(3, 3))
    y, pull = vjp(f, x)
    want = jvp(f, (x,), (t,))[1]
    np.testing.assert_allclose(autodiff.linear_transpose(lambda ct: pull(ct)[0], y)(t)[0], want, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(autodiff.linearize(f, x)[1](t), want, rtol=1e-9, atol=1e-12)
    total = lambda x: np.sum(f(x) ** 2)
    np.testing.assert_allclose(grad(autodiff.checkpoint(total))(x), grad(total)(x), rtol=1e-9, atol=1e-12)


def test_lstsq_mixes_real_and_complex_numbers():
    check(lambda a, b: np.linalg.lstsq(a, b)[0], RNG.normal(size=(4, 2)), draw(RNG, (4,), complex))
    check(lambda a, b: np.linalg.lstsq(a, b)[1], RNG.normal(size=(4, 2)), draw(RNG, (4, 2), complex))


def test_the_cost_of_a_factorisation_counts_once():
    x = positive(10, 10)
    for f, each in ((np.linalg.svd, 22), (np.linalg.eigh, 9), (np.linalg.eig, 25), (np.linalg.cholesky, 1 / 3)):
        part = lambda x, f=f: f(x) if f is np.linalg.cholesky else f(x)[0]
        cost = autodiff.trace(part)(x).cost()
        assert cost.flops == round(each * 1000)
