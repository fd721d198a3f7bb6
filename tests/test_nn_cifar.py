"""CIFAR-10 in its three forms on disk, with a few made-up images."""

import lzma
import pickle

import numpy as np
import pytest

from nn.data import DataError, load_cifar10

NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


@pytest.fixture
def parts(rng, monkeypatch, tmp_path):
    monkeypatch.delenv("AUTODIFF_DATA", raising=False)
    monkeypatch.setattr("nn.data.cifar.cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr("nn.data.cifar._PART", 4)
    return {
        name: (rng.integers(0, 256, (4, 32, 32, 3)).astype(np.uint8), rng.integers(0, 10, 4).astype(np.uint8))
        for name in NAMES
    }


def rows(images):
    return images.transpose(0, 3, 1, 2).reshape(4, 3072)


def write_binary(folder, parts):
    for name, (images, labels) in parts.items():
        np.hstack([labels[:, None], rows(images)]).tofile(folder / f"{name}.bin")


def write_python(folder, parts):
    for name, (images, labels) in parts.items():
        content = {b"data": rows(images), b"labels": labels.tolist(), b"batch_label": b"x"}
        (folder / name).write_bytes(pickle.dumps(content))


def write_packed(folder, parts):
    for name, (images, _) in parts.items():
        red, green, blue = np.moveaxis(images, -1, 0)
        planes = np.stack([green, red - green, blue - green])
        steps = np.diff(np.diff(planes, axis=2, prepend=np.uint8(0)), axis=3, prepend=np.uint8(0)).astype(np.int8)
        code = ((steps.astype(np.int16) << 1) ^ (steps.astype(np.int16) >> 15)).astype(np.uint8)
        part = "test" if name == "test_batch" else f"train_{NAMES.index(name)}"
        with lzma.open(folder / f"{part}.xz", "wb") as file:
            file.write(code.tobytes())
    train = np.concatenate([parts[name][1] for name in NAMES[:5]])
    np.savez(folder / "labels.npz", train=train, test=parts["test_batch"][1])


@pytest.mark.parametrize("write", [write_binary, write_python, write_packed])
def test_all_forms(tmp_path, parts, write):
    folder = tmp_path / "cifar10"
    folder.mkdir()
    write(folder, parts)
    found = load_cifar10(tmp_path, train=18)
    np.testing.assert_array_equal(found.train_images, np.concatenate([parts[n][0] for n in NAMES[:5]])[:18])
    np.testing.assert_array_equal(found.train_labels, np.concatenate([parts[n][1] for n in NAMES[:5]])[:18])
    np.testing.assert_array_equal(found.test_images, parts["test_batch"][0])
    assert found.name == "a part of CIFAR-10"
    assert not found.full
    assert found.classes[8] == "ship"
    assert len(load_cifar10(folder, train=3, test=2).test_labels) == 2


def test_what_is_missing_or_broken(tmp_path, parts):
    with pytest.raises(FileNotFoundError, match=r"CIFAR-10 is not on disk: unpack https://www\.cs\.toronto\.edu"):
        load_cifar10()
    with pytest.raises(FileNotFoundError, match=r"data_dir is .*nowhere', and there is no such folder"):
        load_cifar10(tmp_path / "nowhere")
    (tmp_path / "data_batch_1.bin").write_bytes(b"abc")
    with pytest.raises(DataError, match=r"3 bytes are no whole images of 3,073"):
        load_cifar10(tmp_path)
    (tmp_path / "data_batch_1.bin").unlink()
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps([1]))
    with pytest.raises(DataError, match=r"data_batch_1 is no batch of CIFAR-10"):
        load_cifar10(tmp_path)
    (tmp_path / "data_batch_1").unlink()
    (tmp_path / "train_0.xz").write_bytes(b"abc")
    with pytest.raises(DataError, match=r"train_0\.xz is damaged"):
        load_cifar10(tmp_path)
