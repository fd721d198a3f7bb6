"""Nested containers of arrays: taking them apart, rebuilding them, mapping over them.

A *tree* is a leaf (an array, a number, or anything array-like) or a container of trees: a tuple, list,
dict, named tuple, ``OrderedDict``, ``defaultdict``, ``None`` (a tree without leaves), or a class known to
`register` or `register_dataclass`.  Dispatch is on the exact type, so a subclass of a container is not a
container by itself (named tuples excepted): rebuilding it as its base class would lose its type silently.
"""

from __future__ import annotations

import builtins
import dataclasses
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar, overload

import numpy as np

__all__ = ["LEAF", "Structure", "flatten", "flatten_like", "leaves", "map", "paths", "register"]
__all__ += ["register_dataclass", "structure", "unflatten"]

_T = TypeVar("_T")
_IsLeaf = Callable[[Any], bool] | None
_Rebuild = Mapping[str, Callable[[Any], Any]] | None
_set = object.__setattr__  # the way past the locks of `Structure` and of frozen dataclasses
_INTERNED = 32  # flat tuples and lists up to this length share one structure per length


@dataclasses.dataclass(slots=True, eq=False)
class _Kind:
    """How one container type is split, joined, indexed in a path and shown."""

    cls: type
    join: Callable[[Any, Sequence[Any]], Any]
    show: Callable[[Any, list[str]], str]
    split: Callable[[Any], tuple[Collection[Any], Any]] | None = None  # None: it iterates over its children
    step: Callable[[Any, int], str] = lambda _, i: f"[{i}]"
    keys: Callable[[Any], tuple[Any, ...]] | None = None
    # Without `split` there is no static data, so structures without nesting differ by length alone.
    flat: dict[int, Structure] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class Structure:
    """The shape of a tree without its leaves: immutable, comparable, hashable if its static data is.

    Equal structures have their leaves in the same order, so dicts whose keys are in another order have
    unequal structures; `map` and `flatten_like` match such dicts by key.

    Raises
    ------
    TypeError
        From ``hash`` if static data is unhashable, from ``==`` if comparing it gives no truth value.

    Examples
    --------
    >>> s = structure({"w": 1.0, "b": (2.0, None)})
    >>> s, s.num_leaves
    ({'w': *, 'b': (*, None)}, 2)
    """

    _kind: _Kind
    _meta: Any
    _children: tuple[Structure, ...]
    _flat: bool  # whether all children are leaves
    num_leaves: int
    _hash: int = dataclasses.field(init=False)

    def paths(self, prefix: str = "") -> list[str]:
        """Return the path of every leaf, in the order of the leaves.

        Examples
        --------
        >>> structure({"w": [1.0, 2.0]}).paths()
        ["['w'][0]", "['w'][1]"]
        """
        if self is LEAF:
            return [prefix]
        steps = [prefix + self._kind.step(self._meta, i) for i in range(len(self._children))]
        return [path for step, child in zip(steps, self._children, strict=True) for path in child.paths(step)]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Structure):
            return NotImplemented
        same = self._kind is other._kind and self.num_leaves == other.num_leaves and _same_meta(self, other)
        return same and self._children == other._children

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:  # computed once: structures serve as cache keys
            pass
        try:
            static = hash(self._meta)
        except TypeError as error:
            name = self._kind.cls.__name__
            raise TypeError(f"the static data of {name} cannot be hashed: {error}") from error
        _set(self, "_hash", hash((self._kind.cls, static, self._children)))
        return self._hash

    def __repr__(self) -> str:
        return self._kind.show(self._meta, [repr(child) for child in self._children])

    def __reduce__(self) -> str | tuple[Any, ...]:
        # `is LEAF` is how leaves are recognised, so LEAF is pickled by name.
        state = (self._kind.cls, self._meta, self._children, self._flat, self.num_leaves)
        return "LEAF" if self is LEAF else (_restore, state)


def _restore(cls: type, *state: Any) -> Structure:
    if kind := _container(cls):
        return Structure(kind, *state)
    raise TypeError(f"cannot load a structure of {cls.__qualname__}, which is not registered here")


class _NotATreeError(Exception):
    """An object that is neither leaf nor container; the path grows while the walk unwinds."""

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value, self.steps = value, list[str]()


def _items(keys: tuple[Any, ...], parts: list[str]) -> str:
    return "{" + ", ".join(f"{key!r}: {part}" for key, part in zip(keys, parts, strict=True)) + "}"


def _named(cls: type, names: Iterable[str], parts: Iterable[str]) -> str:
    return f"{cls.__name__}({', '.join(f'{name}={part}' for name, part in zip(names, parts, strict=True))})"


def _mapping(cls: type, show: Callable[[Any, list[str]], str]) -> _Kind:
    def join(keys: Any, children: Sequence[Any]) -> Any:
        return cls(zip(keys, children, strict=True))

    return _Kind(cls, join, show, lambda d: (d.values(), tuple(d)), lambda keys, i: f"[{keys[i]!r}]", lambda keys: keys)


LEAF = Structure(_Kind(object, lambda _, c: c[0], lambda _, __: "*"), None, (), False, 1)
"""The structure of a single leaf."""

_KINDS: dict[type, _Kind] = {
    kind.cls: kind
    for kind in (
        _Kind(type(None), lambda _, __: None, lambda _, __: "None", lambda _: ((), None)),
        _Kind(tuple, lambda _, c: tuple(c), lambda _, p: f"({', '.join(p)}{',' if len(p) == 1 else ''})"),
        _Kind(list, lambda _, c: list(c), lambda _, p: f"[{', '.join(p)}]"),
        _mapping(dict, _items),
        _mapping(OrderedDict, lambda keys, p: f"OrderedDict({_items(keys, p)})"),
        _Kind(
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
_LEAVES: set[type] = {*_NUMBERS}  # grows by every array-like type that is met
_BUILT_IN = frozenset(_KINDS) | frozenset(_LEAVES)


def _container(cls: Any) -> _Kind | None:
    kind = _KINDS.get(cls)
    if kind is None and issubclass(cls, tuple) and hasattr(cls, "_fields"):
        names: tuple[str, ...] = cls._fields
        # Like `_make`: an overridden `__new__` may take other arguments.
        kind = _Kind(cls, lambda _, c: tuple.__new__(cls, c), lambda _, p: _named(cls, names, p))
        kind.step = lambda _, i: "." + names[i]
        return _KINDS.setdefault(cls, kind)
    return kind


def _is_array_like(value: object) -> bool:
    protocol = hasattr(value, "__array_ufunc__") or hasattr(value, "__array_namespace__")
    return protocol or (hasattr(value, "shape") and hasattr(value, "dtype"))


def _resolve(value: object, strict: bool) -> _Kind | None:
    """Return the kind of a value whose type is not in the caches, or None if the value is a leaf."""
    cls = type(value)
    if kind := _container(cls):
        return kind
    if isinstance(value, _NUMBERS) or _is_array_like(cls):
        _LEAVES.add(cls)
        return None
    # Attributes of the instance alone say nothing about its type, so this answer is not cached.  Array
    # classes and the numpy module have `shape` and `dtype` too, and are no leaves.
    if not strict or (not isinstance(value, type | ModuleType) and _is_array_like(value)):
        return None
    raise _NotATreeError(value)


def _walk(tree: Any, out: list[Any], is_leaf: _IsLeaf, strict: bool) -> Structure:
    cls = type(tree)
    if cls in _LEAVES or (is_leaf is not None and is_leaf(tree)):
        out.append(tree)
        return LEAF
    kind = _KINDS.get(cls) or _resolve(tree, strict)
    if kind is None:
        out.append(tree)
        return LEAF
    children, meta = (tree, None) if kind.split is None else kind.split(tree)
    # A flat container is the common case, and checking all types in one call beats the loop below.
    if _LEAVES.issuperset(builtins.map(type, children)):
        out.extend(children)
        count = len(children)
        if kind.split is not None or count > _INTERNED:
            return Structure(kind, meta, (LEAF,) * count, True, count)
        known = kind.flat.get(count)
        return known or kind.flat.setdefault(count, Structure(kind, None, (LEAF,) * count, True, count))
    start = len(out)
    parts: list[Structure] = []
    for child in children:
        try:
            parts.append(_walk(child, out, is_leaf, strict))
        except _NotATreeError as error:
            error.steps.append(kind.step(meta, len(parts)))
            raise
    return Structure(kind, meta, tuple(parts), False, len(out) - start)


def flatten(tree: Any, *, is_leaf: _IsLeaf = None, strict: bool = True) -> tuple[list[Any], Structure]:
    """Take a tree apart into its leaves, from left to right, and its structure.

    Parameters
    ----------
    tree
        The tree; dicts are read in insertion order.
    is_leaf
        Called on every node that is no array or number; where it is true the node is a leaf, of any type.
    strict
        Whether an object that is neither array-like nor a known container is an error, or else a leaf.

    Raises
    ------
    TypeError
        If `strict` and the tree holds an object of an unknown type; the message names type and path.
    RecursionError
        If the tree is nested deeper than the interpreter's recursion limit, or contains itself.

    Examples
    --------
    >>> flatten({"w": [1.0, 2.0], "b": None})
    ([1.0, 2.0], {'w': [*, *], 'b': None})
    """
    if type(tree) in _LEAVES:
        return [tree], LEAF
    out: list[Any] = []
    try:
        return out, _walk(tree, out, is_leaf, strict)
    except _NotATreeError as error:
        cls, where = type(error.value), "tree" + "".join(reversed(error.steps))
    base = next((f" (unlike its base {b.__name__})" for b in cls.__mro__[1:-1] if b in _KINDS), "")
    how = "register_dataclass" if dataclasses.is_dataclass(cls) else "register"
    raise TypeError(
        f"{where} is a {cls.__module__}.{cls.__qualname__}, which is neither array-like nor a known container"
        f"{base}: register the class with autodiff.tree.{how}, or pass the value as an argument that is not "
        "differentiated"
    )


def _build(node: Structure, values: Sequence[Any], start: int) -> Any:
    if node._flat:
        return node._kind.join(node._meta, values[start : start + node.num_leaves])
    children = []
    for child in node._children:
        children.append(values[start] if child is LEAF else _build(child, values, start))
        start += child.num_leaves
    return node._kind.join(node._meta, children)


def unflatten(structure: Structure, leaves: Iterable[Any]) -> Any:
    """Build the tree of a structure from leaves, which may be objects of any type.

    Raises
    ------
    ValueError
        If the number of leaves is not ``structure.num_leaves``.
    TypeError
        If the first argument is not a Structure.

    Examples
    --------
    >>> unflatten(structure((0, {"x": 0})), ["a", "b"])
    ('a', {'x': 'b'})
    """
    if type(structure) is not Structure:
        raise TypeError(f"unflatten takes a Structure and leaves, not a {type(structure).__name__} first")
    values: Sequence[Any] = leaves if type(leaves) is list else list(leaves)
    if len(values) != structure.num_leaves:
        raise ValueError(f"{structure!r} has {structure.num_leaves} leaves, but {len(values)} were given")
    return values[0] if structure is LEAF else _build(structure, values, 0)


def leaves(tree: Any, *, is_leaf: _IsLeaf = None, strict: bool = True) -> list[Any]:
    """Return the leaves of a tree; parameters and errors are those of `flatten`.

    Examples
    --------
    >>> leaves([1.0, (2.0, None)])
    [1.0, 2.0]
    """
    return flatten(tree, is_leaf=is_leaf, strict=strict)[0]


def structure(tree: Any, *, is_leaf: _IsLeaf = None, strict: bool = True) -> Structure:
    """Return the structure of a tree; parameters and errors are those of `flatten`.

    Examples
    --------
    >>> structure([1.0, (2.0, None)])
    [*, (*, None)]
    """
    return flatten(tree, is_leaf=is_leaf, strict=strict)[1]


def paths(tree: Any, *, is_leaf: _IsLeaf = None, strict: bool = True) -> list[tuple[str, Any]]:
    """Return path (empty for a bare leaf) and value of every leaf; with the errors of `flatten`.

    Examples
    --------
    >>> paths({"w": [1.0, 2.0]})
    [("['w'][0]", 1.0), ("['w'][1]", 2.0)]
    """
    values, node = flatten(tree, is_leaf=is_leaf, strict=strict)
    return list(zip(node.paths(), values, strict=True))


def _same_meta(first: Structure, second: Structure) -> bool:
    try:
        return bool(first._meta == second._meta)
    except ValueError as error:  # arrays, above all
        name = first._kind.cls.__name__
        raise TypeError(f"the static data of {name} has no true or false ==: {error}") from error


def _align(want: Structure, got: Structure, start: int, path: str, order: list[int]) -> None:
    """Append the positions, among the leaves of `got`, of the leaves of `want`."""
    if want is LEAF and got is LEAF:
        order.append(start)
        return
    kind, places = want._kind, list(range(len(want._children)))
    same = kind is got._kind and len(places) == len(got._children)
    if same and kind.keys is not None:
        at = {key: i for i, key in enumerate(kind.keys(got._meta))}
        places = [at[key] for key in kind.keys(want._meta) if key in at]
        same = len(places) == len(at)
    elif same:
        same = _same_meta(want, got)
    if not same:
        raise ValueError(f"{path} is {want} in the first and {got} in the second")
    starts = [start]
    for child in got._children:
        starts.append(starts[-1] + child.num_leaves)
    for i, (child, j) in enumerate(zip(want._children, places, strict=True)):
        _align(child, got._children[j], starts[j], path + kind.step(want._meta, i), order)


def flatten_like(structure: Structure, tree: Any, *, is_leaf: _IsLeaf = None, strict: bool = True) -> list[Any]:
    """Return the leaves of a tree in the order of a structure that it must match.

    Dicts match by key, whatever the order of the keys, and the factories of ``defaultdict`` may differ.

    Raises
    ------
    ValueError
        If the tree has another structure; the message names both and the path of the first difference.
    TypeError
        If `strict` and the tree holds an object of an unknown type.

    Examples
    --------
    >>> flatten_like(structure({"a": 0, "b": 0}), {"b": 2.0, "a": 1.0})
    [1.0, 2.0]
    """
    values, got = flatten(tree, is_leaf=is_leaf, strict=strict)
    if got == structure:
        return values
    order: list[int] = []
    try:
        _align(structure, got, 0, "tree", order)
    except ValueError as error:
        message = f"tree structures differ: {error}\n  first:  {structure}\n  second: {got}"
        raise ValueError(message) from None
    return [values[i] for i in order]


def map(  # noqa: A001 - meant to be read as `tree.map`
    f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: _IsLeaf = None, strict: bool = True
) -> Any:
    """Apply a function to the corresponding leaves of one or more trees of the same structure.

    The result has the structure of the first: its key order, static data and factories.

    Raises
    ------
    ValueError
        If structures differ; the message names both and the path of the first difference.
    TypeError
        If `strict` and a tree holds an object of an unknown type.

    Examples
    --------
    >>> map(lambda x, y: x + y, {"a": 1, "b": [2]}, {"b": [20], "a": 10})
    {'a': 11, 'b': [22]}
    """
    values, node = flatten(tree, is_leaf=is_leaf, strict=strict)
    others = [flatten_like(node, other, is_leaf=is_leaf, strict=strict) for other in rest]
    return unflatten(node, [f(*args) for args in zip(values, *others, strict=True)])


def _add(kind: _Kind) -> None:
    cls = kind.cls
    if cls in _BUILT_IN or (cls in _KINDS and _KINDS[cls].split is not None):
        raise ValueError(f"{cls.__qualname__} is already known as a leaf or container")
    _KINDS[cls] = kind
    _LEAVES.discard(cls)  # it may have been met as an array-like before


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
    >>> class Pair:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> _ = register(Pair, lambda p: ((p.x, p.y), "xy"), lambda static, children: Pair(*children))
    >>> structure(Pair(1.0, [2.0]))
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

    _add(_Kind(cls, lambda static, children: unflatten(static, tuple(children)), show, split))
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
    >>> @register_dataclass(static=["name"])
    ... @dataclasses.dataclass
    ... class Layer:
    ...     weight: float
    ...     name: str
    >>> map(lambda x: 2 * x, Layer(3.0, "first"))
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

    def split(value: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(value, name) for name in moving], tuple([getattr(value, name) for name in fixed])

    def join(meta: tuple[Any, ...], children: Sequence[Any]) -> Any:
        value = object.__new__(cls)
        if in_dict and not changes:
            value.__dict__.update(zip(ordered, (*children, *meta), strict=True))
            return value
        for name, item in zip(ordered, (*children, *meta), strict=True):
            _set(value, name, changes[name](item) if name in changes else item)
        return value

    def show(meta: tuple[Any, ...], parts: list[str]) -> str:
        return _named(cls, ordered, (*parts, *builtins.map(repr, meta)))

    _add(_Kind(cls, join, show, split, lambda _, i: "." + moving[i]))
    return cls
