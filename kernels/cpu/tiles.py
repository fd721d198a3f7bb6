"""Matrix tiles held in registers, and the block copies that feed them: vector instructions, or plain loops.

All arrays are one-dimensional, all offsets and strides count items.

- `tile(a, a_at, a_row, a_step, a_table, b, b_at, b_step, b_table, count, c, c_at, c_row, rows, columns, accumulate)`:
  `c[i, j] (+)= sum over k < count of A[i, k] * B[k, j]` for `rows` <= `TILE_ROWS` and `columns` <= twice the lanes,
  where `A[i, k] = a[a_at + i * a_row + k * a_step]` and `B[k, j] = b[b_at + k * b_step + j]`.
- `tile_a_table`: the same with `A[i, k] = a[a_at + i * a_row + a_table[a_step + k]]`.
- `tile_b_table`: the same with `B[k, j] = b[b_at + b_table[b_step + k] + j]`; here `b` must have twice the lanes of
  readable items after each offset, whatever `columns` says.
- `dots(a, a_at, a_row, b, b_at, b_row, count, c, c_at, c_row, rows, columns, accumulate)`: `c[i, j] (+)= sum over
  k < count of a[a_at + i * a_row + k] * b[b_at + j * b_row + k]` for `rows` and `columns` <= `DOTS`.
- `transpose_block(source, at, row, rows, columns, out, out_at, out_row)`: `out[k, i] = source[i, k]` for at most as
  many rows and columns as a vector has lanes.
- `copy_rows(source, at, row, rows, columns, out, out_at, out_row)`: `out[i, j] = source[i, j]`, `columns` at most
  twice the lanes.
- `prefetch(array, at)`, `prefetch_to_write(array, at)`, `prefetch_soon(array, at)`: fetch the cache line of an item
  early, into the first cache to read or write, or into the second.
"""

from __future__ import annotations

from kernels.cpu.host import host

__all__ = [
    "DOTS",
    "LANES32",
    "LANES64",
    "TILE_ROWS",
    "copy_rows",
    "dots",
    "prefetch",
    "prefetch_soon",
    "prefetch_to_write",
    "tile",
    "tile_a_table",
    "tile_b_table",
    "transpose_block",
]

if host().vectorised:
    from kernels.cpu.dots_llvm import DOTS, dots
    from kernels.cpu.tiles_llvm import (
        TILE_ROWS,
        copy_rows,
        prefetch,
        prefetch_soon,
        prefetch_to_write,
        tile,
        tile_a_table,
        tile_b_table,
        transpose_block,
    )

    LANES32, LANES64 = host().lanes(4), host().lanes(8)
else:
    from kernels.cpu.tiles_plain import (
        copy_rows,
        dots,
        prefetch,
        prefetch_soon,
        prefetch_to_write,
        tile,
        tile_a_table,
        tile_b_table,
        transpose_block,
    )

    TILE_ROWS, LANES32, LANES64, DOTS = 6, 8, 8, 3
