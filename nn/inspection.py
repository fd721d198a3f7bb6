"""Looking at models: their arrays by name, how many there are, a printed form, a table of shapes."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from autodiff import Spec, eval_shape, tree
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import Tracer
from nn.module import Layer, apply, decays, plain_name, role_of

__all__ = ["count_parameters", "named_leaves", "parameters", "states", "summary"]


class Leaf(NamedTuple):
    """One array of a model: its name, what it is, and its value."""

    name: str
    role: str  # "parameter" or "state"
    decay: bool
    value: Any


def named_leaves(model: Any) -> list[Leaf]:
    """Return all arrays of a model, parameters and state, in the order of `autodiff.tree.leaves`.

    In trees that are no layers every array is a parameter.

    Examples
    --------
    >>> [(leaf.name, leaf.role) for leaf in named_leaves({"w": 1.0, "b": [2.0]})]
    [('w', 'parameter'), ('b.0', 'parameter')]
    """
    out: list[Leaf] = []
    _collect(model, "", "parameter", True, out)
    return out


_recent: list[tuple[tree.Structure, list[tuple[str, str, bool]]]] = []


def leaf_kinds(model: Any, structure: tree.Structure) -> list[tuple[str, str, bool]]:
    """Return name, role and decay of each leaf of a model whose structure is known.

    They follow from the structure, and every step of training asks for them: those of the last four are kept.
    """
    try:
        for known, kinds in tuple(_recent):
            if known == structure:
                return kinds
    except TypeError:  # static data that cannot be compared
        return [leaf[:3] for leaf in named_leaves(model)]
    kinds = [leaf[:3] for leaf in named_leaves(model)]
    _recent[:] = [(structure, kinds), *_recent[:3]]
    return kinds


def _collect(value: Any, name: str, role: str, decay: bool, out: list[Leaf]) -> None:
    if isinstance(value, Layer):
        for field in dataclasses.fields(value):  # type: ignore[arg-type]
            own = role_of(field)
            if own != "static":
                inner = "state" if "state" in (role, own) else "parameter"
                step = f"{name}.{field.name}" if name else field.name
                _collect(getattr(value, field.name), step, inner, decay and decays(field), out)
        return
    if isinstance(value, np.ndarray):
        out.append(Leaf(name, role, decay, value))
        return
    for path, leaf in tree.paths(value, is_leaf=lambda v: isinstance(v, Layer)):
        step = ".".join(filter(None, (name, plain_name(path))))
        if isinstance(leaf, Layer):
            _collect(leaf, step, role, decay, out)
        else:
            out.append(Leaf(step, role, decay, leaf))


def parameters(model: Any) -> dict[str, Any]:
    """Return the parameters of a model by name.

    Examples
    --------
    >>> import numpy as np
    >>> import nn
    >>> model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.relu, nn.Dense(3, 1, rng=1))
    >>> {name: value.shape for name, value in parameters(model).items()}
    {'layers.0.weight': (2, 3), 'layers.0.bias': (3,), 'layers.2.weight': (3, 1), 'layers.2.bias': (1,)}
    """
    return {leaf.name: leaf.value for leaf in named_leaves(model) if leaf.role == "parameter"}


def states(model: Any) -> dict[str, Any]:
    """Return the state of a model by name.

    Examples
    --------
    >>> import nn
    >>> list(states(nn.Sequential(nn.BatchNorm(4))))
    ['layers.0.mean', 'layers.0.var']
    """
    return {leaf.name: leaf.value for leaf in named_leaves(model) if leaf.role == "state"}


def count_parameters(model: Any) -> int:
    """Return how many numbers the parameters of a model hold together.

    Examples
    --------
    >>> import nn
    >>> count_parameters(nn.Dense(784, 10, rng=0))
    7850
    """
    return sum(int(np.prod(shape_of(value))) for value in parameters(model).values())


# -- the printed form ----------------------------------------------------------------------------------------


def describe_layer(layer: Layer) -> str:
    """Return the text of a layer with the shapes of its arrays and the number of its parameters."""
    count = count_parameters(layer)
    return f"{_show(layer, '')}  # {count:,} parameter{'' if count == 1 else 's'}"


def _show(value: Any, indent: str) -> str:
    if isinstance(value, Layer):
        fields = [f for f in dataclasses.fields(value) if _worth_showing(value, f)]  # type: ignore[arg-type]
        return _bracket(type(value).__name__, [(f.name, getattr(value, f.name)) for f in fields], indent)
    if isinstance(value, dict):
        return _bracket("dict", [(str(key), item) for key, item in value.items()], indent)
    if type(value) in (list, tuple) and any(isinstance(item, (Layer, list, tuple, dict)) for item in value):
        return _bracket("", [(str(i), item) for i, item in enumerate(value)], indent)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return describe(value) if shape_of(value) or isinstance(value, Tracer) else repr(value)
    return getattr(value, "__name__", None) or repr(value)


def _worth_showing(layer: Layer, field: dataclasses.Field[Any]) -> bool:
    value = getattr(layer, field.name)
    if role_of(field) != "static":
        return value is not None
    return field.default is dataclasses.MISSING or not bool(value == field.default)


def _bracket(name: str, items: list[tuple[str, Any]], indent: str) -> str:
    deep = any("\n" in _show(item, "") or isinstance(item, Layer) for _, item in items)
    if not deep:
        return f"{name}({', '.join(f'{key}={_show(item, indent)}' for key, item in items)})"
    inner = indent + "  "
    lines = [f"{inner}{key}={_show(item, inner)}," for key, item in items]
    return "\n".join([f"{name}(", *lines, f"{indent})"])


# -- the table -----------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One line of `summary`."""

    name: str
    layer: str
    output: str
    parameters: int


def summary(model: Any, input_shape: tuple[int, ...], dtype: Any = np.float32) -> str:
    """Return a table of a model's layers: the shape of what each returns, and its number of parameters.

    Nothing is computed but shapes.

    Parameters
    ----------
    model : Layer
        The model. The layers of a `Sequential` get a line each, and so do those of `Sequential` layers inside it.
    input_shape : tuple of int
        Shape of the input, with the batch.
    dtype : dtype-like
        Its dtype.

    Returns
    -------
    str
        The table.

    Raises
    ------
    TypeError, ValueError
        If a layer does not take what the one before it returns; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> import nn
    >>> model = nn.Sequential(nn.Dense(4, 3, rng=0), nn.relu, nn.Dense(3, 1, rng=1))
    >>> print(summary(model, (8, 4)))
    name      layer       output        parameters
    ----------------------------------------------
    layers.0  Dense       float32[8,3]          15
    layers.1  Activation  float32[8,3]           0
    layers.2  Dense       float32[8,1]           4
    ----------------------------------------------
    total                                       19
    """
    if not isinstance(input_shape, (tuple, list)):
        raise TypeError(f"summary: input_shape must be a tuple with the batch, such as (1, 784), not {input_shape!r}.")
    rows: list[Row] = []
    _add_rows(model, "", Spec(tuple(input_shape), dtype), rows)
    count = sum(row.parameters for row in rows)
    cells = [("name", "layer", "output", "parameters")]
    cells += [(row.name, row.layer, row.output, f"{row.parameters:,}") for row in rows]
    total = ("total", "", "", f"{count:,}")
    widths = [max(len(row[i]) for row in [*cells, total]) for i in range(4)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3].rjust(widths[3])]) for row in [*cells, total]]
    rule = "-" * len(lines[0])
    if state := sum(int(np.prod(shape_of(value))) for value in states(model).values()):
        lines.append(f"and {state:,} numbers of state")
    return "\n".join([lines[0], rule, *lines[1 : len(cells)], rule, *lines[len(cells) :]])


def _add_rows(layer: Any, name: str, x: Any, rows: list[Row]) -> Any:
    from nn.layers.sequential import Sequential  # it knows layers, which this file may not

    if isinstance(layer, Sequential):
        for i, part in enumerate(layer.layers):
            x = _add_rows(part, f"{name}.layers.{i}".lstrip("."), x, rows)
        return x
    try:
        y = eval_shape(lambda value: apply(layer, value)[0], x)
    except (TypeError, ValueError) as error:
        error.add_note(f"in {name}, on an input {_shapes(x)}")
        raise
    rows.append(Row(name or "model", type(layer).__name__, _shapes(y), count_parameters(layer)))
    return y


def _shapes(x: Any) -> str:
    return ", ".join(f"{dtype_of(leaf)}[{','.join(map(str, shape_of(leaf)))}]" for leaf in tree.leaves(x, strict=False))
