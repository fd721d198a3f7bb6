"""Covariances and histograms: values for every keyword, both modes to second order, degenerate cases, errors."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import eval_shape, grad, hessian, jvp, vjp, vmap
from autodiff.core.errors import BatchingError, ShapeOnlyError
from tests.product_checks import check, draw

RNG = np.random.default_rng(31)
X, Y = RNG.normal(size=(3, 5)), RNG.normal(size=(2, 5))
W = RNG.uniform(0.5, 2.0, 5)
COUNTS = np.array([1, 3, 0, 2, 1])
V = np.array([0.3, 0.8, 1.4, 2.9, 2.2])

# -- covariance ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"bias": True},
        {"ddof": 2},
        {"ddof": 0, "bias": True},
        {"rowvar": False},
        {"fweights": COUNTS},
        {"aweights": W},
        {"aweights": W, "fweights": COUNTS, "ddof": 2},
        {"aweights": W, "ddof": 0},
        {"dtype": np.float32},
    ],
)
def test_cov_by_keyword(keywords):
    x = X.T if keywords.get("rowvar") is False else X
    if "dtype" in keywords:
        y, t = jvp(lambda x: np.cov(x, **keywords), (x,), (x,))
        assert (y.dtype, t.dtype) == (np.float32, np.float32)
        np.testing.assert_allclose(y, np.cov(x, **keywords), rtol=1e-5)
    else:
        check(lambda x: np.cov(x, **keywords), x)


def test_cov_of_two_tables_vectors_and_complex_numbers():
    check(np.cov, X, Y)
    check(lambda x, y: np.cov(x, y, rowvar=False), X.T, Y.T)
    check(lambda x, y: np.cov(x, y, rowvar=False), X[:, 0], Y[0, :3])
    check(np.cov, X[0])
    check(lambda x: np.cov(x, rowvar=False), X[0])
    check(np.cov, draw(RNG, (2, 4), complex))
    check(lambda x: np.cov(x, Y), X)
    check(lambda y: np.cov(X, y), Y)
    check(lambda x: np.cov(x, [1.0, 2, 3, 4, 6]), X[0])


def test_cov_by_its_weights():
    check(lambda w: np.cov(X, aweights=w), W)
    check(lambda x, w: np.cov(x, aweights=w, fweights=COUNTS), X, W)


def test_cov_of_nothing_and_of_one_observation():
    assert grad(lambda x: np.sum(np.cov(x)))(np.zeros((0, 3))).shape == (0, 3)
    with pytest.warns(RuntimeWarning, match="Degrees of freedom <= 0"), np.errstate(all="ignore"):
        assert np.all(np.isnan(grad(lambda x: np.sum(np.cov(x)))(X[:, :1])))


@pytest.mark.parametrize("keywords", [{}, {"rowvar": False}])
def test_corrcoef(keywords):
    check(lambda x: np.corrcoef(x, **keywords), X if not keywords else X.T)
    check(np.corrcoef, X, Y)
    check(np.corrcoef, draw(RNG, (2, 4), complex))
    assert np.corrcoef(X[0]) == jvp(np.corrcoef, (X[0],), (X[1],))[0]


def test_perfect_correlation_is_a_smooth_maximum():
    """What rounding puts beyond 1 is taken off the value without a kink: the second derivative stays whole."""
    f = lambda y: np.corrcoef(X[0], y)[0, 1]
    y = 3 * X[0] + 1
    np.testing.assert_allclose(f(y), 1.0, rtol=1e-15)
    np.testing.assert_allclose(grad(f)(y), 0.0, atol=1e-14)
    c = y - y.mean()
    n = len(y)
    u = c / np.sqrt(c @ c)
    want = -(np.eye(n) - 1 / n - np.outer(u, u)) / (c @ c)
    np.testing.assert_allclose(hessian(f)(y), want, atol=1e-13)


def test_correlation_with_a_constant_has_no_number():
    with np.errstate(all="ignore"):
        x = np.stack([V, np.ones(5)])
        assert np.isnan(jvp(lambda x: np.corrcoef(x)[0, 1], (x,), (x,))[1])
        assert np.all(np.isnan(grad(lambda x: np.corrcoef(x)[0, 1])(x)[1]))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: np.cov(x, ddof=0.5), ValueError, "np.cov: ddof must be an integer, not 0.5"),
        (lambda x: np.cov(x[None]), ValueError, r"np.cov: the observations must have at most 2 axes.*\[1,3,5\]"),
        (lambda x: np.cov(x, fweights=[1.0, 2]), RuntimeError, r"fweights must be of shape \(5,\), .*\[2\]"),
        (lambda x: np.cov(x, aweights=-W), ValueError, "aweights cannot be negative"),
        (lambda x: np.cov(x, fweights=W), TypeError, "fweights must be integers"),
    ],
)
def test_errors_of_cov(call, error, text):
    with pytest.raises(error, match=text):
        grad(lambda x: np.sum(call(x)))(X)


def test_cov_of_batches():
    x = RNG.normal(size=(4, 2, 5))
    np.testing.assert_allclose(vmap(np.cov)(x), np.stack([np.cov(a) for a in x]), rtol=1e-13)
    np.testing.assert_allclose(vmap(np.corrcoef)(x), np.stack([np.corrcoef(a) for a in x]), rtol=1e-13)


# -- histograms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [3, 1, [0.0, 1.0, 1.4, 2.5], np.array([0.3, 0.8, 2.9]), "sturges"])
@pytest.mark.parametrize("limits", [None, (0.0, 2.0)])
def test_histogram_by_its_weights(bins, limits):
    if limits and not isinstance(bins, int):
        limits = None
    for density in (False, True):
        if isinstance(bins, str):
            continue
        check(lambda w, d=density: np.histogram(V, bins, limits, density=d, weights=w)[0], W)
    check(lambda w: np.histogram(V, [0.0, 1.0, 5.0], weights=w)[0], W + 1j)


def test_histogram_of_traced_values():
    counts, edges = jvp(lambda x: np.histogram(x, 4), (V,), (np.ones(5),))[0]
    np.testing.assert_array_equal(counts, np.histogram(V, 4)[0])
    np.testing.assert_array_equal(edges, np.histogram(V, 4)[1])
    assert counts.dtype == np.histogram(V, 4)[0].dtype
    check(lambda x: np.histogram(x, 4)[1], V)
    check(lambda x: np.histogram(x, "sturges")[1], V)
    check(lambda x: np.histogram(x, 4, density=True)[0], V)
    check(lambda x, w: np.histogram(x, 4, density=True, weights=w)[0], V, W)
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.histogram(x, 4, (0.0, 3.0), density=True)[0]))(V), 0)


def test_histogram_of_equal_values_and_of_none():
    for x in (np.full(3, 1.5), np.zeros(0)):
        y, t = jvp(lambda x: np.histogram_bin_edges(x, 2), (x,), (np.ones_like(x),))
        np.testing.assert_array_equal(y, np.histogram_bin_edges(x, 2))
        np.testing.assert_allclose(t, 1.0 if x.size else 0.0)


def test_histogram_by_its_edges():
    edges = np.array([0.0, 1.0, 2.0, 4.0])
    check(lambda e: np.histogram(V, e, density=True)[0], edges)
    check(lambda e: np.histogram(V, e)[1] ** 2, edges)


def test_weights_keep_their_dtype():
    w = W.astype(np.float32)
    y, t = jvp(lambda w: np.histogram(V, 3, weights=w)[0], (w,), (w,))
    assert y.dtype == t.dtype == np.histogram(V, 3, weights=w)[0].dtype == np.float32


def test_histograms_of_several_coordinates():
    x, y = V, V[::-1] ** 2
    for density in (False, True):
        check(lambda w, d=density: np.histogram2d(x, y, 3, weights=w, density=d)[0], W)
        check(lambda w, d=density: np.histogram2d(x, y, [2, 3], weights=w, density=d)[0], W)
        check(lambda w, d=density: np.histogram2d(x, y, [0.0, 1, 2, 3], weights=w, density=d)[0], W)
        check(lambda w, d=density: np.histogramdd((x, y, x), (2, 3, 2), weights=w, density=d)[0], W)
        check(lambda w, d=density: np.histogramdd(np.stack([x, y], 1), 2, [None, (0, 5)], d, w)[0], W)
    check(lambda x, y: np.histogram2d(x, y, 3, density=True)[0], x, y)
    check(lambda x: np.histogram2d(x, y, 3)[1], x)
    check(lambda x: np.histogramdd(x, 3)[1][1], np.stack([x, y], 1))
    counts = vjp(lambda x: np.histogramdd(x, 2)[0], np.stack([x, y], 1))[0]
    np.testing.assert_array_equal(counts, np.histogramdd(np.stack([x, y], 1), 2)[0])


def test_density_is_in_double_precision():
    x, edges = V.astype(np.float32), np.array([0.0, 1.0, 3.0], np.float32)
    got = jvp(lambda w, e: np.histogram(V, e, weights=w, density=True)[0], (x, edges), (x, edges))
    assert [v.dtype for v in got] == [np.histogram(V, edges, weights=x, density=True)[0].dtype] * 2 == [np.float64] * 2


def test_errors_of_histograms():
    with pytest.raises(ValueError, match=r"np\.histogram2d: x and y differ in length: float64\[5\] and float64\[2\]"):
        grad(lambda x: np.histogram2d(x, x[:2])[0].sum())(V)
    with pytest.raises(ValueError, match="must be positive"):
        grad(lambda x: np.histogram(x, 0)[1].sum())(V)
    with pytest.raises(BatchingError, match=r"np\.histogram: the number of bins that bins='auto' finds differs"):
        vmap(lambda x: np.histogram(x, "auto")[0])(X)
    with pytest.raises(ValueError, match="must be positive"):
        vmap(lambda x: np.histogram(x, 0)[0])(X)
    with pytest.raises(ShapeOnlyError, match=r"np\.histogram\("):
        eval_shape(lambda x: np.histogram(x, 2)[0], V)
