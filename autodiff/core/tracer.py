"""What every tracer shares: it behaves like the NumPy array that it stands for.

Operators, ufuncs (``__array_ufunc__``), NumPy functions (``__array_function__``) and array methods all end in
`Operation` calls. The tables are filled by `autodiff.ops`; this file knows no operation by name.
"""

from __future__ import annotations

import importlib
import inspect
import math
import operator
import sys
import types
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from autodiff.core.backend import CONVERTED, as_operand, refuse_mixture
from autodiff.core.errors import (
    DifferentiationError,
    assignment,
    conversion,
    describe,
    leaked_tracer,
    missing_attribute,
    missing_rule,
    writing,
)
from autodiff.core.level import Traced
from autodiff.core.tables import FUNCTIONS, UFUNC_METHODS, UFUNCS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Tracer", "install_method", "install_operator"]

#: NumPy functions that change their first argument.
_IN_PLACE = frozenset({np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask})


class Tracer(Traced):
    """A stand-in for an array inside a transform.

    The slots are empty until a view is made of the array, or it is one itself (`autodiff.core.assignment`).
    """

    __slots__ = ("__weakref__", "_base", "_views")
    shape: Any
    dtype: Any

    # -- what NumPy calls ---------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if len(inputs) > 1 and (type(inputs[0]) in CONVERTED or type(inputs[1]) in CONVERTED) and method != "at":
            inputs = tuple([as_operand(x) if type(x) in CONVERTED else x for x in inputs])
        if method == "__call__" and not kwargs:
            op = UFUNCS.get(ufunc)
            if op is not None:
                return op(*inputs)
        return self._uncommon_ufunc(ufunc, method, inputs, kwargs)

    def _uncommon_ufunc(self, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = ufunc_name(ufunc)
        out = kwargs.pop("out", None)
        if out is not None and any(o is not None for o in out):
            return self._ufunc_into(ufunc, method, inputs, kwargs, out)
        if method != "__call__":
            rule = UFUNC_METHODS.get(method)
            if rule is None:
                raise missing_rule(f"{name}.{method}", ufunc=True)
            return rule(ufunc, *inputs, **kwargs)
        op = UFUNCS.get(ufunc) or _learned(ufunc, name)
        where = kwargs.pop("where", True)
        dtype = kwargs.pop("dtype", None)
        kwargs = {k: v for k, v in kwargs.items() if k not in {"casting", "order", "subok"}}
        if where is not True or (kwargs and ufunc.signature is None):
            keyword = "where" if where is not True else next(iter(kwargs))
            raise missing_rule(name, f" with the keyword {keyword}=", ufunc=True)
        if dtype is not None:
            inputs = tuple(x.astype(dtype) if hasattr(x, "astype") else np.asarray(x, dtype) for x in inputs)
        return op(*inputs, **kwargs)  # axis=, axes=, keepdims= of a generalised ufunc

    def _ufunc_into(
        self, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any], out: tuple[Any, ...]
    ) -> Any:
        """Apply a ufunc and write the result into ``out``."""
        what = ufunc_name(ufunc) if method == "__call__" else f"{ufunc_name(ufunc)}.{method}"
        if not any(isinstance(target, Tracer) for target in out):
            what = f"{what} with out= (or an augmented assignment)"
        else:
            what = f"{what} with out="
        where = kwargs.pop("where", True) if method == "__call__" else True
        if any(isinstance(x, Tracer) for x in inputs):
            result = self._uncommon_ufunc(ufunc, method, inputs, kwargs)
        else:
            result = getattr(ufunc, method)(*inputs, **kwargs)
        return OUT[0](what, result, out, where)

    def __array_function__(self, func: Any, _types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        rule = FUNCTIONS.get(func)
        if rule is None:
            raise _unknown_function(func, args)
        try:
            if (kwargs and "out" in kwargs) or len(args) > 2 or (len(args) == 2 and func in _EARLY):
                return _into_out(func, rule, args, kwargs)
            return rule(*args, **kwargs)
        except TypeError:
            refuse_mixture(_qualified(func), (*args, *kwargs.values()))
            raise

    def settled(self) -> Any:
        """Return the value of this handle as an object that no program holds, and so none can assign to."""
        cls = type(self)
        twin = cls.__new__(cls)
        twin.level = self.level
        for name in slots_of(cls):
            setattr(twin, name, getattr(self, name))
        return twin

    # -- attributes ---------------------------------------------------------------------------------------

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return int(np.dtype(self.dtype).itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.itemsize

    # -- the Python array API standard --------------------------------------------------------------------

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        """Return `autodiff.array_api`, the namespace of the standard for traced and plain arrays."""
        xp = importlib.import_module("autodiff.array_api")
        if api_version not in xp.SUPPORTED_VERSIONS:
            raise ValueError(
                f"__array_namespace__: unknown api_version {api_version!r}; {xp.__array_api_version__} is."
            )
        return xp

    @property
    def device(self) -> Any:
        """Where the values are: ``"cpu"``."""
        return getattr(concrete(self), "device", "cpu") if hasattr(self, "primal") else "cpu"

    def to_device(self, device: Any, /, *, stream: Any = None) -> Tracer:
        """Return the array itself, which is where it can be."""
        if device != self.device or stream is not None:
            raise ValueError(f"to_device: {describe(self)} is on {self.device!r} and cannot go to {device!r}.")
        return self

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> NoReturn:
        raise self.refuse("__dlpack__() (np.from_dlpack, or another library's)")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # kDLCPU, number 0

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a traced scalar")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError(f"iteration over a traced scalar ({describe(self)})")
        return (self[i] for i in range(self.shape[0]))

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError  # installed by autodiff.ops.indexing

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))

    def __repr__(self) -> str:
        inner = getattr(self, "primal", None)
        shown = describe(self) if inner is None else repr(inner)
        return f"{type(self).__name__}({shown}, depth={self.level.depth})"

    def __format__(self, spec: str) -> str:
        inner = getattr(self, "primal", None)
        return repr(self) if inner is None or not spec else format(inner, spec)

    # -- what would lose the derivative -------------------------------------------------------------------

    def __bool__(self) -> bool:
        if self.level.closed:
            raise self.refuse("bool()")
        return bool(self.primal)

    def refuse(self, what: str) -> DifferentiationError:
        """Return the error for a conversion `what`; levels without values say more."""
        return leaked_tracer(what, self.level.transform) if self.level.closed else conversion(what, self)

    def __float__(self) -> NoReturn:
        raise self.refuse("float() (or math.*, or ndarray[i] = traced value)")

    def __int__(self) -> NoReturn:
        raise self.refuse("int() (or ndarray[i] = traced value)")

    def __complex__(self) -> NoReturn:
        raise self.refuse("complex() (or cmath.*, or ndarray[i] = traced value)")

    def __index__(self) -> NoReturn:
        raise self.refuse("use as an index")

    def __trunc__(self) -> NoReturn:
        raise self.refuse("math.trunc()")

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise self.refuse("np.asarray() or np.array(), also of a list (or ndarray[...] = traced value)")

    def item(self, *_args: Any) -> NoReturn:
        """Refuse: a Python number cannot carry a derivative."""
        raise self.refuse(".item()")

    def tolist(self) -> NoReturn:
        """Refuse: Python numbers cannot carry derivatives."""
        raise self.refuse(".tolist()")

    def __getattr__(self, name: str) -> NoReturn:
        raise missing_attribute(self, name)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise NotImplementedError  # installed by autodiff.ops.assigning

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> NoReturn:
        raise DifferentiationError(f"pickle: a traced value ({describe(self)}) exists only inside its transform.")


def ufunc_name(ufunc: np.ufunc) -> str:
    """Name of a ufunc as users write it."""
    for module, place in (("numpy", "np"), ("scipy.special", "scipy.special")):
        if getattr(sys.modules.get(module), ufunc.__name__, None) is ufunc:
            return f"{place}.{ufunc.__name__}"
    return f"the ufunc {ufunc.__name__}"


def _learned(ufunc: np.ufunc, name: str) -> Callable[..., Any]:
    """Rule of a ufunc that was not met before: SciPy's get theirs now, others have none."""
    found = importlib.import_module("autodiff.scipy._missing").special_ufunc(ufunc)
    if found is None:
        raise missing_rule(name, ufunc=True)
    return found  # type: ignore[no-any-return]


#: How a result gets into a traced array, ``OUT[0](what, result, out)``; set by `autodiff.ops.assigning`.
OUT: list[Callable[..., Any]] = []
#: Functions whose second argument is `out`.
_EARLY = frozenset({np.fix, np.isneginf, np.isposinf})
_OUT_POSITIONS: dict[Any, int] = {}


def _into_out(func: Any, rule: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a NumPy function that may have been given ``out``, by keyword or by position."""
    at = _OUT_POSITIONS.get(func)
    if at is None:
        at = _OUT_POSITIONS[func] = _out_position(func)
    out = kwargs.pop("out", None)
    if at < len(args):
        out, args = args[at], (*args[:at], *((None,) if len(args) > at + 1 else ()), *args[at + 1 :])
    if out is None:
        return rule(*args, **kwargs)
    what = f"{_qualified(func)} with out="
    traced = any(isinstance(x, Tracer) for x in (*args, *kwargs.values()))
    return OUT[0](what, (rule if traced or func not in FUNCTIONS else func)(*args, **kwargs), out)


def _out_position(func: Any) -> int:
    """Position of the argument `out` of a NumPy function; a number past all arguments if it has none."""
    try:
        parameters = list(inspect.signature(func).parameters.values())
    except (TypeError, ValueError):
        return 99
    return next((i for i, p in enumerate(parameters) if p.name == "out" and p.kind is p.POSITIONAL_OR_KEYWORD), 99)


def _first_traced(values: Any) -> Any:
    """Return the first traced value (None: they are all inside lists, or in `out` itself)."""
    return next((x for x in values if isinstance(x, Tracer)), None)


def _qualified(func: Any) -> str:
    """Name of a NumPy function as users write it."""
    return f"{getattr(func, '__module__', 'numpy').replace('numpy', 'np', 1)}.{func.__name__}"


def _unknown_function(func: Any, args: tuple[Any, ...]) -> DifferentiationError:
    """Return the error for a NumPy function without a rule."""
    name = _qualified(func)
    if func not in _IN_PLACE:
        return missing_rule(name)
    return assignment(name, args[0]) if isinstance(args[0], Tracer) else writing(name, _first_traced(args), args[0])


def slots_of(cls: type) -> list[str]:
    """Names in which a tracer of this class keeps what it stands for."""
    names: list[str] = []
    for base in cls.__mro__[: cls.__mro__.index(Tracer)]:
        own = base.__dict__.get("__slots__", ())
        names += [own] if isinstance(own, str) else own
    return names


def install_operator(name: str, op: Callable[[Any, Any], Any], *, reflected: bool = True) -> None:
    """Make ``tracer <name> other`` (and the reflected form) call `op`.

    The in-place forms, ``y += x``, are made of these by `autodiff.ops.assigning`.
    """

    def method(self: Any, other: Any) -> Any:
        return op(self, other) if type(other) not in CONVERTED else op(self, as_operand(other))

    def reflect(self: Any, other: Any) -> Any:
        return op(other, self) if type(other) not in CONVERTED else op(as_operand(other), self)

    setattr(Tracer, f"__{name}__", method)
    if reflected:
        setattr(Tracer, f"__r{name}__", reflect)


def install_method(name: str, function: Callable[..., Any]) -> None:
    """Give every tracer the array method `name`, called as ``function(self, ...)``."""
    if not isinstance(function, (property, types.FunctionType)):
        operation = function  # an operation is no descriptor: give it a function that is
        function = lambda self: operation(self)  # noqa: E731, PLW0108
    setattr(Tracer, name, function)


def concrete(x: Any) -> Any:
    """Value of `x` with every level of tracing removed; a value known by shape alone is returned as it is."""
    while isinstance(x, Tracer):
        inner = getattr(x, "primal", None)
        if inner is None:
            return x
        x = inner
    return x


def as_int(x: Any) -> int:
    """Return a static integer argument (an axis, a count), which may come as a NumPy integer."""
    return operator.index(x)
