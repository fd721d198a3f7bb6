"""Making images larger: Ekman, appendix B (B6).

Run: ``python -m examples run ekman/app-B6``
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import jacrev, ops, vjp
from examples.catalogue import program
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run


def stuff(image: Any) -> Any:
    """Put a zero behind each pixel, in both directions."""
    rows, columns = image.shape
    larger = np.zeros((2 * rows, 2 * columns))
    larger[::2, ::2] = image
    return larger


def up(image: Any, method: str) -> Any:
    """Twice as high and as wide."""
    return nn.Upsample2d(2, method=method)(image[None, None])[0, 0]


@program("ekman/app-B6")
def upsampling(run: Run) -> list[Row]:
    """Nearest, bilinear, transposed convolution, un-pooling: all are zeros between the pixels and a convolution."""
    rng = run.rng
    x = rng.normal(size=(3, 3))
    nearest, bilinear = up(x, "nearest"), up(x, "bilinear")
    ones = ops.conv2d(np.pad(stuff(x), ((1, 0), (1, 0)))[None, None], np.ones((1, 1, 2, 2)))[0, 0]

    tent = np.array([1.0, 3.0, 3.0, 1.0])
    kernel = np.outer(tent, tent) / 16
    framed = stuff(np.pad(x, 1, mode="edge"))
    by_kernel = ops.conv2d(framed[None, None], kernel[None, None], padding="same")[0, 0][1:7, 1:7]
    deconvolved = ops.conv_transpose2d(np.pad(x, 1, mode="edge")[None, None], kernel[None, None], stride=2, padding=1)
    weights = jacrev(lambda x: up(x, "bilinear")[2, 2])(x)
    four = sorted({Fraction(w).limit_denominator(64) for w in weights.ravel() if w > 0}, reverse=True)
    shares = [str(Fraction(float(w)).limit_denominator(64)) for w in sorted(weights.ravel(), reverse=True) if w > 0]

    learned = rng.normal(size=(1, 1, 3, 3))
    stride_one = ops.conv_transpose2d(x[None, None], learned, padding=1)
    ordinary = ops.conv2d(x[None, None], learned[..., ::-1, ::-1], padding=1)

    photo = rng.normal(size=(1, 1, 6, 6))
    top = ops.max_pool2d(photo, 2)
    back = nn.max_unpool2d(top, photo, 2)
    winners = photo == np.kron(top[0, 0], np.ones((2, 2)))
    adjoint = rng.normal(size=(1, 1, 5, 5))
    strided = vjp(lambda x: ops.conv2d(x, learned, stride=2, padding=1), np.zeros((1, 1, 9, 9)))[1](adjoint)[0]

    flat, nine = np.ones((1, 1, 6, 6)), np.ones((1, 1, 3, 3))
    noise = ops.conv_transpose2d(flat, nine, stride=2)[0, 0]
    even = ops.conv2d(nn.Upsample2d(2, method="nearest")(flat), nine)[0, 0]
    with run.picture(ncols=4, figsize=(10, 3)) as axes:
        shown = {"image": x, "nearest": nearest, "bilinear": bilinear, "3x3 kernel, stride 2": noise}
        for ax, (name, y) in zip(axes, shown.items(), strict=True):
            ax.imshow(y)
            ax.set_title(f"{name}: {y.shape[0]}x{y.shape[1]}", fontsize=9)
            ax.set(xticks=[], yticks=[])
            ax.grid(visible=False)
    return [
        Row("nearest, 3x3 becomes", "6x6", "x".join(map(str, nearest.shape))),
        agreement("nearest = zeros between, then 2x2 ones", nearest, ones),
        Row("bilinear weights of four pixels", "9/16, 3/16, 3/16, 1/16", ", ".join(shares)),
        agreement("they are (1 - dx)(1 - dy) at dx = dy = 1/4", [float(w) for w in four], [9 / 16, 3 / 16, 1 / 16]),
        agreement("bilinear = zeros between, then a 4x4 kernel", bilinear, by_kernel),
        agreement("  and a transposed convolution with that kernel", bilinear, deconvolved[0, 0][2:8, 2:8]),
        agreement("deconvolution with stride 1 is a convolution", stride_one, ordinary),
        agreement("deconvolution is the gradient of a convolution", strided, ops.conv_transpose2d(
            adjoint, learned, stride=2, padding=1)),
        agreement("un-pooling: values back at the maxima, else zero", back, np.where(winners, photo, 0)),
        Row("checkerboard: smallest and largest of equal pixels", "", f"{noise.min():.0f} and {noise.max():.0f}"),
        Row("  nearest, then a convolution", "none", f"{even.min():.0f} and {even.max():.0f}", "of the same pixels",
            met=np.ptp(even) == 0),
    ]  # fmt: skip
