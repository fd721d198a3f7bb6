"""An array that behaves as CuPy's do, in the host's memory: what NumPy's functions dispatch on, and no NumPy array.

It refuses what CuPy refuses: `np.asarray` of it, and NumPy arrays as operands. NumPy numbers are taken, NumPy arrays as
positions too, and reductions to one number return an array without axes.
"""

import contextlib
import operator
from unittest import mock

import numpy as np

#: Arguments of NumPy functions that CuPy copies to the device by itself: positions and sections.
POSITIONS = {"take", "take_along_axis", "split", "array_split", "repeat", "delete", "insert", "pad", "bincount"}

#: Functions that make an array of the device of a host's.
FROM_HOST = {"array", "asarray", "ascontiguousarray"}
#: What CuPy's ufuncs can do but be called; tests/cuda/test_cupy.py asks CuPy.
METHODS = {"add": {"reduce", "accumulate", "at"}, "multiply": {"reduce", "accumulate"}}
METHODS |= {"maximum": {"at"}, "minimum": {"at"}}


#: What arrays were asked for: functions of NumPy, with the names of their options.
ASKED = set()


class DeviceArray:
    """A NumPy array out of NumPy's sight; `DeviceArray.copies` counts the crossings."""

    copies = 0
    device = "fake:0"

    def __init__(self, host):
        assert isinstance(host, np.ndarray)
        self._host = host

    # -- the two ways across ------------------------------------------------------------------------------

    @classmethod
    def put(cls, x):
        cls.copies += 1
        return cls(np.array(x))

    def get(self):
        DeviceArray.copies += 1
        return self._host.copy()

    # -- what NumPy calls ---------------------------------------------------------------------------------

    def __array__(self, *_args, **_options):
        raise TypeError("Implicit conversion of a device array to a NumPy array is not allowed.")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if not all(isinstance(x, (DeviceArray, np.ndarray, np.generic, int, float, complex)) for x in inputs):
            return NotImplemented
        ASKED.add((ufunc.__name__, method, tuple(sorted(options))))
        if method != "__call__" and method not in METHODS.get(ufunc.__name__, ()):
            raise NotImplementedError(f"`cupy_{ufunc.__name__}.{method}` is not supported yet")
        for x in inputs:
            if isinstance(x, np.ndarray):
                raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        if "out" in options:
            (out,) = options["out"]
            if not isinstance(out, DeviceArray):
                raise TypeError("Unsupported type <class 'numpy.ndarray'>")
            options["out"] = (out._host,)
            getattr(ufunc, method)(*map(bare, inputs), **options)
            return out
        options = {key: bare(v) for key, v in options.items()}
        return wrapped(getattr(ufunc, method)(*map(bare, inputs), **options))

    def __array_function__(self, func, types, args, options):
        if not all(issubclass(t, DeviceArray) for t in types):
            return NotImplemented
        ASKED.add((f"{func.__module__}.{func.__name__}", len(args), tuple(sorted(options))))
        if func is np.linalg.diagonal:
            return NotImplemented
        for name in {"initial", "device"} & set(options):
            raise TypeError(f"{func.__name__}() got an unexpected keyword argument {name!r}")
        hosts = (np.ndarray,) if func.__name__ not in POSITIONS | FROM_HOST else ()
        if any(isinstance(x, hosts) for x in args):
            raise TypeError(f"Unsupported type <class 'numpy.ndarray'> in {func.__name__}")
        return wrapped(func(*bare(args), **bare(options)))

    # -- an array -----------------------------------------------------------------------------------------

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    strides = property(lambda self: self._host.strides)
    base = property(lambda self: None if self._host.base is None else self._host.base)
    T = property(lambda self: DeviceArray(self._host.T))
    mT = property(lambda self: DeviceArray(self._host.mT))  # noqa: N815 - NumPy's name
    real = property(lambda self: DeviceArray(np.asarray(self._host.real)))
    imag = property(lambda self: DeviceArray(np.asarray(self._host.imag)))

    def __getitem__(self, index):
        index = bare(index)
        found = self._host[index]
        if isinstance(found, np.generic):  # a view, as everywhere else
            found = self._host[(*index, ...) if isinstance(index, tuple) else (index, ...)]
        return DeviceArray(found)

    def __setitem__(self, index, value):
        if isinstance(value, np.ndarray):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        self._host[bare(index)] = bare(value)

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        return bool(self._host)

    def __float__(self):
        return float(self._host)

    def __int__(self):
        return int(self._host)

    def __index__(self):
        return operator.index(self._host)

    def __complex__(self):
        return complex(self._host)

    def __format__(self, spec):
        return format(self._host[()], spec)

    def __repr__(self):
        return f"DeviceArray({self._host!r})"


def bare(x):
    if isinstance(x, DeviceArray):
        return x._host
    if isinstance(x, (tuple, list)):
        return type(x)(map(bare, x))
    return {key: bare(v) for key, v in x.items()} if isinstance(x, dict) else x


def wrapped(x):
    if isinstance(x, (np.ndarray, np.generic)):
        return DeviceArray(np.asarray(x))
    if isinstance(x, tuple):
        return tuple(map(wrapped, x))
    return list(map(wrapped, x)) if type(x) is list else x


def _method(name):
    def method(self, *args, **options):
        return wrapped(getattr(self._host, name)(*bare(args), **bare(options)))

    return method


_BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "matmul": np.matmul,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
_COMPARED = {"lt": np.less, "gt": np.greater, "le": np.less_equal, "ge": np.greater_equal}
_COMPARED |= {"eq": np.equal, "ne": np.not_equal}
_UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}


def _takes(other):
    return getattr(other, "__array_ufunc__", "") is not None


for _name, _ufunc in _BINARY.items():
    setattr(DeviceArray, f"__{_name}__", lambda a, b, f=_ufunc: f(a, b) if _takes(b) else NotImplemented)
    setattr(DeviceArray, f"__r{_name}__", lambda a, b, f=_ufunc: f(b, a) if _takes(b) else NotImplemented)
    setattr(DeviceArray, f"__i{_name}__", lambda a, b, f=_ufunc: f(a, b, out=a))
for _name, _ufunc in _COMPARED.items():
    setattr(DeviceArray, f"__{_name}__", lambda a, b, f=_ufunc: f(a, b))
for _name, _ufunc in _UNARY.items():
    setattr(DeviceArray, f"__{_name}__", lambda a, f=_ufunc: f(a))
DeviceArray.__hash__ = None
for _name in (
    *("all", "any", "argmax", "argmin", "argsort", "astype", "clip", "conj", "copy", "cumprod", "cumsum", "diagonal"),
    *("dot", "flatten", "item", "max", "mean", "min", "nonzero", "prod", "ravel", "repeat", "reshape", "round"),
    *("squeeze", "std", "sum", "swapaxes", "take", "tolist", "trace", "transpose", "var", "view"),
):
    setattr(DeviceArray, _name, _method(_name))

put = DeviceArray.put


@contextlib.contextmanager
def simulated():
    """Let the kernels in Numba's simulator take and return these arrays; return the name of their device."""
    from autodiff import device
    from kernels.cuda import arrays

    memory = property(lambda self: self._host)
    fake = device.Device(lambda x, _: put(x), lambda x: isinstance(x, DeviceArray))
    with (
        mock.patch.object(arrays, "_fake", return_value=DeviceArray),
        mock.patch.object(DeviceArray, "_ary", memory, create=True),
        mock.patch.object(DeviceArray, "__cuda_array_interface__", memory, create=True),
        mock.patch.dict(device.DEVICES, {"fake": fake}),
    ):
        yield "fake"
