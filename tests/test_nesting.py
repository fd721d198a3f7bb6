"""Transforms inside transforms: no perturbation is taken for another, every mixture agrees."""

# ruff: noqa: PLW0108 - lambdas show whole programs

from __future__ import annotations

import math

import numpy as np
import pytest

import autodiff
from autodiff import checkpoint, grad, jvp, linear_transpose, linearize, vjp
from tests.modes import D, mixtures, nested


@pytest.mark.parametrize("outer", "frlv")
def test_pullbacks_and_linear_maps_under_an_outer_transform(outer):
    cube = lambda x: x * x * x
    f = lambda x: vjp(cube, x)[1](x)[0]  # 3 x**3
    assert D[outer](f)(2.0) == pytest.approx(36.0)
    f = lambda x: linearize(cube, x)[1](x * x)  # 3 x**4
    assert D[outer](f)(2.0) == pytest.approx(96.0)
    f = lambda x: linear_transpose(lambda t: t * x * x, 1.0)(x)[0]  # x**3
    assert D[outer](f)(2.0) == pytest.approx(12.0)
    _, pullback = vjp(cube, 2.0)
    assert D[outer](lambda ct: pullback(ct * ct)[0])(3.0) == pytest.approx(72.0)
    _, push = linearize(cube, 2.0)
    assert D[outer](lambda t: push(t * t))(3.0) == pytest.approx(72.0)


# -- perturbation confusion ----------------------------------------------------------------------------------


@pytest.mark.parametrize("modes", mixtures(2))
def test_the_inner_variable_is_not_the_outer_one(modes):
    outer, inner = (D[m] for m in modes)
    # Siskind and Pearlmutter (2005).
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0
    # ForwardDiff.jl #83: the inner function does not use its variable, or uses only the outer one.
    assert outer(lambda x: x * inner(lambda y: x)(1.0))(1.0) == 0.0
    assert outer(lambda x: inner(lambda y: x * x)(x))(2.0) == 0.0
    assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0
    assert outer(lambda x: inner(lambda y: x * y * y)(x))(3.0) == 12.0  # d/dx 2 x**2


@pytest.mark.parametrize("modes", mixtures(2))
def test_a_curried_function_is_differentiated_at_the_right_level(modes):
    # Manzyuk et al. (2019), "Perturbation confusion in forward automatic differentiation of higher-order functions".
    outer, inner = (D[m] for m in modes)
    shift = lambda u: lambda f: lambda x: f(x + u)
    derivative = outer(lambda u: inner(lambda y: shift(u)(np.sin)(y))(1.0))(0.0)
    assert derivative == pytest.approx(-math.sin(1.0))
    twice = outer(lambda u: shift(u)(shift(u)(lambda x: inner(np.sin)(x)))(1.0))(0.0)
    assert twice == pytest.approx(-2 * math.sin(1.0))


@pytest.mark.parametrize("modes", mixtures(2))
def test_inner_derivatives_of_arrays(modes):
    # ForwardDiff.jl #238 and ReverseDiff.jl #45: a gradient of a function that itself takes gradients.
    outer, _ = (D[m] for m in modes)

    def gradient(f, x):
        if modes[1] == "r":
            return grad(f)(x)
        return [jvp(f, (x,), (np.eye(2)[i],))[1] for i in range(2)]

    def f(s):
        g = gradient(lambda v: np.sum(s * v * v * v), np.array([1.0, 2.0]))
        return s * g[0] + s * s * g[1]  # 3 s**2 + 12 s**3

    assert outer(f)(2.0) == pytest.approx(12.0 + 144.0)


@pytest.mark.parametrize("modes", mixtures(2))
def test_a_loop_of_inner_derivatives(modes):
    # ForwardDiff.jl #443: the same inner function at many levels.
    outer, inner = (D[m] for m in modes)

    def newton(c):
        y = 1.0
        for _ in range(8):
            f = lambda y: y * y - c
            y = y - f(y) / inner(f)(y)
        return y

    assert newton(2.0) == pytest.approx(math.sqrt(2))
    assert outer(newton)(2.0) == pytest.approx(0.5 / math.sqrt(2))


@pytest.mark.parametrize("modes", mixtures(2))
def test_closures_that_change_outer_variables(modes):
    outer, inner = (D[m] for m in modes)

    def f(x):
        total = x

        def g(y):
            nonlocal total
            total = total + x * x  # of the outer level alone: stays usable
            return y * y * x

        slope = inner(g)(3.0)  # 6 x
        return total * slope  # (x + x**2) 6 x

    assert outer(f)(2.0) == pytest.approx(12 * 2 + 18 * 4)

    def leaks(x):
        kept = []
        inner(lambda y: kept.append(x * y) or y)(3.0)
        return kept[0]

    with pytest.raises(autodiff.core.errors.LeakedTracerError):
        outer(leaks)(2.0)


@pytest.mark.parametrize("modes", mixtures(3))
def test_third_derivatives_agree_in_every_order(modes):
    f = lambda x: np.sin(x * x) * np.exp(x) / (x + 2)
    assert nested(modes, f)(0.7) == pytest.approx(grad(grad(grad(f)))(0.7), rel=1e-10)
    assert nested(modes, lambda x: x**5)(2.0) == pytest.approx(240.0)
    assert nested(modes, lambda x: x)(2.0) == 0.0


@pytest.mark.parametrize("modes", mixtures(2, "frlv"))
def test_all_transforms_nest(modes):
    f = lambda x: np.sin(x * x) / (x + 2)
    assert nested(modes, f)(0.7) == pytest.approx(grad(grad(f))(0.7), rel=1e-12)
    wrapped = lambda x: checkpoint(f)(x) * 2
    assert nested(modes, wrapped)(0.7) == pytest.approx(2 * grad(grad(f))(0.7), rel=1e-12)


def test_no_transform_is_left_open():
    from autodiff.core.level import active_levels

    seen = []

    def f(x):
        seen.append([level.transform for level in active_levels()])
        return x * x

    jvp(grad(f), (1.0,), (1.0,))
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: 1 // 0)(1.0)
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: jvp(lambda y: 1 // 0, (x,), (1.0,)))(1.0)
    assert seen == [["jvp", "grad"]]
    assert active_levels() == ()
