"""Maxout: an activation that is learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import ops
from autodiff.core.spec import shape_of
from nn.layers.checks import check_dtype, check_features, count, float_dtype, generator, initial
from nn.module import Layer, parameter, static

if TYPE_CHECKING:
    from nn.layers.checks import Init

__all__ = ["Maxout"]


class Maxout(Layer):
    """Take for each unit the largest of several weighted sums: ``max_j (x @ weight[j] + bias[j])``.

    Parameters
    ----------
    inputs, outputs : int
        Number of features of an input and of an output.
    pieces : int
        How many sums a unit has: its activation is a convex function of so many linear pieces.
    weight_init, bias_init : str or callable
        Names from `nn.initialisers`, or functions of generator, shape and dtype.
    dtype : dtype-like
        Of the parameters, and so of the inputs: float32 by default.
    rng : numpy.random.Generator or int
        Where initial values come from.

    Attributes
    ----------
    weight : array
        Shape (inputs, outputs * pieces): the pieces of a unit stand side by side.
    bias : array
        Shape (outputs * pieces,).

    Notes
    -----
    Goodfellow, Warde-Farley, Mirza, Courville and Bengio, "Maxout networks" (2013). Between equal sums the derivative
    is split evenly, as in np.max.

    Examples
    --------
    >>> slopes = lambda rng, shape, dtype: np.array([[-1.0, 1.0]], dtype)
    >>> layer = Maxout(1, 1, pieces=2, weight_init=slopes, dtype=np.float64, rng=0)
    >>> layer(np.array([[-3.0], [2.0]])).ravel()
    array([3., 2.])
    """

    weight: Any = parameter()
    bias: Any = parameter(decay=False)
    pieces: int = static(default=2)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        pieces: int = 2,
        weight_init: Init = "glorot_uniform",
        bias_init: Init = "zeros",
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        inputs, outputs = count("Maxout", "inputs", inputs), count("Maxout", "outputs", outputs)
        self.pieces = count("Maxout", "pieces", pieces)
        kind, rng = float_dtype("Maxout", dtype), generator("Maxout", rng)
        self.weight = initial("Maxout: weight", weight_init, rng, (inputs, outputs * pieces), kind)
        self.bias = initial("Maxout: bias", bias_init, rng, (outputs * pieces,), kind)

    def __call__(self, x: Any) -> Any:
        """Return the largest sum of each unit."""
        check_features("Maxout", x, -1, self.weight.shape[0])
        check_dtype("Maxout", x, self.weight)
        sums = ops.dense(x, self.weight, self.bias)
        outputs = self.weight.shape[1] // self.pieces
        return np.max(np.reshape(sums, (*shape_of(sums)[:-1], outputs, self.pieces)), axis=-1)
