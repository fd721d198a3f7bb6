"""Layers that training leaves as they are."""

from __future__ import annotations

from typing import Any

from nn.layers.activation import Activation
from nn.module import Layer, state

__all__ = ["Frozen"]


class Frozen(Layer):
    """Apply layers whose parameters are kept: constant to derivatives, and left alone by optimisers.

    The layers run as they do after training: nothing is dropped, and batch normalisation keeps its statistics. The
    derivative by the input passes through them. `layer` gives them back, to be trained after all.

    Parameters
    ----------
    layer : Layer or callable
        The layers to keep, such as the lower part of a network that was trained on other data.

    Examples
    --------
    >>> import numpy as np
    >>> import nn
    >>> from autodiff import grad
    >>> trunk = nn.Dense(3, 2, rng=0)
    >>> model = nn.Sequential(nn.Frozen(trunk), nn.relu, nn.Dense(2, 1, rng=1))
    >>> list(nn.parameters(model))
    ['layers.2.weight', 'layers.2.bias']
    >>> gradient = grad(lambda model: np.sum(model(np.ones((1, 3), np.float32))))(model)
    >>> gradient.layers[0].layer.weight.any()
    np.False_
    >>> model.layers[0].layer == trunk
    True
    """

    layer: Any = state()

    def __init__(self, layer: Any) -> None:
        self.layer = layer if isinstance(layer, Layer) else Activation(layer)

    def __call__(self, x: Any) -> Any:
        """Apply the layers as after training."""
        return self.layer(x)

    def forward(self, x: Any, *, train: bool = False, rng: Any = None) -> tuple[Any, Frozen]:
        """Apply the layers as after training, in training too."""
        del train, rng
        return self.layer(x), self

    def differs_in_training(self) -> bool:
        """Return False: the layers do the same in training and in use."""
        return False
