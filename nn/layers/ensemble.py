"""Several models that answer together."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.backend import made
from autodiff.core.errors import describe
from autodiff.core.spec import shape_of
from autodiff.ops import log_softmax
from nn.layers.activation import Activation
from nn.module import Layer, apply, replace, static

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Ensemble"]

WAYS = ("mean", "probability", "vote")


class Ensemble(Layer):
    """Give one input to several models, and make one output of theirs.

    Parameters
    ----------
    members : sequence of Layer or callable
        The models, whose outputs have one shape.
    combine : {"mean", "probability", "vote"}
        The mean of the outputs; for scores of classes along the last axis, the logarithm of the mean of their softmax;
        or the share of members for whom a class has the highest score, the first one at a tie. Shares do not change
        with the weights a little: their gradient is zero.

    Raises
    ------
    ValueError
        If there are no members or no such way; on a call, if outputs have different shapes.

    Notes
    -----
    The mean of the squared errors of members is that of the ensemble's mean plus their spread around it (Krogh and
    Vedelsby, "Neural network ensembles, cross validation, and active learning", 1995): a mean is never worse than its
    members are on average.

    Examples
    --------
    >>> scores = np.array([[2.0, 0.0]])
    >>> Ensemble([lambda x: x, lambda x: -3 * x])(scores)
    array([[-2.,  0.]])
    >>> Ensemble([lambda x: x, lambda x: -x, lambda x: 5 * x], "vote")(scores).round(3)
    array([[0.667, 0.333]])
    """

    members: tuple[Layer, ...]
    combine: str = static(default="mean")

    def __init__(self, members: Sequence[Any], combine: str = "mean") -> None:
        if not members:
            raise ValueError("Ensemble: there must be at least one member.")
        if combine not in WAYS:
            raise ValueError(f"Ensemble: combine must be one of {', '.join(WAYS)}, not {combine!r}.")
        self.members = tuple([m if isinstance(m, Layer) else Activation(m) for m in members])
        self.combine = combine

    def forward(self, x: Any, *, train: bool = False, rng: np.random.Generator | None = None) -> tuple[Any, Ensemble]:
        """Return what the members say together, and the ensemble of the new members."""
        pairs = [apply(member, x, train=train, rng=rng) for member in self.members]
        outputs = [y for y, _ in pairs]
        for i, y in enumerate(outputs):
            if shape_of(y) != shape_of(outputs[0]):
                raise ValueError(
                    f"Ensemble: member {i} says {describe(y)}, member 0 {describe(outputs[0])}; shapes must agree."
                )
        return self._combined(outputs), replace(self, members=tuple(new for _, new in pairs))

    def differs_in_training(self) -> bool:
        """Return whether any member does something else in training than in use."""
        return any(member.differs_in_training() for member in self.members)

    def _combined(self, outputs: list[Any]) -> Any:
        count = len(outputs)
        if self.combine == "mean":
            return functools.reduce(np.add, outputs) / count
        if self.combine == "probability":
            return functools.reduce(np.logaddexp, [log_softmax(y) for y in outputs]) - math.log(count)
        classes = made(np.arange, outputs[0], shape_of(outputs[0])[-1])
        votes = [(np.argmax(y, axis=-1)[..., np.newaxis] == classes).astype(y.dtype) for y in outputs]
        return functools.reduce(np.add, votes) / count
