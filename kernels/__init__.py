"""Numerical kernels: arrays in, arrays out, nothing known of derivatives.

`kernels.cpu` holds those for the CPU, compiled by Numba on first use; `kernels.reference` the same contracts in plain
NumPy; `kernels.geometry` the arithmetic of strides and padding. Importing this package alone loads nothing.
"""
