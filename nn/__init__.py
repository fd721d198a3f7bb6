"""Layers, losses, optimisers and training on top of `autodiff`: a thin layer for neural networks."""

from nn import data, initialisers, metrics
from nn import initialisers as init
from nn.checkpoint import CheckpointError, load_checkpoint, load_weights, save_checkpoint, save_weights
from nn.history import History
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
from nn.training.early_stopping import EarlyStopping
from nn.training.evaluation import evaluate, predict
from nn.training.finite import NonFiniteError
from nn.training.fit import fit
from nn.training.interrupt import Interrupted
from nn.training.state import FitResult
from nn.training.supervised import Supervised

__all__ = [
    "Activation",
    "AvgPool2d",
    "BatchNorm",
    "CheckpointError",
    "Conv2d",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "FitResult",
    "Flatten",
    "History",
    "Interrupted",
    "Layer",
    "MaxPool2d",
    "NonFiniteError",
    "Sequential",
    "Supervised",
    "apply",
    "count_parameters",
    "data",
    "evaluate",
    "fit",
    "init",
    "initialisers",
    "load_checkpoint",
    "load_weights",
    "metrics",
    "named_leaves",
    "parameter",
    "parameters",
    "predict",
    "replace",
    "save_checkpoint",
    "save_weights",
    "state",
    "states",
    "static",
    "summary",
]
