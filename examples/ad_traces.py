"""Evaluation traces, and ways to differentiate.

From a lecture, "Deep learning" (its tables follow Baydin et al., "Automatic differentiation in machine learning: a
survey"); Ketkar, "Deep Learning with Python", chapters 4 and 9; Ekman, "Learning Deep Learning", chapter 3.

Run::

    python -m examples run ad-traces
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import check_grads, grad, jacfwd, jacrev, jvp, trace, value_and_grad, vjp
from examples.catalogue import program
from examples.report import Row, agreement
from examples.run import PALETTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.run import Run


# -- the two columns of an evaluation trace ------------------------------------------------------------------


def baydin(x1: Any, x2: Any) -> Any:
    """Return the function of the survey's tables."""
    return np.log(x1) + x1 * x2 - np.sin(x2)


@program("lecture/L1")
def forward_trace(run: Run) -> list[Row]:
    """log(x1) + x1 x2 - sin(x2) at (2, 5): every value and every tangent of the lecture's table."""
    run.data = "in the text"
    record = trace(baydin)(2.0, 5.0)
    table = record.table(tangents=(1.0, 0.0))
    run.say(table.forward)
    values = ("2", "5", "0.693", "10", "-0.959", "10.693", "11.652")
    tangents = ("1", "0", "0.5", "5", "0", "5.5", "5.5")
    rows = []
    for step, value, tangent in zip([*record.inputs, *record], values, tangents, strict=True):
        rows.append(Row(step.name, value, f"{round(float(step.value), 3):g}"))
        rows.append(Row(f"{step.name} dot", tangent, f"{table.tangents[step.index]:g}"))
    y, dy = jvp(baydin, (2.0, 5.0), (1.0, 0.0))
    _, other = jvp(baydin, (2.0, 5.0), (0.0, 1.0))
    return [
        *rows,
        Row("y", "11.652", f"{y:.3f}"),
        Row("dy/dx1", "5.5", f"{dy:g}"),
        agreement("dy/dx2 = x1 - cos x2, in a second pass", 2 - math.cos(5), other),
        agreement("both, in one reverse pass", (dy, other), grad(baydin, (0, 1))(2.0, 5.0)),
    ]


def length(x1: Any, x2: Any) -> Any:
    """Return the length of a vector, Ketkar's running example."""
    return (x1**2 + x2**2) ** 0.5


@program("ketkar/K9-0")
def running_example(run: Run) -> list[Row]:
    """sqrt(x1^2 + x2^2): a forward pass for each input, or one forward and one reverse pass."""
    run.data = "at (1, 2), where listing 9-1 calls it; the text's tables are figures that it does not print"
    record = trace(length)(1.0, 2.0)
    first, second = (record.table(tangents=seed) for seed in ((1.0, 0.0), (0.0, 1.0)))
    run.say(first)
    y = math.sqrt(5)
    by_hand = {  # value, tangent by x1, tangent by x2, adjoint
        "v-1": (1, 1, 0, 1 / y),
        "v0": (2, 0, 1, 2 / y),
        "v1": (1, 2, 0, 1 / (2 * y)),
        "v2": (4, 0, 4, 1 / (2 * y)),
        "v3": (5, 2, 4, 1 / (2 * y)),
        "v4": (y, 1 / y, 2 / y, 1),
    }
    rows = []
    for step in (*record.inputs, *record):
        i = step.index
        ours = (first.primals[i], first.tangents.get(i, 0.0), second.tangents.get(i, 0.0), first.adjoints[i])
        shown = ", ".join(f"{v:.4f}" for v in ours)
        same = agreement(step.name, by_hand[step.name], ours)
        rows.append(Row(f"{step.name}: value, two tangents, adjoint", "", shown, f"by hand: {same.measured}", same.met))
    return rows


def cut(value: float, digits: int) -> str:
    """Return a number without the digits behind, not rounded."""
    return f"{math.floor(value * 10**digits) / 10**digits:.{digits}f}"


@program("ketkar/K9-1")
def gradient_by_argument(run: Run) -> list[Row]:
    """The gradient by the number of the argument; the integers 1 and 2 are promoted."""
    run.data = "in the text"
    note = "the text cuts digits off: {:.7f}"
    values = (length(1, 2), grad(length, 0)(1, 2), grad(length, 1)(1, 2))
    printed = (("f(1, 2)", "2.23"), ("df/dx1", "0.44"), ("df/dx2", "0.89"))
    rows = [Row(name, text, cut(v, 2), note.format(v)) for (name, text), v in zip(printed, values, strict=True)]
    return [*rows, agreement("x / f by hand", (1 / math.sqrt(5), 2 / math.sqrt(5)), values[1:])]


@program("ketkar/K9-2")
def gradient_check(run: Run) -> list[Row]:
    """A gradient against a central difference."""
    run.data = "in the text"
    step = 1e-4  # in all: half of it to each side, as the checker of the text's library
    numeric = (length(1 + step / 2, 2.0) - length(1 - step / 2, 2.0)) / step
    analytic = grad(length, 0)(1.0, 2.0)
    check_grads(length, (1.0, 2.0))  # raises if they differ
    within = abs(numeric - analytic) <= 1e-6 + 1e-4 * abs(analytic)  # the library's own limits
    return [
        Row("numeric gradient", "0.447213595409", f"{numeric:.12f}"),
        Row("analytic gradient", "0.4472135955", f"{analytic:.10f}"),
        Row("gradient check", "OK", "OK" if within else "failed", "and check_grads: both modes, two orders"),
    ]


@program("ketkar/K4-6")
def shared_state(run: Run) -> list[Row]:
    """sum((x x + y) x) where y is state that changes between two calls of the same function."""
    run.data = "in the text"
    shared = {"y": np.array([4.0, 5.0, 6.0])}
    function = value_and_grad(lambda x: np.sum(((x * x) + shared["y"]) * x))
    x, rows = np.array([1.0, 2.0, 3.0]), []
    for y, total, slopes in (([4, 5, 6], "68.0", "[7, 17, 33]"), ([1, 1, 1], "42.0", "[4, 13, 28]")):
        shared["y"] = np.array(y, float)
        value, gradient = function(x)
        shown = "[" + ", ".join(f"{g:g}" for g in gradient) + "]"
        rows += [Row(f"value, y = {y}", total, f"{value:.1f}"), Row(f"gradient, y = {y}", slopes, shown)]
        rows.append(agreement(f"3 x^2 + y, y = {y}", 3 * x**2 + shared["y"], gradient))
    return rows


# -- costs ---------------------------------------------------------------------------------------------------


def multiplications(derivative: Callable[[Any], Any], seed: Any) -> int:
    """Return the multiplications of matrices with vectors in what a derivative does to its seed."""
    return trace(derivative)(seed).cost().by_operation["matmul"].flops // 2


@program("lecture/L2")
def cost_model(run: Run) -> list[Row]:
    """The Jacobian of four layers, from the inputs' side and from the outputs', against the lecture's formulas."""
    rows, rng = [], run.rng
    for d in ((40, 30, 20, 10, 1), (1, 10, 20, 30, 40), (8, 8, 8, 8, 8)):
        weights = [rng.normal(size=(m, n)) / n for n, m in itertools.pairwise(d)]
        x = rng.normal(size=d[0])

        def layers(x: Any, weights: Any = weights) -> Any:
            """Return the output of some layers."""
            for w in weights:
                x = np.tanh(w @ x)
            return x

        lower, upper = (lambda x, w=weights[:3]: layers(x, w)), (lambda x, w=weights[1:]: layers(x, w))
        after_first, before_last = layers(x, weights[:1]), lower(x)
        push = lambda v, f=upper, x=after_first: jvp(f, (x,), (v,))[1]  # noqa: E731
        pull = lambda v, f=lower, x=x: vjp(f, x)[1](v)[0]  # noqa: E731
        first = jacrev(lambda x, w=weights[:1]: layers(x, w))(x).T  # d0 tangents of the first layer
        last = jacfwd(lambda x, w=weights[3:]: layers(x, w))(before_last)  # d4 adjoints of the last one
        by_columns, by_rows = np.array([push(v) for v in first]).T, np.array([pull(v) for v in last])
        forward = sum(multiplications(push, v) for v in first)
        reverse = sum(multiplications(pull, v) for v in last)
        formulas = d[0] * (d[1] * d[2] + d[2] * d[3] + d[3] * d[4]), d[4] * (d[2] * d[3] + d[2] * d[1] + d[1] * d[0])
        name = "-".join(map(str, d))
        rows += [
            Row(f"{name}: multiplications, forward", f"{formulas[0]:,}", f"{forward:,}"),
            Row(f"{name}: multiplications, reverse", f"{formulas[1]:,}", f"{reverse:,}"),
            agreement(f"{name}: Jacobian, both modes", by_columns, by_rows),
        ]
    return rows


@program("ekman/B4")
def brute_force(run: Run) -> list[Row]:
    """A weight at a time, N + 1 passes; backpropagation, a little more than two."""
    rng, calls = run.rng, [0]
    x, target = rng.normal(size=20), rng.uniform(size=5)
    shapes = ((10, 20), (5, 10))
    w = rng.normal(size=sum(math.prod(shape) for shape in shapes)) / 4

    def loss(w: Any) -> Any:
        """Half of the squared error of a network with 20 inputs, 10 neurons and 5 outputs."""
        calls[0] += 1
        hidden = np.tanh(np.reshape(w[:200], shapes[0]) @ x)
        return np.sum((np.tanh(np.reshape(w[200:], shapes[1]) @ hidden) - target) ** 2) / 2

    base, step = loss(w), 1e-6
    brute = np.array([(loss(w + step * axis) - base) / step for axis in np.eye(w.size)])
    passes, calls[0] = calls[0], 0
    exact = grad(loss)(w)
    once = calls[0]
    one, both = trace(loss)(w).cost().flops, trace(value_and_grad(loss))(w).cost().flops
    return [
        Row("weights", "", str(w.size)),
        Row("passes, a weight at a time", str(w.size + 1), str(passes)),
        Row("passes of backpropagation", "1", str(once), "forward, and one backward"),
        Row(
            "operations of both, in values",
            "about 2",
            f"{both / one:.2f}",
            "the text counts one product a weight, not the sums",
        ),
        agreement("gradient, a weight at a time", exact, brute, 1e-5, "a difference quotient, step 1e-6"),
    ]


# -- ways to differentiate -----------------------------------------------------------------------------------


def logistic_map(x: Any, times: int) -> Any:
    """Return x after so many iterations of 4 x (1 - x)."""
    for _ in range(times):
        x = 4 * x * (1 - x)
    return x


def by_hand(x: float, times: int) -> float:
    """Return the derivative on paper: with x = sin(a)^2, an iteration doubles the angle a."""
    a = math.asin(math.sqrt(x))
    return 2.0**times * math.sin(2.0 ** (times + 1) * a) / math.sin(2 * a)


def symbolic(times: int) -> list[int]:
    """Return the derivative as a formula: coefficients of the polynomial that the loop is, multiplied out."""
    p = [0, 1]
    for _ in range(times):
        left, right = [4 * c for c in p], [1 - p[0], *(-c for c in p[1:])]
        p = [0] * (2 * len(p) - 1)
        for (i, a), (j, b) in ((one, other) for one in enumerate(left) for other in enumerate(right)):
            p[i + j] += a * b
    return [k * c for k, c in enumerate(p)][1:]


def exactly(x: Fraction, times: int) -> Fraction:
    """Return the derivative in rational arithmetic."""
    slope = Fraction(1)
    for _ in range(times):
        x, slope = 4 * x * (1 - x), 4 * slope * (1 - 2 * x)
    return slope


@program("lecture/L3")
def four_ways(run: Run) -> list[Row]:
    """A loop - the logistic map - differentiated by hand, numerically, symbolically and automatically."""
    x, step, counts = 0.2, 1e-6, range(1, 8)
    run.data = "4 x (1 - x), over and over, from 0.2: our choice of a loop; the slides' is in a figure only"
    ways: dict[str, Callable[[int], Any]] = {
        "manual": lambda n: by_hand(x, n),
        "numerical": lambda n: (logistic_map(x + step, n) - logistic_map(x - step, n)) / (2 * step),
        "symbolic": lambda n: np.polynomial.polynomial.polyval(x, np.array(symbolic(n), float)),
        "automatic, forward": lambda n: jvp(lambda x: logistic_map(x, n), (x,), (1.0,))[1],
        "automatic, reverse": lambda n: grad(logistic_map)(x, n),
    }
    truth = {n: exactly(Fraction(x), n) for n in counts}
    errors = {
        name: [abs(float((Fraction(float(way(n))) - truth[n]) / truth[n])) for n in counts]
        for name, way in ways.items()
    }
    with run.picture() as axes:
        for name, marker in zip(ways, "osD^v", strict=True):
            axes.semilogy(counts, np.maximum(errors[name], 1e-17), marker=marker, label=name, alpha=0.8)
        axes.set(xlabel="iterations of 4 x (1 - x)", ylabel="relative error of the derivative (1e-17: none)")
        axes.legend()
    last = max(counts)
    notes = {"numerical": f"central, h = {step:g}", "symbolic": "the polynomial multiplied out, in float64"}
    rows = [Row(f"{name}: error, {last} iterations", "", f"{e[-1]:.0e}", notes.get(name)) for name, e in errors.items()]
    automatic = max(*errors["automatic, forward"], *errors["automatic, reverse"])
    terms, steps = len(symbolic(last)), len(trace(grad(logistic_map))(x, last).steps)
    return [
        *rows,
        Row(
            "worst automatic error",
            "exact",
            f"{automatic:.0e}",
            "exact up to rounding, against fractions",
            automatic < 1e-12,
        ),
        Row("terms of the formula; automatic operations", "", f"{terms}; {steps}", f"after {last} iterations"),
    ]


@program("ketkar/K9-4")
def polynomial_by_rules(run: Run) -> list[Row]:
    """2 x^3 + x^2 by the rules for sums and powers, and the same numbers from the engine."""
    run.data = "in the text"
    terms = {3: 2, 2: 1}  # exponent: coefficient
    slopes = {n - 1: n * c for n, c in terms.items()}
    shown = " + ".join(f"{c}x^{n}" if n > 1 else f"{c}x" for n, c in slopes.items())
    at = run.rng.normal(size=100)
    value = lambda x: sum(c * x**n for n, c in terms.items())  # noqa: E731
    derivative = sum(c * at**n for n, c in slopes.items())
    return [
        Row("derivative of 2x^3 + x^2", "6x^2 + 2x", shown),
        agreement("at 100 points, forward mode", derivative, jvp(value, (at,), (np.ones(100),))[1]),
        agreement("at 100 points, reverse mode", derivative, grad(lambda x: np.sum(value(x)))(at)),
    ]


SCHEMES: dict[str, Callable[[Any, float, float], float]] = {
    "forward": lambda f, x, h: (f(x + h) - f(x)) / h,
    "backward": lambda f, x, h: (f(x) - f(x - h)) / h,
    "central": lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h),
    "Richardson": lambda f, x, h: (4 * SCHEMES["central"](f, x, h) - SCHEMES["central"](f, x, 2 * h)) / 3,
}


@program("ketkar/K9-5")
def difference_schemes(run: Run) -> list[Row]:
    """How fast four difference quotients approach the derivative, and where rounding turns them back."""
    f, x = (lambda x: np.exp(np.sin(x))), 0.7
    truth = math.cos(x) * math.exp(math.sin(x))
    automatic = abs(jvp(f, (x,), (1.0,))[1] - truth)
    steps, rows = 10.0 ** np.arange(-13, 0.01, 0.25), []
    with run.picture() as axes:
        for (name, scheme), order in zip(SCHEMES.items(), (1, 1, 2, 4), strict=True):
            coarse, fine = (abs(scheme(f, x, h) - truth) for h in (4e-3, 2e-3))
            power = f"O(h^{order})" if order > 1 else "O(h)"
            measured = math.log2(coarse / fine)
            shown = f"O(h^{measured:.0f})" if round(measured) > 1 else "O(h)"
            best = min(abs(scheme(f, x, h) - truth) for h in steps)
            rows += [Row(f"{name}: order", power, shown, f"halving h from 0.004 divides the error by 2^{measured:.2f}")]
            rows += [Row(f"{name}: smallest error", "", f"{best:.0e}")]
            axes.loglog(steps, [abs(scheme(f, x, h) - truth) + 1e-18 for h in steps], label=name)
        axes.axhline(
            max(automatic, 1e-17), color=PALETTE[6], linestyle="--", label=f"automatic differentiation: {automatic:.0e}"
        )
        axes.set(xlabel="step h", ylabel="error of the derivative of exp(sin x)", ylim=(1e-18, 10))
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return [*rows, agreement("automatic: error", truth, truth + automatic, 1e-15)]
