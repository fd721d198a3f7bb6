"""Between the steps: a solution at any time, and the times at which an event happens, as implicit functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.spec import shape_of
from autodiff.scipy._mirror import array, plain, plain_value
from autodiff.scipy.optimize._implicit import differentiated

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BetweenSteps", "event_list", "happened", "plain_events"]


class BetweenSteps:
    """A solution as a function of time, which may be traced: one step of the method from the step before it.

    Attributes
    ----------
    ts, t_min, t_max
        The times of the steps, and the first and last of them.
    """

    def __init__(self, step: Callable[..., Any], f: Any, times: Any, values: Any) -> None:
        self._step, self._f, self._times, self._values = step, f, times, values
        self.ts = np.array([float(plain(t)) for t in times])
        self.t_min, self.t_max = np.min(self.ts), np.max(self.ts)

    def __call__(self, t: Any) -> Any:
        """Return the state (n,) at a time, or (n, m) at m of them."""
        t = array(t)
        if not shape_of(t):
            return self._at(t)
        return np.stack([self._at(t[k]) for k in range(shape_of(t)[0])], axis=-1)

    def _at(self, t: Any) -> Any:
        place = float(plain_value("scipy.integrate.solve_ivp", t))
        forward = self.ts[-1] >= self.ts[0]
        before = np.searchsorted(self.ts if forward else -self.ts, place if forward else -place, side="right") - 1
        k = int(np.clip(before, 0, max(len(self.ts) - 2, 0)))
        return self._step(self._f, self._times[k], self._values[k], t - self._times[k])


def event_list(events: Any) -> list[Any]:
    """Return the events as a list, as SciPy takes them."""
    return [] if events is None else [events] if callable(events) else list(events)


def plain_events(events: list[Any], args: Any) -> list[Any]:
    """Return the events as SciPy wants them: functions of numbers, with their marks."""
    made = []
    for event in events:
        call = lambda t, y, *_rest, event=event: float(plain(event(t, y, *args)))  # noqa: E731
        for mark in ("terminal", "direction"):
            if hasattr(event, mark):
                setattr(call, mark, getattr(event, mark))
        made.append(call)
    return made


def happened(name: str, event: Any, args: Any, times: Any, solution: Any, plain_solution: Any) -> tuple[Any, Any]:
    """Times of an event, and the states there, as functions of all that the solution depends on."""
    if not len(times):
        return np.zeros(0), np.zeros(0)

    def zero(args: Any, at: Any) -> Callable[[Any], Any]:
        return lambda t: np.reshape(array(event(t[0], at(t[0]), *args)), (1,))

    found = []
    for t in times:
        start = np.array([float(t)])
        found.append(
            differentiated(
                name, zero(plain(args), plain_solution), zero(args, solution), start, what="the slope of an event"
            )[0]
        )
    return np.stack(found), np.stack([solution(t) for t in found])
