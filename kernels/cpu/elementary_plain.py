"""The instructions that `kernels.cpu.elementary` is made of, on NumPy's scalars.

They define what `elementary_llvm` emits, and stand in for it where Numba does not compile (`NUMBA_DISABLE_JIT=1`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "CENTER", "FORMATS", "Format", "constant", "exponent", "is_single", "magnitude", "mantissa", "multiply_add",
    "polynomial", "polynomial_of", "power_of_two", "scale", "select", "with_sign",
]  # fmt: skip

CENTER = 0.5**0.5
"""Mantissas are in [CENTER, 2 CENTER), so that the exponent of all numbers around 1 is 0."""


@dataclass(frozen=True)
class Format:
    """A binary floating-point format of IEEE 754."""

    width: int
    mantissa_bits: int
    bias: int

    @property
    def number(self) -> Any:
        """The type of its numbers."""
        return np.float32 if self.width == 32 else np.float64

    @property
    def shift(self) -> float:
        """What moves the ones of an integer to the lowest bit."""
        return 1.5 * 2.0**self.mantissa_bits

    def pattern(self, value: float) -> int:
        """Return a number's bits as a non-negative integer."""
        return int(self.number(value).view(f"u{self.width // 8}"))


FORMATS = {32: Format(32, 23, 127), 64: Format(64, 52, 1023)}


def _format(x: Any) -> Format:
    return FORMATS[8 * x.itemsize]


def constant(single: float, double: float | None = None) -> Any:
    """Return a function of x that is a constant in the type of x, given for float32 and float64 (or once for both)."""

    def value(x: Any) -> Any:
        return x.dtype.type(single if x.itemsize == 4 or double is None else double)

    return value


def polynomial(single: tuple[float, ...], double: tuple[float, ...]) -> Any:
    """Return a polynomial of x by its coefficients for float32 and for float64, evaluated by Horner's scheme."""

    def value(x: Any) -> Any:
        number = x.dtype.type
        coefficients = single if x.itemsize == 4 else double
        total = number(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total = total * x + number(coefficient)
        return total

    return value


def polynomial_of(
    single: tuple[float, ...],
    double: tuple[float, ...],
    other_single: tuple[float, ...],
    other_double: tuple[float, ...],
) -> Any:
    """Return a function of (first, x): one polynomial of x where `first`, else the other, of the same degree.

    Choosing the coefficients costs less than evaluating both.
    """
    one, other = polynomial(single, double), polynomial(other_single, other_double)
    return lambda first, x: one(x) if first else other(x)


def is_single(x: Any) -> bool:
    """Whether x is a float32; known to the compiler, so that a branch on it costs nothing."""
    return bool(x.itemsize == 4)


def select(condition: Any, x: Any, y: Any) -> Any:
    """Return x or y."""
    return x if condition else y


def magnitude(x: Any) -> Any:
    """Return |x|."""
    return np.abs(x)


def with_sign(x: Any, sign: Any) -> Any:
    """Return |x| with the sign of `sign`."""
    return np.copysign(x, sign)


def multiply_add(x: Any, y: Any, z: Any) -> Any:
    """Return x y + z, rounded once or twice, whichever is faster."""
    return x * y + z


def _whole(shifted: Any) -> int:
    """Return a shifted integer; any, where it is not a number."""
    n = shifted - shifted.dtype.type(_format(shifted).shift)
    return int(n) if np.isfinite(n) else 0


def power_of_two(shifted: Any) -> Any:
    """Return 2^n for a shifted integer n that is the exponent of a normal number."""
    return np.ldexp(shifted.dtype.type(1), _whole(shifted))


def scale(x: Any, shifted: Any) -> Any:
    """Return 2^n x for a shifted integer n; a subnormal result is rounded once more, a large one overflows."""
    return np.ldexp(x, _whole(shifted))


def exponent(x: Any) -> Any:
    """Return k, as a number, such that 2^-k x is in [CENTER, 2 CENTER), for a positive normal x."""
    fraction, power = np.frexp(x)
    return x.dtype.type(power - (fraction < x.dtype.type(CENTER)))


def mantissa(x: Any) -> Any:
    """Return 2^-k x, in [CENTER, 2 CENTER), for a positive normal x."""
    fraction, _ = np.frexp(x)
    return fraction * 2 if fraction < x.dtype.type(CENTER) else fraction
