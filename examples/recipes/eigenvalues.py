"""Shape an eigenvalue: where to put stiffness into a chain of springs, so that its lowest tone is as high as it can be.

The lowest eigenvalue of a symmetric matrix is a function of its entries. Its gradient is the square of what the
eigenvector does, here: how much each spring is stretched.

>>> k = np.array([1.0, 2.0, 1.5, 0.7, 1.0])
>>> w, v = np.linalg.eigh(chain(k))
>>> stretched = np.diff(np.append(0.0, v[:, 0])) ** 2
>>> bool(np.allclose(grad(lowest)(k), stretched))
True

With a given sum of stiffness, the best chain stretches all its springs alike:

>>> best = strengthen(5)
>>> slopes = grad(lowest)(best)
>>> bool(lowest(best) > lowest(np.ones(5))), bool(np.ptp(slopes) < 1e-3)
(True, True)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize

from autodiff import grad, value_and_grad


def chain(k: Any) -> Any:
    """Stiffness matrix of masses in a row, each held by a spring to the one before, the first to a wall."""
    return np.diag(k + np.append(k[1:], 0.0)) - np.diag(k[1:], 1) - np.diag(k[1:], -1)


def lowest(k: Any) -> Any:
    """Square of the lowest frequency."""
    return np.linalg.eigvalsh(chain(k))[0]


def strengthen(n: int) -> Any:
    """The best chain of `n` springs whose mean stiffness is 1."""

    def cost(z: Any) -> Any:
        k = np.exp(z)
        return -lowest(n * k / np.sum(k))

    z = scipy.optimize.minimize(value_and_grad(cost), np.linspace(-0.1, 0.1, n), jac=True, tol=1e-8).x
    k = np.exp(z)
    return n * k / np.sum(k)


__all__ = ["chain", "grad", "lowest", "strengthen"]
