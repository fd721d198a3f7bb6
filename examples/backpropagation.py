"""Backpropagation by hand and by the engine: Ekman, "Learning Deep Learning", chapter 3.

First the chapter's worked example (B3), every intermediate: the text computes errors by hand, the engine takes them
from the gradient, and forward mode confirms them. Then the network of three neurons that learns XOR (B6), to every
printed digit.

Run::

    python -m examples.backpropagation
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import grad, jvp, trace, vjp
from examples.report import Row, print_table

# -- the worked example --------------------------------------------------------------------------------------

INPUTS = np.array([1.0, -0.9, 0.1])  # the first is for the bias
WEIGHTS = {"g": np.array([0.3, 0.6, -0.1]), "f": np.array([-0.2, 0.5])}
TARGET, RATE = 1.0, 0.1


def logistic(z: Any) -> Any:
    """Logistic sigmoid."""
    return 1 / (1 + np.exp(-z))


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


def worked_example() -> list[Row]:
    """Every number of the worked example."""
    z_g = neuron_g(WEIGHTS)
    z_f = head(WEIGHTS, z_g)
    y_f = logistic(z_f)
    slope = grad(half_square)(y_f)
    error_f = grad(lambda z: half_square(logistic(z)))(z_f)
    error_g = grad(lambda z: half_square(logistic(head(WEIGHTS, z))))(z_g)
    gradient = grad(network_loss)(WEIGHTS)
    deltas = {name: -RATE * step for name, step in gradient.items()}
    new = {name: WEIGHTS[name] + deltas[name] for name in WEIGHTS}
    reported = [
        ("z_g (printed as y_g)", "-0.25", f"{z_g:.2f}"),
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
    return [Row(*line) for line in reported]


def modes_agree(weights: Any = WEIGHTS) -> float:
    """Largest difference between the gradient of reverse mode and the derivatives of forward mode, one by one."""
    backwards = vjp(network_loss, weights)[1](1.0)[0]
    worst = 0.0
    for name, values in weights.items():
        for i in range(len(values)):
            seed = {key: np.zeros_like(w) for key, w in weights.items()}
            seed[name][i] = 1.0
            forwards = jvp(network_loss, (weights,), (seed,))[1]
            worst = max(worst, abs(float(forwards - backwards[name][i])))
    return worst


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


def learn_xor(seed: int = 3, rate: float = 0.1) -> tuple[Any, int]:
    """Return the weights with which all four outputs are on the right side, and the number of passes it took."""
    rng = np.random.RandomState(seed)  # the text's generator, for its digits
    neurons = np.zeros((3, 3))
    neurons[:, 1:] = rng.uniform(-1.0, 1.0, (3, 2))
    weights = {"hidden": neurons[:2], "output": neurons[2]}
    order, passes, solved = list(range(4)), 0, False
    while not solved:
        rng.shuffle(order)
        for i in order:
            step = grad(xor_loss)(weights, XOR_INPUTS[i], XOR_TARGETS[i])
            weights = {name: w - rate * step[name] for name, w in weights.items()}
        passes += 1
        outputs = [xor_output(weights, x) for x in XOR_INPUTS]
        solved = [y >= 0.5 for y in outputs] == [y == 1.0 for y in XOR_TARGETS]
    return weights, passes


def xor() -> list[Row]:
    """Weights and outputs of the network that learned XOR."""
    weights, passes = learn_xor()
    neurons = [*weights["hidden"], weights["output"]]
    outputs = [f"{xor_output(weights, x):.4f}" for x in XOR_INPUTS]
    printed = ("(0.70, 0.77, 0.76)", "(0.40, -0.58, -0.56)", "(-0.43, 1.01, 0.89)")
    rows = [
        Row(f"weights of N{i}", text, "(" + ", ".join(f"{w:.2f}" for w in neuron) + ")")
        for i, (text, neuron) in enumerate(zip(printed, neurons, strict=True))
    ]
    signs = ("(-1, -1)", "(-1, 1)", "(1, -1)", "(1, 1)")
    printed = ("0.4255", "0.6291", "0.6258", "0.4990")
    rows += [Row(f"output for {at}", text, y) for at, text, y in zip(signs, printed, outputs, strict=True)]
    return [*rows, Row("passes over the data", "not given", str(passes), "")]


def main() -> list[Row]:
    """Print both tables and return their rows."""
    worked, learned = worked_example(), xor()
    print(trace(lambda w: network_loss({"g": w[:3], "f": w[3:]}))(np.concatenate([*WEIGHTS.values()])).table())
    print_table("The worked example (Ekman, chapter 3)", worked)
    print(f"Forward and reverse mode differ by at most {modes_agree():.1e}.")
    print_table("Three neurons learn XOR (Ekman, chapter 3)", learned)
    return worked + learned


if __name__ == "__main__":
    main()
