"""Steps of optimisers, fused: every array is read and written once.

Adam on a network of 3.3 million float32 parameters moves 92 MB of memory at least; ufunc by ufunc it would be 300.

Common contract: parameters, gradients and moments are contiguous arrays of one dtype, float32 or float64, and of one
shape. ``out`` holds arrays for the new parameters and moments, contiguous and writable, of the same shape and dtype;
they may be the old ones themselves, which saves memory, but must not overlap them in any other way. Numbers are
Python floats and are rounded to the dtype. Nothing is returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.cpu.jit import kernel
from kernels.cpu.memory import flat
from kernels.cpu.threads import parallel_for

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adamax_step",
    "gradient_step",
    "momentum_step",
    "nadam_step",
    "rmsprop_step",
]

BLOCK = 1024  # numbers of each array: seven arrays of them stay in the first cache
GRAIN = 1 << 15  # numbers for a thread

# Within a block, what is updated is first copied to where it belongs and then changed in place. With fewer arrays in
# the loop, the compiler can check that none overlaps another, and so vectorises it; the copies stay in the cache.


@kernel(inline=True)
def _copy(source, target):
    for i in range(len(target)):
        target[i] = source[i]


@kernel
def _gradient(start, stop, p, g, p_out, rate, decay, shrink, own):
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        p_new, g_block = p_out[first:last], g[first:last]
        if not own:
            _copy(p[first:last], p_new)
        for i in range(len(p_new)):
            old = p_new[i]
            p_new[i] = old * shrink - rate * (g_block[i] + decay * old)


@kernel
def _momentum(start, stop, p, g, u, p_out, u_out, rate, decay, shrink, momentum, nesterov, own):
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        p_new, u_new, g_block = p_out[first:last], u_out[first:last], g[first:last]
        if not own:
            _copy(p[first:last], p_new)
            _copy(u[first:last], u_new)
        for i in range(len(p_new)):
            old = p_new[i]
            gradient = g_block[i] + decay * old
            velocity = momentum * u_new[i] + gradient
            u_new[i] = velocity
            p_new[i] = old * shrink - rate * (gradient + momentum * velocity if nesterov != 0 else velocity)


@kernel
def _adam(start, stop, p, g, m, v, p_out, m_out, v_out, rate, decay, shrink, keep1, new1, keep2, new2, root, eps, own):
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        p_new, m_new, v_new, g_block = p_out[first:last], m_out[first:last], v_out[first:last], g[first:last]
        if not own:
            _copy(p[first:last], p_new)
            _copy(m[first:last], m_new)
            _copy(v[first:last], v_new)
        for i in range(len(p_new)):
            old = p_new[i]
            gradient = g_block[i] + decay * old
            mean = keep1 * m_new[i] + new1 * gradient
            square = keep2 * v_new[i] + new2 * (gradient * gradient)
            m_new[i] = mean
            v_new[i] = square
            p_new[i] = old * shrink - rate * (mean / (np.sqrt(square) * root + eps))


@kernel
def _adagrad(start, stop, p, g, s, p_out, s_out, rate, decay, shrink, eps, own):
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        p_new, s_new, g_block = p_out[first:last], s_out[first:last], g[first:last]
        if not own:
            _copy(p[first:last], p_new)
            _copy(s[first:last], s_new)
        for i in range(len(p_new)):
            old = p_new[i]
            gradient = g_block[i] + decay * old
            total = s_new[i] + gradient * gradient
            s_new[i] = total
            p_new[i] = old * shrink - rate * (gradient / (np.sqrt(total) + eps))


@kernel
def _rmsprop(start, stop, p, g, s, p_out, s_out, rate, decay, shrink, keep, new, eps, own):
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        p_new, s_new, g_block = p_out[first:last], s_out[first:last], g[first:last]
        if not own:
            _copy(p[first:last], p_new)
            _copy(s[first:last], s_new)
        for i in range(len(p_new)):
            old = p_new[i]
            gradient = g_block[i] + decay * old
            square = keep * s_new[i] + new * (gradient * gradient)
            s_new[i] = square
            p_new[i] = old * shrink - rate * (gradient / (np.sqrt(square) + eps))


@kernel
def _adadelta(start, stop, p, g, s, t, p_out, s_out, t_out, rate, decay, shrink, keep, new, eps, own):
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        p_new, s_new, t_new, g_block = p_out[first:last], s_out[first:last], t_out[first:last], g[first:last]
        if not own:
            _copy(p[first:last], p_new)
            _copy(s[first:last], s_new)
            _copy(t[first:last], t_new)
        for i in range(len(p_new)):
            old = p_new[i]
            gradient = g_block[i] + decay * old
            square = keep * s_new[i] + new * (gradient * gradient)
            change = np.sqrt((t_new[i] + eps) / (square + eps)) * gradient
            s_new[i] = square
            t_new[i] = keep * t_new[i] + new * (change * change)
            p_new[i] = old * shrink - rate * change


@kernel
def _nadam(
    start, stop, p, g, m, v, p_out, m_out, v_out, ahead, now, decay, shrink, keep1, new1, keep2, new2, root, eps, own
):
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        p_new, m_new, v_new, g_block = p_out[first:last], m_out[first:last], v_out[first:last], g[first:last]
        if not own:
            _copy(p[first:last], p_new)
            _copy(m[first:last], m_new)
            _copy(v[first:last], v_new)
        for i in range(len(p_new)):
            old = p_new[i]
            gradient = g_block[i] + decay * old
            mean = keep1 * m_new[i] + new1 * gradient
            square = keep2 * v_new[i] + new2 * (gradient * gradient)
            m_new[i] = mean
            v_new[i] = square
            p_new[i] = old * shrink - (ahead * mean + now * gradient) / (np.sqrt(square) * root + eps)


@kernel
def _adamax(start, stop, p, g, m, u, p_out, m_out, u_out, rate, decay, shrink, keep1, new1, keep2, eps, own):
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        p_new, m_new, u_new, g_block = p_out[first:last], m_out[first:last], u_out[first:last], g[first:last]
        if not own:
            _copy(p[first:last], p_new)
            _copy(m[first:last], m_new)
            _copy(u[first:last], u_new)
        for i in range(len(p_new)):
            old = p_new[i]
            gradient = g_block[i] + decay * old
            mean = keep1 * m_new[i] + new1 * gradient
            aged, size = keep2 * u_new[i], abs(gradient) + eps
            largest = aged if aged > size else size  # a NaN in the gradient is kept: then nothing is greater
            m_new[i] = mean
            u_new[i] = largest
            p_new[i] = old * shrink - rate * (mean / largest)


def gradient_step(p: Any, g: Any, *, out: Sequence[Any], rate: float, decay: float = 0.0, shrink: float = 1.0) -> None:
    """Gradient descent: ``shrink * p - rate * (g + decay * p)``.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not agree in dtype or shape.

    Examples
    --------
    >>> p = np.array([1.0, 2.0])
    >>> gradient_step(p, np.array([10.0, 20.0]), out=(p,), rate=0.01)
    >>> p
    array([0.9, 1.8])
    """
    _run("gradient_step", _gradient, (p,), g, out, (rate, decay, shrink))


def momentum_step(
    p: Any,
    g: Any,
    u: Any,
    *,
    out: Sequence[Any],
    rate: float,
    momentum: float,
    nesterov: bool = False,
    decay: float = 0.0,
    shrink: float = 1.0,
) -> None:
    """Gradient descent with momentum.

    ``g += decay * p; u = momentum * u + g; p = shrink * p - rate * u``, where `nesterov` has ``g + momentum * u`` in
    place of `u` in the last.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not agree in dtype or shape.

    Examples
    --------
    >>> p, u = np.array([1.0]), np.array([5.0])
    >>> momentum_step(p, np.array([10.0]), u, out=(p, u), rate=0.01, momentum=0.9)
    >>> p, u
    (array([0.855]), array([14.5]))
    """
    _run("momentum_step", _momentum, (p, u), g, out, (rate, decay, shrink, momentum, float(nesterov)))


def adam_step(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    *,
    out: Sequence[Any],
    rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    step: int,
    decay: float = 0.0,
    shrink: float = 1.0,
) -> None:
    """Adam, step number `step` (from 1 on).

    ``g += decay * p; m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g**2``, and with these divided by
    ``1 - beta1**step`` and ``1 - beta2**step``, ``p = shrink * p - rate * m / (sqrt(v) + eps)``.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not agree in dtype or shape.

    Notes
    -----
    Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1; with `shrink`, Loshchilov and
    Hutter, "Decoupled weight decay regularization" (2019).

    Examples
    --------
    >>> p, m, v = np.array([1.0]), np.zeros(1), np.zeros(1)
    >>> adam_step(
    ...     p, np.array([-3.0]), m, v, out=(p, m, v), rate=0.001, beta1=0.9, beta2=0.999, eps=0.0, step=1
    ... )
    >>> p.round(12), m.round(12), v.round(12)
    (array([1.001]), array([-0.3]), array([0.009]))
    """
    means = beta1, 1 - beta1, beta2, 1 - beta2
    numbers = rate / (1 - beta1**step), decay, shrink, *means, (1 - beta2**step) ** -0.5, eps
    _run("adam_step", _adam, (p, m, v), g, out, numbers)


def nadam_step(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    *,
    out: Sequence[Any],
    ahead: float,
    now: float,
    beta1: float,
    beta2: float,
    eps: float,
    step: int,
    decay: float = 0.0,
    shrink: float = 1.0,
) -> None:
    """Adam with Nesterov's momentum: moments as in `adam_step`, and another combination of them.

    ``p = shrink * p - (ahead * m + now * g) / (sqrt(v / (1 - beta2**step)) + eps)``; the learning rate is in `ahead`
    and `now`.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not agree in dtype or shape.

    Notes
    -----
    Dozat, "Incorporating Nesterov momentum into Adam" (2016).

    Examples
    --------
    >>> p, m, v = np.array([1.0]), np.zeros(1), np.zeros(1)
    >>> options = {"beta1": 0.5, "beta2": 0.5, "eps": 0.0, "step": 1}
    >>> nadam_step(p, np.array([4.0]), m, v, out=(p, m, v), ahead=0.2, now=0.1, **options)
    >>> p, m, v
    (array([0.8]), array([2.]), array([8.]))
    """
    numbers = ahead, now, decay, shrink, beta1, 1 - beta1, beta2, 1 - beta2, (1 - beta2**step) ** -0.5, eps
    _run("nadam_step", _nadam, (p, m, v), g, out, numbers)


def adamax_step(
    p: Any,
    g: Any,
    m: Any,
    u: Any,
    *,
    out: Sequence[Any],
    rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    step: int,
    decay: float = 0.0,
    shrink: float = 1.0,
) -> None:
    """AdaMax, step number `step` (from 1 on).

    ``g += decay * p; m = beta1 * m + (1 - beta1) * g; u = max(beta2 * u, |g| + eps)``, and
    ``p = shrink * p - rate / (1 - beta1**step) * m / u``.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not agree in dtype or shape.

    Notes
    -----
    Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 2.

    Examples
    --------
    >>> p, m, u = np.array([1.0]), np.zeros(1), np.zeros(1)
    >>> options = {"rate": 0.1, "beta1": 0.5, "beta2": 0.5, "eps": 0.0, "step": 1}
    >>> adamax_step(p, np.array([4.0]), m, u, out=(p, m, u), **options)
    >>> p, m, u
    (array([0.9]), array([2.]), array([4.]))
    """
    numbers = rate / (1 - beta1**step), decay, shrink, beta1, 1 - beta1, beta2, eps
    _run("adamax_step", _adamax, (p, m, u), g, out, numbers)


def adagrad_step(
    p: Any, g: Any, s: Any, *, out: Sequence[Any], rate: float, eps: float, decay: float = 0.0, shrink: float = 1.0
) -> None:
    """AdaGrad: ``g += decay * p; s += g**2; p = shrink * p - rate * g / (sqrt(s) + eps)``.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not agree in dtype or shape.

    Notes
    -----
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization" (2011).

    Examples
    --------
    >>> p, s = np.array([1.0]), np.array([9.0])
    >>> adagrad_step(p, np.array([4.0]), s, out=(p, s), rate=0.5, eps=0.0)
    >>> p, s
    (array([0.6]), array([25.]))
    """
    _run("adagrad_step", _adagrad, (p, s), g, out, (rate, decay, shrink, eps))


def rmsprop_step(
    p: Any,
    g: Any,
    s: Any,
    *,
    out: Sequence[Any],
    rate: float,
    rho: float,
    eps: float,
    decay: float = 0.0,
    shrink: float = 1.0,
) -> None:
    """RMSProp: ``g += decay * p; s = rho * s + (1 - rho) * g**2; p = shrink * p - rate * g / (sqrt(s) + eps)``.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not agree in dtype or shape.

    Notes
    -----
    Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning" (2012).

    Examples
    --------
    >>> p, s = np.array([1.0]), np.zeros(1)
    >>> rmsprop_step(p, np.array([4.0]), s, out=(p, s), rate=0.5, rho=0.75, eps=0.0)
    >>> p, s
    (array([0.]), array([4.]))
    """
    _run("rmsprop_step", _rmsprop, (p, s), g, out, (rate, decay, shrink, rho, 1 - rho, eps))


def adadelta_step(
    p: Any,
    g: Any,
    s: Any,
    t: Any,
    *,
    out: Sequence[Any],
    rate: float,
    rho: float,
    eps: float,
    decay: float = 0.0,
    shrink: float = 1.0,
) -> None:
    """AdaDelta.

    ``g += decay * p; s = rho * s + (1 - rho) * g**2; d = sqrt((t + eps) / (s + eps)) * g; p = shrink * p - rate * d;
    t = rho * t + (1 - rho) * d**2``.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not agree in dtype or shape.

    Notes
    -----
    Zeiler, "ADADELTA: an adaptive learning rate method" (2012), algorithm 1.

    Examples
    --------
    >>> p, s, t = np.array([1.0]), np.zeros(1), np.array([16.0])
    >>> adadelta_step(p, np.array([2.0]), s, t, out=(p, s, t), rate=0.5, rho=0.75, eps=0.0)
    >>> p, s, t
    (array([-3.]), array([1.]), array([28.]))
    """
    _run("adadelta_step", _adadelta, (p, s, t), g, out, (rate, decay, shrink, rho, 1 - rho, eps))


def _run(name: str, step: Any, old: Sequence[Any], g: Any, out: Sequence[Any], numbers: Sequence[float]) -> None:
    """Check the arrays, and run a kernel on chunks of them."""
    arrays, cast = _prepare(name, (old[0], g, *old[1:], *out), len(out))
    own = all(new is before for new, before in zip(out, old, strict=True))
    parallel_for(step, g.size, *arrays, *map(cast, numbers), own, grain=GRAIN)


def _prepare(name: str, arrays: Sequence[Any], results: int) -> tuple[list[Any], Any]:
    """Check the arrays, and return them flat together with the type of their numbers."""
    first = arrays[0]
    if first.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name}: arrays must be float32 or float64, not {first.dtype}.")
    for array in arrays:
        if array.dtype != first.dtype:
            raise TypeError(f"{name}: all arrays must have one dtype, not {first.dtype} and {array.dtype}.")
        if array.shape != first.shape:
            raise ValueError(f"{name}: all arrays must have one shape, not {first.shape} and {array.shape}.")
        if not array.flags.c_contiguous:
            raise ValueError(f"{name}: all arrays must be contiguous; np.ascontiguousarray makes them so.")
    if not all(array.flags.writeable for array in arrays[len(arrays) - results :]):
        raise ValueError(f"{name}: the arrays for results must be writable.")
    return [flat(array) for array in arrays], first.dtype.type
