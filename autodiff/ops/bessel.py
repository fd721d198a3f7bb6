"""The modified Bessel functions of whole orders behind ``np.i0`` and the Kaiser window."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Boundary, Operation, Sample, Spec, explicit, implements
from autodiff.core.batching import pointwise
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of
from autodiff.ops.joining import as_array

__all__ = ["i0", "kaiser"]


def _value(x: Any, n: int = 0) -> Any:
    if n == 0:
        return np.i0(x)[()]
    from scipy.special import iv

    return iv(n, x).astype(dtype_of(x))[()]


def _rule(t: Any, _y: Any, x: Any, n: int = 0) -> Any:
    """The mean of the neighbours; of order 0 both are the same."""
    if n == 0:
        return t * _bessel_i(x, n=1)
    return t * (_bessel_i(x, n=n - 1) + _bessel_i(x, n=n + 1)) * 0.5


_bessel_i: Operation = explicit(
    _value,
    _rule,
    name="bessel_i",
    samples=lambda rng: [
        Sample((x,), {"n": n}) for n in (0, 1, 2) for x in (rng.uniform(-3, 3, (3, 2)), np.array(0.7), np.ones((0, 2)))
    ],
    shape=lambda x, n=0: Spec(x.shape, x.dtype),
    boundary=(Boundary((0.0,), (0.0,)),),
    batch=pointwise,
)


@implements(np.i0)
def i0(x: Any) -> Any:
    """Modified Bessel function of order 0."""
    x = as_array(x)
    if dtype_of(x).kind == "c":
        raise TypeError(f"np.i0: it is defined for real numbers, not for {describe(x)}.")
    return _bessel_i(x, n=0)


@implements(np.kaiser)
def kaiser(M: Any, beta: Any) -> Any:  # noqa: N803 - NumPy's name
    """Kaiser window; its shape `beta` may be traced (by `autodiff.numpy.kaiser`, as NumPy's does not dispatch)."""
    if M < 2:
        return np.ones(max(int(M), 0))
    half = (M - 1) / 2.0
    inside = np.sqrt(1 - ((np.arange(M) - half) / half) ** 2.0)
    return i0(beta * inside) / i0(beta * np.ones(()))
