"""`check_grads`: what it accepts, what it finds, what it says."""

import dataclasses
import re

import numpy as np
import pytest

from autodiff import check_grads, custom_jvp, custom_vjp, stop_gradient, tree

A = np.linspace(0.5, 1.5, 6).reshape(2, 3)


def wrong_at(order, mode):
    """sin, with a factor in its derivative of the given order and mode only."""

    def make(k):
        if k == order and mode == "rev":
            f = custom_vjp(lambda x: np.sin(x + k * np.pi / 2))
            f.defvjp(lambda x: (f(x), x), lambda x, ct: (ct * 1.01 * np.sin(x + (k + 1) * np.pi / 2),))
            return f
        f = custom_jvp(lambda x: np.sin(x + k * np.pi / 2))

        @f.defjvp
        def rule(primals, tangents):
            factor = 1.01 if k == order else 1.0
            return f(primals[0]), tangents[0] * factor * make(k + 1)(primals[0])

        return f

    return make(1)


@pytest.mark.parametrize("modes", ["fwd", "rev", ("fwd", "rev"), ["rev"]])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_accepts_right_derivatives(modes, order):
    assert check_grads(lambda a, b: np.sum(np.sin(a) * b, axis=1) / b[0], (A, A[0]), order, modes) is None


def test_trees_in_and_out():
    @tree.register_dataclass
    @dataclasses.dataclass
    class Model:
        w: object
        b: object

    def f(model, batch):
        return {"y": np.tanh(batch["x"] @ model.w + model.b), "n": batch["n"], "sum": [np.sum(model.w**2)]}

    check_grads(f, (Model(A.T, np.ones(2)), {"x": A, "n": 3}))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_every_precision_has_its_own_tolerance(dtype):
    check_grads(lambda a: np.sin(a) * np.sqrt(a), (A.astype(dtype),))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_numbers(dtype):
    z = (A + 0.5j * A[::-1]).astype(dtype)
    check_grads(np.exp, (z,), order=3)
    check_grads(lambda z: np.abs(z) * np.conj(z), (z,))
    check_grads(lambda a: np.exp(1j * a), (A.astype(z.real.dtype),))
    check_grads(lambda z: np.real(z) ** 2 + np.imag(z), (z,))


def test_numbers_of_python():
    check_grads(lambda x, n, z: x**2 * n + abs(z) ** 2, (1.5, 2, 1 + 2j))


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("mode", ["fwd", "rev"])
def test_finds_the_order_that_is_wrong(order, mode):
    f = wrong_at(order, mode)
    if order > 1:
        check_grads(f, (A,), order - 1)
    with pytest.raises(AssertionError, match=rf"check_grads: order {order}, .*args\[0\] is wrong"):
        check_grads(f, (A,), order)


def test_names_the_leaf_and_shows_both_numbers():
    def f(params, x):
        return np.sum(params["w"] * x) + stop_gradient(params["b"])[0] ** 2

    args = ({"w": A, "b": np.array([1.0, 2.0])}, A)
    for mode in ("fwd", "rev"):
        with pytest.raises(AssertionError) as caught:
            check_grads(f, args, 1, mode)
        text = str(caught.value)
        assert f"order 1, {mode}: the derivative of result with respect to args[0]['b'] is wrong" in text
        assert "got      0.0" in text
        assert "expected" in text
        assert "eps=0.0005" in text


def test_names_the_mixture_and_the_entry():
    f = custom_jvp(lambda x: x**3)

    @f.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), t * 3 * x * stop_gradient(x)

    x = np.array([1.0, 0.0, 2.0])
    with pytest.raises(AssertionError, match=r"order 2, fwd over fwd: .*args\[0\] is wrong.\n  got      .* at \[\d\]"):
        check_grads(f, (x,))
    with pytest.raises(AssertionError, match="order 2, rev over rev"):
        check_grads(f, (x,), modes="rev")


def two_outputs(a, b):
    """The derivative of the second output by `b` is wrong in one element."""
    mask = np.arange(6).reshape(2, 3) == 4
    return {"sum": a + b, "product": a * np.where(mask, stop_gradient(b), b), "n": 3}


def rows_of(text):
    """The table of a report as a dict from (argument, output) to the other cells."""
    lines = text.split("\n\n")[1].split("\n")
    assert lines[0].split() == ["argument", "output", "wrong", "worst", "got", "expected", "off", "by"]
    cells = [re.split(r"  +", line.strip()) for line in lines[1:]]
    return {(c[0], c[1]): c[2:] for c in cells}


@pytest.mark.parametrize("mode", ["fwd", "rev"])
def test_report_has_a_line_for_each_argument_and_output(mode):
    with pytest.raises(AssertionError) as caught:
        check_grads(two_outputs, (A, A[::-1] + 1), 1, mode)
    text = str(caught.value)
    assert f"order 1, {mode}: the derivative of result['product'] with respect to args[1] is wrong" in text
    rows = rows_of(text)
    assert set(rows) == {(a, f"result[{o!r}]") for a in ("args[0]", "args[1]") for o in ("sum", "product")}
    assert rows["args[1]", "result['product']"][:2] == ["1 of 6", "[1, 1]"]
    assert float(rows["args[1]", "result['product']"][2]) == 0.0
    off = float(rows["args[1]", "result['product']"][4])
    np.testing.assert_allclose(off, abs(float(rows["args[1]", "result['product']"][3])), rtol=0.01)
    for key in set(rows) - {("args[1]", "result['product']")}:
        assert rows[key][0] == "0 of 6"


def test_report_of_second_order_names_the_derivative():
    f = wrong_at(2, "fwd")
    with pytest.raises(AssertionError, match=r"order 2, rev over rev: the derivative of d/d args\[0\] with respect to"):
        check_grads(lambda x: np.sum(f(x)), (A,), 2, "rev")


def test_report_of_complex_arguments():
    z = np.array([1 + 2j, 0.5 - 1j, 2j])
    f = custom_vjp(lambda z: z**2)
    f.defvjp(lambda z: (z**2, z), lambda z, ct: (ct * 2 * np.where(np.arange(3) == 1, np.conj(z), z),))
    with pytest.raises(AssertionError) as caught:
        check_grads(f, (z,), 1, "rev")
    (cells,) = rows_of(str(caught.value)).values()
    assert cells[:2] == ["1 of 3", "[1]"]
    ratio = complex(cells[2]) / complex(cells[3])
    np.testing.assert_allclose(ratio, np.conj(z[1]) / z[1], rtol=1e-4)


def test_report_of_large_arguments_looks_at_some_elements():
    f = custom_vjp(np.sum)
    f.defvjp(lambda x: (np.sum(x), x), lambda x, ct: (2 * ct * np.ones(x.shape),))
    with pytest.raises(AssertionError) as caught:
        check_grads(f, (np.ones((40, 50)),), 1, "rev")
    (cells,) = rows_of(str(caught.value)).values()
    assert cells[0] == "256 of 256"


def test_report_is_cut_where_it_is_long():
    def f(xs):
        return [stop_gradient(xs[0]) * x for x in xs]

    with pytest.raises(AssertionError) as caught:
        check_grads(f, ([float(k) for k in range(1, 8)],), 1, "fwd")
    lines = str(caught.value).split("\n")
    assert lines[-1] == "  ... and 29 more that are not worse"
    assert len(lines) == 4 + 1 + 20 + 1


def test_report_where_each_argument_is_right_by_itself():
    f = custom_jvp(lambda a, b: a + b)

    @f.defjvp
    def rule(primals, tangents):
        (a, b), (s, t) = primals, tangents
        return f(a, b), s + t + 0.1 * np.sqrt(np.abs(s * t))

    with pytest.raises(AssertionError, match=r"with respect to args\[0\], args\[1\] together is wrong"):
        check_grads(f, (1.0, 2.0), 1, "fwd")


def test_a_nan_is_wrong():
    with pytest.raises(AssertionError, match="got      nan"):
        check_grads(lambda x: np.sqrt(x * x), (0.0,), 1)


def test_tolerance_and_step_are_the_callers():
    f = wrong_at(1, "fwd")
    check_grads(f, (A,), 1, rtol=0.1)
    check_grads(f, (A,), 1, atol=0.1)
    near_a_kink = np.array([1e-4])
    with pytest.raises(AssertionError):
        check_grads(np.abs, (near_a_kink,))
    check_grads(np.abs, (near_a_kink,), eps=1e-5)


def test_directions_are_the_callers():
    generator = np.random.default_rng(1)
    check_grads(np.sin, (A,), rng=generator)
    assert generator.uniform() != np.random.default_rng(1).uniform()
    check_grads(np.sin, (A,), rng=5)


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "text"),
    [
        (A, {}, TypeError, "args must be a tuple"),
        ((A,), {"order": 0}, ValueError, "order must be a positive integer"),
        ((A,), {"order": True}, ValueError, "order must be a positive integer"),
        ((A,), {"modes": ("forward",)}, ValueError, "modes must be some of"),
        ((A,), {"modes": ()}, ValueError, "modes must be some of"),
        (([1, 2],), {}, TypeError, "the arguments hold no floating-point array"),
    ],
)
def test_refuses_what_cannot_be_checked(args, kwargs, error, text):
    with pytest.raises(error, match=text):
        check_grads(np.sum, args, **kwargs)


def test_refuses_a_value_without_derivative():
    with pytest.raises(TypeError, match="nothing to check"):
        check_grads(np.argmax, (A,))
    with pytest.raises(TypeError, match="must be a function"):
        check_grads(3, (A,))
