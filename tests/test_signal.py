"""Interpolation, convolution, correlation."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import grad, jvp, vjp
from tests.product_checks import check, check_float32, draw

RNG = np.random.default_rng(13)
XP = np.array([0.0, 1.0, 2.5, 3.0])
FP = np.array([1.0, -1.0, 2.0, 0.5])
X = np.array([-0.7, 0.3, 1.8, 2.7, 4.1, 0.9])

# -- interp ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [{}, {"left": 7.0}, {"right": -7.0}, {"left": 0.0, "right": 2.0}])
@pytest.mark.parametrize("x", [X, X.reshape(2, 3)[:, ::-1], np.float64(0.4), np.float64(-3.0), np.ones(0)])
def test_interp_in_each_argument(x, ends):
    check(lambda x, xp, fp: np.interp(x, xp, fp, **ends), x, XP, FP)
    check(lambda x: np.interp(x, XP, FP, **ends), x)
    check(lambda xp: np.interp(x, xp, FP, **ends), XP)
    check(lambda fp: np.interp(x, XP, fp, **ends), FP)


def test_interp_with_lists():
    check(lambda x: np.interp(x, [0.0, 1.0], [1.0, 3.0]), X)


def test_interp_complex():
    check(lambda x, fp: np.interp(x, XP, fp), X, draw(RNG, (4,), complex))
    check(lambda xp, fp: np.interp(X, xp, fp, left=0.0), XP, draw(RNG, (4,), complex))


def test_interp_period():
    xp = np.array([190.0, -190.0, 350.0, -350.0])
    x = np.array([-180.0, -171.0, -200.0, 3.0, 172.0, 365.0])
    check(lambda x, fp: np.interp(x, xp, fp, period=360), x, FP)
    check(lambda x, xp, fp: np.interp(x, xp, fp, period=-360.0), x / 100, xp / 100 + 0.001, FP)
    with pytest.raises(ValueError, match="non-zero"):
        grad(lambda x: np.interp(x, XP, FP, period=0))(1.0)


def test_interp_traced_ends():
    check(lambda a, x: np.interp(x, XP, FP, left=a), 2.0, X)
    check(lambda a, x: np.interp(x, XP, FP, right=np.sin(a)), 2.0, X)


def test_interp_at_knots():
    """Between two pieces the slope of the one on the right; at the ends that of the piece inside; outside 0."""
    slopes = np.diff(FP) / np.diff(XP)
    _, t = jvp(lambda x: np.interp(x, XP, FP), (XP,), (np.ones(4),))
    np.testing.assert_allclose(t, [*slopes, slopes[-1]])
    np.testing.assert_allclose(grad(lambda x: np.sum(np.interp(x, XP, FP)))(XP), [*slopes, slopes[-1]])
    assert grad(lambda x: np.interp(x, XP, FP))(-0.1) == 0.0
    assert grad(lambda x: np.interp(x, XP, FP))(3.1) == 0.0
    np.testing.assert_array_equal(vjp(lambda f: np.interp(XP, XP, f), FP)[1](FP)[0], FP)


def test_interp_values_are_numpy_s_to_the_bit():
    x = RNG.uniform(-1, 4, 200)
    np.testing.assert_array_equal(jvp(lambda x: np.interp(x, XP, FP), (x,), (x,))[0], np.interp(x, XP, FP))


def test_interp_one_knot_and_repeated_knots():
    for x, want in ((0.5, 0.0), (1.0, 0.0), (2.0, 0.0)):
        assert grad(lambda x: np.interp(x, np.ones(1), np.ones(1)))(x) == want
        np.testing.assert_array_equal(grad(lambda f, x=x: np.interp(x, np.ones(1), f))(np.ones(1)), [1.0])
    xp, fp = np.array([0.0, 1.0, 1.0, 2.0, 2.0]), np.array([0.0, 1.0, 5.0, 6.0, 9.0])
    g = grad(lambda f: np.sum(np.interp([0.5, 1.0, 1.5, 2.0], xp, f)))(fp)
    np.testing.assert_allclose(g, [0.5, 0.5, 1.5, 0.5, 1.0])
    assert np.all(np.isfinite(grad(lambda x: np.sum(np.interp(x, xp, fp)))(np.array([0.0, 1.0, 2.0]))))


def test_interp_of_nan_has_no_finite_derivative():
    assert np.isnan(grad(lambda x: np.interp(x, XP, FP))(np.nan))
    assert np.any(np.isnan(grad(lambda f: np.interp(np.nan, XP, f))(FP)))


def test_interp_is_float64_as_in_numpy():
    check_float32(np.interp, X, XP, FP, result=np.float64)


def test_interp_third_derivative():
    """d/dx of interp(x)^3 is 3 y^2 s; the third derivative 6 s^3."""
    s = 2.0

    def f(x):
        return np.interp(x, [0.0, 1.0], [1.0, 3.0]) ** 3

    np.testing.assert_allclose(grad(grad(grad(f)))(0.25), 6 * s**3)
    np.testing.assert_allclose(jvp(grad(grad(f)), (0.25,), (1.0,))[1], 6 * s**3)


def test_interp_third_derivative_in_the_knots():
    def f(xp):
        return np.sum(np.sin(np.interp(X, xp, FP)))

    def along(g):
        return lambda xp: jvp(g, (xp,), (v,))[1]

    v = RNG.normal(size=4)
    want = (along(along(f))(XP + 1e-5 * v) - along(along(f))(XP - 1e-5 * v)) / 2e-5
    np.testing.assert_allclose(along(along(along(f)))(XP), want, rtol=1e-5)
    np.testing.assert_allclose(np.dot(grad(along(along(f)))(XP), v), want, rtol=1e-5)
    np.testing.assert_allclose(
        along(lambda xp: np.dot(grad(lambda z: np.dot(grad(f)(z), v))(xp), v))(XP), want, rtol=1e-5
    )


def test_interp_errors():
    with pytest.raises(ValueError, match="same length"):
        grad(lambda x: np.interp(x, XP, FP[1:]))(1.0)
    with pytest.raises(TypeError, match="real"):
        vjp(lambda x: np.interp(x, XP, FP), 1j)


# -- convolve, correlate -----------------------------------------------------------------------------------------

LENGTHS = [(5, 3), (3, 5), (4, 4), (5, 2), (2, 5), (1, 3), (3, 1), (1, 1), (6, 4), (4, 6)]


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("f", [np.convolve, np.correlate])
def test_convolve_and_correlate(f, mode, dtype):
    for n, m in LENGTHS:
        check(lambda a, v: f(a, v, mode), draw(RNG, (n,), dtype), draw(RNG, (m,), dtype))


@pytest.mark.parametrize("f", [np.convolve, np.correlate])
def test_default_mode_and_single_arguments(f):
    a, v = RNG.normal(size=5), RNG.normal(size=3)
    check(f, a, v)
    check(lambda a: f(a, v), a)
    check(lambda v: f(a, v), v)
    check(lambda a: f(a, [1.0, 2.0]), a)
    check(lambda a: f(a, a), a)
    check(lambda a: f(a[::-1], v, mode="same"), a)
    check(f, draw(RNG, (3,), complex), v)
    check(f, a, draw(RNG, (3,), complex))
    check_float32(f, a, v)


def test_convolve_with_a_number():
    check(np.convolve, 2.0, RNG.normal(size=3))


@pytest.mark.parametrize("f", [np.convolve, np.correlate])
def test_convolution_errors(f):
    with pytest.raises(ValueError, match="empty"):
        vjp(lambda a: f(a, np.ones(0)), np.ones(2))
    with pytest.raises(ValueError, match="one-dimensional"):
        vjp(lambda a: f(a, np.ones(2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="mode"):
        vjp(lambda a: f(a, a, "circular"), np.ones(2))
