"""The trace core: operations, tracers, levels. Start with the README beside this file."""

from __future__ import annotations

from autodiff.core.forms import constant, elementwise, explicit, implements, linear, multilinear
from autodiff.core.operation import Operation
from autodiff.core.samples import Boundary, Sample
from autodiff.core.spec import Spec
from autodiff.core.tables import FUNCTIONS, REGISTRY, UFUNCS
from autodiff.core.tracer import Tracer, concrete, install_method, install_operator

__all__ = [
    "FUNCTIONS",
    "REGISTRY",
    "UFUNCS",
    "Boundary",
    "Operation",
    "Sample",
    "Spec",
    "Tracer",
    "concrete",
    "constant",
    "elementwise",
    "explicit",
    "implements",
    "install_method",
    "install_operator",
    "linear",
    "multilinear",
]
