"""Networks that learn noise by heart: Ketkar, "Deep Learning with Python", chapters 3, 4 and 7.

Inputs and targets are random and have nothing to do with one another, so every figure is of the data learned. The text
names no seed: its figures are those of one draw, ours of another. A loss counts as met if it is below the text's or at
most a twentieth above it (so does the accuracy of K4-10, which prints no loss); what accuracy goes with it is shown
beside it.

Run::

    python -m examples run random-label-nets [--seed 0 1 2]
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import nn
from autodiff import grad
from examples.catalogue import program
from examples.report import Row
from examples.run import PALETTE, Run
from nn.data import Batches
from nn.losses import binary_cross_entropy_with_logits, cross_entropy, mse

MARGIN = 1.05
ROOT = "the listing prints the mean squared error and calls it RMSE; this is its root"


def loss_row(name: str, reported: str, measured: float, note: str | None = None) -> Row:
    """A loss beside the text's."""
    digits = len(reported.split(".")[1])
    shown = f"{measured:.{min(digits, 6)}f}".removeprefix("0" if reported.startswith(".") else "")
    return Row(name, reported, shown, note, value=measured, at_most=MARGIN * float(reported))


def accuracy_row(name: str, reported: str, measured: float) -> Row:
    """An accuracy beside the text's; whether the labels can be learned is luck."""
    return Row(
        name, reported, f"{measured:.3f}".removeprefix("0" if reported.startswith(".") else ""), "of another draw"
    )


# -- chapter 3 -----------------------------------------------------------------------------------------------


def tanh_network(theta: Any, x: Any) -> Any:
    """A hundred inputs, ten tanh, one tanh."""
    w1, b1, w2, b2 = theta
    return np.tanh(np.tanh(x @ w1 + b1) @ w2 + b2)[..., 0]


@program("ketkar/K3-1")
def one_by_one(run: Run) -> list[Row]:
    """Ten thousand steps of descent, an example to each, on a tuple of weights."""
    rng = run.rng
    x, y = rng.normal(size=(1000, 100)), rng.normal(size=1000)
    theta: Any = (rng.random((100, 10)), rng.random(10), rng.random((10, 1)), 0.0)
    step = grad(lambda theta, x, y: (y - tanh_network(theta, x)) ** 2)
    before = float(np.mean((y - tanh_network(theta, x)) ** 2))
    errors = [before]
    for _ in range(1 if run.smoke else 10):
        for i in range(1000):
            theta = tuple(p - 0.01 * g for p, g in zip(theta, step(theta, x[i], float(y[i])), strict=True))
        errors.append(float(np.mean((y - tanh_network(theta, x)) ** 2)))
    with run.picture() as axes:
        axes.plot(errors, "o-")
        axes.set(title="A thousand random numbers, learned", xlabel="epoch", ylabel="mean squared error")
    note = "the targets' variance is 1; some lie beyond -1 and 1, where the tanh at the end cannot reach"
    return [
        Row("before training", "1.88214665439", f"{before:.4f}", "chance of the start"),
        loss_row("after 10 epochs", "0.739508975012", errors[-1], note),
        Row("... as an RMSE", "0.739508975012", f"{errors[-1] ** 0.5:.4f}", wrong=ROOT),
        Row("points of the curve", "", str(len(errors)), "the listing appends after its loop: one point"),
    ]


# -- chapter 4 -----------------------------------------------------------------------------------------------


def descend(loss: Any, weights: Any, steps: int) -> Any:
    """Gradient descent on all examples at once, with rate 0.1."""
    slope = grad(loss)
    for _ in range(steps):
        change = slope(weights)
        weights = {name: w - 0.1 * change[name] for name, w in weights.items()}
    return weights


def right(p: Any, y: Any) -> float:
    """Share of examples on whose side of 1/2 the output is."""
    return float(np.mean((p > 0.5) == y))


@program("ketkar/K4-10")
def logistic(run: Run) -> list[Row]:
    """Logistic regression on random labels."""
    rng = run.rng
    x, y = rng.normal(size=(1000, 100)), rng.integers(2, size=1000)
    start: Any = {"w": rng.normal(size=100), "b": 0.0}

    def loss(m: Any) -> Any:
        return binary_cross_entropy_with_logits(x @ m["w"] + m["b"], y) + 0.01 * np.sum(m["w"] ** 2)

    after = descend(loss, start, run.length(1000))
    before, found = (right(1 / (1 + np.exp(-(x @ m["w"] + m["b"]))), y) for m in (start, after))
    return [
        accuracy_row("accuracy before", "0.481", before),
        Row(
            "accuracy after",
            "0.629",
            f"{found:.3f}",
            "both lines are labelled before in the text",
            value=found,
            at_least=0.629 / MARGIN,
        ),
        Row("loss before, after", "", f"{loss(start):.3f}, {loss(after):.3f}"),
    ]


@program("ketkar/K4-11")
def linear(run: Run) -> list[Row]:
    """Linear regression on random targets; and where the normal equations would end."""
    rng = run.rng
    x, y = rng.normal(size=(1000, 100)), rng.normal(size=1000)
    start: Any = {"w": rng.normal(size=100), "b": 0.0}

    def loss(m: Any) -> Any:
        return mse(x @ m["w"] + m["b"], y) + 0.01 * np.sum(m["w"] ** 2)

    after = descend(loss, start, run.length(1000))
    before, found = (float(np.mean((x @ m["w"] + m["b"] - y) ** 2)) for m in (start, after))
    full = np.c_[x, np.ones(1000)]
    exact = np.linalg.solve(full.T @ full / 1000 + np.diag([0.01] * 100 + [0.0]), full.T @ y / 1000)
    best = float(np.mean((full @ exact - y) ** 2))
    return [
        Row("before training", "90.4707491496", f"{before:.4f}", "chance of the start; expected 101"),
        loss_row("after 1,000 steps", "0.915701676631", found, "normal targets; the words have them between 0 and 1"),
        Row("... as an RMSE", "0.915701676631", f"{found**0.5:.6f}", wrong=ROOT),
        Row("... by the normal equations", "", f"{best:.6f}", "with the same penalty"),
    ]


@program("ketkar/K4-12")
def two_layers(run: Run) -> list[Row]:
    """Cross-entropy of a tanh, as printed, is not a number from the start; its derivative is one all the same."""
    rng = run.rng
    x, y = rng.normal(size=(1000, 100)), rng.integers(2, size=1000)
    start = {"w1": rng.normal(size=(100, 10)), "b1": np.zeros(10), "w2": rng.normal(size=10), "b2": 0.0}

    def score(m: Any) -> Any:
        return np.tanh(x @ m["w1"] + m["b1"]) @ m["w2"] + m["b2"]

    def penalty(m: Any) -> Any:
        return 0.01 * (np.sum(m["w1"] ** 2) + np.sum(m["w2"] ** 2))

    def printed(m: Any) -> Any:
        p = np.tanh(score(m))
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)) + penalty(m)

    def sane(m: Any) -> Any:
        return binary_cross_entropy_with_logits(score(m), y) + penalty(m)

    with np.errstate(all="ignore"):
        value = float(printed(start))
        literal = descend(printed, start, run.length(1000))
        found = right(np.tanh(score(literal)), y)
        whole = bool(np.all(np.isfinite(score(literal))))
    after = descend(sane, start, run.length(1000))
    sensible = right(1 / (1 + np.exp(-score(after))), y)
    return [
        accuracy_row("accuracy before", "0.51", right(np.tanh(score(start)), y)),
        Row(
            "the printed loss at the start",
            "not shown",
            f"{value}",
            wrong="a tanh is negative for half of the examples, and log of it is no number",
        ),
        Row(
            "accuracy after, literally",
            "0.716",
            f"{found:.3f}",
            "descent with the finite derivative -t/o + (1-t)/(1-o)" + ("" if whole else "; weights became infinite"),
        ),
        Row(
            "accuracy after, with a sigmoid at the end",
            "0.716",
            f"{sensible:.3f}",
            "perhaps what was meant; another network than the text's",
        ),
    ]


# -- chapter 7 -----------------------------------------------------------------------------------------------


def noise(rng: np.random.Generator, classes: int = 2) -> tuple[Any, Any]:
    """A thousand rows of 500 numbers between 0 and 1, and labels out of the air."""
    return rng.random((1000, 500)).astype(np.float32), rng.integers(classes, size=1000)


def train(run: Run, model: Any, data: Any, criterion: Any, optimiser: Any) -> Any:
    """Ten epochs in batches of 32."""
    return nn.fit(
        model, nn.Supervised(criterion), optimiser, Batches(*data, batch_size=32), epochs=1 if run.smoke else 10,
        rng=run.seed, progress=False, check_finite=False,
    ).model  # fmt: skip


def bce(z: Any, y: Any) -> Any:
    """Binary cross-entropy of scores (n, 1)."""
    return binary_cross_entropy_with_logits(z[:, 0], y)


def squares(z: Any, y: Any) -> Any:
    """Mean squared error of the sigmoid of scores (n, 1)."""
    return mse(nn.sigmoid(z[:, 0]), y)


def dense(rng: np.random.Generator, *sizes: int, hidden: str = "sigmoid") -> nn.Sequential:
    """Dense layers, the last one linear: losses take scores."""
    last = len(sizes) - 2
    return nn.Sequential(
        [
            nn.Dense(a, b, activation=None if i == last else hidden, rng=rng)
            for i, (a, b) in enumerate(itertools.pairwise(sizes))
        ]
    )


RMSPROP = nn.RMSProp(0.001, rho=0.9, eps=1e-8)
CASES: dict[str, tuple[tuple[int, ...], str, int, Any, tuple[str, str], tuple[str, str] | None, str]] = {
    "ketkar/K7-1": ((500, 1), "", 2, bce, (".76832762", ".67270196"), (".507", ".563"), ""),
    "ketkar/K7-2": ((500, 32, 1), "sigmoid", 2, bce, (".73012506", ".65884785"), (".512", ".527"), ""),
    "ketkar/K7-3": ((500, 32, 10), "relu", 10, cross_entropy, ("2.46972120", "2.18918497"), (".093", ".194"),
                    "relu as in the listing, where the words say sigmoid"),
    "ketkar/K7-4": ((500, 32, 1), "sigmoid", 2, squares, (".26870123", ".22180086"), None, "targets are 0 and 1"),
}  # fmt: skip


@program(*CASES)
def classifiers(run: Run) -> list[Row]:
    """One of four networks, RMSProp with the defaults of Keras then."""
    sizes, hidden, classes, criterion, losses, accuracies, note = CASES[run.id]
    rng = run.rng
    x, y = noise(rng, classes)
    start = dense(rng, *sizes, hidden=hidden)
    end = train(run, start, (x, y), criterion, RMSPROP)
    rows = [
        Row("loss before", losses[0], f"{criterion(start(x), y):.6f}".removeprefix("0"), "chance of the start"),
        loss_row("loss after 10 epochs", losses[1], float(criterion(end(x), y)), note or None),
    ]
    if accuracies is not None:
        score = nn.metrics.accuracy if classes > 2 else lambda z, y: right(1 / (1 + np.exp(-z[:, 0])), y)
        rows += [
            accuracy_row(f"accuracy {when}", text, float(score(m(x), y)))
            for when, text, m in zip(("before", "after"), accuracies, (start, end), strict=True)
        ]
    return [*rows, Row("parameters", "", f"{nn.count_parameters(start):,}")]


KERAS: dict[str, tuple[Any, tuple[str, str], tuple[str, str], str | None]] = {
    "sgd": (nn.SGD(0.01), (".76416229", ".67592313"), (".518", ".569"), None),
    "rmsprop": (RMSPROP, (".77773558", ".72715084"), (".526", ".535"), None),
    "adagrad": (nn.AdaGrad(0.01, eps=1e-8), (".92750674", ".66770141"), (".491", ".576"), None),
    "adadelta": (nn.AdaDelta(1.0, rho=0.95, eps=1e-8), (".76523585", ".70753742"), (".488", ".517"),
                 "spelt adadelat in the listing, which Keras refuses"),
    "adam": (nn.Adam(0.001), (".76974405", ".66079518"), (".511", ".594"), None),
    "adamax": (nn.AdaMax(0.002), (".76244759", ".67273846"), (".494", ".585"), None),
    "nadam": (nn.Nadam(0.002), (".71690645", ".62006913"), (".506", ".688"), None),
}  # fmt: skip


@program("ketkar/K7-5")
def optimisers(run: Run) -> list[Row]:
    """Seven optimisers, each with data and weights of its own, as in the listing."""
    rng, rows, found = run.rng, [], {}
    for name, (optimiser, losses, accuracies, note) in KERAS.items():
        x, y = noise(rng)
        start = dense(rng, 500, 1)
        end = train(run, start, (x, y), bce, optimiser)
        found[name] = float(bce(end(x), y))
        rows.append(
            Row(f"{name}: loss before", losses[0], f"{bce(start(x), y):.6f}".removeprefix("0"), "chance of the start")
        )
        rows.append(loss_row(f"{name}: loss after", losses[1], found[name], note))
        for when, text, model in zip(("before", "after"), accuracies, (start, end), strict=True):
            rows.append(accuracy_row(f"... accuracy {when}", text, right(1 / (1 + np.exp(-model(x)[:, 0])), y)))
    best = min(found, key=lambda name: found[name])
    with run.picture() as axes:
        at = np.arange(len(KERAS))
        texts = [float(losses[1]) for _, losses, *_ in KERAS.values()]
        axes.plot(at, texts, "s", color=PALETTE[1], label="text, one run")
        axes.plot(at, list(found.values()), "o", color=PALETTE[0], label="here, one run")
        axes.set(title="Seven optimisers on noise", ylabel="loss after 10 epochs", xticks=at, xticklabels=list(KERAS))
        axes.legend()
    return [*rows, Row("the best", "nadam", best)]


def hard_sigmoid(z: Any) -> Any:
    """The straight line that Keras had then, of slope 0.2; that of `nn` has 1/6, as it is usual now."""
    return np.clip(0.2 * z + 0.5, 0, 1)


EPS = np.float32(1e-7)
ACTIVATIONS = {
    "relu": ("2.69738854", "7.73730547", ".489", ".505"),
    "tanh": ("5.06406981", "7.65234467", ".417", ".520"),
    "sigmoid": (".70816112", ".67464309", ".525", ".582"),
    "hard_sigmoid": (".70220352", ".67294597", ".521", ".581"),
    "linear": ("3.54392995", "8.25815526", ".478", ".0"),
}


def clipped_bce(p: Any, y: Any) -> Any:
    """Cross-entropy of numbers that need not be probabilities, cut off as Keras does: no gradient outside."""
    p = np.clip(p[:, 0], EPS, 1 - EPS)
    return -np.mean(np.where(y == 1, np.log(p), np.log(1 - p)))


@program("ketkar/K7-6")
def activations(run: Run) -> list[Row]:
    """Five activations at the end; three are no probabilities, and where they are cut off nothing is learned."""
    rng, rows = run.rng, []
    for name, (before, after, *accuracies) in ACTIVATIONS.items():
        x, y = noise(rng)
        start = nn.Sequential(nn.Dense(500, 1, activation=hard_sigmoid if name == "hard_sigmoid" else name, rng=rng))
        end = train(run, start, (x, y), clipped_bce, nn.SGD(0.01))
        first, p, loss = start(x)[:, 0], end(x)[:, 0], float(clipped_bce(end(x), y))
        stuck = f"{100 * np.mean((p <= EPS) | (p >= 1 - EPS)):.0f} % of outputs are cut off"
        row = (
            loss_row(
                f"{name}: loss after", after, loss, f"from {clipped_bce(start(x), y):.3f}; the text's from {before}"
            )
            if "sigmoid" in name
            else Row(f"{name}: loss after", after, f"{loss:.4f}", stuck)
        )
        rows += [Row(f"{name}: loss before", before, f"{clipped_bce(start(x), y):.4f}", "chance of the start"), row]
        for when, text, output in zip(("before", "after"), accuracies, (first, p), strict=True):
            rows.append(accuracy_row(f"... accuracy {when}", text, float(np.mean(np.round(output) == y))))
    cut = -np.log(np.float32(1) - (np.float32(1) - EPS))
    stuck = f"accuracy .520: the other .480 have label 0 and cost {cut:.4f} each, -log of float32's 1 - (1 - 1e-7)"
    return [*rows, Row("tanh: loss, if all outputs were stuck at 1", "7.65234", f"{0.48 * cut:.5f}", stuck)]
