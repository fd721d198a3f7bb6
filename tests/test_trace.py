"""The evaluation trace: what it records, and how it runs again."""

from __future__ import annotations

import math

import numpy as np
import pytest

import autodiff.core
from autodiff import custom_jvp, eval_shape, grad, hessian, jvp, stop_gradient, trace, value_and_grad, vjp
from autodiff.core.errors import ConversionError, DifferentiationError, LeakedTracerError
from tests.traced_programs import baydin, mlp, mlp_arguments

# -- what is recorded ----------------------------------------------------------------------------------------


def test_steps_of_the_survey():
    t = trace(baydin)(2.0, 5.0)
    assert [s.name for s in t.inputs] == ["v-1", "v0"]
    assert [s.label for s in t.inputs] == ["x1", "x2"]
    assert [s.op.name for s in t] == ["log", "multiply", "sin", "add", "subtract"]
    assert [[p.name for p in s.operands] for s in t] == [
        ["v-1"], ["v-1", "v0"], ["v0"], ["v1", "v2"], ["v4", "v3"],
    ]  # fmt: skip
    assert len(t) == 5
    assert t[4] is t["v5"] is t.outputs[0]
    assert t["x2"].value == 5.0
    np.testing.assert_allclose([s.value for s in t], [np.log(2), 10, np.sin(5), np.log(2) + 10, baydin(2.0, 5.0)])
    with pytest.raises(KeyError, match="v-1 to v5"):
        t["v6"]


def test_program_order():
    t = trace(baydin, order="program")(2.0, 5.0)
    assert [s.op.name for s in t] == ["log", "multiply", "add", "sin", "subtract"]
    assert [s.op.name for s in trace(baydin)(2.0, 5.0).program] == ["log", "multiply", "add", "sin", "subtract"]
    with pytest.raises(ValueError, match="order"):
        trace(baydin, order="random")


def test_everything_is_recorded_with_params_and_sources():
    def f(x, n):
        return {"a": np.floor(x) + (x > 0.5), "b": n * 2, "c": np.sum(x, axis=0), "d": 7}

    t = trace(f)(np.array([0.25, 1.5]), np.array([1, 2]))
    assert sorted(s.op.name for s in t) == ["add", "floor", "greater", "multiply", "sum"]
    total = next(s for s in t if s.op.name == "sum")
    assert total.params["axis"] == 0
    assert total.shape == ()
    assert total.dtype == np.float64
    assert "test_trace.py" in total.source
    greater = next(s for s in t if s.op.name == "greater")
    assert greater.dtype == bool
    assert greater.operands == (t.inputs[0], 0.5)
    result = t.result
    np.testing.assert_array_equal(result["a"], [0.0, 2.0])
    np.testing.assert_array_equal(result["b"], [2, 4])
    assert result["d"] == 7
    assert t.outputs[3] == 7


def test_weak_scalars_stay_weak():
    t = trace(lambda x, a: x * (a * 2))(np.ones(3, np.float32), 0.5)
    assert t["a"].weak
    assert t[0].weak
    assert not t[1].weak
    assert t.result.dtype == np.float32
    assert t.eval(np.ones(3, np.float32), np.float64(2.0)).dtype == np.float32
    np.testing.assert_array_equal(t.eval(np.ones(3, np.float32), 2), [4, 4, 4])


def test_constants_are_kept_as_they_were():
    def f(x):
        buffer = np.zeros(2)
        for i in range(3):
            buffer[0] = i
            x = x + buffer
        return x

    t = trace(f)(np.zeros(2))
    np.testing.assert_array_equal(t.eval(np.zeros(2)), [3, 0])
    assert len(t.constants) == 3
    weights = np.ones(2)
    assert len(trace(lambda x: (x * weights) * weights)(np.zeros(2)).constants) == 1
    x = np.zeros(2)
    t = trace(lambda x: x + 1)(x)
    x[0] = 5
    np.testing.assert_array_equal(t.inputs[0].value, [0, 0])


def test_other_arguments_are_constants():
    t = trace(lambda x, how, scale=1: x * scale if how == "times" else x)(2.0, "times", scale=3)
    assert len(t.inputs) == 1
    assert t.eval(4.0, "times") == 12.0
    t = trace(lambda *xs: xs[0] * xs[1])(1.0, 2.0)
    assert [s.label for s in t.inputs] == ["xs1", "xs2"]
    assert [s.label for s in trace(np.add)(1.0, 2.0).inputs] == ["x1", "x2"]
    with pytest.raises(TypeError, match="trace"):
        trace(3)


def test_errors_and_leaks():
    with pytest.raises(ConversionError, match=r"np\.\* function"):
        trace(math.sin)(1.0)
    kept = []
    trace(kept.append)(1.0)
    with pytest.raises(LeakedTracerError):
        np.sin(kept[0])
    with pytest.raises(
        DifferentiationError, match=r"sin: a traced value was used after the trace that made it had ended"
    ):
        grad(lambda x: trace(lambda y: kept.append(x * y) or x * y)(2.0).result + np.sin(kept[-1]))(1.0)


# -- running it again ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_eval_of_a_network_and_of_its_gradient(dtype):
    args, other = mlp_arguments(0, dtype), mlp_arguments(1, dtype)
    for f in (mlp, value_and_grad(mlp), grad(grad_norm)):
        t = trace(f)(*args)
        assert not t.guards
        want, got = f(*other), t.eval(*other)
        flat, structure = autodiff.tree.flatten(want)
        found, found_structure = autodiff.tree.flatten(got)
        assert structure == found_structure
        for a, b in zip(flat, found, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12 if dtype is np.float64 else 1e-3)
            assert b.dtype == a.dtype == dtype


def grad_norm(params, x, labels):
    g = grad(mlp)(params, x, labels)
    return np.sum(g["w"][0] ** 2) + np.sum(g["b"] ** 2)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jvp(np.sin, (x,), (x,))[1],
        lambda x: vjp(np.tanh, x)[1](x)[0],
        hessian(lambda v: np.sum(np.exp(v) * v)),
        lambda x: np.where(x > 0, np.sqrt(np.abs(x)), x) @ x,
        lambda x: stop_gradient(x) * x,
        lambda x: x[::-1].reshape(1, -1).T @ x[None, :],
        lambda x: np.einsum("i,j->ij", x, x) + np.floor(x),
        grad(lambda v: np.sum(np.where(v > 0, np.sqrt(v), 0.0))),
    ],
)
def test_eval_gives_what_the_program_gives(f):
    rng = np.random.default_rng(3)
    t = trace(f)(rng.uniform(0.5, 2, 4))
    for _ in range(3):
        x = rng.uniform(0.5, 2, 4) * rng.choice([-1, 1], 4)
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(t.eval(x), f(x))


def test_every_operation_is_recorded_and_replayed():
    rng = np.random.default_rng(0)
    checked = 0
    for name, op in autodiff.core.REGISTRY.items():
        if op.samples is None:
            continue
        for args, params in op.samples(rng):
            t = trace(lambda *xs, op=op, params=params: op.call(*xs, **params))(*args)
            step = next(step for step in t if step.op.name == name)  # the first, but where a composition calls it
            assert step.params.keys() == params.keys()
            got, want = t.eval(*args), op.fn(*args, **params)
            np.testing.assert_array_equal(got, want)
            checked += 1
    assert checked > 200


def test_eval_can_be_differentiated_and_traced():
    t = trace(baydin)(2.0, 5.0)
    assert grad(t.eval)(2.0, 5.0) == 5.5
    np.testing.assert_allclose(grad(grad(t.eval, 1), 1)(2.0, 5.0), np.sin(5.0))
    again = trace(t.eval)(2.0, 5.0)
    assert [s.op.name for s in again] == [s.op.name for s in t]
    assert eval_shape(t.eval, 2.0, 5.0) == autodiff.Spec(())


def test_traced_positions_are_operands():
    table = np.arange(12.0).reshape(4, 3)
    t = trace(lambda w, i: w[i])(table, np.array([0, 3]))
    np.testing.assert_array_equal(t.eval(table, np.array([2, 1])), table[[2, 1]])
    t = trace(grad(lambda w, i: np.sum(w[i, 1:] ** 2)))(table, np.array([0, 3]))
    np.testing.assert_allclose(t.eval(table, np.array([2, 2])), grad(lambda w: np.sum(w[[2, 2], 1:] ** 2))(table))


def test_guards_refuse_what_the_trace_does_not_cover():
    def f(x, n):
        for _ in range(n):
            x = x * 2 if x > 0 else x - 1
        return x

    t = trace(f)(1.0, 2)
    assert [g.value for g in t.guards] == [2, True, True]
    assert "test_trace.py" in t.guards[0].source
    assert t.eval(3.0, 2) == 12.0
    with pytest.raises(ValueError, match=r"True when recorded and is False now.*np\.where"):
        t.eval(-3.0, 2)
    with pytest.raises(ValueError, match="was 2 when recorded and is 3 now"):
        t.eval(3.0, 3)
    mask = trace(lambda x: x[x > 0])(np.array([1.0, -1.0]))
    np.testing.assert_array_equal(mask.eval(np.array([5.0, -2.0])), [5.0])
    with pytest.raises(ValueError, match="index"):
        mask.eval(np.array([-5.0, 2.0]))


def test_eval_checks_its_arguments():
    t = trace(lambda x: x * 2)(np.ones(3))
    with pytest.raises(ValueError, match=r"x has shape \(2,\), but \(3,\) was recorded"):
        t.eval(np.ones(2))
    with pytest.raises(TypeError, match="float32, but float64 was recorded"):
        t.eval(np.ones(3, np.float32))
    with pytest.raises(TypeError, match="tree"):
        t.eval([np.ones(3)])
    with pytest.raises(TypeError, match="tree"):
        t.eval(np.ones(3), 1)


def test_custom_rules_inside_gradients():
    @custom_jvp
    def f(x):
        return np.log1p(np.exp(x))

    f.defjvp(lambda primals, tangents: (f(primals[0]), tangents[0] / (1 + np.exp(-primals[0]))))
    t = trace(grad(f))(0.5)
    np.testing.assert_allclose(t.eval(2.0), 1 / (1 + np.exp(-2.0)))
