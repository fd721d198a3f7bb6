"""Minima as functions of the parameters of what is minimised: the points where the gradient is zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize as so

from autodiff.core import Tracer
from autodiff.scipy._mirror import array, has_tracer, plain, unsupported
from autodiff.scipy.optimize._implicit import differentiated
from autodiff.scipy.optimize.roots import arguments, first, numbers_only
from autodiff.transforms.reverse import grad

__all__ = ["least_squares", "minimize", "minimize_scalar"]


def _limits(bounds: Any, x: Any) -> tuple[Any, Any]:
    """Lower and upper bounds as arrays."""
    if bounds is None:
        return np.full(np.shape(x), -np.inf), np.full(np.shape(x), np.inf)
    if isinstance(bounds, so.Bounds):
        low, high = bounds.lb, bounds.ub
    else:
        pairs = [(-np.inf if a is None else a, np.inf if b is None else b) for a, b in bounds]
        low, high = (np.array([p[i] for p in pairs], float) for i in (0, 1))
    return np.broadcast_to(low, np.shape(x)), np.broadcast_to(high, np.shape(x))


def _inner(name: str, equation: Any, traced: Any, x: Any, limits: tuple[Any, Any], **how: Any) -> Any:
    """Differentiate the unknowns that are free; the others stay at their bounds.

    An unknown that the solver left inside, and that Newton's steps take outside, is at its bound as well.
    """
    low, high = limits
    free = (x > low) & (x < high)
    for _ in range(np.size(x) + 1):
        at = np.flatnonzero(free)
        fixed = np.where(free, 0.0, x)
        spread = np.eye(len(x))[:, at]

        def restricted(f: Any, at: Any = at, fixed: Any = fixed, spread: Any = spread) -> Any:
            return lambda v: f(spread @ v + fixed)[at]

        if not at.size:
            return x
        inner = differentiated(name, restricted(equation), restricted(traced), x[at], **how)
        if not isinstance(inner, Tracer):
            return x
        value = plain(inner)
        out = (value < low[at]) | (value > high[at])
        if not np.any(out):
            return spread @ inner + fixed
        x = np.where(free & np.isin(np.arange(len(x)), at[out]), np.clip(spread @ value + fixed, low, high), x)
        free[at[out]] = False
    return x


def minimize(
    fun: Any,
    x0: Any,
    args: Any = (),
    method: Any = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: Any = None,
    callback: Any = None,
    options: Any = None,
) -> Any:
    """Minimum of a function, differentiable by ``args`` and by what `fun` closes over.

    SciPy minimises on plain numbers, with the derivatives that it is given or its differences. The minimum is then the
    implicit function for which the gradient is zero: exact derivatives at every order, in both modes. Unknowns at a
    bound stay there.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)``, a number, written with NumPy and twice differentiable.
    x0 : array_like, shape (n,)
        The start, which has no derivative.
    args, method, jac, hess, hessp, bounds, tol, callback, options
        As in SciPy.
    constraints
        As in SciPy; not where something is traced.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's own; where something is traced, ``x`` and ``fun`` carry derivatives.

    Raises
    ------
    SolutionError
        In a transform, if the solver failed or the Hessian is singular at the minimum.
    MissingRuleError
        For constraints or traced bounds.

    Examples
    --------
    >>> from autodiff import jacfwd
    >>> def nearest(p):  # the point of least energy between two springs
    ...     return minimize(lambda x: np.sum(p * (x - 1) ** 2 + (x - 3) ** 2), np.zeros(1)).x
    >>> jacfwd(nearest)(1.0)
    array([-0.5])
    """
    name, args = "scipy.optimize.minimize", arguments(args)
    found = so.minimize(
        numbers_only(fun), plain(x0), plain(args), method, numbers_only(jac), numbers_only(hess), numbers_only(hessp),
        plain(bounds), constraints, tol, callback, options,
    )  # fmt: skip
    f = first(fun, jac is True)
    at_solution = f(found.x, *args)
    if not has_tracer(at_solution):
        return found
    if constraints or has_tracer(bounds):
        raise unsupported(
            name, "constraints or traced bounds", "Write constraints as terms of the function, or solve for the "
            "multipliers with root; scale the unknowns where their bounds move."
        )  # fmt: skip

    def equation(*fixed: Any) -> Any:
        return grad(lambda v: np.reshape(array(f(v, *fixed)), ()))

    found.x = _inner(
        name, equation(*plain(args)), equation(*args), found.x, _limits(bounds, found.x),
        success=found.success, message=str(found.message), what="the Hessian",
    )  # fmt: skip
    found.fun = f(found.x, *args)
    return found


def minimize_scalar(
    fun: Any,
    bracket: Any = None,
    bounds: Any = None,
    args: Any = (),
    method: Any = None,
    tol: Any = None,
    options: Any = None,
) -> Any:
    """Minimum of a function of one number, as a function of the parameters; see `minimize`.

    Examples
    --------
    >>> from autodiff import grad
    >>> float(np.round(grad(lambda a: minimize_scalar(lambda x: (x - a**2) ** 2).x)(3.0), 6))
    6.0
    """
    args = arguments(args)
    found = so.minimize_scalar(numbers_only(fun), plain(bracket), plain(bounds), plain(args), method, tol, options)
    if not has_tracer(fun(found.x, *args)):
        return found

    def equation(*fixed: Any) -> Any:
        return grad(lambda v: np.reshape(array(fun(v, *fixed)), ()))

    if bounds is not None and _at_end(found.x, plain(bounds)):
        if has_tracer(bounds):
            raise unsupported("scipy.optimize.minimize_scalar", "traced bounds", "Scale the unknown instead.")
    else:
        found.x = differentiated(
            "scipy.optimize.minimize_scalar", equation(*plain(args)), equation(*args), found.x,
            success=found.success, message=str(getattr(found, "message", "")), what="the second derivative",
        )  # fmt: skip
    found.fun = fun(found.x, *args)
    return found


def _at_end(x: Any, bounds: Any) -> bool:
    """Whether a bounded minimum is at an end of its interval, which the search comes near without touching it."""
    low, high = bounds
    return bool(min(x - low, high - x) <= 1e-4 * (high - low))


def least_squares(
    fun: Any,
    x0: Any,
    jac: Any = "2-point",
    bounds: Any = (-np.inf, np.inf),
    method: str = "trf",
    ftol: Any = 1e-8,
    xtol: Any = 1e-8,
    gtol: Any = 1e-8,
    x_scale: Any = None,
    loss: Any = "linear",
    f_scale: float = 1.0,
    diff_step: Any = None,
    tr_solver: Any = None,
    tr_options: Any = None,
    jac_sparsity: Any = None,
    max_nfev: Any = None,
    verbose: int = 0,
    args: Any = (),
    kwargs: Any = None,
    callback: Any = None,
    workers: Any = None,
) -> Any:
    """Least-squares solution, differentiable by ``args``, ``kwargs`` and what `fun` closes over (the data, say).

    The derivative is that of the minimum of the cost, with the second derivatives of the residuals, not of the last
    Gauss-Newton step: it is exact where the residuals are not small, too.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args, **kwargs)``, the residuals (m,).
    x0 : array_like, shape (n,)
        The start, which has no derivative.
    loss : str
        "linear", "soft_l1", "huber", "cauchy" or "arctan"; not a callable where something is traced.
    jac, bounds, method, ftol, xtol, gtol, x_scale, f_scale, diff_step, args, kwargs, callback, workers
        As in SciPy, with the others.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's own; where something is traced, ``x``, ``fun`` and ``cost`` carry derivatives.

    Raises
    ------
    SolutionError
        In a transform, if the solver failed or the Hessian of the cost is singular.

    Examples
    --------
    >>> from autodiff import jacrev
    >>> t = np.array([0.0, 1.0, 3.0])
    >>> jacrev(lambda y: least_squares(lambda x: x[0] + x[1] * t - y, np.zeros(2)).x)(
    ...     np.array([1.0, 2.0, 4.0])
    ... )
    array([[ 0.71428571,  0.42857143, -0.14285714],
           [-0.28571429, -0.07142857,  0.35714286]])
    """
    name, args, kwargs = "scipy.optimize.least_squares", arguments(args), kwargs or {}
    given = {
        "jac": numbers_only(jac), "bounds": plain(bounds), "method": method, "ftol": ftol, "xtol": xtol, "gtol": gtol,
        "x_scale": x_scale, "loss": loss, "f_scale": plain(f_scale), "diff_step": diff_step, "tr_solver": tr_solver,
        "tr_options": tr_options, "jac_sparsity": jac_sparsity, "max_nfev": max_nfev, "verbose": verbose,
        "callback": callback, "workers": workers,
    }  # fmt: skip
    changed = {k: v for k, v in given.items() if v is not None}  # older SciPy has fewer parameters
    found = so.least_squares(numbers_only(fun), plain(x0), args=plain(args), kwargs=plain(kwargs), **changed)
    if not has_tracer(array(fun(found.x, *args, **kwargs))):
        return found
    if callable(loss) or has_tracer(bounds):
        raise unsupported(name, "a loss of one's own, or traced bounds", "Use minimize of the whole cost.")

    def cost(x: Any, fixed: Any, named: Any, scale: Any) -> Any:
        return 0.5 * np.sum(scale**2 * _LOSSES[loss]((array(fun(x, *fixed, **named)) / scale) ** 2))

    def equation(*given: Any) -> Any:
        return grad(lambda v: cost(v, *given))

    limits = bounds if isinstance(bounds, so.Bounds) else so.Bounds(*bounds)
    found.x = _inner(
        name, equation(plain(args), plain(kwargs), plain(f_scale)), equation(args, kwargs, f_scale), found.x,
        _limits(limits, found.x),
        success=found.success, message=str(found.message), what="the Hessian of the cost",
    )  # fmt: skip
    found.fun = array(fun(found.x, *args, **kwargs))
    found.cost = cost(found.x, args, kwargs, f_scale)
    return found


_LOSSES: dict[Any, Any] = {
    "linear": lambda z: z,
    "soft_l1": lambda z: 2 * (np.sqrt(1 + z) - 1),
    "huber": lambda z: np.where(z <= 1, z, 2 * np.sqrt(np.where(z <= 1, 1.0, z)) - 1),
    "cauchy": np.log1p,
    "arctan": np.arctan,
}
