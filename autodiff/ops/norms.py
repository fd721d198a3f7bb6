"""Norms. At 0, where a norm has a kink, its derivative is 0 by convention, and the second derivative is NaN.

NaN, because the derivative jumps there: ``np.linalg.norm(x)**2`` at 0 has gradient 0 as it must, but its second
derivative (2) would need the limit of 0 times infinity, and a number that is wrong would be worse than none.
Norms of singular values (``ord=2, -2, "nuc"``) follow `autodiff.ops.linalg.svd`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Sample, Spec, explicit, implements
from autodiff.core.batching import along
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.joining import stack
from autodiff.ops.kinks import kink
from autodiff.ops.reductions import axes_of, reduced_shape

__all__ = ["matrix_norm", "norm", "vector_norm"]


def _norm_value(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """Euclidean norm over some axes, computed by NumPy's own function."""
    if len(axes) == len(shape_of(x)):
        y = np.linalg.norm(np.ravel(x))
        return np.reshape(y, (1,) * len(axes)) if keepdims else y
    if len(axes) > 2:
        rest = np.moveaxis(x, axes, range(-len(axes), 0))
        y = np.linalg.norm(np.reshape(rest, (*rest.shape[: -len(axes)], -1)), axis=-1)
        return np.expand_dims(y, axes) if keepdims else y
    return np.linalg.norm(x, axis=axes[0] if len(axes) == 1 else axes, keepdims=keepdims)


def _inner(u: Any, t: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """Real inner product over some axes."""
    product = np.real(np.conjugate(u) * t) if dtype_of(u).kind == "c" else u * t
    return np.sum(product, axis=axes, keepdims=keepdims)


def _unit_value(x: Any, axes: tuple[int, ...]) -> Any:
    """Direction of a vector; 0 for the zero vector."""
    n = _norm_value(x, axes, keepdims=True)
    return x / np.where(n == 0, np.ones_like(n), n)


def _unit_tangent(t: Any, u: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """The part of the tangent across the direction, over the norm: infinite or NaN at the zero vector."""
    return (t - u * _inner(u, t, axes, keepdims=True)) / _norm(x, axes=axes, keepdims=True)


def _samples(rng: np.random.Generator) -> list[Sample]:
    x = rng.normal(size=(2, 3, 4))
    return [Sample((x,), {"axes": axes}) for axes in ((0, 1, 2), (1,), (0, 2))] + [Sample((x[0, 0],), {"axes": (0,)})]


_unit = explicit(
    _unit_value,
    _unit_tangent,
    name="unit",
    samples=_samples,
    batch=along("axes"),
    shape=lambda x, axes: Spec(x.shape, x.dtype),
)
_norm = explicit(
    _norm_value,
    lambda t, _y, x, axes, keepdims: _inner(_unit(x, axes=axes), t, axes, keepdims),
    name="norm",
    samples=lambda rng: [Sample(s.args, {**s.params, "keepdims": k}) for s in _samples(rng) for k in (False, True)],
    batch=along("axes"),
    shape=lambda x, axes, keepdims: Spec(reduced_shape(x.shape, axes, keepdims), np.zeros(0, x.dtype).real.dtype),
)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:  # noqa: A002 - NumPy's name
    """Vector or matrix norm."""
    x = stack(x) if isinstance(x, (list, tuple)) else x
    ndim = len(shape_of(x))
    if not ndim and axis is None and ord is None:
        return np.absolute(x)
    if axis is None and (ord is None or (ord in {2, "fro", "f"} and ndim == (1 if ord == 2 else 2))):
        return _norm(x, axes=tuple(range(ndim)), keepdims=bool(keepdims))
    axes = axes_of(axis, ndim)
    if len(axes) == 1:
        return _vector_norm(x, 2 if ord is None else ord, axes, bool(keepdims))
    if len(axes) == 2:
        return _matrix_norm(x, "fro" if ord is None else ord, axes, bool(keepdims))
    raise ValueError(f"np.linalg.norm: improper number of axes {axes} of the shape {shape_of(x)} for ord={ord!r}.")


def _vector_norm(x: Any, p: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if p == 2:
        return _norm(x, axes=axes, keepdims=keepdims)
    if isinstance(p, str):
        raise ValueError(f"np.linalg.norm: ord={p!r} is a matrix norm, but one axis was given.")  # noqa: TRY004 - as NumPy
    a = np.absolute(x)
    if p == np.inf and a.size:
        return np.max(a, axis=axes, keepdims=keepdims)
    if p == np.inf:
        return np.max(a, axis=axes, keepdims=keepdims, initial=0)
    if p == -np.inf:
        return np.min(a, axis=axes, keepdims=keepdims)
    if p == 0:
        return np.sum((x != 0).astype(dtype_of(a)), axis=axes, keepdims=keepdims)
    if p == 1:
        return np.sum(a, axis=axes, keepdims=keepdims)
    if p < 1:
        return _quasi_norm(a, p, axes, keepdims)
    total = np.sum(a**p, axis=axes, keepdims=keepdims)
    return np.where(total == 0, kink(total), total ** (1 / p))


def _quasi_norm(a: Any, p: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """Orders below 1 of absolute values: their kinks, at which powers of 0 have infinite slopes, are taken out.

    A negative order has one wherever an entry is 0, a positive one where all are.
    """
    zero = np.equal(a, 0)
    out = zero if p < 0 else np.broadcast_to(np.all(zero, axis=axes, keepdims=True), shape_of(a))
    total = np.sum(np.where(out, 0.0, a) ** p, axis=axes, keepdims=keepdims)
    return total ** (1 / p) + np.sum(np.where(out, kink(a), 0.0), axis=axes, keepdims=keepdims)


def _matrix_norm(x: Any, kind: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    row, column = axes
    if kind in {"fro", "f"}:
        return _norm(x, axes=axes, keepdims=keepdims)
    if kind in {2, -2, "nuc"}:
        return _spectral_norm(x, kind, axes, keepdims)
    if kind not in {1, -1, np.inf, -np.inf}:
        raise ValueError(f"np.linalg.norm: invalid norm order {kind!r} for matrices.")
    first, second = (row, column) if abs(kind) == 1 else (column, row)
    sums = np.sum(np.absolute(x), axis=first, keepdims=True)
    y = (np.max if kind > 0 else np.min)(sums, axis=second, keepdims=True)
    return y if keepdims else np.squeeze(y, axis=axes)


def _spectral_norm(x: Any, kind: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """Largest singular value, smallest, or the sum of all."""
    s = np.linalg.svdvals(np.moveaxis(x, axes, (-2, -1)))
    y = np.sum(s, axis=-1) if kind == "nuc" else (np.max if kind > 0 else np.min)(s, axis=-1)
    return np.reshape(y, reduced_shape(shape_of(x), axes, keepdims=True)) if keepdims else y


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: Any = False, ord: Any = 2) -> Any:  # noqa: A002
    """Vector norm over any axes, together."""
    x = stack(x) if isinstance(x, (list, tuple)) else x
    axes = axes_of(axis, len(shape_of(x)))
    if ord == 2 and len(axes) == len(shape_of(x)):
        return _norm(x, axes=axes, keepdims=bool(keepdims))
    if ord == 2 and len(axes) > 2:
        flat = np.moveaxis(x, axes, range(-len(axes), 0))
        flat = np.reshape(flat, (*shape_of(flat)[: -len(axes)], -1))
        return np.reshape(
            _norm(flat, axes=(len(shape_of(flat)) - 1,), keepdims=False),
            reduced_shape(shape_of(x), axes, bool(keepdims)),
        )
    return _vector_norm(x, ord, axes, bool(keepdims))


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: Any = False, ord: Any = "fro") -> Any:  # noqa: A002
    """Matrix norm over the last two axes."""
    ndim = len(shape_of(x))
    return _matrix_norm(x, "fro" if ord is None else ord, (ndim - 2, ndim - 1), bool(keepdims))
