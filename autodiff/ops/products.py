"""Products of arrays: matmul and everything in NumPy that is made of it.

`matmul` is the one primitive; its two transposes are again products, one BLAS call each for matrices. `dot`,
`inner`, `tensordot`, `vdot` ... arrange their operands and call it. No product conjugates by itself: `vdot`,
`vecdot` and `vecmat` apply `np.conjugate` first.
"""

from __future__ import annotations

import math
import operator
import warnings
from typing import Any

import numpy as np

from autodiff.core import UFUNCS, Sample, Spec, Tracer, implements, install_method, install_operator, multilinear
from autodiff.core.backend import array_of, foreign, made
from autodiff.core.batching import aligned, stacked
from autodiff.core.errors import describe
from autodiff.core.operation import Binary, Operation
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.compiled import product

__all__ = ["cross", "dot", "inner", "kron", "matmul", "outer", "tensordot", "vdot", "vecdot"]


def as_array(x: Any) -> Any:
    """Return a list or a number as an array; arrays and tracers as they are."""
    return x if isinstance(x, (np.ndarray, Tracer, np.generic)) or foreign(x) else array_of(x)


def conjugated(x: Any) -> Any:
    """Conjugate; a real array is returned as it is."""
    return np.conjugate(x) if dtype_of(x).kind == "c" else x


def swapped(x: Any) -> Any:
    """Matrix transpose of a stack of matrices."""
    n = x.ndim
    return x.mT if type(x) is np.ndarray else np.transpose(x, (*range(n - 2), n - 1, n - 2))


# -- matmul --------------------------------------------------------------------------------------------------


def matmul_shape(a: Any, b: Any) -> Spec:
    """Shape and dtype of ``a @ b``."""
    sa, sb = shape_of(a), shape_of(b)
    if not sa or not sb or sa[-1] != sb[-2 if len(sb) > 1 else 0]:
        raise ValueError(
            f"matmul: shapes {sa} and {sb} do not match; the last axis of the first operand is summed "
            "with the last but one (of a vector: the only one) of the second."
        )
    batch = np.broadcast_shapes(sa[:-2], sb[:-2])
    return Spec(
        batch + (sa[-2:-1] if len(sa) > 1 else ()) + (sb[-1:] if len(sb) > 1 else ()),
        np.result_type(dtype_of(a), dtype_of(b)),
    )


def _left(ct: Any, _y: Any, _a: Any, b: Any) -> Any:
    """Transpose with respect to the first operand: ``ct @ b.T``."""
    if ct.ndim == 2 == b.ndim:
        return product(ct, b.T)
    na, nb = _a.ndim, b.ndim
    if nb == 1:
        return ct * b if na == 1 else np.reshape(ct, (*ct.shape, 1)) * b
    if na == 1:
        return b @ ct if nb == 2 else np.reshape(b @ np.reshape(ct, (*ct.shape, 1)), b.shape[:-1])
    if na == 2:  # one matrix for the whole stack: one product that also sums over the stack
        axes = (*range(nb - 2), nb - 1)
        return tensordot(ct, b, (axes, axes))
    return product(ct, swapped(b))


def _right(ct: Any, _y: Any, a: Any, _b: Any) -> Any:
    """Transpose with respect to the second operand: ``a.T @ ct``."""
    if ct.ndim == 2 == a.ndim:
        return product(a.T, ct)
    na, nb = a.ndim, _b.ndim
    if na == 1:
        return ct * a if nb == 1 else np.reshape(a, (a.size, 1)) * np.reshape(ct, (*ct.shape[:-1], 1, ct.shape[-1]))
    if nb == 1:
        return ct @ a if na == 2 else tensordot(ct, a, na - 1)
    if nb == 2:
        axes = tuple(range(na - 1))
        return tensordot(a, ct, (axes, axes))
    return product(swapped(a), ct)


def _matmul_samples(rng: np.random.Generator) -> list[Sample]:
    shapes = [
        ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 0), (0, 3)), ((0, 2), (2, 3)),
        ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)), ((2, 2, 3), (2, 3, 2)), ((2, 1, 2, 3), (3, 3, 1)),
        ((3,), (2, 3, 2)), ((2, 2, 3), (3,)), ((1, 2, 3), (2, 3, 2)), ((0,), (0,)),
    ]  # fmt: skip
    return [Sample((rng.normal(size=a), rng.normal(size=b))) for a, b in shapes]


def batch_matmul(call: Any, batched: Any, a: Any, b: Any) -> Any:
    """Products of all examples: one large product where an operand is shared."""
    na, nb = len(shape_of(a)) - batched[0], len(shape_of(b)) - batched[1]
    if na < 1 or nb < 1 or shape_of(a)[-1] != shape_of(b)[-1 if nb == 1 else -2]:
        one, two = (shape_of(x)[int(m) :] for x, m in zip((a, b), batched, strict=True))
        raise ValueError(f"matmul: the shapes {one} and {two} of one example do not fit.")
    if all(batched):
        return _batch_both(call, a, b, na, nb)
    return _batch_left(call, a, b, na, nb) if batched[0] else _batch_right(call, a, b, na, nb)


def _batch_left(call: Any, a: Any, b: Any, na: int, nb: int) -> Any:
    """Each example's `a` times one `b`."""
    if nb > 2 and na > 1:
        return call(aligned(a, nb - 2, 2), b)
    if nb > 2:  # vectors: one matrix of them for each matrix of the stack
        return np.moveaxis(call(a, b), -2, 0)
    if na == 1:
        return call(a, b)
    shape = shape_of(a)
    rows = np.reshape(a, (math.prod(shape[:-1]), shape[-1]))
    return np.reshape(call(rows, b), (*shape[:-1], *shape_of(b)[1:]))


def _batch_right(call: Any, a: Any, b: Any, na: int, nb: int) -> Any:
    """One `a` times each example's `b`."""
    if nb == 1:
        return call(b, a if na == 1 else np.transpose(a)) if na < 3 else np.moveaxis(call(a, np.transpose(b)), -1, 0)
    if nb > 2 or na > 2:
        return call(a, b if na < 2 else aligned(b, na - 2, 2))
    n, k, m = shape_of(b)
    columns = np.reshape(np.moveaxis(b, 1, 0), (k, n * m))
    y = np.reshape(call(a, columns), (*shape_of(a)[:-1], n, m))
    return y if na == 1 else np.moveaxis(y, 1, 0)


def _batch_both(call: Any, a: Any, b: Any, na: int, nb: int) -> Any:
    """Each example's `a` times its own `b`."""
    if na == nb == 1:
        return np.einsum("bi,bi->b", a, b)
    if na == 1:
        a = np.reshape(a, (shape_of(a)[0], 1, shape_of(a)[1]))
        return _without(call(aligned(a, nb - 2, 2), b), -2)
    if nb == 1:
        b = np.reshape(b, (*shape_of(b), 1))
        return _without(call(a, aligned(b, na - 2, 2)), -1)
    n = max(na, nb) - 2
    return call(aligned(a, n, 2), aligned(b, n, 2))


def _without(y: Any, axis: int) -> Any:
    """Drop an axis of length 1."""
    shape = list(shape_of(y))
    del shape[axis]
    return np.reshape(y, tuple(shape))


# The operator computes the value: it reaches the tracers of an outer transform directly, the ufunc does not.
_matmul = Binary(
    "matmul",
    product,
    jvps=(lambda t, _y, _a, b: product(t, b), lambda t, _y, a, _b: product(a, t)),
    vjps=(_left, _right),
    linear_args=frozenset({0, 1}),
    samples=_matmul_samples,
    shape=matmul_shape,
    batch=batch_matmul,
)
_matmul.call = product
install_operator("matmul", _matmul)


def matmul(a: Any, b: Any, /, *, axes: Any = None) -> Any:
    """Matrix product of the last two axes, with broadcasting of the others."""
    if axes is not None:
        (a, b), put = _core_axes(axes, a, b)
        return put(matmul(a, b))
    return _matmul(as_array(a), as_array(b))


def _core_axes(axes: Any, a: Any, b: Any) -> tuple[tuple[Any, Any], Any]:
    """Operands with the core axes of a ufunc's ``axes=`` moved last, and what moves those of the result back."""
    if len(axes) not in (2, 3):
        raise ValueError(f"axes={axes!r}: give the core axes of the two operands and of the result.")
    cores = [ax if isinstance(ax, tuple) else (ax,) for ax in axes]

    def put(y: Any) -> Any:
        core = cores[2] if len(cores) == 3 else ()
        return np.moveaxis(y, range(-len(core), 0), core) if core else y

    moved = [np.moveaxis(as_array(x), core, range(-len(core), 0)) for x, core in zip((a, b), cores, strict=False)]
    return (moved[0], moved[1]), put


def vecdot(a: Any, b: Any, /, *, axis: int = -1, axes: Any = None, keepdims: bool = False) -> Any:
    """Sum of ``conj(a) * b`` over an axis."""
    a, b = as_array(a), as_array(b)
    if axes is not None:
        if keepdims:
            raise TypeError("vecdot: axes= together with keepdims= has no derivative rule; use axis=.")
        (a, b), _ = _core_axes(axes, a, b)
    elif axis != -1:
        a, b = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    if not a.ndim or not b.ndim or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"vecdot: the axes that are summed differ: {describe(a)} and {describe(b)}.")
    y = np.einsum("...i,...i->...", conjugated(a), b) if a.ndim > 1 or b.ndim > 1 else conjugated(a) @ b
    return np.expand_dims(y, axis) if keepdims else y


def matvec(a: Any, b: Any, /, *, axes: Any = None) -> Any:
    """Stack of matrices times a stack of vectors."""
    a, b = as_array(a), as_array(b)
    if axes is not None:
        (a, b), put = _core_axes(axes, a, b)
        return put(matvec(a, b))
    if a.ndim < 2 or not b.ndim:
        raise ValueError(f"matvec: takes matrices and vectors, or stacks of them, not {describe(a)} and {describe(b)}.")
    if b.ndim < 2:
        return matmul(a, b)
    y = matmul(a, np.reshape(b, (*b.shape, 1)))
    return np.reshape(y, y.shape[:-1])


def vecmat(a: Any, b: Any, /, *, axes: Any = None) -> Any:
    """Stack of conjugated vectors times a stack of matrices."""
    a, b = as_array(a), as_array(b)
    if axes is not None:
        (a, b), put = _core_axes(axes, a, b)
        return put(vecmat(a, b))
    if b.ndim < 2 or not a.ndim:
        raise ValueError(f"vecmat: takes vectors and matrices, or stacks of them, not {describe(a)} and {describe(b)}.")
    if a.ndim < 2:
        return matmul(conjugated(a), b)
    y = matmul(np.reshape(conjugated(a), (*a.shape[:-1], 1, a.shape[-1])), b)
    return np.reshape(y, (*y.shape[:-2], y.shape[-1]))


UFUNCS[np.matmul] = matmul
for _name, _function in (("vecdot", vecdot), ("matvec", matvec), ("vecmat", vecmat)):
    if hasattr(np, _name):  # matvec and vecmat: NumPy 2.2
        UFUNCS[getattr(np, _name)] = _function


# -- the other products --------------------------------------------------------------------------------------


@implements(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    """Sum over the last axis of `a` and the last but one of `b`."""
    if out is not None:  # of the method: the function comes back without it
        return np.dot(a, b, out)
    a, b = as_array(a), as_array(b)
    if not a.ndim or not b.ndim:
        return a * b
    return _matmul(a, b) if b.ndim <= 2 else tensordot(a, b, (-1, -2))


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """Sum of ``conj(a) * b`` over all elements."""
    a, b = as_array(a), as_array(b)
    return _matmul(conjugated(np.reshape(a, (a.size,))), np.reshape(b, (b.size,)))


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """Sum over the last axes of both operands."""
    a, b = as_array(a), as_array(b)
    return tensordot(a, b, (-1, -1)) if a.ndim and b.ndim else a * b


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    """Every element of `a` times every element of `b`."""
    a, b = as_array(a), as_array(b)
    return np.reshape(a, (a.size, 1)) * np.reshape(b, (1, b.size))


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum over pairs of axes: one matrix product."""
    a, b = as_array(a), as_array(b)
    sum_a, sum_b = _paired_axes(a, b, axes)
    free_a = tuple(i for i in range(a.ndim) if i not in sum_a)
    free_b = tuple(i for i in range(b.ndim) if i not in sum_b)
    sa, sb = a.shape, b.shape
    shape = (*(sa[i] for i in free_a), *(sb[i] for i in free_b))
    y = _matmul(
        folded(
            a, free_a + sum_a, (math.prod(sa[i] for i in free_a),) * bool(free_a), (math.prod(sa[i] for i in sum_a),)
        ),
        folded(
            b, sum_b + free_b, (math.prod(sb[i] for i in sum_b),), (math.prod(sb[i] for i in free_b),) * bool(free_b)
        ),
    )
    return y if shape_of(y) == shape else np.reshape(y, shape)


def folded(x: Any, order: tuple[int, ...], *sizes: tuple[int, ...]) -> Any:
    """Permute the axes, then merge them; nothing is recorded for a step that changes nothing."""
    if order != tuple(range(x.ndim)):
        x = np.transpose(x, order)
    shape = sum(sizes, ())
    return x if x.shape == shape else np.reshape(x, shape)


def _paired_axes(a: Any, b: Any, axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Axes of each operand over which `tensordot` sums."""
    try:
        first, second = axes
    except TypeError:
        n = operator.index(axes)
        first, second = range(a.ndim - n, a.ndim), range(n)
        if n > min(a.ndim, b.ndim):
            raise ValueError(f"tensordot: cannot sum over {n} axes of {describe(a)} and {describe(b)}.") from None
    pairs = []
    for x, given in ((a, first), (b, second)):
        given = given if np.iterable(given) else (given,)  # noqa: PLW2901
        pairs.append(tuple(np.lib.array_utils.normalize_axis_index(operator.index(i), x.ndim) for i in given))
    sum_a, sum_b = pairs
    if [a.shape[i] for i in sum_a] != [b.shape[i] for i in sum_b] or len(set(sum_a)) != len(sum_a) != len(set(sum_b)):
        raise ValueError(
            f"tensordot: shape-mismatch for sum over axes {sum_a} of {describe(a)} and {sum_b} of {describe(b)}."
        )
    return sum_a, sum_b


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """Kronecker product."""
    a, b = as_array(a), as_array(b)
    n = max(a.ndim, b.ndim)
    sa, sb = (1,) * (n - a.ndim) + a.shape, (1,) * (n - b.ndim) + b.shape
    left = np.reshape(a, tuple(k for i in sa for k in (i, 1)))
    right = np.reshape(b, tuple(k for i in sb for k in (1, i)))
    return np.reshape(left * right, tuple(i * k for i, k in zip(sa, sb, strict=True)))


# -- cross ---------------------------------------------------------------------------------------------------


def _cross_values(a: Any, b: Any) -> Any:
    """Cross product along the last axis, which has three entries."""
    y = made(np.empty, a, np.broadcast_shapes(a.shape, b.shape), np.result_type(a, b))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.subtract(a[..., j] * b[..., k], a[..., k] * b[..., j], out=y[..., i])
    return y


_cross: Operation = multilinear(
    _cross_values,
    lambda ct, _y, _a, b: _cross(b, ct),
    lambda ct, _y, a, _b: _cross(ct, a),
    name="cross",
    samples=lambda rng: [
        Sample((rng.normal(size=a), rng.normal(size=b)))
        for a, b in (((3,), (3,)), ((2, 3), (2, 3)), ((2, 1, 3), (4, 3)), ((0, 3), (3,)))
    ],
    shape=lambda a, b: Spec(np.broadcast_shapes(a.shape, b.shape), np.result_type(a.dtype, b.dtype)),
    batch=stacked(1),
)


@implements(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Cross product of vectors with three entries (or two: the third is 0)."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = as_array(a), as_array(b)
    if not a.ndim or not b.ndim:
        raise ValueError("cross: at least one array has zero dimension")
    if axisa not in (-1, a.ndim - 1):
        a = np.moveaxis(a, axisa, -1)
    if axisb not in (-1, b.ndim - 1):
        b = np.moveaxis(b, axisb, -1)
    sizes = (a.shape[-1], b.shape[-1])
    pairs = np.lib.NumpyVersion(np.__version__) < "2.5.0"  # from then on NumPy takes vectors of three only
    if not ({2, 3} if pairs else {3}).issuperset(sizes):
        raise ValueError(
            f"cross: {describe(a)} and {describe(b)} are not 3-dimensional vectors{' (or 2-dimensional)' * pairs}; "
            "the last axis holds the components, unless axis= says another."
        )
    if 2 in sizes:
        warnings.warn(
            "np.cross of 2-dimensional vectors is deprecated (NumPy 2.0); use 3-dimensional vectors.",
            DeprecationWarning,
            stacklevel=2,
        )
        if sizes == (2, 2):
            return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
        a, b = _with_third(a), _with_third(b)
    y = _cross(a, b)
    return y if axisc in (-1, y.ndim - 1) else np.moveaxis(y, -1, axisc)


def _with_third(x: Any) -> Any:
    """Vectors of two entries with a third that is 0."""
    return x if x.shape[-1] == 3 else np.concatenate([x, made(np.zeros, x, (*x.shape[:-1], 1), x.dtype)], axis=-1)


# -- np.linalg's names ---------------------------------------------------------------------------------------


@implements(np.linalg.matmul)
def linalg_matmul(x1: Any, x2: Any, /) -> Any:
    """Matrix product."""
    return matmul(x1, x2)


@implements(np.linalg.vecdot)
def linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Sum of ``conj(x1) * x2`` over an axis."""
    return vecdot(x1, x2, axis=axis)


@implements(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    """Outer product of two vectors."""
    x1, x2 = as_array(x1), as_array(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(
            f"np.linalg.outer: input arrays must be one-dimensional, but they are {x1.ndim=} and {x2.ndim=}."
        )
    return outer(x1, x2)


@implements(np.linalg.tensordot)
def linalg_tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Sum over pairs of axes."""
    return tensordot(x1, x2, axes)


@implements(np.linalg.cross)
def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Cross product of vectors with three entries."""
    x1, x2 = as_array(x1), as_array(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(
            f"np.linalg.cross: both arrays must be (arrays of) 3-dimensional vectors, not {describe(x1)} "
            f"and {describe(x2)}."
        )
    return cross(x1, x2, axis=axis)


install_method("dot", dot)
