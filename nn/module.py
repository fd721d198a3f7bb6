"""What a layer is: a dataclass whose fields say what they are, and a tree whose leaves are its arrays.

A field is a *parameter* (differentiated and optimised), *state* (statistics that training carries along, constant to
every derivative), *static* (a stride, a rate: part of the tree's structure), or, without a mark, holds layers. Every
transform of `autodiff` takes a model as it stands. A gradient is again a model: it has the layers and static data of
the model, derivatives where that has parameters, and zeros where it has state, so that
``tree.map(lambda p, g: p - rate * g, model, gradients)`` is a step of gradient descent that leaves state as it is.
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, ClassVar, TypeVar

import numpy as np

from autodiff import stop_gradient, tree
from autodiff.core.backend import on_host
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of
from autodiff.core.tracer import Tracer
from nn.arguments import generator

__all__ = ["Layer", "apply", "parameter", "replace", "state", "static"]

_L = TypeVar("_L", bound="Layer")
_ROLE = "nn role"
_DECAY = "nn decay"


def _field(role: str, default: Any, decay: bool = True) -> Any:
    metadata = {_ROLE: role, _DECAY: decay}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def parameter(*, default: Any = dataclasses.MISSING, decay: bool = True) -> Any:
    """Mark a field of a layer as a parameter: an array, or a tree of them, that is differentiated and optimised.

    Parameters
    ----------
    default
        A default, for dataclasses without an ``__init__`` of their own; ``None`` for a parameter that may be absent.
    decay : bool
        Whether weight decay, penalties and norm constraints apply to it; False for biases and scales.

    Examples
    --------
    >>> class Line(Layer):
    ...     slope: float = parameter()
    ...     offset: float = parameter(decay=False)
    ...
    ...     def __call__(self, x):
    ...         return self.slope * x + self.offset
    >>> Line(np.float64(2.0), np.float64(1.0))(3.0)
    np.float64(7.0)
    """
    return _field("parameter", default, decay)


def state(*, default: Any = dataclasses.MISSING) -> Any:
    """Mark a field of a layer as state: carried by training, constant to derivatives, left alone by optimisers.

    In a model that is being differentiated its arrays are plain arrays. New state is made with `replace`, which takes
    derivatives off what it is given, and returned from `Layer.forward`.

    Examples
    --------
    >>> class Counter(Layer):
    ...     count: int = state()
    ...
    ...     def forward(self, x, *, train=False, rng=None):
    ...         return x, replace(self, count=self.count + 1) if train else self
    >>> y, counter = apply(Counter(0), 5.0, train=True)
    >>> y, counter.count
    (5.0, 1)
    """
    return _field("state", default)


def static(*, default: Any = dataclasses.MISSING) -> Any:
    """Mark a field of a layer as static: a size, a rate, a name, a function. It is compared with ``==``.

    Examples
    --------
    >>> class Scale(Layer):
    ...     factor: float = static(default=2.0)
    ...
    ...     def __call__(self, x):
    ...         return self.factor * x
    >>> Scale()(3.0), Scale() == Scale(2.0)
    (6.0, True)
    """
    return _field("static", default)


def _constant(value: Any) -> Any:
    """Take derivatives off the arrays of a state field."""
    if isinstance(value, np.ndarray):
        return value
    return tree.map(lambda v: stop_gradient(v) if isinstance(v, Tracer) else v, value, strict=False)


def role_of(field: dataclasses.Field[Any]) -> str:
    """Return ``"parameter"``, ``"state"``, ``"static"``, or ``"layers"`` for a field without a mark."""
    return str(field.metadata.get(_ROLE, "layers"))


def decays(field: dataclasses.Field[Any]) -> bool:
    """Return whether weight decay applies to a field."""
    return bool(field.metadata.get(_DECAY, True))


@typing.dataclass_transform(eq_default=False, field_specifiers=(parameter, state, static))
class Layer:
    """The base of layers and models: a subclass is made a dataclass and a container of `autodiff.tree`.

    A subclass defines one of two methods:

    - ``__call__(self, x)``, if it does the same in training and in use;
    - ``forward(self, x, *, train, rng) -> (y, layer)``, if it does not, or holds layers that do not. The layer that it
      returns is `self`, or a copy with new state made by `replace`; layers that it holds are called through `apply`.

    Layers do not change: `replace` makes changed copies. They are compared by value and can be pickled. A layer that
    is stored in two places of a model is two layers to an optimiser; to share parameters, call one layer twice.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import grad
    >>> class Line(Layer):
    ...     weight: np.ndarray = parameter()
    ...
    ...     def __call__(self, x):
    ...         return x @ self.weight
    >>> line = Line(np.array([1.0, 2.0]))
    >>> line
    Line(weight=float64[2])  # 2 parameters
    >>> grad(lambda model: model(np.array([3.0, 4.0])))(line).weight
    array([3., 4.])
    """

    _custom_init: ClassVar[bool] = False
    _roles: ClassVar[dict[str, str]] = {}  # of fields by their names; every step of training asks for them
    __hash__ = None  # type: ignore[assignment]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._custom_init = cls._custom_init or "__init__" in vars(cls)
        for name in ("__repr__", "__eq__"):  # @dataclass, if somebody adds it, replaces those that are inherited
            setattr(cls, name, getattr(cls, name))
        dataclasses.dataclass(init=not cls._custom_init, repr=False, eq=False)(cls)
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        cls._roles = {field.name: role_of(field) for field in fields}
        tree.register_dataclass(
            cls,
            static=[name for name, role in cls._roles.items() if role == "static"],
            rebuild={name: _constant for name, role in cls._roles.items() if role == "state"},
        )

    def __setattr__(self, name: str, value: Any) -> None:
        cls = type(self)
        if name not in cls.__dataclass_fields__:  # type: ignore[attr-defined]
            raise AttributeError(
                f"{cls.__name__} has no field {name!r}: declare it in the class body, as nn.parameter(), nn.state(), "
                "nn.static(), or without a mark if it holds layers."
            )
        if name in vars(self):
            raise AttributeError(
                f"{cls.__name__}.{name} cannot be assigned again: layers do not change. "
                f"nn.replace(layer, {name}=...) makes a changed copy."
            )
        object.__setattr__(self, name, value)

    def __call__(self, x: Any) -> Any:
        """Apply the layer as it is used after training."""
        cls = type(self)
        if cls.forward is Layer.forward:
            raise TypeError(f"{cls.__name__} defines neither __call__(self, x) nor forward(self, x, *, train, rng).")
        return _pair(self, self.forward(x))[0]

    def forward(
        self, x: Any, *, train: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Any, typing.Self]:
        """Apply the layer in training or in use; return the result and the layer with its new state."""
        del rng
        if train:
            self._check_same_in_training()
        return self(x), self

    def _check_same_in_training(self) -> None:
        if all(_is_plain(getattr(self, name)) for name, role in self._roles.items() if role != "static"):
            return  # the usual case, at every step of training
        for name, part in layers_in(self):
            if part.differs_in_training():
                raise TypeError(
                    f"{type(self).__name__} defines only __call__, which uses {name} ({type(part).__name__}) as after "
                    "training. Define forward(self, x, *, train, rng) -> (y, layer) instead, and call such layers with "
                    f"y, {name.split('.')[0]} = nn.apply(self.{name.split('.')[0]}, x, train=train, rng=rng)."
                )

    def differs_in_training(self) -> bool:
        """Return whether training may do something else than use: drop activations, update statistics."""
        own = type(self).forward is not Layer.forward
        return own or any(part.differs_in_training() for _, part in layers_in(self))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not type(self):
            return NotImplemented
        mine, structure = tree.flatten(self)
        yours, same = tree.flatten(other)
        return structure == same and all(map(_same, mine, yours))

    def __repr__(self) -> str:
        from nn.inspection import describe_layer  # it knows layers, which this file defines

        return describe_layer(self)


def _same(a: Any, b: Any) -> bool:
    return dtype_of(a) == dtype_of(b) and on_host(a) == on_host(b) and bool(np.array_equal(a, b))


def layers_in(value: Any, name: str = "") -> list[tuple[str, Layer]]:
    """Return name and layer for those that a layer (or container) holds directly, not those inside them."""
    if isinstance(value, Layer):
        fields = [field for field, role in value._roles.items() if role != "static"]
        return [pair for f in fields for pair in _layers_of(getattr(value, f), _join(name, f))]
    return _layers_of(value, name)


def _is_plain(value: Any) -> bool:
    """Whether a value of a field is an array, so that no layers are in it."""
    return value is None or isinstance(value, (np.ndarray, Tracer))


def _layers_of(value: Any, name: str) -> list[tuple[str, Layer]]:
    if _is_plain(value):
        return []
    found = tree.paths(value, is_leaf=lambda v: isinstance(v, Layer), strict=False)
    return [(_join(name, plain_name(path)), v) for path, v in found if isinstance(v, Layer)]


def _join(name: str, step: str) -> str:
    return f"{name}.{step}" if name and step else name or step


def plain_name(path: str) -> str:
    """Return a path such as ``.layers[0]['w']`` as ``layers.0.w``."""
    for bracket in ("['", '["', "[", "']", '"]', "]"):
        path = path.replace(bracket, "." if bracket[0] == "[" else "")
    return path.strip(".")


def replace(layer: _L, /, **changes: Any) -> _L:
    """Return a copy of a layer in which some fields are other values.

    Values of state fields are made constant to derivatives.

    Raises
    ------
    TypeError
        If the first argument is not a layer, or has no such field.

    Examples
    --------
    >>> class Line(Layer):
    ...     slope: float = parameter()
    >>> replace(Line(1.0), slope=2.0).slope
    2.0
    """
    if not isinstance(layer, Layer):
        raise TypeError(f"replace: the first argument must be a layer, not {type(layer).__name__}.")
    roles = layer._roles
    copy = object.__new__(type(layer))
    vars(copy).update(vars(layer))
    for name, value in changes.items():
        if name not in roles:
            raise TypeError(f"replace: {type(layer).__name__} has no field {name!r}; it has {', '.join(roles)}.")
        vars(copy)[name] = _constant(value) if roles[name] == "state" else value
    return copy


def apply(model: Any, x: Any, *, train: bool = False, rng: np.random.Generator | int | None = None) -> tuple[Any, Any]:
    """Apply a model, in training or in use, and return its result together with the model in its new state.

    Parameters
    ----------
    model : Layer or callable
        The model; a plain function counts as a layer without arrays.
    x : array or tree of arrays
        The input.
    train : bool
        Whether this is training: `Dropout` drops, `BatchNorm` normalises by the batch and updates its statistics.
    rng : numpy.random.Generator, optional
        Where layers draw random numbers from. An int is the seed of a new generator.

    Returns
    -------
    y : array or tree of arrays
        The result.
    model
        The same model with new state; the model that was given stays as it was.

    Raises
    ------
    TypeError
        If the model cannot be called, `rng` is neither a generator nor a seed, or a layer's `forward` does not
        return two values.

    Examples
    --------
    >>> import numpy as np
    >>> import nn
    >>> model = nn.Sequential(nn.BatchNorm(1, dtype=np.float64))
    >>> y, trained = apply(model, np.array([[1.0], [3.0]]), train=True)
    >>> y.round(3).ravel(), trained.layers[0].mean, model.layers[0].mean
    (array([-1.,  1.]), array([0.2]), array([0.]))
    """
    if rng is not None:
        rng = generator("apply", rng)
    if isinstance(model, Layer):
        return _pair(model, model.forward(x, train=bool(train), rng=rng))
    if not callable(model):
        raise TypeError(f"apply: the model must be a layer or a function, not {type(model).__name__}.")
    return model(x), model


def _pair(layer: Layer, result: Any) -> tuple[Any, Any]:
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], type(layer))):
        got = f"{len(result)} values" if isinstance(result, tuple) else describe(result)
        name = type(layer).__name__
        raise TypeError(f"{name}.forward must return (y, layer) with the {name} in its new state, not {got}.")
    return result
