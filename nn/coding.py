"""What autoencoders need beside layers: codes that are sparse, and inputs that are damaged."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import stop_gradient
from autodiff.core.backend import made

__all__ = ["corrupt", "keep_largest", "sparsity_penalty"]


def keep_largest(x: Any, k: int) -> Any:
    """Keep the k largest entries along the last axis and put 0 in place of the others: a k-sparse code.

    Which entries are kept does not depend on `x` for the derivative: that of the kept ones is 1, of the others 0. Of
    equal entries at the limit all are kept.

    Parameters
    ----------
    x : ndarray of floats, (..., n)
        Activations.
    k : int
        How many to keep, from 1 to n.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    ValueError
        If `k` is not from 1 to n.

    Notes
    -----
    Makhzani and Frey, "k-sparse autoencoders" (2014).

    Examples
    --------
    >>> keep_largest(np.array([[0.1, 0.9, 0.5], [3.0, 1.0, 2.0]]), 2)
    array([[0. , 0.9, 0.5],
           [3. , 0. , 2. ]])
    """
    n = x.shape[-1] if np.ndim(x) else 0
    if not 1 <= k <= n:
        raise ValueError(
            f"keep_largest: k must be from 1 to {n}, the length of the last axis of {np.shape(x)}, got {k}"
        )
    fixed = stop_gradient(x)
    limit = np.sort(fixed, axis=-1)[..., n - k, None]
    return np.where(fixed >= limit, x, 0)


def sparsity_penalty(code: Any, target: float = 0.05) -> Any:
    """Return how far the mean activation of each unit is from a small target: Kullback-Leibler divergences, summed.

    The sum over units j of ρ log(ρ / m_j) + (1 - ρ) log((1 - ρ) / (1 - m_j)), where m_j is the mean of unit j over the
    batch. It is 0 where every mean is ρ.

    Parameters
    ----------
    code : ndarray of floats, (batch, units)
        Activations between 0 and 1, as a logistic sigmoid gives them.
    target : float
        The mean ρ that is wanted, between 0 and 1.

    Returns
    -------
    scalar
        The penalty; scale it and add it to the loss.

    Raises
    ------
    ValueError
        If `target` is not between 0 and 1, or `code` has not two axes.

    Notes
    -----
    Ng, "Sparse autoencoder", lecture notes CS294A (2011). A target of exactly 0 would make the divergence infinite.

    Examples
    --------
    >>> float(sparsity_penalty(np.full((4, 3), 0.05)))
    0.0
    >>> round(float(sparsity_penalty(np.full((4, 3), 0.5))), 4)
    1.4839
    """
    if not 0 < target < 1:
        raise ValueError(f"sparsity_penalty: target must be between 0 and 1, got {target}")
    if np.ndim(code) != 2:
        raise ValueError(f"sparsity_penalty: code must have shape (batch, units), got {np.shape(code)}")
    mean = np.mean(code, axis=0)
    return np.sum(target * np.log(target / mean) + (1 - target) * np.log((1 - target) / (1 - mean)))


def corrupt(x: Any, rng: np.random.Generator, rate: float = 0.5) -> Any:
    """Put 0 in place of entries, each with the same probability: the input of a denoising autoencoder.

    Unlike dropout it does not scale up what is left.

    Parameters
    ----------
    x : ndarray
        Examples.
    rng : numpy.random.Generator
        Where the choice comes from.
    rate : float
        The probability of losing an entry, from 0 to 1.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    ValueError
        If `rate` is not from 0 to 1.

    Notes
    -----
    Vincent et al., "Extracting and composing robust features with denoising autoencoders" (2008).

    Examples
    --------
    >>> corrupt(np.ones(6), np.random.default_rng(0), 0.5)
    array([1., 0., 0., 0., 1., 1.])
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"corrupt: rate must be from 0 to 1, got {rate}")
    return x * made(np.asarray, x, rng.random(np.shape(x)) >= rate)
