"""Functions of the standard that make arrays, and those about dtypes.

What they make is a plain array, except where a traced value goes into it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import autodiff.numpy as anp
from autodiff.array_api.devices import check_device
from autodiff.core.spec import dtype_of
from autodiff.core.tracer import Tracer

__all__ = [
    "arange",
    "asarray",
    "astype",
    "can_cast",
    "empty",
    "empty_like",
    "eye",
    "finfo",
    "from_dlpack",
    "full",
    "full_like",
    "iinfo",
    "isdtype",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "result_type",
    "tril",
    "triu",
    "zeros",
    "zeros_like",
]


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Any:
    """Evenly spaced numbers from `start` (or 0) up to, but without, `stop`."""
    check_device(device)
    start, stop = (0, start) if stop is None else (start, stop)
    return anp.arange(start, stop, step, dtype=dtype)


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """Make an array of numbers, arrays and nested lists of them; `copy` False forbids a copy, None allows it."""
    check_device(device)
    return anp.asarray(obj, dtype=dtype, copy=copy)


def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Make an array whose elements are not set."""
    check_device(device)
    return np.empty(shape, dtype=dtype)


def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Make an array of the shape of `x` whose elements are not set."""
    check_device(device)
    return np.empty_like(x, dtype=dtype)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Any:
    """Ones on diagonal `k`, zeros elsewhere."""
    check_device(device)
    return np.eye(n_rows, n_cols, k=k, dtype=dtype)


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Make an array of one value, which may be traced."""
    check_device(device)
    return anp.full(shape, fill_value, dtype=dtype)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Make an array of one value with the shape and dtype of `x`."""
    check_device(device)
    return anp.full_like(x, fill_value, dtype=dtype)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Any:
    """`num` evenly spaced numbers from `start` to `stop`."""
    check_device(device)
    return anp.linspace(start, stop, num, dtype=dtype, endpoint=endpoint)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Make an array of ones."""
    check_device(device)
    return np.ones(shape, dtype=dtype)


def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Make an array of ones with the shape and dtype of `x`."""
    check_device(device)
    return np.ones_like(x, dtype=dtype)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Make an array of zeros."""
    check_device(device)
    return np.zeros(shape, dtype=dtype)


def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Make an array of zeros with the shape and dtype of `x`."""
    check_device(device)
    return np.zeros_like(x, dtype=dtype)


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Any]:
    """Coordinate arrays from coordinate vectors."""
    return list(np.meshgrid(*arrays, indexing=indexing))  # type: ignore[call-overload]


def tril(x: Any, /, *, k: int = 0) -> Any:
    """Lower triangles of matrices: zeros above diagonal `k`."""
    return np.tril(x, k)


def triu(x: Any, /, *, k: int = 0) -> Any:
    """Upper triangles of matrices: zeros below diagonal `k`."""
    return np.triu(x, k)


def from_dlpack(x: Any, /, *, device: Any = None, copy: Any = None) -> Any:
    """Take over an array of another library; a traced one is handed on with its derivative."""
    check_device(device)
    if isinstance(x, Tracer):
        return np.copy(x) if copy else x
    return np.from_dlpack(x, device=device, copy=copy)


# -- dtypes --------------------------------------------------------------------------------------------------


class FloatInfo(NamedTuple):
    """Limits of a floating dtype, as Python numbers."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Any


class IntegerInfo(NamedTuple):
    """Limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: Any


def _as_dtype(x: Any) -> np.dtype[Any]:
    return np.dtype(x) if isinstance(x, (type, str, np.dtype)) else np.dtype(dtype_of(x))


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Cast an array to another dtype."""
    check_device(device)
    return x.astype(dtype, copy=copy)


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether promotion can lead from a dtype, or that of an array, to another dtype."""
    return bool(np.can_cast(_as_dtype(from_), to))


def finfo(type: Any, /) -> FloatInfo:  # noqa: A002
    """Limits of a floating dtype, or of the dtype of an array."""
    limits = np.finfo(_as_dtype(type))
    return FloatInfo(
        bits=int(limits.bits),
        eps=float(limits.eps),
        max=float(limits.max),
        min=float(limits.min),
        smallest_normal=float(limits.smallest_normal),
        dtype=np.dtype(limits.dtype),
    )


def iinfo(type: Any, /) -> IntegerInfo:  # noqa: A002
    """Limits of an integer dtype, or of the dtype of an array."""
    limits = np.iinfo(_as_dtype(type))
    return IntegerInfo(int(limits.bits), int(limits.max), int(limits.min), np.dtype(limits.dtype))


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind ("real floating", ...), or equals another, or any of a tuple of these."""
    return bool(np.isdtype(dtype, kind))


def result_type(*arrays_and_dtypes: Any) -> Any:
    """Dtype to which arrays, dtypes and Python numbers are promoted together."""
    return np.result_type(*arrays_and_dtypes)
