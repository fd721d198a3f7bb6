"""The tile loop that matrix products and convolutions share.

A block of threads computes a tile of ROWS x COLUMNS results. It walks along the terms, DEPTH at a time: the next two
panels are read from global memory into registers while the present ones are multiplied from shared memory, which
holds two stages, so that one barrier for each step is enough. Each thread keeps SIDE x SIDE sums in registers, as four
squares of four that lie half a tile apart: neighbours read neighbouring words of shared memory.

What differs between the products is where operands come from and where results go: `product` is given two functions
that read four terms, and one that writes. See README.md beside this file.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, int64

from kernels.cuda.epilogue import finish
from kernels.cuda.launch import SMALL_TILES, Kernel, declare, device
from kernels.cuda.tensor_layout import tile_place
from kernels.cuda.vector import align_shared, clear, copy, load4

__all__ = ["COLUMNS", "DEPTH", "ROWS", "THREADS", "matrix_quad", "matrix_store", "product"]

# Tiles of the simulator are smaller, the arithmetic of indices is the same.
ROWS = COLUMNS = 16 if SMALL_TILES else 128
DEPTH = 4 if SMALL_TILES else 8
SIDE = 8
HALF = SIDE // 2
ACROSS = COLUMNS // SIDE  # threads side by side
THREADS = (ROWS // SIDE) * ACROSS
QUADS = ROWS * DEPTH // (4 * THREADS)  # that each thread reads of a panel
PITCH = ROWS + 4  # from one term of a panel to the next: threads that write different terms meet different banks
PANEL = PITCH * DEPTH
# Numba takes the sizes of arrays from names alone.
STAGES, SUMS, NEXT = 2 * PANEL, SIDE * SIDE, 4 * QUADS
clear_sums, copy_sums = clear(SUMS), copy(SUMS)


@device
def matrix_quad(x, offsets, z, row, term, rows, terms, p):
    """Read four items of a strided matrix, along the terms or along the rows; 0 outside."""
    row_stride, term_stride, along, vector = p
    at = offsets[z] + row * row_stride + term * term_stride
    step = row_stride
    left = rows - row
    if along == 1:
        step = term_stride
        left = terms - term
    if row >= rows or term >= terms:
        left = int64(0)
    if vector == 1 and left >= 4:
        return load4(x, at)
    zero = x.dtype.type(0)
    return (
        x[at] if left > 0 else zero,
        x[at + step] if left > 1 else zero,
        x[at + 2 * step] if left > 2 else zero,
        x[at + 3 * step] if left > 3 else zero,
    )


@device
def matrix_store(out, bias, z, part, row, column, value, sizes, p):
    """Write one result of a contiguous matrix, with the bias of its column."""
    with_bias, code = p
    if with_bias == 1:
        value += bias[column]
    out[(z * sizes[0] + row) * sizes[1] + column] = finish(value, code, out.dtype.type(0))


@device
def place(t, quad, along):
    """Return the row and the term in a panel of the quad that a thread reads."""
    q = t + quad * THREADS
    if along == 1:
        return q // (DEPTH // 4), q % (DEPTH // 4) * 4
    return q % (ROWS // 4) * 4, q // (ROWS // 4)


@device
def keep(panels, stage, t, quad, along, values, first):
    """Put a quad from registers into a panel; panels are stored term by term."""
    row, term = place(t, quad, along)
    at = stage * PANEL + term * PITCH + row
    step = PITCH if along == 1 else 1
    panels[at] = values[first]
    panels[at + step] = values[first + 1]
    panels[at + 2 * step] = values[first + 2]
    panels[at + 3 * step] = values[first + 3]


@device
def add_row(sums, at, a, b0, b1, b2, b3, b4, b5, b6, b7):
    """Add a row of products; written out, as registers have no index that could vary."""
    sums[at] += a * b0
    sums[at + 1] += a * b1
    sums[at + 2] += a * b2
    sums[at + 3] += a * b3
    sums[at + 4] += a * b4
    sums[at + 5] += a * b5
    sums[at + 6] += a * b6
    sums[at + 7] += a * b7


@device
def multiply(a_panels, b_panels, stage, ty, tx, sums):
    """Add the products of one stage of both panels to a thread's sums."""
    for term in range(DEPTH):
        at = stage * PANEL + term * PITCH
        a0, a1, a2, a3 = load4(a_panels, int64(at + ty * HALF))
        a4, a5, a6, a7 = load4(a_panels, int64(at + ROWS // 2 + ty * HALF))
        b0, b1, b2, b3 = load4(b_panels, int64(at + tx * HALF))
        b4, b5, b6, b7 = load4(b_panels, int64(at + COLUMNS // 2 + tx * HALF))
        add_row(sums, 0, a0, b0, b1, b2, b3, b4, b5, b6, b7)
        add_row(sums, 8, a1, b0, b1, b2, b3, b4, b5, b6, b7)
        add_row(sums, 16, a2, b0, b1, b2, b3, b4, b5, b6, b7)
        add_row(sums, 24, a3, b0, b1, b2, b3, b4, b5, b6, b7)
        add_row(sums, 32, a4, b0, b1, b2, b3, b4, b5, b6, b7)
        add_row(sums, 40, a5, b0, b1, b2, b3, b4, b5, b6, b7)
        add_row(sums, 48, a6, b0, b1, b2, b3, b4, b5, b6, b7)
        add_row(sums, 56, a7, b0, b1, b2, b3, b4, b5, b6, b7)


def product(name: str, load_a: Any, load_b: Any, store: Any, a_words: int, b_words: int, out_words: int) -> Kernel:
    """Return a kernel: the tile loop around two functions that read and one that writes.

    Its arguments are the memory of both operands, of the bias and of the result; the offsets of each product in both
    operands; sizes (rows, columns, terms, products, row tiles, column tiles, parts, terms of a part); whether each
    operand is read along its terms; and the words that the three functions are given.
    """

    def kernel(a, b, bias, out, a_offsets, b_offsets, sizes, along, pa, pb, po):
        a_panels = cuda.shared.array(STAGES, out.dtype)
        b_panels = cuda.shared.array(STAGES, out.dtype)
        align_shared()
        sums = cuda.local.array(SUMS, out.dtype)
        results = cuda.local.array(SUMS, out.dtype)  # of which the loop that writes may ask for any
        next_a = cuda.local.array(NEXT, out.dtype)
        next_b = cuda.local.array(NEXT, out.dtype)
        t = int64(cuda.threadIdx.x)
        ty, tx = t // ACROSS, t % ACROSS
        rows, columns, terms = sizes[0], sizes[1], sizes[2]
        per_product = sizes[4] * sizes[5]
        tiles = sizes[3] * sizes[6] * per_product
        for tile in range(int64(cuda.blockIdx.x), tiles, int64(cuda.gridDim.x)):
            z, part = tile // per_product // sizes[6], tile // per_product % sizes[6]
            row_tile, column_tile = tile_place(tile % per_product, sizes[4], sizes[5])
            row0, column0 = row_tile * ROWS, column_tile * COLUMNS
            first = part * sizes[7]
            last = min(first + sizes[7], terms)
            clear_sums(sums)
            stage = 0
            for step in range(first - DEPTH, last, DEPTH):
                following = step + DEPTH
                if following < last:
                    for quad in range(QUADS):
                        row, term = place(t, quad, along[0])
                        values = load_a(a, a_offsets, z, row0 + row, following + term, rows, last, pa)
                        for i in range(4):
                            next_a[4 * quad + i] = values[i]
                        row, term = place(t, quad, along[1])
                        values = load_b(b, b_offsets, z, column0 + row, following + term, columns, last, pb)
                        for i in range(4):
                            next_b[4 * quad + i] = values[i]
                if step >= first:
                    multiply(a_panels, b_panels, stage, ty, tx, sums)
                    stage = 1 - stage
                if following < last:
                    for quad in range(QUADS):
                        keep(a_panels, stage, t, quad, along[0], next_a, 4 * quad)
                        keep(b_panels, stage, t, quad, along[1], next_b, 4 * quad)
                cuda.syncthreads()
            copy_sums(results, sums)
            for i in range(SIDE):
                row = row0 + i // HALF * (ROWS // 2) + ty * HALF + i % HALF
                for j in range(SIDE):
                    column = column0 + j // HALF * (COLUMNS // 2) + tx * HALF + j % HALF
                    if row < rows and column < columns:
                        store(out, bias, z, part, row, column, results[i * SIDE + j], sizes, po)

    kernel.__name__ = kernel.__qualname__ = name
    signature = f"T[] T[] T[] T[] i8[] i8[] 8*i8 2*i8 {a_words}*i8 {b_words}*i8 {out_words}*i8"
    return declare(kernel, signature, registers=168, shared=4 * PANEL * 8)
