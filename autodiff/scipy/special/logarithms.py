"""Logarithms and entropies that are right at 0, powers and exponentials that are right near 1, robust losses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sc

from autodiff.core import UFUNCS, Boundary, Operation, constant, elementwise
from autodiff.core.spec import dtype_of
from autodiff.scipy.special._common import alias, draws, several

__all__: list[str] = []

LOG2, LOG10 = math.log(2), math.log(10)
DEGREE = math.pi / 180

# -- x log(y) ------------------------------------------------------------------------------------------------


def _ratio_value(x: Any, y: Any) -> Any:
    zero = np.equal(x, 0)
    with np.errstate(all="ignore"):
        return np.where(zero, x * 0, x / np.where(zero, 1, y))[()]


#: ``x / y``, and 0 where x is 0, whatever y is: the derivative of ``x log(y)`` by y.
_ratio: Operation = elementwise(
    _ratio_value,
    lambda t, _y, _x, y: t / y,
    lambda t, q, _x, y: -t * _ratio(q, y),
    name="ratio_or_zero",
    domain=((-2.0, 2.0), (0.5, 2.0)),
    boundary=(Boundary((0.0, 0.0), (np.inf, 0.0)), Boundary((0.0, 2.0), (0.5, 0.0))),
)

elementwise(
    sc.xlogy,
    lambda t, _z, _x, y: t * np.log(y),
    lambda t, _z, x, y: t * _ratio(x, y),
    linear_args=(0,),
    domain=((-2.0, 2.0), (0.5, 2.0)),
    boundary=(Boundary((0.0, 0.0), (-np.inf, 0.0)), Boundary((0.0, 2.0), (LOG2, 0.0))),
)
elementwise(
    sc.xlog1py,
    lambda t, _z, _x, y: t * np.log1p(y),
    lambda t, _z, x, y: t * _ratio(x, 1 + y),
    linear_args=(0,),
    domain=((-2.0, 2.0), (-0.5, 2.0)),
    boundary=(Boundary((0.0, -1.0), (-np.inf, 0.0)), Boundary((0.0, 1.0), (LOG2, 0.0))),
)

# -- entropies -------------------------------------------------------------------------------------------------


def _blank(mask: Any, t: Any) -> Any:
    return np.where(mask, t, dtype_of(t).type(0))


elementwise(
    sc.entr,
    lambda t, _y, x: -_blank(np.greater_equal(x, 0), t * (np.log(np.where(np.less(x, 0), 1.0, x)) + 1)),
    domain=(0.2, 2.0),
    boundary=(Boundary((0.0,), (np.inf,)), Boundary((-1.0,), (0.0,))),
)


def _valid(x: Any, y: Any) -> Any:
    """Where the relative entropy is finite."""
    return np.logical_or(
        np.logical_and(np.greater(x, 0), np.greater(y, 0)), np.logical_and(np.equal(x, 0), np.greater_equal(y, 0))
    )


def _log_quotient(x: Any, y: Any) -> Any:
    """``log(x / y)``: without cancellation where they are close, without overflow where they are not."""
    with np.errstate(all="ignore"):
        close = np.logical_and(np.less(x, 2 * y), np.less(y, 2 * x))
    near = np.log1p((np.where(close, x, 1.0) - np.where(close, y, 1.0)) / np.where(close, y, 1.0))
    return np.where(close, near, np.log(np.where(close, 1.0, x)) - np.log(np.where(close, 1.0, y)))


elementwise(
    sc.rel_entr,
    lambda t, _z, x, y: _blank(_valid(x, y), t * (_log_quotient(x, y) + 1)),
    lambda t, _z, x, y: _blank(_valid(x, y), t * -_ratio(x, y)),
    domain=((0.2, 2.0), (0.5, 2.0)),
    boundary=(
        Boundary((0.0, 1.0), (-np.inf, 0.0)), Boundary((0.0, 0.0), (None, 0.0)), Boundary((1.0, -1.0), (0.0, 0.0)),
    ),
)  # fmt: skip
elementwise(
    sc.kl_div,
    lambda t, _z, x, y: _blank(_valid(x, y), t * _log_quotient(x, y)),
    lambda t, _z, x, y: _blank(_valid(x, y), t * (1 - _ratio(x, y))),
    domain=((0.2, 2.0), (0.5, 2.0)),
    boundary=(
        Boundary((0.0, 1.0), (-np.inf, 1.0)), Boundary((0.0, 0.0), (None, 1.0)), Boundary((1.0, -1.0), (0.0, 0.0)),
    ),
)  # fmt: skip

# -- robust losses -----------------------------------------------------------------------------------------------


def _huber_by_residual(t: Any, _y: Any, delta: Any, r: Any) -> Any:
    size = np.where(np.less(delta, 0), 0.0, delta)
    return t * np.where(np.abs(r) <= size, r, np.sign(r) * size)


def _huber_by_delta(t: Any, _y: Any, delta: Any, r: Any) -> Any:
    size = np.where(np.less(delta, 0), np.inf, delta)
    return t * np.where(np.abs(r) <= size, 0.0, np.abs(r) - np.where(np.less(delta, 0), 0.0, delta))


elementwise(
    sc.huber,
    _huber_by_delta,
    _huber_by_residual,
    samples=several(draws((0.5, 1.0), (1.2, 2.0)), draws((1.2, 2.0), (-1.0, 1.0), shapes=((3,), ()))),
    boundary=(Boundary((1.0, 1.0), (0.0, 1.0)), Boundary((0.0, 2.0), (2.0, 0.0)), Boundary((-1.0, 2.0), (0.0, 0.0))),
)


def _slant(delta: Any, r: Any) -> tuple[Any, Any]:
    """The scale, 1 where it is not positive, and ``sqrt(1 + (r / scale)**2)``."""
    size = np.where(np.greater(delta, 0), delta, 1.0)
    u = r / size
    return u, np.sqrt(1 + u * u)


def _pseudo_huber_by_delta(t: Any, _y: Any, delta: Any, r: Any) -> Any:
    u, s = _slant(delta, r)
    at_zero = np.where(np.equal(delta, 0), np.abs(r), 0.0)  # the limit
    return t * np.where(np.greater(delta, 0), delta * (u * u / (s + 1)) ** 2 / s, at_zero)


def _pseudo_huber_by_residual(t: Any, _y: Any, delta: Any, r: Any) -> Any:
    _, s = _slant(delta, r)
    return t * np.where(np.greater(delta, 0), r / s, 0.0)


elementwise(
    sc.pseudo_huber,
    _pseudo_huber_by_delta,
    _pseudo_huber_by_residual,
    domain=((0.5, 2.0), (-2.0, 2.0)),
    boundary=(Boundary((0.0, 2.0), (2.0, 0.0)), Boundary((-1.0, 2.0), (0.0, 0.0)), Boundary((1.0, 0.0), (0.0, 0.0))),
)

# -- exponentials and powers --------------------------------------------------------------------------------------

elementwise(sc.expm1, lambda t, y, _x: t * (y + 1), name="special.expm1")
elementwise(sc.log1p, lambda t, _y, x: t / (1 + x), name="special.log1p", domain=(-0.5, 2.0))
elementwise(sc.exp2, lambda t, y, _x: t * y * LOG2, name="special.exp2")
elementwise(sc.exp10, lambda t, y, _x: t * y * LOG10)
elementwise(sc.cbrt, lambda t, y, _x: t / (3 * (y * y)), name="special.cbrt", domain=(0.5, 2.0))
elementwise(sc.exprel, lambda t, _y, x: t * 0.5 * sc.hyp1f1(2.0, 3.0, x), boundary=(Boundary((0.0,), (0.5,)),))
elementwise(sc.cosm1, lambda t, _y, x: -t * np.sin(x))
elementwise(sc.sindg, lambda t, _y, x: t * DEGREE * sc.cosdg(x))
elementwise(sc.cosdg, lambda t, _y, x: t * -DEGREE * sc.sindg(x))
elementwise(sc.tandg, lambda t, y, _x: t * DEGREE * (1 + y * y))
elementwise(sc.cotdg, lambda t, y, _x: t * -DEGREE * (1 + y * y), domain=(30.0, 60.0))
UFUNCS[sc.radian] = lambda d, m, s: (d + m / 60 + s / 3600) * DEGREE
alias(sc.round, np.rint)
constant(sc.gammasgn)

elementwise(
    sc.powm1,
    lambda t, _z, x, y: t * y * np.power(x, y - 1),
    lambda t, _z, x, y: t * np.power(x, y) * np.log(x),
    domain=((0.5, 2.0), (-1.0, 2.0)),
)

# -- the transform of Box and Cox ------------------------------------------------------------------------------------


def _half_curve(log: Any, power: Any) -> Any:
    """Derivative of ``(exp(power * log) - 1) / power`` by the power, without division by it."""
    return 0.5 * (log * log) * sc.hyp1f1(2.0, 3.0, power * log)


def _boxcox_by_power(t: Any, _y: Any, x: Any, power: Any) -> Any:
    zero = np.logical_and(np.equal(x, 0), np.greater(power, 0))
    limit = 1 / np.square(np.where(zero, power, 1.0))
    return t * np.where(zero, limit, _half_curve(np.log(np.where(zero, 1.0, x)), power))


elementwise(
    sc.boxcox,
    lambda t, _y, x, power: t * np.power(x, power - 1),
    _boxcox_by_power,
    domain=((0.5, 2.0), (-1.0, 2.0)),
    boundary=(Boundary((1.0, 0.0), (1.0, 0.0)), Boundary((0.0, 2.0), (0.0, 0.25))),
)
elementwise(
    sc.boxcox1p,
    lambda t, _y, x, power: t * np.exp((power - 1) * np.log1p(x)),
    lambda t, _y, x, power: t * _half_curve(np.log1p(x), power),
    domain=((-0.5, 2.0), (-1.0, 2.0)),
    boundary=(Boundary((0.0, 0.0), (1.0, 0.0)),),
)


def _inverse_by_power(y: Any, power: Any) -> Any:
    """Derivative of ``log1p(power * y) / power`` by the power, without division by it."""
    return y * y * -0.5 * sc.hyp2f1(2.0, 2.0, 3.0, -power * y)


elementwise(
    sc.inv_boxcox,
    lambda t, z, y, power: t * z / (1 + power * y),
    lambda t, z, y, power: t * z * _inverse_by_power(y, power),
    domain=((-0.5, 1.0), (-0.5, 1.0)),
    boundary=(Boundary((0.0, 0.0), (1.0, 0.0)),),
)
elementwise(
    sc.inv_boxcox1p,
    lambda t, z, y, power: t * (z + 1) / (1 + power * y),
    lambda t, z, y, power: t * (z + 1) * _inverse_by_power(y, power),
    domain=((-0.5, 1.0), (-0.5, 1.0)),
    boundary=(Boundary((0.0, 0.0), (1.0, 0.0)),),
)
