"""SciPy's functions on traced arrays: the same names and signatures, each submodule loaded on first use.

``from autodiff.scipy import special`` imports SciPy then, not before. A function that SciPy has and this package
lacks raises an error that names the closest thing to do.
"""

from __future__ import annotations

import importlib
from typing import Any

from autodiff.scipy._missing import MissingFunctionError, missing_function

__all__ = ["MissingFunctionError", "integrate", "interpolate", "linalg", "optimize", "signal", "special", "stats"]

_SUBMODULES = frozenset(__all__) - {"MissingFunctionError"}
#: What to use instead of a submodule that this package does not have.
_INSTEAD = {
    "fft": "numpy.fft, whose functions act on traced arrays as they are",
    "misc": "numpy",
    "ndimage": "np.convolve, autodiff.ops.conv2d or autodiff.scipy.signal",
}


def __getattr__(name: str) -> Any:
    """Import a submodule on first use."""
    if name in _SUBMODULES:
        try:
            return importlib.import_module(f"autodiff.scipy.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"autodiff.scipy.{name}":
                raise
    raise missing_function("scipy", name, _INSTEAD)


def __dir__() -> list[str]:
    """Return the public names, those not loaded yet as well."""
    return sorted(__all__)
