"""Custom rules under `vmap`: a function of one example, and its rule, as functions of the values of all examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodiff import tree
from autodiff.core.batching import Batched, BatchLevel
from autodiff.core.forward import Dual
from autodiff.core.level import Traced
from autodiff.core.reverse import Variable
from autodiff.transforms._boundary import settled_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Examples", "differentiated", "rebuild"]


def rebuild(flat: list[tuple[list[Any], Any]], xs: Sequence[Any]) -> list[Any]:
    """Undo the flattening of several arguments into one list of leaves."""
    at, trees = 0, []
    for leaves, structure in flat:
        trees.append(tree.unflatten(structure, xs[at : at + len(leaves)]))
        at += len(leaves)
    return trees


def differentiated(x: Any) -> bool:
    """Whether a value carries a derivative at any level."""
    while isinstance(x, Batched):
        x = x.value
    return isinstance(x, (Dual, Variable))


class _Kept(NamedTuple):
    """Values of all examples among the residuals of a `custom_vjp`."""

    value: Any


class Examples:
    """A function with a custom rule, its arguments and its rule as functions of the values of all examples.

    Each runs in a level of its own: a backward function runs when the `vmap` itself may be over.
    """

    def __init__(self, custom: Any, level: BatchLevel, flat: Any, static: list[Any]) -> None:
        self.custom = custom
        self.level = level
        self.flat = flat
        leaves = [x for xs, _ in flat for x in xs]
        self.mapped = [type(x) is Batched and x.level is level for x in leaves]
        self.values = [x.value if m else x for x, m in zip(leaves, self.mapped, strict=True)]
        self.static = [tree.map(self._keep, x, strict=False) for x in static]
        self.structure: Any = None

    def _keep(self, x: Any, level: Any = None) -> Any:
        """Take the batch axis of a value out of the tracing (its level may end before it is needed)."""
        return _Kept(x.value) if type(x) is Batched and x.level is (level or self.level) else x

    def restored(self, x: Any, level: BatchLevel) -> Any:
        """Give a tree with values that were kept to another level."""
        is_kept = lambda v: type(v) is _Kept  # noqa: E731
        put = lambda v: Batched(level, v.value) if type(v) is _Kept else v  # noqa: E731
        return tree.map(put, x, is_leaf=is_kept, strict=False)

    def trees(self, values: Sequence[Any], level: BatchLevel) -> list[Any]:
        """Arguments (or tangents) of one example, as trees."""
        return rebuild(self.flat, [Batched(level, v) if m else v for v, m in zip(values, self.mapped, strict=True)])

    def run(self, call: Callable[[BatchLevel, list[Any]], Any]) -> Any:
        """Call a function of a level and the static arguments inside that level."""
        level = BatchLevel(self.level.transform, self.level.size)
        with level.running():
            return call(level, [self.restored(x, level) for x in self.static])

    def flattened(self, x: Any, level: BatchLevel) -> list[Any]:
        """Values of all examples of each leaf of a result."""
        leaves, self.structure = settled_leaves(x)
        values = [level.values_of(v) for v in leaves]
        for v in values:
            if isinstance(v, Traced) and v.level is self.level:
                raise self.custom.closure(v)
        return values

    def function(self, *values: Any) -> Any:
        """Return the value."""
        return self.run(
            lambda level, static: self.flattened(
                self.custom.f(*self.custom.interleave(self.trees(values, level), static)),
                level,
            )
        )

    def tangents(self, rule: Any, primals: Any, tangents: Any) -> Any:
        """Return value and tangent by the rule of a `custom_jvp`."""

        def call(level: BatchLevel, static: list[Any]) -> Any:
            result = rule(*static, tuple(self.trees(primals, level)), tuple(self.trees(tangents, level)))
            if not (isinstance(result, (tuple, list)) and len(result) == 2):
                return result
            ts = self.flattened(result[1], level)
            return self.flattened(result[0], level), ts

        return self.run(call)

    def forward(self, fwd: Any, *values: Any) -> Any:
        """Return value and residuals of a `custom_vjp`."""

        def call(level: BatchLevel, static: list[Any]) -> Any:
            result = fwd(*self.custom.interleave(self.trees(values, level), static))
            if not (isinstance(result, (tuple, list)) and len(result) == 2):
                return result
            kept = tree.map(lambda x: self._keep(x, level), result[1], strict=False)
            return self.flattened(result[0], level), kept

        return self.run(call)

    def backward(self, bwd: Any, residuals: Any, cts: Any) -> Any:
        """Return cotangents of the values of all examples; those of a shared argument are summed."""

        def call(level: BatchLevel, static: list[Any]) -> Any:
            ct = tree.unflatten(self.structure, [Batched(level, c) for c in cts])
            found = bwd(*static, self.restored(residuals, level), ct)
            if not isinstance(found, (tuple, list)) or len(found) != len(self.flat):
                return found
            flat = []
            for c, (leaves, _) in zip(found, self.flat, strict=True):
                flat += [None] * len(leaves) if c is None else [level.values_of(v) for v in tree.leaves(c)]
            return tuple([c if c is None or m else np.sum(c, axis=0) for c, m in zip(flat, self.mapped, strict=True)])

        return self.run(call)
