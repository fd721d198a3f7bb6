"""Running sums and products, differences, trapezoids: NumPy's values and both modes to second order."""

import numpy as np
import pytest

from autodiff import check_grads, grad, hvp, jvp, vjp

X = np.random.default_rng(0).uniform(0.5, 1.5, size=(3, 4))
V = X[0]
POINTS = np.array([0.0, 0.7, 1.5, 1.9])

PROGRAMS = {
    "cumsum": (np.cumsum, X),
    "cumsum_axis": (lambda x: x.cumsum(axis=-1), X),
    "cumprod": (np.cumprod, X),
    "cumprod_axis": (lambda x: x.cumprod(axis=0), X),
    "cumulative_sum": (lambda x: np.cumulative_sum(x, axis=1, include_initial=True), X),
    "cumulative_prod": (lambda x: np.cumulative_prod(x, axis=0), X),
    "nancumsum": (lambda x: np.nancumsum(np.where(X > 1, np.nan, x), axis=1), X),
    "nancumprod": (lambda x: np.nancumprod(np.where(X > 1, np.nan, x)), X),
    "add_accumulate": (lambda x: np.add.accumulate(x, axis=1), X),
    "multiply_accumulate": (np.multiply.accumulate, X),
    "maximum_accumulate": (lambda x: np.maximum.accumulate(x, axis=1), X),
    "minimum_accumulate": (np.minimum.accumulate, V),
    "diff": (np.diff, X),
    "diff_twice": (lambda x: np.diff(x, n=2, axis=0), X),
    "diff_ends": (lambda x: np.diff(x, prepend=0.0, append=x[:, :1] * 2), X),
    "ediff1d": (lambda x: np.ediff1d(x, to_begin=x[0, :1], to_end=[1.0, 2.0]), X),
    "trapezoid": (np.trapezoid, X),
    "trapezoid_points": (lambda x: np.trapezoid(x, POINTS), X),
    "trapezoid_traced_points": (lambda x: np.trapezoid(X, x[0]), X),
    "trapezoid_axis": (lambda x: np.trapezoid(x, dx=0.3, axis=0), X),
    "gradient": (lambda x: np.gradient(x, axis=1), X),
    "gradient_edge": (lambda x: np.gradient(x, 0.5, edge_order=2, axis=0), X),
    "gradient_points": (lambda x: np.gradient(x, POINTS, axis=1, edge_order=2), X),
}


if not hasattr(np, "cumulative_sum"):  # NumPy 2.1 added them
    del PROGRAMS["cumulative_sum"], PROGRAMS["cumulative_prod"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_value_and_derivatives(name):
    f, x = PROGRAMS[name]
    np.testing.assert_allclose(vjp(f, x)[0], f(x), rtol=1e-14)
    assert vjp(f, x)[0].dtype == f(x).dtype
    check_grads(f, (x,), order=2)


def test_gradient_of_all_axes():
    want = np.gradient(X, 0.5, 2.0)
    for a, b in zip(vjp(lambda x: list(np.gradient(x, 0.5, 2.0)), X)[0], want, strict=True):
        np.testing.assert_allclose(a, b)


@pytest.mark.parametrize("zeros", [(), (1,), (0, 3), (1, 2, 4)])
def test_running_product_through_zeros(zeros):
    x = np.array([0.5, -1.5, 2.0, 3.0, 0.7])
    x[list(zeros)] = 0.0
    w, v = np.array([1.0, 2.0, -1.0, 0.5, 3.0]), np.array([0.3, -2.0, 1.0, 0.5, 1.5])

    def entry(k, *out):
        return np.prod(np.delete(x[: k + 1], out)) if len(set(out)) == len(out) and max(out) <= k else 0.0

    first = np.array([sum(w[k] * entry(k, i) for k in range(5)) for i in range(5)])
    second = np.array([[sum(w[k] * entry(k, i, j) for k in range(5)) for j in range(5)] for i in range(5)])
    f = lambda x: np.cumprod(x) @ w
    np.testing.assert_allclose(grad(f)(x), first, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(jvp(f, (x,), (v,))[1], first @ v, rtol=1e-13)
    np.testing.assert_allclose(hvp(f, (x,), (v,)), second @ v, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(grad(lambda x: grad(f)(x) @ v)(x), second @ v, rtol=1e-13, atol=1e-13)


def test_errors():
    with pytest.raises(ValueError, match="n must not be negative"):
        grad(lambda x: np.diff(x, n=-1)[0])(V)
    with pytest.raises(TypeError, match="2 spacings for 1 axes"):
        grad(lambda x: np.gradient(x, 1.0, 2.0)[0])(V)
    with pytest.raises(ValueError, match="too short"):
        grad(lambda x: np.gradient(x[:1])[0])(V)


def test_gradient_keeps_float32():
    x = V.astype(np.float32)
    for args in ((0.5,), (POINTS,)):
        value, pullback = vjp(lambda x, args=args: np.gradient(x, *args), x)
        np.testing.assert_allclose(value, np.gradient(x, *args), rtol=1e-6)
        assert value.dtype == pullback(value)[0].dtype == np.float32


@pytest.mark.parametrize("shape", [(40,), (3, 40), (40, 30), (2, 3, 4), (0, 3), (1, 2)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
def test_running_product_of_any_length(shape, dtype):
    rng = np.random.default_rng(2)
    x = rng.uniform(0.8, 1.2, shape).astype(dtype) * (1 + 0.1j if dtype is np.complex128 else 1)
    x[x.shape[0] // 2 :: 7] = 0
    w = rng.normal(size=shape).astype(dtype)
    for axis in range(len(shape)):
        value, pullback = vjp(lambda x: np.cumprod(x, axis=axis), x)  # noqa: B023
        t = rng.normal(size=shape).astype(dtype)
        tangent = jvp(lambda x: np.cumprod(x, axis=axis), (x,), (t,))[1]  # noqa: B023
        want, y = np.zeros_like(x), np.ones_like(x.take(0, axis)) if x.shape[axis] else None
        s = np.zeros_like(y) if y is not None else None
        for k in range(x.shape[axis]):
            at = (slice(None),) * axis + (k,)
            s, y = x[at] * s + y * t[at], y * x[at]
            want[at] = s
        rtol = 1e-5 if dtype is np.float32 else 1e-12
        np.testing.assert_allclose(tangent, want, rtol=rtol, atol=1e-6 if dtype is np.float32 else 1e-14)
        np.testing.assert_allclose(np.sum(pullback(w)[0] * t), np.sum(w * want), rtol=10 * rtol, atol=1e-6)
        assert tangent.dtype == pullback(w)[0].dtype == value.dtype == dtype


def test_products_of_long_precision():
    x = np.array([2.0, 3.0, 4.0], np.longdouble)
    gradient = vjp(np.cumprod, x)[1](np.ones_like(x))[0]
    assert gradient.dtype == np.longdouble
    np.testing.assert_array_equal(gradient, [16, 10, 6])


def test_trapezoids_of_points_with_more_axes():
    y, x = np.array([1.0, 3.0, 2.0]), np.cumsum(np.arange(1.0, 7.0).reshape(2, 3), axis=1)
    value, pull = vjp(np.trapezoid, y, x)
    np.testing.assert_allclose(value, np.trapezoid(y, x))
    check_grads(np.trapezoid, (y, x), order=2)
    assert [g.shape for g in pull(np.ones(2))] == [(3,), (2, 3)]
