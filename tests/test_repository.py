"""The repository as a whole: the READMEs run, imports go down only, files stay short, imports stay light."""

import ast
import contextlib
import doctest
import io
import re
import subprocess
import sys
import tokenize
import warnings
from pathlib import Path

import pytest

import autodiff

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES = 550
BELOW = {
    "kernels": set(),
    "autodiff": {"kernels"},
    "nn": {"autodiff"},
}  # what each package may import of ours
OURS = {*BELOW, "examples", "benchmarks", "tests"}
SOURCES = sorted(path for package in BELOW for path in (ROOT / package).rglob("*.py"))
HEAVY = ("numba", "llvmlite", "scipy", "matplotlib", "cupy")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


# -- the README ----------------------------------------------------------------------------------------------

BLOCK = re.compile(r"(?ms)^```python\n(?P<code>.*?)^```$(?:\n+^```text\n(?P<output>.*?)^```$)?")


def comments(code):
    """Trailing comments by line number."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return {t.start[0]: t.string.removeprefix("#").strip() for t in tokens if t.type == tokenize.COMMENT}


def run_block(code, first_line, namespace):
    """Run a block and return what it printed beside no comment.

    The comment behind a print is what it must print.
    """
    rest = []
    expected = comments(code)
    for statement in ast.parse(code).body:
        module = ast.increment_lineno(ast.Module([statement], []), first_line - 1)
        where = statement.end_lineno
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(module, "README.md", "exec"), namespace)
        claim = expected.get(where - first_line + 1)
        if claim is not None and out.getvalue():
            assert out.getvalue().strip() == claim, f"README.md, line {where}"
        else:
            rest.append(out.getvalue())
    return "".join(rest)


def lines_of(text):
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def test_readme_blocks_run_and_print_what_they_say():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    namespace = {"__name__": "readme"}
    count = 0
    for match in BLOCK.finditer(text):
        count += 1
        first_line = text.count("\n", 0, match.start("code")) + 1
        printed = run_block(match["code"], first_line, namespace)
        if match["output"] is not None:
            assert lines_of(printed) == lines_of(match["output"]), f"the output below line {first_line}"
    assert count == text.count("```python")
    assert count >= 5


def test_readme_reader_notices_a_wrong_claim():
    assert run_block("x = 2\nprint(x)  # 2\nprint(3)\n", 1, {}) == "3\n"
    with pytest.raises(AssertionError, match="line 11"):
        run_block("x = 2\nprint(x)  # 3\n", 10, {})


def test_readme_links_to_files_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in t]
    assert targets
    assert [t for t in targets if not (ROOT / t).exists()] == []


# -- the page beside the core --------------------------------------------------------------------------------


def test_the_examples_of_the_cores_readme():
    page = Path(autodiff.core.__file__).with_name("README.md")
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert failed == 0
    assert tried > 8


def test_the_cores_readme_names_every_file():
    page = Path(autodiff.core.__file__).with_name("README.md").read_text(encoding="utf-8")
    for file in Path(autodiff.core.__file__).parent.glob("*.py"):
        assert file.name == "__init__.py" or f"`{file.name}`" in page


# -- the packages --------------------------------------------------------------------------------------------


def imports_of(tree):
    """Top-level names that a module imports, wherever the statement stands, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0], node.lineno


@pytest.mark.parametrize("package", BELOW)
def test_imports_go_down_only(package):
    forbidden = OURS - BELOW[package] - {package}
    found = [
        f"{name_of(path)}:{line} imports {name}"
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] == package
        for name, line in imports_of(ast.parse(path.read_text(encoding="utf-8")))
        if name in forbidden
    ]
    assert found == []


def test_files_are_short():
    files = [path for folder in OURS for path in (ROOT / folder).rglob("*.py")]
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


@pytest.mark.parametrize("package", BELOW)
def test_packages_are_documented_and_typed(package):
    assert (ROOT / package / "py.typed").is_file()
    assert ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8")))


def test_import_is_light():
    code = f"import sys, autodiff; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == []


def test_public_names_exist():
    assert sorted(autodiff.__all__) == list(autodiff.__all__)
    assert len(set(autodiff.__all__)) == len(autodiff.__all__)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [name for name in autodiff.__all__ if not hasattr(autodiff, name)] == []
