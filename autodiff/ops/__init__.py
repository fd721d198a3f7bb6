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
    pooling,
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
from autodiff.ops.convolution import conv1d, conv2d, conv_transpose2d
from autodiff.ops.pooling import avg_pool2d, max_pool2d

__all__ = [
    "avg_pool2d",
    "axes",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
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
    "max_pool2d",
    "norms",
    "padding",
    "pooling",
    "products",
    "quantiles",
    "reductions",
    "repeat",
    "selection",
    "shape",
    "signal",
    "ufunc_methods",
]
