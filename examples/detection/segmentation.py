"""A class for every pixel: Ekman, appendix B (B5, B7, B8).

Run: ``python -m examples run ekman/app-B5 ekman/app-B7 ekman/app-B8``
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import ops, trace
from autodiff.ops import relu
from examples.catalogue import program
from examples.detection.detectors import DATA, fit
from examples.detection.scenes import Scenes, scenes
from examples.imagenet.networks import vgg
from examples.report import Row, agreement
from examples.run import PALETTE

if TYPE_CHECKING:
    from examples.run import Run

CLASSES = 3  # background, square, disc


def classes(data: Scenes) -> Any:
    """The class of each pixel."""
    return np.where(data.masks, data.labels[:, None, None] + 1, 0)


def pixel_loss(scores: Any, wanted: Any) -> Any:
    """Cross-entropy of every pixel: (n, classes, h, w) against (n, h, w)."""
    flat = np.moveaxis(scores, 1, -1).reshape(-1, scores.shape[1])
    return nn.losses.cross_entropy(flat, wanted.reshape(-1))


def learn(run: Run, model: Any, call: Any, steps: int) -> tuple[list[Row], Any]:
    """Train a network on generated scenes; what it reaches, and its picture."""
    run.data = DATA
    data, test = scenes(run.rng, 256), scenes(np.random.default_rng(run.seed + 1), 60)
    wanted, truth = classes(data), classes(test)
    model, costs = fit(
        lambda m, rows: pixel_loss(call(m, data.images[rows]), wanted[rows]), model, 256, run, steps, rate=5e-3
    )
    found = call(model, test.images).argmax(1)
    shapes = truth > 0
    draw(run, test.images[:, 0], truth, found)
    note, background = f"{costs[0]:.3f} at first", f"{100 * np.mean(truth == 0):.0f} % are background"
    return [
        Row("parameters", "", f"{nn.count_parameters(model):,}"),
        Row(f"loss after {steps} steps", "", f"{costs[-1]:.3f}", note, met=costs[-1] < costs[0]),
        Row("pixels right", "", f"{100 * np.mean(found == truth):.1f} %", background),
        Row("pixels of shapes right", "", f"{100 * np.mean(found[shapes] == truth[shapes]):.0f} %"),
    ], model  # fmt: skip


def draw(run: Run, images: Any, truth: Any, found: Any) -> None:
    """Draw two scenes: what is seen, the class of each pixel, and the one that was found."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    kinds = {"background": "#E4E4E4", "square": PALETTE[0], "disc": PALETTE[4]}
    with run.picture(ncols=6, figsize=(10, 2.4)) as axes:
        for i, ax in enumerate(axes):
            if i % 3:
                ax.imshow((truth, found)[i % 3 - 1][i // 3], cmap=ListedColormap([*kinds.values()]), vmin=0, vmax=2)
            else:
                ax.imshow(images[i // 3], cmap="gray")
            ax.set(title=("image", "classes", "found")[i % 3], xticks=[], yticks=[])
            ax.grid(visible=False)
        handles = [Patch(color=colour, label=name) for name, colour in kinds.items()]
        axes[0].figure.legend(handles=handles, loc="outside lower center", ncols=3)


def conv(inputs: int, outputs: int, rng: np.random.Generator, size: int = 3) -> nn.Conv2d:
    """Convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, size, padding="same", weight_init="he_normal", rng=rng)


def work(call: Any, model: Any) -> int:
    """Multiply-adds for one image, from the trace."""
    cost = trace(lambda x: call(model, x))(np.zeros((1, 1, 32, 32), np.float32)).cost().by_operation
    return sum(line.flops for name, line in cost.items() if name.startswith("conv2d")) // 2


@program("ekman/app-B5")
def naive(run: Run) -> list[Row]:
    """Convolutions of stride 1 and nothing else: every layer works at full size and sees little."""
    rng = run.rng
    model = nn.Sequential(conv(1, 12, rng), relu, conv(12, 12, rng), relu, conv(12, CLASSES, rng))
    four = nn.Sequential(conv(3, 8, rng), relu, conv(8, 4, rng))(np.zeros((1, 3, 10, 12), np.float32))
    rows, _ = learn(run, model, lambda m, x: m(x), run.length(quick=80))
    scores, wanted = rng.normal(size=(2, 4, 3, 3)), rng.integers(0, 4, (2, 3, 3))
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    by_hand = -np.mean([np.log(p[n, c, i, j]) for (n, i, j), c in np.ndenumerate(wanted)])
    wide = work(lambda m, x: m(x), nn.Sequential(*(conv(*widths, rng) for widths in itertools.pairwise(WIDTHS))))
    below = work(u_shaped, u_layers(rng))
    return [
        Row(
            "4 classes: output of a 10x12 image",
            "",
            "x".join(map(str, four.shape[1:])),
            met=four.shape == (1, 4, 10, 12),
        ),
        agreement("loss: mean over pixels, by hand", pixel_loss(scores, wanted), by_hand),
        *rows,
        Row("multiply-adds for an image", "", f"{work(lambda m, x: m(x), model) / 1e6:.2f} M"),
        Row("  with five layers of our U-Net's widths (app-B8)", "inefficient", f"{wide / 1e6:.2f} M",
            f"that network: {below / 1e6:.2f} M", met=wide > below),
    ]  # fmt: skip


def mirrored(model: Any, x: Any) -> Any:
    """Convolve and pool twice, then un-pool and deconvolve twice, in the same places."""
    first = relu(model["down1"](x))
    second = relu(model["down2"](ops.max_pool2d(first, 2)))
    narrow = relu(model["middle"](ops.max_pool2d(second, 2)))
    up = relu(model["up2"](nn.max_unpool2d(narrow, second, 2)))
    return model["up1"](nn.max_unpool2d(up, first, 2))


@program("ekman/app-B7")
def deconvolution_network(run: Run) -> list[Row]:
    """Noh's network in small: what pooling threw away of places, un-pooling gives back."""
    rng = run.rng

    def deconv(inputs: int, outputs: int) -> nn.ConvTranspose2d:
        return nn.ConvTranspose2d(inputs, outputs, 3, padding=1, weight_init="he_normal", rng=rng)

    model = {"down1": conv(1, 12, rng), "down2": conv(12, 16, rng), "middle": conv(16, 16, rng),
             "up2": deconv(16, 12), "up1": deconv(12, CLASSES)}  # fmt: skip
    rows, _ = learn(run, model, mirrored, run.length(quick=250))
    x = rng.normal(size=(1, 2, 8, 8))
    places = sum(64 * 2 ** min(i, 3) * (112 >> i) ** 2 for i in range(5))  # channels times pixels after each pool
    narrow = vgg(16)["full"][1][0].weight.shape[1]
    top = ops.max_pool2d(x, 2)
    back = nn.max_unpool2d(top, x, 2)
    vector = rng.normal(size=(2, 5))
    weights = rng.normal(size=(5, 3))
    as_conv = ops.conv2d(vector[:, :, None, None], weights.T[:, :, None, None])[:, :, 0, 0]
    return [
        agreement("pooling what was un-pooled", ops.max_pool2d(np.where(back == 0, -np.inf, back), 2), top),
        agreement("a full layer is a 1x1 convolution", as_conv, vector @ weights),
        Row("pixels of a 224x224 image", "50,000+", f"{224 * 224:,}", met=224 * 224 > 50_000),
        Row("numbers at the narrowest point of VGG-16", "4,096", f"{narrow:,}"),
        Row("places of the maxima that travel beside them", "", f"{places:,}",
            "one for each pooled value: the narrow point is not all that passes"),
        *rows,
    ]  # fmt: skip


def u_shaped(model: Any, x: Any) -> Any:
    """Down twice, up twice; on the way up each size meets the maps of the same size from the way down."""
    first = model["down1"](x)
    second = model["down2"](ops.max_pool2d(first, 2))
    bottom = model["bottom"](ops.max_pool2d(second, 2))
    up = model["up2"](np.concatenate([model["larger"](bottom), second], axis=1))
    return model["up1"](np.concatenate([model["larger"](up), first], axis=1))


WIDTHS = (1, 8, 16, 32, 16, CLASSES)  # maps after each of its layers


def u_layers(rng: np.random.Generator) -> dict[str, Any]:
    """Two sizes down, the bottom, two sizes up."""
    return {
        "down1": nn.Sequential(conv(1, 8, rng), relu), "down2": nn.Sequential(conv(8, 16, rng), relu),
        "bottom": nn.Sequential(conv(16, 32, rng), relu), "larger": nn.Upsample2d(2, method="bilinear"),
        "up2": nn.Sequential(conv(48, 16, rng), relu), "up1": nn.Sequential(conv(24, CLASSES, rng)),
    }  # fmt: skip


@program("ekman/app-B8")
def u_net(run: Run) -> list[Row]:
    """U-Net in small: the outline comes over the bridges, the class from below."""
    rng = run.rng
    rows, trained = learn(run, u_layers(rng), u_shaped, run.length(quick=80))
    x = scenes(rng, 2).images
    first = trained["down1"](x)
    seen = np.concatenate([trained["larger"](np.zeros((2, 16, 16, 16), np.float32)), first], axis=1)
    return [
        Row(
            "maps at full size: from below and over the bridge", "", f"{16} + {first.shape[1]}", met=seen.shape[1] == 24
        ),
        *rows,
        Row("multiply-adds for an image", "", f"{work(u_shaped, trained) / 1e6:.2f} M"),
    ]
