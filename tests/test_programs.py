"""Random programs against a naive engine, differences and the complex step; all orders of the modes agree."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff import grad, hvp, jvp, linearize, vjp
from tests import naive

NUMPY = {name: getattr(np, name, None) for name in naive.FUNCTIONS} | {"getitem": lambda a, index: a[index]}

# Each kind of step keeps its values between -3 and 3 and away from poles, so that it fits behind any other.
UNARY = {
    "sin": lambda f, a: f["sin"](a),
    "cos": lambda f, a: f["cos"](a),
    "tanh": lambda f, a: f["tanh"](a),
    "negative": lambda f, a: f["negative"](a),
    "arctan": lambda f, a: f["arctan"](f["multiply"](a, 0.7)),
    "tan": lambda f, a: f["tan"](f["sin"](a)),
    "arcsin": lambda f, a: f["arcsin"](f["multiply"](f["sin"](a), 0.8)),
    "sinh": lambda f, a: f["sinh"](f["sin"](a)),
    "cosh": lambda f, a: f["cosh"](f["cos"](a)),
    "arcsinh": lambda f, a: f["arcsinh"](a),
    "exp": lambda f, a: f["exp"](f["sin"](a)),
    "exp2": lambda f, a: f["exp2"](f["sin"](a)),
    "expm1": lambda f, a: f["expm1"](f["cos"](a)),
    "log": lambda f, a: f["log"](f["add"](f["square"](a), 0.5)),
    "log1p": lambda f, a: f["log1p"](f["square"](f["sin"](a))),
    "sqrt": lambda f, a: f["sqrt"](f["add"](f["square"](a), 0.5)),
    "square": lambda f, a: f["square"](f["sin"](a)),
    "reciprocal": lambda f, a: f["reciprocal"](f["add"](f["cos"](a), 1.6)),
    "power 3": lambda f, a: f["power"](f["sin"](a), 3),
    "power -1.5": lambda f, a: f["power"](f["add"](f["square"](a), 0.6), -1.5),
    "power of 2": lambda f, a: f["power"](2.0, f["sin"](a)),
}
BINARY = {
    "add": lambda f, a, b: f["multiply"](f["add"](a, b), 0.5),
    "subtract": lambda f, a, b: f["multiply"](f["subtract"](a, b), 0.5),
    "multiply": lambda f, a, b: f["multiply"](f["sin"](a), b),
    "divide": lambda f, a, b: f["divide"](f["sin"](a), f["add"](f["cos"](b), 1.6)),
    "power": lambda f, a, b: f["power"](f["add"](f["square"](f["sin"](a)), 0.5), f["cos"](b)),
}
REAL_UNARY = {"absolute": lambda f, a: f["absolute"](a)}
REAL_BINARY = {
    "hypot": lambda f, a, b: f["multiply"](f["hypot"](f["add"](f["sin"](a), 1.5), b), 0.5),
    "arctan2": lambda f, a, b: f["arctan2"](a, f["add"](f["cos"](b), 1.6)),
    "logaddexp": lambda f, a, b: f["multiply"](f["logaddexp"](a, b), 0.5),
    "maximum": lambda f, a, b: f["maximum"](a, b),
}
INDICES = [slice(None, None, -1), slice(1, None), slice(None, None, 2), 0, -1, np.array([0, -1, 0]), None]


def size_of(shape):
    return int(np.prod(shape, dtype=int))


def structure_step(f, kind, a, b, k):
    """A step that moves, sums or multiplies entries; shapes are fitted to whatever arrives."""
    n = size_of(a.shape)
    if kind == "reshape":
        return f["reshape"](a, [(n,), (n, 1), (1, n), (1, n, 1)][k % 4])
    if kind == "transpose":
        return f["transpose"](a)
    if kind == "broadcast_to":
        return f["broadcast_to"](a, (2, *a.shape)) if n <= 12 else a
    if kind == "getitem":
        index = INDICES[k % len(INDICES)]
        fits = index is None or (a.shape and a.shape[0] > 1)
        return f["getitem"](a, index) if fits else a
    if kind == "sum":
        return f["multiply"](f["sum"](a, k % len(a.shape)), 1 / a.shape[k % len(a.shape)]) if a.shape else a
    if kind == "matmul":
        left, right = f["reshape"](a, (n, 1)), f["reshape"](b, (1, size_of(b.shape)))
        if n * size_of(b.shape) <= 36:
            return f["sin"](f["matmul"](left, right))
        return f["multiply"](f["matmul"](f["reshape"](a, (1, n)), left), 1 / n)
    mask = (np.arange(n) % 3 != k % 3).reshape(a.shape)
    return f["where"](mask, a, b if b.shape == a.shape else f["sin"](a))


STRUCTURE = ["reshape", "transpose", "broadcast_to", "getitem", "sum", "matmul", "where"]


def programs(*, smooth=True, depth=20):
    """Lists of steps: a kind, the numbers of two earlier values, and a detail."""
    unary, binary = list(UNARY), list(BINARY)
    if not smooth:
        unary, binary = unary + list(REAL_UNARY), binary + list(REAL_BINARY)
    kinds = st.one_of(st.sampled_from(unary), st.sampled_from(binary), st.sampled_from(STRUCTURE))
    small = st.integers(0, 30)
    return st.lists(st.tuples(kinds, small, small, small), min_size=1, max_size=depth)


ALL_UNARY, ALL_BINARY = UNARY | REAL_UNARY, BINARY | REAL_BINARY


def run(f, steps, *xs):
    """Run a program; the result is a scalar in which every value that was computed counts."""
    values = list(xs)
    for kind, i, j, k in steps:
        a, b = values[-1 - i % min(len(values), 3)], values[-1 - j % len(values)]
        if kind in ALL_UNARY:
            y = ALL_UNARY[kind](f, a)
        elif kind in ALL_BINARY:
            y = ALL_BINARY[kind](
                f, a, b if fit(a.shape, b.shape) else f["sum"](f["reshape"](b, (size_of(b.shape),)), 0)
            )
        else:
            y = structure_step(f, kind, a, b, k)
        values.append(y)
    total = 0.0
    for weight, value in enumerate(values, 1):
        n = size_of(value.shape)
        mean = f["multiply"](f["sum"](f["reshape"](value, (n,)), 0), 1 / n)
        total = f["add"](total, f["multiply"](f["sin"](f["add"](mean, 0.1 * weight)), 1.0))
    return total


def fit(one, other):
    try:
        return size_of(np.broadcast_shapes(one, other)) <= 36
    except ValueError:
        return False


def inputs(seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.uniform(-1.5, 1.5, shape) for shape in ((3,), (2, 3), (1,)))


def directions(seed):
    return inputs(seed + 100)


def program(steps):
    return lambda *xs: run(NUMPY, steps, *xs)


def close(got, want, rtol):
    want = np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * max(1.0, np.max(np.abs(want), initial=0.0)))


def dot(a, b):
    return sum(np.sum(x * y) for x, y in zip(a, b, strict=True))


def along(f, ts):
    return lambda *xs: jvp(f, xs, ts)[1]


def pulled(f, ts):
    return lambda *xs: dot(grad(f, (0, 1, 2))(*xs), ts)


# -- the naive engine itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", naive.FUNCTIONS)
def test_the_naive_engine(name):
    f = naive.FUNCTIONS[name]
    a, b = np.array([[0.3, 0.5], [0.7, 0.2]]), np.array([0.6, 0.4])
    static = {"reshape": (4,), "broadcast_to": (3, 2, 2), "getitem": np.array([0, 1, 0]), "sum": 1}
    if name == "matmul":
        apply = lambda f, a, b: f(a, a)
    elif name == "where":
        apply = lambda f, a, b: f(np.array([True, False]), a, b)
    elif name in static:
        apply = lambda f, a, b: f(a, static[name])
    else:
        one = name in ("transpose", "negative", "absolute") or getattr(NUMPY[name], "nin", 0) == 1
        apply = lambda f, a, b: f(a) if one else f(a, b)
    weights = np.random.default_rng(0).normal(size=apply(NUMPY[name], a, b).shape)
    total = naive.elementwise(lambda y: np.sum(y * weights), lambda y: weights)
    got = naive.gradient(lambda a, b: total(apply(f, a, b)), a, b)
    h = 1e-6
    plain = lambda a, b: np.sum(apply(NUMPY[name], a, b) * weights)
    for x, g, move in (
        (a, got[0], lambda d: plain(a + d, b) - plain(a - d, b)),
        (b, got[1], lambda d: plain(a, b + d) - plain(a, b - d)),
    ):
        for k in range(x.size):
            unit = np.zeros(x.size)
            unit[k] = h
            assert abs(move(unit.reshape(x.shape)) / (2 * h) - g.reshape(-1)[k]) < 1e-8


# -- programs ------------------------------------------------------------------------------------------------


@given(programs(smooth=False))
def test_against_the_naive_engine(steps):
    xs = inputs()
    want = naive.gradient(lambda *xs: run(naive.FUNCTIONS, steps, *xs), *xs)
    got = grad(program(steps), (0, 1, 2))(*xs)
    for g, w in zip(got, want, strict=True):
        close(g, w, 1e-10)


@given(programs(smooth=False), st.integers(0, 5))
def test_forward_against_reverse(steps, seed):
    f, xs, ts = program(steps), inputs(seed), directions(seed)
    y, t = jvp(f, xs, ts)
    assert y == f(*xs)
    value, pull = vjp(f, *xs)
    assert value == y
    close(dot(pull(1.0), ts), t, 1e-11)
    close(linearize(f, *xs)[1](*ts), t, 1e-12)


@given(programs())
def test_against_differences(steps):
    f, xs, ts = program(steps), inputs(), directions(0)

    def difference(h):
        at = lambda k: f(*(x + k * h * t for x, t in zip(xs, ts, strict=True)))
        return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)

    coarse, fine = difference(2e-3), difference(1e-3)
    got = jvp(f, xs, ts)[1]
    assert abs(got - fine) <= abs(coarse - fine) + 1e-10 * max(1.0, abs(fine))


@given(programs())
def test_against_the_complex_step(steps):
    """The steps of smooth programs are holomorphic, so the imaginary part has no error of truncation."""
    f, xs, ts = program(steps), inputs(), directions(0)
    want = np.imag(f(*(x + 1e-30j * t for x, t in zip(xs, ts, strict=True)))) / 1e-30
    close(jvp(f, xs, ts)[1], want, 1e-11)
    close(pulled(f, ts)(*xs), want, 1e-11)


@given(programs())
def test_complex_arguments(steps):
    """Of a holomorphic program the real part has the gradient f'."""
    f = program(steps)
    xs = tuple(x + 0.05j * t for x, t in zip(inputs(), directions(0), strict=True))
    ts = tuple((1 + 2j) * t for t in directions(1))
    y, t = jvp(f, xs, ts)
    assert y.dtype == t.dtype == np.complex128
    gs = grad(lambda *xs: np.real(f(*xs)), (0, 1, 2))(*xs)
    close(dot(gs, ts), t, 1e-10)


@given(programs())
def test_hessian_vector_products_in_four_mixtures(steps):
    f, xs, ts, us = program(steps), inputs(), directions(0), directions(1)
    want = dot(hvp(f, xs, ts), us)
    for first, second in itertools.product((along, pulled), repeat=2):
        close(second(first(f, ts), us)(*xs), want, 1e-11)
    slope = lambda h: jvp(f, tuple(x + h * u for x, u in zip(xs, us, strict=True)), ts)[1]
    difference = lambda h: (8 * (slope(h) - slope(-h)) - (slope(2 * h) - slope(-2 * h))) / (12 * h)
    coarse, fine = difference(2e-3), difference(1e-3)
    assert abs(want - fine) <= abs(coarse - fine) + 1e-9 * max(1.0, abs(fine))


@given(programs(depth=10))
def test_third_derivatives_in_all_orders_of_the_modes(steps):
    f, xs = program(steps), inputs()
    ts = [directions(seed) for seed in range(3)]
    found = []
    for modes in itertools.product((along, pulled), repeat=3):
        g = f
        for mode, t in zip(modes, ts, strict=True):
            g = mode(g, t)
        found.append(g(*xs))
    close(found, [found[0]] * 8, 1e-10)
