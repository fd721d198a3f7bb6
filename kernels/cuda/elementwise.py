"""Elementwise mathematics on float32 and float64 arrays of the device: each function is a chain of one.

Signed zeros and infinities give the limits, subnormal numbers are rounded like others, and NaN stays NaN. Errors are
those of CUDA's mathematical library, at most 2 units in the last place, and at most 4 for `sigmoid` and `softplus`,
which are made of two of its functions.
"""

from __future__ import annotations

from typing import Any

from kernels.cuda.arrays import give, receive
from kernels.cuda.chain import apply, chain_kernel
from kernels.cuda.launch import KERNELS

__all__ = ["erf", "exp", "expm1", "log", "log1p", "relu", "relu_gate", "sigmoid", "softplus", "tanh"]

CHAINS = (
    (("multiply", "add", "tanh"), "vcn"),
    (("subtract", "square", "maximum", "sqrt", "reciprocal", "negative"), "vvc"),
    (("minimum", "divide", "absolute", "sin", "cos"), "vnv"),
)
SINGLE = [((name,), "v") for name in __all__ if name != "relu_gate"]

# The kernels of these functions, and chains with all others, are listed for compilation.
for _steps, _kinds in (*SINGLE, (("gate",), "vv"), *CHAINS):
    for _dtype in "efd" if (_steps, _kinds) in CHAINS else "fd":
        _kernel = chain_kernel(_steps, _kinds, _dtype)
        KERNELS[_kernel.name] = _kernel


def _apply(name: str, x: Any, out: Any) -> Any:
    """Apply one function to an array of float32 or float64."""
    x = receive(name, "x", x)
    if x.dtype.char not in "fd" or not x.dtype.isnative:
        raise TypeError(f"{name}: expected an array of float32 or float64, got {x.dtype}; convert with .astype(...)")
    if out is None and x.flags.f_contiguous and not x.flags.c_contiguous:  # the result lies as the argument does
        return give(receive(name, "x", apply(name, (name,), [x.T])).T)
    return apply(name, (name,), [x], out)


def exp(x: Any, out: Any = None) -> Any:
    """Return e^x.

    Parameters
    ----------
    x
        Array of any shape and layout on the device, float32 or float64.
    out
        Array of the same shape and dtype for the result; it may be `x`. By default a new one.

    Raises
    ------
    TypeError
        If `x` or `out` lies on the host, `x` is not of float32 or float64, or `out` not of the same dtype.
    ValueError
        If `out` has another shape.
    """
    return _apply("exp", x, out)


def expm1(x: Any, out: Any = None) -> Any:
    """Return e^x - 1, exact to rounding near 0 too.

    Parameters
    ----------
    x
        Array of any shape and layout on the device, float32 or float64.
    out
        Array of the same shape and dtype for the result; it may be `x`. By default a new one.

    Raises
    ------
    TypeError
        If `x` or `out` lies on the host, `x` is not of float32 or float64, or `out` not of the same dtype.
    ValueError
        If `out` has another shape.
    """
    return _apply("expm1", x, out)


def log(x: Any, out: Any = None) -> Any:
    """Return the natural logarithm of x: -inf at 0, NaN below.

    Parameters
    ----------
    x
        Array of any shape and layout on the device, float32 or float64.
    out
        Array of the same shape and dtype for the result; it may be `x`. By default a new one.

    Raises
    ------
    TypeError
        If `x` or `out` lies on the host, `x` is not of float32 or float64, or `out` not of the same dtype.
    ValueError
        If `out` has another shape.
    """
    return _apply("log", x, out)


def log1p(x: Any, out: Any = None) -> Any:
    """Return log(1 + x), exact to rounding near 0 too: -inf at -1, NaN below.

    Parameters
    ----------
    x
        Array of any shape and layout on the device, float32 or float64.
    out
        Array of the same shape and dtype for the result; it may be `x`. By default a new one.

    Raises
    ------
    TypeError
        If `x` or `out` lies on the host, `x` is not of float32 or float64, or `out` not of the same dtype.
    ValueError
        If `out` has another shape.
    """
    return _apply("log1p", x, out)


def tanh(x: Any, out: Any = None) -> Any:
    """Return the hyperbolic tangent of x.

    Parameters
    ----------
    x
        Array of any shape and layout on the device, float32 or float64.
    out
        Array of the same shape and dtype for the result; it may be `x`. By default a new one.

    Raises
    ------
    TypeError
        If `x` or `out` lies on the host, `x` is not of float32 or float64, or `out` not of the same dtype.
    ValueError
        If `out` has another shape.
    """
    return _apply("tanh", x, out)


def sigmoid(x: Any, out: Any = None) -> Any:
    """Return 1 / (1 + e^-x), without overflow and exact to rounding in both tails.

    Parameters
    ----------
    x
        Array of any shape and layout on the device, float32 or float64.
    out
        Array of the same shape and dtype for the result; it may be `x`. By default a new one.

    Raises
    ------
    TypeError
        If `x` or `out` lies on the host, `x` is not of float32 or float64, or `out` not of the same dtype.
    ValueError
        If `out` has another shape.
    """
    return _apply("sigmoid", x, out)


def softplus(x: Any, out: Any = None) -> Any:
    """Return log(1 + e^x), without overflow and exact to rounding where it is tiny.

    Parameters
    ----------
    x
        Array of any shape and layout on the device, float32 or float64.
    out
        Array of the same shape and dtype for the result; it may be `x`. By default a new one.

    Raises
    ------
    TypeError
        If `x` or `out` lies on the host, `x` is not of float32 or float64, or `out` not of the same dtype.
    ValueError
        If `out` has another shape.
    """
    return _apply("softplus", x, out)


def erf(x: Any, out: Any = None) -> Any:
    """Return the error function of x, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    Parameters
    ----------
    x
        Array of any shape and layout on the device, float32 or float64.
    out
        Array of the same shape and dtype for the result; it may be `x`. By default a new one.

    Raises
    ------
    TypeError
        If `x` or `out` lies on the host, `x` is not of float32 or float64, or `out` not of the same dtype.
    ValueError
        If `out` has another shape.
    """
    return _apply("erf", x, out)


def relu(x: Any) -> Any:
    """Return max(x, 0); NaN stays NaN.

    Parameters
    ----------
    x
        Array of any shape on the device, float32 or float64.

    Raises
    ------
    TypeError
        If `x` lies on the host, or its dtype is neither float32 nor float64.
    """
    x = receive("relu", "x", x)
    if x.dtype.char not in "fd" or not x.dtype.isnative:
        raise TypeError(f"relu: expected float32 or float64, got {x.dtype}; convert with .astype(...)")
    return apply("relu", ("relu",), [x])


def relu_gate(t: Any, y: Any) -> Any:
    """Return `t` where `y` is positive, else 0: tangents and adjoints of `relu`.

    Parameters
    ----------
    t, y
        Arrays of one shape and dtype on the device, float32 or float64.

    Raises
    ------
    TypeError, ValueError
        If an array lies on the host, or dtypes or shapes do not fit.
    """
    t, y = receive("relu_gate", "t", t), receive("relu_gate", "y", y)
    if t.dtype != y.dtype or t.dtype.char not in "fd" or not t.dtype.isnative:
        raise TypeError(f"relu_gate: expected two arrays of float32 or of float64, got {t.dtype} and {y.dtype}")
    if t.shape != y.shape:
        raise ValueError(f"relu_gate: expected two arrays of one shape, got {t.shape} and {y.shape}")
    return apply("relu_gate", ("gate",), [t, y])
