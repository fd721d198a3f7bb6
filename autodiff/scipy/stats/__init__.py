"""``scipy.stats`` on traced arrays: densities, distribution functions and quantiles of the common families.

The methods take the arguments of SciPy's, and have derivatives by all of them, counts and whole numbers aside:
``norm.logpdf(x, loc, scale)``, ``gamma.cdf(x, a)``, ``poisson.logpmf(k, mu)``. Outside of the support a density is 0,
its logarithm -inf, and both have derivative 0; parameters that are not allowed give NaN. There are no frozen
distributions.

Examples
--------
>>> import numpy as np
>>> from autodiff import grad
>>> from autodiff.scipy.stats import norm
>>> x = np.array([0.0, 1.0, 2.0])
>>> grad(lambda loc: np.sum(norm.logpdf(x, loc, 2.0)))(0.0)
np.float64(0.75)
"""

from __future__ import annotations

from typing import Any

from autodiff.scipy._missing import missing_function
from autodiff.scipy.stats.continuous import (
    beta,
    cauchy,
    chi2,
    expon,
    f,
    gamma,
    gumbel_l,
    gumbel_r,
    halfcauchy,
    halfnorm,
    invgamma,
    laplace,
    logistic,
    lognorm,
    norm,
    pareto,
    rayleigh,
    t,
    truncnorm,
    uniform,
    vonmises,
    weibull_min,
)
from autodiff.scipy.stats.discrete import bernoulli, binom, geom, nbinom, poisson
from autodiff.scipy.stats.multivariate import dirichlet, multinomial, multivariate_normal

__all__ = [
    "bernoulli",
    "beta",
    "binom",
    "cauchy",
    "chi2",
    "dirichlet",
    "expon",
    "f",
    "gamma",
    "geom",
    "gumbel_l",
    "gumbel_r",
    "halfcauchy",
    "halfnorm",
    "invgamma",
    "laplace",
    "logistic",
    "lognorm",
    "multinomial",
    "multivariate_normal",
    "nbinom",
    "norm",
    "pareto",
    "poisson",
    "rayleigh",
    "t",
    "truncnorm",
    "uniform",
    "vonmises",
    "weibull_min",
]

_FAMILIES = "the families of autodiff.scipy.stats, such as autodiff.scipy.stats.norm.logpdf"
#: The closest thing to do for families that are not here.
_INSTEAD = {
    **dict.fromkeys(("rv_continuous", "rv_discrete", "rv_histogram", "gaussian_kde"), _FAMILIES),
    "chi": "chi2 of the square",
    "erlang": "gamma",
    "exponpow": "weibull_min",
    "gennorm": "norm or laplace",
    "invgauss": "autodiff.scipy.special: its density is elementary",
    "loggamma": "gamma of the exponential",
    "lomax": "pareto of x + 1",
    "matrix_normal": "multivariate_normal",
    "multivariate_t": "multivariate_normal, and t",
    "truncexpon": "expon, minus log(expon.cdf(b))",
    "vonmises_line": "vonmises",
    "wald": "autodiff.scipy.special: its density is elementary",
    "weibull_max": "weibull_min of -x",
}


def __getattr__(name: str) -> Any:
    raise missing_function("scipy.stats", name, _INSTEAD)
