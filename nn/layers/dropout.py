"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core.backend import made, on_host
from autodiff.core.batching import mapped
from autodiff.core.errors import BatchingError
from autodiff.core.spec import dtype_of, shape_of
from nn.layers.checks import check_float
from nn.module import Layer, static

__all__ = ["Dropout"]


class Dropout(Layer):
    """Drop each activation with probability `rate` in training, and scale the others by ``1 / (1 - rate)``.

    Parameters
    ----------
    rate : float
        The probability, at least 0 and less than 1.

    Notes
    -----
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent neural networks
    from overfitting" (2014), in the inverted form: scaled in training, so that nothing is left to do afterwards. The
    mask is drawn from float32 numbers in every dtype, so the probability is exact to 2**-24.

    Examples
    --------
    >>> from nn import apply
    >>> layer = Dropout(0.5)
    >>> layer(np.ones(4))
    array([1., 1., 1., 1.])
    >>> y, _ = apply(layer, np.ones(4), train=True, rng=np.random.default_rng(0))
    >>> y
    array([2., 2., 2., 0.])
    """

    rate: float = static()

    def __init__(self, rate: float) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: rate is the probability to drop, at least 0 and less than 1, not {rate!r}.")
        self.rate = float(rate)

    def forward(self, x: Any, *, train: bool = False, rng: np.random.Generator | None = None) -> tuple[Any, Dropout]:
        """Drop in training."""
        if not train or self.rate == 0:
            return x, self
        if rng is None:
            raise TypeError(
                f"Dropout({self.rate}): training needs a random generator; pass it along: "
                "nn.apply(model, x, train=True, rng=np.random.default_rng(0))."
            )
        check_float(f"Dropout({self.rate})", x)
        if mapped(x):
            raise BatchingError(
                f"Dropout({self.rate}): under vmap the draws of rng would be the same for all examples. Call the model "
                "on the whole batch, without vmap, or without train=True."
            )
        kept = rng.random(shape_of(x), dtype=np.float32) >= np.float32(self.rate)
        factors = np.multiply(kept, 1 / (1 - self.rate), dtype=dtype_of(x))
        return x * (factors if on_host(x) else made(np.asarray, x, factors)), self
