"""AlexNet, VGG, GoogLeNet and ResNet as lists of named stages, images (n, 3, 224, 224)."""

from __future__ import annotations

from typing import Any

import nn
from autodiff.ops import relu

Stages = dict[str, Any]
ZERO: dict[str, Any] = {"weight_init": "zeros", "rng": 0}  # shapes are all that the tables need


def conv(inputs: int, outputs: int, size: int, **options: Any) -> nn.Conv2d:
    """Convolution with ReLU that keeps the size of the images, if its stride is 1."""
    return nn.Conv2d(inputs, outputs, size, **{"padding": size // 2, "activation": "relu", **ZERO, **options})


def full(inputs: int, outputs: int) -> nn.Sequential:
    """Fully connected layer with ReLU."""
    return nn.Sequential(nn.Dense(inputs, outputs, **ZERO), relu)


def alexnet() -> Stages:
    """Five convolutions, two of which see their own half of the channels alone, and three full layers."""
    norm, pool = nn.LocalResponseNorm(5), nn.MaxPool2d(3, stride=2)
    return {
        "conv 1, 11x11/4": conv(3, 96, 11, stride=4, padding=((1, 2), (1, 2))),
        "norm, pool": nn.Sequential(norm, pool),
        "conv 2, 5x5": conv(96, 256, 5, groups=2),
        "norm, pool ": nn.Sequential(norm, pool),
        "conv 3, 3x3": conv(256, 384, 3),
        "conv 4, 3x3": conv(384, 384, 3, groups=2),
        "conv 5, 3x3": conv(384, 256, 3, groups=2),
        "pool": pool,
        "full 6": nn.Sequential(nn.Flatten(), full(256 * 36, 4096), nn.Dropout(0.5)),
        "full 7": nn.Sequential(full(4096, 4096), nn.Dropout(0.5)),
        "full 8": nn.Dense(4096, 1000, **ZERO),
    }


VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(depth: int, last: int = 3) -> Stages:
    """Blocks of 3x3 convolutions; with ``last=1`` the third one of a block is 1x1, as in the text's table for 16."""
    stages: Stages = {}
    channels = 3
    for block, (count, width) in enumerate(zip(VGG[depth], (64, 128, 256, 512, 512), strict=True), 1):
        layers: list[Any] = []
        for i in range(count):
            layers.append(conv(channels, width, last if i == 2 else 3))
            channels = width
        stages[f"block {block}"] = nn.Sequential(*layers, nn.MaxPool2d(2))
    stages["full"] = nn.Sequential(
        nn.Flatten(), full(7 * 7 * 512, 4096), full(4096, 4096), nn.Dense(4096, 1000, **ZERO)
    )
    return stages


INCEPTIONS: dict[str, tuple[Any, ...]] = {
    "3a": (192, 64, (96, 128), (16, 32), 32),
    "3b": (256, 128, (128, 192), (32, 96), 64),
    "4a": (480, 192, (96, 208), (16, 48), 64),
    "4b": (512, 160, (112, 224), (24, 64), 64),
    "4c": (512, 128, (128, 256), (24, 64), 64),
    "4d": (512, 112, (144, 288), (32, 64), 64),
    "4e": (528, 256, (160, 320), (32, 128), 128),
    "5a": (832, 256, (160, 320), (32, 128), 128),
    "5b": (832, 384, (192, 384), (48, 128), 128),
}


def googlenet(**options: Any) -> Stages:
    """Nine inception modules; options for every convolution, such as bias=False."""
    options = {**ZERO, **options}
    pool = nn.MaxPool2d(3, stride=2, padding=((0, 1), (0, 1)))
    stages: Stages = {
        "conv1": conv(3, 64, 7, stride=2, **options),
        "pool": pool,
        "conv2": nn.Sequential(conv(64, 64, 1, **options), conv(64, 192, 3, **options)),
        "pool ": pool,
    }
    for name, (inputs, *sizes) in INCEPTIONS.items():
        stages[name] = nn.inception(inputs, *sizes, **options)
        if name in ("3b", "4e"):
            stages[f"pool {name}"] = pool
    stages["average, dropout"] = nn.Sequential(nn.GlobalAvgPool2d(), nn.Dropout(0.4))
    stages["linear"] = nn.Dense(1024, 1000, bias=options.get("bias", True), **ZERO)
    return stages


def _norm_conv(inputs: int, outputs: int, size: int, stride: int = 1, **options: Any) -> list[Any]:
    layer = conv(inputs, outputs, size, stride=stride, activation=None, bias=False, **options)
    return [layer, nn.BatchNorm(outputs)]


def residual_block(inputs: int, width: int, stride: int = 1, *, plain: bool = False, **options: Any) -> Any:
    """Two 3x3 convolutions, each normalised, with a shortcut around them; `plain` leaves the shortcut out."""
    body = nn.Sequential(
        *_norm_conv(inputs, width, 3, stride, **options), relu, *_norm_conv(width, width, 3, **options)
    )
    if plain:
        return nn.Sequential(*body.layers, relu)
    same = stride == 1 and inputs == width
    around = None if same else nn.Sequential(*_norm_conv(inputs, width, 1, stride, **options))
    return nn.Residual(body, shortcut=around, activation="relu")


def bottleneck(inputs: int, width: int, stride: int = 1) -> nn.Residual:
    """1x1 down, 3x3, 1x1 up to four times the width; the first has the stride, as in the text."""
    body = nn.Sequential(
        *_norm_conv(inputs, width, 1, stride),
        relu,
        *_norm_conv(width, width, 3),
        relu,
        *_norm_conv(width, 4 * width, 1),
    )
    same = stride == 1 and inputs == 4 * width
    around = None if same else nn.Sequential(*_norm_conv(inputs, 4 * width, 1, stride))
    return nn.Residual(body, shortcut=around, activation="relu")


RESNET = {34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}


def resnet(depth: int) -> Stages:
    """Four stages of residual blocks, those of depth 50 and more with bottlenecks."""
    block, grown = (residual_block, 1) if depth < 50 else (bottleneck, 4)
    stages: Stages = {
        "conv 7x7/2": nn.Sequential(*_norm_conv(3, 64, 7, 2), relu),
        "pool": nn.MaxPool2d(3, stride=2, padding=1),
    }
    channels = 64
    for i, (count, width) in enumerate(zip(RESNET[depth], (64, 128, 256, 512), strict=True)):
        blocks = []
        for j in range(count):
            blocks.append(block(channels, width, 2 if i and not j else 1))
            channels = grown * width
        stages[f"stage {i + 1}"] = nn.Sequential(*blocks)
    stages["average, full"] = nn.Sequential(nn.GlobalAvgPool2d(), nn.Dense(channels, 1000, **ZERO))
    return stages
