"""Softmax, its logarithm and the cross-entropy of class probabilities on the device: rows of logits of any size.

A group of `lanes` threads has a row: as many as the row is long, up to a block. Sums and maxima go through a tree in
shared memory, always in the same order: two calls give the same bits, and equal rows equal results.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda, int64

from kernels.cuda.arrays import contiguous, empty, give, modules, number, receive
from kernels.cuda.launch import MAX_BLOCKS, SIMULATED, blocks_for, declare, device, power_of_two

__all__ = ["log_softmax", "softmax", "softmax_cross_entropy", "softmax_cross_entropy_gradient"]

THREADS = 8 if SIMULATED else 256
ROW_LANES = 4 if SIMULATED else 256  # the most for one row


@device
def later(a, b):
    """Return the larger of two; NaN is passed over (the exponentials bring it back)."""
    return a if a >= b or b != b else b


@device
def row_maximum(x, start, columns, lane, lanes):
    """Return the largest item that a lane sees."""
    best = x[start + min(lane, columns - 1)]
    for j in range(lane, columns, lanes):
        best = later(x[start + j], best)
    return best


@device
def row_sum(x, start, columns, lane, lanes, highest):
    total = x.dtype.type(0)
    for j in range(lane, columns, lanes):
        total += math.exp(x[start + j] - highest)
    return total


def softmax_rows(x, labels, y, loss, rows, columns, lanes, kind, ignored):
    """Softmax (kind 0), log-softmax (1) or cross-entropy with softmax (2) of each row."""
    parts = cuda.shared.array(THREADS, y.dtype)
    t = int64(cuda.threadIdx.x)
    lane, group, groups = t % lanes, t // lanes, THREADS // lanes
    for base in range(int64(cuda.blockIdx.x) * groups, rows, int64(cuda.gridDim.x) * groups):
        row = base + group
        active = row < rows
        label = int64(0)
        if kind == 2 and active:
            label = labels[row]
            if ignored[0] == 1 and label == ignored[1]:
                active = False
                for j in range(lane, columns, lanes):
                    y[row * columns + j] = 0
                if lane == 0:
                    loss[row] = 0
        start = row * columns
        highest = y.dtype.type(0)
        if active:
            highest = row_maximum(x, start, columns, lane, lanes)
        parts[t] = highest
        cuda.syncthreads()
        half = lanes // 2
        while half > 0:
            if lane < half:
                parts[t] = later(parts[t], parts[t + half])
            cuda.syncthreads()
            half //= 2
        highest = parts[group * lanes]
        cuda.syncthreads()
        if active:
            parts[t] = row_sum(x, start, columns, lane, lanes, highest)
        cuda.syncthreads()
        half = lanes // 2
        while half > 0:
            if lane < half:
                parts[t] += parts[t + half]
            cuda.syncthreads()
            half //= 2
        total = parts[group * lanes]
        cuda.syncthreads()
        if active:
            if kind == 1:
                rest = math.log(total)
                for j in range(lane, columns, lanes):
                    y[start + j] = (x[start + j] - highest) - rest
            else:
                for j in range(lane, columns, lanes):
                    y[start + j] = math.exp(x[start + j] - highest) / total
            if kind == 2 and lane == 0:
                loss[row] = (highest - x[start + label]) + math.log(total)


def cross_entropy_gradient_rows(probabilities, labels, weights, gx, rows, columns, ignored):
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, rows * columns, int64(cuda.gridDim.x) * cuda.blockDim.x):
        row, column = i // columns, i % columns
        label = labels[row]
        if ignored[0] == 1 and label == ignored[1]:
            gx[i] = 0
        else:
            value = probabilities[i] * weights[row]
            if column == label:
                value -= weights[row]
            gx[i] = value


def first_wrong_label(labels, found, count, classes, ignored):
    """Write the first position of a label that is out of range, or `count`; one block."""
    parts = cuda.shared.array(THREADS, int64)
    t = int64(cuda.threadIdx.x)
    best = count
    for i in range(t, count, THREADS):
        label = labels[i]
        if (label < 0 or label >= classes) and not (ignored[0] == 1 and label == ignored[1]):
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


softmax_kernel = declare(softmax_rows, "T[] i8[] T[] T[] i8 i8 i8 i8 2*i8", shared=THREADS * 8)
gradient_kernel = declare(cross_entropy_gradient_rows, "T[] i8[] T[] T[] i8 i8 2*i8")
labels_kernel = declare(first_wrong_label, "i8[] i8[] i8 i8 2*i8", shared=THREADS * 8)


def _rows(name: str, x: Any) -> tuple[int, int]:
    """Check the dtype; return the number of rows and their length."""
    if x.dtype.char not in "fd" or not x.dtype.isnative:
        raise TypeError(f"{name}: expected float32 or float64, got {x.dtype}; convert with .astype(...)")
    if x.ndim < 1:
        raise ValueError(f"{name}: expected an array with at least one dimension, got a scalar")
    return (x.size // x.shape[-1] if x.size else 0), x.shape[-1]


def _normal(name: str, x: Any, kind: int) -> Any:
    x = receive(name, "x", x)
    rows, columns = _rows(name, x)
    y = empty(name, x.shape, x.dtype)
    if rows:
        out = y.reshape(-1)
        _launch(name, x, modules().zeros(1, np.int64), out, out, rows, columns, kind, (0, 0))
    return give(y)


def _launch(
    name: str, x: Any, labels: Any, y: Any, loss: Any, rows: int, columns: int, kind: int, ignored: tuple[int, int]
) -> None:
    lanes = power_of_two(columns, ROW_LANES)
    blocks = blocks_for(rows, THREADS // lanes, MAX_BLOCKS)
    softmax_kernel.launch(name, blocks, THREADS, contiguous(x), labels, y, loss, rows, columns, lanes, kind, ignored)


def softmax(x: Any) -> Any:
    """Return exp(x) / sum(exp(x)) over the last axis.

    Parameters
    ----------
    x
        Array (..., K) on the device, float32 or float64; logits of +-1e4 and more are fine.

    Returns
    -------
    array
        Of the shape and dtype of `x`, on the device.

    Raises
    ------
    TypeError
        If `x` lies on the host, or its dtype is neither float32 nor float64.
    ValueError
        If `x` is a scalar.
    """
    return _normal("softmax", x, 0)


def log_softmax(x: Any) -> Any:
    """Return x - log(sum(exp(x))) over the last axis.

    Parameters, result and errors are those of `softmax`.
    """
    return _normal("log_softmax", x, 1)


def softmax_cross_entropy(logits: Any, labels: Any, ignore_index: int | None = None) -> tuple[Any, Any]:
    """Return -log softmax(logits)[label] of each row, and softmax(logits).

    Parameters
    ----------
    logits
        Array (N, K) on the device, float32 or float64.
    labels
        Integers (N,) on the device, from 0 to K - 1, or `ignore_index`.
    ignore_index
        The label of rows to leave out, whatever their logits are: their loss and their probabilities are 0.

    Returns
    -------
    loss : array
        (N,), of the logits' dtype.
    probabilities : array
        (N, K): what the gradient needs.

    Raises
    ------
    TypeError, ValueError
        If an array lies on the host, or dtypes or shapes do not fit.
    IndexError
        If a label is out of range; the error names the first. Checking waits for the device.
    """
    name = "softmax_cross_entropy"
    logits, labels = receive(name, "logits", logits), receive(name, "labels", labels)
    rows, columns = _rows(name, logits)
    ignored = (0, 0) if ignore_index is None else (1, int(ignore_index))
    labels = _labels(name, labels, logits, ignored)
    loss, y = empty(name, logits.shape[:1], logits.dtype), empty(name, logits.shape, logits.dtype)
    if rows:
        _launch(name, logits, labels, y.reshape(-1), loss, rows, columns, 2, ignored)
    elif loss.size:  # no classes: every label is ignored
        loss[...] = 0
    return give(loss), give(y)


def softmax_cross_entropy_gradient(
    weights: Any, probabilities: Any, labels: Any, ignore_index: int | None = None
) -> Any:
    """Return weights[i] * (probabilities[i] - one_hot(labels[i])), the adjoint of the logits; 0 in ignored rows.

    Parameters
    ----------
    weights
        Adjoints (N,) of the losses, on the device.
    probabilities, labels, ignore_index
        As `softmax_cross_entropy` returned and took them.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `softmax_cross_entropy`.
    """
    name = "softmax_cross_entropy_gradient"
    weights, labels = receive(name, "weights", weights), receive(name, "labels", labels)
    probabilities = receive(name, "probabilities", probabilities)
    rows, columns = _rows(name, probabilities)
    ignored = (0, 0) if ignore_index is None else (1, int(ignore_index))
    labels = _labels(name, labels, probabilities, ignored)
    if weights.shape != labels.shape or weights.dtype != probabilities.dtype:
        raise ValueError(
            f"{name}: expected weights {labels.shape} of dtype {probabilities.dtype}, "
            f"got {weights.shape} of {weights.dtype}"
        )
    gx = empty(name, probabilities.shape, probabilities.dtype)
    if rows:
        gradient_kernel.launch(
            name, blocks_for(gx.size, THREADS), THREADS, contiguous(probabilities), labels, contiguous(weights),
            gx.reshape(-1), rows, columns, ignored,
        )  # fmt: skip
    return give(gx)


def _labels(name: str, labels: Any, logits: Any, ignored: tuple[int, int]) -> Any:
    """Return the labels as contiguous int64, checked."""
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"{name}: expected logits (N, K) and labels (N,), got {logits.shape} and {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, got {labels.dtype}")
    given = labels
    if labels.dtype.char in "QL" and labels.dtype.itemsize == 8:  # what int64 cannot hold is out of range
        labels = modules().minimum(labels, np.uint64(2**63 - 1))
    labels = modules().ascontiguousarray(labels, np.int64)
    if labels.size:
        found = empty(name, 1, np.int64)
        labels_kernel.launch(name, 1, THREADS, labels, found, labels.size, logits.shape[1], ignored)
        first = number(found)
        if first < labels.size:
            raise IndexError(
                f"{name}: label {number(given[first:])} at position {first} is out of range for {logits.shape[1]} "
                "classes; mark rows to leave out with ignore_index="
            )
    return labels
