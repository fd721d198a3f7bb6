"""Where two derivatives differ: one line for each argument and output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Comparison", "compared", "table"]

ROWS = 20
HEAD = ("argument", "output", "wrong", "worst", "got", "expected", "off by")


class Comparison(NamedTuple):
    """One derivative, that of an output by an argument, compared element by element.

    Attributes
    ----------
    argument, output : str
        Their names.
    wrong, size : int
        How many elements are wrong, of how many that were compared.
    at : tuple of int
        The element that is off most.
    got, expected : float or complex
        Its values.
    excess : float
        By how much it is off, as a multiple of what is allowed.
    """

    argument: str
    output: str
    wrong: int
    size: int
    at: tuple[int, ...]
    got: Any
    expected: Any
    excess: float

    def unravelled(self, chosen: Any, shape: tuple[int, ...]) -> Comparison:
        """Return the same, with an index into the whole array of which some elements were compared."""
        if not self.at:
            return self
        return self._replace(at=tuple(int(k) for k in np.unravel_index(chosen[self.at[0]], shape)))

    def cells(self) -> tuple[str, ...]:
        """Return the line of the table."""
        if not self.size:
            return (self.argument, self.output, "0 of 0", "", "", "", "")
        off = abs(self.got - self.expected)
        where = str(list(self.at))
        numbers = (f"{self.got:.6g}", f"{self.expected:.6g}", f"{off:.2g}")
        return (self.argument, self.output, f"{self.wrong} of {self.size}", where, *numbers)


def compared(argument: str, output: str, got: Any, expected: Any, atol: float, rtol: float) -> Comparison:
    """Compare two arrays.

    Examples
    --------
    >>> compared("args[0]", "result", np.array([1.0, 2.0]), np.array([1.0, 3.0]), 1e-6, 1e-6).cells()
    ('args[0]', 'result', '1 of 2', '[1]', '2', '3', '1')
    """
    got, expected = np.asarray(got), np.asarray(expected)
    if not expected.size:
        return Comparison(argument, output, 0, 0, (), 0.0, 0.0, 0.0)
    with np.errstate(all="ignore"):
        excess = np.abs(got - expected) / (atol + rtol * np.abs(expected))
    excess = np.where(got == expected, 0.0, np.where(np.isnan(excess), np.inf, excess))  # NaN agrees with nothing
    at = tuple(int(k) for k in np.unravel_index(int(np.argmax(excess)), expected.shape))
    wrong = int(np.count_nonzero(excess > 1))
    return Comparison(argument, output, wrong, expected.size, at, got[at][()], expected[at][()], float(excess[at]))


def table(entries: Sequence[Comparison]) -> str:
    """Set the comparisons out as text, the worst first if there are many."""
    shown = entries
    if len(entries) > ROWS:
        shown = sorted(entries, key=lambda entry: -entry.excess)[:ROWS]
    rows = [HEAD, *(entry.cells() for entry in shown)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    lines = ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    if len(shown) < len(entries):
        lines.append(f"  ... and {len(entries) - len(shown)} more that are not worse")
    return "\n".join(lines)
