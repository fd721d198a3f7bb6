"""Forward mode: dual numbers. A `Dual` is a primal value and its tangent, carried together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.level import Level, Traced
from autodiff.core.scaled import Scaled, plain, rescaled
from autodiff.core.spec import Spec, dtype_of, shape_of
from autodiff.core.tangents import expand, push, tangent
from autodiff.core.tracer import Tracer
from autodiff.core.zeros import Marked

if TYPE_CHECKING:
    from autodiff.core.operation import Operation

__all__ = ["Dual", "ForwardLevel", "push_binary", "push_linear", "push_unary"]


class Dual(Tracer):
    """The truncated Taylor pair (primal, tangent) of Baydin et al. (2018), section 3.1.1.

    Where `mask` is given and true, the tangent is structurally zero, not by chance (`autodiff.core.zeros`). Between
    two operations the tangent may be `carried` as a `Scaled`.
    """

    __slots__ = ("carried", "mask", "primal")

    def __init__(self, level: Level, primal: Any, tangent: Any, mask: Any = None) -> None:
        self.level = level
        self.primal = primal
        self.carried = tangent
        self.mask = mask

    @property
    def tangent(self) -> Any:
        """Derivative of the primal value along the direction, of its shape and dtype."""
        if type(self.carried) is Scaled:
            with np.errstate(all="ignore"):
                self.carried = self.carried.value()
        return self.carried

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


# What `process` does for the commonest steps, at a third of its price: no marks, one level, no parameters.


def push_unary(op: Operation, x: Dual) -> Any:
    """Apply an elementwise operation of one argument, which chooses nothing, to a dual number without marks."""
    primal = x.primal
    y = op.call(primal)
    rule = op.jvps[0]
    try:
        shape, dtype = y.shape, y.dtype
    except AttributeError:  # a Python scalar
        shape, dtype = (), dtype_of(y)
    if rule is None or dtype.kind not in "fc":
        return y
    with np.errstate(all="ignore"):
        t = x.carried
        t = rule(t, y, primal) if type(t) is not Scaled else rescaled(rule(t.array, y, primal), t.factor)
        if t.shape != shape or t.dtype is not dtype:
            t = expand(t, Spec(shape, dtype))
    return Dual(x.level, y, t)


def push_linear(op: Operation, x: Dual, params: dict[str, Any]) -> Any:
    """Apply an operation of one argument, in which it is linear, to a dual number without marks."""
    primal, t = x.primal, x.carried
    y = op(primal, **params) if isinstance(primal, Traced) else op.fn(primal, **params)
    try:
        shape, dtype = y.shape, y.dtype
    except AttributeError:  # a Python scalar
        shape, dtype = (), dtype_of(y)
    if dtype.kind not in "fc":
        return y
    with np.errstate(all="ignore"):
        if type(t) is Scaled:
            t = rescaled(op.fn(t.array, **params), t.factor)
        else:
            t = op(t, **params) if isinstance(t, Traced) else op.fn(t, **params)
        if t.shape != shape or t.dtype is not dtype:
            t = expand(t, Spec(shape, dtype))
    return Dual(x.level, y, t)


def push_binary(op: Operation, level: Level, primals: tuple[Any, Any], ts: tuple[Any, Any]) -> Any:
    """Apply an operation of two arguments that chooses nothing; a tangent is None where there is none."""
    y = op.call(*primals)
    try:
        shape, dtype = y.shape, y.dtype
    except AttributeError:  # a Python scalar
        shape, dtype = (), dtype_of(y)
    if dtype.kind not in "fc":
        return y
    alone = 0 if ts[1] is None else 1
    rule = op.jvps[alone] if ts[1 - alone] is None else None
    with np.errstate(all="ignore"):
        if op.joint_jvp is not None:
            t = op.joint_jvp(ts, y, *primals)
        elif rule is not None:
            t = ts[alone]
            t = rule(t, y, *primals) if type(t) is not Scaled else rescaled(rule(t.array, y, *primals), t.factor)
        else:
            t = tangent(op, [plain(t) for t in ts], y, primals, {}, Spec(shape, dtype))
        if t is None:
            return y
        if t.shape != shape or t.dtype is not dtype:
            t = expand(t, Spec(shape, dtype))
    return Dual(level, y, t)
