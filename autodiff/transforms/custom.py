"""Functions with derivative rules of their own: `custom_jvp` and `custom_vjp`, each serving both modes.

A tangent rule is linear in its tangents and a backward function is linear in its cotangent; so each mode gets
from the other what it lacks by transposition (`autodiff.core.linear`).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from autodiff.core.assignment import settled
from autodiff.core.backend import HOST, made, mixed, on_host
from autodiff.core.batching import Batched, BatchLevel
from autodiff.core.errors import (
    DeviceError,
    DifferentiationError,
    LeakedTracerError,
    NonlinearError,
    describe,
    leaked_tracer,
)
from autodiff.core.forward import Dual, ForwardLevel
from autodiff.core.level import Traced
from autodiff.core.linear import LinearLevel, LinearTracer, is_zero
from autodiff.core.reverse import Call, ReverseLevel, Variable, pull_back, record_call
from autodiff.core.spec import Spec, dtype_of, is_inexact, shape_of
from autodiff.core.tangents import expand, push_forward
from autodiff.transforms._boundary import check_callable, settled_leaves, zero_like
from autodiff.transforms._examples import Examples, differentiated, rebuild

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from autodiff.core.level import Level

__all__ = ["custom_jvp", "custom_vjp"]


class _Custom:
    """What the two decorators share: binding arguments, and finding the level that must act."""

    def __init__(self, f: Callable[..., Any], nondiff_argnums: int | Sequence[int] = ()) -> None:
        check_callable(type(self).__name__, f)
        functools.update_wrapper(self, f, updated=())
        self.f = f
        self.nondiff_argnums = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)
        if any(type(i) is not int or i < 0 for i in self.nondiff_argnums):
            raise TypeError(f"{self._name}: nondiff_argnums must be positions counted from 0, not {nondiff_argnums!r}.")

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Bind as a method does."""
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) <= max(self.nondiff_argnums, default=-1):
            bound = inspect.signature(self.f).bind(*args, **kwargs)
            bound.apply_defaults()
            if bound.kwargs:
                raise TypeError(
                    f"{self._name}: keyword-only arguments ({', '.join(bound.kwargs)}) cannot be passed to a "
                    f"function with a custom rule; make them positional, and list them in "
                    "nondiff_argnums if they are constants."
                )
            args = bound.args
        positions = [i for i in range(len(args)) if i not in self.nondiff_argnums]
        static = [args[i] for i in self.nondiff_argnums]
        flat = [settled_leaves(args[i], strict=False) for i in positions]
        leaves = [leaf for xs, _ in flat for leaf in xs]
        level = max((x.level for x in leaves if isinstance(x, Traced)), key=lambda v: v.depth, default=None)
        if isinstance(level, BatchLevel) and not level.closed and any(map(differentiated, leaves)):
            return self._many(level, flat, static)
        if not isinstance(level, (ForwardLevel, ReverseLevel)):
            return self.f(*args)
        if level.closed:
            raise leaked_tracer(self._name, level.transform)
        self._require_rule()
        for i, x in zip(self.nondiff_argnums, static, strict=True):
            if any(isinstance(v, (Dual, Variable)) for v in tree.leaves(x, strict=False)):
                raise DifferentiationError(
                    f"{self._name}: argument {i} is in nondiff_argnums, but a traced value ({describe(x)}) was "
                    f"passed, whose derivative would be lost. Take it out of nondiff_argnums, or pass "
                    "autodiff.stop_gradient of it."
                )
        act = self._forward if isinstance(level, ForwardLevel) else self._reverse
        return act(level, leaves, lambda xs: rebuild(flat, xs), static)

    @property
    def _name(self) -> str:
        return f"{type(self).__name__}({getattr(self.f, '__name__', self.f)!s})"

    def _require_rule(self) -> None:
        raise NotImplementedError

    def _many(self, level: BatchLevel, flat: Any, static: list[Any]) -> Any:
        """Apply to all examples of a `vmap` that is being differentiated: as a function of the values of them all."""
        self._require_rule()
        examples = Examples(self, level, flat, static)
        twin = type(self)(examples.function)
        self._give_rule(twin, examples)
        functools.update_wrapper(twin, self.f, updated=())
        outs = twin(*examples.values)
        return tree.unflatten(examples.structure, [Batched(level, y) for y in outs])

    def _give_rule(self, twin: Any, examples: Examples) -> None:
        raise NotImplementedError

    def _forward(self, level: Any, leaves: list[Any], rebuild: Any, static: list[Any]) -> Any:
        raise NotImplementedError

    def _reverse(self, level: Any, leaves: list[Any], rebuild: Any, static: list[Any]) -> Any:
        raise NotImplementedError

    def _check_closure(self, level: Level, values: Sequence[Any]) -> None:
        """Refuse results that depend on this level otherwise than through the arguments."""
        for v in values:
            if isinstance(v, Traced) and v.level.depth >= level.depth:
                raise self.closure(v)

    def _together(self, one: tuple[str, Any], other: tuple[str, Any]) -> None:
        """Refuse values of a rule that live on different devices."""
        if (type(one[1]) not in HOST or type(other[1]) not in HOST) and (found := mixed((one, other))):
            raise DeviceError(f"{self._name}: {found}")

    def closure(self, v: Any) -> DifferentiationError:
        """Return the error for a result that depends on more than the arguments."""
        return _closure(self._name, f"the result ({describe(v)})")

    def interleave(self, primals: Sequence[Any], static: Sequence[Any]) -> list[Any]:
        """Put static arguments back at their positions, for a call of the function itself."""
        rest = iter(primals)
        fixed = dict(zip(self.nondiff_argnums, static, strict=True))
        return [fixed[i] if i in fixed else next(rest) for i in range(len(primals) + len(static))]


def _peel(level: Level, leaves: Sequence[Any]) -> list[Any]:
    """Return the leaves as the level below sees them."""
    return [settled(x.primal) if isinstance(x, (Dual, Variable)) and x.level is level else x for x in leaves]


def _lift(level: Level, values: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    return [y if t is None or not is_inexact(y) else Dual(level, y, t) for y, t in zip(values, tangents, strict=True)]


def _closure(name: str, what: str) -> DifferentiationError:
    return DifferentiationError(
        f"{name}: {what} depends on a traced value that is not an argument, because the "
        "function or its rule closes over it; a custom rule speaks of arguments alone. Make it an argument."
    )


@contextlib.contextmanager
def _of_arguments_alone(name: str) -> Iterator[None]:
    """A derivative is computed when its transform has ended: there a value that a rule closes over is noticed."""
    try:
        yield
    except LeakedTracerError as error:
        raise _closure(name, "a derivative") from error


class _LinearMap(Call):
    """A linear map recorded on linear tracers; pushes tangents and pulls adjoints along its trace."""

    def __init__(self, name: str, level: Level, inputs: Sequence[LinearTracer | None], outputs: Sequence[Any]) -> None:
        self.name = name
        self.inputs = [None if x is None else x.node for x in inputs]
        self.outputs = [y.node if isinstance(y, LinearTracer) and y.level is level else None for y in outputs]
        for y, node in zip(outputs, self.outputs, strict=True):
            if node is None and y is not None and not is_zero(y):
                raise NonlinearError(
                    f"{name}: a result of its rule ({describe(y)}) is not zero but does not depend on the rule's "
                    "tangents or cotangent, so the rule is not linear in them. Multiply by the tangent or cotangent."
                )

    def push(self, ts: list[Any]) -> list[Any]:
        """Tangents of the outputs."""
        seeds = {n: t for n, t in zip(self.inputs, ts, strict=True) if n is not None and t is not None}
        with _of_arguments_alone(self.name):
            found = push_forward([n for n in self.outputs if n is not None], seeds)
        return [None if n is None else found.get(n) for n in self.outputs]

    def pull(self, cts: list[Any]) -> list[Any]:
        """Adjoints of the inputs."""
        roots = [(n, c) for n, c in zip(self.outputs, cts, strict=True) if n is not None and c is not None]
        with _of_arguments_alone(self.name):
            found = pull_back(roots)
        return [None if n is None else found.get(n) for n in self.inputs]


class _Transposed(Call):
    """A linear map given by its transpose."""

    def __init__(self, transpose: Callable[[], Call], pull: Callable[[list[Any]], list[Any]], name: str) -> None:
        self.name = name
        self.transpose = transpose
        self.backward = pull

    def push(self, ts: list[Any]) -> list[Any]:
        """Tangents of the outputs: pull them through the transpose."""
        with _of_arguments_alone(self.name):
            return self.transpose().pull(ts)

    def pull(self, cts: list[Any]) -> list[Any]:
        """Adjoints of the inputs."""
        with _of_arguments_alone(self.name):
            return self.backward(cts)


class custom_jvp(_Custom):  # noqa: N801 - a decorator, named as in the field
    """Give a function its own forward rule; reverse mode follows by transposition.

    Parameters
    ----------
    f : callable
        The function, of positional arguments (trees of arrays).
    nondiff_argnums : sequence of int
        Arguments that are constants of any type; the rule receives them first.

    Raises
    ------
    DifferentiationError
        When differentiated before `defjvp` gave it a rule.
    NonlinearError
        In reverse mode, if the rule's tangent is not linear in the tangents.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import grad
    >>> @custom_jvp
    ... def log1pexp(x):
    ...     return np.log1p(np.exp(x))
    >>> @log1pexp.defjvp
    ... def rule(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return log1pexp(x), t / (1 + np.exp(-x))
    >>> grad(log1pexp)(0.0)
    np.float64(0.5)
    """

    rule: Callable[..., Any] | None = None

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule: ``rule(*nondiff, primals, tangents)`` -> ``(value, tangent)``, linear in `tangents`."""
        self.rule = rule
        return rule

    def defjvps(self, *rules: Callable[..., Any] | None) -> None:
        """Set one rule for each argument: ``rule(tangent, value, *primals)``; None where the derivative is zero.

        The tangent of the value, one array, is the sum of what the rules return.

        Examples
        --------
        >>> product = custom_jvp(lambda x, y: x * y)
        >>> product.defjvps(lambda t, value, x, y: t * y, lambda t, value, x, y: x * t)
        """
        if self.nondiff_argnums:
            raise TypeError(f"{self._name}: defjvps has no place for nondiff_argnums; give the rule with defjvp.")

        def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
            if len(rules) != len(primals):
                raise TypeError(f"{self._name}: defjvps was given {len(rules)} rule(s) for {len(primals)} argument(s).")
            y = self(*primals)
            terms = [r(t, y, *primals) for r, t in zip(rules, tangents, strict=True) if r is not None]
            return y, functools.reduce(operator.add, terms) if terms else zero_like(y)

        self.rule = rule

    def _require_rule(self) -> None:
        if self.rule is None:
            raise DifferentiationError(f"{self._name} was differentiated but has no rule; decorate one with .defjvp.")

    def _give_rule(self, twin: custom_jvp, examples: Examples) -> None:
        twin.defjvp(functools.partial(examples.tangents, self.rule))

    def _apply(self, primals: Any, tangents: Any, static: list[Any]) -> tuple[list[Any], list[Any], Any]:
        assert self.rule is not None
        result = self.rule(*static, tuple(primals), tuple(tangents))
        if not (isinstance(result, (tuple, list)) and len(result) == 2):
            raise TypeError(f"{self._name}: the rule must return (value, tangent), not {type(result).__name__}.")
        ys, structure = settled_leaves(result[0])
        ts, t_structure = settled_leaves(result[1])
        if structure != t_structure:
            raise TypeError(
                f"{self._name}: the rule's tangent tree {t_structure} is not that of its value {structure}."
            )
        return ys, [self._conform(y, t) for y, t in zip(ys, ts, strict=True)], structure

    def _conform(self, y: Any, t: Any) -> Any:
        """Check a tangent of the rule against its value, and give it the value's precision."""
        if not is_inexact(y):
            return None
        want = Spec(shape_of(y), dtype_of(y))
        if want.shape != shape_of(t) or (want.dtype.kind == "f" and dtype_of(t).kind not in "fiub"):
            got = describe(Spec(shape_of(t), dtype_of(t)))
            raise ValueError(f"{self._name}: the rule's value is {describe(want)} but its tangent is {got}.")
        self._together(("the rule's value", y), ("its tangent", t))
        return expand(_array(t), want)

    def _forward(self, level: Any, leaves: list[Any], rebuild: Any, static: list[Any]) -> Any:
        primals = _peel(level, leaves)
        ts = [settled(x.tangent) if isinstance(x, Dual) and x.level is level else zero_like(x) for x in leaves]
        ys, out_ts, structure = self._apply(rebuild(primals), rebuild(ts), static)
        self._check_closure(level, [*ys, *out_ts])
        return tree.unflatten(structure, _lift(level, ys, out_ts))

    def _reverse(self, level: Any, leaves: list[Any], rebuild: Any, static: list[Any]) -> Any:
        primals = _peel(level, leaves)
        linear = LinearLevel(f"transpose of the tangent rule of {self._name}")
        mine = [isinstance(x, Variable) and x.level is level for x in leaves]
        unknowns = [linear.argument(x) if m else None for x, m in zip(primals, mine, strict=True)]
        ts = [zero_like(x) if u is None else u.settled() for x, u in zip(primals, unknowns, strict=True)]
        with linear.running():
            ys, out_ts, structure = self._apply(rebuild(primals), rebuild(ts), static)
        self._check_closure(level, ys)
        call = _LinearMap(self._name, linear, unknowns, out_ts)
        parents = [x.node if m else None for x, m in zip(leaves, mine, strict=True)]
        return tree.unflatten(structure, record_call(level, call, parents, ys))


def _with_zeros(c: Any, structure: tree.Structure) -> list[Any] | None:
    """Cotangents of the leaves of an argument, None for zero; or None if the tree of `c` is another.

    A None in `c` stands for zeros in the place of a leaf or of a whole branch.
    """
    cs, got = settled_leaves(c)
    if got == structure:
        return cs
    given = dict(tree.paths(c, is_leaf=lambda v: v is None))
    cs = []
    for path in structure.paths():
        if path in given:
            cs.append(given.pop(path))
        elif any(v is None and path.startswith((p + "[", p + ".")) for p, v in given.items()):
            cs.append(None)
        else:
            return None
    return None if any(v is not None for v in given.values()) else [settled(v) for v in cs]


def _zeros_later(y: Any) -> Callable[[], Any]:
    """Return what makes zeros like a value, without keeping it."""
    if on_host(y):
        return functools.partial(zero_like, Spec(shape_of(y), dtype_of(y)))
    return functools.partial(made, np.zeros, made(np.zeros, y, 0), shape_of(y), dtype_of(y))


def _array(t: Any) -> Any:
    return t if hasattr(t, "dtype") else np.asarray(t)[()]


class custom_vjp(_Custom):  # noqa: N801 - a decorator, named as in the field
    """Give a function its own reverse rule; forward mode follows by transposition.

    Parameters
    ----------
    f : callable
        The function, of positional arguments (trees of arrays).
    nondiff_argnums : sequence of int
        Arguments that are constants of any type; `bwd` receives them first.

    Raises
    ------
    DifferentiationError
        When differentiated before `defvjp` gave it a rule.
    NonlinearError
        In forward mode, if `bwd` is not linear in its cotangent, operation by operation.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import grad, jvp
    >>> @custom_vjp
    ... def clip_gradient(x):
    ...     return x
    >>> clip_gradient.defvjp(lambda x: (x, None), lambda res, ct: (ct * 0.5,))
    >>> grad(clip_gradient)(3.0), jvp(clip_gradient, (3.0,), (1.0,))[1]
    (np.float64(0.5), np.float64(0.5))
    """

    fwd: Callable[..., Any] | None = None
    bwd: Callable[..., Any] | None = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Set the rule.

        ``fwd(*args)`` -> ``(value, residuals)``; ``bwd(*nondiff, residuals, cotangent)`` -> a tuple with one
        cotangent tree (or None for zero) for each differentiated argument, linear in `cotangent`.
        """
        self.fwd, self.bwd = fwd, bwd

    def _require_rule(self) -> None:
        if self.fwd is None or self.bwd is None:
            raise DifferentiationError(f"{self._name} was differentiated but has no rule; give it one with .defvjp.")

    def _give_rule(self, twin: custom_vjp, examples: Examples) -> None:
        twin.defvjp(functools.partial(examples.forward, self.fwd), functools.partial(examples.backward, self.bwd))

    def _run(self, level: Level, primals: Any, static: list[Any]) -> tuple[list[Any], Any, Any]:
        assert self.fwd is not None
        result = self.fwd(*self.interleave(primals, static))
        if not (isinstance(result, (tuple, list)) and len(result) == 2):
            raise TypeError(f"{self._name}: fwd must return (value, residuals), not {type(result).__name__}.")
        ys, structure = settled_leaves(result[0])
        self._check_closure(level, ys)
        return ys, structure, result[1]

    def _pull(self, primals: Any, static: list[Any], residuals: Any, structure: Any, ys: list[Any]) -> Any:
        """Return the map from cotangents of the value's leaves to those of the arguments' leaves."""

        def pull(cts: list[Any]) -> list[Any]:
            assert self.bwd is not None
            full = [zeros() if c is None else settled(c) for c, zeros in zip(cts, unused, strict=True)]
            back = self.bwd(*static, residuals, tree.unflatten(structure, full))
            if not isinstance(back, (tuple, list)) or len(back) != len(primals):
                count = len(back) if isinstance(back, (tuple, list)) else type(back).__name__
                raise TypeError(
                    f"{self._name}: bwd must return a tuple of {len(primals)} cotangent(s), one for each "
                    f"differentiated argument, not {count}."
                )
            flat: list[Any] = []
            for i, (c, x) in enumerate(zip(back, primals, strict=True)):
                flat += self._match(i, c, x)
            return flat

        unused = [_zeros_later(y) for y in ys]
        return pull

    def _match(self, i: int, c: Any, x: Any) -> list[Any]:
        """Check one cotangent of `bwd` against its argument."""
        leaves, structure = tree.flatten(x, strict=False)
        cs = _with_zeros(c, structure)
        if cs is None:
            got = tree.structure(c)
            raise TypeError(f"{self._name}: bwd's cotangent {i} has the tree {got}, the argument {structure}.")
        for ct, leaf in zip(cs, leaves, strict=True):
            if ct is not None and shape_of(ct) != shape_of(leaf):
                raise ValueError(f"{self._name}: bwd's cotangent {i} is {describe(ct)}, the argument {describe(leaf)}.")
            if ct is not None:
                self._together((f"argument {i}", leaf), (f"bwd's cotangent {i}", ct))
        return [None if ct is None or not is_inexact(leaf) else _array(ct) for ct, leaf in zip(cs, leaves, strict=True)]

    def _transpose(self, pull: Any, ys: Sequence[Any]) -> _LinearMap:
        """Trace `bwd` on unknown cotangents: the transposed map, ready to pull tangents through."""
        linear = LinearLevel(f"transpose of the backward function of {self._name}")
        unknowns = [linear.argument(y) if is_inexact(y) else None for y in ys]
        with linear.running(), np.errstate(all="ignore"):
            cts = pull(unknowns)
        return _LinearMap(self._name, linear, unknowns, cts)

    def _forward(self, level: Any, leaves: list[Any], rebuild: Any, static: list[Any]) -> Any:
        primals = rebuild(_peel(level, leaves))
        ys, structure, residuals = self._run(level, primals, static)
        pull = self._pull(primals, static, residuals, structure, ys)
        ts = [x.tangent if isinstance(x, Dual) and x.level is level else None for x in leaves]
        out_ts = self._transpose(pull, ys).pull(ts)
        self._check_closure(level, out_ts)
        return tree.unflatten(structure, _lift(level, ys, out_ts))

    def _reverse(self, level: Any, leaves: list[Any], rebuild: Any, static: list[Any]) -> Any:
        primals = rebuild(_peel(level, leaves))
        ys, structure, residuals = self._run(level, primals, static)
        pull = self._pull(primals, static, residuals, structure, ys)
        specs = [Spec(shape_of(y), dtype_of(y)) for y in ys]
        call = _Transposed(lambda: self._transpose(pull, specs), pull, self._name)
        parents = [x.node if isinstance(x, Variable) and x.level is level else None for x in leaves]
        return tree.unflatten(structure, record_call(level, call, parents, ys))
