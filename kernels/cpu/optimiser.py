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

__all__ = ["adam_step", "gradient_step", "momentum_step"]

BLOCK = 2048  # numbers of each array: four arrays of them stay in the first cache
GRAIN = 1 << 15  # numbers for a thread

# Within a block, what is updated is first copied to where it belongs and then changed in place. With fewer arrays in
# the loop, the compiler can check that none overlaps another, and so vectorises it; the copies stay in the cache.


@kernel
def _gradient(start, stop, p, g, p_out, rate, decay, shrink, own):
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        p_new, g_block = p_out[first:last], g[first:last]
        if not own:
            p_new[:] = p[first:last]
        for i in range(len(p_new)):
            old = p_new[i]
            p_new[i] = old * shrink - rate * (g_block[i] + decay * old)


@kernel
def _momentum(start, stop, p, g, u, p_out, u_out, rate, decay, shrink, momentum, own, ahead):
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        p_new, u_new, g_block = p_out[first:last], u_out[first:last], g[first:last]
        if not own:
            p_new[:] = p[first:last]
            u_new[:] = u[first:last]
        for i in range(len(p_new)):
            old = p_new[i]
            gradient = g_block[i] + decay * old
            velocity = momentum * u_new[i] + gradient
            u_new[i] = velocity
            if ahead:
                velocity = gradient + momentum * velocity
            p_new[i] = old * shrink - rate * velocity


@kernel
def _adam(start, stop, p, g, m, v, p_out, m_out, v_out, rate, decay, shrink, keep1, new1, keep2, new2, root, eps, own):
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        p_new, m_new, v_new, g_block = p_out[first:last], m_out[first:last], v_out[first:last], g[first:last]
        if not own:
            p_new[:] = p[first:last]
            m_new[:] = m[first:last]
            v_new[:] = v[first:last]
        for i in range(len(p_new)):
            old = p_new[i]
            gradient = g_block[i] + decay * old
            mean = keep1 * m_new[i] + new1 * gradient
            square = keep2 * v_new[i] + new2 * (gradient * gradient)
            m_new[i] = mean
            v_new[i] = square
            p_new[i] = old * shrink - rate * (mean / (np.sqrt(square) * root + eps))


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
    arrays, cast = _prepare("gradient_step", (p, g, *out), 1)
    parallel_for(_gradient, p.size, *arrays, cast(rate), cast(decay), cast(shrink), out[0] is p, grain=GRAIN)


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
    arrays, cast = _prepare("momentum_step", (p, g, u, *out), 2)
    own = out[0] is p and out[1] is u
    numbers = cast(rate), cast(decay), cast(shrink), cast(momentum)
    parallel_for(_momentum, p.size, *arrays, *numbers, own, bool(nesterov), grain=GRAIN)


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
    arrays, cast = _prepare("adam_step", (p, g, m, v, *out), 3)
    own = all(new is old for new, old in zip(out, (p, m, v), strict=True))
    means = beta1, 1 - beta1, beta2, 1 - beta2
    numbers = rate / (1 - beta1**step), decay, shrink, *means, (1 - beta2**step) ** -0.5, eps
    parallel_for(_adam, p.size, *arrays, *map(cast, numbers), own, grain=GRAIN)


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
