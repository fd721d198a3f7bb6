"""Pooling layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import ops
from autodiff.core.errors import describe
from autodiff.core.spec import shape_of
from nn.layers.checks import check_float, layout_axis
from nn.module import Layer, static

__all__ = ["AvgPool2d", "GlobalAvgPool2d", "MaxPool2d"]


class _Pool(Layer):
    """What the pooling layers share."""

    window: Any = static()
    stride: Any = static(default=None)
    padding: Any = static(default=0)
    layout: str = static(default="NCHW")

    def __init__(self, window: Any, *, stride: Any = None, padding: Any = 0, layout: str = "NCHW") -> None:
        layout_axis(type(self).__name__, layout)
        self.window, self.stride, self.padding, self.layout = window, stride, padding, layout


class MaxPool2d(_Pool):
    """Keep the largest number under a window that slides over images; of equal ones the first.

    Parameters
    ----------
    window : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        By default the window: windows side by side.
    padding
        As in `autodiff.ops.max_pool2d`; what is padded never wins.
    layout : {"NCHW", "NHWC"}
        Order of the axes of images.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    def __call__(self, x: Any) -> Any:
        """Return smaller images."""
        check_float("MaxPool2d", x)
        return ops.max_pool2d(x, self.window, stride=self.stride, padding=self.padding, layout=self.layout)


class AvgPool2d(_Pool):
    """Take the mean of the numbers under a window that slides over images.

    Parameters
    ----------
    window : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        By default the window: windows side by side.
    padding
        As in `autodiff.ops.avg_pool2d`.
    count_include_pad : bool
        Whether padded zeros count in the mean.
    layout : {"NCHW", "NHWC"}
        Order of the axes of images.

    Examples
    --------
    >>> import numpy as np
    >>> AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """

    count_include_pad: bool = static(default=False)

    def __init__(
        self,
        window: Any,
        *,
        stride: Any = None,
        padding: Any = 0,
        count_include_pad: bool = False,
        layout: str = "NCHW",
    ) -> None:
        super().__init__(window, stride=stride, padding=padding, layout=layout)
        self.count_include_pad = count_include_pad

    def __call__(self, x: Any) -> Any:
        """Return smaller images."""
        check_float("AvgPool2d", x)
        return ops.avg_pool2d(
            x,
            self.window,
            stride=self.stride,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
            layout=self.layout,
        )


class GlobalAvgPool2d(Layer):
    """Take the mean of each channel over all pixels: (N, C, H, W) becomes (N, C).

    Parameters
    ----------
    layout : {"NCHW", "NHWC"}
        Order of the axes of images.

    Notes
    -----
    Lin, Chen and Yan, "Network in network" (2014).

    Examples
    --------
    >>> GlobalAvgPool2d()(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[1.5, 5.5]])
    """

    layout: str = static(default="NCHW")

    def __init__(self, *, layout: str = "NCHW") -> None:
        layout_axis("GlobalAvgPool2d", layout)
        self.layout = layout

    def __call__(self, x: Any) -> Any:
        """Return one number for each channel."""
        check_float("GlobalAvgPool2d", x)
        if len(shape_of(x)) != 4:
            raise ValueError(f"GlobalAvgPool2d: the input must have 4 ({self.layout}) axes, but it is {describe(x)}.")
        return np.mean(x, axis=(2, 3) if self.layout == "NCHW" else (1, 2))
