"""Families of several variables: normal, Dirichlet, multinomial."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sc
import scipy.stats

from autodiff.core import concrete
from autodiff.core.errors import MissingRuleError, describe
from autodiff.core.spec import shape_of
from autodiff.ops.linalg.triangular import solve_triangular
from autodiff.scipy.special._common import fixed, is_traced

__all__ = ["dirichlet", "multinomial", "multivariate_normal"]


class _Multivariate:
    """What SciPy has and these classes have not (`rvs`, `mean` ...) is SciPy's own, for plain arrays."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(getattr(scipy.stats, type(self).__name__.lstrip("_")), name)

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse: frozen distributions are not there."""
        name = type(self).__name__.lstrip("_")
        raise TypeError(f"{name}: frozen distributions are not differentiable; pass the parameters to the method.")


def _array(x: Any) -> Any:
    return x if hasattr(x, "dtype") else np.asarray(x, float)


class _multivariate_normal(_Multivariate):  # noqa: N801 - SciPy's name
    """The normal distribution of several variables."""

    def logpdf(self, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
        """Return the logarithm of the density at `x`, whose last axis counts the variables.

        `cov` is a matrix, symmetric and positive definite, a vector (its diagonal) or a number. `allow_singular` is
        refused for traced arguments.
        """
        if not is_traced(x, mean, cov):
            return scipy.stats.multivariate_normal.logpdf(x, mean, cov, allow_singular)
        if allow_singular:
            raise MissingRuleError(
                "multivariate_normal.logpdf: allow_singular=True has no derivative rule; add a small multiple of the "
                "identity to cov, or reduce x to the space in which cov is regular."
            )
        mean, cov = _array(0.0 if mean is None else mean), _array(cov)
        d = self._dimension(mean, cov)
        x = self._points(_array(x), d)
        mean = np.broadcast_to(mean, (d,))
        if len(shape_of(cov)) < 2:
            variance = np.broadcast_to(cov, (d,))
            return -0.5 * np.sum(np.square(x - mean) / variance + np.log(variance) + math.log(2 * math.pi), axis=-1)
        factor = np.linalg.cholesky(cov)
        flat = np.reshape(x - mean, (-1, d))
        z = solve_triangular(factor, np.transpose(flat), lower=True)
        size = np.reshape(np.sum(z * z, axis=0), shape_of(x)[:-1])
        return -0.5 * (size + d * math.log(2 * math.pi)) - np.sum(np.log(np.diagonal(factor)))

    def pdf(self, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
        """Return the density at `x`."""
        return np.exp(self.logpdf(x, mean, cov, allow_singular))

    @staticmethod
    def _dimension(mean: Any, cov: Any) -> int:
        d = max([1, *shape_of(mean), *shape_of(cov)])
        fits = shape_of(mean) in {(), (d,)} and shape_of(cov) in {(), (d,), (d, d)}
        if not fits:
            raise ValueError(
                f"multivariate_normal: mean {describe(mean)} and cov {describe(cov)} do not fit; for d variables mean "
                "is [d], and cov is [d,d], [d] (its diagonal) or a number."
            )
        return int(d)

    @staticmethod
    def _points(x: Any, d: int) -> Any:
        """Return `x` with the variables on its last axis, as SciPy reads numbers and vectors."""
        if len(shape_of(x)) == 0:
            x = np.reshape(x, (1,))
        elif len(shape_of(x)) == 1 and d == 1:
            x = np.reshape(x, (-1, 1))
        if shape_of(x)[-1] != d:
            raise ValueError(f"multivariate_normal: x {describe(x)} must have the {d} variables on its last axis.")
        return x


class _dirichlet(_Multivariate):  # noqa: N801 - SciPy's name
    """The Dirichlet distribution."""

    def logpdf(self, x: Any, alpha: Any) -> Any:
        """Return the logarithm of the density at `x`, whose first axis counts the parts.

        The parts sum to one; the last may be left out.
        """
        if not is_traced(x, alpha):
            return scipy.stats.dirichlet.logpdf(x, alpha)
        x, alpha = _array(x), _array(alpha)
        (k,) = shape_of(alpha) if len(shape_of(alpha)) == 1 else (0,)
        if k == 0 or not shape_of(x) or shape_of(x)[0] not in {k, k - 1}:
            raise ValueError(
                f"dirichlet.logpdf: x {describe(x)} must have one row for each of alpha {describe(alpha)}, or one less."
            )
        if shape_of(x)[0] == k - 1:
            x = np.concatenate([x, 1 - np.sum(x, axis=0, keepdims=True)])
        self._check(concrete(x), concrete(alpha))
        weights = np.reshape(alpha - 1, (k, *[1] * (len(shape_of(x)) - 1)))
        return np.sum(sc.xlogy(weights, x), axis=0) + sc.gammaln(np.sum(alpha)) - np.sum(sc.gammaln(alpha))

    def pdf(self, x: Any, alpha: Any) -> Any:
        """Return the density at `x`."""
        return np.exp(self.logpdf(x, alpha))

    @staticmethod
    def _check(x: Any, alpha: Any) -> None:
        if is_traced(x, alpha):
            return  # known by shape alone
        if np.min(alpha) <= 0:
            raise ValueError("dirichlet.logpdf: each entry of alpha must be greater than zero.")
        if np.min(x, initial=0) < 0 or np.any(np.abs(np.sum(x, axis=0) - 1) > 1e-9 + 4e3 * np.finfo(x.dtype).eps):
            raise ValueError("dirichlet.logpdf: the parts x must not be negative and must sum to one along axis 0.")


class _multinomial(_Multivariate):  # noqa: N801 - SciPy's name
    """The multinomial distribution; with n = 1 and one-hot rows, the categorical one."""

    def logpmf(self, x: Any, n: Any, p: Any) -> Any:
        """Return the logarithm of the probability of the counts `x`, constants, on the last axis."""
        if not is_traced(x, n, p):
            return scipy.stats.multinomial.logpmf(x, n, p)
        x, p, n = fixed(_array(x)), _array(p), fixed(_array(n))
        x = x.astype(float) if x.dtype.kind in "iub" else x
        last = 1 - np.sum(p[..., :-1], axis=-1, keepdims=True)
        off = np.abs(1 - np.sum(fixed(p), axis=-1, keepdims=True)) > 10 * np.finfo(p.dtype).eps
        p = np.concatenate([p[..., :-1], np.where(off, last, p[..., -1:])], axis=-1)
        y = sc.gammaln(n + 1.0) + np.sum(sc.xlogy(x, p) - sc.gammaln(x + 1), axis=-1)
        wrong = np.logical_or(
            np.any(x < 0, axis=-1), np.logical_or(np.any(x != np.floor(x), axis=-1), np.sum(x, -1) != n)
        )
        y = np.where(wrong, -np.inf, y)
        return np.where(np.any(np.logical_or(p < 0, p > 1), axis=-1), np.nan, y)

    def pmf(self, x: Any, n: Any, p: Any) -> Any:
        """Return the probability of the counts `x`."""
        return np.exp(self.logpmf(x, n, p))


multivariate_normal = _multivariate_normal()
dirichlet = _dirichlet()
multinomial = _multinomial()
