"""What the transforms mean: argument forms, trees, values, dtypes, linear_transpose, stop_gradient."""

# ruff: noqa: PLW0108 - lambdas show whole programs

from __future__ import annotations

import collections
import dataclasses
import functools
import math
from typing import Any, NamedTuple

import numpy as np
import pytest

import autodiff
from autodiff import grad, hvp, jvp, linear_transpose, linearize, stop_gradient, tree, value_and_grad, vjp
from tests.modes import D, mixtures, nested

V = np.array([1.0, 2.0, 3.0])


class Pair(NamedTuple):
    a: Any
    b: Any


@tree.register_dataclass(static=["name"])
@dataclasses.dataclass
class Layer:
    w: Any
    n: Any
    name: str = "layer"


def same(a, b):
    """Assert that two trees have the same structure, dtypes and values."""
    assert tree.structure(a) == tree.structure(b)
    for x, y in zip(tree.leaves(a), tree.leaves(b), strict=True):
        assert np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_array_equal(x, y)


# -- arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argnums", "expected"),
    [
        (0, 9.0),
        (1, 12.0),
        (-1, 12.0),
        (-2, 9.0),
        (np.int64(1), 12.0),
        ((1,), (12.0,)),
        ((0, 1), (9.0, 12.0)),
        ([1, 0], (12.0, 9.0)),
        ((0, -1), (9.0, 12.0)),
        ((), ()),
    ],
)
def test_argnums(argnums, expected):
    f = lambda x, y: x * y**2
    found = grad(f, argnums)(2.0, 3.0)
    assert found == expected
    assert type(found) is (tuple if isinstance(expected, tuple) else np.float64)
    assert value_and_grad(f, argnums)(2.0, 3.0) == (18.0, expected)
    assert grad(f, argnums=argnums)(2.0, 3.0) == expected


def test_keyword_arguments_are_constants():
    f = lambda x, *, scale, shift=0.0: x * scale + shift
    assert grad(f)(2.0, scale=3.0) == 3.0
    assert value_and_grad(f)(2.0, scale=3.0, shift=1.0) == (7.0, 3.0)
    # A constant of the inner gradient is a variable of the outer one.
    assert grad(lambda s: grad(f)(2.0, scale=s * s))(3.0) == 6.0
    assert autodiff.jacfwd(f)(2.0, scale=3.0) == autodiff.jacrev(f)(2.0, scale=3.0) == 3.0


def test_other_arguments_may_be_anything():
    assert grad(lambda x, how, table: x * table[how])(1.0, "twice", {"twice": 2.0, "set": {1}}) == 2.0


def test_the_transformed_function_keeps_its_name():
    def loss(x):
        """What it costs."""
        return x

    assert grad(loss).__name__ == "loss"
    assert grad(loss).__wrapped__ is loss
    assert grad(np.sin)(0.0) == 1.0
    assert grad(functools.partial(math.prod, start=3.0))([1.0, 2.0]) == [6.0, 3.0]


def test_has_aux():
    f = lambda x: (x * x, {"x": x, "note": "text", "double": [2 * x, None], "type": float})
    aux = {"x": 3.0, "note": "text", "double": [6.0, None], "type": float}
    assert grad(f, has_aux=True)(3.0) == (6.0, aux)
    assert value_and_grad(f, has_aux=True)(3.0) == ((9.0, aux), 6.0)
    assert jvp(f, (3.0,), (1.0,), has_aux=True) == (9.0, 6.0, aux)
    value, pullback, got = vjp(f, 3.0, has_aux=True)
    assert (value, pullback(1.0), got) == (9.0, (6.0,), aux)
    assert type(got["x"]) is np.float64
    # In a nested transform the auxiliary value still carries the outer derivative.
    assert grad(lambda x: grad(f, has_aux=True)(x)[1]["double"][0])(3.0) == 2.0
    assert jvp(lambda x: jvp(f, (x,), (1.0,), has_aux=True)[2]["x"] ** 2, (3.0,), (1.0,)) == (9.0, 6.0)


def test_an_argument_that_comes_back_as_auxiliary_value():
    weights = {"w": np.array([1.0, 2.0]), "n": 3}

    def same(d):
        return np.sum(d["w"] ** 2), d

    def changed(d):
        d["w"][0] = 5 * d["w"][1]
        return np.sum(d["w"] ** 2), d

    (value, aux), gradient = value_and_grad(same, has_aux=True)(weights)
    assert (value, gradient["w"].tolist(), aux is weights) == (5.0, [2.0, 4.0], True)
    (value, aux), gradient = value_and_grad(changed, has_aux=True)(weights)
    assert (value, gradient["w"].tolist(), aux["w"].tolist(), aux["n"]) == (104.0, [0.0, 104.0], [10.0, 2.0], 3)
    assert weights["w"].tolist() == [1.0, 2.0]
    kept = vjp(same, weights, has_aux=True)[2]
    assert kept["w"] is not weights["w"]  # the trace may be used again, whatever becomes of what was handed out
    for f, wanted in ((same, [1.0, 1.0]), (changed, [0.0, 6.0])):
        inner = lambda d, f=f: np.sum(grad(f, has_aux=True)({"w": d["w"] * 1.0, "n": 3})[1]["w"])
        assert grad(inner)(weights)["w"].tolist() == wanted
        assert jvp(inner, (weights,), ({"w": np.array([1.0, 10.0]), "n": 0},))[1] == np.dot(wanted, [1.0, 10.0])
    (_, aux), gradients = value_and_grad(lambda a, b: (a["w"] @ b["w"], b), (0, 1), True)(weights, dict(weights))
    assert (aux, [g["w"].tolist() for g in gradients]) == (weights, [[1.0, 2.0], [1.0, 2.0]])


# -- trees ---------------------------------------------------------------------------------------------------

PARAMETERS = {
    "list": [V, [1, True, 2.0]],
    "pair": Pair(np.float32(2.0), np.arange(3)),
    "layer": Layer(np.array([[1.0, 2.0]]), None),
    "tuple": ((), (np.array(4.0),)),
    "ordered": collections.OrderedDict(b=1.0, a=2.0),
}


def loss(p):
    ints = p["list"][1][0] + p["pair"].b[2] + p["list"][1][1]  # 1 + 2 + True
    total = np.sum(p["list"][0] ** 2) * p["list"][1][2] + p["pair"].a * ints
    return total + np.sum(p["layer"].w) * p["tuple"][1][0] + p["ordered"]["a"] * p["ordered"]["b"]


def test_gradients_have_the_tree_and_dtypes_of_the_argument():
    expected = {
        "list": [4 * V, [np.int64(0), np.False_, np.float64(14.0)]],
        "pair": Pair(np.float32(4.0), np.zeros(3, int)),
        "layer": Layer(np.array([[4.0, 4.0]]), None),
        "tuple": ((), (np.float64(3.0),)),
        "ordered": collections.OrderedDict(b=np.float64(2.0), a=np.float64(1.0)),
    }
    same(grad(loss)(PARAMETERS), expected)
    same(vjp(loss, PARAMETERS)[1](1.0)[0], expected)
    assert type(grad(loss)(PARAMETERS)["layer"]) is Layer


def test_tangents_have_the_tree_and_dtypes_of_the_value():
    value, tangent = jvp(lambda p: p, (PARAMETERS,), (PARAMETERS,))
    zeroed = {
        "list": [V, [np.int64(0), np.False_, np.float64(2.0)]],
        "pair": Pair(np.float32(2.0), np.zeros(3, int)),
        "layer": PARAMETERS["layer"],
        "tuple": ((), (np.float64(4.0),)),
        "ordered": collections.OrderedDict(b=np.float64(1.0), a=np.float64(2.0)),
    }
    same(tangent, zeroed)
    same(linearize(lambda p: p, PARAMETERS)[1](PARAMETERS), zeroed)
    same(value, tree.map(lambda x: x, PARAMETERS))
    gradient = grad(loss)(PARAMETERS)
    dot = sum(np.sum(a * b) for a, b in zip(tree.leaves(gradient), tree.leaves(zeroed), strict=True))
    np.testing.assert_allclose(jvp(loss, (PARAMETERS,), (PARAMETERS,))[1], dot, rtol=1e-6)


def test_second_order_through_trees():
    f = lambda p: loss(p) ** 2
    along = tree.map(lambda x: x, PARAMETERS)
    forward_over_reverse = jvp(grad(f), (PARAMETERS,), (along,))[1]
    reverse_over_forward = grad(lambda p: jvp(f, (p,), (along,))[1])(PARAMETERS)
    for a, b in zip(tree.leaves(forward_over_reverse), tree.leaves(reverse_over_forward), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    same(hvp(f, (PARAMETERS,), (along,)), forward_over_reverse)


def test_the_cotangent_of_a_dict_matches_by_key():
    _, pullback = vjp(lambda x: {"a": x, "b": 2 * x}, V)
    np.testing.assert_array_equal(pullback({"b": np.ones(3), "a": np.zeros(3)})[0], 2 * np.ones(3))


def test_a_leaf_that_appears_twice():
    x = np.array([1.0, 2.0])
    a, b = grad(lambda p: np.sum(p[0] * 2 + p[1] * 3))((x, x))
    np.testing.assert_array_equal(a, [2.0, 2.0])
    np.testing.assert_array_equal(b, [3.0, 3.0])


# -- values that pass through --------------------------------------------------------------------------------


def test_the_value_is_the_argument_itself():
    assert grad(lambda x: x)(2.0) == 1.0
    value, pullback = vjp(lambda x: x, V)
    np.testing.assert_array_equal(value, V)
    np.testing.assert_array_equal(pullback(V)[0], V)
    assert pullback(V)[0] is not V
    value, pullback = vjp(lambda x: (x, x, 3.0), V)
    np.testing.assert_array_equal(pullback((V, 2 * V, 1.0))[0], 3 * V)
    value, tangent = jvp(lambda x: (x, x), (V,), (2 * V,))
    np.testing.assert_array_equal(tangent[0] + tangent[1], 4 * V)


@pytest.mark.parametrize("modes", ["f", "r", *mixtures(2)])
def test_no_dependence_gives_zero(modes):
    assert nested(modes, lambda x: 3.0)(1.0) == 0.0
    assert nested(modes, lambda x: stop_gradient(x) * 2)(1.0) == 0.0
    same(grad(lambda p: 3.0)({"a": V.astype("f4"), "n": 2}), {"a": np.zeros(3, "f4"), "n": np.int64(0)})
    same(jvp(lambda p: {"y": 3.0, "v": V}, (1.0,), (1.0,))[1], {"y": np.float64(0), "v": np.zeros(3)})


def test_the_gradient_belongs_to_the_caller():
    cotangent = np.ones(3)
    for f in (lambda x: x, lambda x: np.reshape(x, (3,)), lambda x: x + 1.0, lambda x: np.where(True, x, 0.0)):
        found = vjp(f, V)[1](cotangent)[0]
        assert not np.shares_memory(found, cotangent)
        found[0] = 7.0
        assert cotangent.tolist() == [1.0, 1.0, 1.0]
    found = grad(lambda x: np.sum(x))(V)
    found[0] += 1.0
    assert found.tolist() == [2.0, 1.0, 1.0]


def test_arguments_are_never_changed():
    x, t = V.copy(), V.copy()
    x.flags.writeable = t.flags.writeable = False
    grad(lambda v: np.sum(v[1:] * v[:-1]) + v[0])(x)
    jvp(lambda v: np.sum(v[1:] * v[:-1]) + v[0], (x,), (t,))
    vjp(lambda v: v * v, x)[1](t)
    hvp(lambda v: np.sum(v**3), (x,), (t,))
    assert x.tolist() == t.tolist() == V.tolist()


def test_a_pullback_may_be_called_many_times():
    _, pullback = vjp(lambda x, y: np.sin(x) * y, V, 2.0)
    first = pullback(V)
    again = pullback(2 * V)
    np.testing.assert_array_equal(2 * first[0], again[0])
    assert 2 * first[1] == again[1]
    same(pullback(V), first)


def test_linearize_passes_auxiliary_values_on():
    value, push, aux = linearize(lambda x: (x * x, {"x": x, "name": "square", "none": None}), 3.0, has_aux=True)
    assert (value, push(1.0), aux) == (9.0, 6.0, {"x": 3.0, "name": "square", "none": None})
    assert type(aux["x"]) is np.float64
    with pytest.raises(TypeError, match=r"linearize: with has_aux=True the function must return \(value, aux\)"):
        linearize(lambda x: x, 3.0, has_aux=True)


@pytest.mark.parametrize("f", [np.exp, np.tanh, lambda x: np.exp(x)[1:], lambda x: {"y": 1 / x}])
def test_a_value_may_be_changed_before_its_derivative_is_taken(f):
    x = np.array([0.5, 1.0, 2.0])
    (value, pullback, aux) = vjp(lambda x: (f(x), np.exp(x)), x, has_aux=True)
    ones = tree.map(np.ones_like, value)
    want, push = pullback(ones)[0], linearize(f, x)[1](x)
    for y in (*tree.leaves(value), aux):
        y[...] = 7.0
    np.testing.assert_array_equal(pullback(ones)[0], want)
    value, f_jvp = linearize(f, x)
    for y in tree.leaves(value):
        y[...] = 0.0
    for got, expected in zip(tree.leaves(f_jvp(x)), tree.leaves(push), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_scalars_of_every_kind_come_back_as_numpy_scalars():
    want = (np.float64, np.int64, np.bool_, np.complex128, np.float32)
    f = lambda x: (x, 3, True, 1j * x, np.float32(2))
    for value in (vjp(f, 1.0)[0], jvp(f, (1.0,), (1.0,))[0], linearize(f, 1.0)[0]):
        assert tuple(map(type, value)) == want
    assert [type(t) for t in jvp(f, (1.0,), (1.0,))[1]] == list(want)
    assert type(value_and_grad(lambda x: 2.0)(1)[0]) is np.float64


# -- dtypes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_a_real_dtype_is_kept(dtype):
    f = lambda x: np.sum((x * 2.0 + 1) ** 2 / 3 - np.sin(x) * math.pi)
    for x in (dtype(0.5), np.array(0.5, dtype), np.array([0.5, 0.25], dtype)):
        value, gradient = value_and_grad(f)(x)
        assert value.dtype == gradient.dtype == dtype
        assert jvp(f, (x,), (np.ones_like(x),))[1].dtype == dtype
        assert hvp(f, (x,), (np.ones_like(x),)).dtype == dtype
        assert vjp(lambda v: v[..., None], x)[1](np.ones((*np.shape(x), 1), dtype))[0].dtype == dtype


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_a_complex_dtype_is_kept(dtype):
    f = lambda z: np.sum(np.real(z * np.conj(z)) * 2.0)
    for z in (dtype(1 + 2j), np.array([1 + 2j, 3j], dtype)):
        value, gradient = value_and_grad(f)(z)
        assert gradient.dtype == dtype
        assert value.dtype == np.zeros(0, dtype).real.dtype
        np.testing.assert_allclose(gradient, 4 * np.conj(z), rtol=1e-6)


def test_scalars_come_back_as_numpy_scalars():
    for f in (
        lambda x: x,
        lambda x: x * 2,
        lambda x: 3.0,
        lambda x: np.reshape(x, ()),
        lambda x: x[()] if np.ndim(x) else x,
    ):
        for x in (2.0, np.float64(2.0), np.array(2.0)):
            value, gradient = value_and_grad(f)(x)
            assert type(gradient) is np.float64
            assert np.ndim(value) == 0
            assert type(jvp(f, (x,), (1.0,))[1]) is np.float64
    assert type(grad(lambda z: np.real(z))(1j)) is np.complex128
    assert type(value_and_grad(lambda x: x * 2)(1.0)[0]) is np.float64


def test_python_numbers_stay_weak():
    x32 = np.float32(3.0)
    value, gradient = value_and_grad(lambda x: x * x32)(2.0)
    assert value.dtype == np.float32
    assert gradient.dtype == np.float64
    assert jvp(lambda x: x * x32, (2.0,), (1.0,))[1].dtype == np.float32
    # A Python number that went through a transform does not widen float32 either.
    assert grad(lambda x: x * grad(lambda y: y * 2.0)(x))(x32).dtype == np.float32


def test_integers_are_promoted_when_differentiated_directly():
    for x in (3, np.int8(3), np.uint16(3), np.array(3)):
        gradient = grad(lambda x: x**2)(x)
        assert gradient == 6.0
        assert gradient.dtype == np.float64
    same(grad(lambda x: np.sum(x**2))(np.arange(3)), np.array([0.0, 2.0, 4.0]))
    assert jvp(lambda x: x * x, (3,), (1,)) == (9.0, 6.0)
    same(jvp(lambda x: x * x, (np.arange(3),), (np.arange(3),))[1], np.array([0.0, 2.0, 8.0]))
    same(vjp(lambda x: x * 2, np.arange(2))[1](np.ones(2))[0], np.array([2.0, 2.0]))
    assert linearize(lambda x: x * x, 3)[1](1) == 6.0
    assert linear_transpose(lambda x: 2 * x, 3)(1.0) == (2.0,)
    assert hvp(lambda x: x**3, (2,), (1,)) == 12.0


def test_the_gradient_of_a_complex_argument_is_df_dx_minus_i_df_dy():
    z = 1.5 - 0.5j
    for f in (lambda z: np.abs(z) ** 2, lambda z: np.real(z * z * z), lambda z: np.imag(np.exp(z)) * np.real(z)):
        h = 1e-6
        dx = (f(z + h) - f(z - h)) / (2 * h)
        dy = (f(z + 1j * h) - f(z - 1j * h)) / (2 * h)
        np.testing.assert_allclose(grad(f)(z), dx - 1j * dy, rtol=1e-8)
        np.testing.assert_allclose(jvp(f, (z,), (1.0 + 0j,))[1], dx, rtol=1e-8)
        np.testing.assert_allclose(jvp(f, (z,), (1j,))[1], dy, rtol=1e-8)
    # A holomorphic function has one derivative, in both modes.
    assert jvp(lambda z: z**3, (z,), (1j,))[1] == pytest.approx(3j * z**2)
    assert vjp(lambda z: z**3, z)[1](1j)[0] == pytest.approx(3j * z**2)
    # A real tangent or cotangent of the same precision fits a complex value.
    assert jvp(lambda z: z * 1j, (z,), (2.0,))[1] == 2j
    assert vjp(lambda x: x * 1j, 1.0)[1](1.0)[0] == 0.0


# -- linear_transpose ----------------------------------------------------------------------------------------


def test_linear_transpose_of_trees():
    f = lambda p: {"y": 2 * p["a"] + np.sum(p["b"]), "c": np.conj(p["c"]) * 3j}
    like = {"a": autodiff.Spec((3,)), "b": autodiff.Spec((2,)), "c": autodiff.Spec((), complex)}
    ct = {"y": V, "c": 1 + 2j}
    (found,) = linear_transpose(f, like)(ct)
    np.testing.assert_array_equal(found["a"], 2 * V)
    np.testing.assert_array_equal(found["b"], [6.0, 6.0])
    assert found["c"] == np.conj((1 + 2j) * 3j)
    same((found,), vjp(f, {"a": V, "b": V[:2], "c": 1j})[1](ct))


def test_linear_transpose_of_several_arguments_and_unused_ones():
    a, b, c = linear_transpose(lambda a, b, c: a + 2 * b, V, V, 1.0)(V)
    np.testing.assert_array_equal(b, 2 * a)
    assert c == 0.0


def test_the_transpose_is_linear_and_transposes_back():
    f = lambda x: x[1:] * 2 - x[:-1]
    transpose = linear_transpose(f, V)
    twice = linear_transpose(lambda ct: transpose(ct)[0], np.zeros(2))
    np.testing.assert_array_equal(twice(V)[0], f(V))


# -- stop_gradient -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modes", mixtures(2))
def test_stop_gradient_ends_every_level(modes):
    assert nested(modes, lambda x: stop_gradient(x * x) * x**3)(2.0) == 4 * 12.0
    outer, inner = modes
    # The value is stopped inside; it is constant outside, too.
    f = lambda x: D[inner](lambda y: stop_gradient(x * y) * y)(3.0)  # x * 3, stopped
    assert f(2.0) == 6.0
    assert D[outer](f)(2.0) == 0.0


def test_stop_gradient_of_trees_and_plain_values():
    assert stop_gradient({"a": (1.0, None), "b": [V]})["b"][0] is V
    p = grad(lambda p: stop_gradient(p)["w"] * p["w"] * stop_gradient(p["n"]))({"w": 3.0, "n": 2})
    assert p == {"w": 6.0, "n": 0}


def test_stop_gradient_is_seen_by_trace_and_eval_shape():
    t = autodiff.trace(lambda x: stop_gradient(x * 2) * x)(3.0)
    assert [step.op.name for step in t.steps] == ["multiply", "stop_gradient", "multiply"]
    assert grad(lambda x: x * stop_gradient(x))(3.0) == 3.0
    spec = autodiff.eval_shape(lambda x: stop_gradient(x) + 1, autodiff.Spec((2,), "float32"))
    assert spec == autodiff.Spec((2,), "float32")
