"""Time the matrix product: our kernel, what the engine dispatches to, NumPy's BLAS and PyTorch.

Run from a checkout::

    python benchmarks/matmul.py [--device D] [--threads N] [--quick] [--rounds N] [--only TEXT ...] [--json FILE]

Figures are GFLOP/s. Targets: our kernel over NumPy at a geometric mean of 1.0, and 0.75 at least; what the engine
dispatches to never below 0.95 of the best of all. The times mean something only on a machine that does nothing else.

Devices: cpu; cuda, beside cuBLAS as CuPy and PyTorch call it, with geometric means of 0.75 (float32) and 0.5 (tensor
cores) wanted; cuda-sim, which checks small products in the simulator and times nothing.
"""

import functools
import operator
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[:] = [str(Path(__file__).resolve().parents[1]), *sys.path[1:]]

from benchmarks import _device, _kernels  # noqa: E402

if __name__ == "__main__":
    OPTIONS = _kernels.options(__doc__, devices=_device.DEVICES)

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


# Each group on the device: dtype, precision, largest error relative to the largest result, what its peak is called.
REDUCED = {
    "float32": ("float32", None, 1e-5, "float32"),
    "float64": ("float64", None, 1e-13, "float64"),
    "tf32": ("float32", "tf32", 1e-3, "tf32"),
    "float16": ("float16", None, 2e-3, "float16"),
    "bfloat16": ("bfloat16", None, 1e-2, "bfloat16"),
}


def device_cases(library: _device.Library, found: Any) -> Iterator[_kernels.KernelCase]:
    """Yield squares of each precision, and the shapes of the books in float32."""
    sizes = (20,) if library.simulated else (1024,) if found.quick else (1024, 2048, 4096, 8192)
    shapes: list[Any] = [(group, f"{n}", (n, n, n, False, False)) for group in REDUCED for n in sizes]
    books = ((5, 9, 7, True, False), (9, 5, 3, False, True)) if library.simulated else BOOKS
    for m, k, n, left, right in books:
        shapes.append(
            ("float32", f"{m} x {k} x {n} {'T' if left else ''}{'T' if right else ''}", (m, k, n, left, right))
        )
    for group, name, shape in shapes:
        if _kernels.wanted(found, group, name):
            made = _device_case(library, group, name, shape)
            if made is not None:
                yield made


def _device_case(library: _device.Library, group: str, name: str, shape: Any) -> _kernels.KernelCase | None:
    from kernels import cuda

    m, k, n, left, right = shape
    kind, precision, tolerance, peak = REDUCED[group]
    if kind == "bfloat16":
        try:
            import ml_dtypes
        except ImportError:
            print("bfloat16 is left out: it needs ml_dtypes", file=sys.stderr)
            return None
        dtype = np.dtype(ml_dtypes.bfloat16)
    else:
        dtype = np.dtype(kind)
    rng = np.random.default_rng(0)
    a = _matrix(rng, m, k, transposed=left).astype(dtype)
    b = _matrix(rng, k, n, transposed=right).astype(dtype)

    def torch_product(x: Any, y: Any) -> Any:
        library.torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        return x @ y

    contenders = {
        "ours": ("cupy", functools.partial(cuda.matmul, precision=precision)),
        "cupy": None if precision or kind == "bfloat16" else ("cupy", operator.matmul),
        "torch": ("torch", torch_product),
    }
    expected = library.reference(operator.matmul, a, b)
    return _device.case(library, group, name, (a, b), contenders, [expected], 2.0 * m * k * n, tolerance, peak)


def main(found: Any) -> int:
    """Measure, print, and compare the engine's choice with the best."""
    if found.device != "cpu":
        wanted = {group: (0.75 if group == "float32" else 0.5, 0.0) for group in REDUCED if group != "float64"}
        return _device.run(lambda library: device_cases(library, found), found, unit="GFLOP/s", targets=wanted)
    targets = {"square": (1.0, 0.75), "shapes of the books": (1.0, 0.75)}
    return _kernels.run(cases(found), found, unit="GFLOP/s", targets=targets, chosen="engine")


if __name__ == "__main__":
    raise SystemExit(main(OPTIONS))
