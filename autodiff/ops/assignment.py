"""Assignment: ``y[index] = value`` on traced arrays, and its derivative.

One operation, `assign`: a copy of an array in which a place holds a value. It is linear in both together, so its
forward rule is itself, and its reverse rules are: the adjoint of the value is read at the place, and the adjoint of the
array is the same with zeros there. Both sweeps would copy a whole array for each entry that a loop assigns, so both
change it in place where nobody else holds it: `assigned` on the way forward, `Assign.sweep` on the way back. So
a loop over n entries costs n steps, not n copies.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer
from autodiff.core.assignment import ALONE, READ, WRITE, Step
from autodiff.core.backend import is_array, made, on_host, refuse_mixture
from autodiff.core.batching import spread
from autodiff.core.errors import leaked_tracer
from autodiff.core.forward import Dual
from autodiff.core.reverse import Adjoints, conform, reduce_mask
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.variable import Node, Variable
from autodiff.core.zeros import Marked
from autodiff.ops.accumulate import selects_once
from autodiff.ops.dtypes import _imag, _real
from autodiff.ops.gather import SLOT, _batch_plan, before_last_axis, gather
from autodiff.ops.gather import _filled as filled
from autodiff.ops.indexing import _getitem as raw_getitem
from autodiff.ops.indexing import _parts as parts_of
from autodiff.ops.shape import _broadcast_to, _reshape, _transpose

__all__ = ["assign", "assigned"]

Place = tuple[Step, ...]


def has_slots(index: Any) -> bool:
    """Whether index arrays that are arguments of the operation belong into an index."""
    return type(index) is tuple and any(part is SLOT for part in index)


def read_at(x: Any, index: Any) -> Any:
    """``x[index]`` for a value; entries of a dual number are read without a look at the whole mask."""
    if type(x) is not Dual or x.mask is None or not isinstance(x.mask, np.ndarray) or x.level.closed:
        return raw_getitem(x, index=index)
    mask = x.mask[index]
    y = raw_getitem(x.primal, index=index)
    if mask.all():
        return y
    return Dual(x.level, y, raw_getitem(x.tangent, index=index), mask if mask.any() else None)


READ.update(
    get=read_at,
    transpose=lambda x, axes: _transpose(x, axes=axes),
    reshape=lambda x, shape: _reshape(x, shape=shape),
    flat=lambda x, shape: _reshape(x, shape=shape),  # in C order whatever the layout
    broadcast=lambda x, shape: _broadcast_to(x, shape=shape),
    real=lambda x, _: _real(x),
    imag=lambda x, _: _imag(x),
)


# -- on plain arrays -----------------------------------------------------------------------------------------


def write(target: Any, place: Place, value: Any, arrays: tuple[Any, ...] = ()) -> None:
    """``target[place] = value``, for a plain array in any memory layout."""
    *way, last = place
    index = filled(last.param, arrays) if arrays else last.param
    view = target
    for k, step in enumerate(way):
        new = step.read(view)
        if step.kind in {"reshape", "flat"} and new.size and not np.may_share_memory(new, view):
            _write_positions(view, (*way[k:], last), value, arrays)
            return
        view = new
    view[index] = value


def _write_positions(target: Any, place: Place, value: Any, arrays: tuple[Any, ...]) -> None:
    """The same where the place is no view, because of the layout: by numbers of entries."""
    numbers = read(np.arange(target.size).reshape(target.shape), place, arrays)
    np.put(target, numbers, np.broadcast_to(value, np.shape(numbers)))


def read(x: Any, place: Place, arrays: tuple[Any, ...] = ()) -> Any:
    """Values at a place, of an array that is plain or traced."""
    for step in place[:-1]:
        x = step.read(x)
    last = place[-1]
    if has_slots(last.param):
        return gather(x, *arrays, pattern=last.param)
    return x[last.param] if type(x) is np.ndarray else raw_getitem(x, index=last.param)


def _assign(x: Any, value: Any, *arrays: Any, place: Place) -> Any:
    target = made(np.array, x, x)
    write(target, place, value, arrays)
    return target


def _winners(shape: Any, place: Place, arrays: tuple[Any, ...], like: Any) -> Any:
    """Mask of the entries of the value that stay, where an index names an entry twice; None if it does not."""
    if not arrays and selects_once(place[-1].param):
        return None
    like = next((i for i in (*arrays, *parts_of(place[-1].param)) if not on_host(i)), like)
    stamps: Any = made(np.zeros if arrays else np.empty, like, shape, np.intp)
    region = shape_of(read(stamps, place, arrays))
    order = made(np.arange, like, np.prod(region, dtype=np.intp)).reshape(region)
    if any(isinstance(i, Tracer) for i in arrays):
        stamps = assign(stamps, order, *arrays, place=place)
    else:
        write(stamps, place, order, arrays)
    return np.equal(read(stamps, place, arrays), order)


# -- the operation -------------------------------------------------------------------------------------------


class Assign(Operation):
    """The operation of assignment; its backward step reuses the adjoint's memory."""

    __slots__ = ()

    def sweep(self, node: Node, ct: Any, sums: Adjoints) -> None:
        """Pull an adjoint: what the place holds goes to the value, the rest to the array."""
        mask = None
        if type(ct) is Marked:
            mask, ct = ct.mask, ct.value
        owned = node in sums.owned
        place, arrays = node.params["place"], node.args[2:]
        x, v = node.parents[:2]
        if ct.shape != node.shape:
            ct, owned = np.broadcast_to(ct, node.shape), False
        if v is not None:
            c = read(ct, place, arrays)
            stays = _winners(node.shape, place, arrays, ct)
            if stays is not None:
                c = np.where(stays, c, node.dtype.type(0))
            elif is_array(c) and x is not None:
                c = c.copy()  # the place is blanked below
            self._to_value(v, c, None if mask is None else read(mask, place, arrays), sums)
        if x is not None:
            self._to_array(x, node, ct, mask, owned, sums)

    def _to_value(self, v: Node, c: Any, mask: Any, sums: Adjoints) -> None:
        if isinstance(mask, (np.ndarray, np.bool_)):
            if not mask.any():
                mask = None
            elif mask.all():
                return
            else:
                mask = mask.copy()
        c = conform(c, v)
        sums.add(v, c if mask is None else Marked(c, reduce_mask(mask, v.shape)), fresh=True)

    def _to_array(self, x: Node, node: Node, ct: Any, mask: Any, owned: bool, sums: Adjoints) -> None:
        place, arrays = node.params["place"], node.args[2:]
        plain = (is_array(ct) or isinstance(ct, np.generic)) and not any(isinstance(i, Tracer) for i in arrays)
        ct = _blanked(ct, place, arrays, node.dtype.type(0), owned) if plain else assign(ct, 0.0, *arrays, place=place)
        if mask is not None or not self._bare(x, sums):
            mask = made(np.zeros, ct, node.shape, bool) if mask is None else mask
            if plain and is_array(mask):
                mask = _blanked(mask, place, arrays, True, owned and type(mask) is np.ndarray and mask.flags.writeable)
            else:
                mask = assign(mask, True, *arrays, place=place)
            ct = Marked(ct, mask)
        if x in sums.of or not plain:
            sums.add(x, ct, fresh=True)
        else:
            sums.of[x] = ct
            sums.owned.add(x)

    def _bare(self, node: Node, sums: Adjoints) -> bool:
        """Whether only assignments lie between an array and an input or a constant: marks would change nothing."""
        chain = []
        found = None
        while found is None:
            found = sums.bare.get(node)
            if found is None:
                chain.append(node)
                parent = node.parents[0] if node.op is self else None
                if parent is None:
                    found = node.op is None or node.op is self
                else:
                    node = parent
        sums.bare.update(dict.fromkeys(chain, found))
        return found


def _blanked(a: Any, place: Place, arrays: tuple[Any, ...], value: Any, owned: bool) -> Any:
    """Overwrite a place of a plain array, in place if it is `owned`."""
    if not owned:
        a = made(np.array, a, a)
    write(a, place, value, arrays)
    return a


def _joint_jvp(ts: Any, _y: Any, _x: Any, _v: Any, *arrays: Any, place: Place) -> Any:
    t, v = ts[:2]
    t = made(np.zeros, v, shape_of(_y), dtype_of(_y)) if t is None else t
    return assign(t, 0.0 if v is None else v, *arrays, place=place)


def _shape(x: Any, value: Any, *arrays: Any, place: Place) -> Spec:
    dummy: Any = np.broadcast_to(np.zeros((), bool), shape_of(x))
    for step in place[:-1]:
        dummy = step.read(dummy)
    if has_slots(place[-1].param):
        region = gather.shape(dummy, *arrays, pattern=place[-1].param).shape
    else:
        region = dummy[place[-1].param].shape
    np.broadcast_to(np.broadcast_to(np.zeros((), bool), shape_of(value)), region)
    return Spec(shape_of(x), dtype_of(x))


def _batch(call: Any, batched: Any, x: Any, value: Any, *arrays: Any, place: Place) -> Any:
    """Entries of all examples side by side: the batch axis last, so that the place is the same."""
    at = batched.index(True)
    n = shape_of((x, value, *arrays)[at])[0]
    x = spread(x, n, batched[0])
    if any(batched[2:]):
        return _batch_scattered(call, batched, x, value, arrays, place, n)
    x = np.moveaxis(x, 0, -1)
    value = np.moveaxis(value, 0, -1) if batched[1] else np.reshape(value, (*shape_of(value), 1))
    new, dummy = [], np.broadcast_to(False, shape_of(x)[:-1])
    for step in place:
        new.append(_with_last_axis(step, dummy.ndim, n))
        dummy = dummy if step is place[-1] else step.read(dummy)
    return np.moveaxis(call(x, value, *arrays, place=tuple(new)), -1, 0)


def _with_last_axis(step: Step, ndim: int, n: int) -> Step:
    if step.kind == "get":
        return Step("get", before_last_axis(step.param))
    return Step(step.kind, (*step.param, ndim if step.kind == "transpose" else n))


def _batch_scattered(call: Any, batched: Any, x: Any, value: Any, arrays: Any, place: Place, n: int) -> Any:
    """Each example has its own positions: the number of the example is one more index."""
    *way, step = place
    if way:  # into a view: the positions are those of its entries in the whole array
        shape = shape_of(x)
        numbers = made(np.arange, x, math.prod(shape[1:])).reshape(shape[1:])
        for view in way:
            numbers = view.read(numbers)
        at = gather.batch(gather.call, (False, *batched[2:]), numbers, *arrays, pattern=step.param)  # type: ignore[misc]
        flat, whole = np.reshape(x, (n, -1)), (Step("get", (SLOT,)),)
        return np.reshape(_batch_scattered(call, (True, batched[1], True), flat, value, (at,), whole, n), shape)
    ndim = len(shape_of(x)) - 1
    new, own, source, target = _batch_plan((True, *batched[2:]), arrays, step.param, ndim)
    dummy = np.broadcast_to(False, shape_of(x)[1:])
    region = gather.shape(
        dummy, *[i[0] if b else i for i, b in zip(arrays, batched[2:], strict=True)], pattern=step.param
    )
    if batched[1]:
        shape = shape_of(value)
        value = np.reshape(value, (n, *(1,) * (len(region.shape) + 1 - len(shape)), *shape[1:]))
    value = np.broadcast_to(value, (n, *region.shape))
    value = np.moveaxis(value, target, source) if source != target else value
    return call(x, value, *own, place=(Step("get", new),))


def _samples(rng: np.random.Generator) -> list[Sample]:
    def sample(shape: Any, value: Any, *steps: Step) -> Sample:
        return Sample((rng.normal(size=shape), rng.normal(size=value)), {"place": steps})

    return [
        sample((3,), (), Step("get", 1)),
        sample((3, 4), (4,), Step("get", slice(1, None))),
        sample((3, 4), (2, 1), Step("get", (slice(None, None, 2), slice(1, 3)))),
        sample((3,), (3,), Step("get", np.array([0, 2, 0]))),
        sample((2, 3), (), Step("get", np.array([[True, False, True], [False, True, False]]))),
        sample((2, 3, 2), (2, 2), Step("get", (np.array([1, 0]), slice(1, None), 0))),
        sample((2, 6), (2,), Step("reshape", (3, 4)), Step("transpose", (1, 0)), Step("get", (2, slice(1, None)))),
        sample((), (), Step("get", ())),
        sample((0, 2), (2,), Step("get", ...)),
    ]


assign: Operation = Assign(
    "assign",
    _assign,
    jvps=(
        lambda t, _y, _x, _v, *arrays, place: assign(t, 0.0, *arrays, place=place),
        lambda t, _y, _x, _v, *arrays, place: _joint_jvp((None, t), _y, _x, _v, *arrays, place=place),
    ),
    vjps=(
        lambda ct, _y, _x, _v, *arrays, place: assign(ct, 0.0, *arrays, place=place),
        lambda ct, _y, _x, _v, *arrays, place: _read_back(ct, *arrays, place=place),
    ),
    linear_args=frozenset({0, 1}),
    jointly=True,
    joint_jvp=_joint_jvp,
    marks=(None, None),  # in forward mode the tangent of an overwritten entry is marked
    structural=True,
    samples=_samples,
    shape=_shape,
    batch=_batch,
)


def _read_back(ct: Any, *arrays: Any, place: Place) -> Any:
    c = read(ct, place, arrays)
    stays = _winners(shape_of(ct), place, arrays, ct)
    return c if stays is None else np.where(stays, c, dtype_of(c).type(0))


# -- the way forward -----------------------------------------------------------------------------------------


def assigned(x: Any, v: Any, place: Place, sole: bool, arrays: tuple[Any, ...] = ()) -> Any:
    """Return `x` with `v` at a place; `x` itself, changed, if the caller has the `sole` reference to it.

    The work of `assign`, but a `Variable` or a `Dual` that nobody else holds is changed all the way down, without
    a copy of its arrays.
    """
    if arrays:
        return assign(x, v, *arrays, place=place)
    top = _deeper(x, v)
    if top is None:
        if not (sole and type(x) is np.ndarray and x.flags.owndata and x.flags.writeable):
            x = made(np.array, x, x)
        write(x, place, v)
        return x
    if top.level.closed:
        raise leaked_tracer("assignment", top.level.transform)
    if type(top) is Variable:
        return _assigned_variable(x, v, top.level, place, sole)
    if type(top) is Dual:
        return _assigned_dual(x, v, top.level, place, sole)
    return assign(x, v, place=place)


def _deeper(x: Any, v: Any) -> Any:
    if not isinstance(v, Tracer):
        return x if isinstance(x, Tracer) else None
    return x if isinstance(x, Tracer) and x.level.depth >= v.level.depth else v


def _assigned_variable(x: Any, v: Any, level: Any, place: Place, sole: bool) -> Any:
    mine = type(x) is Variable and x.level is level
    theirs = type(v) is Variable and v.level is level
    value = v.primal if theirs else v
    if mine:
        inner = sole and sys.getrefcount(x.primal) <= ALONE
        y = assigned(x.primal, value, place, inner)
    else:
        y = assigned(x, value, place, sole)
    shape, dtype = shape_of(y), dtype_of(y)
    if dtype.kind not in "fc":
        return y
    parents = (x.node if mine else None, v.node if theirs else None)
    node = Node(assign, parents, (None, None), None, shape, dtype, {"place": place})
    if mine and sole:
        x.primal, x.node = y, node
        return x
    return Variable(level, y, node)


def _assigned_dual(x: Any, v: Any, level: Any, place: Place, sole: bool) -> Any:
    mine = type(x) is Dual and x.level is level
    theirs = type(v) is Dual and v.level is level
    value = v.primal if theirs else v
    if mine:
        own = [
            sole and sys.getrefcount(x.primal) <= ALONE,
            sole and sys.getrefcount(x.tangent) <= ALONE,
            sole and sys.getrefcount(x.mask) <= ALONE,
        ]
        y, t, mask = assigned(x.primal, value, place, own[0]), x.tangent, x.mask
    else:
        own = [True, True, True]
        y = assigned(x, value, place, sole)
        t, mask = made(np.zeros, y, shape_of(y), dtype_of(y)), made(np.ones, y, shape_of(y), bool)
    if dtype_of(y).kind not in "fc":
        return y
    t = assigned(t, v.tangent if theirs else 0.0, place, own[1])
    unmarked = False if not theirs or v.mask is None else v.mask
    mask = _marked(mask, unmarked if theirs else True, shape_of(y), place, own[2])
    if mine and sole:
        x.primal, x.carried, x.mask = y, t, mask
        return x
    return Dual(level, y, t, mask)


def _marked(mask: Any, value: Any, shape: Any, place: Place, own: bool) -> Any:
    """Marks of a tangent after an assignment: an entry that holds a constant has none."""
    if mask is None:
        if value is False:
            return None
        mask, own = made(np.zeros, value, shape, bool), True
    if isinstance(mask, Tracer) or isinstance(value, Tracer):
        return assign(mask, value, place=place)
    if not (own and type(mask) is np.ndarray and mask.flags.writeable and mask.flags.owndata):
        mask = mask.copy()
    write(mask, place, value)
    return mask


def _write_store(content: Any, value: Any, steps: Place, sole: bool) -> Any:
    try:
        return assigned(content, value, steps, sole, steps[-1].arrays)
    except TypeError:
        refuse_mixture("assignment", (content, value))
        raise


WRITE.append(_write_store)
