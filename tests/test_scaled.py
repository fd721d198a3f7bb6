"""Numbers that wait: they change no derivative, no array that is somebody else's, and nobody outside sees them."""

import itertools

import numpy as np
import pytest
from hypothesis import given

from autodiff import grad, hvp, jvp, linearize, value_and_grad, vjp
from autodiff.core import scaled
from autodiff.core.scaled import LIMITS, Scaled, add_into, added, negated, plain, rescaled, subtracted, times
from tests.test_programs import along, close, directions, dot, inputs, program, programs, pulled


@pytest.fixture
def always(monkeypatch):
    """Let numbers wait on arrays of every size."""
    monkeypatch.setattr(scaled, "LARGE", 1)


def derivatives(f, xs, ts, us):
    """Everything that is compared: both modes, all mixtures of second order, a recorded trace."""
    found = [jvp(f, xs, ts)[1], *grad(f, (0, 1, 2))(*xs), *hvp(f, xs, ts)]
    found += [second(first(f, ts), us)(*xs) for first, second in itertools.product((along, pulled), repeat=2)]
    push = linearize(f, *xs)[1]
    pull = vjp(f, *xs)[1]
    return [*found, push(*ts), dot(pull(1.0), ts), push(*us), dot(pull(2.0), us)]


@given(programs(smooth=False))
def test_waiting_changes_no_derivative(steps):
    f, xs, ts, us = program(steps), inputs(), directions(0), directions(1)
    want = derivatives(f, xs, ts, us)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaled, "LARGE", 1)
        got = derivatives(f, xs, ts, us)
    for g, w in zip(got, want, strict=True):
        assert type(g) is type(w)
        close(g, w, 1e-11)


SHARED = {
    "a residual is the adjoint of two": lambda x: _squares(x - 1.0),
    "both signs": lambda x: np.sum(-np.sin(x) - (2.0 - np.sin(x)) * 3.0) - np.sum(-(x**2)),
    "overlapping parts": lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2),
    "parts of every kind": lambda x: np.sum(-x[::2]) + np.sum(3 * x[np.array([0, 0, 2])]) - np.sum((-x)[None, 1:] ** 2),
    "a diagonal": lambda x: np.sum(-np.diagonal(np.outer(x, x))) - 2 * np.trace(np.outer(2 * x, -x)),
    "broadcast": lambda x: np.sum((-x) * np.ones((3, 1), np.float32) * 2.0) - np.sum(np.reshape(-x, (-1, 1)) ** 2 - x),
    "chosen": lambda x: np.sum(np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), -2.0 * x) ** 2),
    "mean and product": lambda x: np.mean(-x) * np.sum(0.5 * x * x) + np.dot(-x, 2 * x),
    "assigned": lambda x: np.sum(_assigned(-x)),
}


def _squares(r):
    return np.sum(r**2) + np.sum(3.0 * r**2) + np.sum(r)


def _assigned(y):
    y = 2.0 * y
    y[1:3] = -(y[0:2] ** 2)
    y[0] *= -3.0
    return y * y


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_arrays_with_several_owners(always, name, dtype):
    """Differences judge; every array that came in is as it was; a second sweep over the same trace agrees."""
    f = SHARED[name]
    rng = np.random.default_rng(3)
    x = rng.uniform(0.5, 1.5, 6)
    x[2] = -0.7
    t = rng.normal(size=6)
    h = 1e-5
    slope = (8 * (f(x + h * t) - f(x - h * t)) - (f(x + 2 * h * t) - f(x - 2 * h * t))) / (12 * h)
    gradient = grad(f)
    curvature = (gradient(x + h * t) - gradient(x - h * t)) / (2 * h)
    x, t = x.astype(dtype), t.astype(dtype)
    kept_x, kept_t = x.copy(), t.copy()
    rtol = 1e-8 if dtype is np.float64 else 1e-4
    value, pull = vjp(f, x)
    first, second = pull(np.ones_like(value)[()])[0], pull(np.ones_like(value)[()])[0]
    dvalue = jvp(f, (x,), (t,))[1]
    assert type(first) is np.ndarray
    assert first.dtype == dvalue.dtype == dtype
    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, second)
    close(np.dot(first.astype(float), t), slope, rtol)
    close(dvalue, slope, rtol)
    for form in (jvp(grad(f), (x,), (t,))[1], grad(lambda x: jvp(f, (x,), (t,))[1])(x)):
        assert form.dtype == dtype
        close(form, curvature, 1e-6 if dtype is np.float64 else 1e-3)
    np.testing.assert_array_equal(x, kept_x)
    np.testing.assert_array_equal(t, kept_t)


@pytest.mark.parametrize("f", [lambda x: -x, lambda x: 3.0 * x, lambda x: 1.0 - x, lambda x: -np.negative(x)])
def test_results_are_arrays_of_their_own(always, f):
    x, t = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    dy = jvp(f, (x,), (t,))[1]
    (ct,) = vjp(f, x)[1](t)
    for got in (dy, ct):
        assert type(got) is np.ndarray
        assert got.flags.writeable
        got[:] = 0
    np.testing.assert_array_equal(t, [3.0, 4.0])
    np.testing.assert_array_equal(x, [1.0, 2.0])


@pytest.mark.parametrize("f", [lambda x: 4.0 * x, lambda x: -x - 3 * x, lambda x: np.sum(-x * 4.0)])
def test_a_large_tangent_overflows_in_silence(always, f):
    """Only the value may warn; the derivative is infinite, as it is without waiting."""
    x, t = np.ones(2), np.full(2, 1e308)
    assert np.all(np.isinf(jvp(f, (x,), (t,))[1]))
    assert np.all(np.isinf(vjp(lambda x: 4.0 * x, x)[1](t)[0]))


def test_infinite_and_zero_weights(always):
    """A number of 0, infinity or NaN does not wait: what it makes of its array is seen at once."""
    x, t = np.array([1.0, np.inf]), np.ones(2)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(jvp(lambda x: 0.0 * x * x, (x,), (t,))[1], [0.0, np.nan])
    assert np.all(np.isnan(grad(lambda x: np.sum(np.nan * x))(t)))
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.inf * x))(t), [np.inf, np.inf])
    np.testing.assert_array_equal(grad(lambda x: np.sum(0.0 * x))(t), [0.0, 0.0])


@pytest.mark.parametrize("dtype", LIMITS)
def test_what_waits(always, dtype):
    a = np.arange(1.0, 4.0).astype(dtype)
    limit = LIMITS[dtype]
    for number in (2, 0.5, -1.0, limit, 1 / limit, dtype.type(3)):
        for waiting in (times(a, number), times(number, a)):
            assert type(waiting) is Scaled
            assert waiting.array is a
            assert waiting.dtype == plain(waiting).dtype == dtype
            assert waiting.shape == (3,)
            np.testing.assert_array_equal(plain(waiting), a * number)
    for number in (0.0, np.inf, np.nan, 2 * limit, 0.5 / limit, True, np.array(2.0, dtype), 2j):
        assert type(times(a, number)) is np.ndarray
    other = np.float32 if dtype == np.float64 else np.float64
    assert times(a, other(2)).dtype == (a * other(2)).dtype  # promoted as NumPy does
    for never in (a.astype(np.float16), a.astype(np.complex128)):
        assert type(times(never, 2.0)) is type(negated(never)) is np.ndarray
    assert type(rescaled(Scaled(limit, a), 4.0)) is np.ndarray
    assert type(rescaled(Scaled(limit, a), 0.25)) is Scaled


def test_small_arrays_do_not_wait():
    a = np.ones(scaled.LARGE - 1)
    assert type(times(a, 2.0)) is type(negated(a)) is np.ndarray
    assert type(times(np.ones(scaled.LARGE), 2.0)) is Scaled


def test_sums_of_what_waits(always):
    a, b = np.array([1.0, 2.0]), np.array([0.5, -4.0])
    kinds = [lambda x: x, lambda x: Scaled(1.0, x), lambda x: Scaled(-1.0, x), lambda x: Scaled(0.25, x)]
    kept = a.copy(), b.copy()
    for one, two in itertools.product(kinds, repeat=2):
        x, y = plain(one(a)), plain(two(b))
        np.testing.assert_array_equal(plain(added(one(a), two(b))), x + y)
        np.testing.assert_array_equal(plain(subtracted(one(a), two(b))), x - y)
        np.testing.assert_array_equal(plain(negated(one(a))), -x)
        np.testing.assert_array_equal(plain(times(one(a), b)), x * b)
        for empty in (False, True):
            place = np.array([0.0, 0.0] if empty else [7.0, 8.0])
            want = place + x
            add_into(place, one(a), empty)
            np.testing.assert_array_equal(place, want)
    mixed = added(Scaled(2.0, a), Scaled(2.0, b.astype(np.float32)))
    assert plain(mixed).dtype == np.float64
    np.testing.assert_array_equal(a, kept[0])
    np.testing.assert_array_equal(b, kept[1])


def test_numbers_of_the_rosenbrock_gradient_meet_once(monkeypatch):
    """Four differences, two squares and a factor of 100 cost one multiplication each where an adjoint is placed."""
    n = scaled.LARGE + 1
    x = np.random.default_rng(0).normal(size=n)
    settled = []
    value = Scaled.value
    monkeypatch.setattr(Scaled, "value", lambda self: settled.append(self.factor) or value(self))
    placed = []
    into = scaled._combined
    monkeypatch.setattr(scaled, "_combined", lambda a, b, k, out=None: placed.append(k) or into(a, b, k, out))
    y, g = value_and_grad(lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2))(x)
    assert settled == []
    assert sorted(placed) == [-400.0, 200.0]
    r, s = x[1:] - x[:-1] ** 2, 1.0 - x[:-1]
    want = np.zeros(n)
    want[:-1] = -400.0 * x[:-1] * r - 2.0 * s
    want[1:] += 200.0 * r
    assert y == np.sum(100.0 * r**2 + s**2)
    np.testing.assert_allclose(g, want, rtol=1e-13, atol=1e-12)
