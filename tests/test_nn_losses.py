"""Losses against formulas in plain Python floats and, where it is installed, PyTorch; first and second derivatives."""

import functools
import math

import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad, hessian, hvp, jvp, ops
from nn import losses

CS = functools.partial(losses.multiclass_hinge, kind="crammer-singer")
SHAPE = (6, 5)


def entries(f):
    """The loss of each entry, from a formula of two plain floats."""
    return lambda p, t: np.array([f(*map(float, pair)) for pair in zip(p.flat, t.flat, strict=True)]).reshape(p.shape)


def rows(f):
    """The loss of each example, from a formula of its scores and its target."""
    return lambda s, t: np.array([f([float(v) for v in row], target) for row, target in zip(s, t, strict=True)])


def log_q(z):
    highest = max(z)
    total = highest + math.log(math.fsum(math.exp(v - highest) for v in z))
    return [v - total for v in z]


def binary(z, t):
    return -t * -math.log1p(math.exp(-z)) - (1 - t) * -math.log1p(math.exp(z))


def divergence(z, p):
    return math.fsum(p_j * (math.log(p_j) - q_j) for p_j, q_j in zip(map(float, p), log_q(z), strict=True) if p_j)


def soft_cross_entropy(z, p):
    return -math.fsum(float(p_j) * q_j for p_j, q_j in zip(p, log_q(z), strict=True))


def others(s, t):
    return [1 + s_j - s[t] for j, s_j in enumerate(s) if j != t]


# Name: loss, kind of targets, losses before reduction.
LOSSES = {
    "mse": (losses.mse, "numbers", entries(lambda p, t: (p - t) ** 2)),
    "mae": (losses.mae, "numbers", entries(lambda p, t: abs(p - t))),
    "huber": (
        functools.partial(losses.huber, delta=0.75),
        "numbers",
        entries(lambda p, t: (p - t) ** 2 / 2 if abs(p - t) <= 0.75 else 0.75 * (abs(p - t) - 0.375)),
    ),
    "binary": (losses.binary_cross_entropy_with_logits, "shares", entries(binary)),
    "hinge": (losses.hinge, "signs", entries(lambda s, t: max(0, 1 - t * s))),
    "cross_entropy": (losses.cross_entropy, "classes", rows(lambda z, t: -log_q(z)[t])),
    "soft_cross_entropy": (losses.cross_entropy, "distributions", rows(soft_cross_entropy)),
    "kl_divergence": (losses.kl_divergence, "distributions", rows(divergence)),
    "weston-watkins": (losses.multiclass_hinge, "classes", rows(lambda s, t: sum(max(0, m) for m in others(s, t)))),
    "crammer-singer": (CS, "classes", rows(lambda s, t: max(0, *others(s, t)))),
}


def case(name, rng, dtype=np.float64, shape=SHAPE):
    loss, kind, reference = LOSSES[name]
    p = (2 * rng.normal(size=shape)).astype(dtype)
    if kind == "numbers":
        t = rng.normal(size=shape).astype(dtype)
    elif kind == "shares":
        t = rng.random(shape).astype(dtype)
        t.flat[:4] = [0, 1, 1, 0][: t.size]
    elif kind == "signs":
        t = rng.choice([-1, 1], shape)
    elif kind == "classes":
        t = rng.integers(0, shape[1], shape[0])
    else:
        t = rng.dirichlet(np.ones(shape[1]), shape[0]).astype(dtype)
        t[0] = np.arange(shape[1]) == 1
    return loss, p, t, reference


@pytest.mark.parametrize("name", LOSSES)
def test_values(name, rng):
    loss, p, t, reference = case(name, rng)
    want = reference(p, t)
    none = loss(p, t, reduction="none")
    assert none.shape == want.shape
    np.testing.assert_allclose(none, want, rtol=1e-13, atol=1e-14)
    assert loss(p, t) == loss(p, t, reduction="mean") == pytest.approx(np.mean(want), rel=1e-13)
    assert loss(p, t, reduction="sum") == pytest.approx(math.fsum(want.flat), rel=1e-13)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_stays_float32(name, rng):
    loss, p, t, reference = case(name, rng, np.float32)
    for reduction in ("mean", "sum", "none"):
        value = loss(p, t, reduction=reduction)
        assert value.dtype == np.float32
    np.testing.assert_allclose(value, reference(p, t), rtol=2e-6, atol=1e-6)
    assert grad(loss)(p, t).dtype == np.float32
    assert jvp(lambda p: loss(p, t), (p,), (p,))[1].dtype == np.float32


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "binary", "hinge"])
def test_whole_numbers_as_targets(name, rng):
    loss, p, _, reference = case(name, rng, np.float32)
    for dtype in (np.int64, np.int8, *([np.uint8, bool] if name != "hinge" else [])):
        t = (p > 0.3).astype(dtype) if name != "hinge" else np.where(p > 0.3, 1, -1).astype(dtype)
        assert loss(p, t).dtype == np.float32
        np.testing.assert_allclose(loss(p, t, reduction="none"), reference(p, t), rtol=2e-6, atol=1e-6)


def test_wider_targets_promote(rng):
    p = rng.normal(size=5).astype(np.float32)
    assert losses.mse(p, np.zeros(5)).dtype == np.float64
    assert losses.mse(p.astype(np.float16), np.zeros(5, np.float16)).dtype == np.float16
    assert losses.huber(p, p, delta=np.float64(2)).dtype == np.float32
    assert losses.hinge(p, np.ones(5, int), margin=np.float64(2)).dtype == np.float32


@pytest.mark.parametrize("name", LOSSES)
def test_derivatives(name, rng):
    loss, p, t, _ = case(name, rng)
    for reduction in ("mean", "none"):
        check_grads(functools.partial(loss, targets=t, reduction=reduction), (p,), order=2)


@pytest.mark.parametrize("name", ["mse", "huber", "binary", "soft_cross_entropy", "kl_divergence"])
def test_derivatives_by_targets(name, rng):
    loss, p, t, _ = case(name, rng)
    if name == "kl_divergence":
        check_grads(lambda p, z: loss(p, ops.softmax(z)), (p, rng.normal(size=p.shape)), order=2)
        return
    if name == "binary":
        t = 0.1 + 0.8 * t
    check_grads(loss, (p, t), order=2)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_the_mean_is_that_of_the_sum_divided(name, rng):
    loss, p, t, _ = case(name, rng)
    count = loss(p, t, reduction="none").size
    total = grad(functools.partial(loss, reduction="sum"))(p, t)
    np.testing.assert_allclose(grad(loss)(p, t), total / count, rtol=1e-13, atol=1e-16)


def test_gradients_in_closed_form(rng):
    p, t = rng.normal(size=(2, 4, 3))
    np.testing.assert_allclose(grad(losses.mse)(p, t), 2 * (p - t) / 12, rtol=1e-14)
    np.testing.assert_array_equal(grad(losses.mae)(p, t), np.sign(p - t) / 12)
    np.testing.assert_allclose(grad(losses.huber)(p, t), np.clip(p - t, -1, 1) / 12, rtol=1e-14)
    y = rng.random((4, 3))
    z = grad(losses.binary_cross_entropy_with_logits)(p, y)
    np.testing.assert_allclose(z, (1 / (1 + np.exp(-p)) - y) / 12, rtol=1e-13, atol=1e-16)
    labels = np.array([0, 2, 1, 1])
    q = np.exp(p) / np.exp(p).sum(1, keepdims=True)
    np.testing.assert_allclose(grad(losses.cross_entropy)(p, labels), (q - np.eye(3)[labels]) / 4, rtol=1e-13)
    d = rng.dirichlet(np.ones(3), 4)
    np.testing.assert_allclose(grad(losses.kl_divergence)(p, d), (q - d) / 4, rtol=1e-12, atol=1e-16)


def test_kinks():
    # Slope 0 where an absolute value turns; half of the slopes at both sides where a maximum does.
    zeros = np.zeros(3)
    assert grad(losses.mae)(zeros, zeros).tolist() == [0, 0, 0]
    assert grad(losses.hinge)(np.array([1.0]), np.array([1])).tolist() == [-0.5]
    # The quadratic part of Huber's loss has curvature 1 at its bottom, and the slope delta at its end.
    assert hessian(losses.huber)(np.zeros(1), np.zeros(1)).tolist() == [[1]]
    assert grad(losses.huber)(np.array([1.0, -1.0]), np.zeros(2)).tolist() == [0.5, -0.5]
    # So has the cross-entropy its curvature q (1 - q) at 0, where networks often begin.
    curvature = hessian(losses.binary_cross_entropy_with_logits)
    assert curvature(np.zeros(1), np.ones(1)) == pytest.approx(0.25)


def test_large_errors_do_not_overflow():
    far = np.array([1e30, -1e30], np.float32)
    assert losses.huber(far, np.zeros(2, np.float32), reduction="none").tolist() == far[:1].tolist() * 2
    assert grad(losses.huber)(far, np.zeros(2, np.float32)).tolist() == [0.5, -0.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_is_stable(dtype):
    loss = functools.partial(losses.binary_cross_entropy_with_logits, reduction="sum")
    relative = 4 * float(np.finfo(dtype).eps)
    for logit, target, value, slope in [
        *((1e4, 1, 0, 0), (-1e4, 0, 0, 0), (1e4, 0, 1e4, 1), (-1e4, 1, 1e4, -1)),
        *((1e4, 0.25, 7500, 0.75), (0, 1, math.log(2), -0.5)),
        # No digits are lost to cancellation where the answer is right and confident.
        (20, 1, math.log1p(math.exp(-20)), -1 / (1 + math.exp(20))),
        (-20, 0, math.log1p(math.exp(-20)), 1 / (1 + math.exp(20))),
        (-1e4, 0.75, 7500, -0.75),
    ]:
        z, t = np.array([logit], dtype), np.array([target], dtype)
        assert loss(z, t) == pytest.approx(value, rel=relative)
        assert grad(loss)(z, t)[0] == pytest.approx(slope, rel=4 * relative)
        assert np.isfinite(hvp(loss, (z, t), (z, t * 0))[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_of_classes_are_stable(dtype):
    z = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4]], dtype)
    np.testing.assert_allclose(losses.cross_entropy(z, np.array([1, 1]), reduction="none"), [2e4, math.log(2)])
    np.testing.assert_allclose(grad(losses.cross_entropy)(z, np.array([1, 1])), [[0.5, -0.5, 0], [0, -0.25, 0.25]])
    p = np.array([[0, 0.5, 0.5], [0, 0.5, 0.5]], dtype)
    np.testing.assert_allclose(losses.kl_divergence(z, p, reduction="none"), [15000 - math.log(2), 0], atol=1e-6)
    slope = grad(losses.kl_divergence)(z, p)
    np.testing.assert_allclose(slope, [[0.5, -0.25, -0.25], [0, 0, 0]], atol=1e-7)


def test_divergence_of_impossible_classes(rng):
    # Neither a target of 0 nor, at such a target, a logit of minus infinity costs anything.
    z, p = np.array([[0.0, 1.0, -np.inf]]), np.array([[0.25, 0.75, 0.0]])
    want = 0.25 * math.log(0.25) + 0.75 * math.log(0.75) - 0.75 + math.log(1 + math.e)
    assert losses.kl_divergence(z, p) == pytest.approx(want, rel=1e-14)
    q = np.exp(z) / (1 + math.e)
    np.testing.assert_allclose(grad(losses.kl_divergence)(z, p), q - p, rtol=1e-13)


def test_divergence_of_a_distribution_from_itself(rng):
    p = rng.dirichlet(np.ones(7), 20)
    np.testing.assert_allclose(losses.kl_divergence(np.log(p) + 3, p, reduction="none"), 0, atol=1e-14)
    other = rng.normal(size=p.shape)
    entropy = -np.sum(p * np.log(p), axis=1)
    gap = losses.cross_entropy(other, p, reduction="none") - entropy
    np.testing.assert_allclose(losses.kl_divergence(other, p, reduction="none"), gap, rtol=1e-12)
    assert gap.min() > 0


def test_cross_entropy_ignores_marked_examples(rng):
    z, t = rng.normal(size=(5, 4)), np.array([1, -1, 3, -1, 0])
    kept = t != -1
    for reduction in ("mean", "sum"):
        want = losses.cross_entropy(z[kept], t[kept], reduction=reduction)
        got = losses.cross_entropy(z, t, ignore_index=-1, reduction=reduction)
        assert got == pytest.approx(want, rel=1e-14)
    slopes = grad(functools.partial(losses.cross_entropy, ignore_index=-1))(z, t)
    np.testing.assert_allclose(slopes[kept], grad(losses.cross_entropy)(z[kept], t[kept]), rtol=1e-14)
    assert np.all(slopes[~kept] == 0)


@pytest.mark.parametrize(
    "name", ["cross_entropy", "soft_cross_entropy", "kl_divergence", "weston-watkins", "crammer-singer"]
)
def test_classes_along_any_axis(name, rng):
    loss, s, t, _ = case(name, rng, shape=(24, 5))
    flat = loss(s, t, reduction="none")
    images = np.moveaxis(s.reshape(2, 3, 4, 5), -1, 1)  # (n, classes, h, w)
    targets = t.reshape(2, 3, 4) if t.ndim == 1 else np.moveaxis(t.reshape(2, 3, 4, 5), -1, 1)
    for axis in (1, -3):
        np.testing.assert_allclose(
            loss(images, targets, axis=axis, reduction="none"), flat.reshape(2, 3, 4), rtol=1e-14
        )
    alone = loss(s[0], t[0], reduction="none")
    assert alone.shape == ()
    assert alone == pytest.approx(flat[0], rel=1e-14)


def test_multiclass_hinge_margin_and_two_classes(rng):
    s, t = rng.normal(size=(30, 2)), rng.integers(0, 2, 30)
    want = losses.hinge(s[:, 1] - s[:, 0], 2 * t - 1, margin=0.3)
    for kind in ("weston-watkins", "crammer-singer"):
        assert losses.multiclass_hinge(s, t, kind=kind, margin=0.3) == pytest.approx(want, rel=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_without_values(name, rng):
    loss, p, t, _ = case(name, rng, np.float32)
    for reduction in ("mean", "none"):
        want = loss(p, t, reduction=reduction)
        got = eval_shape(functools.partial(loss, targets=t, reduction=reduction), p)
        assert (got.shape, got.dtype) == (want.shape, want.dtype)


def test_lists_and_numbers():
    assert losses.mse([1.0, 2.0], [1, 4]) == 2
    assert losses.mse(3.0, 1) == 4
    assert losses.hinge([0.5], [1]) == 0.5
    assert losses.multiclass_hinge([[0.0, 0.5]], [0]) == 1.5


NAMES = {
    "binary": "binary_cross_entropy_with_logits",
    "soft_cross_entropy": "softmax_cross_entropy",
    "cross_entropy": "softmax_cross_entropy",
    "weston-watkins": "multiclass_hinge",
    "crammer-singer": "multiclass_hinge",
}


@pytest.mark.parametrize("name", LOSSES)
def test_bad_input_of_all(name, rng):
    loss, p, t, _ = case(name, rng)
    said = NAMES.get(name, name)
    with pytest.raises(ValueError, match=rf'^{said}: reduction must be "mean", "sum" or "none", .*\'average\''):
        loss(p, t, reduction="average")
    with pytest.raises(TypeError, match=rf"^{said}: .*int64\[6,5\]; convert with"):
        loss(p.astype(int), t)
    with pytest.raises(TypeError, match=rf"^{said}: .*complex128\[6,5\]"):
        loss(p + 0j, t)
    with pytest.raises(ValueError, match=rf"^{said}: .*\(6, 5\)"):
        loss(p, t[:-1])


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "binary", "hinge", "kl_divergence"])
def test_nothing_is_broadcast(name, rng):
    loss, p, t, _ = case(name, rng)
    with pytest.raises(
        ValueError, match=r"\(6, 5\) and targets \(6, 1\) must have the same shape; nothing is broadcast"
    ):
        loss(p, t[:, :1])
    with pytest.raises(ValueError, match=r"\(6, 1\) and targets \(6,\) must have the same shape"):
        loss(p[:, :1], t[:, 0])
    with pytest.raises(TypeError, match=r"targets must be real numbers, not complex128\[6,5\]"):
        loss(p, t + 0j)


@pytest.mark.parametrize("name", LOSSES)
def test_no_examples(name, rng):
    loss, p, t, _ = case(name, rng)
    assert loss(p[:0], t[:0], reduction="sum") == 0
    assert loss(p[:0], t[:0], reduction="none").shape[0] == 0
    with pytest.raises(ValueError, match=r"there is no mean of no losses .*; use \"sum\" or \"none\""):
        loss(p[:0], t[:0])


def test_bad_targets():
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"logits: targets are probabilities, from 0 to 1; -1.0 is not"):
        losses.binary_cross_entropy_with_logits(x[0], np.array([0, 1, -1]))
    with pytest.raises(ValueError, match="from 0 to 1; nan is not"):
        losses.binary_cross_entropy_with_logits(x[0], np.array([0, 1, np.nan]))
    with pytest.raises(ValueError, match=r"hinge: targets are -1 or 1, not 0; from 0 and 1, use 2 \* t - 1"):
        losses.hinge(x[0], np.array([0, 1, 1]))
    with pytest.raises(ValueError, match=r"kl_divergence: targets are probabilities; -0.5 is not"):
        losses.kl_divergence(x, np.array([[1.5, -0.5, 0], [1, 0, 0]]))
    with pytest.raises(ValueError, match=r"probabilities sum to 1 along axis 1; some targets sum to 0.8"):
        losses.kl_divergence(x, np.array([[1, 0, 0], [0.4, 0.4, 0]]))
    with pytest.raises(TypeError, match=r"multiclass_hinge: targets must be class numbers, .*, not float64\[2\]"):
        losses.multiclass_hinge(x, np.zeros(2))
    with pytest.raises(ValueError, match=r"scores \(2, 3\) with classes along axis 1 need targets \(2,\), not \(3,\)"):
        losses.multiclass_hinge(x, np.zeros(3, int))
    for label in (3, -1):
        with pytest.raises(IndexError, match=f"multiclass_hinge: label {label} is out of range for 3 classes"):
            losses.multiclass_hinge(x, np.array([0, label]))
        with pytest.raises(IndexError, match=f"class number {label} at position 1 is out of range for 3 classes"):
            losses.cross_entropy(x, np.array([0, label]))


def test_bad_arguments():
    x, t = np.zeros((2, 3)), np.zeros(2, int)
    with pytest.raises(ValueError, match=r"huber: delta must be positive and finite, not 0.0"):
        losses.huber(x, x, delta=0)
    with pytest.raises(ValueError, match="hinge: margin must be positive and finite, not nan"):
        losses.hinge(x, x + 1, margin=math.nan)
    with pytest.raises(ValueError, match='kind must be "weston-watkins" or "crammer-singer", not \'both\''):
        losses.multiclass_hinge(x, t, kind="both")
    with pytest.raises(np.exceptions.AxisError, match="kl_divergence: axis 2 is out of bounds"):
        losses.kl_divergence(x, x + 1 / 3, axis=2)
    with pytest.raises(ValueError, match=r"multiclass_hinge: shape \(2, 0\) has no classes along axis -1"):
        losses.multiclass_hinge(x[:, :0], t)


@pytest.mark.parametrize("name", LOSSES)
def test_against_pytorch(name, rng):
    torch = pytest.importorskip("torch")
    f = pytest.importorskip("torch.nn.functional")
    theirs = {
        "mse": f.mse_loss,
        "mae": f.l1_loss,
        "huber": functools.partial(f.huber_loss, delta=0.75),
        "binary": f.binary_cross_entropy_with_logits,
        "hinge": lambda s, t, reduction: getattr(torch, reduction)(torch.relu(1 - t * s)),
        "cross_entropy": f.cross_entropy,
        "soft_cross_entropy": f.cross_entropy,
        "kl_divergence": lambda z, p, reduction: f.kl_div(
            torch.log_softmax(z, 1), p, reduction="batchmean" if reduction == "mean" else reduction
        ),
        # Theirs is divided by the number of classes.
        "weston-watkins": lambda s, t, reduction: 5 * f.multi_margin_loss(s, t, reduction=reduction),
    }.get(name)
    if theirs is None:
        pytest.skip("PyTorch has no such loss")
    loss, p, t, _ = case(name, rng)
    for reduction in ("mean", "sum"):
        x = torch.tensor(p, requires_grad=True)
        value = theirs(x, torch.tensor(t), reduction=reduction)
        value.backward()
        assert loss(p, t, reduction=reduction) == pytest.approx(value.item(), rel=1e-13)
        ours = grad(functools.partial(loss, reduction=reduction))(p, t)
        np.testing.assert_allclose(ours, x.grad.numpy(), rtol=1e-12, atol=1e-15)
