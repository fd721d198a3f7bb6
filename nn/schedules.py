"""Learning rates that change with the step: an optimiser takes a schedule wherever it takes a number.

A schedule is a function of the step, the first of which is 0, and returns a float. Those made here are compared by
value and can be pickled; any function of the step serves as well. They compose: ``warmup(cosine(0.1, 900), 100)``.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from typing import TYPE_CHECKING, Any

from nn.arguments import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Rate = float | Callable[[int], float]

__all__ = [
    "Schedule",
    "constant",
    "cosine",
    "exponential",
    "inverse_time",
    "piecewise",
    "robbins_monro",
    "step_decay",
    "warmup",
]


@dataclasses.dataclass(frozen=True, repr=False)
class Schedule:
    """A learning rate as a function of the step.

    Attributes
    ----------
    name : str
        Which of the schedules of this module it is.
    options : tuple of (str, value)
        What it was made with.

    Examples
    --------
    >>> rate = cosine(0.1, 100)
    >>> rate, rate == cosine(0.1, 100), rate(50)
    (cosine(rate=0.1, steps=100, final=0.0), True, 0.05)
    """

    name: str
    options: tuple[tuple[str, Any], ...]

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step; the first step is 0."""
        return float(_FORMULAS[self.name](step, **dict(self.options)))

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.options)})"


def _schedule(name: str, **options: Any) -> Schedule:
    return Schedule(name, tuple(options.items()))


# -- arguments -----------------------------------------------------------------------------------------------


def _number(name: str, argument: str, value: Any, *, positive: bool = False) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: {argument} must be a number, not {type(value).__name__}.") from None
    if not 0 <= number < math.inf or (positive and number == 0):
        raise ValueError(
            f"{name}: {argument} must be finite and {'positive' if positive else 'at least 0'}, not {value}."
        )
    return number


# -- schedules -----------------------------------------------------------------------------------------------


def constant(rate: float) -> Schedule:
    """Make a schedule that stays at `rate`.

    Examples
    --------
    >>> constant(0.1)(1000)
    0.1
    """
    return _schedule("constant", rate=_number("constant", "rate", rate))


def step_decay(rate: float, every: int, factor: float = 0.1) -> Schedule:
    """Make a schedule that multiplies the rate by `factor` after each `every` steps: rate * factor^floor(k / every).

    Examples
    --------
    >>> [step_decay(1.0, 10, 0.5)(k) for k in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """
    name = "step_decay"
    return _schedule(
        name,
        rate=_number(name, "rate", rate),
        every=whole(name, "every", every),
        factor=_number(name, "factor", factor, positive=True),
    )


def exponential(rate: float, every: int, factor: float) -> Schedule:
    """Make a schedule that decays smoothly, by `factor` in each `every` steps: rate * factor^(k / every).

    Examples
    --------
    >>> exponential(1.0, 100, 0.25)(50)
    0.5
    """
    name = "exponential"
    return _schedule(
        name,
        rate=_number(name, "rate", rate),
        every=whole(name, "every", every),
        factor=_number(name, "factor", factor, positive=True),
    )


def inverse_time(rate: float, every: int = 1, factor: float = 1.0) -> Schedule:
    """Make a schedule that decays as one over time: rate / (1 + factor * k / every).

    Examples
    --------
    >>> [inverse_time(1.0, 10)(k) for k in (0, 10, 30)]
    [1.0, 0.5, 0.25]
    """
    name = "inverse_time"
    return _schedule(
        name,
        rate=_number(name, "rate", rate),
        every=whole(name, "every", every),
        factor=_number(name, "factor", factor),
    )


def robbins_monro(rate: float, power: float = 1.0) -> Schedule:
    """Make a schedule under which stochastic gradient descent converges: rate / (1 + k)^power.

    The sum of the rates diverges and that of their squares converges if 1/2 < power <= 1, which is required.

    Notes
    -----
    Robbins and Monro, "A stochastic approximation method" (1951).

    Examples
    --------
    Each step on (x - theta)^2 with rate 0.5 / (1 + k) makes theta the mean of the numbers x so far:

    >>> theta, rate = -20.0, robbins_monro(0.5)
    >>> for k, x in enumerate([1.0, 2.0, 6.0]):
    ...     theta -= rate(k) * 2 * (theta - x)
    >>> theta
    3.0
    """
    name = "robbins_monro"
    power = _number(name, "power", power)
    if not 0.5 < power <= 1:
        raise ValueError(f"{name}: power must be greater than 1/2 and at most 1 for convergence, not {power}.")
    return _schedule(name, rate=_number(name, "rate", rate), power=power)


def cosine(rate: float, steps: int, final: float = 0.0) -> Schedule:
    """Make a schedule that falls from `rate` to `final` along half a cosine in `steps` steps, and stays there.

    Notes
    -----
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017), without the restarts.

    Examples
    --------
    >>> [round(cosine(0.1, 100)(k), 4) for k in (0, 25, 50, 100, 1000)]
    [0.1, 0.0854, 0.05, 0.0, 0.0]
    """
    return _schedule(
        "cosine",
        rate=_number("cosine", "rate", rate),
        steps=whole("cosine", "steps", steps),
        final=_number("cosine", "final", final),
    )


def piecewise(boundaries: Sequence[int], rates: Sequence[float]) -> Schedule:
    """Make a schedule of constant rates: the first before step ``boundaries[0]``, the next from there on, and so forth.

    Examples
    --------
    >>> [piecewise([10, 20], [0.1, 0.01, 0.001])(k) for k in (9, 10, 20)]
    [0.1, 0.01, 0.001]
    """
    steps = tuple(whole("piecewise", "boundaries", k) for k in boundaries)
    values = tuple(_number("piecewise", "rates", rate) for rate in rates)
    if list(steps) != sorted(set(steps)):
        raise ValueError(f"piecewise: boundaries must increase, not {list(steps)}.")
    if len(values) != len(steps) + 1:
        raise ValueError(f"piecewise: {len(steps)} boundaries need {len(steps) + 1} rates, not {len(values)}.")
    return _schedule("piecewise", boundaries=steps, rates=values)


def warmup(then: Rate, steps: int, start: float = 0.0) -> Schedule:
    """Make a schedule that rises in `steps` equal steps from `start` to the first rate of another, and follows that.

    Step k < steps has ``start + (then(0) - start) * (k + 1) / steps``; from there on, ``then(k - steps)``.

    Parameters
    ----------
    then : float or callable
        A rate, or a schedule, which begins after the warm-up.
    steps : int
        Length of the warm-up.
    start : float
        Where it starts; no step has this rate itself.

    Examples
    --------
    >>> rate = warmup(step_decay(1.0, 10, 0.5), 4)
    >>> [rate(k) for k in (0, 1, 3, 4, 13, 14)]
    [0.25, 0.5, 1.0, 1.0, 1.0, 0.5]
    """
    if not callable(then):
        then = constant(_number("warmup", "then", then))
    return _schedule(
        "warmup", then=then, steps=whole("warmup", "steps", steps), start=_number("warmup", "start", start)
    )


# -- formulas ------------------------------------------------------------------------------------------------


def _cosine(k: int, rate: float, steps: int, final: float) -> float:
    return final + (rate - final) * (1 + math.cos(math.pi * min(k, steps) / steps)) / 2


def _warmup(k: int, then: Callable[[int], float], steps: int, start: float) -> float:
    return start + (then(0) - start) * (k + 1) / steps if k < steps else then(k - steps)


_FORMULAS: dict[str, Callable[..., float]] = {
    "constant": lambda _, rate: rate,
    "step_decay": lambda k, rate, every, factor: rate * factor ** (k // every),
    "exponential": lambda k, rate, every, factor: rate * factor ** (k / every),
    "inverse_time": lambda k, rate, every, factor: rate / (1 + factor * k / every),
    "robbins_monro": lambda k, rate, power: rate / (1 + k) ** power,
    "cosine": _cosine,
    "piecewise": lambda k, boundaries, rates: rates[bisect.bisect_right(boundaries, k)],
    "warmup": _warmup,
}


def rate_at(name: str, rate: Rate, step: int) -> float:
    """Return the learning rate of a step, for a number or a function of the step."""
    value = float(rate(step)) if callable(rate) else float(rate)
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: the learning rate of step {step} must be finite and at least 0, not {value}.")
    return value
