"""Tests of `autodiff.tree`."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff import tree

pytestmark = pytest.mark.filterwarnings("error")


class Point(NamedTuple):
    x: Any
    y: Any


class Shifted(Point):
    __slots__ = ()

    def __new__(cls, both: Any) -> Self:
        return super().__new__(cls, both, both)


@tree.register_dataclass(static=("name",))
@dataclasses.dataclass(frozen=True)
class Layer:
    weight: Any
    name: str
    bias: Any = None


@tree.register
@dataclasses.dataclass
class Base:
    w: Any


@tree.register_dataclass(static="rate")
@dataclasses.dataclass(slots=True)
class Derived(Base):
    v: Any
    rate: Any = 0.5
    total: Any = dataclasses.field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.total = self.w + self.v  # fails on most leaves that are not numbers


class Bag:
    def __init__(self, items: list[Any], tag: Any) -> None:
        self.items, self.tag = items, tag

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bag) and (self.items, self.tag) == (other.items, other.tag)

    __hash__ = None  # type: ignore[assignment]


tree.register(Bag, lambda bag: (bag.items, bag.tag), lambda tag, items: Bag(list(items), tag))


@dataclasses.dataclass
class Spec:
    shape: tuple[int, ...]
    dtype: str


class Opaque:
    __array_ufunc__ = None


def same(a: Any, b: Any) -> bool:
    """Compare with types and key order, which ``==`` of containers overlooks."""
    return type(a) is type(b) and repr(a) == repr(b)


numbers = st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.builds(np.float32, st.integers(0, 9))
keys = st.text(max_size=2) | st.integers(0, 3)
trees = st.recursive(
    numbers | st.none() | st.builds(np.arange, st.integers(0, 3)),
    lambda sub: st.one_of(
        st.lists(sub, max_size=4),
        st.lists(sub, max_size=4).map(tuple),
        st.dictionaries(keys, sub, max_size=3),
        st.dictionaries(keys, sub, max_size=3).map(OrderedDict),
        st.dictionaries(keys, sub, max_size=3).map(lambda d: defaultdict(list, d)),
        st.builds(Point, sub, sub),
        st.builds(Layer, sub, st.text(max_size=2), sub),
        st.builds(Base, sub),
    ),
    max_leaves=20,
)


@given(trees)
def test_round_trip(value):
    found, shape = tree.flatten(value)
    assert len(found) == shape.num_leaves == len(shape.paths())
    assert same(tree.unflatten(shape, found), value)
    assert same(tree.unflatten(shape, iter(found)), value)
    again = tree.structure(value)
    assert again == shape
    assert hash(again) == hash(shape)
    assert tree.structure(tree.unflatten(shape, range(len(found)))) == shape
    assert [id(leaf) for _, leaf in tree.paths(value)] == [id(leaf) for leaf in tree.leaves(value)]
    assert same(tree.map(lambda *pair: pair[1], value, value), value)
    assert pickle.loads(pickle.dumps(shape)) == shape


@given(trees, trees)
def test_equal_structures_show_the_same(a, b):
    first, second = tree.structure(a), tree.structure(b)
    if first == second:
        assert repr(first) == repr(second)
        assert hash(first) == hash(second)


@pytest.mark.parametrize(
    ("value", "leaves", "shown", "where"),
    [
        (1.0, [1.0], "*", [""]),
        (None, [], "None", []),
        ((), [], "()", []),
        ((1,), [1], "(*,)", ["[0]"]),
        ((1, [2, 3]), [1, 2, 3], "(*, [*, *])", ["[0]", "[1][0]", "[1][1]"]),
        ({"w": 1, "b": (2, None)}, [1, 2], "{'w': *, 'b': (*, None)}", ["['w']", "['b'][0]"]),
        (OrderedDict(b=1, a=2), [1, 2], "OrderedDict({'b': *, 'a': *})", ["['b']", "['a']"]),
        (defaultdict(int, {3: 1}), [1], "defaultdict(<class 'int'>, {3: *})", ["[3]"]),
        (Point(1, [2]), [1, 2], "Point(x=*, y=[*])", [".x", ".y[0]"]),
        (Shifted(4), [4, 4], "Shifted(x=*, y=*)", [".x", ".y"]),
        (Layer(1, "a"), [1], "Layer(weight=*, bias=None, name='a')", [".weight"]),
        (Derived(1, 2), [1, 2, 3], "Derived(w=*, v=*, total=*, rate=0.5)", [".w", ".v", ".total"]),
        (Bag([1, 2], "t"), [1, 2], "Bag(*, *, static='t')", ["[0]", "[1]"]),
        (Bag([], None), [], "Bag()", []),
    ],
)
def test_containers(value, leaves, shown, where):
    found, shape = tree.flatten(value)
    assert found == leaves == tree.leaves(value)
    assert repr(shape) == shown
    assert shape.paths() == where
    rebuilt = tree.unflatten(shape, found)
    assert type(rebuilt) is type(value)
    assert rebuilt == value


@pytest.mark.parametrize(
    "leaf",
    [np.ones(2), np.float16(1), np.str_("a"), True, 1, 1.0, 1j, Spec((2,), "f4"), Opaque(), np.array([None])],
)
@pytest.mark.parametrize("strict", [True, False])
def test_leaves(leaf, strict):
    for _ in range(2):  # the second time the type may be in the cache
        assert tree.flatten(leaf, strict=strict) == ([leaf], tree.LEAF)
        assert tree.leaves([leaf], strict=strict)[0] is leaf


def test_defaultdict_keeps_its_factory():
    assert tree.map(abs, defaultdict(list, a=-1)).default_factory is list


@pytest.mark.parametrize("bad", ["s", {1}, len, np.ndarray, np, object(), Counter(a=1), Path().stat(), range(3)])
def test_unknown_objects(bad):
    value = {"w": [1.0, Layer(1.0, "n", bias=bad)]}
    with pytest.raises(TypeError) as caught:
        tree.flatten(value)
    text = str(caught.value)
    assert text.startswith("tree['w'][1].bias is a ")
    assert f"{type(bad).__module__}.{type(bad).__qualname__}, which is neither" in text
    assert text.endswith("with autodiff.tree.register, or pass the value as an argument that is not differentiated")
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert tree.leaves(value, strict=False)[2] is bad
    assert tree.map(lambda x: x, value, strict=False)["w"][1].bias is bad


def test_unknown_subclass_and_dataclass_say_what_to_do():
    class Child(Derived):
        pass

    with pytest.raises(TypeError, match=r"^tree is a .*Child, .*\(unlike its base Derived\).*register_dataclass, or"):
        tree.structure(Child(1, 2))
    with pytest.raises(TypeError, match=r"Counter, .* \(unlike its base dict\): .*tree\.register, or"):
        tree.leaves(Counter())


def test_is_leaf():
    value = {"a": (1, 2), "b": [None, "text"]}

    def stop(x):
        return x is None or isinstance(x, tuple | str)

    assert tree.leaves(value, is_leaf=stop) == [(1, 2), None, "text"]
    assert tree.map(lambda x, y: (x, y), [1.0, 2.0], [None, 0], is_leaf=stop) == [(1.0, None), (2.0, 0)]
    assert tree.structure((1, 2), is_leaf=stop) is tree.LEAF
    assert tree.paths(value, is_leaf=stop)[2] == ("['b'][1]", "text")


def test_map_matches_keys_in_any_order():
    first, second = {"a": 1, "b": {"x": 2, "y": [3]}}, {"b": {"y": [30], "x": 20}, "a": 10}
    result = tree.map(lambda x, y, z: x + y + z, first, second, first)
    assert same(result, {"a": 12, "b": {"x": 24, "y": [36]}})
    assert tree.structure(first) != tree.structure(second)
    assert tree.flatten_like(tree.structure(second), first) == [3, 2, 1]
    one, two = defaultdict(lambda: 0, a=1, b=2), defaultdict(lambda: 1, b=20, a=10)
    assert tree.map(max, one, two) == {"a": 10, "b": 20}
    assert tree.map(max, one, two).default_factory is one.default_factory


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        (1.0, [1.0], "tree is * in the first and [*] in the second"),
        ([0, (1, 2)], [0, (1, 2, 3)], "tree[1] is (*, *) in the first and (*, *, *) in the second"),
        ({"a": {"b": 1}}, {"a": {"c": 1}}, "tree['a'] is {'b': *} in the first and {'c': *} in the second"),
        ({"a": 1}, {"a": 1, "b": 2}, "tree is {'a': *} in the first and {'a': *, 'b': *} in the second"),
        ({"a": 1}, OrderedDict(a=1), "tree is {'a': *} in the first and OrderedDict({'a': *}) in the second"),
        (Point(1, None), Point(1, 2), "tree.y is None in the first and * in the second"),
        (
            [Layer(1, "a")],
            [Layer(1, "b")],
            "tree[0] is Layer(weight=*, bias=None, name='a') in the first and ",
        ),
        (
            Bag([1], 0),
            Bag([1], 1),
            "tree is Bag(*, static=0) in the first and Bag(*, static=1) in the second",
        ),
        ({"b": 1, "a": [2]}, {"a": (2,), "b": 1}, "tree['a'] is [*] in the first and (*,) in the second"),
    ],
)
def test_map_mismatch(first, second, difference):
    with pytest.raises(ValueError, match=r"^tree structures differ: ") as caught:
        tree.map(max, first, second)
    text = str(caught.value)
    assert difference in text
    assert text.endswith(f"\n  first:  {tree.structure(first)}\n  second: {tree.structure(second)}")


def test_unflatten_errors():
    with pytest.raises(ValueError, match=r"^\(\*, \*\) has 2 leaves, but 1 were given$"):
        tree.unflatten(tree.structure((1, 2)), [1])
    with pytest.raises(ValueError, match=r"^\* has 1 leaves, but 2 were given$"):
        tree.unflatten(tree.LEAF, [1, 2])
    with pytest.raises(TypeError, match="takes a Structure and leaves, not a list first"):
        tree.unflatten([1.0], tree.LEAF)


def test_structure_is_immutable_and_copies():
    shape = tree.structure({"a": [1, Point(2, 3)]})
    with pytest.raises(AttributeError):
        shape.num_leaves = 4
    with pytest.raises(AttributeError):
        del shape.num_leaves
    assert shape != "{'a': [*, Point(x=*, y=*)]}"
    assert copy.deepcopy(tree.LEAF) is pickle.loads(pickle.dumps(tree.LEAF)) is tree.LEAF
    assert tree.unflatten(copy.deepcopy(shape), "xyz") == {"a": ["x", Point("y", "z")]}
    with pytest.raises(TypeError, match="structure of Opaque, which is not registered here"):
        tree._restore(Opaque, None, (), True, 0)


def test_static_data():
    with pytest.raises(TypeError, match=r"^the static data of Bag cannot be hashed: .*list"):
        hash(tree.structure(Bag([1], [])))
    assert tree.structure(Bag([1], [])) == tree.structure(Bag([2], []))
    assert tree.structure(Layer(1, "a")) != tree.structure(Layer(1, "b"))
    with pytest.raises(TypeError, match=r"^the static data of Bag has no true or false =="):
        tree.map(max, Bag([1], np.ones(2)), Bag([1], np.zeros(2)))


def test_dataclass_is_rebuilt_without_init():
    rebuilt = tree.unflatten(tree.structure(Derived(1, 2, rate="r")), [None, "v", object])
    assert (rebuilt.w, rebuilt.v, rebuilt.total, rebuilt.rate) == (None, "v", object, "r")
    assert tree.map(lambda x: 2 * x, Layer(1, "n", (2,))) == Layer(2, "n", (4,))
    assert type(tree.map(abs, Base(Derived(1, 2))).w) is Derived


def test_registration_errors():
    class Plain(Base):
        pass

    with pytest.raises(TypeError, match=r"Plain is not a dataclass: put @dataclass"):
        tree.register(Plain)
    with pytest.raises(TypeError, match="takes both functions"):
        tree.register(Plain, lambda p: ((p.w,), None))
    with pytest.raises(ValueError, match=r"Spec has no field 'size' to be static, only \['shape', 'dtype'\]"):
        tree.register_dataclass(Spec, static=["shape", "size"])
    for known in (dict, float, np.ndarray, Layer, Bag):
        with pytest.raises(ValueError, match=f"{known.__name__} is already known"):
            tree.register(known, lambda x: ((), x), lambda x, _: x)
    tree.register(Plain, lambda p: [p.w], lambda _, c: Plain(*c))
    with pytest.raises(TypeError, match=r"flatten of .*Plain must return \(children, static\)"):
        tree.flatten([Plain(1)])


def test_registration_overrides_what_was_guessed():
    class Pair(NamedTuple):
        x: Any
        name: str

    class Lazy:
        __array_ufunc__ = None
        part = 1.0

    assert tree.leaves([Lazy(), Pair(1, 2)])[1:] == [1, 2]
    tree.register(Lazy, lambda lazy: ([lazy.part], None), lambda _, __: Lazy())
    tree.register(Pair, lambda pair: ([pair.x], pair.name), lambda name, c: Pair(*c, name))
    assert tree.leaves([Lazy(), Pair(1, "n")]) == [1.0, 1]
    assert tree.map(lambda x: x + 1, Pair(1, "n")) == Pair(2, "n")


def test_deep_and_wide_nesting():
    deep: Any = 1.0
    for i in range(100):
        deep = [deep] if i % 2 else {"k": deep}
    assert tree.map(math.sqrt, deep) == deep
    assert tree.structure(deep).paths() == ["[0]['k']" * 50]
    with pytest.raises(TypeError, match=r"^tree(\[0\]\['k'\]){50} is a builtins.str"):
        tree.leaves(tree.unflatten(tree.structure(deep), ["s"]))
    wide = list(range(1000))
    assert tree.map(lambda x: x, (wide, tuple(wide))) == (wide, tuple(wide))
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(RecursionError):
        tree.flatten(loop)


def test_children_go_through_a_function_when_rebuilt():
    @tree.register_dataclass(static=["name"], rebuild={"count": lambda x: ("rebuilt", x)})
    @dataclasses.dataclass
    class Layer:
        weight: Any
        count: Any
        name: str = "n"

    assert tree.map(lambda x: x + 1, Layer(1, 2)) == Layer(2, ("rebuilt", 3))
    with pytest.raises(ValueError, match=r"Layer has no child 'name' to rebuild, only \['weight', 'count'\]"):
        tree.register_dataclass(Layer, static=["name"], rebuild={"name": str})
