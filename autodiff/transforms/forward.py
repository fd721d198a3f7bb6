"""Forward-mode transforms: `jvp`, and `stop_gradient`, which ends every mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from autodiff.core.assignment import settled
from autodiff.core.backend import HOST
from autodiff.core.forms import constant
from autodiff.core.forward import Dual, ForwardLevel
from autodiff.core.spec import dtype_of
from autodiff.transforms._boundary import (
    check_callable,
    check_foreign,
    check_tangents,
    finish,
    flatten,
    independent,
    split_aux,
    zero_like,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["jvp", "stop_gradient"]


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """Value of a function and its directional derivative, by one forward sweep of dual numbers.

    Parameters
    ----------
    f : callable
        A function of the primals, written with NumPy.
    primals : tuple of trees of arrays
        The point, one entry for each argument of `f`.
    tangents : tuple of trees of arrays
        The direction: the trees, shapes and dtypes of `primals` (Python numbers fit any scalar).
    has_aux : bool
        Whether `f` returns ``(value, aux)``; then ``(value, tangent, aux)`` is returned.

    Returns
    -------
    value, tangent : tree of arrays
        ``f(*primals)`` and its derivative along the direction.

    Raises
    ------
    TypeError, ValueError
        If the tangents do not match the primals.

    Notes
    -----
    Forward accumulation, Baydin et al. (2018), section 3.1. Memory does not grow with the number of operations.

    Examples
    --------
    >>> import numpy as np
    >>> y, dy = jvp(lambda x1, x2: np.log(x1) + x1 * x2 - np.sin(x2), (2, 5), (1, 0))
    >>> print(f"{y:.12f} {dy}")
    11.652071455223 5.5
    """
    check_callable("jvp", f)
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError(
            "jvp: primals and tangents must be tuples with one entry for each argument of f, not "
            f"{type(primals).__name__} and {type(tangents).__name__}; write jvp(f, (x,), (t,))."
        )
    if len(primals) != len(tangents):
        raise TypeError(f"jvp: {len(tangents)} tangent(s) given for {len(primals)} primal(s).")
    level = ForwardLevel("jvp")
    call = []
    for i, (x, t) in enumerate(zip(primals, tangents, strict=True)):
        if type(x) is type(t) is np.ndarray and x.dtype.kind in "fc" and x.dtype == t.dtype and x.shape == t.shape:
            call.append(Dual(level, x, t))  # the commonest argument needs no tree
        else:
            call.append(_enter(level, i, x, t))
    aux = None
    with level.running():  # also while the results are read: they may be views of what was assigned to
        out = f(*call)
        if has_aux:
            out, aux = split_aux("jvp", out)
            aux = tree.map(lambda v: _lowered(settled(v), level), aux, strict=False)
        if type(out) is Dual and out.level is level and type(out.primal) in HOST and type(out.tangent) in HOST:
            result = finish(out.primal), finish(out.tangent)
        else:
            result = _leave(level, out)
    return (*result, aux) if has_aux else result


def _enter(level: ForwardLevel, i: int, x: Any, t: Any) -> Any:
    """Return argument `i` with dual numbers for its leaves."""
    leaves, structure = flatten("jvp", f"primals[{i}]", x)
    direct = structure is tree.LEAF
    xs = [independent("jvp", leaf, direct=direct, where=f"primals[{i}]") for leaf in leaves]
    if direct and dtype_of(leaves[0]).kind in "iu" and isinstance(t, np.ndarray) and t.dtype.kind in "iu":
        t = t.astype(np.float64)  # promoted with its primal
    likes = [x if v is None else v for x, v in zip(leaves, xs, strict=True)]
    ts = check_tangents("jvp", f"tangents[{i}]", t, structure, likes, of=f"primals[{i}]")
    duals = [x if v is None else Dual(level, v, d) for x, v, d in zip(leaves, xs, ts, strict=True)]
    return tree.unflatten(structure, duals)


def _leave(level: ForwardLevel, out: Any) -> tuple[Any, Any]:
    """Return the trees of values and of tangents."""
    outs, structure = flatten("jvp", "the function's value", out)
    value = [finish(check_foreign("jvp", v.primal if _mine(v, level) else v, level)) for v in outs]
    tangent = [finish(check_foreign("jvp", v.tangent, level)) if _mine(v, level) else zero_like(v) for v in outs]
    return tree.unflatten(structure, value), tree.unflatten(structure, tangent)


def _lowered(v: Any, level: ForwardLevel) -> Any:
    return finish(v.primal) if _mine(v, level) else v


def _mine(v: Any, level: ForwardLevel) -> bool:
    return type(v) is Dual and v.level is level


def stop_gradient(x: Any) -> Any:
    """Return a tree with the same values, constant to every derivative in every mode and at every level.

    Parameters
    ----------
    x : tree of arrays
        Arrays, traced or plain.

    Returns
    -------
    tree of arrays
        The primal values.

    Examples
    --------
    >>> from autodiff import grad
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return tree.map(_stop, x)


# An operation without derivative: each level takes its tracing off, and `trace` and `eval_shape` see it as a step.
_stop = constant(lambda x: x, name="stop_gradient")
