"""Matrix products of float32 and float64 arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels.cpu.gemm import RELU, multiply_cells, multiply_small
from kernels.cpu.memory import flat
from kernels.cpu.narrow import is_narrow, multiply_narrow
from kernels.cpu.threads import num_threads, parallel_for

__all__ = ["NO_BIAS", "large_product", "matmul", "small_product"]

ACTIVATIONS = {None: 0, "relu": RELU}
NO_BIAS = {"f": np.empty(0, np.float32), "d": np.empty(0, np.float64)}
SMALL = 300_000  # multiply-adds
FLOPS_PER_THREAD = 2.2e6  # 128 x 128 x 128 takes one thread as long as two


def matmul(a: Any, b: Any, *, bias: Any = None, activation: str | None = None) -> Any:
    """Return `activation(a @ b + bias)`.

    Parameters
    ----------
    a
        Array (..., M, K), float32 or float64. Transposed and strided operands are read where they lie.
    b
        Array (..., K, N) of the same dtype. Leading dimensions broadcast.
    bias
        Array (N,) of the same dtype, added to each row.
    activation
        None or `"relu"`, applied to the result while it is in the cache.

    Returns
    -------
    ndarray
        Array (..., M, N) of the operands' dtype, C-contiguous.

    Raises
    ------
    TypeError
        If a dtype is neither float32 nor float64, or the operands' dtypes differ.
    ValueError
        If an operand has fewer than two dimensions, the shapes do not fit, or the activation is unknown.

    Notes
    -----
    Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (TOMS 2008). The order of additions
    differs from NumPy's: results agree to rounding.

    Examples
    --------
    >>> a = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> matmul(a, a.T)
    array([[ 5., 11.],
           [11., 25.]])
    >>> matmul(a, a, bias=np.array([-10.0, 0.0]), activation="relu")
    array([[ 0., 10.],
           [ 5., 22.]])
    """
    if bias is None and activation is None and (out := small_product(a, b)) is not None:
        return out
    bias, code = _check(a, b, bias, activation)
    return large_product(a, b, bias, code)


def large_product(a: Any, b: Any, bias: Any, code: int) -> Any:
    """Return what `matmul` does, for operands that fit: arrays of one dtype, a bias (empty: none), an activation.

    Examples
    --------
    >>> large_product(np.eye(2), np.ones((2, 1)), NO_BIAS["d"], 0)
    array([[1.],
           [1.]])
    """
    batch = a.shape[:-2]
    if a.ndim != b.ndim or batch != b.shape[:-2]:
        try:
            batch = np.broadcast_shapes(batch, b.shape[:-2])
        except ValueError:
            raise ValueError(f"matmul: the leading dimensions of {a.shape} and {b.shape} do not broadcast") from None
    m, k = a.shape[-2:]
    n = b.shape[-1]
    out = np.empty((*batch, m, n), a.dtype)
    products = math.prod(batch)
    if out.size == 0:
        return out
    if k == 0:
        out[...] = 0 if bias.size == 0 else bias
        return np.maximum(out, 0, out=out) if code == RELU else out
    a_flat, a_row, a_column, a_offsets = _operand(a, batch)
    b_flat, b_row, b_column, b_offsets = _operand(b, batch)
    if a_column == 1 and is_narrow(n, k, a.itemsize):
        _narrow(products, (m, n, k), (a_flat, a_offsets, a_row), (b_flat, b_offsets, b_row, b_column), out, bias, code)
        return out
    rows_cut, columns_cut, wanted = _grid(products, m, n, k)
    cells = products * rows_cut * columns_cut
    arguments = (
        a_flat, a_offsets, a_row, a_column, b_flat, b_offsets, b_row, b_column, out.reshape(-1),
        (m, n, k, rows_cut, columns_cut), bias, code,
    )  # fmt: skip
    if wanted == 1:
        multiply_cells(0, cells, *arguments)
    else:
        parallel_for(multiply_cells, cells, *arguments, grain=-(-cells // wanted))
    return out


def _narrow(products: int, shape: tuple[int, int, int], a: Any, b: Any, out: Any, bias: Any, code: int) -> None:
    """Compute products with few columns, whose rows are shared out."""
    m, n, k = shape
    wanted = min(num_threads(), max(1, int(2.0 * products * m * n * k / FLOPS_PER_THREAD)))
    cut = min(m, -(-wanted // products))
    parallel_for(
        multiply_narrow, products * cut, *a, *b, out.reshape(-1), (m, n, k, cut), bias, code,
        grain=-(-products * cut // wanted),
    )  # fmt: skip


def small_product(a: Any, b: Any, least: int = 1) -> Any:
    """Return `a @ b` where both are small writeable C-contiguous matrices of one dtype, as most are; else None.

    Products of fewer multiply-adds than `least` are None as well: there NumPy is as fast.

    Examples
    --------
    >>> small_product(np.eye(2), np.ones((2, 1)))
    array([[1.],
           [1.]])
    >>> small_product(np.eye(2), np.ones((2, 4))[:, ::2]) is None
    True
    """
    if a.dtype is not b.dtype or a.dtype.char not in "fd" or not (a.flags.carray and b.flags.carray):
        return None
    if a.ndim != 2 or b.ndim != 2:
        return None
    (rows, terms), (others, columns) = a.shape, b.shape
    if terms != others or not least <= rows * terms * columns <= SMALL:
        return None
    out = np.empty((rows, columns), a.dtype)
    multiply_small(a, b, out)
    return out


def _check(a: Any, b: Any, bias: Any, activation: str | None) -> tuple[Any, int]:
    """Raise for operands that do not fit; return the bias as an array (empty: none) and the activation's code."""
    if a.dtype != b.dtype or a.dtype.char not in "fd":
        raise TypeError(
            f"matmul: both operands must be float32 or both float64, got {a.dtype} and {b.dtype}; "
            "convert with .astype(...)"
        )
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: expected shapes (..., M, K) and (..., K, N), got {a.shape} and {b.shape}")
    if activation not in ACTIVATIONS:
        raise ValueError(f'matmul: activation must be None or "relu", got {activation!r}')
    if bias is None:
        return NO_BIAS[a.dtype.char], ACTIVATIONS[activation]
    if bias.dtype != a.dtype:
        raise TypeError(f"matmul: bias has dtype {bias.dtype}, the operands {a.dtype}; convert with .astype(...)")
    if bias.shape != b.shape[-1:]:
        raise ValueError(f"matmul: bias must have shape {b.shape[-1:]}, one number for each column, got {bias.shape}")
    return flat(np.ascontiguousarray(bias)), ACTIVATIONS[activation]


ZERO_OFFSET = np.zeros(1, np.intp)


def _operand(x: Any, batch: tuple[int, ...]) -> tuple[Any, int, int, Any]:
    """Return the memory of an operand in one dimension, its strides in items and where each product starts."""
    if x.ndim == 2 and not batch:
        rows, columns = x.shape
        if x.flags.c_contiguous:
            return flat(x), columns, 1, ZERO_OFFSET
        if x.flags.f_contiguous:
            return flat(x.T), 1, rows, ZERO_OFFSET
    itemsize = x.itemsize
    if any(stride < 0 or stride % itemsize for stride in x.strides):
        x = np.ascontiguousarray(x)
    strides = [stride // itemsize for stride in x.strides]
    span = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, strides, strict=True))
    offsets: Any = np.zeros((), np.intp)
    for size, stride in zip(x.shape[:-2], strides[:-2], strict=True):
        offsets = offsets[..., None] + np.arange(size, dtype=np.intp) * stride
    offsets = np.ascontiguousarray(np.broadcast_to(offsets, batch)).reshape(-1)
    return flat(x, span), strides[-2], strides[-1], offsets


def _grid(products: int, m: int, n: int, k: int) -> tuple[int, int, int]:
    """Cut a product into rows and columns of cells, and say how many threads are worth their start."""
    lanes = 16  # of a vector; where it is not filled by columns, it takes its time all the same
    wanted = min(num_threads(), max(1, int(2.0 * products * m * k * lanes * -(-n // lanes) / FLOPS_PER_THREAD)))
    if wanted == 1:
        return 1, 1, 1
    rows_cut = columns_cut = 1
    while products * rows_cut * columns_cut < wanted:
        if m * columns_cut > n * rows_cut:
            rows_cut += 1
        else:
            columns_cut += 1
    return rows_cut, columns_cut, wanted
