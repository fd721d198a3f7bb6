"""Layers: what a model is made of."""

from nn.layers.activation import Activation
from nn.layers.batch_norm import BatchNorm
from nn.layers.blocks import Branches, Residual, inception
from nn.layers.convolution import Conv2d
from nn.layers.dense import Dense
from nn.layers.dropout import Dropout
from nn.layers.ensemble import Ensemble
from nn.layers.frozen import Frozen
from nn.layers.maxout import Maxout
from nn.layers.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from nn.layers.resizing import ConvTranspose2d, Upsample2d, max_unpool2d
from nn.layers.response_norm import LocalResponseNorm
from nn.layers.separable import SeparableConv2d
from nn.layers.sequential import Sequential
from nn.layers.shape import Flatten
from nn.layers.tied import Tied

__all__ = [
    "Activation",
    "AvgPool2d",
    "BatchNorm",
    "Branches",
    "Conv2d",
    "ConvTranspose2d",
    "Dense",
    "Dropout",
    "Ensemble",
    "Flatten",
    "Frozen",
    "GlobalAvgPool2d",
    "LocalResponseNorm",
    "MaxPool2d",
    "Maxout",
    "Residual",
    "SeparableConv2d",
    "Sequential",
    "Tied",
    "Upsample2d",
    "inception",
    "max_unpool2d",
]
