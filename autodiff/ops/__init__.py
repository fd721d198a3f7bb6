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
    quantiles,
    reductions,
    repeat,
    selection,
    shape,
    signal,
    ufunc_methods,
)
from autodiff.ops.compiled import enable_kernels, kernels_enabled

__all__ = [
    "axes",
    "cumulative",
    "dtypes",
    "einsum",
    "elementwise",
    "elementwise_functions",
    "enable_kernels",
    "extrema",
    "indexing",
    "joining",
    "kernels_enabled",
    "kinks",
    "matrix",
    "norms",
    "padding",
    "products",
    "quantiles",
    "reductions",
    "repeat",
    "selection",
    "shape",
    "signal",
    "ufunc_methods",
]
