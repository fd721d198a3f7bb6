"""Linear algebra of the standard: functions of matrices, or of stacks of them, in the last two axes."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]


def cholesky(x: Any, /, *, upper: bool = False) -> Any:
    """Triangular factor of a Hermitian, positive definite matrix."""
    return np.linalg.cholesky(x, upper=upper) if upper else np.linalg.cholesky(x)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Cross product of vectors of three entries."""
    return np.linalg.cross(x1, x2, axis=axis)


def det(x: Any, /) -> Any:
    """Determinant."""
    return np.linalg.det(x)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Diagonals of matrices."""
    return np.diagonal(x, offset, -2, -1)


def eigh(x: Any, /) -> Any:
    """Eigenvalues, in ascending order, and eigenvectors of a Hermitian matrix."""
    return np.linalg.eigh(x)


def eigvalsh(x: Any, /) -> Any:
    """Eigenvalues of a Hermitian matrix, in ascending order."""
    return np.linalg.eigvalsh(x)


def inv(x: Any, /) -> Any:
    """Inverse."""
    return np.linalg.inv(x)


def matmul(x1: Any, x2: Any, /) -> Any:
    """Matrix product."""
    return np.matmul(x1, x2)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:  # noqa: A002
    """Norm of matrices."""
    return np.linalg.matrix_norm(x, keepdims=keepdims, ord=ord)


def matrix_power(x: Any, n: int, /) -> Any:
    """Integer power of a square matrix."""
    return np.linalg.matrix_power(x, n)


def matrix_rank(x: Any, /, *, rtol: Any = None) -> Any:
    """Number of singular values above `rtol` times the largest."""
    return np.linalg.matrix_rank(x) if rtol is None else np.linalg.matrix_rank(x, rtol=rtol)


def matrix_transpose(x: Any, /) -> Any:
    """Transpose of matrices."""
    return np.linalg.matrix_transpose(x)


def outer(x1: Any, x2: Any, /) -> Any:
    """Outer product of two vectors."""
    return np.linalg.outer(x1, x2)


def pinv(x: Any, /, *, rtol: Any = None) -> Any:
    """Pseudo-inverse."""
    return np.linalg.pinv(x) if rtol is None else np.linalg.pinv(x, rtol=rtol)


def qr(x: Any, /, *, mode: Any = "reduced") -> Any:
    """Orthogonal and upper triangular factor."""
    return np.linalg.qr(x, mode=mode)


def slogdet(x: Any, /) -> Any:
    """Sign, and logarithm of the absolute value, of the determinant."""
    return np.linalg.slogdet(x)


def solve(x1: Any, x2: Any, /) -> Any:
    """Solution of linear equations; a vector `x2` is one right-hand side."""
    return np.linalg.solve(x1, x2)


def svd(x: Any, /, *, full_matrices: bool = True) -> Any:
    """Singular value decomposition."""
    return np.linalg.svd(x, full_matrices=full_matrices)


def svdvals(x: Any, /) -> Any:
    """Singular values, in descending order."""
    return np.linalg.svdvals(x)


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Sum over pairs of axes of two arrays."""
    return np.tensordot(x1, x2, axes=axes)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Sum of a diagonal."""
    return np.linalg.trace(x, offset=offset, dtype=dtype)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Dot product of vectors along an axis; the first is conjugated."""
    dot: Any = np.vecdot  # NumPy's annotations leave out axis=
    return dot(x1, x2, axis=axis)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:  # noqa: A002
    """Norm of vectors, over any axes together."""
    return np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)
