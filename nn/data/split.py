"""Splitting examples into parts."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["stratified_split"]


def stratified_split(labels: Any, fraction: float, *, rng: np.random.Generator) -> tuple[Any, Any]:
    """Split positions in two, so that each class has the same share of both; both parts are shuffled.

    Parameters
    ----------
    labels : array of integers, (n,)
        The class of each example.
    fraction : float
        The share of the second part, between 0 and 1; of each class it is rounded to whole examples.
    rng : numpy.random.Generator
        Chooses who goes where.

    Returns
    -------
    first, second : ndarray of int64
        Positions in `labels`.

    Raises
    ------
    ValueError
        If `fraction` is not between 0 and 1, or labels are not a vector.

    Examples
    --------
    >>> labels = np.array([0] * 8 + [1] * 4)
    >>> first, second = stratified_split(labels, 0.25, rng=np.random.default_rng(0))
    >>> np.bincount(labels[first]), np.bincount(labels[second])
    (array([6, 3]), array([2, 1]))
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"stratified_split: labels must be a vector, not of shape {labels.shape}.")
    if not 0 < fraction < 1:
        raise ValueError(f"stratified_split: fraction must lie between 0 and 1, not {fraction}.")
    parts: tuple[list[Any], list[Any]] = ([], [])
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        count = round(fraction * len(members))
        parts[0].append(members[count:])
        parts[1].append(members[:count])
    first, second = (rng.permutation(np.concatenate(part)) if part else np.empty(0, np.int64) for part in parts)
    return first, second
