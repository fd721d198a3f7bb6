"""Functions of elements that are no ufuncs: ``sinc``, and rounding and comparison, which are constant."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core import Boundary, Operation, Sample, Spec, constant, explicit, implements, install_method
from autodiff.core.backend import array_of
from autodiff.core.batching import all_values, mapped, pointwise
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import concrete
from autodiff.ops.products import as_array

__all__ = ["allclose", "array_equal", "array_equiv", "fix", "isclose", "isneginf", "isposinf", "round", "sinc"]

PI = math.pi


def _sinc_values(x: Any, n: int) -> Any:
    """Derivative `n` of ``sinc``: its series near 0, elsewhere a recursion from ``x sinc(x) = sin(pi x) / pi``."""
    x = array_of(x)
    near = np.abs(x) < max(1.0, n / 2)
    small, large = np.where(near, x, 0), np.where(near, 1, x)
    series = np.zeros_like(x)
    for j in range((n + 1) // 2 + 20, (n - 1) // 2, -1):  # Horner in x**2; term j has x**(2 j - n)
        series = series * (small * small) + (-1) ** j * PI ** (2 * j) / (2 * j + 1) / math.factorial(2 * j - n)
    f = np.sinc(large)
    for k in range(1, n + 1):
        f = (PI ** (k - 1) * np.sin(PI * large + k * PI / 2) - k * f) / large
    return np.where(near, series * small if n % 2 else series, f)[()]


_sinc: Operation = explicit(
    lambda x, n=0: np.sinc(x) if n == 0 else _sinc_values(x, n),
    lambda t, _y, x, n=0: t * _sinc(x, n=n + 1),
    name="sinc",
    samples=lambda rng: [
        Sample((x,), {"n": n})
        for n in (0, 1, 4)
        for x in (rng.uniform(-3.0, 3.0, (3, 4)), np.array(1e-3), np.ones((0, 2)))
    ],
    shape=lambda x, n=0: Spec(x.shape, x.dtype),
    boundary=(Boundary((0.0,), (0.0,)), Boundary((1.0,), (-1.0,))),
    batch=pointwise,
)


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """``sin(pi x) / (pi x)``; every derivative is exact at 0 too."""
    return _sinc(x, n=0)


_round = constant(np.round)
_isclose = constant(np.isclose)


@implements(np.round, np.around)
def round(a: Any, decimals: Any = 0, out: Any = None) -> Any:  # noqa: A001 - NumPy's name
    """Round to a number of decimals: a constant."""
    if out is not None:
        return np.round(a, decimals, out)
    return _round(a, decimals=decimals)


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    """Round towards zero: a constant."""
    return np.trunc(x)


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    """Whether elements are equal up to a tolerance: a constant."""
    if mapped(rtol) or mapped(atol):
        near = np.absolute(np.subtract(a, b)) <= atol + rtol * np.absolute(b)
        return np.logical_or(_equal(a, b, equal_nan), np.logical_and(near, np.isfinite(b)))
    return _isclose(a, b, rtol=concrete(rtol), atol=concrete(atol), equal_nan=equal_nan)


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    """Whether all elements are equal up to a tolerance."""
    return _truth(np.all(isclose(a, b, rtol, atol, equal_nan)))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Whether two arrays have the same shape and elements."""
    return shape_of(a1) == shape_of(a2) and _truth(np.all(_equal(a1, a2, equal_nan)))


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    """Whether two arrays are equal after broadcasting."""
    try:
        return _truth(np.all(np.equal(a1, a2)))
    except ValueError:  # they do not broadcast
        return False


def _truth(x: Any) -> Any:
    """A Python bool, as NumPy returns; many examples have one each."""
    return x if mapped(x) else bool(x)


def _equal(a: Any, b: Any, equal_nan: bool) -> Any:
    same = np.equal(a, b)
    return np.logical_or(same, np.logical_and(np.isnan(a), np.isnan(b))) if equal_nan else same


@implements(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    """Whether elements are positive infinity."""
    return np.logical_and(np.isinf(x), np.greater(x, 0))


@implements(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    """Whether elements are negative infinity."""
    return np.logical_and(np.isinf(x), np.less(x, 0))


# -- np.emath: functions that turn to complex numbers where the real ones have no value -----------------------


def _complex_where(x: Any, outside: Any) -> Any:
    """A real array as a complex one, if a value of it is outside of the domain."""
    x = as_array(x)
    if dtype_of(x).kind == "c" or not np.any(all_values(outside(x))):
        return x
    return x.astype(np.result_type(dtype_of(x), np.complex64))


def _extended(function: Any, outside: Any) -> Any:
    def extended(x: Any) -> Any:
        """The function of the same name of NumPy's, complex if a value is outside of its domain."""
        return function(_complex_where(x, outside))

    return extended


def _negative(x: Any) -> Any:
    return np.less(x, 0)


for _name in ("sqrt", "log", "log2", "log10"):
    implements(getattr(np.emath, _name))(_extended(getattr(np, _name), _negative))
for _name in ("arccos", "arcsin", "arctanh"):
    implements(getattr(np.emath, _name))(_extended(getattr(np, _name), lambda x: np.greater(np.absolute(x), 1)))


@implements(np.emath.logn)
def _logn(n: Any, x: Any) -> Any:
    """Logarithm to the base `n`."""
    return np.log(_complex_where(x, _negative)) / np.log(_complex_where(n, _negative))


@implements(np.emath.power)
def _power(x: Any, p: Any) -> Any:
    """Power, complex if a base is negative."""
    p = as_array(p)
    p = p * 1.0 if dtype_of(p).kind in "iu" and np.any(all_values(_negative(p))) else p
    return np.power(_complex_where(x, _negative), p)


install_method("round", lambda self, decimals=0, out=None: round(self, decimals, out))
install_method("__round__", lambda self, ndigits=None: round(self, ndigits or 0))
