"""Functions of shape and position: NumPy's values, both modes to second order, shapes without values."""

import numpy as np
import pytest

from autodiff import Spec, check_grads, eval_shape, grad, jvp, vjp

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
       for m in ("edge", "reflect", "symmetric", "wrap")},
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
    with pytest.raises(TypeError, match=r"np.pad .*linear_ramp"):
        grad(lambda x: np.pad(x, 1, mode="linear_ramp")[0])(V)
