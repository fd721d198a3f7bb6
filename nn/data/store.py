"""Where data files come from: the user's cache folder and the network."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nn.data.idx import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["DownloadError", "cache_dir", "fetch"]

CONNECT_SECONDS = 5.0
_CHUNK = 1 << 18
_AGENT = {"User-Agent": "autodiff-engine"}


class DownloadError(OSError):
    """A file that no address gave; the message has the reason for each."""


def cache_dir() -> Path:
    """Return the folder where downloads are kept, as is usual on this system; it may not exist yet.

    Examples
    --------
    >>> cache_dir().name
    'autodiff-engine'
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "autodiff-engine"


def _open(url: str, seconds: float) -> Any:
    """Open an address, or raise an OSError in time.

    The socket's own timeout does not cover the look-up of the name, which can hang where packets are dropped, so
    another thread opens it.
    """
    if not url.startswith(("http://", "https://")):
        raise OSError(f"not an address of the web: {url}")
    import urllib.error
    import urllib.request
    from http.client import HTTPException

    found: list[Any] = []

    def attempt() -> None:
        try:
            request = urllib.request.Request(url, headers=_AGENT)  # noqa: S310 - http and https only, see above
            found.append(urllib.request.urlopen(request, timeout=seconds))  # noqa: S310
        except (OSError, ValueError, HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection
            found.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds + 1.0)
    if not found:
        raise TimeoutError(f"no answer within {seconds:g} s")
    if isinstance(found[0], BaseException):
        raise OSError(str(found[0])) from found[0]
    return found[0]


def _read(response: Any, limit: int, progress: Callable[[int], object]) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := response.read(_CHUNK):
        size += len(part)
        if size > limit:
            raise DataError(f"it is longer than the {limit} bytes that it may have")
        parts.append(part)
        progress(len(part))
    announced = response.headers.get("Content-Length")
    if announced is not None and str(size) != announced.strip():
        raise OSError(f"the connection broke after {size} of {announced} bytes")
    return b"".join(parts)


def fetch(
    urls: Sequence[str],
    check: Callable[[bytes], object],
    *,
    limit: int = 1 << 27,
    connect_seconds: float = CONNECT_SECONDS,
    progress: Callable[[int], object] = lambda _: None,
) -> bytes:
    """Download a file from the first address that gives the right one.

    Parameters
    ----------
    urls
        Addresses of the same file, in the order to try.
    check
        Raises `DataError` if the bytes are not the file.
    limit
        More bytes than this are refused.
    connect_seconds
        How long to wait for an answer, and for each further part of it.
    progress
        Called with the length of each part that arrives.

    Returns
    -------
    bytes
        What `check` accepted.

    Raises
    ------
    DownloadError
        If no address gave the file; the message has the reason for each.
    """
    from http.client import HTTPException  # here, because it takes longer to import than all the rest

    reasons = []
    for url in urls:
        try:
            with _open(url, connect_seconds) as response:
                content = _read(response, limit, progress)
            check(content)
        except (OSError, DataError, HTTPException) as error:
            reasons.append(f"{url}: {error}")
        else:
            return content
    raise DownloadError("no address gave the file\n  " + "\n  ".join(reasons))
