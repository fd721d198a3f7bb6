"""Where a convention gives a derivative at a kink, the next derivative does not exist: these say so with NaN."""

from __future__ import annotations

import numpy as np

from autodiff.core import Sample, elementwise

__all__ = ["jump", "kink"]

#: Value 0, derivative NaN: a derivative that the convention set to 0 where the function's own slope jumps.
jump = elementwise(
    lambda x: x * 0,
    lambda t, _y, _x: t * np.nan,
    name="jump",
    samples=lambda _rng: [Sample((np.zeros(0),))],
    smooth=False,
)
#: Value 0, derivative 0, second derivative NaN: a value at a kink whose slope the convention set to 0.
kink = elementwise(
    lambda x: x * 0,
    lambda t, _y, x: t * jump(x),
    name="kink",
    samples=lambda _rng: [Sample((np.zeros(2),))],
    smooth=False,
)
