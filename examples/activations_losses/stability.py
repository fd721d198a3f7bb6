"""What a loss and its last function have to be one for, and which belong together.

From Ekman, "Learning Deep Learning", chapters 5 and 6; a lecture, "Deep learning".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import grad, jvp, value_and_grad
from autodiff.ops import sigmoid, softmax
from examples.catalogue import program
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run


def naive(logits: Any, target: int) -> Any:
    """Return the cross entropy as its formula reads."""
    return -np.log(np.exp(logits) / np.sum(np.exp(logits)))[target]


@program("lecture/L15")
def naive_and_safe(run: Run) -> list[Row]:
    """-log(softmax) as it is written, and as one function: values and gradients while the gap grows."""
    run.data = "two scores, a gap apart"
    rows = []
    for gap in (10.0, 100.0, 1000.0):
        logits = np.array([gap, 0.0])
        with np.errstate(all="ignore"):
            value, slopes = value_and_grad(naive)(logits, 1)
        safe, safe_slopes = value_and_grad(lambda z: nn.losses.cross_entropy(z, np.array(1)))(logits)
        exact = gap + np.log1p(np.exp(-gap))
        shown = f"{value:.4g}, {', '.join(f'{s:.4g}' for s in slopes)}"
        rows.append(Row(f"gap {gap:g}: naive loss and gradient", "", shown))
        rows.append(agreement(f"gap {gap:g}: safe loss, gap + log(1 + e^-gap)", exact, safe))
        rows.append(agreement(f"gap {gap:g}: safe gradient, p - y", (sigmoid(gap), -sigmoid(gap)), safe_slopes))
    broken = not np.isfinite(slopes).all()
    try:
        nn.losses.cross_entropy(np.zeros((1, 10)), np.array([10]))
        classes = "{1, ..., K}"
    except IndexError:
        classes = "{0, ..., K - 1}"
    return [
        *rows,
        Row("naive at a gap of 1000", "NaN", "NaN" if broken else "finite"),
        Row("class numbers", "{1, ..., K}", classes, wrong="10 among 10 classes is refused: they are counted from 0"),
    ]


@program("ekman/K4")
def slopes_of_losses(run: Run) -> list[Row]:
    """Why cross entropy learns where the squared error stands still: e' , S' and their product, over the output."""
    y_hat = np.linspace(0.002, 0.998, 300)
    z = np.log(y_hat / (1 - y_hat))
    ones = np.ones_like(z)
    square, cross = (lambda y: y**2 / 2), (lambda y: -np.log(1 - y))  # the target is 0
    rows, curves = [], {}
    for name, loss, by_hand in (
        ("squared error", square, y_hat * y_hat * (1 - y_hat)),
        ("cross entropy", cross, y_hat),
    ):
        outer, inner = jvp(loss, (y_hat,), (ones,))[1], jvp(sigmoid, (z,), (ones,))[1]
        product = jvp(lambda z, loss=loss: loss(sigmoid(z)), (z,), (ones,))[1]
        rows.append(agreement(f"{name}: e' S' over the output", by_hand, product))
        rows.append(agreement(f"{name}: chain rule", outer * inner, product))
        curves[name] = (loss(y_hat), outer, inner, product)
    with run.picture(ncols=3, figsize=(11, 3.8)) as (values, left, right):
        for (name, (value, *_)), style in zip(curves.items(), ("-", "--"), strict=True):
            values.plot(y_hat, value, style, label=name)
        values.set(xlabel="output, target 0", ylabel="loss", ylim=(0, 5))
        values.legend()
        for axes, (name, (_, *lines)) in zip((left, right), curves.items(), strict=True):
            for line, label, style in zip(lines, ("e'", "S'", "e' S'"), ("--", ":", "-"), strict=True):
                axes.plot(y_hat, line, style, label=label)
            axes.set(xlabel="output, target 0", ylabel="slope", title=name, ylim=(-0.05, 2))
            axes.legend()
    wrong = 1 - 1e-6  # an output as far from its target 0 as it can be
    far = np.log(wrong / (1 - wrong))
    stuck, alive = (grad(lambda z, loss=loss: loss(sigmoid(z)))(far) for loss in (square, cross))
    y, s = 1.0, sigmoid(0.8)
    printed = -(y / s + (1 - y) / (1 - s)) * s * (1 - s), -(0 / s + 1 / (1 - s)) * s * (1 - s)
    right_ones = f"{s - 1:.4f}, {s:.4f}"
    return [
        *rows,
        Row("squared error: e' S' where the output is 1 - 1e-6", "to 0", f"{stuck:.1e}", met=stuck < 1e-5),
        Row("cross entropy: e' S' there", "to 1", f"{alive:.6f}", met=abs(alive - 1) < 1e-5),
        Row(
            "logistic at 1: the formula as printed",
            f"{1 / (1 - np.exp(-1)):.4f}",
            f"{sigmoid(1.0):.4f}",
            wrong="1 / (1 - e^-z) has the wrong sign",
        ),
        Row(
            "equation 5-2 as printed, z = 0.8, targets 1 and 0",
            ", ".join(f"{p:.4f}" for p in printed),
            right_ones,
            wrong="it takes -(1 - y) / (1 - output); its result, output - y, is right",
        ),
        agreement("output - y, targets 1 and 0", (s - 1, s), [grad(bce)(0.8, t) for t in (1.0, 0.0)]),
    ]


def bce(z: Any, y: float) -> Any:
    """Binary cross entropy of a logit, in one function."""
    return nn.losses.binary_cross_entropy_with_logits(np.reshape(z, (1,)), np.array([y]))


def text_bce(output: Any, y: float) -> Any:
    """Binary cross entropy as in the text's listing."""
    return -np.log(output) if y == 1.0 else -np.log(1 - output)


@program("ekman/K5")
def one_function(run: Run) -> list[Row]:
    """Cross entropy and logistic function as two factors, 0 times infinity, and as one, output - y."""
    z = np.linspace(-8, 8, 33)
    apart = [grad(lambda z: text_bce(sigmoid(z), 1.0))(v) for v in z]
    missing = "the text refers to an equation 5-4 for it, which it does not have"
    rows = [agreement("as two factors, |z| <= 8: output - y", sigmoid(z) - 1, apart, note=missing)]
    for far, y in ((-800.0, 1.0), (800.0, 0.0)):
        with np.errstate(all="ignore"):
            output = 1 / (1 + np.exp(-far))
            product = grad(text_bce)(output, y) * output * (1 - output)
        rows.append(Row(f"two factors at z = {far:g}, y = {y:g}", "", f"{product:g}", "0 times infinity"))
        rows.append(agreement(f"one function at z = {far:g}, y = {y:g}", y * -1.0 + (1 - y), grad(bce)(far, y)))
    with np.errstate(all="ignore"):
        lost = text_bce(np.tanh(-0.5), 1.0)
    logits, target = run.rng.normal(size=5), np.eye(5)[2]
    softmax_slopes = grad(lambda z: nn.losses.cross_entropy(z, target))(logits)
    return [
        *rows,
        agreement("softmax and cross entropy: p - y", softmax(logits) - target, softmax_slopes),
        Row("cross entropy of tanh(-0.5)", "does not work", "does not work" if np.isnan(lost) else f"{lost:.3f}"),
    ]


@program("ekman/R1")
def output_units(run: Run) -> list[Row]:
    """Which output unit belongs to which loss: those for which the error of the logits is output - y."""
    rng = run.rng
    z, y = rng.normal(size=4), np.eye(4)[1]
    binary = rng.integers(0, 2, 4).astype(float)
    units = {
        "logistic, cross entropy": (
            sigmoid,
            lambda z: nn.losses.binary_cross_entropy_with_logits(z, binary, reduction="sum"),
            binary,
        ),
        "softmax, cross entropy": (softmax, lambda z: nn.losses.cross_entropy(z, y), y),
        "linear, half of the squared error": (lambda z: z, lambda z: np.sum((z - y) ** 2) / 2, y),
    }
    rows = [agreement(f"{name}: output - y", unit(z) - t, grad(loss)(z)) for name, (unit, loss, t) in units.items()]
    two = nn.losses.cross_entropy(np.array([z[0], 0.0]), np.array(0))
    slopes = grad(lambda z: nn.losses.cross_entropy(z, y))(z)
    p, x = sigmoid(z), rng.normal(size=(10, 3))
    w1, w2 = rng.normal(size=(3, 5)), rng.normal(size=(5, 2))
    scores = np.array([-1.0, 0.0, 1.0, 3.0])
    with run.picture(ncols=2, figsize=(8, 3.6)) as both:
        for axes, heights, label in zip(both, (scores, softmax(scores)), ("z", "softmax(z)"), strict=True):
            axes.bar(range(4), heights)
            axes.bar_label(axes.containers[0], fmt="%.3g", padding=3)
            axes.axhline(0, color="black", linewidth=0.8)
            axes.set(xlabel="output unit", ylabel=label, xticks=range(4))
            axes.margins(y=0.12)
    return [
        *rows,
        agreement("softmax of two is the logistic of their difference", two, np.log1p(np.exp(-z[0]))),
        Row(
            "logits with a gradient, of 4",
            "4",
            str(np.count_nonzero(slopes)),
            "though only the right class is in the loss",
        ),
        agreement("the logit undoes the logistic", z, np.log(p / (1 - p))),
        agreement("two linear layers are one", x @ w1 @ w2, x @ (w1 @ w2)),
    ]
