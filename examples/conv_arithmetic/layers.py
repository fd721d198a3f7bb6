"""From one filter to a network: Ketkar K5-3, K5-5, K5-6, K5-7; Ekman C2, D7.

Run: ``python -m examples run ketkar/K5-3 ketkar/K5-5 ketkar/K5-6 ketkar/K5-7 ekman/C2 ekman/D7``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import grad, jacrev, jvp, ops, value_and_grad
from examples.catalogue import program
from examples.conv_arithmetic.images import conv
from examples.conv_arithmetic.pooling import pool, windows
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run


def sliding(signal: Any, kernel: Any, **places: Any) -> Any:
    """Correlate one signal with one kernel."""
    return ops.conv1d(signal[None, None], kernel[None, None], **places)[0, 0]


@program("ketkar/K5-3")
def sparse_and_tied(run: Run) -> list[Row]:
    """A convolution is a full layer whose matrix is sparse and whose entries repeat."""
    rng = run.rng
    n, kernel = 12, np.array([1.0, -2.0, 3.0])
    full = rng.normal(size=(n, n))
    matrix = jacrev(lambda x: sliding(x, kernel, padding=1))(np.zeros(n))
    toeplitz = sum(k * np.eye(n, k=a - 1) for a, k in enumerate(kernel))
    x, target = rng.normal(size=n), rng.normal(size=n)

    def loss(w: Any) -> Any:
        return np.sum((w @ x - target) ** 2) / 2

    entries = grad(loss)(matrix)
    tied = grad(lambda k: np.sum((sliding(x, k, padding=1) - target) ** 2) / 2)(kernel)
    with run.picture(ncols=2, figsize=(7, 3.6)) as axes:
        for ax, name, w in zip(axes, ("fully connected", "convolution"), (full, matrix), strict=True):
            ax.imshow(w, cmap="PuOr", vmin=-3, vmax=3)
            ax.set(title=name, xlabel="input", ylabel="output")
            ax.grid(visible=False)
    return [
        Row("connections, fully connected", "", str(np.count_nonzero(full)), "12 * 12"),
        Row("connections, convolution", "", str(np.count_nonzero(matrix)), "12 * 3, less the two at the borders"),
        Row("different weights, fully connected", "", str(len(np.unique(full)))),
        Row("different weights, convolution", "", str(len(np.unique(matrix[matrix != 0])))),
        agreement("the Jacobian by the input has the kernel on its diagonals", matrix, toeplitz),
        agreement("gradient of a tied weight = sum along its diagonal", tied,
                  [np.trace(entries, offset=a - 1) for a in range(3)]),
    ]  # fmt: skip


@program("ketkar/K5-5")
def block(run: Run) -> list[Row]:
    """Convolution, detector, pooling; the channels of an image are convolved one by one and added."""
    rng = run.rng
    image, kernels = rng.normal(size=(3, 10, 10)), rng.normal(size=(4, 3, 3, 3))

    def stage(image: Any, kernels: Any) -> Any:
        return ops.max_pool2d(ops.relu(ops.conv2d(image[None], kernels)), 2)[0]

    maps = stage(image, kernels)
    one_by_one = [sum(conv(image[c], kernels[k, c]) for c in range(3)) for k in range(4)]
    by_hand = np.stack([pool(np.maximum(s, 0), 2, 2) for s in one_by_one])
    towards = rng.normal(size=kernels.shape)
    gradient = grad(lambda w: np.sum(stage(image, w) ** 2) / 2)(kernels)
    tangent = jvp(lambda w: stage(image, w), (kernels,), (towards,))[1]
    with run.picture(ncols=5, figsize=(10, 2.4)) as axes:
        for ax, name, y in zip(axes, ("channel 1", *(f"map {k}" for k in range(1, 5))), (image[0], *maps), strict=True):
            ax.imshow(y)
            ax.set(title=name, xticks=[], yticks=[])
            ax.grid(visible=False)
    return [
        Row("3 channels of 10x10, 4 kernels: feature maps", "", "x".join(map(str, maps.shape))),
        agreement("channel by channel, then added", maps, by_hand),
        agreement("forward and reverse mode along a direction", np.sum(maps * tangent), np.sum(gradient * towards)),
    ]


@program("ketkar/K5-6")
def complete(run: Run) -> list[Row]:
    """Two stages of convolution, detector and pooling, then one full layer; it learns which way stripes run."""
    rng = run.rng
    phase, way = rng.uniform(0, 6.28, 64), rng.integers(0, 2, 64)
    waves = np.sin(1.2 * np.arange(16) + phase[:, None])
    stripes = np.where(way[:, None, None] == 1, waves[:, None, :], waves[:, :, None]) * np.ones((64, 16, 16))
    images = stripes[:, None] + 0.5 * rng.normal(size=(64, 1, 16, 16))
    options: dict[str, Any] = {"rng": rng, "dtype": np.float64, "padding": "same", "activation": "relu"}
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, **options), nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, **options), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dense(8 * 4 * 4, 2, rng=rng, dtype=np.float64),
    )  # fmt: skip
    loss, adam = nn.Supervised(nn.losses.cross_entropy), nn.Adam(0.01)
    first: Any = model
    state, values = adam.init(model), []
    for _ in range(run.length(quick=40)):
        (value, model), gradients = value_and_grad(loss, has_aux=True)(model, (images, way), train=True, rng=rng)
        model, state = adam.update(gradients, state, model)
        values.append(float(value))
    direction = rng.normal(size=first.layers[0].weight.shape)

    def along(t: Any) -> Any:
        moved = nn.replace(first.layers[0], weight=first.layers[0].weight + t * direction)
        return nn.losses.cross_entropy(nn.Sequential(moved, *first.layers[1:])(images), way)

    by_forward, by_reverse = jvp(along, (0.0,), (1.0,))[1], grad(along)(0.0)
    return [
        Row("parameters", "", f"{nn.count_parameters(model):,}", "40 + 296 + 258"),
        agreement("forward mode through the network = reverse mode", by_forward, by_reverse),
        Row(f"loss after {len(values)} steps", "", f"{values[-1]:.4f}", f"{values[0]:.4f} at first",
            met=values[-1] < values[0]),
    ]  # fmt: skip


def tiled(signal: Any, kernels: Any) -> Any:
    """Kernels in turn: the kernel of place t is number t modulo their count."""
    all_places = ops.conv1d(signal[None, None], kernels[:, None])[0]
    places = np.arange(all_places.shape[1])
    return all_places[places % len(kernels), places]


def locally_connected(signal: Any, kernels: Any) -> Any:
    """A kernel of its own for each place."""
    places, size = kernels.shape
    return np.einsum("tk,tk->t", signal[np.arange(places)[:, None] + np.arange(size)], kernels)


@program("ketkar/K5-7")
def variants(run: Run) -> list[Row]:
    """Strided, tiled and locally connected: from one kernel for all places to one for each."""
    rng = run.rng
    signal, kernels = rng.normal(size=20), rng.normal(size=(3, 5))
    plain = sliding(signal, kernels[0])
    strided = sliding(signal, kernels[0], stride=3)
    everywhere = np.tile(kernels, (6, 1))[:16]  # what tiling means for a kernel at each place
    untied = grad(lambda w: np.sum(np.sin(locally_connected(signal, w))))(everywhere)
    in_turn = grad(lambda k: np.sum(np.sin(tiled(signal, k))))(kernels)
    return [
        agreement("stride 3 = every third place", strided, plain[::3]),
        agreement("one tile = the plain convolution", tiled(signal, kernels[:1]), plain),
        agreement("three tiles = local kernels that repeat", tiled(signal, kernels), locally_connected(
            signal, everywhere)),
        agreement("gradient of a tile = sum over its places", in_turn, [untied[t::3].sum(0) for t in range(3)]),
        Row("weights: convolution, tiled, local", "", f"{kernels[0].size}, {kernels.size}, {everywhere.size}",
            "kernel of 5, 16 places"),
    ]  # fmt: skip


@program("ekman/C2")
def mechanics(run: Run) -> list[Row]:
    """How many neurons cover an image, how many weights each has, and how far it sees."""
    rng, image = run.rng, np.ones((6, 8))

    def neurons(size: int, stride: int, padding: Any = 0) -> str:
        return "x".join(map(str, conv(image, np.ones((size, size)), stride=stride, padding=padding).shape))

    def two_layers(x: Any) -> Any:
        return sliding(sliding(x, np.ones(3), padding=1), np.ones(2), stride=2)

    strokes = {"-": [(1, 0), (1, 1), (1, 2)], "|": [(0, 1), (1, 1), (2, 1)],
               "\\": [(0, 0), (1, 1), (2, 2)], "/": [(2, 0), (1, 1), (0, 2)]}  # fmt: skip
    kernels = np.full((4, 3, 3), -1.0)
    lines = np.zeros((4, 5, 8))
    for kernel, line, places in zip(kernels, lines, strokes.values(), strict=True):
        for row, column in places:
            kernel[row, column], line[1 + row, 2 + column] = 2, 1
    maps = np.array([[conv(line, kernel) for kernel in kernels] for line in lines])
    strongest = maps.max((2, 3)).argmax(1)
    with run.picture(nrows=4, ncols=5, figsize=(10, 5.2)) as axes:
        for (first, *others), name, line, found in zip(axes, strokes, lines, maps, strict=True):
            first.imshow(line, cmap="gray_r")
            first.set_ylabel(name, rotation=0, labelpad=12)
            for ax, values in zip(others, found, strict=True):
                ax.imshow(values, cmap="PuOr", vmin=-6, vmax=6)
        for ax, name in zip(axes[0], ("5x8 pixels", *(f"channel {name}" for name in strokes)), strict=True):
            ax.set_title(name)
        for ax in axes.flat:
            ax.set(xticks=[], yticks=[])
            ax.grid(visible=False)
    seen = np.count_nonzero(jacrev(two_layers)(np.zeros(12)), axis=1)
    colour = nn.Conv2d(3, 1, 3, rng=rng)
    flat = nn.Flatten()(np.zeros((1, 4, 2, 2)))
    return [
        Row("6x8 image, 2x2 kernel, stride 1", "5x7", neurons(2, 1)),
        Row("6x8 image, 2x2 kernel, stride 2", "3x4", neurons(2, 2)),
        Row("6x8 image, 3x3 kernel, stride 2, padded", "3x4", neurons(3, 2, "same")),
        Row("the same without padding", "3x4", neurons(3, 2),
            wrong="that the number of neurons does not depend on the kernel holds with padding only"),
        Row("inputs of a 3x3 kernel on RGB", "27", str(colour.weight.size)),
        Row("with the bias", "28", str(nn.count_parameters(colour))),
        Row("padding that keeps the size, 3x3", "1", str(next(p for p in range(9) if neurons(3, 1, p) == "6x8"))),
        Row("padding that keeps the size, 5x5", "2", str(next(p for p in range(9) if neurons(5, 1, p) == "6x8"))),
        Row("pixels seen through K=3,S=1 then K=2,S=2", "4", str(seen[1:-1].max()), "entries of a row of the Jacobian",
            met=seen[1:-1].max() == 4),
        Row("4 channels of 4 neurons, flattened", "16", str(flat.size)),
        Row("channels that look for lines: neurons of each", "", "x".join(map(str, maps.shape[2:])),
            "as in the text; of 5x8 pixels, kernels 3x3 with 2 on the line and -1 beside it: our choice"),
        Row("lines that excite their own channel most", "", f"{np.sum(strongest == np.arange(4))} of 4",
            met=np.array_equal(strongest, np.arange(4))),
    ]  # fmt: skip


@program("ekman/D7")
def backward(run: Run) -> list[Row]:
    """A shared weight gathers the sum over its uses; a maximum lets the error through to its winner alone."""
    rng = run.rng
    image, kernel, target = rng.normal(size=(7, 7)), rng.normal(size=(3, 3)), rng.normal(size=(5, 5))
    seen = windows(image, 3, 1)

    def untied(kernels: Any) -> Any:
        """A kernel of its own at each of the 25 places."""
        return np.sum((np.einsum("ijab,ijab->ij", seen, kernels) - target) ** 2) / 2

    def shared(kernel: Any) -> Any:
        return np.sum((conv(image, kernel) - target) ** 2) / 2

    instances = grad(untied)(np.broadcast_to(kernel, (5, 5, 3, 3)).copy())
    error = conv(image, kernel) - target
    x, errors = rng.normal(size=(6, 6)), rng.normal(size=(3, 3))
    routed = grad(lambda x: np.sum(errors * pool(x, 2, 2)))(x)
    by_hand = np.kron(errors, np.ones((2, 2))) * (x == np.kron(pool(x, 2, 2), np.ones((2, 2))))
    return [
        agreement("shared weight = sum over its 25 instances", grad(shared)(kernel), instances.sum((0, 1))),
        agreement("by hand: errors times what the kernel saw", grad(shared)(kernel), np.einsum(
            "ij,ijab->ab", error, seen)),
        agreement("max pooling: the error goes to the winner", routed, by_hand),
        Row("pixels that hear of the error", "", f"{np.count_nonzero(routed)} of {x.size}",
            met=np.count_nonzero(routed) == 9),
    ]  # fmt: skip
