"""`checkpoint`: the same numbers, less memory, and an error when the function cannot be run twice."""

# ruff: noqa: B023, PLW0108 - functions that bind late, and lambdas that show whole programs

from __future__ import annotations

import itertools
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from autodiff import checkpoint, custom_vjp, grad, hessian, hvp, jacfwd, jacrev, jvp, linearize, value_and_grad, vjp
from autodiff.core.errors import DifferentiationError
from autodiff.core.level import active_levels
from tests.modes import D, mixtures, nested

V = np.array([1.0, 2.0, 3.0])
ORDERS = [*mixtures(1), *mixtures(2), *mixtures(3)]


def same_derivatives(program, x):
    """Assert that a program, called with `checkpoint` or the identity, has the same derivatives in every transform."""
    with_it, without = program(checkpoint), program(lambda f: f)
    ones = np.ones_like(x)
    for transform in (
        lambda f: value_and_grad(f)(x),
        lambda f: jvp(f, (x,), (ones,)),
        lambda f: (vjp(f, x)[1](2.0)[0], vjp(f, x)[1](2.0)[0]),
        lambda f: (linearize(f, x)[1](ones),),
        lambda f: (hvp(f, (x,), (ones,)),),
        lambda f: (grad(lambda v: np.sum(grad(f)(v)))(x),),
        lambda f: (grad(lambda v: jvp(f, (v,), (ones,))[1])(x),),
        lambda f: (jacfwd(f)(x), jacrev(f)(x)),
    ):
        for a, b in zip(transform(with_it), transform(without), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


# -- the same numbers ----------------------------------------------------------------------------------------


def test_a_segment():
    same_derivatives(lambda ck: lambda x: np.sum(ck(lambda v: np.tanh(np.sin(v) * v))(x) * x), V)


def test_checkpoint_inside_checkpoint():
    def program(ck):
        inner = ck(lambda v, w: np.sin(v * w))
        middle = ck(lambda v: inner(inner(v, 2.0), v) * v)
        return lambda x: np.sum(ck(lambda v: middle(v) + inner(v, middle(v)))(x))

    same_derivatives(program, V)


def test_closures_over_traced_values():
    def program(ck):
        def f(w):
            scale = np.exp(-w)

            @ck
            def segment(v):
                return np.sin(v * w) * scale

            @ck
            def outer(v):
                return segment(v) + scale * ck(lambda u: u * w)(v)

            return np.sum(outer(segment(w * 1.0)) * scale)

        return f

    same_derivatives(program, V)


@pytest.mark.parametrize("modes", ORDERS)
def test_closures_over_traced_values_of_two_levels(modes):
    def program(ck):
        def f(w):
            def g(u):
                segment = ck(lambda v: np.sin(v * w) * np.cos(u) + ck(lambda z: z * u * w)(v))
                return segment(segment(u * w))

            return D["r"](g)(w * 0.5) * D["f"](g)(w)

        return f

    assert nested(modes, program(checkpoint))(0.7) == pytest.approx(nested(modes, program(lambda f: f))(0.7), rel=1e-11)


def test_trees_keywords_and_other_values():
    def program(ck):
        @ck
        def f(p, *, n, how):
            assert how == "sum"
            return {"y": (p["a"] * n, p["b"]), "n": n, "how": how, "mask": p["a"] > 0, "none": None}

        def g(x):
            out = f({"a": x, "b": 3.0}, n=2, how="sum")
            assert out["how"] == "sum"
            return np.sum(np.where(out["mask"], out["y"][0], 0.0)) * out["y"][1] * out["n"]

        return g

    same_derivatives(program, V)


def test_arguments_that_come_back_unchanged():
    def program(ck):
        identity = ck(lambda a, b: (a, b, a * 2.0, a))
        return lambda x: np.sum(identity(x, V)[0] * identity(V, x)[1] * identity(x, x)[2] * identity(x, 1.0)[3])

    same_derivatives(program, V)


def test_results_that_do_not_depend_on_the_input():
    assert grad(lambda x: checkpoint(lambda v: (3.0, v * 2))(x)[0])(1.0) == 0.0
    assert grad(lambda x: checkpoint(lambda v: 3.0)(x) * x)(1.0) == 3.0
    assert checkpoint(lambda v: v * 2)(2.0) == 4.0
    assert grad(lambda x: checkpoint(lambda: x * x)())(3.0) == 6.0


def test_a_custom_rule_inside():
    f = custom_vjp(lambda x: np.sin(x))
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (np.cos(x) * ct,))
    same_derivatives(lambda ck: lambda x: np.sum(ck(lambda v: f(v) * f(v * v))(x)), V)


def test_a_loop_that_rebinds_what_the_function_reads():
    # The function runs again when the loop is over: it sees its closure as it was.
    def program(ck):
        def f(x):
            y = x
            for power in range(1, 4):
                weight = float(power)

                def helper(v):
                    return v * weight

                y = ck(lambda v: np.sin(helper(v)) ** power)(y)
            return np.sum(y)

        return f

    same_derivatives(program, V)
    assert grad(lambda x: checkpoint(lambda v, n=2: v**n)(x))(3.0) == 6.0


def test_a_recursive_function_and_a_variable_assigned_later():
    def f(x):
        @checkpoint
        def power(v, n):
            return v if n == 1 else v * power(v, n - 1)

        def later():
            return unassigned  # noqa: F821 - deleted below

        segment = checkpoint(lambda v: (v * v, later)[0])
        y = segment(power(x, 4))
        unassigned = 1.0
        del unassigned
        return y

    assert grad(f)(2.0) == 8 * 2.0**7


def test_many_pulls_of_one_pullback():
    _, pullback = vjp(lambda x: checkpoint(np.sin)(x) * x, V)
    np.testing.assert_array_equal(pullback(V)[0], pullback(V)[0])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: pullback(k * np.ones(3))[0], range(32)))
    for k, got in enumerate(found):
        np.testing.assert_allclose(got, k * (np.sin(V) + V * np.cos(V)))


def test_a_thread_inside_the_function_has_its_own_context():
    def f(x):
        scale = x * 2
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(checkpoint(lambda v: np.sin(v) * scale), x).result()

    assert grad(f)(0.7) == pytest.approx(grad(lambda x: np.sin(x) * 2 * x)(0.7))
    assert grad(grad(f))(0.7) == pytest.approx(grad(grad(lambda x: np.sin(x) * 2 * x))(0.7))
    assert active_levels() == ()


def test_jacobian_and_hessian():
    f = lambda x: checkpoint(lambda v: np.sin(v) * v[::-1])(x)
    plain = lambda x: np.sin(x) * x[::-1]
    np.testing.assert_allclose(jacfwd(f)(V), jacfwd(plain)(V))
    np.testing.assert_allclose(jacrev(f)(V), jacrev(plain)(V))
    np.testing.assert_allclose(hessian(lambda x: np.sum(f(x)))(V), hessian(lambda x: np.sum(plain(x)))(V))


# -- when it runs --------------------------------------------------------------------------------------------


def test_the_function_runs_again_in_each_backward_sweep_and_not_in_forward_mode():
    runs = []

    @checkpoint
    def f(x):
        runs.append(1)
        return np.sin(x) * x

    assert f(1.0) == np.sin(1.0)
    assert len(runs) == 1
    jvp(f, (1.0,), (1.0,))
    assert len(runs) == 2
    _, pullback = vjp(f, 1.0)
    assert len(runs) == 3
    pullback(1.0)
    pullback(1.0)
    assert len(runs) == 5
    assert f.__name__ == "f"


# -- functions that cannot be run twice ----------------------------------------------------------------------


def refused(f, x=V):
    def noise(v):
        return f(v)

    with pytest.raises(
        DifferentiationError, match=r"checkpoint\(noise\): the function did something else .*seeds rather"
    ):
        grad(lambda v: np.sum(checkpoint(noise)(v)))(x)


def test_a_random_generator_is_seen():
    rng = np.random.default_rng(0)
    refused(lambda v: v * rng.normal(size=3))
    refused(lambda v: np.where(rng.random(3) > 0.5, v, 0.0) if rng.random() < 2 else v, x=np.arange(1.0, 4.0))


def test_a_counter_is_seen():
    count = itertools.count()
    refused(lambda v: v * next(count))
    shapes = iter([3, 2])
    refused(lambda v: v[: next(shapes)] * 2)
    leaves = iter([2, 1])
    with pytest.raises(DifferentiationError, match="did something else"):
        grad(lambda x: sum(checkpoint(lambda v: [v * 2] * next(leaves))(x)))(1.0)


def test_an_array_changed_in_place_is_seen():
    weights = V.copy()

    def f(x):
        y = checkpoint(lambda v: v * weights)(x)
        weights[:] = 0.0
        return np.sum(y)

    with pytest.raises(DifferentiationError, match="did something else"):
        grad(f)(V)


def test_nan_and_infinity_are_the_same_the_second_time():
    with np.errstate(all="ignore"):
        found = grad(lambda x: np.sum(checkpoint(lambda v: np.log(v) * np.array([1.0, 0.0, np.inf]))(x)))(
            np.array([0.0, 1, 2])
        )
    np.testing.assert_array_equal(found, [np.inf, 0.0, np.inf])


# -- memory --------------------------------------------------------------------------------------------------


def peak(f, x):
    grad(f)(x)
    tracemalloc.start()
    try:
        found = grad(f)(x)
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def recurrence(wrap, steps=1000, segment=32):
    """h = tanh(w h + 0.1), a thousand times, in segments that close over the traced weights."""

    def f(w):
        def run(h, n):
            for _ in range(n):
                h = np.tanh(h * w + 0.1)
            return h

        h = np.ones_like(w)
        for start in range(0, steps, segment):
            h = wrap(run)(h, min(segment, steps - start))
        return np.sum(h)

    return f


def test_a_thousand_steps_in_segments_need_a_fifth_of_the_memory():
    w = np.linspace(-0.9, 0.9, 2000)
    expected, stored = peak(recurrence(lambda f: f), w)
    found, recomputed = peak(recurrence(checkpoint), w)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert stored > 1000 * w.nbytes  # the comparison is with a trace that keeps every step
    assert recomputed * 5 < stored, f"{stored / recomputed:.1f}"


def test_nested_segments_need_less_still():
    w = np.linspace(-0.9, 0.9, 2000)

    def nested_recurrence(w):
        def steps(h, n):
            for _ in range(n):
                h = np.tanh(h * w + 0.1)
            return h

        @checkpoint
        def block(h):
            for _ in range(10):
                h = checkpoint(steps)(h, 10)
            return h

        h = np.ones_like(w)
        for _ in range(10):
            h = block(h)
        return np.sum(h)

    expected, stored = peak(recurrence(lambda f: f), w)
    found, recomputed = peak(nested_recurrence, w)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert recomputed * 12 < stored, f"{stored / recomputed:.1f}"
