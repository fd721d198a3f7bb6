"""Backpropagation by hand: Buduma, "Fundamentals of Deep Learning", chapter 2; Ekman, "Learning Deep Learning", 3.

What the texts derive on paper is written down here as it stands there, neuron by neuron, and compared with the engine's
gradient. Then Ekman's worked example, every intermediate, and his three neurons that learn XOR, to every printed digit.

Run::

    python -m examples run backprop-by-hand
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import check_grads, grad, jvp, trace, value_and_grad, vjp
from examples.catalogue import program
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run


def logistic(z: Any) -> Any:
    """Logistic sigmoid."""
    return 1 / (1 + np.exp(-z))


# -- derivations on paper ------------------------------------------------------------------------------------


@program("buduma/B07")
def one_neuron(run: Run) -> list[Row]:
    """One sigmoidal neuron: each factor of the chain rule, and descent with the gradient of either."""
    run.data = "generated: 20 examples of 3 inputs"
    rng = run.rng
    x, t, w = rng.normal(size=(20, 3)), rng.uniform(size=20), rng.normal(size=3)
    error = lambda w: np.sum((t - logistic(x @ w)) ** 2) / 2  # noqa: E731

    def by_hand(w: Any) -> Any:
        """Return -sum over the examples of x y (1 - y) (t - y)."""
        y = logistic(x @ w)
        return -np.sum(x * (y * (1 - y) * (t - y))[:, None], axis=0)

    z = x[0] @ w
    y = logistic(z)
    first, second, rate = w, w, 0.5
    for _ in range(run.length(500)):
        first, second = first - rate * by_hand(first), second - rate * grad(error)(second)
    check_grads(error, (w,))  # finite differences, both modes
    return [
        agreement("dz/dw = x", x[0], grad(lambda w: x[0] @ w)(w)),
        agreement("dz/dx = w", w, grad(lambda x: x @ w)(x[0])),
        agreement("dy/dz = y (1 - y), forward mode", y * (1 - y), jvp(logistic, (z,), (1.0,))[1]),
        agreement("dy/dw = x y (1 - y)", x[0] * y * (1 - y), grad(lambda w: logistic(x[0] @ w))(w)),
        agreement("dE/dw = -sum x y (1 - y) (t - y)", by_hand(w), grad(error)(w)),
        agreement(f"weights after {run.length(500)} steps of descent", first, second),
        Row("error before and after", "", f"{error(w):.3f}, {error(first):.3f}", met=bool(error(first) < error(w))),
    ]


SLOPES = {  # of a neuron's output y by its weighted sum, from the output alone
    "logistic": (logistic, lambda y: y * (1 - y)),
    "tanh": (np.tanh, lambda y: 1 - y**2),
    "relu": (lambda z: np.maximum(z, 0), lambda y: np.where(y > 0, 1.0, 0.0)),
}


@program("buduma/B08")
def recurrences(run: Run) -> list[Row]:
    """A network of several layers: the errors of a layer from those of the next, the weights' from both ends."""
    run.data = "generated: 16 examples"
    rng = run.rng
    weights = [rng.normal(size=shape) for shape in ((4, 6), (6, 5), (5, 3))]
    inputs, t = rng.normal(size=(16, 4)), rng.uniform(size=(16, 3))
    rows = []
    for name, (function, slope) in SLOPES.items():

        def layers(weights: Any, function: Any = function) -> list[Any]:
            """Return the outputs of every layer, the inputs first."""
            outputs = [inputs]
            for w in weights:
                outputs.append(function(outputs[-1] @ w))
            return outputs

        value, engine = value_and_grad(lambda w: np.sum((t - layers(w)[-1]) ** 2) / 2)(weights)
        outputs = layers(weights)
        by_hand: list[Any] = []
        dy = -(t - outputs[-1])
        for w, below, y in zip(reversed(weights), reversed(outputs[:-1]), reversed(outputs[1:]), strict=True):
            dz = slope(y) * dy
            by_hand.insert(0, below.T @ dz)  # sums over the examples
            dy = dz @ w.T
        note = "the text leaves it to the reader" if name != "logistic" else None
        pairs = zip(by_hand, engine, strict=True)
        rows += [agreement(f"{name}: dE/dw of layer {i}", a, b, note=note) for i, (a, b) in enumerate(pairs, 1)]
        shrunk = [w - 0.001 * g for w, g in zip(weights, by_hand, strict=True)]
        after = float(np.sum((t - layers(shrunk)[-1]) ** 2) / 2)
        rows.append(Row(f"{name}: error, one step later", "", f"{value:.4f}, {after:.4f}", met=bool(after < value)))
    return rows


@program("ekman/B5")
def any_graph(run: Run) -> list[Row]:
    """Neurons wired in any way without cycles: a neuron's error gathers those of all that it feeds."""
    rng, inputs, neurons, outputs = run.rng, 3, 12, 3
    x, t = rng.normal(size=inputs), rng.normal(size=outputs)
    wires = [(i, j) for j in range(inputs, inputs + neurons) for i in range(j) if rng.uniform() < 0.5]
    weights = dict(zip(wires, rng.normal(size=len(wires)), strict=True))

    def run_neurons(weights: Any) -> list[Any]:
        """Return the output of every node, the inputs first; each neuron reads some of those before it."""
        y = list(x)
        for j in range(inputs, inputs + neurons):
            y.append(np.tanh(sum((weights[i, k] * y[i] for i, k in wires if k == j), 0.0)))
        return y

    y = run_neurons(weights)
    error = dict.fromkeys(range(inputs + neurons), 0.0)
    for j in reversed(range(inputs, inputs + neurons)):
        from_above = sum(error[k] * weights[j, k] for i, k in wires if i == j)
        if j >= inputs + neurons - outputs:
            from_above += y[j] - t[j - inputs - neurons + outputs]
        error[j] = (1 - y[j] ** 2) * from_above
    by_hand = [error[j] * y[i] for i, j in wires]
    loss = lambda w: sum((y - t) ** 2 / 2 for y, t in zip(run_neurons(w)[-outputs:], t, strict=True))  # noqa: E731
    engine = grad(loss)(weights)
    forward = [jvp(loss, (weights,), ({**dict.fromkeys(wires, 0.0), wire: 1.0},))[1] for wire in wires]
    fan = max(sum(i == j for i, _ in wires) for j in range(inputs + neurons))
    return [
        Row("neurons, weights, largest fan-out", "", f"{neurons}, {len(wires)}, {fan}"),
        agreement("errors by hand, reverse mode", by_hand, [engine[wire] for wire in wires]),
        agreement("errors by hand, forward mode weight by weight", by_hand, forward),
    ]


# -- Ekman's two neurons -------------------------------------------------------------------------------------

INPUTS = np.array([1.0, -0.9, 0.1])  # the first is for the bias
WEIGHTS = {"g": np.array([0.3, 0.6, -0.1]), "f": np.array([-0.2, 0.5])}
TARGET, RATE = 1.0, 0.1


def neuron_g(weights: Any) -> Any:
    """Weighted sum of the first neuron, whose output is its tanh."""
    return weights["g"] @ INPUTS


def head(weights: Any, z_g: Any) -> Any:
    """Weighted sum of the second neuron, whose output is its logistic sigmoid."""
    return weights["f"][0] + weights["f"][1] * np.tanh(z_g)


def half_square(y_f: Any) -> Any:
    """Half of the squared error, so that its derivative is the difference."""
    return (TARGET - y_f) ** 2 / 2


def network_loss(weights: Any) -> Any:
    """Half of the squared error of the network's output."""
    return half_square(logistic(head(weights, neuron_g(weights))))


def forward_derivatives(weights: Any) -> Any:
    """Return the derivatives by the weights of g, then of f, one after the other in forward mode."""
    values = []
    for name, axis in [(part, axis) for part in ("g", "f") for axis in np.eye(len(weights[part]))]:
        seed = {key: axis if key == name else np.zeros_like(w) for key, w in weights.items()}
        values.append(jvp(network_loss, (weights,), (seed,))[1])
    return np.array(values)


@program("ekman/B2")
def two_neurons(run: Run) -> list[Row]:
    """The five partial derivatives as the text derives them, and the trace in which they share their factors."""
    rng = run.rng
    weights = {"g": rng.normal(size=3), "f": rng.normal(size=2)}
    scalar = lambda w_xg0, w_xg1, w_xg2, w_gf0, w_gf1: half_square(  # noqa: E731
        logistic(w_gf0 + w_gf1 * np.tanh(w_xg0 - 0.9 * w_xg1 + 0.1 * w_xg2))
    )
    record = trace(scalar)(*map(float, weights["g"]), *map(float, weights["f"]))
    run.say(record.table())
    z_g = neuron_g(weights)
    g, f = np.tanh(z_g), logistic(head(weights, z_g))
    error_f = -(TARGET - f) * f * (1 - f)
    error_g = error_f * weights["f"][1] * (1 - g**2)
    by_hand = np.array([error_g, error_g * INPUTS[1], error_g * INPUTS[2], error_f, error_f * g])
    engine = vjp(network_loss, weights)[1](1.0)[0]
    steps, sweep = len(record.steps), len(trace(grad(scalar, (0, 1, 2, 3, 4)))(*[0.1] * 5).steps)
    return [
        agreement("equation 3-1, reverse mode", by_hand, np.concatenate([engine["g"], engine["f"]])),
        agreement("equation 3-1, forward mode", by_hand, forward_derivatives(weights)),
        Row("operations: value; value and all five", "", f"{steps}; {sweep}", met=sweep < 5 * steps),
    ]


@program("ekman/B3")
def worked_example(run: Run) -> list[Row]:
    """Every number of the worked example."""
    run.data = "in the text"
    z_g = neuron_g(WEIGHTS)
    z_f = head(WEIGHTS, z_g)
    y_f = logistic(z_f)
    slope = grad(half_square)(y_f)
    error_f = grad(lambda z: half_square(logistic(z)))(z_f)
    error_g = grad(lambda z: half_square(logistic(head(WEIGHTS, z))))(z_g)
    gradient = grad(network_loss)(WEIGHTS)
    deltas = {name: -RATE * step for name, step in gradient.items()}
    new = {name: WEIGHTS[name] + deltas[name] for name in WEIGHTS}
    run.say(trace(lambda w: network_loss({"g": w[:3], "f": w[3:]}))(np.concatenate([*WEIGHTS.values()])).table())
    misnamed = "printed is z_g, -0.25; y_g is its tanh, and the text itself goes on with -0.24"
    reported = [
        ("z_g", "-0.25", f"{z_g:.2f}"),
        ("y_f", "0.42", f"{y_f:.2f}"),
        ("MSE", "0.17", f"{half_square(y_f):.2f}"),
        ("MSE'", "-0.58", f"{slope:.2f}"),
        ("error term of f", "-0.14", f"{error_f:.2f}"),
        ("error term of g", "-0.066", f"{error_g:.3f}"),
        ("change of w_xg0", "+0.0066", f"{deltas['g'][0]:+.4f}"),
        ("change of w_xg1", "-0.0060", f"{deltas['g'][1]:+.4f}"),
        ("change of w_xg2", "+0.00066", f"{deltas['g'][2]:+.5f}"),
        ("change of w_gf0", "+0.014", f"{deltas['f'][0]:+.3f}"),
        ("change of w_gf1", "-0.0035", f"{deltas['f'][1]:+.4f}"),
        ("new w_xg0", "0.3066", f"{new['g'][0]:.4f}"),
        ("new w_xg1", "0.5940", f"{new['g'][1]:.4f}"),
        ("new w_xg2", "-0.0993", f"{new['g'][2]:.4f}"),
        ("new w_gf0", "-0.1859", f"{new['f'][0]:.4f}"),
        ("new w_gf1", "0.4965", f"{new['f'][1]:.4f}"),
    ]
    both = np.concatenate([gradient["g"], gradient["f"]])
    return [
        *(Row(*line) for line in reported),
        Row("y_g", "-0.25", f"{np.tanh(z_g):.4f}", wrong=misnamed),
        agreement("reverse and forward mode", both, forward_derivatives(WEIGHTS), 1e-15),
    ]


# -- XOR -----------------------------------------------------------------------------------------------------

XOR_INPUTS = np.array([[1.0, -1.0, -1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0], [1.0, 1.0, 1.0]])
XOR_TARGETS = (0.0, 1.0, 1.0, 0.0)


def xor_output(weights: Any, x: Any) -> Any:
    """Two neurons with tanh, one with the logistic sigmoid; the first weight of each is the bias."""
    hidden = np.tanh(weights["hidden"] @ x)
    return logistic(weights["output"][0] + weights["output"][1:] @ hidden)


def xor_loss(weights: Any, x: Any, y: float) -> Any:
    """Half of the squared error."""
    return (y - xor_output(weights, x)) ** 2 / 2


def learn_xor(seed: int = 3, rate: float = 0.1, most: int = 500) -> tuple[Any, int]:
    """Return the weights with which all four outputs are on the right side, and the number of passes it took.

    After `most` passes it is given up.
    """
    rng = np.random.RandomState(seed)  # the text's generator, for its digits
    neurons = np.zeros((3, 3))
    neurons[:, 1:] = rng.uniform(-1.0, 1.0, (3, 2))
    weights = {"hidden": neurons[:2], "output": neurons[2]}
    order, passes, solved = list(range(4)), 0, False
    while not solved and passes < most:
        rng.shuffle(order)
        for i in order:
            step = grad(xor_loss)(weights, XOR_INPUTS[i], XOR_TARGETS[i])
            weights = {name: w - rate * step[name] for name, w in weights.items()}
        passes += 1
        outputs = [xor_output(weights, x) for x in XOR_INPUTS]
        solved = [y >= 0.5 for y in outputs] == [y == 1.0 for y in XOR_TARGETS]
    return weights, passes


@program("ekman/B6")
def xor(run: Run) -> list[Row]:
    """Weights and outputs of the network that learned XOR."""
    run.data = "XOR, in the text"
    weights, passes = learn_xor()
    draw_xor(run, weights)
    neurons = [*weights["hidden"], weights["output"]]
    outputs = [f"{xor_output(weights, x):.4f}" for x in XOR_INPUTS]
    printed = ("(0.70, 0.77, 0.76)", "(0.40, -0.58, -0.56)", "(-0.43, 1.01, 0.89)")
    rows = [
        Row(f"weights of N{i}", text, "(" + ", ".join(f"{w:.2f}" for w in neuron) + ")")
        for i, (text, neuron) in enumerate(zip(printed, neurons, strict=True))
    ]
    signs = ("(-1, -1)", "(-1, 1)", "(1, -1)", "(1, 1)")
    four = ("0.4255", "0.6291", "0.6258", "0.4990")
    rows += [Row(f"output for {at}", text, y) for at, text, y in zip(signs, four, outputs, strict=True)]
    needed = np.array([learn_xor(seed)[1] for seed in range(3 if run.smoke else 20)])
    others = f"{np.sum(needed < 500)} of {len(needed)}"
    chance = f"after {needed.min()} passes at the earliest; the text says that another start or rate may be needed"
    return [
        *rows,
        Row("passes over the data", "", str(passes), "the text does not tell"),
        Row("seeds from 0 that learn it in less than 500", "", others, chance),
    ]


def draw_xor(run: Run, weights: Any) -> None:
    """Draw the output over both inputs."""
    ticks = np.linspace(-1.5, 1.5, 61)
    values = [[xor_output(weights, np.array([1.0, a, b])) for a in ticks] for b in ticks]
    with run.picture(figsize=(5.6, 4.2)) as axes:
        shades = axes.contourf(ticks, ticks, values, levels=20)
        axes.contour(ticks, ticks, values, levels=[0.5], colors="white")
        for (_, a, b), y in zip(XOR_INPUTS, XOR_TARGETS, strict=True):
            box = {"boxstyle": "circle", "facecolor": "white"}
            axes.text(a, b, f"{y:.0f}", ha="center", va="center", bbox=box)
        axes.figure.colorbar(shades, ax=axes, label="output of the network")
        axes.set(xlabel="x1", ylabel="x2", title="XOR: targets; the white line is 0.5")
