"""The matrix product and the register tiles beneath it, in vector instructions and in plain loops."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kernels.cpu import matmul, narrow, threads, tiles, tiles_plain
from kernels.cpu.host import host, vector_unit
from kernels.cpu.jit import kernel

ROOT = Path(__file__).resolve().parents[1]
DTYPES = (np.float32, np.float64)
TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-13}


def close(actual, expected):
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    scale = TOLERANCE[actual.dtype] * max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=scale)


def exact_product(a, b):
    return (a.astype(np.longdouble) @ b.astype(np.longdouble)).astype(a.dtype)


# -- products ------------------------------------------------------------------------------------------------

SIZES = [
    (1, 1, 1), (2, 3, 1), (1, 300, 1), (13, 17, 31), (14, 5, 32), (15, 5, 33), (28, 256, 64), (29, 257, 65),
    (100, 300, 10), (337, 40, 70), (350, 513, 35), (3, 20, 200),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products_of_all_orders_in_memory(size, dtype):
    m, k, n = size
    rng = np.random.default_rng(m * n + k)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    expected = exact_product(a, b)
    for left in (a, np.asfortranarray(a)):
        for right in (b, np.asfortranarray(b)):
            close(matmul(left, right), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", range(1, narrow.MOST + 1))
def test_products_with_few_columns(columns, dtype):
    """Vectors run along the terms: of every remainder, in one pass and in several, of one product and of a batch."""
    rng = np.random.default_rng(columns)
    bias = rng.standard_normal(columns).astype(dtype)
    for rows, terms in ((1, 128), (4, 131), (7, 1031), (23, 3001)):
        a, b = rng.standard_normal((rows, terms)).astype(dtype), rng.standard_normal((terms, columns)).astype(dtype)
        expected = exact_product(a, b)
        for right in (b, np.asfortranarray(b), np.repeat(b, 2, axis=1)[:, ::2]):
            close(matmul(a, right), expected)
            close(matmul(a[:, ::-1][::-1], right), exact_product(a[:, ::-1][::-1], right))
        with threads(3):
            close(matmul(a, b, bias=bias, activation="relu"), np.maximum(expected + bias, 0))
    a, b = rng.standard_normal((2, 1, 6, 200)).astype(dtype), rng.standard_normal((3, 200, columns)).astype(dtype)
    close(matmul(a, b), exact_product(a, b))


def test_where_vectors_run_along_the_terms():
    lanes = tiles.LANES32
    assert narrow.is_narrow(1, 8 * lanes, 4)
    assert not narrow.is_narrow(1, 8 * lanes - 1, 4)
    assert not narrow.is_narrow(lanes, 10_000, 4)
    assert not narrow.is_narrow(narrow.MOST + 1, 10_000, 4)


def test_not_a_number_comes_through_products_with_few_columns():
    a, b = np.ones((6, 300), np.float32), np.ones((300, 3), np.float32)
    a[2, 299], a[3, 0], b[5, 1] = np.nan, np.inf, 0
    found = matmul(a, b)
    assert np.isnan(found[2]).all()
    np.testing.assert_array_equal(found[[3, 4]], [[np.inf] * 3, [300, 299, 300]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_operands_are_read_where_they_lie(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((40, 60)).astype(dtype), rng.standard_normal((60, 70)).astype(dtype)
    cases = [
        (a[::2], b), (a[:, ::3], b[::3]), (a[::-1], b), (a[5:9], b[:, 7:40]), (a, b[:, ::-2]), (a[:, :30], b[30:]),
    ]  # fmt: skip
    for left, right in cases:
        close(matmul(left, right), exact_product(left, right))
    for array in (a, b):
        array.flags.writeable = False
    close(matmul(a, b), exact_product(a, b))
    broadcast = np.broadcast_to(a[:1], a.shape)
    close(matmul(broadcast, b), exact_product(broadcast, b))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 4, 5), (3, 5, 6)),
        ((4, 5), (3, 5, 6)),
        ((2, 1, 4, 5), (3, 5, 6)),
        ((0, 4, 5), (5, 2)),
        ((2, 3, 1, 1), (1, 7)),
    ],
    ids=str,
)
def test_batches_broadcast(left, right):
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal(left), rng.standard_normal(right)
    close(matmul(a, b), a @ b)
    turned = np.swapaxes(np.swapaxes(a, -1, -2).copy(), -1, -2)
    close(matmul(turned, b), a @ b)
    close(matmul(a[..., ::-1, :], b), a[..., ::-1, :] @ b)


@pytest.mark.parametrize(("m", "k", "n"), [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)])
def test_empty_products(m, k, n):
    bias = np.linspace(-1, 1, n)
    close(matmul(np.ones((m, k)), np.ones((k, n))), np.zeros((m, n)))
    close(matmul(np.ones((m, k)), np.ones((k, n)), bias=bias), np.zeros((m, n)) + (bias if k == 0 else 0))
    close(matmul(np.ones((m, 0)), np.ones((0, n)), bias=bias, activation="relu"), np.zeros((m, n)) + bias.clip(0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_bias_and_relu(dtype):
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((50, 600)).astype(dtype), rng.standard_normal((600, 75)).astype(dtype)
    bias = rng.standard_normal(75).astype(dtype)
    expected = exact_product(a, b) + bias
    close(matmul(a, b, bias=bias), expected)
    close(matmul(a, b, bias=bias, activation="relu"), np.maximum(expected, 0))
    close(matmul(a, b, activation="relu"), np.maximum(exact_product(a, b), 0))
    close(matmul(a[None], b[None], bias=bias[::-1])[0], exact_product(a, b) + bias[::-1])


def test_nan_and_infinity_come_out():
    a, b = np.ones((20, 30)), np.ones((30, 40))
    a[3, 4], a[5, 6] = np.nan, np.inf
    product = matmul(a, b, activation="relu")
    assert np.isnan(product[3]).all()
    assert np.isinf(product[5]).all()
    assert np.isfinite(np.delete(product, [3, 5], axis=0)).all()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_any_number_of_threads_gives_the_same_numbers(count):
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((300, 320)), rng.standard_normal((320, 400))
    with threads(1):
        expected = matmul(a, b)
    with threads(count):
        np.testing.assert_array_equal(matmul(a, b), expected)
        np.testing.assert_array_equal(matmul(a[None].repeat(4, 0), b)[2], expected)


def test_errors_name_operands_and_fix():
    a, b = np.ones((2, 3)), np.ones((3, 4))
    with pytest.raises(TypeError, match=r"float32 or both float64, got int64 and float64; convert with .astype"):
        matmul(a.astype(int), b)
    with pytest.raises(TypeError, match="got float32 and float64"):
        matmul(a.astype(np.float32), b)
    with pytest.raises(ValueError, match=r"\(\.\.\., M, K\) and \(\.\.\., K, N\), got \(2, 3\) and \(2, 3\)"):
        matmul(a, a)
    with pytest.raises(ValueError, match=r"got \(3,\) and \(3, 4\)"):
        matmul(np.ones(3), b)
    with pytest.raises(ValueError, match=r"bias must have shape \(4,\), one number for each column, got \(2,\)"):
        matmul(a, b, bias=np.ones(2))
    with pytest.raises(TypeError, match="bias has dtype float32"):
        matmul(a, b, bias=np.ones(4, np.float32))
    with pytest.raises(ValueError, match="None or \"relu\", got 'tanh'"):
        matmul(a, b, activation="tanh")


# -- tiles ---------------------------------------------------------------------------------------------------


@kernel
def run_tile(module_is_plain, kind, a, a_row, a_step, table, b, b_step, count, c, c_row, rows, columns, accumulate):
    if kind == 0:
        tiles.tile(a, 1, a_row, a_step, table, b, 2, b_step, table, count, c, 3, c_row, rows, columns, accumulate)
    elif kind == 1:
        tiles.tile_a_table(a, 1, a_row, 1, table, b, 2, b_step, table, count, c, 3, c_row, rows, columns, accumulate)
    else:
        tiles.tile_b_table(a, 1, a_row, a_step, table, b, 2, 1, table, count, c, 3, c_row, rows, columns, accumulate)


@kernel
def run_dots(a, b, count, c, rows, columns, accumulate):
    tiles.dots(a, 1, 70, b, 2, 80, count, c, 3, 50, rows, columns, accumulate)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_tile_of_dot_products_agrees_with_the_plain_loops(dtype):
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal(500).astype(dtype), rng.standard_normal(500).astype(dtype)
    for rows in range(1, tiles.DOTS + 1):
        for columns in range(1, tiles.DOTS + 1):
            for count, accumulate in ((0, False), (1, True), (16, False), (37, False), (48, True)):
                found, wanted = (np.linspace(-1, 1, 400).astype(dtype) for _ in range(2))
                run_dots(a, b, count, found, rows, columns, accumulate)
                tiles_plain.dots(a, 1, 70, b, 2, 80, count, wanted, 3, 50, rows, columns, accumulate)
                np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13)


@kernel
def run_transpose(source, row, rows, columns, out, out_row):
    tiles.transpose_block(source, 1, row, rows, columns, out, 2, out_row)


@kernel
def run_copy(source, row, rows, columns, out, out_row):
    tiles.copy_rows(source, 1, row, rows, columns, out, 2, out_row)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [0, 1, 2], ids=["strided", "a_table", "b_table"])
def test_every_tile_agrees_with_the_plain_loops(kind, dtype):
    rng = np.random.default_rng(kind)
    width = 2 * (tiles.LANES64 if dtype == np.float64 else tiles.LANES32)
    a, b = rng.standard_normal(2000).astype(dtype), rng.standard_normal(2000).astype(dtype)
    table = rng.integers(0, 900, 20)
    plain = (tiles_plain.tile, tiles_plain.tile_a_table, tiles_plain.tile_b_table)[kind]
    for rows in range(1, tiles.TILE_ROWS + 1):
        for columns in {1, width // 2 - 1, width // 2, width // 2 + 1, width}:
            for count, accumulate in ((0, False), (1, True), (7, False), (7, True)):
                results = []
                for run in (lambda *x: run_tile(False, kind, *x), None):
                    c = np.linspace(-1, 1, 1200).astype(dtype)
                    if run is None:
                        a_step, b_step = (1 if kind == 1 else 19), (1 if kind == 2 else 40)
                        plain(a, 1, 23, a_step, table, b, 2, b_step, table, count, c, 3, 50, rows, columns, accumulate)
                    else:
                        run(a, 23, 19, table, b, 40, count, c, 50, rows, columns, accumulate)
                    results.append(c)
                np.testing.assert_allclose(results[0], results[1], rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_block_copies_write_what_they_should_and_nothing_else(dtype):
    lanes = tiles.LANES64 if dtype == np.float64 else tiles.LANES32
    source = np.arange(1.0, 2001.0).astype(dtype)
    for rows in range(1, lanes + 1):
        for columns in range(1, lanes + 1):
            out = np.zeros(1000, dtype)
            run_transpose(source, 25, rows, columns, out, 30)
            block = source[1:][: 25 * rows + lanes]
            expected = np.zeros(1000, dtype)
            for k in range(columns):
                expected[2 + 30 * k : 2 + 30 * k + rows] = block[k::25][:rows]
            np.testing.assert_array_equal(out, expected)
    for columns in range(1, 2 * lanes + 1):
        out, expected = np.zeros(1000, dtype), np.zeros(1000, dtype)
        run_copy(source, 50, 7, columns, out, 60)
        for i in range(7):
            expected[2 + 60 * i : 2 + 60 * i + columns] = source[1 + 50 * i :][:columns]
        np.testing.assert_array_equal(out, expected)


def test_vector_units():
    assert vector_unit("x86_64-apple-darwin", frozenset({"+avx512f", "+avx512dq", "+avx512vl"})).lanes(4) == 16
    assert vector_unit("aarch64-unknown-linux-gnu", frozenset()).lanes(8) == 2
    assert vector_unit("arm64-apple-macosx", frozenset()).registers == 32
    assert not vector_unit("riscv64-unknown-linux-gnu", frozenset()).vectorised
    assert not vector_unit("x86_64-pc-windows-msvc", frozenset({"+avx2"})).vectorised  # without fused multiply-add


@pytest.mark.parametrize(
    ("name", "features", "vector_bytes"), [("generic", "", 0), ("haswell", "+avx2,+fma", 32)], ids=["plain", "avx2"]
)
def test_other_processors(name, features, vector_bytes, tmp_path):
    if vector_bytes > host().vector_bytes:
        pytest.skip(f"this processor has no vectors of {vector_bytes} bytes")
    program = (
        "import numpy as np; from kernels.cpu import matmul; from kernels.cpu.host import host\n"
        f"assert host().vector_bytes == {vector_bytes}, host()\n"
        "rng = np.random.default_rng(0)\n"
        "for m, k, n in ((3, 4, 5), (40, 300, 50), (7, 9, 100), (13, 700, 5)):\n"
        "    a, b = rng.standard_normal((m, k)).astype('f'), rng.standard_normal((k, n)).astype('f')\n"
        "    bias = rng.standard_normal(n).astype('f')\n"
        "    np.testing.assert_allclose(matmul(a, b), a @ b, rtol=0, atol=2e-4)\n"
        "    turned = matmul(a.T.copy().T, b.T.copy().T, bias=bias)\n"
        "    np.testing.assert_allclose(turned, a @ b + bias, rtol=0, atol=2e-4)\n"
    )
    environment = os.environ | {
        "NUMBA_CPU_NAME": name,
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    outcome = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
