"""The discrete families; whole numbers are constants, the number of trials of `binom` too."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sc

from autodiff.scipy.special._common import fixed
from autodiff.scipy.special.incomplete import binomial_cdf, binomial_sf
from autodiff.scipy.stats._family import Discrete

__all__ = ["bernoulli", "binom", "geom", "nbinom", "poisson"]


def _probability(p: Any) -> Any:
    return np.logical_and(p >= 0, p <= 1)


def _log_binomial(k: Any, n: Any, p: Any) -> Any:
    n = fixed(n)
    count = sc.gammaln(n + 1) - sc.gammaln(k + 1) - sc.gammaln(n - k + 1)
    return count + sc.xlogy(k, p) + sc.xlog1py(n - k, -p)


bernoulli = Discrete(
    "bernoulli",
    ("p",),
    {
        "logpmf": lambda k, p: sc.xlogy(k, p) + sc.xlog1py(1 - k, -p),
        "cdf": lambda k, p: np.where(k < 1, 1 - p, 1.0),
        "sf": lambda k, p: np.where(k < 1, p, 0.0),
    },
    low=0,
    high=1,
    inner=0.0,
    valid=_probability,
)
binom = Discrete(
    "binom",
    ("n", "p"),
    {
        "logpmf": _log_binomial,
        "cdf": lambda k, n, p: binomial_cdf(k, fixed(n), p),
        "sf": lambda k, n, p: binomial_sf(k, fixed(n), p),
    },
    low=0,
    high=lambda n, _p: n,
    inner=0.0,
    valid=lambda n, p: np.logical_and(np.logical_and(n >= 0, np.equal(n, np.floor(n))), _probability(p)),
)
poisson = Discrete(
    "poisson",
    ("mu",),
    {
        "logpmf": lambda k, mu: sc.xlogy(k, mu) - sc.gammaln(k + 1) - mu,
        "cdf": sc.pdtr,
        "sf": sc.pdtrc,
    },
    low=0,
    inner=0.0,
    valid=lambda mu: mu >= 0,
)
geom = Discrete(
    "geom",
    ("p",),
    {
        "logpmf": lambda k, p: sc.xlog1py(k - 1, -p) + np.log(p),
        "cdf": lambda k, p: -np.expm1(k * np.log1p(-p)),
        "logsf": lambda k, p: k * np.log1p(-p),
    },
    low=1,
    inner=1.0,
    valid=lambda p: np.logical_and(p > 0, p <= 1),
)
nbinom = Discrete(
    "nbinom",
    ("n", "p"),
    {
        "logpmf": lambda k, n, p: (
            sc.gammaln(n + k) - sc.gammaln(k + 1) - sc.gammaln(n) + n * np.log(p) + sc.xlog1py(k, -p)
        ),
        "cdf": lambda k, n, p: sc.betainc(n, k + 1, p),
        "sf": lambda k, n, p: sc.betaincc(n, k + 1, p),
    },
    low=0,
    inner=0.0,
    valid=lambda n, p: np.logical_and(n > 0, np.logical_and(p > 0, p <= 1)),
)
