"""Sylvester's and Lyapunov's equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as sl

from autodiff.core import Operation, Sample, Spec
from autodiff.core.batching import each
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.common import adjoint, matrices, square
from autodiff.ops.products import conjugated, swapped
from autodiff.scipy._mirror import mirrors

__all__ = ["solve_continuous_lyapunov", "solve_discrete_lyapunov", "solve_sylvester"]


def _value(a: Any, b: Any, q: Any) -> Any:
    if not q.size:
        return np.zeros(q.shape, np.result_type(a, b, q))
    return sl.solve_sylvester(a, b, q).astype(np.result_type(a, b, q), copy=False)


def _samples(rng: np.random.Generator) -> list[Sample]:
    def regular(n: int) -> Any:
        return rng.normal(size=(n, n)) / 4 + np.eye(n)

    return [Sample((regular(m), regular(n), rng.normal(size=(m, n)))) for m, n in ((3, 2), (1, 1), (2, 2))]


#: x of ``a x + x b = q``; the transpose of the solution by q is the solution with the transposed matrices.
sylvester: Operation = Operation(
    "solve_sylvester",
    _value,
    jvps=(
        lambda t, y, a, b, _q: -sylvester(a, b, t @ y),
        lambda t, y, a, b, _q: -sylvester(a, b, y @ t),
        lambda t, _y, a, b, _q: sylvester(a, b, t),
    ),
    vjps=(
        lambda ct, y, a, b, _q: -(sylvester(swapped(a), swapped(b), ct) @ swapped(y)),
        lambda ct, y, a, b, _q: -(swapped(y) @ sylvester(swapped(a), swapped(b), ct)),
        lambda ct, _y, a, b, _q: sylvester(swapped(a), swapped(b), ct),
    ),
    linear_args=frozenset({2}),
    samples=_samples,
    batch=each,
    shape=lambda a, b, q: Spec(shape_of(q), np.result_type(dtype_of(a), dtype_of(b), dtype_of(q))),
)


def _fits(name: str, a: Any, b: Any, q: Any) -> None:
    if len(shape_of(a)) + len(shape_of(b)) + len(shape_of(q)) != 6:
        raise ValueError(f"{name}: stacks of matrices are not supported here; np.stack the results of a loop.")
    if shape_of(q) != (shape_of(a)[0], shape_of(b)[0]):
        raise ValueError(
            f"{name}: q must be {shape_of(a)[0]} x {shape_of(b)[0]} to fit {describe(a)} and {describe(b)}, "
            f"not {describe(q)}."
        )


@mirrors(sl.solve_sylvester)
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """Solution x of ``a @ x + x @ b = q``.

    Examples
    --------
    >>> from autodiff import grad
    >>> one = np.ones((1, 1))
    >>> grad(lambda a: solve_sylvester(a, one, one)[0, 0])(one)  # 1 / (a + b)
    array([[-0.25]])
    """
    name = "scipy.linalg.solve_sylvester"
    a, b, q = square(name, a), square(name, b, "b"), matrices(name, q, "q")
    _fits(name, a, b, q)
    return sylvester(a, b, q)


@mirrors(sl.solve_continuous_lyapunov)
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """Solution x of ``a @ x + x @ a^H = q``."""
    name = "scipy.linalg.solve_continuous_lyapunov"
    a, q = square(name, a), square(name, q, "q")
    _fits(name, a, a, q)
    return sylvester(a, adjoint(a), q)


@mirrors(sl.solve_discrete_lyapunov)
def solve_discrete_lyapunov(a: Any, q: Any, method: Any = None) -> Any:
    """Solution x of ``a @ x @ a^H - x + q = 0``, directly (up to 9 rows) or as a continuous equation."""
    name = "scipy.linalg.solve_discrete_lyapunov"
    a, q = square(name, a), square(name, q, "q")
    _fits(name, a, a, q)
    n = shape_of(a)[0]
    if method not in {None, "direct", "bilinear"}:
        raise ValueError(f"{name}: method must be 'direct' or 'bilinear', not {method!r}.")
    if method == "direct" or (method is None and n < 10):
        system = np.eye(n * n, dtype=dtype_of(a)) - np.kron(a, conjugated(a))
        return np.reshape(np.linalg.solve(system, np.reshape(q, (n * n,))), (n, n))
    # With b = (a + 1)^-1 (a - 1), the equation reads b x + x b^H = -2 (a + 1)^-1 q (a + 1)^-H.
    one = np.eye(n, dtype=dtype_of(a))
    plus = np.linalg.inv(a + one)
    b = plus @ (a - one)
    return sylvester(b, adjoint(b), -2 * plus @ q @ adjoint(plus))
