"""Whether all programs of the catalogue still do what they should: the exact rows whole, ten steps of the rest."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import sys
import time
import traceback
import warnings
from typing import TYPE_CHECKING

from examples.catalogue import ENTRIES, Entry
from examples.records import measure
from examples.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["check", "check_one"]


def check_one(system: str, quick: bool = False) -> tuple[str, float]:
    """Run a program; return what is wrong with it, empty if nothing, and its seconds.

    A row that reports digits or a formula has to be met; whether a network reaches its target is not asked after ten
    steps.
    """
    entry = ENTRIES[system]
    smoke = not quick and entry.kind != "exact"
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = measure(entry, Run(system, smoke=smoke))
    except Exception:  # noqa: BLE001 - whatever is wrong with one program, the others are checked
        return traceback.format_exc(), time.perf_counter() - start
    wrong = ""
    if not result.rows:
        wrong = "it returned no rows"
    elif entry.kind != "network":
        missed = [row for row in result.rows if row.verdict == "missed"]
        wrong = "\n".join(f"{row.name}: reported {row.reported}, measured {row.measured}" for row in missed)
    return wrong, result.seconds


def check(entries: Sequence[Entry], quick: bool, jobs: int) -> int:
    """Check the programs of these rows in parallel, print a line for each; return 0 if all are as they should be."""
    ready = [entry for entry in entries if entry.program]
    failed, start = [], time.perf_counter()
    context = multiprocessing.get_context("spawn")  # also where there is no fork
    with concurrent.futures.ProcessPoolExecutor(max(1, jobs), mp_context=context) as pool:
        waiting = {pool.submit(check_one, entry.id, quick): entry for entry in ready}
        for future in concurrent.futures.as_completed(waiting):
            entry = waiting[future]
            wrong, seconds = future.result()
            print(f"{'FAILED' if wrong else 'ok':6} {seconds:6.1f} s  {entry.id}: {entry.name}", flush=True)
            if wrong:
                failed.append(entry.id)
                print(wrong, file=sys.stderr, flush=True)
    print(f"{len(ready) - len(failed)} of {len(ready)} programs are right, {time.perf_counter() - start:.0f} s")
    if len(entries) > len(ready):
        print(f"{len(entries) - len(ready)} systems have no program yet")
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))
