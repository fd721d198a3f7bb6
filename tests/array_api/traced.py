"""The namespace of the standard in which every floating array is a live tracer, for the suite array-api-tests.

``namespace()`` opens a transform that never ends and wraps the functions that make arrays, so that whatever the
suite computes is recorded (reverse mode) or carries a tangent (forward mode). The suite looks at results with
``float``, ``int`` and ``complex``, which a traced value refuses to be turned into by anybody else: here they read the
primal value, as a measuring instrument has to.
"""

import functools
import os
import types

import numpy as np

from autodiff import array_api
from autodiff.core.forward import Dual, ForwardLevel
from autodiff.core.tracer import Tracer, concrete
from autodiff.core.variable import ReverseLevel

MAKERS = {
    "": ("arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace", "ones",
         "ones_like", "zeros", "zeros_like"),
    "fft": ("fftfreq", "rfftfreq"),
}  # fmt: skip


def namespace(mode=None):
    """Return the wrapped namespace; `mode` is ``"reverse"`` or ``"forward"`` (default: $TRACED_MODE, or reverse)."""
    live = _tracing(mode or os.environ.get("TRACED_MODE", "reverse"))
    xp = types.ModuleType("autodiff.array_api (traced)")
    vars(xp).update({name: getattr(array_api, name) for name in array_api.__all__})
    xp.fft = types.ModuleType("fft")
    vars(xp.fft).update({name: getattr(array_api.fft, name) for name in array_api.fft.__all__})
    for path, names in MAKERS.items():
        module = getattr(xp, path) if path else xp
        for name in names:
            setattr(module, name, _wrapped(getattr(module, name), live))
    for kind in (float, int, complex):
        setattr(Tracer, f"__{kind.__name__}__", lambda self, kind=kind: kind(concrete(self)))
    return xp


def _tracing(mode):
    level = {"reverse": ReverseLevel, "forward": ForwardLevel}[mode]("array-api-tests")  # is never closed

    def live(x):
        if isinstance(x, Tracer) or x.dtype.kind not in "fc":
            return x
        return level.variable(x) if mode == "reverse" else Dual(level, x, np.ones_like(x))

    return live


def _wrapped(make, live):
    @functools.wraps(make)
    def made(*args, **kwargs):
        return live(make(*args, **kwargs))

    return made
