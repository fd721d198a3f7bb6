"""Shapes, parameters and operations of each stage: AlexNet, VGG, GoogLeNet, ResNet.

Ekman C6, D1, D2, D4; lecture L20. Run::

    python -m examples run lecture/L20 ekman/C6 ekman/D1 ekman/D2 ekman/D4
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import Spec, eval_shape, jacrev, ops, trace
from examples.catalogue import program
from examples.imagenet.networks import INCEPTIONS, RESNET, VGG, Stages, alexnet, googlenet, resnet, vgg
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run

PRODUCTS = ("conv2d", "conv2d_bias", "dense", "matmul")


@dataclasses.dataclass(frozen=True)
class Line:
    """A stage: the shape of what it returns (without the batch), its parameters and its multiply-adds."""

    shape: tuple[int, ...]
    parameters: int
    work: int


def measure(stages: Stages, shape: tuple[int, ...] = (3, 224, 224)) -> dict[str, Line]:
    """Trace each stage on one image of zeros."""
    lines: dict[str, Line] = {}
    for name, stage in stages.items():
        recorded = trace(stage)(np.zeros((1, *shape), np.float32)).cost().by_operation
        shape = eval_shape(stage, Spec((1, *shape), np.float32)).shape[1:]
        work = sum(line.flops for operation, line in recorded.items() if operation in PRODUCTS) // 2
        lines[name] = Line(shape, nn.count_parameters(stage), work)
    return lines


def size(shape: tuple[int, ...]) -> str:
    """Height x width x channels, as the texts print them."""
    return "x".join(map(str, (*shape[1:], shape[0])))


def total(lines: dict[str, Line]) -> tuple[int, int]:
    """Parameters and multiply-adds of a network."""
    return sum(line.parameters for line in lines.values()), sum(line.work for line in lines.values())


def totals(name: str, lines: dict[str, Line]) -> Row:
    """What a network weighs."""
    parameters, work = total(lines)
    return Row(f"{name}: parameters, multiply-adds", "", f"{parameters / 1e6:.1f} M, {work / 1e9:.2f} G",
               f"{parameters:,}")  # fmt: skip


def layers(value: Any) -> int:
    """How many layers with weights lie one behind another, shortcuts left aside."""
    if isinstance(value, dict):
        return sum(layers(stage) for stage in value.values())
    if isinstance(value, nn.Residual):
        return layers(value.body)
    if isinstance(value, nn.Branches):
        return max(layers(branch) for branch in value.branches)
    if isinstance(value, nn.Sequential):
        return sum(layers(layer) for layer in value)
    return int(isinstance(value, (nn.Conv2d, nn.Dense)))


def unmeasured(reported: str) -> Row:
    """The error on ImageNet, which nothing here can measure."""
    return Row("top-5 error on ImageNet", reported, "not measured", "ImageNet's 1.2 million photos are not to be had")


# -- GoogLeNet's table ---------------------------------------------------------------------------------------

PRINTED = {
    "conv1": ("2.7K", "34M"), "conv2": ("112K", "360M"), "3a": ("159K", "128M"), "3b": ("380K", "304M"),
    "4a": ("364K", "73M"), "4b": ("437K", "88M"), "4c": ("463K", "100M"), "4d": ("580K", "119M"),
    "4e": ("840K", "170M"), "5a": ("1072K", "54M"), "5b": ("1388K", "71M"), "linear": ("1000K", "1M"),
}  # fmt: skip


def derivation(name: str) -> str:
    """Weights of a module from the printed sizes."""
    if name == "conv1":
        return "7*7*3*64 = 9,408 (filters of 7x1 and 1x7 would have 2 * 7*3*64 = 2,688, and 34M operations)"
    c, one, (reduce3, three), (reduce5, five), pool = INCEPTIONS[name]
    count = c * (one + reduce3 + reduce5 + pool) + 9 * reduce3 * three + 25 * reduce5 * five
    return f"{c}*({one}+{reduce3}+{reduce5}+{pool}) + 9*{reduce3}*{three} + 25*{reduce5}*{five} = {count:,}"


@program("lecture/L20")
def googlenet_table(run: Run) -> list[Row]:
    """Parameters (weights, K = 1024) and operations (multiply-adds, M = a million) of each line of the table."""
    del run
    lines = measure(googlenet(bias=False))
    rows = []
    for name, (weights, work) in PRINTED.items():
        line = lines[name]
        kilo, mega = line.parameters / 1024, line.work / 1e6
        shown = f"{kilo:.1f}K" if kilo < 10 else f"{int(kilo)}K" if weights == f"{int(kilo)}K" else f"{kilo:.0f}K"
        wrong = None if shown == weights else f"K = 1024; the printed sizes give {derivation(name)}"
        rows.append(Row(f"{name}: params", weights, shown, wrong=wrong))
        shown = f"{mega:.0f}M"
        places = math.prod(line.shape[1:])
        wrong = None if shown == work else f"{line.parameters:,} weights at {places:,} places = {line.work:,}"
        rows.append(Row(f"{name}: ops", work, shown, wrong=wrong))
    shapes = {"conv1": "112x112x64", "conv2": "56x56x192", "3a": "28x28x256", "3b": "28x28x480", "4a": "14x14x512",
              "4b": "14x14x512", "4c": "14x14x512", "4d": "14x14x528", "4e": "14x14x832", "5a": "7x7x832",
              "5b": "7x7x1024"}  # fmt: skip
    return [*rows, *[Row(f"{name}: output", text, size(lines[name].shape)) for name, text in shapes.items()]]


# -- Ekman's networks ----------------------------------------------------------------------------------------


@program("ekman/C6")
def alexnet_table(run: Run) -> list[Row]:
    """AlexNet: five convolutions, two normalisations, three full layers."""
    stages = alexnet()
    lines = measure(stages)
    first = lines["conv 1, 11x11/4"].shape
    small = eval_shape(nn.MaxPool2d(2), Spec((1, *first), np.float32))
    x = run.rng.normal(size=(1, 96, 5, 5))
    by_hand = np.stack(
        [x[:, c] / (2 + 1e-4 * np.sum(x[:, max(0, c - 2) : c + 3] ** 2, 1)) ** 0.75 for c in range(96)], 1
    )
    with run.picture(figsize=(7.5, 3.6)) as ax:
        bars(ax, {name: line for name, line in lines.items() if line.parameters})
    return [
        Row("conv 1: neurons of a channel", "55x55", "x".join(map(str, first[1:]))),
        Row("conv 1: channels, of which on each of 2 GPUs", "96, 48", f"{first[0]}, {first[0] // 2}"),
        Row("conv 2 reads", "27x27", "x".join(map(str, lines["norm, pool"].shape[1:])), "its pools are 3x3/2"),
        Row("  with the text's pool of 2x2", "27x27", "x".join(map(str, small.shape[2:])),
            "the same size, but the network's own pools overlap"),
        Row("conv 2: channels", "256", str(lines["conv 2, 5x5"].shape[0])),
        Row("outputs", "1,000", f"{lines['full 8'].shape[0]:,}"),
        Row("layers, in chapter 7", "8", str(layers(stages))),
        Row("layers, in chapter 8", "7", str(layers(stages)), wrong="5 convolutions and 3 full layers are 8"),
        agreement("response normalisation by its formula", nn.LocalResponseNorm(5)(x), by_hand),
        totals("AlexNet", lines),
        unmeasured("15.3 %"),
    ]  # fmt: skip


def bars(ax: Any, lines: dict[str, Line]) -> None:
    """Where a network keeps its parameters and does its work."""
    parameters, work = total(lines)
    at = np.arange(len(lines))
    ax.bar(at - 0.2, [100 * line.parameters / parameters for line in lines.values()], 0.4, label="parameters")
    ax.bar(at + 0.2, [100 * line.work / work for line in lines.values()], 0.4, label="multiply-adds")
    ax.set_xticks(at, [name.split(",")[0] for name in lines], rotation=35, ha="right")
    ax.set(title="Where the parameters are, and where the work is", ylabel="share of the network (%)")
    ax.legend()


@program("ekman/D1")
def vgg_table(run: Run) -> list[Row]:
    """VGG with 11 to 19 layers; two 3x3 layers see as far as one of 5x5, three as one of 7x7."""
    variants = ((11, 3), (13, 3), (16, 1), (16, 3), (19, 3))
    measured = {f"VGG-{d}{' with 1x1' * (last == 1)}": measure(vgg(d, last)) for d, last in variants}

    def sight(count: int) -> int:
        """Width of what one pixel of the last of so many 3x3 layers depends on."""

        def stack(x: Any) -> Any:
            for _ in range(count):
                x = ops.conv2d(x, np.ones((1, 1, 3, 3)), padding=1)
            return x[0, 0, 6, 6]

        return int(np.count_nonzero(jacrev(stack)(np.zeros((1, 1, 13, 13)))[0, 0, 6]))

    toy = nn.Sequential(*(nn.Conv2d(c, 4, 3, padding="same", rng=0) for c in (3, 4)), nn.MaxPool2d(2))
    y = toy(np.zeros((1, 3, 8, 6), np.float32))
    with run.picture(figsize=(7.5, 3.6)) as ax:
        bars(ax, measured["VGG-16"])
    first = measured["VGG-16"]
    return [
        *[Row(f"layers of VGG-{depth}", str(depth), str(layers(vgg(depth)))) for depth in VGG],
        Row("building block: 8x6x3 becomes", "4x3x4", size(y.shape[1:])),
        Row("two 3x3 layers see", "5x5", f"{sight(2)}x{sight(2)}"),
        Row("three 3x3 layers see", "7x7", f"{sight(3)}x{sight(3)}"),
        Row("after the five blocks of VGG-16", "", size(first["block 5"].shape)),
        *[totals(name, lines) for name, lines in measured.items()],
        unmeasured("7.32 %"),
    ]


@program("ekman/D2")
def googlenet_trunk(run: Run) -> list[Row]:
    """The text's table of GoogLeNet: sizes after each stage, depth, and the weight of it all."""
    stages = googlenet()
    lines = measure(stages)
    parameters, work = total(lines)
    against = total(measure(vgg(16)))
    modules = dict(zip("abcdefghi", INCEPTIONS, strict=True))
    channels = {"a": 256, "b": 480, "c": 512, "d": 512, "e": 512, "f": 528, "g": 832, "h": 832, "i": 1024}
    slips = "the four branches add up to "
    g = lines["pool 4e"].shape
    with run.picture(figsize=(8.5, 3.6)) as ax:
        bars(ax, {name: line for name, line in lines.items() if line.parameters})
    naive = 192 * (64 + 9 * 128 + 25 * 32)
    reduced = nn.count_parameters(nn.inception(*INCEPTIONS["3a"], weight_init="zeros", rng=0, bias=False))
    return [
        *[Row(f"channels of inception {letter}", str(count), str(lines[modules[letter]].shape[0]))
          for letter, count in channels.items()],
        Row("after conv 7x7/2", "112x112x64", size(lines["conv1"].shape)),
        Row("after conv 3x3 and pool", "28x28x192", size(lines["pool "].shape)),
        Row("after the pool behind b", "14x14x280", size(lines["pool 3b"].shape), wrong=slips + "480 in b"),
        Row("inception f", "14x14x32", size(lines["4d"].shape), wrong=slips + "112 + 288 + 64 + 64 = 528"),
        Row("pool behind g", "7x7/32", size(g), wrong=slips + "256 + 320 + 128 + 128 = 832 in g"),
        Row("inception h", "7x7x32", size(lines["5a"].shape), wrong=slips + "832"),
        Row("layers", "22", str(layers(stages)), "3 before, 2 in each module, 1 behind", met=layers(stages) == 22),
        Row("fewer parameters than VGG-16", "", f"{against[0] / parameters:.0f} times", met=parameters < against[0]),
        Row("less work than VGG-16", "", f"{against[1] / work:.0f} times"),
        Row("weights of module a without the 1x1 reductions", "", f"{naive:,}",
            f"{reduced:,} with them, and its 3x3 pool returns 32 channels, not 192"),
        totals("GoogLeNet", lines),
        unmeasured("6.67 %"),
    ]  # fmt: skip


@program("ekman/D4")
def resnet_table(run: Run) -> list[Row]:
    """ResNets of 34, 50 and 152 layers."""
    networks = {depth: resnet(depth) for depth in RESNET}
    measured = {depth: measure(stages) for depth, stages in networks.items()}
    with run.picture(figsize=(6.4, 3.6)) as ax:
        bars(ax, {name: line for name, line in measured[50].items() if line.parameters})
    shapes = measured[50]
    unstrided = Spec((1, 64, 224, 224), np.float32)  # what conv 7x7 would return without its stride
    for name in ("pool", *(f"stage {i}" for i in range(1, 5))):
        unstrided = eval_shape(networks[50][name], unstrided)
    projected = [depth for depth, stages in networks.items() if stages["stage 1"][0].shortcut is not None]
    return [
        *[Row(f"layers of ResNet-{depth}", str(depth), str(layers(stages))) for depth, stages in networks.items()],
        *[Row(f"ResNet-50, stage {i}", f"{c}", str(shapes[f"stage {i}"].shape[0])) for i, c in enumerate(
            (256, 512, 1024, 2048), 1)],
        Row("after the last stage", "7x7", "x".join(map(str, shapes["stage 4"].shape[1:])), "the average is 7x7"),
        Row("  if conv 7x7 had no stride, as printed", "7x7", "x".join(map(str, unstrided.shape[2:])),
            wrong="strides of 2 are spelled out, a footnote says; that of conv 7x7 is not, and has to be 2"),
        Row("outputs", "1000", str(shapes["average, full"].shape[0])),
        Row("first stage needs a projection in", "", " and ".join(f"ResNet-{d}" for d in projected),
            "64 channels become 256 at stride 1; the text names it for stride 2 only"),
        *[totals(f"ResNet-{depth}", lines) for depth, lines in measured.items()],
        unmeasured("3.57 %"),
    ]  # fmt: skip
