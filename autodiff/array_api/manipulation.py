"""Functions of the standard that move, pick, sort and search elements."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autodiff.core.spec import shape_of

__all__ = [
    "argmax",
    "argmin",
    "argsort",
    "broadcast_arrays",
    "broadcast_to",
    "concat",
    "count_nonzero",
    "expand_dims",
    "flip",
    "moveaxis",
    "nonzero",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "searchsorted",
    "sort",
    "squeeze",
    "stack",
    "take",
    "take_along_axis",
    "tile",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "unstack",
    "where",
]


def broadcast_arrays(*arrays: Any) -> list[Any]:
    """Broadcast arrays against each other."""
    return list(np.broadcast_arrays(*arrays))


def broadcast_to(x: Any, /, shape: Any) -> Any:
    """Broadcast an array to a shape."""
    return np.broadcast_to(x, shape)


def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """Join along an existing axis; None joins the flattened arrays."""
    return np.concatenate(arrays, axis=axis)


def expand_dims(x: Any, /, axis: int) -> Any:
    """Insert an axis of length 1."""
    return np.expand_dims(x, axis)


def flip(x: Any, /, *, axis: Any = None) -> Any:
    """Reverse the order of the elements along axes, by default along all."""
    return np.flip(x, axis)


def moveaxis(x: Any, source: Any, destination: Any, /) -> Any:
    """Move axes to other places; the rest keep their order."""
    return np.moveaxis(x, source, destination)


def permute_dims(x: Any, /, axes: tuple[int, ...]) -> Any:
    """Put the axes into another order."""
    return np.transpose(x, axes)


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Repeat each element."""
    return np.repeat(x, repeats, axis=axis)


def reshape(x: Any, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Any:
    """Give an array another shape; one length may be -1."""
    y: Any = np.reshape(x, shape)
    if copy:
        return np.copy(y)
    if copy is False and isinstance(y, np.ndarray) and not np.may_share_memory(x, y) and y.size:
        raise ValueError("array_api.reshape: copy=False, but this shape of a non-contiguous array needs a copy.")
    return y


def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Any:
    """Move elements along axes; those that fall off re-enter at the other end."""
    return np.roll(x, shift, axis=axis)


def squeeze(x: Any, /, axis: Any) -> Any:
    """Drop axes of length 1."""
    return np.squeeze(x, axis)


def stack(arrays: Any, /, *, axis: int = 0) -> Any:
    """Join along a new axis."""
    return np.stack(arrays, axis=axis)


def tile(x: Any, repetitions: tuple[int, ...], /) -> Any:
    """Lay copies of an array side by side."""
    return np.tile(x, repetitions)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Take an array apart along an axis."""
    if not shape_of(x):
        raise ValueError("array_api.unstack: the array must have at least one axis.")
    return tuple(np.moveaxis(x, axis, 0))


# -- pick ----------------------------------------------------------------------------------------------------


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """Pick elements along an axis; it may be left out for a vector."""
    if axis is None and len(shape_of(x)) != 1:
        raise ValueError(f"array_api.take: give axis= for an array of shape {shape_of(x)}.")
    return np.take(x, indices, axis=0 if axis is None else axis)


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    """Pick elements along an axis, by another index for each line."""
    return np.take_along_axis(x, indices, axis)


def where(condition: Any, x1: Any, x2: Any, /) -> Any:
    """Choose between two arrays."""
    return np.where(condition, x1, x2)


# -- sort and search -----------------------------------------------------------------------------------------


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Sort along an axis."""
    y = np.sort(x, axis=axis, kind="stable" if stable else None)
    return np.flip(y, axis) if descending else y


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Positions that would sort an array along an axis."""
    kind: Any = "stable" if stable else None
    if not descending:
        return np.argsort(x, axis=axis, kind=kind)
    # Both reversals together keep the order of equal elements.
    return shape_of(x)[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, kind=kind), axis)


def argmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Position of the largest element."""
    return np.argmax(x, axis=axis, keepdims=keepdims)


def argmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Position of the smallest element."""
    return np.argmin(x, axis=axis, keepdims=keepdims)


def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Number of elements that are not zero."""
    return np.count_nonzero(x, axis=axis, keepdims=keepdims)


def nonzero(x: Any, /) -> tuple[Any, ...]:
    """Positions of the elements that are not zero, an array for each axis."""
    return np.nonzero(x)


def searchsorted(x1: Any, x2: Any, /, *, side: Any = "left", sorter: Any = None) -> Any:
    """Positions at which the elements of `x2` would go into the sorted vector `x1`."""
    return np.searchsorted(x1, x2, side=side, sorter=sorter)


class UniqueAll(NamedTuple):
    """Distinct elements, where each comes first, where each element went, and how often each occurs."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """Distinct elements, and how often each occurs."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """Distinct elements, and where each element went."""

    values: Any
    inverse_indices: Any


def unique_all(x: Any, /) -> UniqueAll:
    """Distinct elements (every NaN is one), with all that is known of them."""
    values, indices, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    return UniqueAll(values, indices, np.reshape(inverse, shape_of(x)), counts)


def unique_counts(x: Any, /) -> UniqueCounts:
    """Distinct elements (every NaN is one), and how often each occurs."""
    return UniqueCounts(*np.unique(x, return_counts=True, equal_nan=False))


def unique_inverse(x: Any, /) -> UniqueInverse:
    """Distinct elements (every NaN is one), and where each element went."""
    values, inverse = np.unique(x, return_inverse=True, equal_nan=False)
    return UniqueInverse(values, np.reshape(inverse, shape_of(x)))


def unique_values(x: Any, /) -> Any:
    """Distinct elements (every NaN is one)."""
    return np.unique(x, equal_nan=False)
