"""Triangular systems: one matrix by LAPACK; stacks and small ones by blocks, where matrix products do the work."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec
from autodiff.core.backend import made
from autodiff.core.batching import stacked
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.common import quiet
from autodiff.ops.linalg.lapack import available, substituted
from autodiff.ops.products import swapped

__all__ = ["solve_triangular"]

BASE = 32  # rows that are solved at once


def _substitute(a: Any, x: Any, lower: bool) -> None:
    """Solve in place, the first half and then the second (of an upper triangle: the other way round)."""
    n = a.shape[-1]
    if n <= BASE:
        x[...] = quiet(np.linalg.solve, np.tril(a) if lower else np.triu(a), x)
        return
    h = n // 2
    first, second = (slice(None, h), slice(h, None)) if lower else (slice(h, None), slice(None, h))
    _substitute(a[..., first, first], x[..., first, :], lower)
    x[..., second, :] -= a[..., second, first] @ x[..., first, :]
    _substitute(a[..., second, second], x[..., second, :], lower)


def _solution(a: Any, b: Any, lower: bool) -> Any:
    if available(a, b):
        return substituted(a, b, lower)
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])
    x = made(np.array, b, np.broadcast_to(b, shape), np.result_type(a, b), order="C")
    _substitute(a, x, lower)
    return x


def _part(x: Any, lower: bool) -> Any:
    return np.tril(x) if lower else np.triu(x)


def _samples(rng: np.random.Generator) -> list[Sample]:
    shapes = (((3, 3), (3, 2)), ((2, 2, 2), (2, 1)), ((2, 2), (3, 2, 2)), ((0, 0), (0, 2)), ((35, 35), (35, 1)))
    return [
        Sample((rng.normal(size=a) / a[-1] + np.eye(a[-1]), rng.normal(size=b)), {"lower": lower})
        for a, b in shapes
        for lower in (True, False)
    ]


_triangular: Operation = Operation(
    "solve_triangular",
    _solution,
    jvps=(
        lambda t, y, a, _b, lower: -_triangular(a, _part(t, lower) @ y, lower=lower),
        lambda t, _y, a, _b, lower: _triangular(a, t, lower=lower),
    ),
    vjps=(
        lambda ct, y, a, _b, lower: -_part(_triangular(swapped(a), ct, lower=not lower) @ swapped(y), lower),
        lambda ct, _y, a, _b, lower: _triangular(swapped(a), ct, lower=not lower),
    ),
    linear_args=frozenset({1}),
    samples=_samples,
    batch=stacked(2),
    shape=lambda a, b, lower: Spec(
        (*np.broadcast_shapes(shape_of(a)[:-2], shape_of(b)[:-2]), *shape_of(b)[-2:]),
        np.result_type(dtype_of(a), dtype_of(b)),
    ),
)


def solve_triangular(a: Any, b: Any, *, lower: bool) -> Any:
    """Solve ``a x = b`` for a triangular matrix, of which the other triangle is not read; NaN if it is singular."""
    return _triangular(a, b, lower=lower)
