"""softmax, log_softmax and softmax_cross_entropy: values, all orders, ignored rows, both paths, programs run again."""

import importlib
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from autodiff import (
    check_grads,
    checkpoint,
    eval_shape,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    trace,
    value_and_grad,
    vjp,
)
from autodiff.core import Spec
from autodiff.ops import log_softmax, softmax, softmax_cross_entropy

MODULE = importlib.import_module("autodiff.ops.softmax")
TOLERANCE = {"float16": 4e-3, "float32": 2e-6, "float64": 1e-14, "longdouble": 1e-14}


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def path(request, monkeypatch):
    """Every test runs on the kernels and on plain NumPy, whatever the size."""
    if request.param == "compiled":
        monkeypatch.setattr(MODULE, "_compiled", lambda x: x.dtype.char in "fd" and x.dtype.isnative)
    else:
        monkeypatch.setattr(MODULE, "_compiled", lambda x: False)
    return request.param


def exact_log_softmax(x, axis=-1):
    z = np.asarray(x, np.longdouble)
    z = z - z.max(axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis, keepdims=True))


def exact_softmax(x, axis=-1):
    return np.exp(exact_log_softmax(x, axis))


def exact_losses(x, labels, axis=-1):
    logs = np.moveaxis(exact_log_softmax(x, axis), axis, -1)
    return -np.take_along_axis(logs, labels[..., None], -1)[..., 0]


def close(actual, expected, dtype, scale=1):
    assert actual.dtype == dtype
    assert np.shape(actual) == np.shape(expected)
    tolerance = scale * TOLERANCE[np.dtype(dtype).name if np.dtype(dtype).char != "g" else "longdouble"]
    np.testing.assert_allclose(np.asarray(actual, np.longdouble), expected, rtol=tolerance, atol=tolerance)


# -- softmax and its logarithm -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", ">f4", ">f8"])
@pytest.mark.parametrize("shape", [(5,), (1,), (3, 4), (2, 3, 4), (2, 1, 3, 2), (20, 30)], ids=str)
def test_values_and_derivatives_along_every_axis(shape, dtype, rng):
    x, t, ct = (rng.standard_normal((3, *shape)) * 2).astype(dtype)
    native = np.dtype(dtype).newbyteorder("=")
    for axis in range(-len(shape), len(shape)):
        logs = exact_log_softmax(x, axis)
        p = np.exp(logs)
        close(softmax(x, axis), p, native)
        close(log_softmax(x, axis=axis), logs, native, scale=4)
        y, pullback = vjp(lambda x, axis=axis: softmax(x, axis), x)
        close(y, p, native)
        close(pullback(ct.astype(native))[0].astype(native), p * (ct - (p * ct).sum(axis, keepdims=True)), native, 4)
        _, dy = jvp(lambda x, axis=axis: softmax(x, axis), (x,), (t,))
        close(dy, p * (t - (p * t).sum(axis, keepdims=True)), native, 4)
        _, pullback = vjp(lambda x, axis=axis: log_softmax(x, axis), x)
        close(pullback(ct.astype(native))[0].astype(native), ct - p * ct.sum(axis, keepdims=True, dtype="g"), native, 8)
        _, dy = jvp(lambda x, axis=axis: log_softmax(x, axis), (x,), (t,))
        close(dy, t - (p * t).sum(axis, keepdims=True), native, 4)


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_all_orders_in_both_modes(function, rng):
    x = rng.standard_normal((2, 3))
    weights = rng.standard_normal((2, 3))
    check_grads(lambda x: weights * function(x), (x,), order=3)
    check_grads(lambda x: function(x, 0) ** 2, (x,), order=2)


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_empty_arrays_and_lists(function):
    for shape in ((0, 3), (3, 0), (0,), (2, 0, 4)):
        x = np.empty(shape, np.float32)
        assert function(x).shape == shape
        assert function(x).dtype == np.float32
        assert grad(lambda x: np.sum(function(x)))(x).shape == shape
    np.testing.assert_allclose(np.exp(log_softmax([[1.0, 2.0]])), softmax([[1.0, 2.0]]), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_logits(dtype):
    x = np.array([[1e4, -1e4, 1e4], [-1e4, -1e4, -1e4 + 1]], dtype)
    e = 2 + math.e
    p = np.array([[0.5, 0, 0.5], [1 / e, 1 / e, math.e / e]])
    with np.errstate(divide="ignore"):
        logs = np.array([[-math.log(2), -2e4 - math.log(2), -math.log(2)], np.log(p[1])])
    close(softmax(x), p, dtype)
    close(log_softmax(x), logs, dtype)
    labels = np.array([1, 2])
    close(softmax_cross_entropy(x, labels, reduction="none"), [2e4 + math.log(2), -math.log(math.e / e)], dtype)
    close(grad(softmax_cross_entropy)(x, labels), (p - np.eye(3)[labels]) / 2, dtype)
    close(softmax_cross_entropy(x, np.eye(3)[labels]), np.mean([2e4 + math.log(2), -math.log(math.e / e)]), dtype)
    close(grad(softmax_cross_entropy)(x, np.eye(3)[labels]), (p - np.eye(3)[labels]) / 2, dtype)


def test_classes_that_are_ruled_out():
    """A logit of -inf is a class of probability 0, with derivative 0."""
    x = np.array([[0.0, -np.inf, 0.0]])
    np.testing.assert_array_equal(softmax(x), [[0.5, 0, 0.5]])
    np.testing.assert_allclose(log_softmax(x), [[-math.log(2), -np.inf, -math.log(2)]])
    value, g = value_and_grad(softmax_cross_entropy)(x, np.array([2]))
    np.testing.assert_allclose(value, math.log(2), rtol=1e-15)
    np.testing.assert_allclose(g, [[0.5, 0, -0.5]], rtol=1e-15)
    (g,) = vjp(softmax, x)[1](np.array([[1.0, 5.0, 0.0]]))
    np.testing.assert_allclose(g, [[0.25, 0, -0.25]], rtol=1e-15)


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_errors_of_softmax(function):
    name = function.__name__
    for x in (np.ones((2, 3), int), np.ones(3) * 1j, [1, 2], np.array([True])):
        with pytest.raises(TypeError, match=rf"^{name}: expected real floating numbers, got .*convert with \.astype"):
            function(x)
    with pytest.raises(np.exceptions.AxisError, match="axis 2 is out of bounds for array of dimension 2"):
        function(np.ones((2, 3)), 2)
    with pytest.raises(np.exceptions.AxisError, match="dimension 0"):
        function(np.float64(1))
    with pytest.raises(TypeError, match="NoneType"):
        function(np.ones(3), None)
    with pytest.raises(TypeError, match=rf"^{name}: expected real floating"):
        eval_shape(function, Spec((2, 3), np.int64))


# -- cross-entropy: values and first derivatives -------------------------------------------------------------

# Shape of the logits and the axis of the classes.
LAYOUTS = [((6, 4), -1), ((6, 4), 0), ((3,), 0), ((2, 3, 4), 1), ((2, 3, 4), -1), ((2, 5, 3, 2), 1), ((40, 10), 1)]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
@pytest.mark.parametrize("ignore", [None, -100, 1])
@pytest.mark.parametrize(("shape", "axis"), LAYOUTS, ids=str)
def test_class_numbers(shape, axis, ignore, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    positions = tuple(np.delete(shape, axis))
    labels = rng.integers(0, shape[axis], positions)
    counted = np.ones(positions, bool)
    if ignore is not None:
        labels = np.where(rng.random(positions) < 0.4, ignore, labels) if positions else labels
        counted = labels != ignore
        if not counted.any():
            pytest.skip("every position is ignored")
    proper = np.where(counted, labels, 0)
    losses = np.where(counted, exact_losses(x, proper, axis), 0)
    hot = np.moveaxis(np.eye(shape[axis])[proper], -1, axis)
    gradient = np.expand_dims(counted, axis) * (exact_softmax(x, axis) - hot)
    for reduction, value, share in (
        ("none", losses, 1), ("sum", losses.sum(), 1), ("mean", losses.sum() / counted.sum(), 1 / counted.sum()),
    ):  # fmt: skip

        def loss(x, reduction=reduction):
            return softmax_cross_entropy(x, labels, axis=axis, ignore_index=ignore, reduction=reduction)

        close(loss(x), value, dtype, 4)
        y, g = value_and_grad(lambda x, loss=loss: np.sum(loss(x)))(x)
        close(y, np.sum(value), dtype, 8)
        close(g, gradient * share, dtype, 4)
        t = rng.standard_normal(shape).astype(dtype)
        tangent = np.moveaxis(gradient * t, axis, -1).sum(-1)
        tangent = tangent if reduction == "none" else tangent.sum() * share
        close(np.asarray(jvp(loss, (x,), (t,))[1]), tangent, dtype, 8)
    default = softmax_cross_entropy(x, labels, axis=axis, ignore_index=ignore)
    assert default == softmax_cross_entropy(x, labels, axis=axis, ignore_index=ignore, reduction="mean")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("shape", "axis"), LAYOUTS, ids=str)
def test_probabilities(shape, axis, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    targets = exact_softmax(rng.standard_normal(shape), axis).astype(dtype)
    losses = -(exact_log_softmax(x, axis) * targets).sum(axis)
    total = targets.sum(axis, keepdims=True, dtype="g")
    gradient = total * exact_softmax(x, axis) - targets
    for reduction, value, share in (
        ("none", losses, 1),
        ("sum", losses.sum(), 1),
        ("mean", losses.mean(), losses.size),
    ):

        def loss(x, targets, reduction=reduction):
            return softmax_cross_entropy(x, targets, axis=axis, reduction=reduction)

        close(loss(x, targets), value, dtype, 8)
        gx, gt = grad(lambda *args, loss=loss: np.sum(loss(*args)), argnums=(0, 1))(x, targets)
        close(gx, gradient / share, dtype, 8)
        close(gt, -exact_log_softmax(x, axis) / share, dtype, 8)


def test_one_hot_targets_of_any_dtype_leave_the_logits_dtype(rng):
    labels = rng.integers(0, 4, 9)
    for dtype in ("float16", "float32", "float64", "longdouble"):
        x = rng.standard_normal((9, 4)).astype(dtype)
        expected = softmax_cross_entropy(x, labels)
        for kind in ("float64", "float32", "int64", "uint8", "bool"):
            value, g = value_and_grad(softmax_cross_entropy)(x, np.eye(4)[labels].astype(kind))
            close(value, expected, dtype, 4)
            close(g, grad(softmax_cross_entropy)(x, labels), dtype)
        _, g = value_and_grad(softmax_cross_entropy, argnums=1)(x, np.eye(4, dtype="float64")[labels])
        assert g.dtype == np.float64


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "uint64", ">i8"])
def test_class_numbers_of_every_integer_dtype(kind, rng):
    x, labels = rng.standard_normal((9, 4)), rng.integers(0, 4, 9)
    expected = value_and_grad(softmax_cross_entropy)(x, labels)
    found = value_and_grad(lambda x: softmax_cross_entropy(x, labels.astype(kind)))(x)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    labels[labels == 3] = 77
    value = softmax_cross_entropy(x, labels.astype(kind), ignore_index=77)
    assert value == softmax_cross_entropy(x, np.where(labels == 77, -1, labels), ignore_index=-1)
    assert softmax_cross_entropy(x[:1], [2], ignore_index=-1) == softmax_cross_entropy(x[:1], np.array([2]))


def test_no_positions_have_no_mean():
    empty, none = np.empty((0, 3), np.float32), np.empty(0, int)
    assert softmax_cross_entropy(empty, none, reduction="sum") == 0
    assert softmax_cross_entropy(empty, none, reduction="none").shape == (0,)
    assert grad(lambda x: softmax_cross_entropy(x, none, reduction="sum"))(empty).shape == (0, 3)
    x, ignored = np.ones((2, 3), np.float32), np.array([-1, -1])
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(softmax_cross_entropy(empty, none))
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(softmax_cross_entropy(x, ignored, ignore_index=-1))
    value, g = value_and_grad(lambda x: softmax_cross_entropy(x, ignored, ignore_index=-1, reduction="sum"))(x)
    assert value == 0
    assert not g.any()


# -- cross-entropy: higher orders ----------------------------------------------------------------------------


def test_all_orders_of_the_loss(rng):
    x, labels = rng.standard_normal((3, 4)), np.array([2, 0, 3])
    check_grads(lambda x: softmax_cross_entropy(x, labels), (x,), order=3)
    ignoring = np.array([2, -1, 3])
    for reduction in ("mean", "sum", "none"):
        check_grads(
            lambda x, r=reduction: softmax_cross_entropy(x, ignoring, ignore_index=-1, reduction=r), (x,), order=2
        )
    targets = exact_softmax(rng.standard_normal((3, 4))).astype(float)
    check_grads(softmax_cross_entropy, (x, targets), order=3)
    check_grads(lambda x: softmax_cross_entropy(x.reshape(2, 3, 2), np.array([[1, 0], [2, 2]]), axis=1), (x,), order=2)


@pytest.mark.parametrize("ignore", [False, True])
def test_hessians_are_those_of_softmax_regression(ignore, rng):
    """diag(p) - p p^T of each row that counts."""
    x, t = rng.standard_normal((2, 7, 5))
    labels = rng.integers(0, 5, 7)
    p = exact_softmax(x)
    if ignore:
        labels[[1, 4]] = -1
        p[[1, 4]] = 0
    count = np.sum(labels >= 0)

    def loss(x):
        return softmax_cross_entropy(x, labels, ignore_index=-1)

    expected = (p * t - p * np.sum(p * t, 1, keepdims=True)) / count
    for product in (
        hvp(loss, (x,), (t,)),
        jvp(grad(loss), (x,), (t,))[1],
        grad(lambda x: np.sum(grad(loss)(x) * t))(x),
        grad(lambda x: jvp(loss, (x,), (t,))[1])(x),
        jvp(lambda x: jvp(loss, (x,), (np.eye(35)[3].reshape(7, 5),))[1], (x,), (t,))[1] * np.ones(1),
    ):
        want = expected if np.shape(product) == x.shape else expected.reshape(-1)[[3]]
        close(product, want, np.float64, 4)
    full = np.zeros((7, 5, 7, 5))
    for i in range(7):
        full[i, :, i] = (np.diag(p[i]) - np.outer(p[i], p[i])) / count
    for second in (hessian(loss), jacfwd(jacrev(loss)), jacrev(jacfwd(loss)), jacfwd(jacfwd(loss))):
        close(second(x), full, np.float64, 4)
    close(hvp(loss, (x.astype("f"),), (t.astype("f"),)), expected, np.float32, 4)


def slope(f):
    return lambda s: jvp(f, (s,), (1.0,))[1]


def test_third_order_against_the_closed_form(rng):
    """Softmax is the gradient of logsumexp: t^T d3 t is the third central moment of t under p."""
    x, t = rng.standard_normal((2, 1, 6))
    p = exact_softmax(x)
    mean = (p * t).sum()
    labels = np.array([2])

    def along(order):
        def f(s):
            return softmax_cross_entropy(x + s * t, labels)

        for _ in range(order):
            f = grad(f) if order % 2 else slope(f)
        return f(0.0)

    np.testing.assert_allclose(float(along(1)), float(mean - t[0, 2]), rtol=1e-12)
    np.testing.assert_allclose(float(along(2)), float((p * (t - mean) ** 2).sum()), rtol=1e-12)
    np.testing.assert_allclose(float(along(3)), float((p * (t - mean) ** 3).sum()), rtol=1e-11)


# -- ignored positions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
@pytest.mark.parametrize("rows", [4, 100])
def test_ignored_rows_contribute_nothing_whatever_they_hold(rows, dtype, rng):
    x, t = rng.standard_normal((2, rows, 5)).astype(dtype)
    labels = rng.integers(0, 5, rows)
    labels[:3] = 9
    for bad in (np.nan, np.inf, -np.inf):
        x[0], x[1, 2], x[2, 0], t[0, 1] = bad, bad, -bad, np.nan
        for reduction in ("mean", "sum"):

            def loss(x, labels=labels, reduction=reduction):
                return softmax_cross_entropy(x, labels, ignore_index=9, reduction=reduction)

            def kept(x, reduction=reduction):
                return softmax_cross_entropy(x, labels[3:], reduction=reduction)

            close(loss(x), kept(x[3:]), dtype, 4)
            close(jvp(loss, (x,), (t,))[1], jvp(kept, (x[3:],), (t[3:],))[1], dtype, 4)
            padded = ((3, 0), (0, 0))
            close(grad(loss)(x), np.pad(grad(kept)(x[3:]), padded), dtype, 4)
            expected = np.pad(hvp(kept, (x[3:],), (t[3:],)), padded)
            close(hvp(loss, (x,), (t,)), expected, dtype, 4)
            assert not hvp(loss, (x,), (t,))[:3].any()
            finite = np.where(np.isnan(t), 0, t)
            close(grad(lambda x, loss=loss, finite=finite: np.sum(grad(loss)(x) * finite))(x), expected, dtype, 4)
            close(grad(lambda x, loss=loss, finite=finite: jvp(loss, (x,), (finite,))[1])(x), expected, dtype, 4)
        each = softmax_cross_entropy(x, labels, ignore_index=9, reduction="none")
        assert each[:3].tolist() == [0, 0, 0]
        _, pullback = vjp(lambda x: softmax_cross_entropy(x, labels, ignore_index=9, reduction="none"), x)
        (g,) = pullback(np.where(np.arange(rows) < 3, np.nan, 1).astype(dtype))
        assert not g[:3].any()
        assert np.isfinite(g).all()


def test_ignored_positions_do_not_reach_the_layers_before(rng):
    """A network whose padded inputs are infinite learns from the others alone."""
    w, x = rng.standard_normal((3, 4)), rng.standard_normal((6, 3))
    labels = np.array([0, -1, 3, -1, 1, 2])

    def loss(b, x, labels):
        return softmax_cross_entropy(np.log(x**2) @ w + b, labels, ignore_index=-1)

    expected = value_and_grad(loss, argnums=(0, 1))(np.zeros(4), x[labels >= 0], labels[labels >= 0])
    spoilt = np.where(labels[:, None] < 0, 0, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, (gb, gx) = value_and_grad(loss, argnums=(0, 1))(np.zeros(4), spoilt, labels)
    np.testing.assert_allclose(value, expected[0], rtol=1e-14)
    np.testing.assert_allclose(gb, expected[1][0], rtol=1e-13)
    np.testing.assert_allclose(gx[labels >= 0], expected[1][1], rtol=1e-13)


# -- paths and programs --------------------------------------------------------------------------------------


def test_kernels_are_used_where_they_pay_and_agree(path, monkeypatch, rng):
    monkeypatch.undo()
    kernels = importlib.import_module("kernels.cpu")
    used = []
    for name in ("softmax", "log_softmax", "softmax_cross_entropy", "softmax_cross_entropy_gradient"):
        function = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *args, f=function, name=name: used.append(name) or f(*args))
    monkeypatch.setattr(MODULE, "kernels_enabled", lambda: path == "compiled")
    for rows, dtype, expected in (
        (4, "float64", path == "compiled"), (100, "float32", True), (100, "float16", False), (100, "longdouble", False),
    ):  # fmt: skip
        used.clear()
        x, labels = rng.standard_normal((rows, 5)).astype(dtype), rng.integers(0, 5, rows)
        close(softmax(x), exact_softmax(x), dtype)
        close(log_softmax(x), exact_log_softmax(x), dtype, 4)
        value, g = value_and_grad(lambda x, labels=labels: softmax_cross_entropy(x, labels, reduction="sum"))(x)
        close(value, exact_losses(x, labels).sum(), dtype, 8)
        close(g, exact_softmax(x) - np.eye(5)[labels], dtype, 4)
        every = ["softmax", "log_softmax", "softmax_cross_entropy", "softmax_cross_entropy_gradient"]
        assert used == (every if expected else [])


def gradient_of(x, labels):
    return (exact_softmax(x) - np.eye(x.shape[1])[labels]) / len(x)


def test_a_pullback_may_be_called_again(rng):
    x, labels = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    value, pullback = vjp(lambda x: softmax_cross_entropy(x, labels), x)
    close(value, exact_losses(x, labels).mean(), "float64")
    for seed in (1.0, -3.0, 1.0):
        close(pullback(np.float64(seed))[0], seed * gradient_of(x, labels), "float64")
    _, each = vjp(lambda x: softmax_cross_entropy(x, labels, reduction="none"), x)
    for seed in (np.ones(6), np.arange(6.0), np.ones(6)):
        close(each(seed)[0], 6 * seed[:, None] * gradient_of(x, labels), "float64")
    _, linear = linearize(lambda x: softmax_cross_entropy(x, labels), x)
    for t in rng.standard_normal((3, 6, 4)):
        close(linear(t), np.sum(t * gradient_of(x, labels)), "float64")


def test_changes_in_place_between_calls_are_seen(rng):
    x, labels = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    f = value_and_grad(lambda x: softmax_cross_entropy(x, labels))
    for _ in range(4):
        value, g = f(x)
        close(value, exact_losses(x, labels).mean(), "float64")
        close(g, gradient_of(x, labels), "float64")
        x += rng.standard_normal(x.shape)
    x -= 10 * f(x)[1]
    close(f(x)[1], gradient_of(x, labels), "float64")


def test_two_losses_of_one_array_and_of_a_copy(rng):
    x = rng.standard_normal((6, 4))
    one, two = rng.integers(0, 4, (2, 6))

    def loss(x):
        return softmax_cross_entropy(x, one) + 2 * softmax_cross_entropy(x, two) * softmax_cross_entropy(-x, one)

    p, m = gradient_of(x, one), -gradient_of(-x, one)
    a, b = exact_losses(x, two).mean(), exact_losses(-x, one).mean()
    close(grad(loss)(x), p + 2 * gradient_of(x, two) * b + 2 * a * m, "float64", 4)
    check_grads(loss, (x,), order=2)


def test_nested_derivatives_at_other_points(rng):
    """The inner gradient is taken at another array than the outer one, and again at the same."""
    x, labels = rng.standard_normal((5, 3)), rng.integers(0, 3, 5)

    def loss(x):
        return softmax_cross_entropy(x, labels)

    def step(x):
        return loss(x - 0.5 * grad(loss)(x)) + loss(x)

    check_grads(step, (x,), order=2)
    p = exact_softmax(x)
    moved = x - 0.5 * gradient_of(x, labels)
    outer = gradient_of(moved.astype(float), labels)
    through = outer - 0.5 / 5 * (p * outer - p * (p * outer).sum(1, keepdims=True))
    close(grad(step)(x), through + gradient_of(x, labels), "float64", 4)


def test_recomputation(rng):
    x, labels = rng.standard_normal((5, 3)), rng.integers(0, 3, 5)

    def loss(x):
        return softmax_cross_entropy(np.tanh(x) * 2, labels, ignore_index=1, reduction="sum")

    t = rng.standard_normal(x.shape)
    value, g = value_and_grad(checkpoint(loss))(x)
    expected = value_and_grad(loss)(x)
    close(value, expected[0], "float64")
    close(g, expected[1], "float64")
    close(hvp(checkpoint(loss), (x,), (t,)), hvp(loss, (x,), (t,)), "float64", 4)
    _, pullback = vjp(checkpoint(loss), x)
    for _ in range(2):
        close(pullback(np.float64(2))[0], 2 * expected[1], "float64")


def test_a_recorded_program_runs_at_other_inputs(rng):
    x, labels = rng.standard_normal((5, 3)), rng.integers(0, 3, 5)

    def loss(x):
        return softmax_cross_entropy(x, labels)

    recorded, gradient = trace(loss)(x), trace(grad(loss))(x)
    curved = trace(lambda x: hvp(loss, (x,), (np.ones_like(x) * x,)))(x)
    for _ in range(3):
        close(recorded.eval(x), exact_losses(x, labels).mean(), "float64")
        close(gradient.eval(x), gradient_of(x, labels), "float64")
        close(curved.eval(x), hvp(loss, (x,), (x.copy(),)), "float64", 4)
        close(grad(recorded.eval)(x), gradient_of(x, labels), "float64")
        close(jvp(gradient.eval, (x,), (np.cos(x),))[1], hvp(loss, (x,), (np.cos(x),)), "float64", 4)
        other = rng.standard_normal(x.shape)
        close(gradient.eval(other), gradient_of(other, labels), "float64")
        x += other  # in place: the same array with other numbers
    _, pullback = vjp(recorded.eval, x)
    gradient.eval(other)
    recorded.eval(other)
    close(pullback(np.float64(1))[0], gradient_of(x, labels), "float64")


def test_a_recorded_program_stands_for_its_class_numbers_alone(rng):
    x, labels = rng.standard_normal((5, 3)), np.array([0, 1, 2, 0, -1])
    recorded = trace(lambda x, labels: softmax_cross_entropy(x, labels, ignore_index=-1))(x, labels)
    assert recorded.eval(-x, labels) == softmax_cross_entropy(-x, labels, ignore_index=-1)
    with pytest.raises(ValueError, match="Trace the function again"):
        recorded.eval(x, labels[::-1].copy())


def test_one_recorded_program_in_many_threads(rng):
    labels = rng.integers(0, 30, 40)
    gradient = trace(grad(lambda x: softmax_cross_entropy(x, labels)))(rng.standard_normal((40, 30)))
    points = rng.standard_normal((24, 40, 30))
    expected = [gradient_of(x, labels) for x in points]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            for found, want in zip(pool.map(gradient.eval, points), expected, strict=True):
                close(found, want, "float64")


# -- shapes and errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_shapes_without_values(dtype):
    dtype = np.dtype(dtype)
    for function in (softmax, log_softmax):
        assert eval_shape(lambda x, f=function: f(x, 1), Spec((5, 3, 2), dtype)) == Spec((5, 3, 2), dtype)
        assert eval_shape(grad(lambda x, f=function: np.sum(f(x))), Spec((5, 3), dtype)) == Spec((5, 3), dtype)
    for ignore in (None, -1):
        for labels in (np.array([0, 2, 1, 1]), np.array([[0, 2], [1, 1]]), Spec((4,), np.dtype(np.int32))):
            logits = Spec((*labels.shape, 3), dtype)
            for reduction in ("mean", "sum", "none"):

                def loss(x, y, ignore=ignore, reduction=reduction):
                    return softmax_cross_entropy(x, y, ignore_index=ignore, reduction=reduction)

                shape = labels.shape if reduction == "none" else ()
                assert eval_shape(loss, logits, labels) == Spec(shape, dtype)
                total = eval_shape(grad(lambda x, y, loss=loss: np.sum(loss(x, y))), logits, labels)
                assert total == logits
    targets = Spec((4, 3), np.dtype(np.float64))
    assert eval_shape(softmax_cross_entropy, Spec((4, 3), dtype), targets) == Spec((), dtype)


def test_errors_of_the_loss():
    name = "softmax_cross_entropy"
    x, labels = np.zeros((3, 4)), np.array([0, 3, 1])
    with pytest.raises(ValueError, match=f'^{name}: reduction must be "mean", "sum" or "none", got \'average\''):
        softmax_cross_entropy(x, labels, reduction="average")
    for logits in (x.astype(int), x * 1j):
        with pytest.raises(TypeError, match=rf"^{name}: expected real floating numbers, got .*\[3,4\]"):
            softmax_cross_entropy(logits, labels)
    with pytest.raises(np.exceptions.AxisError, match="axis 2 is out of bounds"):
        softmax_cross_entropy(x, labels, axis=2)
    message = r"logits of shape \(3, 4\) with classes on axis 1 need class numbers of shape \(3,\) or probabilities of "
    for wrong in (labels[:2], labels[:, None], np.zeros((3, 5)), np.int64(1)):
        with pytest.raises(ValueError, match=rf"^{name}: {message}shape \(3, 4\), got "):
            softmax_cross_entropy(x, wrong)
    with pytest.raises(ValueError, match=r"classes on axis 0 need class numbers of shape \(4,\)"):
        softmax_cross_entropy(x, labels, axis=0)
    for kind in (float, bool, complex):
        with pytest.raises(TypeError, match=f"^{name}: class numbers must be integers, got "):
            softmax_cross_entropy(x, labels.astype(kind))
    with pytest.raises(TypeError, match=f"^{name}: probabilities must be real, got complex128"):
        softmax_cross_entropy(x, x * 1j)
    with pytest.raises(ValueError, match=f"^{name}: ignore_index goes with class numbers; .* rows of targets 0"):
        softmax_cross_entropy(x, x, ignore_index=-1)


@pytest.mark.parametrize("transform", [lambda f: f, grad, trace])
def test_class_numbers_out_of_range(transform):
    x = np.zeros((3, 4))
    ranges = "is out of range for 4 classes; mark positions to leave out with ignore_index="

    def loss(x, labels, **keywords):
        return transform(lambda x: softmax_cross_entropy(x, labels, **keywords))(x)

    for labels, found, where in (([0, 4, 9], 4, 1), ([-1, 0, 0], -1, 0), ([0, 1, -100], -100, 2)):
        with pytest.raises(
            IndexError, match=f"^softmax_cross_entropy: class number {found} at position {where} {ranges}"
        ):
            loss(x, np.array(labels))
    with pytest.raises(IndexError, match=f"class number -1 at position 1 {ranges}"):
        loss(x, np.array([-100, -1, 0]), ignore_index=-100)
    with pytest.raises(IndexError, match=rf"class number 7 at position \(1, 0\) {ranges}"):
        loss(np.zeros((2, 2, 4)), np.array([[0, 1], [7, 9]]))
    with pytest.raises(IndexError, match="class number 18446744073709551615 at position 0"):
        loss(x, np.array([2**64 - 1, 0, 0], np.uint64), ignore_index=-1)


# -- other libraries -----------------------------------------------------------------------------------------


def test_against_torch(rng):
    torch = pytest.importorskip("torch")
    for shape, axis in (((6, 4), 1), ((2, 5, 3, 4), 1)):
        x, labels = rng.standard_normal(shape), rng.integers(0, shape[1], (shape[0], *shape[2:]))
        labels.reshape(-1)[::3] = -100
        for reduction in ("mean", "sum"):
            z = torch.tensor(x, requires_grad=True)
            y = torch.nn.functional.cross_entropy(z, torch.tensor(labels), ignore_index=-100, reduction=reduction)
            y.backward()
            value, g = value_and_grad(
                lambda x, r=reduction, y=labels, a=axis: softmax_cross_entropy(
                    x, y, axis=a, ignore_index=-100, reduction=r
                )
            )(x)
            np.testing.assert_allclose(value, y.item(), rtol=1e-12)
            np.testing.assert_allclose(g, z.grad.numpy(), rtol=1e-10, atol=1e-14)
        z = torch.tensor(x)
        np.testing.assert_allclose(softmax(x, 1), torch.softmax(z, 1).numpy(), rtol=1e-12)
        np.testing.assert_allclose(log_softmax(x, 1), torch.log_softmax(z, 1).numpy(), rtol=1e-12)


def test_against_jax(rng):
    jax = pytest.importorskip("jax")
    x, t = rng.standard_normal((2, 6, 4)).astype(np.float32)
    for ours, theirs in ((softmax, jax.nn.softmax), (log_softmax, jax.nn.log_softmax)):
        y, dy = jax.jvp(lambda x, f=theirs: f(x, 0), (x,), (t,))
        found = jvp(lambda x, f=ours: f(x, 0), (x,), (t,))
        np.testing.assert_allclose(found[0], y, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(found[1], dy, rtol=2e-4, atol=1e-6)


def test_classes_that_are_ruled_out_and_do_not_occur_cost_nothing():
    logits, targets = np.array([[1.0, -np.inf, 0.0]]), np.array([[0.5, 0.0, 0.5]])
    expected = softmax_cross_entropy(logits[:, ::2], targets[:, ::2])
    np.testing.assert_allclose(softmax_cross_entropy(logits, targets), expected, rtol=1e-15)
    p = np.exp([1.0, 0.0]) / np.exp([1.0, 0.0]).sum() - 0.5
    np.testing.assert_allclose(grad(softmax_cross_entropy)(logits, targets), [[p[0], 0, p[1]]], rtol=1e-14)
    assert softmax_cross_entropy(logits, np.array([[0.5, 0.5, 0.0]])) == np.inf
