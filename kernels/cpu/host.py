"""What the processor offers, as Numba's compiler sees it: the width of its vectors and the number of its registers."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from numba.core import config
from numba.core.registry import cpu_target

__all__ = ["Host", "host"]


@dataclass(frozen=True)
class Host:
    """The vector unit: `vector_bytes` per register (0: use plain loops) and `registers` of them.

    `register_constraint` is what LLVM's inline assembly calls such a register.
    """

    vector_bytes: int
    registers: int
    register_constraint: str = ""

    @property
    def vectorised(self) -> bool:
        """Whether kernels written in vector instructions can be used."""
        return self.vector_bytes > 0

    def lanes(self, itemsize: int) -> int:
        """Return how many items of `itemsize` bytes one register holds."""
        return self.vector_bytes // itemsize


@functools.cache
def host() -> Host:
    """Return the vector unit that compiled code may use.

    Numba's own settings count: `NUMBA_CPU_NAME=generic` and `NUMBA_DISABLE_JIT=1` lead to the plain loops.

    Examples
    --------
    >>> host().lanes(8) in (0, 2, 4, 8)
    True
    """
    if config.DISABLE_JIT:
        return Host(0, 0)
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    return vector_unit(triple, frozenset(features.split(",")))


def vector_unit(triple: str, features: frozenset[str]) -> Host:
    """Return the vector unit of a target triple with LLVM's feature flags.

    Examples
    --------
    >>> vector_unit("x86_64-unknown-linux-gnu", frozenset({"+avx2", "+fma"}))
    Host(vector_bytes=32, registers=16, register_constraint='x')
    >>> vector_unit("x86_64-unknown-linux-gnu", frozenset()).vectorised
    False
    """
    if triple.startswith(("aarch64", "arm64")):
        return Host(16, 32, "w")
    if triple.startswith("x86_64"):
        if {"+avx512f", "+avx512dq", "+avx512vl"} <= features:
            return Host(64, 32, "v")
        if {"+avx2", "+fma"} <= features:
            return Host(32, 16, "x")
    return Host(0, 0)
