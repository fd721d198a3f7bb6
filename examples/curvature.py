"""The landscape of errors: symmetries, critical points, curvature, Newton's method.

- Buduma, "Fundamentals of Deep Learning", chapter 4: model identifiability (B25), the error along a line between two
  sets of weights (B26), the count of critical points (B27), ill-conditioning and the second-order step (B28).
- Ekman, "Learning Deep Learning", appendix E: Newton and Raphson's method for roots (E1) and for minima (E2).

Derivatives of one variable are taken in forward mode, Hessian-vector products by forward over reverse.

Run::

    python -m examples run curvature-landscape
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import nn
from autodiff import grad, hessian, hvp, jvp
from examples.catalogue import program
from examples.digits import mnist
from examples.networks import mlp
from examples.paths import contours
from examples.report import Row
from examples.run import PALETTE, Run
from nn.data import Batches, to_float
from nn.losses import cross_entropy

# -- the same function in other weights ----------------------------------------------------------------------


def forward(w: Any, x: Any) -> Any:
    """Two layers with ReLU between them."""
    return np.maximum(x @ w["W1"] + w["b1"], 0) @ w["W2"] + w["b2"]


def random_weights(rng: np.random.Generator, sizes: tuple[int, int, int] = (6, 5, 3)) -> dict[str, Any]:
    """Weights and biases of `forward`."""
    a, b, c = sizes
    return {
        "W1": rng.normal(size=(a, b)),
        "b1": rng.normal(size=b),
        "W2": rng.normal(size=(b, c)),
        "b2": rng.normal(size=c),
    }


def scaled(w: Any, k: float) -> Any:
    """Incoming weights and biases of the hidden neurons times k, outgoing weights over k."""
    return {"W1": k * w["W1"], "b1": k * w["b1"], "W2": w["W2"] / k, "b2": w["b2"]}


@program("buduma/B25")
def identifiability(run: Run) -> list[Row]:
    """Neurons can change places, and their scale can wander from one layer to the next."""
    rng = run.rng
    w, x = random_weights(rng), rng.normal(size=(20, 6))
    y = rng.integers(3, size=20)
    order = rng.permutation(5)
    swapped = {"W1": w["W1"][:, order], "b1": w["b1"][order], "W2": w["W2"][order], "b2": w["b2"]}
    same = float(np.max(np.abs(forward(swapped, x) - forward(w, x))))
    stretched = float(np.max(np.abs(forward(scaled(w, 3.0), x) - forward(w, x))))
    mirrored = float(np.max(np.abs(forward(scaled(w, -3.0), x) - forward(w, x))))
    slope = grad(lambda w: cross_entropy(forward(w, x), y))
    here, there = slope(w), slope(scaled(w, 3.0))
    shrink = float(np.max(np.abs(3 * there["W1"] - here["W1"])))
    return [
        Row(
            "neurons change places: outputs differ by",
            "",
            f"{same:.0e}",
            f"one of 5! = {math.factorial(5)} orders",
            met=same < 1e-12,
        ),
        Row("incoming weights and biases times 3, outgoing over 3", "", f"{stretched:.0e}", met=stretched < 1e-12),
        Row(
            "the same with -3: outputs differ by",
            "0, for any nonzero k",
            f"{mirrored:.1f}",
            wrong="max(0, k z) = k max(0, z) holds for k > 0 only; and the bias has to be scaled as well",
        ),
        Row("gradient of the incoming weights is a third", "", f"{shrink:.0e}", met=shrink < 1e-12),
    ]


# -- along a line --------------------------------------------------------------------------------------------


def blend(first: Any, second: Any, alpha: float) -> Any:
    """Weights first * (1 - alpha) + second * alpha, as the listing has it."""
    return [
        (w0 * (1 - alpha) + w1 * alpha, b0 * (1 - alpha) + b1 * alpha)
        for (w0, b0), (w1, b1) in zip(first, second, strict=True)
    ]


def cost(weights: Any, x: Any, y: Any) -> Any:
    """Cross-entropy of layers with ReLU, the last one included, as in the text."""
    for w, b in weights:
        x = np.maximum(x @ w + b, 0)
    return cross_entropy(x, y)


def layers(model: Any) -> Any:
    """Return weights and biases of the dense layers, as float64."""
    return [(m.weight.astype(float), m.bias.astype(float)) for m in model.layers if isinstance(m, nn.Dense)]


@program("buduma/B26")
def along_a_line(run: Run) -> list[Row]:
    """From trained weights (alpha 0) to random ones (alpha 1): the cost, and its slope in forward mode."""
    images = mnist(run)
    run.data = f"{images.name}; the cost of {500 if not run.full else len(images.test_labels)} test images"
    data = Batches(images.train_images, images.train_labels, transform=lambda x, y: (to_float(x), y))
    start = mlp(run.rng, (256, 256), "he_normal", relu_at_end=True)
    optimiser = nn.SGD(0.01, momentum=0.9)
    model, state, rng, done = start, optimiser.init(start), run.rng, 0
    loss = nn.Supervised(cross_entropy)
    slope = grad(lambda m, batch: loss(m, batch, train=True, rng=rng)[0])
    for batch in data.epoch(rng):
        model, state = optimiser.update(slope(model, batch), state, model)
        done += 1
        if done == run.length(600):
            break
    count = len(images.test_labels) if run.full else 500
    x, y = to_float(images.test_images[:count]).reshape(count, -1).astype(float), images.test_labels[:count]
    found = layers(model)
    random, *others = (
        layers(mlp(np.random.default_rng(run.seed + i), (256, 256), "he_normal", relu_at_end=True)) for i in (1, 2, 3)
    )
    alphas = np.linspace(-2, 2, 401 if run.full else 11 if run.smoke else 41)
    line = [jvp(lambda a: cost(blend(found, random, a), x, y), (float(a),), (1.0,)) for a in alphas]
    costs, slopes = np.array([[float(value), float(tangent)] for value, tangent in line]).T
    _draw_line(run, alphas, costs, slopes)
    inside = (alphas >= 0) & (alphas <= 1)
    ways = [costs[inside], *([float(cost(blend(found, w, a), x, y)) for a in alphas[inside]] for w in others)]
    rises = np.diff(ways)
    at = {a: float(costs[np.argmin(np.abs(alphas - a))]) for a in (0.0, 1.0)}
    flat = float(np.abs(slopes[np.argmin(np.abs(alphas - 1))])), float(np.max(np.abs(slopes[inside])))
    return [
        Row(
            "cost of the trained, of the random weights",
            "",
            f"{at[0.0]:.3f}, {at[1.0]:.3f}",
            f"{done:,} steps with momentum 0.9; the author's weights have seen 550,000 without; ln 10 = 2.303",
        ),
        Row(
            "slope at alpha = 1, and the largest on the way",
            "about 0 at 1",
            f"{flat[0]:.2f}, {flat[1]:.2f}",
            "in the listing alpha = 1 is the random end, in the formula the trained one",
        ),
        Row(
            "parts of the way from 0 to 1 on which it falls",
            "no troublesome minima",
            f"{int(np.sum(rises < -0.01))} of {rises.size}",
            f"on the ways to {len(ways)} sets of random weights, each in {rises.shape[1]} parts",
        ),
    ]


def _draw_line(run: Run, alphas: Any, costs: Any, slopes: Any) -> None:
    with run.picture(ncols=2, figsize=(10, 4)) as (left, right):
        left.plot(alphas, costs, "o-", ms=3, lw=1, color=PALETTE[1])
        right.plot(alphas, slopes, color=PALETTE[0])
        for ax, name in ((left, "cost"), (right, "slope along the line")):
            ax.axvline(0, color="0.5", ls=":")
            ax.axvline(1, color="0.5", ls="--")
            ax.set(xlabel="alpha (0: trained, 1: random)", ylabel=name)
        left.set(title="The cost between two sets of weights", yscale="log")
        right.set(title="Its derivative, in forward mode")


# -- critical points -----------------------------------------------------------------------------------------


def count_minima(d: int, points: int, rng: np.random.Generator) -> float:
    """Return the share of critical points all of whose d slices are minima, each being one of three kinds by chance."""
    return float(np.mean(np.all(rng.integers(3, size=(points, d)) == 0, axis=1)))


@program("buduma/B27")
def critical_points(run: Run) -> list[Row]:
    """A point is a minimum only if every slice is one: 1 in 3^d, if the slices had nothing to do with one another."""
    rows = []
    for d in (1, 2, 4):
        share, expected = count_minima(d, 20_000, run.rng), 3.0**-d
        rows.append(
            Row(
                f"minima in {d} dimension{'s' if d > 1 else ''}",
                f"1 in {3**d}",
                f"1 in {1 / share:.1f}",
                "of 20,000 drawn points",
                met=bool(abs(share - expected) < 4 * np.sqrt(expected / 20_000)),
            )
        )
    shapes = {
        "x^2 + y^2": lambda p: p[0] ** 2 + p[1] ** 2,
        "x^2 - y^2": lambda p: p[0] ** 2 - p[1] ** 2,
        "-x^2 - y^2": lambda p: -(p[0] ** 2) - p[1] ** 2,
        "x^3 - 3 x y^2": lambda p: p[0] ** 3 - 3 * p[0] * p[1] ** 2,
    }
    kinds = ("minimum", "saddle", "maximum", "flat to second order")
    for (name, f), kind in zip(shapes.items(), kinds, strict=True):
        values = np.linalg.eigvalsh(hessian(f)(np.zeros(2)))
        found = kinds[3] if not values.any() else kinds[0] if values[0] > 0 else kinds[2] if values[1] < 0 else kinds[1]
        rows.append(
            Row(
                f"{name} at 0",
                kind,
                found,
                f"eigenvalues of the Hessian {values[0]:g}, {values[1]:g}",
                met=found == kind,
            )
        )
    with run.picture(ncols=4, figsize=(11, 3)) as axes:
        for ax, (name, f), kind in zip(axes, shapes.items(), kinds, strict=True):
            contours(ax, f, (-1, 1), (-1, 1), levels=14)
            ax.plot(0, 0, "o", color=PALETTE[1])
            ax.set(title=f"${name.replace(' ', '')}$\n{kind}", xlabel="x", ylabel="y", aspect="equal",
                   xticks=(-1, 0, 1), yticks=(-1, 0, 1))  # fmt: skip
    return rows


# -- curvature -----------------------------------------------------------------------------------------------


def ellipse(ratio: float) -> Any:
    """A bowl that is so much steeper in one direction than in the other."""
    return lambda p: (p[0] ** 2 + ratio * p[1] ** 2) / 2


def angle(a: Any, b: Any) -> float:
    """Return the angle between two vectors in degrees."""
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


def turn(f: Any, p: Any, bottom: Any) -> float:
    """Return the angle in degrees between the way down and the way to the bottom."""
    return angle(-grad(f)(p), bottom - p)


def wavy(p: Any) -> Any:
    """Something that is not a paraboloid."""
    return np.exp(0.3 * p[0]) + p[0] ** 2 / 4 + np.cos(p[1]) * p[0] + p[1] ** 4 / 10


@program("buduma/B28")
def conditioning(run: Run) -> list[Row]:
    """The gradient points away from the bottom of a long bowl; curvature tells how far to go."""
    at, rows = np.array([3.0, 1.0]), []
    for ratio in (1.0, 10.0, 1000.0):
        f = ellipse(ratio)
        k = np.linalg.cond(hessian(f)(at))
        around = np.linspace(0, np.pi / 2, 1000)  # the rest of the circle is its mirror image
        worst = max(turn(f, np.array([np.cos(a), np.sin(a)]), np.zeros(2)) for a in around)
        expected = np.degrees(np.arccos(min(1.0, 2 * np.sqrt(k) / (1 + k))))
        rows.append(
            Row(
                f"bowl 1 : {ratio:g}: largest angle from the way to the bottom",
                "up to 90 degrees" if ratio > 100 else "",
                f"{worst:.1f}",
                f"degrees; arccos(2 sqrt(k) / (1 + k)) = {expected:.1f}; the Hessian's condition number is k = {k:g}",
                met=abs(worst - expected) < 0.05,
            )
        )
    turned = [angle(grad(f)(at), grad(f)(at - grad(f)(at) / 5)) for f in (ellipse(1.0), ellipse(4.0))]
    rows.append(
        Row(
            "circles, ellipses 1 : 4: on the way down the gradient turns by",
            "not, and by much",
            f"{turned[0]:.1f}, {turned[1]:.1f}",
            "degrees, a fifth of a gradient from (3, 1)",
            met=turned[0] < 0.1 and turned[1] > 10,
        )
    )
    p = np.array([1.2, -0.7])
    g, h = grad(wavy)(p), hessian(wavy)(p)
    by_hand = np.array(
        [[0.09 * np.exp(0.3 * p[0]) + 0.5, -np.sin(p[1])], [-np.sin(p[1]), -np.cos(p[1]) * p[0] + 1.2 * p[1] ** 2]]
    )
    along = float(g @ hvp(wavy, (p,), (g,)))
    gaps = float(np.max(np.abs(h - by_hand))), abs(along - float(g @ h @ g))
    best = float(g @ g) / along
    step = lambda eps: wavy(p - eps * g)  # noqa: E731
    model = lambda eps: wavy(p) - eps * (g @ g) + eps**2 / 2 * along  # noqa: E731
    errors = [abs(float(step(e) - model(e))) for e in (1e-2, 5e-3)]
    order = math.log2(errors[0] / errors[1])
    circle = ellipse(10.0)
    gc = grad(circle)(at)
    exact = float(gc @ gc / (gc @ hvp(circle, (at,), (gc,))))
    slope = float(jvp(lambda e: circle(at - e * gc), (exact,), (1.0,))[1])
    rows += [
        Row("Hessian by hand and by the engine: difference", "", f"{gaps[0]:.0e}", met=gaps[0] < 1e-12),
        Row("g'Hg by a Hessian-vector product: difference", "", f"{gaps[1]:.0e}", met=gaps[1] < 1e-12),
        Row(
            "error of E - eps g'g + eps^2/2 g'Hg shrinks as eps to the",
            "",
            f"{order:.2f}",
            "third order is left out",
            met=abs(order - 3) < 0.1,
        ),
        Row(
            "best step g'g / g'Hg, from the model", "", f"{best:.3f}", f"E falls from {wavy(p):.3f} to {step(best):.3f}"
        ),
        Row("... on a paraboloid the slope there is", "", f"{slope:.0e}", met=abs(slope) < 1e-12),
    ]
    _draw_turning(run, at)
    return rows


def _draw_turning(run: Run, at: Any) -> None:
    with run.picture(ncols=2, figsize=(10, 4)) as axes:
        for ax, ratio in zip(axes, (1.0, 4.0), strict=True):
            f = ellipse(ratio)
            contours(ax, f, (-3.5, 3.8), (-2.2, 2.2), levels=12)
            g = grad(f)(at)
            walk = np.array([at - e * g for e in np.linspace(0, 1.0 / ratio**0.5, 6)])
            ways = np.array([-grad(f)(p) for p in walk])
            ways /= np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-12)
            ax.plot(*walk.T, "o-", ms=3, color=PALETTE[0])
            ax.quiver(
                *walk.T, *ways.T, color=PALETTE[1], angles="xy", scale_units="xy", scale=1.6, width=0.006, zorder=3
            )
            ax.set(
                title="Circles: the gradient keeps its direction" if ratio == 1 else "Ellipses: it turns",
                xlabel="$w_1$",
                ylabel="$w_2$",
                aspect="equal",
            )


# -- Newton and Raphson --------------------------------------------------------------------------------------


def derivative(f: Any) -> Any:
    """Return the derivative of a function of one number, in forward mode."""
    return lambda x: jvp(f, (x,), (1.0,))[1]


def newton_raphson(f: Any, x: float, steps: int) -> list[float]:
    """Take x - f(x) / f'(x), again and again: both come from one pass of forward mode."""
    path = [x]
    for _ in range(steps):
        value, slope = jvp(f, (path[-1],), (1.0,))
        path.append(float(path[-1] - value / slope))
    return path


@program("ekman/app-E1")
def root(run: Run) -> list[Row]:
    """The curve is only drawn in the text; x^3 - 1 gives its numbers."""
    f = lambda x: x**3 - 1  # noqa: E731
    path = newton_raphson(f, 1.75, 6)
    by_hand = [1.75]
    for _ in range(6):
        by_hand.append(by_hand[-1] - (by_hand[-1] ** 3 - 1) / (3 * by_hand[-1] ** 2))
    gap = max(abs(a - b) for a, b in zip(path, by_hand, strict=True))
    with run.picture() as axes:
        x = np.linspace(0.7, 1.85, 100)
        axes.axhline(0, color="0.5", lw=0.8)
        axes.plot(x, f(x), color=PALETTE[0], label="$x^3-1$")
        for i in range(3):
            axes.plot(
                [path[i], path[i], path[i + 1]],
                [0, f(path[i]), 0],
                "o-",
                ms=3,
                lw=1,
                color=PALETTE[1],
                label="tangents" if i == 0 else None,
            )
            axes.annotate(f"$x_{i}$", (path[i], -0.35))
        axes.set(title="Newton and Raphson's method", xlabel="x", ylabel="f(x)")
        axes.legend()
    return [
        Row("x0", "1.75", f"{path[0]:.2f}"),
        Row(
            "f(x0)",
            "about 4.5",
            f"{f(path[0]):.2f}",
            wrong="if the curve is x^3 - 1, which all the other digits fit: 1.75^3 - 1 = 4.36",
        ),
        Row("x1", "1.28", f"{path[1]:.2f}"),
        Row(
            "f(x1)",
            "about 1.0",
            f"about {f(path[1]):.1f}",
            wrong=f"read off a curve, too: {path[1]:.4f}^3 - 1 = {f(path[1]):.4f}",
        ),
        Row("x2", "1.06", f"{path[2]:.2f}"),
        Row("x3, x6", "", f"{path[3]:.4f}, {path[6]:.12f}", met=abs(path[6] - 1) < 1e-12),
        Row("the same by hand: largest difference", "", f"{gap:.0e}", met=gap < 1e-12),
    ]


@program("ekman/app-E2")
def root_or_minimum(run: Run) -> list[Row]:
    """On a curve without roots the method wanders for ever; on its derivative it finds the bottom."""
    f = lambda x: np.sqrt(1 + (x - 1) ** 2) + 0.1 * (x - 1) ** 2  # noqa: E731
    lost = newton_raphson(f, 2.0, 200)
    found = newton_raphson(derivative(f), 2.0, 8)
    second = derivative(derivative(f))(2.0)
    by_hand = 2.0**-1.5 + 0.2
    sides = int(np.sum(np.diff(np.sign(np.array(lost) - 1)) != 0))
    minimum = nn.newton(f, 2.0)
    with run.picture(ncols=2, figsize=(10, 4)) as (left, right):
        x = np.linspace(-3.2, 4.6, 200)
        left.plot(x, f(x), color=PALETTE[0])
        left.axhline(0, color="0.5", lw=0.8)
        for i in range(4):
            left.plot([lost[i], lost[i], lost[i + 1]], [0, f(lost[i]), 0], "o-", ms=3, lw=1, color=PALETTE[1])
        left.set(
            title="Looking for a root that is not there", xlabel="x", ylabel="f(x)", xlim=(-3.2, 4.6), ylim=(-0.3, 5)
        )
        slope = derivative(f)
        right.plot(x, [slope(v) for v in x], color=PALETTE[0])
        right.axhline(0, color="0.5", lw=0.8)
        for i in range(3):
            right.plot([found[i], found[i], found[i + 1]], [0, slope(found[i]), 0], "o-", ms=3, lw=1, color=PALETTE[1])
        right.set(title="Looking for a root of the derivative", xlabel="x", ylabel="f '(x)")
    return [
        Row(
            "on f: closest to a root in 200 steps, |f|",
            "never converges",
            f"{min(abs(f(v)) for v in lost):.2f}",
            f"it changes sides {sides} times",
            met=bool(min(abs(f(v)) for v in lost) >= 1 and sides > 10),
        ),
        Row(
            "on f': x1, x2",
            "very close after x2",
            f"{found[1]:.3f}, {found[2]:.3f}",
            "the minimum is at 1; the curve is chosen here",
        ),
        Row("... after 8 steps, distance", "", f"{abs(found[-1] - 1):.0e}", met=abs(found[-1] - 1) < 1e-12),
        Row(
            "f'' by nested forward mode and by hand: difference",
            "",
            f"{abs(second - by_hand):.0e}",
            met=bool(abs(second - by_hand) < 1e-12),
        ),
        Row(
            "nn.newton finds",
            "",
            f"{float(minimum.parameters):.6f}",
            f"in {len(minimum.path) - 1} steps",
            met=minimum.converged,
        ),
    ]
