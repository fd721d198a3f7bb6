"""Covariances, and histograms: counts are constants, but weights and the edges of the bins have derivatives."""

from __future__ import annotations

import builtins
import math
import warnings
from typing import Any

import numpy as np

from autodiff.core import Tracer, concrete, constant, implements
from autodiff.core.batching import mapped
from autodiff.core.errors import BatchingError, describe, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.indexing import scatter_add
from autodiff.ops.joining import as_array, concatenate
from autodiff.ops.matrix import diag
from autodiff.ops.selection import _known, summed_at

__all__ = ["corrcoef", "cov", "histogram", "histogram2d", "histogramdd"]

# -- covariance ----------------------------------------------------------------------------------------------


def _table(name: str, x: Any) -> Any:
    x = as_array(x)
    x = x if isinstance(x, Tracer) else np.asarray(x)
    if len(shape_of(x)) > 2:
        raise ValueError(f"np.{name}: the observations must have at most 2 axes, but are {describe(x)}.")
    return x


def _weights(name: str, n: int, w: Any) -> Any:
    """Weights of the observations, as floats."""
    if w is None:
        return None
    w = as_array(w)
    w = w.astype(np.float64) if isinstance(w, Tracer) else np.asarray(w, np.float64)
    if shape_of(w) != (n,):
        raise RuntimeError(f"np.cov: {name} must be of shape ({n},), one for each observation, not {describe(w)}.")
    known = concrete(w)
    if not isinstance(known, Tracer):
        if np.any(known < 0):
            raise ValueError(f"np.cov: {name} cannot be negative.")
        if name == "fweights" and np.any(known != np.round(known)):
            raise TypeError("np.cov: fweights must be integers.")
    return w


def _degrees(w: Any, aweights: Any, n: int, ddof: int) -> Any:
    """What the sum of squares is divided by."""
    if w is None:
        left: Any = n - ddof
    elif ddof == 0:
        left = np.sum(w)
    elif aweights is None:
        left = np.sum(w) - ddof
    else:
        left = np.sum(w) - ddof * np.sum(w * aweights) / np.sum(w)
    known = concrete(left)
    if not isinstance(known, Tracer) and known <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=4)
        return 0.0
    return left


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """Covariance matrix of variables (rows); the weights may be traced as well."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError(f"np.cov: ddof must be an integer, not {ddof!r}.")
    m = _table("cov", m)
    y = None if y is None else _table("cov", y)
    if dtype is None:
        dtype = np.result_type(dtype_of(m), np.float64, *(() if y is None else (dtype_of(y),)))
    x = np.atleast_2d(m).astype(dtype)
    x = x if rowvar or len(shape_of(m)) == 1 else x.T
    if not shape_of(x)[0]:
        return np.zeros((0, 0))
    if y is not None:
        y = np.atleast_2d(y).astype(dtype)
        x = concatenate([x, y if rowvar or shape_of(y)[0] == 1 else y.T], axis=0)
    n = shape_of(x)[1]
    w, aweights = _weights("fweights", n, fweights), _weights("aweights", n, aweights)
    if aweights is not None:
        w = aweights if w is None else w * aweights
    left = _degrees(w, aweights, n, (0 if bias else 1) if ddof is None else int(ddof))
    x = x - np.average(x, axis=1, weights=w)[:, None]
    c = x @ np.conjugate(x if w is None else x * w).T
    scale = np.true_divide(1, left)
    return np.squeeze(c * (float(scale) if w is None else scale))  # a Python number keeps the dtype


_excess = constant(lambda x: np.clip(x, -1, 1) - x, name="excess")


def _within(x: Any) -> Any:
    """Take off what rounding put beyond ±1; no kink there, so that the derivatives stay those of the quotient."""
    return x + _excess(x)


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """Correlation coefficients; of a constant variable NaN, as in NumPy."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not shape_of(c):
        return c / c
    deviations = np.sqrt(np.real(diag(c)))
    c = c / deviations[:, None] / deviations[None, :]
    return _within(np.real(c)) + 1j * _within(np.imag(c)) if dtype_of(c).kind == "c" else _within(c)


# -- histograms ----------------------------------------------------------------------------------------------


def _edges(name: str, a: Any, bins: Any, limits: Any, plain: Any) -> Any:
    """Edges of the bins along one axis: with derivatives where they come from traced values."""
    if np.ndim(concrete(bins)) == 1:  # given by the caller
        return as_array(bins) if isinstance(as_array(bins), Tracer) else plain
    if not isinstance(a, Tracer) or limits is not None:
        ends = plain[0], plain[-1]
        if limits is not None and ends == tuple(_known(name, v) for v in limits):
            ends = tuple(limits)
    else:
        ends = (np.min(a), np.max(a)) if shape_of(a) != (0,) and a.size else (plain[0], plain[-1])
        if concrete(ends[0]) == concrete(ends[1]):
            ends = ends[0] - 0.5, ends[1] + 0.5
    if not builtins.any(isinstance(v, Tracer) for v in ends):
        return plain
    return np.linspace(*ends, len(plain)).astype(plain.dtype)


def _bin_of(a: Any, edges: Any) -> Any:
    """Number of the bin of each value, -1 for those outside; the last bin includes its end."""
    at = np.searchsorted(edges, a, side="right") - 1
    at = np.where(a == edges[-1], len(edges) - 2, at)
    return np.where((a >= edges[0]) & (a <= edges[-1]), at, -1)


def _sums(weights: Any, at: Any, length: int) -> Any:
    """Sums of the weights in each bin."""
    inside = np.flatnonzero(at >= 0)
    weights = np.ravel(weights)[inside]
    wide = np.promote_types(dtype_of(weights), np.float64)
    total = scatter_add(weights.astype(wide), index=at[inside].astype(np.intp), shape=(length,))
    return total.astype(dtype_of(weights))


@implements(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:  # noqa: A002
    """Count values in bins, or sum their weights; the counts are constant in the values and in the edges."""
    a, weights = as_array(a), None if weights is None else as_array(weights)
    if _any_mapped(a, bins, range, weights):
        n, (edges,) = _of_each("np.histogram", [np.ravel(a)], [bins], [range], weights)
        return (n / _widths(edges) / np.sum(n) if density else n), edges
    values, sizes, limits, loads = (_plain("np.histogram", v) for v in (a, bins, range, weights))
    n, edges = np.histogram(values, sizes, limits, weights=loads)
    if isinstance(weights, Tracer):
        n = _sums(weights, _bin_of(np.ravel(values), edges), len(n))
    edges = _edges("np.histogram", a, bins, range, edges)
    return (n / _widths(edges) / np.sum(n) if density else n), edges


def _widths(edges: Any) -> Any:
    """Widths of the bins, in double precision as NumPy's."""
    return np.diff(edges).astype(np.float64)


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:  # noqa: A002
    """Edges of the bins of a histogram; their number is a constant, their ends follow the values."""
    a = as_array(a)
    if _any_mapped(a, bins, range):
        return _edges_of_each("np.histogram_bin_edges", np.ravel(a), bins, range)
    known = [_plain("np.histogram_bin_edges", v) for v in (a, bins, range, weights)]
    return _edges("np.histogram_bin_edges", a, bins, range, np.histogram_bin_edges(*known))


# -- the examples of a map: bins of a fixed number, found by NumPy functions ---------------------------------


def _any_mapped(*args: Any) -> bool:
    """Whether an argument, or an entry of one that is a sequence, differs between examples."""
    return builtins.any(_any_mapped(*x) if isinstance(x, (list, tuple)) else mapped(x) for x in args)


def _edges_of_each(name: str, a: Any, bins: Any, limits: Any) -> Any:
    """Edges along one axis, for each example its own where they come from values or limits."""
    if isinstance(bins, str):
        raise BatchingError(
            f"{name}: the number of bins that bins={bins!r} finds differs between the examples of a vmap{user_line()}. "
            "Give a number of bins, or their edges."
        )
    bins = as_array(bins)
    if not _any_mapped(bins, limits):
        np.histogram_bin_edges(np.zeros(0), _plain(name, bins), _plain(name, limits))  # NumPy's own errors
    if len(shape_of(bins)) == 1:
        return bins
    low, high = (np.min(a), np.max(a)) if limits is None else limits
    alone = np.equal(low, high)
    low, high = np.where(alone, low - 0.5, low), np.where(alone, high + 0.5, high)
    dtype = np.result_type(dtype_of(low), dtype_of(high), dtype_of(a))
    return np.linspace(low, high, int(bins) + 1).astype(dtype if dtype.kind == "f" else np.float64)


def _of_each(name: str, columns: list[Any], bins: Any, limits: Any, weights: Any) -> tuple[Any, tuple[Any, ...]]:
    """Counts, or sums of the weights, and edges of a histogram of points with these coordinates."""
    edges = tuple(_edges_of_each(name, *found) for found in zip(columns, bins, limits, strict=True))
    sizes = [shape_of(e)[0] - 1 for e in edges]
    at: Any = 0
    outside: Any = False
    for x, e, size in zip(columns, edges, sizes, strict=True):
        part = _bin_of(x, e)
        at, outside = at * size + part, np.logical_or(outside, part < 0)
    total = math.prod(sizes)
    at = np.where(outside, total, at)  # one bin more, for what is in none
    if weights is None:
        return np.reshape(np.bincount(at, minlength=total + 1)[:-1], sizes), edges
    wide = np.promote_types(dtype_of(weights), np.float64)
    sums = summed_at(np.ravel(weights).astype(wide), at, total + 1)[:-1]
    return np.reshape(sums, sizes).astype(dtype_of(weights)), edges


def _plain(name: str, x: Any) -> Any:
    """Return plain values, also of the entries of a sequence."""
    if isinstance(x, (list, tuple)):
        return type(x)(_plain(name, v) for v in x)
    return _known(name, x) if isinstance(x, Tracer) else x


@implements(np.histogramdd)
def histogramdd(
    sample: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - NumPy's name
    density: Any = None,
    weights: Any = None,
) -> Any:
    """Histogram of points; as `histogram`, for several coordinates."""
    name = "np.histogramdd"
    weights = None if weights is None else as_array(weights)
    if not isinstance(sample, (list, tuple)):  # points as rows
        sample = list(np.transpose(np.atleast_2d(sample))) if len(shape_of(sample)) > 1 else [sample]
    several = isinstance(bins, (list, tuple)) or np.ndim(concrete(bins)) > 0
    each = bins if several else [bins] * len(sample)
    limits = [None] * len(sample) if range is None else range
    if _any_mapped(sample, bins, range, weights):
        loads = None if weights is None else weights.astype(np.float64)
        n, edges = _of_each(name, sample, each, limits, loads)
        n = n.astype(np.float64)
    else:
        columns = [np.asarray(_known(name, x)) for x in sample]
        n, plain = np.histogramdd(columns, _plain(name, bins), _plain(name, range), weights=_plain(name, weights))
        if isinstance(weights, Tracer):
            parts = [_bin_of(x, e) for x, e in zip(columns, plain, strict=True)]
            at = np.ravel_multi_index([np.maximum(p, 0) for p in parts], n.shape)
            at = np.where(np.min(parts, axis=0) < 0, -1, at)
            n = np.reshape(_sums(weights.astype(np.float64), at, n.size), n.shape)
        edges = tuple(_edges(name, *found) for found in zip(sample, each, limits, plain, strict=True))
    if density:
        total = np.sum(n)
        for i, e in enumerate(edges):
            n = n / np.reshape(np.diff(e), (-1,) + (1,) * (len(edges) - i - 1))
        n = n / total
    return n, edges


@implements(np.histogram2d)
def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - NumPy's name
    density: Any = None,
    weights: Any = None,
) -> Any:
    """Histogram of points in the plane."""
    if shape_of(x) != shape_of(y):
        raise ValueError(f"np.histogram2d: x and y differ in length: {describe(x)} and {describe(y)}.")
    several = isinstance(bins, (list, tuple)) or np.ndim(concrete(bins)) > 0
    if several and len(bins) not in (1, 2):  # the same edges for both
        bins = [bins, bins]
    n, edges = histogramdd([x, y], bins, range, density, weights)
    return n, edges[0], edges[1]
