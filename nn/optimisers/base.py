"""What all optimisers share: finding parameters, gradients and moments of one another, and everything optional.

An optimiser is a record of numbers. ``opt.init(model)`` makes its state, and ``opt.update(gradients, state, model)``
returns a new model and a new state: nothing that it was given changes. The state is a dict: ``"step"``, the number of
steps done, and for each kind of moment a dict of arrays by the names of `nn.parameters`.

A subclass states its formula once, in `Optimiser.rule`, in plain NumPy. Large arrays go through a compiled
kernel that does the same, or, where there is none, through the formula in blocks that stay in the cache.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from autodiff import tree
from autodiff.core.backend import made, mixed
from autodiff.core.errors import DeviceError, describe
from autodiff.core.memory import tell
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.compiled import cpu, fits_gpu, gpu, kernels_enabled
from nn.inspection import Leaf, leaf_kinds
from nn.schedules import rate_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nn.schedules import Rate

__all__ = ["Optimiser", "Step"]

BLOCK = 1 << 14
"""Numbers of each array that go through a formula at once: some ten arrays of them fit into the second cache."""

COMPILED, SMALL = 1 << 16, 1 << 9
"""Numbers from which on a compiled kernel is used, where there is one; and if kernels are loaded already."""


FLOATS = frozenset({np.dtype(np.float32), np.dtype(np.float64)})


class Step(NamedTuple):
    """What a formula knows of the step besides arrays."""

    rate: float
    number: int  # 1 in the first step
    numbers: dict[str, float]  # the state's numbers after this step


@dataclasses.dataclass(frozen=True)
class Optimiser:
    """The base of optimisers.

    Parameters
    ----------
    learning_rate : float or callable
        A number, or a function of the step (0 in the first) such as those of `nn.schedules`.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient of a weight p, as by a penalty ``weight_decay / 2 * |p|^2`` in the
        loss; in `AdamW` it is subtracted from the weight itself, times the learning rate. Biases and the scales and
        shifts of normalisation (what a layer declares with ``decay=False``) do not decay; in trees that are no layers
        everything does.
    clip : callable, optional
        What happens to gradients first: `nn.ClipByGlobalNorm` and its like, or a function of a dict of arrays by name
        that returns such a dict.
    constraint : callable, optional
        What happens to weights last: `nn.MaxNorm`, or a function of one array that returns an array.
    """

    learning_rate: Rate
    _: dataclasses.KW_ONLY
    weight_decay: float = 0.0
    clip: Callable[[Any], Any] | None = None
    constraint: Callable[[Any], Any] | None = None

    decoupled: ClassVar[bool] = False  # whether weight decay leaves the gradient alone

    def __post_init__(self) -> None:
        if not callable(self.learning_rate):
            self._number("learning_rate")
        self._number("weight_decay")
        for name in ("clip", "constraint"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, type) or not callable(value)):
                raise TypeError(f"{self.name}: {name} must be a function, such as those of nn.regularisation.")

    def _number(self, name: str, low: float = 0.0, below: float = np.inf, *, zero: bool = True) -> None:
        """Check a number of the optimiser."""
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(f"{self.name}: {name} must be a number, not {type(value).__name__}.")
        if not low <= value < below or (value == 0 and not zero):
            least = f"at least {low:g}" if zero else "greater than 0"
            raise ValueError(f"{self.name}: {name} must be {least} and less than {below:g}, not {value}.")
        object.__setattr__(self, name, float(value))  # a NumPy float64 would make float64 of float32

    @property
    def name(self) -> str:
        """What messages call the optimiser."""
        return type(self).__name__

    # -- what a subclass says ------------------------------------------------------------------------------------

    def moments(self) -> tuple[str, ...]:
        """Return the names of the arrays that the state holds for each parameter."""
        return ()

    def first_moment(self, moment: str, p: Any) -> Any:
        """Return a moment before the first step."""
        del moment
        return made(np.zeros, p, shape_of(p), moment_dtype(p))[()]

    def first_numbers(self) -> dict[str, float]:
        """Return the numbers that the state holds besides arrays, before the first step."""
        return {}

    def next_numbers(self, numbers: dict[str, float], number: int) -> dict[str, float]:
        """Return these numbers after step `number`."""
        del number
        return numbers

    def rule(self, p: Any, g: Any, moments: Sequence[Any], step: Step) -> tuple[Any, tuple[Any, ...]]:
        """Return a parameter and its moments after a step: the optimiser's formula."""
        raise NotImplementedError

    def kernel(self, kernels: Any, step: Step) -> Callable[..., None] | None:
        """Return ``f(p, g, *moments, out=..., decay=..., shrink=...)``, a compiled form of `rule`, if there is one.

        `kernels` is the module `kernels.cpu`, or `kernels.cuda.optimiser`.
        """
        del kernels, step
        return None

    # -- what a user calls ---------------------------------------------------------------------------------------

    def init(self, model: Any) -> dict[str, Any]:
        """Return the state before the first step.

        Parameters
        ----------
        model : Layer or tree of arrays
            The model.

        Returns
        -------
        dict
            ``"step"``, a dict of arrays for each kind of moment, and numbers of some optimisers.

        Raises
        ------
        ValueError
            If the model has no parameters.
        TypeError
            If it has complex ones.

        Examples
        --------
        >>> import nn
        >>> nn.SGD(0.1, momentum=0.9).init({"w": np.zeros(2)})
        {'step': 0, 'velocity': {'w': array([0., 0.])}}
        """
        found = [leaf for _, leaf in self._trained(model, *tree.flatten(model))]
        if not found:
            raise ValueError(f"{self.name}.init: the model has no floating-point parameters.")
        state: dict[str, Any] = {"step": 0}
        for moment in self.moments():
            state[moment] = {leaf.name: self.first_moment(moment, leaf.value) for leaf in found}
        return {**state, **self.first_numbers()}

    def update(
        self, gradients: Any, state: dict[str, Any], model: Any, *, donate: bool = False
    ) -> tuple[Any, dict[str, Any]]:
        """Do one step.

        Parameters
        ----------
        gradients : Layer or tree of arrays
            The gradient of the loss, as `autodiff.grad` returns it: like the model. Where the model has state or
            integers, its values are not read. A parameter whose gradient is None stays as it is, with its moments.
        state : dict
            The state that `init` or the last `update` returned.
        model : Layer or tree of arrays
            The model.
        donate : bool
            Whether arrays of the model and of the state may be used for the new ones. The old model and state, and
            whatever shares memory with them, must not be used any more. Saves memory and about half of the time.

        Returns
        -------
        model : Layer or tree of arrays
            The model after the step.
        state : dict
            The state after the step.

        Raises
        ------
        ValueError, TypeError
            If gradients or state do not match the model; the message names the parameter.
        DeviceError
            If one of them is on another device than its parameter.

        Examples
        --------
        >>> import nn
        >>> opt, model = nn.SGD(0.1), {"w": np.array([1.0, 2.0])}
        >>> opt.update({"w": np.array([10.0, 0.0])}, opt.init(model), model)
        ({'w': array([0., 2.])}, {'step': 1})
        """
        leaves, structure = tree.flatten(model)
        trained = self._trained(model, leaves, structure)
        found = self._gradients(self._aligned(gradients, model, structure), trained)
        number, old = self._old_moments(state, trained)
        numbers = {name: state[name] for name in self.first_numbers()}
        step = Step(rate_at(self.name, self.learning_rate, number), number + 1, self.next_numbers(numbers, number + 1))
        new: dict[str, Any] = {"step": step.number, **{moment: {} for moment in self.moments()}, **step.numbers}
        # An array in two places: the step of the one must not change what that of the other starts from.
        uses = Counter(id(leaf.value) for _, leaf in trained)
        for i, leaf in trained:
            changed: Sequence[Any] = [old[moment][leaf.name] for moment in self.moments()]
            if leaf.name in found:
                decay = self.weight_decay if leaf.decay else 0.0
                reuse = donate and uses[id(leaf.value)] == 1
                try:
                    p, changed = self._step(leaf.value, found[leaf.name], changed, step, decay, reuse)
                except MemoryError as error:
                    tell(error, f"{self.name}.update of {leaf.name}")
                    raise
                leaves[i] = self._constrained(leaf, p) if leaf.decay else p
            for moment, value in zip(self.moments(), changed, strict=True):
                new[moment][leaf.name] = value
        return tree.unflatten(structure, leaves), new

    # -- how -----------------------------------------------------------------------------------------------------

    def _trained(self, model: Any, leaves: list[Any], structure: tree.Structure) -> list[tuple[int, Leaf]]:
        """Return position among the leaves and description of the arrays that are optimised."""
        found = []
        for i, (value, (name, role, decay)) in enumerate(zip(leaves, leaf_kinds(model, structure), strict=True)):
            if role != "parameter":
                continue
            kind = dtype_of(value).kind
            if kind == "c":
                raise TypeError(f"{self.name}: the parameter {name} is complex; keep its two parts as real parameters.")
            if kind == "f":
                found.append((i, Leaf(name, role, decay, value)))
        return found

    def _gradients(self, flat: list[Any], trained: list[tuple[int, Leaf]]) -> dict[str, Any]:
        """Return the gradients by name, without those that are None, compared with the parameters, and clipped."""
        given = [(i, leaf) for i, leaf in trained if flat[i] is not None]
        found = {leaf.name: flat[i] for i, leaf in given}
        self._compare("gradient", found, given)
        if self.clip is not None:
            found = self.clip(found)
            self._compare("clipped gradient", found, given)
        return found

    def _aligned(self, gradients: Any, model: Any, structure: tree.Structure) -> list[Any]:
        """Return the gradient, or None, of each array of the model."""
        error = f"{self.name}.update: the gradients are no tree like the model"
        try:
            given, same = tree.flatten(gradients)
            if same == structure:
                return given
            values, structure = tree.flatten(model, is_leaf=_is_none)  # None is a leaf, in the place of a gradient
            flat = tree.flatten_like(structure, gradients, is_leaf=_is_none)
        except (TypeError, ValueError) as reason:
            text = str(reason).replace("the first", "the model").replace("the second", "the gradients")
            text = text.replace("\n  first:  ", "\n  model:     ").replace("\n  second: ", "\n  gradients: ")
            raise ValueError(f"{error}: {text}") from None
        if extra := [g for g, value in zip(flat, values, strict=True) if value is None and g is not None]:
            raise ValueError(f"{error}: one is {describe(extra[0])} where the model has None.")
        return [g for g, value in zip(flat, values, strict=True) if value is not None]

    def _old_moments(self, state: Any, trained: list[tuple[int, Leaf]]) -> tuple[int, dict[str, Any]]:
        """Return the number of steps done and the moments, compared with the parameters."""
        want = {"step", *self.moments(), *self.first_numbers()}
        if not isinstance(state, dict) or state.keys() != want:
            got = ", ".join(map(str, state)) if isinstance(state, dict) else type(state).__name__
            raise ValueError(
                f"{self.name}.update: the state must have {', '.join(sorted(want))}, but it has {got}; "
                "opt.init(model) makes the first one, and update returns the next."
            )
        for moment in self.moments():
            self._compare(f"{moment} in the state", state[moment], trained, moment_dtype)
        return int(state["step"]), state

    def _compare(
        self, what: str, found: dict[str, Any], trained: list[tuple[int, Leaf]], dtype: Callable[[Any], Any] = dtype_of
    ) -> None:
        for _, leaf in trained:
            if leaf.name not in found:
                raise ValueError(f"{self.name}.update: there is no {what} of {leaf.name}; it is of another model.")
            value, p = found[leaf.name], leaf.value
            if shape_of(value) != shape_of(p) or dtype_of(value) != dtype(p):
                error = ValueError if shape_of(value) != shape_of(p) else TypeError
                raise error(
                    f"{self.name}.update: the {what} of {leaf.name} is {_shown(value)}, but that is {_shown(p)}."
                )
            if type(value) is not type(p) and (found_mixed := mixed(((leaf.name, p), (f"its {what}", value)))):
                raise DeviceError(f"{self.name}.update: {found_mixed}")

    def _constrained(self, leaf: Leaf, p: Any) -> Any:
        if self.constraint is None:
            return p
        q = self.constraint(p)
        if shape_of(q) != shape_of(p) or dtype_of(q) != dtype_of(p):
            raise ValueError(
                f"{self.name}.update: the constraint made {describe(q)} of {leaf.name}, which is {describe(p)}."
            )
        return q

    def _step(
        self, p: Any, g: Any, moments: Sequence[Any], step: Step, decay: float, donate: bool
    ) -> tuple[Any, Sequence[Any]]:
        """Do one step of one parameter, by whatever is fastest for its size."""
        arrays = [p, g, *moments]
        plain = all(type(a) is np.ndarray for a in arrays)
        compiled = plain and p.dtype in FLOATS and p.size >= (SMALL if kernels_enabled() else COMPILED)
        if compiled or (plain and p.size > BLOCK):
            arrays = [np.ascontiguousarray(a) for a in arrays]
            out = [a if donate and a.flags.writeable else np.empty_like(a) for a in (arrays[0], *arrays[2:])]
            kernel = self.kernel(cpu(), step) if compiled else None
            if kernel is None:
                self._in_blocks(arrays, out, step, decay)
            else:
                shrink = 1 - step.rate * decay if self.decoupled else 1.0
                kernel(*arrays, out=out, decay=0.0 if self.decoupled else decay, shrink=shrink)
            return out[0], out[1:]
        kernel = self.kernel(gpu().optimiser, step) if fits_gpu(*arrays) else None
        if kernel is not None:
            return self._on_gpu(kernel, arrays, step, decay, donate)
        return self._formula(p, g, moments, step, decay)

    def _on_gpu(
        self, kernel: Callable[..., None], arrays: Sequence[Any], step: Step, decay: float, donate: bool
    ) -> tuple[Any, Sequence[Any]]:
        """One launch, where the library's functions would be a dozen."""
        arrays = [made(np.ascontiguousarray, a, a) for a in arrays]
        out = [a if donate else np.empty_like(a) for a in (arrays[0], *arrays[2:])]
        shrink = 1 - step.rate * decay if self.decoupled else 1.0
        kernel(*arrays, out=out, decay=0.0 if self.decoupled else decay, shrink=shrink)
        return out[0], out[1:]

    def _formula(self, p: Any, g: Any, moments: Sequence[Any], step: Step, decay: float) -> tuple[Any, Sequence[Any]]:
        """Weight decay, then the rule."""
        if dtype_of(p) == np.float16:
            p, changed = self._formula(np.astype(p, np.float32), np.astype(g, np.float32), moments, step, decay)
            return np.astype(p, np.float16), changed
        if decay and self.decoupled:
            p = p * (1 - step.rate * decay)
        elif decay:
            g = g + decay * p
        return self.rule(p, g, moments, step)

    def _in_blocks(self, arrays: Sequence[Any], out: Sequence[Any], step: Step, decay: float) -> None:
        ins, outs = [a.reshape(-1) for a in arrays], [a.reshape(-1) for a in out]
        for i in range(0, ins[0].size, BLOCK):
            p, g, *moments = [a[i : i + BLOCK] for a in ins]
            new, changed = self._formula(p, g, moments, step, decay)
            for target, value in zip(outs, (new, *changed), strict=True):
                target[i : i + BLOCK] = value


def _is_none(value: Any) -> bool:
    return value is None


def moment_dtype(p: Any) -> Any:
    """Return the dtype of a parameter's moments: float32 for float16, which has neither 1e-8 nor small squares."""
    dtype = dtype_of(p)
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _shown(value: Any) -> str:
    return f"{dtype_of(value)}[{','.join(map(str, shape_of(value)))}]"
