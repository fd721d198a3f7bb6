"""Largest and smallest elements: an adjoint is split equally among ties, and the other entries are marked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer, concrete, constant, implements, install_method
from autodiff.core.backend import made
from autodiff.core.batching import along
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.portable import reduced_by
from autodiff.ops.reductions import (
    NOT_GIVEN,
    as_array,
    flag,
    masked,
    reduced_shape,
    reduction_samples,
    spread,
    starting,
)

__all__ = ["argmax", "argmin", "max", "min", "ptp"]


def _chosen(y: Any, x: Any, axis: Any, keepdims: bool) -> tuple[Any, Any]:
    """Which entries equal the extremum (NaN: are NaN), and how many they are (with the reduced axes kept)."""
    mask = np.equal(x, spread(y, shape_of(x), axis, keepdims))
    if np.any(np.isnan(y)) is not np.False_:
        mask = np.logical_or(mask, np.isnan(x))
    return mask, np.sum(mask, axis=axis, keepdims=True).astype(np.zeros(0, dtype_of(x)).real.dtype)


def _push(t: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    mask, ties = _chosen(y, x, axis, keepdims)
    total = np.sum(np.where(mask, t, dtype_of(t).type(0)) / ties, axis=axis, keepdims=True)
    return total if keepdims else np.reshape(total, shape_of(y))


def _pull(ct: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    mask, ties = _chosen(y, x, axis, keepdims)
    return np.where(mask, spread(ct, shape_of(x), axis, keepdims) / ties, dtype_of(ct).type(0))


def _samples(rng: np.random.Generator) -> list[Sample]:
    """Arrays without ties, and one with a tie."""
    return [s for s in reduction_samples(rng) if s.args[0].size]


def _extremum(ufunc: np.ufunc, name: str) -> Operation:
    return Operation(
        name,
        reduced_by(ufunc, getattr(np, name)),
        jvps=(_push,),
        vjps=(_pull,),
        structural=True,
        selects=True,
        samples=_samples,
        shape=lambda x, axis, keepdims: Spec(reduced_shape(x.shape, axis, keepdims), x.dtype),
        batch=along("axis"),
    )


_max = _extremum(np.maximum, "max")
_min = _extremum(np.minimum, "min")


@implements(np.max, np.amax)
def max(  # noqa: A001 - NumPy's name
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """Largest element over axes."""
    return _reduced("max", _max, np.maximum, a, axis, out, keepdims, initial, where)


@implements(np.min, np.amin)
def min(  # noqa: A001 - NumPy's name
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """Smallest element over axes."""
    return _reduced("min", _min, np.minimum, a, axis, out, keepdims, initial, where)


def _reduced(
    name: str, op: Operation, pair: np.ufunc, a: Any, axis: Any, out: Any, keepdims: Any, initial: Any, where: Any
) -> Any:
    if out is not None:  # of the method: the function comes back without it
        start = {} if initial is None or initial is NOT_GIVEN else {"initial": initial}
        return getattr(np, name)(a, axis, out, keepdims, where=where, **start)
    a = as_array(a)
    initial = None if initial is NOT_GIVEN else initial
    if where is not True:
        if initial is None:
            raise ValueError(f"np.{name}: where= needs initial=, the result for no element at all.")
        a = masked(a, where, -np.inf if pair is np.maximum else np.inf)
    if 0 in shape_of(a) and initial is not None and a.size == 0:
        shape = reduced_shape(shape_of(a), axis, flag(keepdims))
        if isinstance(initial, Tracer):
            return np.broadcast_to(starting(initial, a), shape) * 1
        return made(np.full, a, shape, initial, dtype_of(a))
    y = op(a, axis=axis, keepdims=flag(keepdims))
    return y if initial is None else pair(y, starting(initial, y))


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    """Largest minus smallest."""
    return max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims)


@implements(np.nanmax)
def nanmax(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """Largest element that is not NaN; NaN (as NumPy, without its warning) where there is none."""
    return _ignoring_nan(max, -np.inf, a, axis, out, keepdims, initial, where)


@implements(np.nanmin)
def nanmin(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """Smallest element that is not NaN; NaN (as NumPy, without its warning) where there is none."""
    return _ignoring_nan(min, np.inf, a, axis, out, keepdims, initial, where)


def _ignoring_nan(
    reduce: Any, fill: float, a: Any, axis: Any, out: Any, keepdims: Any, initial: Any, where: Any
) -> Any:
    a = as_array(a)
    missing = np.isnan(a)
    y = reduce(masked(a, np.logical_not(missing), fill), axis, out, keepdims, initial, where)
    if initial is not None and initial is not NOT_GIVEN:
        return y
    none = np.all(missing, axis=axis, keepdims=flag(keepdims))
    return np.where(none, dtype_of(a).type(np.nan), y)


_along_axis = along("axis")


def _position_of_many(call: Any, batched: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Positions in each example: without an axis, in the flattened one."""
    if axis is not None:
        return _along_axis(call, batched, x, axis=axis, keepdims=keepdims)
    n, ndim = shape_of(x)[0], len(shape_of(x)) - 1
    size = math.prod(shape_of(x)[1:])
    return np.reshape(call(np.reshape(x, (n, size)), axis=1, keepdims=False), (n, *(1,) * (ndim * keepdims)))


def _position(fn: Any) -> Any:
    def shape(x: Any, axis: Any = None, keepdims: bool = False) -> Spec:
        return Spec(reduced_shape(x.shape, axis, keepdims), np.intp)

    return constant(fn, shape=shape, batch=_position_of_many)


def _without_nan(name: str, a: Any, fill: float, axis: Any) -> Any:
    """Return the array with NaN as the worst value; a line of NaN alone has no position."""
    missing = np.isnan(a)
    if concrete(np.any(np.all(missing, axis=axis))) is np.True_:
        raise ValueError(f"np.{name}: a line has no element that is not NaN.")
    return masked(a, np.logical_not(missing), fill)


_argmax = _position(np.argmax)
_argmin = _position(np.argmin)


@implements(np.argmax)
def argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    """Position of the largest element: a constant."""
    if out is not None:
        return np.argmax(a, axis, out, keepdims=flag(keepdims))
    return _argmax(as_array(a), axis=axis, keepdims=flag(keepdims))


@implements(np.argmin)
def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    """Position of the smallest element: a constant."""
    if out is not None:
        return np.argmin(a, axis, out, keepdims=flag(keepdims))
    return _argmin(as_array(a), axis=axis, keepdims=flag(keepdims))


@implements(np.nanargmax)
def nanargmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    """Position of the largest element that is not NaN: a constant."""
    return argmax(_without_nan("nanargmax", as_array(a), -np.inf, axis), axis, out, keepdims=keepdims)


@implements(np.nanargmin)
def nanargmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    """Position of the smallest element that is not NaN: a constant."""
    return argmin(_without_nan("nanargmin", as_array(a), np.inf, axis), axis, out, keepdims=keepdims)


install_method("max", max)
install_method("min", min)
install_method("argmax", argmax)
install_method("argmin", argmin)
