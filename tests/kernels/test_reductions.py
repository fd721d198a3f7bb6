"""Reductions over any axes against NumPy: parts, places of extrema, NaN, nothing to reduce, memory, errors."""

import itertools

import numpy as np
import pytest

from tests.backends import SIMULATED, kernels, sized

NAMES = ("sum", "prod", "mean", "max", "min")
DTYPES = (np.float32,) if SIMULATED else (np.float32, np.float64)
# More than a part, more than a pass, axes of size 1 between others, one item.
SHAPES = sized([(), (1,), (7,), (3, 4), (2, 3, 4), (2, 1, 5, 3), (40,), (30, 3), (70_001,), (5, 3001), (3001, 5)], 90)

every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def reduce(name, *args, **options):
    return getattr(kernels, f"reduce_{name}")(*args, **options)


def axes_of(shape):
    """Return None, all single axes and all sets of axes."""
    sets = [c for n in range(1, len(shape) + 1) for c in itertools.combinations(range(len(shape)), n)]
    found = [None, *(axes[0] - len(shape) for axes in sets if len(axes) == 1), *sets]
    return found[:: 1 + len(shape) // 2] if SIMULATED else found


def check(found, wanted, dtype):
    assert type(found) is np.ndarray
    assert (found.dtype, found.shape) == (dtype, np.shape(wanted))
    np.testing.assert_array_equal(found, wanted)


@every_dtype
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_axes(shape, name, dtype, rng):
    """Whole numbers, and factors of 1 and 2: exact in any order."""
    x = rng.integers(-3, 4, shape).astype(dtype)
    if name == "prod":
        x = np.where(rng.random(shape) < 0.1, dtype(2), np.sign(x + dtype(0.5))).astype(dtype)
        x[x > 1] = 2 if x.size < 100 else 1
    for axis in axes_of(shape) if x.size < 1000 else (None, -1, 0):
        for keepdims in (False, True) if not SIMULATED or axis is None else (True,):
            wanted = getattr(np, name)(x.astype(float), axis=axis, keepdims=keepdims)
            check(reduce(name, x, axis, keepdims=keepdims), np.asarray(wanted, dtype), dtype)


@every_dtype
@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_places_are_those_of_the_first(shape, name, dtype, rng):
    for values in (rng.integers(-2, 3, shape), np.zeros(shape))[: 1 if SIMULATED else 2]:  # with ties
        x = values.astype(dtype)
        for axis in (None, *range(-x.ndim, 0)):
            check(getattr(kernels, name)(x, axis), getattr(np, name)(x, axis=axis), np.int64)
    check(getattr(kernels, name)(x, keepdims=True), getattr(np, name)(x, keepdims=True), np.int64)


@every_dtype
def test_sums_are_as_accurate_as_pairwise_ones(dtype, rng):
    x = (1 + rng.random((3, 50 if SIMULATED else 100_000))).astype(dtype)
    for values, axis in ((x, 1), (np.ascontiguousarray(x.T), 0)):
        exact = values.astype(np.longdouble).sum(axis)
        if axis == 1 or not kernels.reduce_sum.__module__.endswith("contracts"):  # NumPy adds rows one by one
            np.testing.assert_allclose(reduce("sum", values, axis), exact.astype(float), rtol=10 * np.finfo(dtype).eps)
            mean = exact.astype(float) / x.shape[1]
            np.testing.assert_allclose(reduce("mean", values, axis), mean, rtol=10 * np.finfo(dtype).eps)


@every_dtype
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_nan_and_infinities(axis, dtype, rng):
    x = rng.standard_normal((4, 9)).astype(dtype)
    x[0, 3] = x[0, 7] = x[2, 3] = np.nan
    x[1, 2], x[3, 5] = np.inf, -np.inf
    for name in ("max", "min"):
        np.testing.assert_array_equal(reduce(name, x, axis), getattr(np, name)(x, axis=axis))
        np.testing.assert_array_equal(getattr(kernels, f"arg{name}")(x, axis), getattr(np, f"arg{name}")(x, axis=axis))
    x[0, 3] = x[0, 7] = x[2, 3] = 0
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(reduce("sum", x, axis), x.sum(axis), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_any_memory(name, rng):
    x = rng.integers(1, 3, (2, 3, 4)).astype(np.float32)
    fixed = x.copy()
    fixed.flags.writeable = False
    for view in (x[::2], x[:, ::-1], x[..., ::2], x.T, x.transpose(1, 0, 2), fixed, np.broadcast_to(x[:1], x.shape)):
        for axis in ((0, 2),) if SIMULATED else (1, (0, 2)):
            check(reduce(name, view, axis), getattr(np, name)(view.astype(float), axis=axis).astype("f"), np.float32)


def test_nothing_to_reduce():
    x = np.empty((0, 3), np.float32)
    for name, value in (("sum", 0), ("prod", 1), ("mean", np.nan)):
        check(reduce(name, x, 0), np.full(3, value, np.float32), np.float32)
        check(reduce(name, x), np.asarray(value, np.float32), np.float32)
        check(reduce(name, x, 1), np.empty(0, np.float32), np.float32)
        check(reduce(name, np.ones((2, 3)), ()), np.ones((2, 3)), np.float64)
    for name in ("reduce_max", "reduce_min", "argmax", "argmin"):
        function = getattr(kernels, name)
        assert function(x, 1).shape == (0,)
        with pytest.raises(ValueError, match=rf"^{name}: x of shape \(0, 3\) has no items along the axes \(0,\)$"):
            function(x, 0)
        with pytest.raises(ValueError, match=rf"^{name}: x of shape \(0, 3\) has no items along the axes \(0, 1\)$"):
            function(x)


def test_results_are_not_the_arguments(rng):
    """Axes of size 1 leave nothing to add up, but the result has memory of its own."""
    x = rng.standard_normal((3, 1))
    found = reduce("sum", x, 1)
    found += 1
    np.testing.assert_array_equal(found, x[:, 0] + 1)


def test_errors():
    x = np.ones((2, 3))
    for name in ("reduce_sum", "reduce_prod", "reduce_mean", "reduce_max", "reduce_min", "argmax", "argmin"):
        function = getattr(kernels, name)
        for dtype in ("float16", "int64", "complex64", ">f8"):
            with pytest.raises(TypeError, match=rf"^{name}: expected float32 or float64, got x: .*; convert with .as"):
                function(x.astype(dtype))
        with pytest.raises(ValueError, match=rf"^{name}: x of shape \(2, 3\) has no axis -3$"):
            function(x, -3)
    with pytest.raises(ValueError, match=r"^reduce_sum: axis \(0, -2\) names an axis of \(2, 3\) twice$"):
        reduce("sum", x, (0, -2))
    with pytest.raises(TypeError, match=r"^argmax: axis must be one integer or None, got \(0, 1\)$"):
        kernels.argmax(x, (0, 1))
