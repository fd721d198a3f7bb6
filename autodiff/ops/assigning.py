"""What programs write to assign: ``y[i] = v``, ``y += v``, ``out=``, ``y.fill``, and arrays to assign to."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core import Tracer, install_method
from autodiff.core.assignment import Step, Stored, Window, become, copied, laid_out, memory, settled, share
from autodiff.core.backend import array_of, is_array
from autodiff.core.errors import describe, user_line, writing
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import OUT
from autodiff.ops import elementwise, products
from autodiff.ops.assignment import has_slots, read
from autodiff.ops.dtypes import cast
from autodiff.ops.gather import gather, slotted
from autodiff.ops.indexing import normalised

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["assign_to", "setitem", "update", "write_out"]


def setitem(x: Any, index: Any, value: Any) -> None:
    """``x[index] = value`` for any kind of NumPy index."""
    given = index
    index = normalised(index, masks=True)
    if type(value) in (list, tuple):
        value = _array(value)
    mask = _traced_mask(index)
    if mask is not None:
        if np.size(value) != 1:
            index = normalised(index)
        else:
            assign_to(x, np.where(_widened(mask, x), fitted(np.reshape(value, ()), x, ()), x))
            return
    level = share(x)
    if isinstance(value, Stored) and type(value.level) is Window:
        back = value.level
        if back.parent is level and back.step.kind == "get" and (back.step.param is index or back.step.param is given):
            return  # ``y[i] += v`` has changed the window already, and now assigns it to itself
    index = _kept(index)
    traced = any(isinstance(i, Tracer) for i in index) if type(index) is tuple else isinstance(index, Tracer)
    step = Step("get", *slotted(index)) if traced else Step("get", index)
    level.write((step,), fitted(value, x, step))


def _array(value: Any) -> Any:
    """An array of a list that may hold traced values."""
    from autodiff.numpy.building import array

    return array(value)


def _kept(index: Any) -> Any:
    """An index whose arrays the program cannot change any more: the backward sweep will read it again."""
    if type(index) is tuple:
        return tuple([i.copy() if is_array(i) else i for i in index])
    return index.copy() if is_array(index) else index


def _traced_mask(index: Any) -> Any:
    """A mask whose values are not known now, if it is the whole index."""
    return index if isinstance(index, Tracer) and index.dtype.kind == "b" else None


def _widened(mask: Any, x: Any) -> Any:
    """A mask of the leading axes, with axes of length 1 for the others."""
    if shape_of(mask) != shape_of(x)[: len(shape_of(mask))]:
        raise IndexError(f"x[mask] = ...: the mask has the shape {shape_of(mask)}, the array {shape_of(x)}.")
    return np.reshape(mask, shape_of(mask) + (1,) * (len(shape_of(x)) - len(shape_of(mask))))


def fitted(value: Any, x: Any, step: Any) -> Any:
    """Return a value as it will stand in `x`: of its dtype, and without surplus leading axes."""
    dtype = dtype_of(x)
    if not isinstance(value, Tracer):
        if type(value) in (bool, int, float):
            return value if dtype.kind in "fc" else np.array(value).astype(dtype)
        given = np.empty((), dtype)
        if type(value) is complex:
            given[...] = value  # NumPy's own error for a real array
            return given[()]
        value = array_of(value)
        if value.dtype != dtype:
            value = value.astype(dtype)
    else:
        value = settled(value)
        if isinstance(value, Tracer) and value.dtype != dtype:
            value = _cast(value, dtype)
    if step and len(shape_of(value)) > 0:
        value = _trimmed(value, x, step)
    return value


def _cast(value: Any, dtype: Any) -> Any:
    """Cast as an assignment does: anything goes, with NumPy's warning where half of a number is lost."""
    if value.dtype.kind == "c" and dtype.kind != "c":
        warnings.warn(
            "Casting complex values to real discards the imaginary part", np.exceptions.ComplexWarning, stacklevel=6
        )
        value = np.real(value)
    return cast(value, dtype=dtype) if value.dtype != dtype else value


def _trimmed(value: Any, x: Any, step: Step) -> Any:
    """Check that a value fits its place, and drop leading axes of length 1, as NumPy does."""
    dummy = np.broadcast_to(np.zeros((), bool), shape_of(x))
    if has_slots(step.param):
        region = gather.shape(dummy, *step.arrays, pattern=step.param).shape
    else:
        region = read(dummy, (step,)).shape
    shape = given = shape_of(value)
    while len(shape) > len(region) and shape[0] == 1:
        shape = shape[1:]
    try:
        fits = np.broadcast_shapes(shape, region) == region
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"could not broadcast input array from shape {given} into shape {region}{user_line()}")
    return value if shape == given else np.reshape(value, shape)


# -- the whole of an array -----------------------------------------------------------------------------------


def assign_to(x: Any, value: Any) -> None:
    """``x[...] = value`` for a value of its shape and dtype that nobody else holds."""
    become(x, value)


def update(x: Any, result: Any, name: str) -> Any:
    """Give `x` the result of an augmented assignment, or of an operation with ``out=x``."""
    shape, dtype = shape_of(x), dtype_of(x)
    if shape_of(result) != shape:
        if not _fits(shape_of(result), shape):
            raise ValueError(
                f"{name}: the result has the shape {shape_of(result)}, which does not fit into {describe(x)}"
                f"{user_line()}. Make a new array instead: y = y + x."
            )
        result = np.broadcast_to(result, shape)
    have = dtype_of(result)
    if have != dtype:
        if not np.can_cast(have, dtype, "same_kind"):
            raise TypeError(
                f"{name}: cannot cast the result from {have} to {dtype}, the dtype of the array that is changed in "
                f"place{user_line()}. Make a new array instead: y = y + x."
            )
        result = result.astype(dtype)
    if isinstance(result, Tracer):
        become(x, _in_order_of(x, result))
    else:
        share(x).rewrite(_in_order_of(x, np.array(result)))
    return x


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    """Whether an array of one shape can be broadcast to another."""
    try:
        return np.broadcast_shapes(shape, into) == into
    except ValueError:
        return False


def _in_order_of(x: Any, value: Any) -> Any:
    """A value in the memory layout of the array whose place it takes."""
    if len(shape_of(x)) < 2:
        return value
    have, new = memory(x), memory(value)
    if not isinstance(have, np.ndarray) or not isinstance(new, np.ndarray) or have.strides == new.strides:
        return value
    return laid_out(settled(value), "F" if have.flags.fnc else "C")


def _is_scalar(x: Any) -> bool:
    """Whether a value without axes is a number, which does not change in place, rather than an array."""
    return not isinstance(memory(x), np.ndarray)


def _in_place(name: str) -> Callable[[Any, Any], Any]:
    compute = Tracer.__dict__[f"__{name}__"]

    def method(self: Any, other: Any) -> Any:
        result = compute(self, other)
        if not self.shape and _is_scalar(self):
            return result
        return update(self, result, f"an augmented assignment (__i{name}__)")

    return method


def write_out(what: str, result: Any, out: Any, where: Any = True) -> Any:
    """Put a result into ``out=``, traced or plain, and return it."""
    if type(out) is tuple and type(result) is not tuple:
        (out,) = out
    if type(result) is tuple:
        return tuple([r if o is None else write_out(what, r, o, where) for r, o in zip(result, out, strict=True)])
    if not isinstance(out, Tracer):
        if isinstance(result, Tracer) or isinstance(where, Tracer):
            raise writing(what, result, out)
        np.copyto(out, result, casting="same_kind", where=where)  # a constant, such as a comparison
        return out
    if where is not True:
        result = np.where(where, result, out)
    return update(out, result, what)


_OPERATORS = (elementwise, products)  # which have been installed: the augmented ones are made of them
for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
):
    install_method(f"__i{_name}__", _in_place(_name))
install_method("__setitem__", setitem)
install_method("__copy__", copied)
install_method("__deepcopy__", lambda self, memo: copied(self))
install_method("copy", lambda self, order="C": copied(self, order))
OUT.append(write_out)
