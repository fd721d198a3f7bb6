"""`eval_shape` gives the shapes and dtypes of the result, without values and without memory."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

import autodiff.core
from autodiff import (
    Spec,
    custom_jvp,
    custom_vjp,
    eval_shape,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    tree,
    vjp,
)
from autodiff.core.errors import LeakedTracerError, ShapeOnlyError
from autodiff.core.spec import is_inexact, spec_of


def specs(value):
    return tree.map(spec_of, value)


def operations():
    return [pytest.param(op, id=name) for name, op in autodiff.core.REGISTRY.items() if op.samples is not None]


def scalar(y):
    """A real scalar that is not linear in `y`."""
    return np.sum(np.real(y * y)) if not isinstance(y, tuple) else sum(scalar(v) for v in y)


@pytest.mark.parametrize("op", operations())
def test_every_operation(op):
    for args, params in op.samples(np.random.default_rng(0)):
        f = functools.partial(op.call, **params)
        assert specs(eval_shape(f, *args)) == specs(f(*args))


@pytest.mark.parametrize("op", operations())
def test_derivatives_of_every_operation(op):
    for args, params in op.samples(np.random.default_rng(0)):
        for i in range(len(args)):
            refused = op.differentiable(i) and hasattr(op.jvps[0 if op.variadic else i], "refuses")
            if refused or not op.differentiable(i) or not is_inexact(args[i]):
                continue

            def value(*xs, params=params, args=args):  # counts and orders are no arrays of unknown values
                xs = [a if np.ndim(a) == 0 and not is_inexact(a) else x for a, x in zip(args, xs, strict=True)]
                return op.call(*xs, **params)

            def tangent(*xs, i=i, value=value):
                return jvp(lambda x: value(*xs[:i], x, *xs[i + 1 :]), (xs[i],), (xs[i],))

            gradient = grad(lambda *xs, value=value: scalar(value(*xs)), argnums=i)
            with np.errstate(all="ignore"):
                for f in (tangent, gradient):
                    assert specs(eval_shape(f, *args)) == specs(f(*args))


COMPOSITIONS = {
    "network": lambda w, x: np.tanh(x @ w[:, :3]) @ w[:3, :2],
    "softmax": lambda w, x: np.exp(w) / np.sum(np.exp(w), axis=-1, keepdims=True),
    "where": lambda w, x: np.where(w > 0, np.sqrt(np.abs(w)), 0.0),
    "maximum": lambda w, x: np.maximum(w, x[0, 0]) + np.minimum(w, 0),
    "index": lambda w, x: w[1:, None, ::2] * w[-1, 0],
    "advanced": lambda w, x: w[np.array([0, 1, 1]), 1:] + 1,
    "method": lambda w, x: (w.T.reshape(-1) * 2).sum(),
    "integers": lambda w, x: np.floor(w) // 2 + (w > 0),
    "scalars": lambda w, x: 2 * w**2 / 3 - np.float32(1),
    "einsum": lambda w, x: np.einsum("ij,kj->ik", w.T, x[:, :4] if x.shape[1] == 4 else x),
    "tree": lambda w, x: {"a": w * 2, "b": (x, None), "c": 3, "d": np.zeros(2, bool)},
    "constant": lambda w, x: np.zeros((2, 3)),
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex64"])
@pytest.mark.parametrize("name", COMPOSITIONS)
def test_compositions(name, dtype):
    if dtype == "complex64" and name == "integers":
        pytest.skip("NumPy has no floor of complex numbers")
    f = COMPOSITIONS[name]
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(4, 5)).astype(dtype), rng.normal(size=(2, 4)).astype(dtype)
    assert eval_shape(f, Spec(w.shape, dtype), Spec(x.shape, dtype)) == specs(f(w, x))
    total = lambda w, x: scalar(tree.leaves(f(w, x))[0])
    for g in (grad(total), lambda w, x: jvp(f, (w, x), (w, x)), grad(lambda w, x: scalar(grad(total)(w, x)))):
        with np.errstate(all="ignore"):
            assert eval_shape(g, Spec(w.shape, dtype), x) == specs(g(w, x))


@pytest.mark.parametrize(
    "f",
    [
        jacfwd(np.sin), jacrev(np.sin), hessian(lambda x: np.sum(np.sin(x) * x)),
        lambda x: hvp(lambda v: np.sum(v**3), (x,), (x,)), lambda x: vjp(np.sin, x)[1](x),
        lambda x: linearize(np.exp, x)[1](x),
    ],
)  # fmt: skip
def test_through_transforms(f):
    x = np.linspace(0.5, 1, 3)
    assert eval_shape(f, Spec((3,))) == specs(f(x))


def test_python_numbers_stay_weak():
    x = np.ones(3, np.float32)
    for f in (
        lambda x, a: x * a, lambda x, a: x * (a + 1) ** 2, lambda x, a: x + abs(-a), lambda x, a: np.where(x > 0, a, x),
        lambda x, a: x * np.sin(a), np.power, lambda x, a: (a > 1, a // 2, a / 2, a % 2),
    ):  # fmt: skip
        for a in (2, 2.0, True, np.float64(2), np.int8(2)):
            if isinstance(a, bool) or a.__class__ is np.int8:
                continue
            assert eval_shape(f, x, a) == specs(f(x, a)), a
    for a in (2, 2.0):
        f = lambda x, a: np.sum(x * a)
        assert eval_shape(grad(f, 1), x, a) == specs(grad(f, 1)(x, a))
        assert eval_shape(grad(f), x, a) == specs(grad(f)(x, a))


def test_trees_keywords_and_objects():
    def f(params, mode, axis=0, like=None):
        return {"out": np.sum(params["w"], axis=axis) + like, "mode": mode}

    result = eval_shape(f, {"w": Spec((2, 3), "f4"), "n": None}, "fast", axis=1, like=Spec((2,), "f4"))
    assert result == {"out": Spec((2,), "f4"), "mode": "fast"}
    assert eval_shape(lambda x: [x, (x, 1)], 2.0) == [Spec(()), (Spec(()), Spec((), int))]
    with pytest.raises(TypeError, match="first argument"):
        eval_shape(3, Spec(()))


HUGE = Spec((10**7, 10**6))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)),
        lambda x: np.sum(np.maximum(x, 0) ** 2),
        lambda x: x[3, 4] * 2,
        lambda x: np.sum(np.exp(x)[::2]),
        lambda x: np.sum(x[np.array([1, 2, 2])]),
        lambda x: np.log(np.sum(np.exp(x))),
        lambda x: np.sum(x @ x.T),
        lambda x: np.sum(np.zeros_like(x) * x) + np.sum(np.ones_like(x)),
        lambda x: np.float64(3.0),
    ],
)
def test_no_memory_is_used(f):
    assert eval_shape(f, HUGE) == Spec(())
    assert eval_shape(grad(f), HUGE) == HUGE
    assert eval_shape(grad(lambda x: np.sum(grad(f)(x))), HUGE) == HUGE
    assert eval_shape(lambda x: jvp(f, (x,), (x,)), HUGE) == (Spec(()), Spec(()))


@pytest.mark.parametrize(
    "index",
    [
        lambda i: i, lambda i: (slice(None), i), lambda i: (i, slice(1, None), i), lambda i: (Ellipsis, i),
        lambda i: (0, i),
        lambda i: (i, i), lambda i: (slice(1, None), None, i), lambda i: (np.array([0, 1]), i, slice(1, None)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("positions", [np.array([[0, 2], [1, 1]]), np.array(1), np.zeros((0, 2), int)])
def test_traced_positions(index, positions):
    w = np.zeros((4, 3, 5))
    f = lambda w, i: w[index(i)]
    try:
        want = f(w, positions)
    except IndexError:
        return  # NumPy refuses to broadcast these
    assert eval_shape(f, w, positions) == specs(want)
    assert eval_shape(grad(lambda w, i: np.sum(f(w, i))), w, positions) == Spec(w.shape)


# -- what needs values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: 1 if np.sum(x) > 0 else 2, r"branches on a value.*np\.where, or call eval_shape on each branch"),
        (lambda x: grad(lambda v: v if v > 0 else -v)(x[0]), r"branches on a value"),
        (lambda x: 3.0 in x, "branches on a value"),
        (lambda x: x[x > 0], r"x\[mask\].*np\.where\(mask, x, 0\)"),
        (grad(lambda v: np.sum(v[v > 0])), r"x\[mask\]"),
        (lambda x: float(x[0]), r"float\(\).*np\.\* functions"),
        (lambda x: math.sin(x[0]), r"math\.\*.*np\.\* functions"),
        (lambda x: x.item(), r"item"),
        (lambda x: x.tolist(), r"tolist"),
        (np.asarray, r"asarray.*np\.stack"),
        (lambda x: list(range(np.sum(x > 0))), r"as an index.*by keyword"),
        (lambda x: int(np.floor(x[0])), r"int\(\)"),
    ],
)
def test_values_are_refused(f, message):
    with pytest.raises(ShapeOnlyError, match=message) as caught:
        eval_shape(f, Spec((3,)))
    assert "test_eval_shape.py" in str(caught.value)


def test_sizes_are_refused_with_the_fix():
    with pytest.raises(ShapeOnlyError, match=r"pass it by keyword, fix it with functools\.partial"):
        eval_shape(lambda x, n: x[0] * len(range(n)), Spec((3,)), 4)
    assert eval_shape(lambda x, n: np.broadcast_to(x, (n, 3)), Spec((3,)), n=4) == Spec((4, 3))


def test_wrong_shapes_are_refused_as_by_numpy():
    for f in (
        lambda x: x + np.ones(4),
        lambda x: x @ np.ones(4),
        lambda x: x.reshape(2, 2),
        lambda x: x[3],
        lambda x: x[:, 0],
    ):
        with pytest.raises((ValueError, IndexError)):
            eval_shape(f, Spec((3,)))


def test_a_leaked_value_is_refused():
    kept = []
    eval_shape(lambda x: kept.append(x) or x, Spec((2,)))
    with pytest.raises(LeakedTracerError):
        np.sin(kept[0])
    with pytest.raises(LeakedTracerError):
        float(kept[0])
    assert "float64[2]" in f"{kept[0]} {kept[0]:.2f}"


def test_custom_rules():
    @custom_jvp
    def f(x):
        return np.log1p(np.exp(x))

    f.defjvp(lambda primals, tangents: (f(primals[0]), tangents[0] / (1 + np.exp(-primals[0]))))

    @custom_vjp
    def g(x):
        return x * 2

    g.defvjp(lambda x: (x * 2, None), lambda res, ct: (ct,))
    for h in (f, g):
        total = lambda x, h=h: np.sum(h(x))
        for k in (h, grad(total), lambda x, h=h: jvp(h, (x,), (x,)), hessian(total) if h is f else h):
            assert eval_shape(k, Spec((3,))) == specs(k(np.ones(3)))


def test_the_order_of_a_number_has_an_axis_as_in_numpy():
    x = np.array(3.0)
    assert eval_shape(np.argsort, Spec(())) == Spec(np.argsort(x).shape, np.intp) == Spec((1,), np.intp)
    assert vjp(lambda x: np.argsort(x) + x, x)[0].shape == (1,)
