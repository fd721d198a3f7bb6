"""Layers, losses, optimisers and training on top of `autodiff`: a thin layer for neural networks.

This package is still empty: the first release contains the engine, `autodiff`, which already differentiates
networks written as plain NumPy functions of nested parameters. A layer will be a dataclass whose parameters
are the leaves of a tree, so that every transform of the engine works on a model as it stands.
"""
