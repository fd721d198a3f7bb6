"""Counting weights and multiplications: Ekman C3 and D9.

Run: ``python -m examples run ekman/C3 ekman/D9``
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import Spec, eval_shape, trace
from examples.catalogue import program
from examples.report import Row

if TYPE_CHECKING:
    from examples.run import Run

SMALL, LARGE = (3, 32, 32), (3, 480, 640)


def layer(size: int) -> nn.Conv2d:
    """The chapter's layer: 64 channels, stride 2."""
    return nn.Conv2d(3, 64, size, stride=2, padding="same", weight_init="zeros", rng=0)


def neurons(shape: tuple[int, ...]) -> int:
    """How many the layer has on such an image: from shapes alone."""
    return math.prod(eval_shape(layer(3), Spec((1, *shape), np.float32)).shape)


def multiplications(model: Any, shape: tuple[int, ...]) -> int:
    """Count from the trace: a pair of multiplication and addition for each input of a neuron, and one for its bias."""
    images = np.zeros((1, *shape), np.float32)
    cost = trace(model)(images).cost().by_operation
    biased = cost["conv2d_bias"].flops + math.prod(eval_shape(model, images).shape) if "conv2d_bias" in cost else 0
    return (biased + (cost["conv2d"].flops if "conv2d" in cost else 0)) // 2


@program("ekman/C3")
def weights_and_work(run: Run) -> list[Row]:
    """Convolutional against fully connected, on a small and on a large image."""
    del run
    per = {k: nn.count_parameters(layer(k)) // 64 for k in (3, 5)}
    full = {shape: (math.prod(shape) + 1, neurons(shape)) for shape in (SMALL, LARGE)}
    small_full = nn.Dense(math.prod(SMALL), full[SMALL][1], weight_init="zeros", rng=0)
    work = {k: multiplications(layer(k), SMALL) for k in (3, 5)}
    return [
        Row("weights of a neuron, 3x3", "28", str(per[3])),
        Row("weights of a neuron, 5x5", "76", str(per[5])),
        Row("weights of a neuron, full, 32x32x3", "3,073", f"{full[SMALL][0]:,}"),
        Row("weights of a neuron, full, 640x480x3", "921,601", f"{full[LARGE][0]:,}"),
        Row("neurons, 32x32", "16,384", f"{full[SMALL][1]:,}"),
        Row("neurons, 640x480", "4,915,200", f"{full[LARGE][1]:,}"),
        Row("unique weights, 3x3", "1,792", f"{nn.count_parameters(layer(3)):,}"),
        Row("unique weights, 5x5", "4,864", f"{nn.count_parameters(layer(5)):,}"),
        Row("calculations, 32x32, 3x3 (from the trace)", "458,752", f"{work[3]:,}"),
        Row("calculations, 32x32, 5x5 (from the trace)", "1,245,184", f"{work[5]:,}"),
        Row("full layer, 32x32", "50,348,032", f"{nn.count_parameters(small_full):,}"),
        Row("calculations, 640x480, 3x3", "1.38e8", scientific(full[LARGE][1] * per[3])),
        Row("calculations, 640x480, 5x5", "3.74e8", scientific(full[LARGE][1] * per[5])),
        Row("full layer, 640x480", "4.53e12", scientific(math.prod(full[LARGE]))),
        Row("its factors", "921,601*4,925,200", f"{full[LARGE][0]:,}*{full[LARGE][1]:,}",
            wrong="320 * 240 * 64 = 4,915,200 neurons; a slip, for the product printed is right"),
    ]  # fmt: skip


def scientific(number: float) -> str:
    """Three digits and the power of ten, as the text prints it."""
    return f"{number:.2e}".replace("e+0", "e").replace("e+", "e")


@program("ekman/D9")
def depthwise_separable(run: Run) -> list[Row]:
    """Filters for each channel, then a mixture of channels: weights and multiplications, counted and by formula."""
    m, n, k, side = 64, 128, 3, 14
    rng = run.rng
    plain = nn.Conv2d(m, n, k, padding="same", rng=rng)
    apart = nn.SeparableConv2d(m, n, k, padding="same", rng=rng)
    work = multiplications(plain, (m, side, side)), multiplications(apart, (m, side, side))
    pixels = side * side
    loose = "a bias for each channel of the result, and none between the steps: "

    def more(kind: Any) -> int:
        """Weights that one more channel of the result costs, on RGB."""
        return nn.count_parameters(kind(3, 9, 3, rng=rng, bias=False)) - nn.count_parameters(
            kind(3, 8, 3, rng=rng, bias=False)
        )

    return [
        Row("weights, normal: N(MK^2+1)", f"{n * (m * k * k + 1):,}", f"{nn.count_parameters(plain):,}"),
        Row("weights, separable: MK^2+1 + NM+1", f"{m * k * k + 1 + n * m + 1:,}", f"{nn.count_parameters(apart):,}",
            wrong=loose + f"MK^2 + NM + N = {m * k * k + n * m + n:,}"),
        Row("multiplications, normal: WHN(MK^2+1)", f"{pixels * n * (m * k * k + 1):,}", f"{work[0]:,}"),
        Row("multiplications, separable: WH(MK^2+1) + WH(NM+1)",
            f"{pixels * (m * k * k + 1) + pixels * (n * m + 1):,}", f"{work[1]:,}",
            wrong=loose + f"WH(MK^2 + NM + N) = {pixels * (m * k * k + n * m + n):,}"),
        Row("times as much work, M=64, N=128, K=3", "", f"{work[0] / work[1]:.1f}"),
        Row("weights of one more channel, separable, M=3", "3", str(more(nn.SeparableConv2d))),
        Row("weights of one more channel, normal, M=3", "9", str(more(nn.Conv2d)),
            wrong="MK^2 = 27 by the text's own formula; 9 are those of a single channel"),
    ]  # fmt: skip
