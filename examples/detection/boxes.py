"""What detectors need of boxes (x, y, width, height): overlap, offsets, anchors, and pooling of a region."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def iou(a: Any, b: Any) -> Any:
    """Intersection over union of each box of `a` with each of `b`: (len(a), len(b))."""
    a, b = a[:, None], b[None]
    sides = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.prod(np.maximum(sides, 0), axis=-1)
    return common / (np.prod(a[..., 2:], axis=-1) + np.prod(b[..., 2:], axis=-1) - common)


def offsets(target: Any, proposal: Any) -> Any:
    """T = ((G_x - P_x) / P_w, (G_y - P_y) / P_h, log(G_w / P_w), log(G_h / P_h)), by centres."""
    shift = (target[..., :2] + target[..., 2:] / 2 - proposal[..., :2] - proposal[..., 2:] / 2) / proposal[..., 2:]
    return np.concatenate([shift, np.log(target[..., 2:] / proposal[..., 2:])], axis=-1)


def moved(proposal: Any, t: Any) -> Any:
    """The box that lies so far from a proposal: the inverse of `offsets`."""
    size = proposal[..., 2:] * np.exp(t[..., 2:])
    centre = proposal[..., :2] + proposal[..., 2:] / 2 + t[..., :2] * proposal[..., 2:]
    return np.concatenate([centre - size / 2, size], axis=-1)


def anchors(x: float, y: float, sizes: tuple[float, ...], aspects: tuple[float, ...] = (0.5, 1.0, 2.0)) -> Any:
    """Boxes around a point: each area, size squared, in each ratio of height to width."""
    shapes = [(size / math.sqrt(aspect), size * math.sqrt(aspect)) for size in sizes for aspect in aspects]
    return np.array([(x - w / 2, y - h / 2, w, h) for w, h in shapes])


def suppress(boxes: Any, scores: Any, threshold: float = 0.5) -> list[int]:
    """Of boxes that overlap by more than the threshold, keep the one with the highest score."""
    kept: list[int] = []
    for i in np.argsort(-scores):
        if all(iou(boxes[i : i + 1], boxes[k : k + 1])[0, 0] <= threshold for k in kept):
            kept.append(int(i))
    return kept


def roi_pool(features: Any, box: tuple[int, int, int, int], size: int) -> Any:
    """Largest value in each cell of a grid of size x size laid over a region of whole pixels: (C, size, size)."""
    x, y, w, h = box
    rows = [(y + i * h // size, y - (-(i + 1) * h // size)) for i in range(size)]
    columns = [(x + i * w // size, x - (-(i + 1) * w // size)) for i in range(size)]
    cells = [[np.max(features[:, a:b, c:d], axis=(1, 2)) for c, d in columns] for a, b in rows]
    return np.stack([np.stack(row, axis=-1) for row in cells], axis=1)


def roi_align(features: Any, box: Any, size: int) -> Any:
    """Values at the centres of such a grid, interpolated between four pixels: nothing is rounded to whole pixels."""
    x, y, w, h = (float(v) for v in box)

    def weights(start: float, length: float, count: int) -> Any:
        at = np.clip(start + (np.arange(size) + 0.5) * length / size - 0.5, 0, count - 1)
        return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(count)))

    by_row = weights(y, h, features.shape[1]).astype(features.dtype)
    by_column = weights(x, w, features.shape[2]).astype(features.dtype)
    return np.einsum("ih,chw,jw->cij", by_row, features, by_column)
