"""The functions of one or two numbers that chains are made of, for float32 and for float64.

Transcendental ones are those of CUDA's mathematical library, whose errors are at most 2 units in the last place (its
programming guide has a table). Signed zeros, infinities and NaN give what the functions of `kernels.cpu` give.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import float32, float64

from kernels.cuda.launch import SIMULATED, device

__all__ = ["NUMBERS", "functions"]

OF_LIBRARY = ("cos", "erf", "exp", "expm1", "log", "log1p", "sin", "sqrt", "tanh")
NUMBERS: dict[str, Any] = {"e": float32, "f": float32, "d": float64}
"""The type that a dtype is computed in, by its character."""


class _Library:
    """What the simulator has for CUDA's library: functions that return the type they are given, and never raise."""

    @staticmethod
    def erf(x: Any) -> Any:
        return type(x)(math.erf(x))

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


library: Any = _Library() if SIMULATED else math


@functools.cache
def functions(number: Any) -> dict[str, Any]:
    """Return the functions by name, with constants of one type: `float32` or `float64`."""
    zero, one = number(0), number(1)
    return {name: _of_library(name) for name in OF_LIBRARY} | _activations(zero, one) | _arithmetic(one)


def _of_library(name: str) -> Any:
    function = getattr(library, name)

    @device
    def call(x):
        return function(x)

    return call


def _activations(zero: Any, one: Any) -> dict[str, Any]:
    exp, log1p = library.exp, library.log1p

    @device
    def relu(x):
        return zero if x <= zero else x

    @device
    def sigmoid(x):
        small = exp(-abs(x))
        return (one if x >= zero else small) / (one + small)

    @device
    def softplus(x):
        return (zero if x <= zero else x) + log1p(exp(-abs(x)))

    @device
    def gate(x, y):
        return x if y > zero else zero

    return {"gate": gate, "relu": relu, "sigmoid": sigmoid, "softplus": softplus}


def _arithmetic(one: Any) -> dict[str, Any]:
    @device
    def absolute(x):
        return abs(x)

    @device
    def negative(x):
        return -x

    @device
    def reciprocal(x):
        return one / x

    @device
    def square(x):
        return x * x

    @device
    def add(x, y):
        return x + y

    @device
    def subtract(x, y):
        return x - y

    @device
    def multiply(x, y):
        return x * y

    @device
    def divide(x, y):
        return x / y

    @device
    def maximum(x, y):  # as np.maximum: a NaN of either wins
        return x if x >= y or x != x else y

    @device
    def minimum(x, y):
        return x if x <= y or x != x else y

    return {
        "absolute": absolute, "add": add, "divide": divide, "maximum": maximum, "minimum": minimum,
        "multiply": multiply, "negative": negative, "reciprocal": reciprocal, "square": square, "subtract": subtract,
    }  # fmt: skip
