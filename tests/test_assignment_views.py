"""Assignment through views: rows, transposes, diagonals, flat iterators, real and imaginary parts, as in NumPy."""

import numpy as np
import pytest

from autodiff import eval_shape, grad, jacfwd, jacrev, jvp, trace, vjp, vmap
from autodiff.core import Spec
from autodiff.core.errors import MissingRuleError

V = np.array([0.5, 1.5, -2.0])
M = np.arange(1.0, 7.0).reshape(2, 3)

# -- views and aliases ---------------------------------------------------------------------------------------


def first_row_changed(x):
    y = x * 1.0
    row = y[0]
    row[:] = [10.0, 20.0, 30.0]
    return y


def chained(x):
    y = x * 1.0
    y[0][1] = x[1, 2] ** 2
    return y


def base_changed_after(x):
    y = x * 1.0
    z = y.T
    w = z[1]
    y[0] = x[1] * 2
    return np.concatenate([z.ravel(), w])


def siblings(x):
    y = (x * 1.0).reshape(-1)
    a, b = y[:4], y[2:]
    del y
    a[3] = x[0, 0] ** 2
    b *= 2.0
    return np.concatenate([a, b])


def reshaped(x):
    y = x * 1.0
    flat, turned = y.reshape(-1), y.T.reshape(-1)  # a view, and a copy
    flat[1] = x[0, 0] * 3
    return np.concatenate([y.ravel(), turned])


def names(x):
    y = z = x * 1.0
    y += x**2
    y[0] -= 1.0
    return z


def diagonal(x):
    y = x[:, :2] * 1.0
    d = np.diagonal(y)
    y[0, 0] = x[1, 1] ** 2
    return d


def broadcast(x):
    y = x * 1.0
    wide = np.broadcast_to(y, (2, 2, 3))
    y[1] = x[0] ** 2
    return wide


def flipped(x):
    y = x * 1.0
    np.flip(y, 1)[0] = x[1]
    np.rot90(y)[0, 0] = 5.0
    return y


def flat(x):
    y = (x * 1.0).T
    y.flat[1] = x[0, 0] ** 2
    z = y.flat[2:4]
    z[0] = 100.0  # a copy
    y.flat[4:] = [1.0, 2.0]
    return y


def iterated(x):
    y = x * 1.0
    for row in y:
        row[0] = row[1] * row[2]
    return y


def overlapping(x):
    y = x.ravel() * 1.0
    y[1:] = y[:-1]
    y[:-1] += y[1:]
    return y


VIEWS = [
    first_row_changed, chained, base_changed_after, siblings, reshaped, names, diagonal, broadcast, flipped, flat,
    iterated, overlapping,
]  # fmt: skip


@pytest.mark.parametrize("f", VIEWS)
def test_views_and_aliases_mean_what_they_mean_in_numpy(f):
    value, tangent = jvp(f, (M,), (np.cos(M),))
    np.testing.assert_allclose(value, f(M.copy()), rtol=1e-14)
    slope = np.imag(f(M + 1e-30j * np.cos(M))) / 1e-30
    np.testing.assert_allclose(tangent, slope, rtol=1e-12)
    weights = np.sin(np.arange(value.size)).reshape(value.shape)
    g = grad(lambda x: np.sum(f(x) * weights))(M)
    np.testing.assert_allclose(np.vdot(g, np.cos(M)), np.vdot(weights, slope), rtol=1e-12)
    np.testing.assert_allclose(vmap(f)(np.stack([M, 2 * M]))[1], f(2 * M), rtol=1e-14)
    recorded = trace(f)(M)
    np.testing.assert_allclose(recorded.eval(2 * M), f(2 * M), rtol=1e-14)
    assert eval_shape(f, Spec((2, 3))) == Spec(value.shape)


def test_read_only_views():
    for make in (lambda x: np.broadcast_to(x, (2, 3)), lambda x: np.diagonal(np.outer(x, x))):
        with pytest.raises(ValueError, match="read-only"):
            grad(lambda x, make=make: make(x).__setitem__(0, 1.0))(V)


def test_scalars_do_not_change_in_place():
    def f(x):
        s = t = x[0]
        s += x[1]
        return s * t

    assert grad(f)(V).tolist() == [2 * 0.5 + 1.5, 0.5, 0.0]


def test_view_without_a_dtype():
    def f(x):
        y = x.copy()
        z = y.view()
        z[0] = y.view(y.dtype)[1] ** 2
        return y

    np.testing.assert_array_equal(jacfwd(f)(V), [[0, 2 * V[1], 0], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(jacrev(f)(V), jacfwd(f)(V))
    with pytest.raises(MissingRuleError, match=r"x.view .* as another dtype"):
        grad(lambda x: x.view(np.int64).sum())(V)


# -- real and imaginary parts --------------------------------------------------------------------------------


def test_real_and_imaginary_parts_are_views():
    def f(x):
        z = x * (1 + 1j)
        z.real[0] = x[1] ** 2
        return np.sum(np.real(z * z * (1 - 1j)))

    r, i = np.array([V[1] ** 2, *V[1:]]), V
    by_real, by_imag = 2 * r + 2 * i, 2 * r - 2 * i
    want = by_imag + np.array([0, by_real[0] * 2 * V[1] + by_real[1], by_real[2]])
    np.testing.assert_allclose(f(V), np.sum(r**2 - i**2 + 2 * r * i))
    np.testing.assert_allclose(grad(f)(V), want)
    np.testing.assert_allclose(jacfwd(f)(V), want)


def of_parts(z, v):
    y = z.copy()
    part = y[1:].imag
    y.real = v
    y.imag *= v
    part[0] += 1
    y.T.real[0] = y.imag[:, 0] ** 2
    return y, np.real(y) * np.imag(z)


def test_assignment_to_real_and_imaginary_parts():
    z, v = M + 1j * M[::-1], V
    dz, dv = np.cos(z), np.sin(v)
    value, t = jvp(of_parts, (z, v), (dz, dv))
    h = 1e-6
    for part, want, above, below in zip(
        range(2), of_parts(z, v), of_parts(z + h * dz, v + h * dv), of_parts(z - h * dz, v - h * dv), strict=True
    ):
        np.testing.assert_array_equal(value[part], want)
        np.testing.assert_allclose(t[part], (above - below) / (2 * h), rtol=1e-8, atol=1e-8)
    cts = (np.exp(1j * M), np.ones_like(M))
    gz, gv = vjp(of_parts, z, v)[1](cts)
    along = np.sum(gz * dz).real + np.sum(gv * dv)
    np.testing.assert_allclose(along, sum(np.sum(c * u).real for c, u in zip(cts, t, strict=True)))
    many = vmap(of_parts)(np.stack([z, 2 * z]), np.stack([v, v]))
    np.testing.assert_allclose(many[0][1], of_parts(2 * z, v)[0])
    with pytest.raises(TypeError, match=r"x\.imag = \.\.\.: float64\[3\] is real and has no imaginary part"):
        grad(lambda x: setattr(x.copy(), "imag", 1.0))(V)
    with pytest.raises(ValueError, match="read-only"):
        grad(lambda x: x.imag.__setitem__(0, 1.0))(V)
