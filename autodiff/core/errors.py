"""The errors of the engine: each names the operation, what it was given, and the fix."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

__all__ = [
    "AssignmentError",
    "BatchingError",
    "ConversionError",
    "DeviceError",
    "DifferentiationError",
    "LeakedTracerError",
    "MissingAttributeError",
    "MissingRuleError",
    "NonlinearError",
    "ShapeOnlyError",
    "TracedIndexError",
]


class DifferentiationError(TypeError):
    """A program, or a call of a transform, that cannot be differentiated as it stands."""


class MissingRuleError(DifferentiationError, NotImplementedError):
    """A NumPy function, ufunc method or keyword for which the engine has no rule."""


class ConversionError(DifferentiationError):
    """A traced value was turned into a plain number or array, which would lose its derivative."""


class AssignmentError(DifferentiationError):
    """An assignment into, or from, a traced array."""


class MissingAttributeError(DifferentiationError, AttributeError):
    """An attribute that plain arrays have and traced arrays have not."""


class TracedIndexError(DifferentiationError, IndexError):
    """A traced value of a floating dtype was used as a position."""


class BatchingError(DifferentiationError):
    """A program under `vmap` asked for one value where there is one for each example."""


class LeakedTracerError(DifferentiationError):
    """A traced value was used after the transform that made it had ended."""


class DeviceError(DifferentiationError, ValueError):
    """Arrays of one operation live on different devices, or one lives where the operation cannot work."""


class NonlinearError(DifferentiationError):
    """A function that must be linear was not."""


class ShapeOnlyError(DifferentiationError):
    """A program asked for values where only shapes and dtypes are known."""


def describe(x: Any) -> str:
    """Shape and dtype of a value for a message, such as ``float64[2,3]``."""
    shape = getattr(x, "shape", None)
    dtype = getattr(x, "dtype", None)
    if shape is None or dtype is None:
        return type(x).__name__
    return f"{dtype}[{','.join(map(str, shape))}]"


#: Packages whose frames are not the program's own.
_NOT_USERS = frozenset({"autodiff", "numpy", "scipy", "contextlib", "cupy", "cupyx"})


def is_users(frame: Any) -> bool:
    """Whether a frame runs the program's own code."""
    return frame.f_globals.get("__name__", "").split(".")[0] not in _NOT_USERS


def user_line() -> str:
    """Where in the user's own code the current call came from: `` (file.py:12)`` or nothing."""
    frame = sys._getframe(1)
    while frame is not None:
        if is_users(frame):
            return f" ({frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno})"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""


def leaked_tracer(operation: str, transform: str) -> LeakedTracerError:
    """The error for a tracer that outlived its transform."""
    return LeakedTracerError(
        f"{operation}: a traced value was used after the {transform} that made it had ended{user_line()}. "
        "It was probably kept in a global, an attribute or a closure. Return it from the differentiated "
        "function instead (has_aux=True returns extra values)."
    )


def conversion(what: str, x: Any) -> ConversionError:
    """The error for ``float(x)`` and its kin."""
    by_scipy = importlib.import_module("autodiff.scipy._missing").counterpart() if "scipy" in sys.modules else ""
    instead = f"{by_scipy} " if by_scipy else ""
    return ConversionError(
        f"{what}: cannot convert the traced value {describe(x)} to a plain Python or NumPy object, because its "
        f"derivative would be lost{user_line()}. {instead}Use the np.* function on the traced value (np.sin, not "
        "math.sin); to combine traced values into an array use np.stack or autodiff.numpy.array, or assign them to one "
        "made from a traced array, as np.zeros_like(x) or np.zeros_like(x, shape=(3, 4)) is; "
        "to use the number alone, apply autodiff.stop_gradient first."
    )


def unmasked(error: ValueError) -> DifferentiationError | None:
    """The engine's own error behind one that NumPy raised in its place, if there is one.

    ``a[0] = x`` for a plain array `a` calls ``float(x)``, and replaces the error that says why this cannot be.
    """
    cause = error.__cause__
    if isinstance(cause, DifferentiationError) and str(error).startswith("setting an array element"):
        return cause.with_traceback(error.__traceback__)
    return None


def assignment(what: str, x: Any) -> AssignmentError:
    """The error for assignment into a traced array."""
    return AssignmentError(
        f"{what}: a traced array ({describe(x)}) cannot be changed in place{user_line()}. "
        "Build the result instead: np.where(mask, new, old), or np.stack, np.concatenate or autodiff.numpy.array "
        "of the parts; y = y + x makes a new array."
    )


def writing(what: str, x: Any, target: Any = None) -> AssignmentError:
    """The error for writing a traced value into a plain array: ``out=``, ``a += x``, ``np.copyto``."""
    into = "" if target is None else f" ({describe(target)})"
    return AssignmentError(
        f"{what}: the traced value {describe(x)} cannot be written into a plain array{into}, which cannot hold its "
        f"derivative{user_line()}. Assign to an array made from a traced one: np.zeros_like(x), np.zeros_like(x, "
        "shape=(3, 4)) or x.copy(). Or make a new array instead: y = y + x rather than y += x, no out=, and "
        "np.stack, np.concatenate, np.broadcast_to or autodiff.numpy.array to build arrays of traced values."
    )


def missing_rule(name: str, detail: str = "", *, ufunc: bool = False) -> MissingRuleError:
    """The error for a NumPy function that the engine does not know."""
    how = f"autodiff.core.elementwise({name}, rule)" if ufunc else f"autodiff.core.implements({name})(function)"
    if name.count(".") > 1 and ufunc:  # a method of a ufunc
        how = f"autodiff.core.tables.UFUNC_METHODS[{name.rpartition('.')[2]!r}]"
    return MissingRuleError(
        f"{name} has no derivative rule for traced arrays{detail}{user_line()}. Write it with functions that have "
        "one, give it a rule with autodiff.custom_jvp or autodiff.custom_vjp, or register one: "
        f"{how}. If it should be constant, apply autodiff.stop_gradient."
    )


_CHANGES = {"byteswap", "fill", "itemset", "partition", "put", "resize", "setfield", "setflags", "sort"}


def missing_attribute(x: Any, name: str) -> AttributeError:
    """The error for an attribute that a traced array lacks, with the reason if arrays have it."""
    if name.startswith("__") or not hasattr(np.ndarray, name):
        return AttributeError(f"{type(x).__name__!r} object has no attribute {name!r}")
    if hasattr(type(x), name):
        return AttributeError(f"reading .{name} of a traced array failed")
    if name in _CHANGES:
        return MissingAttributeError(str(assignment(f"x.{name}()", x)))
    return MissingAttributeError(
        f"x.{name} is not defined for a traced array ({describe(x)}){user_line()}. Use np.* functions on traced "
        "arrays; their memory cannot be read, as its values carry derivatives."
    )
