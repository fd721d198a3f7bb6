"""What the programs of the texts do where the texts' data, or the packages that hold them, are missing."""

import sys

import numpy as np
import pytest

from examples import boston, photos, pretrained
from examples.report import Row
from examples.run import Run


def test_without_their_packages_networks_have_random_weights_and_say_so(monkeypatch):
    monkeypatch.setattr(pretrained, "package_file", lambda *_: None)
    run = Run("ekman/D5")
    for network in (pretrained.squeezenet(run), pretrained.efficientnet(run)):
        assert not network.trained
        assert network.note == "random weights: examples/pretrained.py says where the learned ones are"
    shown = pretrained.labelled_photos(run)
    assert run.data == "generated pictures: the package foolbox is not installed"
    assert (shown.pixels.shape, shown.real) == ((20, 224, 224, 3), False)


def test_without_cifar_generated_pictures_stand_in(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(photos, "load_cifar10", missing)
    run = Run("hui/B7")
    images = photos.colour_photos(run, train=50, test=20)
    assert run.data == "generated pictures of ten classes; CIFAR-10 is not on disk"
    assert images.train_images.shape == (50, 32, 32, 3)
    assert not images.full


def test_without_the_text_s_houses_nothing_is_compared(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    run = Run("ekman/R3", full=True)
    _, test = boston.houses(run)
    assert run.data == "made up: Boston housing needs the package mlxtend"
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
