"""Time convolution, forward and with its gradients, beside PyTorch (oneDNN) in both of its memory formats.

Run from a checkout::

    python benchmarks/conv.py [--device D] [--threads N] [--quick] [--rounds N] [--only TEXT ...] [--json FILE]

Figures are GFLOP/s. Both libraries run in both layouts of images, and the ratio is that of the faster of ours to the
faster of theirs. A step is what a training step asks for: the result and both gradients; for the first layer of a
network, whose images need no gradient, the result and the gradient by the filters. Targets: a geometric mean of 1.2 up
to 16 input channels and 0.95 for deeper ones, and no case below 0.8. The times mean something only on a machine that
does nothing else.

Devices: cpu; cuda, beside cuDNN as PyTorch calls it, without TF32, in the layout NCHW; cuda-sim, which checks small
layers in the simulator and times nothing.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:] = [str(Path(__file__).resolve().parents[1]), *sys.path[1:]]

from benchmarks import _device, _kernels  # noqa: E402

if __name__ == "__main__":
    OPTIONS = _kernels.options(__doc__, devices=_device.DEVICES)

import numpy as np  # noqa: E402

import autodiff  # noqa: E402, F401 - it sets how the allocator keeps memory, for every contender
from kernels import cpu  # noqa: E402


class Layer(NamedTuple):
    """A convolution: images n x channels x size x size, square filters; `first` has no gradient by its images."""

    name: str
    n: int
    channels: int
    size: int
    filters: int
    kernel: int
    padding: int
    stride: int = 1
    first: bool = False


LAYERS = (
    Layer("1-32 5x5 28", 64, 1, 28, 32, 5, 2, 1, True),
    Layer("32-64 5x5 14", 64, 32, 14, 64, 5, 2),
    Layer("3-64 5x5 32", 64, 3, 32, 64, 5, 2, 1, True),
    Layer("64-64 5x5 16", 64, 64, 16, 64, 5, 2),
    Layer("64-64 3x3 56", 32, 64, 56, 64, 3, 1),
    Layer("256-256 3x3 14", 8, 256, 14, 256, 3, 1),
    Layer("3-64 7x7/2 224", 8, 3, 224, 64, 7, 3, 2, True),
    Layer("64-256 1x1 56", 32, 64, 56, 256, 1, 0),
    Layer("32-32 3x3 32", 64, 32, 32, 32, 3, 1),
    Layer("lecture L17, 1st", 100, 1, 28, 32, 5, 2, 1, True),
    Layer("lecture L17, 2nd", 100, 32, 14, 64, 5, 2),
    Layer("Ketkar 7-7, 1st", 128, 1, 28, 32, 3, 0, 1, True),
    Layer("Ketkar 7-7, 2nd", 128, 32, 26, 32, 3, 0),
    Layer("Ekman C4, 1st", 32, 3, 32, 64, 5, 2, 2, True),
    Layer("Ekman C4, 2nd", 32, 64, 16, 64, 3, 1, 2),
    Layer("Ekman C5, 2nd", 32, 64, 32, 16, 2, 1),
    Layer("VGG-11 1", 8, 3, 224, 64, 3, 1, 1, True),
    Layer("VGG-11 2", 8, 64, 112, 128, 3, 1),
    Layer("VGG-11 3", 8, 128, 56, 256, 3, 1),
    Layer("VGG-11 4", 8, 256, 56, 256, 3, 1),
    Layer("VGG-11 5", 8, 256, 28, 512, 3, 1),
    Layer("VGG-11 6", 8, 512, 28, 512, 3, 1),
    Layer("VGG-11 7, 8", 8, 512, 14, 512, 3, 1),
)


def _ours(layer: Layer, x: Any, w: Any, g: Any, layout: str, *, step: bool) -> Callable[[], Any]:
    pair, padding = (layer.stride,) * 2, ((layer.padding,) * 2,) * 2
    places: dict[str, Any] = {"stride": pair, "padding": padding, "layout": layout}

    def forward() -> Any:
        return cpu.conv2d(x, w, **places)

    def training() -> Any:
        y = cpu.conv2d(x, w, **places)
        gw = cpu.conv2d_weight_gradient(x, g, w.shape, **places)
        return (y, gw) if layer.first else (y, gw, cpu.conv2d_input_gradient(g, w, x.shape, **places))

    return training if step else forward


def _torch(torch: Any, layer: Layer, x: Any, w: Any, g: Any, memory: Any, *, step: bool) -> Callable[[], Any]:
    x, w, g = (torch.from_numpy(a).contiguous(memory_format=memory) for a in (x, w, g))
    stride, padding = [layer.stride] * 2, [layer.padding] * 2

    def forward() -> Any:
        return torch.nn.functional.conv2d(x, w, None, stride, padding)

    def training() -> Any:
        y = torch.nn.functional.conv2d(x, w, None, stride, padding)
        gx, gw, _ = torch.ops.aten.convolution_backward(
            g, x, w, None, stride, padding, [1, 1], False, [0, 0], 1, [not layer.first, True, False]
        )
        return (y, gw) if layer.first else (y, gw, gx)

    return training if step else forward


def _last(x: Any) -> Any:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def _first(results: Any) -> Any:
    """Return images of layout NHWC in the order of NCHW, filters as they are: for the comparison of results."""
    if not isinstance(results, tuple):
        return results.transpose(0, 3, 1, 2)
    y, gw, *gx = results
    return (y.transpose(0, 3, 1, 2), gw, *(a.transpose(0, 3, 1, 2) for a in gx))


def cases(found: Any) -> Iterator[_kernels.KernelCase]:
    """Yield each layer forward and as a training step."""
    torch = _kernels.torch_module(found.threads)
    for layer in sorted(LAYERS, key=lambda layer: layer.channels > 16):
        group = "up to 16 input channels" if layer.channels <= 16 else "more input channels"
        names = {step: f"{layer.name} {'step' if step else 'forward'}" for step in (False, True)}
        steps = [step for step, name in names.items() if _kernels.wanted(found, group, name)]
        if not steps:
            continue
        rng = np.random.default_rng(0)
        x = rng.standard_normal((layer.n, layer.channels, layer.size, layer.size), dtype=np.float32)
        w = rng.standard_normal((layer.filters, layer.channels, layer.kernel, layer.kernel), dtype=np.float32)
        out = (layer.size + 2 * layer.padding - layer.kernel) // layer.stride + 1
        g = rng.standard_normal((layer.n, layer.filters, out, out), dtype=np.float32)
        for step in steps:
            work = 2.0 * g.size * w[0].size * (1 if not step else 2 if layer.first else 3)
            plain = _ours(layer, x, w, g, "NCHW", step=step)
            turned = _ours(layer, _last(x), w, _last(g), "NHWC", step=step)
            runs: dict[str, Any] = {"ours": plain, "ours NHWC": functools.partial(_then_first, turned)}
            runs |= {"torch": None, "torch last": None}
            if torch is not None:
                runs["torch"] = _torch(torch, layer, x, w, g, torch.contiguous_format, step=step)
                runs["torch last"] = _torch(torch, layer, x, w, g, torch.channels_last, step=step)
            expected = plain() if step else (_reference(x, w, layer),)
            yield _kernels.KernelCase(group, names[step], runs, expected, work, 2e-4, ("torch", "torch last"))


def _then_first(run: Callable[[], Any]) -> Any:
    return _first(run())


def _reference(x: Any, w: Any, layer: Layer) -> Any:
    """Return the result of the forward pass in float64, by a sum over the taps."""
    x = np.pad(x.astype(float), ((0, 0), (0, 0), (layer.padding,) * 2, (layer.padding,) * 2))
    out = (x.shape[2] - layer.kernel) // layer.stride + 1
    y = np.zeros((x.shape[0], out, out, w.shape[0]))
    for i in range(layer.kernel):
        for j in range(layer.kernel):
            part = x[:, :, i : i + out * layer.stride : layer.stride, j : j + out * layer.stride : layer.stride]
            y += np.tensordot(part[:, :, :out, :out], w[:, :, i, j].astype(float), (1, 1))
    return y.transpose(0, 3, 1, 2)


TINY = (Layer("2-3 3x3 5", 2, 2, 5, 3, 3, 1, 2), Layer("1-2 2x2 4", 1, 1, 4, 2, 2, 0, 1, True))


def _gradients(x: Any, w: Any, g: Any, layer: Layer) -> tuple[Any, Any]:
    """Return both gradients in float64, by a sum over the taps."""
    p, s, out = layer.padding, layer.stride, g.shape[2]
    x = np.pad(x.astype(float), ((0, 0), (0, 0), (p, p), (p, p)))
    g, gx, gw = g.astype(float), np.zeros_like(x), np.zeros(w.shape)
    for i in range(layer.kernel):
        for j in range(layer.kernel):
            place = ..., slice(i, i + (out - 1) * s + 1, s), slice(j, j + (out - 1) * s + 1, s)
            gw[:, :, i, j] = np.tensordot(g, x[place], ((0, 2, 3), (0, 2, 3)))
            gx[place] += np.tensordot(g, w[:, :, i, j].astype(float), (1, 0)).transpose(0, 3, 1, 2)
    return gw, gx[:, :, p : p + layer.size, p : p + layer.size]


def _device_step(layer: Layer, *, step: bool) -> tuple[Any, Any]:
    """Return what ours and PyTorch do with images, filters and adjoints on the device."""
    from kernels import cuda

    stride, padding = (layer.stride,) * 2, (layer.padding,) * 2
    places: dict[str, Any] = {"stride": stride, "padding": (padding, padding)}

    def ours(x: Any, w: Any, g: Any) -> Any:
        y = cuda.conv2d(x, w, **places)
        if not step:
            return (y,)
        gw = cuda.conv2d_weight_gradient(x, g, w.shape, **places)
        return (y, gw) if layer.first else (y, gw, cuda.conv2d_input_gradient(g, w, x.shape, **places))

    def torch(x: Any, w: Any, g: Any) -> Any:
        import torch

        y = torch.nn.functional.conv2d(x, w, None, stride, padding)
        if not step:
            return (y,)
        gx, gw, _ = torch.ops.aten.convolution_backward(
            g, x, w, None, stride, padding, [1, 1], False, [0, 0], 1, [not layer.first, True, False]
        )
        return (y, gw) if layer.first else (y, gw, gx)

    return ours, torch


def device_cases(library: _device.Library, found: Any) -> Iterator[_kernels.KernelCase]:
    """Yield each layer forward and as a training step."""
    for layer in TINY if library.simulated else LAYERS:
        group = "up to 16 input channels" if layer.channels <= 16 else "more input channels"
        for step in (False, True):
            name = f"{layer.name} {'step' if step else 'forward'}"
            if not _kernels.wanted(found, group, name):
                continue
            rng = np.random.default_rng(0)
            x = rng.standard_normal((layer.n, layer.channels, layer.size, layer.size), dtype=np.float32)
            w = rng.standard_normal((layer.filters, layer.channels, layer.kernel, layer.kernel), dtype=np.float32)
            y = _reference(x, w, layer)
            g = rng.standard_normal(y.shape, dtype=np.float32)
            gradients = _gradients(x, w, g, layer)[: 1 if layer.first else 2] if step else ()
            work = 2.0 * g.size * w[0].size * (1 if not step else 2 if layer.first else 3)
            ours, torch = _device_step(layer, step=step)
            contenders = {"ours": ("cupy", ours), "torch": ("torch", torch)}
            expected = (y, *gradients)
            yield _device.case(library, group, name, (x, w, g), contenders, expected, work, 1e-4, "float32")


def main(found: Any) -> int:
    """Measure and print, the few channels first."""
    if found.device != "cpu":
        wanted = {"up to 16 input channels": (1.0, 0.0), "more input channels": (0.7, 0.0)}
        return _device.run(lambda library: device_cases(library, found), found, unit="GFLOP/s", targets=wanted)
    targets = {"up to 16 input channels": (1.2, 0.8), "more input channels": (0.95, 0.8)}
    return _kernels.run(cases(found), found, unit="GFLOP/s", targets=targets, ours=("ours", "ours NHWC"))


if __name__ == "__main__":
    raise SystemExit(main(OPTIONS))
