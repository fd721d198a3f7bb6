"""Eigenvalues, singular values, orthogonal factors, the polar decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as sl

from autodiff.core import Operation, Sample, Spec, constant, explicit
from autodiff.core.batching import each, stacked
from autodiff.core.errors import describe, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.common import adjoint, hermitian, matrices, square
from autodiff.ops.linalg.triangular import solve_triangular
from autodiff.ops.products import swapped
from autodiff.scipy._mirror import check_finite_values, mirrors, plain_value, unsupported
from autodiff.scipy.linalg.equations import sylvester

__all__ = ["eig", "eigh", "eigvals", "eigvalsh", "norm", "polar", "qr", "rq", "svd", "svdvals"]


# -- symmetric eigenvalues -----------------------------------------------------------------------------------


def _signs(vectors: Any, like: Any, axis: int) -> Any:
    return np.where(np.sum(np.conjugate(like) * vectors, axis=axis).real < 0, -1, 1)


def _eigh_sign_values(v: Any, a: Any, b: Any, lower: bool, kind: int) -> Any:
    """Signs that turn the eigenvectors of a pair to the side that SciPy's are on."""
    if v.ndim > 2:
        a, b = (np.broadcast_to(x, v.shape) for x in (a, b))
        some = [_eigh_sign_values(*one, lower=lower, kind=kind) for one in zip(v, a, b, strict=True)]
        return np.array(some, np.intp).reshape(v.shape[:-1])
    return _signs(v, sl.eigh(a, b, lower=lower, type=kind)[1], axis=0)


def _rq_sign_values(q: Any, a: Any) -> Any:
    """The same for the rows of the orthogonal factor of `rq`."""
    if q.ndim > 2:
        some = [_rq_sign_values(*one) for one in zip(q, a, strict=True)]
        return np.array(some, np.intp).reshape(q.shape[:-1])
    return _signs(q, sl.rq(a, mode="economic")[1], axis=1)


_eigh_signs = constant(
    _eigh_sign_values,
    name="eigh_signs",
    shape=lambda v, _a, _b, lower, kind: Spec(shape_of(v)[:-1], np.intp),
    batch=stacked(2),
)
_rq_signs = constant(
    _rq_sign_values,
    name="rq_signs",
    shape=lambda q, _a: Spec(shape_of(q)[:-1], np.intp),
    batch=stacked(2),
)


def _chosen(w: Any, by_index: Any, by_value: Any) -> Any:
    """Positions of the eigenvalues that are asked for."""
    if by_index is not None and by_value is not None:
        raise ValueError("scipy.linalg.eigh: give subset_by_index or subset_by_value, not both.")
    if by_index is not None:
        return slice(int(by_index[0]), int(by_index[1]) + 1)
    if by_value is not None:
        value = plain_value("scipy.linalg.eigh with subset_by_value", w)
        return np.flatnonzero((value > by_value[0]) & (value <= by_value[1]))
    return slice(None)


def _generalised(a: Any, b: Any, kind: int, lower: bool) -> tuple[Any, Any]:
    """Eigenvalues and vectors of a pair, by the Cholesky factor of `b`."""
    factor = np.linalg.cholesky(b) if lower else adjoint(np.linalg.cholesky(b, upper=True))
    whole = hermitian(a, lower=lower)
    if kind == 1:  # a v = w b v
        inner = solve_triangular(factor, adjoint(solve_triangular(factor, whole, lower=True)), lower=True)
    else:  # a b v = w v, b a v = w v
        inner = adjoint(factor) @ whole @ factor
    w, u = np.linalg.eigh(inner, UPLO="L" if lower else "U")
    return w, (factor @ u if kind == 3 else solve_triangular(adjoint(factor), u, lower=False))


@mirrors(sl.eigh)
def eigh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,  # noqa: A002 - SciPy's name
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: Any = None,
) -> Any:
    """Eigenvalues and vectors of a Hermitian matrix, or of a pair of which `b` is positive definite.

    Examples
    --------
    >>> from autodiff import grad
    >>> a, b = np.diag([1.0, 3.0]), np.diag([1.0, 2.0])
    >>> grad(lambda b: eigh(a, b, eigvals_only=True)[1])(b)  # of 3 / 2, where b[1, 1] = 2
    array([[ 0.  ,  0.  ],
           [ 0.  , -0.75]])
    """
    name = "scipy.linalg.eigh"
    a = square(name, a)
    check_finite_values(name, check_finite, a)
    if type not in {1, 2, 3}:
        raise ValueError(f"{name}: type must be 1, 2 or 3, not {type!r}.")
    if b is None:
        if eigvals_only:
            w = np.linalg.eigvalsh(a, UPLO="L" if lower else "U")
            return w[..., _chosen(w, subset_by_index, subset_by_value)]
        w, v = np.linalg.eigh(a, UPLO="L" if lower else "U")
    else:
        b = square(name, b, "b")
        check_finite_values(name, check_finite, b)
        if shape_of(a) != shape_of(b) or len(shape_of(a)) != 2:
            raise ValueError(f"{name}: a and b must be matrices of one shape, not {describe(a)} and {describe(b)}.")
        w, v = _generalised(a, b, type, lower)
    at = _chosen(w, subset_by_index, subset_by_value)
    if eigvals_only:
        return w[..., at]
    if b is not None:
        v = v * _eigh_signs(v, a, b, lower=lower, kind=type).astype(dtype_of(v))[..., None, :]
    return w[..., at], v[..., at]


@mirrors(sl.eigvalsh)
def eigvalsh(a: Any, b: Any = None, *, lower: bool = True, **options: Any) -> Any:
    """Eigenvalues of a Hermitian matrix, or of a pair."""
    return eigh(a, b, lower=lower, eigvals_only=True, **options)


# -- general eigenvalues, singular values, norms -------------------------------------------------------------


@mirrors(sl.eig)
def eig(
    a: Any,
    b: Any = None,
    left: bool = False,
    right: bool = True,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    homogeneous_eigvals: bool = False,
) -> Any:
    """Eigenvalues and right eigenvectors of a general matrix; of a pair, with ``inv(b) @ a``."""
    name = "scipy.linalg.eig"
    if left or homogeneous_eigvals:
        raise unsupported(name, "left=True or homogeneous_eigvals=True", "Use eig of the adjoint for left vectors.")
    a = square(name, a)
    check_finite_values(name, check_finite, a)
    a = a.astype(np.result_type(dtype_of(a), np.complex64))  # SciPy's eigenvalues are always complex
    if b is None:
        w, v = np.linalg.eig(a)
        return (w, v) if right else w
    if right:
        raise unsupported(name, "eigenvectors of a pair", "Use eig(np.linalg.solve(b, a)), or right=False.")
    return np.linalg.eigvals(np.linalg.solve(square(name, b, "b"), a))


@mirrors(sl.eigvals)
def eigvals(
    a: Any, b: Any = None, overwrite_a: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False
) -> Any:
    """Eigenvalues of a general matrix."""
    return eig(a, b, right=False, check_finite=check_finite, homogeneous_eigvals=homogeneous_eigvals)


@mirrors(sl.svd)
def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """Singular value decomposition."""
    a = matrices("scipy.linalg.svd", a)
    check_finite_values("scipy.linalg.svd", check_finite, a)
    return tuple(np.linalg.svd(a, full_matrices=full_matrices)) if compute_uv else np.linalg.svdvals(a)


@mirrors(sl.svdvals)
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Singular values, in descending order."""
    return svd(a, compute_uv=False, check_finite=check_finite)


@mirrors(sl.norm)
def norm(a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True) -> Any:  # noqa: A002
    """Norm of a vector or matrix."""
    check_finite_values("scipy.linalg.norm", check_finite, a)
    return np.linalg.norm(a, ord, axis, keepdims)


# -- orthogonal factors --------------------------------------------------------------------------------------

_pivots = constant(
    lambda a: sl.qr(a, mode="r", pivoting=True, check_finite=False)[1].astype(np.intp),
    name="qr_pivots",
    shape=lambda a: Spec(shape_of(a)[-1:], np.intp),
    batch=each,
)


@mirrors(sl.qr)
def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    """QR factors; the permutation of ``pivoting=True`` is a constant."""
    name = "scipy.linalg.qr"
    a = matrices(name, a)
    check_finite_values(name, check_finite, a)
    m, n = shape_of(a)[-2:]
    if mode not in {"full", "r", "economic", "raw"}:
        raise ValueError(f"{name}: mode must be 'full', 'r', 'economic' or 'raw', not {mode!r}.")
    if mode == "raw" or (mode in {"full", "r"} and m > n):
        raise unsupported(
            name,
            f"mode={mode!r} of {m} x {n} matrices",
            "The columns of Q that it adds are arbitrary and have no derivative: use mode='economic'.",
        )
    order = None
    if pivoting:
        order = _pivots(a)
        a = a[..., order]
    q, r = np.linalg.qr(a, mode="reduced")
    found = (r,) if mode == "r" else (q, r)
    return found if order is None else (*found, order.astype(np.int32))


@mirrors(sl.rq)
def rq(a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", check_finite: bool = True) -> Any:
    """RQ factors of a matrix with at least as many columns as rows, by QR factors of the reversed adjoint."""
    name = "scipy.linalg.rq"
    a = matrices(name, a)
    check_finite_values(name, check_finite, a)
    m, n = shape_of(a)[-2:]
    if m > n or (mode != "economic" and m < n):
        raise unsupported(name, f"mode={mode!r} of {m} x {n} matrices", "Use mode='economic' of a wide matrix.")
    q, r = np.linalg.qr(adjoint(a[..., ::-1, :]))
    r, q = adjoint(r)[..., ::-1, ::-1], adjoint(q)[..., ::-1, :]
    signs = _rq_signs(q, a).astype(dtype_of(a))
    r, q = r * signs[..., None, :], q * signs[..., None]
    return r if mode == "r" else (r, q)


def _unitary_value(a: Any) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    if s.size and np.any(s[..., -1] <= max(a.shape[-2:]) * np.finfo(s.dtype).eps * s[..., 0]):
        raise np.linalg.LinAlgError(
            f"scipy.linalg.polar: a matrix of {describe(a)} lacks full rank{user_line()}: the unitary factor jumps "
            "there and has no derivative. Factorise a matrix that has full rank, such as a + eps * np.eye(n)."
        )
    return u @ vh


def _unitary_tangent(t: Any, y: Any, a: Any) -> Any:
    """``U k`` with k p + p k = U^H dA - dA^H U, and what leaves the space of U, over p."""
    p = adjoint(y) @ a
    inner = adjoint(y) @ t
    turned = y @ sylvester(p, p, inner - adjoint(inner))
    rest = t - y @ inner
    return turned + swapped(np.linalg.solve(swapped(p), swapped(rest)))


# The unitary factor is smooth where no singular value is 0, also where they repeat: no singular vectors in the rule.
_unitary: Operation = explicit(
    _unitary_value,
    _unitary_tangent,
    name="polar_unitary",
    samples=lambda rng: [Sample((rng.normal(size=s) / 4 + np.eye(*s),)) for s in ((3, 3), (4, 2), (1, 1))],
    batch=stacked(2),
    shape=lambda a: Spec(shape_of(a), dtype_of(a)),
)


@mirrors(sl.polar)
def polar(a: Any, side: str = "right") -> Any:
    """Polar decomposition ``a = u @ p`` (``side="left"``: ``p @ u``), also of matrices with equal singular values.

    A matrix without full rank has no derivative here: LinAlgError.
    """
    name = "scipy.linalg.polar"
    a = matrices(name, a)
    if side not in {"right", "left"}:
        raise ValueError(f"{name}: side must be 'right' or 'left', not {side!r}.")
    m, n = shape_of(a)[-2:]
    u = _unitary(a) if m >= n else adjoint(_unitary(adjoint(a)))
    p = adjoint(u) @ a if side == "right" else a @ adjoint(u)
    return u, (p + adjoint(p)) / 2
