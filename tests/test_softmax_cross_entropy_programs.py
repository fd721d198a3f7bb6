"""softmax_cross_entropy inside programs that call it again: pullbacks, nesting, checkpoints, recordings, threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from autodiff import check_grads, checkpoint, grad, hvp, jvp, linearize, trace, value_and_grad, vjp
from autodiff.ops import softmax_cross_entropy
from tests.softmax_checks import close, exact_losses, exact_softmax, take_path


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def path(request, monkeypatch):
    """Every test runs on the kernels and on plain NumPy."""
    take_path(request.param, monkeypatch)
    return request.param


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
