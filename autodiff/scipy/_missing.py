"""The error for a function that SciPy has and `autodiff.scipy` lacks."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from autodiff.core.errors import MissingRuleError, user_line
from autodiff.core.tables import UFUNCS

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Mapping

    import numpy as np

__all__ = ["MissingFunctionError", "counterpart", "missing_function", "special_ufunc"]


class MissingFunctionError(MissingRuleError, AttributeError):
    """A function of SciPy for which `autodiff.scipy` has no counterpart."""


def missing_function(module: str, name: str, instead: Mapping[str, str]) -> AttributeError:
    """Return the error for an attribute that the mirror of a SciPy module lacks.

    Parameters
    ----------
    module
        The SciPy module, ``"scipy.special"``.
    name
        What was asked for.
    instead
        The closest thing to do, for the names where there is one.

    Returns
    -------
    AttributeError
        A `MissingFunctionError` with the advice, if SciPy has the name; else a plain one. For the caller to raise,
        from the module's ``__getattr__``.

    Examples
    --------
    >>> error = missing_function("scipy.special", "kelvin", {"kelvin": "kv of a complex argument"})
    >>> str(error).split(". ")[1]
    'Closest: kv of a complex argument'
    """
    mirror = f"autodiff.{module}"
    known = not name.startswith("_") and name in dir(importlib.import_module(module))
    if not known and name not in instead:
        return AttributeError(f"module {mirror!r} has no attribute {name!r}")
    closest = f"Closest: {instead[name]}. Or give" if name in instead else "Give"
    return MissingFunctionError(
        f"{mirror} has no {name}: its derivative is not known here{user_line()}. {closest} {module}.{name} a "
        f"rule with autodiff.custom_jvp (its value is called on plain arrays); where it should be constant, call it on "
        "autodiff.stop_gradient of the arguments."
    )


def special_ufunc(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """Return what a ufunc of ``scipy.special`` does on traced arrays; None, if it is not from there.

    The first of them that is met loads `autodiff.scipy.special`, which registers them all.

    Raises
    ------
    MissingFunctionError
        For a ufunc of ``scipy.special`` without a rule.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.special
    >>> special_ufunc(scipy.special.erfc).name, special_ufunc(np.frompyfunc(abs, 1, 1))
    ('erfc', None)
    """
    theirs, name = sys.modules.get("scipy.special"), ufunc.__name__
    if theirs is None or not any(getattr(m, name, None) is ufunc for m in (theirs, getattr(theirs, "_ufuncs", None))):
        return None
    mirror = importlib.import_module("autodiff.scipy.special")
    if ufunc not in UFUNCS and not name.startswith("_"):
        getattr(mirror, name)  # raises the error that says what to do
    return UFUNCS.get(ufunc)


def counterpart() -> str:
    """Return what to do in place of the function of SciPy that turns a traced array into a plain one just now.

    Returns
    -------
    str
        A sentence for the end of an error's text; empty, if no function of SciPy is at work nearer than the program.
    """
    called: list[types.FrameType] = []
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        package = frame.f_globals.get("__name__", "").split(".")[0]
        if package == "scipy":
            called.append(frame)
        elif called or package not in {"autodiff", "numpy", "contextlib"}:
            break
        frame = frame.f_back
    public = (pair for f in reversed(called) for pair in _names(f) if _is_public(*pair))
    found = next(public, None)
    return "" if found is None else _advice(*found)


def _names(frame: types.FrameType) -> list[tuple[str, str]]:
    """What a frame of SciPy may be at work on, as submodule and name: its own function or class, or one it wraps."""
    found = [(frame.f_globals["__name__"], frame.f_code.co_qualname.split(".")[0])]
    inner = (frame.f_locals.get(name) for name in ("f", "self"))  # of a decorator, of a callable object
    found += [(getattr(f, "__module__", None) or "", getattr(f, "__name__", "")) for f in inner]
    return [(module.split(".")[1], name) for module, name in found if module.startswith("scipy.")]


def _is_public(module: str, name: str) -> bool:
    return not (module + name).startswith("_") and hasattr(sys.modules[f"scipy.{module}"], name)


def _advice(module: str, name: str) -> str:
    try:
        mirror = getattr(importlib.import_module("autodiff.scipy"), module)
        getattr(mirror, name)
    except MissingFunctionError as error:
        return f"{error}"
    return f"scipy.{module}.{name} takes plain arrays alone: use autodiff.scipy.{module}.{name}."
