"""Matrix products of float32 and float64 arrays on the device."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from kernels.cuda.arrays import check_dtypes, contiguous, empty, flat, give, modules, receive
from kernels.cuda.gemm import COLUMNS, ROWS, THREADS, matrix_quad, matrix_store, product
from kernels.cuda.launch import blocks_for, ceil_div

__all__ = ["matmul", "zero_offset"]

ACTIVATIONS = {None: 0, "relu": 1}

matrix_product = product("matrix_product", matrix_quad, matrix_quad, matrix_store, 4, 4, 2)


@functools.cache
def zero_offset() -> Any:
    """Return the offsets of a single product, on the device."""
    return modules().zeros(1, np.int64)


def matmul(a: Any, b: Any, *, bias: Any = None, activation: str | None = None) -> Any:
    """Return `activation(a @ b + bias)`.

    Parameters
    ----------
    a
        Array (..., M, K) on the device, float32 or float64. Transposed and strided operands are read where they lie.
    b
        Array (..., K, N) of the same dtype. Leading dimensions broadcast.
    bias
        Array (N,) of the same dtype, added to each row.
    activation
        None or `"relu"`, applied before the result is written.

    Returns
    -------
    array
        (..., M, N) of the operands' dtype, C-contiguous, on the device.

    Raises
    ------
    TypeError
        If an array lies on the host, a dtype is neither float32 nor float64, or the dtypes differ.
    ValueError
        If an operand has fewer than two dimensions, the shapes do not fit, or the activation is unknown.
    RuntimeError, MemoryError
        If there is no driver, no device or no room.

    Notes
    -----
    See `kernels.cuda.gemm`. Two calls give the same bits.
    """
    a, b = receive("matmul", "a", a), receive("matmul", "b", b)
    bias = None if bias is None else receive("matmul", "bias", bias)
    _check(a, b, bias, activation)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    m, k = a.shape[-2:]
    n = b.shape[-1]
    out = empty("matmul", (*batch, m, n), a.dtype)
    if out.size == 0:
        return give(out)
    memory = out.reshape(-1)
    products = math.prod(batch)
    a_flat, a_offsets, a_words = _operand(a, batch) if k else (memory, zero_offset(), (0, 0, 0, 0))
    b_flat, b_offsets, b_words = _operand(b.mT, batch) if k else (memory, zero_offset(), (0, 0, 0, 0))
    sizes = (m, n, k, products, ceil_div(m, ROWS), ceil_div(n, COLUMNS), 1, k)
    matrix_product.launch(
        "matmul", blocks_for(products * sizes[4] * sizes[5], 1), THREADS, a_flat, b_flat,
        memory if bias is None else contiguous(bias), memory, a_offsets, b_offsets, sizes, (a_words[2], b_words[2]),
        a_words, b_words, (0 if bias is None else 1, ACTIVATIONS[activation]),
    )  # fmt: skip
    return give(out)


def _check(a: Any, b: Any, bias: Any, activation: str | None) -> None:
    """Raise for operands that do not fit."""
    check_dtypes("matmul", a=a, b=b, bias=bias)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: expected shapes (..., M, K) and (..., K, N), got {a.shape} and {b.shape}")
    if activation not in ACTIVATIONS:
        raise ValueError(f'matmul: activation must be None or "relu", got {activation!r}')
    if bias is not None and bias.shape != b.shape[-1:]:
        raise ValueError(f"matmul: bias must have shape {b.shape[-1:]}, one number for each column, got {bias.shape}")


def _operand(x: Any, batch: tuple[int, ...]) -> tuple[Any, Any, tuple[int, int, int, int]]:
    """Return an operand (..., rows, terms) as memory, where each product starts, and the words of `matrix_quad`."""
    itemsize = x.itemsize
    if any(stride < 0 or stride % itemsize for stride in x.strides):
        x = modules().ascontiguousarray(x)
    strides = [stride // itemsize for stride in x.strides]
    span = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, strides, strict=True))
    row, term = strides[-2:]
    starts: Any = np.zeros((), np.int64)
    for size, stride in zip(x.shape[:-2], strides[:-2], strict=True):
        starts = starts[..., None] + np.arange(size, dtype=np.int64) * stride
    starts = np.ascontiguousarray(np.broadcast_to(starts, batch)).reshape(-1)
    along = int(row != 1 or term == 1)
    aligned = all(s % 4 == 0 for s in strides[:-2]) and address(x) % 16 == 0
    vector = int(aligned and (term == 1 and row % 4 == 0 if along else term % 4 == 0))
    offsets = modules().asarray(starts) if batch else zero_offset()
    return flat(x, span), offsets, (row, term, along, vector)


def address(x: Any) -> int:
    """Return where an array begins."""
    found: int = x.data.ptr if hasattr(x.data, "ptr") else x.ctypes.data
    return found
