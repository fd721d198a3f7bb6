"""Local response normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core.errors import describe
from autodiff.core.spec import shape_of
from nn.layers.checks import check_float, count, layout_axis
from nn.module import Layer, static

__all__ = ["LocalResponseNorm"]


class LocalResponseNorm(Layer):
    """Divide by the activity of neighbouring channels: ``x / (k + alpha * sum of squares of n channels) ** beta``.

    The n channels are the one itself and those on both sides of it, as far as there are any.

    Parameters
    ----------
    size : int
        n: how many channels count, an odd number.
    alpha, beta, k : float
        The constants; by default those of the paper. Libraries that divide the sum by n need n times the alpha.
    layout : {"NCHW", "NHWC"}
        Where the channels are.

    Notes
    -----
    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks" (2012).

    Examples
    --------
    >>> x = np.ones((1, 3, 1, 1))
    >>> LocalResponseNorm(3, alpha=1.0, beta=1.0, k=1.0)(x).ravel().round(4)
    array([0.3333, 0.25  , 0.3333])
    """

    size: int = static(default=5)
    alpha: float = static(default=1e-4)
    beta: float = static(default=0.75)
    k: float = static(default=2.0)
    layout: str = static(default="NCHW")

    def __init__(
        self, size: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0, layout: str = "NCHW"
    ) -> None:
        if count("LocalResponseNorm", "size", size) % 2 == 0:
            raise ValueError(f"LocalResponseNorm: size must be odd, so many channels on both sides, not {size}.")
        if not (alpha >= 0 and k > 0):
            raise ValueError(f"LocalResponseNorm: alpha must not be negative and k must be positive: {alpha=}, {k=}.")
        layout_axis("LocalResponseNorm", layout)
        self.size, self.alpha, self.beta, self.k, self.layout = size, float(alpha), float(beta), float(k), layout

    def __call__(self, x: Any) -> Any:
        """Return the normalised images."""
        check_float("LocalResponseNorm", x)
        if len(shape_of(x)) != 4:
            raise ValueError(f"LocalResponseNorm: the input must have 4 ({self.layout}) axes, but it is {describe(x)}.")
        axis = 1 if self.layout == "NCHW" else 3
        channels, reach = shape_of(x)[axis], self.size // 2
        around = [(reach, reach) if i == axis else (0, 0) for i in range(4)]
        squares = np.pad(x * x, around)
        near: Any = 0.0
        for start in range(self.size):
            index = tuple(slice(start, start + channels) if i == axis else slice(None) for i in range(4))
            near = near + squares[index]
        return x / (self.k + self.alpha * near) ** self.beta
