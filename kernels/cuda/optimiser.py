"""Steps of optimisers on the device, fused: the contracts of `kernels.cpu.optimiser`.

Parameters, gradients and moments are contiguous arrays of one dtype, float32 or float64, and of one shape, on the
device; ``out`` holds arrays for the new parameters and moments, which may be the old ones themselves. Numbers are
Python floats and are rounded to the dtype. Each thread reads the items of one place before it writes them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from numba import cuda, int64

from kernels.cuda.arrays import check_dtypes, receive
from kernels.cuda.launch import SIMULATED, Kernel, blocks_for, declare

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

THREADS = 8 if SIMULATED else 256


def optimise_gradient(p, g, p_out, rate, decay, shrink):
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, g.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        old = p[i]
        p_out[i] = old * shrink - rate * (g[i] + decay * old)


def optimise_momentum(p, g, u, p_out, u_out, rate, decay, shrink, momentum, nesterov):
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, g.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        old = p[i]
        gradient = g[i] + decay * old
        velocity = momentum * u[i] + gradient
        u_out[i] = velocity
        p_out[i] = old * shrink - rate * (gradient + momentum * velocity if nesterov != 0 else velocity)


def optimise_adam(p, g, m, v, p_out, m_out, v_out, rate, decay, shrink, keep1, new1, keep2, new2, root, eps):
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, g.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        old = p[i]
        gradient = g[i] + decay * old
        mean = keep1 * m[i] + new1 * gradient
        square = keep2 * v[i] + new2 * (gradient * gradient)
        m_out[i] = mean
        v_out[i] = square
        p_out[i] = old * shrink - rate * (mean / (math.sqrt(square) * root + eps))


def optimise_nadam(p, g, m, v, p_out, m_out, v_out, ahead, now, decay, shrink, keep1, new1, keep2, new2, root, eps):
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, g.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        old = p[i]
        gradient = g[i] + decay * old
        mean = keep1 * m[i] + new1 * gradient
        square = keep2 * v[i] + new2 * (gradient * gradient)
        m_out[i] = mean
        v_out[i] = square
        p_out[i] = old * shrink - (ahead * mean + now * gradient) / (math.sqrt(square) * root + eps)


def optimise_adamax(p, g, m, u, p_out, m_out, u_out, rate, decay, shrink, keep1, new1, keep2, eps):
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, g.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        old = p[i]
        gradient = g[i] + decay * old
        mean = keep1 * m[i] + new1 * gradient
        aged, size = keep2 * u[i], abs(gradient) + eps
        largest = aged if aged > size else size  # a NaN in the gradient is kept: then nothing is greater
        m_out[i] = mean
        u_out[i] = largest
        p_out[i] = old * shrink - rate * (mean / largest)


def optimise_adagrad(p, g, s, p_out, s_out, rate, decay, shrink, eps):
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, g.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        old = p[i]
        gradient = g[i] + decay * old
        total = s[i] + gradient * gradient
        s_out[i] = total
        p_out[i] = old * shrink - rate * (gradient / (math.sqrt(total) + eps))


def optimise_rmsprop(p, g, s, p_out, s_out, rate, decay, shrink, keep, new, eps):
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, g.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        old = p[i]
        gradient = g[i] + decay * old
        square = keep * s[i] + new * (gradient * gradient)
        s_out[i] = square
        p_out[i] = old * shrink - rate * (gradient / (math.sqrt(square) + eps))


def optimise_adadelta(p, g, s, t, p_out, s_out, t_out, rate, decay, shrink, keep, new, eps):
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, g.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        old = p[i]
        gradient = g[i] + decay * old
        square = keep * s[i] + new * (gradient * gradient)
        past = t[i]
        change = math.sqrt((past + eps) / (square + eps)) * gradient
        s_out[i] = square
        t_out[i] = keep * past + new * (change * change)
        p_out[i] = old * shrink - rate * change


def _declared(source: Any, arrays: int, numbers: int) -> Kernel:
    return declare(source, " ".join(["T[]"] * arrays + ["T"] * numbers))


GRADIENT = _declared(optimise_gradient, 3, 3)
MOMENTUM = _declared(optimise_momentum, 5, 5)
ADAM = _declared(optimise_adam, 7, 9)
NADAM = _declared(optimise_nadam, 7, 10)
ADAMAX = _declared(optimise_adamax, 7, 7)
ADAGRAD = _declared(optimise_adagrad, 5, 4)
RMSPROP = _declared(optimise_rmsprop, 5, 6)
ADADELTA = _declared(optimise_adadelta, 7, 6)


def gradient_step(p: Any, g: Any, *, out: Sequence[Any], rate: float, decay: float = 0.0, shrink: float = 1.0) -> None:
    """Gradient descent: see `kernels.cpu.optimiser`; errors are those of the other kernels of the device."""
    _run("gradient_step", GRADIENT, {"p": p}, g, out, (rate, decay, shrink))


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
    """Gradient descent with momentum."""
    _run("momentum_step", MOMENTUM, {"p": p, "u": u}, g, out, (rate, decay, shrink, momentum, float(nesterov)))


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
    """Adam, step number `step` (from 1 on)."""
    means = beta1, 1 - beta1, beta2, 1 - beta2
    numbers = rate / (1 - beta1**step), decay, shrink, *means, (1 - beta2**step) ** -0.5, eps
    _run("adam_step", ADAM, {"p": p, "m": m, "v": v}, g, out, numbers)


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
    """Adam with Nesterov's momentum; the learning rate is in `ahead` and `now`."""
    numbers = ahead, now, decay, shrink, beta1, 1 - beta1, beta2, 1 - beta2, (1 - beta2**step) ** -0.5, eps
    _run("nadam_step", NADAM, {"p": p, "m": m, "v": v}, g, out, numbers)


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
    """AdaMax, step number `step` (from 1 on)."""
    numbers = rate / (1 - beta1**step), decay, shrink, beta1, 1 - beta1, beta2, eps
    _run("adamax_step", ADAMAX, {"p": p, "m": m, "u": u}, g, out, numbers)


def adagrad_step(
    p: Any, g: Any, s: Any, *, out: Sequence[Any], rate: float, eps: float, decay: float = 0.0, shrink: float = 1.0
) -> None:
    """AdaGrad."""
    _run("adagrad_step", ADAGRAD, {"p": p, "s": s}, g, out, (rate, decay, shrink, eps))


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
    """RMSProp."""
    _run("rmsprop_step", RMSPROP, {"p": p, "s": s}, g, out, (rate, decay, shrink, rho, 1 - rho, eps))


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
    """AdaDelta."""
    _run("adadelta_step", ADADELTA, {"p": p, "s": s, "t": t}, g, out, (rate, decay, shrink, rho, 1 - rho, eps))


def _run(name: str, kernel: Kernel, old: dict[str, Any], g: Any, out: Sequence[Any], numbers: Sequence[float]) -> None:
    """Check the arrays, and run a kernel on them: parameters, gradient, moments, results, numbers.

    Raises
    ------
    TypeError
        If an array lies on the host, or dtypes differ or are neither float32 nor float64.
    ValueError
        If shapes differ, or an array is not contiguous.
    """
    given = {**old, "g": g, **{f"out[{k}]": array for k, array in enumerate(out)}}
    arrays = {key: receive(name, key, array) for key, array in given.items()}
    check_dtypes(name, **arrays)
    first = arrays["p"]
    for key, array in arrays.items():
        if array.shape != first.shape:
            raise ValueError(f"{name}: all arrays must have one shape, not {first.shape} and {key}: {array.shape}.")
        if not array.flags.c_contiguous:
            raise ValueError(f"{name}: all arrays must be contiguous, but {key} is not.")
    flat = {key: array.reshape(-1) for key, array in arrays.items()}
    ordered = [flat.pop("p"), flat.pop("g"), *flat.values()]
    rounded = [first.dtype.type(number) for number in numbers]
    if SIMULATED:  # whose numbers are Python's
        rounded = list(map(float, rounded))
    if first.size:
        kernel.launch(name, blocks_for(first.size, THREADS), THREADS, *ordered, *rounded)
