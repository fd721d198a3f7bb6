"""Fit a curve by least squares, and find how the result depends on the data.

A model with few parameters and many data has a tall Jacobian: forward mode (`jacfwd`) is the right one.

>>> t = np.linspace(0.0, 4.0, 40)
>>> y = model(TRUTH, t) + 0.01 * np.cos(37 * t)
>>> found = fit(t, y)
>>> bool(np.allclose(found.x, TRUTH, atol=0.03))
True

The Jacobian is the one that is known:

>>> a, k, c = TRUTH
>>> known = np.stack([np.exp(-k * t), -a * t * np.exp(-k * t), np.ones(40)], axis=1)
>>> bool(np.allclose(jacfwd(residuals)(TRUTH, t, y), known))
True

How much would each parameter move, if one reading had been larger? The solution is an implicit function of the data,
and `autodiff.scipy.optimize` differentiates it. A fit to data that did move says the same:

>>> slopes = sensitivity(t, y)
>>> moved = y + 1e-4 * (np.arange(40) == 5)
>>> bool(np.allclose(slopes[:, 5], (fit(t, moved).x - fit(t, y).x) / 1e-4, atol=1e-3))
True
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize

from autodiff import jacfwd, jacrev
from autodiff.scipy import optimize

TRUTH = np.array([2.0, 1.3, 0.5])


def model(p: Any, t: Any) -> Any:
    """Decay to a constant."""
    return p[0] * np.exp(-p[1] * t) + p[2]


def residuals(p: Any, t: Any, y: Any) -> Any:
    """What the model leaves unexplained."""
    return model(p, t) - y


def fit(t: Any, y: Any) -> Any:
    """Fit with SciPy, with the exact Jacobian."""
    return scipy.optimize.least_squares(residuals, np.ones(3), jac=jacfwd(residuals), args=(t, y), xtol=1e-14)


def sensitivity(t: Any, y: Any) -> Any:
    """Derivative of each fitted parameter by each reading, (3, n)."""
    return jacrev(lambda y: optimize.least_squares(residuals, np.ones(3), args=(t, y)).x)(y)
