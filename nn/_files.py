"""Files that are complete or absent: write beside the target, force to disk, rename."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_writable", "write_atomically"]

_STALE = 3600.0  # seconds after which an unfinished file was left by a process that died


def write_atomically(path: str | os.PathLike[str], chunks: Iterable[bytes | memoryview]) -> None:
    """Replace a file so that, whenever the process or machine dies, it is the old one or the new one.

    The bytes go to a file of another name in the same folder, are forced to disk, and take the name in one step.

    Parameters
    ----------
    path
        The file; its folder is made if it does not exist.
    chunks
        The content, in order.

    Raises
    ------
    OSError
        If the folder or file cannot be written; the old file, if any, is untouched.

    Examples
    --------
    >>> folder = tempfile.mkdtemp()
    >>> write_atomically(f"{folder}/greeting", [b"hello ", b"world"])
    >>> Path(folder, "greeting").read_text()
    'hello world'
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(target)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    _force_folder(target.parent)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise an OSError unless `write_atomically` can write this file; all that is left behind is its folder.

    Examples
    --------
    >>> check_writable(tempfile.mkdtemp())
    Traceback (most recent call last):
    ...
    IsADirectoryError: it is a folder
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError("it is a folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    Path(name).unlink()


def _umask() -> int:
    """Return the process's mask of permissions, which `mkstemp` does not obey; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _force_folder(folder: Path) -> None:
    """Force a rename to disk; systems that cannot open folders (Windows) do without."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems refuse
            os.fsync(handle)
    finally:
        os.close(handle)


def _remove_stale(target: Path) -> None:
    """Remove what killed processes left of earlier attempts."""
    for path in target.parent.glob(f".{target.name}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()
