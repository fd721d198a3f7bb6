"""Making trials: over points, over folds, over numbers of examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np

from nn.arguments import generator, whole
from nn.selection.folds import Folds
from nn.selection.points import Draw, Point, grid, sample
from nn.selection.trials import Trial, Trials, measures_of
from nn.training.finite import NonFiniteError
from nn.training.progress import Bar

__all__ = ["cross_validate", "grid_search", "learning_curve", "random_search", "trials"]

Train = Callable[..., Any]
Measure = float | Mapping[str, float]


def trials(train: Train, points: Iterable[Point], *, seeds: Sequence[int] = (0,)) -> Iterator[Trial]:
    """Train at each point from each seed, and yield each trial when it is done.

    A loop over it can stop whenever it has seen enough, and keeps what it has.

    Parameters
    ----------
    train : callable
        ``train(**point, seed=seed)`` -> a number, or numbers by name, as `nn.evaluate` returns them and as the last
        line of a history is, ``nn.fit(...).history.epochs[-1]``.
    points : iterable of dicts
        Hyper-parameters by name: `grid`, `sample`, or a list.
    seeds : sequence of int
        The seeds of each point.

    Yields
    ------
    Trial
        A trial. If training fails because a loss or gradient is not finite, it has no measures, but says why.

    Raises
    ------
    TypeError
        If `train` returns something else.
    ValueError
        If there are no seeds, or a hyper-parameter has the name ``seed``.

    Examples
    --------
    >>> found = trials(lambda rate, seed: (rate - 0.3) ** 2, grid(rate=[0.1, 0.2, 0.3, 0.4]))
    >>> next(trial.point for trial in found if trial.measures["score"] < 0.02)
    {'rate': 0.2}
    """
    seeds = [whole("trials", "a seed", seed, 0) for seed in seeds]
    if not seeds:
        raise ValueError("trials: there must be at least one seed.")
    return _trials(train, points, seeds)


def _trials(train: Train, points: Iterable[Point], seeds: Sequence[int]) -> Iterator[Trial]:
    for point in points:
        if "seed" in point:
            raise ValueError("trials: seed is no hyper-parameter; give seeds=[0, 1, 2].")
        for seed in seeds:
            start = time.perf_counter()
            measures, failure = {}, ""
            try:
                measures = measures_of("trials", train(**point, seed=seed))
            except NonFiniteError as error:  # a rate that is too high is a result of a search
                failure = str(error)
            yield Trial(dict(point), seed, measures, time.perf_counter() - start, failure)


def _all(
    name: str, train: Train, points: Iterable[Point], seeds: Sequence[int], monitor: str, mode: str, progress: bool
) -> Trials:
    """Make all trials and show how far they are."""
    total = len(points) * len(seeds) if isinstance(points, Sized) else None
    bar = Bar(name, total, show=progress)
    done: list[Trial] = []
    try:
        for trial in trials(train, points, seeds=seeds):
            done.append(trial)
            bar.tick(", ".join(f"{key} {value:.4g}" for key, value in trial.measures.items()) or "failed")
    finally:
        bar.close()
    return Trials(done, monitor, mode)


def grid_search(
    train: Train, values: Mapping[str, Sequence[Any]], *, seeds: Sequence[int] = (0,), monitor: str = "",
    mode: str = "", progress: bool = True,
) -> Trials:  # fmt: skip
    """Train at all combinations of values.

    Parameters
    ----------
    train : callable
        As for `trials`: ``train(**point, seed=seed)`` -> a number, or numbers by name.
    values : dict of sequences
        By name, the values to try, as for `grid`.
    seeds : sequence of int
        The seeds of each point; the mean over them decides.
    monitor, mode : str
        Which measure decides, and whether "min" or "max" of it is best; by default the first one, and the least unless
        it is an accuracy.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Trials
        All trials; ``.best`` are the hyper-parameters of the best, ``print`` shows a table, ``.plot`` a picture.

    Raises
    ------
    TypeError, ValueError, KeyError
        If an argument, or what `train` returns, does not make sense.

    Examples
    --------
    >>> found = grid_search(lambda a, b, seed: (a - b) ** 2, {"a": [1, 5], "b": [2, 8]}, progress=False)
    >>> found.best, found.best_score
    ({'a': 1, 'b': 2}, 1.0)
    """
    return _all("grid search", train, grid(**values), seeds, monitor, mode, progress)


def random_search(
    train: Train, spaces: Mapping[str, Sequence[Any] | Draw], count: int, *, rng: np.random.Generator | int,
    seeds: Sequence[int] = (0,), monitor: str = "", mode: str = "", progress: bool = True,
) -> Trials:  # fmt: skip
    """Train at random points.

    Parameters
    ----------
    train, seeds, monitor, mode, progress
        As for `grid_search`, with its errors.
    spaces : dict of sequences or distributions
        By name, as for `sample`: values to choose from, or `uniform`, `log_uniform` and `integers` from `nn.selection`.
    count : int
        How many points.
    rng : numpy.random.Generator or int
        Where the points come from; an integer is a seed.

    Returns
    -------
    Trials
        All trials.

    Examples
    --------
    >>> from nn.selection import log_uniform
    >>> def train(rate, seed):
    ...     return {"error": abs(np.log10(rate) + 2)}
    >>> found = random_search(train, {"rate": log_uniform(1e-4, 1e-1)}, 20, rng=0, progress=False)
    >>> len(found), f"{found.best['rate']:.4f}"
    (20, '0.0081')
    """
    points = list(sample(count, rng=rng, **spaces))
    return _all("random search", train, points, seeds, monitor, mode, progress)


def cross_validate(
    train: Train, folds: Folds | Sequence[tuple[Any, Any]], *, seed: int = 0, monitor: str = "", mode: str = "",
    progress: bool = True,
) -> Trials:  # fmt: skip
    """Train once for each fold, and measure on what it holds out.

    Parameters
    ----------
    train : callable
        ``train(known, held, seed=seed)`` -> a number, or numbers by name: learns from the examples at the positions
        `known` and measures on those at `held`.
    folds : Folds or sequence of pairs
        Of `k_fold`.
    seed : int
        The same for each fold.
    monitor, mode, progress
        As for `grid_search`, with its errors.

    Returns
    -------
    Trials
        A trial for each fold, whose point is ``{"fold": i}``; ``np.mean(found[name])`` is the estimate.

    Examples
    --------
    The mean of the others as a guess for the rest:

    >>> from nn import k_fold
    >>> y = np.array([1.0, 2.0, 3.0, 4.0])
    >>> def train(known, held, seed):
    ...     return {"error": np.abs(y[held] - y[known].mean()).mean()}
    >>> found = cross_validate(train, k_fold(len(y), 2), progress=False)
    >>> found["error"]
    array([2., 2.])
    """
    pairs = folds if isinstance(folds, Folds) else list(folds)

    def one(fold: int, seed: int) -> Any:
        return train(*pairs[fold], seed=seed)

    return _all("cross-validation", one, grid(fold=range(len(pairs))), [seed], monitor, mode, progress)


def learning_curve(
    train: Train, examples: int, sizes: Sequence[int], *, rng: np.random.Generator | int | None = None,
    seeds: Sequence[int] = (0,), monitor: str = "", mode: str = "", progress: bool = True,
) -> Trials:  # fmt: skip
    """Train on more and more examples; smaller sets are parts of the larger ones.

    Parameters
    ----------
    train : callable
        ``train(known, seed=seed)`` -> a number, or numbers by name, such as the errors on what was learned from and on
        other examples: learns from the examples at the positions `known`.
    examples : int
        How many there are.
    sizes : sequence of int
        How many to learn from.
    rng : numpy.random.Generator or int, optional
        Shuffles the examples once; without it the first ones are taken.
    seeds, monitor, mode, progress
        As for `grid_search`, with its errors.

    Returns
    -------
    Trials
        Its points are ``{"examples": size}``.

    Raises
    ------
    ValueError
        If a size is less than 1 or more than there are examples.

    Examples
    --------
    >>> y = np.arange(8.0)
    >>> def train(known, seed):
    ...     return {"learned": np.std(y[known]), "other": abs(y[known].mean() - y.mean())}
    >>> learning_curve(train, 8, [2, 4, 8], progress=False)["other"]
    array([3., 2., 0.])
    """
    name = "learning_curve"
    counts = [whole(name, "a size", size, 1) for size in sizes]
    if not counts or max(counts) > examples:
        raise ValueError(f"{name}: sizes must be from 1 to {examples}, the number of examples, not {list(sizes)}.")
    order = np.arange(examples) if rng is None else generator(name, rng).permutation(examples)

    def one(examples: int, seed: int) -> Any:
        return train(order[:examples], seed=seed)

    return _all("learning curve", one, grid(examples=counts), seeds, monitor, mode, progress)
