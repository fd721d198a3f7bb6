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
def softmax_rows(start, stop, x, columns, y):
    for i in range(start, stop):
        row, out = x[i * columns : (i + 1) * columns], y[i * columns : (i + 1) * columns]
        total = exponentials(row, largest(row), out)
        scale(out, x.dtype.type(1) / total)


@kernel
def log_softmax_rows(start, stop, x, columns, y):
    for i in range(start, stop):
        row = x[i * columns : (i + 1) * columns]
        highest = largest(row)
        rest = elementary.log(sum_of_exponentials(row, highest))
        shifted(row, highest, rest, y[i * columns : (i + 1) * columns])


@kernel
def cross_entropy_rows(start, stop, x, columns, labels, ignore, loss, y):
    """Loss and probabilities of rows [start, stop), both 0 where the label is `ignore`."""
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
    wrong = (labels < 0) | (labels >= logits.shape[1])
    if ignore_index is not None:
        wrong &= labels != ignore_index
    if wrong.any():
        first = int(np.argmax(wrong))
        raise IndexError(
            f"{name}: label {labels[first]} at position {first} is out of range for {logits.shape[1]} classes; "
            "mark rows to leave out with ignore_index="
        )
    return np.ascontiguousarray(labels, np.int64)
