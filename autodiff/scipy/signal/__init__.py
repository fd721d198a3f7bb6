"""``scipy.signal`` on traced arrays: convolutions, correlations and linear filters.

Examples
--------
>>> import numpy as np
>>> from autodiff import grad
>>> from autodiff.scipy import signal
>>> grad(lambda h: signal.fftconvolve(np.array([1.0, 2.0]), h)[1])(np.array([1.0, 1.0])).round(9)
array([2., 1.])
"""

from __future__ import annotations

from typing import Any

from autodiff.scipy._missing import missing_function
from autodiff.scipy.signal.convolutions import convolve, convolve2d, correlate, correlate2d, fftconvolve, oaconvolve
from autodiff.scipy.signal.filters import lfilter, sosfilt

__all__ = [
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "fftconvolve",
    "lfilter",
    "oaconvolve",
    "sosfilt",
]

_INSTEAD = {
    "filtfilt": "lfilter, twice, on the padded and reversed sequence",
    "sosfiltfilt": "sosfilt, twice, on the padded and reversed sequence",
    "deconvolve": "np.fft, with a regularising term",
    "detrend": "np.linalg.lstsq of the trend",
    "stft": "np.fft.rfft of the windows",
}


def __getattr__(name: str) -> Any:
    raise missing_function("scipy.signal", name, _INSTEAD)
