"""Elementwise operations: every ufunc of NumPy that has a derivative, and those whose derivative is zero.

Each rule is the tangent `t` times the partial derivative, for both modes. Where a factor could divide by a
Python number, `t` comes first: a tangent is always a NumPy value, so a zero gives inf instead of an exception.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core import (
    UFUNCS,
    Boundary,
    Operation,
    Sample,
    constant,
    elementwise,
    install_method,
    install_operator,
)
from autodiff.core.scaled import added, negated, subtracted, times, twice
from autodiff.core.spec import dtype_of
from autodiff.ops.kinks import jump

if TYPE_CHECKING:
    from collections.abc import Callable

LOG2 = math.log(2.0)
LOG10 = math.log(10.0)
PI = math.pi

# -- arithmetic ----------------------------------------------------------------------------------------------

add = elementwise(
    np.add,
    lambda t, _y, _a, _b: t,
    lambda t, _y, _a, _b: t,
    linear_args=(0, 1),
    jointly=True,
    joint_jvp=lambda ts, _y, _a, _b: ts[0] if ts[1] is None else ts[1] if ts[0] is None else added(ts[0], ts[1]),
)
subtract = elementwise(
    np.subtract,
    lambda t, _y, _a, _b: t,
    lambda t, _y, _a, _b: negated(t),
    linear_args=(0, 1),
    jointly=True,
    joint_jvp=lambda ts, _y, _a, _b: (
        ts[0] if ts[1] is None else negated(ts[1]) if ts[0] is None else subtracted(ts[0], ts[1])
    ),
)
multiply = elementwise(
    np.multiply,
    lambda t, _y, _a, b: t * b if type(t) is type(b) else times(t, b),  # two arrays need no second look
    lambda t, _y, a, _b: t * a if type(t) is type(a) else times(t, a),
    linear_args=(0, 1),
)
divide = elementwise(
    np.divide,
    lambda t, _y, _a, b: t / b,
    lambda t, y, _a, b: -(t * y) / b,
    linear_args=(0,),
    domain=((-2.0, 2.0), (0.5, 2.0)),
)
negative = elementwise(np.negative, lambda t, _y, _x: negated(t), linear_args=(0,))
positive = elementwise(np.positive, lambda t, _y, _x: t, linear_args=(0,))


def _known(b: Any) -> Any:
    """Return the value of an exponent that is one real constant, else None."""
    if type(b) in {int, float}:
        return b
    if isinstance(b, (np.integer, np.floating)) or (type(b) is np.ndarray and not b.shape and b.dtype.kind in "if"):
        return b.item()
    return None


#: ``a**n`` without a transcendental function.
_PRODUCTS: dict[int, Callable[[Any], Any]] = {
    2: np.square,
    3: lambda a: np.square(a) * a,
    4: lambda a: np.square(np.square(a)),
}


def _constant_power(t: Any, a: Any, b: Any) -> Any:
    """``t * b * a**(b - 1)`` for a known number `b`; in single expressions, whose temporaries NumPy reuses."""
    if b == 2:
        return twice(t, a)
    if b == 1:
        return t
    if b == 0:
        return np.zeros_like(t)
    if b - 1 in _PRODUCTS:
        return t * b * _PRODUCTS[int(b) - 1](a)
    if 1 - b in _PRODUCTS:
        return t * b * _PRODUCTS[1 - int(b)](np.reciprocal(a))
    if b == 0.5:
        return t * 0.5 / np.sqrt(a)
    if b == 1.5:
        return t * 1.5 * np.sqrt(a)
    return t * b * np.power(a, b - 1)


def _log_power_value(a: Any, b: Any, k: Any) -> Any:
    """``a**b * log(a)**k``, and its limit at a = 0."""
    y = np.power(a, b)
    if type(k) is int and k == 0:
        return y
    if dtype_of(y).kind == "c" and dtype_of(a).kind != "c":
        a = a + 0j
    zero = np.equal(a, 0)
    limit = np.where(np.greater(np.real(b), 0), 0.0, np.where(np.equal(np.remainder(k, 2), 0), np.inf, -np.inf)[()])
    return np.where(zero, limit, y * np.log(np.where(zero, 1, a)) ** k).astype(y.dtype)[()]


def _log_power_base(t: Any, _y: Any, a: Any, b: Any, k: Any) -> Any:
    first = _corner(a, b, jump(b), b * _log_power(a, b - 1, k))
    return t * (first if type(k) is int and k == 0 else first + k * _log_power(a, b - 1, k - 1))


# The derivatives of a power of every order are sums of these: closed under both partial derivatives.
_log_power: Operation = elementwise(
    _log_power_value,
    _log_power_base,
    lambda t, _y, a, b, k: t * _log_power(a, b, k + 1),
    None,
    name="log_power",
    samples=lambda rng: [
        Sample((rng.uniform(0.5, 2.0, size=s), rng.uniform(-2.0, 2.0, size=s), k))
        for s in ((3, 4), ())
        for k in (0, 1, 2)
    ],
)


def _corner(a: Any, b: Any, zero: Any, elsewhere: Any) -> Any:
    """Return `zero` at a = b = 0, where ``a**b`` has no derivative by b: 0 by convention, and NaN for the next."""
    return np.where(np.logical_and(np.equal(a, 0), np.equal(b, 0)), zero, elsewhere)


def _power_base(t: Any, _y: Any, a: Any, b: Any) -> Any:
    """``b * a**(b-1)``; 0 for b = 0, also at a = 0."""
    known = _known(b)
    if known is not None:
        return _constant_power(t, a, known)
    return _log_power_base(t, _y, a, b, 0)


def _power_exponent(t: Any, y: Any, a: Any, b: Any) -> Any:
    """``log(a) * a**b``; at a = 0 its limit, which is 0 for b > 0."""
    if type(a) in {int, float} and a > 0:
        return t * y * math.log(a)
    return t * _corner(a, b, jump(a + b), _log_power(a, b, 1))


power = elementwise(
    np.power,
    _power_base,
    _power_exponent,
    domain=((0.5, 2.0), (-2.0, 2.0)),
    boundary=(
        Boundary((0.0, 2.0), (0.0, 0.0)),
        Boundary((0.0, 1.0), (1.0, 0.0)),
        Boundary((0.0, 0.0), (0.0, 0.0)),
        Boundary((0.0, 0.5), (np.inf, 0.0)),
        Boundary((0.0, -1.0), (-np.inf, -np.inf)),
        Boundary((2.0, 0.0), (0.0, LOG2)),
        Boundary((-1.5, 2.0), (-3.0, np.nan)),
        Boundary((-1.5, 0.0), (0.0, np.nan)),
    ),
)
float_power = elementwise(np.float_power, _power_base, _power_exponent, domain=((0.5, 2.0), (-2.0, 2.0)))
square = elementwise(np.square, lambda t, _y, x: twice(t, x))
reciprocal = elementwise(np.reciprocal, lambda t, y, _x: -(t * y) * y, domain=(0.5, 2.0))
sqrt = elementwise(np.sqrt, lambda t, y, _x: t * 0.5 / y, domain=(0.2, 2.0), boundary=(Boundary((0.0,), (np.inf,)),))
cbrt = elementwise(np.cbrt, lambda t, y, _x: t / (y * y) / 3, domain=(0.2, 2.0))
remainder = elementwise(
    np.remainder,
    lambda t, _y, _a, _b: t,
    lambda t, _y, a, b: -t * np.floor_divide(a, b),
    domain=((1.2, 1.8), (0.9, 1.1)),
    name="remainder",
)
fmod = elementwise(
    np.fmod,
    lambda t, _y, _a, _b: t,
    lambda t, y, a, b: -t * np.rint((a - y) / b),  # a - y is a whole multiple of b
    domain=((1.2, 1.8), (0.9, 1.1)),
)
ldexp = elementwise(
    np.ldexp,
    lambda t, _y, _x, i: np.ldexp(t, i),
    None,
    linear_args=(0,),
    samples=lambda rng: [
        Sample((rng.uniform(-2.0, 2.0, shape), rng.integers(-3, 4, other)))
        for shape, other in (((3, 4), (3, 4)), ((), ()), ((2, 1), (3,)), ((0,), (1,)))
    ],
)
_mantissa = elementwise(
    lambda x: np.frexp(x)[0], lambda t, _y, x: np.ldexp(t, -np.frexp(x)[1]), name="frexp", domain=(0.55, 0.95)
)
_fraction = elementwise(lambda x: np.modf(x)[0], lambda t, _y, _x: t, name="modf", domain=(1.1, 1.9))
_exponent = constant(lambda x: np.frexp(x)[1], name="frexp_exponent")

# -- exponentials and logarithms -----------------------------------------------------------------------------

exp = elementwise(np.exp, lambda t, y, _x: t * y)
exp2 = elementwise(np.exp2, lambda t, y, _x: t * y * LOG2)
expm1 = elementwise(np.expm1, lambda t, _y, x: t * np.exp(x))
log = elementwise(np.log, lambda t, _y, x: t / x, domain=(0.2, 2.0), boundary=(Boundary((0.0,), (np.inf,)),))
log2 = elementwise(np.log2, lambda t, _y, x: t / LOG2 / x, domain=(0.2, 2.0))
log10 = elementwise(np.log10, lambda t, _y, x: t / LOG10 / x, domain=(0.2, 2.0))
log1p = elementwise(np.log1p, lambda t, _y, x: t / (x + 1), domain=(-0.5, 2.0))


def _share(t: Any, y: Any, a: Any, b: Any, base: Any) -> Any:
    """``t * exp(a - y)``: the share of the term `a` in a log-sum-exp; two equal infinite terms have half each."""
    infinite = np.isinf(y)
    whole = np.logical_and(infinite, np.equal(a, y))  # here a - y would be NaN
    share = t * base(np.where(whole, np.zeros_like(y), a - y))
    return np.where(np.logical_and(infinite, np.equal(a, b)), share * 0.5, share)


logaddexp = elementwise(
    np.logaddexp,
    lambda t, y, a, b: _share(t, y, a, b, np.exp),
    lambda t, y, a, b: _share(t, y, b, a, np.exp),
    boundary=(
        Boundary((-np.inf, 0.0), (0.0, 1.0)),
        Boundary((np.inf, 0.0), (1.0, 0.0)),
        Boundary((np.inf, -np.inf), (1.0, 0.0)),
        Boundary((-np.inf, -np.inf), (0.5, 0.5)),
        Boundary((np.inf, np.inf), (0.5, 0.5)),
        Boundary((1000.0, 0.0), (1.0, 0.0)),
        Boundary((2.0, 2.0), (0.5, 0.5)),
    ),
)
logaddexp2 = elementwise(
    np.logaddexp2,
    lambda t, y, a, b: _share(t, y, a, b, np.exp2),
    lambda t, y, a, b: _share(t, y, b, a, np.exp2),
    boundary=(Boundary((-np.inf, 0.0), (0.0, 1.0)), Boundary((-np.inf, -np.inf), (0.5, 0.5))),
)

# -- trigonometric and hyperbolic ----------------------------------------------------------------------------

sin = elementwise(np.sin, lambda t, _y, x: t * np.cos(x))
cos = elementwise(np.cos, lambda t, _y, x: -t * np.sin(x))
tan = elementwise(np.tan, lambda t, y, _x: t * (y * y + 1), domain=(-1.0, 1.0))


def _arc_root(x: Any) -> Any:
    """Root of ``1 - x**2``; on a cut of complex numbers, where the sign of a zero decides, on the side of `x`."""
    return np.sqrt((1 - x) * (1 + x) if dtype_of(x).kind != "c" else -(x - 1) * (x - (-1)))


arcsin = elementwise(np.arcsin, lambda t, _y, x: t / _arc_root(x), domain=(-0.8, 0.8))
arccos = elementwise(np.arccos, lambda t, _y, x: -t / _arc_root(x), domain=(-0.8, 0.8))
arctan = elementwise(np.arctan, lambda t, _y, x: t / (x * x + 1))
arctan2 = elementwise(
    np.arctan2,
    lambda t, _y, a, b: _arctan2(t, b, np.hypot(a, b)),
    lambda t, _y, a, b: -_arctan2(t, a, np.hypot(a, b)),
    domain=((-2.0, 2.0), (0.5, 2.0)),
    boundary=(
        Boundary((0.0, 0.0), (np.nan, np.nan)),
        Boundary((0.0, 2.0), (0.5, 0.0)),
        Boundary((2.0, 0.0), (0.0, -0.5)),
        Boundary((1e-200, 0.0), (0.0, -1e200)),
    ),
)


def _arctan2(t: Any, other: Any, r: Any) -> Any:
    """``other / r**2``, where the square may be too large or too small for a float."""
    return t * (other / r) / r


def _cosine(t: Any, y: Any, x: Any) -> Any:
    """``x / hypot``, and 0 at the origin."""
    zero = np.equal(y, 0)
    return t * np.where(zero, np.zeros_like(y), x / np.where(zero, np.ones_like(y), y))


hypot = elementwise(
    np.hypot,
    lambda t, y, a, _b: _cosine(t, y, a),
    lambda t, y, _a, b: _cosine(t, y, b),
    domain=(0.5, 2.0),
    boundary=(
        Boundary((0.0, 0.0), (0.0, 0.0)),
        Boundary((3e-200, 4e-200), (0.6, 0.8)),
        Boundary((-2.0, 0.0), (-1.0, 0.0)),
    ),
)
sinh = elementwise(np.sinh, lambda t, _y, x: t * np.cosh(x))
cosh = elementwise(np.cosh, lambda t, _y, x: t * np.sinh(x))
tanh = elementwise(np.tanh, lambda t, y, _x: t * (1 - y * y))
# Here - (-1) keeps the sign of an imaginary zero, and + 1 does not: it is the side of the branch cut.
arcsinh = elementwise(np.arcsinh, lambda t, _y, x: t / np.sqrt(x * x - (-1)))
arccosh = elementwise(np.arccosh, lambda t, _y, x: t / (np.sqrt(x - 1) * np.sqrt(x - (-1))), domain=(1.2, 2.0))
arctanh = elementwise(np.arctanh, lambda t, _y, x: t / ((1 - x) * (1 + x)), domain=(-0.8, 0.8))
deg2rad = elementwise(np.deg2rad, lambda t, _y, _x: t * (PI / 180), linear_args=(0,))
rad2deg = elementwise(np.rad2deg, lambda t, _y, _x: t * (180 / PI), linear_args=(0,))
radians = elementwise(np.radians, lambda t, _y, _x: t * (PI / 180), linear_args=(0,))
degrees = elementwise(np.degrees, lambda t, _y, _x: t * (180 / PI), linear_args=(0,))

# -- absolute value, sign, choice ----------------------------------------------------------------------------


def _unit(x: Any) -> Any:
    """The conjugate of ``sign(x)``, without arithmetic on real numbers."""
    return np.conjugate(np.sign(x)) if dtype_of(x).kind == "c" else np.sign(x)


absolute = elementwise(
    np.absolute,
    lambda t, _y, x: np.real(t * _unit(x)),
    transposes=(lambda ct, _y, x: ct * _unit(x),),
    domain=(0.2, 2.0),
    boundary=(Boundary((0.0,), (0.0,)), Boundary((-1.0,), (-1.0,))),
)
fabs = elementwise(np.fabs, lambda t, _y, x: t * np.sign(x), domain=(0.2, 2.0), boundary=(Boundary((0.0,), (0.0,)),))
_sign = constant(np.sign)


def sign(x: Any, /) -> Any:
    """Sign of a real number, a constant; for a complex one ``x / abs(x)``, which is none."""
    if dtype_of(x).kind != "c":
        return _sign(x)
    r = np.absolute(x)
    zero = np.equal(r, 0)
    return np.where(zero, np.zeros_like(x), x / np.where(zero, np.ones_like(r), r))


UFUNCS[np.sign] = sign


def _same_sign(t: Any, a: Any, b: Any) -> Any:
    """``abs'(a)``, with the sign of `b`."""
    t = t * np.sign(a)
    return np.where(np.signbit(b), -t, t)


copysign = elementwise(
    np.copysign,
    lambda t, _y, a, b: _same_sign(t, a, b),
    lambda t, _y, _a, _b: np.zeros_like(t),
    domain=((0.2, 2.0), (0.2, 2.0)),
    boundary=(
        Boundary((0.0, 1.0), (0.0, 0.0)),
        Boundary((2.0, -0.0), (-1.0, 0.0)),
        Boundary((-2.0, -1.0), (1.0, 0.0)),
    ),
)
nextafter = elementwise(
    np.nextafter, lambda t, _y, _a, _b: t, lambda t, _y, _a, _b: np.zeros_like(t), domain=((0.2, 1.0), (1.5, 2.0))
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

conjugate = elementwise(
    np.conjugate, lambda t, _y, _x: np.conjugate(t) if dtype_of(t).kind == "c" else t, linear_args=(0,)
)

# -- derivative zero: comparisons, predicates, rounding ------------------------------------------------------

for _ufunc in (
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
    *(np.isfinite, np.isinf, np.isnan, np.signbit, np.isnat),
    *(np.logical_and, np.logical_or, np.logical_xor, np.logical_not),
    *(np.floor, np.ceil, np.trunc, np.rint, np.floor_divide, np.spacing),
    # Those of integers and booleans alone: they meet traced values only where shapes are traced.
    *(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift, np.bitwise_count),
):
    constant(_ufunc)


def _step_value(x: Any) -> Any:
    """0 or 1, or NaN; of a Python number such a number, which decides no dtype."""
    return float(np.heaviside(x, 0.0)) if type(x) in {int, float} else np.heaviside(x, 0.0).astype(dtype_of(x))


_step = constant(_step_value, name="heaviside")


def heaviside(x1: Any, x2: Any, /) -> Any:
    """The step function; at the step it is the second argument, the only one with a derivative."""
    return np.where(np.equal(x1, 0), x2, _step(x1))


UFUNCS[np.heaviside] = heaviside
UFUNCS[np.divmod] = lambda a, b, /: (np.floor_divide(a, b), np.remainder(a, b))
UFUNCS[np.frexp] = lambda x, /: (_mantissa(x), _exponent(x))
UFUNCS[np.modf] = lambda x, /: (_fraction(x), np.trunc(x))

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

for _name, _ufunc in (
    ("eq", np.equal),
    ("ne", np.not_equal),
    ("lt", np.less),
    ("le", np.less_equal),
    ("gt", np.greater),
    ("ge", np.greater_equal),
    ("floordiv", np.floor_divide),
    ("and", np.bitwise_and),
    ("or", np.bitwise_or),
    ("xor", np.bitwise_xor),
    ("lshift", np.left_shift),
    ("rshift", np.right_shift),
):
    comparison = _ufunc in {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal}
    _function = getattr(operator, f"{_name}_" if _name in {"and", "or"} else _name)
    install_operator(_name, UFUNCS[_ufunc].variant(_function), reflected=not comparison)  # type: ignore[attr-defined]

install_method("__invert__", np.invert)
install_method("__neg__", negative.variant(operator.neg))
install_method("__pos__", positive.variant(operator.pos))
install_method("__abs__", absolute.variant(operator.abs))
install_method("__divmod__", lambda a, b: (a // b, a % b))
install_method("__rdivmod__", lambda a, b: (b // a, b % a))
