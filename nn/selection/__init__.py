"""Choosing between models: folds, grids, random points, learning curves.

A search calls a function of hyper-parameters and a seed that trains and measures, and returns all trials as a table:

>>> import nn
>>> def train(rate, hidden, seed):  # as a rule: nn.evaluate(nn.fit(...).model, ...)
...     return {"validation_error": abs(rate - 0.01) + 1 / hidden}
>>> found = nn.grid_search(train, {"rate": [0.1, 0.01], "hidden": [16, 64]}, seeds=[0], progress=False)
>>> print(found.best, len(found))
{'rate': 0.01, 'hidden': 64} 4
"""

from nn.selection.folds import Folds, k_fold
from nn.selection.points import Grid, grid, integers, log_uniform, sample, uniform
from nn.selection.search import cross_validate, grid_search, learning_curve, random_search, trials
from nn.selection.trials import Summary, Trial, Trials

__all__ = [
    "Folds",
    "Grid",
    "Summary",
    "Trial",
    "Trials",
    "cross_validate",
    "grid",
    "grid_search",
    "integers",
    "k_fold",
    "learning_curve",
    "log_uniform",
    "random_search",
    "sample",
    "trials",
    "uniform",
]
