"""Programs that train networks on a device: the same figures, to rounding, as on the processor."""

import numpy as np
import pytest

import nn
from autodiff import device
from examples import cifar
from examples.__main__ import main
from examples.catalogue import ENTRIES
from examples.records import measure
from examples.run import Run
from tests.device_array import DeviceArray, put

ONE_OF_EACH = ("buduma/B21", "ketkar/K7-7", "ekman/C4", "buduma/B49", "buduma/B30")  # by the functions that train


def crossed(x, _):
    return put(x)


@pytest.mark.parametrize("system", ONE_OF_EACH)
def test_a_network_learns_on_a_device_what_it_learns_on_the_processor(system, monkeypatch):
    here = measure(ENTRIES[system], Run(system, smoke=True))
    monkeypatch.setitem(device.DEVICES, "cuda", device.Device(crossed, lambda x: isinstance(x, DeviceArray)))
    before = DeviceArray.copies
    there = measure(ENTRIES[system], Run(system, smoke=True, device="cuda"))
    assert DeviceArray.copies > before + 5
    assert there.device == "cuda"
    assert [row.name for row in there.rows] == [row.name for row in here.rows]
    for row, other in zip(there.rows, here.rows, strict=True):
        if other.value is not None:
            assert row.value == pytest.approx(other.value, rel=1e-2, abs=0.02)
        try:
            wanted = float(other.measured.rstrip(" %").replace(",", ""))
        except ValueError:
            continue
        assert float(row.measured.rstrip(" %").replace(",", "")) == pytest.approx(wanted, rel=0.02, abs=2.0)


def test_squared_errors_of_probabilities():
    logits, labels = np.random.default_rng(0).normal(size=(7, 10)), np.arange(7)
    wanted = np.mean((nn.softmax(logits) - np.eye(10)[labels]) ** 2)
    assert cifar.softmax_mse(logits, labels) == pytest.approx(wanted, rel=1e-12)


def test_a_device_that_is_missing_is_named(monkeypatch, capsys, tmp_path):
    def missing(x, number):
        raise ImportError("CuPy is not installed")

    monkeypatch.setitem(device.DEVICES, "cuda", device.Device(missing, lambda x: False))
    assert main(["run", "ekman/C4", "--device", "cuda", "--out", str(tmp_path)]) == 2
    wanted = "ekman/C4 (CIFAR-10 CNN, two conv + one FC (Conf1)): --device cuda: CuPy is not installed\n"
    assert capsys.readouterr().err == wanted
    assert not np.any([path.suffix == ".png" for path in tmp_path.iterdir()])
