"""What was measured: kept in `measured.json`, and written from there into RESULTS.md."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import device_put
from examples.catalogue import ENTRIES, Entry, UnavailableError
from examples.report import Row
from nn.data import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from examples.catalogue import Program
    from examples.run import Run

__all__ = ["Record", "Result", "measure", "read_records", "record", "render"]

FILE = Path(__file__).with_name("measured.json")
PAGE = Path(__file__).with_name("RESULTS.md")
RANKS = ("missed", "short", "reached", "met", "compared", "shown")  # the first that applies is a system's status
INSTALL = "pip install 'autodiff-engine[examples]' has what the programs need"
SEEDS = 3  # so many runs must stand behind a mean that counts
HEAD = """# Results

What the texts report and what these programs measure. `python -m examples run ID --record` (with `--full --seed 0 1 2`
for networks) measures a row anew, `python -m examples report` writes this page from `measured.json`; do not edit it.

Status: **met** - the same digits, formulas that agree, figures of chance (the text gives no seed) that lie where ours
do, as the remark says, or a target that the mean of at least three seeds reaches;
**reached** - a target too, but by fewer than three seeds; **short** - a network that has only been trained for a
shorter time than in its text, or on less, which counts for nothing; **compared** - beside the text's figure, where the
question is not quite the same; **shown** - the text reports no figure; **missed** - ours is worse than the text's.
**text wrong**, alone or beside one of these - a figure of the text's own does not hold, the remark says why.

Of several seeds the mean and the range are given. Times are by the clock, and in parentheses what the processor worked
in all threads: the second is the one to compare, since other programs may have run meanwhile.
"""


@dataclasses.dataclass(frozen=True)
class Result:
    """One run of a program: its rows, and its seconds by the clock and of the processor."""

    id: str
    rows: list[Row]
    seed: int
    full: bool
    device: str
    data: str
    seconds: float
    processor_seconds: float | None = None
    part: float | None = None  # of a full schedule; None is all of it

    @property
    def length(self) -> str:
        """One of "full", "part" and "quick"."""
        return "quick" if not self.full else "full" if self.part is None else "part"


@dataclasses.dataclass(frozen=True)
class Record:
    """The runs of a system that count: the full ones if there are any, or else parts of such."""

    kind: str
    results: list[Result]
    elsewhere: tuple[Record, ...] = ()  # on other devices

    @property
    def rows(self) -> list[Row]:
        """One table of all seeds: means of what has a target, and the worst of what should always hold."""
        first = self.results[0].rows
        if any(len(result.rows) != len(first) for result in self.results):
            return first
        return [_merged(rows) for rows in zip(*(result.rows for result in self.results), strict=True)]

    @property
    def status(self) -> str:
        """What the page says about the system."""
        rows = self.rows
        verdicts = {row.verdict for row in rows} - {"text wrong"}
        targets = any(row.has_target for row in rows)
        if self.kind == "network":
            if targets and len(self.results) < SEEDS:
                verdicts.add("reached")
            if any(row.reported and row.value is not None and not row.has_target for row in rows):
                verdicts.add("short")
        if "compared" in verdicts and (self.kind == "exact" or (self.kind == "network" and not targets)):
            verdicts.discard("met")  # digits that are not all checked; tables that agree beside a result that does not
        best = min(verdicts, key=RANKS.index, default="shown")
        wrong = any(row.wrong is not None for row in rows)
        return best if not wrong else "text wrong" if best == "shown" else f"{best}, text wrong"

    @property
    def summary(self) -> str:
        """What was measured, in a few words."""
        rows = self.rows
        return "; ".join(row.measured for row in [row for row in rows if row.reported] or rows)


def _merged(rows: Sequence[Row]) -> Row:
    """Return one row of several seeds."""
    worst = min(rows, key=lambda row: ("missed", "text wrong", "met", "compared", "shown").index(row.verdict))
    measured = _spread([row.measured for row in rows])
    values = [row.value for row in rows if row.value is not None]
    if len(values) == len(rows):
        return dataclasses.replace(worst, measured=measured, value=sum(values) / len(values))
    return dataclasses.replace(worst, measured=measured, value=None, at_least=None, at_most=None)


def measure(entry: Entry, run: Run) -> Result:
    """Run a program and take its time.

    Raises
    ------
    UnavailableError
        If there is no program, it cannot run on the device that is asked for, or a package or data are missing.
    """
    start, worked = time.perf_counter(), time.process_time()
    try:
        rows = _program(entry, run.device)(run)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("autodiff", "examples", "kernels", "nn"):
            raise
        raise UnavailableError(f"{entry.id} ({entry.name}): {error}; {INSTALL}") from error
    except (DataError, FileNotFoundError) as error:
        raise UnavailableError(f"{entry.id} ({entry.name}): {error}") from error
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    if run.part < 1 and not run.shortened:
        raise UnavailableError(f"{entry.id} ({entry.name}) has no long schedule to go through a part of")
    part = run.part if run.part < 1 else None
    if part is not None:  # what is to be reached in the end is no target on the way
        rows = [dataclasses.replace(row, at_least=None, at_most=None, met=None) if row.has_target else row
                for row in rows]  # fmt: skip
    times = round(seconds, 2), round(worked, 2)
    return Result(entry.id, rows, run.seed, run.full, run.device, run.data, *times, part)


def _program(entry: Entry, device: str) -> Program:
    program = entry.load()
    devices = getattr(program, "devices", ("cpu",))
    if device not in devices:
        raise UnavailableError(f"{entry.id} ({entry.name}) runs on {' and '.join(devices)}, not on {device}")
    if device != "cpu" and entry.group != "gpu-kernels":  # kernels need no CuPy and look for a GPU themselves
        try:
            device_put(np.zeros(0), device)
        except (ImportError, RuntimeError) as error:
            raise UnavailableError(f"{entry.id} ({entry.name}): --device {device}: {error}") from error
    return program


def _write(path: Path, text: str) -> None:
    """Write a file at once, so that nobody reads half of it."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _load() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return data


def record(result: Result) -> None:
    """Keep a result in place of the last one of the same system, length, device and seed."""
    data = _load()
    key = f"{result.length} {result.device} {result.seed}"
    data.setdefault(result.id, {})[key] = dataclasses.asdict(result, dict_factory=_without_defaults)
    ordered = {system: data[system] for system in ENTRIES if system in data}
    _write(FILE, json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")


def _without_defaults(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if value is not None}


def read_records() -> dict[str, Record]:
    """Return what was recorded, by system."""
    records = {}
    for system, runs in _load().items():
        results = [Result(**{**run, "rows": [Row(**row) for row in run["rows"]]}) for run in runs.values()]
        found = []
        for device in sorted({result.device for result in results}):  # the processor comes first
            here = [result for result in results if result.device == device]
            best = min((result.length for result in here), key=("full", "part", "quick").index)
            counting = [result for result in here if result.length == best]
            found.append(Record(ENTRIES[system].kind, sorted(counting, key=lambda result: result.seed)))
        records[system] = dataclasses.replace(found[0], elsewhere=tuple(found[1:]))
    return records


def _spread(values: list[str]) -> str:
    """Return the mean and the range of the figures of several seeds; figures that are no numbers stand side by side."""
    if len(set(values)) == 1:
        return values[0]
    try:
        numbers = [float(value.rstrip(" %").replace(",", "")) for value in values]
    except ValueError:
        return "; ".join(values)
    unit = " %" if values[0].endswith("%") else ""
    shown = (sum(numbers) / len(numbers), min(numbers), max(numbers))
    mean, low, high = (f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.5g}" for x in shown)
    return f"{mean}{unit} ({low} to {high})"


def _time(results: Sequence[Result]) -> str:
    """Return the mean of the times."""
    seconds = sum(result.seconds for result in results) / len(results)
    worked = [result.processor_seconds for result in results if result.processor_seconds is not None]
    return f"{seconds:.1f} s" + (f" ({sum(worked) / len(worked):.1f} s)" if worked else "")


def _lines(entry: Entry, record: Record) -> list[str]:
    """Return the lines of a system: a table for each device."""
    tables = [line for one in (record, *record.elsewhere) for line in _table(entry, one)]
    return [f"### {entry.id}: {entry.name}", "", *tables]


def _table(entry: Entry, record: Record) -> list[str]:
    """Return the lines of a table."""
    first, seeds = record.results[0], [str(result.seed) for result in record.results]
    command = f"python -m examples run {entry.id}{' --full' if first.full else ''}"
    command += f" --part {first.part:g}" if first.part is not None else ""
    command += f" --device {first.device}" if first.device != "cpu" else ""
    facts = [f"`{command}`", f"seed {', '.join(seeds)}", _time(record.results), *([first.data] if first.data else [])]
    lines = [f"**{record.status}** - {'; '.join(facts)}", ""]
    lines += ["| | reported | measured | remark |", "|---|---|---|---|"]
    for row in record.rows:
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in row.cells)} |")
    return [*lines, ""]


def render(path: Path | None = None) -> Path:
    """Write the page of results; return its path."""
    path = path or PAGE
    records = read_records()
    lines = [HEAD, "| status | systems |", "|---|---|"]
    states = [records[entry.id].status if entry.id in records else "not recorded" for entry in ENTRIES.values()]
    for status in (*RANKS, "text wrong", "not recorded"):
        alone, beside = states.count(status), states.count(f"{status}, text wrong")
        lines.append(f"| {status} | {alone + beside}{f' ({beside} of them: text wrong, too)' if beside else ''} |")
    lines.append("")
    for group in dict.fromkeys(entry.group for entry in ENTRIES.values()):
        lines += [f"## {group}", ""]
        for entry in ENTRIES.values():
            if entry.group == group and entry.id in records:
                lines += _lines(entry, records[entry.id])
            elif entry.group == group:
                lines += [
                    f"### {entry.id}: {entry.name}",
                    "",
                    f"**not recorded** - reported: {entry.reported or '-'}",
                    "",
                ]
    _write(path, "\n".join(lines).rstrip() + "\n")
    return path
