"""Exact derivatives of plain NumPy programs: forward and reverse mode, any order, any mixture."""

from __future__ import annotations

from autodiff import ops, tree
from autodiff.transforms.forward import jvp, stop_gradient
from autodiff.transforms.reverse import grad, linear_transpose, linearize, value_and_grad, vjp

__all__ = [
    "grad",
    "jvp",
    "linear_transpose",
    "linearize",
    "ops",
    "stop_gradient",
    "tree",
    "value_and_grad",
    "vjp",
]
