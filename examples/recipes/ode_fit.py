"""Fit the parameters of a differential equation to measurements of its solution.

`autodiff.scipy.integrate.solve_ivp` makes SciPy's own steps and carries derivatives along: by the rates, and by the
initial state.

>>> t = np.linspace(0.0, 6.0, 13)
>>> y = populations(TRUTH, t)
>>> found = fit(t, y)
>>> bool(np.allclose(found, TRUTH, rtol=1e-5))
True

The gradient agrees with differences:

>>> p = np.array([1.0, 0.9, 0.8, 1.4])
>>> moved = p + 1e-5 * np.eye(4), p - 1e-5 * np.eye(4)
>>> differences = [(loss(a, t, y) - loss(b, t, y)) / 2e-5 for a, b in zip(*moved)]
>>> bool(np.allclose(grad(loss)(p, t, y), differences, rtol=1e-4))
True
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize

from autodiff import grad, jacfwd
from autodiff.scipy import integrate

TRUTH = np.array([1.1, 0.7, 0.6, 1.5])


def rates(_t: Any, y: Any, p: Any) -> Any:
    """Lotka and Volterra's hares and lynxes."""
    return np.stack([p[0] * y[0] - y[0] * y[1], p[1] * y[0] * y[1] - y[1]])


def populations(p: Any, t: Any) -> Any:
    """Both populations at all times; the last two parameters are the initial ones."""
    run = integrate.solve_ivp(rates, (0.0, 6.0), p[2:], method="DOP853", t_eval=t, args=(p,), rtol=1e-8, atol=1e-8)
    return run.y


def residuals(p: Any, t: Any, y: Any) -> Any:
    """What the model leaves unexplained."""
    return np.ravel(populations(p, t) - y)


def loss(p: Any, t: Any, y: Any) -> Any:
    """Half the sum of squares."""
    return np.sum(residuals(p, t, y) ** 2) / 2


def fit(t: Any, y: Any) -> Any:
    """Rates and initial populations."""
    return scipy.optimize.least_squares(residuals, np.ones(4), jac=jacfwd(residuals), args=(t, y), xtol=1e-12).x


__all__ = ["TRUTH", "fit", "grad", "loss", "populations", "rates", "residuals"]
