"""What the tests of `vmap` share: examples, a function of one of them, and a loop to compare with."""

import numpy as np

X = np.arange(12.0).reshape(3, 4) / 7
W = np.linspace(-1.0, 1.0, 8).reshape(4, 2)


def loop(f, *xs):
    return np.stack([f(*[x[i] for x in xs]) for i in range(len(xs[0]))])


def close(got, want, rtol=1e-12):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


def f(x):
    return np.sum(np.sin(x) * x[::-1]) * x[1] + np.max(x)
