"""Solutions as implicit functions: a plain solver finds them, and the equation that they solve differentiates them.

Let ``F(x, p) = 0`` define x. At the solution found for plain numbers, J = dF/dx is a plain matrix, and

    x  <-  x - J^-1 F(x, p)

with a *traced* p gains one order of derivative in each step: the error ``(1 - J^-1 dF/dx) dx`` is one order smaller
than dx, because J is dF/dx to order 0. So one step for each level of tracing gives every derivative in every mixture of
modes, of the parameters in ``args`` and of those that the function closes over alike. J is factorised once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core import Tracer
from autodiff.core.errors import DifferentiationError, describe, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.scipy._mirror import plain_value
from autodiff.transforms.jacobian import jacfwd

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SolutionError", "differentiated", "levels"]


class SolutionError(DifferentiationError, ArithmeticError):
    """A solution that has no derivative: the solver failed, or the Jacobian is singular."""


def levels(x: Any) -> int:
    """How many transforms are at work in a value: the highest order of derivative that can be asked of it."""
    found: set[int] = set()
    _collect(x, found)
    return len(found)


def _collect(x: Any, found: set[int]) -> None:
    if isinstance(x, Tracer):
        found.add(id(x.level))
        _collect(getattr(x, "primal", None), found)
        _collect(getattr(x, "tangent", None), found)


def _jacobian(name: str, equation: Callable[[Any], Any], x: Any) -> Any:
    n = x.size
    slopes = jacfwd(lambda v: np.reshape(equation(np.reshape(v, x.shape)), (-1,)))(np.reshape(x, (-1,)))
    jacobian = np.asarray(plain_value(name, slopes))
    if jacobian.shape != (n, n):
        raise ValueError(
            f"{name}: the equation has {jacobian.shape[0]} values for {n} unknowns ({describe(x)}); a solution is "
            "differentiable where there is one equation for each unknown."
        )
    return jacobian


def _inverse(name: str, jacobian: Any, what: str) -> Any:
    """Inverse of the Jacobian, which is small; or raise."""
    if np.all(np.isfinite(jacobian)):
        s = np.linalg.svd(jacobian, compute_uv=False)
        if not s.size or s[-1] > 8 * len(s) * float(np.finfo(jacobian.dtype).eps) * s[0]:
            return np.linalg.inv(jacobian)
    raise SolutionError(
        f"{name}: {what} is singular at the solution{user_line()}, so that the solution is no differentiable function "
        "of the parameters there. Is it isolated? A double root, an unknown that does not matter, or one that is "
        "determined twice must be taken out, or a small regularising term put in."
    )


def _refined(name: str, equation: Callable[[Any], Any], x: Any, what: str) -> tuple[Any, Any, float]:
    """Newton steps with exact derivatives from the solver's result; the inverse Jacobian there, and the last step."""
    eps = float(np.finfo(x.dtype).eps)
    value = plain_value(name, equation(x))
    inverse = _inverse(name, _jacobian(name, equation, x), what)
    moved = np.inf
    for _ in range(5):
        step = np.reshape(inverse @ np.reshape(value, (-1,)), x.shape)
        moved = float(np.max(np.abs(step), initial=0)) / max(1.0, float(np.max(np.abs(x), initial=0)))
        new = x - step
        after = plain_value(name, equation(new))
        if not np.linalg.norm(np.ravel(after)) < np.linalg.norm(np.ravel(value)):
            break  # rounding is reached (or this is no solution, as `moved` says)
        x, value = new, after
        inverse = _inverse(name, _jacobian(name, equation, x), what)
        if moved <= 4 * eps:
            break
    return x, inverse, moved


def differentiated(
    name: str,
    equation: Callable[[Any], Any],
    traced: Callable[[Any], Any],
    x: Any,
    *,
    success: bool = True,
    message: str = "",
    what: str = "the Jacobian",
) -> Any:
    """Return the solution as a function of what `traced` depends on.

    `equation` and `traced` are the same function of x, with plain and with traced parameters; x is what the solver
    found. An equation that depends on nothing traced gives x back as it is.
    """
    x = np.asarray(x)
    x = x.astype(np.result_type(x, np.float32 if x.dtype == np.float32 else np.float64), copy=False)
    probe = traced(x)
    order = levels(probe)
    if not order:
        return x
    if shape_of(probe) != x.shape:
        raise ValueError(f"{name}: the function's value {describe(probe)} must have the shape of x, {describe(x)}.")
    x, inverse, moved = _refined(name, equation, x, what)
    if not (success or moved < 1e-6) or not np.all(np.isfinite(x)):
        raise SolutionError(
            f"{name}: the solver found no solution{user_line()}, so there is none to differentiate. "
            f"It says: {message or 'nothing'} Try another start, method or tolerance."
        )
    # The residual that rounding leaves is a constant, so that the value stays what it is.
    rest = plain_value(name, traced(x))
    y: Any = x
    for _ in range(order):
        residual = np.reshape(traced(y) - rest, (-1,))
        y = y - np.reshape(inverse.astype(dtype_of(residual), copy=False) @ residual, x.shape)
    return y
