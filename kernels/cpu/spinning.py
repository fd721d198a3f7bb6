"""Waiting for another thread without going to sleep: waking a sleeping one takes longer than many kernels run."""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

from kernels.cpu.jit import kernel

__all__ = ["rests_per_microsecond", "spin"]

I32 = ir.IntType(32)
RESTS = {  # LLVM's intrinsic and its arguments: "pause", and the hint "yield"
    "x86_64": ("llvm.x86.sse2.pause", []),
    "i686": ("llvm.x86.sse2.pause", []),
    "aarch64": ("llvm.aarch64.hint", [ir.Constant(I32, 1)]),
    "arm64": ("llvm.aarch64.hint", [ir.Constant(I32, 1)]),
}


@intrinsic  # type: ignore[untyped-decorator]
def look(_: Any, cells: Any) -> Any:
    """Read the first cell anew, whatever the compiler knows about it."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(data, "acquire", 8)

    return types.int64(cells), emit


@intrinsic  # type: ignore[untyped-decorator]
def rest(_: Any) -> Any:
    """Tell the processor that this is a waiting loop."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        name, constants = RESTS.get(builder.module.triple.partition("-")[0], ("", []))
        if name:
            kind = ir.FunctionType(ir.VoidType(), [constant.type for constant in constants])
            function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
            builder.call(function, constants)
        return context.get_dummy_value()

    return types.void(), emit


@kernel
def spin(cells, old, limit, settle):
    """Wait until `cells[0]` is not `old`, for `limit` rests at most, and `settle` rests more; return whether it is.

    The thread that changes the cell holds the GIL and is about to release it: who comes `settle` later need not sleep
    until then.
    """
    for _ in range(limit):
        if look(cells) != old:
            for _ in range(settle):
                rest()
            return True
        rest()
    return False


@functools.cache
def rests_per_microsecond() -> float:
    """Measure how many rests of `spin` take a microsecond; 0 where kernels are not compiled."""
    if config.DISABLE_JIT:
        return 0.0
    cells = np.zeros(1, np.int64)
    spin(cells, 0, 1, 0)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        spin(cells, 0, 1000, 0)
        times.append(time.perf_counter() - start)
    return 1e-3 / min(times)
