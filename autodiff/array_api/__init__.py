# ruff: noqa: A001 - the standard's names
"""The Python array API standard, version 2024.12, for traced and plain arrays.

``x.__array_namespace__()`` of a traced array returns this module, so that libraries written for the standard are
differentiable. Names, signatures, dtypes and results are those of the standard
(https://data-apis.org/array-api/2024.12/); what it leaves open is as in NumPy. Arrays that are made here are NumPy
arrays; a derivative is carried by the traced arrays that meet them.

>>> import numpy as np, autodiff
>>> def standardised(x):
...     xp = x.__array_namespace__()
...     return (x - xp.mean(x)) / xp.std(x, correction=1)
>>> autodiff.jvp(standardised, (np.array([1.0, 2.0, 4.0]),), (np.array([1.0, 0.0, 0.0]),))[1].round(4)
array([ 0.187 , -0.2806,  0.0935])
"""

from __future__ import annotations

import math as _math

import numpy as _np  # noqa: ICN001 - not a name of the standard

from autodiff.array_api import creation as _creation
from autodiff.array_api import elementwise as _elementwise
from autodiff.array_api import fft, linalg
from autodiff.array_api import manipulation as _manipulation
from autodiff.array_api import statistics as _statistics
from autodiff.array_api.creation import *  # noqa: F403
from autodiff.array_api.devices import DTYPES as _DTYPES
from autodiff.array_api.devices import NamespaceInfo as _NamespaceInfo
from autodiff.array_api.elementwise import *  # noqa: F403
from autodiff.array_api.linalg import matmul, matrix_transpose, tensordot, vecdot
from autodiff.array_api.manipulation import *  # noqa: F403
from autodiff.array_api.statistics import *  # noqa: F403

__array_api_version__ = "2024.12"
#: Versions that ``__array_namespace__`` accepts; later ones only added to the earlier.
SUPPORTED_VERSIONS = frozenset({None, "2021.12", "2022.12", "2023.12", "2024.12"})

e = _math.e
inf = _math.inf
nan = _math.nan
newaxis = None
pi = _math.pi

# Scalar types, as in NumPy's own namespace: equal to the dtypes of arrays, and never equal to None.
bool = _np.bool
int8 = _np.int8
int16 = _np.int16
int32 = _np.int32
int64 = _np.int64
uint8 = _np.uint8
uint16 = _np.uint16
uint32 = _np.uint32
uint64 = _np.uint64
float32 = _np.float32
float64 = _np.float64
complex64 = _np.complex64
complex128 = _np.complex128


def __array_namespace_info__() -> _NamespaceInfo:  # noqa: N807 - the standard's name
    """Devices, dtypes and capabilities of this namespace."""
    return _NamespaceInfo()


__all__ = [  # noqa: PLE0604 - the names of the submodules, as strings
    "__array_api_version__",
    "__array_namespace_info__",
    *_DTYPES,
    "e",
    "fft",
    "inf",
    "linalg",
    "matmul",
    "matrix_transpose",
    "nan",
    "newaxis",
    "pi",
    "tensordot",
    "vecdot",
]
__all__ += _creation.__all__ + _elementwise.__all__ + _manipulation.__all__ + _statistics.__all__
