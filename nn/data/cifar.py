"""CIFAR-10: 60,000 colour photos of 32x32 pixels in ten classes, found on disk in any of its usual forms."""

from __future__ import annotations

import lzma
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nn.data.idx import DataError
from nn.data.mnist import ENVIRONMENT, ImageSet
from nn.data.store import cache_dir
from nn.importing import _Unpickler

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CIFAR10_CLASSES", "load_cifar10"]

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FOLDERS = (".", "cifar10", "cifar-10", "cifar-10-batches-py", "cifar-10-batches-bin", "CIFAR10/cifar-10-batches-py")
_PART = 10_000
Part = tuple[Any, Any]


def _planes(rows: Any) -> Any:
    """(n, 3072), red, green and blue one after the other, as (n, 32, 32, 3)."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _binary(folder: Path, name: str) -> Part:
    """A file of the binary version: a byte of label and 3,072 of pixels for each image."""
    rows = np.fromfile(folder / f"{name}.bin", np.uint8)
    if rows.size % 3073:
        raise DataError(f"{folder / name}.bin: {rows.size} bytes are no whole images of 3,073.")
    rows = rows.reshape(-1, 3073)
    return _planes(rows[:, 1:]), rows[:, 0]


def _python(folder: Path, name: str) -> Part:
    """A file of the Python version: a pickled dictionary."""
    path = folder / name
    try:
        with path.open("rb") as file:
            found = _Unpickler(file, str(path), {}, encoding="bytes").load()
        return _planes(np.asarray(found[b"data"])), np.asarray(found[b"labels"])
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no batch of CIFAR-10: {error}") from error


def _packed(folder: Path, name: str) -> Part:
    """A part packed without loss: colour differences, differenced along both axes, zigzag-coded, in xz."""
    part = "test" if name == "test_batch" else f"train_{int(name[-1]) - 1}"
    path = folder / f"{part}.xz"
    try:
        with lzma.open(path) as file:
            code = np.frombuffer(file.read(), np.uint8).reshape(3, -1, 32, 32)
    except (lzma.LZMAError, EOFError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    steps = (code >> 1) ^ (0 - (code & 1)).astype(np.uint8)
    green, red, blue = steps.cumsum(2, dtype=np.uint8).cumsum(3, dtype=np.uint8)
    images = np.stack([red + green, green, blue + green], -1)
    with np.load(folder / "labels.npz") as labels:
        if part == "test":
            return images, labels["test"]
        at = int(part[-1]) * _PART
        return images, labels["train"][at : at + len(images)]


def _reader(folder: Path) -> Callable[[Path, str], Part] | None:
    for mark, reader in (("data_batch_1.bin", _binary), ("data_batch_1", _python), ("train_0.xz", _packed)):
        if (folder / mark).is_file():
            return reader
    return None


def load_cifar10(
    data_dir: str | os.PathLike[str] | None = None, *, train: int = 50_000, test: int = 10_000
) -> ImageSet:
    """Load CIFAR-10: 50,000 photos to learn from and 10,000 to test on.

    They are looked for in `data_dir`, in the folder that the environment variable ``AUTODIFF_DATA`` names, and in the
    user's cache: the files of the binary or of the Python version from https://www.cs.toronto.edu/~kriz/cifar.html
    (unpacked), or a lossless packed form. Nothing is downloaded.

    Parameters
    ----------
    data_dir
        A folder with the files, or with a folder of them such as ``cifar-10-batches-py``.
    train, test
        How many of each part are needed; the files of the others are not read.

    Returns
    -------
    ImageSet
        Images (n, 32, 32, 3) of red, green and blue.

    Raises
    ------
    DataError
        If a file is damaged.
    FileNotFoundError
        If a folder that was named does not exist, or the set is nowhere to be had.
    """
    named = [(data_dir, "data_dir"), (os.environ.get(ENVIRONMENT) or None, ENVIRONMENT)]
    for value, origin in [*named, (cache_dir(), "cache")]:
        if value is None:
            continue
        base = Path(value).expanduser()
        if origin != "cache" and not base.is_dir():
            raise FileNotFoundError(f"{origin} is {str(base)!r}, and there is no such folder.")
        for folder in (base / place for place in _FOLDERS):
            reader = _reader(folder)
            if reader is not None:
                return _assemble(reader, folder, f"{origin} ({folder})", train, test)
    raise FileNotFoundError(
        "CIFAR-10 is not on disk: unpack https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz (170 MB) in a folder "
        f"and name it, as data_dir or in the environment variable {ENVIRONMENT}."
    )


def _assemble(reader: Callable[[Path, str], Part], folder: Path, origin: str, train: int, test: int) -> ImageSet:
    files = [f"data_batch_{i + 1}" for i in range(min(5, -(-train // _PART)))]
    parts = [reader(folder, name) for name in [*files, "test_batch"]]
    for images, labels in parts:
        if len(images) != len(labels) or labels.max(initial=0) > 9:
            raise DataError(f"{folder}: images {images.shape} and labels {labels.shape} do not belong together.")
    images, labels = (np.concatenate([part[i] for part in parts[:-1]])[:train] for i in (0, 1))
    full = len(images) == 50_000 and test >= _PART
    return ImageSet(
        "CIFAR-10" if full else "a part of CIFAR-10", origin, CIFAR10_CLASSES, images, labels.astype(np.int64),
        parts[-1][0][:test], parts[-1][1][:test].astype(np.int64), full=full,
    )  # fmt: skip
