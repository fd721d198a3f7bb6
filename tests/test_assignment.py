"""Assignment into traced arrays: NumPy's meaning, derivatives, kinds of index, dtypes, nesting, errors."""

import copy
import weakref

import numpy as np
import pytest

import autodiff.numpy as anp
from autodiff import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    eval_shape,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    trace,
    vjp,
    vmap,
)
from autodiff.core import Spec
from autodiff.core.errors import AssignmentError, ConversionError, LeakedTracerError

V = np.array([0.5, 1.5, -2.0])


M = np.arange(1.0, 7.0).reshape(2, 3)


def recurrence(x):
    y = np.zeros_like(x)
    y[0] = 2 * x[0]
    for i in range(1, len(x)):
        y[i] = y[i - 1] * x[i]
    return y


def test_a_recurrence_in_both_modes_and_second_order():
    want = np.array([[2.0, 0, 0], [2 * 1.5, 2 * 0.5, 0], [2 * 1.5 * -2, 2 * 0.5 * -2, 2 * 0.5 * 1.5]])
    np.testing.assert_allclose(jacfwd(recurrence)(V), want)
    np.testing.assert_allclose(jacrev(recurrence)(V), want)
    np.testing.assert_allclose(
        hessian(lambda x: recurrence(x)[-1])(V), 2 * np.array([[0, -2, 1.5], [-2, 0, 0.5], [1.5, 0.5, 0]])
    )


def test_every_maker_gives_an_array_to_assign_to():
    makers = [
        np.zeros_like, np.ones_like, np.empty_like, np.copy, copy.copy, copy.deepcopy,
        lambda x: np.full_like(x, 3.0), lambda x: np.full_like(x, x[0]), lambda x: x.copy(), lambda x: x.flatten(),
        anp.array, anp.ascontiguousarray, lambda x: x.astype(float), lambda x: x * 1,
        lambda x: np.zeros_like(x) + 1, lambda x: np.zeros_like(x, shape=(5,)), lambda x: np.zeros_like(x)[[0, 1, 2]],
    ]  # fmt: skip

    for make in makers:

        def f(x, make=make):
            y = make(x)
            y[:3] = x**2
            return np.sum(y[:3]) + 0 * np.sum(x)

        np.testing.assert_allclose(grad(f)(V), 2 * V)
        np.testing.assert_allclose(jvp(f, (V,), (V,))[1], 2 * V @ V)


def test_copies_change_by_themselves():
    def f(x):
        y, z = x.copy(), np.copy(x)
        y[0] = 0.0
        z += 1.0
        return np.sum(x * x) + y[0] + z[0]

    assert grad(f)(V).tolist() == [2.0, 3.0, -4.0]


def test_the_callers_array_is_untouched():
    x = V.copy()

    def f(a):
        a[0] = 7.0
        a *= 2.0
        a.sort()
        return np.sum(a * a)

    for run in (lambda: grad(f)(x), lambda: jvp(f, (x,), (x,)), lambda: vjp(f, x), lambda: vmap(f)(np.stack([x, x]))):
        run()
        assert np.array_equal(x, V)
    outer = grad(lambda a: np.sum(grad(f)(a) * a) + np.sum(a))  # nor is the outer transform's
    np.testing.assert_allclose(outer(x), [1.0, 16 * 1.5 + 1, 16 * -2.0 + 1])


# -- kinds of index ------------------------------------------------------------------------------------------


def test_repeated_positions():
    def last_wins(x):
        y = np.zeros_like(x)
        y[[0, 2, 0]] = x
        return y

    def buffered(x):
        y = x.copy()
        y[np.array([1, 1])] += x[:2]
        return y

    def counted(x):
        y = x.copy()
        np.add.at(y, [1, 1], x[:2])
        np.multiply.at(y, [0, 0], x[0])
        np.subtract.at(y, np.array([2]), 1.0)
        np.negative.at(y, [2])
        return y

    for f in (last_wins, buffered, counted):
        np.testing.assert_allclose(jvp(f, (V,), (V,))[0], f(V.copy()))
        slope = np.imag(f(V + 1e-30j)) / 1e-30
        np.testing.assert_allclose(jacfwd(f)(V) @ np.ones(3), slope)
        np.testing.assert_allclose(jacrev(f)(V) @ np.ones(3), slope)


def test_ufunc_at_takes_a_tuple_of_positions_along_each_axis():
    places = [((0, 1), 2.0), ((np.array([0, 0, 1]), np.array([1, 1, 2])), 5.0), ((..., np.array([0, 0])), 3.0)]

    def f(x):
        y = x.copy()
        for index, factor in places:
            np.add.at(y, index, factor * x[0, 0])
        return y

    y, t = jvp(f, (M,), (M * 0 + 1,))
    np.testing.assert_allclose(y, f(M.copy()))
    np.testing.assert_allclose(t, np.imag(f(M + 1e-30j)) / 1e-30)


def test_functions_that_fill():
    def f(x):
        y = np.zeros_like(x, shape=(3, 3))
        np.fill_diagonal(y, x)
        np.put(y, [1, 2], x[:2] ** 2)
        np.putmask(y, np.eye(3)[::-1] > 0, x)
        np.place(y, y == 0, x[:2])
        np.put_along_axis(y, np.array([[0], [1], [2]]), x[:, None] ** 3, axis=1)
        np.copyto(y[0], x, where=np.array([False, True, True]))
        z = x.copy()
        z.sort()
        z.put([0], x[2] ** 2)
        np.cumsum(z, out=z)
        np.multiply(z, x, out=z, where=np.array([True, False, True]))
        w = np.empty_like(x)
        w.fill(x[1])
        w.flat = [1.0, x[0]] if isinstance(x, np.ndarray) else anp.array([1.0, x[0]])
        return np.concatenate([y.ravel(), z, w])

    np.testing.assert_allclose(jvp(f, (V,), (V,))[0], f(V.copy()))
    slope = (f(V + 1e-6) - f(V - 1e-6)) / 2e-6
    np.testing.assert_allclose(jacfwd(f)(V) @ np.ones(3), slope, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(jacrev(f)(V), jacfwd(f)(V), rtol=1e-12)


def test_traced_positions_and_masks():
    def f(x, i):
        y = np.zeros_like(x)
        y[i] = x[i] ** 2
        y[x > 1.0] = -1.0
        return y

    at = np.array([0, 2])
    np.testing.assert_allclose(trace(f)(V, at).eval(2 * V, np.array([1, 2])), f(2 * V, np.array([1, 2])))
    both = np.array([[0, 2], [1, 1]])
    np.testing.assert_allclose(vmap(f)(np.stack([V, 2 * V]), both)[1], f(2 * V, both[1]))
    assert eval_shape(f, Spec((3,)), Spec((2,), int)) == Spec((3,))


# -- zeros and NaN -------------------------------------------------------------------------------------------


def test_overwritten_entries_contribute_exactly_nothing():
    x = np.array([0.0, 4.0])

    def forget_after(x):
        y = np.sqrt(x)
        y[0] = 0.0
        return np.sum(y)

    def forget_before(x):
        y = x.copy()
        y[0] = 0.0
        return np.sum(np.sqrt(y))

    def never_read(x):
        y = np.zeros_like(x)
        y[0] = np.sqrt(x[0])
        y[1] = x[1]
        return y[1] / 4

    for f, curvature in ((forget_after, -1 / 32), (forget_before, -1 / 32), (never_read, 0.0)):
        assert grad(f)(x).tolist() == [0.0, 0.25]
        assert jvp(f, (x,), (np.ones(2),))[1] == 0.25
        assert hessian(f)(x).tolist() == [[0.0, 0.0], [0.0, curvature]]


# -- dtypes --------------------------------------------------------------------------------------------------


def test_dtypes_are_those_of_the_array():
    x = np.array([1.5, 2.5], np.float32)

    def f(x):
        y = np.zeros_like(x)
        y[0] = x[0].astype(np.float64) * 2
        y += np.ones(2)
        y[1] *= 3
        assert y.dtype == np.float32
        return np.sum(y)

    g = grad(f)(x)
    assert g.dtype == np.float32
    assert g.tolist() == [2.0, 0.0]

    def whole_numbers(x):
        n = np.zeros_like(x, dtype=int)
        n[:] = [1, 2, 3]
        return np.sum(x[n % 3])

    assert grad(whole_numbers)(V).tolist() == [1.0, 1.0, 1.0]


def test_complex_into_real():
    def f(x):
        y = np.zeros_like(x)
        y[0] = x[0] * (1 + 2j)
        return np.sum(y)

    with pytest.warns(np.exceptions.ComplexWarning, match="discards the imaginary part"):
        assert grad(f)(V).tolist() == [1.0, 0.0, 0.0]

    def augmented(x):
        y = x.copy()
        y += 1j * x
        return np.sum(y)

    with pytest.raises(TypeError, match="cannot cast the result from complex128 to float64"):
        grad(augmented)(V)
    with pytest.raises(TypeError, match="complex"):
        grad(lambda x: x.__setitem__(0, 1j))(V)


# -- nesting, and the other transforms -----------------------------------------------------------------------


def test_inner_transforms_and_outer_arrays():
    def f(x):
        y = np.zeros_like(x)
        for i in range(3):
            y[i] = grad(lambda t: np.sin(t) * x[0])(x[i])
        inner = jvp(lambda t: assign_into(x * 1.0, t), (x[0],), (1.0,))[1]
        return np.sum(y * x) + np.sum(inner * x)

    def assign_into(y, t):
        y[1] = t**2
        return y

    def plain(x):
        return np.sum(np.cos(x) * x[0] * x) + 2 * x[0] * x[1]

    np.testing.assert_allclose(grad(f)(V), grad(plain)(V))
    np.testing.assert_allclose(jacfwd(grad(f))(V), jacrev(grad(plain))(V))
    squares = [grad(lambda x, g=g: np.sum(g(x) ** 2)) for g in (jacfwd(f), grad(plain))]
    np.testing.assert_allclose(squares[0](V), squares[1](V))


def test_values_that_rules_keep_do_not_change():
    def f(x):
        y = x * 1.0

        def inner(t):
            s = np.sum(t * y)  # the rule of this product keeps y as it is now
            y[0] = 100.0
            return s

        return np.sum(grad(inner)(x) ** 2)

    np.testing.assert_allclose(grad(f)(V), 2 * V)

    def residual(x):
        y = x * 1.0
        z = np.exp(y) * y
        y[:] = 0.0
        return np.sum(z)

    np.testing.assert_allclose(grad(residual)(V), np.exp(V) * (1 + V))


def test_an_outer_array_that_holds_inner_values():
    def f(x):
        y = x * 1.0
        grad(lambda t: y.__setitem__(0, t * 2) or t)(x[1])
        return np.sum(y)

    with pytest.raises(LeakedTracerError, match="grad"):
        grad(f)(V)


def test_checkpoint():
    def f(x):
        x[0] = x[1] * x[2]
        y = np.zeros_like(x)
        y[1:] = np.sin(x[:-1])
        x *= 2.0
        return np.sum(y * x)

    want = grad(f)(V)
    np.testing.assert_allclose(grad(lambda x: checkpoint(f)(x * 1.0))(V), want)
    np.testing.assert_allclose(hessian(checkpoint(f))(V), hessian(f)(V))


def test_custom_rules():
    @custom_jvp
    def square(x):
        x[0] = x[0] * 1.0
        return x**2

    @square.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        dy = np.zeros_like(t)
        dy[:] = 2 * x * t
        return x**2, dy

    @custom_vjp
    def cube(x):
        return x**3

    def backward(x, ct):
        ct = ct * 1.0
        ct[:] = ct * 3
        return (ct * x**2,)

    cube.defvjp(lambda x: (x**3, x), backward)
    for f, slope in ((square, 2 * V), (cube, 3 * V**2)):
        np.testing.assert_allclose(grad(lambda x, f=f: np.sum(f(x)))(V), slope)
        np.testing.assert_allclose(jvp(f, (V,), (np.ones(3),))[1], slope)


def test_a_long_loop_copies_nothing():
    """Each assignment reuses the array: values, tangents and adjoints."""
    n = 2000
    arrays = []  # weak: a reference held here would be a reason to copy, and the id of a freed array comes again

    def look(array):
        if not arrays or arrays[-1]() is not array:
            arrays.append(weakref.ref(array))

    def f(x):
        y = np.zeros_like(x)
        for i in range(1, n):
            y[i] = 0.5 * y[i - 1] + x[i]
            look(getattr(y.primal, "primal", y.primal))
        return y[n - 1]

    x = np.ones(n)
    np.testing.assert_allclose(grad(f)(x)[-4:], [0.125, 0.25, 0.5, 1.0])
    assert len(arrays) <= 3
    np.testing.assert_allclose(jvp(f, (x,), (x,))[1], 2.0)


# -- errors --------------------------------------------------------------------------------------------------


def test_traced_values_do_not_go_into_plain_arrays():
    a = np.zeros(3)
    programs = [
        lambda x: np.add(x, 1.0, out=a),
        lambda x: np.sum(x, axis=0, out=np.zeros(())),
        lambda x: np.copyto(a, x),
        lambda x: np.add.at(a, [0], x[0]),
        a.__iadd__,
        lambda x: np.put_along_axis(a, np.array([0]), x[:1], 0),
    ]
    for program in programs:
        with pytest.raises(AssignmentError, match=r"plain array.*test_assignment.*np\.zeros_like\(x\)"):
            grad(program)(V)
    for write in (lambda x: a.__setitem__(0, x[0]), lambda x: a.__setitem__(slice(None), x)):
        with pytest.raises(ConversionError, match=r"np\.zeros_like\(x\)"):
            grad(write)(V)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"could not broadcast input array from shape \(2,\) into shape \(3,\)"):
        grad(lambda x: x.__setitem__(..., x[:2]))(V)
    with pytest.raises(ValueError, match=r"the result has the shape \(2, 3\).*y = y \+ x"):
        grad(lambda x: x.__iadd__(np.ones((2, 3)) * x))(V)
    with pytest.raises(IndexError, match="out of bounds"):
        grad(lambda x: x.__setitem__(5, 1.0))(V)
    with pytest.raises(IndexError, match=r"np\.put: an index is out of bounds"):
        grad(lambda x: np.put(x, [7], 1.0))(V)


def test_constants_are_plain_until_a_traced_value_comes():
    def f(x):
        y = np.zeros_like(x)
        y[1] = 2.0
        assert float(y[1]) == 2.0
        assert y.sum() == 2.0
        assert np.array(y).tolist() == y.tolist() == [0.0, 2.0, 0.0]
        plain = np.asarray(y)
        with pytest.raises(AssignmentError, match=r"np\.asarray"):
            y[0] = x[0]
        del plain
        y[0] = x[0]
        return np.sum(y)

    assert grad(f)(V).tolist() == [1.0, 0.0, 0.0]


def test_what_outlived_its_transform():
    kept = []
    grad(lambda x: kept.append(x * 1.0) or np.sum(x))(V)
    with pytest.raises(LeakedTracerError, match=r"assignment: a traced value was used after the grad"):
        kept[0][0] = 1.0
    with pytest.raises(LeakedTracerError, match=r"after the grad"):
        grad(lambda x: x.__setitem__(0, kept[0][1]) or np.sum(x))(V)
