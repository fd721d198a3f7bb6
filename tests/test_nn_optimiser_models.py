"""Optimisers on models: what is trained and what stays, decay, schedules, penalties, constraints, clipping, errors."""

import dataclasses
import math
import pickle

import numpy as np
import pytest

import nn
from autodiff import grad, tree, value_and_grad
from nn import schedules
from tests.optimiser_checks import descend, every_optimiser, gradients

# -- models --------------------------------------------------------------------------------------------------


def network():
    return nn.Sequential(nn.Dense(3, 8, rng=0), nn.BatchNorm(8), nn.relu, nn.Dense(8, 1, rng=1))


def loss(model, batch, *, train, rng):
    x, y = batch
    z, new = nn.apply(model, x, train=train, rng=rng)
    return np.mean((z[:, 0] - y) ** 2), new


def batch():
    x = np.random.default_rng(2).normal(size=(32, 3)).astype(np.float32)
    return x, np.sin(x[:, 0]) + x[:, 1]


@every_optimiser
def test_a_network_learns(opt):
    model, step = network(), value_and_grad(loss, has_aux=True)
    opt = nn.AdaDelta(eps=1e-3) if isinstance(opt, nn.AdaDelta) else dataclasses.replace(opt, learning_rate=0.02)
    state = opt.init(model)
    losses = []
    for _ in range(60):
        (value, model), g = step(model, batch(), train=True, rng=None)
        model, state = opt.update(g, state, model)
        losses.append(value)
    assert losses[-1] < 0.5 * losses[0]
    assert type(model) is nn.Sequential
    assert {a.dtype for a in tree.leaves(model)} == {np.dtype(np.float32)}


def test_state_and_integers_pass_through():
    class Odd(nn.Layer):
        w: np.ndarray = nn.parameter()
        order: np.ndarray = nn.parameter()
        seen: np.ndarray = nn.state()

    model = Odd(np.ones(2), np.array([1, 0]), np.array([5.0]))
    opt = nn.SGD(0.1, momentum=0.9, weight_decay=0.1)
    new, state = opt.update(Odd(np.ones(2), np.array([7, 7]), np.array([9.0])), opt.init(model), model)
    np.testing.assert_allclose(new.w, 1 - 0.1 * 1.1)
    assert new.order is model.order
    assert new.seen is model.seen
    assert state["velocity"].keys() == {"w"}


@every_optimiser
def test_without_a_gradient_a_parameter_stays(opt):
    opt = dataclasses.replace(opt, weight_decay=0.1, clip=nn.ClipByGlobalNorm(1.0), constraint=nn.MaxNorm(0.1))
    model = {"w": np.ones(2), "fixed": np.ones(3), "absent": None, "n": 3}
    state = opt.init(model)
    alone, expected = opt.update({"w": np.ones(2)}, opt.init({"w": np.ones(2)}), {"w": np.ones(2)})
    new, after = opt.update({"w": np.ones(2), "fixed": None, "absent": None, "n": None}, state, model)
    assert new["fixed"] is model["fixed"]
    assert (new["absent"], new["n"]) == (None, 3)
    np.testing.assert_array_equal(new["w"], alone["w"])
    for moment in opt.moments():
        np.testing.assert_array_equal(after[moment]["w"], expected[moment]["w"])
        assert after[moment]["fixed"] is state[moment]["fixed"]


def test_weight_decay_and_constraints_spare_biases_and_scales():
    model = network()
    opt = nn.SGD(0.1, weight_decay=0.5, constraint=nn.MaxNorm(0.01))
    zero = tree.map(np.zeros_like, model)
    plain, _ = dataclasses.replace(opt, constraint=None).update(zero, opt.init(model), model)
    bound, _ = opt.update(zero, opt.init(model), model)
    for name, p in nn.parameters(model).items():
        if name.endswith("weight"):
            np.testing.assert_allclose(nn.parameters(plain)[name], 0.95 * p, rtol=1e-6)
            assert np.linalg.norm(nn.parameters(bound)[name], axis=0).max() <= 0.01 * (1 + 1e-6)
        else:
            np.testing.assert_array_equal(nn.parameters(plain)[name], p)
            np.testing.assert_array_equal(nn.parameters(bound)[name], p)


def test_weight_decay_is_the_gradient_of_the_penalty():
    model = network()
    penalised = grad(lambda m: loss(m, batch(), train=False, rng=None)[0] + nn.l2_penalty(m, 0.05))(model)
    plain = grad(lambda m: loss(m, batch(), train=False, rng=None)[0])(model)
    a, _ = nn.SGD(0.1).update(penalised, nn.SGD(0.1).init(model), model)
    opt = nn.SGD(0.1, weight_decay=0.1)
    b, _ = opt.update(plain, opt.init(model), model)
    for x, y in zip(tree.leaves(a), tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)


def test_decoupled_decay_follows_the_schedule():
    opt = nn.AdamW(schedules.piecewise([1], [0.1, 0.0]), weight_decay=0.5)
    found, _ = descend(opt, np.array([1.0]), [np.zeros(1)] * 3)
    np.testing.assert_allclose(found[:, 0], [0.95, 0.95, 0.95])


def test_schedules_count_steps_from_zero():
    seen = []
    found, state = descend(nn.SGD(lambda k: seen.append(k) or 1 / (1 + k)), np.array([0.0]), [np.array([-1.0])] * 3)
    assert seen == [0, 1, 2]
    np.testing.assert_allclose(found[:, 0], [1, 1.5, 1.5 + 1 / 3])
    assert state == {"step": 3}


def test_a_state_goes_on_where_it_was():
    opt, gs = nn.Nadam(0.1), gradients(3)
    whole, _ = descend(opt, np.ones(3), gs)
    model = {"w": np.ones(3)}
    state = opt.init(model)
    for g in gs:
        model, state = pickle.loads(pickle.dumps(opt)).update({"w": g}, pickle.loads(pickle.dumps(state)), model)
    np.testing.assert_array_equal(model["w"], whole[-1])
    assert opt == nn.Nadam(0.1) != nn.Nadam(0.2)


def test_a_step_can_be_differentiated():
    def after(rate_factor, opt):
        model = {"w": np.array([1.0, 2.0])}
        g = {"w": rate_factor * np.array([1.0, -1.0])}
        new, _ = opt.update(g, opt.init(model), model)
        return np.sum(new["w"] * np.array([1.0, 3.0]))

    assert grad(after)(1.0, nn.SGD(0.1)) == pytest.approx(0.2)
    eps = 1e-6
    for opt in (nn.Adam(0.1, eps=0.1), nn.AdaGrad(0.1, eps=0.1), nn.RMSProp(0.1, eps=0.1)):
        numeric = (after(1 + eps, opt) - after(1 - eps, opt)) / (2 * eps)
        assert grad(after)(1.0, opt) == pytest.approx(numeric, rel=1e-6)


# -- penalties, constraints, clipping ------------------------------------------------------------------------


def test_penalties():
    model = network()
    weights = [p.astype(float) for name, p in nn.parameters(model).items() if name.endswith("weight")]
    assert nn.l1_penalty(model, 0.3) == pytest.approx(0.3 * sum(np.abs(w).sum() for w in weights), rel=1e-6)
    assert nn.l2_penalty(model, 0.3) == pytest.approx(0.3 * sum((w**2).sum() for w in weights), rel=1e-6)
    assert nn.l2_penalty(model, 0.3).dtype == np.float32
    g = grad(lambda m: nn.l1_penalty(m, 0.3))(model)
    np.testing.assert_allclose(g[0].weight, 0.3 * np.sign(model[0].weight), rtol=1e-6)
    assert not g[0].bias.any()
    with pytest.raises(ValueError, match="l2_penalty: the model has no weights"):
        nn.l2_penalty(nn.BatchNorm(3), 0.1)


def test_max_norm(rng):
    dense, conv, vector = rng.normal(size=(5, 4)), rng.normal(size=(3, 2, 2, 2)), rng.normal(size=9)
    bound = nn.MaxNorm(0.7)
    for w, axes in ((dense, 0), (conv, (1, 2, 3)), (vector, 0)):
        size = np.sqrt((w**2).sum(axis=axes, keepdims=True))
        np.testing.assert_allclose(bound(w), w / np.maximum(size / 0.7, 1), rtol=1e-14)
    small = 0.01 * dense
    np.testing.assert_array_equal(bound(small), small)
    np.testing.assert_allclose(np.linalg.norm(nn.MaxNorm(0.7, axis=1)(dense), axis=1).max(), 0.7)
    assert bound(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]
    assert nn.MaxNorm(2.0)(np.float64(-3.0)) == -2.0
    with pytest.raises(ValueError, match="MaxNorm: limit must be positive, not 0"):
        nn.MaxNorm(0)


def test_clipping():
    g = {"a": np.array([3.0, -4.0]), "b": [np.array([[12.0]])], "n": 7}
    assert nn.ClipByValue(3.5)(g)["a"].tolist() == [3.0, -3.5]
    np.testing.assert_allclose(nn.ClipByNorm(10.0)(g)["b"][0], [[10.0]])
    assert nn.ClipByNorm(10.0)(g)["a"] is g["a"]
    clipped = nn.ClipByGlobalNorm(6.5)(g)
    np.testing.assert_allclose(clipped["a"], [1.5, -2.0])
    np.testing.assert_allclose(clipped["b"][0], [[6.0]])
    assert clipped["n"] == 7
    assert nn.ClipByGlobalNorm(13.0)(g)["a"] is g["a"]
    huge = {"a": np.full(4, 1e30, np.float32)}
    np.testing.assert_allclose(nn.ClipByGlobalNorm(1.0)(huge)["a"], 0.5, rtol=1e-6)
    tiny = {"a": np.full(4, 1e-30, np.float32)}
    np.testing.assert_allclose(nn.ClipByNorm(1e-30)(tiny)["a"], 5e-31, rtol=1e-6)
    assert nn.ClipByNorm(1.0)({"a": np.zeros(3)})["a"].tolist() == [0, 0, 0]
    assert nn.ClipByNorm(1.0)({"a": np.zeros(0)})["a"].size == 0
    for cls in (nn.ClipByValue, nn.ClipByNorm, nn.ClipByGlobalNorm):
        with pytest.raises(ValueError, match=f"{cls.__name__}: limit must be positive, not -1"):
            cls(-1)
    with pytest.raises(TypeError, match="norm: real gradients are needed, not complex128"):
        nn.ClipByNorm(1.0)({"a": np.ones(2, complex)})


def test_clipping_comes_before_decay():
    opt = nn.SGD(1.0, weight_decay=0.5, clip=nn.ClipByGlobalNorm(1.0))
    found, _ = descend(opt, np.array([2.0, 0.0]), [np.array([30.0, 40.0])])
    np.testing.assert_allclose(found[0], [2 - 0.6 - 1.0, -0.8])


# -- errors --------------------------------------------------------------------------------------------------


def test_gradients_that_do_not_match():
    model, opt = network(), nn.Adam()
    state = opt.init(model)
    g = tree.map(np.zeros_like, model)
    with pytest.raises(
        ValueError, match=r"Adam\.update: the gradients are no tree like the model: tree structures differ"
    ):
        opt.update({"w": 1.0}, state, model)
    other = nn.Sequential(nn.Dense(4, 8, rng=0), *g[1:])
    with pytest.raises(
        ValueError, match=r"the gradient of layers\.0\.weight is float32\[4,8\], but that is float32\[3,8\]"
    ):
        opt.update(other, state, model)
    with pytest.raises(
        TypeError, match=r"the gradient of layers\.0\.weight is float64\[3,8\], but that is float32\[3,8\]"
    ):
        opt.update(tree.map(lambda x: x.astype(float), g), state, model)
    with pytest.raises(ValueError, match=r"Adam\.update: the gradients are no tree like the model"):
        opt.update("gradients", state, model)
    both = (
        r"tree is {'w': \*} in the model and {'v': \*} in the gradients\n  model:     {'w': \*}\n  gradients: {'v': \*}"
    )
    with pytest.raises(ValueError, match=both):
        opt.update({"v": 1.0}, opt.init({"w": 1.0}), {"w": 1.0})
    with pytest.raises(ValueError, match=r"one is float64\[2\] where the model has None"):
        opt.update({"w": 1.0, "b": np.ones(2)}, opt.init({"w": 1.0, "b": None}), {"w": 1.0, "b": None})


def test_states_that_do_not_match():
    model, opt = {"w": np.ones(2)}, nn.Adam()
    g, state = {"w": np.ones(2)}, opt.init(model)
    with pytest.raises(ValueError, match=r"Adam\.update: the state must have mean, mean_square, step, but it has step"):
        opt.update(g, nn.SGD().init(model), model)
    with pytest.raises(ValueError, match="but it has NoneType"):
        opt.update(g, None, model)
    with pytest.raises(ValueError, match="there is no mean in the state of w; it is of another model"):
        opt.update(g, opt.init({"v": np.ones(2)}), model)
    with pytest.raises(ValueError, match=r"the mean in the state of w is float64\[3\], but that is float64\[2\]"):
        opt.update(g, opt.init({"w": np.ones(3)}), model)
    with pytest.raises(ValueError, match="the model has no floating-point parameters"):
        opt.init(nn.Flatten())
    with pytest.raises(TypeError, match="Adam: the parameter w is complex; keep its two parts as real parameters"):
        opt.init({"w": np.ones(2, complex)})
    assert state["step"] == 0


def test_options_that_return_something_else():
    model, g = {"w": np.ones(2)}, {"w": np.ones(2)}
    opt = nn.SGD(clip=lambda gs: {})
    with pytest.raises(ValueError, match="there is no clipped gradient of w"):
        opt.update(g, opt.init(model), model)
    opt = nn.SGD(constraint=np.sum)
    with pytest.raises(ValueError, match=r"the constraint made float64\[\] of w, which is float64\[2\]"):
        opt.update(g, opt.init(model), model)


def test_numbers_out_of_range():
    with pytest.raises(ValueError, match=r"SGD: learning_rate must be at least 0 and less than inf, not -0.1"):
        nn.SGD(-0.1)
    with pytest.raises(TypeError, match="Adam: learning_rate must be a number, not str"):
        nn.Adam("1e-3")
    with pytest.raises(ValueError, match="SGD: momentum must be at least 0 and less than 1, not 1"):
        nn.SGD(momentum=1)
    with pytest.raises(ValueError, match="SGD: nesterov=True needs a momentum"):
        nn.SGD(nesterov=True)
    with pytest.raises(ValueError, match=r"Adam: beta2 must be at least 0 and less than 1, not 1.5"):
        nn.Adam(beta2=1.5)
    with pytest.raises(ValueError, match="AdaDelta: eps must be greater than 0 and less than inf, not 0"):
        nn.AdaDelta(eps=0)
    with pytest.raises(ValueError, match="AdamW: weight_decay must be at least 0"):
        nn.AdamW(weight_decay=-1)
    for bad in (nn.ClipByNorm, 1.0):
        with pytest.raises(TypeError, match="SGD: clip must be a function"):
            nn.SGD(clip=bad)
    opt = nn.SGD(lambda k: math.nan)
    with pytest.raises(ValueError, match="SGD: the learning rate of step 0 must be finite and at least 0, not nan"):
        opt.update({"w": np.ones(1)}, opt.init({"w": np.ones(1)}), {"w": np.ones(1)})


def test_names_are_those_of_the_model_at_hand_whatever_was_seen_before():
    opt = nn.SGD(0.5)
    models = [{name: np.ones(2)} for name in "abcdef"] + [[np.ones(2)], {"a": np.ones(2), "b": np.ones(1)}]
    for model in models * 2:
        state = nn.SGD(0.5, momentum=0.9).init(model)
        assert list(state["velocity"]) == [name.lstrip(".") for name in nn.parameters(model)]
        new, _ = opt.update(model, opt.init(model), model)
        np.testing.assert_array_equal(next(iter(new.values())) if isinstance(new, dict) else new[0], [0.5, 0.5])


def test_static_data_that_cannot_be_compared():
    class Shifted(nn.Layer):
        weight: np.ndarray = nn.parameter()
        shift: np.ndarray = nn.static()

        def __call__(self, x):
            return x * self.weight + self.shift

    shift = np.arange(2.0)
    model, opt = Shifted(np.ones(2), shift), nn.SGD(0.5)
    for _ in range(2):
        gradient = grad(lambda m: np.sum(m(np.ones(2))))(model)
        model, _ = opt.update(gradient, opt.init(model), model)
    assert model.weight.tolist() == [0.0, 0.0]
    assert model.shift is shift
