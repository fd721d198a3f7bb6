"""Rosenblatt's perceptron learns NAND: the exact trace of Ekman, "Learning Deep Learning", chapter 1 (P3).

The perceptron's rule - on a mistake add y * rate * x to the weights - is gradient descent on the loss max(0, -y z), so
here the engine's gradient takes its place.

Run::

    python -m examples.perceptron
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from autodiff import grad
from examples.report import Row, print_table

RATE = 0.1
START = (0.2, -0.6, 0.25)
EXAMPLES = ((1.0, -1.0, -1.0), (1.0, -1.0, 1.0), (1.0, 1.0, -1.0), (1.0, 1.0, 1.0))  # the first entry is for the bias
NAND = (1.0, 1.0, 1.0, -1.0)

REPORTED = (
    "(0.20, -0.60, 0.25)",
    "(0.30, -0.50, 0.15)",
    "(0.40, -0.40, 0.05)",
    "(0.30, -0.50, -0.05)",
    "(0.40, -0.40, -0.15)",
)


def loss(weights: Any, x: Any, y: float) -> Any:
    """Zero on the right side of the boundary, the distance from it (times the weights' length) on the wrong side."""
    return np.maximum(-y * (weights @ x), 0.0)


def train(seed: int = 7) -> list[Any]:
    """Return the weights at the start and after each update, until a sweep has no mistake."""
    shuffle = random.Random(seed).shuffle
    order = list(range(len(EXAMPLES)))
    trace = [np.array(START)]
    mistakes = True
    while mistakes:
        mistakes = False
        shuffle(order)
        for i in order:
            step = grad(loss)(trace[-1], np.array(EXAMPLES[i]), NAND[i])
            if step.any():
                trace.append(trace[-1] - RATE * step)
                mistakes = True
    return trace


def show(weights: Any) -> str:
    """Weights as in the text."""
    return "(" + ", ".join(f"{w:.2f}" for w in weights) + ")"


def main() -> list[Row]:
    """Train, print the table and return its rows."""
    trace = train()
    names = ["start", *(f"update {i}" for i in range(1, len(trace)))]
    rows = [Row(name, reported, show(w)) for name, reported, w in zip(names, REPORTED, trace, strict=True)]
    print_table("A perceptron learns NAND (Ekman, chapter 1): weights of bias and inputs", rows)
    return rows


if __name__ == "__main__":
    main()
