"""Polynomials by their coefficients, the highest power first: NumPy's older functions (``np.polyfit`` and its kin)."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer, explicit, implements
from autodiff.core.backend import array_of, made
from autodiff.core.batching import all_values, each, mapped
from autodiff.core.errors import BatchingError, describe, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.joining import as_array, concatenate, stack
from autodiff.ops.selection import _known

__all__ = ["poly", "polyadd", "polyder", "polydiv", "polyfit", "polyint", "polymul", "polysub", "roots"]


def _coefficients(name: str, p: Any) -> Any:
    p = as_array(p.coeffs if isinstance(p, np.poly1d) else p)
    p = np.atleast_1d(array_of(p))
    if len(shape_of(p)) != 1:
        raise ValueError(f"np.{name}: the coefficients must have one axis, but are {describe(p)}.")
    return p


def _count(name: str, m: Any) -> int:
    m = operator.index(m)
    if m < 0:
        raise ValueError(f"np.{name}: m, how often, must not be negative, but is {m}.")
    return int(m)


# -- arithmetic ----------------------------------------------------------------------------------------------


def _aligned(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    """Fill up the shorter one with leading zeros."""
    a, b = _coefficients(name, a), _coefficients(name, b)
    n = max(len(a), len(b))
    return tuple(p if len(p) == n else np.pad(p, (n - len(p), 0)) for p in (a, b))  # type: ignore[return-value]


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    """Sum of two polynomials."""
    a, b = _aligned("polyadd", a1, a2)
    return a + b


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    """Difference of two polynomials."""
    a, b = _aligned("polysub", a1, a2)
    return a - b


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """Product of two polynomials."""
    return np.convolve(_coefficients("polymul", a1), _coefficients("polymul", a2))


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> Any:
    """Quotient and remainder of a division; where the remainder begins is a constant."""
    u, v = (_coefficients("polydiv", p) + 0.0 for p in (u, v))
    dtype = np.result_type(dtype_of(u), dtype_of(v))
    m, n = len(u) - 1, len(v) - 1
    quotient, rest, scale = [], u.astype(dtype), 1.0 / v[0]
    for k in range(m - n + 1):
        quotient.append(scale * rest[k])
        rest = concatenate([rest[:k], rest[k : k + n + 1] - quotient[-1] * v, rest[k + n + 1 :]])
    if mapped(rest):
        firsts = [_first_of(known) for known in np.reshape(all_values(rest), (-1, m + 1))]
        first = _same_in_all("np.polydiv", "lengths of the remainder", firsts)
    else:
        first = _first_of(_known("np.polydiv", rest))
    return (stack(quotient).astype(dtype) if quotient else np.zeros(1, dtype)), rest[first:]


def _first_of(rest: Any) -> int:
    """Where the remainder of a division begins."""
    return next((k for k in range(len(rest) - 1) if not np.allclose(rest[k], 0, rtol=1e-14)), len(rest) - 1)


def _same_in_all(name: str, what: str, found: list[int]) -> int:
    """Return a number that the examples of a map have in common."""
    if len(set(found)) > 1:
        raise BatchingError(
            f"{name}: the {what} differ between the examples of a vmap, so that their results have no common shape"
            f"{user_line()}. Call it in a Python loop over the examples."
        )
    return found[0]


# -- derivative and integral ---------------------------------------------------------------------------------


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    """Derivative of a polynomial, `m` times."""
    p = _coefficients("polyder", p)
    for _ in range(_count("polyder", m)):
        p = p[:-1] * made(np.arange, p, len(p) - 1, 0, -1)
    return p


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Integral of a polynomial, `m` times; the constants of integration may be traced."""
    p, m = _coefficients("polyint", p), _count("polyint", m)
    k = made(np.zeros, p, m) if k is None else _coefficients("polyint", k)
    if len(k) == 1 and m > 1:
        k = np.repeat(k, m)
    if len(k) < m:
        raise ValueError(f"np.polyint: k must be one constant of integration or {m}, not {describe(k)}.")
    for i in range(m):
        p = concatenate([p / made(np.arange, p, len(p), 0, -1), k[i : i + 1]])
    return p


# -- roots ---------------------------------------------------------------------------------------------------


def _root_rule(t: Any, y: Any, p: Any, count: int) -> Any:
    """``p(root) = 0`` stays true, so a root moves by ``-t(root) / p'(root)``: also from and to 0."""
    return -np.polyval(t, y) / np.polyval(polyder(p), y)


def _root_values(p: Any, count: int) -> Any:
    found = np.roots(p)
    return found.astype(np.result_type(dtype_of(p), np.complex64))


_roots: Operation = explicit(
    _root_values,
    _root_rule,
    name="roots",
    samples=lambda rng: [
        Sample((np.array([1.0, -6.0, 11.0, -6.2]),), {"count": 3}),
        Sample((np.array([2.0, 1.0, 3.0]),), {"count": 2}),
        Sample((np.array([1.0, -0.5, 0.0]),), {"count": 2}),
        Sample((np.array([3.0]),), {"count": 0}),
    ],
    shape=lambda p, count: Spec((count,), np.result_type(p.dtype, np.complex64)),
    batch=each,
)


@implements(np.roots)
def roots(p: Any) -> Any:
    """Roots of a polynomial; multiple ones have no derivative (NaN, infinite or huge)."""
    p = _coefficients("roots", p)
    known = all_values(p) if mapped(p) else _known("np.roots", p)
    plain = [np.roots(row) for row in np.reshape(known, (-1, len(p)))]
    count = _same_in_all("np.roots", "numbers of roots", [len(row) for row in plain])
    if not count:
        return plain[0]
    y = _roots(p, count=count)
    return y if any(row.dtype.kind == "c" for row in plain) else np.real(y)


def _characteristic_rule(t: Any, y: Any, a: Any) -> Any:
    """Differential of ``det(s - a)``, by its adjugate (Faddeev and LeVerrier): no eigenvalue is told from another."""
    n = shape_of(a)[0]
    unit = made(np.eye, a, n, dtype=dtype_of(a))
    adjugate, parts = unit, [made(np.zeros, a, (), dtype_of(a))]
    for j in range(1, n + 1):
        parts.append(-np.sum(np.transpose(adjugate) * t))
        adjugate = a @ adjugate + y[j] * unit if j < n else adjugate
    return stack(parts)


def _characteristic_value(a: Any) -> Any:
    found = np.poly(a)
    return (found if a.dtype.kind == "c" else np.real(found)).astype(dtype_of(a))


_characteristic: Operation = explicit(
    _characteristic_value,
    _characteristic_rule,
    name="characteristic_polynomial",
    samples=lambda rng: [
        Sample((rng.normal(size=(3, 3)),)),
        Sample((np.array([[0.5]]),)),
    ],
    shape=lambda a: Spec((a.shape[0] + 1,), a.dtype),
    batch=each,
)


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """Coefficients of the polynomial with given roots, or of the characteristic polynomial of a matrix."""
    r = np.atleast_1d(as_array(seq_of_zeros))
    shape = shape_of(r)
    if len(shape) == 2 and shape[0] == shape[1] and shape[0]:
        y = _characteristic(r)
        return np.real(y) if dtype_of(r).kind == "c" and _all_real(r) else y
    if len(shape) != 1:
        raise ValueError(f"np.poly: the roots must have one axis, or be a square matrix, but are {describe(r)}.")
    if not shape[0]:
        return 1.0
    a = np.ones(1, dtype_of(r))
    for i in range(shape[0]):
        a = np.convolve(a, stack([np.ones((), dtype_of(r)), -r[i]]))
    if dtype_of(r).kind == "c":  # as in NumPy: pairs of conjugates make a real polynomial
        return np.real(a) if _all_real(r) else a
    return a


def _all_real(r: Any) -> bool:
    """Whether the polynomials of all examples are real, as NumPy finds it."""
    known = all_values(r) if mapped(r) else _known("np.poly", r)
    ndim = len(shape_of(r))
    return all(np.poly(one).dtype.kind == "f" for one in np.reshape(known, (-1, *np.shape(known)[-ndim:])))


# -- fit -----------------------------------------------------------------------------------------------------


def _check_fit(x: Any, y: Any, w: Any, deg: int) -> None:
    if deg < 0:
        raise ValueError(f"np.polyfit: deg must not be negative, but is {deg}.")
    if len(shape_of(x)) != 1 or not shape_of(x)[0]:
        raise TypeError(f"np.polyfit: x must be a vector that is not empty, not {describe(x)}.")
    if len(shape_of(y)) not in (1, 2) or shape_of(y)[0] != shape_of(x)[0]:
        raise TypeError(f"np.polyfit: y must have one row for each entry of x {describe(x)}, but is {describe(y)}.")
    if w is not None and shape_of(w) != shape_of(x):
        raise TypeError(f"np.polyfit: w must be a weight for each entry of x {describe(x)}, but is {describe(w)}.")


def _inexact(v: Any) -> Any:
    v = as_array(v)
    return v if isinstance(v, Tracer) else array_of(v) + 0.0


@implements(np.polyfit)
def polyfit(x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    """Least-squares fit of a polynomial; points, values and weights may be traced."""
    x, y, w = (v if v is None else _inexact(v) for v in (x, y, w))
    deg = operator.index(deg)
    _check_fit(x, y, w, deg)
    n, order = shape_of(x)[0], deg + 1
    if rcond is None:
        rcond = n * float(np.finfo(dtype_of(x)).eps)
    lhs, rhs = np.vander(x, order), y
    if w is not None:
        lhs = lhs * w[:, None]
        rhs = rhs * (w[:, None] if len(shape_of(rhs)) == 2 else w)
    scale = np.sqrt(np.sum(lhs * lhs, axis=0))
    lhs = lhs / scale
    c, residuals, rank, s = np.linalg.lstsq(lhs, rhs, rcond)
    c = c / (scale if len(shape_of(y)) == 1 else scale[:, None])
    if full:
        return c, residuals, rank, s, rcond
    if isinstance(rank, (int, np.integer)) and rank != order:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=3)
    if not cov:
        return c
    base = np.linalg.inv(lhs.T @ lhs) / np.outer(scale, scale)
    if cov != "unscaled":
        if n <= order:
            raise ValueError(f"np.polyfit: cov needs more points than coefficients, but there are {n} and {order}.")
        spread = residuals / (n - order)
    else:
        spread = 1.0
    return c, (base if len(shape_of(y)) == 1 else base[:, :, None]) * spread
