"""The gamma function and its kin: logarithm, derivatives, quotients, Riemann's and Hurwitz's zeta function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sc

from autodiff.core import UFUNCS, Boundary, Operation, concrete, elementwise
from autodiff.core.spec import dtype_of
from autodiff.scipy.special._common import (
    PI,
    alias,
    draws,
    is_traced,
    narrow,
    order,
    ordered,
    private,
    refused,
    several,
)

__all__ = ["comb", "factorial", "multigammaln", "perm", "polygamma", "zeta"]

# -- the gamma function --------------------------------------------------------------------------------------

_positive = draws((0.5, 4.0))
_both_sides = several(_positive, draws((-1.8, -1.2), shapes=((3,),)))

elementwise(sc.gamma, lambda t, y, x: t * y * sc.psi(x), samples=_positive)
elementwise(sc.gammaln, lambda t, _y, x: t * sc.psi(x), samples=_both_sides)
elementwise(sc.loggamma, lambda t, _y, x: t * sc.psi(x), samples=_positive)
elementwise(sc.psi, lambda t, _y, x: t * _polygamma(1, x), samples=_both_sides)
if sc.digamma is not sc.psi:
    alias(sc.digamma, sc.psi)


def _rgamma_slope(x: Any) -> Any:
    """Derivative of 1 / gamma, an entire function: on the left by reflection, exact at the zeros too."""
    left = np.less(np.real(x), 0.5)
    z = np.where(left, x, 0.25)
    reflected = sc.gamma(1 - z) * (np.cos(PI * z) - np.sin(PI * z) * (sc.psi(1 - z) / PI))
    z = np.where(left, 1.0, x)
    return np.where(left, reflected, -sc.psi(z) * sc.rgamma(z)).astype(dtype_of(x))


elementwise(
    sc.rgamma,
    lambda t, _y, x: t * _rgamma_slope(x),
    samples=_positive,
    boundary=(Boundary((0.0,), (1.0,)), Boundary((-1.0,), (-1.0,)), Boundary((-3.0,), (-6.0,))),
)


def _hurwitz_complex(s: Any, z: Any) -> Any:
    """Sum of ``(z + k)**-s`` for an integer `s` > 1, by Euler and Maclaurin's formula far enough to the right."""
    z = np.asarray(z, np.complex128)
    steps = int(np.clip(np.ceil(14 - np.min(z.real, initial=14.0)), 0, 100_000))
    total = np.zeros(np.broadcast_shapes(np.shape(s), z.shape), np.complex128)
    for k in range(steps):
        total += (z + k) ** -s
    a = z + steps
    total += a ** (1 - s) / (s - 1) + 0.5 * a**-s
    rising = s * a ** (-s - 1)
    for j, b in enumerate(_BERNOULLI, 1):
        total += b * rising
        rising = rising * (s + 2 * j - 1) * (s + 2 * j) / (a * a)
    return total


#: ``B(2 j) / (2 j)!``
_BERNOULLI = [float(b) / math.factorial(2 * j) for j, b in enumerate(sc.bernoulli(22)[2::2], 1)]


def _polygamma_value(n: Any, x: Any) -> Any:
    n, z = np.asarray(n), np.asarray(x)
    if z.dtype.kind != "c":
        y = np.asarray(sc.polygamma(n, z))
    else:
        s = np.maximum(n, 1) + 1
        y = np.where(n == 0, sc.psi(z), (-1.0) ** (n + 1) * sc.gamma(n + 1.0) * _hurwitz_complex(s, z))
    return narrow(y, x)


_polygamma: Operation = elementwise(
    _polygamma_value,
    refused("polygamma", "the order n"),
    lambda t, _y, n, x: t * _polygamma(n + 1, x),
    name="polygamma",
    samples=several(draws(0, (0.5, 3.0)), draws(np.array([1, 2, 3]), (0.8, 3.0), shapes=((2, 3), (3,)))),
)


def polygamma(n: Any, x: Any) -> Any:
    """Return derivative `n` of the digamma function.

    Parameters
    ----------
    n
        Orders, integers from 0 on; a constant.
    x
        Real or complex numbers, broadcast with `n`.

    Returns
    -------
    array
        Of the precision of `x`.

    Raises
    ------
    MissingRuleError
        If differentiated by `n`.

    Examples
    --------
    >>> from autodiff import grad
    >>> round(float(polygamma(1, 1.0)), 6), round(float(grad(lambda x: polygamma(1, x))(1.0)), 6)
    (1.644934, -2.404114)
    """
    return _polygamma(np.asarray(n) if isinstance(n, (list, tuple)) else n, x)


# -- quotients -----------------------------------------------------------------------------------------------

elementwise(
    sc.poch,
    lambda t, y, z, m: t * y * (sc.psi(z + m) - sc.psi(z)),
    lambda t, y, z, m: t * y * sc.psi(z + m),
    domain=((0.5, 2.0), (0.2, 2.0)),
)
elementwise(
    sc.beta,
    lambda t, y, a, b: t * y * (sc.psi(a) - sc.psi(a + b)),
    lambda t, y, a, b: t * y * (sc.psi(b) - sc.psi(a + b)),
    domain=(0.5, 2.0),
)
elementwise(
    sc.betaln,
    lambda t, _y, a, b: t * (sc.psi(a) - sc.psi(a + b)),
    lambda t, _y, a, b: t * (sc.psi(b) - sc.psi(a + b)),
    domain=(0.5, 2.0),
)


def _inside(n: Any, k: Any) -> Any:
    """Where no gamma function in the binomial coefficient is at the left of its first pole."""
    return np.logical_and(np.greater(k, -0.9), np.greater(n - k, -0.9))


def _binom_by_n(t: Any, y: Any, n: Any, k: Any) -> Any:
    inside = _inside(n, k)
    m, j = np.where(inside, n, 1.0), np.where(inside, k, 0.0)
    slope = y * (sc.psi(m + 1) - sc.psi(m - j + 1))
    first, second = sc.rgamma(k + 1), n - k + 1
    entire = sc.gamma(n + 1) * first * (sc.psi(n + 1) * sc.rgamma(second) + _rgamma_slope(second))
    return t * np.where(inside, slope, entire)


def _binom_by_k(t: Any, y: Any, n: Any, k: Any) -> Any:
    inside = _inside(n, k)
    m, j = np.where(inside, n, 1.0), np.where(inside, k, 0.0)
    slope = y * (sc.psi(m - j + 1) - sc.psi(j + 1))
    first, second = k + 1, n - k + 1
    entire = _rgamma_slope(first) * sc.rgamma(second) - sc.rgamma(first) * _rgamma_slope(second)
    return t * np.where(inside, slope, sc.gamma(n + 1) * entire)


elementwise(
    sc.binom,
    _binom_by_n,
    _binom_by_k,
    samples=several(draws((3.0, 5.0), (0.5, 2.5)), draws((1.2, 1.8), (3.2, 4.8), shapes=((3,), ()))),
    boundary=(Boundary((2.0, 4.0), (-1 / 12, 1 / 12)), Boundary((4.0, 0.0), (0.0, 25 / 12))),
)


def multigammaln(a: Any, d: Any) -> Any:
    """Return the logarithm of the multivariate gamma function of dimension `d`.

    Parameters
    ----------
    a
        Array, each element greater than ``(d - 1) / 2``.
    d
        The dimension, a positive integer.

    Raises
    ------
    ValueError
        If `d` is no integer, or an element of `a` is too small.

    Examples
    --------
    >>> from autodiff import grad
    >>> round(float(multigammaln(3.0, 2)), 6), round(float(grad(lambda a: multigammaln(a, 2))(3.0)), 6)
    (1.550195, 1.625941)
    """
    if not is_traced(a):
        return sc.multigammaln(a, d)
    if not isinstance(d, (int, float, np.integer)) or int(d) != d:
        raise ValueError(f"multigammaln: d must be a positive integer, the dimension, got {d!r}.")
    values = concrete(a)
    if not is_traced(values) and np.any(values <= 0.5 * (d - 1)):
        raise ValueError(f"multigammaln: a must be greater than (d - 1) / 2 = {0.5 * (d - 1)} everywhere.")
    total = d * (d - 1) * 0.25 * math.log(PI)
    for j in range(int(d)):
        total = total + sc.gammaln(a - 0.5 * j)
    return total


# -- counting ------------------------------------------------------------------------------------------------


def _counted(n: Any, k: Any) -> Any:
    return np.logical_and(np.less_equal(k, n), np.logical_and(np.greater_equal(n, 0), np.greater_equal(k, 0)))


def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:  # noqa: N803 - SciPy's name
    """Return the number of combinations of `N` things taken `k` at a time, 0 outside of ``0 <= k <= N``.

    Examples
    --------
    >>> from autodiff import grad
    >>> float(comb(5, 2)), round(float(grad(lambda n: comb(n, 2))(5.0)), 6)
    (10.0, 4.5)
    """
    if not is_traced(N, k):
        return sc.comb(N, k, exact=exact, repetition=repetition)
    if exact:
        raise TypeError("comb: exact=True counts with integers, which have no derivative; use exact=False.")
    if repetition:
        return comb(N + k - 1, k)
    return np.where(_counted(N, k), sc.binom(N, k), 0.0)


def perm(N: Any, k: Any, exact: bool = False) -> Any:  # noqa: N803 - SciPy's name
    """Return the number of permutations of `N` things taken `k` at a time, 0 outside of ``0 <= k <= N``.

    Examples
    --------
    >>> from autodiff import grad
    >>> float(perm(5, 2)), round(float(grad(lambda n: perm(n, 2))(5.0)), 6)
    (20.0, 9.0)
    """
    if not is_traced(N, k):
        return sc.perm(N, k, exact=exact)
    if exact:
        raise TypeError("perm: exact=True counts with integers, which have no derivative; use exact=False.")
    inside = _counted(N, k)
    return np.where(inside, sc.poch(np.where(inside, N - k + 1, 1.0), np.where(inside, k, 0.0)), 0.0)


def factorial(n: Any, exact: bool = False, **kwargs: Any) -> Any:
    """Return the factorial of `n`, as ``gamma(n + 1)``; 0 for negative numbers.

    Examples
    --------
    >>> from autodiff import grad
    >>> float(factorial(4)), round(float(grad(factorial)(4.0)), 6)
    (24.0, 36.146824)
    """
    if not is_traced(n):
        return sc.factorial(n, exact=exact, **kwargs)
    if exact:
        raise TypeError("factorial: exact=True counts with integers, which have no derivative; use exact=False.")
    if kwargs.get("extend", "zero") == "complex":
        return sc.gamma(n + 1)
    return np.where(np.less(n, 0), 0.0, sc.gamma(np.where(np.less(n, 0), 0.0, n) + 1))


# -- zeta ----------------------------------------------------------------------------------------------------


def _product(f: list[Any], g: list[Any]) -> list[Any]:
    """Product of two Taylor polynomials, cut at the same degree."""
    return [sum(f[j] * g[k - j] for j in range(k + 1)) for k in range(len(f))]


def _exponential(log: Any, m: int) -> list[Any]:
    """Taylor coefficients of ``exp(-log * s)`` in `s`, without the leading factor."""
    return [(-log) ** k / math.factorial(k) for k in range(m + 1)]


def _zeta_derivative(s: Any, q: Any, m: int) -> Any:
    """Derivative `m` in `s` of Hurwitz's zeta function for q > 0, by Euler and Maclaurin's formula."""
    steps = 16
    total: Any = 0.0
    for k in range(steps):
        total = total + (-np.log(q + k)) ** m * (q + k) ** -s
    a = q + steps
    power = [c * a**-s for c in _exponential(np.log(a), m)]
    inverse = [(-1) ** k * (s - 1) ** -(k + 1.0) for k in range(m + 1)]
    tail = a * _product(power, inverse)[m] + 0.5 * power[m]
    rising = _product([s] + [1.0] * min(m, 1) + [0.0] * (m - 1), power)
    scale = 1 / a
    for j, b in enumerate(_BERNOULLI, 1):
        tail = tail + b * rising[m] * scale
        for shift in (2 * j - 1, 2 * j):
            rising = _product([s + shift] + [1.0] * min(m, 1) + [0.0] * (m - 1), rising)
        scale = scale / (a * a)
    return total + math.factorial(m) * tail


@ordered
def _zeta_value(s: Any, q: Any, m: int) -> Any:
    if m == 0:
        return narrow(np.asarray(sc.zeta(s, q)), s, q)
    real = np.result_type(dtype_of(s), np.float64)
    s64, q64 = np.asarray(s, real), np.asarray(q, np.float64)
    outside = (q64 <= 0) | (s64.real < 1)
    y = _zeta_derivative(np.where(outside, 2.0, s64), np.where(outside, 1.0, q64), m)
    return narrow(np.where(outside, np.nan, y), s, q)


def _zeta_by_q(t: Any, _y: Any, s: Any, q: Any, m: Any) -> Any:
    m = order(m)
    first = -s * _zeta(s + 1, q, m)
    return t * (first if m == 0 else first - m * _zeta(s + 1, q, m - 1))


# Derivative m in s of the sum of (q + k)**-s: closed under both derivatives.
_zeta: Operation = elementwise(
    _zeta_value,
    lambda t, _y, s, q, m: t * _zeta(s, q, m + 1),
    _zeta_by_q,
    None,
    name="zeta",
    samples=several(
        draws((1.5, 4.0), (0.5, 3.0), 0),
        draws((1.5, 4.0), (0.5, 3.0), 1, shapes=((3,),)),
        draws(2.5, (0.5, 2.0), 2, shapes=((3,),)),
    ),
)


def zeta(x: Any, q: Any = None, out: Any = None) -> Any:
    """Return Riemann's zeta function of `x`, or Hurwitz's, the sum of ``(k + q)**-x``.

    Parameters
    ----------
    x
        Exponents, real; less than 1 for Riemann's function alone.
    q
        Shift, positive; 1 if left out. Derivatives by both are there, at every order.
    out
        Refused for traced arguments.

    Raises
    ------
    TypeError
        If `out` is given with traced arguments.

    Notes
    -----
    The derivative by `x` is by Euler and Maclaurin's formula, DLMF 25.2.9 and 25.11; for x < -1 by reflection,
    DLMF 25.4.1.

    Examples
    --------
    >>> from autodiff import grad
    >>> round(float(zeta(2.0)), 6), round(float(grad(zeta)(2.0)), 6)
    (1.644934, -0.937548)
    """
    if not is_traced(x, q):
        return sc.zeta(x, q) if out is None else sc.zeta(x, q, out)
    if out is not None:
        raise TypeError("zeta: out= cannot hold the derivative of a traced value; use the result.")
    if q is not None:
        return _zeta(x, q, 0)
    left = np.less(x, -1)  # nearer to 0, the pole of the reflected function is near
    s = np.where(left, x, -2.0)
    reflected = 2**s * PI ** (s - 1) * np.sin(0.5 * PI * s) * sc.gamma(1 - s) * _zeta(1 - s, 1.0, 0)
    return np.where(left, reflected, _riemann(np.where(left, 2.0, x), 0)).astype(dtype_of(x))


@ordered
def _riemann_value(s: Any, m: int) -> Any:
    if m == 0:
        return narrow(np.asarray(sc.zeta(s)), s)
    s64 = np.asarray(s, np.float64)
    y = _zeta_derivative(np.where(s64 < -1, 2.0, s64), 1.0, m)  # further left, its terms cancel
    return narrow(np.where(s64 < -1, np.nan, y), s)


_riemann: Operation = elementwise(
    _riemann_value,
    lambda t, _y, s, m: t * _riemann(s, m + 1),
    None,
    name="riemann_zeta",
    samples=several(draws((1.5, 4.0), 0), draws((0.5, 0.8), 1, shapes=((3,),))),
)
_zetac = elementwise(sc.zetac, lambda t, _y, x: t * _riemann(x, 1), samples=draws((1.5, 4.0)))


def _zetac_anywhere(x: Any) -> Any:
    left = np.less(x, -1)
    return np.where(left, zeta(np.where(left, x, -2.0)) - 1, _zetac(np.where(left, 2.0, x))).astype(dtype_of(x))


UFUNCS[sc.zetac] = _zetac_anywhere
private(zeta)
private(zeta, "_riemann_zeta")
