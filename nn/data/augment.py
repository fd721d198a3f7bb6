"""Random changes of images that keep their labels: hooks for `Batches(augment=...)`.

Each takes a batch ``(images, ...)`` with images (n, channels, height, width) and a generator, and returns a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nn.arguments import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    Augmentation = Callable[[Any, np.random.Generator], Any]

__all__ = ["chain", "random_affine", "random_crop", "random_flip", "random_shift"]


def _images(name: str, batch: Any) -> Any:
    images = batch[0]
    if images.ndim != 4:
        raise ValueError(f"{name}: images must be (n, channels, height, width), not of shape {images.shape}.")
    return images


def chain(*steps: Augmentation) -> Augmentation:
    """Apply augmentations one after the other.

    Examples
    --------
    >>> both = chain(random_flip(), random_shift(2))
    >>> images, labels = both((np.ones((3, 1, 8, 8)), np.arange(3)), np.random.default_rng(0))
    >>> images.shape
    (3, 1, 8, 8)
    """

    def apply(batch: Any, rng: np.random.Generator) -> Any:
        for step in steps:
            batch = step(batch, rng)
        return batch

    return apply


def random_flip(probability: float = 0.5) -> Augmentation:
    """Mirror each image, left for right, with this probability.

    Examples
    --------
    >>> images, labels = random_flip(1.0)(
    ...     (np.arange(3.0).reshape(1, 1, 1, 3), [7]), np.random.default_rng(0)
    ... )
    >>> images.ravel(), labels
    (array([2., 1., 0.]), [7])
    """

    def flip(batch: Any, rng: np.random.Generator) -> Any:
        images = _images("random_flip", batch)
        chosen = rng.random(len(images)) < probability
        return (np.where(chosen[:, None, None, None], images[..., ::-1], images), *batch[1:])

    return flip


def random_shift(pixels: int = 2) -> Augmentation:
    """Move each image by up to so many whole pixels each way; zeros come in from outside.

    Raises
    ------
    TypeError, ValueError
        If `pixels` is no integer, or negative.

    Examples
    --------
    >>> images, _ = random_shift(1)((np.eye(3)[None, None], [0]), np.random.default_rng(1))
    >>> images.shape
    (1, 1, 3, 3)
    """
    pixels = whole("random_shift", "pixels", pixels, 0)

    def shift(batch: Any, rng: np.random.Generator) -> Any:
        images = _images("random_shift", batch)
        padded = np.pad(images, ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels)))
        return (_pieces(padded, images.shape[2:], rng), *batch[1:])

    return shift


def random_crop(height: int, width: int | None = None) -> Augmentation:
    """Cut a piece of so many pixels out of each image, at a place of its own.

    Parameters
    ----------
    height, width
        Pixels of the piece; without a width it is square.

    Raises
    ------
    TypeError, ValueError
        If a size is no integer or less than 1; and from the augmentation, if it is larger than the images.

    Examples
    --------
    >>> images, _ = random_crop(2)((np.arange(9.0).reshape(1, 1, 3, 3), [0]), np.random.default_rng(1))
    >>> images
    array([[[[1., 2.],
             [4., 5.]]]])
    """
    height = whole("random_crop", "height", height)
    size = (height, height if width is None else whole("random_crop", "width", width))

    def crop(batch: Any, rng: np.random.Generator) -> Any:
        images = _images("random_crop", batch)
        if images.shape[2] < size[0] or images.shape[3] < size[1]:
            raise ValueError(f"random_crop: a piece of {size} pixels does not fit into images of {images.shape[2:]}.")
        return (_pieces(images, size, rng), *batch[1:])

    return crop


def _pieces(images: Any, size: tuple[int, int], rng: np.random.Generator) -> Any:
    """Return a piece of each image, at a random place."""
    n, _, *whole = images.shape
    top, left = (rng.integers(0, w - s + 1, n) for w, s in zip(whole, size, strict=True))
    rows, columns = top[:, None] + np.arange(size[0]), left[:, None] + np.arange(size[1])
    # Indices on both sides of the slice put the channels last.
    picked = images[np.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return np.ascontiguousarray(picked.transpose(0, 3, 1, 2))


def random_affine(degrees: float = 10.0, shift: float = 2.0, zoom: float = 0.1) -> Augmentation:
    """Rotate, move and scale each image about its centre; zeros come in from outside.

    Parameters
    ----------
    degrees
        Rotation, at most, either way.
    shift
        Movement in pixels, at most, each way.
    zoom
        Change of scale, at most: 0.1 is from 0.9 to 1.1.

    Raises
    ------
    ValueError
        If an argument is negative, or `zoom` is 1 or more.

    Examples
    --------
    >>> images, _ = random_affine(0.0, 0.0, 0.0)((np.eye(4)[None, None], [0]), np.random.default_rng(0))
    >>> np.array_equal(images[0, 0], np.eye(4))
    True
    """
    if min(degrees, shift, zoom) < 0 or zoom >= 1:
        raise ValueError(f"random_affine: nothing may be negative, and zoom below 1: {degrees=}, {shift=}, {zoom=}.")

    def affine(batch: Any, rng: np.random.Generator) -> Any:
        from scipy.ndimage import affine_transform

        images = _images("random_affine", batch)
        centre = (np.array(images.shape[2:]) - 1) / 2
        angles = np.deg2rad(rng.uniform(-degrees, degrees, len(images)))
        scales = 1 / rng.uniform(1 - zoom, 1 + zoom, len(images))
        moves = rng.uniform(-shift, shift, (len(images), 2))
        out = np.empty_like(images)
        for i, (angle, scale, move) in enumerate(zip(angles, scales, moves, strict=True)):
            matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            offset = centre - matrix @ (centre + move)
            for image, target in zip(images[i], out[i], strict=True):
                affine_transform(image, matrix, offset, output=target, order=1)
        return (out, *batch[1:])

    return affine
