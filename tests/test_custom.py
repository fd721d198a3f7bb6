"""Functions with rules of their own: both modes, all orders, trees, several arguments, constants."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import pytest

from autodiff import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    eval_shape,
    grad,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    trace,
    vjp,
    vmap,
)
from tests.modes import D, mixtures, nested

V = np.array([1.0, 2.0, 3.0])
ORDERS = [*mixtures(1), *mixtures(2), *mixtures(3)]


def plain(x):
    return np.sin(x) * x


@custom_jvp
def by_jvp(x):
    return np.sin(x) * x


@by_jvp.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return by_jvp(x), (np.cos(x) * x + np.sin(x)) * t


@custom_vjp
def by_vjp(x):
    return np.sin(x) * x


by_vjp.defvjp(lambda x: (by_vjp(x), x), lambda x, ct: ((np.cos(x) * x + np.sin(x)) * ct,))


by_checkpoint = checkpoint(plain)


# -- both modes, all orders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [by_jvp, by_vjp, by_checkpoint], ids=["custom_jvp", "custom_vjp", "checkpoint"])
@pytest.mark.parametrize("modes", ORDERS)
def test_all_mixtures_agree_with_the_plain_function(modes, f):
    program = lambda g: lambda x: g(x * x) * np.exp(g(x)) + g(g(x) / 2)
    expected = nested(modes, program(plain))(0.7)
    assert nested(modes, program(f))(0.7) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("modes", mixtures(2))
def test_rules_inside_an_inner_derivative(modes):
    outer, inner = (D[m] for m in modes)
    for f in (by_jvp, by_vjp, by_checkpoint):
        g = lambda f: lambda x: x * inner(lambda y: f(x * y) + y)(1.0)
        assert outer(g(f))(0.7) == pytest.approx(outer(g(plain))(0.7), rel=1e-12)


def test_the_rule_is_what_counts_not_the_function():
    tripled = custom_jvp(lambda x: x * 1.0)
    tripled.defjvp(lambda p, t: (p[0] * 1.0, 3.0 * t[0]))
    halved = custom_vjp(lambda x: x * 1.0)
    halved.defvjp(lambda x: (x * 1.0, None), lambda _, ct: (ct / 2,))
    for x in (2.0, V):
        ones = np.ones_like(x)
        for f, slope in ((tripled, 3.0), (halved, 0.5)):
            np.testing.assert_array_equal(jvp(f, (x,), (ones,))[1], slope * ones)
            np.testing.assert_array_equal(vjp(f, x)[1](ones)[0], slope * ones)
            np.testing.assert_array_equal(linearize(f, x)[1](ones), slope * ones)
            np.testing.assert_array_equal(jacfwd(lambda x, f=f: np.sum(f(x)))(x), slope * ones)
            np.testing.assert_array_equal(jacrev(lambda x, f=f: np.sum(f(x)))(x), slope * ones)


def test_without_differentiation_the_function_itself_runs():
    calls = []

    @custom_vjp
    def f(x):
        calls.append("f")
        return x * 2

    f.defvjp(lambda x: calls.append("fwd") or (x * 2, None), lambda _, ct: calls.append("bwd") or (ct * 2,))
    assert f(3.0) == 6.0
    assert calls == ["f"]
    assert grad(f)(3.0) == 2.0
    assert calls == ["f", "fwd", "bwd"]
    assert jvp(f, (3.0,), (1.0,))[1] == 2.0
    assert calls == ["f", "fwd", "bwd", "fwd", "bwd"]


def test_a_wrapped_function_keeps_its_name_and_works_as_a_method():
    assert by_jvp.__name__ == "by_jvp"

    class Model:
        scale = 3.0

        @functools.partial(custom_vjp, nondiff_argnums=(0,))
        def loss(self, x):
            return self.scale * x

        loss.defvjp(lambda self, x: (self.scale * x, None), lambda self, _, ct: (10 * self.scale * ct,))

    assert Model().loss(2.0) == 6.0
    assert grad(Model().loss)(2.0) == 30.0
    assert jvp(Model().loss, (2.0,), (1.0,)) == (6.0, 30.0)


# -- trees, several arguments, constants ---------------------------------------------------------------------


class State(NamedTuple):
    position: Any
    velocity: Any


@custom_vjp
def step(state, parameters, count):
    """A tree in, a tree out, an integer among the arguments."""
    force = parameters["k"] * state.position
    return State(state.position + state.velocity * count, state.velocity - force), {"energy": np.sum(force * force)}


def _step_fwd(state, parameters, count):
    return step(state, parameters, count), (state, parameters["k"], count)


def _step_bwd(residuals, cotangents):
    state, k, count = residuals
    new, rest = cotangents
    force = -new.velocity + 2 * rest["energy"] * k * state.position
    at = State(new.position + k * force, new.position * count + new.velocity)
    return at, {"k": np.sum(force * state.position)}, None


step.defvjp(_step_fwd, _step_bwd)


@pytest.mark.parametrize("order", ["f", "r", "fr", "rf"])
def test_trees_in_and_out(order):
    def program(step, s):
        state, aux = step(State(V * s, V[::-1] * s * s), {"k": np.sin(s)}, 2)
        state, more = step(state, {"k": s}, 3)
        return np.sum(state.position * state.velocity) + aux["energy"] * more["energy"]

    expected = nested(order, lambda s: program(step.f, s))(0.3)
    assert nested(order, lambda s: program(step, s))(0.3) == pytest.approx(expected, rel=1e-12)


def test_a_custom_jvp_of_trees():
    @custom_jvp
    def f(p, n):
        return {"y": p["a"] * p["b"] * n}, np.arange(3)

    @f.defjvp
    def _(primals, tangents):
        (p, n), (t, zero) = primals, tangents
        assert zero == 0  # an integer has a zero tangent of its own dtype
        return f(p, n), ({"y": (t["a"] * p["b"] + p["a"] * t["b"]) * n}, np.zeros(3, int))

    program = lambda f: lambda a: np.sum(f({"a": a * V, "b": V}, 2)[0]["y"] * f({"a": V, "b": a}, 3)[1])
    for modes in ("f", "r", "fr", "rf"):
        assert nested(modes, program(f))(0.7) == pytest.approx(nested(modes, program(f.f))(0.7), abs=1e-12)


def test_results_without_derivative_pass_through():
    f = custom_vjp(lambda x: (x * 2, x > 1, 3))
    f.defvjp(lambda x: (f(x), None), lambda _, ct: (2 * ct[0],))
    seen = []

    def program(x):
        y, mask, n = f(x)
        seen.append((mask, n))
        return np.sum(np.where(mask, y, 0.0)) * n

    np.testing.assert_array_equal(grad(program)(V), [0.0, 6.0, 6.0])
    assert jvp(program, (V,), (V,))[1] == 30.0
    assert all(n == 3 and mask.dtype == bool for mask, n in seen)


def test_unused_results_and_unused_arguments():
    f = custom_vjp(lambda x, y: (x * 2, y * 3))
    f.defvjp(lambda x, y: (f(x, y), None), lambda _, ct: (2 * ct[0], 3 * ct[1]))
    assert grad(lambda x: f(x, 1.0)[0])(1.0) == 2.0
    assert grad(lambda x: f(x, x)[1])(1.0) == 3.0
    assert grad(lambda x: f(x, x)[0] * 0 + x)(1.0) == 1.0
    assert jvp(lambda x: f(1.0, x), (1.0,), (1.0,))[1] == (0.0, 3.0)
    assert grad(lambda x: f(2.0, 3.0)[0])(1.0) == 0.0


def test_a_function_that_returns_its_argument():
    scaled = custom_vjp(lambda x: x)
    scaled.defvjp(lambda x: (scaled(x), None), lambda _, ct: (7 * ct,))
    assert grad(lambda x: scaled(x) + x)(1.0) == 8.0
    assert jvp(lambda x: scaled(x) + x, (1.0,), (1.0,))[1] == 8.0
    # What fwd computes is differentiated by the outer transform: here by the rule again, then as written.
    assert grad(grad(lambda x: scaled(x) * x))(1.0) == 14.0
    scaled.defvjp(lambda x: (x, None), lambda _, ct: (7 * ct,))
    assert grad(grad(lambda x: scaled(x) * x))(1.0) == 8.0


def test_nondiff_arguments():
    @functools.partial(custom_jvp, nondiff_argnums=(0, 2))
    def apply(f, x, how):
        return f(x) if how == "once" else f(f(x))

    calls = []

    @apply.defjvp
    def _(f, how, primals, tangents):
        calls.append(how)
        return jvp(lambda x: apply.f(f, x, how), primals, tangents)

    assert grad(lambda x: apply(np.sin, x, "twice"))(0.5) == pytest.approx(np.cos(np.sin(0.5)) * np.cos(0.5))
    assert jvp(lambda x: apply(np.sin, x, "once"), (0.5,), (1.0,))[1] == np.cos(0.5)
    assert calls == ["twice", "once"]

    @functools.partial(custom_vjp, nondiff_argnums=1)
    def power(x, n=3):
        return x**n

    power.defvjp(lambda x, n: (x**n, x), lambda n, x, ct: (n * x ** (n - 1) * ct,))
    assert grad(power)(2.0) == 12.0  # the default counts as passed
    assert grad(power)(2.0, 2) == 4.0
    assert grad(lambda x: power(x=x, n=4))(2.0) == 32.0
    assert jvp(power, (2.0,), (1.0,)) == (8.0, 12.0)


def test_dtypes_follow_the_values():
    f = custom_jvp(lambda x: x * 2)
    f.defjvp(lambda p, t: (p[0] * 2, t[0] * np.float64(2.0)))
    g = custom_vjp(lambda x: x * 2)
    g.defvjp(lambda x: (x * 2, None), lambda _, ct: (ct * np.float64(2.0),))
    x = V.astype(np.float32)
    for h in (f, g):
        assert vjp(h, x)[1](x)[0].dtype == np.float32
        assert jvp(h, (x,), (x,))[1].dtype == np.float32
        assert grad(lambda v, h=h: np.sum(h(v)))(x).dtype == np.float32
        assert linearize(h, x)[1](x).dtype == np.float32
    z = np.array([1 + 2j])
    for h in (f, g):
        np.testing.assert_array_equal(jvp(h, (z,), (z,))[1], 2 * z)
        np.testing.assert_array_equal(vjp(h, z)[1](z)[0], 2 * z)


def test_a_rule_may_use_where_and_reductions():
    @custom_vjp
    def relu(x):
        return np.where(x > 0, x, 0.0)

    relu.defvjp(lambda x: (relu(x), x > 0), lambda mask, ct: (np.where(mask, ct, 0.0),))

    @custom_jvp
    def softmax(x):
        e = np.exp(x - np.max(x))
        return e / np.sum(e)

    @softmax.defjvp
    def _(primals, tangents):
        y = softmax(*primals)
        (t,) = tangents
        return y, y * (t - np.sum(y * t))

    x = V - 1.7
    p = np.exp(x) / np.sum(np.exp(x))
    for f, want in ((relu, np.diag([0.0, 1.0, 1.0])), (softmax, np.diag(p) - np.outer(p, p))):
        np.testing.assert_allclose(np.stack([jvp(f, (x,), (e,))[1] for e in np.eye(3)]).T, want, atol=1e-15)
        np.testing.assert_allclose(np.stack([vjp(f, x)[1](e)[0] for e in np.eye(3)]), want, atol=1e-15)


def test_shapes_and_traces_see_the_function():
    assert eval_shape(by_vjp, V).shape == (3,)
    assert [s.op.name for s in trace(by_jvp)(0.5).steps] == ["sin", "multiply"]


def test_one_rule_for_each_argument():
    f = custom_jvp(lambda x, y, z: x * np.sin(y) + z)
    f.defjvps(lambda t, value, x, y, z: t * np.sin(y), lambda t, value, x, y, z: 7 * x * np.cos(y) * t, None)
    at = (2.0, 0.5, 1.0)
    want = np.sin(0.5), 14 * np.cos(0.5), 0.0
    assert grad(f, (0, 1, 2))(*at) == pytest.approx(want)
    assert jvp(f, at, (1.0, 1.0, 1.0)) == pytest.approx((2 * np.sin(0.5) + 1, sum(want)))
    assert grad(grad(f, 1))(*at) == pytest.approx(7 * np.cos(0.5))
    x = np.arange(3, dtype=np.float32)
    assert vmap(grad(f, 1))(x, x, x) == pytest.approx(7 * x * np.cos(x))
    g = custom_jvp(lambda x: x)
    g.defjvps(None)
    assert jvp(g, (2.0,), (1.0,)) == (2.0, 0.0)
    assert grad(lambda x: g(x) * x)(2.0) == 2.0
    g.defjvps(None, None)
    with pytest.raises(TypeError, match=r"defjvps was given 2 rule\(s\) for 1 argument"):
        grad(g)(1.0)
    with pytest.raises(TypeError, match=r"defjvps has no place for nondiff_argnums"):
        custom_jvp(lambda x, n: x, nondiff_argnums=1).defjvps(None)


def test_none_stands_for_the_zeros_of_a_branch():
    f = custom_vjp(lambda d: d["a"][0] * d["b"] * d["n"])
    args = {"a": (2.0, np.ones(2)), "b": 3.0, "n": 4, "none": None}
    for cotangent in (
        lambda d, ct: {"a": (ct * d["b"] * d["n"], None), "b": None, "n": None, "none": None},
        lambda d, ct: {"a": (ct * d["b"] * d["n"], np.zeros(2)), "b": np.zeros(()), "n": None, "none": None},
    ):
        f.defvjp(lambda d: (f.f(d), d), lambda d, ct: (cotangent(d, ct),))  # noqa: B023
        g = grad(f)(args)
        assert g["a"][0] == 12.0
        assert (g["b"], g["n"], g["none"]) == (0, 0, None)
        np.testing.assert_array_equal(g["a"][1], [0, 0])
        assert jvp(f, (args,), ({**args, "n": 0},))[1] == 24.0
    for wrong in ({"a": None, "b": None}, {"a": (None, None, 1.0), "b": None, "n": None, "none": None}, 1.0):
        f.defvjp(lambda d: (f.f(d), d), lambda d, ct: (wrong,))  # noqa: B023
        with pytest.raises(TypeError, match=r"bwd's cotangent 0 has the tree .*, the argument"):
            grad(f)(args)
    f.defvjp(lambda d: (f.f(d), d), lambda d, ct: ({"a": None, "b": None, "n": None, "none": None},))
    assert grad(f)(args)["a"][0] == 0.0
