"""Determinants. The gradient is the matrix of cofactors, which exists whatever the rank.

Where a matrix is close to singular, it is not found by dividing by the determinant: the two smallest singular values
are first moved away from 0, A = B - X Y with two columns X and two rows Y, and with N = 1 - Y B^-1 X, two by two,

    det A = det B det N        adj A = det B (det N B^-1 + B^-1 X adj(N) Y B^-1).

X and Y are constants, so that this can be differentiated any number of times. If more than two singular values are
0 the cofactors and their first derivatives are 0; of the next derivatives we say NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, constant, explicit, implements
from autodiff.core.backend import made
from autodiff.core.batching import stacked
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.kinks import kink
from autodiff.ops.linalg.common import quiet, real_spec, square
from autodiff.ops.linalg.inverse import quiet_inverse
from autodiff.ops.products import swapped

__all__ = ["det", "slogdet"]

_RESULT: Any = type(np.linalg.slogdet(np.eye(1)))


def _samples(rng: np.random.Generator) -> list[Sample]:
    shapes = ((3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2), (4, 4))
    return [Sample((rng.normal(size=s) + np.eye(s[-1]),)) for s in shapes]


def _paired(x: Any, t: Any) -> Any:
    """``trace(x^T t)`` of each matrix."""
    return np.sum(x * t, axis=(-2, -1))


# -- regular matrices ----------------------------------------------------------------------------------------

_regular: Operation = explicit(
    np.linalg.det,
    lambda t, y, a: y * _paired(swapped(quiet_inverse(a)), t),
    name="regular_det",
    samples=_samples,
    batch=stacked(2),
    shape=lambda a: Spec(shape_of(a)[:-2], dtype_of(a)),
)


# -- matrices of any rank ------------------------------------------------------------------------------------


def _well_conditioned(a: Any, limit: float) -> bool:
    """Whether every matrix of a stack is far from singular, by its inverse."""
    inverse = quiet(np.linalg.inv, a)
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(a, 1, (-2, -1)) * np.linalg.norm(inverse, 1, (-2, -1))
    return bool(np.all(norms < limit))


def _shift(a: Any) -> Any:
    """X^T and Y, one below the other: (..., 4, n); and whether more than two singular values are 0, in a fifth row."""
    n = a.shape[-1]
    shift = made(np.zeros, a, (*a.shape[:-2], 5, n), a.dtype)
    eps = float(np.finfo(a.dtype).eps)
    if not a.size or not np.all(np.isfinite(a)) or _well_conditioned(a, eps ** (-1 / 3)):
        return shift
    u, s, vh = np.linalg.svd(a)
    top = np.where(s[..., :1] > 0, s[..., :1], np.ones_like(s[..., :1]))
    move = np.where(s[..., -2:] <= eps ** (1 / 3) * top, top, np.zeros_like(top))
    shift[..., :2, :] = np.swapaxes(u[..., -2:] * move[..., None, :], -1, -2)
    shift[..., 2:4, :] = vh[..., -2:, :]
    if n > 2:
        shift[..., 4, :] = s[..., -3, None] <= n * eps * top
    return shift


_shifted = constant(
    _shift,
    name="det_shift",
    batch=stacked(2),
    shape=lambda a: Spec((*shape_of(a)[:-2], 5, shape_of(a)[-1]), dtype_of(a)),
)


def _cofactors(a: Any) -> Any:
    """Transposed adjugate of each matrix, as an expression that every order of derivative can go through."""
    n = shape_of(a)[-1]
    if n < 2:
        return np.ones_like(a)
    shift = _shifted(a)
    lost = shift[..., 4:5, :1] != 0
    x, y = swapped(shift[..., :2, :]), shift[..., 2:4, :]
    one = made(np.eye, a, n, dtype=dtype_of(a))
    regular = np.where(lost, one, a + x @ y)
    inverse = quiet_inverse(regular)
    left, right = inverse @ x, y @ inverse
    two = made(np.eye, a, 2, dtype=dtype_of(a))
    small = two - y @ left
    p, q, r, s = (small[..., i : i + 1, j : j + 1] for i in (0, 1) for j in (0, 1))
    flipped = (p + s) * two - small
    scale = _regular(regular)[..., None, None]
    adjugate = scale * ((p * s - q * r) * inverse + left @ flipped @ right)
    return swapped(np.where(lost, kink(a), adjugate))


_det: Operation = explicit(
    np.linalg.det,
    lambda t, _y, a: _paired(_cofactors(a), t),
    name="det",
    samples=lambda rng: [*_samples(rng), Sample((np.outer(rng.normal(size=3), rng.normal(size=3)),))],
    batch=stacked(2),
    shape=lambda a: Spec(shape_of(a)[:-2], dtype_of(a)),
)


@implements(np.linalg.det)
def det(a: Any) -> Any:
    """Determinant of each matrix."""
    return _det(square("np.linalg.det", a))


# -- sign and logarithm --------------------------------------------------------------------------------------

_logdet: Operation = explicit(
    lambda a: np.linalg.slogdet(a)[1],
    lambda t, _y, a: np.real(_paired(swapped(quiet_inverse(a)), t)),
    name="logdet",
    samples=_samples,
    batch=stacked(2),
    shape=lambda a: real_spec(shape_of(a)[:-2], dtype_of(a)),
)
_sign_of_real = constant(
    lambda a: np.linalg.slogdet(a)[0],
    name="det_sign",
    batch=stacked(2),
    shape=lambda a: Spec(shape_of(a)[:-2], dtype_of(a)),
)
_sign_of_complex: Operation = explicit(
    lambda a: np.linalg.slogdet(a)[0],
    lambda t, y, a: y * (1j * np.imag(_paired(swapped(quiet_inverse(a)), t))),
    name="det_phase",
    samples=lambda rng: [Sample((s.args[0] + 0.3j * rng.normal(size=s.args[0].shape),)) for s in _samples(rng)],
    batch=stacked(2),
    shape=lambda a: Spec(shape_of(a)[:-2], dtype_of(a)),
)


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """Sign (complex: phase) of the determinant, and the logarithm of its modulus."""
    a = square("np.linalg.slogdet", a)
    sign = _sign_of_complex if dtype_of(a).kind == "c" else _sign_of_real
    return _RESULT(sign(a), _logdet(a))
