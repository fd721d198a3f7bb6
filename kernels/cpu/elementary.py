"""Elementary functions of one number, to be inlined into the kernels that call them.

`exp`, `expm1`, `log`, `log1p`, `tanh`, `sigmoid`, `softplus`, `erf`: each takes a float32 or float64 and returns the
same type; `from kernels.cpu import elementary`, then `elementary.exp(x[i])` in a `@kernel`. A loop over contiguous
arrays that calls them is vectorised by LLVM if its indices cannot be negative (loop over `range(x.size)` of a slice).
They keep their own rounding: a caller's fast-math flags do not reach them.

Everything is a reduction of the argument by exact steps, a polynomial (`kernels.cpu.polynomials`) and a
reconstruction, after the general scheme in Muller, "Elementary Functions: Algorithms and Implementation" (Birkhäuser).
NaN goes through, infinities and signed zeros give the limits, subnormal arguments and results are exact to rounding.
`kernels.cpu.elementwise` states the errors.
"""

from __future__ import annotations

import math

import numpy as np
from numba.core import config

from kernels.cpu import polynomials as table
from kernels.cpu.jit import kernel

if config.DISABLE_JIT:
    from kernels.cpu.elementary_plain import (
        constant,
        exponent,
        is_single,
        magnitude,
        mantissa,
        multiply_add,
        polynomial,
        polynomial_of,
        power_of_two,
        scale,
        select,
        with_sign,
    )  # fmt: skip

    device = np.errstate(all="ignore")
else:
    from kernels.cpu.elementary_llvm import (
        constant,
        exponent,
        is_single,
        magnitude,
        mantissa,
        multiply_add,
        polynomial,
        polynomial_of,
        power_of_two,
        scale,
        select,
        with_sign,
    )  # fmt: skip

    device = kernel(inline=True)

__all__ = ["erf", "exp", "expm1", "log", "log1p", "sigmoid", "softplus", "tanh"]

zero, half, one, two = constant(0.0), constant(0.5), constant(1.0), constant(2.0)
infinity, not_a_number = constant(math.inf), constant(math.nan)
shift = constant(1.5 * 2.0**23, 1.5 * 2.0**52)

# ln 2 in two parts: the first has so few bits that its product with an exponent is exact.
per_ln2 = constant(1.442695, 1.4426950408889634)
ln2_high = constant(0.693115234375, 0.693147180559663)
ln2_low = constant(3.1946183e-05, 2.8235290563031577e-13)

exp_lowest = constant(-104.0, -746.0)  # below, exp is 0 when rounded
exp_highest = constant(89.0, 710.0)  # above, it is infinite
expm1_lowest = constant(-18.0, -40.0)  # below, expm1 is -1 when rounded
negligible = constant(2.0**-64)  # expm1 is x when rounded
tanh_end = constant(9.1, 19.1)  # above, tanh is 1 when rounded
erf_end = constant(3.93, 5.93)
erf_split = constant(1.0, 1.25)
smallest_normal = constant(2.0**-126, 2.0**-1022)
largest_inverse = constant(126.0, 1022.0)
root_two = constant(2.0**0.5)
log_scale = constant(2.0**24, 2.0**53)
log_scale_exponent = constant(24.0, 53.0)

exp_polynomial = polynomial(table.EXP_F32, table.EXP_F64)
log_polynomial = polynomial(table.LOG_RATIO_F32, table.LOG_RATIO_F64)
erf_polynomial = polynomial_of(table.ERF_SMALL_F32, table.ERF_SMALL_F64, table.ERF_LARGE_F32, table.ERF_LARGE_F64)


@device
def whole_powers(x):
    """Return the shifted integer n that is nearest to x / ln 2."""
    return multiply_add(x, per_ln2(x), shift(x))


@device
def remainder(x, shifted):
    """Return x - n ln 2 for a shifted integer n."""
    n = shifted - shift(x)
    return multiply_add(-n, ln2_low(x), multiply_add(-n, ln2_high(x), x))


@device
def exp_remainder(r):
    """Return e^r for |r| <= ln(2) / 2."""
    return one(r) + multiply_add(r * r, exp_polynomial(r), r)


@device
def expm1_halves(x):
    """Return (e^x - 1) / 2 for an x that does not overflow by far."""
    shifted = whole_powers(x)
    n = shifted - shift(x)
    high = multiply_add(-n, ln2_high(x), x)
    r = multiply_add(-n, ln2_low(x), high)
    power = power_of_two(shifted - one(x))  # half of 2^n, which need not be a number
    start = power - half(x)
    linear = multiply_add(power, r, start)
    p = exp_polynomial(r)
    if is_single(x):  # its errors stay below 2 ulp as they are
        return multiply_add(power, r * r * p, linear)
    r_rest = multiply_add(-n, ln2_low(x), high - r)
    linear_rest = multiply_add(power, r, start - linear)
    return linear + multiply_add(power, multiply_add(r * r, p, r_rest), linear_rest)


@device
def exp_not_large(x):
    """Return e^x for an x that does not overflow by far."""
    x = select(x < exp_lowest(x), exp_lowest(x), x)
    n = whole_powers(x)
    return scale(exp_remainder(remainder(x, n)), n)


@device
def exp(x):
    """Return e^x."""
    return exp_not_large(select(x > exp_highest(x), exp_highest(x), x))


@device
def expm1(x):
    """Return e^x - 1."""
    y = select(x > exp_highest(x), exp_highest(x), x)
    y = select(y < expm1_lowest(x), expm1_lowest(x), y)
    return select(magnitude(x) < negligible(x), x, two(x) * expm1_halves(y))  # half a subnormal number is inexact


@device
def log_near_one(f, k):
    """Return log(1 + f) + k ln 2, for 1 + f in [sqrt(1/2), sqrt(2))."""
    s = f / (two(f) + f)
    z = s * s
    small = multiply_add(-k, ln2_low(f), s * (f - z * log_polynomial(z)))
    return multiply_add(k, ln2_high(f), f - small)


@device
def log_limits(y, x):
    """Return y where x is positive and finite, else the limit of log at x."""
    y = select(x < infinity(x), y, x)
    return select(x > zero(x), y, select(x == zero(x), -infinity(x), not_a_number(x)))


@device
def log(x):
    """Return the natural logarithm of x: -inf for 0, NaN below."""
    subnormal = x < smallest_normal(x)
    y = select(subnormal, x * log_scale(x), x)
    k = exponent(y) - select(subnormal, log_scale_exponent(x), zero(x))
    return log_limits(log_near_one(mantissa(y) - one(x), k), x)


@device
def log1p(x):
    """Return log(1 + x): -inf for -1, NaN below."""
    y = one(x) + x
    lost = x - (y - one(x))
    k = exponent(y)
    unit = power_of_two(shift(x) - select(k > largest_inverse(x), largest_inverse(x), k))  # 2^-k
    f = multiply_add(lost, unit, mantissa(y) - one(x))
    return with_sign(log_limits(log_near_one(f, k), y), x)


@device
def softplus(x):
    """Return log(1 + e^x)."""
    e = exp_not_large(-magnitude(x))
    halved = e > root_two(x) - one(x)
    y = log_near_one(select(halved, half(x) * (e - one(x)), e), select(halved, one(x), zero(x)))
    return select(x > zero(x), x, zero(x)) + y


@device
def tanh(x):
    """Return the hyperbolic tangent of x."""
    y = two(x) * magnitude(x)
    y = select(y > two(x) * tanh_end(x), two(x) * tanh_end(x), y)
    h = expm1_halves(y)
    u = select(h > one(x), one(x), h)  # h / (1 + h), as 1 - 1 / (1 + h) or h - h (h / (1 + h))
    return with_sign(multiply_add(-u, u / (one(x) + h), u), x)


@device
def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    e = exp_not_large(-magnitude(x))
    q = e / (one(x) + e)
    return select(x < zero(x), select(e < half(x), multiply_add(-e, q, e), q), one(x) - q)


@device
def erf(x):
    """Return the error function of x."""
    y = magnitude(x)
    y = select(y > erf_end(x), erf_end(x), y)
    small = y < erf_split(x)
    p = erf_polynomial(small, select(small, y * y, y))
    n = whole_powers(p)
    tail = power_of_two(n) * exp_remainder(remainder(p, n))
    return with_sign(select(small, multiply_add(y, p, y), one(x) - tail), x)
