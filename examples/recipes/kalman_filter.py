"""A Kalman filter: noise levels from the likelihood of a series, through a plain Python loop.

>>> rng = np.random.default_rng(3)
>>> level = np.cumsum(0.3 * rng.normal(size=200))
>>> y = level + 1.0 * rng.normal(size=200)
>>> moving, reading = np.exp(fit(y))
>>> bool(0.1 < moving < 0.6), bool(0.8 < reading < 1.2)
(True, True)

The whole series is one Gaussian vector, whose density has the same gradient:

>>> theta = np.array([-1.0, 0.1])
>>> def direct(theta):
...     n = 30
...     shared = np.minimum(np.arange(1, n + 1)[:, None], np.arange(1, n + 1))
...     k = np.exp(2 * theta[0]) * shared + np.exp(2 * theta[1]) * np.eye(n) + 100.0
...     return (y[:n] @ np.linalg.solve(k, y[:n]) + np.linalg.slogdet(k)[1] + n * np.log(2 * np.pi)) / 2
>>> bool(np.allclose(grad(negative_log_likelihood)(theta, y[:30]), grad(direct)(theta)))
True
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize

from autodiff import grad


def negative_log_likelihood(theta: Any, y: Any) -> Any:
    """Of a level that moves at random and is read with noise; `theta` are the logarithms of the two deviations."""
    moving, reading = np.exp(2 * theta[0]), np.exp(2 * theta[1])
    mean, variance = 0.0, 100.0  # of the level before the first reading
    total = 0.0
    for value in y:
        variance = variance + moving
        surprise, spread = value - mean, variance + reading
        total = total + (surprise**2 / spread + np.log(2 * np.pi * spread)) / 2
        gain = variance / spread
        mean, variance = mean + gain * surprise, (1 - gain) * variance
    return total


def fit(y: Any) -> Any:
    """The most probable noise levels."""
    return scipy.optimize.minimize(negative_log_likelihood, np.zeros(2), args=(y,), jac=grad(negative_log_likelihood)).x
