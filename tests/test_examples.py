"""The programs in examples/: exact figures of the texts, and the networks in their quick form."""

import subprocess
import sys
from pathlib import Path

import pytest

from examples import backpropagation, perceptron
from examples.report import Row, print_table

ROOT = Path(__file__).resolve().parents[1]


def test_table(capsys):
    print_table("Title", [Row("a", "1", "1"), Row("bb", "10", "9"), Row("c", "5", "6", "one more")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Title"
    assert lines[3] == "    reported  measured"
    assert lines[5] == "a          1         1  the same"
    assert lines[6] == "bb        10         9  DIFFERENT"
    assert lines[7] == "c          5         6  one more"


def test_perceptron_trace():
    rows = perceptron.main()
    assert len(rows) == 5
    assert all(row.agrees for row in rows)


def test_worked_backpropagation():
    rows = backpropagation.worked_example()
    assert len(rows) == 16
    assert [row.name for row in rows if not row.agrees] == []
    assert backpropagation.modes_agree() < 1e-15


def test_xor():
    *rows, passes = backpropagation.xor()
    assert [row.name for row in rows if not row.agrees] == []
    assert passes.measured == "161"


@pytest.mark.parametrize("name", ["perceptron", "backpropagation"])
def test_programs_run_as_commands(name):
    for command in (["-m", f"examples.{name}"], [f"examples/{name}.py"]):
        done = subprocess.run(
            [sys.executable, "-W", "error", *command],
            cwd=ROOT,
            env={**__import__("os").environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "the same" in done.stdout
        assert "DIFFERENT" not in done.stdout
