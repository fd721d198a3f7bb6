"""Arrays as kernels take them: one dimension, contiguous, writable as far as the type system is concerned.

Numba compiles a kernel anew for each layout and for read-only arrays; these views keep it to one version per dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["flat"]


class _Memory:
    """What NumPy's array interface needs to make a view that is not marked read-only."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, x: Any, size: int) -> None:
        address = x.__array_interface__["data"][0]
        self.__array_interface__ = {"version": 3, "typestr": x.dtype.str, "shape": (size,), "data": (address, False)}
        self.owner = x  # keeps the memory alive


def flat(x: Any, size: int | None = None) -> Any:
    """Return the memory of `x` from its first item on, as a one-dimensional array of `size` items (all by default).

    A kernel only ever reads through the view of an argument: the view of a read-only array does not say so itself.
    `x` must be C-contiguous unless the caller knows that `size` items follow its first one.

    Examples
    --------
    >>> flat(np.arange(6).reshape(2, 3))
    array([0, 1, 2, 3, 4, 5])
    """
    if size is None:
        if x.flags.writeable:
            return x.reshape(-1)
        size = x.size
    return np.asarray(_Memory(x, size))
