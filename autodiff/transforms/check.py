"""`check_grads`: derivatives of a program compared with differences of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodiff import tree
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, is_inexact, shape_of
from autodiff.transforms._boundary import check_callable
from autodiff.transforms.forward import jvp
from autodiff.transforms.reverse import vjp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Program = Callable[..., list[Any]]  # takes the leaves that can carry a derivative, returns such leaves

__all__ = ["check_grads"]

#: Step of the differences and tolerance, by the bytes of a real number.
DEFAULTS = {2: (1e-1, 5e-2), 4: (2e-2, 2e-3), 8: (5e-4, 1e-6), 16: (5e-4, 1e-6)}
MODES = ("fwd", "rev")


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: str | Sequence[str] = MODES,
    *,
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    rng: np.random.Generator | int | None = None,
) -> None:
    """Compare the derivatives of a function with central differences, in every mode and mixture of modes.

    Forward mode must give the difference quotient of the value along a random direction; reverse mode must give
    its inner product with a random cotangent. For the orders above the first, each derivative so checked is
    itself differentiated again, in each mode.

    Parameters
    ----------
    f : callable
        A function of real or complex arrays, written with NumPy; any trees in and out. It must be smooth within
        ``2 * eps`` of `args`.
    args : sequence of trees of arrays
        The point, one entry for each argument of `f`. Integers inside containers are left alone.
    order : int
        The highest order of derivative to check.
    modes : sequence of "fwd" and "rev"
        The modes to check; ``("fwd", "rev")`` at order 2 makes four mixtures.
    atol, rtol : float, optional
        Tolerances, absolute and relative to the expected value; by default 1e-6 in float64, 2e-3 in float32
        and 5e-2 in float16.
    eps : float, optional
        Step of the differences (of order four, so rather large): by default 5e-4, 2e-2 and 1e-1.
    rng : Generator or int, optional
        Where the directions come from; by default the same in every call.

    Raises
    ------
    AssertionError
        If a derivative is wrong; it names the mode, the order and the argument, and shows both numbers.
    TypeError, ValueError
        If the arguments cannot be checked.

    Examples
    --------
    >>> import numpy as np
    >>> check_grads(lambda w, x: np.tanh(w @ x), (np.eye(2), np.ones(2)), order=3)
    >>> from autodiff import custom_jvp
    >>> square = custom_jvp(lambda x: x * x)
    >>> rule = square.defjvp(lambda primals, tangents: (square(primals[0]), 3 * primals[0] * tangents[0]))
    >>> check_grads(square, (1.0,), order=1, modes="fwd")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    AssertionError: check_grads: order 1, fwd: the derivative with respect to args[0] is wrong.
      got      0.82177012...
      expected 0.54784674... (central differences, eps=0.0005)
    """
    check_callable("check_grads", f)
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    _check_request(args, order, modes)
    program, xs, paths = _program(f, tuple(args))
    ys = program(*xs)
    if not ys:
        raise TypeError("check_grads: the function's value has no floating-point array, so there is nothing to check.")
    lowest = min(np.finfo(dtype_of(v)).dtype.itemsize for v in (*xs, *ys))
    step, tolerance = DEFAULTS[lowest]
    checker = _Checker(
        modes=modes,
        order=order,
        paths=paths,
        atol=tolerance if atol is None else atol,
        rtol=tolerance if rtol is None else rtol,
        eps=step if eps is None else eps,
        rng=rng if isinstance(rng, np.random.Generator) else np.random.default_rng(0 if rng is None else rng),
    )
    checker.check(program, xs, ())


def _check_request(args: Any, order: Any, modes: tuple[str, ...]) -> None:
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"check_grads: args must be a tuple, not {describe(args)}; write check_grads(f, (x,)).")
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"check_grads: order must be a positive integer, not {order!r}.")
    if not modes or any(m not in MODES for m in modes):
        raise ValueError(f"check_grads: modes must be some of {MODES}, not {modes!r}.")


def _program(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Program, list[Any], list[str]]:
    """Return `f` as a function of the leaves that can carry a derivative, those leaves, and their names."""
    leaves, structure = tree.flatten(tuple(_as_float(a) if tree.structure(a) is tree.LEAF else a for a in args))
    active = [i for i, x in enumerate(leaves) if is_inexact(x)]
    if not active:
        raise TypeError("check_grads: the arguments hold no floating-point array, so there is nothing to check.")
    names = structure.paths("args")

    def program(*xs: Any) -> list[Any]:
        full = list(leaves)
        for i, x in zip(active, xs, strict=True):
            full[i] = x
        return [y for y in tree.leaves(f(*tree.unflatten(structure, full))) if is_inexact(y)]

    return program, [leaves[i] for i in active], [names[i] for i in active]


def _as_float(x: Any) -> Any:
    """An integer that is differentiated directly counts as a float, as in `grad`."""
    return np.asarray(x, np.float64)[()] if dtype_of(x).kind in "iu" else x


class _Checker(NamedTuple):
    """The settings of one call."""

    modes: tuple[str, ...]
    order: int
    paths: list[str]
    atol: float
    rtol: float
    eps: float
    rng: np.random.Generator

    def check(self, f: Program, xs: Sequence[Any], inner: tuple[str, ...]) -> None:
        """Check the first derivative of `f`, which is itself a derivative by the modes `inner`, and so on upwards."""
        ts = [self.draw(x) for x in xs]
        cts = [self.draw(y) for y in f(*xs)]
        for mode in self.modes:
            trail = (mode, *inner)
            derivative = _derivative(mode, f, ts, cts)
            got, expected = self.both(mode, f, derivative, xs, ts, cts)
            if not self.close(got, expected):
                self.fail(trail, f, derivative, xs, ts, cts)
            if len(trail) < self.order:
                self.check(derivative, xs, trail)

    def both(self, mode: str, f: Program, derivative: Any, xs: Any, ts: Any, cts: Any) -> tuple[list[Any], list[Any]]:
        """What the mode gives along `ts`, and what differences give."""
        expected = self.difference(f, xs, ts)
        if mode == "fwd":
            return jvp(f, tuple(xs), tuple(ts))[1], expected
        return [_pair(derivative(*xs), ts)], [_pair(cts, expected)]

    def draw(self, like: Any) -> Any:
        """Numbers between -1 and 1, of the shape and dtype of `like`."""
        x = self.rng.uniform(-1.0, 1.0, shape_of(like))
        if dtype_of(like).kind == "c":
            x = x + 1j * self.rng.uniform(-1.0, 1.0, shape_of(like))
        return np.asarray(x, dtype_of(like))[()]

    def difference(self, f: Program, xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
        """Derivative of `f` along `ts`, by central differences of order four."""
        h = self.eps
        up2, up, down, down2 = (
            f(*[_moved(x, k * h, t) for x, t in zip(xs, ts, strict=True)]) for k in (2.0, 1.0, -1.0, -2.0)
        )
        return [
            (8 * (b - c) - (a - d)) / (12 * h)
            for a, b, c, d in zip(*(map(_wide, ys) for ys in (up2, up, down, down2)), strict=True)
        ]

    def close(self, got: Sequence[Any], expected: Sequence[Any]) -> bool:
        """Whether all numbers agree; NaN agrees with nothing."""
        return all(np.allclose(_wide(g), e, rtol=self.rtol, atol=self.atol) for g, e in zip(got, expected, strict=True))

    def fail(self, trail: tuple[str, ...], f: Program, derivative: Program, xs: Any, ts: Any, cts: Any) -> None:
        """Find the argument in which the derivative is wrong, and say so."""
        where = ", ".join(self.paths)
        got, expected = self.both(trail[0], f, derivative, xs, ts, cts)
        for i, path in enumerate(self.paths):
            alone = [t if j == i else np.zeros_like(t) for j, t in enumerate(ts)]
            g, e = self.both(trail[0], f, derivative, xs, alone, cts)
            if not self.close(g, e):
                where, got, expected = path, g, e
                break
        g, e = next((g, e) for g, e in zip(got, expected, strict=True) if not self.close([g], [e]))
        raise AssertionError(
            f"check_grads: order {len(trail)}, {' over '.join(trail)}: the derivative with respect to {where} is "
            "wrong.\n"
            f"  got      {_shown(g, e, self)}\n"
            f"  expected {_shown(e, g, self)} (central differences, eps={self.eps:g})"
        )


def _derivative(mode: str, f: Program, ts: Sequence[Any], cts: Sequence[Any]) -> Program:
    """The derivative of `f` along fixed directions, as a function that can be differentiated again."""
    if mode == "fwd":
        return lambda *xs: jvp(f, xs, tuple(ts))[1]
    return lambda *xs: list(vjp(f, *xs)[1](list(cts)))


def _moved(x: Any, step: float, t: Any) -> Any:
    return np.asarray(x + step * t, dtype_of(x))[()]


def _wide(x: Any) -> Any:
    """In double precision or better, so that differences and sums add no error of their own."""
    return np.asarray(x, np.result_type(dtype_of(x), np.float64))


def _pair(cts: Sequence[Any], ts: Sequence[Any]) -> Any:
    """Real inner product of cotangents with tangents."""
    return sum(np.sum(np.real(_wide(c) * _wide(t))) for c, t in zip(cts, ts, strict=True))


def _shown(x: Any, other: Any, checker: _Checker) -> str:
    """A number, or the entry of an array that is furthest from the other array, with its index."""
    x, other = _wide(x), _wide(other)
    if not x.shape:
        return str(x)
    off = np.abs(x - other) - checker.rtol * np.abs(other)
    at = tuple(int(i) for i in np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), x.shape))
    return f"{x[at]} at {list(at)}"
