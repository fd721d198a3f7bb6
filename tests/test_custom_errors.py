"""What custom_jvp and custom_vjp say of rules that are missing, not linear, return the wrong thing or see too much."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import checkpoint, custom_jvp, custom_vjp, grad, jacfwd, linearize, stop_gradient
from autodiff.core.errors import ConversionError, DifferentiationError, NonlinearError
from tests.modes import D, mixtures

V = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize("transform", [grad, D["f"]])
def test_a_missing_rule(transform):
    for kind in (custom_jvp, custom_vjp):

        @kind
        def cost(x):
            return x

        assert cost(1.0) == 1.0
        method = "defjvp" if kind is custom_jvp else "defvjp"
        with pytest.raises(DifferentiationError, match=rf"{kind.__name__}\(cost\) was differentiated .* \.{method}"):
            transform(cost)(1.0)


@pytest.mark.parametrize("transform", [grad, D["f"]])
@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda p, t: p[0], r"custom_jvp\(cost\): the rule must return \(value, tangent\), not "),
        (lambda p, t: None, r"must return \(value, tangent\), not NoneType"),
        (lambda p, t: (p[0], {"t": t[0]}), r"tangent tree \{'t': \*\} is not that of its value \*"),
        (lambda p, t: (p[0], t[0] * V), r"the rule's value is float64\[\] but its tangent is float64\[3\]"),
        (lambda p, t: (p[0], t[0] * 1j), r"the rule's value is float64\[\] but its tangent is complex128\[\]"),
    ],
)
def test_a_tangent_rule_that_returns_the_wrong_thing(transform, rule, message):
    def cost(x):
        return x

    f = custom_jvp(cost)
    f.defjvp(rule)
    with pytest.raises((TypeError, ValueError), match=message):
        transform(f)(1.0)


@pytest.mark.parametrize("transform", [grad, D["f"]])
@pytest.mark.parametrize(
    ("fwd", "bwd", "message"),
    [
        (lambda x, y: x, lambda r, ct: (ct, ct), r"custom_vjp\(cost\): fwd must return \(value, residuals\), not "),
        (lambda x, y: (x, None), lambda r, ct: ct, r"bwd must return a tuple of 2 cotangent\(s\).* not "),
        (lambda x, y: (x, None), lambda r, ct: (ct,), r"bwd must return a tuple of 2 cotangent\(s\).* not 1"),
        (
            lambda x, y: (x, None),
            lambda r, ct: ({"a": ct}, ct),
            r"bwd's cotangent 0 has the tree \{'a': \*\}, the argument \*",
        ),
        (lambda x, y: (x, None), lambda r, ct: (ct * V, ct), r"bwd's cotangent 0 is float64\[3\], the argument "),
    ],
)
def test_a_backward_function_that_returns_the_wrong_thing(transform, fwd, bwd, message):
    def cost(x, y):
        return x

    f = custom_vjp(cost)
    f.defvjp(fwd, bwd)
    with pytest.raises((TypeError, ValueError), match=message):
        transform(lambda x: f(x, 2.0))(1.0)


def custom(bwd):
    f = custom_vjp(lambda x: x * 1.0)
    f.defvjp(lambda x: (x * 1.0, x), bwd)
    return f


@pytest.mark.parametrize(
    ("bwd", "message"),
    [
        (lambda x, ct: (ct * ct,), r"multiply\(float64\[\], float64\[\]\): not linear"),
        (lambda x, ct: (np.tanh(ct),), r"tanh\(float64\[\]\): not linear"),
        (lambda x, ct: (np.where(ct > 0, ct, 0.0),), r"greater\(float64\[\], int\): not linear"),
        (lambda x, ct: (np.minimum(ct, 1.0),), r"minimum\(float64\[\], float\): not linear"),
        (lambda x, ct: (ct + 1.0,), r"add\(float64\[\], float\): a constant is added"),
        (lambda x, ct: (ct if ct > 0 else -ct,), r"greater"),
        (lambda x, ct: (float(ct) * x,), r"float\(\).*no value yet"),
        (lambda x, ct: (ct.item() * x,), r"\.item\(\).*no value yet"),
        (lambda x, ct: (np.asarray(ct) * x,), r"np\.asarray\(\).*no value yet"),
        (lambda x, ct: (x,), r"is not zero but does not depend on the rule's tangents or cotangent"),
    ],
)
def test_a_backward_function_that_is_not_linear_works_in_reverse_only(bwd, message):
    f = custom(bwd)
    assert np.isfinite(grad(f)(0.5))
    for forward in (D["f"], lambda f: lambda x: linearize(f, x)[1](1.0), jacfwd):
        with pytest.raises(NonlinearError, match=message) as caught:
            forward(f)(0.5)
        assert "custom_jvp" in str(caught.value) or "Multiply by" in str(caught.value)
        assert "custom_vjp" in str(caught.value)


def test_reading_the_cotangent_fails_at_second_order_with_the_usual_error():
    f = custom(lambda x, ct: (float(ct) * np.cos(x),))
    assert grad(f)(0.5) == np.cos(0.5)
    with pytest.raises(ConversionError, match=r"float\(\)"):
        grad(lambda x: grad(lambda y: f(y) * x)(0.5))(2.0)


@pytest.mark.parametrize(
    "rule", [lambda p, t: (p[0], 1.0), lambda p, t: (p[0], t[0] ** 2), lambda p, t: (p[0], t[0] + 1)]
)
def test_a_tangent_rule_that_is_not_linear(rule):
    f = custom_jvp(lambda x: x)
    f.defjvp(rule)
    with pytest.raises(NonlinearError, match=r"linear"):
        grad(f)(0.5)


@pytest.mark.parametrize("kind", [custom_jvp, custom_vjp])
@pytest.mark.parametrize("transform", [grad, D["f"]])
def test_closing_over_a_traced_value_of_the_same_transform(kind, transform):
    def program(w):
        def inner(x):
            return x * w

        f = kind(inner)
        if kind is custom_jvp:
            f.defjvp(lambda p, t: (inner(*p), t[0] * w))
        else:
            f.defvjp(lambda x: (inner(x), None), lambda _, ct: (ct * w,))
        return f(w)

    with pytest.raises(DifferentiationError, match=r"\(inner\): the result .*not an argument.*Make it an argument"):
        transform(program)(2.0)


@pytest.mark.parametrize("kind", [custom_jvp, custom_vjp])
@pytest.mark.parametrize("transform", [grad, D["f"], lambda f: linearize(f, 2.0)[1], lambda f: grad(checkpoint(f))])
def test_closing_over_a_traced_value_in_the_rule_alone(kind, transform):
    def program(w):
        f = kind(lambda x: 2 * x)
        if kind is custom_jvp:
            f.defjvp(lambda p, t: (2 * p[0], t[0] * w))
        else:
            f.defvjp(lambda x: (2 * x, None), lambda _, ct: (ct * w,))
        return f(3 * w)

    with pytest.raises(
        DifferentiationError, match=r"<lambda>\): (the result .*|a derivative) depends .*not an argument"
    ):
        transform(program)(2.0)


@pytest.mark.parametrize("kind", [custom_jvp, custom_vjp])
@pytest.mark.parametrize("modes", mixtures(2))
def test_closing_over_a_traced_value_of_an_outer_transform(kind, modes):
    outer, inner = (D[m] for m in modes)

    def program(w):
        f = kind(lambda x: x * x * w)
        if kind is custom_jvp:
            f.defjvp(lambda p, t: (f(*p), 2 * p[0] * t[0] * w))
        else:
            f.defvjp(lambda x: (f(x), x), lambda x, ct: (2 * x * ct * w,))
        return inner(f)(3.0) * w  # 6 w**2

    assert outer(program)(2.0) == pytest.approx(24.0)


def test_a_traced_value_among_the_constants():
    for kind in (custom_jvp, custom_vjp):
        f = kind(lambda x, n: x * n, nondiff_argnums=(1,))
        getattr(f, "defjvp" if kind is custom_jvp else "defvjp")(*[lambda *a: None] * (1 if kind is custom_jvp else 2))
        with pytest.raises(
            DifferentiationError, match=r"argument 1 is in nondiff_argnums, but a traced value \(float64\[\]\)"
        ):
            grad(lambda x, f=f: f(x, x))(1.0)
    g = custom_jvp(lambda x, n: x * n, nondiff_argnums=(1,))
    g.defjvp(lambda n, p, t: (p[0] * n, t[0] * n))
    assert grad(lambda x: g(x, stop_gradient(x)))(3.0) == 3.0


@pytest.mark.parametrize("positions", [-1, (0, -1), (True,), (1.0,), "x"])
def test_wrong_nondiff_argnums(positions):
    with pytest.raises(TypeError, match="nondiff_argnums must be positions counted from 0"):
        custom_jvp(lambda x, y: x, nondiff_argnums=positions)


def test_keyword_only_arguments_are_refused():
    f = custom_jvp(lambda x, *, n: x * n)
    f.defjvp(lambda p, t: (p[0], t[0]))
    with pytest.raises(TypeError, match=r"keyword-only arguments \(n\) cannot be passed .*nondiff_argnums"):
        f(1.0, n=2)
