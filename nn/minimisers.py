"""Minimising a function of a model with all examples at once: SciPy's methods, Newton's, and a line search.

Optimisers (`nn.optimisers`) take gradients of batches, and go on for ever. These take a function whose value is the
same each time, see it down to a minimum, and stop. Parameters are trees; derivatives come from the engine.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import hessian, hvp, jvp, tree, value_and_grad
from autodiff.core.backend import device_of, on_host
from autodiff.core.errors import DeviceError, describe
from autodiff.core.spec import dtype_of, shape_of
from nn.inspection import named_leaves

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Minimum", "line_search", "minimise", "newton"]

METHODS = {"L-BFGS": "L-BFGS-B", "BFGS": "BFGS", "CG": "CG", "Newton-CG": "Newton-CG"}
ENOUGH = 1e-4  # the share of what the slope promises by which a step has to come down (Nocedal and Wright, 3.1)
SHIFTS = 60


class _NoDescentError(ValueError):
    """A line along which nothing comes down."""


@dataclasses.dataclass(frozen=True)
class Minimum:
    """Where a minimisation arrived.

    Attributes
    ----------
    parameters : tree
        Like those that were given.
    value : float
        Of the function there.
    path : list of trees
        The parameters at the start and after each step.
    evaluations : int
        How often value and gradient were taken.
    converged : bool
        Whether the gradient is as small as was asked for.
    """

    parameters: Any
    value: float
    path: list[Any]
    evaluations: int
    converged: bool


class _Flat:
    """A function of a tree as a function of one vector of float64."""

    def __init__(self, name: str, f: Callable[[Any], Any], parameters: Any) -> None:
        leaves, self.structure = tree.flatten(parameters)
        self.name, self.leaves, self.evaluations = name, leaves, 0
        roles = [leaf.role for leaf in named_leaves(parameters)]
        kinds = [dtype_of(leaf).kind for leaf in leaves]
        if "c" in kinds:
            raise TypeError(f"{name}: a parameter is complex; keep its two parts as real parameters.")
        self.where = [i for i, role in enumerate(roles) if role == "parameter" and kinds[i] == "f"]
        if not self.where:
            raise ValueError(f"{name}: there are no floating-point parameters.")
        away = next((leaves[i] for i in self.where if not on_host(leaves[i])), None)
        if away is not None:
            raise DeviceError(
                f"{name}: a parameter is {describe(away)} on {device_of(away)}, but the method works on the host; move "
                "the parameters there with autodiff.device_put(..., 'cpu')."
            )
        self.start = np.concatenate([np.ravel(leaves[i]).astype(np.float64) for i in self.where])
        self.function = lambda x: f(self.tree(x))
        self.both = value_and_grad(self.function)

    def tree(self, x: Any) -> Any:
        """Return the tree whose parameters a vector holds, with their own dtypes."""
        leaves, at = list(self.leaves), 0
        for i in self.where:
            shape = shape_of(leaves[i])
            size = int(np.prod(shape))
            leaves[i] = np.astype(np.reshape(x[at : at + size], shape), dtype_of(leaves[i]))[()]
            at += size
        return tree.unflatten(self.structure, leaves)

    def __call__(self, x: Any) -> tuple[float, Any]:
        """Return value and gradient."""
        self.evaluations += 1
        value, gradient = self.both(x)
        if not np.all(np.isfinite(gradient)):
            raise FloatingPointError(f"{self.name}: the gradient is not finite after {self.evaluations} evaluations.")
        return float(value), gradient

    def minimum(self, points: list[Any], value: float, converged: bool) -> Minimum:
        """Return the result: the last of the points."""
        path = [self.tree(x) for x in points]
        return Minimum(path[-1], value, path, self.evaluations, converged)


def minimise(
    f: Callable[[Any], Any], parameters: Any, method: str = "L-BFGS", *, tolerance: float = 1e-6, max_steps: int = 1000
) -> Minimum:
    """Minimise a function by a method of SciPy, with gradients, and products of the Hessian, from the engine.

    Parameters
    ----------
    f : callable
        A real function of the parameters alone: all examples, no chance in it.
    parameters : tree
        Where to start. Parameters of floating-point dtype vary, as one vector of float64; state and integers stay.
    method : {"L-BFGS", "BFGS", "CG", "Newton-CG"}
        Quasi-Newton methods that remember a few steps or an approximation of the inverse Hessian, conjugate gradients
        (Polak and Ribière), or Newton's method with conjugate gradients, which multiplies by the exact Hessian.
    tolerance : float
        Below which the largest entry of the gradient counts as none.
    max_steps : int
        How many steps to make at most.

    Returns
    -------
    Minimum
        The parameters with their first dtypes, the value there, the path.

    Raises
    ------
    ValueError
        If the method is another one or there are no parameters.
    TypeError
        If parameters are complex.
    DeviceError
        If parameters are not on the host.
    FloatingPointError
        If a gradient is NaN or infinite.

    See Also
    --------
    autodiff.scipy.optimize.minimize : the minimiser itself as a function to be differentiated.

    Examples
    --------
    >>> found = minimise(lambda p: (p["a"] - 3) ** 2 + (p["b"] + p["a"]) ** 2, {"a": 0.0, "b": 0.0})
    >>> {name: round(float(value), 6) for name, value in found.parameters.items()}, found.converged
    ({'a': 3.0, 'b': -3.0}, True)
    """
    if method not in METHODS:
        raise ValueError(f"minimise: method must be one of {', '.join(METHODS)}, not {method!r}.")
    from scipy.optimize import minimize as scipy_minimise

    flat, points = _Flat("minimise", f, parameters), []
    options: dict[str, Any] = {"maxiter": max_steps}
    more: dict[str, Any] = {}
    if method == "Newton-CG":
        more["hessp"] = lambda x, v: hvp(flat.function, (x,), (v,))
        options["xtol"] = tolerance * 1e-3
    elif method == "L-BFGS":
        options |= {"gtol": tolerance, "ftol": 0.0, "maxfun": 100 * max_steps}
    else:
        options["gtol"] = tolerance
    points.append(flat.start)
    result = scipy_minimise(
        flat, flat.start, jac=True, method=METHODS[method], options=options,
        callback=lambda x: points.append(np.array(x)), **more,
    )  # fmt: skip
    if not np.array_equal(points[-1], result.x):
        points.append(result.x)
    small = bool(np.max(np.abs(flat(result.x)[1])) <= tolerance)
    return flat.minimum(points, float(result.fun), small)


def line_search(
    f: Callable[[Any], Any], parameters: Any, direction: Any, *, first: float = 1.0, shrink: float = 0.5
) -> float:
    """Return how far to go in a direction: the first of ``first * shrink**k`` that comes down enough.

    Enough is a ten-thousandth of what the slope promises (Armijo, "Minimization of functions having Lipschitz
    continuous first partial derivatives", 1966). The slope is one Jacobian-vector product.

    Parameters
    ----------
    f : callable
        A real function of the parameters.
    parameters, direction : trees
        From where, and whither; of one structure.
    first : float
        The longest step to try.
    shrink : float
        By what to multiply it until it will do; greater than 0 and less than 1.

    Raises
    ------
    ValueError
        If the function does not come down in this direction, or `first` or `shrink` is out of range.

    Examples
    --------
    >>> line_search(lambda x: x**2, 1.0, -8.0)
    0.125
    """
    if not first > 0 or not 0 < shrink < 1:
        raise ValueError(f"line_search: first must be positive and shrink between 0 and 1, not {first} and {shrink}.")
    value, slope = jvp(f, (parameters,), (direction,))
    if not slope < 0:
        raise _NoDescentError(
            f"line_search: the function does not come down in this direction; its slope is {slope:.3g}."
        )
    step = float(first)
    while step > 1e-16 * first:
        new = f(tree.map(lambda p, d: p + step * d, parameters, direction))  # noqa: B023 - called at once
        if new <= value + ENOUGH * step * slope:  # not true of NaN
            return step
        step *= shrink
    raise _NoDescentError(
        f"line_search: no step comes down, although the slope is {slope:.3g}; is the function smooth?"
    )


def newton(f: Callable[[Any], Any], parameters: Any, *, tolerance: float = 1e-8, max_steps: int = 100) -> Minimum:
    """Minimise a function by Newton's method with exact Hessians.

    Each step solves ``H d = -g``. Where the Hessian is not positive definite a multiple of the identity is added until
    it is (Nocedal and Wright, "Numerical optimization", 2006, section 3.4), and where the whole step does not come down
    it is halved, so that the method cannot walk to a maximum or a saddle. For some hundred parameters: it forms the
    Hessian and solves with it.

    Parameters are those of `minimise`, and so are what it returns and raises.

    Examples
    --------
    >>> found = newton(lambda x: np.sum(np.exp(x) - 2 * x), np.array([0.0, 3.0]))
    >>> found.parameters.round(6), len(found.path) - 1
    (array([0.693147, 0.693147]), 6)
    """
    flat = _Flat("newton", f, parameters)
    second = hessian(flat.function)
    x, points = flat.start, [flat.start]
    value, gradient = flat(x)
    while np.max(np.abs(gradient)) > tolerance and len(points) <= max_steps:
        direction = _newton_direction(second(x), gradient)
        try:
            step = line_search(flat.function, x, direction)
        except _NoDescentError:  # the function is flat to the last digit
            break
        x = x + step * direction
        points.append(x)
        value, gradient = flat(x)
    return flat.minimum(points, value, bool(np.max(np.abs(gradient)) <= tolerance))


def _newton_direction(h: Any, gradient: Any) -> Any:
    """Return the solution of ``(h + shift I) d = -gradient``, with the least shift tried that makes a minimum."""
    scale = max(float(np.max(np.abs(h))), 1e-300)
    shift = 0.0
    for _ in range(SHIFTS):
        try:
            factor = np.linalg.cholesky(h + shift * np.eye(len(h)))
        except np.linalg.LinAlgError:
            shift = max(2 * shift, 1e-3 * scale)
        else:
            return -np.linalg.solve(factor.T, np.linalg.solve(factor, gradient))
    raise FloatingPointError("newton: the Hessian is not finite.")
