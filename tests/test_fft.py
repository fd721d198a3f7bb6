"""Fourier transforms: every function, norm, length and axis against NumPy, in both modes and at second order."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad, hessian, jvp, vjp, vmap
from tests.product_checks import check, check_float32, draw

RNG = np.random.default_rng(21)
NORMS = (None, "backward", "ortho", "forward")
REAL_IN = ("rfft", "ihfft", "rfft2", "rfftn")
ONE_AXIS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
TWO_AXES = ("fft2", "ifft2", "rfft2", "irfft2")
MANY_AXES = ("fftn", "ifftn", "rfftn", "irfftn")
N_AXES = (*TWO_AXES, *MANY_AXES)


def values(name, shape, dtype=None):
    return draw(RNG, shape, dtype or (float if name in REAL_IN else complex))


# -- one axis ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ONE_AXIS)
def test_norms(name, norm):
    f = getattr(np.fft, name)
    for shape in ((5,), (2, 4)):
        check(lambda a: f(a, norm=norm), values(name, shape))


@pytest.mark.parametrize("name", ONE_AXIS)
def test_lengths_and_axes(name):
    f = getattr(np.fft, name)
    for n in (None, 1, 2, 3, 4, 6, 7):
        check(lambda a, n=n: f(a, n), values(name, (4,)), order=1)
        check(lambda a, n=n: f(a, n=n, axis=0), values(name, (4, 2)), order=1)
    for axis in (0, 1, -1, -2):
        check(lambda a, axis=axis: f(a, axis=axis, norm="ortho"), values(name, (3, 4)))
    check(lambda a: f(a, n=5, axis=-2), values(name, (3, 2)))


@pytest.mark.parametrize("name", ONE_AXIS)
def test_shapes_and_memory(name):
    f = getattr(np.fft, name)
    for x in (
        values(name, (0, 4)),
        values(name, (1, 2)),
        values(name, (4, 3)).T,
        values(name, (3, 8))[:, ::-2],
        np.broadcast_to(values(name, (4,)), (2, 4)),
    ):
        check(f, x)


@pytest.mark.parametrize("name", ["fft", "ifft", "irfft", "hfft", "fft2", "ifftn", "irfftn"])
def test_real_input_of_complex_transforms(name):
    f = getattr(np.fft, name)
    check(f, values(name, (3, 4), float))
    assert vjp(f, np.ones((3, 4)))[1](f(np.ones((3, 4))))[0].dtype == float


@pytest.mark.parametrize("name", [*ONE_AXIS, *N_AXES])
def test_single_precision(name):
    f = getattr(np.fft, name)
    for dtype in (np.float32, np.complex64):
        if dtype is np.complex64 and name in REAL_IN:
            continue
        x = values(name, (3, 4), dtype)
        y, t = jvp(f, (x,), (x,))
        (c,) = vjp(f, x)[1](y)
        assert (y.dtype, t.dtype, c.dtype) == (f(x).dtype, f(x).dtype, dtype)
        np.testing.assert_allclose(t, f(x), rtol=1e-5, atol=1e-6)


def test_half_precision_has_numpys_dtype():
    x = RNG.normal(size=4).astype(np.float16)
    for f in (np.fft.fft, np.fft.rfft, np.fft.irfft):
        y, t = jvp(f, (x,), (x,))
        assert y.dtype == t.dtype == f(x).dtype
        assert vjp(f, x)[1](y)[0].dtype == np.float16


def test_lists_of_plain_and_traced_values():
    z = grad(lambda x: np.real(np.fft.fft(np.stack([x, 2 * x, x * x]))[0]))(3.0)
    assert z == 1 + 2 + 6


# -- several axes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", N_AXES)
def test_norms_of_several_axes(name, norm):
    f = getattr(np.fft, name)
    check(lambda a: f(a, norm=norm), values(name, (2, 3, 4)))


@pytest.mark.parametrize("name", N_AXES)
def test_sizes_and_axes(name):
    f = getattr(np.fft, name)
    for keywords in (
        {"axes": (0, 2)},
        {"axes": (2, 0)},
        {"axes": (-1,)},
        {"axes": [1, -3]},
        {"axes": (1, 1)},
        {"s": (3, 5), "axes": (0, 1)},
        {"s": (1, 2), "axes": (2, 1)},
        {"s": (-1, 6), "axes": (1, 2)},
        {"s": (6, -1), "axes": (0, 2)},
        {"s": (3, 2, 5), "axes": (2, 0, 1)},
    ):
        check(lambda a, k=keywords: f(a, **k), values(name, (2, 3, 4)), order=1)
    check(lambda a: f(a, s=(4, 3), axes=(0, 1)), values(name, (3, 2)))


def test_no_axes():
    x = RNG.normal(size=(2, 3))
    check(lambda a: np.fft.fftn(a, axes=()), x)
    for f in (np.fft.rfftn, np.fft.irfftn):
        with pytest.raises(ValueError, match=r"at least one axis must be transformed \(the array is float64\[2,3\]\)"):
            grad(lambda a, f=f: np.sum(np.real(f(a, axes=()))))(x)


# -- order and frequencies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
@pytest.mark.parametrize("axes", [None, 0, -1, (0, 1), [1]])
def test_shifts(name, axes):
    f = getattr(np.fft, name)
    check(lambda a: f(a, axes), draw(RNG, (3, 4)))
    check(lambda a: f(a, axes=axes), draw(RNG, (4, 5), complex))


def test_shifts_of_scalars_and_float32():
    check(np.fft.fftshift, draw(RNG, (5,)))
    check_float32(np.fft.ifftshift, RNG.normal(size=(2, 3)))


@pytest.mark.parametrize("f", [np.fft.fftfreq, np.fft.rfftfreq])
@pytest.mark.parametrize("n", [1, 4, 5])
def test_frequencies_by_the_spacing(f, n):
    check(lambda d: f(n, d), np.float64(0.7))
    check(lambda d: f(n, d=d), np.float64(0.7))


# -- what they are for ---------------------------------------------------------------------------------------


def test_convolution_theorem():
    a, b = RNG.normal(size=6), RNG.normal(size=4)
    n = 9

    def through_frequencies(a, b):
        return np.fft.irfft(np.fft.rfft(a, n) * np.fft.rfft(b, n), n)

    check(through_frequencies, a, b)
    w = RNG.normal(size=n)
    for got, want in zip(vjp(through_frequencies, a, b)[1](w), vjp(np.convolve, a, b)[1](w), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)


def test_parseval():
    x = RNG.normal(size=7)
    np.testing.assert_allclose(grad(lambda x: np.sum(np.abs(np.fft.fft(x, norm="ortho")) ** 2))(x), 2 * x, rtol=1e-13)
    power = hessian(lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2))(x)
    np.testing.assert_allclose(power, 2 * 7 * np.eye(7), atol=1e-12)


def test_gradient_of_a_half_spectrum_is_that_of_the_whole():
    """The symmetric entries that a half spectrum leaves out count all the same."""
    x = RNG.normal(size=8)
    w = RNG.normal(size=8)
    w = w + np.roll(w[::-1], 1)  # symmetric
    whole = grad(lambda x: np.sum(w * np.abs(np.fft.fft(x)) ** 2))(x)
    twice = np.array([1, 2, 2, 2, 1])
    half = grad(lambda x: np.sum(twice * w[:5] * np.abs(np.fft.rfft(x)) ** 2))(x)
    np.testing.assert_allclose(half, whole, rtol=1e-12)


@pytest.mark.parametrize("name", [*ONE_AXIS, *N_AXES])
def test_third_order(name):
    f = getattr(np.fft, name)
    check_grads(lambda a: np.sum(np.abs(f(a)) ** 2 + np.real(f(a)) ** 3), (values(name, (2, 3)),), order=3, atol=1e-5)


@pytest.mark.parametrize("name", [*ONE_AXIS, *N_AXES, "fftshift", "ifftshift"])
def test_batches(name):
    f = getattr(np.fft, name)
    x = values(name, (5, 2, 4))
    np.testing.assert_allclose(vmap(f)(x), np.stack([f(a) for a in x]), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(vmap(f, in_axes=1)(x), np.stack([f(x[:, i]) for i in range(2)]), rtol=1e-13, atol=1e-14)
    power = grad(lambda a: np.sum(np.abs(f(a)) ** 2))
    np.testing.assert_allclose(vmap(power)(x), np.stack([power(a) for a in x]), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", [*ONE_AXIS, *N_AXES])
def test_shapes_without_values(name):
    f = getattr(np.fft, name)
    x = values(name, (3, 4))
    spec = eval_shape(f, x)
    assert (spec.shape, spec.dtype) == (f(x).shape, f(x).dtype)


@pytest.mark.parametrize("name", [*ONE_AXIS, *N_AXES])
def test_agreement_with_jax(name):
    jax = pytest.importorskip("jax")
    x, seed = values(name, (3, 4), np.complex64 if name not in REAL_IN else np.float32), 0
    f, theirs = getattr(np.fft, name), getattr(jax.numpy.fft, name)
    y, pull = vjp(f, x)
    ct = draw(np.random.default_rng(seed), y.shape, y.dtype)
    np.testing.assert_allclose(pull(ct)[0], jax.vjp(theirs, x)[1](jax.numpy.asarray(ct))[0], rtol=1e-5, atol=1e-5)


# -- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: np.fft.fft(x, norm="unit"), ValueError, r'np\.fft\.fft: norm must be "backward", .*not \'unit\''),
        (lambda x: np.fft.fft(x, 0), ValueError, r"np\.fft\.fft: there must be at least one point, not 0 .*\[2,3\]"),
        (lambda x: np.fft.irfft(x[:, :1]), ValueError, r"np\.fft\.irfft: there must be at least one point, not 0"),
        (lambda x: np.fft.rfft(x[:, :0]), ValueError, r"np\.fft\.rfft: there must be at least one point, not 0"),
        (lambda x: np.fft.rfft(x + 0j), TypeError, r"np\.fft\.rfft: the input must be real, but is complex128\[2,3\]"),
        (lambda x: np.fft.ihfft(1j * x), TypeError, r"np\.fft\.ihfft: the input must be real"),
        (lambda x: np.fft.fft(x, axis=2), IndexError, r"np\.fft\.fft: axis 2 does not exist in float64\[2,3\]"),
        (lambda x: np.fft.fftn(x, axes=(0, -3)), IndexError, r"np\.fft\.fftn: axis -3 does not exist"),
        (lambda x: np.fft.fft2(x, s=(2,)), ValueError, r"np\.fft\.fft2: s has 1 lengths for 2 axes of float64\[2,3\]"),
        (lambda x: np.fft.fftshift(x, 2), IndexError, r"np\.fft\.fftshift: axis 2 does not exist in float64\[2,3\]"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        grad(lambda x: np.sum(np.abs(call(x))))(np.ones((2, 3)))


def test_out_is_refused():
    with pytest.raises(TypeError, match=r"np\.fft\.fft with out=: .* cannot be written into a plain array"):
        grad(lambda x: np.sum(np.abs(np.fft.fft(x, out=np.zeros(3, complex)))))(np.ones(3))
