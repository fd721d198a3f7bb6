"""What a search has found: every trial with its seed, the best, a table and a picture."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    import os

    from nn.selection.points import Point

__all__ = ["Summary", "Trial", "Trials"]

SCORE = "score"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training: where, from which seed, and what was measured.

    Attributes
    ----------
    point : dict
        The hyper-parameters.
    seed : int
        Of the random numbers.
    measures : dict of float
        What was measured, by name; ``"score"``, if only a number was returned. Empty if training failed.
    seconds : float
        By the clock.
    failure : str
        Why training failed, if it did.
    """

    point: Point
    seed: int
    measures: dict[str, float]
    seconds: float = 0.0
    failure: str = ""


@dataclasses.dataclass(frozen=True)
class Summary:
    """The trials of one point: the mean of a measure over them, and its range."""

    point: Point
    mean: float
    low: float
    high: float
    count: int


@dataclasses.dataclass(frozen=True)
class Trials(Sequence[Trial]):
    """Trials in the order in which they were made.

    Parameters
    ----------
    trials : sequence of Trial
        The trials.
    monitor : str
        Which measure decides; by default the first.
    mode : {"min", "max"}
        Whether less or more of it is better; by default less, and more for accuracies.

    Raises
    ------
    ValueError
        If there are no trials, or `mode` is another word.
    KeyError
        If the measure that decides was not measured.

    Examples
    --------
    >>> trials = Trials([Trial({"rate": 0.1}, 0, {"error": 0.25}), Trial({"rate": 0.3}, 0, {"error": 0.5})])
    >>> trials.best, trials.best_score, trials["rate"]
    ({'rate': 0.1}, 0.25, array([0.1, 0.3]))
    >>> print(trials)
    rate  seed  error  seconds
     0.1     0   0.25      0.0  best
     0.3     0    0.5      0.0
    """

    trials: tuple[Trial, ...]
    monitor: str = ""
    mode: str = ""

    def __init__(self, trials: Sequence[Trial], monitor: str = "", mode: str = "") -> None:
        if not trials:
            raise ValueError("Trials: there are none.")
        names = _measured(trials) or [monitor or SCORE]
        monitor = monitor or names[0]
        if monitor not in names:
            raise KeyError(f"Trials: {monitor!r} is not measured; what is: {', '.join(names)}")
        mode = mode or ("max" if any(word in monitor for word in ("accuracy", "auc")) else "min")
        if mode not in {"min", "max"}:
            raise ValueError(f"Trials: mode must be 'min' or 'max', not {mode!r}.")
        for name, value in (("trials", tuple(trials)), ("monitor", monitor), ("mode", mode)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.trials)

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Trial, ...]: ...
    @overload
    def __getitem__(self, index: str) -> Any: ...
    def __getitem__(self, index: int | slice | str) -> Any:
        """Return a trial; for a name the column of a hyper-parameter, of a measure, of ``"seed"`` or ``"seconds"``."""
        if not isinstance(index, str):
            return self.trials[index]
        if index not in self.names:
            raise KeyError(f"{index!r} is not in the trials; what is: {', '.join(self.names)}")
        column = [_cell(trial, index) for trial in self.trials]
        if any(isinstance(value, (tuple, list, dict)) for value in column):
            return np.array([*column, None], dtype=object)[:-1]  # NumPy would make a matrix of tuples
        return np.array(column)

    @property
    def names(self) -> list[str]:
        """The columns: hyper-parameters, the seed, measures, seconds."""
        return [*self.parameters, "seed", *self.measures, "seconds"]

    @property
    def parameters(self) -> list[str]:
        """The names of the hyper-parameters."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial.point))

    @property
    def measures(self) -> list[str]:
        """The names of what was measured."""
        return _measured(self.trials) or [self.monitor]

    # -- the best ----------------------------------------------------------------------------------------------

    def summary(self, measure: str = "") -> list[Summary]:
        """Return, for each point, the mean and the range of a measure over its seeds; by default the one that decides.

        Examples
        --------
        >>> trials = [Trial({"rate": 1}, seed, {"error": error}) for seed, error in enumerate([0.2, 0.4])]
        >>> Trials(trials).summary()
        [Summary(point={'rate': 1}, mean=0.30000000000000004, low=0.2, high=0.4, count=2)]
        """
        measure = measure or self.monitor
        if measure not in self.measures:
            raise KeyError(f"{measure!r} is not measured; what is: {', '.join(self.measures)}")
        groups: dict[Any, list[Trial]] = {}
        for trial in self.trials:
            groups.setdefault(_key(trial.point), []).append(trial)
        return [_summed(group, measure) for group in groups.values()]

    @property
    def best_summary(self) -> Summary:
        """The point whose mean over its seeds is the best, the first of equal ones; a failure counts as the worst."""
        sign = 1 if self.mode == "min" else -1
        found = self.summary()
        if all(math.isnan(one.mean) for one in found):
            raise ValueError(f"Trials: {self.monitor} is not a number in any of them; {self._failures()}")
        return min(found, key=lambda one: math.inf if math.isnan(one.mean) else sign * one.mean)

    @property
    def best(self) -> Point:
        """The hyper-parameters of the best point."""
        return self.best_summary.point

    @property
    def best_score(self) -> float:
        """The mean over its seeds of what decides, at the best point."""
        return self.best_summary.mean

    def _failures(self) -> str:
        failed = [trial.failure for trial in self.trials if trial.failure]
        return f"the first of {len(failed)} failures: {failed[0]}" if failed else "no training failed"

    # -- to look at --------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"Trials({len(self)}, {self.mode} of {self.monitor})"

    def __str__(self) -> str:
        """A table with a line for each trial."""
        try:
            best = _key(self.best)
        except ValueError:
            best = None
        lines = [self.names, *([_text(_cell(t, name), name) for name in self.names] for t in self.trials)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = ["  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines]
        marks = ["", *("failed" if t.failure else "best" if _key(t.point) == best else "" for t in self.trials)]
        return "\n".join(f"{row}  {mark}".rstrip() for row, mark in zip(rows, marks, strict=True))

    def plot(self, path: str | os.PathLike[str] | None = None, *, title: str = "") -> Any:
        """Draw what decides over each hyper-parameter that has several values; the best point is marked.

        Parameters
        ----------
        path
            Where to save the picture; its ending decides the format.
        title
            A title.

        Returns
        -------
        matplotlib.figure.Figure
            The picture.

        Raises
        ------
        ImportError
            If matplotlib is not installed; it is in the extra ``examples``.
        """
        from nn.selection.drawing import draw_trials

        return draw_trials(self, path, title)


def _measured(trials: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial.measures))


def _key(value: Any) -> Any:
    """Return something with a hash that is equal where values are: they may be lists or arrays."""
    if isinstance(value, Mapping):
        return frozenset((name, _key(part)) for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_key, value))
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    return value if isinstance(value, Hashable) else id(value)


def _summed(trials: Sequence[Trial], measure: str) -> Summary:
    values = [trial.measures.get(measure, math.nan) for trial in trials]
    failed = any(map(math.isnan, values))
    low, high = (math.nan, math.nan) if failed else (min(values), max(values))
    mean = math.nan if failed else math.fsum(values) / len(values)
    return Summary(trials[0].point, mean, low, high, len(values))


def _cell(trial: Trial, name: str) -> Any:
    if name in {"seed", "seconds"}:
        return getattr(trial, name)
    return trial.point[name] if name in trial.point else trial.measures.get(name, math.nan)


def _text(value: Any, name: str) -> str:
    if name == "seconds":
        return f"{value:.1f}"
    return f"{value:.4g}" if isinstance(value, float) else str(getattr(value, "__name__", value))


def measures_of(name: str, found: Any) -> dict[str, float]:
    """Return what a trial measured as a dict: numbers by name, or one that is called the score."""
    pairs = found.items() if isinstance(found, Mapping) else [(SCORE, found)]
    try:
        measures = {str(key): float(value) for key, value in pairs}
    except (TypeError, ValueError):
        measures = {}
    if not measures:
        raise TypeError(
            f"{name}: a trial must return a number, or numbers by name as nn.evaluate does and "
            f"result.history.epochs[-1] is, not {type(found).__name__}."
        )
    return measures
