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
from autodiff.core.variable import Call, Variable, record_call
from autodiff.ops.linalg.cholesky import positive
from autodiff.ops.linalg.common import (
    Memo,
    adjoint,
    counted,
    gaps,
    grouped,
    held,
    hermitian,
    noticed,
    ratio,
    real_spec,
    rounding,
    set_diagonal,
    square,
    steady,
    triangle,
    watched,
)
from autodiff.ops.products import conjugated

__all__ = ["eigh", "eigvalsh", "still_phase"]

_RESULT: Any = type(np.linalg.eigh(np.eye(1)))


def _decomposed(a: Any, lower: bool) -> Any:
    """Eigenvectors, and below them a row of the eigenvalues."""
    w, v = np.linalg.eigh(a, "L" if lower else "U")
    return np.concatenate([v, w[..., None, :]], axis=-2)


def _taken_apart(both: Any) -> tuple[Any, Any]:
    n = shape_of(both)[-1]
    return np.real(both[..., n, :]), both[..., :n, :]


def still_phase(moved: Any, row: Any, change: Any) -> Any:
    """`moved` columns, turned so that the phases of `row` do not change; `change` is the row's own change."""
    size = np.real(row * conjugated(row))
    turn = np.imag(conjugated(row) * change) / np.where(size == 0, np.ones_like(size), size)
    return moved * turn[..., None, :] * -1j


# -- forward -------------------------------------------------------------------------------------------------


def _values_change(t: Any, v: Any, w: Any, lower: bool) -> Any:
    change = np.real(np.sum(conjugated(v) * (hermitian(t, lower=lower) @ v), axis=-2))
    return counted(change, grouped(w), tangent=True)


def _vectors_change(t: Any, v: Any, w: Any, lower: bool) -> Any:
    gap, same = gaps(w)
    change = adjoint(v) @ (hermitian(t, lower=lower) @ v)
    turned = v @ watched(ratio(change, gap), same)
    if dtype_of(v).kind != "c" or not shape_of(v)[-1]:
        return turned
    row = 0 if lower else -1
    return turned + still_phase(v, v[..., row, :], turned[..., row, :])


def _values_tangent(t: Any, y: Any, a: Any, lower: bool, known: Memo) -> Any:
    return _values_change(t, _taken_apart(_both(a, lower=lower, known=known))[1], y, lower)


def _tangent(t: Any, y: Any, _a: Any, lower: bool, known: Memo) -> Any:
    w, v = _taken_apart(y)
    values = _values_change(t, v, w, lower)[..., None, :].astype(dtype_of(v))
    return np.concatenate([_vectors_change(t, v, w, lower), values], axis=-2)


# -- reverse -------------------------------------------------------------------------------------------------


def _weighted(c: Any, v: Any, w: Any, lower: bool) -> Any:
    """Adjoint of the matrix from those of the eigenvalues, ``V c V^H``."""
    if not type(c) is type(v) is np.ndarray:
        c, hold = steady(c, np.any(gaps(w)[1], axis=-1))
        v = v if hold is None else np.where(hold[..., None, :], held(v), v)
    return triangle(conjugated((v * c[..., None, :]) @ adjoint(v)), lower=lower)


def _values_cotangent(ct: Any, y: Any, a: Any, lower: bool, known: Memo) -> Any:
    return _weighted(ct, _taken_apart(_both(a, lower=lower, known=known))[1], y, lower)


_turned_back = transposed_rule(lambda t, v, w, _a, lower: _vectors_change(t, v, w, lower), 1)


def _cotangent(ct: Any, y: Any, _a: Any, lower: bool, known: Memo) -> Any:
    (w, v), (c, g) = _taken_apart(y), _taken_apart(ct)
    return _matrix_cotangent(c, g, v, w, _a, lower)


def _matrix_cotangent(c: Any, g: Any, v: Any, w: Any, a: Any, lower: bool) -> Any:
    """Adjoint of the matrix from those of its eigenvalues and eigenvectors; of plain arrays with less work."""
    if type(c) is type(g) is type(v) is np.ndarray:
        if not g.any():
            return _weighted(c, v, w, lower)
        if v.dtype.kind != "c" and _differ(w):
            return _plain_cotangent(c, g, v, w, lower)
    return _weighted(c, v, w, lower) + _turned_back(g, v, w, a, lower=lower)


def _plain_cotangent(c: Any, g: Any, v: Any, w: Any, lower: bool) -> Any:
    """Of plain real matrices whose eigenvalues differ: in one product."""
    gap = w[..., None, :] - w[..., :, None]
    set_diagonal(gap, np.inf)
    change = v.mT @ g
    change /= gap
    set_diagonal(change, c)
    return triangle(v @ change @ v.mT, lower=lower)


def _differ(w: Any) -> bool:
    """Whether no two eigenvalues of a matrix, which are in order, are one but for rounding."""
    bound = rounding(w) * np.maximum(np.abs(w[..., :1]), np.abs(w[..., -1:]))
    return bool((w[..., 1:] - w[..., :-1] > bound).all())


class _Decomposition(Call):
    """The decomposition of a plain array by one level: a step with two results, at a third of the operation's price."""

    name = "eigh"

    def __init__(self, a: Any, w: Any, v: Any, lower: bool) -> None:
        self.known = a, w, v
        self.lower = lower

    def push(self, ts: list[Any]) -> list[Any]:
        """Tangents of eigenvalues and eigenvectors."""
        _, w, v = self.known
        return [_values_change(ts[0], v, w, self.lower), _vectors_change(ts[0], v, w, self.lower)]

    def pull(self, cts: list[Any]) -> list[Any]:
        """Adjoint of the matrix."""
        (a, w, v), lower = self.known, self.lower
        c = np.zeros_like(w) if cts[0] is None else cts[0]
        if type(c) is not np.ndarray:
            c = noticed(c, grouped(w))
        elif cts[1] is None:
            return [_weighted(c, v, w, lower)]
        g = np.zeros_like(v) if cts[1] is None else cts[1]
        return [_matrix_cotangent(c, g, v, w, a, lower)]


# -- operations ----------------------------------------------------------------------------------------------


def _samples(rng: np.random.Generator) -> list[Sample]:
    shapes = ((3, 3), (2, 2, 2), (1, 1), (0, 0))
    return [Sample((positive(rng, *s),), {"lower": low, "known": Memo()}) for s in shapes for low in (True, False)]


def _known(a: Any, lower: bool, known: Memo) -> Any:
    return known.of(lambda a: _decomposed(a, lower), a)


_values: Operation = Operation(
    "eigvalsh",
    lambda a, lower, known: np.real(_known(a, lower, known)[..., -1, :]),
    jvps=(_values_tangent,),
    vjps=(_values_cotangent,),
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, lower, known: real_spec(shape_of(a)[:-1], dtype_of(a)),
)
# Both results in one array: whoever asks for derivatives of both pays for them once.
_both: Operation = Operation(
    "eigh",
    _known,
    jvps=(_tangent,),
    vjps=(_cotangent,),
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, lower, known: Spec((*shape_of(a)[:-2], shape_of(a)[-1] + 1, shape_of(a)[-1]), dtype_of(a)),
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
    if type(a) is Variable and type(a.primal) is np.ndarray and not a.level.closed:
        w, v = np.linalg.eigh(a.primal, UPLO)
        return _RESULT(*record_call(a.level, _Decomposition(a.primal, w, v, lower), [a.node], [w, v]))
    w, v = _taken_apart(_both(a, lower=lower, known=known))
    return _RESULT(counted(w, grouped(w)), v)


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: Any = "L") -> Any:  # noqa: N803
    """Eigenvalues, in ascending order, of the Hermitian matrix of which `a` holds a triangle."""
    w = _values(square("np.linalg.eigvalsh", a), lower=_lower("np.linalg.eigvalsh", UPLO), known=Memo())
    return counted(w, grouped(w))
