"""Arrays that change: what assignment into a traced array means.

Values of the engine never change: a node, a residual, the primal of an inner tracer stay what they were. What
changes is the *handle*, the object that the program holds. The first assignment into an array turns its handle
into a `Stored` one (the object stays the same, its class becomes that of arrays that were assigned to), whose level
is a `Store`: a cell with the current value. The store claims every operation on the handle, before any
transform's level, and applies it to the current value. So no operation knows of assignment, and a program
that never assigns pays nothing for it.

Views. As in NumPy, ``row = y[0]`` is a window into `y`, and so are results of ``reshape`` and ``transpose``. A view
remembers its base (`viewed`), and the base knows its living views. When one of them is assigned to, all become
stored: the base with a `Store`, the views with a `Window` that reads and writes through it.

One rule keeps this sound: an object that the program holds is held by nobody inside the engine. Whatever crosses
the border, an operand from another level, an argument or a result of a transform, does so as a `settled` twin.
"""

from __future__ import annotations

import math
import sys
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.backend import HOST, adopted
from autodiff.core.batching import Batched
from autodiff.core.errors import AssignmentError, describe, user_line
from autodiff.core.forward import Dual
from autodiff.core.level import Level
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tables import FUNCTIONS, UFUNCS
from autodiff.core.tracer import Tracer, slots_of
from autodiff.core.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable

    from autodiff.core.operation import Operation

__all__ = [
    "ALONE",
    "Step",
    "Store",
    "Stored",
    "Window",
    "alone",
    "become",
    "copied",
    "detached",
    "laid_out",
    "memory",
    "settled",
    "share",
    "stored",
    "viewed",
    "window",
]


class Step:
    """How a view is made of its base.

    Attributes
    ----------
    kind : str
        ``"get"`` (basic indexing), ``"transpose"``, ``"reshape"``, ``"broadcast"``, ``"real"`` or ``"imag"``.
    param : object
        The index, the axes or the shape. The last step to a place that is assigned to may be any index.
    arrays : tuple
        The index arrays that fill the slots of the index, if positions are traced themselves.
    """

    __slots__ = ("arrays", "kind", "param")

    def __init__(self, kind: str, param: Any = None, arrays: tuple[Any, ...] = ()) -> None:
        self.kind = kind
        self.param = param
        self.arrays = arrays

    def read(self, x: Any) -> Any:
        """Return this view of an array, plain or traced."""
        return READ[self.kind](x, self.param)

    def __repr__(self) -> str:
        return f"{self.kind}({self.param!r})"


#: What each kind of view reads; `autodiff.ops.assignment` replaces NumPy's functions by operations that leave no link.
READ: dict[str, Callable[[Any, Any], Any]] = {}
#: How a value is written at a place, ``WRITE[0](content, value, steps, alone)``; set by `autodiff.ops.assignment`.
WRITE: list[Callable[[Any, Any, tuple[Step, ...], bool], Any]] = []


class Store(Level):
    """The current value of an array that was assigned to."""

    __slots__ = ("content", "dtype", "exported", "shape")

    def __init__(self, content: Any) -> None:
        self.depth = math.inf  # type: ignore[assignment]
        self.closed = False
        self.users = 1
        self.transform = "assignment"
        self.content = content
        self.exported: Any = None
        self.shape = shape_of(content)
        self.dtype = dtype_of(content)

    def process(self, op: Operation, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Apply an operation to what the stored arguments are now."""
        y = op(*[a.level.read() if isinstance(a, Stored) else a for a in args], **params)
        # What is computed of constants alone is a constant: traced values may be assigned to it as well.
        return stored(y) if type(y) is np.ndarray and y.dtype.kind in "fc" else y

    def read(self) -> Any:
        """Return the current value: it will not change."""
        return self.content

    def write(self, steps: tuple[Step, ...], value: Any) -> None:
        """Assign at the place where the steps lead."""
        if self.exported is not None and self.exported() is not None:
            raise AssignmentError(
                f"assignment into an array ({describe(self)}) of which a plain array was made by np.asarray, which "
                f"would not see the change{user_line()}. Make a copy with np.array(y), or assign first."
            )
        sole = alone(self)  # before the next line takes a reference
        self.content = WRITE[0](self.content, value, steps, sole)

    def rewrite(self, value: Any) -> None:
        """Replace the whole value by one of the same shape and dtype, which nobody else holds."""
        if self.exported is not None:
            self.write((Step("get", ...),), value)
        else:
            self.content = value


class Window(Level):
    """A view of an array that is kept in a store (or in another window)."""

    __slots__ = ("dtype", "exported", "parent", "shape", "step")

    def __init__(self, parent: Store | Window, step: Step, shape: tuple[int, ...], dtype: Any) -> None:
        self.depth = math.inf  # type: ignore[assignment]
        self.closed = False
        self.users = 1
        self.transform = "assignment"
        self.parent = parent
        self.step = step
        self.shape = shape
        self.dtype = dtype

    process = Store.process

    def read(self) -> Any:
        """Return what the window shows now."""
        return self.step.read(self.parent.read())

    def write(self, steps: tuple[Step, ...], value: Any) -> None:
        """Assign through the window."""
        kind = self.step.kind
        if kind in {"broadcast", "diagonal"}:
            raise ValueError(
                "assignment destination is read-only: it is a broadcast view, or a diagonal; copy it first."
            )
        if kind not in {"real", "imag"}:
            self.parent.write((self.step, *steps), value)
            return
        part = WRITE[0](self.read(), value, steps, False)
        whole = self.parent.read()
        other = np.imag(whole) if kind == "real" else np.real(whole)
        new = part + 1j * other if kind == "real" else other + 1j * part
        self.parent.write((Step("get", ...),), new.astype(self.parent.dtype))

    def rewrite(self, value: Any) -> None:
        """Replace all that the window shows."""
        self.write((Step("get", ...),), value)


class Stored:
    """What is different for a handle whose value is kept in a store: mixed into the class of the handle."""

    __slots__ = ()
    level: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.level.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """Dtype of the value."""
        return self.level.dtype

    @property
    def primal(self) -> Any:
        """The current value."""
        return self.level.read()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc not in UFUNCS and kwargs.get("out") is None:
            inputs = tuple([_value(x) for x in inputs])
            if not any(isinstance(x, Tracer) for x in inputs):
                return getattr(ufunc, method)(*inputs, **kwargs)
        return Tracer.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)  # type: ignore[arg-type]

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func not in FUNCTIONS:
            plain = [_value(a) for a in args]
            if not any(isinstance(a, Tracer) for a in (*plain, *kwargs.values())):
                return func(*plain, **kwargs)
        return Tracer.__array_function__(self, func, types, args, kwargs)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        content = self.level.read() if name != "level" and not name.startswith("__") else None
        if isinstance(content, Tracer) or content is None or not hasattr(content, name):
            return Tracer.__getattr__(self, name)  # type: ignore[arg-type]
        return getattr(content.copy(), name)

    def settled(self) -> Any:
        """Return the current value: what a program holds of it changes no more."""
        return settled(self.level.read())

    def refuse(self, what: str) -> Any:
        """Return the error for a conversion."""
        return self.level.read().refuse(what)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        content = self.level.read()
        if isinstance(content, Tracer):
            return content.__array__()
        if copy:
            return np.array(content, dtype)
        result = np.array(content, dtype)  # a copy, which must not pass for a window into this array
        result.flags.writeable = False
        owner = self.level
        while type(owner) is Window:
            owner = owner.parent
        owner.exported = weakref.ref(result)
        return result

    def __bool__(self) -> bool:
        return bool(self.level.read())

    def __float__(self) -> float:
        return float(self.level.read())

    def __int__(self) -> int:
        return int(self.level.read())

    def __complex__(self) -> complex:
        return complex(self.level.read())

    def __index__(self) -> int:
        return self.level.read().__index__()  # type: ignore[no-any-return]

    def item(self, *args: Any) -> Any:
        """A Python number, if the value is constant."""
        return self.level.read().item(*args)

    def tolist(self) -> Any:
        """Python numbers, if the value is constant."""
        return self.level.read().tolist()

    def __repr__(self) -> str:
        return f"Assigned({self.level.read()!r})"

    def __format__(self, spec: str) -> str:
        return format(self.level.read(), spec)


def _value(x: Any) -> Any:
    return x.level.read() if isinstance(x, Stored) else x


class Box(Stored, Variable):  # type: ignore[misc]  # its conversions do return something
    """A new array for the program to assign to: ``np.zeros_like(x)``, or a view of an array that was assigned to."""

    __slots__ = ()

    def __init__(self, level: Any) -> None:
        self.level = level


_classes: dict[type, type] = {}


def _stored_class(cls: type) -> type:
    found = _classes.get(cls)
    if found is None:
        found = _classes[cls] = type("Stored" + cls.__name__, (Stored, cls), {"__slots__": ()})
    return found


def settled(x: Any) -> Any:
    """Return the value of a handle, as an object that no program holds; a plain value, ready for the engine."""
    if isinstance(x, Tracer):
        return x.settled()
    return x if type(x) in HOST else adopted(x)


_views_of = Tracer.__dict__["_views"].__get__  # an empty slot would ask `Tracer.__getattr__`, which takes its time
_base_of = Tracer.__dict__["_base"].__get__


def _slot(get: Callable[[Any], Any], x: Any) -> Any:
    try:
        return get(x)
    except AttributeError:
        return None


def viewed(y: Any, x: Any, step: Step) -> Any:
    """Note that `y` is a view of `x`, and return it."""
    y._base = (x, step)
    try:
        views = _views_of(x)
    except AttributeError:
        views = None
    if views is None:
        x._views = [weakref.ref(y)]
        return y
    views.append(weakref.ref(y))
    n = len(views)
    if n >= 32 and not n & (n - 1):
        x._views = [r for r in views if r() is not None]
    return y


def window(x: Any, step: Step) -> Any:
    """Return a view of a stored array, with the shape that `step` gives."""
    base = x.level
    shown = step.read(_shape_of_memory(base.read()))
    return Box(Window(base, step, shown.shape, shown.dtype))


def stored(content: Any) -> Any:
    """Return a new handle for a value that nobody else holds."""
    return Box(Store(content))


def share(x: Any) -> Store | Window:
    """Make a handle, its base and all their views stored; return the handle's store or window."""
    if isinstance(x, Stored):
        return x.level  # type: ignore[no-any-return]
    base = _slot(_base_of, x)
    if base is not None:
        share(base[0])
        return x.level  # type: ignore[no-any-return]
    if x.level.closed:
        raise x.refuse("assignment")
    _adopt(x, Store(settled(x)))
    return x.level  # type: ignore[no-any-return]


def _adopt(x: Any, level: Store | Window) -> None:
    views = _slot(_views_of, x) or ()
    cls = type(x)
    for name in slots_of(cls):
        setattr(x, name, None)
    x.level = level
    x._base = x._views = None
    x.__class__ = _stored_class(cls)
    for r in views:
        y = r()
        if y is not None and not isinstance(y, Stored):
            _adopt(y, Window(level, y._base[1], shape_of(y), dtype_of(y)))


def aliased(x: Any) -> bool:
    """Whether a handle that is not stored is a view, or has living views."""
    if _slot(_base_of, x) is not None:
        return True
    views = _slot(_views_of, x)
    return views is not None and any(r() is not None for r in views)


def become(x: Any, value: Any) -> None:
    """Give a handle another value of the same shape and dtype, in place; its views follow."""
    if type(x) is type(value) and not isinstance(x, Stored) and not aliased(x):
        x.level = value.level
        for name in slots_of(type(x)):
            setattr(x, name, getattr(value, name))
        return
    share(x).rewrite(settled(value))


def copied(x: Any, order: str = "K") -> Any:
    """Return a copy that can be assigned to."""
    value = settled(x)
    if order != "K" and len(shape_of(x)) > 1:
        value = laid_out(value, order)
    return value if isinstance(value, Tracer) else stored(value)


def detached(y: Any) -> Any:
    """Return a result without its link to the array of which it was made: NumPy makes a copy there."""
    return copied(y, "C") if isinstance(y, Tracer) and (isinstance(y, Stored) or aliased(y)) else y


def laid_out(x: Any, order: str) -> Any:
    """Return the same value in a memory layout: what is a view of it depends on that."""
    found = memory(x)
    order = "F" if order == "F" or (order == "A" and isinstance(found, np.ndarray) and found.flags.fnc) else "C"
    if not isinstance(found, np.ndarray) or found.ndim < 2 or getattr(found.flags, f"{order.lower()}_contiguous"):
        return x
    if type(x) is Variable:
        return Variable(x.level, laid_out(x.primal, order), x.node)
    if type(x) is Dual:
        return Dual(x.level, laid_out(x.primal, order), x.tangent, x.mask)
    return x if isinstance(x, Tracer) else np.array(x, order=order)  # type: ignore[call-overload]


# -- memory --------------------------------------------------------------------------------------------------


def memory(x: Any) -> Any:
    """Return the plain value at the bottom of a tracer, for a look at its memory; None if only its shape is known."""
    while isinstance(x, Tracer):
        if type(x) is Batched:  # of one example
            values = memory(x.value)
            return values[0] if isinstance(values, np.ndarray) and len(values) else None
        step = getattr(x, "step", None) if type(x).__name__ == "Recorded" else None  # not `primal`, which is noted
        x = step.value if step is not None else getattr(x, "primal", None)
    return x


def _shape_of_memory(x: Any) -> Any:
    """Return a plain array of the shape and dtype of `x`, and if possible its memory."""
    found = memory(x)
    return np.broadcast_to(np.zeros((), dtype_of(x)), shape_of(x)) if found is None else np.asarray(found)


def reshapes_in_place(x: Any, step: Step) -> bool:
    """Whether a reshape without known memory would be a view, if the array at the bottom is in C order."""
    steps = [step]
    while True:
        if isinstance(x, Stored):
            if type(x.level) is not Window:
                break
            steps.append(x.level.step)
            x = Box(x.level.parent)
        else:
            base = _slot(_base_of, x)
            if base is None:
                break
            steps.append(base[1])
            x = base[0]
    y = _without_memory(shape_of(x))
    for way in reversed(steps):
        if way.kind != "reshape":
            y = way.read(y)
        elif (reshaped := _reshaped_in_place(y, way.param)) is None:
            return False
        else:
            y = reshaped
    return True


def _without_memory(shape: tuple[int, ...]) -> Any:
    """Return an array in C order of which only shape and strides may be used."""
    strides = [1]
    for size in reversed(shape[1:]):
        strides.append(strides[-1] * max(size, 1))
    return np.lib.stride_tricks.as_strided(np.empty(1, bool), shape, strides[::-1][: len(shape)])


def _reshaped_in_place(y: Any, shape: Any) -> Any:
    """Return a view of another shape, or None where only a copy has it."""
    view = y.view()
    try:
        if np.lib.NumpyVersion(np.__version__) < "2.1.0":  # there reshape has no `copy`
            view.shape = shape
            return view
        return np.reshape(view, shape, copy=False)
    except (AttributeError, ValueError):
        return None


class _Cell:
    __slots__ = ("content",)
    content: Any


def alone(cell: Any) -> bool:
    """Whether the slot `content` of an object holds the only reference to what is in it."""
    return sys.getrefcount(cell.content) <= ALONE


def _count() -> int:
    cell = _Cell()
    cell.content = np.zeros(1)
    return sys.getrefcount(cell.content)


#: What `sys.getrefcount` says of the value of a slot, written so, that nobody else refers to.
ALONE = _count()
