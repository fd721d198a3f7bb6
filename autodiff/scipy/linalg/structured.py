"""Matrices built from fewer numbers: Toeplitz, circulant, Hankel, companion, block diagonal, Khatri-Rao."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as sl

from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.common import matrices
from autodiff.ops.products import conjugated
from autodiff.scipy._mirror import array, mirrors

__all__ = ["block_diag", "circulant", "companion", "hankel", "khatri_rao", "solve_toeplitz", "toeplitz"]


def _sequence(name: str, x: Any) -> Any:
    x = array(x)
    if len(shape_of(x)) > 1:
        raise ValueError(f"scipy.linalg.{name}: takes one-dimensional sequences, not {describe(x)}; np.ravel it.")
    return np.reshape(x, (-1,))


@mirrors(sl.toeplitz)
def toeplitz(c: Any, r: Any = None) -> Any:
    """Matrix with constant diagonals, from its first column and row; without `r`, the row is ``conj(c)``.

    Examples
    --------
    >>> from autodiff import grad
    >>> grad(lambda c: np.sum(toeplitz(c)))(np.ones(3))
    array([3., 4., 2.])
    """
    c = _sequence("toeplitz", c)
    r = conjugated(c) if r is None else _sequence("toeplitz", r)
    m, n = len(c), len(r)
    values = np.concatenate([c[::-1], r[1:]])
    return values[m - 1 - np.arange(m)[:, None] + np.arange(n)]


@mirrors(sl.circulant)
def circulant(c: Any) -> Any:
    """Circulant matrix, from its first column (each vector of a stack)."""
    c = array(c)
    n = shape_of(c)[-1]
    return c[..., (np.arange(n)[:, None] - np.arange(n)) % max(n, 1)]


@mirrors(sl.hankel)
def hankel(c: Any, r: Any = None) -> Any:
    """Matrix with constant anti-diagonals, from its first column and last row."""
    c = _sequence("hankel", c)
    r = np.zeros(len(c), dtype_of(c)) if r is None else _sequence("hankel", r)
    values = np.concatenate([c, r[1:]])
    return values[np.arange(len(c))[:, None] + np.arange(len(r))]


@mirrors(sl.companion)
def companion(a: Any) -> Any:
    """Companion matrix of a polynomial, the highest coefficient first."""
    a = array(a)
    if len(shape_of(a)) != 1 or shape_of(a)[0] < 2:
        raise ValueError(f"scipy.linalg.companion: takes two or more coefficients in a vector, not {describe(a)}.")
    n = shape_of(a)[0] - 1
    first = -a[1:] / a[0]
    return np.concatenate([first[None], np.eye(n - 1, n, dtype=dtype_of(first))], axis=0)


@mirrors(sl.block_diag)
def block_diag(*arrs: Any) -> Any:
    """Block diagonal matrix; a vector is a row."""
    blocks = [array(b) for b in arrs]
    blocks = [np.reshape(b, (1, -1)) if len(shape_of(b)) < 2 else b for b in blocks]
    if any(len(shape_of(b)) != 2 for b in blocks):
        raise ValueError(
            f"scipy.linalg.block_diag: takes matrices, not {', '.join(describe(b) for b in blocks)}; for stacks of "
            "blocks use np.zeros and np.concatenate along the last axes."
        )
    dtype = np.result_type(*(dtype_of(b) for b in blocks))
    columns = sum(shape_of(b)[1] for b in blocks)
    rows, before = [], 0
    for b in blocks:
        height, width = shape_of(b)
        left = np.zeros((height, before), dtype)
        right = np.zeros((height, columns - before - width), dtype)
        rows.append(np.concatenate([left, b, right], axis=1))
        before += width
    return np.concatenate(rows, axis=0)


@mirrors(sl.khatri_rao)
def khatri_rao(a: Any, b: Any) -> Any:
    """Kronecker product, column by column."""
    name = "scipy.linalg.khatri_rao"
    a, b = matrices(name, a), matrices(name, b, "b")
    if shape_of(a)[-1] != shape_of(b)[-1]:
        raise ValueError(f"{name}: a {describe(a)} and b {describe(b)} need the same number of columns.")
    y = a[..., :, None, :] * b[..., None, :, :]
    *batch, m, n, k = shape_of(y)
    return np.reshape(y, (*batch, m * n, k))


@mirrors(sl.solve_toeplitz)
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: bool = True) -> Any:
    """Solution with a Toeplitz matrix; its derivative takes the time of a full system, not of Levinson's recursion."""
    c, r = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, None)
    return np.linalg.solve(toeplitz(c, r), array(b))
