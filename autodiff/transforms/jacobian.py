"""Jacobians, Hessians and Hessian-vector products, composed from the two modes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from autodiff.core.errors import DifferentiationError, describe
from autodiff.core.reverse import pull_back, push_forward
from autodiff.core.spec import dtype_of, is_inexact, shape_of
from autodiff.transforms._boundary import check_callable, pick_argnums, zero_like
from autodiff.transforms.forward import jvp
from autodiff.transforms.reverse import Linearised, grad

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autodiff.core.reverse import Node

__all__ = ["hessian", "hvp", "jacfwd", "jacrev"]


def jacfwd(f: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Make a function that returns the Jacobian of `f`, one column at a time in forward mode.

    The program runs once and is linearised; each column is one forward sweep along its trace. Best for
    functions with no more inputs than outputs.

    Parameters
    ----------
    f : callable
        A function whose value is an array or a tree of arrays.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.
    has_aux : bool
        Whether `f` returns ``(value, aux)``; then the result is ``(jacobian, aux)``.

    Returns
    -------
    callable
        Takes the arguments of `f`; returns, in the tree of the value, for each leaf the tree of the argument,
        with arrays of shape ``value.shape + argument.shape``.

    Raises
    ------
    TypeError
        If an argument has no derivative, or is complex while the function is not holomorphic in it: a complex
        argument needs `vjp` or `jvp` with the direction of your choice.
    ValueError
        If `argnums` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> jacfwd(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    return _jacobian("jacfwd", f, argnums, has_aux, _columns)


def jacrev(f: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Make a function that returns the Jacobian of `f`, one row at a time in reverse mode.

    The program runs once; each row is one backward sweep. Best for functions with fewer outputs than inputs.
    Parameters, results and errors are those of `jacfwd`.

    Examples
    --------
    >>> import numpy as np
    >>> jacrev(lambda x: np.stack([x[0] * x[1], x[1]]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 1.]])
    """
    return _jacobian("jacrev", f, argnums, has_aux, _rows)


def hessian(f: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Make a function that returns the matrix of second derivatives of `f`: forward over reverse.

    Parameters and errors are those of `jacfwd`. For a scalar function of an array of shape ``s`` the result has
    shape ``s + s``.

    Examples
    --------
    >>> import numpy as np
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    return jacfwd(jacrev(f, argnums, has_aux), argnums, has_aux)


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Hessian-vector product of a real scalar function, without the Hessian.

    Forward over reverse: one gradient and its directional derivative, at a small multiple of the cost of `f`
    (Baydin et al. 2018, section 4.1; Pearlmutter 1994).

    Parameters
    ----------
    f : callable
        A function with a real scalar value.
    primals, tangents : tuple of trees of arrays
        The point and the direction, one entry for each argument of `f`.

    Returns
    -------
    tree of arrays
        The product, in the tree of the argument (a tuple of them if `f` has several).

    Raises
    ------
    TypeError, ValueError
        As `jvp` and `grad`.

    Examples
    --------
    >>> import numpy as np
    >>> hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    array([ 6., 12.])
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError(
            f"hvp: primals and tangents must be tuples, not {type(primals).__name__} and {type(tangents).__name__}; "
            "write hvp(f, (x,), (v,))."
        )
    check_callable("hvp", f)
    product = jvp(grad(f, tuple(range(len(primals)))), primals, tangents)[1]
    return product if len(primals) > 1 else product[0]


def _jacobian(
    name: str, f: Callable[..., Any], argnums: Any, has_aux: bool, fill: Callable[[Linearised], list[list[Any]]]
) -> Callable[..., Any]:
    check_callable(name, f)

    @functools.wraps(f, updated=())
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        positions = pick_argnums(name, argnums, len(args))
        run = Linearised(name, f, args, positions, has_aux, kwargs)
        _check_kinds(name, positions, run)
        blocks = fill(run)  # blocks[output leaf][input leaf]
        outs = []
        for row in blocks:
            at, trees = 0, []
            for structure in run.structures:
                trees.append(tree.unflatten(structure, row[at : at + structure.num_leaves]))
                at += structure.num_leaves
            outs.append(tuple(trees) if isinstance(argnums, (tuple, list)) else trees[0])
        result = tree.unflatten(run.out_structure, outs)
        return (result, run.aux) if has_aux else result

    return jacobian


def _check_kinds(name: str, positions: Sequence[int], run: Linearised) -> None:
    """Refuse complex arguments, and a value that can have no derivative."""
    for i, leaves in zip(positions, run.leaves, strict=True):
        for x in leaves:
            if dtype_of(x).kind == "c":
                raise DifferentiationError(
                    f"{name}: argument {i} is complex ({describe(x)}), and a Jacobian over the complex numbers exists "
                    "only for holomorphic functions. Use jvp or vjp, or make real and imaginary part two arguments."
                )
    if run.out_structure is tree.LEAF and not is_inexact(run.values[0]):
        raise DifferentiationError(
            f"{name}: the function must return floating-point values, but its value is {describe(run.values[0])}, "
            "which has no derivative."
        )


def _basis(like: Any) -> list[Any]:
    """Return the unit arrays of the shape and dtype of `like`."""
    units = []
    for i in range(int(np.prod(shape_of(like), dtype=np.int64))):
        unit = np.zeros(shape_of(like), dtype_of(like))
        unit.reshape(-1)[i] = 1
        units.append(unit[()])
    return units


def _assemble(parts: list[Any], y: Any, x: Any, axis: int) -> Any:
    """Stack rows (axis 0) or columns (last axis) and give the block the shape ``y.shape + x.shape``."""
    shape = (*shape_of(y), *shape_of(x))
    if not parts:
        return np.zeros(shape, dtype_of(y))
    flat = [np.reshape(p, (-1,)) for p in parts]
    block = np.reshape(np.stack(flat, axis=axis), shape)
    return block if shape else block[()]


def _columns(run: Linearised) -> list[list[Any]]:
    nodes = [n for ns in run.nodes for n in ns]
    leaves = [x for xs in run.leaves for x in xs]
    blocks: list[list[Any]] = [[] for _ in run.values]
    roots = [n for n in run.out_nodes if n is not None]
    for node, x in zip(nodes, leaves, strict=True):
        units = _basis(x) if node is not None else []
        swept = [push_forward(roots, {node: unit}) for unit in units if node is not None]
        for i, (y, out) in enumerate(zip(run.values, run.out_nodes, strict=True)):
            if node is None or out is None or not is_inexact(y):
                blocks[i].append(np.zeros((*shape_of(y), *shape_of(x)), dtype_of(y))[()])
            else:
                columns = [found[out] if out in found else zero_like(y) for found in swept]
                blocks[i].append(_assemble(columns, y, x, axis=1))
    return blocks


def _row(out: Node, unit: Any) -> dict[Node, Any]:
    """One row of the Jacobian; that of a complex entry has its real and its imaginary part."""
    found = pull_back([(out, unit)])
    if dtype_of(unit).kind == "c":
        imaginary = pull_back([(out, unit * -1j)])
        found = {node: c + 1j * imaginary[node] for node, c in found.items()}
    return found


def _rows(run: Linearised) -> list[list[Any]]:
    nodes = [n for ns in run.nodes for n in ns]
    leaves = [x for xs in run.leaves for x in xs]
    blocks: list[list[Any]] = []
    for y, out in zip(run.values, run.out_nodes, strict=True):
        swept = [_row(out, unit) for unit in _basis(y)] if out is not None else None
        row = []
        for node, x in zip(nodes, leaves, strict=True):
            if swept is None or node is None:
                row.append(np.zeros((*shape_of(y), *shape_of(x)), dtype_of(x))[()])
            else:
                parts = [found[node] if node in found else zero_like(x) for found in swept]
                row.append(_assemble(parts, y, x, axis=0))
        blocks.append(row)
    return blocks
