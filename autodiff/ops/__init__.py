"""The operations, one place for each: importing this package fills the registry."""

from __future__ import annotations

from autodiff.ops import dtypes, elementwise, indexing, reductions, selection, shape

__all__ = ["dtypes", "elementwise", "indexing", "reductions", "selection", "shape"]
