"""Where ``out=`` can be given: methods, functions, ufuncs and their methods, all with NumPy's meaning."""

import numpy as np
import pytest

from autodiff import check_grads, eval_shape, grad, jacfwd, jacrev, jvp, stop_gradient, vmap
from autodiff.core.errors import AssignmentError, LeakedTracerError

RNG = np.random.default_rng(0)
X, U = (RNG.permutation(np.linspace(a, b, 12)).reshape(3, 4) for a, b in ((-1.3, 1.7), (0.15, 0.85)))
BITS = X > 0


def each(names, shape, call):
    """A case for each method or function, named before the colon."""
    return {f"{names.split(':')[0]}{n}": (lambda x, o, n=n: call(x, o, n), shape) for n in names.split(":")[1].split()}


#: Name: (call with the array and `out`, shape of `out`).
CASES = {
    **each("x.:sum prod mean std var max min", (4,), lambda x, o, n: getattr(x, n)(axis=0, out=o)),
    **each("x. by position:sum prod mean std var", (4,), lambda x, o, n: getattr(x, n)(0, None, o)),
    **each("x. keeps:sum prod mean std var max min", (3, 1), lambda x, o, n: getattr(x, n)(1, keepdims=True, out=o)),
    **each("x. where:sum prod", (4,), lambda x, o, n: getattr(x, n)(axis=0, out=o, where=BITS, initial=2.0)),
    **each("x. where:mean var std", (4,), lambda x, o, n: getattr(x, n)(axis=0, out=o, where=U > 0.2)),
    **each("x. where:max min", (4,), lambda x, o, n: getattr(x, n)(axis=0, out=o, where=BITS, initial=0.1)),
    **each("x.:cumsum cumprod", (3, 4), lambda x, o, n: getattr(x, n)(axis=1, out=o)),
    **each("np.:sum prod mean std var max min ptp", (4,), lambda x, o, n: getattr(np, n)(x, axis=0, out=o)),
    **each("np. by position:max min ptp", (4,), lambda x, o, n: getattr(np, n)(x, 0, o)),
    **each("np.:nansum nanprod nanmean nanstd nanvar nanmax", (4,), lambda x, o, n: getattr(np, n)(x, axis=0, out=o)),
    **each("np.:median nanmedian", (4,), lambda x, o, n: getattr(np, n)(x, axis=0, out=o)),
    **each("np.:quantile percentile nanquantile", (4,), lambda x, o, n: getattr(np, n)(x, 0.3, axis=0, out=o)),
    **each("np.:cumsum cumprod nancumsum cumulative_sum", (3, 4), lambda x, o, n: getattr(np, n)(x, axis=0, out=o)),
    **each("ufunc :sin negative", (3, 4), lambda x, o, n: getattr(np, n)(x, out=o)),
    **each("ufunc :add hypot", (3, 4), lambda x, o, n: getattr(np, n)(x, U, out=(o,))),
    **each("ufunc by position:add hypot", (3, 4), lambda x, o, n: getattr(np, n)(x, U, o)),
    **each("reduce :add multiply maximum", (4,), lambda x, o, n: getattr(np, n).reduce(x, axis=0, out=o)),
    **each("accumulate :add multiply", (3, 4), lambda x, o, n: getattr(np, n).accumulate(x, axis=0, out=o)),
    "outer of a ufunc": (lambda x, o: np.multiply.outer(x[0], U[0], out=o), (4, 4)),
    "where of a ufunc": (lambda x, o: np.log(np.abs(x), out=o, where=BITS), (3, 4)),
    "std ddof": (lambda x, o: x.std(0, None, o, 1), (4,)),
    "x.clip": (lambda x, o: x.clip(-0.5, 0.5, o), (3, 4)),
    "np.clip": (lambda x, o: np.clip(x, -0.5, 0.5, out=o), (3, 4)),
    "x.round": (lambda x, o: x.round(1, out=o) + x, (3, 4)),
    "np.around": (lambda x, o: np.around(x, 1, o) + x, (3, 4)),
    "x.dot": (lambda x, o: x.dot(U.T, out=o), (3, 3)),
    "np.dot": (lambda x, o: np.dot(x, U.T, o), (3, 3)),
    "matmul": (lambda x, o: np.matmul(x, U.T, out=o), (3, 3)),
    "vecdot": (lambda x, o: np.vecdot(x, U, out=o), (3,)),
    "x.take": (lambda x, o: x.take([0, 2], 1, o), (3, 2)),
    "np.take": (lambda x, o: np.take(x, [0, 2], axis=1, out=o), (3, 2)),
    "x.compress": (lambda x, o: x.compress([True, False, True], axis=0, out=o), (2, 4)),
    "np.compress": (lambda x, o: np.compress([True, False, True], x, axis=0, out=o), (2, 4)),
    "x.trace": (lambda x, o: x.trace(1, out=o), ()),
    "np.trace": (lambda x, o: np.trace(x, out=o), ()),
    "choose": (lambda x, o: np.choose([[0, 1, 0, 1]] * 3, [x, 2 * x], out=o), (3, 4)),
    "concatenate": (lambda x, o: np.concatenate([x, U], 1, o), (3, 8)),
    "stack": (lambda x, o: np.stack([x, x * x], out=o), (2, 3, 4)),
    "einsum": (lambda x, o: np.einsum("ij,kj->ik", x, U, out=o), (3, 3)),
    "outer": (lambda x, o: np.outer(x[0], U[0], out=o), (4, 4)),
    "multi_dot": (lambda x, o: np.linalg.multi_dot([x, U.T, U], out=o), (3, 4)),
    "divmod": (lambda x, o: np.divmod(x, 0.3, out=(None, o))[1], (3, 4)),
    "modf": (lambda x, o: np.modf(x, o, np.zeros_like(o))[0], (3, 4)),
    "into rows": (lambda x, o: (np.add(x, U, out=o[1:]), o)[1], (4, 4)),
    "into a transpose": (lambda x, o: (np.add(x, U, out=o.T), o)[1], (4, 3)),
    "into part of itself": (lambda x, o: np.add(x[:-1], x[1:], out=x[1:]), (0,)),
    "into itself": (lambda x, o: np.cumsum(x * 1.0, axis=0, out=x), (0,)),
}  # fmt: skip


def program(name):
    call, shape = CASES[name]
    return lambda x: call(x * 1.0, np.zeros_like(x, shape=shape))


@pytest.mark.parametrize("name", CASES)
def test_every_door(name):
    f = program(name)
    value = jvp(f, (X,), (X,))[0]
    assert value.dtype == f(X).dtype
    np.testing.assert_allclose(value, f(X), rtol=1e-13)
    check_grads(f, (X,), order=2, rng=1)
    np.testing.assert_allclose(jacrev(f)(X), jacfwd(f)(X), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(vmap(f)(np.stack([X, 0.9 * X]))[1], f(0.9 * X), rtol=1e-12)
    each_gradient = vmap(grad(lambda x: np.sum(f(x) ** 2)))(np.stack([X, 0.9 * X]))
    np.testing.assert_allclose(each_gradient[1], grad(lambda x: np.sum(f(x) ** 2))(0.9 * X), rtol=1e-12, atol=1e-14)
    assert eval_shape(f, X).shape == np.shape(f(X))


@pytest.mark.parametrize("name", [n for n in CASES if CASES[n][1] != (0,) and not n.startswith("into")])
def test_the_result_is_out_and_plain_arrays_are_refused(name):
    call, shape = CASES[name]
    if "round" in name:
        return  # a constant, which may be written anywhere

    def f(x):
        out = np.zeros_like(x, shape=shape)
        result = call(x, out)
        assert result is out
        return np.sum(out)

    grad(f)(X)
    with pytest.raises(AssignmentError, match=r"out=.* cannot be written into a plain array .*test_assignment_out"):
        grad(lambda x: np.sum(call(x, np.zeros(shape))))(X)


def test_nested_levels():
    """An array of the outer level takes what the inner level computes from outer values, not its own."""

    def outer(x):
        held = np.zeros_like(x, shape=(4,))

        def inner(t):
            np.sum(x * x, axis=0, out=held)
            return np.sum(t.sum(axis=0, out=np.zeros_like(t, shape=(4,))) * held)

        return np.sum(grad(inner)(x) * x)

    want = grad(lambda x: np.sum(np.sum(x * x, axis=0) * np.sum(x, axis=0)))(X)
    np.testing.assert_allclose(grad(outer)(X), want, rtol=1e-12)
    np.testing.assert_allclose(jacfwd(outer)(X), want, rtol=1e-12)

    def leaks(x):
        held = x[0] * 1.0
        grad(lambda t: np.sum(np.sum(t, axis=0, out=held)))(x)
        return np.sum(held)

    with pytest.raises(LeakedTracerError, match="grad"):
        grad(leaks)(X)


def test_constants_into_traced_arrays():
    def f(x):
        y = x * 1.0
        np.sum(U, axis=0, out=y[0])
        np.max(U, axis=0, out=y[1])
        np.add(U[2], 1.0, out=y[2], where=BITS[2])
        return y

    np.testing.assert_array_equal(jvp(f, (X,), (X,))[0], f(X))
    want = np.where(np.arange(3)[:, None] == 2, ~BITS[2], False) * 1.0
    np.testing.assert_array_equal(grad(lambda x: np.sum(f(x)))(X), want)


def test_constants_into_plain_arrays():
    """Comparisons, roundings and positions carry no derivative; under vmap they differ between the examples."""
    at, bits, whole = np.zeros(4, np.intp), np.zeros((3, 4), bool), np.zeros((3, 4))

    def f(x):
        np.argmax(x, axis=0, out=at)
        x.argmin(axis=0, out=at)
        (x > 0).all(0, out=bits[0])
        (x > 0).any(0, out=bits[0])
        np.greater(x, 0, out=bits)
        np.less(x, 0, out=bits, where=U > 0.4)
        np.round(x, 1, out=whole)
        return np.sum(x * bits)

    want = np.where(U > 0.4, X < 0, X > 0)
    assert grad(f)(X).tolist() == want.tolist()
    assert bits.tolist() == want.tolist()
    assert at.tolist() == np.argmin(X, axis=0).tolist()
    assert whole.tolist() == np.round(X, 1).tolist()
    with pytest.raises(AssignmentError, match=r"np.greater with out="):
        vmap(lambda x: np.greater(x, 0, out=bits))(np.stack([X, X]))


def test_dtypes_and_shapes_of_out():
    single = lambda x: x.sum(axis=0, out=np.zeros_like(x, shape=(4,), dtype=np.float32))
    assert jvp(single, (X,), (X,))[1].dtype == np.float32
    assert grad(lambda x: np.sum(single(x)))(X).dtype == np.float64
    for call in (
        lambda x: x.sum(axis=0, out=np.zeros_like(x, shape=(3,))),
        lambda x: np.add(x, x, out=np.zeros_like(x, shape=(4,))),
    ):
        with pytest.raises(ValueError, match=r"out="):
            grad(call)(X)
    with pytest.raises(TypeError, match=r"complex"):
        grad(lambda x: np.sum(np.multiply(x, 1j, out=np.zeros_like(x))))(X)
    assert not grad(lambda x: np.sum(stop_gradient(x).sum(axis=0, out=np.zeros_like(x, shape=(4,)))))(X).any()
