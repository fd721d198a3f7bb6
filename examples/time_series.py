"""Monthly book sales are predicted: Ekman, "Learning Deep Learning", chapters 9 and 11.

- 9A: next month is like this one. The text's errors are those of data divided by the mean of the training months; what
  it says (and its listing) is: by their standard deviation.
- 9C: twelve months through a layer of 256 ReLU neurons.
- 11D: predictions further ahead, in the three ways that the text describes: a network for each distance, one network
  with an output for each, and a network that is fed its own predictions.

The sales of US book stores (US Census Bureau, monthly retail trade, millions of dollars, January 1992 to March 2020)
are read from `book_store/book_store_sales.csv` in ``--data-dir`` or in the folder that ``AUTODIFF_DATA`` names: a line
of names, then month and sales. The bureau revises its figures, so the text's own file may differ a little. Without the
file a generated series stands in, of the same length and of a similar shape: a hump of 22 years, seasons, and noise.

Run::

    python -m examples run ekman/9A ekman/9C ekman/11D [--full]
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff.ops import relu
from examples.catalogue import program
from examples.report import Row, half_a_digit
from nn.data import Batches
from nn.losses import mse

if TYPE_CHECKING:
    from examples.run import Run

__all__ = ["dense_network", "further_ahead", "naive"]

FILE = Path("book_store", "book_store_sales.csv")
MONTHS, TRAINING, LOOK_BACK = 339, 271, 12


def sales(run: Run) -> tuple[Any, bool]:
    """Return 339 months of sales, and whether they are the real ones."""
    for folder in (run.data_dir, os.environ.get("AUTODIFF_DATA")):
        if folder and (path := Path(folder, FILE)).exists():
            with path.open(encoding="utf-8", newline="") as lines:
                values = [float(line[1]) for line in list(csv.reader(lines))[1:]]
            if len(values) < MONTHS:
                raise ValueError(
                    f"{path} has {len(values)} months; {MONTHS} are needed, from January 1992 to March 2020"
                )
            run.data = "book sales, a later revision than the text's"
            return np.array(values[:MONTHS]), True
    month, rng = np.arange(MONTHS), np.random.default_rng(1992)
    hump = 700 + 650 * np.sin(np.pi * np.minimum(month / 330, 1)) ** 1.2
    season = 1 + 0.12 * np.cos(2 * np.pi * (month - 11.5) / 12) + 0.45 * np.isin(month % 12, (0, 7, 11))
    run.data = "generated, a stand-in for book sales"
    run.lacks(
        f"{FILE.as_posix()}, monthly sales of US book stores since 1992 (US Census Bureau, monthly retail trade, "
        "https://www.census.gov/retail): a line of names, then month and sales; name the folder above it, --data-dir "
        "DIR or AUTODIFF_DATA=DIR"
    )
    return hump * season * (1 + 0.04 * rng.standard_normal(MONTHS)), False


def examples(values: Any, ahead: int = 1) -> tuple[Any, Any]:
    """Twelve months in a row, and those that follow: arrays (n, 12) and (n, ahead)."""
    windows = np.lib.stride_tricks.sliding_window_view(values.astype(np.float32), LOOK_BACK + ahead)
    return np.ascontiguousarray(windows[:, :LOOK_BACK]), np.ascontiguousarray(windows[:, LOOK_BACK:])


def errors(predicted: Any, true: Any) -> tuple[float, float]:
    """Mean squared and mean absolute error."""
    return float(np.mean((predicted - true) ** 2)), float(np.mean(np.abs(predicted - true)))


@program("ekman/9A")
def naive(run: Run) -> list[Row]:
    """Predict for each month the sales of the one before, with both ways to scale them."""
    values, real = sales(run)
    training = values[:TRAINING]
    rows = []
    divisors = {"divided by the mean (the text's figures)": training.mean(), "by the deviation": training.std()}
    for name, divisor in divisors.items():
        test = (values[TRAINING:] - training.mean()) / divisor
        squared, absolute = errors(test[LOOK_BACK - 1 : -1], test[LOOK_BACK:])
        said = ("0.0937", "0.215") if divisor == training.mean() else ("", "")
        note = "the bureau has revised its figures since" if said[0] else None
        note = note if real else "generated data"
        rows.append(Row(f"mean squared error, {name}", said[0], f"{squared:.4f}", note))
        rows.append(Row(f"mean absolute error, {name}", said[1], f"{absolute:.3f}", note))
    rows.append(
        Row("the divisor", "standard deviation", f"mean {training.mean():.1f}, deviation {training.std():.1f}",
            wrong="only division by the mean gives the printed errors, to the revision of the data; the author's first "
            "published code took np.mean for the deviation, too, and was corrected in 2022")
    )  # fmt: skip
    with run.picture(figsize=(8, 3.8)) as axes:
        months = np.arange(TRAINING + LOOK_BACK, MONTHS) / 12 + 1992
        axes.plot(months, values[TRAINING + LOOK_BACK :], label="sales")
        axes.plot(months, values[TRAINING + LOOK_BACK - 1 : -1], "--", label="those of the month before")
        axes.set(title="Book stores, the months of the test", xlabel="year", ylabel="million dollars")
        axes.legend()
    return rows


def learn(run: Run, x: Any, y: Any, epochs: int, seed: int = 0) -> Any:
    """Train 12-256-outputs with Adam and batches of 16."""
    rng = np.random.default_rng(run.seed + seed)
    model = nn.Sequential(
        nn.Dense(LOOK_BACK, 256, weight_init="glorot_uniform", rng=rng), relu,
        nn.Dense(256, y.shape[1], weight_init="glorot_uniform", rng=rng),
    )  # fmt: skip
    data = Batches(x, y, batch_size=16)
    return nn.fit(model, nn.Supervised(mse), nn.Adam(1e-3), data, epochs=epochs, rng=run.seed, progress=False).model


def scaled(values: Any, divisor: float) -> tuple[Any, Any]:
    """The months to learn from and those to test on."""
    both = (values - values[:TRAINING].mean()) / divisor
    return both[:TRAINING], both[TRAINING:]


@program("ekman/9C")
def dense_network(run: Run) -> list[Row]:
    """A network on twelve months, with both ways to scale them."""
    values, real = sales(run)
    training, rows = values[:TRAINING], []
    epochs = run.length(100)
    for name, divisor in (("the mean", training.mean()), ("the deviation", training.std())):
        train, test = scaled(values, divisor)
        model = learn(run, *examples(train), epochs)
        x, y = examples(test)
        squared, _ = errors(model(x), y)
        plain, _ = errors(x[:, -1:], y)
        by_mean = name == "the mean"
        goal = 0.0036 + half_a_digit("0.0036") if real and by_mean and not run.smoke else None
        note = "revised data" if real else "generated data"
        printed = "0.0036" if by_mean else ""
        rows.append(Row(f"test error, divided by {name}", printed, f"{squared:.4f}", note, value=squared, at_most=goal))
        rows.append(Row("  of the naive prediction", "0.0937" if by_mean else "", f"{plain:.4f}", note))
    rows.insert(0, Row("parameters", "", f"{nn.count_parameters(model):,}"))
    rows += [
        Row("months that it looks back", "7 days", f"{x.shape[1]}", wrong="so the listing's title; it keeps 12 months"),
        Row("error of the text's recurrent network below this one's", "39%", f"{1 - 0.0022 / 0.0036:.0%}",
            "by its own figures, 0.0022 and 0.0036; that network is not built here"),
    ]  # fmt: skip
    with run.picture(figsize=(8, 3.8)) as axes:
        months = np.arange(TRAINING + LOOK_BACK, MONTHS) / 12 + 1992
        for line, label, style in ((y, "sales", "-"), (model(x), "predicted from twelve months", "--")):
            axes.plot(months, line[:, 0] * training.std() + training.mean(), style, label=label)
        axes.set(title="Book stores, months that the network has not seen", xlabel="year", ylabel="million dollars")
        axes.legend()
    return rows


@program("ekman/11D")
def further_ahead(run: Run) -> list[Row]:
    """Errors one to six months ahead, of three ways to predict them."""
    values, _ = sales(run)
    train, test = scaled(values, float(values[:TRAINING].std()))
    ahead, epochs = 6, run.length(100)
    (x, y), (x_test, y_test) = examples(train, ahead), examples(test, ahead)
    one_for_each = [learn(run, x, y[:, i : i + 1], epochs, seed=i) for i in range(ahead)]
    together = learn(run, x, y, epochs)
    ways = {
        "a network for each month": np.concatenate([model(x_test) for model in one_for_each], axis=1),
        "one network, six outputs": together(x_test),
        "fed its own predictions": roll(one_for_each[0], x_test, ahead),
        "naive": np.repeat(x_test[:, -1:], ahead, axis=1),
    }
    with run.picture() as axes:
        for (name, predicted), marker in zip(ways.items(), "os^x", strict=True):
            axes.plot(range(1, ahead + 1), ((predicted - y_test) ** 2).mean(axis=0), marker=marker, label=name)
        axes.set(title="Predictions further ahead", xlabel="months ahead", ylabel="mean squared error, standardised")
        axes.set(yscale="log", ylim=(0.01, 6))
        axes.legend(loc="upper center", ncols=2)
    first = float(np.abs(ways["fed its own predictions"][:, :1] - one_for_each[0](x_test)).max())
    rows = [Row("one month ahead, the last way is the first", "", f"{first:.0e}", met=first < 1e-6)]
    for name, predicted in ways.items():
        by_month = ((predicted - y_test) ** 2).mean(axis=0)
        rows.append(Row(name, "", f"{by_month[0]:.3f} after one month, {by_month[-1]:.3f} after six"))
    return rows


def roll(model: Any, x: Any, ahead: int) -> Any:
    """Predict a month, take it for true, and go on."""
    predicted = []
    for _ in range(ahead):
        predicted.append(model(x))
        x = np.concatenate([x[:, 1:], predicted[-1]], axis=1)
    return np.concatenate(predicted, axis=1)
