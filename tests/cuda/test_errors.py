"""What every kernel of the device refuses, and how failures of the driver reach the caller: by name, at the call."""

import inspect
import sys

import numpy as np
import pytest

from kernels import chains, contracts, cpu
from kernels import cuda as kernels
from kernels.cuda import arrays, launch

X, W = np.ones((1, 2, 4, 4), np.float32), np.ones((2, 2, 2, 2), np.float32)
ROWS, LABELS = np.ones((3, 4), np.float32), np.array([0, 1, 2])
C, INDEX = np.ones(2, np.float32), np.zeros((1, 2, 2, 2), np.int32)
# Arguments of each kernel, arrays as names of what it calls them.
CALLS = {
    "argmax": {"x": ROWS},
    "argmin": {"x": ROWS},
    "avg_pool2d": {"x": X, "window": (2, 2), "stride": (2, 2)},
    "avg_pool2d_gradient": {"g": X[..., :2, :2], "input_shape": X.shape, "window": (2, 2), "stride": (2, 2)},
    "batch_norm_apply": {"x": X, "mean": C, "scale": C, "shift": C},
    "batch_norm_gradient": {"g": X, "x": X, "mean": C, "scale": C, "level": C, "slope": C},
    "batch_norm_statistics": {"x": X},
    "batch_norm_sums": {"g": X, "x": X, "mean": C},
    "chain": {"steps": "exp", "x": ROWS},
    "conv2d": {"x": X, "w": W, "bias": C},
    "conv2d_input_gradient": {"g": X[..., :3, :3], "w": W, "input_shape": X.shape},
    "conv2d_weight_gradient": {"x": X, "g": X[..., :3, :3], "kernel_shape": W.shape},
    "conv_transpose2d": {"x": X, "w": W, "bias": C},
    "embedding_gather": {"table": ROWS, "index": LABELS},
    "embedding_scatter_add": {"g": ROWS, "index": LABELS, "rows": 3},
    **{name: {"x": ROWS} for name in ("erf", "exp", "expm1", "log", "log1p", "relu", "sigmoid", "softplus", "tanh")},
    "log_softmax": {"x": ROWS},
    "matmul": {"a": ROWS, "b": ROWS.T, "bias": np.ones(3, np.float32)},
    "max_pool2d": {"x": X, "window": (2, 2), "stride": (2, 2)},
    "max_pool2d_gather": {"t": X, "index": INDEX},
    "max_pool2d_gradient": {"g": X[..., :2, :2], "index": INDEX, "input_shape": X.shape},
    **{f"reduce_{name}": {"x": ROWS} for name in ("max", "mean", "min", "prod", "sum")},
    "relu_gate": {"t": ROWS, "y": ROWS},
    "softmax": {"x": ROWS},
    "softmax_cross_entropy": {"logits": ROWS, "labels": LABELS},
    "softmax_cross_entropy_gradient": {"weights": ROWS[:, 0], "probabilities": ROWS, "labels": LABELS},
}
every_kernel = pytest.mark.parametrize("name", sorted(CALLS))


def on_device(gpu, arguments):
    return {key: gpu.put(v) if isinstance(v, np.ndarray) else v for key, v in arguments.items()}


def test_each_kernel_is_listed_here():
    assert set(CALLS) == set(kernels.__all__)


@every_kernel
def test_host_arrays_are_refused(gpu, name):
    given = CALLS[name]
    for key in (key for key, value in given.items() if isinstance(value, np.ndarray)):
        arguments = on_device(gpu, given) | {key: given[key]}
        message = rf"^{name}: {key} must be an array on the device, got numpy.ndarray in the host's memory; copy it"
        with pytest.raises(TypeError, match=message):
            getattr(kernels, name)(**arguments)


@every_kernel
def test_dtypes_without_a_kernel_are_refused(gpu, name):
    for dtype in (np.int16, np.complex64):
        floats = {k: v.astype(dtype) for k, v in CALLS[name].items() if isinstance(v, np.ndarray) and v.dtype == "f4"}
        with pytest.raises(TypeError, match=rf"^{name}: expected .*float32.*float64.* got .*{np.dtype(dtype)}"):
            getattr(kernels, name)(**on_device(gpu, CALLS[name] | floats))


class Full:
    """An array library whose device is full."""

    class cuda:  # noqa: N801 - CuPy's name
        class runtime:  # noqa: N801
            @staticmethod
            def memGetInfo():  # noqa: N802
                return 1000, 2000

    @staticmethod
    def empty(shape, dtype):
        raise MemoryError("out of memory")


@every_kernel
def test_no_room_names_the_kernel_and_the_bytes(gpu, name, monkeypatch):
    library = arrays.modules()

    class Library(Full):
        def __getattr__(self, attribute):
            return getattr(library, attribute)

    arguments = on_device(gpu, CALLS[name])
    monkeypatch.setattr(arrays, "modules", Library)
    message = rf"^{name}: a result of shape .* takes \d+ bytes on the device"
    with pytest.raises(MemoryError, match=message):
        getattr(kernels, name)(**arguments)


def test_no_room_says_what_is_free(monkeypatch):
    monkeypatch.setattr(arrays, "SIMULATED", False)
    monkeypatch.setattr(arrays, "modules", lambda: Full)
    message = r"^softmax: a result of shape \(3, 5\) takes 60 bytes on the device, 1000 are free\.$"
    with pytest.raises(MemoryError, match=message):
        arrays.empty("softmax", (3, 5), np.float32)


class OutOfMemoryError(MemoryError):
    """CuPy's."""


#: Functions of the library that copy, or make what a kernel works with.
ALLOCATING = ["argsort", "asarray", "ascontiguousarray", "copy", "empty", "minimum", "searchsorted", "where", "zeros"]


@every_kernel
def test_no_room_for_copies_names_the_kernel_too(gpu, name, monkeypatch):
    arguments = on_device(gpu, CALLS[name])
    library = arrays.modules()

    class Library:
        def __getattr__(self, attribute):
            if attribute in ALLOCATING:
                raise OutOfMemoryError("Out of memory allocating 1,536 bytes (allocated so far: 7 bytes).")
            return getattr(library, attribute)

    for module in [module for key, module in sys.modules.items() if key.startswith("kernels.cuda.")]:
        if hasattr(module, "modules"):
            monkeypatch.setattr(module, "modules", Library)
    message = rf"^{name}: (a result of shape .* takes|the device has no room for) \d+ bytes"
    with pytest.raises(MemoryError, match=message):
        getattr(kernels, name)(**arguments)


def test_no_room_for_copies_says_what_is_free(monkeypatch):
    def work():
        raise OutOfMemoryError("Out of memory allocating 1,536 bytes (allocated so far: 7 bytes).")

    monkeypatch.setattr(arrays, "SIMULATED", False)
    monkeypatch.setattr(arrays, "modules", lambda: Full)
    message = r"^softmax: the device has no room for 1536 bytes to work with, 1000 are free\.$"
    with pytest.raises(MemoryError, match=message):
        arrays.telling("softmax", work)()


@every_kernel
def test_lists_and_numbers_are_no_arrays_of_the_device(gpu, name):
    given = CALLS[name]
    for key in (key for key, value in given.items() if isinstance(value, np.ndarray)):
        for host in (given[key].tolist(), given[key].flat[0], np.ma.masked_array(given[key])):
            with pytest.raises(
                TypeError, match=rf"^{name}: {key} must be an array on the device, got .* in the host's"
            ):
                getattr(kernels, name)(**on_device(gpu, given) | {key: host})


def test_kernels_are_never_given_arrays_of_the_host(monkeypatch):
    monkeypatch.setattr(launch, "SIMULATED", False)
    monkeypatch.setattr(launch.cuda, "get_current_device", lambda: Device((9, 0)), raising=False)
    kernel = launch.Kernel("rows", Working(), None, "", (7, 5), simulable=True, registers=32, shared=0)
    with pytest.raises(TypeError, match=r"^softmax: the kernel rows was given an array in the host's memory\.$"):
        kernel.launch("softmax", 2, 8, np.ones(3), 4)


class Failing:
    """A compiled kernel that the driver refuses to launch."""

    def __getitem__(self, geometry):
        def run(*args):
            raise OSError("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES")

        return run


@every_kernel
def test_failed_launches_name_the_operation(gpu, name, monkeypatch):
    if not launch.SIMULATED:
        pytest.skip("the launch is replaced in the simulator's place")
    arguments = on_device(gpu, CALLS[name])
    monkeypatch.setattr(launch, "SIMULATED", False)
    monkeypatch.setattr(launch, "HOST", ())  # of which the simulator's arrays are made
    monkeypatch.setattr(launch.cuda, "get_current_device", lambda: Device((9, 0)), raising=False)
    monkeypatch.setattr(arrays, "stream", lambda: 0)
    monkeypatch.setattr(launch.Kernel, "__getattribute__", failing)
    with pytest.raises(
        RuntimeError, match=rf"^{name}: the kernel \w+ was not launched on \d+ blocks of .*: CUDA_ERROR"
    ):
        getattr(kernels, name)(**arguments)


@every_kernel
def test_old_devices_are_refused(gpu, name, monkeypatch):
    if not launch.SIMULATED:
        pytest.skip("the device is replaced in the simulator's place")
    arguments = on_device(gpu, CALLS[name])
    monkeypatch.setattr(launch, "SIMULATED", False)
    monkeypatch.setattr(launch.cuda, "get_current_device", lambda: Device((5, 0)), raising=False)
    monkeypatch.setattr(arrays, "stream", lambda: 0)
    message = rf"^{name}: the kernel \w+ needs compute capability \d\.\d, the device has 5\.0\.$"
    with pytest.raises(RuntimeError, match=message):
        getattr(kernels, name)(**arguments)


class Device:
    def __init__(self, capability):
        self.compute_capability = capability


class Stream:
    def synchronize(self):
        raise OSError("CUDA_ERROR_ILLEGAL_ADDRESS")


class Working:
    """A compiled kernel that is launched, whatever becomes of it."""

    def __getitem__(self, geometry):
        return lambda *args: None


@pytest.mark.parametrize("blocking", [False, True])
def test_failures_inside_kernels_reach_the_call_that_caused_them_if_it_waits(blocking, monkeypatch):
    monkeypatch.setattr(launch, "SIMULATED", False)
    monkeypatch.setattr(launch, "BLOCKING", blocking)
    monkeypatch.setattr(launch.cuda, "get_current_device", lambda: Device((9, 0)), raising=False)
    monkeypatch.setattr(arrays, "stream", Stream)
    kernel = launch.Kernel("rows", Working(), None, "", (7, 5), simulable=True, registers=32, shared=0)
    if not blocking:
        kernel.launch("softmax", 2, 8)
        kernel = launch.Kernel("rows", Failing(), None, "", (7, 5), simulable=True, registers=32, shared=0)
        message = r"^softmax: .*: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES \(an earlier kernel may have failed: CUDA_LAUNCH"
        with pytest.raises(RuntimeError, match=message):
            kernel.launch("softmax", 2, 8)
        return
    with pytest.raises(RuntimeError, match=r"^softmax: the kernel rows failed on 2 blocks of 8 threads: CUDA_ERROR"):
        kernel.launch("softmax", 2, 8)


def test_without_cupy_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(arrays, "SIMULATED", False)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match=r'kernels.cuda needs CuPy: install the extra, pip install "autodiff-engine'):
        arrays.modules.__wrapped__()


def failing(kernel, attribute):
    return Failing() if attribute == "function" else object.__getattribute__(kernel, attribute)


@every_kernel
def test_signatures_are_those_of_the_cpu(name):
    contract = getattr(next(module for module in (cpu, contracts, chains) if hasattr(module, name)), name)
    parameters = [
        [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
        for function in (getattr(kernels, name), contract)
    ]
    more = [p for p in parameters[0] if p not in parameters[1]]  # such as the precision of tensor cores
    assert [p for p in parameters[0] if p in parameters[1]] == parameters[1]
    assert all(kind == inspect.Parameter.KEYWORD_ONLY and default is None for _, kind, default in more)
    if hasattr(cpu, name):
        assert inspect.getdoc(getattr(kernels, name)).splitlines()[0] == inspect.getdoc(contract).splitlines()[0]
