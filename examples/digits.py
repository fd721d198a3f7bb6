"""Handwritten digits for the programs: MNIST where it can be had, 5,000 of its digits where it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nn.data import load_mnist

if TYPE_CHECKING:
    from examples.run import Run
    from nn.data import ImageSet

__all__ = ["mnist"]


def mnist(run: Run) -> ImageSet:
    """Load MNIST as `nn.data.load_mnist` does, in silence, and without the network when ten steps are tested."""
    return load_mnist(run.data_dir, download=not run.smoke, tell=lambda _: None)
