"""Parts and powers of matrices: diagonals, triangles, traces, powers, chains; polynomials."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer, implements, install_method, linear
from autodiff.core.assignment import READ, Step
from autodiff.core.backend import made
from autodiff.core.errors import describe
from autodiff.core.scaled import add_into
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.products import as_array, matmul, swapped
from autodiff.ops.shape import linked

__all__ = ["diag", "diagonal", "matrix_power", "multi_dot", "polyval", "trace", "tril", "triu", "vander"]

# -- diagonals -----------------------------------------------------------------------------------------------


def _diagonal_view(x: Any, offset: int, axis1: int, axis2: int) -> Any:
    """Diagonal as a view that can be written to, its axis last."""
    x = np.moveaxis(x, (axis1, axis2), (-2, -1))
    row, column = max(-offset, 0), max(offset, 0)
    n = max(min(x.shape[-2] - row, x.shape[-1] - column), 0)
    return np.einsum("...ii->...i", x[..., row : row + n, column : column + n])


def _embed(x: Any, offset: int, axis1: int, axis2: int, shape: tuple[int, ...]) -> Any:
    """Zeros with `x` on a diagonal."""
    y = made(np.zeros, x, shape, dtype_of(x))
    _diagonal_view(y, offset, axis1, axis2)[...] = x
    return y


def _scatter(target: Any, unchosen: Any, ct: Any, empty: bool, **place: Any) -> None:
    add_into(_diagonal_view(target, **place), ct, empty)
    if unchosen is not None:
        _diagonal_view(unchosen, **place)[...] = False


def _diagonal_shape(x: Any, offset: int, axis1: int, axis2: int) -> Spec:
    return Spec(np.diagonal(np.broadcast_to(np.zeros((), bool), x.shape), offset, axis1, axis2).shape, x.dtype)


def _batch_diagonal(call: Any, _batched: Any, x: Any, axis1: int, axis2: int, **place: Any) -> Any:
    return call(x, axis1=axis1 + (axis1 >= 0), axis2=axis2 + (axis2 >= 0), **place)


def _batch_embedded(call: Any, _batched: Any, x: Any, axis1: int, axis2: int, shape: Any, **place: Any) -> Any:
    return call(x, axis1=axis1 + (axis1 >= 0), axis2=axis2 + (axis2 >= 0), shape=(shape_of(x)[0], *shape), **place)


_diagonal: Operation = linear(
    np.diagonal,
    lambda ct, _y, _x, **place: _embedded(ct, shape=shape_of(_x), **place),
    name="diagonal",
    structural=True,
    scatter=_scatter,
    samples=lambda rng: [
        Sample((rng.normal(size=s),), {"offset": offset, "axis1": i, "axis2": j})
        for s, offset, i, j in (
            ((3, 3), 0, 0, 1), ((2, 4), 1, 0, 1), ((2, 3, 4), -1, 2, 0), ((3, 2), 5, 0, 1), ((0, 2), 0, 0, 1)
        )
    ],
    shape=_diagonal_shape,
    batch=_batch_diagonal,
)  # fmt: skip
_embedded: Operation = linear(
    _embed,
    lambda ct, _y, _x, offset, axis1, axis2, shape: _diagonal(ct, offset=offset, axis1=axis1, axis2=axis2),
    name="embed_diagonal",
    structural=True,
    samples=lambda rng: [
        Sample((rng.normal(size=s),), {"offset": offset, "axis1": i, "axis2": j, "shape": shape})
        for s, offset, i, j, shape in (((3,), 0, 0, 1, (3, 3)), ((3,), 1, 0, 1, (3, 4)), ((3, 2), -2, 2, 0, (2, 3, 4)))
    ],
    shape=lambda x, offset, axis1, axis2, shape: Spec(shape, x.dtype),
    batch=_batch_embedded,
)


READ["diagonal"] = lambda x, place: _diagonal(x, **place)  # what `Window` reads; NumPy's is read-only as well


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Diagonal with respect to two axes; its axis comes last."""
    place = {"offset": operator.index(offset), "axis1": operator.index(axis1), "axis2": operator.index(axis2)}
    return linked(_diagonal, a, Step("diagonal", place), **place)


@implements(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Diagonal of the last two axes."""
    return diagonal(x, offset, -2, -1)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """Diagonal of a matrix, or matrix with a given diagonal."""
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise ValueError(f"np.diag: input must be 1- or 2-d, not {describe(v)}.")
    n = v.size + abs(k)
    return _embedded(v, offset=operator.index(k), axis1=0, axis2=1, shape=(n, n))


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    """Matrix with the elements of `v` on a diagonal."""
    return diag(np.reshape(v, (v.size,)), k)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    """Sum of a diagonal."""
    if out is not None:  # of the method: the function comes back without it
        return np.trace(a, offset, axis1, axis2, dtype, out)
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@implements(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Sum of a diagonal of the last two axes."""
    return trace(x, offset, -2, -1, dtype)


@implements(np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """Exchange the last two axes."""
    if x.ndim < 2:
        raise ValueError(f"np.linalg.matrix_transpose: the array must be at least 2-dimensional, not {describe(x)}.")
    return swapped(x)


# -- triangles -----------------------------------------------------------------------------------------------


def _lower(m: Any, k: int) -> Any:
    """Mask of the entries on and below diagonal `k`; as in NumPy, a vector is repeated to a square matrix."""
    shape = m.shape
    if not shape:
        raise TypeError("np.triu, np.tril: a 0-dimensional array has no triangle.")
    return made(np.tri, m, shape[-2] if len(shape) > 1 else shape[-1], shape[-1], k, dtype=bool)


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """Upper triangle; the entries below diagonal `k` are 0."""
    return np.where(_lower(m, k - 1), m.dtype.type(0), m)


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """Lower triangle; the entries above diagonal `k` are 0."""
    return np.where(_lower(m, k), m, m.dtype.type(0))


@implements(np.triu_indices_from)
def triu_indices_from(arr: Any, k: int = 0) -> Any:
    """Return the indices of the upper triangle."""
    return np.triu_indices(arr.shape[-2], k=k, m=arr.shape[-1])


@implements(np.tril_indices_from)
def tril_indices_from(arr: Any, k: int = 0) -> Any:
    """Return the indices of the lower triangle."""
    return np.tril_indices(arr.shape[-2], k=k, m=arr.shape[-1])


@implements(np.diag_indices_from)
def diag_indices_from(arr: Any) -> Any:
    """Return the indices of the main diagonal."""
    return np.diag_indices_from(np.broadcast_to(np.zeros((), bool), arr.shape))


# -- powers and chains of matrices ---------------------------------------------------------------------------


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """Matrix to an integer power, by repeated squaring."""
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"np.linalg.matrix_power: the last two axes must be square, not {describe(a)}.")
    n = operator.index(n)
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape).copy()
    if n < 0:
        return matrix_power(np.linalg.inv(a), -n)
    power = None
    while True:
        if n & 1:
            power = a if power is None else power @ a
        n >>= 1
        if not n:
            return power
        a = a @ a


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """Product of several matrices in the cheapest order; the first and the last may be vectors."""
    arrays = [as_array(x) for x in arrays]
    if len(arrays) < 2:
        raise ValueError("np.linalg.multi_dot: expecting at least two arrays.")
    for i, x in enumerate(arrays):
        if x.ndim != 2 and not (x.ndim == 1 and i in (0, len(arrays) - 1)):
            raise np.linalg.LinAlgError(
                f"np.linalg.multi_dot: array {i} is {x.ndim}-dimensional; it must be a matrix "
                "(the first and the last may be vectors)."
            )
    split = _cheapest([1 if arrays[0].ndim == 1 else arrays[0].shape[0], *(x.shape[0] for x in arrays[1:]),
                       1 if arrays[-1].ndim == 1 else arrays[-1].shape[1]])  # fmt: skip
    return _chain(arrays, split, 0, len(arrays) - 1)


def _cheapest(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split each product of matrices i to j; matrix i is ``sizes[i]`` by ``sizes[i + 1]``."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    split = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i, j], split[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    return split


def _chain(arrays: list[Any], split: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return arrays[i]
    k = split[i, j]
    return matmul(_chain(arrays, split, i, k), _chain(arrays, split, k + 1, j))


# -- polynomials ---------------------------------------------------------------------------------------------


@implements(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:  # noqa: N803 - NumPy's name
    """Powers of a vector, as columns."""
    if x.ndim != 1:
        raise ValueError(f"np.vander: x must be a one-dimensional array or sequence, not {describe(x)}.")
    dtype = np.promote_types(x.dtype, int)  # as NumPy does: float64 for float32
    exponents = np.arange(x.size if N is None else N, dtype=np.empty((), dtype).real.dtype)
    return np.power(np.reshape(x.astype(dtype), (x.size, 1)), exponents if increasing else exponents[::-1])


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Polynomial with the coefficients `p`, highest power first, by Horner's rule."""
    x = as_array(x)
    if not isinstance(p, (list, tuple)) or not any(isinstance(c, Tracer) for c in p):
        p = as_array(p)
    y = made(np.zeros, x, shape_of(x), dtype_of(x))
    for k in range(len(p)):
        y = y * x + p[k] if k else y + p[k]
    return y


install_method("diagonal", diagonal)
install_method("trace", trace)
