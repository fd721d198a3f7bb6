"""Convolution in two steps: in space, then across channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import ops
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

__all__ = ["SeparableConv2d"]


class SeparableConv2d(Layer):
    """A filter for each channel, and a mixture of the channels at each pixel: the depthwise separable convolution.

    With k x k filters, N outputs and M inputs it has M k^2 + N M weights, where a convolution has N M k^2.

    Parameters
    ----------
    inputs, outputs : int
        Number of channels of an input and of an output.
    kernel_size : int or (int, int)
        Height and width of the filters.
    stride, padding, dilation
        As in `autodiff.ops.conv2d`, of the first step.
    layout : {"NCHW", "NHWC"}
        Order of the axes of images.
    bias : bool
        Whether there is a bias, added at the end.
    activation : str or callable, optional
        A name from `nn.activations`, or a function of one array; there is none between the steps.
    weight_init, bias_init : str or callable
        Names from `nn.initialisers`, or functions of generator, shape and dtype.
    dtype : dtype-like
        Of the parameters, and so of the images: float32 by default.
    rng : numpy.random.Generator or int
        Where initial values come from.

    Attributes
    ----------
    depthwise : array
        Shape (inputs, 1, height, width).
    pointwise : array
        Shape (outputs, inputs, 1, 1).
    bias : array or None
        Shape (outputs,).

    Notes
    -----
    Chollet, "Xception: deep learning with depthwise separable convolutions" (2017).

    Examples
    --------
    >>> layer = SeparableConv2d(3, 8, 3, padding="same", rng=0)
    >>> layer(np.ones((1, 3, 6, 6), np.float32)).shape, layer.depthwise.size + layer.pointwise.size
    ((1, 8, 6, 6), 51)
    """

    depthwise: Any = parameter()
    pointwise: Any = parameter()
    bias: Any = parameter(decay=False)
    stride: Any = static(default=1)
    padding: Any = static(default=0)
    dilation: Any = static(default=1)
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
        layout: str = "NCHW",
        bias: bool = True,
        activation: str | Callable[[Any], Any] | None = None,
        weight_init: Init = "glorot_uniform",
        bias_init: Init = "zeros",
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        name = "SeparableConv2d"
        inputs, outputs = count(name, "inputs", inputs), count(name, "outputs", outputs)
        height, width = kernel_pair(name, kernel_size)
        layout_axis(name, layout)
        resolve(name, activation)
        kind, rng = float_dtype(name, dtype), generator(name, rng)
        self.depthwise = initial(f"{name}: depthwise", weight_init, rng, (inputs, 1, height, width), kind)
        self.pointwise = initial(f"{name}: pointwise", weight_init, rng, (outputs, inputs, 1, 1), kind)
        self.bias = initial(f"{name}: bias", bias_init, rng, (outputs,), kind) if bias else None
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.layout, self.activation = layout, activation

    def __call__(self, x: Any) -> Any:
        """Convolve each channel, then mix them."""
        channels = self.depthwise.shape[0]
        check_features("SeparableConv2d", x, layout_axis("SeparableConv2d", self.layout), channels, "channels")
        check_dtype("SeparableConv2d", x, self.depthwise)
        places = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        each = ops.conv2d(x, self.depthwise, groups=channels, layout=self.layout, **places)
        mixed = ops.conv2d(each, self.pointwise, self.bias, layout=self.layout)
        return resolve("SeparableConv2d", self.activation)(mixed)
