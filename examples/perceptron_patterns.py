"""Five perceptrons that each know one picture of 3 x 3 pixels: Ekman, "Learning Deep Learning", chapter 2.

A pixel is white (1), gray (0) or black (-1). The examples are all black-and-white pictures and all black-and-gray ones;
a perceptron has to give its target 1 and everything else -1. The scores of the text's weights are computed here in
tenths, without rounding; then perceptrons learn the targets that can be learned.

Run::

    python -m examples run ekman/G4
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import grad
from examples.catalogue import program
from examples.perceptrons import step
from examples.report import Row

if TYPE_CHECKING:
    from examples.run import Run

BIASES = (-26, -42, -10, -34, -20)  # in tenths, as the weights
WEIGHTS = (
    (6, 2, 2, 2, 2, 2, 6, 2, 2),
    (-4, -6, -4, -10, -6, -4, -4, -4, -4),
    (-2, 0, 0, 2, 0, 0, 0, -2, 2),
    (2, -2, 8, 8, -2, 4, 4, -4, 2),
    (2, 0, 0, 2, -2, 0, 0, 0, 2),
)
TARGET = ("9.99e-16", "0.39", "-1.0", "0.2", "-1.8")
HIGHEST = ("9.99e-16", "0.39", "-0.2", "0.2", "-1.2")
LOWEST = ("-5.2", "-8.8", "-1.8", "-7.0", "-2.8")
NOISE = "it is 0: -2.6 + 2.6 summed in float64 leaves noise, whose size depends on the order of the terms"
ROUNDED = "the printed weights are rounded: they give 0.4, where it prints 0.39"


def pictures() -> Any:
    """Return the 1,023 pictures; the one that is all black is in both sets."""
    black_white, black_gray = itertools.product((-1, 1), repeat=9), itertools.product((-1, 0), repeat=9)
    return np.array(sorted({*black_white, *black_gray}))


def learn(target: Any, sweeps: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the sweeps over all pictures that a perceptron took to know one of them, and the mistakes of the last."""
    x = np.column_stack([np.ones(len(pictures())), pictures()])
    y = np.where((pictures() == target).all(axis=1), 1.0, -1.0)
    weights, mistakes = rng.uniform(-0.1, 0.1, 10), len(x)
    for sweep in range(sweeps):
        mistakes = 0
        for i in rng.permutation(len(x)):
            if step(weights @ x[i]) != y[i]:
                weights = weights - 0.2 * grad(lambda w, x, y: -y * (w @ x))(weights, x[i], y[i])
                mistakes += 1
        if not mistakes:
            return sweep + 1, 0
    return sweeps, mistakes


def scores() -> list[Row]:
    """Compare the scores of the text's weights, in exact arithmetic."""
    rows: list[Row] = []
    firing = []
    for i, (bias, weights) in enumerate(zip(BIASES, WEIGHTS, strict=True)):
        z = bias + pictures() @ np.array(weights)
        wrong = {0: NOISE, 1: ROUNDED}.get(i)
        if i in {0, 1, 3}:  # black and white: the target is the picture of the weights' signs
            best = bias + np.sign(weights) @ np.array(weights)
            rows.append(Row(f"pattern {i + 1}: target", TARGET[i], f"{best / 10:.1f}", wrong=wrong))
        else:
            some = f"{np.sum(z == round(10 * float(TARGET[i])))} pictures have it"
            rows.append(Row(f"pattern {i + 1}: target", TARGET[i], some, "which one it is, only a figure shows"))
        rows += [
            Row(f"pattern {i + 1}: highest", HIGHEST[i], f"{z.max() / 10:.1f}", wrong=wrong),
            Row(f"pattern {i + 1}: lowest", LOWEST[i], f"{z.min() / 10:.1f}"),
        ]
        firing.append(int(np.sum(z >= 0)))
    ties = "pattern 2 and six others stand at 0.4 and 0 with the rounded weights; at 0.39 it would be alone"
    rows.append(Row("pictures with a score of at least 0, by pattern", "", ", ".join(map(str, firing)), ties))
    return rows


@program("ekman/G4")
def patterns(run: Run) -> list[Row]:
    """Scores of the printed weights, and what can be learned: corners of the cube, but nothing with a gray pixel."""
    run.data = "all 1,023 pictures"
    rows = [Row("pictures", "1,023", f"{len(pictures()):,}"), *scores()]
    for i in (0, 1, 3):
        sweeps, mistakes = learn(np.sign(WEIGHTS[i]), run.length(quick=300), run.rng)
        note = f"after {sweeps} sweeps; rate 0.2 and a start within 0.1 are our choice"
        rows.append(Row(f"pattern {i + 1} learned", "yes", "yes" if not mistakes else "no", note))
    learned = [row.name.split()[1] for row in rows if row.name.endswith("learned") and row.measured == "yes"]
    rows.append(Row("those that are learned", "0, 1, 3", ", ".join(learned), wrong="its own figure counts from 1"))
    gray = np.array([-1, 0, -1, 0, 0, -1, -1, 0, -1])
    white, black = np.where(gray == 0, 1, gray), np.full(9, -1)
    between = bool(((white + black) / 2 == gray).all())
    proof = "it lies midway between two others, so its score does: never above both"
    sweeps, mistakes = learn(gray, run.length(quick=20), run.rng)
    rows.append(
        Row("one with gray learned", "no", "no" if mistakes else "yes", f"{mistakes} mistakes in sweep {sweeps}")
    )
    return [*rows, Row("a gray target", "", "a midpoint" if between else "no midpoint", proof, between)]
