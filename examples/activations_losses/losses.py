"""Losses of classifiers, by hand and from `nn.losses`, with their gradients.

From Hui's blog "deep learning, part 2"; Ketkar, "Deep Learning with Python", chapter 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import grad, jvp, vjp
from autodiff.ops import sigmoid, softmax
from examples.catalogue import program
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run


@program("hui/B3")
def logistic_classifier(run: Run) -> list[Row]:
    """Yes if sigmoid(score) is at least one half; its loss for both labels, at any score; and some descent."""
    run.data = "generated: 200 points of two clouds"
    rng = run.rng
    labels = np.repeat([-1.0, 1.0], 100)
    x = np.column_stack([rng.normal(labels[:, None], 1.0, (200, 2)), np.ones(200)])
    loss = lambda w: np.mean(np.log1p(np.exp(-labels * (x @ w))))  # noqa: E731
    ours = lambda w: nn.losses.binary_cross_entropy_with_logits(x @ w, (labels + 1) / 2)  # noqa: E731
    w = rng.normal(size=3)
    by_hand = -np.mean((labels * sigmoid(-labels * (x @ w)))[:, None] * x, axis=0)
    fitted = w
    for _ in range(run.length(200)):
        fitted = fitted - 0.5 * grad(ours)(fitted)
    right = float(np.mean((sigmoid(x @ fitted) >= 0.5) == (labels > 0)))
    far = np.array([-1000.0, 0.0, 1000.0])
    safe = nn.losses.binary_cross_entropy_with_logits(far, np.ones(3), reduction="none")
    printed, both = np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))
    return [
        agreement("log(1 + e^(-y z)), by hand and from nn", loss(w), ours(w)),
        agreement("its gradient", by_hand, grad(ours)(w)),
        Row(
            "loss of a no at z = 2, as printed",
            f"{printed:.4f}",
            f"{both:.4f}",
            wrong="log(1 + e^-z) is the loss of a yes only",
        ),
        agreement("loss at -1000, 0, 1000", (1000.0, np.log(2), 0.0), safe, note="e^1000 overflows, softplus does not"),
        Row("right after descent", "", f"{100 * right:.0f} %", met=right > 0.8),
    ]


@program("hui/B4")
def softmax_classifier(run: Run) -> list[Row]:
    """School bus, truck or airplane from the scores (3.2, 0.8, 0)."""
    run.data = "in the text"
    scores = np.array([3.2, 0.8, 0.0])
    p = softmax(scores)
    misprint = np.exp(0.2) / np.sum(np.exp(scores))
    callers = scores.copy()
    callers -= np.max(callers)  # as the listing's function does with its argument
    logits = np.log(p) - np.log(p[2])
    return [
        Row("probabilities", "[0.88379809 0.08017635 0.03602556]", f"[{' '.join(f'{v:.8f}' for v in p)}]"),
        Row("rounded", "0.88, 0.08, 0.04", ", ".join(f"{v:.2f}" for v in p)),
        Row("truck as e^0.2 over the sum", "0.08", f"{misprint:.2f}", wrong="a misprint for e^0.8"),
        agreement("scores moved by 1000", p, softmax(scores + 1000)),
        agreement("log-probabilities, up to a constant", scores, logits),
        agreement(
            "dp/dscore = diag(p) - p p^T", (np.diag(p) - np.outer(p, p))[0], vjp(softmax, scores)[1](np.eye(3)[0])[0]
        ),
        Row("the scores after the listing's z -= np.max(z)", "", ", ".join(f"{v:.1f}" for v in callers),
            "it changes the caller's array; of integers it fails"),
        Row("a logit: sigmoid's, at z = 0.8", f"its output, {sigmoid(0.8):.2f}",
            f"its input, {np.log(sigmoid(0.8) / (1 - sigmoid(0.8))):.1f}", wrong="log(p / (1 - p)) undoes the sigmoid"),
    ]  # fmt: skip


@program("hui/B5")
def hinge_of_scores(run: Run) -> list[Row]:
    """Scores (8, 14, 9.5, 10), the last being right: what the wrong ones that come too near cost."""
    run.data = "in the text"
    scores, right = np.array([8.0, 14.0, 9.5, 10.0]), 3
    terms = [max(0.0, s - scores[right] + 1) for j, s in enumerate(scores) if j != right]
    loss = lambda s: nn.losses.multiclass_hinge(s, np.array(right))  # noqa: E731
    sure = np.array([0.0, 0.0, 0.0, 9.0])
    hinge, entropy = float(loss(sure)), float(nn.losses.cross_entropy(sure, np.array(right)))
    return [
        Row("terms", "0 + 5 + 0.5", " + ".join(f"{t:g}" for t in terms)),
        Row("loss", "5.5", f"{sum(terms):g}"),
        Row("loss, nn", "5.5", f"{float(loss(scores)):g}"),
        agreement("gradient: 1 for each near one, minus their number", (0.0, 1.0, 1.0, -2.0), grad(loss)(scores)),
        Row("predicted", "", str(int(np.argmax(scores)) + 1), "the class that scores 14; the 4th is right"),
        Row("hinge and cross entropy of (0, 0, 0, 9)", "only softmax punishes it", f"{hinge:g}, {entropy:.4f}",
            "a right answer, and sure", met=hinge == 0 < entropy),
    ]  # fmt: skip


def entropy(p: Any) -> Any:
    """Return the entropy in nats; 0 log 0 is 0."""
    p = np.asarray(p)
    return -np.sum(p * np.log(np.where(p > 0, p, 1)))


@program("hui/B6")
def information(run: Run) -> list[Row]:
    """Bits of a code, the cross entropy of a right answer, and why KL divergence has the same gradient."""
    run.data = "in the text"
    letters = np.array([0.25, 0.25, 0.5])
    bits, lengths = entropy(letters) / np.log(2), np.array([2, 2, 1])  # of the codes 10, 11 and 0
    truth, guess = np.array([1.0, 0.0, 0.0]), np.array([0.88, 0.08, 0.04])
    cross = lambda q, p=truth: -np.sum(p * np.log(q))  # noqa: E731
    soft, z = np.array([0.7, 0.2, 0.1]), run.rng.normal(size=3)
    by_cross = grad(lambda z: nn.losses.cross_entropy(z, soft))(z)
    by_kl = grad(lambda z: nn.losses.kl_divergence(z, soft))(z)
    difference = nn.losses.cross_entropy(z, soft) - nn.losses.kl_divergence(z, soft)
    return [
        Row("entropy of (a, b, c)", "1.5 bits", f"{bits:.1f} bits"),
        Row("mean length of its code", "1.5 bits", f"{letters @ lengths:.1f} bits"),
        Row("cross entropy of (0.88, 0.08, 0.04)", "-log 0.88", f"-log {np.exp(-cross(guess)):.2f}"),
        Row(
            "which is",
            "",
            f"{cross(guess):.4f} nats, {cross(guess) / np.log(2):.4f} bits",
            "the text does not tell the base",
        ),
        agreement("cross entropy - KL = entropy of the truth", entropy(soft), difference),
        agreement("dKL/dz = dH/dz", by_cross, by_kl),
        agreement("both are q - p", softmax(z) - soft, by_kl),
    ]


@program("ketkar/K4-7")
def three_losses(run: Run) -> list[Row]:
    """Binary and categorical cross entropy and the squared error of (0.01, 0.01, 0.01) against (0.99, 0.99, 0.01)."""
    run.data = "in the text"
    output, target = np.array([[0.01, 0.01, 0.01]]), np.array([[0.99, 0.99, 0.01]])
    binary = lambda o: -np.mean(target * np.log(o) + (1 - target) * np.log(1 - o))  # noqa: E731
    categorical = lambda o: -np.sum(target * np.log(o), axis=1)  # noqa: E731
    squares = (output - target) ** 2
    logits = np.log(output / (1 - output))
    by_hand = (-target / output + (1 - target) / (1 - output)) / target.size
    copied = "the line above again; (0.01 - 0.99)^2 is 0.9604, twice, and 0"
    return [
        Row("binary cross entropy, mean", "3.058146503109446", str(float(binary(output)))),
        Row("categorical cross entropy", "9.16428867", f"{categorical(output)[0]:.8f}"),
        Row("squared error", "9.16428867", f"[[{', '.join(f'{v:.4g}' for v in squares[0])}]]", wrong=copied),
        agreement("binary, nn on logits", binary(output), nn.losses.binary_cross_entropy_with_logits(logits, target)),
        agreement("its gradient", by_hand, grad(binary)(output)),
    ]


def hinge_by_max(x: Any, y: Any) -> Any:
    """Return max(0, 1 - x y)."""
    return np.maximum(0.0, 1 - x * y)


def hinge_by_branch(x: Any, y: Any) -> Any:
    """Return the same with Python's own if."""
    return 1 - x * y if x * y < 1 else 0.0 * x


def hinge_by_switch(x: Any, y: Any) -> Any:
    """Return the same by choosing between two values."""
    return np.where(x * y < 1, 1 - x * y, 0.0)


@program("ketkar/K4-13")
def hinge_three_ways(run: Run) -> list[Row]:
    """A hinge as a maximum, as a branch, and as a choice."""
    run.data = "in the text"
    points, rows = (-2.0, -1.0, 0.0, 1.0, 2.0), []
    forms = {"max": hinge_by_max, "if-else": hinge_by_branch, "switch": hinge_by_switch}
    for name, form in forms.items():
        values = ", ".join(f"{float(form(x, 1.0)):g}" for x in points)
        note = "the text's listing calls if-else a second time instead" if name == "switch" else None
        rows.append(Row(f"{name} at -2 ... 2", "3, 2, 1, 0, 0", values, note))
        smooth = [x for x in points if x != 1]
        slopes = [jvp(lambda x, form=form: form(x, 1.0), (x,), (1.0,))[1] for x in smooth]
        rows.append(agreement(f"{name}: slopes beside the kink", [-1.0 if x < 1 else 0.0 for x in smooth], slopes))
    kinks = ", ".join(f"{name} {float(grad(form)(1.0, 1.0)):g}" for name, form in forms.items())
    return [*rows, Row("slopes at the kink", "", kinks, "a maximum takes half of each side where they tie")]
