"""The forms in which an operation is written: one rule, from which both modes follow.

==================  ==========================================  =====================================
form                what is written                             what follows
==================  ==========================================  =====================================
`elementwise`       ``t * dy/dx``                               its transpose is the same expression
`linear`            the transpose                               forward: the operation itself on `t`
`multilinear`       one transpose for each argument             forward: the operation with `t` put in
`explicit`          the forward rule, in NumPy functions        reverse: `autodiff.core.linear` transposes it
==================  ==========================================  =====================================

A rule is written with plain NumPy functions, which dispatch when their arguments are traced: that is what
makes every order work. A rule's parameter whose name starts with an underscore is not kept for the backward
sweep: it arrives as something with a shape and a dtype alone. So the names in a rule decide the memory of the
gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from autodiff.core.linear import transposed_rule
from autodiff.core.operation import Binary, Operation, Single, Unary
from autodiff.core.samples import Boundary, Sample, draw_elementwise
from autodiff.core.tables import FUNCTIONS, UFUNCS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Rule = Callable[..., Any]

_Function = TypeVar("_Function", bound="Callable[..., Any]")

__all__ = ["constant", "elementwise", "explicit", "implements", "linear", "multilinear"]


def elementwise(
    fn: Callable[..., Any],
    *rules: Rule | None,
    name: str | None = None,
    transposes: Sequence[Rule | None] | None = None,
    marks: Sequence[Rule | None] | None = None,
    cuts: bool = False,
    linear_args: Sequence[int] = (),
    jointly: bool = False,
    joint_jvp: Rule | None = None,
    domain: Sequence[tuple[float, float]] | tuple[float, float] = (-2.0, 2.0),
    boundary: Sequence[Boundary] = (),
    samples: Callable[[np.random.Generator], list[Sample]] | None = None,
    smooth: bool = True,
) -> Operation:
    """Register an operation that acts on each element by itself, with broadcasting.

    Parameters
    ----------
    fn : callable
        The value; a NumPy ufunc is also registered as what ``fn`` does on traced arguments.
    *rules : callable or None
        ``rule(t, y, *args)``: the tangent `t` times the partial derivative, one for each argument.
    transposes : sequence of callable, optional
        The reverse rules where they differ: operations that are linear over the reals but not over the
        complex numbers (``conj``, ``real``, ``abs``).
    marks, cuts, linear_args, jointly, joint_jvp
        See `Operation`.
    domain : (low, high) or one pair for each argument
        The interval, free of kinks and poles, from which the samples are drawn.
    boundary : sequence of Boundary
        Points with an agreed derivative.
    smooth : bool
        Whether the derivatives of order 2 and 3 exist on the domain.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff.core import REGISTRY
    >>> double = elementwise(lambda x: 2 * x, lambda t, _y, _x: 2 * t, name="doctest_double")
    >>> double(np.ones(2))
    array([2., 2.])
    >>> del REGISTRY["doctest_double"]
    """
    name = name or fn.__name__
    nargs = len(rules)
    cls = {1: Unary, 2: Binary}.get(nargs, Operation)
    op = cls(
        name,
        fn,
        jvps=rules,
        vjps=transposes or rules,
        marks=marks,
        cuts=cuts,
        linear_args=frozenset(linear_args),
        jointly=jointly,
        joint_jvp=joint_jvp,
        samples=samples or (lambda rng: draw_elementwise(rng, domain, nargs)),
        boundary=boundary,
        is_elementwise=True,
        smooth=smooth,
    )
    if isinstance(fn, np.ufunc):
        UFUNCS[fn] = op
    return op


def linear(
    fn: Callable[..., Any],
    transpose: Rule,
    *,
    name: str,
    samples: Callable[[np.random.Generator], list[Sample]],
    shape: Callable[..., Any],
    nargs: int = 1,
    structural: bool = False,
    scatter: Rule | None = None,
    batch: Rule | None = None,
) -> Operation:
    """Register an operation that is linear in its first argument.

    `transpose(ct, _y, _x, *rest, **params)` maps an adjoint of the result to one of the argument; `nargs`
    counts the array arguments (the others, such as integer indices, are constants).
    """
    op = (Single if nargs == 1 else Operation)(
        name,
        fn,
        vjps=(transpose,) + (None,) * (nargs - 1),
        linear_args=frozenset({0}),
        samples=samples,
        shape=shape,
        structural=structural,
        scatter=scatter,
        batch=batch,
    )
    op.jvps = (_substitute(op, 0),) + (None,) * (nargs - 1)
    return op


def multilinear(
    fn: Callable[..., Any],
    *transposes: Rule,
    name: str,
    samples: Callable[[np.random.Generator], list[Sample]],
    shape: Callable[..., Any],
    variadic: bool = False,
    batch: Rule | None = None,
) -> Operation:
    """Register an operation that is linear in each argument by itself (``matmul``, ``einsum``).

    One transpose for each argument, ``transpose(ct, _y, *args, **params)``; a variadic operation has one,
    which takes the argument's number first.
    """
    op = Operation(
        name,
        fn,
        vjps=transposes,
        linear_args=frozenset(range(64 if variadic else len(transposes))),
        samples=samples,
        shape=shape,
        variadic=variadic,
        batch=batch,
    )
    op.jvps = (_substitute_variadic(op),) if variadic else tuple(_substitute(op, i) for i in range(len(transposes)))
    return op


def explicit(
    fn: Callable[..., Any],
    *rules: Rule | None,
    name: str,
    samples: Callable[[np.random.Generator], list[Sample]],
    shape: Callable[..., Any],
    boundary: Sequence[Boundary] = (),
    smooth: bool = True,
    batch: Rule | None = None,
) -> Operation:
    """Register an operation by its forward rules ``rule(t, y, *args, **params)``, linear in `t`.

    The reverse rules are their transposes, found by running them on a tracer that stands for `t`.
    """
    return Operation(
        name,
        fn,
        jvps=rules,
        vjps=[rule and transposed_rule(rule, i) for i, rule in enumerate(rules)],
        samples=samples,
        shape=shape,
        boundary=boundary,
        smooth=smooth,
        batch=batch,
    )


def constant(
    fn: Callable[..., Any],
    *,
    name: str | None = None,
    shape: Callable[..., Any] | None = None,
    batch: Rule | None = None,
) -> Operation:
    """Register a function whose derivative is zero or undefined: comparisons, ``floor``, ``argmax``.

    Traced arguments are replaced by their primal values, so the result is a plain array.
    """
    op = Operation(name or fn.__name__, fn, shape=shape, is_elementwise=shape is None, batch=batch)
    if isinstance(fn, np.ufunc):
        UFUNCS[fn] = op
    return op


def implements(*functions: Any) -> Callable[[_Function], _Function]:
    """Say what NumPy functions do on traced arrays (a decorator).

    The decorated function takes the NumPy function's own arguments and returns an expression of operations
    and other NumPy functions.

    Examples
    --------
    >>> import numpy as np
    >>> @implements(np.mean)  # doctest: +SKIP
    ... def mean(a, axis=None):
    ...     return np.sum(a, axis) / (np.size(a) if axis is None else np.shape(a)[axis])
    """

    def register(rule: _Function) -> _Function:
        for function in functions:
            FUNCTIONS[function] = rule
        return rule

    return register


def _substitute(op: Operation, i: int) -> Rule:
    """Forward rule of an operation that is linear in argument `i`: itself, with the tangent put in."""

    def rule(t: Any, _y: Any, *args: Any, **params: Any) -> Any:
        return op.call(*args[:i], t, *args[i + 1 :], **params)

    rule.skips = "own"  # type: ignore[attr-defined]
    return rule


def _substitute_variadic(op: Operation) -> Rule:
    def rule(i: int, t: Any, _y: Any, *args: Any, **params: Any) -> Any:
        return op.call(*args[:i], t, *args[i + 1 :], **params)

    rule.skips = "own"  # type: ignore[attr-defined]
    return rule
