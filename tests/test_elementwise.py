"""Elementwise operations: what the generic tests of the registry do not reach; their dtypes are in test_dtypes."""

import itertools
import math
import operator

import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad, jvp, vjp
from autodiff.core import UFUNCS, Operation, Spec

INF, NAN = np.inf, np.nan


#: The ufuncs that mean nothing on traced values, and why.
WITHOUT_RULE = {
    "gcd": "of integers only",
    "lcm": "of integers only",
}


def d_forward(f):
    return lambda x: jvp(f, (x,), (np.ones_like(x),))[1]


def derivatives(f, order):
    """The derivative of an elementwise function of one number, by every mixture of the two modes."""
    for modes in itertools.product((d_forward, grad), repeat=order):
        g = f
        for d in modes:
            g = d(g)
        yield g


def assert_derivative(f, x, want, order=1, rtol=1e-13):
    with np.errstate(all="ignore"):
        for g in derivatives(f, order):
            np.testing.assert_allclose(g(x), want, rtol=rtol, atol=0)


# -- what there is -------------------------------------------------------------------------------------------


def test_every_ufunc_has_a_rule_or_a_reason():
    ufuncs = {u for u in vars(np).values() if isinstance(u, np.ufunc)}
    assert len(ufuncs) > 80
    missing = {u.__name__ for u in ufuncs if u not in UFUNCS}
    assert missing == set(WITHOUT_RULE)


FLOAT_UFUNCS = {
    u.__name__: u
    for u, op in UFUNCS.items()
    if isinstance(op, Operation)
    and op.elementwise
    and u.nout == 1
    and "d" * u.nin + "->d" in u.types
    and u is getattr(np, u.__name__, None)  # SciPy's have tests of their own
}


@pytest.mark.parametrize("name", FLOAT_UFUNCS)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_traced_values_are_numpys(name, shape):
    ufunc = FLOAT_UFUNCS[name]
    x = np.random.default_rng(0).uniform(0.3, 0.9, shape)[()] + (1.0 if name == "arccosh" else 0.0)
    args = (x,) if ufunc.nin == 1 else (x, 0.5 + x)
    seen = []
    with np.errstate(all="ignore"):
        for traced in (lambda *a: jvp(ufunc, a, a)[0], lambda *a: vjp(ufunc, *a)[0]):
            seen.append(traced(*args))
    for got in seen:
        np.testing.assert_array_equal(got, ufunc(*args), strict=True)


# -- powers --------------------------------------------------------------------------------------------------

EXPONENTS = [-3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 11, -2.5, -0.5, 0.5, 1.5, 2.0, 2.5, 3.7]


def power_derivative(x, b, order):
    """``b (b-1) ... x**(b-order)`` where that is not 0 times infinity."""
    factor = math.prod(b - k for k in range(order))
    with np.errstate(all="ignore"):
        return factor * np.power(x, float(b - order)) if factor else 0.0


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("b", EXPONENTS)
def test_constant_powers(b, order):
    for x in (0.7, 1.9):
        assert_derivative(lambda x: x**b, np.float64(x), power_derivative(x, b, order), order)
    if b == int(b):
        assert_derivative(lambda x: x**b, np.float64(-1.3), power_derivative(-1.3, b, order), order)


@pytest.mark.parametrize(
    ("b", "want"),
    [
        (0, (0, 0, 0)),
        (1, (1, 0, 0)),
        (2, (0, 2, 0)),
        (3, (0, 0, 6)),
        (4, (0, 0, 0)),
        (6, (0, 0, 0)),
        (2.0, (0, 2, 0)),
        (1.5, (0, INF, -INF)),
        (2.5, (0, 0, INF)),
        (0.5, (INF, -INF, INF)),
        (-1, (-INF, INF, -INF)),
        (-2, (-INF, INF, -INF)),
    ],
)
@pytest.mark.parametrize("kind", [lambda b: b, np.float64, np.asarray], ids=["python", "numpy", "0-d array"])
def test_constant_powers_of_zero(b, want, kind):
    for order, value in enumerate(want, 1):
        assert_derivative(lambda x: x ** kind(b), np.float64(0.0), value, order)


def test_arrays_of_exponents_at_zero():
    b = np.array([0.0, 1.0, 2.0, 3.0, 1.5])
    x = np.zeros(5)
    np.testing.assert_array_equal(grad(lambda x: np.sum(x**b))(x), [0, 1, 0, 0, 0])
    second = grad(lambda x: np.sum(jvp(lambda x: x**b, (x,), (np.ones(5),))[1]))(x)
    np.testing.assert_array_equal(second, [0, 0, 2, 0, INF])
    np.testing.assert_array_equal(grad(lambda b: np.sum(x**b))(b), np.zeros(5))


def test_an_exponent_that_is_traced_beside_its_base():
    check_grads(lambda x, b: x**b, (np.array([0.5, 2.0]), np.array([3.0, -1.5])), order=3)
    check_grads(lambda b: 2**b + 0.5**b + np.array([1.5, 2.5]) ** b, (np.array([3.0, -1.5]),), order=3)
    check_grads(lambda z: (1 + 2j) ** z + z ** (1 + 2j) + 2.0**z + z**-1, (np.array([0.5 + 1j, 1 - 2j]),), order=3)
    check_grads(lambda x: x ** (1 + 2j) + (-2.0) ** (x + 0j), (np.array([0.5, 1.5]),))


def test_a_negative_base_with_a_constant_exponent_needs_no_logarithm():
    assert grad(lambda x: x**2)(-1.5) == -3.0
    assert grad(lambda x: np.power(x, 3.0))(-2.0) == 12.0
    assert grad(lambda x: np.float_power(x, 2))(-1.5) == -3.0
    assert np.isnan(grad(lambda b: (-1.5) ** b * 1.0)(2.0).real)


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        (2.0, 0.0, 0.5),
        (2.0, 1.0, 1 + np.log(2.0)),
        (0.3, -1.0, 0.3**-2 * (1 - np.log(0.3))),
        (0.0, 1.0, -INF),
        (0.0, 2.0, 0.0),
        (0.0, 0.0, np.nan),
        (-1.5, 2.0, np.nan),
    ],
)
def test_mixed_second_derivative_of_a_power(a, b, want):
    """``a**(b-1) * (1 + b log a)``, in whichever order and mode."""
    with np.errstate(all="ignore"):
        mixed = [
            grad(lambda b: grad(lambda a: a**b)(np.float64(a)))(np.float64(b)),
            grad(lambda a: grad(lambda b: a**b)(np.float64(b)))(np.float64(a)),
            jvp(lambda b: jvp(lambda a: a**b, (np.float64(a),), (1.0,))[1], (np.float64(b),), (1.0,))[1],
            jvp(lambda a: grad(lambda b: a**b)(np.float64(b)), (np.float64(a),), (1.0,))[1],
        ]
    np.testing.assert_allclose(mixed, [want] * 4, rtol=1e-14)


def test_third_derivatives_of_a_power():
    a, b = np.float64(0.7), np.float64(1.3)
    f = lambda b: jvp(grad(lambda a: a**b), (a,), (1.0,))[1]
    log = np.log(a)
    np.testing.assert_allclose(grad(f)(b), a ** (b - 2) * (2 * b - 1 + b * (b - 1) * log), rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("b", EXPONENTS)
def test_constant_powers_keep_the_dtype(dtype, b):
    x = np.array([0.7, 1.9], dtype)
    y, t = jvp(lambda x: x**b, (x,), (x,))
    assert y.dtype == t.dtype == dtype
    g = grad(lambda x: np.sum(x**b))(x)
    assert g.dtype == dtype
    np.testing.assert_allclose(g, power_derivative(x.astype(float), b, 1), rtol=0.05 if dtype == np.float16 else 1e-5)


# -- where floats run out ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "want"),
    [
        (np.expm1, -40.0, np.exp(-40.0)),
        (np.log1p, 1e-20, 1.0),
        (np.arcsin, 1 - 1e-12, 1 / np.sqrt((1 - (1 - 1e-12)) * (2 - 1e-12))),
        (np.arccos, 1.0, -INF),
        (np.arctanh, 1 - 1e-12, 1 / ((1 - (1 - 1e-12)) * (2 - 1e-12))),
        (np.arccosh, 1e300, 1e-300),
        (np.sqrt, 0.0, INF),
        (np.cbrt, 0.0, INF),
        (np.cbrt, -8.0, 1 / 12),
        (np.log, 0.0, INF),
        (lambda x: np.hypot(x, 4e-200), 3e-200, 0.6),
        (lambda x: np.hypot(x, 4e200), 3e200, 0.6),
        (lambda x: np.arctan2(x, 1e-200), 0.0, 1e200),
        (lambda x: np.arctan2(x, 1e200), 1e200, 5e-201),
        (lambda x: np.fmod(x, 0.1) + np.fmod(0.3, x), 0.1, 1.0 - 2.0),
        (lambda x: np.remainder(-7.0, x), 3.0, 3.0),
    ],
)
def test_first_derivatives_at_the_edge_of_the_floats(f, x, want):
    assert_derivative(f, np.float64(x), want, rtol=1e-10)


@pytest.mark.parametrize("b", [-1000.0, -800.0, -30.0, 0.0, 30.0, 1000.0])
def test_logaddexp_to_second_order(b):
    share = np.exp(-np.logaddexp(0.0, b))
    want = np.exp(-abs(b)) / (1 + np.exp(-abs(b))) ** 2
    assert_derivative(lambda x: np.logaddexp(x, b), np.float64(0.0), share, 1, rtol=1e-12)
    for g in derivatives(lambda x: np.logaddexp(x, b), 2):
        assert abs(g(np.float64(0.0)) - want) < 1e-15
    for x in (-INF, INF):
        for g in derivatives(lambda x: np.logaddexp(x, b), 2):
            assert g(np.float64(x)) == 0


# -- kinks and jumps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (np.abs, 0.0),
        (np.fabs, 0.0),
        (lambda x: np.hypot(x, 0.0), 0.0),
        (lambda x: np.copysign(x, -2.0), 0.0),
        (lambda x: np.maximum(x, 0.0), 0.5),
        (lambda x: np.minimum(0.0, x), 0.5),
        (lambda x: np.fmax(x, 0.0), 0.5),
        (lambda x: np.fmin(0.0, x), 0.5),
        (lambda x: np.maximum(x, x), 1.0),
        (lambda x: np.sign(x) * x, 0.0),
        (lambda x: np.heaviside(x, 0.5), 0.0),
        (np.sinc, 0.0),
    ],
)
def test_first_derivatives_at_zero(f, want):
    assert_derivative(f, np.float64(0.0), want)


@pytest.mark.parametrize("f", [np.abs, np.fabs, lambda x: np.hypot(x, 0.0), lambda x: np.maximum(x, 0.0), np.sign])
def test_second_derivatives_at_a_kink_are_zero(f):
    assert_derivative(f, np.float64(0.0), 0.0, order=2)


def test_sinc_at_zero_to_fourth_order():
    for order, want in enumerate((0.0, -(np.pi**2) / 3, 0.0, np.pi**4 / 5), 1):
        assert_derivative(np.sinc, np.float64(0.0), want, order)
    check_grads(np.sinc, (np.array([-2.5, -1.0, -0.999, 1e-5, 0.3, 1.001, 7.0]),), order=4, rng=2)


def test_nan_is_not_chosen_by_fmax():
    x = np.array([1.0, NAN, 3.0, NAN])
    z = np.array([NAN, 2.0, 4.0, NAN])
    for f, want in ((np.fmax, ([1, 0, 0], [0, 1, 1])), (np.fmin, ([1, 0, 1], [0, 1, 0]))):
        gs = grad(lambda x, z, f=f: np.sum(f(x, z)[:3]), (0, 1))(x, z)
        np.testing.assert_array_equal([g[:3] for g in gs], want)


def test_heaviside_at_the_step_is_its_second_argument():
    x, h = np.array([-1.0, 0.0, 2.0]), np.array([5.0, 6.0, 7.0])
    y, pull = vjp(np.heaviside, x, h)
    np.testing.assert_array_equal(y, np.heaviside(x, h))
    np.testing.assert_array_equal(pull(np.ones(3)), [[0, 0, 0], [0, 1, 0]])


def test_heaviside_of_a_python_number_keeps_the_dtype():
    h = np.array([0.5, 2.0], np.float16)
    for x in (1.5, 0, -2.0):
        y, pull = vjp(lambda h: np.heaviside(x, h), h)  # noqa: B023
        np.testing.assert_array_equal(y, np.heaviside(x, h), strict=True)
        np.testing.assert_array_equal(pull(h)[0], h * (x == 0), strict=True)


def test_steps_have_derivative_zero():
    x = np.array([-1.7, 0.3, 2.5])
    fix = np.fix if np.lib.NumpyVersion(np.__version__) < "2.5.0" else np.trunc  # deprecated then
    for f in (np.floor, np.ceil, np.trunc, np.rint, fix, np.round, np.around, np.sign, np.spacing):
        y, t = jvp(f, (x,), (np.ones(3),))
        np.testing.assert_array_equal(y, f(x))
        np.testing.assert_array_equal(t, 0)
        np.testing.assert_array_equal(grad(lambda x, f=f: np.sum(f(x) * x))(x), f(x))
    assert grad(lambda x: x * (x // 2.0) + x * (7.0 // x) + x * round(x) + x * round(x, 1))(3.3) == 3.0 + 3.0 + 3.3
    np.testing.assert_array_equal(grad(lambda x: np.sum(x.round(1) * x))(x), x.round(1))
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.round(x, decimals=1) * x))(x), x.round(1))


# -- several results -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [np.modf, np.frexp, lambda x: np.divmod(x, 0.7), lambda x: divmod(x, 0.7)])
@pytest.mark.parametrize("x", [np.array([-2.6, 0.0, 0.3, 5.25, 8.0]), np.float64(-3.3)])
def test_ufuncs_with_two_results(f, x):
    want = f(x)
    for got in (jvp(f, (x,), (x,))[0], vjp(f, x)[0]):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)
            assert np.asarray(a).dtype == np.asarray(b).dtype


def test_derivatives_of_ufuncs_with_two_results():
    x = np.array([-2.6, 0.3, 5.25])
    _, exponent = np.frexp(x)
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.frexp(x)[0]))(x), 0.5**exponent)
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.modf(x)[0]))(x), np.ones(3))
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.modf(x)[1] * x))(x), np.trunc(x))
    q, _ = np.divmod(x, 0.7)
    np.testing.assert_array_equal(grad(lambda b: np.sum(np.divmod(x, b)[1]))(0.7), -np.sum(q))
    np.testing.assert_array_equal(grad(lambda b: np.sum(divmod(x, b)[1]))(0.7), -np.sum(q))
    np.testing.assert_array_equal(grad(lambda x: np.sum(divmod(x, 0.7)[1]))(x), np.ones(3))
    assert grad(lambda b: divmod(7.5, b)[1])(2.0) == -3.0


# -- operators -----------------------------------------------------------------------------------------------

X = np.array([[0.7, 1.3, 2.1]])


OTHERS = [2, 1.7, np.float64(1.7), np.array([1.7, 0.6, 1.1]), [1.7, 0.6, 1.1], np.array(2), np.full((2, 1), 1.7)]


@pytest.mark.parametrize("other", OTHERS, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.mod])
def test_operators_on_either_side(op, other):
    for f in (lambda x: op(x, other), lambda x: op(other, x)):
        np.testing.assert_array_equal(vjp(f, X)[0], f(X), strict=True)
        check_grads(f, (X,), eps=1e-4)
    if np.ndim(other) == 0:
        for f in (lambda x: op(x, other), lambda x: op(other, x)):
            check_grads(f, (1.3,), eps=1e-4)


@pytest.mark.parametrize("op", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
def test_comparisons_are_plain(op):
    seen = []

    def f(x):
        seen.extend([op(x, 1.3), op(1.3, x), op(x, X[0]), op(X, x), op(x, [1.3, 1.3, 1.3])])
        return np.sum(x)

    grad(f)(X)
    jvp(f, (X,), (X,))
    wants = [op(X, 1.3), op(1.3, X), op(X, X[0]), op(X, X), op(X, 1.3)] * 2
    for got, want in zip(seen, wants, strict=True):
        assert type(got) is np.ndarray
        np.testing.assert_array_equal(got, want)


def test_unary_operators_and_augmented_assignment():
    def f(x):
        y = +x
        y *= 2
        y -= X
        y /= 3.0
        y **= 2
        return np.sum(abs(-y))

    check_grads(f, (X,))
    assert grad(lambda x: np.sum(x * ~(x > 1.0) + x * ((x > 1.0) & (x < 2.0)) + x * ((x < 0) | (x > 2))))(
        X
    ).tolist() == [[1.0, 1.0, 1.0]]
    with pytest.raises(TypeError, match="argument"):
        grad(lambda x: pow(x, 2, 3))(1.0)


def test_masks_under_eval_shape():
    def f(x):
        inside = (x > 0) & ~(x > 1) | (x == 3) ^ (x != 2)
        return np.where(inside, x, np.isclose(x, 1.0)), np.round(x, 1), np.isreal(x)

    y, r, real = eval_shape(f, Spec((2, 3), np.float32))
    assert (y, r, real) == (Spec((2, 3), np.float32), Spec((2, 3), np.float32), Spec((2, 3), bool))


# -- predicates ----------------------------------------------------------------------------------------------


def test_predicates_see_the_values():
    x = np.array([1.0, INF, -INF, NAN, 1.0 + 1e-9])

    def f(x):
        for name in ("isfinite", "isinf", "isnan", "isposinf", "isneginf", "signbit", "isreal", "iscomplex"):
            got = getattr(np, name)(x)
            assert type(got) is np.ndarray
            np.testing.assert_array_equal(got, getattr(np, name)(x.primal))
        np.testing.assert_array_equal(np.isclose(x, 1.0), [True, False, False, False, True])
        np.testing.assert_array_equal(np.isclose(x, x, equal_nan=True), np.ones(5, bool))
        np.testing.assert_array_equal(np.isclose(x, 1.0, rtol=0, atol=0), [True, False, False, False, False])
        assert np.allclose(x[:1], 1.0)
        assert not np.allclose(x, x)
        assert np.allclose(x, x, equal_nan=True)
        assert np.array_equal(x[:2], x[:2])
        assert not np.array_equal(x[:2], x[:3])
        assert not np.array_equal(x, x)
        assert np.array_equal(x, x, equal_nan=True)
        assert np.array_equiv(x[:1], np.ones((2, 1)))
        assert not np.array_equiv(x[:2], np.ones(3))
        assert np.isrealobj(x)
        assert not np.iscomplexobj(x)
        return np.sum(x[:1])

    grad(f)(x)
    jvp(f, (x,), (np.ones(5),))


def test_predicates_of_complex_numbers():
    z = np.array([1 + 0j, 1 + 2j])

    def f(z):
        assert np.iscomplexobj(z)
        assert not np.isrealobj(z)
        np.testing.assert_array_equal(np.iscomplex(z), [False, True])
        np.testing.assert_array_equal(np.isreal(z), [True, False])
        assert np.common_type(z, np.ones(1, np.float32)) is np.complex128
        assert np.result_type(z, np.float32) == np.complex128
        return np.sum(np.abs(z))

    grad(f)(z)
