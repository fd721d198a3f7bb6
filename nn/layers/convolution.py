"""Convolutional layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import ops
from autodiff.core.errors import describe
from autodiff.core.spec import shape_of
from nn.activations import resolve
from nn.layers.checks import (
    check_dtype,
    check_features,
    count,
    float_dtype,
    generator,
    initial,
    kernel_pair,
    layout_axis,
)
from nn.module import Layer, parameter, static

if TYPE_CHECKING:
    from collections.abc import Callable

    from nn.layers.checks import Init

__all__ = ["Conv2d"]


class Conv2d(Layer):
    """Slide filters over images: ``activation(conv2d(x, weight) + bias)``.

    Parameters
    ----------
    inputs, outputs : int
        Number of channels of an input and of an output.
    kernel_size : int or (int, int)
        Height and width of the filters.
    stride, padding, dilation, groups
        As in `autodiff.ops.conv2d`: padding is a number, a pair, ((top, bottom), (left, right)), ``"same"`` or
        ``"valid"``.
    layout : {"NCHW", "NHWC"}
        Order of the axes of images. The filters are the same in both.
    bias : bool
        Whether there is a bias.
    activation : str or callable, optional
        A name from `nn.activations`, or a function of one array.
    weight_init, bias_init : str or callable
        Names from `nn.initialisers`, or functions of generator, shape and dtype.
    dtype : dtype-like
        Of the parameters, and so of the images: float32 by default.
    rng : numpy.random.Generator or int
        Where initial values come from.

    Attributes
    ----------
    weight : array
        Shape (outputs, inputs / groups, height, width), as in PyTorch.
    bias : array or None
        Shape (outputs,).

    Examples
    --------
    >>> layer = Conv2d(1, 4, 3, padding="same", rng=np.random.default_rng(0))
    >>> layer
    Conv2d(weight=float32[4,1,3,3], bias=float32[4], padding='same')  # 40 parameters
    >>> layer(np.ones((2, 1, 5, 5), np.float32)).shape
    (2, 4, 5, 5)
    """

    weight: Any = parameter()
    bias: Any = parameter(decay=False)
    stride: Any = static(default=1)
    padding: Any = static(default=0)
    dilation: Any = static(default=1)
    groups: int = static(default=1)
    layout: str = static(default="NCHW")
    activation: Any = static(default=None)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: Any = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        layout: str = "NCHW",
        bias: bool = True,
        activation: str | Callable[[Any], Any] | None = None,
        weight_init: Init = "glorot_uniform",
        bias_init: Init = "zeros",
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        inputs, outputs = count("Conv2d", "inputs", inputs), count("Conv2d", "outputs", outputs)
        self.groups = count("Conv2d", "groups", groups)
        if inputs % groups or outputs % groups:
            raise ValueError(f"Conv2d: inputs {inputs} and outputs {outputs} must be multiples of groups {groups}.")
        height, width = kernel_pair("Conv2d", kernel_size)
        layout_axis("Conv2d", layout)
        resolve("Conv2d", activation)
        kind, rng = float_dtype("Conv2d", dtype), generator("Conv2d", rng)
        shape = outputs, inputs // groups, height, width
        self.weight = initial("Conv2d: weight", weight_init, rng, shape, kind)
        self.bias = initial("Conv2d: bias", bias_init, rng, (outputs,), kind) if bias else None
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.layout, self.activation = layout, activation

    @property
    def label(self) -> str:
        """How messages call the layer."""
        outputs, inputs, height, width = self.weight.shape
        return f"Conv2d({inputs * self.groups} -> {outputs}, {height}x{width})"

    def __call__(self, x: Any) -> Any:
        """Return images with as many channels as there are filters."""
        if len(shape_of(x)) != 4:
            raise ValueError(f"{self.label}: the input must have four axes, {self.layout}, but it is {describe(x)}.")
        channels = self.weight.shape[1] * self.groups
        check_features(self.label, x, layout_axis("Conv2d", self.layout), channels, "channels")
        check_dtype(self.label, x, self.weight)
        y = ops.conv2d(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            layout=self.layout,
        )
        return resolve("Conv2d", self.activation)(y)
