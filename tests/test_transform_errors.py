"""Errors of the transforms: arguments, values, tangents, linearity, and traced values used after the end."""

# ruff: noqa: PLW0108 - lambdas show whole programs
from __future__ import annotations

import re

import numpy as np
import pytest

import autodiff
from autodiff import grad, hessian, hvp, jacfwd, jacrev, jvp, linear_transpose, linearize, value_and_grad, vjp
from autodiff.core.errors import DifferentiationError, LeakedTracerError, NonlinearError, ShapeOnlyError
from tests.error_checks import assert_says

V = np.array([1.0, 2.0, 3.0])

# -- grad and its kin ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [grad, value_and_grad])
@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: x * V, r"must return a scalar, but its value is float64\[3\]; .*np\.sum.*jacrev"),
        (lambda x: np.reshape(x, (1, 1)), r"must return a scalar, but its value is float64\[1, 1\]"),
        (lambda x: 3, r"floating-point scalar, but its value is int64, which has no derivative; .*casts"),
        (lambda x: x > 0, r"floating-point scalar, but its value is bool"),
        (lambda x: x * 1j, r"real-valued, but its value is complex128; differentiate np\.real\(f\(x\)\)"),
        (lambda x: None, r"one real scalar, not the tree None \(is a return missing\?\)"),
        (lambda x: (x, x), r"one real scalar, not the tree \(\*, \*\); use has_aux=True"),
        (lambda x: {"loss": x}, r"one real scalar, not the tree \{'loss': \*\}"),
        (lambda x: "text", r"the function's value is not a tree of arrays: .*builtins\.str"),
        (lambda x: object(), r"the function's value is not a tree of arrays: .*builtins\.object"),
        (lambda x: np.array([None]), r"must return a scalar, but its value is object\[1\]"),
    ],
)
def test_a_value_that_is_no_real_scalar(transform, f, message):
    with pytest.raises(TypeError, match=message) as caught:
        transform(f)(2.0)
    assert str(caught.value).startswith(transform.__name__ + ": ")


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacfwd, jacrev, hessian])
@pytest.mark.parametrize(
    ("argnums", "error", "message"),
    [
        (2, ValueError, r"argnums=2, but the function was called with 2 positional argument\(s\)"),
        (-3, ValueError, r"argnums=-3, but"),
        ((0, 2), ValueError, r"argnums=\(0, 2\), but .*passed by position"),
        ((0, 0), ValueError, r"argnums=\(0, 0\) names an argument twice"),
        ((1, -1), ValueError, r"names an argument twice"),
        (True, TypeError, r"argnums must be an int or a sequence of ints, not True"),
        (1.0, TypeError, r"argnums must be .* not 1\.0"),
        ("x", TypeError, r"argnums must be .* not 'x'"),
        (None, TypeError, r"argnums must be .* not None"),
    ],
)
def test_wrong_argnums(transform, argnums, error, message):
    with pytest.raises(error, match=message):
        transform(lambda x, y: x * y, argnums)(1.0, 2.0)


def test_an_argument_by_keyword_is_not_differentiated():
    with pytest.raises(ValueError, match=r"argnums=0, but the function was called with 0 positional .* by position"):
        grad(lambda x: x)(x=1.0)


@pytest.mark.parametrize(
    "value", [True, np.array([True]), np.array([1, None]), np.array(["a"]), np.array("2020", "M8[Y]")]
)
def test_an_argument_without_derivative(value):
    dtype = re.escape(str(np.asarray(value).dtype))
    with pytest.raises(DifferentiationError, match=rf"grad: argument 1 has dtype {dtype}, .*argnums"):
        grad(lambda x, y: x, 1)(1.0, value)
    with pytest.raises(DifferentiationError, match=rf"jvp: primals\[0\] has dtype {dtype}"):
        jvp(lambda x: 1.0, (value,), (value,))


@pytest.mark.parametrize("value", ["text", {1.0}, object()])
def test_an_argument_that_is_no_tree(value):
    name = type(value).__name__
    with pytest.raises(DifferentiationError, match=rf"grad: argument 0 is not a tree of arrays: .*{name}"):
        grad(lambda x: x)(value)
    with pytest.raises(DifferentiationError, match=rf"vjp: argument 0 is not .*tree\['w'\]\[1\] is a builtins\.{name}"):
        vjp(lambda x: x, {"w": [1.0, value]})


@pytest.mark.parametrize(
    "call",
    [
        lambda: grad(3),
        lambda: value_and_grad(3),
        lambda: jacfwd(3),
        lambda: jacrev(3),
        lambda: vjp(3, 1.0),
        lambda: jvp(3, (1.0,), (1.0,)),
        lambda: hvp(3, (1.0,), (1.0,)),
        lambda: linearize(3, 1.0),
        lambda: linear_transpose(3, 1.0),
        lambda: autodiff.checkpoint(3),
        lambda: autodiff.custom_jvp(3),
        lambda: autodiff.custom_vjp(3),
    ],
)
def test_what_is_not_a_function(call):
    with pytest.raises(TypeError, match="the first argument must be a function, not int"):
        call()


@pytest.mark.parametrize("out", [1.0, (1.0,), (1.0, 2.0, 3.0)])
def test_has_aux_needs_a_pair(out):
    for call in (
        lambda f: grad(f, has_aux=True)(1.0),
        lambda f: vjp(f, 1.0, has_aux=True),
        lambda f: jvp(f, (1.0,), (1.0,), has_aux=True),
        lambda f: jacrev(f, has_aux=True)(1.0),
    ):
        with pytest.raises(TypeError, match=r"with has_aux=True the function must return \(value, aux\), not"):
            call(lambda x: out)


# -- tangents and cotangents ---------------------------------------------------------------------------------

TREE = {"w": (V, V), "b": 1.0}


@pytest.mark.parametrize(
    ("tangent", "error", "message"),
    [
        (
            {"w": (V, V[:2]), "b": 1.0},
            ValueError,
            r"X\['w'\]\[1\] is float64\[2\], but Y\['w'\]\[1\] is float64\[3\]; .*equal",
        ),
        ({"w": (V, V), "b": V}, ValueError, r"X\['b'\] is float64\[3\], but Y\['b'\] is float64\[\]"),
        ({"w": (V.astype("f4"), V), "b": 1.0}, TypeError, r"X\['w'\]\[0\] is float32\[3\], .*\.astype\('float64'\)"),
        ({"w": (V + 0j, V), "b": 1.0}, TypeError, r"X\['w'\]\[0\] is complex128\[3\], but Y"),
        ({"w": (V.astype(int), V), "b": 1.0}, TypeError, r"X\['w'\]\[0\] is int64\[3\], but Y"),
        ({"w": (V, V), "b": 1j}, TypeError, r"X\['b'\] is complex, but Y\['b'\] is float64\[\]"),
        ({"w": [V, V], "b": 1.0}, TypeError, r"tree of X is \{'w': \[\*, \*\], 'b': \*\}, but that of Y is"),
        ({"w": (V, V)}, TypeError, r"tree of X is .*, but that of Y is"),
        ({"w": (V, V), "b": None}, TypeError, r"tree of X is .*'b': None"),
        (None, TypeError, r"tree of X is None"),
        ("t", TypeError, r"tree of X is no tree but a str"),
        (V, TypeError, r"tree of X is \*, but that of Y is"),
    ],
)
def test_tangents_and_cotangents_must_match(tangent, error, message):
    def check(call, x, y):
        with pytest.raises(error, match=message.replace("X", re.escape(x)).replace("Y", re.escape(y))):
            call()

    identity = lambda p: dict(p.items())
    check(lambda: jvp(identity, (TREE,), (tangent,)), "tangents[0]", "primals[0]")
    check(lambda: jvp(lambda _, p: p, (1.0, TREE), (1.0, tangent)), "tangents[1]", "primals[1]")
    check(lambda: linearize(identity, TREE)[1](tangent), "tangents[0]", "primals[0]")
    check(lambda: vjp(identity, TREE)[1](tangent), "cotangent", "value")
    check(lambda: linear_transpose(identity, TREE)(tangent), "cotangent", "value")


def test_the_number_of_tangents():
    with pytest.raises(TypeError, match=r"jvp: 2 tangent\(s\) given for 1 primal\(s\)"):
        jvp(lambda x: x, (V,), (V, V))
    with pytest.raises(
        TypeError, match=r"jvp: primals and tangents must be tuples .* not ndarray and tuple; write jvp"
    ):
        jvp(lambda x: x, V, (V,))
    with pytest.raises(
        TypeError, match=r"hvp: primals and tangents must be tuples, not ndarray and ndarray; write hvp"
    ):
        hvp(np.sum, V, V)
    with pytest.raises(TypeError, match=r"linearize: 0 tangent\(s\) given for 1 primal\(s\)"):
        linearize(lambda x: x, V)[1]()


def test_jacobians_of_complex_arguments_and_integer_values():
    for transform in (jacfwd, jacrev):
        name = transform.__name__
        with pytest.raises(
            DifferentiationError, match=rf"{name}: argument 1 is complex \(complex128\[1\]\).*holomorphic"
        ):
            transform(lambda x, z: z, 1)(1.0, np.array([1j]))
        with pytest.raises(DifferentiationError, match=rf"{name}: .* its value is bool\[3\]"):
            transform(lambda x: x > 1)(V)


def test_linear_transpose_checks_linearity():
    def refused(f, message, like=V):
        with pytest.raises(NonlinearError, match=message):
            linear_transpose(f, like)

    refused(lambda x: x * x, r"multiply\(float64\[3\], float64\[3\]\): not linear .*test_transform_errors\.py")
    refused(np.sin, r"sin\(float64\[3\]\): not linear")
    refused(lambda x: 2.0 * x + 1.0, r"add\(float64\[3\], float\): a constant is added")
    refused(lambda x: np.where(x > 0, x, 0.0), r"greater\(float64\[3\]")
    refused(lambda x: x if x > 0 else -x, r"greater", like=1.0)
    refused(lambda x: float(x), r"float\(\).*: a linear function is being transposed.*custom_jvp", like=1.0)
    refused(lambda x: np.asarray(x), r"np\.asarray\(\).*no value yet")
    refused(lambda x: autodiff.stop_gradient(x), r"stop_gradient")
    refused(lambda x: np.ones(3), r"does not depend on the arguments")
    with pytest.raises(DifferentiationError, match=r"linear_transpose: argument 0 is bool; give real or complex"):
        linear_transpose(lambda x: x, True)
    (back,) = linear_transpose(lambda x: 2.0 * x + 0.0, V)(V)
    np.testing.assert_array_equal(back, 2 * V)


def test_shapes_alone_have_no_values():
    for f, what in (
        (float, r"float\(\)"),
        (np.asarray, r"np\.asarray\(\)"),
        (lambda x: x.item(), r"\.item\(\)"),
        (bool, r"bool\(\)"),
    ):
        with pytest.raises(ShapeOnlyError, match=what + r".*eval_shape"):
            autodiff.eval_shape(f, autodiff.Spec(()))


# -- use after the end ---------------------------------------------------------------------------------------


def leaked(make=grad):
    kept = []

    def keep(x):
        kept.append(x * 1.0)
        return np.sum(x)

    if make is grad:
        grad(keep)(V)
    else:
        jvp(keep, (V,), (V,))
    return kept[0]


USES = {
    "add": lambda x: x + 1.0,
    "sin": lambda x: np.sin(x),
    "multiply": lambda x: 2.0 * x,
    "sum": lambda x: np.sum(x),
    "reshape": lambda x: x.reshape(3, 1),
    "getitem": lambda x: x[0],
    "less": lambda x: x < 2,
    "np.asarray()": lambda x: np.asarray(x),
    "stop_gradient": lambda x: autodiff.stop_gradient(x),
    "grad: argument 0": lambda x: grad(np.sum)(x),
    "grad: the function's value": lambda x: grad(lambda _: x)(1.0),
    "vjp: the function's value": lambda x: vjp(lambda y: (y, x), 1.0),
    "jvp: the function's value": lambda x: jvp(lambda y: {"y": x}, (1.0,), (1.0,)),
    "custom_jvp": lambda x: PASS_J(x),
    "custom_vjp": lambda x: PASS_V(x),
    "add ": lambda x: grad(lambda y: np.sum(x + y))(1.0),
    "bool()": bool,
    "multiply ": lambda x: autodiff.checkpoint(lambda y: y * 2)(x),
}


PASS_J = autodiff.custom_jvp(lambda x: x)


PASS_V = autodiff.custom_vjp(lambda x: x)


@pytest.mark.parametrize("make", [grad, jvp])
@pytest.mark.parametrize("use", USES)
def test_a_traced_value_used_after_its_transform(make, use):
    x = leaked(make)
    with pytest.raises(LeakedTracerError) as caught:
        USES[use](x)
    assert_says(
        caught.value, use.strip(), f"after the {make.__name__} that made it had ended", "(test_transform_errors.py:"
    )
    assert_says(caught.value, "Return it from the differentiated function", "has_aux=True")


class ForeignTensor:
    """An array of a library that has dtypes of its own, as PyTorch's tensors are."""

    shape, dtype = (3,), "library.float32"


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacrev, lambda f: lambda x: jvp(f, (x,), (V,)), hessian])
def test_arrays_of_a_library_that_knows_no_numpy(transform):
    with pytest.raises(DifferentiationError) as caught:
        transform(np.sum)(ForeignTensor())
    assert_says(caught.value, "[0]" if "jvp" in str(caught.value) else "argument 0", "ForeignTensor", "library.float32")
    assert_says(caught.value, "convert it first, with np.asarray")


def test_a_leak_through_a_pullback_that_was_kept():
    kept = []

    def outer(x):
        kept.append(vjp(lambda y: np.sin(y) * x, x)[1])
        return x

    grad(outer)(1.0)
    with pytest.raises(LeakedTracerError, match="after the grad that made it had ended"):
        kept[0](1.0)


def test_a_leak_through_a_generator():
    def numbers(x):
        yield x
        yield x * 2

    kept = numbers(None)

    def program(x):
        nonlocal kept
        kept = numbers(x)
        return next(kept)

    assert grad(program)(1.0) == 1.0
    with pytest.raises(LeakedTracerError, match="multiply"):
        next(kept)


def test_looking_at_a_leaked_value_is_allowed():
    x = leaked()
    assert "1., 2., 3." in repr(x)
    assert x.shape == (3,)
