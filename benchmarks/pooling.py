"""Time pooling, forward and with its gradient, beside PyTorch in both of its memory formats.

Run from a checkout::

    python benchmarks/pooling.py [--device D] [--threads N] [--quick] [--rounds N] [--only TEXT ...] [--json FILE]

Figures are GB/s of the arrays that must be read and written. The peer is the faster of PyTorch's formats; ours is the
layout NCHW, and NHWC stands beside it. A step is the result and the gradient. Target: a geometric mean of 1.0 for
steps. The times mean something only on a machine that does nothing else.

Devices: cpu; cuda, beside PyTorch in the layout NCHW, with 1.0 wanted; cuda-sim, which checks a small pool in the
simulator and times nothing.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path[:] = [str(Path(__file__).resolve().parents[1]), *sys.path[1:]]

from benchmarks import _device, _kernels  # noqa: E402

if __name__ == "__main__":
    OPTIONS = _kernels.options(__doc__, devices=_device.DEVICES)

import numpy as np  # noqa: E402

import autodiff  # noqa: E402, F401 - it sets how the allocator keeps memory, for every contender
from kernels import cpu  # noqa: E402

# Each: name, shape of the images, window, stride.
CASES = (
    ("lecture L17, 1st", (100, 32, 28, 28), 2, 2),
    ("lecture L17, 2nd", (100, 64, 14, 14), 2, 2),
    ("AlexNet-like 64 55", (8, 64, 55, 55), 3, 2),
    ("AlexNet-like 96 55", (8, 96, 55, 55), 3, 2),
    ("VGG 64 224", (8, 64, 224, 224), 2, 2),
    ("VGG 256 56", (8, 256, 56, 56), 2, 2),
    ("global 512 7", (8, 512, 7, 7), 7, 7),
)
NONE = ((0, 0), (0, 0))


def _last(x: Any) -> Any:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def _ours(kind: str, x: Any, g: Any, window: int, stride: int, layout: str, *, step: bool) -> Callable[[], Any]:
    places = (window, window), (stride, stride), NONE

    def maximum() -> Any:
        y, index = cpu.max_pool2d(x, *places, layout)
        return (y, cpu.max_pool2d_gradient(g, index, x.shape, layout, windows=places)) if step else (y,)

    def average() -> Any:
        y = cpu.avg_pool2d(x, *places, layout)
        return (y, cpu.avg_pool2d_gradient(g, x.shape, *places, layout)) if step else (y,)

    run = maximum if kind == "max" else average
    if layout == "NCHW":
        return run
    return lambda: tuple(a.transpose(0, 3, 1, 2) for a in run())


def _torch(torch: Any, kind: str, x: Any, g: Any, window: int, stride: int, memory: Any, *, step: bool) -> Any:
    x, g = (torch.from_numpy(a).contiguous(memory_format=memory) for a in (x, g))
    w, s, aten = [window] * 2, [stride] * 2, torch.ops.aten

    def maximum() -> Any:
        y, index = aten.max_pool2d_with_indices(x, w, s)
        if not step:
            return (y,)
        return y, aten.max_pool2d_with_indices_backward(g, x, w, s, [0, 0], [1, 1], False, index)

    def average() -> Any:
        y = aten.avg_pool2d(x, w, s)
        return (y, aten.avg_pool2d_backward(g, x, w, s, [0, 0], False, True, None)) if step else (y,)

    return maximum if kind == "max" else average


def cases(found: Any) -> Iterator[_kernels.KernelCase]:
    """Yield each pool, of maxima and of averages, forward and then as a step."""
    torch = _kernels.torch_module(found.threads)
    every = [(step, kind, case) for step in (False, True) for kind in ("max", "average") for case in CASES]
    for step, kind, (name, shape, window, stride) in every:
        group = "steps" if step else "forward"
        if _kernels.wanted(found, group, f"{kind} {name}"):
            rng = np.random.default_rng(0)
            x = rng.standard_normal(shape, dtype=np.float32)
            out = (shape[2] - window) // stride + 1
            g = rng.standard_normal((*shape[:2], out, out), dtype=np.float32)
            views = np.lib.stride_tricks.sliding_window_view(x, (window, window), (2, 3))[:, :, ::stride, ::stride]
            forward = (views.max((4, 5)) if kind == "max" else views.mean((4, 5), dtype=float)).astype(np.float32)
            plain = _ours(kind, x, g, window, stride, "NCHW", step=step)
            turned = _ours(kind, _last(x), _last(g), window, stride, "NHWC", step=step)
            runs: dict[str, Any] = {"ours": plain, "ours NHWC": turned, "torch": None, "torch last": None}
            if torch is not None:
                formats = {"torch": torch.contiguous_format, "torch last": torch.channels_last}
                for peer, memory in formats.items():
                    runs[peer] = _torch(torch, kind, x, g, window, stride, memory, step=step)
            expected = (forward, *plain()[1:])
            work = (x.nbytes + g.nbytes) * (2 if step else 1)
            yield _kernels.KernelCase(group, f"{kind} {name}", runs, expected, work, 1e-5, ("torch", "torch last"))


def _gradient(kind: str, x: Any, g: Any, window: int, stride: int) -> Any:
    """Return the gradient of a pool in float64."""
    gx = np.zeros(x.shape)
    for row in range(g.shape[2]):
        for column in range(g.shape[3]):
            place = ..., slice(row * stride, row * stride + window), slice(column * stride, column * stride + window)
            share = np.full((window, window), window**-2.0)
            if kind == "max":
                flat = x[place].reshape(*x.shape[:2], -1)
                chosen = np.arange(flat.shape[2]) == flat.argmax(2)[..., None]
                share = chosen.reshape(*x.shape[:2], window, window)
            gx[place] += share * g[:, :, row, column, None, None]
    return gx


def _device_pools(kind: str, window: int, stride: int, *, step: bool) -> tuple[Any, Any]:
    """Return what ours and PyTorch do with images and adjoints on the device."""
    from kernels import cuda

    places = (window, window), (stride, stride), NONE

    def ours(x: Any, g: Any) -> Any:
        if kind == "max":
            y, index = cuda.max_pool2d(x, *places)
            return (y, cuda.max_pool2d_gradient(g, index, x.shape, windows=places)) if step else (y,)
        y = cuda.avg_pool2d(x, *places)
        return (y, cuda.avg_pool2d_gradient(g, x.shape, *places)) if step else (y,)

    def torch(x: Any, g: Any) -> Any:
        import torch

        w, s, aten = [window] * 2, [stride] * 2, torch.ops.aten
        if kind == "max":
            y, index = aten.max_pool2d_with_indices(x, w, s)
            if not step:
                return (y,)
            return y, aten.max_pool2d_with_indices_backward(g, x, w, s, [0, 0], [1, 1], False, index)
        y = aten.avg_pool2d(x, w, s)
        return (y, aten.avg_pool2d_backward(g, x, w, s, [0, 0], False, True, None)) if step else (y,)

    return ours, torch


def device_cases(library: _device.Library, found: Any) -> Iterator[_kernels.KernelCase]:
    """Yield each pool, of maxima and of averages, forward and then as a step."""
    pools = (("tiny", (1, 2, 5, 4), 3, 1),) if library.simulated else CASES
    every = [(step, kind, case) for step in (False, True) for kind in ("max", "average") for case in pools]
    for step, kind, (name, shape, window, stride) in every:
        group = "steps" if step else "forward"
        if not _kernels.wanted(found, group, f"{kind} {name}"):
            continue
        rng = np.random.default_rng(0)
        x = rng.standard_normal(shape, dtype=np.float32)
        views = np.lib.stride_tricks.sliding_window_view(x, (window, window), (2, 3))[:, :, ::stride, ::stride]
        y = views.max((4, 5)) if kind == "max" else views.mean((4, 5), dtype=float)
        g = rng.standard_normal(y.shape, dtype=np.float32)
        expected = (y, _gradient(kind, x, g, window, stride)) if step else (y,)
        work = (x.nbytes + g.nbytes) * (2 if step else 1)
        ours, torch = _device_pools(kind, window, stride, step=step)
        contenders = {"ours": ("cupy", ours), "torch": ("torch", torch)}
        yield _device.case(library, group, f"{kind} {name}", (x, g), contenders, expected, work, 1e-5, "bytes")


def main(found: Any) -> int:
    """Measure and print."""
    if found.device != "cpu":
        wanted = {"steps": (1.0, 0.0), "forward": (1.0, 0.0)}
        return _device.run(lambda library: device_cases(library, found), found, unit="GB/s", targets=wanted)
    return _kernels.run(cases(found), found, unit="GB/s", targets={"steps": (1.0, 0.0)})


if __name__ == "__main__":
    raise SystemExit(main(OPTIONS))
