"""Which classes are containers of trees: how each is taken apart, rebuilt and shown, and how to add one.

Dispatch is on the exact type, so a subclass of a container is not a container by itself (named tuples excepted):
rebuilding it as its base class would lose its type silently.
"""

from __future__ import annotations

import dataclasses
import operator
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

if TYPE_CHECKING:
    from autodiff.tree import Structure

__all__ = ["KINDS", "LEAF_TYPES", "Kind", "NotATreeError", "container", "register", "register_dataclass", "resolve"]

_T = TypeVar("_T")
_Rebuild = Mapping[str, Callable[[Any], Any]] | None
_set = object.__setattr__  # the way past the lock of frozen dataclasses


@dataclasses.dataclass(slots=True, eq=False)
class Kind:
    """How one container type is split, joined, indexed in a path and shown."""

    cls: type
    join: Callable[[Any, Sequence[Any]], Any]
    show: Callable[[Any, list[str]], str]
    split: Callable[[Any], tuple[Collection[Any], Any]] | None = None  # None: it iterates over its children
    step: Callable[[Any, int], str] = lambda _, i: f"[{i}]"
    keys: Callable[[Any], tuple[Any, ...]] | None = None
    # Without `split` there is no static data, so structures without nesting differ by length alone.
    flat: dict[int, Structure] = dataclasses.field(default_factory=dict)


class NotATreeError(Exception):
    """An object that is neither leaf nor container; the path grows while the walk unwinds."""

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value, self.steps = value, list[str]()


def _items(keys: tuple[Any, ...], parts: list[str]) -> str:
    return "{" + ", ".join(f"{key!r}: {part}" for key, part in zip(keys, parts, strict=True)) + "}"


def _named(cls: type, names: Iterable[str], parts: Iterable[str]) -> str:
    return f"{cls.__name__}({', '.join(f'{name}={part}' for name, part in zip(names, parts, strict=True))})"


def _mapping(cls: type, show: Callable[[Any, list[str]], str]) -> Kind:
    def join(keys: Any, children: Sequence[Any]) -> Any:
        return cls(zip(keys, children, strict=True))

    return Kind(cls, join, show, lambda d: (d.values(), tuple(d)), lambda keys, i: f"[{keys[i]!r}]", lambda keys: keys)


KINDS: dict[type, Kind] = {
    kind.cls: kind
    for kind in (
        Kind(type(None), lambda _, __: None, lambda _, __: "None", lambda _: ((), None)),
        Kind(tuple, lambda _, c: tuple(c), lambda _, p: f"({', '.join(p)}{',' if len(p) == 1 else ''})"),
        Kind(list, lambda _, c: list(c), lambda _, p: f"[{', '.join(p)}]"),
        _mapping(dict, _items),
        _mapping(OrderedDict, lambda keys, p: f"OrderedDict({_items(keys, p)})"),
        Kind(
            defaultdict,
            lambda meta, c: defaultdict(meta[0], zip(meta[1], c, strict=True)),
            lambda meta, p: f"defaultdict({meta[0]!r}, {_items(meta[1], p)})",
            lambda tree: (tree.values(), (tree.default_factory, tuple(tree))),
            lambda meta, i: f"[{meta[1][i]!r}]",
            lambda meta: meta[1],  # `map` does not compare the factories: two lambdas are never equal
        ),
    )
}
_NUMBERS = (bool, int, float, complex, np.ndarray, np.generic)
LEAF_TYPES: set[type] = {*_NUMBERS}  # grows by every array-like type that is met
_BUILT_IN = frozenset(KINDS) | frozenset(LEAF_TYPES)


def container(cls: Any) -> Kind | None:
    """Return the kind of a class, or None if it is no container; named tuples become known as they are met."""
    kind = KINDS.get(cls)
    if kind is None and issubclass(cls, tuple) and hasattr(cls, "_fields"):
        names: tuple[str, ...] = cls._fields
        # Like `_make`: an overridden `__new__` may take other arguments.
        kind = Kind(cls, lambda _, c: tuple.__new__(cls, c), lambda _, p: _named(cls, names, p))
        kind.step = lambda _, i: "." + names[i]
        return KINDS.setdefault(cls, kind)
    return kind


def _is_array_like(value: object) -> bool:
    protocol = hasattr(value, "__array_ufunc__") or hasattr(value, "__array_namespace__")
    return protocol or (hasattr(value, "shape") and hasattr(value, "dtype"))


def resolve(value: object, strict: bool) -> Kind | None:
    """Return the kind of a value whose type is not in the caches, or None if the value is a leaf."""
    cls = type(value)
    if kind := container(cls):
        return kind
    if isinstance(value, _NUMBERS) or _is_array_like(cls):
        LEAF_TYPES.add(cls)
        return None
    # Attributes of the instance alone say nothing about its type, so this answer is not cached.  Array
    # classes and the numpy module have `shape` and `dtype` too, and are no leaves.
    if not strict or (not isinstance(value, type | ModuleType) and _is_array_like(value)):
        return None
    raise NotATreeError(value)


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return the function that reads these attributes of a value."""
    if not names:
        return lambda _: ()
    get = operator.attrgetter(*names)
    return get if len(names) > 1 else lambda value: (get(value),)


def _add(kind: Kind) -> None:
    cls = kind.cls
    if cls in _BUILT_IN or (cls in KINDS and KINDS[cls].split is not None):
        raise ValueError(f"{cls.__qualname__} is already known as a leaf or container")
    KINDS[cls] = kind
    LEAF_TYPES.discard(cls)  # it may have been met as an array-like before


def register(
    cls: type[_T],
    flatten: Callable[[_T], tuple[Iterable[Any], Any]] | None = None,
    unflatten: Callable[[Any, tuple[Any, ...]], _T] | None = None,
) -> type[_T]:
    """Make a class a container and return it; subclasses have to be registered themselves.

    Parameters
    ----------
    cls
        The class.  Without the two functions it must be a dataclass, all of whose fields become children.
    flatten
        Returns, for an instance, its children and its static data; the latter is compared with ``==``.
    unflatten
        Builds an instance from static data and the tuple of children, which may be objects of any type.

    Raises
    ------
    TypeError
        If only one function is given, or none for a class that is not a dataclass; and from a later
        `flatten` of a tree, if the function returned anything but a pair.
    ValueError
        If the class is already registered or is a built-in leaf or container.

    Examples
    --------
    >>> from autodiff import tree
    >>> class Pair:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> _ = tree.register(Pair, lambda p: ((p.x, p.y), "xy"), lambda static, children: Pair(*children))
    >>> tree.structure(Pair(1.0, [2.0]))
    Pair(*, [*], static='xy')
    """
    if flatten is None and unflatten is None:
        return register_dataclass(cls)
    if flatten is None or unflatten is None:
        raise TypeError(f"registering {cls.__qualname__} takes both functions, flatten and unflatten")

    def split(value: _T) -> tuple[tuple[Any, ...], Any]:
        pair = flatten(value)
        if not isinstance(pair, tuple) or len(pair) != 2:  # type: ignore[redundant-expr]
            raise TypeError(f"the registered flatten of {cls.__qualname__} must return (children, static)")
        return tuple(pair[0]), pair[1]

    def show(static: Any, parts: list[str]) -> str:
        return f"{cls.__name__}({', '.join(parts if static is None else [*parts, f'static={static!r}'])})"

    _add(Kind(cls, lambda static, children: unflatten(static, tuple(children)), show, split))
    return cls


@overload
def register_dataclass(cls: type[_T], *, static: Iterable[str] = (), rebuild: _Rebuild = None) -> type[_T]: ...
@overload
def register_dataclass(*, static: Iterable[str] = (), rebuild: _Rebuild = None) -> Callable[[type[_T]], type[_T]]: ...
def register_dataclass(cls: Any = None, *, static: Iterable[str] = (), rebuild: _Rebuild = None) -> Any:
    """Make a dataclass a container whose children are its fields, inherited ones included.

    Instances are rebuilt field by field without ``__init__`` and ``__post_init__``, which may reject or
    convert leaves that are not arrays; attributes that are not fields are not carried over.

    Parameters
    ----------
    cls
        The dataclass; leave it out to use the call as a decorator, above ``@dataclass``.
    static
        Names of fields that are not children: they are part of the structure and compared with ``==``.
    rebuild
        By name of a child, a function that it goes through whenever an instance is rebuilt.

    Raises
    ------
    TypeError
        If the class is not itself decorated with ``@dataclass``.
    ValueError
        If `static` names something that is not a field, `rebuild` something that is not a child, or the class is
        already registered.

    Examples
    --------
    >>> from autodiff import tree
    >>> @tree.register_dataclass(static=["name"])
    ... @dataclasses.dataclass
    ... class Layer:
    ...     weight: float
    ...     name: str
    >>> tree.map(lambda x: 2 * x, Layer(3.0, "first"))
    Layer(weight=6.0, name='first')
    """
    fixed = (static,) if isinstance(static, str) else tuple(static)
    if cls is None:
        return lambda target: register_dataclass(target, static=fixed, rebuild=rebuild)
    if "__dataclass_fields__" not in vars(cls):  # inherited fields would miss those of the class itself
        raise TypeError(f"{cls.__qualname__} is not a dataclass: put @dataclass just below this decorator")
    names = [field.name for field in dataclasses.fields(cls)]
    if unknown := [name for name in fixed if name not in names]:
        raise ValueError(f"{cls.__qualname__} has no field {unknown[0]!r} to be static, only {names}")
    moving = [name for name in names if name not in fixed]
    ordered = (*moving, *fixed)
    changes = dict(rebuild or {})
    if unknown := [name for name in changes if name not in moving]:
        raise ValueError(f"{cls.__qualname__} has no child {unknown[0]!r} to rebuild, only {moving}")

    found = [vars(base)[name] for name in ordered for base in cls.__mro__ if name in vars(base)]
    in_dict = cls.__dictoffset__ != 0 and not any(hasattr(type(value), "__set__") for value in found)

    children_of, static_of = _getter(moving), _getter(fixed)

    def split(value: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return children_of(value), static_of(value)

    def join(meta: tuple[Any, ...], children: Sequence[Any]) -> Any:
        value = object.__new__(cls)
        if in_dict and not changes:
            value.__dict__.update(zip(ordered, (*children, *meta), strict=True))
            return value
        for name, item in zip(ordered, (*children, *meta), strict=True):
            _set(value, name, changes[name](item) if name in changes else item)
        return value

    def show(meta: tuple[Any, ...], parts: list[str]) -> str:
        return _named(cls, ordered, (*parts, *map(repr, meta)))

    _add(Kind(cls, join, show, split, lambda _, i: "." + moving[i]))
    return cls
