"""Where trees become flat lists of arrays: checks and conversions at the edge of every transform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from autodiff.core.abstract import constant_like
from autodiff.core.assignment import settled
from autodiff.core.backend import HOST, foreign, mixed, released
from autodiff.core.errors import DeviceError, DifferentiationError, describe, leaked_tracer
from autodiff.core.spec import Spec, dtype_of, shape_of
from autodiff.core.tangents import expand
from autodiff.core.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autodiff.core.level import Level

__all__ = [
    "check_callable",
    "check_foreign",
    "check_tangents",
    "finish",
    "flatten",
    "independent",
    "pick_argnums",
    "settled_leaves",
    "split_aux",
    "zero_like",
]


def check_callable(name: str, f: Any) -> None:
    """Refuse what is not a function."""
    if not callable(f):
        raise TypeError(f"{name}: the first argument must be a function, not {type(f).__name__}.")


def pick_argnums(name: str, argnums: Any, nargs: int) -> tuple[int, ...]:
    """Validate `argnums` and return it as a tuple of positions."""
    if type(argnums) is int and 0 <= argnums < nargs:
        return (argnums,)
    picked = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
    for i in picked:
        if isinstance(i, bool) or not isinstance(i, (int, np.integer)):
            raise TypeError(f"{name}: argnums must be an int or a sequence of ints, not {argnums!r}.")
        if not -nargs <= i < nargs:
            raise ValueError(
                f"{name}: argnums={argnums!r}, but the function was called with {nargs} positional argument(s); "
                "differentiated arguments must be passed by position."
            )
    positions = tuple([int(i) % nargs for i in picked])
    if len(set(positions)) != len(positions):
        raise ValueError(f"{name}: argnums={argnums!r} names an argument twice.")
    return positions


def flatten(name: str, where: str, x: Any) -> tuple[list[Any], tree.Structure]:
    """Flatten a tree; an error says which transform and which argument or result it was."""
    try:
        return settled_leaves(x)
    except TypeError as error:
        raise DifferentiationError(f"{name}: {where} is not a tree of arrays: {error}") from None


def settled_leaves(x: Any, *, strict: bool = True) -> tuple[list[Any], tree.Structure]:
    """Flatten a tree into its values as they are now: no assignment of the program will change them."""
    leaves, structure = tree.flatten(x, strict=strict)
    return [settled(v) for v in leaves], structure


def independent(name: str, leaf: Any, *, direct: bool, where: str) -> Any:
    """Return a leaf as an independent variable, or None if it is to pass through without a derivative.

    An integer that is differentiated directly becomes a float; an integer or boolean inside a container is a
    structural zero.
    """
    if isinstance(leaf, Tracer) and leaf.level.closed:
        raise leaked_tracer(f"{name}: {where}", leaf.level.transform)
    dtype = dtype_of(leaf)
    if not hasattr(dtype, "kind"):
        raise DifferentiationError(
            f"{name}: {where} holds a {type(leaf).__module__}.{type(leaf).__qualname__}, whose dtype ({dtype}) is none "
            "of NumPy's; convert it first, with np.asarray."
        )
    if dtype.kind in "fc":
        return leaf
    if not direct and dtype.kind in "iub":
        return None
    if dtype.kind in "iu":
        return float(leaf) if isinstance(leaf, int) else leaf.astype(np.float64)
    raise DifferentiationError(
        f"{name}: {where} has dtype {dtype}, which has no derivative. Differentiate with respect to real or complex "
        "arrays (np.stack makes one of a list of numbers), and leave other arguments out of argnums."
    )


def split_aux(name: str, out: Any) -> tuple[Any, Any]:
    """Return the value and the auxiliary value of a function with ``has_aux=True``."""
    if not (isinstance(out, (tuple, list)) and len(out) == 2):
        got = f"{len(out)} values" if isinstance(out, (tuple, list)) else type(out).__name__
        raise TypeError(f"{name}: with has_aux=True the function must return (value, aux), not {got}.")
    return out[0], out[1]


def check_foreign(name: str, v: Any, level: Level) -> Any:
    """Accept a value that a function returned and that does not carry a derivative of `level`.

    It may belong to an outer transform, but not to one that has ended, nor to an inner one.
    """
    if isinstance(v, Tracer):
        v = v.settled()
    if isinstance(v, Tracer):
        if v.level.closed and v.level is not level:
            raise leaked_tracer(f"{name}: the function's value {describe(v)}", v.level.transform)
        if v.level.depth >= level.depth:
            raise DifferentiationError(
                f"{name}: the function's value contains {describe(v)} of a {v.level.transform} that is not outside "
                "this one: a traced value was stored where the engine cannot see it, such as an object array. Build "
                "arrays of traced values with np.stack or autodiff.numpy.array."
            )
    return v


def zero_like(leaf: Any) -> Any:
    """Return the gradient of a leaf on which the result does not depend."""
    return released(constant_like(leaf, shape_of(leaf), dtype_of(leaf), 0))


_NUMBERS = frozenset({bool, int, complex})


def finish(x: Any) -> Any:
    """Return a result as the user gets it: NumPy scalars for 0-d arrays and Python numbers."""
    if type(x) is np.ndarray:
        return x if x.shape else x[()]
    if type(x) is float:
        return np.float64(x)
    if type(x) in _NUMBERS:
        return np.asarray(x)[()]
    if type(x) in HOST:
        return x
    return x.settled() if isinstance(x, Tracer) else released(x)


def check_tangents(
    name: str, what: str, given: Any, structure: tree.Structure, likes: Sequence[Any], *, of: str
) -> list[Any]:
    """Flatten a tree of tangents or cotangents after comparing it with the values `likes`.

    `what` and `of` are what the user calls the two trees, such as ``tangents[0]`` and ``primals[0]``. Dicts
    match by key. The entry is None for a value without derivative, such as an integer.

    Raises
    ------
    TypeError
        If the trees differ, or the dtypes do.
    ValueError
        If the shapes differ.
    """
    try:
        flat = [given] if structure is tree.LEAF and type(given) is np.ndarray else tree.flatten_like(structure, given)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}: the tree of {what} is {_shown(given)}, but that of {of} is {structure}; give one array of the "
            f"same shape and dtype for each array in {of}."
        ) from None

    def names(i: int) -> tuple[str, str]:
        path = structure.paths()[i]
        return what + path, of + path

    return [_check_tangent(name, t, x, names, i) for i, (t, x) in enumerate(zip(flat, likes, strict=True))]


def _shown(given: Any) -> str:
    try:
        return repr(tree.structure(given))
    except TypeError:
        return f"no tree but a {type(given).__name__}"


def _check_tangent(name: str, t: Any, like: Any, names: Callable[[int], tuple[str, str]], i: int) -> Any:
    t = settled(t)
    want = Spec(shape_of(like), dtype_of(like))
    if want.dtype.kind not in "fc":
        return None
    dtype = dtype_of(t)
    if type(like) not in HOST or type(t) not in HOST:
        what, of = names(i) if foreign(like) or foreign(t) else ("", "")
        if what and (found := mixed(((of, like), (what, t)))):
            raise DeviceError(f"{name}: {found}")
    if shape_of(t) != want.shape:
        what, of = names(i)
        raise ValueError(
            f"{name}: {what} is {describe(t)}, but {of} is {describe(want)}; the shapes must be equal "
            f"(np.broadcast_to(..., {want.shape}) expands a smaller one)."
        )
    if dtype == want.dtype:
        return t if isinstance(t, np.generic) or hasattr(t, "__array_function__") else want.dtype.type(t)
    weak = isinstance(t, (int, float, complex)) and not isinstance(t, np.generic)
    if weak and not (dtype.kind == "c" and want.dtype.kind == "f"):
        return want.dtype.type(t)
    if dtype.kind in "iub" and isinstance(like, (float, np.float64)) and not isinstance(t, Tracer):
        return want.dtype.type(t)  # an integer where the primal may have been one as well
    if dtype.kind == "f" and want.dtype.kind == "c" and dtype.itemsize * 2 == want.dtype.itemsize:
        return expand(t, want)
    what, of = names(i)
    raise TypeError(
        f"{name}: {what} is {describe(t)}, but {of} is {describe(want)}; the dtypes must be equal "
        f"(convert with .astype({str(want.dtype)!r}))."
    )
