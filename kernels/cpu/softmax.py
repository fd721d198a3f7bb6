"""Softmax, its logarithm and the cross-entropy of class probabilities: rows of logits, stable at any size."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.cpu import elementary
from kernels.cpu.jit import kernel
from kernels.cpu.memory import flat
from kernels.cpu.threads import parallel_for

__all__ = ["log_softmax", "softmax", "softmax_cross_entropy", "softmax_cross_entropy_gradient"]

GRAIN = 1 << 14  # items that are worth a thread of their own
LANES = 16
NARROW = 64  # columns up to which rows lie side by side: a vector holds one column of many rows


@kernel
def largest(row):
    """Return the largest item; NaN is passed over (the exponentials bring it back)."""
    best = row[0]
    if row.size >= 4 * LANES:
        lanes = row[:LANES].copy()
        for i in range(1, row.size // LANES):
            part = row[i * LANES : (i + 1) * LANES]
            for j in range(LANES):
                lanes[j] = max(lanes[j], part[j])
        for j in range(LANES):
            if not best >= lanes[j]:
                best = lanes[j]
        row = row[row.size // LANES * LANES :]
    for j in range(row.size):
        if not best >= row[j]:
            best = row[j]
    return best


@kernel(fast=True)
def row_sum(row):
    total = row.dtype.type(0)
    for j in range(row.size):
        total += row[j]
    return total


@kernel
def exponentials(row, highest, out):
    """Write exp(row - highest) and return its sum.

    The sum has a loop of its own: in a loop that also writes, the compiler may add in another order when `row` and
    `out` lie close to each other, and equal rows would give unequal results.
    """
    for j in range(row.size):
        out[j] = elementary.exp(row[j] - highest)
    return row_sum(out)


@kernel(fast=True)
def sum_of_exponentials(row, highest):
    total = row.dtype.type(0)
    for j in range(row.size):
        total += elementary.exp(row[j] - highest)
    return total


@kernel(fast=True)
def scale(row, factor):
    for j in range(row.size):
        row[j] *= factor


@kernel
def shifted(row, highest, rest, out):
    """Write (row - highest) - rest, in this order: the sum of both shifts would round away small ones."""
    for j in range(row.size):
        out[j] = (row[j] - highest) - rest


@kernel
def side_by_side(x, columns, start, stop, block, highest, total):
    """Write exp(row - its largest item) of rows [start, stop), one column of all after the other; and their sums.

    There are at most LANES rows; the last stands for those that are missing.
    """
    for i in range(LANES):
        row = x[min(start + i, stop - 1) * columns : (min(start + i, stop - 1) + 1) * columns]
        for j in range(columns):
            block[j * LANES + i] = row[j]
    highest[:] = block[:LANES]
    for j in range(1, columns):
        part = block[j * LANES : (j + 1) * LANES]
        for i in range(part.size):
            highest[i] = highest[i] if highest[i] >= part[i] else part[i]
    total[:] = 0
    for j in range(columns):
        part = block[j * LANES : (j + 1) * LANES]
        for i in range(part.size):
            part[i] = elementary.exp(part[i] - highest[i])
        for i in range(part.size):
            total[i] += part[i]


@kernel
def scaled_rows(block, columns, total, start, stop, y):
    """Write the rows that lie side by side, each divided by its total."""
    for i in range(total.size):
        total[i] = total.dtype.type(1) / total[i]
    for j in range(columns):
        part = block[j * LANES : (j + 1) * LANES]
        for i in range(part.size):
            part[i] *= total[i]
    for i in range(stop - start):
        out = y[(start + i) * columns : (start + i + 1) * columns]
        for j in range(columns):
            out[j] = block[j * LANES + i]


@kernel
def room(x, columns):
    return np.empty(columns * LANES, x.dtype), np.empty(LANES, x.dtype), np.empty(LANES, x.dtype)


@kernel
def narrow_softmax_rows(start, stop, x, columns, y):
    block, highest, total = room(x, columns)
    for first in range(start, stop, LANES):
        last = min(first + LANES, stop)
        side_by_side(x, columns, first, last, block, highest, total)
        scaled_rows(block, columns, total, first, last, y)


@kernel
def narrow_log_softmax_rows(start, stop, x, columns, y):
    block, highest, total = room(x, columns)
    for first in range(start, stop, LANES):
        last = min(first + LANES, stop)
        side_by_side(x, columns, first, last, block, highest, total)
        for i in range(total.size):
            total[i] = elementary.log(total[i])
        for i in range(first, last):
            shifted(x[i * columns : (i + 1) * columns], highest[i - first], total[i - first],
                    y[i * columns : (i + 1) * columns])  # fmt: skip


@kernel
def narrow_cross_entropy_rows(start, stop, x, columns, labels, ignore, loss, y):
    block, highest, total = room(x, columns)
    logarithm = np.empty(LANES, x.dtype)
    for first in range(start, stop, LANES):
        last = min(first + LANES, stop)
        side_by_side(x, columns, first, last, block, highest, total)
        for i in range(logarithm.size):
            logarithm[i] = elementary.log(total[i])
        scaled_rows(block, columns, total, first, last, y)
        for i in range(first, last):
            if labels[i] == ignore:
                loss[i] = 0
                y[i * columns : (i + 1) * columns] = 0
            else:
                loss[i] = (highest[i - first] - x[i * columns + labels[i]]) + logarithm[i - first]


@kernel
def softmax_rows(start, stop, x, columns, y):
    if columns <= NARROW:
        narrow_softmax_rows(start, stop, x, columns, y)
        return
    for i in range(start, stop):
        row, out = x[i * columns : (i + 1) * columns], y[i * columns : (i + 1) * columns]
        total = exponentials(row, largest(row), out)
        scale(out, x.dtype.type(1) / total)


@kernel
def log_softmax_rows(start, stop, x, columns, y):
    if columns <= NARROW:
        narrow_log_softmax_rows(start, stop, x, columns, y)
        return
    for i in range(start, stop):
        row = x[i * columns : (i + 1) * columns]
        highest = largest(row)
        rest = elementary.log(sum_of_exponentials(row, highest))
        shifted(row, highest, rest, y[i * columns : (i + 1) * columns])


@kernel
def cross_entropy_rows(start, stop, x, columns, labels, ignore, loss, y):
    """Loss and probabilities of rows [start, stop), both 0 where the label is `ignore`."""
    if columns <= NARROW:
        narrow_cross_entropy_rows(start, stop, x, columns, labels, ignore, loss, y)
        return
    for i in range(start, stop):
        row, out = x[i * columns : (i + 1) * columns], y[i * columns : (i + 1) * columns]
        if labels[i] == ignore:
            loss[i] = 0
            out[:] = 0
            continue
        highest = largest(row)
        total = exponentials(row, highest, out)
        scale(out, x.dtype.type(1) / total)
        loss[i] = (highest - row[labels[i]]) + elementary.log(total)


@kernel(fast=True)
def gradient_row(probabilities, weight, out):
    for j in range(out.size):
        out[j] = probabilities[j] * weight


@kernel
def cross_entropy_gradient_rows(start, stop, probabilities, columns, labels, ignore, weights, gx):
    for i in range(start, stop):
        out = gx[i * columns : (i + 1) * columns]
        if labels[i] == ignore:
            out[:] = 0
            continue
        gradient_row(probabilities[i * columns : (i + 1) * columns], weights[i], out)
        out[labels[i]] -= weights[i]


@kernel
def first_wrong(labels, classes, may_ignore, ignore):
    """Position of the first label that is no class; their number if there is none."""
    for i in range(labels.size):
        if (labels[i] < 0 or labels[i] >= classes) and not (may_ignore and labels[i] == ignore):
            return i
    return labels.size


def _rows(name: str, x: Any) -> tuple[int, int]:
    """Check the dtype; return the number of rows and their length."""
    if x.dtype.char not in "fd" or not x.dtype.isnative:
        raise TypeError(f"{name}: expected float32 or float64, got {x.dtype}; convert with .astype(...)")
    if x.ndim < 1:
        raise ValueError(f"{name}: expected an array with at least one dimension, got a scalar")
    return (x.size // x.shape[-1] if x.size else 0), x.shape[-1]


def softmax(x: Any) -> Any:
    """Return exp(x) / sum(exp(x)) over the last axis.

    Parameters
    ----------
    x
        Array (..., K), float32 or float64; logits of +-1e4 and more are fine.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        If the dtype is neither float32 nor float64.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0], [1e4, -1e4]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    rows, columns = _rows("softmax", x)
    y = np.empty(x.shape, x.dtype)
    if rows:
        parallel_for(softmax_rows, rows, flat(np.ascontiguousarray(x)), columns, y.reshape(-1),
                     grain=1 + GRAIN // columns)  # fmt: skip
    return y


def log_softmax(x: Any) -> Any:
    """Return x - log(sum(exp(x))) over the last axis.

    Parameters, result and errors are those of `softmax`.

    Examples
    --------
    >>> log_softmax(np.array([1e4, 1e4, -1e4])).round(6)
    array([-6.93147000e-01, -6.93147000e-01, -2.00006931e+04])
    """
    rows, columns = _rows("log_softmax", x)
    y = np.empty(x.shape, x.dtype)
    if rows:
        parallel_for(log_softmax_rows, rows, flat(np.ascontiguousarray(x)), columns, y.reshape(-1),
                     grain=1 + GRAIN // columns)  # fmt: skip
    return y


def softmax_cross_entropy(logits: Any, labels: Any, ignore_index: int | None = None) -> tuple[Any, Any]:
    """Return -log softmax(logits)[label] of each row, and softmax(logits).

    Parameters
    ----------
    logits
        Array (N, K), float32 or float64.
    labels
        Integers (N,) from 0 to K - 1, or `ignore_index`.
    ignore_index
        The label of rows to leave out, whatever their logits are: their loss and their probabilities are 0.

    Returns
    -------
    loss : ndarray
        (N,), of the logits' dtype.
    probabilities : ndarray
        (N, K): what the gradient needs.

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit.
    IndexError
        If a label is out of range; the error names the first.

    Examples
    --------
    >>> loss, probabilities = softmax_cross_entropy(np.array([[0.0, 0.0], [9.0, 0.0]]), np.array([1, 0]))
    >>> loss.round(6)
    array([6.93147e-01, 1.23000e-04])
    """
    rows, columns = _rows("softmax_cross_entropy", logits)
    labels = _labels("softmax_cross_entropy", labels, logits, ignore_index)
    loss, y = np.zeros(logits.shape[:1], logits.dtype), np.empty(logits.shape, logits.dtype)
    if rows:
        ignore = -1 if ignore_index is None else ignore_index
        parallel_for(cross_entropy_rows, rows, flat(np.ascontiguousarray(logits)), columns, flat(labels), ignore, loss,
                     y.reshape(-1), grain=1 + GRAIN // columns)  # fmt: skip
    return loss, y


def softmax_cross_entropy_gradient(
    weights: Any, probabilities: Any, labels: Any, ignore_index: int | None = None
) -> Any:
    """Return weights[i] * (probabilities[i] - one_hot(labels[i])), the adjoint of the logits; 0 in ignored rows.

    Parameters
    ----------
    weights
        Adjoints (N,) of the losses.
    probabilities, labels, ignore_index
        As `softmax_cross_entropy` returned and took them.

    Returns
    -------
    ndarray
        (N, K), of the dtype of the probabilities.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `softmax_cross_entropy`; a ValueError also if `weights` has another shape or dtype.

    Examples
    --------
    >>> softmax_cross_entropy_gradient(np.array([2.0]), np.array([[0.25, 0.75]]), np.array([1]))
    array([[ 0.5, -0.5]])
    """
    rows, columns = _rows("softmax_cross_entropy_gradient", probabilities)
    labels = _labels("softmax_cross_entropy_gradient", labels, probabilities, ignore_index)
    if weights.shape != labels.shape or weights.dtype != probabilities.dtype:
        raise ValueError(
            f"softmax_cross_entropy_gradient: expected weights {labels.shape} of dtype {probabilities.dtype}, "
            f"got {weights.shape} of {weights.dtype}"
        )
    gx = np.empty(probabilities.shape, probabilities.dtype)
    if rows:
        ignore = -1 if ignore_index is None else ignore_index
        parallel_for(cross_entropy_gradient_rows, rows, flat(np.ascontiguousarray(probabilities)), columns,
                     flat(labels), ignore, flat(np.ascontiguousarray(weights)), gx.reshape(-1),
                     grain=1 + GRAIN // columns)  # fmt: skip
    return gx


def _labels(name: str, labels: Any, logits: Any, ignore_index: int | None) -> Any:
    """Return the labels as contiguous int64, checked."""
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"{name}: expected logits (N, K) and labels (N,), got {logits.shape} and {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, got {labels.dtype}")
    if labels.dtype.itemsize == 8 and labels.dtype.kind == "u":  # beyond int64 they would come out negative
        found = np.ascontiguousarray(np.minimum(labels, np.iinfo(np.int64).max), np.int64)
    else:
        found = np.ascontiguousarray(labels, np.int64)
    first = first_wrong(found, logits.shape[1], ignore_index is not None, -1 if ignore_index is None else ignore_index)
    if first < len(found):
        raise IndexError(
            f"{name}: label {labels[first]} at position {first} is out of range for {logits.shape[1]} classes; "
            "mark rows to leave out with ignore_index="
        )
    return found
