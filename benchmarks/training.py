"""Time one training step of networks of the books beside the same networks in eager PyTorch.

Run from a checkout::

    python benchmarks/training.py [--device cpu] [--threads N] [--quick] [--rounds N] [--only TEXT ...] [--json FILE]

A step is the forward pass, the loss, its gradient by all parameters and one update by Adam, on one batch of images that
is already in memory. PyTorch runs in both of its memory formats; the peer is the faster. Target: 1.1 times as fast, and
a peak of memory no higher (each measured in a process of its own). The times mean something only on a machine that does
nothing else.
"""

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:] = [str(ROOT), *sys.path[1:]]

from benchmarks import _kernels  # noqa: E402

if __name__ == "__main__" and "--peak" not in sys.argv:
    OPTIONS = _kernels.options(__doc__)

import numpy as np  # noqa: E402

BATCH = 100
CLASSES = 10


def _networks() -> dict[str, dict[str, Any]]:
    """Return the layers of each network: what a dense layer or a convolution takes and gives."""
    return {
        "lecture L17 (convolutional)": {
            "image": (1, 28, 28),
            "conv": ((1, 32, 5), (32, 64, 5)),
            "dense": (3136, 1024, 10),
        },
        "Hui B8 (dense)": {"image": (784,), "conv": (), "dense": (784, 256, 100, 10)},
    }


def _ours(plan: dict[str, Any], x: Any, labels: Any) -> Callable[[], Any]:
    import nn
    from autodiff import ops, value_and_grad

    rng = np.random.default_rng(0)
    layers: list[Any] = []
    for inputs, outputs, kernel in plan["conv"]:
        layers += [nn.Conv2d(inputs, outputs, kernel, padding="same", rng=rng), ops.relu, nn.MaxPool2d(2)]
    layers += [nn.Flatten()] if plan["conv"] else []
    for i, (inputs, outputs) in enumerate(zip(plan["dense"], plan["dense"][1:], strict=False)):
        layers += [ops.relu] if i else []
        layers += [nn.Dense(inputs, outputs, rng=rng)]
    model = nn.Sequential(*layers)

    def loss(model: Any, x: Any, labels: Any) -> Any:
        outputs, new = nn.apply(model, x, train=True, rng=rng)
        return ops.softmax_cross_entropy(outputs, labels), new

    gradient = value_and_grad(loss, has_aux=True)
    optimiser = nn.Adam(1e-3)
    state = {"model": model, "optimiser": optimiser.init(model)}

    def step() -> Any:
        (value, model), gradients = gradient(state["model"], x, labels)
        state["model"], state["optimiser"] = optimiser.update(gradients, state["optimiser"], model, donate=True)
        return value

    return step


def _torch(torch: Any, plan: dict[str, Any], x: Any, labels: Any, memory: Any) -> Callable[[], Any]:
    layers: list[Any] = []
    for inputs, outputs, kernel in plan["conv"]:
        layers += [
            torch.nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
        ]
    layers += [torch.nn.Flatten()] if plan["conv"] else []
    for i, (inputs, outputs) in enumerate(zip(plan["dense"], plan["dense"][1:], strict=False)):
        layers += [torch.nn.ReLU()] if i else []
        layers += [torch.nn.Linear(inputs, outputs)]
    model = torch.nn.Sequential(*layers)
    images, classes = torch.from_numpy(x), torch.from_numpy(labels)
    if images.ndim == 4:
        model, images = model.to(memory_format=memory), images.contiguous(memory_format=memory)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> Any:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(model(images), classes)
        value.backward()
        optimiser.step()
        return value

    return step


def _data(plan: dict[str, Any]) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    return rng.random((BATCH, *plan["image"]), dtype=np.float32), rng.integers(0, CLASSES, BATCH)


def cases(found: Any) -> Iterator[_kernels.KernelCase]:
    """Yield each network; `work` is the number of images, in units of 1e9 as the table divides by."""
    torch = _kernels.torch_module(found.threads)
    for name, plan in _networks().items():
        if not _kernels.wanted(found, "training step", name):
            continue
        x, labels = _data(plan)
        runs: dict[str, Any] = {"ours": _ours(plan, x, labels), "torch": None, "torch last": None}
        if torch is not None:
            runs["torch"] = _torch(torch, plan, x, labels, torch.contiguous_format)
            runs["torch last"] = _torch(torch, plan, x, labels, torch.channels_last)
        # The weights differ: what all must give at first is the loss of a network that knows nothing.
        expected = [np.log(CLASSES)]
        yield _kernels.KernelCase("training step", name, runs, expected, BATCH * 1e9, 0.5, ("torch", "torch last"))


def _high_water() -> float:
    """Return the peak of memory of this process so far, in MB; `getrusage` would count the parent's as well."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("the peak of memory is read from Linux's /proc")


def peak(which: str, name: str, threads: int) -> float:
    """Return the peak of memory of a process that takes 20 steps, in MB above that of its imports."""
    plan = _networks()[name]
    torch = _kernels.torch_module(threads) if which != "ours" else None
    if which == "ours":
        import nn
        from autodiff import ops

        assert nn
        ops.enable_kernels()
    before = _high_water()
    x, labels = _data(plan)
    step = _ours(plan, x, labels) if which == "ours" else _torch(torch, plan, x, labels, torch.contiguous_format)
    for _ in range(20):
        step()
    return _high_water() - before


def _peaks(threads: int) -> None:
    """Print the peaks of memory, each of a process of its own."""
    if not Path("/proc/self/status").exists():
        print("\npeak of memory: measured on Linux only")
        return
    print("\npeak of memory over 20 steps, MB above that of the imports")
    for name in _networks():
        found = {}
        for which in ("ours", "torch"):
            command = [sys.executable, __file__, "--peak", which, name, str(threads)]
            outcome = subprocess.run(command, capture_output=True, text=True, check=False)
            found[which] = outcome.stdout.strip() or "not installed"
        print(f"{name:<34} " + "  ".join(f"{which} {value}" for which, value in found.items()))


def main(found: Any) -> int:
    """Measure and print."""
    run = functools.partial(_kernels.run, unit="images per second", targets={"training step": (1.1, 1.1)})
    code = run(cases(found), found)
    if not found.quick:
        _peaks(found.threads)
    return code


if __name__ == "__main__":
    if "--peak" in sys.argv:
        which, name, threads = sys.argv[2:5]
        print(f"{peak(which, name, int(threads)):.0f}")
    else:
        raise SystemExit(main(OPTIONS))
