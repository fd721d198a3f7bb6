"""How good predictions are: shares of right answers, confusion, ROC curves, and errors.

Each metric takes the outputs of a model for some examples and their targets. Most return a number that is a mean over
examples, so that `nn.evaluate` can average it over batches. `confusion_matrix`, `roc_curve` and `roc_auc` need all
predictions at once: give them what `nn.predict` returns. Precision, recall and F1 are quotients of the matrix's counts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autodiff.core.backend import array_of

__all__ = [
    "RocCurve",
    "accuracy",
    "confusion_matrix",
    "mean_absolute_error",
    "mean_squared_error",
    "roc_auc",
    "roc_curve",
    "top_k_accuracy",
]


def _labels(name: str, targets: Any, classes: int) -> Any:
    """Class numbers from class numbers or from rows of probabilities, such as one-hot ones."""
    targets = array_of(targets)
    if targets.ndim and targets.shape[-1] == classes and np.issubdtype(targets.dtype, np.floating):
        return targets.argmax(-1)
    if not np.issubdtype(targets.dtype, np.integer):
        raise TypeError(
            f"{name}: targets must be class numbers, or rows of {classes} probabilities, not "
            f"{targets.dtype}{list(targets.shape)}."
        )
    if targets.size and (targets.min() < 0 or targets.max() >= classes):
        wrong = targets.min() if targets.min() < 0 else targets.max()
        raise ValueError(f"{name}: label {wrong} is out of range for {classes} classes.")
    return targets


def _scores(name: str, outputs: Any, targets: Any) -> tuple[Any, Any]:
    scores = array_of(outputs)
    if scores.ndim < 2:
        raise ValueError(
            f"{name}: outputs must have a score for each class in the last axis, not shape {scores.shape}."
        )
    labels = _labels(name, targets, scores.shape[-1])
    if labels.shape != scores.shape[:-1]:
        raise ValueError(f"{name}: outputs {scores.shape} and targets {np.shape(targets)} do not belong together.")
    return scores, labels


def accuracy(outputs: Any, targets: Any) -> float:
    """Share of examples whose highest score is that of the right class.

    Parameters
    ----------
    outputs : ndarray, (..., classes)
        Scores: logits or probabilities.
    targets : ndarray of integers, (...), or of floats, (..., classes)
        Right classes, or their probabilities.

    Returns
    -------
    float
        From 0 to 1; NaN if there are no examples.

    Raises
    ------
    TypeError, ValueError
        If shapes, dtypes or class numbers do not fit.

    Examples
    --------
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), np.array([1, 1, 1]))
    0.6666666666666666
    """
    scores, labels = _scores("accuracy", outputs, targets)
    return float(np.mean(scores.argmax(-1) == labels)) if labels.size else float("nan")


def top_k_accuracy(outputs: Any, targets: Any, k: int = 5) -> float:
    """Share of examples whose right class is among the `k` of the highest scores; ties count against it.

    Parameters and errors are those of `accuracy`.

    Examples
    --------
    >>> scores = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    >>> top_k_accuracy(scores, np.array([1, 2]), k=2)
    0.5
    """
    scores, labels = _scores("top_k_accuracy", outputs, targets)
    if not 1 <= k <= scores.shape[-1]:
        raise ValueError(f"top_k_accuracy: k must be from 1 to {scores.shape[-1]}, not {k}.")
    if not labels.size:
        return float("nan")
    right = np.take_along_axis(scores, labels[..., np.newaxis], -1)
    ahead = np.sum(scores >= right, axis=-1) - 1
    return float(np.mean((ahead < k) & ~np.isnan(right[..., 0])))


def confusion_matrix(predicted: Any, targets: Any, classes: int | None = None) -> Any:
    """Count, for each right class (row), how often each class (column) was predicted.

    Parameters
    ----------
    predicted : ndarray of integers (n,), or of floats (n, classes)
        Predicted classes, or scores.
    targets : ndarray of integers, (n,)
        Right classes.
    classes : int, optional
        How many there are; by default the number of scores, or one more than the highest class met.

    Returns
    -------
    ndarray of int64, (classes, classes)
        The counts.

    Raises
    ------
    TypeError, ValueError
        If shapes, dtypes or class numbers do not fit.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]))
    array([[1, 1],
           [0, 2]])
    """
    predicted, targets = array_of(predicted), array_of(targets)
    if predicted.ndim == 2:
        classes = classes or predicted.shape[1]
        predicted = predicted.argmax(-1)
    if predicted.shape != targets.shape or targets.ndim != 1:
        shapes = f"{predicted.shape} and {targets.shape}"
        raise ValueError(f"confusion_matrix: predictions and targets must be vectors of one length, not {shapes}.")
    count = classes or (1 + max(int(predicted.max()), int(targets.max())) if targets.size else 0)
    rows, columns = (_labels("confusion_matrix", labels, count) for labels in (targets, predicted))
    return np.bincount(rows * count + columns, minlength=count * count).reshape(count, count)


# -- two classes, and a threshold that moves ---------------------------------------------------------------------


class RocCurve(NamedTuple):
    """Rates of two classes for every threshold, from (0, 0) to (1, 1); see `roc_curve`."""

    false_positive_rate: Any
    true_positive_rate: Any
    thresholds: Any


def roc_curve(scores: Any, targets: Any) -> RocCurve:
    """Receiver operating characteristic: what a threshold on scores gets right and wrong, for all thresholds.

    Parameters
    ----------
    scores : ndarray of numbers, (n,)
        Logits, probabilities, anything that is higher where the answer is more likely yes.
    targets : ndarray, (n,)
        Booleans, or 0 and 1; there must be both.

    Returns
    -------
    false_positive_rate : ndarray of float64, (m,)
        The share of the examples of class 0 whose score is at least the threshold.
    true_positive_rate : ndarray of float64, (m,)
        The share of those of class 1.
    thresholds : ndarray, (m,)
        Infinity, which nothing reaches, and every score that occurs, falling: examples with equal scores cannot be told
        apart, and make one point together.

    Raises
    ------
    TypeError, ValueError
        If these are not two vectors of one length, a score is NaN, a target neither 0 nor 1, or all are of one class.

    Notes
    -----
    Fawcett, "An introduction to ROC analysis" (2006).

    Examples
    --------
    >>> false, true, thresholds = roc_curve(np.array([0.9, 0.4, 0.4, 0.1]), np.array([1, 1, 0, 0]))
    >>> false, true, thresholds
    (array([0. , 0. , 0.5, 1. ]), array([0. , 0.5, 1. , 1. ]), array([inf, 0.9, 0.4, 0.1]))
    """
    scores, right = _two_classes("roc_curve", scores, targets)
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], right[order].astype(np.int64)
    last = np.concatenate([np.flatnonzero(scores[1:] != scores[:-1]), np.full_like(order[:1], len(order) - 1)])
    true = np.cumsum(right)[last]
    none = np.zeros_like(true[:1])
    true, false = np.concatenate([none, true]), np.concatenate([none, last + 1 - true])
    thresholds = np.concatenate([np.full_like(scores[:1], np.inf), scores[last]])
    return RocCurve(false / false[-1], true / true[-1], thresholds)


def roc_auc(scores: Any, targets: Any) -> float:
    """Area under the ROC curve: how often an example of class 1 scores higher than one of class 0; ties count one half.

    1 if a threshold tells the classes apart, 0.5 for guesses. Parameters and errors are those of `roc_curve`.

    Notes
    -----
    Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve" (1982).

    Examples
    --------
    >>> roc_auc(np.array([0.9, 0.4, 0.4, 0.1]), np.array([1, 1, 0, 0]))
    0.875
    """
    false, true, _ = roc_curve(scores, targets)
    return float(np.sum((false[1:] - false[:-1]) * (true[1:] + true[:-1])) / 2)


def _two_classes(name: str, scores: Any, targets: Any) -> tuple[Any, Any]:
    """Scores as floats, and whether each target is 1."""
    scores, targets = array_of(scores), array_of(targets)
    if scores.ndim != 1 or scores.shape != targets.shape:
        shapes = f"{scores.shape} and {targets.shape}"
        raise ValueError(f"{name}: scores and targets must be vectors of one length, not of shapes {shapes}.")
    if scores.dtype.kind not in "fiu":
        raise TypeError(f"{name}: scores must be real numbers, not {scores.dtype}.")
    scores = scores if scores.dtype.kind == "f" else scores.astype(np.float64)
    if bool(np.isnan(scores).any()):
        raise ValueError(f"{name}: {int(np.isnan(scores).sum())} of {scores.size} scores are NaN.")
    right = targets == 1
    if not bool(np.all(right | (targets == 0))):
        raise ValueError(f"{name}: targets must be 0 or 1; of several classes, take each against the others.")
    count = int(right.sum())
    if count in {0, scores.size}:
        raise ValueError(f"{name}: all {scores.size} targets are of one class; both are needed.")
    return scores, right


def mean_squared_error(outputs: Any, targets: Any) -> float:
    """Mean of the squared differences.

    Examples
    --------
    >>> mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    2.0
    """
    return float(np.mean(np.square(_differences("mean_squared_error", outputs, targets))))


def mean_absolute_error(outputs: Any, targets: Any) -> float:
    """Mean of the absolute differences.

    Examples
    --------
    >>> mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    1.0
    """
    return float(np.mean(np.abs(_differences("mean_absolute_error", outputs, targets))))


def _differences(name: str, outputs: Any, targets: Any) -> Any:
    outputs, targets = array_of(outputs), array_of(targets)
    if outputs.shape != targets.shape:  # broadcasting (n, 1) with (n,) is the classic mistake
        raise ValueError(f"{name}: outputs {outputs.shape} and targets {targets.shape} must have the same shape.")
    return outputs - targets
