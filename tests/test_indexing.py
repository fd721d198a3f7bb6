"""Indexing of every kind, and its transpose: scatter-add."""

import numpy as np
import pytest

from autodiff import Spec, check_grads, eval_shape, grad, hvp, jvp, vjp
from autodiff.core.errors import ConversionError, ShapeOnlyError, TracedIndexError

X = np.random.default_rng(0).normal(size=(3, 4, 5))
MASK = X > 0

INDICES = {
    "integer": 1,
    "negative": -1,
    "numpy integer": np.int64(2),
    "slice": slice(None, None, 2),
    "negative step": slice(None, None, -1),
    "tuple": (1, slice(1, 3)),
    "newaxis": (None, ..., None, 2),
    "ellipsis": ...,
    "scalar": (0, 1, 2),
    "empty slice": slice(2, 2),
    "list": [0, 2, 0],
    "empty list": [],
    "repeated": np.array([[0, 0], [2, 0]]),
    "negative integers": np.array([-1, 0, -3]),
    "two arrays": (np.array([0, 2, 0]), np.array([1, 1, 1])),
    "broadcast arrays": (np.array([[0], [2]]), np.array([1, 3])),
    "arrays apart": (np.array([0, 2]), slice(None), np.array([1, 1])),
    "array and integer": (slice(None), 1, np.array([0, 0, 4])),
    "0-d array": np.array(1),
    "mask": MASK,
    "mask of rows": np.array([True, False, True]),
    "mask and slice": (MASK[:, :, 0], slice(1, 3)),
    "mask and integers": (slice(None), np.array([True, False, True, True]), np.array([0, 1, 1])),
    "nothing": (),
    "true": True,
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
def test_every_kind(index):
    def f(x):
        return x[index]

    value = vjp(f, X)[0]
    np.testing.assert_array_equal(value, X[index])
    assert value.shape == X[index].shape
    check_grads(lambda x: np.sin(f(x)), (X,), order=2)
    assert eval_shape(f, Spec(X.shape, np.float32)) == Spec(X[index].shape, np.float32)
    want = np.zeros_like(X)
    np.add.at(want, index, 1.0)
    np.testing.assert_array_equal(grad(lambda x: np.sum(x[index]))(X), want)
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.negative(x)[index]))(X), -want)


def test_results_without_axes_are_numpy_scalars():
    assert type(vjp(lambda x: x[0, 0, 0], X)[0]) is np.float64
    assert type(jvp(lambda x: x[0, 0, 0], (X,), (X,))[1]) is np.float64


def test_iteration_unpacking_and_length():
    def f(x):
        a, b, c = x
        assert len(x) == 3
        return np.sum(a * b) + sum(np.sum(row) for row in c)

    check_grads(f, (X,), order=2)
    with pytest.raises(TypeError, match="iteration over a traced scalar"):
        grad(lambda x: next(iter(x)))(1.0)
    with pytest.raises(TypeError, match="traced scalar"):
        grad(lambda x: len(x) * x)(1.0)


def test_many_reads_of_one_array_accumulate():
    x = np.arange(1.0, 51.0)
    f = lambda x: sum(x[i] * x[i - 1] for i in range(50))
    np.testing.assert_allclose(grad(f)(x), np.roll(x, 1) + np.roll(x, -1))
    v = np.cos(x)
    np.testing.assert_allclose(hvp(f, (x,), (v,)), np.roll(v, 1) + np.roll(v, -1))


def test_positions_computed_from_traced_values():
    f = lambda x: np.sum(x[np.argsort(x)][:2] * x[x > 0][0])
    check_grads(f, (np.array([3.0, -1.0, 2.0]),), order=2)


def test_entries_that_are_not_read_contribute_nothing():
    x = np.array([0.0, 1.0, 4.0])
    for index in (slice(1, None), np.array([1, 2]), np.array([False, True, True]), [1, 2]):
        f = lambda x: np.sum(np.sqrt(x)[index])  # noqa: B023
        np.testing.assert_array_equal(grad(f)(x), [0.0, 0.5, 0.25])
        assert jvp(f, (x,), (np.ones(3),))[1] == 0.75
        np.testing.assert_allclose(hvp(f, (x,), (np.ones(3),)), [0.0, -0.25, -1 / 32])
        np.testing.assert_allclose(grad(lambda x: np.sum(grad(f)(x)))(x), [0.0, -0.25, -1 / 32])  # noqa: B023


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex64])
def test_repeated_positions_add_up(dtype):
    """The adjoint equals the plain sum over all reads, by whichever way it is computed."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6, 7, 8)).astype(dtype)
    rows, columns = rng.integers(-6, 6, 40), rng.integers(0, 7, 40).astype(np.int8)
    every = rng.permutation(6)
    indices = (
        rows, every, (rows, columns), (rows, columns, 3), (rows[:, None], columns), (slice(None), columns),
        (slice(1, 4), slice(None), rows), (rows, slice(None), columns), (..., rows), (2, columns), (None, rows, 1),
        (rows.reshape(4, 10), None, columns.reshape(4, 10)), (np.arange(6) > 2, columns[:3]),
    )  # fmt: skip
    for index in indices:
        y, pullback = vjp(lambda x: x[index], x)  # noqa: B023
        np.testing.assert_array_equal(y, x[index])
        ct = rng.normal(size=y.shape).astype(dtype)
        want = np.zeros_like(x)
        np.add.at(want, index, ct)
        for (got,) in (pullback(ct), vjp(lambda x: np.transpose(np.transpose(x))[index], x)[1](ct)):  # noqa: B023
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, rtol=1e-5 if dtype != np.float64 else 1e-12, atol=1e-6)


def test_sequences_and_objects_as_indices():
    class One:
        def __index__(self):
            return 1

    for index in (range(2), [[0, 1], [2, 2]], ([0, 1], (1, 1)), One(), (One(), slice(None)), [True, False, True],
                  np.uint8(2), np.True_, (np.array(1), 2), np.array([], bool)[:0].tolist()):  # fmt: skip
        np.testing.assert_array_equal(vjp(lambda x: x[index], X)[0], X[index])  # noqa: B023
        check_grads(lambda x: np.sin(x[index]), (X,))  # noqa: B023


def test_subclasses_of_arrays_as_indices(tmp_path):
    kept = np.memmap(tmp_path / "rows", np.int64, "w+", shape=(3,))
    kept[:] = 0, 2, 0
    for index in (kept, (kept, 1), (slice(None), kept), kept > 0, (slice(None), 1, kept)):
        np.testing.assert_array_equal(vjp(lambda x: x[index], X)[0], X[index])  # noqa: B023
        check_grads(lambda x: np.sin(x[index]), (X,))  # noqa: B023
    np.testing.assert_array_equal(vjp(lambda x: np.take(x, kept, 0), X)[0], X[[0, 2, 0]])


def test_traced_positions_must_be_integers():
    with pytest.raises(TracedIndexError, match=r"traced index float64\[\].*test_indexing.py.*astype\(int\)"):
        grad(lambda x: x[x[0]])(np.ones(3))
    np.testing.assert_array_equal(grad(lambda x: x[x[0].astype(int)])(np.ones(3)), [0, 1, 0])


def test_errors():
    with pytest.raises((ConversionError, IndexError)):
        grad(lambda x: X[x])(1.0)
    with pytest.raises(IndexError):
        grad(lambda x: x[5] * 1.0)(np.ones(3))
    with pytest.raises(IndexError):
        grad(lambda x: x[x])(np.ones(3))
    with pytest.raises(ShapeOnlyError, match=r"np\.where"):
        eval_shape(lambda x: x[x > 0], Spec((3,)))
