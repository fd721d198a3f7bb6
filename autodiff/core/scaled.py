"""A number that waits: the tangent or adjoint ``factor * array``, not yet multiplied.

Derivative rules are full of numbers: the -1 of a difference, the 2 of a square, the 0.5 before a loss. On a large
array each costs a pass over memory, but since every rule is linear in its tangent or adjoint, the number can go
around it, meet the next number and be multiplied once, at the end::

    rule(factor * array) = factor * rule(array)

A `Scaled` lives inside one sweep, or in a `Dual` between two operations: nothing outside ever sees one. Its array may
be somebody else's (a residual, the tangent of another value), so it is never written to, and `value` always
allocates. Only plain real arrays from `LARGE` elements on are scaled, and only by numbers between ``1 / LIMITS[dtype]``
and ``LIMITS[dtype]``: what overflows or underflows because a factor waits is that close to the edge of its dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "LARGE",
    "LIMITS",
    "Scaled",
    "add_into",
    "added",
    "negated",
    "plain",
    "rescaled",
    "subtracted",
    "times",
    "twice",
]

#: Elements from which a pass over memory costs more than the bookkeeping that saves it.
LARGE = 8192

#: The largest factor that may wait; the smallest is its reciprocal. Other dtypes do not wait.
LIMITS = {np.dtype(np.float32): 2.0**10, np.dtype(np.float64): 2.0**32}

_UNTYPED = frozenset({int, float})
_NUMBERS = _UNTYPED | {np.float64, np.float32}


class Scaled:
    """``factor * array``: a Python float, and a plain array that is only read."""

    __slots__ = ("array", "factor")

    def __init__(self, factor: float, array: np.ndarray) -> None:
        self.factor = factor
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the product."""
        return self.array.shape

    @property
    def ndim(self) -> int:
        """Number of axes of the product."""
        return self.array.ndim

    @property
    def dtype(self) -> Any:
        """Dtype of the product."""
        return self.array.dtype

    def value(self) -> Any:
        """Return the product, in new memory."""
        return self.array * self.factor


def plain(x: Any) -> Any:
    """Return a tangent or adjoint as an array."""
    return x.value() if type(x) is Scaled else x


def rescaled(x: Any, factor: float) -> Any:
    """``factor * x`` for what a rule made of the array of a `Scaled`; it waits again if it can."""
    if type(x) is Scaled:
        factor, x = factor * x.factor, x.array
    if type(x) is np.ndarray and x.size >= LARGE:
        limit = LIMITS.get(x.dtype)
        if limit is not None and limit >= abs(factor) >= 1 / limit:
            return Scaled(factor, x)
    return x * factor


def times(a: Any, b: Any) -> Any:
    """``a * b``; where one is a number and the other a large array, it waits."""
    if type(a) is np.ndarray:
        if a.size < LARGE or type(b) not in _NUMBERS:
            return a * b
    elif type(a) is Scaled:
        return rescaled(times(a.array, b), a.factor)
    elif type(b) is np.ndarray and b.size >= LARGE and type(a) in _NUMBERS:
        a, b = b, a
    else:
        return a * b
    limit = LIMITS.get(a.dtype)
    if limit is None or not limit >= abs(b) >= 1 / limit or (type(b) not in _UNTYPED and b.dtype != a.dtype):
        return a * b
    return Scaled(float(b), a)


def twice(a: Any, b: Any) -> Any:
    """``2 * a * b``."""
    return a * 2 * b if type(a) is np.ndarray and a.size < LARGE else times(times(a, 2), b)


def added(a: Any, b: Any) -> Any:
    """``a + b`` for tangents or adjoints, of which some may be `Scaled`."""
    if type(b) is not Scaled:
        if type(a) is not Scaled:
            return a + b
        a, b = b, a
    if type(a) is not Scaled:
        return _combined(a, b.array, b.factor)
    if a.array.dtype != b.array.dtype:
        return a.value() + b.value()
    if abs(a.factor) < abs(b.factor):
        a, b = b, a
    return rescaled(_combined(a.array, b.array, b.factor / a.factor), a.factor)


def _combined(a: Any, b: np.ndarray, factor: float, out: np.ndarray | None = None) -> Any:
    """``a + factor * b``."""
    if abs(factor) == 1:
        return (np.add if factor > 0 else np.subtract)(a, b, out=out)
    return a + b * factor if out is None else np.add(a, b * factor, out=out)


def negated(a: Any) -> Any:
    """``-a``; it waits where `a` is a large array."""
    if type(a) is np.ndarray:
        return -a if a.size < LARGE or a.dtype not in LIMITS else Scaled(-1.0, a)
    return Scaled(-a.factor, a.array) if type(a) is Scaled else -a


def subtracted(a: Any, b: Any) -> Any:
    """``a - b``, as `added`."""
    return added(a, negated(b)) if type(a) is Scaled or type(b) is Scaled else a - b


def add_into(place: np.ndarray, ct: Any, empty: bool) -> None:
    """``place += ct``, where ``place`` is known to hold zeros if it is `empty`."""
    if type(ct) is not Scaled:
        if empty:
            place[...] = ct
        else:
            place += ct
    elif empty:
        np.multiply(ct.array, ct.factor, out=place)
    else:
        _combined(place, ct.array, ct.factor, out=place)
