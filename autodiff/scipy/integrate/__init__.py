"""``scipy.integrate`` on traced arrays: initial value problems, integrals of functions and of samples.

Examples
--------
>>> import numpy as np
>>> from autodiff import grad
>>> from autodiff.scipy import integrate
>>> float(np.round(grad(lambda b: integrate.quad(lambda x: x**2, 0.0, b)[0])(3.0), 9))
9.0
"""

from __future__ import annotations

from typing import Any

import scipy.integrate as si

from autodiff.scipy._missing import missing_function
from autodiff.scipy.integrate.equations import IntegrationError, odeint, solve_ivp
from autodiff.scipy.integrate.quadrature import cumulative_trapezoid, fixed_quad, quad, simpson, trapezoid

__all__ = [
    "IntegrationError",
    "cumulative_trapezoid",
    "fixed_quad",
    "odeint",
    "quad",
    "simpson",
    "solve_ivp",
    "trapezoid",
]

_INSTEAD = {
    "cumulative_simpson": "simpson of the first samples, or cumulative_trapezoid",
    "dblquad": "quad of quad",
    "nquad": "quad of quad",
    "ode": "solve_ivp",
    "quad_vec": "quad of each component, or fixed_quad",
    "romb": "simpson",
    "solve_bvp": "solve_ivp with optimize.root (shooting)",
    "tplquad": "quad of quad of quad",
}
_CONSTANT = {"BDF", "DOP853", "IntegrationWarning", "LSODA", "ODEintWarning", "RK23", "RK45", "Radau"}


def __getattr__(name: str) -> Any:
    if name in _CONSTANT:
        return getattr(si, name)
    raise missing_function("scipy.integrate", name, _INSTEAD)
