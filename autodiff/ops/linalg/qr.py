"""QR factors of matrices of full column rank (of wide ones: of their first square part).

With T = dA R^-1 and c = Q^H T, the part of c above the diagonal belongs to R and the rest, made anti-Hermitian, to the
rotation of Q. LAPACK's R has a real diagonal, so that imaginary numbers on the diagonal of c belong to the rotation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, explicit, implements
from autodiff.core.backend import made
from autodiff.core.batching import stacked
from autodiff.core.errors import missing_rule
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.common import Memo, adjoint, matrices
from autodiff.ops.linalg.triangular import solve_triangular
from autodiff.ops.products import swapped

__all__ = ["qr"]

_RESULT: Any = type(np.linalg.qr(np.eye(1)))


def _parts(t: Any, q: Any, r: Any) -> tuple[Any, Any]:
    """``dA inv(R)``, and what of ``Q^H dA inv(R)`` is triangular with a real diagonal."""
    moved = swapped(solve_triangular(swapped(r), swapped(t), lower=True))
    change = adjoint(q) @ moved
    n = shape_of(r)[-1]
    below = made(np.tri, r, n, k=-1, dtype=dtype_of(r))
    upper = change * (1 - below) + adjoint(change * below)
    if dtype_of(r).kind == "c":
        upper = upper - np.imag(change) * made(np.eye, r, n, dtype=dtype_of(r)) * 1j
    return moved, upper


def _orthogonal_tangent(t: Any, y: Any, a: Any, known: Memo) -> Any:
    moved, upper = _parts(t, y, _upper(a, known=known))
    return moved - y @ upper


def _upper_tangent(t: Any, y: Any, a: Any, known: Memo) -> Any:
    return _parts(t, _orthogonal(a, known=known), y)[1] @ y


def _samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=s),), {"known": Memo()}) for s in ((3, 3), (4, 2), (2, 3, 2), (1, 1), (2, 0))]


_orthogonal: Operation = explicit(
    lambda a, known: known.of(np.linalg.qr, a)[0],
    _orthogonal_tangent,
    name="qr_orthogonal",
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, known: Spec(shape_of(a), dtype_of(a)),
)
_upper: Operation = explicit(
    lambda a, known: known.of(np.linalg.qr, a)[1],
    _upper_tangent,
    name="qr_upper",
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, known: Spec((*shape_of(a)[:-2], *shape_of(a)[-1:] * 2), dtype_of(a)),
)


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """QR factors, or R alone with ``mode="r"``."""
    a, known = matrices("np.linalg.qr", a), Memo()
    m, n = shape_of(a)[-2:]
    if mode not in {"reduced", "complete", "r", "raw"}:
        raise ValueError(f"np.linalg.qr: mode must be 'reduced', 'complete' or 'r', not {mode!r}.")
    if mode == "raw" or (mode == "complete" and m > n):
        raise missing_rule(
            "np.linalg.qr",
            f" with mode={mode!r}: "
            + ("Householder vectors are not traced; mode='reduced' gives Q and R" if mode == "raw" else
               f"for {m} x {n} matrices the last {m - n} columns of Q are arbitrary; mode='reduced' leaves them out"),
        )  # fmt: skip
    first = a[..., :m] if n > m else a
    q, r = _orthogonal(first, known=known), _upper(first, known=known)
    if n > m:
        r = np.concatenate([r, adjoint(q) @ a[..., m:]], axis=-1)
    return r if mode == "r" else _RESULT(q, r)
