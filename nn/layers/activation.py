"""An activation function as a layer."""

from __future__ import annotations

from typing import Any

from nn.activations import resolve
from nn.module import Layer, static

__all__ = ["Activation"]


class Activation(Layer):
    """Apply a function to the input.

    Parameters
    ----------
    function : str or callable
        A name from `nn.activations`, or any function of one array. Models with named functions (of a module, not
        lambdas) can be pickled.

    Examples
    --------
    >>> import numpy as np
    >>> Activation("relu")(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    function: Any = static()

    def __init__(self, function: Any) -> None:
        resolve("Activation", function)
        self.function = function

    def __call__(self, x: Any) -> Any:
        """Return ``function(x)``."""
        return resolve("Activation", self.function)(x)
