"""Training: the loop against one by hand, resuming to the bit, Ctrl-C, kill -9, NaNs, early stopping, history."""

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import nn
from autodiff import tree, value_and_grad
from autodiff.ops import softmax_cross_entropy as cross_entropy
from nn.checkpoint import CheckpointError, load_checkpoint, load_weights
from nn.data import Batches
from nn.history import History, smooth
from nn.metrics import accuracy
from nn.training.early_stopping import EarlyStopping
from nn.training.evaluation import evaluate, predict
from nn.training.finite import NonFiniteError, all_finite
from nn.training.fit import fit
from nn.training.interrupt import Interrupted
from nn.training.supervised import Supervised

ROOT = Path(__file__).resolve().parents[1]


class Momentum:
    """An optimiser with a state of arrays and numbers."""

    def __init__(self, rate=0.1):
        self.rate = rate

    def init(self, model):
        return {"velocity": tree.map(np.zeros_like, model), "count": 0}

    def update(self, gradients, state, model):
        velocity = tree.map(lambda v, g: 0.9 * v + g, state["velocity"], gradients)
        model = tree.map(lambda p, v: p - self.rate * v, model, velocity)
        return model, {"velocity": velocity, "count": state["count"] + 1}


def outputs(model, x):
    return np.tanh(x @ model["w1"] + model["b1"]) @ model["w2"]


def loss(model, batch, *, train, rng):
    """Cross-entropy of a small network whose inputs drop out in training."""
    x, y = batch
    if train:
        x = x * (rng.random(x.shape) < 0.8)
    z = outputs(model, x)
    z = z - z.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]), model


def small_model():
    rng = np.random.default_rng(1)
    return {"w1": rng.normal(size=(4, 6)), "b1": np.zeros(6), "w2": rng.normal(size=(6, 3)).astype(np.float32)}


def examples(count=50):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(count, 4))
    return x, (x @ rng.normal(size=(4, 3))).argmax(1)


def noise(batch, rng):
    return batch[0] + 0.01 * rng.normal(size=batch[0].shape), batch[1]


def small_data(**options):
    return Batches(*examples(), batch_size=8, **options)


def run(data=None, *, model=None, loss=loss, epochs=3, optimizer=None, **options):
    options = {"rng": 7, "progress": False, **options}
    return fit(model or small_model(), loss, optimizer or Momentum(), data or small_data(), epochs=epochs, **options)


def assert_same(first, second):
    for x, y in zip(tree.leaves(first), tree.leaves(second), strict=True):
        assert np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_array_equal(x, y)


# -- the loop ------------------------------------------------------------------------------------------------


def test_fit_is_the_loop_that_one_would_write():
    mine, order = np.random.default_rng(7).spawn(2)
    optimizer, model = Momentum(), small_model()
    state = optimizer.init(model)
    losses = []
    for _ in range(3):
        for batch in small_data(augment=noise).epoch(order):
            (value, _), gradients = value_and_grad(loss, has_aux=True)(model, batch, train=True, rng=mine)
            model, state = optimizer.update(gradients, state, model)
            losses.append(value)
    result = run(small_data(augment=noise))
    assert_same(result.model, model)
    assert_same(result.optimizer_state, state)
    assert result.history.losses == losses
    assert result.stopped == "epochs"
    assert [epoch["steps"] for epoch in result.history.epochs] == [7, 14, 21]
    assert result.history["loss"][1] == pytest.approx(np.mean(losses[7:14]), rel=1e-12)


def test_it_learns():
    result = run(epochs=30, validation=small_data(shuffle=False), metrics={})
    assert result.history["validation_loss"][-1] < 0.5 * result.history["validation_loss"][0]
    got = evaluate(result.model, small_data(shuffle=False), metrics={"accuracy": accuracy}, call=outputs)
    assert got["accuracy"] > 0.9


def test_a_generator_is_spawned_from():
    rng = np.random.default_rng(7)
    before = rng.bit_generator.state
    assert_same(run(rng=rng).model, run(rng=7).model)
    assert rng.bit_generator.state == before


def test_plain_lists_of_batches():
    batches = list(small_data(shuffle=False))
    assert_same(run(batches).model, run(small_data(shuffle=False)).model)


def test_models_may_have_a_state():
    def counting(model, batch, *, train, rng):
        return np.sum((model["w"] - 1) ** 2), {**model, "count": model["count"] + 1}

    class Descent:
        def init(self, model):
            return ()

        def update(self, gradients, state, model):
            assert gradients["count"] == 0
            return {**model, "w": model["w"] - 0.1 * gradients["w"]}, state

    got = run(model={"w": np.zeros(2), "count": 0}, loss=counting, optimizer=Descent(), epochs=2).model
    assert got["count"] == 14
    np.testing.assert_allclose(got["w"], 1 - 0.8**14)


def test_what_is_called_at_the_end_of_epochs():
    seen = []
    result = run(on_epoch=lambda record, model: seen.append((record["epoch"], model["b1"].copy())))
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    np.testing.assert_array_equal(seen[-1][1], result.model["b1"])


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="epochs must not be negative, not -1"):
        run(epochs=-1)
    with pytest.raises(ValueError, match=r"resume=True needs a file: checkpoint='last\.safetensors'"):
        run(resume=True)
    with pytest.raises(ValueError, match="checkpoint_every needs a file"):
        run(checkpoint_every=5)
    with pytest.raises(ValueError, match="checkpoint_every must be at least 1 step, not 0"):
        run(checkpoint=tmp_path / "f", checkpoint_every=0)
    with pytest.raises(TypeError, match=r"rng must be a numpy\.random\.Generator or a seed, not NoneType"):
        run(rng=None)
    with pytest.raises(ValueError, match="an epoch without a batch"):
        run(iter([(np.zeros((1, 4)), np.zeros(1, int))]), epochs=2)
    assert run(epochs=0).history.losses == []


# -- checkpoints and resuming --------------------------------------------------------------------------------


class CrashError(Exception):
    pass


def crashing(step):
    """The loss, until it has been called so many times."""
    calls = iter(range(step))

    def limited(*args, **options):
        if next(calls, None) is None:
            raise CrashError
        return loss(*args, **options)

    return limited


def comparable(history):
    return [{k: v for k, v in epoch.items() if "second" not in k} for epoch in history.epochs]


@pytest.mark.parametrize("kind", ["PCG64", "MT19937"])
@pytest.mark.parametrize("crash", [1, 2, 7, 8, 13, 20])
def test_resuming_is_exact_to_the_bit(tmp_path, crash, kind):
    def options():
        rng = np.random.Generator(getattr(np.random, kind)(3))
        rule = EarlyStopping("loss", patience=2)
        return {"data": small_data(augment=noise), "rng": rng, "early_stopping": rule, "validation": validation}

    validation = small_data(shuffle=False)
    whole = run(**options())
    path = tmp_path / "last.safetensors"
    with pytest.raises(CrashError):
        # The validation calls the loss too: 7 batches after each 7 steps.
        run(**options(), loss=crashing(crash + 7 * (crash // 7)), checkpoint=path, checkpoint_every=2)
    assert path.exists() == (crash > 1)
    rest = run(**options(), checkpoint=path, checkpoint_every=2, resume=True)
    assert_same(rest.model, whole.model)
    assert_same(rest.optimizer_state, whole.optimizer_state)
    assert type(rest.optimizer_state["count"]) is int
    assert rest.history.losses == whole.history.losses
    assert comparable(rest.history) == comparable(whole.history)


def test_resuming_after_the_end_does_nothing_and_more_epochs_go_on(tmp_path):
    path = tmp_path / "f"
    first = run(checkpoint=path, epochs=2)
    again = run(checkpoint=path, epochs=2, resume=True)
    assert_same(again.model, first.model)
    assert_same(run(checkpoint=path, epochs=3, resume=True).model, run(epochs=3).model)


def test_without_resume_a_run_begins_anew(tmp_path):
    run(checkpoint=tmp_path / "f", epochs=1)
    assert_same(run(checkpoint=tmp_path / "f", epochs=1).model, run(epochs=1).model)


def test_the_checkpoint_holds_the_weights(tmp_path):
    result = run(checkpoint=tmp_path / "f")
    assert_same(load_weights(tmp_path / "f", small_model()), result.model)


def test_checkpoints_of_another_model(tmp_path):
    run(checkpoint=tmp_path / "f", epochs=1)
    with pytest.raises(CheckpointError, match=r"another model: it lacks model\.b2"):
        run(model={**small_model(), "b2": np.zeros(3)}, checkpoint=tmp_path / "f", resume=True)


TRAINER = """
import sys
sys.path.insert(0, "tests")
import test_nn_fit as t
def slow(model, batch, *, train, rng):
    print("step", flush=True)
    return t.loss(model, batch, train=train, rng=rng)
t.run(t.small_data(augment=t.noise), loss=slow, epochs=400, checkpoint=sys.argv[1], checkpoint_every=3)
"""


def test_killed_training_goes_on_as_if_nothing_had_happened(tmp_path):
    path = tmp_path / "last.safetensors"
    with subprocess.Popen(
        [sys.executable, "-c", TRAINER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        for _ in range(200):
            assert process.stdout.readline() == "step\n"
        process.kill()
        process.stdout.read()
    steps = load_checkpoint(path, {})[1]["steps"]
    assert steps >= 190
    epochs = steps // 7 + 2
    whole = run(small_data(augment=noise), epochs=epochs)
    rest = run(small_data(augment=noise), epochs=epochs, checkpoint=path, resume=True)
    assert_same(rest.model, whole.model)
    assert rest.history.losses == whole.history.losses


# -- Ctrl-C --------------------------------------------------------------------------------------------------


def pressing(*calls):
    """The loss, with Ctrl-C pressed in the middle of some of its calls."""
    count = iter(range(1, 1000))

    def pressed(*args, **options):
        if next(count) in calls:
            signal.raise_signal(signal.SIGINT)
        return loss(*args, **options)

    return pressed


def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(tmp_path, capsys):
    path = tmp_path / "f"
    with pytest.raises(Interrupted) as caught:
        run(loss=pressing(10), checkpoint=path)
    message = f"in epoch 2 after 3 batches (10 steps in all). Saved to {path}: the same call with resume=True goes on"
    assert message in str(caught.value)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert "Ctrl-C again stops at once" in capsys.readouterr().err
    assert len(caught.value.result.history.losses) == 10
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_same(run(checkpoint=path, resume=True).model, run().model)


def test_ctrl_c_in_the_last_step_of_an_epoch(tmp_path):
    path = tmp_path / "f"
    validation = small_data(shuffle=False)
    with pytest.raises(Interrupted, match="in epoch 1 after 7 batches"):
        run(loss=pressing(7), checkpoint=path, validation=validation)
    rest, whole = run(checkpoint=path, resume=True, validation=validation), run(validation=validation)
    assert_same(rest.model, whole.model)
    assert comparable(rest.history) == comparable(whole.history)


def test_ctrl_c_in_the_validation(tmp_path):
    path = tmp_path / "f"
    with pytest.raises(Interrupted, match="in epoch 2 after 0 batches"):
        run(loss=pressing(9), checkpoint=path, validation=small_data(shuffle=False))
    assert_same(run(checkpoint=path, resume=True).model, run().model)


def test_ctrl_c_without_a_file():
    with pytest.raises(Interrupted, match="Nothing was saved: give fit a checkpoint"):
        run(loss=pressing(2))


def test_second_ctrl_c_stops_at_once(tmp_path):
    def twice(model, batch, *, train, rng):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not reached")

    with pytest.raises(KeyboardInterrupt) as caught:
        run(loss=twice, checkpoint=tmp_path / "f")
    assert not isinstance(caught.value, Interrupted)
    assert not (tmp_path / "f").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_somebodys_own_handler_is_left_alone():
    presses = []
    previous = signal.signal(signal.SIGINT, lambda *_: presses.append(1))
    try:
        run(loss=pressing(3))
    finally:
        signal.signal(signal.SIGINT, previous)
    assert presses == [1]


def test_training_in_another_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(run()))
    thread.start()
    thread.join()
    assert_same(results[0].model, run().model)


# -- NaN and infinity ----------------------------------------------------------------------------------------


def test_a_loss_that_becomes_nan_names_step_and_tensor(tmp_path):
    def overflowing(model, batch, *, train, rng):
        with np.errstate(over="ignore", invalid="ignore"):
            hidden = np.exp(model["w"] * 100.0)
            return np.sum(hidden - hidden), model  # inf - inf

    class Climb(Momentum):
        def update(self, gradients, state, model):
            return {"w": model["w"] + 1.0}, state

    model = {"w": np.array([0.0, 1.0], np.float64)}
    with pytest.raises(NonFiniteError) as caught:
        run(model=model, loss=overflowing, optimizer=Climb(), checkpoint=tmp_path / "f", checkpoint_every=1)
    error = caught.value
    assert error.step == 8
    assert re.search(r"the loss is nan at step 8 \(epoch 2, batch 1\)", str(error))
    assert "the result of exp (test_nn_fit.py:" in error.tensor
    assert "float64[2]: 1 infinite of 2 entries; then the result of subtract" in error.tensor
    assert f"The last checkpoint, {tmp_path / 'f'}, is as it was" in str(error)
    assert load_weights(tmp_path / "f", model)["w"].tolist() == [7, 8]


def test_an_infinite_loss():
    def log_of_nothing(model, batch, *, train, rng):
        with np.errstate(divide="ignore"):
            return -np.sum(np.log(model["p"])), model

    with pytest.raises(NonFiniteError, match=r"loss is inf at step 1 .*the result of log .*1 infinite of 2 entries"):
        run(model={"p": np.array([1.0, 0.0])}, loss=log_of_nothing)


def test_a_gradient_that_is_not_finite_though_the_loss_is():
    def root(model, batch, *, train, rng):
        return np.sum(np.sqrt(model["p"])), model

    with pytest.raises(NonFiniteError, match=r"a gradient is not finite at step 1 .* infinite of 2 entries"):
        run(model={"p": np.array([1.0, 0.0])}, loss=root)


def test_data_and_models_that_are_not_finite():
    x, y = examples()
    x[3, 1] = np.nan
    data = Batches(x, y, batch_size=8, shuffle=False)
    with pytest.raises(NonFiniteError, match=r"finite: the batch\[0\], float64\[8, 4\]: 1 NaN of 32 entries"):
        run(data, loss=lambda m, b, *, train, rng: loss(m, b, train=False, rng=rng))
    model = small_model()
    model["b1"][:2] = np.nan, np.inf
    with pytest.raises(NonFiniteError, match=r"the model\['b1'\], float64\[6\]: 1 NaN and 1 infinite of 6 entries"):
        run(model=model)


def test_a_loss_that_is_nan_only_once():
    calls = iter([np.nan, 0.0])

    def moody(model, batch, *, train, rng):
        return np.sum(model["w"]) + next(calls), model

    with pytest.raises(NonFiniteError, match="none, when the step was run again"):
        run(model={"w": np.ones(1)}, loss=moody)


def test_random_numbers_are_drawn_again_for_the_search():
    def unlucky(model, batch, *, train, rng):
        draw = rng.random()
        with np.errstate(divide="ignore"):
            return np.sum(model["w"] / float(draw > 0.3)), model  # infinite on some draws

    with pytest.raises(NonFiniteError, match="the result of divide"):
        run(model={"w": np.ones(1)}, loss=unlucky, optimizer=Momentum(0.0), epochs=50)


def test_all_finite():
    assert all_finite(np.full(5, 1e200)), "the square overflows, the entries are finite"
    assert all_finite(np.full(5, 3e38, np.float32))
    assert all_finite(np.arange(3))
    assert all_finite(np.zeros((0, 3)))
    assert all_finite(np.ones((4, 6))[:, ::2])
    for bad in (np.nan, np.inf, -np.inf):
        for dtype in (np.float16, np.float32, np.float64, np.complex64):
            assert not all_finite(np.array([1, bad, 2], dtype))
        assert not all_finite(np.where(np.eye(5), bad, 0.0)[:, ::2])


# -- early stopping ------------------------------------------------------------------------------------------


def stopping(values, **options):
    """Train a model that counts epochs, with these measures at their ends; return how far it came and the model."""
    measures = iter(values)
    rule = EarlyStopping("validation_score", **options)

    def measure(_outputs, _targets):
        return next(measures)

    class Count:
        def init(self, model):
            return ()

        def update(self, gradients, state, model):
            return {"n": model["n"] + 1.0}, state

    model = {"n": np.array(0.0)}
    one = [(np.zeros(1), np.zeros(1))]

    def validation_call(model, batch, *, train, rng):
        return 0.0 * model["n"], model

    return fit(
        model, validation_call, Count(), one, epochs=len(values), rng=0, early_stopping=rule, progress=False,
        validation=one, metrics={"score": measure}, call=lambda m, x: x,
    )  # fmt: skip


def test_early_stopping_keeps_the_best():
    result = stopping([3.0, 2.0, 2.5, 2.1, 1.0], patience=2, mode="min")
    assert result.stopped == "early stopping"
    assert len(result.history.epochs) == 4
    assert result.model["n"] == 2


def test_early_stopping_upwards_with_the_last_model():
    result = stopping([0.1, 0.5, 0.52, 0.4, 0.9], patience=2, mode="max", min_delta=0.1, restore_best=False)
    assert (len(result.history.epochs), result.model["n"]) == (4, 4)


def test_early_stopping_that_does_not_happen():
    result = stopping([3.0, 2.0, 2.5, 1.0], patience=2, mode="min")
    assert (result.stopped, result.model["n"]) == ("epochs", 4)


def test_early_stopping_with_nan():
    result = stopping([np.nan, 2.0, np.nan, np.nan, 1.0], patience=2, mode="min")
    assert (len(result.history.epochs), result.model["n"]) == (4, 2)


def test_early_stopping_goes_on_after_a_break(tmp_path):
    options = {"epochs": 40, "early_stopping": EarlyStopping("loss", patience=1), "optimizer": Momentum(0.5)}
    whole = run(**options)
    assert whole.stopped == "early stopping"
    count = len(whole.history.epochs)
    run(**{**options, "epochs": count - 1}, checkpoint=tmp_path / "f")
    rest = run(**options, checkpoint=tmp_path / "f", resume=True)
    assert_same(rest.model, whole.model)
    assert (rest.stopped, len(rest.history.epochs)) == ("early stopping", count)
    assert_same(run(**options, checkpoint=tmp_path / "f", resume=True).model, whole.model)


def test_early_stopping_errors():
    with pytest.raises(KeyError, match="watches 'validation_los', which is not measured; what is: loss"):
        run(early_stopping=EarlyStopping("validation_los"))
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', not 'up'"):
        EarlyStopping(mode="up")
    with pytest.raises(ValueError, match="patience must be at least 1"):
        EarlyStopping(patience=0)


# -- evaluation ----------------------------------------------------------------------------------------------


def test_evaluate_weighs_by_examples():
    data = small_data(shuffle=False)  # the last batch has 2 rows, the others 8
    x, y = examples()
    got = evaluate(small_model(), data, loss=loss, metrics={"accuracy": accuracy}, call=outputs)
    assert got["loss"] == pytest.approx(loss(small_model(), (x, y), train=False, rng=None)[0], rel=1e-12)
    assert got["accuracy"] == pytest.approx(accuracy(outputs(small_model(), x), y), rel=1e-12)
    got = evaluate(small_model(), data, loss=None, metrics={"loss": lambda z, y: float(len(y))}, call=outputs)
    assert got == {"loss": (48 * 8 + 2 * 2) / 50}
    assert evaluate(small_model(), data, loss=loss, metrics={"loss": lambda z, y: 1.0}, call=outputs) == {"loss": 1.0}
    with pytest.raises(ValueError, match="evaluate: no batch"):
        evaluate(small_model(), [])


def test_supervised():
    model = nn.Sequential(nn.Dropout(0.5), nn.Dense(4, 3, dtype=np.float64, rng=0))
    batch = examples()
    entropy = Supervised(cross_entropy)
    value, same = entropy(model, batch, train=False)
    assert value == cross_entropy(model(batch[0]), batch[1])
    assert same == model
    dropped, _ = nn.apply(model, batch[0], train=True, rng=5)
    value = entropy(model, batch, train=True, rng=np.random.default_rng(5))[0]
    assert value == cross_entropy(dropped, batch[1])
    penalised = Supervised(cross_entropy, penalty=lambda m: 0.1 * np.sum(m.layers[1].weight ** 2))
    extra = penalised(model, batch, train=True, rng=np.random.default_rng(5))[0] - value
    assert extra == pytest.approx(0.1 * np.sum(model.layers[1].weight ** 2))
    assert penalised(model, batch, train=False)[0] == entropy(model, batch, train=False)[0]


def test_supervised_is_evaluated_once():
    calls = []

    def model(x):
        calls.append(len(x))
        return x

    got = evaluate(model, small_data(shuffle=False), loss=Supervised(lambda z, y: 3.0), metrics={"n": lambda z, y: 1.0})
    assert got == {"loss": 3.0, "n": 1.0}
    assert len(calls) == 7


def test_layers_train_and_resume(tmp_path):
    def go(**options):
        parts = (nn.Dense(4, 6, rng=1), nn.BatchNorm(6), np.tanh, nn.Dropout(0.2), nn.Dense(6, 3, rng=2))
        x, y = examples()
        data = Batches(x.astype(np.float32), y, batch_size=8)
        return run(data, model=nn.Sequential(*parts), loss=Supervised(cross_entropy), **options)

    whole = go(epochs=4)
    assert whole.history["loss"][-1] < whole.history["loss"][0]
    assert np.any(whole.model.layers[1].mean != 0), "the running mean is carried along"
    go(epochs=2, checkpoint=tmp_path / "f")
    assert go(epochs=4, checkpoint=tmp_path / "f", resume=True).model == whole.model


def test_predict():
    x, _ = examples()
    got = predict(small_model(), x, batch_size=7, call=outputs)
    np.testing.assert_allclose(got, outputs(small_model(), x), rtol=1e-12)
    assert predict(small_model(), x[:0], call=outputs).shape == (0, 3)
    assert predict(None, np.array([1, 2], np.uint8), call=lambda _, x: x, transform=lambda x: x / 2).tolist() == [
        0.5,
        1,
    ]
    with pytest.raises(ValueError, match="batch_size must be positive, not 0"):
        predict(small_model(), x, batch_size=0)


# -- progress and history ------------------------------------------------------------------------------------


def test_progress_says_what_matters(capsys):
    run(progress=True, epochs=2, validation=small_data(shuffle=False))
    err = capsys.readouterr().err
    assert re.search(r"epoch 2/2: 100%\|.*7/7 .*loss \d\.\d{4}, validation loss \d\.\d{4}, [\d,]+ examples/s", err)
    run(progress=False)
    assert capsys.readouterr().err == ""


def test_compilation_is_announced(capsys):
    import numba

    if numba.config.DISABLE_JIT:
        pytest.skip("nothing is compiled under NUMBA_DISABLE_JIT=1")

    def compiling(model, batch, *, train, rng):
        @numba.njit
        def three():
            return 3

        return model["w"] * three(), model

    run(model={"w": np.array(1.0)}, loss=compiling, epochs=1, progress=True)
    assert "compiling kernels (first use only): three" in capsys.readouterr().err


def test_history_columns():
    history = History([1.0], [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5, "validation_accuracy": 0.9}])
    assert history["loss"].tolist() == [1.0, 0.5]
    assert np.isnan(history["validation_accuracy"][0])
    assert history.names == ["validation_accuracy"]
    with pytest.raises(KeyError, match="'speed' was not recorded; what was: epoch, loss, validation_accuracy"):
        history["speed"]


def test_smooth():
    np.testing.assert_allclose(smooth([2.0] * 200), 2.0)
    steps = smooth([0.0] * 100 + [1.0] * 100)
    assert steps[99] == 0
    assert 0.99 < steps[-1] < 1


def test_history_plot(tmp_path):
    pytest.importorskip("matplotlib")
    result = run(epochs=4, validation=small_data(shuffle=False), metrics={"accuracy": accuracy}, call=outputs)
    figure = result.history.plot(tmp_path / "curves.png", title="Small")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    left, right = figure.axes
    assert (left.get_xlabel(), left.get_ylabel()) == ("step", "loss")
    assert (right.get_xlabel(), right.get_ylabel()) == ("epoch", "validation accuracy")
    np.testing.assert_array_equal(left.lines[0].get_ydata(), result.history.losses)
    np.testing.assert_array_equal(right.lines[0].get_ydata(), result.history["validation_accuracy"])
    assert len(History([1.0, 0.5], []).plot().axes) == 1


def test_history_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'autodiff-engine\[examples\]'"):
        History([1.0], []).plot()
