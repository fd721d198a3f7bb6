"""`numpy.linalg` of complex matrices beside JAX: gradients that do not depend on the choices of LAPACK."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import grad

jax = pytest.importorskip("jax")

RNG = np.random.default_rng(31)


def hermitian(np_, x):
    return x @ np_.conj(x.T) + np_.eye(3)


W = RNG.normal(size=(3, 3))
FUNCTIONS = {
    "slogdet": lambda np_, x: np_.linalg.slogdet(x)[0] * np_.linalg.slogdet(x)[1],
    "pinv": lambda np_, x: np_.sum(W[:, :2] * np_.linalg.pinv(x[:2])),
    "cholesky": lambda np_, x: np_.sum(W * np_.linalg.cholesky(hermitian(np_, x))),
    "eigh": lambda np_, x: np_.sum(W * np_.abs(np_.linalg.eigh(hermitian(np_, x))[1]) ** 2),
    "svd": lambda np_, x: np_.sum(W[:, :2] * np_.abs(np_.linalg.svd(x[:, :2], full_matrices=False)[0]) ** 2),
    "qr": lambda np_, x: np_.sum(W * np_.abs(np_.linalg.qr(x)[0]) ** 2),
    "lstsq": lambda np_, x: np_.sum(W[:2, 0] * np_.linalg.lstsq(x[:, :2], x[:, 2])[0]),
}


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_gradients_of_complex_matrices(f):
    x = RNG.normal(size=(3, 3)) + 1j * RNG.normal(size=(3, 3))
    with jax.enable_x64(True):
        want = jax.grad(lambda x: jax.numpy.real(f(jax.numpy, x)))(x)
    np.testing.assert_allclose(grad(lambda x: np.real(f(np, x)))(x), want, rtol=1e-8, atol=1e-9)
