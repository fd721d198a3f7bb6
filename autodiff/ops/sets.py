"""Sets of values: each value of a result is an entry of an argument, which gets its adjoint."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import implements
from autodiff.core.spec import dtype_of
from autodiff.ops.joining import as_array, concatenate
from autodiff.ops.selection import _known

__all__ = ["intersect1d", "setdiff1d", "setxor1d", "sort_complex", "union1d"]


@implements(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    """Values that either array has; of those in both, the entry of the first."""
    return np.unique(concatenate([as_array(ar1), as_array(ar2)], axis=None))


@implements(np.intersect1d)
def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """Values that both arrays have, as entries of the first."""
    a, b = as_array(ar1), as_array(ar2)
    first, second = (_known("np.intersect1d", v) for v in (a, b))
    _, i, j = np.intersect1d(first, second, assume_unique, return_indices=True)
    dtype = np.result_type(dtype_of(a), dtype_of(b))
    values = (np.ravel(a) if i.size else np.zeros(1))[i].astype(dtype)
    return (values, i, j) if return_indices else values


@implements(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Values of the first array that the second has not."""
    a = np.ravel(as_array(ar1)) if assume_unique else np.unique(as_array(ar1))
    return a[~np.isin(_known("np.setdiff1d", a), _known("np.setdiff1d", ar2))]


@implements(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Values that one of the arrays has, and the other has not."""
    a, b = (np.ravel(as_array(v)) if assume_unique else np.unique(as_array(v)) for v in (ar1, ar2))
    both = concatenate([a, b])
    known = _known("np.setxor1d", both)
    order = np.argsort(known, kind="stable")
    new = np.concatenate([[True], known[order][1:] != known[order][:-1], [True]])
    return both[order[new[1:] & new[:-1]]]


def _of_unique(name: str) -> Any:
    function = getattr(np, name)

    def unique(x: Any) -> Any:
        """Different values, each taken from the first entry that has it; the rest are constants."""
        x = as_array(x)
        known = _known(f"np.{name}", x)
        plain = function(known)
        if name == "unique_values":  # in an order of its own
            order = np.argsort(np.argsort(plain))
            return np.ravel(x)[np.unique_all(known).indices][order]
        return plain._replace(values=np.ravel(x)[np.unique_all(known).indices])

    return implements(function)(unique)


for _name in ("unique_all", "unique_counts", "unique_inverse", "unique_values"):
    _of_unique(_name)


@implements(np.sort_complex)
def sort_complex(a: Any) -> Any:
    """Sort by the real part, then the imaginary part; the result is complex."""
    b = np.sort(a)
    return b if dtype_of(b).kind == "c" else b.astype(np.sort_complex(np.zeros(0, dtype_of(b))).dtype)
