"""The operations, one place for each: importing this package fills the registry."""

from __future__ import annotations

from autodiff.ops import (
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
    selection,
    shape,
    signal,
)

__all__ = [
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
    "selection",
    "shape",
    "signal",
]
