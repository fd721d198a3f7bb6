"""Time one training step of networks of the books beside the same networks in eager PyTorch.

Run from a checkout::

    python benchmarks/training.py [--device D] [--threads N] [--quick] [--rounds N] [--only TEXT ...] [--json FILE]

A step is the forward pass, the loss, its gradient by all parameters and one update by Adam, on one batch of images that
is already in memory. PyTorch runs in both of its memory formats; the peer is the faster. Target: 1.1 times as fast, and
a peak of memory no higher (each measured in a process of its own). A small network that learns from one image at a time
(Ekman K2), where all is overhead, is measured with Adam and with plain descent, and is wanted to be no slower. Times
mean something only on a machine that does nothing else.

Devices: cpu; cuda, batches of 128 beside PyTorch without TF32, where a step of the convolutional network is wanted to
be at least 0.7 times as fast; cuda-sim, which checks tiny networks in the simulator and times nothing. On a device all
contenders begin with the same weights. Before anything is timed, the loss, the gradient by each parameter and the
update by Adam of their first step are compared with those of the same step on the host in float64. Batches rotate
through more memory than the L2 cache; parameters and moments do not, as in any training.
"""

import contextlib
import copy
import functools
import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:] = [str(ROOT), *sys.path[1:]]

from benchmarks import _device, _kernels  # noqa: E402

if __name__ == "__main__" and "--peak" not in sys.argv:
    OPTIONS = _kernels.options(__doc__, devices=_device.DEVICES)

import numpy as np  # noqa: E402

BATCH, DEVICE_BATCH = 100, 128
CLASSES = 10
RATE = 1e-3  # of Adam


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


TINY: dict[str, dict[str, Any]] = {
    "tiny (convolutional)": {"image": (1, 4, 4), "conv": ((1, 2, 3), (2, 3, 3)), "dense": (3, 4, 3)},
    "tiny (dense)": {"image": (5,), "conv": (), "dense": (5, 4, 3)},
}


ONE_IMAGE = {"image": (784,), "conv": (), "dense": (784, 25, 10)}


def _model(plan: dict[str, Any], rng: Any) -> Any:
    import nn
    from autodiff import ops

    layers: list[Any] = []
    for inputs, outputs, kernel in plan["conv"]:
        layers += [nn.Conv2d(inputs, outputs, kernel, padding="same", rng=rng), ops.relu, nn.MaxPool2d(2)]
    layers += [nn.Flatten()] if plan["conv"] else []
    for i, (inputs, outputs) in enumerate(zip(plan["dense"], plan["dense"][1:], strict=False)):
        layers += [ops.relu] if i else []
        layers += [nn.Dense(inputs, outputs, rng=rng)]
    return nn.Sequential(*layers)


def _training(rng: Any, rule: str = "Adam") -> tuple[Any, Any]:
    """Return the optimiser, and the function that returns loss, new model and gradients."""
    import nn
    from autodiff import ops, value_and_grad

    def loss(model: Any, x: Any, labels: Any) -> Any:
        outputs, new = nn.apply(model, x, train=True, rng=rng)
        return ops.softmax_cross_entropy(outputs, labels), new

    return {"Adam": nn.Adam, "SGD": nn.SGD}[rule](RATE), value_and_grad(loss, has_aux=True)


def _stepper(model: Any, rng: Any, rule: str = "Adam") -> Callable[[Any, Any], Any]:
    """Return a function that does one step after the other, each on a batch."""
    optimiser, gradient = _training(rng, rule)
    state = {"model": model, "optimiser": optimiser.init(model)}

    def step(x: Any, labels: Any) -> Any:
        (value, model), gradients = gradient(state["model"], x, labels)
        state["model"], state["optimiser"] = optimiser.update(gradients, state["optimiser"], model, donate=True)
        return value

    return step


def _ours(plan: dict[str, Any], x: Any, labels: Any, rule: str = "Adam") -> Callable[[], Any]:
    rng = np.random.default_rng(0)
    step = _stepper(_model(plan, rng), rng, rule)
    return lambda: step(x, labels)


def _torch_model(torch: Any, plan: dict[str, Any]) -> Any:
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
    return torch.nn.Sequential(*layers)


def _torch_stepper(torch: Any, model: Any, rule: str = "Adam") -> Callable[[Any, Any], Any]:
    optimiser = getattr(torch.optim, rule)(model.parameters(), lr=RATE)

    def step(images: Any, classes: Any) -> Any:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(model(images), classes)
        value.backward()
        optimiser.step()
        return value

    return step


def _torch(torch: Any, plan: dict[str, Any], x: Any, labels: Any, memory: Any, rule: str = "Adam") -> Callable[[], Any]:
    model, images, classes = _torch_model(torch, plan), torch.from_numpy(x), torch.from_numpy(labels)
    if images.ndim == 4:
        model, images = model.to(memory_format=memory), images.contiguous(memory_format=memory)
    step = _torch_stepper(torch, model, rule)
    return lambda: step(images, classes)


def _data(plan: dict[str, Any], batch: int = BATCH) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    return rng.random((batch, *plan["image"]), dtype=np.float32), rng.integers(0, plan["dense"][-1], batch)


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
    for rule in ("Adam", "SGD"):
        if not _kernels.wanted(found, "one image", rule):
            continue
        x, labels = _data(ONE_IMAGE, 1)
        runs = {"ours": _ours(ONE_IMAGE, x, labels, rule), "torch": None}
        if torch is not None:
            runs["torch"] = _torch(torch, ONE_IMAGE, x, labels, torch.contiguous_format, rule)
        yield _kernels.KernelCase(
            "one image", f"Ekman K2 (784-25-10), {rule}", runs, [np.log(CLASSES)], 1e9, 1.5, ("torch",)
        )


# -- on a device ---------------------------------------------------------------------------------------------


def _first_step(model: Any, x: Any, labels: Any) -> list[Any]:
    """Return the loss of a step, the gradient by each parameter, and how the step changes each."""
    from autodiff import tree

    optimiser, gradient = _training(np.random.default_rng(0))
    (value, _), gradients = gradient(model, x, labels)
    new, _ = optimiser.update(gradients, optimiser.init(model), model)
    changes = tree.map(lambda after, before: after - before, new, model)
    return [value, *tree.leaves(gradients), *tree.leaves(changes)]


def _torch_first_step(torch: Any, model: Any, images: Any, classes: Any) -> list[Any]:
    """Return the same of PyTorch, whose matrices of weights are turned."""
    model = copy.deepcopy(model)
    before = [p.detach().clone() for p in model.parameters()]
    value = _torch_stepper(torch, model)(images, classes)
    gradients = [p.grad for p in model.parameters()]
    changes = [p.detach() - old for p, old in zip(model.parameters(), before, strict=True)]
    return [value, *(a.T if a.ndim == 2 else a for a in (*gradients, *changes))]


def _load(torch: Any, model: Any, ours: Any) -> Any:
    """Copy our weights into a model of PyTorch."""
    from autodiff import tree

    with torch.no_grad():
        for p, value in zip(model.parameters(), tree.leaves(ours), strict=True):
            p.copy_(torch.from_numpy(value.T if value.ndim == 2 else value))
    return model


def _expected(model: Any, x: Any, labels: Any) -> tuple[list[Any], list[Any]]:
    """Return what a first step gives in float64 on the host, and which entries of each array are compared.

    Adam's first update is the learning rate times the sign of the gradient: of gradients that are rounding errors it
    says nothing.
    """
    from autodiff import tree

    found = _first_step(tree.map(lambda p: p.astype(float), model), x.astype(float), labels)
    count = len(found) // 2
    gradients = found[1 : 1 + count]
    large = [np.abs(g) > 1e-2 * np.max(np.abs(g)) for g in gradients]
    masks = [True] * (1 + count) + large
    return [a * m for a, m in zip(found, masks, strict=True)], masks


def _operations(plan: dict[str, Any], batch: int) -> float:
    """Return the operations of products and convolutions in a step; the first layer has no gradient by images."""
    passes: list[float] = []
    size = plan["image"][-1]
    for inputs, outputs, kernel in plan["conv"]:
        passes.append(2.0 * batch * size**2 * inputs * outputs * kernel**2)
        size //= 2
    passes += [2.0 * batch * a * b for a, b in zip(plan["dense"], plan["dense"][1:], strict=False)]
    return 3 * sum(passes) - passes[0]


@contextlib.contextmanager
def _place(library: _device.Library) -> Iterator[str]:
    """Yield the name of the device; in the simulator arrays of every size go to the kernels."""
    if not library.simulated:
        yield library.name
        return
    from unittest import mock

    from tests.device_array import simulated

    limits = ("compiled", "SMALL"), ("compiled", "LAUNCH"), ("dense", "LARGE")
    with simulated() as device, contextlib.ExitStack() as stack:
        for name, limit in limits:
            stack.enter_context(mock.patch.object(importlib.import_module(f"autodiff.ops.{name}"), limit, 0))
        yield device


def _contenders(library: _device.Library, plan: dict[str, Any], model: Any, device: str) -> dict[str, Any]:
    """Return by name the library, the function of a batch that is timed, and that of the first step."""
    from autodiff import device_put

    there = device_put(model, device)
    first = functools.partial(_first_step, there)
    found: dict[str, Any] = {"ours": ("cupy", _stepper(there, np.random.default_rng(0)), first)}
    torch = library.torch
    for name in ("torch", "torch last") if torch is not None else ():
        memory = torch.channels_last if name == "torch last" else torch.contiguous_format
        theirs = _load(torch, _torch_model(torch, plan), model).to(library.name).to(memory_format=memory)
        found[name] = "torch", _torch_stepper(torch, theirs), functools.partial(_torch_first_step, torch, theirs)
    return found


def device_cases(library: _device.Library, found: Any) -> Iterator[_kernels.KernelCase]:
    """Yield each network; work is in images, as for the processor."""
    batch = 2 if library.simulated else DEVICE_BATCH
    with _place(library) as device:
        plans: dict[str, dict[str, Any]] = TINY if library.simulated else _networks()
        for name, plan in plans.items():
            group = "convolutional" if plan["conv"] else "dense"
            if not _kernels.wanted(found, group, name):
                continue
            x, labels = _data(plan, batch)
            model = _model(plan, np.random.default_rng(0))
            expected, masks = _expected(model, x, labels)
            contenders = _contenders(library, plan, model, device)
            checks = {
                label: functools.partial(_compared, library, kind, first, (x, labels), masks, device)
                for label, (kind, _, first) in contenders.items()
            }
            runs = dict.fromkeys(("ours", "torch", "torch last")) | {
                label: (kind, step) for label, (kind, step, _) in contenders.items()
            }
            most = library.peaks.get("float32", 0.0) / _operations(plan, batch) * batch * 1e9 or None
            yield _device.case(library, group, name, (x, labels), runs, expected, batch * 1e9, 2e-4, most, checks)


def _compared(
    library: _device.Library, kind: str, first: Callable[..., Any], batch: Any, masks: Any, device: str
) -> list[Any]:
    """Return what a contender's first step gives, on the host, without the entries that are not compared."""
    from autodiff import device_put

    there = device_put(batch, device)
    found = first(*(library.tensors([there])[0] if kind == "torch" else there))
    return [_device.host(a) * mask for a, mask in zip(found, masks, strict=True)]


# -- memory --------------------------------------------------------------------------------------------------


def _high_water() -> float:
    """Return the peak of memory of this process so far, in MB; `getrusage` would count the parent's as well."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("the peak of memory is read from Linux's /proc")


def peak(which: str, name: str, threads: int) -> float:
    """Return the peak of memory of a process that takes 20 steps, in MB above that of its imports."""
    plan = _networks()[name]
    torch: Any = _kernels.torch_module(threads) if which != "ours" else None
    if which == "ours":
        from autodiff import ops

        importlib.import_module("nn")
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
    if found.device != "cpu":
        return _device.run(
            lambda library: device_cases(library, found),
            found,
            unit="images per second",
            targets={"convolutional": (0.7, 0.7)},
        )
    run = functools.partial(
        _kernels.run, unit="images per second", targets={"training step": (1.1, 1.1), "one image": (1.0, 1.0)}
    )
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
