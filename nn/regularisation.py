"""Keeping weights and gradients small: penalties for losses, norm constraints and gradient clipping for optimisers.

Penalties and constraints apply to weights, not to biases, nor to the scales and shifts of normalisation (parameters
that a layer declares with ``decay=False``). In trees that are no layers they apply to every array.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from autodiff import tree
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, is_inexact, shape_of
from nn.inspection import named_leaves

__all__ = ["ClipByGlobalNorm", "ClipByNorm", "ClipByValue", "MaxNorm", "l1_penalty", "l2_penalty"]


def _weights(name: str, model: Any) -> list[Any]:
    found = [leaf.value for leaf in named_leaves(model) if leaf.role == "parameter" and leaf.decay]
    found = [value for value in found if is_inexact(value)]
    if not found:
        raise ValueError(f"{name}: the model has no weights.")
    return found


def l1_penalty(model: Any, strength: float) -> Any:
    """Return ``strength`` times the sum of the absolute values of a model's weights, to be added to a loss.

    Examples
    --------
    >>> l1_penalty({"w": np.array([1.0, -2.0])}, 0.1)
    np.float64(0.30000000000000004)
    """
    return strength * sum(np.sum(np.abs(w)) for w in _weights("l1_penalty", model))


def l2_penalty(model: Any, strength: float) -> Any:
    """Return ``strength`` times the sum of the squares of a model's weights, to be added to a loss.

    As in Keras; the texts that write (strength / 2) * |w|^2 mean half of it. Its gradient is 2 * strength * w, so
    `weight_decay=2 * strength` of an optimiser does the same, and faster.

    Examples
    --------
    >>> l2_penalty({"w": np.array([1.0, -2.0])}, 0.1)
    np.float64(0.5)
    """
    return strength * sum(np.sum(np.square(w)) for w in _weights("l2_penalty", model))


# -- constraints ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class MaxNorm:
    """Scale the incoming weights of every unit down to a norm of at most `limit`, after each step.

    Parameters
    ----------
    limit : float
        The norm.
    axis : int or tuple of int, optional
        Axes of the weights of one unit. By default those of the layers here: the first of a matrix (in, out), all but
        the first of filters (out, in, height, width), and the only one of a vector.

    Examples
    --------
    >>> MaxNorm(1.0)(np.array([[3.0, 0.3], [4.0, 0.4]]))
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    limit: float
    axis: int | tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        _positive("MaxNorm", "limit", self.limit)

    def __call__(self, weight: Any) -> Any:
        """Return the weights, scaled where they are too large."""
        rank = len(shape_of(weight))
        if rank == 0:
            return np.clip(weight, -self.limit, self.limit)
        axis: Any = (0 if rank <= 2 else tuple(range(1, rank))) if self.axis is None else self.axis
        norm = np.sqrt(np.sum(np.square(weight), axis=axis, keepdims=True))
        return weight * np.minimum(1, self.limit / np.maximum(norm, self.limit))


# -- clipping ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ClipByValue:
    """Limit every entry of the gradients to [-limit, limit].

    Examples
    --------
    >>> ClipByValue(1.0)({"w": np.array([0.5, -3.0])})
    {'w': array([ 0.5, -1. ])}
    """

    limit: float

    def __post_init__(self) -> None:
        _positive("ClipByValue", "limit", self.limit)

    def __call__(self, gradients: Any) -> Any:
        """Return a tree of limited gradients."""
        return _map(lambda g: np.clip(g, -self.limit, self.limit), gradients)


@dataclasses.dataclass(frozen=True)
class ClipByNorm:
    """Scale the gradient of each parameter down to a Euclidean norm of at most `limit`.

    Examples
    --------
    >>> ClipByNorm(1.0)({"w": np.array([3.0, 4.0]), "b": np.array([0.5])})
    {'w': array([0.6, 0.8]), 'b': array([0.5])}
    """

    limit: float

    def __post_init__(self) -> None:
        _positive("ClipByNorm", "limit", self.limit)

    def __call__(self, gradients: Any) -> Any:
        """Return a tree of scaled gradients."""
        return _map(lambda g: _scaled(g, self.limit, norm(g)), gradients)


@dataclasses.dataclass(frozen=True)
class ClipByGlobalNorm:
    """Scale all gradients by one factor, so that the Euclidean norm of all together is at most `limit`.

    Notes
    -----
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013).

    Examples
    --------
    >>> ClipByGlobalNorm(1.0)({"w": np.array([3.0]), "b": np.array([4.0])})
    {'w': array([0.6]), 'b': array([0.8])}
    """

    limit: float

    def __post_init__(self) -> None:
        _positive("ClipByGlobalNorm", "limit", self.limit)

    def __call__(self, gradients: Any) -> Any:
        """Return a tree of scaled gradients."""
        total = math.hypot(*[norm(g) for g in tree.leaves(gradients) if is_inexact(g)])
        return _map(lambda g: _scaled(g, self.limit, total), gradients)


def _map(change: Any, gradients: Any) -> Any:
    return tree.map(lambda g: change(g) if is_inexact(g) else g, gradients)


def _scaled(g: Any, limit: float, size: float) -> Any:
    return g if size <= limit else g * (limit / size)


def norm(g: Any) -> float:
    """Return the Euclidean norm of an array; squares that overflow are no reason for an infinite one.

    Examples
    --------
    >>> round(norm(np.array([3e30, 4e30], np.float32)) / 1e30, 6)
    5.0
    """
    if dtype_of(g).kind != "f":
        raise TypeError(f"norm: real gradients are needed, not {describe(g)}.")
    flat = np.ravel(g)
    with np.errstate(over="ignore", under="ignore"):
        square = float(np.dot(flat, flat))
    if 1e-30 < square < math.inf or not flat.size:
        return math.sqrt(square)
    largest = float(np.max(np.abs(flat)))
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = flat.astype(np.float64) / largest
    return largest * math.sqrt(float(np.dot(scaled, scaled)))


def _positive(name: str, what: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name}: {what} must be positive, not {value!r}.")
