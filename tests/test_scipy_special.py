"""Special functions, what the registry's tests cannot say: conventions, far tails, errors; mpmath is the judge."""

import inspect

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sc

from autodiff import Spec, check_grads, eval_shape, grad, hessian, jacfwd, jacrev, jvp, stop_gradient, vmap
from autodiff.core.errors import MissingRuleError
from autodiff.scipy import special


def derivative(f, x, n=1):
    """Derivative `n` in nested forward and reverse mode by turns."""
    for k in range(n):
        f = (lambda z, f=f: jvp(f, (z,), (np.ones_like(z),))[1]) if k % 2 else grad(f)
    return f(x)


def exact(f, x, n=1):
    with mp.workdps(60):
        return complex(mp.diff(f, mp.mpmathify(x), n)) if isinstance(x, complex) else float(mp.diff(f, mp.mpf(x), n))


# -- the package ---------------------------------------------------------------------------------------------


def test_functions_are_scipys_own():
    assert special.erf is sc.erf
    assert len(dir(special)) > 200
    for name in dir(special):
        if isinstance(getattr(special, name), np.ufunc):
            assert getattr(special, name) is getattr(sc, name)


def test_signatures_are_scipys():
    for name in special.__all__:
        ours, theirs = getattr(special, name), getattr(sc, name, None)
        if inspect.isfunction(ours) and inspect.isfunction(theirs) and name not in {"softplus", "sph_harm_y"}:
            want = list(inspect.signature(theirs).parameters)
            got = [p for p in inspect.signature(ours).parameters if p != "kwargs"]
            assert got == want[: len(got)], name
            assert len(got) == len(want) or name == "factorial"


def test_whatever_is_missing_says_what_to_do():
    missing = [name for name in sc.__all__ if not hasattr(special, name)]
    assert 0 < len(missing) < 160
    for name in missing:
        with pytest.raises(MissingRuleError, match=f"{name}.*custom_jvp"):
            getattr(special, name)
    with pytest.raises(MissingRuleError, match=r"no kelvin: .* Closest: jv, iv and kv of an argument times"):
        _ = special.kelvin
    with pytest.raises(MissingRuleError, match="Closest: eval_legendre"):
        _ = special.legendre


def test_plain_arguments_go_to_scipy(rng):
    a = rng.normal(size=(3, 4))
    np.testing.assert_array_equal(special.logsumexp(a, axis=1), sc.logsumexp(a, axis=1))
    np.testing.assert_array_equal(special.softmax(a, axis=1), sc.softmax(a, axis=1))
    assert special.comb(5, 2, exact=True) == 10
    assert special.zeta(3) == sc.zeta(3)


def test_shapes_alone():
    assert eval_shape(lambda x: special.jv(2, special.logsumexp(x, axis=1)), Spec((2, 3), "float32")) == Spec(
        (2,), "float32"
    )


# -- derivatives against mpmath ------------------------------------------------------------------------------------

HALF = mp.mpf("0.5")


def owens_t(a):
    h = mp.mpf(0.7)
    return mp.quad(lambda s: mp.exp(-h * h * (1 + s * s) / 2) / (1 + s * s), [0, a]) / (2 * mp.pi)


def spherical_j2(x):
    return mp.sqrt(mp.pi / 2 / x) * mp.besselj(2.5, x)


M_VALUES = (-500.0, -0.3, 0.0, 1e-9, 0.5, 0.999)
AT = [
    ("gamma", sc.gamma, mp.gamma, (-1.5, 0.3, 4.2, 20.5)),
    ("gammaln", sc.gammaln, lambda x: mp.log(abs(mp.gamma(x))), (-1.5, 0.3, 1e3)),
    ("rgamma", sc.rgamma, mp.rgamma, (-3.0, -2.5, 0.0, 0.49, 0.51, 6.0)),
    ("psi", sc.psi, mp.digamma, (-0.5, 0.3, 50.0)),
    ("polygamma", lambda x: special.polygamma(2, x), lambda x: mp.psi(2, x), (0.4, 10.0)),
    ("erfcx", sc.erfcx, lambda x: mp.exp(x * x) * mp.erfc(x), (-2.0, 0.5, 1.99, 2.01, 10.0, 1e4)),
    ("dawsn", sc.dawsn, lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x), (0.3, 3.0, 9.0, 50.0)),
    ("log_ndtr", sc.log_ndtr, lambda x: mp.log(mp.ncdf(x)), (-300.0, -20.0, 0.5, 5.0)),
    ("ndtri_exp", lambda x: sc.log_ndtr(sc.ndtri_exp(x)), lambda x: x, (-1e4, -3.0, -1e-3)),
    ("exprel", sc.exprel, lambda x: mp.hyp1f1(1, 2, x), (-3.0, 1e-8, 2.0)),
    ("j1", sc.j1, lambda x: mp.besselj(1, x), (0.0, 1.0, 30.0)),
    ("jv", lambda x: sc.jv(0.3, x), lambda x: mp.besselj(mp.mpf("0.3"), x), (0.5, 10.0)),
    ("i1e", sc.i1e, lambda x: mp.exp(-x) * mp.besseli(1, x), (0.1, 20.0)),
    ("spherical", lambda x: special.spherical_jn(2, x), spherical_j2, (0.1, 4.0)),
    ("airy", lambda x: sc.airy(x)[0], mp.airyai, (-5.0, -0.5, 3.0)),
    ("struve", lambda x: sc.struve(0.5, x), lambda x: mp.struveh(HALF, x), (0.5, 3.0)),
    ("zeta", special.zeta, mp.zeta, (-3.5, -1.001, -0.999, -0.5, -1e-9, 0.4, 0.6, 3.0, 20.0)),
    ("zetac", sc.zetac, mp.zeta, (-3.5, -0.5, 0.4, 3.0, 20.0)),
    ("zeta_q", lambda q: special.zeta(2.5, q), lambda q: mp.zeta(2.5, q), (0.2, 5.0)),
    ("zeta_s", lambda s: special.zeta(s, 0.7), lambda s: mp.zeta(s, mp.mpf("0.7")), (1.2, 8.0)),
    ("lambertw", lambda x: np.real(special.lambertw(x)), mp.lambertw, (-0.3, 0.0, 1e-9, 5.0, 1e5)),
    ("lambertw_1", lambda x: np.real(special.lambertw(x, -1)), lambda x: mp.re(mp.lambertw(x, -1)), (-0.3, -0.01)),
    ("spence", sc.spence, lambda x: mp.polylog(2, 1 - x), (0.1, 0.999, 1.0, 1.4, 1.6)),
    ("expn", lambda x: sc.expn(2, x), lambda x: mp.expint(2, x), (0.2, 5.0)),
    ("si", lambda x: sc.sici(x)[0], mp.si, (0.0, 1e-5, 3.0)),
    ("chi", lambda x: sc.shichi(x)[1], mp.chi, (0.5, 3.0)),
    ("fresnel", lambda x: sc.fresnel(x)[0], mp.fresnels, (0.3, 2.0)),
    ("ellipk", sc.ellipk, mp.ellipk, (-30.0, 0.0, 1e-9, 0.99)),
    ("ellipe", sc.ellipe, mp.ellipe, (-30.0, 0.0, 1e-9, 0.99)),
    ("ellipkm1", sc.ellipkm1, lambda p: mp.ellipk(1 - p), (1e-6, 0.5)),
    ("ellipkinc", lambda m: sc.ellipkinc(0.8, m), lambda m: mp.ellipf(mp.mpf(0.8), m), M_VALUES),
    ("ellipeinc", lambda m: sc.ellipeinc(4.0, m), lambda m: mp.ellipe(4, m), (-5.0, 0.0, 0.5, 0.99)),
    ("ellipj", lambda m: sc.ellipj(1.1, m)[0], lambda m: mp.ellipfun("sn", mp.mpf(1.1), m=m), (1e-9, 0.3, 0.9)),
    ("hyp2f1", lambda z: sc.hyp2f1(0.5, 1.5, 2.2, z), lambda z: mp.hyp2f1(0.5, 1.5, mp.mpf(2.2), z), (-0.4, 0.7)),
    ("boxcox", lambda p: sc.boxcox(3.0, p), lambda p: (mp.mpf(3) ** p - 1) / p, (-1.0, 1e-9, 2.0)),
    ("inv_boxcox", lambda p: sc.inv_boxcox(0.7, p), lambda p: (1 + p * mp.mpf(0.7)) ** (1 / p), (-1.0, 1e-9, 2.0)),
    ("owens_t", lambda a: sc.owens_t(0.7, a), owens_t, (0.5, 2.0)),
    ("wrightomega", sc.wrightomega, lambda x: mp.lambertw(mp.exp(x)), (-2.0, 3.0)),
    ("eval_legendre", lambda x: sc.eval_legendre(5, x), lambda x: mp.legendre(5, x), (-1.0, 0.3, 1.0)),
    ("eval_half", lambda x: sc.eval_chebyt(2.5, x), lambda x: mp.chebyt(2.5, x), (0.3,)),
    ("cosm1", sc.cosm1, lambda x: mp.cos(x) - 1, (0.0, 2.0)),
]  # fmt: skip
#: Functions whose second derivative mpmath cannot find at the point, or that are the point's own kink.
FIRST_ORDER_ONLY = {"gammaln", "owens_t", "ndtri_exp"}


@pytest.mark.parametrize(("name", "f", "judge", "points"), AT, ids=[row[0] for row in AT])
def test_derivatives_of_order_one_and_two(name, f, judge, points):
    for x in points:
        for n in (1,) if name in FIRST_ORDER_ONLY else (1, 2):
            want = exact(judge, x, n)
            size = max(abs(want), 1e-3 if abs(x) < 100 else 0)
            np.testing.assert_allclose(
                derivative(f, np.float64(x), n), want, rtol=0, atol=2e-9 * size, err_msg=f"{x} {n}"
            )


COMPLEX = [
    ("gamma", sc.gamma, mp.gamma),
    ("loggamma", sc.loggamma, mp.loggamma),
    ("psi", sc.psi, mp.digamma),
    ("erfcx", sc.erfcx, lambda z: mp.exp(z * z) * mp.erfc(z)),
    ("wofz", sc.wofz, lambda z: mp.exp(-z * z) * mp.erfc(-1j * z)),
    ("lambertw", special.lambertw, mp.lambertw),
    ("hankel1", lambda z: sc.hankel1(1.5, z), lambda z: mp.hankel1(1.5, z)),
    ("kve", lambda z: sc.kve(1.5, z), lambda z: mp.besselk(1.5, z) * mp.exp(z)),
    ("exp1", sc.exp1, mp.e1),
    ("spence", sc.spence, lambda z: mp.polylog(2, 1 - z)),
    ("hyp1f1", lambda z: sc.hyp1f1(0.5, 1.5, z), lambda z: mp.hyp1f1(0.5, 1.5, z)),
]


@pytest.mark.parametrize(("name", "f", "judge"), COMPLEX, ids=[row[0] for row in COMPLEX])
def test_complex_derivatives(name, f, judge):
    for z in (0.7 + 0.4j, 3.0 - 2.0j, -1.3 + 0.8j):
        slope = lambda z: jvp(f, (z,), (np.complex128(1),))[1]
        np.testing.assert_allclose(slope(np.complex128(z)), exact(judge, z), rtol=1e-9)
        np.testing.assert_allclose(jvp(slope, (np.complex128(z),), (1 + 0j,))[1], exact(judge, z, 2), rtol=1e-8)


@pytest.mark.parametrize("f", [sc.jve, sc.yve, sc.ive])
def test_scaled_bessel_functions_of_complex_numbers(f):
    """They are not holomorphic: the derivative along each direction, in both modes."""
    z, h = 1.3 - 0.7j, 1e-6
    for direction in (1.0, 1j, 0.6 + 0.8j):
        want = (f(0.5, z + h * direction) - f(0.5, z - h * direction)) / (2 * h)
        np.testing.assert_allclose(jvp(lambda z: f(0.5, z), (z,), (direction,))[1], want, rtol=1e-8)
        for ct in (1.0, 1j):
            g = grad(lambda z, ct=ct: np.real(ct * f(0.5, z)))(z)
            np.testing.assert_allclose(np.real(g * direction), np.real(ct * want), rtol=1e-8)


# -- functions that are no ufuncs in SciPy -------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("weighted", [False, True, "signed"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("return_sign", [False, True])
def test_logsumexp(rng, axis, weighted, keepdims, return_sign):
    a = rng.normal(size=(3, 4, 2))
    b = {False: None, True: rng.uniform(0, 1, (3, 1, 2)), "signed": rng.normal(size=(3, 1, 2))}[weighted]
    with np.errstate(invalid="ignore"):
        want = sc.logsumexp(a, axis=axis, b=b, keepdims=keepdims, return_sign=return_sign)
    signs = []

    def f(a, b=b):
        y = special.logsumexp(a, axis=axis, b=b, keepdims=keepdims, return_sign=return_sign)
        signs.append(y[1] if return_sign else None)
        return y[0] if return_sign else y

    y, t = jvp(f, (a,), (np.ones_like(a),))
    np.testing.assert_allclose(y, want[0] if return_sign else want, rtol=1e-12, atol=1e-14)
    if return_sign:
        np.testing.assert_array_equal(signs[-1], want[1])
    known = ~np.isnan(y)
    np.testing.assert_allclose(t[known], 1, rtol=1e-12)
    if return_sign or weighted != "signed":
        check_grads(f, (a,) if b is None else (a, b), order=1 if weighted == "signed" else 2)


def test_logsumexp_is_exact_in_the_tail():
    a = np.array([0.0, -50.0])
    assert jvp(special.logsumexp, (a,), (np.zeros(2),))[0] == sc.logsumexp(a) == pytest.approx(np.exp(-50), rel=1e-12)
    np.testing.assert_allclose(grad(special.logsumexp)(a), [1, np.exp(-50)], rtol=1e-12)
    np.testing.assert_allclose(
        grad(lambda b: special.logsumexp(np.array([0.0, -60]), b=b))(np.array([1.0, 0])), [1, np.exp(-60)]
    )


def test_logsumexp_of_infinities_and_nothing():
    nothing = np.full((2, 2), -np.inf)
    nothing[0, 0] = 1.0
    f = lambda a: special.logsumexp(a, axis=1)
    np.testing.assert_array_equal(jvp(f, (nothing,), (np.ones((2, 2)),)), [[1, -np.inf], [1, 0]])
    np.testing.assert_array_equal(grad(lambda a: np.sum(f(a)))(nothing), [[1, 0], [0, 0]])
    np.testing.assert_array_equal(hessian(special.logsumexp)(np.full(2, -np.inf)), np.zeros((2, 2)))
    assert np.isnan(grad(special.logsumexp)(np.array([np.inf, 0.0]))[0])
    assert jvp(special.logsumexp, (np.zeros(0),), (np.zeros(0),))[0] == -np.inf
    z = np.array([1 + 2j, 0.5 - 1j])
    np.testing.assert_allclose(jvp(special.logsumexp, (z,), (z,))[0], sc.logsumexp(z))
    np.testing.assert_allclose(jvp(special.logsumexp, (z,), (z,))[1], np.sum(z * np.exp(z)) / np.sum(np.exp(z)))
    assert jvp(special.logsumexp, (np.float32([1, 2]),), (np.float32([1, 2]),))[0].dtype == np.float32


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (1,)])
def test_softmax(rng, axis):
    x = rng.normal(size=(3, 4, 2))
    for name in ("softmax", "log_softmax"):
        f = lambda x: getattr(special, name)(x, axis=axis)  # noqa: B023
        np.testing.assert_allclose(jvp(f, (x,), (x,))[0], getattr(sc, name)(x, axis=axis), rtol=1e-12)
        check_grads(f, (x,), order=1)


def test_counting(rng):
    for f, theirs in ((special.comb, sc.comb), (special.perm, sc.perm)):
        n, k = np.array([5.0, 2.0, -1.0, 6.5]), np.array([2.0, 3.0, 1.0, 2.5])
        np.testing.assert_allclose(jvp(lambda n: f(n, k), (n,), (n,))[0], theirs(n, k), rtol=1e-13)  # noqa: B023
        check_grads(f, (np.array([5.0, 6.5]), np.array([2.0, 2.5])), order=2)
    assert jvp(lambda n: special.comb(n, 2, repetition=True), (4.0,), (1.0,))[0] == sc.comb(4, 2, repetition=True)
    assert grad(special.factorial)(-1.0) == 0
    check_grads(special.factorial, (np.array([0.5, 3.0]),), order=2)
    check_grads(lambda a: special.multigammaln(a, 3), (np.array([2.5, 4.0]),), order=2)
    assert jvp(lambda a: special.multigammaln(a, 3), (4.0,), (1.0,))[0] == pytest.approx(sc.multigammaln(4.0, 3))


def test_functions_with_several_results():
    for f, x in ((sc.airy, 0.7), (sc.sici, 0.7), (sc.shichi, 0.7), (sc.fresnel, 0.7)):
        values = jvp(f, (x,), (1.0,))[0]
        np.testing.assert_allclose(values, f(x), rtol=1e-14)
        check_grads(f, (x,), order=2)
    check_grads(sc.ellipj, (0.7, 0.3), order=2)
    np.testing.assert_allclose(vmap(lambda x: sc.airy(x)[0])(np.linspace(0, 1, 3)), sc.airy(np.linspace(0, 1, 3))[0])


def test_spherical_functions_at_zero_and_their_derivatives():
    for name in ("spherical_jn", "spherical_yn", "spherical_in", "spherical_kn"):
        ours, theirs = getattr(special, name), getattr(sc, name)
        for n in (0, 1, 3, np.array([0, 2])):
            np.testing.assert_allclose(ours(n, 1.3, derivative=True), theirs(n, 1.3, derivative=True), rtol=1e-12)
            check_grads(lambda z: ours(n, z, derivative=True), (1.3,), order=1)  # noqa: B023
    np.testing.assert_allclose(jacfwd(lambda z: special.spherical_jn(np.arange(3), z))(0.0), [0, 1 / 3, 0], atol=1e-15)
    assert hessian(lambda z: special.spherical_jn(0, z))(0.0) == pytest.approx(-1 / 3)


def test_spherical_harmonics(rng):
    n, m = np.array([0, 1, 2, 3, 3]), np.array([0, -1, 2, 0, -3])
    theta, phi = rng.uniform(0.2, 2.9, 5), rng.uniform(0, 6, 5)
    for part in (np.real, np.imag):
        check_grads(lambda a, b: part(special.sph_harm_y(n, m, a, b)), (theta, phi), order=2)  # noqa: B023
    poles = jvp(lambda a: special.sph_harm_y(1, 1, a, 0.0), (0.0,), (1.0,))[1]
    np.testing.assert_allclose(poles, -np.sqrt(3 / (8 * np.pi)))


def test_voigt_profile_at_unequal_widths():
    check_grads(
        sc.voigt_profile, (np.array([-1.0, 0.0, 3.0]), np.array([0.3, 1.0, 2.0]), np.array([2.0, 0.1, 0.5])), order=2
    )


# -- conventions (autodiff/CONVENTIONS.md) -------------------------------------------------------------------------


def slopes(f, *args):
    """Derivatives by all arguments; forward and reverse mode must agree."""
    args = tuple(map(np.float64, args))
    forward, reverse = jacfwd(f, tuple(range(len(args))))(*args), jacrev(f, tuple(range(len(args))))(*args)
    np.testing.assert_array_equal(forward, reverse)
    return tuple(map(float, forward))


def test_poles_of_gamma():
    assert slopes(sc.gamma, 0.0) == (-np.inf,)
    assert slopes(sc.gammaln, 0.0) == (-np.inf,)
    assert slopes(sc.psi, -2.0) == (np.inf,)
    for f in (sc.gamma, sc.gammaln):
        assert np.isnan(grad(f)(-2.0))
    assert np.isnan(grad(sc.poch)(-2.0, 1.5))
    assert grad(sc.poch, 1)(-2.0, 1.5) == 0
    np.testing.assert_allclose([slopes(sc.rgamma, -float(k))[0] for k in range(5)], [1, -1, 2, -6, 24], rtol=1e-13)
    np.testing.assert_allclose(slopes(sc.binom, 2.0, 4.0), (-1 / 12, 1 / 12), rtol=1e-13)


def test_x_log_y_at_zero():
    assert slopes(sc.xlogy, 0.0, 0.0) == (-np.inf, 0)
    assert slopes(lambda x: sc.xlogy(x, x), 0.0) == (-np.inf,)
    assert hessian(lambda v: sc.xlogy(v[0], v[1]))(np.array([0.0, 2.0])).tolist() == [[0, 0.5], [0.5, 0]]
    assert slopes(sc.entr, 0.0) == (np.inf,)
    assert slopes(sc.entr, -1.0) == (0,)
    assert slopes(sc.rel_entr, 0.0, 1.0) == (-np.inf, 0)
    assert slopes(sc.rel_entr, 1.0, -1.0) == (0, 0)
    assert slopes(sc.kl_div, 0.0, 1.0) == (-np.inf, 1)
    assert slopes(sc.kl_div, 1.0, -1.0) == (0, 0)
    assert slopes(sc.xlog1py, 0.0, -1.0) == (-np.inf, 0)
    x, y = 1e-3, 1e-3 * (1 + 1e-10)
    np.testing.assert_allclose(slopes(sc.kl_div, x, y), (np.log1p((x - y) / y), (y - x) / y), rtol=1e-6)


def test_losses_at_their_joints():
    assert slopes(sc.huber, 1.0, 1.0) == (0, 1)
    assert slopes(sc.huber, -1.0, 2.0) == (0, 0)
    assert slopes(sc.pseudo_huber, 0.0, 2.0) == (2, 0)


def test_ends_of_inverse_functions():
    for f, x in ((sc.logit, 1.0), (sc.erfinv, 1.0), (sc.ndtri, 0.0)):
        assert slopes(f, x) == (np.inf,)
    assert slopes(sc.logit, 1e-300)[0] == pytest.approx(1e300)


def test_far_tails():
    assert slopes(sc.log_ndtr, -1e150)[0] == pytest.approx(1e150, rel=1e-12)
    assert derivative(sc.log_ndtr, np.float64(-1e5), 2) == pytest.approx(-1, abs=1e-9)
    assert slopes(sc.log_expit, -800.0) == (1,)
    assert slopes(sc.erfcx, 1e8)[0] == pytest.approx(-1e-16 / np.sqrt(np.pi), rel=1e-12)
    assert slopes(sc.dawsn, 1e8)[0] == pytest.approx(-0.5e-16, rel=1e-12)


def test_bessel_functions_at_zero():
    assert slopes(sc.j0, 0.0) == (0,)
    assert slopes(lambda x: sc.jv(1, x), 0.0) == (0.5,)
    assert slopes(lambda x: sc.jv(0.5, x), 0.0) == (np.inf,)
    assert slopes(sc.i0e, 0.0) == slopes(lambda x: sc.ive(0, x), 0.0) == (0,)
    assert slopes(sc.i1e, 0.0) == (0.5,)
    for x, rtol in ((1e3, 1e-12), (1e6, 1e-9)):  # as many digits are lost as x has
        want = -0.5 * x**-1.5 / np.sqrt(2 * np.pi) * (1 + 3 / (8 * x))
        np.testing.assert_allclose(slopes(sc.i0e, x), want, rtol=rtol + 1 / x**2)


def test_degrees_that_are_zero():
    for f in (sc.eval_legendre, sc.eval_hermite, sc.eval_chebyu, sc.eval_laguerre):
        assert slopes(lambda x, f=f: f(0, x), 0.3) == (0,)
        got = jvp(lambda x, f=f: f(np.array([0, 1]), x), (0.3,), (1.0,))[1]
        assert got[0] == 0
        assert got[1] != 0


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "what"),
    [
        (lambda v: sc.jv(v, 1.0), "jv: the derivative with respect to the order is not known"),
        (lambda v: sc.kve(v, 1.0), "kve: the derivative with respect to the order"),
        (lambda v: sc.hyp2f1(v, 1.0, 2.0, 0.5), "hyp2f1: the derivative with respect to a is not known"),
        (lambda v: sc.eval_legendre(v, 0.5), "eval_legendre: the derivative with respect to the degree n"),
        (lambda v: special.polygamma(v, 1.0), "polygamma: the derivative with respect to the order n"),
        (lambda v: sc.jv(stop_gradient(v), v), None),
    ],
)
def test_orders_are_refused(f, what):
    if what is None:
        assert grad(f)(1.0) == pytest.approx(0.5 * (sc.jv(0, 1.0) - sc.jv(2, 1.0)))
        return
    for attempt in (
        lambda: jvp(f, (1.0,), (1.0,)),
        lambda: grad(f)(1.0),
        lambda: grad(lambda v: np.sum(vmap(f)(v)))(np.ones(2)),
    ):
        with pytest.raises(MissingRuleError, match=what + ".*stop_gradient.*custom_jvp"):
            attempt()


def test_arguments_that_are_refused():
    with pytest.raises(TypeError, match="comb: exact=True counts with integers"):
        grad(lambda n: special.comb(n, 2, exact=True))(4.0)
    with pytest.raises(TypeError, match="perm: exact=True"):
        grad(lambda n: special.perm(n, 2, exact=True))(4.0)
    with pytest.raises(TypeError, match="factorial: exact=True"):
        grad(lambda n: special.factorial(n, exact=True))(4.0)
    with pytest.raises(TypeError, match="zeta: out= cannot hold"):
        grad(lambda s: special.zeta(s, None, np.zeros(())))(2.0)
    with pytest.raises(MissingRuleError, match="sph_harm_y: diff_n of traced angles"):
        grad(lambda a: np.real(special.sph_harm_y(1, 0, a, 0.0, diff_n=1)))(0.3)
    with pytest.raises(ValueError, match="multigammaln: a must be greater than"):
        grad(lambda a: special.multigammaln(a, 4))(1.0)
    with pytest.raises(ValueError, match="multigammaln: d must be a positive integer"):
        grad(lambda a: special.multigammaln(a, 1.5))(4.0)


def test_orders_in_a_list():
    x = np.array([0.4, 2.0])
    np.testing.assert_allclose(jvp(lambda x: special.polygamma([1, 2], x), (x,), (x,))[1], x * sc.polygamma([2, 3], x))


@pytest.mark.parametrize(("name", "function"), [("jvp", "jv"), ("yvp", "yv"), ("ivp", "iv"), ("kvp", "kv")])
def test_derivatives_of_bessel_functions(name, function):
    x = np.array([0.7, 1.4, 3.5])
    ours, theirs = getattr(special, name), getattr(sc, name)
    for v in (0, 1, 2.5):
        for n in (0, 1, 2, 3):
            np.testing.assert_allclose(ours(v, x, n), theirs(v, x, n), rtol=1e-12)
            np.testing.assert_allclose(jvp(lambda x: ours(v, x, n), (x,), (x,))[1], x * theirs(v, x, n + 1), rtol=1e-12)  # noqa: B023
        slope = jvp(lambda x: getattr(sc, function)(v, x), (x,), (np.ones(3),))[1]  # noqa: B023
        np.testing.assert_allclose(slope, ours(v, x), rtol=1e-12)
    assert jvp(lambda x: ours(1, x), (np.float32([2.0]),), (np.float32([1.0]),))[1].dtype == np.float32
    with pytest.raises(ValueError, match=rf"scipy.special.{name}: n, how often to differentiate, must not be negative"):
        ours(0, 1.0, -1)
    with pytest.raises(MissingRuleError, match=f"{function}: the derivative with respect to the order"):
        grad(lambda v: ours(v, 1.0))(1.0)


def test_derivatives_of_hankel_functions():
    z = np.array([0.3 + 0.4j, 1.2 - 0.7j])
    for ours, theirs in ((special.h1vp, sc.h1vp), (special.h2vp, sc.h2vp)):
        np.testing.assert_allclose(ours(1.5, z, 2), theirs(1.5, z, 2), rtol=1e-12)
        np.testing.assert_allclose(jvp(lambda z: ours(1.5, z), (z,), (z,))[1], z * theirs(1.5, z, 2), rtol=1e-12)  # noqa: B023
