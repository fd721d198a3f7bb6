"""`trace`, and the evaluation trace that it returns."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from autodiff.core.assignment import settled
from autodiff.core.record import Guard, Recorded, RecordLevel, Step
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import Tracer, concrete
from autodiff.transforms._boundary import check_foreign, finish

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from autodiff.inspect.cost import Cost
    from autodiff.inspect.draw import Drawing
    from autodiff.inspect.table import Table

__all__ = ["EvaluationTrace", "trace"]


def trace(f: Callable[..., Any], order: str = "levels") -> Callable[..., EvaluationTrace]:
    """Make a function that runs `f` once and returns the record of every operation that it did.

    Parameters
    ----------
    f : callable
        A function written with NumPy. Its positional arguments are trees of arrays; strings and other objects
        in them, and keyword arguments, are constants.
    order : {"levels", "program"}
        How the steps are numbered: first those that read inputs only, then those that read these, and so on, as in
        Baydin et al. (2018); or in the order in which Python ran them.

    Returns
    -------
    callable
        Takes the arguments of `f`; returns an `EvaluationTrace`.

    Raises
    ------
    ConversionError
        If `f` turns a traced value into a plain number, as ``math.sin`` does.
    ValueError
        If `order` is unknown.

    Notes
    -----
    Transforms inside `f` are recorded with their derivatives: ``trace(grad(f))(x)`` holds the operations of both
    sweeps. Python's own control flow leaves no step; what it decided from traced values is in ``guards``.

    Examples
    --------
    >>> import numpy as np
    >>> t = trace(lambda x1, x2: np.log(x1) + x1 * x2 - np.sin(x2))(2.0, 5.0)
    >>> for step in t:
    ...     print(step)
    v1 = log(v-1): float64[]
    v2 = multiply(v-1, v0): float64[]
    v3 = sin(v0): float64[]
    v4 = add(v1, v2): float64[]
    v5 = subtract(v4, v3): float64[]
    """
    if order not in {"levels", "program"}:
        raise ValueError(f"trace: order must be 'levels' or 'program', not {order!r}.")
    if not callable(f):
        raise TypeError(f"trace: the argument must be a function, not {type(f).__name__}; write trace(f)(x).")

    @functools.wraps(f, updated=())
    def traced(*args: Any, **kwargs: Any) -> EvaluationTrace:
        leaves, structure = tree.flatten(args, strict=False)
        labels = argument_names(f, args)
        active = [is_numeric(x) for x in leaves]
        level = RecordLevel("trace")
        inputs = iter(
            level.arguments(
                [x for x, on in zip(leaves, active, strict=True) if on],
                [name for name, on in zip(labels, active, strict=True) if on],
            )
        )
        entries = [next(inputs) if on else x for x, on in zip(leaves, active, strict=True)]
        steps = [x.step if isinstance(x, Recorded) else x for x in entries]  # now: the program may assign to them
        with level.running():
            out = f(*tree.unflatten(structure, entries), **kwargs)
            outs, out_structure = tree.flatten(out, strict=False)
            outs = [settled(v) for v in outs]
        outputs = [v.step if _mine(v, level) else level.freeze(check_foreign("trace", v, level)) for v in outs]
        return EvaluationTrace(
            getattr(f, "__name__", "f"), level, steps, structure,
            outputs, out_structure, by_level=order == "levels",
        )  # fmt: skip

    return traced


def is_numeric(x: Any) -> bool:
    """Whether a leaf is an array or number (not a string or some other object)."""
    return isinstance(x, (bool, int, float, complex)) or (hasattr(x, "dtype") and np.dtype(x.dtype).kind in "fciub")


def _mine(v: Any, level: RecordLevel) -> bool:
    return type(v) is Recorded and v.level is level


def argument_names(f: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    """Names of the arguments' leaves: ``x1``, ``params['w']``; from the function's signature if it has one."""
    try:
        bound = inspect.signature(f).bind_partial(*args).arguments
        kinds = inspect.signature(f).parameters
        names: list[str] = []
        for name, value in bound.items():
            many = kinds[name].kind is inspect.Parameter.VAR_POSITIONAL
            names += [f"{name}{i + 1}" for i in range(len(value))] if many else [name]
    except (TypeError, ValueError):
        names = []
    if len(names) != len(args):
        names = [f"x{i + 1}" for i in range(len(args))]
    return [name + path for name, arg in zip(names, args, strict=True) for path, _ in tree.paths(arg, strict=False)]


class EvaluationTrace:
    """The record of one run of a program: what `trace` returns, and what a compiler reads.

    Attributes
    ----------
    name : str
        The function's name.
    inputs : list of Step
        The independent variables, ``v(1-n) ... v0``.
    steps : list of Step
        The operations by number, ``v1 ... vl``, each after its operands; iteration, ``len`` and indexing give these.
        A name works as an index too: ``trace["v-1"]``.
    program : list of Step
        The same in the order in which they ran, which is the order to run them in again.
    outputs : list
        The leaves of the result: steps, or constants where the result does not depend on the inputs.
    in_leaves : list
        The leaves of the arguments: steps, or the objects that are no arrays.
    in_tree, out_tree : Structure
        The trees of the arguments (a tuple) and of the result.
    guards : list of Guard
        What the program decided from traced values; the trace stands for the program only where these agree.

    Examples
    --------
    >>> import numpy as np
    >>> t = trace(lambda x: np.sin(x) * 2)(0.5)
    >>> len(t), t[1].op, t[1].operands[1]
    (2, <operation multiply>, 2)
    >>> t.eval(0.0)
    np.float64(0.0)
    """

    def __init__(
        self, name: str, level: RecordLevel, in_leaves: list[Any], in_tree: Any, outputs: list[Any], out_tree: Any,
        *, by_level: bool = False,
    ) -> None:  # fmt: skip
        self.name = name
        self.inputs: list[Step] = level.inputs
        self.program: list[Step] = level.steps
        self.steps: list[Step] = _by_level(level.steps) if by_level else list(level.steps)
        self.guards: list[Guard] = level.guards
        self.in_leaves = in_leaves
        self.in_tree = in_tree
        self.outputs = outputs
        self.out_tree = out_tree

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            for step in (*self.inputs, *self.steps):
                if index in (step.name, step.label):
                    return step
            raise KeyError(
                f"{index!r} is no step of this trace, which goes from v{1 - len(self.inputs)} to v{len(self)}."
            )
        return self.steps[index]

    def __repr__(self) -> str:
        lines = [f"EvaluationTrace of {self.name}: {len(self.inputs)} input(s), {len(self)} step(s)"]
        shown = [*self.inputs, *self.steps]
        if len(shown) > 40:
            lines += [f"  {s!r}" for s in shown[:20]] + [f"  ... {len(shown) - 40} more ..."]
            shown = shown[-20:]
        lines += [f"  {s!r}" for s in shown]
        outs = [y.name if isinstance(y, Step) else "constant" for y in self.outputs]
        return "\n".join([*lines, f"  return {tree.unflatten(self.out_tree, outs)}".replace("'", "")])

    @property
    def result(self) -> Any:
        """What the function returned."""
        values = [finish(y.value) if isinstance(y, Step) else y for y in self.outputs]
        return tree.unflatten(self.out_tree, values)

    @property
    def constants(self) -> list[Any]:
        """The arrays that the program read besides its arguments, each once, in order of use."""
        found = {id(x): x for s in self.program for x in s.operands if isinstance(x, np.ndarray)}
        return list(found.values())

    # -- running it again ---------------------------------------------------------------------------------

    def eval(self, *args: Any) -> Any:
        """Run the recorded operations on new arguments of the same trees, shapes and dtypes.

        Parameters
        ----------
        *args : tree of arrays
            The new arguments; they may be traced, so that ``grad(t.eval)`` works.

        Returns
        -------
        tree of arrays
            The result of the steps.

        Raises
        ------
        TypeError, ValueError
            If the arguments do not match those recorded, or if the program would have branched otherwise.
        """
        leaves, structure = tree.flatten(args, strict=False)
        if structure != self.in_tree:
            raise TypeError(f"eval: the arguments have the tree {structure}, but {self.in_tree} was recorded.")
        values = [_match(x, s) for x, s in zip(leaves, self.in_leaves, strict=True) if isinstance(s, Step)]
        env = self.replay(values)
        outs = [finish(env[y]) if isinstance(y, Step) else y for y in self.outputs]
        return tree.unflatten(self.out_tree, outs)

    def replay(self, values: Sequence[Any], *, check: bool = True) -> dict[Step, Any]:
        """Values of all steps for new values of the inputs."""
        guards: dict[Step, list[Guard]] = {}
        for guard in self.guards if check else ():
            guards.setdefault(guard.step, []).append(guard)
        env: dict[Step, Any] = {}
        for step, value in zip(self.inputs, values, strict=True):
            env[step] = value
            _check(guards.get(step, ()), value)
        for step in self.program:
            operands = [env[x] if isinstance(x, Step) else x for x in step.operands]
            env[step] = step.op.call(*operands, **step.params)
            _check(guards.get(step, ()), env[step])
        return env

    # -- looking at it ------------------------------------------------------------------------------------

    def table(self, tangents: Any = None, cotangent: Any = 1, digits: int = 3) -> Table:
        """Primal, tangent and adjoint of every step, as in tables 2 and 3 of Baydin et al. (2018).

        Parameters
        ----------
        tangents : tuple of trees of arrays, optional
            One entry for each argument, as for `jvp`; by default 1 for the first input and 0 for the others.
        cotangent : tree of arrays or 1
            The adjoint of the result; 1 stands for ones.
        digits : int
            Decimals that are printed.

        Returns
        -------
        Table
            Prints itself, as text and in a notebook; ``.forward`` and ``.reverse`` are table 2 and table 3 alone;
            ``.primals``, ``.tangents`` and ``.adjoints`` map a step's number to its value.

        Raises
        ------
        TypeError, ValueError
            If the seeds do not match the arguments or the result.

        Examples
        --------
        >>> import numpy as np
        >>> print(trace(lambda x: np.sin(x))(0.0).table().forward)
        Forward primal trace     Forward tangent trace
        -----------------------  --------------------------------
        v₀ = x = 0               v̇₀ = ẋ = 1
        -----------------------  --------------------------------
        v₁ = sin v₀ = sin 0 = 0  v̇₁ = v̇₀ × cos v₀ = 1 × cos 0 = 1
        -----------------------  --------------------------------
        y = v₁ = 0               ẏ = v̇₁ = 1
        """
        from autodiff.inspect.table import make_table

        return make_table(self, tangents, cotangent, digits)

    def draw(self, path: str | os.PathLike[str] | None = None, format: str | None = None) -> Drawing:  # noqa: A002
        """Draw the computational graph.

        Parameters
        ----------
        path : path-like, optional
            Where to write it: ``.dot`` (Graphviz), ``.mmd`` (Mermaid) or ``.md`` (Mermaid in Markdown) need no other
            program; ``.svg``, ``.png`` and ``.pdf`` need Graphviz's ``dot``.
        format : str, optional
            The format, if the suffix of `path` does not tell.

        Returns
        -------
        Drawing
            Its ``.dot`` and ``.mermaid`` are the texts; a notebook shows the picture.

        Raises
        ------
        ValueError
            If the format is unknown.
        RuntimeError
            If the format needs Graphviz and its ``dot`` program is not installed.
        """
        from autodiff.inspect.draw import draw

        drawing = draw(self)
        if path is not None:
            drawing.save(path, format)
        return drawing

    def cost(self) -> Cost:
        """Count operations, floating-point operations and bytes, from the shapes of the recorded steps."""
        from autodiff.inspect.cost import count

        return count(self)


def _by_level(steps: list[Step]) -> list[Step]:
    """Number the steps by their distance from the inputs."""
    level: dict[Step, int] = {}
    for step in steps:
        level[step] = 1 + max((level.get(x, 0) for x in step.parents), default=0)
    steps = sorted(steps, key=level.__getitem__)
    for i, step in enumerate(steps, 1):
        step.index = i
    return steps


def _match(x: Any, step: Step) -> Any:
    """Compare a new argument with the recorded one; returns it in the recorded form."""
    dtype = dtype_of(x)
    if shape_of(x) != step.shape:
        raise ValueError(
            f"eval: {step.label} has shape {shape_of(x)}, but {step.shape} was recorded; trace the function again."
        )
    if isinstance(x, (int, float, complex)) and not isinstance(x, np.generic) and not step.weak:
        if np.can_cast(dtype, step.dtype, "same_kind"):
            return step.dtype.type(x)
    elif dtype == step.dtype:
        return x.item() if step.weak and isinstance(x, (np.ndarray, np.generic)) else x
    elif step.weak and not isinstance(x, Tracer) and np.can_cast(dtype, step.dtype, "safe"):
        return type(step.value)(x)
    raise TypeError(
        f"eval: {step.label} is {dtype}, but {step.dtype} was recorded; convert it, or trace the function again."
    )


def _check(guards: Sequence[Guard], value: Any) -> None:
    for guard in guards:
        now = concrete(value)
        if type(guard.value) is bool:
            now = bool(now)
        if not np.array_equal(now, guard.value):
            raise ValueError(
                f"eval: the program used the value of {guard.step.name} itself {guard.source}, in a branch, a loop or "
                f"an index: it was {guard.value!r} when recorded and is {now!r} now. Trace the function again for "
                "these arguments, or use np.where."
            )
