"""Functions that take functions, open meshes, and what depends on shapes alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Tracer, implements
from autodiff.core.batching import all_values, mapped
from autodiff.core.errors import BatchingError, describe, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.joining import as_array, concatenate, stack
from autodiff.ops.selection import _known

__all__ = ["apply_along_axis", "apply_over_axes", "einsum_path", "ix_", "piecewise"]


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


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Call functions on the entries where their conditions hold; where several do, the last counts."""
    shape, dtype = shape_of(x), dtype_of(x)
    one = not isinstance(condlist, (list, tuple)) and np.ndim(condlist) == 0
    one = one or (bool(shape) and np.ndim(condlist[0]) == 0)
    functions, conditions = list(funclist), [condlist] if one else list(condlist)
    if mapped(x) or any(mapped(c) for c in conditions):
        return _piecewise_of_each(x, conditions, functions, args, kw)
    conditions = [np.asarray(_known("np.piecewise", c), bool) for c in conditions]
    if len(functions) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    elif len(functions) != len(conditions):
        raise ValueError(f"np.piecewise: {len(functions)} functions for {len(conditions)} conditions.")
    parts: list[Any] = [np.zeros(1, dtype)]
    position, count = np.zeros(shape, np.intp), 1  # of each entry of the result in the parts, one after another
    for condition, f in zip(conditions, functions, strict=True):
        n = int(np.count_nonzero(condition))
        if n:
            part = f(x[condition] if shape else np.reshape(x, (1,)), *args, **kw) if callable(f) else f
            part = part if isinstance(part, Tracer) else np.asarray(part)
            parts.append(np.broadcast_to(part, (n,)).astype(dtype))
            position[condition] = np.arange(count, count + n)
            count += n
    return concatenate(parts)[position]


def _piecewise_of_each(x: Any, conditions: list[Any], functions: list[Any], args: Any, kw: Any) -> Any:
    """For many examples every function is applied to all entries, and conditions choose among the results."""
    shape, dtype = shape_of(x), dtype_of(x)
    conditions = [np.not_equal(c, 0) for c in conditions]
    if len(functions) == len(conditions) + 1:
        conditions.append(np.logical_not(np.any(stack(conditions), axis=0)))
    elif len(functions) != len(conditions):
        raise ValueError(f"np.piecewise: {len(functions)} functions for {len(conditions)} conditions.")
    flat, y = np.reshape(x, (-1,)), np.zeros_like(x)
    for i, (condition, f) in enumerate(zip(conditions, functions, strict=True)):
        if callable(f):
            with np.errstate(all="ignore"):  # also where it is not defined, and not chosen
                part = _of_each_entry(f"function {i} of funclist", lambda v, f=f: f(v, *args, **kw), flat)
            y = np.where(condition, np.reshape(part, shape).astype(dtype), y)
        else:
            y = np.where(condition, np.asarray(f, dtype) if not isinstance(f, Tracer) else f.astype(dtype), y)
    return y


def _of_each_entry(name: str, f: Any, flat: Any) -> Any:
    """Apply a function to all entries, and see that entries by themselves have the same values."""
    n = shape_of(flat)[0]
    y = np.broadcast_to(as_array(f(flat)), (n,))
    for k in {(n - 1) // 2, n // 2} if n > 1 else ():
        alone, among = all_values(np.reshape(f(flat[k : k + 1]), (-1,))), all_values(y[k : k + 1])
        if not isinstance(among, Tracer) and not np.allclose(alone, among, rtol=1e-4, equal_nan=True):
            raise BatchingError(
                f"np.piecewise: inside vmap the functions are applied to all entries, but {name} gives an entry by "
                f"itself another value than one among others{user_line()}. Write it elementwise, or use np.where."
            )
    return y


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
