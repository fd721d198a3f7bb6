"""Layers: values against plain NumPy and PyTorch, derivatives, training against use, bad input."""

import numpy as np
import pytest

import nn
from autodiff import check_grads, grad, value_and_grad
from autodiff.core.tracer import Tracer

F32, F64 = np.float32, np.float64


def images(shape, seed=0, dtype=F64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def slow_conv(x, w, b, stride, padding):
    """Convolution by its definition, NCHW."""
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    n, _, height, width = x.shape
    out, _, kh, kw = w.shape
    rows, columns = (height - kh) // stride + 1, (width - kw) // stride + 1
    y = np.empty((n, out, rows, columns))
    for i in range(rows):
        for j in range(columns):
            window = x[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw]
            y[:, :, i, j] = np.einsum("nchw,ochw->no", window, w)
    return y + b[:, None, None]


# -- dense ---------------------------------------------------------------------------------------------------


def test_dense(rng):
    layer = nn.Dense(3, 2, dtype=F64, rng=0, bias_init="ones")
    x = rng.normal(size=(5, 3))
    np.testing.assert_array_equal(layer(x), x @ layer.weight + layer.bias)
    np.testing.assert_array_equal(layer.bias, [1.0, 1.0])
    assert layer(x.reshape(5, 1, 3)).shape == (5, 1, 2)
    assert layer(x[0]).shape == (2,)
    assert layer(x[:0]).shape == (0, 2)
    assert nn.count_parameters(layer) == 8


def test_dense_defaults():
    layer = nn.Dense(40, 60, rng=np.random.default_rng(3))
    assert layer.weight.dtype == layer.bias.dtype == F32
    np.testing.assert_array_equal(layer.weight, nn.init.glorot_uniform(np.random.default_rng(3), (40, 60), F32))
    assert not layer.bias.any()
    assert nn.Dense(2, 2, bias=False, rng=0).bias is None
    assert layer(np.ones((1, 40), F32)).dtype == F32


def test_dense_activation_and_initialisers():
    layer = nn.Dense(
        2, 2, activation=np.tanh, weight_init=lambda rng, shape, dtype: np.eye(2, dtype=dtype), rng=0, bias=False
    )
    np.testing.assert_array_equal(layer(np.array([[1.0, 2.0]], F32)), np.tanh(np.array([[1.0, 2.0]], F32)))
    assert nn.Dense(2, 2, activation="relu", rng=0)(np.full((1, 2), -5, F32)).min() >= 0


def test_dense_derivatives(rng):
    layer, x = nn.Dense(3, 2, dtype=F64, activation="tanh", rng=0), rng.normal(size=(4, 3))
    check_grads(lambda layer, x: np.sum(layer(x) ** 2), (layer, x), order=2)
    g = grad(lambda layer: np.sum(layer(x)))(layer)
    y = np.tanh(x @ layer.weight)
    np.testing.assert_allclose(g.weight, x.T @ (1 - y**2), rtol=1e-12)
    np.testing.assert_allclose(g.bias, np.sum(1 - y**2, axis=0), rtol=1e-12)
    assert g.activation == "tanh"


def test_dense_refuses():
    layer = nn.Dense(4, 2, rng=0)
    with pytest.raises(
        ValueError,
        match=r"Dense\(4 -> 2\): expected 4 features, but the input float32\[5,3\] has 3 features on axis -1\.$",
    ):
        layer(np.ones((5, 3), F32))
    with pytest.raises(ValueError, match="put a Flatten in front"):
        layer(np.ones((5, 2, 2), F32))
    with pytest.raises(ValueError, match=r"expected 4 features, but the input float32\[\] has no axis -1"):
        layer(np.array(1, F32))
    with pytest.raises(
        TypeError, match=r"Dense\(4 -> 2\): the input is uint8\[5,4\], .* x\.astype\(np\.float32\) / 255"
    ):
        layer(np.ones((5, 4), np.uint8))
    with pytest.raises(
        TypeError, match=r"the input is float64\[5,4\], but the parameters are float32; convert the input"
    ):
        layer(np.ones((5, 4)))
    with pytest.raises(TypeError, match="layer takes real floating-point numbers"):
        layer(np.ones((5, 4), complex))
    for bad in (0, -3, True):
        with pytest.raises(ValueError, match="Dense: inputs must be a positive integer"):
            nn.Dense(bad, 2, rng=0)
    with pytest.raises(TypeError, match=r"Dense: outputs must be a positive integer, not 2.0"):
        nn.Dense(3, 2.0, rng=0)
    with pytest.raises(TypeError, match=r"Dense: initial values need rng=, .* or a seed; none was given"):
        nn.Dense(3, 2)
    with pytest.raises(TypeError, match=r"Dense: initial values need rng=.*RandomState was given"):
        nn.Dense(3, 2, rng=np.random.RandomState(0))
    with pytest.raises(TypeError, match=r"Dense: parameters have a floating dtype such as np.float32, not int64"):
        nn.Dense(3, 2, rng=0, dtype=np.int64)
    with pytest.raises(ValueError, match="Dense: no activation is called 'rleu'; there are elu, gelu"):
        nn.Dense(3, 2, rng=0, activation="rleu")
    with pytest.raises(TypeError, match="Dense: an activation is a name or a function of one array, not 3"):
        nn.Dense(3, 2, rng=0, activation=3)
    with pytest.raises(ValueError, match="no initialiser is called 'xavier'") as caught:
        nn.Dense(3, 2, rng=0, weight_init="xavier")
    assert caught.value.__notes__ == ["for Dense: weight, float32[3, 2]"]
    with pytest.raises(
        TypeError, match=r"Dense: weight: the initialiser must return an array float32\[3, 2\], not float"
    ):
        nn.Dense(3, 2, rng=0, weight_init=lambda rng, shape, dtype: np.zeros(shape))
    with pytest.raises(TypeError, match=r"Dense: bias: the initialiser must return an array float32\[2\], not int"):
        nn.Dense(3, 2, rng=0, bias_init=lambda rng, shape, dtype: 0)


# -- convolution and pooling ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (1, 2)])
def test_conv2d(stride, padding):
    layer = nn.Conv2d(3, 4, (3, 2), stride=stride, padding=padding, dtype=F64, rng=0, bias_init=nn.init.normal(1.0))
    x = images((2, 3, 6, 7))
    np.testing.assert_allclose(
        layer(x), slow_conv(x, layer.weight, layer.bias, stride, padding), rtol=1e-12, atol=1e-12
    )
    assert layer.weight.shape == (4, 3, 3, 2)


def test_conv2d_layout_groups_and_activation():
    x = images((2, 4, 6, 5), dtype=F32)
    first = nn.Conv2d(4, 6, 3, groups=2, padding="same", activation="relu", rng=0)
    last = nn.Conv2d(4, 6, 3, groups=2, padding="same", activation="relu", rng=0, layout="NHWC")
    assert first.weight.shape == (6, 2, 3, 3)
    y = first(x)
    assert y.shape == (2, 6, 6, 5)
    assert y.dtype == F32
    assert y.min() == 0
    np.testing.assert_allclose(last(x.transpose(0, 2, 3, 1)), y.transpose(0, 2, 3, 1), rtol=1e-5, atol=1e-6)
    assert nn.Conv2d(1, 2, 3, bias=False, rng=0).bias is None


def test_conv2d_derivatives():
    layer, x = nn.Conv2d(2, 3, 2, stride=2, padding=1, dtype=F64, activation="tanh", rng=0), images((2, 2, 4, 3))
    check_grads(lambda layer, x: np.sum(layer(x) ** 2), (layer, x), order=2)


def test_conv2d_refuses():
    layer = nn.Conv2d(4, 6, 3, groups=2, rng=0)
    with pytest.raises(
        ValueError,
        match=r"Conv2d\(4 -> 6, 3x3\): expected 4 channels, but the input float32\[1,3,8,8\] has 3 channels on axis 1",
    ):
        layer(np.ones((1, 3, 8, 8), F32))
    with pytest.raises(ValueError, match=r"has 8 channels on axis 1; if they lie on axis 3, say layout='NHWC'\."):
        layer(np.ones((1, 8, 8, 4), F32))
    with pytest.raises(ValueError, match=r"has 8 channels on axis -1; if they lie on axis 1, say layout='NCHW'\."):
        nn.Conv2d(4, 6, 3, layout="NHWC", rng=0)(np.ones((1, 4, 8, 8), F32))
    with pytest.raises(
        ValueError, match=r"Conv2d\(4 -> 6, 3x3\): the input must have four axes, NCHW, but it is float32"
    ):
        layer(np.ones((4, 8, 8), F32))
    with pytest.raises(TypeError, match=r"the input is uint8\[1,4,8,8\], but a layer takes floating-point numbers"):
        layer(np.ones((1, 4, 8, 8), np.uint8))
    with pytest.raises(TypeError, match="but the parameters are float32"):
        layer(np.ones((1, 4, 8, 8)))
    with pytest.raises(ValueError, match="Conv2d: inputs 4 and outputs 6 must be multiples of groups 4"):
        nn.Conv2d(4, 6, 3, groups=4, rng=0)
    with pytest.raises(ValueError, match=r"Conv2d: kernel_size must be a number or a pair, not \(3, 3, 3\)"):
        nn.Conv2d(4, 6, (3, 3, 3), rng=0)
    with pytest.raises(ValueError, match="Conv2d: kernel_size must be a positive integer, not 0"):
        nn.Conv2d(4, 6, 0, rng=0)
    with pytest.raises(ValueError, match="Conv2d: layout must be 'NCHW' or 'NHWC', not 'CHWN'"):
        nn.Conv2d(4, 6, 3, layout="CHWN", rng=0)


def test_pooling():
    x = images((2, 3, 4, 6))
    blocks = x.reshape(2, 3, 2, 2, 3, 2)
    np.testing.assert_array_equal(nn.MaxPool2d(2)(x), blocks.max(axis=(3, 5)))
    np.testing.assert_allclose(nn.AvgPool2d(2)(x), blocks.mean(axis=(3, 5)), rtol=1e-14)
    last = x.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(nn.MaxPool2d(2, layout="NHWC")(last).transpose(0, 3, 1, 2), nn.MaxPool2d(2)(x))
    assert nn.MaxPool2d((3, 2), stride=1, padding=1)(x).shape == (2, 3, 4, 7)
    corner = nn.AvgPool2d(2, padding=1)(x)[..., 0, 0], nn.AvgPool2d(2, padding=1, count_include_pad=True)(x)[..., 0, 0]
    np.testing.assert_allclose(corner, [x[..., 0, 0], x[..., 0, 0] / 4], rtol=1e-14)
    assert repr(nn.MaxPool2d(3, stride=2)) == "MaxPool2d(window=3, stride=2)  # 0 parameters"
    with pytest.raises(TypeError, match=r"MaxPool2d: the input is int64\[1,1,2,2\]"):
        nn.MaxPool2d(2)(np.ones((1, 1, 2, 2), int))
    with pytest.raises(ValueError, match="AvgPool2d: layout must be"):
        nn.AvgPool2d(2, layout="HW")


# -- shapes and activations ----------------------------------------------------------------------------------


def test_flatten():
    x = images((2, 3, 4, 5))
    np.testing.assert_array_equal(nn.Flatten()(x), x.reshape(2, 60))
    assert nn.Flatten()(x[:0]).shape == (0, 60)
    assert nn.Flatten()(np.ones(3)).shape == (3, 1)
    with pytest.raises(ValueError, match="Flatten: the input must have a batch axis, but it is a scalar"):
        nn.Flatten()(np.float64(1))


def test_activations(rng):
    x = rng.normal(size=(3, 4))
    expected = {
        "relu": np.maximum(x, 0),
        "tanh": np.tanh(x),
        "sigmoid": 1 / (1 + np.exp(-x)),
        "softplus": np.log1p(np.exp(x)),
        "softmax": np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
        "linear": x,
        "silu": x / (1 + np.exp(-x)),
        "swish": x / (1 + np.exp(-x)),
    }
    for name, y in expected.items():
        np.testing.assert_allclose(nn.Activation(name)(x), y, rtol=1e-12)
    assert nn.Activation(np.cos)(0.0) == 1.0
    assert nn.Activation("relu") == nn.Activation("relu") != nn.Activation("tanh")
    with pytest.raises(ValueError, match="Activation: no activation is called 'step'"):
        nn.Activation("step")
    with pytest.raises(TypeError, match="Activation: an activation is a name or a function"):
        nn.Activation(nn.Flatten)


# -- dropout -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [F32, F64])
def test_dropout(dtype):
    x = np.ones((200, 500), dtype)
    layer = nn.Dropout(0.2)
    assert layer(x) is x
    assert nn.apply(layer, x, rng=0)[0] is x
    y, same = nn.apply(layer, x, train=True, rng=0)
    assert same is layer
    assert y.dtype == dtype
    np.testing.assert_array_equal(np.unique(y), np.array([0, 1.25], dtype))
    assert abs(np.mean(y == 0) - 0.2) < 4 * np.sqrt(0.2 * 0.8 / y.size)
    again, _ = nn.apply(layer, x, train=True, rng=0)
    np.testing.assert_array_equal(again, y)
    assert nn.apply(nn.Dropout(0.0), x, train=True)[0] is x


def test_dropout_derivative():
    x = np.arange(1.0, 9.0)

    def f(x):
        y, _ = nn.apply(nn.Dropout(0.5), x, train=True, rng=1)
        return np.sum(y**2)

    mask = nn.apply(nn.Dropout(0.5), np.ones(8), train=True, rng=1)[0]
    assert 0 < np.count_nonzero(mask) < 8
    np.testing.assert_array_equal(grad(f)(x), 2 * mask**2 * x)


def test_dropout_refuses():
    for rate in (1, 1.5, -0.1, np.nan):
        with pytest.raises(
            ValueError, match="Dropout: rate is the probability to drop, at least 0 and less than 1, not"
        ):
            nn.Dropout(rate)
    with pytest.raises(TypeError, match=r"Dropout\(0.5\): training needs a random generator; pass it along") as caught:
        nn.apply(nn.Sequential(nn.relu, nn.Dropout(0.5)), np.ones(2), train=True)
    assert caught.value.__notes__ == ["in layers.1 of a Sequential"]
    with pytest.raises(TypeError, match=r"Dropout\(0.5\): the input is int64\[2\]"):
        nn.apply(nn.Dropout(0.5), np.ones(2, int), train=True, rng=0)


# -- batch normalisation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 5)])
def test_batch_norm(shape):
    x = 3 + 2 * images(shape)
    axes = (0, *range(2, len(shape)))
    n = x.size // 3
    layer = nn.BatchNorm(3, momentum=0.7, eps=1e-3, dtype=F64)
    layer = nn.replace(layer, gamma=np.array([1.0, 2.0, -1.0]), beta=np.array([0.5, 0.0, 1.0]))

    def along(v):
        return np.asarray(v).reshape(1, 3, *[1] * (len(shape) - 2))

    mean, var = x.mean(axis=axes), x.var(axis=axes)
    y, new = nn.apply(layer, x, train=True)
    normal = (x - along(mean)) / np.sqrt(along(var) + 1e-3)
    np.testing.assert_allclose(y, normal * along(layer.gamma) + along(layer.beta), rtol=1e-12)
    np.testing.assert_allclose(new.mean, 0.3 * mean, rtol=1e-13)
    np.testing.assert_allclose(new.var, 0.7 + 0.3 * var * n / (n - 1), rtol=1e-13)
    used = (x - along(new.mean)) / np.sqrt(along(new.var) + 1e-3)
    np.testing.assert_allclose(new(x), used * along(layer.gamma) + along(layer.beta), rtol=1e-12)
    assert new(x).dtype == F64


def test_batch_norm_last_axis_and_plain():
    x = images((4, 3, 2, 5), dtype=F32)
    first, last = nn.BatchNorm(3), nn.BatchNorm(3, layout="NHWC")
    y, a = nn.apply(first, x, train=True)
    z, b = nn.apply(last, x.transpose(0, 2, 3, 1), train=True)
    np.testing.assert_allclose(z.transpose(0, 3, 1, 2), y, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(b.var, a.var, rtol=1e-6)
    assert y.dtype == a.mean.dtype == a.var.dtype == F32
    plain = nn.BatchNorm(3, affine=False)
    np.testing.assert_allclose(nn.apply(plain, x, train=True)[0], y, rtol=1e-5, atol=1e-6)
    assert nn.count_parameters(plain) == 0


def test_batch_norm_derivatives():
    layer, x = nn.BatchNorm(2, dtype=F64), images((3, 2, 2, 2))
    w = images((3, 2, 2, 2), seed=1)

    def f(layer, x):
        return np.sum(w * nn.apply(layer, x, train=True)[0])

    g = grad(f)(layer, x)
    np.testing.assert_array_equal(g.mean, [0, 0])
    np.testing.assert_array_equal(g.var, [0, 0])
    np.testing.assert_allclose(g.beta, w.sum(axis=(0, 2, 3)), rtol=1e-12)
    normal = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / np.sqrt(x.var(axis=(0, 2, 3), keepdims=True) + 1e-5)
    np.testing.assert_allclose(g.gamma, (w * normal).sum(axis=(0, 2, 3)), rtol=1e-10)
    check_grads(lambda gamma, beta, x: f(nn.replace(layer, gamma=gamma, beta=beta), x), (layer.gamma, layer.beta, x))
    check_grads(lambda x: np.sum(w * layer(x)), (x,))


def test_batch_norm_state_leaves_a_gradient_as_arrays():
    model = nn.Sequential(nn.Dense(3, 4, rng=0), nn.BatchNorm(4), nn.relu, nn.Dense(4, 1, rng=1))
    x = images((8, 3), dtype=F32)

    def loss(model, batch, *, train, rng):
        y, new = nn.apply(model, batch, train=train, rng=rng)
        return np.mean(y**2), new

    (value, new), g = value_and_grad(loss, has_aux=True)(model, x, train=True, rng=None)
    assert value.dtype == F32
    for name, array in nn.states(new).items():
        assert not isinstance(array, Tracer)
        assert array.dtype == F32
        assert not np.array_equal(array, nn.states(model)[name])
    assert all(not value.any() for value in nn.states(g).values())
    assert {name: value.dtype for name, value in nn.parameters(g).items()} == dict.fromkeys(nn.parameters(model), F32)


def test_batch_norm_refuses():
    layer = nn.BatchNorm(3)
    with pytest.raises(ValueError, match=r"BatchNorm\(3\): expected 3 features, but the input float32\[5,2\] has 2"):
        layer(np.ones((5, 2), F32))
    with pytest.raises(ValueError, match=r"BatchNorm\(3\): expected 3 channels, .* has 2 channels on axis 1"):
        layer(np.ones((5, 2, 3, 3), F32))
    with pytest.raises(ValueError, match=r"BatchNorm\(3\): the input must have 2 or 4 \(NCHW\) axes"):
        layer(np.ones((5, 3, 2), F32))
    with pytest.raises(TypeError, match="but the parameters are float32"):
        layer(np.ones((5, 3)))
    with pytest.raises(ValueError, match=r"BatchNorm\(3\): training needs two numbers or more for each feature"):
        nn.apply(layer, np.ones((1, 3), F32), train=True)
    with pytest.raises(ValueError, match=r"BatchNorm: momentum must lie between 0 and 1, not 1.5"):
        nn.BatchNorm(3, momentum=1.5)
    with pytest.raises(ValueError, match="BatchNorm: eps must not be negative, but is -1"):
        nn.BatchNorm(3, eps=-1)


# -- sequential ----------------------------------------------------------------------------------------------


def test_sequential():
    rng = np.random.default_rng(0)
    layers = [nn.Dense(3, 4, dtype=F64, rng=rng), nn.relu, nn.Dense(4, 2, dtype=F64, rng=rng)]
    model = nn.Sequential(*layers)
    x = images((5, 3))
    np.testing.assert_array_equal(model(x), layers[2](np.maximum(layers[0](x), 0)))
    assert nn.Sequential(layers) == model
    assert len(model) == 3
    assert list(model) == [layers[0], nn.Activation(nn.relu), layers[2]]
    assert model[-1] is layers[2]
    assert model[:2] == nn.Sequential(layers[0], nn.relu)
    assert nn.Sequential()(x) is x
    assert list(nn.parameters(model)) == ["layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"]


def test_sequential_carries_state_and_randomness():
    model = nn.Sequential(nn.Sequential(nn.BatchNorm(2, dtype=F64), nn.Dropout(0.5)), nn.Dropout(0.5))
    x = images((6, 2))
    y, new = nn.apply(model, x, train=True, rng=0)
    rng = np.random.default_rng(0)
    z, norm = nn.apply(model[0][0], x, train=True)
    z, _ = nn.apply(model[0][1], z, train=True, rng=rng)
    z, _ = nn.apply(model[1], z, train=True, rng=rng)
    np.testing.assert_array_equal(y, z)
    assert new[0][0] == norm


def test_sequential_names_the_layer_that_fails():
    model = nn.Sequential(nn.relu, nn.Sequential(nn.Dense(3, 2, rng=0), nn.Dense(3, 2, rng=0)))
    with pytest.raises(
        ValueError, match=r"Dense\(3 -> 2\): expected 3 features, but the input float32\[1,2\]"
    ) as caught:
        model(np.ones((1, 3), F32))
    assert caught.value.__notes__ == ["in layers.1 of a Sequential", "in layers.1 of a Sequential"]
    with pytest.raises(TypeError, match="Sequential: layer 1 must be a layer or a function, not int"):
        nn.Sequential(nn.relu, 3)
    with pytest.raises(TypeError, match="Sequential: layer 0 is the class Flatten; give an instance"):
        nn.Sequential(nn.Flatten)


def test_the_lectures_network_has_its_parameters():
    model = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding="same", activation="relu", rng=0),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding="same", activation="relu", rng=0),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dense(7 * 7 * 64, 1024, activation="relu", rng=0),
        nn.Dense(1024, 10, rng=0),
    )
    assert nn.count_parameters(model) == 3_274_634
    assert nn.summary(model, (100, 1, 28, 28)).splitlines()[-1].endswith(" 3,274,634")


# -- PyTorch -------------------------------------------------------------------------------------------------


def test_a_network_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, dtype=F64, rng=0),
        nn.BatchNorm(4, dtype=F64),
        nn.relu,
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dense(16, 3, dtype=F64, rng=1),
    )
    peer = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 3),
    ).double()
    mine = nn.parameters(model)
    theirs = dict(zip(mine, peer.parameters(), strict=True))
    with torch.no_grad():
        for name, value in mine.items():
            dense = name == "layers.5.weight"
            theirs[name].copy_(torch.tensor(value.T.copy() if dense else value))
    x = images((5, 2, 8, 8))

    def loss(model, x):
        y, new = nn.apply(model, x, train=True)
        return np.sum(y**3), new

    (value, new), g = value_and_grad(loss, has_aux=True)(model, x)
    out = (peer(torch.tensor(x)) ** 3).sum()
    out.backward()
    assert value == pytest.approx(out.item(), rel=1e-10)
    for name, value in nn.parameters(g).items():
        want = theirs[name].grad.numpy()
        np.testing.assert_allclose(value, want.T if name == "layers.5.weight" else want, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(new[1].mean, peer[1].running_mean.numpy(), rtol=1e-10)
    np.testing.assert_allclose(new[1].var, peer[1].running_var.numpy(), rtol=1e-10)
    peer.eval()
    np.testing.assert_allclose(new(x), peer(torch.tensor(x)).detach().numpy(), rtol=1e-9, atol=1e-10)
