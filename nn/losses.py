"""How wrong predictions are: numbers to be made small, built of operations that `autodiff` differentiates.

Every loss takes predictions, targets and a `reduction`: ``"mean"`` and ``"sum"`` give one number, ``"none"`` gives the
losses that they are taken of. Losses of numbers (`mse`, `mae`, `huber`, `binary_cross_entropy_with_logits`, `hinge`)
have one for each entry; losses of classes (`cross_entropy`, `kl_divergence`, `multiclass_hinge`) one for each example.

Predictions are floating-point arrays, and nothing is broadcast: predictions ``(n, 1)`` against targets ``(n,)`` are an
error, not an (n, n) matrix of differences. Integers and booleans among targets take the dtype of the predictions, so
float32 stays float32; floats promote as everywhere in NumPy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core.backend import array_of, made
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import Tracer
from autodiff.ops import log_softmax, softmax_cross_entropy, softplus

__all__ = [
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge",
    "huber",
    "kl_divergence",
    "mae",
    "mse",
    "multiclass_hinge",
]

REDUCTIONS = ("mean", "sum", "none")


# -- arguments and results ---------------------------------------------------------------------------------------


def _array(x: Any) -> Any:
    return array_of(x)


def _predictions(name: str, argument: str, x: Any) -> Any:
    x = _array(x)
    if not np.issubdtype(dtype_of(x), np.floating):
        raise TypeError(f"{name}: {argument} must be floating-point numbers, not {describe(x)}; convert with astype.")
    return x


def _targets(name: str, argument: str, predictions: Any, targets: Any) -> Any:
    """Numbers of the predictions' shape."""
    targets = _array(targets)
    if shape_of(targets) != shape_of(predictions):
        raise ValueError(
            f"{name}: {argument} {shape_of(predictions)} and targets {shape_of(targets)} must have the same shape; "
            "nothing is broadcast."
        )
    dtype = dtype_of(targets)
    if np.issubdtype(dtype, np.floating):
        return targets
    if np.issubdtype(dtype, np.integer) or dtype == np.bool_:
        return targets.astype(dtype_of(predictions))
    raise TypeError(f"{name}: targets must be real numbers, not {describe(targets)}.")


def _pair(name: str, argument: str, predictions: Any, targets: Any, reduction: str) -> tuple[Any, Any]:
    _check_reduction(name, reduction)
    predictions = _predictions(name, argument, predictions)
    return predictions, _targets(name, argument, predictions, targets)


def _labels(name: str, scores: Any, targets: Any, axis: int) -> Any:
    """Class numbers for the scores along an axis, with that axis kept."""
    targets = _array(targets)
    if not np.issubdtype(dtype_of(targets), np.integer):
        raise TypeError(f"{name}: targets must be class numbers, that is integers, not {describe(targets)}.")
    shape = list(shape_of(scores))
    classes = shape.pop(axis)
    if shape_of(targets) != tuple(shape):
        raise ValueError(
            f"{name}: scores {shape_of(scores)} with classes along axis {axis} need targets {tuple(shape)}, "
            f"not {shape_of(targets)}."
        )
    if not isinstance(targets, Tracer) and targets.size and not 0 <= targets.min() <= targets.max() < classes:
        wrong = targets.min() if targets.min() < 0 else targets.max()
        raise IndexError(f"{name}: label {wrong} is out of range for {classes} classes.")
    return np.expand_dims(targets, axis)


def _axis(name: str, scores: Any, axis: int) -> int:
    rank = len(shape_of(scores))
    if not -rank <= axis < rank:
        raise np.exceptions.AxisError(axis, rank, name)
    if shape_of(scores)[axis] == 0:
        raise ValueError(f"{name}: shape {shape_of(scores)} has no classes along axis {axis}.")
    return axis % rank


def _check_reduction(name: str, reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f'{name}: reduction must be "mean", "sum" or "none", not {reduction!r}.')


def _reduced(name: str, losses: Any, reduction: str) -> Any:
    if reduction == "none":
        return losses
    if reduction == "sum":
        return np.sum(losses)
    _check_some(name, shape_of(losses))
    return np.mean(losses)


def _check_some(name: str, shape: tuple[int, ...]) -> None:
    if math.prod(shape) == 0:
        raise ValueError(f'{name}: there is no mean of no losses (shape {shape}); use "sum" or "none".')


def _positive(name: str, argument: str, value: float) -> float:
    """A plain float: a NumPy float64 would make float64 of float32."""
    value = float(value)
    if not 0 < value < math.inf:
        raise ValueError(f"{name}: {argument} must be positive and finite, not {value}.")
    return value


# -- numbers -----------------------------------------------------------------------------------------------------


def mse(predictions: Any, targets: Any, *, reduction: str = "mean") -> Any:
    """Mean squared error: the mean of (p - t)² over all entries.

    The quadratic cost (1 / 2n) Σ |p - t|² of n examples is ``mse(p, t, reduction="sum") / (2 * n)``.

    Parameters
    ----------
    predictions : ndarray of floats
        Any shape.
    targets : ndarray
        The same shape.
    reduction : "mean", "sum" or "none"
        What becomes of the losses of the entries.

    Returns
    -------
    scalar, or ndarray of the shape of `predictions`
        The loss; the losses if `reduction` is "none".

    Raises
    ------
    TypeError
        If predictions are not floating-point numbers, or targets not real ones.
    ValueError
        If shapes differ, the reduction is unknown, or a mean of no entries is asked for.

    Examples
    --------
    >>> mse(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    np.float64(2.0)
    >>> from autodiff import grad
    >>> grad(mse)(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array([ 0., -2.])
    """
    p, t = _pair("mse", "predictions", predictions, targets, reduction)
    return _reduced("mse", np.square(p - t), reduction)


def mae(predictions: Any, targets: Any, *, reduction: str = "mean") -> Any:
    """Mean absolute error: the mean of |p - t| over all entries; the derivative at p = t is 0.

    Parameters, shapes and errors are those of `mse`.

    Examples
    --------
    >>> mae(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    np.float64(1.0)
    """
    p, t = _pair("mae", "predictions", predictions, targets, reduction)
    return _reduced("mae", np.abs(p - t), reduction)


def huber(predictions: Any, targets: Any, *, delta: float = 1.0, reduction: str = "mean") -> Any:
    """Huber loss: quadratic for small errors, linear for large ones, with a continuous slope.

    With r = p - t, each entry's loss is r² / 2 where abs(r) <= delta, and delta * (abs(r) - delta / 2) elsewhere
    (Huber, "Robust estimation of a location parameter", 1964).

    Parameters
    ----------
    predictions, targets, reduction
        As for `mse`, with its errors.
    delta : float
        Where the loss becomes linear; positive.

    Returns
    -------
    scalar, or ndarray of the shape of `predictions`
        The loss.

    Examples
    --------
    >>> huber(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    p, t = _pair("huber", "predictions", predictions, targets, reduction)
    delta = _positive("huber", "delta", delta)
    error = p - t
    bounded = np.clip(error, -delta, delta)
    # r²/2 and its continuation in one expression: no square overflows, and the curvature at 0 is 1.
    return _reduced("huber", bounded * (error - 0.5 * bounded), reduction)


# -- two classes -------------------------------------------------------------------------------------------------


def binary_cross_entropy_with_logits(logits: Any, targets: Any, *, reduction: str = "mean") -> Any:
    """Cross-entropy of yes-or-no answers whose probability is sigmoid(logit).

    Each entry's loss is -t log(sigmoid(z)) - (1 - t) log(1 - sigmoid(z)), computed without overflow or cancellation
    for any finite z.

    Parameters
    ----------
    logits : ndarray of floats
        Any shape.
    targets : ndarray
        The same shape: 0, 1, booleans, or probabilities in between.
    reduction : "mean", "sum" or "none"
        What becomes of the losses of the entries.

    Returns
    -------
    scalar, or ndarray of the shape of `logits`
        The loss.

    Raises
    ------
    TypeError, ValueError
        As `mse`; also if a target is not within [0, 1].

    Examples
    --------
    >>> z = np.array([0.0, 1e4, -1e4])
    >>> binary_cross_entropy_with_logits(z, np.array([1, 1, 1]), reduction="none")
    array([6.93147181e-01, 0.00000000e+00, 1.00000000e+04])
    """
    name = "binary_cross_entropy_with_logits"
    z, t = _pair(name, "logits", logits, targets, reduction)
    if not isinstance(t, Tracer) and not np.all((t >= 0) & (t <= 1)):
        raise ValueError(f"{name}: targets are probabilities, from 0 to 1; {t[~((t >= 0) & (t <= 1))][0]} is not.")
    # The loss is softplus(z) - t z, and the same with -z and 1 - t. With the smaller of t and 1 - t nothing cancels.
    swap = t > 0.5
    z, t = np.where(swap, -z, z), np.where(swap, 1 - t, t)
    return _reduced(name, softplus(z) - t * z, reduction)


def hinge(scores: Any, targets: Any, *, margin: float = 1.0, reduction: str = "mean") -> Any:
    """Hinge loss of two classes: the mean of max(0, margin - t * s), for labels t of -1 and 1.

    At the kink, t * s = margin, the derivative is half of the one beside it, as everywhere in `autodiff`.

    Parameters
    ----------
    scores : ndarray of floats
        Any shape.
    targets : ndarray
        The same shape; every entry is -1 or 1.
    margin : float
        How far on the right side a score must be to cost nothing; positive.
    reduction : "mean", "sum" or "none"
        What becomes of the losses of the entries.

    Returns
    -------
    scalar, or ndarray of the shape of `scores`
        The loss.

    Raises
    ------
    TypeError, ValueError
        As `mse`; also if a target is neither -1 nor 1.

    Examples
    --------
    >>> hinge(np.array([2.0, 0.5, 0.5]), np.array([1, 1, -1]), reduction="none")
    array([0. , 0.5, 1.5])
    """
    s, t = _pair("hinge", "scores", scores, targets, reduction)
    margin = _positive("hinge", "margin", margin)
    if not isinstance(t, Tracer) and not np.all(np.abs(t) == 1):
        raise ValueError(f"hinge: targets are -1 or 1, not {t[np.abs(t) != 1][0]:g}; from 0 and 1, use 2 * t - 1.")
    return _reduced("hinge", np.maximum(margin - t * s, 0), reduction)


# -- many classes ------------------------------------------------------------------------------------------------


def cross_entropy(
    logits: Any, targets: Any, *, axis: int = -1, ignore_index: int | None = None, reduction: str = "mean"
) -> Any:
    """Cross-entropy of softmax(logits) and the right classes, the loss of classifiers.

    Each example's loss is -log q[t] for a class number t, and -Σ p log q for probabilities p, with
    q = softmax(logits) along `axis`; it is stable for logits of any size.

    Parameters
    ----------
    logits : ndarray of floats, (..., classes, ...)
        Scores before softmax, classes along `axis`.
    targets : ndarray
        Class numbers, of the shape of `logits` without `axis`; or probabilities (one-hot rows are), of its whole shape.
    axis : int
        The axis of the classes.
    ignore_index : int, optional
        A class number that marks examples without a target: their loss is 0, and a mean does not count them.
    reduction : "mean", "sum" or "none"
        What becomes of the losses of the examples.

    Returns
    -------
    scalar, or ndarray of the shape of `logits` without `axis`
        The loss.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, the reduction is unknown, or `ignore_index` comes with probabilities.
    IndexError
        If a class number is out of range.

    Notes
    -----
    This is `autodiff.ops.softmax_cross_entropy`, in the company of the other losses.

    Examples
    --------
    >>> logits = np.array([[2.0, 0.0], [0.0, 0.0]])
    >>> cross_entropy(logits, np.array([0, 1]), reduction="none").round(4)
    array([0.1269, 0.6931])
    >>> cross_entropy(logits, np.array([[1.0, 0.0], [0.5, 0.5]]), reduction="none").round(4)
    array([0.1269, 0.6931])
    """
    logits = _array(logits)
    if reduction == "mean":
        _check_some("cross_entropy", shape_of(logits))
    return softmax_cross_entropy(logits, targets, axis=axis, ignore_index=ignore_index, reduction=reduction)


def kl_divergence(logits: Any, targets: Any, *, axis: int = -1, reduction: str = "mean") -> Any:
    """Kullback-Leibler divergence from softmax(logits) to the target distributions.

    Each example's loss is Σ p (log p - log q) along `axis`, with q = softmax(logits) and 0 log 0 = 0. It is the
    cross-entropy less the entropy of the targets: same gradient, and 0 where q = p. Logarithms of probabilities are
    logits, too.

    Parameters
    ----------
    logits : ndarray of floats, (..., classes, ...)
        Scores before softmax, classes along `axis`.
    targets : ndarray of the same shape
        Probabilities: not negative, and 1 in sum along `axis`.
    axis : int
        The axis of the classes.
    reduction : "mean", "sum" or "none"
        What becomes of the losses of the examples; the mean is over examples, not entries.

    Returns
    -------
    scalar, or ndarray of the shape of `logits` without `axis`
        The loss.

    Raises
    ------
    TypeError, ValueError
        As `mse`; also if targets are not probabilities.

    Examples
    --------
    >>> p = np.array([[0.5, 0.5], [1.0, 0.0]])
    >>> kl_divergence(np.log([[0.5, 0.5], [0.25, 0.75]]), p, reduction="none").round(4)
    array([0.    , 1.3863])
    """
    name = "kl_divergence"
    z, p = _pair(name, "logits", logits, targets, reduction)
    axis = _axis(name, z, axis)
    if not isinstance(p, Tracer):
        _check_probabilities(name, p, axis)
    present = p > 0
    log_p = np.log(np.where(present, p, 1))
    # Where p is 0, log q may be minus infinity.
    losses = np.sum(p * np.where(present, log_p - log_softmax(z, axis), 0), axis=axis)
    return _reduced(name, losses, reduction)


def _check_probabilities(name: str, p: Any, axis: int) -> None:
    if not np.all(p >= 0):
        raise ValueError(f"{name}: targets are probabilities; {p[~(p >= 0)][0]:g} is not.")
    sums = np.sum(p, axis=axis)
    wrong = ~(np.abs(sums - 1) <= max(1e-3, 10 * float(np.finfo(p.dtype).eps)))
    if np.any(wrong):
        raise ValueError(f"{name}: probabilities sum to 1 along axis {axis}; some targets sum to {sums[wrong][0]:g}.")


def multiclass_hinge(
    scores: Any,
    targets: Any,
    *,
    kind: str = "weston-watkins",
    margin: float = 1.0,
    axis: int = -1,
    reduction: str = "mean",
) -> Any:
    """Hinge loss of several classes: the right score must lead every other one by a margin.

    With the right class t and m_j = margin + s_j - s_t for every other class j, each example's loss is

    - Σ max(0, m_j) over j ≠ t for "weston-watkins": every class that comes too close costs (no division by the
      number of classes);
    - max(0, max of m_j over j ≠ t) for "crammer-singer": only the closest one does.

    Weston and Watkins, "Support vector machines for multi-class pattern recognition" (1999); Crammer and Singer, "On
    the algorithmic implementation of multiclass kernel-based vector machines" (2001).

    Parameters
    ----------
    scores : ndarray of floats, (..., classes, ...)
        Scores, classes along `axis`.
    targets : ndarray of integers
        Class numbers, of the shape of `scores` without `axis`.
    kind : "weston-watkins" or "crammer-singer"
        Which classes cost.
    margin : float
        How far the right class must lead; positive.
    axis : int
        The axis of the classes.
    reduction : "mean", "sum" or "none"
        What becomes of the losses of the examples.

    Returns
    -------
    scalar, or ndarray of the shape of `scores` without `axis`
        The loss.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or the kind or reduction is unknown.
    IndexError
        If a class number is out of range.

    Examples
    --------
    >>> scores = np.array([[2.0, 1.5, 1.25]])
    >>> (
    ...     multiclass_hinge(scores, np.array([0])),
    ...     multiclass_hinge(scores, np.array([0]), kind="crammer-singer"),
    ... )
    (np.float64(0.75), np.float64(0.5))
    """
    name = "multiclass_hinge"
    _check_reduction(name, reduction)
    if kind not in {"weston-watkins", "crammer-singer"}:
        raise ValueError(f'{name}: kind must be "weston-watkins" or "crammer-singer", not {kind!r}.')
    margin = _positive(name, "margin", margin)
    s = _predictions(name, "scores", scores)
    axis = _axis(name, s, axis)
    labels = _labels(name, s, targets, axis)
    classes = made(np.arange, s, shape_of(s)[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape_of(s)))])
    # The right class stands for the 0 that nothing falls below.
    excess = np.where(labels == classes, 0, margin + s - np.take_along_axis(s, labels, axis))
    each = np.sum(np.maximum(excess, 0), axis=axis) if kind == "weston-watkins" else np.max(excess, axis=axis)
    return _reduced(name, each, reduction)
