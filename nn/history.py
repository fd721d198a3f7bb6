"""The record of a training run, and its picture."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import os

__all__ = ["History"]

# Okabe and Ito's palette, which people with any colour vision can tell apart.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#777777"


@dataclasses.dataclass
class History:
    """What happened in training.

    Attributes
    ----------
    losses : list of float
        The training loss at every step.
    epochs : list of dict
        For each epoch its number (``"epoch"``, from 1), the number of steps so far (``"steps"``), the mean training
        loss (``"loss"``), ``"seconds"``, ``"examples_per_second"``, and what was measured at its end: names that begin
        with ``"validation_"``.

    Examples
    --------
    >>> history = History([2.0, 1.0], [{"epoch": 1, "steps": 2, "loss": 1.5, "validation_accuracy": 0.9}])
    >>> history["validation_accuracy"]
    array([0.9])
    >>> history.names
    ['validation_accuracy']
    """

    losses: list[float] = dataclasses.field(default_factory=list)
    epochs: list[dict[str, float]] = dataclasses.field(default_factory=list)

    def __repr__(self) -> str:
        last = f", the last: {self.epochs[-1]}" if self.epochs else ""
        return f"History({len(self.losses):,} steps, {len(self.epochs)} epochs{last})"

    def __getitem__(self, name: str) -> Any:
        """Return a column of `epochs`; NaN where it was not measured."""
        column = np.array([float(epoch.get(name, np.nan)) for epoch in self.epochs])
        if self.epochs and np.isnan(column).all() and not any(name in epoch for epoch in self.epochs):
            known = ", ".join(dict.fromkeys(key for epoch in self.epochs for key in epoch))
            raise KeyError(f"{name!r} was not recorded; what was: {known}")
        return column

    @property
    def names(self) -> list[str]:
        """What was measured at the end of epochs."""
        found = dict.fromkeys(key for epoch in self.epochs for key in epoch)
        return [key for key in found if key.startswith("validation_")]

    def plot(self, path: str | os.PathLike[str] | None = None, *, title: str = "") -> Any:
        """Draw the loss at every step and what was measured at the end of epochs.

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
        others = [name for name in self.names if name != "validation_loss"]
        figure = new_figure("History.plot", (6.0 + 5.0 * bool(others), 4.0))
        axes = figure.subplots(1, 1 + bool(others), squeeze=False)[0]
        self.draw_losses(axes[0])
        if others:
            self.draw_measures(axes[1], others)
        return finished(figure, path, title)

    def draw_losses(self, axes: Any) -> None:
        """Draw the training loss, each step and smoothed, and the validation loss into matplotlib axes."""
        steps = np.arange(1, len(self.losses) + 1)
        axes.plot(steps, self.losses, color=BLUE, alpha=0.25, linewidth=0.7)
        axes.plot(steps, smooth(self.losses), color=BLUE, label="training (smoothed)")
        if "validation_loss" in self.names:
            axes.plot(self["steps"], self["validation_loss"], "o-", color=ORANGE, label="validation")
        finite = np.asarray(self.losses)[np.isfinite(self.losses)]
        if finite.size and finite.min() > 0:
            axes.set_yscale("log")
        axes.set(xlabel="step", ylabel="loss")
        axes.legend()
        axes.grid(alpha=0.3)

    def draw_measures(self, axes: Any, names: list[str]) -> None:
        """Draw columns of `epochs` into matplotlib axes."""
        styles = zip(("o-", "s--", "^-.", "v:"), (ORANGE, GREEN, PURPLE, GREY), strict=True)
        for name, (style, color) in zip(names, styles, strict=False):
            axes.plot(self["epoch"], self[name], style, color=color, label=name.replace("_", " "))
        axes.set(xlabel="epoch", ylabel=names[0].replace("_", " ") if len(names) == 1 else "")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(names) > 1:
            axes.legend()
        axes.grid(alpha=0.3)


def smooth(values: list[float], share: float = 0.02) -> Any:
    """Exponential running mean over about this share of all values, without the bias of its start.

    Examples
    --------
    >>> smooth([3.0, 3.0, 3.0])
    array([3., 3., 3.])
    """
    keep = 1 - 1 / max(1.0, share * len(values))
    out = np.empty(len(values))
    mean = weight = 0.0
    for i, value in enumerate(values):
        mean = keep * mean + (1 - keep) * value
        weight = keep * weight + (1 - keep)
        out[i] = mean / weight
    return out


def new_figure(name: str, size: tuple[float, float]) -> Any:
    """Return an empty figure of a size in inches; without matplotlib an error that tells what `name` needs."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"{name} needs matplotlib: pip install 'autodiff-engine[examples]'") from error
    return Figure(figsize=size, layout="constrained")


def finished(figure: Any, path: str | os.PathLike[str] | None, title: str) -> Any:
    """Give a figure its title, save it where a path is given, and return it."""
    if title:
        figure.suptitle(title)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
