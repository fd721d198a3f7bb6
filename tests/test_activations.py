"""Activation functions: values and derivatives to order 3 against exact ones, kinks, dtypes, relu's gate, kernels."""

import importlib
import math

import mpmath
import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad, hvp, jvp, ops, trace, value_and_grad, vjp
from autodiff.core import Spec
from autodiff.ops import (
    elu,
    enable_kernels,
    gelu,
    hard_sigmoid,
    hard_tanh,
    leaky_relu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
)

MODULE = importlib.import_module("autodiff.ops.activations")
mp = mpmath.mp
SELU = (1.0507009873554805, 1.6732632423543772)


def gelu_tanh(x):
    return gelu(x, approximate=True)


def steep(x):
    return leaky_relu(x, 0.3)


def shallow(x):
    return elu(x, alpha=0.5)


# Each with its definition in exact arithmetic, and points away from its kinks.
EXACT = {
    relu: lambda x: max(x, mp.mpf(0)),
    relu6: lambda x: min(max(x, mp.mpf(0)), mp.mpf(6)),
    leaky_relu: lambda x: x if x > 0 else x * mp.mpf(0.01),
    steep: lambda x: x if x > 0 else x * mp.mpf(0.3),
    elu: lambda x: x if x > 0 else mp.expm1(x),
    shallow: lambda x: x if x > 0 else mp.expm1(x) / 2,
    selu: lambda x: SELU[0] * (x if x > 0 else SELU[1] * mp.expm1(x)),
    hard_tanh: lambda x: min(max(x, mp.mpf(-1)), mp.mpf(1)),
    hard_sigmoid: lambda x: min(max(x / 6 + mp.mpf(1) / 2, mp.mpf(0)), mp.mpf(1)),
    sigmoid: lambda x: 1 / (1 + mp.exp(-x)),
    silu: lambda x: x / (1 + mp.exp(-x)),
    softplus: lambda x: mp.log1p(mp.exp(x)),
    gelu: lambda x: x * mp.ncdf(x),
    gelu_tanh: lambda x: x / 2 * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3))),
}
POINTS = np.array([-7.5, -3.25, -1.5, -0.75, -0.125, 0.25, 0.875, 1.625, 3.5, 6.75])
FUNCTIONS = list(EXACT)
DTYPES = ["float16", "float32", "float64", "longdouble"]


def exact(function, order, points=POINTS):
    with mp.workdps(40):
        return np.array([float(mp.diff(EXACT[function], mp.mpf(float(x)), order)) for x in points])


@pytest.fixture(params=["kernels", "numpy"])
def path(request, monkeypatch):
    """Relu of all sizes by the kernels, or by NumPy."""
    if request.param == "kernels":
        enable_kernels()
        monkeypatch.setattr(MODULE, "LARGE", 0)
    else:
        monkeypatch.setattr(MODULE, "_package", lambda *_: None)
    return request.param


def slope(f):
    return lambda x: jvp(f, (x,), (np.ones_like(x),))[1]


def total(function):
    return lambda x: np.sum(function(x))


# -- values and derivatives ----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_and_derivatives_to_order_three(function):
    first = grad(total(function))
    second = grad(total(first))
    third = grad(total(second))
    for order, derivative in enumerate((function, first, second, third)):
        expected = exact(function, order)
        np.testing.assert_allclose(derivative(POINTS), expected, rtol=1e-12, atol=1e-12)
        f = function
        for _ in range(order):
            f = slope(f)
        np.testing.assert_allclose(f(POINTS), expected, rtol=1e-12, atol=1e-12)
    direction = np.linspace(-1, 2, POINTS.size)
    product = hvp(total(function), (POINTS,), (direction,))
    np.testing.assert_allclose(product, direction * exact(function, 2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_against_finite_differences_in_both_modes(function):
    check_grads(function, (POINTS.reshape(2, 5),), order=2)
    check_grads(lambda x: function(x) ** 2, (0.75,), order=2)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_and_kinds_of_arguments(function, dtype):
    if function is gelu and np.dtype(dtype).char == "g":
        with pytest.raises(TypeError, match=r"^gelu: .*longdouble; use float64, or approximate=True"):
            function(np.ones(2, dtype))
        return
    x = POINTS.astype(dtype)
    eps = 2 * float(np.finfo(dtype).eps) if dtype != "longdouble" else 1e-14
    y = function(x)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    np.testing.assert_allclose(y.astype(float), exact(function, 0), rtol=4 * eps, atol=4 * eps)
    value, g = value_and_grad(total(function))(x)
    assert value.dtype == g.dtype == x.dtype
    np.testing.assert_allclose(g.astype(float), exact(function, 1), rtol=4 * eps, atol=8 * eps)
    _, t = jvp(function, (x,), (x,))
    assert t.dtype == x.dtype
    product = hvp(total(function), (x,), (x,))
    assert product.dtype == x.dtype
    np.testing.assert_allclose(
        product.astype(float),
        x.astype(float) * exact(function, 2),
        rtol=8 * eps,
        atol=1000 * eps if eps < 1e-9 else 16 * eps,
    )
    for scalar in (x[2], x[2:3].reshape(())):
        y, g = value_and_grad(function)(scalar)
        assert np.shape(y) == np.shape(g) == ()
        assert y.dtype == g.dtype == function(scalar).dtype == x.dtype
    assert eval_shape(function, Spec((2, 3), x.dtype)) == Spec((2, 3), x.dtype)
    assert eval_shape(grad(total(function)), Spec((2, 3), x.dtype)) == Spec((2, 3), x.dtype)
    for shape in ((0,), (2, 0, 3)):
        assert function(np.empty(shape, dtype)).shape == shape
        assert grad(total(function))(np.empty(shape, dtype)).dtype == x.dtype


@pytest.mark.parametrize("function", FUNCTIONS)
def test_python_numbers_and_lists_are_float64(function):
    (expected,) = function(np.array([-1.5]))
    for x in (-1.5, np.float64(-1.5), [-1.5], (-1.5,)):
        y = function(x)
        assert y.dtype == np.float64
        assert np.shape(y) == np.shape(x)
        assert y == expected
    assert function(3) == function(3.0)
    assert function([3, True])[0] == function(3.0)
    assert grad(function)(-1.5) == grad(total(function))(np.array([-1.5]))[0]
    assert jvp(function, (-1.5,), (2.0,))[1] == pytest.approx(2 * grad(function)(-1.5), rel=1e-14)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_arrays_in_any_memory(function, rng):
    x = rng.standard_normal((4, 5, 6))
    frozen = x.copy()
    frozen.flags.writeable = False
    for view in (x[::2], x[..., ::-1], x.T, np.asfortranarray(x), frozen, np.broadcast_to(x[:1], x.shape)):
        np.testing.assert_array_equal(function(view), function(np.array(view, order="C")))
        np.testing.assert_array_equal(grad(total(function))(view), grad(total(function))(np.array(view, order="C")))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_recorded_programs_run_again(function):
    other = POINTS[::-1].copy()
    np.testing.assert_array_equal(trace(function)(POINTS).eval(other), function(other))
    recorded = trace(grad(total(function)))(POINTS)
    np.testing.assert_array_equal(recorded.eval(other), grad(total(function))(other))
    np.testing.assert_array_equal(grad(total(trace(function)(POINTS).eval))(other), grad(total(function))(other))


# -- extremes, NaN and kinks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nan_comes_out(function):
    x = np.array([np.nan, 1.0])
    with np.errstate(invalid="ignore"):  # logaddexp
        y, pullback = vjp(function, x)
    assert np.isnan(y).tolist() == [True, False]
    assert np.isfinite(pullback(np.ones(2))[0][1])


LIMITS = {  # at -1e4 and 1e4: value, slope
    relu: ((0, 0), (1e4, 1)),
    relu6: ((0, 0), (6, 0)),
    leaky_relu: ((-100, 0.01), (1e4, 1)),
    elu: ((-1, 0), (1e4, 1)),
    selu: ((-SELU[0] * SELU[1], 0), (1e4 * SELU[0], SELU[0])),
    hard_tanh: ((-1, 0), (1, 0)),
    hard_sigmoid: ((0, 0), (1, 0)),
    sigmoid: ((0, 0), (1, 0)),
    silu: ((0, 0), (1e4, 1)),
    softplus: ((0, 0), (1e4, 1)),
    gelu: ((0, 0), (1e4, 1)),
    gelu_tanh: ((0, 0), (1e4, 1)),
}


@pytest.mark.parametrize("function", LIMITS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_large_arguments(function, dtype):
    if function is gelu and np.dtype(dtype).char == "g":
        pytest.skip("longdouble is refused")
    for x, (value, slope) in zip((-1e4, 1e4), LIMITS[function], strict=True):
        found = value_and_grad(function)(np.dtype(dtype).type(x))
        np.testing.assert_allclose(np.array(found, float), (value, slope), rtol=1e-3 if dtype == "float16" else 1e-6)
        assert hvp(function, (np.dtype(dtype).type(x),), (np.dtype(dtype).type(1),)) == pytest.approx(0, abs=1e-99)


@pytest.mark.parametrize("function", [*LIMITS, steep])
def test_infinities(function):
    """At inf all are what they tend to; at -inf, products with a factor that vanishes are NaN."""
    expected = {relu6: 6, hard_tanh: 1, hard_sigmoid: 1, sigmoid: 1}.get(function, np.inf)
    assert function(np.array([np.inf]))[0] == expected
    low = np.array([-np.inf])
    if function in (silu, gelu, gelu_tanh):
        with pytest.warns(RuntimeWarning, match="invalid value"):
            assert np.isnan(function(low)[0])
    else:
        limits = {leaky_relu: -np.inf, steep: -np.inf, elu: -1, selu: -SELU[0] * SELU[1], hard_tanh: -1}
        assert function(low)[0] == pytest.approx(limits.get(function, 0), rel=1e-15)


KINKS = {  # points, and the slopes there
    relu: ((0.0, -0.0), (0, 0)),
    relu6: ((0.0, 6.0), (0, 0)),
    hard_tanh: ((-1.0, 1.0), (0, 0)),
    hard_sigmoid: ((-3.0, 3.0), (0, 0)),
    leaky_relu: ((0.0, -0.0), (0.01, 0.01)),
    steep: ((0.0, -0.0), (0.3, 0.3)),
    elu: ((0.0, -0.0), (1, 1)),
    shallow: ((0.0, -0.0), (0.5, 0.5)),
    selu: ((0.0, -0.0), (SELU[0] * SELU[1],) * 2),
}


@pytest.mark.parametrize("function", KINKS)
def test_slopes_at_kinks_are_the_stated_ones(function):
    points, slopes = map(np.array, KINKS[function])
    np.testing.assert_allclose(grad(total(function))(points), slopes, rtol=1e-15)
    np.testing.assert_allclose(jvp(function, (points,), (np.full(2, 3.0),))[1], 3 * slopes, rtol=1e-15)
    curved = {elu: 1.0, shallow: 0.5, selu: SELU[0] * SELU[1]}.get(function, 0.0)  # that of the left side
    np.testing.assert_allclose(hvp(total(function), (points,), (np.ones(2),)), [curved, curved], rtol=1e-15)
    for x, slope in zip(points, slopes, strict=True):
        assert grad(function)(x) == pytest.approx(slope, rel=1e-15)
        assert grad(function)(np.float32(x)) == pytest.approx(slope, rel=1e-6)


# -- the gate of relu ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_cuts_adjoints_of_any_size(path, dtype):
    x = np.array([-1.0, -0.0, 0.0, 2.0, -np.inf, np.inf], dtype)
    for bad in (np.inf, -np.inf, np.nan):
        y, pullback = vjp(relu, x)
        np.testing.assert_array_equal(y, [0, 0, 0, 2, 0, np.inf])
        expected = [0, 0, 0, bad, 0, bad]
        for _ in range(2):
            np.testing.assert_array_equal(pullback(np.full(6, bad, dtype))[0], expected)
        np.testing.assert_array_equal(jvp(relu, (x,), (np.full(6, bad, dtype),))[1], expected)
        _, second = jvp(lambda ct, pullback=pullback: pullback(ct)[0], (np.ones(6, dtype),), (np.full(6, bad, dtype),))
        np.testing.assert_array_equal(second, expected)


@pytest.mark.parametrize(
    ("outer", "derivative"),
    [
        (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
        (lambda x: x**0.5, lambda x: 0.5 / np.sqrt(x)),
        (np.log, lambda x: 1 / x),
        (lambda x: 1 / x, lambda x: -1 / x**2),
    ],
)
def test_poles_where_relu_cuts_do_not_reach_the_argument(path, outer, derivative):
    """The outer slope is infinite where relu is 0, and the derivative through it is 0 in all the same."""
    x = np.array([-2.0, 4.0, -1.0, 0.0, 9.0])
    expected = np.array([0, derivative(4.0), 0, 0, derivative(9.0)])
    twice = np.array([0, derivative(8.0), 0, 0, derivative(18.0)])
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(grad(lambda x: np.sum(outer(relu(x))))(x), expected, rtol=1e-15)
        np.testing.assert_allclose(grad(lambda x: np.sum(outer(relu(2 * x))))(x), 2 * twice, rtol=1e-15)


@pytest.mark.parametrize("inner", [np.sqrt, lambda x: x**0.5, np.cbrt, lambda x: np.sqrt(x * x)])
def test_poles_before_relu_are_cut(path, inner):
    """The slope of what relu cuts away is infinite, and 0 times it is 0."""
    x = np.array([0.0, 4.0, 0.0, 9.0])
    signs = np.array([-1.0, 1.0, 1.0, -1.0])
    expected = np.array([0, grad(inner)(4.0), 0, 0])

    def loss(x):
        return np.sum(relu(signs * inner(x)))

    np.testing.assert_allclose(grad(loss)(x), expected, rtol=1e-14)
    np.testing.assert_allclose(jvp(loss, (x,), (np.array([0.0, 1.0, 0.0, 1.0]),))[1], expected[1], rtol=1e-14)


def test_derivatives_of_a_network_with_dead_units(path, rng):
    w, v = rng.standard_normal((6, 8)), rng.standard_normal((8, 3))
    x = rng.standard_normal((5, 6))
    b = np.array([-100.0, 0, 0, 0.5, -0.5, 0, 100.0, 1])  # one unit is never open, one always

    def loss(w, b):
        return np.sum((relu(x @ w + b) @ v) ** 2)

    hidden = x @ w + b
    adjoint = 2 * np.maximum(hidden, 0) @ v @ v.T * (hidden > 0)
    gw, gb = grad(loss, argnums=(0, 1))(w, b)
    np.testing.assert_allclose(gw, x.T @ adjoint, rtol=1e-12)
    np.testing.assert_allclose(gb, adjoint.sum(0), rtol=1e-12)
    assert not gw[:, 0].any()
    t = rng.standard_normal(w.shape)
    through = 2 * ((x @ t) * (hidden > 0)) @ v @ v.T * (hidden > 0)
    np.testing.assert_allclose(hvp(lambda w: loss(w, b), (w,), (t,)), x.T @ through, rtol=1e-11, atol=1e-12)
    check_grads(loss, (w, b), order=2)


# -- kernels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_arrays_agree_with_small_ones(dtype, rng, monkeypatch):
    kernels = importlib.import_module("kernels.cpu")
    enable_kernels()
    used = []
    for name in ("relu", "relu_gate"):
        function = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *args, f=function, name=name: used.append(name) or f(*args))
    x = rng.standard_normal((100, 50)).astype(dtype)
    x.reshape(-1)[::100] = 0
    x[3, :3] = np.nan, np.inf, -np.inf
    ct, t = rng.standard_normal((2, 100, 50)).astype(dtype)
    y, pullback = vjp(relu, x)
    (g,) = pullback(ct)
    _, dy = jvp(relu, (x,), (t,))
    assert used == ["relu", "relu_gate", "relu", "relu_gate"]
    assert y.dtype == g.dtype == dy.dtype == dtype
    for i in range(0, 100, 9):
        rows = slice(i, i + 9)
        small, back = vjp(relu, x[rows])
        np.testing.assert_array_equal(y[rows], small)
        np.testing.assert_array_equal(g[rows], back(ct[rows])[0])
        np.testing.assert_array_equal(dy[rows], jvp(relu, (x[rows],), (t[rows],))[1])
    assert len(used) == 4
    np.testing.assert_array_equal(vjp(relu, x.T)[1](ct.T)[0], g.T)
    np.testing.assert_array_equal(relu(x.astype("float16")), np.maximum(x.astype("float16"), 0))
    swapped = x.astype(x.dtype.newbyteorder())
    np.testing.assert_array_equal(relu(swapped), y)
    np.testing.assert_array_equal(grad(lambda x: np.sum(relu(x)[4:]))(swapped)[4:], (x > 0)[4:])


# -- errors and other libraries ------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_errors(function):
    name = {gelu_tanh: "gelu", steep: "leaky_relu", shallow: "elu"}.get(function, function.__name__)
    for x in (np.ones((2, 3), int), np.ones(3) * 1j, 1j, [1j], np.array([True]), np.int32(1), "text"):
        with pytest.raises(TypeError, match=rf"^{name}: x must be real and floating, got .*; convert with x\.astype"):
            function(x)
    with pytest.raises(TypeError, match=f"^{name}: x must be real and floating, got complex128"):
        jvp(function, (1j,), (1j,))
    with pytest.raises(TypeError, match=rf"^{name}: x must be real and floating, got int64\[2\]"):
        eval_shape(function, Spec((2,), np.dtype(np.int64)))


def test_against_torch():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    x = np.concatenate([POINTS, [0.0, -1.0, 1.0, 3.0, -3.0, 6.0, 40.0, -40.0]])
    for ours, theirs in (
        (relu, f.relu), (relu6, f.relu6), (leaky_relu, f.leaky_relu), (elu, f.elu), (selu, f.selu), (gelu, f.gelu),
        (hard_tanh, f.hardtanh), (sigmoid, torch.sigmoid), (silu, f.silu),
        (softplus, f.softplus), (gelu_tanh, lambda z: f.gelu(z, approximate="tanh")),
    ):  # fmt: skip
        z = torch.tensor(x, requires_grad=True)
        y = theirs(z)
        y.sum().backward()
        tolerance = 1e-8 if ours is softplus else 1e-12  # torch's is linear from 20 on
        np.testing.assert_allclose(ours(x), y.detach().numpy(), rtol=tolerance, atol=1e-14)
        np.testing.assert_allclose(grad(total(ours))(x), z.grad.numpy(), rtol=tolerance, atol=1e-14)


def test_against_scipy():
    from scipy import special

    x = np.linspace(-30, 30, 61)
    np.testing.assert_allclose(sigmoid(x), special.expit(x), rtol=1e-14)
    np.testing.assert_allclose(gelu(x), x * special.ndtr(x), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(softplus(x), -special.log_expit(-x), rtol=1e-14)
    normal = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(grad(total(gelu))(x), special.ndtr(x) + x * normal, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "name", ["relu", "relu6", "elu", "selu", "leaky_relu", "hard_tanh", "hard_sigmoid", "softplus"]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_stay_numbers(name, dtype):
    for x in (-1.5, 0.5):
        assert type(getattr(ops, name)(dtype(x))) is dtype


def test_softplus_by_the_kernel_is_that_of_numpy(rng):
    x = rng.normal(size=5000) * 10
    ops.enable_kernels()
    np.testing.assert_allclose(ops.softplus(x), np.logaddexp(x, 0), rtol=1e-15)
    np.testing.assert_allclose(grad(lambda x: np.sum(ops.softplus(x)))(x), 1 / (1 + np.exp(-x)), rtol=1e-14)
