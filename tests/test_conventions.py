"""What every program may rely on: known numbers, safe nesting, zeros and NaN where they belong, dtypes, memory."""

import gc
import itertools
import tracemalloc
import warnings

import numpy as np
import pytest

from autodiff import grad, hessian, hvp, jacfwd, jacrev, jvp, linearize, value_and_grad, vjp

MODES = ("forward", "reverse")
mixtures = pytest.mark.parametrize("modes", list(itertools.product(MODES, repeat=2)), ids="-".join)


def derivative(mode, f):
    """Derivative of a function of one number, in the given mode."""
    return grad(f) if mode == "reverse" else lambda x: jvp(f, (x,), (np.ones_like(x),))[1]


def gradient(mode, f):
    """Gradient of a function of one vector, in the given mode."""
    return grad(f) if mode == "reverse" else jacfwd(f)


# -- numbers of the literature -------------------------------------------------------------------------------


def survey(x1, x2):
    """The running example of Baydin et al. (2018)."""
    return np.log(x1) + x1 * x2 - np.sin(x2)


def test_the_function_of_the_survey():
    value, gradients = value_and_grad(survey, (0, 1))(2.0, 5.0)
    assert value == pytest.approx(11.652071455223084, rel=1e-15)
    assert gradients == (5.5, pytest.approx(1.7163378145367738, rel=1e-15))
    assert jvp(survey, (2.0, 5.0), (1.0, 0.0)) == (value, 5.5)
    assert linearize(survey, 2.0, 5.0)[1](0.0, 1.0) == gradients[1]
    for i, j, want in ((0, 0, -0.25), (0, 1, 1.0), (1, 0, 1.0), (1, 1, np.sin(5.0))):
        assert grad(grad(survey, i), j)(2.0, 5.0) == want


def test_a_distance():
    f = lambda x1, x2: np.sqrt(x1**2 + x2**2)
    value, (g1, g2) = value_and_grad(f, (0, 1))(1.0, 2.0)
    assert value == np.sqrt(5.0)
    assert g1 == pytest.approx(1 / np.sqrt(5), rel=1e-15)
    assert g2 == pytest.approx(2 / np.sqrt(5), rel=1e-15)
    assert jvp(f, (1.0, 2.0), (1.0, 0.0))[1] == g1


@mixtures
def test_saddle(modes):
    """The first problem of Siskind and Pearlmutter: a minimum over (x1, y1) of a maximum over (x2, y2)."""
    outer, inner = modes

    def value(p, q):
        return np.sum(p**2) - np.sum(q**2)

    def descend(slope, start):
        point = start
        for _ in range(30):
            point = point - 0.3 * slope(point)
        return point

    def worst(p):
        q = descend(gradient(inner, lambda q: -value(p, q)), np.array([1.0, 1.0]))
        return value(p, q)

    p = descend(gradient(outer, worst), np.array([1.0, 1.0]))
    q = descend(gradient(inner, lambda q: -value(p, q)), np.array([1.0, 1.0]))
    np.testing.assert_allclose(p, 0, atol=1e-11)
    np.testing.assert_allclose(q, 0, atol=1e-11)
    assert abs(worst(p)) < 1e-22


def landing(inner):
    """Where a particle that is repelled by two charges crosses y = 0, as a function of where one of them is."""

    def crossing(w):
        charges = ((10.0, 10.0 - w), (10.0, 0.0))

        def potential(x, y):
            return sum(1 / np.sqrt((x - a) ** 2 + (y - b) ** 2) for a, b in charges)

        def slope(x, y):
            if inner == "reverse":
                return grad(potential, (0, 1))(x, y)
            return jvp(potential, (x, y), (1.0, 0.0))[1], jvp(potential, (x, y), (0.0, 1.0))[1]

        x, y, vx, vy, dt = 0.0, 8.0, 0.75, 0.0, 0.1
        while True:  # Euler's method
            px, py = slope(x, y)
            if y + dt * vy <= 0:
                return x - y / vy * vx
            x, y, vx, vy = x + dt * vx, y + dt * vy, vx - dt * px, vy - dt * py

    return crossing


@mixtures
def test_particle(modes):
    """The second: the charge that sends the particle through the origin, by Newton's method."""
    outer, inner = modes
    f = landing(inner)
    both = value_and_grad(f) if outer == "reverse" else lambda w: jvp(f, (w,), (1.0,))
    w = 0.0
    for _ in range(6):
        x, slope = both(w)
        w = w - x / slope
    assert w == pytest.approx(0.2071994601262566, abs=1e-12)


def test_particle_as_published():
    """Their own descent stops when a step is below 1e-5, at 0.2071918746486 rather than at the root."""
    crossing = landing("reverse")
    both = lambda w: jvp(lambda w: crossing(w) ** 2, (w,), (1.0,))
    w, eta, accepted = 0.0, 1e-5, 0
    value, slope = both(w)
    while abs(eta * slope) > 1e-5:
        new, new_slope = both(w - eta * slope)
        if new < value:
            w, value, slope, accepted = w - eta * slope, new, new_slope, accepted + 1
            if accepted == 10:
                eta, accepted = 2 * eta, 0
        else:
            eta, accepted = eta / 2, 0
    assert w == pytest.approx(0.2071918746486, abs=1e-12)


# -- nesting -------------------------------------------------------------------------------------------------


@mixtures
def test_no_perturbation_confusion(modes):
    outer, inner = modes
    assert derivative(outer, lambda x: x * derivative(inner, lambda y: x + y)(1.0))(1.0) == 1.0
    assert derivative(outer, lambda x: x * derivative(inner, lambda y: x * y)(2.0))(3.0) == 6.0
    assert derivative(outer, lambda x: derivative(inner, lambda y: x * y * y)(x))(3.0) == 12.0
    assert derivative(outer, lambda x: derivative(inner, lambda y: np.sin(x) * y)(x * x))(0.5) == np.cos(0.5)


@pytest.mark.parametrize("modes", list(itertools.product(MODES, repeat=3)), ids="-".join)
def test_three_levels(modes):
    a, b, c = modes
    f = lambda x: x * derivative(b, lambda y: y * x * derivative(c, lambda z: x * y * z * z)(y))(x)
    # The innermost derivative is 2 x y y, so f(x) = x d/dy (2 x x y y y) at x = 6 x**5.
    assert derivative(a, f)(2.0) == 30 * 2.0**4


# -- zeros and NaN where they belong -------------------------------------------------------------------------

#: Name, program, point, derivative there.
CHOICES = [
    ("sqrt", lambda x: np.where(x > 0, np.sqrt(x), 0.0), 0.0, 0.0),
    ("log", lambda x: np.where(x > 0, x * np.log(x), 0.0), 0.0, 0.0),
    ("sin(x)/x", lambda x: np.where(x == 0, 1.0, np.sin(x) / x), 0.0, 0.0),
    ("reciprocal", lambda x: np.where(x == 0, 0.0, 1 / x), 0.0, 0.0),
    ("power", lambda x: np.where(x > 0, x**0.5, -x), 0.0, -1.0),
    ("exp", lambda x: np.where(x > 700, 0.0, np.exp(x)), 1000.0, 0.0),
    ("chain", lambda x: np.where(x > 0, np.exp(np.sqrt(x)) * 3 + np.log(x), 2.0), 0.0, 0.0),
    ("maximum", lambda x: np.maximum(np.where(x > 0, np.sqrt(x), 0.0), -1.0), 0.0, 0.0),
    ("twice", lambda x: np.where(x < 0, 0.0, np.where(x == 0, 0.0, np.sqrt(x))), 0.0, 0.0),
]
#: The same for arrays whose first entry is not chosen.
ARRAYS = [
    ("sum", lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0))),
    ("mean of rows", lambda x: np.sum(np.sum(np.where(x > 0, np.sqrt(x), 0.0).reshape(2, 2), axis=1) ** 2)),
    ("broadcast", lambda x: np.sum(np.where(x[:, None] > 0, np.sqrt(x)[:, None], np.ones((1, 3))))),
    (
        "shapes",
        lambda x: np.sum(np.where(x > 0, np.sqrt(x).reshape(2, 2).T.reshape(4), 0.0) * np.array([1.0, 2, 3, 4])),
    ),
    ("index", lambda x: np.sum(np.sqrt(x)[1:] * x[1:])),
    ("mask", lambda x: np.sum(np.sqrt(x)[np.array([False, True, True, True])])),
    ("product", lambda x: np.where(x > 0, np.sqrt(x), 0.0) @ np.array([1.0, 2.0, 3.0, 4.0])),
    ("entropy", lambda x: -np.sum(np.where(x > 0, x * np.log(x), 0.0))),
]
quiet = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the programs divide by zero themselves


@quiet
@pytest.mark.parametrize(("f", "x", "want"), [c[1:] for c in CHOICES], ids=[c[0] for c in CHOICES])
def test_what_was_not_chosen_contributes_nothing(f, x, want):
    x = np.float64(x)
    for mode in MODES:
        assert derivative(mode, f)(x) == want
    for outer, inner in itertools.product(MODES, repeat=2):
        assert derivative(outer, derivative(inner, f))(x) == 0
    for a, b, c in itertools.product(MODES, repeat=3):
        assert derivative(a, derivative(b, derivative(c, f)))(x) == 0


@quiet
@pytest.mark.parametrize("f", [c[1] for c in ARRAYS], ids=[c[0] for c in ARRAYS])
def test_what_was_not_chosen_in_an_array_contributes_nothing(f):
    zero, away = np.array([0.0, 0.5, 1.5, 2.0]), np.array([0.7, 0.5, 1.5, 2.0])
    for mode in MODES:
        got, want = gradient(mode, f)(zero), gradient(mode, f)(away)
        assert got[0] == 0
        assert np.all(np.isfinite(want))
        assert np.all(np.isfinite(got))
    for outer, inner in itertools.product((jacfwd, jacrev), repeat=2):
        got = outer(inner(f))(zero)
        assert np.all(got[0] == 0)
        assert np.all(np.isfinite(got))
    np.testing.assert_allclose(hvp(f, (zero,), (away,)), hessian(f)(zero) @ away, rtol=1e-13, atol=1e-13)


@quiet
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sqrt(x) * np.sqrt(x),
        lambda x: np.sqrt(x * x),
        lambda x: np.sqrt(x) * 0.0,
        lambda x: np.log(x) * x,
        lambda x: x / np.abs(x),
        lambda x: np.sin(x) / x,
        lambda x: np.where(x >= 0, np.sqrt(x) * np.sqrt(x), 0.0),
        lambda x: (x**0.5) ** 2,
    ],
)
def test_a_zero_times_infinity_that_was_not_chosen_is_nan(f):
    for mode in MODES:
        assert np.isnan(derivative(mode, f)(np.float64(0.0)))
    for outer, inner in itertools.product(MODES, repeat=2):
        assert np.isnan(derivative(outer, derivative(inner, f))(np.float64(0.0)))


@pytest.mark.parametrize("f", [lambda x: np.sqrt(np.where(x > 0, x, 0.0)), lambda x: np.sqrt(np.maximum(x - 1.0, 0.0))])
def test_what_was_not_chosen_before_an_infinite_slope(f):
    for modes in [(m,) for m in MODES] + list(itertools.product(MODES, repeat=2)):
        g = f
        for mode in reversed(modes):
            g = derivative(mode, g)
        assert g(0.0) == 0


# -- warnings ------------------------------------------------------------------------------------------------


def silent_programs():
    """Programs that warn of nothing, at points where their derivatives divide by zero or overflow."""
    yield np.sqrt, 0.0
    yield np.cbrt, 0.0
    yield np.arcsin, 1.0
    yield np.arccos, -1.0
    yield np.arccosh, 1.0
    yield lambda x: x**0.5, 0.0
    yield lambda x: x**0.0, 0.0
    yield lambda x: np.hypot(x, 0.0), 0.0
    yield lambda x: np.arctan2(x, 0.0), 0.0
    yield lambda x: 1 / x, 1e-30
    yield lambda x: np.sqrt(x) * np.sqrt(x), 0.0
    yield lambda x: np.logaddexp(x, -np.inf), -np.inf
    yield np.abs, 0.0
    yield np.sinc, 0.0
    yield lambda b: (0.0 * b) ** b, 2.0


@pytest.mark.parametrize(("f", "x"), list(silent_programs()))
@pytest.mark.parametrize("kind", [float, np.float64, np.array, np.float32], ids=["python", "numpy", "0-d", "float32"])
def test_derivatives_warn_of_nothing_that_the_program_does_not(f, x, kind):
    x = kind(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(x)
        for modes in itertools.chain(*(itertools.product(MODES, repeat=n) for n in (1, 2))):
            g = f
            for mode in modes:
                g = derivative(mode, g)
            g(x)


def test_the_programs_own_warning_is_kept():
    for mode in MODES:
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            derivative(mode, np.log)(np.float64(0.0))


# -- dtypes --------------------------------------------------------------------------------------------------


def broad(x, w):
    """A program over most kinds of operations."""
    h = np.tanh(x @ w + 1) * 0.5
    h = np.maximum(h, -2.0) - h**2 / 3
    s = np.exp(h) / np.sum(np.exp(h), axis=1, keepdims=True)
    s = np.where(s > 0.1, s, np.sqrt(s + 1) * 2)
    t = np.transpose(s)[::-1].reshape(-1)
    return np.sum(np.log1p(t) * np.abs(np.sin(t))) / t.size + np.sum(x**3) * 1e-2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_the_dtype_is_that_of_the_arguments(dtype):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3)).astype(dtype), rng.normal(size=(3, 2)).astype(dtype)
    value, gradients = value_and_grad(broad, (0, 1))(x, w)
    assert [a.dtype for a in (value, *gradients)] == [np.dtype(dtype)] * 3
    y, t = jvp(broad, (x, w), (x, w))
    assert (y.dtype, t.dtype) == (np.dtype(dtype), np.dtype(dtype))
    assert hvp(broad, (x, w), (x, w))[0].dtype == dtype
    exact = value_and_grad(broad, (0, 1))(x.astype(float), w.astype(float))
    tolerance = 0.02 if dtype == np.float16 else 1e-5
    for got, want in zip((value, *gradients), (exact[0], *exact[1]), strict=True):
        np.testing.assert_allclose(got.astype(float), want, rtol=tolerance, atol=tolerance)


def test_mixed_dtypes():
    x, w = np.ones(3, np.float32), np.ones(3)
    gx, gw = grad(lambda x, w: np.sum(x * w), (0, 1))(x, w)
    assert (gx.dtype, gw.dtype) == (np.float32, np.float64)
    z = np.ones(3, np.complex64)
    gx, gz = grad(lambda x, z: np.sum(np.real(x * z)), (0, 1))(x, z)
    assert (gx.dtype, gz.dtype) == (np.float32, np.complex64)


def test_integers_that_are_differentiated_become_floats():
    assert grad(lambda x: x**2)(3) == 6.0
    assert grad(lambda x: np.sum(x**2))(np.array([1, 2])).tolist() == [2.0, 4.0]
    g = grad(lambda p: p["x"] * p["n"])({"x": 2.0, "n": 3})
    assert g == {"x": 3.0, "n": 0}


# -- shapes and memory layouts -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (1, 1, 2)])
def test_every_shape_of_argument(shape):
    x = np.full(shape, 0.5)
    f = lambda x: np.sum(np.sin(x) * x)
    g = grad(f)(x)
    assert np.shape(g) == shape
    np.testing.assert_allclose(g, np.cos(x) * x + np.sin(x))
    y, t = jvp(lambda x: np.sin(x) * x, (x,), (np.ones(shape),))
    assert np.shape(y) == np.shape(t) == shape
    assert np.shape(hvp(f, (x,), (x,))) == shape


def layouts():
    base = np.arange(1.0, 13.0).reshape(3, 4)
    frozen = base.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    yield "broadcast", np.broadcast_to(np.arange(1.0, 5.0), (3, 4))
    yield "transposed", base.T
    yield "reversed", base[::-1, ::-1]
    yield "strided", np.arange(48.0).reshape(6, 8)[::2, ::2]
    yield "big-endian", base.astype(">f8")
    yield "Fortran", np.asfortranarray(base)


@pytest.mark.parametrize("x", [a for _, a in layouts()], ids=[n for n, _ in layouts()])
def test_every_layout_of_argument(x):
    before = x.copy()
    f = lambda x: np.sum(np.sin(x)[1:] ** 2) + np.sum(x @ x.T)
    plain = np.array(x, dtype=float)
    got = grad(f)(x)
    np.testing.assert_allclose(got, grad(f)(plain), rtol=1e-14)
    assert got.flags.writeable
    np.testing.assert_allclose(jvp(f, (x,), (x,))[1], jvp(f, (plain,), (plain,))[1], rtol=1e-14)
    np.testing.assert_array_equal(x, before)


# -- long programs -------------------------------------------------------------------------------------------


def long_program(n):
    def f(x):
        y = x
        for _ in range(n):
            y = y * 0.999 + x
        return y

    return f


def test_a_hundred_thousand_operations():
    f = long_program(50_000)
    assert grad(f)(1.0) == pytest.approx(1000.0, rel=1e-9)
    assert jvp(f, (1.0,), (1.0,))[1] == pytest.approx(1000.0, rel=1e-9)


def peak_memory(f):
    gc.collect()
    tracemalloc.start()
    try:
        grad(f)(1.0)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_of_a_gradient_is_linear_in_the_number_of_steps():
    grad(long_program(10))(1.0)
    small, large = peak_memory(long_program(12_500)), peak_memory(long_program(25_000))
    assert large < 2.2 * small
    assert large / 50_000 < 1_000  # bytes for an operation


def test_memory_is_released_without_the_garbage_collector():
    f = long_program(1_000)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        held = []
        for _ in range(3):
            for _ in range(5):
                grad(f)(1.0)
            held.append(tracemalloc.get_traced_memory()[0])
        assert held[2] - held[1] < 20_000  # of 600 kB for one gradient
    finally:
        tracemalloc.stop()
        gc.enable()


def test_a_pullback_can_be_called_again():
    _, pull = vjp(long_program(100), 1.0)
    assert pull(1.0) == pull(1.0)
