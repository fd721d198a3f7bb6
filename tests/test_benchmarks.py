"""The kernel benchmarks run, check their results, and refuse a device that is not there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import _device, _kernels, training

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "matmul": ["square/64", "100 x 1024 x 10"],
    "conv": ["Ekman C4, 1st"],
    "pooling": ["global"],
    "softmax_cross_entropy": ["100 x 10"],
    "training": ["Hui B8"],
}
OTHERS = {"training": ["one image"], "optimisers": ["Nadam"], "elementwise": ["tanh"]}  # on the processor only


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


@pytest.mark.parametrize("name", OTHERS)
def test_a_small_case_of_those_for_the_processor_only(name):
    wanted = [part for text in OTHERS[name] for part in ("--only", text)]
    outcome = run(name, "--quick", "--rounds", "1", *wanted)
    assert outcome.stderr == ""
    assert outcome.returncode in (0, 1)  # a target may be missed
    assert re.search(r"\d\.\d", outcome.stdout)


@pytest.mark.parametrize("name", SMALL)
def test_devices_that_are_not_there_end_with_one_line(name, monkeypatch):
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "")
    outcome = run(name, "--device", "cuda")
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert len(outcome.stderr.splitlines()) == 1
    assert "--device cuda" in outcome.stderr


@pytest.mark.parametrize("name", SMALL)
def test_the_simulator_checks_and_times_nothing(name):
    outcome = run(name, "--device", "cuda-sim")
    assert outcome.returncode == 0, outcome.stderr
    assert "as the reference" in outcome.stdout
    assert "This is no timing" in outcome.stdout
    assert re.search(r"\d(us|ms)", outcome.stdout) is None


@pytest.mark.parametrize("name", training.TINY)
def test_first_steps_of_training_are_compared(name):
    """Ours and PyTorch's with the same weights agree with float64 on the host; another loss does not."""
    torch = pytest.importorskip("torch")
    plan = training.TINY[name]
    x, labels = training._data(plan, 4)
    model = training._model(plan, np.random.default_rng(0))
    expected, masks = training._expected(model, x, labels)
    theirs = training._load(torch, training._torch_model(torch, plan), model)
    first = training._torch_first_step(torch, theirs, torch.from_numpy(x), torch.from_numpy(labels))
    case = _kernels.KernelCase("training", name, {}, expected, 1.0, 2e-4)
    for found in (training._first_step(model, x, labels), first):
        _device.check(case, "first step", [_device.host(a) * mask for a, mask in zip(found, masks, strict=True)])
    wrong = training._first_step(model, x, (labels + 1) % 3)
    with pytest.raises(AssertionError, match="first step"):
        _device.check(case, "first step", [a * mask for a, mask in zip(wrong, masks, strict=True)])


def test_operations_of_a_step():
    """Lecture L17 at batch 128: two convolutions and two products, thrice each but for the gradient by images."""
    plan = next(iter(training._networks().values()))
    first, second = 28 * 28 * 32 * 25, 14 * 14 * 64 * 32 * 25
    assert training._operations(plan, 128) == 2 * 128 * (2 * first + 3 * (second + 3136 * 1024 + 10240))


@pytest.mark.parametrize("peer", ["nobody", "torch"])
def test_the_program_for_devices_with_the_host_in_its_place(monkeypatch, capsys, tmp_path, peer):
    """All of it but the clock and the device: rounds, ratios, shares of the peak, the file."""
    torch = pytest.importorskip("torch") if peer == "torch" else None

    class Host(_device.Library):
        name = "cpu"

        def __init__(self, device):
            self.simulated, self.cupy, self.torch, self.peaks = False, object(), torch, {"float32": 1e12}

        put = staticmethod(np.copy)
        sets = lambda self, inputs: [tuple(map(self.put, inputs))] * 2

    monkeypatch.setattr(_device, "Library", Host)
    monkeypatch.setattr(_device, "machine", lambda library: {"device": "the host"})
    monkeypatch.setattr(_device, "_seconds", lambda run, count: run() is None or 1e-2)
    monkeypatch.setattr(training, "_networks", lambda: training.TINY)
    path = tmp_path / "out.json"
    found = SimpleNamespace(device="cuda", rounds=3, only=None, json=path, threads=1)
    assert training.main(found) == 0
    out = capsys.readouterr().out
    assert "of the peak" in out
    assert ("convolutional: geometric mean 1.00, least 1.00; wanted 0.70 and 0.70: met" in out) == (torch is not None)
    rows = json.loads(path.read_text())
    assert rows["dense"][0]["seconds"].keys() == ({"ours", "torch", "torch last"} if torch else {"ours"})
    assert len(rows["convolutional"][0]["seconds"]["ours"]) == 3
