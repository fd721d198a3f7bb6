"""What was measured: kept in `measured.json`, and written from there into RESULTS.md."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.catalogue import ENTRIES, Entry
from examples.report import Row

if TYPE_CHECKING:
    from examples.run import Run

__all__ = ["Record", "Result", "measure", "read_records", "record", "render"]

FILE = Path(__file__).with_name("measured.json")
PAGE = Path(__file__).with_name("RESULTS.md")
RANKS = ("missed", "text wrong", "met", "compared", "shown")  # the first that a row of a program has is its status
HEAD = """# Results

What the texts report and what these programs measure. `python -m examples run ID --record` (with `--full --seed 0 1 2`
for networks) measures a row anew, `python -m examples report` writes this page from `measured.json`; do not edit it.

Status: **met** - the same digits, or a target reached; **text wrong** - the text's own figure does not hold, the
remark says why; **compared** - beside the text's figure, where the question is not quite the same; **shown** - the text
reports no figure; **missed** - ours is worse than the text's. Of several seeds the worst decides. Quick runs train for
at most a minute: a target that a quick run misses says little.
"""


@dataclasses.dataclass(frozen=True)
class Result:
    """One run of a program."""

    id: str
    rows: list[Row]
    seed: int
    full: bool
    device: str
    data: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Record:
    """The runs of a system that count: the full ones if there are any."""

    results: list[Result]

    @property
    def summary(self) -> tuple[str, str]:
        """What was measured, in a few words, and the status."""
        rows = self.results[-1].rows
        verdicts = [row.verdict for result in self.results for row in result.rows]
        status = min(verdicts, key=RANKS.index, default="shown")
        counted = [row for row in rows if row.reported] or rows
        return "; ".join(row.measured for row in counted), status


def measure(entry: Entry, run: Run) -> Result:
    """Run a program and take its time.

    Raises
    ------
    LookupError
        If there is no program, or it cannot run on the device that is asked for.
    """
    program = entry.load()
    devices = getattr(program, "devices", ("cpu",))
    if run.device not in devices:
        raise LookupError(f"{entry.id} ({entry.name}) runs on {' and '.join(devices)}, not on {run.device}")
    start = time.perf_counter()
    rows = program(run)
    return Result(entry.id, rows, run.seed, run.full, run.device, run.data, time.perf_counter() - start)


def _load() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return data


def record(result: Result) -> None:
    """Keep a result in place of the last one of the same system, length, device and seed."""
    data = _load()
    key = f"{'full' if result.full else 'quick'} {result.device} {result.seed}"
    data.setdefault(result.id, {})[key] = dataclasses.asdict(result)
    ordered = {system: data[system] for system in ENTRIES if system in data}
    FILE.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_records() -> dict[str, Record]:
    """Return what was recorded, by system."""
    records = {}
    for system, runs in _load().items():
        results = [Result(**{**run, "rows": [Row(**row) for row in run["rows"]]}) for run in runs.values()]
        counting = [result for result in results if result.full] or results
        records[system] = Record(counting)
    return records


def _spread(values: list[str]) -> str:
    """Return the mean and the range of the figures of several seeds; figures that are no numbers stand side by side."""
    if len(set(values)) == 1:
        return values[0]
    try:
        numbers = [float(value.rstrip(" %")) for value in values]
    except ValueError:
        return ", ".join(values)
    unit = " %" if values[0].endswith("%") else ""
    return f"{sum(numbers) / len(numbers):.5g}{unit} ({min(numbers):.5g} to {max(numbers):.5g})"


def _lines(entry: Entry, record: Record) -> list[str]:
    """Return the lines of a system's table."""
    first = record.results[0]
    _, status = record.summary
    command = f"python -m examples run {entry.id}{' --full' if first.full else ''}"
    seeds = ", ".join(str(result.seed) for result in record.results)
    seconds = sum(result.seconds for result in record.results) / len(record.results)
    facts = [f"`{command}`", f"seed {seeds}", f"{seconds:.1f} s", *([first.data] if first.data else [])]
    lines = [f"### {entry.id}: {entry.name}", "", f"**{status}** - {'; '.join(facts)}", ""]
    lines += ["| | reported | measured | remark |", "|---|---|---|---|"]
    for i, row in enumerate(first.rows):
        same = all(len(result.rows) == len(first.rows) for result in record.results)
        values = [result.rows[i].measured for result in record.results] if same else [row.measured]
        cells = (row.name, row.reported, _spread(values), row.cells[3])
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return [*lines, ""]


def render(path: Path = PAGE) -> Path:
    """Write the page of results; return its path."""
    records = read_records()
    lines = [HEAD, "| status | systems |", "|---|---|"]
    states = {entry.id: records[entry.id].summary[1] if entry.id in records else "" for entry in ENTRIES.values()}
    lines += [f"| {status} | {sum(state == status for state in states.values())} |" for status in RANKS]
    lines += [f"| not recorded | {sum(not state for state in states.values())} |", ""]
    for group in dict.fromkeys(entry.group for entry in ENTRIES.values()):
        lines += [f"## {group}", ""]
        for entry in ENTRIES.values():
            if entry.group == group and entry.id in records:
                lines += _lines(entry, records[entry.id])
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return path
