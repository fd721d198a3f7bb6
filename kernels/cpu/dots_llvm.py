"""Tiles of dot products as LLVM IR: vectors run along the terms, where a matrix has too few columns to fill one.

Every accumulator is a register with partial sums of one item of the result; a tile of `DOTS` x `DOTS` of them reads
each vector of A and of B once for as many multiply-adds. At the end the partial sums are added in a tree that turns as
many registers as a vector has lanes into one, two shuffles and an addition for each pair.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.cpu.host import host
from kernels.cpu.tiles_llvm import I1, I64, Vector, constant_int, pointer_to

__all__ = ["DOTS", "dots"]

DOTS = 5 if host().registers >= 32 else 3


class _Dots:
    """The emitter of `dots`: one LLVM function with an unrolled body for each number of columns."""

    def __init__(self, module: ir.Module, dtype: Any, name: str) -> None:
        self.element = {32: ir.FloatType(), 64: ir.DoubleType()}[dtype.bitwidth]
        pointer = self.element.as_pointer()
        kinds = [pointer, I64, pointer, I64, I64, pointer, I64, I64, I64, I1]
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        (self.a, self.a_row, self.b, self.b_row, self.count, self.c, self.c_row, self.rows, self.columns,
         self.accumulate) = self.function.args  # fmt: skip
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.vector = Vector(self.builder, dtype)
        done = self.function.append_basic_block("done")
        b, v = self.builder, self.vector
        self.whole = b.and_(self.count, constant_int(-v.lanes))
        self.rest = v.first_lanes(b.sub(self.count, self.whole))
        vectors = -(-DOTS * DOTS // v.lanes)
        self.room = b.alloca(self.element, vectors * v.lanes)
        last = b.sub(self.rows, constant_int(1))  # rows that are not there repeat the last one, and are not written
        at = [b.select(b.icmp_signed("<", constant_int(i), last), constant_int(i), last) for i in range(DOTS)]
        self.a_rows = [b.gep(self.a, [b.mul(self.a_row, i)]) for i in at]
        switch = b.switch(self.columns, done)
        for columns in range(1, DOTS + 1):
            block = self.function.append_basic_block(f"columns{columns}")
            switch.add_case(constant_int(columns), block)
            b.position_at_end(block)
            self.emit_body(columns)
            b.branch(done)
        b.position_at_end(done)
        b.ret_void()

    def emit_body(self, columns: int) -> None:
        """Run over whole vectors of terms, then over the rest, then add up and write."""
        b, v = self.builder, self.vector
        b_columns = [b.gep(self.b, [b.mul(self.b_row, constant_int(j))]) for j in range(columns)]
        entry = b.block
        loop, rest, tail, end = (self.function.append_basic_block(name) for name in ("k", "rest", "tail", "write"))
        b.cbranch(b.icmp_signed(">", self.whole, constant_int(0)), loop, rest)
        b.position_at_end(loop)
        k = b.phi(I64)
        k.add_incoming(constant_int(0), entry)
        sums = [b.phi(v.type) for _ in range(DOTS * columns)]
        new = self.emit_step(sums, b_columns, lambda pointer: v.load(pointer, k))
        following = b.add(k, constant_int(v.lanes))
        k.add_incoming(following, loop)
        for total, value in zip(sums, new, strict=True):
            total.add_incoming(v.zero, entry)
            total.add_incoming(value, loop)
        b.cbranch(b.icmp_signed("<", following, self.whole), loop, rest)
        b.position_at_end(rest)
        sums = self.joined([(v.zero, entry)] * len(new), [(value, loop) for value in new])
        b.cbranch(b.icmp_signed("<", self.whole, self.count), tail, end)
        b.position_at_end(tail)
        new = self.emit_step(sums, b_columns, lambda pointer: v.load_masked(pointer, self.whole, self.rest))
        b.branch(end)
        b.position_at_end(end)
        self.emit_write(self.joined([(value, rest) for value in sums], [(value, tail) for value in new]), columns)

    def joined(self, *ways: list[tuple[Any, Any]]) -> list[Any]:
        found = []
        for incoming in zip(*ways, strict=True):
            value = self.builder.phi(self.vector.type)
            for way in incoming:
                value.add_incoming(*way)
            found.append(value)
        return found

    def emit_step(self, sums: list[Any], b_columns: list[Any], load: Any) -> list[Any]:
        v, columns = self.vector, len(b_columns)
        right = [load(pointer) for pointer in b_columns]
        new = []
        for i, pointer in enumerate(self.a_rows):
            left = load(pointer)
            new += [v.fma(left, right[j], sums[i * columns + j]) for j in range(columns)]
        return new

    def emit_write(self, sums: list[Any], columns: int) -> None:
        """Add the lanes of each sum, and write the results of the rows that are there."""
        b, v = self.builder, self.vector
        for first in range(0, len(sums), v.lanes):
            group = sums[first : first + v.lanes]
            group += [v.zero] * (v.lanes - len(group))
            while len(group) > 1:
                half = len(group) // 2
                pairs = [v.interleave(group[i], group[i + half]) for i in range(half)]
                group = [b.fadd(low, high) for low, high in pairs]
            v.store(group[0], self.room, constant_int(first))
        for i in range(DOTS):
            with b.if_then(b.icmp_signed("<", constant_int(i), self.rows)):
                start = b.mul(self.c_row, constant_int(i))
                for j in range(columns):
                    value = b.load(b.gep(self.room, [constant_int(i * columns + j)]))
                    place = b.gep(self.c, [b.add(start, constant_int(j))])
                    old = b.select(self.accumulate, b.load(place), ir.Constant(self.element, 0.0))
                    b.store(b.fadd(old, value), place)


@intrinsic  # type: ignore[untyped-decorator]
def dots(
    _: Any, a: Any, a_at: Any, a_row: Any, b: Any, b_at: Any, b_row: Any, count: Any, c: Any, c_at: Any, c_row: Any,
    rows: Any, columns: Any, accumulate: Any,
) -> Any:  # fmt: skip
    """See `kernels.cpu.tiles`."""
    n = types.intp
    signature = types.void(a, n, n, b, n, n, n, c, n, n, n, n, types.boolean)

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, v: Any) -> Any:
        name = f"autodiff_dots_f{a.dtype.bitwidth}"
        function = builder.module.globals.get(name) or _Dots(builder.module, a.dtype, name).function
        left, right, out = (pointer_to(context, builder, signature.args[i], v[i], v[i + 1]) for i in (0, 3, 7))
        flag = v[12] if v[12].type == I1 else builder.trunc(v[12], I1)
        builder.call(function, [left, v[2], right, v[5], v[6], out, v[9], v[10], v[11], flag])
        return context.get_dummy_value()

    return signature, emit
