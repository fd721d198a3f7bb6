"""Arrays of the Python array API standard: the rules hold for arrays that know none of NumPy's functions."""

import warnings

import numpy as np
import pytest

from autodiff import device_put, grad, jvp, linearize, value_and_grad, vjp
from autodiff.core.errors import DeviceError, MissingRuleError
from tests.test_device import arrays_only
from tests.test_registry import OPERATIONS

xp = pytest.importorskip("array_api_strict")

#: Operations whose samples, with all that their rules need in both modes and to second order, the standard can express.
WITHIN = {
    *("absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh"),
    *("batch_norm", "batch_norm_apply", "batch_norm_sums", "batch_norm_through", "broadcast_to", "cast"),
    *("concatenate", "conjugate", "copysign", "cos", "cosh", "counted_tangents", "counted_values", "cumsum"),
    *("dense", "divide", "exp", "exp2", "expm1", "fabs", "flip", "hypot", "imag", "inv", "jump", "kink", "log"),
    *("log10", "log1p", "log2", "log_power", "log_softmax", "logaddexp", "matmul", "max", "maximum", "mean"),
    *("min", "minimum", "multiply", "negative", "nextafter", "positive", "power", "quiet_inv", "ratio"),
    *("ratio_or_zero", "real", "reciprocal", "regular_det", "relu", "remainder", "reshape"),
    *("roll", "sigmoid", "sin", "sinh", "softmax", "softplus", "solve_transposed"),
    *("sqrt", "square", "stack", "subtract", "sum", "tan", "tanh", "transpose"),
}


def put(x):
    return xp.asarray(np.asarray(x).tolist(), dtype=getattr(xp, np.asarray(x).dtype.name)) if np.size(x) else _empty(x)


def _empty(x):
    return xp.zeros(np.shape(x), dtype=getattr(xp, x.dtype.name))


def same(got, want):
    for g, w in zip(*((v if isinstance(v, tuple) else (v,)) for v in (got, want)), strict=True):
        assert type(g) is type(put(1.0))
        assert g.dtype == getattr(xp, w.dtype.name)
        np.testing.assert_allclose(np.from_dlpack(g), w, rtol=1e-9, atol=1e-12)


def checked(op):
    found = arrays_only(op)
    for case in found:
        there = case.with_args(lambda a: a)
        there.args = [put(a) if hasattr(a, "dtype") else a for a in case.args]
        there.xs = tuple(there.args[i] for i in there.active)
        ts = case.direction()
        dts = tuple(map(put, ts))
        y, pull = vjp(case.f, *case.xs)
        ct = case.draw(y)
        same(jvp(there.f, there.xs, dts)[:2], jvp(case.f, case.xs, ts)[:2])
        same(vjp(there.f, *there.xs)[1](put(ct)), pull(ct))
        if not op.smooth or case is not found[0]:
            continue
        scalar = lambda f: lambda *xs: np.sum(np.real(f(*xs) + f(*xs) * f(*xs)))
        every, far, near = tuple(range(len(ts))), scalar(there.f), scalar(case.f)
        same(jvp(grad(far, every), there.xs, dts)[1], jvp(grad(near, every), case.xs, ts)[1])
        along = lambda f, t: lambda *xs: jvp(f, xs, t)[1]
        same(grad(along(far, dts), every)(*there.xs), grad(along(near, ts), every)(*case.xs))


@pytest.mark.parametrize("name", sorted(WITHIN))
def test_operation(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the values themselves
        checked(OPERATIONS[name])


# -- programs ------------------------------------------------------------------------------------------------


def program(x):
    y = np.sin(x) * x**2 + np.exp(-x) / x
    return np.sum(np.where(x > 1, y, 2 * x)[1:]) + np.max(y) + np.mean(y[None, :] @ np.stack([x, y], axis=1))


def test_program_in_every_mode():
    x, t = np.array([0.5, 1.5, 2.0]), np.array([1.0, -1.0, 0.5])
    a, s = put(x), put(t)
    same(value_and_grad(program)(a), value_and_grad(program)(x))
    same(jvp(program, (a,), (s,)), jvp(program, (x,), (t,)))
    same(jvp(grad(program), (a,), (s,)), jvp(grad(program), (x,), (t,)))
    same(grad(lambda x: jvp(program, (x,), (s,))[1])(a), grad(lambda x: jvp(program, (x,), (t,))[1])(x))
    same(linearize(program, a)[1](s), linearize(program, x)[1](t))


def test_program_in_the_words_of_the_standard():
    def f(x):
        n = x.__array_namespace__()
        return n.sum(n.matmul(x[None, :], n.expand_dims(n.log(x), axis=1)) + n.max(x)) + n.mean(x[1:] ** 2)

    x = np.array([0.5, 1.5, 2.0])
    same(grad(f)(put(x)), grad(f)(x))


def test_constants_of_the_library_and_float32():
    x, c = np.array([1.0, 2.0], np.float32), np.array([3.0, 5.0], np.float32)
    f = lambda c: lambda x: np.sum(x * c + np.add(c, x) ** 2)
    same(grad(f(put(c)))(put(x)), grad(f(c))(x))


def test_positions():
    x, i = np.arange(4.0), np.array([0, 2, 2])
    same(grad(lambda x: np.sum(x[i] ** 2))(put(x)), grad(lambda x: np.sum(x[i] ** 2))(x))


def test_results_belong_to_the_caller():
    x = put(np.ones(3))
    a, b = grad(lambda a, b: np.sum(a + b), (0, 1))(x, x)
    a[0] = 5.0
    same(b, np.ones(3))
    same(x, np.ones(3))


# -- what is refused -----------------------------------------------------------------------------------------


def test_functions_that_the_standard_lacks_are_named():
    with pytest.raises(
        MissingRuleError, match=r"np\.cbrt of an array of array_api_strict: the Python array API standard"
    ):
        grad(lambda x: np.sum(np.cbrt(x)))(put(np.ones(2)))


def test_no_silent_conversion_and_no_mixture():
    with pytest.raises(TypeError, match="implicit conversion of an array of array_api_strict"):
        grad(lambda x: np.sum(x) * float(np.asarray(_inner(x)).sum()))(put(np.ones(2)))
    with pytest.raises(
        DeviceError, match=r"multiply: argument 0 \(float64\[2\]\) is on autodiff.*argument 1 .* on cpu"
    ):
        grad(lambda x: np.sum(x * np.ones(2)))(put(np.ones(2)))


def _inner(x):
    return x.primal


def test_writing_where_the_standard_does_not_say_what_is_a_view():
    with pytest.raises(MissingRuleError, match="does not say whether that is a view"):
        grad(lambda x: np.sum(np.cumprod(x)))(put(np.ones(3)))


def test_device_put():
    x = put(np.ones(2))
    y = device_put({"x": x}, "cpu")["x"]
    assert type(y) is np.ndarray
    with pytest.raises(DeviceError, match="has no way back"):
        grad(lambda x: np.sum(device_put(x, "cpu")))(x)
