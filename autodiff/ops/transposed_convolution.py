"""Transposed convolution: no operation of its own, but the gradient of a convolution by its images."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.ops.convolution import _check_bias, _floats, _input_gradient, _over_channels, _params
from kernels.geometry import (
    channel_axis,
    check_filters,
    check_rank,
    image_shape,
    image_size,
    number,
    transposed_geometry,
)

__all__ = ["conv_transpose2d"]


def conv_transpose2d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
) -> Any:
    """Spread images with filters: the transpose of the `conv2d` that has the same filters and arguments.

    Each pixel of `x` adds its multiple of ``w`` to the result; places are `stride` apart. The arguments mean what they
    mean to that `conv2d`, which leads from the result's shape back to the shape of `x`, as in PyTorch.

    Parameters
    ----------
    x : array
        Images (N, C, H, W), or (N, H, W, C) in the layout ``"NHWC"``.
    w : array
        Filters (C, O / groups, KH, KW), in either layout: the channels of `x` come first.
    bias : array, optional
        One number for each channel of the result, (O,), added to it.
    stride, dilation, groups, layout
        As in `conv2d`.
    padding : int, pair, pair of pairs, or str
        Pixels cut from the sides of the result: numbers as in `conv2d`, ``"valid"`` (none), or ``"same"``: as many as
        make its size ``size * stride``.
    output_padding : int or (int, int)
        Rows and columns added to the result, below and on the right, since a stride above 1 leads several sizes to
        one. Smaller than the stride or the dilation.

    Returns
    -------
    array
        (N, O, OH, OW) or (N, OH, OW, O), of the promoted dtype, with
        ``OH = (H - 1) * stride - above - below + dilation * (KH - 1) + 1 + output_padding``.

    Raises
    ------
    TypeError, ValueError
        As in `conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import ops
    >>> ops.conv_transpose2d(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 3)), stride=(1, 2))
    array([[[[1., 1., 3., 2., 2.]]]])
    """
    name = "conv_transpose2d"
    x, w, bias = _floats(name, x, w, bias)
    axis = channel_axis(name, layout)
    check_rank(name, "x", x.shape, layout)
    groups = number(name, "groups", groups)
    check_filters(name, w.shape, groups)
    channels = w.shape[1] * groups
    if x.shape[axis] != w.shape[0]:
        raise ValueError(
            f"{name}: x of shape {x.shape} ({layout}) has {x.shape[axis]} channels, but w of shape {w.shape} takes "
            f"{w.shape[0]}: its axes are (channels of x, channels of the result / groups, height, width)."
        )
    _check_bias(name, bias, channels)
    size = image_size(x.shape, axis)
    geometry = transposed_geometry(
        name, size, w.shape[2:], stride=stride, padding=padding, output_padding=output_padding, dilation=dilation
    )
    if geometry.out != size:  # rows that only output_padding asks for: no pixel of x reaches them
        missing = [(0, more - n) for n, more in zip(size, geometry.out, strict=True)]
        x = np.pad(x, image_shape((0, 0), (0, 0), missing, axis))  # type: ignore[arg-type]
    shape = image_shape(x.shape[0], channels, geometry.size, axis)
    y = _input_gradient(x, w, input_shape=shape, **_params(geometry, groups, layout))
    return y if bias is None else y + _over_channels(bias, layout)
