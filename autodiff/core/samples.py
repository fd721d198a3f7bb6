"""Where operations are tested: sample arguments, and points with an agreed derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

__all__ = ["Boundary", "Sample", "draw_elementwise"]


class Sample(NamedTuple):
    """Arguments at which the generic tests check an operation, away from its kinks."""

    args: tuple[Any, ...]
    params: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple default, never mutated


class Boundary(NamedTuple):
    """A point where the derivative is a convention or a limit: scalar arguments, and dy/dx for each of them."""

    args: tuple[Any, ...]
    derivatives: tuple[Any, ...]


def draw_elementwise(
    rng: np.random.Generator, domain: Sequence[tuple[float, float]] | tuple[float, float], nargs: int
) -> list[Sample]:
    """Samples on a domain: equal shapes, every kind of broadcasting, 0-d and empty."""
    pairs: list[Any] = [domain] * nargs if isinstance(domain[0], (int, float)) else list(domain)
    shapes: list[tuple[tuple[int, ...], ...]] = [((3, 4),) * nargs, ((),) * nargs, ((0,),) * nargs]
    if nargs == 2:
        shapes += [((3, 1), (4,)), ((), (2, 3)), ((2, 1, 3), (1, 2, 1))]
    if nargs == 3:
        shapes += [((3, 1), (4,), ()), ((), (2, 1), (1, 3))]
    return [
        Sample(tuple(rng.uniform(low, high, s) for (low, high), s in zip(pairs, shape, strict=True)))
        for shape in shapes
    ]
