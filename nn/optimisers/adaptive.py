"""Gradient descent with a learning rate for each entry, from the size of its gradients: AdaGrad, RMSProp, AdaDelta."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.backend import made
from autodiff.core.spec import shape_of
from nn.optimisers.base import Optimiser, Step, moment_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nn.schedules import Rate

__all__ = ["AdaDelta", "AdaGrad", "RMSProp"]


@dataclasses.dataclass(frozen=True)
class AdaGrad(Optimiser):
    """Divide by the root of the sum of all squared gradients: ``s += g**2; p -= learning_rate * g / (sqrt(s) + eps)``.

    Parameters
    ----------
    learning_rate : float or callable
        A number, or a function of the step.
    initial : float
        Where the sum starts.
    eps : float
        Keeps the quotient finite.
    weight_decay, clip, constraint
        See `Optimiser`.

    Notes
    -----
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization" (2011).

    Examples
    --------
    >>> opt, p = AdaGrad(0.1), {"x": 1.0}
    >>> p, state = opt.update({"x": 4.0}, opt.init(p), p)
    >>> p["x"].round(6), state
    (np.float64(0.9), {'step': 1, 'sum_of_squares': {'x': np.float64(16.0)}})
    """

    learning_rate: Rate = 0.01
    initial: float = 0.0
    eps: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("initial")
        self._number("eps")

    def moments(self) -> tuple[str, ...]:
        """Return the sum of squares."""
        return ("sum_of_squares",)

    def first_moment(self, moment: str, p: Any) -> Any:
        """Return `initial` everywhere."""
        del moment
        return made(np.full, p, shape_of(p), self.initial, moment_dtype(p))[()]

    def rule(self, p: Any, g: Any, moments: Sequence[Any], step: Step) -> tuple[Any, tuple[Any, ...]]:
        """Return ``p - rate * g / (sqrt(s) + eps)``."""
        s = moments[0] + g * g
        return p - step.rate * (g / (np.sqrt(s) + self.eps)), (s,)

    def kernel(self, kernels: Any, step: Step) -> Callable[..., None]:
        """Return the compiled form."""
        return functools.partial(kernels.adagrad_step, rate=step.rate, eps=self.eps)


@dataclasses.dataclass(frozen=True)
class RMSProp(Optimiser):
    """Divide by the root of a running mean of squared gradients.

    ``s = rho * s + (1 - rho) * g**2; p -= learning_rate * g / (sqrt(s) + eps)``

    Parameters
    ----------
    learning_rate : float or callable
        A number, or a function of the step.
    rho : float
        How much of the running mean a step keeps.
    momentum : float
        If not 0, ``u = momentum * u + g / (sqrt(s) + eps)`` and ``p -= learning_rate * u``.
    centred : bool
        Whether the running mean of the gradients, squared, is subtracted from `s` first: the variance.
    eps : float
        Keeps the quotient finite.
    weight_decay, clip, constraint
        See `Optimiser`.

    Notes
    -----
    Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning" (2012); centred after Graves,
    "Generating sequences with recurrent neural networks" (2013).

    Examples
    --------
    >>> opt, p = RMSProp(0.1, rho=0.75), {"x": 1.0}
    >>> p, state = opt.update({"x": 4.0}, opt.init(p), p)
    >>> p["x"].round(6), state
    (np.float64(0.8), {'step': 1, 'mean_square': {'x': np.float64(4.0)}})
    """

    learning_rate: Rate = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    centred: bool = False
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("rho", below=1)
        self._number("momentum", below=1)
        self._number("eps")

    def moments(self) -> tuple[str, ...]:
        """Return the mean square, and the mean and the velocity if there are any."""
        return ("mean_square", *(["mean"] if self.centred else []), *(["velocity"] if self.momentum else []))

    def rule(self, p: Any, g: Any, moments: Sequence[Any], step: Step) -> tuple[Any, tuple[Any, ...]]:
        """Return ``p - rate * g / (sqrt(s) + eps)``, or its extended forms."""
        s = self.rho * moments[0] + (1 - self.rho) * (g * g)
        new: tuple[Any, ...] = (s,)
        variance = s
        if self.centred:
            mean = self.rho * moments[1] + (1 - self.rho) * g
            # Rounding may leave a little less than nothing.
            new, variance = (s, mean), np.maximum(s - mean * mean, 0)
        change = g / (np.sqrt(variance) + self.eps)
        if self.momentum:
            change = self.momentum * moments[-1] + change
            new = (*new, change)
        return p - step.rate * change, new

    def kernel(self, kernels: Any, step: Step) -> Callable[..., None] | None:
        """Return the compiled form, which knows neither momentum nor centring."""
        if self.momentum or self.centred:
            return None
        return functools.partial(kernels.rmsprop_step, rate=step.rate, rho=self.rho, eps=self.eps)


@dataclasses.dataclass(frozen=True)
class AdaDelta(Optimiser):
    """Divide by the running root mean square of the gradients, and multiply by that of the changes so far.

    ``s = rho * s + (1 - rho) * g**2; d = sqrt(t + eps) / sqrt(s + eps) * g; t = rho * t + (1 - rho) * d**2;
    p -= learning_rate * d``

    Parameters
    ----------
    learning_rate : float or callable
        1 in the paper.
    rho : float
        How much of the running means a step keeps.
    eps : float
        Sets the size of the first steps: sqrt(eps).
    weight_decay, clip, constraint
        See `Optimiser`.

    Notes
    -----
    Zeiler, "ADADELTA: an adaptive learning rate method" (2012), algorithm 1.

    Examples
    --------
    >>> opt, p = AdaDelta(), {"x": 1.0}
    >>> p, state = opt.update({"x": 4.0}, opt.init(p), p)
    >>> p["x"].round(6)
    np.float64(0.996838)
    """

    learning_rate: Rate = 1.0
    rho: float = 0.9
    eps: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("rho", below=1)
        self._number("eps", zero=False)

    def moments(self) -> tuple[str, ...]:
        """Return the mean squares of gradients and changes."""
        return ("mean_square", "mean_square_change")

    def rule(self, p: Any, g: Any, moments: Sequence[Any], step: Step) -> tuple[Any, tuple[Any, ...]]:
        """Return ``p - rate * sqrt(t + eps) / sqrt(s + eps) * g``."""
        s, t = moments
        s = self.rho * s + (1 - self.rho) * (g * g)
        change = np.sqrt((t + self.eps) / (s + self.eps)) * g
        return p - step.rate * change, (s, self.rho * t + (1 - self.rho) * (change * change))

    def kernel(self, kernels: Any, step: Step) -> Callable[..., None]:
        """Return the compiled form."""
        return functools.partial(kernels.adadelta_step, rate=step.rate, rho=self.rho, eps=self.eps)
