"""The package `autodiff.scipy`: loaded on first use, and errors that say what to do instead."""

# ruff: noqa: PLW0108 - lambdas show whole programs
import subprocess
import sys

import numpy as np
import pytest
import scipy.fft
import scipy.integrate
import scipy.linalg
import scipy.ndimage
import scipy.optimize
import scipy.special as sc
import scipy.stats

import autodiff.scipy
from autodiff import vjp
from autodiff.core import UFUNCS
from autodiff.core.errors import AssignmentError, ConversionError, MissingRuleError
from autodiff.scipy._missing import special_ufunc


def test_scipy_is_loaded_on_first_use():
    code = (
        "import sys, autodiff, autodiff.scipy; assert 'scipy' not in sys.modules;"
        "from autodiff.scipy import special; assert 'scipy.special' in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


def test_submodules_are_listed():
    assert {"special", "stats", "linalg", "optimize"} <= set(dir(autodiff.scipy))


def test_without_scipy():
    code = (
        "import sys; sys.modules['scipy'] = None; import autodiff.scipy\n"
        "try:\n    autodiff.scipy.special\nexcept ModuleNotFoundError as error:\n    print(error.name)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    assert found.stdout.startswith("scipy")


def test_missing_submodule():
    with pytest.raises(AttributeError, match=r"autodiff.scipy has no fft: .* numpy.fft"):
        _ = autodiff.scipy.fft
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = autodiff.scipy.nothing


def test_missing_function():
    with pytest.raises(MissingRuleError, match=r"autodiff.scipy.special has no kolmogorov: .*custom_jvp"):
        _ = autodiff.scipy.special.kolmogorov
    assert not hasattr(autodiff.scipy.special, "not_a_function")


PLAIN_SCIPY = """
import sys
import numpy as np, scipy.special as sc
import autodiff
assert not any(name.startswith("autodiff.scipy.special") for name in sys.modules)
{}
"""


@pytest.mark.parametrize(
    "program",
    [
        "assert autodiff.grad(sc.erfc)(0.0) == -2 / np.sqrt(np.pi)",
        "assert autodiff.jvp(sc.gammaln, (1.0,), (1.0,))[1] == sc.psi(1.0)",
        "assert autodiff.vmap(autodiff.grad(lambda x: sc.xlogy(x, x)))(np.ones(2)).tolist() == [1.0, 1.0]",
        "assert autodiff.grad(lambda x: np.real(sc.lambertw(x)))(0.0) == 1.0",
        "assert autodiff.grad(lambda x: sc.zeta(2.0, x))(1.5) == -2 * sc.zeta(3.0, 1.5)",
        "assert abs(autodiff.grad(sc.zeta)(2.0) + 0.9375482543158437) < 1e-12",
        "assert autodiff.eval_shape(sc.j0, np.ones((2, 3))).shape == (2, 3)",
        "f = lambda x: np.sum(sc.xlogy.outer(x, x)); assert autodiff.grad(f)(np.ones(2)).tolist() == [2.0, 2.0]",
    ],
)
def test_scipys_own_functions_work_on_the_first_call(program):
    """The mirror is loaded by the first ufunc of SciPy that meets a traced array."""
    subprocess.run([sys.executable, "-W", "error", "-c", PLAIN_SCIPY.format(program)], check=True, timeout=120)


def test_every_function_that_scipy_shares_with_the_mirror_dispatches():
    """SciPy's ufuncs and the mirror's names agree: what is not here is refused by both doors."""
    mirror = autodiff.scipy.special
    for name in dir(sc):
        function = getattr(sc, name)
        if isinstance(function, np.ufunc):
            if name in dir(mirror):
                assert special_ufunc(function) is UFUNCS[function]
            else:
                with pytest.raises(MissingRuleError, match=f"autodiff.scipy.special has no {name}: its derivative"):
                    special_ufunc(function)


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: sc.ber(x), r"special has no ber: .* \(test_.*py:\d+\)\. Closest: jv, iv and kv of an argument"),
        (lambda x: sc.kolmogorov(x), r"special has no kolmogorov: .*\)\. Give scipy.special.kolmogorov a rule with"),
        (lambda x: sc.xlogy.reduce(x), r"scipy.special.xlogy.reduce has no derivative rule"),
        (lambda x: sc.erf(x, where=False), r"scipy.special.erf has no derivative rule .* keyword where="),
        (lambda x: sc.erf(x, out=np.zeros(2)), r"scipy.special.erf with out= .* cannot be written into a plain array"),
        (lambda x: np.frompyfunc(abs, 1, 1)(x), r"the ufunc abs.* has no derivative rule"),
        (lambda x: sc.logsumexp(x), r"special.logsumexp takes plain arrays alone: use autodiff.scipy.special.logsum"),
        (lambda x: sc.polygamma(1, x), r"polygamma takes plain arrays alone: use autodiff.scipy.special.polygamma"),
        (lambda x: sc.sph_harm_y(1, 0, x, x), r"sph_harm_y takes plain arrays alone: use autodiff.scipy.special.sph"),
        (lambda x: scipy.linalg.svd(x[None]), r"linalg.svd takes plain arrays alone: use autodiff.scipy.linalg.svd"),
        (lambda x: scipy.fft.fft(x), r"autodiff.scipy has no fft: .*Closest: numpy.fft, whose functions act"),
        (lambda x: scipy.ndimage.laplace(x), r"autodiff.scipy has no ndimage: .*Closest: np.convolve"),
        (lambda x: scipy.stats.norm.logpdf(x), r"no rv_continuous: .*Closest: the families of autodiff.scipy.stats"),
        (lambda x: scipy.integrate.simpson(x), r"\(test_scipy_special_package.py:\d+\). scipy.integrate.simpson takes"),
        (lambda x: scipy.optimize.newton(lambda u: float(x[0]), 1.0), r"float\(\) .* would be lost \(test_.*\)\. Use"),
    ],
)
def test_what_scipys_own_functions_say(f, text):
    with pytest.raises((MissingRuleError, AssignmentError, ConversionError), match=text):
        vjp(f, np.array([1.0, 2.0]))
