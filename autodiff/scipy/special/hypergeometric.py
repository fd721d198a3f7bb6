"""Hypergeometric functions by their argument, and orthogonal polynomials."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sc

from autodiff.core import elementwise
from autodiff.scipy.special._common import draws, refused

__all__: list[str] = []

# -- hypergeometric --------------------------------------------------------------------------------------------

elementwise(
    sc.hyp2f1,
    *(refused("hyp2f1", name) for name in ("a", "b", "c")),
    lambda t, _y, a, b, c, z: t * (a * b / c) * sc.hyp2f1(a + 1, b + 1, c + 1, z),
    samples=draws(0.7, 1.2, 2.5, (-0.8, 0.6)),
)
elementwise(
    sc.hyp1f1,
    *(refused("hyp1f1", name) for name in ("a", "b")),
    lambda t, _y, a, b, x: t * (a / b) * sc.hyp1f1(a + 1, b + 1, x),
    samples=draws(0.7, 1.6, (-2.0, 2.0)),
)
elementwise(
    sc.hyp0f1,
    refused("hyp0f1", "v"),
    lambda t, _y, v, z: t / v * sc.hyp0f1(v + 1, z),
    samples=draws(1.5, (0.2, 2.0)),
)
elementwise(
    sc.hyperu,
    *(refused("hyperu", name) for name in ("a", "b")),
    lambda t, _y, a, b, x: t * -a * sc.hyperu(a + 1, b + 1, x),
    samples=draws(0.7, 1.6, (0.5, 2.0)),
)

# -- orthogonal polynomials ------------------------------------------------------------------------------------
# The derivative of each is one of the next lower degree; of degree 0, it is 0.


def _below(n: Any, slope: Any) -> Any:
    """``slope(n)``, and 0 for n = 0."""
    if isinstance(n, int):
        return slope(n) if n else 0.0
    constant = np.equal(n, 0)
    return np.where(constant, 0.0, slope(np.where(constant, 1, n)))


def _jacobi(n: Any, a: Any, b: Any, x: Any) -> Any:
    return _below(n, lambda k: 0.5 * (k + a + b + 1) * sc.eval_jacobi(k - 1, a + 1, b + 1, x))


def _gegenbauer(n: Any, a: Any, x: Any) -> Any:
    return _below(n, lambda k: 2 * a * sc.eval_gegenbauer(k - 1, a + 1, x))


def _laguerre(n: Any, a: Any, x: Any) -> Any:
    return _below(n, lambda k: -sc.eval_genlaguerre(k - 1, a + 1, x))


def _chebyt(n: Any, x: Any) -> Any:
    return _below(n, lambda k: k * sc.eval_chebyu(k - 1, x))


def _legendre(n: Any, x: Any) -> Any:
    return _gegenbauer(n, 0.5, x)


_SLOPES = {
    sc.eval_legendre: _legendre,
    sc.eval_chebyt: _chebyt,
    sc.eval_chebyu: lambda n, x: _gegenbauer(n, 1.0, x),
    sc.eval_chebyc: lambda n, x: _chebyt(n, x * 0.5),
    sc.eval_chebys: lambda n, x: 0.5 * _gegenbauer(n, 1.0, x * 0.5),
    sc.eval_sh_legendre: lambda n, x: 2 * _legendre(n, 2 * x - 1),
    sc.eval_sh_chebyt: lambda n, x: 2 * _chebyt(n, 2 * x - 1),
    sc.eval_sh_chebyu: lambda n, x: 2 * _gegenbauer(n, 1.0, 2 * x - 1),
    sc.eval_laguerre: lambda n, x: _laguerre(n, 0.0, x),
    sc.eval_hermite: lambda n, x: _below(n, lambda k: 2 * k * sc.eval_hermite(k - 1, x)),
    sc.eval_hermitenorm: lambda n, x: _below(n, lambda k: k * sc.eval_hermitenorm(k - 1, x)),
}

for _function, _slope in _SLOPES.items():
    elementwise(
        _function,
        refused(_function.__name__, "the degree n"),
        lambda t, _y, n, x, slope=_slope: t * slope(n, x),
        samples=draws(4, (0.1, 0.9)),
    )

elementwise(
    sc.eval_jacobi,
    *(refused("eval_jacobi", name) for name in ("the degree n", "alpha", "beta")),
    lambda t, _y, n, a, b, x: t * _jacobi(n, a, b, x),
    samples=draws(4, 0.3, 1.2, (-0.9, 0.9)),
)
elementwise(
    sc.eval_gegenbauer,
    *(refused("eval_gegenbauer", name) for name in ("the degree n", "alpha")),
    lambda t, _y, n, a, x: t * _gegenbauer(n, a, x),
    samples=draws(4, 1.2, (-0.9, 0.9)),
)
elementwise(
    sc.eval_genlaguerre,
    *(refused("eval_genlaguerre", name) for name in ("the degree n", "alpha")),
    lambda t, _y, n, a, x: t * _laguerre(n, a, x),
    samples=draws(4, 0.7, (0.1, 2.0)),
)
