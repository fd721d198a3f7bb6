"""Minibatches: shuffled, complete or not, changed on the way, and resumable in the middle of an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import device_put
from autodiff.core.backend import array_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Batches", "to_float"]


def to_float(images: Any, *, layout: str = "NCHW", dtype: Any = np.float32) -> Any:
    """Turn grey or colour images of 8-bit pixels into floats from 0 to 1 with an axis of channels.

    Parameters
    ----------
    images : ndarray of uint8, (n, height, width) or (n, height, width, channels)
        The images.
    layout : {"NCHW", "NHWC"}
        Where the channels go.
    dtype
        A floating dtype.

    Returns
    -------
    ndarray
        ``images / 255``, of shape (n, channels, height, width) or (n, height, width, channels).

    Raises
    ------
    TypeError
        If the pixels are not uint8.
    ValueError
        If the shape or layout is another one.

    Examples
    --------
    >>> to_float(np.full((5, 28, 28), 255, np.uint8)).shape
    (5, 1, 28, 28)
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise TypeError(f"to_float: images must be uint8 (pixels from 0 to 255), not {images.dtype}.")
    if images.ndim not in {3, 4}:
        raise ValueError(f"to_float: images must be (n, h, w) or (n, h, w, channels), not of shape {images.shape}.")
    if layout not in {"NCHW", "NHWC"}:
        raise ValueError(f"to_float: layout must be 'NCHW' or 'NHWC', not {layout!r}.")
    with_channels = images if images.ndim == 4 else images[..., np.newaxis]
    if layout == "NCHW":
        with_channels = with_channels.transpose(0, 3, 1, 2)
    return np.divide(np.ascontiguousarray(with_channels), 255, dtype=dtype)


class Batches:
    """Examples in minibatches, epoch after epoch.

    Parameters
    ----------
    *arrays : ndarray
        Arrays of the same length; a batch is the tuple of the same rows of each.
    batch_size : int
        Rows in a batch.
    shuffle : bool
        Whether each epoch has an order of its own.
    drop_last : bool
        Whether to leave out the last batch of an epoch if it is not complete.
    transform : callable, optional
        ``transform(*rows)`` -> the batch; the same in each epoch, such as uint8 to float.
    augment : callable, optional
        ``augment(batch, rng)`` -> the batch, changed at random; after `transform`.
    device : str, optional
        Where each batch is moved at the end, as `autodiff.device_put` takes it: ``"cuda"`` for models on a GPU. Nothing
        moves by itself. Arrays that lie on a GPU already make batches there.

    Raises
    ------
    TypeError
        If an argument is a tuple.
    ValueError
        If there are no arrays, their lengths differ, or the batch size is not positive.

    Notes
    -----
    The order of an epoch and what `augment` does in each batch are decided by the generator's state at its start, so
    an epoch can be taken up again anywhere: ``epoch(rng, start=k)`` gives the same batches without the first k.

    Examples
    --------
    >>> x, y = np.arange(10.0), np.arange(10)
    >>> data = Batches(x, y, batch_size=4)
    >>> len(data), [len(rows) for rows, _ in data.epoch(np.random.default_rng(0))]
    (3, [4, 4, 2])
    """

    def __init__(
        self,
        *arrays: Any,
        batch_size: int = 100,
        shuffle: bool = True,
        drop_last: bool = False,
        transform: Callable[..., Any] | None = None,
        augment: Callable[[Any, np.random.Generator], Any] | None = None,
        device: str | None = None,
    ) -> None:
        if not arrays:
            raise ValueError("Batches: give at least one array, as in Batches(images, labels).")
        if any(isinstance(array, tuple) for array in arrays):
            raise TypeError("Batches: give the arrays one by one, Batches(x, y), not in a tuple.")
        self.arrays = tuple(array_of(array) for array in arrays)
        shapes = [array.shape for array in self.arrays]
        if any(not shape for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
            raise ValueError(f"Batches: the arrays must have the same number of rows, but their shapes are {shapes}.")
        if not isinstance(batch_size, int | np.integer):
            raise TypeError(f"Batches: batch_size must be an integer, not {batch_size!r}.")
        if batch_size < 1:
            raise ValueError(f"Batches: batch_size must be positive, not {batch_size}.")
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.transform = transform
        self.augment = augment
        self.device = device
        if not len(self):
            count = len(self.arrays[0])
            raise ValueError(f"Batches: {count} row(s) make no batch of {batch_size} (drop_last={drop_last}).")

    @property
    def num_examples(self) -> int:
        """Rows in one epoch."""
        rows = len(self.arrays[0])
        return rows - rows % self.batch_size if self.drop_last else rows

    def __len__(self) -> int:
        return (self.num_examples + self.batch_size - 1) // self.batch_size

    def epoch(self, rng: np.random.Generator | None = None, *, start: int = 0) -> Iterator[Any]:
        """Iterate over one epoch.

        Parameters
        ----------
        rng
            Decides order and augmentation; needed if there is either. It is advanced at once, by as much whatever
            `start` is.
        start
            How many batches to leave out at the beginning.

        Raises
        ------
        TypeError
            If `rng` is needed and is not a Generator.
        """
        if not (self.shuffle or self.augment):
            return self._iterate(None, 0, start)
        if not isinstance(rng, np.random.Generator):
            raise TypeError(
                "Batches: shuffling and augmentation need a numpy.random.Generator: "
                f"data.epoch(np.random.default_rng(0)), not {type(rng).__name__}. To evaluate, make them with "
                "shuffle=False."
            )
        order = rng.permutation(len(self.arrays[0])) if self.shuffle else None
        return self._iterate(order, int(rng.integers(2**63)), start)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the batches of data that is neither shuffled nor augmented."""
        return self.epoch()

    def _iterate(self, order: Any, seed: int, start: int) -> Iterator[Any]:
        for i in range(start, len(self)):
            span = slice(i * self.batch_size, min((i + 1) * self.batch_size, self.num_examples))
            rows = span if order is None else order[span]
            batch = tuple(array[rows] for array in self.arrays)
            if self.transform is not None:
                batch = self.transform(*batch)
            if self.augment is not None:
                # A generator for each batch: what it does depends on the batch alone, wherever one starts.
                batch = self.augment(batch, np.random.default_rng((seed, i)))
            yield batch if self.device is None else device_put(batch, self.device)
