"""The rectifier and its gate, one pass over memory each."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.cpu.jit import kernel
from kernels.cpu.memory import flat
from kernels.cpu.threads import parallel_for

__all__ = ["relu", "relu_gate"]

GRAIN = 1 << 16


@kernel
def rectify(start, stop, x, y):
    x, y = x[start:stop], y[start:stop]
    for i in range(x.size):
        y[i] = 0 if x[i] <= 0 else x[i]


@kernel
def open_gate(start, stop, t, y, out):
    t, y, out = t[start:stop], y[start:stop], out[start:stop]
    for i in range(t.size):
        out[i] = t[i] if y[i] > 0 else 0


def relu(x: Any) -> Any:
    """Return max(x, 0); NaN stays NaN.

    Parameters
    ----------
    x
        Array of any shape, float32 or float64.

    Raises
    ------
    TypeError
        If the dtype is neither float32 nor float64.

    Examples
    --------
    >>> relu(np.array([-1.0, 2.0, np.nan]))
    array([ 0.,  2., nan])
    """
    if x.dtype.char not in "fd" or not x.dtype.isnative:
        raise TypeError(f"relu: expected float32 or float64, got {x.dtype}; convert with .astype(...)")
    y = np.empty(x.shape, x.dtype)
    parallel_for(rectify, x.size, flat(np.ascontiguousarray(x)), y.reshape(-1), grain=GRAIN)
    return y


def relu_gate(t: Any, y: Any) -> Any:
    """Return `t` where `y` is positive, else 0: tangents and adjoints of `relu`.

    Parameters
    ----------
    t, y
        Arrays of one shape and dtype, float32 or float64.

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit.

    Examples
    --------
    >>> relu_gate(np.array([np.inf, 2.0]), np.array([0.0, 3.0]))
    array([0., 2.])
    """
    if t.dtype != y.dtype or t.dtype.char not in "fd" or not t.dtype.isnative:
        raise TypeError(f"relu_gate: expected two arrays of float32 or of float64, got {t.dtype} and {y.dtype}")
    if t.shape != y.shape:
        raise ValueError(f"relu_gate: expected two arrays of one shape, got {t.shape} and {y.shape}")
    out = np.empty(t.shape, t.dtype)
    parallel_for(open_gate, t.size, flat(np.ascontiguousarray(t)), flat(np.ascontiguousarray(y)), out.reshape(-1),
                 grain=GRAIN)  # fmt: skip
    return out
