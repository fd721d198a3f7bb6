"""Softmax, its logarithm and the cross-entropy of class probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, concrete
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.compiled import cpu, kernels_enabled

__all__ = ["log_softmax", "softmax", "softmax_cross_entropy"]

LARGE = 256  # items; below, the kernels are used only where they are loaded already


def _compiled(x: Any) -> bool:
    return dtype_of(x).char in "fd" and (kernels_enabled() or x.size >= LARGE)


class _Known:
    """The softmax of one array, which the loss has computed already."""

    __slots__ = ("x", "y")

    def __init__(self) -> None:
        self.x: Any = None
        self.y: Any = None

    def __repr__(self) -> str:
        return "·"


# -- softmax over the last axis ------------------------------------------------------------------------------


def _shifted(x: Any) -> Any:
    return x - np.max(x, axis=-1, keepdims=True, initial=-np.inf)


def _softmax_value(x: Any, known: _Known | None) -> Any:
    if known is not None and known.x is x:
        return known.y
    if _compiled(x):
        return cpu().softmax(x)
    e = np.exp(_shifted(x))
    return e / np.sum(e, axis=-1, keepdims=True)


def _log_softmax_value(x: Any) -> Any:
    if _compiled(x):
        return cpu().log_softmax(x)
    x = _shifted(x)
    return x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True))


def _through_softmax(t: Any, y: Any, _x: Any, known: Any) -> Any:
    """The Jacobian diag(y) - y y^T, which is symmetric."""
    weighted = t * y
    return weighted - y * np.sum(weighted, axis=-1, keepdims=True)


def _rows(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=s),)) for s in ((3, 4), (5,), (2, 1, 3), (0, 4), (2, 1), (30, 20))]


_softmax = Operation(
    "softmax",
    _softmax_value,
    jvps=(_through_softmax,),
    vjps=(_through_softmax,),
    samples=lambda rng: [Sample(s.args, {"known": None}) for s in _rows(rng)],
    shape=lambda x, known: Spec(shape_of(x), dtype_of(x)),
)
_log_softmax = Operation(
    "log_softmax",
    _log_softmax_value,
    jvps=(lambda t, y, _x: t - np.sum(np.exp(y) * t, axis=-1, keepdims=True),),
    vjps=(lambda ct, y, _x: ct - np.exp(y) * np.sum(ct, axis=-1, keepdims=True),),
    samples=_rows,
    shape=lambda x: Spec(shape_of(x), dtype_of(x)),
)


def _along(name: str, x: Any, axis: int) -> tuple[Any, int]:
    """Check the dtype and the axis; return `x` with that axis last, and the axis."""
    x = x if hasattr(x, "dtype") else np.asarray(x)
    if dtype_of(x).kind != "f":
        raise TypeError(f"{name}: expected real floating numbers, got {describe(x)}; convert with .astype(np.float32).")
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim)
    return (x if axis == x.ndim - 1 else np.moveaxis(x, axis, -1)), axis


def softmax(x: Any, axis: int = -1) -> Any:
    """Return exp(x) / sum(exp(x)) along an axis, without overflow.

    Parameters
    ----------
    x
        Array of a real floating dtype.
    axis
        The axis of the classes.

    Raises
    ------
    TypeError
        If `x` holds integers or complex numbers.
    numpy.exceptions.AxisError
        If there is no such axis.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0], [1e4, -1e4]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    x, axis = _along("softmax", x, axis)
    return np.moveaxis(_softmax(x, known=None), -1, axis) if axis != x.ndim - 1 else _softmax(x, known=None)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """Return x - log(sum(exp(x))) along an axis, without overflow or cancellation.

    Parameters and errors are those of `softmax`.

    Examples
    --------
    >>> log_softmax(np.array([0.0, -1e4]))
    array([     0., -10000.])
    """
    x, axis = _along("log_softmax", x, axis)
    return np.moveaxis(_log_softmax(x), -1, axis) if axis != x.ndim - 1 else _log_softmax(x)


# -- cross-entropy -------------------------------------------------------------------------------------------


def _one_hot(labels: Any, columns: int, dtype: Any) -> Any:
    return (np.arange(columns) == labels[:, None]).astype(dtype)


def _loss_value(x: Any, labels: Any, known: _Known) -> Any:
    if _compiled(x):
        loss, y = cpu().softmax_cross_entropy(x, labels)
        known.x, known.y = x, y
        return loss
    return -np.take_along_axis(_log_softmax_value(x), labels[:, None], axis=1)[:, 0]


def _difference_value(w: Any, p: Any, labels: Any) -> Any:
    if type(p) is np.ndarray and _compiled(p):
        return cpu().softmax_cross_entropy_gradient(w, p, labels)
    return w[:, None] * (p - _one_hot(labels, p.shape[1], dtype_of(p)))


def _labelled(rng: np.random.Generator) -> list[tuple[Any, Any]]:
    shapes = ((3, 4), (1, 2), (0, 3), (40, 10))
    return [(rng.normal(size=s), rng.integers(0, s[1], s[0])) for s in shapes]


# Row i: w[i] * (p[i] - one_hot(labels[i])).
_difference: Operation = Operation(
    "softmax_cross_entropy_gradient",
    _difference_value,
    jvps=(
        lambda t, _y, _w, p, labels: _difference(t, p, labels),
        lambda t, _y, w, _p, _labels: np.expand_dims(w, 1) * t,
        None,
    ),
    vjps=(
        lambda ct, _y, _w, p, labels: np.sum(ct * p, axis=1) - _picked(ct, labels),
        lambda ct, _y, w, _p, _labels: np.expand_dims(w, 1) * ct,
        None,
    ),
    linear_args=frozenset({0}),
    samples=lambda rng: [Sample((rng.normal(size=len(y)), abs(x), y)) for x, y in _labelled(rng)],
    shape=lambda w, p, labels: Spec(shape_of(p), dtype_of(p)),
)


def _picked(x: Any, labels: Any) -> Any:
    """The item of each row that its label names."""
    return x[np.arange(len(labels)), labels]


_loss = Operation(
    "softmax_cross_entropy",
    _loss_value,
    jvps=(
        lambda t, _y, x, labels, known: np.sum(t * _softmax(x, known=known), axis=1) - _picked(t, labels),
        None,
    ),
    vjps=(lambda ct, _y, x, labels, known: _difference(ct, _softmax(x, known=known), labels), None),
    samples=lambda rng: [Sample((x, y), {"known": _Known()}) for x, y in _labelled(rng)],
    shape=lambda x, labels, known: Spec(shape_of(x)[:1], dtype_of(x)),
)


def softmax_cross_entropy(
    logits: Any,
    targets: Any,
    *,
    axis: int = -1,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Any:
    """Return the cross-entropy between softmax(logits) and targets.

    Parameters
    ----------
    logits
        Array of a real floating dtype; values of +-1e4 are fine.
    targets
        Class numbers: integers of the logits' shape without `axis`. Or probabilities (one-hot rows too): an array of
        the logits' shape, each summing to 1 along `axis`.
    axis
        The axis of the classes.
    ignore_index
        Positions with this class number have loss 0 and do not count in the mean.
    reduction
        `"mean"` over the positions that count, `"sum"`, or `"none"`.

    Returns
    -------
    array
        A scalar; with `"none"`, an array of the logits' shape without `axis`. Of the logits' dtype.

    Raises
    ------
    TypeError
        If logits are not real and floating, or class numbers are not integers.
    ValueError
        If shapes do not fit, the reduction is unknown, or `ignore_index` comes with probabilities.
    IndexError
        If a class number is out of range; the first is named.

    Notes
    -----
    With class numbers the derivative, softmax(logits) - one_hot(targets), is computed in one fused pass.

    Examples
    --------
    >>> from autodiff import grad
    >>> logits, classes = np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([1, 0])
    >>> round(float(softmax_cross_entropy(logits, classes)), 6)
    0.693147
    >>> grad(softmax_cross_entropy)(logits, classes)
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    name = "softmax_cross_entropy"
    if reduction not in {"mean", "sum", "none"}:
        raise ValueError(f'{name}: reduction must be "mean", "sum" or "none", got {reduction!r}.')
    x, axis = _along(name, logits, axis)
    targets = targets if hasattr(targets, "dtype") else np.asarray(targets)
    shape = shape_of(x)[:-1]
    if shape_of(targets) == shape_of(logits):
        if ignore_index is not None:
            raise ValueError(f"{name}: ignore_index goes with class numbers; here, make the rows of targets 0.")
        moved = np.moveaxis(targets, axis, -1)
        if dtype_of(moved).kind != "f":
            moved = moved.astype(dtype_of(x))
        return _reduced(-np.sum(moved * _log_softmax(x), axis=-1), None, reduction)
    if shape_of(targets) != shape:
        raise ValueError(
            f"{name}: logits of shape {shape_of(logits)} with classes on axis {axis} need class numbers of shape "
            f"{shape} or probabilities of shape {shape_of(logits)}, got {describe(targets)}."
        )
    if dtype_of(targets).kind not in "iu":
        raise TypeError(f"{name}: class numbers must be integers, got {describe(targets)}.")
    labels, keep = _checked(targets, shape_of(x)[-1], ignore_index)
    losses = _loss(np.reshape(x, (-1, shape_of(x)[-1])) if len(shape) != 1 else x, labels, known=_Known())
    if keep is not None:
        losses = np.where(keep, losses, 0.0).astype(dtype_of(x))
    return _reduced(losses if len(shape) == 1 else np.reshape(losses, shape), keep, reduction)


def _checked(targets: Any, classes: int, ignore_index: int | None) -> tuple[Any, Any]:
    """Return class numbers in one dimension, 0 where they are ignored, and which positions count (None: all)."""
    labels = np.reshape(concrete(targets), (-1,))
    keep = None
    if ignore_index is not None:
        keep = labels != ignore_index
        labels = np.where(keep, labels, 0)
    wrong = (labels < 0) | (labels >= classes)
    if type(wrong) is np.ndarray and wrong.any():
        first = int(np.argmax(wrong))
        where = first if len(shape_of(targets)) == 1 else tuple(map(int, np.unravel_index(first, shape_of(targets))))
        raise IndexError(
            f"softmax_cross_entropy: class number {labels[first]} at position {where} is out of range for {classes} "
            "classes; mark positions to leave out with ignore_index=."
        )
    return labels, keep


def _reduced(losses: Any, keep: Any, reduction: str) -> Any:
    if reduction == "none":
        return losses
    total = np.sum(losses)
    if reduction == "sum":
        return total
    count = losses.size if keep is None else int(np.count_nonzero(keep))
    return total / count
