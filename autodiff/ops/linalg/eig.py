"""Eigenvalues and eigenvectors of general matrices.

With c = V^-1 dA V the eigenvalues change by the diagonal of c, and the eigenvectors by V k, k_ij = c_ij / (w_j - w_i),
but for their lengths, which LAPACK makes 1, and for their phases: it makes the largest component real. A matrix
without a full set of eigenvectors has no derivative: NaN, or large numbers if rounding has moved it a little. Where
eigenvalues are equal, what reads derivatives of the eigenvectors is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, explicit, implements
from autodiff.core.batching import stacked
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.common import Memo, gaps, ratio, real_spec, square
from autodiff.ops.linalg.eigh import still_phase
from autodiff.ops.linalg.inverse import quiet_inverse
from autodiff.ops.products import conjugated

__all__ = ["eig", "eigvals"]

_RESULT: Any = type(np.linalg.eig(np.eye(1)))


def _change(t: Any, v: Any) -> Any:
    return quiet_inverse(v) @ (t @ v)


def _values_tangent(t: Any, _y: Any, a: Any, known: Memo) -> Any:
    return np.diagonal(_change(t, _vectors(a, known=known)), 0, -2, -1)


def _vectors_tangent(t: Any, y: Any, a: Any, known: Memo) -> Any:
    gap, same = gaps(_values(a, known=known))
    one = real_spec((), dtype_of(y)).dtype.type(1)
    turned = y @ ratio(_change(t, y) * np.where(same, one * np.nan, one), gap)
    moved = turned - y * np.sum(np.real(conjugated(y) * turned), axis=-2, keepdims=True)
    if dtype_of(y).kind != "c" or not shape_of(y)[-1]:
        return moved
    pivot = np.argmax(np.abs(y), axis=-2)[..., None, :]
    row, change = (np.take_along_axis(x, pivot, axis=-2)[..., 0, :] for x in (y, turned))
    return moved + still_phase(y, row, change)


def _samples(rng: np.random.Generator) -> list[Sample]:
    turn = np.array([[0.0, -2.0, 0.3], [1.0, 0.2, 0.1], [0.1, 0.4, 1.0]])
    stack = np.array([[[0.0, -1.0], [2.0, 0.3]], [[1.0, 0.2], [-0.3, 0.5]]])
    return [Sample((a + 0.05 * rng.normal(size=a.shape),), {"known": Memo()}) for a in (turn, stack)]


def _complex(shape: tuple[int, ...], dtype: Any) -> Spec:
    """Of real matrices NumPy returns real results if it can; where only the shape is known that is not known."""
    return Spec(shape, np.result_type(dtype, np.complex64))


_values: Operation = explicit(
    lambda a, known: known.of(np.linalg.eig, a)[0],
    _values_tangent,
    name="eig_values",
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, known: _complex(shape_of(a)[:-1], dtype_of(a)),
)
_vectors: Operation = explicit(
    lambda a, known: known.of(np.linalg.eig, a)[1],
    _vectors_tangent,
    name="eig_vectors",
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, known: _complex(shape_of(a), dtype_of(a)),
)


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    """Eigenvalues and right eigenvectors of each matrix."""
    a, known = square("np.linalg.eig", a), Memo()
    return _RESULT(_values(a, known=known), _vectors(a, known=known))


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """Eigenvalues of each matrix."""
    return _values(square("np.linalg.eigvals", a), known=Memo())
