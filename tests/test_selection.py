"""Selection, order and choice: NumPy's values, both modes, ties, and errors."""

import numpy as np
import pytest

from autodiff import Spec, check_grads, eval_shape, grad, hessian, jvp, vjp, vmap
from autodiff.core.errors import MissingRuleError, ShapeOnlyError

X = np.random.default_rng(0).normal(size=(3, 4))
V = X[0]

METHODS = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen")
METHODS += ("weibull", "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "nearest", "midpoint")

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
       for m in METHODS},
    **{f"quantiles_{m}": (lambda x, m=m: np.quantile(x, np.linspace(0, 1, 9), method=m), V) for m in METHODS},
    "quantile_traced_q": (lambda q: np.quantile(X, q, axis=1), np.array([0.13, 0.55])),
    "percentile_traced_q": (lambda q: np.percentile(V, 90 * q), np.array(0.4)),
    "nanmedian": (lambda x: np.nanmedian(np.where(X > 1, np.nan, x), axis=1), X),
    "nanmedian_keepdims": (lambda x: np.nanmedian(x, axis=(0, 1), keepdims=True), X),
    "nanquantile": (lambda x: np.nanquantile(np.where(X > 1, np.nan, x), [0.2, 0.7], axis=1, keepdims=True), X),
    "nanpercentile": (lambda x: np.nanpercentile(np.where(X > 1, np.nan, x), 30), X),
    "median_complex": (lambda x: np.median(x + 1j * x**2, axis=1), X),
    "percentile": (lambda x: np.percentile(x, 35, axis=1, keepdims=True), X),
    "where": (lambda x: np.where(x > 0, x**2, -x), X),
    "where_positions": (lambda x: x[np.where(x > 0)], X),
    "nonzero": (lambda x: x[np.nonzero(x > 0)], X),
    "flatnonzero": (lambda x: x.ravel()[np.flatnonzero(x > 0)], X),
    "argwhere": (lambda x: x[tuple(np.argwhere(x > 0)[0])], X),
    "unique_values": (lambda x: np.unique(np.concatenate([x, x[:2]])), V),
    "unique_rows": (lambda x: np.unique(x, axis=0), X),
    "argpartition_method": (lambda x: np.sort(x[x.argpartition(2)[:2]]), V),
    "bincount": (lambda x: np.bincount([0, 3, 3, 1], weights=x, minlength=6), V),
    "unique": (lambda x: np.sum(x) * np.unique(np.round(x)), X),
    "select": (lambda x: np.select([x < -0.5, x < 0.5], [x**2, np.sin(x)], 3.0 * x), X),
    "choose": (lambda x: np.choose(np.array([0, 1, 1, 0]), [x, x**2]), V),
    "choose_wrap": (lambda x: np.choose([0, 3, -1, 2], [x, x**2], mode="wrap"), V),
    "piecewise": (lambda x: np.piecewise(x, [x < 0, x >= 0.5], [np.exp, np.sin, lambda x: x**2]), X),
    "piecewise_constant": (lambda x: np.piecewise(x, [x < 0], [-1.0, lambda x: x * 2]), X),
    "piecewise_last_counts": (lambda x: np.piecewise(x, [x > -0.5, x > 0], [np.sin, np.log, 2.0]), X),
    "piecewise_of_the_part": (lambda x: np.piecewise(x, [x > 0], [lambda v: v * np.mean(v), lambda v: v / len(v)]), X),
    "piecewise_scalar": (lambda x: np.piecewise(x, [x > 0], [np.log, 0.0]), np.array(0.3)),
    "clip_dtype": (lambda x: np.clip(x, -0.2, 0.4, dtype=np.float64), X),
    "nan_to_num_complex": (lambda x: np.nan_to_num(np.where(X > 0.5, complex(np.nan, 2.0), x + 1j * x**2)), X),
    "nan_to_num": (lambda x: np.nan_to_num(np.where(X > 0.5, np.nan, x)), X),
    "round": (lambda x: x * np.round(x, 1), X),
    "round_method": (lambda x: x * x.round(), X),
    "add_reduce": (np.add.reduce, X),
    "multiply_reduce": (lambda x: np.multiply.reduce(x, axis=1), X),
    "maximum_reduce": (lambda x: np.maximum.reduce(x, axis=None, keepdims=True), X),
    "logaddexp_reduce": (lambda x: np.logaddexp.reduce(x, axis=1), X),
    "logaddexp_reduce_axes": (lambda x: np.logaddexp.reduce(x, axis=(0, 1), keepdims=True), X),
    "logaddexp_reduce_initial": (lambda x: np.logaddexp.reduce(x, initial=0.3), X),
    "logaddexp_reduce_where": (lambda x: np.logaddexp.reduce(x, where=X > -0.6, axis=1), X),
    "logical_or_reduce": (lambda x: x * np.logical_or.reduce(x > 1, axis=1, keepdims=True, initial=False), X),
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


def test_logaddexp_reduce_at_infinity():
    inf = np.inf
    for x, want in [
        ([-inf, -inf], [0.5, 0.5]),
        ([inf, 1.0], [1, 0]),
        ([-inf, 2.0], [0, 1]),
        ([inf, inf, 0.0], [0.5, 0.5, 0]),
    ]:
        assert vjp(np.logaddexp.reduce, np.array(x))[0] == np.logaddexp.reduce(x)
        np.testing.assert_array_equal(grad(np.logaddexp.reduce)(np.array(x)), want)
    assert vjp(np.logaddexp.reduce, np.zeros(0))[0] == -inf


@pytest.mark.parametrize("x", [[1e4, 9999.0, -1e4], [-np.inf, 0.0, 1.0], [700.0, 710.0, 720.0]])
def test_logsumexp_is_accurate(x):
    x = np.array(x)
    shares = np.exp(x - x.max()) / np.sum(np.exp(x - x.max()))
    for f in (np.logaddexp.reduce, lambda x: np.log(np.sum(np.exp(x - x.max()))) + x.max()):
        np.testing.assert_allclose(grad(f)(x), shares, rtol=1e-15, atol=1e-300)
        np.testing.assert_allclose(hessian(f)(x), np.diag(shares) - np.outer(shares, shares), rtol=1e-12, atol=1e-16)


def test_quantile_of_nan_is_that_nan():
    x = np.array([1.0, np.nan, 3.0])
    for f in (np.median, lambda x: np.quantile(x, 0.3)):
        assert np.isnan(vjp(f, x)[0])
        np.testing.assert_array_equal(grad(f)(x), [0, 1, 0])
    for f in (np.nanmedian, lambda x: np.nanquantile(x, 0.25)):
        assert vjp(f, x)[0] == f(x)
        assert np.isnan(vjp(f, np.full(2, np.nan))[0])
    assert np.isinf(vjp(np.median, np.array([np.inf, 1.0, np.inf]))[0])


def test_quantiles_in_float32():
    x = V.astype(np.float32)
    for f in (
        lambda x: np.quantile(x, 0.3),
        lambda x: np.percentile(x, 30),
        lambda x: np.nanquantile(x, 0.3),
        np.median,
    ):
        value, pullback = vjp(f, x)
        np.testing.assert_allclose(value, f(x), rtol=1e-6)
        assert value.dtype == pullback(value)[0].dtype == np.float32


def test_python_numbers():
    assert grad(lambda x: np.piecewise(x, [x > 0], [np.log, 0.0]))(0.5) == 2.0
    assert grad(np.median)(0.3) == 1.0
    assert grad(lambda q: np.quantile([1.0, 2.0, 4.0], q))(0.3) == 2.0


def test_unique_gives_the_adjoint_to_the_first_entry():
    x = np.array([3.0, 1.0, 2.0, 1.0, 3.0])
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.unique(x) ** 2))(x), [6, 2, 4, 0, 0])
    got = vjp(lambda x: np.unique(x, return_index=True, return_inverse=True, return_counts=True), x)[0]
    for a, b in zip(got, np.unique(x, return_index=True, return_inverse=True, return_counts=True), strict=True):
        np.testing.assert_array_equal(a, b)


def test_shape_alone():
    assert eval_shape(lambda x: np.sort(x, axis=None), Spec((2, 3), np.float32)) == Spec((6,), np.float32)
    assert eval_shape(lambda x: np.quantile(x, [0.1, 0.2], axis=1), Spec((2, 3))) == Spec((2, 2))
    for f in (np.nonzero, np.unique, np.argwhere, lambda x: np.lexsort((x, x))):
        with pytest.raises(ShapeOnlyError, match=r"np\.where"):
            eval_shape(f, Spec((3,)))


def test_errors():
    with pytest.raises(ValueError, match="inverted_cdf"):
        grad(lambda x: np.quantile(x, 0.5, weights=np.ones(4)))(V)
    with pytest.raises(ValueError, match="method='middle' is not one of"):
        grad(lambda x: np.quantile(x, 0.5, method="middle"))(V)
    with pytest.raises(TypeError, match="no order"):
        grad(lambda x: np.real(np.quantile(x + 1j, 0.5)))(V)
    with pytest.raises(TypeError, match="both a_min and a_max"):
        grad(lambda x: np.sum(np.clip(x, 0.0)))(V)
    with pytest.raises(TypeError, match=r"np\.clip.*out="):
        grad(lambda x: np.sum(x.clip(0, 1, np.zeros(4))))(V)
    with pytest.raises(ValueError, match="between 0 and 1"):
        grad(lambda x: np.quantile(x, 1.5))(V)
    with pytest.raises(ValueError, match="2 conditions for 1 choices"):
        grad(lambda x: np.select([x > 0, x < 0], [x])[0])(V)
    with pytest.raises(ValueError, match="neither"):
        grad(lambda x: np.where(x > 0, x)[0])(V)
    with pytest.raises(MissingRuleError, match=r"np\.power\.reduce"):
        grad(np.power.reduce)(V)


def test_quantiles_of_no_lines():
    x = np.zeros((0, 3))
    for f in (lambda x: np.median(x, axis=-1), lambda x: np.quantile(x, 0.3, axis=1, keepdims=True)):
        np.testing.assert_array_equal(vjp(f, x)[0], f(x))
        assert grad(lambda x: np.sum(f(x)))(x).shape == (0, 3)  # noqa: B023


def test_weighted_quantiles():
    w = np.array([[1.0, 0.0, 2.0, 0.5], [1.0, 1.0, 3.0, 1.0]])
    x = np.array([[3.0, 1.0, 2.0, 4.0], [0.5, 2.5, 1.5, 3.5]])
    for name, scale in (("quantile", 1), ("percentile", 100), ("nanquantile", 1)):
        f = getattr(np, name)
        for q in (0.5 * scale, np.array([0.1, 0.9]) * scale):
            for axis in (0, 1, None, (0, 1)):
                g = lambda x, f=f, q=q, axis=axis, **k: f(x, q, axis=axis, method="inverted_cdf", weights=w, **k)
                check_grads(g, (x,))
                for keepdims in (False, True):
                    y = vjp(lambda x, g=g, k=keepdims: g(x, keepdims=k), x)[0]
                    np.testing.assert_array_equal(y, g(x, keepdims=keepdims))
    gx, gw = grad(lambda x, w: np.quantile(x, 0.5, method="inverted_cdf", weights=w), (0, 1))(x[0], w[0])
    np.testing.assert_array_equal(gx, [0, 0, 1, 0])
    np.testing.assert_array_equal(gw, 0)


def test_bins_and_partitions_of_batches():
    x = np.array([[3.0, 1.0, 2.0, 4.0], [0.5, 2.5, 1.5, 3.5]])
    for bins in ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [2.0]):
        for right in (False, True):
            f = lambda x, b=bins, r=right: np.digitize(x, b, r)
            np.testing.assert_array_equal(vmap(f)(x), f(x))
    np.testing.assert_array_equal(vmap(lambda x: np.partition(x, 2)[2])(x), np.sort(x)[:, 2])
    with pytest.raises(ValueError, match="monotonically"):
        grad(lambda x: np.sum(x * np.digitize(x, [0.0, 2.0, 1.0])))(V)
    with pytest.raises(TypeError, match="no order"):
        jvp(lambda z: z * np.digitize(z, [0.0]), (V + 1j,), (V + 0j,))
    with pytest.raises(MissingRuleError, match="order="):
        grad(lambda x: np.sum(x * np.argpartition(x, 1, order="a")))(V)


def _copied_where(condition, x):
    y = x * x
    np.copyto(y, x, where=condition)
    return y


class ArrayLike:
    """What NumPy takes for an array, and Python for an object."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.mark.parametrize("kind", [list, tuple, np.ndarray.tolist, memoryview, ArrayLike])
@pytest.mark.parametrize(
    "f",
    [
        lambda c, x: np.where(c, x, x * x),
        lambda c, x: np.where(c, 2.0, x),
        lambda c, x: np.select([c, np.ones(x.shape, bool)], [x * x, x]),
        lambda c, x: np.sum(x, axis=0, where=c),
        lambda c, x: np.nanmean(np.where(c, np.nan, x)),
        _copied_where,
    ],
    ids=["where", "where constant", "select", "sum where", "nanmean", "copyto"],
)
def test_conditions_may_be_array_likes(f, kind):
    x = np.random.default_rng(3).normal(size=(3, 4))
    condition = x > 0
    t, w = np.cos(x), np.cos(np.arange(f(condition, x).size)).reshape(f(condition, x).shape)
    given = kind(condition)
    want = vjp(lambda x: f(condition, x), x)
    got = vjp(lambda x: f(given, x), x)
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_array_equal(got[1](w)[0], want[1](w)[0])
    assert jvp(lambda x: np.sum(w * f(given, x)), (x,), (t,))[1] == pytest.approx(np.sum(want[1](w)[0] * t))
    check_grads(lambda x: f(given, x), (x,), order=2)
