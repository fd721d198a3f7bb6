"""Exponential, trigonometric and Fresnel integrals, Lambert's function, the dilogarithm, spherical harmonics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sc

from autodiff.core import UFUNCS, Boundary, Operation, elementwise
from autodiff.core.errors import MissingRuleError
from autodiff.core.spec import dtype_of
from autodiff.scipy.special._common import draws, is_traced, narrow, private, refused, several
from autodiff.scipy.special.bessel import spherical_in, spherical_jn

__all__ = ["lambertw", "sph_harm_y"]

HALF_PI = math.pi / 2

# -- exponential integrals -------------------------------------------------------------------------------------


def _expn_slope(n: Any, x: Any) -> Any:
    zero = np.equal(n, 0)
    return -np.where(zero, np.exp(-x) * (1 + x) / (x * x), sc.expn(np.where(zero, 1, n) - 1, x)).astype(dtype_of(x))


elementwise(
    sc.expn,
    refused("expn", "the order n"),
    lambda t, _y, n, x: t * _expn_slope(n, x),
    samples=several(draws(3, (0.5, 2.0)), draws(0, (0.5, 2.0), shapes=((3,),))),
)
elementwise(sc.exp1, lambda t, _y, x: -t * np.exp(-x) / x, samples=draws((0.5, 2.0)))
elementwise(sc.expi, lambda t, _y, x: t * np.exp(x) / x, samples=draws((0.5, 2.0)))

# -- sine, cosine, and their hyperbolic kin: two results each --------------------------------------------------


def _pair(function: Any, names: tuple[str, str], slopes: tuple[Any, Any], domain: tuple[float, float]) -> None:
    first, second = (
        elementwise(
            lambda x, k=k: function(x)[k],
            lambda t, _y, x, slope=slope: t * slope(x).astype(dtype_of(x)),
            name=name,
            domain=domain,
        )
        for k, (name, slope) in enumerate(zip(names, slopes, strict=True))
    )
    UFUNCS[function] = lambda x: (first(x), second(x))


_pair(sc.sici, ("sine_integral", "cosine_integral"), (lambda x: spherical_jn(0, x), lambda x: np.cos(x) / x), (0.3, 2))
_pair(
    sc.shichi,
    ("hyperbolic_sine_integral", "hyperbolic_cosine_integral"),
    (lambda x: spherical_in(0, x), lambda x: np.cosh(x) / x),
    (0.3, 2),
)
_pair(
    sc.fresnel,
    ("fresnel_s", "fresnel_c"),
    (lambda x: np.sin(HALF_PI * (x * x)), lambda x: np.cos(HALF_PI * (x * x))),
    (-1.5, 1.5),
)

# -- Lambert's function, Wright's omega -------------------------------------------------------------------------

_lambertw: Operation = elementwise(
    lambda z, k, tol: narrow(np.asarray(sc.lambertw(z, k, tol)), z),
    lambda t, y, _z, _k, _tol: t * np.exp(-y) / (1 + y),
    None,
    None,
    name="lambertw",
    samples=several(draws((0.2, 2.0), 0, 1e-8), draws((0.2, 2.0), -1, 1e-8, shapes=((3,),))),
    boundary=(),
)


def lambertw(z: Any, k: Any = 0, tol: Any = 1e-8) -> Any:
    """Return branch `k` of the inverse of ``w exp(w)``, complex.

    Parameters
    ----------
    z
        Real or complex numbers. The derivative at 0 of branch 0 is 1; at ``-1/e``, the branch point, it is infinite.
    k
        Branches, integers; a constant.
    tol
        Tolerance of the value; derivatives are computed from the value.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import grad
    >>> lambertw(np.e).round(6)
    np.complex128(1+0j)
    >>> grad(lambda z: np.real(lambertw(z)))(0.0)
    np.float64(1.0)
    """
    return _lambertw(z, k, tol) if is_traced(z) else sc.lambertw(z, k, tol)


private(lambertw)


elementwise(sc.wrightomega, lambda t, y, _z: t * y / (1 + y))

# -- the dilogarithm -----------------------------------------------------------------------------------------------


def _spence_slope(x: Any) -> Any:
    """``log(x) / (1 - x)``, near 1 as a hypergeometric function that is analytic there."""
    near = np.less(np.abs(x - 1), 0.5)
    far = np.where(near, 2.0, x)
    return np.where(near, -sc.hyp2f1(1.0, 1.0, 2.0, 1 - np.where(near, x, 1.0)), np.log(far) / (1 - far))


elementwise(
    sc.spence,
    lambda t, _y, x: t * _spence_slope(x),
    samples=several(draws((0.7, 1.3)), draws((1.7, 2.5), shapes=((3,),))),
    boundary=(Boundary((1.0,), (-1.0,)),),
)

# -- spherical harmonics -------------------------------------------------------------------------------------------


def _harmonic_value(n: Any, m: Any, theta: Any, phi: Any) -> Any:
    return narrow(np.asarray(sc.sph_harm_y(n, m, theta, phi)), theta, phi)


def _harmonic_by_theta(n: Any, m: Any, theta: Any, phi: Any) -> Any:
    """Half the difference of the two ladder operators."""
    up, down = np.sqrt((n - m) * (n + m + 1.0)), np.sqrt((n + m) * (n - m + 1.0))
    above = up * np.exp(-1j * phi) * _harmonic(n, np.minimum(m + 1, n), theta, phi)
    below = down * np.exp(1j * phi) * _harmonic(n, np.maximum(m - 1, -n), theta, phi)
    return 0.5 * (above - below)


_harmonic: Operation = elementwise(
    _harmonic_value,
    refused("sph_harm_y", "the degree n"),
    refused("sph_harm_y", "the order m"),
    lambda t, _y, n, m, theta, phi: t * _harmonic_by_theta(n, m, theta, phi),
    lambda t, y, _n, m, _theta, _phi: t * (1j * m) * y,
    name="sph_harm_y",
    samples=several(draws(3, 1, (0.3, 2.0), (0.0, 3.0)), draws(2, -2, (0.3, 2.0), (0.0, 3.0), shapes=((3,),))),
)


def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, *, diff_n: int = 0) -> Any:
    """Return spherical harmonics, complex, of real angles.

    Parameters
    ----------
    n, m
        Degrees n >= 0 and orders, abs(m) <= n: integers, constants.
    theta, phi
        Polar and azimuthal angle.
    diff_n
        Number of derivatives that SciPy returns as well; refused (other than 0) for traced angles.

    Raises
    ------
    MissingRuleError
        If `diff_n` is given with traced angles.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import grad
    >>> float(grad(lambda theta: np.real(sph_harm_y(1, 0, theta, 0.0)))(np.pi / 2).round(6))
    -0.488603
    """
    if not is_traced(n, m, theta, phi):
        return sc.sph_harm_y(n, m, theta, phi, diff_n=diff_n)
    if diff_n:
        raise MissingRuleError("sph_harm_y: diff_n of traced angles; differentiate with jvp, grad or hessian instead.")
    return _harmonic(n, m, theta, phi)
