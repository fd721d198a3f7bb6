"""Where compiled kernels take over from NumPy.

Numba takes a fraction of a second to import and a kernel a few seconds to compile for the first time (then it comes
from a cache), so programs that never ask for kernels never load them. Operations that NumPy does not have (convolution,
pooling, `dense` ...) call `cpu()`, which does; from then on large matrix products go to the kernel as well, which was
measured to be faster from about 32 x 32 x 32 on (`benchmarks/matmul.py`). From 64 x 64 x 64 on OpenBLAS uses threads,
and these go on spinning for tens of milliseconds after a product: one product left to NumPy in a training step takes a
processor away from the kernels of the whole step (it was seen to double the time on two).
"""

from __future__ import annotations

import functools
import importlib
import math
from typing import Any

from numpy import ndarray

from autodiff.core.backend import foreign

__all__ = ["cpu", "enable_kernels", "fits_gpu", "gpu", "kernels_enabled", "on_gpu", "package_for", "product"]

LARGE, SMALL = 32**3, 64**3  # multiply-adds: from where kernels pay, here and on a GPU
LAUNCH = 1 << 16  # items on a GPU from where a kernel may gain more than its launch costs over the library's own
FEW = 512  # items of an operand: the product of two such is hardly ever large


class _State:
    """The kernel of the matrix product, once kernels are in use."""

    large: Any = None
    small: Any = None
    no_bias: Any = None


@functools.cache
def cpu() -> Any:
    """Return the package `kernels.cpu`, imported on the first call; matrix products use it from then on."""
    module = importlib.import_module("kernels.cpu")
    products = importlib.import_module("kernels.cpu.matmul")
    _State.large, _State.small, _State.no_bias = products.large_product, products.small_product, products.NO_BIAS
    return module


def enable_kernels() -> None:
    """Let large products of float32 and float64 matrices be computed by the compiled kernel from now on.

    The operations of neural networks do this by themselves when they are first used. Results agree with NumPy's to
    rounding; the first product of each dtype waits for the compiler, unless its code lies in the cache.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import grad, ops
    >>> ops.enable_kernels()
    >>> x = np.ones((80, 80))
    >>> float(grad(lambda w: np.sum(x @ w))(x)[0, 0])
    80.0
    """
    cpu()


def kernels_enabled() -> bool:
    """Return whether large matrix products are computed by the compiled kernel.

    Examples
    --------
    >>> from autodiff import ops
    >>> ops.enable_kernels()
    >>> ops.kernels_enabled()
    True
    """
    return _State.small is not None


@functools.cache
def gpu() -> Any:
    """Return the package `kernels.cuda`, imported on the first call."""
    return importlib.import_module("kernels.cuda")


def on_gpu(x: Any) -> bool:
    """Whether an array lies in the memory of a GPU, where `gpu()` can work on it."""
    return type(x) is not ndarray and hasattr(type(x), "__cuda_array_interface__")


def fits_gpu(*arrays: Any) -> bool:
    """Whether an array lies on a GPU, and its dtype, which all share, is one that kernels are compiled for."""
    x = arrays[0]
    return on_gpu(x) and x.dtype.char in "fd" and x.dtype.isnative and all(a.dtype == x.dtype for a in arrays[1:])


def package_for(x: Any) -> Any:
    """Return the package of kernels for arrays that live where `x` does; None if there is none."""
    if type(x) is ndarray or not foreign(x):
        return cpu()
    return gpu() if on_gpu(x) else None


def _product_elsewhere(a: Any, b: Any) -> Any:
    """Product of operands that are not both NumPy arrays: large matrices on the GPU go to its kernel."""
    if (
        on_gpu(a)
        and on_gpu(b)
        and min(a.ndim, b.ndim) > 1
        and a.size * b.shape[-1] >= SMALL
        and a.dtype == b.dtype
        and a.dtype.char in "fd"
    ):
        return gpu().matmul(a, b)
    return a @ b


def product(a: Any, b: Any) -> Any:
    """Return ``a @ b``: by the kernel where it is in use, fits the operands and is faster, else by NumPy."""
    if not type(a) is type(b) is ndarray:
        return a @ b if type(a) is ndarray else _product_elsewhere(a, b)
    if a.size < FEW and b.size < FEW:  # cheap checks first: NumPy takes 1.6 us for all of 32**3
        return a @ b
    if a.ndim == b.ndim == 2 and a.shape[1] == 1 == b.shape[0] and a.dtype.kind in "fc":
        return a * b  # BLAS takes two or three times as long for a column times a row
    small = _State.small
    if small is None:
        return a @ b
    y = small(a, b, LARGE)
    if y is not None:
        return y
    if (
        a.dtype is not b.dtype
        or a.dtype.char not in "fd"
        or a.ndim < 2
        or b.ndim < 2
        or not _is_large(a.shape, b.shape)
    ):
        return a @ b
    return _State.large(a, b, _State.no_bias[a.dtype.char], 0)


def _is_large(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether the product of arrays of these shapes is one for the kernel; mistaken shapes are left to NumPy."""
    return a[-1] == b[-2] != 1 and math.prod(a) * b[-1] >= LARGE
