"""Rows of tables by their numbers, and the sums of rows that are the transpose: shapes, order, range, errors."""

import numpy as np
import pytest

from tests.backends import SIMULATED, kernels

gather, scatter_add = kernels.embedding_gather, kernels.embedding_scatter_add
# (rows of the table, shape of a row, shape of the index)
CASES = [
    (5, (3,), (11,)), (4, (), (9,)), (1, (2, 2), (20,)), (6, (2,), (0,)), (3, (0,), (4,)), (7, (2,), (2, 3)),
    (9, (1,), ()), (0, (2,), (0,)), (2, (3,), (70,)),
]  # fmt: skip
CASES += [] if SIMULATED else [(50, (17,), (1000,)), (3, (5,), (2000,))]

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
every_case = pytest.mark.parametrize(("rows", "row", "count"), CASES, ids=str)


def one_by_one(g, index, rows):
    out = np.zeros((rows, *g.shape[index.ndim :]), g.dtype)
    for at in np.ndindex(index.shape):
        out[index[at]] += g[at]
    return out


@every_case
@every_dtype
def test_rows_and_their_sums(rows, row, count, dtype, rng):
    table = rng.integers(-4, 5, (rows, *row)).astype(dtype)
    index = rng.integers(-rows, rows, count) if rows else np.empty(count, int)
    found = gather(table, index)
    assert (found.dtype, found.shape) == (dtype, (*count, *row))
    np.testing.assert_array_equal(found, table[index])
    g = rng.integers(-4, 5, found.shape).astype(dtype)
    back = scatter_add(g, index, rows)
    assert (back.dtype, back.shape) == (dtype, table.shape)
    np.testing.assert_array_equal(back, one_by_one(g, index, rows))
    assert np.vdot(found, g) == np.vdot(table, back)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "uint64", ">i4"])
def test_indices_of_every_integer_dtype(kind, rng):
    table, index = rng.standard_normal((5, 2)), np.array([4, 0, 3, 3])
    np.testing.assert_array_equal(gather(table, index.astype(kind)), table[index])
    g = rng.standard_normal((4, 2))
    np.testing.assert_allclose(scatter_add(g, index.astype(kind), 5), one_by_one(g, index, 5), rtol=1e-15)


def test_any_memory(rng):
    table, index = rng.integers(-4, 5, (6, 4)).astype(float), rng.integers(0, 4, (6, 2))
    for view, at in (
        (table[::-1], index[::2]),
        (table.T, index.T),
        (np.broadcast_to(table[0], (5, 4)), index[:, ::-1]),
    ):
        np.testing.assert_array_equal(gather(view, at), view[at])
        g = np.broadcast_to(2.0, (*at.shape, 3))
        np.testing.assert_array_equal(scatter_add(g, at, 4), one_by_one(g, at, 4))


def test_nan_stays_in_its_row():
    g = np.array([[1.0], [np.nan], [2.0], [np.inf]])
    np.testing.assert_array_equal(scatter_add(g, np.array([0, 1, 0, 2]), 4)[:, 0], [3, np.nan, np.inf, 0])


def test_errors():
    table, index = np.ones((3, 2), np.float32), np.array([0, 2])
    for wrong, at in (([0, 3], 1), ([-4, 0], 0), ([[0, 1], [1, 9]], 3)):
        number = np.ravel(wrong)[at]
        message = rf": index {number} at position {at} is out of range for 3 rows$"
        with pytest.raises(IndexError, match="^embedding_gather" + message):
            gather(table, np.array(wrong))
        with pytest.raises(IndexError, match="^embedding_scatter_add" + message):
            scatter_add(np.ones((*np.shape(wrong), 2)), np.array(wrong), 3)
    with pytest.raises(IndexError, match="index 18446744073709551615 at position 0 is out of range for 3 rows"):
        gather(table, np.array([2**64 - 1], np.uint64))
    with pytest.raises(IndexError, match="index 0 at position 0 is out of range for 0 rows"):
        gather(table[:0], index)
    for kind in (bool, float):
        with pytest.raises(TypeError, match=r"^embedding_gather: index must be integers, got (bool|float64)$"):
            gather(table, index.astype(kind))
    with pytest.raises(TypeError, match=r"^embedding_gather: expected float32 or float64, got table: int64; convert"):
        gather(table.astype(int), index)
    with pytest.raises(ValueError, match=r"^embedding_gather: table must have at least one dimension, got a scalar"):
        gather(np.array(1.0), index)
    with pytest.raises(TypeError, match=r"^embedding_scatter_add: expected float32 or float64, got g: float16; conv"):
        scatter_add(table[:2].astype(np.float16), index, 3)
    with pytest.raises(
        ValueError, match=r"^embedding_scatter_add: the shape of g must begin with .*\(2,\), got \(3, 2"
    ):
        scatter_add(table, index, 3)
    with pytest.raises(ValueError, match=r"^embedding_scatter_add: rows must not be negative, got -1"):
        scatter_add(table[:2], index, -1)
