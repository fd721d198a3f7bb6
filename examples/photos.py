"""Colour photos for the programs: CIFAR-10 where it is on disk, generated pictures where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nn.data import CIFAR10_CLASSES, ImageSet, load_cifar10

if TYPE_CHECKING:
    from examples.run import Run

__all__ = ["colour_photos", "generated"]


def colour_photos(run: Run, train: int = 50_000, test: int = 10_000) -> ImageSet:
    """Load CIFAR-10, or so much of it; without it, and for ten steps, generated pictures stand in.

    It is looked for in ``--data-dir``, in the folder that ``AUTODIFF_DATA`` names and in the cache; it comes from
    https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    if not run.smoke:
        try:
            photos = load_cifar10(run.data_dir, train=train, test=test)
        except FileNotFoundError as error:
            run.lacks(str(error).replace("data_dir", "--data-dir"))
        else:
            run.data = f"{photos.name}, {len(photos.train_labels):,} + {len(photos.test_labels):,} photos"
            return photos
    photos = generated(run.rng, min(train, 2000), min(test, 500))
    run.data = "generated pictures of ten classes; CIFAR-10 is not on disk" if not run.smoke else "generated pictures"
    return photos


def generated(rng: np.random.Generator, train: int, test: int) -> ImageSet:
    """Pictures of 32x32 pixels with waves whose direction and colour the class decides, and much noise."""
    labels = rng.integers(0, 10, train + test)
    y, x = np.mgrid[:32, :32] / 32
    angle, colour = np.pi * np.arange(10) / 10, np.stack([np.cos(np.arange(10) + k) for k in range(3)], 1)
    phase = rng.uniform(0, 2 * np.pi, len(labels))[:, None, None]
    along = np.cos(angle)[labels, None, None] * x + np.sin(angle)[labels, None, None] * y
    waves = np.sin(2 * np.pi * (3 + labels % 3)[:, None, None] * along + phase)
    images = (
        128 + 50 * waves[..., None] + 25 * colour[labels, None, None] + 30 * rng.normal(size=(len(labels), 32, 32, 3))
    )
    pixels: Any = np.clip(images, 0, 255).astype(np.uint8)
    return ImageSet(
        "generated pictures", "a generator", CIFAR10_CLASSES, pixels[:train], labels[:train], pixels[train:],
        labels[train:], full=False,
    )  # fmt: skip
