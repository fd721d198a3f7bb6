"""Activation functions and their slopes.

From Buduma, "Fundamentals of Deep Learning", chapter 1; Ekman, "Learning Deep Learning", chapters 3 and 5; Ketkar,
"Deep Learning with Python", chapter 4. Every slope that is drawn is a tangent of forward mode, and is compared with a
formula.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import grad, jvp
from autodiff.ops import elu, leaky_relu, relu, sigmoid, softmax, softplus
from examples.catalogue import program
from examples.report import Row, agreement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from examples.run import Run

    Function = Callable[[Any], Any]

POINTS = np.linspace(-5, 5, 400)  # an even number of them: none at zero, where some have a kink
STYLES = ("-", "--", "-.", ":", "-", "--", "-.")


def slope(function: Function, x: Any) -> Any:
    """Return the derivative at each point, in one forward pass."""
    return jvp(function, (x,), (np.ones_like(x),))[1]


def draw(run: Run, functions: Mapping[str, Function], name: str = "") -> None:
    """Draw functions, and their slopes beside them."""
    with run.picture(name, ncols=2, figsize=(9.2, 3.8)) as (left, right):
        for (label, function), style in zip(functions.items(), STYLES, strict=False):
            left.plot(POINTS, function(POINTS), style, label=label)
            right.plot(POINTS, slope(function, POINTS), style, label=label)
        left.set(xlabel="z", ylabel="output", ylim=(-2.2, 5.2))
        right.set(xlabel="z", ylabel="slope, by forward mode", ylim=(-1.3, 1.6))
        right.legend(loc="upper left", bbox_to_anchor=(1, 1))


def slopes_by_hand(functions: Mapping[str, tuple[Function, Function]]) -> list[Row]:
    """Compare slopes with formulas."""
    return [agreement(f"slope of {n}", formula(POINTS), slope(f, POINTS)) for n, (f, formula) in functions.items()]


@program("buduma/B05")
def neurons(run: Run) -> list[Row]:
    """Sigmoid, tanh and rectified (not, as the text has it, restricted) linear neurons, and a softmax layer."""
    functions: dict[str, tuple[Function, Function]] = {
        "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
        "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
        "ReLU": (lambda z: np.maximum(0, z), lambda z: np.where(z > 0, 1.0, 0.0)),
    }
    draw(run, {name: function for name, (function, _) in functions.items()})
    z = run.rng.normal(size=6)
    layer = lambda z: np.exp(z) / np.sum(np.exp(z))  # noqa: E731
    y = layer(z)
    jacobian = np.array([jvp(layer, (z,), (axis,))[1] for axis in np.eye(6)]).T
    centre = {name: abs(float(np.mean(functions[name][0](POINTS)))) for name in functions}
    return [
        *slopes_by_hand(functions),
        agreement("softmax layer: sum", 1.0, np.sum(y)),
        agreement("softmax layer: Jacobian diag(y) - y y^T", np.diag(y) - np.outer(y, y), jacobian),
        Row("mean output over z in (-5, 5), tanh", "zero-centred", f"{centre['tanh']:.0e}", met=centre["tanh"] < 1e-12),
        Row("  sigmoid", "", f"{centre['sigmoid']:.2f}", "not centred: why the text prefers tanh"),
        Row("  ReLU", "", f"{centre['ReLU']:.2f}", 'the rectified linear unit; "restricted" is a slip of the text'),
    ]


def range_of(function: Function) -> str:
    """Return the largest and the least output, and the input at which the output crosses the middle, by bisection."""
    low, high = -40.0, 40.5  # as good as infinite
    least, most = float(function(low)), float(function(high))
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < (least + most) / 2 else (low, middle)
    return ", ".join(f"{round(v, 6) + 0.0:g}" for v in (most, least, high))


@program("ekman/B1")
def two_curves(run: Run) -> list[Row]:
    """The hyperbolic tangent and the logistic function: two ways to write each, slopes from the output, their ends."""
    z = POINTS
    tanh = lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))  # noqa: E731
    logistic = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    draw(run, {"tanh": tanh, "logistic": logistic})
    table = (
        ("sign", np.sign, "1, -1, 0"),
        ("tanh", np.tanh, "1, -1, 0"),
        ("logistic", logistic, "1, 0, 0"),
        ("digital gate", lambda z: np.where(z < 0.5, 0.0, 1.0), "1, 0, 0.5"),
    )
    rows = [Row(f"{name}: max, min, threshold", printed, range_of(function)) for name, function, printed in table]
    return [
        agreement("tanh, two formulas", tanh(z), (np.exp(2 * z) - 1) / (np.exp(2 * z) + 1)),
        agreement("logistic, two formulas", logistic(z), np.exp(z) / (np.exp(z) + 1)),
        agreement("tanh' = 1 - tanh^2", 1 - tanh(z) ** 2, slope(tanh, z)),
        agreement("S' = S (1 - S)", logistic(z) * (1 - logistic(z)), slope(logistic, z)),
        agreement("tanh z = 2 S(2 z) - 1", np.tanh(z), 2 * logistic(2 * z) - 1),
        *rows,
    ]


def maxout(z: Any) -> Any:
    """Return the largest of three lines: falling, level, rising."""
    return np.max(np.stack([-0.5 * z - 1, 0 * z, z - 1]), axis=0)


@program("ekman/K6")
def zoo(run: Run) -> list[Row]:
    """The units that fight vanishing gradients, and tanh with a slope added."""
    z_positive = lambda z: z > 0  # noqa: E731
    functions: dict[str, tuple[Function, Function]] = {
        "tanh z + 0.2 z": (lambda z: np.tanh(z) + 0.2 * z, lambda z: 1.2 - np.tanh(z) ** 2),
        "ReLU": (relu, lambda z: np.where(z_positive(z), 1.0, 0.0)),
        "leaky ReLU": (lambda z: leaky_relu(z, 0.1), lambda z: np.where(z_positive(z), 1.0, 0.1)),
        "softplus": (softplus, lambda z: 1 / (1 + np.exp(-z))),
        "ELU": (elu, lambda z: np.where(z_positive(z), 1.0, np.exp(np.minimum(z, 0)))),
        "maxout": (maxout, lambda z: np.where(z > 1, 1.0, np.where(z < -2, -0.5, 0.0))),
    }
    draw(run, {name: function for name, (function, _) in functions.items()})
    far, steep = 20.0, slope(np.tanh, POINTS)
    fading = [f"{name}: {slope(f, far):.2g}" for name, (f, _) in functions.items()]
    note = "the text gives no formulas: leaky slope 0.1 and the three lines of maxout are our choice"
    return [
        *slopes_by_hand(functions),
        Row("slopes at 20; tanh: " + f"{slope(np.tanh, far):.0e}", "", ", ".join(fading), note),
        Row("slope of ReLU at 0", "1", f"{grad(relu)(0.0):g}", "a convention, which the text allows to be 1"),
        Row("slopes of tanh, which vanish when multiplied", "below 0", f"{steep.min():.1e} to {steep.max():.4f}",
            wrong="a slip: they lie below 1, and above 0"),
    ]  # fmt: skip


def fast_sigmoid(z: Any) -> Any:
    """Return the rational curve that stands for the sigmoid around zero; it holds for |z| < 3.4."""
    half = z / 2
    return (1.5 * half / (1 + np.abs(half)) + 1) / 2


@program("ketkar/K4-4")
def at_three_points(run: Run) -> list[Row]:
    """Six functions at -1, 0 and 1; softmax takes the three together."""
    run.data = "in the text"
    z = np.array([[-1.0, 0.0, 1.0]])
    e = np.e
    expected: dict[str, tuple[Function, Any]] = {
        "sigmoid": (sigmoid, (1 / (1 + e), 0.5, e / (1 + e))),
        "tanh": (np.tanh, ((1 - e**2) / (1 + e**2), 0, (e**2 - 1) / (e**2 + 1))),
        "fast sigmoid": (fast_sigmoid, (0.25, 0.5, 0.75)),
        "softplus": (softplus, (np.log(1 + 1 / e), np.log(2), np.log(1 + e))),
        "ReLU": (relu, (0, 0, 1)),
        "softmax": (softmax, np.array([1 / e, 1, e]) / (1 / e + 1 + e)),
    }
    rows = []
    for name, (function, by_hand) in expected.items():
        value = function(z)[0]
        same = agreement(name, by_hand, value)
        note = (
            "the text does not define it; a rational curve around 0"
            if name == "fast sigmoid"
            else "by hand: " + same.measured
        )
        rows.append(Row(f"{name} of -1, 0, 1", "", ", ".join(f"{v:.5f}" for v in value), note, same.met))
    with run.picture() as axes:
        for (name, (function, _)), style in zip(expected.items(), STYLES, strict=False):
            if name != "softmax":
                axes.plot(np.linspace(-3, 3, 200), function(np.linspace(-3, 3, 200)), style, label=name)
        axes.set(xlabel="z", ylabel="output")
        axes.legend()
    return rows
