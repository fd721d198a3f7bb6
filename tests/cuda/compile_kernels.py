"""Compile every kernel for one target and assemble it; no device is needed.

A program, as it needs Numba without the simulator: `python tests/cuda/compile_kernels.py 80 out.json [PTXAS]` writes
{"kernel dtype": {"ptx": text, "log": what ptxas said, "failed": whether it refused, and the bounds declared}}.
"""

import json
import subprocess
import sys
import tempfile
import types
import warnings
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])


def main(target, out, ptxas=None):
    from numba import cuda

    import kernels.cuda  # noqa: F401
    from kernels.cuda.launch import KERNELS

    capability = int(target[:-1]), int(target[-1])
    # Functions that kernels call are compiled for the device that is there: say which.
    device = types.SimpleNamespace(compute_capability=capability)
    sys.modules["numba.cuda.dispatcher"].get_current_device = lambda: device
    found = {}
    for kernel in KERNELS.values():
        for dtype in kernel.dtypes if kernel.capability <= capability else ():
            ptx, _ = cuda.compile_ptx(kernel.source, kernel.types(dtype), cc=capability)
            log, failed = assemble(ptxas, target, ptx) if ptxas else ("", False)
            bounds = {"registers": kernel.register_bound(dtype), "shared": kernel.shared}
            found[f"{kernel.name} {dtype}"] = {"ptx": ptx, "log": log, "failed": failed, **bounds}
    Path(out).write_text(json.dumps(found))


def assemble(ptxas, target, ptx):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx)
        command = [ptxas, "-v", f"-arch=sm_{target}", str(source), "-o", str(source.with_suffix(".cubin"))]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.stderr, run.returncode != 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
