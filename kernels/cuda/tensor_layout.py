"""Where everything lies in a product on tensor cores: shared memory, and the registers of a warp.

Plain functions of numbers, which the kernel, the simulator's twins and the tests share. Memory is counted in chunks of
16 bytes: 8 items of 16 bits or 4 of 32 bits. A panel has `rows` rows and 4 chunks of terms, in one of two orders:

- along the terms: 4 chunks for each row, chunk c at place c ^ (row / 2 % 4);
- along the rows: rows / items chunks for each term, chunk c at place c ^ `turn`.

The exclusive or makes every 8 addresses that are read at once lie in different banks of shared memory.

`mma.sync` multiplies 16 x K by K x 8 items, K = 16 (16 bits) or 8 (32 bits), as the PTX ISA documents: lane l of a warp
holds in its registers pairs of 16-bit items, or single 32-bit ones, of rows l / 4 and l / 4 + 8.
"""

from __future__ import annotations

from kernels.cuda.launch import device

__all__ = [
    "CHUNKS",
    "a_item",
    "b_item",
    "c_item",
    "chunk_of_thread",
    "fragment_chunk",
    "fragment_word",
    "panel_chunk",
    "tile_place",
]

CHUNKS = 4  # of terms in a panel
GROUP = 8  # row tiles that walk along the columns together, so that they find each other's operands in the L2 cache


@device
def panel_chunk(row_chunk, term_chunk, row, term, rows, items, along):
    """Return the place of a chunk in its panel: that of (row, term_chunk) along the terms, else (term, row_chunk)."""
    if along == 1:
        return row * CHUNKS + (term_chunk ^ (row // 2 % CHUNKS))
    across = rows // items
    turn = term % 4 * 2 if items == 4 else term % 8 % across
    return term * across + (row_chunk ^ turn)


@device
def chunk_of_thread(q, rows, items, along):
    """Return the row and the term at which chunk q of a panel begins, in the order of global memory."""
    if along == 1:
        return q // CHUNKS, q % CHUNKS * items
    across = rows // items
    return q % across * items, q // across


@device
def fragment_chunk(lane, part, step, second, rows, items, along):
    """Return the chunk whose address a lane gives to `ldmatrix` for a square of 16 rows, and step 0 or 1 of the terms.

    `part` is the first row, a multiple of 16. The four 8 x 8 matrices are, in this order, for the first operand: rows
    0 to 7, rows 8 to 15, then the same for the later terms; for the second, the terms change first.
    """
    low, high = lane // 8 % 2, lane // 16
    row_half = high if second == 1 else low
    term_half = low if second == 1 else high
    if along == 1:
        return panel_chunk(0, 2 * step + term_half, part + lane % 8 + 8 * row_half, 0, rows, items, 1)
    term = (2 * step + term_half) * items + lane % 8
    return panel_chunk(part // items + row_half * 8 // items, 0, 0, term, rows, items, 0)


@device
def fragment_word(lane, register, part, step, second, rows):
    """Return the 32-bit word of a register, in a panel of 32-bit items along the rows, which `ldmatrix` cannot turn."""
    row_half = register // 2 if second == 1 else register % 2
    term_half = register % 2 if second == 1 else register // 2
    row = part + lane // 4 + 8 * row_half
    term = (2 * step + term_half) * 4 + lane % 4
    return panel_chunk(row // 4, 0, 0, term, rows, 4, 0) * 4 + row % 4


@device
def a_item(lane, register, half, items):
    """Return row and term of an item of the first operand of `mma.sync`; `half` counts the items of a register."""
    row = lane // 4 + register % 2 * 8
    if items == 4:
        return row, lane % 4 + register // 2 * 4
    return row, lane % 4 * 2 + half + register // 2 * 8


@device
def b_item(lane, register, half, items):
    """Return term and column of an item of the second operand of `mma.sync`."""
    if items == 4:
        return lane % 4 + register * 4, lane // 4
    return lane % 4 * 2 + half + register * 8, lane // 4


@device
def c_item(lane, register):
    """Return row and column of a sum of `mma.sync`."""
    return lane // 4 + register // 2 * 8, lane % 4 * 2 + register % 2


@device
def tile_place(tile, row_tiles, column_tiles):
    """Return the row and the column of a tile, counted through groups of some rows, column by column."""
    per_group = GROUP * column_tiles
    first = tile // per_group * GROUP
    height = min(GROUP, row_tiles - first)
    return first + tile % per_group % height, tile % per_group // height
