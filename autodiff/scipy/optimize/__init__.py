"""``scipy.optimize`` as implicit functions: solutions that are differentiable by the parameters of their problem.

To give one of SciPy's own solvers exact derivatives needs nothing from here:
``scipy.optimize.minimize(f, x0, jac=autodiff.grad(f))``. This package is for the derivative *of the solution*.

Examples
--------
>>> import numpy as np
>>> from autodiff import grad
>>> from autodiff.scipy import optimize
>>> float(
...     np.round(grad(lambda a: optimize.brentq(lambda x: x**3 - a, 0.0, 10.0))(8.0), 12)
... )  # 1 / (3 x**2)
0.083333333333
"""

from __future__ import annotations

from typing import Any

import scipy.optimize as so

from autodiff.scipy._missing import missing_function
from autodiff.scipy.optimize._implicit import SolutionError
from autodiff.scipy.optimize.minima import least_squares, minimize, minimize_scalar
from autodiff.scipy.optimize.roots import (
    bisect,
    brenth,
    brentq,
    fixed_point,
    fsolve,
    newton,
    ridder,
    root,
    root_scalar,
    toms748,
)

__all__ = [
    "SolutionError",
    "bisect",
    "brenth",
    "brentq",
    "fixed_point",
    "fsolve",
    "least_squares",
    "minimize",
    "minimize_scalar",
    "newton",
    "ridder",
    "root",
    "root_scalar",
    "toms748",
]

_INSTEAD = {
    "approx_fprime": "autodiff.grad or autodiff.jacfwd",
    "check_grad": "autodiff.check_grads",
    "curve_fit": "least_squares of the residuals",
    "differential_evolution": "SciPy's own for the start, then minimize",
    "fmin": "minimize",
    "fmin_bfgs": "minimize(method='BFGS')",
    "fmin_l_bfgs_b": "minimize(method='L-BFGS-B')",
    "leastsq": "least_squares",
    "linprog": "minimize of a regularised function",
    "lsq_linear": "least_squares",
    "nnls": "least_squares(bounds=(0, np.inf))",
}
_CONSTANT = {"Bounds", "LinearConstraint", "NonlinearConstraint", "OptimizeResult", "OptimizeWarning", "RootResults"}


def __getattr__(name: str) -> Any:
    if name in _CONSTANT:
        return getattr(so, name)
    raise missing_function("scipy.optimize", name, _INSTEAD)
