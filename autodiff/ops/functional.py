"""Functions that take functions, open meshes, and what depends on shapes alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import implements
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.joining import as_array, stack

__all__ = ["apply_along_axis", "apply_over_axes", "einsum_path", "ix_"]


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """Apply a function to each line along an axis: a Python loop, as in NumPy."""
    arr = as_array(arr)
    axis = np.lib.array_utils.normalize_axis_index(axis, len(shape_of(arr)))
    lines = np.moveaxis(arr, axis, -1)
    outer = shape_of(lines)[:-1]
    if 0 in outer:
        raise ValueError(f"np.apply_along_axis: there is no line along axis {axis} of {describe(arr)}.")
    found = [as_array(func1d(lines[at], *args, **kwargs)) for at in np.ndindex(*outer)]
    found = [v if hasattr(v, "dtype") else np.asarray(v) for v in found]
    inner = shape_of(found[0])
    y = np.reshape(stack(found), (*outer, *inner)).astype(dtype_of(found[0]))  # NumPy takes the first one's dtype
    return np.moveaxis(y, tuple(range(len(outer), len(outer) + len(inner))), tuple(range(axis, axis + len(inner))))


@implements(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """Apply ``func(a, axis)`` for one axis after another, which stays as one of length 1."""
    a = as_array(a)
    ndim = len(shape_of(a))
    for axis in np.atleast_1d(axes).tolist():
        i = np.lib.array_utils.normalize_axis_index(axis, ndim)
        y = func(a, i)
        a = y if len(shape_of(y)) == ndim else np.expand_dims(y, i)
        if len(shape_of(a)) != ndim:
            raise ValueError(f"np.apply_over_axes: func returned {describe(y)} for an array of {ndim} axes.")
    return a


@implements(np.ix_)
def ix_(*args: Any) -> Any:
    """Open mesh of vectors."""
    if any(len(shape_of(as_array(v))) != 1 for v in args):
        raise ValueError(f"np.ix_: the arguments must be vectors, not {', '.join(map(describe, args))}.")
    k = len(args)
    plain = [np.flatnonzero(v) if dtype_of(v).kind == "b" else v for v in map(as_array, args)]
    return tuple(np.reshape(v, (1,) * i + (-1,) + (1,) * (k - i - 1)) for i, v in enumerate(plain))


@implements(np.einsum_path)
def einsum_path(*operands: Any, optimize: Any = "greedy", einsum_call: bool = False) -> Any:
    """Order of contractions: it depends on the shapes alone."""
    dummies = [np.broadcast_to(np.zeros((), dtype_of(v)), shape_of(v)) if hasattr(v, "dtype") else v for v in operands]
    path: Any = np.einsum_path
    return path(*dummies, optimize=optimize, einsum_call=einsum_call)
