"""Layers one after the other."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from nn.layers.activation import Activation
from nn.module import Layer, apply, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

__all__ = ["Sequential"]


class Sequential(Layer):
    """Apply layers one after the other.

    Parameters
    ----------
    *layers : Layer or callable
        The layers, or one list of them. A function becomes an `Activation`.

    Examples
    --------
    >>> import numpy as np
    >>> import nn
    >>> rng = np.random.default_rng(0)
    >>> model = Sequential(nn.Dense(4, 3, rng=rng), nn.relu, nn.Dense(3, 1, rng=rng))
    >>> model
    Sequential(
      layers=(
        0=Dense(weight=float32[4,3], bias=float32[3]),
        1=Activation(function=relu),
        2=Dense(weight=float32[3,1], bias=float32[1]),
      ),
    )  # 19 parameters
    >>> model(np.ones((2, 4), np.float32)).shape, len(model), model[0].weight.shape
    ((2, 1), 3, (4, 3))
    """

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Any) -> None:
        if len(layers) == 1 and isinstance(layers[0], (list, tuple)):
            layers = tuple(layers[0])
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; give an instance.")
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} must be a layer or a function, not {type(layer).__name__}.")
        self.layers = tuple([layer if isinstance(layer, Layer) else Activation(layer) for layer in layers])

    def forward(self, x: Any, *, train: bool = False, rng: np.random.Generator | None = None) -> tuple[Any, Sequential]:
        """Apply all layers."""
        layers = []
        for i, layer in enumerate(self.layers):
            try:
                x, new = apply(layer, x, train=train, rng=rng)
            except Exception as error:
                error.add_note(f"in layers.{i} of a Sequential")
                raise
            layers.append(new)
        return x, self if all(map(operator.is_, layers, self.layers)) else replace(self, layers=tuple(layers))

    def differs_in_training(self) -> bool:
        """Return whether any layer does something else in training than in use."""
        return any(layer.differs_in_training() for layer in self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, index: int | slice) -> Any:
        """Return a layer, or for a slice a `Sequential` of some."""
        return Sequential(*self.layers[index]) if isinstance(index, slice) else self.layers[index]
