"""Nested containers of arrays: taking them apart, rebuilding them, mapping over them.

A *tree* is a leaf (an array, a number, or anything array-like) or a container of trees: a tuple, list,
dict, named tuple, ``OrderedDict``, ``defaultdict``, ``None`` (a tree without leaves), or a class known to
`register` or `register_dataclass`.  Dispatch is on the exact type, so a subclass of a container is not a
container by itself (named tuples excepted): rebuilding it as its base class would lose its type silently.
"""

from __future__ import annotations

import builtins
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autodiff.containers import KINDS, LEAF_TYPES, Kind, NotATreeError, container, register, register_dataclass, resolve

__all__ = ["LEAF", "Structure", "flatten", "flatten_like", "leaves", "map", "paths", "register"]
__all__ += ["register_dataclass", "structure", "unflatten"]

_IsLeaf = Callable[[Any], bool] | None
_INTERNED = 32  # flat tuples and lists up to this length share one structure per length


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

    _kind: Kind
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
        object.__setattr__(self, "_hash", hash((self._kind.cls, static, self._children)))
        return self._hash

    def __repr__(self) -> str:
        return self._kind.show(self._meta, [repr(child) for child in self._children])

    def __reduce__(self) -> str | tuple[Any, ...]:
        # `is LEAF` is how leaves are recognised, so LEAF is pickled by name.
        state = (self._kind.cls, self._meta, self._children, self._flat, self.num_leaves)
        return "LEAF" if self is LEAF else (_restore, state)


def _restore(cls: type, *state: Any) -> Structure:
    if kind := container(cls):
        return Structure(kind, *state)
    raise TypeError(f"cannot load a structure of {cls.__qualname__}, which is not registered here")


LEAF = Structure(Kind(object, lambda _, c: c[0], lambda _, __: "*"), None, (), False, 1)
"""The structure of a single leaf."""


def _walk(tree: Any, out: list[Any], is_leaf: _IsLeaf, strict: bool) -> Structure:
    cls = type(tree)
    if cls in LEAF_TYPES or (is_leaf is not None and is_leaf(tree)):
        out.append(tree)
        return LEAF
    kind = KINDS.get(cls) or resolve(tree, strict)
    if kind is None:
        out.append(tree)
        return LEAF
    children, meta = (tree, None) if kind.split is None else kind.split(tree)
    # A flat container is the common case, and checking all types in one call beats the loop below.
    if LEAF_TYPES.issuperset(builtins.map(type, children)):
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
        except NotATreeError as error:
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
    if type(tree) in LEAF_TYPES:
        return [tree], LEAF
    out: list[Any] = []
    try:
        return out, _walk(tree, out, is_leaf, strict)
    except NotATreeError as error:
        cls, where = type(error.value), "tree" + "".join(reversed(error.steps))
    base = next((f" (unlike its base {b.__name__})" for b in cls.__mro__[1:-1] if b in KINDS), "")
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
