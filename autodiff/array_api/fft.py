"""Discrete Fourier transforms of the standard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.array_api.devices import check_device, named

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]


def _along_axis(name: str, what: str) -> Callable[..., Any]:
    def function(x: Any, /, *, n: int | None = None, axis: int = -1, norm: Any = "backward") -> Any:
        return getattr(np.fft, name)(x, n=n, axis=axis, norm=norm)

    return named(function, name, f"Array API: {what} along one axis, cut or padded to `n`.")


def _along_axes(name: str, what: str) -> Callable[..., Any]:
    def function(x: Any, /, *, s: Any = None, axes: Any = None, norm: Any = "backward") -> Any:
        if s is not None and axes is None:
            axes = tuple(range(-len(s), 0))
        return getattr(np.fft, name)(x, s=s, axes=axes, norm=norm)

    return named(function, name, f"Array API: {what} along axes, cut or padded to `s`.")


fft = _along_axis("fft", "Fourier transform")
ifft = _along_axis("ifft", "inverse Fourier transform")
rfft = _along_axis("rfft", "Fourier transform of real numbers")
irfft = _along_axis("irfft", "inverse of `rfft`")
hfft = _along_axis("hfft", "Fourier transform of a Hermitian signal")
ihfft = _along_axis("ihfft", "inverse of `hfft`")
fftn = _along_axes("fftn", "Fourier transform")
ifftn = _along_axes("ifftn", "inverse Fourier transform")
rfftn = _along_axes("rfftn", "Fourier transform of real numbers")
irfftn = _along_axes("irfftn", "inverse of `rfftn`")


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """Frequencies of the results of `fft`."""
    check_device(device)
    return np.fft.fftfreq(n, d=d).astype(_real_floating("fftfreq", dtype))


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """Frequencies of the results of `rfft`."""
    check_device(device)
    return np.fft.rfftfreq(n, d=d).astype(_real_floating("rfftfreq", dtype))


def fftshift(x: Any, /, *, axes: Any = None) -> Any:
    """Move frequency zero to the middle."""
    return np.fft.fftshift(x, axes=axes)


def ifftshift(x: Any, /, *, axes: Any = None) -> Any:
    """Undo `fftshift`."""
    return np.fft.ifftshift(x, axes=axes)


def _real_floating(name: str, dtype: Any) -> Any:
    dtype = np.dtype(np.float64 if dtype is None else dtype)
    if dtype.kind != "f":
        raise ValueError(f"array_api.fft.{name}: dtype must be a real floating dtype, not {dtype}.")
    return dtype
