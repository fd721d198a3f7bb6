"""The incomplete gamma and beta functions by their parameters, against mpmath, and the functions made of them."""

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sc

from autodiff import check_grads, grad, hessian, jacfwd, jacrev, jvp
from autodiff.scipy.special._quadrature import betainc_derivative, gammainc_derivative


def stencil(f, *shift):
    """Central difference of `f` at high precision, along the axes in `shift` (a step for each)."""
    terms = [(1, [0] * len(shift))]
    for axis, h in enumerate(shift):
        if h:
            terms = [(c * s / (2 * h), [*at[:axis], s * h, *at[axis + 1 :]]) for c, at in terms for s in (1, -1)]
    return float(sum(c * f(*at) for c, at in terms))


@pytest.mark.parametrize(
    ("a", "x"),
    [
        (0.1, 0.05), (0.1, 2.0), (1e-3, 1e-2), (1.5, 0.3), (1.5, 1.5), (2.0, 30.0), (30.0, 25.0), (100.0, 130.0),
        (1000.0, 1010.0), (0.5, 1e-8), (20.0, 1.0),
    ],
)  # fmt: skip
def test_gammainc_by_its_parameter(a, x):
    with mp.workdps(60):
        h = mp.mpf(10) ** -12
        p = lambda s: mp.gammainc(a + s, 0, x, regularized=True)
        first = stencil(p, h)
        second = float((p(h) - 2 * p(0) + p(-h)) / h**2)
    np.testing.assert_allclose(gammainc_derivative(a, x, 1), first, rtol=3e-12)
    np.testing.assert_allclose(gammainc_derivative(a, x, 2), second, rtol=1e-9)
    assert grad(sc.gammainc)(a, x) == -grad(sc.gammaincc)(a, x) == gammainc_derivative(a, x, 1)


@pytest.mark.parametrize(
    ("a", "b", "x"),
    [
        (0.1, 0.2, 0.05), (0.1, 0.2, 0.9), (2.0, 3.0, 0.1), (2.0, 3.0, 0.9), (50.0, 80.0, 0.4), (500.0, 300.0, 0.6),
        (1e-2, 5.0, 1e-6), (3.0, 0.1, 0.999),
    ],
)  # fmt: skip
def test_betainc_by_its_parameters(a, b, x):
    with mp.workdps(40):
        h = mp.mpf(10) ** -10
        p = lambda s, r: mp.betainc(a + s, b + r, 0, x, regularized=True)
        want = stencil(p, h, 0), stencil(p, 0, h), stencil(p, h, h)
    got = [float(betainc_derivative(a, b, x, i, j)) for i, j in ((1, 0), (0, 1), (1, 1))]
    np.testing.assert_allclose(got, want, rtol=3e-12)
    np.testing.assert_allclose(jacrev(sc.betainc, (0, 1))(a, b, x), got[:2], rtol=1e-15)


def test_edges():
    """At the ends the functions do not depend on their parameters; outside of their domain they are NaN."""
    a, x = np.array([2.0, 2.0, -1.0, 2.0, np.nan]), np.array([0.0, np.inf, 1.0, -1.0, 1.0])
    np.testing.assert_array_equal(gammainc_derivative(a, x, 1), [0, 0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(
        betainc_derivative(a, 1.0, np.array([0, 1, 0.5, -0.5, 0.5]), 1, 0), [0, 0, *[np.nan] * 3]
    )
    assert gammainc_derivative(np.zeros((0, 2)), 1.0, 1).shape == (0, 2)
    assert grad(sc.gammainc, 1)(0.5, 0.0) == np.inf
    assert grad(sc.gammainc, 1)(2.0, 0.0) == 0
    assert hessian(lambda a: sc.gammainc(a, 0.0))(2.0) == 0


def test_many_elements_at_once(rng):
    a, x = rng.uniform(0.1, 50, (3, 3000)), rng.uniform(0.1, 50, (3, 3000))
    got = gammainc_derivative(a, x, 1)
    for i, j in ((0, 0), (1, 1500), (2, 2999)):
        np.testing.assert_allclose(got[i, j], gammainc_derivative(a[i, j], x[i, j], 1), rtol=1e-12)


DISTRIBUTIONS = [
    (sc.chdtr, (3.0, 2.0)), (sc.chdtrc, (3.0, 2.0)), (sc.chdtri, (3.0, 0.3)), (sc.gdtr, (1.2, 2.0, 0.7)),
    (sc.gdtrc, (1.2, 2.0, 0.7)), (sc.fdtr, (3.0, 4.0, 0.8)), (sc.fdtrc, (3.0, 4.0, 0.8)), (sc.stdtr, (3.5, -0.8)),
    (sc.stdtr, (3.5, 1e-3)), (sc.stdtrit, (3.5, 0.8)), (sc.gammaincinv, (2.0, 0.3)), (sc.gammainccinv, (2.0, 0.3)),
    (sc.betaincinv, (2.0, 3.0, 0.3)), (sc.betainccinv, (2.0, 3.0, 0.3)), (sc.betaincc, (2.0, 3.0, 0.3)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("f", "args"), DISTRIBUTIONS, ids=[f"{f.__name__}-{i}" for i, (f, _) in enumerate(DISTRIBUTIONS)]
)
def test_distribution_functions(f, args):
    args = tuple(map(np.float64, args))
    np.testing.assert_allclose(jvp(f, args, args)[0], f(*args), rtol=1e-13)
    check_grads(f, args, order=1)
    np.testing.assert_allclose(jacfwd(f, tuple(range(len(args))))(*args), jacrev(f, tuple(range(len(args))))(*args))


def test_counts_are_steps():
    p = np.array([0.2, 0.6])
    for f, lead in (
        (sc.bdtr, (2.0, 5)),
        (sc.bdtrc, (2.0, 5)),
        (sc.nbdtr, (2, 3)),
        (sc.nbdtrc, (2, 3)),
        (sc.pdtr, (2.0,)),
        (sc.pdtrc, (2.0,)),
    ):
        g = lambda p: f(*lead, p)  # noqa: B023
        np.testing.assert_allclose(jvp(g, (p,), (p,))[0], g(p), rtol=1e-13)
        check_grads(g, (p,), order=2)
    assert grad(lambda k: sc.pdtr(k, 1.5))(2.0) == 0
    np.testing.assert_array_equal(jvp(lambda p: sc.bdtr(5.0, 5, p), (p,), (p,)), [[1, 1], [0, 0]])
    np.testing.assert_array_equal(jvp(lambda p: sc.bdtrc(5.0, 5, p), (p,), (p,)), [[0, 0], [0, 0]])


def test_students_distribution_in_the_middle():
    assert jacrev(sc.stdtr, (0, 1))(3.0, 0.0)[0] == 0
    np.testing.assert_allclose(grad(sc.stdtr)(3.0, 1e-6), -grad(sc.stdtr)(3.0, -1e-6), rtol=1e-9)
