"""Derivatives of the incomplete gamma and beta functions by their parameters, as integrals; plain arrays.

The derivative of order m of a density by its parameters is the density times a polynomial in logarithms of the
variable and polygamma functions. Its integral from the tail to x is taken on the side of the mode where x lies (the
integral over everything is 0), in a variable in which the density is log-concave and falls from the start: by the rule
of Gauss and Legendre on intervals that double in length. Compared with mpmath in the tests.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.special as sc

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bell", "betainc_derivative", "gammainc_derivative"]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)
DEPTH = 45.0  # the density is cut where it has fallen by exp(-DEPTH)
CHUNK = 4096  # elements at a time


def bell(i: int, j: int, g: Callable[[int, int], Any]) -> Any:
    """Derivative (i, j) of ``exp(G)``, divided by it, where ``g(p, q)`` is derivative (p, q) of G."""
    found: dict[tuple[int, int], Any] = {(0, 0): 1.0}

    def of(p: int, q: int) -> Any:
        if (p, q) not in found:
            k, n = (p - 1, q) if p else (0, q - 1)  # one derivative is taken first, then Leibniz's rule
            step = (1, 0) if p else (0, 1)
            found[p, q] = sum(
                math.comb(k, r) * math.comb(n, s) * of(r, s) * g(k - r + step[0], n - s + step[1])
                for r in range(k + 1)
                for s in range(n + 1)
            )
        return found[p, q]

    return of(i, j)


def _integral(density: Callable[..., Any], end: Any) -> Any:
    """Integral of ``density(u)`` from 0 to `end`, on intervals from 0 to 2, to 4, to 8 ..."""
    total = np.zeros_like(end)
    low, edge = np.zeros_like(end), 2.0
    while True:
        high = np.minimum(end, edge)
        half = 0.5 * (high - low)
        total += half * np.sum(WEIGHTS[:, None] * density(low + half * (NODES[:, None] + 1)), axis=0)
        if np.all(high >= end):
            return total
        low, edge = high, 2 * edge


def _end(start: Any, fall: Callable[[Any], tuple[Any, Any]]) -> Any:
    """Where a convex ``fall(u)`` reaches DEPTH, by Newton's method from the right; `fall` returns its slope too."""
    u = start
    for _ in range(60):
        value, slope = fall(u)
        step = np.where(slope > 0, (value - DEPTH) / np.where(slope > 0, slope, 1.0), 0.0)
        u = np.maximum(u - np.maximum(step, 0.0), 0.0)
        if np.all(step <= 1e-3 * u):
            break
    return u


def _lower_gamma(a: Any, x: Any, weight: Callable[[Any], Any]) -> Any:
    """Integral of the density times ``weight(log t)`` from 0 to x <= a, divided by ``x**a exp(-x) / gamma(a)``."""
    end = _end((DEPTH + x) / a, lambda u: (a * u + x * np.expm1(-u), a - x * np.exp(-u)))
    log = np.log(x)
    return _integral(lambda u: np.exp(-a * u - x * np.expm1(-u)) * weight(log - u), end)


def _upper_gamma(a: Any, x: Any, weight: Callable[[Any], Any]) -> Any:
    """The same from x >= a to infinity."""
    far = np.sqrt(2 * DEPTH / x)
    start = np.minimum(far, np.log1p((DEPTH + a * far) / x))
    end = _end(start, lambda u: (x * np.expm1(u) - a * u, x * np.exp(u) - a))
    log = np.log(x)
    return _integral(lambda u: np.exp(a * u - x * np.expm1(u)) * weight(log + u), end)


def _gamma_chunk(a: Any, x: Any, m: int) -> Any:
    slopes = [sc.polygamma(k, a) for k in range(m)]

    def weight(log: Any, at: Any) -> Any:
        return bell(m, 0, lambda p, _q: log - slopes[0][at] if p == 1 else -slopes[p - 1][at])

    below = x <= a
    y = np.empty_like(x)
    for side, integral, sign in ((below, _lower_gamma, 1), (~below, _upper_gamma, -1)):
        if np.any(side):
            y[side] = sign * integral(a[side], x[side], functools.partial(weight, at=side))
    return y * np.exp(a * np.log(x) - x - sc.gammaln(a))


def _lower_beta(a: Any, b: Any, x: Any, y: Any, weight: Callable[[Any, Any], Any]) -> Any:
    """Integral of the density from 0 to x <= a / (a + b), divided by ``x**a y**b / beta(a, b)``, where y = 1 - x.

    The weight takes ``log t`` and ``log(1 - t)``; the variable is the logarithm of the odds.
    """
    log_x, log_y, both = np.log(x), np.log(y), a + b

    def fall(u: Any) -> tuple[Any, Any]:
        shrink = np.exp(-u)
        return a * u + both * np.log(y + x * shrink), a - both * x * shrink / (y + x * shrink)

    end = _end((DEPTH - both * log_y) / a, fall)

    def density(u: Any) -> Any:
        shift = np.log1p(x * np.expm1(-u))
        return np.exp(-a * u - both * shift) * weight(log_x - u - shift, log_y - shift)

    return _integral(density, end)


def _beta_chunk(a: Any, b: Any, x: Any, i: int, j: int) -> Any:
    by_a, by_b, by_both = ([sc.polygamma(k, z) for k in range(max(i + j, 1))] for z in (a, b, a + b))

    def weight(log_x: Any, log_y: Any, at: Any) -> Any:
        def g(p: int, q: int) -> Any:
            total = by_both[p + q - 1][at]
            if p and q:
                return total
            own = by_a[p - 1][at] if p else by_b[q - 1][at]
            return total - own + (log_x if (p, q) == (1, 0) else log_y if (p, q) == (0, 1) else 0.0)

        return bell(i, j, g)

    result, y = np.empty_like(x), 1 - x
    below = x * (a + b) <= a
    if np.any(below):
        s = below
        result[s] = _lower_beta(a[s], b[s], x[s], y[s], lambda p, q: weight(p, q, s))
    if not np.all(below):
        r = ~below
        result[r] = -_lower_beta(b[r], a[r], y[r], x[r], lambda q, p: weight(p, q, r))
    return result * np.exp(a * np.log(x) + b * np.log1p(-x) - sc.betaln(a, b))


def _in_chunks(function: Callable[..., Any], valid: Any, zero: Any, *arrays: Any) -> Any:
    """Apply `function` where the arguments are valid; 0 where the derivative is, NaN elsewhere."""
    y = np.where(zero, 0.0, np.full(valid.shape, np.nan))
    rows = np.flatnonzero(valid)
    flat = [np.ravel(a) for a in arrays]
    out = y.reshape(-1)
    with np.errstate(all="ignore"):
        for k in range(0, rows.size, CHUNK):
            at = rows[k : k + CHUNK]
            out[at] = function(*(a[at] for a in flat))
    return out.reshape(valid.shape)


def gammainc_derivative(a: Any, x: Any, m: int) -> Any:
    """Derivative m >= 1 by `a` of the regularised lower incomplete gamma function, in float64."""
    a, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    zero = (a > 0) & ((x == 0) | (x == np.inf))
    valid = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    return _in_chunks(lambda a, x: _gamma_chunk(a, x, m), valid, zero, a, x)


def betainc_derivative(a: Any, b: Any, x: Any, i: int, j: int) -> Any:
    """Derivative (i, j), not (0, 0), by `a` and `b` of the regularised incomplete beta function, in float64."""
    a, b, x = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (a, b, x)))
    inside = (a > 0) & (b > 0) & np.isfinite(a) & np.isfinite(b)
    zero = inside & ((x == 0) | (x == 1))
    valid = inside & (x > 0) & (x < 1)
    return _in_chunks(lambda a, b, x: _beta_chunk(a, b, x, i, j), valid, zero, a, b, x)
