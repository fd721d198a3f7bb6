"""Models on a device: the same step, to rounding, with no change in the code of layers, losses and optimisers."""

import doctest

import numpy as np
import pytest

import nn
from autodiff import device, device_put, grad, tree, value_and_grad
from autodiff.core.errors import DeviceError
from nn.coding import corrupt, keep_largest, sparsity_penalty
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
    "adadelta": nn.AdaDelta(),
    "adamax": nn.AdaMax(0.01, clip=nn.ClipByNorm(0.5)),
    "nadam": nn.Nadam(0.01, clip=nn.ClipByValue(0.5)),
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


def test_every_optimiser_is_here():
    assert {type(optimiser) for optimiser in OPTIMISERS.values()} == set(subclasses(nn.Optimiser))


def subclasses(base):
    """The public subclasses in nn."""
    return {cls for name in nn.__all__ if isinstance(cls := getattr(nn, name), type) and issubclass(cls, base)} - {base}


# -- layers --------------------------------------------------------------------------------------------------

VECTORS, IMAGES, LAST = (4, 6), (2, 2, 4, 4), (2, 4, 4, 2)
LAYERS = {
    "Activation": (lambda **o: nn.Activation("gelu"), VECTORS),
    "AvgPool2d": (lambda **o: nn.AvgPool2d(2, layout="NHWC"), LAST),
    "BatchNorm": (lambda **o: nn.BatchNorm(6, dtype=np.float64), VECTORS),
    "BatchNorm of images": (lambda **o: nn.BatchNorm(2, layout="NHWC", affine=False, dtype=np.float64), LAST),
    "Branches": (lambda **o: nn.inception(2, 1, (2, 1), (1, 2), 1, **o), IMAGES),
    "Conv2d": (lambda **o: nn.Conv2d(2, 3, 3, padding="same", stride=2, activation="relu", **o), IMAGES),
    "ConvTranspose2d": (lambda **o: nn.ConvTranspose2d(2, 3, 3, stride=2, padding="same", **o), IMAGES),
    "Dense": (lambda **o: nn.Dense(6, 3, activation="tanh", **o), VECTORS),
    "Dropout": (lambda **o: nn.Dropout(0.4), IMAGES),
    "Ensemble": (lambda **o: nn.Ensemble([nn.Dense(6, 3, **o), nn.Dense(6, 3, **o)], "probability"), VECTORS),
    "Ensemble by mean": (lambda **o: nn.Ensemble([nn.Dense(6, 6, **o), nn.tanh]), VECTORS),
    "Ensemble by vote": (lambda **o: nn.Ensemble([nn.Dense(6, 3, **o), nn.Dense(6, 3, **o)], "vote"), VECTORS),
    "Flatten": (lambda **o: nn.Flatten(), IMAGES),
    "GlobalAvgPool2d": (lambda **o: nn.GlobalAvgPool2d(), IMAGES),
    "LocalResponseNorm": (lambda **o: nn.LocalResponseNorm(3, alpha=0.5), IMAGES),
    "MaxPool2d": (lambda **o: nn.MaxPool2d(3, stride=1, padding=1, layout="NHWC"), LAST),
    "Maxout": (lambda **o: nn.Maxout(6, 2, pieces=3, **o), VECTORS),
    "Frozen": (lambda **o: nn.Frozen(nn.Conv2d(2, 2, 3, padding="same", **o)), IMAGES),
    "Residual": (lambda **o: nn.Residual(nn.Conv2d(2, 2, 3, padding="same", **o), activation="relu"), IMAGES),
    "SeparableConv2d": (lambda **o: nn.SeparableConv2d(2, 3, 3, padding="same", **o), IMAGES),
    "Sequential": (lambda **o: nn.Sequential(nn.Dense(6, 3, **o), nn.Dropout(0.5), nn.log_softmax), VECTORS),
    "Tied": (
        lambda **o: nn.Tied(
            nn.Sequential(nn.Dense(6, 3, **o), nn.Dense(3, 6, **o)), {"layers.1.weight": "layers.0.weight.T"}
        ),
        VECTORS,
    ),
    "Upsample2d": (lambda **o: nn.Upsample2d(2, method="bilinear"), IMAGES),
    "Upsample2d by repeating": (lambda **o: nn.Upsample2d(2, layout="NHWC"), LAST),
}


def test_every_layer_is_here():
    assert {name.split()[0] for name in LAYERS} == {cls.__name__ for cls in subclasses(nn.Layer)}


def stepped(layer, x, seed=4):
    """Result, new layer, and the adjoints of layer and input, in training."""

    def f(layer, x):
        y, new = nn.apply(layer, x, train=True, rng=np.random.default_rng(seed))
        return np.sum(np.sin(3 * y)), (y, new)

    (_, (y, new)), adjoints = value_and_grad(f, (0, 1), has_aux=True)(layer, x)
    return [y, new, adjoints, layer(x)]


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    make, shape = LAYERS[name]
    rng = np.random.default_rng(5)
    layer, x = make(rng=rng, dtype=np.float64), rng.normal(size=shape)
    close(stepped(device_put(layer, "fake"), put(x)), stepped(layer, x))
    assert device_put(device_put(layer, "fake"), "cpu") == layer


@pytest.mark.parametrize("name", sorted(set(nn.activations.__all__) - {"resolve"}))
def test_activation(name):
    f, x = getattr(nn.activations, name), np.random.default_rng(5).normal(size=(3, 4)) * 4
    close(stepped(nn.Activation(f), put(x)), stepped(nn.Activation(f), x))


def test_max_unpooling():
    x, y = np.random.default_rng(5).normal(size=(1, 2, 4, 4)), np.arange(8.0).reshape(1, 2, 2, 2)
    close([nn.max_unpool2d(put(y), put(x), 2)], [nn.max_unpool2d(y, x, 2)])


def test_models_on_different_devices_differ():
    model = nn.Dense(2, 1, rng=0)
    assert device_put(model, "fake") != model
    assert device_put(model, "fake") == device_put(model, "fake")


def test_codes_and_penalties():
    rng = np.random.default_rng(5)
    x = rng.uniform(0.1, 0.9, (3, 4))
    damaged = lambda x: corrupt(x, np.random.default_rng(1), 0.5)
    codes = lambda x: keep_largest(x, 2)
    for f in (damaged, codes, sparsity_penalty, lambda x: nn.l1_penalty({"w": x}, 0.1)):
        g = lambda x, f=f: np.sum(f(x) ** 2)
        close([grad(g)(put(x))], [grad(g)(x)])


def test_methods_of_the_host_refuse_other_parameters():
    with pytest.raises(DeviceError, match=r"newton: a parameter is float64\[2\] on tests .* move the parameters there"):
        nn.newton(np.sum, put(np.ones(2)))
    with pytest.raises(DeviceError, match="minimise: a parameter is"):
        nn.minimise(np.sum, {"w": put(np.ones(2))})


# -- data, the loop, files -----------------------------------------------------------------------------------


def batches(rng, rows=12, **options):
    return nn.data.Batches(rng.normal(size=(rows, 6)), rng.integers(0, 3, rows), batch_size=4, **options)


def both(data, f=loss, validation=lambda device: None, **options):
    """Results of `fit` there and here; functions of the device make the data."""
    model, how = perceptron(np.random.default_rng(2)), {"epochs": 2, "rng": 3, "progress": False, **options}
    run = lambda model, device: nn.fit(
        model, f, nn.SGD(0.1, momentum=0.5), data(device), validation=validation(device), **how
    )
    return run(device_put(model, "fake"), "fake"), run(model, None)


def test_batches_move_where_they_are_told_to():
    there, here = both(lambda device: batches(np.random.default_rng(2), device=device))
    close(there.model, here.model)
    np.testing.assert_allclose(there.history.losses, here.history.losses, rtol=1e-10)


def test_data_that_lie_there_make_batches_there():
    def data(device):
        rng = np.random.default_rng(2)
        x, classes = rng.normal(size=(12, 6)), rng.integers(0, 3, 12)
        arrays = (x, classes) if device is None else (put(x), put(classes))
        return nn.data.Batches(*arrays, batch_size=4)

    there, here = both(data)
    close(there.model, here.model)


def test_the_loss_may_move_its_batches():
    data = batches(np.random.default_rng(2))
    moved = lambda model, batch, **how: loss(model, device_put(batch, "fake"), **how)
    model, optimiser = perceptron(np.random.default_rng(2)), nn.SGD(0.1)
    run = lambda model, f: nn.fit(model, f, optimiser, data, epochs=1, rng=3, progress=False)
    close(run(device_put(model, "fake"), moved).model, run(model, loss).model)


def test_batches_that_stay_are_an_error_of_the_loop():
    data = batches(np.random.default_rng(2))
    with pytest.raises(DeviceError, match=r"on cpu and .* on tests .* Nothing is copied between devices unasked"):
        nn.fit(
            device_put(perceptron(np.random.default_rng(2)), "fake"),
            loss,
            nn.SGD(0.1),
            data,
            epochs=1,
            rng=3,
            progress=False,
        )


def test_measures():
    supervised = nn.Supervised(nn.losses.cross_entropy)
    measures = {"accuracy": nn.metrics.accuracy, "top": lambda y, t: nn.metrics.top_k_accuracy(y, t, 2)}
    data = lambda device: batches(np.random.default_rng(2), device=device, shuffle=False)
    rule = nn.EarlyStopping("validation_accuracy", patience=5)
    there, here = both(data, supervised, validation=data, metrics=measures, early_stopping=rule)
    close(there.model, here.model)
    for a, b in zip(there.history.epochs, here.history.epochs, strict=True):
        for name in ("loss", "validation_loss", "validation_accuracy", "validation_top"):
            np.testing.assert_allclose(a[name], b[name], rtol=1e-10)


def test_metrics_of_outputs_there():
    rng = np.random.default_rng(2)
    y, t = rng.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    np.testing.assert_array_equal(nn.metrics.confusion_matrix(put(y), put(t))._host, nn.metrics.confusion_matrix(y, t))
    for name in ("mean_squared_error", "mean_absolute_error"):
        f = getattr(nn.metrics, name)
        np.testing.assert_allclose(f(put(y), put(2 * y)), f(y, 2 * y))
    assert nn.metrics.roc_auc(put(y[:, 0]), put(t == 1)) == nn.metrics.roc_auc(y[:, 0], t == 1)
    for there, here in zip(nn.metrics.roc_curve(put(y[:, 0]), put(t == 1)), nn.metrics.roc_curve(y[:, 0], t == 1),
                           strict=True):  # fmt: skip
        np.testing.assert_array_equal(there._host, here)


def test_outputs_stay_where_the_model_is():
    x, model = np.random.default_rng(2).normal(size=(7, 6)), perceptron(np.random.default_rng(2))
    move = lambda rows: device_put(rows, "fake")
    there = nn.predict(device_put(model, "fake"), x, batch_size=3, transform=move)
    close([there], [nn.predict(model, x, batch_size=3)])
    close([nn.predict(device_put(model, "fake"), put(x), batch_size=3)], [nn.predict(model, x, batch_size=3)])


def test_checkpoints(tmp_path):
    """A file knows no device: arrays go to where those of the model are that is read into."""
    path, model = tmp_path / "model.safetensors", perceptron(np.random.default_rng(2))
    nn.save_weights(path, device_put(model, "fake"))
    other = perceptron(np.random.default_rng(3))
    assert nn.load_weights(path, other) == model
    assert nn.load_weights(path, device_put(other, "fake")) == device_put(model, "fake")


def test_training_is_taken_up_again(tmp_path):
    data = batches(np.random.default_rng(2), device="fake")
    model, how = device_put(perceptron(np.random.default_rng(2)), "fake"), {"rng": 3, "progress": False}
    run = lambda epochs, **o: nn.fit(model, loss, nn.Adam(0.01), data, epochs=epochs, **how, **o)
    run(1, checkpoint=tmp_path / "last.safetensors")
    again = run(3, checkpoint=tmp_path / "last.safetensors", resume=True)
    assert again.model == run(3).model


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
    "closest": lambda y, t: nn.losses.multiclass_hinge(y, np.argmax(t, axis=-1), kind="crammer-singer"),
    "cross_entropy": lambda y, t: nn.losses.cross_entropy(y, np.argmax(t, axis=-1), reduction="sum"),
    "ignored": lambda y, t: nn.losses.cross_entropy(y, np.argmax(t, axis=-1), ignore_index=1),
    "shares": lambda y, t: nn.losses.cross_entropy(y, np.abs(t) / np.sum(np.abs(t), -1, keepdims=True)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    rng = np.random.default_rng(8)
    y, t = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)).clip(-2, 2)
    value, g = value_and_grad(LOSSES[name])(y, t)
    there = value_and_grad(LOSSES[name])(put(y), put(t))
    np.testing.assert_allclose(float(there[0]), value)
    close([there[1]], [g])


def test_the_documented_program_runs_there():
    example = doctest.DocTestParser().get_doctest(nn.__doc__.replace('"cpu"  # or', '"fake"  # or'), {}, "nn", "", 0)
    assert any('where = "fake"' in part.source for part in example.examples)
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(example, clear_globs=False)
    assert runner.failures == 0
    assert type(tree.leaves(nn.parameters(example.globs["result"].model))[0]) is DeviceArray
    assert isinstance(example.globs["scores"], np.ndarray)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_finite_is_found_there():
    model = device_put(perceptron(np.random.default_rng(2)), "fake")
    options = {"epochs": 1, "rng": 3, "progress": False}
    x = np.random.default_rng(2).normal(size=(4, 6))
    x[1, 2] = np.inf
    data = nn.data.Batches(x, np.zeros(4, int), batch_size=4, device="fake")
    with pytest.raises(nn.NonFiniteError, match=r"The first tensor that is not finite: the batch.*1 infinite of 24"):
        nn.fit(model, loss, nn.SGD(0.1), data, **options)
    steep = lambda model, batch, **how: (np.sqrt(np.sum((model[0].weight * 0) ** 2)), model)
    with pytest.raises(nn.NonFiniteError, match=r"a gradient is not finite at step 1.*the result of"):
        nn.fit(model, steep, nn.SGD(0.1), batches(np.random.default_rng(2), device="fake"), **options)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_gradients_and_moments_are_where_the_parameters_are(name):
    rng = np.random.default_rng(2)
    model, x, classes = perceptron(rng), rng.normal(size=(4, 6)), np.array([0, 1, 2, 0])
    there, optimiser = device_put(model, "fake"), OPTIMISERS[name]
    gradients = grad(loss, has_aux=True)(there, (put(x), put(classes)), train=True, rng=rng)[0]
    here, text = (
        device_put(gradients, "cpu"),
        rf"{type(optimiser).__name__}.update: .* \(float64\[.*\]\) is on {{}} and its ",
    )
    with pytest.raises(DeviceError, match=text.format("tests fake:0") + r"gradient \(.*\) on cpu"):
        optimiser.update(here, optimiser.init(there), there)
    with pytest.raises(DeviceError, match=text.format("cpu") + r"gradient \(.*\) on tests fake:0"):
        optimiser.update(gradients, optimiser.init(there), model)
    if optimiser.moments():
        with pytest.raises(DeviceError, match=text.format("tests fake:0") + r"\w+ in the state \(.*\) on cpu"):
            optimiser.update(gradients, optimiser.init(model), there)


def test_labels_of_the_host_are_an_error():
    rng = np.random.default_rng(2)
    model, x = device_put(perceptron(rng), "fake"), put(rng.normal(size=(4, 6)))
    with pytest.raises(
        DeviceError, match=r"softmax_cross_entropy: argument 0 .* on tests fake:0 and argument 1 .* on cpu"
    ):
        value_and_grad(loss, has_aux=True)(model, (x, np.zeros(4, int)), train=False)
