"""Batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import ops
from autodiff.core.errors import describe
from autodiff.core.spec import shape_of
from nn.layers.checks import check_dtype, check_features, count, float_dtype, layout_axis
from nn.module import Layer, parameter, replace, state, static

__all__ = ["BatchNorm"]


class BatchNorm(Layer):
    """Give each feature, or each channel of images, mean 0 and variance 1; then scale and shift it.

    In training, mean and variance are those of the batch (over the pixels, too), and the layer's own are updated:
    ``mean = momentum * mean + (1 - momentum) * batch mean``. Afterwards the layer's own are used.

    Parameters
    ----------
    features : int
        Number of features or channels.
    momentum : float
        How much of the old mean and variance a step keeps, as in Keras; PyTorch's momentum is one minus this.
    eps : float
        Added to the variance.
    affine : bool
        Whether to scale and shift.
    layout : {"NCHW", "NHWC"}
        Where the channels of images are. Inputs of two axes are (N, features).
    dtype : dtype-like
        Of parameters and statistics, and so of the inputs: float32 by default.

    Attributes
    ----------
    gamma, beta : array or None
        Scale and shift, shape (features,).
    mean, var : array
        State. The batch's variance counts with n / (n - 1), as in the paper's inference; the normalisation in
        training divides by n.

    Notes
    -----
    Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift"
    (2015).

    Examples
    --------
    >>> from nn import apply
    >>> layer = BatchNorm(2)
    >>> x = np.array([[1, 10], [3, 30]], np.float32)
    >>> y, trained = apply(layer, x, train=True)
    >>> y.round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> trained.mean, trained.var
    (array([0.2, 2. ], dtype=float32), array([ 1.1, 20.9], dtype=float32))
    """

    gamma: Any = parameter(decay=False)
    beta: Any = parameter(decay=False)
    mean: Any = state()
    var: Any = state()
    momentum: float = static(default=0.9)
    eps: float = static(default=1e-5)
    layout: str = static(default="NCHW")

    def __init__(
        self,
        features: int,
        *,
        momentum: float = 0.9,
        eps: float = 1e-5,
        affine: bool = True,
        layout: str = "NCHW",
        dtype: Any = np.float32,
    ) -> None:
        features, kind = count("BatchNorm", "features", features), float_dtype("BatchNorm", dtype)
        if not 0 <= momentum <= 1:
            raise ValueError(f"BatchNorm: momentum must lie between 0 and 1, not {momentum!r}.")
        if not eps >= 0:
            raise ValueError(f"BatchNorm: eps must not be negative, but is {eps!r}.")
        layout_axis("BatchNorm", layout)
        self.gamma = np.ones(features, kind) if affine else None
        self.beta = np.zeros(features, kind) if affine else None
        self.mean, self.var = np.zeros(features, kind), np.ones(features, kind)
        self.momentum, self.eps, self.layout = float(momentum), float(eps), layout

    @property
    def label(self) -> str:
        """How messages call the layer."""
        return f"BatchNorm({self.mean.shape[0]})"

    def forward(self, x: Any, *, train: bool = False, rng: np.random.Generator | None = None) -> tuple[Any, BatchNorm]:
        """Normalise, in training by the batch."""
        del rng
        axis = self._channel_axis(x)
        if not train:
            y = ops.batch_norm(x, self.gamma, self.beta, mean=self.mean, variance=self.var, eps=self.eps, axis=axis)
            return y, self
        others = tuple(i for i in range(len(shape_of(x))) if i != axis)
        n = int(np.prod([shape_of(x)[i] for i in others]))
        if n < 2:
            raise ValueError(
                f"{self.label}: training needs two numbers or more for each feature, but got {describe(x)}."
            )
        y, mean, var = ops.batch_norm(x, self.gamma, self.beta, eps=self.eps, axis=axis, return_statistics=True)
        return y, self._updated(mean, var, n)

    def _channel_axis(self, x: Any) -> int:
        rank = len(shape_of(x))
        if rank not in (2, 4):
            raise ValueError(f"{self.label}: the input must have 2 or 4 ({self.layout}) axes, but it is {describe(x)}.")
        axis = 1 if rank == 2 or self.layout == "NCHW" else 3
        check_features(self.label, x, axis, self.mean.shape[0], "features" if rank == 2 else "channels")
        check_dtype(self.label, x, self.mean)
        return axis

    def _updated(self, mean: Any, var: Any, n: int) -> BatchNorm:
        keep, new = self.momentum, 1 - self.momentum
        return replace(self, mean=keep * self.mean + new * mean, var=keep * self.var + (new * n / (n - 1)) * var)
