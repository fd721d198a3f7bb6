"""Numerical kernels for CPU and CUDA, compiled by Numba: arrays in, arrays out, nothing known of derivatives.

This package is the ground floor of the project and is still empty: the first release contains the engine,
`autodiff`, which runs on NumPy alone. Matrix products, convolution, pooling, softmax cross-entropy and
elementwise mathematics come here next, with one contract and one set of tests for both devices.
"""
