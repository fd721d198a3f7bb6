"""Arrays of other libraries: the one place that says where a value lives.

A rule is written with NumPy's functions, and these hand the call over to an array that is not NumPy's own (CuPy's, or
one of the array API standard in `autodiff.core.standard`), as they do to tracers. What does not dispatch is the
making of an array from nothing: a rule that needs zeros or positions beside a value calls `made`, which makes them
where the value lives. NumPy numbers and Python numbers belong to every device; NumPy arrays to the host alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.errors import DeviceError, describe, user_line
from autodiff.core.level import REFUSE, Traced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "CONVERTED",
    "HOST",
    "adopted",
    "array_of",
    "as_operand",
    "bottom",
    "device_of",
    "foreign",
    "is_array",
    "made",
    "mixed",
    "on_host",
    "refuse_mixed_sweep",
    "refuse_mixture",
    "released",
]


#: Types whose values are known to be NumPy's or numbers: the short way.
HOST = frozenset({np.ndarray, np.float64, np.float32, float, complex, int})

#: Types of operands that a traced array converts with `as_operand`; grows with the libraries that are met.
CONVERTED: set[type] = {list, tuple}


def bottom(x: Any) -> Any:
    """Return the array or number below every level of tracing; None if only its shape is known."""
    while isinstance(x, Traced):
        kind = type(x).__name__
        if kind == "Recorded":  # not `primal`, which notes that the program has read it
            x = x.step.value  # type: ignore[attr-defined]
        elif kind == "Stored":
            x = x.level.read()  # type: ignore[attr-defined]
        else:
            x = getattr(x, "value" if kind == "Batched" else "primal", None)
    return x


def foreign(x: Any) -> bool:
    """Whether a plain value is an array of another library, to which NumPy's functions hand over."""
    kind = type(x)
    return kind is not np.ndarray and hasattr(kind, "__array_function__") and not isinstance(x, (np.ndarray, Traced))


def adopted(x: Any) -> Any:
    """Return an array that only its own namespace understands as one that NumPy's functions can work on."""
    kind = type(x)
    if kind in HOST or hasattr(kind, "__array_function__") or not hasattr(kind, "__array_namespace__"):
        return x
    if isinstance(x, np.generic):
        return x
    importlib.import_module("autodiff.core.standard_functions")
    CONVERTED.add(kind)
    return importlib.import_module("autodiff.core.standard").Standard(x)


def released(x: Any) -> Any:
    """Return an array as its library made it."""
    return x.raw if type(x).__name__ == "Standard" else x


def as_operand(x: Any) -> Any:
    """Return the operand of a traced array as an array: of a list, or of a library that knows no NumPy."""
    return np.asarray(x) if type(x) in (list, tuple) else adopted(x)


def made(make: Callable[..., Any], like: Any, *args: Any, **options: Any) -> Any:
    """Make an array where the value `like` lives: ``made(np.zeros, like, shape, dtype)``.

    Anything that is neither a tracer nor an array of another library stands for the host.
    """
    if type(like) is not np.ndarray:
        like = bottom(like)
        if foreign(like):
            # Not with ``like=``: NumPy's ones, full and eye hand on ``device=`` with it, which CuPy's do not take.
            y = like.__array_function__(make, (type(like),), args, options)
            if y is NotImplemented:
                raise TypeError(f"np.{make.__name__} has no implementation for {type(like).__module__}")
            return y
    return make(*args, **options)


def array_of(x: Any) -> Any:
    """Return an array or a tracer as it is, and anything else (a number, a list) as an array of NumPy."""
    if type(x) is np.ndarray or hasattr(type(x), "__array_function__"):
        return x
    x = adopted(x)
    return x if foreign(x) else np.asarray(x)


def is_array(x: Any) -> bool:
    """Whether a value is an array, of NumPy or of another library, and no tracer."""
    return isinstance(x, np.ndarray) or foreign(x)


def on_host(x: Any) -> bool:
    """Whether a value, traced or not, is NumPy's or a number."""
    return type(x) is np.ndarray or not foreign(bottom(x))


def device_of(x: Any) -> str | None:
    """Name of the device on which an array lives; None for numbers, which belong to every device."""
    x = bottom(x)
    if foreign(x):
        kind = type(x)
        device = getattr(x, "device", None)
        return f"{kind.__module__.split('.')[0]} {device if device is not None else kind.__name__}"
    return "cpu" if isinstance(x, np.ndarray) else None


def refuse_mixture(name: str, args: Iterable[Any]) -> None:
    """Raise if the arguments of an operation live on different devices.

    Raises
    ------
    DeviceError
        Names the operation and the first two arguments that are on different devices.
    """
    found = mixed(_labelled(args, "argument {}"))
    if found is not None:
        raise DeviceError(f"{name}: {found}") from None


def _labelled(args: Iterable[Any], label: str) -> Iterator[tuple[str, Any]]:
    """Name arguments by their positions, those in lists too: ``argument 0[1]``."""
    for i, x in enumerate(args):
        if type(x) in (list, tuple):
            yield from _labelled(x, label.format(i) + "[{}]")
        else:
            yield label.format(i), x


def refuse_mixed_sweep(error: TypeError) -> None:
    """Raise if an adjoint met what its step had kept on another device: the error of a sweep says only that it failed.

    Raises
    ------
    DeviceError
        Names the operation, and the adjoint and the value that are on different devices.
    """
    at = None if isinstance(error, DeviceError) else error.__traceback__
    while at is not None:
        found = at.tb_frame.f_locals
        node: Any = found.get("node")
        ct = found.get("ct")
        if hasattr(node, "parents") and ct is not None:
            kept = [(f"argument {i} (kept for it)", x) for i, x in enumerate(node.args or ())]
            others = ("its value", node.y), ("another adjoint of it", found.get("have"))
            mixture = mixed([("the adjoint of its value", ct), *kept, *others])
            if mixture is not None:
                name = getattr(node.op, "name", "the argument")
                raise DeviceError(
                    f"gradient of {name}: {mixture} A number of the host may enter an operation on a device; if "
                    "it was computed from arrays of the host, autodiff.device_put(number, ...) brings its adjoint back."
                ) from error
        at = at.tb_next


def mixed(arguments: Iterable[tuple[Any, Any]]) -> str | None:
    """Say which two arguments live on different devices, and what to do; None if all are together."""
    first: tuple[Any, str] | None = None
    for label, x in arguments:
        device = device_of(x)
        if device is None:
            continue
        shown = f"{label} ({describe(x)})"
        if first is None:
            first = shown, device
        elif device != first[1]:
            target = "cpu" if first[1] == "cpu" else "cuda"
            return (
                f"{first[0]} is on {first[1]} and {shown} on {device}{user_line()}. Nothing is copied between devices "
                f"unasked: move one of them with autodiff.device_put(..., {target!r})."
            )
    return None


REFUSE.append(refuse_mixture)
