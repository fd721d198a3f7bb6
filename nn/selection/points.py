"""Values of hyper-parameters: all combinations of some, or random ones."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from nn.arguments import generator, whole

__all__ = ["Draw", "Grid", "Point", "grid", "integers", "log_uniform", "sample", "uniform"]

Point = dict[str, Any]
Draw = Callable[[np.random.Generator], Any]
"""A distribution: a function of a generator that returns one value."""


class Grid(Sequence[Point]):
    """All combinations of the values of some names; each is made when it is asked for."""

    def __init__(self, values: Mapping[str, Sequence[Any]]) -> None:
        self.values = {name: _listed("grid", name, found) for name, found in values.items()}

    def __len__(self) -> int:
        return math.prod(len(values) for values in self.values.values())

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> list[Point]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Return a point; the last name changes fastest."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        rest, point = range(len(self))[index], {}
        for name, values in reversed(self.values.items()):
            rest, place = divmod(rest, len(values))
            point[name] = values[place]
        return {name: point[name] for name in self.values}

    def __repr__(self) -> str:
        axes = ", ".join(f"{len(values)} of {name}" for name, values in self.values.items())
        return f"Grid({len(self)} points: {axes})"


def _listed(where: str, name: str, values: Any) -> Sequence[Any]:
    if isinstance(values, (str, bytes, Mapping)) or not (hasattr(values, "__len__") and hasattr(values, "__getitem__")):
        raise TypeError(f"{where}: the values of {name} must be a sequence, as in {name}=[1, 2], not {values!r}.")
    if not len(values):
        raise ValueError(f"{where}: {name} has no values.")
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def grid(**values: Sequence[Any]) -> Grid:
    """Make the points of a grid: all combinations of values.

    Parameters
    ----------
    **values : sequences
        By name, the values to try; with none there is one point, which has no names.

    Returns
    -------
    Grid
        A sequence of dicts, in which the last name changes fastest.

    Raises
    ------
    TypeError, ValueError
        If the values of a name are no sequence, or there are none.

    Examples
    --------
    >>> list(grid(rate=[0.1, 0.01], hidden=[16, 32]))[:3]
    [{'rate': 0.1, 'hidden': 16}, {'rate': 0.1, 'hidden': 32}, {'rate': 0.01, 'hidden': 16}]
    >>> grid(rate=[0.1, 0.01], hidden=range(1, 1000))
    Grid(1998 points: 2 of rate, 999 of hidden)
    """
    return Grid(values)


# -- random points -------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Range:
    """A distribution between two numbers; compared by value."""

    name: str
    low: float
    high: float

    def __call__(self, rng: np.random.Generator) -> float | int:
        if self.name == "integers":
            return int(rng.integers(int(self.low), int(self.high), endpoint=True))
        if self.name == "uniform":
            return float(rng.uniform(self.low, self.high))
        value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return min(max(value, self.low), self.high)  # rounding must not lead out of the range

    def __repr__(self) -> str:
        return f"{self.name}({self.low}, {self.high})"


def _range(name: str, low: Any, high: Any) -> _Range:
    try:
        ordered = bool(low < high) and math.isfinite(high - low)
    except TypeError:
        raise TypeError(f"{name}: the limits must be two numbers, not {low!r} and {high!r}.") from None
    if not ordered:
        raise ValueError(f"{name}: the limits must be finite and increase, not {low!r} and {high!r}.")
    return _Range(name, low, high)


def uniform(low: float, high: float) -> Draw:
    """Make a distribution for `sample`: numbers between two limits, all equally likely.

    Examples
    --------
    >>> round(uniform(0.0, 0.5)(np.random.default_rng(0)), 4)
    0.3185
    """
    return _range("uniform", low, high)


def log_uniform(low: float, high: float) -> Draw:
    """Make a distribution for `sample`: numbers whose logarithms are equally likely, as for rates and decays.

    Each power of ten between the limits, which are positive, gets as many points as the next.

    Examples
    --------
    >>> round(log_uniform(1e-4, 1e-1)(np.random.default_rng(0)), 6)
    0.008145
    """
    made = _range("log_uniform", low, high)
    if low <= 0:
        raise ValueError(f"log_uniform: the limits must be positive, not {low!r} and {high!r}.")
    return made


def integers(low: int, high: int) -> Draw:
    """Make a distribution for `sample`: whole numbers from the first to the last, both included.

    Examples
    --------
    >>> integers(16, 128)(np.random.default_rng(0))
    112
    """
    least, most = (whole("integers", "a limit", limit, -(2**62)) for limit in (low, high))
    return _range("integers", least, most)


def sample(count: int, /, *, rng: np.random.Generator | int, **spaces: Sequence[Any] | Draw) -> Iterator[Point]:
    """Draw random points, one after the other.

    Parameters
    ----------
    count : int
        How many.
    rng : numpy.random.Generator or int
        Where they come from; of the same seed, the first points are the same for every count.
    **spaces : sequences or distributions
        By name, values of which one is drawn, or a distribution: `uniform`, `log_uniform`, `integers`, or any function
        of a generator.

    Yields
    ------
    dict
        A point.

    Raises
    ------
    TypeError, ValueError
        At once, if an argument does not make sense.

    Notes
    -----
    Bergstra and Bengio, "Random search for hyper-parameter optimization" (2012): where few of the hyper-parameters
    matter, random points try more values of those than a grid does.

    Examples
    --------
    >>> for point in sample(2, rng=0, hidden=[16, 32, 64], rate=log_uniform(1e-4, 1e-1)):
    ...     print(point["hidden"], f"{point['rate']:.1e}")
    64 6.4e-04
    32 1.3e-04
    """
    count = whole("sample", "count", count, 1)
    source = generator("sample", rng)
    draws = {name: space if callable(space) else _listed("sample", name, space) for name, space in spaces.items()}
    if not draws:
        raise ValueError("sample: name at least one hyper-parameter, as in rate=log_uniform(1e-4, 1e-1).")
    return ({name: _drawn(space, source) for name, space in draws.items()} for _ in range(count))


def _drawn(space: Any, rng: np.random.Generator) -> Any:
    return space(rng) if callable(space) else space[rng.integers(len(space))]
