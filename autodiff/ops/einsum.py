"""`np.einsum` on traced arrays.

A call is brought to a normal form first: diagonals of repeated indices taken, indices that occur in one place
summed, stretched axes of size 1 dropped. What is left has every index in at least two of (operands, result),
and that class is closed under transposition: the transpose with respect to an operand is the einsum of the
adjoint and the other operands. Contractions of two operands become one matrix product where that is faster.
"""

from __future__ import annotations

import functools
import operator
import string
from typing import Any, NamedTuple

import numpy as np

from autodiff.core import Sample, Spec, implements, multilinear
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.products import as_array

__all__ = ["einsum"]

LETTERS = string.ascii_uppercase + string.ascii_lowercase  # NumPy's order of integer labels


class Pair(NamedTuple):
    """How two operands are contracted by one matrix product; None for a step that changes nothing."""

    order_a: tuple[int, ...] | None
    order_b: tuple[int, ...] | None
    shape_a: tuple[int, ...] | None
    shape_b: tuple[int, ...] | None
    shape: tuple[int, ...] | None
    order: tuple[int, ...] | None


class Operand(NamedTuple):
    """What brings one operand to the normal form."""

    diagonals: tuple[tuple[int, int], ...]
    shape: tuple[int, ...] | None
    sums: tuple[int, ...]


# -- the primitive -------------------------------------------------------------------------------------------


def _values(*operands: Any, subscripts: str) -> Any:
    return np.einsum(subscripts, *operands)


def _result(*operands: Any, subscripts: str) -> Spec:
    inputs, out = subscripts.split("->")
    axes = (
        pair
        for x, term in zip(operands, inputs.split(","), strict=True)
        for pair in zip(term, shape_of(x), strict=True)
    )
    size = dict(axes)
    return Spec(tuple(size[c] for c in out), np.result_type(*(dtype_of(x) for x in operands)))


def _transpose(i: int, ct: Any, _y: Any, *operands: Any, subscripts: str) -> Any:
    """Einsum of the adjoint and the other operands, into the indices of operand `i`."""
    inputs, out = subscripts.split("->")
    terms = inputs.split(",")
    return contract(
        [*operands[:i], ct, *operands[i + 1 :]], (*terms[:i], out, *terms[i + 1 :]), terms[i], optimize=False
    )


def _batch(call: Any, batched: Any, *operands: Any, subscripts: str) -> Any:
    """Give the batch axis an index of its own."""
    inputs, out = subscripts.split("->")
    new = next((c for c in reversed(LETTERS) if c not in subscripts), "")
    terms = [new + term if b else term for term, b in zip(inputs.split(","), batched, strict=True)]
    if not new:
        raise ValueError(f"np.einsum: no letter is left for the batch axis in {subscripts!r}.")
    return call(*operands, subscripts=f"{','.join(terms)}->{new}{out}")


_transpose.skips = "own"  # type: ignore[attr-defined]

_einsum = multilinear(
    _values,
    _transpose,
    name="einsum",
    variadic=True,
    samples=lambda rng: [
        Sample(tuple(rng.normal(size=s) for s in shapes), {"subscripts": subscripts})
        for subscripts, shapes in (
            ("ij,ij->i", ((2, 3), (2, 3))),
            ("i,ij,j->", ((2,), (2, 3), (3,))),
            ("ij,jk,kl->il", ((2, 3), (3, 2), (2, 2))),
            ("i,j->ji", ((2,), (3,))),
            ("bi,bij,bj->b", ((2, 0), (2, 0, 3), (2, 3))),
            (",i,->i", ((), (2,), ())),
        )
    ],
    shape=_result,
    batch=_batch,
)


# -- the function --------------------------------------------------------------------------------------------


@implements(np.einsum)
def einsum(
    *operands: Any, out: Any = None, optimize: Any = False, dtype: Any = None, order: str = "K", casting: str = "safe"
) -> Any:
    """Sum of products over indices; `order` only concerns memory and is not used."""
    subscripts, arrays = _arguments(operands)
    if dtype is not None:
        arrays = [_cast(x, np.dtype(dtype), casting) for x in arrays]
    plans, terms, result = normal_form(subscripts, tuple(shape_of(x) for x in arrays))
    ready = [x if plan is None else _prepared(x, plan) for x, plan in zip(arrays, plans, strict=True)]
    return contract(ready, terms, result, optimize)


def _cast(x: Any, dtype: Any, casting: Any) -> Any:
    if not np.can_cast(dtype_of(x), dtype, casting):
        raise TypeError(f"np.einsum: cannot cast an operand of dtype {dtype_of(x)} to {dtype} by the rule {casting!r}.")
    return x.astype(dtype)


def _prepared(x: Any, plan: Operand) -> Any:
    for i, j in plan.diagonals:
        x = np.diagonal(x, 0, i, j)
    if plan.shape is not None:
        x = np.reshape(x, plan.shape)
    return np.sum(x, axis=plan.sums) if plan.sums else x


def contract(operands: list[Any], terms: tuple[str, ...], out: str, optimize: Any) -> Any:
    """Contract operands that are in normal form."""
    if len(operands) == 1:
        order = tuple(terms[0].index(c) for c in out)
        return np.transpose(operands[0], order) if terms[0] != out else operands[0]
    if len(operands) == 2:
        a, b = operands
        plan = pair_plan(*terms, out, shape_of(a), shape_of(b))
        if plan is not None:
            return _multiplied(a, b, plan)
    elif optimize is not False:
        return _stepwise(operands, list(terms), out, optimize)
    return _einsum(*operands, subscripts=f"{','.join(terms)}->{out}")


def _multiplied(a: Any, b: Any, plan: Pair) -> Any:
    order_a, order_b, shape_a, shape_b, shape, order = plan
    if order_a is not None:
        a = np.transpose(a, order_a)
    if order_b is not None:
        b = np.transpose(b, order_b)
    if shape_a is not None:
        a = np.reshape(a, shape_a)
    if shape_b is not None:
        b = np.reshape(b, shape_b)
    y = a @ b
    if shape is not None:
        y = np.reshape(y, shape)
    return y if order is None else np.transpose(y, order)


def _stepwise(operands: list[Any], terms: list[str], out: str, optimize: Any) -> Any:
    """Contract along the path that NumPy finds."""
    dummies = [np.broadcast_to(np.zeros(()), shape_of(x)) for x in operands]
    path = np.einsum_path(f"{','.join(terms)}->{out}", *dummies, optimize=optimize)[0]
    for step in path[1:]:
        picked = sorted((operator.index(i) for i in step), reverse=True)
        group, labels = [operands.pop(i) for i in picked], tuple(terms.pop(i) for i in picked)
        rest = set(out).union(*terms)
        into = "".join(c for c in dict.fromkeys("".join(labels)) if c in rest) if terms else out
        operands.append(contract(group, labels, into, optimize=False))
        terms.append(into)
    return operands[0]


@functools.lru_cache(maxsize=1024)
def pair_plan(a: str, b: str, out: str, shape_a: tuple[int, ...], shape_b: tuple[int, ...]) -> Pair | None:
    """Plan for one matrix product, or None where NumPy's own loops are better."""
    summed = [c for c in a if c in b and c not in out]
    batch = [c for c in out if c in a and c in b]
    free_a, free_b = [c for c in out if c not in b], [c for c in out if c not in a]
    if not summed or (batch and not (free_a and free_b)):
        return None
    size = dict(zip(a + b, shape_a + shape_b, strict=True))

    def merged(labels: list[str]) -> tuple[int, ...]:
        return (int(np.prod([size[c] for c in labels], dtype=int)),) if labels else ()

    def arranged(term: str, *groups: list[str]) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        """Order of the axes, and their shape when all groups but the first are merged."""
        order = [c for group in groups for c in group]
        shape = (*(size[c] for c in groups[0]), *merged(groups[1]), *merged(groups[2]))
        moved = None if order == list(term) else tuple(term.index(c) for c in order)
        return moved, None if shape == tuple(size[c] for c in order) else shape

    (order_a, folded_a), (order_b, folded_b) = arranged(a, batch, free_a, summed), arranged(b, batch, summed, free_b)
    natural = batch + free_a + free_b
    split = len(free_a) > 1 or len(free_b) > 1
    return Pair(
        order_a,
        order_b,
        folded_a,
        folded_b,
        tuple(size[c] for c in natural) if split else None,
        None if natural == list(out) else tuple(natural.index(c) for c in out),
    )


# -- reading the call ----------------------------------------------------------------------------------------


def _arguments(operands: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """Subscripts as a string, and the operands, from either form of the call."""
    if not operands:
        raise ValueError("np.einsum: must specify the einstein sum subscripts string and at least one operand.")
    if isinstance(operands[0], str):
        return operands[0].replace(" ", ""), [as_array(x) for x in operands[1:]]
    arrays = [as_array(x) for x in operands[: len(operands) // 2 * 2 : 2]]
    subscripts = ",".join(_letters(labels) for labels in operands[1::2])
    if len(operands) % 2:
        subscripts += "->" + _letters(operands[-1])
    return subscripts, arrays


def _letters(labels: Any) -> str:
    """Letters for a list of integer labels."""
    try:
        return "".join("..." if i is Ellipsis else LETTERS[_label(i)] for i in labels)
    except (TypeError, IndexError):
        raise ValueError(
            f"np.einsum: {labels!r} is not a list of labels (integers from 0 to 51, or Ellipsis)."
        ) from None


def _label(i: Any) -> int:
    if operator.index(i) < 0:
        raise IndexError
    return operator.index(i)


@functools.lru_cache(maxsize=1024)
def normal_form(
    subscripts: str, shapes: tuple[tuple[int, ...], ...]
) -> tuple[tuple[Operand | None, ...], tuple[str, ...], str]:
    """What to do to each operand, then their labels and those of the result."""
    terms, out = _expanded(subscripts, shapes)
    size = _sizes(subscripts, terms, shapes)
    plans, own, labels = [], [], []
    for term, shape in zip(terms, shapes, strict=True):
        diagonals, term, shape = _diagonals(term, shape)  # noqa: PLW2901
        kept = [i for i, c in enumerate(term) if shape[i] == size[c]]  # the others are stretched
        own.append((diagonals, tuple(shape[i] for i in kept) if len(kept) < len(term) else None))
        labels.append("".join(term[i] for i in kept))
    everywhere = "".join(labels) + out
    for term, (diagonals, squeezed) in zip(labels, own, strict=True):
        sums = tuple(k for k, c in enumerate(term) if everywhere.count(c) == 1)
        needed = bool(diagonals or sums) or squeezed is not None
        plans.append((Operand(diagonals, squeezed, sums) if needed else None, sums))
    final = tuple(
        "".join(c for k, c in enumerate(t) if k not in sums) for t, (_, sums) in zip(labels, plans, strict=True)
    )
    return tuple(plan for plan, _ in plans), final, out


def _diagonals(term: str, shape: tuple[int, ...]) -> tuple[tuple[tuple[int, int], ...], str, tuple[int, ...]]:
    """Pairs of axes to be replaced by their diagonals (which come last), and what that leaves."""
    pairs = []
    while len(set(term)) < len(term):
        i, j = next((term.index(c), k) for k, c in enumerate(term) if term.index(c) < k)
        pairs.append((i, j))
        rest = [k for k in range(len(term)) if k not in (i, j)]
        shape = (*(shape[k] for k in rest), shape[i])
        term = "".join(term[k] for k in rest) + term[i]
    return tuple(pairs), term, shape


def _expanded(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[list[str], str]:
    """Labels of each operand and of the result, ellipses and an implicit result written out."""
    inputs, arrow, out = subscripts.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"np.einsum: {subscripts!r} has subscripts for {len(terms)} operand(s), but {len(shapes)} are given."
        )
    for part in (*terms, out):
        rest = part.replace("...", "", 1)
        if rest and not (rest.isascii() and rest.isalpha()):
            raise ValueError(
                f"np.einsum: {subscripts!r} has a character that is neither a letter nor '...', ',' or '->'."
            )
    spare = [c for c in LETTERS if c not in subscripts]
    extra = [len(s) - len(t.replace("...", "")) for t, s in zip(terms, shapes, strict=True)]
    if any(n < 0 or (n and "..." not in t) for n, t in zip(extra, terms, strict=True)):
        raise ValueError(f"np.einsum: the subscripts {subscripts!r} do not fit operands of the shapes {list(shapes)}.")
    widest = max(extra)
    # The last spare letter stands for the last axis of every ellipsis: they are aligned on the right.
    expanded = [t.replace("...", "".join(spare[widest - n : widest])) for t, n in zip(terms, extra, strict=True)]
    if arrow:
        if widest and "..." not in out:
            raise ValueError(
                f"np.einsum: {subscripts!r} has an ellipsis in its operands, so the result needs '...' as well."
            )
        out = out.replace("...", "".join(spare[:widest]))
    else:
        letters = "".join(terms).replace(".", "")
        out = "".join(spare[:widest]) + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    if len(set(out)) < len(out) or not set(out).issubset("".join(expanded)):
        raise ValueError(f"np.einsum: the result of {subscripts!r} repeats an index or has one that no operand has.")
    return expanded, out


def _sizes(subscripts: str, terms: list[str], shapes: tuple[tuple[int, ...], ...]) -> dict[str, int]:
    """Size of each index; an axis of size 1 is stretched."""
    size: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        own: dict[str, int] = {}
        for c, n in zip(term, shape, strict=True):
            if own.setdefault(c, n) != n or (n != 1 and size.get(c, 1) not in (1, n)):
                raise ValueError(
                    f"np.einsum: an index of {subscripts!r} has two sizes in operands of the shapes {list(shapes)}."
                )
            size[c] = n if size.get(c, 1) == 1 else size[c]
    return size
