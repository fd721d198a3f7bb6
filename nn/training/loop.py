"""The steps of training: gradient, update, the checks in between."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree, value_and_grad
from nn.checkpoint import generator_from_state, generator_state
from nn.training.finite import NonFiniteError, every_finite, first_bad_leaf, first_bad_tensor
from nn.training.interrupt import Interrupted, Interruption
from nn.training.progress import Bar, compilation
from nn.training.state import FitResult, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Loop", "count_examples"]


def _checked(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Return the loss, which says what it must return if it returns something else."""

    def checked(*args: Any, **keywords: Any) -> Any:
        found = loss(*args, **keywords)
        if not (isinstance(found, (tuple, list)) and len(found) == 2):
            what = f"{len(found)} values" if isinstance(found, (tuple, list)) else "one value"
            raise TypeError(f"fit: loss must return (value, new_model), not {what}; `return value, model` will do.")
        return found

    return checked


class Loop:
    """The steps of an epoch."""

    interruption: Interruption

    def __init__(
        self, run: Run, loss: Callable[..., Any], optimizer: Any, data: Any, epochs: int, path: Path | None,
        every: int | None, check_finite: bool, progress: bool,
    ) -> None:  # fmt: skip
        self.run, self.optimizer, self.data = run, optimizer, data
        self.epochs, self.path, self.every = epochs, path, every
        self.check_finite, self.progress = check_finite, progress
        self.loss = loss
        self.gradient = value_and_grad(_checked(loss), has_aux=True)
        self.donates = "donate" in inspect.signature(optimizer.update).parameters
        self.owns = False
        self.bar: Bar

    def epoch(self) -> dict[str, float]:
        """Do what is left of the current epoch; return its record."""
        run = self.run
        self.owns = False  # the model of the last epoch may have been kept, by early stopping or by the user
        run.order = generator_from_state(run.order_at_epoch)
        batches = _batches(self.data, run.order, run.done)
        total = len(self.data) if hasattr(self.data, "__len__") else None
        label = f"epoch {run.epoch + 1}/{self.epochs}"
        self.bar = Bar(label, total, start=run.done, show=self.progress)
        try:
            with self.announcing_compilation():
                for batch in batches:
                    self.step(batch)
        except BaseException:
            self.bar.close()
            raise
        if not run.done:
            raise ValueError("fit: an epoch without a batch; data must be a Batches or can be iterated over again.")
        return {
            "epoch": run.epoch + 1, "steps": run.steps, "loss": run.total / run.done, "seconds": self.bar.seconds,
            "examples_per_second": self.bar.rate,
        }  # fmt: skip

    def announcing_compilation(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the bar says what is being compiled."""
        if not self.progress:
            return contextlib.nullcontext()
        return compilation(
            lambda name: self.bar.say(f"compiling kernels (first use only): {name}", once=True), self.bar.leave_out
        )

    def step(self, batch: Any) -> None:
        """Do one step of training."""
        run = self.run
        before = run.rng.bit_generator.state
        (value, model), gradients = self.gradient(run.model, batch, train=True, rng=run.rng)
        value = float(value)
        if not math.isfinite(value) or (self.check_finite and not every_finite(tree.leaves(gradients))):
            self._fail(value, gradients, batch, before)
        # From the second step of an epoch on, the arrays are those that the first one made: nobody else has them.
        donation = {"donate": True} if self.owns else {}
        run.model, run.opt_state = self.optimizer.update(gradients, run.opt_state, model, **donation)
        self.owns = self.donates
        run.steps += 1
        run.done += 1
        run.total += value
        run.history.losses.append(value)
        self.bar.step(count_examples(batch), f"loss {run.total / run.done:.4f}")
        if self.every is not None and run.steps % self.every == 0:
            self._save()
        self.obey()

    def finish(self, record: dict[str, float]) -> None:
        """Close an epoch: record, early stopping, checkpoint."""
        run = self.run
        shown = ", ".join(f"{name.replace('_', ' ')} {record[name]:.4f}" for name in record if _is_measure(name))
        self.bar.close(f"{shown}, {record['examples_per_second']:,.0f} examples/s")
        run.history.epochs.append(record)
        run.epoch, run.done, run.total = run.epoch + 1, 0, 0.0
        run.order_at_epoch = generator_state(run.order)
        if run.watch is not None and run.watch.see(run.epoch, record, run.model):
            run.stop = "early stopping"
        self._save()

    def _save(self) -> None:
        if self.path is not None:
            self.run.save(self.path)

    def obey(self) -> None:
        """Stop if Ctrl-C was pressed."""
        if not self.interruption.requested:
            return
        run = self.run
        where = f"Stopped by Ctrl-C in epoch {run.epoch + 1} after {run.done} batches ({run.steps} steps in all)."
        if self.path is None:
            how = "Nothing was saved: give fit a checkpoint='last.safetensors' to be able to go on."
        else:
            self._save()
            how = f"Saved to {self.path}: the same call with resume=True goes on from there."
        self.bar.close()
        interrupted = Interrupted(f"{where} {how}")
        interrupted.result = FitResult(run.model, run.opt_state, run.history, "interrupted")
        raise interrupted

    def _fail(self, value: float, gradients: Any, batch: Any, before: Any) -> None:
        run = self.run
        rng = generator_from_state(generator_state(run.rng))
        rng.bit_generator.state = before
        tensor = first_bad_tensor(self.loss, run.model, batch, rng)
        tensor = tensor or first_bad_leaf("the gradient of model", gradients) or "none, when the step was run again"
        what = "a gradient is not finite" if math.isfinite(value) else f"the loss is {value}"
        where = f"step {run.steps + 1} (epoch {run.epoch + 1}, batch {run.done + 1})"
        saved = f" The last checkpoint, {self.path}, is as it was." if self.path and self.path.exists() else ""
        raise NonFiniteError(
            f"fit: {what} at {where}. The first tensor that is not finite: {tensor}. A lower learning rate, clipped "
            f"gradients, or a loss of logits instead of probabilities often help.{saved}",
            run.steps + 1,
            tensor,
        )


def _is_measure(name: str) -> bool:
    return name == "loss" or name.startswith("validation_")


def count_examples(batch: Any) -> int:
    """Number of rows of a batch."""
    first = tree.leaves(batch, strict=False)[0]
    return len(first) if np.ndim(first) else 1


def _batches(data: Any, order: np.random.Generator, start: int) -> Iterator[Any]:
    if hasattr(data, "epoch"):
        batches: Iterator[Any] = data.epoch(order, start=start)
        return batches
    return itertools.islice(iter(data), start, None)
