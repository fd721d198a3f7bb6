"""What NumPy's functions mean on traced arrays: filled by `autodiff.ops`, read by `autodiff.core.tracer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from autodiff.core.operation import Operation

__all__ = ["FUNCTIONS", "REGISTRY", "UFUNCS", "UFUNC_METHODS"]

#: Every operation by name; the generic tests walk it.
REGISTRY: dict[str, Operation] = {}
#: What a NumPy ufunc does when an argument is traced.
UFUNCS: dict[Any, Callable[..., Any]] = {}
#: What a NumPy function does when an argument is traced (same signature as the function).
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
#: What ``ufunc.reduce``, ``accumulate`` and ``outer`` do, called as ``f(ufunc, *args, **kwargs)``.
UFUNC_METHODS: dict[str, Callable[..., Any]] = {}
