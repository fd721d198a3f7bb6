"""Gradient descent, with and without momentum."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from nn.optimisers.base import Optimiser, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nn.schedules import Rate

__all__ = ["SGD"]


@dataclasses.dataclass(frozen=True)
class SGD(Optimiser):
    """Gradient descent, stochastic if the gradients are of batches; with momentum, in Nesterov's form if asked for.

    Without momentum ``p -= learning_rate * g``; with it ``u = momentum * u + g; p -= learning_rate * u``; in Nesterov's
    form ``p -= learning_rate * (g + momentum * u)``. At a constant learning rate this is also
    ``v = momentum * v - learning_rate * g; p += v``.

    Parameters
    ----------
    learning_rate : float or callable
        A number, or a function of the step.
    momentum : float
        At least 0 and less than 1; 0.9 is usual.
    nesterov : bool
        Whether to look ahead along the velocity.
    weight_decay, clip, constraint
        See `Optimiser`.

    Notes
    -----
    Polyak, "Some methods of speeding up the convergence of iteration methods" (1964); Nesterov, "A method for solving
    the convex programming problem with convergence rate O(1/k^2)" (1983), in the form of Sutskever, Martens, Dahl and
    Hinton, "On the importance of initialization and momentum in deep learning" (2013), at the point looked ahead to.

    Examples
    --------
    >>> import numpy as np
    >>> opt, p = SGD(0.1, momentum=0.5), {"x": np.array([1.0])}
    >>> state = opt.init(p)
    >>> for _ in range(2):
    ...     p, state = opt.update({"x": np.array([1.0])}, state, p)
    >>> p, state
    ({'x': array([0.75])}, {'step': 2, 'velocity': {'x': array([1.5])}})
    """

    learning_rate: Rate = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("momentum", below=1)
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: nesterov=True needs a momentum, such as momentum=0.9.")

    def moments(self) -> tuple[str, ...]:
        """Return the velocity, if there is momentum."""
        return ("velocity",) if self.momentum else ()

    def rule(self, p: Any, g: Any, moments: Sequence[Any], step: Step) -> tuple[Any, tuple[Any, ...]]:
        """Return ``p - rate * u``."""
        if not self.momentum:
            return p - step.rate * g, ()
        u = self.momentum * moments[0] + g
        return p - step.rate * (g + self.momentum * u if self.nesterov else u), (u,)

    def kernel(self, kernels: Any, step: Step) -> Callable[..., None]:
        """Return the compiled form."""
        if not self.momentum:
            return functools.partial(kernels.gradient_step, rate=step.rate)
        momentum = {"momentum": self.momentum, "nesterov": self.nesterov}
        return functools.partial(kernels.momentum_step, rate=step.rate, **momentum)
