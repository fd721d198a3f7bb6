"""One parameter in several places of a model: tied weights, shared layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from nn.inspection import parameters
from nn.layers.activation import Activation
from nn.module import Layer, apply, replace, static

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

__all__ = ["Tied"]


class Tied(Layer):
    """Let parameters of a model be others of its parameters: each is stored, counted and trained once.

    The derivative by a parameter is the sum over all places where it is used.

    Parameters
    ----------
    layer : Layer or callable
        The model. What its tied parameters were is dropped.
    ties : dict of str
        By name, as in `nn.parameters`, what each tied parameter is: the name of another one, with ``.T`` behind it if
        that one's matrix is to be transposed, as in the decoder of an autoencoder.

    Raises
    ------
    KeyError
        If there is no parameter of a name.
    ValueError
        If nothing is tied, shapes or dtypes do not agree, what is transposed is no matrix, or a parameter is tied to
        one that is tied itself.

    Attributes
    ----------
    layer
        The model, with None in place of what is tied; `untied` is the whole of it.

    Examples
    --------
    >>> import numpy as np
    >>> import nn
    >>> coder = nn.Sequential(nn.Dense(6, 2, rng=0), nn.tanh, nn.Dense(2, 6, rng=1))
    >>> model = nn.Tied(coder, {"layers.2.weight": "layers.0.weight.T"})
    >>> {name: value.shape for name, value in nn.parameters(model).items()}
    {'layer.layers.0.weight': (6, 2), 'layer.layers.0.bias': (2,), 'layer.layers.2.bias': (6,)}
    >>> bool(np.all(model.untied[2].weight == model.untied[0].weight.T))
    True
    """

    layer: Any
    ties: tuple[tuple[str, str], ...] = static()

    def __init__(self, layer: Any, ties: Mapping[str, str]) -> None:
        layer = layer if isinstance(layer, Layer) else Activation(layer)
        _check(parameters(layer), ties)
        self.ties = tuple(ties.items())
        self.layer = _stripped(layer, self.ties)

    @property
    def untied(self) -> Any:
        """The model with all its parameters in their places."""
        found, whole = parameters(self.layer), self.layer
        for name, source in self.ties:
            stored = source.removesuffix(".T")
            whole = _put(whole, name.split("."), found[stored] if stored == source else found[stored].T)
        return whole

    def __call__(self, x: Any) -> Any:
        """Apply the model."""
        return self.untied(x)

    def forward(self, x: Any, *, train: bool = False, rng: np.random.Generator | None = None) -> tuple[Any, Tied]:
        """Apply the model, in training or in use."""
        y, new = apply(self.untied, x, train=train, rng=rng)
        return y, replace(self, layer=_stripped(new, self.ties))

    def differs_in_training(self) -> bool:
        """Return whether the model does something else in training than in use."""
        return bool(self.layer.differs_in_training())


def _check(found: dict[str, Any], ties: Mapping[str, str]) -> None:
    if not ties:
        raise ValueError("Tied: ties must say what is tied, as in {'layers.2.weight': 'layers.0.weight.T'}.")
    for name, source in ties.items():
        stored = source.removesuffix(".T")
        for one in (name, stored):
            if one not in found:
                raise KeyError(f"Tied: there is no parameter {one!r}; there are {', '.join(found)}")
        if stored in ties:
            raise ValueError(f"Tied: {name} cannot be tied to {stored}, which is tied itself.")
        shape, want = shape_of(found[stored]), shape_of(found[name])
        if stored != source and len(shape) != 2:
            raise ValueError(f"Tied: {source} needs a matrix, but {stored} is {describe(found[stored])}.")
        if (shape if stored == source else shape[::-1]) != want or dtype_of(found[stored]) != dtype_of(found[name]):
            raise ValueError(
                f"Tied: {name}, {describe(found[name])}, cannot be {source}, where {stored} is "
                f"{describe(found[stored])}."
            )


def _stripped(layer: Any, ties: tuple[tuple[str, str], ...]) -> Any:
    for name, _ in ties:
        layer = _put(layer, name.split("."), None)
    return layer


def _put(value: Any, steps: list[str], new: Any) -> Any:
    """Return a copy of a tree with another value in one place."""
    if not steps:
        return new
    step, *rest = steps
    if isinstance(value, Layer):
        return replace(value, **{step: _put(getattr(value, step), rest, new)})
    if isinstance(value, dict):
        key = next(key for key in value if str(key) == step)
        return {**value, key: _put(value[key], rest, new)}
    items = list(value)
    items[int(step)] = _put(items[int(step)], rest, new)
    return type(value)(items)
