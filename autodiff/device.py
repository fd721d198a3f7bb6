"""The ways between devices: `device_put`, and `from_dlpack` for arrays of other libraries.

A value lives where its array does: NumPy's on the host, CuPy's on a GPU. The engine differentiates both with the same
rules, and nothing crosses unless one of these functions is called. Numbers belong to every device.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodiff import tree
from autodiff.core.backend import adopted, bottom, foreign, is_array, released
from autodiff.core.batching import pointwise
from autodiff.core.errors import DeviceError, describe
from autodiff.core.forms import linear
from autodiff.core.memory import tell
from autodiff.core.samples import Sample
from autodiff.core.spec import Spec, dtype_of, shape_of
from autodiff.core.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable

    from autodiff.core.operation import Operation

__all__ = ["device_put", "from_dlpack", "move", "place"]

_EXTRA = 'install the extra, pip install "autodiff-engine[cuda]"'


class Device(NamedTuple):
    """How arrays of a kind of device are made of NumPy's, and told from others."""

    put: Callable[[Any, str], Any]
    owns: Callable[[Any], bool]


def _cupy(name: str) -> Any:
    """Return CuPy, if it is installed and sees a device."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise ImportError(f"{name}: arrays on a GPU are CuPy's, which is not installed: {_EXTRA}.") from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        raise RuntimeError(
            f"{name}: CuPy finds no CUDA driver or device ({error}); work on the host instead."
        ) from error
    if not count:
        raise RuntimeError(f"{name}: the CUDA driver sees no device. Is CUDA_VISIBLE_DEVICES empty?")
    return cupy


def _to_cuda(x: Any, device: str) -> Any:
    cupy = _cupy("device_put")
    number = device.partition(":")[2]
    if not number:
        return _allocated(cupy.asarray, x)
    if not number.isdecimal() or int(number) >= cupy.cuda.runtime.getDeviceCount():
        raise ValueError(f"device_put: there is no device {device!r}; the first is 'cuda:0'.")
    with cupy.cuda.Device(int(number)):
        return _allocated(cupy.asarray, x)


def _allocated(make: Callable[[Any], Any], x: Any) -> Any:
    try:
        return make(x)
    except MemoryError as error:
        tell(error, f"device_put of {describe(x)}")
        raise


def _is_cuda(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "cupy"


#: Kinds of devices besides the host, by the name before the colon.
DEVICES: dict[str, Device] = {"cuda": Device(_to_cuda, _is_cuda)}


def place(x: Any) -> str:
    """Name of the device of an array, as `device_put` takes it."""
    for kind, device in DEVICES.items():
        if device.owns(x):
            number = getattr(getattr(x, "device", None), "id", None)
            return kind if number is None else f"{kind}:{number}"
    return "elsewhere" if foreign(x) else "cpu"


def _moved(x: Any, target: str, source: str) -> Any:  # noqa: ARG001 - the source is the transpose's target
    here = place(x)
    if here == target or here.partition(":")[0] == target:
        return x
    if foreign(x):
        x = x.get() if hasattr(x, "get") else np.from_dlpack(released(x), copy=True)
    return x if target == "cpu" else DEVICES[target.partition(":")[0]].put(x, target)


def _moved_back(ct: Any, _y: Any, _x: Any, target: str, source: str) -> Any:
    value = bottom(ct)  # lives at the target, unless what was moved there is a number, which is everywhere
    return move(ct, target=source, source=target if value is None else place(value))


#: Moving one array; of a number, which is everywhere, it brings the adjoint back.
move: Operation = linear(
    _moved,
    _moved_back,
    name="device_put",
    samples=lambda rng: [Sample((rng.normal(size=s),), {"target": "cpu", "source": "cpu"}) for s in ((2, 3), (), (0,))],
    shape=lambda x, **_: Spec(shape_of(x), dtype_of(x)),
    structural=True,
    batch=pointwise,
)


def device_put(x: Any, device: str) -> Any:
    """Move the arrays of a tree to a device: with `from_dlpack`, the only way there and back.

    Parameters
    ----------
    x : tree
        Arrays of any shape and dtype in any nesting, such as a model, its gradient or the state of an optimiser.
        Numbers, text and whatever else is no array are left as they are. Traced arrays may be among them: moving is
        linear, and its transpose moves the adjoint back, that of a traced number too.
    device : str
        ``"cpu"``: NumPy arrays. ``"cuda"``: CuPy arrays on the current GPU, or on the one where they are already.
        ``"cuda:1"``: on GPU number 1.

    Returns
    -------
    tree
        The same tree. Arrays that are on the device already are not copied.

    Raises
    ------
    ValueError
        If there is no such device.
    ImportError
        If CuPy is not installed; the message names the extra.
    RuntimeError
        If there is no CUDA driver or no device.
    MemoryError
        CuPy's `OutOfMemoryError`, if the device is full; it says what was moved, the bytes asked for and those free.

    Notes
    -----
    Numbers are on every device, the entries of a host's array too: ``h[0] * x`` is right for `x` on a GPU. Its adjoint
    for `h` is brought back where `h` is an argument of the transform; where `h` was computed on the host, that is said
    by ``device_put(h[0], "cuda")``, and is an error otherwise. The derivative with respect to a number that was used on
    a GPU is an array without axes there, for which nothing has waited.

    Random numbers come from NumPy's generators, on the host: the same seed gives the same numbers, and so the same
    training run to rounding, wherever it runs. Draw initial parameters and batches on the host and move them: in
    training, ``lambda model, batch, **how: loss(model, device_put(batch, "cuda"), **how)`` is the loss for `nn.fit`.
    The adjoint of an index array that repeats positions is added in one order, on a GPU as well.

    Examples
    --------
    >>> import numpy as np
    >>> device_put({"w": np.ones(2), "steps": 3}, "cpu")
    {'w': array([1., 1.]), 'steps': 3}
    """
    kind, _, number = str(device).partition(":")
    if (kind not in DEVICES and kind != "cpu") or (kind == "cpu" and number):
        known = ", ".join(repr(k) for k in ("cpu", *DEVICES))
        raise ValueError(f"device_put: there is no device {device!r}; the devices are {known} and 'cuda:<number>'.")
    return tree.map(lambda v: _put(v, device), x, strict=False)


def _put(v: Any, device: str) -> Any:
    x = adopted(bottom(v))
    if x is None or not is_array(x):
        return move(v, target="cpu", source="cpu") if isinstance(v, Tracer) and x is not None else v
    if isinstance(v, Tracer):
        if released(x) is not x:
            raise DeviceError(
                f"device_put: {describe(x)} of {type(released(x)).__module__} has no way back, so it cannot be moved "
                "inside a transform; move it before."
            )
        return move(v, target=device, source=place(x))
    return _moved(x, device, "")


#: Types of devices in DLPack's numbers.
_HOST, _CUDA = {1}, {2, 13}


def from_dlpack(x: Any) -> Any:
    """Return an array of another library without a copy, through DLPack.

    Parameters
    ----------
    x : object with ``__dlpack__``
        Such as a PyTorch tensor, on the host or on a GPU.

    Returns
    -------
    array
        NumPy's or CuPy's, which shares the memory of `x`: what changes one changes the other. The way out is the other
        library's own, such as ``torch.from_dlpack(array)``.

    Raises
    ------
    TypeError
        If `x` has no ``__dlpack__``, or is traced: a derivative cannot leave.
    DeviceError
        If its device is neither the host nor a CUDA GPU.
    ImportError, RuntimeError
        As `device_put`, for a tensor on a GPU.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros(2)
    >>> from_dlpack(x)[0] = 1.0
    >>> x
    array([1., 0.])
    """
    if not hasattr(type(x), "__dlpack__"):
        raise TypeError(f"from_dlpack: {type(x).__module__}.{type(x).__qualname__} has no __dlpack__.")
    if isinstance(x, Tracer):
        raise x.refuse("from_dlpack()")
    kind = int(x.__dlpack_device__()[0])
    if kind in _HOST:
        return np.from_dlpack(x)
    if kind in _CUDA:
        return _cupy("from_dlpack").from_dlpack(x)
    raise DeviceError(f"from_dlpack: {describe(x)} is on a device of DLPack's type {kind}; move it to the host first.")
