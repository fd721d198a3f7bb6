"""Sequences between two values, and the unwrapping of phases."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from autodiff.core import Tracer, concrete, implements
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.joining import as_array, concatenate

__all__ = ["geomspace", "linspace", "logspace", "unwrap"]


def _end(v: Any) -> Any:
    """Lists as arrays; Python numbers stay what they are, so that they do not change dtypes."""
    v = as_array(v)
    return np.asarray(v) if isinstance(v, (list, tuple)) else v


@implements(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """Evenly spaced values; the ends may be traced."""
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"np.linspace: num must not be negative, but is {num}.")
    start, stop = _end(start), _end(stop)
    delta = stop - start
    kind = dtype_of(delta * 1.0)
    count = np.arange(num, dtype=np.zeros((), kind).real.dtype).reshape((-1,) + (1,) * len(shape_of(delta)))
    parts = num - 1 if endpoint else num
    step = delta / parts if parts > 0 else delta * np.nan
    y = count * (step if parts > 0 else delta) + start
    if endpoint and num > 1:
        last = np.broadcast_to(stop, (1, *shape_of(y)[1:]))
        y = concatenate([y[:-1], last])
    y = np.moveaxis(y, 0, axis).astype(kind)
    if dtype is not None:
        y = (np.floor(y) if np.dtype(dtype).kind in "iu" else y).astype(dtype)
    return (y, step) if retstep else y


@implements(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Powers of `base` with evenly spaced exponents; all three may be traced."""
    start, stop, base = _end(start), _end(stop), _end(base)
    if shape_of(base):
        ndim = max(len(shape_of(v)) for v in (start, stop, base))
        start, stop, base = (np.reshape(v, (1,) * (ndim - len(shape_of(v))) + shape_of(v)) for v in (start, stop, base))
        base = np.expand_dims(base, axis)
    y = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else y.astype(dtype)


@implements(np.geomspace)
def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Geometric sequence between two values of one sign, or two complex numbers."""
    num = operator.index(num)
    start, stop = (v if isinstance(v, Tracer) else np.asarray(v) for v in (_end(start), _end(stop)))
    for name, v in (("start", start), ("stop", stop)):
        known = concrete(v)
        if not isinstance(known, Tracer) and np.any(known == 0):
            raise ValueError(f"np.geomspace: {name} ({describe(v)}) must not be 0.")
    kind = np.result_type(dtype_of(start), dtype_of(stop), float(num), np.dtype(dtype))
    sign = np.sign(start)
    first, last = (start / sign).astype(kind), (stop / sign).astype(kind)
    y = logspace(np.log10(first), np.log10(last), num, endpoint)
    if num > 0:
        row = (1, *shape_of(y)[1:])
        ends = [np.broadcast_to(first, row), np.broadcast_to(last, row)]
        y = concatenate([ends[0], y[1:-1], ends[1]] if num > 1 and endpoint else [ends[0], y[1:]])
    y = np.moveaxis(y * sign, 0, axis)
    return y.astype(kind if dtype is None else dtype)


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    """Take jumps by more than half a period off; how many periods each value moves is a constant."""
    p = as_array(p)
    axis = np.lib.array_utils.normalize_axis_index(axis, len(shape_of(p)))
    discont = period / 2 if discont is None else discont
    d = np.diff(p, axis=axis)
    wrapped = np.mod(d + period / 2, period) - period / 2
    wrapped = np.where((wrapped == -period / 2) & (d > 0), period / 2, wrapped)
    turns = np.where(np.absolute(d) < discont, 0.0, np.round((wrapped - d) / period))
    at = (slice(None),) * axis
    moved = p[(*at, slice(1, None))] + np.cumsum(turns, axis=axis) * period
    return concatenate([p[(*at, slice(0, 1))].astype(dtype_of(moved)), moved], axis=axis)
