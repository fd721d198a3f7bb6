"""``scipy.stats``: densities and distribution functions of the common families on traced arrays."""

from __future__ import annotations

from typing import Any

from autodiff.scipy._missing import missing_function

_INSTEAD: dict[str, str] = {}


def __getattr__(name: str) -> Any:
    raise missing_function("scipy.stats", name, _INSTEAD)
