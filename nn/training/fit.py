"""Training."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nn._files import check_writable
from nn.arguments import generator
from nn.training import state
from nn.training.evaluation import evaluate
from nn.training.interrupt import Interruption
from nn.training.loop import Loop
from nn.training.state import FitResult

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from nn.training.early_stopping import EarlyStopping

    Metric = Callable[[Any, Any], float]

__all__ = ["fit"]


def fit(
    model: Any,
    loss: Callable[..., Any],
    optimizer: Any,
    data: Any,
    *,
    epochs: int,
    rng: np.random.Generator | int,
    validation: Any = None,
    metrics: Mapping[str, Metric] | None = None,
    early_stopping: EarlyStopping | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    check_finite: bool = True,
    progress: bool = True,
    on_epoch: Callable[[dict[str, float], Any], object] | None = None,
    call: Callable[[Any, Any], Any] = lambda model, x: model(x),
) -> FitResult:
    """Train a model.

    Parameters
    ----------
    model
        A tree whose leaves are its parameters and state: a layer, or nested containers of arrays.
    loss : callable
        ``loss(model, batch, *, train, rng)`` -> ``(value, new_model)``.
    optimizer
        ``init(model)`` -> state; ``update(gradients, state, model)`` -> ``(model, state)``.
    data : Batches or iterable of batches
        What to train on; an iterable is iterated over anew in each epoch. Batches for a model on a GPU have to lie
        there: ``Batches(..., device="cuda")``.
    epochs : int
        How many passes over the data to make, those before `resume` included.
    rng : numpy.random.Generator or int
        Decides order, augmentation and dropout; an integer is a seed. A generator is not advanced: two others are
        spawned from it.
    validation
        Batches to evaluate on at the end of each epoch, neither shuffled nor augmented.
    metrics : dict of callables
        By name, ``metric(outputs, targets)``, as in `nn.metrics`, for the validation.
    early_stopping : EarlyStopping
        When to stop before all epochs are done.
    checkpoint : path
        A file for the whole state, written at the end of each epoch, replacing the last; see `nn.checkpoint`.
    checkpoint_every : int
        Also write it after so many steps.
    resume : bool
        Whether to go on from the file `checkpoint`, if it exists, bit for bit as if there had been no break.
    check_finite : bool
        Whether to stop at a loss or gradient that is NaN or infinite. The loss is looked at in any case.
    progress : bool
        Whether to show progress bars.
    on_epoch : callable
        ``on_epoch(record, model)`` at the end of each epoch, with the last of ``history.epochs``.
    call : callable
        What the model's outputs are, for the metrics: ``call(model, inputs)``.

    Returns
    -------
    FitResult
        The model and the history.

    Raises
    ------
    NonFiniteError
        If a loss or gradient is NaN or infinite; the message names the step and the first such tensor. The
        checkpoint is as it was.
    Interrupted
        On Ctrl-C, a KeyboardInterrupt: the step is completed, the state is saved, the message says how to go on.
    CheckpointError
        If the checkpoint is damaged, of another model or optimiser, or was written within an epoch of another number
        of batches.
    OSError
        If the checkpoint cannot be written, which is found out before the first step.
    TypeError, ValueError
        If an argument does not make sense.

    Examples
    --------
    A line through two points, with a plain dict as the model; the optimisers of `nn` have this interface.

    >>> class Descent:
    ...     def init(self, model):
    ...         return None
    ...
    ...     def update(self, gradients, state, model):
    ...         return tree.map(lambda p, g: p - 0.1 * g, model, gradients), state
    >>> from autodiff import tree
    >>> def loss(model, batch, *, train, rng):
    ...     x, y = batch
    ...     return np.mean((model["a"] * x + model["b"] - y) ** 2), model
    >>> x = np.array([0.0, 1.0])
    >>> result = fit(
    ...     {"a": 0.0, "b": 0.0}, loss, Descent(), [(x, 3 * x + 1)], epochs=300, rng=0, progress=False
    ... )
    >>> {name: round(float(value), 3) for name, value in result.model.items()}
    {'a': 3.0, 'b': 1.0}
    """
    path = None if checkpoint is None else Path(checkpoint)
    _check(epochs, path, checkpoint_every, resume)
    source = generator("fit", rng)
    _check_place(path)
    _check_functions(loss, optimizer)
    if getattr(validation, "shuffle", False) or getattr(validation, "augment", None):
        raise ValueError(
            "fit: validation must be neither shuffled nor augmented; make it with Batches(..., shuffle=False)."
        )
    run = state.start(model, optimizer, source, early_stopping)
    run.batches = len(data) if hasattr(data, "__len__") else None
    if resume and path is not None and path.exists():
        run.load(path)
        _say(progress, f"Going on after epoch {run.epoch}, batch {run.done}, from {path}")
    loop = Loop(run, loss, optimizer, data, epochs, path, checkpoint_every, check_finite, progress)
    with Interruption(lambda: _say(True, "\nFinishing this step; Ctrl-C again stops at once.")) as interruption:
        loop.interruption = interruption
        while run.epoch < epochs and not run.stop:
            record = loop.epoch()
            if validation is not None:
                loop.bar.say("evaluating")
                with loop.announcing_compilation():
                    found = evaluate(run.model, validation, loss=loss, metrics=metrics, call=call)
                record.update({f"validation_{name}": value for name, value in found.items()})
            loop.finish(record)
            if on_epoch is not None:
                on_epoch(record, run.model)
            loop.obey()
    best = run.watch.model if run.watch is not None else None
    return FitResult(run.model if best is None else best, run.opt_state, run.history, run.stop or "epochs")


def _check_functions(loss: Callable[..., Any], optimizer: Any) -> None:
    """Refuse a loss of outputs and targets, and an optimiser that has not been made yet."""
    if isinstance(optimizer, type):
        raise TypeError(
            f"fit: optimizer is the class {optimizer.__name__}; make one, such as {optimizer.__name__}(0.01)."
        )
    try:
        inspect.signature(loss).bind(None, None, train=True, rng=None)
    except ValueError:  # it does not tell what it takes
        return
    except TypeError as error:
        raise TypeError(
            f"fit: loss must take (model, batch, *, train, rng): {error}. Of a criterion such as "
            "nn.losses.cross_entropy, nn.Supervised(criterion) makes such a loss."
        ) from None


def _check_place(path: Path | None) -> None:
    """Find out before the first epoch, not after it, whether its checkpoint can be written."""
    if path is None:
        return
    try:
        check_writable(path)
    except OSError as error:
        raise OSError(f"fit: the checkpoint {path} cannot be written: {error}.") from error


def _check(epochs: int, path: Path | None, every: int | None, resume: bool) -> None:
    for name, value in (("epochs", epochs), ("checkpoint_every", every)):
        if value is not None and not isinstance(value, int | np.integer):
            raise TypeError(f"fit: {name} must be an integer, not {value!r}.")
    if epochs < 0:
        raise ValueError(f"fit: epochs must not be negative, not {epochs}.")
    if path is None and (resume or every is not None):
        what = "resume=True" if resume else "checkpoint_every"
        raise ValueError(f"fit: {what} needs a file: checkpoint='last.safetensors'.")
    if every is not None and every < 1:
        raise ValueError(f"fit: checkpoint_every must be at least 1 step, not {every}.")


def _say(show: bool, text: str) -> None:
    if show:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
