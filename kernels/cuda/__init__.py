"""Kernels for NVIDIA GPUs, compiled by Numba on their first call: the contracts of `kernels.cpu` on device arrays.

Importing this package needs no device; calling a kernel does, or the simulator (NUMBA_ENABLE_CUDASIM=1, set before
Numba is imported). See README.md beside this file.
"""

from kernels.cuda.matmul import matmul

__all__ = ["matmul"]
