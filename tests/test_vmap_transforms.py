"""`vmap` with every other transform inside and around it, the work that it does not repeat, and networks."""

import functools
import importlib

import numpy as np
import pytest

import nn
from autodiff import (
    Spec,
    checkpoint,
    custom_jvp,
    custom_vjp,
    eval_shape,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linear_transpose,
    linearize,
    ops,
    stop_gradient,
    trace,
    tree,
    vjp,
    vmap,
)
from autodiff.core.errors import BatchingError, DifferentiationError
from tests.vmap_checks import W, X, close, f, loop

# -- other transforms ----------------------------------------------------------------------------------------


def test_derivatives_inside_and_around():
    want = loop(grad(f), X)
    close(vmap(grad(f))(X), want)
    close(grad(lambda x: np.sum(vmap(f)(x)))(X), want)
    close(vmap(jacrev(f))(X), want)
    close(vmap(jacfwd(f))(X), want)
    close(vmap(lambda x: vjp(f, x)[1](1.0)[0])(X), want)
    close(vmap(lambda x, t: jvp(f, (x,), (t,))[1])(X, X), np.sum(want * X, axis=1))
    close(jvp(vmap(f), (X,), (X,))[1], np.sum(want * X, axis=1))
    close(vmap(lambda x: linearize(f, x)[1](x))(X), np.sum(want * X, axis=1))
    close(linearize(vmap(f), X)[1](X), np.sum(want * X, axis=1))
    close(jacrev(vmap(f))(X)[1, 1], want[1])
    close(jacfwd(vmap(f))(X)[2, 2], want[2])
    curve = loop(hessian(f), X)
    close(vmap(hessian(f))(X), curve)
    close(vmap(jacfwd(jacfwd(f)))(X), curve)
    close(vmap(jacrev(jacrev(f)))(X), curve)
    close(vmap(lambda x: hvp(f, (x,), (x,)))(X), np.einsum("bij,bj->bi", curve, X))
    close(hvp(lambda x: np.sum(vmap(f)(x)), (X,), (X,)), np.einsum("bij,bj->bi", curve, X))
    close(vmap(grad(lambda x: np.sum(grad(f)(x) ** 2)))(X), loop(grad(lambda x: np.sum(grad(f)(x) ** 2)), X))


def test_maps_of_maps_with_derivatives_between():
    pair = lambda a, b: np.tanh(a @ W) @ np.sin(b @ W)
    table = vmap(vmap(pair, (None, 0)), (0, None))(X, X)
    close(table, np.tanh(X @ W) @ np.sin(X @ W).T)
    both = vmap(vmap(grad(pair), (None, 0)), (0, None))(X, X)
    close(both, [[grad(pair)(a, b) for b in X] for a in X])
    between = vmap(grad(lambda a: np.sum(vmap(pair, (None, 0))(a, X))))(X)
    close(between, both.sum(1))
    close(vmap(lambda x: vmap(lambda s: s * np.sum(x))(x))(X), X * X.sum(1, keepdims=True))
    close(vmap(lambda x: grad(lambda s: s * np.sum(vmap(lambda u: u * s)(x)))(x[0]))(X), 2 * X[:, 0] * X.sum(1))


def test_perturbations_are_not_confused():
    # d/dx of x * (d/dy of x + y at 1) is 1, also for many x, and with the inner derivative mapped.
    close(vmap(grad(lambda x: x * grad(lambda y: x + y)(1.0)))(X[0]), np.ones(4))
    inner = lambda x: np.sum(vmap(grad(lambda y: x * y))(X[0]))
    close(grad(inner)(2.0), 4.0)


def test_structural_zeros_survive():
    safe = lambda x: np.where(x > 0, np.sqrt(x), 0.0)
    at = np.array([0.0, 4.0, -1.0])
    want = [0.0, 0.25, 0.0]
    with np.errstate(invalid="ignore"):  # sqrt(-1), in the value itself
        close(vmap(grad(safe))(at), want)
        close(grad(lambda x: np.sum(vmap(safe)(x)))(at), want)
        close(vmap(lambda x: jvp(safe, (x,), (1.0,))[1])(at), want)
        close(jvp(vmap(safe), (at,), (np.ones(3),))[1], want)
        close(vmap(jacrev(safe))(at), want)
    picked = lambda x: np.sum(np.sqrt(x[1:]))
    close(vmap(grad(picked))(np.array([[0.0, 1.0], [0.0, 4.0]])), [[0.0, 0.5], [0.0, 0.25]])
    close(vmap(grad(np.max))(np.array([[1.0, 1.0], [2.0, 1.0]])), [[0.5, 0.5], [1.0, 0.0]])
    norms = vmap(grad(np.linalg.norm))(np.array([[0.0, 0.0], [3.0, 4.0]]))
    close(norms, [[0.0, 0.0], [0.6, 0.8]])


def test_checkpoint():
    g = lambda x: np.sum(checkpoint(lambda v: np.sin(v @ W) ** 2)(x))
    plain = lambda x: np.sum(np.sin(x @ W) ** 2)
    close(vmap(grad(g))(X), loop(grad(plain), X))
    close(grad(lambda x: np.sum(vmap(g)(x)))(X), loop(grad(plain), X))
    close(vmap(hessian(g))(X), loop(hessian(plain), X))
    close(grad(lambda x: np.sum(checkpoint(vmap(plain))(x)))(X), loop(grad(plain), X))
    close(jacfwd(vmap(g))(X)[0, 0], grad(plain)(X[0]))


@custom_jvp
def scaled(x, w):
    return {"y": np.sin(x) * w}


@scaled.defjvp
def _(primals, tangents):
    (x, w), (tx, tw) = primals, tangents
    return scaled(x, w), {"y": 10 * np.cos(x) * w * tx + np.sin(x) * tw}


@functools.partial(custom_vjp, nondiff_argnums=(0,))
def doubled(name, x, w):
    return np.sum(x * w), x


doubled.defvjp(
    lambda name, x, w: (doubled(name, x, w), {"x": x, "w": w, "name": name}),
    lambda name, kept, ct: (7 * ct[0] * kept["w"] + ct[1], ct[0] * kept["x"] if kept["name"] == name else None),
)


def test_custom_rules():
    w = np.array([1.0, -2.0, 0.5, 3.0])
    for g in (
        lambda x: np.sum(scaled(x, w)["y"] ** 2),
        lambda x: doubled("a", x, w)[0] ** 2 + np.sum(doubled("a", x, w)[1]),
    ):
        want = loop(grad(g), X)
        close(vmap(g)(X), loop(g, X))
        close(vmap(grad(g))(X), want)
        close(grad(lambda x, g=g: np.sum(vmap(g)(x)))(X), want)
        close(jvp(vmap(g), (X,), (X,))[1], np.sum(want * X, axis=1))
        close(vmap(lambda x, g=g: jvp(g, (x,), (x,))[1])(X), np.sum(want * X, axis=1))
        close(jacrev(vmap(g))(X)[1, 1], want[1])
        close(vmap(hessian(g))(X), loop(hessian(g), X))
        close(hvp(lambda x, g=g: np.sum(vmap(g)(x)), (X,), (X,)), loop(lambda x, g=g: hvp(g, (x,), (x,)), X))
    shared = lambda w: np.sum(vmap(lambda x: doubled("a", x, w)[0] ** 2)(X))
    close(grad(shared)(w), sum(grad(lambda w, x=x: doubled("a", x, w)[0] ** 2)(w) for x in X))
    shared = lambda w: np.sum(vmap(lambda x: scaled(x, w)["y"])(X))
    close(grad(shared)(w), np.sin(X).sum(0))


def test_custom_rules_speak_of_arguments_alone():
    def g(x):
        inner = custom_vjp(lambda y: y * x[0])
        inner.defvjp(lambda y: (y * x[0], None), lambda kept, ct: (ct,))
        return np.sum(inner(x))

    with pytest.raises(DifferentiationError, match="Make it an argument"):
        grad(lambda x: np.sum(vmap(g)(x)))(X)


def test_assignment():
    def filled(x):
        y = np.zeros_like(x)
        y[0] = x[1] ** 2
        y[1:] += x[0] * x[:-1]
        return np.sum(y * W[:, 0])

    want = loop(grad(filled), X)
    close(vmap(filled)(X), loop(filled, X))
    close(vmap(grad(filled))(X), want)
    close(grad(lambda x: np.sum(vmap(filled)(x)))(X), want)
    close(vmap(lambda x: jvp(filled, (x,), (x,))[1])(X), np.sum(want * X, axis=1))

    def masked(x, i):
        y = x * 1.0
        y[i] = 0.0
        return y

    close(vmap(masked)(X, np.array([0, 2, 3])), np.where(np.arange(4) == np.array([[0], [2], [3]]), 0.0, X))


def test_stop_gradient():
    close(vmap(grad(lambda x: np.sum(x * stop_gradient(x))))(X), X)
    close(grad(lambda x: np.sum(vmap(lambda v: v * stop_gradient(v))(x)))(X), X)


def test_shapes_alone():
    assert eval_shape(vmap(lambda x, w: np.tanh(x @ w), (0, None)), Spec((10**6, 4)), Spec((4, 10**3))) == Spec(
        (10**6, 10**3)
    )
    assert eval_shape(vmap(grad(f)), Spec((10**7, 4), np.float32)) == Spec((10**7, 4), np.float32)
    assert eval_shape(grad(lambda x: np.sum(vmap(f)(x))), Spec((10**7, 4))) == Spec((10**7, 4))
    close(vmap(lambda x: x * eval_shape(f, x).ndim)(X), 0 * X)


def test_a_trace_shows_the_operations_on_all_examples():
    found = trace(vmap(lambda x: np.tanh(x @ W)))(X)
    assert [(s.op.name, s.shape) for s in found.steps] == [("matmul", (3, 2)), ("tanh", (3, 2))]


def test_transposition():
    (back,) = linear_transpose(vmap(lambda x: x @ W), X)(np.ones((3, 2)))
    close(back, np.tile(W.sum(1), (3, 1)))


# -- no work that is not needed ------------------------------------------------------------------------------


def shapes_of(g, *args):
    return [(s.op.name, s.shape) for s in trace(g)(*args).steps]


def test_what_is_shared_stays_shared():
    cube = np.ones((3, 5, 4))
    once = lambda x: np.sum(np.exp(W)) * x  # the sum is not computed for each example
    assert shapes_of(lambda x, w: vmap(lambda v: np.sum(np.exp(w)) * v)(x), X, W) == [
        ("exp", (4, 2)), ("sum", ()), ("multiply", (3, 4)),
    ]  # fmt: skip
    close(vmap(once)(X), np.sum(np.exp(W)) * X)
    steps = shapes_of(vmap(lambda x, w: x @ w, (0, None)), cube, W)
    assert ("matmul", (15, 2)) in steps  # one product of 15 rows
    steps = shapes_of(vmap(lambda w, x: w.T @ x, (None, 0)), W, np.ones((3, 4, 5)))
    assert ("matmul", (2, 15)) in steps
    steps = shapes_of(vmap(lambda w, x: w.T @ x, (None, 0)), W, X)
    assert ("matmul", (3, 2)) in steps


def test_images_of_all_examples_are_images_of_one():
    x, w = np.ones((3, 2, 1, 6, 6)), np.ones((4, 1, 3, 3))
    steps = shapes_of(vmap(lambda x, w: ops.max_pool2d(ops.conv2d(x, w), 2), (0, None)), x, w)
    assert ("conv2d", (6, 4, 4, 4)) in steps
    assert ("max_pool2d", (6, 4, 2, 2)) in steps


def test_jacobians_in_parts_are_the_same(monkeypatch):
    module, sizes = importlib.import_module("autodiff.transforms.jacobian"), []
    swept = module._batch_swept
    g = lambda x: {"a": np.sin(x @ W), "b": np.sum(x)}
    whole = jacfwd(g)(X), jacrev(g)(X)
    monkeypatch.setattr(module, "MEMORY", 100)
    monkeypatch.setattr(module, "_batch_swept", lambda sweep, units: sizes.append(len(units)) or swept(sweep, units))
    for got, want in zip((jacfwd(g)(X), jacrev(g)(X)), whole, strict=True):
        close(got["a"], want["a"])
        close(got["b"], want["b"])
    assert sizes == [4, 4, 4, 4, 2]  # 12 columns, then the 6 rows of "a"; that of "b" is one sweep


# -- networks ------------------------------------------------------------------------------------------------


def _loss(model, x, y):
    return ops.softmax_cross_entropy(model(x[None]), y[None])


def _networks():
    rng = np.random.default_rng(0)
    dense = nn.Sequential(nn.Dense(6, 5, activation="tanh", rng=rng), nn.Dense(5, 3, rng=rng))
    image = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding="same", rng=rng), nn.relu, nn.MaxPool2d(2), nn.Flatten(), nn.Dense(18, 3, rng=rng)
    )
    return [(dense, rng.normal(size=(4, 6))), (image, rng.normal(size=(4, 1, 6, 6)))]


@pytest.mark.parametrize("which", [0, 1], ids=["dense", "convolution"])
def test_gradients_of_a_network_for_each_example(which):
    model, x = _networks()[which]
    x, y = x.astype(np.float32), np.array([0, 2, 1, 1])
    got = tree.leaves(vmap(grad(_loss), (None, 0, 0))(model, x, y))
    for k in range(4):
        want = tree.leaves(grad(_loss)(model, x[k], y[k]))
        for g, w in zip(got, want, strict=True):
            assert g.dtype == np.float32
            np.testing.assert_allclose(g[k], w, rtol=2e-5, atol=2e-6)
    total = tree.leaves(grad(lambda m: np.sum(vmap(_loss, (None, 0, 0))(m, x, y)))(model))
    for g, t in zip(got, total, strict=True):
        np.testing.assert_allclose(g.sum(0), t, rtol=2e-4, atol=2e-5)


def test_models_of_an_ensemble():
    models = [nn.Dense(3, 2, rng=k) for k in range(4)]
    stacked = tree.map(lambda *w: np.stack(w), models[0], *models[1:])
    x = np.linspace(0.0, 1.0, 15, dtype=np.float32).reshape(5, 3)
    close(vmap(lambda m, x: m(x), (0, None))(stacked, x), np.stack([m(x) for m in models]), 1e-6)


def test_dropout_refuses_to_share_its_draws():
    layer = nn.Dropout(0.5)
    rng = np.random.default_rng(0)
    with pytest.raises(BatchingError, match=r"Dropout.*same for all examples"):
        vmap(lambda x: nn.apply(layer, x, train=True, rng=rng)[0])(X)
    with pytest.raises(BatchingError, match=r"Dropout.*same for all examples"):
        vmap(grad(lambda x: np.sum(nn.apply(layer, x, train=True, rng=rng)[0])))(X)
    close(vmap(layer)(X), X)
