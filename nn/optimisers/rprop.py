"""Resilient backpropagation: steps whose sizes know the signs of the gradient only."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.backend import made
from autodiff.core.spec import shape_of
from nn.optimisers.base import Optimiser, Step, moment_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RProp"]


@dataclasses.dataclass(frozen=True)
class RProp(Optimiser):
    """A step size for each entry, which grows while the gradient keeps its sign and shrinks when it turns.

    ``size *= grow`` where the last two gradients have the same sign; ``size *= shrink``, and no step, where they have
    opposite ones; then ``p -= sign(g) * size``. The gradients should be of all examples: those of batches are noise.

    Parameters
    ----------
    learning_rate : float
        The size of the first step of each entry; not a schedule, for the sizes find their own way.
    grow, shrink : float
        At least 1; and greater than 0 and less than 1.
    smallest, largest : float
        Between which the sizes stay.
    weight_decay, clip, constraint
        See `Optimiser`.

    Notes
    -----
    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm" (1993), in
    the form that Igel and Hüsken, "Improving the Rprop learning algorithm" (2000), call iRprop-: after a change of sign
    an entry rests for a step.

    Examples
    --------
    >>> opt, p = RProp(0.1), {"x": 1.0}
    >>> state = opt.init(p)
    >>> for g in (4.0, 0.01, -1.0, -1.0):
    ...     p, state = opt.update({"x": g}, state, p)
    >>> p["x"].round(6), state["size"]["x"].round(6)
    (np.float64(0.84), np.float64(0.06))
    """

    learning_rate: float = 0.01
    grow: float = 1.2
    shrink: float = 0.5
    smallest: float = 1e-6
    largest: float = 50.0

    def __post_init__(self) -> None:
        if callable(self.learning_rate):
            raise TypeError("RProp: learning_rate must be a number, the size of the first step; the sizes adapt.")
        super().__post_init__()
        self._number("grow", low=1.0)
        self._number("shrink", below=1.0, zero=False)
        self._number("largest")
        self._number("smallest")
        if self.smallest > self.largest:
            raise ValueError(f"RProp: smallest must be at most largest, not {self.smallest:g} > {self.largest:g}.")

    def moments(self) -> tuple[str, ...]:
        """Return the last gradient and the sizes of steps."""
        return ("gradient", "size")

    def first_moment(self, moment: str, p: Any) -> Any:
        """Return no gradient, and `learning_rate` everywhere."""
        start = self.learning_rate if moment == "size" else 0.0
        return made(np.full, p, shape_of(p), start, moment_dtype(p))[()]

    def rule(self, p: Any, g: Any, moments: Sequence[Any], step: Step) -> tuple[Any, tuple[Any, ...]]:
        """Return ``p - sign(g) * size``."""
        del step
        turn = np.sign(g) * np.sign(moments[0])  # of the signs: the product of small gradients is 0
        size = np.where(turn > 0, moments[1] * self.grow, np.where(turn < 0, moments[1] * self.shrink, moments[1]))
        size = np.clip(size, self.smallest, self.largest)[()]
        g = np.where(turn < 0, np.zeros_like(g), g)[()]
        return p - np.sign(g) * size, (g, size)
