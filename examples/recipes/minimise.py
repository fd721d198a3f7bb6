"""Minimise with SciPy: exact gradients and exact products with the Hessian.

`scipy.optimize.minimize` estimates what it is not given by differences. `grad` gives the gradient for the price of a
few evaluations, whatever the number of unknowns, and `hvp` the product of the Hessian with a vector, without
forming the Hessian: Newton's method with conjugate gradients then needs no matrix.

>>> x0 = np.zeros(50)
>>> found = minimise(rosenbrock, x0)
>>> bool(found.success), bool(np.allclose(found.x, 1.0, atol=1e-6))
(True, True)

The gradient is the one that is known:

>>> x = np.linspace(-1.0, 1.0, 50)
>>> known = np.zeros(50)
>>> known[:-1] += -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
>>> known[1:] += 200 * (x[1:] - x[:-1] ** 2)
>>> bool(np.allclose(grad(rosenbrock)(x), known, rtol=1e-13))
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize

from autodiff import grad, hvp

if TYPE_CHECKING:
    from collections.abc import Callable


def rosenbrock(x: Any) -> Any:
    """Rosenbrock's curved valley; its minimum is 0, where every unknown is 1."""
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def minimise(f: Callable[[Any], Any], x0: Any) -> Any:
    """Minimise with a trust region, conjugate gradients, and derivatives without error."""
    return scipy.optimize.minimize(
        f, x0, method="trust-ncg", jac=grad(f), hessp=lambda x, v: hvp(f, (x,), (v,)), options={"gtol": 1e-9}
    )
