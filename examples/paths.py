"""Paths of optimisers over functions of a few numbers, and the contours to draw them on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import grad

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["contours", "descend"]


def descend(optimiser: Any, f: Callable[[Any], Any], start: Any, steps: int) -> Any:
    """Return the points (steps + 1, ...) that an optimiser of `nn` visits on its way down a function.

    Examples
    --------
    >>> import nn
    >>> descend(nn.SGD(0.25), lambda x: x**2, 4.0, 3)
    array([4. , 2. , 1. , 0.5])
    """
    slope = grad(f)
    x = np.asarray(start, float)[()]
    state = optimiser.init({"x": x})
    path = [x]
    for _ in range(steps):
        new, state = optimiser.update({"x": slope(path[-1])}, state, {"x": path[-1]})
        path.append(new["x"])
    return np.array(path)


def contours(
    axes: Any, f: Callable[[Any], Any], x: tuple[float, float], y: tuple[float, float], levels: Any = 20
) -> None:
    """Draw the contours of a function of one vector (x, y), which is called with an array of shape (2, n, n)."""
    grid = np.array(np.meshgrid(np.linspace(*x, 121), np.linspace(*y, 121)))
    axes.contour(*grid, f(grid), levels=levels, cmap="Greys_r", linewidths=0.7, alpha=0.8)
    axes.set(xlim=x, ylim=y)
    axes.grid(False)
