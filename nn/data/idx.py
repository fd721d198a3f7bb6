"""The idx format of MNIST: a header that says type and shape, then the values; plain or compressed with gzip."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import os

__all__ = ["DataError", "parse_idx", "read_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class DataError(ValueError):
    """A data file that is corrupt, cut short, or not what its name says."""


def parse_idx(content: bytes, name: str = "idx data") -> Any:
    """Read an array from the bytes of an idx file.

    Parameters
    ----------
    content
        The whole file, uncompressed.
    name
        What messages call it.

    Returns
    -------
    ndarray
        A new array in native byte order, of the type and shape in the header.

    Raises
    ------
    DataError
        If the header is not one of idx, or the length does not match it.

    Examples
    --------
    >>> parse_idx(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]))
    array([[7, 8, 9]], dtype=uint8)
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        shown = content[:4].hex(" ") or "nothing"
        raise DataError(
            f"{name} is no idx file: it begins with {shown}, not with 00 00, a type (08 ... 0e) and a rank."
        )
    dtype, rank = np.dtype(_TYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{name} is cut short: {len(content)} bytes, and its header alone takes {start}.")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", rank, 4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        what = "is cut short" if len(content) < expected else "is too long"
        header = f"{dtype.name}{list(shape)}"
        raise DataError(f"{name} {what}: {len(content)} bytes, and its header, {header}, takes {expected}.")
    return np.frombuffer(content, dtype, -1, start).reshape(shape).astype(dtype.newbyteorder("="))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file, decompressed if it is a gzip file (whatever its name)."""
    raw = Path(path).read_bytes()
    return decompress(raw, str(path)) if raw[:2] == b"\x1f\x8b" else raw


def decompress(raw: bytes, name: str) -> bytes:
    """Undo gzip; what cannot be undone is a `DataError`."""
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} is not a complete gzip file ({error}): delete it and get it again.") from error


def read_idx(path: str | os.PathLike[str]) -> Any:
    """Read an array from an idx file, plain or compressed with gzip.

    Raises
    ------
    DataError
        If the file is corrupt, cut short, or something else.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "labels.gz")
    >>> _ = path.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 6])))
    >>> read_idx(path)
    array([5, 6], dtype=uint8)
    """
    return parse_idx(read_bytes(path), str(path))
