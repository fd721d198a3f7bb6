"""NumPy's discrete Fourier transforms, for traced and plain values and lists of them: see `autodiff.numpy`."""

from __future__ import annotations

from typing import Any

from numpy import fft as _numpy

from autodiff.numpy.wrapping import exported, wrapped

__all__ = exported(_numpy)  # noqa: PLE0605 - NumPy's names, as strings


def __getattr__(name: str) -> Any:
    """Wrap NumPy's function of that name, once; pass anything else through."""
    value = wrapped(_numpy, name, __name__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_numpy)})
