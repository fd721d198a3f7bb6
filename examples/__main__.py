"""The systems of the texts: list them, run them, check them.

Run::

    python -m examples list [--group GROUP] [--kind KIND]
    python -m examples run ID... [--full] [--device cpu|cuda] [--part SHARE] [--seed N] [--out DIR] [--data-dir DIR]
                              [--record]
    python -m examples check [ID...] [--quick] [--jobs N]
    python -m examples report
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from examples.catalogue import ENTRIES, Entry, UnavailableError, find
from examples.checks import check
from examples.records import Record, measure, read_records, record, render
from examples.report import print_table
from examples.run import Run

KINDS = ("network", "exact", "algorithm")


def natural(text: str) -> int:
    """Read a seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0 on, not {text!r}")
    return int(text)


def share(text: str) -> float:
    """Read a number above 0 and up to 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"a share lies above 0 and goes up to 1, unlike {text!r}")
    return value


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples", description="The systems of five texts, rebuilt.")
    commands = parser.add_subparsers(dest="command", required=True)

    listing = commands.add_parser("list", help="show the systems")
    listing.add_argument("--group", help="only this group")
    listing.add_argument("--kind", choices=KINDS, help="only this kind")

    run = commands.add_parser("run", help="run programs: reported against measured, and pictures")
    run.add_argument("ids", nargs="+", metavar="ID", help="a system (lecture/L17) or a group (optimisers)")
    run.add_argument("--full", action="store_true", help="as long as in the text; otherwise seconds, at most a minute")
    run.add_argument(
        "--part", type=share, default=1.0, help="with --full: this share of the text's schedule (0.1), on all its data"
    )
    run.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: some networks, and kernels")
    run.add_argument("--seed", type=natural, nargs="+", default=[0], help="one or several (default 0)")
    run.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder of pictures (runs/examples)")
    run.add_argument("--data-dir", type=Path, help="where to look for data before the other places")
    run.add_argument("--record", action="store_true", help="keep what was measured in RESULTS.md")

    checks = commands.add_parser("check", help="all exact rows, and ten steps of everything else")
    checks.add_argument("ids", nargs="*", metavar="ID", help="only these systems or groups")
    checks.add_argument("--quick", action="store_true", help="the quick forms instead of ten steps")
    checks.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 8), help="processes (default: cores)")

    commands.add_parser("report", help="write examples/RESULTS.md from what was recorded")
    options = parser.parse_args(argv)
    if options.command == "run" and options.part < 1 and not options.full:
        parser.error("--part is a part of --full: give both")
    return options


def show(entries: list[Entry]) -> None:
    """Print rows of the catalogue, and how many of them are met."""
    records = read_records()
    heads = ("id", "name", "group", "reported", "measured", "status")
    print("{:13} {:44} {:21} {:24} {:24} {}".format(*heads))
    for entry in entries:
        known = records.get(entry.id)
        measured, status = (known.summary, known.status) if known else ("", "" if entry.program else "not yet")
        print(
            f"{entry.id:13} {entry.name[:44]:44} {entry.group:21} {entry.reported[:24]:24} {measured[:24]:24} {status}"
        )
    counts = Counter(entry.kind for entry in entries)
    without = sum(not entry.program for entry in entries)
    print(
        f"{len(entries)} systems: {', '.join(f'{n} {kind}' for kind, n in counts.items())}; {without} without a program"
    )


def run_all(options: argparse.Namespace) -> int:
    """Run what was asked for; 0 if nothing was missed."""
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"--out {options.out}: {error.strerror}") from error
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise UnavailableError(f"--data-dir {options.data_dir}: there is no such folder")
    missed = 0
    for entry in find(options.ids):
        if not entry.program:
            print(f"{entry.id} ({entry.name}) has no program yet")
            continue
        results = []
        for seed in dict.fromkeys(options.seed):  # one that is named twice is no second measurement
            run = Run(entry.id, options.full, options.part, False, seed, options.device, options.out, options.data_dir)
            results.append(measure(entry, run))
            print_table(f"{entry.id}: {entry.name} ({results[-1].seconds:.1f} s)", results[-1].rows)
            if run.data:
                print(f"Data: {run.data}")
            for what in run.missing:
                print(f"Not found: {what}")
            for path in run.pictures:
                print(f"Picture: {path}")
            if options.record:
                record(results[-1])
                render()
        rows = Record(entry.kind, results).rows
        if len(results) > 1:
            print_table(f"{entry.id}: means of {len(results)} seeds (and their ranges)", rows)
        missed += any(row.verdict == "missed" for row in rows)
    return int(missed > 0)


def main(argv: list[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    options = arguments(argv)
    try:
        if options.command == "list":
            entries = find([options.group]) if options.group else list(ENTRIES.values())
            show([entry for entry in entries if options.kind in (None, entry.kind)])
            return 0
        if options.command == "run":
            return run_all(options)
        if options.command == "check":
            return check(find(options.ids) if options.ids else list(ENTRIES.values()), options.quick, options.jobs)
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; of this program nothing is kept.", file=sys.stderr)
        return 130
    print(f"Wrote {render()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
