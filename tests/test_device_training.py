"""Models on a device: the same step, to rounding, with no change in the code of layers, losses and optimisers."""

import numpy as np
import pytest

import nn
from autodiff import device, device_put, tree, value_and_grad
from autodiff.core.errors import DeviceError
from tests.device_array import DeviceArray, put


@pytest.fixture(autouse=True)
def fake_device(monkeypatch):
    monkeypatch.setitem(
        device.DEVICES, "fake", device.Device(lambda x, _: put(x), lambda x: isinstance(x, DeviceArray))
    )


def perceptron(rng):
    return nn.Sequential(
        nn.Dense(6, 5, bias=False, rng=rng, dtype=np.float64),
        nn.BatchNorm(5, dtype=np.float64),
        nn.tanh,
        nn.Dropout(0.4),
        nn.Dense(5, 3, rng=rng, dtype=np.float64),
    )


def convolutional(rng):
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False, rng=rng, dtype=np.float64),
        nn.BatchNorm(4, dtype=np.float64),
        nn.relu,
        nn.MaxPool2d(2),
        nn.Conv2d(4, 3, 2, rng=rng, dtype=np.float64),
        nn.AvgPool2d(2, padding=1),
        nn.Flatten(),
        nn.Dense(12, 3, rng=rng, dtype=np.float64),
    )


MODELS = {"perceptron": (perceptron, (7, 6)), "convolutional": (convolutional, (4, 2, 6, 6))}
OPTIMISERS = {
    "sgd": nn.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": nn.Adam(0.01, clip=nn.ClipByGlobalNorm(0.5)),
    "adamw": nn.AdamW(0.01, constraint=nn.MaxNorm(0.8)),
    "rmsprop": nn.RMSProp(0.01),
    "adagrad": nn.AdaGrad(0.01),
    "rprop": nn.RProp(0.01),
}


def loss(model, batch, *, train, rng=None):
    x, classes = batch
    y, model = nn.apply(model, x, train=train, rng=rng)
    return nn.losses.cross_entropy(y, classes), model


def trained(model, batch, optimiser, seed=1):
    rng, losses, state = np.random.default_rng(seed), [], optimiser.init(model)
    for _ in range(3):
        (value, model), gradients = value_and_grad(loss, has_aux=True)(model, batch, train=True, rng=rng)
        losses.append(float(value))
        model, state = optimiser.update(gradients, state, model)
    return losses, model, state


def close(there, here):
    for a, b in zip(tree.leaves(there), tree.leaves(here), strict=True):
        if isinstance(b, np.ndarray):
            assert type(a) is DeviceArray
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a._host, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("name", MODELS)
def test_training_step(name, optimiser):
    make, shape = MODELS[name]
    rng = np.random.default_rng(5)
    model, batch = make(rng), (rng.normal(size=shape), rng.integers(0, 3, shape[0]))
    losses, here, state = trained(model, batch, OPTIMISERS[optimiser])
    there = trained(device_put(model, "fake"), device_put(batch, "fake"), OPTIMISERS[optimiser])
    np.testing.assert_allclose(there[0], losses, rtol=1e-10)
    close(there[1], here)
    close(there[2], state)
    back = device_put(there[1], "cpu")
    assert all(isinstance(v, np.ndarray) for v in tree.leaves(nn.parameters(back)))
    np.testing.assert_allclose(back(batch[0]), here(batch[0]), rtol=1e-8)


def test_the_loop_moves_its_batches():
    rng = np.random.default_rng(2)
    data = nn.data.Batches(rng.normal(size=(12, 6)), rng.integers(0, 3, 12), batch_size=4)
    model = perceptron(rng)
    moved = lambda model, batch, **how: loss(model, device_put(batch, "fake"), **how)
    run = lambda model, f: nn.fit(model, f, nn.SGD(0.1, momentum=0.5), data, epochs=2, rng=3, progress=False)
    there, here = run(device_put(model, "fake"), moved), run(model, loss)
    close(there.model, here.model)
    np.testing.assert_allclose(there.history.losses, here.history.losses, rtol=1e-10)


def test_a_batch_on_the_host_is_an_error():
    rng = np.random.default_rng(2)
    model = device_put(perceptron(rng), "fake")
    with pytest.raises(DeviceError, match=r"matmul: argument 0 .* is on cpu and argument 1 .* on tests"):
        value_and_grad(loss, has_aux=True)(model, (rng.normal(size=(4, 6)), np.zeros(4, int)), train=False)


LOSSES = {
    "mse": nn.losses.mse,
    "mae": nn.losses.mae,
    "huber": nn.losses.huber,
    "bce": lambda y, t: nn.losses.binary_cross_entropy_with_logits(y, np.abs(t) / 4),
    "hinge": lambda y, t: nn.losses.hinge(y, np.sign(t)),
    "kl": lambda y, t: nn.losses.kl_divergence(y, np.abs(t) / np.sum(np.abs(t), -1, keepdims=True)),
    "multiclass_hinge": lambda y, t: nn.losses.multiclass_hinge(y, np.argmax(t, axis=-1)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    rng = np.random.default_rng(8)
    y, t = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)).clip(-2, 2)
    value, g = value_and_grad(LOSSES[name])(y, t)
    there = value_and_grad(LOSSES[name])(put(y), put(t))
    np.testing.assert_allclose(float(there[0]), value)
    close([there[1]], [g])
