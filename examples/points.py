"""Sets of points in the plane for classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["moons", "noisy_circle", "two_clouds"]


def moons(count: int, noise: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return points (count, 2) of two half circles that embrace one another, and their labels, in random order.

    The set that scikit-learn calls make_moons; the texts do not give its seed, so ours is another draw of it.
    """
    half = count // 2
    angles = np.linspace(0, np.pi, half), np.linspace(0, np.pi, count - half)
    upper = np.stack([np.cos(angles[0]), np.sin(angles[0])], axis=1)
    lower = np.stack([1 - np.cos(angles[1]), 0.5 - np.sin(angles[1])], axis=1)
    order = rng.permutation(count)
    points = np.concatenate([upper, lower])[order] + rng.normal(0, noise, (count, 2))
    return points, np.repeat([0, 1], [half, count - half])[order]


def noisy_circle(count: int, wrong: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return points of a square, class 1 within a circle; a share of the labels is wrong."""
    points = rng.uniform(-1, 1, (count, 2))
    labels = (np.sum(points**2, axis=1) < 0.5).astype(int)
    flip = rng.permutation(count)[: round(wrong * count)]
    labels[flip] = 1 - labels[flip]
    return points, labels


def two_clouds(count: int, distance: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return points of two normal clouds whose centres are so far apart, and their labels."""
    labels = np.arange(count) % 2
    centres = np.array([[-0.5, -0.3], [0.5, 0.3]]) * distance
    return centres[labels] + rng.normal(size=(count, 2)), labels
