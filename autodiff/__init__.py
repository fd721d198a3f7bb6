"""Exact derivatives of plain NumPy programs: forward and reverse mode, any order, any mixture."""

from __future__ import annotations

import importlib
from typing import Any

from autodiff import ops, tree
from autodiff.core.allocator import keep_freed_memory
from autodiff.core.spec import Spec
from autodiff.device import device_put, from_dlpack
from autodiff.inspect import EvaluationTrace, trace
from autodiff.transforms.batching import vmap
from autodiff.transforms.check import check_grads
from autodiff.transforms.checkpoint import checkpoint
from autodiff.transforms.custom import custom_jvp, custom_vjp
from autodiff.transforms.forward import jvp, stop_gradient
from autodiff.transforms.jacobian import hessian, hvp, jacfwd, jacrev
from autodiff.transforms.reverse import grad, linear_transpose, linearize, value_and_grad, vjp
from autodiff.transforms.shapes import eval_shape

__all__ = [
    "EvaluationTrace",
    "Spec",
    "check_grads",
    "checkpoint",
    "custom_jvp",
    "custom_vjp",
    "device_put",
    "eval_shape",
    "from_dlpack",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacrev",
    "jvp",
    "linear_transpose",
    "linearize",
    "ops",
    "stop_gradient",
    "trace",
    "tree",
    "value_and_grad",
    "vjp",
    "vmap",
]

keep_freed_memory()


def __getattr__(name: str) -> Any:
    """Import `autodiff.numpy` and `autodiff.scipy` on first use."""
    if name in {"numpy", "scipy"}:
        return importlib.import_module(f"autodiff.{name}")
    raise AttributeError(f"module 'autodiff' has no attribute {name!r}")
