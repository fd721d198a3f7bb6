"""The operations, one place for each: importing this package fills the registry."""

from __future__ import annotations

from autodiff.ops import (
    axes,
    dtypes,
    einsum,
    elementwise,
    elementwise_functions,
    extrema,
    indexing,
    joining,
    matrix,
    products,
    reductions,
    repeat,
    selection,
    shape,
    signal,
)

__all__ = [
    "axes",
    "dtypes",
    "einsum",
    "elementwise",
    "elementwise_functions",
    "extrema",
    "indexing",
    "joining",
    "matrix",
    "products",
    "reductions",
    "repeat",
    "selection",
    "shape",
    "signal",
]
