"""The error function and its kin, the normal distribution function, Dawson's integral, the Voigt profile.

The derivatives of `erfcx` and `dawsn` are families of their own, computed without the cancellation of
``2 x erfcx(x) - 2 / sqrt(pi)``: so the far tail of `log_ndtr` is right at every order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sc

from autodiff.core import Boundary, Operation, elementwise
from autodiff.ops.activations import _erf, _sigmoid
from autodiff.scipy.special._common import alias, draws, narrow, ordered, several

__all__: list[str] = []

ROOT_PI = math.sqrt(math.pi)
ROOT_2 = math.sqrt(2)

# -- scaled: derivative n of exp(x**2) erfc(x) ---------------------------------------------------------------


@ordered
def _erfcx_value(x: Any, n: int) -> Any:
    """By the recurrence near 0; to the right, where it cancels, by the continued fraction for the ratios.

    With i^n erfc the repeated integrals, the derivative is (-2)**n n! exp(x**2) i^n erfc(x), and these are the
    minimal solution of i^(k-2) erfc = 2 k i^k erfc + 2 x i^(k-1) erfc (DLMF 7.18.7).
    """
    y = np.asarray(sc.erfcx(x))
    if n == 0:
        return y[()]
    wide = np.asarray(x, np.result_type(y, np.float64))
    before, now = sc.erfcx(wide), 2 * wide * sc.erfcx(wide) - 2 / ROOT_PI
    for k in range(1, n):
        before, now = now, 2 * wide * now + 2 * k * before
    right = wide.real > 2
    if not np.any(right):
        return narrow(now, x)
    z = np.where(right, wide, 3.0)
    ratio = np.zeros_like(z)
    product = sc.erfcx(z)
    for k in range(n + 60, -1, -1):  # the ratio of i^(k+1) erfc to i^k erfc
        ratio = 1 / (2 * z + 2 * (k + 2) * ratio)
        if k < n:
            product = product * (-2 * (k + 1)) * ratio
    return narrow(np.where(right, product, now), x)


_erfcx: Operation = elementwise(
    _erfcx_value,
    lambda t, _y, x, n: t * _erfcx(x, n + 1),
    None,
    name="erfcx",
    samples=several(draws((-1.0, 4.0), 0), draws((1.0, 6.0), 2, shapes=((3,),))),
)
alias(sc.erfcx, lambda x: _erfcx(x, 0))


# -- Dawson's integral: derivative n ---------------------------------------------------------------------------


@ordered
def _dawsn_value(x: Any, n: int) -> Any:
    """By the recurrence, and for large real numbers by the asymptotic series, derived term by term."""
    y = np.asarray(sc.dawsn(x))
    if n == 0:
        return y[()]
    wide = np.asarray(x, np.result_type(y, np.float64))
    before, now = sc.dawsn(wide), 1 - 2 * wide * sc.dawsn(wide)
    for k in range(1, n):
        before, now = now, -2 * wide * now - 2 * k * before
    if wide.dtype.kind == "c":
        return narrow(now, x)
    far = np.abs(wide) > 7 + n / 2
    z = np.where(far, wide, 10.0)
    series, term = np.zeros_like(z), (-1) ** n * math.factorial(n) * 0.5 * z ** -(n + 1.0)
    for k in range(26):
        series = series + term
        term = term * (2 * k + 1 + n) * (2 * k + 2 + n) / ((2 * k + 2) * 2 * z * z)
    return narrow(np.where(far, series, now), x)


_dawsn: Operation = elementwise(
    _dawsn_value,
    lambda t, _y, x, n: t * _dawsn(x, n + 1),
    None,
    name="dawsn",
    samples=several(draws((-2.0, 2.0), 0), draws((-3.0, 9.0), 1, shapes=((3,),))),
)
alias(sc.dawsn, lambda x: _dawsn(x, 0))

# -- the error function ----------------------------------------------------------------------------------------

alias(sc.erf, _erf)
alias(sc.expit, _sigmoid)
elementwise(sc.erfc, lambda t, _y, x: t * np.exp(-x * x) * (-2 / ROOT_PI))
elementwise(sc.erfi, lambda t, _y, x: t * np.exp(x * x) * (2 / ROOT_PI))
elementwise(
    sc.erfinv,
    lambda t, y, _x: t * np.exp(y * y) * (ROOT_PI / 2),
    domain=(-0.8, 0.8),
    boundary=(Boundary((1.0,), (np.inf,)), Boundary((-1.0,), (np.inf,))),
)
elementwise(
    sc.erfcinv,
    lambda t, y, _x: t * np.exp(y * y) * (-ROOT_PI / 2),
    domain=(0.2, 1.8),
    boundary=(Boundary((0.0,), (-np.inf,)), Boundary((2.0,), (-np.inf,))),
)
elementwise(
    sc.wofz,
    lambda t, y, z: t * (2j / ROOT_PI - 2 * z * y),
    name="wofz",
    samples=draws((-1.0, 1.0)),
)

# -- the normal distribution -------------------------------------------------------------------------------------

elementwise(sc.ndtr, lambda t, _y, x: t * np.exp(-0.5 * (x * x)) * (1 / math.sqrt(2 * math.pi)))
elementwise(
    sc.log_ndtr,
    lambda t, _y, x: t * math.sqrt(2 / math.pi) / sc.erfcx(-x / ROOT_2),
    samples=several(draws((-2.0, 2.0)), draws((-30.0, -3.0), shapes=((3,),))),
    boundary=(Boundary((40.0,), (0.0,)),),
)
elementwise(
    sc.ndtri,
    lambda t, y, _x: t * np.exp(0.5 * (y * y)) * math.sqrt(2 * math.pi),
    domain=(0.1, 0.9),
    boundary=(Boundary((0.0,), (np.inf,)), Boundary((1.0,), (np.inf,))),
)
elementwise(
    sc.ndtri_exp,
    lambda t, y, _x: t * sc.erfcx(-y / ROOT_2) * math.sqrt(math.pi / 2),
    samples=several(draws((-3.0, -0.5)), draws((-30.0, -20.0), shapes=((3,),))),
)

# -- the logistic function ---------------------------------------------------------------------------------------

elementwise(
    sc.logit,
    lambda t, _y, x: t / (x * (1 - x)),
    domain=(0.1, 0.9),
    boundary=(Boundary((0.0,), (np.inf,)), Boundary((1.0,), (np.inf,)), Boundary((1e-300,), (1e300,))),
)
elementwise(
    sc.log_expit,
    lambda t, _y, x: t * sc.expit(-x),
    boundary=(Boundary((1e4,), (0.0,)), Boundary((-1e4,), (1.0,))),
)

# -- the Voigt profile -------------------------------------------------------------------------------------------


def _voigt_point(x: Any, sigma: Any, gamma: Any) -> Any:
    return (x + 1j * gamma) / (sigma * ROOT_2)


def _voigt_slope(x: Any, sigma: Any, gamma: Any) -> Any:
    """Derivative by x + i gamma, of which the profile is the real part."""
    z = _voigt_point(x, sigma, gamma)
    return (2j / ROOT_PI - 2 * z * sc.wofz(z)) / (2 * ROOT_PI * sigma * sigma)


def _voigt_by_sigma(t: Any, _y: Any, x: Any, sigma: Any, gamma: Any) -> Any:
    """The profile solves the equation of heat, with the time sigma**2 / 2."""
    z = _voigt_point(x, sigma, gamma)
    w = sc.wofz(z)
    second = -2 * w - 2 * z * (2j / ROOT_PI - 2 * z * w)
    return t * np.real(second) / (2 * ROOT_2 * ROOT_PI * sigma * sigma)


elementwise(
    sc.voigt_profile,
    lambda t, _y, x, sigma, gamma: t * np.real(_voigt_slope(x, sigma, gamma)),
    _voigt_by_sigma,
    lambda t, _y, x, sigma, gamma: t * -np.imag(_voigt_slope(x, sigma, gamma)),
    domain=((-2.0, 2.0), (0.5, 2.0), (0.5, 2.0)),
)

# -- Owen's function ---------------------------------------------------------------------------------------------

elementwise(
    sc.owens_t,
    lambda t, _y, h, a: t * np.exp(-0.5 * (h * h)) * sc.erf(a * h / ROOT_2) * (-0.5 / math.sqrt(2 * math.pi)),
    lambda t, _y, h, a: t * np.exp(-0.5 * (h * h) * (1 + a * a)) / (1 + a * a) * (0.5 / math.pi),
)
