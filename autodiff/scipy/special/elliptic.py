"""Elliptic integrals and Jacobi's elliptic functions, by both arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sc

from autodiff.core import UFUNCS, Boundary, Operation, elementwise
from autodiff.scipy.special._common import draws, narrow, order, several

__all__: list[str] = []

EIGHTH = math.pi / 8

# -- complete: hypergeometric functions, whose derivatives do not divide by the parameter ------------------------

elementwise(
    sc.ellipk,
    lambda t, _y, m: t * EIGHTH * sc.hyp2f1(1.5, 1.5, 2.0, m),
    domain=(-2.0, 0.8),
    boundary=(Boundary((0.0,), (EIGHTH,)),),
)
elementwise(
    sc.ellipe,
    lambda t, _y, m: t * -EIGHTH * sc.hyp2f1(0.5, 1.5, 2.0, m),
    domain=(-2.0, 0.8),
    boundary=(Boundary((0.0,), (-EIGHTH,)),),
)
elementwise(sc.ellipkm1, lambda t, _y, p: t * -EIGHTH * sc.hyp2f1(0.5, 0.5, 2.0, 1 - p) / p, domain=(0.3, 1.8))

# -- incomplete ----------------------------------------------------------------------------------------------------

NODES, WEIGHTS = np.polynomial.legendre.leggauss(80)


def _reach(low: Any, high: Any, m: Any, integrand: Any) -> Any:
    """Integral of ``integrand(sn, cn, dn) du`` between two amplitudes in [-pi/2, pi/2], for 0 <= m <= 1.

    In u, the elliptic integral of the first kind, the integrands are analytic far from the real axis.
    """
    start, end = sc.ellipkinc(low, m), sc.ellipkinc(high, m)
    half = 0.5 * (end - start)
    sn, cn, dn, _ = sc.ellipj(start + half * (NODES.reshape(-1, *[1] * np.ndim(half)) + 1), m)
    return half * np.tensordot(WEIGHTS, integrand(sn, cn, dn), axes=1)


def _within(phi: Any, m: Any, j: int, e: int) -> Any:
    """``_integral`` for phi in [-pi/2, pi/2]; for m < 0 by the complementary amplitude."""
    negative = m < 0
    own = np.where(negative, 0.0, m)
    y = _reach(np.zeros_like(phi), phi, own, lambda sn, _cn, dn: sn ** (2 * j) * dn ** (e + 1))
    if not np.any(negative):
        return y
    other = np.where(negative, -m / (1 - m), 0.0)
    scale = np.where(negative, 1 - m, 1.0) ** (e / 2)
    right = np.full_like(phi, math.pi / 2)
    rest = _reach(right - np.abs(phi), right, other, lambda _sn, cn, dn: cn ** (2 * j) * dn ** (e + 1))
    return np.where(negative, np.sign(phi) * scale * rest, y)


def _integral_value(phi: Any, m: Any, j: Any, e: Any) -> Any:
    if order(j) == 0 and np.all(np.asarray(e) == -1):
        return sc.ellipkinc(phi, m)
    if order(j) == 0 and np.all(np.asarray(e) == 1):
        return sc.ellipeinc(phi, m)
    wide = np.broadcast_arrays(np.asarray(phi, np.float64), np.asarray(m, np.float64))
    turns = np.rint(wide[0] / math.pi)
    y = _within(wide[0] - turns * math.pi, wide[1], order(j), int(np.min(e, initial=0)))
    if np.any(turns):
        y = y + 2 * turns * _within(np.full_like(wide[0], math.pi / 2), wide[1], order(j), int(np.min(e, initial=0)))
    return narrow(np.asarray(y), phi, m)


def _root(phi: Any, m: Any) -> Any:
    s = np.sin(phi)
    return 1 - m * (s * s)


#: Integral of ``sin(x)**(2 j) * (1 - m sin(x)**2)**(e/2)`` from 0 to phi: closed under both derivatives.
_integral: Operation = elementwise(
    _integral_value,
    lambda t, _y, phi, m, j, e: t * np.sin(phi) ** (2 * j) * _root(phi, m) ** (0.5 * e),
    lambda t, _y, phi, m, j, e: t * (-0.5 * e) * _integral(phi, m, j + 1, e - 2),
    None,
    None,
    name="elliptic_integral",
    samples=several(
        draws((-1.2, 1.2), (0.1, 0.8), 0, -1),
        draws((-1.2, 1.2), (-2.0, -0.2), 1, -3, shapes=((3,),)),
        draws((2.0, 4.0), (0.1, 0.8), 1, -1, shapes=((3,),)),
    ),
)
UFUNCS[sc.ellipkinc] = lambda phi, m: _integral(phi, m, 0, -1)
UFUNCS[sc.ellipeinc] = lambda phi, m: _integral(phi, m, 0, 1)

# -- Jacobi's functions --------------------------------------------------------------------------------------------


def _turn(u: Any, m: Any) -> Any:
    """Derivative of the amplitude by m."""
    return -0.5 * _integral(_ph(u, m), m, 1, -3) * _dn(u, m)


def _dn_by_m(t: Any, y: Any, u: Any, m: Any) -> Any:
    s = _sn(u, m)
    return -t * s * (s + 2 * m * _cn(u, m) * _turn(u, m)) / (2 * y)


_sn: Operation = elementwise(
    lambda u, m: sc.ellipj(u, m)[0],
    lambda t, _y, u, m: t * _cn(u, m) * _dn(u, m),
    lambda t, _y, u, m: t * _cn(u, m) * _turn(u, m),
    name="jacobi_sn",
    samples=draws((-1.5, 1.5), (0.1, 0.8), shapes=((3,), (), (0,))),
)
_cn: Operation = elementwise(
    lambda u, m: sc.ellipj(u, m)[1],
    lambda t, _y, u, m: -t * _sn(u, m) * _dn(u, m),
    lambda t, _y, u, m: -t * _sn(u, m) * _turn(u, m),
    name="jacobi_cn",
    samples=draws((-1.5, 1.5), (0.1, 0.8), shapes=((3,), ())),
)
_dn: Operation = elementwise(
    lambda u, m: sc.ellipj(u, m)[2],
    lambda t, _y, u, m: -t * m * _sn(u, m) * _cn(u, m),
    _dn_by_m,
    name="jacobi_dn",
    samples=draws((-1.5, 1.5), (0.1, 0.8), shapes=((3,), ())),
)
_ph: Operation = elementwise(
    lambda u, m: sc.ellipj(u, m)[3],
    lambda t, _y, u, m: t * _dn(u, m),
    lambda t, _y, u, m: t * _turn(u, m),
    name="jacobi_am",
    samples=draws((-1.5, 1.5), (0.1, 0.8), shapes=((3,), ())),
)
UFUNCS[sc.ellipj] = lambda u, m: (_sn(u, m), _cn(u, m), _dn(u, m), _ph(u, m))
