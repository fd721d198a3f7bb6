"""A module in CuPy's place, for machines without it: functions that treat objects of others as CuPy's do.

Its arrays are those of `tests.device_array`. Ufuncs are objects that ask for ``__cupy_override_elementwise_kernel__``;
functions are written in Python, ask nobody, and refuse traced values and NumPy's arrays; `size` is compiled.
"""

import operator
import sys
import types

import numpy as np

from tests.device_array import FROM_HOST, POSITIONS, DeviceArray, bare, wrapped

FUNCTIONS = (
    "sum prod mean max argmax where concatenate stack reshape transpose broadcast_to cumsum einsum dot tensordot "
    "diag clip take pad split sort zeros ones full zeros_like arange array asarray copy shape ndim outer"
)
UFUNCS = "add subtract multiply divide power maximum sin cos exp log sqrt tanh abs negative greater"


class Ufunc:
    """An elementwise function."""

    nin = nout = 0

    def __init__(self, name):
        self.name, self.ufunc = f"cupy_{name}", getattr(np, name)
        self.nin, self.nout, self.__name__ = self.ufunc.nin, self.ufunc.nout, self.name

    def __call__(self, *args, **options):
        for x in args:
            if hasattr(x, "__cupy_override_elementwise_kernel__"):
                return x.__cupy_override_elementwise_kernel__(self, *args, **options)
        return run(self.ufunc, args, options)

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        return {"cupy_add": lambda: array.sum(axis, dtype, out, keepdims)}[self.name]()

    def at(self, a, indices, b=None):
        a._scatter_op(indices, b, {"cupy_add": "add", "cupy_maximum": "max"}[self.name])


def run(function, args, options):
    """Call a function of NumPy on what is on the device."""
    name = function.__name__
    for x in _flat((*args, *options.values())):
        if isinstance(x, np.ndarray) and name not in POSITIONS | FROM_HOST:
            raise TypeError(f"Unsupported type {type(x)}")
        if not isinstance(x, (DeviceArray, np.ndarray, np.generic, int, float, complex, str, type, type(None))):
            raise TypeError(f"Unsupported type {type(x)}")
    return wrapped(function(*bare(args), **bare(options)))


def _flat(values):
    for x in values:
        if isinstance(x, (list, tuple)):
            yield from _flat(x)
        else:
            yield x


def modules():
    """The modules by name, made anew."""
    found = {}
    for where, names, numpy in (
        ("cupy", FUNCTIONS, np),
        ("cupy.linalg", "solve det inv norm cholesky", np.linalg),
        ("cupy.fft", "fft ifft rfft", np.fft),
        ("cupy.random", "normal", np.random),
    ):
        module = found[where] = types.ModuleType(where)
        for name in names.split():
            space = {"_run": run, "_function": getattr(numpy, name), "__name__": f"{where}._routines"}
            exec(f"def {name}(*args, **options): return _run(_function, args, options)", space)
            setattr(module, name, space[name])
    cupy = found["cupy"]
    for name in UFUNCS.split():
        setattr(cupy, name, Ufunc(name))
    for name in ("linalg", "fft", "random"):
        setattr(cupy, name, found[f"cupy.{name}"])
    cupy.concat = cupy.concatenate
    cupy.ndarray = DeviceArray
    cupy.size = operator.attrgetter("size")
    return found


def install(monkeypatch):
    """Put the modules where ``import cupy`` finds them; returns the first."""
    for name in [name for name in sys.modules if name.partition(".")[0] in {"cupy", "cupyx"}]:
        monkeypatch.delitem(sys.modules, name)
    found = modules()
    for name, module in found.items():
        monkeypatch.setitem(sys.modules, name, module)
    return found["cupy"]
