"""What a trace costs: operations, floating-point operations, bytes moved and bytes held.

The counts follow from shapes: a multiplication or a transcendental function counts as one operation for each
element, as in most published counts. They say what the algorithm needs, not what a machine reaches.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodiff.core.record import Step
from autodiff.core.spec import dtype_of, is_inexact, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from autodiff.inspect.evaluation_trace import EvaluationTrace

__all__ = ["FLOPS", "Cost", "Line", "count", "flops"]


def _size(x: Any) -> int:
    return math.prod(shape_of(x))


def _read(step: Step) -> int:
    """One operation for each element of the first operand: reductions and scans."""
    return _size(step.operands[0])


def _written(step: Step) -> int:
    """One operation for each element of the result."""
    return step.size


def _nothing(_step: Step) -> int:
    """Data moves, or nothing happens: no arithmetic."""
    return 0


def _matmul(step: Step) -> int:
    """2 m n k: the shared axis is the last of the first operand."""
    return 2 * step.size * shape_of(step.operands[0])[-1]


def _einsum(step: Step) -> int:
    """As many multiplications as operands, less one, and an addition, for each combination of the indices."""
    terms = step.params["subscripts"].split("->")[0].split(",")
    sizes = {c: n for x, term in zip(step.operands, terms, strict=True) for c, n in zip(term, shape_of(x), strict=True)}
    return len(terms) * math.prod(sizes.values())


def _dense(step: Step) -> int:
    """2 m n k, and an addition for each element if there is a bias."""
    return _matmul(step) + (step.size if len(step.operands) == 3 else 0)


def _convolution(step: Step) -> int:
    """2 multiply-adds for each entry of a filter at each place of it, and the bias; padding counts as any pixel."""
    filters: tuple[int, ...] = shape_of(step.operands[1])
    return 2 * step.size * math.prod(filters[1:]) + (step.size if len(step.operands) == 3 else 0)


def _convolution_by_images(step: Step) -> int:
    """As many as forwards: each adjoint meets each entry of the filter that it came through."""
    return int(2 * _read(step) * math.prod(shape_of(step.operands[1])[1:]))


def _convolution_by_filters(step: Step) -> int:
    """As many as forwards."""
    return int(2 * _size(step.operands[1]) * math.prod(step.params["kernel_shape"][1:]))


def _pooling(step: Step) -> int:
    """A comparison or an addition for each item of each window."""
    return int(step.size * math.prod(step.params["at"].window))


def _correlate(step: Step) -> int:
    """Full convolution of two vectors."""
    return 2 * _size(step.operands[0]) * _size(step.operands[1])


def _square(factor: float) -> Callable[[Step], int]:
    """``factor * n**3`` for each matrix of a stack."""

    def rule(step: Step) -> int:
        shape = shape_of(step.operands[0])
        return round(factor * _size(step.operands[0]) * min(shape[-2:]))

    return rule


def _fft(step: Step) -> int:
    """5 n log2 n for each transform."""
    axes = step.params.get("axes") or (step.params.get("axis", -1),)
    n = math.prod(shape_of(step.operands[0])[a] for a in axes)
    return round(5 * max(_size(step.operands[0]), step.size) * math.log2(max(n, 2)))


def _sort(step: Step) -> int:
    """No arithmetic, but n log2 n comparisons, which count."""
    n = _size(step.operands[0])
    return round(n * math.log2(max(n, 2)))


#: Floating-point operations of a step, by the name of its operation. What is not here: an elementwise operation counts
#: one for each element of its result, one that only moves entries nothing, anything else one for each element it reads.
FLOPS: dict[str, Callable[[Step], int]] = (
    dict.fromkeys(("matmul", "dot", "matvec", "vecmat", "vecdot", "inner"), _matmul)
    | dict.fromkeys(("sum", "mean", "prod", "cumsum", "cumprod", "max", "min", "argmax", "argmin"), _read)
    | dict.fromkeys(("var", "std"), lambda step: 4 * _read(step))
    | dict.fromkeys(("all", "any", "scatter_add", "scatter"), _read)
    | dict.fromkeys(("where", "cast", "positive", "conjugate", "real", "imag", "pick", "copy"), _nothing)
    | dict.fromkeys(("stop_gradient",), _nothing)
    | dict.fromkeys(("sort", "argsort", "partition"), _sort)
    | dict.fromkeys(("fft", "ifft", "rfft", "irfft", "fftn", "ifftn", "rfftn", "irfftn"), _fft)
    | {
        "dense": _dense, "conv2d": _convolution, "conv2d_bias": _convolution,
        "conv2d_input_gradient": _convolution_by_images, "conv2d_weight_gradient": _convolution_by_filters,
        "max_pool2d": _nothing, "max_pool2d_index": _pooling, "avg_pool2d": _pooling,
        "einsum": _einsum, "convolve": _correlate, "correlate": _correlate,
        "cholesky": _square(1 / 3), "det": _square(2 / 3), "logdet": _square(2 / 3), "inv": _square(2),
        "solve": _square(2 / 3), "pinv": _square(22), "eigh": _square(9), "eigvalsh": _square(9),
        # One computation gives all parts of these: one of them has its cost.
        "qr_orthogonal": _square(8 / 3), "qr_upper": _nothing, "eig_values": _square(25), "eig_vectors": _nothing,
        "svd_values": _square(22), "svd_left": _nothing, "svd_right": _nothing, "det_sign": _nothing,
    }
)  # fmt: skip


def flops(step: Step) -> int:
    """Floating-point operations of a step; operations on integers and booleans count, too."""
    rule = FLOPS.get(step.op.name)
    if rule is not None:
        return rule(step)
    if step.op.elementwise:
        return _written(step)
    return 0 if step.op.structural else _read(step)


class Line(NamedTuple):
    """The costs of all steps of one operation."""

    calls: int
    flops: int
    read: int
    written: int


class Cost:
    """What a trace costs; prints as a table.

    Attributes
    ----------
    by_operation : dict
        Name of the operation -> `Line` (calls, flops, bytes read, bytes written).
    calls, flops, bytes_read, bytes_written : int
        Totals. A view (a reshape, a slice) reads and writes nothing.
    bytes_held : int
        What reverse mode keeps until the backward sweep: the values that the derivative rules read.
    bytes_peak : int
        Most bytes of inputs, constants and intermediate values that are needed at one time, each intermediate being
        released after its last use.
    """

    def __init__(self, by_operation: dict[str, Line], held: int, peak: int) -> None:
        self.by_operation = by_operation
        self.calls, self.flops, self.bytes_read, self.bytes_written = (
            sum(line[i] for line in by_operation.values()) for i in range(4)
        )
        self.bytes_held = held
        self.bytes_peak = peak

    def __repr__(self) -> str:
        lines = sorted(self.by_operation.items(), key=lambda item: (-item[1].flops, -item[1].written, item[0]))
        lines.append(("total", Line(self.calls, self.flops, self.bytes_read, self.bytes_written)))
        rows = [(name, str(x.calls), _count(x.flops), _bytes(x.read), _bytes(x.written)) for name, x in lines]
        head = ("operation", "calls", "flops", "read", "written")
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(5)]
        rule = "  ".join("-" * w for w in widths)
        text = [_row(head, widths), rule, *(_row(row, widths) for row in rows[:-1]), rule, _row(rows[-1], widths)]
        moved = self.bytes_read + self.bytes_written
        text += [
            "",
            f"peak of live values  {_bytes(self.bytes_peak)}",
            f"held for the gradient  {_bytes(self.bytes_held)}",
        ]
        if moved:
            text.append(f"arithmetic intensity  {self.flops / moved:.3g} flops per byte")
        return "\n".join(text)

    def _repr_html_(self) -> str:
        return f"<pre>{self!r}</pre>"


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))


def _count(n: float) -> str:
    for unit in ("", " k", " M", " G", " T"):
        if n < 1000 or unit == " T":
            return f"{n:.4g}{unit}"
        n /= 1000
    raise AssertionError


def _bytes(n: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if n < 1024 or unit == "TiB":
            return f"{n:.4g} {unit}"
        n /= 1024
    raise AssertionError


# -- counting ------------------------------------------------------------------------------------------------


def count(t: EvaluationTrace) -> Cost:
    """Add up a trace."""
    totals: dict[str, list[int]] = {}
    for step in t.program:
        line = totals.setdefault(step.op.name, [0, 0, 0, 0])
        view = _viewed(step) is not None or step.op.name == "pick"
        line[0] += 1
        line[1] += flops(step)
        line[2] += 0 if view else _bytes_read(step)
        line[3] += 0 if view else _nbytes(step)
    return Cost({name: Line(*line) for name, line in totals.items()}, held(t), peak(t))


def _bytes_read(step: Step) -> int:
    """Bytes of the operands; indexing reads the entries that it picks, and the positions."""
    if step.op.name in {"getitem", "gather"}:
        return _nbytes(step) + sum(_nbytes(x) for x in step.operands[1:])
    return sum(_nbytes(x) for x in step.operands)


def _nbytes(x: Any) -> int:
    if isinstance(x, Step):
        x = x.value
    if isinstance(x, tuple):
        return sum(_nbytes(v) for v in x)
    return _size(x) * int(np.dtype(dtype_of(x)).itemsize)


def _viewed(step: Step) -> Any:
    """The operand of which the step's value is a view, if any."""
    if not isinstance(step.value, np.ndarray):
        return None
    for x in step.operands:
        value = x.value if isinstance(x, Step) else x
        if isinstance(value, np.ndarray) and np.may_share_memory(value, step.value):
            return x
    return None


def _owner(x: Any) -> Any:
    """The step (or constant) that owns the memory of a step's value."""
    while isinstance(x, Step) and x.op is not None:
        if x.op.name == "pick":
            x = x.operands[0]
            continue
        below = _viewed(x)
        if below is None:
            return x
        x = below
    return x


def peak(t: EvaluationTrace) -> int:
    """Most bytes that are live at one time, when the steps run in program order."""
    last: dict[int, int] = {}
    constants: dict[int, Any] = {}
    owners: dict[Step, Any] = {}
    for at, step in enumerate(t.program):
        owners[step] = _owner(step)
        for x in (*(_owner(x) for x in step.operands), owners[step]):
            last[id(x)] = at
            if not isinstance(x, Step):
                constants[id(x)] = x
    last.update((id(_owner(y)), len(t.program)) for y in t.outputs if isinstance(y, Step))
    live = sum(_nbytes(x) for x in (*t.inputs, *constants.values()))
    most = live
    ends = Counter[int]()
    for at, step in enumerate(t.program):
        if owners[step] is step:
            live += _nbytes(step)
            ends[last[id(step)]] += _nbytes(step)
        most = max(most, live)
        live -= ends[at]
    return most


def held(t: EvaluationTrace) -> int:
    """Bytes of the values that reverse mode keeps for its rules, each counted once."""
    active = {s for s in t.inputs if is_inexact(s.value)}
    kept: dict[int, Any] = {}
    for step in t.program:
        if isinstance(step.value, tuple) or not is_inexact(step.value):
            continue
        bits = sum(
            1 << i
            for i, x in enumerate(step.operands)
            if isinstance(x, Step) and x in active and step.op.differentiable(i)
        )
        if bits:
            active.add(step)
            result, operands = step.op.keeps(bits, len(step.operands))
            read = [x for x, keep in zip(step.operands, operands, strict=True) if keep] + [step] * result
            kept.update((id(_owner(x)), _owner(x)) for x in read)
    return sum(_nbytes(x) for x in kept.values())
