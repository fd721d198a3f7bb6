"""Checks of the rows on NumPy and on assignment of autodiff/CONVENTIONS.md, and of the table in the README."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import checkpoint, custom_jvp, grad, jacfwd, jacrev, jvp, ops
from autodiff.core.errors import AssignmentError, ConversionError, LeakedTracerError
from tests.convention_rows import has, row, slopes

NAN, INF = np.nan, np.inf
README = "README.md"

# -- kinks ---------------------------------------------------------------------------------------------------


@row("`abs`, `ops.relu`, `norm`, `norm` of any order at 0")
@row("`abs`, `ops.relu`, `norm` at 0", document=README)
def at_zero():
    has(np.abs, 0.0, 0, 0)
    has(ops.relu, 0.0, 0, 0)
    for order in (None, 1, 2, 3, np.inf, 0.5):
        has(lambda x, p=order: np.linalg.norm(x, p), np.zeros(3), np.zeros(3))


@row("`maximum`, `minimum` of two equal values")
@row("`maximum`, `minimum` of two equal values", document=README)
def binary_ties():
    for f in (np.maximum, np.minimum):
        has(lambda x, f=f: f(x[0], x[1]), [2.0, 2.0], [0.5, 0.5])
    has(lambda x: np.maximum(x, 0), 0.0, 0.5)


@row("`max`, `min` with ties")
@row("reductions `max`, `min` with ties", document=README)
def ties():
    for f in (np.max, np.min):
        has(f, [3.0, 3.0, 3.0], [1 / 3] * 3)
    has(np.max, [3.0, 1.0, 3.0], [0.5, 0, 0.5])


@row("`ops.max_pool2d` with ties")
@row("`ops.max_pool2d` with ties", document=README)
def pooled_ties():
    has(lambda x: np.sum(ops.max_pool2d(x, 2)), np.ones((1, 1, 2, 2)), [[[[1, 0], [0, 0]]]])


@row("`clip` at a bound")
@row("`clip` at a bound", document=README)
def clipped():
    has(lambda x: np.clip(x, 0.0, 1.0), 0.0, 0.5)
    has(lambda x: np.clip(x, 0.0, 1.0), 1.0, 0.5)
    has(lambda x: np.clip(x[0], x[1], x[2]), [1.0, 1.0, 1.0], slopes(lambda x: np.minimum(np.maximum(x[0], x[1]), x[2]), np.ones(3)))  # fmt: skip # noqa: E501


@row("an entry that `where`, `select`, `clip`, `maximum` or an index did not choose", document=README)
@row("an entry that `where`, `select`, `clip`, `maximum` or an index did not choose")
def not_chosen():
    root = np.sqrt
    for f in (
        lambda x: np.where(x > 0, root(x), 0.0),
        lambda x: np.select([x > 0], [root(x)], 0.0),
        lambda x: np.maximum(root(x) - 1.0, 0.0),
        lambda x: np.clip(root(x), 0.5, 2.0),
        lambda x: np.stack([root(x), 3.0 * x])[1] - 3.0 * x,
    ):
        has(f, 0.0, 0, 0)


@row("any other 0 times infinity, as `sqrt(x) * sqrt(x)` at 0", document=README)
@row("any other 0 times infinity, as `sqrt(x) * sqrt(x)` at 0")
def indeterminate():
    assert np.isnan(slopes(lambda x: np.sqrt(x) * np.sqrt(x), 0.0))


@row("real function of a complex `z = x + iy`", document=README)
@row("real function of a complex `z = x + iy`")
def complex_gradient():
    z = 3.0 + 4.0j
    assert grad(np.abs)(z) == pytest.approx(0.6 - 0.8j)
    assert grad(np.imag)(z) == -1j


@row("`std` of a constant", document=README)
@row("`std`, `nanstd` of a constant")
def spread_of_a_constant():
    for f in (np.std, np.nanstd):
        has(f, np.ones(3), np.zeros(3), np.full((3, 3), NAN))


@row("`a**b` at a = b = 0", document=README)
@row("`power` at base 0 with powers 0, 1, 2 ...")
def powers_of_zero():
    has(lambda x: np.power(x[0], x[1]), [0.0, 0.0], [0, 0])
    has(lambda x: np.sum(x ** np.arange(4.0)), np.zeros(4), [0, 1, 0, 0], np.diag([0, 0, 2, 0]))
    has(lambda p: np.sum(np.power(0.0, p)), [0.0, 1.0, 2.0], [0, 0, 0])


# -- NumPy ---------------------------------------------------------------------------------------------------


@row(
    "`sign`, `floor`, `ceil`, `trunc`, `rint`, `round`, comparisons, `argmax`, `searchsorted`, `digitize`, counts",
)
def constants():
    x = np.array([-1.0, 0.0, 0.5, 2.0])
    for f in (
        *(np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round),
        lambda x: (x > 0) * 1.0,
        lambda x: np.argmax(x) * 1.0,
        lambda x: np.searchsorted(x, x) * 1.0,
        lambda x: np.digitize(x, [0.0, 1.0]) * 1.0,
        lambda x: np.count_nonzero(x) * 1.0,
        lambda x: np.bincount(np.floor(x + 1).astype(int)) * 1.0,
    ):
        assert not np.any(slopes(f, x))


@row("`heaviside` at 0")
def step():
    has(lambda x: np.heaviside(x[0], x[1]), [0.0, 0.5], [0, 1])


@row("`copysign`")
def signs():
    has(lambda x: np.copysign(x[0], x[1]), [-2.0, -3.0], [1, 0])
    has(lambda x: np.copysign(x[0], x[1]), [0.0, 1.0], [0, 0])


@row("`mod`, `fmod`, `divmod`, `modf`, `frexp`")
def whole_parts():
    has(lambda x: np.mod(x[0], x[1]), [4.0, 2.0], [1, -2])
    has(lambda x: np.fmod(x[0], x[1]), [-4.5, 2.0], [1, 2])
    has(lambda x: np.stack(np.divmod(x, 2.0)), 4.0, [0, 1])
    has(lambda x: np.stack(np.modf(x)), 2.0, [1, 0])
    has(lambda x: np.frexp(x)[0], 4.0, 0.125)


@row("`abs` of a complex 0, `hypot(0, 0)`")
def complex_zero():
    has(lambda x: np.abs(x[0] + 1j * x[1]), [0.0, 0.0], [0, 0])
    has(lambda x: np.hypot(x[0], x[1]), [0.0, 0.0], [0, 0])


@row("`angle(0)`, `arctan2(0, 0)`")
def angles():
    has(lambda x: np.angle(x[0] + 1j * x[1]), [0.0, 0.0], [NAN, NAN])
    has(lambda x: np.arctan2(x[0], x[1]), [0.0, 0.0], [NAN, NAN])


@row("`interp` at a knot")
def interpolated():
    has(lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 4.0]), [-1.0, 1.0, 2.0, 9.0], np.diag([0, 3, 3, 0]))


@row("`quantile`, `percentile` by q")
def quantile_by_q():
    has(lambda q: np.quantile([1.0, 2.0, 4.0], q), 0.5, 4)
    has(lambda q: np.percentile([1.0, 2.0, 4.0], q), 100.0, 0)


@row("`fmax`, `fmin` of a tie")
def fmax():
    for f in (np.fmax, np.fmin):
        has(lambda x, f=f: f(x[0], x[1]), [1.0, 1.0], [0.5, 0.5])
        has(lambda x, f=f: f(x[0], x[1]), [NAN, 1.0], [0, 1])


@row("`ptp`, `nanmax`, `nanmin` of ties")
def spans():
    has(np.ptp, [2.0, 2.0, 1.0], [0.5, 0.5, -1])
    has(np.ptp, [2.0, 2.0], [0, 0])
    has(np.nanmax, [2.0, 2.0, NAN], [0.5, 0.5, 0])
    has(np.nanmin, [2.0, 2.0, NAN], [0.5, 0.5, 0])


@row("`median`, `quantile`, `sort`, `partition` of ties")
def sorted_ties():
    has(lambda x: np.sort(x, kind="stable"), [2.0, 2.0, 1.0], [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    has(lambda x: np.quantile(x, 0.5), [2.0, 2.0, 1.0], [1, 0, 0])
    has(np.median, [1.0, 2.0, 2.0, 3.0], [0, 0.5, 0.5, 0])
    assert slopes(lambda x: np.partition(x, 1), [2.0, 2.0, 1.0]).sum(axis=0).tolist() == [1, 1, 1]


@row("`unique`, `union1d`, `intersect1d`, `setdiff1d`, `setxor1d`")
def sets():
    y = np.array([1.0, 5.0])
    has(np.unique, [2.0, 1.0, 2.0], [[0, 1, 0], [1, 0, 0]])
    has(lambda x: np.union1d(y, x), [2.0, 1.0], [[0, 0], [1, 0], [0, 0]])
    has(lambda x: np.intersect1d(x, y), [2.0, 1.0, 1.0], [[0, 1, 0]])
    has(lambda x: np.setdiff1d(x, y), [2.0, 1.0, 2.0], [[1, 0, 0]])
    has(lambda x: np.setxor1d(x, y), [2.0, 1.0], [[1, 0], [0, 0]])


@row("`maximum.accumulate` of ties")
def running_maximum():
    has(np.maximum.accumulate, [2.0, 2.0, 1.0], [[1, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0]])
    has(np.maximum.accumulate, [2.0, 2.0, 2.0], [[1, 0, 0], [0.5, 0.5, 0], [0.5, 0.25, 0.25]])


@row("functions with `nan` in their names")
def without_nan():
    x = [NAN, 1.0, 4.0]
    for f in (np.nansum, np.nanprod, np.nanmean, np.nanmax, np.nanmin, np.nanstd, np.nanvar, np.nanmedian):
        g = slopes(f, x)
        assert g[0] == 0
        np.testing.assert_allclose(g[1:], slopes(getattr(np, f.__name__[3:]), x[1:]))


@row("`nan_to_num`")
def replaced():
    has(np.nan_to_num, [NAN, INF, -INF, 1.0], np.diag([0, 0, 0, 1]))


@row("`prod`, `cumprod`, `nanprod` through zeros")
def products():
    for f in (np.prod, np.nanprod, lambda x: np.cumprod(x)[-1]):
        has(f, [2.0, 0.0, 3.0], [0, 6, 0], [[0, 3, 0], [3, 0, 2], [0, 2, 0]])
        has(f, [2.0, 0.0, 0.0], [0, 0, 0], [[0, 0, 0], [0, 0, 2], [0, 2, 0]])
        third = jacfwd(jacfwd(jacfwd(f)))(np.zeros(3))
        assert third[0, 1, 2] == third[2, 0, 1] == 1
        assert third.sum() == 6


@row("`power` at base 0 with a power in (0, 1), `cbrt`, `sqrt`, `reciprocal`, `log` at 0")
def poles():
    for f, want in ((np.cbrt, INF), (np.sqrt, INF), (lambda x: x**0.5, INF), (np.reciprocal, -INF), (np.log, INF)):
        has(f, 0.0, want)


@row("a division by 0 behind a mask")
def masked_division():
    has(lambda x: np.where(x != 0, 1 / x, 0.0), 0.0, 0, 0)
    has(lambda x: np.where(x == 0, 1.0, np.sin(x) / x), 0.0, 0, 0)


@row("`sinc`, `i0` at 0")
def analytic():
    has(np.sinc, 0.0, 0, -(np.pi**2) / 3)
    has(np.i0, 0.0, 0, 0.5)


@row("`logaddexp`, `logaddexp2` of -inf")
def log_sums():
    for f in (np.logaddexp, np.logaddexp2):
        has(lambda x, f=f: f(x[0], x[1]), [-INF, 1.0], [0, 1])
        has(lambda x, f=f: f(x[0], x[1]), [-INF, -INF], [0.5, 0.5])


@row("`var` with no degrees of freedom left, `corrcoef` with a constant")
def undefined_statistics():
    has(lambda x: np.var(x, ddof=1), [1.0], [NAN])
    has(lambda x: np.corrcoef(x, [1.0, 2.0, 3.0])[0, 1], np.ones(3), [NAN] * 3)


@row("`corrcoef` of perfectly correlated variables")
def perfect_correlation():
    y = np.array([1.0, 2.0, 4.0])
    quotient = lambda x: np.cov(x, y)[0, 1] / np.sqrt(np.cov(x) * np.cov(y))
    has(lambda x: np.corrcoef(x, y)[0, 1], 2 * y, slopes(quotient, 2 * y))


@row("`histogram` and its kin")
def histograms():
    x, w = np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])
    assert not slopes(lambda x: np.histogram(x, 2)[0] * 1.0, x).any()
    has(lambda w: np.histogram(x, 2, weights=w)[0], w, [[1, 1, 0], [0, 0, 1]])
    has(lambda x: np.histogram(x, 2)[1], x, [[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]])
    has(lambda x: np.histogram(x, 1, density=True)[0], x, [[1 / 9, 0, -1 / 9]])


@row("`unwrap`")
def unwrapped():
    has(np.unwrap, [0.0, 5.0], np.eye(2))


@row("`roots`")
def roots():
    has(lambda p: np.roots(p)[1], [1.0, -2.0, 0.0], [0, 0, 0.5])
    for d in (jacfwd, jacrev):
        assert not np.isfinite(d(np.roots)(np.array([1.0, 0.0, 0.0]))).any()


@row("`roots` with leading zeros")
def fewer_roots():
    has(lambda p: np.roots(p)[0], [0.0, 2.0, -4.0], [-2, -1, -0.5])
    assert slopes(np.roots, [0.0, 2.0, -4.0]).shape == (1, 3)


@row("`poly` of a matrix")
def characteristic():
    has(lambda a: np.poly(a)[1:], np.eye(2), [[[-1, 0], [0, -1]], [[1, 0], [0, 1]]])
    assert jacfwd(jacfwd(lambda a: np.poly(a)[2]))(np.eye(2))[0, 0, 1, 1] == pytest.approx(1)


@row("`polydiv`")
def divided():
    has(lambda p: np.polydiv(p, [1.0, -1.0])[1], [1.0, 0.0, -1.0], [[1, 1, 1]])


# -- assignment ----------------------------------------------------------------------------------------------

V = np.array([0.5, 1.5, 2.5])


def after(*statements, shape=None):
    """Derivatives of what `y`, a copy of `x`, is after these statements."""

    def f(x):
        y = x.copy() if shape is None else np.zeros_like(x, shape=shape)
        for statement in statements:
            statement(x, y)
        return y

    got = slopes(f, V)
    np.testing.assert_allclose(jvp(f, (V,), (V,))[0], f(V.copy()))
    return got


@row("basic indexing, `reshape`, `ravel`, `transpose`, `flip`, `.T`, `.real`, iteration")
def views():
    for write in (
        lambda x, y: y[1:].__setitem__(0, x[0]),
        lambda x, y: y.reshape(3, 1).__setitem__((1, 0), x[0]),
        lambda x, y: y.ravel().__setitem__(1, x[0]),
        lambda x, y: np.transpose(y).__setitem__(1, x[0]),
        lambda x, y: np.flip(y).__setitem__(1, x[0]),
        lambda x, y: y.T.__setitem__(1, x[0]),
        lambda x, y: y.real.__setitem__(1, x[0]),
        lambda x, y: [part.__setitem__((), x[0]) for k, part in enumerate(y[:, None]) if k == 1],
    ):
        assert after(write).tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    copied = lambda x, y: np.zeros_like(x, shape=(2, 3)).T.reshape(-1).__setitem__(0, x[0])
    assert after(copied).tolist() == np.eye(3).tolist()


@row("`broadcast_to`, `diagonal`")
def read_only():
    for make in (lambda y: np.broadcast_to(y, (2, 3)), lambda y: np.diagonal(np.outer(y, y))):
        with pytest.raises(ValueError, match="read-only"):
            after(lambda _x, y, make=make: make(y).__setitem__(0, 1.0))


@row("`copy`, `flatten`, `astype`, `take`, index arrays, masks")
def copies():
    for make in (
        *(lambda y: y.copy(), lambda y: y.flatten(), lambda y: y.astype(float), lambda y: np.take(y, [0, 1])),
        *(lambda y: y[[0, 1]], lambda y: y[np.array([True, True, False])]),
    ):
        assert after(lambda _x, y, make=make: make(y).__setitem__(0, 9.0)).tolist() == np.eye(3).tolist()


@row("`y += v` where another name refers to `y`")
def aliases():
    def f(x):
        y = z = x.astype(np.float32)
        y += x
        assert z.dtype == np.float32
        return z

    assert slopes(f, V).tolist() == (2 * np.eye(3)).tolist()
    with pytest.raises(ValueError, match="the result has the shape"):
        slopes(lambda x: x.__iadd__(np.ones((2, 3))), V)


@row("`s += v` for a number (no axes, and not a 0-d array)")
def numbers():
    def f(x):
        s = t = x[0]
        s += x[1]
        return s * t

    assert slopes(f, V).tolist() == [2.5, 0.5, 0]


@row("the argument of a differentiated function")
def arguments():
    x = V.copy()
    assert grad(lambda x: x.__setitem__(0, x[1]) or np.sum(x))(x).tolist() == [0, 2, 1]
    assert x.tolist() == V.tolist()


@row("an argument of `checkpoint` or of a function with a custom rule")
def inner_arguments():
    change = lambda x: x.__setitem__(0, 0.0) or np.sum(x)
    square = custom_jvp(change)
    square.defjvp(lambda primals, tangents: (np.sum(primals[0][1:]), np.sum(tangents[0][1:])))
    for inner in (checkpoint(change), square):

        def f(x, inner=inner):
            y = x * 1.0
            return inner(y) + y[0]

        assert slopes(f, V).tolist() == [1, 1, 1]


@row("an entry that was overwritten")
def overwritten():
    def f(x):
        y = np.sqrt(x)
        y[0] = 0.0
        return np.sum(y)

    has(f, [0.0, 4.0], [0, 0.25])


@row("`y[[0, 0]] = v`")
def last_value():
    assert after(lambda x, y: y.__setitem__([0, 0], x[:2])).tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1]]


@row("`y[[0, 0]] += v`")
def buffered():
    def once(x, y):
        y[[0, 0]] += x[1]

    assert after(once)[0].tolist() == [1, 1, 0]
    assert after(lambda x, y: np.add.at(y, [0, 0], x[1]))[0].tolist() == [1, 2, 0]


@row("`y = np.zeros_like(x)`")
def made_from_a_traced_array():
    assert after(lambda x, y: y.__setitem__(0, x[2]), shape=(2,)).tolist() == [[0, 0, 1], [0, 0, 0]]
    with pytest.raises(AssignmentError, match=r"np\.asarray"):
        after(lambda x, y: [np.asarray(y), y.__setitem__(0, x[0])][1], shape=(2,))


@row("a traced value into an array of `np.zeros`")
def into_plain_memory():
    with pytest.raises(ConversionError, match=r"np\.zeros_like\(x, shape="):
        grad(lambda x: np.zeros(3).__setitem__(0, x[0]))(V)


@row("`out=` of a comparison, a position, a rounding into a plain array")
def constants_into_plain_memory():
    bits = np.zeros(3, bool)
    assert grad(lambda x: np.sum(x * np.greater(x, 1.0, out=bits)))(V).tolist() == [0, 1, 1]
    assert bits.tolist() == [False, True, True]
    with pytest.raises(AssignmentError, match="plain array"):
        grad(lambda x: np.sum(np.multiply(x, 2.0, out=np.zeros(3))))(V)


@row("complex into real")
def complex_into_real():
    with pytest.warns(np.exceptions.ComplexWarning):
        assert grad(lambda x: x.__setitem__(0, x[0] * (2 + 1j)) or np.sum(x))(V).tolist() == [2, 1, 1]
    with pytest.raises(TypeError, match="complex"):
        grad(lambda x: np.sum(x.__iadd__(1j)))(V)


@row("an outer array, after an inner transform assigned its own values to it")
def inner_values():
    def f(x):
        y = x * 1.0
        grad(lambda t: y.__setitem__(0, t) or t)(x[1])
        return np.sum(y)

    with pytest.raises(LeakedTracerError, match="grad"):
        grad(f)(V)
