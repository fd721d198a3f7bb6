"""The parts of training: NaNs found, early stopping, evaluation, progress, history."""

import re
import sys

import numpy as np
import pytest

import nn
from autodiff.ops import softmax_cross_entropy as cross_entropy
from nn.checkpoint import load_weights
from nn.data import Batches
from nn.history import History, smooth
from nn.metrics import accuracy
from nn.training.early_stopping import EarlyStopping
from nn.training.evaluation import evaluate, predict
from nn.training.finite import NonFiniteError, all_finite
from nn.training.fit import fit
from nn.training.supervised import Supervised
from tests.training_checks import Momentum, assert_same, examples, loss, outputs, run, small_data, small_model

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
    assert "the result of exp (test_nn_training.py:" in error.tensor
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
