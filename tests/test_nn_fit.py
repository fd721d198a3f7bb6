"""Training: the loop against one by hand, resuming to the bit, Ctrl-C, kill -9."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import nn
from autodiff import value_and_grad
from nn.checkpoint import CheckpointError, load_checkpoint, load_weights
from nn.data import Batches
from nn.metrics import accuracy
from nn.training.early_stopping import EarlyStopping
from nn.training.evaluation import evaluate
from nn.training.interrupt import Interrupted
from tests.training_checks import Momentum, assert_same, examples, loss, noise, outputs, run, small_data, small_model

ROOT = Path(__file__).resolve().parents[1]

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


def test_a_result_is_shown_in_a_few_lines():
    result = run()
    assert "History(21 steps, 3 epochs, the last: {'epoch': 3, 'steps': 21, " in repr(result)
    assert "optimizer_state" not in repr(result)
    assert repr(nn.History()) == "History(0 steps, 0 epochs)"


@pytest.mark.parametrize("changes", [{"shuffle": True}, {"shuffle": False, "augment": noise}])
def test_validation_in_an_order_of_its_own_is_refused_before_training(changes):
    with pytest.raises(ValueError, match=r"fit: validation must be neither shuffled nor augmented.*shuffle=False"):
        run(validation=small_data(**changes))
    with pytest.raises(TypeError, match=r"shuffling and augmentation need .* To evaluate, .* shuffle=False"):
        evaluate(small_model(), small_data(**changes), loss=loss)


@pytest.mark.parametrize(
    ("wrong", "what"), [(lambda value: value, "one value"), (lambda value: (value, 1, 2), "3 values")]
)
def test_a_loss_that_returns_something_else(wrong, what):
    bad = lambda model, batch, *, train, rng: wrong(loss(model, batch, train=train, rng=rng)[0])
    with pytest.raises(TypeError, match=rf"fit: loss must return \(value, new_model\), not {what}"):
        nn.fit(small_model(), bad, Momentum(), small_data(), epochs=1, rng=0, progress=False)


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
    with pytest.raises(TypeError, match=r"fit: epochs must be an integer, not 1\.5"):
        run(epochs=1.5)
    with pytest.raises(TypeError, match=r"fit: checkpoint_every must be an integer, not 2\.5"):
        run(checkpoint="f", checkpoint_every=2.5)
    with pytest.raises(TypeError, match=r"fit: optimizer is the class SGD; make one, such as SGD\(0\.01\)"):
        run(optimizer=nn.SGD)
    with pytest.raises(
        TypeError, match=r"fit: loss must take \(model, batch, .*'train'\. .* nn\.Supervised\(criterion\)"
    ):
        run(loss=nn.losses.cross_entropy)
    supervised = nn.Supervised(nn.losses.cross_entropy)
    for data, what in ((small_data().arrays, r"float64\[50,4\]"), (Batches(*examples()[:1]), "1 values")):
        with pytest.raises(ValueError, match=rf"Supervised: a batch is \(inputs, targets\), but this one is {what}"):
            run(data, loss=supervised)
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


def test_a_checkpoint_within_an_epoch_of_other_data(tmp_path):
    path = tmp_path / "f"
    with pytest.raises(CrashError):
        run(loss=crashing(5), checkpoint=path, checkpoint_every=2)
    fewer = Batches(*examples(), batch_size=20)
    with pytest.raises(
        CheckpointError, match=rf"after 4 batches of an epoch of 7, but the data here make {len(fewer)}:"
    ):
        run(fewer, checkpoint=path, resume=True)
    run(checkpoint=path, resume=True)
    assert run(fewer, epochs=4, checkpoint=path, resume=True).history.epochs[-1]["steps"] == 21 + len(fewer)


def test_a_place_that_cannot_be_written_is_found_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for place, reason in ((tmp_path, "it is a folder"), (tmp_path / "file" / "last", "File exists|Not a directory")):
        with pytest.raises(OSError, match=rf"fit: the checkpoint .* cannot be written: .*({reason})"):
            run(loss=crashing(0), checkpoint=place)
    run(checkpoint=tmp_path / "deep" / "last", epochs=0)
    assert list((tmp_path / "deep").iterdir()) == []


TRAINER = """
import sys
from tests import training_checks as t
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


def test_models_that_were_handed_out_are_not_written_to():
    rng = np.random.default_rng(0)
    model = nn.Dense(3, 2, rng=rng)
    start = model.weight.copy()
    x, y = rng.random((40, 3), dtype=np.float32), rng.integers(0, 2, 40)
    kept = []

    def keep(record, model):
        kept.append((model, model.weight.copy()))

    data = nn.data.Batches(x, y, batch_size=10)
    examples = nn.Supervised(nn.losses.cross_entropy)
    result = nn.fit(model, examples, nn.Adam(0.1), data, epochs=3, rng=rng, on_epoch=keep, progress=False)
    np.testing.assert_array_equal(model.weight, start)
    assert len(kept) == 3
    for kept_model, weight in kept:
        np.testing.assert_array_equal(kept_model.weight, weight)
    np.testing.assert_array_equal(result.model.weight, kept[-1][1])
    assert not np.array_equal(kept[0][1], kept[1][1])
