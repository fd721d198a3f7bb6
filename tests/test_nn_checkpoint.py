"""Checkpoints: what goes in comes out, whatever happens to the process in between."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from autodiff import tree
from nn import checkpoint
from nn.checkpoint import CheckpointError, load_checkpoint, load_weights, save_checkpoint, save_weights

ROOT = Path(__file__).resolve().parents[1]


@tree.register_dataclass(static=["rate"])
@dataclasses.dataclass
class Part:
    weight: object
    bias: object
    rate: float = 0.5


def blank(value):
    return tree.map(lambda x: np.zeros_like(x) if isinstance(x, np.ndarray) else x, value)


@pytest.mark.parametrize(
    "dtype", ["f8", "f4", "f2", "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c8", "c16", ">f4", ">i8", ">c16"]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_every_dtype_and_shape(tmp_path, rng, dtype, shape):
    array = np.asarray(100 * rng.normal(size=shape) + (40j if "c" in dtype else 0)).astype(dtype)
    save_weights(tmp_path / "f", {"x": array})
    got = load_weights(tmp_path / "f", {"x": np.zeros(shape, array.dtype.newbyteorder("="))})["x"]
    assert got.dtype == array.dtype.newbyteorder("=")
    assert got.shape == shape
    assert isinstance(got, np.ndarray)
    assert got.flags.writeable
    np.testing.assert_array_equal(got, array)


def test_views_are_saved_as_they_look(tmp_path):
    base = np.arange(24.0).reshape(4, 6)
    trees = {"t": [base.T, base[:, ::2], base[::-1], np.broadcast_to(base[0], (3, 6)), np.asfortranarray(base)]}
    save_checkpoint(tmp_path / "f", trees)
    got, _ = load_checkpoint(tmp_path / "f", blank(trees))
    for x, y in zip(got["t"], trees["t"], strict=True):
        np.testing.assert_array_equal(x, y)


def test_numbers_keep_type_and_every_bit(tmp_path):
    values = [True, 7, 2**80, 0.1, 1e-320, float("inf"), np.float32(0.1), np.int8(3), np.complex64(1 + 2j), np.True_]
    like = [type(v)(0) for v in values]
    save_checkpoint(tmp_path / "f", {"v": values})
    got, _ = load_checkpoint(tmp_path / "f", {"v": like})
    assert got["v"] == values
    assert [type(v) for v in got["v"]] == [type(v) for v in values]
    save_checkpoint(tmp_path / "f", {"v": [float("nan"), -0.0]})
    nan, zero = load_checkpoint(tmp_path / "f", {"v": [0.0, 0.0]})[0]["v"]
    assert np.isnan(nan)
    assert np.signbit(zero)


def test_nested_trees_get_the_names_of_other_libraries(tmp_path):
    model = {"layers": [Part(np.ones((2, 3)), np.zeros(3)), Part(np.ones(1), None)], "scale": np.float32(2)}
    save_weights(tmp_path / "f.safetensors", model)
    tensors = load_file(tmp_path / "f.safetensors")
    names = ["model.layers.0.bias", "model.layers.0.weight", "model.layers.1.weight", "model.scale"]
    assert sorted(tensors) == names
    got = load_weights(tmp_path / "f.safetensors", blank(model))
    assert isinstance(got["layers"][0], Part)
    assert got["layers"][1].bias is None
    np.testing.assert_array_equal(got["layers"][0].weight, np.ones((2, 3)))


def test_names_that_would_collide(tmp_path):
    value = {"a.b": np.array(1.0), "a": {"b": np.array(2.0)}}
    save_weights(tmp_path / "f", value)
    assert load_weights(tmp_path / "f", blank(value)) == value


def test_a_bare_leaf_and_an_empty_tree(tmp_path):
    save_checkpoint(tmp_path / "f", {"x": np.arange(3), "nothing": None, "xy": np.ones(2)})
    got, state = load_checkpoint(tmp_path / "f", {"x": np.zeros(3, int), "nothing": None})
    assert got["x"].tolist() == [0, 1, 2]
    assert got["nothing"] is None
    assert state == {}


def test_state_is_json(tmp_path):
    state = {"step": 3, "loss": 0.1 + 0.2, "list": [1, None, "x"], "big": 2**127}
    save_checkpoint(tmp_path / "f", {}, state)
    assert load_checkpoint(tmp_path / "f", {})[1] == state


def test_weights_of_other_programs(tmp_path):
    save_file({"model.w": np.arange(3.0)}, tmp_path / "f")
    assert load_weights(tmp_path / "f", {"w": np.zeros(3)})["w"].tolist() == [0, 1, 2]


# -- errors --------------------------------------------------------------------------------------------------


def test_other_models_are_refused(tmp_path):
    save_weights(tmp_path / "f", {"w": np.ones((2, 3)), "b": np.ones(3), "n": 3})
    with pytest.raises(CheckpointError, match=r"another model: it lacks model\.c and also has model\.b, model\.n"):
        load_weights(tmp_path / "f", {"w": np.ones((2, 3)), "c": np.ones(3)})
    with pytest.raises(CheckpointError, match=r"model\.w is float64\[2, 3\] in the file, and float64\[3, 2\] here"):
        load_weights(tmp_path / "f", {"w": np.ones((3, 2)), "b": np.ones(3), "n": 3})
    with pytest.raises(CheckpointError, match=r"model\.b is float64\[3\] in the file, and float32\[3\] here"):
        load_weights(tmp_path / "f", {"w": np.ones((2, 3)), "b": np.ones(3, np.float32), "n": 3})
    with pytest.raises(CheckpointError, match=r"model\.n is the number 3 in the file, and an array here"):
        load_weights(tmp_path / "f", {"w": np.ones((2, 3)), "b": np.ones(3), "n": np.array(3)})
    with pytest.raises(CheckpointError, match=r"lacks model\.0, model\.1, model\.2, model\.3, model\.4 and 3 more"):
        load_weights(tmp_path / "f", [1.0] * 8)


def test_dtypes_that_do_not_fit(tmp_path):
    with pytest.raises(CheckpointError, match=r"model\.d has the dtype datetime64\[s\]"):
        save_weights(tmp_path / "f", {"d": np.array(["2020-01-01"], "datetime64[s]")})
    assert not (tmp_path / "f").exists()


def test_damaged_files(tmp_path):
    path = tmp_path / "f"
    with pytest.raises(FileNotFoundError):
        load_weights(path, {"w": np.ones(100)})
    save_weights(path, {"w": np.ones(100)})
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[:-1], whole[: len(whole) // 2], whole[:7], b"\xff" * 400):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="no whole safetensors file"):
            load_weights(path, {"w": np.ones(100)})
    changed = bytearray(whole)
    changed[-5] ^= 1
    path.write_bytes(changed)
    with pytest.raises(CheckpointError, match="damaged after it was written: its checksum is wrong"):
        load_weights(path, {"w": np.ones(100)})


def test_files_of_newer_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_VERSION", 2)
    save_weights(tmp_path / "f", {"w": np.ones(1)})
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"newer version of this package \(format 2\)"):
        load_weights(tmp_path / "f", {"w": np.ones(1)})


# -- generators ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_generators_go_on_where_they_were(kind):
    rng = np.random.Generator(getattr(np.random, kind)(5))
    rng.integers(0, 10, 3, dtype=np.uint32)  # leaves half a word behind
    rng.spawn(2)
    copy = checkpoint.generator_from_state(json.loads(json.dumps(checkpoint.generator_state(rng))))
    for _ in range(2):
        np.testing.assert_array_equal(copy.normal(size=9), rng.normal(size=9))
        np.testing.assert_array_equal(copy.integers(0, 9, 9, np.uint32), rng.integers(0, 9, 9, np.uint32))
        copy, rng = copy.spawn(1)[0], rng.spawn(1)[0]


def test_unknown_generator():
    with pytest.raises(CheckpointError, match="no bit generator 'Dice'"):
        checkpoint.generator_from_state({"state": {"bit_generator": "Dice"}})


# -- kill -9 -------------------------------------------------------------------------------------------------

WRITER = """
import itertools, sys
import numpy as np
from nn.checkpoint import save_checkpoint
for step in itertools.count(1):
    model = {"a": np.full(1_500_000, step, np.float32), "b": np.full(11, step)}
    print("begin", step, flush=True)
    save_checkpoint(sys.argv[1], {"model": model, "opt": [np.full(1_500_000, -step, np.float32)]}, {"step": step})
    print("end", step, flush=True)
"""


def test_killed_at_any_moment_leaves_the_old_or_the_new_checkpoint(tmp_path, rng):
    path = tmp_path / "last.safetensors"
    like = {"model": {"a": np.zeros(1_500_000, np.float32), "b": np.zeros(11, int)}}
    like["opt"] = [like["model"]["a"]]
    during = 0
    for delay in rng.uniform(0.0, 0.04, 5):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            while process.stdout.readline() != "end 2\n":
                assert process.poll() is None
            process.stdout.readline()  # it has begun to write the third
            time.sleep(delay)
            process.kill()
            rest = process.stdout.read().split("\n")
        lines = ["end 2", "begin 3", *filter(None, rest)]
        finished = int([line for line in lines if line.startswith("end")][-1].split()[1])
        during += lines[-1].startswith("begin")
        trees, state = load_checkpoint(path, like)
        assert state["step"] in {finished, finished + 1}
        for array, sign in ((trees["model"]["a"], 1), (trees["model"]["b"], 1), (trees["opt"][0], -1)):
            np.testing.assert_array_equal(array, sign * state["step"])
    assert during, "no process was killed while it wrote"
