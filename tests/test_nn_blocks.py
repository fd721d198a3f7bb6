"""Blocks and the layers of image networks: values by definition, derivatives, training against use, bad input."""

import numpy as np
import pytest

import nn
from autodiff import check_grads, grad, jvp, ops, tree, value_and_grad, vjp

F32, F64 = np.float32, np.float64


@pytest.fixture
def images(rng):
    return rng.normal(size=(2, 4, 6, 6))


def conv(inputs, outputs, size, **options):
    return nn.Conv2d(inputs, outputs, size, dtype=F64, rng=3, **options)


# -- frozen layers -------------------------------------------------------------------------------------------


def test_frozen_layers_stay_and_let_derivatives_through(rng):
    trunk = nn.Sequential(nn.Dense(3, 4, dtype=F64, rng=0), nn.BatchNorm(4, dtype=F64), nn.tanh, nn.Dropout(0.5))
    model = nn.Sequential(nn.Frozen(trunk), nn.Dense(4, 1, dtype=F64, rng=1))
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 1))
    loss = nn.Supervised(nn.losses.mse)
    optimiser = nn.Adam(0.1, weight_decay=0.1)
    state = optimiser.init(model)
    trained = model
    for _ in range(3):
        (_, trained), gradients = value_and_grad(loss, has_aux=True)(trained, (x, y), train=True, rng=rng)
        trained, state = optimiser.update(gradients, state, trained)
    assert trained.layers[0] == model.layers[0]
    assert not np.array_equal(trained.layers[1].weight, model.layers[1].weight)
    assert not any(leaf.any() for leaf in tree.leaves(gradients.layers[0]))
    assert not model.layers[0].differs_in_training()
    np.testing.assert_array_equal(nn.apply(model, x, train=True, rng=0)[0], model(x))  # nothing is dropped
    whole = nn.Sequential(trunk, model.layers[1])
    by_input = [grad(lambda x, net=net: np.sum(net(x)))(x) for net in (model, whole)]
    np.testing.assert_array_equal(*by_input)
    assert by_input[0].any()


def test_frozen_layers_are_state_and_can_be_had_back():
    model = nn.Sequential(nn.Frozen(nn.Dense(3, 4, rng=0)), nn.Dense(4, 1, rng=1))
    assert list(nn.parameters(model)) == ["layers.1.weight", "layers.1.bias"]
    assert list(nn.states(model)) == ["layers.0.layer.weight", "layers.0.layer.bias"]
    assert nn.Sequential(model.layers[0].layer, model.layers[1]) == nn.Sequential(
        nn.Dense(3, 4, rng=0), nn.Dense(4, 1, rng=1)
    )
    assert nn.Frozen(nn.relu)(np.array([-1.0, 2.0])).tolist() == [0.0, 2.0]
    assert nn.replace(model.layers[0], layer=nn.Dense(3, 4, rng=5)) == nn.Frozen(nn.Dense(3, 4, rng=5))


# -- blocks --------------------------------------------------------------------------------------------------


def test_a_residual_block_adds(images):
    body = conv(4, 4, 3, padding="same")
    np.testing.assert_array_equal(nn.Residual(body)(images), images + body(images))
    block = nn.Residual(body, activation="relu")
    np.testing.assert_array_equal(block(images), np.maximum(images + body(images), 0))
    zero = nn.Residual(conv(4, 4, 3, padding="same", weight_init="zeros"), activation="relu")
    np.testing.assert_array_equal(zero(images), np.maximum(images, 0))


def test_a_residual_block_with_a_projection(images):
    body = nn.Sequential(conv(4, 8, 3, stride=2, padding=1), nn.BatchNorm(8, dtype=F64))
    block = nn.Residual(body, shortcut=conv(4, 8, 1, stride=2), activation="relu")
    assert block(images).shape == (2, 8, 3, 3)
    assert block.differs_in_training()
    assert not nn.Residual(nn.relu).differs_in_training()
    y, trained = nn.apply(block, images, train=True)
    assert y.shape == (2, 8, 3, 3)
    assert trained.body.layers[1].mean.any()
    assert not block.body.layers[1].mean.any()
    with pytest.raises(ValueError, match=r"Residual: the body returns .* give shortcut=, such as a Conv2d of size 1"):
        nn.Residual(body)(images)


def test_gradients_of_a_residual_block_arrive_by_both_ways(images):
    body = conv(4, 4, 3, padding="same")
    block = nn.Residual(body)
    ct = np.ones_like(images)
    by_body = vjp(body, images)[1](ct)[0]
    np.testing.assert_allclose(vjp(block, images)[1](ct)[0], by_body + ct, rtol=0, atol=1e-12)
    check_grads(nn.Residual(body, activation=np.tanh), (images,))


def test_branches_join_channels(images):
    one, three = conv(4, 2, 1), conv(4, 3, 3, padding="same")
    both = nn.Branches(one, three, nn.relu)
    expected = np.concatenate([one(images), three(images), np.maximum(images, 0)], axis=1)
    np.testing.assert_array_equal(both(images), expected)
    assert not both.differs_in_training()
    assert nn.Branches(nn.Dropout(0.5)).differs_in_training()
    y, _ = nn.apply(nn.Branches(nn.Dropout(0.5), nn.relu), images, train=True, rng=0)
    assert y.shape == (2, 8, 6, 6)
    with pytest.raises(ValueError, match=r"Branches: the branches return the shapes \(2, 2, 6, 6\), \(2, 2, 4, 4\)"):
        nn.Branches(one, conv(4, 2, 3))(images)
    with pytest.raises(ValueError, match=r"Branches: give at least one layer"):
        nn.Branches()


def test_an_inception_module_has_the_channels_of_the_paper(images):
    block = nn.inception(4, 2, (3, 5), (1, 2), 3, rng=0, dtype=F64)
    y = block(images)
    assert y.shape == (2, 12, 6, 6)
    weights = 4 * 2 + 4 * 3 + 3 * 5 * 9 + 4 * 1 + 1 * 2 * 25 + 4 * 3
    assert nn.count_parameters(block) == weights + (2 + 3 + 5 + 1 + 2 + 3)
    pooled = block.branches[3].layers[1](ops.max_pool2d(images, 3, stride=1, padding=1))
    np.testing.assert_array_equal(y[:, 9:], pooled)


# -- layers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_separable_convolution_is_a_convolution_of_rank_one(images, layout):
    layer = nn.SeparableConv2d(4, 3, (3, 2), stride=2, padding=1, layout=layout, dtype=F64, rng=0, bias_init="ones")
    whole = layer.pointwise * layer.depthwise[:, 0]  # (outputs, inputs, height, width)
    x = images if layout == "NCHW" else images.transpose(0, 2, 3, 1)
    expected = ops.conv2d(x, whole, np.ones(3), stride=2, padding=1, layout=layout)
    np.testing.assert_allclose(layer(x), expected, rtol=0, atol=1e-12)
    assert nn.count_parameters(layer) == 4 * 6 + 3 * 4 + 3
    check_grads(lambda w: nn.replace(layer, depthwise=w)(x), (layer.depthwise,))
    with pytest.raises(ValueError, match=r"SeparableConv2d: expected 4 channels"):
        layer(x[:, :3] if layout == "NCHW" else x[..., :3])
    assert nn.SeparableConv2d(4, 3, 3, bias=False, activation="relu", rng=0)(x.astype(F32)[:, :4, :4, :4]).min() >= 0


def test_separable_convolution_refuses():
    with pytest.raises(ValueError, match=r"SeparableConv2d: kernel_size must be a number or a pair"):
        nn.SeparableConv2d(1, 1, (1, 2, 3), rng=0)
    with pytest.raises(TypeError, match=r"SeparableConv2d: initial values need rng="):
        nn.SeparableConv2d(1, 1, 3)


def test_transposed_convolution_is_the_transpose(images):
    layer = nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1, dtype=F64, rng=0)
    y = layer(images)
    assert y.shape == (2, 3, 12, 12)
    ct = np.random.default_rng(1).normal(size=y.shape)
    back = ops.conv2d(ct, layer.weight, stride=2, padding=1)
    assert np.isclose(np.vdot(ct, y), np.vdot(back, images), rtol=0, atol=1e-10)
    assert nn.ConvTranspose2d(4, 3, 2, stride=2, rng=0, activation="relu")(images.astype(F32)).min() >= 0
    with pytest.raises(ValueError, match=r"ConvTranspose2d: expected 4 channels"):
        layer(images[:, :2])
    with pytest.raises(ValueError, match=r"ConvTranspose2d: kernel_size must be a number or a pair"):
        nn.ConvTranspose2d(1, 1, (1,), rng=0)


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_upsampling(images, method, scale):
    layer = nn.Upsample2d(scale, method=method)
    y = layer(images)
    assert y.shape == (2, 4, 6 * scale, 6 * scale)
    np.testing.assert_allclose(layer(np.ones((1, 1, 2, 3))), 1, rtol=0, atol=1e-15)
    turned = nn.Upsample2d(scale, method=method, layout="NHWC")(images.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(turned.transpose(0, 3, 1, 2), y, rtol=0, atol=1e-12)
    assert layer(images.astype(F32)).dtype == F32
    check_grads(layer, (images[:1, :1, :3, :2],))
    torch = pytest.importorskip("torch")
    options = {} if method == "nearest" else {"align_corners": False}
    theirs = torch.nn.functional.interpolate(torch.tensor(images), scale_factor=scale, mode=method, **options)
    np.testing.assert_allclose(y, theirs.numpy(), rtol=0, atol=1e-12)


def test_upsampling_refuses(images):
    with pytest.raises(ValueError, match=r"Upsample2d: method must be 'nearest' or 'bilinear', not 'cubic'"):
        nn.Upsample2d(2, method="cubic")
    with pytest.raises(ValueError, match=r"Upsample2d: the input must have 4 \(NCHW\) axes"):
        nn.Upsample2d(2)(images[0])


def test_unpooling_is_the_transpose_of_pooling(images):
    top = ops.max_pool2d(images, 2)
    back = nn.max_unpool2d(top, images, 2)
    where = back != 0
    np.testing.assert_array_equal(back[where], images[where])
    assert where.sum() == top.size
    np.testing.assert_array_equal(ops.max_pool2d(np.where(where, back, -np.inf), 2), top)
    ct = np.random.default_rng(2).normal(size=images.shape)
    gradient = grad(lambda y: np.sum(ct * nn.max_unpool2d(y, images, 2)))(top)
    np.testing.assert_allclose(np.vdot(gradient, top), np.vdot(ct, back), rtol=0, atol=1e-12)
    forwards = jvp(lambda y: nn.max_unpool2d(y, images, 2), (top,), (top,))[1]
    np.testing.assert_array_equal(forwards, back)
    assert not grad(lambda x: np.sum(ct * nn.max_unpool2d(top, x, 2)))(images).any()
    with pytest.raises(ValueError, match=r"max_unpool2d: y must have one number for each window, \(2, 4, 3, 3\)"):
        nn.max_unpool2d(images, images, 2)


def test_local_response_normalisation_by_its_definition(images):
    layer = nn.LocalResponseNorm(3, alpha=0.3, beta=0.6, k=1.5)
    expected = np.empty_like(images)
    for c in range(4):
        near = images[:, max(0, c - 1) : c + 2]
        expected[:, c] = images[:, c] / (1.5 + 0.3 * np.sum(near**2, axis=1)) ** 0.6
    np.testing.assert_allclose(layer(images), expected, rtol=0, atol=1e-14)
    last = nn.LocalResponseNorm(3, alpha=0.3, beta=0.6, k=1.5, layout="NHWC")(images.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(last.transpose(0, 3, 1, 2), expected, rtol=0, atol=1e-14)
    assert nn.LocalResponseNorm()(images.astype(F32)).dtype == F32
    check_grads(layer, (images[:1, :, :2, :2],))
    with pytest.raises(ValueError, match=r"LocalResponseNorm: size must be odd"):
        nn.LocalResponseNorm(4)
    with pytest.raises(ValueError, match=r"LocalResponseNorm: alpha must not be negative and k must be positive"):
        nn.LocalResponseNorm(k=0.0)
    with pytest.raises(ValueError, match=r"LocalResponseNorm: the input must have 4 \(NCHW\) axes"):
        layer(images[0])


def test_maxout(rng):
    layer = nn.Maxout(3, 2, pieces=4, dtype=F64, rng=0, bias_init="ones")
    x = rng.normal(size=(5, 3))
    sums = x @ layer.weight + 1
    np.testing.assert_array_equal(layer(x)[:, 1], sums[:, 4:].max(axis=1))
    assert layer(x).shape == (5, 2)
    assert nn.count_parameters(layer) == 3 * 8 + 8
    check_grads(layer, (x,))
    with pytest.raises(ValueError, match=r"Maxout: expected 3 features"):
        layer(x[:, :2])
    with pytest.raises(ValueError, match=r"Maxout: pieces must be a positive integer"):
        nn.Maxout(3, 2, pieces=0, rng=0)


def test_global_average(images):
    np.testing.assert_allclose(nn.GlobalAvgPool2d()(images), images.mean((2, 3)), rtol=0, atol=1e-15)
    np.testing.assert_allclose(nn.GlobalAvgPool2d(layout="NHWC")(images), images.mean((1, 2)), rtol=0, atol=1e-15)
    with pytest.raises(ValueError, match=r"GlobalAvgPool2d: the input must have 4 \(NCHW\) axes"):
        nn.GlobalAvgPool2d()(images[0])


def test_blocks_train_and_are_saved(tmp_path, images):
    model = nn.Sequential(
        nn.inception(4, 2, (2, 2), (2, 2), 2, rng=0),
        nn.Residual(nn.Sequential(nn.Conv2d(8, 8, 3, padding="same", rng=1), nn.BatchNorm(8)), activation="relu"),
        nn.GlobalAvgPool2d(),
        nn.Dense(8, 3, rng=2),
    )
    data = nn.data.Batches(np.tile(images, (8, 1, 1, 1)).astype(F32), np.arange(16) % 2, batch_size=8)
    result = nn.fit(
        model, nn.Supervised(nn.losses.cross_entropy), nn.Adam(0.01), data, epochs=15, rng=0, progress=False
    )
    assert result.history.losses[-1] < 0.5 * result.history.losses[0]
    nn.save_weights(tmp_path / "w.safetensors", result.model)
    assert nn.load_weights(tmp_path / "w.safetensors", model) == result.model
