"""`vmap`: one function of one example becomes a function of many, without a loop."""

from __future__ import annotations

import contextlib
import functools
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodiff import tree
from autodiff.core.assignment import settled
from autodiff.core.batching import Batched, BatchLevel
from autodiff.core.errors import BatchingError, describe
from autodiff.core.spec import shape_of
from autodiff.core.tracer import Tracer
from autodiff.transforms._boundary import check_callable, check_foreign, flatten

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["vmap"]


def vmap(
    f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, *, axis_size: int | None = None
) -> Callable[..., Any]:
    """Make a function of many examples from a function of one; it runs once, not in a loop.

    `f` is written for one example and sees the shapes of one: ``x.shape``, ``x[0]``, ``np.sum(x)`` and the gradient
    inside it speak of one example. Every operation works on all examples at once, so that the result is that of a
    loop over the examples at the price of a few large operations. It goes with all other transforms, inside them or
    around them: ``vmap(grad(f))`` gives the gradient for each example.

    Parameters
    ----------
    f : callable
        A function written with NumPy; arguments and results are trees of arrays.
    in_axes : int, None, or a tuple with one entry for each argument
        Which axis of an argument counts the examples; None: all examples share the argument, which may then be
        anything. An entry may be a tree in place of the argument's, down to any depth (``{"w": None, "x": 0}``). A
        negative axis counts from the end. Keyword arguments are mapped along their first axis.
    out_axes : int, None, or a tree of them
        Where the results have the axis that counts the examples, by default first; a tree as for `in_axes`. None: the
        result must not depend on the mapped arguments, and comes as it is.
    axis_size : int, optional
        The number of examples; needed only if no argument is mapped.

    Returns
    -------
    callable
        Takes the arguments of `f` with the axis of the examples added to those that are mapped; returns the results of
        `f` with that axis added. What does not depend on mapped arguments is repeated.

    Raises
    ------
    ValueError
        If the sizes of the mapped axes differ, an axis is out of range, or `in_axes` or `out_axes` does not fit; it
        names the argument and the shapes.
    TypeError
        If an axis is no integer, or a mapped argument is no array.
    BatchingError
        If the program needs one value where each example has its own (``if x > 0``: use ``np.where``; ``float(x)``;
        ``x[mask]``), or an argument is a random generator, whose draws all examples would share: draw before, and pass
        the numbers.
    MissingRuleError
        If the program uses an operation without a batching rule.

    Notes
    -----
    Arguments that are not mapped are never repeated: the product of a shared matrix with the vectors of all examples
    is one matrix product. A dimension of Python (a list, a loop) inside `f` stays what it is. ``np.piecewise`` applies
    its functions to all entries and then chooses, so they must be elementwise; one that visibly is not is an error.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import grad
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> vmap(lambda v: v[0] * v[1])(x)
    array([ 2., 12.])
    >>> vmap(np.dot, in_axes=(None, 1))(np.array([1.0, 10.0]), x)
    array([31., 42.])
    >>> vmap(grad(lambda w, v: np.tanh(w @ v)), in_axes=(None, 0))(np.zeros(2), x)  # for each example
    array([[1., 2.],
           [3., 4.]])
    """
    check_callable("vmap", f)
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not (in_axes is None or isinstance(in_axes, tuple) or _is_axis(in_axes)):
        raise TypeError(
            "vmap: in_axes must be an int, None, or a tuple with one entry for each positional argument, not "
            f"{in_axes!r}."
        )
    if axis_size is not None and (isinstance(axis_size, bool) or operator.index(axis_size) < 0):
        raise ValueError(f"vmap: axis_size must be a number of examples, not {axis_size!r}.")

    @functools.wraps(f, updated=())
    def mapped(*args: Any, **kwargs: Any) -> Any:
        names = [f"argument {i}" for i in range(len(args))] + [f"argument {k!r}" for k in kwargs]
        found = [
            _leaves(x, axes, name)
            for x, axes, name in zip((*args, *kwargs.values()), _axes(in_axes, args, kwargs), names, strict=True)
        ]
        level = BatchLevel("vmap", _size([leaf for leaves, _ in found for leaf in leaves], axis_size))
        call = [tree.unflatten(s, [_batched(leaf, level) for leaf in leaves]) for leaves, s in found]
        with level.running():
            out = f(*call[: len(args)], **dict(zip(kwargs, call[len(args) :], strict=True)))
            outs, structure = flatten("vmap", "the function's value", out)
        axes = _prefix(out_axes, out, "the function's value", "out_axes")
        paths = structure.paths("the function's value")
        return tree.unflatten(structure, [_result(v, a, level, p) for v, a, p in zip(outs, axes, paths, strict=True)])

    return mapped


# -- arguments -----------------------------------------------------------------------------------------------


class _Leaf(NamedTuple):
    """One array of an argument, with the axis that counts the examples, and its name for messages."""

    value: Any
    axis: Any
    name: str


def _is_axis(axis: Any) -> bool:
    return hasattr(axis, "__index__") and not isinstance(axis, bool)


def _axes(in_axes: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Entry of `in_axes` for each argument."""
    if not isinstance(in_axes, tuple):
        return (in_axes,) * len(args) + (0,) * len(kwargs)
    if len(in_axes) != len(args):
        raise ValueError(
            f"vmap: in_axes={in_axes!r} has {len(in_axes)} entries, but the function was called with {len(args)} "
            "positional argument(s); keyword arguments are mapped along their first axis."
        )
    return (*in_axes, *(0,) * len(kwargs))


def _leaves(x: Any, axes: Any, name: str) -> tuple[list[_Leaf], tree.Structure]:
    """Flatten an argument, and find the axis of each leaf."""
    values, structure = tree.flatten(x, strict=False)
    found = [
        _Leaf(*leaf) for leaf in zip(values, _prefix(axes, x, name, "in_axes"), structure.paths(name), strict=True)
    ]
    for value, axis, path in found:
        if _is_generator(value):
            raise BatchingError(
                f"vmap: {path} is a {type(value).__name__}: its state is one for all examples, so that they would "
                "share every draw. Draw the random numbers before, one set for each example, and pass them as a mapped "
                "array (rng.normal(size=(n, ...)))."
            )
        if axis is not None:
            _check_axis(value, axis, path)
    return found, structure


def _is_generator(x: Any) -> bool:
    kind = type(x)
    return kind.__module__.split(".")[0:2] == ["numpy", "random"] or kind.__module__ == "random"


def _check_axis(value: Any, axis: Any, path: str) -> None:
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        raise TypeError(
            f"vmap: {path} is {describe(value)} {value!r}, which has no axis to map; give it in_axes=None, close over "
            "it (functools.partial), or make it an array with one entry for each example."
        )
    shape = shape_of(value)
    if not -len(shape) <= axis < len(shape):
        raise ValueError(
            f"vmap: {path} is {describe(value)} with {len(shape)} axes, so it has no axis {axis} to map; give it "
            "in_axes=None if all examples share it."
        )


def _children(x: Any) -> tuple[list[Any], tree.Structure]:
    """Flatten one level of a tree."""
    return tree.flatten(x, is_leaf=lambda v: v is not x, strict=False)


def _prefix(axes: Any, x: Any, name: str, what: str) -> list[Any]:
    """One axis for each leaf of a tree; an axis higher up counts for all leaves below it."""
    if axes is None or _is_axis(axes):
        return [axes if axes is None else operator.index(axes)] * len(tree.leaves(x, strict=False))
    children, structure = _children(x)
    entries = None
    with contextlib.suppress(TypeError, ValueError):
        entries = tree.flatten_like(structure, axes, is_leaf=lambda v: v is not axes, strict=False)
    if entries is None or structure is tree.LEAF:
        raise ValueError(
            f"vmap: {what} has {axes!r} for {name}, which is {_shown(x)}; an entry is an int, None, or a tree like "
            "that of the arrays, down to any depth."
        )
    found = zip(entries, children, structure.paths(name), strict=True)
    return [axis for entry, child, path in found for axis in _prefix(entry, child, path, what)]


def _shown(x: Any) -> str:
    shown = tree.structure(x, strict=False)
    return describe(x) if shown is tree.LEAF else f"the tree {shown}"


def _size(leaves: list[_Leaf], axis_size: int | None) -> int:
    """Return the number of examples."""
    sizes = [shape_of(x)[axis] for x, axis, _ in leaves if axis is not None]
    if axis_size is not None:
        sizes.append(operator.index(axis_size))
    if not sizes:
        raise ValueError(
            "vmap: no argument is mapped, so the number of examples is unknown; give an axis in in_axes, or axis_size=."
        )
    if len(set(sizes)) > 1:
        shown = [
            f"{name} has {shape_of(x)[axis]} along axis {axis} ({describe(x)})"
            for x, axis, name in leaves
            if axis is not None
        ]
        shown += [f"axis_size={axis_size}"] if axis_size is not None else []
        raise ValueError(f"vmap: the sizes of the mapped axes differ: {'; '.join(shown)}.")
    return int(sizes[0])


def _batched(leaf: _Leaf, level: BatchLevel) -> Any:
    value = settled(leaf.value)
    if leaf.axis is None:
        return value
    return Batched(level, value if leaf.axis == 0 else settled(np.moveaxis(value, leaf.axis, 0)))


# -- results -------------------------------------------------------------------------------------------------


def _result(v: Any, axis: Any, level: BatchLevel, path: str) -> Any:
    """One array of the result, with the axis of the examples where it belongs."""
    if not (type(v) is Batched and v.level is level):
        v = check_foreign("vmap", v, level)
        if axis is None:
            return v
        _check_out(shape_of(v), axis, path)
        y: Any = np.broadcast_to(v, (level.size, *shape_of(v)))
        value: Any = y if isinstance(y, Tracer) else y.copy()
    elif axis is None:
        raise ValueError(
            f"vmap: out_axes is None for {path}, but it depends on the mapped arguments ({describe(v)} for each of "
            f"{level.size} examples); give an axis, or reduce it outside."
        )
    else:
        _check_out(v.shape, axis, path)
        value = v.value
    return value if axis == 0 else np.moveaxis(value, 0, axis)


def _check_out(shape: tuple[int, ...], axis: int, path: str) -> None:
    if not -len(shape) - 1 <= axis <= len(shape):
        raise ValueError(
            f"vmap: out_axes={axis} for {path}, which has the shape {shape} for one example and {len(shape) + 1} axes "
            "with that of the examples."
        )
