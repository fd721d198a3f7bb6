"""NumPy's namespace, for traced and plain values alike.

``import numpy as np`` is enough for most programs: NumPy hands its functions to the engine when an argument is
traced. It cannot do so for values inside lists (``np.array([x, 1.0])``), for functions that take no array at all
(``np.full(3, x)``) and for objects like ``np.r_``. Here every name of NumPy is to be had, with NumPy's signature
and documentation, and these work too:

>>> import autodiff
>>> import autodiff.numpy as anp
>>> rotate = lambda a: anp.array([[anp.cos(a), -anp.sin(a)], [anp.sin(a), anp.cos(a)]])
>>> autodiff.jacfwd(rotate)(0.0)
array([[-0., -1.],
       [ 1., -0.]])
>>> autodiff.grad(lambda x: anp.max([x, 2 * x, 3.0]))(4.0)
np.float64(2.0)

On plain values a function here is NumPy's own. On traced values a function without a derivative rule raises
`MissingRuleError`. Functions are wrapped on first use; dtypes, constants, classes and the submodules that have
nothing to do with derivatives (``random``, ``testing``, ...) are NumPy's own objects.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from autodiff.numpy.building import (
    array,
    asanyarray,
    asarray,
    asarray_chkfinite,
    ascontiguousarray,
    asfortranarray,
    c_,
    full,
    full_like,
    r_,
)
from autodiff.numpy.loops import vectorize
from autodiff.numpy.wrapping import exported, wrapped

__all__ = [  # noqa: PLE0604 - NumPy's names, as strings
    *exported(np),
    "array",
    "asanyarray",
    "asarray",
    "asarray_chkfinite",
    "ascontiguousarray",
    "asfortranarray",
    "c_",
    "full",
    "full_like",
    "r_",
    "vectorize",
]


def __getattr__(name: str) -> Any:
    """Wrap NumPy's function of that name, once; pass anything else through."""
    if name in {"linalg", "fft"}:
        return importlib.import_module(f"autodiff.numpy.{name}")
    value = wrapped(np, name, __name__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(np)})
