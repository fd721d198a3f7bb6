"""Finding where a NaN or an infinity came from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree, value_and_grad
from autodiff.core.backend import array_of, foreign, is_array
from autodiff.inspect import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["NonFiniteError", "all_finite", "every_finite", "first_bad_leaf", "first_bad_tensor"]


class NonFiniteError(FloatingPointError):
    """A loss or gradient that is NaN or infinite.

    Attributes
    ----------
    step : int
        The step, counted from 1 over all epochs.
    tensor : str
        The first tensor with such an entry, in words.
    """

    def __init__(self, message: str, step: int, tensor: str) -> None:
        super().__init__(message)
        self.step = step
        self.tensor = tensor


def all_finite(leaf: Any) -> bool:
    """Whether no entry is NaN or infinite; exact, and fast where all is well.

    Examples
    --------
    >>> all_finite(np.array([1.0, 2.0])), all_finite(np.array([1.0, np.inf])), all_finite(3)
    (True, False, True)
    """
    with np.errstate(all="ignore"):
        return _all_finite(leaf)


def _all_finite(leaf: Any) -> bool:
    array = array_of(leaf)
    kind = array.dtype.kind
    if kind not in "fc":
        return True
    if type(array) is np.ndarray and kind == "f" and array.flags.c_contiguous and array.dtype.itemsize >= 4:
        flat = array.reshape(-1)
        if math.isfinite(np.dot(flat, flat)):  # one pass by BLAS; it can overflow, so only a yes counts
            return True
    return bool(np.isfinite(array).all())


def every_finite(leaves: Iterable[Any]) -> bool:
    """Whether no entry of any array is NaN or infinite; waits for another device once, not for each array.

    Examples
    --------
    >>> every_finite([np.ones(2), 3]), every_finite([np.ones(2), np.array(np.nan)])
    (True, False)
    """
    found = list(leaves)
    away = [np.isfinite(leaf).all() for leaf in found if foreign(leaf) and leaf.dtype.kind in "fc"]
    with np.errstate(all="ignore"):
        here = all(_all_finite(leaf) for leaf in found if not foreign(leaf))
    return here and (not away or bool(np.stack(away).all()))


def first_bad_leaf(name: str, value: Any) -> str:
    """Name the first leaf of a tree with a NaN or an infinity; empty if there is none."""
    for path, leaf in tree.paths(value, strict=False):
        if (isinstance(leaf, (float, complex, np.generic)) or is_array(leaf)) and not all_finite(leaf):
            return f"{name}{path}{_what(leaf)}"
    return ""


def _what(value: Any) -> str:
    """Shape and dtype of a value and how many of its entries are not finite."""
    array = array_of(value)
    nans, infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    counts = " and ".join(f"{n:,} {word}" for n, word in ((nans, "NaN"), (infinite, "infinite")) if n)
    return f", {array.dtype}{list(array.shape)}: {counts} of {array.size:,} entries"


def first_bad_tensor(loss: Callable[..., Any], model: Any, batch: Any, rng: np.random.Generator) -> str:
    """Run a step again, recorded, and name the first tensor in it with a NaN or an infinity.

    Parameters
    ----------
    loss, model, batch
        As in the step.
    rng
        A generator in the state in which the step began.

    Returns
    -------
    str
        Empty if all is finite this time.
    """
    if found := first_bad_leaf("the batch", batch) or first_bad_leaf("the model", model):
        return found

    def step(model: Any) -> Any:
        return value_and_grad(loss, has_aux=True)(model, batch, train=True, rng=rng)[1]

    with np.errstate(all="ignore"):
        recorded = trace(step, order="program")(model)
    bad = [(s, v) for s in recorded.program for v in _parts(s.value) if not all_finite(v)]
    if not bad:
        return ""
    found = _describe(*bad[0])
    if not np.isnan(bad[0][1]).any():
        later = next((pair for pair in bad if np.isnan(pair[1]).any()), None)
        found += f"; then {_describe(*later)}" if later is not None else ""
    return found


def _parts(value: Any) -> tuple[Any, ...]:
    """Arrays of a step's value; some operations have several results."""
    return value if isinstance(value, tuple) else (value,)


def _describe(step: Any, value: Any) -> str:
    return f"the result of {step.op.name} {step.source}".rstrip() + _what(value)
