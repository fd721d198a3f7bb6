"""What the mirrors of SciPy's functions share: SciPy itself on plain arguments, rules on traced ones."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from autodiff.core import Tracer
from autodiff.core.batching import Batched, all_values
from autodiff.core.errors import BatchingError, MissingRuleError, ShapeOnlyError, describe, is_users, user_line
from autodiff.ops.joining import stack
from autodiff.ops.products import as_array

if TYPE_CHECKING:
    from collections.abc import Callable

    _Function = TypeVar("_Function", bound=Callable[..., Any])

__all__ = ["array", "check_finite_values", "has_tracer", "mirrors", "plain", "plain_value", "unsupported"]


def has_tracer(x: Any) -> bool:
    """Whether a traced value is among the arguments, also inside lists, tuples and dicts."""
    if isinstance(x, Tracer):
        return True
    if isinstance(x, (list, tuple)):
        return any(has_tracer(v) for v in x)
    return isinstance(x, dict) and any(has_tracer(v) for v in x.values())


def mirrors(function: Callable[..., Any]) -> Callable[[_Function], _Function]:
    """Make the decorated function SciPy's own where nothing is traced (a decorator); it gets SciPy's signature."""

    def decorate(rule: _Function) -> _Function:
        def call(*args: Any, **kwargs: Any) -> Any:
            if has_tracer(args) or has_tracer(kwargs):
                return rule(*args, **kwargs)
            return function(*args, **kwargs)

        call.__name__, call.__qualname__ = rule.__name__, rule.__qualname__
        call.__module__, call.__doc__ = rule.__module__, rule.__doc__
        call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return call  # type: ignore[return-value]

    return decorate


def array(x: Any) -> Any:
    """Return an array or tracer; a list that holds traced values is stacked."""
    return stack(x) if isinstance(x, (list, tuple)) and has_tracer(x) else as_array(x)


def plain(x: Any) -> Any:
    """Return arguments (also in lists, tuples, dicts) without their derivatives."""
    if isinstance(x, Tracer):
        return plain_value(_caller(), x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*[plain(v) for v in x])
    if isinstance(x, (list, tuple)):
        return type(x)([plain(v) for v in x])
    return {k: plain(v) for k, v in x.items()} if isinstance(x, dict) else x


def _caller() -> str:
    """Name of the mirrored function that is at work."""
    name, frame = "a SciPy function", sys._getframe(1)
    while not is_users(frame) and frame.f_back is not None:
        *package, _module = frame.f_globals.get("__name__", "").split(".")
        if package[:2] == ["autodiff", "scipy"] and hasattr(sys.modules[".".join(package)], frame.f_code.co_name):
            name = f"scipy.{package[2]}.{frame.f_code.co_name}"
        frame = frame.f_back
    return name


def plain_value(name: str, x: Any) -> Any:
    """Return the value of a traced number or array, for a program of SciPy's that must know it."""
    value = x
    while isinstance(value, Tracer):
        inner = getattr(value, "primal", None)
        if inner is None:
            break
        value = inner
    if isinstance(value, Batched):
        raise BatchingError(
            f"{name}: its steps depend on the values, which differ between the examples of a vmap "
            f"({describe(x)}){user_line()}. Call it in a Python loop over the examples and np.stack the results."
        )
    if isinstance(value, Tracer):
        raise ShapeOnlyError(
            f"{name}: its steps depend on the values, and only shape and dtype are known here ({describe(x)})"
            f"{user_line()}."
        )
    return value


def check_finite_values(name: str, check: bool, *arrays: Any) -> None:
    """Raise for infinities and NaN, as SciPy does."""
    for x in arrays if check else ():
        value = all_values(x)
        if not isinstance(value, Tracer) and not np.all(np.isfinite(value)):
            raise ValueError(f"{name}: the array {describe(x)} must not contain infs or NaNs.")


def unsupported(name: str, what: str, instead: str) -> MissingRuleError:
    """Return the error for an option whose derivative is not known."""
    return MissingRuleError(f"{name} on traced arguments: {what} is not supported{user_line()}. {instead}")
