"""Reverse-mode transforms: `vjp`, `grad`, `value_and_grad`, `linearize`, `linear_transpose`."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from autodiff.core.abstract import constant_like
from autodiff.core.assignment import settled
from autodiff.core.backend import HOST, on_host, refuse_mixed_sweep
from autodiff.core.errors import DifferentiationError, NonlinearError, describe
from autodiff.core.linear import LinearLevel, LinearTracer
from autodiff.core.memory import tell
from autodiff.core.reverse import Node, ReverseLevel, Variable, pull_back
from autodiff.core.spec import Spec, dtype_of, shape_of
from autodiff.core.tangents import push_forward
from autodiff.device import device_put
from autodiff.transforms._boundary import (
    check_callable,
    check_foreign,
    check_tangents,
    finish,
    flatten,
    independent,
    pick_argnums,
    split_aux,
    zero_like,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["grad", "linear_transpose", "linearize", "value_and_grad", "vjp"]


class Linearised:
    """A program run once, its trace recorded: what `vjp`, `grad` and `linearize` start from.

    With `later`, sweeps come when the caller has had the values, and perhaps has changed them: it gets copies.
    """

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        args: Sequence[Any],
        positions: Sequence[int],
        has_aux: bool,
        kwargs: dict[str, Any] | None = None,
        later: bool = False,
    ) -> None:
        check_callable(name, f)
        self.name = name
        self.later = later
        level = ReverseLevel(name)
        self.structures: list[tree.Structure] = []
        self.leaves: list[list[Any]] = []
        self.nodes: list[list[Node | None]] = []
        call, traced = list(args), []
        for i in positions:
            call[i], leaves = self._enter(level, i, args[i])
            traced.append(leaves)
        self.aux = None
        self.values: list[Any] = []
        self.out_nodes: list[Node | None] = []
        with level.running():  # also while the results are read: they may be views of what was assigned to
            out = f(*call, **(kwargs or {}))
            if has_aux:
                out, aux = split_aux(name, out)
                self.aux = self._beside(level, aux, [(args[i], call[i]) for i in positions], traced)
            if type(out) is Variable and out.level is level and type(out.primal) in HOST:
                self.values, self.out_nodes, self.out_structure = [out.primal], [out.node], tree.LEAF
            else:
                self._leave(level, out)

    def _enter(self, level: ReverseLevel, i: int, x: Any) -> tuple[Any, list[Any]]:
        """Return argument `i` with variables for its leaves, and these."""
        if type(x) is np.ndarray and x.dtype.kind in "fc":  # the commonest argument needs no tree
            variable = level.variable(x)
            self.structures.append(tree.LEAF)
            self.leaves.append([x])
            self.nodes.append([variable.node])
            return variable, [variable]
        leaves, structure = flatten(self.name, f"argument {i}", x)
        direct = structure is tree.LEAF
        xs = [independent(self.name, x, direct=direct, where=f"argument {i}") for x in leaves]
        traced = [x if v is None else level.variable(v) for x, v in zip(leaves, xs, strict=True)]
        self.structures.append(structure)
        self.leaves.append([x if v is None else v for x, v in zip(leaves, xs, strict=True)])
        self.nodes.append([v.node if type(v) is Variable else None for v in traced])
        return tree.unflatten(structure, traced), traced

    def _leave(self, level: ReverseLevel, out: Any) -> None:
        """Take the results apart into values and nodes."""
        outs, self.out_structure = flatten(self.name, "the function's value", out)
        for v in outs:
            mine = type(v) is Variable and v.level is level
            self.out_nodes.append(v.node if mine else None)
            self.values.append(check_foreign(self.name, v.primal if mine else v, level))

    def _beside(self, level: ReverseLevel, aux: Any, arguments: list[tuple[Any, Any]], traced: list[list[Any]]) -> Any:
        """The auxiliary value without the tracing of `level`.

        A model without state is often returned as it was given, and training asks at every step: then it need not be
        taken apart again.
        """
        for k, (given, inside) in enumerate(arguments):
            if aux is inside and self.structures[k] is not tree.LEAF:
                values = [self._lowered(settled(v), level) for v in traced[k]]
                unchanged = all(map(operator.is_, values, self.leaves[k]))
                return given if unchanged else tree.unflatten(self.structures[k], values)
        return tree.map(lambda v: self._lowered(settled(v), level), aux, strict=False)

    @property
    def value(self) -> Any:
        """The function's value, as a tree."""
        pairs = zip(self.values, self.out_nodes, strict=True)
        return tree.unflatten(self.out_structure, [finish(v) if n is None else self._given(v) for v, n in pairs])

    def _given(self, v: Any) -> Any:
        """A value that the trace may hold, as the caller gets it."""
        x = finish(v)
        return x.copy() if self.later and type(x) is np.ndarray else x

    def _lowered(self, v: Any, level: Any) -> Any:
        """Return a value without the tracing of `level`."""
        return self._given(v.primal) if type(v) is Variable and v.level is level else v

    def pull(self, cts: Sequence[Any], *, once: bool = False) -> list[list[Any]]:
        """Adjoints of the arguments' leaves, from adjoints of the results' leaves.

        With `once`, the trace is given up, so that the sweep frees it as it goes.
        """
        roots = [(n, ct) for n, ct in zip(self.out_nodes, cts, strict=True) if n is not None and ct is not None]
        if once:
            self.out_nodes = []
        found = _swept(pull_back, roots)
        return [
            [_home(found[n], x) if n is not None and n in found else zero_like(x) for n, x in zip(ns, xs, strict=True)]
            for ns, xs in zip(self.nodes, self.leaves, strict=True)
        ]


def _swept(sweep: Callable[..., dict[Node, Any]], *args: Any) -> dict[Node, Any]:
    """Run a sweep; a full device says in which operation, and a mixture of devices what was mixed."""
    try:
        return sweep(*args)
    except MemoryError as error:
        tell(error)
        raise
    except TypeError as error:
        refuse_mixed_sweep(error)
        raise


def _home(ct: Any, x: Any) -> Any:
    """Return the adjoint of a leaf as the user gets it: where the leaf is, if a number of it was used elsewhere."""
    if type(ct) is not np.ndarray and type(x) is np.ndarray and not on_host(ct):
        ct = device_put(ct, "cpu")
    return finish(ct)


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value of a function, and the map from adjoints of the value to adjoints of the arguments.

    Parameters
    ----------
    f : callable
        A function of the primals, written with NumPy.
    *primals : tree of arrays
        The point; arrays of any shape and of real or complex dtype, in any nesting.
    has_aux : bool
        Whether `f` returns ``(value, aux)``; then ``(value, pullback, aux)`` is returned.

    Returns
    -------
    value : tree of arrays
        ``f(*primals)``.
    pullback : callable
        ``pullback(cotangent)`` -> a tuple with one tree for each primal. The cotangent has the tree, shapes
        and dtypes of the value. It may be called any number of times.

    Raises
    ------
    TypeError, ValueError
        From the pullback, if the cotangent does not match the value.

    Notes
    -----
    Reverse accumulation, Baydin et al. (2018), section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> value, pullback = vjp(np.sin, 0.0)
    >>> value, pullback(2.0)
    (np.float64(0.0), (np.float64(2.0),))
    """
    run = Linearised("vjp", f, primals, range(len(primals)), has_aux, later=True)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        cts = check_tangents("pullback", "cotangent", cotangent, run.out_structure, run.values, of="value")
        return tuple(tree.unflatten(s, c) for s, c in zip(run.structures, run.pull(cts), strict=True))

    return (run.value, pullback, run.aux) if has_aux else (run.value, pullback)


def value_and_grad(f: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Make a function that returns the value of `f` and its gradient.

    Parameters
    ----------
    f : callable
        A function with a real scalar value, written with NumPy.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.
    has_aux : bool
        Whether `f` returns ``(value, aux)``; then the result is ``((value, aux), gradient)``.

    Returns
    -------
    callable
        Takes the arguments of `f`; returns ``(value, gradient)``. The gradient has the tree, shapes and dtypes
        of the argument (a tuple of them when `argnums` is a sequence). For a complex argument it is
        ``df/dx - i df/dy``. Integer and boolean leaves inside containers get a zero of their own dtype.

    Raises
    ------
    TypeError
        If the value is not a real scalar, or an argument has no derivative.
    ValueError
        If `argnums` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    return _gradient("value_and_grad", f, argnums, has_aux, lambda value, g: (value, g))


def grad(f: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Make a function that returns the gradient of `f`, which has a real scalar value.

    Parameters and errors are those of `value_and_grad`; with ``has_aux=True`` the result is
    ``(gradient, aux)``.

    Examples
    --------
    >>> import numpy as np
    >>> grad(lambda x: np.log(x) + x * 5 - np.sin(5.0))(2.0)
    np.float64(5.5)
    >>> grad(grad(np.sin))(1.0) == -np.sin(1.0)
    np.True_
    """
    return _gradient("grad", f, argnums, has_aux, lambda value, g: (g, value[1]) if has_aux else g)


def _gradient(
    name: str, f: Callable[..., Any], argnums: Any, has_aux: bool, arrange: Callable[[Any, Any], Any]
) -> Callable[..., Any]:
    check_callable(name, f)

    @functools.wraps(f, updated=())
    def gradient(*args: Any, **kwargs: Any) -> Any:
        positions = pick_argnums(name, argnums, len(args))
        run = Linearised(name, f, args, positions, has_aux, kwargs)
        seed = _scalar_seed(name, run)
        value = (run.value, run.aux) if has_aux else run.value
        grads = run.pull([seed], once=True)
        trees = [c[0] if s is tree.LEAF else tree.unflatten(s, c) for s, c in zip(run.structures, grads, strict=True)]
        return arrange(value, tuple(trees) if isinstance(argnums, (tuple, list)) else trees[0])

    return gradient


def _scalar_seed(name: str, run: Linearised) -> Any:
    """Check that the value is a real scalar, and return the adjoint 1 for it."""
    if run.out_structure != tree.LEAF:
        raise TypeError(
            f"{name}: the function must return one real scalar, not the tree {run.out_structure}"
            f"{' (is a return missing?)' if not run.values else ''}; use has_aux=True to return further values, or "
            "vjp or jacrev for several outputs."
        )
    (v,) = run.values
    shape, dtype = shape_of(v), dtype_of(v)
    if shape:
        raise TypeError(
            f"{name}: the function must return a scalar, but its value is {dtype}{list(shape)}; reduce it (np.sum, "
            "np.mean), or use jacrev, jacfwd or vjp."
        )
    if dtype.kind == "c":
        raise TypeError(
            f"{name}: the function must be real-valued, but its value is {dtype}; differentiate np.real(f(x)), "
            "np.imag(f(x)) or abs(f(x))**2, or use vjp or jvp."
        )
    if dtype.kind != "f":
        raise TypeError(
            f"{name}: the function must return a floating-point scalar, but its value is {dtype}, which has no "
            "derivative; compute it from floating-point values, without comparisons or casts to integers."
        )
    return constant_like(v, (), dtype, 1)


def linearize(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value of a function, and its derivative at that point as a linear function of tangents.

    The program runs once; each call of the linear function sweeps forward along the recorded trace.

    Parameters
    ----------
    f : callable
        A function of the primals, written with NumPy.
    *primals : tree of arrays
        The point.
    has_aux : bool
        Whether `f` returns ``(value, aux)``; then ``(value, f_jvp, aux)`` is returned.

    Returns
    -------
    value : tree of arrays
        ``f(*primals)``.
    f_jvp : callable
        ``f_jvp(*tangents)``: the tangent of the value, for tangents with the trees of the primals.

    Raises
    ------
    TypeError, ValueError
        From `f_jvp`, if the tangents do not match the primals.

    Examples
    --------
    >>> import numpy as np
    >>> value, f_jvp = linearize(np.sin, 0.0)
    >>> f_jvp(3.0)
    np.float64(3.0)
    """
    run = Linearised("linearize", f, primals, range(len(primals)), has_aux, later=True)

    def f_jvp(*tangents: Any) -> Any:
        if len(tangents) != len(primals):
            raise TypeError(f"linearize: {len(tangents)} tangent(s) given for {len(primals)} primal(s).")
        seeds: dict[Node, Any] = {}
        for i, (t, s, xs, ns) in enumerate(zip(tangents, run.structures, run.leaves, run.nodes, strict=True)):
            flat = check_tangents("linearize", f"tangents[{i}]", t, s, xs, of=f"primals[{i}]")
            seeds.update((n, v) for n, v in zip(ns, flat, strict=True) if n is not None and v is not None)
        found = _swept(push_forward, [n for n in run.out_nodes if n is not None], seeds)
        ts = [None if n is None else found.get(n) for n in run.out_nodes]
        outs = [zero_like(v) if t is None else finish(t) for t, v in zip(ts, run.values, strict=True)]
        return tree.unflatten(run.out_structure, outs)

    return (run.value, f_jvp, run.aux) if has_aux else (run.value, f_jvp)


def linear_transpose(f: Callable[..., Any], *likes: Any) -> Callable[[Any], tuple[Any, ...]]:
    """Transpose of a linear function.

    Parameters
    ----------
    f : callable
        A function that is linear in its arguments jointly, written with NumPy.
    *likes : tree of arrays or Spec
        Anything with the shapes and dtypes of the arguments; values are not read.

    Returns
    -------
    callable
        ``transpose(cotangent)`` -> a tuple with one tree for each argument.

    Raises
    ------
    NonlinearError
        If an operation in `f` is not linear in the arguments; it names the operation.

    Examples
    --------
    >>> import numpy as np
    >>> linear_transpose(lambda x: 3.0 * x[1:], np.zeros(3))(np.ones(2))
    (array([0., 3., 3.]),)
    """
    check_callable("linear_transpose", f)
    level = LinearLevel("linear_transpose")
    flats = [flatten("linear_transpose", f"argument {i}", x) for i, x in enumerate(likes)]
    unknowns = [
        [_unknown(level, x, direct=s is tree.LEAF, where=f"argument {i}") for x in leaves]
        for i, (leaves, s) in enumerate(flats)
    ]
    with level.running():
        out = f(*[tree.unflatten(s, [v.settled() for v in u]) for u, (_, s) in zip(unknowns, flats, strict=True)])
        outs, structure = flatten("linear_transpose", "the function's value", out)
    for v in outs:
        if not (type(v) is LinearTracer and v.level is level) and np.any(v != 0):
            raise NonlinearError("linear_transpose: a result does not depend on the arguments, so f is not linear.")

    def transpose(cotangent: Any) -> tuple[Any, ...]:
        cts = check_tangents("linear_transpose", "cotangent", cotangent, structure, outs, of="value")
        roots = [(v.node, ct) for v, ct in zip(outs, cts, strict=True) if type(v) is LinearTracer and ct is not None]
        found = _swept(pull_back, roots)
        return tuple(
            tree.unflatten(s, [finish(found[u.node]) if u.node in found else zero_like(u) for u in us])
            for us, (_, s) in zip(unknowns, flats, strict=True)
        )

    return transpose


def _unknown(level: LinearLevel, like: Any, *, direct: bool, where: str) -> LinearTracer:
    """Make the tracer of one argument: integers count as floats, as in `grad`."""
    dtype = dtype_of(like)
    if dtype.kind in "fc":
        return level.argument(like)
    if direct and dtype.kind in "iu":
        return level.argument(Spec(shape_of(like), np.float64))
    raise DifferentiationError(
        f"linear_transpose: {where} is {describe(like)}; give real or complex arrays or specs, and close over others."
    )
