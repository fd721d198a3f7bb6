"""How NumPy's functions are made to see traced values inside lists, and to refuse what they would lose."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.errors import missing_rule
from autodiff.core.tables import FUNCTIONS
from autodiff.numpy.building import array, first_traced, is_traced

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Ufunc", "exported", "wrap", "wrapped"]

#: Functions of a sequence of arrays, whose shapes may differ (such a list is not one array): its place and name.
_OF_SEQUENCES: dict[str, tuple[int, tuple[str, ...]]] = {
    **dict.fromkeys(("concatenate", "concat", "stack"), (0, ("arrays", "seq"))),
    **dict.fromkeys(("vstack", "hstack", "dstack", "column_stack", "row_stack"), (0, ("tup",))),
    "choose": (1, ("choices",)),
    "histogramdd": (0, ("sample",)),
    "lexsort": (0, ("keys",)),
    "multi_dot": (0, ("arrays",)),
    "piecewise": (2, ("funclist",)),
    "select": (1, ("choicelist",)),
}
#: Functions that look at what an object is, not at its numbers.
_PASSING = frozenset({"info", "isfortran", "isscalar", "iterable", "typename", "shares_memory", "may_share_memory"})
_FUNCTION_TYPES = (types.FunctionType, types.BuiltinFunctionType, type(np.sum))
_SPECIAL = frozenset({"__array_api_version__", "__array_namespace_info__", "__version__"})


def exported(module: Any) -> list[str]:
    """Names that ``from module import *`` gives."""
    return list(getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")])


def wrapped(module: Any, name: str, here: str) -> Any:
    """Return what `module` calls `name`, made fit for traced values if it is a function."""
    if name.startswith("_") and name not in _SPECIAL:
        raise AttributeError(f"module {here!r} has no attribute {name!r}")
    try:
        value = getattr(module, name)
    except AttributeError:
        raise AttributeError(f"module {here!r} has no attribute {name!r}, nor has {module.__name__!r}") from None
    return wrap(value)


def wrap(function: Any) -> Any:
    """Make a function of NumPy accept traced values anywhere among its arguments; return other objects as they are.

    Examples
    --------
    >>> import autodiff
    >>> mean = wrap(np.mean)
    >>> autodiff.grad(lambda x: mean([x, x * x, 1.0]))(2.0)
    np.float64(1.6666666666666665)
    """
    if isinstance(function, np.ufunc):
        return Ufunc(function)
    if not isinstance(function, _FUNCTION_TYPES):
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(map(is_traced, args)) or (kwargs and any(map(is_traced, kwargs.values()))):
            return _traced(function, args, kwargs)
        return function(*args, **kwargs)

    return call


class Ufunc:
    """A NumPy ufunc, and its methods, that look into lists.

    Examples
    --------
    >>> import autodiff
    >>> add = wrap(np.add)
    >>> autodiff.grad(lambda x: add.reduce([x, 3 * x]))(1.0)
    np.float64(4.0)
    """

    def __init__(self, ufunc: np.ufunc) -> None:
        self._ufunc = ufunc
        functools.update_wrapper(self, ufunc)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the ufunc."""
        for x in args:
            if isinstance(x, (list, tuple)):
                return self._ufunc(*map(_joined, args), **kwargs)
        return self._ufunc(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._ufunc, name)
        return _method(value) if callable(value) else value

    def __repr__(self) -> str:
        return repr(self._ufunc)

    def __reduce__(self) -> Any:
        return wrap, (self._ufunc,)


def _method(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return method(*map(_joined, args), **kwargs)

    return call


def _joined(x: Any) -> Any:
    """Return a list that holds traced values as one array, anything else as it is."""
    return array(x) if isinstance(x, (list, tuple)) and is_traced(x) else x


def _traced(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function of which some argument is, or holds, a traced value."""
    name = function.__name__
    if name in _PASSING:
        return function(*args, **kwargs)
    place, names = _OF_SEQUENCES.get(name, (-1, ()))
    if name != "block":  # nested lists are what block is about
        args = tuple([(_entries_joined if i == place else _joined)(x) for i, x in enumerate(args)])
        kwargs = {key: (_entries_joined if key in names else _joined)(x) for key, x in kwargs.items()}
    if function in FUNCTIONS or isinstance(function, _FUNCTION_TYPES[-1]):
        # Not by calling it: NumPy looks at some arguments only, and np.full_like(a, x) would not ask x.
        x = first_traced((*args, *kwargs.values()))
        return x.__array_function__(function, (type(x),), args, kwargs)
    raise missing_rule(f"np.{name}")


def _entries_joined(x: Any) -> Any:
    return type(x)(map(_joined, x)) if type(x) in {list, tuple} else x
