"""Operations that choose between entries: they mark the entries that they did not choose."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import elementwise, implements

__all__ = ["where"]


_where = elementwise(
    np.where,
    None,
    lambda t, _y, _c, _a, _b: t,
    lambda t, _y, _c, _a, _b: t,
    marks=(None, lambda _y, c, _a, _b: np.logical_not(c), lambda _y, c, _a, _b: c != 0),
    linear_args=(1, 2),
    jointly=True,
    name="where",
)


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """Choose between two arrays; the adjoint of an entry that was not chosen is a structural zero."""
    if x is None or y is None:
        return np.nonzero(condition)
    return _where(condition, x, y)
