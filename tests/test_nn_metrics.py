"""Metrics against counts by hand and, where it is installed, scikit-learn."""

import numpy as np
import pytest

from nn import metrics


def test_accuracy(rng):
    scores = rng.normal(size=(50, 7)).astype(np.float32)
    labels = rng.integers(0, 7, 50)
    want = sum(int(np.argmax(row)) == label for row, label in zip(scores, labels, strict=True)) / 50
    assert metrics.accuracy(scores, labels) == want
    assert metrics.accuracy(scores, np.eye(7)[labels]) == want
    assert metrics.accuracy(scores.reshape(5, 10, 7), labels.reshape(5, 10)) == want
    assert np.isnan(metrics.accuracy(np.zeros((0, 3)), np.zeros(0, int)))


@pytest.mark.parametrize("k", [1, 2, 7])
def test_top_k(rng, k):
    scores = rng.normal(size=(50, 7))
    labels = rng.integers(0, 7, 50)
    want = np.mean([label in np.argsort(-row)[:k] for row, label in zip(scores, labels, strict=True)])
    assert metrics.top_k_accuracy(scores, labels, k) == want


def test_top_k_is_not_fooled_by_equal_or_missing_scores():
    assert metrics.top_k_accuracy(np.zeros((4, 10)), np.arange(4), 5) == 0
    assert metrics.top_k_accuracy(np.full((4, 10), np.nan), np.arange(4), 5) == 0


def test_confusion_matrix(rng):
    predicted, labels = rng.integers(0, 4, 100), rng.integers(0, 4, 100)
    matrix = metrics.confusion_matrix(predicted, labels, 5)
    for i in range(5):
        for j in range(5):
            assert matrix[i, j] == np.sum((labels == i) & (predicted == j))
    np.testing.assert_array_equal(metrics.confusion_matrix(np.eye(4)[predicted], labels), matrix[:4, :4])
    assert metrics.confusion_matrix(np.zeros(0, int), np.zeros(0, int), 2).tolist() == [[0, 0], [0, 0]]


def test_confusion_matrix_against_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    predicted, labels = rng.integers(0, 4, 100), rng.integers(0, 4, 100)
    want = sklearn.confusion_matrix(labels, predicted)
    np.testing.assert_array_equal(metrics.confusion_matrix(predicted, labels), want)


def test_errors_of_regression(rng):
    a, b = rng.normal(size=(2, 6, 3))
    assert metrics.mean_squared_error(a, b) == pytest.approx(np.sum((a - b) ** 2) / 18)
    assert metrics.mean_absolute_error(a, b) == pytest.approx(np.sum(np.abs(a - b)) / 18)


def test_bad_input():
    scores = np.zeros((3, 4))
    with pytest.raises(ValueError, match="accuracy: label 4 is out of range for 4 classes"):
        metrics.accuracy(scores, np.array([0, 1, 4]))
    with pytest.raises(ValueError, match="accuracy: label -1 is out of range"):
        metrics.accuracy(scores, np.array([0, 1, -1]))
    with pytest.raises(TypeError, match=r"rows of 4 probabilities, not float64\[3\]"):
        metrics.accuracy(scores, np.zeros(3))
    with pytest.raises(ValueError, match=r"outputs \(3, 4\) and targets \(2,\) do not belong together"):
        metrics.accuracy(scores, np.zeros(2, int))
    with pytest.raises(ValueError, match=r"a score for each class in the last axis, not shape \(3,\)"):
        metrics.accuracy(np.zeros(3), np.zeros(3, int))
    with pytest.raises(ValueError, match="k must be from 1 to 4, not 5"):
        metrics.top_k_accuracy(scores, np.zeros(3, int))
    with pytest.raises(ValueError, match=r"vectors of one length, not \(3,\) and \(2,\)"):
        metrics.confusion_matrix(np.zeros(3, int), np.zeros(2, int))
    with pytest.raises(ValueError, match=r"outputs \(3, 1\) and targets \(3,\) must have the same shape"):
        metrics.mean_squared_error(np.zeros((3, 1)), np.zeros(3))
