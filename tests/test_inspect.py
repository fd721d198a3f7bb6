"""What an evaluation trace shows: the survey's tables, its graph, its cost."""

from __future__ import annotations

import shutil
import subprocess
import unicodedata

import numpy as np
import pytest

import autodiff.core
from autodiff import grad, ops, trace, vjp
from autodiff.core.record import Step
from autodiff.inspect.cost import FLOPS, flops
from autodiff.inspect.notation import show, width
from tests.traced_programs import baydin, mlp, mlp_arguments

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
    with pytest.raises(TypeError, match=r"table: the tree of tangent is \(\*, \*\), but that of argument is \(\*,\)"):
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


def test_graph_of_integer_arguments_is_that_of_floats():
    """Integers that are passed directly count as floats, as for `grad`."""
    assert trace(baydin)(2, 5).draw().mermaid == trace(baydin)(2.0, 5.0).draw().mermaid


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
    assert cost.bytes_peak == 5 * 8  # at the last step: x1, x2, v3, v4, v5


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
    checked = 0
    for op in autodiff.core.REGISTRY.values():
        for args, params in op.samples(rng) if op.samples is not None else ():
            t = trace(lambda *xs, op=op, params=params: op.call(*xs, **params))(*args)
            n = flops(t[0])
            assert isinstance(n, int)
            assert n >= 0
            assert t.cost().flops >= n
            checked += 1
    assert checked > 200
    assert all(callable(rule) for rule in FLOPS.values())
