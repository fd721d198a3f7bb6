"""`autodiff.scipy.interpolate`: SciPy's values, derivatives by values and points, what is refused."""

import numpy as np
import pytest
import scipy.interpolate as si

from autodiff import check_grads, grad, jvp
from autodiff.core.errors import MissingRuleError
from autodiff.scipy import interpolate as ai

X = np.array([0.0, 0.7, 1.5, 2.0, 3.1])
Y, M = np.cos(X), np.sin(np.arange(15.0)).reshape(3, 5)
V = np.array([[0.2, 0.9], [1.8, 3.0]])

CASES = {
    "linear": lambda m, y, v: m.interp1d(X, y)(v),
    "linear cubic": lambda m, y, v: m.interp1d(X, y, kind="cubic")(v),
    "linear outside": lambda m, y, v: m.interp1d(X, y, fill_value=7.0, bounds_error=False)(v - 0.5),
    "extrapolate": lambda m, y, v: m.interp1d(X, y, fill_value="extrapolate")(v * 1.3),
    "unsorted": lambda m, y, v: m.interp1d(X[::-1], y)(v),
    "spline": lambda m, y, v: m.CubicSpline(X, y, axis=-1)(v),
    "natural": lambda m, y, v: m.CubicSpline(X, y, axis=-1, bc_type="natural")(v * 1.2),
    "slope": lambda m, y, v: m.CubicSpline(X, y, axis=-1, bc_type="clamped")(v, 1),
}


@pytest.mark.parametrize("y", [Y, M], ids=["vector", "matrix"])
@pytest.mark.parametrize("f", CASES.values(), ids=CASES.keys())
def test_values_and_derivatives(f, y):
    got = jvp(lambda y, v: f(ai, y, v), (y, V), (y, V))[0]
    np.testing.assert_allclose(got, f(si, y, V), rtol=1e-11, atol=1e-12)
    check_grads(lambda y, v: f(ai, y, v), (y, V), order=2, rng=1)


def test_conventions():
    assert grad(ai.interp1d(X, Y))(0.7) == pytest.approx((Y[2] - Y[1]) / 0.8)
    assert np.isnan(ai.CubicSpline(X, Y, extrapolate=False)(np.array([9.0]))[0])
    assert ai.CubicSpline(X, Y)(0.3).shape == ()


@pytest.mark.parametrize(
    ("f", "error", "text"),
    [
        (lambda x: ai.interp1d(x, Y)(1.0), MissingRuleError, r"interp1d .*traced knots.* np.interp"),
        (lambda x: ai.interp1d(X, x[:3])(1.0), ValueError, r"do not fit: one value along axis=-1"),
        (lambda x: ai.interp1d(X, x)(9.0), ValueError, r"a point is outside of \[0.0, 3.1\]"),
        (lambda x: ai.interp1d(X, x, kind="nearest")(1.0), MissingRuleError, r"kind='nearest'"),
        (lambda x: ai.interp1d(X, x, fill_value=(0, 1))(1.0), MissingRuleError, r"left= and right="),
        (lambda x: ai.CubicSpline(X, x, bc_type="periodic")(1.0), MissingRuleError, r"periodic"),
    ],
)
def test_errors(f, error, text):
    with pytest.raises(error, match=text):
        grad(f)(Y)


def test_missing_functions():
    with pytest.raises(MissingRuleError, match=r"has no PchipInterpolator: .*CubicSpline"):
        _ = ai.PchipInterpolator
