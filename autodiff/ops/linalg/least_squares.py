"""Pseudo-inverses and what rests on them: least squares; ranks and condition numbers.

The derivative of a pseudo-inverse is that at constant rank: where a matrix lacks rank its pseudo-inverse jumps in every
direction that raises the rank, and there is no other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer, constant, explicit, implements
from autodiff.core.abstract import AbstractTracer
from autodiff.core.batching import stacked
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import concrete
from autodiff.ops.kinks import jump
from autodiff.ops.linalg.common import adjoint, matrices, numbers, square
from autodiff.ops.linalg.common import hermitian as mirrored
from autodiff.ops.linalg.inverse import quiet_inverse
from autodiff.ops.portable import largest
from autodiff.ops.reductions import NOT_GIVEN

__all__ = ["cond", "lstsq", "matrix_rank", "pinv"]


# -- pseudo-inverses -----------------------------------------------------------------------------------------


def _tangent(t: Any, y: Any, a: Any, rcond: Any) -> Any:
    th, yh = adjoint(t), adjoint(y)
    inner = y @ t
    left = (y @ yh) @ th  # moves within the rows of the pseudo-inverse, out of the range of a
    right = th @ (yh @ y)
    return left - (left @ a) @ y - inner @ y + right - y @ (a @ right)


def _value(a: Any, rcond: Any) -> Any:
    return np.linalg.pinv(a, rcond)


_pinv: Operation = explicit(
    _value,
    _tangent,
    name="pinv",
    samples=lambda rng: [
        Sample((rng.normal(size=s),), {"rcond": 1e-13}) for s in ((3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 2))
    ],
    batch=stacked(2),
    shape=lambda a, rcond: Spec((*shape_of(a)[:-2], *shape_of(a)[:-3:-1]), dtype_of(a)),
)


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = NOT_GIVEN) -> Any:
    """Pseudo-inverse of each matrix; singular values up to ``rcond`` times the largest count as 0."""
    a = square("np.linalg.pinv", a) if hermitian else matrices("np.linalg.pinv", a)
    if rcond is not None and rtol is not NOT_GIVEN:
        raise ValueError("np.linalg.pinv: give rcond= or rtol=, not both.")
    if rcond is None:
        rcond = 1e-15 if rtol is NOT_GIVEN else rtol
    if rcond is None:
        rcond = max(shape_of(a)[-2:]) * float(np.finfo(dtype_of(a)).eps)
    if hermitian:
        a = mirrored(a, lower=True)  # NumPy reads this triangle
    return _pinv(a, rcond=concrete(rcond))


# -- least squares -------------------------------------------------------------------------------------------


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Least-squares solution, residuals, rank and singular values; the rank is a constant."""
    a, b = numbers("np.linalg.lstsq", a), numbers("np.linalg.lstsq", b, "b")
    if a.ndim != 2 or b.ndim not in (1, 2):
        raise np.linalg.LinAlgError(
            f"np.linalg.lstsq: a must be a matrix, and b a vector or a matrix, not {describe(a)} and {describe(b)}."
        )
    m, n = shape_of(a)
    if shape_of(b)[0] != m:
        raise np.linalg.LinAlgError(f"np.linalg.lstsq: a {describe(a)} and b {describe(b)} differ in their rows.")
    dtype = np.result_type(dtype_of(a), dtype_of(b))
    if rcond is None:
        rcond = float(np.finfo(dtype).eps) * max(m, n)
    elif not rcond >= 0:
        rcond = float(np.finfo(dtype).eps)  # as LAPACK does
    a = a.astype(dtype)
    x = _pinv(a, rcond=rcond) @ b
    s = np.linalg.svdvals(a)
    rank = _rank_of(s, rcond, min(m, n))
    if m <= n or (type(rank) is int and rank < n):
        return x, np.zeros(0, np.zeros(0, dtype).real.dtype), rank, s
    rest = np.reshape(b - a @ x, (m, -1))
    return x, np.sum(np.real(rest * np.conjugate(rest)), axis=0), rank, s


def _rank_of(s: Any, rcond: float, full: int) -> Any:
    """Number of singular values that count; where no values are known: all of them. In `vmap` an array."""
    value = concrete(s)
    if isinstance(value, AbstractTracer):
        return full
    rank = np.sum(value > rcond * largest(value, None, 0))
    return rank if isinstance(rank, Tracer) else int(rank)


# -- rank ----------------------------------------------------------------------------------------------------

_rank = constant(
    np.linalg.matrix_rank,
    name="matrix_rank",
    batch=stacked(2),
    shape=lambda a, **how: Spec(shape_of(a)[:-2], np.intp),
)


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:  # noqa: N803
    """Rank of each matrix: a constant."""
    A = numbers("np.linalg.matrix_rank", A, "A")  # noqa: N806
    if len(shape_of(A)) < 2:
        return np.any(np.not_equal(A, 0)).astype(int)
    tol, rtol = concrete(tol), concrete(rtol)
    how = {"tol": tol, "hermitian": hermitian} | ({} if rtol is None else {"rtol": rtol})
    return _rank(A, **how) if isinstance(A, Tracer) else np.linalg.matrix_rank(A, **how)


# -- condition numbers ---------------------------------------------------------------------------------------


def _pole(s: Any, first: Any, n: int) -> Any:
    """Singular values; the derivative of those that count as 0 is NaN, not 0 as at a kink, where they divide."""
    zero = s <= n * float(np.finfo(dtype_of(s)).eps) * first
    return s + np.where(zero, jump(s), dtype_of(s).type(0))


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Condition number: the norm of a matrix times that of its inverse."""
    x = matrices("np.linalg.cond", x, "x")
    if 0 in shape_of(x)[-2:] or x.size == 0:
        raise np.linalg.LinAlgError(f"np.linalg.cond: not defined for empty arrays, such as {describe(x)}.")
    if p is None or p in {2, -2}:
        s = np.linalg.svdvals(x)
        first, last = s[..., 0], s[..., -1]
        with np.errstate(all="ignore"):
            y = last / first if p == -2 else first / _pole(last, first, max(shape_of(x)[-2:]))
    else:
        x = square("np.linalg.cond", x, "x")
        y = np.linalg.norm(x, p, (-2, -1)) * np.linalg.norm(quiet_inverse(x), p, (-2, -1))
    broken = np.logical_and(np.isnan(y), np.logical_not(np.any(np.isnan(x), axis=(-2, -1))))
    return np.where(broken, dtype_of(y).type(np.inf), y)
