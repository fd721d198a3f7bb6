"""Running a program on shapes and dtypes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autodiff.core.errors import DifferentiationError, ShapeOnlyError, describe, user_line
from autodiff.core.level import Level
from autodiff.core.spec import Spec, spec_of
from autodiff.core.tracer import Tracer

if TYPE_CHECKING:
    from autodiff.core.operation import Operation

__all__ = ["AbstractLevel", "AbstractTracer"]


class AbstractTracer(Tracer):
    """An array of which only the shape and dtype are known."""

    __slots__ = ("spec",)

    def __init__(self, level: Level, spec: Spec) -> None:
        self.level = level
        self.spec = spec

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
        return ShapeOnlyError(
            f"{what} of {describe(self)}: the program needs a value, but eval_shape knows shapes and dtypes only"
            f"{user_line()}. Use np.* functions on it; to build arrays of such values use np.stack or autodiff.numpy.array."
        )

    def __bool__(self) -> bool:
        raise ShapeOnlyError(
            f"bool() of {describe(self)}: the program branches on a value, but eval_shape knows shapes and dtypes "
            f"only{user_line()}. Use np.where, or call eval_shape on each branch."
        )


class AbstractLevel(Level):
    """A run of `eval_shape`."""

    __slots__ = ()

    def process(self, op: Operation, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Apply the operation's shape rule."""
        specs = [spec_of(a) if isinstance(a, Tracer) else a for a in args]
        result = op.shape(*specs, **params)
        return AbstractTracer(self, result)
