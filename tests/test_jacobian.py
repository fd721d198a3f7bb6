"""Jacobians, Hessians and Hessian-vector products."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from autodiff import checkpoint, grad, hessian, hvp, jacfwd, jacrev, jvp, tree, vjp
from autodiff.core.errors import DifferentiationError

V = np.array([1.0, 2.0, 3.0])
M = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
BOTH = pytest.mark.parametrize("jac", [jacfwd, jacrev])


class Pair(NamedTuple):
    a: Any
    b: Any


@BOTH
def test_of_a_linear_map_is_its_matrix(jac):
    f = lambda x: np.sum(M * x, axis=1)
    np.testing.assert_array_equal(jac(f)(V), M)
    np.testing.assert_array_equal(jac(lambda x: x)(V), np.eye(3))
    np.testing.assert_array_equal(jac(lambda x: np.reshape(x, (3, 1)))(V), np.eye(3).reshape(3, 1, 3))


@BOTH
@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (0,), (2, 0)])
def test_the_shape_is_that_of_value_then_argument(jac, shape):
    x = np.arange(1.0, 1.0 + np.prod(shape, dtype=int)).reshape(shape)
    assert jac(lambda x: x * x)(x).shape == shape + shape
    assert jac(lambda x: x[None] * V.reshape(3, *[1] * len(shape)))(x).shape == (3, *shape, *shape)
    assert jac(lambda x: np.sum(x * x))(x).shape == shape
    assert jac(lambda x: np.ones((3, 2)))(x).shape == (3, 2, *shape)
    assert jac(lambda x: np.zeros(0))(x).shape == (0, *shape)
    n = x.size
    np.testing.assert_array_equal(jac(lambda x: x * x)(x).reshape(n, n), np.diag(2 * x.ravel()))


@BOTH
def test_of_scalars_is_a_numpy_scalar(jac):
    assert type(jac(lambda x: x * x)(3.0)) is np.float64
    assert jac(lambda x: x * x)(3.0) == 6.0
    assert type(jac(lambda x: x * x)(np.float32(3.0))) is np.float32
    assert jac(lambda x: x * x)(3) == 6.0
    np.testing.assert_array_equal(jac(lambda x: x * x)(np.arange(2)), [[0.0, 0.0], [0.0, 2.0]])


@BOTH
def test_dtypes(jac):
    assert jac(lambda x: x * x)(V.astype(np.float32)).dtype == np.float32
    assert jac(lambda x: x * x)(V.astype(np.float16)).dtype == np.float16
    found = jac(lambda x: x * x * (1 + 2j))(V)
    np.testing.assert_array_equal(found, np.diag(2 * V * (1 + 2j)))
    assert found.dtype == np.complex128
    np.testing.assert_allclose(jac(lambda x: np.exp(1j * x))(0.3), 1j * np.exp(0.3j))


@BOTH
def test_argnums(jac):
    f = lambda x, y: x * np.sum(y * y)
    np.testing.assert_array_equal(jac(f)(V, V), 14 * np.eye(3))
    np.testing.assert_array_equal(jac(f, 1)(V, V), np.outer(V, 2 * V))
    np.testing.assert_array_equal(jac(f, -1)(V, V), np.outer(V, 2 * V))
    both = jac(f, (1, 0))(V, V)
    assert type(both) is tuple
    np.testing.assert_array_equal(both[0], np.outer(V, 2 * V))
    np.testing.assert_array_equal(both[1], 14 * np.eye(3))


@BOTH
def test_trees_of_values_of_trees_of_arguments(jac):
    f = lambda p: {"y": Pair(p["a"] * p["b"], p["n"] * p["b"]), "z": (p["b"] ** 2,)}
    found = jac(f)({"a": V, "b": 2.0, "n": 3})
    y = found["y"]
    assert type(y) is Pair
    np.testing.assert_array_equal(y.a["a"], 2 * np.eye(3))
    np.testing.assert_array_equal(y.a["b"], V)
    assert y.a["n"].shape == (3,)
    assert not y.a["n"].any()
    assert y.b["b"] == 3.0
    assert not y.b["a"].any()
    assert found["z"][0]["b"] == 4.0
    per_leaf = {"a": 0, "b": 0, "n": 0}
    assert tree.structure(found) == tree.structure({"y": Pair(per_leaf, per_leaf), "z": (per_leaf,)})


@BOTH
def test_has_aux_and_keywords(jac):
    f = lambda x, *, k: (x * k, {"x": x, "note": "text"})
    found, aux = jac(f, has_aux=True)(V, k=2.0)
    np.testing.assert_array_equal(found, 2 * np.eye(3))
    np.testing.assert_array_equal(aux["x"], V)
    assert aux["note"] == "text"


@pytest.mark.parametrize("outer", [jacfwd, jacrev])
@pytest.mark.parametrize("inner", [jacfwd, jacrev])
def test_second_derivatives_in_all_mixtures(outer, inner):
    f = lambda x: np.sum(x**3) * x[0] + np.sin(x[1] * x[2])
    eps = 1e-5
    numeric = np.stack([(grad(f)(V + eps * e) - grad(f)(V - eps * e)) / (2 * eps) for e in np.eye(3)])
    np.testing.assert_allclose(outer(inner(f))(V), numeric, rtol=1e-7, atol=1e-8)
    g = lambda x: x[:2] * x[1:] * np.sum(x)
    expected = np.stack([hessian(lambda x, i=i: g(x)[i])(V) for i in range(2)])
    np.testing.assert_allclose(outer(inner(g))(V), expected)


def test_hessian():
    np.testing.assert_array_equal(hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0])), [[6.0, 2.0], [2.0, 0.0]])
    assert hessian(lambda x: x**3)(2.0) == 12.0
    assert type(hessian(lambda x: x**3)(2.0)) is np.float64
    assert hessian(lambda x: np.sum(x**3))(V.astype(np.float32)).dtype == np.float32
    found = hessian(lambda p: p["a"] ** 2 * np.sum(p["b"]))({"a": 3.0, "b": V})
    assert found["a"]["a"] == 12.0
    np.testing.assert_array_equal(found["a"]["b"], [6.0] * 3)
    np.testing.assert_array_equal(found["b"]["a"], [6.0] * 3)
    np.testing.assert_array_equal(found["b"]["b"], np.zeros((3, 3)))
    found = hessian(lambda x, y: x * x * y, (0, 1))(1.0, 2.0)
    assert found == ((4.0, 2.0), (2.0, 0.0))
    value, aux = hessian(lambda x: (x**3, x * 2), has_aux=True)(2.0)
    assert (value, aux) == (12.0, 4.0)
    assert hessian(lambda x: 3.0 * x)(1.0) == 0.0
    assert hessian(lambda x: np.sum(x * x))(np.zeros(0)).shape == (0, 0)


def test_third_derivatives():
    third = jacfwd(hessian(lambda x: x[0] * x[1] * x[2] + x[0] ** 3))(V)
    expected = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        expected[i, j, k] = 1.0
    expected[0, 0, 0] = 6.0
    np.testing.assert_array_equal(third, expected)
    np.testing.assert_array_equal(jacrev(hessian(lambda x: x[0] * x[1] * x[2] + x[0] ** 3))(V), expected)


@pytest.mark.parametrize("x", [V, V.astype(np.float32), 2.0, 3, np.arange(3)])
def test_hvp(x):
    f = lambda x: np.sum(x**3 * x + np.sin(x))
    v = np.ones_like(x)
    product = hvp(f, (x,), (v,))
    matrix = hessian(f)(x)
    np.testing.assert_allclose(product, np.sum(matrix * v, axis=-1) if np.ndim(x) else matrix, rtol=1e-6)
    assert product.dtype == matrix.dtype


def test_hvp_of_several_arguments_and_trees():
    assert hvp(lambda x, y: x * x * y, (1.0, 2.0), (1.0, 0.0)) == (4.0, 2.0)
    f = lambda p: p["a"] ** 2 * np.sum(p["b"] ** 2)
    p, v = {"a": 3.0, "b": V}, {"a": 1.0, "b": -V}
    found = hvp(f, (p,), (v,))
    matrix = hessian(f)(p)
    for key in "ab":
        expected = matrix[key]["a"] * v["a"] + np.sum(matrix[key]["b"] * v["b"], axis=-1)
        np.testing.assert_allclose(found[key], expected)


@BOTH
def test_agree_with_jvp_and_vjp_and_nest_in_transforms(jac):
    f = checkpoint(lambda v: np.sin(v) * v[::-1])
    full = jac(f)(V)
    for e in np.eye(3):
        np.testing.assert_allclose(np.sum(full * e, axis=1), jvp(f, (V,), (e,))[1])
        np.testing.assert_allclose(np.sum(full * e[:, None], axis=0), vjp(f, V)[1](e)[0])
    total = lambda s: np.sum(jac(lambda x: np.sin(s * x))(V) ** 2)
    direct = lambda s: np.sum((s * np.cos(s * V)) ** 2)
    assert grad(total)(0.7) == pytest.approx(grad(direct)(0.7))
    assert jvp(total, (0.7,), (1.0,))[1] == pytest.approx(grad(direct)(0.7))
    assert grad(grad(total))(0.7) == pytest.approx(grad(grad(direct))(0.7))


@BOTH
def test_the_program_runs_once(jac):
    runs = []

    def f(x):
        runs.append(1)
        return x * x

    jac(f)(V)
    assert len(runs) == 1


def test_marked_entries_are_zero_not_nan():
    x = np.array([0.0, 4.0])
    f = lambda x: np.where(x > 0, np.sqrt(x), 0.0)
    for jac in (jacfwd, jacrev):
        np.testing.assert_array_equal(jac(f)(x), [[0.0, 0.0], [0.0, 0.25]])
    np.testing.assert_allclose(hessian(lambda x: np.sum(f(x)))(x), [[0.0, 0.0], [0.0, -1 / 32]])


Z = np.array([1 + 2j, 0.5 - 1j, 0.3j])


def holomorphic(z):
    return np.stack([z[0] * z[1], np.sin(z[2]) * z[0], np.exp(z[1])])


@pytest.mark.parametrize("jacobian", [jacfwd, jacrev])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_the_jacobian_of_a_holomorphic_function(jacobian, dtype):
    z = Z.astype(dtype)
    want = [[z[1], z[0], 0], [np.sin(z[2]), 0, np.cos(z[2]) * z[0]], [0, np.exp(z[1]), 0]]
    found = jacobian(holomorphic, holomorphic=True)(z)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, want, rtol=1e-6)
    both = jacobian(lambda a, b: a**2 * b, (0, 1), holomorphic=True)(1j, 2 + 0j)
    assert both == pytest.approx((4j, -1))


def test_the_hessian_of_a_holomorphic_function():
    found = hessian(lambda z: z[0] ** 2 * np.exp(z[1]), holomorphic=True)(Z[:2])
    e = np.exp(Z[1])
    np.testing.assert_allclose(found, [[2 * e, 2 * Z[0] * e], [2 * Z[0] * e, Z[0] ** 2 * e]], rtol=1e-14)


def test_rows_of_a_real_function_of_complex_arguments():
    f = lambda z: np.stack([np.abs(z[0]) ** 2, np.real(z[1] * z[2])])
    want = [[2 * np.conj(Z[0]), 0, 0], [0, Z[2], Z[1]]]  # df/dx - i df/dy
    np.testing.assert_allclose(jacrev(f)(Z), want, rtol=1e-14)
    np.testing.assert_allclose(jacrev(f)(Z)[0], grad(lambda z: f(z)[0])(Z), rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jacfwd(holomorphic)(Z), r"jacfwd: argument 0 is complex \(complex128\[3\]\).*say holomorphic=True"),
        (lambda: jacrev(holomorphic)(Z), r"jacrev: argument 0 is complex .*say holomorphic=True"),
        (lambda: jacfwd(np.abs)(Z), r"jacfwd: argument 0 is complex .*jacrev, if the value is real"),
        (lambda: jacrev(np.abs, holomorphic=True)(Z), r"holomorphic=True .* the function's value is float64\[3\]"),
        (lambda: jacfwd(np.exp, holomorphic=True)(1.0), r"argument 0 is float.*astype\(complex\)"),
    ],
)
def test_complex_arguments_need_a_promise(call, message):
    with pytest.raises(DifferentiationError, match=message):
        call()
