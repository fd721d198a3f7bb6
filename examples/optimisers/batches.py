"""How many examples to a step, and how many hands at the same weights.

- The lecture slides "PART II: DEEP LEARNING" (L8): stochastic against full gradient descent, by time.
- Ekman, "Learning Deep Learning", chapter 4 (M3): mini-batches, one matrix product for a layer.
- Ketkar, "Deep Learning with Python", chapter 8 (K8-4): Hogwild and Downpour, steps by several workers at once.

No text gives data or numbers; the sets are generated and named in the rows.

Run::

    python -m examples run lecture/L8 ekman/M3 ketkar/K8-4
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import grad, trace
from examples.catalogue import program
from examples.report import Row
from nn.losses import binary_cross_entropy_with_logits as logistic_loss
from nn.schedules import inverse_time

if TYPE_CHECKING:
    from examples.run import Run

# -- by time -------------------------------------------------------------------------------------------------


def labelled(count: int, size: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Points and labels that a logistic model gives with some chance."""
    x = rng.normal(size=(count, size))
    score = x @ rng.normal(size=size)
    return x, (rng.random(count) < 1 / (1 + np.exp(-score))).astype(float)


def loss(w: Any, x: Any, y: Any) -> Any:
    """Logistic regression's."""
    return logistic_loss(x @ w, y)


def descent_by_examples(x: Any, y: Any, size: int, rate: Any, budget: int, rng: np.random.Generator) -> Any:
    """Return rows (passes over the data, loss of all, seconds) along a descent with batches of so many examples."""
    w, found, seconds = np.zeros(x.shape[1]), [], 0.0
    steps = budget // size
    every = max(1, steps // 40)
    for k in range(steps + 1):
        if k % every == 0:
            found.append((k * size / len(x), float(loss(w, x, y)), seconds))
        start = time.perf_counter()
        rows = slice(None) if size == len(x) else rng.integers(len(x), size=size)
        w = w - rate(k) * grad(loss)(w, x[rows], y[rows])
        seconds += time.perf_counter() - start
    return np.array(found)


@program("lecture/L8")
def by_time(run: Run) -> list[Row]:
    """Logistic regression with 65,536 examples of 50 features: what a loss costs in examples, and in seconds."""
    x, y = labelled(65_536, 50, run.rng)
    best = nn.minimise(lambda w: loss(w, x, y), np.zeros(50)).value
    plans = {  # size of a batch, rate, examples
        "all": (len(x), nn.schedules.constant(2.0), 60 * len(x)),
        "32": (32, inverse_time(1.0, 40), 24_576),
        "1": (1, inverse_time(0.3, 200), 8192),
    }
    notes = {"all": "rate 2", "32": "rate 1 / (1 + k / 40)", "1": "rate 0.3 / (1 + k / 200)"}
    curves = {name: descent_by_examples(x, y, *plan, run.rng) for name, plan in plans.items()}
    rows, passes, seconds = [Row("the least loss", "", f"{best:.4f}", "found by L-BFGS")], {}, {}
    for name, curve in curves.items():
        reached = curve[curve[:, 1] < best + 0.02]
        passes[name], _, seconds[name] = reached[0] if len(reached) else (np.inf, 0, np.inf)
        shown = f"{passes[name]:.2g} passes, {seconds[name]:.2g} s"
        rows.append(Row(f"batches of {name}: to within 0.02 of it", "", shown, f"chosen: {notes[name]}"))
    ahead, faster = (needed["all"] / needed["32"] for needed in (passes, seconds))
    rows += [
        Row("mini-batches are ahead by, in examples", "major gains", f"{ahead:.0f} times", "no number in the text",
            met=ahead > 2),
        Row("... by the clock of this machine", "major gains", f"{faster:.1f} times",
            "a small step has its fixed price: of 4,096 examples with 10 features all at once are faster"),
    ]  # fmt: skip
    with run.picture(ncols=2, figsize=(10, 4), sharey=True) as axes:
        for ax, column, label in zip(axes, (0, 2), ("passes over the data", "seconds of the steps"), strict=True):
            for name, curve in curves.items():
                ax.loglog(curve[1:, column], np.maximum(curve[1:, 1] - best, 1e-5), label=f"batches of {name}")
            ax.axhline(0.02, color="0.5", ls=":")
            ax.set(xlabel=label)
        axes[0].set(title="Stochastic and full descent", ylabel="loss above the least")
        axes[0].legend()
    return rows


@program("ekman/M3")
def mini_batches(run: Run) -> list[Row]:
    """A batch is a matrix: its gradient is the mean of the examples', for the price of one product to a layer."""
    rng = run.rng
    model = nn.Sequential(
        nn.Dense(20, 25, activation="tanh", dtype=np.float64, rng=rng), nn.Dense(25, 10, dtype=np.float64, rng=rng)
    )
    x, y = rng.normal(size=(32, 20)), rng.integers(10, size=32)

    def cost(model: Any, x: Any, y: Any) -> Any:
        return nn.losses.cross_entropy(model(x), y)

    whole = nn.parameters(grad(cost)(model, x, y))
    single = [nn.parameters(grad(cost)(model, x[i : i + 1], y[i : i + 1])) for i in range(32)]
    gap = max(float(np.max(np.abs(whole[k] - np.mean([g[k] for g in single], axis=0)))) for k in whole)
    counts = {n: len(trace(lambda m, n=n: cost(m, x[:n], y[:n]))(model).steps) for n in (1, 32)}
    rows = [
        Row("gradient of 32 is the mean of 32 gradients", "", f"{gap:.0e}", met=gap < 1e-12),
        Row(
            "operations for 1 example and for 32",
            "",
            f"{counts[1]}, {counts[32]}",
            "one product to a layer in both",
            met=counts[1] == counts[32],
        ),
    ]
    for size in (1, 32, 256):
        xs, ys = rng.normal(size=(size, 20)), rng.integers(10, size=size)
        grad(cost)(model, xs, ys)  # what is compiled on first use is compiled now
        start, count = time.perf_counter(), 20
        for _ in range(count):
            grad(cost)(model, xs, ys)
        seconds = (time.perf_counter() - start) / count
        rows.append(Row(f"batches of {size}: examples a second", "", f"{size / seconds:,.0f}", "on this machine"))
    return rows


# -- several hands -------------------------------------------------------------------------------------------


def sparse_examples(count: int, size: int, each: int, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Examples of a few features each: their places, their values, the targets of a linear model."""
    places = np.array([rng.choice(size, each, replace=False) for _ in range(count)])
    values = rng.normal(size=(count, each))
    return places, values, np.sum(values * rng.normal(size=size)[places], axis=1)


def square(w: Any, x: Any, y: Any) -> Any:
    """Half of the squared error of a linear model on one example."""
    return (x @ w - y) ** 2 / 2


def work(shared: Any, rows: Any, examples: Any, rate: float) -> None:
    """Go through examples and change, without a lock, those of the shared weights that they touch."""
    places, values, targets = examples
    for i in rows:
        at = places[i]
        np.subtract.at(shared, at, rate * grad(square)(shared[at], values[i], targets[i]))


def hogwild(examples: Any, size: int, workers: int, passes: int, rate: float, rng: np.random.Generator) -> Any:
    """Return the weights after several threads have written into them as they pleased."""
    shared = np.zeros(size)
    order = np.concatenate([rng.permutation(len(examples[2])) for _ in range(passes)])
    threads = [
        threading.Thread(target=work, args=(shared, part, examples, rate)) for part in np.array_split(order, workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return shared


def downpour(
    examples: Any, size: int, replicas: int, passes: int, rate: float, every: int, rng: np.random.Generator
) -> Any:
    """Return a server's weights; replicas, each with its part of the data, push and fetch every so many examples."""
    places, values, targets = examples
    server = np.zeros(size)
    local = [server.copy() for _ in range(replicas)]
    pushed = [np.zeros(size) for _ in range(replicas)]
    parts = [np.tile(part, passes) for part in np.array_split(rng.permutation(len(targets)), replicas)]
    for k in range(min(len(part) for part in parts)):
        for r in rng.permutation(replicas):  # whoever comes first
            i = parts[r][k]
            change = -rate * grad(square)(local[r][places[i]], values[i], targets[i])
            local[r][places[i]] += change
            pushed[r][places[i]] += change
            if k % every == every - 1:
                server += pushed[r]
                pushed[r][:] = 0
                local[r] = server.copy()
    return server


@program("ketkar/K8-4")
def many_hands(run: Run) -> list[Row]:
    """Least squares with 400 examples of 5 among 100 features: one worker, four without locks, four with a server."""
    size, passes, rate = 100, 6, 0.1
    examples = sparse_examples(400, size, 5, run.rng)
    places, values, targets = examples

    def error(w: Any) -> float:
        return float(np.mean((np.sum(values * w[places], axis=1) - targets) ** 2))

    results = {"no step": np.zeros(size), "one worker": hogwild(examples, size, 1, passes, rate, run.rng)}
    results["Hogwild, 4 threads"] = hogwild(examples, size, 4, passes, rate, run.rng)
    for every in (1, 10):
        name = f"Downpour, 4 replicas, push and fetch every {every}"
        results[name] = downpour(examples, size, 4, passes, rate, every, run.rng)
    limit = 0.02 * error(results["no step"])
    return [
        Row(name, "", f"{error(w):.1e}", "mean squared error", met=None if name == "no step" else error(w) < limit)
        for name, w in results.items()
    ]
