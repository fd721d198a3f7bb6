"""Initial weights and batch normalisation: what they do to the spread of activations, by hand and by the engine.

Hui, "deep learning, part 2" (B9, B12); Buduma, "Fundamentals of Deep Learning", chapter 5 (B40); Ekman, "Learning Deep
Learning", chapter 5 (K3). Run::

    python -m examples run normalisation-init
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import grad, jvp, ops, value_and_grad, vjp
from examples.catalogue import program
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run

FLOAT = np.float64


# -- initial weights -----------------------------------------------------------------------------------------


@program("hui/B9")
def weight_variance(run: Run) -> list[Row]:
    """A sum of 500 weights has 500 times their variance; dividing by the root of their number takes that back."""
    rng, samples, n = run.rng, 20_000, 1000
    weights = rng.normal(size=samples)
    x = np.repeat([1.0, 0.0], n // 2)
    sums = np.concatenate([rng.normal(size=(2000, n)) @ x for _ in range(samples // 2000)])
    biased = sums + rng.normal(size=samples)

    def chance(variance: float) -> float:
        """Standard deviation of the variance of so many normal numbers."""
        return variance * math.sqrt(2 / samples)

    def spreads(scale: float) -> list[float]:
        """Root mean square of the activations of each of 20 ReLU layers of 200 units."""
        h, found = rng.normal(size=(200, 200)), []
        for _ in range(20):
            h = ops.relu(h @ (scale * rng.normal(size=(200, 200)) / np.sqrt(200)))
            found.append(float(np.sqrt(np.mean(h**2))))
        return found

    depth = {"N(0, 1)": spreads(np.sqrt(200)), "1/sqrt(n)": spreads(1.0), "sqrt(2/n)": spreads(np.sqrt(2))}
    with run.picture("sums", ncols=2, figsize=(8, 3.2)) as (left, right):
        left.hist(sums, bins=60)
        left.set(title="sums of 500 weights", xlabel="y", ylabel="count of 20,000")
        for (name, values), marker in zip(depth.items(), "osd", strict=True):
            right.semilogy(range(1, 21), values, marker + "-", ms=3, label=name)
        right.set(title="20 layers with ReLU", xlabel="layer", ylabel="size of the activations")
        right.legend()
    return [
        Row("variance of a weight", "0.998", f"{weights.var():.3f}", f"1 and chance, +-{chance(1):.3f}",
            met=abs(weights.var() - 1) < 4 * chance(1)),
        Row("variance of a sum of 500 of 1000", "497.6", f"{sums.var():.1f}", f"500 and chance, +-{chance(500):.1f}",
            met=abs(sums.var() - 500) < 4 * chance(500)),
        Row("with a bias of variance 1", "", f"{biased.var():.1f}", met=abs(biased.var() - 501) < 4 * chance(501)),
        Row("n Var(w) Var(x), as the derivation has it", "500", f"{n * x.var():.0f}",
            wrong="it takes E[x] for 0; with x of 0 and 1 the sum has n Var(w) E[x^2] = 500"),
        Row("factor in the last line of the derivation", "Var(w / sqrt(n))", "Var(sqrt(n) w)",
            wrong=f"n Var(w) = Var(sqrt(n) w): {(np.sqrt(n) * weights).var():.0f}, not "
            f"{(weights / np.sqrt(n)).var():.4f}"),
        Row("size after 20 ReLU layers, N(0, 1)", "", f"{depth['N(0, 1)'][-1]:.1e}"),
        Row("  with 1/sqrt(n)", "", f"{depth['1/sqrt(n)'][-1]:.1e}", "2^-10 is expected"),
        Row("  with sqrt(2/n)", "", f"{depth['sqrt(2/n)'][-1]:.2f}", "1 is expected",
            met=0.4 < depth["sqrt(2/n)"][-1] < 2.5),
    ]  # fmt: skip


# -- batch normalisation by hand -----------------------------------------------------------------------------


def normalised(x: Any, gamma: Any, beta: Any, axes: tuple[int, ...], eps: float) -> Any:
    """Batch normalisation as the texts write it."""
    mean, var = np.mean(x, axis=axes, keepdims=True), np.var(x, axis=axes, keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def by_hand(x: Any, gamma: Any, adjoint: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """Its gradient by hand: mean and variance depend on every example of the batch."""
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    hat, inner = (x - mean) / np.sqrt(var + eps), gamma * adjoint
    by_x = inner - inner.mean(axes, keepdims=True) - hat * (inner * hat).mean(axes, keepdims=True)
    return by_x / np.sqrt(var + eps), (adjoint * hat).sum(axes), adjoint.sum(axes)


def in_training(layer: nn.BatchNorm, x: Any) -> Any:
    """Normalise by the batch."""
    return nn.apply(layer, x, train=True)[0]


def compare(name: str, layer: nn.BatchNorm, x: Any, axes: tuple[int, ...], rng: np.random.Generator) -> list[Row]:
    """Value and gradient of the layer beside those by hand, and forward against reverse mode."""
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    layer = nn.replace(layer, gamma=rng.normal(size=layer.gamma.shape), beta=rng.normal(size=layer.beta.shape))
    gamma, beta = layer.gamma.reshape(shape), layer.beta.reshape(shape)
    adjoint, direction = rng.normal(size=x.shape), rng.normal(size=x.shape)
    y, pull = vjp(lambda x, g, b: in_training(nn.replace(layer, gamma=g, beta=b), x), x, layer.gamma, layer.beta)
    found = pull(adjoint)
    expected = by_hand(x, gamma, adjoint, axes, layer.eps)
    tangent = jvp(lambda x: in_training(layer, x), (x,), (direction,))[1]
    return [
        agreement(f"{name}: the layer against the formula", y, normalised(x, gamma, beta, axes, layer.eps)),
        agreement(f"{name}: gradient by the input, by hand", found[0], expected[0]),
        agreement(f"{name}: gradient by gamma and beta, by hand", np.stack(found[1:]), np.stack(expected[1:])),
        agreement(
            f"{name}: forward mode against reverse mode", np.sum(adjoint * tangent), np.sum(found[0] * direction)
        ),
    ]


@program("buduma/B40")
def two_kinds(run: Run) -> list[Row]:
    """Statistics over images and pixels, or over examples; running ones with decay 0.9 for use, epsilon 0.001."""
    rng = run.rng
    options: dict[str, Any] = {"momentum": 0.9, "eps": 1e-3, "dtype": FLOAT}
    maps, rows = rng.normal(2, 3, size=(8, 4, 5, 5)), rng.normal(-1, 2, size=(16, 6))
    conv, full = nn.BatchNorm(4, **options), nn.BatchNorm(6, **options)
    trained, moving, spread = full, np.zeros(6), np.ones(6)
    for _ in range(50):
        batch = rng.normal(-1, 2, size=(16, 6))
        trained = nn.apply(trained, batch, train=True)[1]
        moving, spread = 0.9 * moving + 0.1 * batch.mean(0), 0.9 * spread + 0.1 * batch.var(0, ddof=1)
    used = (rows - trained.mean) / np.sqrt(trained.var + 1e-3)

    def with_bias(bias: Any) -> Any:
        return np.sum(np.sin(in_training(full, rows + bias)))

    return [
        *compare("convolution", conv, maps, (0, 2, 3), rng),
        *compare("fully connected", full, rows, (0,), rng),
        agreement("running mean after 50 batches", trained.mean, moving),
        agreement("in use: the running statistics", trained(rows), used),
        agreement("a bias in front is idle: its gradient is zero", grad(with_bias)(rng.normal(size=6)), [0] * 6),
        Row("statistics, convolution and fully connected", "", f"{conv.mean.size} and {full.mean.size}", "one per map",
            met=(conv.mean.size, full.mean.size) == (4, 6)),
        agreement("running variance, from 1 on", trained.var, spread,
                  note="with n / (n - 1), as usual now; the text's moments divide by n"),
    ]  # fmt: skip


@program("hui/B12")
def affine_norm_relu(run: Run) -> list[Row]:
    """Affine, normalise, ReLU for a batch of 16 and 100 features; gamma and beta can undo the normalisation."""
    rng = run.rng
    x, layer = rng.normal(1, 2, size=(16, 100)), nn.BatchNorm(100, eps=1e-3, dtype=FLOAT)
    dense = nn.Dense(100, 100, dtype=FLOAT, rng=rng)
    undone = nn.replace(layer, gamma=np.sqrt(x.var(0) + 1e-3), beta=x.mean(0))
    model = nn.Sequential(dense, layer, nn.relu)
    z = dense(x)
    expected = np.maximum((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-3), 0)
    y, trained = nn.apply(model, x, train=True)
    kept, factor = trained.layers[1], 16 / 15
    count, in_use = kept.mean.size, np.maximum((z - kept.mean) / np.sqrt(kept.var + 1e-3), 0)
    return [
        agreement("affine, batch normalisation, ReLU", y, expected),
        *compare("the layer", layer, x, (0,), rng),
        agreement("gamma = sigma, beta = mu give the input back", in_training(undone, x), x),
        agreement("running mean: momentum * old + (1 - momentum) * batch", kept.mean, 0.1 * z.mean(0),
                  note="momentum 0.9, our choice; epsilon 0.001 as in the text's TensorFlow form"),
        agreement("running variance, the batch's times 16/15", kept.var, 0.9 + 0.1 * factor * z.var(0),
                  note="nn counts n / (n - 1), the text's np.var divides by n"),
        agreement("in use: the running statistics", trained(x), in_use),
        Row("means for 100 features", "100", str(count)),
        Row("variances for 100 features", "100", str(kept.var.size)),
        Row("pairs of gamma and beta", "1 for each layer", f"{layer.gamma.size} in this layer",
            wrong="one for each feature, as the text's own code has it"),
    ]  # fmt: skip


# -- before or after the activation --------------------------------------------------------------------------


def spirals(rng: np.random.Generator, count: int) -> tuple[Any, Any]:
    """Two spirals that wind around each other."""
    label = rng.integers(0, 2, count)
    angle = 3 * np.pi * np.sqrt(rng.uniform(size=count))
    turn = angle + np.pi * label
    points = angle[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1) / 3
    return points + 0.1 * rng.normal(size=(count, 2)), label


def three_layers(where: str, rng: np.random.Generator) -> nn.Sequential:
    """Dense layers of 64 units with tanh, normalised before it, after it or not at all."""
    layers: list[Any] = []
    for inputs in (2, 64, 64):
        dense, norm = nn.Dense(inputs, 64, rng=rng, dtype=FLOAT), nn.BatchNorm(64, dtype=FLOAT)
        layers += {"before": [dense, norm, np.tanh], "after": [dense, np.tanh, norm], "none": [dense, np.tanh]}[where]
    return nn.Sequential(*layers, nn.Dense(64, 2, rng=rng, dtype=FLOAT))


@program("ekman/K3")
def before_or_after(run: Run) -> list[Row]:
    """Three networks learn two spirals: normalised before tanh, after it, and not."""
    steps = run.length(quick=300)
    curves: dict[str, list[float]] = {}
    spread: dict[str, tuple[float, float]] = {}
    loss, adam = nn.Supervised(nn.losses.cross_entropy), nn.Adam(0.01)
    for where in ("none", "before", "after"):
        rng = run.rng
        points = spirals(rng, 512)
        model = three_layers(where, rng)
        state, curves[where] = adam.init(model), []
        for _ in range(steps):
            (value, model), gradients = value_and_grad(loss, has_aux=True)(model, points, train=True, rng=rng)
            model, state = adam.update(gradients, state, model)
            curves[where].append(float(value))
        third = {"none": 2, "before": 2, "after": 3}[where]  # what the second dense layer reads
        h = nn.apply(model[:third], points[0], train=True)[0]
        spread[where] = float(np.abs(h.mean(0)).max()), float(h.std())
    with run.picture() as ax:
        for (name, curve), style in zip(curves.items(), ("-", "--", ":"), strict=True):
            label = "not normalised" if name == "none" else f"normalised {name} tanh"
            ax.semilogy(curve, style, label=label)
        ax.set(xlabel="step", ylabel="loss on two spirals (generated)")
        ax.legend()
    run.data = "two spirals, generated"
    mean, deviation = spread["after"]
    fast = {name: next((i for i, v in enumerate(c, 1) if v < 0.1), steps) for name, c in curves.items()}
    return [
        *[Row(f"loss after {steps} steps, {name}", "", f"{c[-1]:.4f}", f"{c[0]:.4f} at first")
          for name, c in curves.items()],
        *[Row(f"steps to a loss of 0.1, {name}", "", str(count)) for name, count in fast.items()],
        Row("after tanh it learns as fast as before it", "works well", f"{fast['after']}, {fast['before']} steps",
            met=fast["after"] <= fast["before"]),
        Row("after tanh: largest mean of a feature", "", f"{mean:.2f}", "beta lets it move"),
        Row("after tanh: deviation of all features", "", f"{deviation:.2f}", "about gamma"),
    ]  # fmt: skip
