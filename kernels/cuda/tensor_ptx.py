"""Instructions that CUDA's languages reach through inline PTX only, and twins that the simulator can run.

Shared memory is an array of 32-bit words. The twin of an asynchronous copy happens when it is waited for, not before,
or, with `EAGER`, at once: hardware may do either, so results must not depend on it.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from kernels.cuda import tensor_layout as layout
from kernels.cuda.launch import SIMULATED

__all__ = [
    "ITEMS",
    "commit",
    "copy_chunk",
    "load_fragment",
    "multiply",
    "read_float",
    "round_tf32",
    "store_pair",
    "wait_for",
]

ITEMS = {"f16": 8, "bf16": 8, "tf32": 4}  # of 16 bytes
SHAPES = {"f16": "m16n8k16", "bf16": "m16n8k16", "tf32": "m16n8k8"}

if SIMULATED:
    import threading

    EAGER = False
    waiting = threading.local()  # copies not yet committed, and groups of committed ones; every thread has its own

    def plain(x: Any) -> Any:
        """Return the NumPy array of a simulated one."""
        return getattr(x, "_ary", x)

    def queue() -> Any:
        if not hasattr(waiting, "copies"):
            waiting.copies, waiting.groups = [], []
        return waiting

    def copy_chunk(shared, chunk, x, at, count):
        """Copy `count` items from item `at` of global memory to a chunk of shared memory; fill it with zeros."""
        source = np.zeros(16 // plain(x).itemsize, plain(x).dtype)
        source[:count] = plain(x)[at : at + count]

        def perform():
            plain(shared)[4 * chunk : 4 * chunk + 4] = source.view(np.uint32)

        if EAGER:
            perform()
        else:
            queue().copies.append(perform)

    def commit():
        """Close a group of copies."""
        queue().groups.append(queue().copies)
        queue().copies = []

    def wait_for(pending: int) -> Any:
        """Return a function that waits until this thread has no more than `pending` groups of copies under way."""

        def wait():
            groups = queue().groups
            while len(groups) > pending:
                for perform in groups.pop(0):
                    perform()

        return wait

    def load_fragment(kind: str, along: int) -> Any:
        """Return a function that reads the four registers of a lane for 16 rows and one step of the terms.

        `places` holds what `fragment_places` found, for all threads: a lane is given what others point at.
        """

        def load(registers, first, shared, base, places, index, t):
            words = plain(shared)
            lane, warp = int(t) % 32, int(t) // 32 * 32
            for register in range(4):
                if ITEMS[kind] == 4 and along == 0:
                    registers[first + register] = words[base + places[t][4 * index + register]]
                elif along == 1:
                    row = base + places[warp + 8 * register + lane // 4][4 * index]
                    registers[first + register] = words[row + lane % 4]
                else:  # turned: two items of a column, from two rows
                    rows = [base + places[warp + 8 * register + lane % 4 * 2 + half][4 * index] for half in range(2)]
                    pair = [words[row : row + 4].view(np.uint16)[lane // 4] for row in rows]
                    registers[first + register] = np.array(pair, np.uint16).view(np.uint32)[0]

        return load

    def from_bits(bits: Any, kind: str) -> Any:
        """Return float32 numbers of 16-bit words, or of 32-bit ones."""
        if kind == "tf32":
            return bits.view(np.float32)
        if kind == "f16":
            return bits.view(np.float16).astype(np.float32)
        return (bits.astype(np.uint32) << 16).view(np.float32)

    def to_bits(value: Any, kind: str) -> Any:
        """Return the 16-bit word of a number, rounded to nearest, ties to even."""
        if kind == "f16":
            with np.errstate(over="ignore"):
                return np.float32(value).astype(np.float16).view(np.uint16)
        bits = int(np.float32(value).view(np.uint32))
        if np.isnan(value):
            return np.uint16(0x7FFF)
        return np.uint16((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)

    def round_tf32(count: int) -> Any:
        """Return a function that rounds 32-bit registers to tf32, ties away from zero."""

        def convert(registers):
            bits = np.array([registers[i] for i in range(count)], np.uint32)
            finite = (bits & 0x7F800000) != 0x7F800000
            for i, value in enumerate(np.where(finite, (bits + 0x1000) & 0xFFFFE000, bits)):
                registers[i] = value

        return convert

    @functools.cache
    def lanes_of(second: int, register: int, half: int, items: int) -> Any:
        """Return the rows and columns of a register's items in all lanes."""
        item = layout.b_item if second else layout.a_item
        return tuple(np.array([item(lane, register, half, items) for lane in range(32)]).T)

    def fragments(kind: str, registers: Any, second: int, squares: int, count: int) -> Any:
        """Return matrices from the registers of all lanes, (lanes, squares * count), by the documented layout."""
        items = ITEMS[kind]
        halves = 1 if items == 4 else 2
        found = np.empty((squares, *((2 * items, 8) if second else (16, 2 * items))), np.float32)
        words = np.ascontiguousarray(registers).view(np.uint32 if halves == 1 else np.uint16)
        values = from_bits(words.reshape(-1), kind).reshape(32, squares, count, halves)
        for register in range(count):
            for half in range(halves):
                rows, columns = lanes_of(second, register, half, items)
                found[:, rows, columns] = values[:, :, register, half].T
        return found

    def multiply(kind: str, squares: int, pairs: int) -> Any:
        """Return a function that adds the products of all registers of a warp to those sums that a lane has."""

        def add(sums, lane, a_registers, b_registers):
            a = fragments(kind, a_registers, 0, squares, 4)
            b = fragments(kind, b_registers, 1, 2 * pairs, 2)
            with np.errstate(invalid="ignore"):
                for i in range(squares):
                    for j in range(2 * pairs):
                        for register in range(4):
                            row, column = layout.c_item(lane, register)
                            sums[(i * 2 * pairs + j) * 4 + register] += np.dot(a[i, row], b[j, :, column])

        return add

    def read_float(kind: str) -> Any:
        """Return a function that reads a number of an array as a float32."""

        def read(x, at):
            return from_bits(plain(x)[at : at + 1], kind)[0]

        return read

    def store_pair(kind: str) -> Any:
        """Return a function that writes one or two float32 numbers side by side, rounded to the array's precision."""

        def store(x, at, first, second, count, together):
            for i, value in enumerate((first, second)[:count]):
                x[at + i] = value if kind == "tf32" else to_bits(value, kind)

        return store

else:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    I8, I16, I32, I64, F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
    VOID = ir.VoidType()

    def assembly(builder: Any, result: Any, text: str, constraints: str, arguments: Any, *, effects: bool) -> Any:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        constraints = ",".join(filter(None, (constraints, "~{memory}" if effects else "")))
        return builder.call(ir.InlineAsm(kind, text, constraints, side_effect=effects), arguments)

    def global_place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
        """Return the number of an item's address in global memory."""
        data = context.make_array(kind)(context, builder, array).data
        place = builder.bitcast(builder.gep(data, [index]), I8.as_pointer())
        return builder.ptrtoint(builder.addrspacecast(place, I8.as_pointer(1)), I64)

    def item_pointer(context: Any, builder: Any, kind: Any, array: Any, index: int) -> Any:
        data = context.make_array(kind)(context, builder, array).data
        return builder.gep(data, [ir.Constant(I64, index)])

    def shared_place(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
        """Return the number of an address in shared memory, 32 bits, some bytes behind the beginning of an array."""
        data = builder.bitcast(context.make_array(kind)(context, builder, array).data, I8.as_pointer())
        return builder.add(builder.ptrtoint(builder.addrspacecast(data, I8.as_pointer(3)), I32), offset)

    def quadruple(kind: Any) -> Any:
        return ir.LiteralStructType([kind] * 4)

    @intrinsic  # type: ignore[untyped-decorator]
    def copy_chunk(typing: Any, shared: Any, chunk: Any, x: Any, at: Any, count: Any) -> Any:
        """Copy `count` items from item `at` of global memory to a chunk of shared memory; fill it with zeros."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            shared_type, _, x_type, *_ = signature.args
            offset = builder.shl(builder.trunc(arguments[1], I32), ir.Constant(I32, 4))
            to = shared_place(context, builder, shared_type, arguments[0], offset)
            source = global_place(context, builder, x_type, arguments[2], arguments[3])
            size = context.get_abi_sizeof(context.get_data_type(x_type.dtype))
            count = builder.mul(builder.trunc(arguments[4], I32), ir.Constant(I32, size))
            text = "cp.async.cg.shared.global [$0], [$1], 16, $2;"
            assembly(builder, VOID, text, "r,l,r", [to, source, count], effects=True)
            return context.get_dummy_value()

        return types.none(shared, types.int64, x, types.int64, types.int64), generate

    @intrinsic  # type: ignore[untyped-decorator]
    def commit(typing: Any) -> Any:
        """Close a group of copies."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            assembly(builder, VOID, "cp.async.commit_group;", "", [], effects=True)
            return context.get_dummy_value()

        return types.none(), generate

    def wait_for(pending: int) -> Any:
        """Return a function that waits until this thread has no more than `pending` groups of copies under way."""

        @intrinsic  # type: ignore[untyped-decorator]
        def wait(typing: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                assembly(builder, VOID, f"cp.async.wait_group {pending};", "", [], effects=True)
                return context.get_dummy_value()

            return types.none(), generate

        return wait

    def load_fragment(kind: str, along: int) -> Any:
        """Return a function that reads the four registers of a lane for 16 rows and one step of the terms.

        `places` holds what `fragment_places` found for this lane; `base` and they count words, `index` counts squares.
        """
        turned = ".trans" if along == 0 else ""
        matrices = f"ldmatrix.sync.aligned.m8n8.x4{turned}.shared.b16 {{$0,$1,$2,$3}}, [$4];"

        def fours(builder: Any, word: Any) -> Any:
            return builder.shl(word, ir.Constant(I32, 2))

        @intrinsic  # type: ignore[untyped-decorator]
        def load(
            typing: Any, registers: Any, first: Any, shared: Any, base: Any, places: Any, index: Any, t: Any
        ) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                kinds = signature.args
                data = context.make_array(kinds[0])(context, builder, arguments[0]).data
                table = context.make_array(kinds[4])(context, builder, arguments[4]).data
                offset = fours(builder, builder.trunc(arguments[3], I32))
                at = builder.shl(arguments[5], ir.Constant(I64, 2))
                words = []
                if ITEMS[kind] == 4 and along == 0:
                    for i in range(4):
                        word = builder.load(builder.gep(table, [builder.add(at, ir.Constant(I64, i))]))
                        place = builder.add(offset, fours(builder, word))
                        place = shared_place(context, builder, kinds[2], arguments[2], place)
                        text = "ld.shared.b32 $0, [$1];"
                        words.append(assembly(builder, I32, text, "=r,r", [place], effects=True))
                else:
                    place = builder.add(offset, fours(builder, builder.load(builder.gep(table, [at]))))
                    place = shared_place(context, builder, kinds[2], arguments[2], place)
                    found = assembly(builder, quadruple(I32), matrices, "=r,=r,=r,=r,r", [place], effects=True)
                    words = [builder.extract_value(found, i) for i in range(4)]
                for i, word in enumerate(words):
                    builder.store(word, builder.gep(data, [builder.add(arguments[1], ir.Constant(I64, i))]))
                return context.get_dummy_value()

            number = types.int64
            return types.none(registers, number, shared, number, places, number, number), generate

        return load

    def round_tf32(count: int) -> Any:
        """Return a function that rounds 32-bit registers to tf32, ties away from zero."""

        @intrinsic  # type: ignore[untyped-decorator]
        def convert(typing: Any, registers: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                for i in range(count):
                    place = item_pointer(context, builder, signature.args[0], arguments[0], i)
                    word = [builder.load(place)]
                    word = assembly(builder, I32, "cvt.rna.tf32.f32 $0, $1;", "=r,r", word, effects=False)
                    builder.store(word, place)
                return context.get_dummy_value()

            return types.none(registers), generate

        return convert

    def multiply(kind: str, squares: int, pairs: int) -> Any:
        """Return a function that adds the products of all registers of a warp to those sums that a lane has."""
        text = f"mma.sync.aligned.{SHAPES[kind]}.row.col.f32.{kind}.{kind}.f32 "
        text += "{$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};"
        constraints = "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f"

        @intrinsic  # type: ignore[untyped-decorator]
        def add(typing: Any, sums: Any, lane: Any, a_registers: Any, b_registers: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                places = [
                    functools.partial(item_pointer, context, builder, signature.args[i], arguments[i])
                    for i in (0, 2, 3)
                ]
                a = [builder.load(places[1](i)) for i in range(4 * squares)]
                b = [builder.load(places[2](i)) for i in range(4 * pairs)]
                for i in range(squares):
                    for j in range(2 * pairs):
                        at = [places[0]((i * 2 * pairs + j) * 4 + register) for register in range(4)]
                        operands = a[4 * i : 4 * i + 4] + b[2 * j : 2 * j + 2] + [builder.load(place) for place in at]
                        found = assembly(builder, quadruple(F32), text, constraints, operands, effects=False)
                        for register, place in enumerate(at):
                            builder.store(builder.extract_value(found, register), place)
                return context.get_dummy_value()

            return types.none(sums, types.int64, a_registers, b_registers), generate

        return add

    def read_float(kind: str) -> Any:
        """Return a function that reads a number of an array as a float32."""

        @intrinsic  # type: ignore[untyped-decorator]
        def read(typing: Any, x: Any, at: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
                value = builder.load(builder.gep(data, [arguments[1]]))
                if kind == "f16":
                    value = builder.fpext(builder.bitcast(value, ir.HalfType()), F32)
                elif kind == "bf16":
                    value = builder.bitcast(builder.shl(builder.zext(value, I32), ir.Constant(I32, 16)), F32)
                return value

            return types.float32(x, types.int64), generate

        return read

    def store_pair(kind: str) -> Any:
        """Return a function that writes one or two float32 numbers side by side, rounded to the array's precision."""

        @intrinsic  # type: ignore[untyped-decorator]
        def store(typing: Any, x: Any, at: Any, first: Any, second: Any, count: Any, together: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
                place = builder.gep(data, [arguments[1]])
                values = [narrow(builder, value, kind) for value in arguments[2:4]]
                size = 4 if kind == "tf32" else 2
                two = builder.icmp_signed(">", arguments[4], ir.Constant(I64, 1))
                vector = builder.and_(two, builder.icmp_signed("==", arguments[5], ir.Constant(I64, 1)))
                with builder.if_else(vector) as (whole, parts):
                    with whole:
                        pair = ir.Constant(ir.VectorType(values[0].type, 2), ir.Undefined)
                        for i, value in enumerate(values):
                            pair = builder.insert_element(pair, value, ir.Constant(I32, i))
                        builder.store(pair, builder.bitcast(place, pair.type.as_pointer()), align=2 * size)
                    with parts:
                        builder.store(values[0], place)
                        with builder.if_then(two):
                            builder.store(values[1], builder.gep(place, [ir.Constant(I64, 1)]))
                return context.get_dummy_value()

            return types.none(x, types.int64, types.float32, types.float32, types.int64, types.int64), generate

        return store

    def narrow(builder: Any, value: Any, kind: str) -> Any:
        """Return a float32 as the word of an array."""
        if kind == "f16":
            return builder.bitcast(builder.fptrunc(value, ir.HalfType()), I16)
        if kind == "bf16":
            return assembly(builder, I16, "cvt.rn.bf16.f32 $0, $1;", "=h,f", [value], effects=False)
        return value
