"""Residual blocks: their formulas (Ekman D3), and deep networks with and without them (lecture L22).

Run::

    python -m examples run ekman/D3 lecture/L22 [--full]

The second learns CIFAR-10, halved to 16x16 pixels; without it on disk, generated pictures stand in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import device_put, grad, jvp, ops, value_and_grad
from examples.catalogue import program
from examples.imagenet.networks import residual_block
from examples.photos import colour_photos
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run

FLOAT = np.float64


@program("ekman/D3")
def formulas(run: Run) -> list[Row]:
    """Y = ReLU(x + F(x)): full, convolutional, and where it halves the images."""
    rng = run.rng
    x, w1, w2 = rng.normal(size=(3, 6)), rng.normal(size=(6, 6)), rng.normal(size=(6, 6))

    def dense(weight: Any) -> nn.Dense:
        return nn.Dense(6, 6, bias=False, dtype=FLOAT, rng=0, weight_init=lambda *_: weight)

    block = nn.Residual(nn.Sequential(dense(w1), nn.relu, dense(w2)), activation="relu")
    silent = nn.Residual(nn.Sequential(dense(0 * w1), nn.relu, dense(0 * w2)), activation="relu")
    hidden = np.maximum(x @ w1, 0)
    y = np.maximum(x + hidden @ w2, 0)

    adjoint = rng.normal(size=y.shape)
    inner = adjoint * (y > 0)
    by_hand = inner + ((inner @ w2.T) * (hidden > 0)) @ w1.T
    by_engine = grad(lambda x: np.sum(adjoint * block(x)))(x)

    images = rng.normal(size=(2, 4, 8, 8))
    options: dict[str, Any] = {"dtype": FLOAT, "rng": rng}
    body = nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, padding=1, **options), nn.relu, nn.Conv2d(6, 6, 3, padding=1, **options)
    )

    def padded(x: Any) -> Any:
        """Every second pixel, and zeros for the channels that are new."""
        return np.pad(x[:, :, ::2, ::2], ((0, 0), (0, 2), (0, 0), (0, 0)))

    halved = nn.Residual(body, shortcut=padded, activation="relu")(images)
    select = nn.Conv2d(
        4, 6, 1, stride=2, bias=False, dtype=FLOAT, rng=0, weight_init=lambda *_: np.eye(6, 4)[:, :, None, None]
    )
    projected = nn.Residual(body, shortcut=select, activation="relu")(images)
    deep = reach(run, plain=True), reach(run, plain=False)
    towards = rng.normal(size=x.shape)
    tangent = jvp(block, (x,), (towards,))[1]
    return [
        agreement("full: ReLU(x + W2 ReLU(W1 x))", block(x), y),
        agreement("weights of zero: y = ReLU(x)", silent(x), np.maximum(x, 0)),
        agreement("gradient by both ways, by hand", by_engine, by_hand),
        agreement("forward mode against reverse mode", np.sum(adjoint * tangent), np.sum(by_engine * towards)),
        agreement("halved: the first 4 channels get x[2i, 2j]", halved, np.maximum(padded(images) + body(images), 0)),
        agreement("a 1x1 projection can do the same", projected, halved),
        Row("gradient at the input, 30 plain layers", "", f"{deep[0]:.1e}", "relative to that at the output"),
        Row("  30 residual layers", "", f"{deep[1]:.1e}", met=deep[1] > 10 * deep[0]),
    ]  # fmt: skip


def reach(run: Run, *, plain: bool) -> float:
    """How much of the gradient arrives at the input of 30 layers with small weights."""
    rng = run.rng
    weights = 0.1 * rng.normal(size=(30, 20, 20))

    def network(x: Any) -> Any:
        for w in weights:
            x = ops.relu(x @ w) if plain else x + ops.relu(x @ w)
        return x

    x, adjoint = rng.normal(size=20), rng.normal(size=20)
    return float(np.linalg.norm(grad(lambda x: adjoint @ network(x))(x)) / np.linalg.norm(adjoint))


def network(depth: int, width: int, *, plain: bool, rng: np.random.Generator) -> nn.Sequential:
    """He's network for CIFAR-10: a convolution, three stages of (depth - 2) / 6 blocks, average, one full layer."""
    options: dict[str, Any] = {"rng": rng, "weight_init": "he_normal"}
    layers: list[Any] = [nn.Conv2d(3, width, 3, padding=1, bias=False, **options), nn.BatchNorm(width), nn.relu]
    channels = width
    for stage in range(3):
        for i in range((depth - 2) // 6):
            stride = 2 if stage and not i else 1
            layers.append(residual_block(channels, width << stage, stride, plain=plain, **options))
            channels = width << stage
    return nn.Sequential(*layers, nn.GlobalAvgPool2d(), nn.Dense(channels, 10, rng=rng))


@program("lecture/L22", devices=("cpu", "cuda"))
def degradation(run: Run) -> list[Row]:
    """Depth 20 against 56, without and with shortcuts: the training error of the deeper plain network is higher."""
    steps = run.length(quick=40, full=2000)
    photos = colour_photos(run, train=10_000, test=100)
    pixels = nn.data.to_float(photos.train_images).reshape(-1, 3, 16, 2, 16, 2).mean((3, 5)) - np.float32(0.45)
    loss, rule = nn.Supervised(nn.losses.cross_entropy), nn.SGD(0.1, momentum=0.9)
    depths = (8, 14) if run.smoke else (20, 56)
    curves: dict[tuple[bool, int], list[float]] = {}
    for plain in (True, False):
        for depth in depths:
            rng = run.rng
            model = device_put(network(depth, 8, plain=plain, rng=rng), run.device)
            state, curve = rule.init(model), []
            for _ in range(steps):
                rows = rng.integers(0, len(pixels), 64)
                batch = device_put((pixels[rows] * 4, photos.train_labels[rows]), run.device)
                (value, model), gradients = value_and_grad(loss, has_aux=True)(model, batch, train=True, rng=rng)
                model, state = rule.update(gradients, state, model)
                curve.append(float(value))
            curves[plain, depth] = curve
    with run.picture(ncols=2, figsize=(8.5, 3.4), sharey=True) as axes:
        for ax, plain in zip(axes, (True, False), strict=True):
            for depth, style in zip(depths, ("-", "--"), strict=True):
                ax.plot(nn.history.smooth(curves[plain, depth], 0.05), style, label=f"{depth} layers")
            ax.set(title="plain" if plain else "with shortcuts", xlabel="step")
            ax.legend()
        axes[0].set_ylabel("training loss")
    last = {key: float(np.mean(curve[-max(1, steps // 5) :])) for key, curve in curves.items()}
    gap = {plain: last[plain, depths[1]] - last[plain, depths[0]] for plain in (True, False)}
    note = f"mean of the last fifth of {steps} steps; 8, 16, 32 channels, 16x16 pixels"
    return [
        *[Row(f"training loss, {'plain' if plain else 'residual'}, {depth} layers", "", f"{value:.3f}", note)
          for (plain, depth), value in last.items()],
        Row("plain: the deeper one is worse by", "", f"{gap[True]:.3f}", "the text shows curves only",
            met=gap[True] > 0 if run.whole else None),
        Row("with shortcuts: the deeper one is worse by", "", f"{gap[False]:.3f}", "to be less, which takes --full",
            met=gap[False] < gap[True] if run.whole else None),
    ]  # fmt: skip
