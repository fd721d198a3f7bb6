"""Adam and its kin: running means of the gradients, divided by running measures of their size."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nn.optimisers.base import Optimiser, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nn.schedules import Rate

__all__ = ["AdaMax", "Adam", "AdamW", "Nadam"]


@dataclasses.dataclass(frozen=True)
class Adam(Optimiser):
    """Adaptive moment estimation.

    ``m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g**2``, and in step t

    ``p -= learning_rate * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)``

    Parameters
    ----------
    learning_rate : float or callable
        A number, or a function of the step.
    beta1, beta2 : float
        How much of the running means a step keeps.
    eps : float
        Keeps the quotient finite.
    weight_decay, clip, constraint
        See `Optimiser`.

    Notes
    -----
    Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1.

    Examples
    --------
    The first step has the size of the learning rate, whatever the gradient:

    >>> opt, p = Adam(0.001), {"x": np.array([1.0, 1.0])}
    >>> p, state = opt.update({"x": np.array([-4.0, 1e-3])}, opt.init(p), p)
    >>> p["x"].round(6)
    array([1.001, 0.999])
    """

    learning_rate: Rate = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("beta1", below=1)
        self._number("beta2", below=1)
        self._number("eps")

    def moments(self) -> tuple[str, ...]:
        """Return both running means."""
        return ("mean", "mean_square")

    def _means(self, g: Any, moments: Sequence[Any]) -> tuple[Any, Any]:
        m, v = moments
        return self.beta1 * m + (1 - self.beta1) * g, self.beta2 * v + (1 - self.beta2) * (g * g)

    def _size(self, v: Any, step: Step) -> Any:
        return np.sqrt(v) * (1 - self.beta2**step.number) ** -0.5 + self.eps

    def rule(self, p: Any, g: Any, moments: Sequence[Any], step: Step) -> tuple[Any, tuple[Any, ...]]:
        """Return ``p`` minus the rate times the corrected mean over the corrected root mean square."""
        m, v = self._means(g, moments)
        return p - (step.rate / (1 - self.beta1**step.number)) * (m / self._size(v, step)), (m, v)

    def kernel(self, kernels: Any, step: Step) -> Callable[..., None]:
        """Return the compiled form."""
        options = {"beta1": self.beta1, "beta2": self.beta2, "eps": self.eps, "step": step.number}
        return functools.partial(kernels.adam_step, rate=step.rate, **options)


@dataclasses.dataclass(frozen=True)
class AdamW(Adam):
    """`Adam` with weight decay that is decoupled from the gradient: ``p -= learning_rate * weight_decay * p`` first.

    Parameters are those of `Adam`; `weight_decay` is 0.01 by default.

    Notes
    -----
    Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), with its schedule multiplier in the learning
    rate.

    Examples
    --------
    >>> opt, p = AdamW(0.1, weight_decay=0.5), {"x": 1.0}
    >>> p, state = opt.update({"x": 0.0}, opt.init(p), p)
    >>> p
    {'x': np.float64(0.95)}
    """

    _: dataclasses.KW_ONLY
    weight_decay: float = 0.01

    decoupled: ClassVar[bool] = True


@dataclasses.dataclass(frozen=True)
class Nadam(Adam):
    """`Adam` with Nesterov's momentum, which grows towards `beta1`.

    With ``mu(t) = beta1 * (1 - 0.96**(t * momentum_decay) / 2)``, and c(t) the product of mu(1) ... mu(t),

    ``n = mu(t+1) * m / (1 - c(t+1)) + (1 - mu(t)) * g / (1 - c(t))``

    ``p -= learning_rate * n / (sqrt(v / (1 - beta2**t)) + eps)``

    Parameters
    ----------
    momentum_decay : float
        How fast it grows; 0.004 in the paper.

    The others are those of `Adam`.

    Notes
    -----
    Dozat, "Incorporating Nesterov momentum into Adam" (2016).

    Examples
    --------
    >>> opt, p = Nadam(0.1), {"x": 1.0}
    >>> p, state = opt.update({"x": 4.0}, opt.init(p), p)
    >>> float(p["x"].round(6)), round(state["product"], 6)
    (0.894355, 0.450073)
    """

    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("momentum_decay")

    def first_numbers(self) -> dict[str, float]:
        """Return the product of no momenta."""
        return {"product": 1.0}

    def next_numbers(self, numbers: dict[str, float], number: int) -> dict[str, float]:
        """Return the product of the momenta so far."""
        return {"product": numbers["product"] * self._momentum(number)}

    def _momentum(self, number: int) -> float:
        growth: float = 0.96 ** (number * self.momentum_decay)
        return self.beta1 * (1 - 0.5 * growth)

    def rule(self, p: Any, g: Any, moments: Sequence[Any], step: Step) -> tuple[Any, tuple[Any, ...]]:
        """Return ``p`` minus the rate times the mean looked ahead to over the corrected root mean square."""
        m, v = self._means(g, moments)
        ahead, now = self._weights(step)
        return p - (ahead * m + now * g) / self._size(v, step), (m, v)

    def _weights(self, step: Step) -> tuple[float, float]:
        """Return what the mean and the gradient are multiplied by, the learning rate included."""
        now, after = self._momentum(step.number), self._momentum(step.number + 1)
        product = step.numbers["product"]
        return step.rate * after / (1 - product * after), step.rate * (1 - now) / (1 - product)

    def kernel(self, kernels: Any, step: Step) -> Callable[..., None]:
        """Return the compiled form."""
        ahead, now = self._weights(step)
        options = {"beta1": self.beta1, "beta2": self.beta2, "eps": self.eps, "step": step.number}
        return functools.partial(kernels.nadam_step, ahead=ahead, now=now, **options)


@dataclasses.dataclass(frozen=True)
class AdaMax(Optimiser):
    """`Adam` with the largest gradient, discounted by age, for a measure of size.

    ``m = beta1 * m + (1 - beta1) * g; u = max(beta2 * u, |g| + eps)``, and in step t
    ``p -= learning_rate / (1 - beta1**t) * m / u``

    Parameters
    ----------
    learning_rate : float or callable
        A number, or a function of the step.
    beta1, beta2 : float
        How much of mean and maximum a step keeps.
    eps : float
        Keeps the quotient finite; it is not in the paper.
    weight_decay, clip, constraint
        See `Optimiser`.

    Notes
    -----
    Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 2.

    Examples
    --------
    >>> opt, p = AdaMax(0.002), {"x": 1.0}
    >>> p, state = opt.update({"x": -4.0}, opt.init(p), p)
    >>> p["x"].round(6)
    np.float64(1.002)
    """

    learning_rate: Rate = 0.002
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("beta1", below=1)
        self._number("beta2", below=1)
        self._number("eps", zero=False)

    def moments(self) -> tuple[str, ...]:
        """Return the running mean and the discounted maximum."""
        return ("mean", "maximum")

    def rule(self, p: Any, g: Any, moments: Sequence[Any], step: Step) -> tuple[Any, tuple[Any, ...]]:
        """Return ``p`` minus the rate times the corrected mean over the maximum."""
        m, u = moments
        m = self.beta1 * m + (1 - self.beta1) * g
        u = np.maximum(self.beta2 * u, np.abs(g) + self.eps)
        return p - (step.rate / (1 - self.beta1**step.number)) * (m / u), (m, u)

    def kernel(self, kernels: Any, step: Step) -> Callable[..., None]:
        """Return the compiled form."""
        options = {"beta1": self.beta1, "beta2": self.beta2, "eps": self.eps, "step": step.number}
        return functools.partial(kernels.adamax_step, rate=step.rate, **options)
