"""Rprop: against its description one number at a time, PyTorch, dtypes, and what it refuses."""

import math

import numpy as np
import pytest

import nn
from autodiff import grad

OPTIONS = {"grow": 1.3, "shrink": 0.4, "smallest": 0.02, "largest": 0.3}


def one_number(p, gs, size=0.1):
    last = 0.0
    for gradient in gs:
        turned = gradient * last < 0
        if gradient * last > 0:
            size = min(size * OPTIONS["grow"], OPTIONS["largest"])
        elif turned:
            size = max(size * OPTIONS["shrink"], OPTIONS["smallest"])
        last = 0.0 if turned else gradient
        p -= math.copysign(size, last) if last else 0.0
        yield p


def path(opt, p, gs):
    model, out = {"w": p}, []
    state = opt.init(model)
    for g in gs:
        model, state = opt.update({"w": g}, state, model)
        out.append(model["w"])
    return np.array(out)


def gradients(shape, count=30):
    return list(np.random.default_rng(3).normal(0.4, 1.0, (count, *shape)))


@pytest.mark.parametrize("size", [3, (1 << 14) + 5])
def test_steps_follow_the_description(size):
    p, gs = np.linspace(-1, 1, size), gradients((size,))
    found = path(nn.RProp(0.1, **OPTIONS), p, gs)
    for i in (0, 1, size - 1):
        expected = list(one_number(float(p[i]), [float(g[i]) for g in gs]))
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-12, atol=1e-14)


def test_steps_follow_pytorch():
    torch = pytest.importorskip("torch")
    p, gs = np.random.default_rng(0).normal(size=(4, 3)), gradients((4, 3))
    theirs = torch.tensor(p.copy(), requires_grad=True)
    peer = torch.optim.Rprop([theirs], lr=0.1, etas=(0.4, 1.3), step_sizes=(0.02, 0.3))
    for g, mine in zip(gs, path(nn.RProp(0.1, **OPTIONS), p, gs), strict=True):
        theirs.grad = torch.tensor(g)
        peer.step()
        np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-12, atol=1e-14)


def test_only_signs_count():
    p, gs = np.array([1.0, -1.0]), gradients((2,))
    small = path(nn.RProp(0.1), p, [1e-200 * g for g in gs])
    np.testing.assert_array_equal(small, path(nn.RProp(0.1), p, gs))


def test_it_finds_the_bottom_of_a_narrow_valley():
    def valley(p):
        return p["x"][0] ** 2 + 1e4 * (p["x"][1] - 1) ** 2

    opt, p = nn.RProp(0.1), {"x": np.array([3.0, -2.0])}
    state = opt.init(p)
    for _ in range(100):
        p, state = opt.update(grad(valley)(p), state, p)
    np.testing.assert_allclose(p["x"], [0.0, 1.0], atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_dtypes_stay(dtype):
    model = {"w": np.ones((2, 3), dtype), "s": dtype(1), "e": np.ones((0, 3), dtype)}
    opt = nn.RProp(0.125, weight_decay=0.5, constraint=nn.MaxNorm(10.0))
    state = opt.init(model)
    for _ in range(2):
        model, state = opt.update(model, state, model)
    assert {leaf.dtype for leaf in model.values()} == {np.dtype(dtype)}
    assert float(model["s"]) == pytest.approx(1 - 0.125 - 0.15, abs=2e-3)


def test_refusals():
    with pytest.raises(TypeError, match="RProp: learning_rate must be a number, the size of the first step"):
        nn.RProp(nn.schedules.constant(0.1))
    with pytest.raises(ValueError, match="RProp: grow must be at least 1 and less than inf, not 0"):
        nn.RProp(0.1, grow=0.9)
    with pytest.raises(ValueError, match="RProp: shrink must be greater than 0 and less than 1, not 1"):
        nn.RProp(0.1, shrink=1.0)
    with pytest.raises(ValueError, match="RProp: smallest must be at most largest, not 2 > 1"):
        nn.RProp(0.1, smallest=2.0, largest=1.0)
