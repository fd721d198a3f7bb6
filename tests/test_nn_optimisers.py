"""Optimisers' steps against the papers' formulas and PyTorch; large and small arrays, dtypes, purity."""

import copy
import dataclasses
import math

import numpy as np
import pytest

import nn
from autodiff import tree
from nn.optimisers.base import BLOCK, COMPILED
from tests.optimiser_checks import OPTIMISERS, RATE, descend, every_optimiser, gradients

# -- the papers' formulas, for one number at a time ----------------------------------------------------------


def sgd(p, gs):
    for g in gs:
        p -= RATE * g
        yield p


def momentum(p, gs):
    velocity = 0.0
    for g in gs:
        velocity = 0.9 * velocity - RATE * g  # Sutskever et al. (2013), equations 1 and 2
        p += velocity
        yield p


def nesterov(p, gs):
    """Equations 3 and 4 of the same; the optimiser holds the point at which the gradient is taken."""
    theta, velocity = p, 0.0
    for g in gs:
        new = 0.9 * velocity - RATE * g
        theta = theta + new
        velocity = new
        yield theta + 0.9 * velocity


def adagrad(p, gs):
    for t in range(len(gs)):
        p -= RATE * gs[t] / (math.sqrt(math.fsum(g * g for g in gs[: t + 1])) + 1e-10)
        yield p


def mean_of(values, rho):
    """The running mean of all values so far, as a weighted sum."""
    n = len(values)
    return math.fsum((1 - rho) * rho ** (n - 1 - i) * v for i, v in enumerate(values))


def rmsprop(p, gs):
    for t in range(1, len(gs) + 1):
        p -= RATE * gs[t - 1] / (math.sqrt(mean_of([g * g for g in gs[:t]], 0.8)) + 1e-8)
        yield p


def rmsprop_centred(p, gs):
    velocity = 0.0
    for t in range(1, len(gs) + 1):
        variance = mean_of([g * g for g in gs[:t]], 0.8) - mean_of(gs[:t], 0.8) ** 2
        velocity = 0.5 * velocity + gs[t - 1] / (math.sqrt(variance) + 1e-8)
        p -= RATE * velocity
        yield p


def adadelta(p, gs):
    changes = []
    for t in range(1, len(gs) + 1):
        rms = [math.sqrt(mean_of([v * v for v in values], 0.9) + 1e-6) for values in (changes, gs[:t])]
        changes.append(-rms[0] / rms[1] * gs[t - 1])
        p += changes[-1]
        yield p


def adam(p, gs):
    for t in range(1, len(gs) + 1):
        mean = mean_of(gs[:t], 0.9) / (1 - 0.9**t)
        square = mean_of([g * g for g in gs[:t]], 0.99) / (1 - 0.99**t)
        p -= RATE * mean / (math.sqrt(square) + 1e-8)
        yield p


def adamw(p, gs):
    for t in range(1, len(gs) + 1):
        mean = mean_of(gs[:t], 0.9) / (1 - 0.9**t)
        square = mean_of([g * g for g in gs[:t]], 0.99) / (1 - 0.99**t)
        p -= RATE * (mean / (math.sqrt(square) + 1e-8) + 0.3 * p)
        yield p


def nadam(p, gs):
    mu = [None] + [0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in range(1, len(gs) + 2)]
    for t in range(1, len(gs) + 1):
        ahead = mu[t + 1] * mean_of(gs[:t], 0.9) / (1 - math.prod(mu[1 : t + 2]))
        ahead += (1 - mu[t]) * gs[t - 1] / (1 - math.prod(mu[1 : t + 1]))
        square = mean_of([g * g for g in gs[:t]], 0.99) / (1 - 0.99**t)
        p -= RATE * ahead / (math.sqrt(square) + 1e-8)
        yield p


def adamax(p, gs):
    for t in range(1, len(gs) + 1):
        size = max(0.99 ** (t - 1 - i) * (abs(g) + 1e-8) for i, g in enumerate(gs[:t]))
        p -= RATE / (1 - 0.9**t) * mean_of(gs[:t], 0.9) / size
        yield p


FORMULAS = {
    f.__name__: f
    for f in (sgd, momentum, nesterov, adagrad, rmsprop, rmsprop_centred, adadelta, adam, adamw, nadam, adamax)
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps_follow_the_papers(name):
    opt, formula = OPTIMISERS[name], FORMULAS[name]
    p, gs = np.array([1.0, -2.0, 0.5]), gradients(3)
    expected = np.array([list(formula(float(p[i]), [float(g[i]) for g in gs])) for i in range(3)]).T
    found, state = descend(opt, p, gs)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert state["step"] == len(gs)


def torch_optimisers(torch):
    o = torch.optim
    return {
        "sgd": lambda ps: o.SGD(ps, RATE),
        "momentum": lambda ps: o.SGD(ps, RATE, momentum=0.9),
        "nesterov": lambda ps: o.SGD(ps, RATE, momentum=0.9, nesterov=True),
        "adagrad": lambda ps: o.Adagrad(ps, RATE),
        "rmsprop": lambda ps: o.RMSprop(ps, RATE, alpha=0.8),
        "rmsprop_centred": lambda ps: o.RMSprop(ps, RATE, alpha=0.8, momentum=0.5, centered=True),
        "adadelta": o.Adadelta,
        "adam": lambda ps: o.Adam(ps, RATE, betas=(0.9, 0.99)),
        "adamw": lambda ps: o.AdamW(ps, RATE, betas=(0.9, 0.99), weight_decay=0.3),
        "nadam": lambda ps: o.NAdam(ps, RATE, betas=(0.9, 0.99)),
        "adamax": lambda ps: o.Adamax(ps, RATE, betas=(0.9, 0.99)),
    }


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps_follow_pytorch(name, decay):
    torch = pytest.importorskip("torch")
    opt = OPTIMISERS[name]
    p, gs = np.random.default_rng(0).normal(size=(4, 3)), gradients((4, 3))
    theirs = torch.tensor(p.copy(), requires_grad=True)
    peer = torch_optimisers(torch)[name]([theirs])
    if decay:
        opt = dataclasses.replace(opt, weight_decay=decay)
        peer.param_groups[0]["weight_decay"] = decay
    for g, mine in zip(gs, descend(opt, p, gs)[0], strict=True):
        theirs.grad = torch.tensor(g)
        peer.step()
        # Their Nadam keeps the product of momenta in float32.
        atol = 1e-7 if name == "nadam" else 1e-13
        np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-9, atol=atol)


def test_adagrad_starts_where_it_is_told():
    found, state = descend(nn.AdaGrad(0.1, initial=9.0, eps=0.0), np.array([1.0]), [np.array([4.0])])
    np.testing.assert_allclose(found, [[1 - 0.1 * 4 / 5]])
    np.testing.assert_array_equal(state["sum_of_squares"]["w"], [25.0])


# -- sizes and dtypes ----------------------------------------------------------------------------------------


@every_optimiser
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_arrays_take_the_same_steps(opt, dtype):
    opt = opt if opt.weight_decay else dataclasses.replace(opt, weight_decay=0.01)
    size = COMPILED + 1000  # through a kernel, where there is one, else in blocks
    rng = np.random.default_rng(0)
    p, gs = rng.normal(size=size).astype(dtype), [rng.normal(size=size).astype(dtype) for _ in range(3)]
    found, state = descend(opt, p, gs)
    assert found.dtype == dtype
    assert {a.dtype for a in tree.leaves(state) if isinstance(a, np.ndarray)} <= {np.dtype(dtype)}
    some = np.r_[0:50, BLOCK - 5 : BLOCK + 5, size - 50 : size]
    small, _ = descend(opt, p[some], [g[some] for g in gs])
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(found[:, some], small, rtol=30 * eps, atol=30 * eps)
    medium, _ = descend(opt, p[: BLOCK + 1], [g[: BLOCK + 1] for g in gs])
    np.testing.assert_allclose(found[:, : BLOCK + 1], medium, rtol=30 * eps, atol=30 * eps)


@every_optimiser
@pytest.mark.parametrize("size", [3, COMPILED + 3])
def test_nothing_changes_that_was_given(opt, size):
    rng = np.random.default_rng(0)
    model = {"w": rng.normal(size=size), "b": np.zeros(2)}
    g = {"w": rng.normal(size=size), "b": np.ones(2)}
    state = opt.init(model)
    new, new_state = opt.update(g, state, model)
    again, again_state = opt.update(g, state, model)
    np.testing.assert_equal(again, new)
    np.testing.assert_equal(again_state, new_state)
    assert not np.shares_memory(new["w"], model["w"])
    before = copy.deepcopy((new, new_state))
    opt.update(g, new_state, new)
    np.testing.assert_equal((new, new_state), before)


@every_optimiser
def test_donated_arrays_are_used_again(opt):
    rng = np.random.default_rng(0)
    p, gs = rng.normal(size=(2, COMPILED)).astype(np.float32), gradients((2, COMPILED), 3)
    gs = [g.astype(np.float32) for g in gs]
    kept, _ = descend(opt, p, gs)
    kept_gs = copy.deepcopy(gs)
    model = {"w": p.copy()}
    state = opt.init(model)
    first = [model["w"], *[state[m]["w"] for m in opt.moments()]]
    for g in gs:
        model, state = opt.update({"w": g}, state, model, donate=True)
    np.testing.assert_array_equal(model["w"], kept[-1])
    last = [model["w"], *[state[m]["w"] for m in opt.moments()]]
    assert [np.shares_memory(a, b) for a, b in zip(first, last, strict=True)] == [True] * len(first)
    np.testing.assert_equal(gs, kept_gs)


def test_donated_arrays_that_cannot_be_used_are_left_alone():
    size = COMPILED + 8
    p = np.broadcast_to(np.float64(1.0), (size,))
    opt = nn.Adam()
    model, _ = opt.update({"w": np.ones(size)}, opt.init({"w": p}), {"w": p}, donate=True)
    assert p[0] == 1.0
    np.testing.assert_allclose(model["w"], 0.999)
    strided = np.ones((2, size))[:, ::2]
    model, _ = opt.update({"w": strided}, opt.init({"w": strided}), {"w": strided}, donate=True)
    np.testing.assert_allclose(model["w"], 0.999)


@every_optimiser
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_dtypes_stay(opt, dtype):
    model = {"w": np.ones((2, 3), dtype), "s": dtype(1), "e": np.ones((0, 3), dtype)}
    opt = dataclasses.replace(opt, weight_decay=0.1, clip=nn.ClipByGlobalNorm(1.0), constraint=nn.MaxNorm(1.0))
    state = opt.init(model)
    for _ in range(2):
        model, state = opt.update(tree.map(lambda p: p * dtype(0.5), model), state, model)
    assert {leaf.dtype for leaf in tree.leaves(model)} == {np.dtype(dtype)}
    moments = np.float32 if dtype is np.float16 else dtype
    assert {leaf.dtype for m in opt.moments() for leaf in tree.leaves(state[m])} <= {np.dtype(moments)}


@pytest.mark.parametrize("size", [3, BLOCK + 3])
@every_optimiser
def test_half_precision_keeps_small_gradients(opt, size):
    p, g = np.ones(size, np.float16), np.full(size, 1e-3, np.float16)
    g[0] = 0.0
    found, _ = descend(opt, p, [g] * 3)
    expected, _ = descend(opt, p.astype(np.float32), [g.astype(np.float32)] * 3)
    np.testing.assert_allclose(found[-1], expected[-1], atol=3 * 2.0**-11)


@pytest.mark.parametrize("size", [3, COMPILED])
def test_an_array_in_two_places_is_two_parameters(size):
    w, g = np.ones(size), np.full(size, 2.0)
    opt = nn.SGD(0.1)
    model, _ = opt.update({"a": g, "b": g}, opt.init({"a": w, "b": w}), {"a": w, "b": w}, donate=True)
    np.testing.assert_allclose([model["a"][0], model["b"][-1]], 0.8)


def test_python_numbers_are_parameters():
    opt = nn.Adam(0.1)
    model, state = opt.update({"x": 2.0, "n": 3}, opt.init({"x": 1.0, "n": 3}), {"x": 1.0, "n": 3})
    assert model["x"] == pytest.approx(0.9)
    assert model["n"] == 3
    assert set(state["mean"]) == {"x"}
