"""Layers: what a model is made of."""

from nn.layers.activation import Activation
from nn.layers.batch_norm import BatchNorm
from nn.layers.convolution import Conv2d
from nn.layers.dense import Dense
from nn.layers.dropout import Dropout
from nn.layers.pooling import AvgPool2d, MaxPool2d
from nn.layers.sequential import Sequential
from nn.layers.shape import Flatten

__all__ = [
    "Activation",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Dense",
    "Dropout",
    "Flatten",
    "MaxPool2d",
    "Sequential",
]
