"""`numpy.linalg` on traced arrays: factorisations, solutions, determinants, in both modes and at every order.

A factorisation has several results. Each is an operation of its own (`svd_left`, `svd_values`), with its own rule; the
operations of one call share a `Memo`, so that LAPACK runs once. Rules read the other results by applying these
operations again: on plain arrays that is a look-up, on traced ones it records what the next order needs. `eigh` has
both results in one array instead, because gradients that go through both are common and then cost less.
"""

from __future__ import annotations

from autodiff.ops.linalg import cholesky, determinant, eig, eigh, inverse, least_squares, qr, svd, triangular

__all__ = [
    "cholesky",
    "determinant",
    "eig",
    "eigh",
    "inverse",
    "least_squares",
    "qr",
    "svd",
    "triangular",
]
