"""Singular values and vectors.

With p = U^H dA V, its Hermitian part h and its other part m, the singular values change by the real diagonal of p, and
the vectors by U (h / (s_j - s_i) + m / (s_j + s_i)) and V (h / (s_j - s_i) - m / (s_j + s_i)), element by element, and
where there are more rows than columns by what leaves the space of U, over s. Equal singular values are as equal
eigenvalues in `eigh`: NaN for what reads their vectors. A singular value that `matrix_rank` counts as 0 has a kink
there, as `abs`: its derivative is 0 by convention, the next one NaN. LAPACK makes the first components of the smaller
factor real.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, explicit, implements
from autodiff.core.batching import stacked
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import concrete
from autodiff.ops.kinks import jump
from autodiff.ops.linalg.common import (
    Memo,
    adjoint,
    counted,
    gaps,
    grouped,
    held,
    matrices,
    ratio,
    read,
    real_spec,
    square,
    steady,
    watched,
)
from autodiff.ops.linalg.eigh import still_phase
from autodiff.ops.portable import largest as peak
from autodiff.ops.products import conjugated

__all__ = ["known_factors", "svd", "svdvals"]

_RESULT: Any = type(np.linalg.svd(np.eye(1)))


def known_factors(a: Any, full: bool, known: Memo) -> Any:
    """Factors of a plain array, computed once."""
    return known.of(lambda a: np.linalg.svd(a, full_matrices=full), a)


def _nonzero(s: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Singular values with those that `matrix_rank` does not count put to 0, and the mask of these."""
    eps = float(np.finfo(dtype_of(s)).eps)
    zero = s <= max(shape[-2:]) * eps * peak(s, -1, 0)
    return np.where(zero, dtype_of(s).type(0), s), zero


def _values_tangent(t: Any, y: Any, a: Any, full: bool, known: Memo) -> Any:
    k = shape_of(y)[-1]
    u, vh = _left(a, full=full, known=known), _right(a, full=full, known=known)
    u, vh = u[..., :k], vh[..., :k, :]
    change = np.real(np.sum(conjugated(u) * (t @ adjoint(vh)), axis=-2))
    s, zero = _nonzero(y, shape_of(a))
    return counted(np.where(zero, change * jump(y), change), grouped(s, zero), tangent=True)


def _values_cotangent(ct: Any, y: Any, a: Any, full: bool, known: Memo) -> Any:
    """``U ct V^H``."""
    k = shape_of(y)[-1]
    u, vh = _left(a, full=full, known=known)[..., :k], _right(a, full=full, known=known)[..., :k, :]
    s, zero = _nonzero(y, shape_of(a))
    c = ct
    if not type(ct) is type(u) is np.ndarray:
        c, hold = steady(ct, np.logical_or(zero, np.any(gaps(s)[1], axis=-1)))
        if hold is not None:
            u, vh = np.where(hold[..., None, :], held(u), u), np.where(hold[..., None], held(vh), vh)
    kinked = np.logical_and(zero, read(ct))
    return conjugated((u * np.where(kinked, ct * jump(y), c)[..., None, :]) @ vh)


def _turned(t: Any, u: Any, s: Any, v: Any, *, smaller: bool) -> Any:
    """Change of the vectors `u` on the side of the rows of `t`; `smaller` if that is the side with real components."""
    k = shape_of(s)[-1]
    s, _ = _nonzero(s, shape_of(t)[-2:])
    gap, same = gaps(s)
    total = s[..., None, :] + s[..., :, None]
    first = u[..., :k]
    image = t @ v[..., :k]
    p = adjoint(first) @ image
    even, odd = ratio((p + adjoint(p)) / 2, gap), ratio((p - adjoint(p)) / 2, total)
    change = first @ watched(even + odd, same)
    rows, columns = shape_of(u)[-2:]
    if rows > k:
        change = change + ratio(image - first @ p, s[..., None, :])
    if columns > k:
        rest = u[..., k:]
        out = ratio(adjoint(rest) @ image, s[..., None, :])
        change = np.concatenate([change, -first @ adjoint(out)], axis=-1)
    if dtype_of(u).kind != "c" or not k:
        return change
    if smaller:
        row, moved = u[..., 0, :k], change[..., 0, :k]
    else:  # the other side is square; both turn together
        row, moved = v[..., 0, :k], (v[..., :1, :k] @ watched(even - odd, same))[..., 0, :]
    phase = still_phase(first, row, moved)
    return change + phase if columns == k else np.concatenate([change[..., :k] + phase, change[..., k:]], axis=-1)


def _left_tangent(t: Any, y: Any, a: Any, full: bool, known: Memo) -> Any:
    s, vh = _values(a, full=full, known=known), _right(a, full=full, known=known)
    return _turned(t, y, s, adjoint(vh), smaller=shape_of(a)[-2] < shape_of(a)[-1])


def _right_tangent(t: Any, y: Any, a: Any, full: bool, known: Memo) -> Any:
    s, u = _values(a, full=full, known=known), _left(a, full=full, known=known)
    return adjoint(_turned(adjoint(t), adjoint(y), s, u, smaller=shape_of(a)[-2] >= shape_of(a)[-1]))


def _shapes(a: Any, full: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    *batch, m, n = shape_of(a)
    k = min(m, n)
    return (*batch, m, m if full else k), (*batch, n if full else k, n)


def _samples(rng: np.random.Generator) -> list[Sample]:
    shapes = ((3, 3), (4, 2), (2, 4), (2, 3, 2), (3, 1), (0, 2))
    return [Sample((rng.normal(size=s),), {"full": False, "known": Memo()}) for s in shapes]


_values: Operation = Operation(
    "svd_values",
    lambda a, full, known: known_factors(a, full, known)[1],
    jvps=(_values_tangent,),
    vjps=(_values_cotangent,),
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, full, known: real_spec((*shape_of(a)[:-2], min(shape_of(a)[-2:])), dtype_of(a)),
)
_left: Operation = explicit(
    lambda a, full, known: known_factors(a, full, known)[0],
    _left_tangent,
    name="svd_left",
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, full, known: Spec(_shapes(a, full)[0], dtype_of(a)),
)
_right: Operation = explicit(
    lambda a, full, known: known_factors(a, full, known)[2],
    _right_tangent,
    name="svd_right",
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, full, known: Spec(_shapes(a, full)[1], dtype_of(a)),
)


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Singular value decomposition ``a = U @ diag(S) @ Vh``, or the singular values alone."""
    if hermitian:
        return _by_eigenvalues(square("np.linalg.svd", a), compute_uv)
    a, known = matrices("np.linalg.svd", a), Memo()
    m, n = shape_of(a)[-2:]
    full = bool(full_matrices) and m != n
    if not compute_uv:
        return _counted_values(a, False, known)
    return _RESULT(_left(a, full=full, known=known), _counted_values(a, full, known), _right(a, full=full, known=known))


def _counted_values(a: Any, full: bool, known: Memo) -> Any:
    s = _values(a, full=full, known=known)
    return counted(s, grouped(*_nonzero(concrete(s), shape_of(a))))


def _by_eigenvalues(a: Any, compute_uv: bool) -> Any:
    """Singular values of a Hermitian matrix: the moduli of its eigenvalues, which give their signs to Vh."""
    if not compute_uv:
        return np.sort(np.abs(np.linalg.eigvalsh(a)), axis=-1)[..., ::-1]
    w, v = np.linalg.eigh(a)
    order = np.argsort(np.abs(w), axis=-1)[..., ::-1]
    w, v = np.take_along_axis(w, order, axis=-1), np.take_along_axis(v, order[..., None, :], axis=-1)
    signs = np.where(np.signbit(w), -1, 1).astype(dtype_of(w))
    return _RESULT(v, np.abs(w), adjoint(v * signs[..., None, :]))


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    """Singular values, in descending order."""
    return _counted_values(matrices("np.linalg.svdvals", x, "x"), False, Memo())
