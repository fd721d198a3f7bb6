"""Every operation of the registry under `vmap`, beside a Python loop over the examples.

As in test_registry, the tests know no operation by name: one that is registered is tested here, with every subset of
its arguments mapped along different axes, in both orders with each mode. One without a batching rule fails.
"""

import contextlib
import importlib
import itertools
import pkgutil
import zlib
from pathlib import Path

import numpy as np
import pytest

import autodiff.core
import autodiff.scipy
from autodiff import grad, jvp, tree, vjp, vmap
from autodiff.core import REGISTRY
from autodiff.core.batching import each
from autodiff.core.spec import dtype_of, is_inexact, shape_of

for _module in pkgutil.iter_modules(autodiff.scipy.__path__, "autodiff.scipy."):
    if _module.ispkg:
        importlib.import_module(_module.name)  # each registers operations

B = 3
WITH_SAMPLES = {name: op for name, op in sorted(REGISTRY.items()) if op.samples is not None}


def operations(choose=lambda op: True):
    chosen = {name: op for name, op in WITH_SAMPLES.items() if choose(op)}
    return pytest.mark.parametrize("op", chosen.values(), ids=chosen.keys())


every_operation = operations()


def has_rule(op, i):
    """Whether argument `i` has a derivative; the rule of one whose derivative is not known raises."""
    return op.differentiable(i) and not hasattr(op.jvps[0 if op.variadic else i], "refuses")


class Case:
    """An operation at a sample, with some of its arguments different in each of `B` examples."""

    def __init__(self, op, seeds, subset, shift, dtype=None):
        self.op, self.params, self.subset = op, seeds[0].params, subset
        change = (lambda a: a.astype(_like(dtype, a)) if is_inexact(a) else a) if dtype else lambda a: a
        self.examples, self.args, self.axes = [], [], []
        for i, first in enumerate(seeds[0].args):
            if i not in subset:
                self.args.append(change(first) if hasattr(first, "dtype") else first)
                self.axes.append(None)
                continue
            every = [change(np.asarray(s.args[i])) for s in seeds]
            axis = (0, -1, every[0].ndim // 2)[(i + shift) % 3]
            self.args.append(np.stack(every, axis=axis))
            self.axes.append(axis)
        self.active = [i for i, a in enumerate(self.args) if has_rule(op, i) and is_inexact(a)]
        self.rng = np.random.default_rng(zlib.crc32(op.name.encode()))

    def f(self, *args):
        return self.op(*args, **self.params)

    def example(self, args, k):
        """The arguments of one example."""
        return [a if axis is None else np.moveaxis(a, axis, 0)[k][()] for a, axis in zip(args, self.axes, strict=True)]

    def loop(self, f, *lists):
        """Stack the results of a function of the examples."""
        found = [f(*[self.example(args, k) for args in lists]) for k in range(B)]
        return tree.map(lambda *parts: np.stack([np.asarray(p) for p in parts]), found[0], *found[1:])

    def draw(self, like):
        x = self.rng.uniform(-1, 1, shape_of(like))
        return np.asarray(x + (1j * x[::-1] if dtype_of(like).kind == "c" and x.ndim else 0), dtype_of(like))[()]

    def put(self, xs):
        """All arguments, with `xs` for the active ones."""
        args = list(self.args)
        for i, x in zip(self.active, xs, strict=True):
            args[i] = x
        return args

    def __repr__(self):
        shown = ", ".join(f"{dtype_of(a)}{list(shape_of(a))}" for a in self.args)
        return f"{self.op.name}({shown}, {self.params}) mapped along {self.axes}"


def _like(real, a):
    return np.dtype(real) if dtype_of(a).kind == "f" else np.result_type(real, np.complex64)


def cases(op, *, limit=None, subsets=None, nonempty=False, dtype=None):
    """Samples with every subset of their arrays mapped; each example has the numbers of another seed."""
    every = [op.samples(np.random.default_rng([seed, zlib.crc32(op.name.encode())])) for seed in range(B)]
    kept = 0
    for drawn in zip(*every, strict=True):
        same = all([shape_of(a) for a in s.args] == [shape_of(a) for a in drawn[0].args] for s in drawn)
        samples = drawn if same else (drawn[0],) * B
        arrays = [i for i, a in enumerate(samples[0].args) if hasattr(a, "dtype")]
        if nonempty and not all(np.size(a) for a in samples[0].args):
            continue
        if kept == limit:
            return
        kept += 1
        sizes = range(len(arrays), 0, -1)
        chosen = itertools.chain.from_iterable(itertools.combinations(arrays, k) for k in sizes)
        for shift, subset in enumerate(itertools.islice(chosen, subsets)):
            yield Case(op, samples, subset, shift, dtype)


@contextlib.contextmanager
def naming(case):
    try:
        yield
    except Exception as error:
        error.add_note(f"at the sample {case!r}")
        raise


def close(got, want, rtol=1e-11):
    """The same trees, shapes and dtypes, and the same numbers but for rounding."""
    assert tree.structure(got) == tree.structure(want)
    for g, w in zip(tree.leaves(got), tree.leaves(want), strict=True):
        assert shape_of(g) == shape_of(w)
        assert dtype_of(g) == dtype_of(w)
        if dtype_of(w).kind in "biu":
            np.testing.assert_array_equal(g, w)
            continue
        size = float(np.max(np.abs(w), initial=0.0, where=np.isfinite(w)))
        np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol * max(1.0, size))


# -- what must be there --------------------------------------------------------------------------------------


def test_every_operation_has_a_batching_rule():
    missing = [name for name, op in REGISTRY.items() if op.batch is None and not op.elementwise]
    assert missing == []


def test_the_page_names_the_operations_that_loop():
    page = Path(autodiff.core.__file__).with_name("README.md").read_text(encoding="utf-8")
    for name, op in REGISTRY.items():
        assert op.batch is not each or f"`{name}`" in page, name


# -- values --------------------------------------------------------------------------------------------------


@every_operation
def test_values(op):
    for case in cases(op):
        with naming(case), np.errstate(all="ignore"):
            got = vmap(case.f, tuple(case.axes))(*case.args)
            close(got, case.loop(lambda args, c=case: c.f(*args), case.args))


@every_operation
def test_other_places_for_the_result(op):
    for case in cases(op, limit=2, subsets=1):
        with naming(case), np.errstate(all="ignore"):
            first = vmap(case.f, tuple(case.axes))(*case.args)
            last = vmap(case.f, tuple(case.axes), out_axes=-1)(*case.args)
            close(tree.map(lambda y: np.moveaxis(y, -1, 0), last), first)


@every_operation
def test_twice(op):
    """A map of a map."""
    for case in cases(op, limit=1, subsets=2):
        with naming(case), np.errstate(all="ignore"):
            inner = vmap(case.f, tuple(case.axes))
            pairs = [np.stack([a, a]) if axis is not None else a for a, axis in zip(case.args, case.axes, strict=True)]
            got = vmap(inner, tuple(None if axis is None else 0 for axis in case.axes))(*pairs)
            close(got, tree.map(lambda y: np.stack([y, y]), inner(*case.args)))


@every_operation
def test_single_precision_is_kept(op):
    for case in cases(op, limit=2, subsets=2, dtype=np.float32):
        with naming(case), np.errstate(all="ignore"):
            want = case.loop(lambda args, c=case: c.f(*args), case.args)
            close(vmap(case.f, tuple(case.axes))(*case.args), want, 1e-4)


# -- derivatives ---------------------------------------------------------------------------------------------

differentiable = operations(lambda op: any(r is not None for r in op.jvps))


@differentiable
def test_forward_mode_in_both_orders(op):
    for case in cases(op, limit=2, subsets=3):
        with naming(case), np.errstate(all="ignore"):
            xs = [case.args[i] for i in case.active]
            ts = [case.draw(x) for x in xs]
            axes = tuple(case.axes[i] for i in case.active)
            # The loop, with the tangents in the places of the arguments.
            tangents = list(case.args)
            for i, t in zip(case.active, ts, strict=True):
                tangents[i] = t

            def one(args, directions, c=case):
                inner = lambda *vs: c.f(*[vs[c.active.index(i)] if i in c.active else a for i, a in enumerate(args)])
                return jvp(inner, tuple(args[i] for i in c.active), tuple(directions[i] for i in c.active))[1]

            want = case.loop(one, case.args, tangents)
            outer = lambda *vs, c=case: vmap(c.f, tuple(c.axes))(*c.put(vs))
            close(jvp(outer, tuple(xs), tuple(ts))[1], want, 1e-10)
            if all(i in case.active for i in case.subset):
                inside = vmap(lambda vs, us, c=case: jvp(lambda *ws: c.f(*c.put(ws)), vs, us)[1], (axes, axes))
                close(inside(tuple(xs), tuple(ts)), want, 1e-10)


@differentiable
def test_reverse_mode_in_both_orders(op):
    for case in cases(op, limit=2, subsets=3):
        with naming(case), np.errstate(all="ignore"):
            xs = [case.args[i] for i in case.active]
            mapped = lambda *vs, c=case: vmap(c.f, tuple(c.axes))(*c.put(vs))
            y, pull = vjp(mapped, *xs)
            ct = tree.map(case.draw, y)
            got = pull(ct)
            want = [[] for _ in xs]
            for k in range(B):
                args = case.example(case.args, k)
                inner = lambda *vs, c=case, args=args: c.f(
                    *[vs[c.active.index(i)] if i in c.active else a for i, a in enumerate(args)]
                )
                found = vjp(inner, *[args[i] for i in case.active])[1](tree.map(lambda c, k=k: c[k][()], ct))
                for parts, c in zip(want, found, strict=True):
                    parts.append(np.asarray(c))
            rows = [np.stack(parts) for parts in want]
            for g, parts, i in zip(got, rows, case.active, strict=True):
                axis = case.axes[i]
                close(np.asarray(g), np.sum(parts, axis=0) if axis is None else np.moveaxis(parts, 0, axis), 1e-10)
            if all(i in case.active for i in case.subset):
                axes = tuple(case.axes[i] for i in case.active)
                inside = vmap(lambda vs, c, f=case: vjp(lambda *ws: f.f(*f.put(ws)), *vs)[1](c), (axes, 0))
                close([np.asarray(g) for g in inside(tuple(xs), ct)], rows, 1e-10)


@operations(lambda op: op.smooth and any(r is not None for r in op.jvps))
def test_second_order(op):
    """Gradients of gradients: inside the map, around it, and with the map between them."""
    for case in cases(op, limit=1, subsets=1, nonempty=True):
        if not all(i in case.active for i in case.subset):
            continue
        axes = tuple(case.axes[i] for i in case.active)
        xs = tuple(case.args[i] for i in case.active)

        def scalar(*vs, c=case):
            return sum(np.sum(np.real(y * y)) for y in tree.leaves(c.f(*c.put(vs))))

        def slope(*vs, c=case):
            return sum(np.sum(np.real(g * g)) for g in grad(scalar, tuple(range(len(vs))))(*vs))

        numbers = tuple(range(len(xs)))
        with naming(case), np.errstate(all="ignore"):
            rows = [grad(slope, numbers)(*[case.example(case.put(xs), k)[i] for i in case.active]) for k in range(B)]
            want = [np.stack([np.asarray(r[j]) for r in rows]) for j in numbers]
            close([np.asarray(g) for g in vmap(grad(slope, numbers), axes)(*xs)], want, 1e-9)
            around = grad(lambda *vs, a=axes: np.sum(vmap(slope, a)(*vs)), numbers)(*xs)
            places = [w if a is None else np.moveaxis(w, 0, a) for w, a in zip(want, axes, strict=True)]
            close([np.asarray(g) for g in around], places, 1e-9)
