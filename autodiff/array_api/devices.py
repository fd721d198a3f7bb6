"""What the standard asks about devices and dtypes: one device, the CPU; NumPy's dtypes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    _Function = TypeVar("_Function", bound=Callable[..., Any])

__all__ = ["CPU", "DTYPES", "NamespaceInfo", "check_device", "named"]

CPU = "cpu"
#: The dtypes of the standard by name.
DTYPES = {
    name: np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float32", "float64", "complex64", "complex128"),
    )
}


def check_device(device: Any) -> None:
    """Raise unless `device` is None or the CPU."""
    if device is not None and device != CPU:
        raise ValueError(f"autodiff.array_api: the only device is {CPU!r}, not {device!r}.")


def named(function: _Function, name: str, doc: str) -> _Function:
    """Give a generated function its name and a line of documentation."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


class NamespaceInfo:
    """What ``__array_namespace_info__()`` returns: devices, dtypes and what the namespace can do.

    Examples
    --------
    >>> NamespaceInfo().dtypes(kind="real floating")
    {'float32': dtype('float32'), 'float64': dtype('float64')}
    """

    def capabilities(self) -> dict[str, Any]:
        """What may depend on the values of an array: the shape of ``x[mask]``; and the greatest rank."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Device on which arrays are made."""
        return CPU

    def devices(self) -> list[str]:
        """All devices."""
        return [CPU]

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """Dtypes of arrays made of Python numbers, and of indices."""
        check_device(device)
        floating, complex_floating = DTYPES["float64"], DTYPES["complex128"]
        integral = np.dtype(np.int_)
        return {
            "real floating": floating,
            "complex floating": complex_floating,
            "integral": integral,
            "indexing": np.dtype(np.intp),
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """Dtypes by name, of one kind or of a tuple of kinds (``np.isdtype`` lists them)."""
        check_device(device)
        return {name: dtype for name, dtype in DTYPES.items() if kind is None or np.isdtype(dtype, kind)}
