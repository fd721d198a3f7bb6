"""Inverses and solutions of square systems, also of tensors."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, implements
from autodiff.core.batching import stacked
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.common import numbers, quiet, square
from autodiff.ops.linalg.lapack import Factors, available
from autodiff.ops.products import swapped

__all__ = ["inv", "quiet_inverse", "solve", "tensorinv", "tensorsolve"]


def _regular(rng: np.random.Generator, *shape: int) -> Any:
    return rng.normal(size=shape) / 2 + 1.5 * np.eye(shape[-1])


# -- inverses ------------------------------------------------------------------------------------------------


def _inverse(name: str, fn: Any) -> Operation:
    def cotangent(ct: Any, y: Any, _a: Any) -> Any:
        z = swapped(y)
        return -(z @ ct @ z)

    return Operation(
        name,
        fn,
        jvps=(lambda t, y, _a: -(y @ t @ y),),
        vjps=(cotangent,),
        samples=lambda rng: [Sample((_regular(rng, *s),)) for s in ((3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2))],
        batch=stacked(2),
        shape=lambda a: Spec(shape_of(a), dtype_of(a)),
    )


_inv = _inverse("inv", np.linalg.inv)
_quiet_inv = _inverse("quiet_inv", lambda a: quiet(np.linalg.inv, a))


def quiet_inverse(a: Any) -> Any:
    """Inverse; NaN for a singular matrix, which raises nothing."""
    return _quiet_inv(a)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    """Inverse of each matrix; a singular one raises LinAlgError, as in NumPy."""
    return _inv(square("np.linalg.inv", a))


# -- solutions -----------------------------------------------------------------------------------------------


class Solver:
    """The factors of the matrix of some solutions, kept for the next."""

    __slots__ = ("factors",)

    def __init__(self) -> None:
        self.factors: tuple[Any, Any] = (None, None)

    def __repr__(self) -> str:
        return "·"

    def solution(self, a: Any, b: Any) -> Any:
        """Solve ``a x = b``."""
        if not available(a, b):
            return np.linalg.solve(a, b)
        return self._factors(a).solution(b, transposed=False)

    def transposed(self, a: Any, b: Any) -> Any:
        """Solve with the transpose of `a`."""
        if not available(a, b):
            return np.linalg.solve(swapped(a), b)
        return self._factors(a).solution(b, transposed=True)

    def _factors(self, a: Any) -> Factors:
        at, found = self.factors
        if at is not a:
            found = Factors(a)
            self.factors = a, found
        return found  # type: ignore[no-any-return]


def _adjoints(ct: Any, wanted: tuple[bool, bool], y: Any, a: Any, _b: Any, known: Solver) -> tuple[Any, Any]:
    """Adjoints of the matrix and of the right-hand side: one solution with the transpose gives both."""
    of_b = _solve_t(a, ct, known=known)
    return -of_b @ swapped(y) if wanted[0] else None, of_b


def _solve_shape(a: Any, b: Any, known: Solver) -> Spec:
    batch = np.broadcast_shapes(shape_of(a)[:-2], shape_of(b)[:-2])
    return Spec((*batch, *shape_of(b)[-2:]), np.result_type(dtype_of(a), dtype_of(b)))


def _solve_samples(rng: np.random.Generator) -> list[Sample]:
    shapes = (((3, 3), (3, 2)), ((2, 2, 2), (2, 1)), ((2, 2), (3, 2, 2)), ((2, 1, 2, 2), (3, 2, 1)), ((0, 0), (0, 2)))
    return [Sample((_regular(rng, *a), rng.normal(size=b)), {"known": Solver()}) for a, b in shapes]


_solve: Operation = Operation(
    "solve",
    lambda a, b, known: known.solution(a, b),
    jvps=(
        lambda t, y, a, _b, known: -_solve(a, t @ y, known=known),
        lambda t, _y, a, _b, known: _solve(a, t, known=known),
    ),
    vjps=(
        lambda ct, y, a, _b, known: -_solve_t(a, ct, known=known) @ swapped(y),
        lambda ct, _y, a, _b, known: _solve_t(a, ct, known=known),
    ),
    joint_vjp=_adjoints,
    linear_args=frozenset({1}),
    samples=_solve_samples,
    batch=stacked(2),
    shape=_solve_shape,
)


_solve_t: Operation = Operation(
    "solve_transposed",
    lambda a, b, known: known.transposed(a, b),
    jvps=(
        lambda t, y, a, _b, known: -_solve_t(a, swapped(t) @ y, known=known),
        lambda t, _y, a, _b, known: _solve_t(a, t, known=known),
    ),
    vjps=(
        lambda ct, y, a, _b, known: -(y @ swapped(_solve(a, ct, known=known))),
        lambda ct, _y, a, _b, known: _solve(a, ct, known=known),
    ),
    linear_args=frozenset({1}),
    samples=_solve_samples,
    batch=stacked(2),
    shape=_solve_shape,
)


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """Solution of ``a x = b``; `b` is a vector if it has one axis, else a stack of matrices (as from NumPy 2.0)."""
    a, b = square("np.linalg.solve", a), numbers("np.linalg.solve", b, "b")
    sa, sb = shape_of(a), shape_of(b)
    vector = len(sb) == 1
    if not sb or sb[0 if vector else -2] != sa[-1]:
        raise ValueError(
            f"np.linalg.solve: a {describe(a)} and b {describe(b)} do not fit; b must have {sa[-1]} rows "
            "(a stack of vectors needs a last axis: b[..., np.newaxis])."
        )
    if not vector:
        return _solve(a, b, known=Solver())
    x = _solve(a, np.reshape(b, (*sb, 1)), known=Solver())
    return np.reshape(x, shape_of(x)[:-1])


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """Solution of ``tensordot(a, x, x.ndim) = b``."""
    a, b = numbers("np.linalg.tensorsolve", a), numbers("np.linalg.tensorsolve", b, "b")
    if axes is not None:
        order = [k for k in range(a.ndim) if k not in axes]
        a = np.transpose(a, (*order, *axes))
    unknown = shape_of(a)[len(shape_of(b)) :]
    rows, columns = math.prod(shape_of(b)), math.prod(unknown)
    if a.size != columns**2 or rows != columns:
        raise np.linalg.LinAlgError(
            f"np.linalg.tensorsolve: a {describe(a)} is not square over the axes of b {describe(b)}: "
            "prod(a.shape[b.ndim:]) must be prod(a.shape[:b.ndim])."
        )
    return np.reshape(solve(np.reshape(a, (rows, columns)), np.reshape(b, (rows,))), unknown)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """Inverse with respect to ``tensordot(a, b, ind)``."""
    a, ind = numbers("np.linalg.tensorinv", a), operator.index(ind)
    if ind <= 0:
        raise ValueError(f"np.linalg.tensorinv: ind must be positive, not {ind}.")
    shape = shape_of(a)
    rows, columns = math.prod(shape[:ind]), math.prod(shape[ind:])
    if rows != columns:
        raise np.linalg.LinAlgError(
            f"np.linalg.tensorinv: {describe(a)} with ind={ind} is not square: {rows} x {columns}."
        )
    return np.reshape(inv(np.reshape(a, (rows, columns))), shape[ind:] + shape[:ind])
