"""Programs that the tests of traces and of what they show run: the survey's example and a small network."""

from __future__ import annotations

import numpy as np


def baydin(x1, x2):
    return np.log(x1) + x1 * x2 - np.sin(x2)


def mlp(params, x, labels):
    hidden = np.maximum(x @ params["w"][0] + params["b"], 0)
    z = hidden @ params["w"][1]
    z = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.sum(z[np.arange(x.shape[0]), labels]) / x.shape[0]


def mlp_arguments(seed, dtype=float):
    rng = np.random.default_rng(seed)
    w = [rng.normal(size=s).astype(dtype) / 2 for s in ((6, 5), (5, 3))]
    params = {"w": w, "b": rng.normal(size=5).astype(dtype)}
    return params, rng.normal(size=(4, 6)).astype(dtype), rng.integers(0, 3, 4)
