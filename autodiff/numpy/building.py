"""Functions that make arrays of numbers: NumPy's cannot dispatch on the traced ones among them.

``np.sin(x)`` sees that `x` is traced, but ``np.array([x, 1.0])`` does not look inside its list before it reads
numbers, so it is an error. The functions here have NumPy's names, signatures and results, and accept traced
values anywhere. On plain arrays and numbers they call NumPy.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.backend import array_of, is_array, made, on_host
from autodiff.core.errors import describe, missing_rule, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import Tracer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

__all__ = [
    "array",
    "asanyarray",
    "asarray",
    "asarray_chkfinite",
    "ascontiguousarray",
    "asfortranarray",
    "c_",
    "first_traced",
    "full",
    "full_like",
    "is_traced",
    "r_",
]


def array(
    object: ArrayLike | Any,  # noqa: A002 - NumPy's name
    dtype: DTypeLike | None = None,
    *,
    copy: bool | None = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    like: Any = None,
    **others: Any,
) -> Any:
    """Make an array of numbers, arrays and nested lists of them, any of which may be traced.

    Parameters
    ----------
    object : array, number, or nested list or tuple of them
        The entries; those of one list must have equal shapes.
    dtype : dtype-like, optional
        Dtype of the result; by default the one to which NumPy promotes the entries. As in ``np.array``, a
        Python float among float32 entries makes the result float64, unless `dtype` says otherwise.
    copy : bool or None
        Whether an array that needs no change is copied; False: an error if it does need one.
    order, subok, like
        As in ``np.array``; traced arrays have no memory layout and no subclasses, so they pay no heed to them.
    ndmin : int
        Axes of length 1 are put in front until there are so many.
    **others
        What newer versions of NumPy take beside these (`ndmax`), for what is not traced.

    Returns
    -------
    array
        What ``np.array(object, dtype)`` gives for the values; traced if an entry is.

    Raises
    ------
    ValueError
        If the shapes of the entries differ, or ``copy=False`` cannot be.
    MissingRuleError
        If entries are traced and there are `others`.

    Examples
    --------
    >>> import autodiff
    >>> rotate = lambda a: array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    >>> autodiff.jacfwd(rotate)(0.0)
    array([[-0., -1.],
           [ 1., -0.]])
    """
    if is_traced(object):
        if others:
            raise missing_rule("np.array", f" with the keywords {sorted(others)}")
        y = _build(object, dtype, copy, "array")
        return y if y.ndim >= ndmin else np.reshape(y, (1,) * (ndmin - y.ndim) + y.shape)
    others = others if like is None else {"like": like, **others}
    return np.array(object, dtype, copy=copy, order=order, subok=subok, ndmin=ndmin, **others)


with contextlib.suppress(ValueError):  # before NumPy 2.4 it has none
    array.__signature__ = inspect.signature(np.array)  # type: ignore[attr-defined]


@functools.wraps(np.asarray)
def asarray(
    a: ArrayLike | Any, dtype: DTypeLike | None = None, order: Any = None, *, copy: bool | None = None, **others: Any
) -> Any:
    """As NumPy's, whose documentation this function shows."""
    if is_traced(a):
        return _build(a, dtype, copy, "asarray")
    return np.asarray(a, dtype, order, copy=copy, **others)


@functools.wraps(np.asanyarray)
def asanyarray(
    a: ArrayLike | Any, dtype: DTypeLike | None = None, order: Any = None, *, copy: bool | None = None, **others: Any
) -> Any:
    """As NumPy's, whose documentation this function shows."""
    if is_traced(a):
        return _build(a, dtype, copy, "asanyarray")
    return np.asanyarray(a, dtype, order, copy=copy, **others)


@functools.wraps(np.ascontiguousarray)
def ascontiguousarray(a: ArrayLike | Any, dtype: DTypeLike | None = None, **others: Any) -> Any:
    """As NumPy's, whose documentation this function shows."""
    return np.atleast_1d(asarray(a, dtype)) if is_traced(a) else np.ascontiguousarray(a, dtype, **others)


@functools.wraps(np.asfortranarray)
def asfortranarray(a: ArrayLike | Any, dtype: DTypeLike | None = None, **others: Any) -> Any:
    """As NumPy's, whose documentation this function shows."""
    return np.atleast_1d(asarray(a, dtype)) if is_traced(a) else np.asfortranarray(a, dtype, **others)


@functools.wraps(np.asarray_chkfinite)
def asarray_chkfinite(a: ArrayLike | Any, dtype: DTypeLike | None = None, order: Any = None) -> Any:
    """As NumPy's, whose documentation this function shows."""
    if not is_traced(a):
        return np.asarray_chkfinite(a, dtype, order)
    a = asarray(a, dtype)
    if not np.all(np.isfinite(a)):
        raise ValueError("asarray_chkfinite: the array must not contain infinities or NaNs")
    return a


@functools.wraps(np.full)
def full(shape: Any, fill_value: Any, dtype: DTypeLike | None = None, order: Any = "C", **others: Any) -> Any:
    """As NumPy's, whose documentation this function shows."""
    if not is_traced(fill_value):
        return np.full(shape, fill_value, dtype, order, **others)
    return np.copy(np.broadcast_to(asarray(fill_value, dtype), shape))


@functools.wraps(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", *others: Any, **more: Any) -> Any:
    """As NumPy's, whose documentation this function shows."""
    if not is_traced(fill_value):
        return np.full_like(a, fill_value, dtype, order, *others, **more)
    shape = others[1] if len(others) > 1 else more.get("shape")
    return full(np.shape(a) if shape is None else shape, fill_value, dtype_of(a) if dtype is None else dtype)


class _Joiner:
    """``np.r_`` and ``np.c_`` for traced values: ``r_[x, 0.0, y]``.

    NumPy is asked where each entry goes (it joins positions in place of values), and the values are put there.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.jacfwd(lambda x: r_[x, 1.0, 2 * x])(np.array([3.0, 4.0]))
    array([[1., 0.],
           [0., 1.],
           [0., 0.],
           [2., 0.],
           [0., 2.]])
    """

    def __init__(self, joiner: Any, name: str) -> None:
        self._joiner = joiner
        self._name = name
        self.__doc__ = joiner.__doc__

    def __getitem__(self, key: Any) -> Any:
        items = key if isinstance(key, tuple) else (key,)
        if not any(map(is_traced, items)):
            return self._joiner[key]
        return self._traced(items)

    def _traced(self, items: tuple[Any, ...]) -> Any:
        parts: list[Any] = []
        positions: list[Any] = []
        kinds: list[Any] = []
        count = 0
        for item in items:
            if isinstance(item, str):
                if "r" in item or "c" in item:
                    raise missing_rule(f"np.{self._name}", f" with {item!r}, which makes a matrix")
                positions.append(item)
                continue
            part = np.r_[item] if isinstance(item, slice) else asarray(item)
            kinds.append(item if isinstance(item, (int, float, complex)) else part.dtype)
            parts.append(np.ravel(part))
            positions.append(np.arange(count, count + part.size).reshape(part.shape))
            count += part.size
        y = np.concatenate(parts)[self._joiner[tuple(positions)]]
        return asarray(y, np.result_type(*kinds))

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"<{__name__}.{self._name}>"


r_ = _Joiner(np.r_, "r_")
c_ = _Joiner(np.c_, "c_")


def is_traced(x: Any) -> bool:
    """Whether `x` is a traced value, or a list or tuple that holds one."""
    if isinstance(x, (list, tuple)):
        return any(map(is_traced, x))
    return isinstance(x, Tracer)


def first_traced(x: Any) -> Any:
    """Return the first traced value in nested lists and tuples, None if there is none."""
    if isinstance(x, (list, tuple)):
        return next((found for found in map(first_traced, x) if found is not None), None)
    return x if isinstance(x, Tracer) else None


def _build(x: Any, dtype: Any, copy: bool | None, name: str) -> Any:
    y = _stacked(x)
    if dtype is not None and y.dtype != np.dtype(dtype):
        y = y.astype(dtype)
    if y is not x and copy is False:
        raise ValueError(
            f"autodiff.numpy.{name}: copy=False, but the array has to be made anew{user_line()}; use copy=None."
        )
    return np.copy(y) if y is x and copy else y


def _stacked(x: Any, like: Any = None) -> Any:
    if not is_traced(x):
        return np.asarray(x) if on_host(like) else _placed(x, like)
    if isinstance(x, Tracer):
        return x
    like = first_traced(x) if like is None else like
    parts = [_stacked(part, like) for part in x]
    if any(shape_of(part) != shape_of(parts[0]) for part in parts):
        raise ValueError(
            f"autodiff.numpy.array: a list holds {', '.join(dict.fromkeys(map(describe, parts)))}{user_line()}; the "
            "entries of one list must have one shape (np.concatenate joins parts of different lengths)."
        )
    return np.stack(parts)


def _placed(x: Any, like: Any) -> Any:
    """Return an entry that is not traced where the traced one `like` lives: numbers alone may go there."""
    if isinstance(x, (list, tuple)) and not _numbers(x):
        return np.stack([_placed(part, like) for part in x])
    return array_of(x) if is_array(x) else made(np.asarray, like, x)


def _numbers(x: Any) -> bool:
    """Whether nested lists hold numbers alone."""
    return all(map(_numbers, x)) if isinstance(x, (list, tuple)) else isinstance(x, (int, float, complex, np.generic))
