"""Prices of houses in Boston: Ekman, "Learning Deep Learning", chapter 6 (R2, R3, R4).

A network 13-64-64-1, the line that it is compared with, and what penalties and dropout do to networks that learn 404
houses by heart. Errors are mean absolute errors in thousands of dollars of the 1970s.

The 506 houses come from the package mlxtend, pip install 'autodiff-engine[examples]', and are shuffled as Keras does;
without it houses are made up of the same shape, and the figures compare with nothing. The set has a column that was
built on race; it serves here to compare figures, and is not to be learned from.

Run::

    python -m examples run ekman/R2 ekman/R3 ekman/R4 [--full]
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import nn
from autodiff import tree
from examples.catalogue import program
from examples.report import Row, half_a_digit
from examples.run import PALETTE, Run
from nn.data import Batches
from nn.losses import mse

FEATURES = 13


def houses(run: Run) -> tuple[Any, Any]:
    """Return features (404, 13) and prices to learn from, and (102, 13) and prices to test on, standardised."""
    try:
        from mlxtend.data import boston_housing_data
    except ImportError:
        run.data = "made up: Boston housing needs the package mlxtend"
        run.lacks("Boston housing: pip install mlxtend")
        x = np.random.default_rng(0).normal(size=(506, FEATURES))
        y = 22 + x @ np.linspace(-2, 2, FEATURES) + np.abs(x[:, 0])
    else:
        run.data = "Boston housing, whole"
        x, y = boston_housing_data()
    order = np.arange(506)
    np.random.RandomState(113).shuffle(order)  # as keras.datasets.boston_housing does
    x, y = x[order], y[order]
    mean, std = x[:404].mean(0), x[:404].std(0)
    features, prices = ((x - mean) / std).astype(np.float32), y.astype(np.float32)[:, np.newaxis]
    return (features[:404], prices[:404]), (features[404:], prices[404:])


def network(sizes: tuple[int, ...], rng: np.random.Generator, drop: float = 0.0) -> nn.Sequential:
    """Dense layers with ReLU, and dropout, between them."""
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise((FEATURES, *sizes)):
        layers += [nn.Dense(inputs, outputs, rng=rng), nn.relu] + ([nn.Dropout(drop)] if drop else [])
    return nn.Sequential(layers[: -2 if drop else -1])


def all_squares(strength: float) -> Any:
    """Penalise weights and biases alike, as the text's listing does."""
    return lambda model: strength * sum(np.sum(np.square(p)) for p in tree.leaves(model))


def train(model: Any, data: Any, epochs: int, seed: int, penalty: Any = None, validation: Any = None) -> nn.FitResult:
    """Adam with its defaults, batches of 16, the mean squared error."""
    return nn.fit(
        model,
        nn.Supervised(mse, penalty=penalty),
        nn.Adam(eps=1e-7),
        Batches(*data, batch_size=16),
        epochs=epochs,
        rng=seed,
        progress=False,
        validation=None if validation is None else Batches(*validation, batch_size=102, shuffle=False),
        metrics=None if validation is None else {"error": nn.metrics.mean_absolute_error},
    )


def error(model: Any, data: Any) -> float:
    """Mean absolute error."""
    return nn.metrics.mean_absolute_error(model(data[0]), data[1])


def made_up(run: Run) -> str:
    """Return what to say of figures that are not of the text's houses."""
    return "the text's houses are not at hand" if run.data.startswith("made up") else ""


def how_long(run: Run, quick: int = 100) -> tuple[int, str]:
    """Return the epochs, and what to say of them."""
    epochs = run.length(quick, 500)
    return epochs, made_up(run) if epochs == 500 else f"{epochs} epochs of the text's 500"


def target_row(name: str, reported: str, model: Any, test: Any, note: str) -> Row:
    """The error on new houses beside the text's; how far the mean of 102 errors is uncertain, if it is above."""
    errors = np.abs(model(test[0]) - test[1])
    mean, doubt = float(errors.mean()), float(errors.std() / np.sqrt(errors.size))
    return Row(name, reported, f"{mean:.{len(reported.partition('.')[2])}f}", note or None,
               value=mean, at_most=None if note else float(reported) + half_a_digit(reported),
               if_missed=f"the standard error of a mean over {errors.size} houses is {doubt:.2f}")  # fmt: skip


def first_four(model: Any, test: Any, reported: tuple[str, ...], note: str) -> list[Row]:
    """Compare the first predictions with what the text prints; the prices show that the houses are the same."""
    prices = [f"{v:.1f}" for v in test[1][:4, 0]]
    predicted = [f"{v:.2f}" for v in np.asarray(model(test[0][:4]))[:, 0]]
    return [
        Row("prices of the first four test houses", "7.2, 18.8, 19.0, 27.0", ", ".join(prices)),
        Row("predictions for them", ", ".join(reported), ", ".join(predicted), note or "another start of the weights"),
    ]


@program("ekman/R2")
def deep(run: Run) -> list[Row]:
    """The network 13-64-64-1: its error in training falls on while that on new houses does not."""
    data, test = houses(run)
    epochs, note = how_long(run)
    model = network((64, 64, 1), run.rng)
    size = nn.count_parameters(model)
    result = train(model, data, epochs, run.seed, validation=test)
    with run.picture() as axes:
        axes.semilogy(result.history["loss"], label="training")
        axes.semilogy(result.history["validation_loss"], label="test")
        axes.set(title="Learning 404 houses by heart", xlabel="epoch", ylabel="mean squared error")
        axes.legend()
    errors = result.history["validation_error"]
    listed = np.asarray(result.model(test[0][:1]))
    return [
        Row("parameters", "5,121", f"{size:,}"),
        target_row("test error", "2.511", result.model, test, note),
        Row("  in the text's table, of the same network", "2.54", f"{errors[-1]:.2f}",
            wrong="the text prints 2.511 and 2.54 for it"),
        Row("  least on the way", "", f"{min(errors):.2f}", f"epoch {np.argmin(errors) + 1}; then it learns by heart"),
        Row(
            "training error",
            "0.647",
            f"{error(result.model, data):.3f}",
            note or "of the same network in the text's table",
        ),
        *first_four(result.model, test, ("7.76", "19.76", "20.16", "32.76"), note),
        Row("what its listing prints, predictions[i, 0]", "brackets", "a number" if np.ndim(listed[0, 0]) == 0 else "?",
            wrong=f"those of predictions[i], of shape {listed[0].shape}; the output is another listing's"),
    ]  # fmt: skip


@program("ekman/R3")
def linear(run: Run) -> list[Row]:
    """One linear neuron by Adam, as the text has it, and by the normal equations."""
    data, test = houses(run)
    epochs, note = run.length(500), made_up(run)
    result = train(network((1,), run.rng), data, epochs, run.seed)
    seen = error(result.model, data)
    columns = [np.c_[np.ones(len(x)), x] for x in (data[0], test[0])]
    w = np.linalg.lstsq(columns[0], data[1], rcond=None)[0]
    exact = nn.metrics.mean_absolute_error(columns[1] @ w, test[1].astype(float))
    steps = -(-404 // 16) * epochs
    return [
        Row("weights", "14", str(nn.count_parameters(result.model))),
        target_row("test error", "10.24", result.model, test, note),
        Row("training error", "10.15", f"{seen:.2f}", note or "after as many steps as the text makes"),
        Row(
            "the constant: learned, and where it belongs",
            "",
            f"{float(result.model.layers[0].bias[0]):.1f}, {w[0, 0]:.1f}",
            f"{steps:,} steps of at most about 0.001",
        ),
        Row(
            "test error of the best line",
            "10.24",
            f"{exact:.2f}",
            wrong="the text compares depth with a line that Adam had not finished: least squares is far better",
        ),
        *first_four(result.model, test, ("0.18", "10.85", "10.99", "22.76"), note),
    ]


CONFIGURATIONS = (
    ("1: line", (1,), 0.0, 0.0, 10.15, 10.24),
    ("2: 64/64/1", (64, 64, 1), 0.0, 0.0, 0.647, 2.54),
    ("3: 64/64/1, L2 0.1", (64, 64, 1), 0.1, 0.0, 1.50, 2.61),
    ("4: 64/64/1, dropout 0.2", (64, 64, 1), 0.0, 0.2, 2.30, 2.56),
    ("5: 128/128/64/1, dropout 0.2", (128, 128, 64, 1), 0.0, 0.2, 2.04, 2.36),
    ("6: 128/128/64/1, dropout 0.3", (128, 128, 64, 1), 0.0, 0.3, 2.38, 2.31),
)


@program("ekman/R4")
def configurations(run: Run) -> list[Row]:
    """Six configurations: errors on the houses learned and on new ones."""
    data, test = houses(run)
    epochs, note = how_long(run, quick=40)
    rows, bars = [], []
    for name, sizes, l2, drop, train_error, test_error in CONFIGURATIONS:
        model = network(sizes, run.rng, drop)
        result = train(model, data, epochs, run.seed, all_squares(l2) if l2 else None)
        seen, new = error(result.model, data), error(result.model, test)
        bars.append((train_error, test_error, seen, new))
        rows.append(Row(f"{name}: training error", f"{train_error:g}", f"{seen:.2f}", note or ""))
        if drop:
            dropped, _ = nn.apply(result.model, data[0], train=True, rng=run.seed)
            rows.append(Row("  with dropout on, as in training", f"{train_error:g}",
                            f"{nn.metrics.mean_absolute_error(dropped, data[1]):.2f}",
                            "perhaps what the text's log shows"))  # fmt: skip
        rows.append(target_row(f"{name}: test error", f"{test_error:g}", result.model, test, note))
    size = nn.count_parameters(network((128, 128, 64, 1), run.rng))
    with run.picture(figsize=(8, 4)) as axes:
        at, values = np.arange(6), np.array(bars)
        for i, (label, colour) in enumerate(
            zip(("text, training", "text, test", "here, training", "here, test"), PALETTE, strict=False)
        ):
            axes.bar(at + (i - 1.5) * 0.2, values[:, i], 0.2, color=colour, label=label)
        axes.set(
            title="Six configurations",
            xlabel="configuration",
            ylabel="mean absolute error",
            xticks=at,
            xticklabels=at + 1,
        )
        axes.legend()
    return [*rows, Row("parameters of configuration 6", "more than 26,000", f"{size:,}", "", met=size == 26_625)]
