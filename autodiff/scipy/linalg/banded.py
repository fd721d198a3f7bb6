"""Banded systems in SciPy's storage: row `upper + i - j` and column `j` hold the entry (i, j)."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as sl

from autodiff.core import Operation, Sample, Spec, Tracer
from autodiff.core.batching import all_values, each
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.linalg.common import matrices, numbers
from autodiff.ops.products import conjugated
from autodiff.scipy._mirror import check_finite_values, mirrors

__all__ = ["solve_banded", "solveh_banded"]


def _moved(x: Any, by: int) -> Any:
    """Entries of the first axis moved: the new entry `i` is the old ``i + by``, or 0."""
    n = shape_of(x)[0]
    if by == 0:
        return x
    none = np.zeros((min(abs(by), n), *shape_of(x)[1:]), dtype_of(x))
    if abs(by) >= n:
        return none
    return np.concatenate([x[by:], none] if by > 0 else [none, x[:by]], axis=0)


def _turned(ab: Any, lower: int, upper: int) -> Any:
    """The transposed matrix, with `upper` and `lower` exchanged."""
    return np.stack([_moved(ab[upper - d], d) for d in range(-lower, upper + 1)])


def _product(ab: Any, x: Any, lower: int, upper: int) -> Any:
    """Product of the banded matrix with the columns of `x`."""
    parts = [_moved(ab[upper - d][:, None] * x, d) for d in range(-lower, upper + 1)]
    return sum(parts[1:], parts[0])


def _outer(w: Any, x: Any, lower: int, upper: int) -> Any:
    """Banded part of ``w @ x.T``, in the storage of the band."""
    return np.stack([np.sum(_moved(w, -d) * x, axis=1) for d in range(upper, -lower - 1, -1)])


def _samples(rng: np.random.Generator) -> list[Sample]:
    found = []
    for n, lower, upper, k in ((5, 1, 2, 2), (4, 1, 1, 1), (4, 0, 2, 1), (2, 1, 1, 2)):
        ab = rng.normal(size=(lower + upper + 1, n))
        ab[upper] += 4
        found.append(Sample((ab, rng.normal(size=(n, k))), {"lower": lower, "upper": upper}))
    return found


def _value(ab: Any, b: Any, lower: int, upper: int) -> Any:
    x = sl.solve_banded((lower, upper), ab, b, check_finite=False)
    return x.astype(np.result_type(ab, b), copy=False)


_banded: Operation = Operation(
    "solve_banded",
    _value,
    jvps=(
        lambda t, y, ab, _b, lower, upper: -_banded(ab, _product(t, y, lower, upper), lower=lower, upper=upper),
        lambda t, _y, ab, _b, lower, upper: _banded(ab, t, lower=lower, upper=upper),
    ),
    vjps=(
        lambda ct, y, ab, _b, lower, upper: -_outer(_solved_turned(ab, ct, lower, upper), y, lower, upper),
        lambda ct, _y, ab, _b, lower, upper: _solved_turned(ab, ct, lower, upper),
    ),
    linear_args=frozenset({1}),
    samples=_samples,
    batch=each,
    shape=lambda ab, b, lower, upper: Spec(shape_of(b), np.result_type(dtype_of(ab), dtype_of(b))),
)


def _solved_turned(ab: Any, b: Any, lower: int, upper: int) -> Any:
    return _banded(_turned(ab, lower, upper), b, lower=upper, upper=lower)


def _arguments(name: str, ab: Any, b: Any, rows: int | None, check_finite: bool) -> tuple[Any, Any, bool]:
    ab, b = matrices(name, ab, "ab"), numbers(name, b, "b")
    check_finite_values(name, check_finite, ab, b)
    vector = len(shape_of(b)) == 1
    if len(shape_of(ab)) != 2 or len(shape_of(b)) > 2 or shape_of(b)[:1] != shape_of(ab)[1:]:
        raise ValueError(
            f"{name}: ab {describe(ab)} and b {describe(b)} do not fit; one column of ab for each row of b."
        )
    if rows is not None and rows != shape_of(ab)[0]:
        raise ValueError(f"{name}: l + u + 1 = {rows} diagonals need as many rows of ab, not {describe(ab)}.")
    return ab, (np.reshape(b, (-1, 1)) if vector else b), vector


@mirrors(sl.solve_banded)
def solve_banded(
    l_and_u: Any,
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """Solution with a banded matrix, in a time and a memory that grow with the band and not with the square.

    Examples
    --------
    >>> from autodiff import grad
    >>> ab = np.array([[0.0, 1.0], [2.0, 2.0], [1.0, 0.0]])  # [[2, 1], [1, 2]]
    >>> grad(lambda b: solve_banded((1, 1), ab, b)[0])(np.ones(2))
    array([ 0.66666667, -0.33333333])
    """
    lower, upper = (int(n) for n in l_and_u)
    ab, b, vector = _arguments("scipy.linalg.solve_banded", ab, b, lower + upper + 1, check_finite)
    x = _banded(ab, b, lower=lower, upper=upper)
    return x[:, 0] if vector else x


@mirrors(sl.solveh_banded)
def solveh_banded(
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    lower: bool = False,
    check_finite: bool = True,
) -> Any:
    """Solution with a positive definite banded matrix, of which the upper (`lower`: the lower) diagonals are given."""
    ab, b, vector = _arguments("scipy.linalg.solveh_banded", ab, b, None, check_finite)
    value = all_values(ab)
    if not isinstance(value, Tracer) and value.ndim == 2:
        sl.cholesky_banded(value, lower=lower)  # raises if the matrix is not positive definite
    width = shape_of(ab)[0] - 1
    main = np.real(ab[0 if lower else width]).astype(dtype_of(ab))[None]  # as LAPACK reads it
    rest = ab[1:] if lower else ab[:width]
    if not width:
        whole = main
    elif lower:
        above = [_moved(conjugated(rest[d - 1]), -d) for d in range(width, 0, -1)]
        whole = np.concatenate([np.stack(above), main, rest], axis=0)
    else:
        below = [_moved(conjugated(rest[width - d]), d) for d in range(1, width + 1)]
        whole = np.concatenate([rest, main, np.stack(below)], axis=0)
    x = _banded(whole, b, lower=width, upper=width)
    return x[:, 0] if vector else x
