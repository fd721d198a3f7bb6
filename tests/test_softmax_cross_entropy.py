"""softmax_cross_entropy: values, all orders, ignored rows, both paths, shapes, errors, a peer."""

import math

import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad, hessian, hvp, jacfwd, jacrev, jvp, trace, value_and_grad, vjp
from autodiff.core import Spec
from autodiff.ops import softmax_cross_entropy
from tests.softmax_checks import (
    MODULE,
    close,
    exact_log_softmax,
    exact_losses,
    exact_softmax,
    sizes_and_kernels,
    take_path,
    watch_kernels,
)


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def path(request, monkeypatch):
    """Every test runs on the kernels and on plain NumPy."""
    take_path(request.param, monkeypatch)
    return request.param


# -- values and first derivatives ----------------------------------------------------------------------------

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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_logits(dtype):
    x, labels = np.array([[1e4, -1e4, 1e4], [-1e4, -1e4, -1e4 + 1]], dtype), np.array([1, 2])
    e = 2 + math.e
    p = np.array([[0.5, 0, 0.5], [1 / e, 1 / e, math.e / e]])
    losses = [2e4 + math.log(2), -math.log(math.e / e)]
    close(softmax_cross_entropy(x, labels, reduction="none"), losses, dtype)
    for targets in (labels, np.eye(3)[labels]):
        close(softmax_cross_entropy(x, targets), np.mean(losses), dtype)
        close(grad(softmax_cross_entropy)(x, targets), (p - np.eye(3)[labels]) / 2, dtype)


def test_classes_that_are_ruled_out():
    """A logit of -inf is a class of probability 0, with derivative 0."""
    value, g = value_and_grad(softmax_cross_entropy)(np.array([[0.0, -np.inf, 0.0]]), np.array([2]))
    np.testing.assert_allclose(value, math.log(2), rtol=1e-15)
    np.testing.assert_allclose(g, [[0.5, 0, -0.5]], rtol=1e-15)


def test_classes_that_are_ruled_out_and_do_not_occur_cost_nothing():
    logits, targets = np.array([[1.0, -np.inf, 0.0]]), np.array([[0.5, 0.0, 0.5]])
    expected = softmax_cross_entropy(logits[:, ::2], targets[:, ::2])
    np.testing.assert_allclose(softmax_cross_entropy(logits, targets), expected, rtol=1e-15)
    p = np.exp([1.0, 0.0]) / np.exp([1.0, 0.0]).sum() - 0.5
    np.testing.assert_allclose(grad(softmax_cross_entropy)(logits, targets), [[p[0], 0, p[1]]], rtol=1e-14)
    assert softmax_cross_entropy(logits, np.array([[0.5, 0.5, 0.0]])) == np.inf


# -- higher orders -------------------------------------------------------------------------------------------


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


# -- kernels -------------------------------------------------------------------------------------------------


def test_kernels_are_used_where_they_pay_and_agree(path, monkeypatch, rng):
    monkeypatch.undo()
    names = ["softmax_cross_entropy", "softmax_cross_entropy_gradient"]
    used = watch_kernels(monkeypatch, *names)
    monkeypatch.setattr(MODULE, "kernels_enabled", lambda: path == "compiled")
    for rows, dtype, expected in sizes_and_kernels(path == "compiled"):
        used.clear()
        x, labels = rng.standard_normal((rows, 5)).astype(dtype), rng.integers(0, 5, rows)
        value, g = value_and_grad(lambda x, labels=labels: softmax_cross_entropy(x, labels, reduction="sum"))(x)
        close(value, exact_losses(x, labels).sum(), dtype, 8)
        close(g, exact_softmax(x) - np.eye(5)[labels], dtype, 4)
        assert used == (names if expected else [])


# -- shapes and errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_shapes_without_values(dtype):
    dtype = np.dtype(dtype)
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


# -- another library -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignore_index", [None, 3])
def test_mean_of_more_float16_losses_than_float16_counts(ignore_index):
    logits, classes = np.zeros((80_000, 4), np.float16), np.arange(80_000) % 4

    def mean(logits):
        return softmax_cross_entropy(logits, classes, ignore_index=ignore_index)

    value, slopes = value_and_grad(mean)(logits)
    assert (value.dtype, slopes.dtype) == (np.float16, np.float16)
    assert float(value) == pytest.approx(np.log(4), rel=1e-3)
    counted = 80_000 if ignore_index is None else 60_000
    np.testing.assert_allclose(slopes[0], np.array([-0.75, 0.25, 0.25, 0.25]) / counted, atol=6e-8)
    assert not slopes[3].any() or ignore_index is None
    rows = np.full((80_000, 4), 0.25, np.float16)
    assert float(softmax_cross_entropy(logits, rows)) == pytest.approx(np.log(4), rel=1e-3)


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
