"""``scipy.interpolate`` on traced arrays: piecewise linear and cubic functions, by their values and by the points.

An interpolator is linear in its values. It is built once on plain knots, as the matrix of its coefficients for unit
values, and evaluated as a polynomial of the points; so every derivative by values and points is exact. Knots are plain.

Examples
--------
>>> import numpy as np
>>> from autodiff import grad
>>> from autodiff.scipy import interpolate
>>> x = np.arange(5.0)
>>> grad(lambda y: interpolate.interp1d(x, y)(1.25))(x)
array([0.  , 0.75, 0.25, 0.  , 0.  ])
"""

from __future__ import annotations

from typing import Any

from autodiff.scipy._missing import missing_function
from autodiff.scipy.interpolate.curves import CubicSpline, interp1d

__all__ = ["CubicSpline", "interp1d"]

_INSTEAD = {
    "Akima1DInterpolator": "CubicSpline",
    "PchipInterpolator": "CubicSpline",
    "RegularGridInterpolator": "interp1d along one axis after the other",
    "UnivariateSpline": "CubicSpline, or np.linalg.lstsq of a basis",
    "interpn": "interp1d along one axis after the other",
    "make_interp_spline": "CubicSpline",
}


def __getattr__(name: str) -> Any:
    raise missing_function("scipy.interpolate", name, _INSTEAD)
