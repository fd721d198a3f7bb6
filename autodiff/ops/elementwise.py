"""Elementwise operations: every ufunc of NumPy that has a derivative, and those whose derivative is zero.

Each rule is the tangent `t` times the partial derivative, for both modes. Where a factor could divide by a
Python number, `t` comes first: a tangent is always a NumPy value, so a zero gives inf instead of an exception.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from autodiff.core import UFUNCS, Boundary, constant, elementwise, install_method, install_operator

LOG2 = float(np.log(2.0))
LOG10 = float(np.log(10.0))
PI = float(np.pi)

# -- arithmetic ----------------------------------------------------------------------------------------------

add = elementwise(np.add, lambda t, _y, _a, _b: t, lambda t, _y, _a, _b: t, linear_args=(0, 1), jointly=True)
subtract = elementwise(
    np.subtract,
    lambda t, _y, _a, _b: t,
    lambda t, _y, _a, _b: -t,
    linear_args=(0, 1),
    jointly=True,
    joint_jvp=lambda ts, _y, _a, _b: ts[0] if ts[1] is None else -ts[1] if ts[0] is None else ts[0] - ts[1],
)
multiply = elementwise(np.multiply, lambda t, _y, _a, b: t * b, lambda t, _y, a, _b: t * a, linear_args=(0, 1))
divide = elementwise(
    np.divide,
    lambda t, _y, _a, b: t / b,
    lambda t, y, _a, b: -(t * y) / b,
    linear_args=(0,),
    domain=((-2.0, 2.0), (0.5, 2.0)),
)
negative = elementwise(np.negative, lambda t, _y, _x: -t, linear_args=(0,))
positive = elementwise(np.positive, lambda t, _y, _x: t, linear_args=(0,))


def _power_base(t: Any, _y: Any, a: Any, b: Any) -> Any:
    """``b * a**(b-1)``; exactly 0 for b = 0, also at a = 0."""
    if isinstance(b, (int, float)):  # the common constant exponents, without a transcendental function
        if b == 2:
            return t * 2 * a
        if b == 1:
            return t
        if b == 0:
            return t * 0
        if b == 3:
            return t * 3 * (a * a)
    safe = np.where(np.equal(b, 0), np.ones_like(b), b)
    return t * (b * np.power(a, safe - 1))


def _power_exponent(t: Any, y: Any, a: Any, _b: Any) -> Any:
    """``log(a) * a**b``; 0 at a = 0, where the limit from b > 0 is 0."""
    zero = np.equal(a, 0)
    return t * (np.log(np.where(zero, np.ones_like(a), a)) * y)


power = elementwise(
    np.power,
    _power_base,
    _power_exponent,
    domain=((0.5, 2.0), (-2.0, 2.0)),
    boundary=(
        Boundary((0.0, 2.0), (0.0, 0.0)),
        Boundary((0.0, 1.0), (1.0, 0.0)),
        Boundary((0.0, 0.0), (0.0, 0.0)),
        Boundary((-1.5, 2.0), (-3.0, np.nan)),
    ),
)
float_power = elementwise(np.float_power, _power_base, _power_exponent, domain=((0.5, 2.0), (-2.0, 2.0)))
square = elementwise(np.square, lambda t, _y, x: t * 2 * x)
reciprocal = elementwise(np.reciprocal, lambda t, y, _x: -(t * y) * y, domain=(0.5, 2.0))
sqrt = elementwise(np.sqrt, lambda t, y, _x: t * 0.5 / y, domain=(0.2, 2.0), boundary=(Boundary((0.0,), (np.inf,)),))
cbrt = elementwise(np.cbrt, lambda t, y, _x: t / (y * y) / 3, domain=(0.2, 2.0))
remainder = elementwise(
    np.remainder,
    lambda t, _y, _a, _b: t,
    lambda t, _y, a, b: -t * np.floor(a / b),
    domain=((1.2, 1.8), (0.9, 1.1)),
    name="remainder",
)
fmod = elementwise(
    np.fmod, lambda t, _y, _a, _b: t, lambda t, _y, a, b: -t * np.trunc(a / b), domain=((1.2, 1.8), (0.9, 1.1))
)

# -- exponentials and logarithms -----------------------------------------------------------------------------

exp = elementwise(np.exp, lambda t, y, _x: t * y)
exp2 = elementwise(np.exp2, lambda t, y, _x: t * y * LOG2)
expm1 = elementwise(np.expm1, lambda t, y, _x: t * (y + 1))
log = elementwise(np.log, lambda t, _y, x: t / x, domain=(0.2, 2.0), boundary=(Boundary((0.0,), (np.inf,)),))
log2 = elementwise(np.log2, lambda t, _y, x: t / x / LOG2, domain=(0.2, 2.0))
log10 = elementwise(np.log10, lambda t, _y, x: t / x / LOG10, domain=(0.2, 2.0))
log1p = elementwise(np.log1p, lambda t, _y, x: t / (x + 1), domain=(-0.5, 2.0))


def _share(a: Any, y: Any, base: Any) -> Any:
    """``exp(a - y)``: the share of one term in a log-sum-exp, also where both are infinite."""
    return base(np.where(np.equal(a, y), np.zeros_like(a), a - y))


logaddexp = elementwise(
    np.logaddexp,
    lambda t, y, a, _b: t * _share(a, y, np.exp),
    lambda t, y, _a, b: t * _share(b, y, np.exp),
    boundary=(Boundary((-np.inf, 0.0), (0.0, 1.0)),),
)
logaddexp2 = elementwise(
    np.logaddexp2, lambda t, y, a, _b: t * _share(a, y, np.exp2), lambda t, y, _a, b: t * _share(b, y, np.exp2)
)

# -- trigonometric and hyperbolic ----------------------------------------------------------------------------

sin = elementwise(np.sin, lambda t, _y, x: t * np.cos(x))
cos = elementwise(np.cos, lambda t, _y, x: -t * np.sin(x))
tan = elementwise(np.tan, lambda t, y, _x: t * (y * y + 1), domain=(-1.0, 1.0))
arcsin = elementwise(np.arcsin, lambda t, _y, x: t / np.sqrt(1 - x * x), domain=(-0.8, 0.8))
arccos = elementwise(np.arccos, lambda t, _y, x: -t / np.sqrt(1 - x * x), domain=(-0.8, 0.8))
arctan = elementwise(np.arctan, lambda t, _y, x: t / (x * x + 1))
arctan2 = elementwise(
    np.arctan2,
    lambda t, _y, a, b: t * b / (a * a + b * b),
    lambda t, _y, a, b: -t * a / (a * a + b * b),
    domain=((-2.0, 2.0), (0.5, 2.0)),
)
hypot = elementwise(
    np.hypot,
    lambda t, y, a, _b: t * (a / np.where(np.equal(y, 0), np.ones_like(y), y)),
    lambda t, y, _a, b: t * (b / np.where(np.equal(y, 0), np.ones_like(y), y)),
    domain=(0.5, 2.0),
    boundary=(Boundary((0.0, 0.0), (0.0, 0.0)),),
)
sinh = elementwise(np.sinh, lambda t, _y, x: t * np.cosh(x))
cosh = elementwise(np.cosh, lambda t, _y, x: t * np.sinh(x))
tanh = elementwise(np.tanh, lambda t, y, _x: t * (1 - y * y))
arcsinh = elementwise(np.arcsinh, lambda t, _y, x: t / np.sqrt(x * x + 1))
arccosh = elementwise(np.arccosh, lambda t, _y, x: t / np.sqrt((x - 1) * (x + 1)), domain=(1.2, 2.0))
arctanh = elementwise(np.arctanh, lambda t, _y, x: t / (1 - x * x), domain=(-0.8, 0.8))
deg2rad = elementwise(np.deg2rad, lambda t, _y, _x: t * (PI / 180), linear_args=(0,))
rad2deg = elementwise(np.rad2deg, lambda t, _y, _x: t * (180 / PI), linear_args=(0,))
radians = elementwise(np.radians, lambda t, _y, _x: t * (PI / 180), linear_args=(0,))
degrees = elementwise(np.degrees, lambda t, _y, _x: t * (180 / PI), linear_args=(0,))

# -- absolute value, sign, choice ----------------------------------------------------------------------------

absolute = elementwise(
    np.absolute,
    lambda t, _y, x: np.real(t * np.conj(np.sign(x))),
    transposes=(lambda ct, _y, x: ct * np.conj(np.sign(x)),),
    domain=(0.2, 2.0),
    boundary=(Boundary((0.0,), (0.0,)), Boundary((-1.0,), (-1.0,))),
)
fabs = elementwise(
    np.fabs, lambda t, _y, x: t * np.sign(x), domain=(0.2, 2.0), boundary=(Boundary((0.0,), (0.0,)),)
)
copysign = elementwise(
    np.copysign,
    lambda t, _y, a, b: t * np.sign(a) * np.copysign(1.0, b).astype(t.dtype),
    lambda t, _y, _a, _b: t * 0,
    domain=((0.2, 2.0), (0.2, 2.0)),
)


def _chosen(t: Any, a: Any, b: Any) -> Any:
    """All of the tangent, or half of it at a tie."""
    tie = np.equal(a, b)
    return np.where(tie, t * 0.5, t) if np.any(tie) is not np.False_ else t


maximum = elementwise(
    np.maximum,
    lambda t, _y, a, b: _chosen(t, a, b),
    lambda t, _y, a, b: _chosen(t, a, b),
    marks=(lambda _y, a, b: np.less(a, b), lambda _y, a, b: np.less(b, a)),
    domain=((0.0, 1.0), (1.2, 2.0)),
    boundary=(Boundary((1.0, 1.0), (0.5, 0.5)), Boundary((2.0, 1.0), (1.0, 0.0))),
)
minimum = elementwise(
    np.minimum,
    lambda t, _y, a, b: _chosen(t, a, b),
    lambda t, _y, a, b: _chosen(t, a, b),
    marks=(lambda _y, a, b: np.greater(a, b), lambda _y, a, b: np.greater(b, a)),
    domain=((0.0, 1.0), (1.2, 2.0)),
    boundary=(Boundary((1.0, 1.0), (0.5, 0.5)), Boundary((2.0, 1.0), (0.0, 1.0))),
)
fmax = elementwise(
    np.fmax,
    lambda t, _y, a, b: _chosen(t, a, b),
    lambda t, _y, a, b: _chosen(t, a, b),
    marks=(
        lambda _y, a, b: np.logical_or(np.less(a, b), np.isnan(a)),
        lambda _y, a, b: np.logical_or(np.less(b, a), np.isnan(b)),
    ),
    domain=((0.0, 1.0), (1.2, 2.0)),
    boundary=(Boundary((1.0, np.nan), (1.0, 0.0)),),
)
fmin = elementwise(
    np.fmin,
    lambda t, _y, a, b: _chosen(t, a, b),
    lambda t, _y, a, b: _chosen(t, a, b),
    marks=(
        lambda _y, a, b: np.logical_or(np.greater(a, b), np.isnan(a)),
        lambda _y, a, b: np.logical_or(np.greater(b, a), np.isnan(b)),
    ),
    domain=((0.0, 1.0), (1.2, 2.0)),
    boundary=(Boundary((1.0, np.nan), (1.0, 0.0)),),
)

# -- complex numbers: linear over the reals ------------------------------------------------------------------

conjugate = elementwise(np.conjugate, lambda t, _y, _x: np.conjugate(t), linear_args=(0,))

# -- derivative zero: comparisons, predicates, rounding ------------------------------------------------------

for _ufunc in (
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
    *(np.isfinite, np.isinf, np.isnan, np.signbit),
    *(np.logical_and, np.logical_or, np.logical_xor, np.logical_not),
    *(np.floor, np.ceil, np.trunc, np.rint, np.sign, np.floor_divide, np.heaviside, np.spacing),
    *(np.nextafter,),
):
    constant(_ufunc)


# -- operators -----------------------------------------------------------------------------------------------
# An operator on Python numbers keeps them Python numbers (and so weakly typed); the ufunc would not.

for _name, _op, _function in (
    ("add", add, operator.add),
    ("sub", subtract, operator.sub),
    ("mul", multiply, operator.mul),
    ("truediv", divide, operator.truediv),
    ("pow", power, operator.pow),
    ("mod", remainder, operator.mod),
):
    install_operator(_name, _op.variant(_function))

for _name, _function in (
    ("eq", operator.eq),
    ("ne", operator.ne),
    ("lt", operator.lt),
    ("le", operator.le),
    ("gt", operator.gt),
    ("ge", operator.ge),
    ("floordiv", operator.floordiv),
):
    _ufunc = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater}.get(
        _name, np.greater_equal if _name == "ge" else np.floor_divide
    )
    install_operator(_name, UFUNCS[_ufunc].variant(_function), reflected=_name == "floordiv")

install_method("__neg__", negative.variant(operator.neg))
install_method("__pos__", positive.variant(operator.pos))
install_method("__abs__", absolute.variant(operator.abs))
install_method("__divmod__", lambda a, b: (a // b, a % b))
install_method("__rdivmod__", lambda a, b: (b // a, b % a))
install_method("__round__", lambda a, ndigits=0: np.round(a, ndigits))
