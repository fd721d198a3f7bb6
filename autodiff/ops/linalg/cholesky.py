"""Cholesky factors: NumPy reads one triangle of the matrix, and so does the derivative."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, implements
from autodiff.core.backend import made
from autodiff.core.batching import stacked
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.common import MASKED, adjoint, hermitian, quiet, square, triangle
from autodiff.ops.linalg.lapack import available, swept
from autodiff.ops.linalg.triangular import solve_triangular
from autodiff.ops.products import conjugated

__all__ = ["cholesky"]


def _halves(x: Any, n: int) -> Any:
    """Weights of a lower triangle with half the diagonal, where `x` is and of its dtype."""
    return made(np.tri, x, n, dtype=dtype_of(x)) - made(np.eye, x, n, dtype=dtype_of(x)) / 2


@functools.lru_cache(maxsize=16)
def _half_triangle(n: int, char: str) -> Any:
    weights = _halves(np.zeros(0, char), n)
    weights.flags.writeable = False
    return weights


def _halved(x: Any) -> Any:
    """Lower triangle with half the diagonal."""
    return x * _halves(x, shape_of(x)[-1])


def _sandwich(factor: Any, x: Any) -> Any:
    """``inv(factor) x inv(factor)^H`` of a Hermitian matrix."""
    return solve_triangular(factor, adjoint(solve_triangular(factor, x, lower=True)), lower=True)


def _tangent(t: Any, y: Any, _a: Any) -> Any:
    return y @ _halved(_sandwich(y, hermitian(t, lower=True)))


def _plain_cotangent(ct: Any, y: Any) -> Any:
    """The same of plain arrays, with one inverse in place of two systems."""
    half = adjoint(y) @ conjugated(ct)
    half *= _half_triangle(y.shape[-1], y.dtype.char) if y.shape[-1] <= MASKED else _halves(y, y.shape[-1])
    if available(y, half):
        return triangle(swept(y, half), lower=True)
    inverse = quiet(np.linalg.inv, y)
    return triangle(conjugated(adjoint(inverse) @ half @ inverse), lower=True)


def _cotangent(ct: Any, y: Any, _a: Any) -> Any:
    if type(ct) is type(y) is np.ndarray:
        return _plain_cotangent(ct, y)
    upper = adjoint(y)
    inner = solve_triangular(upper, _halved(upper @ conjugated(ct)), lower=False)
    outer = adjoint(solve_triangular(upper, adjoint(inner), lower=False))
    return triangle(conjugated(outer), lower=True)


def positive(rng: np.random.Generator, *shape: int) -> Any:
    """Draw symmetric, positive definite matrices."""
    x = rng.normal(size=shape)
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])


_factor = Operation(
    "cholesky",
    np.linalg.cholesky,
    jvps=(_tangent,),
    vjps=(_cotangent,),
    samples=lambda rng: [Sample((positive(rng, *s),)) for s in ((3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2))],
    batch=stacked(2),
    shape=lambda a: Spec(shape_of(a), dtype_of(a)),
)


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Cholesky factor of the Hermitian matrix of which `a` holds the lower (`upper`: the upper) triangle."""
    a = square("np.linalg.cholesky", a)
    return adjoint(_factor(adjoint(a))) if upper else _factor(a)
