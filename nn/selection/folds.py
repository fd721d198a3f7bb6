"""Examples in folds: each of them is held out once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from nn.arguments import generator, whole

__all__ = ["Folds", "k_fold"]


@dataclasses.dataclass(frozen=True)
class Folds(Sequence[tuple[Any, Any]]):
    """A sequence of pairs ``(known, held)``: positions to learn from, and those that are held out.

    Attributes
    ----------
    parts : tuple of ndarray of int64
        The positions that each fold holds out; every position is in one of them.
    """

    parts: tuple[Any, ...] = dataclasses.field(repr=False)

    def __len__(self) -> int:
        return len(self.parts)

    @overload
    def __getitem__(self, index: int) -> tuple[Any, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[Any, Any]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Return a fold: made when it is asked for, so that k folds take the memory of one."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        return np.concatenate([part for j, part in enumerate(self.parts) if j != i]), self.parts[i]

    def __repr__(self) -> str:
        sizes = [len(part) for part in self.parts]
        return f"Folds({len(self)} of {min(sizes)} to {max(sizes)} examples)"


def k_fold(
    examples: Any, k: int = 5, *, rng: np.random.Generator | int | None = None, stratified: bool = False
) -> Folds:
    """Divide examples into k folds of almost the same size; each in turn is held out, the others are known.

    Parameters
    ----------
    examples : int or array, (n, ...)
        How many there are, or an array with a row for each; the labels, (n,), if the folds are stratified.
    k : int
        How many folds, from 2 to n. Sizes differ by one at the most.
    rng : numpy.random.Generator or int, optional
        Shuffles the examples; an integer is a seed. Without it they keep their order: right only if that has no
        meaning.
    stratified : bool
        Whether each class has the same share of every fold, to one example.

    Returns
    -------
    Folds
        A sequence of k pairs ``(known, held)`` of positions, arrays of int64.

    Raises
    ------
    TypeError
        If `k` is no whole number, or `rng` neither a generator nor a seed.
    ValueError
        If there are fewer than two folds, or more than examples (than examples of some class, if stratified).

    Notes
    -----
    Stone, "Cross-validatory choice and assessment of statistical predictions" (1974).

    Examples
    --------
    >>> for known, held in k_fold(5, 2):
    ...     print(known, held)
    [3 4] [0 1 2]
    [0 1 2] [3 4]
    >>> labels = np.array([0] * 6 + [1] * 3)
    >>> [np.bincount(labels[held]).tolist() for _, held in k_fold(labels, 3, rng=0, stratified=True)]
    [[2, 1], [2, 1], [2, 1]]
    """
    name = "k_fold"
    k = whole(name, "k", k, 2)
    counted = isinstance(examples, (int, np.integer))
    if stratified and (counted or np.ndim(examples) != 1):
        raise ValueError(f"{name}: stratified folds need labels, an array of one axis, in place of {_short(examples)}.")
    if not counted and not np.ndim(examples):
        raise TypeError(f"{name}: examples must be a number of them or an array with rows, not {_short(examples)}.")
    n = whole(name, "examples", examples if counted else len(examples), 1)
    if k > n:
        raise ValueError(f"{name}: {n} example(s) cannot be divided into {k} folds that all have some.")
    order = np.arange(n) if rng is None else generator(name, rng).permutation(n)
    if stratified:
        order = _by_class(np.asarray(examples)[order], order, k)
        return Folds(tuple([np.sort(order[i::k]) for i in range(k)]))
    return Folds(tuple([np.sort(part) for part in np.array_split(order, k)]))


def _by_class(labels: Any, order: Any, k: int) -> Any:
    """Order examples by class, so that every k-th has its share of each class."""
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < k:
        rare = counts.argmin()
        raise ValueError(
            f"k_fold: class {classes[rare]} has {counts[rare]} example(s), too few for each of {k} stratified folds."
        )
    return order[np.argsort(labels, kind="stable")]


def _short(value: Any) -> str:
    return f"an array of shape {np.shape(value)}" if np.ndim(value) else repr(value)
