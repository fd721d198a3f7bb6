"""A Gaussian process: the marginal likelihood of its hyperparameters, by a Cholesky factor.

>>> rng = np.random.default_rng(1)
>>> x = np.linspace(0.0, 5.0, 30)
>>> y = np.sin(2 * x) + 0.1 * rng.normal(size=30)
>>> theta = fit(x, y)
>>> bool(0.5 < np.exp(theta[1]) < 2.0), bool(0.05 < np.exp(theta[2]) < 0.2)  # length scale and noise
(True, True)

The gradient is the one that is known, ``(a^T K' a - tr(K^-1 K')) / 2`` with ``a = K^-1 y``:

>>> theta = np.array([0.1, -0.2, -1.0])
>>> k = covariance(theta, x)
>>> slopes = jacfwd(covariance)(theta, x)
>>> a = np.linalg.solve(k, y)
>>> known = [-(a @ s @ a - np.trace(np.linalg.solve(k, s))) / 2 for s in np.moveaxis(slopes, -1, 0)]
>>> bool(np.allclose(grad(negative_log_likelihood)(theta, x, y), known))
True
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize

from autodiff import grad, jacfwd
from autodiff.scipy import linalg

__all__ = ["covariance", "fit", "jacfwd", "negative_log_likelihood"]


def covariance(theta: Any, x: Any) -> Any:
    """Squared exponential, with the logarithms of amplitude, length scale and noise."""
    distance = (x[:, None] - x) / np.exp(theta[1])
    return np.exp(2 * theta[0] - distance**2 / 2) + np.exp(2 * theta[2]) * np.eye(len(x))


def negative_log_likelihood(theta: Any, x: Any, y: Any) -> Any:
    """Minus the logarithm of the density of the data."""
    factor = linalg.cho_factor(covariance(theta, x), lower=True)
    log_det = 2 * np.sum(np.log(np.diagonal(factor[0])))
    return (y @ linalg.cho_solve(factor, y) + log_det + len(x) * np.log(2 * np.pi)) / 2


def fit(x: Any, y: Any) -> Any:
    """The most probable hyperparameters."""
    start = np.array([0.0, 0.0, -1.0])
    return scipy.optimize.minimize(negative_log_likelihood, start, args=(x, y), jac=grad(negative_log_likelihood)).x
