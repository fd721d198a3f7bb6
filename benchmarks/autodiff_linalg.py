"""Programs of linear algebra, and their values and gradients written by hand in NumPy.

LAPACK reads the lower triangle of a symmetric matrix, so that gradients have that triangle alone.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
Program: TypeAlias = Callable[..., Array]


def _diagonal(x: Array) -> Array:
    return np.einsum("...ii->...i", x)


def _triangle(x: Array) -> Array:
    """Gradient of the lower triangle from that of the whole symmetric matrix."""
    y = np.tril(x + x.mT, -1)
    _diagonal(y)[...] = _diagonal(x)
    return y


def cholesky(w: Array) -> tuple[Program, Program]:
    def program(a: Array) -> Array:
        return np.sum(w * np.linalg.cholesky(a))

    def by_hand(a: Array) -> tuple[Array, tuple[Array]]:
        factor = np.linalg.cholesky(a)
        inverse = np.linalg.inv(factor)
        half = np.tril(factor.mT @ w)
        _diagonal(half)[...] *= 0.5
        return np.sum(w * factor), (_triangle(inverse.mT @ half @ inverse),)

    return program, by_hand


def eigh(c: Array, w: Array) -> tuple[Program, Program]:
    def program(a: Array) -> Array:
        values, vectors = np.linalg.eigh(a)
        return np.sum(c * values) + np.sum(w * vectors)

    def by_hand(a: Array) -> tuple[Array, tuple[Array]]:
        values, vectors = np.linalg.eigh(a)
        gap = values[..., None, :] - values[..., :, None]
        _diagonal(gap)[...] = np.inf
        change = (vectors.mT @ w) / gap
        _diagonal(change)[...] = c
        return np.sum(c * values) + np.sum(w * vectors), (_triangle(vectors @ change @ vectors.mT),)

    return program, by_hand


def eigvalsh(c: Array) -> tuple[Program, Program]:
    def program(a: Array) -> Array:
        return np.sum(c * np.linalg.eigh(a)[0])

    def by_hand(a: Array) -> tuple[Array, tuple[Array]]:
        values, vectors = np.linalg.eigh(a)
        return np.sum(c * values), (_triangle((vectors * c[..., None, :]) @ vectors.mT),)

    return program, by_hand


def solve(w: Array) -> tuple[Program, Program]:
    def program(a: Array, b: Array) -> Array:
        return np.sum(w * np.linalg.solve(a, b))

    def by_hand(a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
        x = np.linalg.solve(a, b)
        adjoint = np.linalg.solve(a.mT, w)
        return np.sum(w * x), (-adjoint @ x.mT, adjoint)

    return program, by_hand


def programs() -> Iterator[tuple[str, Program, Program, tuple[Array, ...]]]:
    """Yield name, program, value and gradient by hand, arguments."""
    rng = np.random.default_rng(6)
    for shape in ((100, 100), (300, 300), (64, 16, 16)):
        size = f"{shape[-1]}" if len(shape) == 2 else f"{shape[0]} of {shape[-1]}"
        x = rng.normal(size=shape)
        a = x @ x.mT + shape[-1] * np.eye(shape[-1])
        lower, w, c = np.tril(rng.normal(size=shape)), rng.normal(size=shape), rng.normal(size=shape[:-1])
        b, v = rng.normal(size=(2, *shape[:-1], 10))
        yield f"cholesky {size}", *cholesky(lower), (a,)
        yield f"eigh {size}", *eigh(c, w), (a,)
        yield f"eigenvalues {size}", *eigvalsh(c), (a,)
        yield f"solve {size}", *solve(v), (a, b)
