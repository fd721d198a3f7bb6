"""Recording a program as it runs: every operation that touches a traced value, with its value.

Reverse mode keeps what a derivative needs and no more; a `RecordLevel` keeps the whole evaluation trace: also
comparisons, ``floor``, ``argmax`` and integers, and the derivative's own operations when the program contains
a transform. What the program decided from traced values (a branch, a loop count, an index) is kept as a
`Guard`, so that whoever runs the trace again knows when it does not apply.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodiff.core.errors import user_line
from autodiff.core.level import Level
from autodiff.core.operation import Operation
from autodiff.core.spec import Spec, dtype_of, shape_of
from autodiff.core.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Guard", "RecordLevel", "Recorded", "Step"]


class Step:
    """One line of an evaluation trace.

    Attributes
    ----------
    index : int
        Its number in Baydin's convention: ``1-n ... 0`` for the n inputs, ``1, 2, ...`` for the operations.
    op : Operation or None
        The operation; None for an input.
    operands : tuple
        Its positional arguments: earlier steps, or constants.
    params : dict
        Its static arguments.
    value : array or scalar
        What it gave; a Python number where the program had one (which does not decide a result's dtype).
    source : str
        The user's line that asked for it, such as ``(model.py:12)``.
    """

    __slots__ = ("index", "label", "op", "operands", "params", "source", "value")

    def __init__(
        self, index: int, op: Any, operands: tuple[Any, ...], params: dict[str, Any], value: Any, label: str = ""
    ) -> None:
        self.index = index
        self.op = op
        self.operands = operands
        self.params = params
        self.value = value
        self.label = label
        self.source = user_line().strip() if op is not None else ""

    @property
    def name(self) -> str:
        """``v3``, or ``v-1`` for an input."""
        return f"v{self.index}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return shape_of(self.value)

    @property
    def dtype(self) -> Any:
        """Dtype of the value."""
        return dtype_of(self.value)

    @property
    def ndim(self) -> int:
        """Number of axes of the value."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements of the value."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the value."""
        return self.size * int(np.dtype(self.dtype).itemsize)

    @property
    def weak(self) -> bool:
        """Whether the value is a Python number, which does not decide the dtype of a result."""
        return isinstance(self.value, (bool, int, float, complex)) and not isinstance(self.value, np.generic)

    @property
    def parents(self) -> tuple[Step, ...]:
        """The operands that are steps."""
        return tuple(x for x in self.operands if isinstance(x, Step))

    def __repr__(self) -> str:
        of = f"{self.dtype}[{','.join(map(str, self.shape))}]" if not isinstance(self.value, tuple) else "tuple"
        if self.op is None:
            return f"{self.name} = {self.label}: {of}"
        shown = [x.name if isinstance(x, Step) else _short(x) for x in self.operands]
        shown += [f"{k}={_short(v)}" for k, v in self.params.items()]
        return f"{self.name} = {self.op.name}({', '.join(shown)}): {of}"


def _short(x: Any) -> str:
    if isinstance(x, np.ndarray) and x.size > 4:
        return f"{x.dtype}[{','.join(map(str, x.shape))}]"
    return repr(x)


class Guard(NamedTuple):
    """A value on which the program depended outside the trace: by a branch, a loop count or an index."""

    step: Step
    value: Any
    source: str


class Recorded(Tracer):
    """A value whose history is being recorded."""

    __slots__ = ("step",)

    def __init__(self, level: RecordLevel, step: Step) -> None:
        self.level = level
        self.step = step

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.step.shape

    @property
    def dtype(self) -> Any:
        """Dtype of the value."""
        return self.step.dtype

    def guarded(self, value: Any) -> Any:
        """Return what the program reads off this value, and note that it did."""
        self.level.guards.append(Guard(self.step, value, user_line().strip()))  # type: ignore[attr-defined]
        return value

    @property
    def primal(self) -> Any:
        """The value, for code that needs it outside the trace (an index array): guarded."""
        return self.guarded(self.step.value)

    def __bool__(self) -> bool:
        return bool(self.guarded(bool(self.step.value)))

    def __index__(self) -> int:  # type: ignore[override]
        if self.dtype.kind not in "iub":
            super().__index__()
        return int(self.guarded(int(self.step.value)))

    def __int__(self) -> int:  # type: ignore[override]
        return self.__index__() if self.dtype.kind in "iub" else super().__int__()

    def __repr__(self) -> str:
        return f"Recorded({self.step!r})"

    def __format__(self, spec: str) -> str:
        return format(self.step.value, spec) if spec else repr(self)


def _pick(results: Any, index: int) -> Any:
    return results[index]


#: Result number `index` of an operation that has several.
pick = Operation("pick", _pick, shape=_pick, register=False)


class RecordLevel(Level):
    """A transform that records everything: `trace`."""

    __slots__ = ("_frozen", "guards", "inputs", "steps")

    def __init__(self, transform: str) -> None:
        super().__init__(transform)
        self.inputs: list[Step] = []
        self.steps: list[Step] = []
        self.guards: list[Guard] = []
        self._frozen: dict[int, tuple[Any, Any]] = {}

    def arguments(self, values: Sequence[Any], labels: Sequence[str]) -> list[Recorded]:
        """Make the inputs, numbered ``1-n ... 0``."""
        first = 1 - len(values)
        self.inputs = [
            Step(first + i, None, (), {}, self.freeze(v), label)
            for i, (v, label) in enumerate(zip(values, labels, strict=True))
        ]
        return [Recorded(self, step) for step in self.inputs]

    def process(self, op: Operation, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute the value, and record the step."""
        operands = []
        primals = []
        for a in args:
            mine = type(a) is Recorded and a.level is self
            operands.append(a.step if mine else self.freeze(a))
            primals.append(a.step.value if mine else a)
        y = op.call(*primals, **params)
        params = {k: self.freeze(v) for k, v in params.items()} if params else params
        step = self.record(op, tuple(operands), params, y)
        if type(y) is not tuple:
            return Recorded(self, step)
        return tuple(Recorded(self, self.record(pick, (step,), {"index": i}, v)) for i, v in enumerate(y))

    def record(self, op: Operation, operands: tuple[Any, ...], params: dict[str, Any], y: Any) -> Step:
        """Append a step."""
        step = Step(len(self.steps) + 1, op, operands, params, y)
        self.steps.append(step)
        return step

    def freeze(self, x: Any) -> Any:
        """Keep a constant as it is now: the program may write into its own arrays later.

        One array that is used many times, unchanged, is copied once.
        """
        if type(x) is tuple:
            return tuple(self.freeze(v) for v in x)
        if isinstance(x, Tracer):
            return x.settled()
        if type(x) is not np.ndarray or not x.flags.writeable:
            return x
        known = self._frozen.get(id(x))
        if known is not None and np.array_equal(known[1], x):
            return known[1]
        copy = x.copy()
        copy.flags.writeable = False
        self._frozen[id(x)] = (x, copy)
        return copy


def spec(step: Step) -> Spec:
    """Shape and dtype of a step."""
    return Spec(step.shape, step.dtype)
