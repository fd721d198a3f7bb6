"""Sharpen a blurred signal: the blur is a product of Fourier transforms, and the penalty a smooth one of its edges.

>>> x = np.zeros(64)
>>> x[20:40] = 1.0
>>> y = blurred(x) + 1e-3 * np.cos(np.arange(64.0) ** 2)
>>> sharp = sharpened(y)
>>> bool(np.linalg.norm(sharp - x) < 0.6 * np.linalg.norm(y - x))
True

The gradient of the misfit is a blur, backwards, of the residual:

>>> z = np.cos(np.arange(64.0))
>>> residual = blurred(z) - y
>>> known = np.fft.irfft(np.conj(np.fft.rfft(KERNEL)) * np.fft.rfft(residual))
>>> bool(np.allclose(grad(misfit)(z, y), known))
True
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize

from autodiff import grad, value_and_grad

_DISTANCE = np.minimum(np.arange(64), 64 - np.arange(64))
KERNEL = np.exp(-(_DISTANCE**2) / 18) / np.sum(np.exp(-(_DISTANCE**2) / 18))


def blurred(x: Any) -> Any:
    """Periodic convolution with the kernel."""
    return np.fft.irfft(np.fft.rfft(KERNEL) * np.fft.rfft(x), 64)


def misfit(x: Any, y: Any) -> Any:
    """Half the sum of the squared residuals."""
    return np.sum((blurred(x) - y) ** 2) / 2


def cost(x: Any, y: Any) -> Any:
    """Misfit, and what edges cost: few large ones are cheaper than many small ones."""
    return misfit(x, y) + 1e-4 * np.sum(np.sqrt(np.diff(x) ** 2 + 1e-4))


def sharpened(y: Any) -> Any:
    """The signal whose blurred form is `y`, nearly."""
    options = {"maxiter": 2000, "maxfun": 4000}
    return scipy.optimize.minimize(value_and_grad(cost), y, args=(y,), jac=True, method="L-BFGS-B", options=options).x


__all__ = ["KERNEL", "blurred", "cost", "grad", "misfit", "sharpened"]
