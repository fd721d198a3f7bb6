"""The namespace of autodiff.numpy: NumPy's names, on plain values, traced values and lists of them."""

import contextlib
import inspect
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest

import autodiff
import autodiff.numpy as anp
from autodiff import custom_jvp, grad, jacfwd, jacrev, jvp
from autodiff.core.errors import AssignmentError, MissingRuleError
from autodiff.core.tracer import Tracer
from autodiff.numpy.wrapping import Ufunc
from tests.modes import mixtures, nested

V = np.array([0.3, -0.7, 1.1])


def names(module):
    return [n for n in dir(module) if not n.startswith("_")]


def same(got, want):
    assert type(got) is type(want)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "linalg", "fft"])
def test_every_name_of_numpy_is_there(path):
    theirs, ours = (getattr(np, path), getattr(anp, path)) if path else (np, anp)
    for name in {*names(theirs), *getattr(theirs, "__all__", ())}:
        want, got = getattr(theirs, name), getattr(ours, name)
        if isinstance(want, np.ufunc):
            assert isinstance(got, Ufunc)
            assert (got.nin, got.nout, got.__name__) == (want.nin, want.nout, want.__name__)
        elif isinstance(want, types.FunctionType) or type(want) is type(np.sum):
            assert got.__name__ == want.__name__
            assert got.__doc__ == want.__doc__
        elif isinstance(want, type) or not callable(want):
            assert got is want or name in {"linalg", "fft", "r_", "c_", "vectorize"}
    assert set(getattr(theirs, "__all__", ())) <= set(ours.__all__)
    assert set(names(theirs)) <= set(dir(ours))


def test_functions_are_wrapped_once():
    assert anp.mean is anp.mean
    assert "mean" in vars(anp)
    assert anp.linalg.norm is anp.linalg.norm


@pytest.mark.parametrize("name", ["mean", "einsum", "concatenate", "where", "asarray", "full", "clip", "add"])
def test_signatures_and_documentation(name):
    theirs, ours = getattr(np, name), getattr(anp, name)
    assert ours.__doc__ == theirs.__doc__
    try:
        want = inspect.signature(theirs)
    except ValueError:  # a built-in function without one
        return
    assert inspect.signature(ours) == want


@pytest.mark.parametrize("module", [anp, anp.linalg, anp.fft])
def test_unknown_names(module):
    with pytest.raises(AttributeError, match=rf"module '{module.__name__}' has no attribute 'nothing', nor has 'numpy"):
        _ = module.nothing
    with pytest.raises(AttributeError, match="has no attribute '_private'"):
        _ = module._private


def test_star_import():
    space = {}
    exec("from autodiff.numpy import *", space)
    assert space["arange"](3).tolist() == [0, 1, 2]
    assert grad(lambda x: space["sum"]([x, x]))(1.0) == 2


def test_submodules_are_importable():
    code = "import autodiff.numpy.linalg as la, autodiff.numpy.fft as ft; print(la.norm([3.0, 4.0]), ft.fft([1.0])[0])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["5.0", "(1+0j)"]


def test_the_namespaces_are_imported_on_first_use():
    code = (
        "import sys, autodiff\n"
        "for name in ('numpy', 'scipy'):\n"
        "    before = f'autodiff.{name}' in sys.modules\n"
        "    getattr(autodiff, name)\n"
        "    print(before, f'autodiff.{name}' in sys.modules)\n"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "True"] * 2
    assert "numpy" not in autodiff.__all__
    with pytest.raises(AttributeError, match="module 'autodiff' has no attribute 'nothing'"):
        _ = autodiff.nothing


def test_ufuncs_can_be_pickled():
    assert pickle.loads(pickle.dumps(anp.sin))(0.5) == np.sin(0.5)


# -- plain values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.sin(V),
        lambda m: m.add([1, 2], 3),
        lambda m: m.add.reduce([[1, 2], [3, 4]], axis=1),
        lambda m: m.multiply.outer([1, 2], [3, 4]),
        lambda m: m.mean([[1, 2.5]], axis=0, keepdims=True),
        lambda m: m.concatenate([[1], V]),
        lambda m: m.where([True, False], 1, 2.0),
        lambda m: m.linspace(0, 1, 5),
        lambda m: m.full((2, 3), 7, order="F"),
        lambda m: m.array([[1, 2], (3, 4)], "f4", ndmin=3),
        lambda m: m.asarray([1, 2], np.int8),
        lambda m: m.asanyarray(V),
        lambda m: m.ascontiguousarray(3.0),
        lambda m: m.asfortranarray([[1, 2]]),
        lambda m: m.asarray_chkfinite([1.0]),
        lambda m: m.linalg.solve([[2.0, 0], [0, 4]], [1.0, 1]),
        lambda m: m.fft.rfft(V),
        lambda m: m.r_[1:4, 0, V],
        lambda m: m.c_[V, V],
        lambda m: m.r_["0,2", 1:3, [4, 5]],
        lambda m: m.mgrid[0:2, 0:3],
        lambda m: m.frombuffer(b"\x01\x02", m.uint8),
        lambda m: m.einsum("i,i->", V, [1, 2, 3]),
        lambda m: m.block([[np.ones((1, 2))], [np.zeros((1, 2))]]),
    ],
)
def test_plain_values_are_numpys(call):
    same(call(anp), call(np))


def test_array_takes_what_numpys_takes():
    assert list(inspect.signature(anp.array).parameters)[:2] == ["object", "dtype"]
    with contextlib.suppress(ValueError):  # before NumPy 2.4
        assert inspect.signature(anp.array) == inspect.signature(np.array)
        same(anp.array([[1, 2], [3, 4]], dtype=object, ndmax=1), np.array([[1, 2], [3, 4]], dtype=object, ndmax=1))
    with pytest.raises(MissingRuleError, match=r"np\.array .*with the keywords \['ndmax'\]"):
        grad(lambda x: anp.array([x, x], ndmax=1)[0])(1.0)


def test_plain_errors_are_numpys():
    with pytest.raises(ValueError, match="infs or NaNs"):
        anp.asarray_chkfinite([np.inf])
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        anp.array([1, 2], copy=False)


# -- traced values in lists ----------------------------------------------------------------------------------

# Functions of one number x, written with lists; the second writes the same with np.stack and friends.
LISTS = {
    "ufunc": (lambda x: anp.multiply([x, 2.0], [x, x]), lambda x: np.stack([x * x, 2 * x])),
    "ufunc, nested": (lambda x: anp.exp([[x], (1.0,)]), lambda x: np.stack([np.exp(x), np.e + 0 * x]).reshape(2, 1)),
    "reduce": (lambda x: anp.add.reduce([[x, 1.0], [x, x]]), lambda x: np.stack([2 * x, 1 + x])),
    "outer": (lambda x: anp.multiply.outer([x, 1.0], [x]), lambda x: np.stack([x * x, x]).reshape(2, 1)),
    "sum": (lambda x: anp.sum([x, x * x, 1.0]), lambda x: x + x * x + 1),
    "mean, axis": (lambda x: anp.mean([[x, 1.0], [x, 3 * x]], axis=1), lambda x: np.stack([(x + 1) / 2, 2 * x])),
    "a keyword": (lambda x: anp.sum(a=[x, x]), lambda x: 2 * x),
    "prod": (lambda x: anp.prod([x, x, 2.0]), lambda x: 2 * x * x),
    "max": (lambda x: anp.max([x, 3 * x]), lambda x: 3 * x),
    "concatenate": (lambda x: anp.concatenate([[x, 1.0], [x], V]), lambda x: np.concatenate([np.stack([x, 1, x]), V])),
    "stack, keyword": (lambda x: anp.stack(arrays=[[x], [2 * x]]), lambda x: np.stack([x, 2 * x]).reshape(2, 1)),
    "hstack": (lambda x: anp.hstack(([x], [1.0, x])), lambda x: np.stack([x, 1, x])),
    "stack": (lambda x: anp.stack([[x, 1.0], [x, x]], axis=1), lambda x: np.stack([x, x, 1, x]).reshape(2, 2)),
    "block": (lambda x: anp.block([[x, 1.0], [2 * x, x]]), lambda x: np.stack([x, 1, 2 * x, x]).reshape(2, 2)),
    "where": (lambda x: anp.where([True, False], [x, x], [1.0, 2.0]), lambda x: np.stack([x, 2 + 0 * x])),
    "select": (lambda x: anp.select([[True, False]], [[x, x]], 5.0), lambda x: np.stack([x, 5 + 0 * x])),
    "choose": (lambda x: anp.choose([1, 0], [[x, x], [1.0, 2 * x]]), lambda x: np.stack([1, x])),
    "einsum": (lambda x: anp.einsum("i,i->", [x, 1.0], [x, x]), lambda x: x * x + x),
    "dot": (lambda x: anp.dot([[x, 1.0]], [x, 2.0]), lambda x: np.stack([x * x + 2])),
    "interp": (lambda x: anp.interp(0.5, [0.0, 1.0], [x, 3 * x]), lambda x: 2 * x),
    "broadcast": (lambda x: anp.broadcast_arrays([x], 1.0)[0], lambda x: np.stack([x])),
    "norm": (lambda x: anp.linalg.norm([x, x]), lambda x: np.sqrt(2) * x),
    "array": (lambda x: anp.array([x, 1.0], ndmin=2), lambda x: np.stack([[x, 1.0]]) if not traced(x) else _row(x)),
    "asanyarray": (lambda x: anp.asanyarray([x, 1]), lambda x: np.stack([x, 1])),
    "ascontiguousarray": (anp.ascontiguousarray, lambda x: np.stack([x])),
    "asfortranarray": (lambda x: anp.asfortranarray([x]), lambda x: np.stack([x])),
    "asarray_chkfinite": (lambda x: anp.asarray_chkfinite([x]), lambda x: np.stack([x])),
    "full": (lambda x: anp.full((2, 2), x), lambda x: x + np.zeros((2, 2))),
    "full, a list": (lambda x: anp.full((2, 2), [x, 1.0]), lambda x: np.stack([x, 1, x, 1]).reshape(2, 2)),
    "full_like": (lambda x: anp.full_like(V, x), lambda x: x + np.zeros(3)),
    "r_": (lambda x: anp.r_[x, x, 1.0, [x], 0:2, V], lambda x: np.concatenate([np.stack([x, x, 1, x, 0, 1]), V])),
    "r_, rows": (lambda x: anp.r_["0,2", [x, 1.0], V[:2]], lambda x: np.stack([x, 1, *V[:2]]).reshape(2, 2)),
    "r_, columns": (lambda x: anp.r_["1,2,0", [x, 1.0], V[:2]], lambda x: np.stack([x, V[0], 1, V[1]]).reshape(2, 2)),
    "c_": (lambda x: anp.c_[[x, 1.0], V[:2]], lambda x: np.stack([x, V[0], 1, V[1]]).reshape(2, 2)),
}  # fmt: skip


def traced(x):
    return isinstance(x, Tracer)


def _row(x):
    return np.reshape(np.stack([x, 1.0]), (1, 2))


@pytest.mark.parametrize("name", LISTS)
def test_traced_values_in_lists(name):
    f, plain = LISTS[name]
    x = 0.8
    np.testing.assert_allclose(f(x), plain(x), rtol=1e-15)
    for first in (jacfwd, jacrev):
        np.testing.assert_allclose(first(f)(x), first(plain)(x), rtol=1e-14, atol=1e-14)
        for second in (jacfwd, jacrev):
            np.testing.assert_allclose(second(first(f))(x), second(first(plain))(x), rtol=1e-14, atol=1e-14)
    h = 1e-6
    np.testing.assert_allclose(jvp(f, (x,), (1.0,))[1], (np.array(f(x + h)) - f(x - h)) / (2 * h), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", LISTS)
def test_float32_in_lists_has_numpys_dtype(name):
    f, _ = LISTS[name]
    x = np.float32(0.8)
    want = np.asarray(f(x)).dtype
    assert jvp(f, (x,), (np.float32(1),))[0].dtype == want


def test_r_follows_numpys_promotion():
    x = V.astype("f4")
    for index in (lambda v: (v, 1.0), lambda v: (v, np.float64(1)), lambda v: (v, 1j), lambda v: (v, 2)):
        assert jvp(lambda v, index=index: anp.r_[index(v)], (x,), (x,))[0].dtype == np.r_[index(x)].dtype


def test_arrays_are_copied_as_numpy_does():
    seen = []

    def f(x):
        seen.extend([anp.asarray(x) is x, anp.array(x, copy=None) is x, anp.asarray(x, "f8") is x])
        return np.sum(anp.array(x) * anp.asarray(x, copy=True))

    np.testing.assert_allclose(grad(f)(V), 2 * V)
    assert seen == [True, True, True]
    changed = lambda x: _changed(anp.array(x)) + np.sum(x)
    np.testing.assert_array_equal(grad(changed)(V), [1.0, 2.0, 2.0])
    with pytest.raises(ValueError, match=r"autodiff\.numpy\.array: copy=False, .*made anew \(test_numpy_.*copy=None"):
        grad(lambda x: np.sum(anp.array([x], copy=False)))(V)


def test_vectorize():
    f = lambda x, n=2, scale=1.0: scale * x**n if x > 0 else 3 * x
    loop = anp.vectorize(f, excluded=["scale"])
    x = np.array([[0.5, -1.0], [2.0, 0.1]])
    np.testing.assert_array_equal(loop(x), np.vectorize(f)(x))
    want = lambda x, n, s: np.where(x > 0, s * x**n, 3 * x)
    for modes in (jacfwd, jacrev):
        np.testing.assert_allclose(modes(lambda x: loop(x, np.array([2, 3]), scale=2.0))(x),
                                   modes(lambda x: want(x, np.array([2.0, 3.0]), 2.0))(x), rtol=1e-14)  # fmt: skip
    np.testing.assert_allclose(grad(lambda s: np.sum(loop(x, scale=s)))(1.5), np.sum(x[x > 0] ** 2))
    np.testing.assert_allclose(grad(lambda x: np.sum(loop(x=x)))(x), np.where(x > 0, 2 * x, 3.0))
    both = anp.vectorize(lambda a, b: (a * b, a + b), otypes=[np.float32, float])
    p, q = jvp(lambda a: both(a, 2), (V,), (V,))[1]
    assert (p.dtype, q.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(p, 2 * V, rtol=1e-6)
    np.testing.assert_array_equal(q, V)
    assert anp.vectorize(lambda x: x, doc="told").__doc__ == "told"
    assert isinstance(loop, np.vectorize)


def test_vectorize_refuses():
    with pytest.raises(MissingRuleError, match=r"np\.vectorize has no derivative rule .*signature; autodiff\.vmap"):
        grad(lambda x: np.sum(anp.vectorize(np.sum, signature="(n)->()")(x)))(V)
    with pytest.raises(ValueError, match=r"np\.vectorize: there is no element"):
        jvp(anp.vectorize(np.sin), (V[:0],), (V[:0],))


def _changed(x):
    x[0] = 7.0
    return np.sum(x)


# -- what has no derivative ----------------------------------------------------------------------------------


def test_functions_without_rules_say_so():
    for call, name in (
        (anp.arange, "np.arange"),
        (anp.frombuffer, "np.frombuffer"),
        (lambda x: anp.packbits([x]), "np.packbits"),
        (lambda x: anp.fromiter([x], float), "np.fromiter"),
    ):
        with pytest.raises(MissingRuleError, match=rf"{name} has no derivative rule .*\(test_numpy_namespace"):
            grad(call)(1.0)


def test_writing_into_plain_arrays_is_refused():
    with pytest.raises(AssignmentError, match=r"np\.sum with out=: the traced value"):
        grad(lambda x: anp.sum([x, x], out=np.zeros(())))(1.0)


def test_functions_of_objects_take_traced_ones():
    seen = []
    grad(lambda x: seen.extend([anp.isscalar(x), anp.iterable(x), anp.iterable([x])]) or x)(1.0)
    assert seen == [False, False, True]


def test_matrices_are_refused():
    with pytest.raises(MissingRuleError, match=r"np\.r_ has no derivative rule .*'r', which makes a matrix"):
        grad(lambda x: anp.sum(anp.r_["r", x, x]))(1.0)


def test_infinities_are_refused():
    with pytest.raises(ValueError, match="asarray_chkfinite: the array must not contain infinities or NaNs"):
        grad(lambda x: anp.sum(anp.asarray_chkfinite([x, np.inf])))(1.0)


def test_custom_rules_see_wrapped_functions():
    f = custom_jvp(lambda x: anp.sum([x, x]))
    f.defjvp(lambda primals, tangents: (f(*primals), 3 * tangents[0]))
    assert grad(f)(1.0) == 3


# -- arrays of traced values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("modes", ["f", "r", *mixtures(2)])
def test_arrays_of_traced_values(modes):
    def f(x):
        m = anp.array([[np.cos(x), -np.sin(x)], [np.sin(x), 1.0]])
        rows = anp.asarray([m[0] * x, [2.0, 3.0], (x, 4)])
        return np.sum(rows * anp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))

    plain = lambda x: x * np.cos(x) - 2 * x * np.sin(x) + 6 + 12 + 5 * x + 24
    assert f(0.3) == pytest.approx(plain(0.3))
    assert nested(modes, f)(0.3) == pytest.approx(nested(modes, plain)(0.3))


def test_arrays_of_plain_values_are_numpys():
    same(anp.array([[1, 2], (3, 4.0)]), np.array([[1, 2], (3, 4.0)]))
    same(anp.array([1, 2], "f4"), np.array([1, 2], "f4"))
    same(anp.array([]), np.array([]))
    assert anp.asarray(V) is V
    assert anp.array(V) is not V


def test_arrays_of_traced_values_have_numpys_dtype():
    dtypes = []

    def f(x):
        values = [anp.array(a) for a in ([x, 1], [x, np.float64(1)], [[x], [1j]], x, [x, np.float16(2)])]
        values += [anp.array([x, 1.0], dtype="float32"), anp.asarray(x, "float64")]
        dtypes.extend(v.dtype.name for v in values)
        return np.real(sum(np.sum(v) for v in values))

    assert grad(f)(np.float32(2.0)).dtype == np.float32
    plain = [
        np.array(a).dtype.name for a in ([np.float32(2), 1], [np.float32(2), np.float64(1)], [[np.float32(2)], [1j]])
    ]
    assert dtypes == [*plain, "float32", "float32", "float32", "float64"]


def test_arrays_of_traced_values_of_unequal_shapes():
    with pytest.raises(
        ValueError, match=r"a list holds float64\[3\], float64\[2\] .*test_numpy_namespace.*np\.concatenate"
    ):
        grad(lambda v: anp.array([v, v[1:]]))(V)
    with pytest.raises(ValueError, match=r"a list holds float64\[3\], float64\[0\]"):
        grad(lambda v: anp.array([v, []]))(V)
