"""The differentiated programs, generic over the array namespace `xp`, and hand-written derivatives.

A builder takes the namespace and a function that makes its arrays from NumPy's, and returns the program, so
that constants are made once and outside of the timed call.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from benchmarks._harness import Array

Namespace: TypeAlias = Any
Function: TypeAlias = Callable[[Array], Array]
Builder: TypeAlias = Callable[[Namespace, Callable[[np.ndarray], Array]], Function]
Parameters: TypeAlias = list[dict[str, Array]]
Derivative: TypeAlias = Callable[[np.ndarray], tuple[Array, Array]]
Tangent: TypeAlias = Callable[[np.ndarray, np.ndarray], tuple[Array, Array]]

_ROOT2 = math.sqrt(2.0)


@dataclass(frozen=True)
class Program:
    """A scalar-valued program, a point to differentiate it at, and how many primitives it applies."""

    name: str
    build: Builder
    point: Array
    operations: int


def unary_chain(xp: Namespace, _array: Callable[[np.ndarray], Array]) -> Function:
    """Return a chain of sines: 101 operations."""

    def program(x: Array) -> Array:
        for _ in range(50):
            x = xp.sin(x * 1.01)
        return xp.sum(x)

    return program


def broadcast_binary(xp: Namespace, array: Callable[[np.ndarray], Array]) -> Function:
    """Return arithmetic among shapes (10,), (1,), (10, 1), (10, 10) and scalars: 97 operations."""
    row = array(np.linspace(0.9, 1.1, 10))
    one = array(np.array([0.3]))
    column = array(np.linspace(1.1, 0.9, 10).reshape(10, 1))

    def program(x: Array) -> Array:
        y = x
        for _ in range(16):
            y = y * row
            y = y + one
            y = y * column
            y = y - x
            y = y / 1.5
            y = 0.25 + y
        return xp.sum(y)

    return program


def matmul_sum(xp: Namespace, array: Callable[[np.ndarray], Array]) -> Function:
    """Return products of 10-by-10 matrices with a bounded function and sums: 100 operations."""
    weights = array(np.random.default_rng(1).normal(size=(10, 10)) / math.sqrt(10.0))

    def program(x: Array) -> Array:
        total = 0.0
        for _ in range(25):
            x = xp.tanh(x @ weights)
            total = total + xp.sum(x)
        return total

    return program


def indexing(xp: Namespace, array: Callable[[np.ndarray], Array]) -> Function:
    """Return selections by integer, slice, stride and integer array, with sums: 100 operations."""
    positions = array(np.array([3, 1, 3, 9, 0]))

    def program(x: Array) -> Array:
        total = 0.0
        for i in range(10):
            tail = x[1:]
            total = total + x[i] * xp.sum(x[::2] + tail[::2] * x[positions])
        return total

    return program


def scalars(xp: Namespace, _array: Callable[[np.ndarray], Array]) -> Function:
    """Return arithmetic, powers and functions of one scalar: 99 operations."""

    def program(x: Array) -> Array:
        y = x
        for _ in range(11):
            y = xp.sin(y * x)
            y = y + x / 2.0
            y = xp.exp(-0.1 * y**2) - 0.25
            y = 1.0 + y
        return y

    return program


def overhead_programs() -> list[Program]:
    """Return the programs whose time is nearly all bookkeeping."""
    rng = np.random.default_rng(0)
    vector = rng.uniform(0.1, 1.0, size=10)
    return [
        Program("unary_chain", unary_chain, vector, 101),
        Program("broadcast_binary", broadcast_binary, vector, 97),
        Program("matmul_sum", matmul_sum, rng.normal(size=(10, 10)), 100),
        Program("indexing", indexing, vector, 100),
        Program("scalars", scalars, 0.7, 99),
    ]


def logistic_map(_xp: Namespace, _array: Callable[[np.ndarray], Array]) -> Function:
    """Return the hundredth iterate of the logistic map: 300 operations on scalars."""

    def program(x: Array) -> Array:
        for _ in range(100):
            x = 4.0 * x * (1.0 - x)
        return x

    return program


def fan_out_fan_in(_xp: Namespace, _array: Callable[[np.ndarray], Array]) -> Function:
    """Return a chain in which each value is used twice: 2000 operations, 2**1000 paths."""

    def program(x: Array) -> Array:
        for _ in range(1000):
            x = (x + x) / 2.0
        return x

    return program


def helmholtz(size: int) -> Program:
    """Return the Helmholtz energy of a mixture of `size` fluids: 19 operations on vectors."""

    def build(xp: Namespace, array: Callable[[np.ndarray], Array]) -> Function:
        rng = np.random.default_rng(size)
        attraction = array(rng.uniform(size=(size, size)))
        volume = array(rng.uniform(0.2, 0.8, size=size) / size)

        def program(x: Array) -> Array:
            filled = volume @ x
            ideal = xp.sum(x * xp.log(x / (1.0 - filled)))
            bracket = xp.log((1.0 + (1.0 + _ROOT2) * filled) / (1.0 + (1.0 - _ROOT2) * filled))
            return 2.5 * ideal - (x @ attraction @ x) / (2.0 * _ROOT2 * filled) * bracket

        return program

    point = np.random.default_rng(size + 1).uniform(0.2, 0.9, size=size)
    return Program(f"helmholtz_{size}", build, point, 19)


def survey_programs() -> list[Program]:
    """Return the scalar loops, and the Helmholtz energy at several sizes."""
    loops = [
        Program("logistic_map_100", logistic_map, 0.3, 300),
        Program("fan_out_fan_in", fan_out_fan_in, 1.5, 2000),
    ]
    return [*loops, *(helmholtz(size) for size in (1, 5, 10, 20, 50))]


def mlp_parameters(dtype: str) -> Parameters:
    """Return the parameters of a net of 784, 512, 512 and 10 units."""
    rng = np.random.default_rng(2)
    sizes = (784, 512, 512, 10)
    return [
        {
            "w": (rng.normal(size=(below, above)) / math.sqrt(below)).astype(dtype),
            "b": (0.1 * rng.normal(size=above)).astype(dtype),
        }
        for below, above in pairwise(sizes)
    ]


def mlp_loss(xp: Namespace) -> Callable[[Parameters, Array, Array], Array]:
    """Return the mean softmax cross-entropy of a net with hyperbolic tangents."""

    def loss(parameters: Parameters, inputs: Array, labels: Array) -> Array:
        hidden = inputs
        for layer in parameters[:-1]:
            hidden = xp.tanh(hidden @ layer["w"] + layer["b"])
        logits = hidden @ parameters[-1]["w"] + parameters[-1]["b"]
        shifted = logits - xp.max(logits, axis=1, keepdims=True)
        normalizer = xp.log(xp.sum(xp.exp(shifted), axis=1))
        return xp.mean(normalizer - shifted[xp.arange(labels.shape[0]), labels])

    return loss


def mlp_by_hand(parameters: Parameters, inputs: np.ndarray, labels: np.ndarray) -> tuple[Array, Parameters]:
    """Return the loss of `mlp_loss` and its gradient by backpropagation, in place where nothing is lost."""
    activations = [inputs]
    for layer in parameters[:-1]:
        hidden = activations[-1] @ layer["w"]
        hidden += layer["b"]
        activations.append(np.tanh(hidden, out=hidden))
    delta = activations[-1] @ parameters[-1]["w"]
    delta += parameters[-1]["b"]
    delta -= np.max(delta, axis=1, keepdims=True)
    count = labels.shape[0]
    rows = np.arange(count)
    picked = delta[rows, labels]
    np.exp(delta, out=delta)
    sums = np.sum(delta, axis=1, keepdims=True)
    loss = np.mean(np.log(sums[:, 0]) - picked)
    delta /= sums
    delta[rows, labels] -= 1.0
    delta /= count
    gradients: Parameters = []
    for layer, below in zip(reversed(parameters), reversed(activations), strict=True):
        gradients.append({"w": below.T @ delta, "b": np.sum(delta, axis=0)})
        if below is inputs:
            break
        delta = delta @ layer["w"].T
        np.multiply(below, below, out=below)
        np.subtract(1.0, below, out=below)
        delta *= below
    gradients.reverse()
    return loss, gradients


@dataclass(frozen=True)
class Elementwise:
    """A program on long vectors, with hand-written derivatives.

    The hand-written functions evaluate the value by the program's own expression and write the derivative in
    closed form. The tuned ones share what they can with the value and save passes over memory (in place, dot
    products); the plain ones say what the formula says. Where nothing is to be saved they are the same.

    Parameters
    ----------
    name
        The row in the table.
    build
        Takes the namespace; returns the program.
    gradient
        Returns the value, summed, and the gradient of the sum; tuned.
    tangent
        Returns the value and the derivative along a direction; tuned.
    plain_gradient
        Returns what `gradient` does; plain.
    plain_tangent
        Returns what `tangent` does; plain.
    """

    name: str
    build: Callable[[Namespace], Function]
    gradient: Derivative
    tangent: Tangent
    plain_gradient: Derivative
    plain_tangent: Tangent


def _cube(_xp: Namespace) -> Function:
    return lambda x: x**3 + 2.0 * x


def _cube_gradient(x: np.ndarray) -> tuple[Array, Array]:
    return np.sum(x**3 + 2.0 * x), 3.0 * x**2 + 2.0


def _cube_tangent(x: np.ndarray, v: np.ndarray) -> tuple[Array, Array]:
    return x**3 + 2.0 * x, (3.0 * x**2 + 2.0) * v


def cube_by_products(x: np.ndarray) -> tuple[Array, Array]:
    """Return what the gradient of the cube returns, with products where the program has a power."""
    square = x * x
    value = np.sum((square + 2.0) * x)
    square *= 3.0
    square += 2.0
    return value, square


def cube_tangent_by_products(x: np.ndarray, v: np.ndarray) -> tuple[Array, Array]:
    """Return what the tangent of the cube returns, with products where the program has a power."""
    square = x * x
    value = (square + 2.0) * x
    square *= 3.0
    square += 2.0
    square *= v
    return value, square


def _rosenbrock(xp: Namespace) -> Function:
    return lambda x: xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def _rosenbrock_gradient(x: np.ndarray) -> tuple[Array, Array]:
    head = x[:-1]
    valley = x[1:] - head**2
    slope = 1.0 - head
    value = np.sum(100.0 * valley**2 + slope**2)
    valley *= 200.0
    gradient = np.empty_like(x)
    gradient[-1] = 0.0
    slope *= -2.0
    np.subtract(slope, 2.0 * valley * head, out=gradient[:-1])
    gradient[1:] += valley
    return value, gradient


def _rosenbrock_tangent(x: np.ndarray, v: np.ndarray) -> tuple[Array, Array]:
    head = x[:-1]
    valley = x[1:] - head**2
    slope = 1.0 - head
    value = np.sum(100.0 * valley**2 + slope**2)
    return value, 200.0 * (valley @ (v[1:] - 2.0 * head * v[:-1])) - 2.0 * (slope @ v[:-1])


def _rosenbrock_plain_gradient(x: np.ndarray) -> tuple[Array, Array]:
    head, tail = x[:-1], x[1:]
    valley = tail - head**2
    value = np.sum(100.0 * valley**2 + (1.0 - head) ** 2)
    gradient = np.zeros_like(x)
    gradient[:-1] = -400.0 * head * valley - 2.0 * (1.0 - head)
    gradient[1:] += 200.0 * valley
    return value, gradient


def _rosenbrock_plain_tangent(x: np.ndarray, v: np.ndarray) -> tuple[Array, Array]:
    head, tail = x[:-1], x[1:]
    valley = tail - head**2
    value = np.sum(100.0 * valley**2 + (1.0 - head) ** 2)
    slope = np.sum(200.0 * valley * (v[1:] - 2.0 * head * v[:-1]) - 2.0 * (1.0 - head) * v[:-1])
    return value, slope


def _wave(xp: Namespace) -> Function:
    return lambda x: xp.sum(xp.sin(x) * xp.exp(-(x**2)))


def _wave_gradient(x: np.ndarray) -> tuple[Array, Array]:
    sine = np.sin(x)
    bell = np.exp(-(x**2))
    return np.sum(sine * bell), bell * (np.cos(x) - 2.0 * x * sine)


def _wave_tangent(x: np.ndarray, v: np.ndarray) -> tuple[Array, Array]:
    value, gradient = _wave_gradient(x)
    return value, gradient @ v


def elementwise_programs() -> list[Elementwise]:
    """Return the programs whose time is nearly all arithmetic."""
    return [
        Elementwise("cube", _cube, _cube_gradient, _cube_tangent, _cube_gradient, _cube_tangent),
        Elementwise(
            "rosenbrock",
            _rosenbrock,
            _rosenbrock_gradient,
            _rosenbrock_tangent,
            _rosenbrock_plain_gradient,
            _rosenbrock_plain_tangent,
        ),
        Elementwise("sin_exp", _wave, _wave_gradient, _wave_tangent, _wave_gradient, _wave_tangent),
    ]
