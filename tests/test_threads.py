"""Threads, generators and tasks: interpreter state travels with the values, not with the interpreter."""

# ruff: noqa: B023, PLW0108 - functions that are used at once, and lambdas that show whole programs

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from autodiff import checkpoint, custom_jvp, custom_vjp, grad, hvp, jacfwd, jvp, linearize, value_and_grad, vjp
from autodiff.core.errors import LeakedTracerError
from autodiff.core.level import active_levels
from autodiff.core.variable import ReverseLevel

V = np.array([1.0, 2.0, 3.0])


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    assert active_levels() == ()
    yield
    assert active_levels() == ()


CUSTOM = custom_vjp(lambda x: x**3)
CUSTOM.defvjp(lambda x: (CUSTOM(x), x), lambda x, ct: (3 * x * x * ct,))
SINE = custom_jvp(lambda x: np.sin(x))
SINE.defjvp(lambda p, t: (SINE(*p), np.cos(p[0]) * t[0]))

PROGRAMS = [
    (lambda k: grad(lambda x: x**k)(2.0), lambda k: k * 2.0 ** (k - 1)),
    (lambda k: grad(grad(lambda x: np.sin(k * x)))(0.5), lambda k: -(k**2) * np.sin(k * 0.5)),
    (lambda k: jvp(grad(lambda x: np.exp(k * x)), (0.1,), (1.0,))[1], lambda k: k**2 * np.exp(0.1 * k)),
    (lambda k: grad(lambda x: jvp(lambda y: x * y**k, (2.0,), (1.0,))[1])(1.0), lambda k: k * 2.0 ** (k - 1)),
    (lambda k: np.sum(hvp(lambda x: np.sum(x**3) * k, (V,), (V,))), lambda k: 6.0 * k * np.sum(V**2)),
    (
        lambda k: grad(lambda x: checkpoint(lambda y: np.sin(y) * k)(x) * x)(0.5),
        lambda k: k * (np.sin(0.5) + 0.5 * np.cos(0.5)),
    ),
    (lambda k: jvp(lambda x: CUSTOM(x) * k, (2.0,), (1.0,))[1], lambda k: 12.0 * k),
    (lambda k: grad(lambda x: SINE(x) * k)(0.5), lambda k: k * np.cos(0.5)),
    (lambda k: np.trace(jacfwd(lambda x: x * x * k)(V)), lambda k: 2.0 * k * np.sum(V)),
]


def test_eight_threads_at_once():
    start = threading.Barrier(8)

    def work(thread):
        start.wait()
        found = []
        for repeat in range(40):
            program, expected = PROGRAMS[(thread + repeat) % len(PROGRAMS)]
            k = 1 + (thread * 7 + repeat) % 5
            found.append((program(k), expected(k)))
        assert active_levels() == ()
        return found

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(work, range(8)):
            for value, expected in found:
                assert value == pytest.approx(expected, rel=1e-12)


def test_the_same_function_in_eight_threads():
    loss = lambda w, x: np.sum(np.tanh(w * x) ** 2)
    gradient = value_and_grad(loss)
    inputs = [V * k for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda x: gradient(V, x), inputs * 10))
    for (value, slope), x in zip(found, inputs * 10, strict=True):
        assert value == loss(V, x)
        np.testing.assert_array_equal(slope, grad(loss)(V, x))


@pytest.mark.parametrize("transform", [grad, lambda f: lambda x: jvp(f, (x,), (1.0,))[1]])
def test_a_thread_started_inside_the_function_uses_its_values(transform):
    def f(x):
        with ThreadPoolExecutor(2) as pool:
            parts = [pool.submit(lambda k: np.sin(x * k) * x, k) for k in (1.0, 2.0)]
            inner = pool.submit(lambda: grad(lambda y: y * y * x)(x))  # 2 x**2
            return parts[0].result() + parts[1].result() + inner.result()

    plain = lambda x: np.sin(x) * x + np.sin(2 * x) * x + 2 * x * x
    assert transform(f)(0.7) == pytest.approx(transform(plain)(0.7), rel=1e-12)
    assert transform(transform(f))(0.7) == pytest.approx(transform(transform(plain))(0.7), rel=1e-12)


def test_a_thread_that_outlives_its_transform_is_told_so():
    ended = threading.Event()
    kept = {}

    def late(x):
        ended.wait()
        return x * 2

    def f(x):
        kept["future"] = pool.submit(late, x)
        return x

    with ThreadPoolExecutor(1) as pool:
        assert grad(f)(1.0) == 1.0
        ended.set()
        with pytest.raises(LeakedTracerError, match="multiply"):
            kept["future"].result()


def test_pullbacks_and_linear_maps_from_other_threads():
    _, pullback = vjp(lambda x: checkpoint(np.sin)(x) * x, V)
    _, push = linearize(lambda x: np.sin(x) * x, V)
    slope = np.sin(V) + V * np.cos(V)
    with ThreadPoolExecutor(8) as pool:
        for k, (back, ahead) in enumerate(pool.map(lambda k: (pullback(k * V)[0], push(k * V)), range(40))):
            np.testing.assert_allclose(back, k * V * slope)
            np.testing.assert_allclose(ahead, k * V * slope)


# -- generators ----------------------------------------------------------------------------------------------


def test_generators_that_interleave_their_transforms():
    def descend(f, x):
        while True:
            x = x - 0.1 * grad(f)(x)
            yield x

    def tangents(f, x):
        _, push = linearize(f, x)
        _, pullback = vjp(f, x)
        k = 0.0
        while True:
            k += 1.0
            yield push(k), pullback(k)[0], jvp(f, (x,), (k,))[1], grad(lambda y: k * f(y))(x)

    a, b = descend(lambda x: x * x, 1.0), descend(lambda x: (x - 3.0) ** 2, 0.0)
    c, d = tangents(np.sin, 0.5), tangents(np.exp, 0.5)
    for k in range(1, 10):
        assert next(a) == pytest.approx(0.8**k)
        assert next(b) == pytest.approx(3 * (1 - 0.8**k))
        np.testing.assert_allclose(next(c), [k * np.cos(0.5)] * 4)
        np.testing.assert_allclose(next(d), [k * np.exp(0.5)] * 4)


def test_a_generator_that_is_advanced_by_two_transforms():
    def powers(x):
        y = 1.0
        while True:
            y = y * x
            yield y

    def f(x):
        outer = powers(x)

        def g(z):
            inner = powers(z)
            next(inner)
            return next(outer) * next(inner)  # x z**2, then x**2 z**2

        return grad(g)(x) + grad(g)(1.0) * next(outer)  # 2 x**2 + 2 x**2 x**3

    assert grad(f)(2.0) == pytest.approx(4 * 2 + 10 * 2**4)
    assert jvp(f, (2.0,), (1.0,))[1] == pytest.approx(4 * 2 + 10 * 2**4)


def test_a_transform_started_in_one_step_of_a_generator_and_used_in_another():
    def session(x):
        value, pullback = vjp(lambda y: np.sin(y) * x, x)
        cotangent = yield value
        while True:
            cotangent = yield pullback(cotangent)[0]

    first, second = session(0.5), session(1.0)
    assert next(first) == np.sin(0.5) * 0.5
    assert next(second) == np.sin(1.0)
    assert grad(lambda x: first.send(x) * x)(2.0) == pytest.approx(2 * 2.0 * np.cos(0.5) * 0.5)
    assert second.send(3.0) == pytest.approx(3 * np.cos(1.0))
    assert first.send(1.0) == pytest.approx(np.cos(0.5) * 0.5)


@pytest.mark.parametrize("first_out", [0, 1])
def test_levels_that_end_in_another_order_than_they_began(first_out):
    # A `with` block inside a generator ends when the generator does: not as nested calls would.
    levels = [ReverseLevel("first"), ReverseLevel("second")]

    def block(level):
        with level.running():
            yield
        yield

    blocks = [block(level) for level in levels]
    next(blocks[0])
    next(blocks[1])
    assert active_levels() == tuple(levels)
    next(blocks[first_out])
    assert active_levels() == (levels[1 - first_out],)
    assert levels[first_out].closed
    assert not levels[1 - first_out].closed
    next(blocks[1 - first_out])
    assert active_levels() == ()


def test_a_generator_that_is_dropped_closes_its_level():
    level = ReverseLevel("dropped")

    def block():
        with level.running():
            yield

    running = block()
    next(running)
    assert active_levels() == (level,)
    running.close()
    assert active_levels() == ()
    assert level.closed


# -- tasks and contexts --------------------------------------------------------------------------------------


def test_asyncio_tasks_that_take_turns():
    async def descend(target, x):
        for _ in range(5):
            x = x - 0.1 * grad(lambda y: (y - target) ** 2)(x)
            await asyncio.sleep(0)
            _, pullback = vjp(lambda y: y * target, x)
            await asyncio.sleep(0)
            assert pullback(2.0)[0] == 2 * target
            assert active_levels() == ()
        return x

    async def main():
        return await asyncio.gather(*(descend(float(k), 0.0) for k in range(8)))

    found = asyncio.run(main())
    np.testing.assert_allclose(found, np.arange(8) * (1 - 0.8**5))


def test_a_loop_of_tasks_inside_a_differentiated_function():
    async def part(x, k):
        await asyncio.sleep(0)
        return grad(lambda y: y**2 * x)(x) * k  # 2 k x**2

    def f(x):
        async def main():
            return await asyncio.gather(*(part(x, k) for k in (1.0, 2.0)))

        return sum(asyncio.run(main()))

    assert grad(f)(3.0) == pytest.approx(12 * 3.0)


def test_a_copied_context_keeps_its_own_levels():
    seen = []

    def f(x):
        context = contextvars.copy_context()
        seen.append(context)
        return context.run(lambda: grad(lambda y: y * y * x)(x))

    assert grad(f)(3.0) == 12.0
    (context,) = seen
    assert [level.transform for level in context.run(active_levels)] == ["grad"]
    # The level is closed for that context as well.
    assert all(level.closed for level in context.run(active_levels))


def test_levels_are_closed_after_an_error_in_a_thread():
    def work(_):
        with pytest.raises(ZeroDivisionError):
            grad(lambda x: jvp(lambda y: y * (1 // 0), (x,), (1.0,))[1])(1.0)
        return active_levels()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(16))) == {()}
