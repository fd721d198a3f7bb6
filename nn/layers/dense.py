"""The fully connected layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import ops
from nn.activations import resolve
from nn.layers.checks import check_dtype, check_features, count, float_dtype, generator, initial
from nn.module import Layer, parameter, static

if TYPE_CHECKING:
    from collections.abc import Callable

    from nn.layers.checks import Init

__all__ = ["Dense"]


class Dense(Layer):
    """Multiply by a matrix and add a vector: ``activation(x @ weight + bias)``.

    Parameters
    ----------
    inputs, outputs : int
        Number of features of an input and of an output.
    bias : bool
        Whether there is a bias.
    activation : str or callable, optional
        A name from `nn.activations`, or a function of one array.
    weight_init, bias_init : str or callable
        Names from `nn.initialisers`, or functions of generator, shape and dtype.
    dtype : dtype-like
        Of the parameters, and so of the inputs: float32 by default.
    rng : numpy.random.Generator or int
        Where initial values come from.

    Attributes
    ----------
    weight : array
        Shape (inputs, outputs), as in Keras; the transpose of PyTorch's.
    bias : array or None
        Shape (outputs,).

    Examples
    --------
    >>> layer = Dense(3, 2, activation="tanh", rng=np.random.default_rng(0))
    >>> layer
    Dense(weight=float32[3,2], bias=float32[2], activation='tanh')  # 8 parameters
    >>> layer(np.ones((5, 3), np.float32)).shape
    (5, 2)
    """

    weight: Any = parameter()
    bias: Any = parameter(decay=False)
    activation: Any = static(default=None)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        activation: str | Callable[[Any], Any] | None = None,
        weight_init: Init = "glorot_uniform",
        bias_init: Init = "zeros",
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        shape = count("Dense", "inputs", inputs), count("Dense", "outputs", outputs)
        kind = float_dtype("Dense", dtype)
        resolve("Dense", activation)
        rng = generator("Dense", rng)
        self.weight = initial("Dense: weight", weight_init, rng, shape, kind)
        self.bias = initial("Dense: bias", bias_init, rng, shape[1:], kind) if bias else None
        self.activation = activation

    @property
    def label(self) -> str:
        """How messages call the layer."""
        return "Dense({} -> {})".format(*self.weight.shape)

    def __call__(self, x: Any) -> Any:
        """Return the outputs, shape (..., outputs), for inputs of shape (..., inputs)."""
        check_features(self.label, x, -1, self.weight.shape[0])
        check_dtype(self.label, x, self.weight)
        return resolve("Dense", self.activation)(ops.dense(x, self.weight, self.bias))
