"""Layers, losses, optimisers and training on top of `autodiff`: a thin layer for neural networks."""

from nn import initialisers
from nn import initialisers as init
from nn.inspection import count_parameters, named_leaves, parameters, states, summary
from nn.layers import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    MaxPool2d,
    Sequential,
)
from nn.module import Layer, apply, parameter, replace, state, static

__all__ = [
    "Activation",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "MaxPool2d",
    "Sequential",
    "apply",
    "count_parameters",
    "init",
    "initialisers",
    "named_leaves",
    "parameter",
    "parameters",
    "replace",
    "state",
    "states",
    "static",
    "summary",
]
