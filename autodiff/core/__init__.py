"""The trace core: operations, tracers, levels. Start with the README beside this file."""

from __future__ import annotations

from autodiff.core.operation import (
    FUNCTIONS,
    REGISTRY,
    UFUNCS,
    Boundary,
    Operation,
    Sample,
    constant,
    elementwise,
    explicit,
    implements,
    linear,
    multilinear,
)
from autodiff.core.spec import Spec
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
