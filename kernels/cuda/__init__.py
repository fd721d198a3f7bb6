"""Kernels for NVIDIA GPUs, compiled by Numba on their first call: the contracts of `kernels.cpu` on device arrays.

Importing this package needs no device; calling a kernel does, or the simulator (NUMBA_ENABLE_CUDASIM=1, set before
Numba is imported). See README.md beside this file.
"""

from kernels.cuda.conv2d import conv2d, conv2d_input_gradient, conv2d_weight_gradient
from kernels.cuda.matmul import matmul
from kernels.cuda.pooling import avg_pool2d, avg_pool2d_gradient, max_pool2d, max_pool2d_gather, max_pool2d_gradient
from kernels.cuda.softmax import log_softmax, softmax, softmax_cross_entropy, softmax_cross_entropy_gradient

__all__ = [
    "avg_pool2d",
    "avg_pool2d_gradient",
    "conv2d",
    "conv2d_input_gradient",
    "conv2d_weight_gradient",
    "log_softmax",
    "matmul",
    "max_pool2d",
    "max_pool2d_gather",
    "max_pool2d_gradient",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_gradient",
]
