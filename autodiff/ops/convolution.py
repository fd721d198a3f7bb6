"""Convolution of images and sequences; its transpose is in `autodiff.ops.transposed_convolution`.

`conv2d`, its gradient by the images and its gradient by the filters are the three partial contractions of one
trilinear form of images, filters and adjoints: each is linear in both of its arguments, and its transposes are the
other two. So the three operations below are closed under differentiation, to any order and in both modes. As in every
library of the field, the kernel is not flipped: mathematically this is correlation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, multilinear
from autodiff.core.batching import folded, spread
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.compiled import on_gpu, package_for
from autodiff.ops.products import as_array
from kernels import reference
from kernels.geometry import channel_axis, convolution_geometry, image_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernels.geometry import Geometry

__all__ = ["conv1d", "conv2d"]

SMALL = 20_000
"""Multiply-adds below which a convolution is computed in NumPy, so that a small example needs no compiler."""


# -- values --------------------------------------------------------------------------------------------------


def _kernels(dtype: Any, work: int, x: Any = None) -> Any:
    """Return the module that computes: compiled kernels where there are any for the dtype and they are worth it.

    On a GPU they always are: in the functions of its library a convolution is a loop of many calls.
    """
    if dtype not in (np.float32, np.float64) or (work < SMALL and not on_gpu(x)):
        return reference
    return package_for(x) or reference


def _convolve(x: Any, w: Any, bias: Any = None, **params: Any) -> Any:
    arrays = [x, w] if bias is None else [x, w, bias]
    dtype = np.result_type(*[a.dtype for a in arrays])
    work = x.size * math.prod(w.shape[2:]) * w.shape[0] // math.prod(params["stride"]) // params["groups"]
    return _kernels(dtype, work, x).conv2d(*[a.astype(dtype, copy=False) for a in arrays], **params)


def _convolve_input_gradient(g: Any, w: Any, **params: Any) -> Any:
    dtype, work = np.result_type(g.dtype, w.dtype), g.size * math.prod(w.shape[1:])
    g, w = g.astype(dtype, copy=False), w.astype(dtype, copy=False)
    return _kernels(dtype, work, g).conv2d_input_gradient(g, w, **params)


def _convolve_weight_gradient(x: Any, g: Any, **params: Any) -> Any:
    dtype, work = np.result_type(x.dtype, g.dtype), g.size * math.prod(params["kernel_shape"][1:])
    x, g = x.astype(dtype, copy=False), g.astype(dtype, copy=False)
    return _kernels(dtype, work, x).conv2d_weight_gradient(x, g, **params)


# -- shapes --------------------------------------------------------------------------------------------------


def _shape(x: Any, w: Any, *bias: Any, groups: int, layout: str, **places: Any) -> Spec:
    xs, ws = shape_of(x), shape_of(w)
    out = convolution_geometry("conv2d", xs, ws, groups=groups, layout=layout, **places).out
    dtype = np.result_type(*[dtype_of(a) for a in (x, w, *bias)])
    return Spec(image_shape(xs[0], ws[0], out, channel_axis("conv2d", layout)), dtype)


def _input_gradient_shape(g: Any, w: Any, *, input_shape: tuple[int, ...], **_: Any) -> Spec:
    return Spec(input_shape, np.result_type(dtype_of(g), dtype_of(w)))


def _weight_gradient_shape(x: Any, g: Any, *, kernel_shape: tuple[int, ...], **_: Any) -> Spec:
    return Spec(kernel_shape, np.result_type(dtype_of(x), dtype_of(g)))


# -- samples -------------------------------------------------------------------------------------------------

_PLAIN = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1, "layout": "NCHW"}
_CASES: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 2, 3, 4), (3, 2, 2, 3), {}),
    ((1, 4, 5, 4), (2, 2, 3, 2), {"stride": (2, 1), "padding": ((1, 0), (0, 2)), "groups": 2}),
    ((2, 5, 3, 2), (4, 1, 2, 2), {"dilation": (2, 1), "padding": ((1, 1), (0, 1)), "groups": 2, "layout": "NHWC"}),
    ((2, 3, 4, 1), (2, 1, 1, 1), {"stride": (3, 2), "layout": "NHWC"}),
    ((0, 2, 3, 3), (2, 2, 2, 2), {}),
]


def _samples(choose: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]) -> Callable[[Any], list[Sample]]:
    """Return samples; `choose` picks the arguments and the parameter from images, filters, bias and adjoint."""

    def samples(rng: np.random.Generator) -> list[Sample]:
        found = []
        for x, w, changed in _CASES:
            params: dict[str, Any] = _PLAIN | changed
            shapes = (x, w, w[:1], _shape(Spec(x), Spec(w), **params).shape)
            args, own = choose(*[rng.normal(size=s) for s in shapes])
            found.append(Sample(args, {**own, **params}))
        return found

    return samples


# -- the operations ------------------------------------------------------------------------------------------


def _by_images(ct: Any, _y: Any, _x: Any, w: Any, _bias: Any = None, **params: Any) -> Any:
    return _input_gradient(ct, w, input_shape=shape_of(_x), **params)


def _by_filters(ct: Any, _y: Any, x: Any, _w: Any, _bias: Any = None, **params: Any) -> Any:
    return _weight_gradient(x, ct, kernel_shape=shape_of(_w), **params)


def _by_bias(ct: Any, _y: Any, _x: Any, _w: Any, _bias: Any, *, layout: str, **_: Any) -> Any:
    """Sum over the pixels (einsum takes half the time of sum), then over the images, which rounds less than at once."""
    return np.sum(np.einsum("nchw->nc" if layout == "NCHW" else "nhwc->nc", ct), axis=0)


def _spread_bias(t: Any, _y: Any, _x: Any, _w: Any, _bias: Any, *, layout: str, **_: Any) -> Any:
    return np.broadcast_to(_over_channels(t, layout), shape_of(_y))


def _over_channels(bias: Any, layout: str) -> Any:
    """One number for each channel, in a shape that broadcasts to images."""
    return np.reshape(bias, (*shape_of(bias), 1, 1)) if layout == "NCHW" else bias


# -- many examples -------------------------------------------------------------------------------------------
# Images of all examples are images of one; filters of all examples are filters of one, if the images are shared; and
# if each example has its own images and filters, each has a group of channels to itself.


def _group_images(x: Any, layout: str) -> Any:
    """(B, N, C, H, W) as N images whose channels are those of all examples, one after another."""
    if layout == "NHWC":
        x = np.moveaxis(x, 0, 3)
        return np.reshape(x, (*shape_of(x)[:3], shape_of(x)[3] * shape_of(x)[4]))
    x = np.moveaxis(x, 0, 1)
    return np.reshape(x, (shape_of(x)[0], shape_of(x)[1] * shape_of(x)[2], *shape_of(x)[3:]))


def _ungroup_images(y: Any, n: int, layout: str) -> Any:
    shape = shape_of(y)
    if layout == "NHWC":
        return np.moveaxis(np.reshape(y, (*shape[:3], n, shape[3] // n)), 3, 0)
    return np.moveaxis(np.reshape(y, (shape[0], n, shape[1] // n, *shape[2:])), 1, 0)


def _batch_convolve(call: Any, batched: Any, x: Any, w: Any, *, groups: int, layout: str, **at: Any) -> Any:
    if not batched[1]:
        return folded(1, 0)(call, batched, x, w, groups=groups, layout=layout, **at)
    n, filters = shape_of(w)[:2]
    if not n:
        return _none(x, w, batched, groups=groups, layout=layout, **at)
    if not batched[0] and groups == 1:
        rows = np.reshape(w, (n * filters, *shape_of(w)[2:]))
        return _ungroup_images(call(x, rows, groups=1, layout=layout, **at), n, layout)
    x = _group_images(spread(x, n, batched[0]), layout)
    rows = np.reshape(w, (n * filters, *shape_of(w)[2:]))
    return _ungroup_images(call(x, rows, groups=n * groups, layout=layout, **at), n, layout)


def _none(x: Any, w: Any, batched: Any, **params: Any) -> Any:
    """The results of no example."""
    one = _shape(Spec(shape_of(x)[batched[0] :], dtype_of(x)), Spec(shape_of(w)[1:], dtype_of(w)), **params)
    return np.zeros((0, *one.shape), one.dtype)


def _batch_convolve_bias(call: Any, batched: Any, x: Any, w: Any, bias: Any, **params: Any) -> Any:
    if not (batched[1] or batched[2]):
        return folded(1, 0, 0)(call, batched, x, w, bias, **params)
    y = _batch_convolve(_conv2d, batched[:2], x, w, **params) if any(batched[:2]) else _conv2d(x, w, **params)
    added = _over_channels(bias, params["layout"])
    axes = 1 if params["layout"] == "NCHW" else 3
    if batched[2]:
        added = np.reshape(added, (shape_of(bias)[0], *(1,) * axes, *shape_of(added)[1:]))
    return y + added


def _batch_input_gradient(
    call: Any, batched: Any, g: Any, w: Any, *, input_shape: tuple[int, ...], groups: int, layout: str, **at: Any
) -> Any:
    n = shape_of(g if batched[0] else w)[0]
    if not n:
        return np.zeros((0, *input_shape), np.result_type(dtype_of(g), dtype_of(w)))
    if not batched[1]:
        shape = (n * input_shape[0], *input_shape[1:])
        return folded(1, 0)(call, batched, g, w, input_shape=shape, groups=groups, layout=layout, **at)
    g = _group_images(spread(g, n, batched[0]), layout)
    rows = np.reshape(w, (n * shape_of(w)[1], *shape_of(w)[2:]))
    y = call(g, rows, input_shape=_wider(input_shape, n, layout), groups=n * groups, layout=layout, **at)
    return _ungroup_images(y, n, layout)


def _wider(shape: tuple[int, ...], n: int, layout: str) -> tuple[int, ...]:
    """Shape of images with the channels of `n` examples."""
    axis = channel_axis("conv2d", layout)
    return (*shape[:axis], n * shape[axis], *shape[axis + 1 :])


def _batch_weight_gradient(
    call: Any, batched: Any, x: Any, g: Any, *, kernel_shape: tuple[int, ...], groups: int, layout: str, **at: Any
) -> Any:
    n = shape_of(x if batched[0] else g)[0]
    filters, channels, *size = kernel_shape
    if not n:
        return np.zeros((0, *kernel_shape), np.result_type(dtype_of(x), dtype_of(g)))
    if groups == 1 and not batched[1]:  # the channels of all examples under the same adjoint
        shape = (filters, n * channels, *size)
        y = call(_group_images(x, layout), g, kernel_shape=shape, groups=1, layout=layout, **at)
        return np.moveaxis(np.reshape(y, (filters, n, channels, *size)), 1, 0)
    g = _group_images(spread(g, n, batched[1]), layout)
    parts = 1 if groups == 1 and not batched[0] else n * groups
    x = x if parts == 1 and not batched[0] else _group_images(spread(x, n, batched[0]), layout)
    y = call(x, g, kernel_shape=(n * filters, channels, *size), groups=parts, layout=layout, **at)
    return np.reshape(y, (n, *kernel_shape))


_conv2d: Operation = multilinear(
    _convolve,
    _by_images,
    _by_filters,
    name="conv2d",
    samples=_samples(lambda x, w, _bias, _g: ((x, w), {})),
    shape=_shape,
    batch=_batch_convolve,
)
_conv2d_bias: Operation = Operation(
    "conv2d_bias",
    _convolve,
    jvps=(
        lambda t, _y, _x, w, _bias, **params: _conv2d(t, w, **params),
        lambda t, _y, x, _w, _bias, **params: _conv2d(x, t, **params),
        _spread_bias,
    ),
    vjps=(_by_images, _by_filters, _by_bias),
    samples=_samples(lambda x, w, bias, _g: ((x, w, bias), {})),
    shape=_shape,
    batch=_batch_convolve_bias,
)
_input_gradient: Operation = multilinear(
    _convolve_input_gradient,
    lambda ct, _y, _g, w, input_shape, **params: _conv2d(ct, w, **params),
    lambda ct, _y, g, _w, input_shape, **params: _weight_gradient(ct, g, kernel_shape=shape_of(_w), **params),
    name="conv2d_input_gradient",
    samples=_samples(lambda x, w, _bias, g: ((g, w), {"input_shape": x.shape})),
    shape=_input_gradient_shape,
    batch=_batch_input_gradient,
)
_weight_gradient: Operation = multilinear(
    _convolve_weight_gradient,
    lambda ct, _y, _x, g, kernel_shape, **params: _input_gradient(g, ct, input_shape=shape_of(_x), **params),
    lambda ct, _y, x, _g, kernel_shape, **params: _conv2d(x, ct, **params),
    name="conv2d_weight_gradient",
    samples=_samples(lambda x, w, _bias, g: ((x, g), {"kernel_shape": w.shape})),
    shape=_weight_gradient_shape,
    batch=_batch_weight_gradient,
)


# -- public --------------------------------------------------------------------------------------------------


def conv2d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
) -> Any:
    """Slide filters over images: ``y[n, o, i, j]`` is the sum of ``w[o]`` times the pixels under it at (i, j).

    Parameters
    ----------
    x : array
        Images (N, C, H, W), or (N, H, W, C) in the layout ``"NHWC"``.
    w : array
        Filters (O, C / groups, KH, KW), in either layout.
    bias : array, optional
        One number for each filter, (O,), added to the result.
    stride : int or (int, int)
        Rows and columns from one place of the filter to the next.
    padding : int, pair, pair of pairs, or str
        Zeros around the images: a number for all sides, (rows, columns), ((above, below), (left, right)),
        ``"valid"`` (none), or ``"same"``: as many as make the result's size ``ceil(size / stride)``, an odd one below
        or on the right.
    dilation : int or (int, int)
        Distance of the pixels under neighbouring entries of the filter.
    groups : int
        The channels are cut into so many parts, each with its own filters; ``groups=C`` is the depthwise convolution.
    layout : {"NCHW", "NHWC"}
        Order of the axes of `x` and of the result.

    Returns
    -------
    array
        (N, O, OH, OW) or (N, OH, OW, O), with ``OH = (H + above + below - dilation * (KH - 1) - 1) // stride + 1``,
        of the promoted dtype.

    Raises
    ------
    TypeError
        If an array is not of a floating-point dtype, or a number of pixels is not an integer.
    ValueError
        If shapes, channels and groups do not fit, the filter is larger than the padded image, or a text is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import grad, ops
    >>> image = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> edges = np.array([[[[-1.0, 0.0, 1.0]]]])
    >>> ops.conv2d(image, edges)[0, 0]
    array([[2., 2.],
           [2., 2.],
           [2., 2.],
           [2., 2.]])
    >>> grad(lambda w: np.sum(ops.conv2d(image, w, padding="same")))(edges)
    array([[[[ 84., 120.,  96.]]]])
    """
    x, w, bias = _floats("conv2d", x, w, bias)
    geometry = convolution_geometry(
        "conv2d", x.shape, w.shape, stride=stride, padding=padding, dilation=dilation, groups=groups, layout=layout
    )
    _check_bias("conv2d", bias, w.shape[0])
    return _apply(x, w, bias, **_params(geometry, groups, layout))


def conv1d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: int = 1,
    padding: Any = 0,
    dilation: int = 1,
    groups: int = 1,
    layout: str = "NCW",
) -> Any:
    """Slide filters over sequences: `conv2d` with one spatial axis.

    Parameters
    ----------
    x : array
        Sequences (N, C, W), or (N, W, C) in the layout ``"NWC"``.
    w : array
        Filters (O, C / groups, KW), in either layout.
    bias : array, optional
        One number for each filter, (O,), added to the result.
    stride, dilation, groups : int
        As in `conv2d`.
    padding : int, (int, int) or str
        Zeros around the sequences: a number for both ends, (before, after), ``"valid"`` or ``"same"``.
    layout : {"NCW", "NWC"}
        Order of the axes of `x` and of the result.

    Returns
    -------
    array
        (N, O, OW) or (N, OW, O), of the promoted dtype.

    Raises
    ------
    TypeError, ValueError
        As in `conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import ops
    >>> ops.conv1d(np.array([[[1.0, 2.0, 4.0, 8.0]]]), np.array([[[-1.0, 1.0]]]), padding=(1, 0))
    array([[[1., 1., 2., 4.]]])
    """
    x, w, bias = _floats("conv1d", x, w, bias)
    geometry = convolution_geometry(
        "conv1d", x.shape, w.shape, stride=stride, padding=padding, dilation=dilation, groups=groups, layout=layout, n=1
    )
    _check_bias("conv1d", bias, w.shape[0])
    axis = channel_axis("conv1d", layout, 1)
    plane = geometry._replace(
        stride=(1, *geometry.stride), padding=((0, 0), *geometry.padding), dilation=(1, *geometry.dilation)
    )
    width = 2 if axis == 1 else 1
    rows = np.reshape(x, (*x.shape[:width], 1, *x.shape[width:]))
    filters = np.reshape(w, (*w.shape[:2], 1, w.shape[2]))
    y = _apply(rows, filters, bias, **_params(plane, groups, "NCHW" if axis == 1 else "NHWC"))
    return np.reshape(y, image_shape(x.shape[0], w.shape[0], geometry.out, axis))


def _apply(x: Any, w: Any, bias: Any, **params: Any) -> Any:
    return _conv2d(x, w, **params) if bias is None else _conv2d_bias(x, w, bias, **params)


def _params(geometry: Geometry, groups: int, layout: str) -> dict[str, Any]:
    """Return what the operations take, in normal form."""
    return {
        "stride": geometry.stride,
        "padding": geometry.padding,
        "dilation": geometry.dilation,
        "groups": int(groups),
        "layout": layout,
    }


def _floats(name: str, *arrays: Any) -> list[Any]:
    """Return images, filters and bias as arrays; refuse integers, whose products would overflow or be cut off."""
    found = [x if x is None else as_array(x) for x in arrays]
    for argument, x in zip(("x", "w", "bias"), found, strict=True):
        if x is None and argument != "bias":
            raise TypeError(f"{name}: {argument} must be an array, got None.")
        if x is not None and x.dtype.kind not in "fc":
            fitting = next((y.dtype for y in found if y is not None and y.dtype.kind in "fc"), np.dtype(np.float32))
            raise TypeError(
                f"{name}: {argument} must have a floating-point dtype, got {describe(x)}. Convert it: "
                f"{argument}.astype(np.{fitting})."
            )
    return found


def _check_bias(name: str, bias: Any, channels: int) -> None:
    if bias is not None and bias.shape != (channels,):
        raise ValueError(
            f"{name}: bias must have shape ({channels},), one number for each channel of the result, "
            f"got {describe(bias)}."
        )
