"""Gradients that vanish or explode, and what helps.

From Hui's blog "deep learning, part 2", and Ekman, "Learning Deep Learning", chapter 10.

Run::

    python -m examples run gradient-health
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import grad, jvp, value_and_grad
from autodiff.ops import relu, sigmoid
from examples.catalogue import program
from examples.report import Row, agreement
from examples.run import PALETTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.run import Run


# -- along a path --------------------------------------------------------------------------------------------


def chain(w: Any, x: Any, function: Callable[[Any], Any]) -> list[Any]:
    """Return the outputs of neurons in a row."""
    outputs = []
    for weight in w:
        x = function(weight * x)
        outputs.append(x)
    return outputs


@program("ekman/10A")
def gradient_path(run: Run) -> list[Row]:
    """The gradient of a first weight, a product of slopes and weights along its path; and how large slopes can be."""
    w, x1, y = run.rng.normal(size=3), 0.8, 0.3
    rows = []
    slopes: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], str]] = {
        "logistic": (sigmoid, lambda s: s * (1 - s), "0.25"),
        "tanh": (np.tanh, lambda s: 1 - s**2, "1.0"),
    }
    points = np.linspace(-5, 5, 401)
    with run.picture() as axes:
        for (name, (function, slope, printed)), style in zip(slopes.items(), PALETTE, strict=False):
            first, second, last = chain(w, x1, function)
            by_hand = -(y - last) * slope(last) * w[2] * slope(second) * w[1] * slope(first) * x1
            engine = grad(lambda w, f=function: (y - chain(w, x1, f)[-1]) ** 2 / 2)(w)[0]
            derivative = jvp(function, (points,), (np.ones_like(points),))[1]
            steepest, at = derivative.max(), points[derivative.argmax()]
            curvature = grad(grad(function))(float(at))
            digits = len(printed) - 2
            rows += [
                Row(
                    f"{name}: largest slope",
                    printed,
                    f"{steepest:.{digits}f}",
                    f"at z = {at + 0.0:g}, second derivative {curvature:g}",
                ),
                agreement(f"{name}: the path's product", by_hand, engine),
                Row(f"{name}: its slopes alone, ten layers", "", f"{steepest**10:.1e}", "at most"),
            ]
            axes.plot(points, function(points), color=style, label=name)
            near = np.array([-1.2, 1.2]) / (1 if name == "tanh" else 0.6)
            axes.plot(near, function(0.0) + steepest * near, color=style, linestyle="--", label=f"slope {steepest:g}")
        axes.set(xlabel="z", ylabel="output", ylim=(-1.4, 1.6))
        axes.legend(loc="upper left")
    return rows


@program("ekman/10B")
def constant_error_carousel(run: Run) -> list[Row]:
    """One neuron that feeds itself with weight 1 and no function: it keeps its state, and its gradient, for ever."""
    run.data = "0.7 once, then zeros"
    w1, w_out, steps = 0.9, 1.3, run.length(1000)
    inputs = np.zeros(steps)
    inputs[0] = 0.7

    def states(nudges: Any, w1: Any = w1, function: Any = lambda z: z, back: float = 1.0) -> list[Any]:
        """Return the state after each step, where each step may be nudged."""
        state, seen = 0.0, []
        for x, nudge in zip(inputs, nudges, strict=True):
            state = function(w1 * x + back * state) + nudge
            seen.append(state)
        return seen

    still = np.zeros(steps)
    kept = np.array(states(still))
    factors = grad(lambda nudges: states(nudges)[-1])(still)
    forgetting = grad(lambda nudges: states(nudges, function=np.tanh)[-1])(still)
    output = grad(lambda w: np.tanh(w_out * states(still, w)[-1]))(w1)
    with run.picture(ncols=2, figsize=(8.6, 3.6)) as (left, right):
        for function, label, style in ((lambda z: z, "identity", "-"), (np.tanh, "tanh", "--")):
            left.plot(states(still, function=function), style, label=label)
            right.semilogy(grad(lambda n, f=function: states(n, function=f)[-1])(still) + 1e-30, style, label=label)
        left.set(xlabel="step", ylabel="state", ylim=(0, 0.7))
        right.set(xlabel="step", ylabel="d last state / d state")
        left.legend(loc="center right")
    return [
        Row(
            "state after each step / w1",
            "0.7",
            " to ".join(f"{v:.1f}" for v in sorted({kept.min() / w1, kept.max() / w1})),
        ),
        Row("gradient factors of the steps", "1", " to ".join(f"{v:g}" for v in sorted({*factors}))),
        agreement(f"d state({steps}) / dw1 = 0.7", 0.7, grad(lambda w: states(still, w)[-1])(w1)),
        agreement("of the output neuron: tanh'(w s) w 0.7", (1 - np.tanh(w_out * 0.7 * w1) ** 2) * w_out * 0.7, output),
        Row(
            "with tanh: state",
            "closer to 1",
            f"{states(still, function=np.tanh)[-1]:.3f}",
            "weight 1 as here: |tanh s| < |s|",
        ),
        Row("with tanh, weight 2: state", "closer to 1", f"{states(still, function=np.tanh, back=2.0)[-1]:.3f}",
            "a weight above 1 does it"),
        Row("with tanh: factor from the first step", "", f"{forgetting[0]:.1e}", f"over {steps} steps"),
    ]  # fmt: skip


# -- through layers ------------------------------------------------------------------------------------------

LAYERS, WIDTH = 7, 20


def network(weights: Any, x: Any, function: Callable[[Any], Any], bypass: bool) -> Any:
    """Return the output of layers of one width; with a bypass, each adds to its input."""
    for w in weights[:-1]:
        h = function(x @ w)
        x = x + h if bypass else h
    return x @ weights[-1]


KINDS: dict[str, tuple[Callable[[Any], Any], bool, float]] = {  # function, bypass, scale of the weights
    "sigmoid": (sigmoid, False, 1.0),
    "ReLU": (relu, False, np.sqrt(2.0)),
    "sigmoid with bypass": (sigmoid, True, 1.0),
    "large weights": (lambda z: z, False, 5.0),
}


@program("hui/B13")
def vanishing(run: Run) -> list[Row]:
    """Seven layers: how large the gradient of each is, and what a bypass does for them."""
    run.data = "generated: 200 examples (the text gives neither its data nor its network)"
    rng = run.rng
    x, noise = rng.normal(size=(200, WIDTH)), rng.normal(size=(LAYERS, WIDTH, WIDTH)) / np.sqrt(WIDTH)
    y = np.sin(x @ rng.normal(size=(WIDTH, WIDTH)) / 2)[:, :1] * 2
    rows, norms, curves = [], {}, {}
    for name, (function, bypass, scale) in KINDS.items():
        weights = [*(scale * w for w in noise[:-1]), noise[-1][:, :1]]

        def loss(weights: Any, function: Any = function, bypass: bool = bypass) -> Any:
            """Return the sum of squared errors."""
            return np.sum((network(weights, x, function, bypass) - y) ** 2)

        norms[name] = [float(np.linalg.norm(g)) for g in grad(loss)(weights)]
        shown = ", ".join(f"{v:.1e}" for v in reversed(norms[name]))
        rows.append(Row(f"{name}: |gradient| of layers 6 ... 0", "", shown))
        if name.startswith("sigmoid"):
            rows.append(Row(f"{name}: layer 0 over layer 5", "", f"{norms[name][0] / norms[name][-2]:.1e}"))
            curves[name] = train(loss, weights, run.length(2000))
    draw(run, norms, curves)
    slope = grad(sigmoid)(5.0)
    return [
        *rows,
        *compare_losses(curves),
        Row("slope of the sigmoid at 5", "near 0", f"{slope:.5f}", "of 0.25 at most", met=slope < 0.01),
        Row("five factors of 0.1; of 5", "0.00001; 3125", f"{0.1**5:.5f}; {5**5}"),
    ]


def compare_losses(curves: dict[str, list[float]]) -> list[Row]:
    """Return the losses beside those of the text's log."""
    note = "another network and other data, the text's are not given: only the course compares"
    return [
        Row(f"{name}: loss at iteration {i}", text, f"{values[i]:.4g}", note)
        for name, values in curves.items()
        for i, text in ((0, "553.5"), (1000, "170.4"), (2000, "75.93"))
        if i < len(values)
    ]


def train(loss: Callable[[Any], Any], weights: Any, steps: int) -> list[float]:
    """Return the loss before each step of Adam and after the last."""
    optimiser = nn.Adam(0.003)
    state, values = optimiser.init(weights), []
    for _ in range(steps):
        value, slopes = value_and_grad(loss)(weights)
        weights, state = optimiser.update(slopes, state, weights)
        values.append(float(value))
    return [*values, float(loss(weights))]


def draw(run: Run, norms: dict[str, list[float]], curves: dict[str, list[float]]) -> None:
    """Draw the gradients of the layers at the start, and the losses."""
    with run.picture(ncols=2, figsize=(10, 4)) as (left, right):
        for (name, values), marker in zip(norms.items(), "osD^", strict=True):
            left.semilogy(range(LAYERS), values, marker=marker, label=name)
        left.set(xlabel="layer, 0 next to the input", ylabel="norm of the gradient at the start")
        left.legend(fontsize=8)
        for name, style in zip(curves, ("-", "--"), strict=True):
            right.semilogy(curves[name], style, color=PALETTE[0 if name == "sigmoid" else 2], label=name)
        right.set(xlabel="iteration", ylabel="loss")
        right.legend()


# -- clipping ------------------------------------------------------------------------------------------------


def clipped(gradients: list[Any], limit: float) -> list[Any]:
    """Return t * limit / max(norm of all, limit) for each."""
    total = np.sqrt(sum(np.linalg.norm(g) ** 2 for g in gradients))
    return [g * limit / max(total, limit) for g in gradients]


def descend(clip: Callable[[Any], Any], steps: int) -> float:
    """Return where descent on the valley x^4 ends that starts on its steep side, at 10, with rate 0.1."""
    x = np.array(10.0)
    for _ in range(steps):
        x = x - 0.1 * clip([grad(lambda x: x**4)(x)])[0]
        if not abs(x) < 1e9:
            return np.inf
    return float(x)


@program("hui/B14")
def clipping(run: Run) -> list[Row]:
    """Gradients scaled together so that their norm is at most 5: by hand, from nn, and on a steep slope."""
    rng, rows = run.rng, []
    clip = nn.ClipByGlobalNorm(5.0)
    for size in (0.1, 10.0):
        gradients = [size * rng.normal(size=shape) for shape in ((4, 3), (3,), (2, 2, 2))]
        total = np.linalg.norm(np.concatenate([np.ravel(g) for g in gradients]))
        flat, ours = (np.concatenate([np.ravel(g) for g in c]) for c in (clipped(gradients, 5.0), clip(gradients)))
        rows += [agreement(f"norm {total:.3g}: by hand and from nn", flat, ours)]
        rows += [
            Row(
                f"norm {total:.3g}: afterwards",
                "",
                f"{np.linalg.norm(ours):.3g}",
                met=bool(np.linalg.norm(ours) <= 5 + 1e-9),
            )
        ]
    small = np.array([0.6, 0.8])
    prose = np.linalg.norm(small) * 5.0 / max(np.linalg.norm(small), np.linalg.norm(small))
    words = "the words divide by max(norm, norm of all), without the limit: small gradients grow; the listing is right"
    steps = run.length(200)
    free, held = descend(lambda g: g, steps), descend(clip, steps)
    return [
        *rows,
        Row(
            "norm 1 by the text's words, by its listing",
            f"{prose:g}",
            f"{np.linalg.norm(clipped([small], 5.0)[0]):g}",
            wrong=words,
        ),
        Row(f"x^4 from 10, {steps} steps, free", "", f"{free:g}", met=not np.isfinite(free)),
        Row(f"x^4 from 10, {steps} steps, clipped", "", f"{held:.3f}", met=abs(held) < 10),
    ]
