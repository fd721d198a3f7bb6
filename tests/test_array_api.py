"""The namespace of the array API standard: names, signatures, and derivatives through it."""

import inspect

import numpy as np
import pytest

import autodiff
import autodiff.array_api as xp
from autodiff import Spec, eval_shape, grad, jacfwd, jacrev, jvp
from autodiff.core.errors import ConversionError

A = np.array([[0.3, -0.7, 1.1], [2.0, 0.4, -1.6]])

# Names of the standard, version 2024.12, with their signatures where they take more than arrays.
ONE = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "bitwise_invert",
    "ceil",
    "conj",
    "cos",
    "cosh",
    "exp",
    "expm1",
    "floor",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "log",
    "log10",
    "log1p",
    "log2",
    "logical_not",
    "negative",
    "positive",
    "real",
    "reciprocal",
    "round",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
    "nonzero",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "matrix_transpose",
]
TWO = [
    "add",
    "atan2",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "copysign",
    "divide",
    "equal",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "less",
    "less_equal",
    "logaddexp",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "nextafter",
    "not_equal",
    "pow",
    "remainder",
    "subtract",
    "matmul",
]
SIGNATURES = {
    "arange": "(start, /, stop=None, step=1, *, dtype=None, device=None)",
    "asarray": "(obj, /, *, dtype=None, device=None, copy=None)",
    "empty": "(shape, *, dtype=None, device=None)",
    "empty_like": "(x, /, *, dtype=None, device=None)",
    "eye": "(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)",
    "from_dlpack": "(x, /, *, device=None, copy=None)",
    "full": "(shape, fill_value, *, dtype=None, device=None)",
    "full_like": "(x, /, fill_value, *, dtype=None, device=None)",
    "linspace": "(start, stop, /, num, *, dtype=None, device=None, endpoint=True)",
    "meshgrid": "(*arrays, indexing='xy')",
    "ones": "(shape, *, dtype=None, device=None)",
    "ones_like": "(x, /, *, dtype=None, device=None)",
    "tril": "(x, /, *, k=0)",
    "triu": "(x, /, *, k=0)",
    "zeros": "(shape, *, dtype=None, device=None)",
    "zeros_like": "(x, /, *, dtype=None, device=None)",
    "astype": "(x, dtype, /, *, copy=True, device=None)",
    "can_cast": "(from_, to, /)",
    "finfo": "(type, /)",
    "iinfo": "(type, /)",
    "isdtype": "(dtype, kind)",
    "result_type": "(*arrays_and_dtypes)",
    "clip": "(x, /, min=None, max=None)",
    "take": "(x, indices, /, *, axis=None)",
    "take_along_axis": "(x, indices, /, *, axis=-1)",
    "tensordot": "(x1, x2, /, *, axes=2)",
    "vecdot": "(x1, x2, /, *, axis=-1)",
    "broadcast_arrays": "(*arrays)",
    "broadcast_to": "(x, /, shape)",
    "concat": "(arrays, /, *, axis=0)",
    "expand_dims": "(x, /, axis)",
    "flip": "(x, /, *, axis=None)",
    "moveaxis": "(x, source, destination, /)",
    "permute_dims": "(x, /, axes)",
    "repeat": "(x, repeats, /, *, axis=None)",
    "reshape": "(x, /, shape, *, copy=None)",
    "roll": "(x, /, shift, *, axis=None)",
    "squeeze": "(x, /, axis)",
    "stack": "(arrays, /, *, axis=0)",
    "tile": "(x, repetitions, /)",
    "unstack": "(x, /, *, axis=0)",
    "argmax": "(x, /, *, axis=None, keepdims=False)",
    "argmin": "(x, /, *, axis=None, keepdims=False)",
    "count_nonzero": "(x, /, *, axis=None, keepdims=False)",
    "searchsorted": "(x1, x2, /, *, side='left', sorter=None)",
    "where": "(condition, x1, x2, /)",
    "argsort": "(x, /, *, axis=-1, descending=False, stable=True)",
    "sort": "(x, /, *, axis=-1, descending=False, stable=True)",
    "cumulative_prod": "(x, /, *, axis=None, dtype=None, include_initial=False)",
    "cumulative_sum": "(x, /, *, axis=None, dtype=None, include_initial=False)",
    "max": "(x, /, *, axis=None, keepdims=False)",
    "mean": "(x, /, *, axis=None, keepdims=False)",
    "min": "(x, /, *, axis=None, keepdims=False)",
    "prod": "(x, /, *, axis=None, dtype=None, keepdims=False)",
    "std": "(x, /, *, axis=None, correction=0.0, keepdims=False)",
    "sum": "(x, /, *, axis=None, dtype=None, keepdims=False)",
    "var": "(x, /, *, axis=None, correction=0.0, keepdims=False)",
    "all": "(x, /, *, axis=None, keepdims=False)",
    "any": "(x, /, *, axis=None, keepdims=False)",
    "diff": "(x, /, *, axis=-1, n=1, prepend=None, append=None)",
    **dict.fromkeys(ONE, "(x, /)"),
    **dict.fromkeys(TWO, "(x1, x2, /)"),
}
LINALG = {
    **dict.fromkeys(["det", "eigh", "eigvalsh", "inv", "matrix_transpose", "slogdet", "svdvals"], "(x, /)"),
    **dict.fromkeys(["matmul", "outer", "solve"], "(x1, x2, /)"),
    "cholesky": "(x, /, *, upper=False)",
    "cross": "(x1, x2, /, *, axis=-1)",
    "diagonal": "(x, /, *, offset=0)",
    "matrix_norm": "(x, /, *, keepdims=False, ord='fro')",
    "matrix_power": "(x, n, /)",
    "matrix_rank": "(x, /, *, rtol=None)",
    "pinv": "(x, /, *, rtol=None)",
    "qr": "(x, /, *, mode='reduced')",
    "svd": "(x, /, *, full_matrices=True)",
    "tensordot": "(x1, x2, /, *, axes=2)",
    "trace": "(x, /, *, offset=0, dtype=None)",
    "vecdot": "(x1, x2, /, *, axis=-1)",
    "vector_norm": "(x, /, *, axis=None, keepdims=False, ord=2)",
}
FFT = {
    **dict.fromkeys(["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"], "(x, /, *, n=None, axis=-1, norm='backward')"),
    **dict.fromkeys(["fftn", "ifftn", "rfftn", "irfftn"], "(x, /, *, s=None, axes=None, norm='backward')"),
    **dict.fromkeys(["fftfreq", "rfftfreq"], "(n, /, *, d=1.0, dtype=None, device=None)"),
    **dict.fromkeys(["fftshift", "ifftshift"], "(x, /, *, axes=None)"),
}
DTYPES = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
    "complex64",
    "complex128",
]


def shown(function):
    signature = inspect.signature(function)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


@pytest.mark.parametrize(("module", "table"), [(xp, SIGNATURES), (xp.linalg, LINALG), (xp.fft, FFT)])
def test_names_and_signatures(module, table):
    for name, signature in table.items():
        function = getattr(module, name)
        assert (name, shown(function)) == (name, signature)
        assert function.__name__ == name
        assert function.__doc__
    more = {"SUPPORTED_VERSIONS"}
    named = {n for n in module.__all__ if not n.startswith("_")} - more
    constants = {*DTYPES, "e", "inf", "nan", "newaxis", "pi", "fft", "linalg"} if module is xp else set()
    assert named == set(table) | constants


def test_constants_and_dtypes():
    assert (xp.e, xp.pi, xp.inf, xp.newaxis) == (np.e, np.pi, np.inf, None)
    assert np.isnan(xp.nan)
    for name in DTYPES:
        assert np.zeros(1, name).dtype == getattr(xp, name)
        assert xp.zeros(1, dtype=getattr(xp, name)).dtype.name == name


def test_the_namespace_of_traced_arrays():
    seen = []

    def f(x):
        seen.extend([x.__array_namespace__(), x.__array_namespace__(api_version="2024.12")])
        with pytest.raises(ValueError, match=r"unknown api_version '1999.12'; 2024.12 is"):
            x.__array_namespace__(api_version="1999.12")
        assert (x.device, x.ndim, x.size, x.shape, x.dtype) == ("cpu", 2, 6, (2, 3), xp.float64)
        assert x.to_device("cpu") is x
        with pytest.raises(ValueError, match=r"to_device: float64\[2,3\] is on 'cpu' and cannot go to 'gpu'"):
            x.to_device("gpu")
        assert x.__dlpack_device__() == (1, 0)
        with pytest.raises(ConversionError, match=r"__dlpack__\(\) .*derivative would be lost .*stop_gradient"):
            np.from_dlpack(x)
        assert xp.from_dlpack(x) is x
        return xp.sum(x.mT @ x + xp.matmul(x.T, xp.from_dlpack(x, copy=True)))

    np.testing.assert_allclose(grad(f)(A), 4 * np.broadcast_to(A.sum(1, keepdims=True), A.shape))
    assert seen == [xp, xp]
    assert eval_shape(lambda x: x.to_device(x.device), Spec((2,))).shape == (2,)


def test_the_information():
    info = xp.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    assert info.devices() == [info.default_device()] == ["cpu"]
    assert info.default_dtypes(device="cpu")["complex floating"] == np.complex128
    assert set(info.dtypes()) == set(DTYPES)
    assert list(info.dtypes(kind=("bool", "complex floating"))) == ["bool", "complex64", "complex128"]
    with pytest.raises(ValueError, match="the only device is 'cpu', not 'gpu'"):
        info.dtypes(device="gpu")


def test_devices_are_checked():
    for call in (
        lambda: xp.zeros(1, device="gpu"),
        lambda: xp.asarray(1.0, device="gpu"),
        lambda: xp.arange(3, device="gpu"),
        lambda: xp.fft.fftfreq(4, device="gpu"),
        lambda: xp.ones_like(A, device="gpu"),
    ):
        with pytest.raises(ValueError, match=r"autodiff\.array_api: the only device is 'cpu', not 'gpu'"):
            call()


def test_limits_of_dtypes():
    single = xp.finfo(A.astype("f4"))
    assert (single.bits, single.dtype) == (32, np.float32)
    assert single.eps == 2.0**-23
    assert [type(v) for v in single[1:5]] == [float] * 4
    assert xp.finfo(xp.complex128).dtype == np.float64
    assert (xp.iinfo(np.int8(1)).max, xp.iinfo(xp.uint16).bits) == (127, 16)
    assert jvp(lambda x: x * xp.finfo(x).bits, (1.0,), (1.0,))[1] == 64


def test_questions_about_dtypes():
    assert xp.can_cast(np.float32(1), xp.float64)
    assert not xp.can_cast(xp.float64, xp.float32)
    assert xp.isdtype(xp.int8, "signed integer")
    assert not xp.isdtype(xp.int8, ("bool", xp.int16))
    assert xp.result_type(A.astype("f4"), 1.0, xp.int8) == np.float32


# -- results that NumPy's functions of the same name do not give ---------------------------------------------


def test_descending_order():
    x = np.array([[1, 3, 1, 2], [0, 0, 5, 5]])
    np.testing.assert_array_equal(xp.sort(x, descending=True), [[3, 2, 1, 1], [5, 5, 0, 0]])
    np.testing.assert_array_equal(xp.argsort(x, descending=True), [[1, 3, 0, 2], [2, 3, 0, 1]])
    np.testing.assert_array_equal(xp.argsort(x, axis=0, descending=True, stable=False), [[0, 0, 1, 1], [1, 1, 0, 0]])
    np.testing.assert_array_equal(xp.argsort(x), [[0, 2, 3, 1], [0, 1, 2, 3]])


def test_cumulative():
    np.testing.assert_array_equal(xp.cumulative_sum(A, axis=1, include_initial=True)[:, 0], 0)
    np.testing.assert_array_equal(xp.cumulative_prod(A, axis=0, include_initial=True)[0], 1)
    np.testing.assert_array_equal(xp.cumulative_sum(A[0]), np.cumsum(A[0]))
    assert xp.cumulative_sum(np.ones(2, "i1")).dtype == np.int64
    with pytest.raises(ValueError, match=r"array_api\.cumulative_sum: give axis= for an array of shape \(2, 3\)"):
        xp.cumulative_sum(A)
    got = jacfwd(lambda x: xp.cumulative_prod(x, include_initial=True))(np.array([2.0, 3.0]))
    np.testing.assert_array_equal(got, [[0, 0], [1, 0], [3, 2]])


def test_lists_and_tuples():
    assert type(xp.meshgrid(A[0], A[1])) is list
    assert type(xp.broadcast_arrays(A, 1.0)) is list
    assert [x.shape for x in xp.unstack(A, axis=1)] == [(2,)] * 3
    with pytest.raises(ValueError, match="at least one axis"):
        xp.unstack(np.float64(1))


def test_clip_and_take():
    assert xp.clip(A) is not A
    np.testing.assert_array_equal(xp.clip(A, max=0.5), np.minimum(A, 0.5))
    np.testing.assert_array_equal(xp.take(A[0], np.array([2, 0])), A[0, [2, 0]])
    with pytest.raises(ValueError, match=r"array_api\.take: give axis= for an array of shape \(2, 3\)"):
        xp.take(A, np.array([0]))


def test_reshape_and_copies():
    assert np.shares_memory(xp.reshape(A, (6,)), A)
    assert not np.shares_memory(xp.reshape(A, (6,), copy=True), A)
    assert np.shares_memory(xp.reshape(A, (6,), copy=False), A)
    with pytest.raises(ValueError, match=r"array_api\.reshape: copy=False"):
        xp.reshape(A.T, (6,), copy=False)


def test_frequencies():
    got = xp.fft.fftfreq(4, d=0.5, dtype=xp.float32)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.fft.fftfreq(4, 0.5))
    np.testing.assert_array_equal(xp.fft.rfftfreq(5), np.fft.rfftfreq(5))
    with pytest.raises(ValueError, match=r"array_api\.fft\.fftfreq: dtype must be a real floating dtype, not int64"):
        xp.fft.fftfreq(4, dtype=xp.int64)


def test_unique():
    x = np.array([[2.0, 1.0], [np.nan, 2.0], [np.nan, 1.0]])
    np.testing.assert_array_equal(xp.unique_values(x), [1, 2, np.nan, np.nan])
    assert xp.unique_counts(x).counts.tolist() == [2, 2, 1, 1]
    found = xp.unique_all(x)
    assert found.inverse_indices.shape == xp.unique_inverse(x).inverse_indices.shape == x.shape
    np.testing.assert_array_equal(found.values[found.inverse_indices], x)
    np.testing.assert_array_equal(x.ravel()[found.indices], found.values)


# -- derivatives ---------------------------------------------------------------------------------------------

PROGRAMS = {
    "statistics": lambda x: xp.std(x, axis=1, correction=1) + xp.var(x) * xp.mean(x, keepdims=True)[0],
    "elementwise": lambda x: xp.atan2(xp.sin(x), 2.0) * xp.expm1(xp.tanh(x)) + xp.clip(x, -1.0, 1.0) ** 2,
    "order": lambda x: xp.sort(x, axis=1, descending=True)[:, :2] * xp.unstack(x, axis=1)[0][:, None],
    "shapes": lambda x: xp.tile(xp.permute_dims(xp.flip(x, axis=0), (1, 0)), (2, 1)) @ xp.expand_dims(x[:, 0], 1),
    "joins": lambda x: xp.concat([xp.reshape(x, (6,)), xp.full(2, x[0, 0])]) * xp.asarray([x[0, 1]] * 8),
    "picks": lambda x: xp.where(x > 0, x * x, xp.zeros_like(x)) + xp.take(x, np.array([1, 0]), axis=0),
    "products": lambda x: xp.vecdot(x, xp.roll(x, 1, axis=1)) + xp.linalg.trace(xp.matmul(x.mT, x)),
    "lines": lambda x: xp.take_along_axis(x, xp.argsort(x, axis=1), axis=1)[:, 1:] * xp.diff(x, axis=1),
    "norms": lambda x: xp.linalg.vector_norm(x, axis=1) * xp.linalg.matrix_norm(x),
    "casts": lambda x: xp.astype(x, xp.float64) * xp.triu(xp.ones((2, 3))) + xp.cumulative_sum(x, axis=0),
    "distinct": lambda x: xp.unique_values(x) ** 2,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives(name):
    f = PROGRAMS[name]
    t = np.array([[0.2, -1.0, 0.5], [0.7, 0.1, -0.4]])
    value, slope = jvp(f, (A,), (t,))
    np.testing.assert_allclose(value, f(A), rtol=1e-15)
    h = 1e-6
    np.testing.assert_allclose(slope, (f(A + h * t) - f(A - h * t)) / (2 * h), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(np.tensordot(jacrev(f)(A), t, 2), slope, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(jacfwd(jacrev(f))(A), jacrev(jacfwd(f))(A), rtol=1e-12, atol=1e-13)
    assert jvp(f, (A.astype("f4"),), (t.astype("f4"),))[1].dtype == f(A.astype("f4")).dtype


def test_a_function_of_the_standard_is_differentiable():
    def softmax(x):
        ns = x.__array_namespace__()
        e = ns.exp(x - ns.max(x, axis=-1, keepdims=True))
        return e / ns.sum(e, axis=-1, keepdims=True)

    np.testing.assert_allclose(jacrev(softmax)(A[0]), jacrev(autodiff.ops.softmax)(A[0]), rtol=1e-12)


def test_arrays_that_are_made_can_be_assigned_to():
    def f(x):
        ns = x.__array_namespace__()
        y = ns.zeros_like(x)
        y[0] = x[1] * x[0]
        y[1:] += ns.asarray(x, copy=True)[1:] ** 2
        z = ns.asarray(x, copy=True)
        z[0, 0] = 0.0
        return ns.sum(y) + ns.sum(z)

    want = np.ones_like(A) + np.stack([A[1], A[0] + 2 * A[1]])
    want[0, 0] -= 1
    np.testing.assert_allclose(grad(f)(A), want)
    np.testing.assert_allclose(jvp(f, (A,), (A,))[1], np.sum(want * A))
