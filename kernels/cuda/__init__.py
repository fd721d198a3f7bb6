"""Kernels for NVIDIA GPUs, compiled by Numba on their first call: the contracts of `kernels.cpu` on device arrays.

Importing this package needs no device; calling a kernel does, or the simulator (NUMBA_ENABLE_CUDASIM=1, set before
Numba is imported). See README.md beside this file.
"""

from kernels.cuda import optimiser  # noqa: F401 - its functions are those of `kernels.cpu.optimiser`
from kernels.cuda.arrays import telling
from kernels.cuda.batch_norm import batch_norm_apply, batch_norm_gradient, batch_norm_statistics, batch_norm_sums
from kernels.cuda.chain import chain
from kernels.cuda.conv2d import conv2d, conv2d_input_gradient, conv2d_weight_gradient, conv_transpose2d
from kernels.cuda.elementwise import erf, exp, expm1, log, log1p, relu, relu_gate, sigmoid, softplus, tanh
from kernels.cuda.embedding import embedding_gather, embedding_scatter_add
from kernels.cuda.matmul import matmul
from kernels.cuda.pooling import avg_pool2d, avg_pool2d_gradient, max_pool2d, max_pool2d_gather, max_pool2d_gradient
from kernels.cuda.reductions import argmax, argmin, reduce_max, reduce_mean, reduce_min, reduce_prod, reduce_sum
from kernels.cuda.softmax import log_softmax, softmax, softmax_cross_entropy, softmax_cross_entropy_gradient

__all__ = [
    "argmax",
    "argmin",
    "avg_pool2d",
    "avg_pool2d_gradient",
    "batch_norm_apply",
    "batch_norm_gradient",
    "batch_norm_statistics",
    "batch_norm_sums",
    "chain",
    "conv2d",
    "conv2d_input_gradient",
    "conv2d_weight_gradient",
    "conv_transpose2d",
    "embedding_gather",
    "embedding_scatter_add",
    "erf",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log_softmax",
    "matmul",
    "max_pool2d",
    "max_pool2d_gather",
    "max_pool2d_gradient",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "relu",
    "relu_gate",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_gradient",
    "softplus",
    "tanh",
]

for _name in __all__:
    globals()[_name] = telling(_name, globals()[_name])
