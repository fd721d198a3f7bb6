"""Under `vmap`: functions whose course depends on values, which differ between the examples, beside a loop."""

import numpy as np
import pytest

from autodiff import grad, jvp, tree, vmap
from autodiff.core.errors import BatchingError

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(2, 4, 3))
AT = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1]])
FIXED = np.array([0.1, 0.5, 0.9])


def changed(change):
    """A function that changes a copy of its first argument."""

    def f(x, *more):
        y = x.copy()
        change(y, x, *more)
        return y

    return f


CASES = {
    "piecewise": (lambda x: np.piecewise(x, [x < 0], [np.sin, np.cos]), X),
    "piecewise, roots of the negative": (lambda x: np.piecewise(x, [x > 0], [np.sqrt, lambda v: -np.sqrt(-v)]), X),
    "piecewise, arguments": (
        lambda x, y: np.piecewise(x, [x < -0.5, x > 0.5], [lambda v, k: v * k, lambda v, k: np.log(v) / k, 2.0], y[0]),
        X,
        Y,
    ),
    "piecewise, shared condition": (lambda x: np.piecewise(x, [[True, False, True]], [np.square]), X),
    "piecewise, shared points": (lambda x: np.piecewise(FIXED, [x < 0], [np.sin, np.exp]) * x, X),
    "piecewise, overlapping": (lambda x: np.piecewise(x, [x > -1, x > 0], [lambda v: 2 * v, lambda v: 3 * v]), X),
    "piecewise, a number": (lambda x: np.piecewise(x[0], [x[0] < 0, x[0] > 0], [-1, np.square]), X),
    "piecewise, a matrix": (lambda x: np.piecewise(np.outer(x, x), [np.outer(x, x) < 0], [np.sin, np.exp]), X),
    "histogram": (lambda x: np.histogram(x, 2), X),
    "histogram, density": (lambda x: np.histogram(x, 3, density=True), X),
    "histogram, weights": (lambda w: np.histogram(FIXED, 2, weights=w), X),
    "histogram, range": (lambda x, w: np.histogram(x, 3, (-1, 1), weights=w), X, Y),
    "histogram, edges": (lambda x, w: np.histogram(x, [-9.0, 0.0, 9.0], weights=w, density=True), X, np.abs(Y)),
    "histogram, own edges": (lambda x: np.histogram(FIXED, np.sort(x)), X),
    "histogram_bin_edges": (lambda x: np.histogram_bin_edges(x, 3), X),
    "histogram2d": (lambda x, y: np.histogram2d(x, y, [2, 3], weights=x), X, Y),
    "histogramdd": (
        lambda x, y: np.histogramdd(np.outer(x, y), (2, [-9.0, 0.0, 9.0], 2), density=True),
        X,
        Y,
    ),
    "weighted quantile": (
        lambda x, w: np.quantile(x, [0.3, 0.6], weights=np.abs(w), method="inverted_cdf"),
        X,
        Y,
    ),
    "weighted percentile along an axis": (
        lambda x: np.percentile(np.outer(x, x), 30, 0, weights=np.abs(x), method="inverted_cdf", keepdims=True),
        X,
    ),
    "quantile of shared values": (lambda q: np.percentile(FIXED, np.abs(q)), X),
    "roots": (np.roots, np.abs(X) + np.array([3.0, 0.0, 0.0])),
    "polydiv": (lambda x, y: np.polydiv(x, y[:2]), X, Y),
    "poly": (lambda x: np.poly(np.outer(x, x) + 0j), X),
    "bincount": (lambda x: np.bincount(np.argsort(x), x**2), X),
    "bincount, minlength": (lambda i, w: np.bincount(i, w, 4), AT, X),
    "bincount, counts": (np.bincount, AT),
    "choose": (lambda i, x, y: np.choose(i, [x, y]), AT, X, Y),
    "choose, clip": (lambda x: np.choose(np.argsort(x), [x, x**2], mode="clip"), X),
    "lexsort": (lambda x, y: np.lexsort((x, y)), X, Y),
    "isin": (lambda x: np.isin(x, x[:1], invert=True) * x, X),
    "digitize": (lambda x: np.digitize(FIXED, np.sort(x), right=True), X),
    "digitize, falling": (lambda x: np.digitize(FIXED, -np.sort(-x)), X),
    "allclose": (lambda x: np.allclose(x, np.where(x < 2, x, 0)) * x, X),
    "array_equal": (lambda x: np.array_equal(x, np.abs(x)) * x, X),
    "array_equiv": (lambda x: np.array_equiv(x, np.abs(x)) * x, X),
    "real_if_close": (lambda x: np.real_if_close(x + 1e-20j), X),
    "interp, period": (lambda x, p: np.interp(x, [0.0, 1, 2], [1.0, 3, 0], period=3 + p[0] ** 2), X, Y),
    "putmask": (changed(lambda y, x, v: np.putmask(y, x > 0, v[:2])), X, Y),
    "place": (changed(lambda y, x, v: np.place(y, x > 0, v[:2])), X, Y),
    "copyto": (changed(lambda y, x, v: np.copyto(y, v, where=x > 0)), X, Y),
    "assignment of a choice": (changed(lambda y, x: y.__setitem__(..., np.where(x > 0, x**2, 1.0))), X),
    "isclose, own tolerance": (lambda x: np.isclose(x, x + 0.1, rtol=np.abs(x[0]) / 9) * x, X),
    "put": (changed(lambda y, x, i, v: np.put(y, i, v)), X, AT, Y),
    "a position in a view": (changed(lambda y, x, v: y[::-1][1:].__setitem__(np.argmax(x[:2]), v[0])), X, Y),
    "positions in a view": (
        changed(lambda y, x, i, v: y[1:].T.__setitem__((i, 1), v)),
        np.stack([X, Y, X], axis=1),
        np.array([[0, 2, 1]] * 4),
        Y,
    ),
    "rows of a view": (changed(lambda y, x, i: y[None].T.__setitem__(i[:2], 2.0)), np.stack([X, Y], axis=1), AT),
    "add.at": (changed(lambda y, x, i, v: np.add.at(y, i, v)), X, AT, Y),
    "add.at, pairs": (changed(lambda y, x, i: np.subtract.at(y, (i, 1 - i), 2.0)), np.stack([X] * 3, 1), AT),
    "add.at, rows": (changed(lambda y, x, i, v: np.add.at(y, i, v)), np.stack([X] * 3, 1), AT, Y),
}


def close(got, wanted, rtol=1e-12):
    for g, *rows in zip(tree.leaves(got), *map(tree.leaves, wanted), strict=True):
        want = np.stack([np.asarray(r) for r in rows])
        assert (g.shape, g.dtype) == (want.shape, want.dtype)
        np.testing.assert_allclose(g, want, rtol=rtol, atol=rtol)


def scalar(f):
    parts = lambda y: [v for v in tree.leaves(y) if v.dtype.kind in "fc"]
    return lambda *args: sum(np.sum(np.real(v) * 0.7 + np.imag(v)) for v in parts(f(*args)))


@pytest.mark.parametrize("name", CASES)
def test_beside_a_loop(name):
    f, *args = CASES[name]
    rows = list(zip(*args, strict=True))
    close(vmap(f)(*args), [f(*row) for row in rows])
    active = tuple(i for i, a in enumerate(args) if a.dtype.kind == "f")
    if not active or not any(v.dtype.kind in "fc" for v in tree.leaves(f(*rows[0]))):
        return
    slope = grad(scalar(f), active)
    want = [slope(*row) for row in rows]
    close(vmap(slope)(*args), want, 1e-10)
    close(grad(lambda *a: np.sum(vmap(scalar(f))(*a)), active)(*args), want, 1e-10)

    def along(*row):
        inner = lambda *xs: scalar(f)(*[xs[active.index(i)] if i in active else a for i, a in enumerate(row)])
        primals = tuple(row[i] for i in active)
        return jvp(inner, primals, tuple(np.ones_like(p) for p in primals))[1]

    close(vmap(along)(*args), [along(*row) for row in rows], 1e-10)


def test_maps_of_maps():
    many = np.stack([X, Y])
    for f in (lambda x: np.histogram(x, 2, weights=x)[0], lambda x: np.piecewise(x, [x < 0], [np.sin, np.cos])):
        np.testing.assert_allclose(vmap(vmap(f))(many), [[f(x) for x in part] for part in many], rtol=1e-14)


def test_dtypes():
    assert vmap(lambda x: np.histogram(x, 2)[0])(X).dtype == np.intp
    single = X.astype(np.float32)
    n, edges = vmap(lambda x: np.histogram(x, 2, weights=x))(single)
    assert (n.dtype, edges.dtype) == (np.float32, np.float32)
    assert vmap(lambda x: np.piecewise(x, [x < 0], [np.sin, 1.0]))(single).dtype == np.float32


@pytest.mark.parametrize(
    "f",
    [lambda v: v - np.mean(v), np.cumsum, lambda v: np.cumsum(v[::-1])[::-1], np.max],
)
def test_piecewise_refuses_functions_that_are_not_elementwise(f):
    with pytest.raises(BatchingError, match=r"np\.piecewise: inside vmap .* function 1 of funclist .* Write it"):
        vmap(lambda x: np.piecewise(x, [x < 0], [np.sin, f]))(X)


@pytest.mark.parametrize(
    ("f", "x", "message"),
    [
        (np.bincount, np.array([[0, 1], [0, 3]]), "2 to 4 entries.*Give minlength=4"),
        (lambda x: np.delete(x, x > 0), X, r"np\.delete: bool\[3\] stands for 4 examples"),
        (lambda x: np.histogram_bin_edges(x, "fd"), X, "Give a number of bins"),
    ],
)
def test_results_of_different_shapes_are_refused(f, x, message):
    with pytest.raises(BatchingError, match=message):
        vmap(f)(x)


def test_errors():
    with pytest.raises(ValueError, match=r"np\.bincount: the numbers must not be negative"):
        vmap(np.bincount)(np.array([[0, -1]]))
    with pytest.raises(ValueError, match=r"np\.choose: an index is not between 0 and 1"):
        vmap(lambda i: np.choose(i, [1.0, 2.0]))(np.array([[0, 2]]))
    with pytest.raises(ValueError, match=r"np\.piecewise: 3 functions for 1 conditions"):
        vmap(lambda x: np.piecewise(x, [x > 0], [1, 2, 3]))(X)
    with pytest.raises(ValueError, match=r"np\.interp: period must be a non-zero value"):
        vmap(lambda p: np.interp(p, FIXED, FIXED, period=p))(np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"np\.place: the mask has the shape \(2,\), the array \(3,\)"):
        vmap(changed(lambda y, x: np.place(y, x[:2] > 0, 1.0)))(X)


OF_AXES = [np.sum, np.max, np.prod, np.all, np.argmax, np.argsort, np.count_nonzero, np.linalg.norm, np.cumsum, np.mean]
by_name = pytest.mark.parametrize("f", OF_AXES, ids=lambda f: f.__name__)


@by_name
def test_an_axis_that_an_example_has_not_is_an_error(f):
    """As many examples as entries: the axis that counts them must not be taken for one of an example."""
    with pytest.raises(np.exceptions.AxisError):
        vmap(lambda x: f(x, axis=-2))(X[:3])
    with pytest.raises(np.exceptions.AxisError):
        vmap(lambda x: f(x, axis=1))(X[:3])


MATRICES = [
    (np.matmul, (), (3,)),
    (np.matmul, (3,), ()),
    (np.vdot, (3,), ()),
    *[
        (getattr(np, n), *shapes)
        for n in ("matvec", "vecmat")
        if hasattr(np, n)
        for shapes in (((3,), (3,)), ((), (3,)))
    ],
    (np.linalg.solve, (3,), (3,)),
    (np.inner, (3,), (4,)),
]


@pytest.mark.parametrize(("f", "one", "two"), MATRICES)
def test_examples_with_too_few_axes_are_an_error(f, one, two):
    a, b = RNG.normal(size=(3, *one)), RNG.normal(size=(3, *two))
    for axes in ((0, 0), (0, None), (None, 0)):
        with pytest.raises((ValueError, np.linalg.LinAlgError)):
            vmap(f, axes)(*(x if axis == 0 else x[0] for x, axis in zip((a, b), axes, strict=True)))


@by_name
def test_numbers_have_an_axis_where_numpys_have_one(f):
    for kwargs in ({"axis": -1}, {"axis": 0}, {"axis": -1, "keepdims": True}):
        try:
            want = np.stack([f(np.array(v), **kwargs) for v in X[0]])
        except (np.exceptions.AxisError, TypeError, ValueError):
            continue
        got = vmap(lambda x, kwargs=kwargs: f(x, **kwargs))(X[0])
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype
    with pytest.raises((np.exceptions.AxisError, ValueError)):
        vmap(lambda x: f(x, axis=1))(X[0])
