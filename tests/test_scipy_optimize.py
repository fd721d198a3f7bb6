"""`autodiff.scipy.optimize`: solutions as implicit functions, against what is known, in all mixtures of modes."""

import inspect

import numpy as np
import pytest
import scipy.optimize as so

from autodiff import check_grads, eval_shape, grad, hessian, jacfwd, jacrev, jvp, vmap
from autodiff.core.errors import BatchingError, MissingRuleError, ShapeOnlyError
from autodiff.scipy import optimize as ao

P = np.array([2.0, 0.5])
NAMES = [n for n in ao.__all__ if n != "SolutionError"]


def equations(x, p):
    return np.stack([x[0] ** 2 + p[1] * x[1] - p[0], np.sin(x[0]) + x[1] ** 3 - p[1]])


def energy(x, p):
    return (x[0] - p[0]) ** 4 + (x[0] - p[1] * x[1]) ** 2 + np.cosh(x[1] - 1)


T = np.linspace(0, 1, 7)
Y = np.exp(-T) + 0.1 * np.cos(9 * T)


def fitted(x, y, t):
    return x[0] * np.exp(-x[1] * t) - y


def cubic(x, a, b):
    return x**3 + b * x - a


TIGHT = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-12}
EXACT = {"ftol": 1e-15, "gtol": 1e-12}
SOLUTIONS = {
    "root": lambda p: ao.root(equations, np.ones(2), args=(p,), tol=1e-12).x,
    "root lm": lambda p: ao.root(equations, np.ones(2), args=p, method="lm", tol=1e-12).x,
    "root closure": lambda p: ao.root(lambda x: equations(x, p), np.ones(2), tol=1e-12).x,
    "root list": lambda p: ao.root(lambda x: [x[0] - p[0], x[1] * p[1] - x[0]], np.ones(2)).x,
    "fsolve": lambda p: ao.fsolve(equations, np.ones(2), (p,), xtol=1e-12),
    "minimize": lambda p: ao.minimize(energy, np.ones(2), (p,), jac=grad(energy), tol=1e-10).x,
    "minimize fun": lambda p: ao.minimize(energy, np.ones(2), (p,), jac=grad(energy), tol=1e-10).fun,
    "minimize newton": lambda p: ao.minimize(
        lambda x: energy(x, p), np.ones(2), method="Newton-CG", jac=lambda x: grad(energy)(x, p), tol=1e-12
    ).x,
    "minimize bounds": lambda p: ao.minimize(
        energy, np.zeros(2), (p,), jac=grad(energy), bounds=[(None, 0.75), (0.0, 9.0)], options=EXACT
    ).x,
    "least_squares": lambda p: ao.least_squares(
        fitted, np.ones(2), args=(Y * p[0], T * p[1]), **TIGHT
    ).x,
    "least_squares closure": lambda p: ao.least_squares(
        lambda x: fitted(x, Y + p[1] * T, p[0] * T), np.ones(2), loss="soft_l1", f_scale=0.1, **TIGHT
    ).cost,
    "least_squares kwargs": lambda p: ao.least_squares(
        fitted, np.ones(2), kwargs={"y": Y * p[0] + p[1], "t": T}, loss="cauchy", **TIGHT
    ).x,
    "fixed_point": lambda p: ao.fixed_point(lambda x, a: np.cos(a * x) / 2, np.ones(2), (p,)),
    **{
        name: lambda p, name=name: getattr(ao, name)(cubic, 0.0, 4.0, (p[0], p[1]), xtol=1e-14)
        for name in ("brentq", "brenth", "ridder", "bisect", "toms748")
    },
    "newton": lambda p: ao.newton(lambda x: x**3 + p[1] * x - p[0], 1.0, tol=1e-14),
    "newton fprime": lambda p: ao.newton(lambda x: x**3 - p[0], 1.0, fprime=lambda x: 3 * x**2 + 0 * p[1], tol=1e-14),
    "root_scalar": lambda p: ao.root_scalar(lambda x, p: np.exp(x * p[1]) - p[0], args=p, bracket=(-1.0, 9.0)).root,
}  # fmt: skip
every_solution = pytest.mark.parametrize("solution", SOLUTIONS.values(), ids=SOLUTIONS.keys())


@every_solution
def test_derivatives_in_all_mixtures(solution):
    check_grads(solution, (P,), order=2, rng=3, eps=1e-3, atol=2e-6, rtol=2e-6)


@every_solution
def test_value_is_scipys(solution):
    np.testing.assert_allclose(jvp(solution, (P,), (P,))[0], solution(P), rtol=1e-7)
    assert not isinstance(solution(P), list)


def test_third_and_fourth_order():
    third = grad(grad(grad(lambda a: ao.brentq(lambda x: x * x - a, 0.0, 9.0))))
    np.testing.assert_allclose(third(4.0), 3 / 8 * 4.0**-2.5, rtol=1e-12)
    fourth = jacfwd(jacrev(jacfwd(grad(lambda a: ao.newton(lambda x: np.exp(x) - a, 0.5)))))
    np.testing.assert_allclose(fourth(2.0), -6 / 2.0**4, rtol=1e-12)


def test_a_parameter_inside_and_one_outside():
    """A derivative inside the equation, and one of the solution by what that derivative is of."""

    def f(a):
        return ao.root_scalar(lambda x: grad(lambda v: v**3 * a)(x) - 6.0, bracket=(0.1, 9.0)).root

    np.testing.assert_allclose(grad(f)(2.0), -0.25, rtol=1e-12)  # sqrt(2 / a)


def test_least_squares_of_large_residuals_is_exact():
    """The Gauss-Newton Hessian would be wrong here by a fifth."""

    def fit(s):
        return ao.least_squares(lambda x: np.stack([x[0] - 1, s * x[0] ** 2 + 1]), np.ones(1), gtol=1e-14).x[0]

    x = jvp(fit, (0.5,), (1.0,))[0]
    # (x - 1) + 2 s x (s x^2 + 1) = 0
    slope = -(4 * 0.5 * x**3 + 2 * x) / (1 + 6 * 0.25 * x**2 + 2 * 0.5)
    np.testing.assert_allclose(grad(fit)(0.5), slope, rtol=1e-9)


def test_unknowns_at_a_bound_stay():
    def f(p):
        return ao.minimize(lambda x: np.sum((x - p) ** 2), np.zeros(2), bounds=[(0, 1), (0, 1)]).x

    np.testing.assert_allclose(jacfwd(f)(np.array([3.0, 0.5])), [[0, 0], [0, 1]], atol=1e-12)
    g = lambda p: ao.least_squares(lambda x: x - p, np.full(2, 0.5), bounds=(0, 1)).x
    np.testing.assert_allclose(jacrev(g)(np.array([3.0, 0.5])), [[0, 0], [0, 1]], atol=1e-12)


def test_the_minimum_moves_with_the_envelope():
    value = lambda a: ao.minimize_scalar(lambda x: (x - a) ** 2 + a * x).fun  # a^2 - a^2 / 4 ... at x = a / 2
    np.testing.assert_allclose(grad(value)(2.0), 3.0, rtol=1e-7)
    np.testing.assert_allclose(hessian(value)(2.0), 1.5, rtol=1e-7)
    bounded = lambda a: ao.minimize_scalar(lambda x: a * x, bounds=(1.0, 2.0), method="bounded").fun
    np.testing.assert_allclose(grad(bounded)(2.0), 1.0, rtol=1e-5)


def test_single_precision_parameters():
    g = grad(lambda a: ao.root(lambda x: x**2 - a, np.ones(1)).x[0])(np.float32(4.0))
    assert g.dtype == np.float32
    np.testing.assert_allclose(g, 0.25, rtol=1e-6)


def test_plain_results_are_scipys():
    mine, scipys = ao.root(equations, np.ones(2), args=(P,)), so.root(equations, np.ones(2), args=(P,))
    assert np.array_equal(mine.x, scipys.x)
    assert mine.nfev == scipys.nfev
    assert ao.brentq(lambda x: x - 1, 0, 3, full_output=True)[1].converged
    assert ao.minimize_scalar(lambda x: x * x).success
    assert np.array_equal(ao.newton(lambda x: x**2 - np.array([1.0, 4.0]), np.ones(2), tol=1e-12), [1.0, 2.0])
    full = ao.fsolve(equations, np.ones(2), (P,), full_output=True)
    assert full[2] == 1


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_scipys(name):
    mine, scipys = (list(inspect.signature(getattr(m, name)).parameters) for m in (ao, so))
    assert mine == scipys


def unsolvable(a):
    return ao.root(lambda x: x**2 + a, np.ones(1)).x[0]


def twice_the_same(a):
    return ao.root(lambda x: np.stack([x[0] + x[1] - a, 2 * (x[0] + x[1] - a)]), np.ones(2)).x[0]


def valley(a):
    return ao.minimize(lambda x: a * (x[0] - x[1]) ** 2, np.ones(2)).x[0]


def constrained(a):
    return ao.minimize(lambda x: np.sum((x - a) ** 2), np.ones(2), constraints={"type": "eq", "fun": np.sum}).x[0]


def own_loss(a):
    return ao.least_squares(lambda x: x - a, [1.0], loss=lambda z: np.stack([z, 1 + 0 * z, 0 * z])).x[0]


def expanding(a):
    return ao.fixed_point(lambda x: 3 * x + a, 1.0, maxiter=5, method="iteration")


def stuck(a):
    return ao.root(lambda x: x**3 - a, np.full(1, 8.0), options={"maxfev": 3}, method="hybr").x[0]


def at_traced_bounds(a):
    return ao.minimize_scalar(lambda x: x * a, bounds=(a, 2.0), method="bounded").x


@pytest.mark.parametrize(
    ("f", "error", "text"),
    [
        (stuck, ao.SolutionError, r"scipy.optimize.root: the solver found no solution \(test_.*It says"),
        (at_traced_bounds, MissingRuleError, r"minimize_scalar .*traced bounds.*Scale the unknown"),
        (unsolvable, ao.SolutionError, r"scipy.optimize.root: .*(no solution|singular)"),
        (twice_the_same, ao.SolutionError, r"the Jacobian is singular at the solution"),
        (lambda a: ao.newton(lambda x: x**2 - a + a, 0.0), ao.SolutionError, r"the slope is singular"),
        (valley, ao.SolutionError, r"the Hessian is singular"),
        (constrained, MissingRuleError, r"scipy.optimize.minimize on traced .*constraints"),
        (own_loss, MissingRuleError, r"a loss of one's own"),
        (lambda a: ao.newton(lambda x: x - a, np.ones(2) * a).sum(), MissingRuleError, r"newton .*an array x0"),
        (lambda a: np.sum(ao.newton(lambda x: x - a, np.ones(2))), MissingRuleError, r"newton .*an array x0"),
        (expanding, ao.SolutionError, r"does not contract"),
    ],
)
def test_errors(f, error, text):
    with np.errstate(all="ignore"), pytest.raises(error, match=text):
        grad(f)(1.0)


def test_shapes_alone_are_not_enough():
    with pytest.raises(ShapeOnlyError, match=r"its steps depend on the values, and only shape and dtype are known"):
        eval_shape(lambda a: ao.brentq(lambda x: x - a, 0.0, 9.0), 1.0)


def test_vmap_asks_for_a_loop():
    with pytest.raises(BatchingError, match=r"scipy.optimize.root: .*Python loop over the examples"):
        vmap(lambda a: ao.root(lambda x: x - a, [1.0]).x)(np.ones(3))
    with pytest.raises(BatchingError, match=r"Python loop over the examples"):
        vmap(lambda a: ao.brentq(lambda x: x - a, 0.0, 9.0))(np.ones(3))


def test_missing_functions():
    with pytest.raises(MissingRuleError, match=r"has no curve_fit: .*least_squares"):
        _ = ao.curve_fit
    assert ao.Bounds is so.Bounds
