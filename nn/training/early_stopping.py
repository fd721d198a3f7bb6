"""Stopping when a measure no longer improves."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

__all__ = ["EarlyStopping"]


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """Stop training when what is measured at the end of epochs has not improved for some of them.

    Parameters
    ----------
    monitor : str
        The column of the history to watch.
    patience : int
        After how many epochs without improvement to stop.
    min_delta : float
        How much better counts as improvement.
    mode : {"min", "max"}
        Whether less or more is better; by default less, and more for accuracies.
    restore_best : bool
        Whether `nn.fit` returns the model of the best epoch, not that of the last.

    Examples
    --------
    >>> EarlyStopping("validation_accuracy", patience=2).mode
    'max'
    """

    monitor: str = "validation_loss"
    patience: int = 3
    min_delta: float = 0.0
    mode: str = ""
    restore_best: bool = True

    def __post_init__(self) -> None:
        if not self.mode:
            object.__setattr__(self, "mode", "max" if "accuracy" in self.monitor else "min")
        if self.mode not in {"min", "max"}:
            raise ValueError(f"EarlyStopping: mode must be 'min' or 'max', not {self.mode!r}.")
        if self.patience < 1 or self.min_delta < 0:
            raise ValueError(
                f"EarlyStopping: patience must be at least 1 and min_delta at least 0, not {self.patience} and "
                f"{self.min_delta}."
            )


@dataclasses.dataclass
class Watch:
    """The best epoch so far, as early stopping goes along."""

    rule: EarlyStopping
    best: float | None = None
    epoch: int = 0
    model: Any = None

    def see(self, epoch: int, record: dict[str, float], model: Any) -> bool:
        """Note an epoch and return whether to stop."""
        rule = self.rule
        if rule.monitor not in record:
            known = ", ".join(name for name in record if name not in {"epoch", "steps", "seconds"})
            raise KeyError(f"EarlyStopping watches {rule.monitor!r}, which is not measured; what is: {known}")
        value = record[rule.monitor]
        sign = 1 if rule.mode == "min" else -1
        first = self.best is None and not math.isnan(value)
        if first or (self.best is not None and sign * (self.best - value) > rule.min_delta):
            self.best, self.epoch = value, epoch
            self.model = model if rule.restore_best else None
        return epoch - self.epoch >= rule.patience
