"""A small network, its data and an optimiser, for the tests of training."""

import numpy as np

from autodiff import tree
from nn.data import Batches
from nn.training.fit import fit


class Momentum:
    """An optimiser with a state of arrays and numbers."""

    def __init__(self, rate=0.1):
        self.rate = rate

    def init(self, model):
        return {"velocity": tree.map(np.zeros_like, model), "count": 0}

    def update(self, gradients, state, model):
        velocity = tree.map(lambda v, g: 0.9 * v + g, state["velocity"], gradients)
        model = tree.map(lambda p, v: p - self.rate * v, model, velocity)
        return model, {"velocity": velocity, "count": state["count"] + 1}


def outputs(model, x):
    return np.tanh(x @ model["w1"] + model["b1"]) @ model["w2"]


def loss(model, batch, *, train, rng):
    """Cross-entropy of a small network whose inputs drop out in training."""
    x, y = batch
    if train:
        x = x * (rng.random(x.shape) < 0.8)
    z = outputs(model, x)
    z = z - z.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]), model


def small_model():
    rng = np.random.default_rng(1)
    return {"w1": rng.normal(size=(4, 6)), "b1": np.zeros(6), "w2": rng.normal(size=(6, 3)).astype(np.float32)}


def examples(count=50):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(count, 4))
    return x, (x @ rng.normal(size=(4, 3))).argmax(1)


def noise(batch, rng):
    return batch[0] + 0.01 * rng.normal(size=batch[0].shape), batch[1]


def small_data(**options):
    return Batches(*examples(), batch_size=8, **options)


def run(data=None, *, model=None, loss=loss, epochs=3, optimizer=None, **options):
    options = {"rng": 7, "progress": False, **options}
    return fit(model or small_model(), loss, optimizer or Momentum(), data or small_data(), epochs=epochs, **options)


def assert_same(first, second):
    for x, y in zip(tree.leaves(first), tree.leaves(second), strict=True):
        assert np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_array_equal(x, y)
