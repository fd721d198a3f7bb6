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


# -- ROC curves ----------------------------------------------------------------------------------------------


def rates_by_hand(scores, targets):
    """For each threshold, count."""
    points = [(0.0, 0.0)]
    for threshold in sorted(set(scores), reverse=True):
        said = scores >= threshold
        points.append((np.mean(said[targets == 0]), np.mean(said[targets == 1])))
    return np.array(points).T


def area_by_pairs(scores, targets):
    """How often one of class 1 scores higher than one of class 0."""
    ones, zeros = scores[targets == 1], scores[targets == 0]
    return np.mean([(a > b) + 0.5 * (a == b) for a in ones for b in zeros])


@pytest.mark.parametrize("levels", [2, 5, 1000])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_roc_with_and_without_ties(rng, levels, dtype):
    scores, targets = rng.integers(0, levels, 60).astype(dtype), rng.integers(0, 2, 60)
    curve = metrics.roc_curve(scores, targets)
    np.testing.assert_allclose(curve[:2], rates_by_hand(scores, targets), rtol=1e-15)
    assert curve.thresholds[0] == np.inf
    np.testing.assert_array_equal(curve.thresholds[1:], sorted(set(scores.tolist()), reverse=True))
    assert metrics.roc_auc(scores, targets) == pytest.approx(area_by_pairs(scores, targets), rel=1e-13)
    assert metrics.roc_auc(-scores, targets) == pytest.approx(1 - area_by_pairs(scores, targets), rel=1e-13)


def test_roc_of_known_answers():
    targets = np.array([True, True, False, False])
    assert metrics.roc_auc(np.array([4.0, 3.0, 2.0, 1.0]), targets) == 1
    assert metrics.roc_auc(np.array([1.0, 2.0, 3.0, 4.0]), targets) == 0
    assert metrics.roc_auc(np.ones(4), targets) == 0.5
    curve = metrics.roc_curve(np.ones(4), targets)
    assert curve.false_positive_rate.tolist() == curve.true_positive_rate.tolist() == [0, 1]
    assert metrics.roc_auc(np.array([np.inf, 0.0, 0.0, -np.inf]), targets) == 0.875
    assert metrics.roc_auc(np.array([1.0, -0.0, 0.0, 0.0]), targets.astype(np.float32)) == 0.75


def test_roc_against_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, targets = rng.normal(size=200).round(1), rng.integers(0, 2, 200)
    theirs = sklearn.roc_curve(targets, scores, drop_intermediate=False)
    for ours, want in zip(metrics.roc_curve(scores, targets), theirs, strict=True):
        np.testing.assert_allclose(ours, want, rtol=1e-14)
    assert metrics.roc_auc(scores, targets) == pytest.approx(sklearn.roc_auc_score(targets, scores), rel=1e-13)


@pytest.mark.parametrize(
    ("scores", "targets", "error", "message"),
    [
        ([0.1, 0.2], [1, 1], ValueError, "all 2 targets are of one class; both are needed"),
        ([0.1, 0.2], [False, False], ValueError, "all 2 targets are of one class"),
        ([], [], ValueError, "all 0 targets are of one class"),
        ([0.1, 0.2], [1, 2], ValueError, "targets must be 0 or 1; of several classes, take each against the others"),
        ([0.1, np.nan], [0, 1], ValueError, "1 of 2 scores are NaN"),
        ([0.1, 0.2], [0, 1, 1], ValueError, r"vectors of one length, not of shapes \(2,\) and \(3,\)"),
        ([[0.1], [0.2]], [[0], [1]], ValueError, r"not of shapes \(2, 1\) and \(2, 1\)"),
        ([1j, 2j], [0, 1], TypeError, "scores must be real numbers, not complex128"),
    ],
)
@pytest.mark.parametrize("name", ["roc_curve", "roc_auc"])
def test_roc_refuses(name, scores, targets, error, message):
    with pytest.raises(error, match=message):
        getattr(metrics, name)(np.array(scores), np.array(targets))
