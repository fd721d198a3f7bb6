"""All that changes during training, in memory and in a checkpoint."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from nn.checkpoint import (
    CheckpointError,
    generator_from_state,
    generator_state,
    load_checkpoint,
    save_checkpoint,
)
from nn.history import History
from nn.training.early_stopping import EarlyStopping, Watch

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FitResult", "Run", "start"]


@dataclasses.dataclass(frozen=True)
class FitResult:
    """What `fit` returns.

    Attributes
    ----------
    model
        The trained model: the last, or the best if early stopping restores it.
    optimizer_state
        The optimiser's state after the last step.
    history : History
        Losses and measures.
    stopped : str
        Why training ended: ``"epochs"`` (all were done) or ``"early stopping"``.
    """

    model: Any
    optimizer_state: Any = dataclasses.field(repr=False)  # as large as the model, or twice
    history: History
    stopped: str


@dataclasses.dataclass
class Run:
    """Where training stands."""

    model: Any
    opt_state: Any
    rng: np.random.Generator  # the model's: dropout
    order: np.random.Generator  # the data's: shuffling, augmentation
    order_at_epoch: dict[str, Any]
    epoch: int = 0  # complete ones
    done: int = 0  # batches of the epoch that is under way
    batches: int | None = None  # of a whole epoch, where the data know it
    steps: int = 0
    total: float = 0.0  # sum of the losses of this epoch
    history: History = dataclasses.field(default_factory=History)
    watch: Watch | None = None
    stop: str = ""

    def save(self, path: Path) -> None:
        """Write everything to a checkpoint."""
        trees = {"model": self.model, "optimizer": self.opt_state, "losses": np.array(self.history.losses, np.float64)}
        state: dict[str, Any] = {
            "epoch": self.epoch, "done": self.done, "steps": self.steps, "total": self.total, "stop": self.stop,
            "batches": self.batches, "rng": generator_state(self.rng), "order": self.order_at_epoch,
            "epochs": self.history.epochs,
        }  # fmt: skip
        if self.watch is not None:
            state["watch"] = {"best": self.watch.best, "epoch": self.watch.epoch}
            if self.watch.model is not None:
                state["watch"]["model"] = True
                trees["best"] = self.watch.model
        save_checkpoint(path, trees, state)

    def load(self, path: Path) -> None:
        """Take everything from a checkpoint of a run with the same model and optimiser."""
        trees, state = load_checkpoint(path, {"model": self.model, "optimizer": self.opt_state})
        self._check_batches(path, state["done"], state.get("batches"))
        losses, _ = load_checkpoint(path, {"losses": np.zeros(state["steps"])})
        self.model, self.opt_state = trees["model"], trees["optimizer"]
        self.epoch, self.done, self.steps = state["epoch"], state["done"], state["steps"]
        self.total, self.stop = state["total"], state["stop"]
        self.rng, self.order_at_epoch = generator_from_state(state["rng"]), state["order"]
        self.history = History(losses["losses"].tolist(), state["epochs"])
        if self.watch is not None and "watch" in state:
            self.watch.best, self.watch.epoch = state["watch"]["best"], state["watch"]["epoch"]
            if "model" in state["watch"]:
                self.watch.model = load_checkpoint(path, {"best": self.model})[0]["best"]

    def _check_batches(self, path: Path, done: int, batches: int | None) -> None:
        """Refuse to go on within an epoch of other data: the rest of that epoch is not there."""
        if done and None not in (batches, self.batches) and batches != self.batches:
            raise CheckpointError(
                f"{path} was written after {done} batches of an epoch of {batches}, but the data here make "
                f"{self.batches}: go on with the data and the batch size of that run."
            )


def start(model: Any, optimizer: Any, source: np.random.Generator, rule: EarlyStopping | None) -> Run:
    """Return the state before the first step."""
    mine, order = source.spawn(2)
    watch = None if rule is None else Watch(rule)
    return Run(model, optimizer.init(model), mine, order, generator_state(order), watch=watch)
