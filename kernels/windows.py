"""Windows over images, checked: what pooling on every device asks of shapes before it computes."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Padding", "Pair", "check_index", "check_planes", "check_windows", "image_sizes", "window_counts"]

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def image_sizes(name: str, shape: tuple[int, ...], layout: str) -> tuple[int, int, int, int]:
    """Check the shape of images and return their number, channels, height and width."""
    if layout not in {"NCHW", "NHWC"}:
        raise ValueError(f'{name}: layout must be "NCHW" or "NHWC", got {layout!r}')
    if len(shape) != 4:
        raise ValueError(f"{name}: images must have 4 dimensions ({layout}), got shape {shape}")
    n, c, height, width = shape if layout == "NCHW" else (shape[0], shape[3], *shape[1:3])
    return n, c, height, width


def check_planes(name: str, images: tuple[int, ...], result: tuple[int, ...], layout: str) -> None:
    """Raise unless both shapes have the same number of images and channels, and pixels to choose from."""
    found, wanted = image_sizes(name, result, layout), image_sizes(name, images, layout)
    if found[:2] != wanted[:2] or (0 in wanted and 0 not in found):
        raise ValueError(f"{name}: images of shape {images} and pooled ones of {result} do not fit ({layout})")


def window_counts(name: str, shape: tuple[int, ...], window: Pair, stride: Pair, padding: Padding, layout: str) -> Pair:
    """Check the arguments and return the height and width of the result."""
    size = image_sizes(name, shape, layout)[2:]
    if min(*window, *stride) < 1:
        raise ValueError(f"{name}: window {window} and stride {stride} must be positive")
    out = []
    for i in range(2):
        if size[i] == 0:
            raise ValueError(f"{name}: images of shape {shape} ({layout}) have no pixels")
        if min(padding[i]) < 0 or max(padding[i]) >= window[i]:
            raise ValueError(f"{name}: padding {padding} must be at least 0 and smaller than the window {window}")
        padded = size[i] + sum(padding[i])
        if window[i] > padded:
            raise ValueError(f"{name}: the window {window} is larger than the padded images, {padded} in axis {i}")
        out.append((padded - window[i]) // stride[i] + 1)
    return out[0], out[1]


def check_windows(name: str, shape: tuple[int, ...], out: Pair, layout: str) -> None:
    """Raise unless an adjoint has a pixel for each window."""
    if image_sizes(name, shape, layout)[2:] != out:
        raise ValueError(f"{name}: expected g of height and width {out}, got shape {shape}")


def check_index(name: str, index: Any, values: Any = None) -> None:
    """Raise unless positions of maxima are int32, and as many as the values that belong to them."""
    if index.dtype != np.int32 or (values is not None and values.shape != index.shape):
        shape = "" if values is None else f" and shape {values.shape}"
        raise ValueError(f"{name}: index must have dtype int32{shape}, got {index.dtype} and {index.shape}")
