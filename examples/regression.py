"""Lines and polynomials through points.

- Buduma, "Fundamentals of Deep Learning": linear neurons (B04), the delta rule (B06), a line or degree 12 (B11).
- Hui's blog "Deep learning, part 2" (B1): orders 1 to 9, more data, a penalty.
- Ketkar, "Deep Learning with Python", chapter 2: least squares (K2-1), ridge regression (K2-2), rote learning (K2-3).
- Ekman, "Learning Deep Learning", appendix A (A1): ice-cream sold on hot days.

No text gives its points; they are generated from what it says of them.

Run::

    python -m examples run regression
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import nn
from autodiff import grad, hessian, jacfwd, jvp
from examples.catalogue import program
from examples.paths import contours
from examples.report import Row
from examples.run import PALETTE, Run

# -- the cafeteria -------------------------------------------------------------------------------------------

PRICES = np.array([2.5, 1.5, 1.0])  # of burger, fries, soda; the text names none


def meal_price(prices: Any, meal: Any) -> Any:
    """A linear neuron: the servings times the prices."""
    return meal @ prices


@program("buduma/B04")
def linear_neuron(run: Run) -> list[Row]:
    """A neuron that adds up a bill; and why layers of such neurons are no more than one of them."""
    meal = np.array([2.0, 1.0, 3.0])
    bill = float(meal_price(PRICES, meal))
    layers = [run.rng.normal(size=shape) for shape in ((4, 3), (5, 4), (2, 5))]

    def stack(x: Any) -> Any:
        for w in layers:
            x = w @ x
        return x

    one = layers[2] @ layers[1] @ layers[0]
    x = run.rng.normal(size=3)
    gap = float(np.max(np.abs(stack(x) - one @ x)))
    same = float(np.max(np.abs(jacfwd(stack)(x) - jacfwd(stack)(10 * x))))
    slope = float(np.max(np.abs(jacfwd(stack)(x) - one)))
    return [
        Row("2 burgers, 1 fries, 3 sodas", "", f"{bill:.2f}", "2.50, 1.50 and 1.00 each, chosen here", met=bill == 9.5),
        Row("three linear layers and their product: difference", "", f"{gap:.0e}", met=gap < 1e-12),
        Row("their Jacobian is the product", "", f"{slope:.0e}", met=slope < 1e-12),
        Row("... and everywhere the same", "", f"{same:.0e}", met=same < 1e-12),
    ]


def squared_error(prices: Any, meals: Any, bills: Any) -> Any:
    """Half of the sum of squared errors."""
    return np.sum((bills - meal_price(prices, meals)) ** 2) / 2


@program("buduma/B06")
def delta_rule(run: Run) -> list[Row]:
    """Prices from bills: the rule derived by hand is gradient descent, and too long steps diverge."""
    meals = run.rng.integers(0, 5, (20, 3)).astype(float)
    bills = meals @ PRICES
    start = np.array([1.0, 4.0, 3.0])
    by_hand = meals.T @ (bills - meals @ start)
    gap = float(np.max(np.abs(by_hand + grad(squared_error)(start, meals, bills))) / np.max(np.abs(by_hand)))
    limit = 2 / float(np.linalg.eigvalsh(hessian(squared_error)(start, meals, bills))[-1])
    paths = {}
    for share in (0.02, 0.9, 1.05):
        w, path = start, [start]
        for _ in range(200):
            w = w - share * limit * grad(squared_error)(w, meals, bills)
            path.append(w)
        paths[share] = np.array(path)
    errors = {share: float(np.max(np.abs(path[-1] - PRICES))) for share, path in paths.items()}
    units = np.eye(3)
    exact = start - grad(squared_error)(start, units, units @ PRICES)
    _draw_cafeteria(run, meals, bills, paths)
    return [
        Row("delta rule by hand and minus gradient: difference", "", f"{gap:.0e}", "relative", met=gap < 1e-12),
        Row(
            "one burger, one fries, one soda: prices after a step",
            "",
            ", ".join(f"{p:.2f}" for p in exact),
            "rate 1",
            met=bool(np.allclose(exact, PRICES)),
        ),
        Row("largest rate that converges", "", f"{limit:.5f}", "2 over the largest curvature"),
        *(
            Row(
                f"rate {share:g} of it, 200 steps: error of prices",
                "",
                f"{errors[share]:.0e}",
                note,
                met=(errors[share] > 10) if share > 1 else None,
            )
            for share, note in ((0.02, "too small: slow"), (0.9, "just right"), (1.05, "too large: diverges"))
        ),
    ]


def _draw_cafeteria(run: Run, meals: Any, bills: Any, paths: Any) -> None:
    hess = meals[:, :2].T @ meals[:, :2]

    def bowl(p: Any) -> Any:  # over two prices, the third being right
        d = [p[0] - PRICES[0], p[1] - PRICES[1]]
        return (hess[0, 0] * d[0] ** 2 + 2 * hess[0, 1] * d[0] * d[1] + hess[1, 1] * d[1] ** 2) / 2

    curves = {share: [float(squared_error(p, meals, bills)) for p in path] for share, path in paths.items()}
    limit = 2 / np.linalg.eigvalsh(hess)[-1]
    with run.picture(ncols=2, figsize=(10, 4)) as (left, right):
        contours(left, bowl, (0, 5), (-1, 5), levels=np.geomspace(1, 1200, 14))
        for share, colour in ((0.02, PALETTE[0]), (0.9, PALETTE[1])):
            p = np.array([1.0, 4.0])
            walk = [p]
            for _ in range(40):
                p = p - share * limit * hess @ (p - PRICES[:2])
                walk.append(p)
            left.plot(*np.array(walk).T, "o-", ms=3, lw=1, color=colour, label=f"{share:g} of the largest rate")
        left.set(title="The bowl over two prices", xlabel="price of a burger", ylabel="price of fries")
        left.legend(loc="upper right", frameon=True)
        for (share, values), colour in zip(curves.items(), PALETTE, strict=False):
            right.semilogy(np.maximum(values, 1e-12), color=colour, label=f"{share:g} of the largest rate")
        right.set(title="Three learning rates", xlabel="step", ylabel="squared error", ylim=(1e-12, 1e10))
        right.legend()


# -- polynomials ---------------------------------------------------------------------------------------------


def powers(x: Any, degree: int) -> Any:
    """Columns x^0 ... x^degree."""
    return x[:, np.newaxis] ** np.arange(degree + 1)


def least_squares(x: Any, y: Any) -> Any:
    """Coefficients of the columns of x."""
    return np.linalg.lstsq(x, y, rcond=None)[0]


@program("buduma/B11")
def line_or_wiggle(run: Run) -> list[Row]:
    """Thirteen noisy points of a line: degree 12 hits them all, and misses what comes next."""
    rng = run.rng
    x, new = np.linspace(-1, 1, 13), np.sort(rng.uniform(-1, 1, 100))
    y, y_new = (2 * v + 0.5 + rng.normal(0, 0.4, len(v)) for v in (x, new))
    rows, fits = [], {}
    for degree in (1, 12):
        w = fits[degree] = least_squares(powers(x, degree), y)
        slope = float(np.max(np.abs(grad(lambda w, d=degree: np.sum((powers(x, d) @ w - y) ** 2))(w))))
        errors = [float(np.sum((powers(at, degree) @ w - t) ** 2)) for at, t in ((x, y), (new, y_new))]
        rows.append(
            Row(
                f"degree {degree}: squared error, seen and new",
                "",
                f"{errors[0]:.2g}, {errors[1]:.3g}",
                f"13 and 100 points; gradient at the fit {slope:.0e}",
                met=slope < 1e-8,
            )
        )
    seen = [float(np.sum((powers(x, d) @ fits[d] - y) ** 2)) for d in (1, 12)]
    fresh = [float(np.sum((powers(new, d) @ fits[d] - y_new) ** 2)) for d in (1, 12)]
    rows.append(
        Row(
            "degree 12 is better on what it saw, worse on new points",
            "yes",
            "yes" if seen[1] < seen[0] and fresh[1] > fresh[0] else "no",
        )
    )
    with run.picture(ncols=2, figsize=(10, 4), sharey=True) as axes:
        grid = np.linspace(-1, 1, 300)
        for ax, points, title in ((axes[0], (x, y), "13 points"), (axes[1], (new, y_new), "100 new points")):
            ax.plot(*points, "o", ms=4, color="0.45")
            for degree, w in fits.items():
                ax.plot(grid, powers(grid, degree) @ w, label=f"degree {degree}")
            ax.set(title=title, xlabel="x", ylim=(-3.2, 4.2))
        axes[0].set_ylabel("y")
        axes[0].legend()
    return rows


PIETER = np.array([-0.0082, 0.9, -2.19, 1.9, -0.63, 0.11, -0.01, 5.6e-4, -1.6e-5, 1.9e-7])


def norm_penalised(w: Any, x: Any, y: Any, strength: float) -> Any:
    """Mean squared error and strength times the length of the weights, as the text has it (not its square)."""
    return np.mean((x @ w - y) ** 2) + strength * np.sqrt(np.sum(w**2) + 1e-12)


@program("hui/B1")
def overfit(run: Run) -> list[Row]:
    """Points of y = x with noise between 0 and 20: what order, more data and a penalty do."""
    run.data = "generated: 11 points of y = x, noise of deviation 2 (the text's are only drawn); least squares, BFGS"
    rng = run.rng
    x, more, test = np.linspace(0, 20, 11), np.linspace(0, 20, 22), np.linspace(0.5, 19.5, 200)
    y, y_more = x + rng.normal(0, 2.0, 11), more + rng.normal(0, 2.0, 22)
    scale = lambda v, d: powers(v / 10 - 1, d)  # noqa: E731
    rows, fits, errors = [], {}, []
    for name, points, order, strength in (
        *((f"order {d}", (x, y), d, 0.0) for d in (1, 3, 5, 7, 9)),
        ("order 9, twice the data", (more, y_more), 9, 0.0),
        ("order 9, lambda 1", (x, y), 9, 1.0),
    ):
        features = scale(points[0], order)
        w = least_squares(features, points[1])
        if strength:
            cost = functools.partial(norm_penalised, x=features, y=points[1], strength=strength)
            w = nn.minimise(cost, w, "BFGS").parameters
        fits[name] = w
        errors.append(float(np.sqrt(np.mean((scale(test, order) @ w - test) ** 2))))
        note = f"largest coefficient {np.max(np.abs(w)):.1f}, of x / 10 - 1"
        rows.append(Row(f"{name}: distance from y = x", "", f"{errors[-1]:.2f}", note))

    def curvatures(f: Any) -> Any:
        return np.linalg.eigvalsh(hessian(lambda w: np.mean((f @ w - y) ** 2))(np.zeros(f.shape[1])))

    ratios = [float(c[-1] / c[0]) for c in (curvatures(scale(x, d)) for d in (1, 3, 5, 7, 9))]
    value = [float(powers(np.array([v]), 9)[0] @ PIETER) for v in (10.0, 20.0)]
    as_said = errors[2] > errors[1] and errors[5] < errors[4] and errors[6] < errors[4]
    slope = grad(lambda w: np.sqrt(np.sum(w**2)) / 2)(np.array([3.0, 4.0]))
    rows += [
        Row("order 5 is worse than 3; more data and the penalty help 9", "yes", "yes" if as_said else "no"),
        Row("largest over smallest curvature, orders 1 to 9", "more iterations", ", ".join(f"{r:.0f}" for r in ratios),
            "descent needs steps in proportion; x / 10 - 1", met=sorted(ratios) == ratios),
        Row("largest rate of descent, order 9, x as it is", "hard to train", f"{2 / curvatures(powers(x, 9))[-1]:.0e}",
            f"on x / 10 - 1: {2 / curvatures(scale(x, 9))[-1]:.1g}"),
        Row("the printed order-9 model at 10 and 20", "about 10, 20", f"{value[0]:.0f}, {value[1]:.0f}",
            wrong="its coefficients are rounded too far: 1.9e-7 x^9 alone is 97,280 at 20"),
        Row("norm of c_i = i, order 5", f"{np.sqrt(1 + 4 + 9 + 9 + 25):.2f}", f"{np.linalg.norm(np.arange(6)):.2f}",
            wrong="the printed sum has c_3^2 twice, in place of c_4^2"),
        Row("gradient of lambda/2 |W| at (3, 4), lambda 1", "3, 4", ", ".join(f"{s:.1f}" for s in slope),
            wrong="only the squared norm decays weights by lambda W; the text has both forms"),
    ]  # fmt: skip
    with run.picture(ncols=2, figsize=(10, 4), sharey=True) as axes:
        for ax, names in zip(
            axes,
            (("order 1", "order 3", "order 9"), ("order 9", "order 9, twice the data", "order 9, lambda 1")),
            strict=True,
        ):
            ax.plot(x, y, "o", color="0.45")
            for name in names:
                ax.plot(test, scale(test, len(fits[name]) - 1) @ fits[name], label=name)
            ax.set(xlabel="x", ylim=(-4, 26))
            ax.legend()
        axes[0].set(title="Order", ylabel="y")
        axes[1].set_title("More data, a penalty")
    return rows


# -- Ketkar, chapter 2 ---------------------------------------------------------------------------------------


def signal(rng: np.random.Generator) -> tuple[Any, Any]:
    """A hundred values of 2 + x + 2 x^2 with noise; the first 80 are seen."""
    x = np.linspace(-1, 1, 100)
    return x, 2 + x + 2 * x**2 + rng.normal(0, 0.1, 100)


def distance(w: Any, x: Any, y: Any) -> Any:
    """The root of the sum of squared errors: the text's RMSE, which is not divided by the number of points."""
    return np.sqrt(np.sum((x @ w - y) ** 2))


KETKAR = {1: (3.50756834691, 7.69514326946), 2: (0.91896252959, 0.446173435392), 8: (0.897346255079, 14.1908525449)}


@program("ketkar/K2-1")
def generalisation(run: Run) -> list[Row]:
    """Degrees 1, 2 and 8; the text names no seed, so the question is if its numbers are among those of 200 draws."""
    found: dict[int, list[Any]] = {degree: [] for degree in KETKAR}
    for seed in range(200):
        x, y = signal(np.random.default_rng(1000 * run.seed + seed))
        for degree in KETKAR:
            f = powers(x, degree)
            w = np.linalg.solve(f[:80].T @ f[:80], f[:80].T @ y[:80])
            found[degree].append([distance(w, f[:80], y[:80]), distance(w, f[80:], y[80:])])
    rows = []
    for degree, reported in KETKAR.items():
        values = np.array(found[degree])
        for i, part in enumerate(("train", "test")):
            low, middle, high = np.quantile(values[:, i], [0, 0.5, 1])
            rows.append(
                Row(
                    f"degree {degree}, {part}",
                    f"{reported[i]:.12g}",
                    f"{middle:.3f}",
                    f"median of 200 draws, from {low:.2f} to {high:.2f}; the seed is not given",
                    met=bool(low <= reported[i] <= high),
                )
            )
    two, eight = np.array(found[2]), np.array(found[8])
    closer, further = int(np.sum(eight[:, 0] <= two[:, 0])), int(np.sum(eight[:, 1] > two[:, 1]))
    ratio = float(np.median(eight[:, 0] / two[:, 0]))
    x, y = signal(run.rng)
    f = powers(x, 2)[:80]
    exact = np.linalg.solve(f.T @ f, f.T @ y[:80])
    step = nn.newton(lambda w: np.sum((f @ w - y[:80]) ** 2), np.zeros(3))
    gap = float(np.max(np.abs(step.parameters - exact)))
    rows += [
        Row("draws in which degree 8 is closer to what is seen", "", f"{closer} of 200", "it contains degree 2",
            met=closer == 200),
        Row("... in which it is further from what is not", "", f"{further} of 200", "the text's point", further > 190),
        Row("table 2-1: degree 2 on what is seen", "worst", f"{ratio:.2f}",
            wrong="the error of degree 8 is so many times as large: they are nearly equal, by the text's figures, too"),
        Row("Newton with the engine's Hessian: difference", "", f"{gap:.0e}", "from the closed form, in one step",
            met=gap < 1e-10),
        Row("degree 1, train: as an RMSE", "3.50756834691", f"{np.median(found[1], axis=0)[0] / np.sqrt(80):.3f}",
            wrong="the listing leaves out the division by the number of points that its definition has"),
    ]  # fmt: skip
    with run.picture(ncols=3, figsize=(11, 3.6), sharey=True) as axes:
        for ax, degree in zip(axes, KETKAR, strict=True):  # the listing multiplies X' by X' for degree 1: X' X is meant
            w = least_squares(powers(x, degree)[:80], y[:80])
            ax.plot(x, y, ".", color="0.55", label="points")
            ax.plot(x, powers(x, degree) @ w, color=PALETTE[1], label="fit")
            ax.axvline(0.6, color="0.5", ls=":")
            ax.set(title=f"Degree {degree}", xlabel="x (seen up to 0.6)", xticks=(-1, -0.5, 0, 0.5, 1), ylim=(0, 6.5))
        axes[0].set_ylabel("y")
        axes[0].legend(loc="upper left")
    return rows


def ridge(strength: Any, f: Any, y: Any) -> Any:
    """Coefficients that make squared error plus strength times their squares least."""
    return np.linalg.solve(f.T @ f + strength * np.eye(f.shape[1]), f.T @ y)


@program("ketkar/K2-2")
def ridge_sweep(run: Run) -> list[Row]:
    """Eighty powers of x: errors over the strength of the penalty, and their derivative by forward mode."""
    x, y = signal(run.rng)
    f = powers(x, 79)
    strengths = np.linspace(0.01, 0.99, 100)

    def errors(strength: Any) -> tuple[Any, Any]:
        w = ridge(strength, f[:80], y[:80])
        return distance(w, f[:80], y[:80]), distance(w, f[80:], y[80:])

    curves = np.array([errors(s) for s in strengths])
    at = 0.3
    slopes = jvp(errors, (at,), (1.0,))[1]
    numeric = (np.array(errors(at + 1e-4)) - np.array(errors(at - 1e-4))) / 2e-4
    gap = float(np.max(np.abs(np.array(slopes) - numeric)))
    w = ridge(at, f[:80], y[:80])
    stationary = float(np.max(np.abs(grad(lambda w: np.sum((f[:80] @ w - y[:80]) ** 2) + at * np.sum(w**2))(w))))
    minus = np.linalg.solve(f[:80].T @ f[:80] - at * np.eye(80), f[:80].T @ y[:80])
    slope = float(np.max(np.abs(grad(lambda w: np.sum((f[:80] @ w - y[:80]) ** 2) + at * np.sum(w**2))(minus))))
    best = int(np.argmin(curves[:, 1]))
    sizes = [float(np.linalg.norm(ridge(s, f[:80], y[:80]))) for s in (strengths[0], strengths[-1])]
    with run.picture() as axes:
        axes.plot(strengths, curves[:, 0], label="seen")
        axes.plot(strengths, curves[:, 1], label="unseen")
        axes.plot(strengths[best], curves[best, 1], "o", color=PALETTE[1])
        axes.set(
            title="Ridge regression with 80 powers",
            xlabel="strength of the penalty",
            ylabel="root of the sum of squares",
        )
        axes.legend()
    return [
        Row(
            "train error at 0.01, 0.5, 0.99",
            "",
            ", ".join(f"{v:.2f}" for v in curves[[0, 50, 99], 0]),
            "it rises all the way; the text has a plot only",
            met=bool(np.all(np.diff(curves[:, 0]) > 0)),
        ),
        Row(
            "test error at 0.01, 0.5, 0.99",
            "",
            ", ".join(f"{v:.2f}" for v in curves[[0, 50, 99], 1]),
            f"least, {curves[best, 1]:.2f}, at {strengths[best]:.2f}",
        ),
        Row(
            "d error / d strength, jvp against differences",
            "",
            f"{gap:.0e}",
            f"at 0.3: train {slopes[0]:.3f}, test {slopes[1]:.3f}",
            met=gap < 1e-4,
        ),
        Row("gradient of the penalised error at the solution", "", f"{stationary:.0e}", met=stationary < 1e-9),
        Row(
            "... at that of the printed formula",
            "0",
            f"{slope:.1f}",
            wrong="it has X'X - lambda I; the penalty adds, and the listing has +",
        ),
        Row("lower strengths imply a model that is", "simpler", "less simple" if sizes[0] > sizes[1] else "simpler",
            wrong=f"length of the coefficients at 0.01 and 0.99: {sizes[0]:.1f} and {sizes[1]:.1f}"),
    ]  # fmt: skip


@program("ketkar/K2-3")
def rote(run: Run) -> list[Row]:
    """A polynomial through all 80 points remembers them and knows nothing else."""
    x, y = signal(run.rng)
    seen, targets = x[:80], y[:80]

    def weights(at: float) -> Any:
        """Lagrange's: how much each seen point counts at this place."""
        others = [np.delete(seen, j) for j in range(80)]
        return np.array([np.prod((at - o) / (s - o)) for s, o in zip(seen, others, strict=True)])

    errors = [abs(float(weights(s) @ targets - t)) for s, t in zip(seen, targets, strict=True)]
    at = weights(x[80])
    shown = grad(lambda targets: weights(x[80]) @ targets)(targets)
    gap = float(np.max(np.abs(shown - at)))
    return [
        Row("largest error at the 80 seen points", "0", f"{max(errors):g}"),
        Row("prediction for the next point", "", f"{at @ targets:.0e}", f"it is {y[80]:.2f}"),
        Row(
            "what it makes of a change of 1 in a seen value, at most",
            "",
            f"{np.max(np.abs(shown)):.0e}",
            "the gradient by the targets",
            met=gap == 0,
        ),
        Row("coefficients of degree 80", "80", str(powers(np.zeros(1), 80).size),
            wrong="x^0 counts; 80 points fix degree 79, which has 80"),
    ]  # fmt: skip


# -- ice-cream -----------------------------------------------------------------------------------------------


def descent_fit(features: Any, y: Any, steps: int = 400) -> Any:
    """Fit by gradient descent on standardised features; return the coefficients of the raw ones, the constant first."""
    mean, std = features.mean(0), features.std(0)
    z = (features - mean) / std
    curvature = hessian(lambda w: np.mean((z @ w - y) ** 2))(np.zeros(z.shape[1]))
    rate = 1 / np.linalg.eigvalsh(curvature)[-1]
    w = {"w": np.zeros(z.shape[1]), "b": 0.0}
    slope = grad(lambda w: np.mean((z @ w["w"] + w["b"] - y) ** 2))
    optimiser = nn.SGD(float(rate), momentum=0.9, nesterov=True)
    state = optimiser.init(w)
    for _ in range(steps):
        w, state = optimiser.update(slope(w), state, w)
    raw = w["w"] / std
    return np.r_[w["b"] - mean @ raw, raw]


@program("ekman/app-A1")
def ice_cream(run: Run) -> list[Row]:
    """Descent and the normal equations on points of the text's line, plane and parabola (its own are only drawn)."""
    run.data = "points on the text's own line, plane and parabola: its points are only drawn"
    rng = run.rng
    hot = np.linspace(61, 82, 12)
    minutes, heat = rng.uniform(0, 60, 30), rng.uniform(61, 82, 30)
    wide = np.linspace(61, 100, 20)
    cases = {
        "line": (hot[:, np.newaxis], np.array([-112, 2.0]), ("-112", "2.0")),
        "plane": (np.stack([minutes, heat], 1), np.array([-112, 0.5, 2.0]), ("-112", "0.5", "2.0")),
        "quadratic": (np.stack([wide, wide**2], 1), np.array([-220, 5.0, -0.02]), ("-220", "5.0", "-0.02")),
    }
    rows, fits = [], {}
    for name, (features, truth, printed) in cases.items():
        y = features @ truth[1:] + truth[0]
        w = fits[name] = descent_fit(features, y, 6000 if name == "quadratic" else 400)
        columns = np.c_[np.ones(len(y)), features]
        closed = np.linalg.solve(columns.T @ columns, columns.T @ y)
        digits = [f"{v:.{len(p.split('.')[1]) if '.' in p else 0}f}" for v, p in zip(w, printed, strict=True)]
        gap = float(np.max(np.abs(columns @ w - columns @ closed)))
        rows.append(Row(f"{name}: constant and slopes by descent", ", ".join(printed), ", ".join(digits)))
        note = "cones; points lie on the text's curve"
        rows.append(Row("... normal equations predict the same, within", "", f"{gap:.0e}", note, met=gap < 1e-6))
    raw = hessian(lambda w: np.mean((powers(wide, 2) @ w) ** 2))(np.zeros(3))
    limit = 2 / np.linalg.eigvalsh(raw)[-1]
    note = "the quadratic, whose features reach 10,000"
    rows.append(Row("largest rate of descent without scaling", "", f"{limit:.0e}", note))
    with run.picture(ncols=2, figsize=(10, 4)) as (axes, right):
        for x, name, marker, colour in ((hot, "line", "o", PALETTE[0]), (wide, "quadratic", "s", PALETTE[1])):
            features, truth, _ = cases[name]
            axes.plot(x, features @ truth[1:] + truth[0], marker, ms=5, color=colour, label=f"points of the {name}")
            axes.plot(x, features @ fits[name][1:] + fits[name][0], color=colour, label=f"{name}, by descent")
        axes.set(title="Ice-cream", xlabel="temperature (F)", ylabel="cones sold")
        axes.legend()
        plane = lambda p: fits["plane"] @ [np.ones_like(p[0]), p[0], p[1]]  # noqa: E731
        right.tricontour(minutes, heat, plane((minutes, heat)), levels=12, colors="0.6", linewidths=0.8)
        shown = right.scatter(minutes, heat, c=cases["plane"][0] @ [0.5, 2.0] - 112, cmap="cividis")
        right.set(title="The plane, by descent", xlabel="minutes of advertising", ylabel="temperature (F)")
        right.figure.colorbar(shown, ax=right, label="cones sold")
    return rows
