"""The continuous families: each by the formulas of its standard distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sc

from autodiff.scipy.special import incomplete
from autodiff.scipy.stats._family import Continuous

__all__ = [
    "beta",
    "cauchy",
    "chi2",
    "expon",
    "f",
    "gamma",
    "gumbel_l",
    "gumbel_r",
    "halfcauchy",
    "halfnorm",
    "invgamma",
    "laplace",
    "logistic",
    "lognorm",
    "norm",
    "pareto",
    "rayleigh",
    "t",
    "truncnorm",
    "uniform",
    "vonmises",
    "weibull_min",
]

PI = math.pi
LOG_2PI = math.log(2 * PI)
ROOT_2 = math.sqrt(2)

# -- on the whole line -----------------------------------------------------------------------------------------


def _normal(z: Any) -> Any:
    return -0.5 * (z * z) - 0.5 * LOG_2PI


norm = Continuous(
    "norm",
    (),
    {
        "logpdf": _normal,
        "cdf": sc.ndtr,
        "sf": lambda z: sc.ndtr(-z),
        "logcdf": sc.log_ndtr,
        "logsf": lambda z: sc.log_ndtr(-z),
        "ppf": sc.ndtri,
        "isf": lambda q: -sc.ndtri(q),
    },
)


def _student(z: Any, df: Any) -> Any:
    finite = np.isfinite(df)
    n = np.where(finite, df, 1.0)
    y = -0.5 * (n + 1) * np.log1p(z * z / n) - 0.5 * np.log(n) - sc.betaln(0.5 * n, 0.5)
    return np.where(finite, y, _normal(z))


def _student_quantile(q: Any, df: Any) -> Any:
    zero = np.equal(q, 0)
    return np.where(zero, -1.0, 1.0) * sc.stdtrit(df, np.where(zero, 1 - q, q))


t = Continuous(
    "t",
    ("df",),
    {
        "logpdf": _student,
        "cdf": lambda z, df: sc.stdtr(df, z),
        "sf": lambda z, df: sc.stdtr(df, -z),
        "ppf": _student_quantile,
        "isf": lambda q, df: -_student_quantile(q, df),
    },
)


def _ends(q: Any) -> Any:
    """The quantiles of 0 and 1, where the tangent is large but finite."""
    return np.where(np.equal(q, 0), -np.inf, np.where(np.equal(q, 1), np.inf, 0.0))


cauchy = Continuous(
    "cauchy",
    (),
    {
        "logpdf": lambda z: -np.log1p(z * z) - math.log(PI),
        "cdf": lambda z: np.arctan2(1.0, -z) / PI,
        "sf": lambda z: np.arctan2(1.0, z) / PI,
        "ppf": lambda q: np.tan(PI * (q - 0.5)) + _ends(q),
        "isf": lambda q: np.tan(PI * (0.5 - q)) - _ends(q),
    },
)


def _laplace_quantile(q: Any) -> Any:
    high = q > 0.5
    return np.where(high, -np.log(2 * (1 - np.where(high, q, 0.5))), np.log(2 * np.where(high, 0.5, q)))


def _laplace_cdf(z: Any) -> Any:
    tail = 0.5 * np.exp(-np.abs(z))
    return np.where(z > 0, 1 - tail, tail)


def _laplace_logcdf(z: Any) -> Any:
    high = z > 0
    return np.where(high, np.log1p(-0.5 * np.exp(-np.where(high, z, 1.0))), np.where(high, 0.0, z) - math.log(2))


laplace = Continuous(
    "laplace",
    (),
    {
        "logpdf": lambda z: -np.abs(z) - math.log(2),
        "cdf": _laplace_cdf,
        "sf": lambda z: _laplace_cdf(-z),
        "logcdf": _laplace_logcdf,
        "logsf": lambda z: _laplace_logcdf(-z),
        "ppf": _laplace_quantile,
        "isf": lambda q: -_laplace_quantile(q),
    },
)
logistic = Continuous(
    "logistic",
    (),
    {
        "logpdf": lambda z: sc.log_expit(z) + sc.log_expit(-z),
        "cdf": sc.expit,
        "sf": lambda z: sc.expit(-z),
        "logcdf": sc.log_expit,
        "logsf": lambda z: sc.log_expit(-z),
        "ppf": sc.logit,
        "isf": lambda q: -sc.logit(q),
    },
)
gumbel_r = Continuous(
    "gumbel_r",
    (),
    {
        "logpdf": lambda z: -z - np.exp(-z),
        "cdf": lambda z: np.exp(-np.exp(-z)),
        "logcdf": lambda z: -np.exp(-z),
        "sf": lambda z: -np.expm1(-np.exp(-z)),
        "ppf": lambda q: -np.log(-np.log(q)),
        "isf": lambda q: -np.log(-np.log1p(-q)),
    },
)
gumbel_l = Continuous(
    "gumbel_l",
    (),
    {
        "logpdf": lambda z: z - np.exp(z),
        "cdf": lambda z: -np.expm1(-np.exp(z)),
        "sf": lambda z: np.exp(-np.exp(z)),
        "logsf": lambda z: -np.exp(z),
        "ppf": lambda q: np.log(-np.log1p(-q)),
        "isf": lambda q: np.log(-np.log(q)),
    },
)
vonmises = Continuous(
    "vonmises",
    ("kappa",),
    {"logpdf": lambda z, kappa: kappa * sc.cosm1(z) - LOG_2PI - np.log(sc.i0e(kappa))},
    valid=lambda kappa: kappa >= 0,
)

# -- on the positive numbers -------------------------------------------------------------------------------------

expon = Continuous(
    "expon",
    (),
    {
        "logpdf": lambda z: -z,
        "cdf": lambda z: -np.expm1(-z),
        "logsf": lambda z: -z,
        "ppf": lambda q: -np.log1p(-q),
        "isf": lambda q: -np.log(q),
    },
    low=0.0,
)
gamma = Continuous(
    "gamma",
    ("a",),
    {
        "logpdf": lambda z, a: sc.xlogy(a - 1, z) - z - sc.gammaln(a),
        "cdf": lambda z, a: sc.gammainc(a, z),
        "sf": lambda z, a: sc.gammaincc(a, z),
        "ppf": lambda q, a: sc.gammaincinv(a, q),
        "isf": lambda q, a: sc.gammainccinv(a, q),
    },
    low=0.0,
)
invgamma = Continuous(
    "invgamma",
    ("a",),
    {
        "logpdf": lambda z, a: -(a + 1) * np.log(z) - sc.gammaln(a) - 1 / z,
        "cdf": lambda z, a: sc.gammaincc(a, 1 / z),
        "sf": lambda z, a: sc.gammainc(a, 1 / z),
        "ppf": lambda q, a: 1 / sc.gammainccinv(a, q),
        "isf": lambda q, a: 1 / sc.gammaincinv(a, q),
    },
    low=0.0,
    open_low=True,
)
chi2 = Continuous(
    "chi2",
    ("df",),
    {
        "logpdf": lambda z, df: sc.xlogy(0.5 * df - 1, z) - 0.5 * z - sc.gammaln(0.5 * df) - 0.5 * math.log(2) * df,
        "cdf": lambda z, df: sc.gammainc(0.5 * df, 0.5 * z),
        "sf": lambda z, df: sc.gammaincc(0.5 * df, 0.5 * z),
        "ppf": lambda q, df: 2 * sc.gammaincinv(0.5 * df, q),
        "isf": lambda q, df: 2 * sc.gammainccinv(0.5 * df, q),
    },
    low=0.0,
)


def _log_f(z: Any, dfn: Any, dfd: Any) -> Any:
    n, m = 0.5 * dfn, 0.5 * dfd
    return n * np.log(dfn) + m * np.log(dfd) + sc.xlogy(n - 1, z) - (n + m) * np.log(dfd + dfn * z) - sc.betaln(n, m)


def _odds(p: Any) -> Any:
    return p / (1 - p)


f = Continuous(
    "f",
    ("dfn", "dfd"),
    {
        "logpdf": _log_f,
        "cdf": lambda z, dfn, dfd: sc.betainc(0.5 * dfn, 0.5 * dfd, dfn * z / (dfd + dfn * z)),
        "sf": lambda z, dfn, dfd: sc.betainc(0.5 * dfd, 0.5 * dfn, dfd / (dfd + dfn * z)),
        "ppf": lambda q, dfn, dfd: _odds(sc.betaincinv(0.5 * dfn, 0.5 * dfd, q)) * (dfd / dfn),
        "isf": lambda q, dfn, dfd: dfd / dfn / _odds(sc.betaincinv(0.5 * dfd, 0.5 * dfn, q)),
    },
    low=0.0,
)
lognorm = Continuous(
    "lognorm",
    ("s",),
    {
        "logpdf": lambda z, s: -0.5 * np.square(np.log(z) / s) - np.log(s * z) - 0.5 * LOG_2PI,
        "cdf": lambda z, s: sc.ndtr(np.log(z) / s),
        "sf": lambda z, s: sc.ndtr(-np.log(z) / s),
        "logcdf": lambda z, s: sc.log_ndtr(np.log(z) / s),
        "logsf": lambda z, s: sc.log_ndtr(-np.log(z) / s),
        "ppf": lambda q, s: np.exp(s * sc.ndtri(q)),
        "isf": lambda q, s: np.exp(-s * sc.ndtri(q)),
    },
    low=0.0,
    open_low=True,
)
pareto = Continuous(
    "pareto",
    ("b",),
    {
        "logpdf": lambda z, b: np.log(b) - (b + 1) * np.log(z),
        "cdf": lambda z, b: -np.expm1(-b * np.log(z)),
        "logsf": lambda z, b: -b * np.log(z),
        "ppf": lambda q, b: np.exp(-np.log1p(-q) / b),
        "isf": lambda q, b: np.exp(-np.log(q) / b),
    },
    low=1.0,
    inner=2.0,
)
weibull_min = Continuous(
    "weibull_min",
    ("c",),
    {
        "logpdf": lambda z, c: np.log(c) + sc.xlogy(c - 1, z) - np.power(z, c),
        "cdf": lambda z, c: -np.expm1(-np.power(z, c)),
        "logsf": lambda z, c: -np.power(z, c),
        "ppf": lambda q, c: np.power(-np.log1p(-q), 1 / c),
        "isf": lambda q, c: np.power(-np.log(q), 1 / c),
    },
    low=0.0,
)
rayleigh = Continuous(
    "rayleigh",
    (),
    {
        "logpdf": lambda z: np.log(z) - 0.5 * (z * z),
        "cdf": lambda z: -np.expm1(-0.5 * (z * z)),
        "logsf": lambda z: -0.5 * (z * z),
        "ppf": lambda q: np.sqrt(-2 * np.log1p(-q)),
        "isf": lambda q: np.sqrt(-2 * np.log(q)),
    },
    low=0.0,
)
halfnorm = Continuous(
    "halfnorm",
    (),
    {
        "logpdf": lambda z: 0.5 * math.log(2 / PI) - 0.5 * (z * z),
        "cdf": lambda z: sc.erf(z / ROOT_2),
        "sf": lambda z: sc.erfc(z / ROOT_2),
        "logsf": lambda z: sc.log_ndtr(-z) + math.log(2),
        "ppf": lambda q: ROOT_2 * sc.erfinv(q),
        "isf": lambda q: ROOT_2 * sc.erfcinv(q),
    },
    low=0.0,
)
halfcauchy = Continuous(
    "halfcauchy",
    (),
    {
        "logpdf": lambda z: math.log(2 / PI) - np.log1p(z * z),
        "cdf": lambda z: 2 / PI * np.arctan(z),
        "sf": lambda z: 2 / PI * np.arctan2(1.0, z),
        "ppf": lambda q: np.tan(0.5 * PI * q) + np.where(np.equal(q, 1), np.inf, 0.0),
        "isf": lambda q: np.where(np.equal(q, 1), 0.0, 1 / np.tan(0.5 * PI * q)),
    },
    low=0.0,
)

# -- on an interval ------------------------------------------------------------------------------------------------

beta = Continuous(
    "beta",
    ("a", "b"),
    {
        "logpdf": lambda z, a, b: sc.xlogy(a - 1, z) + sc.xlog1py(b - 1, -z) - sc.betaln(a, b),
        "pdf": lambda z, a, b: incomplete.beta_density(a, b, z),
        "cdf": lambda z, a, b: sc.betainc(a, b, z),
        "sf": lambda z, a, b: sc.betaincc(a, b, z),
        "ppf": lambda q, a, b: sc.betaincinv(a, b, q),
        "isf": lambda q, a, b: sc.betainccinv(a, b, q),
    },
    low=0.0,
    high=1.0,
)
uniform = Continuous(
    "uniform",
    (),
    {
        "logpdf": lambda z: z * 0,
        "cdf": lambda z: z,
        "sf": lambda z: 1 - z,
        "ppf": lambda q: q,
        "isf": lambda q: 1 - q,
    },
    low=0.0,
    high=1.0,
)


def _log_mass(a: Any, b: Any) -> Any:
    """Logarithm of the normal probability between `a` and `b`, by the tail in which both lie."""
    right = a > 0
    one_tail = np.logical_or(right, b < 0)
    near, far = np.where(right, -a, b), np.where(right, -b, a)  # both negative, where they are in one tail
    near, far = np.where(one_tail, near, 0.0), np.where(one_tail, far, -1.0)
    ratio = sc.log_ndtr(np.where(np.isinf(far), -1.0, far)) - sc.log_ndtr(near)
    ratio = np.exp(np.where(np.isinf(far), -np.inf, ratio))
    low, high = np.where(np.logical_or(one_tail, np.isinf(a)), 0.0, a), np.where(np.isinf(b), 0.0, b)
    outside = np.where(np.isinf(a), 0.0, sc.ndtr(low)) + np.where(np.isinf(b), 0.0, sc.ndtr(-high))
    across = np.log1p(-np.where(one_tail, 0.5, outside))
    return np.where(one_tail, sc.log_ndtr(near) + np.log1p(-np.where(one_tail, ratio, 0.5)), across)


def _middle(a: Any, b: Any) -> Any:
    below = np.where(np.isinf(b), 0.0, b - 0.5)
    return np.where(np.isinf(a), below, np.where(np.isinf(b), a + 0.5, 0.5 * (a + b)))


def _truncated_quantile(log_p: Any, log_q: Any, a: Any, b: Any) -> Any:
    """The quantile of p = 1 - q, from the tail on the side of `a`."""
    mass, left = _log_mass(a, b), a < 0
    low, high = np.where(left, a, -1.0), np.where(left, 1.0, b)
    by_left = sc.ndtri_exp(np.logaddexp(sc.log_ndtr(low), log_p + mass))
    by_right = -sc.ndtri_exp(np.logaddexp(sc.log_ndtr(-high), log_q + mass))
    return np.where(left, by_left, by_right)


truncnorm = Continuous(
    "truncnorm",
    ("a", "b"),
    {
        "logpdf": lambda z, a, b: _normal(z) - _log_mass(a, b),
        "logcdf": lambda z, a, b: _log_mass(a, z) - _log_mass(a, b),
        "logsf": lambda z, a, b: _log_mass(z, b) - _log_mass(a, b),
        "ppf": lambda q, a, b: _truncated_quantile(np.log(q), np.log1p(-q), a, b),
        "isf": lambda q, a, b: _truncated_quantile(np.log1p(-q), np.log(q), a, b),
    },
    low=lambda a, _b: a,
    high=lambda _a, b: b,
    valid=lambda a, b: a < b,
    inner=_middle,
)
