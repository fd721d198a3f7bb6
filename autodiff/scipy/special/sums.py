"""``logsumexp``, ``softmax`` and ``log_softmax`` along axes, without overflow, and right where everything is -inf."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sc

from autodiff import ops
from autodiff.core.spec import dtype_of, shape_of
from autodiff.scipy.special._common import fixed, is_traced

__all__ = ["log_softmax", "logsumexp", "softmax", "softplus"]


def _array(x: Any) -> Any:
    x = x if hasattr(x, "dtype") else np.asarray(x)
    return x if dtype_of(x).kind in "fc" else x.astype(float)


def _log_of_total(total: Any, part: Any, rest: Any) -> Any:
    """``log(abs(total))``; where most of it is the constant `part`, exact in the small `rest`."""
    most = np.logical_and(part != 0, np.abs(fixed(rest)) < 0.5 * np.abs(part))
    safe = np.where(most, part, 1.0)
    return np.where(
        most,
        np.log(np.abs(safe)) + np.log1p(np.where(most, rest, 0.0) / safe),
        np.log(np.abs(np.where(most, 1.0, total))),
    )


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """Return the logarithm of the sum of exponentials, by `a` and the weights `b`.

    Parameters
    ----------
    a
        Array, real or complex.
    axis
        Axis or axes to sum over; all by default.
    b
        Weights of the exponentials, of a shape that broadcasts with `a`.
    keepdims
        Keep the summed axes with length one.
    return_sign
        Return the logarithm of the absolute value and the sign (a phase, for complex numbers).

    Returns
    -------
    array, or two
        Where all of `a` is -inf the value is -inf and the derivative 0; where a sum is negative and its sign is not
        asked for, NaN. Where an element is +inf the derivative is NaN.

    Examples
    --------
    >>> from autodiff import grad
    >>> grad(logsumexp)(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    >>> grad(logsumexp)(np.array([-np.inf, -np.inf]))
    array([0., 0.])
    """
    if not is_traced(a, b):
        return sc.logsumexp(a, axis=axis, b=b, keepdims=keepdims, return_sign=return_sign)
    with np.errstate(all="ignore"):
        a = _array(a)
        if b is not None:
            b = _array(b)
            shape = np.broadcast_shapes(shape_of(a), shape_of(b))
            a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
        out, sign, bottom = _weighted(a, b, axis, return_sign)
        out = np.where(bottom, dtype_of(out).type(-np.inf), out)
        if not keepdims:
            dropped = tuple(range(out.ndim)) if axis is None else axis
            out, sign = np.squeeze(out, dropped), np.squeeze(sign, dropped)
    return (out, sign) if return_sign else out


def _weighted(a: Any, b: Any, axis: Any, return_sign: bool) -> tuple[Any, Any, Any]:
    """The logarithm, the sign, and where nothing was summed but zeros; the summed axes have length one."""
    real = np.real(fixed(a))
    weight = None if b is None else fixed(b)
    counted = real if weight is None else np.where(weight == 0, -np.inf, real)
    top = np.max(counted, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, 0.0).astype(real.dtype)
    e = np.exp(a - shift)
    if weight is not None:  # what has weight 0 adds nothing, even if it is infinite
        e = np.where(np.logical_and(weight == 0, np.isinf(fixed(e))), 0.0, e)
    terms = e if b is None else b * e
    total = np.sum(terms, axis=axis, keepdims=True)
    if dtype_of(total).kind == "c":
        size = np.abs(total)
        log = np.log(size) + shift if return_sign else np.log(total) + shift
        return log, total / size, top == -np.inf
    largest = np.logical_and(counted == top, np.isfinite(top))
    part = np.sum(np.where(largest, 1.0 if weight is None else weight, 0.0), axis=axis, keepdims=True)
    small = np.expm1(np.where(largest, a - shift, 0.0)) if b is None else terms - fixed(terms)
    rest = np.sum(np.where(largest, small, terms), axis=axis, keepdims=True)
    out = _log_of_total(total, part.astype(real.dtype), rest) + shift
    sign = np.sign(fixed(total))
    if b is not None and not return_sign:
        out = out * np.where(sign < 0, np.nan, 1.0)  # the derivative is NaN as well
    return out.astype(dtype_of(total)), sign, top == -np.inf


def softmax(x: Any, axis: Any = None) -> Any:
    """Return ``exp(x) / sum(exp(x))`` over an axis, several, or all.

    Examples
    --------
    >>> from autodiff import grad
    >>> grad(lambda x: softmax(x)[0])(np.zeros(2))
    array([ 0.25, -0.25])
    """
    if not is_traced(x):
        return sc.softmax(x, axis=axis)
    return _over(ops.softmax, x, axis)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """Return the logarithm of `softmax`, without cancellation.

    Examples
    --------
    >>> from autodiff import grad
    >>> grad(lambda x: log_softmax(x)[0])(np.zeros(2))
    array([ 0.5, -0.5])
    """
    if not is_traced(x):
        return sc.log_softmax(x, axis=axis)
    return _over(ops.log_softmax, x, axis)


def _over(function: Any, x: Any, axis: Any) -> Any:
    """Apply a function of the last axis over one axis, several or all."""
    if isinstance(axis, (int, np.integer)):
        return function(x, int(axis))
    ndim = len(shape_of(x))
    axes = range(ndim) if axis is None else axis
    chosen = sorted(np.lib.array_utils.normalize_axis_index(int(k), ndim) for k in axes)
    kept = [k for k in range(ndim) if k not in chosen]
    moved = np.transpose(x, (*kept, *chosen))
    flat = np.reshape(moved, (*shape_of(moved)[: len(kept)], int(np.prod(shape_of(moved)[len(kept) :]))))
    return np.transpose(np.reshape(function(flat, -1), shape_of(moved)), np.argsort((*kept, *chosen)))


def softplus(x: Any, **kwargs: Any) -> Any:
    """Return ``log(1 + exp(x))``, without overflow.

    Examples
    --------
    >>> from autodiff import grad
    >>> grad(softplus)(0.0)
    np.float64(0.5)
    """
    return ops.softplus(x) if is_traced(x) else np.logaddexp(0, x, **kwargs)
