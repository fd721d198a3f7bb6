"""The kernel benchmarks run, check their results, and refuse a device that is not there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "matmul": ["square/64", "100 x 1024 x 10"],
    "conv": ["Ekman C4, 1st"],
    "pooling": ["global"],
    "softmax_cross_entropy": ["100 x 10"],
    "training": ["Hui B8"],
}


def run(name, *arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("name", SMALL)
def test_a_small_case_of_each(name, tmp_path):
    wanted = [part for text in SMALL[name] for part in ("--only", text)]
    outcome = run(name, "--quick", "--rounds", "1", "--json", str(tmp_path / "out.json"), *wanted)
    assert outcome.returncode == 0, outcome.stderr
    assert "ours" in outcome.stdout
    assert re.search(r"\d+\.\d+(us|ms)", outcome.stdout)
    assert '"seconds"' in (tmp_path / "out.json").read_text()


@pytest.mark.parametrize("name", SMALL)
def test_devices_that_are_not_there_end_with_one_line(name, monkeypatch):
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "")
    outcome = run(name, "--device", "cuda")
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert len(outcome.stderr.splitlines()) == 1
    assert "--device cuda" in outcome.stderr


@pytest.mark.parametrize("name", ["matmul", "conv", "pooling", "softmax_cross_entropy"])
def test_the_simulator_checks_and_times_nothing(name):
    outcome = run(name, "--device", "cuda-sim")
    assert outcome.returncode == 0, outcome.stderr
    assert "as the reference" in outcome.stdout
    assert "This is no timing" in outcome.stdout
    assert re.search(r"\d(us|ms)", outcome.stdout) is None
