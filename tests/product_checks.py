"""What the tests of products, matrices and signals check about one function at one point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import grad, jvp, vjp

if TYPE_CHECKING:
    from collections.abc import Callable


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.float64) -> Any:
    """Normal numbers; complex ones have both parts."""
    x = rng.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return np.asarray(x, dtype)


def check(f: Callable[..., Any], *args: Any, order: int = 2, seed: int = 0) -> None:
    """Compare value, both modes and (order 2) all mixtures of them with plain NumPy and finite differences."""
    rng = np.random.default_rng(seed)
    ts = [draw(rng, np.shape(x), np.asarray(x).dtype) for x in args]
    want = np.asarray(f(*args))
    y, t = jvp(f, args, tuple(ts))
    assert (np.shape(y), y.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-13)
    assert (np.shape(t), t.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(t, difference(f, args, ts), rtol=1e-6, atol=1e-7)

    y, pull = vjp(f, *args)
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-13)
    ct = draw(rng, want.shape, want.dtype)
    cts = pull(ct[()])
    for c, x in zip(cts, args, strict=True):
        assert (np.shape(c), c.dtype) == (np.shape(x), np.asarray(x).dtype)
    # The transpose for the pairing Re(sum(a * b)).
    inner = sum(np.sum(c * d) for c, d in zip(cts, ts, strict=True))
    np.testing.assert_allclose(np.real(inner), np.real(np.sum(ct * t)), rtol=1e-9, atol=1e-11)
    if order > 1:
        check_second(f, args, ts, ct)


def difference(f: Callable[..., Any], args: Any, ts: Any, h: float = 1e-6) -> Any:
    """Central difference along a direction."""
    up = f(*(x + h * t for x, t in zip(args, ts, strict=True)))
    down = f(*(x - h * t for x, t in zip(args, ts, strict=True)))
    return (np.asarray(up) - np.asarray(down)) / (2 * h)


def check_second(f: Callable[..., Any], args: Any, ts: Any, w: Any) -> None:
    """Second derivative of ``sum(w * sin(f))`` along two directions, in the four mixtures of the modes."""
    us = tuple(t[::-1] * 0.7 if np.ndim(t) else t * 0.7 for t in ts)
    numbers = tuple(range(len(args)))

    def scalar(*xs: Any) -> Any:
        return np.real(np.sum(w * np.sin(f(*xs))))

    def along(*xs: Any) -> Any:
        return jvp(scalar, xs, tuple(ts))[1]

    def dot(gs: Any, ds: Any) -> Any:
        return sum(np.real(np.sum(g * d)) for g, d in zip(gs, ds, strict=True))

    def pulled(*xs: Any) -> Any:
        return dot(grad(scalar, argnums=numbers)(*xs), ts)

    want = difference(pulled, args, us)
    for first in (along, pulled):
        np.testing.assert_allclose(jvp(first, args, us)[1], want, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(dot(grad(first, argnums=numbers)(*args), us), want, rtol=1e-5, atol=1e-6)


def check_float32(f: Callable[..., Any], *args: Any, result: Any = np.float32) -> None:
    """The value has NumPy's dtype, tangents that of the value, gradients that of the argument."""
    xs = tuple(np.asarray(x, np.float32) for x in args)
    assert np.asarray(f(*xs)).dtype == result
    y, t = jvp(f, xs, xs)
    _, pull = vjp(f, *xs)
    assert (y.dtype, t.dtype) == (result, result)
    assert [c.dtype for c in pull(y)] == [np.dtype(np.float32)] * len(xs)
