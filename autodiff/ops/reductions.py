"""Reductions over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Sample, Spec, constant, implements, install_method, linear
from autodiff.core.spec import shape_of

__all__ = ["sum"]


def reduced_shape(shape: tuple[int, ...], axis: Any, keepdims: bool = False) -> tuple[int, ...]:
    """Shape after a reduction over `axis` (None: all)."""
    axes = tuple(range(len(shape))) if axis is None else _axes(axis, len(shape))
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    return tuple(int(i) % ndim for i in (axis if isinstance(axis, tuple) else (axis,))) if ndim else ()


def spread(ct: Any, shape: tuple[int, ...], axis: Any, keepdims: bool = False) -> Any:
    """Transpose of a sum, not yet broadcast: the sweep expands an adjoint only where positions matter."""
    if keepdims or not ct.shape:
        return ct
    return np.reshape(ct, reduced_shape(shape, axis, keepdims=True))


_sum = linear(
    lambda x, axis, keepdims: np.add.reduce(x, axis=axis, keepdims=keepdims),
    lambda ct, _y, _x, axis, keepdims: spread(ct, shape_of(_x), axis, keepdims),
    name="sum",
    structural=True,
    samples=lambda rng: [
        Sample((rng.normal(size=(2, 3, 4)),), {"axis": axis, "keepdims": keepdims})
        for axis in (None, 0, -1, (0, 2))
        for keepdims in (False, True)
    ],
    shape=lambda x, axis, keepdims: Spec(reduced_shape(x.shape, axis, keepdims), x.dtype),
)


@implements(np.sum)
def sum(  # noqa: A001 - NumPy's name
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = 0, where: Any = True
) -> Any:
    """Sum over axes."""
    if where is not True:
        a = np.where(where, a, np.zeros((), a.dtype))
    if dtype is not None:
        a = a.astype(dtype)
    y = _sum(a, axis=axis, keepdims=bool(keepdims))
    return y if isinstance(initial, (int, float)) and initial == 0 else y + initial


install_method("sum", sum)

_all = constant(np.logical_and.reduce, name="all", shape=lambda x, axis=None, keepdims=False: Spec(reduced_shape(x.shape, axis, keepdims), bool))
_any = constant(np.logical_or.reduce, name="any", shape=lambda x, axis=None, keepdims=False: Spec(reduced_shape(x.shape, axis, keepdims), bool))


@implements(np.all)
def all(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, **_: Any) -> Any:  # noqa: A001
    """Whether all elements are true."""
    return _all(a, axis=axis, keepdims=bool(keepdims))


@implements(np.any)
def any(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, **_: Any) -> Any:  # noqa: A001
    """Whether any element is true."""
    return _any(a, axis=axis, keepdims=bool(keepdims))
