"""`numpy.linalg` inside `vmap`: what a loop over the examples gives, with derivatives inside and outside."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import grad, jvp, vmap

RNG = np.random.default_rng(23)


def positive(*shape):
    x = RNG.normal(size=shape)
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])


XS = positive(4, 3, 3)
RIGHT = RNG.normal(size=(3, 2))

FUNCTIONS = {
    "inv": np.linalg.inv,
    "pinv": np.linalg.pinv,
    "pinv hermitian": lambda x: np.linalg.pinv(x, hermitian=True),
    "det": np.linalg.det,
    "sign": lambda x: np.linalg.slogdet(x)[0] * x,
    "phase": lambda x: np.imag(np.linalg.slogdet(x + 1j * x.T)[0]),
    "logdet": lambda x: np.linalg.slogdet(x).logabsdet,
    "cholesky": np.linalg.cholesky,
    "cholesky upper": lambda x: np.linalg.cholesky(x, upper=True),
    "eigvalsh": np.linalg.eigvalsh,
    "eigh": lambda x: np.linalg.eigh(x, "U").eigenvectors,
    "eigvals": lambda x: np.real(np.linalg.eigvals(x)),
    "eig": lambda x: np.real(np.linalg.eig(x)[1]),
    "svdvals": lambda x: np.linalg.svdvals(x[:2]),
    "svd": lambda x: np.linalg.svd(x[:2], full_matrices=False).Vh,
    "qr": lambda x: np.linalg.qr(x)[0] @ np.linalg.qr(x[:2])[1].T,
    "solve": lambda x: np.linalg.solve(x, RIGHT),
    "solve by": lambda x: np.linalg.solve(x + np.eye(3), x[0]),
    "solve of": lambda x: np.linalg.solve(XS[0], x),
    "lstsq": lambda x: np.linalg.lstsq(x[:, :2], x[:, 2])[0],
    "residuals": lambda x: np.linalg.lstsq(x[:, :2], x[:, 2])[1],
    "nuclear": lambda x: np.linalg.norm(x, "nuc"),
    "spectral": lambda x: np.linalg.matrix_norm(x, ord=2, keepdims=True),
    "vector norm": lambda x: np.linalg.vector_norm(np.stack([x, 2 * x]), axis=(0, 2)),
    "norm of all": lambda x: np.linalg.norm(np.stack([x, 2 * x]), keepdims=True),
    "cond": np.linalg.cond,
    "cond by the inverse": lambda x: np.linalg.cond(x, 1),
    "power": lambda x: np.linalg.matrix_power(x, -2),
    "tensorsolve": lambda x: np.linalg.tensorsolve(x, x[0]),
    "tensorinv": lambda x: np.linalg.tensorinv(x, 1),
    "multi_dot": lambda x: np.linalg.multi_dot([x, x, RIGHT]),
}
every_function = pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)


def loop(f, xs):
    return np.stack([np.asarray(f(x)) for x in xs])


@every_function
def test_values_and_derivatives_are_those_of_a_loop(f):
    np.testing.assert_allclose(vmap(f)(XS), loop(f, XS), rtol=1e-10, atol=1e-12)
    total = lambda x: np.sum(f(x) ** 2)
    want = loop(grad(total), XS)
    np.testing.assert_allclose(vmap(grad(total))(XS), want, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(grad(lambda xs: np.sum(vmap(total)(xs)))(XS), want, rtol=1e-9, atol=1e-11)
    ts = RNG.normal(size=XS.shape)
    want = np.sum(want * ts, axis=(1, 2))
    np.testing.assert_allclose(vmap(lambda x, t: jvp(total, (x,), (t,))[1])(XS, ts), want, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(jvp(vmap(total), (XS,), (ts,))[1], want, rtol=1e-9, atol=1e-11)


def test_second_derivatives_for_each_example():
    f = lambda x: np.linalg.slogdet(x)[1] + np.linalg.eigvalsh(x)[0] * np.linalg.norm(x, 2) + np.linalg.det(x)
    t = RNG.normal(size=(3, 3))
    hvp = lambda x: jvp(grad(f), (x,), (t,))[1]
    np.testing.assert_allclose(vmap(hvp)(XS), loop(hvp, XS), rtol=1e-9, atol=1e-11)


def test_many_right_sides_share_a_matrix():
    a, bs = XS[0], RNG.normal(size=(5, 3))
    np.testing.assert_allclose(vmap(np.linalg.solve, in_axes=(None, 0))(a, bs), np.linalg.solve(a, bs.T).T, rtol=1e-12)
    f = lambda a, b: np.sum(np.linalg.solve(a, b) ** 2)
    ga, gb = vmap(grad(f, (0, 1)), in_axes=(None, 0))(a, bs)
    np.testing.assert_allclose(ga, np.stack([grad(f)(a, b) for b in bs]), rtol=1e-11)
    np.testing.assert_allclose(gb, np.stack([grad(f, 1)(a, b) for b in bs]), rtol=1e-11)


def test_rank_of_each_example():
    xs = np.stack([np.eye(3), np.ones((3, 3)), np.zeros((3, 3))])
    np.testing.assert_array_equal(vmap(np.linalg.matrix_rank)(xs), [3, 1, 0])
    np.testing.assert_array_equal(vmap(lambda x: np.linalg.lstsq(x, np.ones(3))[2])(xs), [3, 1, 0])
    np.testing.assert_array_equal(vmap(np.linalg.matrix_rank)(xs[1:, 0]), [1, 0])


def test_one_singular_example_spoils_no_other():
    xs = np.stack([np.diag([2.0, 3.0]), np.zeros((2, 2))])
    np.testing.assert_array_equal(vmap(grad(np.linalg.det))(xs), [[[3, 0], [0, 2]], [[0, 0], [0, 0]]])
    ws = vmap(grad(lambda x: np.linalg.eigh(x)[1][0, 0]))(xs)
    assert np.isfinite(ws[0]).all()
    assert np.isnan(ws[1]).any()
