"""Generated scenes: a bright square or disc on noise, with its class, box and mask."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

SIZE = 32


@dataclasses.dataclass(frozen=True)
class Scenes:
    """Images (n, 1, 32, 32), classes (0 square, 1 disc), boxes (x, y, width, height) in pixels, masks (n, 32, 32)."""

    images: Any
    labels: Any
    boxes: Any
    masks: Any


def scenes(rng: np.random.Generator, count: int) -> Scenes:
    """Draw so many scenes."""
    labels, side = rng.integers(0, 2, count), rng.integers(8, 17, count)
    x, y = rng.integers(0, SIZE + 1 - side), rng.integers(0, SIZE + 1 - side)
    row, column = np.mgrid[:SIZE, :SIZE]
    dx, dy = column - x[:, None, None], row - y[:, None, None]
    width = side[:, None, None]
    square = (dx >= 0) & (dy >= 0) & (dx < width) & (dy < width)
    disc = (dx + 0.5 - width / 2) ** 2 + (dy + 0.5 - width / 2) ** 2 <= (width / 2) ** 2
    masks = np.where(labels[:, None, None] == 1, disc, square)
    images = masks[:, None] + 0.2 * rng.normal(size=(count, 1, SIZE, SIZE))
    boxes = np.stack([x, y, side, side], axis=1).astype(np.float32)
    return Scenes(images.astype(np.float32), labels, boxes, masks)
