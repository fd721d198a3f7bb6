"""Errors inside a program: conversions, assignments, attributes, missing rules; each names itself and the fix."""

# ruff: noqa: FURB192, PLW0108, RUF005 - lambdas show whole programs, also clumsy ones
from __future__ import annotations

import cmath
import copy
import math
import pickle

import numpy as np
import pytest

import autodiff
from autodiff import grad, jvp, vjp
from autodiff.core import tables
from autodiff.core.errors import (
    AssignmentError,
    ConversionError,
    DifferentiationError,
    MissingAttributeError,
    MissingRuleError,
)
from tests.error_checks import assert_says

V = np.array([1.0, 2.0, 3.0])


def zeros(*shape, dtype=float):
    return np.zeros(shape, dtype)


def in_reverse(f):
    vjp(f, 0.5, V)


def in_forward(f):
    jvp(f, (0.5, V), (1.0, V))


def in_both(f):
    vjp(lambda x, v: jvp(f, (x, v), (1.0, V))[1], 0.5, V)


MODES = [in_reverse, in_forward, in_both]


# -- values that would lose their derivative -----------------------------------------------------------------

CONVERSIONS = {
    "float()": lambda x, v: float(x),
    "int()": lambda x, v: int(x),
    "complex()": lambda x, v: complex(x),
    ".item()": lambda x, v: x.item(),
    ".tolist()": lambda x, v: v.tolist(),
    "math.*": lambda x, v: math.sin(x),
    "math.* ": lambda x, v: math.floor(x),
    "math.trunc()": lambda x, v: math.trunc(x),
    "cmath.*": lambda x, v: cmath.exp(x),
    "index": lambda x, v: range(x),
    "index ": lambda x, v: [1, 2][x],
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", CONVERSIONS)
def test_a_conversion_names_itself_the_value_the_line_and_the_fix(mode, what):
    with pytest.raises(ConversionError) as caught:
        mode(CONVERSIONS[what])
    shape = "float64[3]" if what == ".tolist()" else "float64[]"
    fixes = ["np.sin, not math.sin", "np.stack", "autodiff.numpy.array", "autodiff.stop_gradient"]
    assert_says(caught.value, what.strip(), f"the traced value {shape}", "(test_errors.py:", *fixes)


# Every way by which NumPy might turn a traced value, or a list that contains one, into an object array.
ARRAYS = {
    "asarray": lambda x, v: np.asarray(x),
    "asarray of array": lambda x, v: np.asarray(v),
    "array of array": lambda x, v: np.array(v),
    "copy": lambda x, v: np.array(v, copy=None),
    "asanyarray": lambda x, v: np.asanyarray(v),
    "ascontiguousarray": lambda x, v: np.ascontiguousarray(v),
    "list": lambda x, v: np.array([x, 1.0]),
    "list, last": lambda x, v: np.array([1.0, x]),
    "nested list": lambda x, v: np.array([[x, x]]),
    "deep list": lambda x, v: np.array([[[1.0], [2.0]], [[3.0], [x]]]),
    "tuple": lambda x, v: np.asarray((x,)),
    "list of arrays": lambda x, v: np.array([v, v]),
    "list of array and list": lambda x, v: np.array([[1.0, 2.0, 3.0], v]),
    "list of plain and traced array": lambda x, v: np.array([V, v]),
    "dtype object": lambda x, v: np.array([x, 1.0], dtype=object),
    "dtype float": lambda x, v: np.array([x, 1.0], dtype=float),
    "NumPy scalar first": lambda x, v: np.array([np.float64(1.0), x]),
    "array + list": lambda x, v: zeros(2) + [x, 1.0],
    "traced + list": lambda x, v: x + [x, 1.0],
    "np.add of list": lambda x, v: np.add(x, [x, 1.0]),
    "np.add of lists": lambda x, v: np.add([x], [1.0]),
    "array @ list": lambda x, v: np.eye(3) @ [x, x, x],
    "np.sin of list": lambda x, v: np.sin([x, x]),
    "np.sum of list": lambda x, v: np.sum([x, x]),
    "np.max of list": lambda x, v: np.max([x, x]),
    "np.mean of list": lambda x, v: np.mean([x, 1.0]),
    "np.dot of lists": lambda x, v: np.dot([x, x], [1.0, 2.0]),
    "np.einsum of lists": lambda x, v: np.einsum("i,i", [x, x], [x, x]),
    "np.where of list": lambda x, v: np.where(True, [x, x], 0.0),
    "np.linalg.norm of list": lambda x, v: np.linalg.norm([x, x]),
    "np.concatenate of lists": lambda x, v: np.concatenate([[x], [x]]),
    "np.diag of list": lambda x, v: np.diag([x, x]),
    "np.append to list": lambda x, v: np.append([x], 1.0),
    "np.meshgrid of lists": lambda x, v: np.meshgrid([x], [x]),
    "np.full": lambda x, v: np.full(3, x),
    "np.float64()": lambda x, v: np.float64(x),
    "np.float32()": lambda x, v: np.float32(v),
    "np.arange": lambda x, v: np.arange(x),
    "np.vectorize": lambda x, v: np.vectorize(lambda a: a * x)(V),
    "np.fromiter": lambda x, v: np.fromiter((x for _ in range(2)), float),
    "random": lambda x, v: np.random.default_rng(0).normal(x),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("route", ARRAYS)
def test_no_object_array_is_ever_made_of_traced_values(mode, route):
    with pytest.raises(ConversionError) as caught:
        mode(ARRAYS[route])
    assert_says(caught.value, "the traced value float64[", "(test_errors.py:", "np.stack", "autodiff.numpy.array")


def test_an_object_array_cannot_hide_a_traced_value():
    def program(x):
        box = np.empty(2, object)
        box[0], box[1] = x, 1.0
        return np.sum(box * x)

    with pytest.raises(DifferentiationError, match=r"stored where the engine cannot see it.*object array.*np\.stack"):
        grad(program)(2.0)


def test_lists_without_traced_values_are_operands_like_arrays():
    assert grad(lambda x: np.sum(x * [1.0, 2.0]))(3.0) == 3.0
    assert grad(lambda x: np.sum((1.0, 2.0) * x))(3.0) == 3.0
    assert grad(lambda x: np.sum(np.multiply([1.0, 2.0], x)))(3.0) == 3.0
    assert grad(lambda x: np.sum(np.subtract(x, (1.0, 2.0)) ** 2))(3.0) == 6.0
    np.testing.assert_array_equal(grad(lambda x: np.sum([[1.0, 2.0, 3.0]] * x))(V), V)


STORES = {
    "element": lambda x, v: zeros(3).__setitem__(0, x),
    "element from element": lambda x, v: zeros(3).__setitem__(0, v[0]),
    "element of a matrix": lambda x, v: zeros(3, 3).__setitem__((0, 1), x),
    "slice": lambda x, v: zeros(3).__setitem__(slice(None), v),
    "slice, one value": lambda x, v: zeros(3).__setitem__(slice(None), x),
    "row": lambda x, v: zeros(3, 3).__setitem__(0, v),
    "ellipsis": lambda x, v: zeros(3).__setitem__(Ellipsis, x),
    "0-d": lambda x, v: zeros().__setitem__((), x),
    "mask": lambda x, v: zeros(3).__setitem__(np.array([True, False, True]), x),
    "indices": lambda x, v: zeros(3).__setitem__([0, 1], x),
    "list": lambda x, v: zeros(2).__setitem__(slice(None), [x, 1.0]),
    "float32 element": lambda x, v: zeros(3, dtype=np.float32).__setitem__(0, x),
    "float16 element": lambda x, v: zeros(3, dtype=np.float16).__setitem__(0, x),
    "int element": lambda x, v: zeros(3, dtype=int).__setitem__(0, x),
    "complex element": lambda x, v: zeros(3, dtype=complex).__setitem__(0, x),
    "record": lambda x, v: np.zeros(2, [("a", float)]).__setitem__(0, x),
    "fill": lambda x, v: zeros(3).fill(x),
    "put": lambda x, v: zeros(3).put(0, x),
    "flat slice": lambda x, v: zeros(3).flat.__setitem__(slice(None), v),
    "nditer": lambda x, v: np.nditer(zeros(2), op_flags=["readwrite"]).__setitem__(0, x),
    "fill_diagonal": lambda x, v: np.fill_diagonal(zeros(2, 2), x),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("route", STORES)
def test_storing_a_traced_value_in_a_plain_array(mode, route):
    # NumPy replaces the error of float(x) by its own "setting an array element with a sequence".
    with pytest.raises(ConversionError) as caught:
        mode(STORES[route])
    assert_says(caught.value, "traced value", "(test_errors.py:", "np.stack", "autodiff.numpy.array")


def test_the_traceback_of_a_store_shows_the_users_line():
    def program(x):
        a = zeros(2)
        a[0] = x  # the line
        return a

    with pytest.raises(ConversionError) as caught:
        grad(program)(1.0)
    assert any(entry.name == "program" for entry in caught.traceback)


def test_an_honest_error_of_numpy_stays_what_it_is():
    with pytest.raises(ValueError, match="setting an array element with a sequence") as caught:
        grad(lambda x: x * np.array([[1.0], [1.0, 2.0]], dtype=float))(1.0)
    assert type(caught.value) is ValueError


INTO_PLAIN = {
    "np.add": lambda x, v: zeros(3).__iadd__(v),
    "np.multiply": lambda x, v: zeros(3).__imul__(x),
    "np.subtract": lambda x, v: np.subtract(v, 1.0, out=zeros(3)),
    "np.sin": lambda x, v: np.sin(v, out=zeros(3)),
    "np.sum": lambda x, v: np.sum(v, out=zeros()),
    "np.copyto": lambda x, v: np.copyto(zeros(3), v),
    "np.put": lambda x, v: np.put(zeros(3), 0, x),
    "np.putmask": lambda x, v: np.putmask(zeros(3), [True, False, True], x),
    "np.place": lambda x, v: np.place(zeros(3), [True, False, True], x),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", INTO_PLAIN)
def test_writing_into_a_plain_array(mode, name):
    with pytest.raises(AssignmentError) as caught:
        mode(INTO_PLAIN[name])
    target = "float64[]" if name == "np.sum" else "float64[3]"
    fixes = ["y = y + x", "np.stack", "autodiff.numpy.array", "(test_errors.py:"]
    assert_says(caught.value, name, "the traced value float64[", f"plain array ({target})", *fixes)


CHANGES = {
    "x.byteswap()": lambda x, v: v.byteswap(inplace=True),
    "x.resize()": lambda x, v: v.resize(2),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CHANGES)
def test_changing_a_traced_array(mode, name):
    with pytest.raises((AssignmentError, MissingAttributeError)) as caught:
        mode(CHANGES[name])
    fixes = ["np.where", "np.stack", "autodiff.numpy.array", "(test_errors.py:"]
    assert_says(caught.value, name, "a traced array (float64[3]) cannot be changed in place", *fixes)


def test_augmented_assignment_of_a_traced_name_makes_a_new_value():
    def program(x):
        first = y = x * 1.0
        y += x
        y *= 3.0
        y -= first
        y /= 2.0
        y **= 2
        return y

    assert grad(program)(2.0) == pytest.approx(2 * 2.5**2 * 2.0)
    assert jvp(program, (2.0,), (1.0,))[1] == pytest.approx(2 * 2.5**2 * 2.0)


def test_attributes_that_arrays_have_and_traced_values_lack():
    for mode in MODES:
        with pytest.raises(MissingAttributeError, match=r"x\.tobytes is not defined .*float64\[3\].*test_errors"):
            mode(lambda x, v: v.tobytes())
        with pytest.raises(AttributeError, match="no attribute 'foo'") as caught:
            mode(lambda x, v: v.foo)
        assert not isinstance(caught.value, DifferentiationError)
    # What is not there may be probed for.
    assert grad(lambda x: x if not hasattr(x, "tobytes") and getattr(x, "foo", None) is None else 0.0)(1.0) == 1.0


def test_a_traced_value_cannot_be_pickled_and_is_its_own_copy():
    with pytest.raises(DifferentiationError, match=r"pickle: a traced value \(float64\[\]\)"):
        grad(lambda x: pickle.dumps(x))(1.0)
    assert grad(lambda x: copy.deepcopy({"x": x})["x"] * copy.copy(x))(3.0) == 6.0


def test_branches_and_loops_on_traced_values_just_work():
    def halve(x):
        n = 0
        while x > 1.0:
            x = x / 2
            n += 1
        return x * n if x != 1.0 else -x

    assert grad(halve)(12.0) == 4 / 16
    assert jvp(halve, (12.0,), (1.0,))[1] == 4 / 16
    assert grad(halve)(4.0) == -0.25
    assert grad(lambda x: max(x, 0.5) + min(x, 0.5) + sorted([x, 2.0])[0] + sum([x, x]))(1.0) == 4.0
    assert grad(lambda x: x if x in (1.0, 2.0) else 0 * x)(2.0) == 1.0
    assert grad(lambda x: x * 2 if x is not None and 0 < x <= 3 else x)(3.0) == 2.0
    assert grad(lambda x: float(f"{x:.1f}") * x)(2.04) == 2.0


# -- missing rules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("table", "key", "name", "how", "f"),
    [
        ("FUNCTIONS", np.flip, "np.flip", "autodiff.core.implements(np.flip)(function)", lambda x, v: np.flip(v)),
        (
            *("FUNCTIONS", np.linalg.pinv, "np.linalg.pinv", "autodiff.core.implements(np.linalg.pinv)(function)"),
            lambda x, v: np.linalg.pinv(V[:, None] * v),
        ),
        ("UFUNCS", np.sin, "np.sin", "autodiff.core.elementwise(np.sin, rule)", lambda x, v: np.sin(v)),
        ("UFUNCS", np.add, "np.add", "autodiff.core.elementwise(np.add, rule)", lambda x, v: np.add(x, v)),
        (
            *("UFUNC_METHODS", "reduceat", "np.add.reduceat", "autodiff.core.tables.UFUNC_METHODS['reduceat']"),
            lambda x, v: np.add.reduceat(v, [0, 1]),
        ),
    ],
)
def test_a_missing_rule_names_the_function_and_how_to_add_it(monkeypatch, mode, table, key, name, how, f):
    monkeypatch.delitem(getattr(tables, table), key, raising=False)
    with pytest.raises(MissingRuleError) as caught:
        mode(f)
    fixes = ["autodiff.custom_jvp", "autodiff.custom_vjp", "autodiff.stop_gradient"]
    assert_says(caught.value, f"{name} has no derivative rule", how, "(test_errors.py:", *fixes)
    assert isinstance(caught.value, NotImplementedError)
    assert isinstance(caught.value, TypeError)


def test_an_unsupported_ufunc_keyword_is_named():
    with pytest.raises(MissingRuleError, match=r"np\.add has no derivative rule .*keyword where="):
        grad(lambda v: np.add(v, 1.0, where=[True, False, True]))(V)


def test_a_rule_can_be_added_as_the_message_says(monkeypatch):
    # Set so that they are restored afterwards, then registered for the test.
    monkeypatch.setitem(tables.FUNCTIONS, np.flip, None)
    monkeypatch.setitem(tables.UFUNCS, np.spacing, None)
    monkeypatch.setitem(tables.REGISTRY, "test_spacing", None)
    del tables.REGISTRY["test_spacing"]
    autodiff.core.implements(np.flip)(lambda m, axis=None: m[::-1])
    np.testing.assert_array_equal(grad(lambda v: np.sum(np.flip(v) * V))(V), V[::-1])
    autodiff.core.elementwise(np.spacing, lambda t, _y, x: t * x, name="test_spacing")
    assert grad(np.spacing)(3.0) == 3.0
