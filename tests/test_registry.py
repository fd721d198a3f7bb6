"""Every operation of the registry, on its own samples: both modes, all orders, shapes, dtypes, memory.

The tests know no operation by name. An operation that is registered is tested here; one that has a derivative
and no samples fails.
"""

import contextlib
import importlib
import itertools
import pkgutil
import warnings
import zlib

import numpy as np
import pytest

import autodiff.scipy
from autodiff import grad, jvp, linearize, vjp
from autodiff.core import REGISTRY, Spec
from autodiff.core.errors import DifferentiationError
from autodiff.core.spec import dtype_of, is_inexact, shape_of

for _module in pkgutil.iter_modules(autodiff.scipy.__path__, "autodiff.scipy."):
    if _module.ispkg:
        importlib.import_module(_module.name)  # each registers operations

OPERATIONS = {name: op for name, op in sorted(REGISTRY.items()) if any(r is not None for r in op.jvps)}
#: NumPy's own functions that give float64 whatever they are given.
ALWAYS_FLOAT64 = {"interp"}
#: SciPy's functions whose imaginary part is rounded to the last place of the modulus: no complex step of 1e-30.
ROUNDED_TO_MODULUS = {
    *("jv", "yv", "spherical_jn", "spherical_yn"),
    *("logm", "logm_derivative", "sqrtm", "sqrtm_derivative", "solve_sylvester"),
    *("expi", "sine_integral", "cosine_integral", "hyperbolic_sine_integral", "hyperbolic_cosine_integral", "spence"),
}


def operations(choose=lambda op: True):
    chosen = {name: op for name, op in OPERATIONS.items() if choose(op)}
    return pytest.mark.parametrize("op", chosen.values(), ids=chosen.keys())


every_operation = operations()
smooth_operations = operations(lambda op: op.smooth)


def has_rule(op, i):
    """Whether argument `i` has a derivative; the rule of one whose derivative is not known raises, and says so."""
    return op.differentiable(i) and not hasattr(op.jvps[0 if op.variadic else i], "refuses")


# -- one operation at one sample -----------------------------------------------------------------------------


class Case:
    """An operation at a sample, as a function of the arguments that can carry a derivative."""

    def __init__(self, op, sample, seed=0):
        self.op, self.args, self.params = op, list(sample.args), sample.params
        self.active = [i for i, a in enumerate(self.args) if has_rule(op, i) and is_inexact(a)]
        self.rng = np.random.default_rng([seed, zlib.crc32(op.name.encode())])
        self.xs = tuple(self.args[i] for i in self.active)

    def f(self, *xs):
        args = list(self.args)
        for i, x in zip(self.active, xs, strict=True):
            args[i] = x
        return self.op(*args, **self.params)

    def with_args(self, change):
        """The same case with all inexact array arguments replaced by ``change(argument)``."""
        case = Case.__new__(Case)
        case.__dict__.update(self.__dict__)
        case.args = [change(a) if is_inexact(a) and hasattr(a, "dtype") else a for a in self.args]
        case.xs = tuple(case.args[i] for i in self.active)
        return case

    def draw(self, like):
        x = self.rng.uniform(-1, 1, shape_of(like))
        if dtype_of(like).kind == "c":
            x = x + 1j * self.rng.uniform(-1, 1, shape_of(like))
        return np.asarray(x, dtype_of(like))[()]

    def direction(self):
        return tuple(self.draw(x) for x in self.xs)

    def scalar(self):
        """A smooth real function of the value in which every entry counts, to second order."""
        y = self.f(*self.xs)
        w, v = self.draw(y), self.draw(y)

        def phi(*xs):
            out = self.f(*xs)
            return np.sum(np.real(w * out + v * out * out))

        return phi

    def __repr__(self):
        shown = ", ".join(f"{dtype_of(a)}{list(shape_of(a))}" for a in self.args)
        return f"{self.op.name}({shown}, {self.params})"


def cases(op, *, limit=None, nonempty=False, seed=0):
    assert op.samples is not None, f"{op.name} has a derivative and no samples"
    samples = op.samples(np.random.default_rng([seed, zlib.crc32(op.name.encode())]))
    found = [Case(op, s, seed) for s in samples]
    assert all(c.active for c in found), f"a sample of {op.name} has no argument with a derivative"
    if nonempty:
        found = [c for c in found if all(np.size(x) for x in c.xs) and np.size(c.f(*c.xs))]
    return found[:limit]


@contextlib.contextmanager
def naming(case):
    try:
        yield
    except Exception as error:
        error.add_note(f"at the sample {case!r}")
        raise


def difference(f, xs, ts, h=1e-4):
    """Derivative of `f` along `ts`, by central differences of order four."""

    def at(k):
        return np.asarray(f(*(x + k * h * t for x, t in zip(xs, ts, strict=True))))

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


def pair(gs, ts):
    """Real pairing of adjoints with tangents."""
    return sum(np.sum(np.real(g * t)) for g, t in zip(gs, ts, strict=True))


def close(got, want, rtol, *, scale=1.0):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    size = float(np.max(np.abs(want), initial=0.0))
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * max(scale, size))


def along(phi, ts):
    return lambda *xs: jvp(phi, xs, ts)[1]


def pulled(phi, ts):
    numbers = tuple(range(len(ts)))
    return lambda *xs: pair(grad(phi, numbers)(*xs), ts)


# -- what must be there --------------------------------------------------------------------------------------


@every_operation
def test_has_samples(op):
    found = cases(op)
    assert found
    covered = set(itertools.chain.from_iterable(c.active for c in found))
    assert covered >= {i for i in range(len(op.jvps)) if has_rule(op, i)} or op.variadic


def test_there_are_operations():
    assert len(OPERATIONS) > 70


# -- first order ---------------------------------------------------------------------------------------------


@every_operation
def test_forward_against_differences(op):
    for case in cases(op):
        with naming(case):
            ts = case.direction()
            y, t = jvp(case.f, case.xs, ts)
            np.testing.assert_array_equal(y, case.f(*case.xs))
            close(t, difference(case.f, case.xs, ts), 1e-8)


@every_operation
def test_forward_against_reverse(op):
    for case in cases(op):
        with naming(case):
            ts = case.direction()
            _, t = jvp(case.f, case.xs, ts)
            y, pull = vjp(case.f, *case.xs)
            np.testing.assert_array_equal(y, case.f(*case.xs))
            ct = case.draw(y)
            close(pair(pull(ct), ts), pair([ct], [t]), 1e-10, scale=max(1.0, np.sqrt(np.size(y))))


@every_operation
def test_each_argument_alone(op):
    """What is kept for one argument's reverse rule is enough for it, and gives what the joint sweep gives."""
    for case in cases(op):
        if len(case.active) < 2:
            continue
        y, pull = vjp(case.f, *case.xs)
        ct = case.draw(y)
        ts = case.direction()
        joint = pull(ct)
        total = 0
        for i, x in enumerate(case.xs):
            with naming(case):
                alone = lambda z, c=case, i=i: c.f(*c.xs[:i], z, *c.xs[i + 1 :])
                close(vjp(alone, x)[1](ct)[0], joint[i], 1e-12)
                total = total + jvp(alone, (x,), (ts[i],))[1]
        with naming(case):
            close(total, jvp(case.f, case.xs, ts)[1], 1e-12)


@every_operation
def test_linearize_agrees_with_jvp(op):
    for case in cases(op):
        with naming(case):
            y, f_jvp = linearize(case.f, *case.xs)
            for ts in (case.direction(), case.direction()):
                want_y, want_t = jvp(case.f, case.xs, ts)
                np.testing.assert_array_equal(y, want_y)
                close(f_jvp(*ts), want_t, 1e-12)


# -- higher orders -------------------------------------------------------------------------------------------


@smooth_operations
def test_second_order_in_four_mixtures(op):
    for case in cases(op):
        with naming(case):
            phi, ts, us = case.scalar(), case.direction(), case.direction()
            want = difference(along(phi, ts), case.xs, us)
            for first in (along(phi, ts), pulled(phi, ts)):
                for second in (along(first, us), pulled(first, us)):
                    close(second(*case.xs), want, 1e-7)


@smooth_operations
def test_third_order(op):
    for case in cases(op, limit=2, nonempty=True):
        with naming(case):
            phi, ts, us, vs = case.scalar(), case.direction(), case.direction(), case.direction()
            f, r = along, pulled
            want = f(f(f(phi, ts), us), vs)(*case.xs)
            close(want, difference(f(f(phi, ts), us), case.xs, vs), 1e-6)
            for d1, d2, d3 in ((r, r, r), (r, f, f), (f, r, f)):
                close(d3(d2(d1(phi, ts), us), vs)(*case.xs), want, 1e-9)


# -- shapes and dtypes ---------------------------------------------------------------------------------------


@every_operation
def test_shape_rule(op):
    for case in cases(op):
        for dtype in (np.float64, np.float32):
            changed = case.with_args(lambda a, d=dtype: a.astype(_like(d, a)))
            with naming(case):
                y = changed.f(*changed.xs)
                specs = [Spec(a.shape, a.dtype) if is_inexact(a) and hasattr(a, "dtype") else a for a in changed.args]
                got = op.shape(*specs, **op_params(changed))
                assert (got.shape, got.dtype) == (np.shape(y), dtype_of(y))


def op_params(case):
    return dict(case.params)


def _like(real, a):
    """The real dtype, or for a complex array the complex dtype of the same precision."""
    return np.dtype(real) if a.dtype.kind == "f" else np.result_type(real, np.complex64)


def check_dtypes(case, tolerance, reference):
    """Value, tangents and adjoints have the dtypes they must have, and the right numbers."""
    ts = tuple(np.asarray(t, dtype_of(x))[()] for t, x in zip(reference.direction(), case.xs, strict=True))
    y, t = jvp(case.f, case.xs, ts)
    assert (dtype_of(y), np.shape(t), dtype_of(t)) == (dtype_of(case.f(*case.xs)), np.shape(y), dtype_of(y))
    wide = tuple(np.asarray(t, dtype_of(x))[()] for t, x in zip(ts, reference.xs, strict=True))
    want_y, want = jvp(reference.f, reference.xs, wide)
    close(y, want_y, tolerance)
    close(t, want, tolerance)
    _, pull = vjp(case.f, *case.xs)
    ct = case.draw(y)
    cts = pull(ct)
    for c, w, x in zip(cts, vjp(reference.f, *reference.xs)[1](ct.astype(dtype_of(want_y))), case.xs, strict=True):
        assert (np.shape(c), dtype_of(c)) == (np.shape(x), dtype_of(x))
        close(c, w, tolerance)


@every_operation
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float16, 3e-2)], ids=["float32", "float16"])
def test_low_precision_is_kept(op, dtype, tolerance):
    for case in cases(op):
        low = case.with_args(lambda a: a.astype(_like(dtype, a)))
        reference = low.with_args(lambda a: a.astype(_like(np.float64, a)))
        try:
            y = low.f(*low.xs)
        except TypeError:
            continue  # NumPy itself has no such loop (linear algebra in float16)
        with naming(low):
            numpys = isinstance(op.fn, np.ufunc) or op.name in ALWAYS_FLOAT64 or "dtype" in low.params
            assert numpys or dtype == np.float16 or dtype_of(y) in {np.dtype(np.float32), np.dtype(np.complex64)}
            check_dtypes(low, tolerance, reference)


def as_complex(case):
    """The case with imaginary parts added, or None where the operation takes no complex numbers."""
    turned = case.with_args(lambda a: (a + 0.3j * case.rng.uniform(-1, 1, a.shape))[()])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            turned.f(*turned.xs)
            jvp(turned.f, turned.xs, turned.direction())
    except (TypeError, DifferentiationError, np.exceptions.ComplexWarning):
        return None
    return turned


@every_operation
def test_complex(op):
    """Any direction, real or imaginary: so holomorphic operations and those that are only real-linear alike."""
    for case in cases(op):
        turned = as_complex(case)
        if turned is None:
            continue
        with naming(turned):
            ts = turned.direction()
            y, t = jvp(turned.f, turned.xs, ts)
            assert dtype_of(t) == dtype_of(y)
            close(t, difference(turned.f, turned.xs, ts), 1e-8)
            _, pull = vjp(turned.f, *turned.xs)
            ct = turned.draw(y)
            cts = pull(ct)
            assert [dtype_of(c) for c in cts] == [dtype_of(x) for x in turned.xs]
            close(pair(cts, ts), pair([ct], [t]), 1e-10, scale=max(1.0, np.sqrt(np.size(y))))
            single = turned.with_args(lambda a: a.astype(_like(np.float32, a)))
            check_dtypes(single, 5e-5, single.with_args(lambda a: a.astype(_like(np.float64, a))))


@smooth_operations
def test_complex_second_order(op):
    for case in cases(op, limit=2, nonempty=True):
        turned = as_complex(case)
        if turned is None:
            continue
        with naming(turned):
            phi, ts, us = turned.scalar(), turned.direction(), turned.direction()
            want = difference(along(phi, ts), turned.xs, us)
            for first in (along(phi, ts), pulled(phi, ts)):
                for second in (along(first, us), pulled(first, us)):
                    close(second(*turned.xs), want, 1e-7)


@operations(lambda op: op.name not in ROUNDED_TO_MODULUS)
def test_complex_step(op):
    """Where the operation is holomorphic, the imaginary part of f(x + iht) / h has no truncation error."""
    for case in cases(op, nonempty=True):
        turned = as_complex(case)
        if turned is None or any(dtype_of(x).kind == "c" for x in case.xs):
            continue
        ts = case.direction()
        real = difference(turned.f, turned.xs, ts)
        rotated = difference(turned.f, turned.xs, tuple(1j * t for t in ts))
        if not np.allclose(rotated, 1j * real, rtol=1e-6, atol=1e-6):
            continue
        with naming(case):
            h = 1e-30
            y = np.imag(case.f(*(x + 1j * h * t for x, t in zip(case.xs, ts, strict=True)))) / h
            t = jvp(case.f, case.xs, ts)[1]
            if dtype_of(t).kind != "c":
                close(t, y, 1e-11)


# -- memory --------------------------------------------------------------------------------------------------


def awkward(a):
    """The same values, read-only, not contiguous, with negative strides."""
    wide = np.repeat(np.asarray(a)[..., None], 2, axis=-1)[..., 0]
    flipped = tuple(slice(None, None, -1) for _ in range(wide.ndim))
    wide = wide[flipped].copy(order="F")[flipped] if wide.ndim else wide
    wide.flags.writeable = False
    return wide


@every_operation
def test_read_only_and_not_contiguous(op):
    for case in cases(op):
        other = case.with_args(awkward)
        with naming(case):
            ts = case.direction()
            y, t = jvp(case.f, case.xs, ts)
            got_y, got_t = jvp(other.f, other.xs, tuple(awkward(t) for t in ts))
            close(got_y, y, 1e-13)
            close(got_t, t, 1e-12)
            ct = case.draw(y)
            for got, want in zip(vjp(other.f, *other.xs)[1](awkward(ct)), vjp(case.f, *case.xs)[1](ct), strict=True):
                close(got, want, 1e-12)


@every_operation
def test_nothing_is_mutated_or_shared(op):
    for case in cases(op):
        with naming(case):
            before = [np.copy(a) for a in case.args]
            ts = case.direction()
            y, pull = vjp(case.f, *case.xs)
            ct = case.draw(y)
            kept_ct = np.copy(ct)
            first = [np.copy(c) for c in pull(ct)]
            for c in pull(ct):
                if isinstance(c, np.ndarray):
                    assert c.flags.writeable
                    assert not any(np.shares_memory(c, other) for other in (ct, *case.args))
                    c[...] = 7
            for again, want in zip(pull(ct), first, strict=True):
                np.testing.assert_array_equal(again, want)
            kept_ts = [np.copy(t) for t in ts]
            jvp(case.f, case.xs, ts)
            for now, then in zip((*case.args, ct, *ts), (*before, kept_ct, *kept_ts), strict=True):
                np.testing.assert_array_equal(now, then)


# -- flags ---------------------------------------------------------------------------------------------------


@every_operation
def test_linear_arguments_are_linear(op):
    for case in cases(op):
        linear = [k for k, i in enumerate(case.active) if i in op.linear_args]
        groups = [linear] if op.jointly else [[k] for k in linear]
        for group in groups:
            other = [case.draw(x) if k in group else x for k, x in enumerate(case.xs)]
            pairs = enumerate(zip(case.xs, other, strict=True))
            mixed = [2.0 * x - 3.0 * z if k in group else x for k, (x, z) in pairs]
            with naming(case):
                if op.jointly and len(linear) < len([i for i in op.linear_args if i < len(case.args)]):
                    continue
                close(case.f(*mixed), 2.0 * case.f(*case.xs) - 3.0 * case.f(*other), 1e-12)


@operations(lambda op: op.structural)
def test_structural_operations_have_coefficients_that_are_not_negative(op):
    for case in cases(op):
        with naming(case):
            assert np.all(np.real(case.f(*(np.abs(x) for x in case.xs))) >= 0)
            y, pull = vjp(case.f, *case.xs)
            for c in pull(np.abs(case.draw(y))):
                assert np.all(np.real(c) >= 0)
                assert np.all(np.isfinite(c))


# -- points with an agreed derivative ------------------------------------------------------------------------


def basis(x):
    for k in range(np.size(x)):
        unit = np.zeros(np.shape(x))
        unit.reshape(-1)[k] = 1.0
        yield unit[()]


@operations(lambda op: op.boundary)
def test_boundary_points(op):
    for point in op.boundary:
        xs = tuple(np.asarray(a, float)[()] for a in point.args)
        with np.errstate(all="ignore"):
            for i, (x, derivative) in enumerate(zip(xs, point.derivatives, strict=True)):
                if derivative is None or not op.differentiable(i):
                    continue
                alone = lambda z, i=i, xs=xs: op(*xs[:i], z, *xs[i + 1 :])
                want = np.broadcast_to(np.asarray(derivative, float), np.shape(x))
                forward = [np.sum(jvp(alone, (x,), (unit,))[1]) for unit in basis(x)]
                reverse = grad(lambda z, alone=alone: np.sum(alone(z)))(x)
                np.testing.assert_allclose(np.reshape(forward, want.shape), want, rtol=1e-14, err_msg=f"jvp at {point}")
                np.testing.assert_allclose(reverse, want, rtol=1e-14, err_msg=f"grad at {point}")


@operations(lambda op: op.elementwise and 1 < len(op.jvps) < 4 and has_rule(op, 0))
def test_broadcasting_against_empty(op):
    sample = next(c for c in cases(op) if all(np.size(a) for a in c.args))
    one = [np.reshape(np.asarray(a), (-1,))[0] for a in sample.args]
    for shapes in (((0,), (1,), ()), ((3, 0), (3, 1), (0,)), ((1,), (2, 0), (1, 1)), ((), (0, 2), (2,))):
        args = [np.full(s, a) for a, s in zip(one, shapes, strict=False)]
        args = [a[()] for a in args]
        active = [i for i, a in enumerate(args) if op.differentiable(i) and is_inexact(a)]
        case = Case.__new__(Case)
        case.__dict__.update(sample.__dict__)
        case.args, case.active, case.xs = args, active, tuple(args[i] for i in active)
        with naming(case):
            y, t = jvp(case.f, case.xs, case.direction())
            assert np.shape(t) == np.shape(y) == np.broadcast_shapes(*(np.shape(a) for a in args))
            for c, x in zip(vjp(case.f, *case.xs)[1](case.draw(y)), case.xs, strict=True):
                np.testing.assert_array_equal(c, np.zeros(np.shape(x)))
