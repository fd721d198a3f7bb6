"""Solutions, inverses and factors of linear systems."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.linalg as sl

from autodiff.core import Operation, Sample, Spec, Tracer, constant, explicit
from autodiff.core.batching import all_values, stacked
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.common import adjoint, hermitian, matrices, numbers, square
from autodiff.ops.linalg.triangular import solve_triangular as _substitution
from autodiff.ops.products import conjugated, swapped
from autodiff.scipy._mirror import check_finite_values, mirrors

__all__ = [
    "cho_factor",
    "cho_solve",
    "cholesky",
    "det",
    "inv",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "pinv",
    "pinvh",
    "solve",
    "solve_triangular",
]


def right_side(name: str, a: Any, b: Any) -> tuple[Any, bool]:
    """Return `b` as a stack of matrices, and whether it was a vector; raise if it does not fit."""
    b = numbers(name, b, "b")
    vector = len(shape_of(b)) == 1
    if not shape_of(b) or shape_of(b)[0 if vector else -2] != shape_of(a)[-1]:
        raise ValueError(
            f"{name}: the matrix {describe(a)} and b {describe(b)} do not fit; b must have {shape_of(a)[-1]} rows."
        )
    return (np.reshape(b, (-1, 1)) if vector else b), vector


def left_side(name: str, a: Any, b: Any, check_finite: bool) -> Any:
    """Return a square matrix after the checks that SciPy makes."""
    a = square(name, a)
    check_finite_values(name, check_finite, a, b)
    return a


def _column(x: Any, vector: bool) -> Any:
    return x[..., 0] if vector else x


def mirrored(a: Any, lower: bool) -> Any:
    """The symmetric (not conjugated) matrix of which one triangle is given."""
    strict = np.tril(a, -1) if lower else np.triu(a, 1)
    return strict + swapped(strict) + a * np.eye(shape_of(a)[-1], dtype=dtype_of(a))


def triangular(name: str, a: Any, b: Any, lower: bool) -> Any:
    """Solve a triangular system, and raise for a zero on the diagonal."""
    diagonal = all_values(np.diagonal(a, axis1=-2, axis2=-1))
    if not isinstance(diagonal, Tracer) and np.any(diagonal == 0):
        raise np.linalg.LinAlgError(
            f"{name}: singular matrix: {describe(a)} has a zero on the diagonal. Add a small multiple of the "
            "identity, or use lstsq."
        )
    return _substitution(a, b, lower=lower)


_STRUCTURES = {
    "sym": "symmetric", "symmetric": "symmetric", "her": "hermitian", "hermitian": "hermitian",
    "pos": "positive", "positive definite": "positive", "upper triangular": "upper", "lower triangular": "lower",
    "diagonal": "diagonal", "tridiagonal": "tridiagonal", "banded": "general", "gen": "general", "general": "general",
    None: "general",
}  # fmt: skip


def _structure(name: str, assume_a: Any) -> str:
    if assume_a not in _STRUCTURES:
        raise ValueError(f"{name}: assume_a must be one of {[k for k in _STRUCTURES if k]}, not {assume_a!r}.")
    return _STRUCTURES[assume_a]


def _read_as(a: Any, kind: str, lower: bool) -> Any:
    """The matrix that is meant by the part that is read."""
    if kind == "symmetric":
        return mirrored(a, lower)
    if kind in {"hermitian", "positive"}:
        return hermitian(a, lower=lower)
    if kind == "tridiagonal":
        return np.triu(np.tril(a, 1), -1)
    if kind in {"upper", "lower"}:
        return np.tril(a) if kind == "lower" else np.triu(a)
    return a * np.eye(shape_of(a)[-1], dtype=dtype_of(a)) if kind == "diagonal" else a


@mirrors(sl.solve)
def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: Any = None,
    transposed: bool = False,
) -> Any:
    """Solution of ``a x = b``; of a matrix said to be symmetric or triangular, one triangle is read.

    Examples
    --------
    >>> from autodiff import grad
    >>> a = np.array([[2.0, 0.0], [1.0, 4.0]])
    >>> grad(lambda b: solve(a, b)[1])(np.array([1.0, 1.0]))
    array([-0.125,  0.25 ])
    """
    name = "scipy.linalg.solve"
    a = left_side(name, a, b, check_finite)
    b, vector = right_side(name, a, b)
    kind = _structure(name, assume_a)
    if kind == "positive":
        x = _with_factor(np.linalg.cholesky(a if lower else adjoint(a)), b)
        return _column(conjugated(_with_factor_conjugated(a, b, lower)) if transposed else x, vector)
    if kind in {"upper", "lower"}:
        low = kind == "lower"
        x = triangular(name, swapped(a) if transposed else a, b, low != transposed)
        return _column(x, vector)
    whole = _read_as(a, kind, lower)
    return _column(np.linalg.solve(swapped(whole) if transposed else whole, b), vector)


def _with_factor(factor: Any, b: Any) -> Any:
    """Solve with ``factor @ factor^H``."""
    return _substitution(adjoint(factor), _substitution(factor, b, lower=True), lower=False)


def _with_factor_conjugated(a: Any, b: Any, lower: bool) -> Any:
    """Conjugate of the solution with the transposed, that is the conjugated matrix."""
    return _with_factor(np.linalg.cholesky(a if lower else adjoint(a)), conjugated(b))


@mirrors(sl.solve_triangular)
def solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """Solution with a triangular matrix, of which the other triangle is not read."""
    name = "scipy.linalg.solve_triangular"
    a = left_side(name, a, b, check_finite)
    b, vector = right_side(name, a, b)
    how = {"N": 0, "T": 1, "C": 2}.get(trans, trans)
    if how not in {0, 1, 2}:
        raise ValueError(f"{name}: trans must be 0, 1, 2, 'N', 'T' or 'C', not {trans!r}.")
    if unit_diagonal:
        a = (np.tril(a, -1) if lower else np.triu(a, 1)) + np.eye(shape_of(a)[-1], dtype=dtype_of(a))
    a = (a, swapped(a), adjoint(a))[how]
    return _column(triangular(name, a, b, bool(lower) != bool(how)), vector)


# -- Cholesky ------------------------------------------------------------------------------------------------


@mirrors(sl.cholesky)
def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Cholesky factor of the Hermitian matrix of which one triangle is read."""
    a = left_side("scipy.linalg.cholesky", a, a, check_finite)
    return np.linalg.cholesky(a) if lower else np.linalg.cholesky(a, upper=True)


@mirrors(sl.cho_factor)
def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Cholesky factor for `cho_solve`; the other triangle, which SciPy leaves as it is, holds zeros."""
    return cholesky(a, lower=lower, check_finite=check_finite), lower


@mirrors(sl.cho_solve)
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """Solution with a matrix that is given by its Cholesky factor."""
    name = "scipy.linalg.cho_solve"
    c, lower = c_and_lower
    c = left_side(name, c, b, check_finite)
    b, vector = right_side(name, c, b)
    first, second = (c, adjoint(c)) if lower else (adjoint(c), c)
    return _column(triangular(name, second, triangular(name, first, b, True), False), vector)


# -- LU ------------------------------------------------------------------------------------------------------


def _eliminated(a: Any) -> Any:
    """LU factors of one matrix without exchanging rows, packed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sl.LinAlgWarning)
        packed, swaps = sl.lu_factor(a, check_finite=False)
    if np.array_equal(swaps, np.arange(len(a))):
        return packed
    y = np.array(a)  # a tie of two pivots
    for k in range(len(y) - 1):
        y[k + 1 :, k] /= y[k, k]
        y[k + 1 :, k + 1 :] -= y[k + 1 :, k, None] * y[k, k + 1 :]
    return y


def _each(fn: Any) -> Any:
    """Apply a function of one matrix to a stack."""

    def call(a: Any, *rest: Any) -> Any:
        if a.ndim == 2:
            return fn(a, *rest)
        flat = [fn(m, *rest) for m in a.reshape(-1, *a.shape[-2:])]
        return np.reshape(flat, (*a.shape[:-2], *flat[0].shape)) if flat else np.zeros(a.shape, a.dtype)

    return call


def _unit_lower(packed: Any) -> Any:
    return np.tril(packed, -1) + np.eye(shape_of(packed)[-1], dtype=dtype_of(packed))


def _packed_tangent(t: Any, y: Any, _a: Any) -> Any:
    low = _unit_lower(y)
    inner = swapped(_substitution(swapped(np.triu(y)), swapped(_substitution(low, t, lower=True)), lower=True))
    return low @ np.tril(inner, -1) + np.triu(inner) @ np.triu(y)


_packed: Operation = explicit(
    _each(_eliminated),
    _packed_tangent,
    name="lu_packed",
    samples=lambda rng: [Sample((rng.normal(size=s) / 4 + 2 * np.eye(s[-1]),)) for s in ((3, 3), (2, 2, 2), (1, 1))],
    batch=stacked(2),
    shape=lambda a: Spec(shape_of(a), dtype_of(a)),
)


def _row_order(a: Any) -> Any:
    """The order of the rows after the exchanges of partial pivoting."""
    p = sl.lu(a, p_indices=True, check_finite=False)[0]
    return np.argsort(p)


_order = constant(
    lambda a: np.asarray(_each(_row_order)(a), np.intp),
    name="lu_order",
    batch=stacked(2),
    shape=lambda a: Spec(shape_of(a)[:-1], np.intp),
)


def _factors(a: Any) -> tuple[Any, Any, Any]:
    """Order of the rows, and the factors (m, k) and (k, n)."""
    m, n = shape_of(a)[-2:]
    order = _order(a)
    a = np.take_along_axis(a, order[..., None], axis=-2)
    k = min(m, n)
    packed = _packed(a[..., :k, :k])
    low, up = _unit_lower(packed), np.triu(packed)
    if m > k:
        rest = swapped(_substitution(swapped(up), swapped(a[..., k:, :]), lower=True))
        low = np.concatenate([low, rest], axis=-2)
    if n > k:
        up = np.concatenate([up, _substitution(low, a[..., k:], lower=True)], axis=-1)
    return order, low, up


def _exchanges(order: Any) -> Any:
    """LAPACK's record of the same exchanges: row i went with row piv[i]."""
    order = np.asarray(order)
    if order.ndim > 1:
        return np.stack([_exchanges(o) for o in order])
    now, piv = np.arange(len(order)), np.zeros(len(order), np.int32)
    for i, row in enumerate(order):
        piv[i] = j = int(np.flatnonzero(now == row)[0])
        now[[i, j]] = now[[j, i]]
    return piv


def _row_places(piv: Any) -> Any:
    """The order of the rows after LAPACK's exchanges."""
    piv = np.asarray(piv)
    if piv.ndim > 1:
        return np.stack([_row_places(p) for p in piv]) if len(piv) else np.zeros(piv.shape, np.intp)
    order = np.arange(len(piv))
    for i, j in enumerate(piv):
        order[[i, j]] = order[[j, i]]
    return order


_pivots = constant(_exchanges, name="lu_pivots", batch=stacked(1), shape=lambda order: Spec(shape_of(order), np.int32))
_places = constant(_row_places, name="lu_places", batch=stacked(1), shape=lambda piv: Spec(shape_of(piv), np.intp))


@mirrors(sl.lu)
def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True, p_indices: bool = False
) -> Any:
    """LU factors with partial pivoting; the permutation is a constant."""
    name = "scipy.linalg.lu"
    a = matrices(name, a)
    check_finite_values(name, check_finite, a)
    order, low, up = _factors(a)
    back = np.argsort(order, axis=-1)
    if permute_l:
        return np.take_along_axis(low, back[..., None], axis=-2), up
    m = shape_of(a)[-2]
    permutation = np.take_along_axis(np.broadcast_to(np.eye(m), (*order.shape, m)), back[..., None], axis=-2)
    return (back if p_indices else permutation.astype(np.zeros(0, dtype_of(a)).real.dtype)), low, up


@mirrors(sl.lu_factor)
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """LU factors of a square matrix in one array, for `lu_solve`."""
    a = left_side("scipy.linalg.lu_factor", a, a, check_finite)
    order = _order(a)
    return _packed(np.take_along_axis(a, order[..., None], axis=-2)), _pivots(order)


@mirrors(sl.lu_solve)
def lu_solve(lu_and_piv: Any, b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """Solution with a matrix that is given by its LU factors."""
    name = "scipy.linalg.lu_solve"
    packed, piv = lu_and_piv
    packed = left_side(name, packed, b, check_finite)
    b, vector = right_side(name, packed, b)
    if trans not in {0, 1, 2}:
        raise ValueError(f"{name}: trans must be 0, 1 or 2, not {trans!r}.")
    order = _places(piv if isinstance(piv, Tracer) else np.asarray(piv))
    low, up = _unit_lower(packed), np.triu(packed)
    if trans == 0:
        return _column(triangular(name, up, triangular(name, low, _rows(b, order), True), False), vector)
    turn = swapped if trans == 1 else adjoint
    x = triangular(name, turn(low), triangular(name, turn(up), b, True), False)
    return _column(_rows(x, np.argsort(order)), vector)


def _rows(x: Any, order: Any) -> Any:
    """Rows in another order, which may differ between the examples of a map."""
    return np.take_along_axis(x, order[..., None], axis=-2)


# -- inverses and least squares ------------------------------------------------------------------------------


@mirrors(sl.inv)
def inv(
    a: Any, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: Any = None, lower: bool = False
) -> Any:
    """Inverse of a square matrix."""
    name = "scipy.linalg.inv"
    return np.linalg.inv(_read_as(left_side(name, a, a, check_finite), _structure(name, assume_a), lower))


@mirrors(sl.det)
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Determinant; its gradient is the matrix of cofactors, also where that of a singular matrix is wanted."""
    return np.linalg.det(left_side("scipy.linalg.det", a, a, check_finite))


def _cutoff(a: Any, atol: Any, rtol: Any) -> Any:
    """Relative bound below which singular values count as 0."""
    s = all_values(np.linalg.norm(a, 2, axis=(-2, -1)))
    relative = max(shape_of(a)[-2:]) * float(np.finfo(dtype_of(a)).eps) if rtol is None else rtol
    return relative if not atol else relative + atol / s


@mirrors(sl.pinv)
def pinv(a: Any, *, atol: Any = None, rtol: Any = None, return_rank: bool = False, check_finite: bool = True) -> Any:
    """Pseudo-inverse, differentiated at constant rank."""
    name = "scipy.linalg.pinv"
    a = matrices(name, a)
    check_finite_values(name, check_finite, a)
    cut = _cutoff(a, atol, rtol)
    y = np.linalg.pinv(a, rcond=cut)
    return (y, np.linalg.matrix_rank(a, rtol=cut)) if return_rank else y


@mirrors(sl.pinvh)
def pinvh(
    a: Any,
    atol: Any = None,
    rtol: Any = None,
    lower: bool = True,
    return_rank: bool = False,
    check_finite: bool = True,
) -> Any:
    """Pseudo-inverse of the Hermitian matrix of which one triangle is read, at constant rank."""
    a = left_side("scipy.linalg.pinvh", a, a, check_finite)
    return pinv(hermitian(a, lower=lower), atol=atol, rtol=rtol, return_rank=return_rank)


@mirrors(sl.lstsq)
def lstsq(
    a: Any,
    b: Any,
    cond: Any = None,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    lapack_driver: Any = None,
) -> Any:
    """Least-squares solution, residuals, rank and singular values, differentiated at constant rank."""
    name = "scipy.linalg.lstsq"
    a, b = matrices(name, a), numbers(name, b, "b")
    check_finite_values(name, check_finite, a, b)
    x, residuals, rank, s = np.linalg.lstsq(a, b, rcond=float(np.finfo(dtype_of(a)).eps) if cond is None else cond)
    if len(shape_of(b)) == 1 and shape_of(residuals) == (1,):
        residuals = residuals[0]  # SciPy gives a number for one right-hand side
    return x, residuals, rank, s
