"""Time one update by each optimiser beside PyTorch, on the 3.3 million parameters of the lecture's network L17.

Run from a checkout::

    python benchmarks/optimisers.py [--device cpu] [--threads N] [--quick] [--rounds N] [--only TEXT ...] [--json FILE]

"ours" makes new arrays and leaves the old model as it is; "donated" writes into the old arrays, as PyTorch does;
"torch" is PyTorch's default, "fused" its fused kernel, where it has one. Target: "ours" no slower than "torch" for
Adam. The times mean something only on a machine that does nothing else.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path[:] = [str(Path(__file__).resolve().parents[1]), *sys.path[1:]]

from benchmarks import _kernels  # noqa: E402

if __name__ == "__main__":
    OPTIONS = _kernels.options(__doc__)

import numpy as np  # noqa: E402

import nn  # noqa: E402

SHAPES = ((32, 1, 5, 5), (32,), (64, 32, 5, 5), (64,), (3136, 1024), (1024,), (1024, 10), (10,))
COUNT = sum(int(np.prod(shape)) for shape in SHAPES)
# Ours, PyTorch's with its options, and how many arrays a step reads and writes. With a rate of 0 every step does all of
# its work and leaves the parameters as they are, so that every contender can be checked against them.
OPTIMISERS: dict[str, tuple[nn.Optimiser, str, dict[str, Any], int]] = {
    "Adam": (nn.Adam(0.0), "Adam", {}, 7),
    "AdamW": (nn.AdamW(0.0), "AdamW", {}, 7),
    "SGD": (nn.SGD(0.0), "SGD", {}, 3),
    "SGD with momentum": (nn.SGD(0.0, momentum=0.9), "SGD", {"momentum": 0.9}, 5),
    "AdaGrad": (nn.AdaGrad(0.0), "Adagrad", {}, 5),
    "RMSProp": (nn.RMSProp(0.0), "RMSprop", {}, 5),
    "AdaDelta": (nn.AdaDelta(0.0), "Adadelta", {}, 7),
    "Nadam": (nn.Nadam(0.0), "NAdam", {}, 7),
    "AdaMax": (nn.AdaMax(0.0), "Adamax", {}, 7),
}


def _ours(opt: nn.Optimiser, model: dict[str, Any], gradients: dict[str, Any], *, donate: bool) -> Callable[[], Any]:
    held = {"model": {name: p.copy() for name, p in model.items()}}
    held["state"] = opt.init(held["model"])

    def step() -> list[Any]:
        held["model"], held["state"] = opt.update(gradients, held["state"], held["model"], donate=donate)
        return list(held["model"].values())

    return step


def _torch(torch: Any, name: str, model: dict[str, Any], gradients: dict[str, Any], **options: Any) -> Any:
    parameters = [torch.nn.Parameter(torch.tensor(p)) for p in model.values()]
    for p, g in zip(parameters, gradients.values(), strict=True):
        p.grad = torch.tensor(g)
    try:
        opt = getattr(torch.optim, name)(parameters, lr=0.0, **options)
    except TypeError:  # there is no fused one
        return None

    def step() -> Any:
        opt.step()
        return parameters

    return step


def cases(found: Any) -> Iterator[_kernels.KernelCase]:
    """Yield all optimisers."""
    rng = np.random.default_rng(0)
    model = {str(i): rng.standard_normal(shape, dtype=np.float32) for i, shape in enumerate(SHAPES)}
    gradients = {name: 0.01 * rng.standard_normal(p.shape, dtype=np.float32) for name, p in model.items()}
    torch = _kernels.torch_module(found.threads)
    for name, (opt, theirs, options, arrays) in OPTIMISERS.items():
        group = "Adam" if name.startswith("Adam") else "other optimisers"
        if not _kernels.wanted(found, group, name):
            continue
        peer = functools.partial(_torch, torch, theirs, model, gradients, **options)
        runs = {
            "ours": _ours(opt, model, gradients, donate=False),
            "donated": _ours(opt, model, gradients, donate=True),
            "torch": None if torch is None else peer(),
            "fused": None if torch is None or theirs == "Adagrad" else peer(fused=True),
        }
        yield _kernels.KernelCase(group, name, runs, list(model.values()), 4.0 * COUNT * arrays, 1e-6, ("torch",))


def main(found: Any) -> int:
    """Measure and print."""
    return _kernels.run(
        cases(found),
        found,
        unit="GB/s",
        targets={"Adam": (1.0, 1.0)},
        remark="ratio: PyTorch's default over ours with new arrays",
    )


if __name__ == "__main__":
    raise SystemExit(main(OPTIONS))
