"""The evaluation trace: what it records, how it runs again, its tables, its graph, its cost."""

from __future__ import annotations

import shutil
import subprocess
import unicodedata

import numpy as np
import pytest

import autodiff.core
from autodiff import custom_jvp, eval_shape, grad, hessian, jvp, ops, stop_gradient, trace, value_and_grad, vjp
from autodiff.core.errors import ConversionError, DifferentiationError, LeakedTracerError
from autodiff.core.record import Step
from autodiff.inspect.cost import FLOPS, flops
from autodiff.inspect.notation import show, width


def baydin(x1, x2):
    return np.log(x1) + x1 * x2 - np.sin(x2)


def mlp(params, x, labels):
    hidden = np.maximum(x @ params["w"][0] + params["b"], 0)
    z = hidden @ params["w"][1]
    z = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.sum(z[np.arange(x.shape[0]), labels]) / x.shape[0]


def mlp_arguments(seed, dtype=float):
    rng = np.random.default_rng(seed)
    w = [rng.normal(size=s).astype(dtype) / 2 for s in ((6, 5), (5, 3))]
    params = {"w": w, "b": rng.normal(size=5).astype(dtype)}
    return params, rng.normal(size=(4, 6)).astype(dtype), rng.integers(0, 3, 4)


# -- what is recorded ----------------------------------------------------------------------------------------


def test_steps_of_the_survey():
    t = trace(baydin)(2.0, 5.0)
    assert [s.name for s in t.inputs] == ["v-1", "v0"]
    assert [s.label for s in t.inputs] == ["x1", "x2"]
    assert [s.op.name for s in t] == ["log", "multiply", "sin", "add", "subtract"]
    assert [[p.name for p in s.operands] for s in t] == [
        ["v-1"], ["v-1", "v0"], ["v0"], ["v1", "v2"], ["v4", "v3"],
    ]  # fmt: skip
    assert len(t) == 5
    assert t[4] is t["v5"] is t.outputs[0]
    assert t["x2"].value == 5.0
    np.testing.assert_allclose([s.value for s in t], [np.log(2), 10, np.sin(5), np.log(2) + 10, baydin(2.0, 5.0)])
    with pytest.raises(KeyError, match="v-1 to v5"):
        t["v6"]


def test_program_order():
    t = trace(baydin, order="program")(2.0, 5.0)
    assert [s.op.name for s in t] == ["log", "multiply", "add", "sin", "subtract"]
    assert [s.op.name for s in trace(baydin)(2.0, 5.0).program] == ["log", "multiply", "add", "sin", "subtract"]
    with pytest.raises(ValueError, match="order"):
        trace(baydin, order="random")


def test_everything_is_recorded_with_params_and_sources():
    def f(x, n):
        return {"a": np.floor(x) + (x > 0.5), "b": n * 2, "c": np.sum(x, axis=0), "d": 7}

    t = trace(f)(np.array([0.25, 1.5]), np.array([1, 2]))
    assert sorted(s.op.name for s in t) == ["add", "floor", "greater", "multiply", "sum"]
    total = next(s for s in t if s.op.name == "sum")
    assert total.params["axis"] == 0
    assert total.shape == ()
    assert total.dtype == np.float64
    assert "test_trace.py" in total.source
    greater = next(s for s in t if s.op.name == "greater")
    assert greater.dtype == bool
    assert greater.operands == (t.inputs[0], 0.5)
    result = t.result
    np.testing.assert_array_equal(result["a"], [0.0, 2.0])
    np.testing.assert_array_equal(result["b"], [2, 4])
    assert result["d"] == 7
    assert t.outputs[3] == 7


def test_weak_scalars_stay_weak():
    t = trace(lambda x, a: x * (a * 2))(np.ones(3, np.float32), 0.5)
    assert t["a"].weak
    assert t[0].weak
    assert not t[1].weak
    assert t.result.dtype == np.float32
    assert t.eval(np.ones(3, np.float32), np.float64(2.0)).dtype == np.float32
    np.testing.assert_array_equal(t.eval(np.ones(3, np.float32), 2), [4, 4, 4])


def test_constants_are_kept_as_they_were():
    def f(x):
        buffer = np.zeros(2)
        for i in range(3):
            buffer[0] = i
            x = x + buffer
        return x

    t = trace(f)(np.zeros(2))
    np.testing.assert_array_equal(t.eval(np.zeros(2)), [3, 0])
    assert len(t.constants) == 3
    weights = np.ones(2)
    assert len(trace(lambda x: (x * weights) * weights)(np.zeros(2)).constants) == 1
    x = np.zeros(2)
    t = trace(lambda x: x + 1)(x)
    x[0] = 5
    np.testing.assert_array_equal(t.inputs[0].value, [0, 0])


def test_other_arguments_are_constants():
    t = trace(lambda x, how, scale=1: x * scale if how == "times" else x)(2.0, "times", scale=3)
    assert len(t.inputs) == 1
    assert t.eval(4.0, "times") == 12.0
    t = trace(lambda *xs: xs[0] * xs[1])(1.0, 2.0)
    assert [s.label for s in t.inputs] == ["xs1", "xs2"]
    assert [s.label for s in trace(np.add)(1.0, 2.0).inputs] == ["x1", "x2"]
    with pytest.raises(TypeError, match="trace"):
        trace(3)


def test_errors_and_leaks():
    import math

    with pytest.raises(ConversionError, match=r"np\.\* function"):
        trace(math.sin)(1.0)
    kept = []
    trace(kept.append)(1.0)
    with pytest.raises(LeakedTracerError):
        np.sin(kept[0])
    with pytest.raises(DifferentiationError):
        grad(lambda x: trace(lambda y: kept.append(x * y) or x * y)(2.0).result + np.sin(kept[-1]))(1.0)


# -- running it again ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_eval_of_a_network_and_of_its_gradient(dtype):
    args, other = mlp_arguments(0, dtype), mlp_arguments(1, dtype)
    for f in (mlp, value_and_grad(mlp), grad(grad_norm)):
        t = trace(f)(*args)
        assert not t.guards
        want, got = f(*other), t.eval(*other)
        flat, structure = autodiff.tree.flatten(want)
        found, found_structure = autodiff.tree.flatten(got)
        assert structure == found_structure
        for a, b in zip(flat, found, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12 if dtype is np.float64 else 1e-3)
            assert b.dtype == a.dtype == dtype


def grad_norm(params, x, labels):
    g = grad(mlp)(params, x, labels)
    return np.sum(g["w"][0] ** 2) + np.sum(g["b"] ** 2)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jvp(np.sin, (x,), (x,))[1],
        lambda x: vjp(np.tanh, x)[1](x)[0],
        hessian(lambda v: np.sum(np.exp(v) * v)),
        lambda x: np.where(x > 0, np.sqrt(np.abs(x)), x) @ x,
        lambda x: stop_gradient(x) * x,
        lambda x: x[::-1].reshape(1, -1).T @ x[None, :],
        lambda x: np.einsum("i,j->ij", x, x) + np.floor(x),
        grad(lambda v: np.sum(np.where(v > 0, np.sqrt(v), 0.0))),
    ],
)
def test_eval_gives_what_the_program_gives(f):
    rng = np.random.default_rng(3)
    t = trace(f)(rng.uniform(0.5, 2, 4))
    for _ in range(3):
        x = rng.uniform(0.5, 2, 4) * rng.choice([-1, 1], 4) if "sqrt(v)" not in str(f) else rng.uniform(0, 1, 4)
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(t.eval(x), f(x))


def test_every_operation_is_recorded_and_replayed():
    rng = np.random.default_rng(0)
    checked = 0
    for name, op in autodiff.core.REGISTRY.items():
        if op.samples is None:
            continue
        for args, params in op.samples(rng):
            t = trace(lambda *xs, op=op, params=params: op.call(*xs, **params))(*args)
            step = next(step for step in t if step.op.name == name)  # the first, but where a composition calls it
            assert step.params.keys() == params.keys()
            got, want = t.eval(*args), op.fn(*args, **params)
            np.testing.assert_array_equal(got, want)
            checked += 1
    assert checked > 200


def test_eval_can_be_differentiated_and_traced():
    t = trace(baydin)(2.0, 5.0)
    assert grad(t.eval)(2.0, 5.0) == 5.5
    np.testing.assert_allclose(grad(grad(t.eval, 1), 1)(2.0, 5.0), np.sin(5.0))
    again = trace(t.eval)(2.0, 5.0)
    assert [s.op.name for s in again] == [s.op.name for s in t]
    assert eval_shape(t.eval, 2.0, 5.0) == autodiff.Spec(())


def test_traced_positions_are_operands():
    table = np.arange(12.0).reshape(4, 3)
    t = trace(lambda w, i: w[i])(table, np.array([0, 3]))
    np.testing.assert_array_equal(t.eval(table, np.array([2, 1])), table[[2, 1]])
    t = trace(grad(lambda w, i: np.sum(w[i, 1:] ** 2)))(table, np.array([0, 3]))
    np.testing.assert_allclose(t.eval(table, np.array([2, 2])), grad(lambda w: np.sum(w[[2, 2], 1:] ** 2))(table))


def test_guards_refuse_what_the_trace_does_not_cover():
    def f(x, n):
        for _ in range(n):
            x = x * 2 if x > 0 else x - 1
        return x

    t = trace(f)(1.0, 2)
    assert [g.value for g in t.guards] == [2, True, True]
    assert "test_trace.py" in t.guards[0].source
    assert t.eval(3.0, 2) == 12.0
    with pytest.raises(ValueError, match=r"True when recorded and is False now.*np\.where"):
        t.eval(-3.0, 2)
    with pytest.raises(ValueError, match="was 2 when recorded and is 3 now"):
        t.eval(3.0, 3)
    mask = trace(lambda x: x[x > 0])(np.array([1.0, -1.0]))
    np.testing.assert_array_equal(mask.eval(np.array([5.0, -2.0])), [5.0])
    with pytest.raises(ValueError, match="index"):
        mask.eval(np.array([-5.0, 2.0]))


def test_eval_checks_its_arguments():
    t = trace(lambda x: x * 2)(np.ones(3))
    with pytest.raises(ValueError, match=r"x has shape \(2,\), but \(3,\) was recorded"):
        t.eval(np.ones(2))
    with pytest.raises(TypeError, match="float32, but float64 was recorded"):
        t.eval(np.ones(3, np.float32))
    with pytest.raises(TypeError, match="tree"):
        t.eval([np.ones(3)])
    with pytest.raises(TypeError, match="tree"):
        t.eval(np.ones(3), 1)


# -- the tables ----------------------------------------------------------------------------------------------

FORWARD = """
v₋₁ = x1 = 2 | v̇₋₁ = ẋ1 = 1
v₀ = x2 = 5 | v̇₀ = ẋ2 = 0
v₁ = ln v₋₁ = ln 2 = 0.693 | v̇₁ = v̇₋₁ / v₋₁ = 1 / 2 = 0.5
v₂ = v₋₁ × v₀ = 2 × 5 = 10 | v̇₂ = v̇₋₁ × v₀ + v̇₀ × v₋₁ = 1 × 5 + 0 × 2 = 5
v₃ = sin v₀ = sin 5 = −0.959 | v̇₃ = v̇₀ × cos v₀ = 0 × cos 5 = 0
v₄ = v₁ + v₂ = 0.693 + 10 = 10.693 | v̇₄ = v̇₁ + v̇₂ = 0.5 + 5 = 5.5
v₅ = v₄ − v₃ = 10.693 + 0.959 = 11.652 | v̇₅ = v̇₄ − v̇₃ = 5.5 − 0 = 5.5
y = v₅ = 11.652 | ẏ = v̇₅ = 5.5
"""
REVERSE = """
x̄1 = v̄₋₁ = 5.5
x̄2 = v̄₀ = 1.716
v̄₋₁ = v̄₋₁ + v̄₁ / v₋₁ = 5.5
v̄₀ = v̄₀ + v̄₂ × v₋₁ = 1.716
v̄₋₁ = v̄₂ × v₀ = 5
v̄₀ = v̄₃ × cos v₀ = −0.284
v̄₂ = v̄₄ = 1
v̄₁ = v̄₄ = 1
v̄₃ = −v̄₅ = −1
v̄₄ = v̄₅ = 1
v̄₅ = ȳ = 1
"""


def normal(text):
    return unicodedata.normalize("NFC", text)


def cells(table):
    return [[normal(cell) for cell in line] for section in table.sections for line in section]


@pytest.mark.parametrize("args", [(2, 5), (2.0, 5.0), (np.float64(2), np.array(5.0))])
def test_tables_2_and_3_of_the_survey(args):
    table = trace(baydin)(*args).table()
    assert cells(table.forward) == [normal(line).split(" | ") for line in FORWARD.strip().split("\n")]
    assert [line[1] for line in cells(table.reverse)] == normal(REVERSE).strip().split("\n")
    assert [line[2] for line in cells(table)] == normal(REVERSE).strip().split("\n")
    assert table.tangents[5] == 5.5
    assert table.adjoints[-1] == 5.5
    np.testing.assert_allclose(table.adjoints[0], 2 - np.cos(5.0), rtol=1e-15)
    np.testing.assert_allclose(table.primals[5], baydin(2.0, 5.0), rtol=1e-15)
    second = trace(baydin)(*args).table(tangents=(0.0, 1.0) if type(args[0]) is not int else (0, 1))
    np.testing.assert_allclose(second.tangents[5], 1.7163378145367738, rtol=1e-15)


def test_printed_table_is_aligned():
    text = str(trace(baydin)(2, 5).table())
    lines = text.split("\n")
    assert lines[0].split("  ")[0] == "Forward primal trace"
    rule = lines[1]
    assert set(rule) == {"-", " "}
    start = rule.index("  ") + 2  # where the second column begins
    for line in lines[2:]:
        plain = [c for c in line if not unicodedata.combining(c)]
        assert len(plain) <= len(rule)
        assert "".join(plain[start - 2 : start]).strip() == ""
    assert width("v̇₁") == 2
    assert repr(trace(baydin)(2, 5).table()) == text


def test_html_table():
    page = trace(lambda x: np.sum(np.where(x < 1, x, 0)))(np.array([0.5, 2.0])).table()._repr_html_()
    assert page.startswith("<table")
    assert page.endswith("</table>")
    assert page.count("<tr>") == page.count("</tr>")
    assert "v₀ &lt; 1" in page
    assert " < " not in page


def test_adjoints_and_tangents_of_arrays():
    args = mlp_arguments(0)
    t = trace(mlp)(*args)
    table = t.table(cotangent=2.0)
    want = grad(mlp)(*args)
    for leaf, step in zip(autodiff.tree.leaves(want), t.inputs, strict=False):
        np.testing.assert_allclose(table.adjoints[step.index], 2 * leaf, rtol=1e-12)
        assert table.adjoints[step.index].shape == step.shape
    zero = autodiff.tree.map(np.zeros_like, args[0])
    zero["b"] = np.ones(5)
    table = t.table(tangents=(zero, np.zeros_like(args[1]), np.zeros(4, int)))
    np.testing.assert_allclose(table.tangents[len(t)], np.sum(want["b"]), rtol=1e-12)
    assert t["labels"].index not in table.adjoints
    shown = str(table)
    assert "(6×5)" in shown
    assert "@" in shown
    assert "nan" not in shown


def test_every_adjoint_is_the_derivative_with_respect_to_that_step():
    t = trace(baydin)(2.0, 5.0)
    adjoints = t.table().adjoints
    for cut in t:  # the rest of the program as a function of this step's value

        def rest(v, cut=cut):
            env = {s: s.value for s in t.inputs}
            for s in t:
                env[s] = v if s is cut else s.op.call(*[env[x] if isinstance(x, Step) else x for x in s.operands])
            return env[t.outputs[0]]

        np.testing.assert_allclose(adjoints[cut.index], grad(rest)(cut.value))


def test_unchosen_entries_contribute_nothing():
    t = trace(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)))(np.array([0.0, 4.0]))
    np.testing.assert_array_equal(t.table().adjoints[0], [0.0, 0.25])
    t = trace(lambda x: np.sum(np.sqrt(x)[1:]))(np.array([0.0, 4.0]))
    np.testing.assert_array_equal(t.table().adjoints[0], [0.0, 0.25])


def test_tables_of_other_results():
    t = trace(lambda x: {"s": np.sin(x), "n": np.floor(x), "k": 3})(0.5)
    table = t.table(cotangent={"s": 2.0, "n": 0.0, "k": 0})
    np.testing.assert_allclose(table.adjoints[0], 2 * np.cos(0.5))
    text = normal(str(table))
    assert "y['s'] = v₁" in text
    assert "y['n'] = v₂ = 0" in text
    assert "y['k'] = 3" in text
    assert str(trace(lambda x: None)(1.0).table()).count("\n") == 2
    t = trace(lambda z: np.real(z * np.conj(z)))(1 + 2j)
    assert t.table().adjoints[0] == grad(lambda z: np.real(z * np.conj(z)))(1 + 2j)
    assert "1+2i" in str(t.table())
    with pytest.raises((TypeError, ValueError)):
        t.table(tangents=(1.0, 2.0))


def test_integers_in_tables():
    t = trace(lambda x, i: x[i] * i)(np.array([1.0, 2.0, 4.0]), 2)
    table = t.table()
    np.testing.assert_array_equal(table.adjoints[-1], [0, 0, 2])  # the index stays an integer
    branch = trace(lambda x: x * x if x > 1 else x)(3)
    assert branch.table().adjoints[0] == 6.0


def test_formulas_are_short():
    def f(x):
        for _ in range(300):
            x = np.maximum(np.logaddexp(x, 0.0), np.sin(x))
        return x

    text = str(trace(f)(0.3).table())
    lines = text.split("\n")
    assert any("more steps" in line for line in lines)
    assert max(width(line) for line in lines) < 240
    assert "∂" in text


def test_values():
    assert show(0.0004567) == "0.000457"
    assert show(-2.0) == "−2"
    assert show(1e9) == "1e+09"
    assert show(np.inf) == "∞"
    assert show(np.arange(3)) == "[0 1 2] (3)"
    assert show(np.zeros((0, 2))) == "[] (0×2)"
    assert show(np.arange(100.0)) == "[0 1 … 99] (100)"
    assert show(np.ones((3, 1, 2), np.float32)) == "[1 1 … 1] float32 (3×1×2)"
    assert show(np.zeros((3, 4, 1))) == "[0 … 0] (3×4×1)"
    assert show(1 - 2j) == "1−2i"
    assert show(True) == "True"
    assert show(-1e-10) == "−1e−10"


# -- the graph -----------------------------------------------------------------------------------------------


def test_dot_and_mermaid_text():
    drawing = trace(baydin)(2.0, 5.0).draw()
    dot, mermaid = drawing.dot, drawing.mermaid
    assert dot.startswith('digraph "baydin" {')
    assert str(drawing) == dot
    for edge in (
        "vm1 -> v1",
        "vm1 -> v2",
        "v0 -> v2",
        "v0 -> v3",
        "v1 -> v4",
        "v2 -> v4",
        "v4 -> v5",
        "v3 -> v5",
        "v5 -> y0",
    ):
        assert f"  {edge};" in dot
        assert f"  {edge.replace('->', '-->')}\n" in mermaid
    assert mermaid.startswith("flowchart LR\n")
    assert 'v3("sin<br/>v₃ = −0.959"):::nonlinear' in mermaid


def test_labels_are_escaped():
    def f(tree):
        return np.sum(np.where(tree['a"<b>&#`\\'] > 0, 1.0, 2.0)) * (tree['a"<b>&#`\\'] < 3)

    drawing = trace(f)({'a"<b>&#`\\': np.array([1.0, 2.0])}).draw()
    assert "&quot;&lt;b&gt;&amp;#`" in drawing.dot
    assert "#quot;#lt;b#gt;&#35;#96;" in drawing.mermaid
    assert all(line.count('"') == 2 for line in drawing.mermaid.split("\n") if "<br/>" in line)
    assert ":::stops" in drawing.mermaid
    assert " -.-> " in drawing.mermaid
    if shutil.which("dot"):
        assert b"<svg" in drawing._render("svg")


def test_files(tmp_path):
    t = trace(baydin)(2.0, 5.0)
    t.draw(tmp_path / "g.dot")
    t.draw(tmp_path / "g.mmd")
    t.draw(tmp_path / "g.md")
    t.draw(tmp_path / "plain", format="dot")
    assert (
        (tmp_path / "g.dot").read_text(encoding="utf-8")
        == (tmp_path / "plain").read_text(encoding="utf-8")
        == t.draw().dot
    )
    assert (tmp_path / "g.mmd").read_text(encoding="utf-8") == t.draw().mermaid
    assert (tmp_path / "g.md").read_text(encoding="utf-8").startswith("```mermaid\nflowchart LR")
    with pytest.raises(ValueError, match="unknown format 'bmp'"):
        t.draw(tmp_path / "g.bmp")


def test_pictures_need_graphviz(tmp_path, monkeypatch):
    t = trace(baydin)(2.0, 5.0)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"Graphviz.*apt install graphviz.*\.dot, \.mmd or \.md"):
        t.draw(tmp_path / "g.png")
    assert t.draw()._repr_svg_() is None
    seen = []

    def run(command, **options):
        seen.append((command, options["input"]))
        return subprocess.CompletedProcess(command, 0, stdout=b"picture", stderr=b"")

    monkeypatch.setattr(shutil, "which", lambda name: "/bin/dot")
    monkeypatch.setattr(subprocess, "run", run)
    t.draw(tmp_path / "g.png")
    assert (tmp_path / "g.png").read_bytes() == b"picture"
    assert seen[0][0][:2] == ["/bin/dot", "-Tpng"]
    assert seen[0][1] == t.draw().dot.encode()
    monkeypatch.setattr(subprocess, "run", lambda c, **o: subprocess.CompletedProcess(c, 1, b"", b"bad syntax"))
    with pytest.raises(RuntimeError, match="bad syntax"):
        t.draw(tmp_path / "g.svg")


# -- the cost ------------------------------------------------------------------------------------------------


def test_cost_of_the_survey():
    cost = trace(baydin)(2.0, 5.0).cost()
    assert cost.calls == cost.flops == 5
    assert cost.bytes_read == 8 * 8
    assert cost.bytes_written == 5 * 8
    assert cost.bytes_held == 16  # x1 and x2: what the rules of log, multiply and sin read
    assert cost.bytes_peak == 5 * 8  # both inputs, v2, v3 and v4... at the last step: x1, x2, v3, v4, v5


def test_cost_of_products():
    a, b = np.ones((2, 3, 4)), np.ones((4, 5))
    assert trace(lambda a, b: a @ b)(a, b).cost().flops == 2 * 2 * 3 * 4 * 5
    assert trace(lambda a, b: a[0, 0] @ b)(a, b).cost().flops == 2 * 4 * 5
    three = trace(lambda a, b: np.einsum("bij,jk,bl->bikl", a, b, a[:, :, 0]))(a, b).cost()
    assert three.by_operation["einsum"].flops == 3 * (2 * 3 * 4 * 5 * 3)
    assert trace(lambda a: np.sum(a, axis=0))(a).cost().flops == 24
    shapes = trace(lambda a: a.reshape(6, 4).T[1:])(a).cost()
    assert shapes.flops == shapes.bytes_written == shapes.bytes_read == 0
    assert shapes.calls == 3
    assert shapes.bytes_peak == a.nbytes
    assert trace(lambda a: np.exp(a) * 2)(a).cost().flops == 48


def test_cost_of_convolution_and_pooling():
    x, w, b = np.ones((2, 4, 6, 6), np.float32), np.ones((8, 2, 3, 3), np.float32), np.ones(8, np.float32)
    forward = 2 * (2 * 8 * 6 * 6) * (2 * 3 * 3)  # for each number of the result, as many multiply-adds as a filter has

    def layer(x, w, b):
        return ops.conv2d(x, w, b, padding="same", groups=2)

    assert trace(layer)(x, w, b).cost().flops == forward + 2 * 8 * 6 * 6
    gradient = trace(lambda x, w, ct: vjp(lambda x, w: layer(x, w, b), x, w)[1](ct))(x, w, layer(x, w, b)).cost()
    assert gradient.by_operation["conv2d_input_gradient"].flops == forward
    assert gradient.by_operation["conv2d_weight_gradient"].flops == forward
    assert trace(lambda x: ops.max_pool2d(x, 3, stride=2, padding=1))(x).cost().flops == 2 * 4 * 3 * 3 * 9
    assert trace(lambda x: ops.avg_pool2d(x, 2))(x).cost().flops == x.size
    assert trace(ops.dense)(np.ones((5, 3)), np.ones((3, 4)), np.ones(4)).cost().flops == 140


def test_cost_model_of_forward_and_reverse_mode():
    # Layer widths d0..d4 with one output: reverse mode's products are matrix-vector products.
    rng = np.random.default_rng(0)
    widths = (30, 20, 15, 10, 1)
    layers = [rng.normal(size=s) for s in zip(widths[1:], widths, strict=False)]

    def net(x):
        for w in layers:
            x = w @ x
        return x[0]

    x = np.ones(30)
    forward = 2 * sum(m * n for m, n in zip(widths[1:], widths, strict=False))
    assert trace(net)(x).cost().flops == forward
    gradient = trace(lambda x, ct: vjp(net, x)[1](ct)[0])(x, 1.0).cost().by_operation["matmul"].flops
    assert forward <= gradient <= 2 * forward


def test_peak_is_below_the_sum_for_a_chain():
    def chain(x):
        for _ in range(10):
            x = np.sin(x)
        return x

    x = np.ones(1000)
    cost = trace(chain)(x).cost()
    assert cost.bytes_peak == 3 * x.nbytes
    assert cost.bytes_held == 10 * x.nbytes
    text = repr(cost)
    assert "sin" in text
    assert "peak of live values" in text
    assert "arithmetic intensity" in text
    assert cost._repr_html_().startswith("<pre>")


def test_flops_of_every_operation():
    rng = np.random.default_rng(0)
    for op in autodiff.core.REGISTRY.values():
        for args, params in op.samples(rng) if op.samples is not None else ():
            t = trace(lambda *xs, op=op, params=params: op.call(*xs, **params))(*args)
            n = flops(t[0])
            assert isinstance(n, int)
            assert n >= 0
            t.cost()
    assert all(callable(rule) for rule in FLOPS.values())


def test_custom_rules_inside_gradients():
    @custom_jvp
    def f(x):
        return np.log1p(np.exp(x))

    f.defjvp(lambda primals, tangents: (f(primals[0]), tangents[0] / (1 + np.exp(-primals[0]))))
    t = trace(grad(f))(0.5)
    np.testing.assert_allclose(t.eval(2.0), 1 / (1 + np.exp(-2.0)))


def test_graph_of_integer_arguments_is_that_of_floats():
    """Integers that are passed directly count as floats, as for `grad`."""
    assert trace(baydin)(2, 5).draw().mermaid == trace(baydin)(2.0, 5.0).draw().mermaid
