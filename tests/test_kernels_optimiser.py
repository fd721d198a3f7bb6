"""Fused steps of optimisers against their formulas in NumPy; where results go; bad input."""

import numpy as np
import pytest

from kernels.cpu import (
    adadelta_step,
    adagrad_step,
    adam_step,
    adamax_step,
    gradient_step,
    momentum_step,
    nadam_step,
    rmsprop_step,
    threads,
)

SIZES = pytest.mark.parametrize("size", [0, 1, 17, 2048, 2 * 2048 + 5, 70_001])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def arrays(count, size, dtype):
    """Parameters, gradients and moments; the last ones are sums of squares and so positive."""
    rng = np.random.default_rng(size)
    found = [rng.normal(size=size).astype(dtype) for _ in range(count)]
    return [*found[:2], *[np.abs(a) for a in found[2:]]]


def adam(p, g, m, v, *, rate, beta1, beta2, eps, step, decay=0.0, shrink=1.0):
    g = g + decay * p
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    mean, square = m / (1 - beta1**step), v / (1 - beta2**step)
    return shrink * p - rate * mean / (np.sqrt(square) + eps), m, v


def momentum(p, g, u, *, rate, momentum, nesterov=False, decay=0.0, shrink=1.0):
    g = g + decay * p
    u = momentum * u + g
    return shrink * p - rate * (g + momentum * u if nesterov else u), u


def gradient(p, g, *, rate, decay=0.0, shrink=1.0):
    return (shrink * p - rate * (g + decay * p),)


def nadam(p, g, m, v, *, ahead, now, beta1, beta2, eps, step, decay=0.0, shrink=1.0):
    g = g + decay * p
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    return shrink * p - (ahead * m + now * g) / (np.sqrt(v / (1 - beta2**step)) + eps), m, v


def adamax(p, g, m, u, *, rate, beta1, beta2, eps, step, decay=0.0, shrink=1.0):
    g = g + decay * p
    m, u = beta1 * m + (1 - beta1) * g, np.maximum(beta2 * u, np.abs(g) + eps)
    return shrink * p - rate / (1 - beta1**step) * m / u, m, u


def adagrad(p, g, s, *, rate, eps, decay=0.0, shrink=1.0):
    g = g + decay * p
    s = s + g * g
    return shrink * p - rate * g / (np.sqrt(s) + eps), s


def rmsprop(p, g, s, *, rate, rho, eps, decay=0.0, shrink=1.0):
    g = g + decay * p
    s = rho * s + (1 - rho) * g * g
    return shrink * p - rate * g / (np.sqrt(s) + eps), s


def adadelta(p, g, s, t, *, rate, rho, eps, decay=0.0, shrink=1.0):
    g = g + decay * p
    s = rho * s + (1 - rho) * g * g
    d = np.sqrt(t + eps) / np.sqrt(s + eps) * g
    return shrink * p - rate * d, s, rho * t + (1 - rho) * d * d


BOTH = {"decay": 0.3, "shrink": 0.9}
BETAS = {"beta1": 0.9, "beta2": 0.99, "step": 3, "eps": 1e-3}
KERNELS = {
    "gradient": (gradient_step, gradient, 2, {"rate": 0.1, "decay": 0.3, "shrink": 0.9}),
    "momentum": (momentum_step, momentum, 3, {"rate": 0.1, "momentum": 0.9, "decay": 0.3, "shrink": 0.9}),
    "nesterov": (momentum_step, momentum, 3, {"rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": (adam_step, adam, 4, {"rate": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "step": 3, "decay": 0.3}),
    "adamw": (adam_step, adam, 4, {"rate": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "step": 1, "shrink": 0.9}),
    "nadam": (nadam_step, nadam, 4, {"ahead": 0.1, "now": 0.2, **BETAS, **BOTH}),
    "adamax": (adamax_step, adamax, 4, {"rate": 0.1, **BETAS, **BOTH}),
    "adagrad": (adagrad_step, adagrad, 3, {"rate": 0.1, "eps": 1e-3, **BOTH}),
    "rmsprop": (rmsprop_step, rmsprop, 3, {"rate": 0.1, "rho": 0.9, "eps": 1e-3, **BOTH}),
    "adadelta": (adadelta_step, adadelta, 4, {"rate": 0.5, "rho": 0.9, "eps": 1e-3, **BOTH}),
}
NAMES = pytest.mark.parametrize("name", KERNELS)


@NAMES
@SIZES
@DTYPES
def test_steps_are_their_formulas(name, size, dtype):
    kernel, formula, count, options = KERNELS[name]
    given = arrays(count, size, dtype)
    expected = formula(*[a.astype(np.longdouble) for a in given], **options)
    tolerance = {"rtol": 100 * np.finfo(dtype).eps, "atol": 20 * np.finfo(dtype).eps}
    before = [a.copy() for a in given]
    moments = [given[0], *given[2:]]
    out = [np.full_like(a, np.nan) for a in moments]
    kernel(*given, out=out, **options)
    for found, want in zip(out, expected, strict=True):
        np.testing.assert_allclose(found, want.astype(dtype), **tolerance)
    for a, b in zip(given, before, strict=True):
        np.testing.assert_array_equal(a, b)
    with threads(2):
        kernel(*given, out=moments, **options)  # in place
    for found, want in zip(moments, out, strict=True):
        np.testing.assert_array_equal(found, want)
    np.testing.assert_array_equal(given[1], before[1])


def test_some_arrays_in_place():
    p, g, u = arrays(3, 5000, np.float32)
    fresh = np.empty_like(p), np.empty_like(p)
    momentum_step(p, g, u, out=fresh, rate=0.1, momentum=0.9)
    kept = p.copy()
    mixed = np.empty_like(p)
    momentum_step(p, g, u, out=(mixed, u), rate=0.1, momentum=0.9)
    np.testing.assert_array_equal(mixed, fresh[0])
    np.testing.assert_array_equal(u, fresh[1])
    np.testing.assert_array_equal(p, kept)


def test_shapes_and_read_only_arguments():
    p, g = np.ones((3, 4)), np.ones((3, 4))
    p.flags.writeable = g.flags.writeable = False
    out = np.empty((3, 4))
    gradient_step(p, g, out=(out,), rate=0.5)
    np.testing.assert_array_equal(out, np.full((3, 4), 0.5))


@DTYPES
def test_what_is_not_finite_stays_so(dtype):
    p, g = np.ones(4, dtype), np.array([1, np.nan, np.inf, 0], dtype)
    out = [np.empty(4, dtype) for _ in range(3)]
    adam_step(p, g, np.zeros_like(p), np.zeros_like(p), out=out, rate=0.5, beta1=0.5, beta2=0.5, eps=1e-8, step=1)
    np.testing.assert_allclose(out[0], [0.5, np.nan, np.nan, 1.0], rtol=1e-6)


def test_bad_input():
    p = np.ones(3)
    with pytest.raises(TypeError, match="gradient_step: arrays must be float32 or float64, not float16"):
        gradient_step(*[p.astype(np.float16)] * 2, out=(p,), rate=0.1)
    with pytest.raises(TypeError, match="gradient_step: all arrays must have one dtype, not float64 and float32"):
        gradient_step(p, p.astype(np.float32), out=(p,), rate=0.1)
    with pytest.raises(ValueError, match=r"momentum_step: all arrays must have one shape, not \(3,\) and \(2,\)"):
        momentum_step(p, p, p[:2], out=(p, p), rate=0.1, momentum=0.9)
    with pytest.raises(ValueError, match="adam_step: all arrays must be contiguous"):
        adam_step(p, np.ones(6)[::2], p, p, out=(p, p, p), rate=0.1, beta1=0.9, beta2=0.9, eps=0.1, step=1)
    locked = np.ones(3)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="gradient_step: the arrays for results must be writable"):
        gradient_step(p, p, out=(locked,), rate=0.1)
