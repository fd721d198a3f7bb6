"""Marked adjoints and tangents: entries that were not chosen, and that stay zero whatever multiplies them.

``np.where(x > 0, np.sqrt(x), 0)`` does not choose ``sqrt(x)`` at ``x = 0``; its adjoint there is not a small
number that happens to be 0 but no contribution at all. Multiplied by the infinite weight of ``sqrt`` a plain
0 would become NaN. A `Marked` adjoint remembers which entries are such structural zeros. The invariant: the
value at a marked entry is exactly 0, so the mark may be dropped at any time without harm. In forward mode the
tangent of an entry that was not chosen is marked in the same way (a `Dual` carries the mask), so that
``np.sqrt(np.where(x > 0, x, 0))`` has derivative 0 at 0 in both modes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Marked", "add_adjoints", "drop_marks"]


class Marked:
    """An adjoint or tangent with a boolean mask of the entries that are structurally zero."""

    __slots__ = ("mask", "value")

    def __init__(self, value: Any, mask: Any) -> None:
        self.value = value
        self.mask = mask

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the adjoint."""
        return self.value.shape  # type: ignore[no-any-return]


def drop_marks(ct: Any) -> Any:
    """Return the plain adjoint."""
    return ct.value if type(ct) is Marked else ct


def add_adjoints(a: Any, b: Any) -> Any:
    """Sum of two adjoints: an entry stays marked only where both are."""
    if type(a) is Marked:
        if type(b) is Marked:
            return Marked(a.value + b.value, np.logical_and(a.mask, b.mask))
        return a.value + b
    return a + b.value if type(b) is Marked else a + b
