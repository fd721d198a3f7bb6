"""`checkpoint`: trade time for memory by recomputing a function in the backward sweep."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from autodiff.core.assignment import settled
from autodiff.core.batching import Batched, all_values
from autodiff.core.errors import DifferentiationError
from autodiff.core.forward import Dual
from autodiff.core.level import active_levels, reopened
from autodiff.core.reverse import Call, Node, Variable, call_nodes, next_seq, pull_back, reachable
from autodiff.core.tangents import push_forward
from autodiff.transforms._boundary import check_callable, settled_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from autodiff.core.level import Level

__all__ = ["checkpoint"]


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function whose intermediate values are recomputed in the backward sweep instead of stored.

    The value and all derivatives are those of `f`. Its trace is dropped as soon as `f` returns, and `f` runs
    again when the backward sweep reaches it; so `f` must give the same result each time: it takes a seed rather
    than a random generator, and no array that it reads may be changed in place meanwhile. Variables of the
    enclosing function are read as they were at the time of the call, traced ones included.

    Parameters
    ----------
    f : callable
        A function written with NumPy; arguments and results are trees of arrays.

    Returns
    -------
    callable
        The same function.

    Raises
    ------
    DifferentiationError
        In the backward sweep, if the second run of `f` is seen to differ from the first.

    References
    ----------
    Griewank and Walther (2000), "Algorithm 799: revolve"; Chen et al. (2016), "Training deep nets with sublinear
    memory cost": n steps in segments of sqrt(n) need memory for 2 sqrt(n).

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import grad
    >>> grad(lambda x: checkpoint(lambda y: np.sin(np.sin(y)))(x))(0.0)
    np.float64(1.0)
    """
    check_callable("checkpoint", f)

    @functools.wraps(f, updated=())
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        # What the function assigns to its arguments is not seen by the caller, nor by its second run.
        args, kwargs = tree.map(settled, (args, kwargs), strict=False)
        again = functools.partial(_frozen(f, {}), *args, **kwargs)
        start = next_seq()
        own_args, own_kwargs = tree.map(settled, (args, kwargs), strict=False)
        out = f(*own_args, **own_kwargs)
        leaves, structure = settled_leaves(out, strict=False)
        found: dict[Level, list[Variable]] = {}
        for v in _variables(leaves):
            if v.node.seq > start:
                found.setdefault(v.level, []).append(v)
        if not found:
            return out
        # A thread started by the program has its own context, where no level is active: look at the values too.
        levels = tuple({*active_levels(), *_levels((args, kwargs)), *found})
        new: dict[Node, Node] = {}
        for level, variables in found.items():
            at = {v.node: i for i, v in enumerate(variables)}
            parents = [n for n in reachable(at, start) if n.seq < start]
            call = _Recompute(again, levels, level, list(at.values()), parents, [_mark(v) for v in variables])
            new.update(zip(at, call_nodes(call, parents, list(at)), strict=True))
        return tree.unflatten(structure, [_replace(x, new) for x in leaves])

    return checkpointed


def _variables(leaves: Iterable[Any]) -> Iterator[Variable]:
    """All variables inside the results, at every level: the same order whenever the function runs."""
    stack = list(leaves)
    while stack:
        x = stack.pop()
        if isinstance(x, Variable):
            yield x
            stack.append(x.primal)
        elif isinstance(x, Dual):
            stack += [x.primal, x.tangent]
        elif isinstance(x, Batched):
            stack.append(x.value)


def _levels(arguments: Any) -> Iterator[Level]:
    """The levels that the arguments belong to."""
    for x in tree.leaves(arguments, strict=False):
        while isinstance(x, (Dual, Variable, Batched)):
            yield x.level
            x = x.value if isinstance(x, Batched) else x.primal  # noqa: PLW2901 - one level down


def _frozen(f: Any, done: dict[Any, Any]) -> Any:
    """Copy a function with its closure as it is now, so that a loop variable can change before `f` runs again."""
    if type(f) is not types.FunctionType or not f.__closure__:
        return f
    if f not in done:
        cells = tuple(types.CellType() for _ in f.__closure__)
        done[f] = twin = types.FunctionType(f.__code__, f.__globals__, f.__name__, f.__defaults__, cells)
        twin.__kwdefaults__ = f.__kwdefaults__
        for new, old in zip(cells, f.__closure__, strict=True):
            try:
                new.cell_contents = _frozen(settled(old.cell_contents), done)
            except ValueError:  # an empty cell: a variable that is not yet assigned
                continue
    return done[f]


def _mark(v: Variable) -> Any:
    """A few entries of a result, by which a second run is recognised; None if its values are not at hand."""
    x = all_values(v)
    if not isinstance(x, (np.ndarray, np.generic, float, complex)):
        return None
    return np.asarray(x).flat[:: np.size(x) // 8 + 1]


def _same(a: Any, b: Any) -> bool:
    """Whether two marks agree up to the rounding of an operation that is not bitwise reproducible."""
    if a is None or b is None:
        return True
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    with np.errstate(all="ignore"):
        tolerance = float(np.finfo(a.dtype).eps) ** 0.5
        scale = float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a)))
        return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True))


def _replace(x: Any, new: dict[Node, Node]) -> Any:
    """Rebuild a result on the new nodes."""
    if isinstance(x, Variable):
        return Variable(x.level, _replace(x.primal, new), new.get(x.node, x.node))
    if isinstance(x, Dual):
        return Dual(x.level, _replace(x.primal, new), _replace(x.tangent, new), x.mask)
    if isinstance(x, Batched):
        return Batched(x.level, _replace(x.value, new))
    return x


class _Recompute(Call):
    """A function that runs again when a sweep reaches it.

    It runs on the very tracers that it was given (and that its closure holds), with their levels open once
    more: so its new trace begins at the nodes that its old trace began at.
    """

    name = "checkpoint"

    def __init__(
        self,
        again: Callable[[], Any],
        levels: tuple[Level, ...],
        level: Level,
        which: list[int],
        parents: list[Node],
        marks: list[Any],
    ) -> None:
        self.again = again
        self.levels = levels
        self.level = level
        self.which = which
        self.parents = parents
        self.marks_of = marks

    def _run(self) -> tuple[int, list[Node]]:
        """Run the function again; returns where its trace begins and the nodes of its results."""
        start = next_seq()
        with reopened(self.levels):
            args, keywords = tree.map(settled, (self.again.args, self.again.keywords), strict=False)  # type: ignore[attr-defined]
            function = _frozen(self.again.func, {})  # type: ignore[attr-defined]
            leaves, _ = settled_leaves(function(*args, **keywords), strict=False)
        mine = [v for v in _variables(leaves) if v.level is self.level and v.node.seq > start]
        if len(mine) != len(self.marks_of) or not all(map(_same, map(_mark, mine), self.marks_of)):
            raise self._impure()
        return start, [mine[i].node for i in self.which]

    def _impure(self) -> DifferentiationError:
        return DifferentiationError(
            f"checkpoint({getattr(self.again.func, '__name__', 'f')}): the function did something else "  # type: ignore[attr-defined]
            "when it ran again for the backward sweep. It must be pure: pass seeds rather than random generators, "
            "and do not change in place what it reads."
        )

    def push(self, ts: list[Any]) -> list[Any]:
        """Tangents of the results."""
        start, nodes = self._run()
        seeds = {n: t for n, t in zip(self.parents, ts, strict=True) if t is not None}
        found = push_forward(nodes, seeds, start)
        return [found.get(n) for n in nodes]

    def pull(self, cts: list[Any]) -> list[Any]:
        """Adjoints of what the function read."""
        start, nodes = self._run()
        found = pull_back([(n, ct) for n, ct in zip(nodes, cts, strict=True) if ct is not None], start)
        if not set(found) <= set(self.parents):
            raise self._impure()
        return [found.get(n) for n in self.parents]
