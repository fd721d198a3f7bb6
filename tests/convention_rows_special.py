"""Checks of the rows on special functions and on SciPy of autodiff/CONVENTIONS.md."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg as sl
import scipy.special as sc

from autodiff import grad, hessian, jacfwd, jacrev, jvp, vmap
from autodiff.core.errors import BatchingError, MissingRuleError
from autodiff.scipy import integrate, interpolate, linalg, optimize, special, stats
from tests.convention_rows import has, row, slopes

INF, NAN = np.inf, np.nan


def by(f, args, *want):
    """Check the derivatives of a function by each of its arguments."""
    has(lambda x: f(*x), np.array(args, float), want)


@row(
    "order of `jv`, `yv`, `iv`, `kv`, Hankel, Struve and spherical functions, `expn`, `polygamma`; degree of `eval_*`; "
    "parameters of `hyp*`"
)
def orders():
    for f in (
        *(lambda v: sc.jv(v, 1.0), lambda v: sc.yv(v, 1.0), lambda v: sc.iv(v, 1.0), lambda v: sc.kv(v, 1.0)),
        *(lambda v: np.real(sc.hankel1(v, 1.0)), lambda v: sc.struve(v, 1.0), lambda v: sc.expn(v, 1.0)),
        *(lambda v: special.polygamma(v, 1.0), lambda v: sc.eval_legendre(v, 0.5), lambda v: sc.hyp1f1(v, 2.0, 0.5)),
    ):
        with pytest.raises(MissingRuleError, match="with respect to"):
            grad(f)(1.0)


@row("`gammainc`, `betainc` and what is made of them, by their parameters")
def incomplete():
    h = 1e-5
    for f, a in ((lambda a: sc.gammainc(a, 1.5), 2.0), (lambda a: sc.betainc(a, 1.5, 0.3), 2.0)):
        has(f, a, (8 * (f(a + h) - f(a - h)) - f(a + 2 * h) + f(a - 2 * h)) / (12 * h), rtol=1e-8)
    for x in (0.0, INF):
        has(lambda a, x=x: sc.gammainc(a, x), 2.0, 0)
    for x in (0.0, 1.0):
        has(lambda a, x=x: sc.betainc(a, 1.5, x), 2.0, 0)


@row("`gamma`, `gammaln` at 0")
def gamma_at_zero():
    for f in (sc.gamma, sc.gammaln):
        has(f, 0.0, -INF)


@row("`gamma`, `gammaln`, `poch` by its first argument, at negative integers")
def gamma_at_poles():
    for f in (sc.gamma, sc.gammaln, lambda x: sc.poch(x, 1.5)):
        has(f, -2.0, NAN)


@row("`rgamma` at 0 and negative integers; `binom` where it is 0")
def entire():
    has(sc.rgamma, [0.0, -1.0, -2.0, -3.0], np.diag([1, -1, 2, -6]))
    by(sc.binom, (2.0, 4.0), -1 / 12, 1 / 12)


@row("`digamma` at negative integers")
def digamma():
    has(sc.psi, -2.0, INF)
    assert np.isnan(sc.psi(-2.0))


@row("`xlogy(0, y)`, `xlog1py(0, y)`")
def x_log_y():
    for f, y in ((sc.xlogy, 0.0), (sc.xlog1py, -1.0)):
        assert jacrev(f, (0, 1))(0.0, y) == jacfwd(f, (0, 1))(0.0, y) == (-INF, 0)
    by(sc.xlogy, (0.0, 2.0), np.log(2), 0)
    has(lambda x: sc.xlogy(x, x), 0.0, -INF)


@row("`entr`, `rel_entr`, `kl_div` at x = 0")
def entropies():
    has(sc.entr, 0.0, INF)
    for f, want in ((sc.rel_entr, (-INF, 0)), (sc.kl_div, (-INF, 1))):
        assert jacrev(f, (0, 1))(0.0, 1.0) == jacfwd(f, (0, 1))(0.0, 1.0) == want


@row("the same where the value is -inf or inf because an argument is negative")
def negative_entropies():
    has(sc.entr, -1.0, 0)
    by(sc.rel_entr, (1.0, -1.0), 0, 0)
    by(sc.kl_div, (1.0, -1.0), 0, 0)


@row("`huber`, `pseudo_huber` with delta <= 0")
def losses():
    for f in (sc.huber, sc.pseudo_huber):
        by(f, (0.0, -2.0), 2, 0)
        by(f, (1e-9, -2.0), 2 - (f is sc.huber) * 1e-9 - (f is sc.pseudo_huber) * 2e-9, -1e-9)
        by(f, (-1.0, 2.0), 0, 0)


@row("`logit`, `erfinv`, `ndtri` at the ends of their interval")
def ends_of_inverses():
    for f, low in ((sc.logit, 0.0), (sc.erfinv, -1.0), (sc.ndtri, 0.0)):
        has(f, low, INF)
        has(f, 1.0, INF)


@row("`log_ndtr`, `erfcx`, `dawsn`, `log_expit` in the far tail")
def tails():
    has(sc.log_ndtr, -1e5, 1e5, rtol=1e-9)
    assert hessian(sc.log_ndtr)(-1e5) == pytest.approx(-1, abs=1e-9)
    has(sc.erfcx, 1e4, -1e-8 / np.sqrt(np.pi), rtol=1e-7)
    has(sc.dawsn, 1e4, -0.5e-8, rtol=1e-7)
    has(sc.log_expit, -800.0, 1)


@row("`i0e`, `i1e`, `ive` at 0")
def scaled_at_zero():
    has(sc.i0e, 0.0, 0)
    has(lambda x: sc.ive(0, x), 0.0, 0)
    has(sc.i1e, 0.0, 0.5)


@row("`i0e`, `i1e`, `ive`, `k0e`, `k1e`, `kve` of large x")
def scaled_far_away():
    x = 1e4
    want = -0.5 * x**-1.5 / np.sqrt(2 * np.pi) * (1 + 3 / (8 * x) + 75 / (128 * x * x))
    has(sc.i0e, x, want, rtol=1e-11)


@row("`jve`, `yve`, `ive` of complex numbers")
def not_holomorphic():
    z, t = 1.0 + 0.5j, 0.3 - 0.2j
    for f in (sc.jve, sc.yve, sc.ive):
        g = lambda z, f=f: f(1.0, z)
        h = 1e-6
        np.testing.assert_allclose(jvp(g, (z,), (t,))[1], (g(z + h * t) - g(z - h * t)) / (2 * h), rtol=1e-8)


@row("`logsumexp` where everything is -inf")
def masked_row():
    assert special.logsumexp([-INF, -INF]) == -INF
    has(special.logsumexp, [-INF, -INF], [0, 0])
    has(special.logsumexp, [-INF, 1.0], [0, 1], np.zeros((2, 2)))


@row("`logsumexp` where an element is inf")
def infinite_row():
    for d in (jacfwd, jacrev):
        assert np.isnan(d(special.logsumexp)(np.array([INF, 1.0]))).any()


@row("`logsumexp` of a negative sum, sign not asked for")
def negative_sum():
    assert np.isnan(slopes(lambda x: special.logsumexp(x, b=-np.ones(2)), [0.0, 1.0])).all()


@row("`lambertw` at 0, branch 0")
def lambert():
    has(lambda x: np.real(special.lambertw(x)), 0.0, 1)


@row("`comb`, `perm`, `factorial` where they are defined as 0")
def counting():
    by(special.comb, (2.0, 3.0), 0, 0)
    by(special.perm, (2.0, 3.0), 0, 0)
    has(special.factorial, -1.0, 0)


@row("counts in `bdtr`, `pdtr`, `nbdtr`; outcomes of discrete families and the n of `binom`, `multinomial`")
def whole_numbers():
    has(lambda k: sc.pdtr(k, 2.0), 3.0, 0)
    has(lambda k: sc.bdtr(k, 5, 0.3), 3.0, 0)
    has(lambda k: stats.poisson.logpmf(k, 2.0), 3.0, 0)
    has(lambda n: stats.binom.logpmf(3, n, 0.3), 7.0, 0)


@row("densities outside of their support")
def outside():
    for f in (stats.beta.logpdf, stats.beta.pdf):
        has(lambda x, f=f: f(x, 1.5, 2.5), [-1.0, 2.0], np.zeros((2, 2)))
    assert stats.beta.logpdf(2.0, 1.5, 2.5) == -INF


@row("densities at an end of their support")
def ends_of_support():
    has(stats.expon.logpdf, 0.0, -1)
    has(lambda x: stats.gamma.logpdf(x, 2.0), 0.0, INF)


@row("parameters that are not allowed")
def forbidden():
    for f in (lambda s: stats.norm.logpdf(0.0, 0.0, s), lambda s: stats.gamma.logpdf(1.0, s)):
        assert np.isnan(jvp(f, (-1.0,), (1.0,))[0])


@row("`multinomial` where p does not sum to one")
def last_probability():
    f = lambda p: stats.multinomial.logpmf([1, 2], 3, p)
    has(f, [0.25, 0.5], slopes(lambda p: f(np.stack([p[0], 1 - p[0]])), np.array([0.25, 0.5])))


# -- SciPy ---------------------------------------------------------------------------------------------------

A = np.array([[4.0, 1, 0], [1, 5, 2], [0, 2, 6]])
B = np.array([1.0, 2.0, 3.0])


@row("`cholesky`, `cho_factor`, `solve(assume_a=...)`, `solve_triangular`, `solveh_banded`")
def parts_that_are_read():
    for f in (
        *(linalg.cholesky, lambda a: linalg.cho_factor(a)[0]),
        *(lambda a: linalg.solve(a, B, assume_a="pos"), lambda a: linalg.solve_triangular(a, B)),
    ):
        g = grad(lambda a, f=f: np.sum(np.triu(f(a)) ** 2 if np.ndim(f(a)) > 1 else f(a) ** 2))(A)
        np.testing.assert_array_equal(g, np.triu(g))
    g = grad(lambda ab: np.sum(linalg.solveh_banded(ab, B)))(np.array([[9.0, 1, 2], [4, 5, 6]]))
    assert g[0, 0] == 0


@row("permutations of `lu`, `lu_factor`, `qr(pivoting=True)`")
def permutations():
    assert not grad(lambda a: np.sum(linalg.lu(a)[0] * A))(A).any()
    assert not grad(lambda a: np.sum(linalg.lu_factor(a)[1] * 1.0))(A).any()
    assert not grad(lambda a: np.sum(linalg.qr(a, pivoting=True)[2] * 1.0))(A).any()


@row("`eigh` of one matrix: signs and phases of the vectors, inside a transform")
def signs_of_eigenvectors():
    t = np.arange(9.0).reshape(3, 3)
    a = np.cos(t + t.T)
    (w, v), (dw, dv) = jvp(linalg.eigh, (a,), (t,))
    (nw, nv), (ndw, ndv) = jvp(lambda a: tuple(np.linalg.eigh(a)), (a,), (t,))
    for ours, theirs in ((w, nw), (v, nv), (dw, ndw), (dv, ndv)):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(np.abs(v), np.abs(sl.eigh(a)[1]), rtol=1e-12)


@row("`expm`, `logm`, `sqrtm` and the others: repeated eigenvalues")
def functions_of_repeated_eigenvalues():
    t, u = np.arange(9.0).reshape(3, 3), np.cos(np.arange(9.0)).reshape(3, 3)
    for f, rule in ((linalg.expm, np.e), (linalg.logm, 1.0), (linalg.sqrtm, 0.5)):
        value, change = jvp(f, (np.eye(3),), (t,))
        np.testing.assert_allclose(value, getattr(sl, f.__name__)(np.eye(3)), atol=1e-14)
        np.testing.assert_allclose(change, rule * t, rtol=1e-12, atol=1e-13)
        factor = {"expm": np.e / 2, "logm": -0.5, "sqrtm": -0.125}[f.__name__]
        second = jvp(lambda a, f=f: jvp(f, (a,), (t,))[1], (np.eye(3),), (u,))[1]
        np.testing.assert_allclose(second, factor * (t @ u + u @ t), rtol=1e-11, atol=1e-12)


@row("`logm`, `sqrtm` of a real matrix with negative eigenvalues")
def principal_branch():
    for f, want in ((linalg.logm, [-1 / 2, 1]), (linalg.sqrtm, [0.5 / (1j * np.sqrt(2)), 0.5])):
        value, change = jvp(f, (np.diag([-2.0, 1.0]),), (np.eye(2),))
        assert value.dtype.kind == "c"
        np.testing.assert_allclose(np.diag(change), want, rtol=1e-12)


@row("`polar` of equal singular values; without full rank")
def polar():
    t = np.array([[0.0, 1], [-2, 0]])
    change = jvp(lambda a: linalg.polar(a)[0], (np.eye(2),), (t,))[1]
    np.testing.assert_allclose(change, (t - t.T) / 2, atol=1e-14)
    with pytest.raises(np.linalg.LinAlgError):
        grad(lambda a: np.sum(linalg.polar(a)[0]))(np.ones((2, 2)))


@row('`qr(mode="full")` of tall matrices')
def full_qr():
    with pytest.raises(MissingRuleError, match=r"qr"):
        grad(lambda a: np.sum(linalg.qr(a)[0]))(A[:, :2])


@row("`root`, `minimize`, `least_squares` and the others: value inside a transform")
def refined():
    f = lambda p: optimize.root(lambda x: x**3 - p, 1.0, tol=1e-3).x
    value = jvp(f, (np.array([8.0]),), (np.array([1.0]),))[0]
    assert value[0] == pytest.approx(2.0, rel=1e-12)
    has(f, np.array([8.0]), [[1 / 12]])


@row("`root` ... : the start, the bracket")
def start():
    assert grad(lambda x0: optimize.root(lambda x: x**3 - 8.0, x0).x[0])(np.array([1.0])).tolist() == [0]
    assert grad(lambda a: optimize.brentq(lambda x: x**3 - 8.0, a, 5.0))(1.0) == 0


@row("`root` ... : singular Jacobian, no convergence")
def no_solution():
    twice = lambda p: optimize.root(lambda x: np.stack([x[0] - p, 2 * (x[0] - p)]), np.ones(2)).x[0]
    none = lambda p: optimize.root(lambda x: x**2 + 1 + p, 1.0).x[0]
    for f in (twice, none):
        with pytest.raises(optimize.SolutionError):
            grad(f)(0.0)


@row("`minimize`, `least_squares`: unknowns at a bound")
def at_a_bound():
    f = lambda p: optimize.minimize(lambda x: np.sum((x - p) ** 2), np.ones(2), bounds=[(0, 2), (0, 2)]).x
    has(f, np.array([-1.0, 1.5]), [[0, 0], [0, 1]], rtol=1e-6)


@row("`solve_ivp`, `odeint`")
def discrete():
    """Also the second derivative is that of the discrete solution, as differences on the same steps find it."""
    f = lambda a: integrate.solve_ivp(lambda t, y: -a * y, (0.0, 1.0), np.ones(1), rtol=1e-10, atol=1e-10).y[0, -1]
    has(f, 0.5, -np.exp(-0.5), rtol=1e-8)
    assert hessian(f)(0.5) == pytest.approx(np.exp(-0.5), rel=1e-7)


@row("`solve_ivp`: times of events")
def events():
    half = lambda t, y: y[0] - 0.5
    f = lambda a, event: integrate.solve_ivp(lambda t, y: -a * y, (0, 3), np.ones(1), events=event).t_events[0][0]
    has(lambda a: f(a, half), 0.5, -np.log(2) / 0.25, rtol=1e-3)
    touch = lambda t, y: y[0] * 0.0 + np.where(t > 0.5, 1.0, -1.0)
    with pytest.raises(optimize.SolutionError, match="slope of an event"):
        grad(f)(0.5, touch)


@row("`quad`: nodes")
def nodes():
    f = lambda a: integrate.quad(lambda x: x ** (a - 1), 0.0, 1.0)[0]
    assert jacfwd(f)(0.5) == pytest.approx(-4, rel=1e-6)
    assert jacrev(f)(0.5) == pytest.approx(-4, rel=1e-4)


@row("`interp1d`, `RegularGridInterpolator`: derivative by the point, at a knot")
def knots():
    x, y = np.arange(3.0), np.array([0.0, 1.0, 4.0])
    for f in (interpolate.interp1d(x, y), interpolate.RegularGridInterpolator((x,), y)):
        has(f, [1.0, 2.0], np.diag([3, 3]))


@row('`interp1d` of steps, `method="nearest"`')
def steps():
    x = np.arange(3.0)
    has(interpolate.interp1d(x, x, "nearest"), 0.7, 0)
    has(lambda v: interpolate.interpn((x,), x, v, "nearest"), [0.7], [[0]])


@row("`PchipInterpolator` where secants vanish or differ in sign")
def turning():
    x, flat = np.arange(5.0), np.array([0.0, 1, 2, 1, 0])
    has(lambda y: interpolate.PchipInterpolator(x, y)(2.0, 1), flat, np.zeros(5))


@row("`Akima1DInterpolator` where the secants do not change")
def straight():
    x = np.arange(6.0)
    bent = lambda y: interpolate.Akima1DInterpolator(x, y)(2.0, 1)
    assert np.isfinite(slopes(bent, x)).all()
    assert slopes(bent, x) @ x == pytest.approx(1)


@row('splines with `bc_type="periodic"`')
def periodic():
    x, y = np.arange(5.0), np.array([0.0, 1, 0, -1, 0])
    g = slopes(lambda y: interpolate.CubicSpline(x, y, bc_type="periodic")(0.5), y)
    assert g[-1] == 0
    assert np.sum(g) == pytest.approx(1)


@row("interpolators, `newton` of arrays: traced knots; a traced start")
def refused():
    with pytest.raises(MissingRuleError, match="traced knots"):
        grad(lambda x: interpolate.CubicSpline(x, B)(0.5))(B)
    with pytest.raises(MissingRuleError, match="newton"):
        grad(lambda x: np.sum(optimize.newton(lambda y: y**2 - 2, x)))(B)


@row("`vmap` of solvers that iterate")
def mapped():
    with pytest.raises(BatchingError, match="Python loop over the examples"):
        vmap(lambda p: optimize.root(lambda x: x**3 - p, 1.0).x)(B)
