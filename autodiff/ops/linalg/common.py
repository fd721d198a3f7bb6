"""What factorisations share: checks, the memo of a factorisation, Hermitian parts, quotients by gaps."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, constant, elementwise, linear
from autodiff.core.backend import made
from autodiff.core.batching import size_of, spread, stacked
from autodiff.core.errors import describe
from autodiff.core.forward import Dual
from autodiff.core.linear import LinearTracer
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import concrete
from autodiff.core.variable import Variable
from autodiff.ops.joining import stack
from autodiff.ops.portable import largest as peak
from autodiff.ops.products import as_array, conjugated, swapped

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "MASKED",
    "Memo",
    "adjoint",
    "counted",
    "gaps",
    "grouped",
    "held",
    "hermitian",
    "matrices",
    "noticed",
    "numbers",
    "quiet",
    "ratio",
    "read",
    "real_spec",
    "set_diagonal",
    "square",
    "steady",
    "triangle",
    "watched",
]


MASKED = 512  # rows up to which masks of triangles are kept


# -- checks --------------------------------------------------------------------------------------------------


def numbers(name: str, x: Any, argument: str = "a") -> Any:
    """Return an array (a list of traced values is stacked) of a dtype that LAPACK takes, or raise."""
    if type(x) is Variable and x.node.dtype.char in "fdFD":
        return x
    x = stack(x) if isinstance(x, (list, tuple)) else as_array(x)
    dtype = dtype_of(x)
    if dtype.kind in "biu":
        return x.astype(np.float64)
    if dtype.char not in "fdFD":
        raise TypeError(
            f"{name}: {argument} has the dtype {dtype}, for which NumPy has no linear algebra; convert with "
            f"{argument}.astype(np.float64)."
        )
    return x


def matrices(name: str, x: Any, argument: str = "a") -> Any:
    """Return a stack of matrices, or raise."""
    x = numbers(name, x, argument)
    if len(shape_of(x)) < 2:
        raise np.linalg.LinAlgError(
            f"{name}: {argument} must be a matrix or a stack of them, with two axes at least, not {describe(x)}."
        )
    return x


def square(name: str, x: Any, argument: str = "a") -> Any:
    """Return a stack of square matrices, or raise."""
    if type(x) is Variable and len(x.node.shape) > 1 and x.node.shape[-2] == x.node.shape[-1]:
        return numbers(name, x, argument)
    x = matrices(name, x, argument)
    rows, columns = shape_of(x)[-2:]
    if rows != columns:
        raise np.linalg.LinAlgError(
            f"{name}: the matrices of {argument} must be square, not {rows} x {columns} ({describe(x)})."
        )
    return x


def real_spec(shape: tuple[int, ...], dtype: Any) -> Spec:
    """Spec of real numbers of the precision of `dtype`."""
    return Spec(shape, np.zeros(0, dtype).real.dtype)


# -- small pieces --------------------------------------------------------------------------------------------


def adjoint(x: Any) -> Any:
    """Conjugate transpose of each matrix."""
    return x.mT if type(x) is np.ndarray and x.dtype.kind != "c" else swapped(conjugated(x))


class Memo:
    """The results of one computation, with the arrays that they belong to; one piece, for threads."""

    __slots__ = ("entry",)

    def __init__(self) -> None:
        self.entry: tuple[tuple[Any, ...], Any] | None = None

    def __repr__(self) -> str:
        return "·"

    def of(self, compute: Callable[..., Any], *arrays: Any) -> Any:
        """Return ``compute(*arrays)``, from memory if the very same arrays come again."""
        entry = self.entry
        if entry is not None and all(a is b for a, b in zip(entry[0], arrays, strict=True)):
            return entry[1]
        result = compute(*arrays)
        self.entry = arrays, result
        return result


def quiet(function: Callable[..., Any], a: Any, *rest: Any) -> Any:
    """Apply `function` (an inverse, a solution) to a stack of matrices; NaN for those that are singular."""
    try:
        return function(a, *rest)
    except np.linalg.LinAlgError:
        if a.ndim == 2:
            shape = rest[0].shape if rest else a.shape
            return np.full(shape, np.nan, np.result_type(a, *rest))
        batch = np.broadcast_shapes(a.shape[:-2], *(r.shape[:-2] for r in rest))
        spread = [np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, *rest)]
        if not batch[0]:
            raise
        return np.stack([quiet(function, *parts) for parts in zip(*spread, strict=True)])


# -- a triangle that stands for a Hermitian matrix -----------------------------------------------------------


@functools.lru_cache(maxsize=16)
def _strict(n: int, lower: bool) -> Any:
    """Mask of a triangle without its diagonal."""
    found = np.tri(n, k=-1, dtype=bool)
    found = found if lower else found.T
    found.flags.writeable = False
    return found


def _tri(x: Any, *, lower: bool) -> Any:
    if type(x) is not np.ndarray or x.shape[-1] > MASKED:
        return np.tril(x, -1) if lower else np.triu(x, 1)
    return np.where(_strict(x.shape[-1], lower), x, x.dtype.type(0))


def _with_diagonal(strict: Any, x: Any) -> Any:
    """Strict triangle, or sum of two, with the real diagonal of `x`."""
    set_diagonal(strict, x.diagonal(0, -2, -1).real if type(x) is np.ndarray else np.einsum("...ii->...i", x).real)
    return strict


def set_diagonal(x: Any, values: Any) -> None:
    """Write into the diagonals of square matrices."""
    if type(x) is np.ndarray and x.flags.c_contiguous:
        n = x.shape[-1]
        x.reshape(*x.shape[:-2], n * n)[..., :: n + 1] = values
    else:
        np.einsum("...ii->...i", x)[...] = values


def _completed(x: Any, lower: bool) -> Any:
    strict = _tri(x, lower=lower)
    return _with_diagonal(strict + adjoint(strict), x)


def _doubled(x: Any, lower: bool) -> Any:
    return _with_diagonal(_tri(x + adjoint(x), lower=lower), x)


def _square_samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=s),), {"lower": low}) for s in ((3, 3), (2, 2, 2), (0, 0)) for low in (True, False)]


#: The Hermitian matrix of which LAPACK reads one triangle, and the transpose of that.
hermitian: Operation = linear(
    _completed,
    lambda ct, _y, _x, lower: _triangle(ct, lower=lower),
    name="hermitian",
    samples=_square_samples,
    batch=stacked(2),
    shape=lambda x, lower: Spec(x.shape, x.dtype),
)
_triangle: Operation = linear(
    _doubled,
    lambda ct, _y, _x, lower: hermitian(ct, lower=lower),
    name="hermitian_triangle",
    samples=_square_samples,
    batch=stacked(2),
    shape=lambda x, lower: Spec(x.shape, x.dtype),
)


def triangle(x: Any, *, lower: bool) -> Any:
    """Transpose of `hermitian`: both triangles in one."""
    return _doubled(x, lower) if type(x) is np.ndarray else _triangle(x, lower=lower)


# -- quotients by gaps that may be zero ----------------------------------------------------------------------


def _ratio_value(x: Any, gap: Any) -> Any:
    none = gap == 0
    if not np.any(none):
        return x / gap
    y = x / (gap + none)
    return np.where(none & (x != 0), y.dtype.type(np.nan), np.where(none, y.dtype.type(0), y))


#: x / gap; where the gap is 0 the quotient is 0 if x is, and else NaN: no number is right there.
ratio: Operation = elementwise(
    _ratio_value,
    lambda t, _y, _x, gap: ratio(t, gap),
    lambda t, y, _x, gap: -t * ratio(y, gap),
    name="ratio",
    linear_args=(0,),
    domain=((-2.0, 2.0), (0.5, 2.0)),
)


def largest(w: Any) -> Any:
    """Largest modulus, on an axis of its own that broadcasts to a matrix."""
    return peak(np.abs(w), -1, 0)[..., None]


def rounding(w: Any) -> float:
    """Gap that rounding may leave between equal eigenvalues, as a part of the largest."""
    return 2 * math.sqrt(shape_of(w)[-1]) * _eps(dtype_of(w))


@functools.cache
def _eps(dtype: Any) -> float:
    return float(np.finfo(dtype).eps)


def gaps(w: Any) -> tuple[Any, Any]:
    """``w[j] - w[i]``, and the mask of the pairs that are one number but for rounding: their gap is 0.

    No number has a gap to itself: infinite, so that the quotient is 0.
    """
    n = shape_of(w)[-1]
    gap = w[..., None, :] - w[..., :, None]
    itself = made(np.eye, gap, n, dtype=bool)
    close = np.abs(gap) <= rounding(w) * largest(w)
    same = np.logical_and(close, ~itself)
    dtype = dtype_of(gap)
    return np.where(same, dtype.type(0), np.where(itself, dtype.type(np.inf), gap)), same


def read(ct: Any) -> Any:
    """Where an adjoint is not 0; everywhere, if it has no value (a pullback is being transposed)."""
    value = ct
    while isinstance(value, (Dual, Variable)):
        value = value.primal
    return np.ones(shape_of(ct), bool) if isinstance(value, LinearTracer) else ct != 0


#: The value without its derivatives.
held = constant(lambda x: x, name="held")


def steady(c: Any, grouped: Any) -> tuple[Any, Any]:
    """Weights of vectors, and the mask of the vectors that must be `held` in a weighted sum of them.

    These are the vectors that have no derivative (`grouped`) and whose weight is 0: then they count for nothing as
    long as the weight stays 0. If it does not, what it weighs has no derivative, and the weight's becomes NaN.
    """
    hold = np.logical_and(grouped, np.logical_not(read(c)))
    if type(hold) is np.ndarray and not hold.any():
        return c, None
    return np.where(hold, ratio(c, real_spec((), dtype_of(c)).dtype.type(0)), c), hold


def noticed(ct: Any, grouped: Any) -> Any:
    """Adjoints in which a weight that is 0 by chance can be told from one that nobody gave: it is not quite 0."""
    if type(ct) is np.ndarray or (type(grouped) is np.ndarray and not grouped.any()):
        return ct
    return _noticed(ct, grouped)


def _noticed(ct: Any, grouped: Any) -> Any:
    tiny = np.finfo(dtype_of(ct)).tiny
    return ct + np.where(np.logical_and(grouped, np.logical_not(read(ct))), tiny, dtype_of(ct).type(0))


def _itself(x: Any, grouped: Any) -> Any:
    y: Any = np.where(grouped, x, x)
    return y[()]


# Eigenvalues whose vectors have no derivative, and their tangents. The adjoint of an entry that was not selected is
# marked, so that the sweep puts it back to 0. First derivatives do not read vectors' derivatives: they are left alone.
_counted = elementwise(
    _itself,
    lambda t, _y, _x, _grouped: t,
    None,
    transposes=(lambda ct, _y, _x, grouped: noticed(ct, grouped), None),
    name="counted_values",
    linear_args=(0,),
    samples=lambda rng: [Sample((rng.normal(size=(2, 3)), np.zeros((2, 3), bool)))],
)
_counted_tangent = elementwise(
    _itself,
    lambda t, _y, _x, _grouped: t,
    None,
    transposes=(lambda ct, _y, _x, grouped: _noticed(ct, grouped), None),
    name="counted_tangents",
    linear_args=(0,),
    samples=lambda rng: [Sample((rng.normal(size=(2, 3)), np.zeros((2, 3), bool)))],
)


def counted(x: Any, grouped: Any, *, tangent: bool = False) -> Any:
    """Values, or their tangents, with the mask of those whose vectors have no derivative."""
    if type(grouped) is np.ndarray and not grouped.any():
        return x
    return (_counted_tangent if tangent else _counted)(x, grouped)


def grouped(w: Any, zero: Any = False) -> Any:
    """Which of sorted eigenvalues belong to a group of equal ones, or are `zero`."""
    w = concrete(w)
    if shape_of(w)[-1] < 2:
        return np.logical_or(made(np.zeros, w, shape_of(w), bool), zero)
    largest_one = np.max(np.abs(w), axis=-1, keepdims=True)
    close = np.abs(w[..., 1:] - w[..., :-1]) <= rounding(w) * largest_one
    none = made(np.zeros, w, (*shape_of(w)[:-1], 1), bool)
    return np.concatenate([none, close], axis=-1) | np.concatenate([close, none], axis=-1) | zero


def _poison_value(x: Any, same: Any) -> Any:
    some = np.any(x != 0, axis=-2, keepdims=True)
    one = x.real.dtype.type(1)
    return x * np.where(same & some, one * np.nan, one)


def _each(call: Any, batched: Any, x: Any, same: Any) -> Any:
    n = size_of(batched, (x, same))
    return stacked(2)(call, (True, batched[1]), spread(x, n, batched[0]), same)


def _column_samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=(2, 3, 3)), np.zeros((3, 3), bool)))]


# The result itself; but an adjoint that reads one of several columns that cannot be told apart meets NaN there.
_watched: Operation = linear(
    lambda x, same: x + 0,
    lambda ct, _y, _x, same: _poisoned(ct, same),
    name="watched_columns",
    nargs=2,
    samples=_column_samples,
    batch=_each,
    shape=lambda x, same: Spec(x.shape, x.dtype),
)
_poisoned: Operation = linear(
    _poison_value,
    lambda ct, _y, _x, same: ct,
    name="poisoned_columns",
    nargs=2,
    samples=_column_samples,
    batch=_each,
    shape=lambda x, same: Spec(x.shape, x.dtype),
)


def watched(x: Any, same: Any) -> Any:
    """Rotation of eigenvectors; `same` says which pairs belong to one eigenvalue."""
    return _watched(x, same)
