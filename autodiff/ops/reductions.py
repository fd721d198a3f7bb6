"""Reductions over axes: sums and means, products, variances, and their versions that ignore NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer, concrete, constant, implements, install_method, linear
from autodiff.core.backend import foreign, made
from autodiff.core.batching import along
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.kinks import kink
from autodiff.ops.portable import reduced_by

__all__ = ["average", "mean", "prod", "std", "sum", "var"]

#: What libraries that wrap NumPy pass for a keyword that their own caller left out.
NOT_GIVEN = getattr(np, "_NoValue", None)


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the reduced axes as positions; None means all."""
    if axis is None or (ndim == 0 and axis in {0, -1}):  # NumPy lets a scalar have an axis
        return tuple(range(ndim))
    return np.lib.array_utils.normalize_axis_tuple(axis, ndim)


def reduced_shape(shape: tuple[int, ...], axis: Any, keepdims: bool = False) -> tuple[int, ...]:
    """Shape after a reduction over `axis` (None: all)."""
    axes = axes_of(axis, len(shape))
    if keepdims:
        return tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return tuple([n for i, n in enumerate(shape) if i not in axes])


def flag(keepdims: Any) -> bool:
    """Return `keepdims` as a boolean; NumPy's mark for "not given" is no."""
    return keepdims is not NOT_GIVEN and bool(keepdims)


def count_of(shape: tuple[int, ...], axis: Any) -> int:
    """Number of elements that go into each result."""
    n = 1
    for i in axes_of(axis, len(shape)):
        n *= shape[i]
    return n


def spread(ct: Any, shape: tuple[int, ...], axis: Any, keepdims: bool = False) -> Any:
    """Transpose of a sum, not yet broadcast: the sweep expands an adjoint only where positions matter."""
    if keepdims or axis is None:
        return ct
    return np.reshape(ct, reduced_shape(shape, axis, keepdims=True))


def reduction_samples(rng: np.random.Generator) -> list[Sample]:
    """Samples for a reduction with an axis: every form of it, 0-d and empty."""
    x = rng.uniform(0.3, 2.0, size=(2, 3, 4))
    forms = [Sample((x,), {"axis": axis, "keepdims": k}) for axis in (None, 0, -1, (0, 2), ()) for k in (False, True)]
    return [
        *forms,
        Sample((rng.uniform(size=()),), {"axis": None, "keepdims": False}),
        Sample((np.zeros((0, 3)),), {"axis": 1, "keepdims": False}),
    ]


def masked(a: Any, where: Any, fill: Any) -> Any:
    """Return the array with `fill` where the reduction must not look."""
    return a if where is True else np.where(where, a, dtype_of(a).type(fill))


# -- sum and mean --------------------------------------------------------------------------------------------


def _sum_dtype(x: Any) -> Any:
    """Dtype of a sum or product: small integers are widened."""
    return np.add.reduce(np.zeros(1, dtype_of(x))).dtype


_sum = linear(
    np.add.reduce,
    lambda ct, _y, _x, axis, keepdims: spread(ct, shape_of(_x), axis, keepdims),
    name="sum",
    structural=True,
    samples=reduction_samples,
    shape=lambda x, axis, keepdims: Spec(reduced_shape(x.shape, axis, keepdims), _sum_dtype(x)),
    batch=along("axis"),
)


@implements(np.sum)
def sum(  # noqa: A001 - NumPy's name
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = 0,
    where: Any = True,
) -> Any:
    """Sum over axes."""
    if where is True and dtype is None and out is None and type(initial) is int and initial == 0:
        return _sum(as_array(a), axis=axis, keepdims=keepdims is not False and flag(keepdims))
    if out is not None:  # of the method: the function comes back without it
        return np.sum(a, axis, dtype, out, keepdims, initial, where)
    a = masked(as_array(a), where, 0)
    if dtype is not None:
        a = a.astype(dtype)
    y = _sum(a, axis=axis, keepdims=flag(keepdims))
    return y if _is(initial, 0) else y + starting(initial, y)


def _is(initial: Any, identity: int) -> bool:
    """Whether the starting value changes nothing."""
    return initial is None or initial is NOT_GIVEN or (isinstance(initial, (int, float)) and initial == identity)


def starting(initial: Any, y: Any) -> Any:
    """Return the starting value of a reduction in the dtype of its result, as NumPy does; a Python number has none."""
    lossless = dtype_of(y).kind == "c" or (dtype_of(y).kind == "f" and dtype_of(initial).kind != "c")
    return initial.astype(dtype_of(y)) if lossless and hasattr(initial, "astype") else initial


def as_array(a: Any) -> Any:
    """Return a list of traced values as one traced array."""
    return np.stack([as_array(x) for x in a]) if isinstance(a, (list, tuple)) else a


def _mean_value(x: Any, axis: Any, keepdims: bool) -> Any:
    """NumPy's mean without its Python layer, where that would compute the same."""
    shape = shape_of(x)
    n = count_of(shape, axis)
    if n == 0 or dtype_of(x).kind not in "fc" or dtype_of(x) == np.float16:
        return np.mean(x, axis=axis, keepdims=keepdims)
    y: Any = np.add.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
    return np.true_divide(y, n, out=y) if type(y) is np.ndarray else y / n if foreign(y) else y.dtype.type(y / n)


_mean = linear(
    _mean_value,
    lambda ct, _y, _x, axis, keepdims: spread(ct / count_of(shape_of(_x), axis), shape_of(_x), axis, keepdims),
    name="mean",
    structural=True,
    samples=lambda rng: [s for s in reduction_samples(rng) if s.args[0].size],
    shape=lambda x, axis, keepdims: Spec(
        reduced_shape(x.shape, axis, keepdims), x.dtype if x.dtype.kind in "fc" else np.float64
    ),
    batch=along("axis"),
)


@implements(np.mean)
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True
) -> Any:
    """Arithmetic mean over axes."""
    if out is not None:
        return np.mean(a, axis, dtype, out, keepdims, where=where)
    a = as_array(a)
    if dtype is not None:
        a = a.astype(dtype)
    if where is True:
        return _mean(a, axis=axis, keepdims=flag(keepdims))
    return sum(a, axis, keepdims=keepdims, where=where) / _counted(a, axis, flag(keepdims), where)


def _counted(a: Any, axis: Any, keepdims: bool, where: Any) -> Any:
    """How many elements `where` lets into each result, in the dtype of the array."""
    count = np.sum(np.broadcast_to(where, shape_of(a)), axis=axis, keepdims=keepdims)
    return count.astype(_real_dtype(a))


def _real_dtype(a: Any) -> Any:
    return np.zeros(0, dtype_of(a)).real.dtype


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    """Weighted mean; the weights may be traced as well."""
    a, keepdims = as_array(a), flag(keepdims)
    if axis is not None:
        axis = axes_of(axis, len(shape_of(a)))
    if weights is None:
        y = mean(a, axis, keepdims=keepdims)
        scale: Any = np.full(shape_of(y), count_of(shape_of(a), axis), dtype_of(y))[()]
        return (y, scale) if returned else y
    w = as_array(weights)
    if shape_of(w) != shape_of(a):
        if axis is None:
            raise TypeError(
                f"np.average: axis must be given, as the shapes differ: a {shape_of(a)}, weights {shape_of(w)}."
            )
        if shape_of(w) != tuple(shape_of(a)[i] for i in axis):
            raise ValueError(f"np.average: weights {shape_of(w)} do not fit axis {axis} of a {shape_of(a)}.")
        order = np.argsort(axis)
        w = np.reshape(np.transpose(w, order), [n if i in axis else 1 for i, n in enumerate(shape_of(a))])
        w = np.broadcast_to(w, shape_of(a))
    scale = np.sum(w, axis=axis, keepdims=keepdims)
    total = concrete(scale)
    if not isinstance(total, Tracer) and np.any(total == 0.0):
        raise ZeroDivisionError("np.average: the weights sum to zero, so they cannot be normalised.")
    y = np.sum(a * w, axis=axis, keepdims=keepdims) / scale
    return (y, np.broadcast_to(scale, shape_of(y))) if returned else y


# -- products ------------------------------------------------------------------------------------------------


def _without_own(x: Any, axis: Any) -> Any:
    """Product, for each entry, of all others in its line: those before times those after. Zeros are no exception."""
    shape = shape_of(x)
    axes = axes_of(axis, len(shape))
    kept = [i for i in range(len(shape)) if i not in axes]
    order = (*kept, *axes)
    moved = tuple([shape[i] for i in order])
    rows = np.reshape(np.transpose(x, order), (*moved[: len(kept)], count_of(shape, axes)))
    ends = made(np.ones, x, (*moved[: len(kept)], min(shape_of(rows)[-1], 1)), dtype_of(x))
    before = np.concatenate([ends, np.cumprod(rows[..., :-1], axis=-1)], axis=-1)
    after = np.concatenate([ends, np.cumprod(rows[..., :0:-1], axis=-1)], axis=-1)[..., ::-1]
    return np.transpose(np.reshape(before * after, moved), np.argsort(order).tolist())


_prod = Operation(
    "prod",
    np.multiply.reduce,
    jvps=(lambda t, _y, x, axis, keepdims: np.sum(t * _without_own(x, axis), axis=axis, keepdims=keepdims),),
    vjps=(lambda ct, _y, x, axis, keepdims: spread(ct, shape_of(x), axis, keepdims) * _without_own(x, axis),),
    samples=lambda rng: [
        *reduction_samples(rng),
        Sample((np.array([[0.5, 0.0, 2.0], [0.0, 1.5, 0.0], [1.0, 2.0, 3.0]]),), {"axis": 1, "keepdims": False}),
    ],
    shape=lambda x, axis, keepdims: Spec(reduced_shape(x.shape, axis, keepdims), _sum_dtype(x)),
    batch=along("axis"),
)


@implements(np.prod)
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = 1,
    where: Any = True,
) -> Any:
    """Product over axes; its derivatives are right through any number of zeros."""
    if out is not None:
        return np.prod(a, axis, dtype, out, keepdims, initial, where)
    a = masked(as_array(a), where, 1)
    if dtype is not None:
        a = a.astype(dtype)
    y = _prod(a, axis=axis, keepdims=flag(keepdims))
    return y if _is(initial, 1) else y * starting(initial, y)


# -- variance ------------------------------------------------------------------------------------------------


def _squared(d: Any) -> Any:
    return d * d if dtype_of(d).kind != "c" else np.real(d) ** 2 + np.imag(d) ** 2


@implements(np.var)
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """Variance over axes: the mean squared distance from the mean."""
    if out is not None:
        return np.var(a, axis, dtype, out, ddof, keepdims, where=where)
    a = as_array(a)
    if dtype is not None:
        a = a.astype(dtype)
    if correction is not None and correction is not NOT_GIVEN:
        if ddof != 0:
            raise ValueError("np.var: ddof and correction are two names of the same number; give one.")
        ddof = correction
    centre = _centre(a, axis, where) if mean is None or mean is NOT_GIVEN else mean
    squares = sum(_squared(a - centre), axis, keepdims=keepdims, where=where)
    n: Any = count_of(shape_of(a), axis) if where is True else _counted(a, axis, flag(keepdims), where)
    y = squares / np.maximum(n - ddof, 0)
    return y.astype(_real_dtype(a)) if dtype_of(y) != _real_dtype(a) else y


def _centre(a: Any, axis: Any, where: Any) -> Any:
    """Mean that a variance is taken about: in float16 NumPy sums it in that dtype, unlike `mean`."""
    if dtype_of(a) != np.float16 or where is not True:
        return mean(a, axis, keepdims=True, where=where)
    return sum(a, axis, keepdims=True) / count_of(shape_of(a), axis)


@implements(np.std)
def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """Standard deviation over axes; by convention its derivative for a constant array is 0."""
    if out is not None:
        return np.std(a, axis, dtype, out, ddof, keepdims, where=where)
    v = var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction)
    if where is True and mean is None and math.prod(shape_of(a)[i] for i in axes_of(axis, len(shape_of(a)))) == 1:
        return v  # of one entry: 0 wherever it is, and so are all derivatives
    return np.where(v == 0, kink(v), np.sqrt(v))


# -- versions that ignore NaN --------------------------------------------------------------------------------


def _present(a: Any) -> Any:
    return np.logical_not(np.isnan(a))


@implements(np.nansum)
def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = 0,
    where: Any = True,
) -> Any:
    """Sum, with NaN as 0."""
    a = as_array(a)
    return sum(masked(a, _present(a), 0), axis, dtype, out, keepdims, initial, where)


@implements(np.nanprod)
def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = 1,
    where: Any = True,
) -> Any:
    """Product, with NaN as 1."""
    a = as_array(a)
    return prod(masked(a, _present(a), 1), axis, dtype, out, keepdims, initial, where)


def _and_present(a: Any, where: Any) -> Any:
    return _present(a) if where is True else np.logical_and(where, _present(a))


@implements(np.nanmean)
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True
) -> Any:
    """Mean of the elements that are not NaN."""
    a = as_array(a)
    return mean(a, axis, dtype, out, keepdims, where=_and_present(a, where))


@implements(np.nanvar)
def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """Variance of the elements that are not NaN."""
    a = as_array(a)
    return var(a, axis, dtype, out, ddof, keepdims, where=_and_present(a, where), mean=mean, correction=correction)


@implements(np.nanstd)
def nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """Standard deviation of the elements that are not NaN."""
    a = as_array(a)
    return std(a, axis, dtype, out, ddof, keepdims, where=_and_present(a, where), mean=mean, correction=correction)


# -- truth values and counts: constants ----------------------------------------------------------------------


def _constant_reduction(fn: Any, name: str, dtype: Any) -> Any:
    return constant(
        fn,
        name=name,
        shape=lambda x, axis=None, keepdims=False: Spec(reduced_shape(x.shape, axis, keepdims), dtype),
        batch=along("axis"),
    )


_all = _constant_reduction(reduced_by(np.logical_and, np.all), "all", bool)
_any = _constant_reduction(reduced_by(np.logical_or, np.any), "any", bool)
_count_nonzero = _constant_reduction(np.count_nonzero, "count_nonzero", np.intp)


@implements(np.all)
def all(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:  # noqa: A001
    """Whether all elements are true."""
    if out is not None:
        return np.all(a, axis, out, keepdims, where=where)
    return _all(a if where is True else np.logical_or(a, np.logical_not(where)), axis=axis, keepdims=flag(keepdims))


@implements(np.any)
def any(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:  # noqa: A001
    """Whether any element is true."""
    if out is not None:
        return np.any(a, axis, out, keepdims, where=where)
    return _any(a if where is True else np.logical_and(a, where), axis=axis, keepdims=flag(keepdims))


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """Count elements that are not zero."""
    return _count_nonzero(a, axis=axis, keepdims=flag(keepdims))


for _name, _function in (
    ("sum", sum), ("mean", mean), ("prod", prod), ("var", var), ("std", std), ("all", all), ("any", any),
):  # fmt: skip
    install_method(_name, _function)
