"""Weights of other libraries: their files and their layouts."""

import pickle

import numpy as np
import pytest

import nn
from nn.checkpoint import CheckpointError


def model(dtype=np.float32):
    return nn.Sequential(
        nn.Conv2d(3, 4, (2, 3), rng=0, dtype=dtype), nn.BatchNorm(4, dtype=dtype), nn.relu,
        nn.Conv2d(4, 4, 3, groups=4, padding=1, bias=False, rng=1, dtype=dtype), nn.GlobalAvgPool2d(),
        nn.Dense(4, 5, rng=2, dtype=dtype),
    )  # fmt: skip


def arrays(rng):
    return {"a": rng.normal(size=(2, 3)).astype(np.float32), "b": np.arange(4), "deep.c": np.float64(2.5) * np.ones(1)}


def test_npz_and_safetensors_and_pickles(tmp_path, rng):
    from safetensors.numpy import save_file

    want = arrays(rng)
    np.savez(tmp_path / "w.npz", **want)
    save_file(want, tmp_path / "w.safetensors")
    nested = {"a": want["a"], "b": want["b"], "deep": {"c": want["deep.c"]}, "note": "text", "n": 3}
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(nested))
    for name in ("w.npz", "w.safetensors", "w.pkl"):
        found = nn.read_tensors(tmp_path / name)
        assert sorted(found) == sorted(want)
        for key, value in want.items():
            np.testing.assert_array_equal(found[key], value)
            assert found[key].dtype == value.dtype


def test_a_pickle_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("boo",)

    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"w": Evil()}))
    with pytest.raises(CheckpointError, match=r"evil\.pkl: it asks for builtins\.print; only arrays"):
        nn.read_tensors(path)
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"evil\.pkl is damaged, or no file of weights"):
        nn.read_tensors(path)
    with pytest.raises(FileNotFoundError):
        nn.read_tensors(tmp_path / "none.pkl")


def test_pytorch(tmp_path, rng):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, (2, 3)), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
        torch.nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 5),
    )  # fmt: skip
    with torch.no_grad():
        theirs(torch.randn(8, 3, 6, 6))  # so that the statistics are not those of the beginning
    theirs.eval()
    x = rng.normal(size=(2, 3, 7, 6)).astype(np.float32)
    want = theirs(torch.tensor(x)).detach().numpy()
    for new in (True, False):
        path = tmp_path / f"{new}.pth"
        torch.save(theirs.state_dict(), path, _use_new_zipfile_serialization=new)
        tensors = nn.read_tensors(path)
        assert list(tensors) == list(theirs.state_dict())
        np.testing.assert_allclose(nn.import_weights(model(), tensors)(x), want, rtol=0, atol=1e-6)
        assert nn.import_weights(model(np.float64), tensors).layers[0].weight.dtype == np.float64
    strided = {"w": torch.arange(6.0).reshape(2, 3).T[1:]}
    torch.save(strided, tmp_path / "s.pt")
    np.testing.assert_array_equal(nn.read_tensors(tmp_path / "s.pt")["w"], [[1, 4], [2, 5]])


def test_keras_layout(rng):
    ours = model()
    weights = {leaf.name: leaf.value for leaf in nn.named_leaves(ours)}
    theirs = dict(weights)
    theirs["layers.0.weight"] = weights["layers.0.weight"].transpose(2, 3, 1, 0)
    theirs["layers.3.weight"] = weights["layers.3.weight"].transpose(2, 3, 0, 1)
    assert theirs["layers.3.weight"].shape == (3, 3, 4, 1)
    assert nn.import_weights(ours, theirs, layout="keras") == ours


def test_keras_files(tmp_path, rng):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["dense/vars/0"] = np.eye(2)
        file["dense/vars/1"] = np.ones(2)
    found = nn.read_tensors(tmp_path / "w.h5")
    assert list(found) == ["dense/vars/0", "dense/vars/1"]
    np.testing.assert_array_equal(found["dense/vars/0"], np.eye(2))


def test_what_does_not_fit_is_named():
    dense = nn.Dense(2, 3, rng=0)
    with pytest.raises(CheckpointError, match=r"import_weights: the model has 2 arrays, but 1 are given"):
        nn.import_weights(dense, {"w": np.ones((3, 2))})
    with pytest.raises(
        CheckpointError, match=r"import_weights: w, float64\[2,3\], does not fit weight, float32\[2,3\] "
    ):
        nn.import_weights(dense, {"w": np.ones((2, 3)), "b": np.ones(3)})
    with pytest.raises(ValueError, match=r"import_weights: layout must be 'pytorch' or 'keras', not 'onnx'"):
        nn.import_weights(dense, {}, layout="onnx")
