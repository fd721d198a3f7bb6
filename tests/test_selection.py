"""Selection, order and choice: NumPy's values, both modes, ties, and errors."""

import numpy as np
import pytest

from autodiff import Spec, check_grads, eval_shape, grad, jvp, vjp
from autodiff.core.errors import MissingRuleError, ShapeOnlyError

X = np.random.default_rng(0).normal(size=(3, 4))
V = X[0]

PROGRAMS = {
    "clip": (lambda x: np.clip(x, -0.5, 0.5), X),
    "clip_low": (lambda x: np.clip(x, 0.1, None), X),
    "clip_method": (lambda x: x.clip(max=0.3), X),
    "clip_keywords": (lambda x: np.clip(x, min=-0.2, max=0.4), X),
    "clip_traced_bounds": (lambda x: np.clip(2.0, x - 1, x * 3), np.array([4.0, 0.2, 1.7])),
    "sort": (np.sort, X),
    "sort_axis": (lambda x: np.sort(x, axis=0), X),
    "sort_flat": (lambda x: np.sort(x, axis=None), X),
    "argsort": (lambda x: x[np.argsort(x)], V),
    "argsort_method": (lambda x: x * x.argsort(axis=0), X),
    "partition": (lambda x: np.sort(np.partition(x, 2)[:2]), V),
    "searchsorted": (lambda x: x * np.searchsorted(np.sort(x), x), V),
    "digitize": (lambda x: x * np.digitize(x, [-1.0, 0.0, 1.0]), X),
    "lexsort": (lambda x: x[np.lexsort((x, np.round(x)))], V),
    "median": (np.median, X),
    "median_axis": (lambda x: np.median(x, axis=1, keepdims=True), X),
    "median_odd": (lambda x: np.median(x, axis=0), X),
    "quantile": (lambda x: np.quantile(x, [0.1, 0.5, 0.93]), X),
    "quantile_axis": (lambda x: np.quantile(x, 0.3, axis=0), X),
    "quantile_matrix": (lambda x: np.quantile(x, [[0.1, 0.2], [0.7, 1.0]], axis=1), X),
    **{f"quantile_{m}": (lambda x, m=m: np.quantile(x, 0.37, axis=1, method=m), X)
       for m in ("lower", "higher", "nearest", "midpoint")},
    "percentile": (lambda x: np.percentile(x, 35, axis=1, keepdims=True), X),
    "where": (lambda x: np.where(x > 0, x**2, -x), X),
    "where_positions": (lambda x: x[np.where(x > 0)], X),
    "nonzero": (lambda x: x[np.nonzero(x > 0)], X),
    "flatnonzero": (lambda x: x.ravel()[np.flatnonzero(x > 0)], X),
    "argwhere": (lambda x: x[tuple(np.argwhere(x > 0)[0])], X),
    "unique": (lambda x: np.sum(x) * np.unique(np.round(x)), X),
    "select": (lambda x: np.select([x < -0.5, x < 0.5], [x**2, np.sin(x)], 3.0 * x), X),
    "choose": (lambda x: np.choose(np.array([0, 1, 1, 0]), [x, x**2]), V),
    "choose_wrap": (lambda x: np.choose([0, 3, -1, 2], [x, x**2], mode="wrap"), V),
    "piecewise": (lambda x: np.piecewise(x, [x < 0, x >= 0.5], [np.exp, np.sin, lambda x: x**2]), X),
    "piecewise_constant": (lambda x: np.piecewise(x, [x < 0], [-1.0, lambda x: x * 2]), X),
    "nan_to_num": (lambda x: np.nan_to_num(np.where(X > 0.5, np.nan, x)), X),
    "round": (lambda x: x * np.round(x, 1), X),
    "round_method": (lambda x: x * x.round(), X),
    "add_reduce": (np.add.reduce, X),
    "multiply_reduce": (lambda x: np.multiply.reduce(x, axis=1), X),
    "maximum_reduce": (lambda x: np.maximum.reduce(x, axis=None, keepdims=True), X),
    "logaddexp_reduce": (lambda x: np.logaddexp.reduce(x, axis=1), X),
    "multiply_outer": (lambda x: np.multiply.outer(x, x[:2]), V),
    "subtract_outer": (lambda x: np.subtract.outer(x, np.arange(6.0).reshape(2, 3)), V),
}  # fmt: skip


if np.lib.NumpyVersion(np.__version__) < "2.1.0":
    del PROGRAMS["clip_keywords"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_value_and_derivatives(name):
    f, x = PROGRAMS[name]
    value = vjp(f, x)[0]
    np.testing.assert_allclose(value, f(x), rtol=1e-14)
    assert value.dtype == f(x).dtype
    check_grads(f, (x,), order=2)


def test_clip_at_a_bound_is_its_composition():
    np.testing.assert_array_equal(
        grad(lambda x: np.sum(np.clip(x, 0.0, 1.0)))(np.array([0.0, 0.5, 1.0, 2.0])), [0.5, 1, 0.5, 0]
    )


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.clip(np.sqrt(x), 0.5, 9.0)),
        lambda x: np.sort(np.sqrt(x))[-1] + np.sort(np.sqrt(x))[1],
        lambda x: np.median(np.sqrt(x)) + np.max(np.sqrt(x)),
        lambda x: np.sum(np.select([x > 0], [np.sqrt(x)], 0.0)),
        lambda x: np.sum(np.piecewise(x, [x > 0], [np.sqrt, 0.0])),
        lambda x: np.sum(np.choose(x > 0, [0.0, np.sqrt(x)])),
    ],
)
def test_what_is_not_chosen_contributes_nothing(f):
    x = np.array([0.0, 4.0, 1.0])
    g = grad(f)(x)
    np.testing.assert_allclose(g, [0.0, 0.25, 0.5])
    assert jvp(f, (x,), (np.ones(3),))[1] == pytest.approx(0.75)


def test_logaddexp_reduce_is_stable():
    x = np.array([1e4, -1e4, 1e4])
    assert vjp(np.logaddexp.reduce, x)[0] == np.logaddexp.reduce(x)
    np.testing.assert_allclose(grad(np.logaddexp.reduce)(x), [0.5, 0.0, 0.5])


def test_quantile_of_nan_is_nan():
    assert np.isnan(vjp(np.median, np.array([1.0, np.nan]))[0])


def test_shape_alone():
    assert eval_shape(lambda x: np.sort(x, axis=None), Spec((2, 3), np.float32)) == Spec((6,), np.float32)
    assert eval_shape(lambda x: np.quantile(x, [0.1, 0.2], axis=1), Spec((2, 3))) == Spec((2, 2))
    for f in (np.nonzero, np.unique, np.argwhere, lambda x: np.partition(x, 1)):
        with pytest.raises(ShapeOnlyError, match=r"np\.where"):
            eval_shape(f, Spec((3,)))


def test_errors():
    with pytest.raises(MissingRuleError, match="weibull"):
        grad(lambda x: np.quantile(x, 0.5, method="weibull"))(V)
    with pytest.raises(ValueError, match="between 0 and 1"):
        grad(lambda x: np.quantile(x, 1.5))(V)
    with pytest.raises(ValueError, match="2 conditions for 1 choices"):
        grad(lambda x: np.select([x > 0, x < 0], [x])[0])(V)
    with pytest.raises(ValueError, match="neither"):
        grad(lambda x: np.where(x > 0, x)[0])(V)
    with pytest.raises(MissingRuleError, match=r"np\.add\.at"):
        grad(lambda x: np.add.at(x, [0], 1.0))(V)
    with pytest.raises(MissingRuleError, match=r"np.add.reduceat.*np.split"):
        grad(lambda x: np.add.reduceat(x, [0, 2])[0])(V)
    with pytest.raises(MissingRuleError, match=r"np\.hypot\.reduce"):
        grad(np.hypot.reduce)(V)


def test_quantiles_of_no_lines():
    x = np.zeros((0, 3))
    for f in (lambda x: np.median(x, axis=-1), lambda x: np.quantile(x, 0.3, axis=1, keepdims=True)):
        np.testing.assert_array_equal(vjp(f, x)[0], f(x))
        assert grad(lambda x: np.sum(f(x)))(x).shape == (0, 3)  # noqa: B023
