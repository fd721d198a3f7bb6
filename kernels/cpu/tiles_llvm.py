"""The operations of `kernels.cpu.tiles` as LLVM IR, in vectors of the host's width.

LLVM vectorises loops by itself, but it does not keep a tile of a matrix product in registers over a whole loop. Here
every accumulator is a register: one element of A is broadcast, a row of B is read as vectors, and each step of the
loop is `rows * vectors` fused multiply-adds. Each operation is emitted once per module, as a function with an unrolled
body for each height and width of the tile.

The scheme is that of Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (TOMS 2008), and of
BLIS (Van Zee and van de Geijn, TOMS 2015); reading an operand through a table of offsets, which makes a convolution a
matrix product without im2col, is known as indirect convolution (Dukhan, 2019).
"""

from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.cpu.host import host

__all__ = [
    "TILE_ROWS",
    "TILE_VECTORS",
    "copy_rows",
    "prefetch",
    "prefetch_soon",
    "prefetch_to_write",
    "tile",
    "tile_a_table",
    "tile_b_table",
    "transpose_block",
]

I64, I32, I1 = ir.IntType(64), ir.IntType(32), ir.IntType(1)
BYTE_POINTER = ir.IntType(8).as_pointer()

TILE_VECTORS = 2
REGISTER = host().register_constraint
TILE_ROWS = 14 if host().registers >= 32 else 6


def constant_int(value: int) -> ir.Constant:
    return ir.Constant(I64, value)


class Vector:
    """Vector operations of one element type at the host's width, emitted through an IR builder."""

    def __init__(self, builder: ir.IRBuilder, dtype: Any) -> None:
        self.builder = builder
        self.element = {4: ir.FloatType(), 8: ir.DoubleType()}[dtype.bitwidth // 8]
        self.itemsize = dtype.bitwidth // 8
        self.lanes = host().lanes(self.itemsize)
        self.type = ir.VectorType(self.element, self.lanes)
        self.mask_type = ir.VectorType(I1, self.lanes)
        self.suffix = f"v{self.lanes}f{dtype.bitwidth}"
        self.zero = ir.Constant(self.type, [0.0] * self.lanes)
        self.undefined = ir.Constant(self.type, ir.Undefined)

    def declare(self, name: str, result: Any, arguments: list[Any]) -> Any:
        known = self.builder.module.globals.get(name)
        return known or ir.Function(self.builder.module, ir.FunctionType(result, arguments), name)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        function = self.declare(f"llvm.fma.{self.suffix}", self.type, [self.type] * 3)
        return self.builder.call(function, [a, b, c])

    def vector_pointer(self, pointer: Any, offset: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(pointer, [offset]), self.type.as_pointer())

    def load(self, pointer: Any, offset: Any) -> Any:
        value = self.builder.load(self.vector_pointer(pointer, offset))
        value.align = self.itemsize
        return value

    def store(self, value: Any, pointer: Any, offset: Any) -> None:
        self.builder.store(value, self.vector_pointer(pointer, offset)).align = self.itemsize

    def load_masked(self, pointer: Any, offset: Any, mask: Any) -> Any:
        function = self.declare(
            f"llvm.masked.load.{self.suffix}.p0", self.type, [self.type.as_pointer(), I32, self.mask_type, self.type]
        )
        address = self.vector_pointer(pointer, offset)
        return self.builder.call(function, [address, ir.Constant(I32, self.itemsize), mask, self.zero])

    def store_masked(self, value: Any, pointer: Any, offset: Any, mask: Any) -> None:
        function = self.declare(
            f"llvm.masked.store.{self.suffix}.p0",
            ir.VoidType(),
            [self.type, self.type.as_pointer(), I32, self.mask_type],
        )
        address = self.vector_pointer(pointer, offset)
        self.builder.call(function, [value, address, ir.Constant(I32, self.itemsize), mask])

    def broadcast(self, pointer: Any, offset: Any) -> Any:
        value = self.builder.load(self.builder.gep(pointer, [offset]))
        value.align = self.itemsize
        first = self.builder.insert_element(self.undefined, value, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, self.undefined, zeros)

    def fence(self, value: Any) -> Any:
        """Return `value` unchanged, computed before any later load.

        LLVM's scheduler would else move all loads of a step to its start, run out of registers and spill the sums.
        """
        kind = ir.FunctionType(self.type, [self.type])
        return self.builder.asm(kind, "", f"={REGISTER},0,~{{memory}}", [value], True)

    def first_lanes(self, count: Any) -> Any:
        """Return the mask of the first `count` lanes (all of them if there are no more)."""
        lanes = ir.VectorType(I64, self.lanes)
        first = self.builder.insert_element(ir.Constant(lanes, ir.Undefined), count, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        counts = self.builder.shuffle_vector(first, ir.Constant(lanes, ir.Undefined), zeros)
        return self.builder.icmp_signed("<", ir.Constant(lanes, list(range(self.lanes))), counts)

    def interleave(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Return the two halves of a0 b0 a1 b1 ..."""
        half = self.lanes // 2
        kind = ir.VectorType(I32, self.lanes)
        halves = []
        for start in (0, half):
            index = [i for k in range(start, start + half) for i in (k, k + self.lanes)]
            halves.append(self.builder.shuffle_vector(a, b, ir.Constant(kind, index)))
        return halves[0], halves[1]


def _transposed(vector: Vector, rows: list[Any]) -> list[Any]:
    """Transpose a square block of registers: log2(lanes) rounds of perfect shuffles."""
    half = vector.lanes // 2
    for _ in range(vector.lanes.bit_length() - 1):
        pairs = [vector.interleave(rows[i], rows[i + half]) for i in range(half)]
        rows = [row for pair in pairs for row in pair]
    return rows


class _Tile:
    """The emitter of `tile`: one LLVM function that switches to an unrolled body for each height and width."""

    def __init__(self, module: ir.Module, dtype: Any, a_mode: str, b_mode: str) -> None:
        self.a_mode, self.b_mode = a_mode, b_mode
        element = {32: ir.FloatType(), 64: ir.DoubleType()}[dtype.bitwidth]
        pointer, table = element.as_pointer(), I64.as_pointer()
        kinds = [pointer, I64, I64, table, pointer, I64, table, I64, pointer, I64, I64, I64, I1]
        name = f"autodiff_tile_{a_mode}_{b_mode}_f{dtype.bitwidth}"
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        (self.a, self.a_row, self.a_step, self.a_table, self.b, self.b_step, self.b_table, self.count, self.c,
         self.c_row, self.rows, self.columns, self.accumulate) = self.function.args  # fmt: skip
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.vector = Vector(self.builder, dtype)
        self.emit()

    def emit(self) -> None:
        b, lanes = self.builder, self.vector.lanes
        wide = b.zext(b.icmp_signed(">", self.columns, constant_int(lanes)), I64)
        even = b.and_(b.add(self.rows, constant_int(1)), constant_int(-2))
        key = b.add(b.mul(even, constant_int(2)), wide)
        done = self.function.append_basic_block("done")
        switch = b.switch(key, done)
        for rows in range(2, TILE_ROWS + 1, 2):
            for vectors in range(1, TILE_VECTORS + 1):
                block = self.function.append_basic_block(f"tile{rows}x{vectors}")
                switch.add_case(constant_int(2 * rows + vectors - 1), block)
                b.position_at_end(block)
                self.emit_body(rows, vectors)
                b.branch(done)
        b.position_at_end(done)
        b.ret_void()

    def emit_body(self, rows: int, vectors: int) -> None:
        """One tile: zero the registers, run over k, then write or add to C.

        There are bodies for even heights only, which halves the time to compile: at an odd height the last row is
        computed twice.
        """
        b, v = self.builder, self.vector
        self.last = b.sub(self.rows, constant_int(1))
        mask = v.first_lanes(b.sub(self.columns, constant_int((vectors - 1) * v.lanes)))
        entry = b.block
        loop, end = self.function.append_basic_block("k"), self.function.append_basic_block("write")
        b.cbranch(b.icmp_signed(">", self.count, constant_int(0)), loop, end)
        b.position_at_end(loop)
        k = b.phi(I64)
        k.add_incoming(constant_int(0), entry)
        sums = [b.phi(v.type) for _ in range(rows * vectors)]
        for total in sums:
            total.add_incoming(v.zero, entry)
        new = self.emit_step(k, sums, rows, vectors, mask)
        following = b.add(k, constant_int(1))
        k.add_incoming(following, loop)
        for total, value in zip(sums, new, strict=True):
            total.add_incoming(value, loop)
        b.cbranch(b.icmp_signed("<", following, self.count), loop, end)
        b.position_at_end(end)
        results = []
        for value in new:
            result = b.phi(v.type)
            result.add_incoming(v.zero, entry)
            result.add_incoming(value, loop)
            results.append(result)
        with b.if_else(self.accumulate) as (adding, writing):
            with adding:
                self.emit_store(results, rows, vectors, mask, add=True)
            with writing:
                self.emit_store(results, rows, vectors, mask, add=False)

    def emit_step(self, k: Any, sums: list[Any], rows: int, vectors: int, mask: Any) -> list[Any]:
        """Return the sums after one more k."""
        b, v = self.builder, self.vector
        if self.b_mode == "table":
            b_start = b.load(b.gep(self.b_table, [b.add(k, self.b_step)]))
        else:
            b_start = b.mul(k, self.b_step)
        columns = []
        for j in range(vectors):
            offset = b.add(b_start, constant_int(j * v.lanes))
            if self.b_mode == "strided" and j == vectors - 1:  # what lies behind the last column may not be ours
                columns.append(v.load_masked(self.b, offset, mask))
            else:
                columns.append(v.load(self.b, offset))
        if self.a_mode == "table":
            a_start = b.load(b.gep(self.a_table, [b.add(k, self.a_step)]))
        else:
            a_start = b.mul(k, self.a_step)
        new = []
        for i in range(rows):
            row = self.last if i == rows - 1 else constant_int(i)
            value = v.broadcast(self.a, b.add(a_start, b.mul(self.a_row, row)))
            new += [v.fma(value, columns[j], sums[i * vectors + j]) for j in range(vectors)]
            new[-vectors:] = [v.fence(value) for value in new[-vectors:]]
        return new

    def emit_store(self, values: list[Any], rows: int, vectors: int, mask: Any, *, add: bool) -> None:
        b, v = self.builder, self.vector
        pairs = [(i, j) for i in range(rows) for j in range(vectors)]
        starts = [b.mul(self.c_row, self.last if i == rows - 1 else constant_int(i)) for i in range(rows)]
        offsets = {(i, j): b.add(starts[i], constant_int(j * v.lanes)) for i, j in pairs}
        totals = dict(zip(pairs, values, strict=True))
        if add:
            for at in reversed(pairs):  # the last two rows may be one: read both before either is written
                offset = offsets[at]
                old = v.load(self.c, offset) if at[1] < vectors - 1 else v.load_masked(self.c, offset, mask)
                totals[at] = b.fadd(old, totals[at])
        for at in pairs:
            if at[1] < vectors - 1:
                v.store(totals[at], self.c, offsets[at])
            else:
                v.store_masked(totals[at], self.c, offsets[at], mask)


def pointer_to(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, offset: Any = None) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return data if offset is None else builder.gep(data, [offset])


def _make_tile(a_mode: str, b_mode: str) -> Any:
    """Return the intrinsic for one way of reading A and one of reading B."""

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(
        _: Any, a: Any, a_at: Any, a_row: Any, a_step: Any, a_table: Any, b: Any, b_at: Any, b_step: Any, b_table: Any,
        count: Any, c: Any, c_at: Any, c_row: Any, rows: Any, columns: Any, accumulate: Any,
    ) -> Any:  # fmt: skip
        n = types.intp
        signature = types.void(a, n, n, n, a_table, b, n, n, b_table, n, c, n, n, n, n, types.boolean)

        def emit(context: Any, builder: ir.IRBuilder, signature: Any, v: Any) -> Any:
            name = f"autodiff_tile_{a_mode}_{b_mode}_f{a.dtype.bitwidth}"
            function = builder.module.globals.get(name) or _Tile(builder.module, a.dtype, a_mode, b_mode).function
            arrays = {i: pointer_to(context, builder, signature.args[i], v[i]) for i in (0, 4, 5, 8, 10)}
            for i in (0, 5, 10):
                arrays[i] = builder.gep(arrays[i], [v[i + 1]])
            arguments = [arrays.get(i, value) for i, value in enumerate(v) if i not in {1, 6, 11}]
            if arguments[-1].type != I1:
                arguments[-1] = builder.trunc(arguments[-1], I1)
            builder.call(function, arguments)
            return context.get_dummy_value()

        return signature, emit

    return tile


tile = _make_tile("strided", "strided")
tile_a_table = _make_tile("table", "strided")
tile_b_table = _make_tile("strided", "table")


def _make_block_operation(name: str, emit_function: Any) -> Any:
    """Return the intrinsic (source, at, row, rows, columns, out, out_at, out_row), emitted by `emit_function`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def block(
        _: Any, source: Any, at: Any, row: Any, rows: Any, columns: Any, out: Any, out_at: Any, out_row: Any
    ) -> Any:  # fmt: skip
        n = types.intp
        signature = types.void(source, n, n, n, n, out, n, n)

        def emit(context: Any, builder: ir.IRBuilder, signature: Any, v: Any) -> Any:
            kinds, module = signature.args, builder.module
            full_name = f"autodiff_{name}_f{source.dtype.bitwidth}"
            function = module.globals.get(full_name)
            if function is None:
                element = {32: ir.FloatType(), 64: ir.DoubleType()}[source.dtype.bitwidth]
                pointer = element.as_pointer()
                kind = ir.FunctionType(ir.VoidType(), [pointer, I64, I64, I64, pointer, I64])
                function = ir.Function(module, kind, full_name)
                function.linkage = "internal"
                function.attributes.add("noinline")
                emit_function(function, source.dtype)
            source_pointer = pointer_to(context, builder, kinds[0], v[0], v[1])
            out_pointer = pointer_to(context, builder, kinds[5], v[5], v[6])
            builder.call(function, [source_pointer, v[2], v[3], v[4], out_pointer, v[7]])
            return context.get_dummy_value()

        return signature, emit

    return block


def _emit_transpose(function: ir.Function, dtype: Any) -> None:
    source, row, rows, columns, out, out_row = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    vector = Vector(builder, dtype)
    last = builder.sub(rows, constant_int(1))
    inside = vector.first_lanes(columns)
    loaded = []
    for i in range(vector.lanes):
        clamped = builder.select(builder.icmp_signed("<", constant_int(i), rows), constant_int(i), last)
        loaded.append(vector.load_masked(source, builder.mul(row, clamped), inside))
    mask, nothing = vector.first_lanes(rows), vector.first_lanes(constant_int(0))
    for k, value in enumerate(_transposed(vector, loaded)):
        wanted = builder.select(builder.icmp_signed("<", constant_int(k), columns), mask, nothing)
        vector.store_masked(value, out, builder.mul(out_row, constant_int(k)), wanted)
    builder.ret_void()


def _emit_copy(function: ir.Function, dtype: Any) -> None:
    source, row, rows, columns, out, out_row = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    vector = Vector(builder, dtype)
    masks = [vector.first_lanes(builder.sub(columns, constant_int(j * vector.lanes))) for j in range(2)]
    entry, loop, done = builder.block, function.append_basic_block("row"), function.append_basic_block("done")
    builder.cbranch(builder.icmp_signed(">", rows, constant_int(0)), loop, done)
    builder.position_at_end(loop)
    i = builder.phi(I64)
    i.add_incoming(constant_int(0), entry)
    start, target = builder.mul(i, row), builder.mul(i, out_row)
    prefetch = vector.declare("llvm.prefetch.p0", ir.VoidType(), [BYTE_POINTER, I32, I32, I32])
    ahead = builder.mul(builder.add(i, constant_int(16)), row)  # rows may lie pages apart: fetch early
    for j in range(2):
        address = builder.gep(source, [builder.add(ahead, constant_int(j * vector.lanes))])
        address = builder.bitcast(address, BYTE_POINTER)
        builder.call(prefetch, [address, ir.Constant(I32, 0), ir.Constant(I32, 3), ir.Constant(I32, 1)])
    for j, mask in enumerate(masks):
        offset = constant_int(j * vector.lanes)
        value = vector.load_masked(source, builder.add(start, offset), mask)
        vector.store_masked(value, out, builder.add(target, offset), mask)
    following = builder.add(i, constant_int(1))
    i.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, rows), loop, done)
    builder.position_at_end(done)
    builder.ret_void()


transpose_block = _make_block_operation("transpose", _emit_transpose)
copy_rows = _make_block_operation("copy", _emit_copy)


def _emit_prefetch(context: Any, builder: ir.IRBuilder, signature: Any, v: Any, *, write: bool, near: int = 3) -> Any:
    address = builder.bitcast(pointer_to(context, builder, signature.args[0], v[0], v[1]), BYTE_POINTER)
    name, kind = "llvm.prefetch.p0", ir.FunctionType(ir.VoidType(), [BYTE_POINTER, I32, I32, I32])
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    builder.call(function, [address, *(ir.Constant(I32, i) for i in (int(write), near, 1))])
    return context.get_dummy_value()


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(_: Any, array: Any, at: Any) -> Any:
    """Ask for the cache line of one item, which is about to be read."""
    return types.void(array, types.intp), functools.partial(_emit_prefetch, write=False)


@intrinsic  # type: ignore[untyped-decorator]
def prefetch_soon(_: Any, array: Any, at: Any) -> Any:
    """Ask for the cache line of one item in the second cache: it is not needed yet."""
    return types.void(array, types.intp), functools.partial(_emit_prefetch, write=False, near=2)


@intrinsic  # type: ignore[untyped-decorator]
def prefetch_to_write(_: Any, array: Any, at: Any) -> Any:
    """Ask for the cache line of one item, which is about to be written."""
    return types.void(array, types.intp), functools.partial(_emit_prefetch, write=True)
