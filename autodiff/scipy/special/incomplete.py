"""The incomplete gamma and beta functions by all arguments, and the distribution functions made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sc

from autodiff.core import UFUNCS, Boundary, Operation, elementwise
from autodiff.scipy.special._common import draws, narrow, order, ordered, several
from autodiff.scipy.special._quadrature import bell, betainc_derivative, gammainc_derivative
from autodiff.scipy.special.gamma_functions import polygamma

__all__ = ["beta_density", "binomial_cdf", "binomial_sf", "gamma_density", "student_density"]

# -- gamma -----------------------------------------------------------------------------------------------------


def gamma_density(a: Any, x: Any) -> Any:
    """Return ``x**(a - 1) exp(-x) / gamma(a)``; 0 at infinity.

    Examples
    --------
    >>> float(gamma_density(1.0, 0.0))
    1.0
    """
    far = np.isinf(x)
    z = np.where(far, 1.0, x)
    return np.where(far, 0.0, np.exp(sc.xlogy(a - 1, z) - z - sc.gammaln(a)))


def _gamma_density_slope(a: Any, x: Any, m: int) -> Any:
    """Derivative `m` of the density by `a`."""
    log = np.log(np.where(np.equal(x, 0), 1.0, x))
    factor = bell(m, 0, lambda p, _q: log - sc.psi(a) if p == 1 else -polygamma(p - 1, a))
    return np.where(np.equal(x, 0), 0.0, gamma_density(a, x) * factor)


_gammainc_by_a: Operation = elementwise(
    ordered(lambda a, x, m: narrow(gammainc_derivative(a, x, m), a, x)),
    lambda t, _y, a, x, m: t * _gammainc_by_a(a, x, m + 1),
    lambda t, _y, a, x, m: t * _gamma_density_slope(a, x, order(m)),
    None,
    name="gammainc_by_parameter",
    samples=several(
        draws((0.5, 3.0), (0.5, 3.0), 1, shapes=((2,), (0,))), draws((0.5, 3.0), (0.5, 3.0), 2, shapes=((),))
    ),
)
elementwise(
    sc.gammainc,
    lambda t, _y, a, x: t * _gammainc_by_a(a, x, 1),
    lambda t, _y, a, x: t * gamma_density(a, x),
    domain=(0.5, 3.0),
    boundary=(Boundary((1.0, 0.0), (0.0, 1.0)), Boundary((2.0, 0.0), (0.0, 0.0)), Boundary((2.0, np.inf), (0.0, 0.0))),
)
elementwise(
    sc.gammaincc,
    lambda t, _y, a, x: -t * _gammainc_by_a(a, x, 1),
    lambda t, _y, a, x: -t * gamma_density(a, x),
    samples=draws((0.5, 3.0), (0.5, 3.0), shapes=((2,), (0,))),
)
elementwise(
    sc.gammaincinv,
    lambda t, y, a, _p: -t * _gammainc_by_a(a, y, 1) / gamma_density(a, y),
    lambda t, y, a, _p: t / gamma_density(a, y),
    samples=draws((0.5, 3.0), (0.2, 0.8), shapes=((),)),
)
elementwise(
    sc.gammainccinv,
    lambda t, y, a, _p: -t * _gammainc_by_a(a, y, 1) / gamma_density(a, y),
    lambda t, y, a, _p: -t / gamma_density(a, y),
    samples=draws((0.5, 3.0), (0.2, 0.8), shapes=((),)),
)

# -- beta ------------------------------------------------------------------------------------------------------


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """Return ``x**(a - 1) (1 - x)**(b - 1) / beta(a, b)``.

    Examples
    --------
    >>> float(beta_density(1.0, 1.0, 0.0))
    1.0
    """
    return np.exp(sc.xlogy(a - 1, x) + sc.xlog1py(b - 1, -x) - sc.betaln(a, b))


def _beta_density_slope(a: Any, b: Any, x: Any, i: int, j: int) -> Any:
    """Derivative (i, j) of the density by `a` and `b`."""
    edge = np.logical_or(np.equal(x, 0), np.equal(x, 1))
    z = np.where(edge, 0.5, x)

    def g(p: int, q: int) -> Any:
        total = polygamma(p + q - 1, a + b)
        if p and q:
            return total
        log = (np.log(z) if p else np.log1p(-z)) if p + q == 1 else 0.0
        return total - polygamma(p + q - 1, a if p else b) + log

    return np.where(edge, 0.0, beta_density(a, b, z) * bell(i, j, g))


def _betainc_value(a: Any, b: Any, x: Any, i: Any, j: Any) -> Any:
    y = narrow(betainc_derivative(a, b, x, order(i), order(j)), a, b, x)
    return y + np.zeros(np.broadcast_shapes(np.shape(i), np.shape(j)), y.dtype)


_betainc_by: Operation = elementwise(
    _betainc_value,
    lambda t, _y, a, b, x, i, j: t * _betainc_by(a, b, x, i + 1, j),
    lambda t, _y, a, b, x, i, j: t * _betainc_by(a, b, x, i, j + 1),
    lambda t, _y, a, b, x, i, j: t * _beta_density_slope(a, b, x, order(i), order(j)),
    None,
    None,
    name="betainc_by_parameter",
    samples=several(
        draws((0.5, 3.0), (0.5, 3.0), (0.2, 0.8), 1, 0, shapes=((2,), (0,))),
        draws((0.5, 3.0), (0.5, 3.0), (0.2, 0.8), 0, 1, shapes=((),)),
    ),
)
elementwise(
    sc.betainc,
    lambda t, _y, a, b, x: t * _betainc_by(a, b, x, 1, 0),
    lambda t, _y, a, b, x: t * _betainc_by(a, b, x, 0, 1),
    lambda t, _y, a, b, x: t * beta_density(a, b, x),
    samples=draws((0.5, 3.0), (0.5, 3.0), (0.2, 0.8), shapes=((2,), (0,))),
    boundary=(Boundary((1.0, 1.0, 0.0), (0.0, 0.0, 1.0)), Boundary((2.0, 2.0, 1.0), (0.0, 0.0, 0.0))),
)
elementwise(
    sc.betaincinv,
    lambda t, y, a, b, _p: -t * _betainc_by(a, b, y, 1, 0) / beta_density(a, b, y),
    lambda t, y, a, b, _p: -t * _betainc_by(a, b, y, 0, 1) / beta_density(a, b, y),
    lambda t, y, a, b, _p: t / beta_density(a, b, y),
    samples=draws((0.5, 3.0), (0.5, 3.0), (0.3, 0.7), shapes=((),)),
)
elementwise(
    sc.betaincc,
    lambda t, _y, a, b, x: -t * _betainc_by(a, b, x, 1, 0),
    lambda t, _y, a, b, x: -t * _betainc_by(a, b, x, 0, 1),
    lambda t, _y, a, b, x: -t * beta_density(a, b, x),
    samples=draws((0.5, 3.0), (0.5, 3.0), (0.2, 0.8), shapes=((),)),
)
elementwise(
    sc.betainccinv,
    lambda t, y, a, b, _p: -t * _betainc_by(a, b, y, 1, 0) / beta_density(a, b, y),
    lambda t, y, a, b, _p: -t * _betainc_by(a, b, y, 0, 1) / beta_density(a, b, y),
    lambda t, y, a, b, _p: -t / beta_density(a, b, y),
    samples=draws((0.5, 3.0), (0.5, 3.0), (0.3, 0.7), shapes=((),)),
)

# -- Student's distribution ---------------------------------------------------------------------------------------


def student_density(df: Any, t: Any) -> Any:
    """Return the density of Student's distribution.

    Examples
    --------
    >>> round(float(student_density(1.0, 0.0)), 6)
    0.31831
    """
    return np.exp(-0.5 * (df + 1) * np.log1p(t * t / df) - 0.5 * np.log(df) - sc.betaln(0.5 * df, 0.5))


def _student_by_df(df: Any, t: Any) -> Any:
    """Derivative of the distribution function, 1/2 + sign(t) / 2 * betainc(1/2, df / 2, t^2 / (df + t^2)), by `df`."""
    zero = np.equal(t, 0)
    z = np.where(zero, 1.0, t)
    spread = df + z * z
    by_parameter = 0.5 * np.sign(z) * _betainc_by(0.5, 0.5 * df, z * z / spread, 0, 1)
    by_argument = z / np.sqrt(spread) * np.exp(-0.5 * df * np.log1p(z * z / df) - sc.betaln(0.5, 0.5 * df)) / df
    return np.where(zero, 0.0, 0.5 * (by_parameter - by_argument))


elementwise(
    sc.stdtr,
    lambda t, _y, df, x: t * _student_by_df(df, x),
    lambda t, _y, df, x: t * student_density(df, x),
    samples=several(draws((1.0, 5.0), (0.3, 2.0)), draws((1.0, 5.0), (-2.0, -0.3), shapes=((),))),
    boundary=(Boundary((1.0, 0.0), (0.0, 1 / math.pi)),),
)
elementwise(
    sc.stdtrit,
    lambda t, y, df, _p: -t * _student_by_df(df, y) / student_density(df, y),
    lambda t, y, df, _p: t / student_density(df, y),
    samples=draws((1.0, 5.0), (0.6, 0.9), shapes=((),)),
)

# -- the other distribution functions: the same with other arguments ------------------------------------------------
# The counts of events are rounded down and so constant; their distribution functions are steps.


def _fraction(d1: Any, d2: Any, x: Any) -> Any:
    return d1 * x / (d2 + d1 * x)


def _binomial(k: Any, n: Any, p: Any, tail: Any) -> Any:
    k = np.floor(k)
    last = np.greater_equal(k, n)
    return tail(k + 1, np.where(last, 1.0, n - k), p), last


def binomial_cdf(k: Any, n: Any, p: Any) -> Any:
    """Return the probability of at most `k` successes in `n` trials."""
    y, last = _binomial(k, n, p, sc.betaincc)
    return np.where(last, 1.0, y)


def binomial_sf(k: Any, n: Any, p: Any) -> Any:
    """Return the probability of more than `k` successes in `n` trials."""
    y, last = _binomial(k, n, p, sc.betainc)
    return np.where(last, 0.0, y)


UFUNCS[sc.chdtr] = lambda v, x: sc.gammainc(0.5 * v, 0.5 * x)
UFUNCS[sc.chdtrc] = lambda v, x: sc.gammaincc(0.5 * v, 0.5 * x)
UFUNCS[sc.chdtri] = lambda v, p: 2 * sc.gammainccinv(0.5 * v, p)
UFUNCS[sc.gdtr] = lambda a, b, x: sc.gammainc(b, a * x)
UFUNCS[sc.gdtrc] = lambda a, b, x: sc.gammaincc(b, a * x)
UFUNCS[sc.pdtr] = lambda k, m: sc.gammaincc(np.floor(k) + 1, m)
UFUNCS[sc.pdtrc] = lambda k, m: sc.gammainc(np.floor(k) + 1, m)
UFUNCS[sc.bdtr] = binomial_cdf
UFUNCS[sc.bdtrc] = binomial_sf
UFUNCS[sc.nbdtr] = lambda k, n, p: sc.betainc(n, np.floor(k) + 1, p)
UFUNCS[sc.nbdtrc] = lambda k, n, p: sc.betaincc(n, np.floor(k) + 1, p)
UFUNCS[sc.fdtr] = lambda d1, d2, x: sc.betainc(0.5 * d1, 0.5 * d2, _fraction(d1, d2, x))
UFUNCS[sc.fdtrc] = lambda d1, d2, x: sc.betainc(0.5 * d2, 0.5 * d1, d2 / (d2 + d1 * x))
