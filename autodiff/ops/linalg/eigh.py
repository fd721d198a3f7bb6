"""Eigenvalues and eigenvectors of Hermitian matrices.

With h = V^H dA V the eigenvalues change by the diagonal of h, and the eigenvectors by V k, k_ij = h_ij / (w_j - w_i).
Inside a group of equal eigenvalues k has no value: the eigenvectors may be rotated at will, and there is no derivative
of an expression that reads them there but for what an infinitely small gap would say. It is NaN. First derivatives
of functions of the eigenvalues alone, and all derivatives that leave the group's eigenvectors aside, are not touched.

LAPACK reads one triangle, and makes the first (for the upper triangle: the last) component of each complex eigenvector
real; the derivative keeps to that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, implements
from autodiff.core.batching import stacked
from autodiff.core.linear import transposed_rule
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.cholesky import positive
from autodiff.ops.linalg.common import (
    Memo,
    adjoint,
    gaps,
    hermitian,
    ratio,
    read,
    real_spec,
    rounding,
    square,
    triangle,
    watched,
)
from autodiff.ops.products import conjugated

__all__ = ["eigh", "eigvalsh", "still_phase"]

_RESULT: Any = type(np.linalg.eigh(np.eye(1)))


def _factors(a: Any, lower: bool, known: Memo) -> Any:
    return known.of(lambda a: np.linalg.eigh(a, "L" if lower else "U"), a)


def still_phase(moved: Any, row: Any, change: Any) -> Any:
    """`moved` columns, turned so that the phases of `row` do not change; `change` is the row's own change."""
    size = np.real(row * conjugated(row))
    turn = np.imag(conjugated(row) * change) / np.where(size == 0, np.ones_like(size), size)
    return moved * turn[..., None, :] * -1j


def _values_tangent(t: Any, _y: Any, a: Any, lower: bool, known: Memo) -> Any:
    v = _vectors(a, lower=lower, known=known)
    return np.real(np.sum(conjugated(v) * (hermitian(t, lower=lower) @ v), axis=-2))


def _values_cotangent(ct: Any, _y: Any, a: Any, lower: bool, known: Memo) -> Any:
    """``V ct V^H``, in which eigenvectors that are not asked for have no part, so that their derivatives have none."""
    v = _vectors(a, lower=lower, known=known)
    v = np.where(read(ct)[..., None, :], v, np.zeros((), dtype_of(v)))
    return triangle(conjugated((v * ct[..., None, :]) @ adjoint(v)), lower=lower)


def _vectors_tangent(t: Any, y: Any, a: Any, lower: bool, known: Memo) -> Any:
    gap, same = gaps(_values(a, lower=lower, known=known))
    change = adjoint(y) @ (hermitian(t, lower=lower) @ y)
    turned = y @ watched(ratio(change, gap), same)
    if dtype_of(y).kind != "c" or not shape_of(y)[-1]:
        return turned
    row = 0 if lower else -1
    return turned + still_phase(y, y[..., row, :], turned[..., row, :])


_general_cotangent = transposed_rule(_vectors_tangent, 0)


def _vectors_cotangent(ct: Any, y: Any, a: Any, lower: bool, known: Memo) -> Any:
    """The transpose; written out for plain real matrices whose eigenvalues differ."""
    w = _values(a, lower=lower, known=known)
    if type(ct) is not np.ndarray or type(y) is not np.ndarray or y.dtype.kind == "c" or not _differ(w):
        return _general_cotangent(ct, y, a, lower=lower, known=known)
    gap = w[..., None, :] - w[..., :, None]
    np.einsum("...ii->...i", gap)[...] = np.inf
    change = y.mT @ ct
    change /= gap
    return triangle(y @ change @ y.mT, lower=lower)


def _differ(w: Any) -> bool:
    """Whether no two eigenvalues of a matrix are one but for rounding."""
    bound = rounding(w) * np.max(np.abs(w), axis=-1, keepdims=True, initial=0)
    return bool(np.all(np.diff(w) > bound))


def _samples(rng: np.random.Generator) -> list[Sample]:
    shapes = ((3, 3), (2, 2, 2), (1, 1), (0, 0))
    return [Sample((positive(rng, *s),), {"lower": low, "known": Memo()}) for s in shapes for low in (True, False)]


# The diagonal of h has one real entry for each eigenvalue; where `same` holds there is one eigenvalue.
_values: Operation = Operation(
    "eigh_values",
    lambda a, lower, known: _factors(a, lower, known)[0],
    jvps=(_values_tangent,),
    vjps=(_values_cotangent,),
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, lower, known: real_spec(shape_of(a)[:-1], dtype_of(a)),
)
_vectors: Operation = Operation(
    "eigh_vectors",
    lambda a, lower, known: _factors(a, lower, known)[1],
    jvps=(_vectors_tangent,),
    vjps=(_vectors_cotangent,),
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, lower, known: Spec(shape_of(a), dtype_of(a)),
)


def _lower(name: str, uplo: Any) -> bool:
    side = str(uplo).upper()
    if side not in {"L", "U"}:
        raise ValueError(f"{name}: UPLO argument must be 'L' or 'U', not {uplo!r}.")
    return side == "L"


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: Any = "L") -> Any:  # noqa: N803 - NumPy's name
    """Eigenvalues and eigenvectors of the Hermitian matrix of which `a` holds a triangle."""
    a, lower, known = square("np.linalg.eigh", a), _lower("np.linalg.eigh", UPLO), Memo()
    return _RESULT(_values(a, lower=lower, known=known), _vectors(a, lower=lower, known=known))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: Any = "L") -> Any:  # noqa: N803
    """Eigenvalues, in ascending order, of the Hermitian matrix of which `a` holds a triangle."""
    return _values(square("np.linalg.eigvalsh", a), lower=_lower("np.linalg.eigvalsh", UPLO), known=Memo())
