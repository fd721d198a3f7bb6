"""Where classifiers of points in the plane draw the line.

- Buduma, "Fundamentals of Deep Learning", chapter 2: width (B12), depth (B13) and L2 penalties (B15).
- Hui's blog "Deep learning, part 2" (B2): a wiggly boundary and a smooth one, and an outlier.
- Ketkar, "Deep Learning with Python": two moons, 2-1000-2 (K8-2), and logistic regression (K9-3).
- Ekman, "Learning Deep Learning", appendix A: logistic regression (A2), XOR with products (A3), support vectors (A4).

No text gives its points (XOR's are known); they are generated. How much a boundary bends is measured by its length.

Run::

    python -m examples run decision-boundaries
"""

from __future__ import annotations

from typing import Any

import numpy as np

import nn
from autodiff import grad, value_and_grad
from examples.catalogue import program
from examples.optimisers.networks import moon_loss, moon_start
from examples.points import moons, noisy_circle, two_clouds
from examples.report import Row
from examples.run import PALETTE, Run
from nn.data import Batches
from nn.losses import binary_cross_entropy_with_logits, cross_entropy, hinge

# -- drawing -------------------------------------------------------------------------------------------------

GRID = 101
HALF = 5.0  # of the side of the square in which Buduma's points lie, chosen here
RATE = 0.01  # of his networks, chosen here: four layers do not get off the ground at 0.05


def grid(low: float = -1.0, high: float = 1.0) -> tuple[Any, Any, Any]:
    """Return the points (n, 2) of a square, and its two axes."""
    axis = np.linspace(low, high, GRID)
    x, y = np.meshgrid(axis, axis)
    return np.stack([x.ravel(), y.ravel()], 1), x, y


def length(scores: Any, side: float = 2.0) -> float:
    """Return about how long the line is on which scores (n, n) change their sign, by Cauchy and Crofton's formula."""
    positive = scores > 0
    crossings = np.sum(positive[1:] != positive[:-1]) + np.sum(positive[:, 1:] != positive[:, :-1])
    return float(np.pi / 4 * crossings * side / (GRID - 1))


def draw(ax: Any, points: Any, labels: Any, square: tuple[Any, Any], scores: Any, title: str) -> None:
    """Draw two classes of points and the line between them."""
    ax.contourf(*square, scores, levels=[-1e9, 0, 1e9], colors=[PALETTE[4], PALETTE[5]], alpha=0.25)
    ax.contour(*square, scores, levels=[0], colors="k", linewidths=1.2)
    for label, colour, marker in ((0, PALETTE[1], "o"), (1, PALETTE[0], "^")):
        ax.plot(*points[labels == label].T, marker, ms=3, color=colour, label=f"class {label}")
    ax.set(title=title, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    ax.grid(False)
    ax.locator_params(nbins=5)


# -- networks of different sizes -----------------------------------------------------------------------------


def classifier(hidden: tuple[int, ...], rng: np.random.Generator) -> nn.Sequential:
    """Layers of tanh, and two scores."""
    sizes = (2, *hidden)
    layers = [nn.Dense(a, b, activation="tanh", rng=rng) for a, b in zip(sizes, hidden, strict=False)]
    return nn.Sequential([*layers, nn.Dense(sizes[-1], 2, rng=rng)])


def train(model: Any, points: Any, labels: Any, epochs: int, run: Run, strength: float = 0.0) -> Any:
    """Mini-batches of ten; half of `strength` times the squared weights is added to the sum of a batch's errors."""
    data = Batches(points.astype(np.float32), labels, batch_size=10)
    optimiser = nn.SGD(RATE, momentum=0.9, weight_decay=strength / 10)  # the loss is a mean over ten
    return nn.fit(
        model, nn.Supervised(cross_entropy), optimiser, data, epochs=epochs, rng=run.seed, progress=False
    ).model


def compare(
    run: Run, variants: dict[str, tuple[tuple[int, ...], float]], epochs: int, claim: str, way: int
) -> list[Row]:
    """Train variants on the same points; draw and measure what each makes of them.

    The text claims that boundaries grow longer (`way` 1) or shorter (-1) from one to the next.
    """
    points, labels = noisy_circle(150, 0.08, run.rng)
    new, truth = noisy_circle(2000, 0.0, np.random.default_rng(run.seed + 100))
    points, new = HALF * points, HALF * new
    run.data = "150 points, class 1 within a circle, 8 % of the labels wrong, generated"
    square, x, y = grid(-HALF, HALF)
    rows, lengths = [], []
    with run.picture(ncols=len(variants), figsize=(3.7 * len(variants), 4.5), sharey=True) as axes:
        for ax, (name, (hidden, strength)) in zip(axes, variants.items(), strict=True):
            model = train(
                classifier(hidden, np.random.default_rng(run.seed + 1)), points, labels, epochs, run, strength
            )
            scores = np.diff(model(square.astype(np.float32)), axis=1).reshape(GRID, GRID)
            seen = nn.metrics.accuracy(model(points.astype(np.float32)), labels)
            found = nn.metrics.accuracy(model(new.astype(np.float32)), truth)
            note = f"{100 * seen:.1f} % of the points right, {100 * found:.1f} % of 2,000 new ones"
            lengths.append(length(scores, 2 * HALF))
            rows.append(Row(f"{name}: length of the boundary", "", f"{lengths[-1]:.1f}", note))
            draw(ax, points, labels, (x, y), scores, name)
            ax.label_outer()
    holds = "yes" if (way * np.diff(lengths) > 0).all() else "no"
    return [
        *rows,
        Row(claim, "yes", holds, "of these points, from one network to the next"),
        Row(
            "length of the circle",
            "",
            f"{2 * np.pi * np.sqrt(0.5) * HALF:.1f}",
            f"{epochs} epochs in batches of 10 (penalties are added to their sum); "
            f"chosen: tanh, rate {RATE}, momentum 0.9",
        ),
    ]


@program("buduma/B12")
def width(run: Run) -> list[Row]:
    """One hidden layer of 3, 6 or 20 neurons."""
    return compare(run, {f"{n} neurons": ((n,), 0.0) for n in (3, 6, 20)}, run.length(400, 1500),
                   "more neurons bend the boundary more", 1)  # fmt: skip


@program("buduma/B13")
def depth(run: Run) -> list[Row]:
    """One, two or four hidden layers of 3 neurons."""
    return compare(run, {f"{n} layer{'s' if n > 1 else ''}": ((3,) * n, 0.0) for n in (1, 2, 4)}, run.length(400, 1500),
                   "more layers bend the boundary more", 1)  # fmt: skip


@program("buduma/B15")
def penalised(run: Run) -> list[Row]:
    """Twenty neurons, penalties of 0.01, 0.1 and 1."""
    return compare(run, {f"L2 {s:g}": ((20,), s) for s in (0.01, 0.1, 1.0)}, run.length(400, 1500),
                   "a larger penalty smooths the boundary", -1)  # fmt: skip


def by_adam(model: Any, points: Any, labels: Any, steps: int) -> Any:
    """Train on all points at once."""
    points, optimiser = points.astype(np.float32), nn.Adam(0.02)
    slope, state = grad(lambda m: cross_entropy(m(points), labels)), optimiser.init(model)
    for _ in range(steps):
        model, state = optimiser.update(slope(model), state, model)
    return model


@program("hui/B2")
def outlier(run: Run) -> list[Row]:
    """A point with the wrong label among the others: the complex model bends round it, the simple one does not."""
    points, labels = two_clouds(60, 2.2, run.rng)
    points = np.r_[points / 3, [[-0.6, -0.45]]]
    labels = np.r_[labels, 1]
    run.data = "60 points of two clouds and an outlier, generated"
    square, x, y = grid(-1.5, 1.5)
    steps, rows, lengths = run.length(1200), [], []
    with run.picture(ncols=2, figsize=(9, 4.3), sharey=True) as axes:
        for ax, name, hidden in zip(
            axes, ("complex: 40 and 40 neurons", "simple: 2 neurons"), ((40, 40), (2,)), strict=True
        ):
            model = by_adam(classifier(hidden, np.random.default_rng(run.seed + 1)), points, labels, steps)
            scores = np.diff(model(square.astype(np.float32)), axis=1).reshape(GRID, GRID)
            said = int(model(points[-1:].astype(np.float32)).argmax())
            seen = nn.metrics.accuracy(model(points.astype(np.float32)), labels)
            lengths.append(length(scores, 3.0))
            note = f"{100 * seen:.1f} % right, the outlier {'with its label' if said else 'with its neighbours'}"
            rows.append(Row(f"{name}: length of the boundary", "", f"{lengths[-1]:.1f}", note))
            draw(ax, points, labels, (x, y), scores, name)
            ax.plot(*points[-1], "o", ms=11, mfc="none", color="k")
            ax.label_outer()
    return [*rows, Row("the simple one's is smoother", "yes", "yes" if lengths[1] < lengths[0] else "no")]


# -- two moons -----------------------------------------------------------------------------------------------


@program("ketkar/K8-2")
def moon_network(run: Run) -> list[Row]:
    """2-1000-2, one example to a step, ten thousand steps of 0.0001; the penalty is most of the loss."""
    x, y = moons(5000, 0.1, run.rng)
    run.data = "two moons, 5,000 points, generated"
    w, steps = moon_start(run.seed), run.length(4000, 10_000)
    step, every = value_and_grad(moon_loss), max(1, steps // 40)
    held, learned = (x[4000:], y[4000:]), (x[:4000:8], y[:4000:8])
    scores = lambda w, x: np.tanh(x @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]  # noqa: E731
    order, curve = np.random.default_rng(run.seed).integers(4000, size=steps), []
    for k in range(steps + 1):
        if k % every == 0:
            curve.append((k, float(moon_loss(w, *learned)), float(moon_loss(w, *held))))
        if k < steps:
            slope = step(w, x[order[k], None], y[order[k], None])[1]
            w = {name: p - 1e-4 * slope[name] for name, p in w.items()}
    error = float(cross_entropy(scores(w, held[0]), held[1]))
    right = nn.metrics.accuracy(scores(w, held[0]), held[1])
    square, gx, gy = grid(-1.7, 2.7)
    margin = np.diff(scores(w, square), axis=1).reshape(GRID, GRID)
    with run.picture(ncols=3, figsize=(14, 3.8)) as (left, middle, last):
        draw(left, *learned, (gx, gy), margin, "Training points, every 8th")
        draw(middle, *held, (gx, gy), margin, "Validation points")
        for ax in (left, middle):
            ax.set(xlim=(-1.4, 2.4), ylim=(-1.1, 1.6))
        k, seen, unseen = np.array(curve).T
        last.plot(k, seen, label="training (every 8th point)")
        last.plot(k, unseen, ls="--", label="validation")
        last.set(title="Loss with its penalty", xlabel="step", ylabel="loss")
        last.legend()
    return [
        Row("parameters", "", f"{sum(p.size for p in w.values()):,}", met=sum(p.size for p in w.values()) == 5002),
        Row("validation loss at the start", "", f"{curve[0][2]:.2f}", "a plot only in the text"),
        Row(
            f"... after {steps:,} steps",
            "",
            f"{curve[-1][2]:.2f}",
            f"cross-entropy {error:.3f}, the rest is the penalty",
        ),
        Row("validation accuracy", "", f"{100 * right:.1f} %"),
    ]


@program("ketkar/K9-3")
def moon_logistic(run: Run) -> list[Row]:
    """Logistic regression without a constant: (tanh z + 1) / 2 is the logistic function of 2 z."""
    x, y = moons(500, 0.1, run.rng)
    run.data = "two moons, 500 points, generated"

    def chance(w: Any) -> Any:
        return 0.5 * (np.tanh(x @ w) + 1)

    def loss(w: Any) -> Any:
        p = chance(w)
        return -np.sum(np.log(p * y + (1 - p) * (1 - y)))

    w, losses, gap = np.ones(2), [], 0.0
    for _ in range(100):
        slope = grad(loss)(w)
        gap = max(gap, float(np.max(np.abs(slope - 2 * x.T @ (chance(w) - y)) / np.max(np.abs(slope)))))
        losses.append(float(loss(w)))
        w = w - 0.001 * slope
    right = float(np.mean((chance(w) > 0.5) == y))
    square, gx, gy = grid(-1.7, 2.7)
    with run.picture(ncols=2, figsize=(11, 4.3)) as (left, middle):
        draw(left, x, y, (gx, gy), (square @ w).reshape(GRID, GRID), "A line through the origin")
        left.set(xlim=(-1.5, 2.5), ylim=(-1.1, 1.6))
        middle.plot(losses)
        middle.set(title="Loss", xlabel="step", ylabel="sum of cross-entropies")
    return [
        Row(
            "gradient by hand, 2 X'(p - y), and by the engine", "", f"{gap:.0e}", "relative, 100 steps", met=gap < 1e-12
        ),
        Row(
            "loss at steps 0, 1, 10, 99",
            "",
            ", ".join(f"{losses[k]:.0f}" for k in (0, 1, 10, 99)),
            "a plot only in the text",
        ),
        Row("weights", "", f"{w[0]:.2f}, {w[1]:.2f}"),
        Row("training accuracy", "", f"{100 * right:.1f} %"),
    ]


# -- linear classifiers --------------------------------------------------------------------------------------


@program("ekman/app-A2")
def queue(run: Run) -> list[Row]:
    """Is there a long queue at the ice-cream shop? Logistic regression by Newton's method and by descent."""
    rng = run.rng
    heat = rng.uniform(55, 95, 60)
    long = (rng.random(60) < 1 / (1 + np.exp(-(heat - 74) / 6))).astype(float)
    z = (heat - heat.mean()) / heat.std()

    def loss(w: Any) -> Any:
        return binary_cross_entropy_with_logits(w[0] + w[1] * z, long)

    best = nn.newton(loss, np.zeros(2))
    w = np.zeros(2)
    for _ in range(run.length(3000) if not run.smoke else 200):
        w = w - 1.0 * grad(loss)(w)
    line = np.linalg.lstsq(np.c_[np.ones(60), z], long, rcond=None)[0]
    at = [-v[0] / v[1] * heat.std() + heat.mean() for v in (best.parameters, (line[0] - 0.5, line[1]))]
    with run.picture() as axes:
        t = np.linspace(50, 100, 200)
        s = (t - heat.mean()) / heat.std()
        axes.plot(heat, long, "o", color="0.4", label="days")
        axes.plot(t, 1 / (1 + np.exp(-(best.parameters[0] + best.parameters[1] * s))), label="logistic regression")
        axes.plot(t, line[0] + line[1] * s, ls="--", label="straight line")
        axes.axhline(0.5, color="0.6", lw=0.8)
        axes.set(title="A long queue?", xlabel="temperature (F)", ylabel="chance", ylim=(-0.2, 1.6))
        axes.legend(loc="upper left")
    gap = float(loss(w) - best.value)
    return [
        Row(
            "Newton: steps to a gradient below 1e-8",
            "",
            str(len(best.path) - 1),
            f"loss {best.value:.4f}",
            met=best.converged,
        ),
        Row(
            "descent ends above it by",
            "",
            f"{gap:.0e}",
            "the loss is convex: one minimum",
            met=None if run.smoke else gap < 1e-6,
        ),
        Row(
            "where the chance is a half",
            "",
            f"{at[0]:.1f} F",
            f"straight line at 0.5: {at[1]:.1f} F; 60 days made up round 74 F",
        ),
    ]


XOR = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
XOR_LABELS = np.array([0.0, 1.0, 1.0, 0.0])


def learn_linear(features: Any) -> tuple[Any, bool]:
    """Return the weights of logistic regression on XOR, the constant first, and whether all four sides are right."""
    columns = np.c_[np.ones(4), features]

    def loss(w: Any) -> Any:  # a little penalty, so that there is a minimum if the points can be separated
        return binary_cross_entropy_with_logits(columns @ w, XOR_LABELS) + 1e-3 * np.sum(w**2)

    w = nn.newton(loss, np.zeros(columns.shape[1])).parameters
    return w, bool(np.all((2 * XOR_LABELS - 1) * (columns @ w) > 1e-6))


def ellipse_weights(a: float, b: float, turn: float) -> Any:
    """The text's weights of 1, x1 x2, x1^2, x2^2."""
    c, s = np.cos(turn), np.sin(turn)
    w1 = 2 * c * s * (1 / b**2 - 1 / a**2)
    return np.array([-1, w1, c**2 / a**2 + s**2 / b**2, s**2 / a**2 + c**2 / b**2])


def products(x: Any) -> Any:
    """Columns 1, x1 x2, x1^2, x2^2."""
    return np.stack([np.ones(len(x)), x[:, 0] * x[:, 1], x[:, 0] ** 2, x[:, 1] ** 2], 1)


@program("ekman/app-A3")
def xor(run: Run) -> list[Row]:
    """XOR is not linear in its inputs; it is in their product."""
    a, b, turn = 0.8, 2.0, np.pi / 4
    w, points = ellipse_weights(a, b, turn), run.rng.normal(size=(50, 2))
    c, s = np.cos(turn), np.sin(turn)
    along, across = points @ [c, -s], points @ [s, c]
    gap = float(np.max(np.abs(products(points) @ w - (along**2 / a**2 + across**2 / b**2 - 1))))
    signs = " ".join(f"{v:+.0f}" for v in np.sign(products(XOR) @ w))
    rows = [
        Row(
            "z by its weights and by the ellipse's equation",
            "",
            f"{gap:.0e}",
            "axis a is turned clockwise",
            met=gap < 1e-12,
        ),
        Row(
            "signs at (-1,-1), (-1,1), (1,-1), (1,1)",
            "-1 +1 +1 -1",
            signs,
            "positive is outside; a = 0.8, b = 2, 45 degrees",
        ),
    ]
    half = (XOR + 1) / 2
    for name, features, printed, note in (
        ("x1, x2", XOR, "no", None),
        ("x1, x1 x2, coded -1 and 1", np.c_[XOR[:, 0], XOR.prod(1)], "yes", None),
        ("x1 x2 alone", XOR.prod(1)[:, None], "", "squares are 1 everywhere: the product does all the work"),
        ("x1, x1 x2, coded 0 and 1", np.c_[half[:, 0], half.prod(1)], "", "(0,0) and (0,1) have the same features"),
        ("x1, x2, x1 x2, coded 0 and 1", np.c_[half, half.prod(1)], "", None),
    ):
        rows.append(Row(f"separated by {name}", printed, "yes" if learn_linear(features)[1] else "no", note))
    square, x, y = grid(-2.0, 2.0)
    with run.picture(ncols=2, figsize=(9, 4.3)) as axes:
        v = learn_linear(np.c_[XOR[:, 0], XOR.prod(1)])[0]
        for ax, scores, title in (
            (axes[0], products(square) @ w, "Outside of an ellipse"),
            (axes[1], v[0] + v[1] * square[:, 0] + v[2] * square[:, 0] * square[:, 1], "$x_1$ and $x_1 x_2$"),
        ):
            draw(ax, XOR, XOR_LABELS, (x, y), scores.reshape(GRID, GRID), title)
            for line in ax.lines:
                line.set_markersize(9)
    return rows


# -- the maximum margin --------------------------------------------------------------------------------------


def svm(kernel: Any, labels: Any, slack: float, steps: int = 4000) -> Any:
    """Return the dual variables of a support vector machine: 0 <= alpha <= slack, by projected descent."""
    q = labels[:, None] * kernel * labels

    def dual(alpha: Any) -> Any:
        return alpha @ q @ alpha / 2 - np.sum(alpha)

    slope, rate = grad(dual), 1 / np.linalg.eigvalsh(q)[-1]
    alpha = ahead = np.zeros(len(labels))
    for k in range(steps):
        new = np.clip(ahead - rate * slope(ahead), 0, slack)
        ahead, alpha = new + k / (k + 3) * (new - alpha), new
    return alpha


@program("ekman/app-A4")
def margin(run: Run) -> list[Row]:
    """The widest street between two classes; slack lets points into it; kernels bend it."""
    points, classes = two_clouds(40, 3.2, run.rng)
    labels = 2.0 * classes - 1
    columns = np.c_[points, np.ones(40)]  # the constant is penalised with the others
    rows, found = [], {}
    for slack in (0.05, 1.0):
        alpha = svm(columns @ columns.T, labels, slack)
        w = found[slack] = (alpha * labels) @ columns
        primal = float(w @ w / 2 + slack * hinge(columns @ w, labels, reduction="sum"))
        dual = float(np.sum(alpha) - w @ w / 2)
        within = columns @ w * labels < 1 + 1e-3
        rows.append(
            Row(
                f"slack {slack:g}: primal minus dual",
                "",
                f"{primal - dual:.0e}",
                "0 at the optimum",
                met=primal - dual < 1e-4 * primal,
            )
        )
        rows.append(
            Row(
                "... width of the street",
                "",
                f"{2 / np.linalg.norm(w[:2]):.2f}",
                f"{int(np.sum(alpha > 1e-6))} support vectors, all on it or within it",
                met=bool(np.all(within[alpha > 1e-6])),
            )
        )
    x, z = run.rng.normal(size=(2, 2))
    lift = lambda v: np.array([1, 2**0.5 * v[0], 2**0.5 * v[1], v[0] ** 2, v[1] ** 2, 2**0.5 * v[0] * v[1]])  # noqa: E731
    gap = float(abs((1 + x @ z) ** 2 - lift(x) @ lift(z)))
    rows.append(Row("kernel (1 + x z)^2 is a product of six features", "", f"{gap:.0e}", met=gap < 1e-12))
    ring, inside = noisy_circle(80, 0.0, run.rng)
    signs = 2.0 * inside - 1
    alpha = svm((1 + ring @ ring.T) ** 2, signs, 1e3, 6000)
    right = float(np.mean(np.sign((alpha * signs) @ (1 + ring @ ring.T) ** 2) == signs))
    rows.append(
        Row(
            "a circle with that kernel: right",
            "",
            f"{100 * right:.0f} %",
            f"{int(np.sum(alpha > 1e-6))} support vectors of 80",
        )
    )
    square, gx, gy = grid(-1.0, 1.0)
    with run.picture(ncols=2, figsize=(10, 4.4)) as (left, middle):
        at = np.linspace(-4, 4, 2)
        for w, colour, slack in zip(found.values(), PALETTE[2:], found, strict=False):
            for offset, style in ((0, "-"), (1, "--"), (-1, "--")):
                left.plot(
                    at,
                    (offset - w[2] - w[0] * at) / w[1],
                    style,
                    lw=1,
                    color=colour,
                    label=f"slack {slack:g}" if offset == 0 else None,
                )
        for label, colour, marker in ((0, PALETTE[1], "o"), (1, PALETTE[0], "^")):
            left.plot(*points[classes == label].T, marker, ms=4, color=colour)
        left.set(title="The street and its edges", xlabel="$x_1$", ylabel="$x_2$", xlim=(-4, 4), ylim=(-4, 4))
        left.legend(loc="lower left", frameon=True)
        draw(
            middle,
            ring,
            inside,
            (gx, gy),
            ((alpha * signs) @ (1 + ring @ square.T) ** 2).reshape(GRID, GRID),
            "A quadratic kernel",
        )
    return rows
