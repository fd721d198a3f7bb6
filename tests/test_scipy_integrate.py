"""`autodiff.scipy.integrate`: values of SciPy, derivatives of known solutions and integrals in all mixtures."""

import inspect

import numpy as np
import pytest
import scipy.integrate as si

from autodiff import check_grads, grad, jacfwd, jacrev, jvp, vmap
from autodiff.core.errors import BatchingError, MissingRuleError
from autodiff.scipy import integrate as ai

P = np.array([1.3, 0.7, 0.4])
T = np.linspace(0.0, 1.5, 4)
TIGHT = {"rtol": 1e-9, "atol": 1e-10}


def predators(t, y, a, b):
    return np.stack([a * y[0] - y[0] * y[1], b * y[0] * y[1] - y[1] + 0.1 * np.sin(t)])


def hares(p, method, **options):
    return ai.solve_ivp(predators, (0.0, 1.5), np.stack([p[2], 1.0 + 0 * p[2]]), method, args=(p[0], p[1]), **options)


@pytest.mark.parametrize("method", ["RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA"])
def test_solve_ivp_in_all_mixtures(method):
    """Differences see the solver's steps change; a tolerance well below that of the test keeps them quiet."""
    loose = method in {"RK23", "Radau", "BDF"}
    options = {"rtol": 1e-6, "atol": 1e-7} if loose or method == "LSODA" else TIGHT
    accurate = lambda p: hares(p, "DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    mine = lambda p: hares(p, method, **options).y[:, -1]
    tolerance = 2e-4 if loose or method == "LSODA" else 2e-7
    check_grads(accurate, (P,), order=1, rng=2) if method == "DOP853" else None
    np.testing.assert_allclose(mine(P), accurate(P), atol=tolerance)
    for d in (jacfwd, jacrev):
        np.testing.assert_allclose(d(mine)(P), jacfwd(accurate)(P), atol=tolerance)
    if method == "RK45":
        small = lambda p: hares(p, method, rtol=1e-2 if loose else 1e-5, atol=1e-3 if loose else 1e-6).y[0, -1]
        large = 2e-1 if loose else 2e-3
        want = jacfwd(jacrev(lambda p: accurate(p)[0]))(P)
        for outer, inner in ((jacfwd, jacrev), (jacrev, jacfwd), (jacfwd, jacfwd), (jacrev, jacrev)):
            np.testing.assert_allclose(outer(inner(small))(P), want, atol=large)


@pytest.mark.parametrize("method", ["RK23", "RK45", "DOP853"])
def test_the_steps_are_scipys(method):
    got = jvp(lambda p: hares(p, method).y, (P,), (P,))[0]
    want = hares(P, method)
    np.testing.assert_allclose(got, want.y, rtol=1e-12)
    assert type(want.y) is np.ndarray


def test_second_order_of_an_exponential():
    def end(a, y0, t1):
        return ai.solve_ivp(lambda t, y: -a * y, (0.0, t1), y0[None], "DOP853", **TIGHT).y[0, -1]

    value = 2.0 * np.exp(-0.75)
    got = jacfwd(jacrev(end, (0, 1, 2)), (0, 1, 2))(0.5, np.float64(2.0), 1.5)
    want = [
        [1.5**2 * value, -1.5 * value / 2, (-1 + 0.75) * value],
        [-1.5 * value / 2, 0, -0.5 * value / 2],
        [(-1 + 0.75) * value, -0.5 * value / 2, 0.25 * value],
    ]
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_by_times():
    """By its end the solution changes as the equation says; by its start as the flow carries the opposite on."""
    f = lambda t: ai.solve_ivp(lambda s, y: s * y, (t[0], t[-1]), np.ones(1), t_eval=t, **TIGHT).y[0]
    t = np.array([0.5, 1.0, 1.5])
    y = np.exp((t**2 - 0.25) / 2)
    want = np.diag(t * y) - np.outer(0.5 * y, [1, 0, 0])
    want[0, 0] = 0.0
    np.testing.assert_allclose(f(t), y, rtol=1e-8)
    for d in (jacfwd, jacrev):
        np.testing.assert_allclose(d(f)(t), want, atol=1e-6)


def test_odeint():
    f = lambda p, t: ai.odeint(lambda y, s, a: np.stack([y[1], -a * y[0]]), np.stack([p[1], p[2]]), t, args=(p[0],))
    want = si.odeint(lambda y, s, a: [y[1], -a * y[0]], P[1:], T, args=(P[0],))
    np.testing.assert_allclose(jvp(f, (P, T), (P, T))[0], want, atol=1e-6)
    w = np.sqrt(P[0])
    position = lambda p: p[1] * np.cos(np.sqrt(p[0]) * T) + p[2] / np.sqrt(p[0]) * np.sin(np.sqrt(p[0]) * T)
    assert w > 0
    for d in (jacfwd, jacrev):
        np.testing.assert_allclose(d(lambda p: f(p, T)[:, 0])(P), d(position)(P), atol=1e-6)
    np.testing.assert_allclose(ai.odeint(lambda s, y: -y, np.ones(1), T, tfirst=True)[:, 0], np.exp(-T), rtol=1e-6)


def test_a_stiff_problem():
    """Explicit steps would need hundreds of thousands of calls."""
    f = lambda k: ai.odeint(
        lambda y, t: -k * 1e5 * (y - np.cos(t)), np.zeros(1), np.array([0.0, 1.0]), rtol=1e-5, atol=1e-6
    )[-1, 0]
    exact = lambda k: np.cos(1.0) + np.sin(1.0) / (k * 1e5)
    np.testing.assert_allclose(grad(f)(1.0), grad(exact)(1.0), atol=1e-6)


QUADS = {
    "limits": (lambda p: ai.quad(lambda x: np.exp(-x) * np.sin(3 * x), p[1] - 1, p[0])[0]),
    "reversed": (lambda p: ai.quad(np.cos, p[0], p[2])[0]),
    "args": (lambda p: ai.quad(lambda x, a, b: np.exp(-a * x) * np.cos(b * x), 0.0, 2.0, args=(p[0], p[1]))[0]),
    "closure": (lambda p: ai.quad(lambda x: 1 / (p[1] + (x - p[2]) ** 2), 0.0, p[0])[0]),
    "half line": (lambda p: ai.quad(lambda x: np.exp(-p[0] * x), p[1], np.inf)[0]),
    "other half": (lambda p: ai.quad(lambda x: np.exp(p[0] * x), -np.inf, p[1])[0]),
    "line": (lambda p: ai.quad(lambda x: np.exp(-p[0] * x * x + p[1] * x), -np.inf, np.inf)[0]),
    "points": (lambda p: ai.quad(lambda x: np.abs(x - 0.3) * p[0], 0.0, 1.0, points=[0.3])[0]),
    "quad of quad": (lambda p: ai.quad(lambda x: fixed(x, p), 0.0, 1.0)[0]),
    "fixed_quad": (lambda p: ai.fixed_quad(lambda x, a: np.exp(a * x), p[1], p[0], args=(p[2],), n=8)[0]),
}  # fmt: skip


def fixed(x, p):
    return ai.fixed_quad(lambda y: np.sin(p[0] * x * y), 0.0, p[1])[0]


@pytest.mark.parametrize("f", QUADS.values(), ids=QUADS.keys())
def test_integrals(f):
    check_grads(f, (P,), order=2, rng=4, eps=1e-3, atol=3e-6, rtol=3e-6)
    np.testing.assert_allclose(jvp(f, (P,), (P,))[0], f(P), rtol=1e-7)


def test_a_singular_end():
    """The integral of x^(a - 1) is 1 / a; its derivative has a logarithm at 0."""
    for d in (jacfwd, grad):
        np.testing.assert_allclose(d(lambda a: ai.quad(lambda x: x ** (a - 1), 0.0, 1.0)[0])(0.5), -4.0, rtol=1e-5)


EVEN, ODD = np.cos(np.arange(12.0)).reshape(2, 6), np.sin(np.arange(15.0)).reshape(5, 3)
UNEVEN = np.array([0.0, 0.3, 1.0, 1.2, 2.0, 2.3])
SAMPLED = {
    "trapezoid": (lambda m, y, x: m.trapezoid(y, x), (EVEN, UNEVEN)),
    "trapezoid dx": (lambda m, y: m.trapezoid(y, dx=0.3, axis=0), (ODD,)),
    "cumulative": (lambda m, y, x: m.cumulative_trapezoid(y, x), (EVEN, UNEVEN)),
    "cumulative initial": (lambda m, y: m.cumulative_trapezoid(y, dx=2.0, axis=0, initial=0), (ODD,)),
    "simpson": (lambda m, y, x: m.simpson(y, x), (EVEN, UNEVEN)),
    "simpson odd": (lambda m, y, x: m.simpson(y, x, axis=0), (ODD, UNEVEN[:5])),
    "simpson dx": (lambda m, y: m.simpson(y, dx=0.5), (EVEN,)),
    "simpson x of y's shape": (lambda m, y, x: m.simpson(y, x, axis=0), (ODD, np.outer(UNEVEN[:5], [1.0, 2.0, 3.0]))),
    "simpson two": (lambda m, y: m.simpson(y), (np.array([1.0, 4.0]),)),
}  # fmt: skip


@pytest.mark.parametrize(("f", "args"), SAMPLED.values(), ids=SAMPLED.keys())
def test_samples(f, args):
    np.testing.assert_allclose(jvp(lambda *xs: f(ai, *xs), args, args)[0], f(si, *args), rtol=1e-13)
    check_grads(lambda *xs: f(ai, *xs), args, order=2, rng=1)
    many = np.stack([args[0], 2 * args[0]])
    np.testing.assert_allclose(vmap(lambda y: f(ai, y, *args[1:]))(many)[1], 2 * f(si, *args), rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in ai.__all__ if n != "IntegrationError"])
def test_parameters_are_scipys(name):
    assert list(inspect.signature(getattr(ai, name)).parameters) == list(
        inspect.signature(getattr(si, name)).parameters
    )


def touching(t, y):
    return y[0] - 2.0


def grown(p, y0, **options):
    return ai.solve_ivp(lambda t, y: p * y, (0, 1), y0, **options).y[0, 0]


def blown_up(p):
    return ai.solve_ivp(lambda t, y: p * y**2, (0.0, 2.0), np.ones(1)).y[0, -1]


@pytest.mark.parametrize(
    ("f", "error", "text"),
    [
        (blown_up, ai.IntegrationError, r"scipy.integrate.solve_ivp: the solver failed"),
        (lambda p: grown(p, [1.0], dense_output=True, method="BDF"), MissingRuleError, "method='BDF'.*'RK45'.*t_eval"),
        (lambda p: grown(p, [1.0], events=touching, method="LSODA"), MissingRuleError, "events with method='LSODA'"),
        (lambda p: grown(p, [1.0], method="no"), MissingRuleError, r"method='no'"),
        (lambda p: grown(p, np.ones((1, 1))), ValueError, "y0 must have one axis"),
        (lambda p: ai.odeint(lambda y, t: p * y, [1.0], T, full_output=1)[0], MissingRuleError, "full_output"),
        (lambda p: ai.quad(lambda x: p * x, 0, 1, weight="cos", wvar=1.0)[0], MissingRuleError, "Write the weight"),
        (lambda p: ai.fixed_quad(lambda x: p * x, 0, np.inf)[0], ValueError, "must be finite; use quad"),
        (lambda p: ai.cumulative_trapezoid(p * T, initial=1.0)[0], ValueError, "initial must be None or 0"),
    ],
)  # fmt: skip
def test_errors(f, error, text):
    with np.errstate(all="ignore"), pytest.raises(error, match=text):
        grad(f)(1.0)


@pytest.mark.parametrize("method", ["RK23", "Radau", "BDF", "LSODA"])
def test_second_order_of_every_method(method):
    """Both orders of the modes, against the accurate solution; RK45 and DOP853 are looked at above."""
    span, p, t = (0.0, 0.2), np.array([0.7, 0.4]), np.array([1.0, 2.0])
    end = lambda p, m, **o: ai.solve_ivp(lambda t, y: -p[0] * y * y + p[1] * t, span, np.ones(1), m, **o).y[0, -1]
    along = lambda f: [jvp(grad(f), (p,), (t,))[1], grad(lambda p: jvp(f, (p,), (t,))[1])(p)]
    want = along(lambda p: end(p, "DOP853", rtol=1e-10, atol=1e-11))[0]
    got = along(lambda p: end(p, method, rtol=1e-4, atol=1e-5))
    np.testing.assert_allclose(got, [want, want], atol=3e-4)
    np.testing.assert_allclose(got[0], got[1], rtol=1e-10)


def falling(t, y, g):
    return np.stack([y[1], -g + 0 * y[1]])


def ground(t, y, g):
    return y[0]


ground.terminal, ground.direction = True, -1


def top(t, y, g):
    return y[1]


def thrown(m, p, **options):
    """A stone: thrown from the height p[0] with the speed p[1], in the gravity p[2]."""
    return m.solve_ivp(falling, (0.0, 9.0), np.stack([p[0], p[1]]), args=(p[2],), events=[ground, top], **options)


STONE = np.array([2.0, 5.0, 9.81])


def test_events_are_implicit_functions():
    landing = lambda p: (p[1] + np.sqrt(p[1] ** 2 + 2 * p[2] * p[0])) / p[2]

    def summary(m, p):
        found = thrown(m, p, rtol=1e-9)
        return np.stack([found.t_events[0][0], found.t_events[1][0], found.y_events[0][0, 1], found.t[-1]])

    exact = lambda p: np.stack([landing(p), p[1] / p[2], p[1] - p[2] * landing(p), landing(p)])
    np.testing.assert_allclose(jvp(lambda p: summary(ai, p), (STONE,), (STONE,))[0], exact(STONE), rtol=1e-12)
    np.testing.assert_allclose(summary(si, STONE), exact(STONE), rtol=1e-9)
    for d in (jacfwd, jacrev):
        np.testing.assert_allclose(d(lambda p: summary(ai, p))(STONE), d(exact)(STONE), rtol=1e-10)
    got = jacfwd(jacrev(lambda p: summary(ai, p)))(STONE)
    np.testing.assert_allclose(got, jacfwd(jacrev(exact))(STONE), rtol=1e-8, atol=1e-11)
    final = lambda p: thrown(ai, p).y[:, -1]
    np.testing.assert_allclose(jacrev(final)(STONE)[0], 0, atol=1e-12)  # on the ground
    np.testing.assert_allclose(jacrev(final)(STONE)[1], jacrev(lambda p: -np.sqrt(p[1] ** 2 + 2 * p[2] * p[0]))(STONE))


def test_an_event_alone_may_be_traced():
    def crossed(level):
        event = lambda t, y: y[0] - level
        return ai.solve_ivp(lambda t, y: -y, (0.0, 3.0), np.ones(1), events=event, **TIGHT).t_events[0][0]

    for d in (jacfwd, jacrev):
        np.testing.assert_allclose(d(crossed)(0.5), -2.0, rtol=1e-7)
    never = ai.solve_ivp(lambda t, y: -y, (0.0, 1.0), np.ones(1), events=lambda t, y: y[0] + 1.0)
    assert never.t_events[0].size == 0
    assert grad(lambda p: ai.solve_ivp(lambda t, y: -p * y, (0, 1), np.ones(1), events=touching).y[0, -1])(1.0) < 0


def test_dense_output_and_chosen_times():
    at = np.array([0.2, 1.1])
    known = lambda a, t: np.exp(-a * t)

    def between(m, a, t, **options):
        found = m.solve_ivp(lambda t, y: -a * y, (0.0, 2.0), np.ones(1), dense_output=True, **TIGHT, **options)
        return found.sol(t)[0]

    for d in (jacfwd, jacrev):
        got = d(lambda a, t: between(ai, a, t), (0, 1))(0.7, at)
        want = d(known, (0, 1))(0.7, at)
        np.testing.assert_allclose(got[0], want[0], rtol=1e-7)
        np.testing.assert_allclose(got[1], want[1], rtol=1e-7, atol=1e-15)
    np.testing.assert_allclose(between(si, 0.7, at), known(0.7, at), rtol=1e-7)
    assert jvp(lambda a: between(ai, a, 0.3), (0.7,), (1.0,))[0].shape == ()

    def chosen(m, a):
        times = np.array([0.5, 1.0, 1.9])  # the solution ends before the last
        found = m.solve_ivp(lambda t, y: -a * y, (0.0, 2.0), np.ones(1), t_eval=times, events=half, **TIGHT)
        return found.t, found.y

    (t, y), slopes = jvp(lambda a: chosen(ai, a), (0.7,), (1.0,))
    np.testing.assert_allclose(t, chosen(si, 0.7)[0])
    np.testing.assert_allclose(y, chosen(si, 0.7)[1], rtol=1e-7)
    np.testing.assert_allclose(slopes[1][0], -t * np.exp(-0.7 * t), rtol=1e-6)
    backward = lambda a: ai.solve_ivp(lambda t, y: -a * y, (1.0, 0.0), np.ones(1), dense_output=True, **TIGHT).sol(0.25)
    np.testing.assert_allclose(jacrev(backward)(0.7), 0.75 * np.exp(0.7 * 0.75), rtol=1e-6)
    by_end = lambda t: ai.solve_ivp(lambda t, y: -y, (0.0, t), np.ones(1), dense_output=True, **TIGHT).y[0, -1]
    np.testing.assert_allclose(grad(by_end)(2.0), -np.exp(-2.0), rtol=1e-7)


def half(t, y):
    return y[0] - 0.5


half.terminal = True


def test_an_event_that_touches_zero_has_no_derivative():
    touch = lambda t, y: (y[0] - 1.0) * 0.0 + np.where(t > 0.5, 1.0, -1.0)
    with pytest.raises(TypeError, match=r"the slope of an event is singular"):
        grad(lambda p: ai.solve_ivp(lambda t, y: -p * y, (0.0, 1.0), np.ones(1), events=touch).t_events[0][0])(1.0)


def test_samples_of_single_precision():
    y, dx = EVEN.astype(np.float32), np.float32(0.5)
    assert jvp(lambda y, dx: ai.simpson(y, dx=dx), (y, dx), (y, dx))[1].dtype == np.float32
    assert jvp(lambda y: ai.simpson(y, dx=0.5), (y,), (y,))[1].dtype == np.float32


def test_vmap_asks_for_a_loop():
    with pytest.raises(BatchingError, match=r"Python loop over the examples"):
        vmap(lambda y: ai.solve_ivp(lambda t, y: -y, (0, 1), y).y)(np.ones((3, 1)))


def test_missing_functions():
    with pytest.raises(MissingRuleError, match=r"has no dblquad: .*quad of quad"):
        _ = ai.dblquad
    assert ai.RK45 is si.RK45
