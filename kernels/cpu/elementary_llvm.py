"""The instructions that `kernels.cpu.elementary` is made of, as LLVM IR; `elementary_plain` says the same in NumPy.

Each works on one float32 or float64 and has no branch, so that LLVM vectorises the loops around it at the width of the
host. Integers are bit patterns as wide as the number. A *shifted* integer n is the number `n + SHIFT`, with SHIFT the
number 1.5 * 2^(bits of the mantissa): adding SHIFT rounds to an integer, which then stands in the lowest bits.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.cpu.elementary_plain import CENTER, FORMATS

__all__ = [
    "constant", "exponent", "is_single", "magnitude", "mantissa", "multiply_add", "polynomial", "polynomial_of",
    "power_of_two", "scale", "select", "with_sign",
]  # fmt: skip


class _Emitter:
    """An IR builder for numbers of one width and their bit patterns."""

    def __init__(self, builder: ir.IRBuilder, width: int) -> None:
        self.builder = builder
        self.width = width
        self.format = FORMATS[width]
        self.float = ir.FloatType() if width == 32 else ir.DoubleType()
        self.integer = ir.IntType(width)

    def number(self, value: float) -> ir.Constant:
        return ir.Constant(self.float, float(value))

    def bits(self, value: Any) -> Any:
        return self.builder.bitcast(value, self.integer)

    def pattern(self, value: float) -> ir.Constant:
        return ir.Constant(self.integer, self.format.pattern(value))

    def as_number(self, bits: Any) -> Any:
        return self.builder.bitcast(bits, self.float)

    def call(self, name: str, *arguments: Any) -> Any:
        name = f"llvm.{name}.f{self.width}"
        kind = ir.FunctionType(self.float, [self.float] * len(arguments))
        known = self.builder.module.globals.get(name)
        return self.builder.call(known or ir.Function(self.builder.module, kind, name), arguments)

    def horner(self, coefficients: list[Any], x: Any) -> Any:
        total = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            total = self.call("fmuladd", total, x, coefficient)
        return total

    def polynomial(self, coefficients: list[Any], x: Any) -> Any:
        """Even and odd powers apart: processors look ahead over two chains of half the length, not over one."""
        if len(coefficients) < 6:
            return self.horner(coefficients, x)
        square = self.builder.fmul(x, x)
        odd, even = self.horner(coefficients[1::2], square), self.horner(coefficients[::2], square)
        return self.call("fmuladd", odd, x, even)

    def shift_left(self, bits: Any) -> Any:
        """Move an integer to where the exponent is."""
        return self.builder.shl(bits, ir.Constant(self.integer, self.format.mantissa_bits))

    def power(self, biased: Any) -> Any:
        return self.as_number(self.shift_left(biased))

    def from_center(self, x: Any) -> Any:
        """Return the bits of x, moved so that the exponent changes at CENTER instead of 1 (of which both are 0)."""
        offset = self.format.pattern(1.0) - self.format.pattern(CENTER)
        return self.builder.add(self.bits(x), ir.Constant(self.integer, offset))


def _emitter(builder: ir.IRBuilder, value: Any) -> _Emitter:
    return _Emitter(builder, 32 if isinstance(value.type, ir.FloatType) else 64)


def constant(single: float, double: float | None = None) -> Any:
    """See `elementary_plain`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def value(_: Any, x: Any) -> Any:
        chosen = single if x.bitwidth == 32 or double is None else double
        return x(x), lambda _c, builder, _s, v: _emitter(builder, v[0]).number(chosen)

    return value


def polynomial(single: tuple[float, ...], double: tuple[float, ...]) -> Any:
    """See `elementary_plain`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def value(_: Any, x: Any) -> Any:
        coefficients = single if x.bitwidth == 32 else double

        def emit(_: Any, builder: Any, _s: Any, v: Any) -> Any:
            e = _emitter(builder, v[0])
            return e.polynomial([e.number(coefficient) for coefficient in coefficients], v[0])

        return x(x), emit

    return value


def polynomial_of(
    single: tuple[float, ...],
    double: tuple[float, ...],
    other_single: tuple[float, ...],
    other_double: tuple[float, ...],
) -> Any:
    """See `elementary_plain`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def value(_: Any, first: Any, x: Any) -> Any:
        pairs = list(zip(*((single, other_single) if x.bitwidth == 32 else (double, other_double)), strict=True))

        def emit(_: Any, builder: Any, _s: Any, v: Any) -> Any:
            e = _emitter(builder, v[1])
            first, second, *others = (builder.select(v[0], e.number(a), e.number(b)) for a, b in pairs)
            return e.horner([first, second, e.polynomial(others, v[1])], v[1])  # with fewer roundings near the end

        return x(types.boolean, x), emit

    return value


@intrinsic  # type: ignore[untyped-decorator]
def is_single(_: Any, x: Any) -> Any:
    """See `elementary_plain`."""
    answer = ir.Constant(ir.IntType(1), int(x.bitwidth == 32))
    return types.boolean(x), lambda _c, _b, _s, _v: answer


@intrinsic  # type: ignore[untyped-decorator]
def select(_: Any, condition: Any, x: Any, y: Any) -> Any:
    """See `elementary_plain`."""
    return x(types.boolean, x, x), lambda _c, builder, _s, v: builder.select(*v)


@intrinsic  # type: ignore[untyped-decorator]
def magnitude(_: Any, x: Any) -> Any:
    """See `elementary_plain`."""
    return x(x), lambda _c, builder, _s, v: _emitter(builder, v[0]).call("fabs", *v)


@intrinsic  # type: ignore[untyped-decorator]
def with_sign(_: Any, x: Any, sign: Any) -> Any:
    """See `elementary_plain`."""
    return x(x, x), lambda _c, builder, _s, v: _emitter(builder, v[0]).call("copysign", *v)


@intrinsic  # type: ignore[untyped-decorator]
def multiply_add(_: Any, x: Any, y: Any, z: Any) -> Any:
    """See `elementary_plain`."""
    return x(x, x, x), lambda _c, builder, _s, v: _emitter(builder, v[0]).call("fmuladd", *v)


@intrinsic  # type: ignore[untyped-decorator]
def power_of_two(_: Any, shifted: Any) -> Any:
    """See `elementary_plain`."""

    def emit(_: Any, builder: Any, _s: Any, v: Any) -> Any:
        e = _emitter(builder, v[0])
        return e.power(builder.add(e.bits(v[0]), ir.Constant(e.integer, e.format.bias)))

    return shifted(shifted), emit


@intrinsic  # type: ignore[untyped-decorator]
def scale(_: Any, x: Any, shifted: Any) -> Any:
    """See `elementary_plain`."""

    def emit(_: Any, builder: Any, _s: Any, v: Any) -> Any:
        e = _emitter(builder, v[0])
        offset = 2 * e.format.bias - e.format.pattern(e.format.shift)
        biased = builder.add(e.bits(v[1]), ir.Constant(e.integer, offset))
        first = builder.lshr(biased, ir.Constant(e.integer, 1))
        second = builder.sub(biased, first)
        return builder.fmul(builder.fmul(v[0], e.power(first)), e.power(second))

    return x(x, x), emit


@intrinsic  # type: ignore[untyped-decorator]
def exponent(_: Any, x: Any) -> Any:
    """See `elementary_plain`."""

    def emit(_: Any, builder: Any, _s: Any, v: Any) -> Any:
        e = _emitter(builder, v[0])
        unit = 2.0**e.format.mantissa_bits  # its lowest bits count ones
        biased = builder.lshr(e.from_center(v[0]), ir.Constant(e.integer, e.format.mantissa_bits))
        whole = e.as_number(builder.or_(biased, e.pattern(unit)))
        return builder.fsub(whole, e.number(unit + e.format.bias))

    return x(x), emit


@intrinsic  # type: ignore[untyped-decorator]
def mantissa(_: Any, x: Any) -> Any:
    """See `elementary_plain`."""

    def emit(_: Any, builder: Any, _s: Any, v: Any) -> Any:
        e = _emitter(builder, v[0])
        low = ir.Constant(e.integer, 2**e.format.mantissa_bits - 1)
        return e.as_number(builder.add(builder.and_(e.from_center(v[0]), low), e.pattern(CENTER)))

    return x(x), emit
