"""Penalties and dropout.

- Buduma, "Fundamentals of Deep Learning", chapter 2 (B16): dropout naive and inverted, in a network of three layers.
- Hui's blog "Deep learning, part 2": L0, L1 and L2 penalties (B15), an inverted dropout layer (B16).
- Ketkar, "Deep Learning with Python", chapter 4 (K4-8): the two penalties on [0, 1, 3].
- Ekman, "Learning Deep Learning", chapter 6 (R5): weight decay and dropout.

Run::

    python -m examples run regularisation
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import nn
from autodiff import grad, vjp
from examples.catalogue import program
from examples.report import Row
from examples.run import PALETTE, Run

# -- dropout by hand -----------------------------------------------------------------------------------------

KEEP = 0.5


def relu(z: Any) -> Any:
    """The larger of z and 0."""
    return np.maximum(z, 0)


def train_naive(w: Any, x: Any, masks: Any) -> Any:
    """Neurons are switched off, and the others left as they are."""
    h1 = relu(w["W1"] @ x + w["b1"]) * masks[0]
    h2 = relu(w["W2"] @ h1 + w["b2"]) * masks[1]
    return w["W3"] @ h2 + w["b3"]


def predict_naive(w: Any, x: Any) -> Any:
    """So that all of them have to be turned down in use."""
    h1 = relu(w["W1"] @ x + w["b1"]) * KEEP
    h2 = relu(w["W2"] @ h1 + w["b2"]) * KEEP
    return w["W3"] @ h2 + w["b3"]


def train_inverted(w: Any, x: Any, masks: Any) -> Any:
    """Or those that are left are turned up while learning."""
    return train_naive(w, x, [mask / KEEP for mask in masks])


def predict_inverted(w: Any, x: Any) -> Any:
    """And nothing is to be done in use."""
    return train_naive(w, x, [1.0, 1.0])


def weights(rng: np.random.Generator, sizes: tuple[int, ...] = (4, 6, 5, 2)) -> dict[str, Any]:
    """Weights and biases of three layers, a column for an example."""
    w = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes), 1):
        w[f"W{i}"], w[f"b{i}"] = rng.normal(size=(outputs, inputs)), rng.normal(size=(outputs, 1))
    return w


def backward(w: Any, x: Any, masks: Any, upstream: Any) -> dict[str, Any]:
    """The backward pass of `train_naive` that the text leaves to the reader, by hand."""
    z1 = w["W1"] @ x + w["b1"]
    h1 = relu(z1) * masks[0]
    z2 = w["W2"] @ h1 + w["b2"]
    h2 = relu(z2) * masks[1]
    d2 = (w["W3"].T @ upstream) * masks[1] * (z2 > 0)
    d1 = (w["W2"].T @ d2) * masks[0] * (z1 > 0)
    sums = [d.sum(axis=1, keepdims=True) for d in (d1, d2, upstream)]
    return {"W1": d1 @ x.T, "b1": sums[0], "W2": d2 @ h1.T, "b2": sums[1], "W3": upstream @ h2.T, "b3": sums[2]}


@program("buduma/B16")
def naive_and_inverted(run: Run) -> list[Row]:
    """Both forms have the same gradients up to a factor, and what they expect of a layer is the same."""
    rng = run.rng
    w, x = weights(rng), rng.normal(size=(4, 8))
    masks = [(rng.random((n, 8)) < KEEP).astype(float) for n in (6, 5)]
    upstream = rng.normal(size=(2, 8))
    _, back = vjp(lambda w: train_naive(w, x, masks), w)
    found, expected = back(upstream)[0], backward(w, x, masks, upstream)
    gap = max(float(np.max(np.abs(found[k] - expected[k]))) for k in w)
    _, back_inverted = vjp(lambda w: train_inverted(w, x, masks), w)
    scaled = backward(w, x, [m / KEEP for m in masks], upstream)
    gap_inverted = max(float(np.max(np.abs(back_inverted(upstream)[0][k] - scaled[k]))) for k in w)
    a = relu(rng.normal(size=(6, 1)))
    draws = (rng.random((6, 20_000)) < KEEP).astype(float)
    naive, inverted = (draws * a).mean(axis=1), (draws / KEEP * a).mean(axis=1)
    doubt = 4 * np.max(a) * np.sqrt(KEEP * (1 - KEEP) / 20_000)
    gaps = float(np.max(np.abs(naive - KEEP * a[:, 0]))), float(np.max(np.abs(inverted - a[:, 0])))
    same = float(
        np.max(
            np.abs(predict_inverted(w, x) - (w["W3"] @ relu(w["W2"] @ relu(w["W1"] @ x + w["b1"]) + w["b2"]) + w["b3"]))
        )
    )
    return [
        Row("naive, backward by hand and by the engine", "", f"{gap:.0e}", met=gap < 1e-12),
        Row("inverted, backward by hand and by the engine", "", f"{gap_inverted:.0e}", met=gap_inverted < 1e-12),
        Row(
            "naive: mean of a layer, from p times it",
            "p x",
            f"{gaps[0]:.3f}",
            "of 20,000 masks, p = 0.5 kept",
            met=gaps[0] < doubt,
        ),
        Row(
            "inverted: mean of a layer, from it",
            "x",
            f"{gaps[1]:.3f}",
            "so nothing is to be done in use",
            met=gaps[1] < doubt / KEEP,
        ),
        Row("inverted in use is the plain network", "", f"{same:.0e}", met=same < 1e-12),
    ]


@program("hui/B16")
def dropout_layer(run: Run) -> list[Row]:
    """The layer of the blog, whose p is the share that drops, and the layer of `nn`."""
    p, rng = 0.3, run.rng
    x, upstream = rng.normal(size=(200, 50)), rng.normal(size=(200, 50))
    mask = (np.random.default_rng(7).random(x.shape) < 1 - p) / (1 - p)
    out, back = vjp(lambda x: x * mask, x)
    gap = float(np.max(np.abs(back(upstream)[0] - upstream * mask)))
    layer = nn.Dropout(p)
    y, pull = vjp(lambda x: nn.apply(layer, x, train=True, rng=np.random.default_rng(3))[0], x)
    again = nn.apply(layer, x, train=True, rng=np.random.default_rng(3))[0]
    dropped = float(np.mean(y == 0))
    kept = float(np.max(np.abs(y[y != 0] - x[y != 0] / (1 - p))))
    theirs = float(np.max(np.abs(pull(upstream)[0] - upstream * (y != 0) / (1 - p))))
    return [
        Row(
            "backward of the blog's layer is dout * mask",
            "line missing",
            f"{gap:.0e}",
            "by the engine",
            met=gap < 1e-12,
        ),
        Row(
            "nn.Dropout(0.3): share that drops",
            "p",
            f"{dropped:.3f}",
            "0.3 is our choice; of 10,000",
            met=abs(dropped - p) < 0.02,
        ),
        Row("... the rest is divided by 0.7", "", f"{kept:.0e}", met=kept < 1e-12),
        Row("... backward by hand", "", f"{theirs:.0e}", met=theirs < 1e-12),
        Row(
            "... the same seed, the same mask",
            "",
            "yes" if np.array_equal(y, again) else "no",
            met=bool(np.array_equal(y, again)),
        ),
        Row(
            "... in use it does nothing",
            "",
            "yes" if np.array_equal(layer(x), x) else "no",
            met=bool(np.array_equal(layer(x), x)),
        ),
        Row("mean of the blog's output", "", f"{np.mean(out):.3f}", f"of its input {np.mean(x):.3f}"),
    ]


# -- penalties -----------------------------------------------------------------------------------------------


@program("ketkar/K4-8")
def two_penalties(run: Run) -> list[Row]:
    """Sums of absolute values and of squares of [0, 1, 3], and their gradients."""
    del run
    x = np.array([0.0, 1.0, 3.0])
    slopes = [grad(lambda x: nn.l1_penalty(x, 1.0))(x), grad(lambda x: nn.l2_penalty(x, 1.0))(x)]
    return [
        Row("L1", "4.0", f"{nn.l1_penalty(x, 1.0):.1f}"),
        Row("L2", "10.0", f"{nn.l2_penalty(x, 1.0):.1f}"),
        Row(
            "gradient of L1",
            "",
            f"{slopes[0]}",
            "0 at 0, by convention",
            met=bool(np.array_equal(slopes[0], np.sign(x))),
        ),
        Row("gradient of L2", "", f"{slopes[1]}", met=bool(np.array_equal(slopes[1], 2 * x))),
    ]


def shrink(name: str, y: Any, strength: float) -> Any:
    """Return what minimises (w - y)^2 / 2 plus the penalty, entry by entry: the formulas for each penalty."""
    if name == "L2":
        return y / (1 + strength)
    if name == "L1":
        return np.sign(y) * np.maximum(np.abs(y) - strength, 0)
    return np.where(y**2 > 2 * strength, y, 0.0)


def penalised(name: str, w: Any, y: Any, strength: float) -> Any:
    """The same as a function to be differentiated."""
    penalty = np.sum(w**2) / 2 if name == "L2" else np.sum(np.abs(w)) if name == "L1" else np.sum(w != 0)
    return np.sum((w - y) ** 2) / 2 + strength * penalty


@program("hui/B15")
def three_norms(run: Run) -> list[Row]:
    """L2 pulls all weights a little, L1 some of them to nothing, L0 cuts; shown where all three can be solved."""
    y = np.sort(run.rng.normal(0, 1.0, 40))
    strength, grid = 0.5, np.linspace(-3, 3, 6001)
    rows = []
    for name in ("L2", "L1", "L0"):
        w = shrink(name, y, strength)
        rival = np.array(
            [
                grid[
                    np.argmin(
                        (grid - v) ** 2 / 2
                        + strength * {"L2": grid**2 / 2, "L1": np.abs(grid), "L0": np.abs(grid) > 1e-9}[name]
                    )
                ]
                for v in y
            ]
        )
        gap = float(np.max(np.abs(w - rival)))
        rows.append(
            Row(
                f"{name}: weights of 40 that are exactly 0",
                "",
                f"{np.sum(w == 0)}",
                f"length of what is left {np.linalg.norm(w):.2f} of {np.linalg.norm(y):.2f}",
                met=gap < 2e-3,
            )
        )
        if name != "L0":
            slope = grad(lambda w, n=name: penalised(n, w, y, strength))(w)
            worst = float(np.max(np.abs(slope[w != 0])))
            rows.append(
                Row(
                    "... the engine's gradient there",
                    "",
                    f"{worst:.0e}",
                    "of the weights that are not 0",
                    met=worst < 1e-12,
                )
            )
    zeros = [int(np.sum(shrink(n, y, strength) == 0)) for n in ("L2", "L1", "L0")]
    rows.append(
        Row("L0 makes more zeros than L1, L1 than L2", "yes", "yes" if zeros[2] > zeros[1] > zeros[0] else f"{zeros}")
    )
    flat = grad(lambda w: penalised("L0", w, y, strength) - penalised("L0", w, y, 0.0))(y)
    rows.append(
        Row(
            "gradient of the count of weights",
            "",
            f"{np.max(np.abs(flat)):.0f}",
            "no descent can see it",
            met=not flat.any(),
        )
    )
    by_hand = np.sign(y) * strength + (0.3 * y - y)
    slope = grad(lambda w: penalised("L1", w, y, strength))(0.3 * y)
    gap = float(np.max(np.abs(slope - by_hand)))
    rows.append(Row("gradient with L1, by hand and by the engine", "", f"{gap:.0e}", met=gap < 1e-12))
    _draw_norms(run, strength)
    return rows


def _draw_norms(run: Run, strength: float) -> None:
    y = np.linspace(-2.5, 2.5, 400)
    corners = np.linspace(0, 2 * np.pi, 200)
    with run.picture(ncols=2, figsize=(10, 4.2)) as (left, right):
        left.plot(y, y, color="0.6", ls=":", label="no penalty")
        for name in ("L2", "L1", "L0"):
            left.plot(y, shrink(name, y, strength), label=name)
        left.set(
            title="What a penalty makes of a weight", xlabel="weight that fits best", ylabel="weight with penalty 0.5"
        )
        left.legend()
        circle = np.array([np.cos(corners), np.sin(corners)])
        right.plot(*circle, color=PALETTE[0], label="L2")
        right.plot(*(circle / np.sum(np.abs(circle), axis=0)), color=PALETTE[1], label="L1")
        right.plot([-1, 1], [0, 0], color=PALETTE[2], lw=3, label="L0 (one weight)")
        right.plot([0, 0], [-1, 1], color=PALETTE[2], lw=3)
        right.set(
            title="Weights of one size",
            xlabel="$w_1$",
            ylabel="$w_2$",
            aspect="equal",
            xticks=(-1, 0, 1),
            yticks=(-1, 0, 1),
        )
        right.legend(loc="center left", bbox_to_anchor=(1, 0.5))


@program("ekman/R5")
def mechanisms(run: Run) -> list[Row]:
    """Weight decay is the gradient of a penalty; dropout in Srivastava's form and inverted expect the same."""
    rng, strength, rate = run.rng, 0.1, 0.05
    w, x, y = rng.normal(size=6), rng.normal(size=(30, 6)), rng.normal(size=30)
    loss = lambda w: np.mean((x @ w - y) ** 2)  # noqa: E731
    plain = grad(loss)(w)
    gaps = [
        float(np.max(np.abs(grad(lambda w: loss(w) + nn.l1_penalty(w, strength))(w) - plain - strength * np.sign(w)))),
        float(np.max(np.abs(grad(lambda w: loss(w) + nn.l2_penalty(w, strength))(w) - plain - 2 * strength * w))),
    ]
    with_penalty = nn.SGD(rate).update(
        {"w": grad(lambda w: loss(w) + nn.l2_penalty(w, strength))(w)}, {"step": 0}, {"w": w}
    )[0]
    with_decay = nn.SGD(rate, weight_decay=2 * strength).update({"w": plain}, {"step": 0}, {"w": w})[0]
    gaps.append(float(np.max(np.abs(with_penalty["w"] - with_decay["w"]))))
    price = 22.5  # about the mean of what the listing predicts
    shrunk = nn.minimise(lambda b: np.sum((price - b) ** 2) + nn.l2_penalty(b, strength), np.zeros(1)).parameters[0]
    p, v = 0.2, rng.normal(size=6)
    subsets = (np.arange(64)[:, np.newaxis] >> np.arange(6)) & 1  # every way to keep some of six neurons
    chance = np.prod(np.where(subsets, 1 - p, p), axis=1)
    original, inverted = chance @ (subsets * w @ v), chance @ (subsets / (1 - p) * w @ v)
    kept = np.linspace(0, 1, 7)
    with run.picture() as axes:
        axes.bar(kept * 6, [float(np.sum(chance[subsets.sum(1) == k])) for k in range(7)], color=PALETTE[0])
        axes.set(title="Six neurons, dropout 0.2", xlabel="neurons that are left", ylabel="chance")
    return [
        Row("L1: gradient is that of the loss and lambda sign(w)", "", f"{gaps[0]:.0e}", met=gaps[0] < 1e-12),
        Row("L2: gradient is that of the loss and 2 lambda w", "", f"{gaps[1]:.0e}", met=gaps[1] < 1e-12),
        Row("... a step is the same as with weight decay", "", f"{gaps[2]:.0e}", met=gaps[2] < 1e-12),
        Row(
            "... a bias that should be 22.5, in the penalty as listed",
            "biases are usually left out",
            f"{shrunk:.2f}",
            f"the text's listing penalises them, too: with lambda 0.1 the best is {price:g} / 1.1, two too low",
        ),
        Row(
            "dropout 0.2, all 64 masks: mean is 0.8 of the sum",
            "0.8",
            f"{original / (w @ v):.1f}",
            "so weights are scaled in use",
        ),
        Row(
            "inverted: mean is the sum",
            "",
            f"{abs(inverted - w @ v):.0e}",
            "as Keras does, in training",
            met=bool(abs(inverted - w @ v) < 1e-12),
        ),
    ]
