"""Families of distributions: values are SciPy's, derivatives are those of the values, outside of the support 0."""

import numpy as np
import pytest
import scipy.stats

from autodiff import check_grads, grad, hessian, jacfwd, jacrev, jvp
from autodiff.core.errors import MissingRuleError
from autodiff.scipy import stats

CONTINUOUS = {
    "norm": (), "t": (3.3,), "cauchy": (), "laplace": (), "logistic": (), "expon": (), "gamma": (1.7,),
    "invgamma": (2.2,), "beta": (1.5, 2.5), "uniform": (), "lognorm": (0.7,), "pareto": (2.5,), "weibull_min": (1.4,),
    "gumbel_r": (), "gumbel_l": (), "chi2": (3.1,), "halfnorm": (), "truncnorm": (-0.5, 1.2), "vonmises": (1.3,),
    "rayleigh": (), "halfcauchy": (), "f": (3.0, 5.0),
}  # fmt: skip
DISCRETE = {"bernoulli": (0.3,), "binom": (7.0, 0.3), "poisson": (2.5,), "geom": (0.3,), "nbinom": (3.5, 0.4)}
POINTS = np.array([-30.0, -1.1, -0.4, 0.0, 0.3, 0.9, 1.0, 1.5, 2.5, 40.0, np.nan])
QUANTILES = np.array([0.0, 0.1, 0.5, 0.9, 1.0, -0.5, np.nan])
COUNTS = np.array([-1, 0, 1, 1.5, 2, 5, 7, 8, 30, np.nan])
#: Where SciPy's own loses the tail: we say -803.9 and -2.3e-23, it says -inf and 0.
BETTER = {("halfnorm", "logsf"): 9, ("poisson", "logcdf"): 8}


def methods(family):
    return [m for m in family._methods if m in family._formulas]


def agree(got, want, name, method):
    keep = np.arange(len(got)) != BETTER.get((name, method), -1)
    np.testing.assert_allclose(got[keep], want[keep], rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_values_are_scipys(name):
    family, theirs, shapes = getattr(stats, name), getattr(scipy.stats, name), CONTINUOUS[name]
    for method in methods(family):
        x = QUANTILES if method in {"ppf", "isf"} else POINTS
        for loc, scale in ((0.0, 1.0), (0.3, 1.6)):
            got = jvp(lambda z: getattr(family, method)(z, *shapes, loc=loc, scale=scale), (x,), (np.ones_like(x),))[0]  # noqa: B023
            with np.errstate(all="ignore"):
                want = getattr(theirs, method)(x, *shapes, loc, scale)
                plain = getattr(family, method)(x, *shapes, loc, scale)
            agree(got, want, name, method)
            np.testing.assert_array_equal(plain, want)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_values_are_scipys(name):
    family, theirs, shapes = getattr(stats, name), getattr(scipy.stats, name), DISCRETE[name]
    for method in methods(family):
        for loc in (0, 1):
            got = jvp(lambda *s: getattr(family, method)(COUNTS, *s, loc), shapes, (1.0,) * len(shapes))[0]  # noqa: B023
            with np.errstate(all="ignore"):
                want = getattr(theirs, method)(COUNTS, *shapes, loc)
            agree(got, want, name, method)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_derivatives_by_all_arguments(name):
    """Against differences, in both modes and to second order, at points inside of the support."""
    family, shapes = getattr(stats, name), CONTINUOUS[name]
    inside = np.array([1.3, 2.1]) if name == "pareto" else np.array([0.3, 0.55, 0.8])
    for method in methods(family):
        x = np.array([0.3, 0.7]) if method in {"ppf", "isf"} else inside
        args = (x, *map(np.float64, shapes), np.float64(-0.1), np.float64(1.2))
        f = getattr(family, method)
        check_grads(f, args, order=2 if method in {"logpdf", "ppf"} else 1)
        np.testing.assert_allclose(jacfwd(f)(*args), jacrev(f)(*args), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", DISCRETE)
def test_derivatives_by_parameters(name):
    family, shapes = getattr(stats, name), tuple(map(np.float64, DISCRETE[name]))
    k = np.array([0.0, 1.0]) if name == "bernoulli" else np.array([1.0, 2.0, 5.0])
    for method in methods(family):
        some = k[:1] if name == "bernoulli" and method == "logsf" else k  # beyond its last outcome it is -inf
        if name == "binom":
            f = lambda p: getattr(family, method)(some, 7, p)  # noqa: B023
        else:
            f = lambda *s: getattr(family, method)(some, *s)  # noqa: B023
        check_grads(f, shapes[-1:] if name == "binom" else shapes, order=2 if method == "logpmf" else 1)


def test_whole_numbers_are_constants():
    assert grad(lambda k: stats.poisson.logpmf(k, 2.0))(3.0) == 0
    assert grad(lambda n: stats.binom.logpmf(3, n, 0.3))(7.0) == 0
    assert grad(lambda n: stats.binom.cdf(3, n, 0.3))(7.0) == 0
    assert np.isnan(jvp(lambda n: stats.binom.logpmf(3, n, 0.3), (7.5,), (1.0,))[0])


def test_outside_of_the_support():
    x = np.array([-1.0, 0.5, 2.0])
    for family, shapes in ((stats.beta, (1.5, 2.5)), (stats.uniform, ()), (stats.truncnorm, (0.0, 1.0))):
        y, t = jvp(lambda z, f=family, s=shapes: f.logpdf(z, *s), (x,), (np.ones(3),))
        assert (y[0], y[2]) == (-np.inf, -np.inf)
        assert (t[0], t[2]) == (0.0, 0.0)
        y, t = jvp(lambda z, f=family, s=shapes: f.pdf(z, *s), (x,), (np.ones(3),))
        assert (y[0], y[2], t[0], t[2]) == (0.0, 0.0, 0.0, 0.0)
    assert grad(lambda a: stats.gamma.logpdf(-1.0, a))(2.0) == 0
    assert grad(lambda mu: stats.poisson.logpmf(-1, mu))(2.0) == 0
    assert grad(lambda mu: stats.poisson.logpmf(1.5, mu))(2.0) == 0
    assert grad(lambda n: stats.binom.logpmf(9, n, 0.5))(7.0) == 0


def test_the_ends_of_the_support():
    """An end belongs to the support: its derivative is the one from inside, infinite where the density has a pole."""
    assert grad(stats.expon.logpdf)(0.0) == -1
    assert grad(lambda x: stats.gamma.logpdf(x, 2.0))(0.0) == np.inf
    assert grad(lambda a: stats.beta.logpdf(0.0, a, 2.0))(1.0) == -np.inf
    assert grad(lambda p: stats.bernoulli.logpmf(0, p))(0.0) == -1
    assert grad(lambda p: stats.bernoulli.logpmf(1, p))(1.0) == 1
    assert grad(stats.laplace.logpdf)(0.0) == 0
    assert grad(grad(stats.logistic.logpdf))(0.0) == -0.5


def test_parameters_that_are_not_allowed():
    assert np.isnan(jvp(lambda s: stats.norm.logpdf(0.0, 0.0, s), (-1.0,), (1.0,))[0])
    assert np.isnan(jvp(lambda p: stats.bernoulli.logpmf(1, p), (1.5,), (1.0,))[0])
    assert np.isnan(jvp(lambda a: stats.gamma.cdf(1.0, a), (0.0,), (1.0,))[0])


def test_far_tails():
    np.testing.assert_allclose(grad(stats.norm.logcdf)(-1e5), 1e5, rtol=1e-9)
    np.testing.assert_allclose(hessian(stats.norm.logcdf)(-1e5), -1.0, rtol=1e-9)
    np.testing.assert_allclose(grad(lambda a: stats.truncnorm.logpdf(31.0, a, np.inf))(30.0), 30.0332594, rtol=1e-8)
    np.testing.assert_allclose(stats.norm.logsf(40.0), -804.608442, rtol=1e-8)


def test_float32_is_kept():
    x = np.linspace(0.2, 0.8, 3, dtype=np.float32)
    for name, shapes in CONTINUOUS.items():
        family = getattr(stats, name)
        y, t = jvp(lambda z, f=family, s=shapes: f.logpdf(z, *s), (x,), (np.ones_like(x),))
        assert y.dtype == t.dtype == family.logpdf(x, *shapes).dtype == np.float32
    assert jvp(lambda p: stats.binom.logpmf(2, 5, p), (x,), (x,))[0].dtype == np.float32


def test_broadcasting_and_empty():
    x, loc = np.linspace(0.5, 2, 4), np.array([[0.1], [0.2], [0.3]])
    y = jacrev(lambda m: stats.norm.logpdf(x, m))(loc)
    assert y.shape == (3, 4, 3, 1)
    np.testing.assert_allclose(np.sum(y, axis=(2, 3)), x - loc)
    assert jacrev(lambda m: stats.gamma.logpdf(np.zeros(0), m))(2.0).shape == (0,)


# -- several variables -----------------------------------------------------------------------------------------


def spd(rng, d):
    a = rng.normal(size=(d, d))
    return a @ a.T + d * np.eye(d)


def test_multivariate_normal(rng):
    x, mean, cov = rng.normal(size=(4, 3)), rng.normal(size=3), spd(rng, 3)
    f = stats.multivariate_normal.logpdf
    want = scipy.stats.multivariate_normal.logpdf(x, mean, cov)
    np.testing.assert_allclose(jvp(lambda m: f(x, m, cov), (mean,), (mean,))[0], want, rtol=1e-12)
    np.testing.assert_array_equal(f(x, mean, cov), want)
    check_grads(lambda x, m, root: f(x, m, root @ root.T + np.eye(3)), (x, mean, rng.normal(size=(3, 3))), order=2)
    inverse = np.linalg.inv(cov)
    np.testing.assert_allclose(grad(f)(x[0], mean, cov), -inverse @ (x[0] - mean), rtol=1e-11)
    r = inverse @ (x[0] - mean)
    symmetric = grad(lambda c: f(x[0], mean, 0.5 * (c + c.T)))(cov)
    np.testing.assert_allclose(symmetric, 0.5 * (np.outer(r, r) - inverse), rtol=1e-10)


@pytest.mark.parametrize("cov", [2.0, np.array([0.5, 1.0, 2.0])])
def test_multivariate_normal_with_a_diagonal(rng, cov):
    x = rng.normal(size=(2, 3))
    mean = np.zeros(3) if np.ndim(cov) else None
    f = stats.multivariate_normal.logpdf
    if mean is None:
        x = x[:, 0]
    got = jvp(lambda c: f(x, mean, c), (cov,), (cov,))[0]
    np.testing.assert_allclose(got, scipy.stats.multivariate_normal.logpdf(x, mean, cov), rtol=1e-12)
    check_grads(lambda x, c: f(x, mean, c), (x, cov), order=2)


def test_multivariate_normal_errors():
    f = stats.multivariate_normal.logpdf
    with pytest.raises(ValueError, match=r"mean float64\[2\] and cov float64\[3,3\] do not fit"):
        grad(lambda m: f(np.zeros(3), m, np.eye(3)))(np.zeros(2))
    with pytest.raises(ValueError, match="must have the 2 variables on its last axis"):
        grad(lambda m: f(np.zeros(3), m, np.eye(2)))(np.zeros(2))
    with pytest.raises(MissingRuleError, match="allow_singular=True has no derivative rule"):
        grad(lambda m: f(np.zeros(2), m, np.eye(2), allow_singular=True))(np.zeros(2))
    with pytest.raises(np.linalg.LinAlgError):
        grad(lambda c: f(np.zeros(2), np.zeros(2), c))(np.array([[1.0, 2.0], [2.0, 1.0]]))


def test_dirichlet(rng):
    alpha = rng.uniform(0.5, 3.0, 3)
    x = rng.dirichlet(alpha, size=4).T
    for points in (x, x[:, 0], x[:-1], x[:-1, 0]):
        f = lambda a, p=points: stats.dirichlet.logpdf(p, a)
        want = scipy.stats.dirichlet.logpdf(points, alpha)
        np.testing.assert_allclose(jvp(f, (alpha,), (alpha,))[0], want, rtol=1e-12)
        check_grads(f, (alpha,), order=2)
    check_grads(lambda z: stats.dirichlet.logpdf(np.exp(z) / np.sum(np.exp(z)), alpha), (rng.normal(size=3),), order=2)
    with pytest.raises(ValueError, match="must sum to one"):
        grad(lambda a: stats.dirichlet.logpdf(np.array([0.5, 0.6, 0.2]), a))(alpha)
    with pytest.raises(ValueError, match="entry of alpha must be greater than zero"):
        grad(lambda a: stats.dirichlet.logpdf(x, a).sum())(-alpha)
    with pytest.raises(ValueError, match="one row for each of alpha"):
        grad(lambda a: stats.dirichlet.logpdf(np.ones(5), a))(alpha)


def test_multinomial(rng):
    p = np.array([0.2, 0.3, 0.5])
    x = np.array([[1, 2, 3], [6, 0, 0], [1, 1, 1]])
    got, t = jvp(lambda p: stats.multinomial.logpmf(x, 6, p), (p,), (np.array([1.0, 0.0, -1.0]),))
    np.testing.assert_allclose(got, scipy.stats.multinomial.logpmf(x, 6, p), rtol=1e-12)
    np.testing.assert_allclose(t, [1 / 0.2 - 3 / 0.5, 6 / 0.2, 0.0])
    y, t = jvp(lambda p: stats.multinomial.logpmf(x[0], 6, p), (np.array([0.2, 0.3, 0.9]),), (np.ones(3),))
    np.testing.assert_allclose((y, t), (got[0], 1 / 0.2 + 2 / 0.3 - 2 * 3 / 0.5), rtol=1e-12)  # the last is the rest
    assert np.isnan(jvp(lambda p: stats.multinomial.logpmf(x[0], 6, p), (np.array([-0.2, 0.7, 0.5]),), (p,))[0])
    logits = rng.normal(size=3)
    categorical = grad(lambda z: stats.multinomial.logpmf(np.eye(3)[1], 1, np.exp(z) / np.sum(np.exp(z))))(logits)
    np.testing.assert_allclose(categorical, np.eye(3)[1] - np.exp(logits) / np.sum(np.exp(logits)), atol=1e-13)


# -- errors ------------------------------------------------------------------------------------------------------


def test_errors():
    with pytest.raises(TypeError, match=r"norm: frozen distributions .* norm.logpdf\(x, loc\)"):
        stats.norm(0.0, 1.0)
    with pytest.raises(TypeError, match="dirichlet: frozen"):
        stats.dirichlet([1.0, 2.0])
    with pytest.raises(MissingRuleError, match=r"vonmises.cdf has no derivative rule.* vonmises has logpdf, pdf"):
        grad(lambda x: stats.vonmises.cdf(x, 1.0))(0.5)
    with pytest.raises(TypeError, match=r"gamma.logpdf: the shape parameter 'a' is missing"):
        grad(lambda x: stats.gamma.logpdf(x, scale=2.0))(1.0)
    with pytest.raises(TypeError, match=r"norm.logpdf: argument 'sigma' is unknown; it takes loc, scale"):
        grad(lambda x: stats.norm.logpdf(x, sigma=2.0))(1.0)
    with pytest.raises(TypeError, match=r"norm.logpdf: argument 'loc' is given twice"):
        grad(lambda x: stats.norm.logpdf(x, 1.0, loc=2.0))(1.0)
    with pytest.raises(TypeError, match=r"norm.logpdf: takes loc, scale after its first argument, got 3"):
        grad(lambda x: stats.norm.logpdf(x, 1.0, 2.0, 3.0))(1.0)
    with pytest.raises(MissingRuleError, match=r"autodiff.scipy.stats has no erlang: .* Closest: gamma"):
        _ = stats.erlang
    assert stats.norm.mean(loc=2.0) == 2.0
    assert not hasattr(stats.norm, "_no_such_name")
    assert not hasattr(stats.dirichlet, "_no_such_name")
    assert repr(stats.vonmises) == "<vonmises: logpdf, pdf>"
