"""Convolution in one dimension: Ketkar, chapter 5 (K5-1); Ekman, appendix G (G1).

Run: ``python -m examples run ketkar/K5-1 ekman/app-G1``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import jvp, ops, vjp
from examples.catalogue import program
from examples.report import Row, agreement

if TYPE_CHECKING:
    from examples.run import Run


def convolve(signal: Any, kernel: Any) -> Any:
    """s(t) = sum over a of signal(a) kernel(t - a), wherever the two meet."""
    s = [0.0] * (len(signal) + len(kernel) - 1)
    for a in range(len(signal)):
        for b in range(len(kernel)):
            s[a + b] += signal[a] * kernel[b]
    return np.array(s)


def correlate(signal: Any, kernel: Any) -> Any:
    """s(t) = sum over a of signal(t + a) kernel(a), where the kernel lies inside the signal."""
    places = range(len(signal) - len(kernel) + 1)
    return np.array([sum(signal[t + a] * kernel[a] for a in range(len(kernel))) for t in places])


def layer(signal: Any, kernel: Any, padding: int = 0) -> Any:
    """What a convolutional layer computes."""
    return ops.conv1d(signal[None, None], kernel[None, None], padding=padding)[0, 0]


@program("ketkar/K5-1")
def one_dimension(run: Run) -> list[Row]:
    """A kernel finds itself in a noisy signal; the gradient of a convolution is a correlation."""
    rng = run.rng
    kernel = np.array([0.0, 1.0, 2.0, 3.0, 0.0])  # a ramp that breaks off
    signal = 0.15 * rng.normal(size=60)
    signal[37:42] += kernel
    found = correlate(signal, kernel)
    full = convolve(signal, kernel)

    y, pull = vjp(np.convolve, signal, kernel)
    adjoint = rng.normal(size=y.shape)
    by_signal, by_kernel = pull(adjoint)
    direction = rng.normal(size=kernel.shape)
    forwards = jvp(lambda k: np.convolve(signal, k), (kernel,), (direction,))[1]

    with run.picture(nrows=3, figsize=(6.4, 5.2), sharex=True) as axes:
        axes[0].plot(signal, "o-", ms=3)
        axes[1].plot(kernel, "o-", ms=3, color="C1")
        axes[2].plot(found, "o-", ms=3, color="C2")
        axes[2].axvline(37, color="C3", lw=1, ls="--")
        for ax, name in zip(axes, ("signal", "kernel", "correlation"), strict=True):
            ax.set_ylabel(name)
        axes[2].set_xlabel("position t")
    return [
        Row("the peak lies where the kernel was put", "", str(np.argmax(found)), "at 37", met=np.argmax(found) == 37),
        agreement("a layer is a correlation", layer(signal, kernel), found),
        agreement("convolution = correlation with the kernel reversed", layer(signal, kernel[::-1], 4), full),
        agreement("signal * kernel = kernel * signal", full, convolve(kernel, signal)),
        agreement("gradient by the signal = correlation", by_signal, correlate(adjoint, kernel)),
        agreement("gradient by the kernel = correlation", by_kernel, correlate(adjoint, signal)),
        agreement("linear: the tangent is a convolution", forwards, convolve(signal, direction)),
    ]


def box(t: Any, start: float, length: float) -> Any:
    """One from `start` for `length`, zero elsewhere."""
    return ((t >= start) & (t < start + length)).astype(float)


@program("ekman/app-G1")
def continuous_and_discrete(run: Run) -> list[Row]:
    """(f * g)(t), the integral and the sum; the functions of the text's figure are lost: two boxes stand in."""
    run.data = "two boxes of height 1, 4 and 3 long, so that the peak is the text's: its functions are only drawn"
    f, g = np.ones(4), np.ones(3)
    discrete = np.convolve(f, g)

    fine = 1 / 200
    tau = np.arange(0, 4, fine) + fine / 2  # midpoints: exact for boxes whose edges lie between them
    shifts = np.arange(-1, 9, 0.25)

    def overlap(t: float) -> float:
        return float(np.sum(box(tau, 0, 4) * box(t - tau, 0, 3)) * fine)

    curve = np.array([overlap(t) for t in shifts])
    closed = np.clip(np.minimum(shifts, 4) - np.maximum(shifts - 3, 0), 0, None)

    def smooth(t: Any) -> Any:
        """Convolution of two Gaussians, whose slope is known."""
        u = np.linspace(-12, 12, 4001)
        return np.sum(np.exp(-(u**2)) * np.exp(-((t - u) ** 2))) * (u[1] - u[0])

    slope = jvp(smooth, (0.7,), (1.0,))[1]
    known = -0.7 * np.sqrt(np.pi / 2) * np.exp(-(0.7**2) / 2)
    with run.picture(ncols=2, figsize=(8, 3.2)) as (left, right):
        left.plot(shifts, curve)
        left.set(title="continuous", xlabel="t", ylabel="(f * g)(t)")
        right.stem(np.arange(6), discrete, basefmt=" ")
        right.set(title="discrete", xlabel="i", ylabel="(f * g)[i]")
    return [
        Row("peak, g inside f, continuous", "3.0", f"{curve.max():.1f}"),
        Row("peak, g inside f, discrete", "3.0", f"{discrete.max():.1f}"),
        agreement("the integral against the trapezoid by hand", curve, closed),
        agreement("(f * g)' of two Gaussians, forward mode against by hand", slope, known),
    ]
