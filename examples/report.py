"""Tables of what a text reports beside what is measured here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Row", "agreement", "half_a_digit", "print_table"]


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of a table.

    Parameters
    ----------
    name
        What was measured.
    reported
        The text's figure, as it is printed there; empty if it prints none.
    measured
        Ours, in the same form.
    note
        What to know when comparing them; by default whether they are the same.
    met
        Whether ours is as good as the text's, where "the same digits" is not the question: a target reached, a formula
        confirmed.
    wrong
        Why the text's figure is wrong, if it is: the derivation in a line.
    value
        The number behind `measured`, where the text's is a target: the mean over several seeds decides. Without a
        target it says that this run was too short for one.
    at_least, at_most
        The target; with one of them `met` follows from the value.
    if_missed
        What is known about why a target is missed; only shown when it is.

    Examples
    --------
    >>> Row("gradient", "5.5", f"{5.5:.1f}").verdict
    'met'
    >>> Row("accuracy", "98.94 %", "99.12 %", value=0.9912, at_least=0.9894).verdict
    'met'
    >>> Row("count", "24,000", "23,860", wrong="784*30 + 30 biases ...").verdict
    'text wrong'
    >>> Row("steps", "", "17").verdict
    'shown'
    """

    name: str
    reported: str
    measured: str
    note: str | None = None
    met: bool | np.bool | None = None
    wrong: str | None = None
    value: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    if_missed: str | None = None

    def __post_init__(self) -> None:
        met = self.met
        if self.has_target:
            if self.value is None:
                raise ValueError(f"Row {self.name!r}: a target needs the value that is compared with it")
            met = (self.at_least is None or self.value >= self.at_least) and (
                self.at_most is None or self.value <= self.at_most
            )
        if met is not None:  # comparisons of NumPy's numbers give a bool that cannot be written as JSON
            object.__setattr__(self, "met", bool(met))
        if self.value is not None:
            object.__setattr__(self, "value", float(self.value))

    @property
    def has_target(self) -> bool:
        """Whether the text's figure is one to reach, which a mean over seeds can do."""
        return self.at_least is not None or self.at_most is not None

    @property
    def agrees(self) -> bool:
        """Whether the figures are the same in print."""
        return self.reported == self.measured

    @property
    def verdict(self) -> str:
        """One of "met", "missed", "text wrong", "compared" (not the same question), "shown" (nothing is reported)."""
        if self.wrong is not None:
            return "text wrong"
        if self.met is not None:
            return "met" if self.met else "missed"
        if not self.reported:
            return "shown"
        if self.agrees:
            return "met"
        return "missed" if self.note is None else "compared"

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The columns."""
        if self.wrong is not None:
            return self.name, self.reported, self.measured, f"the text is wrong: {self.wrong}"
        remark = self.note
        if self.has_target:
            goals = (("at least", self.at_least), ("at most", self.at_most))
            asked = ", ".join(f"{word} {goal:.5g}" for word, goal in goals if goal is not None)
            remark = f"{self.verdict} ({asked}){f': {self.note}' if self.note else ''}"
        if remark is None:
            words = {"met": "the same" if self.agrees else "met", "missed": "DIFFERENT", "shown": ""}
            remark = words[self.verdict]
        if self.verdict == "missed" and self.if_missed:
            remark += f"; {self.if_missed}"
        return self.name, self.reported, self.measured, remark


def half_a_digit(printed: str) -> float:
    """Return half a unit of the last digit that a text prints: so far from it the figure is still the same in print.

    Examples
    --------
    >>> half_a_digit("0.0036")
    5e-05
    """
    return 0.5 * 10.0 ** -len(printed.partition(".")[2])


def agreement(name: str, first: Any, second: Any, tolerance: float = 1e-12, note: str | None = None) -> Row:
    """Return the row of two ways to compute the same: the largest difference, met if it is at most the tolerance.

    Differences are absolute up to 1 and relative beyond.

    Examples
    --------
    >>> agreement("tanh'", 1 - np.tanh(0.5) ** 2, 1 / np.cosh(0.5) ** 2).verdict
    'met'
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise ValueError(f"agreement: {name}: the shapes {first.shape} and {second.shape} differ")
    worst = float(np.max(np.abs(first - second) / np.maximum(1, np.abs(first)), initial=0.0))
    return Row(name, "", f"{worst:.1e}", note or f"largest difference; {tolerance:g} is allowed", worst <= tolerance)


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Print a table with aligned columns."""
    cells = [("", "reported", "measured", ""), *(row.cells for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(4)]
    rule = "-" * (sum(widths[:3]) + 6 + min(widths[3], 40))
    print(f"\n{title}\n{rule}")
    for i, (name, reported, measured, note) in enumerate(cells):
        line = f"{name:{widths[0]}}  {reported:>{widths[1]}}  {measured:>{widths[2]}}  {note}"
        print(line.rstrip())
        if i == 0:
            print(rule)
    print(rule)
