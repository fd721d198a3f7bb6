"""Kernels for the CPU, compiled by Numba on their first call and cached."""

from kernels.cpu.batch_norm import batch_norm_apply, batch_norm_gradient, batch_norm_statistics, batch_norm_sums
from kernels.cpu.conv2d import conv2d, conv2d_input_gradient, conv2d_weight_gradient
from kernels.cpu.elementwise import erf, exp, expm1, log, log1p, sigmoid, softplus, tanh
from kernels.cpu.matmul import matmul
from kernels.cpu.optimiser import (
    adadelta_step,
    adagrad_step,
    adam_step,
    adamax_step,
    gradient_step,
    momentum_step,
    nadam_step,
    rmsprop_step,
)
from kernels.cpu.pooling import avg_pool2d, avg_pool2d_gradient, max_pool2d, max_pool2d_gather, max_pool2d_gradient
from kernels.cpu.rectifier import relu, relu_gate
from kernels.cpu.softmax import log_softmax, softmax, softmax_cross_entropy, softmax_cross_entropy_gradient
from kernels.cpu.threads import num_threads, parallel_for, set_num_threads, threads

__all__ = [
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adamax_step",
    "avg_pool2d",
    "avg_pool2d_gradient",
    "batch_norm_apply",
    "batch_norm_gradient",
    "batch_norm_statistics",
    "batch_norm_sums",
    "conv2d",
    "conv2d_input_gradient",
    "conv2d_weight_gradient",
    "erf",
    "exp",
    "expm1",
    "gradient_step",
    "log",
    "log1p",
    "log_softmax",
    "matmul",
    "max_pool2d",
    "max_pool2d_gather",
    "max_pool2d_gradient",
    "momentum_step",
    "nadam_step",
    "num_threads",
    "parallel_for",
    "relu",
    "relu_gate",
    "rmsprop_step",
    "set_num_threads",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_gradient",
    "softplus",
    "tanh",
    "threads",
]
