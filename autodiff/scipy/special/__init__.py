"""``scipy.special`` on traced arrays: importing this teaches traced arrays SciPy's own functions."""

from __future__ import annotations

from typing import Any

import scipy.special  # noqa: F401

from autodiff.scipy._missing import missing_function

_INSTEAD: dict[str, str] = {}


def __getattr__(name: str) -> Any:
    raise missing_function("scipy.special", name, _INSTEAD)
