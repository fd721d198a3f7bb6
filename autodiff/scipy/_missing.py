"""The error for a function that SciPy has and `autodiff.scipy` lacks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from autodiff.core.errors import MissingRuleError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MissingFunctionError", "missing_function"]


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
    closest = f"Closest: {instead[name]}. " if name in instead else ""
    return MissingFunctionError(
        f"{mirror} has no {name}: its derivative is not known here. {closest}Or give {module}.{name} a rule with "
        f"autodiff.custom_jvp (its value is called on plain arrays); where it should be constant, call it on "
        "autodiff.stop_gradient of the arguments."
    )
