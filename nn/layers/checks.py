"""What layers check of their arguments and inputs; the messages name the layer, what was expected and what came."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from nn import initialisers

if TYPE_CHECKING:
    from collections.abc import Callable

    Init = str | Callable[..., Any]

__all__ = [
    "check_dtype",
    "check_features",
    "check_float",
    "count",
    "float_dtype",
    "generator",
    "initial",
    "kernel_pair",
]


def count(layer: str, what: str, value: Any) -> int:
    """Return a positive integer."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{layer}: {what} must be a positive integer, not {value!r}.") from None
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{layer}: {what} must be a positive integer, not {value!r}.")
    return number


def kernel_pair(layer: str, size: Any) -> tuple[int, int]:
    """Return the height and width of a kernel from a number or a pair."""
    pair = size if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2:
        raise ValueError(f"{layer}: kernel_size must be a number or a pair, not {size!r}.")
    height, width = (count(layer, "kernel_size", n) for n in pair)
    return height, width


def float_dtype(layer: str, dtype: Any) -> np.dtype[Any]:
    """Return a floating dtype."""
    kind: np.dtype[Any] = np.dtype(dtype)
    if kind.kind != "f":
        raise TypeError(f"{layer}: parameters have a floating dtype such as np.float32, not {kind}.")
    return kind


def generator(layer: str, rng: Any) -> np.random.Generator:
    """Return the generator, or a new one from a seed."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        return np.random.default_rng(int(rng))
    given = "none was given" if rng is None else f"{type(rng).__name__} was given"
    raise TypeError(
        f"{layer}: initial values need rng=, a numpy.random.Generator such as np.random.default_rng(0), or a seed; "
        f"{given}."
    )


def initial(
    where: str, initialiser: Init, rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    """Return the initial value of a parameter; `where`, as in ``"Dense: weight"``, begins the messages."""
    try:
        value = initialisers.get(initialiser)(rng, shape, dtype)
    except (TypeError, ValueError) as error:
        error.add_note(f"for {where}, {dtype}{list(shape)}")
        raise
    if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != dtype:
        got = describe(value) if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"{where}: the initialiser must return an array {dtype}{list(shape)}, not {got}.")
    return value


def check_float(layer: str, x: Any) -> None:
    """Refuse inputs that are not real numbers of a floating dtype."""
    dtype = dtype_of(x)
    if dtype.kind in "iub":
        scale = " / 255" if dtype == np.uint8 else ""
        raise TypeError(
            f"{layer}: the input is {describe(x)}, but a layer takes floating-point numbers; convert first: "
            f"x.astype(np.float32){scale}."
        )
    if dtype.kind != "f":
        raise TypeError(f"{layer}: the input is {describe(x)}, but a layer takes real floating-point numbers.")


def check_dtype(layer: str, x: Any, parameter: Any) -> None:
    """Refuse inputs of another dtype than the parameters, which would change the dtype of all that follows."""
    check_float(layer, x)
    got, want = dtype_of(x), dtype_of(parameter)
    if got != want:
        raise TypeError(
            f"{layer}: the input is {describe(x)}, but the parameters are {want}; convert the input with "
            f"x.astype(np.{want}), or make the layer with dtype=np.{got}."
        )


def check_features(layer: str, x: Any, axis: int, want: int, what: str = "features") -> None:
    """Compare the number of features or channels with what the layer was made for."""
    shape = shape_of(x)
    if not -len(shape) <= axis < len(shape) or shape[axis] != want:
        got = f"{shape[axis]} {what} on axis {axis}" if -len(shape) <= axis < len(shape) else f"no axis {axis}"
        hint = ""
        if len(shape) > 2 and axis == -1 and np.prod(shape[1:]) == want:
            hint = "; put a Flatten in front"
        if len(shape) == 4 and what == "channels" and shape[3 if axis == 1 else 1] == want:
            hint = f"; if they lie on axis {3 if axis == 1 else 1}, say layout='{'NHWC' if axis == 1 else 'NCHW'}'"
        raise ValueError(f"{layer}: expected {want} {what}, but the input {describe(x)} has {got}{hint}.")


def layout_axis(layer: str, layout: str) -> int:
    """Return the axis of the channels."""
    if layout not in ("NCHW", "NHWC"):
        raise ValueError(f"{layer}: layout must be 'NCHW' or 'NHWC', not {layout!r}.")
    return 1 if layout == "NCHW" else -1
