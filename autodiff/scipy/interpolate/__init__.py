"""``scipy.interpolate`` on traced arrays: piecewise linear and cubic functions, by their values and by the points.

Interpolators are pieces of polynomials: their coefficients are computed from the values, which may be traced, and the
pieces evaluated at the points, which may be traced too; so every derivative by values and points is exact, and `vmap`
takes many of either. Knots are plain.

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
from autodiff.scipy.interpolate.curves import (
    Akima1DInterpolator,
    CubicHermiteSpline,
    CubicSpline,
    PchipInterpolator,
    pchip_interpolate,
)
from autodiff.scipy.interpolate.grids import RegularGridInterpolator, interpn
from autodiff.scipy.interpolate.lookup import interp1d
from autodiff.scipy.interpolate.splines import BSpline, make_interp_spline

__all__ = [
    "Akima1DInterpolator",
    "BSpline",
    "CubicHermiteSpline",
    "CubicSpline",
    "PchipInterpolator",
    "RegularGridInterpolator",
    "interp1d",
    "interpn",
    "make_interp_spline",
    "pchip_interpolate",
]

_FIT = "np.linalg.lstsq of a design matrix, and BSpline of the coefficients"
_INSTEAD = {
    **dict.fromkeys(("BarycentricInterpolator", "KroghInterpolator", "lagrange"), "np.polyfit, or CubicSpline"),
    **dict.fromkeys(("UnivariateSpline", "LSQUnivariateSpline", "make_lsq_spline", "make_smoothing_spline"), _FIT),
    **dict.fromkeys(("splrep", "splev", "InterpolatedUnivariateSpline"), "make_interp_spline, BSpline"),
    **dict.fromkeys(("RectBivariateSpline", "NdBSpline", "interp2d"), "RegularGridInterpolator(method='cubic')"),
    **dict.fromkeys(("RBFInterpolator", "Rbf"), "np.linalg.solve of the matrix of the kernel"),
    **dict.fromkeys(("griddata", "LinearNDInterpolator"), "RegularGridInterpolator, where the points are a grid"),
    "PPoly": "CubicHermiteSpline or BSpline",
}


def __getattr__(name: str) -> Any:
    raise missing_function("scipy.interpolate", name, _INSTEAD)
