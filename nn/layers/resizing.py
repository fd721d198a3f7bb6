"""Layers that make images larger: transposed convolution, interpolation, and the inverse of max pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import ops, vjp
from autodiff.core.backend import made
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from nn.activations import resolve
from nn.layers.checks import (
    check_dtype,
    check_features,
    check_float,
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

__all__ = ["ConvTranspose2d", "Upsample2d", "max_unpool2d"]


class ConvTranspose2d(Layer):
    """Spread each pixel with a filter: the transposed convolution, or deconvolution.

    Parameters
    ----------
    inputs, outputs : int
        Number of channels of an input and of an output.
    kernel_size : int or (int, int)
        Height and width of the filters.
    stride, padding, output_padding
        As in `autodiff.ops.conv_transpose2d`; with ``padding="same"`` the images become `stride` times as large.
    layout : {"NCHW", "NHWC"}
        Order of the axes of images.
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
        Shape (inputs, outputs, height, width), as in PyTorch.
    bias : array or None
        Shape (outputs,).

    Examples
    --------
    >>> layer = ConvTranspose2d(4, 2, 4, stride=2, padding="same", rng=0)
    >>> layer(np.ones((1, 4, 5, 5), np.float32)).shape
    (1, 2, 10, 10)
    """

    weight: Any = parameter()
    bias: Any = parameter(decay=False)
    stride: Any = static(default=1)
    padding: Any = static(default=0)
    output_padding: Any = static(default=0)
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
        output_padding: int | tuple[int, int] = 0,
        layout: str = "NCHW",
        bias: bool = True,
        activation: str | Callable[[Any], Any] | None = None,
        weight_init: Init = "glorot_uniform",
        bias_init: Init = "zeros",
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        name = "ConvTranspose2d"
        inputs, outputs = count(name, "inputs", inputs), count(name, "outputs", outputs)
        height, width = kernel_pair(name, kernel_size)
        layout_axis(name, layout)
        resolve(name, activation)
        kind, rng = float_dtype(name, dtype), generator(name, rng)
        self.weight = initial(f"{name}: weight", weight_init, rng, (inputs, outputs, height, width), kind)
        self.bias = initial(f"{name}: bias", bias_init, rng, (outputs,), kind) if bias else None
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.layout, self.activation = layout, activation

    def __call__(self, x: Any) -> Any:
        """Return larger images."""
        name = "ConvTranspose2d"
        check_features(name, x, layout_axis(name, self.layout), self.weight.shape[0], "channels")
        check_dtype(name, x, self.weight)
        y = ops.conv_transpose2d(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            layout=self.layout,
        )
        return resolve(name, self.activation)(y)


class Upsample2d(Layer):
    """Make images larger by a whole factor: repeat the nearest pixel, or interpolate between four.

    Parameters
    ----------
    scale : int
        How many times as high and as wide.
    method : {"nearest", "bilinear"}
        Bilinear interpolation takes pixels as squares, whose values hold at their centres; outside of the outermost
        centres the image goes on as at its edge.
    layout : {"NCHW", "NHWC"}
        Order of the axes of images.

    Examples
    --------
    >>> x = np.array([[[[0.0, 4.0]]]])
    >>> Upsample2d(2)(x)[0, 0]
    array([[0., 0., 4., 4.],
           [0., 0., 4., 4.]])
    >>> Upsample2d(2, method="bilinear")(x)[0, 0]
    array([[0., 1., 3., 4.],
           [0., 1., 3., 4.]])
    """

    scale: int = static()
    method: str = static(default="nearest")
    layout: str = static(default="NCHW")

    def __init__(self, scale: int, *, method: str = "nearest", layout: str = "NCHW") -> None:
        if method not in ("nearest", "bilinear"):
            raise ValueError(f"Upsample2d: method must be 'nearest' or 'bilinear', not {method!r}.")
        layout_axis("Upsample2d", layout)
        self.scale, self.method, self.layout = count("Upsample2d", "scale", scale), method, layout

    def __call__(self, x: Any) -> Any:
        """Return larger images."""
        check_float("Upsample2d", x)
        if len(shape_of(x)) != 4:
            raise ValueError(f"Upsample2d: the input must have 4 ({self.layout}) axes, but it is {describe(x)}.")
        rows = 2 if self.layout == "NCHW" else 1
        for axis in (rows, rows + 1):
            if self.method == "nearest":
                x = np.repeat(x, self.scale, axis=axis)
            else:
                weights = made(np.asarray, x, _interpolation(shape_of(x)[axis], self.scale).astype(dtype_of(x)))
                x = np.moveaxis(np.matmul(np.moveaxis(x, axis, -1), weights.T), -1, axis)
        return x


def _interpolation(size: int, scale: int) -> Any:
    """Return the matrix (scale * size, size) whose rows hold the weights of the two nearest pixels."""
    at = np.clip((np.arange(scale * size) + 0.5) / scale - 0.5, 0, size - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(size)))


def max_unpool2d(
    y: Any, pooled: Any, window: Any, *, stride: Any = None, padding: Any = 0, layout: str = "NCHW"
) -> Any:
    """Put values back to where maxima were: the transpose of max pooling.

    Parameters
    ----------
    y : array
        One number for each window.
    pooled : array
        The images whose maxima were taken. No derivative comes through them: they only say where.
    window, stride, padding, layout
        As in `autodiff.ops.max_pool2d`, which took the maxima.

    Returns
    -------
    array
        Of the shape of `pooled`: `y` at the places of the maxima, of equal ones at the first, and zero elsewhere. Where
        windows overlap, numbers for one place are added.

    Raises
    ------
    ValueError
        If `y` has not one number for each window.

    Notes
    -----
    Zeiler, Taylor and Fergus, "Adaptive deconvolutional networks" (2011).

    Examples
    --------
    >>> x = np.array([[[[1.0, 2.0, 7.0, 6.0], [4.0, 3.0, 5.0, 0.0]]]])
    >>> max_unpool2d(np.array([[[[10.0, 20.0]]]]), x, 2)[0, 0]
    array([[ 0.,  0., 20.,  0.],
           [10.,  0.,  0.,  0.]])
    """
    top, pull = vjp(lambda x: ops.max_pool2d(x, window, stride=stride, padding=padding, layout=layout), pooled)
    if shape_of(y) != shape_of(top):
        raise ValueError(
            f"max_unpool2d: y must have one number for each window, {shape_of(top)}, but it is {describe(y)}."
        )
    return pull(y)[0]
