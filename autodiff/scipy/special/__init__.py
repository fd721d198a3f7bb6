"""``scipy.special`` on traced arrays: importing this teaches traced arrays SciPy's own functions.

Most functions here are SciPy's own, the same objects: they dispatch on traced arrays by themselves, in both modes and
at every order, and the first that a program calls on a traced array loads this module. Those that are no ufuncs in
SciPy (`logsumexp`, `polygamma` ...) are functions of the same signature, to be called from here.
What is decided at poles and other degenerate points stands in ``autodiff/CONVENTIONS.md``.

Examples
--------
>>> import numpy as np
>>> from autodiff import grad
>>> from autodiff.scipy import special
>>> grad(lambda x: np.sum(special.xlogy(x, x)))(np.array([1.0, np.e]))
array([1., 2.])
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sc
from numpy import sinc

from autodiff.core import UFUNCS
from autodiff.scipy._missing import missing_function
from autodiff.scipy.special import (
    bessel,
    elliptic,
    error_functions,
    gamma_functions,
    hypergeometric,
    incomplete,
    integrals,
    logarithms,
    sums,
)
from autodiff.scipy.special.bessel import (
    h1vp,
    h2vp,
    ivp,
    jvp,
    kvp,
    spherical_in,
    spherical_jn,
    spherical_kn,
    spherical_yn,
    yvp,
)
from autodiff.scipy.special.gamma_functions import comb, factorial, multigammaln, perm, polygamma, zeta
from autodiff.scipy.special.integrals import lambertw, sph_harm_y
from autodiff.scipy.special.sums import log_softmax, logsumexp, softmax, softplus

__all__ = [
    "bessel",
    "comb",
    "elliptic",
    "error_functions",
    "factorial",
    "gamma_functions",
    "h1vp",
    "h2vp",
    "hypergeometric",
    "incomplete",
    "integrals",
    "ivp",
    "jvp",
    "kvp",
    "lambertw",
    "log_softmax",
    "logarithms",
    "logsumexp",
    "multigammaln",
    "perm",
    "polygamma",
    "sinc",
    "softmax",
    "softplus",
    "sph_harm_y",
    "spherical_in",
    "spherical_jn",
    "spherical_kn",
    "spherical_yn",
    "sums",
    "yvp",
    "zeta",
]


def _is_constant(name: str) -> bool:
    """Whether SciPy's function takes whole numbers alone (tables of zeros and nodes), or is a setting."""
    settings = {"SpecialFunctionError", "SpecialFunctionWarning", "errstate", "geterr", "seterr"}
    counting = {"bernoulli", "euler", "factorial2", "factorialk", "stirling2"}
    return name.startswith("roots_") or name.endswith(("_zeros", "_roots")) or name in settings | counting


_KELVIN = "jv, iv and kv of an argument times exp(3j * pi / 4) or exp(1j * pi / 4)"
#: The closest thing to do for functions of SciPy that are not here.
_INSTEAD = {
    "agm": "pi / 4 * (a + b) / ellipk(((a - b) / (a + b))**2)",
    "airye": "airy, times the exponential",
    **dict.fromkeys(("ber", "bei", "ker", "kei", "berp", "beip", "kerp", "keip", "kelvin"), _KELVIN),
    **dict.fromkeys(("bdtri", "bdtrik", "bdtrin", "nbdtri", "btdtria", "btdtrib", "fdtri", "fdtridfd"), "betaincinv"),
    **dict.fromkeys(("chdtriv", "gdtria", "gdtrib", "gdtrix", "pdtri", "pdtrik"), "gammaincinv"),
    **dict.fromkeys(("elliprc", "elliprd", "elliprf", "elliprg", "elliprj"), "ellipkinc and ellipeinc"),
    **{f: f"eval_{f}" for f in ("legendre", "chebyt", "chebyu", "chebyc", "chebys", "hermite", "hermitenorm")},
    **{f: f"eval_{f}" for f in ("jacobi", "gegenbauer", "genlaguerre", "laguerre", "sh_legendre", "sh_chebyt")},
    "eval_sh_jacobi": "eval_jacobi of 2 * x - 1",
    **dict.fromkeys(("legendre_p", "legendre_p_all", "lpn", "lpmv", "assoc_legendre_p"), "eval_legendre, sph_harm_y"),
    "sph_harm": "sph_harm_y(n, m, theta, phi), whose angles are in the other order",
    **dict.fromkeys(("pbdv", "pbvv", "pbwa", "pbdn_seq"), "hyperu"),
    "diric": "np.sin(n * x / 2) / (n * np.sin(x / 2))",
}


def __getattr__(name: str) -> Any:
    function = getattr(sc, name, None)
    if (isinstance(function, np.ufunc) and function in UFUNCS) or (function is not None and _is_constant(name)):
        return function
    raise missing_function("scipy.special", name, _INSTEAD)


def __dir__() -> list[str]:
    """Return the public names."""
    found = {name for name in dir(sc) if isinstance(f := getattr(sc, name), np.ufunc) and f in UFUNCS}
    return sorted({*__all__, *found, *filter(_is_constant, dir(sc))})
