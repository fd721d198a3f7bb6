"""Programs of one example that are mapped over many, and functions of a hundred variables with a full Hessian.

A builder takes the namespace and a function that makes its arrays from NumPy's, as in `autodiff_programs`.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
Namespace: TypeAlias = Any
Function: TypeAlias = Callable[..., Array]
Builder: TypeAlias = Callable[[Namespace, Callable[[np.ndarray], Array]], Function]

EXAMPLES = 10_000
VARIABLES = 100


def energy(xp: Namespace, _array: Callable[[np.ndarray], Array]) -> Function:
    """Return a rational function of a vector: 8 operations."""
    return lambda x: xp.sum(xp.sin(x) * x**2) / (1.0 + x @ x)


def regression(xp: Namespace, _array: Callable[[np.ndarray], Array]) -> Function:
    """Return the squared error of a net of 20-30-1 units at one example, by its weights."""
    return lambda w, x: (xp.tanh(x @ w[:600].reshape(20, 30)) @ w[600:] - 1.0) ** 2


def examples() -> Iterator[tuple[str, Builder, tuple[Array, ...], tuple[int | None, ...]]]:
    """Yield name, program, arguments and mapped axes."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(EXAMPLES, 20))
    yield "energy of 20 numbers", energy, (x,), (0,)
    yield "weights of 20-30-1", regression, (rng.normal(size=630) / 5.0, x), (None, 0)


def rosenbrock(xp: Namespace, _array: Callable[[np.ndarray], Array]) -> Function:
    """Return the chained Rosenbrock function."""
    return lambda x: xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def layers(xp: Namespace, array: Callable[[np.ndarray], Array]) -> Function:
    """Return the squared norm of two dense layers."""
    weights = array(np.random.default_rng(6).normal(size=(VARIABLES, VARIABLES)) / 10.0)
    return lambda x: xp.sum(xp.tanh(xp.tanh(x @ weights) @ weights) ** 2)


def logsumexp(xp: Namespace, array: Callable[[np.ndarray], Array]) -> Function:
    """Return the logarithm of a sum of exponentials of linear functions."""
    weights = array(np.random.default_rng(7).normal(size=(VARIABLES, VARIABLES)) / 10.0)
    return lambda x: xp.log(xp.sum(xp.exp(weights @ x)))


def hundred_variables() -> Iterator[tuple[str, Builder, Array]]:
    """Yield name, program and point."""
    point = np.random.default_rng(8).normal(size=VARIABLES)
    for build in (rosenbrock, layers, logsumexp):
        yield build.__name__, build, point
