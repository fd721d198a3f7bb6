"""Convolutions and correlations of arrays with any number of axes: products of their Fourier transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
import scipy.signal as ss

from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.products import conjugated
from autodiff.scipy._mirror import array, mirrors, unsupported

__all__ = ["convolve", "convolve2d", "correlate", "correlate2d", "fftconvolve", "oaconvolve"]


def _operands(name: str, in1: Any, in2: Any, mode: str) -> tuple[Any, Any]:
    a, v = array(in1), array(in2)
    if mode not in {"full", "same", "valid"}:
        raise ValueError(f"scipy.signal.{name}: mode must be 'full', 'same' or 'valid', not {mode!r}.")
    if len(shape_of(a)) != len(shape_of(v)):
        raise ValueError(
            f"scipy.signal.{name}: the arrays need the same number of axes, not {describe(a)} and {describe(v)}."
        )
    return a, v


def _product(a: Any, v: Any, axes: tuple[int, ...]) -> Any:
    """The full convolution along `axes`, which broadcasts along the others."""
    if not axes:
        return a * v
    lengths = [shape_of(a)[k] + shape_of(v)[k] - 1 for k in axes]
    y: Any
    fast = [scipy.fft.next_fast_len(n, True) for n in lengths]
    if "c" in {dtype_of(a).kind, dtype_of(v).kind}:
        y = np.fft.ifftn(np.fft.fftn(a, fast, axes) * np.fft.fftn(v, fast, axes), fast, axes)
    else:
        y = np.fft.irfftn(np.fft.rfftn(a, fast, axes) * np.fft.rfftn(v, fast, axes), fast, axes)
    index: list[Any] = [slice(None)] * len(shape_of(y))
    for k, n in zip(axes, lengths, strict=True):
        index[k] = slice(n)
    return y[tuple(index)]


def _part(y: Any, sizes: Any, axes: tuple[int, ...], starts: Any = None) -> Any:
    """The middle of the full convolution, `sizes` long."""
    index: list[Any] = [slice(None)] * len(shape_of(y))
    for i, k in enumerate(axes):
        start = (shape_of(y)[k] - sizes[i]) // 2 if starts is None else starts[i]
        index[k] = slice(start, start + sizes[i])
    return y[tuple(index)]


def _convolved(name: str, a: Any, v: Any, mode: str, axes: tuple[int, ...]) -> Any:
    if not a.size or not v.size:
        raise ValueError(f"scipy.signal.{name}: the arrays must not be empty: {describe(a)}, {describe(v)}.")
    y = _product(a, v, axes)
    first, second = ([shape_of(x)[k] for k in axes] for x in (a, v))
    if mode == "full":
        return y
    if mode == "same":
        return _part(y, first, axes)
    if all(n >= m for n, m in zip(first, second, strict=True)):
        return _part(y, [n - m + 1 for n, m in zip(first, second, strict=True)], axes)
    if all(n <= m for n, m in zip(first, second, strict=True)):
        return _part(y, [m - n + 1 for n, m in zip(first, second, strict=True)], axes)
    raise ValueError(
        f"scipy.signal.{name}: with mode='valid' one array must be at least as long as the other along every axis, "
        f"not {describe(a)} and {describe(v)}."
    )


def _kind(y: Any, a: Any, v: Any) -> Any:
    """Give the result the dtype that the operands have together."""
    want = np.result_type(dtype_of(a), dtype_of(v))
    return y.astype(want) if want.kind in "fc" and want != dtype_of(y) else y


@mirrors(ss.convolve)
def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Convolution along all axes, by Fourier transforms."""
    a, v = _operands("convolve", in1, in2, mode)
    return _kind(_convolved("convolve", a, v, mode, tuple(range(len(shape_of(a))))), a, v)


@mirrors(ss.fftconvolve)
def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """Convolution along `axes` (all), which broadcasts along the others."""
    a, v = _operands("fftconvolve", in1, in2, mode)
    ndim = len(shape_of(a))
    along = tuple(range(ndim)) if axes is None else tuple(k % ndim for k in np.atleast_1d(axes).tolist())
    along = tuple(k for k in along if shape_of(a)[k] != 1 or shape_of(v)[k] != 1)
    return _kind(_convolved("fftconvolve", a, v, mode, along), a, v)


@mirrors(ss.oaconvolve)
def oaconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """Convolution along `axes`: SciPy adds overlapping pieces, traced arrays are transformed as a whole."""
    return fftconvolve(in1, in2, mode, axes)


@mirrors(ss.correlate)
def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Correlation along all axes; the second array is conjugated.

    Examples
    --------
    >>> from autodiff import grad
    >>> grad(lambda x: correlate(x, np.array([1.0, 3.0]), "valid")[0])(np.zeros(3)).round(9)
    array([1., 3., 0.])
    """
    a, v = _operands("correlate", in1, in2, mode)
    back = (slice(None, None, -1),) * len(shape_of(v))
    along = tuple(range(len(shape_of(a))))
    y = _convolved("correlate", a, conjugated(v)[back], mode, along)
    if mode == "same" and any(n < m for n, m in zip(shape_of(a), shape_of(v), strict=True)):
        raise unsupported("scipy.signal.correlate", "mode='same' with the shorter array first", "Use mode='full'.")
    return _kind(y, a, v)


def _bordered(name: str, in1: Any, in2: Any, mode: str, boundary: str, fillvalue: Any) -> tuple[Any, Any]:
    a, v = _operands(name, in1, in2, mode)
    if len(shape_of(a)) != 2:
        raise ValueError(f"scipy.signal.{name}: takes matrices, not {describe(a)} and {describe(v)}.")
    if boundary not in {"fill", "pad"} or np.any(np.not_equal(fillvalue, 0)):
        raise unsupported(
            f"scipy.signal.{name}", "boundary='wrap' or 'symm', or a fillvalue", "np.pad first, then mode='valid'."
        )
    return a, v


@mirrors(ss.convolve2d)
def convolve2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    """Convolution of two matrices."""
    a, v = _bordered("convolve2d", in1, in2, mode, boundary, fillvalue)
    return convolve(a, v, mode)


@mirrors(ss.correlate2d)
def correlate2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    """Correlation of two matrices; the second is conjugated."""
    a, v = _bordered("correlate2d", in1, in2, mode, boundary, fillvalue)
    if mode == "same":
        y = correlate(a, v, "full")
        return _part(y, shape_of(a), (0, 1), [(m - 1) // 2 if m % 2 else m // 2 for m in shape_of(v)])
    return correlate(a, v, mode)
