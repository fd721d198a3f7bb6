"""Large matrix products go to the compiled kernel once kernels are in use, and only then."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autodiff import grad, jvp, ops
from autodiff.ops.compiled import product

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def calls(monkeypatch):
    """The shapes of the products that reached the kernel."""
    ops.enable_kernels()
    from autodiff.ops import compiled

    kernel, seen = compiled._State.large, []

    def record(a, b, bias, code):
        seen.append((a.shape, b.shape))
        return kernel(a, b, bias, code)

    monkeypatch.setattr(compiled._State, "large", record)
    return seen


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_derivatives_of_products_use_the_kernel_in_both_modes(calls, dtype):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((70, 80)).astype(dtype), rng.standard_normal((80, 90)).astype(dtype)

    def f(x, w):
        return np.sum(np.tanh(x @ w))

    slope = 1 - np.tanh(x.astype(float) @ w.astype(float)) ** 2
    by_x, by_w = grad(f, (0, 1))(x, w)
    assert calls == [((70, 80), (80, 90)), ((70, 90), (90, 80)), ((80, 70), (70, 90))]
    assert by_x.dtype == by_w.dtype == dtype
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(by_x, slope @ w.T, rtol=tolerance, atol=tolerance * 10)
    np.testing.assert_allclose(by_w, x.T @ slope, rtol=tolerance, atol=tolerance * 10)
    calls.clear()
    _, tangent = jvp(f, (x, w), (x, w))
    assert calls == [((70, 80), (80, 90))] * 3
    np.testing.assert_allclose(tangent, np.sum(by_x * x) + np.sum(by_w * w), rtol=100 * tolerance)


def test_small_and_unfit_products_stay_with_numpy(calls):
    small, large = np.ones((5, 6)), np.ones((100, 100))
    for a, b in (
        (small, small.T), (large[0], large), (large, large[0]), (large.astype(int), large), (large.astype("f"), large),
        (large[:, :1], large[:1]), (large * 1j, large), (large.astype(np.float16), large.astype(np.float16)),
    ):  # fmt: skip
        np.testing.assert_array_equal(product(a, b), a @ b)
    assert calls == []
    with pytest.raises(ValueError, match="matmul"):
        product(large, large[:50])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, int, bool])
def test_a_column_times_a_row(rng, dtype):
    column, row = (rng.normal(size=shape) * 3 for shape in ((700, 1), (1, 30)))
    a, b = column.astype(dtype), row.astype(np.float32 if dtype is np.float64 else dtype)
    for x, y in ((a, b), (a[::2], b), (b[:, ::-1].T, a.T), (a.T[:, :1], b)):
        got, wanted = product(x, y), x @ y
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)


def test_programs_without_kernels_do_not_load_the_compiler():
    program = (
        "import sys, numpy as np; from autodiff import grad, ops\n"
        "grad(lambda w: np.sum(w @ w))(np.ones((100, 100)))\n"
        "assert not ops.kernels_enabled() and 'numba' not in sys.modules\n"
        "ops.enable_kernels()\n"
        "assert ops.kernels_enabled() and 'numba' in sys.modules\n"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert outcome.returncode == 0, outcome.stderr
