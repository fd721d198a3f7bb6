"""Expression graphs: Buduma, "Fundamentals of Deep Learning", chapter 3; Ketkar, "Deep Learning with Python", 4.

Both texts build a graph of symbols first and run it afterwards. Here a plain function runs, and `trace` records the
graph as it does; `eval` runs the record again for other arguments.

Run::

    python -m examples run expression-graphs
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import Spec, eval_shape, grad, jvp, trace
from examples.catalogue import program
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run


def filled(*values: float) -> list[Any]:
    """Return matrices of 2 x 2, each of one number."""
    return [np.full((2, 2), v, float) for v in values]


@program("buduma/B17")
def smoke_test(run: Run) -> list[Row]:
    """The first graph of all: a product of two constants."""
    run.data = "in the text"
    record = trace(lambda a, b: a * b)(2, 3)
    run.say("\n".join(map(str, record)))
    note = "with b = 3; the listing defines a twice and b never"
    slopes = grad(lambda a, b: a * b, (0, 1))(2.0, 3.0)
    return [
        Row("a b", "6", str(record.result), note),
        agreement("its derivatives: the other factor", (3.0, 2.0), slopes),
    ]


def layer(x: Any, weights: Any) -> Any:
    """Return x W + b."""
    return x @ weights["w"] + weights["b"]


def uniform(rng: np.random.Generator, inputs: int, outputs: int) -> dict[str, Any]:
    """Return the weights of a layer, uniform in (-1, 1), and biases of zero."""
    return {"w": rng.uniform(-1, 1, (inputs, outputs)), "b": np.zeros(outputs)}


@program("buduma/B18")
def one_layer(run: Run) -> list[Row]:
    """One layer for any number of samples: shapes without numbers, numbers row by row, gradients summed over rows."""
    run.data = "generated"
    rng = run.rng
    weights = uniform(rng, 784, 10)
    x = rng.normal(size=(7, 784))
    shapes = [eval_shape(layer, Spec((n, 784), np.dtype(float)), weights).shape for n in (1, 7, 1000)]
    slopes = grad(lambda p: np.sum(layer(x, p)))(weights)
    single = [layer(row, weights) for row in x]
    return [
        Row(
            "shapes for 1, 7 and 1,000 samples", "", ", ".join(map(str, shapes)), "of a graph that has seen no numbers"
        ),
        agreement("row i of the output is of sample i", layer(x, weights), np.array(single),
                  note='the listing feeds the string "x", where the placeholder x is needed'),
        agreement("gradient of b: once for each sample", np.full(10, 7.0), slopes["b"]),
        agreement("gradient of W: the samples' sums", np.tile(x.sum(axis=0)[:, None], 10), slopes["w"]),
    ]  # fmt: skip


@program("buduma/B19")
def shared_network(run: Run) -> list[Row]:
    """784-100-50-10 applied to two batches: one set of parameters used twice, or two sets."""
    run.data = "generated: two batches of 1,000"
    rng = run.rng
    sizes = (784, 100, 50, 10)
    make = lambda: {f"layer_{i}": uniform(rng, *sizes[i - 1 : i + 1]) for i in (1, 2, 3)}  # noqa: E731
    first, second = rng.normal(size=(2, 1000, 784))

    def network(parameters: Any, x: Any) -> Any:
        """Return the output; the text has no functions between the layers."""
        for weights in parameters.values():
            x = layer(x, weights)
        return x

    one, other = make(), make()
    loss = lambda p, q: np.mean(network(p, first) ** 2) + np.mean(network(q, second) ** 2)  # noqa: E731
    shared = grad(lambda p: loss(p, p))(one)
    apart = grad(loss, (0, 1))(one, one)
    together = apart[0]["layer_1"]["w"] + apart[1]["layer_1"]["w"]
    product = np.linalg.multi_dot([weights["w"] for weights in one.values()])
    return [
        Row("parameters, shared", "", f"{nn.count_parameters(one):,}"),
        Row("parameters, a set for each call", "", f"{nn.count_parameters([one, other]):,}",
            "variables that a call makes; get_variable refuses the second call unless told to reuse"),
        Row("their names", "", ", ".join(nn.parameters(one))),
        Row(
            "sharing twice, not at all",
            "",
            f"{float(loss(one, one)):.4g}, {float(loss(one, other)):.4g}",
            "values of a loss",
        ),
        agreement("shared gradient: the sum of both uses", shared["layer_1"]["w"], together),
        agreement("three linear layers are one", network(one, first), first @ product, 1e-10),
    ]  # fmt: skip


@program("ketkar/K4-1")
def scalars(run: Run) -> list[Row]:
    """((a - b + c) d) / e, recorded elsewhere and run again at (1, 2, 3, 4, 5)."""
    run.data = "in the text"
    f = lambda a, b, c, d, e: ((a - b + c) * d) / e  # noqa: E731
    record = trace(f)(2.0, 0.0, 7.0, 1.0, 9.0)
    run.say("\n".join(map(str, record)))
    at = (1.0, 2.0, 3.0, 4.0, 5.0)
    a, b, c, d, e = at
    by_hand = (d / e, -d / e, d / e, (a - b + c) / e, -(a - b + c) * d / e**2)
    return [
        Row("value", "1.6", f"{record.eval(*at):g}"),
        agreement("five derivatives by hand", by_hand, grad(f, (0, 1, 2, 3, 4))(*at)),
    ]


@program("ketkar/K4-2")
def matrices(run: Run) -> list[Row]:
    """(a + b - c) * d on matrices of 1, 2, 5 and 3."""
    run.data = "in the text"
    f = lambda a, b, c, d: (a + b - c) * d  # noqa: E731
    a, b, c, d = filled(1, 2, 5, 3)
    value = trace(f)(*filled(0, 0, 0, 0)).eval(a, b, c, d)
    product = (a + b - c) @ d
    words = "its words say product of matrices, its listing multiplies entry by entry"
    return [
        Row("all entries", "-6", entry(value)),
        Row("all entries, as a product of matrices", "-6", entry(product), wrong=words),
        agreement("tangent along d", a + b - c, jvp(lambda d: f(a, b, c, d), (d,), (np.ones((2, 2)),))[1]),
    ]


@program("ketkar/K4-3")
def mixed(run: Run) -> list[Row]:
    """(((a p) + (b - q) - (c + r)) d / s) u: scalars are spread over matrices, and their gradients summed back."""
    run.data = "in the text"

    def f(matrices: Any, p: Any, q: Any, r: Any, s: Any, u: Any) -> Any:
        a, b, c, d = matrices
        return (((a * p) + (b - q) - (c + r)) * d / s) * u

    given = filled(1, 2, 5, 3)
    a, _, _, d = given
    slopes = grad(lambda p, q, u: np.sum(f(given, p, q, 3.0, 4.0, u)), (0, 1, 2))(1.0, 2.0, 5.0)
    value = f(given, 1, 2, 3, 4, 5)
    by_hand = (np.sum(a * d) / 4 * 5, -np.sum(d) / 4 * 5, np.sum(value) / 5)
    return [
        Row("all entries", "-26.25", entry(value)),
        agreement("gradients of p, q, u: sums by hand", by_hand, slopes),
    ]


def entry(matrix: Any) -> str:
    """Return the number that all entries are."""
    return " or ".join(f"{v:g}" for v in np.unique(matrix))


@program("ketkar/K4-5")
def mutable_state(run: Run) -> list[Row]:
    """A function with state inside, and the same with the state handed in."""
    run.data = "in the text"
    state, x = {"y": np.array([[4, 5, 6]])}, np.array([[1, 2, 3]])
    inside, handed = (lambda x: x + state["y"]), (lambda x, y: x + y)
    before = inside(x)
    state["y"] = np.array([[5, 6, 7]])
    after = inside(x)
    same = np.array_equal(trace(handed)(x, state["y"]).eval(x, np.array([[5, 6, 7]])), after)
    shown = lambda z: "[" + ",".join(map(str, z[0])) + "]"  # noqa: E731
    return [
        Row("y = [4, 5, 6]", "[5,7,9]", shown(before)),
        Row("y = [5, 6, 7]", "[6,8,10]", shown(after)),
        Row("the same with y as an argument", "", "yes" if same else "no", "how a model is handed on here", same),
    ]


@program("ketkar/K4-9")
def random_streams(run: Run) -> list[Row]:
    """A random node draws anew at each call: the text's numbers, from the seed of its seed."""
    run.data = "in the text"
    stream = np.random.RandomState(np.random.RandomState(42).randint(2**30))  # as the text's library seeds a node
    printed = (
        "[1.25614218 -0.53793023 -0.10434045]",
        "[0.66992188 -0.70813926 0.99601177]",
        "[0.0724739 -0.66508406 0.93707751]",
    )
    draw = lambda x: stream.normal(size=(1, 3)) * x  # noqa: E731
    digits = lambda v: f"{v:.8f}".rstrip("0")  # noqa: E731
    draws = [draw(np.ones((1, 3)))[0] for _ in printed]
    rows = [
        Row(f"call {i}", text, f"[{' '.join(map(digits, z))}]")
        for i, (text, z) in enumerate(zip(printed, draws, strict=True), 1)
    ]
    again = np.random.RandomState(np.random.RandomState(42).randint(2**30)).normal(size=(1, 3))
    slope = jvp(lambda x: again * x, (np.ones((1, 3)),), (np.ones((1, 3)),))[1]
    return [*rows, agreement("derivative along the input: what was drawn", draws[0], slope[0])]


@program("ketkar/K4-14")
def power_by_scan(run: Run) -> list[Row]:
    """A power as a loop of products: Python's own loop, in both modes."""
    run.data = "in the text"

    def power(a: Any, k: int) -> Any:
        result = a
        for _ in range(k - 1):
            result = result * a
        return result

    record = trace(lambda a: power(a, 5))(2.0)
    run.say("\n".join(map(str, record)))
    return [
        Row("2^5", "32.0", str(power(2.0, 5))),
        Row("products recorded", "", str(len(record))),
        agreement("k a^(k - 1), forward mode", 80.0, jvp(lambda a: power(a, 5), (2.0,), (1.0,))[1]),
        agreement("k a^(k - 1), reverse mode", 80.0, grad(power)(2.0, 5)),
    ]
