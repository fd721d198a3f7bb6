"""Training where the arrays are: the same steps, to rounding, on the host and by the kernels of the device."""

import importlib

import numpy as np
import pytest

import nn
from autodiff import device_put, ops, tree, value_and_grad


class Network(nn.Layer):
    """Words looked up in a table beside an image: every kind of kernel that training has."""

    table: np.ndarray = nn.parameter()
    image: nn.Layer
    head: nn.Layer

    def forward(self, x, *, train=False, rng=None):
        pixels, words = x
        a, image = nn.apply(self.image, pixels, train=train, rng=rng)
        b, head = nn.apply(self.head, np.concatenate([a, np.mean(self.table[words], axis=1)], 1), train=train, rng=rng)
        return b, nn.replace(self, image=image, head=head)


def network(rng, dtype):
    how = {"rng": rng, "dtype": dtype}
    image = nn.Sequential(
        nn.Conv2d(1, 2, 2, bias=False, **how),
        nn.BatchNorm(2, dtype=dtype),
        nn.relu,
        nn.MaxPool2d(2, stride=1),
        nn.ConvTranspose2d(2, 1, 2, stride=2, **how),
        nn.AvgPool2d(2),
        nn.Flatten(),
    )
    head = nn.Sequential(nn.Dense(6, 4, **how), nn.sigmoid, nn.Dropout(0.4), nn.Dense(4, 3, **how))
    return Network(rng.normal(size=(5, 2)).astype(dtype), image, head)


def loss(model, batch, *, train, rng=None):
    *x, classes = batch
    y, model = nn.apply(model, x, train=train, rng=rng)
    return nn.losses.cross_entropy(y, classes), model


def trained(model, batch, optimiser, steps=3):
    rng, losses, state = np.random.default_rng(1), [], optimiser.init(model)
    for _ in range(steps):
        (value, model), gradients = value_and_grad(loss, has_aux=True)(model, batch, train=True, rng=rng)
        losses.append(float(value))
        model, state = optimiser.update(gradients, state, model)
    return losses, model, state


KERNELS = {
    *("conv2d", "conv2d_input_gradient", "conv2d_weight_gradient", "max_pool2d", "max_pool2d_gradient"),
    *("avg_pool2d", "avg_pool2d_gradient", "batch_norm_statistics", "batch_norm_apply", "batch_norm_sums"),
    *("batch_norm_gradient", "relu", "relu_gate", "sigmoid", "matmul", "embedding_gather", "embedding_scatter_add"),
    *("softmax_cross_entropy", "softmax_cross_entropy_gradient"),
}


@pytest.fixture
def always(place, monkeypatch):
    """The device, where arrays of every size go to the kernels."""
    for name in ("autodiff.ops.compiled.SMALL", "autodiff.ops.compiled.LAUNCH"):
        monkeypatch.setattr(name, 0)
    monkeypatch.setattr(importlib.import_module("autodiff.ops.dense"), "LARGE", 0)
    return place


@pytest.mark.parametrize(("dtype", "slack"), [(np.float64, 1e-10), (np.float32, 2e-5)])
def test_steps_of_training(always, dtype, slack):
    device, called = always
    rng = np.random.default_rng(5)
    model, optimiser = network(rng, dtype), nn.Adam(0.01)
    batch = rng.normal(size=(2, 1, 4, 4)).astype(dtype), rng.integers(-5, 5, (2, 3)), np.array([0, 2])
    losses, here, state = trained(model, batch, optimiser)
    there = trained(device_put(model, device), device_put(batch, device), optimiser)
    assert set(called) >= KERNELS
    np.testing.assert_allclose(there[0], losses, rtol=slack)
    for moved, want in ((there[1], here), (there[2], state)):
        for a, b in zip(tree.leaves(device_put(moved, "cpu")), tree.leaves(want), strict=True):
            assert not isinstance(b, np.ndarray) or a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=50 * slack, atol=slack)


def test_training_twice_gives_the_same_bits(always):
    device, _ = always
    rng = np.random.default_rng(5)
    model = device_put(network(rng, np.float32), device)
    batch = rng.normal(size=(2, 1, 4, 4)).astype(np.float32), np.zeros((2, 3), int), np.array([0, 2])
    batch = device_put(batch, device)
    found, again = (device_put(trained(model, batch, nn.SGD(0.1), 2)[1], "cpu") for _ in range(2))
    for a, b in zip(tree.leaves(found), tree.leaves(again), strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_label_that_is_no_class_is_found_on_the_device(place):
    there = device_put((np.zeros((2, 3)), np.array([0, 3])), place[0])
    with pytest.raises(IndexError, match="label 3"):
        ops.softmax_cross_entropy(*there)
