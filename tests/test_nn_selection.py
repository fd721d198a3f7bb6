"""Folds, points, searches and learning curves: exact counts, seeds, what they refuse, and scikit-learn where it is."""

import itertools
import math

import numpy as np
import pytest

import nn
from nn import selection
from nn.selection import Trial, Trials, grid, integers, k_fold, log_uniform, sample, trials, uniform

# -- folds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "k"), [(10, 5), (11, 4), (3, 3), (100, 7)])
@pytest.mark.parametrize("rng", [None, 0])
def test_every_example_is_in_exactly_one_fold(n, k, rng):
    folds = k_fold(n, k, rng=rng)
    assert len(folds) == k
    assert sorted(i for _, held in folds for i in held) == list(range(n))
    sizes = [len(held) for _, held in folds]
    assert max(sizes) - min(sizes) <= 1
    for known, held in folds:
        assert known.dtype == held.dtype == np.int64
        assert sorted([*known, *held]) == list(range(n))


def test_folds_can_be_gone_through_twice_and_picked():
    folds = k_fold(np.zeros((9, 2)), 3, rng=1)
    for (a, b), (c, d) in zip(folds, folds, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
    np.testing.assert_array_equal(folds[-1][1], folds[2][1])
    assert len(folds[1:]) == 2
    assert repr(folds) == "Folds(3 of 3 to 3 examples)"
    with pytest.raises(IndexError):
        folds[3]


def test_folds_of_a_seed():
    def held(rng):
        return [held.tolist() for _, held in k_fold(20, 4, rng=rng)]

    assert held(3) == held(np.random.default_rng(3)) == held(np.int64(3))
    assert held(3) != held(4)
    assert held(None)[0] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("k", [2, 3, 5])
def test_stratified_folds_share_each_class(k, rng):
    labels = rng.permutation(np.repeat([0, 1, 2], [23, 11, 7]))
    folds = k_fold(labels, k, rng=0, stratified=True)
    assert sorted(i for _, held in folds for i in held) == list(range(41))
    counts = np.array([np.bincount(labels[held], minlength=3) for _, held in folds])
    assert np.all(np.ptp(counts, axis=0) <= 1)
    assert np.ptp(counts.sum(axis=1)) <= 1


def test_stratified_folds_of_names():
    labels = np.array(["cat", "dog"] * 4)
    for _, held in k_fold(labels, 4, stratified=True):
        assert sorted(labels[held]) == ["cat", "dog"]


def test_folds_without_an_order_are_those_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.model_selection")
    for n, k in ((10, 3), (7, 7), (100, 6)):
        theirs = sklearn.KFold(k).split(np.zeros(n))
        for ours, (known, held) in zip(k_fold(n, k), theirs, strict=True):
            np.testing.assert_array_equal(ours[0], known)
            np.testing.assert_array_equal(ours[1], held)


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((3, 4), {}, r"k_fold: 3 example\(s\) cannot be divided into 4 folds"),
        ((3, 1), {}, "k_fold: k must be at least 2, not 1"),
        ((0, 2), {}, "k_fold: examples must be at least 1, not 0"),
        (([0, 0, 0, 1], 2), {"stratified": True}, r"class 1 has 1 example\(s\), too few for each of 2 stratified"),
        ((4, 2), {"stratified": True}, "stratified folds need labels, an array of one axis, in place of 4"),
        ((np.zeros((4, 2)), 2), {"stratified": True}, r"in place of an array of shape \(4, 2\)"),
    ],
)
def test_folds_that_cannot_be(arguments, keywords, message):
    with pytest.raises(ValueError, match=message):
        k_fold(*arguments, **keywords)


def test_folds_of_what_is_no_number():
    with pytest.raises(TypeError, match=r"k_fold: k must be a whole number, not 2\.5"):
        k_fold(10, 2.5)
    with pytest.raises(TypeError, match=r"examples must be a number of them or an array with rows, not 3\.0"):
        k_fold(3.0, 2)
    with pytest.raises(TypeError, match=r"k_fold: rng must be a numpy.random.Generator or a seed, not str"):
        k_fold(10, 2, rng="0")


# -- points --------------------------------------------------------------------------------------------------


def test_a_grid_is_all_combinations():
    values = {"b": [1, 2, 3], "a": ["x", "y"], "c": range(4)}
    want = [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]
    points = grid(**values)
    assert list(points) == want
    assert points[-1] == want[-1]
    assert points[3:5] == want[3:5]
    assert len(points) == 24
    assert list(grid()) == [{}]
    assert type(grid(rate=np.array([0.1]))[0]["rate"]) is float
    with pytest.raises(IndexError):
        points[24]


def test_a_grid_against_scikit_learn():
    sklearn = pytest.importorskip("sklearn.model_selection")
    values = {"decay": [0.1, 0.01], "rate": [1, 2, 3]}
    assert list(grid(**values)) == list(sklearn.ParameterGrid(values))


def test_a_huge_grid_takes_no_memory():
    points = grid(**{name: [0.1, 0.2, 0.3, 0.4] for name in "abcdefghijklmnopqrst"})
    assert len(points) == 4**20
    assert points[4**20 - 1] == dict.fromkeys("abcdefghijklmnopqrst", 0.4)


def test_what_a_grid_refuses():
    for bad in ("relu", 3, {1: 2}):
        with pytest.raises(TypeError, match="grid: the values of x must be a sequence"):
            grid(x=bad)
    with pytest.raises(ValueError, match="grid: x has no values"):
        grid(x=[])


def test_random_points_of_a_seed():
    spaces = {"rate": log_uniform(1e-5, 1e-1), "hidden": [16, 32, 64], "drop": uniform(0, 0.5)}
    ten, four = list(sample(10, rng=7, **spaces)), list(sample(4, rng=np.random.default_rng(7), **spaces))
    assert ten[:4] == four
    assert ten != list(sample(10, rng=8, **spaces))
    assert {point["hidden"] for point in ten} <= {16, 32, 64}
    assert list(sample(1, rng=0, count=[7])) == [{"count": 7}]
    assert next(sample(3, rng=0, own=lambda rng: rng.integers(5, 6))) == {"own": 5}


def test_points_are_drawn_when_they_are_asked_for():
    drawn = []
    points = sample(10**12, rng=0, x=lambda rng: drawn.append(1))
    assert drawn == []
    next(points)
    assert drawn == [1]


def test_logarithms_are_equally_likely():
    draw, rng = log_uniform(1e-5, 1e-1), np.random.default_rng(0)
    values = np.array([draw(rng) for _ in range(4000)])
    assert values.min() >= 1e-5
    assert values.max() <= 1e-1
    counts, _ = np.histogram(np.log10(values), bins=4, range=(-5, -1))
    np.testing.assert_allclose(counts, 1000, atol=4 * math.sqrt(750))  # four standard deviations
    exponents = np.sort((np.log10(values) + 5) / 4)
    assert np.abs(exponents - (np.arange(4000) + 0.5) / 4000).max() < 1.63 / math.sqrt(4000)  # Kolmogorov's 1 %


def test_uniform_numbers_and_integers():
    rng = np.random.default_rng(0)
    values = np.array([uniform(-1, 3)(rng) for _ in range(2000)])
    assert values.min() >= -1
    assert values.max() < 3
    assert abs(values.mean() - 1) < 4 * (4 / math.sqrt(12)) / math.sqrt(2000)
    assert {integers(1, 3)(rng) for _ in range(50)} == {1, 2, 3}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: uniform(2, 1), ValueError, "uniform: the limits must be finite and increase, not 2 and 1"),
        (lambda: uniform(0, math.inf), ValueError, "uniform: the limits must be finite"),
        (lambda: uniform(0, "1"), TypeError, "uniform: the limits must be two numbers"),
        (lambda: log_uniform(0, 1), ValueError, "log_uniform: the limits must be positive, not 0 and 1"),
        (lambda: integers(0.5, 1), TypeError, r"integers: a limit must be a whole number, not 0\.5"),
        (lambda: sample(0, rng=0, x=[1]), ValueError, "sample: count must be at least 1, not 0"),
        (lambda: sample(1, rng=0), ValueError, "sample: name at least one hyper-parameter"),
        (lambda: sample(1, rng=0, x=3), TypeError, "sample: the values of x must be a sequence"),
        (lambda: sample(1, rng=None, x=[3]), TypeError, "sample: rng must be a numpy.random.Generator or a seed"),
    ],
)
def test_distributions_that_cannot_be(make, error, message):
    with pytest.raises(error, match=message):
        make()


# -- searches ------------------------------------------------------------------------------------------------


def bowl(a, b, seed):
    return (a - 2) ** 2 + (b + 1) ** 2 + 0.1 * seed


def test_a_grid_search_finds_the_least():
    found = nn.grid_search(bowl, {"a": [0, 1, 2, 3], "b": [-2, -1, 0]}, seeds=[0, 1, 2], progress=False)
    assert len(found) == 36
    assert found.best == {"a": 2, "b": -1}
    assert found.best_score == pytest.approx(0.1)
    assert found["seed"].tolist() == [0, 1, 2] * 12
    np.testing.assert_allclose(found["score"], [bowl(t.point["a"], t.point["b"], t.seed) for t in found])
    summary = found.summary()[0]
    assert (summary.count, summary.low, summary.high) == (3, pytest.approx(5), pytest.approx(5.2))


def test_a_random_search_of_a_seed():
    def search(seed):
        return nn.random_search(
            lambda rate, seed: abs(math.log10(rate) + 3), {"rate": log_uniform(1e-6, 1)}, 30, rng=seed, progress=False
        )

    assert search(1)["rate"].tolist() == search(1)["rate"].tolist()
    assert search(1).best != search(2).best
    assert search(1).best_score == search(1)["score"].min()


def test_trials_are_made_one_by_one():
    calls = []

    def train(x, seed):
        calls.append((x, seed))
        return x

    found = trials(train, grid(x=[5, 6]), seeds=[0, 1])
    assert calls == []
    first = next(found)
    assert (first.point, first.seed, first.measures) == ({"x": 5}, 0, {"score": 5.0})
    assert first.seconds >= 0
    assert calls == [(5, 0)]
    assert [t.point["x"] for t in found] == [5, 6, 6]


def test_more_is_better_where_it_is_an_accuracy():
    def train(x, seed):
        return {"validation_accuracy": x, "validation_loss": x}

    values = {"x": [0.1, 0.9, 0.5]}
    assert nn.grid_search(train, values, progress=False).best == {"x": 0.9}
    assert nn.grid_search(train, values, monitor="validation_loss", progress=False).best == {"x": 0.1}
    assert nn.grid_search(train, values, mode="min", progress=False).best == {"x": 0.1}
    with pytest.raises(KeyError, match="'loss' is not measured; what is: validation_accuracy, validation_loss"):
        nn.grid_search(train, values, monitor="loss", progress=False)
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', not 'least'"):
        nn.grid_search(train, values, mode="least", progress=False)


def fitted(rate, seed, epochs=3):
    x = np.linspace(-1, 1, 20)[:, None]
    model = nn.Dense(1, 1, rng=seed, dtype=np.float64)
    data = nn.data.Batches(x, 3 * x + 1, batch_size=5)
    return nn.fit(model, nn.Supervised(nn.losses.mse), nn.SGD(rate), data, epochs=epochs, rng=seed, progress=False)


def test_it_takes_what_fit_and_evaluate_return():
    found = nn.grid_search(
        lambda rate, seed: fitted(rate, seed).history.epochs[-1], {"rate": [0.01, 0.1]}, monitor="loss", progress=False
    )
    assert found.best == {"rate": 0.1}
    assert found["loss"][1] == fitted(0.1, 0).history["loss"][-1]
    data = [(np.ones((1, 1)), np.full((1, 1), 4.0))]

    def error(rate, seed):
        return nn.evaluate(fitted(rate, seed).model, data, metrics={"error": nn.metrics.mean_absolute_error})

    assert nn.grid_search(error, {"rate": [0.01, 0.1]}, progress=False).best == {"rate": 0.1}


def test_training_that_fails_is_a_trial_too():
    with np.errstate(all="ignore"):
        found = nn.grid_search(
            lambda rate, seed: {"loss": fitted(rate, seed, 60).history["loss"][-1]}, {"rate": [1e9, 0.1]},
            progress=False,
        )  # fmt: skip
    assert math.isnan(found["loss"][0])
    assert found[0].failure.startswith("fit: ")
    assert found.best == {"rate": 0.1}
    assert str(found).splitlines()[1].endswith("failed")
    assert found[0].measures == {}
    assert found.monitor == "loss"
    assert [one.count for one in found.summary()] == [1, 1]
    nothing = Trials([Trial({"x": 1}, 0, {}, failure="the loss is inf")])
    assert nothing.names == ["x", "seed", "score", "seconds"]
    with pytest.raises(ValueError, match="score is not a number in any of them; the first of 1 failures: the loss is"):
        _ = nothing.best
    assert "failed" in str(nothing)


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        nn.grid_search(lambda x, seed: 1 / x, {"x": [0]}, progress=False)


def test_points_that_have_no_hash():
    values = {"sizes": [[8], [8, 8]], "at": [np.zeros(2), np.ones(2)]}
    found = nn.grid_search(lambda sizes, at, seed: sum(sizes) + at.sum(), values, seeds=[0, 1], progress=False)
    assert [one.count for one in found.summary()] == [2, 2, 2, 2]
    assert found.best["sizes"] == [8]
    assert found["sizes"].shape == (8,)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: trials(bowl, grid(a=[1], b=[1]), seeds=[]), ValueError, "there must be at least one seed"),
        (lambda: trials(bowl, [], seeds=[-1]), ValueError, "trials: a seed must be at least 0, not -1"),
        (lambda: list(trials(bowl, [{"seed": 1}])), ValueError, r"seed is no hyper-parameter; give seeds=\[0, 1, 2\]"),
        (lambda: list(trials(lambda seed: None, [{}])), TypeError, "must return a number, or numbers .*, not NoneType"),
        (
            lambda: list(trials(lambda seed: {}, [{}])),
            TypeError,
            "must return a number, or numbers .*, not dict",
        ),
        (lambda: list(trials(lambda seed: {"a": "b"}, [{}])), TypeError, "must return a number"),
        (lambda: Trials([]), ValueError, "Trials: there are none"),
        (lambda: Trials([Trial({}, 0, {"a": 1.0})])["b"], KeyError, "'b' is not in the trials; what is: seed, a, sec"),
        (lambda: Trials([Trial({}, 0, {"a": 1.0})]).summary("b"), KeyError, "'b' is not measured; what is: a"),
    ],
)
def test_what_searches_refuse(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_progress_is_shown(capsys):
    nn.grid_search(bowl, {"a": [0, 1], "b": [1]}, progress=True)
    shown = capsys.readouterr().err
    assert "grid search: 100%" in shown
    assert "2/2" in shown
    nn.grid_search(bowl, {"a": [0, 1], "b": [1]}, progress=False)
    assert capsys.readouterr().err == ""


# -- folds and sizes -----------------------------------------------------------------------------------------


def test_cross_validation_of_least_squares(rng):
    """Its sum of squares over folds of one is known: residuals over one less the leverages."""
    x, y = rng.normal(size=(12, 3)), rng.normal(size=12)

    def train(known, held, seed):
        weights = np.linalg.lstsq(x[known], y[known], rcond=None)[0]
        return {"error": float(np.mean((x[held] @ weights - y[held]) ** 2))}

    found = nn.cross_validate(train, k_fold(12, 12), progress=False)
    hat = x @ np.linalg.pinv(x)
    np.testing.assert_allclose(found["error"], ((y - hat @ y) / (1 - np.diag(hat))) ** 2, rtol=1e-9)
    assert found["fold"].tolist() == list(range(12))


def test_cross_validation_against_scikit_learn(rng):
    model = pytest.importorskip("sklearn.linear_model").Ridge(alpha=1.0)
    theirs = pytest.importorskip("sklearn.model_selection")
    x, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    want = -theirs.cross_val_score(model, x, y, cv=theirs.KFold(5), scoring="neg_mean_squared_error")

    def train(known, held, seed):
        fit = model.fit(x[known], y[known])
        return float(np.mean((fit.predict(x[held]) - y[held]) ** 2))

    np.testing.assert_allclose(nn.cross_validate(train, k_fold(30, 5), progress=False)["score"], want, rtol=1e-12)


def test_sets_of_a_learning_curve_grow():
    seen = []

    def train(known, seed):
        seen.append(known)
        return {"training_error": 0.0, "test_error": 1 / len(known)}

    found = nn.learning_curve(train, 50, [5, 10, 50], rng=3, seeds=[0, 1], monitor="test_error", progress=False)
    assert found["examples"].tolist() == [5, 5, 10, 10, 50, 50]
    assert found.best == {"examples": 50}
    for small, large in itertools.pairwise(seen[::2]):
        np.testing.assert_array_equal(large[: len(small)], small)
    assert sorted(seen[-1]) == list(range(50))
    nn.learning_curve(train, 4, [3], progress=False)
    assert seen[-1].tolist() == [0, 1, 2]
    for sizes in ([], [51]):
        with pytest.raises(ValueError, match="learning_curve: sizes must be from 1 to 50, the number of examples"):
            nn.learning_curve(train, 50, sizes, progress=False)
    with pytest.raises(ValueError, match="learning_curve: a size must be at least 1, not 0"):
        nn.learning_curve(train, 50, [0], progress=False)


# -- tables and pictures -------------------------------------------------------------------------------------


def test_a_table_of_trials():
    def train(rate, activation, seed):
        return {"error": rate}

    found = nn.grid_search(train, {"rate": [0.1, 1e-5], "activation": [nn.relu, "tanh"]}, progress=False)
    lines = [line.split() for line in str(found).splitlines()]
    assert lines[0] == ["rate", "activation", "seed", "error", "seconds"]
    assert lines[1] == ["0.1", "relu", "0", "0.1", "0.0"]
    assert lines[3] == ["1e-05", "relu", "0", "1e-05", "0.0", "best"]
    assert repr(found) == "Trials(4, min of error)"
    assert found[:2] == found.trials[:2]


def test_a_picture_of_trials(tmp_path):
    pytest.importorskip("matplotlib")
    values = {"rate": [1e-4, 1e-3, 1e-2], "start": ["glorot_uniform", "he_normal"], "hidden": [8, 16], "fixed": [1]}
    found = nn.grid_search(
        lambda rate, start, hidden, fixed, seed: {"error": rate + seed}, values, seeds=[0, 1], progress=False
    )
    figure = found.plot(tmp_path / "search.png", title="A search")
    assert (tmp_path / "search.png").stat().st_size > 1000
    first, names, numbers = figure.axes
    assert [ax.get_xlabel() for ax in figure.axes] == ["rate", "start", "hidden"]
    assert first.get_xscale() == "log"
    assert numbers.get_xscale() == "linear"
    assert [text.get_text() for text in names.get_xticklabels()] == ["glorot_uniform", "he_normal"]
    assert first.get_ylabel() == "error"
    one = nn.grid_search(lambda rate, seed: rate, {"rate": [1]}, progress=False).plot()
    assert len(one.axes) == 1


def test_names_that_are_public():
    for name in selection.__all__:
        assert hasattr(selection, name)
    assert nn.k_fold is k_fold
