"""Mathematical notation for steps and values: ``v₃ = sin v₀``."""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.record import Step
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SYMBOLS", "accent", "expression", "show", "subscript", "width"]

DOT, BAR = "\u0307", "\u0304"
_SUB = str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉")
_SUPER = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

# How tightly a text binds: comparison, sum, product, prefix function, power, atom.
COMPARE, SUM, SIGNED, PRODUCT, PREFIX, POWER, ATOM = range(1, 8)

_INFIX = {
    "add": ("+", SUM), "subtract": ("−", SUM), "multiply": ("×", PRODUCT), "divide": ("/", PRODUCT),
    "matmul": ("@", PRODUCT), "remainder": ("mod", PRODUCT), "floor_divide": ("//", PRODUCT),
    "less": ("<", COMPARE), "less_equal": ("≤", COMPARE), "greater": (">", COMPARE), "greater_equal": ("≥", COMPARE),
    "equal": ("=", COMPARE), "not_equal": ("≠", COMPARE), "logical_and": ("∧", COMPARE), "logical_or": ("∨", COMPARE),  # noqa: RUF001
}  # fmt: skip
_AROUND = {"absolute": "||", "fabs": "||", "floor": "⌊⌋", "ceil": "⌈⌉"}
_PREFIX = {"log": "ln", "sqrt": "√", "cbrt": "∛", "logical_not": "¬", "conjugate": "conj"}
#: What a graph shows in place of an operation's name.
SYMBOLS = {name: symbol for name, (symbol, _) in _INFIX.items()} | _PREFIX | {
    "negative": "−", "power": "xʸ", "square": "x²", "sum": "Σ", "absolute": "|x|", "prod": "Π",
    "getitem": "x[i]", "gather": "x[i]", "exp": "exp",
}  # fmt: skip

Text = tuple[str, int]


def subscript(index: int) -> str:
    """``v₃``, or ``v₋₁`` for an input."""
    return "v" + str(index).translate(_SUB)


def accent(name: str, mark: str) -> str:
    """Put a dot (tangent) or a bar (adjoint) on the first letter of a name."""
    return unicodedata.normalize("NFC", name[:1] + mark + name[1:])


def width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    return sum(not unicodedata.combining(c) for c in text)


# -- values --------------------------------------------------------------------------------------------------


def show(x: Any, digits: int = 3) -> str:
    """A value, abbreviated; an array is shown with its shape."""
    if isinstance(x, tuple):
        return "(" + ", ".join(show(v, digits) for v in x) + ")"
    if isinstance(x, Tracer):
        return f"{x.dtype} {_shape(x.shape)}"
    shape, dtype = shape_of(x), dtype_of(x)
    if not shape:
        return _number(np.asarray(x).item(), digits)
    flat = x.reshape(-1) if x.size <= 5 else np.concatenate([x[(0,) * (x.ndim - 1)][:2], x[(-1,) * (x.ndim - 1)][-1:]])
    parts = [_number(v, digits) for v in flat.tolist()]
    if x.size > 5:
        parts.insert(min(2, len(parts) - 1), "…")
    kind = "" if dtype == np.float64 or dtype.kind in "ib" else f"{dtype} "
    return f"[{' '.join(parts)}] {kind}{_shape(shape)}"


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + "×".join(map(str, shape)) + ")"


def _number(x: Any, digits: int) -> str:
    if isinstance(x, complex):
        imag = _number(x.imag, digits)
        return f"{_number(x.real, digits)}{'' if imag.startswith('−') else '+'}{imag}i"
    if isinstance(x, (bool, int)):
        return str(x).replace("-", "−")
    if not math.isfinite(x):
        return {"inf": "∞", "-inf": "−∞"}.get(str(x), str(x))
    if x != 0 and not 10.0**-digits <= abs(x) < 1e6:
        text = f"{x:.{digits}g}"
    else:
        text = f"{x:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{x:.0f}"
    return ("0" if text == "-0" else text).replace("-", "−")


# -- expressions ---------------------------------------------------------------------------------------------


def value_text(x: Any, digits: int) -> Text:
    """A value as part of an expression."""
    text = show(x, digits)
    if isinstance(x, complex) or dtype_of(x).kind == "c":
        return text, ATOM if shape_of(x) else SUM
    return text, SIGNED if text.startswith("−") else ATOM


def expression(x: Any, names: Callable[[Step], Text | None], digits: int = 3) -> Text:
    """Write a recorded value in terms of the steps that have names; steps without a name are written out."""
    if not isinstance(x, Step):
        return value_text(x, digits)
    name = names(x)
    if name is not None:
        return name
    if x.op is None:
        return x.label, ATOM
    return operation(x, [expression(o, names, digits) for o in x.operands])


def operation(step: Step, parts: list[Text]) -> Text:
    """Write one operation on operands that are written already."""
    name = step.op.name
    if name in _INFIX and len(parts) == 2:
        return _infix(*_INFIX[name], *parts)
    if name == "negative":
        return "−" + wrap(parts[0], PRODUCT), SIGNED
    if name in {"square", "power"}:
        return _power(parts)
    if name in _AROUND:
        return f"{_AROUND[name][0]}{parts[0][0]}{_AROUND[name][1]}", ATOM
    if name == "getitem":
        return f"{wrap(parts[0], ATOM)}[{_index(step.params['index'])}]", ATOM
    if name == "gather":
        rest = iter(parts[1:])
        index = [next(rest)[0] if repr(p) == "·" else _index(p) for p in step.params["pattern"]]
        return f"{wrap(parts[0], ATOM)}[{', '.join(index)}]", ATOM
    if name == "reciprocal":
        return _infix("/", PRODUCT, ("1", ATOM), parts[0])
    if name == "transpose" and step.params.get("axes") == tuple(range(step.ndim))[::-1]:
        return wrap(parts[0], ATOM) + "ᵀ", ATOM
    if name == "broadcast_to" or (name == "cast" and step.operands and dtype_of(step.operands[0]).kind == "f"):
        return parts[0]
    word = _PREFIX.get(name, name)
    params = [f"{k}={_param(v)}" for k, v in step.params.items() if v is not None and v is not False]
    if len(parts) == 1 and not params:
        gap = "" if word in {"√", "∛", "¬"} else " "
        plain = parts[0][1] == ATOM and not parts[0][0].endswith(")")
        return (f"{word}{gap}{parts[0][0]}" if plain else f"{word}({parts[0][0]})"), PREFIX
    return f"{word}({', '.join([text for text, _ in parts] + params)})", ATOM


def wrap(part: Text, least: int) -> str:
    """Put parentheses around a text that binds less tightly than `least`."""
    return part[0] if part[1] >= least else f"({part[0]})"


def _infix(symbol: str, level: int, a: Text, b: Text) -> Text:
    if symbol in "+−" and b[1] == SIGNED and b[0].startswith("−"):
        return f"{wrap(a, level)} {'−' if symbol == '+' else '+'} {b[0][1:]}", level
    tight = level + (symbol in {"−", "/", "mod", "//"} or level == COMPARE)
    return f"{wrap(a, level)} {symbol} {wrap(b, tight)}", level


def _power(parts: list[Text]) -> Text:
    base = wrap(parts[0], ATOM)
    exponent = parts[1][0] if len(parts) == 2 else "2"
    if exponent.lstrip("−").isdigit():
        return base + exponent.replace("−", "-").translate(_SUPER), POWER
    return f"{base}^{wrap(parts[1], ATOM)}", POWER


def _index(index: Any) -> str:
    if isinstance(index, tuple):
        return ", ".join(_index(i) for i in index) or "()"
    if isinstance(index, slice):
        ends = ["" if i is None else str(i) for i in (index.start, index.stop)]
        return ":".join(ends) + (f":{index.step}" if index.step is not None else "")
    if index is Ellipsis:
        return "…"
    return "None" if index is None else _param(index)


def _param(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return show(x)
    return getattr(x, "__name__", None) or str(x)
