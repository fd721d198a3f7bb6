"""Functions that add, drop, move or split axes: reshapes, transposes and slices."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer, concrete, implements, install_method, linear
from autodiff.core.assignment import Step, copied, detached
from autodiff.core.batching import along
from autodiff.core.errors import describe
from autodiff.core.spec import shape_of
from autodiff.ops.joining import as_array, concatenate, operands
from autodiff.ops.shape import broadcast_to, linked, reshape, transpose

__all__ = ["expand_dims", "flip", "moveaxis", "ravel", "roll", "split", "squeeze", "swapaxes"]

_axis_tuple = np.lib.array_utils.normalize_axis_tuple
_axis_index = np.lib.array_utils.normalize_axis_index


# -- add and drop --------------------------------------------------------------------------------------------


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """Insert axes of length 1."""
    axes = _axis_tuple(axis, len(shape_of(a)) + (len(axis) if isinstance(axis, (tuple, list)) else 1))
    rest = iter(shape_of(a))
    return reshape(a, tuple([1 if i in axes else next(rest) for i in range(len(shape_of(a)) + len(axes))]))


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """Drop axes of length 1."""
    shape = shape_of(a)
    axis = axis if shape or axis not in {0, -1} else None
    axes = tuple([i for i, n in enumerate(shape) if n == 1]) if axis is None else _axis_tuple(axis, len(shape))
    if any(shape[i] != 1 for i in axes):
        raise ValueError(f"np.squeeze: axis={axis} of the shape {shape} has a length other than 1.")
    return reshape(a, tuple([n for i, n in enumerate(shape) if i not in axes]))


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    """Flatten to one axis."""
    return reshape(transpose(a, _memory_order(a)), (-1,)) if order == "K" else reshape(a, (-1,), order)


def _memory_order(a: Any) -> list[int]:
    """Axes in the order of decreasing strides, as the values lie in memory."""
    strides = getattr(concrete(a), "strides", None) or (0,) * len(shape_of(a))
    return sorted(range(len(strides)), key=lambda i: -abs(strides[i]))


def _at_least(n: int, shape_for: Any) -> Any:
    def at_least(*arys: Any) -> Any:
        """View inputs as arrays with at least so many axes."""
        found = [a if len(shape_of(a)) >= n else np.reshape(as_array(a), shape_for(shape_of(a))) for a in arys]
        return found[0] if len(found) == 1 else tuple(found)

    return at_least


atleast_1d = implements(np.atleast_1d)(_at_least(1, lambda s: (1,)))
atleast_2d = implements(np.atleast_2d)(_at_least(2, lambda s: (1, *s) if s else (1, 1)))
atleast_3d = implements(np.atleast_3d)(
    _at_least(3, lambda s: {0: (1, 1, 1), 1: (1, *s, 1), 2: (*s, 1)}[len(s)])
)  # fmt: skip


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """Broadcast arrays against each other."""
    shape = np.broadcast_shapes(*[shape_of(a) for a in args])
    wide = (a if shape_of(a) == shape else broadcast_to(a, shape) for a in args)
    return tuple([a if isinstance(a, Tracer) else np.broadcast_to(a, shape) for a in wide])


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """Coordinate arrays from coordinate vectors."""
    if indexing not in {"xy", "ij"}:
        raise ValueError(f"np.meshgrid: indexing must be 'xy' or 'ij', not {indexing!r}.")
    n = len(xi)
    grids = [np.reshape(as_array(x), (1,) * i + (-1,) + (1,) * (n - i - 1)) for i, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        grids = [np.swapaxes(g, 0, 1) for g in grids]
    found: Any = grids if sparse else broadcast_arrays(*grids)
    return tuple([detached(g) for g in found] if copy else found)


# -- move ----------------------------------------------------------------------------------------------------


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Move axes to new positions."""
    n = len(shape_of(a))
    start, end = _axis_tuple(source, n, "source"), _axis_tuple(destination, n, "destination")
    if len(start) != len(end):
        raise ValueError(f"np.moveaxis: source {source} and destination {destination} differ in length.")
    order = [i for i in range(n) if i not in start]
    for to, of in sorted(zip(end, start, strict=True)):
        order.insert(to, of)
    return transpose(a, order)


@implements(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """Move an axis back to a position."""
    n = len(shape_of(a))
    axis, start = _axis_index(axis, n), start + n if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""
    n = len(shape_of(a))
    order = list(range(n))
    i, j = _axis_index(axis1, n), _axis_index(axis2, n)
    order[i], order[j] = j, i
    return transpose(a, order)


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """Exchange the last two axes."""
    if len(shape_of(x)) < 2:
        raise ValueError(f"np.matrix_transpose: {describe(x)} has fewer than two axes.")
    return swapaxes(x, -1, -2)


implements(np.permute_dims)(transpose)


# -- reverse and roll ----------------------------------------------------------------------------------------


_flip: Operation = linear(
    np.flip,
    lambda ct, _y, _x, axis: np.flip(ct, axis),
    name="flip",
    structural=True,
    samples=lambda rng: [
        Sample((rng.normal(size=(2, 3)),), {"axis": (1,)}),
        Sample((rng.normal(size=(2, 0, 3)),), {"axis": (0, 2)}),
        Sample((rng.normal(size=()),), {"axis": ()}),
    ],
    shape=lambda x, axis: Spec(x.shape, x.dtype),
    batch=along("axis"),
)
_roll: Operation = linear(
    np.roll,
    lambda ct, _y, _x, shift, axis: np.roll(ct, tuple([-n for n in shift]), axis),
    name="roll",
    structural=True,
    samples=lambda rng: [
        Sample((rng.normal(size=(2, 5)),), {"shift": (7,), "axis": (1,)}),
        Sample((rng.normal(size=(4, 3)),), {"shift": (1, -1, 1), "axis": (0, 1, 0)}),
        Sample((rng.normal(size=(0, 2)),), {"shift": (1,), "axis": (0,)}),
    ],
    shape=lambda x, shift, axis: Spec(x.shape, x.dtype),
    batch=along("axis"),
)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """Reverse the order along axes."""
    n = len(shape_of(m))
    axes = tuple(range(n)) if axis is None else _axis_tuple(axis, n)
    index = tuple([slice(None, None, -1) if i in axes else slice(None) for i in range(n)])
    return linked(_flip, m, Step("get", index), axis=axes)


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    """Reverse the second axis."""
    return flip(m, 1)


@implements(np.flipud)
def flipud(m: Any) -> Any:
    """Reverse the first axis."""
    return flip(m, 0)


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Rotate by quarter turns in the plane of two axes."""
    if len(axes) != 2:
        raise ValueError(f"np.rot90: axes must be two axes, not {axes}.")
    i, j = _axis_tuple(axes, len(shape_of(m)))
    turned = {0: lambda: m, 1: lambda: swapaxes(flip(m, j), i, j), 2: lambda: flip(m, (i, j))}
    return turned.get(k % 4, lambda: flip(swapaxes(m, i, j), j))()


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Move elements along axes, those that fall off re-enter at the other end."""
    if axis is None:
        return reshape(roll(ravel(a), shift, 0), shape_of(a))
    pairs = [(int(by), _axis_index(int(i), len(shape_of(a)))) for by, i in np.broadcast(shift, axis)]
    return _roll(a, shift=tuple([by for by, _ in pairs]), axis=tuple([i for _, i in pairs]))


# -- join ----------------------------------------------------------------------------------------------------


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Join rows."""
    return concatenate([np.atleast_2d(a) for a in operands("vstack", tup, dtype, casting=casting)], axis=0)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Join along the second axis, vectors along their only one."""
    arrays = [np.atleast_1d(a) for a in operands("hstack", tup, dtype, casting=casting)]
    return concatenate(arrays, axis=0 if len(shape_of(arrays[0])) == 1 else 1)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    """Join along the third axis."""
    return concatenate([np.atleast_3d(a) for a in operands("dstack", tup)], axis=2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    """Join vectors as columns."""
    arrays = operands("column_stack", tup)
    columns = [np.transpose(np.atleast_2d(a)) if len(shape_of(a)) < 2 else a for a in arrays]
    return concatenate(columns, axis=1)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """Join two arrays, flattened unless an axis is given."""
    return concatenate(
        [arr, values] if axis is not None else [np.ravel(as_array(arr)), np.ravel(as_array(values))], axis or 0
    )


@implements(np.block)
def block(arrays: Any) -> Any:
    """Assemble an array from nested lists of blocks."""
    depth = _list_depth(arrays)
    ndim = max([depth, *_block_ndims(arrays)])
    return detached(_block(arrays, depth, ndim))


def _list_depth(arrays: Any) -> int:
    if not isinstance(arrays, list):
        return 0
    if not arrays:
        raise ValueError("np.block: lists cannot be empty.")
    depths = {_list_depth(a) for a in arrays}
    if len(depths) > 1:
        raise ValueError("np.block: the depths of the nested lists differ.")
    return 1 + depths.pop()


def _block_ndims(arrays: Any) -> list[int]:
    return [n for a in arrays for n in _block_ndims(a)] if isinstance(arrays, list) else [len(shape_of(arrays))]


def _block(arrays: Any, depth: int, ndim: int) -> Any:
    if depth == 0:
        return np.reshape(arrays, (1,) * (ndim - len(shape_of(arrays))) + shape_of(arrays))
    return concatenate([_block(a, depth - 1, ndim) for a in arrays], axis=-depth)


# -- split ---------------------------------------------------------------------------------------------------


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut into parts of nearly equal length, or at given positions."""
    axis = _axis_index(axis, len(shape_of(ary)))
    n = shape_of(ary)[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        parts = int(indices_or_sections)
        if parts <= 0:
            raise ValueError("np.array_split: the number of sections must be positive.")
        each, extra = divmod(n, parts)
        cuts = [0]
        for i in range(parts):
            cuts.append(cuts[-1] + each + (i < extra))
        bounds = list(itertools.pairwise(cuts))
    else:
        cuts = [0, *[int(i) for i in indices_or_sections], n]
        bounds = list(itertools.pairwise(cuts))
    at = (slice(None),) * axis
    return [ary[(*at, slice(a, b))] for a, b in bounds]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut into parts of equal length, or at given positions."""
    n = shape_of(ary)[_axis_index(axis, len(shape_of(ary)))]
    if isinstance(indices_or_sections, (int, np.integer)) and n % indices_or_sections:
        raise ValueError(
            f"np.split: an axis of length {n} has no {indices_or_sections} equal parts; use np.array_split."
        )
    return array_split(ary, indices_or_sections, axis)


def _needs_axes(name: str, ary: Any, n: int) -> None:
    """Refuse an array with fewer than `n` axes."""
    if len(shape_of(ary)) < n:
        raise ValueError(f"np.{name}: {describe(ary)} has fewer than {n} axes.")


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the second axis, a vector along its only one."""
    _needs_axes("hsplit", ary, 1)
    return split(ary, indices_or_sections, 1 if len(shape_of(ary)) > 1 else 0)


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the first axis."""
    _needs_axes("vsplit", ary, 2)
    return split(ary, indices_or_sections, 0)


@implements(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the third axis."""
    _needs_axes("dsplit", ary, 3)
    return split(ary, indices_or_sections, 2)


if hasattr(np, "unstack"):

    @implements(np.unstack)
    def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
        """Return the parts along an axis as a tuple."""
        return tuple(moveaxis(x, axis, 0))


install_method("squeeze", squeeze)
install_method("swapaxes", swapaxes)
install_method("ravel", ravel)
install_method("flatten", lambda self, order="C": copied(ravel(self, order)))
install_method("mT", property(matrix_transpose))  # type: ignore[arg-type]
