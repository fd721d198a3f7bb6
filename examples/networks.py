"""The networks of the texts that learn MNIST, as they are built there.

Images are (n, 1, 28, 28), pixels from 0 to 1; the multi-layer networks flatten them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import nn
from autodiff import device_put
from autodiff.ops import relu

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

__all__ = ["cnn_cf", "cnn_cpcpfd", "cnn_cpcpff", "ketkar_cnn", "mlp", "predicted", "softmax_regression"]


def cnn_cpcpff(rng: np.random.Generator) -> nn.Sequential:
    """Convolution, pool, convolution, pool, two dense layers: the lecture's L17; 3,274,634 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding="same", rng=rng),
        relu,
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding="same", rng=rng),
        relu,
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dense(7 * 7 * 64, 1024, rng=rng),
        relu,
        nn.Dense(1024, 10, rng=rng),
    )


def cnn_cpcpfd(rng: np.random.Generator, drop: float = 0.5) -> nn.Sequential:
    """The same with dropout before the last layer: the lecture's L18, whose rate is not given."""
    layers = cnn_cpcpff(rng).layers
    return nn.Sequential(*layers[:-1], nn.Dropout(drop), layers[-1])


def cnn_cf(rng: np.random.Generator) -> nn.Sequential:
    """One convolution and the output layer: the lecture's L14; 503,434 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 5, padding="same", rng=rng),
        relu,
        nn.Flatten(),
        nn.Dense(28 * 28 * 64, 10, rng=rng),
    )


def ketkar_cnn(rng: np.random.Generator) -> nn.Sequential:
    """Two convolutions, pool, dropout, a dense layer, dropout, output: Ketkar's listing 7-7; 600,810 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, rng=rng),
        relu,
        nn.Conv2d(32, 32, 3, rng=rng),
        relu,
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Dense(12 * 12 * 32, 128, rng=rng),
        relu,
        nn.Dropout(0.5),
        nn.Dense(128, 10, rng=rng),
    )


def softmax_regression(rng: np.random.Generator) -> nn.Sequential:
    """One layer, all weights zero at the start: Buduma's B21; 7,850 parameters."""
    return nn.Sequential(nn.Flatten(), nn.Dense(784, 10, weight_init="zeros", rng=rng))


def mlp(
    rng: np.random.Generator, hidden: Sequence[int], weight_init: Any, *, relu_at_end: bool = False
) -> nn.Sequential:
    """Dense layers with ReLU between them; Buduma's B23 has one behind the last layer as well."""
    sizes = (784, *hidden, 10)
    layers: list[Any] = [nn.Flatten()]
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Dense(inputs, outputs, weight_init=weight_init, rng=rng), relu]
    return nn.Sequential(layers if relu_at_end else layers[:-1])


def predicted(model: Any, rows: Any, transform: Callable[[Any], Any] = lambda rows: rows, device: str = "cpu") -> Any:
    """What a model on a device says of rows of the host, brought back."""
    return device_put(nn.predict(model, rows, transform=lambda some: device_put(transform(some), device)), "cpu")
