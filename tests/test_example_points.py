"""Helpers that programs of the catalogue share: sets of points, paths of optimisers, lengths of boundaries."""

import numpy as np
import pytest

import nn
from examples import decision_boundaries, regularisation
from examples.optimisers import networks
from examples.paths import descend
from examples.points import moons, noisy_circle, two_clouds


def test_moons_lie_on_half_circles():
    points, labels = moons(101, 0.0, np.random.default_rng(0))
    assert points.shape == (101, 2)
    assert np.bincount(labels).tolist() == [50, 51]
    upper, lower = points[labels == 0], points[labels == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1.0)
    np.testing.assert_allclose(np.hypot(lower[:, 0] - 1, lower[:, 1] - 0.5), 1.0)
    assert upper[:, 1].min() >= 0.0
    assert lower[:, 1].max() <= 0.5


def test_moons_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    points, labels = moons(40, 0.0, np.random.default_rng(0))
    theirs, classes = datasets.make_moons(40, noise=None, random_state=0)
    for label in (0, 1):
        ours, other = points[labels == label], theirs[classes == label]
        np.testing.assert_allclose(ours[np.argsort(ours[:, 0])], other[np.argsort(other[:, 0])], atol=1e-12)


def test_circle_and_clouds():
    points, labels = noisy_circle(200, 0.1, np.random.default_rng(0))
    assert np.sum(labels != (np.sum(points**2, axis=1) < 0.5)) == 20
    points, labels = two_clouds(2000, 4.0, np.random.default_rng(0))
    np.testing.assert_allclose(points[labels == 1].mean(0), [2.0, 1.2], atol=0.15)


def test_the_length_of_a_circle():
    _, x, y = decision_boundaries.grid()
    assert decision_boundaries.length(0.5 - x**2 - y**2) == pytest.approx(2 * np.pi * np.sqrt(0.5), rel=0.03)
    assert decision_boundaries.length(x + 10.0) == 0.0


def test_a_path_starts_where_it_should():
    path = descend(nn.SGD(0.5), lambda p: np.sum(p**2) / 2, [4.0, -2.0], 2)
    np.testing.assert_array_equal(path, [[4.0, -2.0], [2.0, -1.0], [1.0, -0.5]])


def test_steps_to_a_cost():
    assert networks.steps_to([4.0, 3.0, 2.0, 1.0, 0.0], 1.5, width=2) == 4
    assert networks.steps_to([4.0, 3.0], 1.0, width=2) is None
    assert networks.half_life(10) ** 10 == pytest.approx(0.5)


def test_penalties_are_solved_entry_by_entry():
    y = np.array([-2.0, 0.3, 1.2])
    np.testing.assert_allclose(regularisation.shrink("L1", y, 0.5), [-1.5, 0.0, 0.7])
    np.testing.assert_allclose(regularisation.shrink("L2", y, 1.0), y / 2)
    np.testing.assert_allclose(regularisation.shrink("L0", y, 0.5), [-2.0, 0.0, 1.2])
