"""Jacobians, Hessians and Hessian-vector products, composed from the two modes."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from autodiff.core.backend import made, on_host
from autodiff.core.batching import Batched, BatchLevel
from autodiff.core.errors import DifferentiationError, MissingRuleError, describe
from autodiff.core.reverse import pull_back, reachable
from autodiff.core.spec import dtype_of, is_inexact, shape_of
from autodiff.core.tangents import push_forward
from autodiff.transforms._boundary import check_callable, finish, pick_argnums
from autodiff.transforms.forward import jvp
from autodiff.transforms.reverse import Linearised, grad

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autodiff.core.reverse import Node

__all__ = ["hessian", "hvp", "jacfwd", "jacrev"]

MEMORY = 2**24
"""Numbers that one sweep of a Jacobian may hold; wider ones are made in parts."""


def jacfwd(
    f: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """Make a function that returns the Jacobian of `f`, all columns in one sweep of forward mode.

    The program runs once and is linearised; the columns are one forward sweep along its trace, with one axis more, as
    in `vmap` (in parts, if all at once would take more than 2**24 numbers; one by one, if the program has an operation
    of your own without batching rule). Best for functions with no more inputs than outputs.

    Parameters
    ----------
    f : callable
        A function whose value is an array or a tree of arrays.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.
    has_aux : bool
        Whether `f` returns ``(value, aux)``; then the result is ``(jacobian, aux)``.
    holomorphic : bool
        Promise that `f` is a holomorphic function of complex arguments; then the Jacobian is the complex derivative.

    Returns
    -------
    callable
        Takes the arguments of `f`; returns, in the tree of the value, for each leaf the tree of the argument,
        with arrays of shape ``value.shape + argument.shape``.

    Raises
    ------
    TypeError
        If an argument has no derivative, or is complex without the promise of `holomorphic`. Otherwise a complex
        argument needs `vjp` or `jvp` with the direction of your choice; or `jacrev`, if the value is real.
    ValueError
        If `argnums` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> jacfwd(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    return _jacobian("jacfwd", f, argnums, has_aux, holomorphic)


def jacrev(
    f: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """Make a function that returns the Jacobian of `f`, all rows in one sweep of reverse mode.

    The program runs once; the rows are one backward sweep, as in `jacfwd`. Best for functions with fewer
    outputs than inputs. Parameters, results and errors are those of `jacfwd`; but an argument may be complex if
    the value is real, and then the rows are ``df/dx - i df/dy``, as in `grad`.

    Examples
    --------
    >>> import numpy as np
    >>> jacrev(lambda x: np.stack([x[0] * x[1], x[1]]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 1.]])
    """
    return _jacobian("jacrev", f, argnums, has_aux, holomorphic)


def hessian(
    f: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
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
    return jacfwd(jacrev(f, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)


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


def _jacobian(name: str, f: Callable[..., Any], argnums: Any, has_aux: bool, holomorphic: bool) -> Callable[..., Any]:
    check_callable(name, f)

    @functools.wraps(f, updated=())
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        positions = pick_argnums(name, argnums, len(args))
        run = Linearised(name, f, args, positions, has_aux, kwargs)
        _check_kinds(name, positions, run, holomorphic)
        blocks = _columns(run) if name == "jacfwd" else _rows(run, holomorphic)  # blocks[output leaf][input leaf]
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


def _check_kinds(name: str, positions: Sequence[int], run: Linearised, holomorphic: bool) -> None:
    """Refuse what has no Jacobian: complex arguments without a promise, and a value that can have no derivative."""
    arguments = [(f"argument {i}", x) for i, xs in zip(positions, run.leaves, strict=True) for x in xs]
    values = [("the function's value", y) for y in run.values]
    if holomorphic:
        for what, v in (*arguments, *values):
            if dtype_of(v).kind != "c":
                raise DifferentiationError(
                    f"{name}: with holomorphic=True arguments and value must be complex, but {what} is {describe(v)}; "
                    "convert the arguments with .astype(complex), or leave holomorphic out."
                )
    elif name == "jacfwd" or any(dtype_of(y).kind == "c" for y in run.values):
        for what, x in arguments:
            if dtype_of(x).kind == "c":
                raise DifferentiationError(
                    f"{name}: {what} is complex ({describe(x)}), and a Jacobian over the complex numbers exists only "
                    "for holomorphic functions: if yours is one, say holomorphic=True. Else use jvp or vjp (or jacrev, "
                    "if the value is real), or make real and imaginary part two arguments."
                )
    if run.out_structure is tree.LEAF and not is_inexact(run.values[0]):
        raise DifferentiationError(
            f"{name}: the function must return floating-point values, but its value is {describe(run.values[0])}, "
            "which has no derivative."
        )


def _units(like: Any, first: int, last: int) -> Any:
    """Unit arrays of the shape and dtype of `like`, from number `first` to before number `last`, along a first axis."""
    units = made(np.eye, like, last - first, math.prod(shape_of(like)), first, dtype_of(like))
    return units.reshape(last - first, *shape_of(like))


def _swept(like: Any, sweep: Callable[[Any], list[Any]], work: int) -> list[Any] | None:
    """Results of a sweep for every unit array like `like`, along a first axis; None for what is zero, or if none is.

    All units go through the sweep at once, or as many as fit into `MEMORY`, `work` being the numbers that one needs.
    """
    n = math.prod(shape_of(like))
    if n == 0:
        return None
    if n == 1:
        return [c if c is None else np.reshape(c, (1, *shape_of(c))) for c in sweep(_units(like, 0, 1)[0])]
    step = max(1, MEMORY // max(work, 1))
    try:
        parts = [_batch_swept(sweep, _units(like, k, min(k + step, n))) for k in range(0, n, step)]
    except MissingRuleError:  # an operation of the user's own without a batching rule: one sweep for each unit
        single = [sweep(unit[()]) for unit in _units(like, 0, n)]
        parts = [[c if c is None else np.reshape(c, (1, *shape_of(c))) for c in found] for found in single]
    if len(parts) == 1:
        return parts[0]
    return [c[0] if any(x is None for x in c) else np.concatenate(c, axis=0) for c in zip(*parts, strict=True)]


def _batch_swept(sweep: Callable[[Any], list[Any]], units: Any) -> list[Any]:
    level = BatchLevel("jacobian", len(units))
    with level.running():
        return [c if c is None else level.values_of(c) for c in sweep(Batched(level, units))]


def _work(run: Linearised) -> int:
    """Numbers that the trace holds."""
    return sum(node.size for node in reachable([n for n in run.out_nodes if n is not None], -1))


def _zeros(y: Any, x: Any, dtype: Any) -> Any:
    return made(np.zeros, x if on_host(y) else y, (*shape_of(y), *shape_of(x)), dtype)[()]


def _columns(run: Linearised) -> list[list[Any]]:
    leaves = [(x, node) for xs, ns in zip(run.leaves, run.nodes, strict=True) for x, node in zip(xs, ns, strict=True)]
    roots, work = [n for n in run.out_nodes if n is not None], _work(run)
    blocks: list[list[Any]] = [[] for _ in run.values]
    for x, node in leaves:

        def sweep(unit: Any, node: Any = node) -> list[Any]:
            found = push_forward(roots, {node: unit})
            return [None if out is None else found.get(out) for out in run.out_nodes]

        columns = _swept(x, sweep, work) if node is not None else None
        for i, y in enumerate(run.values):
            column = columns[i] if columns is not None and is_inexact(y) else None
            shape = (*shape_of(y), *shape_of(x))
            blocks[i].append(
                _zeros(y, x, dtype_of(y)) if column is None else finish(np.reshape(np.moveaxis(column, 0, -1), shape))
            )
    return blocks


def _rows(run: Linearised, holomorphic: bool) -> list[list[Any]]:
    leaves = [(x, node) for xs, ns in zip(run.leaves, run.nodes, strict=True) for x, node in zip(xs, ns, strict=True)]
    work = _work(run)
    blocks: list[list[Any]] = []
    for y, out in zip(run.values, run.out_nodes, strict=True):

        def sweep(unit: Any, out: Any = out) -> list[Any]:
            found = pull_back([(out, unit)]) if holomorphic else _row(out, unit)
            return [None if node is None else found.get(node) for _, node in leaves]

        rows = _swept(y, sweep, work) if out is not None else None
        found = rows if rows is not None else [None] * len(leaves)
        blocks.append(
            [
                _zeros(y, x, dtype_of(x)) if row is None else finish(np.reshape(row, (*shape_of(y), *shape_of(x))))
                for row, (x, _) in zip(found, leaves, strict=True)
            ]
        )
    return blocks


def _row(out: Node, unit: Any) -> dict[Node, Any]:
    """Adjoints of the inputs; those of a complex entry have its real and its imaginary part."""
    found = pull_back([(out, unit)])
    if dtype_of(unit).kind == "c":
        imaginary = pull_back([(out, unit * -1j)])
        found = {node: c + 1j * imaginary[node] for node, c in found.items()}
    return found
