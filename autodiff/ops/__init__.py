"""The operations, one place for each: importing this package fills the registry."""

from __future__ import annotations

from autodiff.ops import (
    axes,
    cumulative,
    dtypes,
    einsum,
    elementwise,
    elementwise_functions,
    extrema,
    indexing,
    joining,
    kinks,
    matrix,
    norms,
    padding,
    products,
    reductions,
    repeat,
    selection,
    shape,
    signal,
    ufunc_methods,
)

__all__ = [
    "axes",
    "cumulative",
    "dtypes",
    "einsum",
    "elementwise",
    "elementwise_functions",
    "extrema",
    "indexing",
    "joining",
    "kinks",
    "matrix",
    "norms",
    "padding",
    "products",
    "reductions",
    "repeat",
    "selection",
    "shape",
    "signal",
    "ufunc_methods",
]
