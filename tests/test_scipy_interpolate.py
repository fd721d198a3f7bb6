"""`autodiff.scipy.interpolate`: SciPy's values, derivatives by values and points, what is refused."""

# ruff: noqa: B023, PLW0108 - lambdas show whole programs, and are called where they stand
import inspect

import numpy as np
import pytest
import scipy.interpolate as si
from scipy.sparse.linalg import spsolve

from autodiff import check_grads, eval_shape, grad, hessian, jacfwd, jacrev, jvp, vmap
from autodiff.core.errors import MissingRuleError
from autodiff.scipy import interpolate as ai

X = np.array([0.0, 0.7, 1.5, 2.0, 3.1])
Y, M = np.cos(X), np.sin(np.arange(15.0)).reshape(3, 5)
V = np.array([[0.2, 0.9], [1.8, 3.0]])
KNOTS = np.array([0.0, 0.0, 0.0, 0.7, 0.7, 1.5, 3.1, 3.1, 3.1])

CASES = {
    "linear": lambda m, y, v: m.interp1d(X, y)(v),
    "linear axis 0": lambda m, y, v: m.interp1d(X, y.T, axis=0)(v),
    "linear cubic": lambda m, y, v: m.interp1d(X, y, kind="cubic")(v),
    "quadratic": lambda m, y, v: m.interp1d(X, y, kind="quadratic")(v),
    "degree 3": lambda m, y, v: m.interp1d(X, y, kind=3)(v),
    "linear outside": lambda m, y, v: m.interp1d(X, y, fill_value=7.0, bounds_error=False)(v - 0.5),
    "two fills": lambda m, y, v: m.interp1d(X, y, fill_value=(7.0, -2.0), bounds_error=False)(2 * v - 1.0),
    "extrapolate": lambda m, y, v: m.interp1d(X, y, fill_value="extrapolate")(v * 1.3),
    "unsorted": lambda m, y, v: m.interp1d(X[::-1], y)(v),
    "spline": lambda m, y, v: m.CubicSpline(X, y, axis=-1)(v),
    "natural": lambda m, y, v: m.CubicSpline(X, y, axis=-1, bc_type="natural")(v * 1.2),
    "slope": lambda m, y, v: m.CubicSpline(X, y, axis=-1, bc_type="clamped")(v, 1),
    "two ends": lambda m, y, v: m.CubicSpline(X, y, axis=-1, bc_type=((1, 0.5 + y[..., 0]), (2, y[..., 1])))(v),
    "one end": lambda m, y, v: m.CubicSpline(X, y, axis=-1, bc_type=("not-a-knot", (1, y[..., 2])))(v),
    "second derivative": lambda m, y, v: m.CubicSpline(X, y, axis=-1)(v, nu=2),
    "fourth derivative": lambda m, y, v: m.CubicSpline(X, y, axis=-1)(v, nu=4),
    "derivative": lambda m, y, v: m.CubicSpline(X, y, axis=-1).derivative()(v),
    "antiderivative": lambda m, y, v: m.CubicSpline(X, y, axis=-1).antiderivative(2)(v),
    "laps": lambda m, y, v: m.CubicSpline(X, y, axis=-1, extrapolate="periodic")(v + 3.3),
    "hermite": lambda m, y, v: m.CubicHermiteSpline(X, y, y[..., ::-1], axis=-1)(v),
    "pchip": lambda m, y, v: m.PchipInterpolator(X, y, axis=-1)(v),
    "pchip by function": lambda m, y, v: m.pchip_interpolate(X, y, v, der=1, axis=-1),
    "pchip outside": lambda m, y, v: m.PchipInterpolator(X, np.cumsum(y * y, axis=-1), axis=-1)(v * 1.2),
    "akima": lambda m, y, v: m.Akima1DInterpolator(X, y, axis=-1)(v),
    "makima": lambda m, y, v: m.Akima1DInterpolator(X, y, axis=-1, method="makima", extrapolate=True)(v * 1.2),
    "through values": lambda m, y, v: m.make_interp_spline(X, y, axis=-1)(v),
    "line": lambda m, y, v: m.make_interp_spline(X, y, k=1, axis=-1)(v),
    "given ends": lambda m, y, v: m.make_interp_spline(X, y, bc_type=([(1, y[..., 0])], [(2, y[..., 1])]), axis=-1)(v),
    "clamped": lambda m, y, v: m.make_interp_spline(X, y, bc_type="clamped", axis=-1)(v, 1),
    "coefficients": lambda m, y, v: m.make_interp_spline(X, y, k=2, axis=-1).c,
    "basis": lambda m, y, v: m.BSpline(KNOTS, np.concatenate([y, y[..., :1]], axis=-1), 2, axis=-1)(v),
}  # fmt: skip


@pytest.mark.parametrize("y", [Y, M], ids=["vector", "matrix"])
@pytest.mark.parametrize("f", CASES.values(), ids=CASES.keys())
def test_values_and_derivatives(f, y):
    got = jvp(lambda y, v: f(ai, y, v), (y, V), (y, V))[0]
    np.testing.assert_allclose(got, f(si, y, V), rtol=1e-11, atol=1e-12)
    check_grads(lambda y, v: f(ai, y, v), (y, V), order=2, rng=1)


STEPS = ["nearest", "nearest-up", "previous", "next", "zero"]


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("fill", [3.0, (1.0, 2.0), "extrapolate"], ids=repr)
def test_steps(kind, fill):
    """Also at the knots, half way between them, and outside."""
    v = np.sort(np.concatenate([X, (X[1:] + X[:-1]) / 2, [-0.4, 0.2, 4.0]]))
    f = lambda m, y: m.interp1d(X, y, kind, fill_value=fill, bounds_error=False)(v)
    np.testing.assert_array_equal(jvp(lambda y: f(ai, y), (M,), (M,))[0], f(si, M))
    check_grads(lambda y: np.nan_to_num(f(ai, y)), (M,), order=1, rng=3)
    assert grad(lambda v: ai.interp1d(X, Y, kind)(v))(0.9) == 0


def test_a_line_and_a_point():
    """Two knots are a line for every method; one knot is enough for steps."""
    for name in ("PchipInterpolator", "Akima1DInterpolator", "CubicSpline"):
        f = lambda m, y: getattr(m, name)(X[:2], y)(0.3)
        np.testing.assert_allclose(grad(lambda y: f(ai, y))(Y[:2]), [0.4 / 0.7, 0.3 / 0.7], rtol=1e-13)
        np.testing.assert_allclose(f(ai, Y[:2]), f(si, Y[:2]), rtol=1e-14)
    assert grad(lambda y: ai.interp1d(X[:1], y, "nearest", fill_value="extrapolate")(2.0))(Y[:1]) == 1


@pytest.mark.parametrize("values", [[0.0, 1, 1, 3, 2], [1.0, 1, 1, 1, 1], [0.0, 5, 5.5, 5.6, 1]])
def test_where_slopes_change_their_sign_or_vanish(values):
    """Flat and turning pieces: SciPy's values; where no slope is chosen from the values, its derivative is 0."""
    y, v = np.array(values), np.linspace(-0.1, 3.2, 23)
    for name in ("PchipInterpolator", "Akima1DInterpolator"):
        f = lambda m, y: getattr(m, name)(X, y, extrapolate=True)(v)
        got, moved = jvp(lambda y: f(ai, y), (y,), (np.ones(5),))
        np.testing.assert_allclose(got, f(si, y), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(moved, 1, rtol=1e-13)  # a shift of all values moves the curve alike
        assert np.all(np.isfinite(jacrev(lambda y: f(ai, y))(y)))
    flat = np.array([0.0, 1, 2, 1, 0])
    assert grad(lambda y: ai.PchipInterpolator(X, y)(1.5, 1))(flat).tolist() == [0, 0, 0, 0, 0]


def test_akima_of_many_columns_shares_one_threshold():
    """As in SciPy, what counts as no change of slope is measured against all columns."""
    y = np.stack([np.array([0.0, 1, 2, 1e-10, 0]), 1e3 * np.array([0.0, 5, 1, 7, 2])], axis=1)
    f = lambda m, y: m.Akima1DInterpolator(X, y)(V)
    np.testing.assert_allclose(jvp(lambda y: f(ai, y), (y,), (y,))[0], f(si, y), rtol=1e-12)


def test_periodic_splines():
    y = np.concatenate([Y[:-1], Y[:1]])
    for f in (
        lambda m, y: m.CubicSpline(X, y, bc_type="periodic")(V + 2.0),
        lambda m, y: m.make_interp_spline(X, y, bc_type="periodic")(V + 2.0, 1),
    ):
        np.testing.assert_allclose(jvp(lambda y: f(ai, y), (y,), (y,))[0], f(si, y), rtol=1e-11)
        closed = lambda free, f=f: f(ai, np.concatenate([free, free[:1]]))
        check_grads(closed, (Y[:-1],), order=1, rng=1)
        assert np.all(jacfwd(lambda y, f=f: f(ai, y))(y)[..., -1] == 0)  # the first value stands for both


def test_integrals():
    f = lambda m, y, a, b, **kw: m.CubicSpline(X, y).integrate(a, b, **kw)
    for kw in ({}, {"extrapolate": "periodic"}):
        np.testing.assert_allclose(
            jvp(lambda *x: f(ai, *x, **kw), (Y, 0.3, 5.0), (Y, 1.0, 1.0))[0], f(si, Y, 0.3, 5.0, **kw), rtol=1e-12
        )
        check_grads(lambda *x, kw=kw: f(ai, *x, **kw), (Y, 0.3, 5.0), order=2, rng=1)
    assert np.isnan(f(ai, Y, 0.3, 5.0, extrapolate=False))


def test_end_conditions_have_derivatives():
    spline = lambda a, b: ai.CubicSpline(X, Y, bc_type=((1, a), (2, b)))(V)
    check_grads(spline, (0.5, -0.25), order=1, rng=1)
    through = lambda a, b: ai.make_interp_spline(X, Y, bc_type=([(1, a)], [(1, b)]))(V)
    check_grads(through, (0.5, -0.25), order=1, rng=1)
    slopes = lambda d: ai.CubicHermiteSpline(X, Y, d)(V)
    check_grads(slopes, (np.sin(X),), order=1, rng=1)


def test_what_stands_outside_has_a_derivative():
    f = lambda fill: ai.interp1d(X, M, fill_value=(fill, 2 * fill), bounds_error=False)(np.array([-1.0, 1.0, 9.0]))
    assert jacrev(f)(np.ones(3)).sum(axis=-1).tolist() == [[1, 0, 2]] * 3


def test_complex_values():
    z = Y + 1j * np.sin(X)
    f = lambda m, z: m.make_interp_spline(X, z)(V)
    np.testing.assert_allclose(jvp(lambda z: f(ai, z), (z,), (z,))[1], f(si, z), rtol=1e-12)


@pytest.mark.parametrize("f", [CASES[c] for c in ("linear", "spline", "pchip", "akima", "through values")])
def test_vmap_over_points_and_values(f):
    many = np.stack([V, V[::-1], V / 2])
    got = vmap(lambda v: f(ai, Y, v))(many)
    np.testing.assert_allclose(got, [f(si, Y, v) for v in many], rtol=1e-12)
    np.testing.assert_allclose(vmap(lambda y: f(ai, y, V))(M), [f(si, y, V) for y in M], rtol=1e-12)
    first = vmap(grad(lambda y, v: np.sum(f(ai, y, v))))(M, many)
    np.testing.assert_allclose(
        first, [grad(lambda y, v: np.sum(f(ai, y, v)))(y, v) for y, v in zip(M, many, strict=True)]
    )
    assert eval_shape(lambda y, v: f(ai, y, v), M, V).shape == (3, 2, 2)


# -- several variables ---------------------------------------------------------------------------------------

GRID = (np.array([0.0, 0.7, 1.5, 2.0, 3.1, 4.0]), np.array([5.0, 3.5, 2.0, 1.0, 0.5, 0.0]))
VALUES = np.sin(np.multiply.outer(GRID[0], GRID[1])) + GRID[0][:, None]
AT = np.array([[[0.2, 0.3], [1.8, 2.6]], [[3.0, 4.9], [1.6, 0.7]]])
SOLID = (np.arange(6.0), np.arange(7.0), np.arange(6.0) ** 1.5)


@pytest.mark.parametrize("method", ["linear", "slinear", "cubic", "quintic"])
def test_grids(method):
    solver = {} if method == "linear" else {"solver": spsolve}  # SciPy's default is an iteration
    f = lambda m, y, v: m.RegularGridInterpolator(GRID, y, method, bounds_error=False, fill_value=None, **solver)(v)
    for y in (VALUES, np.stack([VALUES, VALUES**2], axis=-1)):
        got = jvp(lambda y, v, f=f: f(ai, y, v), (y, AT), (y, AT))[0]
        np.testing.assert_allclose(got, f(si, y, AT), rtol=1e-10, atol=1e-11)
        check_grads(lambda y, v, f=f: f(ai, y, v), (y, AT), order=2, rng=1, atol=1e-4)
    outside = AT + np.array([3.0, -2.0])
    np.testing.assert_allclose(f(ai, VALUES, outside), f(si, VALUES, outside), rtol=1e-9)
    np.testing.assert_allclose(vmap(lambda v: f(ai, VALUES, v))(AT), f(si, VALUES, AT), rtol=1e-8)
    assert eval_shape(lambda y, v: f(ai, y, v), VALUES, AT).shape == (2, 2)


@pytest.mark.parametrize("method", ["linear", "cubic"])
def test_three_variables(method):
    y = np.cos(np.arange(6.0 * 7 * 6)).reshape(6, 7, 6)
    v = np.array([[0.2, 5.3, 1.1], [4.4, 0.1, 9.0]])
    solver = {} if method == "linear" else {"solver": spsolve}
    f = lambda m, y, v: m.RegularGridInterpolator(SOLID, y, method, **solver)(v)
    np.testing.assert_allclose(jvp(lambda *x: f(ai, *x), (y, v), (y, v))[0], f(si, y, v), rtol=1e-7, atol=1e-8)
    check_grads(lambda *x: f(ai, *x), (y, v), order=1, rng=2)


def test_partial_derivatives_are_those_of_the_points():
    spline = ai.RegularGridInterpolator(GRID, VALUES, "cubic")
    at = AT[0, 1]
    assert spline(at, nu=(1, 0))[0] == pytest.approx(grad(lambda v: spline(v)[0])(at)[0], rel=1e-12)
    assert spline(at, nu=(1, 1))[0] == pytest.approx(hessian(lambda v: spline(v)[0])(at)[0, 1], rel=1e-12)
    assert spline(at, nu=(4, 0))[0] == 0
    theirs = si.RegularGridInterpolator(GRID, VALUES, "cubic", solver=spsolve)(at, nu=(1, 1))
    np.testing.assert_allclose(spline(at, nu=(1, 1)), theirs, rtol=1e-6)


def test_nearest_and_outside():
    f = lambda m, y, v, **kw: m.RegularGridInterpolator(GRID, y, "nearest", **kw)(v)
    half = np.array([[0.35, 2.75], [1.1, 0.25], [4.0, 0.0]])  # half way: the lower one
    np.testing.assert_array_equal(jvp(lambda y: f(ai, y, half), (VALUES,), (VALUES,))[0], f(si, VALUES, half))
    assert grad(lambda v: f(ai, VALUES, v)[0])(AT[0, 0]).tolist() == [0, 0]
    fill = lambda c: ai.RegularGridInterpolator(GRID, VALUES, bounds_error=False, fill_value=c)(AT + 5.0)
    assert jacrev(fill)(2.0).tolist() == [[1, 1], [1, 1]]
    missing = ai.RegularGridInterpolator(GRID, VALUES, bounds_error=False)(np.array([np.nan, 1.0]))
    assert missing.shape == (1,)
    assert np.isnan(missing[0])
    whole = ai.RegularGridInterpolator(GRID, np.arange(36).reshape(6, 6))  # whole numbers become real ones
    assert whole((np.array([0, 1]), 2)).dtype == np.float64
    assert ai.RegularGridInterpolator(GRID[:1], Y[[0, 1, 2, 3, 4, 4]])(np.array([0.3, 0.4])).shape == (2,)


def test_interpn():
    f = lambda m, y, v: m.interpn(GRID, y, v, bounds_error=False, fill_value=3.0)
    np.testing.assert_allclose(jvp(lambda *x: f(ai, *x), (VALUES, AT), (VALUES, AT))[0], f(si, VALUES, AT), rtol=1e-12)
    np.testing.assert_array_equal(f(ai, VALUES, AT), f(si, VALUES, AT))


# -- conventions and errors ----------------------------------------------------------------------------------


def test_conventions():
    assert grad(ai.interp1d(X, Y))(0.7) == pytest.approx((Y[2] - Y[1]) / 0.8)
    assert grad(ai.interp1d(X, Y))(3.1) == pytest.approx((Y[4] - Y[3]) / 1.1)
    linear = ai.RegularGridInterpolator((X, X), np.multiply.outer(Y, np.ones(5)))
    assert grad(lambda v: linear(v)[0])(np.array([0.7, 0.1]))[0] == pytest.approx((Y[2] - Y[1]) / 0.8)
    assert np.isnan(ai.CubicSpline(X, Y, extrapolate=False)(np.array([9.0]))[0])
    assert np.isnan(ai.Akima1DInterpolator(X, Y)(9.0))
    assert ai.CubicSpline(X, Y)(0.3).shape == ()
    assert ai.CubicSpline(X, M, axis=1, extrapolate=False)(np.array([9.0, 1.0])).shape == (3, 2)
    assert ai.CubicSpline(X, Y)(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("name", [n for n in ai.__all__ if inspect.isfunction(getattr(ai, n)) or n != "interp1d"])
def test_parameters_are_scipys(name):
    assert list(inspect.signature(getattr(ai, name)).parameters) == list(
        inspect.signature(getattr(si, name)).parameters
    )


GRIDS = "scipy.interpolate.RegularGridInterpolator: "


@pytest.mark.parametrize(
    ("f", "error", "text"),
    [
        (lambda x: ai.interp1d(x, Y)(1.0), MissingRuleError, r"interp1d .*traced knots.* np.interp"),
        (lambda x: ai.interp1d(X, x[:3])(1.0), ValueError, r"do not fit: one value along axis=-1"),
        (lambda x: ai.interp1d(X, x)(9.0), ValueError, r"a point is outside of \[0.0, 3.1\]"),
        (lambda x: ai.interp1d(X, x, kind="newton")(1.0), MissingRuleError, r"kind='newton'.*'linear', 'quadratic'"),
        (lambda x: ai.interp1d(X, x, bounds_error=True, fill_value="extrapolate"), ValueError, r"not both"),
        (lambda x: ai.interp1d(X[:3], x[:3], kind="cubic"), MissingRuleError, r"degree 3 through 3 values"),
        (lambda x: ai.CubicSpline(X[::-1], x), ValueError, r"CubicSpline: x float64\[5\] must hold at least 2 knots"),
        (lambda x: ai.PchipInterpolator(X, x + 1j), ValueError, r"complex values have no order; interpolate np.real"),
        (lambda x: ai.Akima1DInterpolator(X, x, method="b"), MissingRuleError, r"method='b' is not.*'makima'"),
        (lambda x: ai.CubicSpline(X, x).roots(), MissingRuleError, r"CubicSpline.roots .*optimize.brentq"),
        (lambda x: ai.CubicSpline(X, x).nothing, AttributeError, r"CubicSpline has no attribute 'nothing' \(test_"),
        (
            lambda x: ai.CubicSpline(X, x, extrapolate="periodic").antiderivative(),
            MissingRuleError,
            r"antiderivative .*periodic curve is not supported.*integrate",
        ),
        (lambda x: ai.RegularGridInterpolator((x,), Y), MissingRuleError, r"traced knots"),
        (lambda x: ai.RegularGridInterpolator((X, X), x), ValueError, GRIDS + "2 axes of points, and values float64"),
        (lambda x: ai.RegularGridInterpolator((X,), x[:3]), ValueError, r"5 points on axis 0, but values float64\[3\]"),
        (lambda x: ai.RegularGridInterpolator((X[[0, 2, 1]],), x[:3]), ValueError, r"knots that increase strictly"),
        (lambda x: ai.RegularGridInterpolator((X,), x, "pchip"), MissingRuleError, r"method='pchip'.*Use 'linear'"),
        (lambda x: ai.RegularGridInterpolator((X,), x, "quintic"), ValueError, r"'quintic' needs 6 points on axis 0"),
        (lambda x: ai.RegularGridInterpolator((X,), x)([9.0]), ValueError, r"outside of the grid on axis 0 \(test_"),
        (lambda x: ai.RegularGridInterpolator((X,), x)([[1.0, 2]]), ValueError, r"need a last axis of 1"),
        (lambda x: ai.RegularGridInterpolator((X,), x)([1.0], nu=(1,)), ValueError, r"nu= is for 'slinear'"),
        (lambda x: ai.BSpline(X, x, 3), ValueError, r"[Kk]nots"),
    ],
)
def test_errors(f, error, text):
    with pytest.raises(error, match=text):
        grad(f)(Y)


def test_missing_functions():
    with pytest.raises(MissingRuleError, match=r"has no KroghInterpolator: .*CubicSpline"):
        _ = ai.KroghInterpolator
