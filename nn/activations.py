"""Activation functions by name, for layers that take ``activation="relu"``: those of `autodiff.ops`, and tanh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff.ops import (
    elu,
    gelu,
    hard_sigmoid,
    hard_tanh,
    leaky_relu,
    log_softmax,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
)

__all__ = [
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_softmax",
    "relu",
    "relu6",
    "resolve",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]

tanh = np.tanh

Activation = Callable[[Any], Any]


def linear(x: Any) -> Any:
    """Return the input.

    Examples
    --------
    >>> linear(2.0)
    2.0
    """
    return x


_NAMES: dict[str, Activation] = {
    "elu": elu,
    "gelu": gelu,
    "hard_sigmoid": hard_sigmoid,
    "hard_tanh": hard_tanh,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "log_softmax": log_softmax,
    "relu": relu,
    "relu6": relu6,
    "selu": selu,
    "sigmoid": sigmoid,
    "silu": silu,
    "softmax": softmax,
    "softplus": softplus,
    "swish": silu,
    "tanh": tanh,
}


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
    >>> resolve("Dense", "relu") is relu
    True
    """
    if activation is None:
        return linear
    if isinstance(activation, str):
        if activation not in _NAMES:
            raise ValueError(f"{layer}: no activation is called {activation!r}; there are {', '.join(_NAMES)}.")
        return _NAMES[activation]
    if isinstance(activation, type) or not callable(activation):
        raise TypeError(f"{layer}: an activation is a name or a function of one array, not {activation!r}.")
    return activation
