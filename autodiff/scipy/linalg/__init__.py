"""``scipy.linalg`` on traced arrays: SciPy's signatures, and its own functions where nothing is traced.

What is decided where a derivative does not exist stands in ``autodiff/CONVENTIONS.md``.

Examples
--------
>>> import numpy as np
>>> from autodiff import grad
>>> from autodiff.scipy import linalg
>>> grad(lambda a: np.trace(linalg.expm(a)))(np.zeros((2, 2)))
array([[1., 0.],
       [0., 1.]])
"""

from __future__ import annotations

from typing import Any

import scipy.linalg as sl

from autodiff.scipy._missing import missing_function
from autodiff.scipy.linalg.banded import *  # noqa: F403
from autodiff.scipy.linalg.decompositions import *  # noqa: F403
from autodiff.scipy.linalg.equations import *  # noqa: F403
from autodiff.scipy.linalg.functions import *  # noqa: F403
from autodiff.scipy.linalg.solutions import *  # noqa: F403
from autodiff.scipy.linalg.structured import *  # noqa: F403

_INSTEAD = {
    "cho_solve_banded": "solveh_banded",
    "cholesky_banded": "solveh_banded, or cholesky of the full matrix",
    "eig_banded": "eigh of the full matrix",
    "eigh_tridiagonal": "eigh of the full matrix",
    "expm_cond": "expm and expm_frechet",
    "funm": "expm, logm, sqrtm, cosm, sinm, tanm, coshm, sinhm, tanhm, signm",
    "hessenberg": "qr or eig",
    "matmul_toeplitz": "toeplitz(c, r) @ x",
    "null_space": "svd",
    "orth": "svd or qr",
    "orthogonal_procrustes": "polar(A.T @ B)",
    "qr_multiply": "qr and a product",
    "qz": "eig of np.linalg.solve(b, a)",
    "schur": "eigh of a symmetric matrix, or eig",
    "solve_circulant": "solve(circulant(c), b), or np.fft",
    "solve_continuous_are": "optimize.root of the equation",
    "solve_discrete_are": "optimize.root of the equation",
}
#: Matrices of integers and constants, errors: SciPy's own.
_CONSTANT = {
    "LinAlgError", "LinAlgWarning", "dft", "hadamard", "helmert", "hilbert", "invhilbert", "invpascal", "pascal",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _CONSTANT:
        return getattr(sl, name)
    raise missing_function("scipy.linalg", name, _INSTEAD)
