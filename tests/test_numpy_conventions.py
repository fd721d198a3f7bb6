"""The section on NumPy of autodiff/CONVENTIONS.md, row by row: both modes, and the second order where it is named."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import grad, hessian, jacfwd, jvp

NAN, INF = np.nan, np.inf


def case(name, f, x, first, second=None):
    return pytest.param(f, np.asarray(x, float)[()], first, second, id=name)


ROWS = [
    # kinks
    case("sign, rounding", lambda x: np.sum(np.sign(x) + np.floor(x) + np.round(x)), [0.0, 0.5, 1.0], [0, 0, 0]),
    case("heaviside at 0", lambda x: np.heaviside(x, 0.5), 0.0, 0),
    case("heaviside by its value at 0", lambda h: np.heaviside(0.0, h), 0.5, 1, 0),
    case("copysign at 0", lambda x: np.copysign(x, 1.0), 0.0, 0),
    case("copysign by the sign", lambda y: np.copysign(2.0, y), -1.0, 0),
    case("mod at a multiple", lambda x: np.mod(x, 2.0), 4.0, 1, 0),
    case("mod by the divisor at a multiple", lambda y: np.mod(4.0, y), 2.0, -2, 0),
    case("fmod by the divisor", lambda y: np.fmod(-4.5, y), 2.0, 2, 0),
    case("modf", lambda x: np.modf(x)[0] + np.modf(x)[1], 2.0, 1, 0),
    case("divmod", lambda x: np.divmod(x, 2.0)[0] + np.divmod(x, 2.0)[1], 4.0, 1, 0),
    case("frexp", lambda x: np.frexp(x)[0], 4.0, 0.125, 0),
    case("hypot at 0", lambda x: np.hypot(x[0], x[1]), [0.0, 0.0], [0, 0]),
    case("complex abs at 0", lambda x: np.abs(x + 1j * x), 0.0, 0),
    case("interp at a knot", lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 4.0]), 1.0, 3),
    case("interp outside", lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0]), 1.5, 0, 0),
    # ties
    case("fmax of a tie", lambda x: np.fmax(x[0], x[1]), [1.0, 1.0], [0.5, 0.5]),
    case("nanmax of ties", np.nanmax, [2.0, 2.0, NAN], [0.5, 0.5, 0]),
    case("ptp of ties", np.ptp, [2.0, 2.0, 1.0], [0.5, 0.5, -1]),
    case("ptp of a constant", np.ptp, [2.0, 2.0], [0, 0]),
    case("median of an even number", np.median, [1.0, 2.0, 4.0, 3.0], [0, 0.5, 0, 0.5], np.zeros((4, 4))),
    case("median of ties", np.median, [1.0, 2.0, 2.0, 3.0], [0, 0.5, 0.5, 0]),
    case("sort of ties", lambda x: np.sort(x) @ np.array([1.0, 2.0, 3.0]), [2.0, 2.0, 1.0], [2, 3, 1]),
    case("unique", lambda x: np.sum(np.unique(x)), [2.0, 1.0, 2.0], [1, 1, 0]),
    case("running maximum of a tie", lambda x: np.sum(np.maximum.accumulate(x)), [2.0, 2.0, 1.0], [2, 1, 0]),
    case("quantile by q at an entry", lambda q: np.quantile([1.0, 2.0, 4.0], q), 0.5, 4),
    case("quantile by q at 1", lambda q: np.quantile([1.0, 2.0, 4.0], q), 1.0, 0),
    # NaN
    case("fmax with NaN", lambda x: np.sum(np.fmax(x, 1.0)), [NAN, 2.0], [0, 1]),
    case("nansum", np.nansum, [NAN, 1.0], [0, 1]),
    case("nanmedian", np.nanmedian, [NAN, 1.0, 3.0], [0, 0.5, 0.5]),
    case("nan_to_num", lambda x: np.sum(np.nan_to_num(x)), [NAN, INF, -INF, 1.0], [0, 0, 0, 1]),
    # zeros
    case("prod with a zero", np.prod, [2.0, 0.0, 3.0], [0, 6, 0], [[0, 3, 0], [3, 0, 2], [0, 2, 0]]),
    case("prod with two zeros", np.prod, [2.0, 0.0, 0.0], [0, 0, 0], [[0, 0, 0], [0, 0, 2], [0, 2, 0]]),
    case("cumprod through zeros", lambda x: np.sum(np.cumprod(x)), [2.0, 0.0, 3.0, 0.0], [1, 8, 0, 0],
         [[0, 4, 0, 0], [4, 0, 2, 6], [0, 2, 0, 0], [0, 6, 0, 0]]),
    case("powers at base 0", lambda x: np.sum(x ** np.arange(4.0)), np.zeros(4), [0, 1, 0, 0], np.diag([0, 0, 2, 0])),
    case("a root at base 0", lambda x: x**0.5, 0.0, INF),
    case("0 to a power, by the power", lambda p: np.sum(np.power(0.0, p)), [0.0, 1.0, 2.0], [0, 0, 0]),
    case("vander at 0", lambda x: np.sum(np.vander(x, 3)), [0.0], [1], [[2]]),
    case("division behind a mask", lambda x: np.sum(np.where(x != 0, 1 / x, 0.0)), [0.0, 2.0], [0, -0.25],
         [[0, 0], [0, 0.25]]),
    case("cbrt at 0", np.cbrt, 0.0, INF),
    case("reciprocal at 0", np.reciprocal, 0.0, -INF),
    case("angle at 0", lambda x: np.angle(x + 1j * x), 0.0, NAN),
    case("arctan2 at 0, 0", lambda x: np.arctan2(x[0], x[1]), [0.0, 0.0], [NAN, NAN]),
    case("sinc at 0", np.sinc, 0.0, 0, -np.pi**2 / 3),
    case("i0 at 0", np.i0, 0.0, 0, 0.5),
    # infinities
    case("logaddexp of -inf", lambda x: np.logaddexp(x[0], x[1]), [-INF, 1.0], [0, 1], np.zeros((2, 2))),
    case("logaddexp of twice -inf", lambda x: np.logaddexp(x[0], x[1]), [-INF, -INF], [0.5, 0.5]),
    case("logaddexp2 of -inf", lambda x: np.logaddexp2(x[0], x[1]), [-INF, 1.0], [0, 1]),
    # statistics
    case("std of a constant", np.std, [1.0, 1.0, 1.0], [0, 0, 0], np.full((3, 3), NAN)),
    case("var of a constant", np.var, [1.0, 1.0], [0, 0], [[0.5, -0.5], [-0.5, 0.5]]),
    case("var without degrees of freedom", lambda x: np.var(x, ddof=1), [1.0], [NAN]),
    case("correlation with a constant", lambda x: np.corrcoef(x, [1.0, 2.0, 3.0])[0, 1], np.ones(3), [NAN] * 3),
    case("counts of a histogram", lambda x: np.sum(np.histogram(x, 2)[0] * 1.0), [1.0, 2.0, 4.0], [0, 0, 0]),
    case("edges of a histogram", lambda x: np.histogram(x, 2)[1] @ [1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [2, 0, 5]),
    case("unwrap", lambda x: np.sum(np.unwrap(x) * [1.0, 2.0]), [0.0, 5.0], [1, 2], np.zeros((2, 2))),
    # polynomials
    case("a root at 0", lambda p: np.roots(p)[1], [1.0, -2.0, 0.0], [0, 0, 0.5]),
    case("a double root", lambda p: np.sum(np.roots(p) * [1.0, 2.0]), [1.0, 0.0, 0.0], [NAN, NAN, NAN]),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own, of the values
@pytest.mark.parametrize(("f", "x", "first", "second"), ROWS)
def test_rows(f, x, first, second):
    first = np.asarray(first, float)
    if np.isnan(first).all():  # inf or NaN: no number
        assert not np.any(np.isfinite(grad(f)(x)))
        assert not np.any(np.isfinite(np.asarray(jacfwd(f)(x))))
        return
    np.testing.assert_allclose(grad(f)(x), first, rtol=1e-13, atol=1e-13)
    for k in range(np.size(x)):
        unit = np.zeros(np.shape(x))
        unit.reshape(-1)[k] = 1.0
        if np.all(np.isfinite(first)):
            np.testing.assert_allclose(jvp(f, (x,), (unit[()],))[1], first.reshape(-1)[k], rtol=1e-13, atol=1e-13)
    if second is not None:
        np.testing.assert_allclose(hessian(f)(x), second, rtol=1e-12, atol=1e-12)
