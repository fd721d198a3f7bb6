"""Gradient descent on curves and surfaces.

- Ketkar, "Deep Learning with Python", chapter 8 (K8-1): steepest descent on x^2, local minima, saddles, learning rates.
- Ekman, "Learning Deep Learning", chapter 2 (G2): the same in one and two dimensions.
- Buduma, "Fundamentals of Deep Learning", chapter 2 (B09): batch, stochastic and mini-batch descent on one weight.
- The lecture slides "PART II: DEEP LEARNING" (L6, L7): stochastic descent that never converges, and the cure.

Run::

    python -m examples run ketkar/K8-1 ekman/G2 buduma/B09 lecture/L6 lecture/L7
"""

from __future__ import annotations

from typing import Any

import numpy as np

import nn
from autodiff import grad, hessian
from examples.catalogue import program
from examples.paths import contours, descend
from examples.report import Row
from examples.run import PALETTE, Run
from nn.schedules import robbins_monro

# -- steepest descent ----------------------------------------------------------------------------------------


def two_valleys(x: Any) -> Any:
    """A valley on the right, and a deeper one on the left."""
    return x**4 / 4 - x**2 + 0.3 * x


def saddle(p: Any) -> Any:
    """A pass: up along x, down along y."""
    return p[0] ** 2 - p[1] ** 2


def narrow_valley(p: Any) -> Any:
    """Twenty-five times as steep across as along."""
    return p[0] ** 2 + 25 * p[1] ** 2


@program("ketkar/K8-1")
def steepest_descent(run: Run) -> list[Row]:
    """Steepest descent on x^2, whose path can be written down, and what the chapter draws: difficulties, momentum."""
    rates, start, steps = (0.1, 0.45, 0.95, 1.05), 2.0, 20
    paths = {rate: descend(nn.SGD(rate), lambda x: x**2, start, steps) for rate in rates}
    formula = {rate: start * (1 - 2 * rate) ** np.arange(steps + 1) for rate in rates}
    error = max(float(np.max(np.abs(paths[rate] / formula[rate] - 1))) for rate in rates)
    high, deep = descend(nn.SGD(0.1), two_valleys, 1.6, 100), descend(nn.SGD(0.1), two_valleys, -0.1, 100)
    ridge = descend(nn.SGD(0.1), saddle, [1.0, 0.0], 60)
    beside = descend(nn.SGD(0.1), saddle, [1.0, 1e-4], 60)
    rules = (nn.SGD(0.038), nn.SGD(0.012, momentum=0.8), nn.SGD(0.012, momentum=0.8, nesterov=True))
    steered = [descend(rule, narrow_valley, [-2.0, 0.6], 40) for rule in rules]
    ends = [float(narrow_valley(path[-1])) for path in steered]
    turns = [int(np.sum(np.diff(np.sign(path[:, 1])) != 0)) for path in steered]
    curvature = np.linalg.eigvalsh(hessian(saddle)(np.zeros(2)))
    _draw_difficulties(run, paths, (high, deep), beside, steered)
    return [
        Row("x^2: the path is x0 (1 - 2 rate)^n, relative error", "", f"{error:.0e}", met=error < 1e-12),
        Row(
            "... rate 0.1, 0.45, 0.95: |x| after 20 steps", "", ", ".join(f"{abs(paths[r][-1]):.0e}" for r in rates[:3])
        ),
        Row("... rate 1.05 climbs", "", f"{paths[1.05][-1]:.1f}", met=abs(paths[1.05][-1]) > start),
        Row("two valleys: from 1.6 to the shallow one", "", f"f = {two_valleys(high[-1]):.3f}"),
        Row(
            "... from -0.1 to the deep one",
            "",
            f"f = {two_valleys(deep[-1]):.3f}",
            met=bool(two_valleys(deep[-1]) < two_valleys(high[-1])),
        ),
        Row("saddle: curvatures", "", f"{curvature[0]:g}, {curvature[1]:g}", met=bool(curvature[0] < 0 < curvature[1])),
        Row(
            "... exactly on the ridge descent stops at it",
            "",
            f"|p| = {np.linalg.norm(ridge[-1]):.0e}",
            met=bool(np.linalg.norm(ridge[-1]) < 1e-5),
        ),
        Row(
            "... a ten-thousandth beside it, it gets away", "", f"y = {beside[-1, 1]:.1f}", met=bool(beside[-1, 1] > 1)
        ),
        Row("narrow valley, 40 steps: plain, momentum, Nesterov", "faster", ", ".join(f"{f:.0e}" for f in ends),
            "f; rate 0.038, where 0.04 is too much, and 0.012 with 0.8 of the velocity", met=max(ends[1:]) < ends[0]),
        Row("... times that it crosses the valley's floor", "fewer", ", ".join(map(str, turns)),
            "less steering to and fro, as drawn", met=max(turns[1:]) < turns[0]),
    ]  # fmt: skip


def _draw_difficulties(run: Run, paths: Any, valleys: Any, beside: Any, steered: Any) -> None:
    with run.picture(nrows=2, ncols=2, figsize=(9.5, 7)) as ((bowl, curve), (ridge, valley)):
        x = np.linspace(-2.6, 2.6, 200)
        bowl.plot(x, x**2, color="0.6")
        for (rate, path), colour in zip(paths.items(), PALETTE, strict=False):
            bowl.plot(path[:6], path[:6] ** 2, "o-", ms=4, lw=1, color=colour, label=f"rate {rate:g}")
        bowl.set(title="Learning rates", xlabel="x", ylabel="$x^2$", xlim=(-2.8, 2.8), ylim=(-0.3, 13.5))
        bowl.legend(loc="upper center", ncols=2)
        x = np.linspace(-2.1, 1.9, 200)
        curve.plot(x, two_valleys(x), color="0.6")
        for path, colour, name in zip(valleys, PALETTE[1:], ("from 1.6", "from -0.1"), strict=False):
            curve.plot(path, two_valleys(path), "o-", ms=4, lw=1, color=colour, label=name)
        curve.set(title="Local minima", xlabel="x", ylabel="f(x)")
        curve.legend(loc="lower center")
        contours(ridge, saddle, (-1.2, 1.2), (-1.2, 1.2))
        ridge.plot(*beside.T, "o-", ms=3, lw=1, color=PALETTE[1], label="0.0001 beside the ridge")
        ridge.set(title="A saddle holds descent up", xlabel="x", ylabel="y")
        ridge.legend(loc="lower right", frameon=True)
        contours(valley, narrow_valley, (-2.2, 0.6), (-0.75, 0.75))
        for path, colour, name in zip(steered, PALETTE, ("plain", "momentum 0.8", "Nesterov's 0.8"), strict=False):
            valley.plot(*path.T, "o-", ms=3, lw=1, color=colour, label=name)
        valley.set(title="A narrow valley", xlabel="x", ylabel="y")
        valley.legend(loc="lower right", frameon=True)


@program("ekman/G2")
def gradient_descent(run: Run) -> list[Row]:
    """Descent with the chapter's rate 0.3 on a parabola (its curve is only drawn there), and partial derivatives."""

    def curve(x: Any) -> Any:
        return (x - 1) ** 2 / 2 + 0.5

    def bowl(p: Any) -> Any:
        return 0.5 * (p[0] - 1) ** 2 + 1.5 * (p[1] + 0.5) ** 2

    path, over = descend(nn.SGD(0.3), curve, 4.0, 12), descend(nn.SGD(2.1), curve, 4.0, 12)
    shallow, deep = (float(two_valleys(descend(nn.SGD(0.1), two_valleys, x, 100)[-1])) for x in (1.6, -0.1))
    down = descend(nn.SGD(0.3), bowl, [-2.0, 1.5], 20)
    by_hand = 4.0
    for _ in range(12):
        by_hand -= 0.3 * (by_hand - 1)
    moves = np.abs(np.diff(path))
    a, b = 3.0, -2.0
    partials = grad(lambda p: a * p[0] + b * p[1])(np.array([7.0, 8.0]))
    with run.picture(ncols=2, figsize=(9.5, 4)) as (left, right):
        x = np.linspace(-3, 5, 200)
        left.plot(x, curve(x), color="0.6")
        left.plot(path, curve(path), "o-", ms=4, lw=1, color=PALETTE[0], label="rate 0.3")
        left.plot(over[:5], curve(over[:5]), "s--", ms=4, lw=1, color=PALETTE[1], label="rate 2.1")
        left.set(title="One weight", xlabel="x", ylabel="f(x)", xlim=(-3, 5.2), ylim=(0, 12))
        left.legend(loc="upper center")
        contours(right, bowl, (-2.5, 3), (-2, 2))
        right.plot(*down.T, "o-", ms=4, lw=1, color=PALETTE[0])
        right.set(title="Two weights, rate 0.3", xlabel="$x_0$", ylabel="$x_1$")
    error = abs(float(path[-1]) - by_hand)
    return [
        Row("12 steps by hand and by the engine: difference", "", f"{error:.0e}", met=error < 1e-12),
        Row(
            "each step is shorter than the last",
            "",
            f"{moves[0]:.2f} to {moves[-1]:.3f}",
            met=bool(np.all(np.diff(moves) < 0)),
        ),
        Row(
            "rate 2.1 overshoots further each time",
            "",
            f"x = {over[-1]:.1f}",
            met=bool(abs(over[-1] - 1) > abs(over[0] - 1)),
        ),
        Row(
            "y = a x0 + b x1: its gradient is (a, b)",
            "(a, b)",
            f"({partials[0]:g}, {partials[1]:g})",
            "a = 3, b = -2",
            met=bool(np.array_equal(partials, [a, b])),
        ),
        Row("two weights: distance from the minimum", "", f"{np.linalg.norm(down[-1] - [1, -0.5]):.0e}"),
        Row("two valleys: it stops in a local minimum", "possible", f"f = {shallow:.2f} and {deep:.2f}",
            "from 1.6 and from -0.1, f = x^4 / 4 - x^2 + 0.3 x", met=shallow > deep + 0.1),
    ]  # fmt: skip


# -- one example at a time -----------------------------------------------------------------------------------

TRUE_WEIGHT = 1.0
INPUTS = np.random.default_rng(3).uniform(0.5, 6.0, 12)


def error(w: Any, x: Any) -> Any:
    """Mean squared error of the neuron sin(w x) whose targets are sin(x): a curve with false bottoms."""
    return np.mean((np.sin(w * x) - np.sin(TRUE_WEIGHT * x)) ** 2)


def stochastic(start: float, size: int, steps: int, rng: np.random.Generator, rate: float = 0.04) -> Any:
    """Return the weights along a descent on batches of so many examples."""
    path = [start]
    for _ in range(steps):
        batch = rng.choice(INPUTS, size, replace=False)
        path.append(path[-1] - rate * grad(error)(path[-1], batch))
    return np.array(path)


@program("buduma/B09")
def batch_or_not(run: Run) -> list[Row]:
    """The whole set's error has one surface, on which descent gets stuck; each example has its own, and they move."""
    start, steps, orders = 2.3, 150, 5
    whole = stochastic(start, len(INPUTS), steps, run.rng)
    mean = np.mean([grad(error)(start, np.array([x])) for x in INPUTS])
    gap = abs(float(mean - grad(error)(start, INPUTS)))
    found = {
        size: [stochastic(start, size, steps, np.random.default_rng(seed)) for seed in range(orders)] for size in (1, 4)
    }
    reached = {size: sum(abs(path[-1] - TRUE_WEIGHT) < 0.2 for path in paths) for size, paths in found.items()}
    w = np.linspace(0.2, 3.0, 400)
    with run.picture(ncols=2, figsize=(10, 4)) as (left, right):
        for x in INPUTS[:6]:
            left.plot(w, [error(v, np.array([x])) for v in w], color=PALETTE[5], lw=0.7)
        left.plot(w, [error(v, INPUTS) for v in w], color=PALETTE[0], lw=2.2, label="all examples")
        left.plot([], [], color=PALETTE[5], label="one example each")
        left.axvline(start, color="0.5", ls=":", label="start")
        left.set(title="The error of a neuron sin(w x)", xlabel="w", ylabel="squared error")
        left.legend(loc="upper right", frameon=True)
        right.plot(whole, label="batch: all 12")
        right.plot(found[4][0], lw=1, label="mini-batches of 4")
        right.plot(found[1][0], lw=1, label="one at a time")
        right.axhline(TRUE_WEIGHT, color="0.5", ls=":")
        right.set(title="The weight", xlabel="step", ylabel="w")
        right.legend()
    slope = abs(float(grad(error)(whole[-1], INPUTS)))
    return [
        Row("the batch gradient is the mean of the examples'", "", f"{gap:.0e}", met=gap < 1e-12),
        Row("batch descent ends where the slope is", "", f"{slope:.0e}", met=slope < 1e-3),
        Row(
            "... at an error of",
            "",
            f"{error(whole[-1], INPUTS):.3f}",
            "a false bottom; the true one has error 0",
            met=bool(error(whole[-1], INPUTS) > 0.05),
        ),
        Row("batches of 4: orders of 5 that find the bottom", "", str(reached[4])),
        Row("one at a time: orders of 5 that find it", "some", str(reached[1]),
            "the others stay in a false one: what is deep enough traps these steps, too", met=0 < reached[1] < orders),
    ]  # fmt: skip


# -- the care that stochastic descent requires ---------------------------------------------------------------

POINTS = np.arange(-10.0, 11.0)
THETA0, STEPS = -20.0, 10_000


def sampled_descent(rate: Any, seed: int) -> tuple[Any, Any]:
    """Return theta along a descent on (x - theta)^2, and the points x that were drawn."""
    drawn = np.random.default_rng(seed).choice(POINTS, STEPS)
    slope = grad(lambda theta, x: (x - theta) ** 2)
    theta, path = THETA0, [THETA0]
    for k, x in enumerate(drawn):
        theta -= rate(k) * slope(theta, float(x))
        path.append(theta)
    return np.array(path), drawn


def _draw_theta(run: Run, path: Any, title: str, limit: float) -> None:
    with run.picture(ncols=2, figsize=(9.5, 3.6)) as (left, right):
        left.plot(path[:60], "o-", ms=3, lw=1)
        left.set(title="The first 60 steps", xlabel="step k", ylabel="theta")
        right.plot(path, lw=0.5)
        right.axhline(0, color=PALETTE[1], label="minimiser")
        right.set(title=title, xlabel="step k", ylabel="theta", ylim=(-limit, limit))
        right.legend(loc="lower right", frameon=True)


@program("lecture/L6")
def danger(run: Run) -> list[Row]:
    """With rate 1/2, theta - (2 / 2)(theta - x) = x: theta jumps to whatever point was drawn, for ever."""
    path, drawn = sampled_descent(nn.schedules.constant(0.5), run.seed)
    _draw_theta(run, path, "It never converges", 21)
    jump = float(np.max(np.abs(path[1:] - drawn)))
    early, late = float(np.std(path[1:1001])), float(np.std(path[-1000:]))
    expected = float(np.std(POINTS))
    return [
        Row("theta is the point drawn, largest difference", "", f"{jump:.0e}", met=jump == 0),
        Row("spread of theta in steps 1-1,000", "", f"{early:.2f}", f"that of the points is {expected:.2f}"),
        Row(
            "spread in steps 9,001-10,000",
            "never converges",
            f"{late:.2f}",
            "it bounces as at the start",
            met=abs(late - expected) < 0.5,
        ),
    ]


@program("lecture/L7")
def cure(run: Run) -> list[Row]:
    """With rates 0.5 / (1 + k) theta is the mean of what was drawn, and that converges."""
    path, drawn = sampled_descent(robbins_monro(0.5), run.seed)
    _draw_theta(run, path, "It converges", 2)
    means = np.cumsum(drawn) / np.arange(1, STEPS + 1)
    gap = float(np.max(np.abs(path[1:] - means)))
    spread = float(np.std(POINTS)) / np.sqrt(STEPS)
    return [
        Row("theta is the mean of the points so far, difference", "", f"{gap:.0e}", met=gap < 1e-10),
        Row(
            "theta after 10,000 steps",
            "converges",
            f"{path[-1]:.4f}",
            f"minimiser 0; expected spread {spread:.3f}",
            met=abs(path[-1]) < 4 * spread,
        ),
        Row(
            "spread of theta in steps 9,001-10,000",
            "",
            f"{np.std(path[-1000:]):.4f}",
            met=bool(np.std(path[-1000:]) < 0.1),
        ),
    ]
