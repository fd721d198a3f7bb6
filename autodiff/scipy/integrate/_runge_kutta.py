"""Steps of Runge-Kutta methods on traced values, where SciPy's solvers made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.integrate as si

from autodiff.scipy._mirror import plain
from autodiff.scipy.optimize._implicit import differentiated

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["explicit_step", "radau_step"]

#: Nodes and weights of the methods, as SciPy's classes state them.
_TABLES = {"RK23": si.RK23, "RK45": si.RK45, "DOP853": si.DOP853}


def explicit_step(method: str) -> Callable[..., Any]:
    """Return the step of an explicit method: ``step(f, t, y, h)``."""
    table = _TABLES[method]
    n, a, b, c = table.n_stages, table.A, table.B, table.C

    def step(f: Any, t: Any, y: Any, h: Any) -> Any:
        slopes: list[Any] = []
        for i in range(n):
            slopes.append(f(t + float(c[i]) * h, y + h * _sum(a[i], slopes) if i else y))
        return y + h * _sum(b, slopes)

    return step


def _sum(weights: Any, slopes: list[Any]) -> Any:
    terms = [float(w) * k for w, k in zip(weights, slopes, strict=False) if w]
    return sum(terms[1:], terms[0])


_ROOT = float(np.sqrt(6))
_NODES = np.array([(4 - _ROOT) / 10, (4 + _ROOT) / 10, 1.0])
# The stages of Radau IIA of order 5, from its nodes: the polynomials through them are integrated exactly.
_STAGES = np.array([[x ** (k + 1) / (k + 1) for k in range(3)] for x in _NODES]) @ np.linalg.inv(
    np.array([[x**k for k in range(3)] for x in _NODES])
)


def radau_step(f: Any, t: Any, y: Any, h: Any, fixed_f: Any, plain_f: Any, plain_t: Any, plain_h: Any) -> Any:
    """One step of Radau IIA (order 5, for stiff systems), whose stages are an implicit function.

    `fixed_f` has plain parameters and `plain_f` gives numbers.
    """
    plain_y = plain(y)
    n = len(plain_y)

    def equation(f: Any, t: Any, y: Any, h: Any) -> Any:
        def residual(z: Any) -> Any:
            z = np.reshape(z, (3, n))
            slopes = np.stack([f(t + float(c) * h, y + z[i]) for i, c in enumerate(_NODES)])
            return np.reshape(z - h * (_STAGES @ slopes), (3 * n,))

        return residual

    plain_equation = equation(fixed_f, plain_t, plain_y, plain_h)
    start = _solved(equation(plain_f, plain_t, plain_y, plain_h), plain_f, plain_t, plain_y, plain_h)
    z = differentiated("scipy.integrate", plain_equation, equation(f, t, y, h), start, what="the system of a step")
    return y + np.reshape(z, (3, n))[2]


def _solved(residual: Any, f: Any, t: float, y: Any, h: float) -> Any:
    """Stages of a plain step, by a simplified Newton iteration."""
    n = len(y)
    z = np.concatenate([float(c) * h * f(t, y) for c in _NODES])
    jacobian = _differences(residual, z)
    for _ in range(30):
        step = np.linalg.solve(jacobian, residual(z))
        z = z - step
        if not np.max(np.abs(step), initial=0) > 1e-13 * max(1.0, np.max(np.abs(y), initial=0)):
            break
    return np.reshape(z, (3 * n,))


def _differences(residual: Any, z: Any) -> Any:
    """Jacobian for Newton's iteration alone; no derivative depends on it."""
    value = residual(z)
    columns = []
    for k in range(len(z)):
        h = 1e-7 * max(1.0, abs(z[k]))
        moved = z.copy()
        moved[k] += h
        columns.append((residual(moved) - value) / h)
    return np.stack(columns, axis=1)
