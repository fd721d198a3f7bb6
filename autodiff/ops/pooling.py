"""Pooling of images: the maximum or the average of windows.

A maximum is a gather at positions that do not move under small changes; an average is linear. Float32 and float64
images go to the compiled kernels, other dtypes to plain NumPy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from autodiff.core import Operation, Sample, Spec, constant, linear
from autodiff.core.backend import array_of, made, on_host
from autodiff.core.batching import folded, size_of
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.accumulate import add_at
from autodiff.ops.compiled import on_gpu, package_for
from kernels.geometry import channel_axis, check_rank, image_size, window_geometry

__all__ = ["avg_pool2d", "max_pool2d"]

Pair = tuple[int, int]


class _Windows(NamedTuple):
    """Where the windows lie, in normal form."""

    window: Pair
    stride: Pair
    padding: tuple[Pair, Pair]
    layout: str

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        axis = channel_axis("pooling", self.layout)
        size = image_size(shape, axis)
        out = tuple(
            (n + sum(p) - w) // s + 1 for n, p, w, s in zip(size, self.padding, self.window, self.stride, strict=True)
        )
        return (*shape[:2], *out) if axis == 1 else (shape[0], *out, shape[3])


class _Known:
    """The maxima of one array, which the search for their positions has found already: read once, then forgotten."""

    __slots__ = ("pair",)

    def __init__(self) -> None:
        self.pair: tuple[Any, Any] = (None, None)  # in one piece: several threads may run one recorded program

    def __repr__(self) -> str:
        return "·"

    def take(self, x: Any) -> Any:
        at, y = self.pair
        if at is not x:
            return None
        self.pair = None, None
        return y


def _compiled(x: Any) -> bool:
    return dtype_of(x).char in "fd" and dtype_of(x).isnative and (on_host(x) or on_gpu(x))


# -- maximum -------------------------------------------------------------------------------------------------


def _channels_first(x: Any, layout: str) -> Any:
    return x if layout == "NCHW" else np.moveaxis(x, 3, 1)


def _channels_back(x: Any, layout: str) -> Any:
    return x if layout == "NCHW" else made(np.ascontiguousarray, x, np.moveaxis(x, 1, 3))


def _padded_windows(x: Any, at: _Windows, fill: Any) -> Any:
    """Windows (N, C, OH, OW, window height, window width) of channels-first images."""
    padded = np.pad(x, ((0, 0), (0, 0), *at.padding), constant_values=fill)
    views = sliding_window_view(padded, at.window, axis=(2, 3))
    return views[:, :, :: at.stride[0], :: at.stride[1]]


def _find_maxima(x: Any, at: _Windows, known: _Known) -> Any:
    """Positions `h * W + w` of the first maxima."""
    if _compiled(x):
        y, index = package_for(x).max_pool2d(x, *at)
        known.pair = x, y
        return index
    images = _channels_first(x, at.layout)
    windows = _padded_windows(images, at, -np.inf)
    lines = (*windows.shape[:4], at.window[0] * at.window[1])
    flat = np.argmax(windows.reshape(lines), axis=-1)
    inside = _padded_windows(np.zeros_like(images, bool), at, True).reshape(lines)
    first = np.argmin(inside, axis=-1)  # all are -inf: the first pixel that is not padding
    flat = np.where(np.take_along_axis(inside, flat[..., None], -1)[..., 0], first, flat)
    rows = made(np.arange, x, flat.shape[2])[:, None] * at.stride[0] - at.padding[0][0] + flat // at.window[1]
    columns = made(np.arange, x, flat.shape[3]) * at.stride[1] - at.padding[1][0] + flat % at.window[1]
    return _channels_back((rows * images.shape[3] + columns).astype(np.int32), at.layout)


_maxima = constant(
    _find_maxima,
    name="max_pool2d_index",
    shape=lambda x, at, known: Spec(at.out_shape(shape_of(x)), np.int32),
    batch=folded(1),
)


def _batch_unpooled(call: Any, batched: Any, *args: Any, shape: tuple[int, ...], **params: Any) -> Any:
    """The images of all examples as images of one."""
    n = size_of(batched, args)
    return folded(*(1,) * len(args))(call, batched, *args, shape=(n * shape[0], *shape[1:]), **params)


def _planes(x: Any, layout: str) -> Any:
    """Images (N, C, H * W)."""
    x = _channels_first(x, layout)
    return np.reshape(x, (*x.shape[:2], x.shape[2] * x.shape[3]))


def _pick(x: Any, index: Any, at: _Windows, known: _Known) -> Any:
    y = known.take(x)
    if y is not None:
        return y
    if _compiled(x):
        return package_for(x).max_pool2d_gather(x, index, at.layout)
    y = np.take_along_axis(_planes(x, at.layout), _planes(index, at.layout), axis=2)
    return _channels_back(y.reshape(_channels_first(index, at.layout).shape), at.layout)


def _put(g: Any, index: Any, at: _Windows, shape: tuple[int, ...]) -> Any:
    if _compiled(g):
        return package_for(g).max_pool2d_gradient(g, index, shape, at.layout, windows=at[:3])
    first = shape if at.layout == "NCHW" else (shape[0], shape[3], shape[1], shape[2])
    out = made(np.zeros, g, (*first[:2], first[2] * first[3]), dtype_of(g))
    n, c = (made(np.arange, g, k) for k in first[:2])
    add_at(out, (n[:, None, None], c[:, None], _planes(index, at.layout)), _planes(g, at.layout))
    return _channels_back(out.reshape(first), at.layout)


def _samples(rng: np.random.Generator) -> list[Sample]:
    out = []
    for layout, shape in (("NCHW", (2, 2, 5, 4)), ("NHWC", (2, 5, 4, 2))):
        for window, stride, padding in (
            ((2, 2), (2, 2), ((0, 0), (0, 0))), ((3, 2), (1, 2), ((1, 1), (0, 1))), ((1, 2), (2, 3), ((0, 0), (1, 0))),
        ):  # fmt: skip
            at = _Windows(window, stride, padding, layout)
            x = rng.permutation(np.arange(80.0)).reshape(shape) / 20
            out.append((x, at))
    return [Sample((x, _find_maxima(x, at, _Known())), {"at": at, "known": _Known()}) for x, at in out]


_pooled: Operation = linear(
    _pick,
    lambda ct, _y, _x, index, at, known: _unpooled(ct, index, at=at, shape=shape_of(_x)),
    name="max_pool2d",
    nargs=2,
    structural=True,
    samples=_samples,
    shape=lambda x, index, at, known: Spec(shape_of(index), dtype_of(x)),
    batch=folded(1, 1),
)
_unpooled: Operation = linear(
    _put,
    lambda ct, _y, _g, index, at, shape: _pooled(ct, index, at=at, known=_Known()),
    name="max_unpool2d",
    nargs=2,
    structural=True,
    samples=lambda rng: [
        Sample((rng.normal(size=s.args[1].shape), s.args[1]), {"at": s.params["at"], "shape": s.args[0].shape})
        for s in _samples(rng)
    ],
    shape=lambda g, index, at, shape: Spec(shape, dtype_of(g)),
    batch=_batch_unpooled,
)


def max_pool2d(x: Any, window: Any, *, stride: Any = None, padding: Any = 0, layout: str = "NCHW") -> Any:
    """Return the maximum of each window of images.

    Parameters
    ----------
    x
        Images (N, C, H, W), or (N, H, W, C) in layout NHWC, of a real floating dtype.
    window
        An integer or a pair, height and width.
    stride
        The same; None: the window, so that windows do not overlap.
    padding
        An integer, a pair (height, width), pairs ((above, below), (left, right)), `"same"` or `"valid"`. What is
        padded never wins; padding must be smaller than the window.
    layout
        `"NCHW"` or `"NHWC"`.

    Returns
    -------
    array
        (N, C, OH, OW) or (N, OH, OW, C), with OH = (H + above + below - window) // stride + 1.

    Raises
    ------
    TypeError
        If `x` holds integers or complex numbers.
    ValueError
        If ranks or sizes do not fit.

    Notes
    -----
    The derivative goes to the maximum, to the first (in row order) of several equal ones.

    Examples
    --------
    >>> from autodiff import grad
    >>> x = np.array([[[[1.0, 5.0, 2.0, 2.0], [3.0, 4.0, 0.0, 2.0]]]])
    >>> max_pool2d(x, 2)
    array([[[[5., 2.]]]])
    >>> grad(lambda x: np.sum(max_pool2d(x, 2)))(x)
    array([[[[0., 1., 1., 0.],
             [0., 0., 0., 0.]]]])
    """
    x, at = _prepared("max_pool2d", x, window, stride, padding, layout)
    if dtype_of(x).kind == "c":
        raise TypeError(f"max_pool2d: complex numbers have no order, got {describe(x)}.")
    known = _Known()
    return _pooled(x, _maxima(x, at=at, known=known), at=at, known=known)


def _prepared(name: str, x: Any, window: Any, stride: Any, padding: Any, layout: str) -> tuple[Any, _Windows]:
    """Check the arguments that both kinds of pooling share."""
    axis = channel_axis(name, layout)
    x = array_of(x)
    shape = shape_of(x)
    check_rank(name, "x", shape, layout)
    if dtype_of(x).kind not in "fc":
        raise TypeError(f"{name}: x must be floating, got {describe(x)}; convert with x.astype(np.float32).")
    if 0 in image_size(shape, axis):
        raise ValueError(f"{name}: images of shape {shape} ({layout}) have no pixels.")
    found = window_geometry(
        name, image_size(shape, axis), window, stride=window if stride is None else stride, padding=padding
    )
    for (before, after), size in zip(found.padding, found.window, strict=True):
        if max(before, after) >= size:
            raise ValueError(
                f"{name}: padding must be smaller than the window, got padding {found.padding} and window "
                f"{found.window}."
            )
    return x, _Windows(found.window, found.stride, found.padding, layout)  # type: ignore[arg-type]


# -- average -------------------------------------------------------------------------------------------------


def _counts(at: _Windows, size: Pair, like: Any, *, count_include_pad: bool) -> Any:
    """Number of items that each average counts, (OH, OW)."""
    counts = []
    for n, window, stride, (before, after) in zip(size, at.window, at.stride, at.padding, strict=True):
        starts = made(np.arange, like, (n + before + after - window) // stride + 1) * stride - before
        if count_include_pad:
            counts.append(np.minimum(starts + window, n + after) - starts)
        else:
            counts.append(np.minimum(starts + window, n) - np.maximum(starts, 0))
    return counts[0][:, None] * counts[1]


def _average(x: Any, at: _Windows, count_include_pad: bool) -> Any:
    if _compiled(x):
        return package_for(x).avg_pool2d(x, *at, count_include_pad=count_include_pad)
    images = _channels_first(x, at.layout)
    counts = _counts(at, images.shape[2:], x, count_include_pad=count_include_pad)
    wide = np.float32 if dtype_of(x) == np.float16 else None  # in which the sum may be more than its average
    return _channels_back((_padded_windows(images, at, 0).sum((4, 5), wide) / counts).astype(dtype_of(x)), at.layout)


def _spread(g: Any, at: _Windows, count_include_pad: bool, shape: tuple[int, ...]) -> Any:
    if _compiled(g):
        return package_for(g).avg_pool2d_gradient(g, shape, *at, count_include_pad=count_include_pad)
    first = shape if at.layout == "NCHW" else (shape[0], shape[3], shape[1], shape[2])
    images = _channels_first(g, at.layout)
    shares = images / _counts(at, first[2:], g, count_include_pad=count_include_pad)  # type: ignore[arg-type]
    (above, below), (left, right) = at.padding
    dtype = np.float32 if dtype_of(g) == np.float16 else dtype_of(g)
    out = made(np.zeros, g, (*first[:2], first[2] + above + below, first[3] + left + right), dtype)
    rows, columns = images.shape[2:]
    for h in range(at.window[0]):
        for w in range(at.window[1]):
            out[
                :, :, h : h + rows * at.stride[0] : at.stride[0], w : w + columns * at.stride[1] : at.stride[1]
            ][:, :, :rows, :columns] += shares  # fmt: skip
    return _channels_back(out[:, :, above : above + first[2], left : left + first[3]].astype(dtype_of(g)), at.layout)


_averaged: Operation = linear(
    _average,
    lambda ct, _y, _x, at, count_include_pad: _spread_average(
        ct, at=at, count_include_pad=count_include_pad, shape=shape_of(_x)
    ),
    name="avg_pool2d",
    samples=lambda rng: [
        Sample((rng.normal(size=s.args[0].shape),), {"at": s.params["at"], "count_include_pad": include})
        for s in _samples(rng)
        for include in (False, True)
    ],
    structural=True,
    shape=lambda x, at, count_include_pad: Spec(at.out_shape(shape_of(x)), dtype_of(x)),
    batch=folded(1),
)
_spread_average: Operation = linear(
    _spread,
    lambda ct, _y, _g, at, count_include_pad, shape: _averaged(ct, at=at, count_include_pad=count_include_pad),
    name="avg_unpool2d",
    samples=lambda rng: [
        Sample(
            (rng.normal(size=s.args[1].shape),),
            {"at": s.params["at"], "count_include_pad": include, "shape": s.args[0].shape},
        )
        for s in _samples(rng)
        for include in (False, True)
    ],
    structural=True,
    shape=lambda g, at, count_include_pad, shape: Spec(shape, dtype_of(g)),
    batch=_batch_unpooled,
)


def avg_pool2d(
    x: Any,
    window: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    layout: str = "NCHW",
    count_include_pad: bool = False,
) -> Any:
    """Return the average of each window of images.

    Parameters
    ----------
    x, window, stride, padding, layout
        As in `max_pool2d`; complex images are fine.
    count_include_pad
        Divide by the number of items of the padded image under the window, instead of those of the image.

    Returns
    -------
    array
        (N, C, OH, OW) or (N, OH, OW, C).

    Raises
    ------
    TypeError
        If `x` holds integers.
    ValueError
        If ranks or sizes do not fit.

    Examples
    --------
    >>> from autodiff import grad
    >>> x = np.arange(8.0).reshape(1, 1, 2, 4)
    >>> avg_pool2d(x, 2)
    array([[[[2.5, 4.5]]]])
    >>> grad(lambda x: np.sum(avg_pool2d(x, 2, padding=1)))(x)[0, 0]
    array([[1. , 0.5, 0.5, 1. ],
           [1. , 0.5, 0.5, 1. ]])
    """
    x, at = _prepared("avg_pool2d", x, window, stride, padding, layout)
    return _averaged(x, at=at, count_include_pad=bool(count_include_pad))
