"""How good predictions are: shares of right answers, confusion, and errors.

Each metric takes the outputs of a model for some examples and their targets, and returns a number that is a mean over
examples, so that `nn.evaluate` can average it over batches. What needs all predictions at once (areas under curves,
precision, recall, F1) is scikit-learn's: give `sklearn.metrics` what `nn.predict` returns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core.backend import array_of

__all__ = ["accuracy", "confusion_matrix", "mean_absolute_error", "mean_squared_error", "top_k_accuracy"]


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
