"""Time the matrix product: our kernel, what the engine dispatches to, NumPy's BLAS and PyTorch.

Run from a checkout::

    python benchmarks/matmul.py [--threads N] [--quick] [--rounds N] [--only TEXT ...] [--json FILE]

Figures are GFLOP/s. Targets: our kernel over NumPy at a geometric mean of 1.0, and 0.75 at least; what the engine
dispatches to never below 0.95 of the best of all. The times mean something only on a machine that does nothing else.
"""

import functools
import operator
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[:] = [str(Path(__file__).resolve().parents[1]), *sys.path[1:]]

from benchmarks import _kernels  # noqa: E402

if __name__ == "__main__":
    OPTIONS = _kernels.options(__doc__)

import numpy as np  # noqa: E402

from autodiff import ops  # noqa: E402
from autodiff.ops.compiled import product  # noqa: E402
from kernels import cpu  # noqa: E402

SQUARE = (32, 64, 128, 200, 256, 512, 777, 1024, 2048)
# (rows, inner, columns, transposed left, transposed right): forward, and the two gradients as the engine asks for them.
BOOKS = (
    (100, 3136, 1024, False, False), (100, 1024, 3136, False, True), (3136, 100, 1024, True, False),
    (100, 1024, 10, False, False), (100, 10, 1024, False, True), (1024, 100, 10, True, False),
    (256, 784, 512, False, False), (256, 512, 512, False, False), (784, 256, 512, True, False),
    (100, 784, 256, False, False), (64, 784, 100, False, False), (128, 4608, 128, False, False),
)  # fmt: skip


def _matrix(rng: np.random.Generator, rows: int, columns: int, *, transposed: bool) -> Any:
    shape = (columns, rows) if transposed else (rows, columns)
    array = rng.standard_normal(shape, dtype=np.float32)
    return array.T if transposed else array


def cases(found: Any) -> Iterator[_kernels.KernelCase]:
    """Yield all products."""
    rng = np.random.default_rng(0)
    torch = _kernels.torch_module(found.threads)
    ops.enable_kernels()
    shapes = [("square", f"{n}", (n, n, n, False, False)) for n in SQUARE]
    for m, k, n, left, right in BOOKS:
        name = f"{m} x {k}{' (T)' if left else ''} x {n}{' (T)' if right else ''}"
        shapes.append(("shapes of the books", name, (m, k, n, left, right)))
    for group, name, (m, k, n, left, right) in shapes:
        if not _kernels.wanted(found, group, name):
            continue
        a, b = _matrix(rng, m, k, transposed=left), _matrix(rng, k, n, transposed=right)
        expected = (a.astype(float) @ b.astype(float)).astype(np.float32)
        runs: dict[str, Any] = {
            "ours": functools.partial(cpu.matmul, a, b),
            "engine": functools.partial(product, a, b),
            "numpy": functools.partial(operator.matmul, a, b),
            "torch": None
            if torch is None
            else functools.partial(operator.matmul, torch.from_numpy(a), torch.from_numpy(b)),
        }
        if torch is not None:
            runs["torch"] = functools.partial(operator.matmul, torch.from_numpy(a), torch.from_numpy(b))
        yield _kernels.KernelCase(group, name, runs, [expected], 2.0 * m * k * n, 1e-4, ("numpy",))


def main(found: Any) -> int:
    """Measure, print, and compare the engine's choice with the best."""
    targets = {"square": (1.0, 0.75), "shapes of the books": (1.0, 0.75)}
    return _kernels.run(cases(found), found, unit="GFLOP/s", targets=targets, chosen="engine")


if __name__ == "__main__":
    raise SystemExit(main(OPTIONS))
