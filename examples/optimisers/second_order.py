"""Methods that know more than a slope: Buduma, "Fundamentals of Deep Learning", chapter 4 (B31).

Nesterov's momentum, steepest descent with a line search, which zigzags, conjugate gradients, which do not, and the
quasi-Newton methods BFGS and L-BFGS. The chapter describes them in words; here each runs on the bent valley of
Rosenbrock, and conjugate gradients are also written out, with Hessian-vector products for exact line searches.

Run::

    python -m examples run buduma/B31
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import nn
from autodiff import grad, hvp
from examples.catalogue import program
from examples.paths import contours, descend
from examples.report import Row
from examples.run import PALETTE, Run

START = np.array([-1.2, 1.0])
MATRIX = np.array([[5.0, 2.0, 0.0, 1.0], [2.0, 3.0, 1.0, 0.0], [0.0, 1.0, 2.0, 0.0], [1.0, 0.0, 0.0, 40.0]])


def rosenbrock(p: Any) -> Any:
    """A valley bent like a banana; its bottom is at (1, 1)."""
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def bowl(p: Any) -> Any:
    """A paraboloid of four dimensions, twenty times as steep in one direction as in others."""
    return p @ MATRIX @ p / 2 - np.sum(p)


def exact_search(f: Any, x: Any, direction: Any) -> float:
    """Return where a paraboloid is lowest along a line: minus slope over curvature."""
    return float(-grad(f)(x) @ direction / (direction @ hvp(f, (x,), (direction,))))


def steepest(f: Any, x: Any, steps: int) -> Any:
    """Steepest descent with exact line searches: the points."""
    path = [x]
    for _ in range(steps):
        down = -grad(f)(path[-1])
        path.append(path[-1] + exact_search(f, path[-1], down) * down)
    return np.array(path)


def conjugate(f: Any, x: Any, steps: int) -> tuple[Any, Any]:
    """Conjugate gradients after Fletcher and Reeves: the points and the directions."""
    path, directions, old = [x], [], grad(f)(x)
    direction = -old
    for _ in range(steps):
        path.append(path[-1] + exact_search(f, path[-1], direction) * direction)
        directions.append(direction)
        new = grad(f)(path[-1])
        direction = -new + (new @ new) / (old @ old) * direction
        old = new
    return np.array(path), np.array(directions)


def searched(f: Any, x: Any, steps: int) -> Any:
    """Steepest descent with Armijo's line search, for functions that are no paraboloids."""
    path = [x]
    for _ in range(steps):
        down = -grad(f)(path[-1])
        path.append(path[-1] + nn.line_search(f, path[-1], down) * down)
    return np.array(path)


def on_a_paraboloid() -> list[Row]:
    """What the theory promises there, and what is found."""
    start, solution = np.zeros(4), np.linalg.solve(MATRIX, np.ones(4))
    zigzag = steepest(bowl, start, 30)
    slopes = [grad(bowl)(p) for p in zigzag]
    turn = max(abs(float(a @ b)) / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in itertools.pairwise(slopes[:9]))
    path, directions = conjugate(bowl, start, 4)
    products = directions @ MATRIX @ directions.T
    off = float(np.max(np.abs(products - np.diag(np.diag(products)))) / np.max(products))
    left = float(np.linalg.norm(path[-1] - solution))
    return [
        Row("steepest descent turns by right angles: cosines", "", f"{turn:.0e}", met=turn < 1e-10),
        Row(
            "... distance from the bottom after 4, 30 steps",
            "",
            f"{np.linalg.norm(zigzag[4] - solution):.0e}, {np.linalg.norm(zigzag[-1] - solution):.0e}",
        ),
        Row("conjugate directions: d A d' of different ones", "", f"{off:.0e}", met=off < 1e-10),
        Row("... distance from the bottom after 4 steps", "", f"{left:.0e}", "4 dimensions, 4 steps", met=left < 1e-10),
    ]


def nesterov_by_hand(steps: int, rate: float = 1e-3, keep: float = 0.9, far: float = 0.9) -> Any:
    """Look ahead along the velocity, take the gradient there: theta + keep v; the text has theta + v, `far` = 1."""
    theta, v, ahead = START, np.zeros(2), [START]
    for _ in range(steps):
        v = keep * v - rate * grad(rosenbrock)(theta + far * v)
        theta = theta + v
        ahead.append(theta + far * v)
    return np.array(ahead)


@program("buduma/B31")
def second_order(run: Run) -> list[Row]:
    """Each method on the bent valley: how many steps it takes to f < 1e-8."""
    rows = on_a_paraboloid()
    nesterov = descend(nn.SGD(1e-3, momentum=0.9, nesterov=True), rosenbrock, START, 1500)
    gap = float(np.max(np.abs(nesterov[:51] - nesterov_by_hand(50))))
    rows.append(
        Row("Nesterov by hand and of nn: difference", "", f"{gap:.0e}", "gradient at theta + m v", met=gap < 1e-10)
    )
    paths: dict[str, Any] = {"Nesterov": nesterov, "Nesterov at theta + v, as printed": nesterov_by_hand(1500, far=1.0)}
    paths["line search"] = searched(rosenbrock, START, 300)
    for method in ("CG", "BFGS", "L-BFGS"):
        paths[method] = np.array(nn.minimise(rosenbrock, START, method, tolerance=1e-8).path)
    paths["Newton"] = np.array(nn.newton(rosenbrock, START).path)
    for name, path in paths.items():
        heights = np.array([rosenbrock(p) for p in path])
        found = np.flatnonzero(heights < 1e-8)
        quick = name != "line search" and "Nesterov" not in name
        text = f"{found[0]} steps" if len(found) else f"not in {len(path) - 1} steps"
        rows.append(
            Row(
                f"{name}: f < 1e-8 after",
                "",
                text,
                f"f = {heights[-1]:.0e} at the end",
                met=bool(len(found)) if quick else None,
            )
        )
    del paths["Nesterov at theta + v, as printed"]  # hardly to be told from the other in a picture
    with run.picture(ncols=2, figsize=(11, 4.4)) as (left, right):
        contours(left, rosenbrock, (-1.7, 1.5), (-0.6, 1.6), levels=np.geomspace(0.3, 1500, 14))
        for (name, path), colour in zip(paths.items(), PALETTE, strict=False):
            left.plot(*path.T, "o-", ms=2, lw=1, color=colour)
            heights = np.maximum([rosenbrock(p) for p in path], 1e-16)
            right.loglog(np.arange(1, len(path) + 1), heights, color=colour, label=name)
        left.plot(1, 1, "k*", ms=9)
        left.set(title="Rosenbrock's valley", xlabel="$x_1$", ylabel="$x_2$")
        right.set(title="Height over the bottom", xlabel="step", ylabel="f")
        right.legend(loc="lower left")
    return rows
