"""Chains of elementwise functions in NumPy, pass by pass: the contract of `kernels.cuda.chain`, one pass for all."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["BINARY", "UNARY", "chain", "chain_dtype", "check_out", "check_steps"]


def _erf(x: Any) -> Any:
    from scipy import special

    return special.erf(x)


def _sigmoid(x: Any) -> Any:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


UNARY: dict[str, Any] = {
    "absolute": np.abs,
    "cos": np.cos,
    "erf": _erf,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "negative": np.negative,
    "reciprocal": np.reciprocal,
    "relu": lambda x: np.where(x <= 0, x.dtype.type(0), x),
    "sigmoid": _sigmoid,
    "sin": np.sin,
    "softplus": lambda x: UNARY["relu"](x) + np.log1p(np.exp(-np.abs(x))),
    "sqrt": np.sqrt,
    "square": np.square,
    "tanh": np.tanh,
}
"""The functions of one number."""

BINARY: dict[str, Any] = {
    "add": np.add,
    "divide": np.divide,
    "gate": lambda x, y: np.where(y > 0, x, x.dtype.type(0)),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "multiply": np.multiply,
    "subtract": np.subtract,
}
"""The functions of two numbers."""


def check_steps(steps: tuple[str, ...], count: int) -> None:
    """Raise ValueError unless all functions are known and take `count` operands in all."""
    for step in steps:
        if step not in UNARY and step not in BINARY:
            raise ValueError(f"chain: unknown function {step!r}; known are {', '.join((*UNARY, *BINARY))}")
    wanted = 1 + sum(step in BINARY for step in steps)
    if count != wanted:
        raise ValueError(f"chain: the functions {', '.join(steps) or '(none)'} take {wanted} operands, got {count}")


def chain_dtype(name: str, operands: Any) -> Any:
    """Return the dtype of the arrays; raise TypeError unless it is one, of a floating-point number."""
    dtypes = [a.dtype for a in operands if hasattr(a, "dtype")]
    if len(set(dtypes)) > 1 or dtypes[0].char not in "efd" or not dtypes[0].isnative:
        listed = " and ".join(map(str, dtypes))
        raise TypeError(f"{name}: expected float16, float32 or float64, got {listed}; convert with .astype(...)")
    return dtypes[0]


def check_out(name: str, shape: tuple[int, ...], dtype: Any, out: Any) -> None:
    """Raise if results of a shape and dtype cannot be written to `out`."""
    if out.dtype != dtype:
        raise TypeError(f"{name}: out must be an array of the argument's dtype, {dtype}, got {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"{name}: out must have the argument's shape, {shape}, got {out.shape}")


def chain(steps: Any, x: Any, *operands: Any, out: Any = None) -> Any:
    """Return a chain of elementwise functions of arrays.

    Parameters
    ----------
    steps
        A name or names of functions, applied one after another to `x`. Those in `BINARY` take the next of `operands`
        as their second; ``"gate"`` keeps the first where the second is positive, and is 0 elsewhere. Those in `UNARY`
        take none.
    x
        Array of any shape: float16, float32 or float64.
    operands
        Arrays of the same dtype, or numbers; all shapes broadcast.
    out
        Array of the result's shape and dtype for the result; it may be an operand. By default a new one.

    Returns
    -------
    ndarray
        Of the shape that the operands broadcast to, and of their dtype; float16 is computed in float32 and rounded
        once.

    Raises
    ------
    TypeError
        If the dtypes differ or are none of the three.
    ValueError
        If a function is unknown, the number of operands is not what the functions take, shapes do not broadcast, or
        `out` does not fit.

    Examples
    --------
    >>> chain(("multiply", "add", "relu"), np.array([1.0, -2.0]), np.array([3.0, 3.0]), 1.0)
    array([4., 0.])
    """
    steps = (steps,) if isinstance(steps, str) else tuple(steps)
    check_steps(steps, 1 + len(operands))
    dtype = chain_dtype("chain", (x, *operands))
    work = np.float32 if dtype == np.float16 else dtype
    shape = np.broadcast_shapes(*(a.shape for a in (x, *operands) if hasattr(a, "dtype")))
    rest = iter(operands)
    y = np.broadcast_to(x, shape).astype(work)
    with np.errstate(all="ignore"):
        for step in steps:
            y = BINARY[step](y, np.asarray(next(rest), work)) if step in BINARY else UNARY[step](y)
    if out is None:
        return y.astype(dtype)
    check_out("chain", shape, dtype, out)
    out[...] = y
    return out
