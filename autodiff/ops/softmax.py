"""Softmax, its logarithm and the cross-entropy of class probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, concrete
from autodiff.core.backend import array_of, made, on_host
from autodiff.core.batching import all_values, folded, pointwise
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.compiled import kernels_enabled, on_gpu, package_for
from autodiff.ops.portable import largest

__all__ = ["log_softmax", "softmax", "softmax_cross_entropy"]

LARGE = 256  # items; below, the kernels are used only where they are loaded already


def _compiled(x: Any) -> bool:
    if dtype_of(x).char not in "fd" or not dtype_of(x).isnative:
        return False
    return (kernels_enabled() or x.size >= LARGE) if on_host(x) else on_gpu(x)


class _Known:
    """The softmax of one array, which the loss has computed already."""

    __slots__ = ("pair",)

    def __init__(self) -> None:
        self.pair: tuple[Any, Any] = (None, None)  # in one piece: several threads may run one recorded program

    def __repr__(self) -> str:
        return "·"

    def of(self, x: Any) -> Any:
        """Return the softmax of `x`, or None."""
        at, y = self.pair
        return y if at is x else None


# -- softmax over the last axis ------------------------------------------------------------------------------


def _shifted(x: Any) -> Any:
    return x - largest(x, -1, -np.inf)


def _softmax_value(x: Any, known: _Known | None) -> Any:
    found = None if known is None else known.of(x)
    if found is not None:
        return found
    if _compiled(x):
        return package_for(x).softmax(x)
    e = np.exp(_shifted(x))
    return e / np.sum(e, axis=-1, keepdims=True)


def _log_softmax_value(x: Any) -> Any:
    if _compiled(x):
        return package_for(x).log_softmax(x)
    if x.size == 0:
        return x.copy()
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
    batch=pointwise,
)
_log_softmax = Operation(
    "log_softmax",
    _log_softmax_value,
    jvps=(lambda t, y, _x: t - np.sum(np.exp(y) * t, axis=-1, keepdims=True),),
    vjps=(lambda ct, y, _x: ct - np.exp(y) * np.sum(ct, axis=-1, keepdims=True),),
    samples=_rows,
    shape=lambda x: Spec(shape_of(x), dtype_of(x)),
    batch=pointwise,
)


def _along(name: str, x: Any, axis: int) -> tuple[Any, int]:
    """Check the dtype and the axis; return `x` with that axis last, and the axis."""
    x = array_of(x)
    if dtype_of(x).kind != "f":
        raise TypeError(f"{name}: expected real floating numbers, got {describe(x)}; convert with .astype(np.float32).")
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim, name)
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


# -- cross-entropy: labels are from 0 on, and IGNORED in rows that do not count -------------------------------

IGNORED = -1


def _kept(x: Any, labels: Any) -> Any:
    """Numbers or rows where they count, else an exact 0, whatever they hold."""
    counted = labels >= 0 if np.ndim(x) == 1 else np.expand_dims(labels >= 0, 1)
    return np.where(counted, x, dtype_of(x).type(0))


def _one_hot(labels: Any, columns: int, dtype: Any) -> Any:
    return (made(np.arange, labels, columns) == labels[:, None]).astype(dtype)


def _loss_value(x: Any, labels: Any, known: _Known, ignoring: bool) -> Any:
    if _compiled(x):
        loss, y = package_for(x).softmax_cross_entropy(x, labels, IGNORED)
        known.pair = x, y
        return loss
    logs = _log_softmax_value(_kept(x, labels) if ignoring else x)
    loss = -np.take_along_axis(logs, labels[:, None], axis=1)[:, 0]
    return _kept(loss, labels) if ignoring else loss


def _counted_value(x: Any, labels: Any, known: _Known) -> Any:
    y = known.of(x)
    return _kept(_softmax_value(_kept(x, labels), None), labels) if y is None else y


def _difference_value(w: Any, p: Any, labels: Any, ignoring: bool) -> Any:
    if _compiled(p):
        return package_for(p).softmax_cross_entropy_gradient(w, p, labels, IGNORED)
    y = w[:, None] * (p - _one_hot(labels, p.shape[1], dtype_of(p)))
    return _kept(y, labels) if ignoring else y


def _labelled(rng: np.random.Generator) -> list[tuple[Any, Any, bool]]:
    shapes = ((3, 4), (1, 2), (0, 3), (40, 10))
    drawn = [(rng.normal(size=s), rng.integers(0, s[1], s[0])) for s in shapes]
    return [(x, y, False) for x, y in drawn] + [(x, np.where(y % 2, y, IGNORED), True) for x, y in drawn]


def _through_counted(t: Any, y: Any, _x: Any, labels: Any, known: Any) -> Any:
    return _through_softmax(_kept(t, labels), y, None, None)


# Softmax, with 0 in the rows that do not count.
_counted_softmax = Operation(
    "softmax_of_counted_rows",
    _counted_value,
    jvps=(_through_counted, None),
    vjps=(_through_counted, None),
    samples=lambda rng: [Sample((x, y), {"known": _Known()}) for x, y, _ in _labelled(rng)],
    shape=lambda x, labels, known: Spec(shape_of(x), dtype_of(x)),
    batch=folded(1, 1),
)


def _product(t: Any, p: Any, labels: Any, ignoring: bool) -> Any:
    """Row i: the inner product of t[i] with p[i] - one_hot(labels[i])."""
    y = np.sum(t * p, axis=1) - t[made(np.arange, labels, len(labels)), labels]
    return _kept(y, labels) if ignoring else y


def _scaled(t: Any, w: Any, labels: Any, ignoring: bool) -> Any:
    return np.expand_dims(_kept(w, labels) if ignoring else w, 1) * t


# Row i: w[i] * (p[i] - one_hot(labels[i])).
_difference: Operation = Operation(
    "softmax_cross_entropy_gradient",
    _difference_value,
    jvps=(
        lambda t, _y, _w, p, labels, ignoring: _difference(t, p, labels, ignoring=ignoring),
        lambda t, _y, w, _p, labels, ignoring: _scaled(t, w, labels, ignoring),
        None,
    ),
    vjps=(
        lambda ct, _y, _w, p, labels, ignoring: _product(ct, p, labels, ignoring),
        lambda ct, _y, w, _p, labels, ignoring: _scaled(ct, w, labels, ignoring),
        None,
    ),
    linear_args=frozenset({0}),
    samples=lambda rng: [
        Sample((rng.normal(size=len(y)), abs(x), y), {"ignoring": ignoring}) for x, y, ignoring in _labelled(rng)
    ],
    shape=lambda w, p, labels, ignoring: Spec(shape_of(p), dtype_of(p)),
    batch=folded(1, 1, 1),
)


def _probabilities(x: Any, labels: Any, known: _Known, ignoring: bool) -> Any:
    return _counted_softmax(x, labels, known=known) if ignoring else _softmax(x, known=known)


_loss = Operation(
    "softmax_cross_entropy",
    _loss_value,
    jvps=(
        lambda t, _y, x, labels, known, ignoring: _product(
            t, _probabilities(x, labels, known, ignoring), labels, ignoring
        ),
        None,
    ),
    vjps=(
        lambda ct, _y, x, labels, known, ignoring: _difference(
            ct, _probabilities(x, labels, known, ignoring), labels, ignoring=ignoring
        ),
        None,
    ),
    samples=lambda rng: [
        Sample((x, y), {"known": _Known(), "ignoring": ignoring}) for x, y, ignoring in _labelled(rng)
    ],
    shape=lambda x, labels, known, ignoring: Spec(shape_of(x)[:1], dtype_of(x)),
    batch=folded(1, 1),
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
        Positions with this class number have loss 0, whatever their logits are, and do not count in the mean.
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
    With class numbers the derivative, softmax(logits) - one_hot(targets), is computed in one fused pass. The mean of
    no positions is NaN.

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
    targets = array_of(targets)
    shape = shape_of(x)[:-1]
    if shape_of(targets) == shape_of(logits):
        if ignore_index is not None:
            raise ValueError(f"{name}: ignore_index goes with class numbers; here, make the rows of targets 0.")
        moved = np.moveaxis(targets, axis, -1)
        if dtype_of(moved).kind not in "fiub":
            raise TypeError(f"{name}: probabilities must be real, got {describe(targets)}.")
        if dtype_of(moved) != dtype_of(x):
            moved = moved.astype(dtype_of(x))
        logs = _log_softmax(x)
        logs = np.where((moved == 0) & np.isneginf(logs), 0, logs)  # what is ruled out and does not occur costs nothing
        return _reduced(-np.sum(moved * logs, axis=-1), None, reduction)
    if shape_of(targets) != shape:
        raise ValueError(
            f"{name}: logits of shape {shape_of(logits)} with classes on axis {axis} need class numbers of shape "
            f"{shape} or probabilities of shape {shape_of(logits)}, got {describe(targets)}."
        )
    if dtype_of(targets).kind not in "iu":
        raise TypeError(f"{name}: class numbers must be integers, got {describe(targets)}.")
    labels, keep = _checked(targets, shape_of(x)[-1], ignore_index)
    rows = np.reshape(x, (-1, shape_of(x)[-1])) if len(shape) != 1 else x
    losses = _loss(rows, labels, known=_Known(), ignoring=keep is not None)
    return _reduced(losses if len(shape) == 1 else np.reshape(losses, shape), keep, reduction)


def _checked(targets: Any, classes: int, ignore_index: int | None) -> tuple[Any, Any]:
    """Return class numbers in one dimension, IGNORED where they are, and which positions count (None: all)."""
    labels = np.reshape(concrete(targets), (-1,))
    keep = None
    wrong = (labels < 0) | (labels >= classes)
    if ignore_index is not None:
        keep = labels != ignore_index
        wrong &= keep
    found = all_values(wrong)
    if type(found) is np.ndarray and found.any():
        first = int(np.argmax(found))
        shape = found.shape[:-1] + shape_of(targets)  # under vmap, the examples come first
        where = first if len(shape) == 1 else tuple(map(int, np.unravel_index(first, shape)))
        raise IndexError(
            f"softmax_cross_entropy: class number {all_values(labels).flat[first]} at position {where} is out of range "
            f"for {classes} classes; mark positions to leave out with ignore_index=."
        )
    if keep is None or (type(keep) is np.ndarray and keep.all()):
        return labels, None
    return np.where(keep, labels.astype(np.int64), IGNORED), keep


def _reduced(losses: Any, keep: Any, reduction: str) -> Any:
    if reduction == "none":
        return losses
    if dtype_of(losses).char == "e":  # it holds neither the sum of a large batch nor the number of its rows
        return _reduced(losses.astype(np.float32), keep, reduction).astype(np.float16)
    total = np.sum(losses)
    if reduction == "sum":
        return total
    count = losses.size if keep is None else np.count_nonzero(keep)
    return total / (count if isinstance(count, int) else count.astype(dtype_of(losses)))  # known by shape alone
