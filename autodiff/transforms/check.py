"""`check_grads`: derivatives of a program compared with differences of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodiff import tree
from autodiff.core.backend import adopted
from autodiff.core.errors import DeviceError, describe
from autodiff.core.spec import dtype_of, is_inexact, shape_of
from autodiff.device import device_put, move, place
from autodiff.transforms._boundary import check_callable
from autodiff.transforms._report import Comparison, compared, table
from autodiff.transforms.forward import jvp
from autodiff.transforms.reverse import vjp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Program = Callable[..., list[Any]]  # takes the leaves that can carry a derivative, returns such leaves

__all__ = ["check_grads"]

#: How many elements of an argument are looked at one by one, once its derivative has been found to be wrong.
ELEMENTS = 256
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
        The point, one entry for each argument of `f`. Integers inside containers are left alone. Arrays on a device
        stay there while `f` runs.
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
        If a derivative is wrong. It names the order, the mode and the argument, shows both numbers where they
        differ most, and has a table: for each argument and each output, how many elements are wrong, which one
        is off most, and by how much. Forward mode is compared along a random direction in the argument, so its
        elements are those of the output; reverse mode with a random cotangent of the output, so its elements are
        those of the argument (of a large one 256 of them).
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
    AssertionError: check_grads: order 1, fwd: the derivative of result with respect to args[0] is wrong.
      got      0.82177012...
      expected 0.54784674... (central differences, eps=0.0005)
    <BLANKLINE>
      argument  output  wrong   worst  got       expected  off by
      args[0]   result  1 of 1  []     0.82177   0.547847  0.27
    """
    check_callable("check_grads", f)
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    _check_request(args, order, modes)
    program, xs, paths, outputs = _program(f, tuple(args))
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
    checker.check(program, xs, (), outputs)


def _check_request(args: Any, order: Any, modes: tuple[str, ...]) -> None:
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"check_grads: args must be a tuple, not {describe(args)}; write check_grads(f, (x,)).")
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"check_grads: order must be a positive integer, not {order!r}.")
    if not modes or any(m not in MODES for m in modes):
        raise ValueError(f"check_grads: modes must be some of {MODES}, not {modes!r}.")


def _program(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Program, list[Any], list[str], list[str]]:
    """Return `f` as a function of the leaves that can carry a derivative, these, their names and the outputs'."""
    leaves, structure = tree.flatten(tuple(_as_float(a) if tree.structure(a) is tree.LEAF else a for a in args))
    active = [i for i, x in enumerate(leaves) if is_inexact(x)]
    if not active:
        raise TypeError("check_grads: the arguments hold no floating-point array, so there is nothing to check.")
    names = structure.paths("args")
    # Directions are drawn and numbers compared on the host; moving to the device and back is part of the program.
    places = {i: place(adopted(leaves[i])) for i in active}
    for i in active:
        if places[i] == "elsewhere":
            raise DeviceError(
                f"check_grads: {names[i]} ({describe(leaves[i])} of {type(leaves[i]).__module__}) has no way back once "
                "it is moved to the host; check the function with NumPy arrays (autodiff.device_put(x, 'cpu'))."
            )

    def program(*xs: Any) -> list[Any]:
        full = list(leaves)
        for i, x in zip(active, xs, strict=True):
            full[i] = move(x, target=places[i], source="cpu")
        return [device_put(y, "cpu") for y in tree.leaves(f(*tree.unflatten(structure, full))) if is_inexact(y)]

    results, result = tree.flatten(f(*tree.unflatten(structure, leaves)))
    outputs = [name for name, y in zip(result.paths("result"), results, strict=True) if is_inexact(y)]
    return program, [device_put(leaves[i], "cpu") for i in active], [names[i] for i in active], outputs


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

    def check(self, f: Program, xs: Sequence[Any], inner: tuple[str, ...], outputs: list[str]) -> None:
        """Check the first derivative of `f`, which is itself a derivative by the modes `inner`, and so on upwards."""
        ts = [self.draw(x) for x in xs]
        cts = [self.draw(y) for y in f(*xs)]
        for mode in self.modes:
            trail = (mode, *inner)
            derivative = _derivative(mode, f, ts, cts)
            got, expected = self.both(mode, f, derivative, xs, ts, cts)
            if not self.close(got, expected):
                self.fail(trail, f, outputs, (xs, ts, cts), (got, expected))
            if len(trail) < self.order:
                self.check(derivative, xs, trail, outputs if mode == "fwd" else [f"d/d {p}" for p in self.paths])

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

    def fail(self, trail: tuple[str, ...], f: Program, outputs: list[str], at: Any, found: Any) -> None:
        """Find where the derivative is wrong, and say so."""
        entries = (self.forward_entries if trail[0] == "fwd" else self.reverse_entries)(f, outputs, *at)
        wrong = [entry for entry in entries if entry.wrong]
        if wrong:
            worst = max(wrong, key=lambda entry: entry.excess)
            what, got, expected = f"of {worst.output} with respect to {worst.argument}", worst.got, worst.expected
            where = f" at {list(worst.at)}" if worst.at else ""
        else:  # each is right by itself: no linear function of the direction
            got, expected = next((g, e) for g, e in zip(*found, strict=True) if not self.close([g], [e]))
            one = compared("", "", _wide(got), _wide(expected), self.atol, self.rtol)
            got, expected, where = one.got, one.expected, f" at {list(one.at)}" if one.at else ""
            what = f"with respect to {', '.join(self.paths)} together"
        raise AssertionError(
            f"check_grads: order {len(trail)}, {' over '.join(trail)}: the derivative {what} is wrong.\n"
            f"  got      {got}{where}\n"
            f"  expected {expected} (central differences, eps={self.eps:g})\n\n{table(entries)}"
        )

    def forward_entries(self, f: Program, outputs: list[str], xs: Any, ts: Any, _cts: Any) -> list[Comparison]:
        """Compare the tangents of each output, moving one argument at a time."""
        entries = []
        for i, path in enumerate(self.paths):
            alone = [t if j == i else np.zeros_like(t) for j, t in enumerate(ts)]
            pairs = zip(outputs, jvp(f, tuple(xs), tuple(alone))[1], self.difference(f, xs, alone), strict=True)
            entries += [compared(path, name, _wide(g), e, self.atol, self.rtol) for name, g, e in pairs]
        return entries

    def reverse_entries(self, f: Program, outputs: list[str], xs: Any, _ts: Any, cts: Any) -> list[Comparison]:
        """Compare the adjoints of each argument, element by element, for one output at a time."""
        _, pull = vjp(f, *xs)
        rows = [pull([c if k == j else np.zeros_like(c) for k, c in enumerate(cts)]) for j in range(len(cts))]
        entries = []
        for i, path in enumerate(self.paths):
            chosen = _some(np.size(xs[i]))
            expected = self.adjoints(f, xs, cts, i, chosen)
            for j, name in enumerate(outputs):
                got = _wide(rows[j][i]).reshape(-1)[chosen]
                entry = compared(path, name, got, expected[:, j], self.atol, self.rtol)
                entries.append(entry.unravelled(chosen, shape_of(xs[i])))
        return entries

    def adjoints(self, f: Program, xs: Any, cts: Any, i: int, chosen: Any) -> Any:
        """Adjoints of some elements of argument `i` by differences: one column for each output."""
        complex_ = dtype_of(xs[i]).kind == "c"
        found = np.zeros((len(chosen), len(cts)), complex if complex_ else float)
        for row, k in enumerate(chosen):
            for unit in (1.0, 1j) if complex_ else (1.0,):
                ts = [np.zeros(shape_of(x), dtype_of(x)) for x in xs]
                ts[i].reshape(-1)[k] = unit
                d = self.difference(f, xs, ts)
                # Along 1j * t the pairing Re(adjoint * t) gives minus the imaginary part.
                found[row] += np.conjugate(unit) * np.array([_pair([c], [t]) for c, t in zip(cts, d, strict=True)])
        return found


def _some(size: int) -> Any:
    """All positions of a small array, or some of a large one."""
    return np.arange(size) if size <= ELEMENTS else np.linspace(0, size - 1, ELEMENTS).astype(np.intp)


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
