"""Reductions: values for every keyword as NumPy's, and the derivatives that a sample cannot state."""

import numpy as np
import pytest

from autodiff import Spec, check_grads, eval_shape, grad, hessian, hvp, jvp, vjp

X = np.random.default_rng(0).normal(size=(2, 3, 4))
MASK = np.random.default_rng(1).uniform(size=X.shape) > 0.4
MASK[0, 0, 0] = MASK[:, 1, :] = True

REDUCTIONS = [
    np.sum,
    np.mean,
    np.prod,
    np.var,
    np.std,
    np.max,
    np.min,
    np.ptp,
    np.nansum,
    np.nanprod,
    np.nanmean,
    np.nanvar,
]
REDUCTIONS += [np.nanstd, np.nanmax, np.nanmin]
FORMS = [{}, {"axis": 0}, {"axis": -1}, {"axis": (0, 2)}, {"axis": 1, "keepdims": True}, {"keepdims": True}]


def value_of(f, *args):
    """Value of `f` computed on tracers."""
    return vjp(f, *args)[0]


@pytest.mark.parametrize("kwargs", FORMS, ids=str)
@pytest.mark.parametrize("f", REDUCTIONS, ids=lambda f: f.__name__)
def test_value_and_derivatives(f, kwargs):
    def program(x):
        return f(x, **kwargs)

    np.testing.assert_allclose(value_of(program, X), program(X), rtol=1e-15)
    check_grads(program, (X,), order=2)
    assert eval_shape(program, Spec(X.shape, np.float32)) == Spec(np.shape(program(X)), np.float32)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "std", "max", "min"])
def test_methods(name):
    assert grad(lambda x: getattr(x, name)())(X).shape == X.shape
    got = value_of(lambda x: getattr(x, name)(axis=1, keepdims=True), X)
    np.testing.assert_array_equal(got, getattr(X, name)(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("f", "kwargs"),
    [
        (np.sum, {"where": MASK, "initial": 2.0}),
        (np.sum, {"dtype": np.float32, "axis": 0}),
        (np.prod, {"where": MASK, "initial": 2.0, "axis": 1}),
        (np.mean, {"where": MASK, "axis": 2}),
        (np.var, {"where": MASK, "ddof": 1}),
        (np.var, {"correction": 1, "axis": 1}),
        (np.var, {"mean": np.full((2, 1, 4), 0.3), "axis": 1}),
        (np.std, {"ddof": 1, "axis": 0}),
        (np.max, {"where": MASK, "initial": -9.0, "axis": 0}),
        (np.min, {"where": MASK, "initial": 0.1}),
    ],
    ids=lambda v: v.__name__ if callable(v) else str(sorted(v)),
)
def test_keywords(f, kwargs):
    def program(x):
        return f(x, **kwargs)

    want = program(X)
    np.testing.assert_allclose(value_of(program, X), want, rtol=1e-6 if want.dtype == np.float32 else 1e-15)
    assert value_of(program, X).dtype == want.dtype
    if want.dtype == np.float64:
        check_grads(program, (X,), order=2)


def test_average_with_traced_weights():
    w = np.abs(X) + 0.1
    np.testing.assert_allclose(value_of(lambda a, w: np.average(a, weights=w), X, w), np.average(X, weights=w))
    check_grads(lambda a, w: np.average(a, axis=1, weights=w), (X, w), order=2)
    check_grads(lambda a, w: np.average(a, axis=1, weights=w, returned=True), (X, w[0, :, 0]), order=2)
    with pytest.raises(TypeError, match="axis must be given"):
        grad(lambda a: np.average(a, weights=w[0, :, 0]))(X)


@pytest.mark.parametrize("zeros", [(), (1,), (0, 2), (0, 1, 3)])
def test_product_through_zeros(zeros):
    x = np.array([0.5, -1.5, 2.0, 3.0, 0.7])
    x[list(zeros)] = 0.0
    want = np.array([np.prod(np.delete(x, i)) for i in range(5)])
    np.testing.assert_allclose(grad(np.prod)(x), want, rtol=1e-14)
    v = np.array([1.0, -2.0, 0.5, 0.3, 2.0])
    np.testing.assert_allclose(jvp(np.prod, (x,), (v,))[1], want @ v, rtol=1e-14)
    second = np.array([[np.prod(np.delete(x, [i, j])) if i != j else 0.0 for j in range(5)] for i in range(5)])
    np.testing.assert_allclose(hvp(np.prod, (x,), (v,)), second @ v, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(grad(lambda x: grad(np.prod)(x) @ v)(x), second @ v, rtol=1e-13, atol=1e-14)


def test_extrema_split_among_ties():
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.max(x, axis=1)))(x), [[0, 0.5, 0.5], [1 / 3] * 3])
    np.testing.assert_array_equal(grad(np.min)(x), [[1.0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(jvp(lambda x: np.max(x, axis=1), (x,), (np.eye(2, 3),))[1], [0, 1 / 3])


@pytest.mark.parametrize("reduce", [np.max, np.sum, np.mean])
def test_an_unchosen_entry_with_an_infinite_slope(reduce):
    def program(x):
        return reduce(np.where(x > 0, np.sqrt(x), 0)) if reduce is not np.max else np.max(np.sqrt(x))

    assert np.isfinite(grad(program)(np.array([0.0, 4.0, 9.0]))).all()
    assert grad(program)(np.array([0.0, 4.0, 9.0]))[0] == 0.0


def test_variance_of_a_constant():
    x = np.full(4, 2.0)
    np.testing.assert_array_equal(grad(np.std)(x), np.zeros(4))
    np.testing.assert_array_equal(grad(np.var)(x), np.zeros(4))
    assert jvp(np.std, (x,), (np.arange(4.0),))[1] == 0.0


def test_deviation_of_one_entry_has_every_derivative():
    for x, axis in ((np.array([2.0]), None), (np.array([[1.0], [3.0]]), 1), (np.array([1.0, 2.0]), ())):
        f = lambda x, axis=axis: np.sum(np.std(x, axis=axis))
        np.testing.assert_array_equal(grad(f)(x), np.zeros(x.shape))
        np.testing.assert_array_equal(hessian(f)(x), np.zeros(x.shape * 2))


def test_complex_variance():
    z = X + 1j * X[::-1]
    np.testing.assert_allclose(value_of(lambda z: np.var(z, axis=0), z), np.var(z, axis=0))
    check_grads(lambda z: np.var(z, axis=1), (z,), order=2)


@pytest.mark.parametrize("f", [np.sum, np.mean, np.var, np.std, np.prod, np.max])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_low_precision_stays(f, dtype):
    x = np.array([0.5, 1.5, 2.5], dtype)
    value, pullback = vjp(f, x)
    assert value == f(x)
    assert value.dtype == dtype
    assert pullback(value)[0].dtype == dtype


def test_nan_is_ignored():
    x = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, np.nan]])
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.nanmean(x, axis=1)))(x), [[0.5, 0, 0.5], [0.5, 0.5, 0]])
    np.testing.assert_array_equal(grad(np.nanmax)(x), [[0, 0, 0], [0, 1.0, 0]])
    np.testing.assert_array_equal(grad(np.nansum)(x), [[1.0, 0, 1.0], [1.0, 1.0, 0]])


def test_empty():
    assert value_of(np.sum, np.zeros((0, 3))) == 0.0
    assert value_of(np.prod, np.zeros(0)) == 1.0
    assert grad(np.prod)(np.zeros(0)).shape == (0,)
    assert jvp(np.prod, (np.zeros(0),), (np.zeros(0),))[1] == 0.0
    assert value_of(lambda x: np.max(x, initial=2.0), np.zeros(0)) == 2.0
    with pytest.raises(ValueError, match="zero-size array"):
        grad(np.max)(np.zeros(0))


def test_constants():
    assert grad(lambda x: x[np.argmax(x)] * np.count_nonzero(x > 0))(np.array([1.0, 3.0, -2.0])).tolist() == [0, 2.0, 0]
    assert grad(lambda x: np.sum(x) if np.all(x > 0) and not np.any(x > 9) else 0.0 * x[0])(np.ones(2)).tolist() == [
        1,
        1,
    ]
    assert np.array_equal(
        value_of(lambda x: x * np.argmin(x, axis=1, keepdims=True), X[0]), X[0] * X[0].argmin(1)[:, None]
    )


def test_out_is_refused():
    with pytest.raises(TypeError, match=r"np.mean .*out="):
        grad(lambda x: np.mean(x, out=np.zeros(())))(X)


@pytest.mark.parametrize("f", [np.max, np.min, np.maximum.reduce])
def test_the_derivative_of_nan_is_that_of_the_entries_that_are_nan(f):
    x = np.array([1.0, np.nan, 2.0, np.nan])
    np.testing.assert_array_equal(grad(f)(x), [0, 0.5, 0, 0.5])
    assert [jvp(f, (x,), (e,))[1] for e in np.eye(4)] == [0, 0.5, 0, 0.5]


@pytest.mark.parametrize("f", [np.argmax, np.argmin, np.nanargmax, np.nanargmin])
def test_positions(f):
    x = np.where(X > 1, np.nan, X) if "nan" in f.__name__ else X
    for kwargs in ({}, {"axis": 1}, {"axis": -1, "keepdims": True}):
        np.testing.assert_array_equal(value_of(lambda x, kwargs=kwargs: f(x, **kwargs), x), f(x, **kwargs))
    if "nan" in f.__name__:
        with pytest.raises(ValueError, match="not NaN"):
            grad(f)(np.full(3, np.nan))


def test_a_scalar_has_an_axis():
    for f in (np.sum, np.prod, np.max, np.cumsum, np.cumprod):
        np.testing.assert_array_equal(value_of(lambda x, f=f: f(x, axis=-1), np.array(1.3)), f(np.array(1.3), axis=-1))
        assert grad(lambda x, f=f: np.sum(f(x, axis=0)))(np.array(1.3)) == 1.0


@pytest.mark.parametrize("f", REDUCTIONS, ids=lambda f: f.__name__)
def test_keepdims_not_given(f):
    assert value_of(lambda x: f(x, axis=1, keepdims=np._NoValue), X).shape == (2, 4)


def test_variance_in_float16_is_summed_in_float16():
    x = X.astype(np.float16)
    np.testing.assert_array_equal(value_of(lambda x: np.var(x, axis=1), x), np.var(x, axis=1))
    np.testing.assert_array_equal(value_of(lambda x: np.std(x, axis=(0, 2), ddof=1), x), np.std(x, axis=(0, 2), ddof=1))


def test_refusals_of_numpy():
    with pytest.raises(ValueError, match="ddof and correction"):
        grad(lambda x: np.var(x, ddof=1, correction=1))(X)
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: np.average(x, weights=np.zeros(X.shape)))(X)


SINGLE = np.array([1.0, 2.5, -1.0], np.float32)


@pytest.mark.parametrize(
    "reduce",
    [np.sum, np.prod, np.max, np.min, np.nansum, np.nanprod, np.nanmax, np.add.reduce, np.logaddexp.reduce],
    ids=lambda f: getattr(f, "__qualname__", str(f)),
)
def test_a_starting_value_does_not_decide_the_dtype(reduce):
    for initial in (np.float64(0.25), np.ones(()), 0.25):
        want = reduce(SINGLE, initial=initial)
        value, pullback = vjp(lambda x: reduce(x, initial=initial), SINGLE)  # noqa: B023
        assert value.dtype == want.dtype == np.float32
        assert value == pytest.approx(want)
        assert pullback(np.float32(1))[0].dtype == np.float32
    check_grads(lambda x, v: reduce(x * x, initial=v * v), (X[0], 0.7), order=2)


def test_starting_values_of_empty_and_missing_elements():
    empty = np.zeros((0, 3), np.float32)
    for f in (np.max, np.min):
        value = vjp(lambda x: f(x, axis=0, initial=2), empty)[0]  # noqa: B023
        np.testing.assert_array_equal(value, np.full(3, 2, np.float32), strict=True)
    assert grad(lambda v: np.sum(np.max(empty * v, axis=0, initial=v)))(2.0) == 3.0
    rows = np.array([[np.nan, np.nan], [1.0, 2.0]])
    f = lambda x: np.nanmax(x, axis=1, initial=-3)
    np.testing.assert_array_equal(vjp(f, rows)[0], [-3, 2])
    np.testing.assert_array_equal(grad(lambda x: np.sum(f(x)))(rows), [[0, 0], [0, 1]])


def test_reductions_of_nothing():
    empty = np.zeros((0, 3), np.float32)
    value, pullback = vjp(lambda x: np.nanmedian(x, axis=0, keepdims=True), empty)
    np.testing.assert_array_equal(value, np.full((1, 3), np.nan, np.float32), strict=True)
    assert pullback(value)[0].shape == (0, 3)
    assert np.isnan(vjp(np.nanmedian, empty)[0])
    np.testing.assert_array_equal(vjp(lambda x: np.linalg.norm(x, np.inf, axis=0), empty)[0], [0, 0, 0])


def test_extrema_by_ufunc_methods_take_a_dtype():
    for method in ("reduce", "accumulate"):
        for ufunc in (np.maximum, np.minimum):
            f = lambda x: getattr(ufunc, method)(x, dtype=np.float64)  # noqa: B023
            np.testing.assert_array_equal(vjp(f, SINGLE)[0], f(SINGLE), strict=True)
            assert grad(lambda x: np.sum(f(x)))(SINGLE).dtype == np.float32  # noqa: B023
    assert vjp(lambda x: np.fmin.reduce(x, dtype=np.float64), SINGLE)[0].dtype == np.float64
