"""The loss of examples with targets, in the form that `nn.fit` takes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from autodiff.core.errors import describe
from nn.module import apply

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

__all__ = ["Supervised"]


@dataclasses.dataclass(frozen=True)
class Supervised:
    """``loss(model, batch, *, train, rng)`` for batches ``(inputs, targets)``.

    Parameters
    ----------
    criterion : callable
        ``criterion(outputs, targets)`` -> a number, as in `nn.losses`.
    penalty : callable, optional
        ``penalty(model)`` -> a number that is added in training, as for weight decay.

    Examples
    --------
    >>> import numpy as np
    >>> loss = Supervised(lambda y, t: np.mean((y - t) ** 2), penalty=lambda model: 10.0)
    >>> batch = (np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> loss(np.square, batch, train=False)[0], loss(np.square, batch, train=True)[0]
    (np.float64(0.0), np.float64(10.0))
    """

    criterion: Callable[[Any, Any], Any]
    penalty: Callable[[Any], Any] | None = None

    def __call__(
        self, model: Any, batch: Any, *, train: bool, rng: np.random.Generator | None = None
    ) -> tuple[Any, Any]:
        """Return the loss and the model with its new state."""
        try:
            inputs, targets = batch
        except ValueError:
            what = f"{len(batch)} values" if isinstance(batch, (tuple, list)) else describe(batch)
            raise ValueError(
                f"Supervised: a batch is (inputs, targets), but this one is {what}; nn.data.Batches(x, y) makes such "
                "batches."
            ) from None
        outputs, new_model = apply(model, inputs, train=train, rng=rng)
        value = self.criterion(outputs, targets)
        if train and self.penalty is not None:
            value = value + self.penalty(model)
        return value, new_model
