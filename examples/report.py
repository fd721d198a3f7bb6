"""Tables of what a text reports beside what is measured here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Row", "print_table"]


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of a table.

    Parameters
    ----------
    name
        What was measured.
    reported
        The text's figure, as it is printed there.
    measured
        Ours, in the same form.
    note
        What to know when comparing them; by default whether they are the same.
    """

    name: str
    reported: str
    measured: str
    note: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether the figures are the same in print."""
        return self.reported == self.measured

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The columns."""
        note = ("the same" if self.agrees else "DIFFERENT") if self.note is None else self.note
        return self.name, self.reported, self.measured, note


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Print a table with aligned columns."""
    cells = [("", "reported", "measured", ""), *(row.cells for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(4)]
    rule = "-" * (sum(widths) + 6)
    print(f"\n{title}\n{rule}")
    for i, (name, reported, measured, note) in enumerate(cells):
        line = f"{name:{widths[0]}}  {reported:>{widths[1]}}  {measured:>{widths[2]}}  {note}"
        print(line.rstrip())
        if i == 0:
            print(rule)
    print(rule)
