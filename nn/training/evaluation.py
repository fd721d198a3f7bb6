"""Measuring a model, and its outputs for many inputs."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core.backend import array_of
from nn.training.loop import count_examples
from nn.training.progress import Bar
from nn.training.supervised import Supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Metric = Callable[[Any, Any], float]

__all__ = ["evaluate", "predict"]


def evaluate(
    model: Any,
    data: Iterable[Any],
    *,
    loss: Callable[..., Any] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    call: Callable[[Any, Any], Any] = lambda model, x: model(x),
    progress: bool = False,
) -> dict[str, float]:
    """Measure a model on data: means over examples.

    Parameters
    ----------
    model
        The model.
    data : iterable of batches
        Batches ``(inputs, targets)``, neither shuffled nor augmented.
    loss : callable
        As for `fit`; it is called with ``train=False`` and ``rng=None``.
    metrics : dict of callables
        By name, ``metric(outputs, targets)``. One that is called ``"loss"`` takes the place of `loss`.
    call : callable
        What the model's outputs are: ``call(model, inputs)``.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    dict
        ``"loss"``, if it was asked for, and the metrics by name.

    Raises
    ------
    ValueError
        If there is no batch.

    Examples
    --------
    >>> from nn.metrics import mean_absolute_error
    >>> data = [(np.ones(3), np.zeros(3)), (np.ones(1), np.ones(1))]
    >>> evaluate(2.0, data, metrics={"error": mean_absolute_error}, call=lambda model, x: model * x)
    {'error': 1.75}
    """
    # What a `Supervised` loss adds up is known from the outputs that the metrics need: one evaluation is enough.
    wanted = {"loss": loss.criterion, **(metrics or {})} if isinstance(loss, Supervised) else dict(metrics or {})
    totals: dict[str, float] = {}
    examples = 0
    total = len(data) if isinstance(data, Sized) else None
    bar = Bar("evaluating", total, show=progress)
    for batch in data:
        count = count_examples(batch)
        examples += count
        found = {}
        if wanted:
            outputs = call(model, batch[0])
            found = {name: float(metric(outputs, batch[1])) for name, metric in wanted.items()}
        if loss is not None and "loss" not in found:
            found["loss"] = float(loss(model, batch, train=False, rng=None)[0])
        for name, value in found.items():
            totals[name] = totals.get(name, 0.0) + count * value
        bar.step(count, "")
    bar.close()
    if not examples:
        raise ValueError("evaluate: no batch; data must be a Batches or can be iterated over again.")
    return {name: total / examples for name, total in totals.items()}


def predict(
    model: Any,
    inputs: Any,
    *,
    batch_size: int = 500,
    call: Callable[[Any, Any], Any] = lambda model, x: model(x),
    transform: Callable[[Any], Any] = lambda x: x,
) -> Any:
    """Outputs of a model for many inputs, batch by batch.

    Parameters
    ----------
    model
        The model.
    inputs : ndarray
        The inputs, one to a row.
    batch_size : int
        Rows at a time.
    call, transform : callable
        What the outputs are: ``call(model, transform(rows))``.

    Returns
    -------
    ndarray
        The outputs, one to a row.

    Raises
    ------
    ValueError
        If `batch_size` is not positive.

    Examples
    --------
    >>> predict(None, np.arange(5), batch_size=2, call=lambda _, x: 10 * x)
    array([ 0, 10, 20, 30, 40])
    """
    if batch_size < 1:
        raise ValueError(f"predict: batch_size must be positive, not {batch_size}.")
    inputs = array_of(inputs)
    starts = range(0, max(len(inputs), 1), batch_size)
    return np.concatenate([array_of(call(model, transform(inputs[i : i + batch_size]))) for i in starts])
