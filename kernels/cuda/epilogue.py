"""What happens to a result before it is written, in every product."""

from __future__ import annotations

from kernels.cuda.launch import device

__all__ = ["ACTIVATIONS", "finish"]

ACTIVATIONS = {None: 0, "relu": 1}


@device
def finish(value, code, zero):
    """Return the activation of a value; `zero` is of its type. NaN stays NaN."""
    return zero if code == 1 and value < 0 else value
