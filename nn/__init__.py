"""Layers, losses, optimisers and training on top of `autodiff`: a thin layer for neural networks.

A model is a tree of arrays, so every transform of `autodiff` takes it as it stands; nothing that is passed to a
function changes. This is a step of training, which `fit` does for whole data sets:

>>> import numpy as np
>>> import nn
>>> from autodiff import value_and_grad
>>> rng = np.random.default_rng(0)
>>> model = nn.Sequential(nn.Dense(4, 8, rng=rng), nn.relu, nn.Dropout(0.1), nn.Dense(8, 3, rng=rng))
>>> batch = rng.normal(size=(32, 4)).astype(np.float32), rng.integers(3, size=32)
>>> loss = nn.Supervised(nn.losses.cross_entropy)  # (model, batch, *, train, rng) -> (value, new model)
>>> optimiser = nn.Adam(0.01)
>>> state = optimiser.init(model)
>>> (value, model), gradients = value_and_grad(loss, has_aux=True)(model, batch, train=True, rng=rng)
>>> model, state = optimiser.update(gradients, state, model)
>>> model(batch[0]).shape, nn.count_parameters(model), state["step"]
((32, 3), 67, 1)

On a GPU the same program runs, unchanged, where its arrays are, and nothing crosses by itself:

>>> from autodiff import device_put
>>> where = "cpu"  # or "cuda"
>>> model = device_put(model, where)
>>> data = nn.data.Batches(*batch, batch_size=16, device=where)
>>> result = nn.fit(model, loss, optimiser, data, epochs=2, rng=0, progress=False)
>>> outputs = nn.predict(result.model, batch[0], transform=lambda rows: device_put(rows, where))
>>> scores = device_put(outputs, "cpu")

- Random numbers are drawn from NumPy's generators, on the host: initial parameters, orders, augmentation, dropout. The
  same seed gives the same run everywhere, to rounding. Models are made on the host and moved; the masks of dropout
  cross in each step.
- Batches are shuffled and augmented on the host, and moved by `device=`, in training as in validation; data that were
  moved as a whole, ``Batches(*device_put(arrays, "cuda"))``, make batches there. A batch left behind is an error.
- Metrics are computed where the outputs are and return numbers; `predict` leaves its outputs there. Files know no
  device: weights and checkpoints are read into where the model is.
- What waits for the device: the loss of each step, one look at all gradients (``check_finite=False`` leaves it out),
  class numbers and positions in a table, which are checked, and the norms of gradients that are clipped by norm.
"""

from nn import activations, coding, data, initialisers, losses, metrics, optimisers, schedules, selection
from nn import initialisers as init
from nn.activations import (
    elu,
    gelu,
    hard_sigmoid,
    hard_tanh,
    leaky_relu,
    log_softmax,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from nn.checkpoint import CheckpointError, load_checkpoint, load_weights, save_checkpoint, save_weights
from nn.history import History
from nn.importing import import_weights, read_tensors
from nn.inspection import count_parameters, named_leaves, parameters, states, summary
from nn.layers import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Branches,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Ensemble,
    Flatten,
    Frozen,
    GlobalAvgPool2d,
    LocalResponseNorm,
    Maxout,
    MaxPool2d,
    Residual,
    SeparableConv2d,
    Sequential,
    Tied,
    Upsample2d,
    inception,
    max_unpool2d,
)
from nn.minimisers import Minimum, line_search, minimise, newton
from nn.module import Layer, apply, parameter, replace, state, static
from nn.optimisers import SGD, AdaDelta, AdaGrad, Adam, AdaMax, AdamW, Nadam, Optimiser, RMSProp, RProp
from nn.regularisation import ClipByGlobalNorm, ClipByNorm, ClipByValue, MaxNorm, l1_penalty, l2_penalty
from nn.selection import cross_validate, grid_search, k_fold, learning_curve, random_search
from nn.training.early_stopping import EarlyStopping
from nn.training.evaluation import evaluate, predict
from nn.training.finite import NonFiniteError
from nn.training.fit import fit
from nn.training.interrupt import Interrupted
from nn.training.state import FitResult
from nn.training.supervised import Supervised

__all__ = [
    "SGD",
    "Activation",
    "AdaDelta",
    "AdaGrad",
    "AdaMax",
    "Adam",
    "AdamW",
    "AvgPool2d",
    "BatchNorm",
    "Branches",
    "CheckpointError",
    "ClipByGlobalNorm",
    "ClipByNorm",
    "ClipByValue",
    "Conv2d",
    "ConvTranspose2d",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Ensemble",
    "FitResult",
    "Flatten",
    "Frozen",
    "GlobalAvgPool2d",
    "History",
    "Interrupted",
    "Layer",
    "LocalResponseNorm",
    "MaxNorm",
    "MaxPool2d",
    "Maxout",
    "Minimum",
    "Nadam",
    "NonFiniteError",
    "Optimiser",
    "RMSProp",
    "RProp",
    "Residual",
    "SeparableConv2d",
    "Sequential",
    "Supervised",
    "Tied",
    "Upsample2d",
    "activations",
    "apply",
    "coding",
    "count_parameters",
    "cross_validate",
    "data",
    "elu",
    "evaluate",
    "fit",
    "gelu",
    "grid_search",
    "hard_sigmoid",
    "hard_tanh",
    "import_weights",
    "inception",
    "init",
    "initialisers",
    "k_fold",
    "l1_penalty",
    "l2_penalty",
    "leaky_relu",
    "learning_curve",
    "line_search",
    "load_checkpoint",
    "load_weights",
    "log_softmax",
    "losses",
    "max_unpool2d",
    "metrics",
    "minimise",
    "named_leaves",
    "newton",
    "optimisers",
    "parameter",
    "parameters",
    "predict",
    "random_search",
    "read_tensors",
    "relu",
    "relu6",
    "replace",
    "save_checkpoint",
    "save_weights",
    "schedules",
    "selection",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "state",
    "states",
    "static",
    "summary",
    "tanh",
]
