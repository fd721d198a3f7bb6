"""Minimisers of whole sets: what they find, how fast, on trees and layers of every dtype, and what they refuse."""

import numpy as np
import pytest

import nn
from autodiff import grad, tree
from nn.minimisers import line_search, minimise, newton

METHODS = pytest.mark.parametrize("method", ["L-BFGS", "BFGS", "CG", "Newton-CG"])


def rosenbrock(p):
    return (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2


@METHODS
def test_the_bent_valley(method):
    start = {"x": -1.2, "y": 1.0}
    found = minimise(rosenbrock, start, method, tolerance=1e-8)
    assert found.converged
    np.testing.assert_allclose(tree.leaves(found.parameters), 1.0, atol=1e-6)
    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert found.path[0] == start
    assert found.path[-1] == found.parameters
    assert len(found.path) <= found.evaluations <= 200


def test_steps_can_run_out():
    found = minimise(rosenbrock, {"x": -1.2, "y": 1.0}, "CG", max_steps=3)
    assert not found.converged
    assert len(found.path) == 4


@METHODS
def test_a_network_keeps_its_state_and_dtypes(method):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2)).astype(np.float32)
    y = np.tanh(x @ np.array([1.0, -1.0], np.float32))
    model = nn.Sequential(nn.Dense(2, 3, rng=1), nn.tanh, nn.BatchNorm(3), nn.Dense(3, 1, rng=2))

    def loss(model):
        return np.mean((model(x)[:, 0] - y) ** 2) + 1e-3 * nn.l2_penalty(model, 1.0)

    found = minimise(loss, model, method, tolerance=1e-5, max_steps=200)
    assert found.value < 0.2 * loss(model)
    assert {leaf.dtype for leaf in tree.leaves(found.parameters)} == {np.dtype(np.float32)}
    np.testing.assert_equal(nn.states(found.parameters), nn.states(model))
    gradient = tree.leaves(nn.parameters(grad(loss)(found.parameters)))
    assert max(np.abs(g).max() for g in gradient) < 2e-2  # float32


def test_newton_converges_quadratically():
    found = newton(lambda x: np.exp(x) - 2 * x, 0.0)
    errors = np.abs(np.array(found.path) - np.log(2.0))
    assert found.converged
    assert isinstance(found.parameters, np.float64)
    assert all(errors[i + 1] <= 0.6 * errors[i] ** 2 + 1e-15 for i in range(1, len(errors) - 1))  # f''' / (2 f'') = 1/2


def test_newton_needs_one_step_on_a_paraboloid():
    a = np.array([[4.0, 1.0], [1.0, 3.0]])
    found = newton(lambda x: x @ a @ x / 2 - x.sum(), np.zeros(2))
    assert len(found.path) == 2
    np.testing.assert_allclose(found.parameters, np.linalg.solve(a, np.ones(2)), rtol=1e-14)


def test_newton_leaves_maxima_and_saddles():
    def well(p):
        return (p["x"] ** 2 - 1) ** 2 + p["y"] ** 2

    found = newton(well, {"x": 0.1, "y": 1.0})  # where the second derivative in x is negative
    assert found.converged
    assert found.parameters["x"] == pytest.approx(1.0, abs=1e-8)
    assert found.parameters["y"] == pytest.approx(0.0, abs=1e-8)


def test_newton_comes_down_where_whole_steps_diverge():
    found = newton(lambda x: np.log(np.cosh(x)), 2.0)  # the bare method goes 2, -11.6, ...
    assert found.converged
    assert abs(found.parameters) < 1e-8


def test_what_is_not_finite_is_refused():
    with pytest.raises(FloatingPointError, match="newton: the gradient is not finite after 1 evaluations"):
        newton(lambda x: np.sum(np.nan * x), np.ones(2))


def test_errors_of_the_function_are_not_swallowed():
    def picky(x):
        if x > 1.5:
            raise ValueError("too far")
        return (x - 3) ** 2

    with pytest.raises(ValueError, match="too far"):
        newton(picky, 0.0)


def test_line_search():
    bowl = {"a": np.array([1.0, 2.0]), "b": 3.0}

    def f(p):
        return np.sum(p["a"] ** 2) + p["b"] ** 2

    down = tree.map(lambda g: -g, grad(f)(bowl))
    assert line_search(f, bowl, down) == 0.5
    assert line_search(f, bowl, down, first=4.0, shrink=0.1) == pytest.approx(0.4)
    with pytest.raises(ValueError, match="line_search: the function does not come down in this direction"):
        line_search(f, bowl, bowl)
    with pytest.raises(ValueError, match="line_search: first must be positive and shrink between 0 and 1, not 0 and"):
        line_search(f, bowl, down, first=0)


def test_refusals():
    with pytest.raises(ValueError, match="minimise: method must be one of L-BFGS, BFGS, CG, Newton-CG, not 'sgd'"):
        minimise(rosenbrock, {"x": 0.0, "y": 0.0}, "sgd")
    with pytest.raises(ValueError, match="minimise: there are no floating-point parameters"):
        minimise(lambda p: 1.0, {"n": 3})
    with pytest.raises(TypeError, match="newton: a parameter is complex; keep its two parts"):
        newton(lambda z: abs(z) ** 2, 1j)
