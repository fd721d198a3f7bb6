"""Sums of windows a whole vector of neighbours at a time, and their transposes: average pooling.

All arrays are one-dimensional, offsets and strides count items, `count` is at most the number of lanes.

- `sum_lanes(x, at, row, tap, rows, taps, count, scale, y, y_at)`: `y[j] = scale * sum of x[at + h * row + w * tap +
  j]` over h < rows, w < taps, both at least 1; `sum_even_lanes`: the same with `x[... + 2 * j]`.
- `sum_run(x, at, count, scale, y, y_at)`: `y[y_at] = scale * sum of x[at + k]` over k < count, of any size.
- `repeat_pairs(g, at, count, scale, out, out_at, width)`: two rows of `out`, `width` apart; items 2 j and 2 j + 1 of
  both are `scale * g[at + j]`.
- `spread_even_lanes(t, at, taps, next_at, next_taps, count, out, out_at)`: `out[2 * j] = sum of t[at + w + j]` over
  w < taps, and `out[2 * j + 1]` the same from `next_at` and `next_taps`; `count` items, at most twice the lanes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.cpu.pooling_llvm import Lanes, call_once, store_pairs
from kernels.cpu.tiles_llvm import I64, constant_int

__all__ = ["repeat_pairs", "spread_even_lanes", "sum_even_lanes", "sum_lanes", "sum_run"]


def _emit_sum(even: bool) -> Any:
    def body(
        v: Lanes, x: Any, at: Any, row: Any, tap: Any, rows: Any, taps: Any, count: Any, scale: Any, y: Any, y_at: Any
    ) -> None:
        b, one, mask = v.builder, constant_int(1), v.first_lanes(count)

        def step(h: Any, w: Any, total: list[Any]) -> list[Any]:
            return [b.fadd(total[0], v.load_masked(x, b.add(at, b.add(b.mul(h, row), b.mul(w, tap))), mask))]

        def two_steps(h: Any, pair: Any, total: list[Any]) -> list[Any]:
            w = b.mul(pair, constant_int(2))
            evens, odds, second = v.load_two(x, b.add(at, b.add(b.mul(h, row), w)), count, b.sub(taps, w))
            return [b.fadd(b.fadd(total[0], evens), b.select(second, odds, v.zero))]

        if even:
            (total,) = v.window(rows, b.lshr(b.add(taps, one), one), [v.zero], two_steps)
        else:
            (total,) = v.window(rows, taps, [v.zero], step)
        v.store_masked(b.fmul(total, v.splat_number(scale)), y, y_at, mask)

    return body


def _emit_sum_run(v: Lanes, x: Any, at: Any, count: Any, scale: Any, y: Any, y_at: Any) -> None:
    b = v.builder
    whole = b.and_(count, constant_int(-v.lanes))
    entry, loop = b.block, b.function.append_basic_block("run")
    rest = b.function.append_basic_block("rest")
    b.cbranch(b.icmp_signed(">", whole, constant_int(0)), loop, rest)
    b.position_at_end(loop)
    k, total = b.phi(I64), b.phi(v.type)
    following, more = b.add(k, constant_int(v.lanes)), b.fadd(total, v.load(x, b.add(at, k)))
    for phi, start, value in ((k, constant_int(0), following), (total, v.zero, more)):
        phi.add_incoming(start, entry)
        phi.add_incoming(value, loop)
    b.cbranch(b.icmp_signed("<", following, whole), loop, rest)
    b.position_at_end(rest)
    sums = b.phi(v.type)
    sums.add_incoming(v.zero, entry)
    sums.add_incoming(more, loop)
    tail = v.load_masked(x, b.add(at, whole), v.first_lanes(b.sub(count, whole)))
    reduce = v.declare(f"llvm.vector.reduce.fadd.{v.suffix}", v.element, [v.element, v.type])
    result = b.call(reduce, [ir.Constant(v.element, -0.0), b.fadd(sums, tail)], fastmath=("reassoc",))
    b.store(b.fmul(result, scale), b.gep(y, [y_at]))


def _emit_repeat_pairs(v: Lanes, g: Any, at: Any, count: Any, scale: Any, out: Any, out_at: Any, width: Any) -> None:
    b = v.builder
    value = b.fmul(v.load_masked(g, at, v.first_lanes(count)), v.splat_number(scale))
    pair = v.interleave(value, value)
    for start in (out_at, b.add(out_at, width)):
        store_pairs(v, pair, b.mul(count, constant_int(2)), out, start)


def _emit_spread_even(
    v: Lanes, t: Any, at: Any, taps: Any, next_at: Any, next_taps: Any, count: Any, out: Any, out_at: Any
) -> None:
    b = v.builder
    sums = []
    half = b.ashr(b.add(count, constant_int(1)), constant_int(1))
    for start, width, mask in (
        (at, taps, v.first_lanes(half)),
        (next_at, next_taps, v.first_lanes(b.ashr(count, constant_int(1)))),
    ):

        def step(_: Any, w: Any, total: list[Any], start: Any = start, mask: Any = mask) -> list[Any]:
            return [b.fadd(total[0], v.load_masked(t, b.add(start, w), mask))]

        sums += v.window(constant_int(1), width, [v.zero], step)
    store_pairs(v, v.interleave(*sums), count, out, out_at)


@intrinsic  # type: ignore[untyped-decorator]
def sum_lanes(
    _: Any, x: Any, at: Any, row: Any, tap: Any, rows: Any, taps: Any, count: Any, scale: Any, y: Any, y_at: Any
) -> Any:
    """See the module."""
    n = types.intp
    signature = types.void(x, n, n, n, n, n, n, x.dtype, y, n)
    return signature, lambda context, builder, sig, v: call_once(
        builder, context, sig, v, "sum_lanes", _emit_sum(even=False)
    )


@intrinsic  # type: ignore[untyped-decorator]
def sum_even_lanes(
    _: Any, x: Any, at: Any, row: Any, tap: Any, rows: Any, taps: Any, count: Any, scale: Any, y: Any, y_at: Any
) -> Any:
    """See the module."""
    n = types.intp
    signature = types.void(x, n, n, n, n, n, n, x.dtype, y, n)
    return signature, lambda context, builder, sig, v: call_once(
        builder, context, sig, v, "sum_even", _emit_sum(even=True)
    )


@intrinsic  # type: ignore[untyped-decorator]
def sum_run(_: Any, x: Any, at: Any, count: Any, scale: Any, y: Any, y_at: Any) -> Any:
    """See the module."""
    n = types.intp
    signature = types.void(x, n, n, x.dtype, y, n)
    return signature, lambda context, builder, sig, v: call_once(builder, context, sig, v, "sum_run", _emit_sum_run)


@intrinsic  # type: ignore[untyped-decorator]
def repeat_pairs(_: Any, g: Any, at: Any, count: Any, scale: Any, out: Any, out_at: Any, width: Any) -> Any:
    """See the module."""
    n = types.intp
    signature = types.void(g, n, n, g.dtype, out, n, n)
    return signature, lambda context, builder, sig, v: call_once(
        builder, context, sig, v, "repeat_pairs", _emit_repeat_pairs
    )


@intrinsic  # type: ignore[untyped-decorator]
def spread_even_lanes(
    _: Any, t: Any, at: Any, taps: Any, next_at: Any, next_taps: Any, count: Any, out: Any, out_at: Any
) -> Any:
    """See the module."""
    n = types.intp
    signature = types.void(t, n, n, n, n, n, out, n)
    return signature, lambda context, builder, sig, v: call_once(
        builder, context, sig, v, "spread_even", _emit_spread_even
    )
