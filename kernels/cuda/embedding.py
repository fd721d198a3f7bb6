"""Rows of a table by their numbers, and the sums of rows that are its transpose, without atomics.

`embedding_scatter_add` sorts the numbers (stably, so that equal ones keep their order) and finds where each row's
begin. A thread then adds up one item of one row of the table, in the order of `g`: two calls give the same bits. So
that a row that occurs very often does not keep one thread busy, sums of CHUNK neighbours that belong to the same row
are taken before, all at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda, int64

from kernels.contracts import check_table, scattered_shape, table_index
from kernels.cuda.arrays import contiguous, empty, give, modules, number, receive
from kernels.cuda.launch import SIMULATED, blocks_for, ceil_div, declare

__all__ = ["embedding_gather", "embedding_scatter_add"]

THREADS = 8 if SIMULATED else 256
CHUNK = 3 if SIMULATED else 64


def first_wrong_index(index, found, count, rows):
    """Write the first position of a number that is out of range, or `count`; one block."""
    parts = cuda.shared.array(THREADS, int64)
    t = int64(cuda.threadIdx.x)
    best = count
    for i in range(t, count, THREADS):
        if index[i] < -rows or index[i] >= rows:
            best = min(best, i)
    parts[t] = best
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            parts[t] = min(parts[t], parts[t + half])
        cuda.syncthreads()
        half //= 2
    if t == 0:
        found[0] = parts[0]


def gather_rows(table, index, out, rows, width):
    """One item of the result for each thread."""
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, out.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        row = index[i // width]
        if row < 0:
            row += rows
        out[i] = table[row * width + i % width]


def add_chunks(g, order, sorted_index, sums, width):
    """Add up the rows of each chunk of CHUNK places in the sorted order that all belong to one row of the table."""
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, sums.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        start, column = i // width * CHUNK, i % width
        if sorted_index[start] == sorted_index[start + CHUNK - 1]:
            total = g[order[start] * width + column]
            for k in range(start + 1, start + CHUNK):
                total += g[order[k] * width + column]
            sums[i] = total


def add_rows(g, order, starts, sums, out, width):
    """One item of the table for each thread: its rows of g are at places [starts[row], starts[row + 1])."""
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, out.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        row, column = i // width, i % width
        k, end = starts[row], starts[row + 1]
        total = out.dtype.type(0)
        while k < end:
            if k % CHUNK == 0 and k + CHUNK <= end:
                total += sums[k // CHUNK * width + column]
                k += CHUNK
            else:
                total += g[order[k] * width + column]
                k += 1
        out[i] = total


check_kernel = declare(first_wrong_index, "i8[] i8[] i8 i8", shared=THREADS * 8)
gather_kernel = declare(gather_rows, "T[] i8[] T[] i8 i8")
chunks_kernel = declare(add_chunks, "T[] i8[] i8[] T[] i8")
rows_kernel = declare(add_rows, "T[] i8[] i8[] T[] T[] i8")


def _checked_index(name: str, index: Any, rows: int) -> Any:
    """Return the index as contiguous int64; raise for numbers out of range."""
    table_index(name, index)
    given = index.reshape(-1)
    if index.dtype == np.uint64:  # what int64 cannot hold is out of range
        index = modules().minimum(index, np.uint64(2**63 - 1))
    index = contiguous(modules().asarray(index, np.int64))
    if index.size:
        found = empty(name, 1, np.int64)
        check_kernel.launch(name, 1, THREADS, index, found, index.size, rows)
        first = number(found)
        if first < index.size:
            raise IndexError(
                f"{name}: index {number(given[first:])} at position {first} is out of range for {rows} rows"
            )
    return index


def embedding_gather(table: Any, index: Any) -> Any:
    """Return rows of a table: ``table[index]``.

    Parameters
    ----------
    table
        Array (V, ...) on the device, float32 or float64.
    index
        Integers of any shape on the device, from -V to V - 1; negative ones count from the end.

    Returns
    -------
    array
        (*index.shape, ...), of the dtype of `table`, on the device.

    Raises
    ------
    TypeError
        If an array lies on the host, the table is neither float32 nor float64, or the index not of integers.
    ValueError
        If the table is a scalar.
    IndexError
        If an index is out of range; the error names the first. Checking waits for the device.
    """
    name = "embedding_gather"
    table, index = receive(name, "table", table), receive(name, "index", index)
    check_table(name, "table", table)
    places = _checked_index(name, index, table.shape[0])
    out = empty(name, (*index.shape, *table.shape[1:]), table.dtype)
    if out.size:
        width = math.prod(table.shape[1:])
        gather_kernel.launch(
            name, blocks_for(out.size, THREADS), THREADS, contiguous(table), places, out.reshape(-1), table.shape[0],
            width,
        )  # fmt: skip
    return give(out)


def embedding_scatter_add(g: Any, index: Any, rows: int) -> Any:
    """Return a table of `rows` rows, to each of which its rows of `g` were added: the transpose of `embedding_gather`.

    Parameters
    ----------
    g
        Array (*index.shape, ...) on the device, float32 or float64.
    index
        As in `embedding_gather`.
    rows
        The number of rows, V.

    Returns
    -------
    array
        (V, ...), on the device. Two calls give the same bits.

    Raises
    ------
    TypeError, IndexError
        As `embedding_gather`.
    ValueError
        If the shape of `g` does not begin with that of the index, or `rows` is negative.
    """
    name = "embedding_scatter_add"
    g, index = receive(name, "g", g), receive(name, "index", index)
    check_table(name, "g", g)
    shape = scattered_shape(name, g.shape, index.shape, rows)
    places = _checked_index(name, index, rows)
    out = empty(name, (rows, *shape), g.dtype)
    if out.size == 0:
        return give(out)
    if places.size == 0:
        out[...] = 0
        return give(out)
    library, width, items = modules(), math.prod(shape), contiguous(g)
    places = library.where(places < 0, places + rows, places)
    order = library.argsort(places, kind="stable").astype(np.int64)
    places = places[order]
    starts = library.searchsorted(places, library.arange(rows + 1)).astype(np.int64)
    chunks = places.size // CHUNK
    sums = empty(name, max(chunks * width, 1), g.dtype)
    if chunks:
        blocks = blocks_for(ceil_div(chunks * width, 1), THREADS)
        chunks_kernel.launch(name, blocks, THREADS, items, order, places, sums, width)
    rows_kernel.launch(name, blocks_for(out.size, THREADS), THREADS, items, order, starts, sums, out.reshape(-1), width)
    return give(out)
