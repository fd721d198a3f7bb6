"""Padding: constants around an array, or values made from its own entries."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Tracer, implements
from autodiff.core.abstract import constant_like
from autodiff.core.errors import missing_rule
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.indexing import scatter_add
from autodiff.ops.joining import as_array, concatenate
from autodiff.ops.shape import broadcast_to

__all__ = ["pad"]

_STATISTICS: dict[str, Any] = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median}
#: The keyword of each mode.
_KEYWORDS: dict[str, str | None] = {
    "constant": "constant_values",
    "linear_ramp": "end_values",
    **dict.fromkeys(_STATISTICS, "stat_length"),
    "reflect": "reflect_type",
    "symmetric": "reflect_type",
    "edge": None,
    "wrap": None,
    "empty": None,
}


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """Pad with constants or end values, which may be traced, or with the array's own entries."""
    if mode not in _KEYWORDS:
        raise missing_rule("np.pad", f" with mode={mode!r}")
    name = _KEYWORDS[mode]
    if set(kwargs) - {name}:
        raise ValueError(f"np.pad: mode={mode!r} has no keyword {min(set(kwargs) - {name})}=.")
    widths = _widths(pad_width, len(shape_of(array)))
    option = kwargs.get(name or "")
    if mode in {"constant", "empty"}:
        return _constant(array, widths, 0 if option is None else option)
    if mode == "linear_ramp" or mode in _STATISTICS:
        pairs = _pairs(0 if option is None and mode == "linear_ramp" else option, len(widths))
    for axis, width in enumerate(widths):
        if not any(width):
            continue
        if not shape_of(array)[axis]:
            raise ValueError(f"np.pad: the empty axis {axis} can only be padded with mode='constant' or 'empty'.")
        if mode == "linear_ramp":
            array = _ramp(array, axis, width, pairs[axis])
        elif mode in _STATISTICS:
            array = _statistic(array, axis, width, pairs[axis], mode)
        elif option == "odd":
            array = _reflect_odd(array, axis, width, skip_edge=mode == "reflect")
        else:
            array = array[_along(axis, np.pad(np.arange(shape_of(array)[axis]), width, mode))]
    return array


def _along(axis: int, index: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, index)


def _block(shape: tuple[int, ...], axis: int, n: int) -> tuple[int, ...]:
    """The shape with `n` entries along the axis."""
    return (*shape[:axis], n, *shape[axis + 1 :])


def _widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    """How much to add before and after each axis."""
    if isinstance(pad_width, dict):
        given = {np.lib.array_utils.normalize_axis_index(i, ndim): width for i, width in pad_width.items()}
        pad_width = [np.broadcast_to(given.get(i, 0), 2) for i in range(ndim)]
    counts = np.asarray(pad_width)
    if counts.dtype.kind not in "iu" and counts.size:
        raise TypeError("np.pad: pad_width must be integers.")
    if (counts < 0).any():
        raise ValueError(f"np.pad: pad_width must not be negative: {pad_width}.")
    return [(int(a), int(b)) for a, b in np.broadcast_to(counts, (ndim, 2))]


def _traced(values: Any) -> bool:
    return any(map(_traced, values)) if isinstance(values, (list, tuple)) else isinstance(values, Tracer)


def _pairs(values: Any, ndim: int) -> Any:
    """One value before and one after each axis, from one number, one pair, or a pair for each axis."""
    if values is None:
        return [(None, None)] * ndim
    if _traced(values):
        values = as_array(values)
    return np.broadcast_to(values, (ndim, 2))


def _constant(a: Any, widths: list[tuple[int, int]], values: Any) -> Any:
    shape, dtype = shape_of(a), dtype_of(a)
    pairs = _pairs(values, len(shape))
    if isinstance(pairs, Tracer):
        for axis, width in enumerate(widths):
            ends = [broadcast_to(v.astype(dtype), _block(shape_of(a), axis, n)) for v, n in zip(pairs[axis], width)]  # noqa: B905
            a = concatenate([ends[0], a, ends[1]], axis=axis)
        return a
    inside = tuple([slice(before, before + n) for (before, _), n in zip(widths, shape, strict=True)])
    padded = scatter_add(a, index=inside, shape=tuple([b + n + e for (b, e), n in zip(widths, shape, strict=True)]))
    if not pairs.any() or isinstance(constant_like(a, (), dtype, 0), Tracer):  # zeros, or a shape without values
        return padded
    hole = np.broadcast_to(np.asarray(-0.0, dtype), shape)  # x + (-0.0) is x, also where x is -0.0
    return padded + np.pad(hole, widths, constant_values=pairs)


def _ramp(a: Any, axis: int, width: tuple[int, int], ends: Any) -> Any:
    """Straight lines from end values to the edges."""
    shape, dtype = shape_of(a), dtype_of(a)
    parts = []
    for n, end, edge in zip(width, ends, (slice(0, 1), slice(shape[axis] - 1, None)), strict=True):
        end = end.astype(dtype) if isinstance(end, Tracer) else np.asarray(end, dtype)  # noqa: PLW2901
        steps = np.reshape(np.arange(n, dtype=dtype), _block((1,) * len(shape), axis, n))
        parts.append(end + (a[_along(axis, edge)] - end) / max(n, 1) * steps)
    return concatenate([parts[0], a, np.flip(parts[1], axis)], axis=axis)


def _statistic(a: Any, axis: int, width: tuple[int, int], lengths: Any, mode: str) -> Any:
    """A statistic of the entries next to each edge."""
    shape = shape_of(a)
    n = shape[axis]
    counts = [n if k is None else min(int(k), n) for k in lengths]
    if 0 in counts and mode in {"maximum", "minimum"}:
        raise ValueError(f"np.pad: stat_length of 0 yields no value for mode={mode!r}.")
    edges = slice(0, counts[0]), slice(n - counts[1], n)
    found = [_STATISTICS[mode](a[_along(axis, edge)], axis=axis, keepdims=True) for edge in edges]
    ends = [broadcast_to(x, _block(shape, axis, k)) for x, k in zip(found, width, strict=True)]
    return concatenate([ends[0], a, ends[1]], axis=axis)


def _reflect_odd(a: Any, axis: int, width: tuple[int, int], *, skip_edge: bool) -> Any:
    """Reflect at the edges in both directions, ``2 * edge - x``, in steps no longer than the array."""
    period = shape_of(a)[axis]
    if period == 1 and skip_edge:
        return a[_along(axis, np.pad(np.arange(1), width, "edge"))]
    before, after = width
    while before or after:
        n = shape_of(a)[axis]
        reach = (n - 1) // (period - 1) * (period - 1) if skip_edge else n // period * period
        parts = [a]
        first, last = min(before, reach), min(after, reach)
        if first:
            mirror = a[_along(axis, slice(first, 0, -1) if skip_edge else slice(first - 1, None, -1))]
            parts.insert(0, 2 * a[_along(axis, slice(0, 1))] - mirror)
            before -= first
        grown = concatenate(parts, axis=axis) if first else a
        if last:
            m = shape_of(grown)[axis]
            stop = m - 1 if skip_edge else m
            mirror = np.flip(grown[_along(axis, slice(stop - last, stop))], axis)
            grown = concatenate([grown, 2 * grown[_along(axis, slice(m - 1, m))] - mirror], axis=axis)
            after -= last
        a = grown
    return a
