"""CuPy's own functions on traced arrays: ``cp.sum(cp.sin(x) ** 2)`` in a program that is differentiated.

NumPy's functions ask their arguments whether one of them knows better (``__array_function__``); CuPy's do not. What
they do with an object that is not theirs, as read in CuPy 13 to 15:

- A ufunc (``cp.sin``) and an `ElementwiseKernel` call ``__cupy_override_elementwise_kernel__`` of the first argument
  that has it. Tracers get this method here, so a ufunc stays the object that it is.
- A function written in Python (``cp.sum``, ``cp.linalg.solve``) calls methods of its arguments, checks their type or
  hands them to compiled code. So the first transform after CuPy was imported teaches each public one: its code is
  replaced by code that looks for a traced argument, and calls the original one if there is none. The function keeps
  its identity, name, signature and documentation, also for a program that has imported it by name before.
- A compiled function (``cp.size``), and a Python function that is a closure, is replaced in its module.

A traced call goes to NumPy's function of the same name, as `autodiff.numpy` has it: the rules are the same, and only
the names of some parameters differ. What has no counterpart in NumPy, or no rule, is an error that says so; a kernel of
one's own needs `custom_jvp` or `custom_vjp`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import threading
import types
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from autodiff.core.backend import bottom, device_of, foreign
from autodiff.core.errors import ConversionError, DeviceError, MissingRuleError, describe, user_line, writing
from autodiff.core.level import Traced
from autodiff.core.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["forget", "refusal", "teach"]

#: Modules whose public functions are taught once they are imported, and where their counterparts are.
MODULES = {
    "cupy": "autodiff.numpy",
    "cupy.linalg": "autodiff.numpy.linalg",
    "cupy.fft": "autodiff.numpy.fft",
    "cupy.lib.stride_tricks": "numpy.lib.stride_tricks",
    "cupy.random": "",
    "cupyx": "",
    "cupyx.scipy.special": "autodiff.scipy.special",
    "cupyx.scipy.linalg": "autodiff.scipy.linalg",
    "cupyx.scipy.signal": "autodiff.scipy.signal",
}
#: Functions that NumPy has under another name.
ELSEWHERE = {"product": "prod", "cumproduct": "cumprod", "round_": "round", "trapz": "trapezoid"}
ELSEWHERE |= {"alltrue": "all", "sometrue": "any"}
#: Functions of the module itself that are compiled, and some whose own arithmetic with a traced number is right.
_COMPILED = frozenset({"size", "min_scalar_type", "from_dlpack"})
_ARITHMETIC = frozenset({"fftfreq", "rfftfreq"})


class Taught(NamedTuple):
    """What a module was before its functions were taught."""

    module: Any
    code: dict[types.FunctionType, types.FunctionType]  # a function, and a twin with its own code
    replaced: list[tuple[Any, str, Any]]  # an object, a name, and what it held there


_taught: dict[str, Taught] = {}
#: Where a ufunc is to be found: the module and the name.
_ufuncs: dict[Any, tuple[str, str]] = {}
_lock = threading.Lock()
_LISTS = frozenset({list, tuple})


def teach() -> None:
    """Teach the modules of CuPy that have been imported since the last call; the others are left alone."""
    for name in MODULES:
        module = sys.modules.get(name)
        known = _taught.get(name)
        if module is None or (known is not None and known.module is module) or _unfinished(module):
            continue
        with _lock:
            if name not in _taught or _taught[name].module is not module:
                _taught[name] = _teach(name, module)


def _unfinished(module: Any) -> bool:
    """Whether a module is yet to be loaded (CuPy makes `cupyx` known without), or another thread is importing it."""
    return type(module).__name__ == "_LazyModule" or getattr(getattr(module, "__spec__", None), "_initializing", False)


def forget() -> None:
    """Give every function its own code back."""
    with _lock:
        for _, code, replaced in _taught.values():
            for function, twin in code.items():
                function.__code__, function.__kwdefaults__ = twin.__code__, twin.__kwdefaults__
                function.__dict__.clear()
                function.__dict__.update(twin.__dict__)
            for owner, name, value in replaced:
                setattr(owner, name, value)
        _taught.clear()
        _ufuncs.clear()


def _teach(where: str, module: Any) -> Taught:
    taught = Taught(module, {}, [])
    for name, value in list(vars(module).items()):
        kind = type(value)  # not what the object says of itself: `cp.testing` would be imported
        if name.startswith("_") or name in _ARITHMETIC or issubclass(kind, type):
            continue
        if kind is types.FunctionType:
            if value.__module__.partition(".")[0] == where.partition(".")[0]:
                _teach_function(where, name, value, taught)
        elif name in _COMPILED and where == "cupy":
            _replace(where, name, value, taught)
        elif hasattr(kind, "nin"):
            _ufuncs.setdefault(value, (where, name))
        elif isinstance(kind.__dict__.get("__call__"), types.FunctionType):
            _ufuncs.setdefault(value, (where, name))
            _teach_class(kind, taught)
    fusion = getattr(sys.modules.get("cupy._core.fusion"), "Fusion", None)
    if where == "cupy" and fusion is not None:
        _unfuse(fusion, taught)
    return taught


def _teach_function(where: str, name: str, function: types.FunctionType, taught: Taught) -> None:
    if function in taught.code or any(function in other.code for other in _taught.values()):
        return  # `cp.concat` is `cp.concatenate`
    if function.__closure__:
        _replace(where, name, function, taught)
        return
    own = getattr(sys.modules[where], function.__name__, None)
    twin = _copied(function)
    taught.code[function] = twin
    _give(function, twin, _caller(twin, where, function.__name__ if own is function else name))


def _teach_class(cls: type, taught: Taught) -> None:
    """Teach the calls of a class written in Python whose objects are functions, such as that of ``cp.matmul``."""
    call: types.FunctionType = cls.__dict__["__call__"]
    if call in taught.code:
        return
    twin = _copied(call)
    taught.code[call] = twin

    def called(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        traced = any(map(_holds, args)) or any(map(_holds, kwargs.values()))
        return _elementwise(args[0], args[1:], kwargs) if traced else twin(*args, **kwargs)

    _give(call, twin, called)


def _copied(function: types.FunctionType) -> types.FunctionType:
    twin = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    twin.__kwdefaults__, twin.__doc__ = function.__kwdefaults__, function.__doc__
    twin.__module__, twin.__qualname__ = function.__module__, function.__qualname__
    twin.__dict__.update(function.__dict__)
    return twin


def _give(function: types.FunctionType, twin: types.FunctionType, call: Callable[..., Any]) -> None:
    """Let a function run `call`. Another thread that calls it meanwhile runs the one or the other."""
    function.__wrapped__ = twin  # type: ignore[attr-defined]  # what `inspect` and `help` show
    function.__kwdefaults__ = {**(function.__kwdefaults__ or {}), "__autodiff__": (twin, Tracer, _LISTS, call)}
    function.__code__ = _forward.__code__.replace(co_name=function.__name__, co_qualname=function.__qualname__)


def _forward(*args: Any, __autodiff__: Any, **kwargs: Any) -> Any:
    original, tracer, lists, call = __autodiff__
    for x in args:
        if isinstance(x, tracer) or type(x) in lists:
            return call(args, kwargs)
    return call(args, kwargs) if kwargs else original(*args)


def _replace(where: str, name: str, function: Any, taught: Taught) -> None:
    call = _caller(function, where, name)

    @functools.wraps(function)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        return call(args, kwargs)

    taught.replaced.append((taught.module, name, function))
    setattr(taught.module, name, replacement)


def _unfuse(cls: Any, taught: Taught) -> None:
    """Let what ``cp.fuse`` returns call the program's own function where an argument is traced."""
    own = cls.__call__

    @functools.wraps(own)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        traced = any(map(_holds, args)) or any(map(_holds, kwargs.values()))
        return (self.func if traced else functools.partial(own, self))(*args, **kwargs)

    taught.replaced.append((cls, "__call__", own))
    cls.__call__ = call


def _caller(original: Callable[..., Any], where: str, name: str) -> Callable[..., Any]:
    """Return what a function does from now on."""

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if any(map(_holds, args)) or any(map(_holds, kwargs.values())):
            return _traced(original, where, name, args, kwargs)
        return original(*args, **kwargs)

    return call


def _holds(x: Any) -> bool:
    """Whether a value is traced, or a list that holds a traced one; a list of numbers is read at the speed of C."""
    if type(x) not in _LISTS:
        return isinstance(x, Tracer)
    kinds = set(map(type, x))
    if any(issubclass(kind, Tracer) for kind in kinds):
        return True
    return not kinds.isdisjoint(_LISTS) and any(_holds(v) for v in x)


def _all_traced(values: Any) -> Iterator[Any]:
    for x in values:
        if isinstance(x, Tracer):
            yield x
        elif type(x) in _LISTS:
            yield from _all_traced(x)


# -- traced calls --------------------------------------------------------------------------------------------


def _traced(original: Callable[..., Any], where: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the counterpart of a function of which some argument is, or holds, a traced value."""
    full = f"{where}.{name}"
    found = list(_all_traced((*args, *kwargs.values())))
    special = _SPECIAL.get(full)
    if special is not None:
        return special(found)
    _refuse_host(full, found)
    target = _counterpart(where, name)
    if target is None:
        raise _no_counterpart(full, found[0])
    args, kwargs = _renamed(full, original, target, args, kwargs)
    return target(*args, **kwargs)


def _elementwise(kernel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the counterpart of a ufunc; any other kernel has none."""
    where, name = _ufuncs.get(kernel, ("", ""))
    nin = getattr(kernel, "nin", len(args)) if name else len(args) - 1
    out = kwargs.get("out") if len(args) <= nin else args[nin:]
    found = list(_all_traced((*args, *kwargs.values())))
    if out is not None and not _holds(out) and not (isinstance(out, tuple) and out and _holds(out[0])) and name:
        target = out[0] if isinstance(out, tuple) else out
        raise writing(f"{where}.{name} with out= (or an augmented assignment)", found[0], target)
    target = _counterpart(where, name) if name else None
    if target is None:
        raise _no_counterpart(f"{where}.{name}" if name else f"the kernel {getattr(kernel, 'name', '?')}", found[0])
    _refuse_host(f"{where}.{name}", found)
    if len(args) > nin:
        args, kwargs = args[:nin], {**kwargs, "out": out}
    return target(*args, **kwargs)


def _override(_self: Tracer, kernel: Any, *args: Any, **kwargs: Any) -> Any:
    teach()
    return _elementwise(kernel, args, kwargs)


def _scatter_op(self: Tracer, index: Any, value: Any, op: str) -> None:
    """Do what ``cp.add.at`` asks of its first argument."""
    ufunc = {"add": np.add, "max": np.maximum, "min": np.minimum}.get(op)
    if ufunc is None:
        raise MissingRuleError(f"cupy: {op!r} at positions of a traced array has no derivative rule{user_line()}.")
    ufunc.at(self, index, value)


def _add_reduceat(self: Tracer, *args: Any) -> Any:
    """Do what ``cp.add.reduceat`` asks of its first argument."""
    return np.add.reduceat(self, *args)


Tracer.__cupy_override_elementwise_kernel__ = _override  # type: ignore[attr-defined]
Tracer._scatter_op, Tracer._add_reduceat = _scatter_op, _add_reduceat  # type: ignore[attr-defined]


def _counterpart(where: str, name: str) -> Any:
    home = MODULES[where]
    if not home:
        return None
    try:
        return getattr(importlib.import_module(home), ELSEWHERE.get(name, name), None)
    except ImportError:  # SciPy's, which is not installed
        return None


def _refuse_host(name: str, found: list[Any]) -> None:
    """Refuse values in the host's memory, as CuPy refuses NumPy's arrays."""
    for x in found:
        if device_of(x) == "cpu":
            raise DeviceError(
                f"{name}: a traced value ({describe(x)}) is on cpu{user_line()}, and CuPy's functions work on arrays "
                "of a GPU. Use the np.* function, which takes both, or move it with autodiff.device_put(..., 'cuda')."
            )


def _no_counterpart(name: str, x: Any) -> MissingRuleError:
    how = "Write it with functions that NumPy has too, as np.* or cp.*, which take traced arrays alike,"
    if name.startswith("cupy.random."):
        how = "Draw without traced parameters and scale what was drawn (mean + deviation * noise),"
    return MissingRuleError(
        f"{name} has no derivative rule for traced arrays ({describe(x)}){user_line()}. {how} or give it a rule with "
        "autodiff.custom_jvp or autodiff.custom_vjp. If it should be constant, apply autodiff.stop_gradient."
    )


def _array_module(found: list[Any]) -> Any:
    return sys.modules["cupy" if any(foreign(bottom(x)) for x in found) else "numpy"]


def _refuse_copy(found: list[Any]) -> NoReturn:
    raise ConversionError(
        f"cupy.asnumpy: the traced value {describe(found[0])} would lose its derivative{user_line()}. Move it with "
        "autodiff.device_put(x, 'cpu'), which is differentiable."
    )


_SPECIAL: dict[str, Callable[..., Any]] = {
    "cupy.get_array_module": _array_module,
    "cupyx.scipy.get_array_module": _array_module,
    "cupy.asnumpy": _refuse_copy,
}


# -- the names of parameters ---------------------------------------------------------------------------------


@functools.cache
def _parameters(function: Any) -> tuple[inspect.Parameter, ...] | None:
    try:
        return tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def _renamed(
    name: str, original: Any, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments for CuPy's parameters as NumPy calls them.

    Where both have a parameter at the same place, and neither of the names is the other's for something else, the two
    are the same one. What NumPy has not is left out if it is the default.
    """
    own, other = _parameters(original), _parameters(target)
    if own is None or other is None or any(p.kind in _OPEN for p in (*own, *other)):
        return args, kwargs
    try:
        bound = inspect.Signature(own).bind(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    mine, theirs = {p.name: p for p in own}, {p.name: p for p in other}
    by_place: list[Any] = []
    by_name: dict[str, Any] = {}
    for place, p in enumerate(own):
        if p.name not in bound:
            continue
        called, there = p.name, other[place] if place < len(other) else None
        if there is not None and inspect.Parameter.KEYWORD_ONLY in {p.kind, there.kind}:
            there = None
        if called not in theirs and there is not None and there.name not in mine:
            called = there.name
        if called not in theirs:
            if bound[p.name] is not p.default:
                raise MissingRuleError(f"{name}: the keyword {p.name}= is not known for traced arrays{user_line()}.")
        elif there is not None and there.name == called and len(by_place) == place:
            by_place.append(bound[p.name])
        else:
            by_name[called] = bound[p.name]
    return tuple(by_place), by_name


_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


# -- what CuPy refuses in compiled code ----------------------------------------------------------------------


def refusal(error: TypeError) -> ConversionError | None:
    """Return the engine's error for one of CuPy's that names a tracer's class, if it is such a one.

    Methods of CuPy's arrays (``c.dot(x)``), reduction kernels and raw kernels are compiled code, which says only that
    it cannot take the type.
    """
    text = str(error)
    refused = any(words in text for words in ("nsupported type", "incorrect type", "nvalid argument type"))
    if not refused or not any(cls.__name__ in text for cls in _subclasses(Traced)):
        return None
    return ConversionError(
        f"CuPy was given a traced value{user_line()}, which its compiled code cannot take ({text}). Call a function "
        "rather than a method of a plain array (np.dot(c, x) or cp.dot(c, x), not c.dot(x)); a kernel of your own "
        "needs a rule: autodiff.custom_jvp or autodiff.custom_vjp."
    )


def _subclasses(cls: type[Any]) -> set[type[Any]]:
    return {cls}.union(*map(_subclasses, cls.__subclasses__()))
