"""Fused steps of optimisers on the device: the contracts of the CPU's, and what `nn` does with them."""

import inspect

import numpy as np
import pytest

import nn
from autodiff import device_put
from kernels.cpu import optimiser as cpu
from kernels.cuda import optimiser
from tests.test_device_training import OPTIMISERS

RATES = {"rate": 0.1, "decay": 0.02, "shrink": 0.9}
MEANS = {"beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "step": 3}
STEPS = {
    "gradient_step": (0, RATES),
    "momentum_step": (1, {**RATES, "momentum": 0.8, "nesterov": True}),
    "adam_step": (2, {**RATES, **MEANS}),
    "nadam_step": (2, {"decay": 0.02, "shrink": 0.9, "ahead": 0.1, "now": 0.05, **MEANS}),
    "adamax_step": (2, {**RATES, **MEANS}),
    "adagrad_step": (1, {**RATES, "eps": 1e-3}),
    "rmsprop_step": (1, {**RATES, "rho": 0.9, "eps": 1e-3}),
    "adadelta_step": (2, {**RATES, "rho": 0.9, "eps": 1e-3}),
}


def arrays(dtype, moments, shape=(3, 7)):
    rng = np.random.default_rng(2)
    p, g = rng.normal(size=(2, *shape)).astype(dtype)
    return [p, g, *(rng.uniform(0.1, 1, size=(moments, *shape)).astype(dtype))]


def test_every_step_is_here():
    assert set(STEPS) == set(optimiser.__all__) == set(cpu.__all__)


@pytest.mark.parametrize("name", STEPS)
def test_signatures_are_those_of_the_cpu(name):
    ours, theirs = (inspect.signature(getattr(module, name)) for module in (optimiser, cpu))
    assert ours == theirs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("own", [False, True], ids=["into new arrays", "in place"])
@pytest.mark.parametrize("name", STEPS)
def test_steps(gpu, name, own, dtype):
    moments, options = STEPS[name]
    given = arrays(dtype, moments)
    want = [np.empty_like(a) for a in (given[0], *given[2:])]
    getattr(cpu, name)(*given, out=want, **options)
    there = list(map(gpu.put, given))
    out = [there[0], *there[2:]] if own else [gpu.put(np.empty_like(a)) for a in want]
    getattr(optimiser, name)(*there, out=out, **options)
    for found, a in zip(out, want, strict=True):
        assert gpu.get(found).dtype == dtype
        np.testing.assert_allclose(gpu.get(found), a, rtol=1e-12 if dtype == np.float64 else 2e-6, atol=1e-7)


def test_a_nan_is_kept(gpu):
    p = np.array([1.0, 1.0])
    out = [gpu.put(p.copy()) for _ in range(3)]
    optimiser.adamax_step(*map(gpu.put, (p, np.array([np.nan, 1.0]), p, p)), out=out, rate=0.1, **MEANS)
    assert np.isnan(gpu.get(out[2])).tolist() == [True, False]


def test_nothing_to_do(gpu):
    optimiser.gradient_step(gpu.put(np.ones(0)), gpu.put(np.ones(0)), out=[gpu.put(np.ones(0))], rate=0.1)


def test_errors(gpu):
    p, put = np.ones((2, 3), np.float32), gpu.put
    with pytest.raises(TypeError, match=r"^gradient_step: g must be an array on the device, got numpy.ndarray"):
        optimiser.gradient_step(put(p), p, out=[put(p)], rate=0.1)
    with pytest.raises(TypeError, match=r"^gradient_step: out\[0\] must be an array on the device"):
        optimiser.gradient_step(put(p), put(p), out=[p], rate=0.1)
    with pytest.raises(TypeError, match=r"^gradient_step: expected float32 or float64, got p: float32, g: float64"):
        optimiser.gradient_step(put(p), put(p.astype(float)), out=[put(p)], rate=0.1)
    with pytest.raises(ValueError, match=r"^gradient_step: all arrays must have one shape, not \(2, 3\) and g: \(3,\)"):
        optimiser.gradient_step(put(p), put(p[0]), out=[put(p)], rate=0.1)
    with pytest.raises(ValueError, match=r"^gradient_step: all arrays must be contiguous, but g is not"):
        optimiser.gradient_step(put(p), put(np.ones((3, 2), np.float32)).T, out=[put(p)], rate=0.1)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_of_nn(place, monkeypatch, name):
    """Two steps, the second in place: the same as on the host, by the kernel wherever there is one."""
    device, rule = place[0], OPTIMISERS[name]
    formulas = []
    plain = nn.Optimiser._formula
    rng = np.random.default_rng(2)
    model, gradients = ({"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3)} for _ in range(2))

    def run(model, gradients):
        model, state = rule.update(gradients, rule.init(model), model)
        return rule.update(gradients, state, model, donate=True)

    want = run(model, gradients)
    monkeypatch.setattr(nn.Optimiser, "_formula", lambda self, *a: formulas.append(name) or plain(self, *a))
    found = device_put(run(*device_put((model, gradients), device)), "cpu")
    for key in model:
        np.testing.assert_allclose(found[0][key], want[0][key], rtol=1e-10)
    assert bool(formulas) == (rule.kernel(cpu, _step(rule)) is None)


def _step(rule):
    from nn.optimisers.base import Step

    return Step(0.1, 1, rule.next_numbers(rule.first_numbers(), 1))
