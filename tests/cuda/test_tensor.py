"""Products on tensor cores: layouts against the tables of the PTX ISA, and the twin of the kernel against NumPy."""

import numpy as np
import pytest

from kernels import cuda as kernels
from kernels.cuda import launch, tensor
from kernels.cuda import tensor_layout as layout
from kernels.cuda import tensor_ptx as ptx
from kernels.cuda.matmul import _lies

SIZES = [(32, 64), (128, 128)]  # rows of a panel and threads: the simulator's, the device's
along_rows_or_terms = pytest.mark.parametrize("along", [0, 1])
every_size = pytest.mark.parametrize("items", [4, 8])


def plain(function):
    return getattr(function, "fn", None) or getattr(function, "py_func", function)


@pytest.fixture(autouse=True)
def functions(monkeypatch):
    """Call device functions as plain ones, outside of kernels."""
    for name in ("panel_chunk", "chunk_of_thread", "fragment_chunk", "fragment_word", "tile_place"):
        monkeypatch.setattr(layout, name, plain(getattr(layout, name)))


# -- registers: the tables of "Matrix fragments for mma.m16n8k16 / m16n8k8" ------------------------------------


def test_fragments_of_16_bit_items_are_those_of_m16n8k16():
    for lane in range(32):
        group, thread = lane >> 2, lane % 4
        for i in range(8):  # a0 to a7
            row = group if i < 2 or 4 <= i < 6 else group + 8
            column = thread * 2 + (i & 1) + (0 if i < 4 else 8)
            assert layout.a_item(lane, i // 2, i % 2, 8) == (row, column)
        for i in range(4):  # b0 to b3
            row = thread * 2 + (i & 1) + (0 if i < 2 else 8)
            assert layout.b_item(lane, i // 2, i % 2, 8) == (row, group)


def test_fragments_of_tf32_are_those_of_m16n8k8():
    for lane in range(32):
        group, thread = lane >> 2, lane % 4
        for i in range(4):  # a0 to a3
            assert layout.a_item(lane, i, 0, 4) == (group + 8 * (i in {1, 3}), thread + 4 * (i in {2, 3}))
        for i in range(2):  # b0, b1
            assert layout.b_item(lane, i, 0, 4) == (thread + 4 * i, group)


def test_sums_lie_as_documented():
    for lane in range(32):
        group, thread = lane >> 2, lane % 4
        assert [layout.c_item(lane, i) for i in range(4)] == [
            (group, thread * 2), (group, thread * 2 + 1), (group + 8, thread * 2), (group + 8, thread * 2 + 1)
        ]  # fmt: skip


# -- shared memory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "threads"), SIZES)
@every_size
@along_rows_or_terms
def test_every_chunk_has_a_place_of_its_own_and_a_thread_that_copies_it(rows, threads, items, along):
    found = {}
    apart = threads // layout.CHUNKS if along else threads // (rows // items)
    for t in range(threads):
        first = layout.chunk_of_thread(t, rows, items, along)
        start = layout.panel_chunk(first[0] // items, first[1] // items, *first, rows, items, along)
        for i in range(rows * layout.CHUNKS // threads):
            row, term = layout.chunk_of_thread(t + i * threads, rows, items, along)
            assert (row, term) == (first[0] + i * apart * along, first[1] + i * apart * (1 - along))
            place = layout.panel_chunk(row // items, term // items, row, term, rows, items, along)
            assert place == start + i * threads  # what the kernel adds up
            found[place] = row, term
    assert sorted(found) == list(range(rows * layout.CHUNKS))
    assert len(set(found.values())) == len(found)


def panel_words(rows, items, along):
    """A panel whose items are numbered: row * 1000 + term. Items of 16 bits come in pairs."""
    depth = items * layout.CHUNKS
    memory = np.empty((rows * layout.CHUNKS, items), int)
    for row in range(rows):
        for term in range(depth):
            chunk = layout.panel_chunk(row // items, term // items, row, term, rows, items, along)
            memory[chunk, (term if along else row) % items] = row * 1000 + term
    return memory


@pytest.mark.parametrize("rows", [32, 128])
@pytest.mark.parametrize("second", [0, 1])
@every_size
@along_rows_or_terms
def test_lanes_get_the_items_that_mma_wants(rows, second, items, along):
    memory = panel_words(rows, items, along)
    for part in range(0, rows, 16):
        for step in range(2):
            for lane in range(32):
                for register in range(4):
                    for half in range(1 if items == 4 else 2):
                        if items == 4 and along == 0:
                            word = layout.fragment_word(lane, register, part, step, second, rows)
                            got = memory[word // 4, word % 4]
                        else:  # ldmatrix: matrix `register`, whose eight rows lanes 8 * register to + 7 point at
                            pointing = lane // 4 if along else lane % 4 * 2 + half
                            giver = 8 * register + pointing
                            chunk = layout.fragment_chunk(giver, part, step, second, rows, items, along)
                            item = lane % 4 * (items // 4) + half if along else lane // 4
                            got = memory[chunk, item]
                        if second:  # two squares of eight columns, two registers each
                            term, column = layout.b_item(lane, register % 2, half, items)
                            row = column + register // 2 * 8
                        else:
                            row, term = layout.a_item(lane, register, half, items)
                        assert got == (part + row) * 1000 + step * 2 * items + term


@pytest.mark.parametrize("second", [0, 1])
@every_size
@along_rows_or_terms
def test_reads_of_shared_memory_meet_no_bank_twice(second, items, along):
    for step in range(2):
        for part in range(0, 128, 16):
            if items == 4 and along == 0:
                for register in range(4):
                    words = [layout.fragment_word(lane, register, part, step, second, 128) for lane in range(32)]
                    assert len({word % 32 for word in words}) == 32
                continue
            for matrix in range(4):
                lanes = range(8 * matrix, 8 * matrix + 8)
                chunks = [layout.fragment_chunk(lane, part, step, second, 128, items, along) for lane in lanes]
                assert len({chunk % 8 for chunk in chunks}) == 8


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 5), (8, 4), (19, 7), (2**32 + 5, 3)])
def test_tiles_are_visited_once_each(rows, columns):
    if rows * columns < 1000:
        assert {layout.tile_place(i, rows, columns) for i in range(rows * columns)} == {
            (i, j) for i in range(rows) for j in range(columns)
        }
    assert layout.tile_place(rows * columns - 1, rows, columns) == (rows - 1, columns - 1)


# -- the kernel -------------------------------------------------------------------------------------------------


def bfloat16():
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)


def whole(rng, shape, dtype):
    return rng.integers(-4, 5, shape).astype(dtype)


@pytest.fixture(params=["float16", "bfloat16", "tf32"])
def dtype(request):
    """Operands' dtype and precision."""
    if request.param == "tf32":
        return np.dtype(np.float32), "tf32"
    return np.dtype(np.float16) if request.param == "float16" else bfloat16(), None


@pytest.mark.parametrize(("ta", "tb"), [(False, False), (True, False), (False, True), (True, True)])
def test_transposed_operands(gpu, rng, dtype, ta, tb):
    dtype, precision = dtype
    a = whole(rng, (40, 33) if ta else (33, 40), dtype)  # 40: a multiple of 8, so that terms lie aligned
    b = whole(rng, (17, 40) if tb else (40, 17), dtype)
    a, b = a.T if ta else a, b.T if tb else b
    found = gpu.call(kernels.matmul, a, b, precision=precision)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.astype(float), a.astype(float) @ b.astype(float))


@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (16, 8, 16), (5, 3, 0), (0, 3, 2), (19, 2, 7)])
def test_shapes(gpu, rng, dtype, m, n, k):
    dtype, precision = dtype
    a, b = whole(rng, (m, k), dtype), whole(rng, (k, n), dtype)
    found = gpu.call(kernels.matmul, a, b, precision=precision)
    np.testing.assert_array_equal(found.astype(float), a.astype(float) @ b.astype(float))


def test_aligned_operands_are_read_in_place(gpu, rng, dtype):
    """The rows of one operand, the terms of the other: both kinds of runs, without a copy."""
    dtype, precision = dtype
    a, b = whole(rng, (24, 16), dtype).T[:13], whole(rng, (24, 16), dtype)[:, :11]
    assert [_lies(x, 8) for x in (np.zeros((16, 24), np.uint16).T, np.zeros((16, 24), np.uint16))] == [0, 1]
    found = gpu.call(kernels.matmul, a, b, precision=precision)
    np.testing.assert_array_equal(found.astype(float), a.astype(float) @ b.astype(float))


def test_strided_reversed_and_batched_operands(gpu, rng):
    a, b = whole(rng, (2, 1, 5, 9), np.float16), whole(rng, (3, 9, 4), np.float16)
    for left, right in [(a, b), (a[..., ::2], b[:, ::2]), (a[..., ::-1], b[..., ::-1, ::-1])]:
        found = gpu.call(kernels.matmul, left, right)
        np.testing.assert_array_equal(found, (left.astype(float) @ right.astype(float)).astype(np.float16))


def test_bias_and_relu(gpu, rng, dtype):
    dtype, precision = dtype
    a, b, bias = whole(rng, (5, 8), dtype), whole(rng, (8, 19), dtype), whole(rng, 19, dtype)
    found = gpu.call(kernels.matmul, a, b, bias=bias, activation="relu", precision=precision)
    wanted = np.maximum(a.astype(float) @ b.astype(float) + bias.astype(float), 0)
    np.testing.assert_array_equal(found.astype(float), wanted)


def test_results_do_not_depend_on_when_copies_happen(gpu, rng, monkeypatch):
    if not launch.SIMULATED:
        pytest.skip("the hardware decides")
    a, b = whole(rng, (9, 136), np.float16), whole(rng, (136, 8), np.float16)  # more panels than stages
    late = gpu.call(kernels.matmul, a, b)
    monkeypatch.setattr(ptx, "EAGER", True)
    np.testing.assert_array_equal(gpu.call(kernels.matmul, a, b), late)
    np.testing.assert_array_equal(late, (a.astype(float) @ b.astype(float)).astype(np.float16))


def test_sums_of_half_precision_are_kept_in_single(gpu):
    """4096 + 1 + ... + 1: in float16 every 1 would be lost, in float32 none is."""
    a = np.array([[4096.0, *[1.0] * 8]], np.float16)
    assert gpu.call(kernels.matmul, a, np.ones((9, 1), np.float16))[0, 0] == 4104


def test_tf32_rounds_operands_to_11_bits(gpu):
    a, b = np.array([[1 + 2.0**-11, 1 + 3 * 2.0**-12]], np.float32), np.eye(2, dtype=np.float32)
    found = gpu.call(kernels.matmul, a, b, precision="tf32")
    np.testing.assert_array_equal(found, [[1 + 2.0**-10, 1 + 2.0**-10]])  # ties away from zero
    np.testing.assert_array_equal(gpu.call(kernels.matmul, a, b), a)
    special = np.array([[np.inf], [-np.inf], [np.nan]], np.float32)
    found = gpu.call(kernels.matmul, special, np.ones((1, 1), np.float32), precision="tf32")
    np.testing.assert_array_equal(found, special)


def test_errors(gpu):
    put, x = gpu.put, np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match="matmul: precision must be None or \"tf32\", got 'fast'"):
        kernels.matmul(put(x), put(x), precision="fast")
    with pytest.raises(TypeError, match='matmul: precision "tf32" is for float32, got a: float64, b: float64; leave'):
        kernels.matmul(put(x.astype(float)), put(x.astype(float)), precision="tf32")
    with pytest.raises(TypeError, match="float16 or bfloat16, got a: float32, b: float16; convert"):
        kernels.matmul(put(x), put(x.astype(np.float16)))


def test_kernels_need_ampere():
    for kernel in tensor.PRODUCTS.values():
        assert kernel.capability == (8, 0)
        assert kernel.simulable
