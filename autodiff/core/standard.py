"""Arrays of the Python array API standard, made to answer NumPy's functions.

Rules are written with NumPy's functions, and an array of the standard alone (`array_api_strict`, or JAX's) knows
nothing of them: NumPy would convert it. So the engine wraps it while a transform runs: a `Standard` takes the calls
that NumPy hands over, and does them with the functions of the array's own namespace. What the standard lacks is an
error that names the function and the namespace; nothing is ever converted to NumPy.

Covered are elementwise functions, reductions, products of matrices, changes of shape, indexing and assignment, sorting,
cumulative sums and making arrays. Dtypes are promoted as NumPy does, also where the standard leaves it open.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from autodiff.core.backend import adopted
from autodiff.core.errors import MissingRuleError
from autodiff.core.level import Traced

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FUNCTIONS", "METHODS", "UFUNCS", "Standard", "bare", "raw", "wrapped"]

_DTYPES = tuple(
    np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float32", "float64", "complex64", "complex128"),
    )
)
#: What NumPy's ufuncs, functions and array methods are in a namespace; filled by `autodiff.core.standard_functions`.
UFUNCS: dict[Any, Callable[..., Any]] = {}
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
#: Functions that make an array of one of the host's, and those whose results may share their arguments' memory.
FROM_HOST = frozenset({np.array, np.asarray, np.ascontiguousarray})
VIEWS = frozenset({
    np.reshape, np.transpose, np.swapaxes, np.squeeze, np.moveaxis, np.expand_dims, np.broadcast_to, np.flip, np.ravel,
    np.real, np.imag,
})  # fmt: skip


class Standard:
    """An array of the standard that NumPy's functions can work on."""

    __slots__ = ("__weakref__", "dtype", "owned", "raw", "xp")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, array: Any, owned: bool = False) -> None:
        self.raw = array
        self.owned = owned  # nobody else can hold its memory: it may be written to
        self.xp = array.__array_namespace__()
        self.dtype = next(d for d in _DTYPES if getattr(self.xp, d.name, None) == array.dtype)

    # -- what NumPy calls ---------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(x, Traced) for x in inputs):
            return NotImplemented
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        rule = UFUNCS.get(ufunc if method == "__call__" else (ufunc, method))
        if rule is None:
            raise self.missing(name)
        out = options.pop("out", None)
        y = rule(self.xp, *[bare(self.xp, x) for x in inputs], **options)
        if out is None:
            return y if y is None else wrapped(y, owned=True)
        out[0].writable(f"np.{name} with out=").raw[...] = raw(self.xp, y, out[0].dtype)
        return out[0]

    def __array_function__(self, func: Any, types: Any, args: Any, options: Any) -> Any:
        if any(issubclass(t, Traced) for t in types):
            return NotImplemented
        rule = FUNCTIONS.get(func)
        if rule is None:
            raise self.missing(func.__name__)
        host = func in FROM_HOST
        return wrapped(
            rule(self.xp, *_bared(self.xp, args, host), **_bared(self.xp, options, host)), owned=func not in VIEWS
        )

    def writable(self, what: str) -> Standard:
        """Return the array, or raise if its memory may be another's: the standard does not say what is a view."""
        if not self.owned:
            raise MissingRuleError(
                f"{what}: writing into a part or another shape of an array of {self.xp.__name__}; the Python array API "
                "standard does not say whether that is a view. Move the array with autodiff.device_put(x, 'cpu')."
            )
        return self

    def __array__(self, *_args: Any, **_options: Any) -> NoReturn:
        raise TypeError(
            f"implicit conversion of an array of {self.xp.__name__} to NumPy is not allowed; use "
            "autodiff.device_put(x, 'cpu')."
        )

    def missing(self, name: str) -> MissingRuleError:
        """Return the error for a function that the standard lacks."""
        return MissingRuleError(
            f"np.{name} of an array of {self.xp.__name__}: the Python array API standard has no such function, or the "
            "engine does not know it there. Write it with functions of the standard, or move the array with "
            "autodiff.device_put(x, 'cpu')."
        )

    # -- an array -----------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return tuple(self.raw.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.raw.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.raw.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        """Unknown: as if elements might lie on each other, so that results are copied before they leave."""
        return (0,) * self.ndim

    @property
    def device(self) -> Any:
        """Where the array lives, as its library says."""
        return self.raw.device

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        """The array with its axes in reverse order."""
        return np.transpose(self)

    @property
    def mT(self) -> Any:  # noqa: N802 - NumPy's name
        """The array with its last two axes exchanged."""
        return np.swapaxes(self, -1, -2)

    @property
    def real(self) -> Any:
        """The real part."""
        return np.real(self)

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return np.imag(self)

    def __getattr__(self, name: str) -> Any:
        method = METHODS.get(name)
        if method is None:
            raise AttributeError(f"an array of {self.xp.__name__} inside a transform has no attribute {name!r}")
        return lambda *args, **options: wrapped(
            method(self.xp, self, *_bared(self.xp, args), **_bared(self.xp, options)), owned=name == "copy"
        )

    def __getitem__(self, index: Any) -> Any:
        return Standard(_read(self.xp, self.raw, _index(self.xp, index)))

    def __setitem__(self, index: Any, value: Any) -> None:
        target, index = self.writable("x[i] = ...").raw, _whole(_index(self.xp, index))
        new = raw(self.xp, bare(self.xp, value), self.dtype)
        if isinstance(index, tuple) and None in [p if p is None else 0 for p in index]:
            index = tuple([p for p in index if p is not None])
            new = self.xp.reshape(new, target[index].shape)
        target[index] = new

    def __len__(self) -> int:
        return int(self.shape[0])

    def __bool__(self) -> bool:
        return bool(self.raw)

    def __float__(self) -> float:
        return float(self.raw)

    def __int__(self) -> int:
        return int(self.raw)

    def __complex__(self) -> complex:
        return complex(self.raw)

    def __index__(self) -> int:
        return int(self.raw.__index__())

    def __repr__(self) -> str:
        return repr(self.raw)

    def __format__(self, spec: str) -> str:
        return format(float(self.raw) if spec else self.raw, spec)


def bare(xp: Any, x: Any) -> Any:
    """Check an operand: numbers, and arrays of the same namespace as a `Standard`."""
    x = adopted(x)
    if type(x) is Standard and x.xp is not xp:
        raise TypeError(f"arrays of {xp.__name__} and {x.xp.__name__} do not mix")
    if isinstance(x, np.ndarray):
        raise TypeError(f"an array of {xp.__name__} does not mix with a NumPy array")
    return x


def _bared(xp: Any, values: Any, host: bool = False) -> Any:
    if isinstance(values, (tuple, list)):
        return type(values)([_bared(xp, v, host) for v in values])
    if isinstance(values, dict):
        return {k: _bared(xp, v, host) for k, v in values.items()}
    return values if host else bare(xp, values)


def raw(xp: Any, x: Any, dtype: Any = None) -> Any:
    """Return an operand as an array of the namespace, of a dtype."""
    if type(x) is Standard:
        return x.raw if dtype is None or x.dtype == dtype else _cast(xp, x, dtype)
    if hasattr(type(x), "__array_namespace__") and not isinstance(x, (np.generic, np.ndarray)):
        return x if dtype is None else raw(xp, Standard(x), dtype)
    dtype = np.dtype(dtype or np.asarray(x).dtype)
    return xp.asarray(x.item() if isinstance(x, np.generic) else x, dtype=getattr(xp, dtype.name))


def _cast(xp: Any, x: Standard, dtype: Any) -> Any:
    dtype = np.dtype(dtype)
    if not hasattr(xp, dtype.name):
        raise x.missing(f"dtype({dtype.name!r})")
    source = xp.real(x.raw) if x.dtype.kind == "c" and dtype.kind != "c" else x.raw
    return xp.astype(source, getattr(xp, dtype.name))


def wrapped(y: Any, *, owned: bool = False) -> Any:
    """Wrap the arrays of a result; `owned` says that they were made for it."""
    if isinstance(y, (tuple, list)):
        return type(y)([wrapped(v, owned=owned) for v in y])
    y = adopted(y)
    if type(y) is Standard:
        y.owned = owned
    return y


def _index(xp: Any, index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple([_index(xp, i) for i in index])
    if isinstance(index, np.integer):
        return int(index)
    if isinstance(index, np.ndarray):  # positions that the program knows
        return xp.asarray(index.tolist(), dtype=xp.bool if index.dtype.kind == "b" else xp.int64)
    return index.raw if type(index) is Standard else index


def _whole(index: Any) -> Any:
    """Write a basic index out: the standard wants every axis, or an ellipsis."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(p is Ellipsis or hasattr(p, "ndim") for p in parts):
        return index
    return (*parts, ...)


def _read(xp: Any, array: Any, index: Any) -> Any:
    """``array[index]``; the standard has positions in an array only where all parts are, and `take` along one axis."""
    parts = index if isinstance(index, tuple) else (index,)
    arrays = [k for k, p in enumerate(parts) if hasattr(p, "ndim")]
    if len(arrays) != 1 or parts[arrays[0]].dtype == xp.bool or any(isinstance(p, int) for p in parts):
        return array[_whole(index)]
    at = arrays[0]
    positions = parts[at]
    around = (*parts[:at], slice(None), *parts[at + 1 :])
    rest = array[_whole(around)]
    before = rest.ndim - len(around[at:]) if any(p is Ellipsis for p in around[:at]) else at
    y = xp.take(rest, xp.reshape(positions, (-1,)), axis=before)
    return xp.reshape(y, (*rest.shape[:before], *positions.shape, *rest.shape[before + 1 :]))


def _install_operators() -> None:
    binary = {
        "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "matmul": np.matmul,
        "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power,
        "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    }  # fmt: skip
    compared = {"lt": np.less, "gt": np.greater, "le": np.less_equal, "ge": np.greater_equal}
    compared |= {"eq": np.equal, "ne": np.not_equal}
    unary = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}
    for name, ufunc in binary.items():
        setattr(Standard, f"__{name}__", lambda a, b, f=ufunc: _applied(f, a, b))
        setattr(Standard, f"__r{name}__", lambda a, b, f=ufunc: _applied(f, b, a))
        setattr(Standard, f"__i{name}__", lambda a, b, f=ufunc: f(a, b, out=a))
    for name, ufunc in compared.items():
        setattr(Standard, f"__{name}__", lambda a, b, f=ufunc: _applied(f, a, b))
    for name, ufunc in unary.items():
        setattr(Standard, f"__{name}__", lambda a, f=ufunc: f(a))


def _applied(ufunc: Any, a: Any, b: Any) -> Any:
    return NotImplemented if isinstance(a, Traced) or isinstance(b, Traced) else ufunc(a, b)


_install_operators()
