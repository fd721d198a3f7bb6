"""What a full device says: which operation asked, for how many bytes, and how many are free.

CuPy allocates inside of its own functions, and its error knows the bytes alone. The operation is found in the frames
that the error came through, when a transform, or an operation on plain arrays, lets it go: the calls themselves pay
nothing. The error stays CuPy's own, of its own class; only its text changes.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from autodiff.core.errors import is_users

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["tell"]

_ADVICE = (
    "A smaller batch or autodiff.checkpoint needs less; cupy.get_default_memory_pool().free_all_blocks() gives back "
    "what other arrays have left."
)


def tell(error: MemoryError, name: str | None = None) -> None:
    """Say in the text of CuPy's error which operation it was; leave any other error, and one that says so, alone.

    Parameters
    ----------
    error : MemoryError
        Of CuPy, for a device without room.
    name : str, optional
        The operation, where it is known; else it is looked for in the traceback.
    """
    if type(error).__module__.partition(".")[0] != "cupy" or getattr(error, "operation", None) is not None:
        return
    found, line = _culprit(error)
    found = name or found or "CuPy"
    asked = re.search(r"allocating ([\d,]+) bytes", str(error))
    room = f"{asked[1]} bytes" if asked else "an array"
    error.args = (f"{found}: no room on the device for {room}{line}; {_free()}. {_ADVICE}",)
    error.operation = found  # type: ignore[attr-defined]


def _free() -> str:
    cupy: Any = sys.modules.get("cupy")
    try:
        free, total = cupy.cuda.runtime.memGetInfo()
        unused = cupy.get_default_memory_pool().free_bytes()
    except Exception:  # noqa: BLE001 - a device that is full may refuse to answer too, and the first error counts
        return "how many are free is not known"
    return f"{free:,} of {total:,} are free, and {unused:,} more in blocks that CuPy keeps for reuse"


def _culprit(error: BaseException) -> tuple[str | None, str]:
    """Return the innermost operation that the error came through, and the last line of the program's own."""
    name = outer = None
    line = ""
    at = error.__traceback__
    while at is not None:
        frame = at.tb_frame
        name = _operation(frame) or name
        if frame.f_code.co_name == "pull_back" and (node := frame.f_locals.get("node")) is not None:
            outer = getattr(node.op, "name", None)
        if is_users(frame):
            line = f" ({frame.f_code.co_filename.rsplit('/', 1)[-1]}:{at.tb_lineno})"
        at = at.tb_next
    if outer is None:
        return name, line
    return f"gradient of {outer}" + (f", {name}" if name not in {None, outer} else ""), line


def _operation(frame: FrameType) -> str | None:
    """Name of the operation that a frame of the engine is working on."""
    for key in ("op", "self"):
        found = frame.f_locals.get(key)
        if hasattr(type(found), "vjp_of"):
            return str(found.name)  # type: ignore[union-attr]
    return None
