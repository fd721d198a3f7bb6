"""Derive the coefficients of `kernels/cpu/polynomials.py`, in 60 digits, by Stiefel's exchange.

Run from a checkout (it needs mpmath and takes a minute)::

    python benchmarks/fit_polynomials.py [NAME ...]

For each table it prints the largest weighted error of the rounded polynomial and the table as Python text. The weight
turns an error of the polynomial into a relative error of the function that is computed with it, so the figure printed
is what the approximation alone, without rounding, costs: `2^-24` is half a unit in the last place of float32.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np

mp.mp.dps = 60

GRID = 400
SPLIT = {"f32": 1.0, "f64": 1.25}  # where erf changes from one polynomial to the other
ERF_END = {"f32": 3.93, "f64": 5.93}  # beyond it erf rounds to 1


@dataclass(frozen=True)
class Fit:
    """What a polynomial approximates.

    Parameters
    ----------
    function
        The function of the polynomial's own variable.
    weight
        The factor of the error that is to be small.
    interval
        Where.
    degrees
        The degree by precision.
    """

    function: Callable[[Any], Any]
    weight: Callable[[Any], Any]
    interval: Callable[[str], tuple[Any, Any]]
    degrees: dict[str, int]


def _half_ln2(_: str) -> tuple[Any, Any]:
    """Return the remainders of a division by ln 2, with room for the rounding of the quotient."""
    end = mp.log(2) / 2 * (1 + mp.mpf(2) ** -14)
    return -end, end


def _log_of_ratio(z: Any) -> Any:
    """Return R(z) / z for log((1 + s) / (1 - s)) = 2 s + s R(z), z = s^2."""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


FITS = {
    # exp(r) = 1 + r + r^2 P(r); the weight is that of expm1, which uses it too.
    "EXP": Fit(
        lambda r: (mp.expm1(r) - r) / r**2,
        lambda r: abs(r**2 / mp.expm1(r)),
        _half_ln2,
        {"f32": 4, "f64": 9},
    ),
    # log((1 + s) / (1 - s)) = 2 s + s z P(z), z = s^2
    "LOG_RATIO": Fit(
        _log_of_ratio,
        lambda z: z / (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z)),
        lambda _: (mp.mpf(2) ** -40, ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2),
        {"f32": 2, "f64": 6},
    ),
    # erf(x) = x + x P(x^2) below the split
    "ERF_SMALL": Fit(
        lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
        lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)),
        lambda kind: (mp.mpf(2) ** -40, mp.mpf(SPLIT[kind]) ** 2),
        {"f32": 6, "f64": 14},
    ),
    # erf(x) = 1 - exp(P(x)) above it
    "ERF_LARGE": Fit(
        lambda x: mp.log(mp.erfc(x)),
        lambda x: mp.erfc(x) / mp.erf(x),
        lambda kind: (mp.mpf(SPLIT[kind]), mp.mpf(ERF_END[kind])),
        {"f32": 6, "f64": 14},
    ),
}


def chebyshev_points(low: Any, high: Any, count: int) -> list[Any]:
    """Return the extrema of a Chebyshev polynomial on [low, high], in ascending order."""
    return [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (count - 1)) for i in range(count)]


def evaluate(coefficients: Sequence[Any], x: Any) -> Any:
    """Return the polynomial with the given coefficients, the constant first."""
    total = mp.mpf(0)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def minimax(points: Sequence[Any], target: Sequence[Any], weight: Sequence[Any], powers: Sequence[int]) -> list[Any]:
    """Return the coefficients of `powers` that make the largest weighted error on the points smallest.

    Stiefel's exchange: n coefficients level the error on n + 1 of the points; as long as it is larger somewhere else,
    that point replaces the one whose removal keeps the signs consistent. Unlike Remez' alternating signs, this also
    works for powers that have a common zero within the interval.
    """
    rows = [[w * x**p for p in powers] for x, w in zip(points, weight, strict=True)]
    values = [w * t for t, w in zip(target, weight, strict=True)]
    size = len(powers)
    chosen = [round(i * (len(points) - 1) / (size + 2)) for i in range(1, size + 2)]
    for _ in range(40 * size):
        basis = mp.matrix([rows[i] for i in chosen[:-1]]).T
        multipliers = [*mp.lu_solve(basis, -mp.matrix(rows[chosen[-1]])), mp.mpf(1)]
        system = mp.matrix([[*rows[i], mp.sign(m)] for i, m in zip(chosen, multipliers, strict=True)])
        *coefficients, level = mp.lu_solve(system, mp.matrix([values[i] for i in chosen]))
        errors = [v - mp.fdot(row, coefficients) for row, v in zip(rows, values, strict=True)]
        worst = max(range(len(points)), key=lambda i: abs(errors[i]))
        if abs(errors[worst]) <= abs(level) * (1 + mp.mpf(10) ** -5):
            return list(coefficients)
        sign = mp.sign(errors[worst]) * mp.sign(level)
        change = [*mp.lu_solve(basis, -mp.matrix(rows[worst])), mp.mpf(0)]
        leaving = max(range(size + 1), key=lambda i: -sign * change[i] / multipliers[i])
        chosen[leaving] = worst
    raise ArithmeticError(f"no convergence for powers {powers}")


def rounded(value: Any, kind: str) -> float:
    """Return a number as a float32 or float64, the latter rounded once."""
    if kind == "f64":
        return float(value)
    with mp.workprec(24):
        return float(np.float32(float(+value)))


def fit(name: str, kind: str) -> tuple[list[float], Any]:
    """Return the rounded coefficients of a table, the constant first, and the largest weighted error.

    The coefficients are rounded one after the other, and the free ones adapt to those already rounded.
    """
    work = FITS[name]
    degree = work.degrees[kind]
    points = chebyshev_points(*work.interval(kind), GRID)
    target = [work.function(x) for x in points]
    weight = [work.weight(x) for x in points]
    done: list[Any] = []
    for power in range(degree + 1):
        rest = [t - evaluate(done, x) for x, t in zip(points, target, strict=True)]
        free = minimax(points, rest, weight, range(power, degree + 1))
        done.append(mp.mpf(rounded(free[0], kind)))
    error = max(abs(w * (evaluate(done, x) - t)) for x, t, w in zip(points, target, weight, strict=True))
    return [float(c) for c in done], error


def text(value: float, kind: str) -> str:
    """Return the shortest decimal that reads back as the same number."""
    return repr(value) if kind == "f64" else str(np.float32(value))


def main() -> None:
    wanted = sys.argv[1:] or FITS
    for name in wanted:
        for kind in FITS[name].degrees:
            coefficients, error = fit(name, kind)
            print(f"# error 2^{float(mp.log(error, 2)):.1f}")
            print(f"{name}_{kind.upper()} = (")
            for value in coefficients:
                print(f"    {text(value, kind)},")
            print(")", flush=True)


if __name__ == "__main__":
    main()
