"""Blocks: what runs beside what. A shortcut around layers, and branches that are laid side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.errors import describe
from autodiff.core.spec import shape_of
from nn.activations import resolve
from nn.layers.activation import Activation
from nn.layers.convolution import Conv2d
from nn.layers.pooling import MaxPool2d
from nn.layers.sequential import Sequential
from nn.module import Layer, apply, replace, static

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Branches", "Residual", "inception"]


def _layer(value: Any) -> Layer:
    return value if isinstance(value, Layer) else Activation(value)


class Residual(Layer):
    """Add what layers make of the input to the input itself: ``activation(shortcut(x) + body(x))``.

    Parameters
    ----------
    body : Layer or callable
        The layers that learn the difference.
    shortcut : Layer or callable, optional
        What the input goes through on its way around them, such as a 1x1 convolution where sizes change; by default
        nothing.
    activation : str or callable, optional
        A name from `nn.activations`, or a function of one array.

    Raises
    ------
    ValueError
        On a call, if the two sums have different shapes.

    Notes
    -----
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2015).

    Examples
    --------
    >>> import nn
    >>> block = Residual(nn.Conv2d(2, 2, 3, padding="same", weight_init="zeros", rng=0), activation="relu")
    >>> block(np.full((1, 2, 3, 3), -1, np.float32)).any()
    np.False_
    """

    body: Layer
    shortcut: Layer | None
    activation: Any = static(default=None)

    def __init__(
        self, body: Any, *, shortcut: Any = None, activation: str | Callable[[Any], Any] | None = None
    ) -> None:
        resolve("Residual", activation)
        self.body, self.activation = _layer(body), activation
        self.shortcut = None if shortcut is None else _layer(shortcut)

    def forward(self, x: Any, *, train: bool = False, rng: np.random.Generator | None = None) -> tuple[Any, Residual]:
        """Apply both ways and add."""
        y, body = apply(self.body, x, train=train, rng=rng)
        around, shortcut = (x, None) if self.shortcut is None else apply(self.shortcut, x, train=train, rng=rng)
        if shape_of(y) != shape_of(around):
            raise ValueError(
                f"Residual: the body returns {describe(y)} and the shortcut {describe(around)}; they are added, so "
                "their shapes must be the same: give shortcut=, such as a Conv2d of size 1 with the body's stride."
            )
        y = resolve("Residual", self.activation)(around + y)
        return y, replace(self, body=body, shortcut=shortcut)

    def differs_in_training(self) -> bool:
        """Return whether one of the ways does something else in training than in use."""
        ways = (self.body, self.shortcut)
        return any(way is not None and way.differs_in_training() for way in ways)


class Branches(Layer):
    """Apply several layers to the same input and join their results along the channels.

    Parameters
    ----------
    *branches : Layer or callable
        The layers; their results differ in the number of channels only.
    axis : int
        Along which axis to join: 1 for images in the layout NCHW.

    Examples
    --------
    >>> import nn
    >>> both = Branches(nn.Conv2d(3, 4, 1, rng=0), nn.Conv2d(3, 8, 3, padding="same", rng=1))
    >>> both(np.ones((2, 3, 5, 5), np.float32)).shape
    (2, 12, 5, 5)
    """

    branches: tuple[Layer, ...]
    axis: int = static(default=1)

    def __init__(self, *branches: Any, axis: int = 1) -> None:
        if not branches:
            raise ValueError("Branches: give at least one layer.")
        self.branches, self.axis = tuple([_layer(branch) for branch in branches]), axis

    def forward(self, x: Any, *, train: bool = False, rng: np.random.Generator | None = None) -> tuple[Any, Branches]:
        """Apply all branches, in their order."""
        results = [apply(branch, x, train=train, rng=rng) for branch in self.branches]
        shapes = [shape_of(y) for y, _ in results]
        others = {tuple(np.delete(shape, self.axis)) for shape in shapes}
        if len(others) > 1:
            raise ValueError(
                f"Branches: the branches return the shapes {', '.join(map(str, shapes))}, which differ in other axes "
                f"than {self.axis}; pad the wider filters and windows so that all images keep one size."
            )
        y = np.concatenate([y for y, _ in results], axis=self.axis)
        return y, replace(self, branches=tuple([branch for _, branch in results]))

    def differs_in_training(self) -> bool:
        """Return whether any branch does something else in training than in use."""
        return any(branch.differs_in_training() for branch in self.branches)


def inception(
    inputs: int,
    one: int,
    three: tuple[int, int],
    five: tuple[int, int],
    pool: int,
    *,
    activation: str | Callable[[Any], Any] = "relu",
    **options: Any,
) -> Branches:
    """Make an inception module: convolutions of sizes 1, 3 and 5 and a maximum side by side, those behind a 1x1 layer.

    Parameters
    ----------
    inputs : int
        Channels of the input.
    one : int
        Channels of the 1x1 convolution.
    three, five : (int, int)
        Channels of the 1x1 convolution that reduces, and of the 3x3 or 5x5 convolution behind it.
    pool : int
        Channels of the 1x1 convolution behind the maximum of 3x3 pixels.
    activation : str or callable
        Of every convolution.
    **options
        For each `Conv2d`: rng, weight_init, dtype ...

    Returns
    -------
    Branches
        ``one + three[1] + five[1] + pool`` channels.

    Notes
    -----
    Szegedy et al., "Going deeper with convolutions" (2014).

    Examples
    --------
    >>> import nn
    >>> block = inception(192, 64, (96, 128), (16, 32), 32, weight_init="zeros", rng=0)
    >>> block(np.ones((1, 192, 4, 4), np.float32)).shape, nn.count_parameters(block)
    ((1, 256, 4, 4), 163696)
    """

    def conv(channels: int, outputs: int, size: int) -> Conv2d:
        return Conv2d(channels, outputs, size, padding="same", activation=activation, **options)

    return Branches(
        conv(inputs, one, 1),
        Sequential(conv(inputs, three[0], 1), conv(three[0], three[1], 3)),
        Sequential(conv(inputs, five[0], 1), conv(five[0], five[1], 5)),
        Sequential(MaxPool2d(3, stride=1, padding=1), conv(inputs, pool, 1)),
    )
