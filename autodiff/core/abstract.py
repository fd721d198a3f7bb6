"""Running a program on shapes and dtypes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.backend import HOST, made
from autodiff.core.batching import Batched
from autodiff.core.errors import ShapeOnlyError, describe, leaked_tracer, user_line
from autodiff.core.forward import Dual
from autodiff.core.level import Level
from autodiff.core.spec import Spec, spec_of
from autodiff.core.tracer import Tracer
from autodiff.core.variable import Variable

if TYPE_CHECKING:
    from autodiff.core.errors import DifferentiationError
    from autodiff.core.operation import Operation

__all__ = ["AbstractLevel", "AbstractTracer", "constant_like"]


class AbstractTracer(Tracer):
    """An array of which only the shape and dtype are known.

    `scalar` is the type of a value that is a Python number (``float``, ``int``, ...), else None: such a value
    does not decide the dtype of a result.
    """

    __slots__ = ("scalar", "spec")

    def __init__(self, level: Level, spec: Spec, scalar: type | None = None) -> None:
        self.level = level
        self.spec = spec
        self.scalar = scalar

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.spec.shape

    @property
    def dtype(self) -> Any:
        """Dtype of the value."""
        return self.spec.dtype

    def refuse(self, what: str) -> DifferentiationError:
        """Return the error for a conversion: only the shape and dtype are known."""
        if self.level.closed:
            return leaked_tracer(what, self.level.transform)
        fix = "Use np.* functions on it; to build arrays of such values use np.stack or autodiff.numpy.array."
        if not self.shape and self.dtype.kind in "iub":
            fix = (
                "A size, an axis or a count must be known: pass it by keyword, fix it with functools.partial, or close "
                "over it."
            )
        return ShapeOnlyError(
            f"{what} of {describe(self)}: the program needs a value, but eval_shape knows shapes and dtypes only"
            f"{user_line()}. {fix}"
        )

    def __bool__(self) -> bool:
        raise ShapeOnlyError(
            f"bool() of {describe(self)}: the program branches on a value, but eval_shape knows shapes and dtypes "
            f"only{user_line()}. Use np.where, or call eval_shape on each branch."
        )

    def __format__(self, spec: str) -> str:
        return repr(self)


class AbstractLevel(Level):
    """A run of `eval_shape`."""

    __slots__ = ()

    def process(self, op: Operation, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Apply the operation's shape rule."""
        if op.elementwise:
            known = [_stand_in(a) for a in args]
            if all(_is_number(a) for a in known):
                return self._number(op, known, params)
        else:
            known = [spec_of(a) if isinstance(a, Tracer) else a for a in args]
        result = op.shape(*known, **params)
        if isinstance(result, tuple):
            return tuple(AbstractTracer(self, y) for y in result)
        return AbstractTracer(self, result)

    def _number(self, op: Operation, args: list[Any], params: dict[str, Any]) -> Any:
        """Apply an operation to Python numbers: its result may be one too."""
        result = op.shape(*args, **params)
        one = op.fn(*(type(a)(1) for a in args), **params)
        return AbstractTracer(self, result, type(one) if _is_number(one) else None)


def _is_number(x: Any) -> bool:
    return type(x) in (bool, int, float, complex)


def _stand_in(x: Any) -> Any:
    """What a shape rule gets for an argument: a spec, or 1 for a Python number of unknown value."""
    if not isinstance(x, Tracer):
        return x
    if type(x) is AbstractTracer and x.scalar is not None:
        return x.scalar(1)
    return spec_of(x)


def constant_like(like: Any, shape: tuple[int, ...], dtype: Any, value: int) -> Any:
    """An array of zeros or ones; known by shape alone, and so without memory, if `like` is."""
    while isinstance(like, (Dual, Variable, Batched)):
        like = like.value if type(like) is Batched else like.primal
    if type(like) is AbstractTracer and not like.level.closed:
        return AbstractTracer(like.level, Spec(shape, dtype))
    make = np.ones if value else np.zeros
    if type(like) in HOST:
        return make(shape, dtype) if shape else dtype.type(value)
    array = made(make, like, shape, dtype)
    return array[()] if type(array) is np.ndarray else array
