"""Perceptrons: Buduma, "Fundamentals of Deep Learning", chapter 1; Ekman, "Learning Deep Learning", chapters 1 and 2.

A neuron weighs its inputs, adds a bias and asks for the sign. On a mistake, Rosenblatt's rule adds y * rate * x to the
weights; that is gradient descent on the loss max(0, -y z), so here the engine's gradient takes its place.

Run::

    python -m examples run perceptrons
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import grad, jvp, vjp
from examples.catalogue import program
from examples.report import Row, agreement
from examples.run import PALETTE, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

CORNERS = np.array([[1.0, -1.0, -1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0], [1.0, 1.0, 1.0]])
"""Two inputs that are -1 or 1; the first column is the constant input of the bias."""
NAND = np.array([1.0, 1.0, 1.0, -1.0])
XOR = np.array([-1.0, 1.0, 1.0, -1.0])


def step(z: Any) -> Any:
    """Return the perceptron's output: 1 from zero on, otherwise -1; NumPy's sign would be 0 at zero."""
    return np.where(z < 0, -1.0, 1.0)


def show(values: Any, digits: int = 2) -> str:
    """Return numbers in brackets, as the texts print them; no minus before zero."""
    return "(" + ", ".join(f"{v + 0.0:.{digits}f}" if round(v, digits) else f"{0:.{digits}f}" for v in values) + ")"


def short(values: Any) -> str:
    """Return numbers in brackets with as few digits as they have."""
    return "(" + ", ".join(f"{round(float(v), 9) + 0.0:g}" for v in values) + ")"


# -- one neuron ----------------------------------------------------------------------------------------------


class Neuron:
    """Weights, a bias, and a function of the weighted sum."""

    def __init__(self, weights: Any, bias: float, function: Any) -> None:
        self.weights, self.bias, self.function = weights, bias, function

    def logit(self, inputs: Any) -> Any:
        """Return the weighted sum."""
        return np.dot(inputs, self.weights) + self.bias

    def __call__(self, inputs: Any) -> Any:
        """Return the output."""
        return self.function(self.logit(inputs))


@program("buduma/B01")
def neuron(run: Run) -> list[Row]:
    """One neuron with any function: its output, and how it answers to each input and each weight."""
    rng = run.rng
    weights, inputs, bias = rng.normal(size=5), rng.normal(size=5), 0.3
    unit = Neuron(weights, bias, np.tanh)
    by_hand = np.tanh(sum(w * x for w, x in zip(weights, inputs, strict=True)) + bias)
    slope = 1 - by_hand**2
    _, answers = zip(*(jvp(unit, (inputs,), (axis,)) for axis in np.eye(5)), strict=True)
    return [
        agreement("output, summed in a loop", by_hand, unit(inputs),
                  note="over inputs 1 to n; the text's sum starts at 0, its inputs at 1"),
        agreement("dy/dx = f'(z) w, forward mode", slope * weights, np.array(answers)),
        agreement("dy/dw = f'(z) x", slope * inputs, grad(lambda w: Neuron(w, bias, np.tanh)(inputs))(weights)),
        agreement("dy/db = f'(z)", slope, grad(lambda b: Neuron(weights, b, np.tanh)(inputs))(bias)),
    ]  # fmt: skip


def perceptron(weights: Any, x: Any) -> float:
    """Return the sign of the weighted sum, one product after the other; x[0] is 1."""
    z = 0.0
    for w, x_i in zip(weights, x, strict=True):
        z += x_i * w
    return -1.0 if z < 0 else 1.0


@program("ekman/P1")
def scalar_loop(run: Run) -> list[Row]:
    """The perceptron as a loop, against all examples at once; and why no gradient leads through its sign."""
    weights, x = run.rng.normal(size=4), np.column_stack([np.ones(1000), run.rng.normal(size=(1000, 3))])
    looped = np.array([perceptron(weights, row) for row in x])
    slopes = grad(lambda w: np.sum(step(x @ w)))(weights)
    return [
        agreement("1,000 examples, loop and product", looped, step(x @ weights)),
        Row("f(0)", "1", f"{perceptron([0.5, -0.5], [1.0, 1.0]):g}"),
        agreement("gradient through the sign", slopes, np.zeros(4), note="zero everywhere: nothing to descend"),
    ]


SCORES = np.array([-24.0, 3.0, 4.0])  # bias, hours of sleep, hours of study


@program("buduma/B02")
def exam_scores(run: Run) -> list[Row]:
    """Above or below average by hours of sleep and study; the same weights as a neuron, and others that do as well."""
    run.data = "generated: 60 students (the text's are in a figure that it does not print)"
    hours = run.rng.uniform(0, 10, (200, 2))
    hours = hours[np.abs(hours @ SCORES[1:] + SCORES[0]) > 4][:60]  # nobody is exactly average
    x = np.column_stack([np.ones(len(hours)), hours])
    labels = np.where(3 * hours[:, 0] + 4 * hours[:, 1] - 24 >= 0, 1.0, -1.0)
    unit = Neuron(SCORES[1:], SCORES[0], step)
    *_, learned = learn(x, labels, np.zeros(3), rate=1.0, order=random.Random(run.seed))
    corners = np.array([[1.0, 2, 2], [1, 8, 8], [1, 2, 8], [1, 8, 2]])  # too little or too much of both is bad
    bent = np.array([-1.0, -1.0, 1.0, 1.0])
    pulls = corners * bent[:, None]  # of a linear rule, all four of pulls @ theta would have to be positive
    with run.picture() as axes:
        draw_points(axes, hours, labels, ("above average", "below average"))
        for weights, name, style in ((SCORES, "the text's", "-"), (learned, "learned", "--")):
            draw_line(axes, weights, (0, 10), color=PALETTE[2], linestyle=style, label=name)
        axes.set(xlabel="hours of sleep", ylabel="hours of study", xlim=(0, 10), ylim=(0, 10))
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return [
        agreement("perceptron and neuron of theta = (-24, 3, 4)", step(x @ SCORES), unit(hours)),
        Row("students it puts on the wrong side", "0", f"{np.sum(unit(hours) != labels)}", "their labels come from it"),
        Row("other weights, learned", "", short(learned / abs(learned[0]) * 24), "scaled to the text's bias"),
        Row("students these put on the wrong side", "0", f"{np.sum(step(x @ learned) != labels)}"),
        agreement("no line where both extremes are bad", pulls.sum(axis=0), np.zeros(3),
                  note="(2, 2), (8, 8) below, (2, 8), (8, 2) above: y theta x adds up to 0 for any theta"),
    ]  # fmt: skip


@program("buduma/B03")
def three_by_three(run: Run) -> list[Row]:
    """Three inputs, three hidden neurons, three outputs: loops over neurons, products of matrices, Jacobians."""
    rng = run.rng
    w1, w2, x = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)  # w[i, j]: from i to j
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    network = lambda x: sigmoid(sigmoid(x @ w1) @ w2)  # noqa: E731
    hidden = [sigmoid(sum(w1[i, j] * x[i] for i in range(3))) for j in range(3)]
    outputs = [sigmoid(sum(w2[i, j] * hidden[i] for i in range(3))) for j in range(3)]
    slopes = [np.diag(y * (1 - y)) for y in (np.array(hidden), np.array(outputs))]
    by_hand = slopes[1] @ w2.T @ slopes[0] @ w1.T
    columns = np.array([jvp(network, (x,), (axis,))[1] for axis in np.eye(3)]).T
    rows = np.array([vjp(network, x)[1](axis)[0] for axis in np.eye(3)])
    return [
        Row("weights", "", str(w1.size + w2.size),
            "two of 3 x 3: here the text counts the inputs as a layer; the function is the logistic one, our choice"),
        agreement("neuron by neuron, layer by layer", outputs, network(x)),
        agreement("Jacobian, forward mode by columns", by_hand, columns),
        agreement("Jacobian, reverse mode by rows", by_hand, rows),
    ]  # fmt: skip


# -- the rule ------------------------------------------------------------------------------------------------


def loss(weights: Any, x: Any, y: float) -> Any:
    """Zero on the right side of the boundary, the distance from it (times the weights' length) on the wrong side."""
    return np.maximum(-y * (weights @ x), 0.0)


def learn(x: Any, y: Any, weights: Any, rate: float, order: random.Random) -> Iterator[Any]:
    """Yield the weights at the start and after each update, until a sweep over the examples has no mistake."""
    sequence, mistakes = list(range(len(x))), True
    yield weights
    while mistakes:
        mistakes = False
        order.shuffle(sequence)
        for i in sequence:
            slope = grad(loss)(weights, x[i], y[i])
            if slope.any():
                weights = weights - rate * slope
                mistakes = True
                yield weights


def learn_nand() -> list[Any]:
    """Return the weights of the text's run, which its seed and its first weights fix."""
    return list(learn(CORNERS, NAND, np.array([0.2, -0.6, 0.25]), rate=0.1, order=random.Random(7)))


@program("ekman/P2")
def nand_by_hand(run: Run) -> list[Row]:
    """Weights chosen by hand make a NAND gate, and go on doing so when any one of them moves by 0.1."""
    run.data = "NAND, in the text"
    weights = np.array([0.9, -0.6, -0.5])
    printed = {(-1, -1): ("2.0", "1"), (1, -1): ("0.8", "1"), (-1, 1): ("1.0", "1"), (1, 1): ("-0.2", "-1")}
    rows = []
    for signs, (z, y) in printed.items():
        score = weights @ np.array([1.0, *signs])
        rows += [Row(f"z at {signs}", z, f"{score:.1f}"), Row(f"y at {signs}", y, f"{step(score):g}")]
    moves = [weights + 0.1 * sign * axis for axis in np.eye(3) for sign in (-1, 1)]
    right = sum(bool(np.all(step(CORNERS @ w) == NAND)) for w in moves)
    return [*rows, Row("single moves by 0.1 that change nothing", "6 of 6", f"{right} of {len(moves)}")]


@program("ekman/P3")
def nand(run: Run) -> list[Row]:
    """A perceptron learns NAND: every weight of the text's trace."""
    run.data = "NAND, in the text"
    printed = (
        "(0.20, -0.60, 0.25)",
        "(0.30, -0.50, 0.15)",
        "(0.40, -0.40, 0.05)",
        "(0.30, -0.50, -0.05)",
        "(0.40, -0.40, -0.15)",
    )
    trace = learn_nand()
    names = ["start", *(f"update {i}" for i in range(1, len(trace)))]
    rows = [Row(name, reported, show(w)) for name, reported, w in zip(names, printed, trace, strict=True)]
    indent = "one for each update; as the listing is indented, it would print one for each example"
    return [*rows, Row("lines", "5", str(len(trace)), indent)]


@program("ekman/P4")
def nand_boundaries(run: Run) -> list[Row]:
    """The line that each of these weights draws between 1 and -1."""
    run.data = "NAND, in the text"
    trace = learn_nand()
    with run.picture(figsize=(5.6, 4.2)) as axes:
        draw_points(axes, CORNERS[:, 1:], NAND)
        for i, weights in enumerate(trace):
            draw_line(axes, weights, (-2, 2), color=PALETTE[i], label=f"update {i}" if i else "start")
        axes.set(xlabel="x1", ylabel="x2", xlim=(-2, 2), ylim=(-2, 2))
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    left, right = (np.array([1.0, x, line(trace[-1], x)]) @ trace[-1] for x in (-2.0, 2.0))
    mistakes = [int(np.sum(step(CORNERS @ w) != NAND)) for w in trace]
    return [
        Row("lines", "5", str(len(trace))),
        Row("examples on the wrong side of each", "", ", ".join(map(str, mistakes)), met=mistakes[-1] == 0),
        agreement("z on the last line", (left, right), np.zeros(2)),
    ]


@program("ekman/P5")
def xor_never_learned(run: Run) -> list[Row]:
    """XOR: no line separates it, so the rule goes on for ever."""
    run.data = "XOR, in the text"
    updates = learn(CORNERS, XOR, np.array([0.2, -0.6, 0.25]), rate=0.1, order=random.Random(7))
    trace = list(itertools.islice(updates, 3001))
    with run.picture(ncols=2, figsize=(8.4, 4)) as both:
        for axes, count in zip(both, (6, 30), strict=True):
            draw_points(axes, CORNERS[:, 1:], XOR)
            for weights in trace[:count]:
                draw_line(axes, weights, (-2, 2), color=PALETTE[5], alpha=0.5)
            draw_line(axes, trace[count], (-2, 2), color=PALETTE[0])
            axes.set(xlabel="x1", ylabel="x2", xlim=(-2, 2), ylim=(-2, 2), title=f"after {count} adjustments")
        both[1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    wrong = [int(np.sum(step(CORNERS @ w) != XOR)) for w in trace]
    balance = XOR @ CORNERS  # for any weights, sum(y z) = balance @ weights
    return [
        Row("converges", "never", "never" if not balance.any() else "?", "sum of y z is 0: never are all y z positive"),
        Row("sum of y x", "", short(balance), "x = (1, x1, x2); the text's first table calls the two inputs x0 and x1"),
        *(Row(f"wrong after {n} adjustments", "", str(wrong[n])) for n in (6, 30)),
        Row("fewest wrong in 3,000 adjustments", "", str(min(wrong))),
    ]


@program("ekman/P6")
def xor_of_two_levels(run: Run) -> list[Row]:
    """NAND and OR, joined by AND, are XOR."""
    run.data = "XOR, in the text"
    first, last = np.array([[0.9, -0.6, -0.5], [0.2, 0.6, 0.6]]), np.array([-0.9, 0.6, 0.5])
    hidden = lambda x: step(first @ np.array([1.0, *x]))  # noqa: E731
    output = lambda x: step(last @ np.array([1.0, *hidden(x)]))  # noqa: E731
    printed = {(-1, -1): "(1, -1, -1)", (1, -1): "(1, 1, 1)", (-1, 1): "(1, 1, 1)", (1, 1): "(-1, 1, -1)"}
    with run.picture(figsize=(5.6, 4.2)) as axes:
        ticks = np.linspace(-2, 2, 121)
        inside = [[output((a, b)) for a in ticks] for b in ticks]
        axes.contourf(ticks, ticks, inside, levels=[0, 2], colors=[PALETTE[5]], alpha=0.4)
        draw_points(axes, CORNERS[:, 1:], XOR)
        for weights, name, style in zip(first, ("NAND", "OR"), ("-", "--"), strict=True):
            draw_line(axes, weights, (-2, 2), color=PALETTE[2], linestyle=style, label=name)
        axes.set(xlabel="x1", ylabel="x2", xlim=(-2, 2), ylim=(-2, 2))
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    rows = [Row(f"(y0, y1, y2) at {x}", text, short([*hidden(x), output(x)])) for x, text in printed.items()]
    anywhere = run.rng.uniform(-2, 2, (1000, 2))
    between = [1.0 if line(first[1], a) <= b <= line(first[0], a) else -1.0 for a, b in anywhere]
    return [
        *rows,
        agreement("1,000 points: 1 exactly between the lines", between, [output(point) for point in anywhere]),
        Row("weights of AND", "", short(last), "our choice: the text's are in a figure"),
    ]


@program("ekman/P7")
def as_matrices(run: Run) -> list[Row]:
    """Two perceptrons and four examples are one product of matrices, in both directions of differentiation."""
    run.data = "in the text"
    w, x = np.array([[0.9, -0.6, -0.5], [0.2, 0.6, 0.6]]), np.array([[1, 1, 1, 1], [-1, -1, 1, 1], [-1, 1, -1, 1.0]])
    z, pull = vjp(lambda x: w @ x, x)
    tangent, cotangent = run.rng.normal(size=x.shape), run.rng.normal(size=z.shape)
    _, pushed = jvp(lambda x: w @ x, (x,), (tangent,))
    return [
        *(
            Row(f"WX, perceptron {i}", text, short(z[i]))
            for i, text in enumerate(("(2, 1, 0.8, -0.2)", "(-1, 0.2, 0.2, 1.4)"))
        ),
        agreement("a . b = a^T b", np.dot(w[0], x[:, 1]), (w[:1] @ x[:, 1:2]).item()),
        agreement("forward mode pushes dX to W dX", w @ tangent, pushed),
        agreement("reverse mode pulls dZ back to W^T dZ", w.T @ cotangent, pull(cotangent)[0]),
        Row("sign at z = 0", "1", f"{np.sign(0.0):g}", wrong="np.sign gives 0 there, the text's definition 1"),
    ]


@program("ekman/P8")
def geometry(run: Run) -> list[Row]:
    """The weighted sum is a plane over the inputs: its slopes, its zero line, its angle."""
    rng = run.rng
    weights = np.array([-0.2, -0.2, -0.15])
    plane = lambda x1, x2: weights[0] + weights[1] * x1 + weights[2] * x2  # noqa: E731
    cosines, signs = [], []
    for w, x in rng.normal(size=(1000, 2, 3)):
        cosines.append(w @ x / (np.linalg.norm(w) * np.linalg.norm(x)))
        signs.append(step(w @ x))
    angles = np.degrees(np.arccos(cosines))
    over_inputs, over_weights = grad(plane, (0, 1))(0.4, -1.3), grad(lambda w: w @ np.array([1.0, 0.3]))(weights[:2])
    flat = lambda first, second: np.add.outer(second, first)  # noqa: E731
    ticks = np.linspace(-2, 2, 401)
    pictures = {
        "z over the weights, x = (1, 0.3)": ("w0", "w1", flat(ticks, 0.3 * ticks)),
        "z over the inputs, w = (-0.2, -0.2, -0.15)": ("x1", "x2", flat(-0.2 - 0.2 * ticks, -0.15 * ticks)),
        "its sign": ("x1", "x2", step(flat(-0.2 - 0.2 * ticks, -0.15 * ticks))),
        "another boundary: w = (1, -1, -1)": ("x1", "x2", flat(1 - ticks, -ticks)),
    }
    with run.picture(nrows=2, ncols=2, figsize=(9, 7)) as grid:
        for axes, (title, (across, up, z)) in zip(grid.flat, pictures.items(), strict=True):
            signs_only = np.ptp(z) == 2
            shades = axes.contourf(ticks, ticks, z, levels=[-2, 0, 2] if signs_only else 20)
            axes.figure.colorbar(
                shades, ax=axes, label="y" if signs_only else "z", ticks=[-1, 1] if signs_only else None
            )
            axes.contour(ticks, ticks, z, levels=[0], colors="white", linewidths=2)
            axes.set(title=title, xlabel=across, ylabel=up)
    kept = {"w0 = -0.2": (1, 1, 1), "w0 = 0": (0, 1, 1), "w0 = w1 = 0": (0, 0, 1), "all 0": (0, 0, 0)}
    fewer = {title: weights * mask for title, mask in kept.items()}
    with run.picture("flatter", ncols=4, figsize=(12, 3.2), sharey=True) as four:
        for axes, (title, (w0, w1, w2)) in zip(four, fewer.items(), strict=True):
            shades = axes.contourf(ticks, ticks, flat(w0 + w1 * ticks, w2 * ticks), levels=np.linspace(-1, 1, 21))
            axes.set(title=title, xlabel="x1")
        four[0].set_ylabel("x2")
        four[-1].figure.colorbar(shades, ax=four[-1], label="z")
    tilts = [grad(lambda x, w=w: w[0] + x @ w[1:])(np.array([0.4, -1.3])) for w in fewer.values()]
    return [
        agreement("slopes over the inputs: w1, w2", weights[1:], over_inputs),
        agreement("slopes over the weights: x", (1.0, 0.3), over_weights),
        Row("slopes as w0, w1, w2 become 0 in turn", "", ", ".join(map(short, tilts)),
            "our choice: the text's w1 and w2 are in a figure",
            met=np.array_equal(tilts, [w[1:] for w in fewer.values()])),
        agreement("1 exactly where the angle is below 90 degrees", step(90 - angles), np.array(signs)),
        Row("w = (1, -1, -1) at (1.5, 0), (0, 0)", "", show([1 - 1.5, 1], 1), "either side of its boundary"),
    ]  # fmt: skip


@program("ekman/G1")
def update_table(run: Run) -> list[Row]:
    """What three examples do to the weights."""
    run.data = "in the text"
    examples = {
        "example 1": ((1.0, 0.0, 0.0), 1.0, "(0.1, 0, 0)"),
        "example 2": ((1.0, 0.0, 1.5), -1.0, "(-0.1, 0, -0.15)"),
        "example 3": ((1.0, -1.5, 0.0), 1.0, "(0.1, -0.15, 0)"),
    }
    weights, rows = np.array([1.0, -1.0, -1.0]), []
    for name, (x, y, printed) in examples.items():
        mistake = lambda w: -y * (w @ np.array(x))  # noqa: B023, E731
        change = -0.1 * grad(mistake)(weights)
        rows.append(Row(f"change by {name}", printed, short(change)))
    right = all(step(weights @ np.array(x)) == y for x, y, _ in examples.values())
    x = examples["example 2"][0]
    less = " and ".join(f"x{i}" for i in (0, 1) if x[i] < x[2])
    slip = "w1 does not move at all; w2 moves more than w0, since x2 = 1.5 is greater than x0 = 1"
    return [
        *rows,
        Row("(1, -1, -1) classifies all three", "yes", "yes" if right else "no"),
        Row("w2 moves more than w0 in example 2: x2 is above", "x1", less, wrong=slip),
    ]


@program("ekman/G3")
def rule_is_descent(run: Run) -> list[Row]:
    """Rosenblatt's rule and stochastic gradient descent take the same steps; all examples at once take another."""
    rng = run.rng
    x = np.column_stack([np.ones(100), rng.normal(size=(100, 3))])
    truth = rng.normal(size=4)
    y = step(x @ truth)
    by_rule, by_gradient, worst = np.zeros(4), np.zeros(4), 0.0
    for i in rng.integers(100, size=2000):
        if step(by_rule @ x[i]) != y[i]:
            by_rule = by_rule + 0.1 * y[i] * x[i]
        z = lambda w, x: w @ x  # noqa: E731
        if step(z(by_gradient, x[i])) != y[i]:
            by_gradient = by_gradient + 0.1 * y[i] * grad(z, 0)(by_gradient, x[i])
        worst = max(worst, float(np.max(np.abs(by_rule - by_gradient))))
    single = np.mean([grad(loss)(truth + 1, a, b) for a, b in zip(x, y, strict=True)], axis=0)
    whole = grad(lambda w: np.mean(np.maximum(-y * (x @ w), 0.0)))(truth + 1)
    return [
        agreement("gradient of z over the weights is x", x[0], grad(lambda w, x: w @ x, 0)(truth, x[0])),
        agreement("2,000 steps of the rule and of the gradient", worst, 0.0),
        agreement("gradient of all examples is the mean of each", single, whole),
        Row("right of 100 after these steps", "", str(int(np.sum(step(x @ by_rule) == y)))),
    ]


# -- lines and points ----------------------------------------------------------------------------------------


def line(weights: Any, x1: Any) -> Any:
    """Return the second input on the boundary; w2 = 0 is kept from dividing as in the text."""
    return -(weights[0] + weights[1] * x1) / (weights[2] if abs(weights[2]) >= 1e-5 else 1e-5)


def draw_line(axes: Any, weights: Any, ends: tuple[float, float], **style: Any) -> None:
    """Draw the boundary of a perceptron with two inputs."""
    axes.plot(ends, [line(weights, x) for x in ends], **style)


def draw_points(axes: Any, points: Any, labels: Any, names: tuple[str, str] = ("1", "-1")) -> None:
    """Draw examples of both classes."""
    for label, name, marker, color in zip((1, -1), names, ("P", "o"), PALETTE, strict=False):
        axes.scatter(*points[labels == label].T, s=70, marker=marker, color=color, label=name, zorder=3)
