"""Kernels for the CPU, compiled by Numba on their first call and cached."""

from kernels.cpu.matmul import matmul
from kernels.cpu.threads import num_threads, parallel_for, set_num_threads, threads

__all__ = ["matmul", "num_threads", "parallel_for", "set_num_threads", "threads"]
