# ruff: noqa: ARG005 - the signatures are NumPy's
"""NumPy's functions in the words of the Python array API standard; see `autodiff.core.standard`.

Each takes the namespace first, then operands that are `Standard` arrays or numbers, and returns arrays of the
namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.standard import FUNCTIONS, METHODS, UFUNCS, Standard, raw

if TYPE_CHECKING:
    from collections.abc import Callable

__all__: list[str] = []

_ufunc: Any
_rule: Any
_function: Any


def _common(*operands: Any) -> Any:
    """Dtype that NumPy gives to operands together; Python numbers do not decide it."""
    return np.result_type(*[x.dtype if type(x) is Standard else x for x in operands])


def _promoting(name: str, *, floating: bool = False, boolean: bool = False) -> Callable[..., Any]:
    """Return a function of the namespace with NumPy's promotion, to floating numbers or booleans where it says so."""

    def rule(xp: Any, *operands: Any, dtype: Any = None) -> Any:
        common = np.dtype(dtype) if dtype is not None else _common(*operands)
        if floating and common.kind in "iub":
            common = np.dtype(np.float64)
        if boolean:
            common = np.dtype(bool)
        return getattr(xp, name)(*[raw(xp, x, common) for x in operands])

    return rule


for _ufunc, _name in (
    *((np.add, "add"), (np.subtract, "subtract"), (np.multiply, "multiply"), (np.power, "pow")),
    *((np.negative, "negative"), (np.positive, "positive"), (np.absolute, "abs"), (np.square, "square")),
    *((np.floor_divide, "floor_divide"), (np.remainder, "remainder"), (np.sign, "sign")),
    *((np.maximum, "maximum"), (np.minimum, "minimum"), (np.conjugate, "conj"), (np.matmul, "matmul")),
    *((np.equal, "equal"), (np.not_equal, "not_equal"), (np.less, "less"), (np.less_equal, "less_equal")),
    *((np.greater, "greater"), (np.greater_equal, "greater_equal"), (np.invert, "bitwise_invert")),
    *((np.bitwise_and, "bitwise_and"), (np.bitwise_or, "bitwise_or"), (np.bitwise_xor, "bitwise_xor")),
    *((np.floor, "floor"), (np.ceil, "ceil"), (np.trunc, "trunc"), (np.rint, "round")),
    *((np.isnan, "isnan"), (np.isinf, "isinf"), (np.isfinite, "isfinite")),
):
    UFUNCS[_ufunc] = _promoting(_name)
for _ufunc, _name in (
    *(
        (np.true_divide, "divide"),
        (np.sqrt, "sqrt"),
        (np.exp, "exp"),
        (np.expm1, "expm1"),
        (np.reciprocal, "reciprocal"),
    ),
    *((np.log, "log"), (np.log1p, "log1p"), (np.log2, "log2"), (np.log10, "log10"), (np.logaddexp, "logaddexp")),
    *((np.sin, "sin"), (np.cos, "cos"), (np.tan, "tan"), (np.sinh, "sinh"), (np.cosh, "cosh"), (np.tanh, "tanh")),
    *((np.arcsin, "asin"), (np.arccos, "acos"), (np.arctan, "atan"), (np.arctan2, "atan2")),
    *((np.arcsinh, "asinh"), (np.arccosh, "acosh"), (np.arctanh, "atanh")),
    *((np.hypot, "hypot"), (np.copysign, "copysign"), (np.nextafter, "nextafter"), (np.signbit, "signbit")),
):
    UFUNCS[_ufunc] = _promoting(_name, floating=True)
UFUNCS[np.reciprocal] = lambda xp, x: UFUNCS[np.true_divide](xp, 1, x)
UFUNCS[np.exp2] = lambda xp, x: UFUNCS[np.power](xp, 2.0, x)
UFUNCS[np.fabs] = UFUNCS[np.absolute]
for _ufunc in (np.logical_and, np.logical_or, np.logical_xor, np.logical_not):
    UFUNCS[_ufunc] = _promoting(_ufunc.__name__, boolean=True)


# -- reductions ----------------------------------------------------------------------------------------------


def _reduction(name: str, *, boolean: bool = False) -> Callable[..., Any]:
    def rule(xp: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False) -> Any:
        del out
        if not boolean and dtype is None and a.dtype.kind == "b":
            dtype = np.int64
        x = raw(xp, a, bool if boolean else dtype)
        given = {} if boolean or name in {"max", "min", "mean"} else {"dtype": x.dtype}
        if name in {"sum", "prod"} and a.dtype.kind in "iub" and dtype is None:
            given = {}
        return getattr(xp, name)(x, axis=_axes(axis), keepdims=keepdims is True, **given)

    return rule


def _axes(axis: Any) -> Any:
    return tuple(map(int, axis)) if isinstance(axis, (tuple, list)) else axis if axis is None else int(axis)


def _extremum(name: str) -> Callable[..., Any]:
    reduce, pair = _reduction(name), _promoting(f"{name}imum")

    def rule(
        xp: Any, a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, **rest: Any
    ) -> Any:
        del rest
        if initial is None or not isinstance(initial, (int, float, np.generic)):
            return reduce(xp, a, axis, None, out, keepdims)
        if not a.size:
            shape = np.max(
                np.broadcast_to(np.zeros(()), a.shape), axis=axis, keepdims=keepdims is True, initial=0
            ).shape
            return xp.full(shape, float(initial), dtype=a.raw.dtype)
        return pair(xp, Standard(reduce(xp, a, axis, None, out, keepdims)), initial)

    return rule


_sum, _prod, _mean = _reduction("sum"), _reduction("prod"), _reduction("mean")
_any, _all = _reduction("any", boolean=True), _reduction("all", boolean=True)


def _truth(rule: Callable[..., Any]) -> Callable[..., Any]:
    return lambda xp, a, axis=None, out=None, keepdims=False: rule(xp, a, axis, None, out, keepdims)


def _moment(name: str) -> Callable[..., Any]:
    def rule(
        xp: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False
    ) -> Any:
        del dtype, out
        return getattr(xp, name)(a.raw, axis=_axes(axis), correction=float(ddof), keepdims=keepdims is True)

    return rule


def _position(name: str) -> Callable[..., Any]:
    return lambda xp, a, axis=None, out=None, keepdims=False: getattr(xp, name)(
        a.raw, axis=axis, keepdims=keepdims is True
    )


FUNCTIONS.update({
    np.sum: _sum, np.prod: _prod, np.mean: _mean, np.any: _truth(_any), np.all: _truth(_all),
    np.max: _extremum("max"), np.min: _extremum("min"), np.amax: _extremum("max"), np.amin: _extremum("min"),
    np.var: _moment("var"), np.std: _moment("std"), np.argmax: _position("argmax"), np.argmin: _position("argmin"),
    np.count_nonzero: lambda xp, a, axis=None, *, keepdims=False: _sum(
        xp, Standard(raw(xp, Standard(raw(xp, a, bool)), np.int64)), axis, keepdims=keepdims
    ),
    np.cumsum: lambda xp, a, axis=None, dtype=None, out=None: xp.cumulative_sum(_line(xp, a, axis), axis=axis or 0),
    np.cumprod: lambda xp, a, axis=None, dtype=None, out=None: xp.cumulative_prod(_line(xp, a, axis), axis=axis or 0),
})  # fmt: skip
for _ufunc, _rule in (
    (np.add, _sum),
    (np.multiply, _prod),
    (np.maximum, _reduction("max")),
    (np.minimum, _reduction("min")),
    (np.logical_and, _all),
    (np.logical_or, _any),
):
    UFUNCS[_ufunc, "reduce"] = lambda xp, a, axis=0, dtype=None, keepdims=False, f=_rule: f(
        xp, a, axis, dtype, None, keepdims
    )
UFUNCS[np.add, "accumulate"] = lambda xp, a, axis=0: xp.cumulative_sum(a.raw, axis=axis)
UFUNCS[np.multiply, "accumulate"] = lambda xp, a, axis=0: xp.cumulative_prod(a.raw, axis=axis)


def _add_at(xp: Any, target: Any, positions: Any, value: Any) -> None:
    """Add values at positions in one dimension; without a scatter in the standard, as a product with a mask."""
    target.writable("np.add.at")
    numbers = xp.reshape(xp.arange(target.shape[0], dtype=positions.raw.dtype), (-1, 1))
    chosen = xp.astype(numbers == xp.reshape(positions.raw, (1, -1)), target.raw.dtype)
    target.raw[...] = target.raw + chosen @ raw(xp, value, target.dtype)


UFUNCS[np.add, "at"] = _add_at


# -- shapes --------------------------------------------------------------------------------------------------


def _line(xp: Any, a: Any, axis: Any) -> Any:
    return xp.reshape(a.raw, (-1,)) if axis is None else a.raw


def _reshape(xp: Any, a: Any, shape: Any, order: str = "C", **_: Any) -> Any:
    if order not in {"C", "A"}:
        raise a.missing(f"reshape with order={order!r}")
    return xp.reshape(a.raw, tuple(map(int, shape)) if isinstance(shape, (tuple, list)) else (int(shape),))


def _transpose(xp: Any, a: Any, axes: Any = None) -> Any:
    order = range(a.ndim)[::-1] if axes is None else [i % a.ndim for i in axes]
    return xp.permute_dims(a.raw, tuple(map(int, order)))


def _swapaxes(xp: Any, a: Any, first: int, second: int) -> Any:
    order = list(range(a.ndim))
    order[first], order[second] = order[second], order[first]
    return xp.permute_dims(a.raw, tuple(order))


def _squeeze(xp: Any, a: Any, axis: Any = None) -> Any:
    axes = tuple(i for i, n in enumerate(a.shape) if n == 1) if axis is None else _axes(axis)
    return xp.squeeze(a.raw, axis=axes)


def _expand_dims(xp: Any, a: Any, axis: Any) -> Any:
    y, axes = a.raw, axis if isinstance(axis, (tuple, list)) else (axis,)
    for i in sorted(i % (a.ndim + len(axes)) for i in axes):
        y = xp.expand_dims(y, axis=i)
    return y


def _joined(name: str) -> Callable[..., Any]:
    def rule(xp: Any, arrays: Any, axis: Any = 0, out: Any = None, dtype: Any = None, **_: Any) -> Any:
        del out
        common = dtype or _common(*arrays)
        return getattr(xp, name)([raw(xp, a, common) for a in arrays], axis=axis)

    return rule


def _where(xp: Any, condition: Any, x: Any, y: Any) -> Any:
    common = _common(x, y)
    return xp.where(raw(xp, condition, bool), raw(xp, x, common), raw(xp, y, common))


def _like(value: Any) -> Callable[..., Any]:
    def rule(xp: Any, a: Any, *args: Any, dtype: Any = None, shape: Any = None, **_: Any) -> Any:
        rest, fill = (args, value) if value is not None else (args[1:], args[0])
        dtype = np.dtype((rest[0] if rest else None) or dtype or a.dtype)
        return xp.full(a.shape if shape is None else shape, dtype.type(fill).item(), dtype=getattr(xp, dtype.name))

    return rule


def _made(name: str, default: Any = np.float64) -> Callable[..., Any]:
    """Return a function that makes an array from nothing, called with ``like=``."""

    def rule(xp: Any, *args: Any, dtype: Any = None, order: str = "C", **options: Any) -> Any:
        del order
        if dtype is None and len(args) > 1 and name != "arange":
            args, dtype = args[:-1], args[-1]
        dtype = np.dtype(default if dtype is None else dtype)
        sizes = [tuple(map(int, a)) if isinstance(a, tuple) else int(a) for a in args]
        return getattr(xp, name)(*sizes, dtype=getattr(xp, dtype.name), **options)

    return rule


def _full(xp: Any, shape: Any, value: Any, dtype: Any = None, **_: Any) -> Any:
    dtype = np.dtype(dtype or np.asarray(value).dtype)
    return xp.full(shape, dtype.type(value).item(), dtype=getattr(xp, dtype.name))


def _array(xp: Any, x: Any, dtype: Any = None, **_: Any) -> Any:
    """Return a copy; also of a host's array, which the caller brings across."""
    if isinstance(x, np.ndarray):
        return xp.asarray(x.tolist(), dtype=getattr(xp, np.dtype(dtype or x.dtype).name))
    return xp.asarray(raw(xp, x, dtype), copy=True)


def _triangle(name: str) -> Callable[..., Any]:
    return lambda xp, m, k=0: getattr(xp, name)(m.raw, k=k)


def _tri(xp: Any, n: int, m: Any = None, k: int = 0, dtype: Any = np.float64) -> Any:
    ones = xp.ones((n, n if m is None else m), dtype=xp.float64)
    return xp.astype(xp.tril(ones, k=k), getattr(xp, np.dtype(dtype).name))


def _take_along(xp: Any, a: Any, indices: Any, axis: Any = -1) -> Any:
    return xp.take_along_axis(a.raw, indices.raw, axis=axis)


def _part(name: str) -> Callable[..., Any]:
    def rule(xp: Any, x: Any) -> Any:
        if x.dtype.kind == "c":
            return getattr(xp, name)(x.raw)
        return x.raw if name == "real" else xp.zeros_like(x.raw)

    return rule


FUNCTIONS.update({
    np.reshape: _reshape, np.transpose: _transpose, np.swapaxes: _swapaxes, np.squeeze: _squeeze,
    np.moveaxis: lambda xp, a, source, destination: xp.moveaxis(a.raw, _axes(source), _axes(destination)),
    np.expand_dims: _expand_dims, np.concatenate: _joined("concat"), np.stack: _joined("stack"), np.where: _where,
    np.broadcast_to: lambda xp, a, shape, subok=False: xp.broadcast_to(raw(xp, a), tuple(shape)),
    np.flip: lambda xp, m, axis=None: xp.flip(m.raw, axis=_axes(axis)),
    np.roll: lambda xp, a, shift, axis=None: xp.roll(a.raw, shift, axis=_axes(axis)),
    np.ravel: lambda xp, a, order="C": _reshape(xp, a, -1, order),
    np.zeros_like: _like(0), np.ones_like: _like(1), np.empty_like: _like(0), np.full_like: _like(None),
    np.zeros: _made("zeros"), np.ones: _made("ones"), np.empty: _made("zeros"), np.full: _full,
    np.eye: _made("eye"), np.arange: _made("arange", np.int64), np.tri: _tri,
    np.array: _array, np.asarray: _array, np.ascontiguousarray: _array, np.copy: _array,
    np.real: _part("real"), np.imag: _part("imag"), np.tril: _triangle("tril"), np.triu: _triangle("triu"),
    np.sort: lambda xp, a, axis=-1, **_: xp.sort(a.raw, axis=axis),
    np.argsort: lambda xp, a, axis=-1, **_: xp.argsort(a.raw, axis=axis),
    np.take: lambda xp, a, indices, axis=None, **_: xp.take(_line(xp, a, axis), raw(xp, indices), axis=axis or 0),
    np.take_along_axis: _take_along,
    np.tensordot: lambda xp, a, b, axes=2: xp.tensordot(*_both(xp, a, b), axes=axes),
    np.shape: lambda _xp, a: a.shape, np.ndim: lambda _xp, a: a.ndim, np.size: lambda _xp, a: a.size,
    np.result_type: lambda _xp, *operands: _common(*operands),
    np.can_cast: lambda _xp, a, to, casting="safe": np.can_cast(a.dtype, to, casting),
    np.iscomplexobj: lambda _xp, x: x.dtype.kind == "c",
    np.linalg.inv: lambda xp, a: xp.linalg.inv(a.raw), np.linalg.det: lambda xp, a: xp.linalg.det(a.raw),
    np.linalg.solve: lambda xp, a, b: xp.linalg.solve(*_both(xp, a, b)),
    np.linalg.cholesky: lambda xp, a, /, *, upper=False: xp.linalg.cholesky(a.raw, upper=upper),
})  # fmt: skip


def _both(xp: Any, a: Any, b: Any) -> tuple[Any, Any]:
    common = _common(a, b)
    return raw(xp, a, common), raw(xp, b, common)


def _shaped(xp: Any, x: Any, *shape: Any, order: str = "C") -> Any:
    return _reshape(xp, x, shape[0] if len(shape) == 1 else shape, order)


METHODS.update({
    "astype": lambda xp, x, dtype, copy=True: raw(xp, x, dtype), "copy": lambda xp, x: xp.asarray(x.raw, copy=True),
    "reshape": _shaped, "ravel": lambda xp, x: _reshape(xp, x, -1), "flatten": lambda xp, x: _reshape(xp, x, -1),
    "transpose": lambda xp, x, *axes: _transpose(xp, x, (axes[0] if len(axes) == 1 else axes) or None),
    "item": lambda _xp, x: {"f": float, "c": complex, "b": bool}.get(x.dtype.kind, int)(x.raw),
})  # fmt: skip
for _method, _function in (
    *(("sum", np.sum), ("prod", np.prod), ("mean", np.mean), ("max", np.max), ("min", np.min), ("any", np.any)),
    *(("all", np.all), ("var", np.var), ("std", np.std), ("argmax", np.argmax), ("swapaxes", np.swapaxes)),
    *(("squeeze", np.squeeze), ("cumsum", np.cumsum), ("conj", np.conjugate)),
):
    METHODS[_method] = FUNCTIONS[_function] if _function is not np.conjugate else UFUNCS[np.conjugate]
