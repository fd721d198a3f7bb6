"""Bessel, Hankel, spherical Bessel, Struve and Airy functions by their argument.

The derivatives are in terms of functions of neighbouring order, so that every order of differentiation works; those by
the order of the function are not known in terms of such functions, and are refused.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import scipy.special as sc

from autodiff.core import UFUNCS, Boundary, Operation, elementwise
from autodiff.core.spec import dtype_of
from autodiff.scipy.special._common import alias, draws, narrow, refused, several

__all__ = [
    "h1vp",
    "h2vp",
    "ivp",
    "jvp",
    "kvp",
    "spherical_in",
    "spherical_jn",
    "spherical_kn",
    "spherical_yn",
    "yvp",
]

_at = several(draws(1, (0.5, 3.0)), draws(0.3, (0.5, 3.0), shapes=((3,),)))


def _order(name: str) -> Any:
    return refused(name, "the order")


# -- of any order --------------------------------------------------------------------------------------------


def _difference(f: Any, v: Any, z: Any) -> Any:
    """The derivative of J, Y and the Hankel functions, DLMF 10.6.1."""
    return 0.5 * (f(v - 1, z) - f(v + 1, z))


def _sum(f: Any, v: Any, z: Any) -> Any:
    """The derivative of I, and but for the sign of K, DLMF 10.29.1."""
    return 0.5 * (f(v - 1, z) + f(v + 1, z))


for _f in (sc.jv, sc.yv, sc.hankel1, sc.hankel2):
    elementwise(_f, _order(_f.__name__), lambda t, _y, v, z, f=_f: t * _difference(f, v, z), samples=_at)
elementwise(sc.iv, _order("iv"), lambda t, _y, v, z: t * _sum(sc.iv, v, z), samples=_at)
elementwise(sc.kv, _order("kv"), lambda t, _y, v, z: -t * _sum(sc.kv, v, z), samples=_at)
elementwise(sc.yn, _order("yn"), lambda t, _y, v, z: t * _difference(sc.yn, v, z), samples=draws(2, (0.5, 3.0)))
elementwise(sc.kn, _order("kn"), lambda t, _y, v, z: -t * _sum(sc.kn, v, z), samples=draws(2, (0.5, 3.0)))
if sc.jn is not sc.jv:
    alias(sc.jn, sc.jv)

# -- scaled by an exponential that depends on the real or the imaginary part alone -----------------------------


def _is_complex(z: Any) -> bool:
    return bool(dtype_of(z).kind == "c")


def _scaled_by_imaginary(f: Any) -> None:
    """``J`` or ``Y`` times ``exp(-abs(imag(z)))``: linear over the real numbers alone."""

    def jvp(t: Any, y: Any, v: Any, z: Any) -> Any:
        slope = t * _difference(f, v, z)
        return slope - y * (np.sign(np.imag(z)) * np.imag(t)) if _is_complex(z) else slope

    def vjp(ct: Any, y: Any, v: Any, z: Any) -> Any:
        slope = ct * _difference(f, v, z)
        return slope + 1j * (np.sign(np.imag(z)) * np.real(ct * y)) if _is_complex(z) else slope

    name = f.__name__
    elementwise(f, _order(name), jvp, transposes=(_order(name), vjp), samples=_at)


_scaled_by_imaginary(sc.jve)
_scaled_by_imaginary(sc.yve)


def _ive_jvp(t: Any, y: Any, v: Any, z: Any) -> Any:
    return t * _sum(sc.ive, v, z) - y * (np.sign(np.real(z)) * np.real(t))


def _ive_vjp(ct: Any, y: Any, v: Any, z: Any) -> Any:
    return ct * _sum(sc.ive, v, z) - np.sign(np.real(z)) * np.real(ct * y)


elementwise(sc.ive, _order("ive"), _ive_jvp, transposes=(_order("ive"), _ive_vjp), samples=_at)
elementwise(sc.kve, _order("kve"), lambda t, y, v, z: t * (y - _sum(sc.kve, v, z)), samples=_at)
elementwise(
    sc.hankel1e, _order("hankel1e"), lambda t, y, v, z: t * (_difference(sc.hankel1e, v, z) - 1j * y), samples=_at
)
elementwise(
    sc.hankel2e, _order("hankel2e"), lambda t, y, v, z: t * (_difference(sc.hankel2e, v, z) + 1j * y), samples=_at
)

# -- of order 0 and 1 --------------------------------------------------------------------------------------------

_real_line = draws((0.5, 3.0))
elementwise(sc.j0, lambda t, _y, x: -t * sc.j1(x), boundary=(Boundary((0.0,), (0.0,)),))
elementwise(sc.j1, lambda t, _y, x: t * 0.5 * (sc.j0(x) - sc.jv(2, x)), boundary=(Boundary((0.0,), (0.5,)),))
elementwise(sc.y0, lambda t, _y, x: -t * sc.y1(x), samples=_real_line)
elementwise(sc.y1, lambda t, _y, x: t * 0.5 * (sc.y0(x) - sc.yv(2, x)), samples=_real_line)
elementwise(sc.i0, lambda t, _y, x: t * sc.i1(x), boundary=(Boundary((0.0,), (0.0,)),))
elementwise(sc.i1, lambda t, _y, x: t * 0.5 * (sc.i0(x) + sc.iv(2, x)), boundary=(Boundary((0.0,), (0.5,)),))
elementwise(sc.k0, lambda t, _y, x: -t * sc.k1(x), samples=_real_line)
elementwise(sc.k1, lambda t, _y, x: -t * 0.5 * (sc.k0(x) + sc.kv(2, x)), samples=_real_line)
elementwise(
    sc.i0e, lambda t, y, x: t * (sc.i1e(x) - np.sign(x) * y), samples=_real_line, boundary=(Boundary((0.0,), (0.0,)),)
)
elementwise(
    sc.i1e,
    lambda t, y, x: t * (0.5 * (sc.i0e(x) + sc.ive(2, x)) - np.sign(x) * y),
    samples=_real_line,
    boundary=(Boundary((0.0,), (0.5,)),),
)
elementwise(sc.k0e, lambda t, y, x: t * (y - sc.k1e(x)), samples=_real_line)
elementwise(sc.k1e, lambda t, y, x: t * (y - 0.5 * (sc.k0e(x) + sc.kve(2, x))), samples=_real_line)

# -- spherical ---------------------------------------------------------------------------------------------------


def _spherical(name: str, first: float, second: float, at_zero: float) -> Any:
    """Register one kind: its derivative is ``(first n f(n-1) + second (n+1) f(n+1)) / (2 n + 1)``, DLMF 10.51."""
    function = getattr(sc, name)

    def slope(n: Any, z: Any) -> Any:
        n = n if hasattr(n, "dtype") else np.asarray(n)
        below = np.maximum(n - 1, 0)
        low, high = (first * n / (2 * n + 1)).astype(_real(z)), (second * (n + 1) / (2 * n + 1)).astype(_real(z))
        zero = np.equal(n, 0)
        return np.where(zero, at_zero * op(np.ones_like(n), z), low * op(below, z) + high * op(n + 1, z))

    def value(n: Any, z: Any) -> Any:
        return narrow(np.asarray(function(n, z)), z)

    op = elementwise(
        value,
        _order(name),
        lambda t, _y, n, z: t * slope(n, z).astype(dtype_of(z)),
        name=name,
        samples=several(draws(0, (0.5, 3.0)), draws(np.array([1, 2, 3]), (0.5, 3.0), shapes=((2, 3), (3,)))),
    )
    return op, slope


def _real(z: Any) -> Any:
    dtype = dtype_of(z)
    return np.finfo(dtype).dtype if dtype.kind in "fc" else np.dtype(float)


_KINDS = {
    "spherical_jn": _spherical("spherical_jn", 1.0, -1.0, -1.0),
    "spherical_yn": _spherical("spherical_yn", 1.0, -1.0, -1.0),
    "spherical_in": _spherical("spherical_in", 1.0, 1.0, 1.0),
    "spherical_kn": _spherical("spherical_kn", -1.0, -1.0, -1.0),
}


def _evaluate(name: str, n: Any, z: Any, derivative: bool) -> Any:
    op, slope = _KINDS[name]
    if not derivative:
        return op(n, z)
    z = z if hasattr(z, "dtype") else np.asarray(z)[()]
    return slope(n, z)


def spherical_jn(n: Any, z: Any, derivative: bool = False) -> Any:
    """Return the spherical Bessel function of the first kind, or its derivative.

    Parameters
    ----------
    n
        Orders, integers from 0 on; constants.
    z
        Real or complex numbers.
    derivative
        Return the derivative instead.

    Raises
    ------
    MissingRuleError
        If differentiated by `n`.

    Examples
    --------
    >>> from autodiff import grad
    >>> (
    ...     round(float(spherical_jn(1, 2.0, derivative=True)), 6),
    ...     round(float(grad(lambda z: spherical_jn(1, z))(2.0)), 6),
    ... )
    (0.019251, 0.019251)
    """
    return _evaluate("spherical_jn", n, z, derivative)


def spherical_yn(n: Any, z: Any, derivative: bool = False) -> Any:
    """Return the spherical Bessel function of the second kind, or its derivative; see `spherical_jn`.

    Examples
    --------
    >>> round(float(spherical_yn(0, 1.0)), 6)
    -0.540302
    """
    return _evaluate("spherical_yn", n, z, derivative)


def spherical_in(n: Any, z: Any, derivative: bool = False) -> Any:
    """Return the modified spherical Bessel function of the first kind, or its derivative; see `spherical_jn`.

    Examples
    --------
    >>> round(float(spherical_in(0, 1.0)), 6)
    1.175201
    """
    return _evaluate("spherical_in", n, z, derivative)


def spherical_kn(n: Any, z: Any, derivative: bool = False) -> Any:
    """Return the modified spherical Bessel function of the second kind, or its derivative; see `spherical_jn`.

    Examples
    --------
    >>> round(float(spherical_kn(0, 1.0)), 6)
    0.577864
    """
    return _evaluate("spherical_kn", n, z, derivative)


# -- derivatives of a given number -------------------------------------------------------------------------------


def _derivative(name: str, f: Any, sign: float, scale: float, v: Any, z: Any, n: Any) -> Any:
    """Derivative `n` by functions of the orders from v - n to v + n, DLMF 10.6.7 and 10.29.5."""
    n = operator.index(n)
    if n < 0:
        raise ValueError(f"scipy.special.{name}: n, how often to differentiate, must not be negative, but is {n}.")
    if not n:
        return f(v, z)
    y = sum(sign**k * math.comb(n, k) * f(v - n + 2 * k, z) for k in range(n + 1))
    return y * (scale * 0.5) ** n


def jvp(v: Any, z: Any, n: int = 1) -> Any:
    """Return derivative `n` of the Bessel function of the first kind; the order `v` is a constant.

    Examples
    --------
    >>> from autodiff import grad
    >>> float(np.round(jvp(0, 1.0), 6)), float(np.round(grad(lambda z: sc.jv(0, z))(1.0), 6))
    (-0.440051, -0.440051)
    """
    return _derivative("jvp", sc.jv, -1.0, 1.0, v, z, n)


def yvp(v: Any, z: Any, n: int = 1) -> Any:
    """Return derivative `n` of the Bessel function of the second kind; see `jvp`.

    Examples
    --------
    >>> float(np.round(yvp(0, 1.0), 6))
    0.781213
    """
    return _derivative("yvp", sc.yv, -1.0, 1.0, v, z, n)


def h1vp(v: Any, z: Any, n: int = 1) -> Any:
    """Return derivative `n` of the first Hankel function; see `jvp`.

    Examples
    --------
    >>> complex(np.round(h1vp(0, 1.0), 6))
    (-0.440051+0.781213j)
    """
    return _derivative("h1vp", sc.hankel1, -1.0, 1.0, v, z, n)


def h2vp(v: Any, z: Any, n: int = 1) -> Any:
    """Return derivative `n` of the second Hankel function; see `jvp`.

    Examples
    --------
    >>> complex(np.round(h2vp(0, 1.0), 6))
    (-0.440051-0.781213j)
    """
    return _derivative("h2vp", sc.hankel2, -1.0, 1.0, v, z, n)


def ivp(v: Any, z: Any, n: int = 1) -> Any:
    """Return derivative `n` of the modified Bessel function of the first kind; see `jvp`.

    Examples
    --------
    >>> float(np.round(ivp(0, 1.0), 6))
    0.565159
    """
    return _derivative("ivp", sc.iv, 1.0, 1.0, v, z, n)


def kvp(v: Any, z: Any, n: int = 1) -> Any:
    """Return derivative `n` of the modified Bessel function of the second kind; see `jvp`.

    Examples
    --------
    >>> float(np.round(kvp(0, 1.0), 6))
    -0.601907
    """
    return _derivative("kvp", sc.kv, 1.0, -1.0, v, z, n)


# -- Struve --------------------------------------------------------------------------------------------------------


def _struve_term(v: Any, x: Any) -> Any:
    """``(x/2)**v / (sqrt(pi) gamma(v + 3/2))``, DLMF 11.4."""
    return np.power(0.5 * x, v) * sc.rgamma(v + 1.5) * (1 / math.sqrt(math.pi))


elementwise(
    sc.struve,
    _order("struve"),
    lambda t, _y, v, x: t * (_difference(sc.struve, v, x) + 0.5 * _struve_term(v, x)),
    samples=draws(0.7, (0.5, 3.0)),
)
elementwise(
    sc.modstruve,
    _order("modstruve"),
    lambda t, _y, v, x: t * (_sum(sc.modstruve, v, x) + 0.5 * _struve_term(v, x)),
    samples=draws(0.7, (0.5, 3.0)),
)

# -- Airy ----------------------------------------------------------------------------------------------------------

_ai: Operation = elementwise(lambda z: sc.airy(z)[0], lambda t, _y, z: t * _aip(z), name="airy_ai", domain=(0.2, 2.0))
_aip: Operation = elementwise(
    lambda z: sc.airy(z)[1], lambda t, _y, z: t * z * _ai(z), name="airy_aip", domain=(0.2, 2.0)
)
_bi: Operation = elementwise(lambda z: sc.airy(z)[2], lambda t, _y, z: t * _bip(z), name="airy_bi", domain=(0.2, 2.0))
_bip: Operation = elementwise(
    lambda z: sc.airy(z)[3], lambda t, _y, z: t * z * _bi(z), name="airy_bip", domain=(0.2, 2.0)
)
UFUNCS[sc.airy] = lambda z: (_ai(z), _aip(z), _bi(z), _bip(z))
