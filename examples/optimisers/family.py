"""The family of optimisers: each text's formulas, step by step, beside the optimisers of `nn`; and a race.

- Hui's blog "Deep learning, part 2" (B10): gradient descent, decay, momentum, Nesterov, AdaGrad, RMSProp, Adam.
- The lecture slides "PART II: DEEP LEARNING" (L9): momentum, Nesterov, AdaGrad, AdaDelta, RMSProp, Adam.
- Ekman, "Learning Deep Learning", chapter 5 (K7): the constructors that the chapter shows, and gradient clipping.
- Buduma, "Fundamentals of Deep Learning", chapter 4 (B29): what momentum does to a random walk.

Run::

    python -m examples run hui/B10 lecture/L9 ekman/K7 buduma/B29
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import grad
from examples.catalogue import program
from examples.paths import contours, descend
from examples.report import Row
from examples.run import PALETTE, Run
from nn.schedules import Schedule, step_decay

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Changes = Generator[Any, Any, None]

START = np.array([-1.6, 1.3])
BOTTOM = np.array([1.0, 0.0])


def surface(p: Any) -> Any:
    """A bent valley, steep across and gentle along."""
    return (p[0] - 1) ** 2 / 8 + 2 * (p[1] - 0.3 * np.sin(2 * p[0]) + 0.3 * np.sin(2.0)) ** 2


# -- the formulas by hand: each yields the change of the weights ---------------------------------------------


def slopes(w: Any) -> tuple[Any, Any]:
    """Weights that change in place, and the gradient of the surface there, derived by hand."""
    across = w[1] - 0.3 * np.sin(2 * w[0]) + 0.3 * np.sin(2.0)
    return w, np.array([(w[0] - 1) / 4 - 2.4 * np.cos(2 * w[0]) * across, 4 * across])


def by_hand(rule: Callable[[], Changes], steps: int, ahead: float = 0.0) -> Any:
    """Return the path that a formula takes; `ahead` is how far along its velocity the gradient is taken."""
    w, path, change = START.copy(), [START], np.zeros(2)
    stepping = rule()
    next(stepping)
    for _ in range(steps):
        change = stepping.send(slopes(w + ahead * change)[1])
        w = w + change
        path.append(w)
    return np.array(path)


def descent(rate: float = 0.1) -> Changes:
    """Minus rate times gradient."""
    g = yield
    while True:
        g = yield -rate * g


def decayed(rate: float = 0.1, every: int = 20, factor: float = 0.95) -> Changes:
    """The same with a rate that is multiplied by a factor every so often."""
    g = yield
    for k in itertools.count():
        g = yield -rate * factor ** (k // every) * g


def momentum(rate: float = 0.02, keep: float = 0.9) -> Changes:
    """A velocity that keeps some of itself and is pushed by the gradient."""
    g, v = (yield), np.zeros(2)
    while True:
        v = keep * v - rate * g
        g = yield v


def adagrad(rate: float = 0.5, eps: float = 1e-7) -> Changes:
    """Divide by the root of the sum of all squares."""
    g, cache = (yield), np.zeros(2)
    while True:
        cache = cache + g**2
        g = yield -rate * g / (np.sqrt(cache) + eps)


def rmsprop(rate: float = 0.1, rho: float = 0.9, eps: float = 1e-7) -> Changes:
    """Divide by the root of a running mean of squares."""
    g, cache = (yield), np.zeros(2)
    while True:
        cache = rho * cache + (1 - rho) * g**2
        g = yield -rate * g / (np.sqrt(cache) + eps)


def adadelta(rho: float = 0.9, eps: float = 1e-3) -> Changes:
    """The same with the running size of the changes in place of a rate."""
    g, squares, changes = (yield), np.zeros(2), np.zeros(2)
    while True:
        squares = rho * squares + (1 - rho) * g**2
        change = -np.sqrt(changes + eps) / np.sqrt(squares + eps) * g
        changes = rho * changes + (1 - rho) * change**2
        g = yield change


def adam(rate: float = 0.1, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-7) -> Changes:
    """Running means of gradients and squares, corrected for their start at nothing."""
    g, m, v = (yield), np.zeros(2), np.zeros(2)
    for t in itertools.count(1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        g = yield -rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)


def adam_uncorrected(rate: float = 0.1, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-7) -> Changes:
    """As Hui's snippet has it: without the correction."""
    g, m, v = (yield), np.zeros(2), np.zeros(2)
    while True:
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        g = yield -rate * m / (np.sqrt(v) + eps)


RACERS: dict[str, tuple[Any, Callable[[], Changes], float]] = {
    "gradient descent": (nn.SGD(0.1), descent, 0.0),
    "with decay": (nn.SGD(step_decay(0.1, 20, 0.95)), decayed, 0.0),
    "momentum": (nn.SGD(0.02, momentum=0.9), momentum, 0.0),
    "Nesterov": (nn.SGD(0.02, momentum=0.9, nesterov=True), momentum, 0.9),
    "AdaGrad": (nn.AdaGrad(0.5, eps=1e-7), adagrad, 0.0),
    "RMSProp": (nn.RMSProp(0.1, rho=0.9, eps=1e-7), rmsprop, 0.0),
    "AdaDelta": (nn.AdaDelta(1.0, rho=0.9, eps=1e-3), adadelta, 0.0),
    "Adam": (nn.Adam(0.1, eps=1e-7), adam, 0.0),
}


def compare(name: str, steps: int) -> tuple[Any, Row]:
    """Return the path of an optimiser and how far it is from the same formula by hand, with a gradient by hand."""
    optimiser, rule, ahead = RACERS[name]
    path, expected = descend(optimiser, surface, START, steps), by_hand(rule, steps, ahead)
    if ahead:  # the optimiser holds the point at which the gradient is taken
        expected[1:] += ahead * np.diff(expected, axis=0)
    gap = float(np.max(np.abs(path - expected)))
    final = float(surface(path[-1]))
    return path, Row(name, "", f"{final:.1e}", f"f after {steps} steps; by hand differs by {gap:.0e}", met=gap < 1e-12)


@program("hui/B10", "lecture/L9")
def race(run: Run) -> list[Row]:
    """Every optimiser of the text from the same start, at rates chosen here: its formula by hand, a picture."""
    left_out = {"AdaDelta"} if run.id == "hui/B10" else {"with decay"}
    names, steps = [name for name in RACERS if name not in left_out], 60
    results = {name: compare(name, steps) for name in names}
    with run.picture(ncols=2, figsize=(11, 4.4)) as (left, right):
        contours(left, surface, (-2.8, 2.0), (-1.6, 1.9), levels=np.geomspace(0.02, 25, 16))
        for (name, (path, _)), colour in zip(results.items(), PALETTE, strict=True):
            left.plot(*path.T, "-", lw=1.2, color=colour)
            left.plot(*path[:40:8].T, "o", ms=3, color=colour)
            right.semilogy([surface(p) for p in path], color=colour, label=name)
        left.plot(*BOTTOM, "k*", ms=9)
        left.set(title="Paths, a dot every 8 steps", xlabel="$w_1$", ylabel="$w_2$")
        right.set(title="Height over the bottom", xlabel="step", ylabel="f")
        right.legend(fontsize=8, frameon=True, loc="lower left")
    rows = [row for _, row in results.values()]
    heights = {name: np.array([surface(p) for p in path]) for name, (path, _) in results.items()}
    if run.id == "lecture/L9":
        lowest = min(heights, key=lambda name: heights[name][-1])
        wisdom = "of networks; this is a valley with two weights, and its rates are our choice"
        return [*rows, Row("to be used, by current wisdom; lowest here", "Adam or plain SGD", lowest, wisdom)]
    slowest = max(heights, key=lambda name: heights[name][-1])
    overshoot = [name for name in heights if np.any(np.diff(heights[name][:20]) > 0)]
    note = "on this surface, at these rates; the text's are only in an animation"
    short = by_hand(adam_uncorrected, 1)[1] - START
    ratio = float(np.abs(short / (results["Adam"][0][1] - START))[0])
    return [
        *rows,
        Row("highest after 60 steps", "gradient descent", slowest, note),
        Row("climb at times in the first 20 steps", "momentum, Nesterov", ", ".join(overshoot) or "none", note),
        Row("lower after 10 steps", "AdaGrad", min(("AdaGrad", "RMSProp"), key=lambda name: heights[name][10]), note),
        Row(
            "Adam as the snippet has it, first step",
            "",
            f"{ratio:.2f}",
            "times the paper's: (1 - 0.9) / sqrt(1 - 0.999)",
            met=abs(ratio - 0.1 / np.sqrt(0.001)) < 1e-4,
        ),
        Row(
            "decay: 0.95 every 20,000 steps, rate at 100,000",
            "",
            f"{LATE(100_000):.5f}",
            "from 0.1",
            met=LATE(100_000) == 0.1 * 0.95**5,
        ),
    ]


LATE: Schedule = step_decay(0.1, 20_000, 0.95)

# -- constructors --------------------------------------------------------------------------------------------


@program("ekman/K7")
def constructors(run: Run) -> list[Row]:
    """The chapter's constructors; the first step of each, from its formula, for a gradient of 4."""
    g = 4.0
    cases = {
        "SGD(lr=0.01, momentum=0)": (nn.SGD(0.01), 0.01 * g),
        "SGD with momentum 0.9": (nn.SGD(0.01, momentum=0.9), 0.01 * g),
        "SGD with Nesterov's": (nn.SGD(0.01, momentum=0.9, nesterov=True), 0.01 * (g + 0.9 * g)),
        "Adagrad(lr=0.01)": (nn.AdaGrad(0.01), 0.01),
        "RMSprop(lr=0.001, rho=0.8)": (nn.RMSProp(0.001, rho=0.8, eps=1e-7), 0.001 * g / (np.sqrt(0.2) * g + 1e-7)),
        "Adam(lr=0.01, epsilon=0.1)": (nn.Adam(0.01, eps=0.1), 0.01 * g / (g + 0.1)),
        "'adam' (defaults: 0.001, epsilon 1e-7)": (nn.Adam(1e-3, eps=1e-7), 0.001 * g / (g + 1e-7)),
        "SGD, gradients clipped to a norm of 1": (nn.SGD(0.01, clip=nn.ClipByGlobalNorm(1.0)), 0.01),
    }
    rows = []
    for name, (optimiser, expected) in cases.items():
        new, _ = optimiser.update({"w": g}, optimiser.init({"w": 0.0}), {"w": 0.0})
        gap = abs(-float(new["w"]) - expected)
        rows.append(Row(name, "", f"{-new['w']:.6f}", f"first step; its formula gives {expected:.6f}", met=gap < 1e-12))
    at = np.array([0.3, -0.4])
    direct = grad(surface)(at)
    rows.append(
        Row(
            "gradient by hand and by the engine",
            "",
            f"{np.abs(slopes(at)[1] - direct).max():.0e}",
            met=bool(np.allclose(slopes(at)[1], direct, rtol=0, atol=1e-12)),
        )
    )
    with run.picture() as axes:
        for (name, (optimiser, _)), colour in zip(list(cases.items())[:7], PALETTE, strict=True):
            axes.plot([surface(p) for p in descend(optimiser, surface, START, 60)], color=colour, label=name)
        axes.set(title="At the chapter's rates", xlabel="step", ylabel="f", ylim=(0, None))
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return rows


# -- momentum on a random walk -------------------------------------------------------------------------------


def smoothed(draws: Any, keep: float) -> Any:
    """Return the running mean of random steps that keeps so much of itself."""
    walk = [float(draws[0])]
    for draw in draws[1:]:
        walk.append(keep * walk[-1] + (1 - keep) * float(draw))
    return np.array(walk)


@program("buduma/B29")
def random_walk(run: Run) -> list[Row]:
    """Momentum smooths: the variance falls to (1 - m) / (1 + m) of that of the draws, and the start lingers."""
    momenta, spread = (0.1, 0.5, 0.9, 0.99), float(np.std(np.arange(-10, 11)))
    rng = run.rng
    raw = rng.integers(-10, 11, 100)
    shown = {m: smoothed(rng.integers(-10, 11, 100), m) for m in momenta}  # the listing draws new numbers each time
    note = f"of all integers from -10 to 10: {spread:.2f}; to smooth, the listing draws new ones, its append() is empty"
    rows = [Row("spread of the draws", "", f"{np.std(raw):.2f}", note)]
    for m in momenta:
        draws = rng.integers(-10, 11, 20_000)
        long = smoothed(draws, m)[1000:]
        expected = spread * np.sqrt((1 - m) / (1 + m))
        doubt = 4 * np.sqrt((1 + m**2) / (1 - m**2) / (2 * len(long)))  # four standard errors; the steps are correlated
        rows.append(
            Row(
                f"momentum {m:g}: spread",
                "",
                f"{np.std(long):.2f}",
                f"expected {expected:.2f}, of 19,000 steps",
                met=bool(abs(np.std(long) / expected - 1) < doubt),
            )
        )
        weights = np.r_[m**19, (1 - m) * m ** np.arange(18, -1, -1.0)]
        gap = abs(float(weights @ draws[:20]) - smoothed(draws[:20], m)[-1])
        rows.append(Row("... is a weighted sum of the draws, difference", "", f"{gap:.0e}", met=gap < 1e-12))
    with run.picture(nrows=2, ncols=2, figsize=(9.5, 5.5), sharex=True, sharey=True) as axes:
        for ax, m in zip(axes.ravel(), momenta, strict=True):
            ax.plot(raw, color="0.8", lw=0.8, label="no momentum")
            ax.plot(shown[m], label=f"momentum {m:g}")
            ax.set(title=f"Momentum {m:g}", ylim=(-11, 11))
        for ax in axes[1]:
            ax.set_xlabel("step")
        for ax in axes[:, 0]:
            ax.set_ylabel("size of the step")
    return rows
