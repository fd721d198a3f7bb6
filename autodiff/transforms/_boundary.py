"""Where trees become flat lists of arrays: checks and conversions at the edge of every transform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from autodiff.core.errors import DifferentiationError, describe
from autodiff.core.reverse import expand
from autodiff.core.spec import Spec, dtype_of, shape_of
from autodiff.core.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["check_tangents", "finish", "independent", "pick_argnums", "zero_like"]


def pick_argnums(name: str, argnums: Any, nargs: int) -> tuple[int, ...]:
    """Validate `argnums` and return it as a tuple of positions."""
    picked = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
    for i in picked:
        if isinstance(i, bool) or not isinstance(i, (int, np.integer)):
            raise TypeError(f"{name}: argnums must be an int or a sequence of ints, not {argnums!r}.")
        if not -nargs <= i < nargs:
            raise ValueError(
                f"{name}: argnums={argnums!r}, but the function was called with {nargs} positional argument(s); "
                "differentiated arguments must be passed by position."
            )
    positions = tuple(int(i) % nargs for i in picked)
    if len(set(positions)) != len(positions):
        raise ValueError(f"{name}: argnums={argnums!r} names an argument twice.")
    return positions


def independent(name: str, leaf: Any, *, direct: bool, where: str) -> Any:
    """Return a leaf as an independent variable, or None if it is to pass through without a derivative.

    An integer that is differentiated directly becomes a float; an integer or boolean inside a container is a
    structural zero.
    """
    dtype = dtype_of(leaf)
    if dtype.kind in "fc":
        return leaf
    if not direct and dtype.kind in "iub":
        return None
    if dtype.kind in "iu":
        return float(leaf) if isinstance(leaf, int) else leaf.astype(np.float64)
    raise DifferentiationError(
        f"{name}: {where} has dtype {dtype}, which has no derivative. Differentiate with respect to real or complex "
        "arrays; pass the others by position and leave them out of argnums."
    )


def zero_like(leaf: Any) -> Any:
    """Return the gradient of a leaf on which the result does not depend."""
    return np.zeros(shape_of(leaf), dtype_of(leaf))[()]


def finish(x: Any) -> Any:
    """Return a result as the user gets it: NumPy scalars for 0-d arrays and Python numbers."""
    if type(x) is np.ndarray:
        return x if x.shape else x[()]
    if type(x) is float:
        return np.float64(x)
    if type(x) is complex:
        return np.complex128(x)
    return x


def check_tangents(
    name: str, what: str, given: Any, structure: Any, likes: Sequence[Any], *, of: str, weak: bool = False
) -> list[Any]:
    """Flatten a tree of tangents or cotangents after comparing it with the primal values `likes`.

    Raises
    ------
    TypeError
        If the trees differ, or the dtypes do.
    ValueError
        If the shapes differ.
    """
    flat, given_structure = tree.flatten(given)
    if given_structure != structure:
        raise TypeError(
            f"{name}: the {what} tree {given_structure} does not match the tree of {of} {structure}; give one {what} "
            f"of the same shape and dtype for each array of {of}."
        )
    return [_check_tangent(name, what, t, like, of, i) for i, (t, like) in enumerate(zip(flat, likes, strict=True))]


def _check_tangent(name: str, what: str, t: Any, like: Any, of: str, i: int) -> Any:
    want = Spec(shape_of(like), dtype_of(like))
    if want.dtype.kind not in "fc":
        return None
    if shape_of(t) != want.shape:
        raise ValueError(
            f"{name}: {what} {i} has shape {shape_of(t)}, but {of} {i} is {want.dtype}{list(want.shape)}; "
            f"the shapes must be equal (np.broadcast_to makes them so)."
        )
    dtype = dtype_of(t)
    weak = isinstance(t, (int, float, complex)) and not isinstance(t, np.generic)
    if dtype.kind in "iub" and isinstance(like, (float, np.float64)):
        weak = True  # integers were promoted on the primal side as well
    if dtype == want.dtype:
        return t if isinstance(t, (np.ndarray, np.generic, Tracer)) or not weak else want.dtype.type(t)
    if weak and not (dtype.kind == "c" and want.dtype.kind == "f"):
        return want.dtype.type(t)
    if dtype.kind == "f" and want.dtype.kind == "c" and dtype.itemsize * 2 == want.dtype.itemsize:
        return expand(t, want)
    raise TypeError(
        f"{name}: {what} {i} is {describe(t)}, but {of} {i} is {want.dtype}{list(want.shape)}; the dtypes must be equal "
        f"(convert with .astype({str(want.dtype)!r}))."
    )
