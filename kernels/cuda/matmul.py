"""Matrix products on the device: float32 and float64 exactly, reduced precision on tensor cores where it is allowed."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from kernels.cuda import gemm, tensor
from kernels.cuda.arrays import contiguous, empty, flat, give, modules, receive
from kernels.cuda.epilogue import ACTIVATIONS
from kernels.cuda.launch import blocks_for, ceil_div

__all__ = ["ACTIVATIONS", "matmul", "zero_offset"]

matrix_product = gemm.product("matrix_product", gemm.matrix_quad, gemm.matrix_quad, gemm.matrix_store, 4, 4, 2)


@functools.cache
def zero_offset() -> Any:
    """Return the offsets of a single product, on the device."""
    return modules().zeros(1, np.int64)


def matmul(a: Any, b: Any, *, bias: Any = None, activation: str | None = None, precision: str | None = None) -> Any:
    """Return `activation(a @ b + bias)`.

    Parameters
    ----------
    a
        Array (..., M, K) on the device: float32, float64, float16 or bfloat16. Transposed and strided operands are
        read where they lie; those that tensor cores cannot read so (rows that do not begin at multiples of 16 bytes)
        are copied first.
    b
        Array (..., K, N) of the same dtype. Leading dimensions broadcast.
    bias
        Array (N,) of the same dtype, added to each row.
    activation
        None or `"relu"`, applied before the result is written.
    precision
        None, or `"tf32"`, which allows float32 operands to be rounded to 11 significant bits.

    Returns
    -------
    array
        (..., M, N) of the operands' dtype, C-contiguous, on the device. Sums of float16, bfloat16 and tf32 products
        are kept in float32 and rounded once, after bias and activation.

    Raises
    ------
    TypeError
        If an array lies on the host, or its dtype is none of the four, or the dtypes differ, or precision is
        `"tf32"` and they are not float32.
    ValueError
        If an operand has fewer than two dimensions, the shapes do not fit, or activation or precision is unknown.
    RuntimeError, MemoryError
        If there is no driver, no device or no room; for float16, bfloat16 and tf32, if the device has compute
        capability below 8.0.

    Notes
    -----
    See `kernels.cuda.gemm` and `kernels.cuda.tensor`. Two calls give the same bits.
    """
    a, b = receive("matmul", "a", a), receive("matmul", "b", b)
    bias = None if bias is None else receive("matmul", "bias", bias)
    _check(a, b, bias, activation, precision)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*batch, a.shape[-2], b.shape[-1])
    kind = tensor.KINDS.get(a.dtype.name) if precision == "tf32" or a.dtype.itemsize == 2 else None
    if kind is None:
        return give(_exact(a, b, bias, activation, shape))
    dtype = a.dtype
    if dtype.itemsize == 2:  # kernels see the bits of 16-bit items
        a, b, bias = (x if x is None else x.view(np.uint16) for x in (a, b, bias))
    return give(_reduced(kind, a, b, bias, activation, shape).view(dtype))


def _check(a: Any, b: Any, bias: Any, activation: str | None, precision: str | None) -> None:
    """Raise for operands that do not fit."""
    dtypes = {key: x.dtype for key, x in {"a": a, "b": b, "bias": bias}.items() if x is not None}
    listed = ", ".join(f"{key}: {dtype}" for key, dtype in dtypes.items())
    if len(set(dtypes.values())) > 1 or a.dtype.name not in {*tensor.KINDS, "float64"} or not a.dtype.isnative:
        raise TypeError(
            f"matmul: expected float32, float64, float16 or bfloat16, got {listed}; convert with .astype(...)"
        )
    if precision not in {None, "tf32"}:
        raise ValueError(f'matmul: precision must be None or "tf32", got {precision!r}')
    if precision == "tf32" and a.dtype != np.float32:
        raise TypeError(f'matmul: precision "tf32" is for float32, got {listed}; leave it out')
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: expected shapes (..., M, K) and (..., K, N), got {a.shape} and {b.shape}")
    if activation not in ACTIVATIONS:
        raise ValueError(f'matmul: activation must be None or "relu", got {activation!r}')
    if bias is not None and bias.shape != b.shape[-1:]:
        raise ValueError(f"matmul: bias must have shape {b.shape[-1:]}, one number for each column, got {bias.shape}")


def _exact(a: Any, b: Any, bias: Any, activation: str | None, shape: tuple[int, ...]) -> Any:
    """Return a product in the precision of its operands."""
    out = empty("matmul", shape, a.dtype)
    if out.size == 0:
        return out
    memory, products, (m, n), k = out.reshape(-1), math.prod(shape[:-2]), shape[-2:], a.shape[-1]
    nothing = memory, zero_offset(), (0, 0, 0, 0)
    a_flat, a_offsets, a_words = _operand(a, shape[:-2]) if k else nothing
    b_flat, b_offsets, b_words = _operand(b.mT, shape[:-2]) if k else nothing
    sizes = (m, n, k, products, ceil_div(m, gemm.ROWS), ceil_div(n, gemm.COLUMNS), 1, k)
    matrix_product.launch(
        "matmul", blocks_for(products * sizes[4] * sizes[5], 1), gemm.THREADS, a_flat, b_flat,
        memory if bias is None else contiguous(bias), memory, a_offsets, b_offsets, sizes, (a_words[2], b_words[2]),
        a_words, b_words, (0 if bias is None else 1, ACTIVATIONS[activation]),
    )  # fmt: skip
    return out


def _reduced(kind: str, a: Any, b: Any, bias: Any, activation: str | None, shape: tuple[int, ...]) -> Any:
    """Return a product on tensor cores."""
    out = empty("matmul", shape, a.dtype)
    if out.size == 0:
        return out
    memory, products, (m, n), k = out.reshape(-1), math.prod(shape[:-2]), shape[-2:], a.shape[-1]
    nothing = memory, zero_offset(), (0, 1), 1
    a_flat, a_offsets, a_strides, a_along = _chunked(a, shape[:-2], tensor.ITEMS[kind]) if k else nothing
    b_flat, b_offsets, b_strides, b_along = _chunked(b.mT, shape[:-2], tensor.ITEMS[kind]) if k else nothing
    sizes = (m, n, k, products, ceil_div(m, tensor.ROWS), ceil_div(n, tensor.COLUMNS))
    tensor.kernel_for(kind, a_along, b_along).launch(
        "matmul", blocks_for(products * sizes[4] * sizes[5], 1), tensor.THREADS, a_flat, b_flat,
        memory if bias is None else contiguous(bias), memory, a_offsets, b_offsets, sizes, a_strides, b_strides,
        (0 if bias is None else 1, ACTIVATIONS[activation], int(n % 2 == 0)),
    )  # fmt: skip
    return out


def _steps(x: Any) -> list[int]:
    """Return the strides in items; 0 along dimensions of one item, where they say nothing."""
    return [stride // x.itemsize if size > 1 else 0 for size, stride in zip(x.shape, x.strides, strict=True)]


def _starts(shape: tuple[int, ...], strides: list[int], batch: tuple[int, ...]) -> Any:
    """Return where each product of a batch begins, on the device."""
    if not batch:
        return zero_offset()
    starts: Any = np.zeros((), np.int64)
    for size, stride in zip(shape, strides, strict=True):
        starts = starts[..., None] + np.arange(size, dtype=np.int64) * stride
    return modules().asarray(np.ascontiguousarray(np.broadcast_to(starts, batch)).reshape(-1))


def _memory(x: Any, strides: list[int]) -> Any:
    return flat(x, 1 + sum((size - 1) * stride for size, stride in zip(x.shape, strides, strict=True)))


def _chunked(x: Any, batch: tuple[int, ...], items: int) -> tuple[Any, Any, tuple[int, int], int]:
    """Return an operand (..., rows, terms) as memory, the beginning of each product, two strides, and how it lies.

    One of the strides is 1, and all that is read begins at multiples of `items`: where that is not so, it is copied.
    """
    along = _lies(x, items)
    if along is None:
        shape = (*x.shape[:-1], ceil_div(x.shape[-1], items) * items)
        x, given = empty("matmul", shape, x.dtype)[..., : x.shape[-1]], x
        x[...] = given
        along = 1
    strides = _steps(x)
    pair = (strides[-2], 1) if along else (1, strides[-1])
    return _memory(x, strides), _starts(x.shape[:-2], strides[:-2], batch), pair, along


def _lies(x: Any, items: int) -> int | None:
    """Return 1 for an operand whose aligned runs lie along its terms, 0 for one along its rows, None for others."""
    if any(stride < 0 or stride % x.itemsize for stride in x.strides) or address(x) % 16:
        return None
    *others, row, term = _steps(x)
    if any(stride % items for stride in others):
        return None
    if (term == 1 or x.shape[-1] == 1) and row % items == 0:
        return 1
    return 0 if (row == 1 or x.shape[-2] == 1) and term % items == 0 else None


def _operand(x: Any, batch: tuple[int, ...]) -> tuple[Any, Any, tuple[int, int, int, int]]:
    """Return an operand (..., rows, terms) as memory, where each product starts, and the words of `matrix_quad`."""
    if any(stride < 0 or stride % x.itemsize for stride in x.strides):
        x = modules().ascontiguousarray(x)
    strides = _steps(x)
    row, term = strides[-2:]
    along = int(row != 1 or term == 1)
    aligned = all(s % 4 == 0 for s in strides[:-2]) and address(x) % 16 == 0
    vector = int(aligned and (term == 1 and row % 4 == 0 if along else term % 4 == 0))
    return _memory(x, strides), _starts(x.shape[:-2], strides[:-2], batch), (row, term, along, vector)


def address(x: Any) -> int:
    """Return where an array begins."""
    found: int = x.data.ptr if hasattr(x.data, "ptr") else x.ctypes.data
    return found
