"""The geometry of windows that slide over images: stride, padding, dilation, layout and the sizes that follow.

Convolution and pooling share these functions: they bring what a user may write (a number, a pair, "same") into one
form, and name the operation, the argument and the fix where something does not fit. They know sizes alone, no arrays,
and take one spatial axis or two.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

__all__ = [
    "LAYOUTS",
    "Geometry",
    "channel_axis",
    "check_filters",
    "check_rank",
    "convolution_geometry",
    "image_shape",
    "image_size",
    "normal_padding",
    "number",
    "sizes",
    "transposed_geometry",
    "window_geometry",
]

Sizes = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]

LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC")}
AXES = {1: ("width",), 2: ("height", "width")}
FILTERS = {1: "(out, in / groups, width)", 2: "(out, in / groups, height, width)"}


class Geometry(NamedTuple):
    """A window on an image in normal form: one entry for each spatial axis.

    Attributes
    ----------
    size, window, out : tuple of int
        Sizes of the image without padding, of the window and of the result.
    stride, dilation : tuple of int
        Steps of the window, and steps between the pixels under it.
    padding : tuple of (int, int)
        Pixels added (before, after).
    """

    size: Sizes
    window: Sizes
    stride: Sizes
    padding: Padding
    dilation: Sizes
    out: Sizes


def window_geometry(
    name: str, size: Sizes, window: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Geometry:
    """Return the normal form of a window's arguments and the size of what it gives.

    Parameters
    ----------
    name : str
        The operation, for the messages.
    size : tuple of int
        The image's size along its spatial axes.
    window : int or sequence of int
        The size of the window (of a convolution: the kernel).
    stride, dilation : int or sequence of int
        Positive; one for all axes or one for each.
    padding : int, sequence or str
        See `normal_padding`.

    Returns
    -------
    Geometry
        Along each axis, ``out = (size + before + after - dilation * (window - 1) - 1) // stride + 1``.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is out of range, an argument has the wrong length, or the window does not fit into the padded image.

    Examples
    --------
    >>> window_geometry("conv2d", (28, 28), 5, padding="same").padding
    ((2, 2), (2, 2))
    >>> window_geometry("max_pool2d", (7, 6), (3, 2), stride=2).out
    (3, 3)
    """
    size, (window, stride, dilation) = tuple(size), _steps(name, len(size), window, stride, dilation)
    padding = normal_padding(name, padding, size, window, stride, dilation)
    out = []
    for i, (before, after) in enumerate(padding):
        span, padded = dilation[i] * (window[i] - 1) + 1, size[i] + before + after
        if span > padded:
            raise ValueError(
                f"{name}: the window spans {span} pixels of the {AXES[len(size)][i]} (size {window[i]}, dilation "
                f"{dilation[i]}) but the padded image has {padded} ({size[i]}, padded with {before} and {after}). "
                "Use a smaller window or more padding."
            )
        out.append((padded - span) // stride[i] + 1)
    return Geometry(size, window, stride, padding, dilation, tuple(out))


def transposed_geometry(
    name: str,
    size: Sizes,
    window: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
) -> Geometry:
    """Return the geometry of the convolution whose transpose is asked for.

    That convolution leads from the result of the transposed one back to its argument: `size` of what is returned is
    the result's size, and `out` the argument's.

    Parameters
    ----------
    name, window, stride, dilation
        As in `window_geometry`.
    size : tuple of int
        The size of the argument of the transposed convolution along its spatial axes.
    padding : int, sequence or str
        Pixels cut from the result, see `normal_padding`; ``"same"`` makes its size ``size * stride``.
    output_padding : int or sequence of int
        Pixels added to the result at its end, since several sizes lead to the same `size` where the stride is above 1.

    Returns
    -------
    Geometry
        Along each axis, the result's size is
        ``(size - 1) * stride - before - after + dilation * (window - 1) + 1 + output_padding``. Where
        `output_padding` reaches the stride, `out` is larger than the given `size`: the argument needs zeros at its end.

    Raises
    ------
    TypeError, ValueError
        As in `window_geometry`; also where `output_padding` reaches both the stride and the dilation.

    Examples
    --------
    >>> transposed_geometry("conv_transpose2d", (14, 14), 4, stride=2, padding=1).size
    (28, 28)
    >>> transposed_geometry("conv_transpose2d", (14, 14), 3, stride=2, padding=1, output_padding=1).size
    (28, 28)
    """
    size, (window, stride, dilation) = tuple(size), _steps(name, len(size), window, stride, dilation)
    extra = sizes(name, "output_padding", output_padding, len(size), least=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(
            f"{name}: output_padding must be smaller than the stride or the dilation, got output_padding {extra} with "
            f"stride {stride} and dilation {dilation}."
        )
    if 0 in size:
        raise ValueError(f"{name}: the image has no pixels, its size is {size}.")
    if padding == "same":
        if any(extra):
            raise ValueError(f'{name}: padding="same" gives size * stride; leave output_padding at 0.')
        full = tuple(n * s for n, s in zip(size, stride, strict=True))
        return window_geometry(name, full, window, stride=stride, padding=padding, dilation=dilation)
    padding = normal_padding(name, padding, size, window, stride, dilation)
    full = tuple(
        (n - 1) * s - sum(p) + d * (k - 1) + 1 + e
        for n, s, p, d, k, e in zip(size, stride, padding, dilation, window, extra, strict=True)
    )
    if min(full) < 1:
        raise ValueError(f"{name}: padding {padding} leaves nothing of the result, its size would be {full}.")
    return window_geometry(name, full, window, stride=stride, padding=padding, dilation=dilation)


def convolution_geometry(
    name: str,
    x: Sizes,
    w: Sizes,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
    layout: str = "NCHW",
    n: int = 2,
) -> Geometry:
    """Check the shapes of images and filters of a convolution and return its geometry.

    Parameters
    ----------
    name, stride, padding, dilation
        As in `window_geometry`.
    x, w : tuple of int
        The shapes of images, in the layout, and of filters (out, in / groups, height, width).
    groups : int
        Positive; divides the channels of both.
    layout : str
        Of the images.
    n : int
        The number of spatial axes.

    Raises
    ------
    TypeError, ValueError
        As in `window_geometry`; also for ranks, channels and groups that do not fit.

    Examples
    --------
    >>> convolution_geometry("conv2d", (8, 3, 32, 32), (16, 3, 5, 5), stride=2).out
    (14, 14)
    """
    axis = channel_axis(name, layout, n)
    check_rank(name, "x", x, layout, n)
    groups = number(name, "groups", groups)
    check_filters(name, w, groups, n)
    channels = x[axis]
    if channels != w[1] * groups:
        found = f"x of shape {x} ({layout}) has {channels} channels"
        if channels % groups:
            raise ValueError(f"{name}: groups must divide the channels: {found}, which {groups} does not divide.")
        takes = f"{w[1]}" if groups == 1 else f"{w[1]} channels in each of {groups} groups: {w[1] * groups}"
        other = next(a for a in (1, n + 1) if a != axis)
        hint = f' Is the layout "{LAYOUTS[n][other > 1]}"?' if x[other] == w[1] * groups else ""
        raise ValueError(f"{name}: {found}, but w of shape {w} takes {takes}.{hint}")
    return window_geometry(name, image_size(x, axis), w[2:], stride=stride, padding=padding, dilation=dilation)


def check_filters(name: str, w: Sizes, groups: int, n: int = 2) -> None:
    """Raise unless `w` is a shape of filters whose number `groups` divides."""
    if len(w) != n + 2:
        raise ValueError(f"{name}: w must have {n + 2} axes {FILTERS[n]}, got shape {w}.")
    if w[0] % groups:
        raise ValueError(f"{name}: groups must divide the filters: w of shape {w} has {w[0]}, groups is {groups}.")


def check_rank(name: str, argument: str, shape: Sizes, layout: str, n: int = 2) -> None:
    """Raise unless `shape` is one of images."""
    if len(shape) != n + 2:
        hint = f" For one image: {argument}[None]." if len(shape) == n + 1 else ""
        raise ValueError(f"{name}: {argument} must have {n + 2} axes ({layout}), got shape {shape}.{hint}")


def normal_padding(name: str, padding: Any, size: Sizes, window: Sizes, stride: Sizes, dilation: Sizes) -> Padding:
    """Return a padding as one pair (before, after) for each axis.

    Parameters
    ----------
    name : str
        The operation, for the messages.
    padding : int, sequence or str
        A number for all sides, one number for each axis, or a pair (before, after) for each axis; ``"valid"``: none;
        ``"same"``: as much as makes the result's size ``ceil(size / stride)``, an odd pixel at the end. With one
        axis, two numbers are (before, after).
    size, window, stride, dilation : tuple of int
        In normal form; read by ``"same"``.

    Examples
    --------
    >>> normal_padding("conv2d", "same", (28, 28), (4, 5), (1, 1), (1, 1))
    ((1, 2), (2, 2))
    >>> normal_padding("conv2d", (1, 2), (28, 28), (4, 5), (1, 1), (1, 1))
    ((1, 1), (2, 2))
    """
    n = len(size)
    if isinstance(padding, str):
        if padding not in {"same", "valid"}:
            raise ValueError(f'{name}: unknown padding {padding!r}; use "same", "valid", or numbers of pixels.')
        totals = [
            max((-(-extent // s) - 1) * s + d * (k - 1) + 1 - extent, 0) if padding == "same" else 0
            for extent, k, s, d in zip(size, window, stride, dilation, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)
    argument = "padding"
    if _is_sequence(padding) and (any(map(_is_sequence, padding)) or (n == 1 and len(padding) == 2)):
        pairs = padding if any(map(_is_sequence, padding)) else [padding]
        if len(pairs) != n or not all(_is_sequence(p) and len(p) == 2 for p in pairs):
            raise ValueError(
                f"{name}: padding must be a number, one for each of {n} axes, or a pair (before, after) for each, "
                f"got {padding!r}."
            )
        flat = [sizes(name, argument, p, 2, least=0) for p in pairs]
        return tuple((before, after) for before, after in flat)
    return tuple((p, p) for p in sizes(name, argument, padding, n, least=0))


def sizes(name: str, argument: str, value: Any, n: int = 2, *, least: int = 1) -> Sizes:
    """Return a number, or a sequence of `n` numbers, as a tuple of `n` integers that are at least `least`.

    Raises
    ------
    TypeError
        If `value` is neither an integer nor a sequence of integers.
    ValueError
        If there are not `n`, or one is too small.

    Examples
    --------
    >>> sizes("conv2d", "stride", 2)
    (2, 2)
    """
    kind = "an integer" if n == 1 else f"an integer or {n} integers"
    try:
        found = tuple([operator.index(v) for v in value]) if _is_sequence(value) else (operator.index(value),) * n
    except TypeError:
        raise TypeError(f"{name}: {argument} must be {kind}, got {value!r}.") from None
    if len(found) != n:
        raise ValueError(f"{name}: {argument} must be {kind}, got {value!r}.")
    if min(found) < least:
        bound = "positive" if least == 1 else f"at least {least}"
        raise ValueError(f"{name}: {argument} must be {bound}, got {value!r}.")
    return found


def number(name: str, argument: str, value: Any) -> int:
    """Return a positive integer; the errors of `sizes`.

    Examples
    --------
    >>> number("conv2d", "groups", 2)
    2
    """
    if _is_sequence(value):
        raise TypeError(f"{name}: {argument} must be an integer, got {value!r}.")
    return sizes(name, argument, value, 1)[0]


def channel_axis(name: str, layout: Any, n: int = 2) -> int:
    """Return the axis of the channels in images of a layout with `n` spatial axes: 1, or the last.

    Raises
    ------
    ValueError
        If there is no such layout.

    Examples
    --------
    >>> channel_axis("conv2d", "NHWC")
    3
    """
    first, last = LAYOUTS[n]
    if layout not in (first, last):
        raise ValueError(f'{name}: unknown layout {layout!r}; use "{first}" or "{last}".')
    return 1 if layout == first else n + 1


def image_size(shape: Sizes, axis: int) -> Sizes:
    """Return the spatial sizes in the shape of images whose channels are on `axis`.

    Examples
    --------
    >>> image_size((100, 3, 32, 30), 1)
    (32, 30)
    """
    return shape[2:] if axis == 1 else shape[1:-1]


def image_shape(count: int, channels: int, size: Sizes, axis: int) -> Sizes:
    """Return the shape of `count` images whose channels are on `axis`.

    Examples
    --------
    >>> image_shape(100, 3, (32, 30), 3)
    (100, 32, 30, 3)
    """
    return (count, channels, *size) if axis == 1 else (count, *size, channels)


def _steps(name: str, n: int, window: Any, stride: Any, dilation: Any) -> tuple[Sizes, Sizes, Sizes]:
    return sizes(name, "window", window, n), sizes(name, "stride", stride, n), sizes(name, "dilation", dilation, n)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (tuple, list)) or getattr(value, "ndim", 0) > 0
