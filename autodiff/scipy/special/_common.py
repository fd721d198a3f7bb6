"""What the rules of special functions share: arguments without a derivative, samples, dispatch to SciPy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.special as sc

from autodiff.core import UFUNCS, Sample, Tracer, constant
from autodiff.core.errors import MissingRuleError, user_line
from autodiff.core.spec import dtype_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["alias", "draws", "fixed", "is_traced", "narrow", "order", "ordered", "private", "refused", "several"]

PI = math.pi

#: The value alone: a constant inside of an expression.
fixed = constant(lambda x: x, name="fixed")


def refused(function: str, argument: str, instead: str = "") -> Callable[..., Any]:
    """Return the rule of an argument whose derivative is not known: an error, where silence would mean zero."""

    def rule(_t: Any, _y: Any, *_args: Any) -> Any:
        raise MissingRuleError(
            f"{function}: the derivative with respect to {argument} is not known{user_line()}. "
            f"{instead}If it is a constant, pass autodiff.stop_gradient of it; else give the function a rule with "
            "autodiff.custom_jvp, for instance by finite differences."
        )

    rule.refuses = True  # type: ignore[attr-defined]
    return rule


def order(m: Any) -> int:
    """Return the order of a derivative, which travels as the last argument and may have been broadcast."""
    return m if type(m) is int else int(np.max(m, initial=0))


def ordered(value: Callable[..., Any]) -> Callable[..., Any]:
    """Let the value function of a family take its order as a number or as an array that broadcasts."""

    def call(*args: Any) -> Any:
        m = args[-1]
        y = value(*args[:-1], order(m))
        return y if type(m) is int else np.broadcast_to(y, np.broadcast_shapes(np.shape(y), np.shape(m))).copy()[()]

    return call


def draws(*arguments: Any, shapes: tuple[tuple[int, ...], ...] = ((2, 3), (), (0,))) -> Callable[..., list[Sample]]:
    """Samples of a function: a tuple is an interval to draw from, anything else a fixed argument."""

    def samples(rng: np.random.Generator) -> list[Sample]:
        return [
            Sample(tuple(rng.uniform(a[0], a[1], s) if isinstance(a, tuple) else a for a in arguments)) for s in shapes
        ]

    return samples


def several(*sources: Callable[..., list[Sample]]) -> Callable[..., list[Sample]]:
    """Join the samples of several regions."""
    return lambda rng: [sample for source in sources for sample in source(rng)]


def is_traced(*args: Any) -> bool:
    """Whether any argument is a traced array."""
    return any(isinstance(a, Tracer) for a in args)


def narrow(y: Any, *args: Any) -> Any:
    """Give a value that was computed in float64 the precision of the inexact arguments."""
    dtypes = [dtype_of(a) for a in args if hasattr(a, "dtype") and dtype_of(a).kind in "fc"]
    if not dtypes:
        return y
    real = np.finfo(np.result_type(*dtypes)).dtype
    return y.astype(np.result_type(real, np.complex64) if y.dtype.kind == "c" else real)[()]


def alias(function: Any, known: Any) -> None:
    """Make one of SciPy's ufuncs mean on traced arrays what another, or an operation, does."""
    UFUNCS[function] = UFUNCS.get(known, known) if isinstance(known, np.ufunc) else known


def private(function: Any, name: str = "") -> None:
    """Let the ufunc behind a function of SciPy do as our function of that name, so that SciPy's own does."""
    behind = getattr(getattr(sc, "_ufuncs", None), name or f"_{function.__name__}", None)
    if isinstance(behind, np.ufunc):
        UFUNCS[behind] = function
