"""Errors of the elementary functions in units in the last place, against mpmath; as a program, a short check of all.

The tests run the program on a processor without fused multiply-add and without compilation.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import mpmath as mp
import numpy as np

from kernels.cpu import elementwise

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 2.0  # units in the last place
DTYPES = (np.float32, np.float64)


def _log1p(x: Any) -> Any:
    return x - x * x / 2 if abs(x) < mp.mpf(2) ** -100 else mp.log1p(x)


EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": mp.exp,
    "expm1": mp.expm1,
    "log": mp.log,
    "log1p": _log1p,
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: _log1p(mp.exp(x)),
    "erf": mp.erf,
}

RANGES: dict[str, list[tuple[float, float]]] = {
    "exp": [(-745, 710), (-104, 89), (-1, 1)],
    "expm1": [(-40, 40), (-2, 2), (-0.4, 0.4)],
    "log": [(0, 10), (0.5, 1.5), (0.99, 1.01)],
    "log1p": [(-0.9999, 10), (-0.5, 0.5), (-0.01, 0.01)],
    "tanh": [(-20, 20), (-2, 2), (-0.4, 0.4)],
    "sigmoid": [(-745, 40), (-104, 20), (-4, 4)],
    "softplus": [(-745, 745), (-104, 20), (-4, 4)],
    "erf": [(-6, 6), (-2, 2), (-0.4, 0.4)],
}

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
SPECIAL_VALUES: dict[str, list[float]] = {
    "exp": [1.0, 1.0, np.inf, 0.0, np.nan],
    "expm1": [0.0, -0.0, np.inf, -1.0, np.nan],
    "log": [-np.inf, -np.inf, np.inf, np.nan, np.nan],
    "log1p": [0.0, -0.0, np.inf, np.nan, np.nan],
    "tanh": [0.0, -0.0, 1.0, -1.0, np.nan],
    "sigmoid": [0.5, 0.5, 1.0, 0.0, np.nan],
    "softplus": [float(np.log(2.0)), float(np.log(2.0)), np.inf, 0.0, np.nan],
    "erf": [0.0, -0.0, 1.0, -1.0, np.nan],
}


def in_domain(name: str, x: Any) -> Any:
    """Return the arguments that are finite and have a finite result, overflow aside."""
    lowest = {"log": 0.0, "log1p": -1.0}.get(name, -np.inf)
    return x[np.isfinite(x) & (x > lowest)]


def edges(name: str, dtype: Any) -> Any:
    """Return numbers at which an implementation changes its ways or might fail, with their neighbours."""
    kind = np.finfo(dtype)
    smallest, tiny, largest, eps = (float(v) for v in (kind.smallest_subnormal, kind.tiny, kind.max, kind.eps))
    overflow, underflow, vanishing, ln2 = np.log(largest), -np.log(tiny), -np.log(smallest), np.log(2.0)
    values = [smallest, 3 * smallest, tiny / 2, tiny, 1e-20, eps, eps**0.5, 1e-3, 0.1, ln2 / 4, 0.41421356, 0.5]
    values += [2.0**-0.5, 1 - 1e-3, 1 - eps, 1.0, 1 + eps, 1 + 1e-3, 1.0986123, 1.25, 2.0**0.5, 2.0, 3.93, 5.93, 9.1]
    values += [17.5, 18.0, 19.1, 37.5, 40.0, overflow, underflow, vanishing, vanishing + ln2, 1e30, largest]
    values += [k * ln2 / 2 for k in range(1, 40)]
    x = np.array(values).astype(dtype)
    with np.errstate(over="ignore"):
        x = np.concatenate([x, np.nextafter(x, dtype(0)), np.nextafter(x, dtype(np.inf))])
    return in_domain(name, np.concatenate([x, -x]))


def samples(name: str, dtype: Any, count: int) -> Any:
    """Return random numbers: even in the interesting ranges, even on a logarithmic scale, and random bits."""
    rng = np.random.default_rng(7)
    ranges = [rng.uniform(low, high, count).astype(dtype) for low, high in RANGES[name]]
    small = np.exp(rng.uniform(-40, 0, count)).astype(dtype) * rng.choice([-1, 1], count).astype(dtype)
    bits = rng.integers(0, 2**32, (count, np.dtype(dtype).itemsize // 4), np.uint32).view(dtype).reshape(-1)
    return in_domain(name, np.concatenate([*ranges, small, bits]))


def error(name: str, x: float, y: float, dtype: Any) -> float:
    """Return the distance from `y` to the exact value at `x` in units in the last place."""
    bits, lowest = (24, -149) if dtype == np.float32 else (53, -1074)
    if np.isnan(y):
        return np.inf
    with mp.workprec(160):
        exact = EXACT[name](mp.mpf(x))
        unit = mp.ldexp(1, max(min(mp.frexp(exact)[1], np.finfo(dtype).maxexp) - bits, lowest))
        if np.isinf(y):  # as far away as the first number that is too large
            y = np.sign(y) * mp.ldexp(1, int(np.finfo(dtype).maxexp))
            exact = min(exact, y)
        return float(abs(y - exact) / unit)


def largest_error(name: str, x: Any) -> tuple[float, float]:
    """Return the largest error in units in the last place, and where."""
    y = getattr(elementwise, name)(x)
    assert y.dtype == x.dtype
    return max((error(name, a, b, x.dtype.type), a) for a, b in zip(x.tolist(), y.tolist(), strict=True))


def check_special(name: str, dtype: Any) -> None:
    """Compare zeros, infinities and NaN, with their signs."""
    want = np.array(SPECIAL_VALUES[name]).astype(dtype)
    for copies in (1, 40):  # the vectors and what remains of them
        got = getattr(elementwise, name)(np.tile(SPECIAL.astype(dtype), copies)).reshape(copies, -1)
        for row in got:
            np.testing.assert_array_equal(row, want)
            number = ~np.isnan(want)
            np.testing.assert_array_equal(np.signbit(row[number]), np.signbit(want[number]))


def main() -> None:
    """Check every function on few numbers; print the largest errors."""
    for name in EXACT:
        for dtype in DTYPES:
            check_special(name, dtype)
            x = np.concatenate([edges(name, dtype), samples(name, dtype, int(sys.argv[1]))])
            worst, where = largest_error(name, x)
            print(f"{name} {dtype.__name__} {worst:.2f} at {where!r}")
            assert worst <= LIMIT, (name, dtype, worst, where)


if __name__ == "__main__":
    main()
