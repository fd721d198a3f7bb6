"""Random straight-line programs that assign, make views and change arrays in place, run by NumPy and by the engine.

The program is the same Python code. NumPy's own result is the value wanted; the derivative wanted is the
complex step of the same program, exact to rounding. So every program checks NumPy's meaning of views, of aliases and of
assignment, and both modes of differentiation.
"""

import numpy as np
import pytest

from autodiff import grad, jvp, trace, vmap

SHAPES = [(4,), (2, 3), (3, 2), (6,), (2, 2, 2), (3, 3)]


def basic_index(rng, shape):
    parts = []
    for n in shape[: rng.integers(0, len(shape) + 1)]:
        kind = rng.integers(4)
        if kind == 0:
            parts.append(int(rng.integers(-n, n)))
        elif kind == 1:
            parts.append(slice(None, None, int(rng.choice([-1, 2, -2]))))
        else:
            start = int(rng.integers(0, n))
            parts.append(slice(start, int(rng.integers(start + 1, n + 1))))
    if rng.random() < 0.15:
        parts.insert(int(rng.integers(0, len(parts) + 1)), None)
    if rng.random() < 0.3:
        parts.append(...)
    return parts[0] if len(parts) == 1 and rng.random() < 0.5 else tuple(parts)


def any_index(rng, shape):
    kind = rng.integers(4)
    if kind == 0:
        return rng.integers(-shape[0], shape[0], size=rng.integers(1, 4))
    if kind == 1:
        return rng.random(shape[: rng.integers(1, len(shape) + 1)]) < 0.5
    if kind == 2 and len(shape) > 1:
        return (slice(None), rng.integers(0, shape[1], size=2))
    return basic_index(rng, shape)


def squash(a):
    return np.sin(a) + 0.25 * a


def view(rng, a):
    kind = rng.integers(7)
    if kind == 0:
        return a.T
    if kind == 1:
        return a.reshape(-1) if rng.random() < 0.5 else np.reshape(a, (*a.shape[::-1],))
    if kind == 2:
        return np.ravel(a)
    if kind == 3:
        return np.swapaxes(a, 0, -1)
    if kind == 4 and a.ndim:
        return np.expand_dims(a, 0).squeeze(0)
    if kind == 5:
        return a.flatten() if rng.random() < 0.5 else a.copy()
    return a[basic_index(rng, a.shape)]


def fitting(rng, env, shape):
    """A value that broadcasts to a shape, made of what the program has."""
    a = env[rng.integers(len(env))]
    kind = rng.integers(4)
    if kind == 0 or a.size == 0:
        return float(rng.normal())
    if kind == 1:
        return squash(a).sum() * 0.3
    if kind == 2:
        return rng.normal(size=shape[rng.integers(0, len(shape) + 1) :])
    return squash(np.resize(a, shape))


def step(rng, env):  # noqa: C901 - a list of cases
    i = int(rng.integers(len(env)))
    a = env[i]
    kind = rng.integers(15)
    if kind < 3:
        if a.ndim:
            env.append(view(rng, a))
    elif kind == 3:
        env.append([np.zeros_like, np.ones_like, np.copy, squash][rng.integers(4)](a))
    elif kind in {4, 5, 6} and a.ndim:
        index = any_index(rng, a.shape)
        a[index] = fitting(rng, env, np.shape(np.empty(a.shape)[index]))
    elif kind == 7 and a.ndim:
        index = any_index(rng, a.shape)
        value = fitting(rng, env, np.shape(np.empty(a.shape)[index]))
        if rng.random() < 0.5:
            a[index] += value
        else:
            a[index] *= value
    elif kind == 8 and a.ndim:
        value = fitting(rng, env, a.shape)
        a -= value
        env[i] = a
    elif kind == 9 and a.ndim:
        np.multiply(a, fitting(rng, env, a.shape), out=a)
    elif kind == 10 and a.size:
        np.put(a, rng.integers(0, a.size, size=3), [0.5, -1.0])
        a.flat[::2] = fitting(rng, env, ())
    elif kind == 11 and a.ndim and a.size:
        index = rng.integers(0, a.shape[0], size=3)
        [np.add, np.multiply][rng.integers(2)].at(a, index, fitting(rng, env, (3, *a.shape[1:])))
    elif kind == 12 and a.size:
        mask = rng.random(a.shape) < 0.5
        if rng.random() < 0.5:
            np.copyto(a, fitting(rng, env, a.shape), where=mask)
        else:
            np.putmask(a, mask, np.arange(3.0))
    elif kind == 13 and a.ndim == 2 and min(a.shape):
        np.fill_diagonal(a, fitting(rng, env, ()))
    elif kind == 14 and a.ndim:
        a.fill(fitting(rng, env, ()))
    if env[i].size and np.ndim(env[i]) and kind in {4, 9}:
        env.append(squash(env[i]))


def program(seed, length):
    def run(*xs):
        rng = np.random.default_rng(seed)
        env = list(xs)
        for _ in range(length):
            step(rng, env)
        total = 0.0
        for a in env:
            total = total + np.sum(squash(a) * rng.normal(size=a.shape))
        return total

    return run


def inputs(seed):
    rng = np.random.default_rng([seed, 1])
    shapes = [SHAPES[k] for k in rng.integers(len(SHAPES), size=2)]
    return [rng.normal(size=s) for s in shapes], [rng.normal(size=s) for s in shapes]


def complex_step(f, xs, ts, h=1e-30):
    return np.imag(f(*[x + 1j * h * t for x, t in zip(xs, ts, strict=True)])) / h


@pytest.mark.parametrize("seed", range(150))
def test_value_and_both_modes(seed):
    f = program(seed, 4 + seed % 14)
    xs, ts = inputs(seed)
    kept = [x.copy() for x in xs]
    want = f(*[x.copy() for x in xs])
    slope = complex_step(f, xs, ts)
    value, tangent = jvp(f, xs, ts)
    gs = grad(f, argnums=(0, 1))(*xs)
    np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(tangent, slope, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(sum(np.vdot(g, t) for g, t in zip(gs, ts, strict=True)), slope, rtol=1e-9, atol=1e-9)
    for x, k in zip(xs, kept, strict=True):
        assert np.array_equal(x, k)  # the caller's arrays


@pytest.mark.parametrize("seed", range(200, 230))
def test_second_order_in_all_mixtures(seed):
    f = program(seed, 4 + seed % 8)
    xs, ts = inputs(seed)

    def along(s):
        return f(*[x + s * t for x, t in zip(xs, ts, strict=True)])

    def forward(g):
        return lambda s: jvp(g, (s,), (1.0,))[1]

    want = complex_step(forward(along), [np.float64(0.3)], [1.0])
    for outer in (forward, grad):
        for inner in (forward, grad):
            np.testing.assert_allclose(outer(inner(along))(0.3), want, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("seed", range(300, 320))
def test_traced_and_mapped(seed):
    f = program(seed, 4 + seed % 8)
    xs, ts = inputs(seed)
    recorded = trace(f)(*xs)
    np.testing.assert_allclose(recorded.eval(*ts), f(*[t.copy() for t in ts]), rtol=1e-12, atol=1e-12)
    both = [np.stack([x, t]) for x, t in zip(xs, ts, strict=True)]
    want = [f(*[x.copy() for x in xs]), f(*[t.copy() for t in ts])]
    np.testing.assert_allclose(vmap(f)(*both), want, rtol=1e-12, atol=1e-12)
    gs = vmap(grad(f, argnums=(0, 1)))(*both)
    for g, one in zip(gs, grad(f, argnums=(0, 1))(*ts), strict=True):
        np.testing.assert_allclose(g[1], one, rtol=1e-12, atol=1e-12)
