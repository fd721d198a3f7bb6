"""What the tests of optimisers share: one of each kind, gradients, and the steps along them."""

import numpy as np
import pytest

import nn

STEPS = 7
RATE = 0.05
OPTIMISERS = {
    "sgd": nn.SGD(RATE),
    "momentum": nn.SGD(RATE, momentum=0.9),
    "nesterov": nn.SGD(RATE, momentum=0.9, nesterov=True),
    "adagrad": nn.AdaGrad(RATE),
    "rmsprop": nn.RMSProp(RATE, rho=0.8),
    "rmsprop_centred": nn.RMSProp(RATE, rho=0.8, momentum=0.5, centred=True),
    "adadelta": nn.AdaDelta(),
    "adam": nn.Adam(RATE, beta2=0.99),
    "adamw": nn.AdamW(RATE, beta2=0.99, weight_decay=0.3),
    "nadam": nn.Nadam(RATE, beta2=0.99),
    "adamax": nn.AdaMax(RATE, beta2=0.99),
}
every_optimiser = pytest.mark.parametrize("opt", OPTIMISERS.values(), ids=OPTIMISERS)


def gradients(shape, count=STEPS):
    rng = np.random.default_rng(4)
    return [rng.normal(size=shape) * scale for scale in np.linspace(0.2, 3.0, count)]


def descend(opt, p, gs, **options):
    """All parameters along the way, of a model {"w": p}."""
    model = {"w": p}
    state = opt.init(model)
    path = []
    for g in gs:
        model, state = opt.update({"w": g}, state, model, **options)
        path.append(model["w"].copy())
    return np.array(path), state
