"""Complex numbers, casts, and Python numbers beside float32, in elementwise operations."""

import numpy as np
import pytest

from autodiff import check_grads, grad, jvp, value_and_grad, vjp, vmap

# -- complex numbers -----------------------------------------------------------------------------------------


def test_absolute_of_complex_zero():
    z = np.array([0j, 3 + 4j])
    np.testing.assert_allclose(grad(lambda z: np.sum(np.abs(z)))(z), [0, 0.6 - 0.8j])
    np.testing.assert_allclose(jvp(np.abs, (z,), (np.array([1 + 1j, 1j]),))[1], [0, 0.8])
    np.testing.assert_array_equal(grad(lambda z: np.sum(np.abs(z) ** 2))(z), 2 * np.conj(z))


def test_gradients_of_parts_and_angle():
    """A real function f of x + iy has the gradient df/dx - i df/dy."""
    z = 1.0 + 2.0j
    assert grad(lambda z: z.real**2 + 3 * z.imag)(z) == 2 - 3j
    np.testing.assert_allclose(grad(np.angle)(z), (-2 - 1j) / 5)
    np.testing.assert_allclose(grad(lambda z: np.angle(z, deg=True))(z), (-2 - 1j) / 5 * 180 / np.pi)
    assert np.isnan(grad(np.angle)(0j))


@pytest.mark.parametrize("f", [np.arccosh, np.arcsinh, np.arccos, np.arcsin, np.arctan, np.arctanh, np.sqrt, np.log])
@pytest.mark.parametrize("z", [2 + 1j, 2 - 1j, -2 + 1j, -2 - 1j, 0.3 + 1j, -0.3 - 0.5j])
def test_branches(f, z):
    check_grads(f, (np.complex128(z),))


def test_sign_of_complex_numbers_is_not_constant():
    check_grads(np.sign, (np.array([1 + 2j, -1 + 0.5j]),), order=3)
    assert jvp(np.sign, (0j,), (1 + 0j,))[1] == 0


CUTS = {
    "arcsin": (np.arcsin, (2.0, -2.0, 0.4)),
    "arccos": (np.arccos, (2.0, -2.0, 0.4)),
    "arctanh": (np.arctanh, (2.0, -2.0, 0.4)),
    "arccosh": (np.arccosh, (-2.0, 0.4, 2.0)),
    "arcsinh": (np.arcsinh, (2.0j, -2.0j, 0.4j)),
    "arctan": (np.arctan, (2.0j, -2.0j, 0.4j)),
    "sqrt": (np.sqrt, (-2.0, 2.0)),
    "log": (np.log, (-2.0, 2.0)),
    "power": (lambda z: np.power(z, 1.5), (-2.0, 2.0)),
}


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_on_a_branch_cut_the_derivative_is_that_of_the_side(name, dtype, zero):
    """The sign of a zero says on which side of its cut a number is, for the value and for the derivatives."""
    f, points = CUTS[name]
    for p in points:
        along = 1.0 if isinstance(p, float) else 1.0j
        at = lambda h, p=p: complex(p + h, zero) if isinstance(p, float) else complex(zero, p.imag + h)
        z, t, h = dtype(at(0.0)), dtype(along), 1e-5
        want = (f(np.complex128(at(h))) - f(np.complex128(at(-h)))) / (2 * h)
        got = jvp(f, (z,), (t,))[1]
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=1e-8 if dtype is np.complex128 else 1e-5)
        second = jvp(lambda z, t=t: jvp(f, (z,), (t,))[1], (z,), (t,))[1]
        ends = [jvp(f, (np.complex128(at(s * h)),), (np.complex128(along),))[1] for s in (1, -1)]
        np.testing.assert_allclose(second, (ends[0] - ends[1]) / (2 * h), rtol=1e-7 if dtype is np.complex128 else 1e-4)


P, N = np.array([0.3, 0.7, 1.6]), np.array([0.3, -0.7, 1.6])


EXTENDED = {
    **{n: (getattr(np.emath, n), N) for n in ("sqrt", "log", "log2", "log10", "arccos", "arcsin", "arctanh")},
    "real": (np.emath.sqrt, P),
    "complex": (np.emath.log, N + 0.2j),
    "logn": (lambda x: np.emath.logn(x + 2, x), N),
    "power": (lambda x: np.emath.power(x, x), N),
    "integer powers": (lambda x: np.emath.power(x, [2, -1, 3]), N),
}


@pytest.mark.parametrize("name", EXTENDED)
def test_functions_that_turn_to_complex_numbers(name):
    f, x = EXTENDED[name]
    t, h = np.array([1.0, -0.5, 2.0]), 1e-6
    value, change = jvp(f, (x,), (t.astype(x.dtype),))
    np.testing.assert_array_equal(value, f(x))
    assert value.dtype == change.dtype == f(x).dtype
    np.testing.assert_allclose(change, (f(x + h * t) - f(x - h * t)) / (2 * h), rtol=1e-7)
    ct = np.exp(1j * P) if change.dtype.kind == "c" else P
    np.testing.assert_allclose(np.sum(vjp(f, x)[1](ct)[0] * t).real, np.sum(ct * change).real)
    if name in {"sqrt", "arcsin", "logn"}:
        np.testing.assert_allclose(vmap(f)(np.stack([x, 2 * x])), np.stack([f(x), f(2 * x)]), rtol=1e-14)
        single = x.astype(np.float32)
        assert jvp(f, (single,), (single,))[1].dtype == f(single).dtype


# -- casts ---------------------------------------------------------------------------------------------------


def test_casts():
    x = np.array([0.5, 1.5], np.float32)
    y, t = jvp(lambda x: x.astype(np.float64) ** 2, (x,), (x,))
    assert (y.dtype, t.dtype) == (np.float64, np.float64)
    g = grad(lambda x: np.sum(x.astype(float) ** 2))(x)
    assert g.dtype == np.float32
    np.testing.assert_array_equal(g, 2 * x)
    g = grad(lambda x: np.sum(np.real((x.astype(complex) * (1 + 2j)) ** 2)))(x)
    assert g.dtype == np.float32
    np.testing.assert_allclose(g, -6 * x)
    np.testing.assert_array_equal(grad(lambda x: np.sum(x.astype(np.int64) * x))(x), [0, 1])
    assert grad(lambda x: np.sum(x.astype(bool) * x))(x).tolist() == [1, 1]
    assert grad(lambda x: np.sum(x.astype("f4") * 3))(x).tolist() == [3, 3]
    if hasattr(np, "astype"):
        check_grads(lambda x: np.astype(x, np.float64) ** 2, (x.astype(np.float64),))


def test_casts_that_lose_the_imaginary_part_are_refused():
    with pytest.raises(TypeError, match=r"discards the imaginary part; use np\.real"):
        vjp(lambda z: z.astype(np.float64), 1 + 2j)
    with pytest.raises(TypeError, match="casting='safe'"):
        grad(lambda x: x.astype(np.float32, casting="safe"))(1.0)


def test_parts_of_complex_numbers():
    z = np.array([1 + 2j, -0.5 + 0.1j])
    x = np.array([1.0, 2.0])
    check_grads(lambda z: z.real * z.imag + z.conj() * z.conjugate() + np.conj(z) ** 2, (z,), order=3)
    check_grads(lambda x: x.real * np.real(x) + x.conj() + x.imag + np.imag(x), (x,), order=3)
    check_grads(lambda x: np.real(x * (1 + 2j)) + np.imag(x * 1j) + np.abs(x + 1j * x), (x,), order=3)
    assert grad(lambda x: np.sum(np.imag(x)))(x).tolist() == [0, 0]


def test_real_if_close():
    z = np.array([1 + 1e-15j, 2 - 1e-16j])

    def f(z):
        y = np.real_if_close(z)
        assert y.dtype == np.float64
        assert np.real_if_close(z * (1 + 1j)).dtype == np.complex128
        assert np.real_if_close(z * (1 + 1e-4j), tol=1e-3).dtype == np.float64
        assert np.real_if_close(y) is y
        return np.sum(y**2)

    np.testing.assert_allclose(grad(f)(z), 2 * z.real)


def test_attributes_of_the_dtype():
    def f(x):
        assert x.dtype == np.float32
        assert (x.itemsize, x.nbytes, x.size, x.ndim, x.shape) == (4, 12, 3, 1, (3,))
        assert np.finfo(x.dtype).eps == np.float32(2**-23)
        return np.sum(x * np.zeros(3, x.dtype) + x)

    assert grad(f)(np.ones(3, np.float32)).dtype == np.float32


# -- weak numbers --------------------------------------------------------------------------------------------


def test_python_numbers_stay_weak():
    w = np.linspace(0.5, 1.5, 4, dtype=np.float32)

    def loss(lr, w):
        return ((lr * w) ** 2).sum()

    value, (g_lr, g_w) = value_and_grad(loss, (0, 1))(0.3, w)
    assert (value.dtype, g_lr.dtype, g_w.dtype) == (np.float32, np.float64, np.float32)
    np.testing.assert_allclose(g_lr, 2 * 0.3 * np.sum(w.astype(float) ** 2), rtol=1e-6)
    y, t = jvp(loss, (0.3, w), (1.0, w))
    assert y.dtype == t.dtype == np.float32


@pytest.mark.parametrize(
    "f",
    [
        lambda lr, w: w * (lr + 1) ** 2,
        lambda lr, w: w**lr,
        lambda lr, w: lr**w,
        lambda lr, w: w / (1 - lr) - abs(-lr) * w,
        lambda lr, w: w % lr + lr % w,
        lambda lr, w: w * (lr // 0.1),
    ],
)
def test_arithmetic_of_python_numbers_stays_weak(f):
    w = np.linspace(0.55, 1.45, 4, dtype=np.float32)
    assert f(0.3, w).dtype == np.float32
    y, (t_lr, t_w) = vjp(f, 0.3, w)[0], vjp(f, 0.3, w)[1](np.ones(4, np.float32))
    assert (y.dtype, t_lr.dtype, t_w.dtype) == (np.float32, np.float64, np.float32)
    assert jvp(f, (0.3, w), (1.0, w))[1].dtype == np.float32
