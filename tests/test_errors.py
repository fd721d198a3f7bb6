"""Every error names the operation, what it was given, and the fix."""

# ruff: noqa: FURB192, PLW0108, RUF005 - lambdas show whole programs, also clumsy ones
from __future__ import annotations

import cmath
import copy
import math
import pickle
import re

import numpy as np
import pytest

import autodiff
from autodiff import grad, hessian, hvp, jacfwd, jacrev, jvp, linear_transpose, linearize, value_and_grad, vjp
from autodiff.core import tables
from autodiff.core.errors import (
    AssignmentError,
    ConversionError,
    DifferentiationError,
    LeakedTracerError,
    MissingAttributeError,
    MissingRuleError,
    NonlinearError,
    ShapeOnlyError,
)

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


def assert_says(error: BaseException, *parts: str) -> None:
    text = str(error)
    for part in parts:
        assert part in text, f"{part!r} is not in: {text}"


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


# -- grad and its kin ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [grad, value_and_grad])
@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: x * V, r"must return a scalar, but its value is float64\[3\]; .*np\.sum.*jacrev"),
        (lambda x: np.reshape(x, (1, 1)), r"must return a scalar, but its value is float64\[1, 1\]"),
        (lambda x: 3, r"floating-point scalar, but its value is int64, which has no derivative; .*casts"),
        (lambda x: x > 0, r"floating-point scalar, but its value is bool"),
        (lambda x: x * 1j, r"real-valued, but its value is complex128; differentiate np\.real\(f\(x\)\)"),
        (lambda x: None, r"one real scalar, not the tree None \(is a return missing\?\)"),
        (lambda x: (x, x), r"one real scalar, not the tree \(\*, \*\); use has_aux=True"),
        (lambda x: {"loss": x}, r"one real scalar, not the tree \{'loss': \*\}"),
        (lambda x: "text", r"the function's value is not a tree of arrays: .*builtins\.str"),
        (lambda x: object(), r"the function's value is not a tree of arrays: .*builtins\.object"),
        (lambda x: np.array([None]), r"must return a scalar, but its value is object\[1\]"),
    ],
)
def test_a_value_that_is_no_real_scalar(transform, f, message):
    with pytest.raises(TypeError, match=message) as caught:
        transform(f)(2.0)
    assert str(caught.value).startswith(transform.__name__ + ": ")


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacfwd, jacrev, hessian])
@pytest.mark.parametrize(
    ("argnums", "error", "message"),
    [
        (2, ValueError, r"argnums=2, but the function was called with 2 positional argument\(s\)"),
        (-3, ValueError, r"argnums=-3, but"),
        ((0, 2), ValueError, r"argnums=\(0, 2\), but .*passed by position"),
        ((0, 0), ValueError, r"argnums=\(0, 0\) names an argument twice"),
        ((1, -1), ValueError, r"names an argument twice"),
        (True, TypeError, r"argnums must be an int or a sequence of ints, not True"),
        (1.0, TypeError, r"argnums must be .* not 1\.0"),
        ("x", TypeError, r"argnums must be .* not 'x'"),
        (None, TypeError, r"argnums must be .* not None"),
    ],
)
def test_wrong_argnums(transform, argnums, error, message):
    with pytest.raises(error, match=message):
        transform(lambda x, y: x * y, argnums)(1.0, 2.0)


def test_an_argument_by_keyword_is_not_differentiated():
    with pytest.raises(ValueError, match=r"argnums=0, but the function was called with 0 positional .* by position"):
        grad(lambda x: x)(x=1.0)


@pytest.mark.parametrize(
    "value", [True, np.array([True]), np.array([1, None]), np.array(["a"]), np.array("2020", "M8[Y]")]
)
def test_an_argument_without_derivative(value):
    dtype = re.escape(str(np.asarray(value).dtype))
    with pytest.raises(DifferentiationError, match=rf"grad: argument 1 has dtype {dtype}, .*argnums"):
        grad(lambda x, y: x, 1)(1.0, value)
    with pytest.raises(DifferentiationError, match=rf"jvp: primals\[0\] has dtype {dtype}"):
        jvp(lambda x: 1.0, (value,), (value,))


@pytest.mark.parametrize("value", ["text", {1.0}, object()])
def test_an_argument_that_is_no_tree(value):
    name = type(value).__name__
    with pytest.raises(DifferentiationError, match=rf"grad: argument 0 is not a tree of arrays: .*{name}"):
        grad(lambda x: x)(value)
    with pytest.raises(DifferentiationError, match=rf"vjp: argument 0 is not .*tree\['w'\]\[1\] is a builtins\.{name}"):
        vjp(lambda x: x, {"w": [1.0, value]})


@pytest.mark.parametrize(
    "call",
    [
        lambda: grad(3),
        lambda: value_and_grad(3),
        lambda: jacfwd(3),
        lambda: jacrev(3),
        lambda: vjp(3, 1.0),
        lambda: jvp(3, (1.0,), (1.0,)),
        lambda: hvp(3, (1.0,), (1.0,)),
        lambda: linearize(3, 1.0),
        lambda: linear_transpose(3, 1.0),
        lambda: autodiff.checkpoint(3),
        lambda: autodiff.custom_jvp(3),
        lambda: autodiff.custom_vjp(3),
    ],
)
def test_what_is_not_a_function(call):
    with pytest.raises(TypeError, match="the first argument must be a function, not int"):
        call()


@pytest.mark.parametrize("out", [1.0, (1.0,), (1.0, 2.0, 3.0)])
def test_has_aux_needs_a_pair(out):
    for call in (
        lambda f: grad(f, has_aux=True)(1.0),
        lambda f: vjp(f, 1.0, has_aux=True),
        lambda f: jvp(f, (1.0,), (1.0,), has_aux=True),
        lambda f: jacrev(f, has_aux=True)(1.0),
    ):
        with pytest.raises(TypeError, match=r"with has_aux=True the function must return \(value, aux\), not"):
            call(lambda x: out)


# -- tangents and cotangents ---------------------------------------------------------------------------------

TREE = {"w": (V, V), "b": 1.0}


@pytest.mark.parametrize(
    ("tangent", "error", "message"),
    [
        (
            {"w": (V, V[:2]), "b": 1.0},
            ValueError,
            r"X\['w'\]\[1\] is float64\[2\], but Y\['w'\]\[1\] is float64\[3\]; .*equal",
        ),
        ({"w": (V, V), "b": V}, ValueError, r"X\['b'\] is float64\[3\], but Y\['b'\] is float64\[\]"),
        ({"w": (V.astype("f4"), V), "b": 1.0}, TypeError, r"X\['w'\]\[0\] is float32\[3\], .*\.astype\('float64'\)"),
        ({"w": (V + 0j, V), "b": 1.0}, TypeError, r"X\['w'\]\[0\] is complex128\[3\], but Y"),
        ({"w": (V.astype(int), V), "b": 1.0}, TypeError, r"X\['w'\]\[0\] is int64\[3\], but Y"),
        ({"w": (V, V), "b": 1j}, TypeError, r"X\['b'\] is complex, but Y\['b'\] is float64\[\]"),
        ({"w": [V, V], "b": 1.0}, TypeError, r"tree of X is \{'w': \[\*, \*\], 'b': \*\}, but that of Y is"),
        ({"w": (V, V)}, TypeError, r"tree of X is .*, but that of Y is"),
        ({"w": (V, V), "b": None}, TypeError, r"tree of X is .*'b': None"),
        (None, TypeError, r"tree of X is None"),
        ("t", TypeError, r"tree of X is no tree but a str"),
        (V, TypeError, r"tree of X is \*, but that of Y is"),
    ],
)
def test_tangents_and_cotangents_must_match(tangent, error, message):
    def check(call, x, y):
        with pytest.raises(error, match=message.replace("X", re.escape(x)).replace("Y", re.escape(y))):
            call()

    identity = lambda p: dict(p.items())
    check(lambda: jvp(identity, (TREE,), (tangent,)), "tangents[0]", "primals[0]")
    check(lambda: jvp(lambda _, p: p, (1.0, TREE), (1.0, tangent)), "tangents[1]", "primals[1]")
    check(lambda: linearize(identity, TREE)[1](tangent), "tangents[0]", "primals[0]")
    check(lambda: vjp(identity, TREE)[1](tangent), "cotangent", "value")
    check(lambda: linear_transpose(identity, TREE)(tangent), "cotangent", "value")


def test_the_number_of_tangents():
    with pytest.raises(TypeError, match=r"jvp: 2 tangent\(s\) given for 1 primal\(s\)"):
        jvp(lambda x: x, (V,), (V, V))
    with pytest.raises(
        TypeError, match=r"jvp: primals and tangents must be tuples .* not ndarray and tuple; write jvp"
    ):
        jvp(lambda x: x, V, (V,))
    with pytest.raises(
        TypeError, match=r"hvp: primals and tangents must be tuples, not ndarray and ndarray; write hvp"
    ):
        hvp(np.sum, V, V)
    with pytest.raises(TypeError, match=r"linearize: 0 tangent\(s\) given for 1 primal\(s\)"):
        linearize(lambda x: x, V)[1]()


def test_jacobians_of_complex_arguments_and_integer_values():
    for transform in (jacfwd, jacrev):
        name = transform.__name__
        with pytest.raises(
            DifferentiationError, match=rf"{name}: argument 1 is complex \(complex128\[1\]\).*holomorphic"
        ):
            transform(lambda x, z: z, 1)(1.0, np.array([1j]))
        with pytest.raises(DifferentiationError, match=rf"{name}: .* its value is bool\[3\]"):
            transform(lambda x: x > 1)(V)


def test_linear_transpose_checks_linearity():
    def refused(f, message, like=V):
        with pytest.raises(NonlinearError, match=message):
            linear_transpose(f, like)

    refused(lambda x: x * x, r"multiply\(float64\[3\], float64\[3\]\): not linear .*test_errors\.py")
    refused(np.sin, r"sin\(float64\[3\]\): not linear")
    refused(lambda x: 2.0 * x + 1.0, r"add\(float64\[3\], float\): a constant is added")
    refused(lambda x: np.where(x > 0, x, 0.0), r"greater\(float64\[3\]")
    refused(lambda x: x if x > 0 else -x, r"greater", like=1.0)
    refused(lambda x: float(x), r"float\(\).*: a linear function is being transposed.*custom_jvp", like=1.0)
    refused(lambda x: np.asarray(x), r"np\.asarray\(\).*no value yet")
    refused(lambda x: autodiff.stop_gradient(x), r"stop_gradient")
    refused(lambda x: np.ones(3), r"does not depend on the arguments")
    with pytest.raises(DifferentiationError, match=r"linear_transpose: argument 0 is bool; give real or complex"):
        linear_transpose(lambda x: x, True)
    (back,) = linear_transpose(lambda x: 2.0 * x + 0.0, V)(V)
    np.testing.assert_array_equal(back, 2 * V)


def test_shapes_alone_have_no_values():
    for f, what in (
        (float, r"float\(\)"),
        (np.asarray, r"np\.asarray\(\)"),
        (lambda x: x.item(), r"\.item\(\)"),
        (bool, r"bool\(\)"),
    ):
        with pytest.raises(ShapeOnlyError, match=what + r".*eval_shape"):
            autodiff.eval_shape(f, autodiff.Spec(()))


# -- use after the end ---------------------------------------------------------------------------------------


def leaked(make=grad):
    kept = []

    def keep(x):
        kept.append(x * 1.0)
        return np.sum(x)

    if make is grad:
        grad(keep)(V)
    else:
        jvp(keep, (V,), (V,))
    return kept[0]


USES = {
    "add": lambda x: x + 1.0,
    "sin": lambda x: np.sin(x),
    "multiply": lambda x: 2.0 * x,
    "sum": lambda x: np.sum(x),
    "reshape": lambda x: x.reshape(3, 1),
    "getitem": lambda x: x[0],
    "less": lambda x: x < 2,
    "np.asarray()": lambda x: np.asarray(x),
    "stop_gradient": lambda x: autodiff.stop_gradient(x),
    "grad: argument 0": lambda x: grad(np.sum)(x),
    "grad: the function's value": lambda x: grad(lambda _: x)(1.0),
    "vjp: the function's value": lambda x: vjp(lambda y: (y, x), 1.0),
    "jvp: the function's value": lambda x: jvp(lambda y: {"y": x}, (1.0,), (1.0,)),
    "custom_jvp": lambda x: PASS_J(x),
    "custom_vjp": lambda x: PASS_V(x),
    "add ": lambda x: grad(lambda y: np.sum(x + y))(1.0),
    "bool()": bool,
    "multiply ": lambda x: autodiff.checkpoint(lambda y: y * 2)(x),
}
PASS_J = autodiff.custom_jvp(lambda x: x)
PASS_V = autodiff.custom_vjp(lambda x: x)


@pytest.mark.parametrize("make", [grad, jvp])
@pytest.mark.parametrize("use", USES)
def test_a_traced_value_used_after_its_transform(make, use):
    x = leaked(make)
    with pytest.raises(LeakedTracerError) as caught:
        USES[use](x)
    assert_says(caught.value, use.strip(), f"after the {make.__name__} that made it had ended", "(test_errors.py:")
    assert_says(caught.value, "Return it from the differentiated function", "has_aux=True")


class ForeignTensor:
    """An array of a library that has dtypes of its own, as PyTorch's tensors are."""

    shape, dtype = (3,), "library.float32"


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacrev, lambda f: lambda x: jvp(f, (x,), (V,)), hessian])
def test_arrays_of_a_library_that_knows_no_numpy(transform):
    with pytest.raises(DifferentiationError) as caught:
        transform(np.sum)(ForeignTensor())
    assert_says(caught.value, "[0]" if "jvp" in str(caught.value) else "argument 0", "ForeignTensor", "library.float32")
    assert_says(caught.value, "convert it first, with np.asarray")


def test_a_leak_through_a_pullback_that_was_kept():
    kept = []

    def outer(x):
        kept.append(vjp(lambda y: np.sin(y) * x, x)[1])
        return x

    grad(outer)(1.0)
    with pytest.raises(LeakedTracerError, match="after the grad that made it had ended"):
        kept[0](1.0)


def test_a_leak_through_a_generator():
    def numbers(x):
        yield x
        yield x * 2

    kept = numbers(None)

    def program(x):
        nonlocal kept
        kept = numbers(x)
        return next(kept)

    assert grad(program)(1.0) == 1.0
    with pytest.raises(LeakedTracerError, match="multiply"):
        next(kept)


def test_looking_at_a_leaked_value_is_allowed():
    x = leaked()
    assert "1., 2., 3." in repr(x)
    assert x.shape == (3,)


def test_an_object_array_cannot_hide_a_traced_value():
    def program(x):
        box = np.empty(2, object)
        box[0], box[1] = x, 1.0
        return np.sum(box * x)

    with pytest.raises(DifferentiationError, match=r"stored where the engine cannot see it.*object array.*np\.stack"):
        grad(program)(2.0)
