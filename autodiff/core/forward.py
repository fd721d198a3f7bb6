"""Forward mode: dual numbers. A `Dual` is a primal value and its tangent, carried together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.level import Level
from autodiff.core.reverse import push
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import Tracer
from autodiff.core.zeros import Marked

if TYPE_CHECKING:
    from autodiff.core.operation import Operation

__all__ = ["Dual", "ForwardLevel"]


class Dual(Tracer):
    """The truncated Taylor pair (primal, tangent) of Baydin et al. (2018), section 3.1.1.

    Where `mask` is given and true, the tangent is structurally zero, not by chance (`autodiff.core.zeros`).
    """

    __slots__ = ("mask", "primal", "tangent")

    def __init__(self, level: Level, primal: Any, tangent: Any, mask: Any = None) -> None:
        self.level = level
        self.primal = primal
        self.tangent = tangent
        self.mask = mask

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the primal value."""
        return shape_of(self.primal)

    @property
    def dtype(self) -> Any:
        """Dtype of the primal value."""
        return dtype_of(self.primal)


class ForwardLevel(Level):
    """A transform that pushes tangents forward: `jvp`."""

    __slots__ = ()

    def process(self, op: Operation, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute the value on the primals, then the tangent by the operation's rule."""
        primals = []
        ts = []
        active = False
        for i, a in enumerate(args):
            if type(a) is Dual and a.level is self:
                primals.append(a.primal)
                if op.differentiable(i):
                    active = True
                    ts.append(a.tangent if a.mask is None else Marked(a.tangent, a.mask))
                else:
                    ts.append(None)
            else:
                primals.append(a.settled() if isinstance(a, Tracer) else a)
                ts.append(None)
        y = op.call(*primals, **params)
        if not active or dtype_of(y).kind not in "fc":
            return y
        # Derivative arithmetic stays silent: only the primal may warn.
        with np.errstate(all="ignore"):
            t = push(op, ts, y, tuple(primals), params, y if hasattr(y, "shape") else np.asarray(y))
        if type(t) is Marked:
            return Dual(self, y, t.value, t.mask)
        return y if t is None else Dual(self, y, t)
