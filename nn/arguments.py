"""Checks of arguments that many functions share; each message names the function and the argument."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

__all__ = ["generator", "whole"]


def whole(name: str, argument: str, value: Any, least: int = 1) -> int:
    """Return a whole number that is at least so much.

    Raises
    ------
    TypeError, ValueError
        If it is no whole number, or too small.

    Examples
    --------
    >>> whole("cosine", "steps", np.int64(10))
    10
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: {argument} must be a whole number, not {value!r}.") from None
    if number < least:
        raise ValueError(f"{name}: {argument} must be at least {least}, not {number}.")
    return number


def generator(name: str, rng: Any) -> np.random.Generator:
    """Return a generator as it is, and a new one for a seed.

    Raises
    ------
    TypeError
        If it is neither.

    Examples
    --------
    >>> generator("k_fold", 0).integers(10) == generator("k_fold", np.random.default_rng(0)).integers(10)
    np.True_
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        return np.random.default_rng(rng)
    raise TypeError(f"{name}: rng must be a numpy.random.Generator or a seed, not {type(rng).__name__}.")
