"""Tied parameters: stored once, derivatives summed over their places, in training, in files, and what is refused."""

import numpy as np
import pytest

import nn
from autodiff import check_grads, grad, hessian, jvp, tree, value_and_grad, vjp

F64 = np.float64


def dense(inputs, outputs, seed=0, **options):
    return nn.Dense(inputs, outputs, dtype=F64, rng=seed, **options)


def coder():
    """An autoencoder whose decoder has the encoder's matrix, transposed."""
    model = nn.Sequential(dense(5, 2), nn.tanh, dense(2, 5, 1))
    return nn.Tied(model, {"layers.2.weight": "layers.0.weight.T"})


def shared():
    """The same layer twice, as two steps of a recurrence are."""
    model = nn.Sequential(dense(3, 3), nn.tanh, dense(3, 3, 1))
    return nn.Tied(model, {"layers.2.weight": "layers.0.weight", "layers.2.bias": "layers.0.bias"})


def test_the_decoder_is_the_encoder_transposed(rng):
    model, x = coder(), rng.normal(size=(4, 5))
    w, b = model.untied[0].weight, model.untied[0].bias
    np.testing.assert_allclose(model(x), np.tanh(x @ w + b) @ w.T + model.untied[2].bias, rtol=1e-14)
    assert nn.count_parameters(model) == 5 * 2 + 2 + 5
    assert list(nn.parameters(model)) == ["layer.layers.0.weight", "layer.layers.0.bias", "layer.layers.2.bias"]
    assert model.layer[2].weight is None
    assert "ties=" in repr(model)


@pytest.mark.parametrize("make", [coder, shared])
def test_a_derivative_is_the_sum_over_places(rng, make):
    model = make()
    x = rng.normal(size=(4, model.untied[0].weight.shape[0]))
    tied = grad(lambda m: np.sum(np.sin(m(x))))(model)
    whole = grad(lambda m: np.sum(np.sin(m(x))))(model.untied)
    second = whole[2].weight.T if make is coder else whole[2].weight
    np.testing.assert_allclose(tied.layer[0].weight, whole[0].weight + second, rtol=1e-13)
    assert tied.layer[2].weight is None
    if make is shared:
        np.testing.assert_allclose(tied.layer[0].bias, whole[0].bias + whole[2].bias, rtol=1e-13)
    check_grads(lambda m: np.sum(np.sin(m(x))), (model,), order=2)


def test_forward_mode_and_second_order(rng):
    model, x = coder(), rng.normal(size=(4, 5))
    _, tangent = jvp(lambda m: m(x), (model,), (model,))
    y, back = vjp(lambda m: m(x), model)
    adjoint = back(np.ones_like(y))[0]
    inner = sum(np.vdot(a, b) for a, b in zip(tree.leaves(adjoint), tree.leaves(model), strict=True))
    np.testing.assert_allclose(inner, np.sum(tangent), rtol=1e-13)
    w = model.layer[0].weight

    def value(weight):
        layers = (nn.replace(model.layer[0], weight=weight), *model.layer.layers[1:])
        return np.sum(nn.replace(model, layer=nn.replace(model.layer, layers=layers))(x) ** 2)

    curvature = hessian(value)(w).reshape(10, 10)
    np.testing.assert_allclose(curvature, curvature.T, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("optimiser", [nn.SGD(0.05, momentum=0.9), nn.Adam(0.01, weight_decay=0.1)])
def test_training_keeps_them_tied(rng, optimiser, tmp_path):
    x = rng.normal(size=(40, 5))
    data = nn.data.Batches(x, x, batch_size=10)
    result = nn.fit(coder(), nn.Supervised(nn.losses.mse), optimiser, data, epochs=15, rng=0, progress=False)
    whole = result.model.untied
    np.testing.assert_array_equal(whole[2].weight, whole[0].weight.T)
    assert result.history["loss"][-1] < result.history["loss"][0]
    nn.save_weights(tmp_path / "w.npz", result.model)
    assert nn.load_weights(tmp_path / "w.npz", coder()) == result.model


def test_state_and_dropout_go_along(rng):
    model = nn.Tied(
        nn.Sequential(dense(3, 3), nn.BatchNorm(3, dtype=F64), nn.Dropout(0.5), dense(3, 3, 1)),
        {"layers.3.weight": "layers.0.weight"},
    )
    assert model.differs_in_training()
    assert not shared().differs_in_training()
    y, new = nn.apply(model, rng.normal(size=(8, 3)), train=True, rng=0)
    assert np.abs(new.untied[1].mean).max() > 0
    assert new.layer[3].weight is None
    np.testing.assert_array_equal(new.untied[0].weight, model.untied[0].weight)
    assert np.any(y != model(rng.normal(size=(8, 3))))


def test_filters_of_a_convolution_and_its_transpose(rng):
    model = nn.Tied(
        nn.Sequential(nn.Conv2d(1, 4, 3, dtype=F64, rng=0), nn.ConvTranspose2d(4, 1, 3, dtype=F64, rng=1)),
        {"layers.1.weight": "layers.0.weight"},
    )
    x = rng.normal(size=(2, 1, 6, 6))
    assert model(x).shape == x.shape
    (_, _), slopes = value_and_grad(nn.Supervised(nn.losses.mse), has_aux=True)(model, (x, x), train=True)
    assert slopes.layer[0].weight.shape == (4, 1, 3, 3)


def test_layers_in_containers_by_name():
    class Pair(nn.Layer):
        parts: dict

        def __call__(self, x):
            return self.parts["b"](self.parts["a"][0](x))

    tied = nn.Tied(Pair({"a": [dense(2, 2)], "b": dense(2, 2, 1)}), {"parts.b.weight": "parts.a.0.weight"})
    np.testing.assert_array_equal(tied.untied.parts["b"].weight, tied.layer.parts["a"][0].weight)
    assert tied(np.ones((1, 2))).shape == (1, 2)


@pytest.mark.parametrize(
    ("ties", "error", "message"),
    [
        ({}, ValueError, "Tied: ties must say what is tied"),
        (
            {"layers.2.weights": "layers.0.weight.T"},
            KeyError,
            r"no parameter 'layers.2.weights'; there are la",
        ),
        ({"layers.2.weight": "layers.1.weight"}, KeyError, r"Tied: there is no parameter 'layers.1.weight'"),
        (
            {"layers.2.weight": "layers.0.weight"},
            ValueError,
            r"layers.2.weight, float64\[2,5\], cannot be layers.0",
        ),
        ({"layers.2.bias": "layers.0.bias.T"}, ValueError, r"layers.0.bias.T needs a matrix, but .* is float64\[2\]"),
        ({"layers.2.weight": "layers.2.weight"}, ValueError, "which is tied itself"),
    ],
)
def test_what_cannot_be_tied(ties, error, message):
    model = nn.Sequential(dense(5, 2), nn.tanh, dense(2, 5, 1))
    with pytest.raises(error, match=message):
        nn.Tied(model, ties)
