"""Shapes and dtypes without values: what a shape rule reads and returns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Spec", "dtype_of", "elementwise_shape", "is_inexact", "shape_of", "spec_of"]


class Spec:
    """The shape and dtype of an array that need not exist.

    Parameters
    ----------
    shape : tuple of int
        The shape; ``()`` for a scalar.
    dtype : dtype-like
        The dtype; float64 by default.

    Examples
    --------
    >>> Spec((2, 3), "float32")
    Spec((2, 3), float32)
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.float64) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        return f"Spec({self.shape}, {self.dtype})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))


_SCALAR_DTYPES = {
    bool: np.dtype(bool),
    int: np.dtype(np.int64),
    float: np.dtype(np.float64),
    complex: np.dtype(np.complex128),
}


def shape_of(x: Any) -> tuple[int, ...]:
    """Shape of an array, tracer, spec or scalar."""
    try:
        return x.shape  # type: ignore[no-any-return]
    except AttributeError:
        return np.shape(x)


def dtype_of(x: Any) -> np.dtype[Any]:
    """Dtype of an array, tracer, spec or scalar; a Python float counts as float64."""
    try:
        return x.dtype  # type: ignore[no-any-return]
    except AttributeError:
        return _SCALAR_DTYPES.get(type(x)) or np.asarray(x).dtype


def spec_of(x: Any) -> Spec:
    """Shape and dtype of `x` together."""
    return Spec(shape_of(x), dtype_of(x))


def is_inexact(x: Any) -> bool:
    """Whether `x` has a real or complex floating dtype, that is, whether it can carry a derivative."""
    return dtype_of(x).kind in "fc"


def elementwise_shape(fn: Callable[..., Any], *args: Any, **params: Any) -> Spec:
    """Broadcast shape, and the dtype that `fn` gives for one element of each argument."""
    shape = np.broadcast_shapes(*(shape_of(a) for a in args))
    with np.errstate(all="ignore"):
        one = fn(
            *(a if isinstance(a, (bool, int, float, complex)) else np.ones((), dtype_of(a)) for a in args), **params
        )
    return Spec(shape, dtype_of(one))
