"""Matrix products on tensor cores: operands of reduced precision, sums in float32.

A block computes a tile of ROWS x COLUMNS results; its warps share it out, and each keeps its part in the registers of
`mma.sync`. Panels of 64 bytes of terms go from global to shared memory by `cp.async`, STAGES of them under way, and
from there to registers by `ldmatrix`. See README.md beside this file.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32, int64, uint32

from kernels.cuda import tensor_layout as layout
from kernels.cuda import tensor_ptx as ptx
from kernels.cuda.epilogue import finish
from kernels.cuda.launch import SIMULATED, SMALL_TILES, Kernel, declare, device
from kernels.cuda.vector import align_shared, clear, copy

__all__ = ["COLUMNS", "ITEMS", "KINDS", "ROWS", "THREADS", "kernel_for"]

ITEMS = ptx.ITEMS
KINDS = {"float16": "f16", "bfloat16": "bf16", "float32": "tf32"}

# Tiles of the simulator are smaller, the arithmetic of indices is the same.
ROWS = COLUMNS = 32 if SMALL_TILES else 128
WARPS_DOWN, WARPS_ACROSS = (1, 2) if SMALL_TILES else (2, 2)
THREADS = 32 * WARPS_DOWN * WARPS_ACROSS
STAGES = 3
PANEL = ROWS * 4 * layout.CHUNKS  # words; that of the second operand begins behind the first
STAGE = 2 * PANEL
SHARED = STAGES * STAGE
SQUARES = ROWS // WARPS_DOWN // 16  # of 16 rows, for each warp
PAIRS = COLUMNS // WARPS_ACROSS // 16  # of 8 columns
SUMS, A_REGISTERS, B_REGISTERS = 8 * SQUARES * PAIRS, 4 * SQUARES, 4 * PAIRS
A_PLACES, B_PLACES = 8 * SQUARES, 8 * PAIRS
COPIES = ROWS * layout.CHUNKS // THREADS  # of a panel, for each thread

if SIMULATED:
    import numpy as np

    REGISTERS: dict[int, Any] = {}  # of all threads of the block, as a warp sees those of its lanes
    PLACES: dict[int, Any] = {}

    def multiplier(kind: str) -> Any:
        add = ptx.multiply(kind, SQUARES, PAIRS)

        def meet(sums, t, a, b):
            REGISTERS[t] = [np.array([x[i] for i in range(x.size)], np.uint32) for x in (a, b)]
            cuda.syncthreads()
            lanes = [REGISTERS[t // 32 * 32 + lane] for lane in range(32)]
            add(sums, t % 32, np.array([lane[0] for lane in lanes]), np.array([lane[1] for lane in lanes]))
            cuda.syncthreads()

        return meet

    def published(places, t, second):
        """Return the places of all threads."""
        table = PLACES.setdefault(second, {})
        table[int(t)] = [int(places[i]) for i in range(places.size)]
        cuda.syncthreads()
        return table

else:

    def multiplier(kind: str) -> Any:
        return ptx.multiply(kind, SQUARES, PAIRS)

    @device
    def published(places, t, second):
        """Return the places of this thread: `ldmatrix` sees those of the others."""
        return places


def copier(items: int, along: int) -> Any:
    """Return a function that starts the copy of a panel, and fills with zeros what lies outside of the matrix.

    A thread's chunks are THREADS chunks apart in shared memory, and of row and term one is the same in all of them.
    """
    apart = THREADS // layout.CHUNKS if along == 1 else THREADS // (ROWS // items)
    across = 1 - along
    copy_chunk = ptx.copy_chunk

    @device
    def copy(shared, chunk, x, source, rows_left, terms_left, strides):
        left, others = (terms_left, rows_left) if along == 1 else (rows_left, terms_left)
        left = min(max(left, 0), items)
        for i in range(COPIES):
            count = left if others > i * apart else int64(0)
            copy_chunk(shared, chunk + i * THREADS, x, source + i * apart * strides[across], count)

    return copy


def fragment_places(items: int, along: int, second: int, squares: int) -> Any:
    """Return a function that finds from where a lane reads its fragments, in words, four for each square and step."""
    fragment_chunk, fragment_word = layout.fragment_chunk, layout.fragment_word

    @device
    def find(places, lane, part):
        for step in range(2):
            for i in range(squares):
                first = (step * squares + i) * 4
                if items == 4 and along == 0:
                    for register in range(4):
                        places[first + register] = fragment_word(lane, register, part + 16 * i, step, second, ROWS)
                else:
                    places[first] = 4 * fragment_chunk(lane, part + 16 * i, step, second, ROWS, items, along)

    return find


def tensor_product(kind: str, a_along: int, b_along: int) -> Kernel:
    """Return the kernel for a kind of items, and for operands that lie along their terms (1) or their rows (0).

    Its arguments are those of `gemm.product`, without `along`, which is compiled in. Every stride but that of the items
    side by side, every offset and every address is a multiple of 16 bytes. The words of the result are: with bias,
    activation, whether pairs of results are aligned.
    """
    items = ITEMS[kind]
    depth = items * layout.CHUNKS
    copy_a, copy_b = copier(items, a_along), copier(items, b_along)
    find_a, find_b = fragment_places(items, a_along, 0, SQUARES), fragment_places(items, b_along, 1, PAIRS)
    load_a, load_b = ptx.load_fragment(kind, a_along), ptx.load_fragment(kind, b_along)
    multiply, read, store = multiplier(kind), ptx.read_float(kind), ptx.store_pair(kind)
    round_a, round_b, commit = ptx.round_tf32(A_REGISTERS), ptx.round_tf32(B_REGISTERS), ptx.commit
    wait_some, wait_all = ptx.wait_for(STAGES - 2), ptx.wait_for(0)
    chunk_of_thread, panel_chunk = layout.chunk_of_thread, layout.panel_chunk
    tile_place, c_item = layout.tile_place, layout.c_item
    clear_sums, copy_sums = clear(SUMS), copy(SUMS)
    rounds = int(kind == "tf32")

    @device
    def warp_step(sums, a_registers, b_registers, shared, base, a_places, b_places, t, half):
        for i in range(SQUARES):
            load_a(a_registers, int64(4 * i), shared, base, a_places, int64(half * SQUARES + i), t)
        for i in range(PAIRS):
            load_b(b_registers, int64(4 * i), shared, base + PANEL, b_places, int64(half * PAIRS + i), t)
        if rounds == 1:
            round_a(a_registers)
            round_b(b_registers)
        multiply(sums, t, a_registers, b_registers)

    def kernel(a, b, bias, out, a_offsets, b_offsets, sizes, pa, pb, po):
        shared = cuda.shared.array(SHARED, uint32)
        align_shared()
        sums = cuda.local.array(SUMS, float32)
        results = cuda.local.array(SUMS, float32)  # of which the loop that writes may ask for any
        a_registers = cuda.local.array(A_REGISTERS, uint32)
        b_registers = cuda.local.array(B_REGISTERS, uint32)
        a_own = cuda.local.array(A_PLACES, uint32)
        b_own = cuda.local.array(B_PLACES, uint32)
        t = int64(cuda.threadIdx.x)
        lane, warp = t % 32, t // 32
        a_part = warp // WARPS_ACROSS * (16 * SQUARES)
        b_part = warp % WARPS_ACROSS * (16 * PAIRS)
        find_a(a_own, lane, a_part)
        find_b(b_own, lane, b_part)
        a_places, b_places = published(a_own, t, 0), published(b_own, t, 1)
        a_row, a_term = chunk_of_thread(t, ROWS, items, a_along)
        b_row, b_term = chunk_of_thread(t, COLUMNS, items, b_along)
        a_chunk = panel_chunk(a_row // items, a_term // items, a_row, a_term, ROWS, items, a_along)
        b_chunk = PANEL // 4 + panel_chunk(b_row // items, b_term // items, b_row, b_term, COLUMNS, items, b_along)
        rows, columns, terms = sizes[0], sizes[1], sizes[2]
        per_product = sizes[4] * sizes[5]
        steps = (terms + depth - 1) // depth
        for tile in range(int64(cuda.blockIdx.x), sizes[3] * per_product, int64(cuda.gridDim.x)):
            z = tile // per_product
            row_tile, column_tile = tile_place(tile % per_product, sizes[4], sizes[5])
            row0, column0 = row_tile * ROWS, column_tile * COLUMNS
            a_source = a_offsets[z] + (row0 + a_row) * pa[0] + a_term * pa[1]
            b_source = b_offsets[z] + (column0 + b_row) * pb[0] + b_term * pb[1]
            a_left, b_left = rows - row0 - a_row, columns - column0 - b_row
            clear_sums(sums)
            for step in range(1 - STAGES, steps):
                # Panels are asked for STAGES - 1 steps before they are multiplied.
                if step >= 0:
                    wait_some()
                    cuda.syncthreads()
                following = step + STAGES - 1
                if following < steps:
                    stage = following % STAGES * (STAGE // 4)
                    left = terms - following * depth
                    copy_a(shared, stage + a_chunk, a, a_source, a_left, left - a_term, pa)
                    copy_b(shared, stage + b_chunk, b, b_source, b_left, left - b_term, pb)
                    a_source += depth * pa[1]
                    b_source += depth * pb[1]
                commit()
                if step >= 0:
                    base = step % STAGES * STAGE
                    warp_step(sums, a_registers, b_registers, shared, base, a_places, b_places, t, 0)
                    warp_step(sums, a_registers, b_registers, shared, base, a_places, b_places, t, 1)
            wait_all()
            cuda.syncthreads()
            copy_sums(results, sums)
            for i in range(SQUARES):
                for j in range(2 * PAIRS):
                    for half in range(2):
                        row, column = c_item(lane, int64(2 * half))
                        row += row0 + a_part + 16 * i
                        column += column0 + b_part + 8 * j
                        if row < rows and column < columns:
                            first = results[(i * 2 * PAIRS + j) * 4 + 2 * half]
                            second = results[(i * 2 * PAIRS + j) * 4 + 2 * half + 1]
                            if po[0] == 1:
                                first += read(bias, column)
                                second += read(bias, min(column + 1, columns - 1))
                            first, second = finish(first, po[1], float32(0)), finish(second, po[1], float32(0))
                            at = (z * rows + row) * columns + column
                            store(out, at, first, second, columns - column, po[2])

    name = f"tensor_product_{kind}_{['rows', 'terms'][a_along]}_{['rows', 'terms'][b_along]}"
    kernel.__name__ = kernel.__qualname__ = name
    signature = "T[] T[] T[] T[] i8[] i8[] 6*i8 2*i8 2*i8 3*i8"
    return declare(
        kernel, signature, capability=(8, 0), registers=255, shared=4 * SHARED,
        dtypes=("f4" if kind == "tf32" else "u2",),
    )  # fmt: skip


PRODUCTS = {
    (kind, a_along, b_along): tensor_product(kind, a_along, b_along)
    for kind in ITEMS
    for a_along in (0, 1)
    for b_along in (0, 1)
}


def kernel_for(kind: str, a_along: int, b_along: int) -> Kernel:
    """Return the kernel for a kind of items (`KINDS`) and the way in which each operand lies."""
    return PRODUCTS[kind, a_along, b_along]
