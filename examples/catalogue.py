"""The catalogue: every system of the texts that is rebuilt here, and the program that does it.

`catalogue.tsv` is the single source. Its columns: id (text/heading), name, kind (network: a model is fitted; exact:
printed numbers that can be checked; algorithm: runs, nothing is reported), group, program (module of this package and
function, `conv_arithmetic.pooling`; empty as long as there is none), data, reported (as printed, mistakes included).
"""

from __future__ import annotations

import csv
import dataclasses
import difflib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.report import Row
    from examples.run import Run

    Program = Callable[[Run], list[Row]]

__all__ = ["ENTRIES", "Entry", "UnavailableError", "find", "program"]

FILE = Path(__file__).with_name("catalogue.tsv")


class UnavailableError(LookupError):
    """What is asked for is not to be had: a system, its program, a device, a package, a folder."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A row of the catalogue; the module's docstring says what its columns are."""

    id: str
    name: str
    kind: str
    group: str
    program: str
    data: str
    reported: str

    def load(self) -> Program:
        """Import the program of this row.

        Raises
        ------
        UnavailableError
            If the row has none yet, or names one that does not exist or was not written for it.
        """
        if not self.program:
            raise UnavailableError(f"{self.id} ({self.name}) has no program yet")
        module_name, _, name = self.program.rpartition(".")
        module = importlib.import_module(f"examples.{module_name}")
        function: Program | None = getattr(module, name, None)
        if function is None or self.id not in getattr(function, "systems", ()):
            raise UnavailableError(
                f"examples/catalogue.tsv: {self.id} names {self.program}, which is not a program for it"
            )
        return function


def read(path: Path = FILE) -> dict[str, Entry]:
    """Read a catalogue: the rows by their ids."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [Entry(**row) for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return {row.id: row for row in rows}


ENTRIES = read()


def program(*systems: str, devices: tuple[str, ...] = ("cpu",)) -> Callable[[Program], Program]:
    """Mark a function as the program of these rows of the catalogue, and say on which devices it can run.

    It takes a `Run` and returns the rows of its table. One that serves several systems finds in `run.id` which is asked
    for.

    Examples
    --------
    >>> @program("lecture/L11")
    ... def convolve(run):
    ...     return []
    >>> convolve.systems
    ('lecture/L11',)
    """
    unknown = [system for system in systems if system not in ENTRIES]
    if unknown:
        raise LookupError(f"examples/catalogue.tsv has no row {', '.join(unknown)}")

    def mark(function: Program) -> Program:
        function.systems = systems  # type: ignore[attr-defined]
        function.devices = devices  # type: ignore[attr-defined]
        return function

    return mark


def find(words: list[str]) -> list[Entry]:
    """Return the rows that are named by an id or by a group.

    Raises
    ------
    UnavailableError
        If a word is neither; the message lists the ids and groups that look like it.
    """
    groups = dict.fromkeys(row.group for row in ENTRIES.values())
    found: list[Entry] = []
    for word in words:
        rows = [row for row in ENTRIES.values() if word in (row.id, row.group)]
        if not rows:
            like = [system for system in ENTRIES if word.lower().split("/")[-1] in system.lower()]
            like = like or difflib.get_close_matches(word, [*groups, *ENTRIES])
            hint = f"; did you mean {', '.join(like[:6])}?" if like else "; `python -m examples list` shows them"
            raise UnavailableError(f"there is no system or group {word!r}{hint}")
        found += rows
    return list(dict.fromkeys(found))
