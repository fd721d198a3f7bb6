"""Functions of shape and position: NumPy's values, both modes to second order, shapes without values."""

import numpy as np
import pytest

from autodiff import Spec, check_grads, eval_shape, grad, jvp, trace, vjp
from autodiff.core.errors import ShapeOnlyError
from autodiff.ops.repeat import take

NUMPY = np.lib.NumpyVersion(np.__version__)
#: What older NumPy itself lacks: pad widths by axis, boolean positions to insert at, trim_zeros of a scalar.
newer = pytest.mark.skipif(NUMPY < "2.2.0", reason="NumPy 2.2 added it")

A = np.random.default_rng(0).normal(size=(2, 3, 4))
M = A[0]
V = A[0, 0]

PROGRAMS = {
    "expand_dims": (lambda a: np.expand_dims(a, (0, -1)), A),
    "expand_dims_negative": (lambda a: np.expand_dims(a, -2), M),
    "squeeze": (lambda a: np.squeeze(a[:, :1]), A),
    "squeeze_axis": (lambda a: np.squeeze(a[:, :1], axis=1), A),
    "ravel": (np.ravel, A),
    "ravel_fortran": (lambda a: np.ravel(a, order="F"), A),
    "flatten": (lambda a: a.flatten(), A),
    "reshape_fortran": (lambda a: np.reshape(a, (4, -1), order="F"), A),
    "reshape_method": (lambda a: a.reshape(4, -1), A),
    "atleast_1d": (lambda a: np.atleast_1d(np.sum(a)), A),
    "atleast_2d": (np.atleast_2d, V),
    "atleast_3d": (np.atleast_3d, M),
    "atleast_3d_several": (lambda a: np.atleast_3d(a, a[0]), M),
    "broadcast_arrays": (lambda a: np.broadcast_arrays(a, a[0], 2.0)[1], M),
    "meshgrid": (lambda a: np.meshgrid(a, a[:2]), V),
    "meshgrid_ij": (lambda a: np.meshgrid(a, a[:2], indexing="ij", sparse=True), V),
    "moveaxis": (lambda a: np.moveaxis(a, (0, 1), (-1, 0)), A),
    "rollaxis": (lambda a: np.rollaxis(a, 2), A),
    "rollaxis_start": (lambda a: np.rollaxis(a, 0, 3), A),
    "swapaxes": (lambda a: a.swapaxes(0, -1), A),
    "transpose": (lambda a: a.transpose(2, 0, 1), A),
    "T": (lambda a: a.T, A),
    "mT": (lambda a: a.mT, A),
    "flip": (np.flip, A),
    "flip_axes": (lambda a: np.flip(a, (0, 2)), A),
    "fliplr": (np.fliplr, M),
    "flipud": (np.flipud, M),
    **{f"rot90_{k}": (lambda a, k=k: np.rot90(a, k, axes=(1, 2)), A) for k in range(-1, 4)},
    "roll": (lambda a: np.roll(a, 5), M),
    "roll_axes": (lambda a: np.roll(a, (1, -2), axis=(0, 2)), A),
    "roll_same_axis_twice": (lambda a: np.roll(a, (1, 2), axis=(1, 1)), M),
    "vstack": (lambda a: np.vstack([a, a[0] * 2]), M),
    "hstack": (lambda a: np.hstack([a, a[:, :1] * 2]), M),
    "hstack_vectors": (lambda a: np.hstack([a, 1.0, a[0]]), V),
    "dstack": (lambda a: np.dstack([a, a * 2]), M),
    "column_stack": (lambda a: np.column_stack([a[0], a.T]), M),
    "append": (lambda a: np.append(a, a[0] * 2), M),
    "append_axis": (lambda a: np.append(a, a[:1] * 2, axis=0), M),
    "block": (lambda a: np.block([[a, np.ones((3, 1))], [a[:1], 2.0 * np.ones((1, 1))]]), M),
    "concatenate_none": (lambda a: np.concatenate([a, a[0]], axis=None), M),
    "concatenate_array": (lambda a: np.concatenate(a, axis=1), A),
    "concatenate_lists": (lambda a: np.concatenate([[a[0], a[1]], a, [1.0]]), V),
    "stack_axis": (lambda a: np.stack([a, a * 2, np.ones_like(a)], axis=-1), M),
    "split": (lambda a: np.split(a, 2, axis=-1), A),
    "split_at": (lambda a: np.split(a, [1, 2], axis=1), A),
    "array_split": (lambda a: np.array_split(a, 3, axis=2), A),
    "hsplit": (lambda a: np.hsplit(a, 2), M),
    "vsplit": (lambda a: np.vsplit(a, 3), M),
    "dsplit": (lambda a: np.dsplit(a, [1]), A),
    "tile": (lambda a: np.tile(a, 3), M),
    "tile_more": (lambda a: np.tile(a, (2, 1, 2)), M),
    "tile_fewer": (lambda a: np.tile(a, (2, 2)), A),
    "repeat": (lambda a: np.repeat(a, 2), M),
    "repeat_axis": (lambda a: a.repeat(3, axis=1), M),
    "repeat_each": (lambda a: np.repeat(a, [0, 2, 1], axis=0), M),
    "take": (lambda a: np.take(a, [[0, 2], [2, 1]], axis=1), M),
    "take_flat": (lambda a: np.take(a, np.array([3, 3, -1])), M),
    "take_wrap": (lambda a: np.take(a, np.array([5, -9]), mode="wrap"), M),
    "take_clip": (lambda a: a.take(np.array([5, -9]), axis=0, mode="clip"), M),
    "take_along_axis": (lambda a: np.take_along_axis(a, np.argsort(a, axis=1), axis=1), M),
    "take_along_axis_flat": (lambda a: np.take_along_axis(a, np.array([3, 0, 3]), axis=None), M),
    "compress": (lambda a: np.compress([True, False, True], a, axis=0), M),
    "extract": (lambda a: np.extract(M > 0, a), M),
    "delete": (lambda a: np.delete(a, 1, axis=1), M),
    "delete_several": (lambda a: np.delete(a, [0, 5]), M),
    "insert": (lambda a: np.insert(a, 1, a[0, 0], axis=1), M),
    "insert_vector": (lambda a: np.insert(a, 2, a[:, 0] * 2, axis=1), M),
    "insert_several": (lambda a: np.insert(a, [0, 2, 2], a[:3] * 2), V),
    "resize": (lambda a: np.resize(a, (3, 7)), M),
    "pad": (lambda a: np.pad(a, ((1, 2), (0, 1))), M),
    "pad_value": (lambda a: np.pad(a, 1, constant_values=2.0), M),
    "pad_traced": (lambda a: np.pad(a, (2, 1), constant_values=a[0]), V),
    **{f"pad_{m}": (lambda a, m=m: np.pad(a, ((2, 1), (1, 2)), mode=m), M)
       for m in ("edge", "reflect", "symmetric", "wrap", "linear_ramp", "mean", "maximum", "minimum")},
    "pad_median": (lambda a: np.pad(a, 2, mode="median", stat_length=3), M),
    "pad_ramp_to": (lambda a: np.pad(a, (2, 3), mode="linear_ramp", end_values=(1.0, -2.0)), V),
    "pad_reflect_odd": (lambda a: np.pad(a, ((2, 1), (1, 3)), mode="reflect", reflect_type="odd"), M),
    "full_like": (lambda a: np.full_like(a, a[0, 0] ** 2), M),
    "copy": (lambda a: np.copy(a) * a.copy(), M),
    "broadcast_to": (lambda a: np.broadcast_to(a[:, None], (2, 4, 3)), V),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_value_and_derivatives(name):
    f, x = PROGRAMS[name]
    want = f(x)
    got = vjp(f, x)[0] if name != "pad_traced" else None
    parts = list(zip(want, got, strict=True)) if isinstance(want, (list, tuple)) else [(want, got)]
    for a, b in parts:
        if b is not None:
            np.testing.assert_array_equal(b, a)
            assert b.dtype == a.dtype
    program = (lambda x: list(f(x))) if isinstance(want, (list, tuple)) else f
    if name == "pad_traced":
        program = lambda a: np.pad(a, (2, 1), constant_values=(a[0], a[1]))
        np.testing.assert_array_equal(vjp(program, x)[0], np.pad(x, (2, 1), constant_values=(x[0], x[1])))
    check_grads(
        lambda x: [np.sin(y) for y in program(x)] if isinstance(want, (list, tuple)) else np.sin(program(x)), (x,)
    )


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in {"extract", "pad_traced", "take_along_axis"}])
def test_shape_alone(name):
    f, x = PROGRAMS[name]
    want = f(x.astype(np.float32))
    got = eval_shape(lambda x: list(f(x)) if isinstance(want, (list, tuple)) else f(x), Spec(x.shape, np.float32))
    for a, b in zip(want, got, strict=True) if isinstance(want, (list, tuple)) else [(want, got)]:
        assert b == Spec(a.shape, a.dtype)


def test_float32_stays():
    x = M.astype(np.float32)
    for name, (f, sample) in PROGRAMS.items():
        if sample is M and not isinstance(f(M), (list, tuple)):
            value, pullback = vjp(f, x)
            assert value.dtype == f(x).dtype, name
            assert pullback(np.ones_like(value))[0].dtype == np.float32, name


def test_marks_pass_through():
    """An entry that is cut away contributes nothing, although its slope is infinite."""
    x = np.array([0.0, 1.0, 4.0])
    cuts = [
        lambda y: y[1:],
        lambda y: np.delete(y, 0),
        lambda y: np.split(y, [1])[1],
        lambda y: np.roll(y, -1)[:2],
        lambda y: np.flip(y)[:2],
        lambda y: np.concatenate([y, y])[4:],
        lambda y: np.stack([y, y])[1, 1:],
        lambda y: np.take(y, [1, 2]),
        lambda y: np.tile(y, 2)[4:],
        lambda y: np.reshape(y, (3, 1))[1:],
    ]
    for cut in cuts:
        np.testing.assert_array_equal(grad(lambda x: np.sum(cut(np.sqrt(x))))(x), [0.0, 0.5, 0.25])  # noqa: B023
        second = jvp(grad(lambda x: np.sum(cut(np.sqrt(x)))), (x,), (np.ones(3),))[1]  # noqa: B023
        np.testing.assert_allclose(second, [0.0, -0.25, -1 / 32])


def test_errors():
    with pytest.raises(ValueError, match=r"np\.squeeze: axis=0"):
        grad(lambda x: np.squeeze(x, axis=0)[0])(V)
    with pytest.raises(ValueError, match="zero-dimensional"):
        grad(lambda x: np.concatenate([x, x])[0])(1.0)
    with pytest.raises(ValueError, match="array_split"):
        grad(lambda x: np.split(x, 3)[0][0])(V)
    with pytest.raises(ValueError, match="need at least one"):
        grad(lambda x: x * np.stack([x[:0]][1:]))(V)
    with pytest.raises(TypeError, match=r"np.pad .*mode=<function"):
        grad(lambda x: np.pad(x, 1, mode=lambda *_: None)[0])(V)
    with pytest.raises(ValueError, match=r"np.pad: mode='edge' has no keyword stat_length="):
        grad(lambda x: np.pad(x, 1, mode="edge", stat_length=2)[0])(V)
    with pytest.raises(ValueError, match=r"cannot reshape float64\[4\] with 4 elements into the shape \(3, -1\)"):
        grad(lambda x: x.reshape(3, -1))(V)
    with pytest.raises(ValueError, match="axis 3 is out of bounds"):
        grad(lambda x: np.transpose(x, (0, 3)))(M)
    with pytest.raises(TypeError, match="casting='safe'"):
        grad(lambda x: np.concatenate([x, x], dtype=np.float32, casting="safe"))(V)
    with pytest.raises(TypeError, match="out="):
        grad(lambda x: x.take([0], out=np.zeros(1)))(V)
    with pytest.raises(ShapeOnlyError, match="repeats"):
        eval_shape(np.repeat, Spec((3,)), Spec((3,), int))
    with pytest.raises(TypeError, match="cannot be changed in place"):
        grad(lambda x: x.resize(2))(V)


PADS = [
    ("reflect", {"reflect_type": "odd"}),
    ("symmetric", {"reflect_type": "odd"}),
    ("linear_ramp", {}),
    ("linear_ramp", {"end_values": ((1.0, 2.0), (3.0, -4.0))}),
    ("maximum", {}),
    ("minimum", {"stat_length": 2}),
    ("mean", {"stat_length": ((1, 2), (3, 4))}),
    ("median", {}),
    ("constant", {"constant_values": ((1.0, -np.inf), (0.5, 2.0))}),
]


@pytest.mark.parametrize(("mode", "options"), PADS)
@pytest.mark.parametrize("width", [2, ((0, 1), (5, 7)), pytest.param({0: (3, 0)}, marks=newer), 0])
def test_pad(mode, options, width):
    for x in (M, M[:, ::-1].T, M.astype(np.float32), M[:1]):
        f = lambda x: np.pad(x, width, mode=mode, **options)
        y, pullback = vjp(f, x)
        np.testing.assert_allclose(y, f(x), rtol=1e-6 if x.dtype == np.float32 else 1e-13, atol=1e-6)
        assert y.dtype == f(x).dtype
        assert eval_shape(f, Spec(x.shape, x.dtype)) == Spec(y.shape, y.dtype)
        assert pullback(np.ones_like(y))[0].dtype == x.dtype
    check_grads(lambda x: np.sin(np.where(np.isfinite(f(x)), f(x), 0.0)), (M,))


def test_pad_with_traced_values():
    f = lambda x, v: np.pad(x, ((1, 2), (0, 1)), mode="linear_ramp", end_values=v)
    np.testing.assert_allclose(vjp(f, M, np.array([1.0, 2.0]))[0], f(M, np.array([1.0, 2.0])))
    check_grads(f, (M, np.array([1.0, 2.0])))
    g = lambda x, v: np.pad(x, ((1, 2), (0, 1)), constant_values=v)
    np.testing.assert_array_equal(vjp(g, M, 2.0)[0], g(M, 2.0))
    check_grads(g, (M, 2.0))
    assert vjp(g, M.astype(np.float32), 2.0)[0].dtype == np.float32


@pytest.mark.parametrize("order", ["C", "F", "A", "K"])
def test_orders_follow_the_memory(order):
    functions = [lambda x: np.ravel(x, order), lambda x: x.flatten(order)]
    if order != "K":
        functions.append(lambda x: np.reshape(x, (-1, 1), order=order))
    for x in (A, np.asfortranarray(A), A.transpose(1, 0, 2), A[::2, ::-1], M[0, 0]):
        t = np.empty_like(x)  # of the same layout
        t[...] = np.cos(x)
        for f in functions:
            y, dy = jvp(f, (x,), (t,))
            np.testing.assert_array_equal(y, f(x))
            np.testing.assert_array_equal(dy, f(t))
            np.testing.assert_array_equal(vjp(f, x)[1](f(t))[0], t)


INSERTIONS = [
    (0, 9.0, None), (-1, [1.0, 2.0], None), (1, np.arange(4.0), 0), (1, np.arange(3.0), 1), ([2], np.ones((3, 2)), 1),
    ([0, 3], 5.0, 1), ([1, 1], np.ones((3, 2)), -1), (slice(0, 3, 2), 1.0, 0),
    pytest.param(np.array([True, False, True]), 2.0, 0, marks=newer),
    ([], 1.0, 0), (1, np.ones((3, 2)).T, 1),
]  # fmt: skip


@pytest.mark.parametrize(("at", "values", "axis"), INSERTIONS)
def test_insert_and_delete(at, values, axis):
    for f in (lambda x: np.insert(x, at, values, axis), lambda x: np.delete(x, at, axis)):
        np.testing.assert_array_equal(vjp(f, M)[0], f(M))
        check_grads(lambda x: np.sin(f(x)), (M,))  # noqa: B023
    values = np.asarray(values)
    want = jvp(lambda v: np.insert(np.ones_like(M) * v.ravel()[0], at, v, axis), (values,), (np.ones_like(values),))[1]
    np.testing.assert_array_equal(want, np.ones(want.shape))


@newer
def test_scalars_count_as_arrays_of_one_entry():
    x = np.float64(3.0)
    for f in (
        lambda x: np.take(x, [0, 0], axis=0), lambda x: np.repeat(x, 3, axis=-1), lambda x: np.squeeze(x, 0),
        lambda x: np.roll(x, 2), np.flip, lambda x: np.compress([True], x, axis=0), np.trim_zeros,
        lambda x: np.resize(x, (2, 2)), lambda x: np.tile(x, 2), lambda x: np.reshape(x, -1), lambda x: np.append(x, x),
    ):  # fmt: skip
        np.testing.assert_array_equal(vjp(f, x)[0], f(x))
        assert grad(lambda x: np.sum(f(x)))(3.0) == np.size(f(x))  # noqa: B023


def test_trim_zeros():
    x = np.array([0.0, 0.0, 2.0, 0.0, 3.0, 0.0])
    for trim in ("fb", "f", "b"):
        np.testing.assert_array_equal(vjp(lambda x: np.trim_zeros(x, trim), x)[0], np.trim_zeros(x, trim))  # noqa: B023
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.trim_zeros(x)))(x), [0, 0, 1, 1, 1, 0])
    assert vjp(np.trim_zeros, np.zeros(3))[0].shape == (0,)


def test_many_operands():
    """Joins of many parts find each part's place once."""
    x = np.arange(1.0, 41.0)
    joins = (
        lambda x: np.concatenate([x[i : i + 2] * 2 for i in range(0, 40, 2)]),
        lambda x: np.stack([2 * x[i] for i in range(40)]),
        lambda x: np.hstack([2 * x[i] for i in range(40)]),
    )
    for join in joins:
        np.testing.assert_array_equal(vjp(join, x)[0], 2 * x)
        np.testing.assert_allclose(grad(lambda x: np.sum(join(x) ** 2))(x), 8 * x)  # noqa: B023
        check_grads(lambda x: np.sin(join(x)), (x / 40,))  # noqa: B023


def test_operands_of_several_kinds():
    x = np.array([1.0, 2.0], np.float32)
    value, pullback = vjp(lambda x: np.concatenate([x, np.arange(2), [1.0, x[0]], x.astype(complex)]), x)
    np.testing.assert_array_equal(value, [1, 2, 0, 1, 1, 1, 1, 2])
    assert value.dtype == np.complex128
    (g,) = pullback(np.arange(8) * (1 + 1j))
    assert g.dtype == np.float32
    np.testing.assert_array_equal(g, [0 + 5 + 6, 1 + 7])


def test_flat():
    np.testing.assert_array_equal(grad(lambda x: sum(v * v for v in x.flat))(M), 2 * M)


@newer
def test_unstack_and_permute_dims():
    def f(a):
        first, second, third = np.unstack(np.permute_dims(a, (2, 0, 1)), axis=-1)
        return np.stack([first * second, np.sin(third)])

    np.testing.assert_array_equal(vjp(f, A)[0], f(A))
    check_grads(f, (A,))
    assert eval_shape(f, Spec(A.shape, np.float32)) == Spec((2, 4, 2), np.float32)


def test_splits_refuse_too_few_axes():
    for split, x in ((np.hsplit, V[0]), (np.vsplit, V), (np.dsplit, M)):
        with pytest.raises(ValueError, match="axes"):
            vjp(lambda x: split(x, 1), x)  # noqa: B023


@newer
def test_pad_widths_by_axis():
    for widths in ({-1: 2}, {0: (0, 1), 1: 3}, {}):
        np.testing.assert_array_equal(vjp(lambda x: np.pad(x, widths), M)[0], np.pad(M, widths))  # noqa: B023
    for widths, x in (({2: 1}, M), ({-3: 1}, M), ({0: 1}, M[0, 0])):
        with pytest.raises(IndexError, match="out of bounds"):
            vjp(lambda x: np.pad(x, widths), x)  # noqa: B023


@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_take_from_a_plain_array_by_traced_positions(mode):
    """The operation gathers; np.take itself looks at its first argument alone."""
    table = np.arange(10.0).reshape(5, 2)
    f = lambda i: take(table, i, axis=0, mode=mode)
    assert eval_shape(f, Spec((3,), np.int64)) == Spec((3, 2), np.float64)
    np.testing.assert_array_equal(trace(f)(np.array([1, 4])).eval(np.array([3, 0])), table[[3, 0]])


def test_take_along_axis_by_traced_positions():
    f = lambda i: np.take_along_axis(M, i, axis=1)
    assert eval_shape(f, Spec((3, 2), np.int64)) == Spec((3, 2), np.float64)
    order = np.argsort(M, axis=1)
    np.testing.assert_array_equal(trace(f)(order).eval(order[:, ::-1]), f(order[:, ::-1]))
    both = trace(lambda x, i: np.take_along_axis(x, i, axis=1))(M, order)
    np.testing.assert_array_equal(both.eval(2 * M, order), 2 * f(order))
