"""Layers that only change shapes."""

from __future__ import annotations

import math
from typing import Any

from autodiff.core.spec import shape_of
from nn.module import Layer

__all__ = ["Flatten"]


class Flatten(Layer):
    """Make each example a vector: (N, ...) becomes (N, product of the rest).

    The order is that of the array: channel, row, column for ``layout="NCHW"``.

    Examples
    --------
    >>> import numpy as np
    >>> Flatten()(np.ones((4, 2, 3, 3))).shape
    (4, 18)
    """

    def __call__(self, x: Any) -> Any:
        """Return the input as a matrix."""
        shape = shape_of(x)
        if not shape:
            raise ValueError("Flatten: the input must have a batch axis, but it is a scalar.")
        return x.reshape(shape[0], math.prod(shape[1:]))
