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
from typing import Any

from numpy import ndarray

__all__ = ["cpu", "enable_kernels", "kernels_enabled", "product"]

LARGE, SMALL = 32**3, 64**3  # multiply-adds: from where kernels pay, and up to where the way to them counts


class _State:
    """The kernel of the matrix product, once kernels are in use."""

    matmul: Any = None
    small: Any = None


@functools.cache
def cpu() -> Any:
    """Return the package `kernels.cpu`, imported on the first call; matrix products use it from then on."""
    module = importlib.import_module("kernels.cpu")
    _State.matmul = module.matmul
    _State.small = importlib.import_module("kernels.cpu.matmul").small_product
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
    return _State.matmul is not None


def product(a: Any, b: Any) -> Any:
    """Return ``a @ b``: by the kernel where it is in use, fits the operands and is faster, else by NumPy."""
    if _State.matmul is None or type(a) is not ndarray or type(b) is not ndarray:
        return a @ b
    shape = b.shape  # the cheapest checks come first: NumPy needs 1.6 us in all for 32 x 32 x 32
    if len(shape) < 2 or (terms := a.size * shape[-1]) < LARGE:
        return a @ b
    if terms <= SMALL and (y := _State.small(a, b)) is not None:
        return y
    if a.dtype is not b.dtype or a.dtype.char not in "fd" or a.ndim < 2 or a.shape[-1] != shape[-2] or shape[-2] == 1:
        return a @ b
    return _State.matmul(a, b)
