"""What NumPy's LAPACK functions do not offer: triangular systems, and LU factors that are kept for the next solution.

SciPy has both, for one matrix at a time. It takes a seventh of a second to import, so it is asked where a matrix has
some rows, or where the program has loaded it anyway.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

import numpy as np

__all__ = ["Factors", "available", "substituted", "swept"]

ROWS, FEW = 64, 16  # rows from which SciPy is loaded, and from which it is faster where it is there


def available(*arrays: Any) -> bool:
    """Whether SciPy is to be asked: plain matrices of one dtype, large enough."""
    a = arrays[0]
    n = a.shape[-1]
    if (
        a.dtype.char not in "fdFD"
        or not a.dtype.isnative
        or n < FEW
        or (n < ROWS and "scipy.linalg" not in sys.modules)
    ):
        return False
    return all(type(x) is np.ndarray and x.ndim == 2 and x.dtype == a.dtype and x.size for x in arrays)


@functools.cache
def _function(name: str, char: str) -> Any:
    kind = "blas" if name == "trsm" else "lapack"
    module = importlib.import_module(f"scipy.linalg.{kind}")
    return getattr(module, {"f": "s", "d": "d", "F": "c", "D": "z"}[char] + name)


def substituted(a: Any, b: Any, lower: bool) -> Any:
    """Solution of a triangular system; infinite or NaN where a diagonal entry is 0."""
    trsm = _function("trsm", a.dtype.char)
    if a.flags.f_contiguous:
        return trsm(1.0, a, b, lower=lower)
    return trsm(1.0, a.T, b, lower=not lower, trans_a=1)


def swept(factor: Any, x: Any) -> Any:
    """``inv(L)^H x inv(L)``, transposed, for a lower triangle L; `x` is overwritten."""
    trsm = _function("trsm", factor.dtype.char)
    upper = np.asfortranarray(factor.T)
    first = trsm(1.0, upper, x.T, overwrite_b=1)
    return trsm(1.0, upper, first, side=1, trans_a=2, overwrite_b=1)


class Factors:
    """LU factors of a matrix, and with them its solutions and those of its transpose."""

    __slots__ = ("lu", "pivots")

    def __init__(self, a: Any) -> None:
        # LAPACK's order is that of columns: the factors are those of the transpose.
        self.lu, self.pivots, info = _function("getrf", a.dtype.char)(a.T)
        if info > 0:
            raise np.linalg.LinAlgError("Singular matrix")

    def solution(self, b: Any, *, transposed: bool) -> Any:
        """Solve ``a x = b``, or with the transpose of a."""
        return _function("getrs", self.lu.dtype.char)(self.lu, self.pivots, b, trans=0 if transposed else 1)[0]
