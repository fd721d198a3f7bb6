"""Plain NumPy versions of the kernels that only `kernels.cuda` has compiled, since NumPy is as fast on the CPU.

They are the contract: the device takes and refuses the same arguments and gives the same results, to rounding.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from kernels import reference
from kernels.geometry import Geometry, channel_axis, check_filters, check_rank, image_shape, image_size
from kernels.geometry import transposed_geometry as _transposed_geometry

__all__ = [
    "argmax",
    "argmin",
    "check_spreading",
    "check_table",
    "conv_transpose2d",
    "embedding_gather",
    "embedding_scatter_add",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "reduced_axes",
    "scattered_shape",
    "table_index",
    "transposed_problem",
]

Axis = int | tuple[int, ...] | None


# -- reductions ----------------------------------------------------------------------------------------------


def reduced_axes(
    name: str, shape: tuple[int, ...], axis: Axis, *, keepdims: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes that are reduced, not negative and in order, and the shape of the result.

    Examples
    --------
    >>> reduced_axes("reduce_sum", (2, 3, 4), (-1, 0))
    ((0, 2), (3,))
    >>> reduced_axes("reduce_sum", (2, 3, 4), None, keepdims=True)
    ((0, 1, 2), (1, 1, 1))
    """
    given = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    found = []
    for item in map(operator.index, given):
        if not -len(shape) <= item < len(shape):
            raise ValueError(f"{name}: x of shape {shape} has no axis {item}")
        found.append(item % len(shape))
    if len(set(found)) < len(found):
        raise ValueError(f"{name}: axis {axis} names an axis of {shape} twice")
    left = [n for k, n in enumerate(shape) if k not in found]
    kept = [1 if k in found else n for k, n in enumerate(shape)]
    return tuple(sorted(found)), tuple(kept if keepdims else left)


def _checked(name: str, x: Any, axis: Axis) -> tuple[int, ...]:
    if x.dtype.char not in "fd" or not x.dtype.isnative:
        raise TypeError(f"{name}: expected float32 or float64, got x: {x.dtype}; convert with .astype(...)")
    return reduced_axes(name, x.shape, axis)[0]


def _require_items(name: str, x: Any, axes: tuple[int, ...], size: int) -> None:
    if size and any(x.shape[k] == 0 for k in axes):
        raise ValueError(f"{name}: x of shape {x.shape} has no items along the axes {axes}")


def reduce_sum(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the sum over axes, of the dtype of `x`; that of nothing is 0.

    Parameters
    ----------
    x
        Array of any shape, float32 or float64.
    axis
        An axis, several, or None for all; negative ones count from the end.
    keepdims
        Keep the axes, with size 1.

    Raises
    ------
    TypeError
        If `x` is neither float32 nor float64.
    ValueError
        If an axis does not exist or is named twice.

    Examples
    --------
    >>> reduce_sum(np.ones((2, 3, 4)), (0, 2))
    array([8., 8., 8.])
    """
    return np.asarray(np.sum(x, axis=_checked("reduce_sum", x, axis), keepdims=keepdims))


def reduce_prod(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the product over axes; that of nothing is 1. Else as `reduce_sum`.

    Examples
    --------
    >>> reduce_prod(np.array([[2.0, 3.0], [4.0, 5.0]]), -1)
    array([ 6., 20.])
    """
    return np.asarray(np.prod(x, axis=_checked("reduce_prod", x, axis), keepdims=keepdims))


def reduce_mean(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the mean over axes; that of nothing is NaN, without a warning. Else as `reduce_sum`.

    Examples
    --------
    >>> reduce_mean(np.array([[2.0, 3.0], [4.0, 5.0]]), 0)
    array([3., 4.])
    """
    axes = _checked("reduce_mean", x, axis)
    total = np.asarray(np.sum(x, axis=axes, keepdims=keepdims))
    count = int(np.prod([x.shape[k] for k in axes], dtype=int))
    return np.asarray(total / count) if count else np.full_like(total, np.nan)


def reduce_max(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the maximum over axes; a NaN is larger than all. Else as `reduce_sum`; ValueError if there are no items.

    Examples
    --------
    >>> reduce_max(np.array([[2.0, np.nan], [4.0, 5.0]]), 0)
    array([ 4., nan])
    """
    return _extremum("reduce_max", np.max, x, axis, keepdims)


def reduce_min(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the minimum over axes; a NaN is smaller than all. Else as `reduce_max`.

    Examples
    --------
    >>> reduce_min(np.array([[2.0, np.nan], [4.0, 5.0]]), 1, keepdims=True)
    array([[nan],
           [ 4.]])
    """
    return _extremum("reduce_min", np.min, x, axis, keepdims)


def _extremum(name: str, function: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    axes, (_, shape) = _checked(name, x, axis), reduced_axes(name, x.shape, axis, keepdims=keepdims)
    _require_items(name, x, axes, int(np.prod(shape, dtype=int)))
    if 0 in shape:
        return np.empty(shape, x.dtype)
    return np.asarray(function(x, axis=axes, keepdims=keepdims))


def argmax(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Return the place of the first maximum along an axis, or in the flat array, as int64; a NaN is larger than all.

    Parameters
    ----------
    x
        Array of any shape, float32 or float64.
    axis
        An axis, or None for the place in C order.
    keepdims
        Keep the axis, with size 1 (all axes where `axis` is None).

    Raises
    ------
    TypeError
        If `x` is neither float32 nor float64, or `axis` is not an integer.
    ValueError
        If the axis does not exist, or there are no items along it.

    Examples
    --------
    >>> argmax(np.array([[2.0, 7.0], [7.0, 5.0]])), argmax(np.array([[2.0, 7.0], [7.0, 5.0]]), 0)
    (array(1), array([1, 0]))
    """
    return _argument("argmax", np.argmax, x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Return the place of the first minimum; a NaN is smaller than all. Else as `argmax`.

    Examples
    --------
    >>> argmin(np.array([2.0, np.nan, 1.0]))
    array(1)
    """
    return _argument("argmin", np.argmin, x, axis, keepdims)


def _argument(name: str, function: Any, x: Any, axis: int | None, keepdims: bool) -> Any:
    if axis is not None and not isinstance(axis, int | np.integer):
        raise TypeError(f"{name}: axis must be one integer or None, got {axis!r}")
    axes, (_, shape) = _checked(name, x, axis), reduced_axes(name, x.shape, axis, keepdims=keepdims)
    if 0 in shape:
        return np.empty(shape, np.int64)
    _require_items(name, x, axes, 1)
    return np.asarray(function(x, axis=axis, keepdims=keepdims), np.int64)


# -- embedding -----------------------------------------------------------------------------------------------


def table_index(name: str, index: Any) -> None:
    """Raise TypeError unless an index is of integers."""
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name}: index must be integers, got {index.dtype}")


def _in_range(name: str, index: Any, rows: int) -> Any:
    table_index(name, index)
    wrong = np.flatnonzero((index < -rows) | (index >= rows))
    if wrong.size:
        at = int(wrong[0])
        raise IndexError(f"{name}: index {index.reshape(-1)[at]} at position {at} is out of range for {rows} rows")
    return index


def embedding_gather(table: Any, index: Any) -> Any:
    """Return rows of a table: ``table[index]``.

    Parameters
    ----------
    table
        Array (V, ...), float32 or float64.
    index
        Integers of any shape, from -V to V - 1; negative ones count from the end.

    Returns
    -------
    ndarray
        (*index.shape, ...), of the dtype of `table`.

    Raises
    ------
    TypeError
        If the table is neither float32 nor float64, or the index not of integers.
    ValueError
        If the table is a scalar.
    IndexError
        If an index is out of range; the error names the first.

    Examples
    --------
    >>> embedding_gather(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 0, -1]))
    array([[3., 4.],
           [1., 2.],
           [3., 4.]])
    """
    name = "embedding_gather"
    check_table(name, "table", table)
    return table[_in_range(name, index, table.shape[0])]


def check_table(name: str, argument: str, table: Any) -> None:
    """Raise unless a table, or adjoints of its rows, are of float32 or float64."""
    if table.dtype.char not in "fd" or not table.dtype.isnative:
        raise TypeError(
            f"{name}: expected float32 or float64, got {argument}: {table.dtype}; convert with .astype(...)"
        )
    if argument == "table" and table.ndim < 1:
        raise ValueError(f"{name}: table must have at least one dimension, got a scalar")


def embedding_scatter_add(g: Any, index: Any, rows: int) -> Any:
    """Return a table of `rows` rows, to each of which its rows of `g` were added: the transpose of `embedding_gather`.

    Parameters
    ----------
    g
        Array (*index.shape, ...), float32 or float64.
    index
        As in `embedding_gather`.
    rows
        The number of rows, V.

    Returns
    -------
    ndarray
        (V, ...). The rows of `g` are added in their order.

    Raises
    ------
    TypeError, IndexError
        As `embedding_gather`.
    ValueError
        If the shape of `g` does not begin with that of the index, or `rows` is negative.

    Examples
    --------
    >>> embedding_scatter_add(np.array([[1.0], [2.0], [4.0]]), np.array([2, 0, 2]), 3)
    array([[2.],
           [0.],
           [5.]])
    """
    name = "embedding_scatter_add"
    check_table(name, "g", g)
    width = scattered_shape(name, g.shape, index.shape, rows)
    _in_range(name, index, rows)
    out = np.zeros((rows, *width), g.dtype)
    np.add.at(out, index, g)
    return out


def scattered_shape(name: str, g: tuple[int, ...], index: tuple[int, ...], rows: int) -> tuple[int, ...]:
    """Return the shape of a row; raise ValueError if adjoints, index and rows do not fit."""
    if rows < 0:
        raise ValueError(f"{name}: rows must not be negative, got {rows}")
    if g[: len(index)] != index:
        raise ValueError(f"{name}: the shape of g must begin with that of the index, {index}, got {g}")
    return g[len(index) :]


# -- transposed convolution ----------------------------------------------------------------------------------


def transposed_problem(
    name: str, x: tuple[int, ...], w: tuple[int, ...], groups: int, layout: str, **more: Any
) -> tuple[Geometry, int]:
    """Check shapes; return the geometry of the convolution that is transposed, and the axis of the channels."""
    axis = channel_axis(name, layout)
    check_rank(name, "x", x, layout)
    check_filters(name, w, groups)
    if x[axis] != w[0]:
        raise ValueError(
            f"{name}: x of shape {x} ({layout}) has {x[axis]} channels, but w of shape {w} takes {w[0]}: its axes are "
            "(channels of x, channels of the result / groups, height, width)."
        )
    return _transposed_geometry(name, image_size(x, axis), w[2:], **more), axis


def conv_transpose2d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    output_padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    layout: str = "NCHW",
    activation: str | None = None,
) -> Any:
    """Spread images with filters: the transpose of the `conv2d` that has the same filters and arguments.

    Parameters
    ----------
    x
        Images (N, C, H, W), or (N, H, W, C) in layout NHWC; float32 or float64.
    w
        Filters (C, O / groups, KH, KW) in either layout, of the same dtype: the channels of `x` come first.
    bias
        Array (O,) added to each channel of the result.
    stride, dilation
        Pairs of positive integers, for height and width.
    padding
        Pixels cut from the result, ((above, below), (left, right)).
    output_padding
        Rows and columns added to the result, below and on the right; smaller than the stride or the dilation.
    groups
        The number of independent parts of the channels; it divides C and O.
    layout
        `"NCHW"` or `"NHWC"`, of images and result.
    activation
        None or `"relu"`.

    Returns
    -------
    ndarray
        (N, O, OH, OW) or (N, OH, OW, O), with
        OH = (H - 1) * stride - above - below + dilation * (KH - 1) + 1 + output_padding.

    Raises
    ------
    TypeError
        If dtypes differ or are neither float32 nor float64.
    ValueError
        If ranks, channels, groups or sizes do not fit.

    Examples
    --------
    >>> conv_transpose2d(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 3)), stride=(1, 2))
    array([[[[1., 1., 3., 2., 2.]]]])
    """
    name = "conv_transpose2d"
    geometry, axis = transposed_problem(
        name, x.shape, w.shape, groups, layout,
        stride=stride, padding=padding, output_padding=output_padding, dilation=dilation,
    )  # fmt: skip
    check_spreading(name, x, w, bias, groups, activation)
    missing = [(0, more - n) for n, more in zip(image_size(x.shape, axis), geometry.out, strict=True)]
    x = np.pad(x, image_shape((0, 0), (0, 0), missing, axis))  # type: ignore[arg-type]
    shape = image_shape(x.shape[0], w.shape[1] * groups, geometry.size, axis)
    where: dict[str, Any] = {"stride": geometry.stride, "padding": geometry.padding, "dilation": geometry.dilation}
    y = reference.conv2d_input_gradient(x, w, shape, groups=groups, layout=layout, **where)
    if bias is not None:
        y += bias if layout == "NHWC" else bias[:, None, None]
    return y if activation is None else np.where(y <= 0, y.dtype.type(0), y)


def check_spreading(name: str, x: Any, w: Any, bias: Any, groups: int, activation: str | None) -> None:
    """Raise if dtypes, bias or activation of a transposed convolution do not fit."""
    dtypes = {key: a.dtype for key, a in {"x": x, "w": w, "bias": bias}.items() if a is not None}
    if len(set(dtypes.values())) > 1 or x.dtype.char not in "fd" or not x.dtype.isnative:
        listed = ", ".join(f"{key}: {dtype}" for key, dtype in dtypes.items())
        raise TypeError(f"{name}: expected float32 or float64, got {listed}; convert with .astype(...)")
    channels = w.shape[1] * groups
    if bias is not None and bias.shape != (channels,):
        raise ValueError(
            f"{name}: bias must have shape ({channels},), one number for each channel of the result, got {bias.shape}"
        )
    if activation not in {None, "relu"}:
        raise ValueError(f'{name}: activation must be None or "relu", got {activation!r}')
