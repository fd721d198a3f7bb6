"""Functions that are compositions, under vmap: values and gradients beside a loop over the examples."""

import numpy as np
import pytest

from autodiff import grad, vmap
from autodiff.scipy import special, stats

RNG = np.random.default_rng(7)
A, B = RNG.normal(size=(4, 3, 2)), RNG.uniform(0.1, 0.9, (4, 3, 2))
POINTS, ALPHA, P = RNG.normal(size=(4, 3)), RNG.uniform(0.5, 2, (4, 3)), RNG.dirichlet(np.ones(3), 4)
COV = np.stack([np.eye(3) * (k + 1) + 0.1 for k in range(4)])


def beside_a_loop(f, *xs):
    total = lambda *v: np.sum(f(*v))
    every = [tuple(x[k] for x in xs) for k in range(len(xs[0]))]
    np.testing.assert_allclose(vmap(f)(*xs), np.stack([f(*v) for v in every]), rtol=1e-12, atol=1e-14)
    want = np.stack([grad(total)(*v) for v in every])
    np.testing.assert_allclose(vmap(grad(total))(*xs), want, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(grad(lambda *v: np.sum(vmap(f)(*v)))(*xs), want, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
def test_sums_of_exponentials(axis):
    beside_a_loop(lambda x: special.logsumexp(x, axis=axis), A)
    beside_a_loop(lambda x, b: special.logsumexp(x, axis=axis, b=b), A, B)
    beside_a_loop(lambda x: special.softmax(x, axis=axis), A)
    beside_a_loop(lambda x: special.log_softmax(x, axis=axis), A)


SPECIAL = {
    "comb": (lambda x: special.comb(x, 2.0), 5 * B),
    "factorial": (special.factorial, A),
    "zeta": (special.zeta, 2 * A),
    "polygamma": (lambda x: special.polygamma(1, x), B),
    "multigammaln": (lambda x: special.multigammaln(x, 3), B + 3),
    "spherical_jn": (lambda x: special.spherical_jn(np.arange(2), x), B),
    "lambertw": (lambda x: np.real(special.lambertw(x)), B),
    "sph_harm_y": (lambda x: np.real(special.sph_harm_y(3, 1, x, 0.3)), B),
    "airy": (lambda x: special.airy(x)[1], A),
    "gammainc": (lambda a: special.gammainc(a, 1.5), B),
    "chdtr": (lambda x: special.chdtr(3.0, x), B),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions(name):
    beside_a_loop(*SPECIAL[name])


FAMILIES = {
    "norm": (), "t": (3.3,), "gamma": (1.7,), "beta": (1.5, 2.5), "truncnorm": (-0.5, 1.2), "laplace": (), "expon": (),
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_continuous_families(name):
    family = getattr(stats, name)
    for method in ("logpdf", "logcdf", "sf", "ppf"):
        beside_a_loop(lambda x: getattr(family, method)(x, *FAMILIES[name], 0.05, 1.1), B)  # noqa: B023


def test_discrete_and_multivariate_families():
    beside_a_loop(lambda p: stats.binom.logpmf(2, 5, p), B)
    beside_a_loop(lambda p: stats.poisson.cdf(2, p), B)
    beside_a_loop(lambda x: stats.multivariate_normal.logpdf(x, np.zeros(3), COV[0]), POINTS)
    beside_a_loop(lambda c: stats.multivariate_normal.logpdf(POINTS[0], np.zeros(3), c), COV)
    beside_a_loop(lambda a: stats.dirichlet.logpdf(P[0], a), ALPHA)
    beside_a_loop(lambda p: stats.multinomial.logpmf(np.array([1, 2, 3]), 6, p), P)
