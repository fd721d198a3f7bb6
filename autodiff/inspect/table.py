"""The evaluation trace as a table: primal, tangent and adjoint columns of Baydin et al. (2018), tables 2 and 3.

The derivative formulas are not written here: each is the operation's own rule, run on symbols and recorded.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodiff import tree
from autodiff.core.record import Recorded, RecordLevel, Step
from autodiff.core.reverse import Adjoints, Node, blank, conform, full, pull_elementwise, pull_structure
from autodiff.core.spec import Spec, dtype_of, is_inexact, shape_of
from autodiff.core.tangents import tangent
from autodiff.core.zeros import drop_marks
from autodiff.inspect.notation import (
    ATOM,
    BAR,
    DOT,
    SUM,
    accent,
    expression,
    operation,
    show,
    subscript,
    value_text,
    width,
)
from autodiff.transforms._boundary import check_tangents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autodiff.inspect.evaluation_trace import EvaluationTrace

__all__ = ["Table", "make_table"]

PRIMAL, TANGENT, ADJOINT = "Forward primal trace", "Forward tangent trace", "Reverse adjoint trace"
LONGEST = 44  # characters of a formula; a longer one is abbreviated
MOST = 200  # lines of steps that are printed


class Contribution(NamedTuple):
    """What one step added to the adjoint of one of its operands."""

    step: Step
    position: int
    operand: Step
    total: Any
    first: bool


class Sweeps:
    """The numbers: values, tangents and adjoints of all steps."""

    def __init__(self, t: EvaluationTrace, tangents: Any, cotangent: Any) -> None:
        self.trace = t
        self.primals = promoted(t)
        self.tangents = self._forward(tangents)
        self.adjoints, self.contributions = self._reverse(cotangent)

    def args(self, step: Step) -> tuple[Any, ...]:
        """Operands of a step, as values."""
        return tuple(self.primals[x] if isinstance(x, Step) else x for x in step.operands)

    def smooth(self, step: Step) -> bool:
        """Whether a step's value can carry a derivative."""
        y = self.primals[step]
        return not isinstance(y, tuple) and is_inexact(y)

    def _forward(self, given: Any) -> dict[Step, Any]:
        ts = self._seeds(given)
        with np.errstate(all="ignore"):
            for step in self.trace.program:
                own = [ts.get(x) if isinstance(x, Step) else None for x in step.operands]
                if not self.smooth(step) or all(t is None for t in own):
                    continue
                y = self.primals[step]
                t = tangent(step.op, own, y, self.args(step), step.params, as_array(y))
                if t is not None:
                    ts[step] = t
        return ts

    def _seeds(self, given: Any) -> dict[Step, Any]:
        entries = self.trace.in_leaves
        likes = [self.primals[x] if isinstance(x, Step) else 0 for x in entries]
        if given is None:
            first = next((x for x in entries if isinstance(x, Step) and self.smooth(x)), None)
            flat: list[Any] = [
                np.full(shape_of(v), x is first, dtype_of(v))[()] for x, v in zip(entries, likes, strict=True)
            ]
        else:
            flat = check_tangents("table", "tangent", given, self.trace.in_tree, likes, of="argument")
        steps = [x if isinstance(x, Step) and self.smooth(x) else None for x in entries]
        return {x: t for x, t in zip(steps, flat, strict=True) if x is not None and t is not None}

    def _reverse(self, given: Any) -> tuple[dict[Step, Any], list[Contribution]]:
        nodes = self._nodes()
        steps = {node: step for step, node in nodes.items()}
        log: list[Contribution] = []
        sums = _Log()
        for step, seed in self._cotangents(given):
            if step in nodes:
                sums.add(nodes[step], seed)
        adjoints: dict[Step, Any] = {}
        with np.errstate(all="ignore"):
            for step in reversed([*self.trace.inputs, *self.trace.steps]):
                node = nodes.get(step)
                ct = None if node is None else sums.of.pop(node, None)
                if node is None or ct is None:
                    continue
                adjoints[step] = full(drop_marks(ct), node)
                if node.op is None:
                    continue
                sums.log = []
                (pull_elementwise if node.op.elementwise else pull_structure)(node, ct, sums)
                positions = [i for i, p in enumerate(node.parents) if p is not None]
                at = 0
                for parent, total, first in sums.log:
                    while node.parents[positions[at]] is not parent:
                        at += 1
                    log.append(Contribution(step, positions[at], steps[parent], total, first))
                    at += 1
        return adjoints, log

    def _nodes(self) -> dict[Step, Node]:
        """The steps as reverse mode records them, with nothing left out."""
        nodes: dict[Step, Node] = {}
        for step in (*self.trace.inputs, *self.trace.steps):
            if not self.smooth(step):
                continue
            y = self.primals[step]
            parents = tuple(
                nodes.get(x) if isinstance(x, Step) and step.op.differentiable(i) else None
                for i, x in enumerate(step.operands)
            )
            if step.op is None or any(p is not None for p in parents):
                nodes[step] = Node(step.op, parents, self.args(step), y, shape_of(y), dtype_of(y), step.params)
        return nodes

    def _cotangents(self, given: Any) -> list[tuple[Step, Any]]:
        outs = self.trace.outputs
        values = [self.primals[y] if isinstance(y, Step) else y for y in outs]
        if isinstance(given, (int, float)) and not isinstance(given, np.generic):
            flat = [np.full(shape_of(v), given, dtype_of(v))[()] if is_inexact(v) else None for v in values]
        else:
            flat = check_tangents("table", "cotangent", given, self.trace.out_tree, values, of="result")
        return [(y, c) for y, c in zip(outs, flat, strict=True) if isinstance(y, Step) and c is not None]


class _Log(Adjoints):
    """Adjoints that remember every partial sum since the log was emptied."""

    __slots__ = ("log",)

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[Node, Any, bool]] = []

    def add(self, node: Node, ct: Any, *, fresh: bool = False) -> None:
        first = self.of.get(node) is None
        super().add(node, ct, fresh=fresh)
        total = drop_marks(self.of[node])
        self.log.append((node, full(total.copy() if isinstance(total, np.ndarray) else total, node), first))


def as_array(y: Any) -> Any:
    """A value with a shape and a dtype: what `tangent` takes as a model."""
    return y if hasattr(y, "shape") else np.asarray(y)[()]


def promoted(t: EvaluationTrace) -> dict[Step, Any]:
    """Values of all steps, with integers that were passed directly promoted to floats as by `grad`.

    An integer that takes part in indexing stays one.
    """
    fixed: set[Step] = set()
    for step in reversed(t.steps):
        for i, x in enumerate(step.operands):
            mixed = any(step.op.differentiable(j) for j in range(len(step.operands)))
            if isinstance(x, Step) and (step in fixed or (mixed and not step.op.differentiable(i))):
                fixed.add(x)
    change = [s.weak and type(s.value) is int and s not in fixed for s in t.inputs]
    if not any(change):
        return {s: s.value for s in (*t.inputs, *t.steps)}
    return t.replay([float(s.value) if c else s.value for s, c in zip(t.inputs, change, strict=True)], check=False)


# -- formulas ------------------------------------------------------------------------------------------------


class Formulas:
    """Writes the derivative of a step by running its rule on symbols."""

    def __init__(self, sweeps: Sweeps, digits: int) -> None:
        self.sweeps = sweeps
        self.digits = digits

    def primal(self, step: Step) -> str:
        """``v₃ = sin v₀ = sin 5 = −0.959``."""
        names = [expression(x, lambda s: (subscript(s.index), ATOM), self.digits) for x in step.operands]
        numbers = [value_text(v, self.digits) for v in self.sweeps.args(step)]
        y = self.sweeps.primals[step]
        formulas = [operation(step, names)[0]]
        if all(not shape_of(v) for v in self.sweeps.args(step)) and not isinstance(y, tuple):
            formulas.append(operation(step, numbers)[0])
        return join(subscript(step.index), *formulas, show(y, self.digits))

    def tangent(self, step: Step) -> str:
        """``v̇₃ = v̇₀ × cos v₀ = 0 × cos 5 = 0``."""
        ts = self.sweeps.tangents
        y = self.sweeps.primals[step]
        own = [ts.get(x) if isinstance(x, Step) else None for x in step.operands]
        like = as_array(y)

        def rule(y: Any, args: Sequence[Any], seeds: Sequence[Any]) -> Any:
            return tangent(step.op, list(seeds), y, tuple(args), step.params, like)

        short = SHORT_SUM.join(
            f"{dot(x)} ∂{subscript(step.index)}/∂{subscript(x.index)}"
            for x, t in zip(step.operands, own, strict=True)
            if t is not None
        )
        formulas = self._write(step, rule, own, dot, short)
        return join(dot(step), *formulas, show(ts[step], self.digits))

    def adjoint(self, c: Contribution) -> str:
        """``v̄₀ = v̄₀ + v̄₂ × v₋₁ = 1.716``."""
        node = Spec(shape_of(self.sweeps.primals[c.operand]), dtype_of(self.sweeps.primals[c.operand]))
        op, i = c.step.op, c.position
        like = as_array(self.sweeps.primals[c.step])

        def rule(y: Any, args: Sequence[Any], seeds: Sequence[Any]) -> Any:
            ct = op.vjp_of(i, seeds[0], y, args, c.step.params)
            if op.marks is not None and op.marks[i] is not None:
                ct, _ = blank(ct, op.marks[i](y, *args), like.shape)
            return conform(ct, node)

        short = f"{bar(c.step)} ∂{subscript(c.step.index)}/∂{subscript(c.operand.index)}"
        before = "" if c.first else bar(c.operand)
        formulas = self._write(c.step, rule, [self.sweeps.adjoints[c.step]], bar, short, numbers=False, before=before)
        return join(bar(c.operand), *formulas, show(c.total, self.digits))

    def _write(
        self, step: Step, rule: Callable[..., Any], seeds: Sequence[Any], mark: Callable[[Step], str], short: str,
        *, numbers: bool = True, before: str = "",
    ) -> list[str]:  # fmt: skip
        """Run a rule on recorded symbols, and write what it did: with names, and with numbers if all are scalars."""
        args, y = self.sweeps.args(step), self.sweeps.primals[step]
        level = RecordLevel("table")
        sources = step.operands if len(seeds) == len(step.operands) and mark is dot else (step,)
        symbols: dict[Step, tuple[str, Any]] = {}

        def symbol(text: str, value: Any) -> Recorded:
            (made,) = level.arguments([value], [text])
            symbols[made.step] = text, value
            return made

        known = {
            x: symbol(subscript(x.index), v) for x, v in zip(step.operands, args, strict=True) if isinstance(x, Step)
        }
        own = [known.get(x, x) if isinstance(x, Step) else x for x in step.operands]
        marked: dict[Any, Recorded] = {}
        ts = []
        for x, t in zip(sources, seeds, strict=True):
            if t is not None and x not in marked:
                marked[x] = symbol(mark(x), t)
            ts.append(None if t is None else marked[x])
        with level.running(), np.errstate(all="ignore"):
            out = rule(symbol(subscript(step.index), y), own, ts)
        if not (type(out) is Recorded and out.level is level):
            return []
        plus = (lambda part: operation(_ADD, [(before, ATOM), part])) if before else (lambda part: part)
        text = plus(expression(out.step, lambda s: (symbols[s][0], ATOM) if s in symbols else None, self.digits))[0]
        if len(text) > LONGEST:
            return [plus((short, SUM))[0]]
        if not numbers or any(shape_of(v) for _, v in symbols.values()):
            return [text]
        values = {s: value_text(v, self.digits) for s, (_, v) in symbols.items()}
        filled = expression(out.step, values.get, self.digits)[0]
        return [text, filled] if len(filled) <= LONGEST else [text]


class _Add:
    """What `operation` reads of a step, for the sum of an adjoint and a contribution."""

    op = type("op", (), {"name": "add"})


_ADD: Any = _Add()
SHORT_SUM = " + "


def dot(step: Step) -> str:
    """``v̇₃``."""
    return accent(subscript(step.index), DOT)


def bar(step: Step) -> str:
    """``v̄₃``."""
    return accent(subscript(step.index), BAR)


def join(*parts: str) -> str:
    """Chain equal expressions, each once."""
    return " = ".join(dict.fromkeys(p for p in parts if p))


# -- the table -----------------------------------------------------------------------------------------------


class Table:
    """A trace with its derivatives, printed as text or HTML.

    Attributes
    ----------
    primals, tangents, adjoints : dict
        Values by the number of the step: ``adjoints[-1]`` is that of ``v₋₁``. Steps without a derivative, or on
        which the result does not depend, have no entry.
    forward, reverse : Table
        The primal and tangent columns alone (table 2 of the survey), the primal and adjoint columns (table 3).
    """

    def __init__(self, sweeps: Sweeps, digits: int, columns: tuple[str, ...]) -> None:
        self._sweeps = sweeps
        self._digits = digits
        self._columns = columns
        self._lines: list[list[tuple[str, ...]]] | None = None
        self.primals = {s.index: v for s, v in sweeps.primals.items()}
        self.tangents = {s.index: v for s, v in sweeps.tangents.items()}
        self.adjoints = {s.index: v for s, v in sweeps.adjoints.items()}

    @property
    def forward(self) -> Table:
        """Table 2 of the survey."""
        return Table(self._sweeps, self._digits, (PRIMAL, TANGENT))

    @property
    def reverse(self) -> Table:
        """Table 3 of the survey; read its adjoints from the bottom to the top."""
        return Table(self._sweeps, self._digits, (PRIMAL, ADJOINT))

    @property
    def sections(self) -> list[list[tuple[str, ...]]]:
        """Lines of text cells for the inputs, the steps and the outputs."""
        if self._lines is None:
            made = _Lines(self._sweeps, self._digits)
            keep = [(PRIMAL, TANGENT, ADJOINT).index(c) for c in self._columns]
            self._lines = [
                [tuple(line[i] for i in keep) for line in section if any(line[i] for i in keep)]
                for section in (made.inputs(), made.steps(), made.outputs())
            ]
        return self._lines

    def __str__(self) -> str:
        sections = [[self._columns], *self.sections]
        widths = [max(width(line[i]) for s in sections for line in s) for i in range(len(self._columns))]
        rule = "  ".join("-" * w for w in widths)
        return f"\n{rule}\n".join(
            "\n".join(
                "  ".join(cell + " " * (w - width(cell)) for cell, w in zip(line, widths, strict=True)).rstrip()
                for line in section
            )
            for section in sections
            if section
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="text-align:left;padding:4px 16px">{html.escape(c)}</th>' for c in self._columns)
        body = []
        for section in filter(None, self.sections):
            for at, line in enumerate(section):
                style = "text-align:left;padding:2px 16px;white-space:nowrap" + (
                    ";border-top:1px solid" if at == 0 else ""
                )
                body.append("<tr>" + "".join(f'<td style="{style}">{html.escape(c)}</td>' for c in line) + "</tr>")
        return (
            '<table style="border-top:2px solid;border-bottom:2px solid;border-collapse:collapse">'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        )


class _Lines:
    """The cells of a table, as text."""

    def __init__(self, sweeps: Sweeps, digits: int) -> None:
        self.sweeps = sweeps
        self.formulas = Formulas(sweeps, digits)
        self.digits = digits

    def inputs(self) -> list[tuple[str, ...]]:
        """``v₋₁ = x1 = 2``, ``v̇₋₁ = ẋ1 = 1``, ``x̄1 = v̄₋₁ = 5.5``."""
        lines: list[tuple[str, ...]] = [
            (
                join(subscript(s.index), s.label, show(self.sweeps.primals[s], self.digits)),
                self._value(self.sweeps.tangents, s, dot(s), accent(s.label, DOT)),
                self._value(self.sweeps.adjoints, s, accent(s.label, BAR), bar(s)),
            )
            for s in self.sweeps.trace.inputs
        ]
        return lines

    def _value(self, values: dict[Step, Any], s: Step, *names: str) -> str:
        return join(*names, show(values[s], self.digits)) if s in values else ""

    def steps(self) -> list[tuple[str, ...]]:
        """The operations; a step has a line for each adjoint to which it contributes, the last on top."""
        by_step: dict[Step, list[Contribution]] = {}
        for c in self.sweeps.contributions:
            by_step.setdefault(c.step, []).append(c)
        steps = self.sweeps.trace.steps
        skipped = len(steps) - MOST
        if skipped > 0:
            steps = [*steps[: MOST // 2], *steps[-MOST // 2 :]]
        lines: list[tuple[str, ...]] = []
        for at, step in enumerate(steps):
            if skipped > 0 and at == MOST // 2:
                lines.append((f"⋮ {skipped} more steps", "⋮", "⋮"))
            adjoints = [self.formulas.adjoint(c) for c in reversed(by_step.get(step, ()))]
            forward = self.formulas.tangent(step) if step in self.sweeps.tangents else ""
            lines.append((self.formulas.primal(step), forward, adjoints[0] if adjoints else ""))
            lines += [("", "", a) for a in adjoints[1:]]
        return lines

    def outputs(self) -> list[tuple[str, ...]]:
        """``y = v₅ = 11.652``, ``ẏ = v̇₅ = 5.5``, ``v̄₅ = ȳ = 1``."""
        t = self.sweeps.trace
        named = tree.paths(tree.unflatten(t.out_tree, range(len(t.outputs))))
        lines: list[tuple[str, ...]] = []
        for (path, _), y in zip(named, t.outputs, strict=True):
            name = "y" + path
            if not isinstance(y, Step):
                lines.append((join(name, show(y, self.digits)), join(accent(name, DOT), "0"), ""))
                continue
            lines.append(
                (
                    join(name, subscript(y.index), show(self.sweeps.primals[y], self.digits)),
                    self._value(self.sweeps.tangents, y, accent(name, DOT), dot(y)),
                    self._value(self.sweeps.adjoints, y, bar(y), accent(name, BAR)),
                )
            )
        return lines


def make_table(t: EvaluationTrace, tangents: Any, cotangent: Any, digits: int) -> Table:
    """Run both sweeps over a trace and lay them out."""
    return Table(Sweeps(t, tangents, cotangent), digits, (PRIMAL, TANGENT, ADJOINT))
