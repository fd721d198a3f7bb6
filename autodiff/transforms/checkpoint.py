"""`checkpoint`: trade time for memory by recomputing a function in the backward sweep."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autodiff import tree
from autodiff.core.errors import DifferentiationError
from autodiff.core.forward import Dual
from autodiff.core.level import active_levels, reopened
from autodiff.core.reverse import Call, Node, Variable, call_nodes, next_seq, pull_back, push_forward, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from autodiff.core.level import Level

__all__ = ["checkpoint"]


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function whose intermediate values are recomputed in the backward sweep instead of stored.

    The value and all derivatives are those of `f`. Its trace is dropped as soon as `f` returns, and `f` runs
    again when the backward sweep reaches it; so `f` must give the same result each time (take a seed as an
    argument rather than a generator) and its side effects happen twice. Traced values in its closure work like
    arguments.

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
        In the backward sweep, if the second run of `f` differs in kind from the first.

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

    @functools.wraps(f, updated=())
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        levels = active_levels()
        start = next_seq()
        out = f(*args, **kwargs)
        leaves, structure = tree.flatten(out, strict=False)
        found: dict[Level, list[Variable]] = {}
        for v in _variables(leaves):
            if v.node.seq > start:
                found.setdefault(v.level, []).append(v)
        if not found:
            return out
        again = functools.partial(f, *args, **kwargs)
        new: dict[Node, Node] = {}
        for level, variables in found.items():
            at = {v.node: i for i, v in enumerate(variables)}
            parents = [n for n in reachable(at, start) if n.seq < start]
            call = _Recompute(again, levels, level, list(at.values()), parents)
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


def _replace(x: Any, new: dict[Node, Node]) -> Any:
    """Rebuild a result on the new nodes."""
    if isinstance(x, Variable):
        return Variable(x.level, _replace(x.primal, new), new.get(x.node, x.node))
    if isinstance(x, Dual):
        return Dual(x.level, _replace(x.primal, new), _replace(x.tangent, new))
    return x


class _Recompute(Call):
    """A function that runs again when a sweep reaches it.

    It runs on the very tracers that it was given (and that its closure holds), with their levels open once
    more: so its new trace begins at the nodes that its old trace began at.
    """

    name = "checkpoint"

    def __init__(
        self, again: Callable[[], Any], levels: tuple[Level, ...], level: Level, which: list[int], parents: list[Node]
    ) -> None:
        self.again = again
        self.levels = levels
        self.level = level
        self.which = which
        self.parents = parents

    def _run(self) -> tuple[int, list[Node]]:
        """Run the function again; returns where its trace begins and the nodes of its results."""
        start = next_seq()
        with reopened(self.levels):
            leaves = tree.leaves(self.again(), strict=False)
        mine = [v for v in _variables(leaves) if v.level is self.level and v.node.seq > start]
        if len(mine) <= max(self.which):
            raise self._impure()
        return start, [mine[i].node for i in self.which]

    def _impure(self) -> DifferentiationError:
        return DifferentiationError(
            "checkpoint: the function did something else when it ran again for the backward sweep. It must be pure: pass "
            "seeds rather than random generators, and do not change what it reads."
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
