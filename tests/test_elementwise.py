"""Elementwise operations and dtypes: what the generic tests of the registry do not reach."""

import itertools
import math
import operator

import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad, jvp, value_and_grad, vjp, vmap
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
    mantissa, exponent = np.frexp(x)
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.frexp(x)[0]))(x), 0.5**exponent)
    np.testing.assert_allclose(mantissa * 2.0**exponent, x)
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.modf(x)[0]))(x), np.ones(3))
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.modf(x)[1] * x))(x), np.trunc(x))
    q, r = np.divmod(x, 0.7)
    np.testing.assert_array_equal(grad(lambda b: np.sum(np.divmod(x, b)[1]))(0.7), -np.sum(q))
    np.testing.assert_array_equal(grad(lambda b: np.sum(divmod(x, b)[1]))(0.7), -np.sum(q))
    np.testing.assert_array_equal(grad(lambda x: np.sum(divmod(x, 0.7)[1]))(x), np.ones(3))
    assert grad(lambda b: divmod(7.5, b)[1])(2.0) == -3.0
    assert r.shape == x.shape


# -- complex numbers -----------------------------------------------------------------------------------------


def test_absolute_of_complex_zero():
    z = np.array([0j, 3 + 4j])
    np.testing.assert_allclose(grad(lambda z: np.sum(np.abs(z)))(z), [0, 0.6 - 0.8j])
    np.testing.assert_allclose(jvp(np.abs, (z,), (np.array([1 + 1j, 1j]),))[1], [0, 0.8])
    np.testing.assert_array_equal(grad(lambda z: np.sum(np.abs(z) ** 2))(z), 2 * np.conj(z))


def test_gradient_of_a_complex_argument():
    """A real function f of x + iy has the gradient df/dx - i df/dy."""
    z = 1.0 + 2.0j
    assert grad(lambda z: z.real**2 + 3 * z.imag)(z) == 2 - 3j
    assert grad(lambda z: abs(z) ** 2)(z) == pytest.approx(2 * np.conj(z))
    assert grad(lambda z: np.real(z**3))(z) == pytest.approx(3 * z**2)
    np.testing.assert_allclose(grad(np.angle)(z), (-2 - 1j) / 5)
    np.testing.assert_allclose(grad(lambda z: np.angle(z, deg=True))(z), (-2 - 1j) / 5 * 180 / np.pi)
    assert np.isnan(grad(np.angle)(0j))


@pytest.mark.parametrize("f", [np.arccosh, np.arcsinh, np.arccos, np.arcsin, np.arctan, np.arctanh, np.sqrt, np.log])
@pytest.mark.parametrize("z", [2 + 1j, 2 - 1j, -2 + 1j, -2 - 1j, 0.3 + 1j, -0.3 - 0.5j])
def test_branches(f, z):
    check_grads(f, (np.complex128(z),))


def test_sign_of_complex_numbers_is_not_constant():
    check_grads(np.sign, (np.array([1 + 2j, -1 + 0.5j]),), order=3)
    assert jvp(np.sign, (0j,), (1 + 0j,))[1] == 0


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


# -- dtypes --------------------------------------------------------------------------------------------------


def test_casts():
    x = np.array([0.5, 1.5], np.float32)
    y, t = jvp(lambda x: x.astype(np.float64) ** 2, (x,), (x,))
    assert (y.dtype, t.dtype) == (np.float64, np.float64)
    g = grad(lambda x: np.sum(x.astype(float) ** 2))(x)
    assert g.dtype == np.float32
    np.testing.assert_array_equal(g, 2 * x)
    g = grad(lambda x: np.sum(np.real((x.astype(complex) * (1 + 2j)) ** 2)))(x)
    assert g.dtype == np.float32
    np.testing.assert_allclose(g, -6 * x)
    np.testing.assert_array_equal(grad(lambda x: np.sum(x.astype(np.int64) * x))(x), [0, 1])
    assert grad(lambda x: np.sum(x.astype(bool) * x))(x).tolist() == [1, 1]
    assert grad(lambda x: np.sum(x.astype("f4") * 3))(x).tolist() == [3, 3]
    if hasattr(np, "astype"):
        check_grads(lambda x: np.astype(x, np.float64) ** 2, (x.astype(np.float64),))


def test_casts_that_lose_the_imaginary_part_are_refused():
    with pytest.raises(TypeError, match=r"discards the imaginary part; use np\.real"):
        vjp(lambda z: z.astype(np.float64), 1 + 2j)
    with pytest.raises(TypeError, match="casting='safe'"):
        grad(lambda x: x.astype(np.float32, casting="safe"))(1.0)


def test_parts_of_complex_numbers():
    z = np.array([1 + 2j, -0.5 + 0.1j])
    x = np.array([1.0, 2.0])
    check_grads(lambda z: z.real * z.imag + z.conj() * z.conjugate() + np.conj(z) ** 2, (z,), order=3)
    check_grads(lambda x: x.real * np.real(x) + x.conj() + x.imag + np.imag(x), (x,), order=3)
    check_grads(lambda x: np.real(x * (1 + 2j)) + np.imag(x * 1j) + np.abs(x + 1j * x), (x,), order=3)
    assert grad(lambda x: np.sum(np.imag(x)))(x).tolist() == [0, 0]


def test_real_if_close():
    z = np.array([1 + 1e-15j, 2 - 1e-16j])

    def f(z):
        y = np.real_if_close(z)
        assert y.dtype == np.float64
        assert np.real_if_close(z * (1 + 1j)).dtype == np.complex128
        assert np.real_if_close(z * (1 + 1e-4j), tol=1e-3).dtype == np.float64
        assert np.real_if_close(y) is y
        return np.sum(y**2)

    np.testing.assert_allclose(grad(f)(z), 2 * z.real)


def test_attributes_of_the_dtype():
    def f(x):
        assert x.dtype == np.float32
        assert (x.itemsize, x.nbytes, x.size, x.ndim, x.shape) == (4, 12, 3, 1, (3,))
        assert np.finfo(x.dtype).eps == np.float32(2**-23)
        return np.sum(x * np.zeros(3, x.dtype) + x)

    assert grad(f)(np.ones(3, np.float32)).dtype == np.float32


# -- weak numbers --------------------------------------------------------------------------------------------


def test_python_numbers_stay_weak():
    w = np.linspace(0.5, 1.5, 4, dtype=np.float32)

    def loss(lr, w):
        return ((lr * w) ** 2).sum()

    value, (g_lr, g_w) = value_and_grad(loss, (0, 1))(0.3, w)
    assert (value.dtype, g_lr.dtype, g_w.dtype) == (np.float32, np.float64, np.float32)
    np.testing.assert_allclose(g_lr, 2 * 0.3 * np.sum(w.astype(float) ** 2), rtol=1e-6)
    y, t = jvp(loss, (0.3, w), (1.0, w))
    assert y.dtype == t.dtype == np.float32


@pytest.mark.parametrize(
    "f",
    [
        lambda lr, w: w * (lr + 1) ** 2,
        lambda lr, w: w**lr,
        lambda lr, w: lr**w,
        lambda lr, w: w / (1 - lr) - abs(-lr) * w,
        lambda lr, w: w % lr + lr % w,
        lambda lr, w: w * (lr // 0.1),
    ],
)
def test_arithmetic_of_python_numbers_stays_weak(f):
    w = np.linspace(0.55, 1.45, 4, dtype=np.float32)
    assert f(0.3, w).dtype == np.float32
    y, (t_lr, t_w) = vjp(f, 0.3, w)[0], vjp(f, 0.3, w)[1](np.ones(4, np.float32))
    assert (y.dtype, t_lr.dtype, t_w.dtype) == (np.float32, np.float64, np.float32)
    assert jvp(f, (0.3, w), (1.0, w))[1].dtype == np.float32


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


CUTS = {
    "arcsin": (np.arcsin, (2.0, -2.0, 0.4)),
    "arccos": (np.arccos, (2.0, -2.0, 0.4)),
    "arctanh": (np.arctanh, (2.0, -2.0, 0.4)),
    "arccosh": (np.arccosh, (-2.0, 0.4, 2.0)),
    "arcsinh": (np.arcsinh, (2.0j, -2.0j, 0.4j)),
    "arctan": (np.arctan, (2.0j, -2.0j, 0.4j)),
    "sqrt": (np.sqrt, (-2.0, 2.0)),
    "log": (np.log, (-2.0, 2.0)),
    "power": (lambda z: np.power(z, 1.5), (-2.0, 2.0)),
}


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_on_a_branch_cut_the_derivative_is_that_of_the_side(name, dtype, zero):
    """The sign of a zero says on which side of its cut a number is, for the value and for the derivatives."""
    f, points = CUTS[name]
    for p in points:
        along = 1.0 if isinstance(p, float) else 1.0j
        at = lambda h, p=p: complex(p + h, zero) if isinstance(p, float) else complex(zero, p.imag + h)
        z, t, h = dtype(at(0.0)), dtype(along), 1e-5
        want = (f(np.complex128(at(h))) - f(np.complex128(at(-h)))) / (2 * h)
        got = jvp(f, (z,), (t,))[1]
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=1e-8 if dtype is np.complex128 else 1e-5)
        second = jvp(lambda z, t=t: jvp(f, (z,), (t,))[1], (z,), (t,))[1]
        ends = [jvp(f, (np.complex128(at(s * h)),), (np.complex128(along),))[1] for s in (1, -1)]
        np.testing.assert_allclose(second, (ends[0] - ends[1]) / (2 * h), rtol=1e-7 if dtype is np.complex128 else 1e-4)


P, N = np.array([0.3, 0.7, 1.6]), np.array([0.3, -0.7, 1.6])
EXTENDED = {
    **{n: (getattr(np.emath, n), N) for n in ("sqrt", "log", "log2", "log10", "arccos", "arcsin", "arctanh")},
    "real": (np.emath.sqrt, P),
    "complex": (np.emath.log, N + 0.2j),
    "logn": (lambda x: np.emath.logn(x + 2, x), N),
    "power": (lambda x: np.emath.power(x, x), N),
    "integer powers": (lambda x: np.emath.power(x, [2, -1, 3]), N),
}


@pytest.mark.parametrize("name", EXTENDED)
def test_functions_that_turn_to_complex_numbers(name):
    f, x = EXTENDED[name]
    t, h = np.array([1.0, -0.5, 2.0]), 1e-6
    value, change = jvp(f, (x,), (t.astype(x.dtype),))
    np.testing.assert_array_equal(value, f(x))
    assert value.dtype == change.dtype == f(x).dtype
    np.testing.assert_allclose(change, (f(x + h * t) - f(x - h * t)) / (2 * h), rtol=1e-7)
    ct = np.exp(1j * P) if change.dtype.kind == "c" else P
    np.testing.assert_allclose(np.sum(vjp(f, x)[1](ct)[0] * t).real, np.sum(ct * change).real)
    if name in {"sqrt", "arcsin", "logn"}:
        np.testing.assert_allclose(vmap(f)(np.stack([x, 2 * x])), np.stack([f(x), f(2 * x)]), rtol=1e-14)
        single = x.astype(np.float32)
        assert jvp(f, (single,), (single,))[1].dtype == f(single).dtype
