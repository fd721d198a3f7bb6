"""Convolution of images by example: Buduma B35, B36; lecture L11; Ketkar K5-2; Ekman G2.

Run: ``python -m examples run lecture/L11 buduma/B35 buduma/B36 ketkar/K5-2 ekman/app-G2``
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import grad, jacrev, jvp, ops, vjp
from examples.catalogue import program
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run

IMAGE = np.array([[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]], float)
FILTER = np.array([[0, 1, 2], [2, 2, 0], [0, 1, 2]], float)


def conv(image: Any, kernel: Any, **places: Any) -> Any:
    """Correlate one image (H, W) with one kernel."""
    return ops.conv2d(image[None, None], kernel[None, None], **places)[0, 0]


def printed(matrix: Any) -> str:
    """Rows in brackets, without blanks."""
    return str([[round(v) for v in row] for row in matrix.tolist()]).replace(" ", "")


def flip(kernel: Any) -> Any:
    """Turn a kernel by 180 degrees."""
    return kernel[::-1, ::-1]


def slide(image: Any, kernel: Any, stride: int, padding: int) -> Any:
    """Correlation by its definition."""
    x, k = np.pad(image, padding), len(kernel)
    places = range(0, len(x) - k + 1, stride)
    return np.array([[np.sum(x[i : i + k, j : j + k] * kernel) for j in places] for i in places])


@program("lecture/L11")
def arithmetic(run: Run) -> list[Row]:
    """The slides' 5x5 image, sizes of results, and what a filter saves over a full matrix."""
    output = conv(IMAGE, FILTER, padding=1, stride=2)
    matrix = jacrev(lambda x: conv(x, FILTER))(np.ones((7, 7))).reshape(25, 49)
    full, local = 7 * 7 * 5 * 5, nn.count_parameters(nn.Conv2d(1, 1, 3, bias=False, rng=run.rng))
    same = [conv(np.ones((n, n)), FILTER, padding="same", stride=s).shape[0] for n in (5, 6, 7) for s in (1, 2, 3)]
    with run.picture(ncols=3, figsize=(9, 3.2)) as axes:
        for ax, name, values in zip(axes, ("image", "filter", "result"), (IMAGE, FILTER, output), strict=True):
            ax.imshow(values)
            ax.set(title=name, xticks=[], yticks=[])
            ax.grid(visible=False)
            for (i, j), v in np.ndenumerate(values):
                dark = v < 0.5 * values.max()
                ax.text(j, i, f"{v:.0f}", ha="center", va="center", color="white" if dark else "black")
    return [
        Row("5x5 image, padding 1, stride 2", "[[6,17,3],[8,17,13],[6,4,4]]", printed(output)),
        Row("weights of a full layer, 7x7 to 5x5", "1225", str(matrix.size)),
        Row("weights of a 3x3 filter", "9", str(local)),
        Row("entries of the full matrix that a filter uses", "", str(np.count_nonzero(jacrev(
            lambda x: conv(x, np.ones((3, 3))))(np.ones((7, 7))))), "25 places of 9"),
        Row("weights of 4 filters", "", str(nn.count_parameters(nn.Conv2d(1, 4, 3, bias=False, rng=run.rng)))),
        Row("saved: full / local", "> 400x", f"{full / local:.0f}x", wrong="1225 / 9 = 136 for the sizes shown"),
        agreement("padding (filter - 1) / 2 keeps the size", conv(np.ones((7, 7)), FILTER, padding=1).shape, (7, 7)),
        agreement("'SAME' makes sizes ceil(in / stride)", same, [-(-n // s) for n in (5, 6, 7) for s in (1, 2, 3)]),
        agreement("by the definition", output, slide(IMAGE, FILTER, 2, 1)),
        agreement("a 1x1 filter mixes channels: matrix product", ops.conv2d(
            np.stack([IMAGE, IMAGE.T])[None], np.array([[[[2.0]], [[-1.0]]]]))[0, 0], 2 * IMAGE - IMAGE.T),
    ]  # fmt: skip


@program("buduma/B35")
def line_detectors(run: Run) -> list[Row]:
    """A vertical and a horizontal detector; tied weights receive the sum of the updates, not their average."""
    image = np.zeros((12, 12))
    image[2:10, 3] = image[1:9, 8] = 1  # two vertical lines
    image[10, 5:11] = 1  # and a horizontal one
    vertical = np.array([[-1.0, 2.0, -1.0]] * 3)
    detectors = {"vertical": vertical, "horizontal": vertical.T}
    maps = {name: ops.relu(conv(image, kernel) - 5) for name, kernel in detectors.items()}

    def loss(kernel: Any) -> Any:
        return np.sum(conv(image, kernel) ** 2) / 2

    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    parts = conv(image, vertical)[..., None, None] * windows  # the update that each place asks for
    total = grad(loss)(vertical)
    with run.picture(ncols=3, figsize=(9, 3.2)) as axes:
        for ax, (name, values) in zip(axes, {"image": image, **maps}.items(), strict=True):
            ax.imshow(values, cmap="gray_r")
            ax.set(title=name, xticks=[], yticks=[])
            ax.grid(visible=False)
    return [
        Row("places with a vertical line of 3", "", str(np.count_nonzero(maps["vertical"])), "6 on each line",
            met=np.count_nonzero(maps["vertical"]) == 12),
        Row("places with a horizontal line of 3", "", str(np.count_nonzero(maps["horizontal"])), "of a line of 6",
            met=np.count_nonzero(maps["horizontal"]) == 4),
        agreement("gradient of the tied weights = sum over places", total, parts.sum((0, 1))),
        Row("tied weights are trained by the", "average of the updates", "sum of the updates",
            wrong=f"the gradient is the sum, {total[0, 1] / parts.mean((0, 1))[0, 1]:.0f} times the average "
            "(100 places): the average is a smaller rate"),
    ]  # fmt: skip


@program("buduma/B36")
def volume(run: Run) -> list[Row]:
    """5x5x3, padding 1, two filters 3x3x3, stride 2; the values of the figure are lost: random digits stand in."""
    rng = run.rng
    x, w, b = rng.integers(0, 3, (3, 5, 5)) * 1.0, rng.integers(-1, 2, (2, 3, 3, 3)) * 1.0, np.array([1.0, 0.0])

    def layer(x: Any, w: Any, b: Any) -> Any:
        return ops.conv2d(x[None], w, b, stride=2, padding=1)[0]

    y = layer(x, w, b)
    by_hand = np.stack([sum(slide(x[c], w[k, c], 2, 1) for c in range(3)) + b[k] for k in range(2)])
    adjoint = rng.normal(size=y.shape)
    by_x, by_w, by_b = vjp(layer, x, w, b)[1](adjoint)
    padded, gx, gw = np.pad(x, ((0, 0), (1, 1), (1, 1))), np.zeros((3, 7, 7)), np.zeros_like(w)
    for (k, i, j), g in np.ndenumerate(adjoint):
        window = np.s_[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        gx[window] += g * w[k]
        gw[k] += g * padded[window]
    tangent = jvp(lambda w: layer(x, w, b), (w,), (w,))[1]
    inexact = conv(np.ones((6, 6)), np.ones((3, 3)), stride=2).shape[0]
    places = [conv(np.ones((7, 7)), np.ones((3, 3)), stride=s).size for s in (1, 3)]
    return [
        Row("shape", "5x5x3 -> 3x3x2", f"5x5x3 -> {y.shape[1]}x{y.shape[2]}x{y.shape[0]}"),
        Row("weights and biases", "", str(w.size + b.size), "k d e^2 + k", met=w.size + b.size == 2 * 3 * 9 + 2),
        agreement("forward by hand", y, by_hand),
        agreement("gradient by the image, by hand", by_x, gx[:, 1:-1, 1:-1]),
        agreement("gradient by the filters, by hand", by_w, gw),
        agreement("gradient by the biases, by hand", by_b, adjoint.sum((1, 2))),
        agreement("forward mode: linear in the filters", tangent, y - b[:, None, None]),
        Row("width of 6 pixels, filter 3, stride 2", str(math.ceil((6 - 3) / 2) + 1), str(inexact),
            wrong="floor, not ceil: half a place is none (they agree where the division is exact)"),
        Row("stride of the full convolution, of width e", "s = e", "s = 1",
            wrong=f"on 7x7 pixels a filter of 3x3 has {places[0]} places at stride 1, {places[1]} at stride 3"),
    ]  # fmt: skip


@program("ketkar/K5-2", "ekman/app-G2")
def two_dimensions(run: Run) -> list[Row]:
    """Convolution reverses the kernel in both axes, correlation does not; learning cannot tell them apart."""
    rng = run.rng
    image, kernel = rng.normal(size=(8, 7)), rng.normal(size=(3, 3))
    convolution = np.zeros((10, 9))
    for (a, b), k in np.ndenumerate(kernel):
        convolution[a : a + 8, b : b + 7] += k * image  # I(m - a, n - b) K(a, b)
    correlation = np.zeros((6, 5))
    for (a, b), k in np.ndenumerate(kernel):
        correlation += k * image[a : a + 6, b : b + 5]  # I(m + a, n + b) K(a, b)
    target = rng.normal(size=(6, 5))

    def gap(kernel: Any, turned: bool) -> Any:
        return np.sum((conv(image, flip(kernel) if turned else kernel) - target) ** 2)

    by_image = vjp(lambda x: conv(x, kernel), image)[1](target)[0]
    plain, flipped = kernel, flip(kernel)
    for _ in range(20):
        plain = plain - 0.002 * grad(gap)(plain, False)
        flipped = flipped - 0.002 * grad(gap)(flipped, True)
    wrong = "f[i, j] stands inside the sum, where it is constant; it must be f[m, n] g[i - m, j - n]"
    note = "largest difference; the text has s(t) for s(m, n) on the left of both sums" if "K5" in run.id else None
    rows = [
        agreement("a layer is a correlation", conv(image, kernel), correlation, note=note),
        agreement("convolution = correlation, kernel turned", conv(image, flip(kernel), padding=2), convolution),
        agreement("its gradient by the image: the other of the two", by_image, conv(target, flip(kernel), padding=2)),
        agreement("after 20 steps: the same kernels, turned", plain, flip(flipped)),
    ]  # fmt: skip
    if run.id == "ekman/app-G2":
        literal = image[2, 2] * np.sum(kernel)
        rows += [
            Row("the printed sum at one pixel", f"{literal:.4f}", f"{convolution[3, 3]:.4f}", wrong=wrong),
            Row("that of the correlation, the same pixel", f"{literal:.4f}", f"{correlation[1, 1]:.4f}",
                wrong="the same slip; it must be f[i + m, j + n] g[m, n]"),
            Row("pixels of a kernel whose sums run from -1 to 1", "M x N = 1", str(kernel.size),
                wrong="from -M to M and from -N to N it has (2 M + 1)(2 N + 1)"),
        ]  # fmt: skip
    return rows
