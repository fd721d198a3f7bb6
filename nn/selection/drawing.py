"""The picture of a search."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nn.history import BLUE, ORANGE, finished, new_figure

if TYPE_CHECKING:
    import os

    from nn.selection.trials import Trials

__all__ = ["draw_trials"]


def draw_trials(trials: Trials, path: str | os.PathLike[str] | None, title: str) -> Any:
    """Draw what decides over each hyper-parameter that has several values; `Trials.plot` says more."""
    shown = [name for name in trials.parameters if len({_word(v) for v in trials[name]}) > 1] or trials.parameters[:1]
    figure = new_figure("Trials.plot", (1.5 + 3.5 * max(1, len(shown)), 3.6))
    axes = figure.subplots(1, max(1, len(shown)), squeeze=False, sharey=True)[0]
    for ax, name in zip(axes, shown, strict=False):
        draw_measure(ax, trials, name)
    axes[0].set_ylabel(trials.monitor.replace("_", " "))
    axes[-1].legend()
    return finished(figure, path, title)


def draw_measure(axes: Any, trials: Trials, name: str) -> None:
    """Draw the means of points over one of their hyper-parameters, with the range over seeds, into matplotlib axes."""
    found = [one for one in trials.summary() if not math.isnan(one.mean)]
    values = [one.point.get(name) for one in found]
    places = _places(axes, values)
    means = np.array([one.mean for one in found])
    spread = np.array([[one.mean - one.low, one.high - one.mean] for one in found]).T.reshape(2, -1)
    axes.errorbar(places, means, yerr=spread if spread.any() else None, fmt="o", ms=4, color=BLUE, alpha=0.7)
    best = [i for i, one in enumerate(found) if one.point is trials.best]
    axes.plot(places[best], means[best], "*", ms=13, color=ORANGE, label="best")
    axes.set_xlabel(name.replace("_", " "))
    axes.grid(alpha=0.3)


def _places(axes: Any, values: list[Any]) -> Any:
    """Where values lie on the axis: numbers at themselves, by their logarithms over two decades; names in a row."""
    if all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in values):
        numbers = np.array(values, float)
        if numbers.min() > 0 and numbers.max() >= 30 * numbers.min():
            axes.set_xscale("log")
        return numbers
    words = list(dict.fromkeys(map(_word, values)))
    axes.set_xticks(range(len(words)), words, rotation=20 if max(map(len, words)) > 6 else 0)
    return np.array([words.index(_word(value)) for value in values])


def _word(value: Any) -> str:
    return str(getattr(value, "__name__", value))
