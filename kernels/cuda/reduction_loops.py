"""The kernels of reductions: arrays as (outer, count, inner), reduced over the middle, part by part.

Where the items of a sum lie side by side (`inner` is 1), a group of threads has a row; else a thread has a column of
one part, and its neighbours the columns beside it. Both write one result for each part, as (outer, parts, inner), which
the same kernels reduce again until one part is left. Sums go through a tree in shared memory, in one order: two calls
give the same bits. No atomics.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, int64

from kernels.cuda.launch import SIMULATED, Kernel, declare, device

__all__ = ["ARGUMENTS", "REDUCTIONS", "ROW_LANES", "THREADS"]

THREADS = 8 if SIMULATED else 256
ROW_LANES = 4 if SIMULATED else 256  # the most for one row


@device
def plus(a, b):
    return a + b


@device
def times(a, b):
    return a * b


@device
def larger(a, b):
    """Return the larger; a NaN wins."""
    return a if a >= b or a != a else b


@device
def smaller(a, b):
    return a if a <= b or a != a else b


@device
def before(value, at, other, other_at, sign):
    """Whether a value comes before another as the maximum (sign 1) or minimum (-1): NaN first, then the place."""
    if value != value:
        return other == other or at < other_at
    if other != other:
        return False
    if value == other:
        return at < other_at
    return (value > other) == (sign > 0)


def rows(name: str, combine: Any) -> Kernel:
    """Return the kernel that reduces rows of `count` items, cut into parts; (outer * parts) results."""

    def kernel(x, out, count, parts, part, lanes):
        shared = cuda.shared.array(THREADS, out.dtype)
        t = int64(cuda.threadIdx.x)
        lane, group, groups = t % lanes, t // lanes, THREADS // lanes
        for base in range(int64(cuda.blockIdx.x) * groups, out.size, int64(cuda.gridDim.x) * groups):
            row = base + group
            first = row // parts * count + row % parts * part
            end = min(first + part, (row // parts + 1) * count)
            at = first + lane
            if row < out.size and at < end:
                total = x[at]
                for i in range(at + lanes, end, lanes):
                    total = combine(total, x[i])
                shared[t] = total
            cuda.syncthreads()
            half = lanes // 2
            while half > 0:
                if lane < half and row < out.size and at + half < end:
                    shared[t] = combine(shared[t], shared[t + half])
                cuda.syncthreads()
                half //= 2
            if lane == 0 and row < out.size:
                out[row] = shared[t]
            cuda.syncthreads()

    kernel.__name__ = kernel.__qualname__ = f"{name}_rows"
    return declare(kernel, "T[] T[] i8 i8 i8 i8", shared=THREADS * 8)


def columns(name: str, combine: Any) -> Kernel:
    """Return the kernel that reduces columns: results (outer, parts, inner)."""

    def kernel(x, out, count, inner, parts, part):
        start = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
        for i in range(start, out.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
            column, row = i % inner, i // inner
            first = row % parts * part
            end = min(first + part, count)
            at = (row // parts * count + first) * inner + column
            total = x[at]
            for _ in range(first + 1, end):
                at += inner
                total = combine(total, x[at])
            out[i] = total

    kernel.__name__ = kernel.__qualname__ = f"{name}_columns"
    return declare(kernel, "T[] T[] i8 i8 i8 i8")


def argument_rows(x, places, out, out_places, count, parts, part, lanes, sign, first_pass):
    """Reduce rows to the place and value of their extremum; later passes read the places that the first one found."""
    values = cuda.shared.array(THREADS, out.dtype)
    found = cuda.shared.array(THREADS, int64)
    t = int64(cuda.threadIdx.x)
    lane, group, groups = t % lanes, t // lanes, THREADS // lanes
    for base in range(int64(cuda.blockIdx.x) * groups, out.size, int64(cuda.gridDim.x) * groups):
        row = base + group
        start = row // parts * count
        first = start + row % parts * part
        end = min(first + part, start + count)
        at = first + lane
        if row < out.size and at < end:
            best = x[at]
            where = at - start if first_pass == 1 else places[at]
            for i in range(at + lanes, end, lanes):
                place = i - start if first_pass == 1 else places[i]
                if before(x[i], place, best, where, sign):
                    best, where = x[i], place
            values[t] = best
            found[t] = where
        cuda.syncthreads()
        half = lanes // 2
        while half > 0:
            there = lane < half and row < out.size and at + half < end
            if there and before(values[t + half], found[t + half], values[t], found[t], sign):
                values[t] = values[t + half]
                found[t] = found[t + half]
            cuda.syncthreads()
            half //= 2
        if lane == 0 and row < out.size:
            out[row] = values[t]
            out_places[row] = found[t]
        cuda.syncthreads()


def argument_columns(x, places, out, out_places, count, inner, parts, part, sign, first_pass):
    """Do the same in columns."""
    start = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, out.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        column, row = i % inner, i // inner
        first = row % parts * part
        end = min(first + part, count)
        at = (row // parts * count + first) * inner + column
        best = x[at]
        where = first if first_pass == 1 else places[at]
        for k in range(first + 1, end):
            at += inner
            place = k if first_pass == 1 else places[at]
            if before(x[at], place, best, where, sign):
                best, where = x[at], place
        out[i] = best
        out_places[i] = where


COMBINE = {"sum": plus, "prod": times, "max": larger, "min": smaller}
REDUCTIONS = {key: (rows(f"reduce_{key}", f), columns(f"reduce_{key}", f)) for key, f in COMBINE.items()}
ARGUMENTS = (
    declare(argument_rows, "T[] i8[] T[] i8[] i8 i8 i8 i8 i8 i8", shared=THREADS * 16),
    declare(argument_columns, "T[] i8[] T[] i8[] i8 i8 i8 i8 i8 i8"),
)
