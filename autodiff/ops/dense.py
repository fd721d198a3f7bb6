"""The product of a dense layer: matrix product and bias in one operation, one pass over the result."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec
from autodiff.core.batching import folded
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.compiled import LARGE, package_for, product
from autodiff.ops.products import as_array, batch_matmul

__all__ = ["dense"]


def _value(x: Any, w: Any, bias: Any) -> Any:
    if x.size * w.shape[1] >= LARGE and x.dtype == w.dtype == bias.dtype and x.dtype.char in "fd":
        package = package_for(x)
        if package is not None:
            return package.matmul(x, w, bias=bias)
    y = x @ w
    return np.add(y, bias, out=y) if np.can_cast(bias.dtype, y.dtype, "safe") else y + bias


def _shape(x: Any, w: Any, bias: Any) -> Spec:
    dtype = np.result_type(dtype_of(x), dtype_of(w), dtype_of(bias))
    return Spec((shape_of(x)[0], shape_of(w)[1]), dtype)


def _samples(rng: np.random.Generator) -> list[Sample]:
    sizes = ((2, 3, 4), (1, 2, 1), (0, 2, 3), (3, 0, 2), (70, 64, 66))
    return [Sample((rng.normal(size=(n, k)), rng.normal(size=(k, m)), rng.normal(size=m))) for n, k, m in sizes]


def _batch(_call: Any, batched: Any, x: Any, w: Any, bias: Any) -> Any:
    """Weights or biases of each example: the product and the sum."""
    y = batch_matmul(product, batched[:2], x, w) if any(batched[:2]) else product(x, w)
    return y + (np.reshape(bias, (shape_of(bias)[0], 1, shape_of(bias)[1])) if batched[2] else bias)


_dense = Operation(
    "dense",
    _value,
    jvps=(
        lambda t, _y, _x, w, _bias: product(t, w),
        lambda t, _y, x, _w, _bias: product(x, t),
        lambda t, _y, _x, _w, _bias: np.broadcast_to(t, shape_of(_y)),
    ),
    vjps=(
        lambda ct, _y, _x, w, _bias: product(ct, w.T),
        lambda ct, _y, x, _w, _bias: product(x.T, ct),
        lambda ct, _y, _x, _w, _bias: np.sum(ct, axis=0),
    ),
    samples=_samples,
    shape=_shape,
    batch=folded(1, 0, 0, otherwise=_batch),
)


def dense(x: Any, w: Any, bias: Any = None) -> Any:
    """Return `x @ w + bias`, the affine map of a dense layer.

    Parameters
    ----------
    x
        Array (..., K).
    w
        Matrix (K, M).
    bias
        Array (M,), or None.

    Returns
    -------
    array
        (..., M). Large products of float32 or float64 are computed by the compiled kernel, which adds the bias while
        the result is in the cache.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> from autodiff import grad
    >>> dense(np.array([[1.0, 2.0]]), np.eye(2), np.array([10.0, 20.0]))
    array([[11., 22.]])
    >>> grad(lambda b: np.sum(dense(np.ones((3, 2)), np.eye(2), b)))(np.zeros(2))
    array([3., 3.])
    """
    x, w = as_array(x), as_array(w)
    if w.ndim != 2 or x.ndim < 1 or x.shape[-1] != w.shape[0]:
        raise ValueError(f"dense: expected x (..., K) and w (K, M), got {describe(x)} and {describe(w)}.")
    if bias is None:
        return x @ w
    bias = as_array(bias)
    if bias.shape != w.shape[1:]:
        raise ValueError(
            f"dense: bias must have shape {w.shape[1:]}, one number for each column, got {describe(bias)}."
        )
    if x.ndim == 2:
        return _dense(x, w, bias)
    y = _dense(np.reshape(x, (math.prod(x.shape[:-1]), w.shape[0])), w, bias)
    return np.reshape(y, (*x.shape[:-1], w.shape[1]))
