"""Activation functions by name, for layers that take ``activation="relu"``: those of `autodiff.ops`, and tanh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff import ops

__all__ = ["NAMES", "resolve"]

NAMES = (
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_softmax",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "swish",
    "tanh",
)
"""The names that layers know."""

Activation = Callable[[Any], Any]


def _linear(x: Any) -> Any:
    return x


def resolve(layer: str, activation: str | Activation | None) -> Activation:
    """Return the function of a name, or the function itself; None is the identity.

    Raises
    ------
    ValueError
        If there is no activation of this name; the message, which begins with `layer`, lists those that there are.
    TypeError
        If it is neither a name nor a function.

    Examples
    --------
    >>> resolve("Dense", "tanh")(0.0)
    np.float64(0.0)
    """
    if activation is None or activation == "linear":
        return _linear
    if isinstance(activation, str):
        if activation not in NAMES:
            raise ValueError(f"{layer}: no activation is called {activation!r}; there are {', '.join(NAMES)}.")
        found: Activation = np.tanh if activation == "tanh" else getattr(ops, activation)
        return found
    if isinstance(activation, type) or not callable(activation):
        raise TypeError(f"{layer}: an activation is a name or a function of one array, not {activation!r}.")
    return activation
