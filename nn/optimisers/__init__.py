"""Optimisers: what makes a better model of a model and the gradient of its loss."""

from nn.optimisers.adam import Adam, AdaMax, AdamW, Nadam
from nn.optimisers.adaptive import AdaDelta, AdaGrad, RMSProp
from nn.optimisers.base import Optimiser
from nn.optimisers.rprop import RProp
from nn.optimisers.sgd import SGD

__all__ = ["SGD", "AdaDelta", "AdaGrad", "AdaMax", "Adam", "AdamW", "Nadam", "Optimiser", "RMSProp", "RProp"]
