"""Pooling by example: lecture L12; Buduma B37; Ketkar K5-4.

Run: ``python -m examples run lecture/L12 buduma/B37 ketkar/K5-4``
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import grad, jvp, ops
from examples.catalogue import program
from examples.conv_arithmetic.images import IMAGE
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run


def pool(image: Any, window: int, stride: int, kind: Any = ops.max_pool2d) -> Any:
    """Pool one image (H, W)."""
    return kind(image[None, None], window, stride=stride)[0, 0]


def l2_pool(image: Any, window: int, stride: int) -> Any:
    """Square root of the sum of squares under the window."""
    return np.sqrt(window**2 * pool(image**2, window, stride, ops.avg_pool2d))


def windows(image: Any, window: int, stride: int) -> Any:
    """All windows of an image: (rows, columns, window, window)."""
    return np.lib.stride_tricks.sliding_window_view(image, (window, window))[::stride, ::stride]


def one_decimal(matrix: Any) -> str:
    """Rows in brackets, without blanks."""
    return "[" + ",".join("[" + ",".join(f"{v:.1f}" for v in row) + "]" for row in matrix) + "]"


@program("lecture/L12")
def demos(run: Run) -> list[Row]:
    """Largest and average value of each 3x3 window of the slides' image."""
    del run
    largest, average = pool(IMAGE, 3, 1), pool(IMAGE, 3, 1, ops.avg_pool2d)
    return [
        Row("average", "[[1.7,1.7,1.7],[1.0,1.2,1.8],[1.1,0.8,1.3]]", one_decimal(average)),
        Row("maximum, rows 1 and 2", "[[3.0,3.0,3.0],[3.0,3.0,3.0]]", one_decimal(largest[:2])),
        Row(
            "maximum, row 3",
            "[[2.0,2.0,3.0]]",
            one_decimal(largest[2:]),
            wrong="rows 3 to 5, columns 1 to 3 hold a 3 (as the text has come down)",
        ),
        agreement("average = convolution with 1/9", average, windows(IMAGE, 3, 1).mean((2, 3))),
    ]


def fractional(n: int, ratio: float, start: float) -> list[int]:
    """Graham's pseudo-random edges: steps of 1 or 2 pixels whose average is the ratio, which need not be whole."""
    count = int(n / ratio)
    edges = [math.ceil(ratio * (i + start)) for i in range(count + 1)]
    return [0, *(edge - edges[0] for edge in edges[1:-1]), n]


def fractional_pool(image: Any, ratio: float, rng: np.random.Generator) -> Any:
    """Largest value of each cell of a grid with such edges."""
    rows, columns = (fractional(n, ratio, rng.uniform()) for n in image.shape)
    cells = [[np.max(image[a:b, c:d]) for c, d in itertools.pairwise(columns)]
             for a, b in itertools.pairwise(rows)]  # fmt: skip
    return np.stack([np.stack(row) for row in cells])


@program("buduma/B37")
def max_pooling(run: Run) -> list[Row]:
    """Windows side by side, windows that overlap, and cells of fractional size."""
    rng = run.rng
    x = rng.normal(size=(36, 36))
    side, over = pool(x, 2, 2), pool(x, 3, 2)
    part = fractional_pool(x, math.sqrt(2), rng)
    chosen = grad(lambda x: np.sum(pool(x, 2, 2)))(x)
    twice = grad(lambda x: np.sum(pool(x, 3, 2)))(x)
    by_hand = np.zeros_like(x)
    for (i, j), window in ((at, windows(x, 3, 2)[at]) for at in np.ndindex(over.shape)):
        a, b = np.unravel_index(window.argmax(), (3, 3))
        by_hand[2 * i + a, 2 * j + b] += 1
    with run.picture(ncols=4, figsize=(10, 3)) as axes:
        for ax, (name, y) in zip(axes, {"image 36x36": x, "2/2": side, "3/2": over, "fractional": part}.items(),
                                 strict=True):  # fmt: skip
            ax.imshow(y)
            ax.set(title=name, xlabel=f"{y.shape[1]} pixels", yticks=[], xticks=[])
            ax.grid(visible=False)
    shuffled = rng.permuted(windows(x, 2, 2).reshape(18, 18, 4), axis=2).reshape(18, 18, 2, 2)
    moved = shuffled.transpose(0, 2, 1, 3).reshape(36, 36)
    return [
        agreement("windows of 2, stride 2", side, windows(x, 2, 2).max((2, 3))),
        agreement("locally invariant: pixels change places in a window", side, pool(moved, 2, 2)),
        agreement("windows of 3, stride 2: they overlap", over, windows(x, 3, 2).max((2, 3))),
        agreement("2/2: each window sends its adjoint to one pixel", np.unique(chosen), [0, 1]),
        agreement("3/2: a pixel that wins in several adds them up", twice, by_hand),
        Row("3/2: most windows that one pixel won", "", str(int(twice.max())), "of at most 4"),
        Row("sqrt 2: 36 pixels become", "", str(len(part)), "int(36 / sqrt 2) = 25", met=len(part) == 25),
        Row("width of 36 pixels, window 3, stride 2", str(math.ceil(33 / 2) + 1), str(len(over)),
            wrong="floor, not ceil, unless the image is padded"),
    ]  # fmt: skip


@program("ketkar/K5-4")
def three_kinds(run: Run) -> list[Row]:
    """Maximum, average and length of the window; how much of each survives a shift by one pixel."""
    rng = run.rng
    grid = np.arange(24)
    spot = np.exp(-((grid[:, None] - 11) ** 2 + (grid - 12) ** 2) / 18)
    shifted = np.roll(spot, 1, axis=1)
    kinds = {"max": pool, "average": lambda x, w, s: pool(x, w, s, ops.avg_pool2d), "L2 norm": l2_pool}

    def change(a: Any, b: Any) -> float:
        return float(np.linalg.norm(a - b) / np.linalg.norm(a))

    moved = {name: change(f(spot, 4, 4), f(shifted, 4, 4)) for name, f in kinds.items()}
    pixels = [1.0 * ((grid[:, None] == 11) & (grid == column)) for column in grid]
    stays = [
        np.mean([np.array_equal(f(a, 4, 4), f(b, 4, 4)) for a, b in itertools.pairwise(pixels)]) for f in kinds.values()
    ]
    with run.picture(ncols=4, figsize=(10, 3)) as axes:
        shown = {"image": spot, **{name: f(spot, 4, 4) for name, f in kinds.items()}}
        for ax, (name, y) in zip(axes, shown.items(), strict=True):
            ax.imshow(y)
            ax.set(title=name, xticks=[], yticks=[])
            ax.grid(visible=False)
    x = rng.normal(size=(6, 6))
    cells = windows(x, 2, 2)
    norms = np.sqrt(np.sum(cells**2, axis=(2, 3)))
    spread = np.kron(1 / norms, np.ones((2, 2)))
    return [
        agreement("maximum", pool(x, 2, 2), cells.max((2, 3))),
        agreement("average", pool(x, 2, 2, ops.avg_pool2d), cells.mean((2, 3))),
        agreement("L2 norm", l2_pool(x, 2, 2), norms),
        agreement("gradient of the L2 norm: x / norm", grad(lambda x: np.sum(l2_pool(x, 2, 2)))(x), x * spread),
        agreement("its tangent along x: the norm itself", jvp(lambda x: l2_pool(x, 2, 2), (x,), (x,))[1], norms),
        Row("a shift by a pixel changes the image by", "", f"{100 * change(spot, shifted):.0f} %"),
        *[Row(f"  {name} of 4x4", "", f"{100 * v:.0f} %") for name, v in moved.items()],
        Row("steps of a single pixel that do not change them", "invariant", ", ".join(f"{s:.0%}" for s in stays),
            "those inside a window; a smooth spot, above, always crosses some", met=min(stays) > 0.5),
    ]  # fmt: skip
