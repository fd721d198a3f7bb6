"""The computational graph of a trace, as Graphviz and Mermaid text and as a picture."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodiff import tree
from autodiff.core.record import Step
from autodiff.core.spec import is_inexact, shape_of
from autodiff.inspect.notation import SYMBOLS, show, subscript
from autodiff.inspect.table import promoted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from autodiff.inspect.evaluation_trace import EvaluationTrace

__all__ = ["Drawing", "draw"]

MANY = 5  # elements of an array whose values are not shown
_TEXTS = {"dot", "gv", "mmd", "md"}
_PICTURES = {"svg", "png", "pdf"}
# Fill and border of each kind of vertex: quiet colours that print well in grey, too.
_COLOURS = {
    "input": ("#dbeafe", "#2563eb"),
    "linear": ("#f1f5f9", "#64748b"),
    "nonlinear": ("#fef3c7", "#d97706"),
    "constant": ("#ffffff", "#cbd5e1"),
    "stops": ("#ffffff", "#64748b"),
    "output": ("#dcfce7", "#16a34a"),
}


class Vertex(NamedTuple):
    """A vertex of the graph: its lines of text, from the most important to the least."""

    key: str
    kind: str
    lines: tuple[str, ...]


class Edge(NamedTuple):
    """An edge; dashed if no derivative flows along it."""

    start: str
    end: str
    smooth: bool


class Drawing:
    """A graph as text: ``.dot`` for Graphviz, ``.mermaid`` for Mermaid; a notebook shows the picture.

    Blue: inputs, green: results, amber: nonlinear operations, grey: linear ones, white: constants, dashed:
    where no derivative flows.
    """

    def __init__(self, vertices: list[Vertex], edges: list[Edge], title: str) -> None:
        self.vertices = vertices
        self.edges = edges
        self.title = title

    def __str__(self) -> str:
        return self.dot

    def __repr__(self) -> str:
        size = f"{len(self.vertices)} vertices, {len(self.edges)} edges"
        return f"<drawing of {self.title}: {size}; .dot, .mermaid, .save(path)>"

    @property
    def dot(self) -> str:
        """The graph in Graphviz's language."""
        lines = [
            f"digraph {_dot_text(self.title)} {{",
            '  graph [rankdir=LR, nodesep=0.25, ranksep=0.45, bgcolor="white", pad=0.2];',
            '  node [shape=box, style="rounded,filled", margin="0.12,0.06", penwidth=1.2];',
            '  node [fontname="Helvetica", fontsize=11];',
            '  edge [color="#64748b", arrowsize=0.6, penwidth=1.1];',
        ]
        lines += [f"  {v.key} [{_dot_style(v)}];" for v in self.vertices]
        lines += [f"  {e.start} -> {e.end}{'' if e.smooth else ' [style=dashed]'};" for e in self.edges]
        return "\n".join([*lines, "}", ""])

    @property
    def mermaid(self) -> str:
        """The graph in Mermaid's language, which Markdown viewers draw."""
        lines = ["flowchart LR"]
        for v in self.vertices:
            opening, closing = ("(", ")") if v.kind != "constant" else ("[", "]")
            text = "<br/>".join(_mermaid_text(line) for line in v.lines)
            lines.append(f'  {v.key}{opening}"{text}"{closing}:::{v.kind}')
        lines += [f"  {e.start} {'-->' if e.smooth else '-.->'} {e.end}" for e in self.edges]
        for kind in dict.fromkeys(v.kind for v in self.vertices):
            fill, border = _COLOURS[kind]
            dashes = ",stroke-dasharray:4 3" if kind == "stops" else ""
            lines.append(f"  classDef {kind} fill:{fill},stroke:{border},color:#0f172a{dashes}")
        return "\n".join([*lines, ""])

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> None:  # noqa: A002
        """Write the graph to a file; the suffix (or `format`) decides how, see `EvaluationTrace.draw`."""
        target = Path(path)
        kind = (format or target.suffix.lstrip(".")).lower()
        if kind in _PICTURES:
            target.write_bytes(self._render(kind))
        elif kind in _TEXTS:
            fenced = f"```mermaid\n{self.mermaid}```\n"
            text = {"mmd": self.mermaid, "md": fenced}.get(kind, self.dot)
            target.write_text(text, encoding="utf-8")
        else:
            raise ValueError(
                f"draw: unknown format {kind!r} for {target.name!r}; use .dot, .gv, .mmd or .md (text), or .svg, .png "
                "or .pdf."
            )

    def _render(self, kind: str) -> bytes:
        program = shutil.which("dot")
        if program is None:
            raise RuntimeError(
                f"draw: a .{kind} picture needs Graphviz, whose program 'dot' is not on the PATH. Install it (apt "
                "install graphviz, brew install graphviz, conda install graphviz, or graphviz.org/download), or write "
                ".dot, .mmd or .md, which need nothing."
            )
        options = ["-Gdpi=160"] if kind == "png" else []
        done = subprocess.run(  # noqa: S603 - the program found above, with fixed arguments
            [program, f"-T{kind}", *options], input=self.dot.encode(), capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"draw: Graphviz failed: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def _repr_svg_(self) -> str | None:
        return self._render("svg").decode() if shutil.which("dot") else None


def draw(t: EvaluationTrace) -> Drawing:
    """Lay out the graph of a trace."""
    vertices = [Vertex(_key(s), "input", (s.label, _value(s))) for s in t.inputs]
    edges: list[Edge] = []
    values = promoted(t)
    carrying = {s for s, v in values.items() if not isinstance(v, tuple) and is_inexact(v)}
    for step in t.steps:
        vertices.append(Vertex(_key(step), _kind(step, carrying), (_symbol(step), _value(step))))
        for i, x in enumerate(step.operands):
            if isinstance(x, Step):
                edges.append(Edge(_key(x), _key(step), step.op.differentiable(i) and x in carrying))
            else:
                key = f"c{step.index}_{i}"
                vertices.append(Vertex(key, "constant", (_short(x),)))
                edges.append(Edge(key, _key(step), False))
    for number, (path, y) in enumerate(_results(t)):
        vertices.append(Vertex(f"y{number}", "output", (f"y{path}",) if isinstance(y, Step) else (f"y{path}", show(y))))
        if isinstance(y, Step):
            edges.append(Edge(_key(y), f"y{number}", y in carrying))
    return Drawing(vertices, edges, t.name)


def _results(t: EvaluationTrace) -> Iterator[tuple[str, Any]]:
    named = tree.paths(tree.unflatten(t.out_tree, range(len(t.outputs))))
    return ((path, y) for (path, _), y in zip(named, t.outputs, strict=True))


def _value(step: Step) -> str:
    """``v₃ = −0.959``, or ``v₃: float64 (32×10)``."""
    large = isinstance(step.value, np.ndarray) and step.value.size >= MANY
    return f"{subscript(step.index)}{':' if large else ' ='} {_short(step.value)}"


def _short(x: Any) -> str:
    """A number or a few; of more, the dtype and the shape."""
    if isinstance(x, np.ndarray) and x.size >= MANY:
        return f"{x.dtype} ({'×'.join(map(str, x.shape))})"
    return show(x)


def _key(step: Step) -> str:
    return f"v{step.index}".replace("-", "m")


def _kind(step: Step, carrying: set[Step]) -> str:
    """How a step treats derivatives; `carrying` are the steps that can have one."""
    active = [i for i, x in enumerate(step.operands) if isinstance(x, Step) and x in carrying]
    if not any(step.op.differentiable(i) for i in active) or step not in carrying:
        return "stops"
    linear = step.op.linear_args.issuperset(active) and (len(active) == 1 or step.op.jointly)
    return "linear" if linear else "nonlinear"


def _symbol(step: Step) -> str:
    name = step.op.name
    if name == "power" and not isinstance(step.operands[1], Step) and not shape_of(step.operands[1]):
        return f"power {show(step.operands[1])}"
    symbol: str = SYMBOLS.get(name, name)
    return symbol


# -- quoting -------------------------------------------------------------------------------------------------


def _dot_text(text: str) -> str:
    """A quoted string of Graphviz: backslashes and quotes escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _dot_style(v: Vertex) -> str:
    fill, border = _COLOURS[v.kind]
    first = f'<font point-size="{13 if len(v.lines) > 1 else 11}"><b>{_html(v.lines[0])}</b></font>'
    if v.kind == "constant":
        first = f'<font point-size="10" color="#475569">{_html(v.lines[0])}</font>'
    rest = "".join(f'<br/><font point-size="10" color="#334155">{_html(line)}</font>' for line in v.lines[1:])
    style = {"stops": ', style="rounded,filled,dashed"', "constant": ', margin="0.06,0.03", height=0.2, width=0.2'}
    return f'label=<{first}{rest}>, fillcolor="{fill}", color="{border}"{style.get(v.kind, "")}'


def _mermaid_text(text: str) -> str:
    """Text inside a quoted Mermaid label: what it reads as markup becomes an entity."""
    for sign, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;"), ("\n", " ")):
        text = text.replace(sign, code)
    return text
