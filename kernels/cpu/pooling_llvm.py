"""Windows of a whole vector of neighbours at a time: what LLVM does not find by itself in the loops of pooling.

All arrays are one-dimensional, offsets and strides count items, `count` is at most the number of lanes.

- `max_lanes(x, at, row, tap, rows, taps, place, place_row, lane_place, count, y, y_at, index, index_at)`:
  `y[j] = max of x[at + h * row + w * tap + j]` over h < rows, w < taps, and in `index[j]` the position
  `place + h * place_row + w + j * lane_place` of the first maximum.
- `max_even_lanes`: the same with `x[at + h * row + w * tap + 2 * j]` and positions `... + 2 * j`.
- `max_run(x, at, count, place, y, index, out_at)`: the maximum of x[at + k] over k < count, of any size, and the
  position `place + k` of the first.
- `add_where(g, index, at, row, tap, rows, taps, place, count, out, out_at)`: `out[j] = sum of g[at + h * row +
  w * tap + j]` over those h < rows, w < taps whose `index` there is `place`.
- `spread_pairs(g, index, at, place, width, count, out, out_at)`: two rows of `out`, `width` apart; item 2 j or 2 j + 1
  of the first or second is `g[at + j]` where `index[at + j]` is its position, counted from `place`; the others are 0.
- `spread_even_where(g, index, at, row, rows, first, taps, next_first, next_taps, length, place, count, out, out_at)`:
  `out[2 * j] = sum of g[at + h * row + first + w + j]` over those h < rows, w < taps whose `index` there is
  `place + 2 * j`, and `out[2 * j + 1]` the same from `next_first` and `next_taps`; only items 0 <= first + w + j <
  length are read; `count` items of `out`, at most twice the lanes.
- `fill_lanes(value, out, out_at, count)`: `out[j] = value`.
- `prefetch_to_read(x, at)`: fetch the cache line of an item early; it need not exist.
- `lanes_of(x)`, `items_per_line(x)`: the number of items in a vector, and in 64 bytes of memory, known to the
  compiler: a `count` of just as many as there are lanes needs no mask.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.cpu.host import host
from kernels.cpu.tiles_llvm import BYTE_POINTER, I32, I64, Vector, constant_int, pointer_to

__all__ = [
    "add_where",
    "call_once",
    "fill_lanes",
    "items_per_line",
    "lanes_of",
    "max_even_lanes",
    "max_lanes",
    "max_run",
    "prefetch_to_read",
    "spread_even_where",
    "spread_pairs",
    "store_pairs",
]


INDEX = ir.IntType(32)


def call_once(builder: ir.IRBuilder, context: Any, signature: Any, values: Any, name: str, body: Any) -> Any:
    """Call the function `body` emits; array arguments become pointers. It is emitted once per module."""
    arguments = [
        pointer_to(context, builder, kind, value) if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, values, strict=True)
    ]
    element = next(kind.dtype for kind in signature.args if isinstance(kind, types.Array))
    full_name = f"autodiff_{name}_f{element.bitwidth}"
    function = builder.module.globals.get(full_name)
    if function is None:
        kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        function = ir.Function(builder.module, kind, full_name)
        function.linkage = "internal"
        function.attributes.add("alwaysinline")
        inner = ir.IRBuilder(function.append_basic_block("entry"))
        body(Lanes(inner, element), *function.args)
        inner.ret_void()
    builder.call(function, arguments)
    return context.get_dummy_value()


class Lanes(Vector):
    """Vectors of numbers beside vectors of as many 32-bit positions."""

    def __init__(self, builder: ir.IRBuilder, dtype: Any) -> None:
        super().__init__(builder, dtype)
        self.positions = ir.VectorType(INDEX, self.lanes)
        self.position_suffix = f"v{self.lanes}i32"

    def splat(self, value: Any) -> Any:
        """Return a vector of a 64-bit integer, cut to 32 bits."""
        narrow = self.builder.trunc(value, INDEX)
        first = self.builder.insert_element(ir.Constant(self.positions, ir.Undefined), narrow, ir.Constant(I32, 0))
        zeros = ir.Constant(self.positions, [0] * self.lanes)
        return self.builder.shuffle_vector(first, ir.Constant(self.positions, ir.Undefined), zeros)

    def splat_number(self, value: Any) -> Any:
        first = self.builder.insert_element(self.undefined, value, ir.Constant(I32, 0))
        zeros = ir.Constant(self.positions, [0] * self.lanes)
        return self.builder.shuffle_vector(first, self.undefined, zeros)

    def ramp(self, step: Any) -> Any:
        """Return 0, step, 2 step ..."""
        return self.builder.mul(self.splat(step), ir.Constant(self.positions, list(range(self.lanes))))

    def position_pointer(self, pointer: Any, offset: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(pointer, [offset]), self.positions.as_pointer())

    def load_positions(self, pointer: Any, offset: Any, mask: Any) -> Any:
        kinds = [self.positions.as_pointer(), I32, self.mask_type, self.positions]
        function = self.declare(f"llvm.masked.load.{self.position_suffix}.p0", self.positions, kinds)
        nothing = ir.Constant(self.positions, [-1] * self.lanes)
        return self.builder.call(function, [self.position_pointer(pointer, offset), ir.Constant(I32, 4), mask, nothing])

    def store_positions(self, value: Any, pointer: Any, offset: Any, mask: Any) -> None:
        kinds = [self.positions, self.positions.as_pointer(), I32, self.mask_type]
        function = self.declare(f"llvm.masked.store.{self.position_suffix}.p0", ir.VoidType(), kinds)
        self.builder.call(function, [value, self.position_pointer(pointer, offset), ir.Constant(I32, 4), mask])

    def load_two(self, pointer: Any, offset: Any, count: Any, taps: Any) -> tuple[Any, Any, Any]:
        """Return items 0, 2, 4 ..., items 1, 3, 5 ..., and the mask of the latter: all or none, if `taps` is 1.

        They lie in the same two vectors of memory, of which no more is read than `count` of either, or of the first.
        """
        b = self.builder
        second = b.icmp_signed(">", taps, constant_int(1))
        reach = b.sub(b.mul(count, constant_int(2)), b.select(second, constant_int(0), constant_int(1)))
        parts = []
        for i in range(2):
            start = constant_int(i * self.lanes)
            parts.append(self.load_masked(pointer, b.add(offset, start), self.first_lanes(b.sub(reach, start))))
        evens, odds = (ir.Constant(self.positions, list(range(start, 2 * self.lanes, 2))) for start in range(2))
        on, off = (ir.Constant(self.mask_type, [value] * self.lanes) for value in (1, 0))
        return b.shuffle_vector(*parts, evens), b.shuffle_vector(*parts, odds), b.select(second, on, off)

    def window(self, rows: Any, taps: Any, start: list[Any], step: Any) -> list[Any]:
        """Run `step(h, w, values) -> values` over the taps of a window, and return the last values."""
        b, function = self.builder, self.builder.function
        entry = b.block
        outer, inner = function.append_basic_block("row"), function.append_basic_block("tap")
        next_row, done = function.append_basic_block("next"), function.append_basic_block("done")
        b.branch(outer)
        b.position_at_end(outer)
        h = b.phi(I64)
        h.add_incoming(constant_int(0), entry)
        outer_values = [b.phi(value.type) for value in start]
        for phi, value in zip(outer_values, start, strict=True):
            phi.add_incoming(value, entry)
        b.branch(inner)
        b.position_at_end(inner)
        w = b.phi(I64)
        w.add_incoming(constant_int(0), outer)
        values = [b.phi(value.type) for value in start]
        for phi, value in zip(values, outer_values, strict=True):
            phi.add_incoming(value, outer)
        new: list[Any] = step(h, w, values)
        following = b.add(w, constant_int(1))
        w.add_incoming(following, inner)
        for phi, value in zip(values, new, strict=True):
            phi.add_incoming(value, inner)
        b.cbranch(b.icmp_signed("<", following, taps), inner, next_row)
        b.position_at_end(next_row)
        row = b.add(h, constant_int(1))
        h.add_incoming(row, next_row)
        for phi, value in zip(outer_values, new, strict=True):
            phi.add_incoming(value, next_row)
        b.cbranch(b.icmp_signed("<", row, rows), outer, done)
        b.position_at_end(done)
        return new


def _wins(v: Lanes, value: Any, best: Any) -> Any:
    """Where a later value replaces the maximum so far: the first NaN does."""
    greater = v.builder.fcmp_unordered(">", value, best)  # or either is NaN
    return v.builder.and_(greater, v.builder.fcmp_ordered("ord", best, best))


def _emit_max(even: bool) -> Any:
    def body(
        v: Lanes, x: Any, at: Any, row: Any, tap: Any, rows: Any, taps: Any, place: Any, place_row: Any,
        lane_place: Any, count: Any, y: Any, y_at: Any, index: Any, index_at: Any,
    ) -> None:  # fmt: skip
        b, one = v.builder, constant_int(1)
        mask, base = v.first_lanes(count), b.add(v.splat(place), v.ramp(lane_place))

        def better(value: Any, h: Any, w: Any, best: list[Any], allowed: Any = None) -> list[Any]:
            where = b.add(base, v.splat(b.add(b.mul(h, place_row), w)))
            wins = _wins(v, value, best[0])
            wins = wins if allowed is None else b.and_(wins, allowed)
            return [b.select(wins, value, best[0]), b.select(wins, where, best[1])]

        def step(h: Any, w: Any, best: list[Any]) -> list[Any]:
            value = v.load_masked(x, b.add(at, b.add(b.mul(h, row), b.mul(w, tap))), mask)
            return better(value, h, w, best)

        def two_steps(h: Any, pair: Any, best: list[Any]) -> list[Any]:
            """Two taps next to each other lie in the same two vectors."""
            w = b.mul(pair, constant_int(2))
            evens, odds, second = v.load_two(x, b.add(at, b.add(b.mul(h, row), w)), count, b.sub(taps, w))
            return better(odds, h, b.add(w, one), better(evens, h, w, best), second)

        least = ir.Constant(v.type, [float("-inf")] * v.lanes)
        if even:
            best, where = v.window(rows, b.lshr(b.add(taps, one), one), [least, base], two_steps)
        else:
            best, where = v.window(rows, taps, [least, base], step)
        v.store_masked(best, y, y_at, mask)
        v.store_positions(where, index, index_at, mask)

    return body


def _emit_max_run(v: Lanes, x: Any, at: Any, count: Any, place: Any, y: Any, index: Any, out_at: Any) -> None:
    b = v.builder
    ramp, mask = v.ramp(constant_int(1)), v.first_lanes(count)
    least = ir.Constant(v.type, [float("-inf")] * v.lanes)
    behind = ir.Constant(v.positions, [2**31 - 1] * v.lanes)
    start = [b.select(mask, v.load_masked(x, at, mask), least), b.select(mask, ramp, behind)]
    entry, loop, done = b.block, b.function.append_basic_block("run"), b.function.append_basic_block("done")
    b.cbranch(b.icmp_signed(">", count, constant_int(v.lanes)), loop, done)
    b.position_at_end(loop)
    k, *best = (b.phi(kind) for kind in (I64, v.type, v.positions))
    mask = v.first_lanes(b.sub(count, k))
    value = v.load_masked(x, b.add(at, k), mask)
    wins = b.and_(_wins(v, value, best[0]), mask)
    new = [b.select(wins, value, best[0]), b.select(wins, b.add(v.splat(k), ramp), best[1])]
    following = b.add(k, constant_int(v.lanes))
    for phi, first, after in zip((k, *best), (constant_int(v.lanes), *start), (following, *new), strict=True):
        phi.add_incoming(first, entry)
        phi.add_incoming(after, loop)
    b.cbranch(b.icmp_signed("<", following, count), loop, done)
    b.position_at_end(done)
    last = []
    for first, after in zip(start, new, strict=True):
        phi = b.phi(first.type)
        phi.add_incoming(first, entry)
        phi.add_incoming(after, loop)
        last.append(phi)
    half = v.lanes // 2
    while half:  # fold the upper half of what is left onto the lower; of equals the first remains
        turn = ir.Constant(v.positions, [(i + half) % v.lanes for i in range(v.lanes)])
        value, where = (b.shuffle_vector(part, part, turn) for part in last)
        same = b.or_(b.fcmp_ordered("==", value, last[0]), b.not_(b.or_(*(
            b.fcmp_ordered("ord", part, part) for part in (value, last[0])))))  # fmt: skip
        wins = b.or_(_wins(v, value, last[0]), b.and_(same, b.icmp_signed("<", where, last[1])))
        last = [b.select(wins, value, last[0]), b.select(wins, where, last[1])]
        half //= 2
    best_value, best_place = (b.extract_element(part, ir.Constant(I32, 0)) for part in last)
    b.store(best_value, b.gep(y, [out_at]))
    b.store(b.add(best_place, b.trunc(place, INDEX)), b.gep(index, [out_at]))


def _emit_add_where(
    v: Lanes, g: Any, index: Any, at: Any, row: Any, tap: Any, rows: Any, taps: Any, place: Any, count: Any, out: Any,
    out_at: Any,
) -> None:  # fmt: skip
    b = v.builder
    mask, wanted = v.first_lanes(count), v.splat(place)

    def step(h: Any, w: Any, total: list[Any]) -> list[Any]:
        offset = b.add(at, b.add(b.mul(h, row), b.mul(w, tap)))
        hit = b.icmp_signed("==", v.load_positions(index, offset, mask), wanted)
        return [b.select(hit, b.fadd(total[0], v.load_masked(g, offset, mask)), total[0])]

    (total,) = v.window(rows, taps, [v.zero], step)
    v.store_masked(total, out, out_at, mask)


def _emit_spread_pairs(
    v: Lanes, g: Any, index: Any, at: Any, place: Any, width: Any, count: Any, out: Any, out_at: Any
) -> None:
    b = v.builder
    mask = v.first_lanes(count)
    value = v.load_masked(g, at, mask)
    offset = b.sub(v.load_positions(index, at, mask), b.add(v.splat(place), v.ramp(constant_int(2))))
    reach = b.mul(count, constant_int(2))
    masks = v.first_lanes(reach), v.first_lanes(b.sub(reach, constant_int(v.lanes)))
    for r in range(2):
        down = b.mul(width, constant_int(r))
        columns = [
            b.select(b.icmp_signed("==", offset, v.splat(b.add(down, constant_int(i)))), value, v.zero)
            for i in range(2)
        ]
        for half, pair in enumerate(v.interleave(*columns)):
            target = b.add(out_at, b.add(down, constant_int(half * v.lanes)))
            v.store_masked(pair, out, target, masks[half])


def store_pairs(v: Lanes, pair: tuple[Any, Any], count: Any, out: Any, out_at: Any) -> None:
    """Store `count` items of two neighbouring vectors."""
    for half, value in enumerate(pair):
        before = constant_int(half * v.lanes)
        v.store_masked(value, out, v.builder.add(out_at, before), v.first_lanes(v.builder.sub(count, before)))


def _emit_spread_where(
    v: Lanes, g: Any, index: Any, at: Any, row: Any, rows: Any, first: Any, taps: Any, next_first: Any, next_taps: Any,
    length: Any, place: Any, count: Any, out: Any, out_at: Any,
) -> None:  # fmt: skip
    b = v.builder
    sums = []
    for phase, (start, width) in enumerate(((first, taps), (next_first, next_taps))):
        wanted = b.add(v.splat(b.add(place, constant_int(phase))), v.ramp(constant_int(2)))

        def step(h: Any, w: Any, total: list[Any], start: Any = start, wanted: Any = wanted) -> list[Any]:
            column = b.add(start, w)
            mask = b.and_(v.first_lanes(b.sub(length, column)), b.not_(v.first_lanes(b.neg(column))))
            offset = b.add(at, b.add(b.mul(h, row), column))
            hit = b.icmp_signed("==", v.load_positions(index, offset, mask), wanted)
            return [b.select(hit, b.fadd(total[0], v.load_masked(g, offset, mask)), total[0])]

        sums += v.window(rows, width, [v.zero], step)
    store_pairs(v, v.interleave(*sums), count, out, out_at)


def _emit_fill(v: Lanes, value: Any, out: Any, out_at: Any, count: Any) -> None:
    v.store_masked(v.splat_number(value), out, out_at, v.first_lanes(count))


@intrinsic  # type: ignore[untyped-decorator]
def max_lanes(
    _: Any, x: Any, at: Any, row: Any, tap: Any, rows: Any, taps: Any, place: Any, place_row: Any, lane_place: Any,
    count: Any, y: Any, y_at: Any, index: Any, index_at: Any,
) -> Any:  # fmt: skip
    """See the module."""
    n = types.intp
    signature = types.void(x, n, n, n, n, n, n, n, n, n, y, n, index, n)
    return signature, lambda context, builder, sig, v: call_once(
        builder, context, sig, v, "max_lanes", _emit_max(even=False)
    )


@intrinsic  # type: ignore[untyped-decorator]
def max_even_lanes(
    _: Any, x: Any, at: Any, row: Any, tap: Any, rows: Any, taps: Any, place: Any, place_row: Any, lane_place: Any,
    count: Any, y: Any, y_at: Any, index: Any, index_at: Any,
) -> Any:  # fmt: skip
    """See the module."""
    n = types.intp
    signature = types.void(x, n, n, n, n, n, n, n, n, n, y, n, index, n)
    body = _emit_max(even=True)
    return signature, lambda context, builder, sig, v: call_once(builder, context, sig, v, "max_even", body)


@intrinsic  # type: ignore[untyped-decorator]
def max_run(_: Any, x: Any, at: Any, count: Any, place: Any, y: Any, index: Any, out_at: Any) -> Any:
    """See the module."""
    n = types.intp
    signature = types.void(x, n, n, n, y, index, n)
    return signature, lambda context, builder, sig, v: call_once(builder, context, sig, v, "max_run", _emit_max_run)


@intrinsic  # type: ignore[untyped-decorator]
def add_where(
    _: Any, g: Any, index: Any, at: Any, row: Any, tap: Any, rows: Any, taps: Any, place: Any, count: Any, out: Any,
    out_at: Any,
) -> Any:  # fmt: skip
    """See the module."""
    n = types.intp
    signature = types.void(g, index, n, n, n, n, n, n, n, out, n)
    return signature, lambda context, builder, sig, v: call_once(builder, context, sig, v, "add_where", _emit_add_where)


@intrinsic  # type: ignore[untyped-decorator]
def spread_pairs(
    _: Any, g: Any, index: Any, at: Any, place: Any, width: Any, count: Any, out: Any, out_at: Any
) -> Any:  # fmt: skip
    """See the module."""
    n = types.intp
    signature = types.void(g, index, n, n, n, n, out, n)
    return signature, lambda context, builder, sig, v: call_once(builder, context, sig, v, "pairs", _emit_spread_pairs)


@intrinsic  # type: ignore[untyped-decorator]
def spread_even_where(
    _: Any, g: Any, index: Any, at: Any, row: Any, rows: Any, first: Any, taps: Any, next_first: Any, next_taps: Any,
    length: Any, place: Any, count: Any, out: Any, out_at: Any,
) -> Any:  # fmt: skip
    """See the module."""
    n = types.intp
    signature = types.void(g, index, n, n, n, n, n, n, n, n, n, n, out, n)
    body = _emit_spread_where
    return signature, lambda context, builder, sig, v: call_once(builder, context, sig, v, "spread_where", body)


@intrinsic  # type: ignore[untyped-decorator]
def fill_lanes(_: Any, value: Any, out: Any, out_at: Any, count: Any) -> Any:
    """See the module."""
    n = types.intp
    signature = types.void(out.dtype, out, n, n)
    return signature, lambda context, builder, sig, v: call_once(builder, context, sig, v, "fill", _emit_fill)


@intrinsic  # type: ignore[untyped-decorator]
def lanes_of(_: Any, x: Any) -> Any:
    """See the module."""
    lanes = host().lanes(x.dtype.bitwidth // 8)
    return types.intp(x), lambda *_: constant_int(lanes)


@intrinsic  # type: ignore[untyped-decorator]
def items_per_line(_: Any, x: Any) -> Any:
    """See the module."""
    return types.intp(x), lambda *_: constant_int(64 // (x.dtype.bitwidth // 8))


@intrinsic  # type: ignore[untyped-decorator]
def prefetch_to_read(_: Any, x: Any, at: Any) -> Any:
    """See the module."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, v: Any) -> Any:
        address = builder.bitcast(pointer_to(context, builder, signature.args[0], v[0], v[1]), BYTE_POINTER)
        name, kind = "llvm.prefetch.p0", ir.FunctionType(ir.VoidType(), [BYTE_POINTER, I32, I32, I32])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        builder.call(function, [address, *(ir.Constant(I32, i) for i in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(x, types.intp), emit
