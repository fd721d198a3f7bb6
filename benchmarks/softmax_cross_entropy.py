"""Time softmax cross-entropy with its gradient, and softmax itself, beside PyTorch.

Run from a checkout::

    python benchmarks/softmax_cross_entropy.py [--device D] [--threads N] [--quick] [--rounds N] [--only TEXT ...]

Figures are billions of logits per second. Target: the loss with its gradient at a geometric mean of 1.5. The times mean
something only on a machine that does nothing else.

Devices: cpu; cuda, beside PyTorch, where figures are GB/s of the arrays that must be read and written, and 1.0 is
wanted; cuda-sim, which checks a few rows in the simulator and times nothing.
"""

import functools
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

SHAPES = ((100, 10), (1024, 10), (256, 1000), (64, 30_000))


def _ours(logits: Any, labels: Any) -> Callable[[], Any]:
    weights = np.full(len(labels), 1 / len(labels), logits.dtype)

    def run() -> Any:
        loss, probabilities = cpu.softmax_cross_entropy(logits, labels)
        return loss.mean(), cpu.softmax_cross_entropy_gradient(weights, probabilities, labels)

    return run


def _torch(torch: Any, logits: Any, labels: Any) -> Callable[[], Any]:
    x, classes = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(labels)

    def run() -> Any:
        x.grad = None
        loss = torch.nn.functional.cross_entropy(x, classes)
        loss.backward()
        return loss, x.grad

    return run


def _reference(logits: Any, labels: Any) -> tuple[Any, Any, Any]:
    """Return the loss, its gradient and the softmax in float64."""
    x = logits.astype(float)
    x -= x.max(axis=1, keepdims=True)
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    gradient = p.copy()
    gradient[rows, labels] -= 1
    return -np.log(p[rows, labels]).mean(), gradient / len(labels), p


def cases(found: Any) -> Iterator[_kernels.KernelCase]:
    """Yield the loss with its gradient, then softmax and its logarithm."""
    torch = _kernels.torch_module(found.threads)
    rng = np.random.default_rng(0)
    data = [(3 * rng.standard_normal(shape, dtype=np.float32), rng.integers(0, shape[1], shape[0])) for shape in SHAPES]
    for logits, labels in data:
        if not _kernels.wanted(found, "cross-entropy and gradient", "{} x {}".format(*logits.shape)):
            continue
        loss, gradient, _ = _reference(logits, labels)
        runs: dict[str, Any] = {"ours": _ours(logits, labels), "torch": None}
        if torch is not None:
            runs["torch"] = _torch(torch, logits, labels)
        name = "{} x {}".format(*logits.shape)
        expected = [np.float32(loss), gradient.astype(np.float32)]
        yield _kernels.KernelCase("cross-entropy and gradient", name, runs, expected, logits.size, 1e-4, ("torch",))
    for function in ("softmax", "log_softmax"):
        for logits, labels in data:
            name = "{} {} x {}".format(function, *logits.shape)
            if not _kernels.wanted(found, "forward", name):
                continue
            p = _reference(logits, labels)[2]
            runs = {"ours": functools.partial(getattr(cpu, function), logits), "torch": None}
            if torch is not None:
                runs["torch"] = functools.partial(getattr(torch, function), torch.from_numpy(logits), 1)
            expected = [(p if function == "softmax" else np.log(p)).astype(np.float32)]
            yield _kernels.KernelCase("forward", name, runs, expected, logits.size, 1e-4, ("torch",))


def _device_ours(logits: Any, labels: Any, weights: Any) -> Any:
    from kernels import cuda

    loss, probabilities = cuda.softmax_cross_entropy(logits, labels)
    return loss, cuda.softmax_cross_entropy_gradient(weights, probabilities, labels)


def _device_torch(logits: Any, labels: Any, weights: Any) -> Any:
    import torch

    x = logits.detach().requires_grad_()
    loss = torch.nn.functional.cross_entropy(x, labels, reduction="none")
    (gradient,) = torch.autograd.grad(loss, x, weights)
    return loss, gradient


def device_cases(library: _device.Library, found: Any) -> Iterator[_kernels.KernelCase]:
    """Yield the loss with its gradient, then softmax and its logarithm."""
    from kernels import cuda

    torch = library.torch
    for shape in ((3, 5),) if library.simulated else (*SHAPES, (16_384, 1000)):
        rng = np.random.default_rng(0)
        logits, labels = 3 * rng.standard_normal(shape, dtype=np.float32), rng.integers(0, shape[1], shape[0])
        x = logits.astype(float)
        rest = x - x.max(1, keepdims=True)
        logs = rest - np.log(np.exp(rest).sum(1, keepdims=True))
        weights = np.full(shape[0], 1 / shape[0], np.float32)
        gradient = (np.exp(logs) - np.eye(shape[1])[labels]) * weights[:, None]
        group, name = "cross-entropy and gradient", "{} x {}".format(*shape)
        if _kernels.wanted(found, group, name):
            contenders: dict[str, Any] = {"ours": ("cupy", _device_ours), "torch": ("torch", _device_torch)}
            expected: tuple[Any, ...] = (-logs[np.arange(shape[0]), labels], gradient)
            inputs = (logits, labels, weights)
            yield _device.case(library, group, name, inputs, contenders, expected, 2.0 * logits.nbytes, 1e-4, "bytes")
        for function in ("softmax", "log_softmax"):
            peer = None if torch is None else ("torch", functools.partial(getattr(torch, function), dim=1))
            contenders = {"ours": ("cupy", getattr(cuda, function)), "torch": peer}
            expected = (np.exp(logs) if function == "softmax" else logs,)
            if _kernels.wanted(found, "forward", f"{function} {name}"):
                case = library, "forward", f"{function} {name}", (logits,), contenders, expected
                yield _device.case(*case, 2.0 * logits.nbytes, 1e-4, "bytes")


def main(found: Any) -> int:
    """Measure and print."""
    if found.device != "cpu":
        wanted = {"cross-entropy and gradient": (1.0, 0.0), "forward": (1.0, 0.0)}
        return _device.run(lambda library: device_cases(library, found), found, unit="GB/s", targets=wanted)
    targets = {"cross-entropy and gradient": (1.5, 0.0)}
    return _kernels.run(cases(found), found, unit="1e9 logits per second", targets=targets)


if __name__ == "__main__":
    raise SystemExit(main(OPTIONS))
