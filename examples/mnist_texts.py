"""The networks of the texts that learn MNIST: what each text reports beside what is measured here.

Run::

    python -m examples.mnist_texts [--only NAME ...] [--data-dir DIR] [--quick]

Each is built and trained as in its text (see `examples/networks.py` and `EXPERIMENTS`); where a text is silent, the
choice is named. Texts that used TensorFlow's reader have 55,000 images to learn from, the other 5,000 being set aside.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import device_put
from examples import networks
from examples.report import Row, half_a_digit, print_table
from nn.data import Batches, ImageSet, load_mnist, to_float
from nn.initialisers import truncated_normal
from nn.losses import cross_entropy

if TYPE_CHECKING:
    from collections.abc import Callable

SET_ASIDE = 5000


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A network of a text, how it is trained there, and what the text reports.

    Parameters
    ----------
    name, title
        For the command line, and for the table.
    build
        Makes the network from a generator.
    optimizer
        Makes the optimiser.
    reported
        The text's test accuracy.
    epochs, batch_size
        How long and in what steps.
    set_aside
        How many images of the training set are not used, as with TensorFlow's reader.
    choices
        What the text does not say.
    losses
        The training loss of the last epoch and the test loss, if the text reports them.
    on_aside
        Whether to show the accuracy on the images set aside, too: the text does not say on which it measured.
    relu_at_end
        Whether the logits go through ReLU; then the classes that the network never says are shown.
    if_missed
        What is known about why the report is not reached.
    """

    name: str
    title: str
    build: Callable[[np.random.Generator], Any]
    optimizer: Callable[[], Any]
    reported: float
    epochs: int
    batch_size: int = 100
    set_aside: int = SET_ASIDE
    choices: str = ""
    losses: tuple[float, float] | None = None
    on_aside: bool = False
    relu_at_end: bool = False
    if_missed: str | None = None

    @property
    def printed(self) -> str:
        """The accuracy in percent, as the text prints it."""
        return f"{100 * self.reported:.4g}"

    @property
    def goal(self) -> float:
        """The least accuracy that is the same in print."""
        return (float(self.printed) - half_a_digit(self.printed)) / 100


def hui_weights(rng: np.random.Generator, shape: tuple[int, int], dtype: Any = np.float32) -> Any:
    """Normal numbers of standard deviation sqrt(2 / inputs), cut off at two of them."""
    return truncated_normal(float(np.sqrt(2 / shape[0])))(rng, shape, dtype)


DEAD = "a class whose logit falls below zero for every image gets no gradient any more and is never said"
EXPERIMENTS = (
    Experiment(
        "softmax", "Buduma: softmax regression",
        networks.softmax_regression, lambda: nn.SGD(0.01), 0.919, 100,
    ),
    Experiment(
        "buduma", "Buduma: 784-256-256-10, ReLU on the logits too",
        lambda rng: networks.mlp(rng, (256, 256), "he_normal", relu_at_end=True), lambda: nn.SGD(0.01), 0.982, 300,
        on_aside=True, relu_at_end=True,
    ),
    Experiment(
        "buduma-linear", "the same with linear logits",
        lambda rng: networks.mlp(rng, (256, 256), "he_normal"), lambda: nn.SGD(0.01), 0.982, 300, on_aside=True,
        if_missed="the text does not say on which images it measured; of 10,000 the standard error is 0.13 points",
    ),
    Experiment(
        "hui", "Hui: 784-256-100-10, weight decay",
        lambda rng: networks.mlp(rng, (256, 100), hui_weights), lambda: nn.Adam(1e-3, weight_decay=5e-5), 0.9816, 18,
        choices="rate 0.001, 18 epochs for 10,000 steps",
        if_missed="the rate stays as it is: from epoch to epoch the figure moves by some tenths of a point",
    ),
    Experiment(
        "ketkar", "Ketkar 7-7: two convolutions, dropout, one epoch", networks.ketkar_cnn,
        lambda: nn.AdaDelta(1.0, rho=0.95, eps=1e-8), 0.9712, 1, batch_size=128, set_aside=0,
        losses=(0.3964, 0.092853568810969594),
    ),
    Experiment(
        "cnn_cf", "lecture L14: one convolution", networks.cnn_cf, lambda: nn.Adam(1e-3), 0.9862, 18,
        choices="rate 0.001, batches of 100, 18 epochs for 10,000 steps",
    ),
    Experiment(
        "cnn_cpcpff", "lecture L17: two convolutions", networks.cnn_cpcpff, lambda: nn.Adam(1e-3), 0.9894, 18,
        choices="rate 0.001, batches of 100, 18 epochs for 10,000 steps",
    ),
    Experiment(
        "cnn_cpcpfd", "lecture L18: the same with dropout", networks.cnn_cpcpfd, lambda: nn.Adam(1e-3), 0.9916, 18,
        choices="half dropped, rate 0.001, batches of 100, 18 epochs for 10,000 steps",
    ),
)  # fmt: skip


def prepare(images: Any, labels: Any) -> tuple[Any, Any]:
    """Pixels from 0 to 1 with an axis of channels."""
    return to_float(images), labels


def run(
    experiment: Experiment, images: ImageSet, *, epochs: int | None = None, seed: int = 0, progress: bool = True,
    device: str = "cpu",
) -> list[Row]:  # fmt: skip
    """Train a network as its text does and return its lines of the table."""
    keep = slice(experiment.set_aside if images.full else 0, None)
    data = Batches(
        images.train_images[keep], images.train_labels[keep], batch_size=experiment.batch_size, transform=prepare,
        device=device,
    )  # fmt: skip
    result = nn.fit(
        device_put(experiment.build(np.random.default_rng(seed)), device),
        nn.Supervised(cross_entropy),
        experiment.optimizer(),
        data,
        epochs=experiment.epochs if epochs is None else epochs,
        rng=seed,
        progress=progress,
    )
    logits = networks.predicted(result.model, images.test_images, to_float, device)
    accuracy = nn.metrics.accuracy(logits, images.test_labels)
    note = f"{len(result.history.losses):,} steps" + (f"; chosen: {experiment.choices}" if experiment.choices else "")
    silent = sorted(set(range(10)) - set(logits.argmax(1).tolist()))
    why = DEAD if experiment.relu_at_end and silent else experiment.if_missed
    rows = [Row(experiment.title, f"{experiment.printed} %", f"{100 * accuracy:.2f} %", note,
                if_missed=why)]  # fmt: skip
    if experiment.relu_at_end:
        rows.append(Row("  digits that it never says", "", ", ".join(map(str, silent)) or "none"))
    if experiment.on_aside and images.full:
        aside = slice(0, experiment.set_aside)
        others = networks.predicted(result.model, images.train_images[aside], to_float, device)
        share = nn.metrics.accuracy(others, images.train_labels[aside])
        rows.append(Row("  on the images set aside", "", f"{100 * share:.2f} %", "the text names no set"))
    if experiment.losses is not None:
        measured = (result.history["loss"][-1], float(cross_entropy(logits, images.test_labels)))
        names = ("  its mean loss in training", "  its loss on the test images")
        rows += [
            Row(*line, "") for line in zip(names, map(_loss, experiment.losses), map(_loss, measured), strict=True)
        ]
    return rows


def _loss(value: float) -> str:
    return f"{value:.4f}"


def main(argv: list[str] | None = None) -> list[Row]:
    """Train what was asked for, print the table and return its rows."""
    parser = argparse.ArgumentParser(description="Train the texts' networks on MNIST.")
    names = [experiment.name for experiment in EXPERIMENTS]
    parser.add_argument("--only", nargs="+", choices=names, help="which to train (default: all, about half an hour)")
    parser.add_argument("--data-dir", type=Path, help="a folder with the idx files of MNIST")
    parser.add_argument("--no-download", action="store_true", help="do not ask the network")
    parser.add_argument("--epochs", type=int, help="passes over the data, instead of each text's own number")
    parser.add_argument("--quick", action="store_true", help="one epoch on 1,000 images, to see it work")
    options = parser.parse_args(argv)
    images = load_mnist(options.data_dir, download=not options.no_download)
    if options.quick:
        images = images.part(1000, 300)
    rows = []
    try:
        for experiment in EXPERIMENTS:
            if options.only is None or experiment.name in options.only:
                print(f"\n{experiment.title}", file=sys.stderr)
                rows += run(experiment, images, epochs=1 if options.quick else options.epochs)
                row = next(row for row in rows if row.name == experiment.title)
                print(f"test accuracy {row.measured}, reported {row.reported}", file=sys.stderr)
    except nn.Interrupted as stop:
        print(f"\n{stop}", file=sys.stderr)
    if rows:
        print_table(f"Test accuracy on {images.name}", rows)
    return rows


if __name__ == "__main__":
    main()
