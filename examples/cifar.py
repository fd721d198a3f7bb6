"""CIFAR-10: fully connected, convolutional, and with batch normalisation.

- Ekman, "Learning Deep Learning", chapter 7: the data (C1), a network of two convolutions (C4), six of them (C5).
- Hui, "deep learning, part 2": four dense layers (B7).
- Buduma, "Fundamentals of Deep Learning", chapter 5: two convolutions without (B41) and with batch normalisation (B42).

CIFAR-10 is looked for as `nn.data.load_cifar10` says; without it generated pictures stand in. Quick runs learn
at most 5,000 photos for two or three epochs; ``--full`` takes the text's own schedule, hours on one core. Run::

    python -m examples run cifar [--full]
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import Spec, device_put, eval_shape, stop_gradient
from autodiff.ops import relu
from examples.catalogue import program
from examples.networks import predicted
from examples.photos import colour_photos
from examples.report import Row
from nn.data import Batches, ImageSet
from nn.losses import cross_entropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.run import Run

# -- the data ------------------------------------------------------------------------------------------------


@program("ekman/C1")
def explore(run: Run) -> list[Row]:
    """Shapes, classes, and the picture that the text looks at."""
    photos = colour_photos(run)
    images, labels = photos.train_images, photos.train_labels
    corner = np.array([213, 229, 242], np.uint8)
    here = np.flatnonzero((images[:, 0, 0] == corner).all(1))
    with run.picture(ncols=5, nrows=2, figsize=(7, 3.2)) as axes:
        for kind, ax in enumerate(axes.flat):
            ax.imshow(images[np.flatnonzero(labels == kind)[0]])
            ax.set(title=photos.classes[kind], xticks=[], yticks=[])
            ax.grid(visible=False)
    if not photos.full:
        note = "generated pictures: CIFAR-10 is not on disk"
        return [
            Row("shape of the images", "(50000, 32, 32, 3)", str(images.shape), note),
            Row("classes", "10", str(len(photos.classes))),
        ]
    at = int(here[0]) if len(here) else 0
    ours = images[100, 0, 0].tolist()
    return [
        Row("shape of the images", "(50000, 32, 32, 3)", str(images.shape)),
        Row("shape of the labels", "(50000, 1)", str(labels[:, None].shape)),
        Row("training images, in the text", "60,000", f"{len(images):,}", wrong="60,000 is the whole set"),
        Row("test images", "10,000", f"{len(photos.test_images):,}"),
        Row("class of an image whose first pixel is [213,229,242]", "8",
            ", ".join(str(label) for label in sorted(set(labels[here].tolist()))),
            f"here image {at}, in the text 100: the order depends on the file; ours at 100 begins with {ours}"
            if at != 100 else None),
        Row("images with that pixel", "", str(len(here))),
    ]  # fmt: skip


# -- training ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a network of a text is trained there, and what the text reports."""

    model: Callable[[np.random.Generator], nn.Sequential]
    epochs: int
    batch_size: int
    rate: float = 1e-3
    loss: Any = cross_entropy
    decay: float = 0.0
    crop: int = 32
    eps: float = 1e-8  # of Adam
    drop_last: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Errors (shares) at the end; loss and share of right answers of every batch on the way."""

    test: float
    steps: int
    curve: list[float]
    right: list[float]
    train: float = math.nan  # only where it is asked for


def standardised(photos: ImageSet) -> Callable[[Any], Any]:
    """Take off the mean of all pixels to learn from and divide by their deviation; (n, 3, 32, 32)."""
    parts = (photos.train_images[i : i + 1000] for i in range(0, len(photos.train_images), 1000))
    counts = sum(np.bincount(part.ravel(), minlength=256) for part in parts)  # of each of the 256 values
    mean = np.float32(np.average(np.arange(256), weights=counts))
    deviation = np.float32(np.sqrt(np.average((np.arange(256) - mean) ** 2, weights=counts)))

    def prepare(images: Any) -> Any:
        return (np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32) - mean) / deviation

    return prepare


def middle(images: Any, size: int) -> Any:
    """The pixels in the middle."""
    edge = (images.shape[-1] - size) // 2
    return images[..., edge : edge + size, edge : edge + size]


def whitened(images: Any) -> Any:
    """Each image less its mean and over its deviation; (n, 3, height, width)."""
    axes = (1, 2, 3)
    return (images - images.mean(axes, keepdims=True)) / np.maximum(images.std(axes, keepdims=True), np.float32(1e-3))


def contrast(batch: Any, rng: np.random.Generator) -> Any:
    """Stretch each colour of an image about its mean, by 0.2 to 1.8; what is added to all pixels, whitening removes."""
    images, labels = batch
    means = images.mean((2, 3), keepdims=True)
    return (images - means) * rng.uniform(0.2, 1.8, (len(images), 1, 1, 1)).astype(np.float32) + means, labels


def distort(size: int) -> Callable[[Any, np.random.Generator], Any]:
    """Crop at random, mirror, change the contrast, and whiten: Buduma's distortions."""
    return nn.data.chain(nn.data.random_crop(size), nn.data.random_flip(), contrast,
                         lambda batch, _: (whitened(batch[0]), batch[1]))  # fmt: skip


def train(run: Run, plan: Plan, photos: ImageSet, epochs: int, *, both: bool = True) -> Outcome:
    """Train as the plan says; measure on the test images, and unless only those count on what was learned."""
    prepare = standardised(photos)
    data = Batches(
        photos.train_images, photos.train_labels, batch_size=plan.batch_size, drop_last=plan.drop_last,
        transform=lambda images, labels: (prepare(images), labels),
        augment=distort(plan.crop) if plan.crop < 32 else None, device=run.device,
    )  # fmt: skip
    right: list[float] = []

    def criterion(logits: Any, labels: Any) -> Any:
        right.append(float(np.mean(np.argmax(stop_gradient(logits), axis=1) == labels)))
        return plan.loss(logits, labels)

    result = nn.fit(
        device_put(plan.model(run.rng), run.device), nn.Supervised(criterion),
        nn.Adam(plan.rate, weight_decay=plan.decay, eps=plan.eps), data,
        epochs=epochs, rng=run.seed, progress=not run.smoke,
    )  # fmt: skip

    def to_test(images: Any) -> Any:
        return prepare(images) if plan.crop == 32 else whitened(middle(prepare(images), plan.crop))

    def error(images: Any, labels: Any) -> float:
        logits = predicted(result.model, images, to_test, run.device)
        return 1 - float(nn.metrics.accuracy(logits, labels))

    some, losses = slice(0, 10_000), list(result.history.losses)
    learned = error(photos.train_images[some], photos.train_labels[some]) if both else math.nan
    return Outcome(error(photos.test_images, photos.test_labels), len(losses), losses, right, learned)


def photos_for(run: Run, some: int = 5000) -> ImageSet:
    """The whole set for a full run; otherwise so few that it takes seconds."""
    if run.full:
        return colour_photos(run)
    return colour_photos(run, 200, 100) if run.smoke else colour_photos(run, some, some * 2 // 5)


def first(photos: ImageSet, count: int) -> ImageSet:
    """So many of the images to learn from."""
    return dataclasses.replace(photos, train_images=photos.train_images[:count],
                               train_labels=photos.train_labels[:count])  # fmt: skip


def percent(share: float) -> str:
    """A share in whole percent, as the texts print them."""
    return f"{100 * share:.0f} %"


def row(
    run: Run, photos: ImageSet, name: str, reported: float, measured: float, note: str, margin: float = 0.005
) -> Row:
    """An error beside the text's, which counts after a full run on the whole set."""
    whole = run.whole and photos.full
    note = note if whole else f"{note}; the report is of the whole set and schedule"
    goal = reported + margin if whole else None
    return Row(name, percent(reported), percent(measured), note, value=measured, at_most=goal)


# -- Hui -----------------------------------------------------------------------------------------------------


def fully_connected(rng: np.random.Generator) -> nn.Sequential:
    """3072-100-50-25-10 with ReLU; weights of deviation 0.05, as in the text's instance."""
    layers: list[Any] = [nn.Flatten()]
    for inputs, outputs in ((3072, 100), (100, 50), (50, 25), (25, 10)):
        layers += [nn.Dense(inputs, outputs, weight_init=nn.initialisers.normal(0.05), rng=rng), relu]
    return nn.Sequential(layers[:-1])


@program("hui/B7", devices=("cpu", "cuda"))
def dense_layers(run: Run) -> list[Row]:
    """Four dense layers, Adam, batches of 200, ten epochs.

    The rate is not given, nor how the images are prepared; the penalty is what the text's class has by default: none.
    """
    photos = photos_for(run)
    plan = Plan(fully_connected, epochs=10, batch_size=200 if not run.smoke else 20)
    outcome = train(run, plan, photos, run.length(3, plan.epochs) if not run.smoke else 1, both=False)
    note = f"{outcome.steps:,} steps; chosen: rate 0.001, no penalty, pixels standardised, float32 (the text's is 64)"
    accuracy, whole = 1 - outcome.test, run.whole and photos.full
    return [
        Row("parameters", "", f"{nn.count_parameters(fully_connected(run.rng)):,}",
            met=nn.count_parameters(fully_connected(run.rng)) == 313_885),
        Row("test accuracy", "50+ %", f"{100 * accuracy:.1f} %", note, value=accuracy, at_least=0.5 if whole else None),
        Row("by chance", "10 %", percent(1 / len(photos.classes))),
    ]  # fmt: skip


# -- Ekman ---------------------------------------------------------------------------------------------------


def configuration(number: int, rng: np.random.Generator) -> nn.Sequential:
    """One of the six networks; Table 7-5."""
    he: dict[str, Any] = {
        "weight_init": "he_normal" if number == 1 else "glorot_uniform",
        "padding": "same",
        "rng": rng,
    }
    act = np.tanh if number == 6 else relu
    drop = [nn.Dropout(0.2)] if number in (3, 4, 5) else []
    if number == 1:
        first, second, count = (3, 64, 5), (64, 64, 3), 8 * 8 * 64
    else:
        first, second, count = (3, 64, 3), (64, 16, 2), 8 * 8 * 16
    if number <= 3:
        layers = [nn.Conv2d(*first, stride=2, **he), act, *drop, nn.Conv2d(*second, stride=2, **he), act, *drop]
        return nn.Sequential(*layers, nn.Flatten(), nn.Dense(count, 10, rng=rng))
    layers = [nn.Conv2d(3, 64, 4, **he), act, *drop, nn.Conv2d(64, 64, 2, stride=2, **he), act, *drop]
    layers += [nn.Conv2d(64, 32, 3, **he), act, *drop]
    if number > 4:
        layers += [nn.Conv2d(32, 32, 3, **he), act]
    layers += [nn.MaxPool2d(2), *(drop if number > 4 else []), nn.Flatten()]
    for inputs in (8 * 8 * 32, 64)[: 1 if number == 4 else 2]:
        layers += [nn.Dense(inputs, 64, rng=rng), act, *drop]
    return nn.Sequential(*layers, nn.Dense(64, 10, rng=rng))


def softmax_mse(logits: Any, labels: Any) -> Any:
    """Mean square of probabilities less one-hot classes: how it was done in the 1980s."""
    shares = nn.softmax(logits)
    right = np.take_along_axis(shares, labels[:, None], axis=1)
    return (np.sum(shares**2) - 2 * np.sum(right) + len(shares)) / shares.size  # |p - e|^2 = |p|^2 - 2 p.e + 1


SIX = {  # parameters (counted), errors reported in training and test
    1: (82_762, 0.02, 0.39), 2: (16_154, 0.33, 0.35), 3: (16_154, 0.30, 0.30), 4: (169_834, 0.14, 0.23),
    5: (183_242, 0.20, 0.22), 6: (183_242, 0.04, 0.38),
}  # fmt: skip


def plan_of(number: int) -> Plan:
    """Adam as in the library that the text uses, batches of 32, 128 epochs."""
    loss = softmax_mse if number == 6 else cross_entropy
    return Plan(lambda rng: configuration(number, rng), 128, 32, loss=loss, eps=1e-7)


@program("ekman/C4", devices=("cpu", "cuda"))
def two_convolutions(run: Run) -> list[Row]:
    """Configuration 1, with the parameters of each layer."""
    photos, model = photos_for(run), configuration(1, run.rng)
    sizes = [nn.count_parameters(layer) for layer in model if nn.count_parameters(layer)]
    shapes = [eval_shape(model[:end], Spec((1, 3, 32, 32), np.float32)).shape for end in (1, 3, len(model))]
    names, channels = ("conv 5x5", "conv 3x3", "full"), [shape[1] for shape in shapes]
    counted = [f"{math.prod(shape):,}, {size // c:,}" for shape, size, c in zip(shapes, sizes, channels, strict=True)]
    outcome = train(run, plan_of(1), photos, run.length(3, 128) if not run.smoke else 1)
    note = f"{outcome.steps:,} steps"
    with run.picture() as ax:
        ax.plot(nn.history.smooth(outcome.curve))
        ax.set(title="Two convolutions learn photos", xlabel="step", ylabel="training loss, smoothed")
    return [
        *[Row(f"parameters of {name}", text, f"{n:,}") for name, text, n in zip(
            names, ("4,864", "36,928", "40,970"), sizes, strict=True)],
        *[Row(f"  neurons of {name}, weights of each", text, ours) for name, text, ours in zip(
            names, ("16,384, 76", "4,096, 577", "10, 4,097"), counted, strict=True)],
        Row("the factors of the last", "10x4,090", f"10x{sizes[-1] // 10:,}",
            wrong="8*8*64 + 1 = 4,097; 10 of them are the 40,970"),
        Row("parameters", "82,762", f"{sum(sizes):,}"),
        Row("first layer has of each of the others", "about 10 %",
            f"{100 * sizes[0] / sizes[1]:.0f} %, {100 * sizes[0] / sizes[2]:.0f} %", wrong="of 36,928, of 40,970"),
        row(run, photos, "error in training", 0.02, outcome.train, f"{note}; of 10,000 images, afterwards"),
        row(run, photos, "error on the test images", 0.39, outcome.test, note),
    ]  # fmt: skip


@program("ekman/C5", devices=("cpu", "cuda"))
def six_configurations(run: Run) -> list[Row]:
    """Six networks, from two layers to six, with and without dropout; the last with tanh and squared errors."""
    photos, rows, curves = photos_for(run, 2000), [], {}
    for number, (count, in_training, in_test) in SIX.items():
        few = number >= 4 and not run.full  # they take three to ten times as long
        model = configuration(number, run.rng)
        epochs = run.length(2, 128) if not run.smoke else 1
        outcome = train(run, plan_of(number), first(photos, 640) if few else photos, epochs)
        note = f"{outcome.steps:,} steps"
        curves[number] = outcome.curve
        rows += [
            Row(
                f"{number}: parameters", "", f"{nn.count_parameters(model):,}", met=nn.count_parameters(model) == count
            ),
            row(
                run,
                photos,
                f"{number}: error in training",
                in_training,
                outcome.train,
                f"{note}; of 10,000 images, afterwards, without dropout",
            ),
            row(run, photos, f"{number}: error on the test images", in_test, outcome.test, note),
        ]
    with run.picture() as ax:
        for number in (1, 2, 3, 4, 5):
            ax.plot(nn.history.smooth(curves[number]), label=f"configuration {number}")
        ax.set(
            title="Five networks learn photos; the sixth has another loss",
            xlabel="step",
            ylabel="training loss, smoothed",
        )
        ax.legend()
    return rows


# -- Buduma --------------------------------------------------------------------------------------------------


def tutorial_net(rng: np.random.Generator, *, normalised: bool) -> nn.Sequential:
    """Two convolutions of 5x5 and two full layers on 24x24 crops, ReLU on the logits too, as printed."""
    options: dict[str, Any] = {"weight_init": "he_normal", "rng": rng}

    def after(width: int) -> list[Any]:
        return [nn.BatchNorm(width, momentum=0.9, eps=1e-3), relu] if normalised else [relu]

    drop = [] if normalised else [nn.Dropout(0.5)]
    layers: list[Any] = []
    for inputs in (3, 64):
        layers += [nn.Conv2d(inputs, 64, 5, padding="same", **options), *after(64), nn.MaxPool2d(2)]
    layers += [nn.Flatten(), nn.Dense(6 * 6 * 64, 384, **options), *after(384), *drop]
    layers += [nn.Dense(384, 192, **options), *after(192), *drop, nn.Dense(192, 10, **options), *after(10)]
    return nn.Sequential(*layers)


@program("buduma/B41", "buduma/B42", devices=("cpu", "cuda"))
def with_and_without(run: Run) -> list[Row]:
    """Batch normalisation, and a rate ten times as high, reach the same accuracy in fewer steps.

    B41 trains the network without, B42 both of them. Rates, batches and distortions are those of the author's scripts.
    """
    normalised = run.id == "buduma/B42"
    photos, epochs = photos_for(run, 2500), run.length(2, 30) if not run.smoke else 1
    both = {"normalised": True, "not normalised": False}
    plans = {
        name: Plan(
            functools.partial(tutorial_net, normalised=flag), 30, 128 if not run.smoke else 20,
            rate=1e-2 if flag else 1e-3, crop=24, drop_last=True,
        )
        for name, flag in both.items() if normalised or not flag
    }  # fmt: skip
    outcomes = {name: train(run, plan, photos, epochs, both=False) for name, plan in plans.items()}
    curves = {name: nn.history.smooth(outcome.curve) for name, outcome in outcomes.items()}
    with run.picture() as ax:
        for (name, curve), style in zip(curves.items(), ("-", "--"), strict=False):
            ax.plot(curve, style, label=name)
        title = "With and without batch normalisation" if normalised else "Two convolutions of 5x5 learn photos"
        ax.set(title=title, xlabel="step", ylabel="training loss, smoothed")
        ax.legend()
    outcome = outcomes["normalised" if normalised else "not normalised"]
    accuracy, to_90 = (("92.3 %", "over 80 thousand"), ("96.7 %", "slightly over 14 thousand"))[normalised]
    count = nn.count_parameters(tutorial_net(run.rng, normalised=normalised))
    first = next((i for i, share in enumerate(outcome.right, start=1) if share >= 0.9), None)
    rows = [
        Row("parameters", "", f"{count:,}", met=count == (1_069_726 if normalised else 1_068_298)),
        Row("test accuracy", accuracy, f"{100 * (1 - outcome.test):.1f} %", f"{outcome.steps:,} steps; "
            "not credible as a test figure for this net (about 86 % is usual): probably of a "
            "training batch", value=None if run.whole and photos.full else 1 - outcome.test),
        Row("steps to 90 % of a training batch", to_90, "not reached" if first is None else f"{first:,}",
            f"of {outcome.steps:,}; which images the text's 90 % are of, it does not say"),
    ]  # fmt: skip
    if not normalised:
        return rows
    steps = len(curves["not normalised"])
    last = np.mean(outcomes["not normalised"].curve[-max(1, steps // 10) :])
    faster = next((i for i, loss in enumerate(curves["normalised"], start=1) if loss <= last), steps)
    note = f"{steps / faster:.1f} times fewer; in the text 80 / 14 = 5.7"
    name = "steps to the last loss without, normalised"
    return [*rows, Row(name, "", f"{faster:,} of {steps:,}", note, met=None if run.smoke else faster < steps)]
